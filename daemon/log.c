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
#include "base/utf8.h"

#define LINE_BYTES_MAX 4096 /* with its end: PIPE_BUF, so that a line is never torn */
#define WAIT_MS        100  /* for a pipe's reader, once; then lines are lost until it reads */

/* The one log of the process. */
static struct {
    pthread_mutex_t mutex; /* guards what follows */
    int fd;
    char *path;           /* owned; NULL: standard error */
    uint64_t n_lost;      /* lines, since one was written */
    enum log_level level; /* set before threads start */
} the_log = {PTHREAD_MUTEX_INITIALIZER, STDERR_FILENO, NULL, 0, LOG_INFO};

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
}

enum rag_status log_open(const char *path, enum log_level level, struct rag_error *reterr)
{
    the_log.level = level;
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

/* Control characters and what is not UTF-8 become \xNN. */
static void append_escaped(struct buf *line, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        unsigned char c = (unsigned char)*text;
        size_t n = utf8_sequence_bytes(text, left);

        if (n == 0 || c < 0x20 || c == 0x7F) {
            buf_printf(line, "\\x%02x", c);
            n = 1;
        } else {
            buf_append(line, text, n);
        }
        text += n;
        left -= n;
    }
}

/* Write one line, or count it as lost when the reader of a pipe does not read: a log must not
 * stop the daemon. A pipe that polls as writable takes PIPE_BUF bytes without waiting. The mutex
 * is held. */
static void write_line(const char *text, size_t n)
{
    struct pollfd p = {.fd = the_log.fd, .events = POLLOUT};
    char note[96];
    ssize_t written;

    if (poll(&p, 1, the_log.n_lost > 0 ? 0 : WAIT_MS) <= 0) {
        the_log.n_lost++;
        return;
    }
    written = write(the_log.fd, text, n);
    if (written >= 0 && the_log.n_lost > 0 && poll(&p, 1, 0) > 0) {
        char time[CLOCK_TEXT_BYTES];
        int n_note;

        clock_format(clock_wall_ms(), time);
        n_note = snprintf(note, sizeof note, "%s warn event=log_lines_lost n=%llu\n", time,
                          (unsigned long long)the_log.n_lost);
        written = write(the_log.fd, note, (size_t)n_note);
        the_log.n_lost = 0;
    }
}

void log_event(enum log_level level, const char *request_id, const char *event, const char *fmt,
               ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char time[CLOCK_TEXT_BYTES];
    char values[LINE_BYTES_MAX];
    struct buf line;
    size_t n;
    va_list ap;

    if (level < the_log.level)
        return;
    va_start(ap, fmt);
    vsnprintf(values, sizeof values, fmt, ap);
    va_end(ap);
    clock_format(clock_wall_ms(), time);
    buf_init(&line, (size_t)LINE_BYTES_MAX * 5); /* an escape makes four bytes of one */
    buf_printf(&line, "%s %s ", time, names[level]);
    if (request_id)
        buf_printf(&line, "req=%s ", request_id);
    buf_printf(&line, "event=%s ", event);
    append_escaped(&line, values);
    n = utf8_floor(buf_str(&line), line.len, LINE_BYTES_MAX - 1);
    if (buf_status(&line) == RAG_OK) {
        line.data[n++] = '\n'; /* over its NUL, or over what is cut */
        pthread_mutex_lock(&the_log.mutex);
        write_line(line.data, n);
        pthread_mutex_unlock(&the_log.mutex);
    }
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
