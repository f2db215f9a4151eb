/* Building graphs: which level a row gets, the order of insertion, and the threads. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/splitmix.h"
#include "store/vector_graph.h"

#define ALONE_ROWS                                                                                 \
    1024u         /* inserted by one thread: rows that start together do not see each other */
#define STUCK_S 5 /* after a failure, who is not done by then waits for a lock left taken */

/* A number from the row alone: the same rows make the same graph. Never the same for two rows. */
static uint64_t mix(uint64_t row)
{
    return splitmix_next(&row);
}

int vector_graph_level(uint32_t row, size_t m)
{
    double u = ((double)(mix(row) >> 11) + 1.0) * 0x1p-53;
    int level = 1 + (int)(-log(u) / log((double)m));

    return level;
}

struct insertion {
    uint32_t row;
    int level;
    uint64_t key;
};

struct work {
    const struct vector_rows *rows;
    struct vector_faiss *graph;
    const struct vector_build *build;
    struct insertion *order;
    size_t n;
    atomic_size_t next;
    atomic_int status; /* the first failure */
    pthread_mutex_t lock;
    pthread_cond_t done;
    size_t n_running; /* lock */
};

/* ---- one thread ---- */

struct inserter {
    const struct vector_rows *rows;
    struct vector_query query;
};

static float to_row(void *context, uint32_t row)
{
    const struct inserter *x = context;

    return vector_rows_scan(x->rows, &x->query, row);
}

static float between(void *context, uint32_t a, uint32_t b)
{
    const struct inserter *x = context;

    return vector_rows_between(x->rows, a, b);
}

static void fail(struct work *w, enum rag_status status)
{
    int none = RAG_OK;

    (void)atomic_compare_exchange_strong(&w->status, &none, status);
}

/* Insert rows of the order below 'end' until there are no more. */
static void insert_some(struct work *w, size_t end)
{
    static const struct vector_faiss_products products = {to_row, between};
    struct inserter x = {.rows = w->rows};
    struct vector_faiss_scratch *scratch = NULL;
    enum rag_status status = vector_query_init(&x.query, w->rows);

    if (status == RAG_OK)
        status = vector_faiss_scratch_new(w->graph, &products, &x, &scratch);
    while (status == RAG_OK && atomic_load(&w->status) == RAG_OK) {
        size_t i = atomic_fetch_add(&w->next, 1);

        if (i >= end)
            break;
        if (atomic_load(w->build->stop)) {
            status = RAG_ECANCELLED;
            break;
        }
        vector_query_set_row(&x.query, w->rows, w->order[i].row);
        status = vector_faiss_insert(w->graph, scratch, w->order[i].row);
    }
    if (status != RAG_OK)
        fail(w, status);
    vector_faiss_scratch_free(scratch);
    vector_query_release(&x.query);
}

static void *inserter_main(void *context)
{
    struct work *w = context;

    insert_some(w, w->n);
    pthread_mutex_lock(&w->lock);
    w->n_running--;
    pthread_cond_signal(&w->done);
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- all threads ---- */

/* Wait until every thread is done; free those that wait for a lock which a failure left taken. */
static void wait_for_all(struct work *w)
{
    struct timespec until;

    pthread_mutex_lock(&w->lock);
    while (w->n_running) {
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += STUCK_S;
        if (pthread_cond_timedwait(&w->done, &w->lock, &until) == ETIMEDOUT && w->n_running &&
            atomic_load(&w->status) != RAG_OK)
            vector_faiss_unlock(w->graph);
    }
    pthread_mutex_unlock(&w->lock);
}

static void insert_all(struct work *w, size_t n_before)
{
    size_t alone = n_before < ALONE_ROWS ? ALONE_ROWS : 1; /* the first may add a level */
    pthread_t threads[VECTOR_BUILD_THREADS_MAX];
    size_t n_threads = 0;

    if (w->build->n_threads <= 1 || w->n <= alone) {
        insert_some(w, w->n);
        return;
    }
    insert_some(w, alone);
    atomic_store(&w->next, alone);
    pthread_mutex_lock(&w->lock);
    while (n_threads < w->build->n_threads && n_threads < VECTOR_BUILD_THREADS_MAX &&
           pthread_create(&threads[n_threads], NULL, inserter_main, w) == 0)
        n_threads++;
    w->n_running = n_threads;
    pthread_mutex_unlock(&w->lock);
    if (n_threads == 0)
        insert_some(w, w->n);
    wait_for_all(w);
    for (size_t i = 0; i < n_threads; i++)
        (void)pthread_join(threads[i], NULL);
}

static int by_level(const void *a, const void *b)
{
    const struct insertion *x = a;
    const struct insertion *y = b;

    if (x->level != y->level)
        return x->level > y->level ? -1 : 1;
    return (x->key > y->key) - (x->key < y->key); /* mix() is a bijection: never equal */
}

/* Levels of all rows, and the order of insertion of the new ones: from the highest level down, in
 * a random order within one. Rows that are dead already get no level. */
static enum rag_status plan(struct work *w, const struct vector_graph *from, size_t n, uint64_t seq)
{
    const size_t n_from = from ? from->links.n : 0;
    int *levels = malloc((n + 1) * sizeof *levels);
    enum rag_status status = RAG_ENOMEM;
    struct vector_links links;

    w->order = malloc((n - n_from + 1) * sizeof *w->order);
    if (!levels || !w->order)
        goto out;
    vector_faiss_links(w->graph, &links);
    if (n_from)
        memcpy(levels, from->links.levels, n_from * sizeof *levels);
    for (size_t i = n_from; i < n; i++) {
        uint32_t row = (uint32_t)i;
        int level = vector_graph_level(row, w->build->m);

        levels[i] = 0;
        if (vector_rows_dead(w->rows, row, seq))
            continue;
        levels[i] = level < (int)links.n_levels ? level : (int)links.n_levels;
        w->order[w->n++] = (struct insertion){row, levels[i], mix(row)};
    }
    qsort(w->order, w->n, sizeof *w->order, by_level);
    status = vector_faiss_set_size(w->graph, from ? from->faiss : NULL, levels, n);

out:
    free(levels);
    return status;
}

enum rag_status vector_graph_build(const struct vector_rows *rows, const struct vector_graph *from,
                                   size_t n, uint64_t seq, const struct vector_build *build,
                                   struct vector_graph **ret)
{
    struct work w = {.rows = rows, .build = build};
    enum rag_status status;

    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.done, NULL);
    status = vector_faiss_new(build->m, build->ef_construction, &w.graph);
    if (status == RAG_OK)
        status = plan(&w, from, n, seq);
    if (status == RAG_OK)
        status = vector_faiss_begin(w.graph);
    if (status == RAG_OK) {
        insert_all(&w, from ? from->links.n : 0);
        status = (enum rag_status)atomic_load(&w.status);
        vector_faiss_end(w.graph);
    }
    if (status == RAG_OK) {
        struct vector_faiss *graph = w.graph;

        w.graph = NULL; /* taken over */
        status = vector_graph_wrap(rows, graph, ret);
    }
    vector_faiss_free(w.graph);
    free(w.order);
    pthread_cond_destroy(&w.done);
    pthread_mutex_destroy(&w.lock);
    return status;
}

/* ---- rows by id ---- */

struct id_row {
    uint64_t id;
    uint32_t row;
};

static int by_id_then_row(const void *a, const void *b)
{
    const struct id_row *x = a;
    const struct id_row *y = b;

    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static enum rag_status sort_by_id(const struct vector_rows *rows, size_t n, uint32_t **ret)
{
    bool ascend = true;
    struct id_row *pairs;
    uint32_t *by_id;

    *ret = NULL;
    for (size_t i = 1; i < n && ascend; i++)
        ascend = vector_rows_id(rows, (uint32_t)i) > vector_rows_id(rows, (uint32_t)i - 1);
    if (ascend)
        return RAG_OK;
    pairs = malloc(n * sizeof *pairs);
    by_id = malloc(n * sizeof *by_id);
    if (!pairs || !by_id) {
        free(pairs);
        free(by_id);
        return RAG_ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        pairs[i] = (struct id_row){vector_rows_id(rows, (uint32_t)i), (uint32_t)i};
    qsort(pairs, n, sizeof *pairs, by_id_then_row);
    for (size_t i = 0; i < n; i++)
        by_id[i] = pairs[i].row;
    free(pairs);
    *ret = by_id;
    return RAG_OK;
}

enum rag_status vector_graph_wrap(const struct vector_rows *rows, struct vector_faiss *faiss,
                                  struct vector_graph **ret)
{
    struct vector_graph *graph = calloc(1, sizeof *graph);
    enum rag_status status = RAG_ENOMEM;

    if (graph) {
        vector_faiss_links(faiss, &graph->links);
        status = sort_by_id(rows, graph->links.n, &graph->by_id);
    }
    if (status != RAG_OK) {
        free(graph);
        vector_faiss_free(faiss);
        return status;
    }
    atomic_init(&graph->refs, 1);
    graph->faiss = faiss;
    *ret = graph;
    return RAG_OK;
}
