/* nn/linear.h - y = f(x W^T + b) + r, the layer that encoders spend their time in.
 *
 *     x [n, n_in]   W [n_out, n_in] as model files have it   b [n_out]   r, y [n, n_out]
 *
 * INT8: W is quantised per output channel, sw[o] = max_i |W[o,i]| / 127, -127 <= w <= 127; x per
 * row (nn/q8_rows.h). acc[n,o] = sum_i q[n,i] w[o,i] is exact in 32 bits (n_in <= LINEAR_IN_MAX)
 * and the same on every path: AMX and VNNI multiply q + 128 and begin at -128 * sum_i w[o,i], AVX2
 * multiplies in 16 bits, where nothing saturates. Then y = acc * (sx[n] * sw[o]) + (middle[n] *
 * sw[o] sum_i w[o,i] + b[o]).
 *
 * FP32: sgemm of OpenBLAS (nn/gemm_fp32.c).
 *
 * A row of y depends on its row of x alone, to the last bit: not on how many rows are computed at
 * once nor on where among them it is. INT8 has that by construction; FP32 calls sgemm with a fixed
 * number of rows (the last block is padded), since its sums depend on that number.
 *
 * Threads: a linear never changes after it is made; forward may run on any number of threads, each
 * for its own rows. One call streams all weights once through the caches for all of its rows, so
 * give it many rows (64 to 256) where they are there, and keep them in the core's L2. */
#ifndef RAG_NN_LINEAR_H
#define RAG_NN_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/kernels.h"
#include "nn/q8_rows.h"

#define LINEAR_IN_MAX  65536   /* 65536 * 255 * 127 < 2^31: sums of AMX and VNNI stay exact */
#define LINEAR_OUT_MAX 1048576 /* a vocabulary; with LINEAR_IN_MAX, sizes in bytes fit 40 bits */

struct linear; /* opaque, packed for one path */

/* w [n_out, n_in], bias [n_out] or NULL (zeros): copied. n_out, n_in > 0.
 * RAG_ENOMEM; RAG_ELIMIT (n_in > LINEAR_IN_MAX); RAG_ENUMERIC (a weight or bias is not finite). */
enum rag_status linear_new_int8(const struct kernels *k, const float *w, const float *bias,
                                size_t n_out, size_t n_in, struct linear **ret,
                                struct rag_error *reterr);
enum rag_status linear_new_fp32(const struct kernels *k, const float *w, const float *bias,
                                size_t n_out, size_t n_in, struct linear **ret,
                                struct rag_error *reterr);
void linear_free(struct linear *l); /* NULL is a no-op */

size_t linear_n_in(const struct linear *l);
size_t linear_n_out(const struct linear *l);
uint64_t linear_bytes(const struct linear *l); /* of memory held */
bool linear_is_int8(const struct linear *l);

enum linear_activation {
    LINEAR_PLAIN,
    LINEAR_GELU,      /* x/2 (1 + erf(x / sqrt 2)) */
    LINEAR_GELU_TANH, /* x/2 (1 + tanh(sqrt(2/pi) (x + .044715 x^3))) */
    LINEAR_RELU,
    LINEAR_TANH,
};

/* The rows that go in: an int8 linear reads q8 (of linear_n_in() columns), an fp32 one reads f32.
 * The other may be unset. */
struct linear_input {
    const struct q8_rows *q8;
    const float *f32; /* row i at f32 + i * stride */
    size_t stride;    /* floats */
};

struct linear_output {
    float *y; /* row i at y + i * stride; may not overlap the input */
    size_t stride;
    enum linear_activation activation;
    const float *residual; /* added after the activation, row i at residual + i * residual_stride;
                            * may be y itself (same stride); NULL: nothing */
    size_t residual_stride;
};

/* Floats of 'scratch' (aligned to 64) that linear_forward(l, ..., n_rows) needs; may be 0. */
size_t linear_scratch_floats(const struct linear *l, size_t n_rows);

void linear_forward(const struct linear *l, const struct linear_input *x, size_t n_rows,
                    const struct linear_output *out, float *scratch);

#endif
