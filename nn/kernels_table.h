/* nn/kernels_table.h - struct kernels itself, for the files that fill it and those that call it.
 *
 * Naming: function_path, as in row_layer_norm_avx512. Files named *_avx2.c, *_avx512.c and so on
 * are compiled for these instructions (nn/CMakeLists.txt) and may only be reached through the
 * table. They include nothing that defines non-inline functions, so that no code compiled for a
 * newer CPU can be linked into a path for an older one. */
#ifndef RAG_NN_KERNELS_TABLE_H
#define RAG_NN_KERNELS_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "nn/attention.h"
#include "nn/block_format.h"
#include "nn/block_rows.h"
#include "nn/kernels.h"
#include "nn/kv_attention.h"
#include "nn/linear.h"
#include "nn/q8_rows.h"
#include "nn/row_kernels.h"

/* ---- packed int8 weights ----
 *
 * Strips of 16 output channels; each is [K/4][16][4] bytes: four consecutive inputs of one channel
 * side by side, which is what vpdpbusd multiplies and what a tile of AMX holds as its B operand
 * (K/4 rows of 64 bytes). K is n_in rounded up to 64, n_out is rounded up to 64; the rest is 0. */
#define Q8_STRIP    16
#define Q8_PANEL    64 /* channels that one pass over the rows computes: 4 strips */
#define Q8_BLOCK_IN 64 /* inputs of one tile */

struct q8_weights {
    const int8_t *w;
    const int32_t *start; /* [n_out rounded up]: -128 * sum_i w[o,i] */
    const float *scale;   /* sw */
    const float *sum;     /* sw[o] * sum_i w[o,i]: what the middle of a row adds */
    const float *bias;
    size_t n_in; /* rounded up: bytes of a channel */
    size_t n_out;
};

struct kernels {
    enum kernel_path path;
    const char *name;
    bool wide_rows; /* of struct q8_rows */
    void (*linear_q8)(const struct q8_weights *w, const struct q8_rows *x, size_t n,
                      const struct linear_output *out);
    void (*quantize)(const float *x, size_t x_stride, size_t n, const struct q8_rows *ret);
    /* nn/block_linear.h, nn/block_rows.h */
    size_t (*block_linear_scratch)(const struct block_weights *w, size_t n, size_t n_outs);
    void (*block_linear)(const struct block_weights *w, const struct block_rows *x, size_t n,
                         const struct block_range *out, void *scratch);
    void (*block_quantize)(const float *x, size_t x_stride, size_t n, const struct block_rows *ret);
    void (*layer_norm)(const struct layer_norm *norm, const float *x, size_t x_stride, size_t n,
                       float *y, size_t y_stride, const struct q8_rows *q8);
    void (*add)(const float *x, size_t n, float *y);
    void (*activate)(enum linear_activation f, size_t n, float *y);
    void (*softmax)(size_t n, float *y);
    /* y = f(sums + bias) + residual, sums [n, n_out]: what an fp32 linear does after sgemm */
    void (*finish)(const float *sums, const float *bias, size_t n_out, size_t n,
                   const struct linear_output *out);
    size_t (*attention_scratch)(const struct attention *a, size_t n);
    void (*attention)(const struct attention *a, const float *qkv, size_t qkv_stride, size_t n,
                      size_t first_query, size_t n_queries, float *out, size_t out_stride,
                      float *scratch);
    /* the same for ATTENTION_FAST */
    size_t (*attention_fast_scratch)(const struct attention *a, size_t n);
    void (*attention_fast)(const struct attention *a, const float *qkv, size_t qkv_stride, size_t n,
                           size_t first_query, size_t n_queries, float *out, size_t out_stride,
                           float *scratch);
    /* nn/kv_attention.h */
    size_t (*kv_page_bytes)(const struct kv_shape *s);
    void (*kv_store)(const struct kv_shape *s, unsigned char *const *pages, size_t first_position,
                     const float *k_rows, const float *v_rows, size_t stride, size_t n,
                     size_t first_head, size_t n_heads_here);
    size_t (*kv_attention_scratch)(const struct kv_shape *s, size_t n);
    void (*kv_attention)(const struct kv_shape *s, unsigned char *const *pages,
                         size_t first_position, const float *q, size_t q_stride, size_t n,
                         size_t kv_head, float *out, size_t out_stride, void *scratch);
    /* nn/decoder_rows.h */
    void (*rms_norm)(const float *weight, size_t width, float epsilon, const float *x,
                     size_t x_stride, size_t n, float *y, size_t y_stride);
    void (*rope)(const float *cos_sin, size_t head_dim, bool interleaved, size_t n_heads, float *x);
    void (*gated)(bool gelu, const float *gate, const float *up, size_t n, float *y);
};

#define KERNELS_DECLARE_ROWS(path)                                                                 \
    void q8_quantize_##path(const float *x, size_t x_stride, size_t n, const struct q8_rows *ret); \
    void row_layer_norm_##path(const struct layer_norm *norm, const float *x, size_t x_stride,     \
                               size_t n, float *y, size_t y_stride, const struct q8_rows *q8);     \
    void row_add_##path(const float *x, size_t n, float *y);                                       \
    void row_activate_##path(enum linear_activation f, size_t n, float *y);                        \
    void row_softmax_##path(size_t n, float *y);                                                   \
    void row_finish_##path(const float *sums, const float *bias, size_t n_out, size_t n,           \
                           const struct linear_output *out);

#define KERNELS_DECLARE_ATTENTION(path)                                                            \
    size_t attention_scratch_##path(const struct attention *a, size_t n);                          \
    void attention_##path(const struct attention *a, const float *qkv, size_t qkv_stride,          \
                          size_t n, size_t first_query, size_t n_queries, float *out,              \
                          size_t out_stride, float *scratch);

#define KERNELS_DECLARE_KV_ATTENTION(path)                                                         \
    size_t kv_page_bytes_##path(const struct kv_shape *s);                                         \
    void kv_store_##path(const struct kv_shape *s, unsigned char *const *pages,                    \
                         size_t first_position, const float *k_rows, const float *v_rows,          \
                         size_t stride, size_t n, size_t first_head, size_t n_heads_here);         \
    size_t kv_attention_scratch_##path(const struct kv_shape *s, size_t n);                        \
    void kv_attention_##path(const struct kv_shape *s, unsigned char *const *pages,                \
                             size_t first_position, const float *q, size_t q_stride, size_t n,     \
                             size_t kv_head, float *out, size_t out_stride, void *scratch);

#define KERNELS_DECLARE_DECODER_ROWS(path)                                                         \
    void row_rms_norm_##path(const float *weight, size_t width, float epsilon, const float *x,     \
                             size_t x_stride, size_t n, float *y, size_t y_stride);                \
    void row_rope_##path(const float *cos_sin, size_t head_dim, bool interleaved, size_t n_heads,  \
                         float *x);                                                                \
    void row_gated_##path(bool gelu, const float *gate, const float *up, size_t n, float *y);

#define KERNELS_DECLARE_LINEAR(path)                                                               \
    void linear_q8_##path(const struct q8_weights *w, const struct q8_rows *x, size_t n,           \
                          const struct linear_output *out);

#define KERNELS_DECLARE_BLOCKS(path)                                                               \
    size_t block_linear_scratch_##path(const struct block_weights *w, size_t n, size_t n_outs);    \
    void block_linear_##path(const struct block_weights *w, const struct block_rows *x, size_t n,  \
                             const struct block_range *out, void *scratch);

#define KERNELS_DECLARE_BLOCK_ROWS(path)                                                           \
    void block_quantize_##path(const float *x, size_t x_stride, size_t n,                          \
                               const struct block_rows *ret);

KERNELS_DECLARE_ROWS(portable)
KERNELS_DECLARE_BLOCKS(portable)
KERNELS_DECLARE_BLOCK_ROWS(portable)
KERNELS_DECLARE_ATTENTION(portable)
KERNELS_DECLARE_KV_ATTENTION(portable)
KERNELS_DECLARE_DECODER_ROWS(portable)
KERNELS_DECLARE_LINEAR(portable)

#ifdef __x86_64__
KERNELS_DECLARE_ROWS(avx2)
KERNELS_DECLARE_ROWS(avx512)
KERNELS_DECLARE_ATTENTION(avx2)
KERNELS_DECLARE_ATTENTION(avx512)
KERNELS_DECLARE_ATTENTION(amx)
KERNELS_DECLARE_KV_ATTENTION(avx2)
KERNELS_DECLARE_KV_ATTENTION(avx512)
KERNELS_DECLARE_KV_ATTENTION(amx)
KERNELS_DECLARE_DECODER_ROWS(avx2)
KERNELS_DECLARE_DECODER_ROWS(avx512)
KERNELS_DECLARE_LINEAR(avx2)
KERNELS_DECLARE_LINEAR(avx_vnni)
KERNELS_DECLARE_LINEAR(avx512)
KERNELS_DECLARE_LINEAR(avx512_vnni)
KERNELS_DECLARE_LINEAR(amx)
KERNELS_DECLARE_BLOCKS(avx2)
KERNELS_DECLARE_BLOCKS(avx_vnni)
KERNELS_DECLARE_BLOCKS(avx512)
KERNELS_DECLARE_BLOCKS(avx512_vnni)
KERNELS_DECLARE_BLOCKS(amx)
KERNELS_DECLARE_BLOCK_ROWS(avx2)
KERNELS_DECLARE_BLOCK_ROWS(avx512)
#endif

#endif
