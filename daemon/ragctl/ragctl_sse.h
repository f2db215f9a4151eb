/* daemon/ragctl/ragctl_sse.h - a stream of server-sent events, cut anywhere -> events.
 *
 * Reads "event:" and "data:" lines (several data lines are joined by LF), comments and
 * other fields are ignored, CRLF and LF end a line, an empty line ends an event.
 * Source: WHATWG HTML, 9.2.6 "Interpreting an event stream" (without id and retry). */
#ifndef RAG_DAEMON_RAGCTL_SSE_H
#define RAG_DAEMON_RAGCTL_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct ragctl_sse {
    struct buf line;
    struct buf event; /* its name; empty: "message" */
    struct buf data;
    bool has_data;
    /* Called for each event with data; the texts are valid during the call. Return false
     * to stop reading. */
    bool (*on_event)(void *context, const char *event, const char *data, size_t data_bytes);
    void *context;
};

/* event_bytes_max: of one line and of one event's data; a longer one fails the feed. */
void ragctl_sse_init(struct ragctl_sse *sse, size_t event_bytes_max,
                     bool (*on_event)(void *context, const char *event, const char *data,
                                      size_t data_bytes),
                     void *context);
void ragctl_sse_release(struct ragctl_sse *sse);
/* false: on_event said stop, or a limit or memory ran out. */
bool ragctl_sse_feed(struct ragctl_sse *sse, const char *bytes, size_t n);

#endif
