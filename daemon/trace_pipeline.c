#include "daemon/trace_pipeline.h"

#include <stdio.h>
#include <string.h>

#include "generate/local.h"

#define RULES_MAX 16 /* names of rules in one attribute */

/* Those that the span of the search is made of. */
static bool is_search_stage(enum stage stage)
{
    return stage == STAGE_ANALYZE || stage == STAGE_FILTER || stage == STAGE_BM25 ||
           stage == STAGE_DENSE || stage == STAGE_FUSE || stage == STAGE_FETCH ||
           stage == STAGE_RERANK;
}

static int64_t ended_ns(const struct retrieval *r, enum stage stage)
{
    return r->begun_ns[stage] + (int64_t)(r->stages_ms[stage] * 1e6);
}

/* ---- attributes ---- */

static void put_degraded(struct json_writer *w, const struct retrieval *r)
{
    const char *stages[DEGRADED_MAX];

    for (size_t i = 0; i < r->n_degraded; i++)
        stages[i] = stage_name(r->degraded[i].stage);
    if (r->n_degraded > 0)
        otlp_put_strings(w, "ragd.degraded", stages, r->n_degraded);
}

/* What was found, without a word of it: the names of rules, and what was done. */
static void put_guard(struct json_writer *w, const struct guard_notes *notes)
{
    const char *rules[RULES_MAX];
    size_t n = 0;

    otlp_put_string(w, "ragd.guard.verdict", guard_action_name(notes->verdict));
    otlp_put_int(w, "ragd.guard.findings", (int64_t)notes->n);
    for (size_t i = 0; i < notes->n && n < RULES_MAX; i++) {
        size_t same = 0;

        while (same < n && strcmp(rules[same], notes->items[i].finding.rule) != 0)
            same++;
        if (same == n)
            rules[n++] = notes->items[i].finding.rule;
    }
    if (n > 0)
        otlp_put_strings(w, "ragd.guard.rules", rules, n);
}

static void put_collection(struct json_writer *w, const char *key, struct collection *c)
{
    if (c && !collection_is_offline(c))
        otlp_put_string(w, key, c->name);
}

static void put_cache(struct json_writer *w, const struct pipeline_answer *a)
{
    otlp_put_string(w, "ragd.cache",
                    a->cache.entry != 0 ? cache_kind_name(a->cache.kind)
                    : a->cache_asked    ? "miss"
                                        : "bypass");
    if (a->cache.entry != 0)
        otlp_put_double(w, "ragd.cache.similarity", (double)a->cache.similarity);
}

static void put_search(struct json_writer *w, const struct pipeline_request *request,
                       const struct retrieval *r)
{
    otlp_put_string(w, "gen_ai.operation.name", "retrieval");
    put_collection(w, "gen_ai.data_source.id", request->collection);
    if (request->top_k > 0)
        otlp_put_double(w, "gen_ai.request.top_k", (double)request->top_k);
    otlp_put_string(w, "ragd.search.mode", search_mode_name(r->mode));
    if (r->reranker)
        otlp_put_string(w, "ragd.search.reranker", r->reranker);
    if (r->mode == SEARCH_HYBRID) {
        otlp_put_string(w, "ragd.fusion.method", fusion_method_name(r->fusion.method));
        otlp_put_double(w, "ragd.fusion.weight_dense", (double)r->fusion.weights[LIST_DENSE]);
    }
    otlp_put_int(w, "ragd.search.candidates", (int64_t)r->n_candidates);
    otlp_put_int(w, "ragd.search.passages", (int64_t)r->n_passages);
}

static void put_sampling(struct json_writer *w, const struct sampling *s)
{
    otlp_put_double(w, "gen_ai.request.temperature", (double)s->temperature);
    otlp_put_double(w, "gen_ai.request.top_p", (double)s->top_p);
    if (s->top_k > 0)
        otlp_put_double(w, "gen_ai.request.top_k", s->top_k);
    if (s->max_new_tokens > 0)
        otlp_put_int(w, "gen_ai.request.max_tokens", s->max_new_tokens);
    if (s->temperature > 0)
        otlp_put_int(w, "gen_ai.request.seed", (int64_t)s->seed);
    otlp_put_string(w, "gen_ai.output.type", s->schema ? "json" : "text");
}

/* The model behind a backend; NULL: it has none. */
static const char *model_of(const struct app *app, const char *backend)
{
    struct local_info info;

    if (strcmp(backend, "openai") == 0)
        return app->config->openai_model;
    if (strcmp(backend, "local") != 0 || !app->generators.local)
        return NULL;
    local_info(app->generators.local, &info);
    return info.name;
}

static void put_model(struct json_writer *w, const char *model, const struct sampling *sampling,
                      const struct generator_result *g)
{
    const char *const reasons[] = {finish_reason_name(g->finish_reason)};

    otlp_put_string(w, "gen_ai.operation.name", "chat");
    otlp_put_string(w, "gen_ai.provider.name",
                    strcmp(g->backend, "openai") == 0 ? "openai" : "ragd");
    otlp_put_string(w, "gen_ai.request.model", model);
    otlp_put_string(w, "gen_ai.response.model", model);
    if (sampling)
        put_sampling(w, sampling);
    otlp_put_strings(w, "gen_ai.response.finish_reasons", reasons, 1);
    otlp_put_int(w, "gen_ai.usage.input_tokens", (int64_t)g->prompt_tokens);
    otlp_put_int(w, "gen_ai.usage.cache_read.input_tokens", (int64_t)g->cached_tokens);
    otlp_put_int(w, "gen_ai.usage.output_tokens", (int64_t)g->output_tokens);
    otlp_put_double(w, "ragd.generate.prefill_ms", g->prefill_ms);
    otlp_put_double(w, "ragd.generate.decode_ms", g->decode_ms);
    if (g->cost > 0)
        otlp_put_double(w, "ragd.generate.cost", g->cost);
}

/* ---- spans ---- */

/* A stage without more to say. */
static void put_stage(struct trace *t, const uint8_t *parent_id, const struct retrieval *r,
                      enum stage stage)
{
    struct trace_span s;

    if (!r->ran[stage] || r->begun_ns[stage] == 0 ||
        !trace_span_begin(t, parent_id, stage_name(stage), OTLP_INTERNAL, r->begun_ns[stage],
                          ended_ns(r, stage), &s))
        return;
    if (stage == STAGE_GUARD)
        put_guard(&s.w, &r->guard);
    trace_span_end(t, &s);
}

void trace_search(struct trace *t, const struct pipeline_request *request,
                  const struct retrieval *r)
{
    char name[16 + COLLECTION_NAME_BYTES_MAX] = "retrieval";
    uint8_t id[SPAN_ID_BYTES];
    struct trace_span s;
    int64_t first = 0;
    int64_t last = 0;

    if (!t)
        return;
    put_stage(t, NULL, r, STAGE_GUARD);
    for (int i = 0; i < N_STAGES; i++) {
        if (!is_search_stage((enum stage)i) || !r->ran[i] || r->begun_ns[i] == 0)
            continue;
        if (first == 0 || r->begun_ns[i] < first)
            first = r->begun_ns[i];
        if (ended_ns(r, (enum stage)i) > last)
            last = ended_ns(r, (enum stage)i);
    }
    if (first == 0)
        return; /* it ended before anything was searched */
    if (request->collection && !collection_is_offline(request->collection))
        snprintf(name, sizeof name, "retrieval %s", request->collection->name);
    if (!trace_span_begin(t, NULL, name, OTLP_INTERNAL, first, last, &s))
        return;
    put_search(&s.w, request, r);
    put_degraded(&s.w, r);
    memcpy(id, s.span.span_id, sizeof id);
    trace_span_end(t, &s);
    for (int i = 0; i < N_STAGES; i++)
        if (is_search_stage((enum stage)i))
            put_stage(t, id, r, (enum stage)i);
}

/* The span of the backend that answered, or of the last one that was asked. */
static void put_generate(struct trace *t, const struct app *app,
                         const struct pipeline_request *request, const struct pipeline_answer *a,
                         enum rag_status status)
{
    const struct retrieval *r = &a->retrieval;
    const char *backend = a->result.backend && *a->result.backend ? a->result.backend : "none";
    const char *model = model_of(app, backend);
    const struct sampling *sampling =
        request->sampling ? request->sampling : &app->pipeline.sampling;
    char name[256];
    struct trace_span s;

    if (!r->ran[STAGE_GENERATE] || r->begun_ns[STAGE_GENERATE] == 0)
        return;
    snprintf(name, sizeof name, model ? "chat %s" : "generate %s", model ? model : backend);
    if (!trace_span_begin(t, NULL, name,
                          strcmp(backend, "openai") == 0 ? OTLP_CLIENT : OTLP_INTERNAL,
                          r->begun_ns[STAGE_GENERATE], ended_ns(r, STAGE_GENERATE), &s))
        return;
    if (status != RAG_OK)
        s.span.error = rag_status_code(status);
    otlp_put_string(&s.w, "ragd.backend", backend);
    if (model)
        put_model(&s.w, model, sampling, &a->result);
    otlp_put_int(&s.w, "ragd.generate.passages",
                 (int64_t)(a->n_given - a->result.passages_dropped));
    otlp_put_int(&s.w, "ragd.generate.sentences_removed", (int64_t)a->result.sentences_removed);
    otlp_put_int(&s.w, "ragd.generate.citations", (int64_t)a->result.n_citations);
    trace_span_end(t, &s);
}

void trace_ask(struct trace *t, const struct app *app, const struct pipeline_request *request,
               const struct pipeline_answer *a, enum rag_status status)
{
    static const enum stage others[] = {STAGE_CACHE, STAGE_CONDENSE, STAGE_GATE, STAGE_AUDIT};
    struct json_writer *w = trace_attributes(t);

    if (!t)
        return;
    trace_search(t, request, &a->retrieval);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        put_stage(t, NULL, &a->retrieval, others[i]);
    put_generate(t, app, request, a, status);
    put_collection(w, "ragd.collection", request->collection);
    if (request->collection)
        put_cache(w, a);
    put_guard(w, &a->retrieval.guard);
    put_degraded(w, &a->retrieval);
    if (a->result.backend && *a->result.backend)
        otlp_put_string(w, "ragd.backend", a->result.backend);
    if (a->refused && a->reason_code)
        otlp_put_string(w, "ragd.refusal", a->reason_code);
    otlp_put_double(w, "ragd.relevance", (double)a->verdict.relevance);
}
