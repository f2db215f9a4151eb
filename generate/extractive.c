#include "generate/extractive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "generate/extractive_answer.h"

#define QUESTION_PARTS_MAX 4  /* of one message; the rest is read as one part */
#define PART_BYTES_MIN     12 /* about four syllables: shorter is no question of its own */

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

/* Is the span, or a part of it, cited for an earlier part of the question? */
static bool cited(const struct reading *r, const struct choice *c,
                  const struct generator_result *ret)
{
    uint32_t base = r->request->passages[c->passage].byte_start;

    for (size_t i = 0; i < ret->n_citations; i++)
        if (ret->citations[i].passage == c->passage &&
            ret->citations[i].byte_start < base + c->byte_end &&
            ret->citations[i].byte_end > base + c->byte_start)
            return true;
    return false;
}

/* One sentence with its mark to the sink and the result. false: stop here. */
static bool emit(const struct reading *r, const struct choices *choices, size_t i,
                 const struct generator_sink *sink, struct generator_result *ret)
{
    const struct choice *c = &choices->items[i];
    size_t start = ret->answer.len;
    size_t end;

    if (start > 0)
        buf_append_char(&ret->answer, '\n');
    if (i == 0)
        buf_append_str(&ret->answer, answer_polarity(r, c));
    answer_append(r, c, &ret->answer);
    end = ret->answer.len;
    buf_printf(&ret->answer, " [%zu]", c->passage + 1);
    if (buf_status(&ret->answer) != RAG_OK)
        return false;
    add_citation(r, c, start + (start > 0), end, ret);
    if (sink && sink->on_piece &&
        !sink->on_piece(sink->context, ret->answer.data + start, ret->answer.len - start)) {
        ret->finish_reason = FINISH_CANCELLED;
        return false;
    }
    return true;
}

/* A message may ask several things ("...되나요? ...은요?"); each is answered by itself. */
struct parts {
    const char *text[QUESTION_PARTS_MAX];
    size_t n_bytes[QUESTION_PARTS_MAX];
    size_t n;
};

static void split_parts(const char *text, struct parts *ret)
{
    const char *start = text;
    const char *end = text + strlen(text);

    ret->n = 0;
    while (ret->n + 1 < QUESTION_PARTS_MAX) {
        const char *mark = strchr(start, '?');

        if (!mark || (size_t)(mark - start) < PART_BYTES_MIN ||
            (size_t)(end - mark) < PART_BYTES_MIN || !strchr(mark + 1, '?'))
            break;
        ret->text[ret->n] = start;
        ret->n_bytes[ret->n++] = (size_t)(mark + 1 - start);
        start = mark + 1;
    }
    ret->text[ret->n] = start;
    ret->n_bytes[ret->n++] = (size_t)(end - start);
}

static void note_refusal(const struct choices *choices, struct generator_result *ret)
{
    if (ret->reason_code[0] != '\0')
        return; /* the first one stands */
    memcpy(ret->reason, choices->reason, sizeof ret->reason);
    memcpy(ret->reason_code, choices->code, sizeof ret->reason_code);
}

/* Answer one part of the question; *ret_stop: write no more. */
static enum rag_status answer_part(const struct reading *r, const struct generator_sink *sink,
                                   struct generator_result *ret, bool *ret_stop)
{
    struct choices choices;

    choose(r, &choices);
    if (choices.n == 0) {
        note_refusal(&choices, ret);
        return RAG_OK;
    }
    if (ret->n_citations == 0) {
        ret->confidence = choices.confidence;
        set_short_answer(r, &choices.items[0], ret);
    }
    for (size_t i = 0; i < choices.n && !*ret_stop; i++) {
        if (cited(r, &choices.items[i], ret))
            continue;
        *ret_stop = must_stop(r->request, ret) || !emit(r, &choices, i, sink, ret);
    }
    return buf_status(&ret->answer);
}

static enum rag_status read_and_answer(const struct generator_request *request,
                                       const struct analyzer *analyzer, const struct parts *parts,
                                       size_t part, const struct generator_sink *sink,
                                       struct generator_result *ret, bool *ret_stop)
{
    struct reading r;
    enum rag_status status =
        reading_init(&r, request, analyzer, parts->text[part], parts->n_bytes[part]);

    for (size_t i = 0; i < request->n_passages && status == RAG_OK && !*ret_stop; i++) {
        *ret_stop = must_stop(request, ret);
        if (!*ret_stop)
            status = reading_add(&r, i);
    }
    if (status == RAG_OK && !*ret_stop) {
        reading_finish(&r);
        status = answer_part(&r, sink, ret, ret_stop);
    }
    reading_release(&r);
    return status;
}

static enum rag_status generate(struct generator *generator,
                                const struct generator_request *request,
                                const struct generator_sink *sink, struct generator_result *ret,
                                struct rag_error *reterr)
{
    struct extractive *self = (struct extractive *)generator;
    const struct analyzer *analyzer = request->analyzer ? request->analyzer : self->analyzer;
    enum rag_status status = RAG_OK;
    struct parts parts;
    bool stop = false;

    ret->backend = generator->name;
    ret->model_fingerprint = "";
    ret->finish_reason = FINISH_STOP;
    if (request->n_messages == 0 || request->messages[request->n_messages - 1].role != ROLE_USER)
        return rag_fail(reterr, RAG_EINVAL, "messages: the last one must be the user's question");
    if (request->n_passages > PASSAGES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "passages: %zu, the limit is %d", request->n_passages,
                        PASSAGES_MAX);
    split_parts(request->messages[request->n_messages - 1].text, &parts);
    for (size_t i = 0; i < parts.n && status == RAG_OK && !stop; i++)
        status = read_and_answer(request, analyzer, &parts, i, sink, ret, &stop);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "answer: %s",
                        status == RAG_ENOMEM ? "out of memory" : "too long");
    if (!stop && ret->n_citations == 0) {
        ret->finish_reason = FINISH_REFUSED;
    } else {
        ret->reason[0] = '\0';
        ret->reason_code[0] = '\0';
    }
    return RAG_OK;
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
