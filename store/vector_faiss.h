/* store/vector_faiss.h - building HNSW graphs with FAISS, seen from C.
 *
 * Debian's FAISS has no C symbols, and its C API could neither share our rows nor use our
 * kernels, so vector_faiss.cpp wraps the one class that is needed, faiss::HNSW: it inserts rows
 * into the graph. The rows stay where they are (vector_rows.h); FAISS asks back for inner
 * products. Searching the finished graph needs no FAISS (vector_graph.h).
 *
 * No C++ exception leaves these functions. OpenMP starts no threads: threads of ours insert, and
 * only FAISS's locks are OpenMP's. */
#ifndef RAG_STORE_VECTOR_FAISS_H
#define RAG_STORE_VECTOR_FAISS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VECTOR_LEVELS_MAX 32 /* FAISS stops at a probability of 1e-9: 30 levels for m 2 */

/* How FAISS sees the rows. Called with the scratch's own context; must not fail. */
struct vector_faiss_products {
    float (*to_row)(void *context, uint32_t row); /* of the current query */
    float (*between)(void *context, uint32_t a, uint32_t b);
};

/* The links. Row r has levels[r] levels (0: not in the graph); those of level l are
 * neighbors[offsets[r] + cumulative[l]] up to cumulative[l + 1]: rows, then -1 up to the end. */
struct vector_links {
    size_t n;
    int *levels;        /* [n] */
    size_t *offsets;    /* [n + 1] */
    int32_t *neighbors; /* [offsets[n]] */
    size_t cumulative[VECTOR_LEVELS_MAX + 1];
    size_t n_levels;     /* that 'cumulative' knows */
    int32_t entry_point; /* -1: none */
    int max_level;       /* of the entry point */
};

struct vector_faiss; /* a graph */
struct vector_faiss_scratch;

/* An empty graph. RAG_OK, RAG_ENOMEM, RAG_EINTERNAL. */
enum rag_status vector_faiss_new(size_t m, size_t ef_construction, struct vector_faiss **ret);
void vector_faiss_free(struct vector_faiss *graph); /* NULL: no-op */
/* Make it one of n rows with these levels [n] (1 .. n_levels, or 0: never inserted): the links of
 * 'from' (NULL: none; its rows come first and keep their levels), nothing for the others. Exactly
 * the memory that is needed. */
enum rag_status vector_faiss_set_size(struct vector_faiss *graph, const struct vector_faiss *from,
                                      const int *levels, size_t n);
/* What is in it; the arrays are the graph's and stay where they are until the next set_size. */
void vector_faiss_links(struct vector_faiss *graph, struct vector_links *ret);
void vector_faiss_set_entry(struct vector_faiss *graph, int32_t row, int max_level);
uint64_t vector_faiss_bytes(const struct vector_faiss *graph);

/* What one inserting thread needs. */
enum rag_status vector_faiss_scratch_new(const struct vector_faiss *graph,
                                         const struct vector_faiss_products *products,
                                         void *context, struct vector_faiss_scratch **ret);
void vector_faiss_scratch_free(struct vector_faiss_scratch *scratch); /* NULL: no-op */

/* Get ready for inserting; the locks are dropped by _end. */
enum rag_status vector_faiss_begin(struct vector_faiss *graph);
void vector_faiss_end(struct vector_faiss *graph);
/* Insert row (its vector is the query that 'to_row' compares with). Any number of threads at
 * once, each with its scratch, except that a row of more levels than any before needs to be
 * alone. After a failure the graph is only good for vector_faiss_free, and a lock may stay taken:
 * other inserting threads may wait for ever until vector_faiss_unlock. */
enum rag_status vector_faiss_insert(struct vector_faiss *graph,
                                    struct vector_faiss_scratch *scratch, uint32_t row);
/* Release every lock. Only after a failure, when every inserting thread is waiting or done. */
void vector_faiss_unlock(struct vector_faiss *graph);

#ifdef __cplusplus
}
#endif

#endif
