/* daemon/cache_scope.h - who shares an answer of the cache: the 'scope' of cache/answer_cache.h. */
#ifndef RAG_DAEMON_CACHE_SCOPE_H
#define RAG_DAEMON_CACHE_SCOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sha256.h"
#include "base/status.h"
#include "daemon/collections.h"

/* shared: all who may read the collection, as its list of readers stands now; else the principal
 * alone. RAG_OK, RAG_ENOMEM. */
enum rag_status cache_scope(bool shared, struct collection *c, const char *principal,
                            uint8_t ret[SHA256_BYTES]);

#endif
