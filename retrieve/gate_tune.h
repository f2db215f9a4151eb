/* retrieve/gate_tune.h - which threshold of the refusal gate tells questions that the documents
 * answer from those that they do not.
 *
 * Each question was asked twice: with the document that answers it and without. On one half of them
 * the threshold is chosen whose index is highest, of those that refuse at most a given share with;
 * of equal ones the smallest:
 *
 *     index = share refused without - GATE_TUNE_FALSE_COST * share refused with
 *
 * (Youden's index with a price: a reader sees by the citations that an answer is none, but never
 * the answer that was refused). The other half says what that is worth:
 *
 *     better    where the present threshold keeps to the share on the first half: the index is
 *               higher, beyond chance. Where it does not: less is refused with, beyond chance.
 *               And in both cases the share refused with is not above the bound beyond chance.
 *
 * Beyond chance: the interval of base/paired.h at 95% does not reach 0, or the bound. */
#ifndef RAG_RETRIEVE_GATE_TUNE_H
#define RAG_RETRIEVE_GATE_TUNE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/paired.h"
#include "base/status.h"

#define GATE_TUNE_QUESTIONS_MIN 20 /* of each half; fewer show nothing */
#define GATE_TUNE_FALSE_COST    3
#define GATE_TUNE_STEPS         100 /* thresholds that are tried: 0, .01 .. 1 */

/* What the gate said of one search. */
struct gate_seen {
    float relevance;
    bool decided; /* whatever the threshold is: nothing was found, something asked for is nowhere,
                     or the cross-encoder overruled; then as 'refused' says */
    bool refused;
};
struct gate_tune_question {
    struct gate_seen with;
    struct gate_seen without;
    bool measures; /* else it learns */
};

/* Shares of one half at one threshold. */
struct gate_shares {
    double refused_with;    /* falsely */
    double refused_without; /* rightly */
};

struct gate_choice {
    float threshold;
    struct gate_shares learned; /* learning half, chosen threshold */
    struct gate_shares before;  /* measuring half, present threshold */
    struct gate_shares after;   /* measuring half, chosen one */
    struct paired with;         /* of each question there: after - before */
    struct paired without;
    struct paired index;
    struct paired falsely; /* after, by itself */
    bool kept_bound;       /* the present threshold keeps to it on the learning half */
    bool better;
};

/* bound: 0..1. RAG_OK; RAG_EINVAL when a half has fewer than GATE_TUNE_QUESTIONS_MIN. Pure. */
enum rag_status gate_tune(const struct gate_tune_question *questions, size_t n, float present,
                          double bound, struct gate_choice *ret, struct rag_error *reterr);

#endif
