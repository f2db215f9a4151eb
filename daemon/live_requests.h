/* daemon/live_requests.h - the requests that wait or are at work right now.
 *
 * A fixed number of slots under one mutex, which is held for some copies only; a request finds none
 * only when more are in flight than the server has connections, and then is merely not shown. Who
 * works on a request writes its stage and what it has written so far without the mutex.
 * No text of a question is kept. Thread-safe; every function takes a NULL slot as a no-op. */
#ifndef RAG_DAEMON_LIVE_REQUESTS_H
#define RAG_DAEMON_LIVE_REQUESTS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "base/status.h"

#define LIVE_ID_BYTES 33 /* as HTTP_ID_BYTES */

/* Below the stages of the pipeline (daemon/pipeline.h). */
enum { LIVE_QUEUED = -2, LIVE_WORKING = -1 };

struct live_requests; /* opaque */
struct live_request;  /* a slot */

/* RAG_OK, RAG_ENOMEM. */
enum rag_status live_requests_new(size_t n_slots, struct live_requests **ret,
                                  struct rag_error *reterr);
void live_requests_free(struct live_requests *l); /* nobody may be in it; NULL is a no-op */

/* method and route are static texts, the others are copied. NULL: no slot is free. */
struct live_request *live_requests_begin(struct live_requests *l, const char *id,
                                         const char *principal, const char *method,
                                         const char *route);
void live_requests_end(struct live_requests *l, struct live_request *r);

void live_request_collection(struct live_requests *l, struct live_request *r, const char *name);
/* Where the pipeline writes its enum stage; NULL for a NULL slot. */
atomic_int *live_request_stage(struct live_request *r);
void live_request_working(struct live_request *r);               /* a worker has it now */
void live_request_wrote(struct live_request *r, size_t n_bytes); /* of an answer */

/* A copy. */
struct live_view {
    char id[LIVE_ID_BYTES];
    char principal[PRINCIPAL_BYTES_MAX + 1];
    char collection[COLLECTION_NAME_BYTES_MAX + 1]; /* "" while unknown, or of none */
    const char *method;
    const char *route;
    int stage; /* LIVE_QUEUED, LIVE_WORKING or an enum stage */
    uint64_t answer_bytes;
    int64_t begun_ms; /* wall clock */
    double age_ms;
};
/* Those of a principal (NULL: of all), the oldest first, at most max. Returns their number;
 * *ret_n_all: of all that are in flight. */
size_t live_requests_list(struct live_requests *l, const char *principal, struct live_view *ret,
                          size_t max, size_t *ret_n_all);
size_t live_requests_count(struct live_requests *l);

#endif
