#define _GNU_SOURCE
#include "base/json.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"

/* struct json is never defined: a node is a cJSON, seen through this cast. */
static const cJSON *node_of(const struct json *node)
{
    return (const cJSON *)(const void *)node;
}

static const struct json *json_of(const cJSON *node)
{
    return (const struct json *)(const void *)node;
}

static int hex4(const unsigned char *p, const unsigned char *end, unsigned *ret)
{
    unsigned v = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        unsigned char c = p[i];

        if (c >= '0' && c <= '9')
            v = v << 4 | (unsigned)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            v = v << 4 | (unsigned)((c | 0x20) - 'a' + 10);
        else
            return -1;
    }
    *ret = v;
    return 0;
}

/* Check an escape at p ('\\'); returns its length or 0 when it is refused. */
static size_t check_escape(const unsigned char *p, const unsigned char *end)
{
    unsigned unit;

    if (end - p < 2)
        return 0;
    if (p[1] != 'u')
        return strchr("\"\\/bfnrt", p[1]) && p[1] ? 2 : 0;
    if (hex4(p + 2, end, &unit) < 0 || unit == 0 || (unit >= 0xDC00 && unit <= 0xDFFF))
        return 0;
    if (unit < 0xD800 || unit > 0xDBFF)
        return 6;
    if (end - p < 12 || p[6] != '\\' || p[7] != 'u' || hex4(p + 8, end, &unit) < 0 ||
        unit < 0xDC00 || unit > 0xDFFF)
        return 0;
    return 12;
}

/* What cJSON does not check: encoding, escapes, control characters, depth. */
static enum rag_status precheck(const char *text, size_t n, const char *what,
                                struct rag_error *reterr)
{
    const unsigned char *start = (const unsigned char *)text;
    const unsigned char *end = start + n;
    bool in_string = false;
    size_t depth = 0;

    for (const unsigned char *p = start; p < end;) {
        size_t step = utf8_sequence_bytes((const char *)p, (size_t)(end - p));

        if (step == 0)
            return rag_fail(reterr, RAG_EFORMAT, "%s: invalid UTF-8 at byte %td", what, p - start);
        if (in_string) {
            if (*p == '\\') {
                step = check_escape(p, end);
                if (step == 0)
                    return rag_fail(reterr, RAG_EFORMAT,
                                    "%s: invalid, NUL or lone-surrogate escape at byte %td", what,
                                    p - start);
            } else if (*p < 0x20) {
                return rag_fail(reterr, RAG_EFORMAT,
                                "%s: control character 0x%02x in a string at byte %td", what, *p,
                                p - start);
            } else if (*p == '"') {
                in_string = false;
            }
        } else if (*p == '"') {
            in_string = true;
        } else if (*p == '{' || *p == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return rag_fail(reterr, RAG_EFORMAT, "%s: nested deeper than %d at byte %td", what,
                                JSON_DEPTH_MAX, p - start);
        } else if ((*p == '}' || *p == ']') && depth > 0) {
            depth--;
        } else if (*p == '\0' || *p >= 0x80) {
            return rag_fail(reterr, RAG_EFORMAT, "%s: byte 0x%02x outside a string at byte %td",
                            what, *p, p - start);
        }
        p += step;
    }
    return RAG_OK;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A key that occurs twice means two readers may see two values. Sorting keeps
 * this n log n for an object of a million members. */
static enum rag_status check_twice(const cJSON *object, const char *what, struct rag_error *reterr)
{
    size_t n = (size_t)cJSON_GetArraySize(object);
    enum rag_status status = RAG_OK;
    const char **keys;
    const cJSON *member;
    size_t i = 0;

    if (n < 2)
        return RAG_OK;
    keys = calloc(n, sizeof *keys);
    if (!keys)
        return rag_fail(reterr, RAG_ENOMEM, "%s: out of memory", what);
    for (member = object->child; member && i < n; member = member->next)
        keys[i++] = member->string ? member->string : "";
    qsort(keys, i, sizeof *keys, compare_keys);
    for (size_t k = 1; k < i; k++) {
        if (strcmp(keys[k - 1], keys[k]) == 0) {
            status = rag_fail(reterr, RAG_EFORMAT, "%s: key '%.64s' occurs twice", what, keys[k]);
            break;
        }
    }
    free(keys);
    return status;
}

static enum rag_status check_tree(const cJSON *node, const char *what, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    if (cJSON_IsObject(node))
        status = check_twice(node, what, reterr);
    if (cJSON_IsNumber(node) && !isfinite(node->valuedouble))
        status = rag_fail(reterr, RAG_EFORMAT, "%s: a number is too large for a double", what);
    /* depth is bounded by precheck() */
    for (const cJSON *c = node->child; c && status == RAG_OK; c = c->next)
        status = check_tree(c, what, reterr);
    return status;
}

enum rag_status json_parse(const char *text, size_t n_bytes, const char *what,
                           struct json **ret_root, struct rag_error *reterr)
{
    enum rag_status status = precheck(text, n_bytes, what, reterr);
    const char *end = NULL;
    cJSON *root;

    if (status != RAG_OK)
        return status;
    root = cJSON_ParseWithLengthOpts(text, n_bytes, &end, 0);
    if (!root)
        return rag_fail(reterr, RAG_EFORMAT, "%s: not JSON at byte %td of %zu", what,
                        end ? end - text : (ptrdiff_t)0, n_bytes);
    while (end < text + n_bytes && strchr(" \t\r\n", *end) && *end)
        end++;
    if (end < text + n_bytes)
        status = rag_fail(reterr, RAG_EFORMAT, "%s: text after the JSON value at byte %td", what,
                          end - text);
    else
        status = check_tree(root, what, reterr);
    if (status != RAG_OK) {
        cJSON_Delete(root);
        return status;
    }
    *ret_root = (struct json *)(void *)root;
    return RAG_OK;
}

void json_free(struct json *root)
{
    cJSON_Delete((cJSON *)(void *)root);
}

bool json_is_object(const struct json *node)
{
    return cJSON_IsObject(node_of(node));
}

bool json_is_array(const struct json *node)
{
    return cJSON_IsArray(node_of(node));
}

bool json_is_string(const struct json *node)
{
    return cJSON_IsString(node_of(node));
}

bool json_is_number(const struct json *node)
{
    return cJSON_IsNumber(node_of(node));
}

bool json_is_bool(const struct json *node)
{
    return cJSON_IsBool(node_of(node));
}

bool json_is_null(const struct json *node)
{
    return cJSON_IsNull(node_of(node));
}

size_t json_size(const struct json *node)
{
    if (!json_is_array(node) && !json_is_object(node))
        return 0;
    return (size_t)cJSON_GetArraySize(node_of(node));
}

const struct json *json_member(const struct json *object, const char *key)
{
    if (!json_is_object(object))
        return NULL;
    return json_of(cJSON_GetObjectItemCaseSensitive(node_of(object), key));
}

const struct json *json_first(const struct json *node)
{
    if (!json_is_array(node) && !json_is_object(node))
        return NULL;
    return json_of(node_of(node)->child);
}

const struct json *json_next(const struct json *node)
{
    return json_of(node_of(node)->next);
}

const char *json_key(const struct json *node)
{
    return node && node_of(node)->string ? node_of(node)->string : "";
}

const char *json_string(const struct json *node)
{
    return json_is_string(node) ? node_of(node)->valuestring : NULL;
}

double json_number(const struct json *node)
{
    return json_is_number(node) ? node_of(node)->valuedouble : (double)NAN;
}

bool json_true(const struct json *node)
{
    return cJSON_IsTrue(node_of(node));
}

static const char *type_name(const struct json *node)
{
    if (json_is_object(node))
        return "an object";
    if (json_is_array(node))
        return "an array";
    if (json_is_string(node))
        return "a string";
    if (json_is_number(node))
        return "a number";
    if (json_is_bool(node))
        return "a boolean";
    return "null";
}

/* The member, or NULL when there is nothing to read. */
static const struct json *present(const struct json *object, const char *key)
{
    const struct json *node = json_member(object, key);

    return !node || json_is_null(node) ? NULL : node;
}

static enum rag_status wrong_type(const struct json *node, const char *key, const char *wanted,
                                  struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_EINVAL, "'%s': expected %s, not %s", key, wanted, type_name(node));
}

enum rag_status json_get_string(const struct json *object, const char *key, size_t bytes_max,
                                const char **ret, struct rag_error *reterr)
{
    const struct json *node = present(object, key);
    size_t n;

    if (!node)
        return RAG_OK;
    if (!json_is_string(node))
        return wrong_type(node, key, "a string", reterr);
    n = strlen(json_string(node));
    if (n > bytes_max)
        return rag_fail(reterr, RAG_EINVAL, "'%s': %zu bytes, the limit is %zu", key, n, bytes_max);
    *ret = json_string(node);
    return RAG_OK;
}

enum rag_status json_get_int(const struct json *object, const char *key, int64_t min, int64_t max,
                             int64_t *ret, struct rag_error *reterr)
{
    const struct json *node = present(object, key);
    double v;

    if (!node)
        return RAG_OK;
    if (!json_is_number(node))
        return wrong_type(node, key, "an integer", reterr);
    v = json_number(node);
    if (v != floor(v) || fabs(v) > 9007199254740992.0 || v < (double)min || v > (double)max)
        return rag_fail(reterr, RAG_EINVAL, "'%s': %.17g is not an integer from %lld to %lld", key,
                        v, (long long)min, (long long)max);
    *ret = (int64_t)v;
    return RAG_OK;
}

enum rag_status json_get_double(const struct json *object, const char *key, double min, double max,
                                double *ret, struct rag_error *reterr)
{
    const struct json *node = present(object, key);
    double v;

    if (!node)
        return RAG_OK;
    if (!json_is_number(node))
        return wrong_type(node, key, "a number", reterr);
    v = json_number(node);
    if (!(v >= min && v <= max))
        return rag_fail(reterr, RAG_EINVAL, "'%s': %.17g is not from %g to %g", key, v, min, max);
    *ret = v;
    return RAG_OK;
}

enum rag_status json_get_bool(const struct json *object, const char *key, bool *ret,
                              struct rag_error *reterr)
{
    const struct json *node = present(object, key);

    if (!node)
        return RAG_OK;
    if (!json_is_bool(node))
        return wrong_type(node, key, "true or false", reterr);
    *ret = json_true(node);
    return RAG_OK;
}

enum rag_status json_get_array(const struct json *object, const char *key, const struct json **ret,
                               struct rag_error *reterr)
{
    const struct json *node = present(object, key);

    if (node && !json_is_array(node))
        return wrong_type(node, key, "an array", reterr);
    *ret = node;
    return RAG_OK;
}

enum rag_status json_get_object(const struct json *object, const char *key, const struct json **ret,
                                struct rag_error *reterr)
{
    const struct json *node = present(object, key);

    if (node && !json_is_object(node))
        return wrong_type(node, key, "an object", reterr);
    *ret = node;
    return RAG_OK;
}

enum rag_status json_only(const struct json *object, const char *const *keys,
                          struct rag_error *reterr)
{
    for (const struct json *m = json_first(object); m; m = json_next(m)) {
        const char *const *k = keys;

        while (*k && strcmp(*k, json_key(m)) != 0)
            k++;
        if (!*k)
            return rag_fail(reterr, RAG_EINVAL, "'%.64s': no such field here", json_key(m));
    }
    return RAG_OK;
}

enum rag_status json_print(const struct json *node, char **ret_text)
{
    char *text = cJSON_PrintUnformatted(node_of(node));

    if (!text)
        return RAG_ENOMEM;
    *ret_text = text; /* cJSON's default allocator is malloc */
    return RAG_OK;
}
