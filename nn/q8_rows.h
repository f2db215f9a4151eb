/* nn/q8_rows.h - activations quantised to 8 bits, one scale and one middle a row (token).
 *
 *     middle[i] = (max_j x[i,j] + min_j x[i,j]) / 2       half = (max - min) / 2
 *     scale[i] = half / 127             q[i,j] = round_half_even((x[i,j] - middle[i]) * (127 /
 * half)) x[i,j]  ~= scale[i] * q[i,j] + middle[i],           -127 <= q <= 127
 *
 * The middle matters behind GELU, whose values reach from -.17 to wherever they like: around 0 half
 * of the steps would stand for nothing.
 *
 * With columns c, x[i,j] c[j] stands for x[i,j]: a linear whose weights are W[o,j] / c[j] then
 * gives the same sums, and a column that is always large (an outlier) no longer takes the steps of
 * all others. (Xiao et al. 2022, SmoothQuant, section 4)
 *
 * A row whose half is below 1e-30 is all zeros with scale 0 and its middle. A row that holds a NaN
 * or an infinity is all zeros with scale and middle NaN, so that what is computed from it is NaN
 * and the check of the final states sees it. Every path gives the same q, scale and middle.
 *
 * How the bytes lie is the path's own affair (VNNI and AMX: q + 128 unsigned; AVX2: 16 bits wide);
 * rows are written and read by the kernels of one path only. The memory is the caller's. */
#ifndef RAG_NN_Q8_ROWS_H
#define RAG_NN_Q8_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "nn/kernels.h"

struct q8_rows {
    unsigned char *data; /* row i begins at data + i * stride */
    float *scale;        /* [n] */
    float *middle;       /* [n] */
    size_t stride; /* bytes; the width rounded up to whole blocks, what is there does not matter */
    size_t width;  /* columns */
    const float *columns; /* [width], factors before quantising; NULL: ones. Set by the caller */
    bool wide;            /* a value is an int16_t; else an uint8_t, q + 128 */
};

/* Memory for n rows of 'width' columns: a multiple of 64, and to be aligned to 64. */
size_t q8_rows_bytes(const struct kernels *k, size_t n, size_t width);
struct q8_rows q8_rows_in(const struct kernels *k, void *memory, size_t n, size_t width);
/* The same rows from row 'first' on. */
struct q8_rows q8_rows_from(const struct q8_rows *rows, size_t first);

/* Quantise x [n, width], row i at x + i * x_stride (floats), into rows 0..n-1 of 'ret'. */
void q8_quantize(const struct kernels *k, const float *x, size_t x_stride, size_t n,
                 const struct q8_rows *ret);
/* q[row, column]: for tests and checks. */
int q8_value(const struct q8_rows *rows, size_t row, size_t column);

#endif
