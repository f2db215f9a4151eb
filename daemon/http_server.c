/* daemon/http_server.c - libmicrohttpd on one side, the worker pool on the other.
 *
 * Invariants
 *   1. A connection is suspended only while its exchange is WORKING or a STREAM without
 *      data, and is resumed exactly once for each time.
 *   2. An exchange is in the server's list from submit until its handler has returned.
 *   3. n_active counts the list; the server stops only when it is 0, so no worker ever
 *      touches a connection of a stopped libmicrohttpd. */
#define _GNU_SOURCE
#include "daemon/http_server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/http_exchange.h"
#include "daemon/http_listen.h"
#include "daemon/log.h"

#define CONNECTION_MEMORY_BYTES 32768       /* read and write buffers; bounds the headers */
#define DISCARD_BYTES_MAX       (16u << 20) /* of a refused body: beyond it we hang up */
#define RETRY_AFTER_S           "1"

struct http_server {
    const struct config *config;
    const struct http_route *routes;
    size_t n_routes;
    void *context; /* of the handlers */
    struct workers *workers;
    struct metrics *metrics;
    struct token_list tokens;
    struct MHD_Daemon *daemons[2]; /* Unix, TCP */
    int listen_fds[2];             /* -1: none; libmicrohttpd's until quiesced */
    bool drained;
    atomic_uint_fast64_t body_bytes; /* of all bodies in memory */

    int epoll_fd; /* descriptors of suspended connections */
    int wake_fd;  /* stops the watcher */
    pthread_t watcher;
    bool watching;

    pthread_mutex_t mutex;  /* guards what follows */
    pthread_cond_t changed; /* n_active fell */
    struct http_exchange *active;
    size_t n_active;
    uint64_t last_serial;
};

/* ---- watching suspended connections ---- */

static void watch_add(struct http_server *s, struct http_exchange *x)
{
    /* A Unix peer that is gone hangs up; one that only shut down its writing side still
     * reads. TCP tells the two apart only later, so there the half-close counts. */
    bool tcp = strncmp(x->request.principal, "token:", 6) == 0;
    struct epoll_event event = {.events = EPOLLHUP | EPOLLERR | EPOLLONESHOT};

    if (tcp)
        event.events |= EPOLLRDHUP;
    pthread_mutex_lock(&s->mutex);
    x->serial = ++s->last_serial;
    event.data.u64 = x->serial;
    x->next = s->active;
    s->active = x;
    s->n_active++;
    if (x->fd >= 0)
        (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, x->fd, &event);
    pthread_mutex_unlock(&s->mutex);
}

/* Before the connection may be resumed: from then on its descriptor can be closed and given
 * to somebody else. */
static void watch_forget(struct http_server *s, struct http_exchange *x)
{
    pthread_mutex_lock(&s->mutex);
    if (x->fd >= 0)
        (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, x->fd, NULL);
    x->fd = -1;
    pthread_mutex_unlock(&s->mutex);
}

static void list_remove(struct http_server *s, struct http_exchange *x)
{
    pthread_mutex_lock(&s->mutex);
    for (struct http_exchange **at = &s->active; *at; at = &(*at)->next) {
        if (*at == x) {
            *at = x->next;
            break;
        }
    }
    s->n_active--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

static void cancel(struct http_exchange *x)
{
    atomic_store(&x->cancelled, true);
    pthread_mutex_lock(&x->mutex);
    pthread_cond_broadcast(&x->drained);
    pthread_mutex_unlock(&x->mutex);
}

static void *watch(void *context)
{
    struct http_server *s = context;
    struct epoll_event events[64];

    for (;;) {
        int n = epoll_wait(s->epoll_fd, events, 64, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.u64 == 0)
                return NULL;
            pthread_mutex_lock(&s->mutex);
            for (struct http_exchange *x = s->active; x; x = x->next) {
                if (x->serial == events[i].data.u64) {
                    metrics_add(s->metrics, METRIC_HTTP_VANISHED, 1);
                    cancel(x);
                    break;
                }
            }
            pthread_mutex_unlock(&s->mutex);
        }
    }
}

/* ---- the worker's side ---- */

static void run_exchange(void *context)
{
    struct http_exchange *x = context;
    struct http_server *s = x->server;
    double ms;

    /* The http thread holds the mutex until the connection is suspended. */
    pthread_mutex_lock(&x->mutex);
    pthread_mutex_unlock(&x->mutex);

    if (atomic_load(&x->cancelled))
        http_respond_error(&x->response, RAG_ECANCELLED, "request: the client went away", NULL);
    else
        x->route->handler(&x->request, &x->response, s->context);
    ms = clock_elapsed_ms(x->begun_ns);
    metrics_request(s->metrics, x->route_index, x->response.code, ms);
    if (x->response.code >= 500)
        log_event(LOG_ERROR, x->request.id, "request_failed", "route=%s status=%d ms=%.1f %s",
                  x->route->pattern, x->response.code, ms, buf_str(&x->response.body));
    else
        log_event(LOG_DEBUG, x->request.id, "request", "route=%s status=%d principal=%s ms=%.1f",
                  x->route->pattern, x->response.code, x->request.principal, ms);

    watch_forget(s, x);
    pthread_mutex_lock(&x->mutex);
    if (x->state == EXCHANGE_WORKING) {
        x->state = EXCHANGE_DONE;
        exchange_resume(x);
    }
    pthread_mutex_unlock(&x->mutex);
    list_remove(s, x);
    exchange_unref(x);
}

/* ---- the connection's side ---- */

static void release_body(struct http_exchange *x)
{
    if (x->body.len > 0) {
        atomic_fetch_sub(&x->server->body_bytes, x->body.len);
        metrics_change(x->server->metrics, METRIC_HTTP_BODY_BYTES, -(int64_t)x->body.len);
    }
    buf_release(&x->body);
}

static enum MHD_Result send_response(struct http_exchange *x)
{
    struct http_response *r = &x->response;
    struct MHD_Response *response;
    enum MHD_Result result;

    if (x->state == EXCHANGE_STREAM) {
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, exchange_read_stream,
                                                     x, NULL);
    } else {
        /* MHD sends from our memory: the exchange outlives the reply */
        response = MHD_create_response_from_buffer(
            r->body.len, (void *)(uintptr_t)buf_str(&r->body), MHD_RESPMEM_PERSISTENT);
    }
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, r->type);
    MHD_add_response_header(response, "X-Request-Id", x->request.id);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (r->code == 503)
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER_S);
    if (r->code == 401)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (x->allow)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, x->allow);
    result = MHD_queue_response(x->connection, (unsigned)r->code, response);
    MHD_destroy_response(response);
    return result;
}

static enum rag_status identify(struct http_server *s, struct http_exchange *x, bool tcp)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    x->fd = info ? info->connect_fd : -1;
    if (tcp)
        return token_principal(
            &s->tokens,
            MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "Authorization"),
            x->request.principal);
    return x->fd < 0 ? RAG_EIO : peer_principal(x->fd, x->request.principal);
}

static uint64_t declared_length(struct http_exchange *x)
{
    const char *text =
        MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "Content-Length");

    return text ? strtoull(text, NULL, 10) : 0;
}

static void refuse_body(struct http_exchange *x, uint64_t n)
{
    char message[160];

    if (n > 0)
        snprintf(message, sizeof message, "body: %" PRIu64 " bytes, the limit is %" PRId64, n,
                 x->server->config->body_bytes_max);
    else
        snprintf(message, sizeof message, "body: over the limit of %" PRId64 " bytes",
                 x->server->config->body_bytes_max);
    exchange_refuse(x, 413, RAG_ELIMIT, message);
}

/* Headers are complete: who, what, how much. */
static enum MHD_Result first_call(struct http_server *s, struct http_exchange *x, bool tcp,
                                  const char *method, const char *path)
{
    uint64_t length = declared_length(x);

    buf_init(&x->body, (size_t)s->config->body_bytes_max);
    if (identify(s, x, tcp) != RAG_OK) {
        metrics_add(s->metrics, METRIC_HTTP_REFUSED, 1);
        exchange_refuse(x, 401, RAG_EDENIED,
                        tcp ? "Authorization: needs a valid bearer token"
                            : "peer credentials: not to be had");
    } else if (exchange_route(x, method, path, s->routes, s->n_routes) == RAG_OK &&
               length > (uint64_t)s->config->body_bytes_max) {
        refuse_body(x, length);
    }
    /* A client that sends a huge body may never read: say it now and hang up. */
    if (x->refused && length > DISCARD_BYTES_MAX)
        return send_response(x);
    return MHD_YES;
}

static void take_body(struct http_server *s, struct http_exchange *x, const char *data, size_t n)
{
    uint64_t all;

    if (x->refused)
        return;
    if (n > x->body.max - x->body.len) {
        release_body(x);
        refuse_body(x, 0);
        return;
    }
    all = atomic_fetch_add(&s->body_bytes, n) + n;
    if (all > (uint64_t)s->config->bodies_bytes_max) {
        atomic_fetch_sub(&s->body_bytes, n);
        release_body(x);
        exchange_refuse(x, 503, RAG_EBUSY, "body: too many bytes of other requests are held");
        metrics_add(s->metrics, METRIC_HTTP_BUSY, 1);
        return;
    }
    buf_append(&x->body, data, n);
    if (buf_status(&x->body) != RAG_OK) {
        atomic_fetch_sub(&s->body_bytes, n);
        release_body(x);
        exchange_refuse(x, 503, RAG_ENOMEM, "body: out of memory");
        return;
    }
    metrics_change(s->metrics, METRIC_HTTP_BODY_BYTES, (int64_t)n);
}

/* The request is complete: hand it to a worker, or say busy. */
static enum MHD_Result hand_over(struct http_server *s, struct http_exchange *x)
{
    enum rag_status status;

    x->request.body = buf_str(&x->body);
    x->request.body_bytes = x->body.len;
    x->begun_ns = clock_monotonic_ns();
    watch_add(s, x);
    pthread_mutex_lock(&x->mutex);
    x->n_refs++;
    x->state = EXCHANGE_WORKING;
    status = workers_submit(s->workers, x->route->job_class, run_exchange, x);
    if (status == RAG_OK) {
        x->suspended = true;
        MHD_suspend_connection(x->connection);
    } else {
        x->n_refs--;
        x->state = EXCHANGE_DONE;
    }
    pthread_mutex_unlock(&x->mutex);
    if (status == RAG_OK)
        return MHD_YES;
    watch_forget(s, x);
    list_remove(s, x);
    metrics_add(s->metrics, METRIC_HTTP_BUSY, 1);
    exchange_refuse(x, 503, status, "queue: full; try again after the seconds of Retry-After");
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
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        bool tcp = info && info->client_addr && info->client_addr->sa_family != AF_UNIX;

        x = exchange_new(s, connection);
        if (!x)
            return MHD_NO;
        *exchange = x;
        return first_call(s, x, tcp, method, path);
    }
    if (*n_data > 0) {
        take_body(s, x, data, *n_data);
        *n_data = 0;
        return MHD_YES;
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

    (void)context;
    (void)connection;
    if (!x)
        return;
    watch_forget(x->server, x); /* its descriptor is about to be closed */
    if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
        cancel(x);
    release_body(x);
    *exchange = NULL;
    exchange_unref(x);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **unused,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = context;

    (void)connection;
    (void)unused;
    metrics_change(s->metrics, METRIC_HTTP_CONNECTIONS,
                   code == MHD_CONNECTION_NOTIFY_STARTED ? 1 : -1);
}

/* Paths and queries are decoded by us, segment by segment, so that %2F stays in its segment. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

/* ---- start and stop ---- */

static struct MHD_Daemon *start_mhd(struct http_server *s, int fd)
{
    const struct config *c = s->config;

    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, s,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)c->http_threads,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)c->connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)c->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped,
        NULL, MHD_OPTION_END);
}

static enum rag_status start_watcher(struct http_server *s, struct rag_error *reterr)
{
    struct epoll_event wake = {.events = EPOLLIN, .data.u64 = 0};

    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->epoll_fd < 0 || s->wake_fd < 0 ||
        epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->wake_fd, &wake) < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "http server: cannot watch connections");
    if (pthread_create(&s->watcher, NULL, watch, s) != 0)
        return rag_fail(reterr, RAG_ENOMEM, "http server: cannot start a thread");
    s->watching = true;
    return RAG_OK;
}

static enum rag_status listen_all(struct http_server *s, struct rag_error *reterr)
{
    const struct config *c = s->config;
    enum rag_status status;

    status = listen_unix(c->socket_path, (mode_t)c->socket_mode, c->socket_group, &s->listen_fds[0],
                         reterr);
    if (status == RAG_OK && c->tcp_address[0] != '\0') {
        status = token_list_load(c->token_file, &s->tokens, reterr);
        if (status == RAG_OK)
            status = listen_tcp(c->tcp_address, (unsigned)c->tcp_port, &s->listen_fds[1], reterr);
    }
    for (int i = 0; i < 2 && status == RAG_OK; i++) {
        if (s->listen_fds[i] < 0)
            continue;
        s->daemons[i] = start_mhd(s, s->listen_fds[i]);
        if (!s->daemons[i])
            status = rag_fail(reterr, RAG_EIO, "http server: libmicrohttpd cannot start");
    }
    return status;
}

enum rag_status http_server_start(const struct config *config, const struct http_route *routes,
                                  size_t n_routes, void *context, struct workers *workers,
                                  struct metrics *metrics, struct http_server **ret,
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
    s->metrics = metrics;
    s->listen_fds[0] = s->listen_fds[1] = -1;
    s->epoll_fd = s->wake_fd = -1;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    for (size_t i = 0; i < n_routes && i < METRIC_SERIES_MAX; i++)
        metrics_name_route(metrics, (unsigned)i, routes[i].metric);
    status = start_watcher(s, reterr);
    if (status == RAG_OK)
        status = listen_all(s, reterr);
    if (status != RAG_OK) {
        http_server_stop(s);
        return status;
    }
    *ret = s;
    return RAG_OK;
}

/* Wait until nothing is active; until_ns 0: for ever. */
static void wait_idle(struct http_server *s, int64_t until_ns)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    if (until_ns != 0) {
        int64_t left = until_ns - clock_monotonic_ns();

        left += until.tv_nsec;
        if (left < 0)
            left = 0;
        until.tv_sec += left / 1000000000;
        until.tv_nsec = left % 1000000000;
    }
    pthread_mutex_lock(&s->mutex);
    while (s->n_active > 0) {
        if (until_ns == 0)
            pthread_cond_wait(&s->changed, &s->mutex);
        else if (pthread_cond_timedwait(&s->changed, &s->mutex, &until) == ETIMEDOUT)
            break;
    }
    pthread_mutex_unlock(&s->mutex);
}

void http_server_drain(struct http_server *s, int64_t grace_ms)
{
    for (int i = 0; i < 2; i++) {
        if (s->daemons[i] && s->listen_fds[i] >= 0) {
            (void)MHD_quiesce_daemon(s->daemons[i]);
            (void)close(s->listen_fds[i]);
            s->listen_fds[i] = -1;
            if (i == 0)
                (void)unlink(s->config->socket_path);
        }
    }
    wait_idle(s, clock_monotonic_ns() + grace_ms * 1000000 + 1);
    pthread_mutex_lock(&s->mutex);
    for (struct http_exchange *x = s->active; x; x = x->next)
        cancel(x);
    pthread_mutex_unlock(&s->mutex);
    wait_idle(s, 0);
    s->drained = true;
}

void http_server_stop(struct http_server *s)
{
    uint64_t one = 1;

    if (!s)
        return;
    if (!s->drained)
        http_server_drain(s, 0);
    for (int i = 0; i < 2; i++)
        if (s->daemons[i])
            MHD_stop_daemon(s->daemons[i]);
    if (s->watching) {
        ssize_t written = write(s->wake_fd, &one, sizeof one);

        (void)written; /* an eventfd at 0 takes it */
        pthread_join(s->watcher, NULL);
    }
    for (int i = 0; i < 2; i++)
        if (s->listen_fds[i] >= 0)
            (void)close(s->listen_fds[i]);
    if (s->epoll_fd >= 0)
        (void)close(s->epoll_fd);
    if (s->wake_fd >= 0)
        (void)close(s->wake_fd);
    token_list_release(&s->tokens);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}
