#define _GNU_SOURCE
#include "guard/rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"

static const struct rule_kind *const kinds[] = {&pattern_kind,   &keywords_kind, &pii_kind,
                                                &injection_kind, &leak_kind,     &classifier_kind,
                                                &examples_kind,  &judge_kind};

const struct rule_kind *rule_kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

const char *rule_kind_names(void)
{
    return "pattern, keywords, pii, classifier, examples, judge, injection, leak";
}

enum rag_status
rule_each_text(const struct json *object, const char *member, size_t n_max, size_t bytes_max,
               enum rag_status (*each)(void *context, const char *text, struct rag_error *reterr),
               void *context, size_t *ret_n, struct rag_error *reterr)
{
    const struct json *array = NULL;
    enum rag_status status = json_get_array(object, member, &array, reterr);
    size_t n = 0;

    if (status != RAG_OK)
        return status;
    if (json_size(array) > n_max)
        return rag_fail(reterr, RAG_EINVAL, "%s: %zu elements, the limit is %zu", member,
                        json_size(array), n_max);
    for (const struct json *e = json_first(array); e; e = json_next(e), n++) {
        const char *text = json_string(e);

        if (!text || text[0] == '\0')
            return rag_fail(reterr, RAG_EINVAL, "%s: element %zu is not a text of 1 to %zu bytes",
                            member, n + 1, bytes_max);
        if (strlen(text) > bytes_max)
            return rag_fail(reterr, RAG_EINVAL, "%s: element %zu has %zu bytes, the limit is %zu",
                            member, n + 1, strlen(text), bytes_max);
        status = each(context, text, reterr);
        if (status != RAG_OK)
            return status;
    }
    *ret_n = n;
    return RAG_OK;
}

enum rag_status rule_path(const struct rule_source *source, const char *member, char **ret,
                          struct rag_error *reterr)
{
    const char *name = NULL;
    char *path = NULL;
    enum rag_status status =
        json_get_string(source->object, member, MODEL_PATH_BYTES_MAX, &name, reterr);

    if (status != RAG_OK)
        return status;
    if (name && name[0] == '\0')
        return rag_fail(reterr, RAG_EINVAL, "%s: an empty path", member);
    if (name && asprintf(&path, "%s%s%s", name[0] == '/' ? "" : source->folder,
                         name[0] == '/' ? "" : "/", name) < 0)
        return rag_fail(reterr, RAG_ENOMEM, "%s: out of memory", member);
    *ret = path;
    return RAG_OK;
}
