#define _GNU_SOURCE
#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "daemon/log_line.h"

#define WAIT_MS 100 /* for a pipe's reader, once; then lines are lost until it reads */

/* The one log of the process. */
static struct {
    pthread_mutex_t mutex; /* guards what follows */
    int fd;
    char *path;           /* owned; NULL: standard error */
    uint64_t n_lost;      /* lines, since one was written */
    enum log_level level; /* these two: set before threads start */
    enum log_format format;
} the_log = {PTHREAD_MUTEX_INITIALIZER, STDERR_FILENO, NULL, 0, LOG_INFO, LOG_TEXT};

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
}

enum rag_status log_open(const char *path, enum log_level level, enum log_format format,
                         struct rag_error *reterr)
{
    the_log.level = level;
    the_log.format = format;
    if (!path || !*path)
        return RAG_OK;
    the_log.path = strdup(path);
    if (!the_log.path)
        return rag_fail(reterr, RAG_ENOMEM, "log '%s': out of memory", path);
    the_log.fd = open_file(path);
    if (the_log.fd < 0) {
        enum rag_status status =
            rag_fail_errno(reterr, RAG_EIO, errno, "log '%s': cannot open", path);

        the_log.fd = STDERR_FILENO;
        free(the_log.path);
        the_log.path = NULL;
        return status;
    }
    return RAG_OK;
}

void log_close(void)
{
    pthread_mutex_lock(&the_log.mutex);
    if (the_log.path) {
        (void)close(the_log.fd);
        free(the_log.path);
        the_log.path = NULL;
        the_log.fd = STDERR_FILENO;
    }
    pthread_mutex_unlock(&the_log.mutex);
}

void log_reopen(void)
{
    int failed = 0;

    pthread_mutex_lock(&the_log.mutex);
    if (the_log.path) {
        int fd = open_file(the_log.path);

        if (fd >= 0) {
            (void)close(the_log.fd);
            the_log.fd = fd;
        } else {
            failed = errno;
        }
    }
    pthread_mutex_unlock(&the_log.mutex);
    if (failed != 0)
        log_event(LOG_ERROR, NULL, "log_reopen_failed", "error=\"%s\"", strerror(failed));
}

/* One line into 'line', with its end. */
static enum rag_status make_line(enum log_level level, const char *request_id, const char *event,
                                 struct buf *line, const char *fmt, va_list ap)
    __attribute__((format(printf, 5, 0)));

static enum rag_status make_line(enum log_level level, const char *request_id, const char *event,
                                 struct buf *line, const char *fmt, va_list ap)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char time[CLOCK_TEXT_BYTES];
    const struct log_head head = {time, names[level], request_id, event};
    enum rag_status status;

    clock_format(clock_wall_ms(), time);
    status = the_log.format == LOG_JSON ? log_line_json(&head, fmt, ap, line)
                                        : log_line_text(&head, fmt, ap, line);
    if (status == RAG_OK)
        line->data[line->len++] = '\n'; /* over its NUL, or over what is cut */
    return status;
}

static void write_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void write_note(const char *fmt, ...)
{
    struct buf line;
    va_list ap;

    buf_init(&line, LOG_BUFFER_BYTES);
    va_start(ap, fmt);
    if (make_line(LOG_WARN, NULL, "log_lines_lost", &line, fmt, ap) == RAG_OK &&
        write(the_log.fd, line.data, line.len) >= 0)
        the_log.n_lost = 0;
    va_end(ap);
    buf_release(&line);
}

/* Write one line, or count it as lost when the reader of a pipe does not read: a log must not
 * stop the daemon. A pipe that polls as writable takes PIPE_BUF bytes without waiting. The mutex
 * is held. */
static void write_line(const char *text, size_t n)
{
    struct pollfd p = {.fd = the_log.fd, .events = POLLOUT};

    if (poll(&p, 1, the_log.n_lost > 0 ? 0 : WAIT_MS) <= 0) {
        the_log.n_lost++;
        return;
    }
    if (write(the_log.fd, text, n) >= 0 && the_log.n_lost > 0 && poll(&p, 1, 0) > 0)
        write_note("n=%llu", (unsigned long long)the_log.n_lost);
}

void log_event(enum log_level level, const char *request_id, const char *event, const char *fmt,
               ...)
{
    struct buf line;
    va_list ap;

    if (level < the_log.level)
        return;
    buf_init(&line, LOG_BUFFER_BYTES);
    va_start(ap, fmt);
    if (make_line(level, request_id, event, &line, fmt, ap) == RAG_OK) {
        pthread_mutex_lock(&the_log.mutex);
        write_line(line.data, line.len);
        pthread_mutex_unlock(&the_log.mutex);
    }
    va_end(ap);
    buf_release(&line);
}

void log_text_hash(const char *text, size_t n, char ret[LOG_TEXT_HASH_BYTES])
{
    uint8_t digest[SHA256_BYTES] = {0};
    char hex[SHA256_HEX_BYTES];

    (void)sha256(text, n, digest);
    sha256_hex(digest, hex);
    snprintf(ret, LOG_TEXT_HASH_BYTES, "bytes=%zu sha256=%.16s", n, hex);
}
