#include "nn/kernels.h"

#include <stdlib.h>
#include <string.h>

#include "nn/cpu.h"
#include "nn/gemm_fp32.h"
#include "nn/kernels_table.h"

#define ROWS(path)                                                                                 \
    .quantize = q8_quantize_##path, .layer_norm = row_layer_norm_##path, .add = row_add_##path,    \
    .activate = row_activate_##path, .softmax = row_softmax_##path, .finish = row_finish_##path,   \
    .attention_scratch = attention_scratch_##path, .attention = attention_##path

#define BLOCKS(path, rows)                                                                         \
    .block_linear_scratch = block_linear_scratch_##path, .block_linear = block_linear_##path,      \
    .block_quantize = block_quantize_##rows

#define FAST_ATTENTION(path)                                                                       \
    .attention_fast_scratch = attention_scratch_##path, .attention_fast = attention_##path

#define DECODER_ROWS(path)                                                                         \
    .rms_norm = row_rms_norm_##path, .rope = row_rope_##path, .gated = row_gated_##path

#define KV_ATTENTION(path)                                                                         \
    .kv_page_bytes = kv_page_bytes_##path, .kv_store = kv_store_##path,                            \
    .kv_attention_scratch = kv_attention_scratch_##path, .kv_attention = kv_attention_##path

static const struct kernels tables[KERNEL_PATHS] = {
    [KERNELS_PORTABLE] = {.path = KERNELS_PORTABLE,
                          .name = "portable",
                          .wide_rows = true,
                          .linear_q8 = linear_q8_portable,
                          BLOCKS(portable,    portable),
                          ROWS(portable),
                          FAST_ATTENTION(portable),
                          KV_ATTENTION(portable),
                          DECODER_ROWS(portable)},
#ifdef __x86_64__
    [KERNELS_AVX2] = {.path = KERNELS_AVX2,
                          .name = "avx2",
                          .wide_rows = true,
                          .linear_q8 = linear_q8_avx2,
                          BLOCKS(avx2,        avx2),
                          ROWS(avx2),
                          FAST_ATTENTION(avx2),
                          KV_ATTENTION(avx2),
                          DECODER_ROWS(avx2)    },
    [KERNELS_AVX_VNNI] = {.path = KERNELS_AVX_VNNI,
                          .name = "avx-vnni",
                          .wide_rows = false,
                          .linear_q8 = linear_q8_avx_vnni,
                          BLOCKS(avx_vnni,    avx2),
                          ROWS(avx2),
                          FAST_ATTENTION(avx2),
                          KV_ATTENTION(avx2),
                          DECODER_ROWS(avx2)    },
    [KERNELS_AVX512] = {.path = KERNELS_AVX512,
                          .name = "avx512",
                          .wide_rows = true,
                          .linear_q8 = linear_q8_avx512,
                          BLOCKS(avx512,      avx512),
                          ROWS(avx512),
                          FAST_ATTENTION(avx512),
                          KV_ATTENTION(avx512),
                          DECODER_ROWS(avx512)  },
    [KERNELS_AVX512_VNNI] = {.path = KERNELS_AVX512_VNNI,
                          .name = "avx512-vnni",
                          .wide_rows = false,
                          .linear_q8 = linear_q8_avx512_vnni,
                          BLOCKS(avx512_vnni, avx512),
                          ROWS(avx512),
                          FAST_ATTENTION(avx512),
                          KV_ATTENTION(avx512),
                          DECODER_ROWS(avx512)  },
    [KERNELS_AMX] = {.path = KERNELS_AMX,
                          .name = "amx",
                          .wide_rows = false,
                          .linear_q8 = linear_q8_amx,
                          BLOCKS(amx,         avx512),
                          ROWS(avx512),
                          FAST_ATTENTION(amx),
                          KV_ATTENTION(amx),
                          DECODER_ROWS(avx512)  },
#endif
};

static bool supported(enum kernel_path path, const struct cpu_features *cpu)
{
    switch (path) {
    case KERNELS_PORTABLE:
        return true;
    case KERNELS_AVX2:
        return cpu->avx2;
    case KERNELS_AVX_VNNI:
        return cpu->avx_vnni;
    case KERNELS_AVX512:
        return cpu->avx512;
    case KERNELS_AVX512_VNNI:
        return cpu->avx512_vnni;
    case KERNELS_AMX:
        return cpu->amx && cpu_request_amx();
    case KERNEL_PATHS:
        break;
    }
    return false;
}

const struct kernels *kernels_of(enum kernel_path path)
{
    struct cpu_features cpu = cpu_features();

    return supported(path, &cpu) ? &tables[path] : NULL;
}

enum rag_status kernels_choose(const struct kernels **ret, struct rag_error *reterr)
{
    const char *wanted = getenv("RAGD_KERNELS");
    struct cpu_features cpu = cpu_features();

    for (size_t i = KERNEL_PATHS; i-- > 0;) {
        const struct kernels *k = &tables[i];

        if (wanted && *wanted && (!k->name || strcmp(wanted, k->name) != 0))
            continue;
        if (supported(k->path, &cpu) && k->name) {
            *ret = k;
            return RAG_OK;
        }
        if (wanted && *wanted)
            return rag_fail(reterr, RAG_EINVAL,
                            "RAGD_KERNELS '%s': this CPU, or its kernel, lacks the instructions; "
                            "unset it to have the best path chosen",
                            wanted);
    }
    return rag_fail(reterr, RAG_EINVAL,
                    "RAGD_KERNELS '%.64s': no such path; there are portable, avx2, avx-vnni, "
                    "avx512, avx512-vnni, amx",
                    wanted ? wanted : "");
}

enum kernel_path kernels_path(const struct kernels *k)
{
    return k->path;
}

const char *kernels_name(const struct kernels *k)
{
    return k->name;
}

static bool listed(const char *name, const char *const *list)
{
    while (*list && strcmp(*list, name) != 0)
        list++;
    return *list != NULL;
}

const char *kernels_blas_core(const char **ret_better)
{
    /* What OpenBLAS has for AVX-512, and for AVX2: anything else is SSE3 or AVX. The first of a
     * list is in every x86-64 build of it that chooses at run time. */
    static const char *const with_avx512[] = {"SkylakeX", "Cooperlake", "SapphireRapids", NULL};
    static const char *const with_avx2[] = {"Haswell", "Zen", NULL};
    const char *core = gemm_fp32_core();
    struct cpu_features cpu = cpu_features();

    if (ret_better) {
        *ret_better = NULL;
        if (cpu.avx512 && !listed(core, with_avx512))
            *ret_better = with_avx512[0];
        else if (cpu.avx2 && !listed(core, with_avx2) && !listed(core, with_avx512))
            *ret_better = with_avx2[0];
    }
    return core;
}
