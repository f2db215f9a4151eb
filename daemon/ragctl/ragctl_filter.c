#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_filter.h"

#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json.h"

static enum rag_status write_where(struct json_writer *w, const struct ragctl_list *only,
                                   struct rag_error *reterr)
{
    for (size_t i = 0; i < only->n; i++) {
        const char *equals = strchr(only->items[i], '=');
        char *key;

        if (!equals || equals == only->items[i])
            return rag_fail(reterr, RAG_EINVAL, "option '--where': '%s' is not key=text",
                            only->items[i]);
        key = strndup(only->items[i], (size_t)(equals - only->items[i]));
        if (!key)
            return rag_fail(reterr, RAG_ENOMEM, "option '--where': out of memory");
        json_put_string(w, key, equals + 1);
        free(key);
    }
    return RAG_OK;
}

static enum rag_status write_filter(struct json_writer *w, const char *filter,
                                    struct rag_error *reterr)
{
    struct json *root = NULL;
    enum rag_status status = json_parse(filter, strlen(filter), "option '--filter'", &root, reterr);

    if (status == RAG_OK && !json_is_object(root))
        status = rag_fail(reterr, RAG_EINVAL, "option '--filter': must be a JSON object");
    for (const struct json *m = status == RAG_OK ? json_first(root) : NULL; m; m = json_next(m)) {
        char *text = NULL;

        if (json_print(m, &text) != RAG_OK) {
            status = rag_fail(reterr, RAG_ENOMEM, "option '--filter': out of memory");
            break;
        }
        json_put_raw(w, json_key(m), text);
        free(text);
    }
    json_free(root);
    return status;
}

enum rag_status ragctl_query_write(struct json_writer *w, const char *collection,
                                   const struct ragctl_query *query, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    json_put_string(w, "collection", collection);
    if (query->top_k > 0)
        json_put_int(w, "top_k", query->top_k);
    if (!query->filter && query->only.n == 0)
        return RAG_OK;
    json_begin_object(w, "filter");
    if (query->filter)
        status = write_filter(w, query->filter, reterr);
    if (status == RAG_OK)
        status = write_where(w, &query->only, reterr);
    json_end_object(w);
    return status;
}

enum rag_status ragctl_object_write(struct json_writer *w, const char *key, const char *option,
                                    const char *text, struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    struct json *root = NULL;
    enum rag_status status;

    if (!text)
        return RAG_OK;
    status = json_parse(text, strlen(text), "JSON", &root, &inner);
    if (status == RAG_OK && !json_is_object(root))
        status = rag_fail(&inner, RAG_EINVAL, "is not a JSON object");
    json_free(root);
    if (status != RAG_OK)
        return rag_fail(reterr, status == RAG_ENOMEM ? status : RAG_EINVAL, "option '%s': %s",
                        option, inner.text);
    json_put_raw(w, key, text);
    return RAG_OK;
}

enum rag_status ragctl_query_join(char **words, int n_words, const char *noun, struct buf *out,
                                  struct rag_error *reterr)
{
    for (int i = 0; i < n_words; i++) {
        if (i > 0)
            buf_append_char(out, ' ');
        buf_append_str(out, words[i]);
    }
    if (buf_status(out) == RAG_ELIMIT || out->len > QUESTION_BYTES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "%s: longer than the limit of %d bytes", noun,
                        QUESTION_BYTES_MAX);
    if (out->len == 0)
        return rag_fail(reterr, RAG_EINVAL, "%s: none given", noun);
    return buf_status(out) == RAG_OK ? RAG_OK : rag_fail(reterr, RAG_ENOMEM, "out of memory");
}
