/* daemon/ragctl/hub_internal.h - one request of the hub, with redirects and repetitions. */
#ifndef RAG_DAEMON_HUB_INTERNAL_H
#define RAG_DAEMON_HUB_INTERNAL_H

#include "daemon/ragctl/hub.h"

/* Where a body goes. */
struct hub_sink {
    uint64_t offset; /* asked for with a Range when > 0; moves on as bytes are taken */
    /* Once per attempt, before the first byte of a 200 or 206, and even when there is none.
     * ranged: the body begins at 'offset' (else at 0, and offset is 0 now). total: of the whole
     * file, or HUB_SIZE_UNKNOWN. */
    enum rag_status (*begin)(void *context, bool ranged, uint64_t total, struct rag_error *reterr);
    enum rag_status (*piece)(void *context, const char *data, size_t n, struct rag_error *reterr);
    void *context;
};

/* GET endpoint + path. RAG_OK when the whole body has gone to the sink. A failed attempt is
 * repeated from the sink's offset. 'what' names the thing in messages. *ret_next (may be NULL): the
 * path of a Link header's rel="next" at the same endpoint, appended. RAG_ELIMIT with a 416. */
enum rag_status hub_get(struct hub *hub, const char *path, const char *what, struct hub_sink *sink,
                        struct buf *ret_next, struct rag_error *reterr);

/* The same into memory, up to out->max bytes. */
enum rag_status hub_get_text(struct hub *hub, const char *path, const char *what, struct buf *out,
                             struct buf *ret_next, struct rag_error *reterr);

/* "org/name" with each part percent-encoded. */
void hub_append_path(struct buf *out, const char *path);

#endif
