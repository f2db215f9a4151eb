/* retrieve/lexical_tune.h - which weights of the rerank by words rank right passages highest.
 *
 * Given the heads of rankings as the rerank read them and which of their passages are right, one
 * weight after the other is tried at the values of a fixed grid while the others stay, until a
 * round changes nothing; what raises MRR@10 is kept, and of equal values the first, the present one
 * being tried before all. The weight of bm25 is 1 throughout: only the ratios count. 'kind' stays
 * as it is: headings and titles ask for no date.
 *
 * Coordinate ascent on the metric itself: Metzler and Croft, "Linear feature-based models for
 * information retrieval", Information Retrieval 10(3), 2007, section 4.3.1. */
#ifndef RAG_RETRIEVE_LEXICAL_TUNE_H
#define RAG_RETRIEVE_LEXICAL_TUNE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "retrieve/fusion.h"
#include "retrieve/passage.h"
#include "retrieve/rerank_lexical.h"

#define LEXICAL_TUNE_QUESTIONS_MIN 20  /* fewer show nothing */
#define LEXICAL_TUNE_HEAD_MAX      100 /* passages of one head that are looked at */

struct lexical_tune_question {
    /* id, words, bm25_rank, dense_rank and dense_score are read; ids are distinct */
    const struct passage *head;
    size_t n;            /* at most LEXICAL_TUNE_HEAD_MAX */
    uint64_t gold_first; /* the passages that answer it have ids gold_first .. gold_last */
    uint64_t gold_last;
};

struct lexical_choice {
    struct lexical_weights weights;
    double mrr_before; /* MRR@10 with the present weights */
    double mrr_after;
    size_t n_tried; /* weights that were tried */
};

/* fusion: of a search that has vectors, where the order by words takes the place of bm25's; NULL:
 * the order by words alone counts. present: bm25 > 0. RAG_OK; RAG_EINVAL with fewer than
 * LEXICAL_TUNE_QUESTIONS_MIN questions or a head too long; RAG_ENOMEM. Deterministic. */
enum rag_status lexical_tune(const struct lexical_tune_question *questions, size_t n,
                             const struct fusion_options *fusion,
                             const struct lexical_weights *present, struct lexical_choice *ret,
                             struct rag_error *reterr);

#endif
