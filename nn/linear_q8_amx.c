#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/amx_tiles.h"
#include "nn/kernels_table.h"
#include "nn/vector_avx512.h"
#include "nn/vector_math.h"

#include "nn/q8_epilogue.h"

#define ROWS 32 /* two tiles of rows x two strips: each tile that is loaded is multiplied twice */
#define OUTS 32

/* Tiles: 0..3 sums, 4 and 5 activations, 6 and 7 weights. 32 rows x 32 channels; each step of 64
 * inputs loads 4 tiles and multiplies 4 times. Tiles of sums begin with the channels' start in
 * every row: a load with stride 0. */
static void sum_32(const struct q8_weights *w, size_t first_out, const unsigned char *x,
                   size_t x_stride, int32_t *ret_sums)
{
    const int8_t *left = w->w + first_out * w->n_in;
    const int8_t *right = left + Q8_STRIP * w->n_in;
    const unsigned char *lower = x + 16 * x_stride;

    _tile_loadd(0, w->start + first_out, 0);
    _tile_loadd(1, w->start + first_out + Q8_STRIP, 0);
    _tile_loadd(2, w->start + first_out, 0);
    _tile_loadd(3, w->start + first_out + Q8_STRIP, 0);
    for (size_t i = 0; i < w->n_in; i += Q8_BLOCK_IN) {
        _tile_loadd(6, left + i * Q8_STRIP, 64);
        _tile_loadd(4, x + i, x_stride);
        _tile_dpbusd(0, 4, 6);
        _tile_loadd(7, right + i * Q8_STRIP, 64);
        _tile_dpbusd(1, 4, 7);
        _tile_loadd(5, lower + i, x_stride);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    _tile_stored(0, ret_sums, OUTS * 4);
    _tile_stored(1, ret_sums + Q8_STRIP, OUTS * 4);
    _tile_stored(2, ret_sums + 16 * OUTS, OUTS * 4);
    _tile_stored(3, ret_sums + 16 * OUTS + Q8_STRIP, OUTS * 4);
}

/* The same for 16 rows: what is left over. */
static void sum_16(const struct q8_weights *w, size_t first_out, const unsigned char *x,
                   size_t x_stride, int32_t *ret_sums)
{
    const int8_t *left = w->w + first_out * w->n_in;
    const int8_t *right = left + Q8_STRIP * w->n_in;

    _tile_loadd(0, w->start + first_out, 0);
    _tile_loadd(1, w->start + first_out + Q8_STRIP, 0);
    for (size_t i = 0; i < w->n_in; i += Q8_BLOCK_IN) {
        _tile_loadd(4, x + i, x_stride);
        _tile_loadd(6, left + i * Q8_STRIP, 64);
        _tile_dpbusd(0, 4, 6);
        _tile_loadd(7, right + i * Q8_STRIP, 64);
        _tile_dpbusd(1, 4, 7);
    }
    _tile_stored(0, ret_sums, OUTS * 4);
    _tile_stored(1, ret_sums + Q8_STRIP, OUTS * 4);
}

void linear_q8_amx(const struct q8_weights *w, const struct q8_rows *x, size_t n,
                   const struct linear_output *out)
{
    int32_t sums[ROWS * OUTS] __attribute__((aligned(64)));

    amx_configure();
    for (size_t first = 0; first < w->n_out; first += OUTS) {
        struct q8_block block = {.sums = sums, .stride = OUTS, .first_out = first, .n_outs = OUTS};

        for (size_t row = 0; row < n; row += block.n_rows) {
            const unsigned char *rows = x->data + row * x->stride;

            block.first_row = row;
            block.n_rows = n - row < ROWS ? n - row : ROWS;
            if (block.n_rows > 16)
                sum_32(w, first, rows, x->stride, sums);
            else
                sum_16(w, first, rows, x->stride, sums);
            q8_finish(w, x, &block, out);
        }
    }
    amx_release();
}
