/* daemon/model_queue.h - who may use the models next.
 *
 * One thread runs slices of requests, through a callback. A slice takes items of the request whose
 * turn it is until they cost what is done in MODELS_SLICE_MS at the speed measured so far (but 256
 * tokens at least: with a large model that is longer), and then of other requests that may share
 * it. A request with more items than that waits for its next turn.
 *
 * Levels: 0 questions that had no turn yet, 1 other questions, 2 bulk. The lowest number goes
 * first, but nobody is passed over more than MODELS_PREFERRED_MAX times; within a level the longest
 * wait goes first. So a new question waits for one slice, and documents go on under endless
 * questions.
 *
 * Thread-safe. The callback runs on the queue's own thread, one slice at a time. */
#ifndef RAG_DAEMON_MODEL_QUEUE_H
#define RAG_DAEMON_MODEL_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum model_class { MODEL_INTERACTIVE, MODEL_BULK };

/* What is asked for; the caller's, who waits in model_queue_run(). */
struct model_request {
    enum model_class work_class;
    const void *model; /* requests of one model and role share slices, when they have a model */
    int role;
    unsigned lane; /* below MODEL_LANES: speeds are measured for each */
    size_t n;      /* items, >= 1 */
    size_t (*cost)(const struct model_request *request, size_t item); /* estimated tokens */
    void *items;                                                      /* the callback's */
    int64_t stop_ns;           /* clock_monotonic_ns(): no turn after this but the first; 0: none */
    int64_t deadline_ns;       /* RAG_ETIMEOUT after this; 0: none */
    const atomic_bool *cancel; /* or NULL */

    /* the queue's, guarded by its mutex */
    size_t n_done;
    unsigned level;
    bool running;
    bool finished;
    enum rag_status status;
    struct rag_error error;
    pthread_cond_t wake;
    struct model_request *next;
};
#define MODEL_LANES 2

/* Items first .. first + n of a request. */
struct model_part {
    struct model_request *request;
    size_t first;
    size_t n;
};

struct model_queue; /* opaque */

struct model_queue_options {
    /* Compute the parts of one slice: one part, or several of the same model and role. cancel is
     * that of the only part, or NULL. On failure of several each is tried alone. */
    enum rag_status (*run)(void *context, const struct model_part *parts, size_t n,
                           const atomic_bool *cancel, struct rag_error *reterr);
    void *context;
};

/* RAG_OK, RAG_ENOMEM, RAG_EIO (no thread). */
enum rag_status model_queue_open(const struct model_queue_options *options,
                                 struct model_queue **ret, struct rag_error *reterr);
void model_queue_close(struct model_queue *q); /* nobody may be waiting; NULL is a no-op */

/* Wait until all items are done, stop_ns has come, or it fails. *ret_n_done: items done, from the
 * first on; all of them unless there is a stop_ns. RAG_EBUSY (MODELS_QUEUE_MAX wait),
 * RAG_ETIMEOUT, RAG_ECANCELLED, or what the callback returned. */
enum rag_status model_queue_run(struct model_queue *q, struct model_request *request,
                                size_t *ret_n_done, struct rag_error *reterr);

struct model_queue_stats {
    uint64_t n_slices;
    size_t n_waiting;
    double busy_ms;
};
void model_queue_stats(struct model_queue *q, struct model_queue_stats *ret);

#endif
