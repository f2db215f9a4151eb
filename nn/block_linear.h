/* nn/block_linear.h - y = x W^T + b of a decoder: weights stay in blocks of 4, 6 or 8 bits.
 *
 *     x [n, K] (struct block_rows)    W [n_out, K]    b [n_out] or none    y [n, n_out] float32
 *
 * Decoding reads every weight once a token: bytes decide, so weights stay as narrow as the file has
 * them. Prefill reads a weight once for hundreds of rows: operations decide, so they are multiplied
 * as integers by VNNI or AMX. Both give the same bits. With q, sum and scale those of the
 * activations, w the weights of group g of output o as unsigned integers, the arithmetic of one
 * output is, for formats with integer scales (K-quants: s_g and the minimum's m_g are integers, d
 * and dmin f16 of a block of 256; g runs over the groups of 32 or 16 that have a scale),
 *
 *     I_b = sum_g s_g (sum_j w_j q_j - zero * sum[g])      M_b = sum_g m_g sum[g]       exact
 *     t_b = d (float)I_b, and for formats with a minimum t_b = fmaf(-dmin, (float)M_b, t_b)
 *     y   = for the blocks b in order: y = fmaf(t_b, scale[b], y)   beginning with y = b or 0
 *
 * and for formats with float scales (s_g, m_g f16 of a group of 32), y from t_b as above:
 *
 *     t_b = for the groups g of block b in order: t = fmaf((float)(sum_j w_j q_j - zero * sum[g]),
 *           s_g, t), and for formats with a minimum t = fmaf((float)sum[g], m_g, t); from t = 0
 *
 * The portable twin does exactly this with fmaf(); every other path must equal it to the last bit,
 * for every n, which tests check. So a row does not depend on its neighbours.
 *
 * Packed: strips of 16 outputs (nn/block_format.h). */
#ifndef RAG_NN_BLOCK_LINEAR_H
#define RAG_NN_BLOCK_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/block_rows.h"
#include "nn/kernels.h"
#include "nn/quant_blocks.h"

#define BLOCK_LINEAR_STRIP 16 /* outputs; ranges of block_linear_forward() begin at multiples */

struct block_linear; /* opaque, immutable */

/* 'rows' [n_out][row_bytes] of 'type', copied into the packed format that holds it without loss of
 * what the file says (or, for types that have no packed format of their own, the next wider one):
 * Q4_0, Q4_1, Q4_K, Q2_K, Q3_K -> 4 bits; Q5_* -> 5; Q6_K -> 6; Q8_0, IQ4_* -> 8 (scales of IQ4_XS
 * are rounded to f16).
 * BLOCK_F32, F16, BF16 and IQ2_XXS are quantised to 'dense_type' (BLOCK_Q8_0 or BLOCK_Q4_1) first.
 * bias [n_out] or NULL. RAG_ENOMEM, RAG_ELIMIT, RAG_ENUMERIC (a weight or scale is not finite). */
enum rag_status block_linear_new(const struct kernels *k, enum block_type type, const uint8_t *rows,
                                 size_t row_bytes, size_t n_out, size_t n_in,
                                 enum block_type dense_type, const float *bias,
                                 struct block_linear **ret, struct rag_error *reterr);
/* The same weights as float32 for the reference path: exactly blocks_read_f32(), sums in the order
 * of nn/gemm_fp32.h. */
enum rag_status block_linear_new_fp32(const struct kernels *k, enum block_type type,
                                      const uint8_t *rows, size_t row_bytes, size_t n_out,
                                      size_t n_in, const float *bias, struct block_linear **ret,
                                      struct rag_error *reterr);
void block_linear_free(struct block_linear *l); /* NULL is a no-op */
size_t block_linear_n_in(const struct block_linear *l);
size_t block_linear_n_out(const struct block_linear *l);
uint64_t block_linear_bytes(const struct block_linear *l); /* of memory held */
bool block_linear_is_fp32(const struct block_linear *l);

/* What goes in: quantised rows, or floats for an fp32 one. The other may be unset. */
struct block_linear_input {
    const struct block_rows *rows;
    const float *f32; /* row i at f32 + i * f32_stride */
    size_t f32_stride;
};

/* Bytes of scratch (aligned to 64, one per thread) for a call of n rows and n_outs outputs. */
size_t block_linear_scratch_bytes(const struct block_linear *l, size_t n, size_t n_outs);

/* Outputs first_out .. first_out + n_outs - 1 (first_out a multiple of BLOCK_LINEAR_STRIP; n_outs
 * too, or up to the end) of rows 0..n-1: output first_out + j of row i to y[i * y_stride + j] (so y
 * may be a thread's own buffer, as wide as the range). Threads share a linear by ranges of outputs;
 * give each at least 64 where n is large. A result does not depend on the range that it comes with.
 */
void block_linear_forward(const struct block_linear *l, const struct block_linear_input *x,
                          size_t n, size_t first_out, size_t n_outs, float *y, size_t y_stride,
                          void *scratch);

#endif
