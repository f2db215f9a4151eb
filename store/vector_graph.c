/* Walking a graph. Building it: vector_build.c. */
#include "store/vector_graph.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD 4u /* rows whose products are asked of memory before they are needed */

void vector_graph_ref(struct vector_graph *graph)
{
    atomic_fetch_add_explicit(&graph->refs, 1, memory_order_relaxed);
}

void vector_graph_unref(struct vector_graph *graph)
{
    if (!graph || atomic_fetch_sub_explicit(&graph->refs, 1, memory_order_acq_rel) != 1)
        return;
    vector_faiss_free(graph->faiss);
    free(graph->by_id);
    free(graph);
}

uint64_t vector_graph_bytes(const struct vector_graph *graph)
{
    return sizeof *graph + vector_faiss_bytes(graph->faiss) +
           (graph->by_id ? graph->links.n * sizeof *graph->by_id : 0);
}

/* ---- a heap whose first entry has the lowest score ---- */

struct heap {
    struct vector_near *at;
    size_t n;
    size_t cap;
};

static void heap_push(struct heap *h, float score, uint32_t row)
{
    size_t i = h->n++;

    while (i > 0 && h->at[(i - 1) / 2].score > score) {
        h->at[i] = h->at[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    h->at[i] = (struct vector_near){score, row};
}

/* Put (score, row) in the place of the first. */
static void heap_replace(struct heap *h, float score, uint32_t row)
{
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= h->n)
            break;
        child += child + 1 < h->n && h->at[child + 1].score < h->at[child].score;
        if (h->at[child].score >= score)
            break;
        h->at[i] = h->at[child];
        i = child;
    }
    h->at[i] = (struct vector_near){score, row};
}

static void heap_pop(struct heap *h)
{
    struct vector_near last = h->at[--h->n];

    if (h->n)
        heap_replace(h, last.score, last.row);
}

static enum rag_status heap_grow(struct heap *h, size_t n)
{
    size_t cap = h->cap ? h->cap : 512;
    struct vector_near *at;

    while (cap - h->n < n)
        cap *= 2;
    if (cap == h->cap)
        return RAG_OK;
    at = realloc(h->at, cap * sizeof *at);
    if (!at)
        return RAG_ENOMEM;
    h->at = at;
    h->cap = cap;
    return RAG_OK;
}

/* ---- the walk ---- */

struct walk {
    const struct vector_graph *graph;
    const struct vector_rows *rows;
    const struct vector_query *q;
    const struct vector_filter *filter;
    struct heap open; /* rows to go on from; scores negated, so that the best comes first */
    struct heap best; /* passing rows, the worst first */
    size_t ef;
    uint64_t *seen;  /* a bit per row */
    uint32_t *fresh; /* unseen links of one row */
    size_t n_products;
    size_t n_met; /* rows that looked good enough, passing or not */
    size_t n_passed;
};

static bool see(struct walk *w, uint32_t r)
{
    uint64_t bit = 1ull << (r & 63);

    if (w->seen[r >> 6] & bit)
        return false;
    w->seen[r >> 6] |= bit;
    return true;
}

static const int32_t *links_of(const struct vector_graph *graph, uint32_t r, size_t level,
                               const int32_t **ret_end)
{
    const struct vector_links *l = &graph->links;
    const int32_t *first = l->neighbors + l->offsets[r];

    *ret_end = first + l->cumulative[level + 1];
    return first + l->cumulative[level];
}

/* Algorithm 2 with ef 1 on the levels above 0. */
static uint32_t descend(struct walk *w, float *ret_score)
{
    const struct vector_links *l = &w->graph->links;
    uint32_t nearest = (uint32_t)l->entry_point;
    float score = vector_rows_scan(w->rows, w->q, nearest);

    for (int level = l->max_level; level > 0; level--) {
        bool moved = true;

        while (moved) {
            const int32_t *end;
            const int32_t *at = links_of(w->graph, nearest, (size_t)level, &end);

            moved = false;
            for (const int32_t *p = at; p < end && *p >= 0; p++)
                vector_rows_prefetch(w->rows, (uint32_t)*p);
            for (; at < end && *at >= 0; at++) {
                float s = vector_rows_scan(w->rows, w->q, (uint32_t)*at);

                w->n_products++;
                if (s > score) {
                    score = s;
                    nearest = (uint32_t)*at;
                    moved = true;
                }
            }
        }
    }
    *ret_score = score;
    return nearest;
}

static void meet(struct walk *w, uint32_t r, float score)
{
    bool full = w->best.n == w->ef;

    if (full && score <= w->best.at[0].score)
        return;
    heap_push(&w->open, -score, r);
    w->n_met++;
    if (!vector_filter_passes(w->filter, w->rows, r))
        return;
    w->n_passed++;
    if (full)
        heap_replace(&w->best, score, r);
    else
        heap_push(&w->best, score, r);
}

static void expand(struct walk *w, uint32_t r)
{
    const int32_t *end;
    const int32_t *at = links_of(w->graph, r, 0, &end);
    size_t n = 0;

    for (; at < end && *at >= 0; at++) {
        if (!see(w, (uint32_t)*at))
            continue;
        if (n < AHEAD)
            vector_rows_prefetch(w->rows, (uint32_t)*at);
        w->fresh[n++] = (uint32_t)*at;
    }
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            vector_rows_prefetch(w->rows, w->fresh[i + AHEAD]);
        meet(w, w->fresh[i], vector_rows_scan(w->rows, w->q, w->fresh[i]));
    }
    w->n_products += n;
}

/* What the filter keeps lies elsewhere: near the query it is clearly less frequent than in the
 * whole. Then the nearest kept rows need not be linked to what was walked through. (A filter that
 * has nothing to do with the query passes some 200 rows, give or take a tenth.) */
static bool is_elsewhere(const struct walk *w)
{
    const struct id_set *keep = w->filter->keep;

    return keep && (double)w->n_passed * (double)w->graph->links.n <
                       0.8 * (double)w->n_met * (double)keep->n;
}

enum rag_status vector_graph_search(const struct vector_graph *graph,
                                    const struct vector_rows *rows, const struct vector_query *q,
                                    const struct vector_filter *filter, size_t ef,
                                    size_t max_products, struct vector_near *ret, size_t *ret_n,
                                    bool *ret_complete)
{
    struct walk w = {.graph = graph, .rows = rows, .q = q, .filter = filter, .ef = ef};
    const size_t n_links = graph->links.cumulative[1];
    enum rag_status status = RAG_ENOMEM;
    bool complete = true;
    uint32_t start;
    float score;

    if (graph->links.entry_point < 0) {
        *ret_n = 0;
        *ret_complete = true;
        return RAG_OK;
    }
    w.best.at = ret;
    w.seen = calloc(graph->links.n / 64 + 1, sizeof *w.seen);
    w.fresh = malloc(n_links * sizeof *w.fresh);
    if (!w.seen || !w.fresh || heap_grow(&w.open, 1) != RAG_OK)
        goto out;
    start = descend(&w, &score);
    (void)see(&w, start);
    meet(&w, start, score);
    while (w.open.n) {
        struct vector_near next = w.open.at[0];

        if (w.best.n == ef && -next.score < w.best.at[0].score)
            break;
        if (w.n_products > max_products) {
            complete = false;
            break;
        }
        heap_pop(&w.open);
        if (heap_grow(&w.open, n_links) != RAG_OK)
            goto out;
        expand(&w, next.row);
    }
    *ret_n = w.best.n;
    *ret_complete = complete && !is_elsewhere(&w);
    status = RAG_OK;

out:
    free(w.open.at);
    free(w.seen);
    free(w.fresh);
    return status;
}
