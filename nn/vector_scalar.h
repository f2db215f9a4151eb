/* nn/vector_scalar.h - one float at a time, in plain C and libm: the portable twin of
 * nn/vector_avx2.h, nn/vector_avx512.h and nn/vector_math.h. */
#ifndef RAG_NN_VECTOR_SCALAR_H
#define RAG_NN_VECTOR_SCALAR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/f16.h"

#define VF_LANES 1
#define VF_TILE  4

typedef float vf;
typedef uint32_t vi; /* bits of a magnitude, or an int32_t */

static inline vf vf_set1(float x)
{
    return x;
}

static inline vf vf_load(const float *p)
{
    return *p;
}

static inline void vf_store(float *p, vf x)
{
    *p = x;
}

/* The first n floats, the other lanes 0; nothing beyond them is touched. */
static inline vf vf_load_n(const float *p, size_t n)
{
    return n ? *p : 0.0f;
}

static inline void vf_store_n(float *p, size_t n, vf x)
{
    if (n)
        *p = x;
}

static inline vf vf_load_half(const uint16_t *p)
{
    return f16_to_f32(*p);
}

static inline void vf_store_half(uint16_t *p, vf x)
{
    *p = f16_from_f32(x);
}

static inline vf vf_add(vf a, vf b)
{
    return a + b;
}

static inline vf vf_sub(vf a, vf b)
{
    return a - b;
}

static inline vf vf_mul(vf a, vf b)
{
    return a * b;
}

static inline vf vf_div(vf a, vf b)
{
    return a / b;
}

static inline vf vf_fma(vf a, vf b, vf c)
{
    return a * b + c;
}

/* c - a b */
static inline vf vf_fnma(vf a, vf b, vf c)
{
    return c - a * b;
}

/* NaN in b goes through. */
static inline vf vf_min(vf a, vf b)
{
    return a < b ? a : b;
}

static inline vf vf_max(vf a, vf b)
{
    return a > b ? a : b;
}

static inline vf vf_abs(vf a)
{
    return fabsf(a);
}

static inline float vf_sum(vf a)
{
    return a;
}

static inline float vf_largest(vf a)
{
    return a;
}

static inline vf vf_from_int(const int32_t *p)
{
    return (float)*p;
}

/* Largest of the magnitudes, compared as integers: infinities and NaNs are above all numbers. */
static inline vi vi_zero(void)
{
    return 0;
}

static inline vi vi_larger_magnitude(vi so_far, vf x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    bits &= 0x7fffffffu;
    return bits > so_far ? bits : so_far;
}

static inline uint32_t vi_largest(vi a)
{
    return a;
}

static inline vi vi_from_vf(vf a)
{
    return (uint32_t)(int32_t)lrintf(a);
}

/* A lane as q + 128, or as 16 bits. */
static inline void vi_store_unsigned(uint8_t *p, vi a)
{
    *p = (uint8_t)(a + 128u);
}

static inline void vi_store_wide(int16_t *p, vi a)
{
    *p = (int16_t)(int32_t)a;
}

static inline void vf_transpose(vf row[VF_LANES])
{
    (void)row; /* 1 x 1 */
}

/* ---- nn/vector_math.h ---- */

/* Beyond -87 and 88 the value there, as the other paths have it. NaN stays NaN. */
static inline vf vf_exp(vf x)
{
    return expf(vf_max(-87.0f, vf_min(88.0f, x)));
}

static inline vf vf_tanh(vf x)
{
    return tanhf(x);
}

static inline vf vf_gelu(vf x)
{
    return 0.5f * x * erfcf(x * -0.707106781f);
}

static inline vf vf_gelu_tanh(vf x)
{
    float u = 0.797884561f * (x + 0.044715f * x * x * x);

    return 0.5f * x * (1.0f + tanhf(u));
}

static inline vf vf_relu(vf x)
{
    return vf_max(0.0f, x);
}

#include "nn/vector_rough.h"

#endif
