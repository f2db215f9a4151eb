#define _GNU_SOURCE
#include "daemon/http_exchange.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_writer.h"
#include "base/sha256.h"
#include "base/utf8.h"

#define ARENA_BYTES_MAX (4u * HTTP_TARGET_BYTES_MAX)

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
    x->request.body = "";
    x->response.type = "application/json";
    x->n_refs = 1;
    x->fd = -1;
    arena_init(&x->arena, ARENA_BYTES_MAX);
    buf_init(&x->response.body, (size_t)-2);
    buf_init(&x->stream, HTTP_STREAM_BYTES_MAX + HTTP_STREAM_BYTES_MAX);
    pthread_mutex_init(&x->mutex, NULL);
    pthread_cond_init(&x->drained, NULL);
    (void)random_bytes(random, (HTTP_ID_BYTES - 1) / 2);
    sha256_hex(random, hex);
    memcpy(x->request.id, hex, HTTP_ID_BYTES - 1);
    return x;
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
    arena_release(&x->arena);
    buf_release(&x->body);
    buf_release(&x->response.body);
    buf_release(&x->stream);
    pthread_cond_destroy(&x->drained);
    pthread_mutex_destroy(&x->mutex);
    free(x);
}

void exchange_refuse(struct http_exchange *x, int code, enum rag_status status, const char *message)
{
    http_respond_error(&x->response, status, message, NULL);
    x->response.code = code;
    x->refused = true;
}

/* ---- decoding ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

char *http_decode(struct arena *arena, const char *text, size_t n, bool plus_is_space)
{
    char *out = arena_alloc(arena, n + 1);
    size_t m = 0;

    if (!out)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];

        if (c == '%') {
            int high = i + 1 < n ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < n ? hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return NULL;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0')
            return NULL;
        out[m++] = c;
    }
    out[m] = '\0';
    return utf8_valid(out, m, NULL) ? out : NULL;
}

/* Match one pattern; fills the params on success. bad: a segment does not decode. */
static bool match(struct http_exchange *x, const char *pattern, const char *path, bool *bad)
{
    x->n_params = 0;
    while (*pattern && *path) {
        const char *end;
        char *value;

        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        end = strchr(path, '/');
        if (!end)
            end = path + strlen(path);
        if (end == path)
            return false;
        value = http_decode(&x->arena, path, (size_t)(end - path), false);
        if (!value) {
            *bad = true;
            value = arena_strdup(&x->arena, "");
        }
        assert(x->n_params < HTTP_PARAMS_MAX);
        x->params[x->n_params].name = pattern + 1; /* compared up to '}' */
        x->params[x->n_params++].value = value;
        path = end;
        pattern = strchr(pattern, '}') + 1;
    }
    return *pattern == '\0' && *path == '\0';
}

static enum MHD_Result add_query(void *context, enum MHD_ValueKind kind, const char *key,
                                 const char *value)
{
    struct http_exchange *x = context;
    char *name = http_decode(&x->arena, key, strlen(key), true);
    char *text = http_decode(&x->arena, value ? value : "", value ? strlen(value) : 0, true);

    (void)kind;
    if (!name || !text) {
        exchange_refuse(x, 400, RAG_EINVAL,
                        "query: a parameter is not percent-encoded UTF-8, or is too long");
        return MHD_NO;
    }
    if (x->n_query == HTTP_QUERY_MAX) {
        exchange_refuse(x, 400, RAG_EINVAL, "query: more than 16 parameters");
        return MHD_NO;
    }
    x->query[x->n_query++] = (struct http_pair){name, text};
    return MHD_YES;
}

static bool same_method(const char *route, const char *method)
{
    return strcmp(route, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(route, "GET") == 0);
}

enum rag_status exchange_route(struct http_exchange *x, const char *method, const char *path,
                               const struct http_route *routes, size_t n_routes)
{
    char message[256];
    bool known = false;
    struct buf allow;

    buf_init(&allow, 256);
    for (size_t i = 0; i < n_routes && !x->route; i++) {
        bool bad = false;

        if (!match(x, routes[i].pattern, path, &bad))
            continue;
        known = true;
        if (!same_method(routes[i].method, method)) {
            buf_printf(&allow, "%s%s", allow.len ? ", " : "", routes[i].method);
            continue;
        }
        if (bad) {
            snprintf(message, sizeof message,
                     "path '%.150s': a segment is not percent-encoded UTF-8", path);
            exchange_refuse(x, 400, RAG_EINVAL, message);
            break;
        }
        x->route = &routes[i];
        x->route_index = (unsigned)i;
        x->request.method = routes[i].method;
    }
    if (x->route) {
        MHD_get_connection_values(x->connection, MHD_GET_ARGUMENT_KIND, add_query, x);
    } else if (!known) {
        snprintf(message, sizeof message, "path '%.150s': nothing is here; see docs/PROTOCOL.md",
                 path);
        exchange_refuse(x, 404, RAG_ENOTFOUND, message);
    } else if (!x->refused) {
        snprintf(message, sizeof message, "method %.20s: not for '%.100s'; allowed: %.60s", method,
                 path, buf_str(&allow));
        exchange_refuse(x, 405, RAG_EINVAL, message);
        x->allow = arena_strdup(&x->arena, buf_str(&allow));
    }
    buf_release(&allow);
    return x->refused ? RAG_EINVAL : RAG_OK;
}

/* ---- for handlers ---- */

const char *http_request_param(const struct http_request *request, const char *name)
{
    const struct http_exchange *x = request->exchange;
    size_t n = strlen(name);

    for (size_t i = 0; i < x->n_params; i++)
        if (strncmp(x->params[i].name, name, n) == 0 && x->params[i].name[n] == '}')
            return x->params[i].value;
    assert(!"a handler asks for a segment that its route has");
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
    return MHD_lookup_connection_value(request->exchange->connection, MHD_HEADER_KIND, name);
}

void http_respond(struct http_response *response, int code, struct buf *body)
{
    buf_release(&response->body);
    response->code = code;
    response->body = *body;
    buf_init(body, body->max); /* its memory is the response's now */
}

void http_response_type(struct http_response *response, const char *static_type)
{
    response->type = static_type;
}

int http_status_of(enum rag_status status)
{
    switch (status) {
    case RAG_OK:
        return 200;
    case RAG_EINVAL:
    case RAG_EFORMAT:
    case RAG_ENUMERIC:
        return 400;
    case RAG_EDENIED:
        return 403;
    case RAG_ENOTFOUND:
        return 404;
    case RAG_EEXIST:
        return 409;
    case RAG_ELIMIT:
        return 413;
    case RAG_ECANCELLED:
        return 499; /* the client went first; as nginx counts it */
    case RAG_EBUSY:
    case RAG_ENOMEM:
        return 503;
    case RAG_ETIMEOUT:
        return 504;
    case RAG_ENOSPC:
        return 507;
    case RAG_EIO:
    case RAG_EINTERNAL:
        return 500;
    }
    return 500;
}

static const char *type_of(int code)
{
    if (code == 403 || code == 401)
        return "permission_error";
    if (code == 404)
        return "not_found_error";
    if (code >= 400 && code < 500)
        return "invalid_request_error";
    return code == 503 ? "overloaded_error" : "server_error";
}

void http_respond_error(struct http_response *response, enum rag_status status, const char *message,
                        const char *param)
{
    struct json_writer w;
    struct buf body;

    buf_init(&body, 16384);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    json_begin_object(&w, "error");
    json_put_string(&w, "type", type_of(http_status_of(status)));
    json_put_string(&w, "code", rag_status_code(status));
    json_put_string(&w, "message", message);
    json_put_string(&w, "param", param);
    json_end_object(&w);
    json_end_object(&w);
    response->type = "application/json";
    http_respond(response, http_status_of(status), &body);
    buf_release(&body);
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
    x->state = EXCHANGE_STREAM;
    exchange_resume(x);
    pthread_mutex_unlock(&x->mutex);
}

bool http_stream_write(struct http_request *request, const char *data, size_t n)
{
    struct http_exchange *x = request->exchange;
    bool ok = true;

    pthread_mutex_lock(&x->mutex);
    while (n > 0 && ok) {
        size_t waiting = x->stream.len - x->stream_sent;
        size_t room = HTTP_STREAM_BYTES_MAX - waiting;
        size_t step = n < room ? n : room;

        if (atomic_load(&x->cancelled)) {
            ok = false;
        } else if (step == 0) {
            pthread_cond_wait(&x->drained, &x->mutex);
        } else {
            if (x->stream_sent > 0) { /* what was sent makes room */
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
    pthread_mutex_unlock(&x->mutex);
    return ok;
}

void http_stream_end(struct http_request *request)
{
    struct http_exchange *x = request->exchange;

    pthread_mutex_lock(&x->mutex);
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
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        x->suspended = true;
        MHD_suspend_connection(x->connection);
        result = 0;
    }
    pthread_mutex_unlock(&x->mutex);
    return result;
}
