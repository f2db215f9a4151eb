/* base/buf.h - a growing byte buffer with a cap and a sticky error.
 *
 * Invariants: data is NULL or NUL-terminated at data[len]; len <= max.
 * The first failed append sets 'failed' and every later append does nothing,
 * so a caller may append many times and check once with buf_status(). */
#ifndef RAG_BASE_BUF_H
#define RAG_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct buf {
    char *data; /* owned; NULL while empty */
    size_t len;
    size_t cap;
    size_t max; /* bytes; an append past it fails with RAG_ELIMIT */
    enum rag_status failed;
};

/* An empty buffer that may grow to 'max' bytes. Allocates nothing. */
void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b); /* a zeroed or released buffer is a no-op */
void buf_reset(struct buf *b);   /* empty, keeps the memory, clears the error */

void buf_append(struct buf *b, const void *data, size_t n);
void buf_append_str(struct buf *b, const char *s);
void buf_append_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Make room for n more bytes at data + len; NULL when that fails. The caller
 * writes and then adds to len; data[len] must be made NUL again (buf_commit). */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);

/* The text, never NULL ("" while empty). Owned by b, valid until the next append. */
const char *buf_str(const struct buf *b);
/* Take the memory out (never NULL on RAG_OK; free() it) and leave b empty. */
enum rag_status buf_take(struct buf *b, char **ret_data, size_t *ret_len);
enum rag_status buf_status(const struct buf *b); /* RAG_OK, RAG_ENOMEM or RAG_ELIMIT */

#endif
