#include "daemon/pipeline.h"

#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "daemon/ask_record.h"
#include "daemon/pipeline_internal.h"

void pipeline_answer_init(struct pipeline_answer *a)
{
    memset(a, 0, sizeof *a);
    retrieval_init(&a->retrieval);
    generator_result_init(&a->result);
    a->reason = "";
    a->reason_code = "";
    a->condenser = "";
    buf_init(&a->standalone, QUESTION_BYTES_MAX);
}

void pipeline_answer_release(struct pipeline_answer *a)
{
    if (!a)
        return;
    retrieval_release(&a->retrieval);
    generator_result_release(&a->result);
    buf_release(&a->standalone);
    buf_release(&a->question);
}

/* ---- 1. what was said, as far as the policy lets it in ---- */

static void refuse_by_guard(struct pipeline_answer *a)
{
    a->refused = true;
    a->reason = a->retrieval.guard_reason;
    a->reason_code = "guard";
}

/* Earlier turns reach the models as the question does, so the policy reads them too, whatever role
 * their sender gave them. What stands behind a refused one is not read, so it is not recorded. */
static enum rag_status admit_history(const struct pipeline *p,
                                     const struct pipeline_request *request,
                                     struct pipeline_answer *a, bool *ret_refused,
                                     struct rag_error *reterr)
{
    struct arena *arena = &a->retrieval.arena;
    enum rag_status status = RAG_OK;

    a->n_history = request->n_history;
    a->history = arena_calloc(arena, request->n_history + 1, sizeof *a->history);
    for (size_t i = 0; a->history && i < request->n_history; i++) {
        char *text = arena_strdup(arena, *ret_refused ? "" : request->history[i].text);

        if (!text)
            a->history = NULL;
        else
            a->history[i] = (struct message){request->history[i].role, text};
        if (text && status == RAG_OK && !*ret_refused)
            status = pipeline_guard_question(p, request, &a->retrieval, text, ret_refused, reterr);
    }
    return a->history ? status : rag_fail(reterr, RAG_ENOMEM, "'messages': out of memory");
}

enum rag_status pipeline_admit(const struct pipeline *p, struct pipeline_request *asked,
                               struct pipeline_answer *a, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    bool refused = false;

    if (asked->collection) {
        buf_init(&a->question, PIPELINE_QUESTION_BYTES_MAX);
        status = pipeline_read(asked->question, &a->question, reterr);
    } else { /* a message of a chat: read already, and as long as those may be */
        buf_init(&a->question, CHAT_BYTES_MAX * 3);
        buf_append_str(&a->question, asked->question);
        if (buf_status(&a->question) != RAG_OK)
            status = rag_fail(reterr, RAG_ENOMEM, "'messages': out of memory");
    }
    if (status == RAG_OK && a->question.len > 0)
        status =
            pipeline_guard_question(p, asked, &a->retrieval, a->question.data, &refused, reterr);
    if (status == RAG_OK && !refused)
        status = admit_history(p, asked, a, &refused, reterr);
    if (status != RAG_OK) {
        buf_reset(&a->question); /* what was not checked is not recorded */
        a->n_history = 0;
        return status;
    }
    asked->question = buf_str(&a->question);
    if (a->history) /* behind the last turn stands what is asked now */
        a->history[a->n_history] = (struct message){ROLE_USER, asked->question};
    asked->history = a->history;
    asked->n_history = a->n_history;
    if (refused)
        refuse_by_guard(a);
    return RAG_OK;
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
static void reconsider(const struct pipeline *p, const struct retrieval *r, size_t n_given,
                       struct gate_verdict *v)
{
    if (v->pass || p->rerank_pass_min <= 0 || strcmp(v->code, "low_relevance") != 0 ||
        strcmp(r->reranker, "lexical") == 0 || strcmp(r->reranker, "none") == 0)
        return;
    for (size_t i = 0; i < n_given && !v->pass; i++)
        v->pass = r->passages[i].cross_read && r->passages[i].cross_score >= p->rerank_pass_min;
    if (v->pass)
        v->reason[0] = v->code[0] = '\0';
}

void pipeline_gate(const struct pipeline *p, const struct pipeline_request *request,
                   struct retrieval *r, size_t n_given, struct gate_verdict *ret)
{
    struct lexical_query query = pipeline_lexical_query(p, r);
    struct gate_options gate = p->gate;
    int64_t begun = pipeline_stage_begin(request, STAGE_GATE);

    gate.filtered = request->n_filter > 0;
    (void)collection_gate(request->collection, &gate.relevance_min);
    gate_decide(&query, r->passages, n_given, &gate, ret);
    reconsider(p, r, n_given, ret);
    pipeline_stage_done(r, STAGE_GATE, begun);
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

/* An answer of the cache is shown as any other: its passages, then its text in one piece. */
static enum rag_status show_cached(const struct pipeline_sink *sink,
                                   const struct pipeline_answer *a, struct rag_error *reterr)
{
    const struct buf *answer = &a->result.answer;

    if (sink && sink->on_passages)
        sink->on_passages(sink->context, &a->retrieval, a->n_given);
    if (!a->refused && sink && sink->on_piece &&
        !sink->on_piece(sink->context, buf_str(answer), answer->len))
        return rag_fail(reterr, RAG_ECANCELLED, "request: the client went away");
    return RAG_OK;
}

static void tell_standalone(const struct pipeline_sink *sink, const struct pipeline_answer *a)
{
    if (a->standalone.len > 0 && sink && sink->on_question)
        sink->on_question(sink->context, buf_str(&a->standalone));
}

/* Follow-up -> question that stands alone -> terms. */
static enum rag_status understand(const struct pipeline *p, struct pipeline_request *asked,
                                  const struct pipeline_sink *sink, struct pipeline_answer *a,
                                  struct rag_error *reterr)
{
    enum rag_status status = pipeline_condense(p, asked, a, reterr);

    if (status == RAG_OK && a->standalone.len > 0)
        asked->question = buf_str(&a->standalone);
    if (status == RAG_OK)
        tell_standalone(sink, a);
    return status == RAG_OK ? pipeline_analyze(p, asked, &a->retrieval, reterr) : status;
}

static enum rag_status retrieve(const struct pipeline *p, const struct pipeline_request *asked,
                                struct pipeline_answer *a, struct rag_error *reterr)
{
    enum rag_status status = pipeline_find(p, asked, &a->retrieval, reterr);

    a->n_given = asked->top_k ? asked->top_k : p->n_passages;
    if (a->n_given > PASSAGES_MAX)
        a->n_given = PASSAGES_MAX;
    if (status == RAG_OK)
        status = pipeline_guard_passages(p, asked, &a->retrieval, a->n_given, reterr);
    if (a->n_given > a->retrieval.n_passages)
        a->n_given = a->retrieval.n_passages;
    return status;
}

static enum rag_status answer(const struct pipeline *p, const struct pipeline_request *asked,
                              const struct pipeline_sink *sink, struct pipeline_answer *a,
                              struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    if (sink && sink->on_passages)
        sink->on_passages(sink->context, &a->retrieval, a->n_given);
    pipeline_gate(p, asked, &a->retrieval, a->n_given, &a->verdict);
    if (a->verdict.pass)
        status = pipeline_generate(p, asked, sink, a, reterr);
    if (status == RAG_OK)
        status = verify_citations(a, reterr);
    if (status == RAG_OK && a->result.finish_reason == FINISH_CANCELLED)
        status = rag_fail(reterr, RAG_ECANCELLED, "request: the client went away");
    if (status == RAG_OK && a->result.finish_reason == FINISH_DEADLINE)
        status = rag_fail(reterr, RAG_ETIMEOUT, "request: the deadline passed");
    if (status == RAG_OK)
        conclude(a);
    if (status == RAG_OK && a->refused)
        status = pipeline_nearest(p, asked, a, reterr);
    return status;
}

/* The life up to the record, by the list in pipeline.h. */
static enum rag_status live(const struct pipeline *p, struct pipeline_request *asked,
                            const struct pipeline_sink *sink, struct cache_step *cache,
                            struct pipeline_answer *a, struct rag_error *reterr)
{
    enum rag_status status = pipeline_admit(p, asked, a, reterr);
    bool hit = false;

    if (status != RAG_OK || a->refused)
        return status;
    status = pipeline_cache_same(p, asked, cache, a, &hit, reterr);
    if (status == RAG_OK && hit)
        tell_standalone(sink, a);
    if (status == RAG_OK && !hit)
        status = understand(p, asked, sink, a, reterr);
    if (status == RAG_OK && !hit)
        status = pipeline_cache_similar(p, asked, cache, a, &hit, reterr);
    if (status == RAG_OK && !hit)
        status = retrieve(p, asked, a, reterr);
    if (status == RAG_OK && !hit)
        status = pipeline_cache_recheck(p, asked, cache, a, &hit, reterr);
    if (status != RAG_OK)
        return status;
    return hit ? show_cached(sink, a, reterr) : answer(p, asked, sink, a, reterr);
}

enum rag_status pipeline_ask(const struct pipeline *p, const struct pipeline_request *request,
                             const struct pipeline_sink *sink, struct pipeline_answer *ret,
                             struct rag_error *reterr)
{
    int64_t begun_all = clock_monotonic_ns();
    struct pipeline_answer *a = ret;
    struct pipeline_request asked = *request;
    struct cache_step cache = {.on = false};
    struct rag_error audit_error;
    enum rag_status recorded;
    enum rag_status status;
    int64_t begun;

    pipeline_answer_init(a);
    asked.nearest = p->n_nearest > 0;
    status = live(p, &asked, sink, &cache, a, reterr);
    begun = pipeline_stage_begin(request, STAGE_AUDIT);
    pipeline_stage_done(&a->retrieval, STAGE_TOTAL, begun_all);
    recorded =
        ask_record_append(p, request, a, status, status == RAG_OK ? NULL : reterr, &audit_error);
    pipeline_stage_done(&a->retrieval, STAGE_AUDIT, begun);
    a->retrieval.stages_ms[STAGE_TOTAL] = clock_elapsed_ms(begun_all);
    if (status == RAG_OK && recorded == RAG_OK)
        pipeline_cache_keep(p, &asked, &cache, a);
    cache_step_release(&cache);
    /* An answer that could not be recorded is not given. */
    if (recorded != RAG_OK && status == RAG_OK)
        return rag_fail(reterr, recorded, "%s", audit_error.text);
    return status;
}
