#include "daemon/guard_models.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define NS_PER_MS INT64_C(1000000)

/* The time of a server ran out, not that of the request: the rule is unchecked, and the rest goes
 * on. A server's time is cut in whole milliseconds, so within its last one the request's is up. */
static enum rag_status own_timeout(enum rag_status status, int64_t deadline_ns)
{
    bool passed = deadline_ns != 0 && clock_monotonic_ns() >= deadline_ns - NS_PER_MS;

    return status == RAG_ETIMEOUT && !passed ? RAG_EBUSY : status;
}

/* One call has few texts: the one that is looked at, or a rule's examples at start. */
static enum rag_status embed(void *context, bool may_leave, int64_t deadline_ns,
                             const char *const *texts, size_t n, float *ret_vectors,
                             struct rag_error *reterr)
{
    struct guard_models_context *c = context;
    struct embed_text *items = calloc(n + 1, sizeof *items);
    enum rag_status status;

    if (!items)
        return rag_fail(reterr, RAG_ENOMEM, "guard: out of memory");
    for (size_t i = 0; i < n; i++)
        items[i] = (struct embed_text){texts[i], strlen(texts[i])};
    status = models_embed(c->models, models_embedder(c->models), MODELS_INTERACTIVE,
                          may_leave ? MODELS_MAY_LEAVE : MODELS_STAY_HERE, items, n, EMBED_QUERY,
                          deadline_ns, NULL, ret_vectors, NULL, reterr);
    free(items);
    return own_timeout(status, deadline_ns);
}

static bool keep_piece(void *context, const char *text, size_t n_bytes)
{
    struct buf *answer = context;

    buf_append(answer, text, n_bytes);
    return buf_status(answer) == RAG_OK;
}

static enum rag_status judge(void *context, const char *system, const char *prompt, int tokens_max,
                             bool may_leave, int64_t deadline_ns, struct buf *ret_answer,
                             struct rag_error *reterr)
{
    const struct guard_models_context *c = context;
    struct generator *generator = c->generators->local ? c->generators->local
                                  : may_leave          ? c->generators->openai
                                                       : NULL;
    const struct message messages[] = {
        {ROLE_SYSTEM, system},
        {ROLE_USER,   prompt},
    };
    const struct generator_request request = {
        .messages = messages,
        .n_messages = 2,
        .grounding = GROUNDING_NONE,
        .sampling = {.top_p = 1, .repetition_penalty = 1, .max_new_tokens = tokens_max},
        .deadline_ns = deadline_ns,
        .request_id = "guard",
        .offline = !may_leave,
    };
    const struct generator_sink sink = {keep_piece, ret_answer};
    struct generator_result result;
    enum rag_status status;

    if (!generator)
        return rag_fail(reterr, RAG_ENOTFOUND, "guard: no model can judge ([generate] model)");
    generator_result_init(&result);
    status = generator->generate(generator, &request, &sink, &result, reterr);
    if (status == RAG_OK && buf_status(ret_answer) != RAG_OK)
        status = rag_fail(reterr, buf_status(ret_answer), "guard: the judge's answer is too long");
    else if (status == RAG_OK && result.finish_reason == FINISH_DEADLINE)
        status = rag_fail(reterr, RAG_ETIMEOUT, "guard: the judge had no time left");
    generator_result_release(&result);
    return own_timeout(status, deadline_ns);
}

enum rag_status guard_open_configured(const struct config *config, const struct analyzer *analyzer,
                                      struct guard_models_context *context, struct guard **ret,
                                      struct rag_error *reterr)
{
    const struct bi_encoder *embedder = context->models ? models_embedder(context->models) : NULL;
    struct guard_options options = {
        .path = config->guard_policy,
        .analyzer = analyzer,
        .models = {.context = context},
    };
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;

    if (embedder) {
        bi_encoder_info(embedder, &context->embedder);
        options.models.embed = embed;
        options.models.dim = context->embedder.dim;
        options.models.embedder = context->embedder.fingerprint;
    }
    if (context->generators->local || context->generators->openai)
        options.models.judge = judge;
    status = guard_open(&options, ret, &error);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "[guard] policy: %s", error.text);
    return RAG_OK;
}
