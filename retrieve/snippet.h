/* retrieve/snippet.h - the piece of a passage that is shown where all of it would be too much.
 *
 * A piece of the text as it stands, so that its span can be checked against the document:
 *
 *   1. it begins at most a sixth of its length before the question's words: behind the last line
 *      end there, else at a word; at the text's beginning where no word was found,
 *   2. it goes on to its length; at the end of the text it begins earlier instead,
 *   3. it ends behind a word where one ends in its last sixth,
 *   4. nothing is cut within a character that a person sees (text/grapheme.h).
 *
 * Pure; thread-safe. */
#ifndef RAG_RETRIEVE_SNIPPET_H
#define RAG_RETRIEVE_SNIPPET_H

#include <stddef.h>

#include "retrieve/rerank_window.h"

/* text: n bytes of NFC text, n <= UINT32_MAX. words: as for rerank_window(). At most chars_max
 * (>= 1) code points, without white space at either end; empty only for white space alone. One
 * seen character of more than chars_max code points is cut between these. */
struct byte_span snippet_cut(const char *text, size_t n, struct byte_span words, size_t chars_max);

#endif
