/* guard/policy.h - the policy file, read (internal to guard/).
 *
 * {"comment"?, "rules": [{"name", "kind", "on", "action", "on_error"?, "collections"?, "reason"?,
 * "comment"?, and what the kind has}]}; docs/GUARD.md. Hostile only in so far as a person mistypes:
 * every mistake is named, none is passed over. */
#ifndef RAG_GUARD_POLICY_H
#define RAG_GUARD_POLICY_H

#include <stddef.h>

#include "base/sha256.h"
#include "base/status.h"
#include "guard/guard.h"
#include "guard/rule.h"

struct rule {
    char *name;   /* owned, as all here */
    char *reason; /* NULL: the built-in words */
    unsigned stages;
    enum guard_action action;
    enum guard_action on_error;
    char **collections; /* NULL-terminated; NULL: all */
    const struct rule_kind *kind;
    void *state;
};

struct policy {
    struct rule *rules;
    size_t n_rules;
    char fingerprint[SHA256_HEX_BYTES];
};

/* Statuses of guard_open(). options->path NULL: the built-in policy. */
enum rag_status policy_read(const struct guard_options *options, struct policy *ret,
                            struct rag_error *reterr);
void policy_release(struct policy *p); /* a zeroed one is a no-op */

#endif
