#include "nn/attention.h"

#include <assert.h>

#include "nn/kernels_table.h"

size_t attention_scratch_floats(const struct kernels *k, const struct attention *a, size_t n)
{
    size_t floats = a->precision == ATTENTION_FAST ? k->attention_fast_scratch(a, n)
                                                   : k->attention_scratch(a, n);

    return (floats + 15) / 16 * 16;
}

void attention_forward(const struct kernels *k, const struct attention *a, const float *qkv,
                       size_t qkv_stride, size_t n, size_t first_query, size_t n_queries,
                       float *out, size_t out_stride, float *scratch)
{
    assert(a->head_dim > 0 && a->head_dim <= ATTENTION_HEAD_DIM_MAX);
    assert(first_query <= n && n_queries <= n - first_query);
    if (a->precision == ATTENTION_FAST)
        k->attention_fast(a, qkv, qkv_stride, n, first_query, n_queries, out, out_stride, scratch);
    else
        k->attention(a, qkv, qkv_stride, n, first_query, n_queries, out, out_stride, scratch);
}
