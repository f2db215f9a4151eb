#define _GNU_SOURCE
#include "daemon/embedding_worker.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "daemon/collection_vectors_internal.h"

struct embedding_worker {
    struct embedding_worker_options options;
    struct embedders *embedders; /* owned */
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t mutex; /* guards what follows; taken before that of a member */
    pthread_cond_t work;   /* a member has work, or stopping */
    pthread_cond_t idle;   /* a step has ended */
    struct embedding_member *head;
    struct embedding_member *current; /* whose step is running */
    bool woken;
    bool stopping;
};

/* Move the first member that has work now to the end and return it; *ret_at: when the next one
 * has, INT64_MAX for never. The mutex is held. */
static struct embedding_member *next_member(struct embedding_worker *w, int64_t *ret_at_ns)
{
    int64_t now = clock_monotonic_ns();
    struct embedding_member *m = NULL;

    *ret_at_ns = INT64_MAX;
    for (struct embedding_member **at = &w->head; *at && !m; at = &(*at)->next) {
        int64_t due = collection_vectors_due(((*at)->vectors));

        if (due <= now) {
            m = *at;
            *at = m->next;
            break;
        }
        if (due < *ret_at_ns)
            *ret_at_ns = due;
    }
    if (m) {
        struct embedding_member **end = &w->head;

        while (*end)
            end = &(*end)->next;
        *end = m;
        m->next = NULL;
    }
    return m;
}

static void wait_for_work(struct embedding_worker *w, int64_t at_ns)
{
    struct timespec until = {.tv_sec = (time_t)(at_ns / 1000000000),
                             .tv_nsec = (long)(at_ns % 1000000000)};

    if (at_ns == INT64_MAX)
        pthread_cond_wait(&w->work, &w->mutex);
    else
        (void)pthread_cond_timedwait(&w->work, &w->mutex, &until);
}

static void *work_loop(void *context)
{
    struct embedding_worker *w = context;

    pthread_mutex_lock(&w->mutex);
    while (!w->stopping) {
        int64_t at_ns;

        w->woken = false;
        w->current = next_member(w, &at_ns);
        if (!w->current) {
            if (!w->woken)
                wait_for_work(w, at_ns);
            continue;
        }
        pthread_mutex_unlock(&w->mutex);
        collection_vectors_step(w->current->vectors);
        pthread_mutex_lock(&w->mutex);
        w->current = NULL;
        pthread_cond_broadcast(&w->idle);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

enum rag_status embedding_worker_open(const struct embedding_worker_options *options,
                                      struct embedding_worker **ret, struct rag_error *reterr)
{
    struct embedding_worker *w = calloc(1, sizeof *w);
    pthread_condattr_t attributes;
    enum rag_status status;

    if (!w)
        return rag_fail(reterr, RAG_ENOMEM, "embedding: out of memory");
    w->options = *options;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->work, &attributes);
    pthread_cond_init(&w->idle, NULL);
    pthread_condattr_destroy(&attributes);
    status = embedders_open(options->store, options->models, &w->embedders, reterr);
    if (status == RAG_OK && models_embedder(options->models)) {
        w->has_thread = pthread_create(&w->thread, NULL, work_loop, w) == 0;
        if (!w->has_thread)
            status = rag_fail(reterr, RAG_EIO, "embedding: cannot start its thread");
    }
    if (status != RAG_OK) {
        embedding_worker_close(w);
        return status;
    }
    *ret = w;
    return RAG_OK;
}

void embedding_worker_stop(struct embedding_worker *w)
{
    if (!w || !w->has_thread)
        return;
    pthread_mutex_lock(&w->mutex);
    w->stopping = true;
    if (w->current)
        collection_vectors_interrupt(w->current->vectors);
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    w->has_thread = false;
}

void embedding_worker_close(struct embedding_worker *w)
{
    if (!w)
        return;
    embedding_worker_stop(w);
    embedders_close(w->embedders);
    pthread_cond_destroy(&w->idle);
    pthread_cond_destroy(&w->work);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

const struct embedding_worker_options *embedding_worker_options(const struct embedding_worker *w)
{
    return &w->options;
}

struct embedders *embedding_worker_embedders(const struct embedding_worker *w)
{
    return w->embedders;
}

void embedding_worker_join(struct embedding_worker *w, struct embedding_member *member)
{
    pthread_mutex_lock(&w->mutex);
    member->next = w->head;
    w->head = member;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->mutex);
}

void embedding_worker_leave(struct embedding_worker *w, struct embedding_member *member)
{
    struct embedding_member **at;

    pthread_mutex_lock(&w->mutex);
    collection_vectors_interrupt(member->vectors);
    while (w->current == member)
        pthread_cond_wait(&w->idle, &w->mutex);
    for (at = &w->head; *at != member; at = &(*at)->next) {
    }
    *at = member->next;
    pthread_mutex_unlock(&w->mutex);
}

void embedding_worker_wake(struct embedding_worker *w)
{
    pthread_mutex_lock(&w->mutex);
    w->woken = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->mutex);
}
