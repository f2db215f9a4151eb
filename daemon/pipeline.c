#include "daemon/pipeline.h"

#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "daemon/ask_record.h"
#include "daemon/pipeline_internal.h"
#include "retrieve/bm25.h"

/* ---- 8. generate ---- */

void pipeline_answer_release(struct pipeline_answer *a)
{
    if (!a)
        return;
    retrieval_release(&a->retrieval);
    generator_result_release(&a->result);
    buf_release(&a->standalone);
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

/* Nothing of what the backend wrote had a passage behind it. That says little about the passages:
 * the next backend may find the answer in them. */
static bool is_unsupported(const struct generator_result *result)
{
    return result->finish_reason == FINISH_REFUSED &&
           strcmp(result->reason_code, "unsupported") == 0;
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
        .sampling = request->sampling ? *request->sampling : p->sampling,
        .deadline_ns = request->deadline_ns,
        .cancel = request->cancel,
        .request_id = request->request_id,
        .offline = true,
        .idf_fn = collection_idf,
        .idf_context = request->collection->index,
        .analyzer = p->analyzer,
    };
    size_t n = request->generator ? 1 : p->n_generators;
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
                                              s->byte_start, s->byte_end, s->lexical_score};
    }
    for (size_t i = 0; i < n; i++) {
        struct generator *with = request->generator ? request->generator : p->generators[i];
        struct rag_error error = {RAG_OK, ""};
        bool final;

        generator_result_release(&a->result);
        generator_result_init(&a->result);
        status = with->generate(with, &g, &out, &a->result, &error);
        final = relay.released || i + 1 == n;
        if (status == RAG_OK && (final || !is_unsupported(&a->result)))
            break;
        if (final)
            return rag_fail(reterr, status, "%s", error.text);
        if (status == RAG_OK)
            rag_fail(&error, RAG_EINVAL, "%s: what it wrote is not supported by the passages",
                     with->name);
        r->degraded[r->n_degraded++] = (struct degraded){STAGE_GENERATE, error};
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

/* A passage that the cross-encoder is sure of overrules "low_relevance", where that is allowed. */
static void reconsider(const struct pipeline *p, struct pipeline_answer *a)
{
    const struct retrieval *r = &a->retrieval;

    if (a->verdict.pass || p->rerank_pass_min <= 0 ||
        strcmp(a->verdict.code, "low_relevance") != 0 || strcmp(r->reranker, "lexical") == 0 ||
        strcmp(r->reranker, "none") == 0)
        return;
    for (size_t i = 0; i < a->n_given && !a->verdict.pass; i++)
        a->verdict.pass = r->passages[i].rerank_rank != RANK_NONE &&
                          r->passages[i].rerank_score >= p->rerank_pass_min;
    if (a->verdict.pass)
        a->verdict.reason[0] = a->verdict.code[0] = '\0';
}

static void pass_gate(const struct pipeline *p, const struct pipeline_request *request,
                      struct pipeline_answer *a)
{
    struct lexical_query query = pipeline_lexical_query(p, &a->retrieval);
    struct gate_options gate = p->gate;
    int64_t begun = clock_monotonic_ns();

    gate.filtered = request->n_filter > 0;
    gate_decide(&query, a->retrieval.passages, a->n_given, &gate, &a->verdict);
    reconsider(p, a);
    pipeline_stage_done(&a->retrieval, STAGE_GATE, begun);
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

/* What condensing took, and that a model failed at it: after the search, which begins afresh. */
static void note_condensing(const struct pipeline_request *request, struct pipeline_answer *a)
{
    struct retrieval *r = &a->retrieval;

    if (request->n_history == 0)
        return;
    r->stages_ms[STAGE_CONDENSE] = a->condense_ms;
    r->ran[STAGE_CONDENSE] = true;
    if (a->condense_failed.status != RAG_OK && a->condense_failed.status != RAG_EFORMAT)
        r->degraded[r->n_degraded++] = (struct degraded){STAGE_CONDENSE, a->condense_failed};
}

enum rag_status pipeline_ask(const struct pipeline *p, const struct pipeline_request *request,
                             const struct pipeline_sink *sink, struct pipeline_answer *ret,
                             struct rag_error *reterr)
{
    int64_t begun_all = clock_monotonic_ns();
    struct pipeline_answer *a = ret;
    struct pipeline_request asked = *request;
    struct rag_error audit_error;
    enum rag_status recorded;
    enum rag_status status;
    int64_t begun;

    memset(a, 0, sizeof *a);
    generator_result_init(&a->result);
    a->reason = "";
    a->reason_code = "";
    a->condenser = "";
    buf_init(&a->standalone, QUESTION_BYTES_MAX);
    status = pipeline_condense(p, request, a, reterr);
    if (status != RAG_OK)
        goto record;
    if (a->standalone.len > 0) {
        asked.question = buf_str(&a->standalone);
        if (sink && sink->on_question)
            sink->on_question(sink->context, asked.question);
    }
    status = pipeline_search(p, &asked, &a->retrieval, reterr);
    note_condensing(request, a);
    if (status != RAG_OK)
        goto record;

    a->n_given = request->top_k ? request->top_k : p->n_passages;
    if (a->n_given > a->retrieval.n_passages)
        a->n_given = a->retrieval.n_passages;
    if (a->n_given > PASSAGES_MAX)
        a->n_given = PASSAGES_MAX;
    if (sink && sink->on_passages)
        sink->on_passages(sink->context, &a->retrieval, a->n_given);

    pass_gate(p, request, a);
    if (a->verdict.pass) {
        begun = clock_monotonic_ns();
        status = generate(p, request, sink, a, reterr);
        pipeline_stage_done(&a->retrieval, STAGE_GENERATE, begun);
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
    pipeline_stage_done(&a->retrieval, STAGE_AUDIT, begun);
    a->retrieval.stages_ms[STAGE_TOTAL] = clock_elapsed_ms(begun_all);
    /* An answer that could not be recorded is not given. */
    if (recorded != RAG_OK && status == RAG_OK)
        return rag_fail(reterr, recorded, "%s", audit_error.text);
    return status;
}
