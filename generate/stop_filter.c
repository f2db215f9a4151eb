#define _GNU_SOURCE
#include "generate/stop_filter.h"

#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"

struct stop_filter {
    const char *const *stop;
    char *held; /* owned; what could become a stop string, then the piece behind it */
    size_t n_held;
    size_t cap;
    bool stopped;
};

enum rag_status stop_filter_open(const char *const *stop, struct stop_filter **ret,
                                 struct rag_error *reterr)
{
    struct stop_filter *f = calloc(1, sizeof *f);

    if (!f)
        return rag_fail(reterr, RAG_ENOMEM, "stop strings: out of memory");
    f->stop = stop && stop[0] ? stop : NULL;
    *ret = f;
    return RAG_OK;
}

void stop_filter_close(struct stop_filter *f)
{
    if (!f)
        return;
    free(f->held);
    free(f);
}

/* Where the first stop string begins in s[0, n), of those that begin there any; n: nowhere. */
static size_t first_stop(const struct stop_filter *f, const char *s, size_t n)
{
    size_t first = n;

    for (const char *const *stop = f->stop; *stop; stop++) {
        size_t length = strlen(*stop);
        const char *hit = n >= length ? memmem(s, n, *stop, length) : NULL;

        if (hit && (size_t)(hit - s) < first)
            first = (size_t)(hit - s);
    }
    return first;
}

/* Bytes at the end of s[0, n) that begin a stop string. */
static size_t may_become_stop(const struct stop_filter *f, const char *s, size_t n)
{
    size_t most = 0;

    for (const char *const *stop = f->stop; *stop; stop++) {
        size_t length = strlen(*stop) - 1; /* a whole one would have been found */

        if (length > n)
            length = n;
        while (length > most && memcmp(s + n - length, *stop, length) != 0)
            length--;
        if (length > most)
            most = length;
    }
    return most;
}

static enum rag_status hold(struct stop_filter *f, const char *text, size_t n,
                            struct rag_error *reterr)
{
    if (f->n_held + n > f->cap) {
        size_t cap = (f->n_held + n) * 2;
        char *held = realloc(f->held, cap);

        if (!held)
            return rag_fail(reterr, RAG_ENOMEM, "stop strings: out of memory");
        f->held = held;
        f->cap = cap;
    }
    memcpy(f->held + f->n_held, text, n);
    f->n_held += n;
    return RAG_OK;
}

enum rag_status stop_filter_put(struct stop_filter *f, const char *text, size_t n, struct buf *ret,
                                bool *ret_stopped, struct rag_error *reterr)
{
    enum rag_status status;
    size_t shown;

    if (n == 0 || f->stopped || !f->stop) {
        *ret_stopped = f->stopped;
        if (!f->stopped && n > 0)
            buf_append(ret, text, n);
        return buf_status(ret);
    }
    status = hold(f, text, n, reterr);
    if (status != RAG_OK)
        return status;
    shown = first_stop(f, f->held, f->n_held);
    f->stopped = shown < f->n_held;
    if (!f->stopped)
        shown -= may_become_stop(f, f->held, f->n_held);
    buf_append(ret, f->held, shown);
    f->n_held = f->stopped ? 0 : f->n_held - shown;
    memmove(f->held, f->held + shown, f->n_held);
    *ret_stopped = f->stopped;
    return buf_status(ret);
}

enum rag_status stop_filter_finish(struct stop_filter *f, struct buf *ret, struct rag_error *reterr)
{
    (void)reterr;
    if (f->n_held > 0)
        buf_append(ret, f->held, f->n_held);
    f->n_held = 0;
    return buf_status(ret);
}
