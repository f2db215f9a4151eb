#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/kernels_table.h"

#define BR_LANES 16

typedef __m512 br_f;
typedef __m512i br_i;

static inline br_i br_zero(void)
{
    return _mm512_setzero_si512();
}

static inline br_f br_set(float x)
{
    return _mm512_set1_ps(x);
}

/* The first n floats, the other lanes 0; nothing beyond them is touched. */
static inline br_f br_load(const float *p, size_t n)
{
    return n >= 16 ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}

/* Compared as integers: infinities and NaNs are above all numbers. */
static inline br_i br_larger_magnitude(br_i so_far, br_f x)
{
    return _mm512_max_epi32(
        so_far, _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7FFFFFFF)));
}

static inline uint32_t br_largest(br_i a)
{
    return (uint32_t)_mm512_reduce_max_epi32(a);
}

static inline br_i br_rounded(br_f x, br_f factor)
{
    return _mm512_cvtps_epi32(_mm512_mul_ps(x, factor));
}

static inline void br_store8(int8_t *p, br_i a)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(a));
}

#include "nn/block_rows_template.h"

void block_quantize_avx512(const float *x, size_t x_stride, size_t n, const struct block_rows *ret)
{
    quantize(x, x_stride, n, ret);
}
