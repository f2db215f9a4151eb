/* Goal: the server gives every client an answer or a clean end, whatever the client does, and
 * tells its handler when the client has gone. Method: a server on a socket of its own with
 * handlers that the test steers; clients are plain sockets that write what no library would. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/http_server.h"

#define COUNT(a)     (sizeof(a) / sizeof((a)[0]))
#define REPLY_MAX    (16u << 20)
#define PATIENCE_MS  20000       /* of the test for anything that must happen */
#define STREAM_BYTES (16u << 20) /* several times what may wait for a reader */

struct fixture {
    char folder[64];
    char socket_path[96];
    struct config *config;
    struct metrics *metrics;
    struct workers *workers;
    struct http_server *server;
    /* steering the handlers */
    atomic_bool release;          /* 'wait' ends */
    atomic_uint n_waiting;        /* handlers inside 'wait' */
    atomic_uint n_cancelled;      /* of those that saw their flag */
    atomic_uint_fast64_t written; /* bytes that 'stream' has given away */
    atomic_bool stream_lost;      /* 'stream' was told that its client has gone */
};

/* ---- handlers ---- */

static void pause_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

static void echo(struct http_request *request, struct http_response *response, void *context)
{
    const char *header = http_request_header(request, "x-EXTRA");
    const char *query = http_request_query(request, "q");
    struct buf body;

    (void)context;
    buf_init(&body, 1u << 20);
    buf_printf(&body, "id=%s q=%s extra=%s principal=%s bytes=%zu body=%.40s",
               http_request_param(request, "id"), query ? query : "-", header ? header : "-",
               request->principal, request->body_bytes, request->body);
    http_response_type(response, "text/plain; charset=utf-8");
    http_respond(response, 200, &body);
}

static void hello(struct http_request *request, struct http_response *response, void *context)
{
    struct buf body;

    (void)context;
    buf_init(&body, 1u << 20);
    buf_printf(&body, "hello %zu", request->body_bytes);
    http_respond(response, 200, &body);
}

static void wait_here(struct http_request *request, struct http_response *response, void *context)
{
    struct fixture *f = context;

    atomic_fetch_add(&f->n_waiting, 1);
    while (!atomic_load(&f->release) && !atomic_load(request->cancelled))
        pause_ms(1);
    atomic_fetch_sub(&f->n_waiting, 1);
    if (atomic_load(request->cancelled)) {
        atomic_fetch_add(&f->n_cancelled, 1);
        http_respond_error(response, RAG_ECANCELLED, "wait: cancelled", NULL);
        return;
    }
    hello(request, response, context);
}

static char stream_byte(uint64_t i)
{
    return (char)('a' + i % 23);
}

static void stream(struct http_request *request, struct http_response *response, void *context)
{
    struct fixture *f = context;
    bool ok = true;

    http_stream_begin(request, response, "text/event-stream");
    for (uint64_t i = 0; i < STREAM_BYTES && ok;) {
        char piece[1000];

        for (size_t k = 0; k < sizeof piece; k++)
            piece[k] = stream_byte(i + k);
        ok = http_stream_write(request, piece, sizeof piece);
        i += sizeof piece;
        atomic_store(&f->written, i);
    }
    atomic_store(&f->stream_lost, !ok);
    http_stream_end(request);
}

/* Streams one piece, then nothing until the client goes. */
static void silence(struct http_request *request, struct http_response *response, void *context)
{
    struct fixture *f = context;

    http_stream_begin(request, response, "text/event-stream");
    (void)http_stream_write(request, "first\n", 6);
    atomic_fetch_add(&f->n_waiting, 1);
    while (!atomic_load(&f->release) && !atomic_load(request->cancelled))
        pause_ms(1);
    atomic_fetch_sub(&f->n_waiting, 1);
    if (atomic_load(request->cancelled))
        atomic_fetch_add(&f->n_cancelled, 1);
    http_stream_end(request);
}

static void nothing(struct http_request *request, struct http_response *response, void *context)
{
    (void)request;
    (void)response;
    (void)context;
}

static const struct http_route routes[] = {
    {"GET",    "/echo/{id}",      echo,      JOB_INTERACTIVE, "echo",    0},
    {"PUT",    "/echo/{id}",      echo,      JOB_INTERACTIVE, "echo",    0},
    {"GET",    "/echo/{id}/more", echo,      JOB_INTERACTIVE, "echo",    0},
    {"GET",    "/hello",          hello,     JOB_INTERACTIVE, "hello",   0},
    {"POST",   "/hello",          hello,     JOB_INTERACTIVE, "hello",   0},
    {"GET",    "/wait",           wait_here, JOB_INTERACTIVE, "wait",    0},
    {"POST",   "/bulk",           wait_here, JOB_BULK,        "bulk",    0},
    {"GET",    "/stream",         stream,    JOB_INTERACTIVE, "stream",  0},
    {"GET",    "/silence",        silence,   JOB_INTERACTIVE, "stream",  0},
    {"DELETE", "/nothing",        nothing,   JOB_INTERACTIVE, "nothing", 0},
};

/* ---- fixture ---- */

static void set(struct fixture *f, const char *key, const char *value)
{
    struct rag_error error = {RAG_OK, ""};

    if (config_set(f->config, key, value, &error) != RAG_OK)
        fail_msg("%s", error.text);
}

static void start(struct fixture *f)
{
    struct workers_options options = {.n_threads = (size_t)f->config->workers,
                                      .queue_max = (size_t)f->config->job_queue_max,
                                      .bulk_queue_max = (size_t)f->config->ingest_queue_max};
    struct rag_error error = {RAG_OK, ""};
    struct http_watch watch = {0};

    assert_int_equal(metrics_new(&f->metrics, &error), RAG_OK);
    watch.metrics = f->metrics;
    assert_int_equal(workers_start(&options, &f->workers, &error), RAG_OK);
    if (http_server_start(f->config, routes, COUNT(routes), f, f->workers, &watch, &f->server,
                          &error) != RAG_OK)
        fail_msg("%s", error.text);
}

static void stop(struct fixture *f)
{
    http_server_stop(f->server);
    workers_stop(f->workers);
    metrics_free(f->metrics);
    f->server = NULL;
    f->workers = NULL;
    f->metrics = NULL;
}

static int set_up(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct fixture *f = calloc(1, sizeof *f);

    if (!f)
        return -1;
    snprintf(f->folder, sizeof f->folder, "/tmp/test_http.XXXXXX");
    if (!mkdtemp(f->folder) || config_new(&f->config, &error) != RAG_OK)
        return -1;
    snprintf(f->socket_path, sizeof f->socket_path, "%s/s", f->folder);
    set(f, "socket_path", f->socket_path);
    set(f, "http.threads", "2");
    (void)log_open(NULL, LOG_ERROR, LOG_TEXT, NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    char path[128];
    struct fixture *f = *state;

    atomic_store(&f->release, true);
    stop(f);
    snprintf(path, sizeof path, "%s/tokens", f->folder);
    (void)unlink(path);
    (void)unlink(f->socket_path);
    (void)rmdir(f->folder);
    config_free(f->config);
    free(f);
    return 0;
}

/* ---- clients ---- */

static int try_connect(const struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", f->socket_path);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int client(const struct fixture *f)
{
    int fd = try_connect(f);

    assert_true(fd >= 0);
    return fd;
}

static void say(int fd, const char *text)
{
    size_t n = strlen(text);

    assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), n);
}

/* Everything up to the end of one reply (by Content-Length), or of the connection. malloc'ed. */
static char *hear(int fd)
{
    int64_t until = clock_monotonic_ns() + (int64_t)PATIENCE_MS * 1000000;
    char *text = malloc(REPLY_MAX);
    size_t n = 0;

    assert_non_null(text);
    text[0] = '\0';
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        const char *end = strstr(text, "\r\n\r\n");
        const char *length = strcasestr(text, "\r\nContent-Length:");
        ssize_t got;

        if (end && length && length < end &&
            n >= (size_t)(end + 4 - text) + strtoul(length + 17, NULL, 10))
            return text;
        assert_true(clock_monotonic_ns() < until);
        if (poll(&p, 1, 1000) == 0)
            continue;
        got = recv(fd, text + n, REPLY_MAX - 1 - n, 0);
        if (got <= 0)
            return text;
        n += (size_t)got;
        text[n] = '\0';
    }
}

static int status_of(const char *reply)
{
    return strncmp(reply, "HTTP/1.1 ", 9) == 0 ? atoi(reply + 9) : 0;
}

/* One exchange on a connection of its own. */
static char *ask(const struct fixture *f, const char *request)
{
    int fd = client(f);
    char *reply;

    say(fd, request);
    reply = hear(fd);
    close(fd);
    return reply;
}

static void expect(char *reply, int status, const char *part)
{
    if (status_of(reply) != status || (part && !strstr(reply, part)))
        fail_msg("expected %d with '%s', got:\n%.2000s", status, part ? part : "", reply);
    free(reply);
}

static void wait_until(const atomic_uint *value, unsigned want)
{
    int64_t until = clock_monotonic_ns() + (int64_t)PATIENCE_MS * 1000000;

    while (atomic_load(value) != want) {
        assert_true(clock_monotonic_ns() < until);
        pause_ms(1);
    }
}

/* Jobs that wait for a worker; the metric of that name is of half a second ago. */
static void wait_queued(struct fixture *f, size_t want)
{
    int64_t until = clock_monotonic_ns() + (int64_t)PATIENCE_MS * 1000000;
    struct workers_stats stats;

    for (workers_stats(f->workers, &stats); stats.n_queued[JOB_INTERACTIVE] != want;
         workers_stats(f->workers, &stats)) {
        assert_true(clock_monotonic_ns() < until);
        pause_ms(1);
    }
}

static unsigned metric(struct fixture *f, const char *name)
{
    unsigned value = 0;
    char line[128];
    const char *at;
    struct buf text;

    buf_init(&text, 1u << 20);
    metrics_write(f->metrics, &text);
    snprintf(line, sizeof line, "\n%s ", name);
    at = strstr(buf_str(&text), line);
    if (at)
        value = (unsigned)strtoul(at + strlen(line), NULL, 10);
    buf_release(&text);
    return value;
}

static void wait_connections(struct fixture *f, unsigned want)
{
    int64_t until = clock_monotonic_ns() + (int64_t)PATIENCE_MS * 1000000;

    while (metric(f, "ragd_http_connections") != want) {
        assert_true(clock_monotonic_ns() < until);
        pause_ms(1);
    }
}

/* Open descriptors of this process: the server's and the test's. */
static size_t n_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n - 1; /* that of opendir() */
}

/* ---- routing and decoding ---- */

struct row {
    const char *name;
    const char *request; /* without the blank line */
    int status;
    const char *part;
};

static struct row rows[] = {
    {"a plain request is answered",                "GET /hello HTTP/1.1\r\nHost: x",                         200, "hello 0"               },
    {"a segment is percent-decoded",               "GET /echo/%ED%95%9C%EA%B8%80 HTTP/1.1\r\nHost: x",       200,
     "id=한글 "                                                                                                                         },
    {"an encoded slash stays in its segment",      "GET /echo/a%2Fb HTTP/1.1\r\nHost: x",                    200,
     "id=a/b "                                                                                                                            },
    {"a plus in the path is a plus",               "GET /echo/a+b HTTP/1.1\r\nHost: x",                      200, "id=a+b "               },
    {"a plus in the query is a space",             "GET /echo/a?q=b+c%26d HTTP/1.1\r\nHost: x",              200,
     "q=b c&d "                                                                                                                           },
    {"a query parameter without a value is empty", "GET /echo/a?q HTTP/1.1\r\nHost: x",                      200,
     "q= extra"                                                                                                                           },
    {"header names have no case",                  "GET /echo/a HTTP/1.1\r\nHost: x\r\nX-Extra: y",          200, "extra=y "              },
    {"the content type is the handler's",          "GET /echo/a HTTP/1.1\r\nHost: x",                        200,
     "Content-Type: text/plain; charset=utf-8\r\n"                                                                                        },
    {"a longer pattern is its own route",          "GET /echo/a/more HTTP/1.1\r\nHost: x",                   200, "id=a "                 },
    {"HEAD is answered by GET's route",            "HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close",   200,
     "Content-Length: 7\r\n"                                                                                                              },
    {"every reply has its request id",             "GET /hello HTTP/1.1\r\nHost: x",                         200, "X-Request-Id: "        },
    {"an unknown path",                            "GET /nowhere HTTP/1.1\r\nHost: x",                       404, "path '/nowhere'"       },
    {"a path that goes on",                        "GET /hello/more HTTP/1.1\r\nHost: x",                    404, "\"code\":\"not_found\""},
    {"an empty segment",                           "GET /echo/ HTTP/1.1\r\nHost: x",                         404, NULL                    },
    {"a method that the path has not",             "DELETE /echo/a HTTP/1.1\r\nHost: x",                     405,
     "Allow: GET, HEAD, PUT\r\n"                                                                                                          },
    {"a segment with a bad escape",                "GET /echo/%zz HTTP/1.1\r\nHost: x",                      400, "segment '%zz'"         },
    {"a segment that is not UTF-8",                "GET /echo/%C0%AF HTTP/1.1\r\nHost: x",                   400, "UTF-8"                 },
    {"a segment with a NUL",                       "GET /echo/a%00b HTTP/1.1\r\nHost: x",                    400, "segment"               },
    {"a query that is not UTF-8",                  "GET /echo/a?q=%FF HTTP/1.1\r\nHost: x",                  400, "query"                 },
    {"more parameters than a request has",
     "GET /echo/a?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16&17 HTTP/1.1\r\nHost: x",                            400, "16"                    },
    {"no HTTP at all",                             "what is this",                                           400, NULL                    },
    {"a length that is no number",                 "PUT /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: ten", 400,
     NULL                                                                                                                                 },
    {"a handler that forgets to reply",            "DELETE /nothing HTTP/1.1\r\nHost: x",                    500,
     "\"code\":\"internal\""                                                                                                              },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    struct fixture *f;
    char request[512];

    assert_int_equal(set_up((void **)&f), 0);
    start(f);
    snprintf(request, sizeof request, "%s\r\n\r\n", row->request);
    (void)log_open(NULL, (enum log_level)(LOG_ERROR + 1), LOG_TEXT, NULL); /* the 500 is meant */
    expect(ask(f, request), row->status, row->part);
    tear_down((void **)&f);
}

static void one_connection_serves_many_requests(void **state)
{
    struct fixture *f = *state;
    int fd;

    start(f);
    fd = client(f);
    for (int i = 0; i < 50; i++) {
        say(fd, "PUT /echo/k HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        expect(hear(fd), 200, "bytes=3 body=abc");
    }
    say(fd, "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(hear(fd), 404, NULL);
    say(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(hear(fd), 200, "hello 0");
    close(fd);
    assert_int_equal(metric(f, "ragd_http_responses_total{route=\"echo\",code=\"2xx\"}"), 50);
    assert_int_equal(metric(f, "ragd_http_responses_total{route=\"none\",code=\"4xx\"}"), 1);
}

static void the_principal_is_the_peers_user(void **state)
{
    struct fixture *f = *state;
    char want[64];

    start(f);
    snprintf(want, sizeof want, "principal=uid:%lu ", (unsigned long)geteuid());
    expect(ask(f, "GET /echo/a HTTP/1.1\r\nHost: x\r\n\r\n"), 200, want);
}

static void a_client_that_stops_writing_still_gets_its_answer(void **state)
{
    struct fixture *f = *state;
    int fd;

    start(f);
    fd = client(f);
    say(fd, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_until(&f->n_waiting, 1);
    shutdown(fd, SHUT_WR);
    pause_ms(50);
    atomic_store(&f->release, true);
    expect(hear(fd), 200, "hello 0");
    close(fd);
}

/* ---- limits ---- */

static void a_body_over_the_limit_is_refused_by_its_length(void **state)
{
    struct fixture *f = *state;
    int fd;

    set(f, "body_bytes_max", "1000000");
    start(f);
    fd = client(f);
    /* not a byte of the body was sent: the length is enough */
    say(fd, "PUT /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2147483648\r\n\r\n");
    expect(hear(fd), 413, "body: 2147483648 bytes, the limit is 1000000");
    close(fd);
    expect(ask(f, "PUT /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n123456789"), 200,
           "bytes=9");
}

static void a_client_that_sends_it_all_first_reads_the_refusal(void **state)
{
    size_t n_left = 100u << 20;
    struct fixture *f = *state;
    static char zeros[65536];
    char request[128];
    int fd;

    set(f, "body_bytes_max", "1000000");
    start(f);
    fd = client(f);
    snprintf(request, sizeof request,
             "PUT /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", n_left);
    say(fd, request);
    while (n_left > 0) {
        ssize_t n = send(fd, zeros, n_left < sizeof zeros ? n_left : sizeof zeros, MSG_NOSIGNAL);

        assert_true(n > 0);
        n_left -= (size_t)n;
    }
    expect(hear(fd), 413, "the limit is 1000000");
    close(fd);
}

static void a_chunked_body_over_the_limit_is_refused_on_its_way(void **state)
{
    struct fixture *f = *state;
    char chunk[10010];
    int fd;

    set(f, "body_bytes_max", "100000");
    start(f);
    fd = client(f);
    say(fd, "PUT /echo/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    memset(chunk, 'x', sizeof chunk);
    memcpy(chunk, "2710\r\n", 6);
    memcpy(chunk + 10006, "\r\n", 3);
    for (int i = 0; i < 100; i++)
        say(fd, chunk);
    expect(hear(fd), 413, "over the limit of 100000 bytes");
    close(fd);
    while (metric(f, "ragd_http_body_bytes") > 0)
        pause_ms(1);
}

static void bodies_of_all_requests_share_a_limit(void **state)
{
    struct fixture *f = *state;
    static char part[60000];
    int slow[2];

    set(f, "body_bytes_max", "100000");
    set(f, "bodies_bytes_max", "100000");
    start(f);
    memset(part, 'x', sizeof part - 1);
    for (int i = 0; i < 1; i++) {
        slow[i] = client(f);
        say(slow[i], "PUT /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n");
        say(slow[i], part);
    }
    while (metric(f, "ragd_http_body_bytes") < sizeof part - 1)
        pause_ms(1);
    slow[1] = client(f);
    say(slow[1], "PUT /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 80000\r\n\r\n");
    expect(hear(slow[1]), 503, "Retry-After: 1\r\n");
    say(slow[0], part + sizeof part - 1 - 30001);
    expect(hear(slow[0]), 200, "bytes=90000");
    close(slow[0]);
    close(slow[1]);
}

static void too_many_headers_are_refused(void **state)
{
    char request[40000] = "GET /hello HTTP/1.1\r\nHost: x\r\n";
    struct fixture *f = *state;
    size_t n = strlen(request);

    start(f);
    for (int i = 0; i < 120; i++)
        n += (size_t)snprintf(request + n, sizeof request - n, "X-%d: y\r\n", i);
    snprintf(request + n, sizeof request - n, "\r\n");
    expect(ask(f, request), 431, "headers: over the limit");
    n = (size_t)snprintf(request, sizeof request, "GET /hello HTTP/1.1\r\nHost: x\r\nX-Long: ");
    memset(request + n, 'y', 36000);
    snprintf(request + n + 36000, sizeof request - n - 36000, "\r\n\r\n");
    expect(ask(f, request), 431, NULL);
    /* METADATA_BYTES_MAX fits into a header */
    snprintf(request + n + 16384, sizeof request - n - 16384, "\r\n\r\n");
    expect(ask(f, request), 200, NULL);
}

static void a_path_over_the_limit_is_refused(void **state)
{
    char request[HTTP_TARGET_BYTES_MAX + 100] = "GET /";
    struct fixture *f = *state;

    start(f);
    memset(request + 5, 'y', HTTP_TARGET_BYTES_MAX);
    strcpy(request + 5 + HTTP_TARGET_BYTES_MAX, " HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(ask(f, request), 414, "path: 8193 bytes, the limit is 8192");
}

static void a_full_queue_says_when_to_come_again(void **state)
{
    struct fixture *f = *state;
    int waiting[3];

    set(f, "workers.threads", "2");
    set(f, "job_queue_max", "1");
    start(f);
    for (int i = 0; i < 3; i++) {
        waiting[i] = client(f);
        say(waiting[i], "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
        if (i < 2)
            wait_until(&f->n_waiting, (unsigned)i + 1);
        else
            wait_queued(f, 1);
    }
    expect(ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"), 503, "Retry-After: 1\r\n");
    expect(ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"), 503, "\"code\":\"busy\"");
    atomic_store(&f->release, true);
    for (int i = 0; i < 3; i++) {
        expect(hear(waiting[i]), 200, "hello 0");
        close(waiting[i]);
    }
    expect(ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"), 200, "hello 0");
}

static void bulk_work_leaves_room_for_questions(void **state)
{
    struct fixture *f = *state;
    int bulk[4];

    set(f, "workers.threads", "2");
    start(f);
    for (size_t i = 0; i < COUNT(bulk); i++) {
        bulk[i] = client(f);
        say(bulk[i], "POST /bulk HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    }
    wait_until(&f->n_waiting, 1);
    expect(ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"), 200, "hello 0");
    assert_int_equal(atomic_load(&f->n_waiting), 1);
    atomic_store(&f->release, true);
    for (size_t i = 0; i < COUNT(bulk); i++) {
        expect(hear(bulk[i]), 200, "hello 0");
        close(bulk[i]);
    }
}

/* ---- slow clients ---- */

static void slow_headers_and_bodies_get_408(void **state)
{
    static const char *const starts[] = {
        "GET /hel",
        "",
        "PUT /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
    };
    struct fixture *f = *state;

    set(f, "idle_timeout_s", "1");
    start(f);
    for (size_t i = 0; i < COUNT(starts); i++) {
        int fd = client(f);

        say(fd, starts[i]);
        expect(hear(fd), 408, "http.idle_timeout_s");
        close(fd);
    }
    assert_int_equal(metric(f, "ragd_http_timeouts_total"), COUNT(starts));
}

static void headers_that_trickle_are_not_waited_for(void **state)
{
    int64_t begun = clock_monotonic_ns();
    struct fixture *f = *state;
    int fd;

    set(f, "idle_timeout_s", "1");
    start(f);
    fd = client(f);
    say(fd, "GET /hello HTTP/1.1\r\n");
    while (send(fd, "X: y\r\n", 6, MSG_NOSIGNAL) == 6 && clock_elapsed_ms(begun) < PATIENCE_MS)
        pause_ms(50);
    expect(hear(fd), 408, NULL);
    assert_true(clock_elapsed_ms(begun) < PATIENCE_MS); /* the trickle was cut, it did not end */
    close(fd);
}

static void an_idle_kept_connection_is_closed_without_a_word(void **state)
{
    struct fixture *f = *state;
    char *reply;
    int fd;

    set(f, "idle_timeout_s", "1");
    start(f);
    fd = client(f);
    say(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(hear(fd), 200, NULL);
    reply = hear(fd);
    assert_string_equal(reply, "");
    free(reply);
    close(fd);
}

static void slow_clients_do_not_keep_a_good_one_waiting(void **state)
{
    enum { N = 300 };
    struct fixture *f = *state;
    int64_t begun;
    int slow[N];

    start(f);
    for (int i = 0; i < N; i++) {
        slow[i] = client(f);
        say(slow[i], i % 2 ? "GET /hel" : "PUT /echo/a HTTP/1.1\r\nContent-Length: 99\r\n\r\na");
    }
    begun = clock_monotonic_ns();
    for (int i = 0; i < 20; i++)
        expect(ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"), 200, "hello 0");
    /* sooner than the first of the slow ones is hung up, after the 30 s of http.idle_timeout_s */
    assert_true(clock_elapsed_ms(begun) < PATIENCE_MS);
    for (int i = 0; i < N; i++)
        close(slow[i]);
}

static void at_the_limit_the_longest_idle_connection_makes_room(void **state)
{
    struct fixture *f = *state;
    char *reply;
    int idle[8];

    set(f, "connections_max", "8");
    start(f);
    for (size_t i = 0; i < COUNT(idle); i++) {
        idle[i] = client(f);
        if (i < 6) /* three quarters of 8: what one principal may hold */
            wait_connections(f, (unsigned)i + 1);
        pause_ms(i == 5 ? 700 : 10); /* a client that just came gets half a second to speak */
    }
    expect(ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"), 200, "hello 0");
    reply = hear(idle[0]); /* the first to come is the first to go */
    assert_string_equal(reply, "");
    free(reply);
    assert_true(metric(f, "ragd_http_evicted_total") >= 1);
    for (size_t i = 0; i < COUNT(idle); i++)
        close(idle[i]);
}

static void when_all_are_served_a_new_one_is_turned_away(void **state)
{
    struct fixture *f = *state;
    int busy[6]; /* three quarters of 8: what one principal may hold */

    set(f, "connections_max", "8");
    set(f, "workers.threads", "8");
    start(f);
    for (size_t i = 0; i < COUNT(busy); i++) {
        busy[i] = client(f);
        say(busy[i], "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
        wait_until(&f->n_waiting, (unsigned)i + 1);
    }
    expect(ask(f, ""), 503, "Retry-After: 1\r\n");
    expect(ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"), 503, "connections: too many");
    atomic_store(&f->release, true);
    for (size_t i = 0; i < COUNT(busy); i++) {
        expect(hear(busy[i]), 200, NULL);
        close(busy[i]);
    }
    while (metric(f, "ragd_http_connections") > 0)
        pause_ms(1);
    expect(ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"), 200, "hello 0");
}

static void descriptors_run_out_and_come_back(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, low;
    int held[512];
    size_t n = 0;
    size_t n_before;
    char *reply;
    int fd[2];

    start(f);
    n_before = n_descriptors();
    expect(ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"), 200, NULL);
    fd[0] = client(f);
    say(fd[0], "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(hear(fd[0]), 200, NULL);
    while (n_descriptors() > n_before + 2) /* the two ends of fd[0] */
        pause_ms(1); /* a descriptor that comes back later would be one for the next client */
    getrlimit(RLIMIT_NOFILE, &before);
    low = before;
    low.rlim_cur = 256;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    fd[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    while (n < COUNT(held) && (held[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        n++;
    assert_true(n < COUNT(held));
    {
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        snprintf(address.sun_path, sizeof address.sun_path, "%s", f->socket_path);
        assert_int_equal(connect(fd[1], (struct sockaddr *)&address, sizeof address), 0);
    }
    reply = hear(fd[1]);
    expect(reply, 503, "descriptors: none left");
    /* who is connected is served all the same */
    say(fd[0], "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(hear(fd[0]), 200, NULL);
    while (n > 0)
        close(held[--n]);
    close(fd[0]);
    close(fd[1]);
    expect(ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"), 200, NULL);
    setrlimit(RLIMIT_NOFILE, &before);
}

/* ---- clients that vanish ---- */

static void a_handler_learns_at_once_that_its_client_has_gone(void **state)
{
    struct fixture *f = *state;
    int64_t begun;
    int fd;

    start(f);
    fd = client(f);
    say(fd, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_until(&f->n_waiting, 1);
    begun = clock_monotonic_ns();
    close(fd);
    wait_until(&f->n_cancelled, 1);
    /* by the hang-up: the limits of time would have let it wait for 30 s */
    assert_true(clock_elapsed_ms(begun) < PATIENCE_MS);
    while (metric(f, "ragd_http_connections") > 0)
        pause_ms(1);
    assert_int_equal(metric(f, "ragd_http_vanished_total"), 1);
}

static void many_that_ask_and_vanish_leave_nothing_held(void **state)
{
    enum { N = 200 };
    struct fixture *f = *state;

    start(f);
    for (int round = 0; round < 3; round++) {
        int fds[N];

        for (int i = 0; i < N; i++) {
            fds[i] = client(f);
            say(fds[i], i % 3 == 0   ? "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"
                        : i % 3 == 1 ? "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
                                     : "GET /silence HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        for (int i = 0; i < N; i++)
            close(fds[i]);
    }
    while (metric(f, "ragd_http_connections") > 0)
        pause_ms(1);
    wait_until(&f->n_waiting, 0);
    expect(ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"), 200, "hello 0");
}

static void a_silent_stream_notices_that_its_client_has_gone(void **state)
{
    struct fixture *f = *state;
    char text[4096];
    size_t n = 0;
    int fd;

    start(f);
    fd = client(f);
    say(fd, "GET /silence HTTP/1.1\r\nHost: x\r\n\r\n");
    do {
        ssize_t got = recv(fd, text + n, sizeof text - 1 - n, 0);

        assert_true(got > 0);
        n += (size_t)got;
        text[n] = '\0';
    } while (!strstr(text, "first\n")); /* a piece leaves before the next one comes */
    close(fd);
    wait_until(&f->n_cancelled, 1);
}

/* ---- streams ---- */

/* The payload of a chunked reply, checked on the way. */
static uint64_t read_stream(int fd, uint64_t stop_at, unsigned pause_every, const char **ret_end)
{
    static char text[1u << 16];
    bool in_head = true;
    uint64_t n = 0;
    size_t len = 0;
    size_t chunk = 0;
    unsigned reads = 0;

    *ret_end = "cut";
    for (;;) {
        ssize_t got = recv(fd, text + len, sizeof text - len, 0);
        size_t at = 0;

        if (got <= 0)
            return n;
        len += (size_t)got;
        if (pause_every > 0 && ++reads % pause_every == 0)
            pause_ms(1);
        for (;;) {
            char *end;

            if (in_head) {
                end = memmem(text, len, "\r\n\r\n", 4);
                if (!end)
                    break;
                at = (size_t)(end + 4 - text);
                in_head = false;
            } else if (chunk > 0) {
                size_t take = len - at < chunk ? len - at : chunk;

                for (size_t i = 0; i < take; i++)
                    if (text[at + i] != stream_byte(n + i))
                        fail_msg("byte %llu differs", (unsigned long long)(n + i));
                n += take;
                at += take;
                chunk -= take;
                if (n >= stop_at)
                    return n;
                if (chunk > 0)
                    break;
                chunk = 0;
            } else {
                size_t skip = len - at >= 2 && memcmp(text + at, "\r\n", 2) == 0 ? 2 : 0;

                end = memmem(text + at + skip, len - at - skip, "\r\n", 2);
                if (!end)
                    break;
                chunk = strtoul(text + at + skip, NULL, 16);
                at = (size_t)(end + 2 - text);
                if (chunk == 0) {
                    *ret_end = "whole";
                    return n;
                }
            }
        }
        memmove(text, text + at, len - at);
        len -= at;
    }
}

static void a_stream_arrives_whole_at_a_slow_reader(void **state)
{
    struct fixture *f = *state;
    const char *end;
    uint64_t n;
    int fd;

    start(f);
    fd = client(f);
    say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    n = read_stream(fd, UINT64_MAX, 4, &end);
    assert_true(n >= STREAM_BYTES);
    assert_string_equal(end, "whole");
    close(fd);
}

static void a_stream_waits_for_its_reader(void **state)
{
    struct fixture *f = *state;
    uint64_t before;
    const char *end;
    int fd;

    start(f);
    fd = client(f);
    say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)read_stream(fd, 1000, 0, &end);
    do {
        before = atomic_load(&f->written);
        pause_ms(200);
    } while (atomic_load(&f->written) != before);
    assert_true(before < STREAM_BYTES / 2); /* the buffer and the socket's, no more */
    close(fd);
    for (int64_t begun = clock_monotonic_ns(); !atomic_load(&f->stream_lost); pause_ms(1))
        assert_true(clock_elapsed_ms(begun) < PATIENCE_MS);
}

static void a_reader_that_stops_reading_is_hung_up(void **state)
{
    struct fixture *f = *state;
    int fd;

    set(f, "idle_timeout_s", "1");
    start(f);
    fd = client(f);
    say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int64_t begun = clock_monotonic_ns(); !atomic_load(&f->stream_lost); pause_ms(1))
        assert_true(clock_elapsed_ms(begun) < PATIENCE_MS);
    close(fd);
}

/* ---- the end ---- */

static void *drain(void *context)
{
    struct fixture *f = context;

    http_server_drain(f->server, 10000);
    return NULL;
}

static void a_drain_answers_what_was_begun(void **state)
{
    struct fixture *f = *state;
    pthread_t drainer;
    int running, kept;

    start(f);
    kept = client(f);
    say(kept, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(hear(kept), 200, NULL);
    running = client(f);
    say(running, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_until(&f->n_waiting, 1);
    pthread_create(&drainer, NULL, drain, f);
    for (int fd = try_connect(f); fd >= 0; fd = try_connect(f)) {
        close(fd);
        pause_ms(1);
    }
    assert_int_equal(access(f->socket_path, F_OK), -1);
    expect(hear(kept), 0, NULL); /* idle: hung up at once */
    close(kept);
    pause_ms(50);
    atomic_store(&f->release, true);
    expect(hear(running), 200, "hello 0");
    pthread_join(drainer, NULL);
    close(running);
    assert_int_equal(atomic_load(&f->n_cancelled), 0);
}

static void a_drain_cancels_what_takes_too_long(void **state)
{
    struct fixture *f = *state;
    int64_t begun;
    int fd;

    start(f);
    fd = client(f);
    say(fd, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_until(&f->n_waiting, 1);
    begun = clock_monotonic_ns();
    http_server_drain(f->server, 100);
    assert_true(clock_elapsed_ms(begun) < PATIENCE_MS); /* the handler itself would wait for ever */
    assert_int_equal(atomic_load(&f->n_cancelled), 1);
    expect(hear(fd), 503, "Retry-After");
    close(fd);
}

static void a_stream_can_be_cut_short_by_a_stop(void **state)
{
    struct fixture *f = *state;
    int fd[3];

    start(f);
    for (int i = 0; i < 3; i++) {
        fd[i] = client(f);
        say(fd[i], i == 1 ? "GET /silence HTTP/1.1\r\nHost: x\r\n\r\n"
                          : "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    wait_until(&f->n_waiting, 1);
    stop(f);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
    start(f); /* and the socket can be had again */
    expect(ask(f, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"), 200, NULL);
}

/* ---- TCP ---- */

static int tcp_client(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Below those that the kernel gives to clients: no other process's connection takes it between
 * this look and the server's bind(). */
static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (unsigned i = 0; i < 20000; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        unsigned port = 12000 + ((unsigned)getpid() * 31 + i) % 20000;
        bool taken;

        address.sin_port = htons((uint16_t)port);
        taken = bind(fd, (struct sockaddr *)&address, sizeof address) != 0;
        close(fd);
        if (!taken)
            return (uint16_t)port;
    }
    fail_msg("no port is free");
    return 0;
}

static void tcp_needs_a_token(void **state)
{
    static const struct {
        const char *header;
        int status;
        const char *part;
    } cases[] = {
        {"",                                             401, "WWW-Authenticate: Bearer\r\n"},
        {"Authorization: Bearer wrong-wrong-wrong\r\n",  401, "bearer token"                },
        {"Authorization: Basic secret-secret-001\r\n",   401, NULL                          },
        {"Authorization: Bearer secret-secret-001x\r\n", 401, NULL                          },
        {"Authorization: Bearer secret-secret-00\r\n",   401, NULL                          },
        {"Authorization: Bearer \r\n",                   401, NULL                          },
        {"Authorization: bearer secret-secret-001\r\n",  200, "principal=token:alice "      },
        {"Authorization: Bearer secret-secret-0022\r\n", 200, "principal=token:bob "        },
    };
    uint16_t port = free_port();
    struct fixture *f = *state;
    char text[128];
    FILE *file;

    snprintf(text, sizeof text, "%s/tokens", f->folder);
    file = fopen(text, "w");
    assert_non_null(file);
    fputs("# who: token\nalice:secret-secret-001\nbob:secret-secret-0022\n", file);
    fclose(file);
    chmod(text, 0600);
    set(f, "token_file", text);
    set(f, "tcp_address", "127.0.0.1");
    snprintf(text, sizeof text, "%u", port);
    set(f, "tcp_port", text);
    start(f);
    for (size_t i = 0; i < COUNT(cases); i++) {
        int fd = tcp_client(port);

        snprintf(text, sizeof text, "GET /echo/a HTTP/1.1\r\nHost: x\r\n%s\r\n", cases[i].header);
        say(fd, text);
        expect(hear(fd), cases[i].status, cases[i].part);
        close(fd);
    }
    {
        int fd = tcp_client(port);

        say(fd, "GET /wait HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-secret-001\r\n\r\n");
        wait_until(&f->n_waiting, 1);
        close(fd);
        wait_until(&f->n_cancelled, 1);
    }
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest singles[] = {
        WITH(one_connection_serves_many_requests),
        WITH(the_principal_is_the_peers_user),
        WITH(a_client_that_stops_writing_still_gets_its_answer),
        WITH(a_body_over_the_limit_is_refused_by_its_length),
        WITH(a_client_that_sends_it_all_first_reads_the_refusal),
        WITH(a_chunked_body_over_the_limit_is_refused_on_its_way),
        WITH(bodies_of_all_requests_share_a_limit),
        WITH(too_many_headers_are_refused),
        WITH(a_path_over_the_limit_is_refused),
        WITH(a_full_queue_says_when_to_come_again),
        WITH(bulk_work_leaves_room_for_questions),
        WITH(slow_headers_and_bodies_get_408),
        WITH(headers_that_trickle_are_not_waited_for),
        WITH(an_idle_kept_connection_is_closed_without_a_word),
        WITH(slow_clients_do_not_keep_a_good_one_waiting),
        WITH(at_the_limit_the_longest_idle_connection_makes_room),
        WITH(when_all_are_served_a_new_one_is_turned_away),
        WITH(descriptors_run_out_and_come_back),
        WITH(a_handler_learns_at_once_that_its_client_has_gone),
        WITH(many_that_ask_and_vanish_leave_nothing_held),
        WITH(a_silent_stream_notices_that_its_client_has_gone),
        WITH(a_stream_arrives_whole_at_a_slow_reader),
        WITH(a_stream_waits_for_its_reader),
        WITH(a_reader_that_stops_reading_is_hung_up),
        WITH(a_drain_answers_what_was_begun),
        WITH(a_drain_cancels_what_takes_too_long),
        WITH(a_stream_can_be_cut_short_by_a_stop),
        WITH(tcp_needs_a_token),
    };
    struct CMUnitTest tests[COUNT(rows) + COUNT(singles)];

    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    memcpy(tests + COUNT(rows), singles, sizeof singles);
    return cmocka_run_group_tests_name("http_server", tests, NULL, NULL);
}
