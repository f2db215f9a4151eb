#include "guard/guard.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "guard/policy.h"
#include "text/char_class.h"

struct guard {
    struct policy policy;
    struct guard_models models;
};

const char *guard_stage_name(enum guard_stage stage)
{
    static const char *const names[N_GUARD_STAGES] = {
        [GUARD_QUESTION] = "question",
        [GUARD_PASSAGE] = "passage",
        [GUARD_ANSWER] = "answer",
        [GUARD_DOCUMENT] = "document",
    };

    return names[stage];
}

const char *guard_action_name(enum guard_action action)
{
    static const char *const names[] = {
        [GUARD_PASS] = "pass", [GUARD_FLAG] = "flag",     [GUARD_MASK] = "mask",
        [GUARD_DROP] = "drop", [GUARD_REFUSE] = "refuse",
    };

    return names[action];
}

void guard_result_init(struct guard_result *r, size_t masked_bytes_max)
{
    *r = (struct guard_result){0};
    buf_init(&r->masked, masked_bytes_max);
}

void guard_result_release(struct guard_result *r)
{
    free(r->findings);
    buf_release(&r->masked);
    *r = (struct guard_result){0};
}

enum rag_status guard_open(const struct guard_options *options, struct guard **ret,
                           struct rag_error *reterr)
{
    struct guard_options own = *options;
    struct guard *g = calloc(1, sizeof *g);
    enum rag_status status;

    if (!g)
        return rag_fail(reterr, RAG_ENOMEM, "guard: out of memory");
    g->models = options->models;
    own.models.may_leave = true;
    status = policy_read(&own, &g->policy, reterr);
    if (status != RAG_OK) {
        guard_close(g);
        return status;
    }
    *ret = g;
    return RAG_OK;
}

void guard_close(struct guard *g)
{
    if (!g)
        return;
    policy_release(&g->policy);
    free(g);
}

const char *guard_fingerprint(const struct guard *g)
{
    return g->policy.fingerprint;
}

static bool applies(const struct rule *rule, enum guard_stage stage, const char *collection)
{
    if (!(rule->stages & (1u << stage)))
        return false;
    if (!rule->collections || !collection)
        return true;
    for (size_t i = 0; rule->collections[i]; i++)
        if (strcmp(rule->collections[i], collection) == 0)
            return true;
    return false;
}

bool guard_has_stage(const struct guard *g, enum guard_stage stage, const char *collection)
{
    for (size_t i = 0; i < g->policy.n_rules; i++)
        if (applies(&g->policy.rules[i], stage, collection))
            return true;
    return false;
}

/* What has no place in a text was said about all of it. */
bool guard_needs_whole(const struct guard *g, enum guard_stage stage, const char *collection)
{
    for (size_t i = 0; i < g->policy.n_rules; i++)
        if (!g->policy.rules[i].kind->places && applies(&g->policy.rules[i], stage, collection))
            return true;
    return false;
}

/* One text on its way through the rules. */
struct run {
    struct guard_result *result;
    size_t cap; /* of result->findings */
    enum guard_stage stage;
    const struct rule *rule; /* the one that looks now */
    const char *text;        /* what it sees */
    size_t n_bytes;
    struct buf next; /* the text with this rule's masks; "" when it has none so far */
    enum rag_status failed;
};

/* Of anything but a passage there is nothing to drop: it is refused. */
static enum guard_action action_at(enum guard_action action, enum guard_stage stage)
{
    return action == GUARD_DROP && stage != GUARD_PASSAGE ? GUARD_REFUSE : action;
}

static enum rag_status grow(struct run *run)
{
    size_t cap = run->cap ? run->cap * 4 : 16;
    struct guard_finding *grown;

    if (cap > GUARD_FINDINGS_MAX)
        cap = GUARD_FINDINGS_MAX;
    grown = realloc(run->result->findings, cap * sizeof *grown);
    if (!grown)
        return RAG_ENOMEM;
    run->result->findings = grown;
    run->cap = cap;
    return RAG_OK;
}

static void record(struct run *run, const char *detail, enum guard_action action, uint32_t start,
                   uint32_t end, float score)
{
    const struct guard_finding finding = {.rule = run->rule->name,
                                          .detail = detail,
                                          .action = action,
                                          .start = start,
                                          .end = end,
                                          .score = score};
    struct guard_result *r = run->result;

    if (action > r->verdict)
        r->verdict = action;
    if (r->n_findings == GUARD_FINDINGS_MAX) {
        r->truncated = true;
        if (action >= GUARD_DROP) /* what ends the check is always there, as the last one */
            r->findings[GUARD_FINDINGS_MAX - 1] = finding;
        return;
    }
    if (r->n_findings == run->cap && grow(run) != RAG_OK) {
        run->failed = RAG_ENOMEM;
        return;
    }
    r->findings[r->n_findings++] = finding;
}

/* Line ends stay, so that what is a line, a heading or a table row stays one. */
static void mask(struct run *run, uint32_t start, uint32_t end)
{
    if (run->next.len == 0)
        buf_append(&run->next, run->text, run->n_bytes);
    if (buf_status(&run->next) != RAG_OK) {
        run->failed = buf_status(&run->next);
        return;
    }
    for (uint32_t i = start; i < end; i++)
        if (run->next.data[i] != '\n')
            run->next.data[i] = '*';
}

static bool on_finding(void *context, const char *detail, uint32_t start, uint32_t end, float score)
{
    struct run *run = context;
    enum guard_action action = action_at(run->rule->action, run->stage);

    assert(start <= end && end <= run->n_bytes);
    record(run, detail, action, start, end, score);
    if (action == GUARD_MASK)
        mask(run, start, end);
    /* nothing that follows can weigh more than the end of it all */
    return run->failed == RAG_OK && action < GUARD_DROP;
}

/* The words of a refusal where the rule has none. */
static void set_reason(struct guard_result *r, const struct rule *rule, enum guard_stage stage,
                       const struct guard_text *text)
{
    static const struct {
        const char *korean;
        const char *english;
    } words[N_GUARD_STAGES] = {
        [GUARD_QUESTION] = {"운영 정책에 따라 이 질문에는 답할 수 없습니다.",
                            "The policy of this service does not allow this question."        },
        [GUARD_PASSAGE] = {"운영 정책에 따라 이 문단은 쓸 수 없습니다.",
                            "The policy of this service does not allow this passage."         },
        [GUARD_ANSWER] = {"운영 정책에 따라 이 답변은 보여 드릴 수 없습니다.",
                            "The policy of this service does not allow this answer."          },
        [GUARD_DOCUMENT] = {"운영 정책에 따라 이 문서는 저장할 수 없습니다.",
                            "The policy of this service does not allow storing this document."},
    };
    bool korean = text->question ? text_has_hangul(text->question, strlen(text->question))
                                 : text_has_hangul(text->text, text->n_bytes);

    snprintf(r->reason, sizeof r->reason, "%s",
             rule->reason ? rule->reason
             : korean     ? words[stage].korean
                          : words[stage].english);
}

static enum rag_status check_stop(const struct guard_text *text, struct rag_error *reterr)
{
    if (text->cancel && atomic_load_explicit(text->cancel, memory_order_relaxed))
        return rag_fail(reterr, RAG_ECANCELLED, "guard: cancelled");
    if (text->deadline_ns && clock_monotonic_ns() >= text->deadline_ns)
        return rag_fail(reterr, RAG_ETIMEOUT, "guard: the deadline passed");
    return RAG_OK;
}

static bool ends_check(enum rag_status status)
{
    return status == RAG_ECANCELLED || status == RAG_ETIMEOUT || status == RAG_ENOMEM;
}

static enum rag_status check_rule(const struct guard *g, struct run *run, struct guard_text *text,
                                  struct rag_error *reterr)
{
    const struct finding_sink sink = {on_finding, run};
    struct guard_models models = g->models;
    const struct rule_check check = {run->stage, text, &models};
    enum rag_status status = check_stop(text, reterr);

    if (status != RAG_OK)
        return status;
    models.may_leave = text->may_leave;
    models.deadline_ns = text->deadline_ns;
    run->text = text->text;
    run->n_bytes = text->n_bytes;
    buf_reset(&run->next);
    status = run->rule->kind->check(run->rule->state, &check, &sink, reterr);
    if (ends_check(status))
        return status;
    if (status != RAG_OK)
        record(run, "unchecked", action_at(run->rule->on_error, run->stage), 0, 0, 0);
    if (run->failed != RAG_OK)
        return rag_fail(reterr, run->failed, "guard: %s",
                        run->failed == RAG_ENOMEM ? "out of memory" : "the text is too long");
    if (run->next.len > 0) {
        struct buf old = run->result->masked;

        run->result->masked = run->next;
        run->next = old;
        text->text = buf_str(&run->result->masked);
    }
    return RAG_OK;
}

enum rag_status guard_check(const struct guard *g, enum guard_stage stage,
                            const struct guard_text *text, struct guard_result *ret,
                            struct rag_error *reterr)
{
    struct guard_text seen = *text;
    struct run run = {.result = ret, .stage = stage};
    enum rag_status status = RAG_OK;
    bool ended = false;

    assert(ret->n_findings == 0 && ret->masked.len == 0);
    buf_init(&run.next, ret->masked.max);
    if (text->n_bytes > DOCUMENT_BYTES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "guard: a text of %zu bytes, the limit is %u",
                        text->n_bytes, DOCUMENT_BYTES_MAX);
    if (!utf8_valid(text->text, text->n_bytes, NULL))
        return rag_fail(reterr, RAG_EINVAL, "guard: the text is not UTF-8");
    for (size_t i = 0; status == RAG_OK && i < g->policy.n_rules; i++) {
        run.rule = &g->policy.rules[i];
        if (!applies(run.rule, stage, text->collection))
            continue;
        if (ended && run.rule->action != GUARD_MASK)
            continue;
        status = check_rule(g, &run, &seen, reterr);
        if (status != RAG_OK || ended || ret->verdict < GUARD_DROP)
            continue;
        set_reason(ret, run.rule, stage, text);
        if (stage != GUARD_QUESTION)
            break;
        ended = true; /* but it is recorded: what is to be masked is, wherever its rule stands */
    }
    buf_release(&run.next);
    return status;
}
