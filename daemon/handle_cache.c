/* daemon/handle_cache.c - what is kept of answers, and what people say about it.
 *
 * A principal sees the answers that it would be given: those of its own scope in the collections
 * that it may read. An administrator sees, clears and reports on all. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/cache_scope.h"
#include "daemon/handle.h"

#define LIST_DEFAULT 50
#define LIST_MAX     1000

/* ---- what one may see ---- */

struct seen {
    int64_t id;
    char name[COLLECTION_NAME_BYTES_MAX + 1];
    uint8_t scope[SHA256_BYTES];
};

struct sight {
    const struct app *app;
    const struct http_request *request;
    const char *only;         /* the name of one collection, or NULL */
    bool all;                 /* an administrator */
    struct seen *seen;        /* owned */
    struct cache_view *views; /* owned; [n], of seen[] */
    size_t n;
    size_t cap;
};

static void sight_release(struct sight *s)
{
    free(s->seen);
    free(s->views);
}

static enum rag_status see_one(void *context, struct collection *c, struct rag_error *reterr)
{
    struct sight *s = context;
    enum rag_status status;

    if (s->only && strcmp(s->only, c->name) != 0)
        return RAG_OK;
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        struct seen *seen = realloc(s->seen, cap * sizeof *seen);

        if (!seen)
            return rag_fail(reterr, RAG_ENOMEM, "cache: out of memory");
        s->seen = seen;
        s->cap = cap;
    }
    s->seen[s->n].id = c->id;
    memcpy(s->seen[s->n].name, c->name, sizeof c->name);
    status = cache_scope(s->app->config->cache_share == CACHE_SHARE_READERS, c,
                         s->request->principal, s->seen[s->n].scope);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "cache: out of memory");
    s->n++;
    return RAG_OK;
}

static enum rag_status look(struct app *app, const struct http_request *request, const char *only,
                            struct sight *ret, struct rag_error *reterr)
{
    struct sight s = {.app = app, .request = request, .only = only};
    struct collection *c = NULL;
    enum rag_status status = RAG_OK;

    s.all = handle_is_admin(app, request);
    if (only) { /* its own error when it may not be read */
        status =
            collections_get(app->collections, only, request->principal, ACCESS_READ, &c, reterr);
        collection_release(app->collections, c);
    }
    if (status == RAG_OK)
        status = collections_each(app->collections, s.all ? NULL : request->principal, see_one, &s,
                                  reterr);
    if (status == RAG_OK && !(s.views = calloc(s.n + 1, sizeof *s.views)))
        status = rag_fail(reterr, RAG_ENOMEM, "cache: out of memory");
    if (status != RAG_OK) {
        sight_release(&s);
        return status;
    }
    for (size_t i = 0; i < s.n; i++)
        s.views[i] = (struct cache_view){s.seen[i].id, s.all ? NULL : s.seen[i].scope};
    *ret = s;
    return RAG_OK;
}

static const struct seen *find_seen(const struct sight *s, int64_t collection_id)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->seen[i].id == collection_id)
            return &s->seen[i];
    return NULL;
}

/* ---- GET /v1/cache ---- */

static void put_time(struct json_writer *w, const char *key, int64_t ms)
{
    char text[CLOCK_TEXT_BYTES];

    clock_format(ms, text);
    json_put_string(w, key, text);
}

/* null: nothing is reused. */
static void put_threshold(struct json_writer *w, const char *key, double threshold)
{
    json_put_double(w, key, threshold <= 1 ? threshold : (double)NAN);
}

struct listing {
    const struct sight *sight;
    struct json_writer *w;
};

static void write_entry(void *context, const struct cache_listed *e)
{
    const struct listing *l = context;
    const struct seen *collection = find_seen(l->sight, e->collection_id);

    json_begin_object(l->w, NULL);
    json_put_int(l->w, "entry", (int64_t)e->id);
    json_put_string(l->w, "collection", collection ? collection->name : NULL);
    json_put_string(l->w, "question", e->question);
    json_put_bool(l->w, "refused", e->refused);
    json_put_int(l->w, "documents", (int64_t)e->n_documents);
    json_put_int(l->w, "bytes", (int64_t)e->payload_bytes);
    put_time(l->w, "created", e->created_ms);
    put_time(l->w, "used", e->used_ms);
    json_put_int(l->w, "exact_hits", (int64_t)e->n_exact);
    json_put_int(l->w, "semantic_hits", (int64_t)e->n_semantic);
    put_threshold(l->w, "threshold", e->threshold);
    json_put_double(l->w, "cost_ms", e->cost_ms);
    json_end_object(l->w);
}

static void write_stats(struct json_writer *w, const struct answer_cache_stats *s)
{
    json_begin_object(w, "stats");
    json_put_int(w, "entries", (int64_t)s->n);
    json_put_int(w, "bytes", (int64_t)s->bytes);
    json_put_int(w, "exact_hits", (int64_t)s->exact_hits);
    json_put_int(w, "semantic_hits", (int64_t)s->semantic_hits);
    json_put_int(w, "misses", (int64_t)s->misses);
    json_put_int(w, "unconfirmed", (int64_t)s->unconfirmed);
    json_put_int(w, "stale", (int64_t)s->stale);
    json_put_int(w, "evicted", (int64_t)s->evicted);
    json_put_int(w, "invalidated", (int64_t)s->invalidated);
    json_put_int(w, "reported_correct", (int64_t)s->correct_hits);
    json_put_int(w, "reported_false", (int64_t)s->false_hits);
    json_put_double(w, "saved_ms", s->saved_ms);
    json_end_object(w);
}

static enum rag_status write_cache(struct app *app, const struct sight *s, size_t limit,
                                   struct json_writer *w, struct rag_error *reterr)
{
    struct listing listing = {s, w};
    struct answer_cache_stats stats = {0};
    enum rag_status status = RAG_OK;

    if (app->cache)
        answer_cache_stats(app->cache, &stats);
    json_begin_object(w, NULL);
    json_put_bool(w, "enabled", app->cache != NULL);
    write_stats(w, &stats);
    json_begin_array(w, "collections");
    for (size_t i = 0; app->cache && i < s->n; i++) {
        json_begin_object(w, NULL);
        json_put_string(w, "name", s->seen[i].name);
        put_threshold(w, "threshold", answer_cache_threshold(app->cache, s->seen[i].id));
        json_end_object(w);
    }
    json_end_array(w);
    json_begin_array(w, "entries");
    if (app->cache)
        status =
            answer_cache_list(app->cache, s->views, s->n, limit, write_entry, &listing, reterr);
    json_end_array(w);
    json_end_object(w);
    return status;
}

void handle_cache_list(struct http_request *request, struct http_response *response, void *context)
{
    struct rag_error error = {RAG_OK, ""};
    struct app *app = context;
    struct sight sight = {0};
    int64_t limit = LIST_DEFAULT;
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, HANDLE_REPLY_BYTES_MAX);
    json_writer_init(&w, &body);
    status = handle_query_int(request, "limit", 0, LIST_MAX, &limit, &error);
    if (status == RAG_OK)
        status = look(app, request, http_request_query(request, "collection"), &sight, &error);
    if (status == RAG_OK)
        status = write_cache(app, &sight, (size_t)limit, &w, &error);
    sight_release(&sight);
    handle_finish(request, response, 200, &body, status, &error);
}

/* ---- DELETE /v1/cache ---- */

/* An administrator may clear all, who may write a collection what was answered from it. */
static enum rag_status clear(struct app *app, const struct http_request *request, const char *name,
                             size_t *ret_n, struct rag_error *reterr)
{
    struct collection *c = NULL;
    enum rag_status status;

    if (name)
        status =
            collections_get(app->collections, name, request->principal, ACCESS_WRITE, &c, reterr);
    else
        status = handle_need_admin(app, request, reterr);
    if (status == RAG_OK && app->cache)
        status = answer_cache_clear(app->cache, c ? c->id : 0, ret_n, reterr);
    collection_release(app->collections, c);
    return status;
}

void handle_cache_clear(struct http_request *request, struct http_response *response, void *context)
{
    const char *name = http_request_query(request, "collection");
    struct rag_error error = {RAG_OK, ""};
    struct app *app = context;
    struct json_writer record;
    enum rag_status status;
    struct json_writer w;
    struct buf payload;
    struct buf body;
    size_t n = 0;

    buf_init(&body, 4096);
    buf_init(&payload, 4096);
    json_writer_init(&w, &body);
    status = clear(app, request, name, &n, &error);
    if (status == RAG_OK) {
        json_writer_init(&record, &payload);
        json_begin_object(&record, NULL);
        json_put_string(&record, "request_id", request->id);
        json_put_string(&record, "collection", name);
        json_put_int(&record, "removed", (int64_t)n);
        json_end_object(&record);
        status =
            audit_append_buf(app->audit, "cache.clear", request->principal, &payload, 0, &error);
    }
    json_begin_object(&w, NULL);
    json_put_string(&w, "collection", name);
    json_put_int(&w, "removed", (int64_t)n);
    json_end_object(&w);
    buf_release(&payload);
    handle_finish(request, response, 200, &body, status, &error);
}

/* ---- POST /v1/feedback ---- */

struct feedback {
    int64_t entry;          /* 0: by the request */
    const char *request_id; /* or NULL */
    bool correct;
    double similarity; /* < 0: that of the hit */
};

static enum rag_status read_feedback(const struct json *body, struct feedback *ret,
                                     struct rag_error *reterr)
{
    static const char *const keys[] = {"entry", "request_id", "correct", "similarity", NULL};
    enum rag_status status;

    *ret = (struct feedback){.similarity = -1};
    status = json_only(body, keys, reterr);
    if (status == RAG_OK)
        status = json_get_int(body, "entry", 1, 1ll << 53, &ret->entry, reterr);
    if (status == RAG_OK)
        status = json_get_string(body, "request_id", HTTP_ID_BYTES - 1, &ret->request_id, reterr);
    if (status == RAG_OK)
        status = json_get_bool(body, "correct", &ret->correct, reterr);
    if (status == RAG_OK)
        status = json_get_double(body, "similarity", 0, 1, &ret->similarity, reterr);
    if (status == RAG_OK && ret->entry == 0 && !ret->request_id)
        status = rag_fail(reterr, RAG_EINVAL,
                          "feedback: needs \"entry\", the number in \"cached_from\", or "
                          "\"request_id\", that of the reply");
    if (status == RAG_OK && !json_is_bool(json_member(body, "correct")))
        status = rag_fail(reterr, RAG_EINVAL,
                          "'correct': missing; true when the answer fits the question, else false");
    return status;
}

/* The same words whether there is none or it is somebody else's. */
static enum rag_status no_such_hit(struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOTFOUND,
                    "feedback: no answer of the cache that you were given is known by this (any "
                    "more); one that was made anew needs none");
}

static enum rag_status give_feedback(struct app *app, const struct http_request *request,
                                     const struct feedback *f, struct cache_hit *ret_hit,
                                     char ret_name[COLLECTION_NAME_BYTES_MAX + 1],
                                     struct rag_error *reterr)
{
    const struct seen *collection;
    struct sight sight = {0};
    struct cache_hit hit;
    enum rag_status status;

    if (!app->cache ||
        answer_cache_hit(app->cache, (uint64_t)f->entry, f->request_id, &hit, NULL) != RAG_OK)
        return no_such_hit(reterr);
    /* it moves the threshold of everybody's questions */
    if (f->similarity >= 0 && !handle_is_admin(app, request))
        return rag_fail(reterr, RAG_EDENIED,
                        "'similarity': administrators only; without it the hit that you were given "
                        "is meant");
    if (f->similarity >= 0) {
        hit.kind = CACHE_SEMANTIC;
        hit.similarity = (float)f->similarity;
    }
    status = look(app, request, NULL, &sight, reterr);
    if (status != RAG_OK)
        return status;
    collection = find_seen(&sight, hit.collection_id);
    status = collection
                 ? answer_cache_feedback(app->cache, &hit, sight.all ? NULL : collection->scope,
                                         f->correct, reterr)
                 : RAG_ENOTFOUND;
    if (status == RAG_ENOTFOUND)
        no_such_hit(reterr);
    if (status == RAG_OK) {
        memcpy(ret_name, collection->name, sizeof collection->name);
        *ret_hit = hit;
    }
    sight_release(&sight);
    return status;
}

/* Members of an open object: the reply's and the record's. */
static void write_feedback(struct app *app, struct json_writer *w, const struct cache_hit *hit,
                           const char *collection, bool correct)
{
    json_put_int(w, "entry", (int64_t)hit->entry);
    json_put_string(w, "collection", collection);
    json_put_string(w, "kind", cache_kind_name(hit->kind));
    json_put_single(w, "similarity", hit->similarity);
    json_put_bool(w, "correct", correct);
    put_threshold(w, "threshold", answer_cache_threshold(app->cache, hit->collection_id));
}

static enum rag_status record_feedback(struct app *app, const struct http_request *request,
                                       const struct feedback *f, const struct cache_hit *hit,
                                       const char *collection, struct rag_error *reterr)
{
    struct json_writer w;
    struct buf payload;

    buf_init(&payload, 4096);
    json_writer_init(&w, &payload);
    json_begin_object(&w, NULL);
    json_put_string(&w, "request_id", request->id);
    json_put_string(&w, "about_request", f->request_id);
    write_feedback(app, &w, hit, collection, f->correct);
    json_end_object(&w);
    return audit_append_buf(app->audit, "cache.feedback", request->principal, &payload, 0, reterr);
}

void handle_feedback(struct http_request *request, struct http_response *response, void *context)
{
    char collection[COLLECTION_NAME_BYTES_MAX + 1] = "";
    struct rag_error error = {RAG_OK, ""};
    struct cache_hit hit = {0};
    struct json *sent = NULL;
    struct app *app = context;
    struct feedback feedback;
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, 4096);
    json_writer_init(&w, &body);
    status = handle_body_object(request, &sent, &error);
    if (status == RAG_OK)
        status = read_feedback(sent, &feedback, &error);
    if (status == RAG_OK)
        status = give_feedback(app, request, &feedback, &hit, collection, &error);
    if (status == RAG_OK)
        status = record_feedback(app, request, &feedback, &hit, collection, &error);
    if (status == RAG_OK) {
        json_begin_object(&w, NULL);
        write_feedback(app, &w, &hit, collection, feedback.correct);
        json_end_object(&w);
    }
    json_free(sent);
    handle_finish(request, response, 200, &body, status, &error);
}
