/* Applying a batch: plan what each id comes to, build the segment and the df run beside
 * the published view, then mark, count and publish, which cannot fail. */
#include <stdlib.h>
#include <string.h>

#include "retrieve/bm25_index.h"

struct death {
    struct bm25_segment *segment;
    uint32_t doc;
    const struct bm25_batch_op *op;
};

struct plan {
    const struct bm25_batch_op **removes; /* by id */
    const struct bm25_batch_op **adds;    /* by id */
    struct death *deaths;
    size_t n_deaths;
    struct bm25_owner *owners; /* new counts */
    size_t n_owners;
    size_t n_shared;                       /* of them more than one owner */
    const struct bm25_batch_op **new_adds; /* ascending ids */
    uint32_t n_new;
    uint64_t new_length;
    uint64_t dead_length;
};

static void plan_release(struct plan *p)
{
    free(p->removes);
    free(p->adds);
    free(p->deaths);
    free(p->owners);
    free(p->new_adds);
}

static int by_id(const void *a, const void *b)
{
    const struct bm25_batch_op *x = *(const struct bm25_batch_op *const *)a;
    const struct bm25_batch_op *y = *(const struct bm25_batch_op *const *)b;

    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x > y) - (x < y); /* both in one array: the order they came in */
}

static enum rag_status plan_alloc(struct plan *p, const struct bm25_batch *batch)
{
    size_t n_all = batch->n_adds + batch->n_removes + 1;

    memset(p, 0, sizeof *p);
    p->removes = calloc(batch->n_removes + 1, sizeof *p->removes);
    p->adds = calloc(batch->n_adds + 1, sizeof *p->adds);
    p->deaths = calloc(batch->n_removes + 1, sizeof *p->deaths);
    p->owners = calloc(n_all, sizeof *p->owners);
    p->new_adds = calloc(batch->n_adds + 1, sizeof *p->new_adds);
    if (!p->removes || !p->adds || !p->deaths || !p->owners || !p->new_adds) {
        plan_release(p);
        return RAG_ENOMEM;
    }
    for (size_t i = 0; i < batch->n_removes; i++)
        p->removes[i] = &batch->removes[i];
    for (size_t i = 0; i < batch->n_adds; i++)
        p->adds[i] = &batch->adds[i];
    qsort(p->removes, batch->n_removes, sizeof *p->removes, by_id);
    qsort(p->adds, batch->n_adds, sizeof *p->adds, by_id);
    return RAG_OK;
}

/* What n_removes removes and n_adds adds of one id (the ops start there) come to. */
static void plan_id(struct plan *p, const struct bm25 *index, uint64_t id,
                    const struct bm25_batch_op *const *removes, size_t n_removes,
                    const struct bm25_batch_op *const *adds, size_t n_adds)
{
    const struct bm25_view *view = index->view;
    size_t i = 0;
    uint32_t doc = 0;
    bool live = bm25_view_find(view, id, &i, &doc);
    uint64_t before = live ? bm25_owners_get(&index->owners, id) : 0;
    uint64_t after = before > n_removes ? before - n_removes : 0;

    if (live && after == 0) {
        size_t r = 0;

        while (r + 1 < n_removes && !removes[r]->has_postings)
            r++;
        p->deaths[p->n_deaths++] = (struct death){view->segments[i], doc, removes[r]};
        p->dead_length += view->segments[i]->lengths[doc];
    }
    if (n_adds && after == 0) {
        size_t a = 0;

        while (a + 1 < n_adds && adds[a]->n == 0)
            a++; /* the first that brings its postings */
        p->new_adds[p->n_new++] = adds[a];
        p->new_length += adds[a]->length;
    }
    after += n_adds;
    if (after > UINT32_MAX)
        after = UINT32_MAX;
    if (after == before || (after <= 1 && before <= 1))
        return;
    p->owners[p->n_owners++] = (struct bm25_owner){id, (uint32_t)after};
    p->n_shared += after > 1;
}

static void plan_ids(struct plan *p, const struct bm25 *index, const struct bm25_batch *batch)
{
    size_t r = 0;
    size_t a = 0;

    while (r < batch->n_removes || a < batch->n_adds) {
        size_t r_end = r;
        size_t a_end = a;
        uint64_t id = r < batch->n_removes ? p->removes[r]->id : p->adds[a]->id;

        if (a < batch->n_adds && p->adds[a]->id < id)
            id = p->adds[a]->id;
        while (r_end < batch->n_removes && p->removes[r_end]->id == id)
            r_end++;
        while (a_end < batch->n_adds && p->adds[a_end]->id == id)
            a_end++;
        plan_id(p, index, id, p->removes + r, r_end - r, p->adds + a, a_end - a);
        r = r_end;
        a = a_end;
    }
}

static int by_doc(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Count the terms of the dying docs whose postings were not given: one scan of each
 * segment that holds some. */
static enum rag_status count_unknown(const struct plan *p, const struct bm25_view *view,
                                     struct bm25_deltas *deltas)
{
    uint32_t *docs = malloc((p->n_deaths + 1) * sizeof *docs);
    enum rag_status status = docs ? RAG_OK : RAG_ENOMEM;

    for (size_t i = 0; i < view->n_segments && status == RAG_OK; i++) {
        uint32_t n = 0;

        for (size_t j = 0; j < p->n_deaths; j++)
            if (p->deaths[j].segment == view->segments[i] && !p->deaths[j].op->has_postings)
                docs[n++] = p->deaths[j].doc;
        qsort(docs, n, sizeof *docs, by_doc);
        if (n)
            status = bm25_segment_count(view->segments[i], docs, n, deltas);
    }
    free(docs);
    return status;
}

/* The df run of the plan's deaths. */
static enum rag_status plan_run(const struct plan *p, const struct bm25_batch *batch,
                                const struct bm25_view *view, struct bm25_run **ret)
{
    struct bm25_deltas deltas = {0};
    enum rag_status status = RAG_OK;
    bool unknown = false;

    for (size_t i = 0; i < p->n_deaths; i++) {
        const struct bm25_batch_op *op = p->deaths[i].op;

        unknown = unknown || !op->has_postings;
        for (uint32_t j = 0; j < op->n && status == RAG_OK; j++)
            status = bm25_deltas_add(&deltas, batch->terms[batch->numbers[op->first + j]], -1);
    }
    if (status == RAG_OK && unknown)
        status = count_unknown(p, view, &deltas);
    if (status == RAG_OK)
        status = bm25_run_new(deltas.terms, deltas.deltas, deltas.n, ret);
    bm25_deltas_release(&deltas);
    return status;
}

/* Everything of the new view that can fail; nothing is visible yet. */
static enum rag_status prepare(struct bm25 *index, const struct plan *p,
                               const struct bm25_batch *batch, struct bm25_view **ret)
{
    struct bm25_view *view = bm25_view_copy(index->view);
    struct bm25_segment *segment = NULL;
    struct bm25_run *run = NULL;
    enum rag_status status = view ? RAG_OK : RAG_ENOMEM;

    for (size_t i = 0; i < p->n_deaths && status == RAG_OK; i++)
        status = bm25_segment_reserve_dead(p->deaths[i].segment);
    if (status == RAG_OK)
        status = bm25_owners_reserve(&index->owners, p->n_shared);
    if (status == RAG_OK && p->n_new)
        status = bm25_batch_segment(batch, p->new_adds, p->n_new, &segment);
    if (status == RAG_OK && p->n_deaths) {
        status = plan_run(p, batch, index->view, &run);
        if (status == RAG_OK)
            status = bm25_view_push_run(view, run);
    }
    if (status != RAG_OK) {
        bm25_segment_unref(segment);
        bm25_view_unref(view);
        return status;
    }
    if (segment)
        view->segments[view->n_segments++] = segment;
    view->seq++;
    view->n_live += p->n_new;
    view->n_live -= p->n_deaths;
    view->total_length += p->new_length;
    view->total_length -= p->dead_length;
    *ret = view;
    return RAG_OK;
}

enum rag_status bm25_apply(struct bm25 *index, const struct bm25_batch *batch, uint64_t change,
                           struct rag_error *reterr)
{
    struct plan plan;
    struct bm25_view *view = NULL;
    enum rag_status status;

    if (plan_alloc(&plan, batch) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "bm25 index: out of memory");
    pthread_mutex_lock(&index->change_lock);
    status = bm25_merge_room(index);
    if (status == RAG_OK) {
        plan_ids(&plan, index, batch);
        if (plan.n_new > BM25_PASSAGES_MAX - index->view->n_live)
            status = rag_fail(reterr, RAG_ELIMIT,
                              "bm25 index: %zu passages and %u more are over the limit of %u",
                              (size_t)index->view->n_live, plan.n_new, BM25_PASSAGES_MAX);
        else
            status = prepare(index, &plan, batch, &view);
    }
    if (status == RAG_OK) {
        if (change > view->change)
            view->change = change;
        for (size_t i = 0; i < plan.n_deaths; i++)
            bm25_segment_mark_dead(plan.deaths[i].segment, plan.deaths[i].doc, view->seq);
        for (size_t i = 0; i < plan.n_owners; i++)
            bm25_owners_set(&index->owners, plan.owners[i].id, plan.owners[i].n);
        bm25_view_publish(index, view);
        bm25_merge_some(index);
    }
    pthread_mutex_unlock(&index->change_lock);
    plan_release(&plan);
    if (status == RAG_ENOMEM)
        return rag_fail(reterr, RAG_ENOMEM, "bm25 index: out of memory");
    return status;
}
