/* tests/unit/nn/kernel_paths.h - what the tests of the kernels share: every path that this machine
 * has, numbers that repeat, aligned memory. */
#ifndef RAG_TESTS_KERNEL_PATHS_H
#define RAG_TESTS_KERNEL_PATHS_H

#include <stdint.h>
#include <stdlib.h>

#include "nn/kernels.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The next path from *at on, or NULL; those that this CPU lacks are left out. */
static inline const struct kernels *next_path(size_t *at)
{
    while (*at < KERNEL_PATHS) {
        const struct kernels *k = kernels_of((enum kernel_path)(*at)++);

        if (k)
            return k;
    }
    return NULL;
}

/* splitmix64: the same numbers everywhere (Steele, Lea, Flood 2014). */
static inline uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* Uniform in -1 .. 1. */
static inline float draw_float(uint64_t *state)
{
    return (float)((double)(draw(state) >> 11) * 0x1p-52 - 1.0);
}

static inline void draw_floats(uint64_t *state, size_t n, float factor, float *ret)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = factor * draw_float(state);
}

/* Exactly n floats, aligned to 64 at the front, so that a sanitizer sees reads behind them. */
static inline float *floats(size_t n)
{
    void *p = NULL;

    if (posix_memalign(&p, 64, n * sizeof(float)) != 0)
        abort();
    return p;
}

#endif
