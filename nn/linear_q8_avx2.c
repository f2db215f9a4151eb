#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/kernels_table.h"
#include "nn/vector_avx2.h"
#include "nn/vector_math.h"

#include "nn/q8_epilogue.h"

#define ROWS 4 /* rows x 2 vectors of sums */
#define OUTS 8 /* channels at once: half a strip */

/* Weights are widened to 16 bits as they are read, and vpmaddwd adds products of pairs in 32 bits:
 * a vector of sums holds two halves each of 4 channels. (vpmaddubsw would saturate, and with the
 * sign trick that prevents it costs one instruction more.) */
static inline __attribute__((always_inline)) void sum_rows(size_t n_rows, const int8_t *weights,
                                                           size_t n_in, const unsigned char *x,
                                                           size_t x_stride, int32_t *ret_sums)
{
    __m256i sum[ROWS][2];

    for (size_t r = 0; r < n_rows; r++)
        sum[r][0] = sum[r][1] = _mm256_setzero_si256();
    for (size_t i = 0; i < n_in; i += 4) {
        const __m128i *b = (const __m128i *)(const void *)(weights + i * Q8_STRIP);
        __m256i b0 = _mm256_cvtepi8_epi16(_mm_loadu_si128(b));
        __m256i b1 = _mm256_cvtepi8_epi16(_mm_loadu_si128(b + 1));

        for (size_t r = 0; r < n_rows; r++) {
            int64_t four;
            __m256i a;

            memcpy(&four, x + r * x_stride + i * 2, sizeof four);
            a = _mm256_set1_epi64x(four);
            sum[r][0] = _mm256_add_epi32(sum[r][0], _mm256_madd_epi16(a, b0));
            sum[r][1] = _mm256_add_epi32(sum[r][1], _mm256_madd_epi16(a, b1));
        }
    }
    for (size_t r = 0; r < n_rows; r++) {
        __m256i pairs = _mm256_hadd_epi32(sum[r][0], sum[r][1]); /* 0 1 4 5 2 3 6 7 */

        _mm256_storeu_si256((__m256i *)(void *)(ret_sums + r * OUTS),
                            _mm256_permute4x64_epi64(pairs, 0xD8));
    }
}

static void sum_block(size_t n_rows, const int8_t *weights, size_t n_in, const unsigned char *x,
                      size_t x_stride, int32_t *ret_sums)
{
    switch (n_rows) {
    case 1:
        sum_rows(1, weights, n_in, x, x_stride, ret_sums);
        break;
    case 2:
        sum_rows(2, weights, n_in, x, x_stride, ret_sums);
        break;
    case 3:
        sum_rows(3, weights, n_in, x, x_stride, ret_sums);
        break;
    default:
        sum_rows(ROWS, weights, n_in, x, x_stride, ret_sums);
        break;
    }
}

void linear_q8_avx2(const struct q8_weights *w, const struct q8_rows *x, size_t n,
                    const struct linear_output *out)
{
    int32_t sums[ROWS * OUTS] __attribute__((aligned(32)));

    for (size_t first = 0; first < w->n_out; first += OUTS) {
        const int8_t *weights = w->w + first / Q8_STRIP * Q8_STRIP * w->n_in + first % Q8_STRIP * 4;
        struct q8_block block = {.sums = sums, .stride = OUTS, .first_out = first, .n_outs = OUTS};

        for (size_t row = 0; row < n; row += block.n_rows) {
            block.first_row = row;
            block.n_rows = q8_rows_of_block(n - row, ROWS);
            sum_block(block.n_rows, weights, w->n_in, x->data + row * x->stride, x->stride, sums);
            q8_finish(w, x, &block, out);
        }
    }
}
