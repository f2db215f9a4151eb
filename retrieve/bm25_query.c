#include "retrieve/bm25_query.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_MIN 1e-6f /* smaller ones would vanish beside a term of weight 1 */
#define WEIGHT_MAX 1e6f

uint64_t bm25_view_df(const struct bm25_view *view, uint64_t term)
{
    int64_t df = 0;

    for (size_t i = 0; i < view->n_segments; i++) {
        struct bm25_list list;
        uint32_t entry;

        if (!bm25_segment_term(view->segments[i], term, &entry))
            continue;
        bm25_segment_list(view->segments[i], entry, &list);
        df += list.n;
    }
    for (size_t i = 0; i < view->n_runs; i++)
        df += bm25_run_delta(view->runs[i], term);
    return df > 0 ? (uint64_t)df : 0;
}

static float idf_of(uint64_t n_live, uint64_t df)
{
    double n = (double)n_live;
    double d = (double)(df < n_live ? df : n_live);

    return (float)log1p((n - d + 0.5) / (d + 0.5));
}

void bm25_idf(struct bm25 *index, const uint64_t *terms, size_t n, float *ret_idf)
{
    struct bm25_view *view = bm25_view_get(index);

    for (size_t i = 0; i < n; i++)
        ret_idf[i] = idf_of(view->n_live, bm25_view_df(view, terms[i]));
    bm25_view_unref(view);
}

void bm25_query_release(struct bm25_query *q)
{
    free(q->coefs);
    free(q->entries);
    memset(q, 0, sizeof *q);
}

/* Look the term up in every segment; its live document frequency. */
static uint64_t look_up(const struct bm25_view *view, uint64_t term, uint32_t *ret_entries,
                        size_t stride)
{
    int64_t df = 0;

    for (size_t i = 0; i < view->n_segments; i++) {
        const struct bm25_segment *s = view->segments[i];
        struct bm25_list list;
        uint32_t entry;

        ret_entries[i * stride] = BM25_NO_ENTRY;
        if (!bm25_segment_term(s, term, &entry))
            continue;
        ret_entries[i * stride] = entry;
        bm25_segment_list(s, entry, &list);
        df += list.n;
    }
    for (size_t i = 0; i < view->n_runs; i++)
        df += bm25_run_delta(view->runs[i], term);
    return df > 0 ? (uint64_t)df : 0;
}

/* Fixed-point scale: the largest power of two that keeps the sum of the largest parts
 * (each coef + 1, coef rounded up) below 2^24. */
static int scale_of(double sum, size_t n)
{
    int exponent;

    (void)frexp(((double)BM25_SCORE_MAX - 2.0 * (double)n - 8.0) / sum, &exponent);
    return exponent - 1;
}

enum rag_status bm25_query_init(struct bm25_query *q, const struct bm25 *index,
                                const struct bm25_view *view, const struct bm25_query_term *terms,
                                size_t n_terms, struct rag_error *reterr)
{
    double k1_units = (double)index->options.k1 * BM25_TF_ONE;
    double b = (double)index->options.b;
    double mean = view->n_live ? (double)view->total_length / (double)view->n_live : 0.0;
    double sum = 0.0;
    float weights[QUERY_TERMS_MAX];

    memset(q, 0, sizeof *q);
    if (n_terms > QUERY_TERMS_MAX)
        return rag_fail(reterr, RAG_EINVAL, "bm25 query: %zu terms, the limit is %d", n_terms,
                        QUERY_TERMS_MAX);
    q->coefs = calloc(n_terms + 1, sizeof *q->coefs);
    q->entries = calloc((n_terms + 1) * (view->n_segments + 1), sizeof *q->entries);
    if (!q->coefs || !q->entries) {
        bm25_query_release(q);
        return rag_fail(reterr, RAG_ENOMEM, "bm25 query: out of memory");
    }
    q->norm.c0 = (float)(k1_units * (1.0 - b));
    q->norm.c1 = mean > 0.0 ? (float)(k1_units * b / mean) : 0.0f;
    for (size_t i = 0; i < n_terms; i++) {
        uint64_t df = look_up(view, terms[i].term, q->entries + q->n, n_terms);

        if (!(terms[i].weight >= WEIGHT_MIN && terms[i].weight <= WEIGHT_MAX)) {
            bm25_query_release(q);
            return rag_fail(reterr, RAG_EINVAL, "bm25 query: term weight %g is not in [%g, %g]",
                            (double)terms[i].weight, (double)WEIGHT_MIN, (double)WEIGHT_MAX);
        }
        if (df == 0)
            continue;
        weights[q->n] = terms[i].weight;
        q->coefs[q->n] = idf_of(view->n_live, df);
        sum += (double)weights[q->n] * (double)q->coefs[q->n];
        q->n++;
    }
    if (q->n == 0)
        return RAG_OK;
    q->scale = scale_of(sum, q->n);
    for (size_t i = 0; i < q->n; i++)
        q->coefs[i] = (float)ldexp((double)weights[i] * (double)q->coefs[i], q->scale);
    /* entries were written n_terms apart; close the rows up to n */
    for (size_t s = 1; s < view->n_segments && q->n < n_terms; s++)
        memmove(q->entries + s * q->n, q->entries + s * n_terms, q->n * sizeof *q->entries);
    return RAG_OK;
}

/* ---- the best k ---- */

static bool is_worse(const struct bm25_hit *a, const struct bm25_hit *b)
{
    return a->score < b->score || (a->score == b->score && a->passage_id > b->passage_id);
}

static void sift_down(struct bm25_hit *hits, size_t n, size_t i)
{
    for (;;) {
        size_t worst = i;
        struct bm25_hit swap = hits[i];

        if (2 * i + 1 < n && is_worse(&hits[2 * i + 1], &hits[worst]))
            worst = 2 * i + 1;
        if (2 * i + 2 < n && is_worse(&hits[2 * i + 2], &hits[worst]))
            worst = 2 * i + 2;
        if (worst == i)
            return;
        hits[i] = hits[worst];
        hits[worst] = swap;
        i = worst;
    }
}

void bm25_top_offer(struct bm25_top *top, uint64_t id, int32_t score)
{
    struct bm25_hit hit = {.passage_id = id, .score = (float)score}; /* exact: below 2^24 */
    size_t i;

    if (top->n == top->k) {
        if (!is_worse(&top->hits[0], &hit))
            return;
        top->hits[0] = hit;
        sift_down(top->hits, top->n, 0);
        return;
    }
    for (i = top->n++; i > 0 && is_worse(&hit, &top->hits[(i - 1) / 2]); i = (i - 1) / 2)
        top->hits[i] = top->hits[(i - 1) / 2];
    top->hits[i] = hit;
}

void bm25_top_finish(struct bm25_top *top, int scale)
{
    for (size_t n = top->n; n > 1; n--) {
        struct bm25_hit worst = top->hits[0];

        top->hits[0] = top->hits[n - 1];
        top->hits[n - 1] = worst;
        sift_down(top->hits, n - 1, 0);
    }
    for (size_t i = 0; i < top->n; i++)
        top->hits[i].score = ldexpf(top->hits[i].score, -scale);
}
