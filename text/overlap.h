/* text/overlap.h - how much of a question stands in a place of a text.
 *
 * The question's terms carry mass_t = weight_t * idf_t. For a span of a text
 *
 *     coverage  = sum of mass_t over the distinct question terms in it / total mass
 *     proximity = sum over question words w of the best of
 *                 min(mass_v, mass_w) * order / distance, with v the question word
 *                 found before it / total mass
 *
 * where distance counts words (1: neighbours; past OVERLAP_DISTANCE_MAX: nothing) and
 * order is 1 when w follows v directly in the question, 1/2 when it follows later and
 * 1/4 when it stands before. Both lie in [0, 1]. A question word's mass is the sum over
 * its terms. Used by the rerank stage to order passages and by the extractive answerer
 * to choose sentences. Source: the coverage and proximity features of Metzler and Croft,
 * "A Markov Random Field Model for Term Dependencies", SIGIR 2005, in closed form. */
#ifndef RAG_TEXT_OVERLAP_H
#define RAG_TEXT_OVERLAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "text/analyzer.h"

#define OVERLAP_DISTANCE_MAX 4

/* A question made ready. Borrows nothing; read by any number of threads. */
struct overlap_query {
    uint64_t *ids;    /* owned hash table of term ids */
    uint16_t *slots;  /* owned: term index + 1 of each place, 0 = empty */
    size_t n_slots;   /* power of two */
    float *mass;      /* owned, [n] */
    uint16_t *word;   /* owned, [n]: which question word a term belongs to, from 0 */
    float *word_mass; /* owned, [n_words] */
    size_t n;         /* terms */
    size_t n_words;
    float total; /* > 0 unless the question has no terms */
};

/* One occurrence of a question term. */
struct overlap_hit {
    uint32_t byte_start;
    uint32_t byte_end;
    uint32_t position; /* word of the text */
    uint16_t term;     /* index into the question's terms */
};

/* The occurrences in one text, in order; memory is reused between texts. Zero-initialise.
 * One thread. */
struct overlap_text {
    struct term_list terms;   /* owned */
    struct overlap_hit *hits; /* owned */
    size_t n;
    size_t cap;
    uint32_t *stamp; /* owned, scratch per question term */
    float *credit;   /* owned, scratch per question word */
    size_t n_stamp;
    uint32_t now;
};

struct overlap {
    float coverage;
    float proximity;
};

/* idf: [terms->n]. RAG_OK or RAG_ENOMEM. */
enum rag_status overlap_query_init(const struct term_list *terms, const float *idf,
                                   struct overlap_query *ret);
void overlap_query_release(struct overlap_query *q); /* a zeroed one is a no-op */

/* Read n bytes of NFC text. RAG_OK, RAG_ENOMEM, RAG_ELIMIT. */
enum rag_status overlap_read(const struct overlap_query *q, const struct analyzer *analyzer,
                             const char *text, size_t n, struct overlap_text *ret);
void overlap_text_release(struct overlap_text *t);

/* Score the hits [from, to) of t, which overlap_find() gives for a byte span. 'given'
 * ([q->n], or NULL) says which terms count as present at a factor, such as those of the
 * title; the total never passes 1. */
struct overlap overlap_score(const struct overlap_query *q, struct overlap_text *t, size_t from,
                             size_t to, const float *given);
/* First hit at or after a byte. */
size_t overlap_find(const struct overlap_text *t, uint32_t byte_start);

#endif
