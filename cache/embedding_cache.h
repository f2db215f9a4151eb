/* cache/embedding_cache.h - the vectors of the questions that were asked last.
 *
 * A question is embedded once, though the answer cache and the vector search both want its vector,
 * and one that is asked again not at all. Known by SHA-256 of (embedder's fingerprint, text), so an
 * equal digest is an equal question; the one used longest ago makes room. Thread-safe. */
#ifndef RAG_CACHE_EMBEDDING_CACHE_H
#define RAG_CACHE_EMBEDDING_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct embedding_cache; /* opaque */

/* n_max: 1 .. EMBEDDING_CACHE_MAX vectors. RAG_EINVAL, RAG_ENOMEM. */
enum rag_status embedding_cache_open(size_t n_max, struct embedding_cache **ret,
                                     struct rag_error *reterr);
void embedding_cache_close(struct embedding_cache *c); /* NULL is a no-op */

/* ret_vector: [dim]; written when it is there with that length. */
bool embedding_cache_get(struct embedding_cache *c, const char *fingerprint, const char *text,
                         size_t n_bytes, size_t dim, float *ret_vector);
/* Without memory it is not kept. */
void embedding_cache_put(struct embedding_cache *c, const char *fingerprint, const char *text,
                         size_t n_bytes, const float *vector, size_t dim);

#endif
