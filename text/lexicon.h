/* text/lexicon.h - the user's dictionary and synonyms. Internal to text/.
 *
 * Dictionary: one word per line. A word of the text that begins with it is cut after it
 * and nowhere inside, whatever its last syllables look like; of several the longest counts.
 * Synonyms: "word, word, ..." per line, all equal. In both files '#' starts a comment, and
 * empty lines are skipped. */
#ifndef RAG_TEXT_LEXICON_H
#define RAG_TEXT_LEXICON_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "text/term_list.h"

struct lexicon {
    uint64_t *words; /* owned, ascending hashes of the dictionary's words */
    size_t n_words;
    size_t n_syllables_max; /* of the longest */
    struct synonym {
        size_t group;
        struct term_list terms; /* owned: as a question has them */
    } * synonyms;               /* owned, groups together */
    size_t n_synonyms;
};

void lexicon_release(struct lexicon *x); /* a zeroed one is a no-op */

/* Read a file in NFC; 'contents' gets its bytes, for the fingerprint. RAG_OK; RAG_EIO;
 * RAG_ELIMIT; RAG_EFORMAT naming file and line; RAG_ENOMEM. */
enum rag_status lexicon_read_dictionary(struct lexicon *x, const char *path, struct buf *contents,
                                        struct rag_error *reterr);
/* 'analyze' gives a word's terms as a question of an analyzer without synonyms has them. */
typedef enum rag_status (*lexicon_analyze_fn)(const void *context, const char *text, size_t n,
                                              struct term_list *list);
enum rag_status lexicon_read_synonyms(struct lexicon *x, const char *path,
                                      lexicon_analyze_fn analyze, const void *context,
                                      struct buf *contents, struct rag_error *reterr);

/* Syllables of the longest dictionary word that s begins with; 0: none. */
size_t lexicon_prefix(const struct lexicon *x, const uint32_t *s, size_t n);

/* Append what the question's words have as synonyms, as TERM_SYNONYM. */
enum rag_status lexicon_expand(const struct lexicon *x, struct term_list *list);

#endif
