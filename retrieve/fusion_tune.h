/* retrieve/fusion_tune.h - which fusion of two rankings is worth having, measured.
 *
 * Given questions whose right passage is known and both rankings of each, a grid of methods,
 * weights, constants and depths is tried on one half of the questions (the even ones); the best of
 * it by MRR@10 and, of equal ones, the first is then measured on the other half against the better
 * of the two rankings by themselves. It is worth having when its mean gain there is positive and a
 * sign-flip permutation test gives p < FUSION_TUNE_P; else the better member alone is the answer,
 * BM25 unless the dense ranking is better by the same test. So what is chosen is never worse than
 * its best member but by what the test cannot see.
 *
 * Source of the test: Smucker, Allan and Carterette, "A Comparison of Statistical Significance
 * Tests for Information Retrieval Evaluation", CIKM 2007, section 3.1. */
#ifndef RAG_RETRIEVE_FUSION_TUNE_H
#define RAG_RETRIEVE_FUSION_TUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "retrieve/fusion.h"

#define FUSION_TUNE_QUESTIONS_MIN 40   /* fewer show nothing */
#define FUSION_TUNE_P             0.05 /* of a gain that is no gain */
#define FUSION_TUNE_DEPTH         100  /* of the deepest list that the grid looks at */

struct tune_question {
    struct ranked_list lists[N_LISTS];
    uint64_t gold_first; /* the passages that answer it have ids gold_first .. gold_last */
    uint64_t gold_last;
};

struct fusion_choice {
    struct fusion_options options; /* what to install; a weight of 0 leaves a list out */
    bool fused;                    /* both lists count */
    struct fusion_options tried;   /* the best of the grid, installed or not */
    double mrr[N_LISTS];           /* MRR@10 of each list alone, held-out half */
    double mrr_tried;              /* of 'tried', there */
    double mrr_chosen;             /* of 'options', there */
    double gain;                   /* mrr_tried - the better of mrr[] */
    double p;                      /* of that gain */
    size_t n_tune;
    size_t n_held_out;
    size_t n_grid; /* combinations tried */
};

/* RAG_OK; RAG_EINVAL with fewer than FUSION_TUNE_QUESTIONS_MIN questions; RAG_ENOMEM.
 * Deterministic. */
enum rag_status fusion_tune(const struct tune_question *questions, size_t n,
                            struct fusion_choice *ret, struct rag_error *reterr);

#endif
