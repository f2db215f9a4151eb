/* base/f16.h - IEEE 754 binary16 as it is stored: embeddings, weights of models.
 *
 *     value = (-1)^s * 2^(e-15) * (1 + m / 1024),  e 5 bits, m 10 bits; e = 0: subnormal
 *
 * Pure functions without a call: whoever converts much has a kernel of its own and compares it
 * with these. Source: IEEE 754-2008, 3.6 and 4.3.1. */
#ifndef RAG_BASE_F16_H
#define RAG_BASE_F16_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Exact. Without a branch, so that loops of it become vectors: the bits moved to their places in
 * f32 are the value times 2^-112, subnormal or not; what was infinity or NaN stays one. */
static inline float f16_to_f32(uint16_t half)
{
    uint32_t bits = (uint32_t)(half & 0x7FFFu) << 13;
    uint32_t special = bits >= 0x1Fu << 23 ? 0x7F800000u : 0;
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    float value;

    memcpy(&value, &bits, sizeof value);
    value *= 0x1p112f;
    memcpy(&bits, &value, sizeof bits);
    bits |= special | sign;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Round to nearest, ties to even; from 65520 on infinity; NaN stays NaN. */
static inline uint16_t f16_from_f32(float value)
{
    uint32_t bits;
    uint32_t sign;
    uint32_t magnitude;

    memcpy(&bits, &value, sizeof bits);
    sign = bits >> 16 & 0x8000u;
    magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00u);
    if (magnitude >= 0x477FF000u) /* 65520: halfway to what would follow the largest */
        return (uint16_t)(sign | 0x7C00u);
    if (magnitude >= 0x38800000u) { /* 2^-14: normal; a carry of the rounding grows the exponent */
        uint32_t odd = magnitude >> 13 & 1;

        return (uint16_t)(sign | (magnitude - (112u << 23) + 0xFFF + odd) >> 13);
    }
    if (magnitude < 0x33000000u) /* below 2^-25, half of the smallest */
        return (uint16_t)sign;
    {
        /* in units of 2^-24: the mantissa with its leading one, shifted to where that unit is */
        uint32_t shift = 126 - (magnitude >> 23);
        uint32_t mantissa = (magnitude & 0x7FFFFFu) | 0x800000u;
        uint32_t rest = mantissa & ((1u << shift) - 1);
        uint32_t half = 1u << (shift - 1);
        uint32_t whole = mantissa >> shift;

        return (uint16_t)(sign | (whole + (rest > half || (rest == half && (whole & 1)))));
    }
}

static inline void f16_encode(const float *values, size_t n, uint16_t *ret)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = f16_from_f32(values[i]);
}

static inline void f16_decode(const uint16_t *halves, size_t n, float *ret)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = f16_to_f32(halves[i]);
}

#endif
