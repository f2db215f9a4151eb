/* daemon/http_gate.h - the connections: who may come in, who has to go, who has gone (internal).
 *
 * One thread of the gate accepts connections, reads the peer's credentials right after
 * accept(), and gives the descriptor to libmicrohttpd. From then on it watches it:
 *   - a client that hangs up while its request is being served is reported by on_gone();
 *   - a client that is slow to send its headers (http.idle_timeout_s in all) or its body
 *     (the same without a byte, or less than HTTP_BODY_RATE_MIN in the long run) gets 408 and is
 *     hung up;
 *   - when connections_max is reached, the connection that has waited longest without a
 *     request makes room; when all are being served, the new one gets 503 and Retry-After. One
 *     principal holds at most three quarters of them;
 *   - when descriptors run out, a spare one is used to say 503, and accepting pauses.
 * A reply that nobody reads is libmicrohttpd's timeout.
 *
 * Connections are named by their descriptor. The functions may be called from any thread, each
 * only while libmicrohttpd has not closed it: gate_closed() comes before close(). */
#ifndef RAG_DAEMON_HTTP_GATE_H
#define RAG_DAEMON_HTTP_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/bounds.h"
#include "base/status.h"
#include "daemon/config.h"
#include "daemon/metrics.h"

struct http_gate;     /* opaque */
struct http_exchange; /* only passed through */
struct http_response;

enum { GATE_UNIX, GATE_TCP, N_GATE_LISTENERS };

struct gate_options {
    const struct config *config;      /* borrowed until gate_free() */
    struct metrics *metrics;          /* likewise */
    int listen_fds[N_GATE_LISTENERS]; /* -1: none; the gate closes them */
    /* Takes fd, and closes it when it returns false. */
    bool (*on_accept)(void *context, int fd, const struct sockaddr *address, socklen_t n_bytes);
    /* The client of x hung up. The gate's mutex is held: only note it. */
    void (*on_gone)(void *context, struct http_exchange *x);
    void (*on_tick)(void *context); /* about once a second, on the gate's thread */
    void *context;
};

/* RAG_OK, RAG_EIO, RAG_ENOMEM; on failure listen_fds stay the caller's. */
enum rag_status gate_start(const struct gate_options *options, struct http_gate **ret,
                           struct rag_error *reterr);
/* Most connections that libmicrohttpd will be given at once. */
size_t gate_connections_max(const struct config *config);
/* Accept what has connected, close the listening sockets, hang up idle clients. */
void gate_close_listeners(struct http_gate *gate);
/* Report every client that is being served as gone. */
void gate_cancel_all(struct http_gate *gate);
void gate_stop(struct http_gate *gate); /* ends the thread; the other calls go on working */
void gate_free(struct http_gate *gate); /* after gate_stop() and the last gate_closed(); NULL ok */

/* ---- the life of a connection ---- */

struct gate_peer {
    bool tcp;
    char principal[PRINCIPAL_BYTES_MAX + 1]; /* "uid:N"; "" over TCP */
};
void gate_request_begins(struct http_gate *gate, int fd, struct gate_peer *ret);
void gate_body(struct http_gate *gate, int fd, size_t n_bytes);
/* From now on on_gone(x) may be called, at once when the client has gone already. */
void gate_serving(struct http_gate *gate, int fd, struct http_exchange *x);
/* The request will not be read any further, its reply is next. */
void gate_replying(struct http_gate *gate, int fd);
/* No on_gone(x) after this. The connection may have been closed already. */
void gate_forget(struct http_gate *gate, int fd, const struct http_exchange *x);
void gate_request_ended(struct http_gate *gate, int fd);
void gate_closed(struct http_gate *gate, int fd);
/* A reply is given before the body was read: after libmicrohttpd has closed the connection, go
 * on reading for a while, so that the client is not reset before it sees the reply. */
void gate_linger(struct http_gate *gate, int fd);
/* The same in the midst of a body, where libmicrohttpd takes no reply: send it from here. */
void gate_refuse(struct http_gate *gate, int fd, const struct http_response *response);

#endif
