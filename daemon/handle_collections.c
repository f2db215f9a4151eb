#include <string.h>

#include "base/clock.h"
#include "daemon/collection_index.h"
#include "daemon/fusion_settings.h"
#include "daemon/handle.h"
#include "daemon/ranking_settings.h"

/* "fusion" of a collection that has none of its own, so that what holds is always shown. */
static void write_default_fusion(const struct app *app, struct collection *c, struct json_writer *w)
{
    struct fusion_options own;
    bool is_own = collection_fusion(c, &own);

    if (!is_own) {
        json_begin_object(w, "fusion");
        fusion_settings_write(w, &app->pipeline.fusion);
        json_end_object(w);
    }
    json_put_string(w, "fusion_from", is_own ? "collection" : "daemon");
}

/* "lexical", "rerank" and "gate" likewise. */
static void write_default_ranking(const struct app *app, struct collection *c,
                                  struct json_writer *w)
{
    struct lexical_weights lexical;
    float relevance_min;
    float words;
    bool is_own = collection_lexical(c, &lexical);

    if (!is_own) {
        json_begin_object(w, "lexical");
        lexical_settings_write(w, &LEXICAL_WEIGHTS_DEFAULT);
        json_end_object(w);
    }
    json_put_string(w, "lexical_from", is_own ? "collection" : "daemon");
    is_own = collection_rerank(c, &words);
    if (!is_own) {
        json_begin_object(w, "rerank");
        rerank_settings_write(w, app->pipeline.rerank.words);
        json_end_object(w);
    }
    json_put_string(w, "rerank_from", is_own ? "collection" : "daemon");
    is_own = collection_gate(c, &relevance_min);
    if (!is_own) {
        json_begin_object(w, "gate");
        gate_settings_write(w, app->pipeline.gate.relevance_min);
        json_end_object(w);
    }
    json_put_string(w, "gate_from", is_own ? "collection" : "daemon");
}

/* "adapter", where there is one; without an embedder it rests in the store. */
static void write_adapter(const struct app *app, struct collection *c, struct json_writer *w)
{
    struct collection_adapter *a = NULL;
    bool active = false;

    if (c->vectors)
        a = collection_vectors_adapter(c->vectors, &active);
    else
        (void)collection_adapter_load(app->store, c->id, &a, NULL);
    if (a)
        collection_adapter_write(a, active, false, "adapter", w);
    collection_adapter_unref(a);
}

static enum rag_status write_collection(struct app *app, struct collection *c, const char *key,
                                        struct json_writer *w, struct rag_error *reterr)
{
    struct store_collection stored;
    struct bm25_stats index;
    enum rag_status status;
    struct arena arena;
    char created[CLOCK_TEXT_BYTES];

    arena_init(&arena, 1u << 20);
    status = store_collection_get(app->store, c->name, &arena, &stored, reterr);
    if (status == RAG_OK) {
        bm25_stats(c->index, &index);
        clock_format(stored.created_ms, created);
        json_begin_object(w, key);
        json_put_string(w, "name", c->name);
        json_put_int(w, "documents", (int64_t)stored.n_documents);
        json_put_int(w, "chunks", (int64_t)index.n_passages);
        json_put_int(w, "generation", (int64_t)stored.generation);
        json_put_string(w, "created", created);
        collection_write_settings(c, w);
        write_default_fusion(app, c, w);
        write_default_ranking(app, c, w);
        json_put_string(w, "analyzer", analyzer_fingerprint(app->analyzer));
        json_begin_object(w, "index");
        json_put_int(w, "passages", (int64_t)index.n_passages);
        json_put_int(w, "tombstones", (int64_t)index.n_tombstones);
        json_put_int(w, "postings", (int64_t)index.n_postings);
        json_put_int(w, "segments", (int64_t)index.n_segments);
        json_put_int(w, "bytes", (int64_t)index.bytes);
        json_put_int(w, "change", (int64_t)index.change);
        json_end_object(w);
        collection_vectors_write(c->vectors, w);
        write_adapter(app, c, w);
        json_end_object(w);
    }
    arena_release(&arena);
    return status;
}

struct listing {
    struct app *app;
    struct json_writer w;
};

static enum rag_status list_one(void *context, struct collection *c, struct rag_error *reterr)
{
    struct listing *l = context;

    return write_collection(l->app, c, NULL, &l->w, reterr);
}

void handle_collections_list(struct http_request *request, struct http_response *response,
                             void *context)
{
    struct listing l = {.app = context};
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;
    struct buf body;

    buf_init(&body, HANDLE_REPLY_BYTES_MAX);
    json_writer_init(&l.w, &body);
    json_begin_object(&l.w, NULL);
    json_begin_array(&l.w, "collections");
    status = collections_each(l.app->collections, request->principal, list_one, &l, &error);
    json_end_array(&l.w);
    json_end_object(&l.w);
    handle_finish(request, response, 200, &body, status, &error);
}

/* The reply of GET, and of PUT, which has checked the access before it changed it (principal
 * NULL). */
static void reply_collection(struct app *app, struct http_request *request,
                             struct http_response *response, const char *principal, int code)
{
    struct rag_error error = {RAG_OK, ""};
    struct collection *c = NULL;
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, HANDLE_REPLY_BYTES_MAX);
    json_writer_init(&w, &body);
    status = collections_get(app->collections, http_request_param(request, "c"), principal,
                             ACCESS_READ, &c, &error);
    if (status == RAG_OK)
        status = write_collection(app, c, NULL, &w, &error);
    collection_release(app->collections, c);
    handle_finish(request, response, code, &body, status, &error);
}

void handle_collection_get(struct http_request *request, struct http_response *response,
                           void *context)
{
    reply_collection(context, request, response, request->principal, 200);
}

void handle_collection_put(struct http_request *request, struct http_response *response,
                           void *context)
{
    const char *name = http_request_param(request, "c");
    struct rag_error error = {RAG_OK, ""};
    struct app *app = context;
    struct json *settings = NULL;
    enum rag_status status;
    bool created = false;
    struct buf none;

    buf_init(&none, 16);
    status = ingest_settle_audit(&app->ingest, &error);
    if (status == RAG_OK)
        status = handle_body_object(request, &settings, &error);
    if (status == RAG_OK)
        status =
            collections_put(app->collections, name, settings, request->principal, &created, &error);
    json_free(settings);
    if (status == RAG_OK)
        status = handle_record(app, request, created ? "collection.create" : "collection.change",
                               name, 0, &error);
    if (status == RAG_OK)
        reply_collection(app, request, response, NULL, created ? 201 : 200);
    else
        handle_finish(request, response, 0, &none, status, &error);
}

void handle_collection_delete(struct http_request *request, struct http_response *response,
                              void *context)
{
    const char *name = http_request_param(request, "c");
    struct rag_error error = {RAG_OK, ""};
    struct app *app = context;
    enum rag_status status;
    uint64_t change = 0;
    struct json_writer w;
    struct buf body;

    buf_init(&body, 4096);
    json_writer_init(&w, &body);
    status = ingest_settle_audit(&app->ingest, &error);
    if (status == RAG_OK)
        status = collections_delete(app->collections, name, request->principal, &change, &error);
    if (status == RAG_OK) {
        status = handle_record(app, request, "collection.delete", name, change, &error);
        if (status != RAG_OK)
            ingest_owe_audit(&app->ingest);
    }
    json_begin_object(&w, NULL);
    json_put_string(&w, "name", name);
    json_put_bool(&w, "deleted", true);
    json_put_int(&w, "change", (int64_t)change);
    json_end_object(&w);
    handle_finish(request, response, 200, &body, status, &error);
}

void handle_collection_check(struct http_request *request, struct http_response *response,
                             void *context)
{
    struct rag_error error = {RAG_OK, ""};
    struct app *app = context;
    struct collection *c = NULL;
    uint64_t n_wrong_vectors = 0;
    uint64_t n_wrong = 0;
    enum rag_status status;
    struct bm25_stats stats;
    struct json_writer w;
    struct buf body;

    buf_init(&body, 4096);
    json_writer_init(&w, &body);
    status = collections_get(app->collections, http_request_param(request, "c"), request->principal,
                             ACCESS_READ, &c, &error);
    if (status == RAG_OK) {
        struct collection_index_source source = {
            app->store,
            app->analyzer,
            {(float)app->config->bm25_k1, (float)app->config->bm25_b},
            c->id
        };

        status = collection_index_check(&source, c->index, &n_wrong, &error);
        if (status == RAG_OK)
            status = collection_vectors_check(c->vectors, &n_wrong_vectors, &error);
        bm25_stats(c->index, &stats);
        json_begin_object(&w, NULL);
        json_put_string(&w, "name", c->name);
        json_put_int(&w, "passages", (int64_t)stats.n_passages);
        json_put_int(&w, "differences", (int64_t)n_wrong);
        json_put_int(&w, "vector_differences", (int64_t)n_wrong_vectors);
        json_put_bool(&w, "in_step", n_wrong == 0 && n_wrong_vectors == 0);
        json_end_object(&w);
    }
    collection_release(app->collections, c);
    handle_finish(request, response, 200, &body, status, &error);
}
