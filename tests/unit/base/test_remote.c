/* Goal: what base/remote.h promises to who pays for the calls and to whose texts they carry.
 * Method: a scripted server on the loopback, and a name service of our own, which the linker puts
 * in place of libc's. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/http_client.h"
#include "base/remote_internal.h"
#include "tests/lib/scripted_server.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define OK_REPLY "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
#define KEY      "sk-test-0123456789abcdef"

/* ---- names ---- */

static atomic_int n_lookups;
static atomic_int n_lookups_done;
static atomic_int lookup_ms;       /* that one takes */
static const char *lookup_address; /* that it gives */

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
    struct {
        struct addrinfo info;
        struct sockaddr_in address;
    } *found = calloc(1, sizeof *found);
    struct timespec t = {atomic_load(&lookup_ms) / 1000, 0};

    (void)node, (void)hints;
    atomic_fetch_add(&n_lookups, 1);
    if (!found)
        return EAI_MEMORY;
    nanosleep(&t, NULL);
    atomic_fetch_add(&n_lookups_done, 1);
    found->address.sin_family = AF_INET;
    found->address.sin_port = htons((uint16_t)(service ? atoi(service) : 0));
    inet_pton(AF_INET, lookup_address, &found->address.sin_addr);
    found->info = (struct addrinfo){.ai_family = AF_INET,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_addrlen = sizeof found->address,
                                    .ai_addr = (struct sockaddr *)&found->address};
    *result = &found->info;
    return 0;
}

void freeaddrinfo(struct addrinfo *result)
{
    free(result);
}

/* ---- help ---- */

static struct scripted_server server;

static struct remote *open_remote(const struct remote_options *more, const char *host)
{
    struct rag_error error = {RAG_OK, ""};
    struct remote_options o = *more;
    struct remote *r = NULL;
    char url[128];

    snprintf(url, sizeof url, "http://%s:%d/v1/", host, server.port);
    o.name = "test";
    if (!o.base_url)
        o.base_url = url;
    if (remote_open(&o, &r, &error) != RAG_OK)
        fail_msg("%s", error.text);
    return r;
}

static void start(const char *const *replies, size_t n)
{
    assert_true(scripted_start(&server, replies, n));
}

static enum rag_status call(struct remote *r, struct remote_call *c, int *ret_n_tries,
                            struct rag_error *reterr)
{
    struct remote_outcome outcome;
    enum rag_status status;
    struct buf body;

    buf_init(&body, 65536);
    c->path = "/chat";
    c->body = "{\"a\":1}";
    c->body_bytes = strlen(c->body);
    status = remote_do(r, c, &body, &outcome, reterr);
    buf_release(&body);
    if (ret_n_tries)
        *ret_n_tries = outcome.n_tries;
    return status;
}

static int64_t in_ms(int64_t ms)
{
    return clock_monotonic_ns() + ms * 1000000;
}

static const struct remote_options local = {
    .allow_private = true, .timeout_ms = 5000, .connect_timeout_ms = 2000, .tries_max = 3};

/* ---- what is sent ---- */

static void a_call_carries_key_and_body_to_the_pinned_place(void **state)
{
    static const char *const replies[] = {OK_REPLY};
    struct remote_options o = local;
    struct remote_call c = {0};
    struct remote_stats stats;
    struct remote *r;

    (void)state;
    start(replies, 1);
    o.key = KEY;
    r = open_remote(&o, "127.0.0.1");
    assert_int_equal(call(r, &c, NULL, NULL), RAG_OK);
    assert_non_null(strstr(server.request, "POST /v1/chat HTTP/1.1\r\n"));
    assert_non_null(strstr(server.request, "Authorization: Bearer " KEY "\r\n"));
    assert_non_null(strstr(server.request, "\r\n\r\n{\"a\":1}"));
    assert_null(strstr(server.request, "Accept-Encoding"));
    remote_stats(r, &stats);
    assert_int_equal(stats.calls, 1);
    assert_int_equal(stats.tries, 1);
    assert_int_equal(stats.bytes_sent, 7);
    assert_int_equal(stats.bytes_received, 2);
    remote_close(r);
    scripted_stop(&server);
}

static void an_offline_call_sends_nothing_and_asks_for_no_name(void **state)
{
    static const char *const replies[] = {OK_REPLY};
    struct remote_call c = {.offline = true};
    struct rag_error error;
    struct remote_stats stats;
    struct remote *r;

    (void)state;
    start(replies, 1);
    atomic_store(&n_lookups, 0);
    r = open_remote(&local, "host.example");
    assert_int_equal(call(r, &c, NULL, &error), RAG_EDENIED);
    assert_int_equal(atomic_load(&server.n_requests), 0);
    assert_int_equal(atomic_load(&n_lookups), 0);
    remote_stats(r, &stats);
    assert_int_equal(stats.refused_offline, 1);
    assert_int_equal(stats.tries, 0);
    remote_close(r);
    scripted_stop(&server);
}

static void names_that_lead_elsewhere_are_not_followed(void **state)
{
    static const struct {
        const char *what;
        const char *scheme;
        const char *address;
        bool allow_private;
        const char *message;
    } rows[] = {
        {"a public name with a private address",    "https", "127.0.0.1",       false, "private address"},
        {"a public name with the metadata address", "https", "169.254.169.254", true,
         "no server may have"                                                                           },
        {"a public address without encryption",     "http",  "93.184.216.34",   true,  "use https"      },
    };
    static const char *const replies[] = {OK_REPLY};

    (void)state;
    start(replies, 1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct remote_options o = local;
        struct rag_error error = {RAG_OK, ""};
        struct remote_call c = {0};
        struct remote *r;
        char url[128];

        snprintf(url, sizeof url, "%s://host.example:%d", rows[i].scheme, server.port);
        lookup_address = rows[i].address;
        o.base_url = url;
        o.allow_private = rows[i].allow_private;
        o.tries_max = 1;
        r = open_remote(&o, "");
        if (call(r, &c, NULL, &error) != RAG_EIO || !strstr(error.text, rows[i].message))
            fail_msg("%s: %s", rows[i].what, error.text);
        assert_int_equal(atomic_load(&server.n_requests), 0);
        remote_close(r);
    }
    scripted_stop(&server);
}

static void a_private_name_is_reached_when_that_is_allowed(void **state)
{
    static const char *const replies[] = {OK_REPLY};
    struct remote_call c = {0};
    struct remote *r;

    (void)state;
    start(replies, 1);
    lookup_address = "127.0.0.1";
    r = open_remote(&local, "host.example");
    assert_int_equal(call(r, &c, NULL, NULL), RAG_OK);
    remote_close(r);
    scripted_stop(&server);
}

static void proxies_of_the_environment_are_not_used(void **state)
{
    static const char *const replies[] = {OK_REPLY};
    struct remote_call c = {0};
    struct remote *r;

    (void)state;
    start(replies, 1);
    setenv("http_proxy", "http://127.0.0.1:9", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:9", 1);
    r = open_remote(&local, "127.0.0.1");
    assert_int_equal(call(r, &c, NULL, NULL), RAG_OK);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    remote_close(r);
    scripted_stop(&server);
}

/* ---- codes and tries ---- */

#define REPLY(code, headers, body)                                                                 \
    "HTTP/1.1 " code " X\r\nConnection: close\r\n" headers "\r\n" body

static void codes_become_statuses_and_tries(void **state)
{
    static const struct {
        const char *what;
        const char *replies[3];
        size_t n_replies;
        int n_tries;
        enum rag_status status;
        const char *message;
    } rows[] = {
        {"a server that is busy twice",
         {REPLY("503", "", ""), REPLY("500", "", ""), OK_REPLY},
         3,                                                                     3,
         RAG_OK,                                                                            ""                                                    },
        {"a server that stays broken",
         {REPLY("502", "", "{\"error\":{\"message\":\"bad day\"}}")},
         1,                                                                     3,
         RAG_EIO,                                                                           "502: bad day"                                        },
        {"a request that is wrong",
         {REPLY("400", "", "{\"message\":\"no\\nsecond line\"}")},
         1,                                                                     1,
         RAG_EINVAL,                                                                        "400: no"                                             },
        {"a model that is not there",
         {REPLY("404", "", "{\"error\":\"gone\"}")},
         1,                                                                     1,
         RAG_EIO,                                                                           "404: gone"                                           },
        {"a key that is wrong",
         {REPLY("401", "", "bad key " KEY " and 0123456789")},
         1,                                                                     1,
         RAG_EIO,                                                                           "401: bad key ************************ and **********"},
        {"too many requests",              {REPLY("429", "", ""), OK_REPLY}, 2, 2, RAG_OK,  ""                                                    },
        {"too many requests for an hour",
         {REPLY("429", "Retry-After: 3600\r\n", "")},
         1,                                                                     1,
         RAG_EBUSY,                                                                         "429"                                                 },
        {"a redirect",
         {REPLY("307", "Location: http://127.0.0.1:9/\r\n", "")},
         1,                                                                     1,
         RAG_EIO,                                                                           "sends elsewhere"                                     },
        {"a connection that ends at once", {"", OK_REPLY},                   2, 2, RAG_OK,  ""                                                    },
        {"a body that is cut",
         {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"},
         1,                                                                     3,
         RAG_EIO,                                                                           ""                                                    },
        {"something that is not HTTP",     {"SSH-2.0-x\r\n"},                1, 1, RAG_EIO, ""                                                    },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rag_error error = {RAG_OK, ""};
        struct remote_options o = local;
        struct remote_call c = {.deadline_ns = in_ms(20000), .response_bytes_max = 1000};
        enum rag_status status;
        struct remote *r;
        int n_tries;

        start(rows[i].replies, rows[i].n_replies);
        o.key = KEY;
        r = open_remote(&o, "127.0.0.1");
        status = call(r, &c, &n_tries, &error);
        if (status != rows[i].status || n_tries != rows[i].n_tries ||
            !strstr(error.text, rows[i].message))
            fail_msg("%s: status %d, %d tries, '%s'", rows[i].what, status, n_tries, error.text);
        assert_int_equal(atomic_load(&server.n_requests), n_tries);
        remote_close(r);
        scripted_stop(&server);
    }
}

static void a_retry_after_is_waited_for(void **state)
{
    static const char *const replies[] = {REPLY("429", "Retry-After: 1\r\n", ""), OK_REPLY};
    struct remote_call c = {.deadline_ns = in_ms(20000)};
    int64_t begun = clock_monotonic_ns();
    struct remote *r;

    (void)state;
    start(replies, 2);
    r = open_remote(&local, "127.0.0.1");
    assert_int_equal(call(r, &c, NULL, NULL), RAG_OK);
    assert_true(clock_elapsed_ms(begun) >= 1000);
    remote_close(r);
    scripted_stop(&server);
}

static void a_retry_after_that_is_too_late_keeps_the_circuit_open(void **state)
{
    static const char *const replies[] = {REPLY("503", "Retry-After: 100\r\n", "")};
    struct remote_call c = {.deadline_ns = in_ms(3000)};
    struct rag_error error;
    struct remote_stats stats;
    struct remote *r;

    (void)state;
    start(replies, 1);
    r = open_remote(&local, "127.0.0.1");
    assert_int_equal(call(r, &c, NULL, &error), RAG_EIO);
    assert_int_equal(call(r, &c, NULL, &error), RAG_EBUSY);
    assert_int_equal(atomic_load(&server.n_requests), 1);
    remote_stats(r, &stats);
    assert_true(stats.circuit_open);
    assert_int_equal(stats.refused_open, 1);
    remote_close(r);
    scripted_stop(&server);
}

static bool take_some(void *context, const char *data, size_t n)
{
    size_t *n_bytes = context;

    (void)data;
    *n_bytes += n;
    return *n_bytes < 100;
}

static void nothing_is_tried_again_after_a_piece(void **state)
{
    static const char *const replies[] = {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc"};
    size_t n_bytes = 0;
    struct remote_call c = {.on_piece = take_some, .context = &n_bytes};
    struct rag_error error;
    struct remote *r;
    int n_tries;

    (void)state;
    start(replies, 1);
    r = open_remote(&local, "127.0.0.1");
    assert_int_equal(call(r, &c, &n_tries, &error), RAG_EIO);
    assert_int_equal(n_tries, 1);
    assert_int_equal(n_bytes, 3);
    remote_close(r);
    scripted_stop(&server);
}

static void the_body_of_an_error_is_no_piece(void **state)
{
    static const char *const replies[] = {REPLY("400", "", "{\"error\":{\"message\":\"why\"}}")};
    size_t n_bytes = 0;
    struct remote_call c = {.on_piece = take_some, .context = &n_bytes};
    struct rag_error error;
    struct remote *r;

    (void)state;
    start(replies, 1);
    r = open_remote(&local, "127.0.0.1");
    assert_int_equal(call(r, &c, NULL, &error), RAG_EINVAL);
    assert_int_equal(n_bytes, 0);
    assert_non_null(strstr(error.text, "why"));
    remote_close(r);
    scripted_stop(&server);
}

static void a_long_response_is_cut_off(void **state)
{
    static const char *const replies[] = {
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n0123456789012345678901234567890123456789"};
    struct remote_call c = {.response_bytes_max = 20};
    struct rag_error error;
    struct remote *r;

    (void)state;
    start(replies, 1);
    r = open_remote(&local, "127.0.0.1");
    assert_int_equal(call(r, &c, NULL, &error), RAG_ELIMIT);
    remote_close(r);
    scripted_stop(&server);
}

static void headers_without_end_are_cut_off(void **state)
{
    static char reply[HTTP_RESPONSE_HEADER_BYTES_MAX + 65536];
    const char *const replies[] = {reply};
    struct remote_options o = local;
    struct remote_call c = {0};
    struct rag_error error;
    struct remote *r;
    size_t n = 0;

    (void)state;
    n += (size_t)sprintf(reply, "HTTP/1.1 200 OK\r\n");
    while (n < sizeof reply - 200)
        n += (size_t)sprintf(reply + n, "X-%zu: %0100d\r\n", n, 0);
    start(replies, 1);
    o.tries_max = 1;
    r = open_remote(&o, "127.0.0.1");
    assert_int_equal(call(r, &c, NULL, &error), RAG_ELIMIT);
    remote_close(r);
    scripted_stop(&server);
}

/* ---- circuit and budget ---- */

static void the_circuit_opens_after_failures_in_a_row(void **state)
{
    static const char *const replies[] = {REPLY("500", "", "")};
    struct remote_options o = local;
    struct rag_error error;
    struct remote_stats stats;
    struct remote *r;

    (void)state;
    start(replies, 1);
    o.tries_max = 1;
    r = open_remote(&o, "127.0.0.1");
    for (int i = 0; i < REMOTE_FAILURES_MAX; i++) {
        struct remote_call c = {0};

        assert_int_equal(call(r, &c, NULL, &error), RAG_EIO);
    }
    for (int i = 0; i < 3; i++) {
        struct remote_call c = {0};

        assert_int_equal(call(r, &c, NULL, &error), RAG_EBUSY);
    }
    assert_int_equal(atomic_load(&server.n_requests), REMOTE_FAILURES_MAX);
    remote_stats(r, &stats);
    assert_true(stats.circuit_open);
    assert_int_equal(stats.refused_open, 3);
    assert_int_equal(stats.failures, REMOTE_FAILURES_MAX);
    remote_close(r);
    scripted_stop(&server);
}

static void an_open_circuit_lets_one_try_and_closes_when_it_works(void **state)
{
    int64_t s = 1000000000;
    struct circuit c = {0};

    (void)state;
    for (int i = 0; i < REMOTE_FAILURES_MAX; i++) {
        assert_true(circuit_admits(&c, s));
        circuit_note(&c, false, s);
    }
    assert_false(circuit_admits(&c, s + REMOTE_OPEN_MS * 999999ll));
    assert_true(circuit_admits(&c, s + REMOTE_OPEN_MS * 1000000ll));
    assert_false(circuit_admits(&c, s + REMOTE_OPEN_MS * 1000001ll)); /* one at a time */
    circuit_note(&c, false, 100 * s);
    assert_false(circuit_admits(&c, 100 * s + REMOTE_OPEN_MS * 1999999ll)); /* twice as long */
    assert_true(circuit_admits(&c, 100 * s + REMOTE_OPEN_MS * 2000000ll));
    circuit_forget(&c); /* that one was cancelled: the next may try */
    assert_true(circuit_admits(&c, 200 * s));
    circuit_note(&c, true, 200 * s);
    assert_true(circuit_admits(&c, 200 * s));
    assert_true(circuit_admits(&c, 200 * s));
    for (int i = 0; i < 20; i++)
        circuit_note(&c, false, 300 * s);
    assert_true(c.open_until_ns - 300 * s <= REMOTE_OPEN_MS_MAX * 1000000ll);
}

static char folder[] = "/tmp/ragd-remote-XXXXXX";

static void path_of(const char *name, char ret[128])
{
    snprintf(ret, 128, "%s/%s", folder, name);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void a_spent_budget_refuses_and_survives_a_restart(void **state)
{
    static const char *const replies[] = {OK_REPLY};
    struct remote_options o = local;
    struct remote_stats stats;
    struct rag_error error;
    struct remote *r;
    char path[128];

    (void)state;
    path_of("budget", path);
    start(replies, 1);
    o.calls_per_day = 3;
    o.state_path = path;
    for (int i = 0; i < 5; i++) {
        struct remote_call c = {0};

        r = open_remote(&o, "127.0.0.1");
        assert_int_equal(call(r, &c, NULL, &error), i < 3 ? RAG_OK : RAG_EBUSY);
        remote_stats(r, &stats);
        assert_int_equal(stats.calls_today, i < 3 ? i + 1 : 3);
        assert_int_equal(stats.refused_budget, i < 3 ? 0 : 1);
        remote_close(r);
    }
    assert_non_null(strstr(error.text, "calls_per_day"));
    assert_int_equal(atomic_load(&server.n_requests), 3);
    (void)unlink(path);
    scripted_stop(&server);
}

static void a_budget_begins_anew_each_day_and_not_when_the_clock_steps_back(void **state)
{
    struct budget b;
    int64_t today;

    (void)state;
    assert_int_equal(budget_open(&b, 1, NULL, NULL), RAG_OK);
    today = b.day;
    assert_int_equal(budget_take(&b, today, NULL), RAG_OK);
    assert_int_equal(budget_take(&b, today, NULL), RAG_EBUSY);
    assert_int_equal(budget_take(&b, today - 1, NULL), RAG_EBUSY);
    assert_int_equal(budget_take(&b, today + 1, NULL), RAG_OK);
    assert_int_equal(budget_take(&b, today + 1, NULL), RAG_EBUSY);
    budget_close(&b);
}

static void a_crash_leaves_no_room_for_more_than_was_allowed(void **state)
{
    struct budget crashed;
    struct budget b;
    char path[128];
    int n = 0;

    (void)state;
    path_of("crash", path);
    assert_int_equal(budget_open(&crashed, 1000, path, NULL), RAG_OK);
    for (int i = 0; i < 500; i++)
        assert_int_equal(budget_take(&crashed, crashed.day, NULL), RAG_OK);
    assert_int_equal(budget_open(&b, 1000, path, NULL), RAG_OK); /* as if the first one were gone */
    while (budget_take(&b, b.day, NULL) == RAG_OK)
        n++;
    assert_true(n <= 500 && n >= 500 - REMOTE_BUDGET_AHEAD_MAX);
    budget_close(&b);
    free(crashed.path);
    (void)unlink(path);
}

static void a_damaged_budget_is_told(void **state)
{
    static const char *const texts[] = {"", "x\n", "1\n", "1 2", "1 -2\n", "1 2 3\n"};
    char path[128];

    (void)state;
    path_of("damaged", path);
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct rag_error error = {RAG_OK, ""};
        struct budget b;

        write_file(path, texts[i], 0600);
        assert_int_equal(budget_open(&b, 5, path, &error), RAG_EFORMAT);
        assert_non_null(strstr(error.text, path));
        budget_close(&b);
    }
    (void)unlink(path);
}

/* ---- stopping ---- */

struct stopper {
    atomic_bool flag;
    pthread_t thread;
};

static void *stop_soon(void *context)
{
    struct stopper *s = context;

    usleep(100000);
    atomic_store(&s->flag, true);
    return NULL;
}

static void a_flag_ends_a_call_at_any_stage(void **state)
{
    static const char *const hang[] = {SCRIPTED_HANG};
    static const char *const busy[] = {REPLY("503", "Retry-After: 50\r\n", "")};
    static const struct {
        const char *what;
        const char *const *replies;
        const char *host;
        int lookup_ms;
    } rows[] = {
        {"while the server thinks",   hang, "127.0.0.1",    0   },
        {"in a pause between tries",  busy, "127.0.0.1",    0   },
        {"while a name is looked up", hang, "host.example", 5000},
    };

    (void)state;
    lookup_address = "127.0.0.1";
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct stopper stopper;
        struct remote_call c = {.cancel = &stopper.flag};
        struct remote_options o = local;
        struct rag_error error = {RAG_OK, ""};
        struct remote_stats stats;
        struct remote *r;
        int64_t begun;
        int n_done;

        atomic_init(&stopper.flag, false);
        atomic_store(&lookup_ms, rows[i].lookup_ms);
        start(rows[i].replies, 1);
        o.timeout_ms = 60000; /* as what it must not wait for: far longer than what is allowed */
        o.connect_timeout_ms = 60000;
        r = open_remote(&o, rows[i].host);
        n_done = atomic_load(&n_lookups_done);
        assert_int_equal(pthread_create(&stopper.thread, NULL, stop_soon, &stopper), 0);
        begun = clock_monotonic_ns();
        if (call(r, &c, NULL, &error) != RAG_ECANCELLED || clock_elapsed_ms(begun) > 20000)
            fail_msg("%s: %s after %.0f ms", rows[i].what, error.text, clock_elapsed_ms(begun));
        if (rows[i].lookup_ms > 0) /* and not for the lookup either */
            assert_int_equal(atomic_load(&n_lookups_done), n_done);
        pthread_join(stopper.thread, NULL);
        remote_stats(r, &stats);
        assert_int_equal(stats.cancelled, 1);
        assert_int_equal(stats.failures, 0);
        remote_close(r);
        scripted_stop(&server);
    }
    atomic_store(&lookup_ms, 0);
}

static void a_silent_server_is_given_up(void **state)
{
    static const char *const hang[] = {SCRIPTED_HANG};
    static const struct {
        const char *what;
        int64_t timeout_ms;
        int64_t stall_ms;
        int64_t deadline_ms;
        const char *message;
    } rows[] = {
        {"by its own time",          200,  0,   0,   "no answer within 200 ms"},
        {"by silence",               5000, 200, 0,   "nothing came for 200 ms"},
        {"by the caller's deadline", 5000, 0,   200, "no answer within"       },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct remote_options o = local;
        struct rag_error error = {RAG_OK, ""};
        struct remote_call c = {0};
        struct remote *r;
        int n_tries;

        start(hang, 1);
        o.timeout_ms = rows[i].timeout_ms;
        o.stall_ms = rows[i].stall_ms;
        r = open_remote(&o, "127.0.0.1");
        if (rows[i].deadline_ms > 0)
            c.deadline_ns = in_ms(rows[i].deadline_ms);
        if (call(r, &c, &n_tries, &error) != RAG_ETIMEOUT || n_tries != 1 ||
            !strstr(error.text, rows[i].message))
            fail_msg("%s: %s, %d tries", rows[i].what, error.text, n_tries);
        remote_close(r);
        scripted_stop(&server);
    }
}

/* ---- options ---- */

static void base_urls_are_checked(void **state)
{
    static const struct {
        const char *url;
        bool allow_private;
        const char *message; /* NULL: it is fine */
    } rows[] = {
        {"https://api.example/v1",         false, NULL              },
        {"https://api.example:8443/v1/",   false, NULL              },
        {"http://10.0.0.1:8000",           true,  NULL              },
        {"http://api.example/v1",          false, "not encrypted"   },
        {"https://user@api.example/v1",    false, "user name"       },
        {"https://user:pw@api.example/v1", false, "user name"       },
        {"https://api.example/v1?key=x",   false, "a query"         },
        {"https://api.example/v1#x",       false, "a fragment"      },
        {"ftp://api.example/v1",           false, "must be https://"},
        {"file:///etc/passwd",             false, "must be https://"},
        {"api.example/v1",                 false, "must be https://"},
        {"https://",                       false, "must be https://"},
        {"https://api.example/v1 x",       false, "must be https://"},
        {"",                               false, "must be https://"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct remote_options o = {
            .name = "test", .base_url = rows[i].url, .allow_private = rows[i].allow_private};
        struct rag_error error = {RAG_OK, ""};
        struct remote *r = NULL;
        enum rag_status status = remote_open(&o, &r, &error);

        if (rows[i].message ? status != RAG_EINVAL || !strstr(error.text, rows[i].message)
                            : status != RAG_OK)
            fail_msg("'%s': %s", rows[i].url, error.text);
        if (r)
            assert_int_not_equal(remote_base_url(r)[strlen(remote_base_url(r)) - 1], '/');
        remote_close(r);
    }
}

static void keys_come_from_files_that_others_cannot_read(void **state)
{
    static const struct {
        const char *text;
        mode_t mode;
        enum rag_status status;
    } rows[] = {
        {KEY "\n",          0600, RAG_OK    },
        {KEY "\r\nignored", 0400, RAG_OK    },
        {KEY,               0640, RAG_OK    },
        {KEY,               0644, RAG_EINVAL},
        {KEY,               0604, RAG_EINVAL},
        {KEY,               0660, RAG_EINVAL},
        {"",                0600, RAG_EINVAL},
        {"\n",              0600, RAG_EINVAL},
        {"a b\n",           0600, RAG_EINVAL},
        {"\xEA\xB0\x80\n",  0600, RAG_EINVAL},
    };
    struct rag_error error = {RAG_OK, ""};
    char path[128];
    char *key = NULL;

    (void)state;
    path_of("key", path);
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum rag_status status;

        key = NULL;
        write_file(path, rows[i].text, rows[i].mode);
        status = remote_key_read(path, "", &key, &error);
        if (status != rows[i].status)
            fail_msg("row %zu: %s", i, error.text);
        if (status == RAG_OK)
            assert_string_equal(key, KEY);
        assert_null(strstr(error.text, "0123456789"));
        remote_key_free(key);
    }
    (void)unlink(path);
    assert_int_equal(remote_key_read(path, NULL, &key, &error), RAG_EIO);
    assert_int_equal(remote_key_read(NULL, "RAGD_TEST_NO_SUCH", &key, &error), RAG_ENOTFOUND);
    setenv("RAGD_TEST_KEY", KEY, 1);
    assert_int_equal(remote_key_read(NULL, "RAGD_TEST_KEY", &key, &error), RAG_OK);
    assert_string_equal(key, KEY);
    remote_key_free(key);
    unsetenv("RAGD_TEST_KEY");
    assert_int_equal(remote_key_read(NULL, "", &key, &error), RAG_OK);
    assert_null(key);
}

static void what_a_server_says_is_scrubbed_of_the_key(void **state)
{
    static const struct {
        const char *text;
        const char *key;
        const char *expected;
    } rows[] = {
        {"you sent " KEY "!",       KEY,   "you sent ************************!"},
        {"it ends in abcdef",       KEY,   "it ends in ******"                 },
        {"it ends in bcdef",        KEY,   "it ends in bcdef"                  },
        {"sk-test-01 and 89abcdef", KEY,   "********** and ********"           },
        {"short",                   "abc", "short"                             },
        {"an abc key",              "abc", "an *** key"                        },
        {"nothing to hide",         NULL,  "nothing to hide"                   },
    };
    static const char escaped[] =
        "{\"error\":{\"message\":\"key \\u0073k-test-0123456789abcdef\"}}";
    struct buf out;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[64];

        snprintf(text, sizeof text, "%s", rows[i].text);
        remote_scrub(text, rows[i].key);
        assert_string_equal(text, rows[i].expected);
    }
    buf_init(&out, REMOTE_ERROR_BYTES_MAX);
    remote_error_text(escaped, strlen(escaped), KEY, &out);
    assert_string_equal(buf_str(&out), "key ************************");
    buf_release(&out);
}

static int set_up(void **state)
{
    (void)state;
    lookup_address = "127.0.0.1";
    return http_client_global() == RAG_OK && mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_carries_key_and_body_to_the_pinned_place),
        cmocka_unit_test(an_offline_call_sends_nothing_and_asks_for_no_name),
        cmocka_unit_test(names_that_lead_elsewhere_are_not_followed),
        cmocka_unit_test(a_private_name_is_reached_when_that_is_allowed),
        cmocka_unit_test(proxies_of_the_environment_are_not_used),
        cmocka_unit_test(codes_become_statuses_and_tries),
        cmocka_unit_test(a_retry_after_is_waited_for),
        cmocka_unit_test(a_retry_after_that_is_too_late_keeps_the_circuit_open),
        cmocka_unit_test(nothing_is_tried_again_after_a_piece),
        cmocka_unit_test(the_body_of_an_error_is_no_piece),
        cmocka_unit_test(a_long_response_is_cut_off),
        cmocka_unit_test(headers_without_end_are_cut_off),
        cmocka_unit_test(the_circuit_opens_after_failures_in_a_row),
        cmocka_unit_test(an_open_circuit_lets_one_try_and_closes_when_it_works),
        cmocka_unit_test(a_spent_budget_refuses_and_survives_a_restart),
        cmocka_unit_test(a_budget_begins_anew_each_day_and_not_when_the_clock_steps_back),
        cmocka_unit_test(a_crash_leaves_no_room_for_more_than_was_allowed),
        cmocka_unit_test(a_damaged_budget_is_told),
        cmocka_unit_test(a_flag_ends_a_call_at_any_stage),
        cmocka_unit_test(a_silent_server_is_given_up),
        cmocka_unit_test(base_urls_are_checked),
        cmocka_unit_test(keys_come_from_files_that_others_cannot_read),
        cmocka_unit_test(what_a_server_says_is_scrubbed_of_the_key),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
