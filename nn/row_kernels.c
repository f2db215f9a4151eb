#include "nn/row_kernels.h"

#include <assert.h>

#include "nn/kernels_table.h"

void row_layer_norm(const struct kernels *k, const struct layer_norm *norm, const float *x,
                    size_t x_stride, size_t n, float *y, size_t y_stride, const struct q8_rows *q8)
{
    assert(!q8 || (q8->width == norm->width && q8->wide == k->wide_rows));
    k->layer_norm(norm, x, x_stride, n, y, y_stride, q8);
}

void row_add(const struct kernels *k, const float *x, size_t n, float *y)
{
    k->add(x, n, y);
}

void row_activate(const struct kernels *k, enum linear_activation f, size_t n, float *y)
{
    k->activate(f, n, y);
}

void row_softmax(const struct kernels *k, size_t n, float *y)
{
    assert(n > 0);
    k->softmax(n, y);
}
