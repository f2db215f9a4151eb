/* store/vector_index.h - nearest unit vectors by inner product (= cosine), exact or by HNSW
 * (FAISS).
 *
 * An index holds (id, vector) pairs. Small: a flat scan. From hnsw_min vectors on: one sealed HNSW
 * graph, a flat delta of what came since, and tombstones; the graph is rebuilt or extended in the
 * background and swapped by reference count, so that a search never waits for a build and sees
 * one consistent view. A filter that keeps few rows is answered by an exact scan of those rows;
 * else the search inside the graph is widened until k results are there: a filtered search never
 * returns fewer than min(k, kept live rows).
 *
 * Derived data: a snapshot carries format version, checksum, binding and change number, and is
 * rebuilt from the embeddings in SQLite when it does not fit.
 * Source: Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using
 * Hierarchical Navigable Small World graphs", TPAMI 2020. */
#ifndef RAG_STORE_VECTOR_INDEX_H
#define RAG_STORE_VECTOR_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id_set.h"
#include "base/status.h"

/* How vectors are kept, bytes an element. F16 and INT8 depend on the float16 of a vector only, so
 * a rebuild from embeddings that were stored as float16 gives equal results. */
enum vector_storage {
    VECTOR_F32,  /* 4 */
    VECTOR_F16,  /* 2 */
    VECTOR_INT8, /* 2: 16-bit integers with a scale per vector, whose high bytes are scanned;
                    what looks good is scored again with all 16, so results are those of F16 */
};

struct vector_index_options {
    size_t dim; /* 1 .. EMBEDDING_DIM_MAX */
    enum vector_storage storage;
    size_t hnsw_min; /* vectors from which on a graph is built; 0: never (always exact) */
    size_t m;        /* links a node and layer, twice on the lowest; 4 .. VECTOR_M_MAX; 0: 16 */
    size_t ef_construction; /* candidates kept while inserting, up to VECTOR_EF_MAX; 0: 128 */
    size_t ef_search;       /* candidates kept while searching, likewise; 0: 96 */
    size_t n_build_threads; /* 0: 1; with one, the same additions give the same graph */
};

struct vector_index; /* opaque; thread-safe */

/* RAG_OK, RAG_EINVAL naming the option, RAG_ENOMEM. */
enum rag_status vector_index_new(const struct vector_index_options *options,
                                 struct vector_index **ret, struct rag_error *reterr);
void vector_index_free(struct vector_index *ix); /* waits for its background work; NULL: no-op */

/* Add n vectors [n, dim] and make them visible at once; an id that is there is replaced. NaN,
 * infinity or a length that is not 1 within 1e-2 is RAG_EINVAL naming the id, and nothing is
 * added. RAG_ENOMEM, RAG_ELIMIT (VECTORS_MAX). */
enum rag_status vector_index_add(struct vector_index *ix, const uint64_t *ids, const float *vectors,
                                 size_t n, struct rag_error *reterr);
/* Ids that are not there are ignored. RAG_OK or RAG_ENOMEM. */
enum rag_status vector_index_remove(struct vector_index *ix, const uint64_t *ids, size_t n,
                                    struct rag_error *reterr);
bool vector_index_has(struct vector_index *ix, uint64_t id);

struct vector_hit {
    uint64_t id;
    float score; /* inner product, exact to the storage */
};
struct vector_search_options {
    size_t ef_search; /* 0: the index's */
    bool exact;       /* scan everything */
};
/* The k best among 'keep' (NULL: all), best first, equal scores by smaller id. options may be
 * NULL. ret: room for k. RAG_OK, RAG_EINVAL (a NaN in the query), RAG_ENOMEM. */
enum rag_status vector_index_search(struct vector_index *ix, const float *query,
                                    const struct id_set *keep, size_t k,
                                    const struct vector_search_options *options,
                                    struct vector_hit *ret, size_t *ret_n,
                                    struct rag_error *reterr);

/* Call visit(id) for each live vector, ascending ids, on one view. */
enum rag_status vector_index_each(struct vector_index *ix,
                                  void (*visit)(void *context, uint64_t id), void *context);

struct vector_index_stats {
    size_t dim;
    uint64_t n;       /* live */
    uint64_t n_graph; /* in the graph, dead ones included */
    uint64_t n_delta;
    uint64_t n_tombstones;
    uint64_t bytes;   /* memory held */
    bool building;    /* a graph is being built */
    const char *kind; /* "flat" or "hnsw" */
};
void vector_index_stats(struct vector_index *ix, struct vector_index_stats *ret);
/* Wait until no background work is left (tests, benchmarks, orderly stop). */
void vector_index_settle(struct vector_index *ix);

/* As bm25_save/bm25_load: temporary file, fsync, rename; 'change' is the caller's number. The
 * file is hostile when loaded. RAG_EFORMAT: damaged, other version, binding, dim,
 * storage or m: rebuild. RAG_ENOTFOUND: no file. RAG_EIO, RAG_ENOSPC, RAG_ENOMEM. */
enum rag_status vector_index_save(struct vector_index *ix, const char *path, const char *binding,
                                  uint64_t change, struct rag_error *reterr);
enum rag_status vector_index_load(const char *path, const char *binding,
                                  const struct vector_index_options *options,
                                  struct vector_index **ret, uint64_t *ret_change,
                                  struct rag_error *reterr);

#endif
