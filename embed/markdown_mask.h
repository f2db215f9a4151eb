/* embed/markdown_mask.h - Markdown with its inline marks put out. Internal to embed/. */
#ifndef RAG_EMBED_MARKDOWN_MASK_H
#define RAG_EMBED_MARKDOWN_MASK_H

#include <stddef.h>

/* Replace in place, byte for byte, what could begin emphasis, code spans, links, entities,
 * escapes and inline HTML by letters, so that a parser of blocks finds the same blocks at the
 * same offsets and has nothing to resolve inside them: resolving is where the time of
 * Markdown parsers grows faster than their input. Link definitions become paragraphs. */
void markdown_mask(char *s, size_t n);

#endif
