#include "nn/linear.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/gemm_fp32.h"
#include "nn/kernels_table.h"

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

/* Row o of w to its place in the strips; the sum of the row and its scale. */
static void pack_channel(const float *w, size_t n_in, size_t o, size_t k, int8_t *packed,
                         int32_t *ret_start, float *ret_scale)
{
    int8_t *strip = packed + o / Q8_STRIP * Q8_STRIP * k + o % Q8_STRIP * 4;
    float largest = 0;
    float factor;
    int32_t sum = 0;

    for (size_t i = 0; i < n_in; i++)
        largest = fabsf(w[i]) > largest ? fabsf(w[i]) : largest;
    if (largest < 1e-30f) { /* its inverse would overflow; as for activations */
        *ret_scale = 0;
        *ret_start = 0;
        return;
    }
    factor = 127.0f / largest;
    for (size_t i = 0; i < n_in; i++) {
        int8_t q = (int8_t)lrintf(w[i] * factor);

        strip[i / 4 * 4 * Q8_STRIP + i % 4] = q;
        sum += q;
    }
    *ret_scale = largest / 127.0f;
    *ret_start = -128 * sum;
}

enum rag_status linear_new_int8(const struct kernels *k, const float *w, const float *bias,
                                size_t n_out, size_t n_in, struct linear **ret,
                                struct rag_error *reterr)
{
    size_t in = rounded(n_in, Q8_BLOCK_IN);
    size_t outs = rounded(n_out, Q8_PANEL);
    struct linear *l = NULL;
    enum rag_status status = check_sizes(n_out, n_in, reterr);
    int8_t *packed;
    int32_t *start;
    float *scale;
    float *sum;
    float *biases;

    if (status == RAG_OK)
        status = check_finite(w, n_out * n_in, "weight", reterr);
    if (status == RAG_OK && bias)
        status = check_finite(bias, n_out, "bias", reterr);
    if (status == RAG_OK)
        status = linear_alloc(k, n_out, n_in, outs * (in + 4 * sizeof(float)), &l, reterr);
    if (status != RAG_OK)
        return status;
    packed = l->memory;
    start = (int32_t *)(void *)(packed + outs * in);
    scale = (float *)(start + outs);
    sum = scale + outs;
    biases = sum + outs;
    for (size_t o = 0; o < n_out; o++) {
        pack_channel(w + o * n_in, n_in, o, in, packed, &start[o], &scale[o]);
        sum[o] = scale[o] * (float)(start[o] / -128);
    }
    if (bias)
        memcpy(biases, bias, n_out * sizeof *bias);
    l->int8 = true;
    l->bias = biases;
    l->q8 = (struct q8_weights){.w = packed,
                                .start = start,
                                .scale = scale,
                                .sum = sum,
                                .bias = biases,
                                .n_in = in,
                                .n_out = n_out};
    *ret = l;
    return RAG_OK;
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
