/* retrieve/gate.h - is there anything worth generating from?
 *
 * Calibrated on rerank_score and on what the question insists on (text/question.h:
 * years, codes, quoted names) and no passage has. A refusal names its reason. */
#ifndef RAG_RETRIEVE_GATE_H
#define RAG_RETRIEVE_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "retrieve/rerank_lexical.h"

struct gate_options {
    float relevance_min; /* 0..1; the configuration key gate.relevance_min */
};
struct gate_verdict {
    bool pass;
    float relevance;   /* 0..1 of the best passage */
    char reason[256];  /* Korean, one line; "" on pass */
    char code[32];     /* "no_passages", "low_relevance", "missing_constraint"; "" on pass */
};

void gate_decide(const struct lexical_query *query, const struct passage *passages, size_t n,
                 const struct gate_options *options, struct gate_verdict *ret);

#endif
