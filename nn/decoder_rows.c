#include "nn/decoder_rows.h"

#include <assert.h>
#include <math.h>

#include "nn/kernels_table.h"

void row_rms_norm(const struct kernels *k, const float *weight, size_t width, float epsilon,
                  const float *x, size_t x_stride, size_t n, float *y, size_t y_stride)
{
    assert(width > 0);
    k->rms_norm(weight, width, epsilon, x, x_stride, n, y, y_stride);
}

void row_rope(const struct kernels *k, const float *cos_sin, size_t head_dim, bool interleaved,
              size_t n_heads, float *x)
{
    assert(head_dim % 2 == 0 && head_dim <= KV_HEAD_DIM_MAX);
    k->rope(cos_sin, head_dim, interleaved, n_heads, x);
}

void row_gated(const struct kernels *k, bool gelu, const float *gate, const float *up, size_t n,
               float *y)
{
    k->gated(gelu, gate, up, n, y);
}

void rope_angles(size_t position, size_t head_dim, float theta, const float *divisors,
                 float *ret_cos_sin)
{
    for (size_t i = 0; i < head_dim / 2; i++) {
        double angle = (double)position * pow((double)theta, -2.0 * (double)i / (double)head_dim) /
                       (divisors ? (double)divisors[i] : 1.0);

        ret_cos_sin[2 * i] = (float)cos(angle);
        ret_cos_sin[2 * i + 1] = (float)sin(angle);
    }
}
