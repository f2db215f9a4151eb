#include "nn/config_keys.h"

#include <string.h>

enum rag_status config_size(const struct json *root, const char *key, int64_t or_else, int64_t max,
                            size_t *ret, struct rag_error *reterr)
{
    int64_t value = or_else;
    enum rag_status status = json_get_int(root, key, 1, max, &value, reterr);

    if (status == RAG_OK && value == 0)
        status = rag_fail(reterr, RAG_EFORMAT, "'%s' is missing", key);
    if (status == RAG_OK)
        *ret = (size_t)value;
    return status;
}

bool config_names_architecture(const struct json *root, const char *part)
{
    const struct json *list = json_member(root, "architectures");

    for (const struct json *a = json_first(list); a && json_is_array(list); a = json_next(a)) {
        if (json_string(a) && strstr(json_string(a), part))
            return true;
    }
    return false;
}

enum rag_status config_finish(enum rag_status status, const char *model,
                              const struct rag_error *why, struct rag_error *reterr)
{
    if (status == RAG_EINVAL)
        status = RAG_EFORMAT;
    if (status != RAG_OK)
        rag_fail(reterr, status, "model '%s': config.json: %s", model, why->text);
    return status;
}
