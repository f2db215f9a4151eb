#include "retrieve/fusion_tune.h"

#include <stdlib.h>
#include <string.h>

#include "base/splitmix.h"

#define FLIPS     10000 /* of the permutation test: p is known to about .002 at .05 */
#define MRR_DEPTH 10

/* Weights of the dense list beside 1 for BM25 (rrf), or of the sum 1 (convex and scaled). */
static const float rrf_weights[] = {0.1f, 0.2f, 0.3f, 0.5f, 0.7f, 1.0f, 1.5f, 2.5f, 4.0f};
static const float rrf_constants[] = {10.0f, 20.0f, 60.0f, 100.0f};
static const float shares[] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f, 0.9f};
static const size_t depths[] = {FUSION_TUNE_DEPTH, 50, 20};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define N_GRID   ((COUNT(rrf_weights) * COUNT(rrf_constants) + 2 * COUNT(shares)) * COUNT(depths))

struct tuning {
    const struct tune_question *questions;
    size_t n;
    struct fused *fused; /* room for one question's lists */
    double *gains;       /* [n] */
};

static struct fusion_options grid_point(size_t i)
{
    size_t n_rrf = COUNT(rrf_weights) * COUNT(rrf_constants);
    struct fusion_options o = {.depth = depths[i % COUNT(depths)]};

    i /= COUNT(depths);
    if (i < n_rrf) {
        o.method = FUSION_RRF;
        o.weights[LIST_BM25] = 1.0f;
        o.weights[LIST_DENSE] = rrf_weights[i % COUNT(rrf_weights)];
        o.rrf_k = rrf_constants[i / COUNT(rrf_weights)];
        return o;
    }
    i -= n_rrf;
    o.method = i < COUNT(shares) ? FUSION_CONVEX : FUSION_SCALED;
    o.weights[LIST_DENSE] = shares[i % COUNT(shares)];
    o.weights[LIST_BM25] = 1.0f - o.weights[LIST_DENSE];
    o.rrf_k = 60.0f;
    return o;
}

static struct fusion_options alone(int list)
{
    struct fusion_options o = {.method = FUSION_RRF, .rrf_k = 60.0f};

    o.weights[list] = 1.0f;
    return o;
}

static bool is_gold(const struct tune_question *q, uint64_t id)
{
    return id >= q->gold_first && id <= q->gold_last;
}

static double reciprocal(const struct tune_question *q, int list)
{
    for (size_t i = 0; i < q->lists[list].n && i < MRR_DEPTH; i++) {
        if (is_gold(q, q->lists[list].items[i].id))
            return 1.0 / (double)(i + 1);
    }
    return 0.0;
}

static enum rag_status reciprocal_fused(struct tuning *t, const struct tune_question *q,
                                        const struct fusion_options *o, double *ret,
                                        struct rag_error *reterr)
{
    size_t n = 0;
    enum rag_status status = fusion_rank(o, q->lists, t->fused, &n, reterr);

    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < n && i < MRR_DEPTH; i++) {
        if (is_gold(q, t->fused[i].id)) {
            *ret = 1.0 / (double)(i + 1);
            return RAG_OK;
        }
    }
    *ret = 0.0;
    return RAG_OK;
}

static double mrr_alone(const struct tuning *t, int list)
{
    double sum = 0.0;

    for (size_t i = 0; i < t->n; i++)
        sum += reciprocal(&t->questions[i], list);
    return sum / (double)t->n;
}

static enum rag_status mrr_fused(struct tuning *t, const struct fusion_options *o, double *ret,
                                 struct rag_error *reterr)
{
    double sum = 0.0;

    for (size_t i = 0; i < t->n; i++) {
        double one = 0.0;
        enum rag_status status = reciprocal_fused(t, &t->questions[i], o, &one, reterr);

        if (status != RAG_OK)
            return status;
        sum += one;
    }
    *ret = sum / (double)t->n;
    return RAG_OK;
}

/* Chance that flipping the signs of these differences at random gives a sum as large. */
static double sign_flip_p(const double *differences, size_t n)
{
    uint64_t state = 1;
    size_t as_large = 1; /* the sum that was seen is one of them */
    double seen = 0.0;

    for (size_t i = 0; i < n; i++)
        seen += differences[i];
    for (size_t flip = 0; flip < FLIPS; flip++) {
        uint64_t bits = 0;
        double sum = 0.0;

        for (size_t i = 0; i < n; i++) {
            if (i % 64 == 0)
                bits = splitmix_next(&state);
            sum += bits & 1 ? differences[i] : -differences[i];
            bits >>= 1;
        }
        as_large += sum >= seen;
    }
    return (double)as_large / (double)(FLIPS + 1);
}

/* p of 'o' against 'list' alone. */
static enum rag_status compare(struct tuning *t, const struct fusion_options *o, int list,
                               double *ret_p, struct rag_error *reterr)
{
    for (size_t i = 0; i < t->n; i++) {
        double one = 0.0;
        enum rag_status status = reciprocal_fused(t, &t->questions[i], o, &one, reterr);

        if (status != RAG_OK)
            return status;
        t->gains[i] = one - reciprocal(&t->questions[i], list);
    }
    *ret_p = sign_flip_p(t->gains, t->n);
    return RAG_OK;
}

static enum rag_status search_grid(struct tuning *t, struct fusion_options *ret,
                                   struct rag_error *reterr)
{
    double best = -1.0;

    for (size_t i = 0; i < N_GRID; i++) {
        struct fusion_options o = grid_point(i);
        double mrr = 0.0;
        enum rag_status status = mrr_fused(t, &o, &mrr, reterr);

        if (status != RAG_OK)
            return status;
        if (mrr > best) {
            best = mrr;
            *ret = o;
        }
    }
    return RAG_OK;
}

static enum rag_status choose(struct tuning *t, struct fusion_choice *c, struct rag_error *reterr)
{
    int better;
    double p_dense = 1.0;
    enum rag_status status = search_grid(t, &c->tried, reterr);
    struct fusion_options dense = alone(LIST_DENSE);

    for (int list = 0; list < N_LISTS; list++)
        c->mrr[list] = mrr_alone(t, list);
    better = c->mrr[LIST_DENSE] > c->mrr[LIST_BM25] ? LIST_DENSE : LIST_BM25;
    if (status == RAG_OK)
        status = mrr_fused(t, &c->tried, &c->mrr_tried, reterr);
    if (status == RAG_OK)
        status = compare(t, &c->tried, better, &c->p, reterr);
    if (status == RAG_OK)
        status = compare(t, &dense, LIST_BM25, &p_dense, reterr);
    if (status != RAG_OK)
        return status;
    c->gain = c->mrr_tried - c->mrr[better];
    c->fused = c->gain > 0.0 && c->p < FUSION_TUNE_P;
    if (c->fused) {
        c->options = c->tried;
        c->mrr_chosen = c->mrr_tried;
    } else {
        int list = better == LIST_DENSE && p_dense < FUSION_TUNE_P ? LIST_DENSE : LIST_BM25;

        c->options = alone(list);
        c->mrr_chosen = c->mrr[list];
    }
    return RAG_OK;
}

enum rag_status fusion_tune(const struct tune_question *questions, size_t n,
                            struct fusion_choice *ret, struct rag_error *reterr)
{
    struct tuning t = {.questions = questions, .n = n};
    struct fusion_choice choice;
    enum rag_status status;
    size_t longest = 0;

    if (n < FUSION_TUNE_QUESTIONS_MIN)
        return rag_fail(reterr, RAG_EINVAL, "tuning: %zu questions, at least %d are needed", n,
                        FUSION_TUNE_QUESTIONS_MIN);
    for (size_t i = 0; i < n; i++) {
        size_t both = 0;

        for (int list = 0; list < N_LISTS; list++)
            both += questions[i].lists[list].n;
        longest = both > longest ? both : longest;
    }
    memset(&choice, 0, sizeof choice);
    choice.n_grid = N_GRID;
    t.fused = calloc(longest + 1, sizeof *t.fused);
    t.gains = calloc(n, sizeof *t.gains);
    status = t.fused && t.gains ? choose(&t, &choice, reterr)
                                : rag_fail(reterr, RAG_ENOMEM, "tuning: out of memory");
    free(t.fused);
    free(t.gains);
    if (status == RAG_OK)
        *ret = choice;
    return status;
}
