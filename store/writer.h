/* store/writer.h - the one thread that writes to a database, committing in groups (internal).
 *
 * writer_do() queues a job and returns after the commit that holds it is durable, or after it
 * failed. What is queued at once shares one transaction; each job runs in a savepoint, so that a
 * failed one takes only itself back. When the commit itself fails (disk full) every job of the
 * group fails with that error, and the writer goes on. */
#ifndef RAG_STORE_WRITER_H
#define RAG_STORE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "store/database.h"

typedef enum rag_status (*write_fn)(struct database *db, void *context, struct rag_error *reterr);

struct writer; /* opaque */

struct writer_options {
    struct database *db; /* the writer thread's alone from start to stop */
    size_t queue_max;
    /* After a commit, before its jobs return; on the writer thread. May be NULL. */
    void (*committed)(void *context, struct database *db);
    /* Work for when nothing is queued (and one slice in WRITE_GROUPS_PER_SLICE groups when
     * something always is): one slice, in a transaction of its own. *ret_more: call again when
     * idle. May be NULL. What fails is tried again after the next writer_wake_idle(). */
    enum rag_status (*idle)(void *context, struct database *db, bool *ret_more);
    void *context;
};

enum rag_status writer_start(const struct writer_options *options, struct writer **ret,
                             struct rag_error *reterr);
void writer_stop(struct writer *w); /* finishes the queue; NULL is a no-op */

/* RAG_EBUSY when the queue is full, else the job's status. Any thread but the writer's. */
enum rag_status writer_do(struct writer *w, write_fn run, void *context, struct rag_error *reterr);
/* The same for a further step of work that was let in: it waits where writer_do() would refuse,
 * so that a half staged document is not thrown away because others came after it. */
enum rag_status writer_go_on(struct writer *w, write_fn run, void *context,
                             struct rag_error *reterr);
void writer_wake_idle(struct writer *w); /* there is idle work */

struct writer_stats {
    uint64_t n_commits;
    uint64_t n_writes;
    size_t queue_length;
};
void writer_stats(struct writer *w, struct writer_stats *ret);

#endif
