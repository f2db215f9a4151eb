/* bench_measure.h - clocks, memory and numbers for the programs that measure kernels. */
#ifndef RAG_TESTS_BENCH_MEASURE_H
#define RAG_TESTS_BENCH_MEASURE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double seconds_of(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Zeros from a cache line on, with one line more than asked for. */
static inline void *memory(size_t bytes)
{
    void *p = NULL;

    if (posix_memalign(&p, 64, bytes + 64) != 0)
        abort();
    memset(p, 0, bytes + 64);
    return p;
}

/* -1 .. 1, going on from call to call. */
static inline float *random_floats(size_t n)
{
    static uint64_t state = 1;
    float *p = memory(n * sizeof *p);

    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        p[i] = (float)((double)(state >> 33) / 1073741824.0 - 1.0);
    }
    return p;
}

#endif
