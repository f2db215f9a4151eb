/* The first step of a follow-up: a question that stands alone, so that retrieval, gate and answer
 * see what is meant. A decoder is asked when there is one and the follow-up may lack something; its
 * question is checked, and when it is of no use, late or not to be had, the words decide. */
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "daemon/pipeline_internal.h"
#include "generate/grounding.h"

#define ANSWER_LINE_BYTES_MAX 8192 /* of a model that was asked for one line */

/* What the model writes, until its first line with text ends. */
struct line {
    struct buf text;
    bool ended;
};

static bool on_line(void *context, const char *text, size_t n)
{
    struct line *line = context;
    const char *s;
    size_t at = 0;

    buf_append(&line->text, text, n);
    s = buf_str(&line->text);
    while (s[at] == '\n' || s[at] == ' ')
        at++;
    line->ended = s[at] != '\0' && s[at] != '<' && strchr(s + at, '\n') != NULL;
    return !line->ended && buf_status(&line->text) == RAG_OK;
}

static int64_t model_deadline(const struct pipeline_request *request)
{
    int64_t now = clock_monotonic_ns();
    int64_t budget = CONDENSE_MS_MAX * (int64_t)1000000;

    if (request->deadline_ns != 0 && (request->deadline_ns - now) / 4 < budget)
        budget = (request->deadline_ns - now) / 4;
    return now + budget;
}

/* Ask the model; RAG_OK when its question is in *ret. */
static enum rag_status ask_model(const struct pipeline *p, struct generator *model,
                                 const struct pipeline_request *request,
                                 const struct message *turns, size_t n, struct buf *ret,
                                 struct rag_error *reterr)
{
    struct grounded_prompt prompt = {.messages = NULL};
    struct line line = {.ended = false};
    struct generator_sink sink = {on_line, &line};
    struct generator_result result;
    enum rag_status status = condense_prompt_make(turns, n, &prompt, reterr);

    if (status != RAG_OK)
        return status;
    generator_result_init(&result);
    buf_init(&line.text, ANSWER_LINE_BYTES_MAX);
    status = model->generate(model,
                             &(struct generator_request){
                                 .messages = prompt.messages,
                                 .n_messages = prompt.n_messages,
                                 .grounding = GROUNDING_NONE,
                                 .sampling = {.top_p = 1.0f,
                                              .repetition_penalty = 1.0f,
                                              .max_new_tokens = CONDENSE_NEW_TOKENS},
                                 .deadline_ns = model_deadline(request),
                                 .cancel = request->cancel,
                                 .request_id = request->request_id,
                                 .offline = true,
    },
                             &sink, &result, reterr);
    if (status == RAG_OK && result.finish_reason == FINISH_DEADLINE)
        status = rag_fail(reterr, RAG_ETIMEOUT, "question: the model needs too long to rewrite it");
    if (status == RAG_OK && result.finish_reason == FINISH_CANCELLED && !line.ended)
        status = rag_fail(reterr, RAG_ECANCELLED, "request: the client went away");
    if (status == RAG_OK)
        status = condensed_question(turns, n, p->analyzer, buf_str(&line.text), line.text.len, ret,
                                    reterr);
    buf_release(&line.text);
    generator_result_release(&result);
    grounded_prompt_release(&prompt);
    return status;
}

/* Text that is no UTF-8 or too long is refused where it is searched for. */
static bool readable(const struct message *turns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!utf8_valid(turns[i].text, strlen(turns[i].text), NULL))
            return false;
    return strlen(turns[n - 1].text) <= QUESTION_BYTES_MAX;
}

static enum rag_status condense(const struct pipeline *p, const struct pipeline_request *request,
                                const struct message *turns, size_t n, struct pipeline_answer *a,
                                struct rag_error *reterr)
{
    struct generator *model = p->local; /* a question does not leave the machine for this */
    struct rag_error why = {RAG_OK, ""};
    enum condense_need need;
    enum rag_status status = condense_need(turns, n, p->analyzer, &need);

    if (status == RAG_OK && need != CONDENSE_NOT && model) {
        status = ask_model(p, model, request, turns, n, &a->standalone, &why);
        if (status == RAG_OK) {
            a->condenser = model->name;
            return RAG_OK;
        }
        buf_reset(&a->standalone);
        if (status == RAG_EFORMAT) /* its question was of no use: no failure of the model's */
            status = RAG_OK;
        else
            status =
                pipeline_leave_out(request, &a->retrieval, STAGE_CONDENSE, status, &why, reterr);
    }
    if (status == RAG_OK && need == CONDENSE_YES) {
        status = condense_by_words(turns, n, p->analyzer, &a->standalone);
        a->condenser = "words";
    }
    if (status == RAG_ELIMIT) { /* with what it lacks it is too long: as it stands then */
        buf_reset(&a->standalone);
        status = RAG_OK;
    }
    return status == RAG_OK ? status : rag_fail(reterr, status, "question: out of memory");
}

enum rag_status pipeline_condense(const struct pipeline *p, const struct pipeline_request *request,
                                  struct pipeline_answer *a, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct message *turns;
    int64_t begun;
    struct arena arena;
    size_t n = request->n_history + 1;

    if (request->n_history == 0)
        return RAG_OK;
    begun = pipeline_stage_begin(request, STAGE_CONDENSE);
    arena_init(&arena, 1u << 20);
    turns = arena_calloc(&arena, n, sizeof *turns);
    if (turns) {
        memcpy(turns, request->history, request->n_history * sizeof *turns);
        turns[n - 1] = (struct message){ROLE_USER, request->question};
        if (readable(turns, n))
            status = condense(p, request, turns, n, a, reterr);
    } else {
        status = rag_fail(reterr, RAG_ENOMEM, "question: out of memory");
    }
    arena_release(&arena);
    if (a->standalone.len == 0 || strcmp(buf_str(&a->standalone), request->question) == 0) {
        buf_reset(&a->standalone);
        a->condenser = "";
    }
    pipeline_stage_done(&a->retrieval, STAGE_CONDENSE, begun);
    return status;
}
