#include "generate/answer_out.h"

#include "base/bounds.h"
#include "base/utf8.h"

void answer_out_init(struct answer_out *a, const struct generator_sink *sink,
                     struct generator_result *result)
{
    *a = (struct answer_out){.sink = sink, .result = result};
    buf_init(&a->shown, ANSWER_BYTES_MAX);
    buf_init(&a->piece, 2 * ANSWER_BYTES_MAX); /* of one call: what waited, and what came */
}

void answer_out_release(struct answer_out *a)
{
    grounding_close(a->grounding);
    buf_release(&a->shown);
    buf_release(&a->piece);
}

enum rag_status answer_out_ground(struct answer_out *a, struct grounding_options options,
                                  const struct grounded_prompt *prompt, struct rag_error *reterr)
{
    options.n_passages = prompt->n_passages;
    options.korean = prompt->korean;
    options.refusal = prompt->refusal;
    a->result->passages_dropped = prompt->n_dropped;
    return grounding_open(&options, &a->grounding, reterr);
}

/* Out with a->piece. false: stop. */
static bool show(struct answer_out *a)
{
    size_t room = ANSWER_BYTES_MAX - a->shown.len;
    size_t n = a->piece.len;

    if (a->status == RAG_OK && buf_status(&a->piece) != RAG_OK)
        a->status = rag_fail(&a->error, buf_status(&a->piece), "answer: out of memory");
    if (n > room) {
        n = utf8_floor(buf_str(&a->piece), n, room);
        a->full = true;
    }
    buf_append(&a->shown, buf_str(&a->piece), n);
    if (a->status == RAG_OK && buf_status(&a->shown) != RAG_OK)
        a->status = rag_fail(&a->error, buf_status(&a->shown), "answer: out of memory");
    if (a->status == RAG_OK && n > 0 && a->sink && a->sink->on_piece &&
        !a->sink->on_piece(a->sink->context, a->piece.data, n))
        a->gone = true;
    buf_reset(&a->piece);
    return a->status == RAG_OK && !a->gone && !a->full;
}

bool answer_out_text(struct answer_out *a, const char *text, size_t n)
{
    if (a->grounding) {
        a->status = grounding_put(a->grounding, text, n, &a->piece, &a->error);
        a->enough = a->status == RAG_OK && grounding_done(a->grounding);
    } else {
        buf_append(&a->piece, text, n < ANSWER_BYTES_MAX + 1 ? n : ANSWER_BYTES_MAX + 1);
    }
    return show(a) && !a->enough;
}

enum rag_status answer_out_finish(struct answer_out *a, struct rag_error *reterr)
{
    struct generator_result *result = a->result;

    if (a->full && !a->gone &&
        (result->finish_reason == FINISH_CANCELLED || result->finish_reason == FINISH_STOP))
        result->finish_reason = FINISH_LENGTH;
    if (a->enough && result->finish_reason == FINISH_CANCELLED && !a->gone)
        result->finish_reason = FINISH_STOP; /* it was we who said stop */
    if (a->status == RAG_OK && a->grounding && result->finish_reason != FINISH_CANCELLED &&
        result->finish_reason != FINISH_DEADLINE) {
        a->status = grounding_finish(a->grounding, &a->piece, result, &a->error);
        if (a->status == RAG_OK && !show(a) && a->gone)
            result->finish_reason = FINISH_CANCELLED;
    } else if (a->status == RAG_OK) {
        buf_append(&result->answer, buf_str(&a->shown), a->shown.len);
        if (buf_status(&result->answer) != RAG_OK)
            a->status = rag_fail(&a->error, buf_status(&result->answer), "answer: out of memory");
    }
    if (a->status != RAG_OK)
        return rag_fail(reterr, a->status, "%s", a->error.text);
    return RAG_OK;
}
