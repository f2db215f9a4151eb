/* nn/row_kernels.h - what happens to a row between the matrix products.
 *
 * Rows are float32, row i at x + i * stride (floats). Each function treats each row by itself, so
 * the result of a row does not depend on the others. In place (y == x, same stride) is allowed
 * everywhere. NaN and infinities go through as the formula has them. */
#ifndef RAG_NN_ROW_KERNELS_H
#define RAG_NN_ROW_KERNELS_H

#include <stddef.h>

#include "nn/kernels.h"
#include "nn/linear.h"
#include "nn/q8_rows.h"

struct layer_norm {
    const float *gamma; /* [width] */
    const float *beta;  /* [width] */
    size_t width;
    float epsilon;
};

/* y = (x - mean) / sqrt(variance + epsilon) * gamma + beta; two passes over the row (mean, then
 * squares of differences). When q8 is not NULL, the rows y are also quantised into its rows 0..n-1.
 * (Ba, Kiros, Hinton 2016, section 3) */
void row_layer_norm(const struct kernels *k, const struct layer_norm *norm, const float *x,
                    size_t x_stride, size_t n, float *y, size_t y_stride, const struct q8_rows *q8);

/* y += x */
void row_add(const struct kernels *k, const float *x, size_t n,
             float *y); /* n floats, contiguous */

/* y = f(y) on n contiguous floats. GELU by erf within 2e-7 of the true value for |x| <= 10 (beyond
 * relative 1e-6). */
void row_activate(const struct kernels *k, enum linear_activation f, size_t n, float *y);

/* y = exp(x - max x) / sum over n contiguous floats; n > 0. */
void row_softmax(const struct kernels *k, size_t n, float *y);

#endif
