#define _GNU_SOURCE
/* Schemas to graphs of nodes. */
#include "generate/json_schema.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "generate/json_schema_internal.h"

/* Nodes by the place in the document that they come from, so that $ref may point back. */
struct compiled_place {
    const struct json *place;
    uint32_t node;
};

struct compiler {
    struct json_schema *schema;
    const struct json *root;
    struct compiled_place *places; /* owned */
    size_t n_places;
    size_t cap_places;
    size_t depth;
    struct rag_error *reterr;
};

static enum rag_status compile(struct compiler *c, const struct json *place, uint32_t *ret);

static enum rag_status out_of_memory(struct compiler *c)
{
    return rag_fail(c->reterr, RAG_ENOMEM, "schema: out of memory");
}

/* ---- nodes ---- */

static enum rag_status new_node(struct compiler *c, enum schema_kind kind, uint32_t *ret)
{
    struct json_schema *s = c->schema;

    if (s->n == JSON_SCHEMA_NODES_MAX)
        return rag_fail(c->reterr, RAG_ELIMIT, "schema: more than %d parts", JSON_SCHEMA_NODES_MAX);
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        struct schema_node *nodes = realloc(s->nodes, cap * sizeof *nodes);

        if (!nodes)
            return out_of_memory(c);
        s->nodes = nodes;
        s->cap = cap;
    }
    s->nodes[s->n] = (struct schema_node){.kind = kind, .most = UINT64_MAX};
    *ret = (uint32_t)s->n++;
    return RAG_OK;
}

static enum rag_status remember(struct compiler *c, const struct json *place, uint32_t node)
{
    if (c->n_places == c->cap_places) {
        size_t cap = c->cap_places ? c->cap_places * 2 : 16;
        struct compiled_place *places = realloc(c->places, cap * sizeof *places);

        if (!places)
            return out_of_memory(c);
        c->places = places;
        c->cap_places = cap;
    }
    c->places[c->n_places++] = (struct compiled_place){place, node};
    return RAG_OK;
}

void json_schema_free(struct json_schema *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++) {
        struct schema_node *node = &s->nodes[i];

        for (size_t k = 0; node->properties && k < node->n; k++)
            free(node->properties[k].key);
        for (size_t k = 0; node->literals && k < node->n; k++)
            free(node->literals[k]);
        free(node->properties);
        free(node->literals);
        free(node->children);
    }
    free(s->nodes);
    free(s);
}

/* ---- keywords ---- */

/* Keywords that say nothing about what is valid. */
static bool is_annotation(const char *key)
{
    static const char *const annotations[] = {
        "title",  "description", "default",   "examples",   "$schema", "$id",        "$comment",
        "format", "readOnly",    "writeOnly", "deprecated", "$defs",   "definitions"};

    for (size_t i = 0; i < sizeof annotations / sizeof *annotations; i++)
        if (strcmp(key, annotations[i]) == 0)
            return true;
    return false;
}

/* Only these keywords (NULL-terminated) and annotations; anything else would constrain the value
 * and be ignored. */
static enum rag_status only(struct compiler *c, const struct json *place,
                            const char *const *keywords)
{
    for (const struct json *m = json_first(place); m; m = json_next(m)) {
        const char *const *k = keywords;

        while (*k && strcmp(*k, json_key(m)) != 0)
            k++;
        if (!*k && !is_annotation(json_key(m)))
            return rag_fail(c->reterr, RAG_EINVAL, "schema: keyword '%s' is not supported here",
                            json_key(m));
    }
    return RAG_OK;
}

static enum rag_status get_count(struct compiler *c, const struct json *place, const char *key,
                                 uint64_t *ret)
{
    int64_t v = -1;
    enum rag_status status = json_get_int(place, key, 0, INT32_MAX, &v, c->reterr);

    if (status == RAG_OK && v >= 0)
        *ret = (uint64_t)v;
    return status;
}

static enum rag_status check_counts(struct compiler *c, const struct schema_node *node,
                                    const char *what)
{
    if (node->least <= node->most)
        return RAG_OK;
    return rag_fail(c->reterr, RAG_EINVAL, "schema: at least %llu %s but at most %llu",
                    (unsigned long long)node->least, what, (unsigned long long)node->most);
}

/* ---- kinds ---- */

/* An object of any keys; others: the schema of their values, or NULL. */
static enum rag_status compile_map(struct compiler *c, const struct json *others, uint32_t self)
{
    uint32_t child;
    enum rag_status status = others ? compile(c, others, &child) : new_node(c, SCHEMA_ANY, &child);

    if (status != RAG_OK)
        return status;
    c->schema->nodes[self].kind = SCHEMA_MAP;
    c->schema->nodes[self].child = child;
    return RAG_OK;
}

/* As JSON writes it, malloc'ed; NULL: no memory. */
static char *quoted(const char *key)
{
    struct json_writer w;
    char *text = NULL;
    struct buf b;
    size_t n;

    buf_init(&b, JSON_SCHEMA_BYTES_MAX * 6 + 3);
    json_writer_init(&w, &b);
    json_put_string(&w, NULL, key);
    if (buf_status(&b) == RAG_OK && buf_take(&b, &text, &n) != RAG_OK)
        text = NULL;
    buf_release(&b);
    return text;
}

static enum rag_status compile_object(struct compiler *c, const struct json *place, uint32_t self)
{
    static const char *const keywords[] = {"type", "properties", "required", "additionalProperties",
                                           NULL};
    const struct json *properties = json_member(place, "properties");
    const struct json *required = json_member(place, "required");
    const struct json *others = json_member(place, "additionalProperties");
    enum rag_status status = only(c, place, keywords);
    size_t n_required = 0;
    size_t n = json_size(properties);

    if (status == RAG_OK &&
        ((properties && !json_is_object(properties)) || (required && !json_is_array(required))))
        status = rag_fail(c->reterr, RAG_EINVAL,
                          "schema: 'properties' must be an object, 'required' an array");
    if (status == RAG_OK && n > JSON_SCHEMA_PROPERTIES_MAX)
        status = rag_fail(c->reterr, RAG_ELIMIT, "schema: %zu properties of one object, at most %d",
                          n, JSON_SCHEMA_PROPERTIES_MAX);
    if (status != RAG_OK)
        return status;
    if (n == 0 && json_size(required) == 0 &&
        (!others || json_is_object(others) || json_true(others)))
        return compile_map(c, others, self);
    c->schema->nodes[self].properties = calloc(n ? n : 1, sizeof(struct schema_property));
    if (!c->schema->nodes[self].properties)
        return out_of_memory(c);
    for (const struct json *m = json_first(properties); m && status == RAG_OK; m = json_next(m)) {
        struct schema_property p = {.required = false};
        struct schema_node *node;

        for (const struct json *r = json_first(required); r; r = json_next(r))
            if (json_string(r) && strcmp(json_string(r), json_key(m)) == 0)
                p.required = true;
        n_required += p.required;
        status = compile(c, m, &p.value);
        if (status == RAG_OK && !(p.key = quoted(json_key(m))))
            status = out_of_memory(c);
        if (status != RAG_OK)
            break;
        p.n_key = strlen(p.key);
        node = &c->schema->nodes[self]; /* compile() may have moved it */
        node->properties[node->n++] = p;
    }
    if (status == RAG_OK && n_required != json_size(required))
        status = rag_fail(c->reterr, RAG_EINVAL,
                          "schema: 'required' names what 'properties' does not have, or twice");
    return status;
}

static enum rag_status compile_array(struct compiler *c, const struct json *place, uint32_t self)
{
    static const char *const keywords[] = {"type", "items", "minItems", "maxItems", NULL};
    const struct json *items = json_member(place, "items");
    enum rag_status status = only(c, place, keywords);
    struct schema_node limits = {.most = UINT64_MAX};
    uint32_t child = 0;

    if (status == RAG_OK)
        status = get_count(c, place, "minItems", &limits.least);
    if (status == RAG_OK)
        status = get_count(c, place, "maxItems", &limits.most);
    if (status == RAG_OK)
        status = check_counts(c, &limits, "items");
    if (status == RAG_OK)
        status = items ? compile(c, items, &child) : new_node(c, SCHEMA_ANY, &child);
    if (status != RAG_OK)
        return status;
    c->schema->nodes[self].child = child;
    c->schema->nodes[self].least = limits.least;
    c->schema->nodes[self].most = limits.most;
    return RAG_OK;
}

static enum rag_status compile_string(struct compiler *c, const struct json *place, uint32_t self)
{
    static const char *const keywords[] = {"type", "minLength", "maxLength", NULL};
    struct schema_node *node = &c->schema->nodes[self];
    enum rag_status status = only(c, place, keywords);

    if (status == RAG_OK)
        status = get_count(c, place, "minLength", &node->least);
    if (status == RAG_OK)
        status = get_count(c, place, "maxLength", &node->most);
    return status == RAG_OK ? check_counts(c, node, "characters") : status;
}

static int compare_literals(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Takes over the texts [n]. */
static void set_literals(struct schema_node *node, char **literals, size_t n)
{
    size_t kept = 0;

    qsort(literals, n, sizeof *literals, compare_literals);
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && strcmp(literals[kept - 1], literals[i]) == 0)
            free(literals[i]);
        else
            literals[kept++] = literals[i];
    }
    node->kind = SCHEMA_LITERALS;
    node->literals = literals;
    node->n = kept;
}

static enum rag_status compile_integers(struct compiler *c, int64_t least, int64_t most,
                                        uint32_t self)
{
    size_t n;
    char **literals;

    if (most < least || most - least >= JSON_SCHEMA_LITERALS_MAX)
        return rag_fail(c->reterr, RAG_EINVAL,
                        "schema: integers from %lld to %lld: a range of 1 to %d is supported",
                        (long long)least, (long long)most, JSON_SCHEMA_LITERALS_MAX);
    n = (size_t)(most - least + 1);
    literals = calloc(n, sizeof *literals);
    if (!literals)
        return out_of_memory(c);
    for (size_t i = 0; i < n; i++)
        if (asprintf(&literals[i], "%lld", (long long)least + (long long)i) < 0) {
            while (i-- > 0)
                free(literals[i]);
            free(literals);
            return out_of_memory(c);
        }
    set_literals(&c->schema->nodes[self], literals, n);
    return RAG_OK;
}

static enum rag_status compile_number(struct compiler *c, const struct json *place, uint32_t self)
{
    static const char *const keywords[] = {"type", "minimum", "maximum", NULL};
    const struct json *minimum = json_member(place, "minimum");
    const struct json *maximum = json_member(place, "maximum");
    enum rag_status status = only(c, place, keywords);
    int64_t least = 0;
    int64_t most = 0;

    if (status != RAG_OK || (!minimum && !maximum))
        return status;
    if (!maximum && json_number(minimum) == 0) { /* a NaN, of no number, is not 0 */
        c->schema->nodes[self].not_negative = true;
        return RAG_OK;
    }
    if (c->schema->nodes[self].kind != SCHEMA_INTEGER || !minimum || !maximum)
        return rag_fail(c->reterr, RAG_EINVAL,
                        "schema: of bounds only \"minimum\": 0 and integers from minimum to "
                        "maximum are supported");
    status = json_get_int(place, "minimum", INT32_MIN, INT32_MAX, &least, c->reterr);
    if (status == RAG_OK)
        status = json_get_int(place, "maximum", INT32_MIN, INT32_MAX, &most, c->reterr);
    return status == RAG_OK ? compile_integers(c, least, most, self) : status;
}

/* Words as literals: true, false, null. */
static enum rag_status compile_words(struct compiler *c, const char *const *words, size_t n,
                                     uint32_t self)
{
    char **literals = calloc(n, sizeof *literals);

    for (size_t i = 0; literals && i < n; i++)
        if (!(literals[i] = strdup(words[i]))) {
            while (i-- > 0)
                free(literals[i]);
            free(literals);
            literals = NULL;
        }
    if (!literals)
        return out_of_memory(c);
    set_literals(&c->schema->nodes[self], literals, n);
    return RAG_OK;
}

static enum rag_status compile_values(struct compiler *c, const struct json *first, size_t n,
                                      uint32_t self)
{
    enum rag_status status = RAG_OK;
    char **literals;
    size_t done = 0;

    if (n == 0 || n > JSON_SCHEMA_LITERALS_MAX)
        return rag_fail(c->reterr, RAG_EINVAL, "schema: %zu values of an enum, expected 1 to %d", n,
                        JSON_SCHEMA_LITERALS_MAX);
    literals = calloc(n, sizeof *literals);
    if (!literals)
        return out_of_memory(c);
    for (const struct json *v = first; v && done < n && status == RAG_OK; v = json_next(v)) {
        status = json_print(v, &literals[done]);
        if (status == RAG_OK)
            done++;
    }
    if (status != RAG_OK) {
        while (done-- > 0)
            free(literals[done]);
        free(literals);
        return out_of_memory(c);
    }
    set_literals(&c->schema->nodes[self], literals, done);
    return RAG_OK;
}

static enum rag_status add_alternative(struct compiler *c, uint32_t self, uint32_t child)
{
    struct schema_node *node = &c->schema->nodes[self];
    uint32_t *children = realloc(node->children, (node->n + 1) * sizeof *children);

    if (!children)
        return out_of_memory(c);
    node->children = children;
    node->children[node->n++] = child;
    return RAG_OK;
}

static enum rag_status compile_any_of(struct compiler *c, const struct json *list, uint32_t self)
{
    enum rag_status status = RAG_OK;

    c->schema->nodes[self].kind = SCHEMA_ANY_OF;
    if (!json_is_array(list) || json_size(list) == 0)
        return rag_fail(c->reterr, RAG_EINVAL, "schema: 'anyOf' must be a list of schemas");
    for (const struct json *m = json_first(list); m && status == RAG_OK; m = json_next(m)) {
        uint32_t child;

        status = compile(c, m, &child);
        if (status == RAG_OK)
            status = add_alternative(c, self, child);
    }
    return status;
}

/* ---- types ---- */

static enum rag_status compile_type(struct compiler *c, const struct json *place, const char *type,
                                    uint32_t self)
{
    static const char *const plain[] = {"type", NULL};
    static const char *const booleans[] = {"true", "false"};
    static const char *const nulls[] = {"null"};
    struct schema_node *node = &c->schema->nodes[self];
    enum rag_status status;

    if (strcmp(type, "object") == 0) {
        node->kind = SCHEMA_OBJECT;
        return compile_object(c, place, self);
    }
    if (strcmp(type, "array") == 0) {
        node->kind = SCHEMA_ARRAY;
        return compile_array(c, place, self);
    }
    if (strcmp(type, "string") == 0) {
        node->kind = SCHEMA_STRING;
        return compile_string(c, place, self);
    }
    if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0) {
        node->kind = type[0] == 'i' ? SCHEMA_INTEGER : SCHEMA_NUMBER;
        return compile_number(c, place, self);
    }
    status = only(c, place, plain);
    if (status != RAG_OK)
        return status;
    if (strcmp(type, "boolean") == 0)
        return compile_words(c, booleans, 2, self);
    if (strcmp(type, "null") == 0)
        return compile_words(c, nulls, 1, self);
    return rag_fail(c->reterr, RAG_EINVAL,
                    "schema: type '%s', expected object, array, string, number, integer, boolean "
                    "or null",
                    type);
}

/* "type": ["string", "null"]: alternatives, when no other keyword says which it is about. */
static enum rag_status compile_types(struct compiler *c, const struct json *place,
                                     const struct json *types, uint32_t self)
{
    static const char *const plain[] = {"type", NULL};
    enum rag_status status = only(c, place, plain);

    c->schema->nodes[self].kind = SCHEMA_ANY_OF;
    if (status == RAG_OK && json_size(types) == 0)
        status = rag_fail(c->reterr, RAG_EINVAL, "schema: 'type' is an empty list");
    for (const struct json *m = json_first(types); m && status == RAG_OK; m = json_next(m)) {
        const char *type = json_string(m);
        uint32_t child;

        if (!type)
            return rag_fail(c->reterr, RAG_EINVAL, "schema: a type is no string");
        status = new_node(c, SCHEMA_ANY, &child);
        if (status == RAG_OK)
            status = compile_type(c, place, type, child);
        if (status == RAG_OK)
            status = add_alternative(c, self, child);
    }
    return status;
}

/* ---- references ---- */

/* The place of a JSON pointer "#/$defs/x" (RFC 6901) in the schema's own document. */
static enum rag_status resolve(struct compiler *c, const char *ref, const struct json **ret)
{
    const struct json *at = c->root;
    const char *p = ref;

    if (*p++ != '#')
        return rag_fail(c->reterr, RAG_EINVAL,
                        "schema: $ref '%s': only places of the schema itself, '#...'", ref);
    while (at && *p == '/') {
        char name[256];
        size_t n = 0;

        for (p++; *p && *p != '/' && n + 1 < sizeof name; p++) {
            char ch = *p;

            if (ch == '~' && (p[1] == '0' || p[1] == '1'))
                ch = *++p == '0' ? '~' : '/';
            name[n++] = ch;
        }
        name[n] = '\0';
        at = json_member(at, name);
    }
    if (!at || *p != '\0')
        return rag_fail(c->reterr, RAG_EINVAL, "schema: $ref '%s': there is no such place", ref);
    *ret = at;
    return RAG_OK;
}

static enum rag_status compile_reference(struct compiler *c, const struct json *place,
                                         const char *ref, uint32_t self)
{
    static const char *const keywords[] = {"$ref", NULL};
    const struct json *target = NULL;
    enum rag_status status = only(c, place, keywords);
    uint32_t child;

    c->schema->nodes[self].kind = SCHEMA_ANY_OF;
    if (status == RAG_OK)
        status = resolve(c, ref, &target);
    if (status == RAG_OK)
        status = compile(c, target, &child);
    return status == RAG_OK ? add_alternative(c, self, child) : status;
}

static enum rag_status compile_new(struct compiler *c, const struct json *place, uint32_t self)
{
    static const char *const enums[] = {"enum", "type", NULL};
    static const char *const consts[] = {"const", "type", NULL};
    static const char *const any_ofs[] = {"anyOf", NULL};
    static const char *const nothing[] = {NULL};
    const struct json *type = json_member(place, "type");
    const struct json *values = json_member(place, "enum");
    enum rag_status status;

    if (json_string(json_member(place, "$ref")))
        return compile_reference(c, place, json_string(json_member(place, "$ref")), self);
    if (json_member(place, "anyOf")) {
        status = only(c, place, any_ofs);
        return status == RAG_OK ? compile_any_of(c, json_member(place, "anyOf"), self) : status;
    }
    if (values) {
        status = only(c, place, enums);
        return status == RAG_OK ? compile_values(c, json_first(values), json_size(values), self)
                                : status;
    }
    if (json_member(place, "const")) {
        status = only(c, place, consts);
        return status == RAG_OK ? compile_values(c, json_member(place, "const"), 1, self) : status;
    }
    if (json_is_array(type))
        return compile_types(c, place, type, self);
    if (json_string(type))
        return compile_type(c, place, json_string(type), self);
    if (json_member(place, "properties"))
        return compile_type(c, place, "object", self);
    return only(c, place, nothing); /* any value */
}

static enum rag_status compile(struct compiler *c, const struct json *place, uint32_t *ret)
{
    enum rag_status status;
    uint32_t self;

    for (size_t i = 0; i < c->n_places; i++)
        if (c->places[i].place == place) {
            *ret = c->places[i].node;
            return RAG_OK;
        }
    if (json_true(place))
        return new_node(c, SCHEMA_ANY, ret);
    if (!json_is_object(place))
        return rag_fail(c->reterr, RAG_EINVAL, "schema: a part is neither an object nor true");
    if (c->depth == JSON_DEPTH_MAX)
        return rag_fail(c->reterr, RAG_ELIMIT, "schema: nested deeper than %d", JSON_DEPTH_MAX);
    c->depth++;
    status = new_node(c, SCHEMA_ANY, &self);
    if (status == RAG_OK)
        status = remember(c, place, self);
    if (status == RAG_OK)
        status = compile_new(c, place, self);
    c->depth--;
    if (status == RAG_OK)
        *ret = self;
    return status;
}

/* ---- alternatives that lead to themselves ---- */

enum visit { NOT_SEEN, ON_THE_WAY, DONE };

static bool leads_to_itself(const struct json_schema *s, uint32_t node, uint8_t *seen)
{
    const struct schema_node *n = &s->nodes[node];
    bool loop = false;

    if (n->kind != SCHEMA_ANY_OF || seen[node] == DONE)
        return false;
    if (seen[node] == ON_THE_WAY)
        return true;
    seen[node] = ON_THE_WAY;
    for (size_t i = 0; i < n->n && !loop; i++)
        loop = leads_to_itself(s, n->children[i], seen);
    seen[node] = DONE;
    return loop;
}

static enum rag_status check_loops(struct compiler *c)
{
    uint8_t *seen = calloc(c->schema->n, 1);
    bool loop = false;

    if (!seen)
        return out_of_memory(c);
    for (size_t i = 0; i < c->schema->n && !loop; i++)
        loop = leads_to_itself(c->schema, (uint32_t)i, seen);
    free(seen);
    return loop ? rag_fail(c->reterr, RAG_EINVAL, "schema: a $ref or anyOf that is itself")
                : RAG_OK;
}

/* ---- alternatives that begin alike ---- */

#define NOT_COUNTED UINT8_MAX

static size_t begins_with(const struct schema_node *n, char first)
{
    bool digit = first >= '0' && first <= '9';
    size_t i = 0;

    switch (n->kind) {
    case SCHEMA_OBJECT:
    case SCHEMA_MAP:
        return first == '{';
    case SCHEMA_ARRAY:
        return first == '[';
    case SCHEMA_STRING:
        return first == '"';
    case SCHEMA_NUMBER:
    case SCHEMA_INTEGER:
        return digit || (first == '-' && !n->not_negative);
    case SCHEMA_LITERALS:
        while (i < n->n && n->literals[i][0] != first)
            i++;
        return i < n->n;
    case SCHEMA_ANY:
    case SCHEMA_ANY_OF:
        break;
    }
    return 1;
}

/* Alternatives of 'node', those of its alternatives included, that can begin with 'first': each of
 * them is a thread of an answer. At most one more than there may be; there are no loops. */
static uint8_t count_alike(const struct json_schema *s, uint32_t node, char first, uint8_t *counts)
{
    const struct schema_node *n = &s->nodes[node];
    size_t sum = 0;

    if (counts[node] != NOT_COUNTED)
        return counts[node];
    if (n->kind != SCHEMA_ANY_OF)
        sum = begins_with(n, first);
    for (size_t i = 0; n->kind == SCHEMA_ANY_OF && i < n->n; i++)
        if (sum <= JSON_SCHEMA_THREADS_MAX)
            sum += count_alike(s, n->children[i], first, counts);
    if (sum > JSON_SCHEMA_THREADS_MAX)
        sum = JSON_SCHEMA_THREADS_MAX + 1;
    counts[node] = (uint8_t)sum;
    return counts[node];
}

/* What has no thread could never be chosen, and nobody would know. */
static enum rag_status check_alike(struct compiler *c)
{
    const struct json_schema *s = c->schema;
    uint8_t *counts = malloc(s->n);
    bool too_many = false;

    if (!counts)
        return out_of_memory(c);
    for (const char *first = "{[\"-0123456789tfn"; *first && !too_many; first++) {
        memset(counts, NOT_COUNTED, s->n);
        for (size_t i = 0; i < s->n && !too_many; i++)
            too_many = count_alike(s, (uint32_t)i, *first, counts) > JSON_SCHEMA_THREADS_MAX;
    }
    free(counts);
    if (too_many)
        return rag_fail(c->reterr, RAG_ELIMIT,
                        "schema: more than %d alternatives of an anyOf begin with the same "
                        "character; put constants into one enum",
                        JSON_SCHEMA_THREADS_MAX);
    return RAG_OK;
}

enum rag_status json_schema_compile(const char *text, size_t n, struct json_schema **ret,
                                    struct rag_error *reterr)
{
    struct compiler c = {.reterr = reterr};
    struct json *root = NULL;
    enum rag_status status;
    uint32_t first;

    if (n > JSON_SCHEMA_BYTES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "schema: %zu bytes, at most %d", n,
                        JSON_SCHEMA_BYTES_MAX);
    status = json_parse(text, n, "schema", &root, reterr);
    if (status != RAG_OK)
        return status == RAG_EFORMAT ? RAG_EINVAL : status;
    c.root = root;
    c.schema = calloc(1, sizeof *c.schema);
    status = c.schema ? compile(&c, root, &first) : out_of_memory(&c);
    if (status == RAG_OK)
        status = check_loops(&c);
    if (status == RAG_OK)
        status = check_alike(&c);
    json_free(root);
    free(c.places);
    if (status != RAG_OK) {
        json_schema_free(c.schema);
        return status;
    }
    assert(first == 0);
    *ret = c.schema;
    return RAG_OK;
}
