#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/kernels_table.h"
#include "nn/vector_avx512.h"
#include "nn/vector_math.h"

#include "nn/q8_epilogue.h"

#define ROWS   6 /* rows x 4 strips of sums = 24 of 32 registers, 4 of weights, 1 of activations */
#define STRIPS (Q8_PANEL / Q8_STRIP)

/* n_rows x 64 sums, K/4 steps of n_rows * 4 vpdpbusd each: two of them a cycle. */
static inline __attribute__((always_inline)) void sum_rows(size_t n_rows,
                                                           const struct q8_weights *w,
                                                           size_t first_out, const unsigned char *x,
                                                           size_t x_stride, int32_t *ret_sums)
{
    __m512i sum[ROWS][STRIPS];
    const int8_t *weights = w->w + first_out * w->n_in;
    size_t strip_bytes = w->n_in * Q8_STRIP;

    for (size_t s = 0; s < STRIPS; s++)
        for (size_t r = 0; r < n_rows; r++)
            sum[r][s] = _mm512_loadu_si512(w->start + first_out + s * Q8_STRIP);
    for (size_t i = 0; i < w->n_in; i += 4) {
        __m512i b[STRIPS];

        for (size_t s = 0; s < STRIPS; s++)
            b[s] = _mm512_loadu_si512(weights + s * strip_bytes + i * Q8_STRIP);
        for (size_t r = 0; r < n_rows; r++) {
            int32_t four;
            __m512i a;

            memcpy(&four, x + r * x_stride + i, sizeof four);
            a = _mm512_set1_epi32(four);
            for (size_t s = 0; s < STRIPS; s++)
                sum[r][s] = _mm512_dpbusd_epi32(sum[r][s], a, b[s]);
        }
    }
    for (size_t r = 0; r < n_rows; r++)
        for (size_t s = 0; s < STRIPS; s++)
            _mm512_storeu_si512(ret_sums + r * Q8_PANEL + s * Q8_STRIP, sum[r][s]);
}

static void sum_block(size_t n_rows, const struct q8_weights *w, size_t first_out,
                      const unsigned char *x, size_t x_stride, int32_t *ret_sums)
{
    switch (n_rows) {
    case 1:
        sum_rows(1, w, first_out, x, x_stride, ret_sums);
        break;
    case 2:
        sum_rows(2, w, first_out, x, x_stride, ret_sums);
        break;
    case 3:
        sum_rows(3, w, first_out, x, x_stride, ret_sums);
        break;
    case 4:
        sum_rows(4, w, first_out, x, x_stride, ret_sums);
        break;
    case 5:
        sum_rows(5, w, first_out, x, x_stride, ret_sums);
        break;
    default:
        sum_rows(ROWS, w, first_out, x, x_stride, ret_sums);
        break;
    }
}

void linear_q8_avx512_vnni(const struct q8_weights *w, const struct q8_rows *x, size_t n,
                           const struct linear_output *out)
{
    int32_t sums[ROWS * Q8_PANEL] __attribute__((aligned(64)));

    for (size_t first = 0; first < w->n_out; first += Q8_PANEL) {
        struct q8_block block = {
            .sums = sums, .stride = Q8_PANEL, .first_out = first, .n_outs = Q8_PANEL};

        for (size_t row = 0; row < n; row += block.n_rows) {
            block.first_row = row;
            block.n_rows = q8_rows_of_block(n - row, ROWS);
            sum_block(block.n_rows, w, first, x->data + row * x->stride, x->stride, sums);
            q8_finish(w, x, &block, out);
        }
    }
}
