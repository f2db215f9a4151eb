#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/kernels_table.h"
#include "nn/vector_avx512.h"
#include "nn/vector_math.h"

#include "nn/q8_epilogue.h"

#define ROWS 10 /* rows x 2 vectors of sums = 20 of 32 registers */

/* As linear_q8_avx2(), with vectors of two halves each of 8 channels: a strip at once. */
static inline __attribute__((always_inline)) void sum_rows(size_t n_rows, const int8_t *weights,
                                                           size_t n_in, const unsigned char *x,
                                                           size_t x_stride, int32_t *ret_sums)
{
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd =
        _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    __m512i sum[ROWS][2];

    for (size_t r = 0; r < n_rows; r++)
        sum[r][0] = sum[r][1] = _mm512_setzero_si512();
    for (size_t i = 0; i < n_in; i += 4) {
        const __m256i *b = (const __m256i *)(const void *)(weights + i * Q8_STRIP);
        __m512i b0 = _mm512_cvtepi8_epi16(_mm256_loadu_si256(b));
        __m512i b1 = _mm512_cvtepi8_epi16(_mm256_loadu_si256(b + 1));

        for (size_t r = 0; r < n_rows; r++) {
            int64_t four;
            __m512i a;

            memcpy(&four, x + r * x_stride + i * 2, sizeof four);
            a = _mm512_set1_epi64(four);
            sum[r][0] = _mm512_add_epi32(sum[r][0], _mm512_madd_epi16(a, b0));
            sum[r][1] = _mm512_add_epi32(sum[r][1], _mm512_madd_epi16(a, b1));
        }
    }
    for (size_t r = 0; r < n_rows; r++)
        _mm512_storeu_si512(ret_sums + r * Q8_STRIP,
                            _mm512_add_epi32(_mm512_permutex2var_epi32(sum[r][0], even, sum[r][1]),
                                             _mm512_permutex2var_epi32(sum[r][0], odd, sum[r][1])));
}

void linear_q8_avx512(const struct q8_weights *w, const struct q8_rows *x, size_t n,
                      const struct linear_output *out)
{
    int32_t sums[ROWS * Q8_STRIP] __attribute__((aligned(64)));

    for (size_t first = 0; first < w->n_out; first += Q8_STRIP) {
        const int8_t *weights = w->w + first * w->n_in;
        struct q8_block block = {
            .sums = sums, .stride = Q8_STRIP, .first_out = first, .n_outs = Q8_STRIP};

        for (size_t row = 0; row < n; row += block.n_rows) {
            const unsigned char *rows = x->data + row * x->stride;

            block.first_row = row;
            block.n_rows = n - row >= ROWS ? ROWS : n - row >= 4 ? 4 : 1;
            if (block.n_rows == ROWS)
                sum_rows(ROWS, weights, w->n_in, rows, x->stride, sums);
            else if (block.n_rows == 4)
                sum_rows(4, weights, w->n_in, rows, x->stride, sums);
            else
                sum_rows(1, weights, w->n_in, rows, x->stride, sums);
            q8_finish(w, x, &block, out);
        }
    }
}
