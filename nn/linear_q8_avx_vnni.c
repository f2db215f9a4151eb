#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/kernels_table.h"
#include "nn/vector_avx2.h"
#include "nn/vector_math.h"

#include "nn/q8_epilogue.h"

#define ROWS 6 /* rows x 2 vectors of 8 sums = 12 of 16 registers */

static inline __attribute__((always_inline)) void sum_rows(size_t n_rows,
                                                           const struct q8_weights *w,
                                                           size_t first_out, const unsigned char *x,
                                                           size_t x_stride, int32_t *ret_sums)
{
    __m256i sum[ROWS][2];
    const int8_t *weights = w->w + first_out * w->n_in;

    for (size_t s = 0; s < 2; s++)
        for (size_t r = 0; r < n_rows; r++)
            sum[r][s] =
                _mm256_loadu_si256((const __m256i *)(const void *)(w->start + first_out + s * 8));
    for (size_t i = 0; i < w->n_in; i += 4) {
        const __m256i *b = (const __m256i *)(const void *)(weights + i * Q8_STRIP);
        __m256i b0 = _mm256_loadu_si256(b);
        __m256i b1 = _mm256_loadu_si256(b + 1);

        for (size_t r = 0; r < n_rows; r++) {
            int32_t four;
            __m256i a;

            memcpy(&four, x + r * x_stride + i, sizeof four);
            a = _mm256_set1_epi32(four);
            sum[r][0] = _mm256_dpbusd_avx_epi32(sum[r][0], a, b0);
            sum[r][1] = _mm256_dpbusd_avx_epi32(sum[r][1], a, b1);
        }
    }
    for (size_t r = 0; r < n_rows; r++)
        for (size_t s = 0; s < 2; s++)
            _mm256_storeu_si256((__m256i *)(void *)(ret_sums + r * Q8_STRIP + s * 8), sum[r][s]);
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

void linear_q8_avx_vnni(const struct q8_weights *w, const struct q8_rows *x, size_t n,
                        const struct linear_output *out)
{
    int32_t sums[ROWS * Q8_STRIP] __attribute__((aligned(32)));

    for (size_t first = 0; first < w->n_out; first += Q8_STRIP) {
        struct q8_block block = {
            .sums = sums, .stride = Q8_STRIP, .first_out = first, .n_outs = Q8_STRIP};

        for (size_t row = 0; row < n; row += block.n_rows) {
            block.first_row = row;
            block.n_rows = q8_rows_of_block(n - row, ROWS);
            sum_block(block.n_rows, w, first, x->data + row * x->stride, x->stride, sums);
            q8_finish(w, x, &block, out);
        }
    }
}
