/* store/vector_view.h - the index as its own files see it (vector_*.c).
 *
 * Invariants
 *  1. A view never changes once published: it counts the first n_rows rows, of which the graph (or
 *     NULL) covers the first graph->links.n; the others, the delta, are scanned. Only marks of
 *     death are added to rows, and they carry the number of the change that made them
 *     (vector_rows.h), so that a view sees those of its own number and before.
 *  2. An id is alive in at most one row of a view, and 'table' names that row for the newest view.
 *  3. A graph never changes. More rows get into one by copying its links (memory: the links once
 *     more while it lasts, 8 m + 20 bytes or so a row), which then replaces it. Rows of removed
 *     vectors stay until there are too many of them; then the live ones are copied in the order of
 *     their ids into rows of their own (memory: everything once more while it lasts), with a
 *     graph of their own. Views that searches still hold keep what they had.
 *
 * Locks: 'change_lock' is held through every change (add, remove, publishing what was built)
 * and guards the fields so marked; building itself is done without it. 'view_lock' guards
 * the pointer to the current view and is held for a few instructions. Order: change_lock before
 * view_lock. */
#ifndef RAG_STORE_VECTOR_VIEW_H
#define RAG_STORE_VECTOR_VIEW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/vector_graph.h"
#include "store/vector_index.h"
#include "store/vector_rows.h"

struct vector_view {
    atomic_size_t refs;
    uint64_t seq; /* of the change that made it */
    struct vector_rows *rows;
    size_t n_rows;
    size_t n_live;
    struct vector_graph *graph; /* NULL: none */
};

static inline size_t vector_view_n_graph(const struct vector_view *view)
{
    return view->graph ? view->graph->links.n : 0;
}

/* The rows of live ids: open addressing. */
struct vector_table {
    uint32_t *slots; /* row + 1; 0: free */
    size_t cap;      /* 0 or a power of two, more than 4/3 of n */
    size_t n;
};

#define VECTOR_NO_ROW UINT32_MAX

uint32_t vector_table_find(const struct vector_table *t, const struct vector_rows *rows,
                           uint64_t id);
/* Room for n more ids. RAG_OK or RAG_ENOMEM. */
enum rag_status vector_table_reserve(struct vector_table *t, const struct vector_rows *rows,
                                     size_t n);
/* The id of row r, which is not there, is there now. Needs no memory after a reserve. */
void vector_table_insert(struct vector_table *t, const struct vector_rows *rows, uint32_t r);
void vector_table_remove(struct vector_table *t, const struct vector_rows *rows, uint64_t id);

struct vector_index {
    struct vector_index_options options; /* defaults filled in */
    pthread_mutex_t change_lock;
    struct vector_table table; /* change_lock; of the current view's rows */
    pthread_t builder;         /* change_lock; joined by vector_index_free */
    bool builder_runs;         /* change_lock */
    bool building;             /* change_lock */
    bool build_failed;         /* change_lock: not before the next change again */
    atomic_bool stopping;      /* set under change_lock */
    pthread_cond_t build_cond; /* with change_lock: the builder waits for work */
    pthread_cond_t built_cond; /* with change_lock: vector_index_settle waits for the builder */
    pthread_mutex_t view_lock;
    struct vector_view *view; /* view_lock */
};

/* An empty index without locks taken. The options are checked and have their defaults. */
enum rag_status vector_index_make(const struct vector_index_options *options,
                                  struct vector_index **ret, struct rag_error *reterr);

struct vector_view *vector_view_get(struct vector_index *ix); /* counted */
void vector_view_unref(struct vector_view *view);             /* NULL: no-op */
/* A private copy to change and publish, with the next number. NULL: no memory. */
struct vector_view *vector_view_copy(const struct vector_view *view);
void vector_view_publish(struct vector_index *ix, struct vector_view *view); /* takes it over */

/* change_lock is held: wake the builder when there is something to build. */
void vector_build_wanted(struct vector_index *ix);
void vector_build_stop(struct vector_index *ix); /* and wait */
/* Something to build in this view? */
bool vector_build_useful(const struct vector_index *ix, const struct vector_view *view);

#endif
