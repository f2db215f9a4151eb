#include "generate/sse_reader.h"

#include <string.h>

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"

void sse_reader_init(struct sse_reader *r, size_t bytes_max,
                     bool (*on_event)(void *context, const char *data, size_t n), void *context)
{
    *r = (struct sse_reader){.on_event = on_event, .context = context};
    buf_init(&r->line, bytes_max);
    buf_init(&r->data, bytes_max);
}

void sse_reader_release(struct sse_reader *r)
{
    buf_release(&r->line);
    buf_release(&r->data);
}

static void dispatch(struct sse_reader *r)
{
    if (r->has_data && buf_status(&r->data) == RAG_OK &&
        !r->on_event(r->context, buf_str(&r->data), r->data.len))
        r->stopped = true;
    buf_reset(&r->data);
    r->has_data = false;
}

static void take_line(struct sse_reader *r)
{
    const char *s = buf_str(&r->line);
    size_t n = r->line.len;

    if (!r->begun && n >= 3 && memcmp(s, BYTE_ORDER_MARK, 3) == 0) {
        s += 3;
        n -= 3;
    }
    r->begun = true;
    if (n == 0) {
        dispatch(r);
    } else if (n >= 4 && memcmp(s, "data", 4) == 0 && (n == 4 || s[4] == ':')) {
        size_t at = n == 4 ? 4 : n > 5 && s[5] == ' ' ? 6 : 5;

        if (r->has_data)
            buf_append_char(&r->data, '\n');
        buf_append(&r->data, s + at, n - at);
        r->has_data = true;
    }
}

static enum rag_status status_of(const struct sse_reader *r)
{
    return buf_status(&r->line) != RAG_OK ? buf_status(&r->line) : buf_status(&r->data);
}

enum rag_status sse_reader_put(struct sse_reader *r, const char *data, size_t n)
{
    size_t at = 0;

    while (at < n && !r->stopped && status_of(r) == RAG_OK) {
        const char *end;
        size_t n_line = 0;

        if (r->after_cr && data[at] == '\n')
            at++;
        r->after_cr = false;
        end = data + at;
        while (at + n_line < n && end[n_line] != '\n' && end[n_line] != '\r')
            n_line++;
        buf_append(&r->line, data + at, n_line);
        at += n_line;
        if (at == n || status_of(r) != RAG_OK)
            break;
        r->after_cr = data[at++] == '\r';
        take_line(r);
        buf_reset(&r->line);
    }
    return status_of(r);
}

enum rag_status sse_reader_finish(struct sse_reader *r)
{
    if (r->stopped || status_of(r) != RAG_OK)
        return status_of(r);
    if (r->line.len > 0)
        take_line(r);
    if (status_of(r) == RAG_OK)
        dispatch(r);
    return status_of(r);
}
