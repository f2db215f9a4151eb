#include "nn/kernels_table.h"

#define BL_VNNI 0
#include "nn/block_linear_avx512.h"

#include "nn/block_linear_template.h"

size_t block_linear_scratch_avx512(const struct block_weights *w, size_t n, size_t n_outs)
{
    (void)n;
    (void)n_outs;
    return bl_scratch_bytes(w);
}

void block_linear_avx512(const struct block_weights *w, const struct block_rows *x, size_t n,
                         const struct block_range *out, void *scratch)
{
    bl_forward(w, x, n, out, scratch);
}
