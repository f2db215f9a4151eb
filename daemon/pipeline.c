#define _GNU_SOURCE
#include "daemon/pipeline.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "daemon/ask_record.h"
#include "retrieve/bm25.h"
#include "retrieve/rerank_lexical.h"
#include "text/nfc.h"

#define ARENA_BYTES_MAX                                                                            \
    (256u << 20) /* CANDIDATES_MAX chunks of CHUNK_CHARS_MAX, four bytes each                      \
                  */
/* A change is in the store some moments before it is in the index; a search that found what is
 * gone waits for it and searches again: 200 times 1 ms at most. */
#define RETRIES_MAX   200
#define RETRY_WAIT_NS 1000000

const char *stage_name(enum stage stage)
{
    static const char *const names[N_STAGES] = {
        [STAGE_ANALYZE] = "analyze",   [STAGE_FILTER] = "filter", [STAGE_BM25] = "bm25",
        [STAGE_FETCH] = "fetch",       [STAGE_RERANK] = "rerank", [STAGE_GATE] = "gate",
        [STAGE_GENERATE] = "generate", [STAGE_AUDIT] = "audit",   [STAGE_TOTAL] = "total",
    };

    assert(stage < N_STAGES);
    return names[stage];
}

static void stage_done(struct retrieval *r, enum stage stage, int64_t begun_ns)
{
    r->stages_ms[stage] += clock_elapsed_ms(begun_ns);
    r->ran[stage] = true;
}

void retrieval_release(struct retrieval *r)
{
    if (!r)
        return;
    term_list_release(&r->terms);
    buf_release(&r->text);
    arena_release(&r->arena);
    arena_release(&r->texts);
    memset(r, 0, sizeof *r);
}

static enum rag_status still_wanted(const struct pipeline_request *request,
                                    struct rag_error *reterr)
{
    if (request->cancel && atomic_load(request->cancel))
        return rag_fail(reterr, RAG_ECANCELLED, "request: the client went away");
    if (request->deadline_ns != 0 && clock_monotonic_ns() > request->deadline_ns)
        return rag_fail(reterr, RAG_ETIMEOUT, "request: the deadline passed");
    return RAG_OK;
}

/* ---- 2. analyze ---- */

static enum rag_status analyze(const struct pipeline *p, const struct pipeline_request *request,
                               struct retrieval *r, struct rag_error *reterr)
{
    size_t n = strlen(request->question);
    int64_t begun = clock_monotonic_ns();
    enum rag_status status;
    size_t i = 0;

    if (n > QUESTION_BYTES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "'question': %zu bytes, the limit is %d", n,
                        QUESTION_BYTES_MAX);
    buf_init(&r->text, QUESTION_BYTES_MAX * 3); /* NFC grows a text threefold at worst */
    status = nfc_append(request->question, n, &r->text, reterr);
    if (status != RAG_OK)
        return status == RAG_EFORMAT ? rag_fail(reterr, RAG_EINVAL, "'question': not UTF-8")
                                     : status;
    while (i < r->text.len && strchr(" \t\n", r->text.data[i]))
        i++;
    if (i == r->text.len)
        return rag_fail(reterr, RAG_EINVAL, "'question': empty");
    status = analyzer_question(p->analyzer, r->text.data, r->text.len, &r->terms);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "'question': out of memory");
    question_analyze(r->text.data, r->text.len, &r->question);
    stage_done(r, STAGE_ANALYZE, begun);
    return RAG_OK;
}

/* ---- 4. bm25 ---- */

static enum rag_status search_terms(const struct pipeline_request *request, struct retrieval *r,
                                    const struct id_set *keep, size_t k, struct bm25_hit *hits,
                                    size_t *ret_n, struct rag_error *reterr)
{
    struct bm25_query_term *terms = arena_calloc(&r->arena, r->terms.n + 1, sizeof *terms);
    uint64_t *ids = arena_calloc(&r->arena, r->terms.n + 1, sizeof *ids);

    r->idf = arena_calloc(&r->arena, r->terms.n + 1, sizeof *r->idf);
    if (!terms || !ids || !r->idf)
        return rag_fail(reterr, RAG_ENOMEM, "search: out of memory");
    for (size_t i = 0; i < r->terms.n; i++) {
        terms[i] = (struct bm25_query_term){r->terms.items[i].id, r->terms.items[i].weight};
        ids[i] = r->terms.items[i].id;
    }
    bm25_idf(request->collection->index, ids, r->terms.n, r->idf);
    *ret_n = 0;
    if (r->terms.n == 0)
        return RAG_OK; /* punctuation only: nothing can match */
    return bm25_search(request->collection->index, terms, r->terms.n, keep, k, hits, ret_n, reterr);
}

/* ---- 5. fetch ---- */

static enum rag_status fetch(const struct pipeline *p, const struct id_set *versions,
                             struct retrieval *r, const struct bm25_hit *hits, size_t n,
                             struct rag_error *reterr)
{
    uint64_t *ids = arena_calloc(&r->arena, n + 1, sizeof *ids);
    struct passage *passages = arena_calloc(&r->arena, n + 1, sizeof *passages);
    struct store_passage *stored = NULL;
    enum rag_status status;
    size_t n_found = 0;
    size_t at = 0;

    if (!ids || !passages)
        return rag_fail(reterr, RAG_ENOMEM, "search: out of memory");
    for (size_t i = 0; i < n; i++)
        ids[i] = hits[i].passage_id;
    status = store_passages_owned(p->store, ids, n, versions, &r->texts, &stored, &n_found, reterr);
    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < n_found; i++) {
        const struct store_passage *s = &stored[i];

        while (hits[at].passage_id != s->id)
            at++; /* the store keeps the order and only leaves out */
        passages[i] = (struct passage){
            .id = s->id,
            .document = s->document,
            .title = s->title,
            .heading = s->heading,
            .context = s->context,
            .text = s->text,
            .text_bytes = s->text_bytes,
            .byte_start = s->byte_start,
            .byte_end = s->byte_end,
            .version_id = s->version_id,
            .bm25_score = hits[at].score,
            .bm25_rank = (uint32_t)at + 1,
            .final_rank = (uint32_t)i + 1,
        };
    }
    r->passages = passages;
    r->n_passages = n_found;
    return RAG_OK;
}

static struct lexical_query lexical_query(const struct pipeline *p, const struct retrieval *r)
{
    return (struct lexical_query){
        .text = r->text.data,
        .n_bytes = r->text.len,
        .terms = &r->terms,
        .idf = r->idf,
        .question = &r->question,
        .analyzer = p->analyzer,
    };
}

/* Steps 4 and 5: again when a chunk that the index still had was deleted in the store, so
 * that a search never returns fewer than there are. */
static enum rag_status find(const struct pipeline *p, const struct pipeline_request *request,
                            const struct id_set *keep, const struct id_set *versions,
                            size_t n_fetch, struct retrieval *r, struct rag_error *reterr)
{
    size_t k = n_fetch > p->n_candidates ? n_fetch : p->n_candidates;
    struct bm25_hit *hits = arena_calloc(&r->arena, k, sizeof *hits);
    enum rag_status status = RAG_OK;

    if (!hits)
        return rag_fail(reterr, RAG_ENOMEM, "search: out of memory");
    for (int i = 0; i < RETRIES_MAX && status == RAG_OK; i++) {
        int64_t begun = clock_monotonic_ns();
        size_t n = 0;

        status = search_terms(request, r, keep, k, hits, &n, reterr);
        stage_done(r, STAGE_BM25, begun);
        if (status != RAG_OK)
            break;
        r->n_candidates = n;
        if (n > n_fetch)
            n = n_fetch;
        begun = clock_monotonic_ns();
        arena_reset(&r->texts);
        status = fetch(p, versions, r, hits, n, reterr);
        stage_done(r, STAGE_FETCH, begun);
        if (status != RAG_OK || r->n_passages == n)
            break;
        status = still_wanted(request, reterr);
        (void)nanosleep(&(struct timespec){.tv_nsec = RETRY_WAIT_NS}, NULL);
    }
    return status;
}

enum rag_status pipeline_search(const struct pipeline *p, const struct pipeline_request *request,
                                struct retrieval *ret, struct rag_error *reterr)
{
    size_t top_k = request->top_k ? request->top_k : TOP_K_DEFAULT;
    size_t n_fetch = top_k > p->rerank_head ? top_k : p->rerank_head;
    int64_t begun_all = clock_monotonic_ns();
    bool filtered = request->n_filter > 0;
    struct id_set versions = {0};
    struct id_set keep = {0};
    enum rag_status status;
    struct retrieval *r = ret;
    int64_t begun;

    memset(r, 0, sizeof *r);
    arena_init(&r->arena, ARENA_BYTES_MAX);
    arena_init(&r->texts, ARENA_BYTES_MAX);
    status = analyze(p, request, r, reterr);
    if (status == RAG_OK && request->n_filter > 0) {
        begun = clock_monotonic_ns();
        status = store_filter_owners(p->store, request->collection->id, request->filter,
                                     request->n_filter, &keep, &versions, reterr);
        stage_done(r, STAGE_FILTER, begun);
    }
    if (status == RAG_OK)
        status = still_wanted(request, reterr);
    if (status == RAG_OK)
        status = find(p, request, filtered ? &keep : NULL, filtered ? &versions : NULL, n_fetch, r,
                      reterr);
    id_set_release(&keep);
    id_set_release(&versions);
    if (status == RAG_OK)
        status = still_wanted(request, reterr);
    if (status == RAG_OK && r->n_passages > 0) {
        struct lexical_query query = lexical_query(p, r);
        size_t head = r->n_passages < p->rerank_head ? r->n_passages : p->rerank_head;

        begun = clock_monotonic_ns();
        status = rerank_lexical(&query, r->passages, head);
        stage_done(r, STAGE_RERANK, begun);
        if (status != RAG_OK)
            rag_fail(reterr, status, "rerank: out of memory");
    }
    for (size_t i = 0; i < r->n_passages; i++)
        r->passages[i].final_rank = (uint32_t)i + 1;
    stage_done(r, STAGE_TOTAL, begun_all);
    return status;
}

/* ---- 8. generate ---- */

void pipeline_answer_release(struct pipeline_answer *a)
{
    if (!a)
        return;
    retrieval_release(&a->retrieval);
    generator_result_release(&a->result);
}

struct relay {
    const struct pipeline_sink *sink;
    bool released; /* a piece has left: no other backend may start over */
};

static bool relay_piece(void *context, const char *text, size_t n_bytes)
{
    struct relay *relay = context;

    relay->released = true;
    if (relay->sink && relay->sink->on_piece)
        return relay->sink->on_piece(relay->sink->context, text, n_bytes);
    return true;
}

static void collection_idf(void *context, const uint64_t *terms, size_t n, float *ret_idf)
{
    bm25_idf(context, terms, n, ret_idf);
}

static enum rag_status generate(const struct pipeline *p, const struct pipeline_request *request,
                                const struct pipeline_sink *sink, struct pipeline_answer *a,
                                struct rag_error *reterr)
{
    struct retrieval *r = &a->retrieval;
    struct message *messages = arena_calloc(&r->arena, request->n_history + 1, sizeof *messages);
    struct generator_passage *given = arena_calloc(&r->arena, a->n_given + 1, sizeof *given);
    struct relay relay = {sink, false};
    struct generator_sink out = {relay_piece, &relay};
    struct generator_request g = {
        .messages = messages,
        .n_messages = request->n_history + 1,
        .passages = given,
        .n_passages = a->n_given,
        .grounding = GROUNDING_STRICT,
        .sampling = {.top_p = 1.0f, .repetition_penalty = 1.0f},
        .deadline_ns = request->deadline_ns,
        .cancel = request->cancel,
        .request_id = request->request_id,
        .offline = true,
        .idf_fn = collection_idf,
        .idf_context = request->collection->index,
        .analyzer = p->analyzer,
    };
    enum rag_status status = RAG_EINVAL;

    if (!messages || !given)
        return rag_fail(reterr, RAG_ENOMEM, "answer: out of memory");
    for (size_t i = 0; i < request->n_history; i++)
        messages[i] = request->history[i];
    messages[request->n_history] = (struct message){ROLE_USER, r->text.data};
    for (size_t i = 0; i < a->n_given; i++) {
        const struct passage *s = &r->passages[i];

        given[i] = (struct generator_passage){s->id,         s->title,    s->heading,
                                              s->context,    s->text,     s->text_bytes,
                                              s->byte_start, s->byte_end, s->rerank_score};
    }
    for (size_t i = 0; i < p->n_generators; i++) {
        generator_result_release(&a->result);
        generator_result_init(&a->result);
        status = p->generators[i]->generate(p->generators[i], &g, &out, &a->result, reterr);
        if (status == RAG_OK || relay.released)
            break;
    }
    return status;
}

/* ---- 9. verify ---- */

/* A citation that does not lie inside its passage is a backend's bug or a model's lie;
 * either way it must not reach a reader. */
static enum rag_status verify_citations(const struct pipeline_answer *a, struct rag_error *reterr)
{
    for (size_t i = 0; i < a->result.n_citations; i++) {
        const struct citation *c = &a->result.citations[i];
        const struct passage *s;

        if (c->passage >= a->n_given)
            return rag_fail(reterr, RAG_EINTERNAL, "citation %zu: names passage %zu of %zu", i + 1,
                            c->passage + 1, a->n_given);
        s = &a->retrieval.passages[c->passage];
        if (c->byte_start < s->byte_start || c->byte_end > s->byte_end ||
            c->byte_start >= c->byte_end)
            return rag_fail(reterr, RAG_EINTERNAL,
                            "citation %zu: bytes %u-%u are not in passage %zu (%u-%u)", i + 1,
                            c->byte_start, c->byte_end, c->passage + 1, s->byte_start, s->byte_end);
    }
    return RAG_OK;
}

static void conclude(struct pipeline_answer *a)
{
    if (!a->verdict.pass) {
        a->refused = true;
        a->reason = a->verdict.reason;
        a->reason_code = a->verdict.code;
    } else if (a->result.finish_reason == FINISH_REFUSED) {
        a->refused = true;
        a->reason = a->result.reason;
        a->reason_code = a->result.reason_code;
    }
}

enum rag_status pipeline_ask(const struct pipeline *p, const struct pipeline_request *request,
                             const struct pipeline_sink *sink, struct pipeline_answer *ret,
                             struct rag_error *reterr)
{
    int64_t begun_all = clock_monotonic_ns();
    struct pipeline_answer *a = ret;
    struct rag_error audit_error;
    struct lexical_query query;
    enum rag_status recorded;
    enum rag_status status;
    int64_t begun;

    memset(a, 0, sizeof *a);
    generator_result_init(&a->result);
    a->reason = "";
    a->reason_code = "";
    status = pipeline_search(p, request, &a->retrieval, reterr);
    if (status != RAG_OK)
        goto record;

    a->n_given = request->top_k ? request->top_k : p->n_passages;
    if (a->n_given > a->retrieval.n_passages)
        a->n_given = a->retrieval.n_passages;
    if (a->n_given > PASSAGES_MAX)
        a->n_given = PASSAGES_MAX;
    if (sink && sink->on_passages)
        sink->on_passages(sink->context, &a->retrieval, a->n_given);

    begun = clock_monotonic_ns();
    query = lexical_query(p, &a->retrieval);
    gate_decide(&query, a->retrieval.passages, a->n_given, &p->gate, &a->verdict);
    stage_done(&a->retrieval, STAGE_GATE, begun);
    if (a->verdict.pass) {
        begun = clock_monotonic_ns();
        status = generate(p, request, sink, a, reterr);
        stage_done(&a->retrieval, STAGE_GENERATE, begun);
    }
    if (status == RAG_OK)
        status = verify_citations(a, reterr);
    if (status == RAG_OK && a->result.finish_reason == FINISH_CANCELLED)
        status = rag_fail(reterr, RAG_ECANCELLED, "request: the client went away");
    if (status == RAG_OK && a->result.finish_reason == FINISH_DEADLINE)
        status = rag_fail(reterr, RAG_ETIMEOUT, "request: the deadline passed");
    if (status == RAG_OK)
        conclude(a);

record:
    begun = clock_monotonic_ns();
    a->retrieval.stages_ms[STAGE_TOTAL] = clock_elapsed_ms(begun_all);
    recorded =
        ask_record_append(p, request, a, status, status == RAG_OK ? NULL : reterr, &audit_error);
    stage_done(&a->retrieval, STAGE_AUDIT, begun);
    a->retrieval.stages_ms[STAGE_TOTAL] = clock_elapsed_ms(begun_all);
    /* An answer that could not be recorded is not given. */
    if (recorded != RAG_OK && status == RAG_OK)
        return rag_fail(reterr, recorded, "%s", audit_error.text);
    return status;
}
