/* base/remote_internal.h - what the files of remote share (internal). */
#ifndef RAG_BASE_REMOTE_INTERNAL_H
#define RAG_BASE_REMOTE_INTERNAL_H

#include "base/remote.h"

/* ---- remote_guard.c: may a try be sent? ---- */

/* Closed while open_until_ns is 0. Guarded by the remote's mutex. */
struct circuit {
    int n_failed;          /* calls in a row */
    int64_t open_until_ns; /* monotonic; a call may try then */
    int64_t open_ms;       /* how long it opens the next time */
    bool trying;           /* that call is under way */
};
bool circuit_admits(struct circuit *c, int64_t now_ns);
void circuit_note(struct circuit *c, bool ok, int64_t now_ns);
/* What was admitted ended without saying anything about the server. */
void circuit_forget(struct circuit *c);
/* The server asked for peace until then. */
void circuit_hold(struct circuit *c, int64_t until_ns);

/* Tries of a UTC day. Guarded by the remote's mutex. */
struct budget {
    int64_t per_day; /* 0: no limit */
    int64_t day;     /* since 1970 */
    int64_t n_used;
    int64_t n_written; /* in the file: n_used or some more */
    char *path;        /* owned, or NULL */
};
/* RAG_OK, RAG_ENOMEM; of the file RAG_EIO, RAG_ENOSPC, RAG_EFORMAT. */
enum rag_status budget_open(struct budget *b, int64_t per_day, const char *path,
                            struct rag_error *reterr);
void budget_close(struct budget *b);
/* Count one try of that day. RAG_EBUSY: none is left; statuses of atomic_file_open(). */
enum rag_status budget_take(struct budget *b, int64_t day, struct rag_error *reterr);

/* ---- remote_text.c: what servers say ---- */

/* Append the message of an error response (JSON of OpenAI's, TEI's and Cohere's kinds, else its
 * first line), cut to one line, without the key or parts of it. */
void remote_error_text(const char *body, size_t n_bytes, const char *key, struct buf *out);
/* Overwrite with '*' each run of bytes that text and key share, if it is REMOTE_KEY_RUN_MIN or
 * longer, or the whole key. */
void remote_scrub(char *text, const char *key);

#endif
