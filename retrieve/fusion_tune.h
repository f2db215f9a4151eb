/* retrieve/fusion_tune.h - which fusion of two rankings is worth having, measured.
 *
 * Given questions whose right passage is known and both rankings of each, the best of a grid of
 * methods, weights, constants and depths by MRR@10 and, of equal ones, the first is compared with
 * the better of the two rankings by themselves. It is proposed when its mean gain is positive and a
 * sign-flip permutation test gives p < FUSION_TUNE_P; else the better member alone is, BM25 unless
 * the dense ranking is better by the same test. The best of many is flattered by the questions that
 * chose it: whether to install the proposal, others measure on questions that are not given here.
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

#define FUSION_TUNE_QUESTIONS_MIN 20   /* fewer show nothing */
#define FUSION_TUNE_P             0.05 /* of a gain that is no gain */
#define FUSION_TUNE_DEPTH         100  /* of the deepest list that the grid looks at */

struct tune_question {
    struct ranked_list lists[N_LISTS];
    uint64_t gold_first; /* the passages that answer it have ids gold_first .. gold_last */
    uint64_t gold_last;
};

struct fusion_choice {
    struct fusion_options options; /* what to try; a weight of 0 leaves a list out */
    bool fused;                    /* both lists count */
    struct fusion_options tried;   /* the best of the grid */
    double mrr[N_LISTS];           /* MRR@10 of each list alone */
    double mrr_tried;              /* of 'tried' */
    double mrr_chosen;             /* of 'options' */
    double gain;                   /* mrr_tried - the better of mrr[] */
    double p;                      /* of that gain */
    size_t n_grid;                 /* combinations tried */
};

/* RAG_OK; RAG_EINVAL with fewer than FUSION_TUNE_QUESTIONS_MIN questions; RAG_ENOMEM.
 * Deterministic. */
enum rag_status fusion_tune(const struct tune_question *questions, size_t n,
                            struct fusion_choice *ret, struct rag_error *reterr);

#endif
