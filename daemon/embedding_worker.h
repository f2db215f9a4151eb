/* daemon/embedding_worker.h - the background thread that embeds chunks, for all collections.
 *
 * Collections with work take turns, a batch of EMBED_BATCH_CHUNKS each. What fails for a reason of
 * the machine (disk full, a model truncated under us) is tried again every EMBED_RETRY_S. */
#ifndef RAG_DAEMON_EMBEDDING_WORKER_H
#define RAG_DAEMON_EMBEDDING_WORKER_H

#include <stdint.h>

#include "base/status.h"
#include "daemon/collection_vectors.h"
#include "daemon/embedders.h"
#include "daemon/models.h"
#include "store/store.h"
#include "store/vector_index.h"

struct embedding_worker; /* opaque; thread-safe */

struct embedding_worker_options {
    struct store *store; /* borrowed, as the models */
    struct models *models;
    struct vector_index_options index; /* dim is the embedder's */
};

/* Without an embedder there is no thread and no work. Statuses of embedders_open(); RAG_EIO. */
enum rag_status embedding_worker_open(const struct embedding_worker_options *options,
                                      struct embedding_worker **ret, struct rag_error *reterr);
/* End the thread; what it was at is begun again at the next start. Searches go on. */
void embedding_worker_stop(struct embedding_worker *w);
/* Every collection's vectors must be closed. NULL is a no-op. */
void embedding_worker_close(struct embedding_worker *w);

const struct embedding_worker_options *embedding_worker_options(const struct embedding_worker *w);
struct embedders *embedding_worker_embedders(const struct embedding_worker *w);

/* For collection_vectors*.c: members of the round, in a ring of their own. */
struct embedding_member {
    struct collection_vectors *vectors;
    struct embedding_member *next; /* guarded by the worker's mutex */
};
void embedding_worker_join(struct embedding_worker *w, struct embedding_member *member);
/* Returns when its step, if one is running, has ended. */
void embedding_worker_leave(struct embedding_worker *w, struct embedding_member *member);
void embedding_worker_wake(struct embedding_worker *w);

#endif
