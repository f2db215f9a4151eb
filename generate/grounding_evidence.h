/* generate/grounding_evidence.h - the passages of a request as claims are looked up in them.
 * Internal to generate/: grounding_support.c opens it and judges, grounding_values.c looks up
 * numbers, dates and names. */
#ifndef RAG_GENERATE_GROUNDING_EVIDENCE_H
#define RAG_GENERATE_GROUNDING_EVIDENCE_H

#include "generate/grounding_claim.h"
#include "generate/grounding_support.h"

#define TERM_SET_WORDS (QUERY_TERMS_MAX / 64)

/* A set of a claim's terms. */
struct term_set {
    uint64_t bits[TERM_SET_WORDS];
};

static inline void term_set_add(struct term_set *s, size_t i)
{
    s->bits[i / 64] |= (uint64_t)1 << (i % 64);
}

static inline bool term_set_has(const struct term_set *s, size_t i)
{
    return (s->bits[i / 64] >> (i % 64)) & 1;
}

static inline void term_set_join(struct term_set *s, const struct term_set *other)
{
    for (size_t i = 0; i < TERM_SET_WORDS; i++)
        s->bits[i] |= other->bits[i];
}

/* Something with a value in a passage. */
struct fact {
    struct entity entity;
    size_t unit;
};

struct evidence {
    const struct generator_request *request;
    const struct analyzer *analyzer;
    size_t n_passages;
    struct unit_list units;   /* owned, as all below */
    size_t *first;            /* [n_passages + 1]: units of passage i are first[i]..first[i + 1] */
    struct term_list *terms;  /* [n_passages]: of the text */
    struct term_list *around; /* [n_passages]: of title, heading and context */
    struct fact *facts;       /* in the order of the units */
    size_t n_facts;
    size_t cap_facts;
    float *asked;              /* [units.n]: share of the question in it */
    bool *instructs;           /* [units.n]: speaks to a model; no evidence */
    struct term_set *in_unit;  /* [units.n]: terms of the claim under way */
    struct term_set *in_title; /* [n_passages] */
    struct claim claim;        /* under way */
};

/* Terms in what governs a unit: title, heading, the line above a list, a table's header. */
struct term_set evidence_around(const struct evidence *e, size_t unit);

/* Does one of the chosen units say value i of the claim, of what the claim says it of? */
bool evidence_has_value(const struct evidence *e, const struct sentence_support *s, size_t i);
bool evidence_unit_has_value(const struct evidence *e, size_t unit, size_t i);
/* Is code, Latin name or person i of the claim in the passages of the chosen units? */
bool evidence_has_name(const struct evidence *e, const struct sentence_support *s, size_t i);
/* Does the claim put another person in front of a word that the passages have a person in front of
 * ("이정훈 소방교" for "탁하람 소방교")? */
bool evidence_other_person(const struct evidence *e, const struct sentence_support *s);

#endif
