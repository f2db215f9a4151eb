/* The index and its views. Invariants and locks: bm25_index.h. */
#include "retrieve/bm25.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "retrieve/bm25_index.h"

/* ---- views ---- */

struct bm25_view *bm25_view_get(struct bm25 *index)
{
    struct bm25_view *view;

    pthread_mutex_lock(&index->view_lock);
    view = index->view;
    atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&index->view_lock);
    return view;
}

void bm25_view_unref(struct bm25_view *view)
{
    if (!view || atomic_fetch_sub_explicit(&view->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < view->n_segments; i++)
        bm25_segment_unref(view->segments[i]);
    for (size_t i = 0; i < view->n_runs; i++)
        bm25_run_unref(view->runs[i]);
    free(view);
}

struct bm25_view *bm25_view_copy(const struct bm25_view *view)
{
    struct bm25_view *copy = calloc(1, sizeof *copy);

    if (!copy)
        return NULL;
    atomic_init(&copy->refs, 1);
    copy->seq = view->seq;
    copy->change = view->change;
    copy->n_live = view->n_live;
    copy->total_length = view->total_length;
    copy->n_segments = view->n_segments;
    copy->n_runs = view->n_runs;
    memcpy(copy->segments, view->segments, sizeof copy->segments);
    memcpy(copy->runs, view->runs, sizeof copy->runs);
    for (size_t i = 0; i < copy->n_segments; i++)
        bm25_segment_ref(copy->segments[i]);
    for (size_t i = 0; i < copy->n_runs; i++)
        atomic_fetch_add_explicit(&copy->runs[i]->refs, 1, memory_order_relaxed);
    return copy;
}

enum rag_status bm25_view_push_run(struct bm25_view *view, struct bm25_run *run)
{
    while (view->n_runs > 0 &&
           (view->runs[view->n_runs - 1]->n < 2 * run->n || view->n_runs == BM25_RUNS_MAX)) {
        struct bm25_run *last = view->runs[view->n_runs - 1];
        struct bm25_run *joined;
        enum rag_status status = bm25_run_join(last, run, &joined);

        bm25_run_unref(run);
        if (status != RAG_OK)
            return status;
        bm25_run_unref(last);
        view->n_runs--;
        run = joined;
    }
    if (run->n)
        view->runs[view->n_runs++] = run;
    else
        bm25_run_unref(run);
    return RAG_OK;
}

void bm25_view_publish(struct bm25 *index, struct bm25_view *view)
{
    struct bm25_view *old;

    pthread_mutex_lock(&index->view_lock);
    old = index->view;
    index->view = view;
    pthread_mutex_unlock(&index->view_lock);
    bm25_view_unref(old);
}

bool bm25_view_find(const struct bm25_view *view, uint64_t id, size_t *ret_segment,
                    uint32_t *ret_doc)
{
    for (size_t i = view->n_segments; i-- > 0;) {
        uint32_t doc = bm25_segment_find(view->segments[i], id);

        if (doc == BM25_NO_DOC || bm25_segment_dead(view->segments[i], doc, view->seq))
            continue;
        *ret_segment = i;
        *ret_doc = doc;
        return true;
    }
    return false;
}

/* ---- the index ---- */

enum rag_status bm25_new(const struct bm25_options *options, struct bm25 **ret)
{
    struct bm25 *index;

    if (!(options->k1 > 0) || !isfinite(options->k1) || !(options->b >= 0 && options->b <= 1))
        return RAG_EINVAL;
    index = calloc(1, sizeof *index);
    if (!index)
        return RAG_ENOMEM;
    index->view = calloc(1, sizeof *index->view);
    if (!index->view) {
        free(index);
        return RAG_ENOMEM;
    }
    atomic_init(&index->view->refs, 1);
    index->options = *options;
    index->kernels = bm25_kernels_variant(0);
    pthread_mutex_init(&index->change_lock, NULL);
    pthread_mutex_init(&index->view_lock, NULL);
    pthread_cond_init(&index->merge_cond, NULL);
    pthread_cond_init(&index->merged_cond, NULL);
    *ret = index;
    return RAG_OK;
}

void bm25_free(struct bm25 *index)
{
    if (!index)
        return;
    bm25_merge_stop(index);
    bm25_view_unref(index->view);
    free(index->owners.slots);
    pthread_cond_destroy(&index->merged_cond);
    pthread_cond_destroy(&index->merge_cond);
    pthread_mutex_destroy(&index->view_lock);
    pthread_mutex_destroy(&index->change_lock);
    free(index);
}

void bm25_stats(struct bm25 *index, struct bm25_stats *ret)
{
    struct bm25_view *view = bm25_view_get(index);

    memset(ret, 0, sizeof *ret);
    ret->n_passages = view->n_live;
    ret->n_segments = view->n_segments;
    ret->change = view->change;
    ret->bytes = sizeof *index + sizeof *view;
    for (size_t i = 0; i < view->n_segments; i++) {
        const struct bm25_segment *s = view->segments[i];
        bool marks = atomic_load_explicit(&s->dead, memory_order_relaxed) != NULL;

        ret->n_tombstones += s->shape.n_docs;
        ret->n_postings += s->n_postings;
        ret->n_terms += s->shape.n_terms;
        ret->bytes += sizeof *s + s->image_bytes + (marks ? 8ull * s->shape.n_docs : 0);
    }
    ret->n_tombstones -= view->n_live;
    for (size_t i = 0; i < view->n_runs; i++)
        ret->bytes += sizeof *view->runs[i] + 16 * view->runs[i]->n;
    bm25_view_unref(view);
}

bool bm25_walk_next(struct bm25_walk *w, const struct bm25_view *view, uint64_t *ret_id)
{
    for (;;) {
        size_t least = SIZE_MAX;
        const struct bm25_segment *s;
        uint32_t doc;

        for (size_t i = 0; i < view->n_segments; i++)
            if (w->at[i] < view->segments[i]->shape.n_docs &&
                (least == SIZE_MAX ||
                 view->segments[i]->ids[w->at[i]] < view->segments[least]->ids[w->at[least]]))
                least = i;
        if (least == SIZE_MAX)
            return false;
        s = view->segments[least];
        doc = w->at[least]++;
        if (bm25_segment_dead(s, doc, view->seq))
            continue;
        *ret_id = s->ids[doc];
        return true;
    }
}

enum rag_status bm25_each(struct bm25 *index,
                          void (*visit)(void *context, uint64_t id, uint32_t n_owners),
                          void *context)
{
    struct bm25_walk walk = {{0}};
    struct bm25_owners owners = {0};
    struct bm25_view *view;
    uint64_t id;
    enum rag_status status;

    pthread_mutex_lock(&index->change_lock); /* owners and view of the same moment */
    status = bm25_owners_copy(&index->owners, &owners);
    view = bm25_view_get(index);
    pthread_mutex_unlock(&index->change_lock);
    while (status == RAG_OK && bm25_walk_next(&walk, view, &id))
        visit(context, id, bm25_owners_get(&owners, id));
    bm25_view_unref(view);
    free(owners.slots);
    return status;
}

void bm25_has(struct bm25 *index, const uint64_t *ids, size_t n, bool *ret)
{
    struct bm25_view *view = bm25_view_get(index);
    size_t segment;
    uint32_t doc;

    for (size_t i = 0; i < n; i++)
        ret[i] = bm25_view_find(view, ids[i], &segment, &doc);
    bm25_view_unref(view);
}
