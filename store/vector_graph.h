/* store/vector_graph.h - an HNSW graph over the first rows of an index, for searching.
 *
 * A graph never changes once made. Level 0 of Malkov and Yashunin's Algorithm 2, with a filter:
 * rows that do not pass are walked through but not kept, so the walk widens by itself until 'ef'
 * passing rows are found and no unseen one looks nearer. */
#ifndef RAG_STORE_VECTOR_GRAPH_H
#define RAG_STORE_VECTOR_GRAPH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id_set.h"
#include "base/status.h"
#include "store/vector_faiss.h"
#include "store/vector_rows.h"

#define VECTOR_M_MIN 4u

struct vector_graph {
    atomic_size_t refs;
    struct vector_faiss *faiss; /* owns what 'links' points to */
    struct vector_links links;  /* links.n rows */
    uint32_t *by_id;            /* the rows by ascending id; NULL: they ascend themselves */
};

struct vector_build {
    size_t m;
    size_t ef_construction;
    size_t n_threads;
    const atomic_bool *stop; /* checked per row */
};

/* A graph of rows 0 .. n - 1, those left out that are dead for 'seq'. 'from' (NULL: none): its
 * links are copied and the rows behind it inserted. With one thread the same rows in the same
 * order give the same graph. RAG_OK, RAG_ENOMEM, RAG_ECANCELLED (*stop), RAG_EINTERNAL. */
enum rag_status vector_graph_build(const struct vector_rows *rows, const struct vector_graph *from,
                                   size_t n, uint64_t seq, const struct vector_build *build,
                                   struct vector_graph **ret);
/* Around links that were read from somewhere else: takes 'faiss' over, on failure too. */
enum rag_status vector_graph_wrap(const struct vector_rows *rows, struct vector_faiss *faiss,
                                  struct vector_graph **ret);
void vector_graph_ref(struct vector_graph *graph);
void vector_graph_unref(struct vector_graph *graph); /* NULL: no-op */
uint64_t vector_graph_bytes(const struct vector_graph *graph);
/* How many levels row r gets: 1 + floor(-ln u / ln m), u in (0, 1] from r alone. */
int vector_graph_level(uint32_t row, size_t m);

struct vector_filter {
    const struct id_set *keep; /* NULL: all */
    uint64_t seq;              /* what is dead for it does not pass */
    bool any_dead;             /* false: nothing is */
};

static inline bool vector_filter_passes(const struct vector_filter *f,
                                        const struct vector_rows *rows, uint32_t r)
{
    return !(f->any_dead && vector_rows_dead(rows, r, f->seq)) &&
           (!f->keep || id_set_has(f->keep, vector_rows_id(rows, r)));
}

struct vector_near {
    float score; /* of a scan */
    uint32_t row;
};

/* Up to ef passing rows near the query, in no order. *ret_complete: false when more than
 * max_products inner products were needed, or what passes lies elsewhere; then the result is poor.
 * ret: room for ef.
 * RAG_OK or RAG_ENOMEM. */
enum rag_status vector_graph_search(const struct vector_graph *graph,
                                    const struct vector_rows *rows, const struct vector_query *q,
                                    const struct vector_filter *filter, size_t ef,
                                    size_t max_products, struct vector_near *ret, size_t *ret_n,
                                    bool *ret_complete);

#endif
