#include "nn/gemm_fp32.h"

#include <cblas.h>
#include <string.h>

size_t gemm_fp32_rows(void)
{
    const char *core = gemm_fp32_core();

    return strcmp(core, "Haswell") == 0 || strcmp(core, "Zen") == 0 ? 8 : GEMM_FP32_ROWS_MAX;
}

void gemm_fp32(const float *x, size_t x_stride, size_t n_rows, const float *w, size_t n_out,
               size_t n_in, float *y, size_t y_stride)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n_rows, (blasint)n_out,
                (blasint)n_in, 1.0f, x, (blasint)x_stride, w, (blasint)n_in, 0.0f, y,
                (blasint)y_stride);
}

void gemm_fp32_any(size_t m, size_t n, size_t k, struct gemm_fp32_operand a,
                   struct gemm_fp32_operand b, float beta, float *c, size_t c_stride)
{
    cblas_sgemm(CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans,
                b.transposed ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1.0f,
                a.data, (blasint)a.stride, b.data, (blasint)b.stride, beta, c, (blasint)c_stride);
}

const char *gemm_fp32_core(void)
{
    return openblas_get_corename();
}
