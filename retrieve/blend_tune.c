#include "retrieve/blend_tune.h"

#include <math.h>
#include <string.h>

#include "base/bounds.h"
#include "retrieve/rerank_blend.h"

#define MRR_DEPTH 10
#define GAIN_MIN  1e-9

static double reciprocal(const struct blend_tune_question *q, float words)
{
    struct passage head[PASSAGES_MAX];

    memcpy(head, q->head, q->n * sizeof *head);
    rerank_blend(head, q->n, words);
    for (size_t i = 0; i < q->n && i < MRR_DEPTH; i++)
        if (head[i].id >= q->gold_first && head[i].id <= q->gold_last)
            return 1.0 / (double)(i + 1);
    return 0.0;
}

static double mrr(const struct blend_tune_question *questions, size_t n, float words)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        if (questions[i].n > 0)
            sum += reciprocal(&questions[i], words);
    return sum / (double)n;
}

enum rag_status blend_tune(const struct blend_tune_question *questions, size_t n, float present,
                           struct blend_choice *ret, struct rag_error *reterr)
{
    struct blend_choice c = {.words = present};

    if (n < BLEND_TUNE_QUESTIONS_MIN)
        return rag_fail(reterr, RAG_EINVAL, "tuning: %zu questions, at least %d are needed", n,
                        BLEND_TUNE_QUESTIONS_MIN);
    for (size_t i = 0; i < n; i++)
        if (questions[i].n > PASSAGES_MAX)
            return rag_fail(reterr, RAG_EINVAL, "tuning: a head of %zu passages, the limit is %d",
                            questions[i].n, PASSAGES_MAX);
    c.mrr_before = c.mrr = mrr(questions, n, present);
    for (int i = 0; i <= BLEND_TUNE_STEPS; i++) {
        float words = (float)i / (float)BLEND_TUNE_STEPS;
        double found = mrr(questions, n, words);

        if (i == 0)
            c.mrr_cross = found;
        if (i == BLEND_TUNE_STEPS)
            c.mrr_words = found;
        if (found > c.mrr + GAIN_MIN ||
            (found > c.mrr - GAIN_MIN && fabsf(words - present) < fabsf(c.words - present))) {
            c.mrr = found;
            c.words = words;
        }
    }
    *ret = c;
    return RAG_OK;
}
