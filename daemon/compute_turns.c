/* Invariants: 'slice' and 'layers' are never both set. Each thread sets its own when the other's is
 * not, under the mutex, and every change that the other may wait for is broadcast. */
#include "daemon/compute_turns.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/bounds.h"
#include "base/clock.h"

struct compute_turns {
    int64_t bulk_ns;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    bool layers;        /* the decoder computes */
    bool layer_waits;   /* it would like to */
    uint64_t n_stopped; /* n_slices when it let go */
    bool slice;         /* the queue computes */
    bool slice_waits;   /* it would like to */
    bool bulk;          /* that slice is of documents */
    size_t n_questions; /* requests that wait or are in the slice */
    uint64_t n_slices;
    int64_t layers_since_ns; /* the decoder began or went on */
    int64_t layers_ns;       /* of it since the last slice of documents */
};

enum rag_status compute_turns_open(int64_t bulk_ns, struct compute_turns **ret,
                                   struct rag_error *reterr)
{
    struct compute_turns *t = calloc(1, sizeof *t);

    if (!t)
        return rag_fail(reterr, RAG_ENOMEM, "models: out of memory");
    t->bulk_ns = bulk_ns;
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->changed, NULL);
    *ret = t;
    return RAG_OK;
}

void compute_turns_close(struct compute_turns *t)
{
    if (!t)
        return;
    assert(!t->layers && !t->slice && t->n_questions == 0);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}

void compute_turns_enter(struct compute_turns *t)
{
    pthread_mutex_lock(&t->mutex);
    t->n_questions++;
    pthread_cond_broadcast(&t->changed); /* a slice that gave way to the decoder may be first now */
    pthread_mutex_unlock(&t->mutex);
}

void compute_turns_leave(struct compute_turns *t)
{
    pthread_mutex_lock(&t->mutex);
    t->n_questions--;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->mutex);
}

/* Is the next turn a slice's, when both want it? */
static bool slice_first(const struct compute_turns *t)
{
    uint64_t n = t->n_slices - t->n_stopped; /* since the decoder let go */

    if (t->n_questions > 0 && n < MODELS_PREFERRED_MAX)
        return true;
    return t->slice_waits && t->bulk && n == 0 && t->layers_ns >= t->bulk_ns;
}

void compute_turns_begin_slice(struct compute_turns *t, bool bulk)
{
    pthread_mutex_lock(&t->mutex);
    t->slice_waits = true;
    t->bulk = bulk;
    while (t->layers || (t->layer_waits && !slice_first(t)))
        pthread_cond_wait(&t->changed, &t->mutex);
    t->slice_waits = false;
    t->slice = true;
    pthread_mutex_unlock(&t->mutex);
}

void compute_turns_end_slice(struct compute_turns *t)
{
    pthread_mutex_lock(&t->mutex);
    t->slice = false;
    t->n_slices++;
    if (t->bulk)
        t->layers_ns = 0;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->mutex);
}

void compute_turns_begin_layer(struct compute_turns *t)
{
    int64_t now = clock_monotonic_ns();

    pthread_mutex_lock(&t->mutex);
    if (t->layers)
        t->layers_ns += now - t->layers_since_ns;
    t->layers_since_ns = now;
    t->n_stopped = t->n_slices;
    if (t->slice || slice_first(t)) {
        t->layers = false;
        t->layer_waits = true;
        pthread_cond_broadcast(&t->changed);
        while (t->slice || slice_first(t))
            pthread_cond_wait(&t->changed, &t->mutex);
        t->layer_waits = false;
        t->layers_since_ns = clock_monotonic_ns();
    }
    t->layers = true;
    pthread_mutex_unlock(&t->mutex);
}

void compute_turns_end_run(struct compute_turns *t)
{
    pthread_mutex_lock(&t->mutex);
    t->layers_ns += clock_monotonic_ns() - t->layers_since_ns;
    t->layers = false;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->mutex);
}
