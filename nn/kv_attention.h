/* nn/kv_attention.h - causal attention of decoder tokens over keys and values in pages.
 *
 *     out[i, h] = sum_j softmax_j(scale * q[i,h] . k[j, h/g]) v[j, h/g]
 *     j in max(0, pos - window + 1) .. pos, pos = first_position + i, g = n_heads / n_kv_heads
 *
 * Keys and values of a sequence lie in pages of KV_PAGE_TOKENS positions. For a layer a page holds,
 * for every kv head, KV_PAGE_TOKENS keys and as many values; how they lie inside is the path's own
 * affair (kv_page_bytes(), kv_store(); e.g. keys transposed so that a vector holds 16 positions).
 * KV_F16 rounds to half precision, and on AMX keys, values, queries and probabilities to bfloat16;
 * KV_F32 is the reference.
 *
 * No n x n matrix: for each query the pages are taken in order of position, each (on AMX four
 * together) with one maximum, one rescaling and one sum in a fixed order (online softmax, Milakov
 * and Gimelshein 2018; Dao et al. 2022). Pages begin at absolute positions, so a query's result
 * depends on its own row and on its keys alone, to the last bit: not on the chunk that it came
 * with, on how many queries there are, or on threads. */
#ifndef RAG_NN_KV_ATTENTION_H
#define RAG_NN_KV_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

#include "nn/kernels.h"

#define KV_PAGE_TOKENS  32
#define KV_HEAD_DIM_MAX 256

enum kv_type { KV_F16, KV_F32 };

struct kv_shape {
    enum kv_type type;
    size_t n_heads;
    size_t n_kv_heads;
    size_t head_dim; /* even, 2 .. KV_HEAD_DIM_MAX */
    float scale;
    size_t window; /* 0: none */
};

/* Bytes of one layer's part of a page (keys and values of all kv heads): a multiple of 64. */
size_t kv_page_bytes(const struct kernels *k, const struct kv_shape *s);

/* Keys and values of n tokens, positions first_position .., into the pages of the sequence:
 * pages[p] is the layer's part of the page of positions p * KV_PAGE_TOKENS ... Row i at
 * k_rows + i * stride, [n_kv_heads][head_dim] floats, rotated already; v_rows likewise. Different
 * kv heads (first_head .. + n_heads_here) may be stored by different threads, positions of one page
 * by one thread. What a page holds behind the last stored position must be finite (pages begin
 * zeroed; storing a page's first position may clear the rest of it). */
void kv_store(const struct kernels *k, const struct kv_shape *s, unsigned char *const *pages,
              size_t first_position, const float *k_rows, const float *v_rows, size_t stride,
              size_t n, size_t first_head, size_t n_heads_here);

/* Bytes of scratch (aligned to 64) for one thread and up to n queries at once. */
size_t kv_attention_scratch_bytes(const struct kernels *k, const struct kv_shape *s, size_t n);

/* Queries i = 0..n-1 at positions first_position + i, for the query heads of kv head 'kv_head':
 * q row i at q + i * q_stride ([n_heads][head_dim] floats, rotated), out row i at
 * out + i * out_stride, the same columns. All keys up to the last position are stored. A thread
 * takes a kv head and a range of queries; 16 to 64 queries at once share each page. */
void kv_attention(const struct kernels *k, const struct kv_shape *s, unsigned char *const *pages,
                  size_t first_position, const float *q, size_t q_stride, size_t n, size_t kv_head,
                  float *out, size_t out_stride, void *scratch);

#endif
