/* The keys of a GGUF file: read once at open, sorted, and looked up by name. Numbers stay where
 * they are in the file and are checked when they are asked for. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "nn/gguf_internal.h"

/* ---- reading ---- */

static enum rag_status bad_type(const struct gguf_cursor *c, const struct gguf_key *k,
                                const char *what, uint32_t type, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': key '%.*s': %s %u is not known (0 to %d are)",
                    c->path, (int)k->name.n_bytes, k->name.text, what, type, GGUF_TYPES - 1);
}

static enum rag_status ends_inside(const struct gguf_cursor *c, const struct gguf_key *k,
                                   struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_EFORMAT,
                    "gguf '%s': key '%.*s': the file ends inside it (was the download cut?)",
                    c->path, (int)k->name.n_bytes, k->name.text);
}

/* n_strings: of all arrays so far, which together have a limit: each costs memory. */
static enum rag_status read_strings(struct gguf_cursor *c, struct gguf_key *k, size_t *n_strings,
                                    struct rag_error *reterr)
{
    if (k->n > GGUF_STRINGS_MAX - *n_strings)
        return rag_fail(reterr, RAG_ELIMIT,
                        "gguf '%s': key '%.*s': %zu strings, the limit of a file is %u", c->path,
                        (int)k->name.n_bytes, k->name.text, k->n, GGUF_STRINGS_MAX);
    *n_strings += k->n;
    k->pieces = calloc(k->n ? k->n : 1, sizeof *k->pieces);
    if (!k->pieces)
        return rag_fail(reterr, RAG_ENOMEM, "gguf '%s': out of memory", c->path);
    for (size_t i = 0; i < k->n; i++) {
        struct gguf_string s;
        struct rag_error why = {.text = ""};
        enum rag_status status = gguf_take_string(c, "string", i, GGUF_STRING_BYTES_MAX, &s, &why);

        if (status != RAG_OK)
            return rag_fail(reterr, status, "%s, in key '%.*s'", why.text, (int)k->name.n_bytes,
                            k->name.text);
        k->pieces[i].at = (uint64_t)((const uint8_t *)s.text - c->data);
        k->pieces[i].n_bytes = (uint32_t)s.n_bytes;
    }
    return RAG_OK;
}

static enum rag_status read_array(struct gguf_cursor *c, struct gguf_key *k, size_t *n_strings,
                                  struct rag_error *reterr)
{
    uint32_t type;
    uint64_t n;
    size_t each;

    if (!gguf_take_u32(c, &type) || !gguf_take_u64(c, &n))
        return ends_inside(c, k, reterr);
    if (type >= GGUF_TYPES)
        return bad_type(c, k, "an array of type", type, reterr);
    if (type == GGUF_ARRAY)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': key '%.*s': an array of arrays is not supported", c->path,
                        (int)k->name.n_bytes, k->name.text);
    k->item_type = (enum gguf_type)type;
    each = type == GGUF_STRING ? sizeof(uint64_t) : gguf_type_bytes(k->item_type);
    if (n > (c->n - c->at) / each)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': key '%.*s': %llu items of %zu bytes and more, %zu bytes are "
                        "left of the file (was the download cut?)",
                        c->path, (int)k->name.n_bytes, k->name.text, (unsigned long long)n, each,
                        c->n - c->at);
    k->n = (size_t)n;
    k->value = c->data + c->at;
    if (type == GGUF_STRING)
        return read_strings(c, k, n_strings, reterr);
    (void)gguf_take(c, n * each);
    return RAG_OK;
}

static enum rag_status read_key(struct gguf_cursor *c, uint64_t i, struct gguf_key *k,
                                size_t *n_strings, struct rag_error *reterr)
{
    struct gguf_string text;
    enum rag_status status = gguf_take_string(c, "key", i, GGUF_KEY_BYTES_MAX, &k->name, reterr);
    uint32_t type;

    if (status == RAG_OK)
        status = gguf_check_name(c, "key", i, &k->name, reterr);
    if (status != RAG_OK)
        return status;
    if (!gguf_take_u32(c, &type))
        return ends_inside(c, k, reterr);
    if (type >= GGUF_TYPES)
        return bad_type(c, k, "type", type, reterr);
    k->type = (enum gguf_type)type;
    if (type == GGUF_ARRAY)
        return read_array(c, k, n_strings, reterr);
    if (type == GGUF_STRING) {
        status = gguf_take_string(c, "value of key", i, GGUF_STRING_BYTES_MAX, &text, reterr);
        if (status == RAG_OK) {
            k->value = (const uint8_t *)text.text;
            k->n = text.n_bytes;
        }
        return status;
    }
    k->value = gguf_take(c, gguf_type_bytes(k->type));
    return k->value ? RAG_OK : ends_inside(c, k, reterr);
}

static int compare_strings(const struct gguf_string *a, const struct gguf_string *b)
{
    size_t n = a->n_bytes < b->n_bytes ? a->n_bytes : b->n_bytes;
    int order = memcmp(a->text, b->text, n);

    if (order != 0)
        return order;
    return a->n_bytes < b->n_bytes ? -1 : a->n_bytes > b->n_bytes;
}

static int compare_keys(const void *a, const void *b)
{
    const struct gguf_key *x = a;
    const struct gguf_key *y = b;

    return compare_strings(&x->name, &y->name);
}

enum rag_status gguf_read_keys(struct gguf_cursor *c, uint64_t n, struct gguf *g,
                               struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    size_t n_strings = 0;

    g->keys = calloc(n ? (size_t)n : 1, sizeof *g->keys);
    if (!g->keys)
        return rag_fail(reterr, RAG_ENOMEM, "gguf '%s': out of memory", c->path);
    for (uint64_t i = 0; i < n && status == RAG_OK; i++) {
        g->n_keys++; /* first: what it owns is released with it */
        status = read_key(c, i, &g->keys[i], &n_strings, reterr);
    }
    if (status != RAG_OK)
        return status;
    qsort(g->keys, g->n_keys, sizeof *g->keys, compare_keys);
    for (size_t i = 1; i < g->n_keys; i++) {
        if (compare_keys(&g->keys[i - 1], &g->keys[i]) == 0)
            return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': key '%.*s' occurs twice", c->path,
                            (int)g->keys[i].name.n_bytes, g->keys[i].name.text);
    }
    return RAG_OK;
}

/* ---- looking up ---- */

const struct gguf_key *gguf_find_key(const struct gguf *g, const char *key)
{
    struct gguf_key wanted = {
        .name = {key, strlen(key)}
    };

    return bsearch(&wanted, g->keys, g->n_keys, sizeof wanted, compare_keys);
}

bool gguf_has(const struct gguf *g, const char *key)
{
    return gguf_find_key(g, key) != NULL;
}

static enum rag_status need_key(const struct gguf *g, const char *key, const struct gguf_key **ret,
                                struct rag_error *reterr)
{
    *ret = gguf_find_key(g, key);
    if (*ret)
        return RAG_OK;
    return rag_fail(reterr, RAG_ENOTFOUND, "gguf '%s': key '%s' is missing", g->path, key);
}

/* item: of an array, or SIZE_MAX. */
static enum rag_status wrong_type(const struct gguf *g, const struct gguf_key *k, size_t item,
                                  const char *expected, struct rag_error *reterr)
{
    const char *found = gguf_type_name(item == SIZE_MAX ? k->type : k->item_type);

    if (item == SIZE_MAX)
        return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': key '%.*s': type %s, expected %s", g->path,
                        (int)k->name.n_bytes, k->name.text, found, expected);
    return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': key '%.*s': item %zu has type %s, expected %s",
                    g->path, (int)k->name.n_bytes, k->name.text, item, found, expected);
}

/* A key that must be there, and of one type. */
static enum rag_status need_type(const struct gguf *g, const char *key, enum gguf_type type,
                                 const char *expected, const struct gguf_key **ret,
                                 struct rag_error *reterr)
{
    enum rag_status status = need_key(g, key, ret, reterr);

    if (status == RAG_OK && (*ret)->type != type)
        status = wrong_type(g, *ret, SIZE_MAX, expected, reterr);
    return status;
}

enum rag_status gguf_get_string(const struct gguf *g, const char *key, struct gguf_string *ret,
                                struct rag_error *reterr)
{
    const struct gguf_key *k = NULL;
    enum rag_status status = need_type(g, key, GGUF_STRING, "string", &k, reterr);

    if (status == RAG_OK)
        *ret = (struct gguf_string){(const char *)k->value, k->n};
    return status;
}

/* A whole number as sign and magnitude, so that all of u64 and i64 fit. False: another type. */
static bool read_whole(enum gguf_type type, const uint8_t *p, bool *ret_negative,
                       uint64_t *ret_magnitude)
{
    size_t n_bytes = gguf_type_bytes(type);
    bool is_signed = type == GGUF_I8 || type == GGUF_I16 || type == GGUF_I32 || type == GGUF_I64;
    uint64_t value = 0;
    bool negative;

    if (!is_signed && type != GGUF_U8 && type != GGUF_U16 && type != GGUF_U32 && type != GGUF_U64)
        return false;
    memcpy(&value, p, n_bytes);
    negative = is_signed && value >> (8 * n_bytes - 1) != 0;
    if (negative) /* two's complement of n_bytes */
        value = (~value + 1) & (UINT64_MAX >> (64 - 8 * n_bytes));
    *ret_negative = negative;
    *ret_magnitude = value;
    return true;
}

static bool read_real(enum gguf_type type, const uint8_t *p, double *ret)
{
    float f;

    if (type == GGUF_F64) {
        memcpy(ret, p, sizeof *ret);
        return true;
    }
    if (type != GGUF_F32)
        return false;
    memcpy(&f, p, sizeof f);
    *ret = (double)f;
    return true;
}

enum rag_status gguf_get_uint(const struct gguf *g, const char *key, uint64_t *ret,
                              struct rag_error *reterr)
{
    const struct gguf_key *k = NULL;
    enum rag_status status = need_key(g, key, &k, reterr);
    bool negative;
    uint64_t value;

    if (status != RAG_OK)
        return status;
    if (!read_whole(k->type, k->value, &negative, &value))
        return wrong_type(g, k, SIZE_MAX, "a whole number", reterr);
    if (negative)
        return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': key '%s': -%llu, expected 0 or more",
                        g->path, key, (unsigned long long)value);
    *ret = value;
    return RAG_OK;
}

enum rag_status gguf_get_float(const struct gguf *g, const char *key, double *ret,
                               struct rag_error *reterr)
{
    const struct gguf_key *k = NULL;
    enum rag_status status = need_key(g, key, &k, reterr);
    double value;

    if (status != RAG_OK)
        return status;
    if (!read_real(k->type, k->value, &value))
        return wrong_type(g, k, SIZE_MAX, "f32 or f64", reterr);
    if (!isfinite(value))
        return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': key '%s': %g, expected a finite number",
                        g->path, key, value);
    *ret = value;
    return RAG_OK;
}

enum rag_status gguf_get_bool(const struct gguf *g, const char *key, bool *ret,
                              struct rag_error *reterr)
{
    const struct gguf_key *k = NULL;
    enum rag_status status = need_type(g, key, GGUF_BOOL, "bool", &k, reterr);
    uint8_t value;

    if (status != RAG_OK)
        return status;
    value = k->value[0];
    if (value > 1)
        return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': key '%s': %u, a bool is 0 or 1", g->path,
                        key, value);
    *ret = value != 0;
    return RAG_OK;
}

/* ---- arrays ---- */

enum rag_status gguf_get_array(const struct gguf *g, const char *key, struct gguf_array *ret,
                               struct rag_error *reterr)
{
    const struct gguf_key *k = NULL;
    enum rag_status status = need_type(g, key, GGUF_ARRAY, "array", &k, reterr);

    if (status == RAG_OK)
        *ret = (struct gguf_array){k->n, k};
    return status;
}

static const uint8_t *item_at(const struct gguf_array *a, size_t i)
{
    assert(i < a->n && a->n == a->key->n);
    return a->key->value + i * gguf_type_bytes(a->key->item_type);
}

enum rag_status gguf_array_string(const struct gguf *g, const struct gguf_array *a, size_t i,
                                  struct gguf_string *ret, struct rag_error *reterr)
{
    const struct gguf_key *k = a->key;

    assert(i < a->n && a->n == k->n);
    if (k->item_type != GGUF_STRING)
        return wrong_type(g, k, i, "string", reterr);
    *ret = (struct gguf_string){(const char *)g->data + k->pieces[i].at, k->pieces[i].n_bytes};
    return RAG_OK;
}

enum rag_status gguf_array_int(const struct gguf *g, const struct gguf_array *a, size_t i,
                               int64_t *ret, struct rag_error *reterr)
{
    const struct gguf_key *k = a->key;
    bool negative;
    uint64_t value;

    if (!read_whole(k->item_type, item_at(a, i), &negative, &value))
        return wrong_type(g, k, i, "a whole number", reterr);
    if (value > (uint64_t)INT64_MAX) /* -2^63 too: nobody has a use for it */
        return rag_fail(reterr, RAG_EFORMAT, "gguf '%s': key '%.*s': item %zu is %s%llu, too large",
                        g->path, (int)k->name.n_bytes, k->name.text, i, negative ? "-" : "",
                        (unsigned long long)value);
    *ret = negative ? -(int64_t)value : (int64_t)value;
    return RAG_OK;
}

enum rag_status gguf_array_float(const struct gguf *g, const struct gguf_array *a, size_t i,
                                 double *ret, struct rag_error *reterr)
{
    const struct gguf_key *k = a->key;
    double value;

    if (!read_real(k->item_type, item_at(a, i), &value))
        return wrong_type(g, k, i, "f32 or f64", reterr);
    if (!isfinite(value))
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': key '%.*s': item %zu is %g, expected a finite number", g->path,
                        (int)k->name.n_bytes, k->name.text, i, value);
    *ret = value;
    return RAG_OK;
}
