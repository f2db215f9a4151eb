/* cache/confirm.h - do two similar questions ask for the same?
 *
 * Similarity alone says that two questions are about the same things. These rules say no where
 * the answer must differ: numbers and dates (by value: 2천, 2,000), codes, names and quotations,
 * negation, opposites, comparison (이상/이하, 전/후), what is asked for (who, when, how many), and
 * content words that one of them has and the other has no like of. They err towards no: a miss
 * costs time, a false hit is a wrong answer. Thread-safe. */
#ifndef RAG_CACHE_CONFIRM_H
#define RAG_CACHE_CONFIRM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "text/analyzer.h"

enum confirm_reason {
    CONFIRM_YES,
    CONFIRM_NUMBER,
    CONFIRM_DATE,
    CONFIRM_NAME, /* codes and quotations too */
    CONFIRM_NEGATION,
    CONFIRM_OPPOSITE,
    CONFIRM_ASKED, /* another kind of answer */
    CONFIRM_WORDS, /* content words without a counterpart */
    CONFIRM_PAIR,  /* the cross-encoder calls them different */
};
const char *confirm_reason_name(enum confirm_reason reason); /* "number", ... */

/* By words alone; a and b are NFC, NUL-terminated. */
enum confirm_reason confirm_words(const struct analyzer *analyzer, const char *a, const char *b);

/* A model that reads both: score 0..1 of "the same question". */
struct confirm_pair {
    enum rag_status (*score)(void *context, const char *a, const char *b, float *ret,
                             struct rag_error *reterr);
    void *context;
    float score_min; /* below it they differ */
};

#endif
