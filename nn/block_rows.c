#include "nn/block_rows.h"

#include <assert.h>
#include <stdint.h>

#include "nn/kernels_table.h"

#define LINE 64

static size_t rounded(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* An odd number of cache lines: rows of an even number of them would compete for the same few sets
 * of the L1 when a tile reads the same columns of 16 rows. */
static size_t row_bytes(size_t width)
{
    size_t bytes = rounded(width, LINE);

    return bytes / LINE % 2 ? bytes : bytes + LINE;
}

static size_t n_blocks_of(size_t width)
{
    return (width + BLOCK_ROWS_BLOCK - 1) / BLOCK_ROWS_BLOCK;
}

static size_t n_groups_of(size_t width)
{
    return rounded(width, (size_t)2 * BLOCK_ROWS_GROUP) / BLOCK_ROWS_GROUP;
}

size_t block_rows_bytes(const struct kernels *k, size_t n, size_t width)
{
    (void)k;
    return n * row_bytes(width) + rounded(n * n_blocks_of(width) * sizeof(float), LINE) +
           rounded(n * n_groups_of(width) * 7 * sizeof(int16_t), LINE);
}

struct block_rows block_rows_in(const struct kernels *k, void *memory, size_t n, size_t width)
{
    struct block_rows rows = {.q = memory,
                              .stride = row_bytes(width),
                              .n_blocks = n_blocks_of(width),
                              .n_groups = n_groups_of(width),
                              .width = width};
    unsigned char *behind = (unsigned char *)memory + n * rows.stride;

    (void)k;
    assert((uintptr_t)memory % LINE == 0);
    rows.scale = (float *)(void *)behind;
    behind += rounded(n * rows.n_blocks * sizeof(float), LINE);
    rows.sum8 = (int16_t *)(void *)behind;
    rows.sum16 = rows.sum8 + n * 4 * rows.n_groups;
    rows.sum32 = rows.sum16 + n * 2 * rows.n_groups;
    return rows;
}

struct block_rows block_rows_from(const struct block_rows *rows, size_t first)
{
    struct block_rows rest = *rows;

    rest.q += first * rows->stride;
    rest.scale += first * rows->n_blocks;
    rest.sum8 += first * 4 * rows->n_groups;
    rest.sum16 += first * 2 * rows->n_groups;
    rest.sum32 += first * rows->n_groups;
    return rest;
}

void block_rows_quantize(const struct kernels *k, const float *x, size_t x_stride, size_t n,
                         const struct block_rows *ret)
{
    k->block_quantize(x, x_stride, n, ret);
}
