#include "nn/q8_rows.h"

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
static size_t row_bytes(const struct kernels *k, size_t width)
{
    size_t bytes = rounded(width, Q8_BLOCK_IN) * (k->wide_rows ? 2 : 1);

    return bytes / LINE % 2 ? bytes : bytes + LINE;
}

static size_t scale_bytes(size_t n)
{
    return rounded(n * sizeof(float), LINE);
}

size_t q8_rows_bytes(const struct kernels *k, size_t n, size_t width)
{
    /* Tiles are read whole, so the last one may reach beyond the rows; nothing of that is used. */
    size_t beyond = k->path == KERNELS_AMX ? 32 : 0;

    return 2 * scale_bytes(n) + (n + beyond) * row_bytes(k, width);
}

struct q8_rows q8_rows_in(const struct kernels *k, void *memory, size_t n, size_t width)
{
    struct q8_rows rows = {.data = (unsigned char *)memory + 2 * scale_bytes(n),
                           .scale = memory,
                           .middle = (float *)memory + scale_bytes(n) / sizeof(float),
                           .stride = row_bytes(k, width),
                           .width = width,
                           .wide = k->wide_rows};

    assert((uintptr_t)memory % LINE == 0);
    return rows;
}

struct q8_rows q8_rows_from(const struct q8_rows *rows, size_t first)
{
    struct q8_rows rest = *rows;

    rest.data += first * rows->stride;
    rest.scale += first;
    rest.middle += first;
    return rest;
}

void q8_quantize(const struct kernels *k, const float *x, size_t x_stride, size_t n,
                 const struct q8_rows *ret)
{
    assert(ret->wide == k->wide_rows);
    k->quantize(x, x_stride, n, ret);
}

int q8_value(const struct q8_rows *rows, size_t row, size_t column)
{
    const unsigned char *data = rows->data + row * rows->stride;

    return rows->wide ? ((const int16_t *)(const void *)data)[column] : data[column] - 128;
}
