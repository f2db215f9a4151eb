/* daemon/collection_vectors.c - what requests see of a collection's vectors. Invariants:
 * collection_vectors_internal.h. */
#define _GNU_SOURCE
#include "daemon/collection_vectors.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/collection_vectors_internal.h"
#include "daemon/log.h"

#define NS_PER_MS          INT64_C(1000000)
#define CANCEL_LOOK_MS     100    /* how often a waiter looks whether its client has gone */
#define SAVE_WHILE_BUSY_MS 600000 /* between snapshots while chunks are being embedded */
#define CHANGE_SLICE       1024

/* ---- the queue and spaces; the mutex is held ---- */

enum rag_status chunk_queue_push(struct chunk_queue *q, uint64_t id)
{
    if (q->head + q->n == q->cap && q->head > q->cap / 2) {
        memmove(q->ids, q->ids + q->head, q->n * sizeof *q->ids);
        q->head = 0;
    }
    if (q->head + q->n == q->cap) {
        size_t cap = q->cap ? q->cap * 2 : 256;
        uint64_t *ids = realloc(q->ids, cap * sizeof *ids);

        if (!ids)
            return RAG_ENOMEM;
        q->ids = ids;
        q->cap = cap;
    }
    q->ids[q->head + q->n++] = id;
    return RAG_OK;
}

void chunk_queue_pop(struct chunk_queue *q, size_t n)
{
    assert(n <= q->n);
    q->head += n;
    q->n -= n;
    if (q->n == 0)
        q->head = 0;
}

struct space *space_ref(struct space *s)
{
    s->n_refs++;
    return s;
}

struct space *space_unref(struct space *s)
{
    assert(s->n_refs > 0);
    return --s->n_refs == 0 ? s : NULL;
}

void space_free(struct embedders *embedders, struct space *s)
{
    if (!s)
        return;
    vector_index_free(s->index);
    embedders_release(embedders, s->embedder);
    free(s);
}

/* ---- search ---- */

/* What a search holds on to. */
struct held {
    struct space *space;
    struct collection_adapter *adapter; /* NULL: none that fits */
};

static struct held hold(struct collection_vectors *v, bool as_embedded)
{
    struct held h = {NULL, NULL};

    pthread_mutex_lock(&v->mutex);
    if (v->serving)
        h.space = space_ref(v->serving);
    if (!as_embedded && space_fits(v->serving, v->adapter))
        h.adapter = collection_adapter_ref(v->adapter);
    pthread_mutex_unlock(&v->mutex);
    return h;
}

static void let_go(struct collection_vectors *v, struct held *h)
{
    struct space *s = NULL;

    if (h->space) {
        pthread_mutex_lock(&v->mutex);
        s = space_unref(h->space);
        pthread_mutex_unlock(&v->mutex);
    }
    space_free(v->embedders, s);
    collection_adapter_unref(h->adapter);
}

static enum rag_status can_serve(struct collection_vectors *v, const struct space *s,
                                 struct rag_error *reterr)
{
    struct vector_index_stats stats;

    if (!s)
        return rag_fail(reterr, RAG_ENOTFOUND, "vectors: none serve");
    vector_index_stats(s->index, &stats);
    if (stats.n == 0)
        return rag_fail(reterr, RAG_ENOTFOUND, "vectors: none are there yet");
    if (atomic_load(&v->offline) && bi_encoder_remote(s->embedder->encoder))
        return rag_fail(reterr, RAG_ENOTFOUND,
                        "vectors: the embedder is another server and the collection is offline");
    return RAG_OK;
}

enum rag_status collection_vectors_search(struct collection_vectors *v,
                                          const struct vectors_query *query, struct vector_hit *ret,
                                          size_t *ret_n, char ret_adapter[ADAPTER_ID_BYTES],
                                          struct rag_error *reterr)
{
    enum rag_status status;
    float *vector = NULL; /* and behind it, mapped */
    float *asked;
    struct held h;
    size_t dim;

    if (!v)
        return rag_fail(reterr, RAG_ENOTFOUND, "vectors: none serve");
    h = hold(v, query->as_embedded);
    status = can_serve(v, h.space, reterr);
    if (status != RAG_OK)
        goto out;
    dim = h.space->embedder->dim;
    vector = malloc(2 * dim * sizeof *vector);
    asked = vector;
    if (!vector) {
        status = rag_fail(reterr, RAG_ENOMEM, "vectors: out of memory");
        goto out;
    }
    status = models_embed_question(embedders_models(v->embedders), h.space->embedder->encoder,
                                   collection_vectors_reach(v), query->question, query->n_bytes,
                                   query->deadline_ns, query->cancel, vector, reterr);
    if (status == RAG_OK && h.adapter) {
        asked = vector + dim;
        (void)question_adapter_apply(h.adapter->map, vector, asked);
    }
    if (status == RAG_OK)
        status = vector_index_search(h.space->index, asked, query->keep, query->k, NULL, ret, ret_n,
                                     reterr);
    if (status == RAG_OK)
        memcpy(ret_adapter, h.adapter ? h.adapter->id : "", h.adapter ? ADAPTER_ID_BYTES : 1);
out:
    free(vector);
    let_go(v, &h);
    return status;
}

/* ---- changes ---- */

void collection_vectors_add(struct collection_vectors *v, const uint64_t *ids, size_t n)
{
    if (!v || n == 0)
        return;
    pthread_mutex_lock(&v->mutex);
    for (size_t i = 0; i < n; i++) {
        if (vector_index_has(v->target->index, ids[i]))
            continue;
        if (chunk_queue_push(&v->queue, ids[i]) != RAG_OK) {
            v->rescan = true;
            break;
        }
        v->n_queued++;
    }
    pthread_mutex_unlock(&v->mutex);
    embedding_worker_wake(v->worker);
}

/* The mutex is held. */
static void remove_dead(struct collection_vectors *v, const uint64_t *ids, size_t n)
{
    struct space *spaces[2] = {v->target, v->serving};
    struct rag_error error = {RAG_OK, ""};
    uint64_t dead[CHANGE_SLICE];
    bool live[CHANGE_SLICE];
    size_t n_dead = 0;

    bm25_has(v->live, ids, n, live);
    for (size_t i = 0; i < n; i++)
        if (!live[i])
            dead[n_dead++] = ids[i];
    for (int i = 0; i < 2 && n_dead > 0; i++) {
        if (!spaces[i] || (i == 1 && v->serving == v->target))
            continue;
        /* what stays in the index has no document, so a search leaves it out; the rescan mends it
         */
        if (vector_index_remove(spaces[i]->index, dead, n_dead, &error) != RAG_OK) {
            log_event(LOG_ERROR, NULL, "vectors_not_removed", "collection=%s error=\"%s\"", v->name,
                      error.text);
            v->rescan = true;
        }
    }
    v->n_changes += n_dead > 0;
}

void collection_vectors_remove(struct collection_vectors *v, const uint64_t *ids, size_t n)
{
    if (!v)
        return;
    for (size_t i = 0; i < n; i += CHANGE_SLICE) {
        pthread_mutex_lock(&v->mutex);
        remove_dead(v, ids + i, n - i < CHANGE_SLICE ? n - i : CHANGE_SLICE);
        pthread_mutex_unlock(&v->mutex);
    }
}

static void wait_ms(struct collection_vectors *v, int64_t ms)
{
    int64_t until_ns = clock_monotonic_ns() + ms * NS_PER_MS;
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                             .tv_nsec = (long)(until_ns % 1000000000)};

    (void)pthread_cond_timedwait(&v->settled, &v->mutex, &until);
}

uint64_t collection_vectors_wait(struct collection_vectors *v, int64_t wait_max_ms,
                                 const atomic_bool *cancel)
{
    int64_t begun = clock_monotonic_ns();
    uint64_t n_pending;
    uint64_t wanted;

    if (!v)
        return 0;
    pthread_mutex_lock(&v->mutex);
    wanted = v->n_queued;
    if ((double)v->queue.n * v->chunk_ms <= (double)wait_max_ms) {
        while (v->n_finished < wanted && !v->failing && !atomic_load(&v->held) &&
               !(cancel && atomic_load(cancel))) {
            int64_t left_ms = wait_max_ms - (int64_t)clock_elapsed_ms(begun);

            if (left_ms <= 0)
                break;
            wait_ms(v, left_ms < CANCEL_LOOK_MS ? left_ms : CANCEL_LOOK_MS);
        }
    }
    n_pending = v->queue.n;
    pthread_mutex_unlock(&v->mutex);
    return n_pending;
}

/* ---- what is told ---- */

/* The mutex is held. */
static const char *state_of(struct collection_vectors *v)
{
    if (atomic_load(&v->offline) && bi_encoder_remote(v->target->embedder->encoder))
        return "offline";
    return v->queue.n > 0 || v->rescan || v->serving != v->target ? "embedding" : "ready";
}

void collection_vectors_stats(struct collection_vectors *v, struct collection_vectors_stats *ret)
{
    struct vector_index_stats index;

    *ret = (struct collection_vectors_stats){.state = "off"};
    if (!v)
        return;
    pthread_mutex_lock(&v->mutex);
    ret->state = state_of(v);
    ret->n_pending = v->queue.n;
    ret->n_failed = v->n_failed;
    ret->replacing = v->serving != v->target;
    if (v->serving) {
        vector_index_stats(v->serving->index, &index);
        ret->n = index.n;
        ret->bytes = index.bytes;
        ret->serves = index.n > 0 && !(atomic_load(&v->offline) &&
                                       bi_encoder_remote(v->serving->embedder->encoder));
    }
    if (ret->replacing) {
        vector_index_stats(v->target->index, &index);
        ret->bytes += index.bytes;
    }
    pthread_mutex_unlock(&v->mutex);
}

/* Of the embedder: name of its directory, and fingerprint. */
static void write_embedder(const struct embedder *e, const char *name_key,
                           const char *fingerprint_key, struct json_writer *w)
{
    struct bi_encoder_info info;

    bi_encoder_info(e->encoder, &info);
    json_put_string(w, name_key, info.name);
    json_put_string(w, fingerprint_key, info.fingerprint);
}

void collection_vectors_write(struct collection_vectors *v, struct json_writer *w)
{
    struct collection_vectors_stats stats;
    struct vector_index_stats index;
    struct space *serving;

    collection_vectors_stats(v, &stats);
    json_begin_object(w, "vectors");
    json_put_string(w, "state", stats.state);
    json_put_int(w, "n", (int64_t)stats.n);
    json_put_int(w, "pending", (int64_t)stats.n_pending);
    if (v) {
        json_put_int(w, "failed", (int64_t)stats.n_failed);
        json_put_int(w, "bytes", (int64_t)stats.bytes);
        json_put_int(w, "dim", (int64_t)v->target->embedder->dim);
        write_embedder(v->target->embedder, "embedder", "fingerprint", w);
        pthread_mutex_lock(&v->mutex);
        serving = v->serving ? space_ref(v->serving) : NULL;
        if (v->failing)
            json_put_string(w, "error", v->why);
        pthread_mutex_unlock(&v->mutex);
        if (serving) {
            vector_index_stats(serving->index, &index);
            json_put_string(w, "kind", index.kind);
            json_put_bool(w, "building", index.building);
            if (serving != v->target)
                write_embedder(serving->embedder, "serving_embedder", "serving_fingerprint", w);
            pthread_mutex_lock(&v->mutex);
            serving = space_unref(serving);
            pthread_mutex_unlock(&v->mutex);
            space_free(v->embedders, serving);
        }
    }
    json_end_object(w);
}

/* ---- check ---- */

struct counting {
    struct vector_index *index;
    struct bm25 *live;
    uint64_t n_dead;
    uint64_t n_absent;
};

static void count_dead(void *context, uint64_t id)
{
    struct counting *c = context;
    bool live;

    bm25_has(c->live, &id, 1, &live);
    c->n_dead += !live;
}

static void count_absent(void *context, uint64_t id, uint32_t n_owners)
{
    struct counting *c = context;

    (void)n_owners;
    c->n_absent += !vector_index_has(c->index, id);
}

enum rag_status collection_vectors_check(struct collection_vectors *v, uint64_t *ret_n_wrong,
                                         struct rag_error *reterr)
{
    struct counting c = {0};
    uint64_t n_explained;
    enum rag_status status;

    *ret_n_wrong = 0;
    if (!v)
        return RAG_OK;
    /* under the mutex nothing is embedded or removed meanwhile */
    pthread_mutex_lock(&v->mutex);
    c.index = v->target->index;
    c.live = v->live;
    n_explained = v->queue.n + v->n_failed;
    status = vector_index_each(c.index, count_dead, &c);
    if (status == RAG_OK)
        status = bm25_each(v->live, count_absent, &c);
    pthread_mutex_unlock(&v->mutex);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "vectors of '%s': out of memory", v->name);
    *ret_n_wrong = c.n_dead + (c.n_absent > n_explained ? c.n_absent - n_explained : 0);
    return RAG_OK;
}

/* ---- snapshots ---- */

/* The mutex is held. */
static bool is_due(const struct collection_vectors *v, bool now)
{
    bool busy = v->queue.n > 0 || v->serving != v->target;

    if (v->forgotten || !v->serving || v->n_changes == v->n_saved)
        return false;
    return now || !busy || clock_elapsed_ms(v->saved_ns) > SAVE_WHILE_BUSY_MS;
}

enum rag_status collection_vectors_save(struct collection_vectors *v, bool now, bool *ret_saved,
                                        struct rag_error *reterr)
{
    uint64_t n_changes;
    enum rag_status status;
    struct space *s = NULL;

    *ret_saved = false;
    if (!v)
        return RAG_OK;
    pthread_mutex_lock(&v->mutex);
    n_changes = v->n_changes;
    if (is_due(v, now))
        s = space_ref(v->serving);
    pthread_mutex_unlock(&v->mutex);
    if (!s)
        return RAG_OK;
    status = vector_index_save(s->index, v->path, s->embedder->binding, store_last_change(v->store),
                               reterr);
    pthread_mutex_lock(&v->mutex);
    if (status == RAG_OK) {
        v->n_saved = n_changes;
        v->saved_ns = clock_monotonic_ns();
    }
    if (v->forgotten)
        (void)unlink(v->path);
    s = space_unref(s);
    pthread_mutex_unlock(&v->mutex);
    space_free(v->embedders, s);
    *ret_saved = status == RAG_OK;
    return status;
}

void collection_vectors_forget(struct collection_vectors *v)
{
    if (!v)
        return;
    collection_vectors_interrupt(v);
    pthread_mutex_lock(&v->mutex);
    v->forgotten = true; /* a snapshot in progress sees it and removes its file */
    (void)unlink(v->path);
    pthread_mutex_unlock(&v->mutex);
}
