/* embed/chunker.h - structured text -> chunks, by heading, paragraph, sentence.
 *
 * A chunk is a contiguous span of the stored text, of at most chunk_chars characters
 * (code points), cut at a heading always, else at a paragraph, else at a sentence, else
 * at a word, and never inside a grapheme cluster; it overlaps the one before it by whole
 * sentences of at most overlap_chars when a section is longer than a chunk. Every
 * character that is not white space is in some chunk. Rows of a cut table carry the header row in
 * 'context', items of a cut list the line that leads to it ("준비물은 다음과 같다:"). Sizes are in
 * characters, never in a model's tokens: changing a model never re-chunks. */
#ifndef RAG_EMBED_CHUNKER_H
#define RAG_EMBED_CHUNKER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "embed/extract.h"

#define CHUNKER_VERSION 1 /* bump when the same text would be cut differently */

struct chunker_options {
    size_t chunk_chars;   /* CHUNK_CHARS_MIN..MAX */
    size_t overlap_chars; /* < chunk_chars / 2 */
};

struct chunk {
    uint32_t byte_start; /* span in the stored text */
    uint32_t byte_end;
    char *heading; /* path "A > B" (the document's title not repeated), "" at the top; owned */
    char *context; /* repeated table header or lead line, or ""; owned */
};
struct chunk_list {
    struct chunk *items; /* owned */
    size_t n;
};
void chunk_list_release(struct chunk_list *list);

/* RAG_OK (a text of white space gives 0 chunks), RAG_ENOMEM, RAG_EINVAL (options out of
 * range), RAG_ELIMIT (over CHUNKS_PER_DOCUMENT_MAX). Thread-safe. */
enum rag_status chunk_document(const struct extracted *document,
                               const struct chunker_options *options, struct chunk_list *ret,
                               struct rag_error *reterr);

#endif
