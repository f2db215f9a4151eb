/* The index, its views and its changes. Invariants and locks: vector_view.h. */
#include "store/vector_index.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/vector_view.h"

#define M_DEFAULT               16u
#define EF_CONSTRUCTION_DEFAULT 128u
#define EF_SEARCH_DEFAULT       96u

/* ---- views ---- */

struct vector_view *vector_view_get(struct vector_index *ix)
{
    struct vector_view *view;

    pthread_mutex_lock(&ix->view_lock);
    view = ix->view;
    atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&ix->view_lock);
    return view;
}

void vector_view_unref(struct vector_view *view)
{
    if (!view || atomic_fetch_sub_explicit(&view->refs, 1, memory_order_acq_rel) != 1)
        return;
    vector_graph_unref(view->graph);
    vector_rows_unref(view->rows);
    free(view);
}

struct vector_view *vector_view_copy(const struct vector_view *view)
{
    struct vector_view *copy = malloc(sizeof *copy);

    if (!copy)
        return NULL;
    atomic_init(&copy->refs, 1);
    copy->seq = view->seq + 1;
    copy->rows = view->rows;
    copy->n_rows = view->n_rows;
    copy->n_live = view->n_live;
    copy->graph = view->graph;
    vector_rows_ref(copy->rows);
    if (copy->graph)
        vector_graph_ref(copy->graph);
    return copy;
}

void vector_view_publish(struct vector_index *ix, struct vector_view *view)
{
    struct vector_view *old;

    pthread_mutex_lock(&ix->view_lock);
    old = ix->view;
    ix->view = view;
    pthread_mutex_unlock(&ix->view_lock);
    vector_view_unref(old);
}

/* ---- the table of live ids ---- */

static size_t slot_of(const struct vector_table *t, uint64_t id)
{
    return (size_t)((id * 0x9E3779B97F4A7C15u) >> 32) & (t->cap - 1);
}

/* Where the id is, or the free slot where it would be. The table has room. */
static size_t find_slot(const struct vector_table *t, const struct vector_rows *rows, uint64_t id)
{
    size_t i = slot_of(t, id);

    while (t->slots[i] && vector_rows_id(rows, t->slots[i] - 1) != id)
        i = (i + 1) & (t->cap - 1);
    return i;
}

uint32_t vector_table_find(const struct vector_table *t, const struct vector_rows *rows,
                           uint64_t id)
{
    return t->cap ? t->slots[find_slot(t, rows, id)] - 1 : VECTOR_NO_ROW; /* 0 - 1: no row */
}

void vector_table_insert(struct vector_table *t, const struct vector_rows *rows, uint32_t r)
{
    t->slots[find_slot(t, rows, vector_rows_id(rows, r))] = r + 1;
    t->n++;
}

enum rag_status vector_table_reserve(struct vector_table *t, const struct vector_rows *rows,
                                     size_t n)
{
    struct vector_table larger = {.cap = t->cap ? t->cap : 16};

    while (larger.cap / 4 * 3 < t->n + n)
        larger.cap *= 2;
    if (larger.cap == t->cap)
        return RAG_OK;
    larger.slots = calloc(larger.cap, sizeof *larger.slots);
    if (!larger.slots)
        return RAG_ENOMEM;
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i])
            vector_table_insert(&larger, rows, t->slots[i] - 1);
    free(t->slots);
    *t = larger;
    return RAG_OK;
}

void vector_table_remove(struct vector_table *t, const struct vector_rows *rows, uint64_t id)
{
    size_t hole = find_slot(t, rows, id);

    if (!t->slots[hole])
        return;
    t->n--;
    for (size_t i = (hole + 1) & (t->cap - 1); t->slots[i]; i = (i + 1) & (t->cap - 1)) {
        size_t home = slot_of(t, vector_rows_id(rows, t->slots[i] - 1));

        /* what would not be found any more with the hole before it moves into it */
        if (((i - home) & (t->cap - 1)) >= ((i - hole) & (t->cap - 1))) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole] = 0;
}

/* ---- the index ---- */

static enum rag_status check_options(struct vector_index_options *o, struct rag_error *reterr)
{
    o->m = o->m ? o->m : M_DEFAULT;
    o->ef_construction = o->ef_construction ? o->ef_construction : EF_CONSTRUCTION_DEFAULT;
    o->ef_search = o->ef_search ? o->ef_search : EF_SEARCH_DEFAULT;
    o->n_build_threads = o->n_build_threads ? o->n_build_threads : 1;
    if (o->dim < 1 || o->dim > EMBEDDING_DIM_MAX)
        return rag_fail(reterr, RAG_EINVAL, "vector index: %zu dimensions, 1 to %d are possible",
                        o->dim, EMBEDDING_DIM_MAX);
    if (o->storage != VECTOR_F32 && o->storage != VECTOR_F16 && o->storage != VECTOR_INT8)
        return rag_fail(reterr, RAG_EINVAL, "vector index: storage %d is unknown", (int)o->storage);
    if (o->m < VECTOR_M_MIN || o->m > VECTOR_M_MAX)
        return rag_fail(reterr, RAG_EINVAL, "vector index: m %zu, %u to %d are possible", o->m,
                        VECTOR_M_MIN, VECTOR_M_MAX);
    if (o->ef_construction > VECTOR_EF_MAX || o->ef_search > VECTOR_EF_MAX)
        return rag_fail(reterr, RAG_EINVAL,
                        "vector index: ef_construction %zu, ef_search %zu, limit %d",
                        o->ef_construction, o->ef_search, VECTOR_EF_MAX);
    if (o->n_build_threads > VECTOR_BUILD_THREADS_MAX)
        o->n_build_threads = VECTOR_BUILD_THREADS_MAX;
    return RAG_OK;
}

enum rag_status vector_index_make(const struct vector_index_options *options,
                                  struct vector_index **ret, struct rag_error *reterr)
{
    struct vector_index_options o = *options;
    struct vector_index *ix;
    enum rag_status status = check_options(&o, reterr);

    if (status != RAG_OK)
        return status;
    ix = calloc(1, sizeof *ix);
    if (ix)
        ix->view = calloc(1, sizeof *ix->view);
    if (ix && ix->view)
        ix->view->rows = vector_rows_new(o.dim, o.storage);
    if (!ix || !ix->view || !ix->view->rows) {
        if (ix)
            free(ix->view);
        free(ix);
        return rag_fail(reterr, RAG_ENOMEM, "vector index: out of memory");
    }
    ix->options = o;
    atomic_init(&ix->view->refs, 1);
    atomic_init(&ix->stopping, false);
    pthread_mutex_init(&ix->change_lock, NULL);
    pthread_mutex_init(&ix->view_lock, NULL);
    pthread_cond_init(&ix->build_cond, NULL);
    pthread_cond_init(&ix->built_cond, NULL);
    *ret = ix;
    return RAG_OK;
}

enum rag_status vector_index_new(const struct vector_index_options *options,
                                 struct vector_index **ret, struct rag_error *reterr)
{
    return vector_index_make(options, ret, reterr);
}

void vector_index_free(struct vector_index *ix)
{
    if (!ix)
        return;
    vector_build_stop(ix);
    vector_view_unref(ix->view);
    free(ix->table.slots);
    pthread_cond_destroy(&ix->built_cond);
    pthread_cond_destroy(&ix->build_cond);
    pthread_mutex_destroy(&ix->view_lock);
    pthread_mutex_destroy(&ix->change_lock);
    free(ix);
}

/* ---- changes ---- */

static enum rag_status check_vectors(const struct vector_index *ix, const uint64_t *ids,
                                     const float *vectors, size_t n, struct rag_error *reterr)
{
    size_t dim = ix->options.dim;

    for (size_t i = 0; i < n; i++) {
        double length;

        if (!vector_is_unit(vectors + i * dim, dim, &length))
            return rag_fail(reterr, RAG_EINVAL,
                            "vector %" PRIu64 ": its length is %g; a unit vector of %zu finite "
                            "numbers is expected",
                            ids[i], length, dim);
    }
    return RAG_OK;
}

static void write_rows(struct vector_index *ix, struct vector_view *view, const uint64_t *ids,
                       const float *vectors, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t old = vector_table_find(&ix->table, view->rows, ids[i]);
        uint32_t row = (uint32_t)view->n_rows++;

        vector_rows_set(view->rows, row, ids[i], vectors + i * ix->options.dim);
        if (old != VECTOR_NO_ROW) {
            vector_rows_kill(view->rows, old, view->seq);
            vector_table_remove(&ix->table, view->rows, ids[i]);
            view->n_live--;
        }
        vector_table_insert(&ix->table, view->rows, row);
        view->n_live++;
    }
}

enum rag_status vector_index_add(struct vector_index *ix, const uint64_t *ids, const float *vectors,
                                 size_t n, struct rag_error *reterr)
{
    enum rag_status status = check_vectors(ix, ids, vectors, n, reterr);
    struct vector_view *view = NULL;

    if (status != RAG_OK || n == 0)
        return status;
    pthread_mutex_lock(&ix->change_lock);
    if (n > VECTORS_MAX - ix->view->n_rows) {
        status = rag_fail(reterr, RAG_ELIMIT, "vector index: %zu more rows than %zu, limit %u", n,
                          ix->view->n_rows, VECTORS_MAX);
        goto out;
    }
    status = vector_rows_reserve(ix->view->rows, ix->view->n_rows + n);
    if (status == RAG_OK)
        status = vector_table_reserve(&ix->table, ix->view->rows, n);
    if (status == RAG_OK)
        view = vector_view_copy(ix->view);
    if (!view) {
        status =
            rag_fail(reterr, RAG_ENOMEM, "vector index: out of memory for %zu more vectors", n);
        goto out;
    }
    write_rows(ix, view, ids, vectors, n);
    vector_view_publish(ix, view);
    ix->build_failed = false;
    vector_build_wanted(ix);

out:
    pthread_mutex_unlock(&ix->change_lock);
    return status;
}

enum rag_status vector_index_remove(struct vector_index *ix, const uint64_t *ids, size_t n,
                                    struct rag_error *reterr)
{
    struct vector_view *view;

    pthread_mutex_lock(&ix->change_lock);
    view = vector_view_copy(ix->view);
    if (!view) {
        pthread_mutex_unlock(&ix->change_lock);
        return rag_fail(reterr, RAG_ENOMEM, "vector index: out of memory to remove %zu vectors", n);
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t row = vector_table_find(&ix->table, view->rows, ids[i]);

        if (row == VECTOR_NO_ROW)
            continue;
        vector_rows_kill(view->rows, row, view->seq);
        vector_table_remove(&ix->table, view->rows, ids[i]);
        view->n_live--;
    }
    vector_view_publish(ix, view);
    ix->build_failed = false;
    vector_build_wanted(ix);
    pthread_mutex_unlock(&ix->change_lock);
    return RAG_OK;
}

/* ---- questions ---- */

bool vector_index_has(struct vector_index *ix, uint64_t id)
{
    bool has;

    pthread_mutex_lock(&ix->change_lock);
    has = vector_table_find(&ix->table, ix->view->rows, id) != VECTOR_NO_ROW;
    pthread_mutex_unlock(&ix->change_lock);
    return has;
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

enum rag_status vector_index_each(struct vector_index *ix,
                                  void (*visit)(void *context, uint64_t id), void *context)
{
    struct vector_view *view = vector_view_get(ix);
    uint64_t *ids = malloc((view->n_live + 1) * sizeof *ids);
    size_t n = 0;

    for (size_t r = 0; ids && r < view->n_rows; r++)
        if (!vector_rows_dead(view->rows, (uint32_t)r, view->seq))
            ids[n++] = vector_rows_id(view->rows, (uint32_t)r);
    vector_view_unref(view);
    if (!ids)
        return RAG_ENOMEM;
    qsort(ids, n, sizeof *ids, by_id);
    for (size_t i = 0; i < n; i++)
        visit(context, ids[i]);
    free(ids);
    return RAG_OK;
}

void vector_index_stats(struct vector_index *ix, struct vector_index_stats *ret)
{
    struct vector_view *view;

    memset(ret, 0, sizeof *ret);
    pthread_mutex_lock(&ix->change_lock);
    view = vector_view_get(ix);
    ret->building = ix->building;
    ret->bytes = ix->table.cap * sizeof *ix->table.slots;
    pthread_mutex_unlock(&ix->change_lock);
    ret->dim = ix->options.dim;
    ret->n = view->n_live;
    ret->n_graph = vector_view_n_graph(view);
    ret->n_delta = view->n_rows - ret->n_graph;
    ret->n_tombstones = view->n_rows - view->n_live;
    ret->bytes += vector_rows_bytes(view->rows, view->n_rows);
    ret->bytes += view->graph ? vector_graph_bytes(view->graph) : 0;
    ret->kind = view->graph ? "hnsw" : "flat";
    vector_view_unref(view);
}
