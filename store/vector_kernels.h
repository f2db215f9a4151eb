/* store/vector_kernels.h - inner products of a query with stored rows.
 *
 * Rows and queries are padded with zeros to a multiple of VECTOR_PAD elements, so that no kernel
 * has a tail; n below is the padded count and rows may begin anywhere. Integer kernels are exact
 * and equal in every variant; float kernels differ between variants in the order of addition
 * only (about n * 2^-24 of the sum of |products|). */
#ifndef RAG_STORE_VECTOR_KERNELS_H
#define RAG_STORE_VECTOR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define VECTOR_PAD 64u

/* A query's integer copy: |q| <= VECTOR_QUERY_MAX, a row's |x| <= 127, so that n up to 8192 fits
 * in 32 bits: 2047 * 127 * 8192 < 2^31. */
#define VECTOR_QUERY_MAX 2047

struct vector_kernels {
    const char *name;
    float (*f32)(const float *q, const float *x, size_t n);           /* sum q[i] x[i] */
    float (*f16)(const float *q, const uint16_t *x, size_t n);        /* x: IEEE binary16 */
    float (*f16_f16)(const uint16_t *a, const uint16_t *b, size_t n); /* of two rows */
    int32_t (*i8)(const int16_t *q, const int8_t *x, size_t n);
    int32_t (*i8_i8)(const int8_t *a, const int8_t *b, size_t n);
    float (*i16)(const float *q, const int8_t *high, const int8_t *low,
                 size_t n); /* sum q[i] (256 high[i] + low[i]) */
};

/* The variants that this CPU runs, best first; NULL behind the last (the portable one). */
const struct vector_kernels *vector_kernels_variant(size_t i);

#endif
