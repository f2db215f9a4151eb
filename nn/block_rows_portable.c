#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/kernels_table.h"

/* The n <= 256 values of a block, and zeros behind them. */
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
    memset(ret, 0, BLOCK_ROWS_BLOCK);
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

static void sum_block(const int8_t *q, int16_t *sum8, int16_t *sum16, int16_t *sum32)
{
    for (size_t s = 0; s < BLOCK_ROWS_BLOCK / 8; s++) {
        int sum = 0;

        for (size_t j = 0; j < 8; j++)
            sum += q[s * 8 + j];
        sum8[s] = (int16_t)sum;
    }
    for (size_t s = 0; s < BLOCK_ROWS_BLOCK / 16; s++)
        sum16[s] = (int16_t)(sum8[2 * s] + sum8[2 * s + 1]);
    for (size_t s = 0; s < BLOCK_ROWS_BLOCK / 32; s++)
        sum32[s] = (int16_t)(sum16[2 * s] + sum16[2 * s + 1]);
}

void block_quantize_portable(const float *x, size_t x_stride, size_t n,
                             const struct block_rows *ret)
{
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < ret->n_blocks; b++) {
            size_t at = block_rows_at(ret, i, b);
            size_t first = b * BLOCK_ROWS_BLOCK;
            size_t left = ret->width - first;

            ret->scale[at] = quantize_block(x + i * x_stride + first,
                                            left < BLOCK_ROWS_BLOCK ? left : BLOCK_ROWS_BLOCK,
                                            ret->q + at * BLOCK_ROWS_BLOCK);
            sum_block(ret->q + at * BLOCK_ROWS_BLOCK, ret->sum8 + at * 32, ret->sum16 + at * 16,
                      ret->sum32 + at * 8);
        }
}
