#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/kernels_table.h"

/* The n <= 256 values of a block, and zeros up to the next multiple of 64. */
static float quantize_block(const float *x, size_t n, int8_t *ret)
{
    uint32_t largest = 0;
    float max;
    float factor;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7FFFFFFFu;
        largest = bits > largest ? bits : largest;
    }
    memset(ret, 0, (n + 63) / 64 * 64);
    if (largest >= 0x7F800000u)
        return NAN;
    memcpy(&max, &largest, sizeof max);
    if (max < 1e-30f) /* its inverse would overflow */
        return 0;
    factor = 127.0f / max;
    for (size_t i = 0; i < n; i++)
        ret[i] = (int8_t)lrintf(x[i] * factor);
    return max / 127.0f;
}

void block_quantize_portable(const float *x, size_t x_stride, size_t n,
                             const struct block_rows *ret)
{
    for (size_t i = 0; i < n; i++) {
        struct block_rows row = block_rows_from(ret, i);

        for (size_t b = 0; b < row.n_blocks; b++) {
            size_t first = b * BLOCK_ROWS_BLOCK;
            size_t left = row.width - first;

            row.scale[b] =
                quantize_block(x + i * x_stride + first,
                               left < BLOCK_ROWS_BLOCK ? left : BLOCK_ROWS_BLOCK, row.q + first);
        }
        for (size_t s = 0; s < 4 * row.n_groups; s++) {
            int sum = 0;

            for (size_t j = 0; j < 8; j++)
                sum += row.q[s * 8 + j];
            row.sum8[s] = (int16_t)sum;
        }
        for (size_t s = 0; s < 2 * row.n_groups; s++)
            row.sum16[s] = (int16_t)(row.sum8[2 * s] + row.sum8[2 * s + 1]);
        for (size_t s = 0; s < row.n_groups; s++)
            row.sum32[s] = (int16_t)(row.sum16[2 * s] + row.sum16[2 * s + 1]);
    }
}
