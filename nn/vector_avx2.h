/* nn/vector_avx2.h - 8 floats at a time. Included by files compiled for AVX2, FMA and F16C; the
 * same names as nn/vector_avx512.h and nn/vector_scalar.h. */
#ifndef RAG_NN_VECTOR_AVX2_H
#define RAG_NN_VECTOR_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define VF_LANES 8
#define VF_TILE  4 /* x 3 vectors of sums, and 4 more, fit the registers */

typedef __m256 vf;
typedef __m256i vi;

static inline __m256i vf_mask(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);

    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n >= 8 ? 8 : (int)n), lane);
}

static inline vf vf_set1(float x)
{
    return _mm256_set1_ps(x);
}

static inline vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void vf_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x);
}

/* The first n floats, the other lanes 0; nothing beyond them is touched. */
static inline vf vf_load_n(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, vf_mask(n));
}

static inline void vf_store_n(float *p, size_t n, vf x)
{
    _mm256_maskstore_ps(p, vf_mask(n), x);
}

/* 8 numbers of half precision; rounded to nearest, ties to even. */
static inline vf vf_load_half(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

static inline void vf_store_half(uint16_t *p, vf x)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}

static inline vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}

static inline vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}

static inline vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}

static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* c - a b */
static inline vf vf_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}

/* NaN in b goes through. */
static inline vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}

static inline vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}

static inline vf vf_abs(vf a)
{
    return _mm256_and_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff)));
}

static inline vf vf_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a 2^n, n integral in -126 .. 127 (or NaN: then a is) */
static inline vf vf_scale(vf a, vf n)
{
    __m256i bits =
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);

    return _mm256_mul_ps(a, _mm256_castsi256_ps(bits));
}

static inline float vf_sum(vf a)
{
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    x = _mm_add_ss(x, _mm_movehdup_ps(x));
    return _mm_cvtss_f32(x);
}

static inline float vf_largest(vf a)
{
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    x = _mm_max_ss(x, _mm_movehdup_ps(x));
    return _mm_cvtss_f32(x);
}

static inline vf vf_from_int(const int32_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

/* Largest of the magnitudes, compared as integers: infinities and NaNs are above all numbers. */
static inline vi vi_zero(void)
{
    return _mm256_setzero_si256();
}

static inline vi vi_larger_magnitude(vi so_far, vf x)
{
    return _mm256_max_epi32(so_far, _mm256_castps_si256(vf_abs(x)));
}

static inline uint32_t vi_largest(vi a)
{
    __m128i x = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));

    x = _mm_max_epi32(x, _mm_shuffle_epi32(x, 0x4E));
    x = _mm_max_epi32(x, _mm_shuffle_epi32(x, 0xB1));
    return (uint32_t)_mm_cvtsi128_si32(x);
}

static inline vi vi_from_vf(vf a)
{
    return _mm256_cvtps_epi32(a);
}

/* Lanes as q + 128, or as 16 bits. */
static inline __m128i vi_narrow(vi a)
{
    return _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
}

static inline void vi_store_unsigned(uint8_t *p, vi a)
{
    __m128i narrow = vi_narrow(a);

    _mm_storel_epi64((__m128i *)(void *)p,
                     _mm_xor_si128(_mm_packs_epi16(narrow, narrow), _mm_set1_epi8((char)-128)));
}

static inline void vi_store_wide(int16_t *p, vi a)
{
    _mm_storeu_si128((__m128i *)(void *)p, vi_narrow(a));
}

/* Rows to columns of an 8 x 8 block. */
static inline void vf_transpose(vf row[VF_LANES])
{
    vf t[VF_LANES];

    for (size_t i = 0; i < 8; i += 2) { /* pairs of floats */
        t[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
    }
    for (size_t i = 0; i < 8; i += 4) /* fours */
        for (size_t j = 0; j < 2; j++) {
            __m256d a = _mm256_castps_pd(t[i + j]);
            __m256d b = _mm256_castps_pd(t[i + j + 2]);

            row[i + 2 * j] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
            row[i + 2 * j + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
        }
    for (size_t j = 0; j < 4; j++) { /* halves */
        t[j] = _mm256_permute2f128_ps(row[j], row[j + 4], 0x20);
        t[j + 4] = _mm256_permute2f128_ps(row[j], row[j + 4], 0x31);
    }
    for (size_t j = 0; j < 8; j++)
        row[j] = t[j];
}

#endif
