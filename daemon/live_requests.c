#include "daemon/live_requests.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct live_request {
    atomic_int stage;
    atomic_uint_fast64_t answer_bytes;

    /* guarded by the registry's mutex */
    struct live_request *next; /* of the free ones, or of those in use: older first */
    struct live_request *previous;
    char id[LIVE_ID_BYTES];
    char principal[PRINCIPAL_BYTES_MAX + 1];
    char collection[COLLECTION_NAME_BYTES_MAX + 1];
    const char *method;
    const char *route;
    int64_t begun_ms;
    int64_t begun_ns;
};

struct live_requests {
    struct live_request *slots; /* owned */
    pthread_mutex_t mutex;      /* guards what follows */
    struct live_request *free;
    struct live_request *oldest;
    struct live_request *newest;
    size_t n;
};

enum rag_status live_requests_new(size_t n_slots, struct live_requests **ret,
                                  struct rag_error *reterr)
{
    struct live_requests *l = calloc(1, sizeof *l);

    if (l)
        l->slots = calloc(n_slots, sizeof *l->slots);
    if (!l || !l->slots) {
        free(l);
        return rag_fail(reterr, RAG_ENOMEM, "live requests: out of memory");
    }
    pthread_mutex_init(&l->mutex, NULL);
    for (size_t i = n_slots; i > 0; i--) {
        l->slots[i - 1].next = l->free;
        l->free = &l->slots[i - 1];
    }
    *ret = l;
    return RAG_OK;
}

void live_requests_free(struct live_requests *l)
{
    if (!l)
        return;
    pthread_mutex_destroy(&l->mutex);
    free(l->slots);
    free(l);
}

struct live_request *live_requests_begin(struct live_requests *l, const char *id,
                                         const char *principal, const char *method,
                                         const char *route)
{
    struct live_request *r;

    pthread_mutex_lock(&l->mutex);
    r = l->free;
    if (r) {
        l->free = r->next;
        atomic_store_explicit(&r->stage, LIVE_QUEUED, memory_order_relaxed);
        atomic_store_explicit(&r->answer_bytes, 0, memory_order_relaxed);
        snprintf(r->id, sizeof r->id, "%s", id);
        snprintf(r->principal, sizeof r->principal, "%s", principal);
        r->collection[0] = '\0';
        r->method = method;
        r->route = route;
        r->begun_ms = clock_wall_ms();
        r->begun_ns = clock_monotonic_ns();
        r->next = NULL;
        r->previous = l->newest;
        if (l->newest)
            l->newest->next = r;
        else
            l->oldest = r;
        l->newest = r;
        l->n++;
    }
    pthread_mutex_unlock(&l->mutex);
    return r;
}

void live_requests_end(struct live_requests *l, struct live_request *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&l->mutex);
    if (r->previous)
        r->previous->next = r->next;
    else
        l->oldest = r->next;
    if (r->next)
        r->next->previous = r->previous;
    else
        l->newest = r->previous;
    r->next = l->free;
    l->free = r;
    l->n--;
    pthread_mutex_unlock(&l->mutex);
}

void live_request_collection(struct live_requests *l, struct live_request *r, const char *name)
{
    if (!r)
        return;
    pthread_mutex_lock(&l->mutex);
    snprintf(r->collection, sizeof r->collection, "%s", name);
    pthread_mutex_unlock(&l->mutex);
}

atomic_int *live_request_stage(struct live_request *r)
{
    return r ? &r->stage : NULL;
}

void live_request_working(struct live_request *r)
{
    if (r)
        atomic_store_explicit(&r->stage, LIVE_WORKING, memory_order_relaxed);
}

void live_request_wrote(struct live_request *r, size_t n_bytes)
{
    if (r)
        atomic_fetch_add_explicit(&r->answer_bytes, n_bytes, memory_order_relaxed);
}

static void view(const struct live_request *r, int64_t now_ns, struct live_view *ret)
{
    memcpy(ret->id, r->id, sizeof ret->id);
    memcpy(ret->principal, r->principal, sizeof ret->principal);
    memcpy(ret->collection, r->collection, sizeof ret->collection);
    ret->method = r->method;
    ret->route = r->route;
    ret->stage = atomic_load_explicit(&r->stage, memory_order_relaxed);
    ret->answer_bytes = atomic_load_explicit(&r->answer_bytes, memory_order_relaxed);
    ret->begun_ms = r->begun_ms;
    ret->age_ms = (double)(now_ns - r->begun_ns) / 1e6;
}

size_t live_requests_list(struct live_requests *l, const char *principal, struct live_view *ret,
                          size_t max, size_t *ret_n_all)
{
    size_t n = 0;

    pthread_mutex_lock(&l->mutex);
    for (const struct live_request *r = l->oldest; r && n < max; r = r->next)
        if (!principal || strcmp(r->principal, principal) == 0)
            view(r, clock_monotonic_ns(), &ret[n++]);
    *ret_n_all = l->n;
    pthread_mutex_unlock(&l->mutex);
    return n;
}

size_t live_requests_count(struct live_requests *l)
{
    size_t n;

    pthread_mutex_lock(&l->mutex);
    n = l->n;
    pthread_mutex_unlock(&l->mutex);
    return n;
}
