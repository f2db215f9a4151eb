/* daemon/request_log.h - the one line of the log that each request leaves.
 *
 *     event=request method=POST route=/v1/ask code=200 ms=12.5 principal=uid:1000 bytes=61
 *         collection=handbook outcome=answered backend=local cache=none guard=pass
 *         prompt_tokens=812 cached_tokens=640 output_tokens=64 question_bytes=31
 *         question_sha256=0123456789abcdef
 *
 * (on one line; what follows bytes is there for questions). One that failed is
 * event=request_failed and ends with error="...". Requests of /healthz, /readyz and /metrics are
 * logged at level debug. */
#ifndef RAG_DAEMON_REQUEST_LOG_H
#define RAG_DAEMON_REQUEST_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"

/* What a handler notes about a request, for the log and the trace; all zero: nothing. */
struct request_note {
    char collection[COLLECTION_NAME_BYTES_MAX + 1];
    const char *outcome; /* "answered", "refused", "found", or a rag_status_code(); static */
    char backend[32];    /* "" where none answered */
    char cache[16];      /* "none", "exact", "semantic"; "" where there is none to ask */
    const char *guard;   /* its verdict, static; NULL: it was not asked */
    uint64_t prompt_tokens;
    uint64_t cached_tokens;
    uint64_t output_tokens;
    size_t question_bytes;
    char question_sha256[17]; /* its first 8 bytes; "" where there is no question */
};
void request_note_collection(struct request_note *note, const char *name);
void request_note_question(struct request_note *note, const char *text, size_t n);

struct request_line {
    const char *id;
    const char *method; /* "" before it is known */
    const char *route;  /* the pattern; NULL: none matched */
    const char *principal;
    int code;
    double ms;
    size_t body_bytes;
    const struct request_note *note;
    const char *error; /* of a code of 500 and more: the reply's body; or NULL */
};
void request_log(const struct request_line *line);

#endif
