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
 * 'mutex' guards state, suspended, stream and n_refs. 'cancelled' is atomic: set by the watcher,
 * by the end of the connection or by the drain. */
#ifndef RAG_DAEMON_HTTP_EXCHANGE_H
#define RAG_DAEMON_HTTP_EXCHANGE_H

#include <microhttpd.h>
#include <pthread.h>

#include "base/arena.h"
#include "daemon/http_server.h"

#define HTTP_PARAMS_MAX       4
#define HTTP_QUERY_MAX        16         /* parameters of one request */
#define HTTP_STREAM_BYTES_MAX (1u << 20) /* of a stream that its reader has not taken yet */

enum exchange_state { EXCHANGE_READING, EXCHANGE_WORKING, EXCHANGE_DONE, EXCHANGE_STREAM };

struct http_pair {
    const char *name;
    const char *value;
};

struct http_exchange {
    struct http_server *server;
    struct MHD_Connection *connection;
    const struct http_route *route; /* NULL: refused before routing */
    unsigned route_index;
    struct http_request request;
    struct http_response response;
    struct arena arena; /* decoded texts */
    struct http_pair params[HTTP_PARAMS_MAX];
    size_t n_params;
    struct http_pair query[HTTP_QUERY_MAX];
    size_t n_query;
    struct buf body;
    bool refused;      /* the reply is decided; the rest of the body is thrown away */
    const char *allow; /* of a 405 */
    int64_t begun_ns;  /* the request was complete */
    atomic_bool cancelled;

    pthread_mutex_t mutex;
    pthread_cond_t drained; /* the stream got room, or the client went */
    enum exchange_state state;
    bool suspended;
    unsigned n_refs;
    struct buf stream;
    size_t stream_sent; /* bytes of stream that were taken */
    bool stream_ended;

    /* in the server's list while WORKING or STREAM; guarded by the server's mutex */
    struct http_exchange *next;
    uint64_t serial;
    int fd;
};

struct http_exchange *exchange_new(struct http_server *server, struct MHD_Connection *connection);
void exchange_unref(struct http_exchange *x);
/* Decode path, query and route of a request. RAG_OK, or the error is in x->response. */
enum rag_status exchange_route(struct http_exchange *x, const char *method, const char *path,
                               const struct http_route *routes, size_t n_routes);
void exchange_refuse(struct http_exchange *x, int code, enum rag_status status,
                     const char *message);
/* Resume the connection if it is suspended. The mutex is held. */
void exchange_resume(struct http_exchange *x);
/* The stream's reader for libmicrohttpd. */
ssize_t exchange_read_stream(void *context, uint64_t position, char *out, size_t max);

/* Percent-decode n bytes into the arena. NULL: bad escape, NUL, not UTF-8, or no memory. */
char *http_decode(struct arena *arena, const char *text, size_t n, bool plus_is_space);

#endif
