#include "nn/linear.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/gemm_fp32.h"
#include "nn/kernels_table.h"
#include "nn/linear_packed.h"

#define LINE 64

struct linear {
    const struct kernels *kernels;
    size_t n_in;
    size_t n_out;
    uint64_t bytes;
    bool int8;
    struct q8_weights q8; /* int8: points into memory */
    const float *w;       /* fp32: [n_out, n_in] */
    size_t block_rows;    /* fp32: of one call of sgemm */
    const float *bias;    /* [n_out], rounded up to whole panels */
    void *memory;
};

static size_t rounded(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Both sizes are bounded by LINEAR_IN_MAX and LINEAR_OUT_MAX: no product below overflows. */
static enum rag_status check_sizes(size_t n_out, size_t n_in, struct rag_error *reterr)
{
    assert(n_out > 0 && n_in > 0);
    if (n_in > LINEAR_IN_MAX || n_out > LINEAR_OUT_MAX)
        return rag_fail(reterr, RAG_ELIMIT,
                        "a linear layer of %zu inputs and %zu outputs: more than %d or %d", n_in,
                        n_out, LINEAR_IN_MAX, LINEAR_OUT_MAX);
    return RAG_OK;
}

static enum rag_status check_finite(const float *w, size_t n, const char *what,
                                    struct rag_error *reterr)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(w[i]))
            return rag_fail(reterr, RAG_ENUMERIC, "%s %zu of a linear layer is not finite", what,
                            i);
    return RAG_OK;
}

static enum rag_status linear_alloc(const struct kernels *k, size_t n_out, size_t n_in,
                                    size_t bytes, struct linear **ret, struct rag_error *reterr)
{
    struct linear *l = calloc(1, sizeof *l);

    if (l)
        l->memory = aligned_alloc(LINE, rounded(bytes, LINE));
    if (!l || !l->memory) {
        linear_free(l);
        return rag_fail(reterr, RAG_ENOMEM, "a linear layer of %zu x %zu: no memory for %zu bytes",
                        n_out, n_in, bytes);
    }
    memset(l->memory, 0, rounded(bytes, LINE));
    l->kernels = k;
    l->n_in = n_in;
    l->n_out = n_out;
    l->bytes = bytes;
    *ret = l;
    return RAG_OK;
}

float linear_quantize_row(const float *w, size_t n, int8_t *ret)
{
    float largest = 0;
    float factor;

    for (size_t i = 0; i < n; i++)
        largest = fabsf(w[i]) > largest ? fabsf(w[i]) : largest;
    if (largest < 1e-30f) { /* its inverse would overflow; as for activations */
        memset(ret, 0, n);
        return 0;
    }
    factor = 127.0f / largest;
    for (size_t i = 0; i < n; i++)
        ret[i] = (int8_t)lrintf(w[i] * factor);
    return largest / 127.0f;
}

/* The arrays of an int8 linear, whose values are still to come. */
struct int8_arrays {
    int8_t *packed;
    int32_t *start;
    float *scale;
    float *sum;
};

static enum rag_status int8_alloc(const struct kernels *k, const float *bias, size_t n_out,
                                  size_t n_in, struct int8_arrays *ret_arrays, struct linear **ret,
                                  struct rag_error *reterr)
{
    size_t in = rounded(n_in, Q8_BLOCK_IN);
    size_t outs = rounded(n_out, Q8_PANEL);
    struct int8_arrays a;
    struct linear *l = NULL;
    float *biases;
    enum rag_status status = RAG_OK;

    if (bias)
        status = check_finite(bias, n_out, "bias", reterr);
    if (status == RAG_OK)
        status = linear_alloc(k, n_out, n_in, outs * (in + 4 * sizeof(float)), &l, reterr);
    if (status != RAG_OK)
        return status;
    a.packed = l->memory;
    a.start = (int32_t *)(void *)(a.packed + outs * in);
    a.scale = (float *)(a.start + outs);
    a.sum = a.scale + outs;
    biases = a.sum + outs;
    if (bias)
        memcpy(biases, bias, n_out * sizeof *bias);
    l->int8 = true;
    l->bias = biases;
    l->q8 = (struct q8_weights){.w = a.packed,
                                .start = a.start,
                                .scale = a.scale,
                                .sum = a.sum,
                                .bias = biases,
                                .n_in = in,
                                .n_out = n_out};
    *ret_arrays = a;
    *ret = l;
    return RAG_OK;
}

/* Where row o begins among the strips, of rows of 'in' values; its value i is at packed_at(i). */
static size_t packed_row(size_t o, size_t in)
{
    return o / Q8_STRIP * Q8_STRIP * in + o % Q8_STRIP * 4;
}

static size_t packed_at(size_t i)
{
    return i / 4 * 4 * Q8_STRIP + i % 4;
}

/* Row o, its scale, and what follows from both. */
static void pack_channel(const struct linear *l, const int8_t *w, float scale, size_t o,
                         const struct int8_arrays *a)
{
    int8_t *strip = a->packed + packed_row(o, l->q8.n_in);
    int32_t sum = 0;

    for (size_t i = 0; i < l->n_in; i++) {
        strip[packed_at(i)] = w[i];
        sum += w[i];
    }
    a->start[o] = -128 * sum;
    a->scale[o] = scale;
    a->sum[o] = scale * (float)sum;
}

enum rag_status linear_new_int8(const struct kernels *k, const float *w, const float *bias,
                                size_t n_out, size_t n_in, struct linear **ret,
                                struct rag_error *reterr)
{
    struct int8_arrays a;
    struct linear *l = NULL;
    int8_t *row;
    enum rag_status status = check_sizes(n_out, n_in, reterr);

    if (status == RAG_OK)
        status = check_finite(w, n_out * n_in, "weight", reterr);
    if (status != RAG_OK)
        return status;
    row = malloc(n_in);
    status = row ? int8_alloc(k, bias, n_out, n_in, &a, &l, reterr)
                 : rag_fail(reterr, RAG_ENOMEM, "a linear layer: out of memory");
    if (status != RAG_OK) {
        free(row);
        return status;
    }
    for (size_t o = 0; o < n_out; o++) {
        float scale = linear_quantize_row(w + o * n_in, n_in, row);

        pack_channel(l, row, scale, o, &a);
    }
    free(row);
    *ret = l;
    return RAG_OK;
}

enum rag_status linear_new_packed(const struct kernels *k, const int8_t *w, const float *scale,
                                  const float *bias, size_t n_out, size_t n_in, struct linear **ret,
                                  struct rag_error *reterr)
{
    struct int8_arrays a;
    struct linear *l = NULL;
    enum rag_status status = check_sizes(n_out, n_in, reterr);

    if (status == RAG_OK)
        status = int8_alloc(k, bias, n_out, n_in, &a, &l, reterr);
    if (status != RAG_OK)
        return status;
    for (size_t o = 0; o < n_out; o++)
        pack_channel(l, w + o * n_in, scale[o], o, &a);
    *ret = l;
    return RAG_OK;
}

float linear_int8_row(const struct linear *l, size_t o, int8_t *ret)
{
    const int8_t *strip = (const int8_t *)l->q8.w + packed_row(o, l->q8.n_in);

    assert(l->int8 && o < l->n_out);
    for (size_t i = 0; i < l->n_in; i++)
        ret[i] = strip[packed_at(i)];
    return l->q8.scale[o];
}

const float *linear_bias(const struct linear *l)
{
    return l->bias;
}

enum rag_status linear_new_fp32(const struct kernels *k, const float *w, const float *bias,
                                size_t n_out, size_t n_in, struct linear **ret,
                                struct rag_error *reterr)
{
    size_t outs = rounded(n_out, Q8_PANEL);
    struct linear *l = NULL;
    enum rag_status status = check_sizes(n_out, n_in, reterr);
    float *copy;

    if (status == RAG_OK)
        status = check_finite(w, n_out * n_in, "weight", reterr);
    if (status == RAG_OK && bias)
        status = check_finite(bias, n_out, "bias", reterr);
    if (status == RAG_OK)
        status = linear_alloc(k, n_out, n_in, (outs + n_out * n_in) * sizeof(float), &l, reterr);
    if (status != RAG_OK)
        return status;
    copy = l->memory;
    if (bias)
        memcpy(copy, bias, n_out * sizeof *bias);
    memcpy(copy + outs, w, n_out * n_in * sizeof *w);
    l->bias = copy;
    l->w = copy + outs;
    l->block_rows = gemm_fp32_rows();
    *ret = l;
    return RAG_OK;
}

void linear_free(struct linear *l)
{
    if (!l)
        return;
    free(l->memory);
    free(l);
}

size_t linear_n_in(const struct linear *l)
{
    return l->n_in;
}

size_t linear_n_out(const struct linear *l)
{
    return l->n_out;
}

uint64_t linear_bytes(const struct linear *l)
{
    return l->bytes;
}

bool linear_is_int8(const struct linear *l)
{
    return l->int8;
}

size_t linear_scratch_floats(const struct linear *l, size_t n_rows)
{
    (void)n_rows;
    return l->int8 ? 0 : rounded(l->block_rows * (l->n_in + l->n_out), 16);
}

/* y = f(y + b) + residual for rows first .. first + n - 1, whose sums lie in 'sums'. */
static void finish_rows(const struct linear *l, const struct linear_output *out, size_t first,
                        size_t n, const float *sums)
{
    struct linear_output rows = *out;

    rows.y += first * out->stride;
    if (rows.residual)
        rows.residual += first * out->residual_stride;
    l->kernels->finish(sums, l->bias, l->n_out, n, &rows);
}

/* Blocks of block_rows rows; the last one is padded with zeros. Sums go through scratch, since y
 * may hold the residual. */
static void forward_fp32(const struct linear *l, const struct linear_input *x, size_t n_rows,
                         const struct linear_output *out, float *scratch)
{
    size_t block = l->block_rows;
    float *sums = scratch;
    float *padded = scratch + block * l->n_out;

    for (size_t row = 0; row < n_rows; row += block) {
        size_t n = n_rows - row < block ? n_rows - row : block;
        const float *rows = x->f32 + row * x->stride;
        size_t stride = x->stride;

        if (n < block) {
            for (size_t i = 0; i < n; i++)
                memcpy(padded + i * l->n_in, rows + i * stride, l->n_in * sizeof *rows);
            memset(padded + n * l->n_in, 0, (block - n) * l->n_in * sizeof *rows);
            rows = padded;
            stride = l->n_in;
        }
        gemm_fp32(rows, stride, block, l->w, l->n_out, l->n_in, sums, l->n_out);
        finish_rows(l, out, row, n, sums);
    }
}

void linear_forward(const struct linear *l, const struct linear_input *x, size_t n_rows,
                    const struct linear_output *out, float *scratch)
{
    if (l->int8) {
        assert(x->q8 && x->q8->width == l->n_in && x->q8->wide == l->kernels->wide_rows);
        l->kernels->linear_q8(&l->q8, x->q8, n_rows, out);
    } else {
        assert(x->f32);
        forward_fp32(l, x, n_rows, out, scratch);
    }
}
