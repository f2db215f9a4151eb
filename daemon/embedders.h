/* daemon/embedders.h - the embedding models of the daemon: the configured one, and older ones that
 * serve until everything is embedded anew. An older one is loaded from the directory that the store
 * remembers, with the settings that it had, and must have the fingerprint that it had. Counted:
 * every embedder got is released, and an older one is closed with its last user. Thread-safe. */
#ifndef RAG_DAEMON_EMBEDDERS_H
#define RAG_DAEMON_EMBEDDERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "daemon/models.h"
#include "store/embeddings.h"

/* hex SHA-256, "/", the version of embed/passage_text.h */
#define EMBEDDER_BINDING_BYTES (EMBEDDER_FINGERPRINT_BYTES + 12)

struct embedder {
    int64_t id;                           /* in the store */
    char binding[EMBEDDER_BINDING_BYTES]; /* what vectors of the store and of snapshots depend on */
    size_t dim;
    const struct bi_encoder *encoder;

    struct bi_encoder *owned; /* of an older one */
    unsigned n_refs;          /* guarded by the mutex of the embedders, as next */
    struct embedder *next;
};

struct embedders; /* opaque */

/* Registers the configured one with the store. RAG_OK also when there is none. */
enum rag_status embedders_open(struct store *store, struct models *models, struct embedders **ret,
                               struct rag_error *reterr);
void embedders_close(struct embedders *e); /* every embedder must be back; NULL is a no-op */
struct models *embedders_models(const struct embedders *e);

/* The configured one, counted; NULL when there is none. */
struct embedder *embedders_current(struct embedders *e);
/* An older one, as the store has it, counted. Statuses of bi_encoder_open(); RAG_EFORMAT when what
 * is in its directory now is another model. */
enum rag_status embedders_older(struct embedders *e, const struct store_embedder *stored,
                                struct embedder **ret, struct rag_error *reterr);
void embedders_release(struct embedders *e, struct embedder *embedder); /* NULL is a no-op */

#endif
