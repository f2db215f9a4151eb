/* daemon/http_server.c - libmicrohttpd on one side, the worker pool on the other.
 *
 * Invariants
 *   1. A connection is suspended only while its exchange is WORKING or a STREAM without
 *      data, and is resumed exactly once for each time.
 *   2. n_requests counts the exchanges between their first header and on_completed(), n_running
 *      those that a worker has or will have. libmicrohttpd is stopped only when n_running is
 *      0: then nothing is suspended and no worker touches a connection any more.
 *   3. The gate stops before libmicrohttpd does, and is freed after it. */
#define _GNU_SOURCE
#include "daemon/http_server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/http_exchange.h"
#include "daemon/http_gate.h"
#include "daemon/http_listen.h"
#include "daemon/log.h"

#define CONNECTION_MEMORY_BYTES (2 * HTTP_HEADER_BYTES_MAX) /* headers and their table, replies */
#define DISCARD_BYTES_MAX       65536 /* of a refused body; a longer one is refused before it comes */
#define WRITE_TIMEOUT_EXTRA_S   2     /* the gate's 408 comes before libmicrohttpd's silent end */
#define FLUSH_MS                2000 /* for the last replies of a drain to leave */
#define RETRY_AFTER_S           "1"

struct http_server {
    const struct config *config;
    const struct http_route *routes;
    size_t n_routes;
    unsigned *series; /* owned, [n_routes]: of each route's metrics */
    void *context;    /* of the handlers */
    struct workers *workers;
    struct metrics *metrics;
    struct live_requests *live; /* these two: or NULL */
    struct tracer *tracer;
    struct bearer_list tokens;
    struct listener listeners[N_GATE_LISTENERS]; /* their descriptors are the gate's */
    struct http_gate *gate;
    struct MHD_Daemon *daemon;
    atomic_uint_fast64_t body_bytes; /* of all bodies in memory */
    atomic_bool draining;            /* new requests are refused */
    bool drained;

    pthread_mutex_t mutex;  /* guards what follows */
    pthread_cond_t changed; /* a count fell; on the monotonic clock */
    size_t n_requests;
    size_t n_running;
    bool stopping; /* nothing more is handed over */
};

/* What the headers of a request say of the length of its body. */
struct framing {
    unsigned n_lengths;
    unsigned n_codings; /* one that is not 'chunked' counts twice */
    bool blank;         /* before the colon of some header */
};

static void count_down(struct http_server *s, size_t *count)
{
    pthread_mutex_lock(&s->mutex);
    --*count;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

void server_body_released(struct http_server *s, size_t n_bytes)
{
    atomic_fetch_sub(&s->body_bytes, n_bytes);
    metrics_change(s->metrics, METRIC_HTTP_BODY_BYTES, -(int64_t)n_bytes);
}

/* ---- the worker's side ---- */

static void call_handler(struct http_server *s, struct http_exchange *x)
{
    if (atomic_load(&x->cancelled)) {
        http_respond_error(&x->response, RAG_ECANCELLED,
                           "request: the client went away, or the daemon stops", NULL);
        return;
    }
    x->route->handler(&x->request, &x->response, s->context);
    if (x->state == EXCHANGE_STREAM) { /* only this thread has set it */
        if (!x->stream_ended)
            http_stream_end(&x->request);
        return; /* the http thread reads the response by now */
    }
    if (x->response.code == 0)
        http_respond_error(&x->response, RAG_EINTERNAL, "request: its handler gave no reply", NULL);
    /* the reply of a cancelled request is read only when it was the daemon that cancelled */
    if (x->response.code == HTTP_CLIENT_GONE && atomic_load(&s->draining))
        http_respond_error(&x->response, RAG_EBUSY, "request: the daemon stops; try again", NULL);
}

/* What the metrics and the log learn of a request that has its reply. */
static void note_request(struct http_server *s, struct http_exchange *x)
{
    struct request_line line = {
        .id = x->request.id,
        .method = x->request.method,
        .route = x->route ? x->route->pattern : NULL,
        .principal = x->request.principal,
        .code = x->response.code,
        .ms = clock_elapsed_ms(x->begun_ns),
        .body_bytes = x->request.body_bytes,
        .note = &x->request.note,
        .error = buf_str(&x->response.body),
    };

    metrics_request(s->metrics, x->series, line.code, line.ms);
    request_log(&line);
    trace_end(s->tracer, x->request.trace, &line);
    x->request.trace = NULL;
}

/* The time before a worker took it. */
static void note_queued(struct http_exchange *x)
{
    struct trace_span s;

    if (!trace_span_begin(x->request.trace, NULL, "queue", OTLP_INTERNAL, x->begun_ns,
                          clock_monotonic_ns(), &s))
        return;
    trace_span_end(x->request.trace, &s);
}

static void run_exchange(void *context)
{
    struct http_exchange *x = context;
    struct http_server *s = x->server;

    /* The http thread holds the mutex until the connection is suspended. */
    pthread_mutex_lock(&x->mutex);
    pthread_mutex_unlock(&x->mutex);

    live_request_working(x->request.live);
    note_queued(x);
    call_handler(s, x);
    live_requests_end(s->live, x->request.live);
    note_request(s, x);
    exchange_release_body(x);
    gate_forget(s->gate, x->fd, x);
    pthread_mutex_lock(&x->mutex);
    if (x->state == EXCHANGE_WORKING) {
        x->state = EXCHANGE_DONE;
        exchange_resume(x);
    }
    pthread_mutex_unlock(&x->mutex);
    exchange_unref(x);
    count_down(s, &s->n_running);
}

/* ---- the connection's side ---- */

static struct MHD_Response *make_response(struct http_exchange *x)
{
    struct http_response *r = &x->response;

    if (x->state == EXCHANGE_STREAM)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, exchange_read_stream, x,
                                                 NULL);
    /* libmicrohttpd sends from our memory: the exchange outlives the reply */
    return MHD_create_response_from_buffer(r->body.len, (void *)(uintptr_t)buf_str(&r->body),
                                           MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result send_response(struct http_exchange *x)
{
    struct http_server *s = x->server;
    int code = x->response.code;
    struct MHD_Response *response;
    enum MHD_Result result;

    if (x->refused) {
        gate_replying(s->gate, x->fd);
        note_request(s, x);
    }
    response = make_response(x);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, x->response.type);
    MHD_add_response_header(response, "X-Request-Id", x->request.id);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (code == 503)
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER_S);
    if (code == 401)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (code == 405)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, x->match.allow);
    if (atomic_load(&s->draining) || x->unframed)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    result = MHD_queue_response(x->connection, (unsigned)code, response);
    MHD_destroy_response(response);
    return result;
}

static const char *header(const struct http_exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

static void identify(struct http_server *s, struct http_exchange *x)
{
    struct gate_peer peer;

    gate_request_begins(s->gate, x->fd, &peer);
    if (!peer.tcp) {
        memcpy(x->request.principal, peer.principal, sizeof peer.principal);
    } else if (token_principal(&s->tokens, header(x, MHD_HTTP_HEADER_AUTHORIZATION),
                               x->request.principal) != RAG_OK) {
        metrics_add(s->metrics, METRIC_HTTP_REFUSED, 1);
        exchange_refuse(x, 401, RAG_EDENIED, "Authorization: needs a valid bearer token");
    }
}

static void refuse_body(struct http_exchange *x, uint64_t n)
{
    const char *key = x->route->body_bytes_max ? "" : " (http.body_bytes_max)";
    char message[160];

    if (n > 0)
        snprintf(message, sizeof message, "body: %" PRIu64 " bytes, the limit is %zu%s", n,
                 x->body.max, key);
    else
        snprintf(message, sizeof message, "body: over the limit of %zu bytes%s", x->body.max, key);
    exchange_refuse(x, 413, RAG_ELIMIT, message);
}

static void refuse_busy(struct http_exchange *x, const char *message)
{
    metrics_add(x->server->metrics, METRIC_HTTP_BUSY, 1);
    exchange_refuse(x, 503, RAG_EBUSY, message);
}

static enum MHD_Result check_framing(void *context, enum MHD_ValueKind kind, const char *key,
                                     const char *value)
{
    struct framing *f = context;
    size_t n = strlen(key);

    (void)kind;
    if (strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0)
        f->n_lengths++;
    else if (strcasecmp(key, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0)
        f->n_codings += value && strcasecmp(value, "chunked") == 0 ? 1 : 2;
    f->blank |= n == 0 || key[n - 1] == ' ' || key[n - 1] == '\t';
    return MHD_YES;
}

/* Where a body ends must not be a matter of opinion, or a proxy before us and we take different
 * bytes for the next request (RFC 9112, 5.1, 6.1 and 6.3). libmicrohttpd 0.9.75 takes the first
 * of two lengths, ignores a coding that it does not know and keeps "Content-Length " as a name. */
static void refuse_framing(struct http_exchange *x)
{
    struct framing f = {0};

    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, check_framing, &f);
    if (f.blank)
        exchange_refuse(x, 400, RAG_EINVAL, "header: a blank before the colon, or no name");
    else if (f.n_lengths + f.n_codings > 1)
        exchange_refuse(x, 400, RAG_EINVAL,
                        "body: needs one Content-Length, or one Transfer-Encoding, 'chunked'");
    x->unframed = f.blank || f.n_lengths + f.n_codings > 1;
}

/* Headers are complete: who, what, how much. */
static enum MHD_Result first_call(struct http_server *s, struct http_exchange *x,
                                  const char *method, const char *path)
{
    const char *declared = header(x, MHD_HTTP_HEADER_CONTENT_LENGTH);
    /* libmicrohttpd has refused what is no number */
    uint64_t length = declared ? strtoull(declared, NULL, 10) : 0;
    bool chunked = header(x, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;

    x->begun_ns = clock_monotonic_ns();
    x->series = METRIC_SERIES_MAX - 1;
    buf_init(&x->body, (size_t)s->config->body_bytes_max);
    identify(s, x);
    refuse_framing(x);
    if (!x->refused && atomic_load(&s->draining))
        refuse_busy(x, "request: the daemon stops; try again");
    if (!x->refused)
        exchange_route(x, method, path, s->routes, s->n_routes);
    if (x->route) {
        x->series = s->series[x->match.index];
        if (x->route->body_bytes_max)
            x->body.max = x->route->body_bytes_max;
    }
    if (!x->refused && length > x->body.max)
        refuse_body(x, length);
    if (!x->refused && length > 0 && !x->route->body_bytes_max &&
        atomic_load(&s->body_bytes) + length > (uint64_t)s->config->bodies_bytes_max)
        refuse_busy(x, "body: too many bytes of other requests are held; try again");
    if (!x->refused || (!chunked && !x->unframed && length <= DISCARD_BYTES_MAX))
        return MHD_YES;
    gate_linger(s->gate, x->fd); /* it may send all of it before it looks for our reply */
    return send_response(x);
}

/* MHD_NO ends the connection. */
static enum MHD_Result take_body(struct http_server *s, struct http_exchange *x, const char *data,
                                 size_t n)
{
    uint64_t all;

    gate_body(s->gate, x->fd, n);
    if (x->refused)
        return MHD_YES;
    if (n > x->body.max - x->body.len) {
        /* of undeclared length, so there may be no end to wait for */
        exchange_release_body(x);
        refuse_body(x, 0);
        gate_refuse(s->gate, x->fd, &x->response);
        return MHD_NO;
    }
    all = atomic_fetch_add(&s->body_bytes, n) + n;
    if (x->route->body_bytes_max || all <= (uint64_t)s->config->bodies_bytes_max) {
        buf_append(&x->body, data, n);
        if (buf_status(&x->body) == RAG_OK) {
            metrics_change(s->metrics, METRIC_HTTP_BODY_BYTES, (int64_t)n);
            return MHD_YES;
        }
    }
    atomic_fetch_sub(&s->body_bytes, n);
    exchange_release_body(x);
    refuse_busy(x, "body: too many bytes of other requests are held; try again");
    return MHD_YES;
}

/* The header of that name when there is one of it. */
static const char *only_header(const struct http_exchange *x, const char *name)
{
    const char *value = NULL;

    for (size_t i = 0; i < x->n_headers; i++) {
        if (strcasecmp(x->headers[i].name, name) != 0)
            continue;
        if (value)
            return NULL;
        value = x->headers[i].value;
    }
    return value;
}

/* Who looks at what is going on sees the request from here on, with the collection that its path
 * names, if that can be one. */
static void note_begun(struct http_server *s, struct http_exchange *x)
{
    if (s->live)
        x->request.live = live_requests_begin(s->live, x->request.id, x->request.principal,
                                              x->route->method, x->route->pattern);
    if (strncmp(x->route->pattern, "/v1/", 4) == 0) /* the others are probes */
        x->request.trace = trace_begin(s->tracer, only_header(x, "traceparent"), x->begun_ns);
    for (size_t i = 0; i < x->match.n_segments; i++) {
        const char *name = x->params[i].value;
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

        if (strncmp(x->params[i].name, "c}", 2) != 0 || name[n] != '\0' ||
            n > COLLECTION_NAME_BYTES_MAX)
            continue;
        request_note_collection(&x->request.note, name);
        live_request_collection(s->live, x->request.live, name);
    }
}

/* The request is complete: hand it to a worker, or say busy. */
static enum MHD_Result hand_over(struct http_server *s, struct http_exchange *x)
{
    enum rag_status status = RAG_EBUSY;
    bool stopping;

    x->request.body = buf_str(&x->body);
    x->request.body_bytes = x->body.len;
    x->begun_ns = clock_monotonic_ns();
    pthread_mutex_lock(&s->mutex);
    stopping = s->stopping;
    s->n_running += !stopping;
    pthread_mutex_unlock(&s->mutex);
    if (!stopping) {
        gate_serving(s->gate, x->fd, x);
        exchange_ref(x); /* the worker's */
        note_begun(s, x);
        pthread_mutex_lock(&x->mutex);
        status = workers_submit(s->workers, x->route->job_class, run_exchange, x);
        if (status == RAG_OK) {
            x->state = EXCHANGE_WORKING;
            x->suspended = true;
            MHD_suspend_connection(x->connection);
        }
        pthread_mutex_unlock(&x->mutex);
        if (status == RAG_OK)
            return MHD_YES;
        live_requests_end(s->live, x->request.live);
        gate_forget(s->gate, x->fd, x);
        exchange_unref(x);
        count_down(s, &s->n_running);
    }
    exchange_release_body(x);
    refuse_busy(x, stopping ? "request: the daemon stops; try again"
                            : "queue: full; try again after the seconds of Retry-After");
    return send_response(x);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *data, size_t *n_data, void **exchange)
{
    struct http_server *s = context;
    struct http_exchange *x = *exchange;
    enum exchange_state state;

    (void)version;
    if (!x) {
        x = exchange_new(s, connection);
        if (!x)
            return MHD_NO;
        x->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        pthread_mutex_lock(&s->mutex);
        s->n_requests++;
        pthread_mutex_unlock(&s->mutex);
        *exchange = x;
        return first_call(s, x, method, path);
    }
    if (*n_data > 0) {
        size_t n = *n_data;

        *n_data = 0;
        return take_body(s, x, data, n);
    }
    if (x->refused)
        return send_response(x);
    pthread_mutex_lock(&x->mutex);
    state = x->state;
    pthread_mutex_unlock(&x->mutex);
    if (state == EXCHANGE_READING)
        return hand_over(s, x);
    return send_response(x);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **exchange,
                         enum MHD_RequestTerminationCode code)
{
    struct http_exchange *x = *exchange;
    struct http_server *s = context;

    (void)connection;
    if (!x)
        return;
    *exchange = NULL;
    if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
        exchange_cancel(x);
    gate_request_ended(s->gate, x->fd);
    exchange_unref(x);
    count_down(s, &s->n_requests);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **unused,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = context;

    (void)unused;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED)
        gate_closed(
            s->gate,
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
}

/* Paths and queries are decoded by us, segment by segment, so that %2F stays in its segment. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

/* ---- what the gate asks for ---- */

static bool on_accept(void *context, int fd, const struct sockaddr *address, socklen_t n_bytes)
{
    struct http_server *s = context;

    return MHD_add_connection(s->daemon, fd, address, n_bytes) == MHD_YES;
}

static void on_gone(void *context, struct http_exchange *x)
{
    (void)context;
    exchange_cancel(x);
}

static void on_tick(void *context)
{
    struct http_server *s = context;
    struct workers_stats stats;

    workers_stats(s->workers, &stats);
    metrics_set(s->metrics, METRIC_WORKERS_BUSY, (double)stats.n_busy);
    metrics_set(s->metrics, METRIC_JOBS_QUEUED, (double)stats.n_queued[JOB_INTERACTIVE]);
    metrics_set(s->metrics, METRIC_ANSWERS_QUEUED, (double)stats.n_queued[JOB_ANSWER]);
    metrics_set(s->metrics, METRIC_BULK_QUEUED, (double)stats.n_queued[JOB_BULK]);
}

/* ---- start and stop ---- */

/* Routes with the same label share a series; the last one is for what has no route. */
static enum rag_status name_series(struct http_server *s, struct rag_error *reterr)
{
    unsigned n = 0;

    s->series = calloc(s->n_routes + 1, sizeof *s->series);
    if (!s->series)
        return rag_fail(reterr, RAG_ENOMEM, "http server: out of memory");
    for (size_t i = 0; i < s->n_routes; i++) {
        size_t same = 0;

        while (same < i && strcmp(s->routes[same].metric, s->routes[i].metric) != 0)
            same++;
        s->series[i] = same < i ? s->series[same] : n++;
        if (n == METRIC_SERIES_MAX)
            return rag_fail(reterr, RAG_ELIMIT, "routes: over %d labels of metrics",
                            METRIC_SERIES_MAX - 1);
        metrics_name_route(s->metrics, s->series[i], s->routes[i].metric);
    }
    metrics_name_route(s->metrics, METRIC_SERIES_MAX - 1, "none");
    return RAG_OK;
}

static enum rag_status start_mhd(struct http_server *s, struct rag_error *reterr)
{
    const struct config *c = s->config;

    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET |
            MHD_USE_ITC,
        0, NULL, NULL, on_request, s, MHD_OPTION_THREAD_POOL_SIZE,
        /* a pool of one is no pool */
        (unsigned)(c->http_threads > 1 ? c->http_threads : 0), MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)gate_connections_max(c), MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)(c->idle_timeout_s + WRITE_TIMEOUT_EXTRA_S), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped,
        NULL, MHD_OPTION_END);
    return s->daemon ? RAG_OK
                     : rag_fail(reterr, RAG_EIO, "http server: libmicrohttpd cannot start");
}

static enum rag_status listen_all(struct http_server *s, struct rag_error *reterr)
{
    const struct config *c = s->config;
    enum rag_status status;

    status = listen_unix(c->socket_path, (mode_t)c->socket_mode, c->socket_group,
                         &s->listeners[GATE_UNIX], reterr);
    if (status == RAG_OK && c->tcp_address[0] != '\0') {
        status = bearer_list_load(c->token_file, &s->tokens, reterr);
        if (status == RAG_OK)
            status =
                listen_tcp(c->tcp_address, (unsigned)c->tcp_port, &s->listeners[GATE_TCP], reterr);
    }
    return status;
}

static enum rag_status start_gate(struct http_server *s, struct rag_error *reterr)
{
    struct gate_options options = {
        .config = s->config,
        .metrics = s->metrics,
        .listen_fds = {s->listeners[GATE_UNIX].fd, s->listeners[GATE_TCP].fd},
        .on_accept = on_accept,
        .on_gone = on_gone,
        .on_tick = on_tick,
        .context = s,
    };
    enum rag_status status = gate_start(&options, &s->gate, reterr);

    for (int i = 0; i < N_GATE_LISTENERS && status == RAG_OK; i++)
        s->listeners[i].fd = -1; /* the gate's now */
    return status;
}

static void init_sync(struct http_server *s)
{
    pthread_condattr_t monotonic;

    pthread_mutex_init(&s->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

enum rag_status http_server_start(const struct config *config, const struct http_route *routes,
                                  size_t n_routes, void *context, struct workers *workers,
                                  const struct http_watch *watch, struct http_server **ret,
                                  struct rag_error *reterr)
{
    struct http_server *s = calloc(1, sizeof *s);
    enum rag_status status;

    if (!s)
        return rag_fail(reterr, RAG_ENOMEM, "http server: out of memory");
    s->config = config;
    s->routes = routes;
    s->n_routes = n_routes;
    s->context = context;
    s->workers = workers;
    s->metrics = watch->metrics;
    s->live = watch->live;
    s->tracer = watch->tracer;
    s->listeners[GATE_UNIX].fd = s->listeners[GATE_TCP].fd = -1;
    init_sync(s);
    status = name_series(s, reterr);
    if (status == RAG_OK)
        status = listen_all(s, reterr);
    if (status == RAG_OK)
        status = start_mhd(s, reterr);
    if (status == RAG_OK)
        status = start_gate(s, reterr);
    if (status != RAG_OK) {
        http_server_stop(s);
        return status;
    }
    *ret = s;
    return RAG_OK;
}

/* Wait until *count is 0; wait_ms < 0: for as long as it takes. */
static void wait_for_none(struct http_server *s, const size_t *count, int64_t wait_ms)
{
    int64_t until_ns = clock_monotonic_ns() + wait_ms * 1000000;
    struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};

    pthread_mutex_lock(&s->mutex);
    while (*count > 0) {
        if (wait_ms < 0)
            pthread_cond_wait(&s->changed, &s->mutex);
        else if (pthread_cond_timedwait(&s->changed, &s->mutex, &until) == ETIMEDOUT)
            break;
    }
    pthread_mutex_unlock(&s->mutex);
}

void http_server_drain(struct http_server *s, int64_t grace_ms)
{
    atomic_store(&s->draining, true);
    listener_unlink(&s->listeners[GATE_UNIX]);
    gate_close_listeners(s->gate);
    wait_for_none(s, &s->n_requests, grace_ms);
    pthread_mutex_lock(&s->mutex);
    s->stopping = true;
    pthread_mutex_unlock(&s->mutex);
    gate_cancel_all(s->gate);
    wait_for_none(s, &s->n_running, -1);
    wait_for_none(s, &s->n_requests, FLUSH_MS);
    s->drained = true;
}

void http_server_stop(struct http_server *s)
{
    if (!s)
        return;
    if (s->gate && !s->drained)
        http_server_drain(s, 0);
    if (s->gate)
        gate_stop(s->gate);
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    gate_free(s->gate);
    listener_unlink(&s->listeners[GATE_UNIX]);
    for (int i = 0; i < N_GATE_LISTENERS; i++)
        if (s->listeners[i].fd >= 0)
            (void)close(s->listeners[i].fd);
    bearer_list_release(&s->tokens);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
    free(s->series);
    free(s);
}
