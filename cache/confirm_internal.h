/* cache/confirm_internal.h - parts of confirm_words(); internal to cache/.
 *
 *   confirm.c           the order of the rules
 *   confirm_match.c     words and their counterparts
 *   confirm_facts.c     numbers, dates, codes, names, quotations
 *   confirm_sense.c     negation, opposites, what is asked for
 *   confirm_lexicon.c   which words are empty, which mean the same, forms of one verb
 *
 * Pure, thread-safe, allocates nothing but the lists of terms. */
#ifndef RAG_CACHE_CONFIRM_INTERNAL_H
#define RAG_CACHE_CONFIRM_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "cache/confirm.h"
#include "text/entity.h"
#include "text/question.h"

/* What a particle says about its noun, where exchanging two of them exchanges the meaning; the
 * last is 말고, 대신: this one not. */
enum word_role { ROLE_NONE, ROLE_SUBJECT, ROLE_OBJECT, ROLE_FROM, ROLE_TO, ROLE_THAN, ROLE_NOT };

struct confirm_word {
    const char *s; /* a run of letters and digits of the text */
    size_t n;
    float mass;   /* of its terms */
    float found;  /* of those that a possible counterpart has too, */
    float known;  /* and that any word of the other text has */
    bool stem;    /* its stem, or the whole of it, is found */
    bool begun;   /* its first letters are found */
    bool same;    /* the other text has this very word, once for each time */
    bool partner; /* may be the counterpart of a word of the other text */
    bool matched; /* has a counterpart */
    bool empty;   /* says nothing that an answer depends on */
    bool fact;    /* belongs to a number, date, code or name: compared by value */
    uint8_t role; /* enum word_role */
};

struct confirm_side {
    const char *text;
    size_t n;
    bool korean;
    struct confirm_word words[CONFIRM_WORDS_MAX];
    size_t n_words;
    struct entity facts[CONFIRM_FACTS_MAX];
    size_t n_facts;
    struct question question;
    enum answer_kind asked;
    bool asks;                            /* it is a question */
    struct term_list terms;               /* owned */
    uint8_t term_word[CONFIRM_TERMS_MAX]; /* index of a term's word; CONFIRM_WORDS_MAX: none */
};

/* ---- words of the text; comparison ignores the case of ASCII letters ---- */

bool word_is(const struct confirm_word *w, const char *what);
bool word_begins(const struct confirm_word *w, const char *what);
bool word_ends(const struct confirm_word *w, const char *what);
bool word_contains(const struct confirm_word *w, const char *what);
/* 'what' alone or with particles behind it: 전, 전에, 전까지. */
bool word_is_noun(const struct confirm_word *w, const char *what);

/* ---- confirm_match.c ---- */

/* Pair off the words that are the same to the letter. */
void confirm_match_same(struct confirm_side *a, struct confirm_side *b);
/* Have two nouns exchanged their roles: 서울에서 부산으로, 부산에서 서울로? Or is one meant that
 * the other text does not mean: 산 말고 바다, 바다 말고 산? */
bool confirm_roles_exchanged(const struct confirm_side *a, const struct confirm_side *b);
/* Has each word of content of one side a counterpart on the other, or is it a small part that the
 * other leaves out? Needs confirm_match_same(). false without memory as well. */
bool confirm_words_agree(const struct analyzer *analyzer, struct confirm_side *a,
                         struct confirm_side *b);

/* ---- confirm_facts.c ---- */

/* Fill facts and mark the words that they cover. false: more than CONFIRM_FACTS_MAX. */
bool confirm_facts_read(struct confirm_side *side);
/* CONFIRM_YES, or the kind of the first fact that the other side does not say. */
enum confirm_reason confirm_facts_compare(const struct confirm_side *a,
                                          const struct confirm_side *b);

/* ---- confirm_sense.c ---- */

unsigned confirm_negations(const struct confirm_side *side);
/* Of the words that they do not share, says one side what the other says the opposite of? */
bool confirm_opposite(const struct confirm_side *a, const struct confirm_side *b);
/* Has the word an opposite (취소, 최대, 이전)? Such a one is never a detail. */
bool confirm_has_opposite(const struct confirm_word *w);
/* Do they ask for different kinds of answer? */
bool confirm_asked_differs(const struct confirm_side *a, const struct confirm_side *b);
enum answer_kind confirm_asked(const struct confirm_side *side);

/* ---- confirm_lexicon.c ---- */

bool confirm_word_empty(const struct confirm_side *side, const struct confirm_word *w);
/* Do two words mean the same: listed together, or forms of one verb? */
bool confirm_words_same(const struct confirm_word *a, const struct confirm_word *b);
enum word_role confirm_role(const struct confirm_side *side, size_t i);

#endif
