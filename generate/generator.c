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
