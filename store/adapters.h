/* store/adapters.h - the question adapter of a collection: bytes and what is told of them.
 *
 * One row a collection, in ragd.db, so a backup holds it; it goes with its collection. What the
 * bytes mean is embed/question_adapter.h's. Every function is thread-safe. */
#ifndef RAG_STORE_ADAPTERS_H
#define RAG_STORE_ADAPTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "store/store.h"

struct store_adapter {
    const char *fingerprint; /* of the embedder that it was learned with */
    size_t dim;
    size_t rank;
    const void *weights;
    size_t n_bytes;
    uint64_t n_pairs;     /* that it was learned from; 0: not said */
    const char *measured; /* JSON object of who learned it, "" none */
    int64_t learned_ms;
};

/* Durable after return. *ret_replaced: there was one. RAG_ENOTFOUND: no such collection. */
enum rag_status store_adapter_put(struct store *store, int64_t collection_id,
                                  const struct store_adapter *adapter, bool *ret_replaced,
                                  struct rag_error *reterr);
/* Texts and bytes are the arena's. RAG_ENOTFOUND: there is none. */
enum rag_status store_adapter_get(struct store *store, int64_t collection_id, struct arena *arena,
                                  struct store_adapter *ret, struct rag_error *reterr);
/* The one of that fingerprint (NULL: whichever). RAG_ENOTFOUND: there is none. */
enum rag_status store_adapter_delete(struct store *store, int64_t collection_id,
                                     const char *fingerprint, struct rag_error *reterr);

#endif
