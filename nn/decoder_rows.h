/* nn/decoder_rows.h - what happens to a decoder's rows between the matrix products.
 *
 * float32 rows, each by itself (see nn/row_kernels.h for the conventions): the result of a row does
 * not depend on the others. Sums run in a fixed order on each path; paths differ in the last bits.
 */
#ifndef RAG_NN_DECODER_ROWS_H
#define RAG_NN_DECODER_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "nn/kernels.h"

/* y = x / sqrt(mean(x^2) + epsilon) * weight; y may be x. (Zhang and Sennrich 2019) */
void row_rms_norm(const struct kernels *k, const float *weight, size_t width, float epsilon,
                  const float *x, size_t x_stride, size_t n, float *y, size_t y_stride);

/* Rotation of the heads of a row by its position: pairs (i, i + d/2), or (2i, 2i + 1) when
 * interleaved. cos_sin: [d/2][2] of this position (rope_angles()). x: n_heads heads of d, in place.
 * (Su et al. 2021) */
void row_rope(const struct kernels *k, const float *cos_sin, size_t head_dim, bool interleaved,
              size_t n_heads, float *x);
/* cos and sin of position * theta^(-2i/d) / divisors[i], in double precision first. */
void rope_angles(size_t position, size_t head_dim, float theta, const float *divisors,
                 float *ret_cos_sin);

/* y = act(gate) * up on n contiguous floats; act is silu, x / (1 + e^-x), or gelu in its tanh form;
 * y may be gate or up. (Shazeer 2020) */
void row_gated(const struct kernels *k, bool gelu, const float *gate, const float *up, size_t n,
               float *y);

#endif
