/* guard/rule.h - a kind of rule, as the policy and the check see it (internal to guard/).
 *
 * A kind reads its own members of a rule's JSON object once, into a state that is immutable and
 * used by any number of threads, and reports what it finds in a text to a sink. */
#ifndef RAG_GUARD_RULE_H
#define RAG_GUARD_RULE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/status.h"
#include "guard/finding.h"
#include "guard/guard.h"

/* What a rule is opened from; all borrowed for the call. */
struct rule_source {
    const struct json *object; /* the rule; members that are not its kind's are checked already */
    const char *folder;        /* of the policy: files that rules name are relative to it */
    const struct guard_options *options;
    struct buf
        *contents; /* append what else decides (bytes of files): it goes into the fingerprint */
};

struct rule_check {
    enum guard_stage stage;
    const struct guard_text *text; /* with the masks of the rules before */
    const struct guard_models *models;
};

struct rule_kind {
    const char *name;
    const char *const *members; /* its own, NULL-terminated */
    unsigned stages;            /* bits 1 << enum guard_stage where it can look */
    bool places;                /* its findings have a start and an end: they can be masked */
    /* Messages name the member, the value and what is allowed. */
    enum rag_status (*open)(const struct rule_source *source, void **ret, struct rag_error *reterr);
    void (*close)(void *state); /* NULL is a no-op */
    /* RAG_OK; RAG_ECANCELLED, RAG_ETIMEOUT (the text's deadline) and RAG_ENOMEM end the whole
     * check; any other status: the rule could not be checked (to its end). */
    enum rag_status (*check)(const void *state, const struct rule_check *check,
                             const struct finding_sink *sink, struct rag_error *reterr);
};

#define RULE_STAGES_ALL ((1u << N_GUARD_STAGES) - 1)

extern const struct rule_kind pattern_kind;   /* guard/pattern.c */
extern const struct rule_kind keywords_kind;  /* guard/keywords.c */
extern const struct rule_kind pii_kind;       /* guard/rule_pii.c */
extern const struct rule_kind injection_kind; /* guard/rule_injection.c */
extern const struct rule_kind leak_kind;
extern const struct rule_kind classifier_kind; /* guard/rule_models.c */
extern const struct rule_kind examples_kind;
extern const struct rule_kind judge_kind;

/* The kind of that name, NULL: none. 'ret_names' (may be NULL): all of them, for a message. */
const struct rule_kind *rule_kind_find(const char *name);
const char *rule_kind_names(void);

/* A member that is an array of texts, each of 1 to bytes_max bytes: calls 'each' for every one.
 * RAG_OK (absent too: *ret_n is 0), RAG_EINVAL naming the member, or what 'each' returned. */
enum rag_status
rule_each_text(const struct json *object, const char *member, size_t n_max, size_t bytes_max,
               enum rag_status (*each)(void *context, const char *text, struct rag_error *reterr),
               void *context, size_t *ret_n, struct rag_error *reterr);

/* The path that a member names, relative to the policy's folder; malloc'ed. NULL: no such member.
 */
enum rag_status rule_path(const struct rule_source *source, const char *member, char **ret,
                          struct rag_error *reterr);

#endif
