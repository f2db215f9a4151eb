/* daemon/collection_vectors.h - the vectors of one collection: index, background embedding.
 *
 * Invariant: the vector index converges to { live chunks that have an embedding by the bound
 * embedder }. A background thread (one for all collections, daemon/embedding_worker.c) embeds
 * chunks that have none, through models_embed() as bulk work, stores them (durable) and adds them
 * to the index; removals follow deletions at once, and a comparison of ids at start mends what a
 * crash left. Searches in between find such chunks by BM25. When the configured embedder is not
 * the one that a collection is bound to, the old one keeps serving (loaded from its remembered
 * directory; if that is gone, BM25 alone serves) while everything is embedded anew; then the index
 * is swapped and the old embeddings are dropped. What comes meanwhile is embedded by the new one
 * only, and found by BM25 until then.
 *
 * Every function but the first takes NULL for a collection without vectors (no embedder is
 * configured) and then does nothing, or returns RAG_ENOTFOUND where it should find something. */
#ifndef RAG_DAEMON_COLLECTION_VECTORS_H
#define RAG_DAEMON_COLLECTION_VECTORS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id_set.h"
#include "base/json_writer.h"
#include "base/status.h"
#include "daemon/collection_adapter.h"
#include "retrieve/bm25.h"
#include "store/vector_index.h"

struct collection_vectors; /* opaque; thread-safe; owned by its collection */
struct embedding_worker;

struct collection_vectors_options {
    struct embedding_worker *worker; /* borrowed, as all here; NULL: no vectors */
    struct bm25 *live;               /* the collection's index: which chunks are live */
    int64_t collection_id;
    const char *name; /* of the collection, for the log */
    const char *path; /* of the snapshot; copied */
    bool offline;     /* collection_vectors_set_offline() */
};

/* Load the snapshot and bring it to what the store holds, or rebuild it from the embeddings there;
 * what has no embedding is left to the background. *ret is NULL when there is no embedder.
 * Statuses of the store; RAG_ENOMEM. A damaged snapshot or an old model that cannot be loaded is
 * no error: the log tells. */
enum rag_status collection_vectors_open(const struct collection_vectors_options *options,
                                        struct collection_vectors **ret, struct rag_error *reterr);
/* Stops its background work first. */
void collection_vectors_close(struct collection_vectors *v);

/* An offline collection has no use for an embedder that is another server: its chunks are not
 * embedded there (they wait), and its questions are not asked of vectors that came from there. When
 * this returns, nothing that is begun later is sent, and what was being sent is broken off. */
void collection_vectors_set_offline(struct collection_vectors *v, bool offline);

/* What to look for: a question, and among which. */
struct vectors_query {
    const char *question;
    size_t n_bytes;
    const struct id_set *keep; /* NULL: all */
    size_t k;
    bool as_embedded; /* without the collection's adapter */
    int64_t deadline_ns;
    const atomic_bool *cancel;
};

/* The k nearest to a question that is embedded here (role query, by the embedder that the serving
 * index is bound to) and mapped by the collection's adapter, where there is one of that embedder:
 * ret_adapter is its id, else "". ret has room for k. RAG_ENOTFOUND: no vectors serve (no model, or
 * nothing embedded yet): not an error for a caller that has BM25. Else the statuses of
 * models_embed(), vector_index_search(). */
enum rag_status collection_vectors_search(struct collection_vectors *v,
                                          const struct vectors_query *query, struct vector_hit *ret,
                                          size_t *ret_n, char ret_adapter[ADAPTER_ID_BYTES],
                                          struct rag_error *reterr);

/* ---- the question adapter (docs/PROTOCOL.md, Adapter) ---- */
/* A reference, or NULL; *ret_active: it was learned with the embedder that serves. */
struct collection_adapter *collection_vectors_adapter(struct collection_vectors *v,
                                                      bool *ret_active);
/* Durable after return; a's reference stays the caller's. RAG_EINVAL: no embedder, or another one
 * than it was learned with; statuses of store_adapter_put(). */
enum rag_status collection_vectors_install(struct collection_vectors *v,
                                           struct collection_adapter *a, bool *ret_replaced,
                                           struct rag_error *reterr);
/* Not NULL. RAG_ENOTFOUND: there is none. */
enum rag_status collection_vectors_uninstall(struct collection_vectors *v,
                                             struct rag_error *reterr);

/* Document changes (daemon/ingest.c), called after the collection's BM25 index has them: chunks
 * that a document now holds, and chunks that it held (those which are still live stay). */
void collection_vectors_add(struct collection_vectors *v, const uint64_t *ids, size_t n);
void collection_vectors_remove(struct collection_vectors *v, const uint64_t *ids, size_t n);

/* Wait until what is pending now is embedded and indexed, for wait_ms at most; not at all when at
 * the speed of late it would take longer. Returns what is pending then. */
uint64_t collection_vectors_wait(struct collection_vectors *v, int64_t wait_ms,
                                 const atomic_bool *cancel);

struct collection_vectors_stats {
    const char *state; /* "ready", "embedding", "offline" (the embedder is another server), "off" */
    uint64_t n;        /* in the serving index */
    uint64_t n_pending; /* chunks to be embedded */
    uint64_t n_failed;  /* chunks that the model refused, since start */
    uint64_t bytes;     /* memory of the indexes */
    bool serves;        /* something can be found */
    bool replacing;     /* an older embedder serves while the configured one embeds */
};
void collection_vectors_stats(struct collection_vectors *v, struct collection_vectors_stats *ret);

/* "vectors" as a member of an open object; docs/PROTOCOL.md, Collections. */
void collection_vectors_write(struct collection_vectors *v, struct json_writer *w);

/* Do index and live chunks agree, for a quiet collection? Counts live chunks that are neither in
 * the serving index nor pending nor failed, and vectors of chunks that are not live. */
enum rag_status collection_vectors_check(struct collection_vectors *v, uint64_t *ret_n_wrong,
                                         struct rag_error *reterr);

/* Write the snapshot when it lags behind: at once when 'now', else only when nothing is pending
 * or the last one is old, since a big index is a big file. *ret_saved: one was written. */
enum rag_status collection_vectors_save(struct collection_vectors *v, bool now, bool *ret_saved,
                                        struct rag_error *reterr);
/* The collection was deleted: its snapshot goes, none is written any more. */
void collection_vectors_forget(struct collection_vectors *v);

#endif
