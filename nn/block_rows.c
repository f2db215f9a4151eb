#include "nn/block_rows.h"

#include <assert.h>
#include <stdint.h>

#include "nn/block_format.h"
#include "nn/kernels_table.h"

#define LINE 64

static size_t rounded(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static size_t n_blocks_of(size_t width)
{
    return (width + BLOCK_ROWS_BLOCK - 1) / BLOCK_ROWS_BLOCK;
}

#define BEYOND 32 /* rows that tiles may read behind the last one; nothing of that is used */
#define SUMS   (BLOCK_ROWS_BLOCK / 8 + BLOCK_ROWS_BLOCK / 16 + BLOCK_ROWS_BLOCK / 32)

size_t block_rows_bytes(const struct kernels *k, size_t n, size_t width)
{
    size_t n_blocks = n_blocks_of(width);

    (void)k;
    return (n * n_blocks + BEYOND) * BLOCK_ROWS_BLOCK +
           rounded(n * n_blocks * (SUMS * sizeof(int16_t) + sizeof(float)), LINE);
}

struct block_rows block_rows_in(const struct kernels *k, void *memory, size_t n, size_t width)
{
    struct block_rows rows = {
        .q = memory, .n_rows = n, .n_blocks = n_blocks_of(width), .width = width};
    size_t n_all = n * rows.n_blocks;

    (void)k;
    assert((uintptr_t)memory % LINE == 0);
    rows.sum8 = (int16_t *)(void *)(rows.q + (n_all + BEYOND) * BLOCK_ROWS_BLOCK);
    rows.sum16 = rows.sum8 + n_all * (BLOCK_ROWS_BLOCK / 8);
    rows.sum32 = rows.sum16 + n_all * (BLOCK_ROWS_BLOCK / 16);
    rows.scale = (float *)(void *)(rows.sum32 + n_all * (BLOCK_ROWS_BLOCK / 32));
    return rows;
}

struct block_rows block_rows_from(const struct block_rows *rows, size_t first)
{
    return block_rows_after(rows, first);
}

void block_rows_quantize(const struct kernels *k, const float *x, size_t x_stride, size_t n,
                         const struct block_rows *ret)
{
    assert(n <= ret->n_rows);
    k->block_quantize(x, x_stride, n, ret);
}
