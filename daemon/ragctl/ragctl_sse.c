#include "daemon/ragctl/ragctl_sse.h"

#include <string.h>

#define EVENT_NAME_BYTES_MAX 64

void ragctl_sse_init(struct ragctl_sse *sse, size_t event_bytes_max,
                     bool (*on_event)(void *context, const char *event, const char *data,
                                      size_t data_bytes),
                     void *context)
{
    buf_init(&sse->line, event_bytes_max);
    buf_init(&sse->event, EVENT_NAME_BYTES_MAX);
    buf_init(&sse->data, event_bytes_max);
    sse->has_data = false;
    sse->on_event = on_event;
    sse->context = context;
}

void ragctl_sse_release(struct ragctl_sse *sse)
{
    buf_release(&sse->line);
    buf_release(&sse->event);
    buf_release(&sse->data);
}

static bool end_event(struct ragctl_sse *sse)
{
    bool go_on = true;

    if (sse->has_data)
        go_on = sse->on_event(sse->context, sse->event.len ? buf_str(&sse->event) : "message",
                              buf_str(&sse->data), sse->data.len);
    buf_reset(&sse->event);
    buf_reset(&sse->data);
    sse->has_data = false;
    return go_on;
}

static bool end_line(struct ragctl_sse *sse)
{
    const char *line = buf_str(&sse->line);
    const char *value = strchr(line, ':');
    size_t name_bytes;

    if (line[0] == '\0')
        return end_event(sse);
    name_bytes = value ? (size_t)(value - line) : sse->line.len;
    value = value ? value + 1 : "";
    if (*value == ' ')
        value++;
    if (name_bytes == 4 && memcmp(line, "data", 4) == 0) {
        if (sse->has_data)
            buf_append_char(&sse->data, '\n');
        buf_append_str(&sse->data, value);
        sse->has_data = true;
    } else if (name_bytes == 5 && memcmp(line, "event", 5) == 0) {
        buf_reset(&sse->event);
        buf_append_str(&sse->event, value);
    }
    return buf_status(&sse->data) == RAG_OK && buf_status(&sse->event) == RAG_OK;
}

bool ragctl_sse_feed(struct ragctl_sse *sse, const char *bytes, size_t n)
{
    while (n > 0) {
        const char *lf = memchr(bytes, '\n', n);
        size_t part = lf ? (size_t)(lf - bytes) : n;

        buf_append(&sse->line, bytes, part);
        if (buf_status(&sse->line) != RAG_OK)
            return false;
        if (!lf)
            return true;
        if (sse->line.len > 0 && sse->line.data[sse->line.len - 1] == '\r')
            sse->line.data[--sse->line.len] = '\0';
        if (!end_line(sse))
            return false;
        buf_reset(&sse->line);
        bytes = lf + 1;
        n -= part + 1;
    }
    return true;
}
