/* daemon/http_server.h - HTTP/1.1 on a Unix socket and, optionally, on loopback TCP.
 *
 * libmicrohttpd's threads parse, wait and write. When a request's body is complete its
 * connection is suspended and its handler runs on a worker thread; then the connection is
 * resumed with the reply. A suspended connection reports no hang-up (libmicrohttpd 0.9.75), so
 * the thread that accepts connections (http_gate.h) watches them too and sets
 * request->cancelled when the client has gone.
 *
 * A handler is called once per request, on one worker thread. It either fills the response
 * (http_respond, http_respond_error) or streams: http_stream_begin, any number of
 * http_stream_write, http_stream_end. */
#ifndef RAG_DAEMON_HTTP_SERVER_H
#define RAG_DAEMON_HTTP_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json_writer.h"
#include "base/status.h"
#include "daemon/config.h"
#include "daemon/live_requests.h"
#include "daemon/metrics.h"
#include "daemon/request_log.h"
#include "daemon/tracer.h"
#include "daemon/workers.h"

#define HTTP_ID_BYTES 33 /* 32 hexadecimal digits and NUL */

struct http_exchange; /* the server's side of a request; opaque */

struct http_request {
    char id[HTTP_ID_BYTES];                  /* random; X-Request-Id of the reply */
    char principal[PRINCIPAL_BYTES_MAX + 1]; /* "uid:N" or "token:NAME" */
    const char *method;
    const char *body; /* NUL-terminated, body_bytes long; "" when there is none */
    size_t body_bytes;
    const atomic_bool *cancelled; /* the client has gone, or the daemon stops */
    struct http_exchange *exchange;
    struct live_request *live; /* or NULL; for live_request_...() */
    struct request_note note;  /* the handler's, for the log */
    struct trace *trace;       /* or NULL; for trace_...() */
};

struct http_response {
    int code;
    const char *type; /* Content-Type; a static text */
    struct buf body;
};

typedef void (*http_handler)(struct http_request *request, struct http_response *response,
                             void *context);

/* '{name}' stands for one path segment, percent-decoded, not empty, UTF-8. */
struct http_route {
    const char *method;
    const char *pattern;
    http_handler handler;
    enum job_class job_class;
    const char *metric;    /* label of its histogram */
    size_t body_bytes_max; /* 0: http.body_bytes_max of the configuration; else this, and the
                              body does not count towards http.bodies_bytes_max */
};

/* ---- for handlers ---- */

/* A segment of the path by its name in the pattern. */
const char *http_request_param(const struct http_request *request, const char *name);
/* A query parameter, decoded, or NULL. */
const char *http_request_query(const struct http_request *request, const char *name);
/* A header (its name in any case), or NULL. */
const char *http_request_header(const struct http_request *request, const char *name);

/* Reply with the text of 'body', which is taken (left empty). */
void http_respond(struct http_response *response, int code, struct buf *body);
void http_response_type(struct http_response *response, const char *static_type);
/* {"error": {"type", "code", "message", "param"}} with the HTTP status of 'status' (param may be
 * NULL), or with another one where several share a status. */
void http_respond_error(struct http_response *response, enum rag_status status, const char *message,
                        const char *param);
void http_respond_code(struct http_response *response, int code, enum rag_status status,
                       const char *message, const char *param);
/* "type", "code", "message" and "param" of an open object: the error's. */
void http_write_error(struct json_writer *w, const char *type, enum rag_status status,
                      const char *message, const char *param);
int http_status_of(enum rag_status status);
#define HTTP_CLIENT_GONE 499 /* nobody reads it; as nginx counts it */

/* Send the head of a reply of unknown length. The response belongs to the server from here on. */
void http_stream_begin(struct http_request *request, struct http_response *response,
                       const char *static_type);
/* Queue n bytes; waits HTTP_STREAM_WAIT_S at most while the client lags HTTP_STREAM_BYTES_MAX
 * behind. false: it is gone, or as good as that. */
bool http_stream_write(struct http_request *request, const char *data, size_t n);
void http_stream_end(struct http_request *request);

/* ---- for main ---- */

struct http_server; /* opaque */

/* Who is told of each request; borrowed. */
struct http_watch {
    struct metrics *metrics;
    struct live_requests *live; /* or NULL */
    struct tracer *tracer;      /* or NULL */
};

/* Listens when it returns RAG_OK. RAG_EEXIST: somebody serves the socket; RAG_EIO; RAG_EINVAL
 * (token file). Everything given is borrowed until http_server_stop(). */
enum rag_status http_server_start(const struct config *config, const struct http_route *routes,
                                  size_t n_routes, void *context, struct workers *workers,
                                  const struct http_watch *watch, struct http_server **ret,
                                  struct rag_error *reterr);
/* Take no more connections and answer further requests 503; wait until what was begun has been
 * answered or grace_ms are over, then cancel the rest and wait for its end. */
void http_server_drain(struct http_server *server, int64_t grace_ms);
/* Drains with no grace, if that was not done. NULL is a no-op. */
void http_server_stop(struct http_server *server);

#endif
