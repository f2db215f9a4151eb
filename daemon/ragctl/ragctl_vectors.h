/* daemon/ragctl/ragctl_vectors.h - waiting for a collection's vectors: what was ingested is found
 * by its words at once, by its meaning when the daemon's background has embedded it. */
#ifndef RAG_DAEMON_RAGCTL_VECTORS_H
#define RAG_DAEMON_RAGCTL_VECTORS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "daemon/ragctl/ragctl_client.h"

/* What the daemon says of a collection's vectors. */
struct vectors_state {
    bool off; /* there is no embedder, or none on this machine for an offline collection */
    uint64_t n_pending; /* chunks without a vector */
    char why[256];      /* embedding fails, with this message; "" while it does not */
};

/* Wait until no chunk is pending or embedding fails, with a progress line; not at all without an
 * embedder. check (NULL: none) is asked between looks and ends the wait with its status. *ret: the
 * last look; n_pending is not 0 only when embedding fails. Statuses of ragctl_client_do(). */
enum rag_status ragctl_vectors_wait(struct ragctl_client *client, const char *collection,
                                    enum rag_status (*check)(struct rag_error *reterr),
                                    struct vectors_state *ret, struct rag_error *reterr);

#endif
