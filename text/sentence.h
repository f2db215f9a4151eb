/* text/sentence.h - sentence spans of Korean (and other) prose.
 *
 * A sentence ends after . ! ? ... and their full-width forms with what closes
 * them (quotes, brackets), and at a line break; not inside a number (3.14), a
 * date (2024. 3. 1.), an abbreviation, a version, a URL or an initial, and a
 * quoted sentence followed by a particle ("...했다."고) goes on. Korean endings
 * without a stop (다/요/까 at the end of a line) end with the line. */
#ifndef RAG_TEXT_SENTENCE_H
#define RAG_TEXT_SENTENCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct sentence {
    uint32_t byte_start; /* of the first character that is not white space */
    uint32_t byte_end;   /* after the last one */
};

/* Split n bytes of NFC text. *ret_sentences is malloc'ed (free() it), in order,
 * not overlapping; white space alone gives none. RAG_OK or RAG_ENOMEM;
 * RAG_ELIMIT when n > UINT32_MAX. Thread-safe. */
enum rag_status sentence_split(const char *text, size_t n, struct sentence **ret_sentences,
                               size_t *ret_n);

#endif
