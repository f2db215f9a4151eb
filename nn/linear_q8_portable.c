#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/kernels_table.h"
#include "nn/vector_scalar.h"

#include "nn/q8_epilogue.h"

/* The definition: sums of products of signed numbers, without offsets. */
static void sum_strip(const struct q8_weights *w, size_t strip, const int16_t *x, int32_t *sums)
{
    const int8_t *weights = w->w + strip * w->n_in * Q8_STRIP;

    memset(sums, 0, Q8_STRIP * sizeof *sums);
    for (size_t i = 0; i < w->n_in; i += 4)
        for (size_t o = 0; o < Q8_STRIP; o++)
            for (size_t j = 0; j < 4; j++)
                sums[o] += x[i + j] * weights[i * Q8_STRIP + o * 4 + j];
}

void linear_q8_portable(const struct q8_weights *w, const struct q8_rows *x, size_t n,
                        const struct linear_output *out)
{
    for (size_t first = 0; first < w->n_out; first += Q8_STRIP)
        for (size_t row = 0; row < n; row++) {
            int32_t sums[Q8_STRIP];
            struct q8_block block = {.sums = sums,
                                     .first_row = row,
                                     .n_rows = 1,
                                     .first_out = first,
                                     .n_outs = Q8_STRIP};

            sum_strip(w, first / Q8_STRIP,
                      (const int16_t *)(const void *)(x->data + row * x->stride), sums);
            q8_finish(w, x, &block, out);
        }
}
