/* nn/linear_packed.h - int8 linears as a file has them: rows in order, a scale each. What is made
 * of them for a kernel path, and what an int8 linear computes, is in nn/linear.h. */
#ifndef RAG_NN_LINEAR_PACKED_H
#define RAG_NN_LINEAR_PACKED_H

#include <stddef.h>
#include <stdint.h>

#include "nn/linear.h"

/* w [n_out, n_in], |w| <= 127, the scale of each row, finite and more than 0, bias [n_out] or NULL:
 * copied. Bit for bit what linear_new_int8() makes of the floats that they were made of.
 * RAG_ENOMEM, RAG_ELIMIT, RAG_ENUMERIC (a bias). */
enum rag_status linear_new_packed(const struct kernels *k, const int8_t *w, const float *scale,
                                  const float *bias, size_t n_out, size_t n_in, struct linear **ret,
                                  struct rag_error *reterr);

/* Row o of an int8 linear as linear_new_packed() takes it; its scale, 0 for a row of zeros. */
float linear_int8_row(const struct linear *l, size_t o, int8_t *ret);
const float *linear_bias(const struct linear *l); /* [n_out] */

/* ret[i] = round_half_even(w[i] / scale), scale = max_i |w[i]| / 127, which is returned; 0 and all
 * zeros when that maximum is below 1e-30. */
float linear_quantize_row(const float *w, size_t n, int8_t *ret);

#endif
