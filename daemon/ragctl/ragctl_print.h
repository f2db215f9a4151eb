/* daemon/ragctl/ragctl_print.h - text for people: columns that line up in Hangul too, and
 * nothing in a document that could drive a terminal. */
#ifndef RAG_DAEMON_RAGCTL_PRINT_H
#define RAG_DAEMON_RAGCTL_PRINT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/json.h"

/* Columns that a terminal gives a code point: 2 for East Asian wide and full-width ones,
 * 0 for combining marks and the vowels and finals of decomposed Hangul, else 1. It does not
 * ask the locale, so a script with LC_ALL=C prints the same.
 * Source: UAX #11, EastAsianWidth W and F by blocks. */
unsigned print_char_columns(uint32_t code_point);
/* Of well-formed or other UTF-8 (a bad byte counts 1). */
size_t print_columns(const char *s);

/* Append s with every control character (C0 but LF and TAB, DEL, C1, the bidirectional
 * overrides) and bad byte as U+FFFD: a stored text may hold escape sequences. */
void print_clean(struct buf *out, const char *s, size_t n_bytes);
/* The same on one line: runs of white space become one space; cut with an ellipsis at
 * columns_max (0: no limit). */
void print_one_line(struct buf *out, const char *s, size_t n_bytes, size_t columns_max);
/* Append s, broken at spaces (a word wider than the line is cut) so that no line is wider
 * than 'columns', each line preceded by 'indent'. White space runs become one space. Ends
 * with a line feed. */
void print_wrapped(struct buf *out, const char *s, const char *indent, size_t columns);

/* A table: the cells are one-line texts; the last column is not padded. Numbers are
 * right-aligned where the column's 'align' letter is 'r' (one letter per column). */
struct print_table {
    const char *align; /* "lrl": its length is the number of columns */
    struct buf cells;  /* NUL-separated */
    size_t n_cells;
};
void print_table_init(struct print_table *t, const char *align);
void print_table_release(struct print_table *t);
void print_table_cell(struct print_table *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Append all rows; a row that is not complete is left out. */
void print_table_append(const struct print_table *t, struct buf *out);

/* How a reply says that its passages were found: "hybrid (scaled, bm25 0.5, dense 0.5), reranked
 * by lexical". Appended. */
void print_retrieval(struct buf *out, const struct json *reply);

/* Columns of the terminal at 'out', or 80. */
size_t print_terminal_columns(FILE *out);
/* A member as text for a cell: a string as it is, else its JSON; "" when absent. Appended. */
void print_json_value(struct buf *out, const struct json *node);

#endif
