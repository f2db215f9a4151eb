/* daemon/side_work.h - let something run beside what the caller does itself.
 *
 * A question's BM25 search and its vector search run side by side: the caller begins the one,
 * does the other, and finishes. The threads are made once. A job that no thread has taken by the
 * time its caller wants the result is run by the caller, so nobody ever waits for a free thread,
 * and a job that waits for others (an embedding in a batch) blocks nobody but its own caller. */
#ifndef RAG_DAEMON_SIDE_WORK_H
#define RAG_DAEMON_SIDE_WORK_H

#include <stddef.h>

#include "base/status.h"

struct side_work; /* opaque; thread-safe */

struct side_job {
    void (*run)(void *context);
    void *context;
    /* of side_work.c, guarded by its mutex */
    enum { SIDE_JOB_WAITS, SIDE_JOB_RUNS, SIDE_JOB_DONE } state;
    struct side_job *next;
};

/* n_threads >= 1: as many as callers there may be. RAG_OK, RAG_ENOMEM. */
enum rag_status side_work_start(size_t n_threads, struct side_work **ret, struct rag_error *reterr);
void side_work_stop(struct side_work *s); /* no job may be begun or running; NULL is a no-op */

/* The job is the caller's storage and must be finished. s NULL: it runs in side_work_finish(). */
void side_work_begin(struct side_work *s, struct side_job *job);
void side_work_finish(struct side_work *s, struct side_job *job);

#endif
