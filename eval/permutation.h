/* eval/permutation.h - the random selection that Hugging Face and numpy users publish.
 *
 * datasets' train_test_split(test_size=N, seed=S) takes, as its test part, the first N
 * elements of numpy.random.default_rng(S).permutation(n). Here the same numbers are made:
 *
 *   SeedSequence(S)   32-bit words of S hashed into a pool of four words, from which the
 *                     256 bits of state are drawn (M. E. O'Neill's seed_seq_fe)
 *   PCG64             setseq XSL-RR 128/64 (O'Neill, "PCG", HMC-CS-2014-0905, section 6.3.3)
 *   permutation(n)    Fisher-Yates from the end: for i = n-1 .. 1 swap [i] with [j],
 *                     j uniform in [0, i]: the low bits of a 32-bit half, again while > i
 *
 * numpy promises to keep Generator streams stable only loosely, but this one has not
 * changed from 1.17 to 2.x. Pure functions; thread-safe. */
#ifndef RAG_EVAL_PERMUTATION_H
#define RAG_EVAL_PERMUTATION_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define PERMUTATION_MAX 0xFFFFFFFFu /* above it numpy draws 64-bit numbers instead */

/* *ret = default_rng(seed).permutation(n), malloc'ed (free() it; never NULL).
 * RAG_OK, RAG_ENOMEM, or RAG_ELIMIT for n > PERMUTATION_MAX. */
enum rag_status permutation_make(size_t n, uint64_t seed, uint32_t **ret);

#endif
