/* daemon/handle_ask.c - POST /v1/search and POST /v1/ask (plain and server-sent events). */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/ask_record.h"
#include "daemon/filter.h"
#include "daemon/fusion_settings.h"
#include "daemon/handle.h"
#include "daemon/log.h"
#include "daemon/reply.h"
#include "daemon/sampling_settings.h"

#define HISTORY_MAX 64 /* earlier turns of a chat */

/* A request body read into what the pipeline takes. Texts are the body's. */
struct query {
    struct json *body; /* owned */
    char *filter_text; /* owned, or NULL */
    struct arena arena;
    struct collection *collection; /* a reference, or NULL */
    struct pipeline_request request;
    struct fusion_options fusion; /* of this search, when request.fusion points here */
    struct sampling sampling;     /* of this answer */
    bool stream;
};

static void query_release(struct app *app, struct query *q)
{
    collection_release(app->collections, q->collection);
    arena_release(&q->arena);
    free(q->filter_text);
    json_free(q->body);
}

static enum rag_status read_history(struct query *q, struct rag_error *reterr)
{
    const struct json *messages = NULL;
    enum rag_status status = json_get_array(q->body, "messages", &messages, reterr);
    struct message *history;
    size_t n = json_size(messages);

    if (status != RAG_OK || n == 0)
        return status;
    if (n > HISTORY_MAX)
        return rag_fail(reterr, RAG_EINVAL, "'messages': %zu turns, the limit is %d", n,
                        HISTORY_MAX);
    history = arena_calloc(&q->arena, n, sizeof *history);
    if (!history)
        return rag_fail(reterr, RAG_ENOMEM, "'messages': out of memory");
    q->request.history = history;
    for (const struct json *m = json_first(messages); m; m = json_next(m)) {
        const char *role = json_string(json_member(m, "role"));
        const char *text = json_string(json_member(m, "content"));

        if (!role || !text || (strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0))
            return rag_fail(reterr, RAG_EINVAL,
                            "'messages': turn %zu needs \"role\" (user or assistant) and "
                            "\"content\" (text)",
                            q->request.n_history + 1);
        history[q->request.n_history++] =
            (struct message){strcmp(role, "user") == 0 ? ROLE_USER : ROLE_ASSISTANT, text};
    }
    return RAG_OK;
}

/* How this one search is to be made: "mode", "fusion", "rerank", "adapter", "stages", "explain". */
static enum rag_status read_search(struct app *app, struct query *q, struct rag_error *reterr)
{
    const struct json *fusion = NULL;
    const char *mode = NULL;
    bool rerank = true;
    bool adapter = true;
    enum rag_status status = json_get_string(q->body, "mode", 16, &mode, reterr);

    if (status == RAG_OK && mode && search_mode_parse(mode, &q->request.mode) != RAG_OK)
        status = rag_fail(reterr, RAG_EINVAL,
                          "'mode': '%s' is none of 'auto', 'hybrid', 'bm25', 'dense'", mode);
    if (status == RAG_OK)
        status = json_get_bool(q->body, "rerank", &rerank, reterr);
    if (status == RAG_OK)
        status = json_get_bool(q->body, "adapter", &adapter, reterr);
    if (status == RAG_OK)
        status = json_get_bool(q->body, "stages", &q->request.rankings, reterr);
    if (status == RAG_OK)
        status = json_get_bool(q->body, "explain", &q->request.explain, reterr);
    if (status == RAG_OK)
        status = json_get_object(q->body, "fusion", &fusion, reterr);
    q->request.no_rerank = !rerank;
    q->request.no_adapter = !adapter;
    if (status != RAG_OK || !fusion)
        return status;
    if (!collection_fusion(q->collection, &q->fusion))
        q->fusion = app->pipeline.fusion;
    q->request.fusion = &q->fusion;
    return fusion_settings_read(fusion, &q->fusion, reterr);
}

/* Who answers and how it is drawn: "backend", "sampling". */
static enum rag_status read_generation(struct app *app, struct query *q, struct rag_error *reterr)
{
    const struct json *sampling = NULL;
    const char *backend = NULL;
    enum rag_status status = json_get_string(q->body, "backend", 16, &backend, reterr);

    if (status == RAG_OK && backend) {
        q->request.generator = generators_find(&app->generators, backend);
        if (!q->request.generator)
            status = rag_fail(
                reterr, RAG_EINVAL, "'backend': '%s' is not 'extractive', %s or %s", backend,
                app->generators.local ? "'local'" : "'local' (which needs [generate] model)",
                app->generators.openai ? "'openai'" : "'openai' (which needs [openai] base_url)");
    }
    if (status == RAG_OK)
        status = json_get_object(q->body, "sampling", &sampling, reterr);
    if (status == RAG_OK && sampling)
        status = json_only(sampling, sampling_keys, reterr);
    q->sampling = app->generators.sampling;
    q->request.sampling = &q->sampling;
    /* an absent object too: a draw needs a seed */
    return status == RAG_OK ? sampling_read(sampling, &q->arena, &q->sampling, reterr) : status;
}

static enum rag_status query_read(struct app *app, struct http_request *request, bool ask,
                                  struct query *q, struct rag_error *reterr)
{
    static const char *const search_keys[] = {"collection", "query",   "top_k",  "filter",
                                              "stages",     "mode",    "fusion", "rerank",
                                              "explain",    "adapter", NULL};
    static const char *const ask_keys[] = {"collection", "question",    "top_k",    "filter",
                                           "stream",     "deadline_ms", "messages", "backend",
                                           "sampling",   "cache",       NULL};
    const char *text_key = ask ? "question" : "query";
    const struct json *filter = NULL;
    const char *collection = NULL;
    int64_t deadline_ms = app->config->ask_deadline_ms;
    int64_t top_k = 0;
    bool cache = true;
    enum rag_status status;

    arena_init(&q->arena, 1u << 20);
    status = handle_body_object(request, &q->body, reterr);
    if (status == RAG_OK)
        status = json_only(q->body, ask ? ask_keys : search_keys, reterr);
    if (status == RAG_OK)
        status =
            json_get_string(q->body, "collection", COLLECTION_NAME_BYTES_MAX, &collection, reterr);
    if (status == RAG_OK)
        status =
            json_get_string(q->body, text_key, QUESTION_BYTES_MAX, &q->request.question, reterr);
    if (status == RAG_OK && (!collection || !q->request.question))
        status =
            rag_fail(reterr, RAG_EINVAL, "'%s': missing", collection ? text_key : "collection");
    if (status == RAG_OK)
        status = json_get_int(q->body, "top_k", 1, ask ? PASSAGES_MAX : TOP_K_MAX, &top_k, reterr);
    if (status == RAG_OK)
        status = json_get_int(q->body, "deadline_ms", 1, 3600000, &deadline_ms, reterr);
    if (status == RAG_OK && ask)
        status = json_get_bool(q->body, "stream", &q->stream, reterr);
    if (status == RAG_OK && ask)
        status = json_get_bool(q->body, "cache", &cache, reterr);
    q->request.no_cache = !cache;
    if (status == RAG_OK)
        status = json_get_object(q->body, "filter", &filter, reterr);
    if (status == RAG_OK && filter)
        status = filter_read(filter, &q->arena, &q->request.filter, &q->request.n_filter, reterr);
    if (status == RAG_OK && filter && json_print(filter, &q->filter_text) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "'filter': out of memory");
    q->request.filter_text = q->filter_text;
    if (status == RAG_OK && ask)
        status = read_history(q, reterr);
    if (status == RAG_OK && ask)
        status = read_generation(app, q, reterr);
    if (status == RAG_OK)
        status = collections_get(app->collections, collection, request->principal, ACCESS_READ,
                                 &q->collection, reterr);
    if (status == RAG_OK && !ask)
        status = read_search(app, q, reterr);
    if (status != RAG_OK)
        return status;
    handle_note_collection(app, request, q->collection->name);
    request_note_question(&request->note, q->request.question, strlen(q->request.question));
    q->request.collection = q->collection;
    q->request.top_k = (size_t)top_k;
    q->request.deadline_ns = clock_monotonic_ns() + deadline_ms * 1000000;
    q->request.cancel = request->cancelled;
    q->request.principal = request->principal;
    q->request.request_id = request->id;
    q->request.stage_now = live_request_stage(request->live);
    return RAG_OK;
}

static enum metric degraded_metric(enum stage stage)
{
    switch (stage) {
    case STAGE_DENSE:
        return METRIC_DEGRADED_DENSE;
    case STAGE_RERANK:
        return METRIC_DEGRADED_RERANK;
    case STAGE_CONDENSE:
        return METRIC_DEGRADED_CONDENSE;
    case STAGE_CACHE:
        return METRIC_DEGRADED_CACHE;
    case STAGE_GUARD:
        return METRIC_DEGRADED_GUARD;
    default:
        return METRIC_DEGRADED_GENERATE;
    }
}

static void count_guard(struct metrics *m, const struct guard_notes *notes)
{
    for (size_t i = 0; i < notes->n; i++)
        metrics_count(m, METRICS_GUARD_FINDINGS, guard_stage_name(notes->items[i].stage),
                      guard_action_name(notes->items[i].finding.action), 1);
}

void handle_count_stages(struct app *app, const char *request_id, const struct retrieval *r)
{
    for (int s = 0; s < N_STAGES; s++)
        if (r->ran[s])
            metrics_stage(app->metrics, (unsigned)s, r->stages_ms[s]);
    count_guard(app->metrics, &r->guard);
    for (size_t i = 0; i < r->n_degraded; i++) {
        metrics_add(app->metrics, degraded_metric(r->degraded[i].stage), 1);
        log_event(LOG_WARN, request_id, "degraded", "stage=%s reason=\"%s\"",
                  stage_name(r->degraded[i].stage), r->degraded[i].why.text);
    }
}

/* What cannot be recorded is not given. Returns the search's status or, of one that went well, that
 * of its record. */
static enum rag_status record_search(struct app *app, const struct pipeline_request *request,
                                     const struct retrieval *r, enum rag_status searched,
                                     struct rag_error *error)
{
    size_t top_k = request->top_k ? request->top_k : TOP_K_DEFAULT;
    struct rag_error record_error = {RAG_OK, ""};
    enum rag_status status = ask_record_search(&app->pipeline, request, r, top_k, searched,
                                               searched == RAG_OK ? NULL : error, &record_error);

    if (status != RAG_OK && searched == RAG_OK)
        *error = record_error;
    return searched == RAG_OK ? status : searched;
}

void handle_search(struct http_request *request, struct http_response *response, void *context)
{
    struct query q = {0};
    struct retrieval r = {0};
    struct rag_error error = {RAG_OK, ""};
    struct app *app = context;
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, HANDLE_REPLY_BYTES_MAX);
    json_writer_init(&w, &body);
    status = query_read(app, request, false, &q, &error);
    if (status == RAG_OK) {
        status = pipeline_search(&app->pipeline, &q.request, &r, &error);
        if (app->config->audit_searches)
            status = record_search(app, &q.request, &r, status, &error);
        handle_note_search(request, &q.request, &r, status);
    }
    if (status == RAG_OK) {
        size_t top_k = q.request.top_k ? q.request.top_k : TOP_K_DEFAULT;

        handle_count_stages(app, request->id, &r);
        json_begin_object(&w, NULL);
        reply_write_results(&w, "results", &r, top_k);
        reply_write_retrieval(&w, &r);
        if (q.request.rankings)
            reply_write_rankings(&w, &r, top_k);
        if (q.request.explain)
            reply_write_explanation(&w, &r, top_k);
        json_put_int(&w, "candidates", (int64_t)r.n_candidates);
        reply_write_guard(&w, &r.guard);
        reply_write_stages(&w, &r);
        json_put_string(&w, "request_id", request->id);
        json_end_object(&w);
    }
    handle_finish(request, response, 200, &body, status, &error);
    retrieval_release(&r);
    query_release(app, &q);
}

/* ---- ask ---- */

/* Server-sent events (WHATWG HTML, section 9.2): an event name and one line of JSON. */
struct events {
    struct http_request *request;
    struct buf scratch;
    bool open; /* the client still takes them */
};

static void send_event(struct events *e, const char *name, const struct buf *json)
{
    struct buf event;

    buf_init(&event, HANDLE_REPLY_BYTES_MAX);
    buf_printf(&event, "event: %s\ndata: ", name);
    buf_append(&event, buf_str(json), json->len);
    buf_append_str(&event, "\n\n");
    if (buf_status(&event) != RAG_OK || !http_stream_write(e->request, buf_str(&event), event.len))
        e->open = false;
    buf_release(&event);
}

static struct json_writer begin_event(struct events *e)
{
    struct json_writer w;

    buf_reset(&e->scratch);
    json_writer_init(&w, &e->scratch);
    json_begin_object(&w, NULL);
    return w;
}

static void end_event(struct events *e, struct json_writer *w, const char *name)
{
    json_end_object(w);
    send_event(e, name, &e->scratch);
}

static void on_question(void *context, const char *standalone)
{
    struct events *e = context;
    struct json_writer w = begin_event(e);

    json_put_string(&w, "standalone_question", standalone);
    end_event(e, &w, "question");
}

static void on_passages(void *context, const struct retrieval *r, size_t n_given)
{
    struct events *e = context;
    struct json_writer w = begin_event(e);

    reply_write_results(&w, "passages", r, n_given);
    end_event(e, &w, "passages");
}

static bool on_piece(void *context, const char *text, size_t n_bytes)
{
    struct events *e = context;
    struct json_writer w = begin_event(e);

    live_request_wrote(e->request->live, n_bytes);
    json_put_string_n(&w, "text", text, n_bytes);
    end_event(e, &w, "delta");
    return e->open;
}

static void send_outcome(struct events *e, const struct pipeline_answer *a, const char *request_id)
{
    struct json_writer w;

    for (size_t i = 0; !a->refused && i < a->result.n_citations; i++) {
        w = begin_event(e);
        reply_write_citation(&w, "citation", a, i);
        end_event(e, &w, "citation");
    }
    w = begin_event(e);
    reply_write_answer(&w, a);
    reply_write_degraded(&w, &a->retrieval);
    json_put_string(&w, "request_id", request_id);
    reply_write_stages(&w, &a->retrieval);
    end_event(e, &w, "done");
}

static void send_error(struct events *e, enum rag_status status, const struct rag_error *error)
{
    struct json_writer w = begin_event(e);

    json_begin_object(&w, "error");
    http_write_error(&w, rag_status_code(status), status, error->text, NULL);
    json_end_object(&w);
    end_event(e, &w, "error");
}

/* Which backend answered, and what came of it; those before it failed as 'degraded' says. */
static void count_backend(struct metrics *m, const struct pipeline_answer *a,
                          enum rag_status status)
{
    const struct generator_result *r = &a->result;

    if (a->cache.entry != 0 || !*r->backend)
        return;
    metrics_count(m, METRICS_BACKEND_CALLS, r->backend,
                  status != RAG_OK ? rag_status_code(status)
                  : a->refused     ? "refused"
                                   : "answered",
                  1);
    metrics_count(m, METRICS_BACKEND_TOKENS, r->backend, "prompt", r->prompt_tokens);
    metrics_count(m, METRICS_BACKEND_TOKENS, r->backend, "cached", r->cached_tokens);
    metrics_count(m, METRICS_BACKEND_TOKENS, r->backend, "output", r->output_tokens);
    metrics_count(m, METRICS_BACKEND_COST, r->backend, NULL, (uint64_t)(r->cost * 1e6 + .5));
}

void handle_count_ask(struct app *app, const char *request_id, const struct pipeline_answer *a,
                      enum rag_status status)
{
    handle_count_stages(app, request_id, &a->retrieval);
    count_backend(app->metrics, a, status);
    if (!a->cache_asked)
        metrics_count(app->metrics, METRICS_CACHE_LOOKUPS, "bypass", NULL, 1);
    metrics_add(app->metrics,
                status == RAG_ECANCELLED ? METRIC_ASKS_CANCELLED
                : status != RAG_OK       ? METRIC_ASKS_FAILED
                : a->refused             ? METRIC_ASKS_REFUSED
                                         : METRIC_ASKS_ANSWERED,
                1);
}

static void ask_stream(struct app *app, struct http_request *request,
                       struct http_response *response, struct query *q)
{
    struct events e = {.request = request, .open = true};
    struct pipeline_sink sink = {on_question, on_passages, on_piece, &e};
    struct rag_error error = {RAG_OK, ""};
    struct pipeline_answer a = {0};
    enum rag_status status;
    struct json_writer w;

    buf_init(&e.scratch, HANDLE_REPLY_BYTES_MAX);
    http_stream_begin(request, response, "text/event-stream; charset=utf-8");
    w = begin_event(&e);
    json_put_string(&w, "request_id", request->id);
    json_put_string(&w, "collection", q->collection->name);
    end_event(&e, &w, "meta");
    status = pipeline_ask(&app->pipeline, &q->request, &sink, &a, &error);
    handle_note_ask(app, request, &q->request, &a, status);
    handle_count_ask(app, request->id, &a, status);
    if (status == RAG_OK)
        send_outcome(&e, &a, request->id);
    else
        send_error(&e, status, &error);
    http_stream_end(request);
    pipeline_answer_release(&a);
    buf_release(&e.scratch);
}

static void ask_plain(struct app *app, struct http_request *request, struct http_response *response,
                      struct query *q)
{
    struct rag_error error = {RAG_OK, ""};
    struct pipeline_answer a = {0};
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, HANDLE_REPLY_BYTES_MAX);
    json_writer_init(&w, &body);
    status = pipeline_ask(&app->pipeline, &q->request, NULL, &a, &error);
    handle_note_ask(app, request, &q->request, &a, status);
    handle_count_ask(app, request->id, &a, status);
    if (status == RAG_OK) {
        json_begin_object(&w, NULL);
        reply_write_answer(&w, &a);
        reply_write_degraded(&w, &a.retrieval);
        json_put_string(&w, "request_id", request->id);
        reply_write_stages(&w, &a.retrieval);
        json_end_object(&w);
    }
    handle_finish(request, response, 200, &body, status, &error);
    pipeline_answer_release(&a);
}

void handle_ask(struct http_request *request, struct http_response *response, void *context)
{
    struct query q = {0};
    struct rag_error error = {RAG_OK, ""};
    struct app *app = context;
    enum rag_status status = query_read(app, request, true, &q, &error);

    if (status != RAG_OK)
        http_respond_error(response, status, error.text, NULL);
    else if (q.stream)
        ask_stream(app, request, response, &q);
    else
        ask_plain(app, request, response, &q);
    query_release(app, &q);
}
