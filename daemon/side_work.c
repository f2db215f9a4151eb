#include "daemon/side_work.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct side_work {
    pthread_t *threads; /* owned, [n_threads] */
    size_t n_threads;

    pthread_mutex_t mutex; /* guards what follows, and the jobs' states */
    pthread_cond_t wake;   /* a job came, or stopping */
    pthread_cond_t done;   /* a job is done */
    struct side_job *head;
    struct side_job **tail;
    bool stopping;
};

static void *work(void *context)
{
    struct side_work *s = context;

    pthread_mutex_lock(&s->mutex);
    for (;;) {
        struct side_job *job = s->head;

        if (!job) {
            if (s->stopping)
                break;
            pthread_cond_wait(&s->wake, &s->mutex);
            continue;
        }
        s->head = job->next;
        if (!s->head)
            s->tail = &s->head;
        job->state = SIDE_JOB_RUNS;
        pthread_mutex_unlock(&s->mutex);
        job->run(job->context);
        pthread_mutex_lock(&s->mutex);
        job->state = SIDE_JOB_DONE;
        pthread_cond_broadcast(&s->done);
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

void side_work_stop(struct side_work *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->mutex);
    assert(!s->head);
    s->stopping = true;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->mutex);
    for (size_t i = 0; i < s->n_threads; i++)
        pthread_join(s->threads[i], NULL);
    pthread_cond_destroy(&s->wake);
    pthread_cond_destroy(&s->done);
    pthread_mutex_destroy(&s->mutex);
    free(s->threads);
    free(s);
}

enum rag_status side_work_start(size_t n_threads, struct side_work **ret, struct rag_error *reterr)
{
    struct side_work *s = calloc(1, sizeof *s);

    assert(n_threads >= 1);
    if (!s)
        return rag_fail(reterr, RAG_ENOMEM, "side work: out of memory");
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->wake, NULL);
    pthread_cond_init(&s->done, NULL);
    s->tail = &s->head;
    s->threads = calloc(n_threads, sizeof *s->threads);
    while (s->threads && s->n_threads < n_threads &&
           pthread_create(&s->threads[s->n_threads], NULL, work, s) == 0)
        s->n_threads++;
    if (s->n_threads < n_threads) {
        side_work_stop(s);
        return rag_fail(reterr, RAG_ENOMEM, "side work: cannot start %zu threads", n_threads);
    }
    *ret = s;
    return RAG_OK;
}

void side_work_begin(struct side_work *s, struct side_job *job)
{
    job->state = SIDE_JOB_WAITS;
    job->next = NULL;
    if (!s)
        return;
    pthread_mutex_lock(&s->mutex);
    *s->tail = job;
    s->tail = &job->next;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->mutex);
}

/* Take the job out of the queue; the mutex is held. */
static void withdraw(struct side_work *s, struct side_job *job)
{
    struct side_job **at = &s->head;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    if (!*at)
        s->tail = at;
}

void side_work_finish(struct side_work *s, struct side_job *job)
{
    bool own = true;

    if (s) {
        pthread_mutex_lock(&s->mutex);
        own = job->state == SIDE_JOB_WAITS;
        if (own)
            withdraw(s, job);
        while (!own && job->state != SIDE_JOB_DONE)
            pthread_cond_wait(&s->done, &s->mutex);
        pthread_mutex_unlock(&s->mutex);
    }
    if (own)
        job->run(job->context);
    job->state = SIDE_JOB_DONE;
}
