/* retrieve/gate.h - is there anything worth generating from?
 *
 * Two reasons to stop before an answer is written:
 *   low_relevance       no passage holds enough of what the question is about:
 *                       relevance = the largest share of the question's idf mass that one
 *                       passage (with title, heading and table header) covers, 0..1. Of an
 *                       off-topic question only scattered common words are found.
 *   missing_constraint  the question insists on something (a year, a date, a model, an
 *                       article number; text/question.h, 'firm') that no passage says in
 *                       any form, its name and title included.
 * A refusal says in Korean what was missing. docs/ANSWERS.md has the measurements. */
#ifndef RAG_RETRIEVE_GATE_H
#define RAG_RETRIEVE_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "retrieve/rerank_lexical.h"

/* Questions of people about something else cover .0-.2, answerable ones in other words (no
 * content word shared but one) .2-.5, in the text's own words .5-1. */
#define GATE_RELEVANCE_MIN_DEFAULT 0.22f

struct gate_options {
    float relevance_min; /* 0..1; the configuration key ask.relevance_min */
    bool filtered;       /* passages come from the documents that a filter lets through */
};
struct gate_verdict {
    bool pass;
    float relevance;  /* 0..1 of the best passage */
    char reason[256]; /* one line, Korean or English as the question; "" on pass */
    char code[32];    /* "no_passages", "low_relevance", "missing_constraint"; "" on pass */
};

/* Passages in the order they would be given to a generator. Out of memory passes: refusing is
 * a statement about the documents, and the generator decides again. Thread-safe. */
void gate_decide(const struct lexical_query *query, const struct passage *passages, size_t n,
                 const struct gate_options *options, struct gate_verdict *ret);

#endif
