/* daemon/collection_vectors.h - the vectors of one collection: index, background embedding.
 *
 * Invariant: the vector index converges to { live chunks that have an embedding by the bound
 * embedder }. A background thread (one for all collections, daemon/embedding_worker.c) looks for
 * live chunks without an embedding, embeds them in length-sorted batches through models_embed()
 * as bulk work, stores them (durable) and adds them to the index; removals follow deletions at
 * once, and a comparison of ids mends what a crash left. Searches in between find such chunks by
 * BM25. When the configured embedder is not the one that a collection is bound to, the old one
 * keeps serving (loaded from its remembered directory; if that is gone, BM25 alone serves) while
 * everything is embedded anew; then index and binding are swapped and the old embeddings dropped. */
#ifndef RAG_DAEMON_COLLECTION_VECTORS_H
#define RAG_DAEMON_COLLECTION_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id_set.h"
#include "base/json_writer.h"
#include "base/status.h"
#include "daemon/models.h"
#include "store/store.h"
#include "store/vector_index.h"

struct collection_vectors; /* opaque; thread-safe; owned by its collection */

/* The k nearest to a question that is embedded here (role query, by the embedder that the serving
 * index is bound to). RAG_ENOTFOUND: no vectors serve (no model, or nothing embedded yet): not an
 * error for a caller that has BM25. */
enum rag_status collection_vectors_search(struct collection_vectors *v, const char *question,
                                          size_t n_bytes, const struct id_set *keep, size_t k,
                                          int64_t deadline_ns, const atomic_bool *cancel,
                                          struct vector_hit *ret, size_t *ret_n,
                                          struct rag_error *reterr);

/* Document changes (daemon/ingest.c): chunks to be looked at soon, and chunks that are gone. */
void collection_vectors_wake(struct collection_vectors *v);
void collection_vectors_remove(struct collection_vectors *v, const uint64_t *ids, size_t n);
/* Wait until every chunk that is live now is embedded and indexed. RAG_ETIMEOUT, RAG_ECANCELLED. */
enum rag_status collection_vectors_wait(struct collection_vectors *v, int64_t deadline_ns,
                                        const atomic_bool *cancel, struct rag_error *reterr);

/* "vectors": {"embedder","fingerprint","dim","n","pending","state": "ready|embedding|off",
 * "kind","bytes"} as a member of an open object. */
void collection_vectors_write(struct collection_vectors *v, struct json_writer *w);

#endif
