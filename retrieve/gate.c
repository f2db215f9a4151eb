#include "retrieve/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/overlap.h"
#include "text/particle.h"

#define QUOTED_BYTES_MAX 120 /* of the question in a reason */

/* The most that one occurrence of a question term counts anywhere in the passage. */
static enum rag_status cover(const struct lexical_query *query, const struct overlap_query *q,
                             const struct passage *p, struct overlap_text *t, float *given,
                             float *ret)
{
    const char *const fields[] = {p->title, p->heading, p->context, p->text};
    enum rag_status status = RAG_OK;
    float sum = 0;

    memset(given, 0, q->n * sizeof *given);
    for (size_t f = 0; f < 4 && status == RAG_OK; f++) {
        size_t n = !fields[f] ? 0 : f == 3 ? p->text_bytes : strlen(fields[f]);

        if (n == 0)
            continue;
        status = overlap_read(q, query->analyzer, fields[f], n, t);
        for (size_t i = 0; status == RAG_OK && i < t->n; i++)
            given[t->hits[i].term] = 1;
    }
    for (size_t i = 0; i < q->n; i++)
        sum += q->mass[i] * given[i];
    *ret = q->total > 0 ? sum / q->total : 0;
    return status;
}

static enum rag_status relevance(const struct lexical_query *query, const struct passage *passages,
                                 size_t n, float *ret)
{
    struct overlap_query q = {0};
    struct overlap_text t = {0};
    float *given = malloc((query->terms->n + 1) * sizeof *given);
    enum rag_status status = given ? RAG_OK : RAG_ENOMEM;

    *ret = 0;
    if (status == RAG_OK)
        status = overlap_query_init(query->terms, query->idf, &q);
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        float covered;

        status = cover(query, &q, &passages[i], &t, given, &covered);
        if (status == RAG_OK && covered > *ret)
            *ret = covered;
    }
    overlap_text_release(&t);
    overlap_query_release(&q);
    free(given);
    return status;
}

static bool said(const struct lexical_query *query, const struct constraint *c,
                 const struct passage *p)
{
    const char *const fields[] = {p->document, p->title, p->heading, p->context};

    for (size_t f = 0; f < 4; f++)
        if (fields[f] && constraint_met(query->text, c, fields[f], strlen(fields[f])))
            return true;
    return constraint_met(query->text, c, p->text, p->text_bytes);
}

/* The first firm constraint that no passage meets, or NULL. */
static const struct constraint *missing(const struct lexical_query *query,
                                        const struct passage *passages, size_t n)
{
    for (size_t i = 0; i < query->question->n_constraints; i++) {
        const struct constraint *c = &query->question->constraints[i];
        size_t k = 0;

        if (!c->firm)
            continue;
        while (k < n && !said(query, c, &passages[k]))
            k++;
        if (k == n)
            return c;
    }
    return NULL;
}

static void refuse(struct gate_verdict *v, const char *code)
{
    v->pass = false;
    snprintf(v->code, sizeof v->code, "%s", code);
}

/* A filter with a slip in it looks like a question that nothing answers. */
static const char *nothing_found(bool korean, bool filtered)
{
    if (filtered)
        return korean ? "필터를 통과한 문서 가운데 질문의 낱말이 나오는 것이 없습니다."
                      : "No document that the filter lets through has the words of the question.";
    return korean ? "질문의 낱말이 나오는 문서를 찾지 못했습니다."
                  : "No document has the words of the question.";
}

void gate_decide(const struct lexical_query *query, const struct passage *passages, size_t n,
                 const struct gate_options *options, struct gate_verdict *ret)
{
    bool korean = query->question->korean;
    const struct constraint *c;

    *ret = (struct gate_verdict){.pass = true};
    if (n == 0) {
        refuse(ret, "no_passages");
        snprintf(ret->reason, sizeof ret->reason, "%s", nothing_found(korean, options->filtered));
        return;
    }
    if (relevance(query, passages, n, &ret->relevance) != RAG_OK)
        return;
    c = missing(query, passages, n);
    if (c) {
        const char *word = query->text + c->byte_start;
        size_t bytes = c->byte_end - c->byte_start;

        if (bytes > QUOTED_BYTES_MAX)
            bytes = utf8_floor(word, bytes, QUOTED_BYTES_MAX);
        refuse(ret, "missing_constraint");
        if (korean)
            snprintf(ret->reason, sizeof ret->reason, "'%.*s'%s 나오는 문서를 찾지 못했습니다.",
                     (int)bytes, word, particle_after(PARTICLE_SUBJECT, word, bytes));
        else
            snprintf(ret->reason, sizeof ret->reason, "No document mentions '%.*s'.", (int)bytes,
                     word);
    } else if (ret->relevance < options->relevance_min) {
        refuse(ret, "low_relevance");
        snprintf(ret->reason, sizeof ret->reason, "%s",
                 korean ? "질문과 관련된 내용을 문서에서 찾지 못했습니다."
                        : "The documents have nothing about the question.");
    }
}
