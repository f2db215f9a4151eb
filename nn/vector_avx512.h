/* nn/vector_avx512.h - 16 floats at a time. Included by files compiled for AVX-512 F, BW, DQ, VL;
 * the same names as nn/vector_avx2.h and nn/vector_scalar.h. */
#ifndef RAG_NN_VECTOR_AVX512_H
#define RAG_NN_VECTOR_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define VF_LANES 16
#define VF_TILE  8 /* x 3 vectors of sums, and 4 more, fit the registers */

typedef __m512 vf;
typedef __m512i vi;

static inline __mmask16 vf_mask(size_t n)
{
    return (__mmask16)(n >= 16 ? 0xFFFFu : (1u << n) - 1u);
}

static inline vf vf_set1(float x)
{
    return _mm512_set1_ps(x);
}

static inline vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void vf_store(float *p, vf x)
{
    _mm512_storeu_ps(p, x);
}

/* The first n floats, the other lanes 0; nothing beyond them is touched. */
static inline vf vf_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(vf_mask(n), p);
}

static inline void vf_store_n(float *p, size_t n, vf x)
{
    _mm512_mask_storeu_ps(p, vf_mask(n), x);
}

/* 16 numbers of half precision; rounded to nearest, ties to even. */
static inline vf vf_load_half(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

static inline void vf_store_half(uint16_t *p, vf x)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}

static inline vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}

static inline vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}

static inline vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}

static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* c - a b */
static inline vf vf_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

/* NaN in b goes through. */
static inline vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}

static inline vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

static inline vf vf_abs(vf a)
{
    return _mm512_abs_ps(a);
}

static inline vf vf_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a 2^n, n integral */
static inline vf vf_scale(vf a, vf n)
{
    return _mm512_scalef_ps(a, n);
}

static inline float vf_sum(vf a)
{
    return _mm512_reduce_add_ps(a);
}

static inline float vf_largest(vf a)
{
    return _mm512_reduce_max_ps(a);
}

static inline vf vf_from_int(const int32_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_loadu_si512(p));
}

/* Largest of the magnitudes, compared as integers: infinities and NaNs are above all numbers. */
static inline vi vi_zero(void)
{
    return _mm512_setzero_si512();
}

static inline vi vi_larger_magnitude(vi so_far, vf x)
{
    return _mm512_max_epi32(
        so_far, _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff)));
}

static inline uint32_t vi_largest(vi a)
{
    return (uint32_t)_mm512_reduce_max_epi32(a);
}

static inline vi vi_from_vf(vf a)
{
    return _mm512_cvtps_epi32(a);
}

/* Lanes as q + 128, or as 16 bits. */
static inline void vi_store_unsigned(uint8_t *p, vi a)
{
    _mm_storeu_si128((__m128i *)(void *)p,
                     _mm_xor_si128(_mm512_cvtepi32_epi8(a), _mm_set1_epi8((char)-128)));
}

static inline void vi_store_wide(int16_t *p, vi a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(a));
}

/* Rows to columns of a 16 x 16 block. */
static inline void vf_transpose(vf row[VF_LANES])
{
    vf t[VF_LANES];

    for (size_t i = 0; i < 16; i += 2) { /* pairs of floats */
        t[i] = _mm512_unpacklo_ps(row[i], row[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(row[i], row[i + 1]);
    }
    for (size_t i = 0; i < 16; i += 4) /* fours */
        for (size_t j = 0; j < 2; j++) {
            __m512d a = _mm512_castps_pd(t[i + j]);
            __m512d b = _mm512_castps_pd(t[i + j + 2]);

            row[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            row[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    for (size_t i = 0; i < 16; i += 8) /* eights: quarters 0, 2 and 1, 3 */
        for (size_t j = 0; j < 4; j++) {
            t[i + j] = _mm512_shuffle_f32x4(row[i + j], row[i + j + 4], 0x88);
            t[i + j + 4] = _mm512_shuffle_f32x4(row[i + j], row[i + j + 4], 0xDD);
        }
    for (size_t j = 0; j < 8; j++) {
        row[j] = _mm512_shuffle_f32x4(t[j], t[j + 8], 0x88);
        row[j + 8] = _mm512_shuffle_f32x4(t[j], t[j + 8], 0xDD);
    }
}

#endif
