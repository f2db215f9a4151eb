#define _GNU_SOURCE
#include "daemon/http_exchange.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/sha256.h"

/* The headers and their table, and every decoded text of the target, each rounded up. */
#define ARENA_BYTES_MAX (2u * HTTP_HEADER_BYTES_MAX + 4u * HTTP_TARGET_BYTES_MAX)

struct http_exchange *exchange_new(struct http_server *server, struct MHD_Connection *connection)
{
    struct http_exchange *x = calloc(1, sizeof *x);
    uint8_t random[SHA256_BYTES] = {0};
    char hex[SHA256_HEX_BYTES];

    if (!x)
        return NULL;
    x->server = server;
    x->connection = connection;
    x->request.exchange = x;
    x->request.cancelled = &x->cancelled;
    x->request.method = "";
    x->request.body = "";
    x->response.type = "application/json";
    x->n_refs = 1;
    x->fd = -1;
    arena_init(&x->arena, ARENA_BYTES_MAX);
    buf_init(&x->response.body, (size_t)-2);
    buf_init(&x->stream, 2 * (size_t)HTTP_STREAM_BYTES_MAX);
    pthread_mutex_init(&x->mutex, NULL);
    pthread_cond_init(&x->drained, NULL);
    (void)random_bytes(random, (HTTP_ID_BYTES - 1) / 2);
    sha256_hex(random, hex);
    memcpy(x->request.id, hex, HTTP_ID_BYTES - 1);
    return x;
}

void exchange_ref(struct http_exchange *x)
{
    pthread_mutex_lock(&x->mutex);
    x->n_refs++;
    pthread_mutex_unlock(&x->mutex);
}

void exchange_unref(struct http_exchange *x)
{
    bool last;

    pthread_mutex_lock(&x->mutex);
    assert(x->n_refs > 0);
    last = --x->n_refs == 0;
    pthread_mutex_unlock(&x->mutex);
    if (!last)
        return;
    exchange_release_body(x);
    arena_release(&x->arena);
    buf_release(&x->response.body);
    buf_release(&x->stream);
    pthread_cond_destroy(&x->drained);
    pthread_mutex_destroy(&x->mutex);
    free(x);
}

void exchange_release_body(struct http_exchange *x)
{
    if (x->body.len > 0)
        server_body_released(x->server, x->body.len);
    buf_release(&x->body);
}

void exchange_refuse(struct http_exchange *x, int code, enum rag_status status, const char *message)
{
    http_respond_code(&x->response, code, status, message, NULL);
    x->refused = true;
}

void exchange_cancel(struct http_exchange *x)
{
    atomic_store(&x->cancelled, true);
    pthread_mutex_lock(&x->mutex);
    pthread_cond_broadcast(&x->drained);
    pthread_mutex_unlock(&x->mutex);
}

/* ---- reading the target and the headers ---- */

static enum MHD_Result add_query(void *context, enum MHD_ValueKind kind, const char *key,
                                 const char *value)
{
    struct http_exchange *x = context;
    char *name = http_decode(&x->arena, key, strlen(key), true);
    char *text = http_decode(&x->arena, value ? value : "", value ? strlen(value) : 0, true);

    (void)kind;
    if (!name || !text) {
        exchange_refuse(x, 400, RAG_EINVAL, "query: a parameter is not percent-encoded UTF-8");
        return MHD_NO;
    }
    if (x->n_query == HTTP_QUERY_MAX) {
        exchange_refuse(x, 400, RAG_EINVAL, "query: more than 16 parameters");
        return MHD_NO;
    }
    x->query[x->n_query++] = (struct http_pair){name, text};
    return MHD_YES;
}

static enum MHD_Result add_header(void *context, enum MHD_ValueKind kind, const char *key,
                                  const char *value)
{
    struct http_exchange *x = context;
    struct http_pair pair = {arena_strdup(&x->arena, key),
                             arena_strdup(&x->arena, value ? value : "")};

    (void)kind;
    x->header_bytes += strlen(key) + (value ? strlen(value) : 0) + 4; /* ": " and the line's end */
    if (x->header_bytes > HTTP_HEADER_BYTES_MAX || x->n_headers == HTTP_HEADERS_MAX || !pair.name ||
        !pair.value) {
        char message[128];

        snprintf(message, sizeof message, "headers: over the limit of %d bytes or %d headers",
                 HTTP_HEADER_BYTES_MAX, HTTP_HEADERS_MAX);
        exchange_refuse(x, 431, RAG_ELIMIT, message);
        return MHD_NO;
    }
    x->headers[x->n_headers++] = pair;
    return MHD_YES;
}

static void copy_headers(struct http_exchange *x)
{
    int n = MHD_get_connection_values(x->connection, MHD_HEADER_KIND, NULL, NULL);

    x->headers = arena_calloc(&x->arena, n > HTTP_HEADERS_MAX ? HTTP_HEADERS_MAX : (size_t)n,
                              sizeof *x->headers);
    if (x->headers)
        MHD_get_connection_values(x->connection, MHD_HEADER_KIND, add_header, x);
    else
        exchange_refuse(x, 503, RAG_ENOMEM, "headers: out of memory");
}

static void decode_segments(struct http_exchange *x)
{
    for (size_t i = 0; i < x->match.n_segments && !x->refused; i++) {
        const struct http_segment *s = &x->match.segments[i];
        char *value = http_decode(&x->arena, s->text, s->n_bytes, false);
        char message[256];

        x->params[i] = (struct http_pair){s->name, value};
        if (!value) {
            snprintf(message, sizeof message, "path segment '%.150s': not percent-encoded UTF-8",
                     s->text);
            exchange_refuse(x, 400, RAG_EINVAL, message);
        }
    }
}

/* The path of a target in absolute form, which every server takes (RFC 9112, 3.2.2). */
static const char *target_path(const char *target)
{
    const char *rest;

    if (strncasecmp(target, "http://", 7) != 0)
        return target;
    rest = strchr(target + 7, '/');
    return rest ? rest : "/";
}

void exchange_route(struct http_exchange *x, const char *method, const char *path,
                    const struct http_route *routes, size_t n_routes)
{
    char message[384];

    if (strlen(path) > HTTP_TARGET_BYTES_MAX) {
        snprintf(message, sizeof message, "path: %zu bytes, the limit is %d", strlen(path),
                 HTTP_TARGET_BYTES_MAX);
        exchange_refuse(x, 414, RAG_ELIMIT, message);
        return;
    }
    path = target_path(path);
    http_route_find(routes, n_routes, method, path, &x->match);
    if (x->match.route) {
        x->route = x->match.route;
        x->request.method = x->route->method;
        decode_segments(x);
        if (!x->refused)
            MHD_get_connection_values(x->connection, MHD_GET_ARGUMENT_KIND, add_query, x);
        if (!x->refused)
            copy_headers(x);
    } else if (x->match.allow[0] == '\0') {
        snprintf(message, sizeof message, "path '%.150s': nothing is here; see docs/PROTOCOL.md",
                 path);
        exchange_refuse(x, 404, RAG_ENOTFOUND, message);
    } else {
        snprintf(message, sizeof message, "method %.20s: not for '%.150s'; allowed: %s", method,
                 path, x->match.allow);
        exchange_refuse(x, 405, RAG_EINVAL, message);
    }
}

/* ---- for handlers ---- */

const char *http_request_param(const struct http_request *request, const char *name)
{
    const struct http_exchange *x = request->exchange;
    size_t n = strlen(name);

    for (size_t i = 0; i < x->match.n_segments; i++)
        if (strncmp(x->params[i].name, name, n) == 0 && x->params[i].name[n] == '}')
            return x->params[i].value;
    assert(false); /* a handler asks for the segments that its route has */
    return "";
}

const char *http_request_query(const struct http_request *request, const char *name)
{
    const struct http_exchange *x = request->exchange;

    for (size_t i = 0; i < x->n_query; i++)
        if (strcmp(x->query[i].name, name) == 0)
            return x->query[i].value;
    return NULL;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    const struct http_exchange *x = request->exchange;

    for (size_t i = 0; i < x->n_headers; i++)
        if (strcasecmp(x->headers[i].name, name) == 0)
            return x->headers[i].value;
    return NULL;
}

/* ---- streams ---- */

void exchange_resume(struct http_exchange *x)
{
    if (x->suspended) {
        x->suspended = false;
        MHD_resume_connection(x->connection);
    }
}

void http_stream_begin(struct http_request *request, struct http_response *response,
                       const char *static_type)
{
    struct http_exchange *x = request->exchange;

    response->code = 200;
    response->type = static_type;
    pthread_mutex_lock(&x->mutex);
    assert(x->state == EXCHANGE_WORKING);
    x->state = EXCHANGE_STREAM;
    exchange_resume(x);
    pthread_mutex_unlock(&x->mutex);
}

bool http_stream_write(struct http_request *request, const char *data, size_t n)
{
    struct http_exchange *x = request->exchange;
    struct timespec until;
    bool ok = true;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += HTTP_STREAM_WAIT_S;
    pthread_mutex_lock(&x->mutex);
    assert(x->state == EXCHANGE_STREAM && !x->stream_ended);
    while (n > 0 && ok) {
        size_t waiting = x->stream.len - x->stream_sent;
        size_t room = HTTP_STREAM_BYTES_MAX - waiting;
        size_t step = n < room ? n : room;

        if (atomic_load(&x->cancelled)) {
            ok = false;
        } else if (step == 0) {
            /* a reader that far behind must not hold a worker */
            ok = pthread_cond_timedwait(&x->drained, &x->mutex, &until) == 0;
        } else {
            /* What was sent makes room. Moved only when it is as much as may wait: each byte
             * is moved at most once for a byte that was sent. */
            if (waiting == 0 || x->stream_sent >= HTTP_STREAM_BYTES_MAX) {
                if (waiting > 0)
                    memmove(x->stream.data, x->stream.data + x->stream_sent, waiting);
                x->stream.len = waiting;
                x->stream_sent = 0;
            }
            buf_append(&x->stream, data, step);
            ok = buf_status(&x->stream) == RAG_OK;
            data += step;
            n -= step;
            exchange_resume(x);
        }
    }
    if (!ok)
        atomic_store(&x->cancelled, true);
    pthread_mutex_unlock(&x->mutex);
    return ok;
}

void http_stream_end(struct http_request *request)
{
    struct http_exchange *x = request->exchange;

    pthread_mutex_lock(&x->mutex);
    assert(x->state == EXCHANGE_STREAM);
    x->stream_ended = true;
    exchange_resume(x);
    pthread_mutex_unlock(&x->mutex);
}

ssize_t exchange_read_stream(void *context, uint64_t position, char *out, size_t max)
{
    struct http_exchange *x = context;
    ssize_t result;
    size_t n;

    (void)position;
    pthread_mutex_lock(&x->mutex);
    n = x->stream.len - x->stream_sent;
    if (n > max)
        n = max;
    if (n > 0) {
        memcpy(out, x->stream.data + x->stream_sent, n);
        x->stream_sent += n;
        pthread_cond_signal(&x->drained);
        result = (ssize_t)n;
    } else if (x->stream_ended) {
        /* a text that was cut, for want of memory, must not look complete */
        result = buf_status(&x->stream) == RAG_OK ? MHD_CONTENT_READER_END_OF_STREAM
                                                  : MHD_CONTENT_READER_END_WITH_ERROR;
    } else {
        x->suspended = true;
        MHD_suspend_connection(x->connection);
        result = 0;
    }
    pthread_mutex_unlock(&x->mutex);
    return result;
}
