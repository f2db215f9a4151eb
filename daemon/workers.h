/* daemon/workers.h - the threads that do the work, and the bounded queues before them.
 *
 * Interactive jobs (questions, searches) run before bulk ones (documents, checks; but after 16 of
 * them one bulk job has its turn), and bulk jobs occupy at most half of the threads, so that a long
 * ingest never keeps a question waiting. Answers that a decoder writes take long and mostly wait,
 * so they have a number of threads of their own beside the others; in the queue each waits for its
 * turn among the interactive jobs. A full queue is RAG_EBUSY at once. Thread-safe. */
#ifndef RAG_DAEMON_WORKERS_H
#define RAG_DAEMON_WORKERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum job_class { JOB_INTERACTIVE, JOB_ANSWER, JOB_BULK, N_JOB_CLASSES };

struct workers_options {
    size_t n_threads;      /* >= 2, those for answers included */
    size_t n_answers;      /* answers that may run at once; 0: they are interactive jobs */
    size_t queue_max;      /* waiting interactive jobs; answers as many again */
    size_t bulk_queue_max; /* waiting bulk jobs */
};

struct workers; /* opaque */

enum rag_status workers_start(const struct workers_options *options, struct workers **ret,
                              struct rag_error *reterr);
/* Runs what is queued, then joins the threads. No submit may follow. NULL is a no-op. */
void workers_stop(struct workers *w);

/* Run job(context) on a worker thread. RAG_OK, RAG_EBUSY, RAG_ENOMEM. */
enum rag_status workers_submit(struct workers *w, enum job_class job_class,
                               void (*job)(void *context), void *context);

struct workers_stats {
    size_t n_threads;
    size_t n_busy;
    size_t n_queued[N_JOB_CLASSES];
    uint64_t n_done;
    uint64_t n_refused;
};
void workers_stats(struct workers *w, struct workers_stats *ret);

#endif
