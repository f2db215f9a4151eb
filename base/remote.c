#define _GNU_SOURCE
#include "base/remote.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/http_client.h"
#include "base/remote_internal.h"
#include "base/sha256.h"
#include "base/splitmix.h"

#define NS_PER_MS INT64_C(1000000)

struct remote {
    struct remote_options options; /* texts are owned */
    struct http_target target;

    pthread_mutex_t mutex; /* guards what follows */
    struct circuit circuit;
    struct budget budget;
    struct remote_stats stats;
    uint64_t random;
    struct http_client *idle[REMOTE_CONNECTIONS_MAX];
    size_t n_idle;
};

/* ---- open and close ---- */

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

void remote_close(struct remote *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_idle; i++)
        http_client_close(r->idle[i]);
    budget_close(&r->budget);
    remote_key_free((char *)r->options.key);
    free((char *)r->options.name);
    free((char *)r->options.base_url);
    free((char *)r->options.ca_file);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}

static enum rag_status check_options(const struct remote_options *o, struct rag_error *reterr)
{
    struct rag_error why = {RAG_OK, ""};
    bool https = false;

    if (http_base_url_check(o->base_url, &https, &why) != RAG_OK)
        return rag_fail(reterr, why.status, "%s: base URL '%s': %s", o->name, o->base_url,
                        why.text);
    if (!https && !o->allow_private)
        return rag_fail(reterr, RAG_EINVAL,
                        "%s: base URL '%s': http is not encrypted, so it is for private addresses "
                        "only; use https, or set allow_private",
                        o->name, o->base_url);
    if (o->timeout_ms < 0 || o->connect_timeout_ms < 0 || o->stall_ms < 0 || o->calls_per_day < 0)
        return rag_fail(reterr, RAG_EINVAL, "%s: a time or number is negative", o->name);
    if (o->tries_max < 0 || o->tries_max > REMOTE_TRIES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "%s: tries_max %d: must be 1 to %d", o->name,
                        o->tries_max, REMOTE_TRIES_MAX);
    return RAG_OK;
}

enum rag_status remote_open(const struct remote_options *options, struct remote **ret,
                            struct rag_error *reterr)
{
    enum rag_status status = check_options(options, reterr);
    struct remote *r = status == RAG_OK ? calloc(1, sizeof *r) : NULL;
    size_t n;

    if (status != RAG_OK)
        return status;
    if (!r)
        return rag_fail(reterr, RAG_ENOMEM, "%s: out of memory", options->name);
    pthread_mutex_init(&r->mutex, NULL);
    r->options = *options;
    r->options.name = copy(options->name);
    r->options.base_url = copy(options->base_url);
    r->options.key = copy(options->key);
    r->options.ca_file = copy(options->ca_file);
    if (r->options.tries_max == 0)
        r->options.tries_max = 1;
    if (!r->options.name || !r->options.base_url || (options->key && !r->options.key) ||
        (options->ca_file && !r->options.ca_file))
        status = rag_fail(reterr, RAG_ENOMEM, "%s: out of memory", options->name);
    if (status == RAG_OK) {
        char *url = (char *)r->options.base_url; /* ours */

        for (n = strlen(url); n > 0 && url[n - 1] == '/'; n--)
            url[n - 1] = '\0';
        if (random_bytes(&r->random, sizeof r->random) != RAG_OK)
            r->random = (uint64_t)clock_monotonic_ns(); /* only spreads retries */
        status = budget_open(&r->budget, options->calls_per_day, options->state_path, reterr);
    }
    if (status != RAG_OK) {
        remote_close(r);
        return status;
    }
    r->target = (struct http_target){
        .base_url = r->options.base_url,
        .bearer_token = r->options.key,
        .ca_file = r->options.ca_file,
        .reach = options->allow_private ? HTTP_PRIVATE_TOO : HTTP_PUBLIC,
    };
    *ret = r;
    return RAG_OK;
}

const char *remote_base_url(const struct remote *r)
{
    return r->options.base_url;
}

void remote_hide_key(const struct remote *r, char *text)
{
    remote_scrub(text, r->options.key);
}

void remote_stats(struct remote *r, struct remote_stats *ret)
{
    pthread_mutex_lock(&r->mutex);
    *ret = r->stats;
    ret->circuit_open = r->circuit.open_until_ns != 0;
    ret->calls_today = r->budget.day == clock_wall_ms() / 86400000 ? r->budget.n_used : 0;
    pthread_mutex_unlock(&r->mutex);
}

/* ---- connections ---- */

static enum rag_status take_client(struct remote *r, struct http_client **ret,
                                   struct rag_error *reterr)
{
    struct http_client *client = NULL;

    pthread_mutex_lock(&r->mutex);
    if (r->n_idle > 0)
        client = r->idle[--r->n_idle];
    pthread_mutex_unlock(&r->mutex);
    if (!client)
        return http_client_open(&r->target, ret, reterr);
    *ret = client;
    return RAG_OK;
}

static void give_client(struct remote *r, struct http_client *client)
{
    pthread_mutex_lock(&r->mutex);
    if (r->n_idle < REMOTE_CONNECTIONS_MAX) {
        r->idle[r->n_idle++] = client;
        client = NULL;
    }
    pthread_mutex_unlock(&r->mutex);
    http_client_close(client);
}

/* ---- one try ---- */

struct
try {
    const struct remote_call *call;
    struct http_client *client;
    struct buf *body;      /* of a 2xx, when the caller takes no pieces; else NULL */
    struct buf error_body; /* of a response that is no 2xx */
    size_t n_received;
    bool released;  /* a piece went to the caller */
    bool said_stop; /* the caller, to a piece */
    bool unspent;   /* the budget allowed no try */
    bool own_limit; /* it had as much time as the configuration gives */
    long code;      /* 0: no response */
    int64_t retry_after_s;
};

static bool is_success(long code)
{
    return code >= 200 && code <= 299;
}

static bool on_piece(void *context, const char *data, size_t n_bytes)
{
    struct try *t = context;

    t->n_received += n_bytes;
    if (!is_success(http_client_code(t->client))) {
        size_t room = t->error_body.max - t->error_body.len;

        /* the beginning is enough for a message, the rest is read so that the connection stays */
        buf_append(&t->error_body, data, n_bytes < room ? n_bytes : room);
        return true;
    }
    if (t->body) {
        buf_append(t->body, data, n_bytes);
        return buf_status(t->body) == RAG_OK;
    }
    t->released = true;
    t->said_stop = !t->call->on_piece(t->call->context, data, n_bytes);
    return !t->said_stop;
}

/* How long this try may take: *ret_own when that is what is configured. 0: no limit; -1: no time is
 * left. */
static int64_t try_ms(const struct remote *r, const struct remote_call *call, bool *ret_own)
{
    int64_t own = r->options.timeout_ms;
    int64_t left;

    *ret_own = true;
    if (call->deadline_ns == 0)
        return own;
    left = (call->deadline_ns - clock_monotonic_ns()) / NS_PER_MS;
    if (left <= 0)
        return -1;
    if (own > 0 && own <= left)
        return own;
    *ret_own = left >= REMOTE_FAIR_MS;
    return left;
}

/* RAG_OK: there is a response. */
static enum rag_status send_once(struct remote *r, struct try *t, struct rag_error *reterr)
{
    int64_t ms = try_ms(r, t->call, &t->own_limit);
    const char *const headers[] = {"Accept: application/json, text/event-stream", NULL};
    struct http_call http = {
        .method = "POST",
        .path = t->call->path,
        .headers = headers,
        .body = t->call->body,
        .body_bytes = t->call->body_bytes,
        .timeout_ms = ms,
        .connect_timeout_ms =
            r->options.connect_timeout_ms ? r->options.connect_timeout_ms : r->options.timeout_ms,
        .stall_ms = r->options.stall_ms,
        .pieces_bytes_max = t->call->response_bytes_max,
        .cancel = t->call->cancel,
        .on_piece = on_piece,
        .context = t,
    };
    struct rag_error why = {RAG_OK, ""};
    enum rag_status status;
    struct buf none;

    if (ms < 0)
        return rag_fail(reterr, RAG_ETIMEOUT, "%s: the deadline passed", r->options.name);
    buf_init(&none, 1);
    buf_reset(&t->error_body);
    if (t->body)
        buf_reset(t->body);
    t->n_received = 0;
    t->code = 0;
    t->retry_after_s = 0;
    status = http_client_do(t->client, &http, &t->code, &none, &why);
    if (status != RAG_OK)
        rag_fail(reterr, status, "%s: %s", r->options.name, why.text);
    if (status == RAG_OK)
        t->retry_after_s = http_client_retry_after_s(t->client);
    else if (http_client_sent(t->client))
        t->code = http_client_code(t->client);
    buf_release(&none);
    if (t->body && buf_status(t->body) != RAG_OK)
        return rag_fail(reterr, buf_status(t->body), "%s: response over %zu bytes or out of memory",
                        r->options.name, t->body->max);
    return status;
}

/* The status of a response that is no 2xx. */
static enum rag_status refused_by_server(const struct remote *r, const struct try *t,
                                         struct rag_error *reterr)
{
    enum rag_status status = t->code == 401 || t->code == 403                     ? RAG_EDENIED
                             : t->code >= 300 && t->code < 400                    ? RAG_EDENIED
                             : t->code == 429                                     ? RAG_EBUSY
                             : t->code == 408                                     ? RAG_ETIMEOUT
                             : t->code == 400 || t->code == 413 || t->code == 422 ? RAG_EINVAL
                                                                                  : RAG_EIO;
    struct buf text;

    buf_init(&text, REMOTE_ERROR_BYTES_MAX);
    if (t->code < 300 || t->code >= 400)
        remote_error_text(buf_str(&t->error_body), t->error_body.len, r->options.key, &text);
    else
        buf_append_str(&text, "sends elsewhere, which is not followed; correct the base URL");
    rag_fail(reterr, status, "%s: HTTP status %ld%s%s", r->options.name, t->code,
             text.len > 0 ? ": " : "", buf_str(&text));
    buf_release(&text);
    return status;
}

/* ---- one call ---- */

static uint64_t draw(struct remote *r, uint64_t below)
{
    uint64_t x;

    pthread_mutex_lock(&r->mutex);
    x = splitmix_next(&r->random);
    pthread_mutex_unlock(&r->mutex);
    return below > 0 ? x % below : 0;
}

/* The pause after the n-th try: a random share of what doubles each time, or what the server asked
 * for and a little more, so that not everybody comes back at once. */
static int64_t pause_ms(struct remote *r, const struct try *t, int n)
{
    int64_t most = REMOTE_BACKOFF_MS;

    for (int i = 1; i < n && most < REMOTE_BACKOFF_MS_MAX; i++)
        most *= 2;
    if (t->retry_after_s > 0 && t->retry_after_s < INT32_MAX)
        return t->retry_after_s * 1000 + (int64_t)draw(r, REMOTE_BACKOFF_MS);
    return (int64_t)draw(r, (uint64_t)most + 1);
}

/* false: somebody said stop. */
static bool sleep_ms(int64_t ms, const atomic_bool *cancel)
{
    int64_t until = clock_monotonic_ns() + ms * NS_PER_MS;

    for (int64_t now = clock_monotonic_ns(); now < until; now = clock_monotonic_ns()) {
        int64_t part = until - now;
        struct timespec t = {0};

        if (cancel && atomic_load(cancel))
            return false;
        if (cancel && part > HTTP_CANCEL_LOOK_MS * NS_PER_MS)
            part = HTTP_CANCEL_LOOK_MS * NS_PER_MS;
        t.tv_sec = (time_t)(part / 1000000000);
        t.tv_nsec = (long)(part % 1000000000);
        nanosleep(&t, NULL);
    }
    return !(cancel && atomic_load(cancel));
}

/* Would another try be of use? */
static bool may_help(const struct try *t, enum rag_status status)
{
    if (t->released || (t->code >= 300 && t->code < 400))
        return false;
    if (t->code >= 400 && t->code < 500)
        return t->code == 408 || t->code == 429;
    if (status == RAG_EIO) /* 5xx, or it broke */
        return true;
    return status == RAG_ETIMEOUT && !http_client_sent(t->client); /* no connection in time */
}

/* Does the failure say that the server is not well? */
static bool is_sick(const struct try *t, enum rag_status status)
{
    if (t->code >= 300 && t->code < 500)
        return t->code == 408;
    if (status == RAG_EIO)
        return true;
    return status == RAG_ETIMEOUT && t->own_limit;
}

static enum rag_status admit(struct remote *r, const struct remote_call *call,
                             struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    int64_t now = clock_monotonic_ns();

    pthread_mutex_lock(&r->mutex);
    r->stats.calls++;
    if (call->offline) {
        r->stats.refused_offline++;
        status = rag_fail(reterr, RAG_EDENIED, "%s: the collection is offline, nothing is sent",
                          r->options.name);
    } else if (!circuit_admits(&r->circuit, now)) {
        int64_t left = r->circuit.open_until_ns - now;

        r->stats.refused_open++;
        status = rag_fail(reterr, RAG_EBUSY,
                          "%s: not asked, it failed or asked for a pause; tried again in %.1f s",
                          r->options.name, left > 0 ? (double)left / 1e9 : 0);
    }
    pthread_mutex_unlock(&r->mutex);
    return status;
}

/* Count a try before it is sent. */
static enum rag_status spend(struct remote *r, struct rag_error *reterr)
{
    struct rag_error why = {RAG_OK, ""};
    enum rag_status status;

    pthread_mutex_lock(&r->mutex);
    status = budget_take(&r->budget, clock_wall_ms() / 86400000, &why);
    if (status == RAG_EBUSY)
        r->stats.refused_budget++;
    else if (status == RAG_OK)
        r->stats.tries++;
    pthread_mutex_unlock(&r->mutex);
    return status == RAG_OK ? status
                            : rag_fail(reterr, status, "%s: %s", r->options.name, why.text);
}

/* Tries until one succeeds, no other may help, or there is no time for it. */
static enum rag_status try_on(struct remote *r, struct try *t, int *ret_n_tries,
                              struct rag_error *reterr)
{
    const struct remote_call *call = t->call;
    enum rag_status status;

    for (;;) {
        int64_t pause;

        status = spend(r, reterr);
        t->unspent = status == RAG_EBUSY;
        if (status != RAG_OK)
            return status;
        ++*ret_n_tries;
        status = send_once(r, t, reterr);
        if (status == RAG_OK && !is_success(t->code))
            status = refused_by_server(r, t, reterr);
        pthread_mutex_lock(&r->mutex);
        r->stats.bytes_sent += http_client_sent(t->client) ? call->body_bytes : 0;
        r->stats.bytes_received += t->n_received;
        pthread_mutex_unlock(&r->mutex);
        if (status == RAG_OK || !may_help(t, status) || *ret_n_tries >= r->options.tries_max)
            return status;
        pause = pause_ms(r, t, *ret_n_tries);
        if (call->deadline_ns != 0 && pause * NS_PER_MS >= call->deadline_ns - clock_monotonic_ns())
            return status;
        if (pause > REMOTE_RETRY_AFTER_MS_MAX)
            return status;
        if (!sleep_ms(pause, call->cancel))
            return rag_fail(reterr, RAG_ECANCELLED, "%s: stopped by the caller", r->options.name);
    }
}

static void conclude(struct remote *r, const struct try *t, enum rag_status status)
{
    int64_t now = clock_monotonic_ns();
    int64_t peace_ms =
        t->retry_after_s < REMOTE_OPEN_MS_MAX / 1000 ? t->retry_after_s * 1000 : REMOTE_OPEN_MS_MAX;

    pthread_mutex_lock(&r->mutex);
    if (status == RAG_ECANCELLED && !t->said_stop)
        r->stats.cancelled++;
    else if (status == RAG_OK || status == RAG_ECANCELLED)
        r->stats.successes++;
    else if (!t->unspent)
        r->stats.failures++;
    if (status == RAG_OK || (t->said_stop && is_success(t->code)))
        circuit_note(&r->circuit, true, now);
    else if (is_sick(t, status))
        circuit_note(&r->circuit, false, now);
    else
        circuit_forget(&r->circuit);
    if (status != RAG_OK && peace_ms > 0)
        circuit_hold(&r->circuit, now + peace_ms * NS_PER_MS);
    pthread_mutex_unlock(&r->mutex);
}

enum rag_status remote_do(struct remote *r, const struct remote_call *call, struct buf *ret_body,
                          struct remote_outcome *ret_outcome, struct rag_error *reterr)
{
    int64_t begun = clock_monotonic_ns();
    struct try t = {.call = call, .body = call->on_piece ? NULL : ret_body};
    enum rag_status status = admit(r, call, reterr);

    *ret_outcome = (struct remote_outcome){0};
    if (status != RAG_OK)
        return status;
    buf_init(&t.error_body, REMOTE_ERROR_BYTES_MAX);
    status = take_client(r, &t.client, reterr);
    if (status == RAG_OK)
        status = try_on(r, &t, &ret_outcome->n_tries, reterr);
    conclude(r, &t, status);
    if (status == RAG_EDENIED) { /* that is between us and the server, not for who asked */
        status = RAG_EIO;
        if (reterr)
            reterr->status = status;
    }
    if (t.client)
        give_client(r, t.client);
    buf_release(&t.error_body);
    ret_outcome->code = t.code;
    ret_outcome->ms = clock_elapsed_ms(begun);
    return status;
}
