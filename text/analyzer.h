/* text/analyzer.h - Korean-first analysis: text -> index terms.
 *
 * The same analyzer reads passages and questions; a collection is bound to its
 * fingerprint, and terms of different fingerprints must never meet in one index.
 * A term is known by a 64-bit id, XXH3-64 of (kind class, normalised bytes):
 * 2^64 ids make a collision among 10 million terms a 3-in-a-million event, and a
 * fixed-size key is what the index stores and compares. Thread rule: an analyzer
 * is immutable after open; any number of threads may use it at once. */
#ifndef RAG_TEXT_ANALYZER_H
#define RAG_TEXT_ANALYZER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define ANALYZER_VERSION           1  /* bump when any text gives other terms */
#define ANALYZER_FINGERPRINT_BYTES 65 /* hex SHA-256 and NUL */

enum term_kind {
    TERM_BIGRAM,  /* two neighbouring Hangul syllables of one word */
    TERM_STEM,    /* a Hangul word without particle or ending (also one syllable) */
    TERM_WORD,    /* a Latin (or other alphabetic) word, lower case */
    TERM_NUMBER,  /* digits, with unit or form normalised */
    TERM_HANJA,   /* Han characters: bigrams and words */
    TERM_OTHER,   /* whole codes and names with symbols: AP-520, C++ */
    TERM_SYNONYM, /* of a question: added by the synonyms file, not asked in this word */
};

struct term {
    uint64_t id;
    uint32_t byte_start; /* in the analysed text */
    uint32_t byte_end;
    uint32_t position; /* index of the whitespace-delimited word, from 0 */
    float weight;      /* passage: what one occurrence counts, 1 = a full one.
                          question: importance in (0, 1], before idf; question
                          words (무엇, 언제, 어디 ...) weigh little */
    uint8_t kind;      /* enum term_kind */
};

/* Zero-initialise; memory is reused between calls. */
struct term_list {
    struct term *items; /* owned */
    size_t n;
    size_t cap;
};
void term_list_release(struct term_list *list);

struct analyzer_options {
    const char *user_dictionary;  /* path, or NULL: one word per line, '#' comments */
    const char *synonyms;         /* path, or NULL: "word, word, ..." per line */
    const char *mecab_dictionary; /* directory of a mecab-ko dictionary, or NULL: no libmecab */
    unsigned features_off;        /* 0, or what analyzer_features() gave: for measuring what one
                                     feature is worth; part of the fingerprint */
};

/* The bits of a list of feature names, "particles,verbs" (docs/ANALYZER.md names them).
 * RAG_OK, or RAG_EINVAL naming the one that is none. */
enum rag_status analyzer_features(const char *names, unsigned *ret_bits, struct rag_error *reterr);

struct analyzer; /* opaque */

/* RAG_OK; RAG_EIO, RAG_EFORMAT (file and line named), RAG_ELIMIT, RAG_ENOMEM;
 * RAG_EINVAL when mecab is asked for and not built in or not loadable. */
enum rag_status analyzer_open(const struct analyzer_options *options, struct analyzer **ret,
                              struct rag_error *reterr);
void analyzer_close(struct analyzer *a); /* NULL is a no-op */

/* Hex of SHA-256(version, options' file contents); static for the analyzer's life. */
const char *analyzer_fingerprint(const struct analyzer *a);

/* Terms of n bytes of NFC text, in text order; *list is overwritten. Repeats are
 * kept. Never fails on well-formed text but for RAG_ENOMEM; RAG_ELIMIT past
 * UINT32_MAX bytes. */
enum rag_status analyzer_passage(const struct analyzer *a, const char *text, size_t n,
                                 struct term_list *list);
/* The same for a question: each distinct term once, with its weight, at most
 * QUERY_TERMS_MAX (the heaviest stay). Synonyms of the file are added here. */
enum rag_status analyzer_question(const struct analyzer *a, const char *text, size_t n,
                                  struct term_list *list);

#endif
