/* daemon/otlp_exporter.c
 *
 * A batch is what has come when TRACE_BATCH_SPANS wait or TRACE_BATCH_MS are over since the first.
 * Its spans leave the queue before they are sent, so the queue's limit holds what waits only. */
#define _GNU_SOURCE
#include "daemon/otlp_exporter.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/http_client.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/remote.h"
#include "base/sha256.h"
#include "daemon/log.h"
#include "daemon/otlp_span.h"
#include "daemon/version.h"

/* Whose names the attributes are. */
#define SCHEMA_URL "https://opentelemetry.io/schemas/1.41.0"

/* Of one request. */
struct item {
    struct item *next;
    char *spans; /* owned */
    size_t n_bytes;
    size_t n;
};

struct otlp_exporter {
    struct remote *remote; /* owned */
    struct metrics *metrics;
    size_t queue_max;
    int64_t timeout_ms;
    char instance[SHA256_HEX_BYTES]; /* of this run of the daemon */
    pthread_t thread;
    atomic_bool cancel; /* the time to flush is over */
    bool failing;       /* the thread's: the last batch was not taken */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    struct item *first;
    struct item **last;
    size_t n;       /* spans that wait */
    size_t n_bytes; /* of their text */
    bool stopping;
    bool ended; /* the thread has nothing more to send */
};

static void free_items(struct item *item)
{
    while (item) {
        struct item *next = item->next;

        free(item->spans);
        free(item);
        item = next;
    }
}

void otlp_exporter_put(struct otlp_exporter *e, struct buf *spans, size_t n)
{
    struct item *item = calloc(1, sizeof *item);
    bool put = false;

    if (item)
        item->n = n;
    if (item && buf_take(spans, &item->spans, &item->n_bytes) == RAG_OK) {
        pthread_mutex_lock(&e->mutex);
        put = e->n + n <= e->queue_max && item->n_bytes <= TRACE_QUEUE_BYTES_MAX - e->n_bytes &&
              !e->stopping;
        if (put) {
            *e->last = item;
            e->last = &item->next;
            e->n += n;
            e->n_bytes += item->n_bytes;
            pthread_cond_signal(&e->changed);
        }
        pthread_mutex_unlock(&e->mutex);
    }
    if (!put) {
        metrics_count(e->metrics, METRICS_TRACE_SPANS, "dropped", NULL, n);
        free_items(item);
    }
    buf_release(spans);
}

size_t otlp_exporter_waiting(struct otlp_exporter *e)
{
    size_t n;

    pthread_mutex_lock(&e->mutex);
    n = e->n;
    pthread_mutex_unlock(&e->mutex);
    return n;
}

/* ---- the thread ---- */

/* Wait for a batch. NULL: the exporter stops and nothing waits. */
static struct item *take_batch(struct otlp_exporter *e, size_t *ret_n)
{
    struct item *batch = NULL;
    struct item **last = &batch;
    struct timespec until;

    *ret_n = 0;
    pthread_mutex_lock(&e->mutex);
    while (e->n == 0 && !e->stopping)
        pthread_cond_wait(&e->changed, &e->mutex);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TRACE_BATCH_MS / 1000;
    while (e->n < TRACE_BATCH_SPANS && !e->stopping &&
           pthread_cond_timedwait(&e->changed, &e->mutex, &until) != ETIMEDOUT)
        continue;
    while (e->first && (*ret_n == 0 || *ret_n + e->first->n <= TRACE_BATCH_SPANS)) {
        struct item *item = e->first;

        e->first = item->next;
        item->next = NULL;
        *last = item;
        last = &item->next;
        *ret_n += item->n;
        e->n -= item->n;
        e->n_bytes -= item->n_bytes;
    }
    if (!e->first)
        e->last = &e->first;
    pthread_mutex_unlock(&e->mutex);
    return batch;
}

/* An ExportTraceServiceRequest. */
static void write_request(const struct otlp_exporter *e, const struct item *batch, struct buf *out)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_begin_array(&w, "resourceSpans");
    json_begin_object(&w, NULL);
    json_begin_object(&w, "resource");
    json_begin_array(&w, "attributes");
    otlp_put_string(&w, "service.name", "ragd");
    otlp_put_string(&w, "service.version", RAGD_VERSION);
    otlp_put_string(&w, "service.instance.id", e->instance);
    json_end_array(&w);
    json_end_object(&w);
    json_begin_array(&w, "scopeSpans");
    json_begin_object(&w, NULL);
    json_begin_object(&w, "scope");
    json_put_string(&w, "name", "ragd");
    json_put_string(&w, "version", RAGD_VERSION);
    json_end_object(&w);
    json_begin_array(&w, "spans");
    for (const struct item *i = batch; i; i = i->next)
        json_put_raw(&w, NULL, i->spans);
    json_end_array(&w);
    json_put_string(&w, "schemaUrl", SCHEMA_URL);
    json_end_object(&w);
    json_end_array(&w);
    json_put_string(&w, "schemaUrl", SCHEMA_URL);
    json_end_object(&w);
    json_end_array(&w);
    json_end_object(&w);
}

/* Spans that the collector says it did not take; int64 is a text there, a number is let pass. */
static size_t n_rejected(const struct buf *reply, size_t n)
{
    struct json *root = NULL;
    const struct json *node;
    double rejected = 0;

    if (reply->len == 0 || json_parse(buf_str(reply), reply->len, "reply", &root, NULL) != RAG_OK)
        return 0;
    node = json_member(json_member(root, "partialSuccess"), "rejectedSpans");
    if (json_is_number(node))
        rejected = json_number(node);
    else if (json_is_string(node))
        rejected = strtod(json_string(node), NULL);
    json_free(root);
    return rejected > 0 ? (rejected < (double)n ? (size_t)rejected : n) : 0;
}

/* What became of a batch; the log is told when that changes, not each time. */
static void note_batch(struct otlp_exporter *e, size_t n, size_t n_failed, enum rag_status status,
                       const struct rag_error *error)
{
    bool failing = status != RAG_OK;

    metrics_count(e->metrics, METRICS_TRACE_SPANS, "exported", NULL, n - n_failed);
    metrics_count(e->metrics, METRICS_TRACE_SPANS, "failed", NULL, n_failed);
    if (failing && !e->failing)
        log_event(LOG_WARN, NULL, "traces_not_taken", "spans=%zu error=\"%s\"", n, error->text);
    else if (!failing && e->failing)
        log_event(LOG_INFO, NULL, "traces_taken_again", "spans=%zu", n);
    e->failing = failing;
}

static void send_batch(struct otlp_exporter *e, const struct item *batch, size_t n)
{
    struct rag_error error = {RAG_OK, ""};
    struct remote_outcome outcome;
    enum rag_status status;
    struct buf request;
    struct buf reply;

    buf_init(&request, TRACE_QUEUE_BYTES_MAX + TRACE_REPLY_BYTES_MAX);
    buf_init(&reply, TRACE_REPLY_BYTES_MAX);
    write_request(e, batch, &request);
    status = buf_status(&request);
    if (status == RAG_OK) {
        struct remote_call call = {
            .path = "/v1/traces",
            .body = buf_str(&request),
            .body_bytes = request.len,
            .deadline_ns = clock_monotonic_ns() + TRACE_TRIES_MAX * e->timeout_ms * 1000000,
            .cancel = &e->cancel,
            .response_bytes_max = TRACE_REPLY_BYTES_MAX,
        };

        status = remote_do(e->remote, &call, &reply, &outcome, &error);
    } else {
        rag_fail(&error, status, "traces: out of memory");
    }
    note_batch(e, n, status == RAG_OK ? n_rejected(&reply, n) : n, status, &error);
    buf_release(&request);
    buf_release(&reply);
}

static void *run(void *context)
{
    struct otlp_exporter *e = context;
    struct item *batch;
    size_t n;

    while ((batch = take_batch(e, &n))) {
        send_batch(e, batch, n);
        free_items(batch);
    }
    pthread_mutex_lock(&e->mutex);
    e->ended = true;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->mutex);
    return NULL;
}

/* ---- open and close ---- */

static void destroy(struct otlp_exporter *e)
{
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->mutex);
    remote_close(e->remote);
    free_items(e->first);
    free(e);
}

static enum rag_status open_remote(const struct otlp_exporter_options *options, struct remote **ret,
                                   struct rag_error *reterr)
{
    struct remote_options remote = {
        .name = "trace",
        .base_url = options->endpoint,
        .ca_file = options->ca_file,
        .allow_private = options->allow_private,
        .timeout_ms = options->timeout_ms,
        .tries_max = TRACE_TRIES_MAX,
    };
    char *key = NULL;
    enum rag_status status;

    if (http_client_global() != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "traces: libcurl cannot start");
    status = remote_key_read(options->key_file, NULL, &key, reterr);
    if (status != RAG_OK)
        return status;
    remote.key = key;
    status = remote_open(&remote, ret, reterr);
    remote_key_free(key);
    return status;
}

enum rag_status otlp_exporter_open(const struct otlp_exporter_options *options,
                                   struct otlp_exporter **ret, struct rag_error *reterr)
{
    struct otlp_exporter *e = calloc(1, sizeof *e);
    uint8_t random[SHA256_BYTES] = {0};
    pthread_condattr_t monotonic;
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;

    if (!e)
        return rag_fail(reterr, RAG_ENOMEM, "traces: out of memory");
    e->metrics = options->metrics;
    e->queue_max = options->queue_max;
    e->timeout_ms = options->timeout_ms;
    e->last = &e->first;
    (void)random_bytes(random, TRACE_ID_BYTES);
    sha256_hex(random, e->instance);
    e->instance[2 * TRACE_ID_BYTES] = '\0';
    pthread_mutex_init(&e->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&e->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    status = open_remote(options, &e->remote, &error);
    if (status != RAG_OK)
        rag_fail(reterr, status, "[trace] endpoint, key_file: %s", error.text);
    if (status == RAG_OK && pthread_create(&e->thread, NULL, run, e) != 0)
        status = rag_fail(reterr, RAG_EIO, "traces: cannot start a thread");
    if (status != RAG_OK) {
        destroy(e);
        return status;
    }
    *ret = e;
    return RAG_OK;
}

void otlp_exporter_close(struct otlp_exporter *e)
{
    int64_t until_ns = clock_monotonic_ns() + TRACE_FLUSH_MS * 1000000LL;
    struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};

    if (!e)
        return;
    pthread_mutex_lock(&e->mutex);
    e->stopping = true;
    pthread_cond_broadcast(&e->changed);
    while (!e->ended && pthread_cond_timedwait(&e->changed, &e->mutex, &until) != ETIMEDOUT)
        continue;
    metrics_count(e->metrics, METRICS_TRACE_SPANS, "dropped", NULL, e->n);
    free_items(e->first);
    e->first = NULL;
    e->last = &e->first;
    e->n = e->n_bytes = 0;
    pthread_mutex_unlock(&e->mutex);
    atomic_store(&e->cancel, true);
    pthread_join(e->thread, NULL);
    destroy(e);
}
