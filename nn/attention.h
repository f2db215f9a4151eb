/* nn/attention.h - multi-head attention within one sequence of a packed batch.
 *
 *     out[i, h] = sum_j softmax_j(scale * q[i,h] . k[j,h]) v[j,h]      i in queries, j in 0..n-1
 *
 * q, k and v of a row lie side by side as one merged linear gives them: row i of the sequence at
 * qkv + i * qkv_stride, q in columns [0, H), k in [H, 2H), v in [2H, 3H), H = n_heads * head_dim.
 *
 * ATTENTION_EXACT computes in float32 throughout (the fp32 encoder). ATTENTION_FAST may round q, k,
 * v and the probabilities to bfloat16 where AMX multiplies them (the int8 encoder); elsewhere it is
 * the same as EXACT. Both depend on the sequence alone, to the last bit: not on which of its rows
 * are asked for at once, so a long sequence may be cut by query rows over several threads. */
#ifndef RAG_NN_ATTENTION_H
#define RAG_NN_ATTENTION_H

#include <stddef.h>

#include "nn/kernels.h"

enum attention_precision { ATTENTION_EXACT, ATTENTION_FAST };

struct attention {
    size_t n_heads;
    size_t head_dim; /* 1 .. ATTENTION_HEAD_DIM_MAX */
    float scale;     /* 1 / sqrt(head_dim) */
    enum attention_precision precision;
};

#define ATTENTION_HEAD_DIM_MAX 256

/* Floats of scratch (aligned to 64) for a sequence of n tokens. */
size_t attention_scratch_floats(const struct kernels *k, const struct attention *a, size_t n);

/* Rows first_query .. first_query + n_queries - 1 of a sequence of n tokens. Row i of the sequence
 * (i counts from the sequence's start) goes to out + (i - first_query) * out_stride, H columns. */
void attention_forward(const struct kernels *k, const struct attention *a, const float *qkv,
                       size_t qkv_stride, size_t n, size_t first_query, size_t n_queries,
                       float *out, size_t out_stride, float *scratch);

#endif
