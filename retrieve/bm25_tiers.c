/* When segments merge. A segment's tier is the power of 8 of its live docs; eight of
 * a tier become one of the next, so a posting is rewritten once per tier. Merges of few
 * postings are done at once by the thread that applies (they cost less than a hand-over
 * would), larger ones by a thread of the index's own. */
#include <stdlib.h>
#include <string.h>

#include "retrieve/bm25_index.h"

#define FAN_IN          8u
#define SOURCES_MAX     32u        /* of one merge: while it runs, the other half can make room */
#define INLINE_POSTINGS (1u << 16) /* about 2 ms of merging */

struct choice {
    struct bm25_segment *segments[BM25_SEGMENTS_MAX]; /* borrowed from the view */
    size_t n;
    uint64_t n_postings;
};

static uint32_t live_docs(const struct bm25_segment *s)
{
    return s->shape.n_docs - s->n_dead;
}

static unsigned tier_of(const struct bm25_segment *s)
{
    uint32_t n = live_docs(s);

    return n ? (31u - (unsigned)__builtin_clz(n)) / 3 : 0;
}

static void choose(struct choice *c, struct bm25_segment *s)
{
    c->segments[c->n++] = s;
    c->n_postings += s->n_postings;
}

/* What should merge next: a full tier, lowest first, or a segment a quarter of which is
 * removed. Only up to postings_max; false when there is nothing. */
static bool find_work(const struct bm25_view *view, uint64_t postings_max, struct choice *ret)
{
    for (unsigned tier = 0; tier <= 32 / 3; tier++) {
        ret->n = 0;
        ret->n_postings = 0;
        for (size_t i = 0; i < view->n_segments; i++)
            if (ret->n < SOURCES_MAX && !view->segments[i]->merging &&
                tier_of(view->segments[i]) == tier)
                choose(ret, view->segments[i]);
        if (ret->n >= FAN_IN && ret->n_postings <= postings_max)
            return true;
    }
    for (size_t i = 0; i < view->n_segments; i++) {
        struct bm25_segment *s = view->segments[i];

        if (!s->merging && s->n_dead > s->shape.n_docs / 4 && s->n_postings <= postings_max) {
            ret->n = 0;
            ret->n_postings = 0;
            choose(ret, s);
            return true;
        }
    }
    return false;
}

static bool is_chosen(const struct choice *c, const struct bm25_segment *s)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->segments[i] == s)
            return true;
    return false;
}

/* Removals that came after the merge began. RAG_OK or RAG_ENOMEM. */
static enum rag_status carry_marks(const struct choice *c, uint64_t seq, uint32_t *const *docs,
                                   struct bm25_segment *merged)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct bm25_segment *s = c->segments[i];
        _Atomic uint64_t *dead = atomic_load_explicit(&s->dead, memory_order_relaxed);

        for (uint32_t d = 0; dead && d < s->shape.n_docs; d++) {
            uint64_t at = atomic_load_explicit(&dead[d], memory_order_relaxed);

            if (at <= seq || docs[i][d] == BM25_NO_DOC)
                continue;
            if (bm25_segment_reserve_dead(merged) != RAG_OK)
                return RAG_ENOMEM;
            bm25_segment_mark_dead(merged, docs[i][d], at);
        }
    }
    return RAG_OK;
}

/* Put the merged segment (taken over) in the place of the chosen ones. */
static enum rag_status replace(struct bm25 *index, const struct choice *c,
                               struct bm25_segment *merged, struct bm25_run *run)
{
    struct bm25_view *view = bm25_view_copy(index->view);
    size_t n = 0;

    if (!view) {
        bm25_run_unref(run);
        bm25_segment_unref(merged);
        return RAG_ENOMEM;
    }
    for (size_t i = 0; i < view->n_segments; i++) {
        if (is_chosen(c, view->segments[i]))
            bm25_segment_unref(view->segments[i]); /* this view's reference only */
        else
            view->segments[n++] = view->segments[i];
    }
    view->n_segments = n;
    if (merged->shape.n_docs)
        view->segments[view->n_segments++] = merged;
    else
        bm25_segment_unref(merged);
    if (bm25_view_push_run(view, run) != RAG_OK) {
        bm25_view_unref(view);
        return RAG_ENOMEM;
    }
    bm25_view_publish(index, view);
    return RAG_OK;
}

/* Merge the chosen segments. change_lock is held on entry and on return; with 'unlock'
 * it is given up while the work is done. */
static enum rag_status merge_chosen(struct bm25 *index, const struct choice *c, bool unlock)
{
    struct bm25_segment *merged = NULL;
    struct bm25_run *run = NULL;
    uint32_t *docs[BM25_SEGMENTS_MAX] = {NULL};
    uint64_t seq = index->view->seq;
    enum rag_status status;

    for (size_t i = 0; i < c->n; i++) {
        c->segments[i]->merging = true;
        bm25_segment_ref(c->segments[i]);
    }
    if (unlock)
        pthread_mutex_unlock(&index->change_lock);
    status = bm25_merge(c->segments, c->n, seq, &merged, &run, docs);
    if (unlock)
        pthread_mutex_lock(&index->change_lock);
    if (status == RAG_OK) {
        status = carry_marks(c, seq, docs, merged);
        if (status == RAG_OK) {
            status = replace(index, c, merged, run);
        } else {
            bm25_segment_unref(merged);
            bm25_run_unref(run);
        }
    }
    for (size_t i = 0; i < c->n; i++) {
        c->segments[i]->merging = false;
        bm25_segment_unref(c->segments[i]);
        free(docs[i]);
    }
    pthread_cond_broadcast(&index->merged_cond);
    return status;
}

static void *merger_main(void *context)
{
    struct bm25 *index = context;
    struct choice c;

    pthread_mutex_lock(&index->change_lock);
    while (!index->stopping) {
        index->merge_wanted = false;
        /* out of memory: try again after the next change, when some may be free */
        if (!find_work(index->view, UINT64_MAX, &c) || merge_chosen(index, &c, true) != RAG_OK)
            while (!index->merge_wanted && !index->stopping)
                pthread_cond_wait(&index->merge_cond, &index->change_lock);
    }
    pthread_mutex_unlock(&index->change_lock);
    return NULL;
}

void bm25_merge_some(struct bm25 *index)
{
    struct choice c;

    while (find_work(index->view, INLINE_POSTINGS, &c))
        if (merge_chosen(index, &c, false) != RAG_OK)
            return; /* a later change tries again */
    if (!find_work(index->view, UINT64_MAX, &c))
        return;
    if (!index->merger_runs) {
        if (pthread_create(&index->merger, NULL, merger_main, index) != 0) {
            (void)merge_chosen(index, &c, false); /* no thread to be had: do it here */
            return;
        }
        index->merger_runs = true;
    }
    index->merge_wanted = true;
    pthread_cond_signal(&index->merge_cond);
}

static int by_postings(const void *a, const void *b)
{
    uint64_t x = (*(struct bm25_segment *const *)a)->n_postings;
    uint64_t y = (*(struct bm25_segment *const *)b)->n_postings;

    return (x > y) - (x < y);
}

enum rag_status bm25_merge_room(struct bm25 *index)
{
    struct choice c = {.n = 0};

    if (index->view->n_segments < BM25_SEGMENTS_MAX)
        return RAG_OK;
    for (size_t i = 0; i < index->view->n_segments; i++)
        if (!index->view->segments[i]->merging)
            choose(&c, index->view->segments[i]);
    qsort(c.segments, c.n, sizeof *c.segments, by_postings);
    if (c.n > FAN_IN)
        c.n = FAN_IN;
    return merge_chosen(index, &c, false);
}

void bm25_merge_stop(struct bm25 *index)
{
    pthread_mutex_lock(&index->change_lock);
    index->stopping = true;
    pthread_cond_signal(&index->merge_cond);
    pthread_mutex_unlock(&index->change_lock);
    if (index->merger_runs)
        pthread_join(index->merger, NULL);
}

static bool any_merging(const struct bm25_view *view)
{
    for (size_t i = 0; i < view->n_segments; i++)
        if (view->segments[i]->merging)
            return true;
    return false;
}

enum rag_status bm25_compact(struct bm25 *index, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct choice c = {.n = 0};

    pthread_mutex_lock(&index->change_lock);
    while (any_merging(index->view)) /* the merger's */
        pthread_cond_wait(&index->merged_cond, &index->change_lock);
    for (size_t i = 0; i < index->view->n_segments; i++)
        choose(&c, index->view->segments[i]);
    if (c.n > 1 || (c.n == 1 && c.segments[0]->n_dead))
        status = merge_chosen(index, &c, false);
    pthread_mutex_unlock(&index->change_lock);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "bm25 index: out of memory while merging %zu segments",
                        c.n);
    return RAG_OK;
}
