/* base/splitmix.h - a small generator of pseudo-random numbers for choices that can be repeated.
 *
 * Not for secrets. Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
 * Generators", OOPSLA 2014, figure 17 (SplitMix64 with its constants of MurmurHash3's kind). */
#ifndef RAG_BASE_SPLITMIX_H
#define RAG_BASE_SPLITMIX_H

#include <stdint.h>

/* The next number of the sequence that 'state' (any value; a seed at first) stands for. */
static inline uint64_t splitmix_next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

#endif
