#define _GNU_SOURCE
#include "guard/policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "text/text_file.h"

#define BUILT_IN_NAME "built-in policy"

static const char built_in[] =
    "{\"rules\":[{\"name\":\"injection\",\"kind\":\"injection\",\"on\":[\"passage\"],\"action\":"
    "\"flag\"},"
    "{\"name\":\"leak\",\"kind\":\"leak\",\"on\":[\"answer\"],\"action\":\"refuse\"}]}";

static const char *const common_members[] = {
    "name", "kind", "on", "action", "on_error", "collections", "reason", "comment", NULL};

static void rule_release(struct rule *r)
{
    if (r->kind)
        r->kind->close(r->state);
    for (size_t i = 0; r->collections && r->collections[i]; i++)
        free(r->collections[i]);
    free(r->collections);
    free(r->name);
    free(r->reason);
}

void policy_release(struct policy *p)
{
    for (size_t i = 0; i < p->n_rules; i++)
        rule_release(&p->rules[i]);
    free(p->rules);
    *p = (struct policy){0};
}

static enum rag_status read_name(const struct json *object, struct rule *rule,
                                 struct rag_error *reterr)
{
    const char *name = NULL;
    const char *reason = NULL;
    const char *comment = NULL;
    enum rag_status status =
        json_get_string(object, "name", GUARD_RULE_NAME_BYTES_MAX, &name, reterr);

    if (status == RAG_OK && (!name || name[0] == '\0'))
        status = rag_fail(reterr, RAG_EINVAL, "name: missing; a rule needs one of 1 to %d bytes",
                          GUARD_RULE_NAME_BYTES_MAX);
    for (const char *p = name; status == RAG_OK && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            status = rag_fail(reterr, RAG_EINVAL, "name: control character 0x%02x",
                              (unsigned)(unsigned char)*p);
    if (status == RAG_OK)
        status = json_get_string(object, "reason", GUARD_REASON_BYTES_MAX, &reason, reterr);
    if (status == RAG_OK)
        status = json_get_string(object, "comment", GUARD_COMMENT_BYTES_MAX, &comment, reterr);
    if (status != RAG_OK)
        return status;
    rule->name = strdup(name);
    rule->reason = reason ? strdup(reason) : NULL;
    if (!rule->name || (reason && !rule->reason))
        return rag_fail(reterr, RAG_ENOMEM, "name: out of memory");
    return RAG_OK;
}

static bool action_parse(const char *name, enum guard_action *ret)
{
    for (int a = GUARD_PASS; a <= GUARD_REFUSE; a++) {
        if (strcmp(guard_action_name((enum guard_action)a), name) == 0) {
            *ret = (enum guard_action)a;
            return true;
        }
    }
    return false;
}

static enum rag_status read_actions(const struct json *object, struct rule *rule,
                                    struct rag_error *reterr)
{
    const char *action = NULL;
    const char *on_error = NULL;
    enum rag_status status = json_get_string(object, "action", 16, &action, reterr);

    if (status == RAG_OK)
        status = json_get_string(object, "on_error", 16, &on_error, reterr);
    if (status != RAG_OK)
        return status;
    if (!action || !action_parse(action, &rule->action))
        return rag_fail(reterr, RAG_EINVAL, "action: '%s' is not pass, flag, mask, drop or refuse",
                        action ? action : "");
    if (rule->action == GUARD_MASK && !rule->kind->places)
        return rag_fail(reterr, RAG_EINVAL,
                        "action: 'mask' needs places in the text, and %s judges it as a whole: use "
                        "pass, flag, drop or refuse",
                        rule->kind->name);
    rule->on_error = rule->action == GUARD_MASK ? GUARD_DROP : rule->action;
    if (on_error && (!action_parse(on_error, &rule->on_error) || rule->on_error == GUARD_MASK))
        return rag_fail(reterr, RAG_EINVAL, "on_error: '%s' is not pass, flag, drop or refuse",
                        on_error);
    return RAG_OK;
}

static enum rag_status add_stage(void *context, const char *name, struct rag_error *reterr)
{
    struct rule *rule = context;

    for (int s = 0; s < N_GUARD_STAGES; s++) {
        if (strcmp(guard_stage_name((enum guard_stage)s), name) != 0)
            continue;
        if (!(rule->kind->stages & (1u << s)))
            return rag_fail(reterr, RAG_EINVAL, "on: kind %s does not look at '%s'",
                            rule->kind->name, name);
        rule->stages |= 1u << s;
        return RAG_OK;
    }
    return rag_fail(reterr, RAG_EINVAL, "on: '%s' is not question, passage, answer or document",
                    name);
}

struct names {
    char **items;
    size_t n;
};

static enum rag_status add_collection(void *context, const char *name, struct rag_error *reterr)
{
    struct names *names = context;

    if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != strlen(name))
        return rag_fail(reterr, RAG_EINVAL,
                        "collections: '%s' is no collection's name (a-z, 0-9, _ and -)", name);
    names->items[names->n] = strdup(name);
    if (!names->items[names->n])
        return rag_fail(reterr, RAG_ENOMEM, "collections: out of memory");
    names->n++;
    return RAG_OK;
}

static enum rag_status read_where(const struct json *object, struct rule *rule,
                                  struct rag_error *reterr)
{
    struct names names = {0};
    size_t n = 0;
    enum rag_status status =
        rule_each_text(object, "on", N_GUARD_STAGES, 16, add_stage, rule, &n, reterr);

    if (status == RAG_OK && n == 0)
        status =
            rag_fail(reterr, RAG_EINVAL, "on: missing; name question, passage, answer or document");
    if (status != RAG_OK || !json_member(object, "collections"))
        return status;
    rule->collections = calloc(GUARD_COLLECTIONS_MAX + 1, sizeof *rule->collections);
    if (!rule->collections)
        return rag_fail(reterr, RAG_ENOMEM, "collections: out of memory");
    names.items = rule->collections;
    status = rule_each_text(object, "collections", GUARD_COLLECTIONS_MAX, COLLECTION_NAME_BYTES_MAX,
                            add_collection, &names, &n, reterr);
    if (status == RAG_OK && n == 0)
        status = rag_fail(reterr, RAG_EINVAL,
                          "collections: empty; leave it out when the rule holds for all");
    return status;
}

static bool is_one_of(const char *key, const char *const *keys)
{
    for (; *keys; keys++)
        if (strcmp(*keys, key) == 0)
            return true;
    return false;
}

/* As json_only(), over the members of every rule and of this kind. */
static enum rag_status check_members(const struct json *object, const struct rule_kind *kind,
                                     struct rag_error *reterr)
{
    for (const struct json *m = json_first(object); m; m = json_next(m)) {
        char allowed[256];
        size_t n = 0;

        if (is_one_of(json_key(m), common_members) || is_one_of(json_key(m), kind->members))
            continue;
        allowed[0] = '\0';
        for (size_t i = 0; kind->members[i] && n < sizeof allowed; i++)
            n += (size_t)snprintf(allowed + n, sizeof allowed - n, ", %s", kind->members[i]);
        return rag_fail(reterr, RAG_EINVAL,
                        "%.64s: no member of a rule of kind %s; allowed: name, kind, on, action, "
                        "on_error, collections, reason, comment%s",
                        json_key(m), kind->name, allowed);
    }
    return RAG_OK;
}

static enum rag_status read_rule(const struct json *object, const struct rule_source *source,
                                 struct rule *rule, struct rag_error *reterr)
{
    enum rag_status status;
    const char *kind = NULL;

    if (!json_is_object(object))
        return rag_fail(reterr, RAG_EINVAL, "not an object");
    status = read_name(object, rule, reterr);
    if (status == RAG_OK)
        status = json_get_string(object, "kind", GUARD_RULE_NAME_BYTES_MAX, &kind, reterr);
    if (status != RAG_OK)
        return status;
    rule->kind = kind ? rule_kind_find(kind) : NULL;
    if (!rule->kind)
        return rag_fail(reterr, RAG_EINVAL, "kind: '%s' is not one of %s", kind ? kind : "",
                        rule_kind_names());
    status = check_members(object, rule->kind, reterr);
    if (status == RAG_OK)
        status = read_actions(object, rule, reterr);
    if (status == RAG_OK)
        status = read_where(object, rule, reterr);
    if (status == RAG_OK)
        status = rule->kind->open(source, &rule->state, reterr);
    return status;
}

/* Prefix a message with where the mistake is. */
static enum rag_status in_rule(enum rag_status status, const char *file, size_t i,
                               const struct rule *rule, struct rag_error *reterr)
{
    struct rag_error inner;

    if (status == RAG_OK || !reterr)
        return status;
    inner = *reterr;
    return rag_fail(reterr, status, "policy '%s': rule %zu%s%s%s: %s", file, i + 1,
                    rule->name ? " '" : "", rule->name ? rule->name : "", rule->name ? "'" : "",
                    inner.text);
}

static enum rag_status read_rules(const struct json *rules, const char *file,
                                  struct rule_source *source, struct policy *p,
                                  struct rag_error *reterr)
{
    enum rag_status status;

    if (json_size(rules) > GUARD_RULES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "policy '%s': rules: %zu of them, the limit is %d",
                        file, json_size(rules), GUARD_RULES_MAX);
    p->rules = calloc(json_size(rules) + 1, sizeof *p->rules);
    if (!p->rules)
        return rag_fail(reterr, RAG_ENOMEM, "policy '%s': out of memory", file);
    for (const struct json *object = json_first(rules); object; object = json_next(object)) {
        struct rule *rule = &p->rules[p->n_rules];

        source->object = object;
        p->n_rules++;
        status = read_rule(object, source, rule, reterr);
        for (size_t i = 0; status == RAG_OK && i + 1 < p->n_rules; i++)
            if (strcmp(p->rules[i].name, rule->name) == 0)
                status = rag_fail(reterr, RAG_EINVAL, "name: rule %zu has it already", i + 1);
        if (status != RAG_OK)
            return in_rule(status, file, p->n_rules - 1, rule, reterr);
    }
    return RAG_OK;
}

static enum rag_status folder_of(const char *path, char **ret)
{
    const char *slash = path ? strrchr(path, '/') : NULL;

    if (!slash)
        *ret = strdup(".");
    else
        *ret = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    return *ret ? RAG_OK : RAG_ENOMEM;
}

static enum rag_status parse(const char *text, size_t n, const char *file,
                             struct rule_source *source, struct policy *p, struct rag_error *reterr)
{
    static const char *const members[] = {"rules", "comment", NULL};
    struct rag_error inner = {0};
    const struct json *rules = NULL;
    struct json *root = NULL;
    enum rag_status status = json_parse(text, n, file, &root, reterr);

    if (status != RAG_OK)
        return status;
    if (!json_is_object(root))
        status = rag_fail(&inner, RAG_EINVAL, "not an object {\"rules\": [...]}");
    if (status == RAG_OK)
        status = json_only(root, members, &inner);
    if (status == RAG_OK)
        status = json_get_array(root, "rules", &rules, &inner);
    if (status == RAG_OK && !rules)
        status = rag_fail(&inner, RAG_EINVAL, "rules: missing");
    if (status != RAG_OK)
        rag_fail(reterr, status, "policy '%s': %s", file, inner.text);
    else
        status = read_rules(rules, file, source, p, reterr);
    json_free(root);
    return status;
}

enum rag_status policy_read(const struct guard_options *options, struct policy *ret,
                            struct rag_error *reterr)
{
    const char *file = options->path ? options->path : options->json ? "text" : BUILT_IN_NAME;
    const char *embedder = options->models.embed ? options->models.embedder : NULL;
    struct rule_source source = {.options = options};
    uint8_t digest[SHA256_BYTES];
    struct policy p = {0};
    struct buf text;
    struct buf contents;
    char *folder = NULL;
    enum rag_status status = RAG_OK;

    buf_init(&text, (size_t)GUARD_POLICY_BYTES_MAX * 3); /* NFC grows three times at worst */
    buf_init(&contents, SIZE_MAX / 2);
    if (options->path)
        status = text_file_read(options->path, GUARD_POLICY_BYTES_MAX, &text, reterr);
    else
        buf_append_str(&text, options->json ? options->json : built_in);
    if (status == RAG_OK && (buf_status(&text) != RAG_OK || folder_of(options->path, &folder)))
        status = rag_fail(reterr, RAG_ENOMEM, "policy '%s': out of memory", file);
    if (status != RAG_OK)
        goto out;
    source.folder = folder;
    source.contents = &contents;
    status = parse(buf_str(&text), text.len, file, &source, &p, reterr);
    if (status == RAG_OK) {
        struct sha256_part parts[] = {
            {buf_str(&text),           text.len                       },
            {buf_str(&contents),       contents.len                   },
            {embedder ? embedder : "", embedder ? strlen(embedder) : 0},
        };

        if (buf_status(&contents) != RAG_OK ||
            sha256_lengths(parts, sizeof parts / sizeof parts[0], digest) != RAG_OK)
            status = rag_fail(reterr, RAG_ENOMEM, "policy '%s': out of memory", file);
    }
    if (status == RAG_OK) {
        sha256_hex(digest, p.fingerprint);
        *ret = p;
        p = (struct policy){0}; /* moved out */
    }
out:
    policy_release(&p);
    buf_release(&text);
    buf_release(&contents);
    free(folder);
    return status;
}
