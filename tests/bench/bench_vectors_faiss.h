/* FAISS's own IndexHNSWFlat, as the distribution has it, beside ours. */
#ifndef RAG_BENCH_VECTORS_FAISS_H
#define RAG_BENCH_VECTORS_FAISS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct faiss_peer;

struct faiss_peer *faiss_peer_build(const float *vectors, size_t n, size_t dim, size_t m,
                                    size_t ef_construction, size_t n_threads); /* NULL: failed */
void faiss_peer_free(struct faiss_peer *peer);
/* kept: a byte per row, NULL: all. Rows into ret [k], -1 where there is none. */
void faiss_peer_search(struct faiss_peer *peer, const float *query, size_t k, size_t ef,
                       const uint8_t *kept, int64_t *ret);

#ifdef __cplusplus
}
#endif

#endif
