/* generate/grounding_claim.h - a sentence of an answer, read for what it claims. Internal to
 * generate/. */
#ifndef RAG_GENERATE_GROUNDING_CLAIM_H
#define RAG_GENERATE_GROUNDING_CLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "base/status.h"
#include "generate/generator.h"
#include "text/analyzer.h"
#include "text/entity.h"

#define CLAIM_ENTITIES_MAX 48 /* a longer list of numbers is no sentence */
#define CLAIM_NONE         SIZE_MAX
#define CLAIM_SLOTS        (QUERY_TERMS_MAX * 2)

/* A number, date, code or name, and the bytes of the claim that say what it is of: from the value
 * before it to the one behind it. */
struct claim_entity {
    struct entity entity;
    size_t from;
    size_t to;
};

struct claim {
    const char *text; /* borrowed; without list marks */
    size_t n;
    struct term_list terms;           /* owned */
    float mass[QUERY_TERMS_MAX];      /* numbers 0, what the question says less */
    float full_mass[QUERY_TERMS_MAX]; /* weight times idf */
    bool known[QUERY_TERMS_MAX];      /* the question says it */
    float total;                      /* of mass */
    uint16_t slots[CLAIM_SLOTS];      /* term index + 1 by id; 0: empty */
    struct claim_entity entities[CLAIM_ENTITIES_MAX];
    size_t n_entities;      /* more than CLAIM_ENTITIES_MAX: that many were not read */
    struct term_list asked; /* owned: the question's */
};
void claim_release(struct claim *c); /* a zeroed one is a no-op */

/* The question of a request, whose words claim nothing new. Once, before claim_read(). */
enum rag_status claim_question(struct claim *c, const struct analyzer *analyzer,
                               const struct generator_request *request);
/* Read a sentence; the one before is forgotten. RAG_OK, RAG_ENOMEM, RAG_ELIMIT. */
enum rag_status claim_read(struct claim *c, const struct analyzer *analyzer,
                           const struct generator_request *request, const char *text, size_t n);

/* Index of a term, or CLAIM_NONE. */
size_t claim_find(const struct claim *c, uint64_t id);

/* ---- clauses ---- */

struct clause {
    size_t start;
    size_t end;
};
/* The clause behind *clause in n bytes of text; false at the end. Begin with one that ends where
 * the reading is to begin. */
bool clause_next(const char *text, size_t n, struct clause *clause);
/* Does it say no: an odd number of 않, 없, 못, 불가, not ...? *ret_said is then what it says no to:
 * the words up to the last of them, three at most. */
bool clause_negative(const char *text, const struct clause *clause, struct clause *ret_said);

#endif
