/* nn/vector_math.h - exp, tanh and GELU on the vectors of the header included before it. */
#ifndef RAG_NN_VECTOR_MATH_H
#define RAG_NN_VECTOR_MATH_H

#include "nn/vector_rough.h"

/* exp(x) within 2 ulp for -87 <= x <= 88; beyond, the value at the bound. x = n ln 2 + r, a
 * polynomial of degree 6 in r (minimax in relative error, 1.9e-9), times 2^n. NaN stays NaN. */
static inline vf vf_exp(vf x)
{
    vf n;
    vf r;
    vf y;

    x = vf_max(vf_set1(-87.0f), vf_min(vf_set1(88.0f), x));
    n = vf_round(vf_mul(x, vf_set1(1.44269504f)));
    r = vf_fnma(n, vf_set1(0.693145752f), x); /* ln 2 in two parts; n times the first is exact */
    r = vf_fnma(n, vf_set1(1.42860677e-6f), r);
    y = vf_set1(1.38368342e-3f);
    y = vf_fma(y, r, vf_set1(8.37482207e-3f));
    y = vf_fma(y, r, vf_set1(4.16682261e-2f));
    y = vf_fma(y, r, vf_set1(0.166664201f));
    y = vf_fma(y, r, vf_set1(0.499999921f));
    y = vf_fma(y, r, vf_set1(1.00000004f));
    y = vf_fma(y, r, vf_set1(1.0f));
    return vf_scale(y, n);
}

/* tanh(x) = 1 - 2 / (exp(2x) + 1), within 2e-7 */
static inline vf vf_tanh(vf x)
{
    vf e = vf_exp(vf_add(x, x));

    return vf_sub(vf_set1(1.0f), vf_div(vf_set1(2.0f), vf_add(e, vf_set1(1.0f))));
}

/* x Phi(x) = max(x, 0) - a Q(a), a = |x|, Q(a) = exp(-a^2 / 2) R(t), t = 1 / (1 + .3 a); R of
 * degree 8, minimax on 0 <= a <= 14 (1.3e-8). */
static inline vf vf_gelu(vf x)
{
    vf a = vf_min(vf_set1(13.0f), vf_abs(x)); /* Q(13) is 6e-39 */
    vf t = vf_div(vf_set1(1.0f), vf_fma(a, vf_set1(0.3f), vf_set1(1.0f)));
    vf r = vf_set1(3.62373375e-2f);

    r = vf_fma(r, t, vf_set1(-0.159048129f));
    r = vf_fma(r, t, vf_set1(0.208427691f));
    r = vf_fma(r, t, vf_set1(-5.42228155e-2f));
    r = vf_fma(r, t, vf_set1(0.127802742f));
    r = vf_fma(r, t, vf_set1(0.100649515f));
    r = vf_fma(r, t, vf_set1(0.12048014f));
    r = vf_fma(r, t, vf_set1(0.119676665f));
    r = vf_fma(r, t, vf_set1(-3.13392202e-6f));
    r = vf_mul(r, vf_exp(vf_mul(vf_mul(a, a), vf_set1(-0.5f))));
    return vf_fnma(a, r, vf_max(vf_set1(0.0f), x));
}

/* x/2 (1 + tanh(u)) = x / (1 + exp(-2u)), u = sqrt(2/pi) (x + .044715 x^3) */
static inline vf vf_gelu_tanh(vf x)
{
    vf u = vf_mul(x, vf_fma(vf_mul(x, x), vf_set1(0.0356774081f), vf_set1(0.797884561f)));

    return vf_div(x, vf_add(vf_set1(1.0f), vf_exp(vf_mul(u, vf_set1(-2.0f)))));
}

static inline vf vf_relu(vf x)
{
    return vf_max(vf_set1(0.0f), x);
}

#endif
