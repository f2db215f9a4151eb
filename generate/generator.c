#include "generate/generator.h"

#include <string.h>

const char *message_role_name(enum message_role role)
{
    static const char *const names[] = {
        [ROLE_SYSTEM] = "system", [ROLE_USER] = "user", [ROLE_ASSISTANT] = "assistant"};

    return names[role];
}

const char *finish_reason_name(enum finish_reason reason)
{
    static const char *const names[] = {
        [FINISH_STOP] = "stop",         [FINISH_REFUSED] = "refused",
        [FINISH_LENGTH] = "length",     [FINISH_CANCELLED] = "cancelled",
        [FINISH_DEADLINE] = "deadline",
    };

    return names[reason];
}

enum rag_status generator_request_check(const struct generator_request *request,
                                        struct rag_error *reterr)
{
    if (request->n_messages == 0 || request->messages[request->n_messages - 1].role != ROLE_USER)
        return rag_fail(reterr, RAG_EINVAL, "messages: the last one must be the user's");
    if (request->n_passages > PASSAGES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "passages: %zu, the limit is %d", request->n_passages,
                        PASSAGES_MAX);
    if (request->grounding == GROUNDING_STRICT && request->sampling.schema)
        return rag_fail(reterr, RAG_EINVAL,
                        "schema: an answer from passages is held to its citations sentence by "
                        "sentence, so it cannot be JSON of a schema");
    return RAG_OK;
}

size_t generator_new_tokens(const struct generator_request *request, size_t n_default)
{
    return request->sampling.max_new_tokens > 0 ? (size_t)request->sampling.max_new_tokens
                                                : n_default;
}

void generator_result_init(struct generator_result *result)
{
    memset(result, 0, sizeof *result);
    buf_init(&result->answer, ANSWER_BYTES_MAX);
    result->backend = "";
    result->model_fingerprint = "";
}

void generator_result_release(struct generator_result *result)
{
    if (!result)
        return;
    buf_release(&result->answer);
    memset(result, 0, sizeof *result);
}
