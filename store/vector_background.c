/* What the index builds behind the searches, and when (vector_view.h, invariant 3). */
#include <stdlib.h>
#include <string.h>

#include "store/vector_view.h"

/* A delta of this many rows is scanned in some 0.2 ms; inserting them takes seconds, beside which
 * copying the links of a million rows is little. */
#define DELTA_MAX 4096u
/* Dead rows are walked through and keep their memory: they may be a third of the live ones. */
#define DEAD_MIN  1024u

static bool too_many_dead(const struct vector_view *view)
{
    size_t n_dead = view->n_rows - view->n_live;

    return n_dead >= DEAD_MIN && n_dead > view->n_live / 3;
}

static bool wants_graph(const struct vector_index *ix, size_t n_live)
{
    return ix->options.hnsw_min && n_live >= ix->options.hnsw_min;
}

static bool too_large_delta(const struct vector_index *ix, const struct vector_view *view)
{
    if (!view->graph)
        return wants_graph(ix, view->n_live);
    return view->n_rows - vector_view_n_graph(view) >= DELTA_MAX;
}

bool vector_build_useful(const struct vector_index *ix, const struct vector_view *view)
{
    return too_many_dead(view) || too_large_delta(ix, view);
}

static struct vector_build build_of(const struct vector_index *ix)
{
    return (struct vector_build){
        .m = ix->options.m,
        .ef_construction = ix->options.ef_construction,
        .n_threads = ix->options.n_build_threads,
        .stop = &ix->stopping,
    };
}

/* ---- a graph over more rows ---- */

/* change_lock is held on entry and on return, not in between. */
static enum rag_status extend(struct vector_index *ix, const struct vector_view *from)
{
    const struct vector_build build = build_of(ix);
    struct vector_graph *graph = NULL;
    struct vector_view *view;
    enum rag_status status;

    pthread_mutex_unlock(&ix->change_lock);
    status = vector_graph_build(from->rows, from->graph, from->n_rows, from->seq, &build, &graph);
    pthread_mutex_lock(&ix->change_lock);
    if (status != RAG_OK)
        return status;
    view = vector_view_copy(ix->view);
    if (!view) {
        vector_graph_unref(graph);
        return RAG_ENOMEM;
    }
    vector_graph_unref(view->graph); /* this view's reference only */
    view->graph = graph;
    vector_view_publish(ix, view);
    return RAG_OK;
}

/* ---- only what lives, in rows of its own ---- */

struct id_row {
    uint64_t id;
    uint32_t row;
};

static int by_id(const void *a, const void *b)
{
    uint64_t x = ((const struct id_row *)a)->id;
    uint64_t y = ((const struct id_row *)b)->id;

    return (x > y) - (x < y);
}

/* The live rows of a view by id. */
static enum rag_status live_rows(const struct vector_view *view, struct id_row **ret)
{
    struct id_row *live = malloc((view->n_live + 1) * sizeof *live);
    size_t n = 0;

    if (!live)
        return RAG_ENOMEM;
    for (size_t r = 0; r < view->n_rows; r++)
        if (!vector_rows_dead(view->rows, (uint32_t)r, view->seq))
            live[n++] = (struct id_row){vector_rows_id(view->rows, (uint32_t)r), (uint32_t)r};
    qsort(live, n, sizeof *live, by_id);
    *ret = live;
    return RAG_OK;
}

/* change_lock is held: bring the view, which holds the live rows of 'from', to what the index
 * holds by now: rows that came, rows that died. */
static enum rag_status catch_up(struct vector_index *ix, const struct vector_view *from,
                                const struct id_row *live, struct vector_view *view,
                                struct vector_table *table)
{
    const struct vector_view *now = ix->view;
    enum rag_status status = vector_rows_reserve(view->rows, view->n_rows + now->n_rows);

    view->seq = now->seq + 1;
    if (status == RAG_OK)
        status = vector_table_reserve(table, view->rows, now->n_live);
    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < from->n_live; i++) {
        if (vector_rows_dead(now->rows, live[i].row, now->seq))
            vector_rows_kill(view->rows, (uint32_t)i, view->seq);
        else
            vector_table_insert(table, view->rows, (uint32_t)i);
    }
    for (size_t r = from->n_rows; r < now->n_rows; r++) {
        if (vector_rows_dead(now->rows, (uint32_t)r, now->seq))
            continue;
        vector_rows_copy(view->rows, (uint32_t)view->n_rows, now->rows, (uint32_t)r);
        vector_table_insert(table, view->rows, (uint32_t)view->n_rows++);
    }
    view->n_live = table->n;
    return RAG_OK;
}

/* change_lock is held on entry and on return, not while the rows are copied and linked. */
static enum rag_status compact(struct vector_index *ix, const struct vector_view *from)
{
    const struct vector_build build = build_of(ix);
    struct vector_view *view = calloc(1, sizeof *view);
    struct vector_table table = {0};
    struct id_row *live = NULL;
    enum rag_status status = RAG_ENOMEM;

    pthread_mutex_unlock(&ix->change_lock);
    if (view) {
        atomic_init(&view->refs, 1);
        view->rows = vector_rows_new(ix->options.dim, ix->options.storage);
    }
    if (view && view->rows)
        status = live_rows(from, &live);
    if (status == RAG_OK)
        status = vector_rows_reserve(view->rows, from->n_live);
    for (size_t i = 0; i < from->n_live && status == RAG_OK; i++)
        vector_rows_copy(view->rows, (uint32_t)i, from->rows, live[i].row);
    if (status == RAG_OK) {
        view->n_rows = from->n_live;
        if (wants_graph(ix, view->n_rows))
            status = vector_graph_build(view->rows, NULL, view->n_rows, 0, &build, &view->graph);
    }
    pthread_mutex_lock(&ix->change_lock);
    if (status == RAG_OK)
        status = catch_up(ix, from, live, view, &table);
    if (status == RAG_OK) {
        free(ix->table.slots);
        ix->table = table; /* taken over */
        table.slots = NULL;
        vector_view_publish(ix, view);
        view = NULL;
    }
    free(table.slots);
    free(live);
    vector_view_unref(view);
    return status;
}

/* ---- the thread ---- */

static void *builder_main(void *context)
{
    struct vector_index *ix = context;

    pthread_mutex_lock(&ix->change_lock);
    while (!atomic_load(&ix->stopping)) {
        struct vector_view *from = vector_view_get(ix);
        bool useful = !ix->build_failed && vector_build_useful(ix, from);
        enum rag_status status = RAG_OK;

        ix->building = useful;
        if (useful)
            status = too_many_dead(from) ? compact(ix, from) : extend(ix, from);
        vector_view_unref(from);
        /* out of memory: try again after the next change, when some may be free */
        ix->build_failed = ix->build_failed || status != RAG_OK;
        if (useful && status == RAG_OK)
            continue;
        ix->building = false;
        pthread_cond_broadcast(&ix->built_cond);
        if (!atomic_load(&ix->stopping))
            pthread_cond_wait(&ix->build_cond, &ix->change_lock);
    }
    ix->building = false;
    pthread_cond_broadcast(&ix->built_cond);
    pthread_mutex_unlock(&ix->change_lock);
    return NULL;
}

void vector_build_wanted(struct vector_index *ix)
{
    if (ix->building || !vector_build_useful(ix, ix->view))
        return;
    if (!ix->builder_runs && pthread_create(&ix->builder, NULL, builder_main, ix) == 0)
        ix->builder_runs = true;
    if (!ix->builder_runs)
        return; /* no thread to be had: everything is scanned, and a later change tries again */
    ix->building = true;
    pthread_cond_signal(&ix->build_cond);
}

void vector_build_stop(struct vector_index *ix)
{
    pthread_mutex_lock(&ix->change_lock);
    atomic_store(&ix->stopping, true);
    pthread_cond_signal(&ix->build_cond);
    pthread_mutex_unlock(&ix->change_lock);
    if (ix->builder_runs)
        pthread_join(ix->builder, NULL);
}

void vector_index_settle(struct vector_index *ix)
{
    pthread_mutex_lock(&ix->change_lock);
    while (ix->building)
        pthread_cond_wait(&ix->built_cond, &ix->change_lock);
    pthread_mutex_unlock(&ix->change_lock);
}
