#include "generate/extractive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "generate/extractive_answer.h"

struct extractive {
    struct generator base;
    struct analyzer *analyzer; /* owned; for requests that bring none */
};

/* Cancelled or late? Sets the finish reason. */
static bool must_stop(const struct generator_request *request, struct generator_result *ret)
{
    if (request->cancel && atomic_load(request->cancel))
        ret->finish_reason = FINISH_CANCELLED;
    else if (request->deadline_ns != 0 && clock_monotonic_ns() >= request->deadline_ns)
        ret->finish_reason = FINISH_DEADLINE;
    else
        return false;
    return true;
}

static void add_citation(const struct reading *r, const struct choice *c, size_t answer_start,
                         size_t answer_end, struct generator_result *ret)
{
    uint32_t base = r->request->passages[c->passage].byte_start;

    ret->citations[ret->n_citations++] = (struct citation){
        .passage = c->passage,
        .byte_start = base + c->byte_start,
        .byte_end = base + c->byte_end,
        .answer_start = (uint32_t)answer_start,
        .answer_end = (uint32_t)answer_end,
    };
}

static void set_short_answer(const struct reading *r, const struct choice *c,
                             struct generator_result *ret)
{
    const struct support *s = &r->supports[c->unit];
    const struct generator_passage *p = &r->request->passages[c->passage];
    size_t n = s->answer_end - s->answer_start;

    if (n == 0 || n >= sizeof ret->short_answer || s->answer_start < c->byte_start ||
        s->answer_end > c->byte_end)
        return;
    ret->short_passage = c->passage;
    ret->short_start = p->byte_start + s->answer_start;
    ret->short_end = p->byte_start + s->answer_end;
    memcpy(ret->short_answer, p->text + s->answer_start, n);
    ret->short_answer[n] = '\0';
}

/* One sentence with its mark to the sink and the result. false: stop here. */
static bool emit(const struct reading *r, const struct choices *choices, size_t i,
                 const struct generator_sink *sink, struct generator_result *ret)
{
    const struct choice *c = &choices->items[i];
    size_t start = ret->answer.len;
    size_t end;

    if (i > 0)
        buf_append_char(&ret->answer, '\n');
    else
        buf_append_str(&ret->answer, answer_polarity(r, c));
    answer_append(r, c, &ret->answer);
    end = ret->answer.len;
    buf_printf(&ret->answer, " [%zu]", c->passage + 1);
    if (buf_status(&ret->answer) != RAG_OK)
        return false;
    add_citation(r, c, start + (i > 0), end, ret);
    if (sink && sink->on_piece &&
        !sink->on_piece(sink->context, ret->answer.data + start, ret->answer.len - start)) {
        ret->finish_reason = FINISH_CANCELLED;
        return false;
    }
    return true;
}

static enum rag_status write_answer(const struct reading *r, const struct generator_sink *sink,
                                    struct generator_result *ret, struct rag_error *reterr)
{
    struct choices choices;

    choose(r, &choices);
    if (choices.n == 0) {
        ret->finish_reason = FINISH_REFUSED;
        memcpy(ret->reason, choices.reason, sizeof ret->reason);
        memcpy(ret->reason_code, choices.code, sizeof ret->reason_code);
        return RAG_OK;
    }
    ret->confidence = choices.confidence;
    set_short_answer(r, &choices.items[0], ret);
    for (size_t i = 0; i < choices.n; i++)
        if (must_stop(r->request, ret) || !emit(r, &choices, i, sink, ret))
            break;
    if (buf_status(&ret->answer) != RAG_OK)
        return rag_fail(reterr, buf_status(&ret->answer), "answer: out of memory");
    return RAG_OK;
}

static enum rag_status generate(struct generator *generator,
                                const struct generator_request *request,
                                const struct generator_sink *sink, struct generator_result *ret,
                                struct rag_error *reterr)
{
    struct extractive *self = (struct extractive *)generator;
    const struct analyzer *analyzer = request->analyzer ? request->analyzer : self->analyzer;
    enum rag_status status = RAG_OK;
    struct reading r;

    ret->backend = generator->name;
    ret->model_fingerprint = "";
    ret->finish_reason = FINISH_STOP;
    if (request->n_messages == 0 || request->messages[request->n_messages - 1].role != ROLE_USER)
        return rag_fail(reterr, RAG_EINVAL, "messages: the last one must be the user's question");
    if (request->n_passages > PASSAGES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "passages: %zu, the limit is %d", request->n_passages,
                        PASSAGES_MAX);
    status = reading_init(&r, request, analyzer);
    for (size_t i = 0; i < request->n_passages && status == RAG_OK; i++) {
        if (must_stop(request, ret))
            goto out;
        status = reading_add(&r, i);
    }
    if (status == RAG_OK)
        reading_finish(&r);
    if (status == RAG_OK)
        status = must_stop(request, ret) ? RAG_OK : write_answer(&r, sink, ret, reterr);
    else
        rag_fail(reterr, status, "passages: cannot be read");
out:
    reading_release(&r);
    return status;
}

static void extractive_close(struct generator *generator)
{
    struct extractive *self = (struct extractive *)generator;

    if (!self)
        return;
    analyzer_close(self->analyzer);
    free(self);
}

enum rag_status extractive_open(struct generator **ret, struct rag_error *reterr)
{
    struct analyzer_options options = {0};
    struct extractive *self = calloc(1, sizeof *self);
    enum rag_status status;

    if (!self)
        return rag_fail(reterr, RAG_ENOMEM, "extractive: out of memory");
    status = analyzer_open(&options, &self->analyzer, reterr);
    if (status != RAG_OK) {
        free(self);
        return status;
    }
    self->base = (struct generator){
        .name = "extractive",
        .capabilities = {.needs_passages = true, .streams = true},
        .generate = generate,
        .close = extractive_close,
    };
    *ret = &self->base;
    return RAG_OK;
}
