/* The kinds of rules "injection" and "leak": guard/injection.h as a policy has it. */
#include "guard/injection.h"
#include "guard/rule.h"

/* Neither has members: what is looked for is the same for all. */
static enum rag_status open_rule(const struct rule_source *source, void **ret,
                                 struct rag_error *reterr)
{
    (void)source;
    (void)reterr;
    *ret = NULL;
    return RAG_OK;
}

static void close_rule(void *state)
{
    (void)state;
}

static enum rag_status check_injection(const void *state, const struct rule_check *check,
                                       const struct finding_sink *sink, struct rag_error *reterr)
{
    (void)state;
    (void)reterr;
    injection_find(check->text->text, check->text->n_bytes, sink);
    return RAG_OK;
}

static enum rag_status check_leak(const void *state, const struct rule_check *check,
                                  const struct finding_sink *sink, struct rag_error *reterr)
{
    const struct guard_text *text = check->text;

    (void)state;
    (void)reterr;
    if (text->system_prompt)
        leak_find(text->text, text->n_bytes, text->question, text->system_prompt, sink);
    return RAG_OK;
}

static const char *const members[] = {NULL};

const struct rule_kind injection_kind = {"injection", members,    RULE_STAGES_ALL, true,
                                         open_rule,   close_rule, check_injection};
const struct rule_kind leak_kind = {"leak",    members,    1u << GUARD_ANSWER, true,
                                    open_rule, close_rule, check_leak};
