/* retrieve/blend_tune.h - how much the words should count beside a cross-encoder.
 *
 * Of each question the head is known with both scores of each passage; every share of a grid is
 * tried by rerank_blend() itself. The best by MRR@10 is chosen; of equal ones the present, then the
 * one nearest to it, then the smaller. Whether it is worth having, others measure on questions that
 * are not given here. */
#ifndef RAG_RETRIEVE_BLEND_TUNE_H
#define RAG_RETRIEVE_BLEND_TUNE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "retrieve/passage.h"

#define BLEND_TUNE_QUESTIONS_MIN 20 /* fewer show nothing */
#define BLEND_TUNE_STEPS         10 /* shares that are tried: 0, .1 .. 1 */

struct blend_tune_question {
    /* in the order by words, as rerank_blend() takes it; id, rerank_score, cross_score and
     * cross_read are read */
    const struct passage *head;
    size_t n;            /* at most PASSAGES_MAX */
    uint64_t gold_first; /* the passages that answer it have ids gold_first .. gold_last */
    uint64_t gold_last;
};

struct blend_choice {
    float words;       /* the share */
    double mrr;        /* MRR@10 with it */
    double mrr_before; /* with the present share, */
    double mrr_cross;  /* with 0: the cross-encoder alone, */
    double mrr_words;  /* with 1: the words alone */
};

/* present: 0..1. RAG_OK; RAG_EINVAL with fewer than BLEND_TUNE_QUESTIONS_MIN questions or a head
 * too long. Pure. */
enum rag_status blend_tune(const struct blend_tune_question *questions, size_t n, float present,
                           struct blend_choice *ret, struct rag_error *reterr);

#endif
