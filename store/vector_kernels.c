#include "store/vector_kernels.h"

#include "base/f16.h"

/* ---- portable ---- */

#define LANES 8u /* sums side by side, which a compiler may keep in registers */

static float add_lanes(const float *sums)
{
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) +
           ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

static float f32_portable(const float *q, const float *x, size_t n)
{
    float sums[LANES] = {0};

    for (size_t i = 0; i < n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            sums[j] += q[i + j] * x[i + j];
    return add_lanes(sums);
}

static float f16_portable(const float *q, const uint16_t *x, size_t n)
{
    float sums[LANES] = {0};

    for (size_t i = 0; i < n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            sums[j] += q[i + j] * f16_to_f32(x[i + j]);
    return add_lanes(sums);
}

static float f16_f16_portable(const uint16_t *a, const uint16_t *b, size_t n)
{
    float sums[LANES] = {0};

    for (size_t i = 0; i < n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            sums[j] += f16_to_f32(a[i + j]) * f16_to_f32(b[i + j]);
    return add_lanes(sums);
}

static int32_t i8_portable(const int16_t *q, const int8_t *x, size_t n)
{
    int32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += q[i] * x[i];
    return sum;
}

static int32_t i8_i8_portable(const int8_t *a, const int8_t *b, size_t n)
{
    int32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static float i16_portable(const float *q, const int8_t *high, const int8_t *low, size_t n)
{
    float sums[LANES] = {0};

    for (size_t i = 0; i < n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            sums[j] += q[i + j] * (float)(256 * high[i + j] + low[i + j]);
    return add_lanes(sums);
}

static const struct vector_kernels portable = {
    .name = "portable",
    .f32 = f32_portable,
    .f16 = f16_portable,
    .f16_f16 = f16_f16_portable,
    .i8 = i8_portable,
    .i8_i8 = i8_i8_portable,
    .i16 = i16_portable,
};

#if defined(__x86_64__)
#include <immintrin.h>

/* Without optimisation some intrinsics are macros that convert signs. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"

/* ---- AVX2, FMA, F16C ---- */

#define AVX2 __attribute__((target("avx2,fma,f16c")))

AVX2 static inline float add_256(__m256 a, __m256 b)
{
    __m256 s = _mm256_add_ps(a, b);
    __m128 t = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));

    t = _mm_add_ps(t, _mm_movehl_ps(t, t));
    return _mm_cvtss_f32(_mm_add_ss(t, _mm_shuffle_ps(t, t, 1)));
}

AVX2 static inline int32_t add_256i(__m256i a, __m256i b)
{
    __m256i s = _mm256_add_epi32(a, b);
    __m128i t = _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));

    t = _mm_add_epi32(t, _mm_shuffle_epi32(t, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(t, _mm_shuffle_epi32(t, 0xB1)));
}

AVX2 static inline __m256 half_256(const uint16_t *x)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)x));
}

AVX2 static inline __m256i wide_256(const int8_t *x)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)x));
}

AVX2 static float f32_avx2(const float *q, const float *x, size_t n)
{
    __m256 s[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                   _mm256_setzero_ps()};

    for (size_t i = 0; i < n; i += 32)
        for (size_t j = 0; j < 4; j++)
            s[j] = _mm256_fmadd_ps(_mm256_loadu_ps(q + i + 8 * j), _mm256_loadu_ps(x + i + 8 * j),
                                   s[j]);
    return add_256(_mm256_add_ps(s[0], s[1]), _mm256_add_ps(s[2], s[3]));
}

AVX2 static float f16_avx2(const float *q, const uint16_t *x, size_t n)
{
    __m256 s[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                   _mm256_setzero_ps()};

    for (size_t i = 0; i < n; i += 32)
        for (size_t j = 0; j < 4; j++)
            s[j] = _mm256_fmadd_ps(_mm256_loadu_ps(q + i + 8 * j), half_256(x + i + 8 * j), s[j]);
    return add_256(_mm256_add_ps(s[0], s[1]), _mm256_add_ps(s[2], s[3]));
}

AVX2 static float f16_f16_avx2(const uint16_t *a, const uint16_t *b, size_t n)
{
    __m256 s[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                   _mm256_setzero_ps()};

    for (size_t i = 0; i < n; i += 32)
        for (size_t j = 0; j < 4; j++)
            s[j] = _mm256_fmadd_ps(half_256(a + i + 8 * j), half_256(b + i + 8 * j), s[j]);
    return add_256(_mm256_add_ps(s[0], s[1]), _mm256_add_ps(s[2], s[3]));
}

AVX2 static int32_t i8_avx2(const int16_t *q, const int8_t *x, size_t n)
{
    __m256i s0 = _mm256_setzero_si256();
    __m256i s1 = s0;

    for (size_t i = 0; i < n; i += 32) {
        __m256i q0 = _mm256_loadu_si256((const __m256i *)(const void *)(q + i));
        __m256i q1 = _mm256_loadu_si256((const __m256i *)(const void *)(q + i + 16));

        s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(q0, wide_256(x + i)));
        s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(q1, wide_256(x + i + 16)));
    }
    return add_256i(s0, s1);
}

AVX2 static int32_t i8_i8_avx2(const int8_t *a, const int8_t *b, size_t n)
{
    __m256i s0 = _mm256_setzero_si256();
    __m256i s1 = s0;

    for (size_t i = 0; i < n; i += 32) {
        s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(wide_256(a + i), wide_256(b + i)));
        s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(wide_256(a + i + 16), wide_256(b + i + 16)));
    }
    return add_256i(s0, s1);
}

AVX2 static float i16_avx2(const float *q, const int8_t *high, const int8_t *low, size_t n)
{
    __m256 s[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};

    for (size_t i = 0; i < n; i += 16) {
        for (size_t j = 0; j < 2; j++) {
            __m256i h = _mm256_cvtepi8_epi32(
                _mm_loadl_epi64((const __m128i *)(const void *)(high + i + 8 * j)));
            __m256i l = _mm256_cvtepi8_epi32(
                _mm_loadl_epi64((const __m128i *)(const void *)(low + i + 8 * j)));
            __m256i x = _mm256_add_epi32(_mm256_slli_epi32(h, 8), l);

            s[j] = _mm256_fmadd_ps(_mm256_loadu_ps(q + i + 8 * j), _mm256_cvtepi32_ps(x), s[j]);
        }
    }
    return add_256(s[0], s[1]);
}

static const struct vector_kernels avx2 = {
    .name = "avx2",
    .f32 = f32_avx2,
    .f16 = f16_avx2,
    .f16_f16 = f16_f16_avx2,
    .i8 = i8_avx2,
    .i8_i8 = i8_i8_avx2,
    .i16 = i16_avx2,
};

/* ---- AVX-512 F and BW ---- */

#define AVX512 __attribute__((target("avx512f,avx512bw")))

AVX512 static inline __m512 half_512(const uint16_t *x)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)x));
}

AVX512 static inline __m512i wide_512(const int8_t *x)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)x));
}

AVX512 static inline float add_512(const __m512 *s)
{
    return _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3])));
}

AVX512 static float f32_avx512(const float *q, const float *x, size_t n)
{
    __m512 s[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                   _mm512_setzero_ps()};

    for (size_t i = 0; i < n; i += 64)
        for (size_t j = 0; j < 4; j++)
            s[j] = _mm512_fmadd_ps(_mm512_loadu_ps(q + i + 16 * j), _mm512_loadu_ps(x + i + 16 * j),
                                   s[j]);
    return add_512(s);
}

AVX512 static float f16_avx512(const float *q, const uint16_t *x, size_t n)
{
    __m512 s[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                   _mm512_setzero_ps()};

    for (size_t i = 0; i < n; i += 64)
        for (size_t j = 0; j < 4; j++)
            s[j] = _mm512_fmadd_ps(_mm512_loadu_ps(q + i + 16 * j), half_512(x + i + 16 * j), s[j]);
    return add_512(s);
}

AVX512 static float f16_f16_avx512(const uint16_t *a, const uint16_t *b, size_t n)
{
    __m512 s[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                   _mm512_setzero_ps()};

    for (size_t i = 0; i < n; i += 64)
        for (size_t j = 0; j < 4; j++)
            s[j] = _mm512_fmadd_ps(half_512(a + i + 16 * j), half_512(b + i + 16 * j), s[j]);
    return add_512(s);
}

AVX512 static int32_t i8_avx512(const int16_t *q, const int8_t *x, size_t n)
{
    __m512i s0 = _mm512_setzero_si512();
    __m512i s1 = s0;

    for (size_t i = 0; i < n; i += 64) {
        __m512i q0 = _mm512_loadu_si512(q + i);
        __m512i q1 = _mm512_loadu_si512(q + i + 32);

        s0 = _mm512_add_epi32(s0, _mm512_madd_epi16(q0, wide_512(x + i)));
        s1 = _mm512_add_epi32(s1, _mm512_madd_epi16(q1, wide_512(x + i + 32)));
    }
    return _mm512_reduce_add_epi32(_mm512_add_epi32(s0, s1));
}

AVX512 static int32_t i8_i8_avx512(const int8_t *a, const int8_t *b, size_t n)
{
    __m512i s0 = _mm512_setzero_si512();
    __m512i s1 = s0;

    for (size_t i = 0; i < n; i += 64) {
        s0 = _mm512_add_epi32(s0, _mm512_madd_epi16(wide_512(a + i), wide_512(b + i)));
        s1 = _mm512_add_epi32(s1, _mm512_madd_epi16(wide_512(a + i + 32), wide_512(b + i + 32)));
    }
    return _mm512_reduce_add_epi32(_mm512_add_epi32(s0, s1));
}

AVX512 static float i16_avx512(const float *q, const int8_t *high, const int8_t *low, size_t n)
{
    __m512 s[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                   _mm512_setzero_ps()};

    for (size_t i = 0; i < n; i += 64) {
        for (size_t j = 0; j < 4; j++) {
            __m512i h = _mm512_cvtepi8_epi32(
                _mm_loadu_si128((const __m128i *)(const void *)(high + i + 16 * j)));
            __m512i l = _mm512_cvtepi8_epi32(
                _mm_loadu_si128((const __m128i *)(const void *)(low + i + 16 * j)));
            __m512i x = _mm512_add_epi32(_mm512_slli_epi32(h, 8), l);

            s[j] = _mm512_fmadd_ps(_mm512_loadu_ps(q + i + 16 * j), _mm512_cvtepi32_ps(x), s[j]);
        }
    }
    return add_512(s);
}

static const struct vector_kernels avx512 = {
    .name = "avx512",
    .f32 = f32_avx512,
    .f16 = f16_avx512,
    .f16_f16 = f16_f16_avx512,
    .i8 = i8_avx512,
    .i8_i8 = i8_i8_avx512,
    .i16 = i16_avx512,
};

#pragma GCC diagnostic pop

#endif

const struct vector_kernels *vector_kernels_variant(size_t i)
{
    const struct vector_kernels *able[4] = {NULL};
    size_t n = 0;

#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
        able[n++] = &avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        able[n++] = &avx2; /* F16C is older than AVX2; clang 14 cannot ask for it */
#endif
    able[n++] = &portable;
    return i < n ? able[i] : NULL;
}
