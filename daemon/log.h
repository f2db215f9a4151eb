/* daemon/log.h - the daemon's log: one line an event, for people and for grep.
 *
 *     2026-01-31T23:59:59.123Z info event=ready ms=12.5
 *     2026-01-31T23:59:59.200Z warn req=5f3a... event=request_failed status=503 ...
 *
 * or, with log_format = json, the same keys as an object a line:
 *
 *     {"time":"2026-01-31T23:59:59.123Z","level":"info","event":"ready","ms":12.5}
 *
 * Control characters of values are escaped as \xNN, so that no value can forge a line. A
 * user's text never goes in: log_text_hash() gives its length and hash. A line is one write(2) of
 * at most 4096 bytes, cut at a character; when a pipe's reader does not read, lines are lost and
 * counted, and nobody waits. Thread-safe, but for log_open(), which comes before threads. */
#ifndef RAG_DAEMON_LOG_H
#define RAG_DAEMON_LOG_H

#include <stddef.h>

#include "base/status.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

/* path NULL or "": standard error. RAG_OK or RAG_EIO. */
enum rag_status log_open(const char *path, enum log_level level, enum log_format format,
                         struct rag_error *reterr);
void log_close(void);
/* Open the file again, after it was moved away (SIGHUP). On failure keeps the old one and says so
 * there. */
void log_reopen(void);

/* request_id may be NULL. fmt gives "key=value ..." pairs; a value that may hold blanks stands in
 * quotes. A key does not occur twice. */
void log_event(enum log_level level, const char *request_id, const char *event, const char *fmt,
               ...) __attribute__((format(printf, 4, 5)));

#define LOG_TEXT_HASH_BYTES 48
/* "bytes=N sha256=0123456789abcdef" of a text that must not be logged itself. */
void log_text_hash(const char *text, size_t n, char ret[LOG_TEXT_HASH_BYTES]);

#endif
