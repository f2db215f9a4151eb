/* embed/passage_text.h - what an embedder gets to read of a chunk.
 *
 *     title \n heading path \n context \n text      (empty parts left out)
 *
 * The title and the headings say what a chunk is about, often in words that it does not repeat.
 * A title that the heading path begins with is not said twice. Whatever is longer than the model
 * reads is cut at its end by the tokenizer, so the head survives. Vectors depend on this form:
 * whoever changes it raises PASSAGE_TEXT_VERSION, and everything is embedded anew. */
#ifndef RAG_EMBED_PASSAGE_TEXT_H
#define RAG_EMBED_PASSAGE_TEXT_H

#include <stddef.h>

#include "base/buf.h"

#define PASSAGE_TEXT_VERSION 1

struct passage_parts {
    const char *title;   /* "" or NULL: none; as the others but the text */
    const char *heading; /* path "A > B" */
    const char *context; /* repeated table header */
    const char *text;
    size_t text_bytes;
};

/* Append the text; buf_status() says whether it fits. */
void passage_text(const struct passage_parts *parts, struct buf *out);

#endif
