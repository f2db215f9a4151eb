#include "daemon/collection_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "daemon/collections.h"
#include "retrieve/fields.h"

#define SLICE 4096 /* passages per batch while rebuilding: bounds its memory */

/* What the store holds and what the index holds, as ascending (id, owners). */
struct holding {
    uint64_t id;
    uint64_t n_owners;
};
struct holdings {
    struct holding *items; /* owned */
    size_t n;
    size_t cap;
    bool failed; /* out of memory */
};

static void holdings_add(struct holdings *h, uint64_t id, uint64_t n_owners)
{
    if (h->n == h->cap) {
        size_t cap = h->cap ? h->cap * 2 : 1024;
        struct holding *items = realloc(h->items, cap * sizeof *items);

        if (!items) {
            h->failed = true;
            return;
        }
        h->items = items;
        h->cap = cap;
    }
    h->items[h->n++] = (struct holding){id, n_owners};
}

enum rag_status collection_index_postings(const struct analyzer *analyzer,
                                          const struct store_passage *p,
                                          struct bm25_posting **ret_postings, size_t *ret_n,
                                          uint32_t *ret_length)
{
    struct passage_fields fields = {p->title, p->heading, p->context, p->text, p->text_bytes};

    return passage_postings(analyzer, &fields, ret_postings, ret_n, ret_length);
}

enum rag_status collection_index_add(const struct analyzer *analyzer, struct bm25_batch *batch,
                                     const struct store_passage *p, struct rag_error *reterr)
{
    struct bm25_posting *postings = NULL;
    enum rag_status status;
    uint32_t length = 0;
    size_t n = 0;

    status = collection_index_postings(analyzer, p, &postings, &n, &length);
    if (status == RAG_OK)
        status = bm25_batch_add(batch, p->id, postings, n, length);
    free(postings);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "passage %llu: cannot be indexed (%s)",
                        (unsigned long long)p->id, rag_status_code(status));
    return RAG_OK;
}

/* ---- rebuild ---- */

struct rebuild {
    const struct collection_index_source *source;
    struct bm25 *index;
    struct bm25_batch *batch;
    size_t n_in_batch;
    uint64_t n;
};

static enum rag_status flush(struct rebuild *r, uint64_t change, struct rag_error *reterr)
{
    enum rag_status status = bm25_apply(r->index, r->batch, change, reterr);

    bm25_batch_free(r->batch);
    r->batch = NULL;
    r->n_in_batch = 0;
    return status;
}

static enum rag_status rebuild_one(void *context, const struct store_passage *p,
                                   struct rag_error *reterr)
{
    struct rebuild *r = context;
    enum rag_status status = RAG_OK;

    if (!r->batch && bm25_batch_new(&r->batch) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "index: out of memory");
    /* each owner is one add: the first brings the postings, the others count */
    for (uint64_t k = 0; k < p->n_owners && status == RAG_OK; k++)
        status = collection_index_add(r->source->analyzer, r->batch, p, reterr);
    r->n++;
    if (status == RAG_OK && ++r->n_in_batch == SLICE)
        status = flush(r, 0, reterr);
    return status;
}

static enum rag_status rebuild(const struct collection_index_source *source, struct bm25 **ret,
                               struct rag_error *reterr)
{
    struct rebuild r = {.source = source};
    enum rag_status status = bm25_new(&source->bm25, &r.index);
    uint64_t change = 0;

    if (status != RAG_OK)
        return rag_fail(reterr, status, "index: out of memory");
    status = store_collection_chunks(source->store, source->collection_id, true, rebuild_one, &r,
                                     &change, reterr);
    if (status == RAG_OK && !r.batch && bm25_batch_new(&r.batch) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "index: out of memory");
    if (status == RAG_OK)
        status = flush(&r, change, reterr);
    bm25_batch_free(r.batch);
    if (status != RAG_OK) {
        bm25_free(r.index);
        return status;
    }
    *ret = r.index;
    return RAG_OK;
}

/* ---- reconcile ---- */

static enum rag_status hold_stored(void *context, const struct store_passage *p,
                                   struct rag_error *reterr)
{
    struct holdings *h = context;

    holdings_add(h, p->id, p->n_owners);
    return h->failed ? rag_fail(reterr, RAG_ENOMEM, "index: out of memory") : RAG_OK;
}

static void hold_indexed(void *context, uint64_t id, uint32_t n_owners)
{
    holdings_add(context, id, n_owners);
}

static enum rag_status holdings_load(const struct collection_index_source *source,
                                     struct bm25 *index, struct holdings *stored,
                                     struct holdings *indexed, uint64_t *ret_change,
                                     struct rag_error *reterr)
{
    enum rag_status status = store_collection_chunks(source->store, source->collection_id, false,
                                                     hold_stored, stored, ret_change, reterr);

    if (status == RAG_OK)
        status = bm25_each(index, hold_indexed, indexed);
    if (status == RAG_OK && indexed->failed)
        status = RAG_ENOMEM;
    if (status == RAG_ENOMEM)
        rag_fail(reterr, status, "index: out of memory");
    return status;
}

/* Walk both lists; tell visit what differs: owners to add (> 0) or to take away (< 0). */
static enum rag_status holdings_diff(const struct holdings *stored, const struct holdings *indexed,
                                     enum rag_status (*visit)(void *context, uint64_t id,
                                                              int64_t owners, bool fresh),
                                     void *context)
{
    enum rag_status status = RAG_OK;
    size_t s = 0;
    size_t i = 0;

    while (status == RAG_OK && (s < stored->n || i < indexed->n)) {
        const struct holding *a = s < stored->n ? &stored->items[s] : NULL;
        const struct holding *b = i < indexed->n ? &indexed->items[i] : NULL;

        if (!b || (a && a->id < b->id)) {
            status = visit(context, a->id, (int64_t)a->n_owners, true);
            s++;
        } else if (!a || b->id < a->id) {
            status = visit(context, b->id, -(int64_t)b->n_owners, false);
            i++;
        } else {
            if (a->n_owners != b->n_owners)
                status = visit(context, a->id, (int64_t)(a->n_owners - b->n_owners), false);
            s++;
            i++;
        }
    }
    return status;
}

struct reconcile {
    const struct collection_index_source *source;
    struct bm25_batch *batch;
    struct holdings fresh; /* not in the index: their text has to be read */
    size_t n_changed;
};

static enum rag_status reconcile_one(void *context, uint64_t id, int64_t owners, bool fresh)
{
    struct reconcile *r = context;
    enum rag_status status = RAG_OK;

    r->n_changed++;
    if (fresh) {
        holdings_add(&r->fresh, id, (uint64_t)owners);
        return r->fresh.failed ? RAG_ENOMEM : RAG_OK;
    }
    for (; owners < 0 && status == RAG_OK; owners++)
        status = bm25_batch_remove(r->batch, id, NULL, 0);
    for (; owners > 0 && status == RAG_OK; owners--)
        status = bm25_batch_add(r->batch, id, NULL, 0, 0); /* live: only the owner counts */
    return status;
}

static enum rag_status add_fresh(struct reconcile *r, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct arena arena;

    arena_init(&arena, 1u << 30);
    for (size_t i = 0; i < r->fresh.n && status == RAG_OK; i += 256) {
        size_t n = r->fresh.n - i < 256 ? r->fresh.n - i : 256;
        struct store_passage *passages = NULL;
        uint64_t ids[256];
        size_t n_found = 0;

        for (size_t k = 0; k < n; k++)
            ids[k] = r->fresh.items[i + k].id;
        arena_reset(&arena);
        status = store_passages(r->source->store, ids, n, &arena, &passages, &n_found, reterr);
        for (size_t k = 0; status == RAG_OK && k < n_found; k++)
            for (uint64_t o = 0; status == RAG_OK && o < passages[k].n_owners; o++)
                status = collection_index_add(r->source->analyzer, r->batch, &passages[k], reterr);
    }
    arena_release(&arena);
    return status;
}

static enum rag_status reconcile(const struct collection_index_source *source, struct bm25 *index,
                                 size_t *ret_n, struct rag_error *reterr)
{
    struct reconcile r = {.source = source};
    struct holdings stored = {0};
    struct holdings indexed = {0};
    uint64_t change = 0;
    enum rag_status status;

    status = holdings_load(source, index, &stored, &indexed, &change, reterr);
    if (status == RAG_OK && bm25_batch_new(&r.batch) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "index: out of memory");
    if (status == RAG_OK) {
        status = holdings_diff(&stored, &indexed, reconcile_one, &r);
        if (status != RAG_OK)
            rag_fail(reterr, status, "index: out of memory");
    }
    if (status == RAG_OK)
        status = add_fresh(&r, reterr);
    if (status == RAG_OK)
        status = bm25_apply(index, r.batch, change, reterr);
    bm25_batch_free(r.batch);
    free(stored.items);
    free(indexed.items);
    free(r.fresh.items);
    if (status == RAG_OK)
        *ret_n = r.n_changed;
    return status;
}

enum rag_status collection_index_open(const struct collection_index_source *source,
                                      const char *path, struct bm25 **ret,
                                      struct collection_opened *opened, uint64_t *ret_saved_change,
                                      struct rag_error *why, struct rag_error *reterr)
{
    struct bm25_stats stats;
    struct bm25 *index = NULL;
    enum rag_status status;

    *ret_saved_change = 0;
    status = bm25_load(path, analyzer_fingerprint(source->analyzer), &source->bm25, &index, why);
    if (status == RAG_OK) {
        bm25_stats(index, &stats);
        *ret_saved_change = stats.change;
        if (stats.change != store_last_change(source->store))
            status = reconcile(source, index, &opened->n_reconciled, reterr);
    } else if (status == RAG_ENOMEM) {
        rag_fail(reterr, status, "%s", why->text);
    } else {
        opened->rebuilt = true;
        status = rebuild(source, &index, reterr);
    }
    if (status != RAG_OK) {
        bm25_free(index);
        return status;
    }
    bm25_stats(index, &stats);
    opened->n_passages = stats.n_passages;
    *ret = index;
    return RAG_OK;
}

static enum rag_status count_one(void *context, uint64_t id, int64_t owners, bool fresh)
{
    (void)id;
    (void)owners;
    (void)fresh;
    ++*(uint64_t *)context;
    return RAG_OK;
}

enum rag_status collection_index_check(const struct collection_index_source *source,
                                       struct bm25 *index, uint64_t *ret_n_wrong,
                                       struct rag_error *reterr)
{
    struct holdings stored = {0};
    struct holdings indexed = {0};
    uint64_t n_wrong = 0;
    uint64_t change = 0;
    enum rag_status status;

    status = holdings_load(source, index, &stored, &indexed, &change, reterr);
    if (status == RAG_OK)
        status = holdings_diff(&stored, &indexed, count_one, &n_wrong);
    free(stored.items);
    free(indexed.items);
    if (status == RAG_OK)
        *ret_n_wrong = n_wrong;
    return status;
}
