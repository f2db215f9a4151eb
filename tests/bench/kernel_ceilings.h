/* tests/bench/kernel_ceilings.h - what this CPU computes when nothing but registers is involved. */
#ifndef RAG_BENCH_KERNEL_CEILINGS_H
#define RAG_BENCH_KERNEL_CEILINGS_H

#include <stddef.h>

/* Each runs n steps of independent instructions and returns the operations done (a multiplication
 * and an addition are two). Only on a CPU that has them. */
double ceiling_fma_avx2(size_t n);
double ceiling_fma_avx512(size_t n);
double ceiling_madd_avx2(size_t n); /* vpmaddwd + vpaddd */
double ceiling_vnni_avx512(size_t n);
double ceiling_amx_int8(size_t n); /* tdpbusd on four tiles, nothing loaded */
double ceiling_amx_bf16(size_t n);

#endif
