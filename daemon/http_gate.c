/* daemon/http_gate.c - see http_gate.h.
 *
 * Invariants
 *   1. peers[fd].open from admit() until gate_closed(fd), which libmicrohttpd calls before it
 *      closes fd: an entry never speaks of somebody else's connection.
 *   2. Only the gate's thread opens entries and registers descriptors with epoll.
 *   3. peers[fd].watched is not NULL only between gate_serving() and gate_forget() or
 *      gate_request_ended(), so on_gone() never gets an exchange that was freed.
 *   4. n_open counts open entries, n_closing those among them that were shut down by us.
 * Lock order: the gate's mutex, then an exchange's. */
#define _GNU_SOURCE
#include "daemon/http_gate.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "daemon/http_server.h"
#include "daemon/log.h"

#define MS                  1000000ll
#define SECOND              (1000 * MS)
#define ACCEPTS_AT_ONCE     64           /* then the watched connections have their turn */
#define PAUSE_MS            100          /* of accepting, while there are no descriptors */
#define EVICT_AFTER         (SECOND / 2) /* a client that just came gets that long to speak */
#define DESCRIPTORS_KEPT    128          /* for databases, snapshots, logs: never for connections */
#define CONNECTIONS_SLACK   64           /* shut down by us, not closed by libmicrohttpd yet */
#define DESCRIPTORS_MAX     (1 << 24)    /* bits of an event's key; they are given out from below */
#define LINGER_MAX          64
#define LINGER_FOR          (30 * SECOND) /* as nginx's lingering_time */
#define LINGER_SILENCE      (5 * SECOND)  /* and lingering_timeout */
#define LINGER_READS        16            /* of 64 KiB, then others have their turn */
#define RAW_REPLY_BYTES_MAX 1024

/* What an epoll event is about: kind, descriptor (24 bits), serial (32 bits). */
enum event_kind { EVENT_WAKE, EVENT_LISTENER, EVENT_PEER, EVENT_LINGER };

enum peer_state {
    PEER_WAITING, /* for the headers of a request */
    PEER_SENDING, /* its body arrives */
    PEER_SERVED,  /* a worker has it, or the reply is being written */
};

struct peer {
    bool open;
    bool tcp;
    bool gone;    /* hung up */
    bool closing; /* shut down by us */
    enum peer_state state;
    uint32_t serial;
    unsigned long uid;     /* of a Unix peer */
    unsigned n_requests;   /* that were answered */
    int64_t since_ns;      /* of the state */
    int64_t progress_ns;   /* the last byte of a body */
    uint64_t n_body_bytes; /* of this request */
    struct http_exchange *watched;
};

struct lingering {
    int fd; /* owned; -1: free */
    int64_t until_ns;
    int64_t progress_ns;
};

struct http_gate {
    struct gate_options options;
    size_t connections_max;
    int64_t idle_ns;
    int epoll_fd;
    int wake_fd;
    pthread_t thread;
    atomic_bool stop;
    atomic_bool close_listeners;

    /* the gate's thread's own */
    int spare_fd;      /* given up to accept one more when descriptors have run out */
    int64_t resume_ns; /* accepting pauses until then; 0: it does not */
    int64_t complained_ns;
    bool listening;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t closed; /* the listeners are */
    bool listeners_closed;
    struct peer *peers; /* owned, [n_peers], by descriptor */
    size_t n_peers;
    size_t n_open;
    size_t n_closing;
    uint32_t last_serial;
    struct lingering lingers[LINGER_MAX];
};

static uint64_t event_key(enum event_kind kind, int fd, uint32_t serial)
{
    return (uint64_t)kind << 56 | (uint64_t)(uint32_t)fd << 32 | serial;
}

/* The entry of an open connection. The mutex is held. */
static struct peer *peer_of(struct http_gate *g, int fd)
{
    assert(fd >= 0 && (size_t)fd < g->n_peers && g->peers[fd].open);
    return &g->peers[fd];
}

static void enter(struct peer *p, enum peer_state state)
{
    p->state = state;
    p->since_ns = clock_monotonic_ns();
    p->progress_ns = p->since_ns;
}

/* ---- replies of our own ---- */

/* A reply where libmicrohttpd gives none. What does not fit into the socket's buffer is lost:
 * the client has not read for long. */
static void send_reply(int fd, const struct http_response *response)
{
    const char *reason = response->code == 408   ? "Request Timeout"
                         : response->code == 413 ? "Content Too Large"
                                                 : "Service Unavailable";
    struct buf text;

    buf_init(&text, RAW_REPLY_BYTES_MAX);
    buf_printf(&text,
               "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
               "%sConnection: close\r\n\r\n%s",
               response->code, reason, response->type, response->body.len,
               response->code == 503 ? "Retry-After: 1\r\n" : "", buf_str(&response->body));
    if (buf_status(&text) == RAG_OK)
        (void)send(fd, text.data, text.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    buf_release(&text);
}

static void send_error(int fd, int code, enum rag_status status, const char *message)
{
    struct http_response response = {.code = 0};

    http_respond_code(&response, code, status, message, NULL);
    send_reply(fd, &response);
    buf_release(&response.body);
}

/* ---- lingering: reading what a refused client still sends ---- */

static void linger_end(struct http_gate *g, struct lingering *l)
{
    /* by hand: the registration lives as long as any descriptor of the connection */
    (void)epoll_ctl(g->epoll_fd, EPOLL_CTL_DEL, l->fd, NULL);
    (void)close(l->fd);
    l->fd = -1;
}

/* Takes fd. The mutex is held. */
static void linger_begin(struct http_gate *g, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = event_key(EVENT_LINGER, fd, 0)};
    struct lingering *l = &g->lingers[0];

    for (size_t i = 0; i < LINGER_MAX; i++) {
        if (g->lingers[i].fd < 0) {
            l = &g->lingers[i];
            break;
        }
        if (g->lingers[i].until_ns < l->until_ns)
            l = &g->lingers[i];
    }
    if (l->fd >= 0)
        linger_end(g, l); /* the oldest one makes room */
    if (epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        (void)close(fd);
        return;
    }
    l->fd = fd;
    l->progress_ns = clock_monotonic_ns();
    l->until_ns = l->progress_ns + LINGER_FOR;
}

/* Drop what has arrived. The mutex is held. */
static void linger_read(struct http_gate *g, int fd)
{
    static const size_t n_bytes = 65536;
    char dropped[65536];
    struct lingering *l = NULL;

    for (size_t i = 0; i < LINGER_MAX && !l; i++)
        if (g->lingers[i].fd == fd)
            l = &g->lingers[i];
    if (!l)
        return;
    for (int i = 0; i < LINGER_READS; i++) {
        ssize_t n = recv(fd, dropped, n_bytes, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            linger_end(g, l);
            return;
        }
        l->progress_ns = clock_monotonic_ns();
    }
}

/* ---- letting in ---- */

/* Shut a connection down; libmicrohttpd sees its end and closes it. The mutex is held. */
static void hang_up(struct http_gate *g, int fd)
{
    struct peer *p = &g->peers[fd];

    if (!p->closing) {
        p->closing = true;
        g->n_closing++;
        (void)shutdown(fd, SHUT_RDWR);
    }
}

static bool same_principal(const struct peer *p, bool tcp, unsigned long uid)
{
    return p->tcp == tcp && (tcp || p->uid == uid);
}

/* Hang up the connection that has waited longest for a request; of one principal, or of all.
 * The mutex is held. */
static bool evict(struct http_gate *g, bool any, bool tcp, unsigned long uid)
{
    int64_t oldest = clock_monotonic_ns() - EVICT_AFTER;
    int victim = -1;

    for (size_t fd = 0; fd < g->n_peers; fd++) {
        struct peer *p = &g->peers[fd];

        if (p->open && !p->closing && p->state == PEER_WAITING && p->since_ns < oldest &&
            (any || same_principal(p, tcp, uid))) {
            oldest = p->since_ns;
            victim = (int)fd;
        }
    }
    if (victim < 0)
        return false;
    hang_up(g, victim);
    metrics_add(g->options.metrics, METRIC_HTTP_EVICTED, 1);
    return true;
}

/* Room for one more of this principal? The mutex is held. */
static bool make_room(struct http_gate *g, bool tcp, unsigned long uid)
{
    size_t share = g->connections_max - g->connections_max / 4;
    size_t n = 0;

    if (g->n_open - g->n_closing < share)
        return true;
    if (g->n_open >= g->connections_max + CONNECTIONS_SLACK)
        return false;
    for (size_t fd = 0; fd < g->n_peers; fd++)
        n += g->peers[fd].open && !g->peers[fd].closing && same_principal(&g->peers[fd], tcp, uid);
    if (n >= share)
        return evict(g, false, tcp, uid);
    return g->n_open - g->n_closing < g->connections_max || evict(g, true, false, 0);
}

static bool grow_peers(struct http_gate *g, int fd)
{
    size_t n = g->n_peers ? g->n_peers : 64;
    struct peer *peers;

    if ((size_t)fd < g->n_peers)
        return true;
    while (n <= (size_t)fd)
        n *= 2; /* a descriptor is below RLIMIT_NOFILE: this cannot wrap */
    peers = realloc(g->peers, n * sizeof *peers);
    if (!peers)
        return false;
    memset(peers + g->n_peers, 0, (n - g->n_peers) * sizeof *peers);
    g->peers = peers;
    g->n_peers = n;
    return true;
}

/* The mutex is held. */
static void forget_peer(struct http_gate *g, int fd)
{
    g->n_closing -= g->peers[fd].closing;
    g->n_open--;
    memset(&g->peers[fd], 0, sizeof g->peers[fd]);
    metrics_change(g->options.metrics, METRIC_HTTP_CONNECTIONS, -1);
}

/* Enter the connection into the table and watch it. The mutex is held. */
static bool register_peer(struct http_gate *g, int fd, bool tcp, unsigned long uid)
{
    /* A Unix peer that is gone hangs up (always reported); one that only shut down its writing
     * side still reads. TCP tells the two apart only later, so there the half-close counts. */
    struct epoll_event event = {.events = EPOLLET | (tcp ? (uint32_t)EPOLLRDHUP : 0)};

    if (fd >= DESCRIPTORS_MAX || !make_room(g, tcp, uid) || !grow_peers(g, fd))
        return false;
    if (g->peers[fd].open) /* libmicrohttpd had no memory for it and closed it without a word */
        forget_peer(g, fd);
    event.data.u64 = event_key(EVENT_PEER, fd, ++g->last_serial);
    if (epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return false;
    g->peers[fd] = (struct peer){.open = true, .tcp = tcp, .uid = uid, .serial = g->last_serial};
    enter(&g->peers[fd], PEER_WAITING);
    g->n_open++;
    return true;
}

static void turn_away(struct http_gate *g, int fd, const char *message)
{
    metrics_add(g->options.metrics, METRIC_HTTP_TURNED_AWAY, 1);
    send_error(fd, 503, RAG_EBUSY, message);
    (void)shutdown(fd, SHUT_WR);
}

static void admit(struct http_gate *g, int fd, bool tcp, const struct sockaddr *address,
                  socklen_t n_bytes)
{
    struct ucred peer = {.uid = 0};
    socklen_t size = sizeof peer;
    bool entered = false;

    if (!tcp && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
        log_event(LOG_WARN, NULL, "connection_refused", "error=\"peer credentials: %s\"",
                  strerror(errno));
        (void)close(fd);
        return;
    }
    pthread_mutex_lock(&g->mutex);
    entered = register_peer(g, fd, tcp, peer.uid);
    if (!entered) {
        turn_away(g, fd, "connections: too many (http.connections_max); try again");
        linger_begin(g, fd); /* owns fd */
    }
    pthread_mutex_unlock(&g->mutex);
    if (!entered)
        return;
    metrics_change(g->options.metrics, METRIC_HTTP_CONNECTIONS, 1);
    if (!g->options.on_accept(g->options.context, fd, address, n_bytes))
        gate_closed(g, fd);
}

static void watch_listeners(struct http_gate *g, bool on)
{
    for (int i = 0; i < N_GATE_LISTENERS; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = event_key(EVENT_LISTENER, i, 0)};

        if (g->options.listen_fds[i] >= 0)
            (void)epoll_ctl(g->epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
                            g->options.listen_fds[i], &event);
    }
    g->listening = on;
}

/* No descriptor is left: answer one client with the spare one, then pause, so that a socket
 * that stays readable does not keep this thread spinning. */
static void out_of_descriptors(struct http_gate *g, int listen_fd, int reason)
{
    int64_t now = clock_monotonic_ns();
    int fd;

    if (g->complained_ns == 0 || now - g->complained_ns > 5 * SECOND) {
        size_t n_open;

        pthread_mutex_lock(&g->mutex);
        n_open = g->n_open;
        pthread_mutex_unlock(&g->mutex);
        log_event(LOG_WARN, NULL, "accept_failed", "connections=%zu error=\"%s\"", n_open,
                  strerror(reason));
        g->complained_ns = now;
    }
    if (g->spare_fd >= 0) {
        (void)close(g->spare_fd);
        fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            turn_away(g, fd, "descriptors: none left; try again");
            (void)close(fd);
        }
    }
    g->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    watch_listeners(g, false);
    g->resume_ns = now + PAUSE_MS * MS;
}

static void accept_some(struct http_gate *g, int i)
{
    for (int n = 0; n < ACCEPTS_AT_ONCE; n++) {
        struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
        socklen_t n_bytes = sizeof address;
        int fd = accept4(g->options.listen_fds[i], (struct sockaddr *)&address, &n_bytes,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            admit(g, fd, i == GATE_TCP, (struct sockaddr *)&address, n_bytes);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            out_of_descriptors(g, g->options.listen_fds[i], errno);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return; /* EAGAIN: nobody else waits */
        }
    }
}

/* ---- watching ---- */

static void peer_event(struct http_gate *g, int fd, uint32_t serial, uint32_t events)
{
    pthread_mutex_lock(&g->mutex);
    if ((size_t)fd < g->n_peers && g->peers[fd].open && g->peers[fd].serial == serial &&
        (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))) {
        struct peer *p = &g->peers[fd];

        p->gone = true;
        if (p->watched) {
            metrics_add(g->options.metrics, METRIC_HTTP_VANISHED, 1);
            g->options.on_gone(g->options.context, p->watched);
            p->watched = NULL;
        }
    }
    pthread_mutex_unlock(&g->mutex);
}

/* Too slow? The mutex is held. */
static bool is_late(const struct http_gate *g, const struct peer *p, int64_t now)
{
    if (p->state == PEER_WAITING)
        return now - p->since_ns > g->idle_ns;
    if (p->state == PEER_SENDING)
        return now - p->progress_ns > g->idle_ns ||
               (now - p->since_ns - g->idle_ns) / SECOND >
                   (int64_t)(p->n_body_bytes / HTTP_BODY_RATE_MIN);
    return false;
}

static void hang_up_late(struct http_gate *g, int64_t now)
{
    char message[160];

    snprintf(message, sizeof message,
             "request: too slow; %lld s without a byte (http.idle_timeout_s) or under %d bytes/s",
             (long long)(g->idle_ns / SECOND), HTTP_BODY_RATE_MIN);
    for (size_t fd = 0; fd < g->n_peers; fd++) {
        struct peer *p = &g->peers[fd];

        if (!p->open || p->closing || !is_late(g, p, now))
            continue;
        /* a kept connection that is merely idle is closed without a word */
        if (p->state == PEER_SENDING || p->n_requests == 0) {
            metrics_add(g->options.metrics, METRIC_HTTP_TIMEOUTS, 1);
            send_error((int)fd, 408, RAG_ETIMEOUT, message);
        }
        hang_up(g, (int)fd);
    }
    for (size_t i = 0; i < LINGER_MAX; i++) {
        struct lingering *l = &g->lingers[i];

        if (l->fd >= 0 && (now > l->until_ns || now - l->progress_ns > LINGER_SILENCE))
            linger_end(g, l);
    }
}

static void tick(struct http_gate *g, int64_t now)
{
    pthread_mutex_lock(&g->mutex);
    hang_up_late(g, now);
    /* while draining, a connection is closed when it has had its answer */
    for (size_t fd = 0; g->listeners_closed && fd < g->n_peers; fd++)
        if (g->peers[fd].open && g->peers[fd].state == PEER_WAITING &&
            now - g->peers[fd].since_ns > EVICT_AFTER)
            hang_up(g, (int)fd);
    pthread_mutex_unlock(&g->mutex);
    g->options.on_tick(g->options.context);
}

static void shut_listeners(struct http_gate *g)
{
    for (int i = 0; i < N_GATE_LISTENERS; i++) {
        if (g->options.listen_fds[i] < 0)
            continue;
        accept_some(g, i); /* who has connected was promised an answer */
        (void)close(g->options.listen_fds[i]);
        g->options.listen_fds[i] = -1;
    }
    g->listening = false;
    g->resume_ns = 0;
    pthread_mutex_lock(&g->mutex);
    for (size_t fd = 0; fd < g->n_peers; fd++)
        if (g->peers[fd].open && g->peers[fd].state == PEER_WAITING && g->peers[fd].n_requests > 0)
            hang_up(g, (int)fd);
    g->listeners_closed = true;
    pthread_cond_broadcast(&g->closed);
    pthread_mutex_unlock(&g->mutex);
}

static void handle_event(struct http_gate *g, const struct epoll_event *event)
{
    enum event_kind kind = (enum event_kind)(event->data.u64 >> 56);
    int fd = (int)(event->data.u64 >> 32 & 0xFFFFFF);
    uint64_t count;
    ssize_t n;

    switch (kind) {
    case EVENT_WAKE:
        n = read(g->wake_fd, &count, sizeof count);
        (void)n; /* the flags are looked at after every round */
        break;
    case EVENT_LISTENER:
        if (g->listening)
            accept_some(g, fd);
        break;
    case EVENT_PEER:
        peer_event(g, fd, (uint32_t)event->data.u64, event->events);
        break;
    case EVENT_LINGER:
        pthread_mutex_lock(&g->mutex);
        linger_read(g, fd);
        pthread_mutex_unlock(&g->mutex);
        break;
    }
}

static void *run_gate(void *context)
{
    struct http_gate *g = context;
    int64_t next_tick = clock_monotonic_ns();

    watch_listeners(g, true);
    while (!atomic_load(&g->stop)) {
        struct epoll_event events[64];
        int64_t now = clock_monotonic_ns();
        int64_t until = g->resume_ns && g->resume_ns < next_tick ? g->resume_ns : next_tick;
        int n =
            epoll_wait(g->epoll_fd, events, 64, until > now ? (int)((until - now) / MS) + 1 : 0);

        for (int i = 0; i < n; i++)
            handle_event(g, &events[i]);
        now = clock_monotonic_ns();
        if (atomic_exchange(&g->close_listeners, false))
            shut_listeners(g);
        if (g->resume_ns && now >= g->resume_ns) {
            g->resume_ns = 0;
            watch_listeners(g, true);
        }
        if (now >= next_tick) {
            tick(g, now);
            next_tick = now + SECOND / 2;
        }
    }
    return NULL;
}

/* ---- the life of a connection ---- */

void gate_request_begins(struct http_gate *g, int fd, struct gate_peer *ret)
{
    struct peer *p;

    memset(ret, 0, sizeof *ret);
    pthread_mutex_lock(&g->mutex);
    p = peer_of(g, fd);
    p->n_body_bytes = 0;
    enter(p, PEER_SENDING);
    ret->tcp = p->tcp;
    if (!p->tcp)
        snprintf(ret->principal, sizeof ret->principal, "uid:%lu", p->uid);
    pthread_mutex_unlock(&g->mutex);
}

void gate_body(struct http_gate *g, int fd, size_t n_bytes)
{
    struct peer *p;

    pthread_mutex_lock(&g->mutex);
    p = peer_of(g, fd);
    p->n_body_bytes += n_bytes;
    p->progress_ns = clock_monotonic_ns();
    pthread_mutex_unlock(&g->mutex);
}

void gate_serving(struct http_gate *g, int fd, struct http_exchange *x)
{
    struct peer *p;

    pthread_mutex_lock(&g->mutex);
    p = peer_of(g, fd);
    enter(p, PEER_SERVED);
    if (p->gone) {
        metrics_add(g->options.metrics, METRIC_HTTP_VANISHED, 1);
        g->options.on_gone(g->options.context, x);
    } else {
        p->watched = x;
    }
    pthread_mutex_unlock(&g->mutex);
}

void gate_replying(struct http_gate *g, int fd)
{
    pthread_mutex_lock(&g->mutex);
    enter(peer_of(g, fd), PEER_SERVED);
    pthread_mutex_unlock(&g->mutex);
}

void gate_forget(struct http_gate *g, int fd, const struct http_exchange *x)
{
    pthread_mutex_lock(&g->mutex);
    /* the descriptor may be another connection's by now: its exchange is not x */
    if ((size_t)fd < g->n_peers && g->peers[fd].watched == x)
        g->peers[fd].watched = NULL;
    pthread_mutex_unlock(&g->mutex);
}

void gate_request_ended(struct http_gate *g, int fd)
{
    struct peer *p;

    pthread_mutex_lock(&g->mutex);
    p = peer_of(g, fd);
    p->watched = NULL;
    p->n_requests++;
    enter(p, PEER_WAITING);
    if (g->listeners_closed)
        hang_up(g, fd);
    pthread_mutex_unlock(&g->mutex);
}

void gate_closed(struct http_gate *g, int fd)
{
    pthread_mutex_lock(&g->mutex);
    (void)peer_of(g, fd);
    /* a lingering copy would keep the registration alive after close() */
    (void)epoll_ctl(g->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    forget_peer(g, fd);
    pthread_mutex_unlock(&g->mutex);
}

void gate_linger(struct http_gate *g, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0)
        return; /* no descriptor is left: the client may see a reset instead of its reply */
    pthread_mutex_lock(&g->mutex);
    linger_begin(g, copy); /* owns the copy */
    pthread_mutex_unlock(&g->mutex);
}

void gate_refuse(struct http_gate *g, int fd, const struct http_response *response)
{
    send_reply(fd, response);
    gate_linger(g, fd);
}

/* ---- start and stop ---- */

size_t gate_connections_max(const struct config *config)
{
    size_t max = (size_t)config->connections_max;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        limit.rlim_cur < max + DESCRIPTORS_KEPT)
        max = limit.rlim_cur > 2 * DESCRIPTORS_KEPT ? (size_t)limit.rlim_cur - DESCRIPTORS_KEPT
                                                    : (size_t)limit.rlim_cur / 2;
    return max + CONNECTIONS_SLACK;
}

enum rag_status gate_start(const struct gate_options *options, struct http_gate **ret,
                           struct rag_error *reterr)
{
    struct epoll_event wake = {.events = EPOLLIN, .data.u64 = event_key(EVENT_WAKE, 0, 0)};
    struct http_gate *g = calloc(1, sizeof *g);
    enum rag_status status = RAG_OK;

    if (!g)
        return rag_fail(reterr, RAG_ENOMEM, "http server: out of memory");
    g->options = *options;
    g->connections_max = gate_connections_max(options->config) - CONNECTIONS_SLACK;
    if (g->connections_max < (size_t)options->config->connections_max)
        log_event(LOG_WARN, NULL, "connections_limited", "max=%zu reason=\"RLIMIT_NOFILE\"",
                  g->connections_max);
    g->idle_ns = options->config->idle_timeout_s * SECOND;
    for (size_t i = 0; i < LINGER_MAX; i++)
        g->lingers[i].fd = -1;
    pthread_mutex_init(&g->mutex, NULL);
    pthread_cond_init(&g->closed, NULL);
    g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    g->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    g->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (g->epoll_fd < 0 || g->wake_fd < 0 ||
        epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, g->wake_fd, &wake) < 0)
        status = rag_fail_errno(reterr, RAG_EIO, errno, "http server: cannot watch connections");
    /* A connection can arrive as soon as the thread runs, and its callbacks use the gate
     * through the caller's pointer: so that is set first. */
    *ret = g;
    if (status == RAG_OK && pthread_create(&g->thread, NULL, run_gate, g) != 0)
        status = rag_fail(reterr, RAG_ENOMEM, "http server: cannot start a thread");
    if (status != RAG_OK) {
        *ret = NULL;
        for (int i = 0; i < N_GATE_LISTENERS; i++)
            g->options.listen_fds[i] = -1; /* the caller's */
        gate_free(g);
    }
    return status;
}

static void wake(struct http_gate *g)
{
    uint64_t one = 1;
    ssize_t n = write(g->wake_fd, &one, sizeof one);

    (void)n; /* an eventfd below its maximum takes it */
}

void gate_close_listeners(struct http_gate *g)
{
    atomic_store(&g->close_listeners, true);
    wake(g);
    pthread_mutex_lock(&g->mutex);
    while (!g->listeners_closed)
        pthread_cond_wait(&g->closed, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}

void gate_cancel_all(struct http_gate *g)
{
    pthread_mutex_lock(&g->mutex);
    for (size_t fd = 0; fd < g->n_peers; fd++) {
        if (g->peers[fd].watched) {
            g->options.on_gone(g->options.context, g->peers[fd].watched);
            g->peers[fd].watched = NULL;
        }
    }
    pthread_mutex_unlock(&g->mutex);
}

void gate_stop(struct http_gate *g)
{
    atomic_store(&g->stop, true);
    wake(g);
    pthread_join(g->thread, NULL);
}

void gate_free(struct http_gate *g)
{
    if (!g)
        return;
    for (int i = 0; i < N_GATE_LISTENERS; i++)
        if (g->options.listen_fds[i] >= 0)
            (void)close(g->options.listen_fds[i]);
    for (size_t i = 0; i < LINGER_MAX; i++)
        if (g->lingers[i].fd >= 0)
            linger_end(g, &g->lingers[i]);
    if (g->epoll_fd >= 0)
        (void)close(g->epoll_fd);
    if (g->wake_fd >= 0)
        (void)close(g->wake_fd);
    if (g->spare_fd >= 0)
        (void)close(g->spare_fd);
    pthread_cond_destroy(&g->closed);
    pthread_mutex_destroy(&g->mutex);
    free(g->peers);
    free(g);
}
