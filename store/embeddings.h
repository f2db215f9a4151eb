/* store/embeddings.h - embeddings of chunks in the database, kept by content.
 *
 * Keyed by (chunk, embedder): a chunk row is unique by content hash within its collection, so an
 * embedding lives as long as any document holds that content, and dies with the chunk. Vectors are
 * float16, unit length. An embedder is known by its fingerprint (embed/bi_encoder.h) and remembers
 * the directory that it was loaded from and how, so that an older one can serve while a newer one
 * embeds. Backups hold all of it: it is in ragd.db. Every function is thread-safe. */
#ifndef RAG_STORE_EMBEDDINGS_H
#define RAG_STORE_EMBEDDINGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "store/store.h"

struct store_embedder {
    int64_t id;
    char *fingerprint; /* owned by the arena given, as dir and settings */
    char *dir;
    char *settings; /* JSON, meaning is the daemon's: what it was opened with */
    size_t dim;
};

/* Find or make the row of this fingerprint (a new dir and settings are remembered; nothing is
 * written when there is nothing new). RAG_EFORMAT when the fingerprint is known with another
 * dim. */
enum rag_status store_embedder_register(struct store *store, const char *fingerprint,
                                        const char *dir, const char *settings, size_t dim,
                                        int64_t *ret_id, struct rag_error *reterr);
/* Every embedder that is known, by id. */
enum rag_status store_embedder_list(struct store *store, struct arena *arena,
                                    struct store_embedder **ret, size_t *ret_n,
                                    struct rag_error *reterr);
/* Delete the embeddings of (collection, embedder), STAGE_SLICE_CHUNKS in a transaction; and the
 * embedder when it has none left in any collection. Not for an embedder that is in use. */
enum rag_status store_embeddings_drop(struct store *store, int64_t collection_id,
                                      int64_t embedder_id, struct rag_error *reterr);

/* Durable after return. vectors [n, dim] float32, finite, stored as float16; ids distinct. A chunk
 * that is gone by now is left out silently; one that has an embedding gets the new one. Written
 * STAGE_SLICE_CHUNKS at a time. RAG_EINVAL: no such embedder, or of another dim. */
enum rag_status store_embeddings_put(struct store *store, int64_t embedder_id,
                                     const uint64_t *chunk_ids, const float *vectors, size_t dim,
                                     size_t n, struct rag_error *reterr);

/* How many visible chunks have one, and how many there are. Reads the ids of the collection. */
enum rag_status store_embeddings_count(struct store *store, int64_t collection_id,
                                       int64_t embedder_id, uint64_t *ret_embedded,
                                       uint64_t *ret_chunks, struct rag_error *reterr);

/* The vectors of the given chunks, visible or not, in order, from one read snapshot; ret_found[i]
 * says whether row i of ret_vectors [n, dim] float32 is set. RAG_EFORMAT: a vector of another size
 * (the database is damaged). */
enum rag_status store_embeddings_get(struct store *store, int64_t embedder_id, const uint64_t *ids,
                                     size_t n, size_t dim, float *ret_vectors, bool *ret_found,
                                     struct rag_error *reterr);

#endif
