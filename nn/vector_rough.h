/* nn/vector_rough.h - GELU for what is rounded to 8 bits next, on the vectors of the header that
 * includes this one; on all paths the same, since libm's erfc would take most of a layer's time. */
#ifndef RAG_NN_VECTOR_ROUGH_H
#define RAG_NN_VECTOR_ROUGH_H

/* x Phi(x) within 1.2e-4, for values that are rounded to 8 bits next: a Q(a) is one bump, fitted
 * by a polynomial of degree 8 on 0 <= a <= 4 (1.1e-4) and constant beyond. */
static inline vf vf_gelu_rough(vf x)
{
    vf a = vf_min(vf_set1(4.0f), vf_abs(x));
    vf r = vf_set1(5.72730384e-5f);

    r = vf_fma(r, a, vf_set1(-1.58331884e-3f));
    r = vf_fma(r, a, vf_set1(1.62297192e-2f));
    r = vf_fma(r, a, vf_set1(-7.97592329e-2f));
    r = vf_fma(r, a, vf_set1(0.183649398f));
    r = vf_fma(r, a, vf_set1(-9.01064648e-2f));
    r = vf_fma(r, a, vf_set1(-0.36526418f));
    r = vf_fma(r, a, vf_set1(0.495218439f));
    r = vf_fma(r, a, vf_set1(1.11304561e-4f));
    return vf_sub(vf_max(vf_set1(0.0f), x), r);
}

#endif
