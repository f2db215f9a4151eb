/* retrieve/gate_tune.h - which threshold of the refusal gate tells questions that the documents
 * answer from those that they do not.
 *
 * Each question was asked twice: with the document that answers it and without. Some were asked
 * once more as a mixture, words of several documents that no passage holds together: nothing
 * answers these, and they stand for questions that are none of the documents' business, to which
 * what a neighbour of the missing document says is not relevant. On one half of the questions a
 * threshold is chosen among those that refuse at most a given share with, by the threshold itself
 * (what is refused at any, since something asked for is nowhere, no threshold can answer for):
 *
 *     where the present one does not refuse more, beyond chance: the one whose index is highest, of
 * equal ones the one nearest to it. Lower ones are not considered when they answer more of what
 *     nothing answers, without or mixed, beyond chance: refusing less falsely is no gain that may
 *     be paid so.
 *     where it does not: the one that refuses most without and mixed, of equal ones the smallest;
 *     it has to come down, but no further than the share demands.
 *
 *     index = share refused without - GATE_TUNE_FALSE_COST * share refused with
 *
 * (Youden's index with a price: a reader sees by the citations that an answer is none, but never
 * the answer that was refused). The other half says what that is worth:
 *
 *     better    where the present threshold kept to the share on the first half: the index is
 *               higher, beyond chance, and neither without nor mixed is less refused, beyond
 *               chance. Where it does not: less is refused with, beyond chance.
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
    struct gate_seen mixed;
    bool has_mixed;
    bool measures; /* else it learns */
};

/* Shares of one half at one threshold. */
struct gate_shares {
    double refused_with;    /* falsely */
    double refused_without; /* rightly */
    double refused_mixed;   /* likewise; 0 without any */
    double too_low;         /* with, but not relevant enough: the part of refused_with that the
                               threshold is to blame for */
};

struct gate_choice {
    float threshold;
    struct gate_shares learned; /* learning half, chosen threshold */
    struct gate_shares before;  /* measuring half, present threshold */
    struct gate_shares after;   /* measuring half, chosen one */
    struct paired with;         /* of each question there: after - before */
    struct paired without;
    struct paired mixed;
    struct paired index;
    struct paired too_low; /* after, by itself */
    bool kept_bound;       /* the present threshold does not break it on the learning half */
    bool answers_more;     /* of what nothing answers, beyond chance */
    bool better;
};

/* bound: 0..1. RAG_OK; RAG_EINVAL when a half has fewer than GATE_TUNE_QUESTIONS_MIN. Pure. */
enum rag_status gate_tune(const struct gate_tune_question *questions, size_t n, float present,
                          double bound, struct gate_choice *ret, struct rag_error *reterr);

#endif
