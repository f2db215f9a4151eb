/* Answers given before. The key says who may get one (scope) and what it depends on (settings);
 * whether it still holds, the cache asks the store (cache/answer_cache.h). An answer of the cache
 * takes the way of every other: it is shown with its passages and recorded before the reply ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "cache/canonical.h"
#include "daemon/answer_payload.h"
#include "daemon/cache_scope.h"
#include "daemon/collection_vectors.h"
#include "daemon/fusion_settings.h"
#include "daemon/pipeline_internal.h"
#include "daemon/ranking_settings.h"
#include "daemon/sampling_settings.h"
#include "retrieve/bm25.h"

#define SETTINGS_BYTES_MAX (8u << 20) /* of one request: history and filter, escaped */
#define PAYLOAD_BYTES_MAX  (8u << 20) /* an answer with PASSAGES_MAX chunks of CHUNK_CHARS_MAX */

void cache_step_release(struct cache_step *s)
{
    if (!s)
        return;
    buf_release(&s->canonical);
    answer_cached_release(&s->candidate);
    free(s->vector);
    memset(s, 0, sizeof *s);
}

/* A draw by chance is asked for to be another one. */
static bool is_wanted(const struct pipeline *p, const struct pipeline_request *request)
{
    const struct sampling *sampling = request->sampling ? request->sampling : &p->sampling;

    return p->cache && !request->no_cache && sampling->temperature <= 0 &&
           request->mode == SEARCH_AUTO && !request->fusion && !request->no_rerank &&
           !request->no_adapter;
}

/* All of this request that its answer depends on, beside the question, as text. */
static void write_settings(const struct pipeline *p, const struct pipeline_request *request,
                           const char *adapter, struct json_writer *w)
{
    struct generator *backends[CONFIG_BACKENDS_MAX];
    size_t n_backends = pipeline_backends(p, request, backends);
    struct fusion_options fusion = p->fusion;
    struct lexical_weights lexical = LEXICAL_WEIGHTS_DEFAULT;
    float rerank_words = p->rerank.words;
    float relevance_min = p->gate.relevance_min;

    (void)collection_fusion(request->collection, &fusion);
    (void)collection_lexical(request->collection, &lexical);
    (void)collection_rerank(request->collection, &rerank_words);
    (void)collection_gate(request->collection, &relevance_min);
    json_begin_object(w, NULL);
    json_put_int(w, "top_k", (int64_t)(request->top_k ? request->top_k : p->n_passages));
    json_put_bool(w, "offline", collection_is_offline(request->collection));
    if (request->filter_text)
        json_put_raw(w, "filter", request->filter_text);
    json_begin_object(w, "fusion");
    fusion_settings_write(w, &fusion);
    json_end_object(w);
    json_put_string(w, "adapter", adapter);
    json_begin_object(w, "lexical");
    lexical_settings_write(w, &lexical);
    json_end_object(w);
    json_begin_object(w, "rerank");
    rerank_settings_write(w, rerank_words);
    json_end_object(w);
    json_begin_object(w, "gate");
    gate_settings_write(w, relevance_min);
    json_end_object(w);
    json_begin_array(w, "backends");
    for (size_t i = 0; i < n_backends; i++)
        json_put_string(w, NULL, backends[i]->name);
    json_end_array(w);
    sampling_write(w, request->sampling ? request->sampling : &p->sampling);
    json_begin_array(w, "history");
    for (size_t i = 0; i < request->n_history; i++) {
        json_put_string(w, NULL, message_role_name(request->history[i].role));
        json_put_string(w, NULL, request->history[i].text);
    }
    json_end_array(w);
    json_end_object(w);
}

/* The adapter that the question's vector will be mapped by. */
static void note_adapter(const struct pipeline_request *request, struct cache_step *s)
{
    bool active = false;
    struct collection_adapter *a =
        collection_vectors_adapter(request->collection->vectors, &active);

    if (active)
        memcpy(s->adapter, a->id, sizeof s->adapter);
    collection_adapter_unref(a);
}

static enum rag_status hash_settings(const struct pipeline *p,
                                     const struct pipeline_request *request, const char *adapter,
                                     uint8_t ret[SHA256_BYTES])
{
    struct json_writer w;
    struct buf text;
    enum rag_status status;

    buf_init(&text, SETTINGS_BYTES_MAX);
    json_writer_init(&w, &text);
    write_settings(p, request, adapter, &w);
    status = buf_status(&text);
    if (status == RAG_OK) {
        const struct sha256_part parts[] = {
            {p->settings,    SHA256_BYTES},
            {buf_str(&text), text.len    },
        };

        status = sha256_lengths(parts, 2, ret);
    }
    buf_release(&text);
    return status;
}

/* The answer of an entry becomes this question's. */
static enum rag_status give(const struct answer_cached *cached, struct pipeline_answer *a,
                            struct rag_error *reterr)
{
    const char *made_for = NULL;
    const char *question = arena_strdup(&a->retrieval.arena, cached->question);
    enum rag_status status =
        answer_payload_read(cached->payload, cached->payload_bytes, a, &made_for, reterr);

    if (status == RAG_OK && !question)
        status = rag_fail(reterr, RAG_ENOMEM, "cache: out of memory");
    if (status == RAG_OK)
        a->cache = (struct cache_use){
            .entry = cached->id,
            .kind = cached->kind,
            .similarity = cached->similarity,
            .threshold = cached->threshold,
            .question = question,
            .request_id = made_for,
            .created_ms = cached->created_ms,
        };
    return status;
}

/* What a look-up came to. What fails costs the hit, and is said. */
static enum rag_status conclude(const struct pipeline_request *request, struct cache_step *s,
                                struct pipeline_answer *a, enum rag_status status,
                                const struct rag_error *why, bool *ret_hit,
                                struct rag_error *reterr)
{
    struct rag_error error = *why;

    if (status == RAG_OK && s->found == CACHE_HIT) {
        status = give(&s->candidate, a, &error);
        *ret_hit = status == RAG_OK;
    }
    if (status != RAG_OK) {
        s->found = CACHE_MISS;
        status = pipeline_leave_out(request, &a->retrieval, STAGE_CACHE, status, &error, reterr);
    }
    if (s->found != CACHE_RECHECK)
        answer_cached_release(&s->candidate);
    return status;
}

enum rag_status pipeline_cache_same(const struct pipeline *p,
                                    const struct pipeline_request *request, struct cache_step *s,
                                    struct pipeline_answer *a, bool *ret_hit,
                                    struct rag_error *reterr)
{
    struct collection_vectors_stats vectors;
    struct rag_error why = {RAG_OK, ""};
    enum rag_status status;
    int64_t begun;

    *ret_hit = false;
    s->on = is_wanted(p, request);
    if (!s->on)
        return RAG_OK;
    collection_vectors_stats(request->collection->vectors, &vectors);
    s->embedding = strcmp(vectors.state, "embedding") == 0;
    begun = pipeline_stage_begin(request, STAGE_CACHE);
    a->cache_asked = true;
    buf_init(&s->canonical, PIPELINE_QUESTION_BYTES_MAX);
    s->key.collection_id = request->collection->id;
    note_adapter(request, s);
    status = question_canonical(request->question, strlen(request->question), &s->canonical);
    s->key.question = buf_str(&s->canonical);
    s->key.request_id = request->request_id;
    if (status == RAG_OK)
        status = hash_settings(p, request, s->adapter, s->key.settings);
    if (status == RAG_OK)
        status =
            cache_scope(p->cache_shared, request->collection, request->principal, s->key.scope);
    if (status == RAG_OK)
        status = store_document_versions(p->store, s->key.collection_id, NULL, 0, NULL,
                                         &s->generation, &why);
    else
        rag_fail(&why, status, "cache: the question has no key: %s", rag_status_code(status));
    if (status == RAG_OK)
        status = answer_cache_find(p->cache, &s->key, &s->found, &s->candidate, &why);
    status = conclude(request, s, a, status, &why, ret_hit, reterr);
    pipeline_stage_done(&a->retrieval, STAGE_CACHE, begun);
    return status;
}

/* ---- by meaning ---- */

/* Texts of an offline collection go to no other server. */
static enum models_reach reach_of(const struct pipeline_request *request)
{
    return collection_is_offline(request->collection) ? MODELS_STAY_HERE : MODELS_MAY_LEAVE;
}

static enum rag_status embed_meaning(const struct pipeline *p,
                                     const struct pipeline_request *request,
                                     const struct bi_encoder *encoder, struct cache_step *s,
                                     const struct retrieval *r, struct rag_error *reterr)
{
    int64_t deadline = clock_monotonic_ns() + p->embed_budget_ns;
    struct bi_encoder_info info;
    enum rag_status status;

    bi_encoder_info(encoder, &info);
    s->vector = malloc(info.dim * sizeof *s->vector);
    if (!s->vector)
        return rag_fail(reterr, RAG_ENOMEM, "cache: out of memory");
    if (request->deadline_ns != 0 && request->deadline_ns < deadline)
        deadline = request->deadline_ns;
    status = models_embed_question(p->models, encoder, reach_of(request), r->text.data, r->text.len,
                                   deadline, request->cancel, s->vector, reterr);
    s->meaning = (struct cache_meaning){.vector = s->vector, .dim = info.dim};
    return status;
}

/* A vector where there is an embedder, else the terms; their weights are the collection's. */
static enum rag_status find_meaning(const struct pipeline *p,
                                    const struct pipeline_request *request, struct cache_step *s,
                                    struct retrieval *r, struct rag_error *reterr)
{
    const struct bi_encoder *encoder = p->models ? models_embedder(p->models) : NULL;
    bool leaves = encoder && models_embedder_is_remote(p->models);
    uint64_t *ids;
    float *idf;

    if (encoder && (!leaves || reach_of(request) == MODELS_MAY_LEAVE))
        return embed_meaning(p, request, encoder, s, r, reterr);
    ids = arena_calloc(&r->arena, r->terms.n + 1, sizeof *ids);
    idf = arena_calloc(&r->arena, r->terms.n + 1, sizeof *idf);
    if (!ids || !idf)
        return rag_fail(reterr, RAG_ENOMEM, "cache: out of memory");
    for (size_t i = 0; i < r->terms.n; i++)
        ids[i] = r->terms.items[i].id;
    bm25_idf(request->collection->index, ids, r->terms.n, idf);
    s->meaning = (struct cache_meaning){.terms = &r->terms, .idf = idf};
    return RAG_OK;
}

struct pair_reader {
    const struct pipeline *p;
    const struct pipeline_request *request;
};

static enum rag_status one_way(const struct pair_reader *reader, const char *a, const char *b,
                               float *ret, struct rag_error *reterr)
{
    struct pair_text query = {a, strlen(a)};
    struct pair_text text = {b, strlen(b)};
    size_t n = 0;

    return models_rerank(reader->p->models, reach_of(reader->request), query, &text, 1, false, 0,
                         reader->request->cancel, ret, &n, reterr);
}

/* The same question has to be so from both sides: a reranker asks "does b answer a". */
static enum rag_status score_pair(void *context, const char *a, const char *b, float *ret,
                                  struct rag_error *reterr)
{
    float forth = 0;
    float back = 0;
    enum rag_status status = one_way(context, a, b, &forth, reterr);

    if (status == RAG_OK)
        status = one_way(context, b, a, &back, reterr);
    if (status == RAG_OK)
        *ret = forth < back ? forth : back;
    return status;
}

enum rag_status pipeline_cache_similar(const struct pipeline *p,
                                       const struct pipeline_request *request, struct cache_step *s,
                                       struct pipeline_answer *a, bool *ret_hit,
                                       struct rag_error *reterr)
{
    struct pair_reader reader = {p, request};
    const struct confirm_pair pair = {score_pair, &reader, p->cache_pair_min};
    bool reads_pairs =
        p->models && models_reranker(p->models) &&
        (!models_reranker_is_remote(p->models) || reach_of(request) == MODELS_MAY_LEAVE);
    struct rag_error why = {RAG_OK, ""};
    struct retrieval *r = &a->retrieval;
    enum rag_status status;
    int64_t begun;

    *ret_hit = false;
    if (!s->on || !p->cache_semantic || s->found != CACHE_MISS)
        return RAG_OK;
    begun = pipeline_stage_begin(request, STAGE_CACHE);
    status = find_meaning(p, request, s, r, &why);
    s->has_meaning = status == RAG_OK;
    if (status == RAG_OK)
        status =
            answer_cache_find_similar(p->cache, &s->key, &s->meaning, reads_pairs ? &pair : NULL,
                                      &s->found, &s->candidate, &why);
    status = conclude(request, s, a, status, &why, ret_hit, reterr);
    pipeline_stage_done(r, STAGE_CACHE, begun);
    return status;
}

/* ---- after the search ---- */

enum rag_status pipeline_cache_recheck(const struct pipeline *p,
                                       const struct pipeline_request *request, struct cache_step *s,
                                       struct pipeline_answer *a, bool *ret_hit,
                                       struct rag_error *reterr)
{
    const struct answer_cached *c = &s->candidate;
    struct rag_error why = {RAG_OK, ""};
    bool same;

    *ret_hit = false;
    if (!s->on || s->found != CACHE_RECHECK)
        return RAG_OK;
    same = c->n_chunks == a->n_given;
    for (size_t i = 0; same && i < c->n_chunks; i++)
        same = c->chunks[i] == a->retrieval.passages[i].id;
    /* of the generation before this search: what came during it is another change */
    answer_cache_rechecked(p->cache, c->id, s->generation, same);
    s->found = same ? CACHE_HIT : CACHE_MISS;
    return conclude(request, s, a, RAG_OK, &why, ret_hit, reterr);
}

/* ---- keeping ---- */

/* What was left out for a reason that may be gone the next time: the answer could be better. */
static bool is_passing(const struct degraded *d)
{
    return d->stage != STAGE_GENERATE ||
           (d->why.status != RAG_EINVAL && d->why.status != RAG_EDENIED);
}

static bool may_keep(const struct pipeline_answer *a)
{
    const struct retrieval *r = &a->retrieval;

    for (size_t i = 0; i < r->n_degraded; i++)
        if (is_passing(&r->degraded[i]))
            return false;
    for (size_t i = 0; i < r->guard.n; i++) /* a rule whose model was busy, say */
        if (strcmp(r->guard.items[i].finding.detail, "unchecked") == 0)
            return false;
    return a->cache.entry == 0 && (a->refused || a->result.finish_reason == FINISH_STOP);
}

static size_t add_document(struct cache_document *documents, size_t n, const char *name,
                           uint64_t version_id)
{
    for (size_t k = 0; k < n; k++)
        if (strcmp(documents[k].name, name) == 0)
            return n;
    documents[n] = (struct cache_document){name, version_id};
    return n + 1;
}

/* The documents that the answer rests on: those it cites; all that were given when it cites none;
 * of a refusal those that it names, so that what it shows of them goes with them. */
static size_t cited(const struct pipeline_answer *a, struct cache_document *ret)
{
    const struct retrieval *r = &a->retrieval;
    size_t n = 0;

    for (size_t i = 0; i < a->n_nearest; i++)
        n = add_document(ret, n, a->nearest[i].document, a->nearest[i].version_id);
    for (size_t i = 0; i < a->n_given && !a->refused; i++) {
        bool is_cited = a->result.n_citations == 0;

        for (size_t c = 0; c < a->result.n_citations; c++)
            is_cited |= a->result.citations[c].passage == i;
        if (is_cited)
            n = add_document(ret, n, r->passages[i].document, r->passages[i].version_id);
    }
    return n;
}

void pipeline_cache_keep(const struct pipeline *p, const struct pipeline_request *request,
                         const struct cache_step *s, const struct pipeline_answer *a)
{
    struct cache_document documents[PASSAGES_MAX];
    uint64_t chunks[PASSAGES_MAX];
    struct rag_error why;
    struct buf payload;

    if (!s->on || !may_keep(a))
        return;
    /* its vectors may find an answer, or nearer passages, and change no generation */
    if (a->refused && s->embedding)
        return;
    /* another one was installed since the key was made */
    if (a->retrieval.ran[STAGE_DENSE] && strcmp(s->adapter, a->retrieval.adapter) != 0)
        return;
    buf_init(&payload, PAYLOAD_BYTES_MAX);
    answer_payload_write(a, request->request_id, &payload);
    for (size_t i = 0; i < a->n_given; i++)
        chunks[i] = a->retrieval.passages[i].id;
    if (buf_status(&payload) == RAG_OK)
        (void)answer_cache_put(p->cache, &s->key,
                               &(struct cache_put){
                                   .question = buf_str(&a->question),
                                   .meaning = s->has_meaning ? &s->meaning : NULL,
                                   .payload = buf_str(&payload),
                                   .payload_bytes = payload.len,
                                   .refused = a->refused,
                                   .generation = s->generation,
                                   .documents = documents,
                                   .n_documents = cited(a, documents),
                                   .chunks = chunks,
                                   .n_chunks = a->n_given,
                                   .cost_ms = a->retrieval.stages_ms[STAGE_TOTAL],
                               },
                               &why); /* not kept: the next one is made anew */
    buf_release(&payload);
}
