#define _GNU_SOURCE
#include "nn/cpu.h"

#include <stdint.h>

#ifdef __x86_64__

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQ_XCOMP_PERM 0x1023 /* asm/prctl.h; older headers lack it */
#define XFEATURE_XTILEDATA  18

#define XCR0_YMM  0x6u     /* SSE and AVX state */
#define XCR0_ZMM  0xe6u    /* and opmask, ZMM_Hi256, Hi16_ZMM */
#define XCR0_TILE 0x60000u /* XTILECFG, XTILEDATA */

struct cpuid_leaf {
    unsigned eax;
    unsigned ebx;
    unsigned ecx;
    unsigned edx;
};

static struct cpuid_leaf cpuid(unsigned leaf, unsigned subleaf)
{
    struct cpuid_leaf r = {0, 0, 0, 0};

    if (__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0)
        r = (struct cpuid_leaf){0, 0, 0, 0};
    return r;
}

static bool bit(unsigned word, unsigned i)
{
    return (word >> i & 1u) != 0;
}

/* The register states that the operating system saves. */
static uint64_t xcr0(void)
{
    uint32_t low;
    uint32_t high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

struct cpu_features cpu_features(void)
{
    struct cpu_features f = {0};
    struct cpuid_leaf one = cpuid(1, 0);
    struct cpuid_leaf seven = cpuid(7, 0);
    struct cpuid_leaf more = cpuid(7, 1);
    uint64_t saved;

    if (!bit(one.ecx, 27)) /* OSXSAVE: xgetbv itself */
        return f;
    saved = xcr0();
    f.avx2 = (saved & XCR0_YMM) == XCR0_YMM && bit(one.ecx, 28) && bit(seven.ebx, 5) &&
             bit(one.ecx, 12) && bit(one.ecx, 29);
    f.avx_vnni = f.avx2 && bit(more.eax, 4);
    f.avx512 = f.avx2 && (saved & XCR0_ZMM) == XCR0_ZMM && bit(seven.ebx, 16) &&
               bit(seven.ebx, 17) && bit(seven.ebx, 30) && bit(seven.ebx, 31);
    f.avx512_vnni = f.avx512 && bit(seven.ecx, 11);
    f.avx512_bf16 = f.avx512 && bit(more.eax, 5);
    f.amx = f.avx512_vnni && f.avx512_bf16 && (saved & XCR0_TILE) == XCR0_TILE &&
            bit(seven.edx, 22) && bit(seven.edx, 24) && bit(seven.edx, 25);
    return f;
}

bool cpu_request_amx(void)
{
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

#else

struct cpu_features cpu_features(void)
{
    return (struct cpu_features){0};
}

bool cpu_request_amx(void)
{
    return false;
}

#endif
