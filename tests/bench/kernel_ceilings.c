#include "kernel_ceilings.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* One instruction for each of 12 registers, so that none waits for another; in assembly, for a
 * compiler would see that nothing comes of it. */
#define EACH(one)                                                                                  \
    one(0) one(1) one(2) one(3) one(4) one(5) one(6) one(7) one(8) one(9) one(10) one(11)
#define CHANGED                                                                                    \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm12", "xmm13"

#define FMA_256(i)  "vfmadd231ps %%ymm12, %%ymm12, %%ymm" #i "\n\t"
#define FMA_512(i)  "vfmadd231ps %%zmm12, %%zmm12, %%zmm" #i "\n\t"
#define VNNI_512(i) "vpdpbusd %%zmm12, %%zmm12, %%zmm" #i "\n\t"
#define MADD_256(i)                                                                                \
    "vpmaddwd %%ymm12, %%ymm12, %%ymm13\n\tvpaddd %%ymm13, %%ymm" #i ", %%ymm" #i "\n\t"

static void zero_registers(void)
{
    __asm__ volatile("vzeroall" ::: CHANGED);
}

double ceiling_fma_avx2(size_t n)
{
    zero_registers();
    for (size_t step = 0; step < n; step++)
        __asm__ volatile(EACH(FMA_256)::: CHANGED);
    return (double)n * 12 * 8 * 2;
}

double ceiling_fma_avx512(size_t n)
{
    zero_registers();
    for (size_t step = 0; step < n; step++)
        __asm__ volatile(EACH(FMA_512)::: CHANGED);
    return (double)n * 12 * 16 * 2;
}

double ceiling_madd_avx2(size_t n)
{
    zero_registers();
    for (size_t step = 0; step < n; step++)
        __asm__ volatile(EACH(MADD_256)::: CHANGED);
    return (double)n * 12 * 16 * 2;
}

double ceiling_vnni_avx512(size_t n)
{
    zero_registers();
    for (size_t step = 0; step < n; step++)
        __asm__ volatile(EACH(VNNI_512)::: CHANGED);
    return (double)n * 12 * 64 * 2;
}

/* Eight tiles of 16 rows of 64 bytes, zero. */
static void configure_tiles(void)
{
    uint8_t config[64] __attribute__((aligned(64))) = {1};

    for (size_t i = 0; i < 8; i++) {
        config[16 + 2 * i] = 64;
        config[48 + i] = 16;
    }
    _tile_loadconfig(config);
}

double ceiling_amx_int8(size_t n)
{
    configure_tiles();
    for (size_t step = 0; step < n; step++) {
        _tile_dpbusd(0, 4, 5);
        _tile_dpbusd(1, 4, 5);
        _tile_dpbusd(2, 4, 5);
        _tile_dpbusd(3, 4, 5);
    }
    _tile_release();
    return (double)n * 4 * 16 * 16 * 64 * 2;
}

double ceiling_amx_bf16(size_t n)
{
    configure_tiles();
    for (size_t step = 0; step < n; step++) {
        _tile_dpbf16ps(0, 4, 5);
        _tile_dpbf16ps(1, 4, 5);
        _tile_dpbf16ps(2, 4, 5);
        _tile_dpbf16ps(3, 4, 5);
    }
    _tile_release();
    return (double)n * 4 * 16 * 16 * 32 * 2;
}
