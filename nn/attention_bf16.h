/* nn/attention_bf16.h - what attention in bfloat16 has in common, over rows of one text and over
 * pages of keys. Included by files compiled for AVX-512 with BF16. */
#ifndef RAG_NN_ATTENTION_BF16_H
#define RAG_NN_ATTENTION_BF16_H

#include <stddef.h>

#include "nn/vector_avx512.h"

#define LOG2_E 1.44269504f /* what queries carry, beside their scale */

/* 32 floats to bfloat16, those beyond n are 0. */
static inline __m512i to_bf16(const float *x, size_t n, vf factor)
{
    vf low = vf_mul(vf_load_n(x, n), factor);
    vf high = n > 16 ? vf_mul(vf_load_n(x + 16, n - 16), factor) : vf_set1(0);

    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* 2^r for 0 <= r < 1 in ascending powers; minimax in relative error */
#define EXP2_0 0.99992522f
#define EXP2_1 0.695833509f
#define EXP2_2 0.226067247f
#define EXP2_3 7.80244584e-2f

/* 2^x for x up to 127 within 1e-4 of it, a tenth of what bfloat16 keeps; 0 below -149. scalef takes
 * the floor of its exponent, so that only the rest of x is computed here. */
static inline vf exp2_rough(vf x)
{
    vf r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF);
    vf y = vf_fma(vf_set1(EXP2_3), r, vf_set1(EXP2_2));

    y = vf_fma(y, r, vf_set1(EXP2_1));
    y = vf_fma(y, r, vf_set1(EXP2_0));
    return _mm512_scalef_ps(y, x);
}

/* The largest of each of 16 vectors, in the lanes of one. */
static inline vf largest_of_rows(vf row[16])
{
    vf_transpose(row);
    for (size_t step = 8; step > 0; step /= 2)
        for (size_t i = 0; i < step; i++)
            row[i] = vf_max(row[i], row[i + step]);
    return row[0];
}

#endif
