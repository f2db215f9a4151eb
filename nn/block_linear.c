#define _GNU_SOURCE /* MADV_HUGEPAGE */
#include "nn/block_linear.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "nn/block_pack.h"
#include "nn/gemm_fp32.h"
#include "nn/kernels_table.h"

#define LINE      64
#define HUGE_PAGE ((size_t)2 << 20)
#define FP32_OUT  64 /* outputs of each call of sgemm: its sums may differ with their number */

struct block_linear {
    const struct kernels *kernels;
    size_t n_in;
    size_t n_out;
    uint64_t bytes;
    bool fp32;
    struct block_weights blocks; /* points into memory, as w */
    const float *w;              /* fp32: [n_out rounded up to FP32_OUT, n_in] */
    float *bias;                 /* [n_out rounded up to FP32_OUT] */
    void *memory;
};

_Static_assert(BLOCK_LINEAR_STRIP == BLOCK_STRIP, "ranges begin at strips");

static size_t rounded(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Both sizes are bounded by LINEAR_IN_MAX and LINEAR_OUT_MAX: no product below overflows. */
static enum rag_status check(size_t n_out, size_t n_in, const float *bias, struct rag_error *reterr)
{
    assert(n_out > 0 && n_in > 0);
    if (n_in > LINEAR_IN_MAX || n_out > LINEAR_OUT_MAX)
        return rag_fail(reterr, RAG_ELIMIT,
                        "a linear layer of %zu inputs and %zu outputs: more than %d or %d", n_in,
                        n_out, LINEAR_IN_MAX, LINEAR_OUT_MAX);
    for (size_t o = 0; bias && o < n_out; o++)
        if (!isfinite(bias[o]))
            return rag_fail(reterr, RAG_ENUMERIC, "bias %zu of a linear layer is not finite", o);
    return RAG_OK;
}

/* In pages of 2 MiB where the system has them: reading weights through is then less work for the
 * TLB. The last pages are small ones, so that no memory is held that is not used. */
static void *new_memory(size_t bytes)
{
    void *memory;

    if (bytes < HUGE_PAGE)
        return aligned_alloc(LINE, bytes);
    memory = aligned_alloc(HUGE_PAGE, rounded(bytes, HUGE_PAGE));
    if (memory)
        (void)madvise(memory, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    return memory;
}

static enum rag_status new_empty(const struct kernels *k, size_t n_out, size_t n_in,
                                 size_t weight_bytes, const float *bias, struct block_linear **ret,
                                 struct rag_error *reterr)
{
    size_t bytes = rounded(weight_bytes, LINE) + rounded(n_out, FP32_OUT) * sizeof(float);
    struct block_linear *l = calloc(1, sizeof *l);

    if (l)
        l->memory = new_memory(bytes);
    if (!l || !l->memory) {
        block_linear_free(l);
        return rag_fail(reterr, RAG_ENOMEM, "a linear layer of %zu x %zu: no memory for %zu bytes",
                        n_out, n_in, bytes);
    }
    l->kernels = k;
    l->n_in = n_in;
    l->n_out = n_out;
    l->bytes = bytes;
    l->bias = (float *)(void *)((unsigned char *)l->memory + rounded(weight_bytes, LINE));
    memset(l->bias, 0, rounded(n_out, FP32_OUT) * sizeof(float));
    if (bias)
        memcpy(l->bias, bias, n_out * sizeof *bias);
    *ret = l;
    return RAG_OK;
}

/* ---- packing ---- */

static enum rag_status not_finite(enum block_type type, size_t first_out, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENUMERIC,
                    "a scale of type %s in rows %zu to %zu of a matrix is not finite",
                    block_type_name(type), first_out, first_out + BLOCK_STRIP - 1);
}

static enum rag_status pack_blocks(enum block_type type, const uint8_t *rows, size_t row_bytes,
                                   const struct block_weights *w, size_t n_in, uint8_t *ret,
                                   struct rag_error *reterr)
{
    for (size_t o = 0; o < w->n_out; o += BLOCK_STRIP) {
        size_t n = w->n_out - o < BLOCK_STRIP ? w->n_out - o : BLOCK_STRIP;

        if (!block_pack_strip(type, rows + o * row_bytes, row_bytes, n, n_in,
                              ret + o / BLOCK_STRIP * w->strip_bytes))
            return not_finite(type, o, reterr);
    }
    return RAG_OK;
}

/* Numbers, a strip at a time: as floats, in blocks of 'dense' (the last one filled up with the last
 * weight of the row, which meets activations of 0), packed. */
static enum rag_status pack_dense(enum block_type type, enum block_type dense, const uint8_t *rows,
                                  size_t row_bytes, const struct block_weights *w, size_t n_in,
                                  uint8_t *ret, struct rag_error *reterr)
{
    size_t whole = rounded(n_in, BLOCK_GROUP);
    size_t dense_bytes = whole / BLOCK_GROUP * block_bytes(dense);
    float *row = malloc(whole * sizeof *row);
    uint8_t *strip = malloc(BLOCK_STRIP * dense_bytes);
    enum rag_status status = RAG_OK;

    if (!row || !strip) {
        status = rag_fail(reterr, RAG_ENOMEM, "a linear layer: no memory for %zu weights", whole);
        goto out;
    }
    for (size_t o = 0; o < w->n_out && status == RAG_OK; o += BLOCK_STRIP) {
        size_t n = w->n_out - o < BLOCK_STRIP ? w->n_out - o : BLOCK_STRIP;

        for (size_t i = 0; i < n && status == RAG_OK; i++) {
            blocks_read_f32(type, rows + (o + i) * row_bytes, n_in, row);
            for (size_t j = n_in; j < whole; j++)
                row[j] = row[n_in - 1];
            status = blocks_write(dense, row, whole, strip + i * dense_bytes, reterr);
        }
        if (status == RAG_OK && !block_pack_strip(dense, strip, dense_bytes, n, whole,
                                                  ret + o / BLOCK_STRIP * w->strip_bytes))
            status = not_finite(dense, o, reterr);
    }
out:
    free(row);
    free(strip);
    return status;
}

enum rag_status block_linear_new(const struct kernels *k, enum block_type type, const uint8_t *rows,
                                 size_t row_bytes, size_t n_out, size_t n_in,
                                 enum block_type dense_type, const float *bias,
                                 struct block_linear **ret, struct rag_error *reterr)
{
    struct block_linear *l = NULL;
    struct block_weights w = {.n_out = n_out};
    bool dense = !block_pack_format(type, &w.format);
    struct block_format f;
    enum rag_status status = check(n_out, n_in, bias, reterr);

    if (status != RAG_OK)
        return status;
    if (dense && !block_pack_format(dense_type, &w.format))
        assert(false);
    f = block_format_of(w.format);
    w.n_groups = rounded(n_in, (size_t)2 * BLOCK_GROUP) / BLOCK_GROUP;
    w.n_blocks = (w.n_groups + BLOCK_GROUPS - 1) / BLOCK_GROUPS;
    w.strip_bytes = (w.n_blocks - 1) * block_packed_bytes(f, BLOCK_GROUPS) +
                    block_packed_bytes(f, block_groups_at(w.n_groups, w.n_blocks - 1));
    status = new_empty(k, n_out, n_in, rounded(n_out, BLOCK_STRIP) / BLOCK_STRIP * w.strip_bytes,
                       bias, &l, reterr);
    if (status != RAG_OK)
        return status;
    w.packed = l->memory;
    w.bias = l->bias;
    status = dense ? pack_dense(type, dense_type, rows, row_bytes, &w, n_in, l->memory, reterr)
                   : pack_blocks(type, rows, row_bytes, &w, n_in, l->memory, reterr);
    if (status != RAG_OK) {
        block_linear_free(l);
        return status;
    }
    l->blocks = w;
    *ret = l;
    return RAG_OK;
}

enum rag_status block_linear_new_fp32(const struct kernels *k, enum block_type type,
                                      const uint8_t *rows, size_t row_bytes, size_t n_out,
                                      size_t n_in, const float *bias, struct block_linear **ret,
                                      struct rag_error *reterr)
{
    struct block_linear *l = NULL;
    size_t outs = rounded(n_out, FP32_OUT);
    enum rag_status status = check(n_out, n_in, bias, reterr);
    float *w;

    if (status == RAG_OK)
        status = new_empty(k, n_out, n_in, outs * n_in * sizeof(float), bias, &l, reterr);
    if (status != RAG_OK)
        return status;
    w = l->memory;
    memset(w + n_out * n_in, 0, (outs - n_out) * n_in * sizeof *w);
    for (size_t o = 0; o < n_out; o++) {
        float *row = w + o * n_in;

        blocks_read_f32(type, rows + o * row_bytes, n_in, row);
        for (size_t i = 0; i < n_in; i++)
            if (!isfinite(row[i])) {
                block_linear_free(l);
                return rag_fail(reterr, RAG_ENUMERIC, "weight %zu of row %zu is not finite", i, o);
            }
    }
    l->fp32 = true;
    l->w = w;
    *ret = l;
    return RAG_OK;
}

void block_linear_free(struct block_linear *l)
{
    if (!l)
        return;
    free(l->memory);
    free(l);
}

size_t block_linear_n_in(const struct block_linear *l)
{
    return l->n_in;
}

size_t block_linear_n_out(const struct block_linear *l)
{
    return l->n_out;
}

uint64_t block_linear_bytes(const struct block_linear *l)
{
    return l->bytes;
}

bool block_linear_is_fp32(const struct block_linear *l)
{
    return l->fp32;
}

/* ---- computing ---- */

size_t block_linear_scratch_bytes(const struct block_linear *l, size_t n, size_t n_outs)
{
    if (l->fp32)
        return rounded(gemm_fp32_rows() * (l->n_in + FP32_OUT) * sizeof(float), LINE);
    return rounded(l->kernels->block_linear_scratch(&l->blocks, n, n_outs), LINE);
}

/* The same number of rows and outputs for every call of sgemm: what is computed for a row and an
 * output depends on neither the others nor the range. */
static void forward_fp32(const struct block_linear *l, const struct block_linear_input *x, size_t n,
                         const struct block_range *out, float *scratch)
{
    size_t block = gemm_fp32_rows();
    float *sums = scratch;
    float *rows = scratch + block * FP32_OUT;
    size_t end = out->first + out->n;

    for (size_t row = 0; row < n; row += block) {
        size_t n_rows = n - row < block ? n - row : block;

        for (size_t i = 0; i < n_rows; i++)
            memcpy(rows + i * l->n_in, x->f32 + (row + i) * x->f32_stride, l->n_in * sizeof *rows);
        memset(rows + n_rows * l->n_in, 0, (block - n_rows) * l->n_in * sizeof *rows);
        for (size_t tile = out->first / FP32_OUT * FP32_OUT; tile < end; tile += FP32_OUT) {
            size_t first = tile < out->first ? out->first : tile;
            size_t last = tile + FP32_OUT < end ? tile + FP32_OUT : end;

            gemm_fp32(rows, l->n_in, block, l->w + tile * l->n_in, FP32_OUT, l->n_in, sums,
                      FP32_OUT);
            for (size_t i = 0; i < n_rows; i++)
                for (size_t o = first; o < last; o++)
                    out->y[(row + i) * out->stride + o - out->first] =
                        sums[i * FP32_OUT + o - tile] + l->bias[o];
        }
    }
}

void block_linear_forward(const struct block_linear *l, const struct block_linear_input *x,
                          size_t n, size_t first_out, size_t n_outs, float *y, size_t y_stride,
                          void *scratch)
{
    struct block_range range = {.first = first_out, .n = n_outs, .y = y, .stride = y_stride};

    assert(first_out % BLOCK_STRIP == 0 && first_out <= l->n_out && n_outs <= l->n_out - first_out);
    assert(n_outs % BLOCK_STRIP == 0 || first_out + n_outs == l->n_out);
    if (n == 0 || n_outs == 0)
        return;
    if (l->fp32) {
        assert(x->f32);
        forward_fp32(l, x, n, &range, scratch);
    } else {
        assert(x->rows && x->rows->width == l->n_in);
        l->kernels->block_linear(&l->blocks, x->rows, n, &range, scratch);
    }
}
