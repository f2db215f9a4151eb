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

/* Block by block, and in each the rows one after another, so that what a matrix product reads of
 * many rows lies close together. 64-byte aligned. */
struct block_rows {
    int8_t *q;       /* block b of row i at q + (b * n_rows + i) * 256; zeros behind K */
    float *scale;    /* ... at scale + b * n_rows + i */
    int16_t *sum8;   /* its 32 at sum8 + (b * n_rows + i) * 32 */
    int16_t *sum16;  /* its 16 at sum16 + (b * n_rows + i) * 16 */
    int16_t *sum32;  /* its 8 at sum32 + (b * n_rows + i) * 8 */
    size_t n_rows;   /* that there is memory for */
    size_t n_blocks; /* ceil(K / 256) */
    size_t width;    /* K */
};

/* Where block b of row i begins, in units of blocks. */
static inline size_t block_rows_at(const struct block_rows *rows, size_t i, size_t b)
{
    return b * rows->n_rows + i;
}

/* Memory for n rows: a multiple of 64, to be aligned to 64. It must not be uninitialised: tiles
 * read rows behind the last one, whatever is there. */
size_t block_rows_bytes(const struct kernels *k, size_t n, size_t width);
struct block_rows block_rows_in(const struct kernels *k, void *memory, size_t n, size_t width);
struct block_rows block_rows_from(const struct block_rows *rows, size_t first);

/* x [n, width], row i at x + i * x_stride, into rows 0..n-1. */
void block_rows_quantize(const struct kernels *k, const float *x, size_t x_stride, size_t n,
                         const struct block_rows *ret);

#endif
