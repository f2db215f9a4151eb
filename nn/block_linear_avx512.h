/* nn/block_linear_avx512.h - what nn/block_linear_template.h asks for, with 16 outputs a vector.
 * BL_VNNI chooses the products. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define BL_LANES    16
#define BL_ROWS_MAX 8

typedef __m512i bl_i;
typedef __m512 bl_f;

static inline bl_i bl_zero(void)
{
    return _mm512_setzero_si512();
}

static inline bl_f bl_zerof(void)
{
    return _mm512_setzero_ps();
}

static inline bl_i bl_load(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}

static inline bl_i bl_every32(const uint8_t *p)
{
    int32_t value;

    memcpy(&value, p, sizeof value);
    return _mm512_set1_epi32(value);
}

static inline bl_f bl_everyf(const uint8_t *p)
{
    float value;

    memcpy(&value, p, sizeof value);
    return _mm512_set1_ps(value);
}

static inline bl_i bl_every8(char value)
{
    return _mm512_set1_epi8(value);
}

static inline bl_i bl_every16(int16_t value)
{
    return _mm512_set1_epi16(value);
}

static inline bl_i bl_and(bl_i a, bl_i b)
{
    return _mm512_and_si512(a, b);
}

static inline bl_i bl_xor(bl_i a, bl_i b)
{
    return _mm512_xor_si512(a, b);
}

/* a & mask | b */
static inline bl_i bl_and_or(bl_i a, bl_i mask, bl_i b)
{
    return _mm512_ternarylogic_epi32(a, mask, b, 0xEA);
}

static inline bl_i bl_left16(bl_i a, int n)
{
    return _mm512_slli_epi16(a, (bl_count)n);
}

static inline bl_i bl_right16(bl_i a, int n)
{
    return _mm512_srli_epi16(a, (bl_count)n);
}

/* 32 signed bytes to 16 bits each: pairs of scales. */
static inline bl_i bl_wide8(const uint8_t *p)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

static inline bl_i bl_times16(bl_i a, int factor)
{
    return _mm512_mullo_epi16(a, _mm512_set1_epi16((int16_t)factor));
}

/* f16 to float */
static inline bl_f bl_half(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

static inline bl_f bl_float(bl_i a)
{
    return _mm512_cvtepi32_ps(a);
}

static inline bl_f bl_mul(bl_f a, bl_f b)
{
    return _mm512_mul_ps(a, b);
}

static inline bl_f bl_fma(bl_f a, bl_f b, bl_f c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* c - a b */
static inline bl_f bl_fnma(bl_f a, bl_f b, bl_f c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

static inline bl_f bl_loadf(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline __mmask16 bl_mask(size_t n)
{
    return n >= 16 ? (__mmask16)0xFFFF : (__mmask16)((1u << n) - 1);
}

/* The first n; nothing beyond them is touched. */
static inline bl_f bl_loadf_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(bl_mask(n), p);
}

static inline void bl_storef_n(float *p, size_t n, bl_f a)
{
    _mm512_mask_storeu_ps(p, bl_mask(n), a);
}

#if BL_VNNI

static inline bl_i bl_dot(bl_i sum, bl_i w, bl_i q)
{
    return _mm512_dpbusd_epi32(sum, w, q);
}

static inline bl_i bl_add_pairs(bl_i sum, bl_i a, bl_i b)
{
    return _mm512_dpwssd_epi32(sum, a, b);
}

/* Sums lie in the low halves of 32 bits; so do the scales, above them is 0. */
static inline bl_i bl_first_scale(bl_i pair)
{
    return _mm512_and_si512(pair, _mm512_set1_epi32(0xFFFF));
}

static inline bl_i bl_second_scale(bl_i pair)
{
    return _mm512_srli_epi32(pair, 16);
}

#else

/* Sums of two products in 16 bits. */
static inline bl_i bl_dot(bl_i sum, bl_i w, bl_i q)
{
    return _mm512_add_epi16(sum, _mm512_maddubs_epi16(w, q));
}

static inline bl_i bl_dot_signed(bl_i w, bl_i q)
{
    bl_i turned = _mm512_mask_sub_epi8(q, _mm512_movepi8_mask(w), _mm512_setzero_si512(), q);

    return _mm512_maddubs_epi16(_mm512_abs_epi8(w), turned);
}

static inline bl_i bl_add_pairs(bl_i sum, bl_i a, bl_i b)
{
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
}

/* Both halves of 32 bits hold a sum: the scale twice. */
static inline bl_i bl_first_scale(bl_i pair)
{
    return _mm512_or_si512(_mm512_and_si512(pair, _mm512_set1_epi32(0xFFFF)),
                           _mm512_slli_epi32(pair, 16));
}

static inline bl_i bl_second_scale(bl_i pair)
{
    return _mm512_or_si512(_mm512_srli_epi32(pair, 16),
                           _mm512_andnot_si512(_mm512_set1_epi32(0xFFFF), pair));
}

#endif

static inline bl_i bl_add_scaled(bl_i sum, bl_i acc, bl_i scale)
{
    return bl_add_pairs(sum, acc, scale);
}
