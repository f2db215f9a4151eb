/* daemon/ragctl_vectors.h - waiting for a collection's vectors: what was ingested is found by its
 * words at once, by its meaning when the daemon's background has embedded it. */
#ifndef RAG_DAEMON_RAGCTL_VECTORS_H
#define RAG_DAEMON_RAGCTL_VECTORS_H

#include <stdint.h>

#include "base/status.h"
#include "daemon/ragctl_client.h"

/* Wait until no chunk of the client's collection is pending, with a progress line. *ret_pending:
 * what is left; not 0 only when embedding fails, which is told as a note. Returns at once without
 * an embedder. Statuses of ragctl_client_do(). */
enum rag_status ragctl_vectors_wait(struct ragctl_client *client, uint64_t *ret_pending,
                                    struct rag_error *reterr);

#endif
