/* daemon/ragctl_shadow.h - a throw-away collection that a measurement fills, asks and deletes.
 *
 * Its name is "<prefix>-<16 hex digits>"; only the caller may read it. It goes when it is closed,
 * also after an error; what is left behind by a killed ragctl can be told by its name. One thread.
 */
#ifndef RAG_DAEMON_RAGCTL_SHADOW_H
#define RAG_DAEMON_RAGCTL_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/status.h"
#include "daemon/ragctl_client.h"
#include "retrieve/fusion.h"

struct shadow {
    struct ragctl_client *client; /* borrowed */
    const struct ragctl_options *options;
    char name[COLLECTION_NAME_BYTES_MAX + 1];
    bool made;
    struct buf slice; /* records that were not sent yet */
    size_t n_lines;
};

/* Make the collection. Every passage becomes one chunk. */
enum rag_status shadow_open(struct shadow *s, struct ragctl_client *client,
                            const struct ragctl_options *options, const char *prefix,
                            struct rag_error *reterr);
void shadow_close(struct shadow *s); /* deletes it, with a note when that fails; zeroed: no-op */

/* Passage number i; texts may be "" but for the body. Sent in slices; shadow_flush() ends it and
 * waits until every passage has its vector, with a progress bar: RAG_EINVAL when the daemon has no
 * embedder, RAG_EIO when it cannot embed. */
enum rag_status shadow_add(struct shadow *s, size_t i, const char *title, const char *heading,
                           const char *body, struct rag_error *reterr);
enum rag_status shadow_flush(struct shadow *s, struct rag_error *reterr);

/* The ranking of one list for a question, without any rerank: numbers of passages and scores.
 * ret: room for n_max. */
enum rag_status shadow_search(struct shadow *s, const char *question, int list, size_t n_max,
                              struct ranked *ret, size_t *ret_n, struct rag_error *reterr);

#endif
