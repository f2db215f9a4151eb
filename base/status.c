#define _GNU_SOURCE
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Make 'text' one line of whole UTF-8 characters. */
static void make_one_line(char *text, size_t size, int wanted)
{
    size_t n = strlen(text);

    if (wanted >= 0 && (size_t)wanted >= size) {
        /* vsnprintf cut it: drop a half character at the end */
        while (n > 0 && ((unsigned char)text[n - 1] & 0xC0) == 0x80)
            n--;
        if (n > 0 && (unsigned char)text[n - 1] >= 0xC0)
            n--;
        text[n] = '\0';
    }
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
            text[i] = '?';
}

enum rag_status rag_fail(struct rag_error *err, enum rag_status status, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        int wanted;

        err->status = status;
        va_start(ap, fmt);
        wanted = vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
        make_one_line(err->text, sizeof err->text, wanted);
    }
    return status;
}

enum rag_status rag_fail_errno(struct rag_error *err, enum rag_status status, int errnum,
                               const char *fmt, ...)
{
    if (err) {
        char why[96];
        va_list ap;
        size_t n;
        int wanted;

        err->status = status;
        va_start(ap, fmt);
        wanted = vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
        make_one_line(err->text, sizeof err->text, wanted);
        n = strlen(err->text);
        wanted = snprintf(err->text + n, sizeof err->text - n, ": %s",
                          strerror_r(errnum, why, sizeof why));
        make_one_line(err->text + n, sizeof err->text - n, wanted);
    }
    return status;
}

enum rag_status rag_status_of_write(int errnum)
{
    bool full = errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG || errnum == EROFS;

    return full ? RAG_ENOSPC : RAG_EIO;
}

const char *rag_status_code(enum rag_status status)
{
    switch (status) {
    case RAG_OK:
        return "ok";
    case RAG_EINVAL:
        return "invalid";
    case RAG_ENOMEM:
        return "out_of_memory";
    case RAG_EIO:
        return "io";
    case RAG_EFORMAT:
        return "format";
    case RAG_ENUMERIC:
        return "numeric";
    case RAG_ENOTFOUND:
        return "not_found";
    case RAG_EDENIED:
        return "denied";
    case RAG_EBUSY:
        return "busy";
    case RAG_ELIMIT:
        return "limit";
    case RAG_EEXIST:
        return "exists";
    case RAG_ECANCELLED:
        return "cancelled";
    case RAG_ETIMEOUT:
        return "timeout";
    case RAG_ENOSPC:
        return "no_space";
    case RAG_EINTERNAL:
        return "internal";
    }
    return "unknown";
}
