#include "store/writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_MAX 256 /* jobs of one transaction: bounds what one failed commit takes along */

/* Lives on its caller's stack until 'done'. */
struct write_job {
    write_fn run;
    void *context;
    enum rag_status status;
    struct rag_error error;
    bool done;
    struct write_job *next;
};

struct writer {
    struct writer_options options;
    pthread_t thread;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t work;   /* the queue has a job, or idle work, or stopping */
    pthread_cond_t done;   /* a group is finished */
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

/* Run a group in one transaction. */
static void run_group(struct writer *w, struct write_job *group)
{
    struct database *db = w->options.db;
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status = database_exec(db, "BEGIN IMMEDIATE", &error);

    for (struct write_job *job = group; job && status == RAG_OK; job = job->next) {
        run_job(db, job);
        /* some failures (disk full) end the whole transaction */
        if (sqlite3_get_autocommit(db->handle)) {
            status = job->status != RAG_OK ? job->status : RAG_EIO;
            error = job->error;
        }
    }
    if (status == RAG_OK)
        status = database_exec(db, "COMMIT", &error);
    if (status != RAG_OK) {
        if (!sqlite3_get_autocommit(db->handle))
            (void)database_exec(db, "ROLLBACK", NULL);
        for (struct write_job *job = group; job; job = job->next) {
            job->status = status;
            job->error = error;
        }
    } else if (w->options.committed) {
        w->options.committed(w->options.context, db);
    }
}

/* Take up to GROUP_MAX jobs off the queue. The mutex is held. */
static struct write_job *take_group(struct writer *w, size_t *ret_n)
{
    struct write_job *group = w->head;
    struct write_job *last = NULL;
    size_t n = 0;

    for (struct write_job *job = group; job && n < GROUP_MAX; job = job->next) {
        last = job;
        n++;
    }
    if (last) {
        w->head = last->next;
        if (!w->head)
            w->tail = &w->head;
        last->next = NULL;
        w->n_queued -= n;
    }
    *ret_n = n;
    return group;
}

static void run_idle(struct writer *w)
{
    struct database *db = w->options.db;
    enum rag_status status = database_exec(db, "BEGIN IMMEDIATE", NULL);
    bool more = false;

    if (status == RAG_OK)
        status = w->options.idle(w->options.context, db, &more);
    if (status == RAG_OK)
        status = database_exec(db, "COMMIT", NULL);
    if (!sqlite3_get_autocommit(db->handle))
        (void)database_exec(db, "ROLLBACK", NULL);
    pthread_mutex_lock(&w->mutex);
    /* what failed is tried again when the next write wakes us */
    w->idle_work = more && status == RAG_OK;
    pthread_mutex_unlock(&w->mutex);
}

static void *write_loop(void *context)
{
    struct writer *w = context;

    pthread_mutex_lock(&w->mutex);
    for (;;) {
        struct write_job *group;
        size_t n = 0;

        while (!w->head && !w->stopping && !w->idle_work)
            pthread_cond_wait(&w->work, &w->mutex);
        group = take_group(w, &n);
        if (!group) {
            if (w->stopping)
                break;
            pthread_mutex_unlock(&w->mutex);
            run_idle(w);
            pthread_mutex_lock(&w->mutex);
            continue;
        }
        pthread_mutex_unlock(&w->mutex);
        run_group(w, group);
        pthread_mutex_lock(&w->mutex);
        w->n_commits++;
        w->n_writes += n;
        while (group) {
            struct write_job *next = group->next; /* done frees the job for its owner */

            group->done = true;
            group = next;
        }
        pthread_cond_broadcast(&w->done);
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
    pthread_cond_init(&w->done, NULL);
    if (pthread_create(&w->thread, NULL, write_loop, w) != 0) {
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
    pthread_cond_destroy(&w->done);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

enum rag_status writer_do(struct writer *w, write_fn run, void *context, struct rag_error *reterr)
{
    struct write_job job = {.run = run, .context = context, .status = RAG_OK};

    pthread_mutex_lock(&w->mutex);
    if (w->n_queued >= w->options.queue_max) {
        pthread_mutex_unlock(&w->mutex);
        return rag_fail(reterr, RAG_EBUSY, "database '%s': %zu writes are waiting",
                        w->options.db->what, w->options.queue_max);
    }
    *w->tail = &job;
    w->tail = &job.next;
    w->n_queued++;
    pthread_cond_signal(&w->work);
    while (!job.done)
        pthread_cond_wait(&w->done, &w->mutex);
    pthread_mutex_unlock(&w->mutex);
    if (job.status != RAG_OK && reterr)
        *reterr = job.error;
    return job.status;
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
