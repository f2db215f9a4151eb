/* guard/keywords.h - which of many words a text has, in one pass.
 *
 * Words are compared as text/word.h folds them (no case, no width, no accents); a word may have
 * blanks, and each stands for any white space. As whole words: what follows must not continue the
 * word, but for the particles and light verbs that Korean writes without a blank (비밀 in 비밀을,
 * 비밀에서는 and 비밀입니다, not in 비밀번호). The automaton is that of Aho and Corasick, CACM 18
 * (1975), over characters, its edges in a hash table. */
#ifndef RAG_GUARD_KEYWORDS_H
#define RAG_GUARD_KEYWORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "guard/finding.h"

struct keywords; /* opaque; immutable once built */

/* whole: as whole words. RAG_ENOMEM. */
enum rag_status keywords_new(bool whole, struct keywords **ret, struct rag_error *reterr);
void keywords_free(struct keywords *k); /* NULL is a no-op */
/* RAG_EINVAL (nothing but blanks, over GUARD_KEYWORD_CHARS_MAX), RAG_ELIMIT (too many), RAG_ENOMEM.
 * n bytes of NFC text. */
enum rag_status keywords_add(struct keywords *k, const char *word, size_t n,
                             struct rag_error *reterr);
/* Once, after the last word. RAG_OK, RAG_ENOMEM. */
enum rag_status keywords_build(struct keywords *k, struct rag_error *reterr);
/* The words in n bytes of NFC text, by where they end; of those that end together, and of those
 * that begin together, the longest. O(n). */
void keywords_find(const struct keywords *k, const char *text, size_t n,
                   const struct finding_sink *sink);

#endif
