/* daemon/http_exchange.h - one request from its first header to its last byte (internal).
 *
 * Two sides hold an exchange: the connection (until libmicrohttpd reports it completed) and
 * the worker (from submit until the handler has returned). n_refs counts them; the last one
 * frees it.
 *
 *   READING  headers and body arrive            http thread
 *   WORKING  suspended, a worker has it         worker
 *   DONE     the reply is in 'response'         http thread sends it
 *   STREAM   the reply is being written         both, through 'stream'
 *
 * 'mutex' guards state, suspended, stream* and n_refs; the rest belongs to the side that the
 * state names. 'cancelled' is atomic: set by the gate, by the end of the connection or by the
 * drain. 'connection' is valid for the worker only while it is suspended. */
#ifndef RAG_DAEMON_HTTP_EXCHANGE_H
#define RAG_DAEMON_HTTP_EXCHANGE_H

#include <microhttpd.h>
#include <pthread.h>

#include "base/arena.h"
#include "daemon/http_route.h"
#include "daemon/http_server.h"

#define HTTP_QUERY_MAX        16         /* parameters of one request */
#define HTTP_HEADERS_MAX      100        /* as Apache's LimitRequestFields */
#define HTTP_STREAM_BYTES_MAX (4u << 20) /* of a stream that its reader has not taken yet */
#define HTTP_STREAM_WAIT_S    2 /* for room, in one write; then the reader counts as gone */

enum exchange_state { EXCHANGE_READING, EXCHANGE_WORKING, EXCHANGE_DONE, EXCHANGE_STREAM };

struct http_pair {
    const char *name;
    const char *value;
};

struct http_exchange {
    struct http_server *server;
    struct MHD_Connection *connection;
    int fd;                         /* of the connection */
    const struct http_route *route; /* NULL: refused before routing */
    unsigned series;                /* of the route's metrics */
    struct http_request request;
    struct http_response response;
    struct arena arena; /* decoded texts */
    struct http_match match;
    struct http_pair params[HTTP_PARAMS_MAX];
    struct http_pair query[HTTP_QUERY_MAX];
    size_t n_query;
    struct http_pair *headers; /* [n_headers], copies: they outlive the connection */
    size_t n_headers;
    size_t header_bytes;
    struct buf body;
    bool refused;     /* the reply is decided; the rest of the body is thrown away */
    bool unframed;    /* nobody knows where its body ends: the connection ends with the reply */
    int64_t begun_ns; /* the request was complete */
    atomic_bool cancelled;

    pthread_mutex_t mutex;
    pthread_cond_t drained; /* the stream got room, or the client went */
    enum exchange_state state;
    bool suspended;
    unsigned n_refs;
    struct buf stream;
    size_t stream_sent; /* bytes of stream that were taken */
    bool stream_ended;
};

/* NULL: no memory. 'body_released' of the server is told what the body held. */
struct http_exchange *exchange_new(struct http_server *server, struct MHD_Connection *connection);
void exchange_ref(struct http_exchange *x);
void exchange_unref(struct http_exchange *x);
/* Decode path, query and route and copy the headers. When it refuses, the error is in the
 * response. */
void exchange_route(struct http_exchange *x, const char *method, const char *path,
                    const struct http_route *routes, size_t n_routes);
void exchange_refuse(struct http_exchange *x, int code, enum rag_status status,
                     const char *message);
/* Give the body's memory back, and count it. */
void exchange_release_body(struct http_exchange *x);
/* Nobody reads the reply any more: wakes a handler that waits for its reader. */
void exchange_cancel(struct http_exchange *x);
/* Resume the connection if it is suspended. The mutex is held. */
void exchange_resume(struct http_exchange *x);
/* The stream's reader for libmicrohttpd. */
ssize_t exchange_read_stream(void *context, uint64_t position, char *out, size_t max);

/* In http_server.c: n bytes of bodies are held no longer. */
void server_body_released(struct http_server *server, size_t n_bytes);

#endif
