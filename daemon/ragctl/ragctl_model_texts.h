/* daemon/ragctl/ragctl_model_texts.h - the texts that 'ragctl model' verbs work on.
 *
 * From the command line, or from a JSON Lines file: objects with a string "text" and maybe a
 * string "pair"; other members are ignored, blank lines skipped. A line ends at LF and nowhere
 * else: U+2028, U+0085 and their like occur raw inside strings. Unlike base/json.h this reader
 * lets "\u0000" through, since a tokenizer has an answer for it, so texts carry their lengths. */
#ifndef RAG_DAEMON_RAGCTL_MODEL_TEXTS_H
#define RAG_DAEMON_RAGCTL_MODEL_TEXTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct model_text {
    const char *text;
    size_t n_bytes;
    const char *pair; /* NULL: none */
    size_t n_pair_bytes;
};

struct model_texts {
    struct model_text *items; /* owned */
    size_t n;
    size_t cap;
    char **pool; /* what the items point to, when it is from a file; owned */
    size_t n_pool;
};

void model_texts_release(struct model_texts *t); /* a zeroed one is a no-op */

/* n words, each with the same pair (or NULL); borrowed. RAG_OK, RAG_ENOMEM. */
enum rag_status model_texts_words(char *const *words, size_t n, const char *pair,
                                  struct model_texts *ret, struct rag_error *reterr);
/* path: "-" is standard input. RAG_EIO, RAG_EFORMAT (the line, what is wrong), RAG_ELIMIT,
 * RAG_ENOMEM. */
enum rag_status model_texts_file(const char *path, struct model_texts *ret,
                                 struct rag_error *reterr);
/* The same from memory; 'what' names it. */
enum rag_status model_texts_parse(const char *data, size_t n_bytes, const char *what,
                                  struct model_texts *ret, struct rag_error *reterr);

#endif
