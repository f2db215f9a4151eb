#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/kernels_table.h"
#include "nn/vector_avx2.h"

#define BR_LANES 8

typedef __m256 br_f;
typedef __m256i br_i;

static inline br_i br_zero(void)
{
    return _mm256_setzero_si256();
}

static inline br_f br_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline br_f br_load(const float *p, size_t n)
{
    return n >= 8 ? _mm256_loadu_ps(p) : vf_load_n(p, n);
}

static inline br_i br_larger_magnitude(br_i so_far, br_f x)
{
    return vi_larger_magnitude(so_far, x);
}

static inline uint32_t br_largest(br_i a)
{
    return vi_largest(a);
}

static inline br_i br_rounded(br_f x, br_f factor)
{
    return _mm256_cvtps_epi32(_mm256_mul_ps(x, factor));
}

static inline void br_store8(int8_t *p, br_i a)
{
    __m128i narrow = vi_narrow(a);

    _mm_storel_epi64((__m128i *)(void *)p, _mm_packs_epi16(narrow, narrow));
}

#include "nn/block_rows_template.h"

void block_quantize_avx2(const float *x, size_t x_stride, size_t n, const struct block_rows *ret)
{
    quantize(x, x_stride, n, ret);
}
