/* retrieve/bm25_kernels.h - the inner loops of a search, per CPU.
 *
 * A score is an integer sum of parts, so its value does not depend on the order of
 * the terms:
 *
 *     part(tf, len) = 1 + trunc(coef * (tf / (tf + (c0 + c1 * len))))   in float
 *
 * with c0 = 8 * k1 * (1 - b), c1 = 8 * k1 * b / avglen and tf, len, avglen in eighths
 * (BM25_TF_ONE). coef = w * idf * 2^scale, where scale makes the largest possible sum
 * stay below 2^24: then the sum is exact as a float too. The leading 1 makes every
 * match score something. Every variant gives the same bits: float operations are
 * IEEE-754 single ones in this order and no multiply-add is contracted. */
#ifndef RAG_RETRIEVE_BM25_KERNELS_H
#define RAG_RETRIEVE_BM25_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define BM25_SCORE_MAX (1u << 24)

struct bm25_norm {
    float c0;
    float c1;
};

static inline int32_t bm25_part(uint32_t tf, uint32_t length, struct bm25_norm norm, float coef)
{
    float t = (float)(int32_t)tf;

    return 1 + (int32_t)(coef * (t / (t + (norm.c0 + norm.c1 * (float)(int32_t)length))));
}

/* No part of a posting with a tf no larger and a length no smaller exceeds this. tf/(tf+x)
 * in float need not rise with tf in its last bit: three roundings of a value below 2^24
 * are at most 3 units off. */
static inline int32_t bm25_part_bound(uint32_t tf, uint32_t length, struct bm25_norm norm,
                                      float coef)
{
    return bm25_part(tf, length, norm, coef) + 4;
}

struct bm25_kernels {
    const char *name;
    /* scores[doc - first] += part for the n postings. */
    void (*accumulate)(const uint32_t *docs, const uint32_t *tfs, size_t n, const uint32_t *lengths,
                       struct bm25_norm norm, float coef, uint32_t first, int32_t *scores);
    /* Indices and values of the scores >= cut (>= 1), ascending; all n scores (a multiple of
     * 16) become 0. Returns how many; ret_* have room for n. */
    size_t (*collect)(int32_t *scores, size_t n, int32_t cut, uint32_t *ret_indices,
                      int32_t *ret_scores);
};

/* Variants that this CPU can run, best first, the portable one last; NULL past it. */
const struct bm25_kernels *bm25_kernels_variant(size_t i);

#endif
