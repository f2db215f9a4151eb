/* daemon/ragctl/ragctl_shadow.h - a throw-away collection that a measurement fills, asks and
 * deletes.
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
#include "daemon/ragctl/ragctl_client.h"
#include "retrieve/fusion.h"

struct shadow {
    struct ragctl_client *client; /* borrowed */
    char name[COLLECTION_NAME_BYTES_MAX + 1];
    /* Asked after each request of a long job, and ends it with its status; NULL: nothing is. */
    enum rag_status (*check)(struct rag_error *reterr);
    bool made;
    struct buf slice; /* records that were not sent yet */
    size_t n_lines;
};

/* Metadata "group" of a passage, by which searches can leave some out: 0 .. SHADOW_GROUPS - 1, or
 * SHADOW_NO_GROUP. */
#define SHADOW_GROUPS   32
#define SHADOW_NO_GROUP (-1)

/* Make the collection. chunk_chars 0: the daemon's own chunks; CHUNK_CHARS_MAX and no overlap:
 * every passage becomes one chunk. */
enum rag_status shadow_open(struct shadow *s, struct ragctl_client *client, const char *prefix,
                            int64_t chunk_chars, int64_t chunk_overlap, struct rag_error *reterr);
void shadow_close(struct shadow *s); /* deletes it, with a note when that fails; zeroed: no-op */
/* As close, but the collection stays: its daemon is about to go with all that it has. */
void shadow_forget(struct shadow *s);

/* Passages are documents by number: "p0", "p1" ...; back: UINT32_MAX for other names and numbers
 * of n and more. */
void shadow_passage_name(size_t i, char ret[24]);
uint32_t shadow_passage_index(const char *name, size_t n);

/* Passage number i; the title may be "". Sent in slices; shadow_flush() sends the last one. */
enum rag_status shadow_add(struct shadow *s, size_t i, int group, const char *title,
                           const char *text, size_t n_bytes, struct rag_error *reterr);
enum rag_status shadow_flush(struct shadow *s, struct rag_error *reterr);
/* Wait until everything has its vector, with a progress line. *ret_off: the daemon has no embedder,
 * so nothing has one. RAG_EIO when it cannot embed. */
enum rag_status shadow_wait(struct shadow *s, bool *ret_off, struct rag_error *reterr);

struct shadow_query {
    const char *question;
    const char *mode; /* "auto", "bm25" ... */
    size_t top_k;
    bool rerank;
    bool explain;
    int without; /* the group that is left out, or SHADOW_NO_GROUP */
};
/* The reply of POST /v1/search. */
enum rag_status shadow_ask(struct shadow *s, const struct shadow_query *query, struct json **ret,
                           struct rag_error *reterr);
/* PUT of settings: an object. */
enum rag_status shadow_set(struct shadow *s, const struct buf *settings, struct rag_error *reterr);

/* The ranking of one list for a question, without any rerank: numbers of passages and scores.
 * ret: room for n_max. */
enum rag_status shadow_search(struct shadow *s, const char *question, int list, size_t n_max,
                              struct ranked *ret, size_t *ret_n, struct rag_error *reterr);

#endif
