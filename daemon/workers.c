#include "daemon/workers.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define PREFERRED_MAX 16 /* then one bulk job: an ingest under endless questions must end, too */

struct job {
    void (*run)(void *context);
    void *context;
    uint64_t ticket; /* who came first */
    struct job *next;
};

struct queue {
    struct job *head;
    struct job **tail;
    size_t n;
    size_t max;
};

struct workers {
    pthread_t *threads; /* owned, [n_threads] */
    size_t n_threads;
    size_t bulk_max;    /* bulk jobs that may run at once */
    size_t answers_max; /* answers, likewise */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;   /* a job came or may now run, or stopping */
    struct queue queues[N_JOB_CLASSES];
    size_t n_busy;
    size_t n_running[N_JOB_CLASSES];
    uint64_t last_ticket;
    size_t n_preferred; /* interactive jobs taken while a bulk job could have run */
    uint64_t n_done;
    uint64_t n_refused;
    bool stopping;
};

static struct job *take(struct queue *q)
{
    struct job *job = q->head;

    q->head = job->next;
    if (!q->head)
        q->tail = &q->head;
    q->n--;
    return job;
}

/* The class of the question or answer that came first and may run, or N_JOB_CLASSES. */
static enum job_class next_question(const struct workers *w)
{
    const struct job *question = w->queues[JOB_INTERACTIVE].head;
    const struct job *answer = w->queues[JOB_ANSWER].head;

    if (w->n_running[JOB_ANSWER] >= w->answers_max)
        answer = NULL;
    if (answer && (!question || answer->ticket < question->ticket))
        return JOB_ANSWER;
    return question ? JOB_INTERACTIVE : N_JOB_CLASSES;
}

/* The next job that may run now, or NULL. The mutex is held. */
static struct job *next_job(struct workers *w, enum job_class *ret_class)
{
    bool bulk = w->queues[JOB_BULK].head && w->n_running[JOB_BULK] < w->bulk_max;
    enum job_class question = next_question(w);

    if (question != N_JOB_CLASSES && !(bulk && w->n_preferred >= PREFERRED_MAX)) {
        *ret_class = question;
        w->n_preferred += bulk;
        return take(&w->queues[question]);
    }
    if (!bulk)
        return NULL;
    *ret_class = JOB_BULK;
    w->n_preferred = 0;
    return take(&w->queues[JOB_BULK]);
}

static bool all_empty(const struct workers *w)
{
    return !w->queues[JOB_INTERACTIVE].head && !w->queues[JOB_ANSWER].head &&
           !w->queues[JOB_BULK].head;
}

static void *work(void *context)
{
    struct workers *w = context;

    pthread_mutex_lock(&w->mutex);
    for (;;) {
        enum job_class job_class = N_JOB_CLASSES;
        struct job *job = next_job(w, &job_class);

        if (!job) {
            if (w->stopping && all_empty(w))
                break;
            pthread_cond_wait(&w->wake, &w->mutex);
            continue;
        }
        w->n_busy++;
        w->n_running[job_class]++;
        pthread_mutex_unlock(&w->mutex);
        job->run(job->context);
        free(job);
        pthread_mutex_lock(&w->mutex);
        w->n_busy--;
        w->n_done++;
        w->n_running[job_class]--;
        if (job_class != JOB_INTERACTIVE)
            pthread_cond_signal(&w->wake); /* one of its class that had to wait may run now */
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

void workers_stop(struct workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    w->stopping = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->mutex);
    for (size_t i = 0; i < w->n_threads; i++) {
        pthread_join(w->threads[i], NULL);
        /* the last bulk jobs may be waiting for a slot that a leaving thread freed */
        pthread_mutex_lock(&w->mutex);
        pthread_cond_broadcast(&w->wake);
        pthread_mutex_unlock(&w->mutex);
    }
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->mutex);
    free(w->threads);
    free(w);
}

enum rag_status workers_start(const struct workers_options *options, struct workers **ret,
                              struct rag_error *reterr)
{
    struct workers *w = calloc(1, sizeof *w);

    assert(options->n_threads >= 2 + options->n_answers);
    if (!w)
        return rag_fail(reterr, RAG_ENOMEM, "workers: out of memory");
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->bulk_max = (options->n_threads - options->n_answers) / 2;
    w->answers_max = options->n_answers;
    w->queues[JOB_INTERACTIVE] =
        (struct queue){NULL, &w->queues[JOB_INTERACTIVE].head, 0, options->queue_max};
    w->queues[JOB_ANSWER] =
        (struct queue){NULL, &w->queues[JOB_ANSWER].head, 0, options->queue_max};
    w->queues[JOB_BULK] =
        (struct queue){NULL, &w->queues[JOB_BULK].head, 0, options->bulk_queue_max};
    w->threads = calloc(options->n_threads, sizeof *w->threads);
    while (w->threads && w->n_threads < options->n_threads &&
           pthread_create(&w->threads[w->n_threads], NULL, work, w) == 0)
        w->n_threads++;
    if (w->n_threads < options->n_threads) {
        workers_stop(w);
        return rag_fail(reterr, RAG_ENOMEM, "workers: cannot start %zu threads",
                        options->n_threads);
    }
    *ret = w;
    return RAG_OK;
}

enum rag_status workers_submit(struct workers *w, enum job_class job_class,
                               void (*run)(void *context), void *context)
{
    struct queue *q =
        &w->queues[job_class == JOB_ANSWER && w->answers_max == 0 ? JOB_INTERACTIVE : job_class];
    enum rag_status status = RAG_OK;
    struct job *job = malloc(sizeof *job);

    if (!job)
        return RAG_ENOMEM;
    *job = (struct job){run, context, 0, NULL};
    pthread_mutex_lock(&w->mutex);
    if (q->n >= q->max || w->stopping) {
        w->n_refused++;
        status = RAG_EBUSY;
    } else {
        job->ticket = ++w->last_ticket;
        *q->tail = job;
        q->tail = &job->next;
        q->n++;
        job = NULL; /* the queue owns it */
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->mutex);
    free(job);
    return status;
}

void workers_stats(struct workers *w, struct workers_stats *ret)
{
    pthread_mutex_lock(&w->mutex);
    ret->n_threads = w->n_threads;
    ret->n_busy = w->n_busy;
    for (int c = 0; c < N_JOB_CLASSES; c++)
        ret->n_queued[c] = w->queues[c].n;
    ret->n_done = w->n_done;
    ret->n_refused = w->n_refused;
    pthread_mutex_unlock(&w->mutex);
}
