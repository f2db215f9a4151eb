/* daemon/ragctl/ragctl_chunks.h - a random sample of a collection's chunks, which 'ragctl tune' and
 * 'ragctl export pairs' work with. One thread. */
#ifndef RAG_DAEMON_RAGCTL_CHUNKS_H
#define RAG_DAEMON_RAGCTL_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_client.h"

#define CHUNK_SAMPLE_MAX 100000 /* chunks held in memory at once: about 200 MB of text */

struct chunk_sample {
    uint64_t id;
    const char *document; /* texts live in the arena that was given */
    const char *title;
    const char *heading; /* path "A > B", or "" */
    const char *text;
    size_t text_bytes;
};

/* n_max chunks (1 .. CHUNK_SAMPLE_MAX) of the collection, each with the same chance, by document
 * and, in one, by id; all when there are no more. Deterministic for a seed and a collection. *ret
 * lives in the arena; *ret_n_total: chunks there are. Statuses of ragctl_client_call(); RAG_ENOMEM.
 */
enum rag_status ragctl_chunks_sample(struct ragctl_client *client,
                                     const struct ragctl_options *options, const char *collection,
                                     size_t n_max, uint64_t seed, struct arena *arena,
                                     struct chunk_sample **ret, size_t *ret_n, size_t *ret_n_total,
                                     struct rag_error *reterr);

#endif
