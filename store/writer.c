#include "store/writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"

/* Lives on its caller's stack until 'done'. */
struct write_job {
    write_fn run;
    void *context;
    enum rag_status status;
    struct rag_error error;
    bool done;               /* guarded by the writer's mutex */
    pthread_cond_t finished; /* one each: a commit wakes only those whose job was in it */
    struct write_job *next;
};

struct writer {
    struct writer_options options;
    pthread_t thread;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t work;   /* the queue has a job, or idle work, or stopping */
    struct write_job *head;
    struct write_job **tail;
    size_t n_queued;
    bool idle_work;
    bool stopping;
    uint64_t n_commits;
    uint64_t n_writes;
};

static void run_job(struct database *db, struct write_job *job)
{
    job->status = database_exec(db, "SAVEPOINT job", &job->error);
    if (job->status != RAG_OK)
        return;
    job->status = job->run(db, job->context, &job->error);
    if (job->status != RAG_OK)
        (void)database_exec(db, "ROLLBACK TO job", NULL);
    if (database_exec(db, "RELEASE job", NULL) != RAG_OK && job->status == RAG_OK)
        job->status = database_fail(db, sqlite3_errcode(db->handle), &job->error);
}

/* The next job of the queue, or NULL. */
static struct write_job *take_job(struct writer *w)
{
    struct write_job *job;

    pthread_mutex_lock(&w->mutex);
    job = w->head;
    if (job) {
        w->head = job->next;
        if (!w->head)
            w->tail = &w->head;
        job->next = NULL;
        w->n_queued--;
    }
    pthread_mutex_unlock(&w->mutex);
    return job;
}

/* Fail the jobs of a group whose transaction is lost; one that failed before keeps its reason. */
static void fail_group(struct write_job *group, enum rag_status status,
                       const struct rag_error *error)
{
    for (struct write_job *job = group; job; job = job->next) {
        if (job->status == RAG_OK) {
            job->status = status;
            job->error = *error;
        }
    }
}

/* Run what is queued in one transaction, 'first' at least: what comes while it runs joins it
 * until it has lasted WRITE_GROUP_MS, so that nobody's commit waits for a growing group. */
static bool run_group(struct writer *w, struct write_job *first)
{
    struct database *db = w->options.db;
    struct rag_error error = {RAG_OK, ""};
    int64_t begin_ns = clock_monotonic_ns();
    enum rag_status status = database_exec(db, "BEGIN IMMEDIATE", &error);
    struct write_job *job = first;
    struct write_job *last = first;
    size_t n = 1;

    while (job && status == RAG_OK) {
        last = job;
        run_job(db, job);
        /* some failures (disk full) end the whole transaction */
        if (sqlite3_get_autocommit(db->handle)) {
            status = job->status != RAG_OK ? job->status : RAG_EIO;
            error = job->error;
        }
        job = NULL;
        if (status == RAG_OK && n < WRITE_GROUP_MAX && clock_elapsed_ms(begin_ns) < WRITE_GROUP_MS)
            job = take_job(w);
        if (job) {
            last->next = job;
            n++;
        }
    }
    if (status == RAG_OK)
        status = database_exec(db, "COMMIT", &error);
    if (status == RAG_OK) {
        if (w->options.committed)
            w->options.committed(w->options.context, db);
        return true;
    }
    if (!sqlite3_get_autocommit(db->handle))
        (void)database_exec(db, "ROLLBACK", NULL);
    fail_group(first, status, &error);
    return false;
}

/* Tell the callers, whose jobs are gone from then on. The mutex is held. */
static size_t finish_group(struct write_job *group)
{
    size_t n = 0;

    for (; group; n++) {
        struct write_job *next = group->next;

        group->done = true;
        pthread_cond_signal(&group->finished);
        group = next;
    }
    return n;
}

static void run_idle(struct writer *w)
{
    struct database *db = w->options.db;
    enum rag_status status;
    bool more = false;

    /* cleared before, so that a wake during the slice is not lost */
    pthread_mutex_lock(&w->mutex);
    w->idle_work = false;
    pthread_mutex_unlock(&w->mutex);
    status = database_exec(db, "BEGIN IMMEDIATE", NULL);
    if (status == RAG_OK)
        status = w->options.idle(w->options.context, db, &more);
    if (status == RAG_OK)
        status = database_exec(db, "COMMIT", NULL);
    if (!sqlite3_get_autocommit(db->handle))
        (void)database_exec(db, "ROLLBACK", NULL);
    pthread_mutex_lock(&w->mutex);
    /* what failed (disk full) is tried again after the next wake, not in a loop */
    w->idle_work = w->idle_work || (more && status == RAG_OK);
    pthread_mutex_unlock(&w->mutex);
}

static void *write_loop(void *context)
{
    struct writer *w = context;
    unsigned n_groups = 0; /* since the last idle work */

    for (;;) {
        struct write_job *job = take_job(w);
        bool committed;
        bool due;

        pthread_mutex_lock(&w->mutex);
        while (!job && !w->head && !w->stopping && !w->idle_work)
            pthread_cond_wait(&w->work, &w->mutex);
        /* under constant load idle work still gets a slice now and then, or it would pile up */
        due = w->idle_work && (n_groups >= WRITE_GROUPS_PER_SLICE || (!job && !w->head));
        if (!job && !w->head && w->stopping)
            break;
        pthread_mutex_unlock(&w->mutex);
        if (due) {
            run_idle(w);
            n_groups = 0;
        }
        if (!job)
            continue;
        committed = run_group(w, job);
        n_groups++;
        pthread_mutex_lock(&w->mutex);
        w->n_commits += committed;
        w->n_writes += finish_group(job);
        pthread_mutex_unlock(&w->mutex);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

enum rag_status writer_start(const struct writer_options *options, struct writer **ret,
                             struct rag_error *reterr)
{
    struct writer *w = calloc(1, sizeof *w);

    if (!w)
        return rag_fail(reterr, RAG_ENOMEM, "database '%s': out of memory", options->db->what);
    w->options = *options;
    w->tail = &w->head;
    w->idle_work = options->idle != NULL;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->work, NULL);
    if (pthread_create(&w->thread, NULL, write_loop, w) != 0) {
        pthread_cond_destroy(&w->work);
        pthread_mutex_destroy(&w->mutex);
        free(w);
        return rag_fail(reterr, RAG_ENOMEM, "database '%s': cannot start its writer thread",
                        options->db->what);
    }
    *ret = w;
    return RAG_OK;
}

void writer_stop(struct writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    w->stopping = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->work);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

static enum rag_status submit(struct writer *w, write_fn run, void *context, bool bounded,
                              struct rag_error *reterr)
{
    struct write_job job = {.run = run, .context = context, .status = RAG_OK};

    pthread_cond_init(&job.finished, NULL);
    pthread_mutex_lock(&w->mutex);
    if (bounded && w->n_queued >= w->options.queue_max) {
        job.status = rag_fail(&job.error, RAG_EBUSY,
                              "database '%s': %zu writes are waiting, the limit is %zu",
                              w->options.db->what, w->n_queued, w->options.queue_max);
    } else {
        *w->tail = &job;
        w->tail = &job.next;
        w->n_queued++;
        pthread_cond_signal(&w->work);
        while (!job.done)
            pthread_cond_wait(&job.finished, &w->mutex);
    }
    pthread_mutex_unlock(&w->mutex);
    pthread_cond_destroy(&job.finished);
    if (job.status != RAG_OK && reterr)
        *reterr = job.error;
    return job.status;
}

enum rag_status writer_do(struct writer *w, write_fn run, void *context, struct rag_error *reterr)
{
    return submit(w, run, context, true, reterr);
}

enum rag_status writer_go_on(struct writer *w, write_fn run, void *context,
                             struct rag_error *reterr)
{
    return submit(w, run, context, false, reterr);
}

void writer_wake_idle(struct writer *w)
{
    pthread_mutex_lock(&w->mutex);
    w->idle_work = w->options.idle != NULL;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->mutex);
}

void writer_stats(struct writer *w, struct writer_stats *ret)
{
    pthread_mutex_lock(&w->mutex);
    ret->n_commits = w->n_commits;
    ret->n_writes = w->n_writes;
    ret->queue_length = w->n_queued;
    pthread_mutex_unlock(&w->mutex);
}
