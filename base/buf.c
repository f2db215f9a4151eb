#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAP_FIRST 256u

void buf_init(struct buf *b, size_t max)
{
    assert(b);
    memset(b, 0, sizeof *b);
    b->max = max;
}

void buf_release(struct buf *b)
{
    if (!b)
        return;
    free(b->data);
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = RAG_OK;
    if (b->data)
        b->data[0] = '\0';
}

char *buf_reserve(struct buf *b, size_t n)
{
    size_t cap;
    char *data;

    assert(b->len <= b->max);
    if (b->failed != RAG_OK)
        return NULL;
    if (n > b->max - b->len) {
        b->failed = RAG_ELIMIT;
        return NULL;
    }
    if (b->data && n < b->cap - b->len)
        return b->data + b->len;

    /* max is a size that was chosen, so len + n + 1 <= max + 1 cannot wrap
     * unless max is SIZE_MAX, which the next line refuses. */
    if (b->len + n == (size_t)-1) {
        b->failed = RAG_ELIMIT;
        return NULL;
    }
    cap = b->cap ? b->cap : CAP_FIRST;
    while (cap < b->len + n + 1)
        cap = cap > (size_t)-1 / 2 ? b->len + n + 1 : cap * 2;
    data = realloc(b->data, cap);
    if (!data) {
        b->failed = RAG_ENOMEM;
        return NULL;
    }
    b->data = data;
    b->cap = cap;
    return b->data + b->len;
}

void buf_commit(struct buf *b, size_t n)
{
    assert(b->data && n < b->cap - b->len);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_append(struct buf *b, const void *data, size_t n)
{
    char *at = buf_reserve(b, n);

    if (!at)
        return;
    if (n > 0)
        memcpy(at, data, n);
    buf_commit(b, n);
}

void buf_append_str(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}

void buf_append_char(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    char *at;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->failed = b->failed != RAG_OK ? b->failed : RAG_EINTERNAL;
        return;
    }
    at = buf_reserve(b, (size_t)n);
    if (!at)
        return;
    va_start(ap, fmt);
    vsnprintf(at, (size_t)n + 1, fmt, ap);
    va_end(ap);
    buf_commit(b, (size_t)n);
}

const char *buf_str(const struct buf *b)
{
    return b->data ? b->data : "";
}

enum rag_status buf_take(struct buf *b, char **ret_data, size_t *ret_len)
{
    if (b->failed != RAG_OK)
        return b->failed;
    if (!b->data && !buf_reserve(b, 0))
        return b->failed;
    b->data[b->len] = '\0';
    *ret_data = b->data;
    if (ret_len)
        *ret_len = b->len;
    b->data = NULL; /* the caller owns it from here on */
    b->len = 0;
    b->cap = 0;
    return RAG_OK;
}

enum rag_status buf_status(const struct buf *b)
{
    return b->failed;
}
