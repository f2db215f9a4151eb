#include "daemon/filter.h"

#include <string.h>

#include "base/bounds.h"

static bool read_value(const struct json *node, struct filter_value *ret)
{
    if (json_is_string(node)) {
        ret->text = json_string(node);
    } else if (json_is_number(node)) {
        ret->text = NULL;
        ret->number = json_number(node);
    } else if (json_is_bool(node)) {
        ret->text = json_true(node) ? "true" : "false";
    } else {
        return false;
    }
    return true;
}

static bool read_op(const char *name, enum filter_op *ret)
{
    static const struct {
        const char *name;
        enum filter_op op;
    } ops[] = {
        {"gt",  FILTER_GT },
        {"gte", FILTER_GTE},
        {"lt",  FILTER_LT },
        {"lte", FILTER_LTE}
    };

    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (strcmp(ops[i].name, name) == 0) {
            *ret = ops[i].op;
            return true;
        }
    }
    return false;
}

struct clauses {
    struct filter_clause *items; /* [FILTER_CLAUSES_MAX] */
    size_t n;
    struct arena *arena;
};

static enum rag_status add(struct clauses *out, const char *key, enum filter_op op,
                           const struct json *first, size_t n, struct rag_error *reterr)
{
    struct filter_value *values = arena_calloc(out->arena, n + 1, sizeof *values);
    size_t i = 0;

    if (!values)
        return rag_fail(reterr, RAG_ENOMEM, "'filter': out of memory");
    if (out->n == FILTER_CLAUSES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "'filter': more than %d clauses", FILTER_CLAUSES_MAX);
    for (const struct json *node = first; node && i < n; node = json_next(node))
        if (!read_value(node, &values[i++]))
            return rag_fail(reterr, RAG_EINVAL,
                            "'filter': '%.64s' is compared with something that is no text, number "
                            "or boolean",
                            key);
    out->items[out->n++] = (struct filter_clause){key, op, values, n};
    return RAG_OK;
}

static enum rag_status add_member(struct clauses *out, const struct json *m,
                                  struct rag_error *reterr)
{
    const char *key = json_key(m);
    enum rag_status status = RAG_OK;
    enum filter_op op;

    if (json_is_array(m)) {
        if (json_size(m) > FILTER_VALUES_MAX)
            return rag_fail(reterr, RAG_EINVAL,
                            "'filter': '%.64s' lists %zu values, the limit is %d", key,
                            json_size(m), FILTER_VALUES_MAX);
        return add(out, key, FILTER_IN, json_first(m), json_size(m), reterr);
    }
    if (!json_is_object(m))
        return add(out, key, FILTER_EQ, m, 1, reterr);
    if (json_size(m) == 0)
        return rag_fail(reterr, RAG_EINVAL, "'filter': '%.64s' is {}; it needs gt, gte, lt or lte",
                        key);
    for (const struct json *b = json_first(m); b && status == RAG_OK; b = json_next(b)) {
        if (!read_op(json_key(b), &op))
            return rag_fail(reterr, RAG_EINVAL,
                            "'filter': '%.64s' has '%.64s'; known are gt, gte, lt, lte", key,
                            json_key(b));
        status = add(out, key, op, b, 1, reterr);
    }
    return status;
}

enum rag_status filter_read(const struct json *filter, struct arena *arena,
                            const struct filter_clause **ret, size_t *ret_n,
                            struct rag_error *reterr)
{
    struct clauses out = {NULL, 0, arena};
    enum rag_status status = RAG_OK;

    out.items = arena_calloc(arena, FILTER_CLAUSES_MAX, sizeof *out.items);
    if (!out.items)
        return rag_fail(reterr, RAG_ENOMEM, "'filter': out of memory");
    for (const struct json *m = json_first(filter); m && status == RAG_OK; m = json_next(m))
        status = add_member(&out, m, reterr);
    if (status == RAG_OK) {
        *ret = out.items;
        *ret_n = out.n;
    }
    return status;
}
