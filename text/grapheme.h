/* text/grapheme.h - user-perceived characters (UAX #29), by utf8proc. Thread-safe. */
#ifndef RAG_TEXT_GRAPHEME_H
#define RAG_TEXT_GRAPHEME_H

#include <stdbool.h>
#include <stddef.h>

/* Is there a grapheme cluster boundary at byte 'at' of well-formed text (0 and n are)? */
bool grapheme_boundary(const char *s, size_t n, size_t at);
/* Largest boundary <= at. */
size_t grapheme_floor(const char *s, size_t n, size_t at);

#endif
