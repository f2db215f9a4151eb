/* generate/extractive_fit.h - does a text hold the kind of answer that is asked for, and where?
 * Internal to generate/. */
#ifndef RAG_GENERATE_EXTRACTIVE_FIT_H
#define RAG_GENERATE_EXTRACTIVE_FIT_H

#include "generate/extractive_read.h"

struct fit {
    float value;    /* 0..1 */
    uint32_t start; /* of the candidate in the passage's text; equal to end: none */
    uint32_t end;
};

/* For the span [start, end) of text, whose hits of the question are r->hits[from..to). */
struct fit fit_find(const struct reading *r, const char *text, uint32_t start, uint32_t end,
                    size_t from, size_t to);

/* Does a heading name what is asked for (원인, 절차), so that all below it is of the kind? */
bool fit_named(enum answer_kind kind, const char *name, size_t n);

/* The next word at or after *at that looks at least so much like a person's name: FIT_PERSON_TITLED
 * for a surname, three syllables and a title (윤다경 과장). Its bytes without a particle; false at
 * the end. */
#define FIT_PERSON_TITLED 0.85f
bool fit_person_next(const char *text, uint32_t end, float min, uint32_t *at, uint32_t *ret_start,
                     uint32_t *ret_end);

#endif
