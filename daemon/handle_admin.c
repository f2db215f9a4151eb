/* daemon/handle_admin.c - health, metrics, backup. */
#include <string.h>

#include "daemon/handle.h"
#include "daemon/version.h"
#include "generate/local.h"
#include "store/backup.h"

void handle_health(struct http_request *request, struct http_response *response, void *context)
{
    struct json_writer w;
    struct buf body;

    (void)context;
    buf_init(&body, 4096);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    json_put_string(&w, "status", "ok");
    json_put_string(&w, "version", RAGD_VERSION);
    json_end_object(&w);
    handle_finish(request, response, 200, &body, RAG_OK, NULL);
}

void handle_ready(struct http_request *request, struct http_response *response, void *context)
{
    struct app *app = context;
    bool draining = atomic_load(&app->draining);
    bool ready = atomic_load(&app->ready) && !draining;
    struct json_writer w;
    struct buf body;

    buf_init(&body, 4096);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    json_put_string(&w, "status", ready ? "ready" : draining ? "draining" : "starting");
    json_end_object(&w);
    handle_finish(request, response, ready ? 200 : 503, &body, RAG_OK, NULL);
}

struct sums {
    uint64_t passages;
    uint64_t tombstones;
    uint64_t segments;
    uint64_t bytes;
    uint64_t vectors;
    uint64_t vectors_pending;
    uint64_t vectors_failed;
    uint64_t vector_bytes;
};

static enum rag_status sum_one(void *context, struct collection *c, struct rag_error *reterr)
{
    struct collection_vectors_stats vectors;
    struct sums *s = context;
    struct bm25_stats stats;

    (void)reterr;
    collection_vectors_stats(c->vectors, &vectors);
    s->vectors += vectors.n;
    s->vectors_pending += vectors.n_pending;
    s->vectors_failed += vectors.n_failed;
    s->vector_bytes += vectors.bytes;
    bm25_stats(c->index, &stats);
    s->passages += stats.n_passages;
    s->tombstones += stats.n_tombstones;
    s->segments += stats.n_segments;
    s->bytes += stats.bytes;
    return RAG_OK;
}

static void set_decoder(struct metrics *m, const struct generator *local)
{
    struct decode_scheduler_stats d;

    local_stats(local, &d);
    metrics_set_total(m, METRIC_PROMPT_TOKENS, d.n_prompt_tokens);
    metrics_set_total(m, METRIC_CACHED_TOKENS, d.n_cached_tokens);
    metrics_set_total(m, METRIC_OUTPUT_TOKENS, d.n_output_tokens);
    metrics_set_total(m, METRIC_DRAFTED_TOKENS, d.n_drafted);
    metrics_set_total(m, METRIC_ACCEPTED_TOKENS, d.n_accepted);
    metrics_set(m, METRIC_DECODER_RUNNING, (double)d.n_running);
    metrics_set(m, METRIC_DECODER_WAITING, (double)d.n_waiting);
    metrics_set(m, METRIC_KV_BUDGET_BYTES, (double)d.kv.budget_bytes);
    metrics_set(m, METRIC_KV_HELD_BYTES, (double)d.kv.held_bytes);
    metrics_set(m, METRIC_KV_USED_BYTES, (double)d.kv.used_bytes);
}

static void set_cache(struct metrics *m, struct answer_cache *cache)
{
    struct answer_cache_stats s;

    answer_cache_stats(cache, &s);
    metrics_count_total(m, METRICS_CACHE_LOOKUPS, "exact", NULL, s.exact_hits);
    metrics_count_total(m, METRICS_CACHE_LOOKUPS, "semantic", NULL, s.semantic_hits);
    metrics_count_total(m, METRICS_CACHE_LOOKUPS, "miss", NULL, s.misses);
    metrics_count_total(m, METRICS_CACHE_DROPPED, "stale", NULL, s.stale);
    metrics_count_total(m, METRICS_CACHE_DROPPED, "evicted", NULL, s.evicted);
    metrics_count_total(m, METRICS_CACHE_DROPPED, "invalidated", NULL, s.invalidated);
    metrics_count_total(m, METRICS_CACHE_FEEDBACK, "correct", NULL, s.correct_hits);
    metrics_count_total(m, METRICS_CACHE_FEEDBACK, "false", NULL, s.false_hits);
    metrics_set_total(m, METRIC_CACHE_UNCONFIRMED, s.unconfirmed);
    metrics_set_total(m, METRIC_CACHE_SAVED_US, (uint64_t)(s.saved_ms * 1000));
    metrics_set(m, METRIC_CACHE_ENTRIES, (double)s.n);
    metrics_set(m, METRIC_CACHE_BYTES, (double)s.bytes);
}

void handle_metrics(struct http_request *request, struct http_response *response, void *context)
{
    struct rag_error error = {RAG_OK, ""};
    struct store_stats store = {0};
    struct workers_stats workers;
    struct models_stats models;
    struct app *app = context;
    struct sums sums = {0};
    enum rag_status status;
    struct buf body;

    buf_init(&body, 4u << 20);
    status = store_stats(app->store, &store, &error);
    if (status == RAG_OK)
        status = collections_each(app->collections, NULL, sum_one, &sums, &error);
    remotes_count(&app->remotes, app->metrics);
    generators_count(&app->generators, app->metrics);
    if (status == RAG_OK) {
        metrics_set(app->metrics, METRIC_COLLECTIONS, (double)store.n_collections);
        metrics_set(app->metrics, METRIC_DOCUMENTS, (double)store.n_documents);
        metrics_set(app->metrics, METRIC_CHUNKS, (double)store.n_chunks);
        metrics_set(app->metrics, METRIC_DATABASE_BYTES, (double)store.database_bytes);
        metrics_set(app->metrics, METRIC_STORE_QUEUE, (double)store.queue_length);
        metrics_set(app->metrics, METRIC_INDEX_PASSAGES, (double)sums.passages);
        metrics_set(app->metrics, METRIC_INDEX_TOMBSTONES, (double)sums.tombstones);
        metrics_set(app->metrics, METRIC_INDEX_SEGMENTS, (double)sums.segments);
        metrics_set(app->metrics, METRIC_INDEX_BYTES, (double)sums.bytes);
        metrics_set(app->metrics, METRIC_VECTORS, (double)sums.vectors);
        metrics_set(app->metrics, METRIC_VECTORS_PENDING, (double)sums.vectors_pending);
        metrics_set(app->metrics, METRIC_VECTORS_FAILED, (double)sums.vectors_failed);
        metrics_set(app->metrics, METRIC_VECTOR_BYTES, (double)sums.vector_bytes);
        models_stats(app->models, &models);
        metrics_set(app->metrics, METRIC_MODELS_WAITING, (double)models.n_waiting);
        if (app->cache)
            set_cache(app->metrics, app->cache);
        if (app->generators.local)
            set_decoder(app->metrics, app->generators.local);
        workers_stats(app->workers, &workers);
        metrics_set(app->metrics, METRIC_WORKERS_BUSY, (double)workers.n_busy);
        metrics_set(app->metrics, METRIC_JOBS_QUEUED, (double)workers.n_queued[JOB_INTERACTIVE]);
        metrics_set(app->metrics, METRIC_ANSWERS_QUEUED, (double)workers.n_queued[JOB_ANSWER]);
        metrics_set(app->metrics, METRIC_BULK_QUEUED, (double)workers.n_queued[JOB_BULK]);
        metrics_set(app->metrics, METRIC_REQUESTS_LIVE, (double)live_requests_count(app->live));
        if (app->exporter)
            metrics_set(app->metrics, METRIC_TRACE_QUEUE,
                        (double)otlp_exporter_waiting(app->exporter));
        metrics_read_process(app->metrics);
        metrics_write(app->metrics, &body);
        http_response_type(response, "text/plain; version=0.0.4; charset=utf-8");
    }
    handle_finish(request, response, 200, &body, status, &error);
}

void handle_backup(struct http_request *request, struct http_response *response, void *context)
{
    static const char *const keys[] = {"dir", NULL};
    struct rag_error error = {RAG_OK, ""};
    struct json *settings = NULL;
    struct app *app = context;
    const char *dir = NULL;
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, 65536);
    json_writer_init(&w, &body);
    status = handle_need_admin(app, request, &error);
    if (status == RAG_OK)
        status = handle_body_object(request, &settings, &error);
    if (status == RAG_OK)
        status = json_only(settings, keys, &error);
    if (status == RAG_OK)
        status = json_get_string(settings, "dir", 4096, &dir, &error);
    if (status == RAG_OK && (!dir || dir[0] != '/'))
        status = rag_fail(&error, RAG_EINVAL,
                          "'dir': needs the absolute path of a folder that does not exist yet");
    if (status == RAG_OK)
        status = backup_create(app->store, app->audit, dir, &error);
    if (status == RAG_OK)
        status = handle_record(app, request, "backup", "", 0, &error);
    json_begin_object(&w, NULL);
    json_put_string(&w, "dir", dir);
    json_end_object(&w);
    handle_finish(request, response, 200, &body, status, &error);
    json_free(settings);
}
