#include "daemon/ask_record.h"

#include "base/json_writer.h"
#include "daemon/pipeline_internal.h"
#include "daemon/ranking_settings.h"
#include "daemon/reply.h"
#include "daemon/sampling_settings.h"

#define RECORD_BYTES_MAX (16u << 20) /* an answer, history, CANDIDATES_MAX ids and scores */

static void write_settings(struct json_writer *w, const struct pipeline *p,
                           const struct pipeline_request *request, const struct pipeline_answer *a)
{
    float rerank_words = p->rerank.words;
    float relevance_min = p->gate.relevance_min;

    (void)collection_rerank(request->collection, &rerank_words);
    (void)collection_gate(request->collection, &relevance_min);
    json_begin_object(w, "settings");
    json_put_string(w, "analyzer", analyzer_fingerprint(p->analyzer));
    json_put_int(w, "retrieval_version", RETRIEVAL_VERSION);
    json_put_int(w, "candidates", (int64_t)p->n_candidates);
    json_put_int(w, "rerank_head", (int64_t)p->rerank_head);
    json_put_int(w, "rerank_pairs", (int64_t)p->rerank.n_pairs);
    json_put_int(w, "rerank_window", (int64_t)p->rerank.window_tokens);
    json_put_double(w, "rerank_words", (double)rerank_words);
    json_put_int(w, "top_k", (int64_t)(request->top_k ? request->top_k : p->n_passages));
    json_put_double(w, "gate_relevance_min", (double)relevance_min);
    if (request->filter_text)
        json_put_raw(w, "filter", request->filter_text);
    if (p->local)
        sampling_write(w, request->sampling ? request->sampling : &p->sampling);
    json_end_object(w);
    reply_write_messages(w, a->history, a->n_history);
}

/* What the ranking came from: the search's mode and fusion, and the models that took part. */
static void write_models(struct json_writer *w, const struct pipeline *p, const struct retrieval *r)
{
    json_begin_object(w, "retrieval");
    if (r->ran[STAGE_FETCH]) /* else it ended before, or the cache answered */
        reply_write_retrieval(w, r);
    if (r->ran[STAGE_RERANK]) {
        json_begin_object(w, "lexical");
        lexical_settings_write(w, &r->lexical);
        json_end_object(w);
    }
    if (r->ran[STAGE_DENSE] && p->models && models_embedder(p->models)) {
        struct bi_encoder_info info;

        bi_encoder_info(models_embedder(p->models), &info);
        json_put_string(w, "embedder", info.fingerprint);
    }
    if (r->ran[STAGE_RERANK] && p->models && models_reranker(p->models)) {
        struct cross_encoder_info info;

        cross_encoder_info(models_reranker(p->models), &info);
        json_put_string(w, "cross_encoder", info.fingerprint);
    }
    json_end_object(w);
}

/* All that was retrieved and reranked; those with "given" went to the generator, or to who
 * searched. */
static void write_passages(struct json_writer *w, const struct retrieval *r, size_t n_given)
{
    json_begin_array(w, "passages");
    for (size_t i = 0; i < r->n_passages; i++) {
        const struct passage *s = &r->passages[i];

        if (s->id == 0) /* of a cached answer that does not cite it */
            continue;
        json_begin_object(w, NULL);
        json_put_int(w, "chunk", (int64_t)s->id);
        json_put_string(w, "document", s->document);
        json_put_int(w, "version", (int64_t)s->version_id);
        json_put_int(w, "byte_start", s->byte_start);
        json_put_int(w, "byte_end", s->byte_end);
        reply_write_ranks(w, r, s, true);
        json_put_int(w, "final_rank", s->final_rank);
        json_put_bool(w, "given", i < n_given);
        json_end_object(w);
    }
    json_end_array(w);
}

static void write_backend(struct json_writer *w, const char *name, const char *outcome,
                          const char *reason)
{
    json_begin_object(w, NULL);
    json_put_string(w, "backend", name);
    json_put_string(w, "outcome", outcome);
    if (reason)
        json_put_string(w, "reason", reason);
    json_end_object(w);
}

/* Who was asked to answer, in order, and what came of it: the last one answered or failed, those
 * before it are the degraded stages of that name, in the same order. */
static void write_backends(struct json_writer *w, const struct pipeline *p,
                           const struct pipeline_request *request, const struct pipeline_answer *a,
                           enum rag_status outcome, const struct rag_error *failed)
{
    const struct retrieval *r = &a->retrieval;
    struct generator *backends[CONFIG_BACKENDS_MAX];
    size_t n = 0;
    size_t k = 0;

    json_begin_array(w, "backends");
    if (r->ran[STAGE_GENERATE] && a->cache.entry == 0)
        n = pipeline_backends(p, request, backends);
    if (n > 0 && !request->generator && p->backends[BACKEND_OPENAI] &&
        collection_is_offline(request->collection))
        write_backend(w, config_backend_name(BACKEND_OPENAI), "left_out",
                      "the collection is offline");
    for (size_t i = 0; i < r->n_degraded && k < n; i++)
        if (r->degraded[i].stage == STAGE_GENERATE)
            write_backend(w, backends[k++]->name, "failed", r->degraded[i].why.text);
    if (k < n)
        write_backend(w, backends[k]->name,
                      outcome != RAG_OK ? "failed"
                      : a->refused      ? "refused"
                                        : "answered",
                      outcome != RAG_OK && failed ? failed->text : NULL);
    json_end_array(w);
}

enum rag_status ask_record_append(const struct pipeline *p, const struct pipeline_request *request,
                                  const struct pipeline_answer *a, enum rag_status outcome,
                                  const struct rag_error *failed, struct rag_error *reterr)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, RECORD_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "request_id", request->request_id);
    json_put_string(&w, "collection", request->collection->name);
    json_put_string(&w, "question", buf_str(&a->question));
    json_put_string(&w, "outcome",
                    outcome != RAG_OK ? rag_status_code(outcome)
                    : a->refused      ? "refused"
                                      : "answered");
    if (failed)
        json_put_string(&w, "error", failed->text);
    write_settings(&w, p, request, a);
    json_put_string(&w, "condenser", a->condenser ? a->condenser : "");
    write_models(&w, p, &a->retrieval);
    write_passages(&w, &a->retrieval, a->n_given);
    json_begin_object(&w, "gate");
    json_put_bool(&w, "pass", a->verdict.pass);
    json_put_double(&w, "relevance", (double)a->verdict.relevance);
    json_end_object(&w);
    reply_write_answer(&w, a);
    write_backends(&w, p, request, a, outcome, failed);
    json_put_double(&w, "cost", a->cache.entry == 0 ? a->result.cost : 0);
    reply_write_stages(&w, &a->retrieval);
    json_end_object(&w);
    return audit_append_buf(p->audit, "ask", request->principal, &out, 0, reterr);
}

enum rag_status ask_record_search(const struct pipeline *p, const struct pipeline_request *request,
                                  const struct retrieval *r, size_t n_results,
                                  enum rag_status outcome, const struct rag_error *failed,
                                  struct rag_error *reterr)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, RECORD_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "request_id", request->request_id);
    json_put_string(&w, "collection", request->collection->name);
    json_put_string(&w, "query", buf_str(&r->text));
    json_put_string(&w, "outcome", outcome != RAG_OK ? rag_status_code(outcome) : "found");
    if (failed)
        json_put_string(&w, "error", failed->text);
    json_begin_object(&w, "settings");
    json_put_string(&w, "analyzer", analyzer_fingerprint(p->analyzer));
    json_put_int(&w, "top_k", (int64_t)n_results);
    json_put_string(&w, "mode", search_mode_name(request->mode));
    json_put_bool(&w, "rerank", !request->no_rerank);
    if (request->filter_text)
        json_put_raw(&w, "filter", request->filter_text);
    json_end_object(&w);
    write_models(&w, p, r);
    write_passages(&w, r, n_results);
    reply_write_guard(&w, &r->guard);
    reply_write_stages(&w, r);
    json_end_object(&w);
    return audit_append_buf(p->audit, "search", request->principal, &out, 0, reterr);
}
