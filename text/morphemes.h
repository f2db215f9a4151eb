/* text/morphemes.h - morphemes by libmecab and a mecab-ko dictionary, when a person
 * configured one. Internal to text/.
 *
 * libmecab.so.2 is loaded with dlopen, so that it is neither a build nor a run
 * dependency; the few functions used are declared here from its documented C interface
 * (https://taku910.github.io/mecab/libmecab.html). One model and tagger serve any number
 * of threads: a parse keeps its state in a lattice of its own. */
#ifndef RAG_TEXT_MORPHEMES_H
#define RAG_TEXT_MORPHEMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum morpheme_kind {
    MORPHEME_EMPTY, /* particles, endings, copulas, auxiliaries, symbols */
    MORPHEME_NOUN,  /* nouns, roots, prefixes and suffixes of nouns, numerals */
    MORPHEME_VERB,  /* verbs and adjectives, with a fused ending at most */
    MORPHEME_OTHER, /* adverbs, determiners, interjections, foreign words */
};

struct morpheme {
    uint32_t byte_start; /* in the analysed text */
    uint32_t byte_end;
    uint8_t kind; /* enum morpheme_kind */
};

struct morpheme_list {
    struct morpheme *items; /* owned */
    size_t n;
    size_t cap;
};
void morpheme_list_release(struct morpheme_list *list);

struct morphemes; /* opaque: the library, the model and the tagger */

/* RAG_OK; RAG_EINVAL when libmecab or the dictionary cannot be loaded, naming it. */
enum rag_status morphemes_open(const char *dictionary, struct morphemes **ret,
                               struct rag_error *reterr);
void morphemes_close(struct morphemes *m); /* NULL is a no-op */

/* The morphemes of n bytes, in order; *ret is overwritten. RAG_OK or RAG_ENOMEM. */
enum rag_status morphemes_read(const struct morphemes *m, const char *text, size_t n,
                               struct morpheme_list *ret);

#endif
