#include "retrieve/lexical_tune.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MRR_DEPTH  10
#define ROUNDS_MAX 10 /* two or three are usual */
#define GAIN_MIN   1e-9

static const float grid[] = {0.0f, 0.05f, 0.1f, 0.2f, 0.3f, 0.5f, 0.75f, 1.0f, 1.5f, 2.0f, 3.0f};
#define N_GRID    (sizeof grid / sizeof grid[0])
#define N_WEIGHTS 3 /* sentence, window, proximity */

struct lexical_tuning {
    const struct lexical_tune_question *questions;
    size_t n;
    const struct fusion_options *fusion;
    struct passage *head; /* [LEXICAL_TUNE_HEAD_MAX], of one question */
    struct fused *fused;  /* [2 * LEXICAL_TUNE_HEAD_MAX] */
    size_t n_tried;
};

static float *weight_at(struct lexical_weights *w, size_t i)
{
    return i == 0 ? &w->sentence : i == 1 ? &w->window : &w->proximity;
}

static bool is_gold(const struct lexical_tune_question *q, uint64_t id)
{
    return id >= q->gold_first && id <= q->gold_last;
}

static int by_score(const void *a, const void *b)
{
    const struct passage *x = a;
    const struct passage *y = b;

    if (x->rerank_score != y->rerank_score)
        return x->rerank_score > y->rerank_score ? -1 : 1;
    return (x->final_rank > y->final_rank) - (x->final_rank < y->final_rank);
}

static enum rag_status reciprocal(struct lexical_tuning *t, const struct lexical_tune_question *q,
                                  const struct lexical_weights *w, double *ret,
                                  struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    size_t n = q->n;

    *ret = 0.0;
    if (n == 0)
        return RAG_OK;
    memcpy(t->head, q->head, n * sizeof *t->head);
    for (size_t i = 0; i < n; i++) {
        t->head[i].rerank_score = lexical_score(w, &q->head[i].words);
        t->head[i].final_rank = (uint32_t)i; /* equal scores keep the order of the head */
    }
    qsort(t->head, n, sizeof *t->head, by_score);
    if (t->fusion)
        status = rerank_fuse(t->fusion, t->head, n, t->fused, &n, NULL, reterr);
    for (size_t i = 0; status == RAG_OK && i < n && i < MRR_DEPTH; i++) {
        if (is_gold(q, t->fusion ? t->fused[i].id : t->head[i].id)) {
            *ret = 1.0 / (double)(i + 1);
            break;
        }
    }
    return status;
}

static enum rag_status mrr(struct lexical_tuning *t, const struct lexical_weights *w, double *ret,
                           struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    double sum = 0.0;

    t->n_tried++;
    for (size_t i = 0; i < t->n && status == RAG_OK; i++) {
        double one = 0.0;

        status = reciprocal(t, &t->questions[i], w, &one, reterr);
        sum += one;
    }
    *ret = sum / (double)t->n;
    return status;
}

/* The best value of one weight while the others stay. */
static enum rag_status climb(struct lexical_tuning *t, size_t which, struct lexical_choice *c,
                             struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < N_GRID && status == RAG_OK; i++) {
        struct lexical_weights w = c->weights;
        double found = 0.0;

        *weight_at(&w, which) = grid[i];
        status = mrr(t, &w, &found, reterr);
        if (status == RAG_OK && found > c->mrr_after + GAIN_MIN) {
            c->mrr_after = found;
            c->weights = w;
        }
    }
    return status;
}

static enum rag_status ascend(struct lexical_tuning *t, struct lexical_choice *c,
                              struct rag_error *reterr)
{
    enum rag_status status = mrr(t, &c->weights, &c->mrr_before, reterr);
    double before = -1.0;

    c->mrr_after = c->mrr_before;
    for (size_t round = 0;
         round < ROUNDS_MAX && status == RAG_OK && c->mrr_after > before + GAIN_MIN; round++) {
        before = c->mrr_after;
        for (size_t i = 0; i < N_WEIGHTS && status == RAG_OK; i++)
            status = climb(t, i, c, reterr);
    }
    return status;
}

enum rag_status lexical_tune(const struct lexical_tune_question *questions, size_t n,
                             const struct fusion_options *fusion,
                             const struct lexical_weights *present, struct lexical_choice *ret,
                             struct rag_error *reterr)
{
    struct lexical_tuning t = {.questions = questions, .n = n, .fusion = fusion};
    struct lexical_choice choice = {.weights = *present};
    float scale = present->bm25;
    enum rag_status status;

    assert(scale > 0);
    if (n < LEXICAL_TUNE_QUESTIONS_MIN)
        return rag_fail(reterr, RAG_EINVAL, "tuning: %zu questions, at least %d are needed", n,
                        LEXICAL_TUNE_QUESTIONS_MIN);
    for (size_t i = 0; i < n; i++)
        if (questions[i].n > LEXICAL_TUNE_HEAD_MAX)
            return rag_fail(reterr, RAG_EINVAL, "tuning: a head of %zu passages, the limit is %d",
                            questions[i].n, LEXICAL_TUNE_HEAD_MAX);
    choice.weights.bm25 = 1.0f;
    choice.weights.kind /= scale;
    for (size_t i = 0; i < N_WEIGHTS; i++)
        *weight_at(&choice.weights, i) /= scale;
    t.head = calloc(LEXICAL_TUNE_HEAD_MAX, sizeof *t.head);
    t.fused = calloc((size_t)LEXICAL_TUNE_HEAD_MAX * N_LISTS, sizeof *t.fused);
    status = t.head && t.fused ? ascend(&t, &choice, reterr)
                               : rag_fail(reterr, RAG_ENOMEM, "tuning: out of memory");
    free(t.head);
    free(t.fused);
    if (status != RAG_OK)
        return status;
    choice.n_tried = t.n_tried;
    *ret = choice;
    return RAG_OK;
}
