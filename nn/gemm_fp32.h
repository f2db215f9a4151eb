/* nn/gemm_fp32.h - the only door to OpenBLAS. */
#ifndef RAG_NN_GEMM_FP32_H
#define RAG_NN_GEMM_FP32_H

#include <stdbool.h>
#include <stddef.h>

/* Rows that sgemm is called with, always: its sums differ in the last bits with the number of rows
 * and with the place of a row among them. Measured for the cores of 0.3.21: with 48 rows all are
 * computed alike, but for Haswell and Zen, whose kernel treats each second half dozen of rows in
 * another order; there it is 8 rows, at half the speed. */
#define GEMM_FP32_ROWS_MAX 48
size_t gemm_fp32_rows(void);

/* y = x w^T for n_rows = gemm_fp32_rows() rows: x [n_rows, n_in], row i at x + i * x_stride;
 * w [n_out, n_in]; y [n_rows, n_out] with y_stride. */
void gemm_fp32(const float *x, size_t x_stride, size_t n_rows, const float *w, size_t n_out,
               size_t n_in, float *y, size_t y_stride);

/* c [m, n] = op(a) op(b) + c * beta, where op(a) is [m, k] and op(b) [k, n], each the matrix or its
 * transpose; beta 0 or 1. Any shape at once: for what is learned, where a row may depend in its
 * last bits on how many others there are. The same call gives the same result on one machine. */
struct gemm_fp32_operand {
    const float *data;
    size_t stride; /* of its rows as they are stored */
    bool transposed;
};
void gemm_fp32_any(size_t m, size_t n, size_t k, struct gemm_fp32_operand a,
                   struct gemm_fp32_operand b, float beta, float *c, size_t c_stride);

/* OpenBLAS's own name of the core that it computes for. Static storage. */
const char *gemm_fp32_core(void);

#endif
