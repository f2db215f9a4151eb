/* nn/cpu.h - what this CPU, and the operating system on it, can execute. */
#ifndef RAG_NN_CPU_H
#define RAG_NN_CPU_H

#include <stdbool.h>

struct cpu_features {
    bool avx2;        /* AVX2, FMA and F16C, and the system saves ymm registers */
    bool avx_vnni;    /* 256-bit vpdpbusd */
    bool avx512;      /* F, BW, DQ, VL, and the system saves zmm and mask registers */
    bool avx512_vnni; /* with avx512 */
    bool avx512_bf16; /* with avx512 */
    bool amx;         /* tiles, int8 and bf16, and the system saves tile registers */
};

/* All false on a CPU that is no x86-64. Asks the CPU each time: some microseconds on a virtual
 * machine. (Intel SDM volume 2A, CPUID; volume 1, 13.3 and 18.3) */
struct cpu_features cpu_features(void);

/* Ask Linux to let this process use tile registers; idempotent, for all threads, present and
 * future. False: this kernel has no AMX (before 5.16), or an alternate signal stack is too small
 * for the larger frames. (Documentation/arch/x86/xstate.rst) */
bool cpu_request_amx(void);

#endif
