/* The kind of rule "pii": guard/pii.h as a policy has it. */
#include <stdlib.h>

#include "base/bounds.h"
#include "guard/pii.h"
#include "guard/rule.h"

struct pii_rule {
    unsigned kinds;
};

static enum rag_status add_kind(void *context, const char *name, struct rag_error *reterr)
{
    struct pii_rule *r = context;
    unsigned kind = pii_kind_parse(name);

    if (kind == 0)
        return rag_fail(reterr, RAG_EINVAL,
                        "kinds: '%.40s' is not one of resident_number, foreigner_number, "
                        "business_number, card, phone, passport, driver_licence, bank_account, "
                        "email",
                        name);
    r->kinds |= kind;
    return RAG_OK;
}

static enum rag_status open_rule(const struct rule_source *source, void **ret,
                                 struct rag_error *reterr)
{
    struct pii_rule *r = calloc(1, sizeof *r);
    enum rag_status status;
    size_t n = 0;

    if (!r)
        return rag_fail(reterr, RAG_ENOMEM, "kinds: out of memory");
    status = rule_each_text(source->object, "kinds", 64, 64, add_kind, r, &n, reterr);
    if (status != RAG_OK) {
        free(r);
        return status;
    }
    if (n == 0)
        r->kinds = PII_ALL;
    *ret = r;
    return RAG_OK;
}

static enum rag_status check_text(const void *state, const struct rule_check *check,
                                  const struct finding_sink *sink, struct rag_error *reterr)
{
    const struct pii_rule *r = state;

    (void)reterr;
    pii_find(check->text->text, check->text->n_bytes, r->kinds, sink);
    return RAG_OK;
}

static const char *const members[] = {"kinds", NULL};

const struct rule_kind pii_kind = {"pii",     members, RULE_STAGES_ALL, true,
                                   open_rule, free,    check_text};
