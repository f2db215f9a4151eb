/* generate/grounding_marks.h - citation marks in a model's text. Internal to generate/.
 *
 *     mark    = open [word] numbers close        [1]  [1, 2]  [1-3]  [자료 1]  【1】  ［１］
 *     numbers = number ((',' | ';' | '·' | '、' | '-' | '–' | '~' | '및' | "and") number)*
 *     number  = 1 to 3 digits, half or full width; "[2024]" is a year, no mark
 *
 * A range names all in between. Numbers of no passage are read and name nothing. */
#ifndef RAG_GENERATE_GROUNDING_MARKS_H
#define RAG_GENERATE_GROUNDING_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Bytes of a plain "[12]" that s begins with; 0 when it does not. */
size_t citation_number_bytes(const char *s, size_t n);

/* Bytes of the mark that s begins with; 0 when it does not. Bit i of *ret_cited: passage i, of
 * n_passages. *ret_partial: no mark yet, but it may become one when more text comes. */
size_t citation_mark_read(const char *s, size_t n, size_t n_passages, uint64_t *ret_cited,
                          bool *ret_partial);

/* Append s without its marks and without the spaces in front of them. */
void citation_marks_remove(const char *s, size_t n, struct buf *out);

#endif
