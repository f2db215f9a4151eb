#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/kernels_table.h"
#include "nn/vector_scalar.h"

#include "nn/q8_epilogue.h"

#define ROWS   64  /* that share the weights once they are unpacked */
#define INPUTS 256 /* unpacked at once: 8 KiB of weights */

/* Inputs first .. first + n - 1 of a strip, channel by channel and 16 bits wide, so that compilers
 * see a product of two arrays of int16_t, for which most CPUs have an instruction. */
static void unpack(const struct q8_weights *w, size_t strip, size_t first, size_t n,
                   int16_t ret[Q8_STRIP][INPUTS])
{
    const int8_t *weights = w->w + (strip * w->n_in + first) * Q8_STRIP;

    for (size_t i = 0; i < n; i += 4)
        for (size_t o = 0; o < Q8_STRIP; o++)
            for (size_t j = 0; j < 4; j++)
                ret[o][i + j] = weights[i * Q8_STRIP + o * 4 + j];
}

static int32_t product(const int16_t *a, const int16_t *b, size_t n)
{
    int32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* The definition: sums of products of signed numbers, without offsets. */
static void sum_strip(const struct q8_weights *w, size_t strip, const struct q8_rows *x,
                      size_t first_row, size_t n_rows, int32_t sums[ROWS][Q8_STRIP])
{
    int16_t weights[Q8_STRIP][INPUTS];

    memset(sums, 0, n_rows * sizeof sums[0]);
    for (size_t i = 0; i < w->n_in; i += INPUTS) {
        size_t n = w->n_in - i < INPUTS ? w->n_in - i : INPUTS;

        unpack(w, strip, i, n, weights);
        for (size_t r = 0; r < n_rows; r++) {
            const unsigned char *data = x->data + (first_row + r) * x->stride;
            const int16_t *row = (const int16_t *)(const void *)data + i;

            for (size_t o = 0; o < Q8_STRIP; o++)
                sums[r][o] += product(row, weights[o], n);
        }
    }
}

void linear_q8_portable(const struct q8_weights *w, const struct q8_rows *x, size_t n,
                        const struct linear_output *out)
{
    int32_t sums[ROWS][Q8_STRIP];

    for (size_t row = 0; row < n; row += ROWS)
        for (size_t first = 0; first < w->n_out; first += Q8_STRIP) {
            struct q8_block block = {.sums = sums[0],
                                     .stride = Q8_STRIP,
                                     .first_row = row,
                                     .n_rows = n - row < ROWS ? n - row : ROWS,
                                     .first_out = first,
                                     .n_outs = Q8_STRIP};

            sum_strip(w, first / Q8_STRIP, x, row, block.n_rows, sums);
            q8_finish(w, x, &block, out);
        }
}
