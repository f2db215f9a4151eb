#include "nn/kv_attention.h"

#include <assert.h>

#include "nn/kernels_table.h"

static void check_shape(const struct kv_shape *s)
{
    assert(s->head_dim >= 2 && s->head_dim <= KV_HEAD_DIM_MAX && s->head_dim % 2 == 0);
    assert(s->n_kv_heads > 0 && s->n_heads % s->n_kv_heads == 0);
    (void)s;
}

size_t kv_page_bytes(const struct kernels *k, const struct kv_shape *s)
{
    check_shape(s);
    return k->kv_page_bytes(s);
}

void kv_store(const struct kernels *k, const struct kv_shape *s, unsigned char *const *pages,
              size_t first_position, const float *k_rows, const float *v_rows, size_t stride,
              size_t n, size_t first_head, size_t n_heads_here)
{
    check_shape(s);
    assert(first_head <= s->n_kv_heads && n_heads_here <= s->n_kv_heads - first_head);
    k->kv_store(s, pages, first_position, k_rows, v_rows, stride, n, first_head, n_heads_here);
}

size_t kv_attention_scratch_bytes(const struct kernels *k, const struct kv_shape *s, size_t n)
{
    check_shape(s);
    return (k->kv_attention_scratch(s, n) + 63) / 64 * 64;
}

void kv_attention(const struct kernels *k, const struct kv_shape *s, unsigned char *const *pages,
                  size_t first_position, const float *q, size_t q_stride, size_t n, size_t kv_head,
                  float *out, size_t out_stride, void *scratch)
{
    check_shape(s);
    assert(kv_head < s->n_kv_heads && (uintptr_t)scratch % 64 == 0);
    k->kv_attention(s, pages, first_position, q, q_stride, n, kv_head, out, out_stride, scratch);
}
