#define _GNU_SOURCE
#include "daemon/model_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bounds.h"
#include "base/clock.h"

#define LEVELS         3
#define SPEED_AT_FIRST 2.0 /* tokens per ms, before anything is measured: a large model's */
#define SLICE_TOKENS_MIN                                                                           \
    256.0 /* below that the kernels and their threads lose more than others wait */
#define SPEED_NEWEST_PART .3 /* of the mean: three slices tell about a change */

struct list {
    struct model_request *head;
    struct model_request **tail;
};

struct model_queue {
    struct model_queue_options options;
    pthread_t thread;

    pthread_mutex_t mutex; /* guards what follows, and the requests' own part */
    pthread_cond_t work;   /* a request came, or stopping */
    struct list levels[LEVELS];
    unsigned passed_over[LEVELS];
    double speed[MODEL_LANES]; /* cost per ms */
    struct model_queue_stats stats;
    bool stopping;
};

/* One turn. */
struct slice {
    struct model_part parts[MODELS_SLICE_ITEMS];
    size_t n;
    double cost;
};

/* ---- lists; the mutex is held ---- */

static void push(struct model_queue *q, struct model_request *r)
{
    struct list *list = &q->levels[r->level];

    r->next = NULL;
    *list->tail = r;
    list->tail = &r->next;
}

static void unlink_request(struct model_queue *q, struct model_request *r)
{
    struct list *list = &q->levels[r->level];
    struct model_request **at = &list->head;

    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    if (!*at)
        list->tail = at;
}

/* Tell the caller, whose request is gone from then on. It is in no list. */
static void finish(struct model_queue *q, struct model_request *r, enum rag_status status)
{
    r->status = status;
    r->finished = true;
    q->stats.n_waiting--;
    pthread_cond_signal(&r->wake);
}

static bool is_past(int64_t time_ns, int64_t now_ns)
{
    return time_ns != 0 && now_ns >= time_ns;
}

/* Is there a reason not to go on with it? Fills its error. */
static enum rag_status reason_to_end(struct model_request *r, int64_t now_ns)
{
    if (r->cancel && atomic_load(r->cancel))
        return rag_fail(&r->error, RAG_ECANCELLED, "models: the client went away");
    if (is_past(r->deadline_ns, now_ns))
        return rag_fail(&r->error, RAG_ETIMEOUT, "models: the deadline passed");
    return RAG_OK;
}

/* End what needs no turn any more: cancelled, too late, or with enough of it done. */
static void sweep(struct model_queue *q)
{
    int64_t now = clock_monotonic_ns();

    for (size_t l = 0; l < LEVELS; l++) {
        struct model_request *r = q->levels[l].head;

        while (r) {
            struct model_request *next = r->next;
            enum rag_status status = reason_to_end(r, now);

            if (status != RAG_OK || (r->n_done > 0 && is_past(r->stop_ns, now))) {
                unlink_request(q, r);
                finish(q, r, status);
            }
            r = next;
        }
    }
}

/* ---- a turn; the mutex is held ---- */

/* The level whose turn it is; LEVELS when nobody waits. */
static size_t choose_level(struct model_queue *q)
{
    size_t chosen = LEVELS;

    for (size_t l = LEVELS; l-- > 0;)
        if (q->levels[l].head)
            chosen = l;
    for (size_t l = chosen + 1; l < LEVELS; l++)
        if (q->levels[l].head && q->passed_over[l] >= MODELS_PREFERRED_MAX)
            chosen = l;
    for (size_t l = 0; l < LEVELS; l++) {
        if (l == chosen || !q->levels[l].head)
            q->passed_over[l] = 0;
        else if (l > chosen)
            q->passed_over[l]++;
    }
    return chosen;
}

/* Take items of r, at least one when the slice is empty, and take it out of its list. */
static void take_items(struct model_queue *q, struct slice *s, struct model_request *r,
                       double cost_max, size_t *items_left)
{
    struct model_part part = {r, r->n_done, 0};

    while (r->n_done + part.n<r->n && * items_left> 0) {
        double cost = (double)r->cost(r, r->n_done + part.n);

        if (s->cost + cost > cost_max && (s->n > 0 || part.n > 0))
            break;
        s->cost += cost;
        part.n++;
        --*items_left;
    }
    if (part.n == 0)
        return;
    unlink_request(q, r);
    r->running = true;
    s->parts[s->n++] = part;
}

static double slice_cost(const struct model_queue *q, const struct model_request *r)
{
    double ms = MODELS_SLICE_MS;
    double cost;

    if (r->stop_ns != 0) {
        double left_ms = (double)(r->stop_ns - clock_monotonic_ns()) / 1e6;

        ms = left_ms < ms ? left_ms : ms;
    }
    cost = q->speed[r->lane] * ms;
    if (cost < SLICE_TOKENS_MIN)
        return SLICE_TOKENS_MIN;
    return cost < MODELS_SLICE_TOKENS ? cost : MODELS_SLICE_TOKENS;
}

/* What runs next; an empty slice when nobody waits. */
static void next_slice(struct model_queue *q, struct slice *s)
{
    size_t level = choose_level(q);
    size_t last_level = level == 2 ? 2 : 1;
    size_t items_left = MODELS_SLICE_ITEMS;
    struct model_request *first;
    double cost_max;

    s->n = 0;
    s->cost = 0;
    if (level == LEVELS)
        return;
    first = q->levels[level].head;
    cost_max = slice_cost(q, first);
    take_items(q, s, first, cost_max, &items_left);
    for (; first->model && level <= last_level; level++) {
        struct model_request *r = q->levels[level].head;

        while (r && s->cost < cost_max && items_left > 0) {
            struct model_request *next = r->next;

            if (r->model == first->model && r->role == first->role)
                take_items(q, s, r, cost_max, &items_left);
            r = next;
        }
    }
}

/* After its turn: done, to be ended, or back into the queue. */
static void settle(struct model_queue *q, const struct model_part *part, enum rag_status status)
{
    struct model_request *r = part->request;
    int64_t now = clock_monotonic_ns();

    r->running = false;
    if (status == RAG_OK)
        r->n_done += part->n;
    if (status == RAG_OK && r->n_done < r->n && !is_past(r->stop_ns, now)) {
        status = reason_to_end(r, now);
        if (status == RAG_OK) {
            r->level = r->work_class == MODEL_BULK ? 2 : 1;
            push(q, r);
            return;
        }
    }
    finish(q, r, status);
}

/* ---- the thread ---- */

/* Compute a slice; each part gets a status of its own. Without the mutex. */
static void run_slice(struct model_queue *q, const struct slice *s, enum rag_status *statuses)
{
    const struct model_queue_options *o = &q->options;
    struct model_request *only = s->n == 1 ? s->parts[0].request : NULL;
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status = o->run(o->context, s->parts, s->n, only ? only->cancel : NULL, &error);

    for (size_t i = 0; i < s->n; i++) {
        struct model_request *r = s->parts[i].request;

        /* one bad text must not take the others' requests along */
        if (status != RAG_OK && !only) {
            error = (struct rag_error){RAG_OK, ""};
            statuses[i] = o->run(o->context, &s->parts[i], 1, r->cancel, &error);
        } else {
            statuses[i] = status;
        }
        if (statuses[i] != RAG_OK)
            r->error = error;
    }
}

static void *queue_loop(void *context)
{
    enum rag_status statuses[MODELS_SLICE_ITEMS];
    struct model_queue *q = context;
    struct slice s;

    pthread_mutex_lock(&q->mutex);
    for (;;) {
        int64_t begun;
        unsigned lane;
        double ms;

        sweep(q);
        next_slice(q, &s);
        if (s.n == 0 && q->stopping)
            break;
        if (s.n == 0) {
            pthread_cond_wait(&q->work, &q->mutex);
            continue;
        }
        lane = s.parts[0].request->lane;
        pthread_mutex_unlock(&q->mutex);
        begun = clock_monotonic_ns();
        run_slice(q, &s, statuses);
        ms = clock_elapsed_ms(begun);
        pthread_mutex_lock(&q->mutex);
        q->stats.n_slices++;
        q->stats.busy_ms += ms;
        if (ms > 0)
            q->speed[lane] += SPEED_NEWEST_PART * (s.cost / ms - q->speed[lane]);
        for (size_t i = 0; i < s.n; i++)
            settle(q, &s.parts[i], statuses[i]);
    }
    pthread_mutex_unlock(&q->mutex);
    return NULL;
}

enum rag_status model_queue_open(const struct model_queue_options *options,
                                 struct model_queue **ret, struct rag_error *reterr)
{
    struct model_queue *q = calloc(1, sizeof *q);

    if (!q)
        return rag_fail(reterr, RAG_ENOMEM, "models: out of memory");
    q->options = *options;
    for (size_t l = 0; l < LEVELS; l++)
        q->levels[l].tail = &q->levels[l].head;
    for (size_t l = 0; l < MODEL_LANES; l++)
        q->speed[l] = SPEED_AT_FIRST;
    pthread_mutex_init(&q->mutex, NULL);
    pthread_cond_init(&q->work, NULL);
    if (pthread_create(&q->thread, NULL, queue_loop, q) != 0) {
        pthread_cond_destroy(&q->work);
        pthread_mutex_destroy(&q->mutex);
        free(q);
        return rag_fail(reterr, RAG_EIO, "models: cannot start their thread");
    }
    *ret = q;
    return RAG_OK;
}

void model_queue_close(struct model_queue *q)
{
    if (!q)
        return;
    pthread_mutex_lock(&q->mutex);
    q->stopping = true;
    pthread_cond_signal(&q->work);
    pthread_mutex_unlock(&q->mutex);
    pthread_join(q->thread, NULL);
    pthread_cond_destroy(&q->work);
    pthread_mutex_destroy(&q->mutex);
    free(q);
}

/* ---- callers ---- */

/* Sleep until it is finished. The queue's thread ends what is too late when it comes by; behind a
 * long slice the caller does so itself, unless the slice has its items. The mutex is held. */
static void wait_finished(struct model_queue *q, struct model_request *r)
{
    struct timespec until = {.tv_sec = (time_t)(r->deadline_ns / 1000000000),
                             .tv_nsec = (long)(r->deadline_ns % 1000000000)};

    while (!r->finished) {
        if (r->deadline_ns == 0 || r->running) {
            pthread_cond_wait(&r->wake, &q->mutex);
        } else if (pthread_cond_timedwait(&r->wake, &q->mutex, &until) != 0 && !r->finished &&
                   !r->running) {
            unlink_request(q, r);
            finish(q, r, rag_fail(&r->error, RAG_ETIMEOUT, "models: the deadline passed"));
        }
    }
}

enum rag_status model_queue_run(struct model_queue *q, struct model_request *r, size_t *ret_n_done,
                                struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    pthread_condattr_t attributes;

    assert(r->n > 0 && r->lane < MODEL_LANES);
    r->n_done = 0;
    r->level = r->work_class == MODEL_BULK ? 2 : 0;
    r->running = false;
    r->finished = false;
    r->error = (struct rag_error){RAG_OK, ""};
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&r->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_lock(&q->mutex);
    if (q->stats.n_waiting >= MODELS_QUEUE_MAX) {
        status = rag_fail(reterr, RAG_EBUSY, "models: %d requests are waiting, the limit",
                          MODELS_QUEUE_MAX);
    } else {
        q->stats.n_waiting++;
        push(q, r);
        pthread_cond_signal(&q->work);
        wait_finished(q, r);
        status = r->status;
        if (status != RAG_OK && reterr)
            *reterr = r->error;
    }
    pthread_mutex_unlock(&q->mutex);
    pthread_cond_destroy(&r->wake);
    if (status == RAG_OK)
        *ret_n_done = r->n_done;
    return status;
}

void model_queue_stats(struct model_queue *q, struct model_queue_stats *ret)
{
    pthread_mutex_lock(&q->mutex);
    *ret = q->stats;
    pthread_mutex_unlock(&q->mutex);
}
