/* nn/block_rows.h - activations quantised to signed 8 bits in blocks, for weights in blocks.
 *
 * A row of width K is cut into blocks of 256 (the last one may be shorter) and groups of 32 (zeros
 * behind the end):
 *
 *     scale[b] = max_j |x_j| / 127 over block b      q_j = round_half_even(x_j * (127 / max))
 *     sum32[g] = sum_j q_j over group g, sum16 and sum8 over its halves and quarters (16 bits:
 *                |sum| <= 32 * 127 = 4064)
 *
 * A block whose maximum is below 1e-30 is all zeros with scale 0. One that holds a NaN or an
 * infinity is zeros with scale NaN, so that what is computed from it is NaN and the check of the
 * logits sees it. Every path gives the same q, scale and sums, and reads those of every other. */
#ifndef RAG_NN_BLOCK_ROWS_H
#define RAG_NN_BLOCK_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "nn/kernels.h"

#define BLOCK_ROWS_BLOCK 256
#define BLOCK_ROWS_GROUP 32

struct block_rows {
    int8_t *q;       /* row i at q + i * stride; 64-byte aligned */
    size_t stride;   /* bytes: K rounded up to 64, an odd number of cache lines */
    float *scale;    /* row i at scale + i * n_blocks */
    int16_t *sum8;   /* row i at sum8 + i * 4 * n_groups */
    int16_t *sum16;  /* row i at sum16 + i * 2 * n_groups */
    int16_t *sum32;  /* row i at sum32 + i * n_groups */
    size_t n_blocks; /* ceil(K / 256) */
    size_t n_groups; /* ceil(K / 32), rounded up to even */
    size_t width;    /* K */
};

/* Memory for n rows: a multiple of 64, to be aligned to 64. */
size_t block_rows_bytes(const struct kernels *k, size_t n, size_t width);
struct block_rows block_rows_in(const struct kernels *k, void *memory, size_t n, size_t width);
struct block_rows block_rows_from(const struct block_rows *rows, size_t first);

/* x [n, width], row i at x + i * x_stride, into rows 0..n-1. */
void block_rows_quantize(const struct kernels *k, const float *x, size_t x_stride, size_t n,
                         const struct block_rows *ret);

#endif
