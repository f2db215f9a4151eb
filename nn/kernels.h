/* nn/kernels.h - which instructions the inner loops use, chosen when the program runs.
 *
 * Every kernel exists once per path that pays and once in plain C (its portable twin, which the
 * tests compare the others with). A path is a table of functions that never changes; whoever
 * computes holds a pointer to it, so that one process can run several paths side by side (tests
 * do).
 *
 *     portable      any CPU
 *     avx2          AVX2, FMA, F16C
 *     avx-vnni      avx2 and the 256-bit AVX-VNNI (desktop CPUs without AVX-512)
 *     avx512        AVX-512 F, BW, DQ, VL
 *     avx512-vnni   avx512 and VNNI
 *     amx           avx512-vnni and AMX tiles with int8 and bf16
 *
 * The environment variable RAGD_KERNELS names the path to use instead of the best one, for tests
 * and for bug reports: "ragd is wrong with amx and right with avx2" says where to look. */
#ifndef RAG_NN_KERNELS_H
#define RAG_NN_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum kernel_path {
    KERNELS_PORTABLE,
    KERNELS_AVX2,
    KERNELS_AVX_VNNI,
    KERNELS_AVX512,
    KERNELS_AVX512_VNNI,
    KERNELS_AMX,
    KERNEL_PATHS /* their number */
};

struct kernels; /* opaque, static storage, immutable */

/* The table of a path, or NULL when this CPU, or its kernel, lacks what it needs. For AMX this
 * asks the operating system for the tile registers (arch_prctl ARCH_REQ_XCOMP_PERM), once and for
 * the whole process. */
const struct kernels *kernels_of(enum kernel_path path);

/* RAGD_KERNELS when it is set and not empty, else the best path that this CPU has. Never fails
 * without the variable. RAG_EINVAL: no such path (the message lists them), or not on this CPU. */
enum rag_status kernels_choose(const struct kernels **ret, struct rag_error *reterr);

enum kernel_path kernels_path(const struct kernels *k);
const char *kernels_name(const struct kernels *k); /* as in the table above; static */

/* The core that OpenBLAS's sgemm, the fp32 path, computes for: "SkylakeX", "Haswell" ... static.
 * *ret_better (may be NULL): what to set OPENBLAS_CORETYPE to, before the process starts, for the
 * vectors that this CPU has and that core does not use, down to a third of the speed; NULL when it
 * suits. daemon/reexec.h does that. */
const char *kernels_blas_core(const char **ret_better);

#endif
