#define _GNU_SOURCE
#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/sha256.h"

#define LINE_BYTES_MAX 4096

/* The one log of the process. */
static struct {
    pthread_mutex_t mutex; /* guards what follows */
    int fd;
    char *path; /* owned; NULL: standard error */
    enum log_level level;
} the_log = {PTHREAD_MUTEX_INITIALIZER, STDERR_FILENO, NULL, LOG_INFO};

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
    pthread_mutex_lock(&the_log.mutex);
    if (the_log.path) {
        int fd = open_file(the_log.path);

        if (fd >= 0) {
            (void)close(the_log.fd);
            the_log.fd = fd;
        }
    }
    pthread_mutex_unlock(&the_log.mutex);
}

static void append_escaped(struct buf *line, const char *text)
{
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;

        if (c < 0x20 || c == 0x7F)
            buf_printf(line, "\\x%02x", c);
        else
            buf_append_char(line, *p);
    }
}

void log_event(enum log_level level, const char *request_id, const char *event, const char *fmt,
               ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char time[CLOCK_TEXT_BYTES];
    char values[LINE_BYTES_MAX / 2];
    struct buf line;
    va_list ap;

    if (level < the_log.level)
        return;
    va_start(ap, fmt);
    vsnprintf(values, sizeof values, fmt, ap);
    va_end(ap);
    clock_format(clock_wall_ms(), time);
    buf_init(&line, (size_t)LINE_BYTES_MAX * 4); /* an escape makes four bytes of one */
    buf_printf(&line, "%s %s ", time, names[level]);
    if (request_id)
        buf_printf(&line, "req=%s ", request_id);
    buf_printf(&line, "event=%s ", event);
    append_escaped(&line, values);
    buf_append_char(&line, '\n');
    if (buf_status(&line) == RAG_OK) {
        ssize_t written;

        pthread_mutex_lock(&the_log.mutex);
        written = write(the_log.fd, line.data, line.len);
        (void)written; /* a log that cannot be written must not stop the daemon */
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
