/* Answering one question on one view: what is scanned, what the graph answers.
 *
 *   no graph, or 'exact'             scan all rows (or the kept ones)
 *   a filter keeps few rows          scan those: exact
 *   else                             walk the graph, scan the delta; when the walk costs more than
 *                                    scanning what the filter keeps, or finds too few, scan
 *
 * Scans are exact for every storage: where the scanned copy is coarse (INT8), a row is scored
 * again unless a bound says that it cannot be among the best. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/vector_view.h"

/* A scan costs about n_kept, a walk (n / n_kept)^0.75. They were seen to meet at 11,000 kept of
 * 65,000 rows (docs/SPEED.md), so: scan when n_kept^2 <= SCAN_FACTOR * n. */
#define SCAN_FACTOR 1700u
#define AHEAD_ROWS  6u   /* kept rows that are asked of memory before they are needed */
#define LENGTH_MIN  1e-6 /* of a query; products of longer or shorter ones lose their digits */
#define LENGTH_MAX  1e6

/* ---- the best so far: a heap whose first entry is the worst ---- */

struct best {
    struct vector_hit *hits;
    size_t n;
    size_t k;
};

static bool is_worse(struct vector_hit a, struct vector_hit b)
{
    return a.score < b.score || (a.score == b.score && a.id > b.id);
}

static void sift_down(struct best *b, size_t n, struct vector_hit hit)
{
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= n)
            break;
        child += child + 1 < n && is_worse(b->hits[child + 1], b->hits[child]);
        if (!is_worse(b->hits[child], hit))
            break;
        b->hits[i] = b->hits[child];
        i = child;
    }
    b->hits[i] = hit;
}

static void best_offer(struct best *b, uint64_t id, float score)
{
    struct vector_hit hit = {.id = id, .score = score};
    size_t i;

    if (b->n == b->k) {
        if (is_worse(b->hits[0], hit))
            sift_down(b, b->n, hit);
        return;
    }
    for (i = b->n++; i > 0 && is_worse(hit, b->hits[(i - 1) / 2]); i = (i - 1) / 2)
        b->hits[i] = b->hits[(i - 1) / 2];
    b->hits[i] = hit;
}

static void best_sort(struct best *b)
{
    for (size_t n = b->n; n > 1; n--) {
        struct vector_hit last = b->hits[n - 1];

        b->hits[n - 1] = b->hits[0];
        sift_down(b, n - 1, last);
    }
}

/* ---- scans ---- */

struct search {
    const struct vector_view *view;
    struct vector_filter filter;
    struct vector_query query;
    struct best best;
    size_t ef;
};

static void score_row(struct search *s, uint32_t r)
{
    const struct vector_rows *rows = s->view->rows;
    float score = vector_rows_scan(rows, &s->query, r);

    if (rows->storage == VECTOR_INT8) {
        if (s->best.n == s->best.k &&
            score + vector_rows_error(rows, &s->query, r) < s->best.hits[0].score)
            return;
        score = vector_rows_score(rows, &s->query, r);
    }
    best_offer(&s->best, vector_rows_id(rows, r), score);
}

/* Every passing row of [first, end). */
static void scan_rows(struct search *s, size_t first, size_t end)
{
    for (size_t r = first; r < end; r++)
        if (vector_filter_passes(&s->filter, s->view->rows, (uint32_t)r))
            score_row(s, (uint32_t)r);
}

/* The ids of the filter, found among the rows of a graph: rows by id and ids both ascend. */
struct kept {
    const struct vector_view *view;
    size_t at;                  /* the rows by id before it are behind */
    uint32_t ahead[AHEAD_ROWS]; /* a ring: found, asked of memory, not yet scored */
    size_t n_found;
};

static uint32_t nth_row(const struct vector_graph *graph, size_t i)
{
    return graph->by_id ? graph->by_id[i] : (uint32_t)i;
}

/* Move to the first row whose id is at least this one: steps that double, then halves. */
static void seek(struct kept *k, uint64_t id)
{
    const struct vector_graph *graph = k->view->graph;
    const struct vector_rows *rows = k->view->rows;
    size_t n = graph->links.n;
    size_t step = 1;
    size_t low = k->at;
    size_t high;

    while (low < n && vector_rows_id(rows, nth_row(graph, low)) < id) {
        k->at = low + 1;
        low = n - low > step ? low + step : n;
        step *= 2;
    }
    high = low;
    while (k->at < high) {
        size_t middle = k->at + (high - k->at) / 2;

        if (vector_rows_id(rows, nth_row(graph, middle)) < id)
            k->at = middle + 1;
        else
            high = middle;
    }
}

static void found(struct search *s, struct kept *k, uint32_t r)
{
    size_t slot = k->n_found % AHEAD_ROWS;

    if (k->n_found >= AHEAD_ROWS)
        score_row(s, k->ahead[slot]);
    vector_rows_prefetch(s->view->rows, r);
    k->ahead[slot] = r;
    k->n_found++;
}

/* Every row of the graph that passes. */
static void scan_kept(struct search *s)
{
    const struct id_set *keep = s->filter.keep;
    const struct vector_graph *graph = s->view->graph;
    const struct vector_rows *rows = s->view->rows;
    struct kept k = {.view = s->view};
    size_t n = graph->links.n;

    for (uint64_t w = 0; w < (keep->n_bits + 63) / 64; w++) {
        for (uint64_t bits = keep->words[w]; bits; bits &= bits - 1) {
            uint64_t id = keep->first + w * 64 + (uint64_t)__builtin_ctzll(bits);

            seek(&k, id);
            for (; k.at < n && vector_rows_id(rows, nth_row(graph, k.at)) == id; k.at++) {
                uint32_t r = nth_row(graph, k.at);

                if (!(s->filter.any_dead && vector_rows_dead(rows, r, s->filter.seq)))
                    found(s, &k, r);
            }
        }
    }
    for (size_t i = k.n_found > AHEAD_ROWS ? k.n_found - AHEAD_ROWS : 0; i < k.n_found; i++)
        score_row(s, k.ahead[i % AHEAD_ROWS]);
}

/* ---- the graph ---- */

/* What the walk found, scored exactly. */
static void take(struct search *s, const struct vector_near *near, size_t n)
{
    const struct vector_rows *rows = s->view->rows;

    for (size_t i = 0; i < n; i++) {
        float score = rows->storage == VECTOR_INT8 ? vector_rows_score(rows, &s->query, near[i].row)
                                                   : near[i].score;

        best_offer(&s->best, vector_rows_id(rows, near[i].row), score);
    }
}

/* The rows of the graph. */
static enum rag_status search_graph(struct search *s)
{
    const struct vector_view *view = s->view;
    size_t n_graph = vector_view_n_graph(view);
    size_t n_live = n_graph; /* that can pass, at most */
    size_t ef = s->ef > s->best.k ? s->ef : s->best.k;
    struct vector_near *near;
    size_t n = 0;
    bool complete = false;
    enum rag_status status;

    if (s->filter.keep && s->filter.keep->n < n_live)
        n_live = (size_t)s->filter.keep->n;
    if (s->filter.keep && (uint64_t)n_live * n_live <= (uint64_t)SCAN_FACTOR * n_graph) {
        scan_kept(s);
        return RAG_OK;
    }
    near = malloc(ef * sizeof *near);
    if (!near)
        return RAG_ENOMEM;
    status = vector_graph_search(view->graph, view->rows, &s->query, &s->filter, ef, n_live, near,
                                 &n, &complete);
    if (status == RAG_OK && complete && n >= s->best.k)
        take(s, near, n);
    else if (status == RAG_OK && s->filter.keep)
        scan_kept(s);
    else if (status == RAG_OK)
        scan_rows(s, 0, n_graph);
    free(near);
    return status;
}

static enum rag_status check_query(const struct vector_index *ix, const float *query,
                                   struct rag_error *reterr)
{
    double length;

    (void)vector_is_unit(query, ix->options.dim, &length);
    if (!(length >= LENGTH_MIN && length <= LENGTH_MAX))
        return rag_fail(reterr, RAG_EINVAL,
                        "query vector: its length is %g; %zu finite numbers of length 1 are "
                        "expected",
                        length, ix->options.dim);
    return RAG_OK;
}

enum rag_status vector_index_search(struct vector_index *ix, const float *query,
                                    const struct id_set *keep, size_t k,
                                    const struct vector_search_options *options,
                                    struct vector_hit *ret, size_t *ret_n, struct rag_error *reterr)
{
    struct search s = {
        .best = {.hits = ret, .k = k},
          .ef = ix->options.ef_search
    };
    struct vector_view *view;
    enum rag_status status = check_query(ix, query, reterr);

    if (status != RAG_OK)
        return status;
    if (options && options->ef_search)
        s.ef = options->ef_search < VECTOR_EF_MAX ? options->ef_search : VECTOR_EF_MAX;
    view = vector_view_get(ix);
    s.view = view;
    s.filter = (struct vector_filter){keep, view->seq, view->n_live < view->n_rows};
    status = vector_query_init(&s.query, view->rows);
    if (status == RAG_OK && k > 0 && view->n_live > 0 && !(keep && keep->n == 0)) {
        vector_query_set(&s.query, view->rows, query);
        if (!view->graph)
            scan_rows(&s, 0, view->n_rows);
        else if (!(options && options->exact))
            status = search_graph(&s);
        else if (keep)
            scan_kept(&s);
        else
            scan_rows(&s, 0, vector_view_n_graph(view));
        if (view->graph && status == RAG_OK)
            scan_rows(&s, vector_view_n_graph(view), view->n_rows);
    }
    vector_query_release(&s.query);
    vector_view_unref(view);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "vector index: out of memory while searching");
    best_sort(&s.best);
    *ret_n = s.best.n;
    return RAG_OK;
}
