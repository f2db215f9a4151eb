/* daemon/log_line.h - one line of the log, as text or as JSON (internal to log.c).
 *
 * The events of the daemon are written as "key=value key=\"%s\" ..." formats. As JSON the format,
 * not its result, says where a key's value begins and ends, so no value can make keys. */
#ifndef RAG_DAEMON_LOG_LINE_H
#define RAG_DAEMON_LOG_LINE_H

#include <stdarg.h>

#include "base/buf.h"

#define LOG_LINE_BYTES_MAX 4096 /* with its end: PIPE_BUF, so that a line is never torn */

#define LOG_BUFFER_BYTES (LOG_LINE_BYTES_MAX * 7) /* an escape makes six bytes of one */

struct log_head {
    const char *time;
    const char *level;
    const char *request_id; /* or NULL */
    const char *event;
};

/* Append a line without its end to the empty 'line' of LOG_BUFFER_BYTES, at most
 * LOG_LINE_BYTES_MAX - 1 bytes.
 * RAG_OK or RAG_ENOMEM. */
enum rag_status log_line_text(const struct log_head *head, const char *fmt, va_list ap,
                              struct buf *line) __attribute__((format(printf, 2, 0)));
/* The same as an object: "time", "level", "req", "event" and the keys of fmt. A value of %d, %u,
 * %f or %g alone is a number, all others are strings. What does not fit is cut, and then
 * "truncated" is true. */
enum rag_status log_line_json(const struct log_head *head, const char *fmt, va_list ap,
                              struct buf *line) __attribute__((format(printf, 2, 0)));

#endif
