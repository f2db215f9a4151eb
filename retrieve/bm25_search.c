/* Search: MaxScore over windows of docs, with block bounds.
 *
 * A segment is walked in windows of 8192 docs, those with the highest bounds first. In
 * each window the terms are ordered by the most that they can add there (from the bounds
 * of the blocks that reach into it). The terms at the low end whose bounds together
 * cannot lift a doc into the top k are not walked: the others are added up for the whole
 * window in an array of scores that fits the first-level cache, docs whose score can
 * still reach the top k are collected, and only for these the remaining terms are
 * looked up, the strongest first, dropping docs on the way.
 *
 * All sums are whole numbers (bm25_kernels.h), so bounds and scores compare exactly in
 * any order. A doc must reach 'need', which is one more than the worst of the top k
 * where the doc's id would lose the tie.
 *
 * Source: Turtle and Flood, "Query evaluation: strategies and optimizations", 1995
 * (MaxScore); Chakrabarti, Chaudhuri and Ganti, "Interval-based pruning for top-k
 * processing over compressed lists", ICDE 2011. */
#include <stdlib.h>
#include <string.h>

#include "retrieve/bm25_query.h"

#define WINDOW       8192u /* docs; 32 KiB of scores */
#define SPAN_WINDOWS 256u  /* windows whose bounds are known at a time: 2 Mi docs */
#define NO_BLOCK     UINT32_MAX

struct cursor {
    struct bm25_list list;
    float coef;
    uint32_t next;  /* block where the next span begins */
    uint32_t block; /* decoded below, or NO_BLOCK */
    uint32_t n;
    uint32_t docs[BM25_BLOCK];
    uint32_t tfs[BM25_BLOCK];
};

struct reach {       /* of one term into one window */
    int32_t bound;   /* the most a doc gets from it; 0: the term is not there */
    uint32_t block;  /* the first block that may reach in */
    uint32_t blocks; /* how many do */
};

struct search {
    const struct bm25_query *q;
    const struct bm25_kernels *kernels;
    const struct bm25_view *view;
    const struct bm25_segment *s;
    const struct id_set *keep;
    struct bm25_top top;
    struct cursor *cursors; /* q->n */
    size_t n;               /* terms that the segment holds: cursors in use */
    size_t stride;          /* windows of a span, at most SPAN_WINDOWS */
    struct reach *reaches;  /* [term * stride + window] */
    uint64_t *windows;      /* sort keys: bound << 32 | window */
    uint32_t *order;        /* cursors by bound in the window, ascending */
    int32_t *sums;          /* sums[i]: bounds of order[0..i-1] together */
    int32_t *scores;        /* of the docs of a window; all 0 between windows */
    uint32_t *docs;         /* candidates: place in the window, ascending */
    int32_t *doc_scores;
};

static void search_release(struct search *x)
{
    free(x->cursors);
    free(x->reaches);
    free(x->windows);
    free(x->order);
    free(x->sums);
    free(x->scores);
    free(x->docs);
    free(x->doc_scores);
}

static enum rag_status search_alloc(struct search *x)
{
    size_t n = x->q->n;
    uint32_t n_docs = 0;

    for (size_t i = 0; i < x->view->n_segments; i++)
        if (x->view->segments[i]->shape.n_docs > n_docs)
            n_docs = x->view->segments[i]->shape.n_docs;
    x->stride = (size_t)n_docs / WINDOW + 1;
    if (x->stride > SPAN_WINDOWS)
        x->stride = SPAN_WINDOWS;
    x->cursors = malloc((n + 1) * sizeof *x->cursors);
    x->reaches = malloc((n + 1) * x->stride * sizeof *x->reaches);
    x->windows = malloc(x->stride * sizeof *x->windows);
    x->order = malloc((n + 1) * sizeof *x->order);
    x->sums = malloc((n + 2) * sizeof *x->sums);
    x->scores = calloc(WINDOW, sizeof *x->scores);
    x->docs = malloc(WINDOW * sizeof *x->docs);
    x->doc_scores = malloc(WINDOW * sizeof *x->doc_scores);
    if (x->cursors && x->reaches && x->windows && x->order && x->sums && x->scores && x->docs &&
        x->doc_scores)
        return RAG_OK;
    search_release(x);
    return RAG_ENOMEM;
}

/* ---- bounds ---- */

static uint32_t block_last(const struct cursor *c, uint32_t b)
{
    return c->list.blocks ? c->list.blocks[b].last : c->list.one_doc;
}

static int32_t block_bound(const struct search *x, const struct cursor *c, uint32_t b)
{
    const struct bm25_block *block;
    int32_t high;
    int32_t low;

    if (!c->list.blocks)
        return bm25_part(c->list.one_tf, x->s->lengths[c->list.one_doc], x->q->norm, c->coef);
    block = &c->list.blocks[b];
    high = bm25_part_bound(block->tf[0], block->len[0], x->q->norm, c->coef);
    low = bm25_part_bound(block->tf[1], block->len[1], x->q->norm, c->coef);
    return high > low ? high : low;
}

/* The reach of one term into the windows of [first, end). */
static void find_reaches(const struct search *x, struct cursor *c, struct reach *reaches,
                         uint32_t first, uint32_t end)
{
    uint32_t b = c->next;
    int32_t bound = b < c->list.n_blocks ? block_bound(x, c, b) : 0;

    for (uint32_t start = first; start < end; start += WINDOW, reaches++) {
        uint32_t last = start + (WINDOW - 1);

        *reaches = (struct reach){.bound = 0, .block = b};
        while (b < c->list.n_blocks) {
            reaches->bound = bound > reaches->bound ? bound : reaches->bound;
            reaches->blocks++;
            if (block_last(c, b) > last)
                break; /* it may reach into the next window too */
            if (++b < c->list.n_blocks)
                bound = block_bound(x, c, b);
            if (b < c->list.n_blocks && block_last(c, b - 1) == last)
                break;
        }
    }
    c->next = b;
}

/* ---- one window ---- */

static void load_block(struct cursor *c, uint32_t b)
{
    if (c->block == b)
        return;
    c->n = bm25_block_decode(&c->list, b, c->docs, c->tfs);
    for (uint32_t i = c->n; i < BM25_BLOCK; i++)
        c->docs[i] = UINT32_MAX; /* first_from() looks at all places */
    c->block = b;
}

/* Place of the first posting of the loaded block that is >= doc; there is one. Seven
 * steps that need no branch: the outcomes are random. */
static inline uint32_t first_from(const struct cursor *c, uint32_t doc)
{
    uint32_t at = 0;

    for (uint32_t step = BM25_BLOCK / 2; step > 0; step /= 2)
        at += c->docs[at + step - 1] < doc ? step : 0;
    return at;
}

/* Add the term to the scores of the window's docs [first, end). */
static void add_term(const struct search *x, struct cursor *c, const struct reach *reach,
                     uint32_t first, uint32_t end)
{
    for (uint32_t b = reach->block; b < reach->block + reach->blocks; b++) {
        uint32_t from;
        uint32_t to;

        load_block(c, b);
        from = c->docs[0] >= first ? 0 : first_from(c, first);
        to = c->docs[c->n - 1] < end ? c->n : first_from(c, end);
        if (from < to)
            x->kernels->accumulate(c->docs + from, c->tfs + from, to - from, x->s->lengths,
                                   x->q->norm, c->coef, first, x->scores);
    }
}

/* The candidates that hold the term gain its part; those that cannot reach 'need' with
 * 'rest' more are dropped. Returns how many stay. */
static size_t probe_term(struct search *x, struct cursor *c, const struct reach *reach,
                         uint32_t first, size_t n, int32_t need, int32_t rest)
{
    uint32_t b = reach->block;
    uint32_t b_end = reach->block + reach->blocks;
    size_t n_kept = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t doc = first + x->docs[i];
        int32_t score = x->doc_scores[i];

        while (b < b_end && block_last(c, b) < doc)
            b++;
        if (b < b_end && (c->block == b || score + block_bound(x, c, b) + rest >= need)) {
            uint32_t at;

            load_block(c, b);
            at = first_from(c, doc); /* the block's last doc is >= doc */
            if (c->docs[at] == doc)
                score += bm25_part(c->tfs[at], x->s->lengths[doc], x->q->norm, c->coef);
        }
        if (score + rest < need)
            continue;
        x->docs[n_kept] = x->docs[i];
        x->doc_scores[n_kept++] = score;
    }
    return n_kept;
}

/* Drop candidates that the filter or a removal excludes. */
static size_t admit(struct search *x, uint32_t first, size_t n)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t doc = first + x->docs[i];

        if ((x->keep && !id_set_has(x->keep, x->s->ids[doc])) ||
            bm25_segment_dead(x->s, doc, x->view->seq))
            continue;
        x->docs[n_kept] = x->docs[i];
        x->doc_scores[n_kept++] = x->doc_scores[i];
    }
    return n_kept;
}

/* Order the cursors by their bounds in window w (they are nearly in order: the last
 * window left them so) and sum the bounds up. */
static void order_terms(struct search *x, uint32_t w)
{
    const struct reach *reaches = x->reaches + w;

    for (size_t i = 1; i < x->n; i++) {
        uint32_t moved = x->order[i];
        int32_t bound = reaches[moved * x->stride].bound;
        size_t j = i;

        for (; j > 0 && reaches[x->order[j - 1] * x->stride].bound > bound; j--)
            x->order[j] = x->order[j - 1];
        x->order[j] = moved;
    }
    x->sums[0] = 0;
    for (size_t i = 0; i < x->n; i++)
        x->sums[i + 1] = x->sums[i] + reaches[x->order[i] * x->stride].bound;
}

/* The part of the filter's bitmap that covers the ids of the docs [first, end). */
struct bits {
    uint64_t first; /* bit numbers, both included */
    uint64_t last;
    bool any;
};

static struct bits bits_of_window(const struct search *x, uint32_t first, uint32_t end)
{
    const struct id_set *keep = x->keep;
    uint64_t low = x->s->ids[first];
    uint64_t high = x->s->ids[end - 1];
    struct bits bits = {0, 0, false};

    if (keep->n == 0 || high < keep->first ||
        (low > keep->first && low - keep->first >= keep->n_bits))
        return bits;
    bits.any = true;
    bits.first = low > keep->first ? low - keep->first : 0;
    bits.last = high - keep->first < keep->n_bits ? high - keep->first : keep->n_bits - 1;
    return bits;
}

/* Word w of the bitmap with what lies outside 'bits' cleared. */
static uint64_t word_of(const struct search *x, struct bits bits, uint64_t w)
{
    uint64_t word = x->keep->words[w];

    if (w == bits.first >> 6)
        word &= UINT64_MAX << (bits.first & 63);
    if (w == bits.last >> 6)
        word &= UINT64_MAX >> (63 - (bits.last & 63));
    return word;
}

/* Kept docs of the window, by going through the docs or through the bitmap, whichever
 * is shorter. */
static size_t list_kept(struct search *x, struct bits bits, uint32_t first, uint32_t end)
{
    uint32_t doc = first;
    size_t n = 0;

    if ((bits.last - bits.first) / 64 >= end - first) {
        for (; doc < end; doc++) {
            x->docs[n] = doc - first;
            n += id_set_has(x->keep, x->s->ids[doc]);
        }
        return n;
    }
    for (uint64_t w = bits.first >> 6; w <= bits.last >> 6; w++) {
        for (uint64_t word = word_of(x, bits, w); word; word &= word - 1) {
            uint64_t id = x->keep->first + w * 64 + (uint64_t)__builtin_ctzll(word);

            doc = bm25_segment_seek(x->s, doc, id);
            if (doc >= end)
                return n;
            if (x->s->ids[doc] == id)
                x->docs[n++] = doc - first;
        }
    }
    return n;
}

enum kept {
    KEPT_NONE, /* the filter keeps nothing of the window */
    KEPT_FEW,  /* cheaper to look each of them up in every list: they are the candidates */
    KEPT_MANY, /* cheaper to walk the lists */
};

static enum kept kept_docs(struct search *x, uint32_t first, uint32_t end, uint32_t w,
                           size_t *ret_n)
{
    struct bits bits = bits_of_window(x, first, end);
    uint64_t n_postings = 0;
    uint64_t n_kept = 0; /* at most */

    if (!bits.any)
        return KEPT_NONE;
    for (size_t i = 0; i < x->n; i++)
        n_postings += (uint64_t)x->reaches[i * x->stride + w].blocks * BM25_BLOCK;
    if ((bits.last - bits.first) / 64 < end - first) {
        for (uint64_t i = bits.first >> 6; i <= bits.last >> 6; i++)
            n_kept += (uint64_t)__builtin_popcountll(word_of(x, bits, i));
        if (n_kept == 0)
            return KEPT_NONE;
        if (n_kept * x->n * 4 > n_postings)
            return KEPT_MANY;
    }
    *ret_n = list_kept(x, bits, first, end);
    if (*ret_n == 0)
        return KEPT_NONE;
    if (*ret_n * x->n * 4 > n_postings)
        return KEPT_MANY;
    memset(x->doc_scores, 0, *ret_n * sizeof *x->doc_scores);
    return KEPT_FEW;
}

static void search_window(struct search *x, uint32_t span, uint32_t w)
{
    uint32_t first = span + w * WINDOW;
    uint32_t end = x->s->shape.n_docs - first > WINDOW ? first + WINDOW : x->s->shape.n_docs;
    int32_t need = bm25_top_need(&x->top, x->s->ids[first]);
    size_t n_rest = 0; /* terms of x->order that are only looked up */
    size_t n = 0;
    enum kept kept = KEPT_MANY;

    order_terms(x, w);
    if (x->sums[x->n] < need)
        return;
    if (x->keep)
        kept = kept_docs(x, first, end, w, &n);
    if (kept == KEPT_NONE)
        return;
    if (kept == KEPT_FEW) {
        n_rest = x->n;
    } else {
        while (x->sums[n_rest + 1] < need)
            n_rest++;
        for (size_t i = n_rest; i < x->n; i++) {
            const struct reach *reach = &x->reaches[x->order[i] * x->stride + w];

            if (reach->bound)
                add_term(x, &x->cursors[x->order[i]], reach, first, end);
        }
        n = x->kernels->collect(x->scores, WINDOW, need - x->sums[n_rest], x->docs, x->doc_scores);
    }
    n = admit(x, first, n);
    for (size_t i = n_rest; i-- > 0 && n;) {
        const struct reach *reach = &x->reaches[x->order[i] * x->stride + w];

        if (reach->bound)
            n = probe_term(x, &x->cursors[x->order[i]], reach, first, n, need, x->sums[i]);
    }
    for (size_t i = 0; i < n; i++)
        if (x->doc_scores[i] >= need)
            bm25_top_offer(&x->top, x->s->ids[first + x->docs[i]], x->doc_scores[i]);
}

/* ---- a segment ---- */

static int by_key_descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x < y) - (x > y);
}

static void search_span(struct search *x, uint32_t span, uint32_t n_windows)
{
    uint32_t end = span + n_windows * WINDOW;

    for (size_t i = 0; i < x->n; i++)
        find_reaches(x, &x->cursors[i], x->reaches + i * x->stride, span, end);
    for (uint32_t w = 0; w < n_windows; w++) {
        uint64_t bound = 0;

        for (size_t i = 0; i < x->n; i++)
            bound += (uint64_t)x->reaches[i * x->stride + w].bound;
        x->windows[w] = bound << 32 | (UINT32_MAX - w); /* ties: the earlier one first */
    }
    qsort(x->windows, n_windows, sizeof *x->windows, by_key_descending);
    for (uint32_t i = 0; i < n_windows && x->windows[i] >> 32; i++)
        search_window(x, span, UINT32_MAX - (uint32_t)x->windows[i]);
}

static void search_segment(struct search *x, size_t i_segment)
{
    const uint32_t *entries = x->q->entries + i_segment * x->q->n;
    uint32_t n_docs;

    x->s = x->view->segments[i_segment];
    n_docs = x->s->shape.n_docs;
    x->n = 0;
    for (size_t t = 0; t < x->q->n; t++) {
        struct cursor *c = &x->cursors[x->n];

        if (entries[t] == BM25_NO_ENTRY)
            continue;
        bm25_segment_list(x->s, entries[t], &c->list);
        c->coef = x->q->coefs[t];
        c->next = 0;
        c->block = NO_BLOCK;
        x->order[x->n] = (uint32_t)x->n;
        x->n++;
    }
    if (x->n == 0)
        return;
    for (uint32_t span = 0; span < n_docs; span += SPAN_WINDOWS * WINDOW) {
        uint32_t left = n_docs - span;
        uint32_t n_windows = left / WINDOW + (left % WINDOW != 0);

        search_span(x, span, n_windows < SPAN_WINDOWS ? n_windows : SPAN_WINDOWS);
    }
}

enum rag_status bm25_search(struct bm25 *index, const struct bm25_query_term *terms, size_t n_terms,
                            const struct id_set *keep, size_t k, struct bm25_hit *ret_hits,
                            size_t *ret_n, struct rag_error *reterr)
{
    struct bm25_view *view = bm25_view_get(index);
    struct bm25_query q;
    struct search x = {
        .q = &q,
        .kernels = index->kernels,
        .view = view,
        .keep = keep,
        .top = {.hits = ret_hits, .k = k}
    };
    uint64_t order[BM25_SEGMENTS_MAX]; /* large segments first: they raise the threshold */
    enum rag_status status = bm25_query_init(&q, index, view, terms, n_terms, reterr);

    if (status != RAG_OK)
        goto out;
    if (q.n && k) {
        if (search_alloc(&x) != RAG_OK) {
            status = rag_fail(reterr, RAG_ENOMEM, "bm25 query: out of memory");
            goto out;
        }
        for (size_t i = 0; i < view->n_segments; i++)
            order[i] = (uint64_t)view->segments[i]->shape.n_docs << 32 | i;
        qsort(order, view->n_segments, sizeof *order, by_key_descending);
        for (size_t i = 0; i < view->n_segments; i++)
            search_segment(&x, (uint32_t)order[i]);
        search_release(&x);
    }
    bm25_top_finish(&x.top, q.scale);
    *ret_n = x.top.n;
out:
    bm25_query_release(&q);
    bm25_view_unref(view);
    return status;
}
