/* daemon/collection_adapter.h - one question adapter as a collection has it: its map, what it is
 * bound to, what its maker said of it; from a request's body, from the store, and back.
 *
 * Immutable once made, and counted: a search keeps a reference while it uses one that is being
 * replaced. Who has which is kept by daemon/collection_vectors.h. */
#ifndef RAG_DAEMON_COLLECTION_ADAPTER_H
#define RAG_DAEMON_COLLECTION_ADAPTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/json_writer.h"
#include "base/sha256.h"
#include "base/status.h"
#include "embed/question_adapter.h"
#include "store/store.h"

#define ADAPTER_ID_BYTES 17 /* 16 hexadecimal digits and NUL */

struct collection_adapter {
    atomic_uint n_refs;
    char id[ADAPTER_ID_BYTES];          /* of the SHA-256 of fingerprint, form and weights */
    char fingerprint[SHA256_HEX_BYTES]; /* of the embedder that it was learned with */
    struct question_adapter *map;       /* owned */
    uint64_t n_pairs;
    char *measured; /* a JSON object as text, or ""; owned */
    int64_t learned_ms;
};

/* Members of PUT /v1/collections/{c}/adapter. RAG_EINVAL and RAG_EFORMAT name the member and the
 * limit, RAG_ELIMIT the form; RAG_ENOMEM. */
enum rag_status collection_adapter_read(const struct json *body, struct collection_adapter **ret,
                                        struct rag_error *reterr);
/* *ret is NULL when the store has none. RAG_EFORMAT: the row is damaged. */
enum rag_status collection_adapter_load(struct store *store, int64_t collection_id,
                                        struct collection_adapter **ret, struct rag_error *reterr);
/* Statuses of store_adapter_put(). */
enum rag_status collection_adapter_save(struct store *store, int64_t collection_id,
                                        const struct collection_adapter *a, bool *ret_replaced,
                                        struct rag_error *reterr);
struct collection_adapter *collection_adapter_ref(struct collection_adapter *a);
void collection_adapter_unref(struct collection_adapter *a); /* NULL is a no-op */

/* An object; docs/PROTOCOL.md, Adapter. */
void collection_adapter_write(const struct collection_adapter *a, bool active, bool with_weights,
                              const char *key, struct json_writer *w);

#endif
