/* store/embeddings.h - embeddings of chunks in the database, kept by content.
 *
 * Keyed by (chunk, embedder): a chunk row is unique by content hash within its collection, so an
 * embedding lives as long as any document holds that content, and dies with the chunk. Vectors are
 * float16, unit length. An embedder is known by its fingerprint (embed/bi_encoder.h) and remembers
 * the directory that it was loaded from, so that an older one can serve while a newer one embeds. */
#ifndef RAG_STORE_EMBEDDINGS_H
#define RAG_STORE_EMBEDDINGS_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct store_embedder {
    int64_t id;
    char *fingerprint; /* owned by the arena given, as dir */
    char *dir;
    size_t dim;
    uint64_t n_embeddings;
};

/* Find or make the row of this fingerprint (a new dir is remembered). RAG_EFORMAT when the
 * fingerprint is known with another dim. */
enum rag_status store_embedder_register(struct store *store, const char *fingerprint,
                                        const char *dir, size_t dim, int64_t *ret_id,
                                        struct rag_error *reterr);
enum rag_status store_embedder_list(struct store *store, struct arena *arena,
                                    struct store_embedder **ret, size_t *ret_n,
                                    struct rag_error *reterr);
/* Delete the embeddings of (collection, embedder), in slices; and the embedder when none is left. */
enum rag_status store_embeddings_drop(struct store *store, int64_t collection_id,
                                      int64_t embedder_id, struct rag_error *reterr);

/* Durable after return. vectors [n, dim] float32, stored as float16. A chunk that is gone by now is
 * left out silently; one that has an embedding keeps the new one. */
enum rag_status store_embeddings_put(struct store *store, int64_t embedder_id,
                                     const uint64_t *chunk_ids, const float *vectors, size_t dim,
                                     size_t n, struct rag_error *reterr);

/* Up to 'limit' visible chunks of the collection with id > after and no embedding by this
 * embedder, ascending, with texts in the arena. */
enum rag_status store_embeddings_missing(struct store *store, int64_t collection_id,
                                         int64_t embedder_id, uint64_t after, size_t limit,
                                         struct arena *arena, struct store_passage **ret,
                                         size_t *ret_n, struct rag_error *reterr);
/* How many visible chunks have one, and how many there are. */
enum rag_status store_embeddings_count(struct store *store, int64_t collection_id,
                                       int64_t embedder_id, uint64_t *ret_embedded,
                                       uint64_t *ret_chunks, struct rag_error *reterr);

/* Every visible chunk's vector (float32, [dim], borrowed for the call), ascending ids, from one
 * read snapshot. */
enum rag_status store_embeddings_each(struct store *store, int64_t collection_id,
                                      int64_t embedder_id, size_t dim,
                                      enum rag_status (*visit)(void *context, uint64_t chunk_id,
                                                               const float *vector,
                                                               struct rag_error *reterr),
                                      void *context, struct rag_error *reterr);
/* Those of the given ids, in order; ret_found[i] says whether row i of ret_vectors [n, dim] is set. */
enum rag_status store_embeddings_get(struct store *store, int64_t embedder_id, const uint64_t *ids,
                                     size_t n, size_t dim, float *ret_vectors, bool *ret_found,
                                     struct rag_error *reterr);

#endif
