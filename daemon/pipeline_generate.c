/* Step 8: backends in their order. Another one may take over only until a piece has left; the guard
 * reads every piece before it does. */
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "daemon/pipeline_internal.h"
#include "retrieve/bm25.h"

/* Pieces on their way from a backend to the reader. */
struct relay {
    const struct pipeline *p;
    const struct pipeline_request *request;
    const struct pipeline_sink *sink;
    struct retrieval *r;
    enum { AS_IT_COMES, BY_SENTENCE, AS_A_WHOLE } when; /* the guard has something to read */
    struct buf text;                                    /* the answer so far */
    size_t n_passed;        /* bytes of it that the guard let through, masked */
    bool released;          /* a piece has left: no other backend may start over */
    bool refused;           /* the guard stopped it */
    enum rag_status failed; /* of the guard */
    struct rag_error error;
};

static void relay_init(struct relay *relay, const struct pipeline *p,
                       const struct pipeline_request *request, const struct pipeline_sink *sink,
                       struct retrieval *r)
{
    *relay = (struct relay){.p = p, .request = request, .sink = sink, .r = r};
    buf_init(&relay->text, ANSWER_BYTES_MAX);
    if (pipeline_is_guarded(p, request, GUARD_ANSWER))
        relay->when = guard_needs_whole(p->guard, GUARD_ANSWER,
                                        request->collection ? request->collection->name : NULL)
                          ? AS_A_WHOLE
                          : BY_SENTENCE;
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c);
}

/* Where the last whole sentence ends: behind a line, or a blank that follows a final mark. What
 * closes counts behind such a mark only: "(02) 123-4567" must reach the guard in one piece. */
static size_t last_sentence_end(const char *text, size_t from, size_t n)
{
    for (size_t i = n; i > from + 1; i--) {
        size_t mark = i - 2;

        if (text[i - 1] == '\n')
            return i;
        while (mark > from && is_one_of(text[mark], ")]\""))
            mark--;
        if (text[i - 1] == ' ' && is_one_of(text[mark], ".?!"))
            return i;
    }
    return from;
}

/* Bytes up to 'end' are complete: check them and let them go. */
static bool relay_up_to(struct relay *relay, size_t end)
{
    char *text = relay->text.data + relay->n_passed;
    size_t n = end - relay->n_passed;

    if (n == 0)
        return true;
    relay->failed = pipeline_guard_answer(relay->p, relay->request, relay->r, text, n,
                                          &relay->refused, &relay->error);
    if (relay->failed != RAG_OK || relay->refused)
        return false;
    relay->n_passed = end;
    relay->released = true;
    return !relay->sink || !relay->sink->on_piece ||
           relay->sink->on_piece(relay->sink->context, text, n);
}

static bool relay_piece(void *context, const char *text, size_t n_bytes)
{
    struct relay *relay = context;
    size_t end;

    buf_append(&relay->text, text, n_bytes);
    relay->failed = buf_status(&relay->text);
    if (relay->failed != RAG_OK) {
        rag_fail(&relay->error, relay->failed, "answer: over %d bytes or out of memory",
                 ANSWER_BYTES_MAX);
        return false;
    }
    end = relay->text.len;
    if (relay->when == AS_A_WHOLE)
        return true;
    /* grounded answers come in whole sentences */
    if (relay->when == BY_SENTENCE && !relay->request->collection)
        end = last_sentence_end(buf_str(&relay->text), relay->n_passed, end);
    return relay_up_to(relay, end);
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

/* The answer becomes what the guard let through: what it has not read, or refused, is not recorded
 * either. */
static void keep_passed(const struct relay *relay, struct generator_result *result)
{
    struct buf *answer = &result->answer;

    if (relay->text.len == answer->len && answer->len > 0)
        memcpy(answer->data, relay->text.data, answer->len);
    if (relay->when == AS_IT_COMES || relay->n_passed >= answer->len)
        return;
    answer->len = relay->n_passed;
    answer->data[answer->len] = '\0';
    while (result->n_citations > 0 &&
           result->citations[result->n_citations - 1].answer_end > answer->len)
        result->n_citations--;
}

/* The backend is done: what was held back goes, and what the guard refused is a refusal. */
static enum rag_status settle(struct relay *relay, struct generator_result *result,
                              struct rag_error *reterr)
{
    bool complete = result->finish_reason == FINISH_STOP || result->finish_reason == FINISH_LENGTH;
    enum rag_status status = RAG_OK;
    bool refused = false;

    if (complete && !relay_up_to(relay, relay->text.len) && !relay->refused)
        result->finish_reason = FINISH_CANCELLED; /* the reader went away, or 'failed' */
    keep_passed(relay, result);
    if (relay->failed != RAG_OK) {
        result->short_answer[0] = '\0';
        return rag_fail(reterr, relay->failed, "%s", relay->error.text);
    }
    if (!relay->refused && result->short_answer[0] != '\0')
        status = pipeline_guard_answer(relay->p, relay->request, relay->r, result->short_answer,
                                       strlen(result->short_answer), &refused, reterr);
    if (refused || status != RAG_OK)
        result->short_answer[0] = '\0';
    if (relay->refused) {
        result->finish_reason = FINISH_REFUSED;
        memcpy(result->reason, relay->r->guard_reason, sizeof result->reason);
        memcpy(result->reason_code, "guard", sizeof "guard");
    }
    return status;
}

static enum rag_status fill_request(const struct pipeline *p,
                                    const struct pipeline_request *request,
                                    struct pipeline_answer *a, struct generator_request *ret,
                                    struct rag_error *reterr)
{
    struct retrieval *r = &a->retrieval;
    struct message *messages = arena_calloc(&r->arena, request->n_history + 1, sizeof *messages);
    struct generator_passage *given = arena_calloc(&r->arena, a->n_given + 1, sizeof *given);

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
    *ret = (struct generator_request){
        .messages = messages,
        .n_messages = request->n_history + 1,
        .passages = given,
        .n_passages = a->n_given,
        .grounding = GROUNDING_STRICT,
        .sampling = request->sampling ? *request->sampling : p->sampling,
        .deadline_ns = request->deadline_ns,
        .cancel = request->cancel,
        .request_id = request->request_id,
        .offline = collection_is_offline(request->collection),
        .idf_fn = collection_idf,
        .idf_context = request->collection->index,
        .analyzer = p->analyzer,
    };
    return RAG_OK;
}

size_t pipeline_backends(const struct pipeline *p, const struct pipeline_request *request,
                         struct generator *ret[CONFIG_BACKENDS_MAX])
{
    bool offline = collection_is_offline(request->collection);
    enum config_backend order[CONFIG_BACKENDS_MAX];
    size_t n_order = collection_backends(request->collection, order);
    size_t n = 0;

    if (request->generator) {
        ret[0] = request->generator;
        return 1;
    }
    if (n_order == 0) {
        memcpy(order, p->order, sizeof order);
        n_order = p->n_order;
    }
    for (size_t i = 0; i < n_order; i++)
        if (p->backends[order[i]] && (!offline || order[i] != BACKEND_OPENAI))
            ret[n++] = p->backends[order[i]];
    if (n == 0) /* all that were named are elsewhere */
        ret[n++] = p->backends[BACKEND_EXTRACTIVE];
    return n;
}

enum rag_status pipeline_generate(const struct pipeline *p, const struct pipeline_request *request,
                                  const struct pipeline_sink *sink, struct pipeline_answer *a,
                                  struct rag_error *reterr)
{
    struct retrieval *r = &a->retrieval;
    int64_t begun = pipeline_stage_begin(request, STAGE_GENERATE);
    struct relay relay;
    const struct generator_sink out = {relay_piece, &relay};
    struct generator *backends[CONFIG_BACKENDS_MAX];
    size_t n = pipeline_backends(p, request, backends);
    struct generator_request g;
    enum rag_status status = fill_request(p, request, a, &g, reterr);

    relay_init(&relay, p, request, sink, r);
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        struct generator *with = backends[i];
        struct rag_error error = {RAG_OK, ""};
        bool final;

        generator_result_release(&a->result);
        generator_result_init(&a->result);
        buf_reset(&relay.text);
        status = with->generate(with, &g, &out, &a->result, &error);
        final = relay.released || relay.refused || relay.failed != RAG_OK || i + 1 == n;
        if (status == RAG_OK && (final || !is_unsupported(&a->result))) {
            status = settle(&relay, &a->result, reterr);
            break;
        }
        if (final) {
            status = rag_fail(reterr, status, "%s", error.text);
            break;
        }
        if (status == RAG_OK)
            rag_fail(&error, RAG_EINVAL, "%s: what it wrote is not supported by the passages",
                     with->name);
        r->degraded[r->n_degraded++] = (struct degraded){STAGE_GENERATE, error};
        status = pipeline_still_wanted(request, reterr);
    }
    buf_release(&relay.text);
    pipeline_stage_done(r, STAGE_GENERATE, begun);
    return status;
}

/* ---- without passages ---- */

static enum rag_status chat(const struct pipeline *p, const struct pipeline_request *asked,
                            const struct pipeline_sink *sink, struct pipeline_answer *a,
                            struct rag_error *reterr)
{
    struct retrieval *r = &a->retrieval;
    int64_t begun = pipeline_stage_begin(asked, STAGE_GENERATE);
    struct message *messages = arena_calloc(&r->arena, asked->n_history + 1, sizeof *messages);
    struct relay relay;
    const struct generator_sink out = {relay_piece, &relay};
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;

    if (!messages)
        return rag_fail(reterr, RAG_ENOMEM, "'messages': out of memory");
    memcpy(messages, asked->history, asked->n_history * sizeof *messages);
    messages[asked->n_history] = (struct message){ROLE_USER, asked->question};
    relay_init(&relay, p, asked, sink, r);
    status = asked->generator->generate(asked->generator,
                                        &(struct generator_request){
                                            .messages = messages,
                                            .n_messages = asked->n_history + 1,
                                            .grounding = GROUNDING_NONE,
                                            .sampling = *asked->sampling,
                                            .deadline_ns = asked->deadline_ns,
                                            .cancel = asked->cancel,
                                            .request_id = asked->request_id,
                                        },
                                        &out, &a->result, &error);
    if (status != RAG_OK)
        rag_fail(reterr, status, "%s", error.text);
    else
        status = settle(&relay, &a->result, reterr);
    buf_release(&relay.text);
    pipeline_stage_done(r, STAGE_GENERATE, begun);
    return status;
}

enum rag_status pipeline_chat(const struct pipeline *p, const struct pipeline_request *request,
                              const struct pipeline_sink *sink, struct pipeline_answer *ret,
                              struct rag_error *reterr)
{
    struct pipeline_request asked = *request;
    struct pipeline_answer *a = ret;
    int64_t begun = clock_monotonic_ns();
    enum rag_status status;

    pipeline_answer_init(a);
    for (size_t i = 0; i < request->n_history && !asked.system_prompt; i++)
        if (request->history[i].role == ROLE_SYSTEM)
            asked.system_prompt = request->history[i].text;
    if (!asked.system_prompt)
        asked.system_prompt = "";
    status = pipeline_admit(p, &asked, a, reterr);
    if (status == RAG_OK && !a->refused) {
        buf_init(&a->retrieval.text, a->question.len);
        buf_append(&a->retrieval.text, buf_str(&a->question), a->question.len);
        question_analyze(buf_str(&a->question), a->question.len, &a->retrieval.question);
        status = chat(p, &asked, sink, a, reterr);
    }
    if (status == RAG_OK && a->result.finish_reason == FINISH_CANCELLED)
        status = rag_fail(reterr, RAG_ECANCELLED, "request: the client went away");
    if (status == RAG_OK && a->result.finish_reason == FINISH_DEADLINE)
        status = rag_fail(reterr, RAG_ETIMEOUT, "request: the deadline passed");
    if (status == RAG_OK && a->result.finish_reason == FINISH_REFUSED) {
        a->refused = true;
        a->reason = a->result.reason;
        a->reason_code = a->result.reason_code;
    }
    pipeline_stage_done(&a->retrieval, STAGE_TOTAL, begun);
    return status;
}
