/* text/terms.h - the words of a text -> terms. Internal to text/.
 *
 * What each kind of term weighs, in a passage (share of an occurrence) and in a question
 * (importance before idf), stands in one table in terms.c. */
#ifndef RAG_TEXT_TERMS_H
#define RAG_TEXT_TERMS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "text/analyzer.h"
#include "text/korean.h"
#include "text/lexicon.h"
#include "text/morphemes.h"
#include "text/term_list.h"
#include "text/word.h"

/* What can be switched off to measure its worth; the first three are korean_stem()'s. */
enum feature {
    FEATURE_PARTICLES = SUFFIX_PARTICLES,
    FEATURE_VERBS = SUFFIX_VERBS,
    FEATURE_NOUN_ENDS = SUFFIX_NOUN_ENDS,
    FEATURE_STEMS = 8,
    FEATURE_STRADDLE = 16,
    FEATURE_DAMPING = 32,
    FEATURE_QUESTION_WORDS = 64,
    FEATURE_UNITS = 128,
    FEATURE_CODES = 256,
    FEATURE_ENGLISH = 512,
    FEATURES_ALL = 1023,
};

struct term_rules {
    unsigned features;
    const struct suffix_tables *suffixes;
    const struct lexicon *lexicon;
};

/* One analysis under way. */
struct term_pass {
    const struct term_rules *rules;
    const struct word *w; /* the word being read */
    struct term_list *list;
    bool question;
    const struct morpheme_list *morphemes; /* of the whole text, or NULL: stems by tables */
    size_t next_morpheme;                  /* the first that ends behind what was read */
    float word_weight;                     /* question_word_weight() of the word, else 1 */
    enum rag_status status;                /* sticky: RAG_OK or RAG_ENOMEM */
};

/* Append the terms of p->w. */
void terms_of_word(struct term_pass *p);

#endif
