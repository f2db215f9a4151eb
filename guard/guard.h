/* guard/guard.h - validation of what is asked, found, answered and stored: an ordered policy.
 *
 * A policy is a JSON file (docs/GUARD.md): {"rules": [{"name", "kind", "on", "action", ...}]}. Each
 * rule looks at the stages it names; rules run in order, and the first that refuses ends it; of a
 * question, which is recorded, those that mask still do. What a rule masks, later rules see masked.
 * Kinds:
 *   pattern     PCRE2 regular expressions, with limits of steps and time   guard/pattern.h
 *   keywords    a set of words                                             guard/keywords.h
 *   pii         Korean personal data, with its checks                      guard/pii.h
 *   classifier  logistic regression, trained by 'ragctl guard train'       guard/classifier.h
 *   examples    near to one of the given texts                             guard/examples.h
 *   judge       a model answers yes or no to a rubric                      guard/judge.h
 *   injection   instructions in a passage, control tokens of templates     guard/injection.h
 *   leak        an answer that repeats the system prompt                   guard/injection.h
 * Without a file the built-in policy holds: injection on passages is flagged, a leak refused.
 *
 * A mask keeps every byte's place: what is masked becomes '*' (one a byte; line ends stay), so that
 * spans and citations stay true. A rule that cannot be checked (a model is not there, a limit of
 * time) is a finding of its own kind 'unchecked', whose action is the rule's 'on_error' (default:
 * the rule's action, of a rule that masks: drop). Immutable after open; thread-safe. */
#ifndef RAG_GUARD_GUARD_H
#define RAG_GUARD_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "text/analyzer.h"

struct guard; /* opaque */

enum guard_stage { GUARD_QUESTION, GUARD_PASSAGE, GUARD_ANSWER, GUARD_DOCUMENT, N_GUARD_STAGES };
const char *guard_stage_name(enum guard_stage stage); /* "question", ... */

/* By severity: the verdict of a text is the largest of its findings. */
enum guard_action {
    GUARD_PASS,   /* recorded, nothing else */
    GUARD_FLAG,   /* recorded and told to the reader */
    GUARD_MASK,   /* the span becomes '*' */
    GUARD_DROP,   /* a passage is not used; anything else is refused, and the finding says so */
    GUARD_REFUSE, /* nothing is answered (a document: not stored) */
};
const char *
guard_action_name(enum guard_action action); /* "pass", "flag", "mask", "drop", "refuse" */

struct guard_finding {
    const char *rule;   /* its name; lives as long as the guard */
    const char *detail; /* what was found: "resident_number", "card", "unchecked" ...; static, or of
                           the guard */
    enum guard_action action;
    uint32_t start; /* bytes of the text; 0, 0: of the text as a whole */
    uint32_t end;
    float score; /* of a classifier, an example or a judge; 1 of a rule */
};

struct guard_result {
    enum guard_action verdict;
    struct guard_finding *findings; /* owned; in text order within a rule */
    size_t n_findings;              /* at most GUARD_FINDINGS_MAX; then 'truncated' */
    bool truncated;                 /* masks are applied all the same */
    struct buf masked;              /* the text with its masks, equally long; "" when nothing was */
    char reason[256]; /* of a refusal, for the person, in the question's language; "" */
};
void guard_result_init(struct guard_result *r, size_t masked_bytes_max);
void guard_result_release(struct guard_result *r); /* a zeroed one is a no-op */

/* What models the daemon lends; each may be NULL. Statuses of the model are passed on and become
 * 'unchecked', but for RAG_ECANCELLED, RAG_ETIMEOUT and RAG_ENOMEM, which end the check. */
struct guard_models {
    /* n unit vectors [n, dim] of texts. may_leave: they may be sent to another machine. */
    enum rag_status (*embed)(void *context, bool may_leave, int64_t deadline_ns,
                             const char *const *texts, size_t n, float *ret_vectors,
                             struct rag_error *reterr);
    size_t dim;
    const char *embedder; /* fingerprint */
    /* a model's answer to 'prompt', greedy, at most 'tokens_max' tokens; RAG_ENOTFOUND: there is
     * none that may be asked */
    enum rag_status (*judge)(void *context, const char *system, const char *prompt, int tokens_max,
                             bool may_leave, int64_t deadline_ns, struct buf *ret_answer,
                             struct rag_error *reterr);
    bool may_leave; /* set by the guard: at open (the policy's own texts may), then as each text
                       says */
    int64_t deadline_ns; /* likewise; 0: none */
    void *context;
};

struct guard_options {
    const char *path; /* of the policy; NULL: the built-in one */
    const char *json; /* a policy as text, in place of a path; or NULL */
    const struct analyzer *analyzer;
    struct guard_models models;
};
/* RAG_OK; RAG_EINVAL, RAG_EFORMAT naming file, rule, member, value and what is allowed; RAG_EIO,
 * RAG_ELIMIT, RAG_ENOMEM. Files that rules name (examples, classifiers) are relative to the
 * policy's. */
enum rag_status guard_open(const struct guard_options *options, struct guard **ret,
                           struct rag_error *reterr);
void guard_close(struct guard *g); /* NULL is a no-op */
/* Hex of SHA-256 over the policy and the files it names: two guards of one fingerprint decide
 * alike. */
const char *guard_fingerprint(const struct guard *g);
bool guard_has_stage(const struct guard *g, enum guard_stage stage, const char *collection);
/* Some rule of the stage judges a text as a whole (classifier, examples, judge): an answer is then
 * held back until it is complete, and checked once; else it is checked sentence by sentence. */
bool guard_needs_whole(const struct guard *g, enum guard_stage stage, const char *collection);

struct guard_text {
    const char *text; /* NFC, need not be NUL-terminated */
    size_t n_bytes;
    const char *collection;    /* rules may be limited to some; NULL: a rule of any applies */
    const char *question;      /* of an answer; or NULL */
    const char *system_prompt; /* of an answer: what must not be repeated; or NULL */
    bool may_leave;            /* a model on another machine may see it */
    int64_t deadline_ns;       /* clock_monotonic_ns(); 0: none */
    const atomic_bool *cancel; /* or NULL */
};
/* RAG_OK whatever was found; RAG_ECANCELLED, RAG_ETIMEOUT, RAG_ENOMEM; RAG_EINVAL (not UTF-8);
 * RAG_ELIMIT (over DOCUMENT_BYTES_MAX, or ret's room for the masked text). ret is fresh from
 * guard_result_init(). */
enum rag_status guard_check(const struct guard *g, enum guard_stage stage,
                            const struct guard_text *text, struct guard_result *ret,
                            struct rag_error *reterr);

#endif
