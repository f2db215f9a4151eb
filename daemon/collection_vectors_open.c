/* daemon/collection_vectors_open.c - which embedder serves, its snapshot, and what is missing. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/collection_vectors_internal.h"
#include "daemon/log.h"

#define SLICE 1024 /* vectors that are read from the store and added at once */

/* ---- an index brought to what the store holds ---- */

struct ids {
    uint64_t *items; /* owned */
    size_t n;
    size_t cap;
    bool failed; /* out of memory */
};

static void ids_add(struct ids *l, uint64_t id)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 1024;
        uint64_t *items = realloc(l->items, cap * sizeof *items);

        if (!items) {
            l->failed = true;
            return;
        }
        l->items = items;
        l->cap = cap;
    }
    l->items[l->n++] = id;
}

static void add_live(void *context, uint64_t id, uint32_t n_owners)
{
    (void)n_owners;
    ids_add(context, id);
}

static void add_held(void *context, uint64_t id)
{
    ids_add(context, id);
}

/* Both ascend: what is live and not held, and what is held and not live. */
static void compare(const struct ids *live, const struct ids *held, struct ids *absent,
                    struct ids *stale)
{
    size_t i = 0;
    size_t k = 0;

    while (i < live->n || k < held->n) {
        if (k == held->n || (i < live->n && live->items[i] < held->items[k])) {
            ids_add(absent, live->items[i++]);
        } else if (i == live->n || held->items[k] < live->items[i]) {
            ids_add(stale, held->items[k++]);
        } else {
            i++;
            k++;
        }
    }
}

/* A vector of the store that is none (a disk may lie) is made anew. */
bool is_unit(const float *vector, size_t dim)
{
    float sum = 0;

    for (size_t i = 0; i < dim; i++)
        sum += vector[i] * vector[i];
    return sum > .99f && sum < 1.01f;
}

/* Add the vectors that the store has of ids[0 .. n); the other ids are missing. */
static enum rag_status add_stored(struct collection_vectors *v, struct space *s,
                                  const uint64_t *ids, size_t n, float *vectors, bool *found,
                                  struct chunk_queue *missing, size_t *n_changed,
                                  struct rag_error *reterr)
{
    size_t dim = s->embedder->dim;
    uint64_t there[SLICE];
    size_t n_there = 0;
    enum rag_status status =
        store_embeddings_get(v->store, s->embedder->id, ids, n, dim, vectors, found, reterr);

    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        if (found[i] && is_unit(vectors + i * dim, dim)) {
            memmove(vectors + n_there * dim, vectors + i * dim, dim * sizeof *vectors);
            there[n_there++] = ids[i];
        } else if (missing) {
            status = chunk_queue_push(missing, ids[i]);
        }
    }
    if (status == RAG_ENOMEM)
        rag_fail(reterr, status, "vectors of '%s': out of memory", v->name);
    if (status == RAG_OK && n_there > 0)
        status = vector_index_add(s->index, there, vectors, n_there, reterr);
    *n_changed += n_there;
    return status;
}

static enum rag_status add_absent(struct collection_vectors *v, struct space *s,
                                  const struct ids *absent, struct chunk_queue *missing,
                                  size_t *n_changed, struct rag_error *reterr)
{
    float *vectors = malloc(SLICE * s->embedder->dim * sizeof *vectors);
    bool *found = malloc(SLICE * sizeof *found);
    enum rag_status status = RAG_OK;

    if (!vectors || !found)
        status = rag_fail(reterr, RAG_ENOMEM, "vectors of '%s': out of memory", v->name);
    for (size_t i = 0; i < absent->n && status == RAG_OK; i += SLICE) {
        size_t n = absent->n - i < SLICE ? absent->n - i : SLICE;

        status = add_stored(v, s, absent->items + i, n, vectors, found, missing, n_changed, reterr);
    }
    free(vectors);
    free(found);
    return status;
}

enum rag_status space_reconcile(struct collection_vectors *v, struct space *s,
                                struct chunk_queue *missing, size_t *ret_n_changed,
                                struct rag_error *reterr)
{
    struct ids live = {0};
    struct ids held = {0};
    struct ids absent = {0};
    struct ids stale = {0};
    size_t n_changed = 0;
    enum rag_status status = bm25_each(v->live, add_live, &live);

    if (status == RAG_OK)
        status = vector_index_each(s->index, add_held, &held);
    if (status == RAG_OK)
        compare(&live, &held, &absent, &stale);
    if (live.failed || held.failed || absent.failed || stale.failed)
        status = RAG_ENOMEM;
    if (status != RAG_OK)
        rag_fail(reterr, status, "vectors of '%s': out of memory", v->name);
    if (status == RAG_OK && stale.n > 0) {
        status = vector_index_remove(s->index, stale.items, stale.n, reterr);
        n_changed += stale.n;
    }
    if (status == RAG_OK)
        status = add_absent(v, s, &absent, missing, &n_changed, reterr);
    free(live.items);
    free(held.items);
    free(absent.items);
    free(stale.items);
    if (status == RAG_OK)
        *ret_n_changed = n_changed;
    return status;
}

/* ---- spaces ---- */

/* What was opened, for the log. */
struct opened {
    const char *how; /* "loaded", "rebuilt" */
    size_t n_changed;
    struct rag_error why; /* of a rebuild */
};

/* The space of an embedder, whose reference moves over, also on failure. path NULL: there is no
 * snapshot of it. */
static enum rag_status space_open(struct collection_vectors *v, struct embedder *embedder,
                                  const char *path, struct chunk_queue *missing,
                                  struct opened *opened, struct space **ret,
                                  struct rag_error *reterr)
{
    struct vector_index_options options = embedding_worker_options(v->worker)->index;
    struct space *s = calloc(1, sizeof *s);
    enum rag_status status = RAG_ENOTFOUND;
    uint64_t change = 0;

    if (!s) {
        embedders_release(v->embedders, embedder);
        return rag_fail(reterr, RAG_ENOMEM, "vectors of '%s': out of memory", v->name);
    }
    s->embedder = embedder;
    s->n_refs = 1;
    options.dim = embedder->dim;
    opened->how = "loaded";
    if (path)
        status =
            vector_index_load(path, embedder->binding, &options, &s->index, &change, &opened->why);
    if (status != RAG_OK && status != RAG_ENOMEM) {
        opened->how = "rebuilt";
        status = vector_index_new(&options, &s->index, reterr);
    }
    if (status == RAG_OK)
        status = space_reconcile(v, s, missing, &opened->n_changed, reterr);
    if (status != RAG_OK) {
        space_free(v->embedders, s);
        return status;
    }
    *ret = s;
    return RAG_OK;
}

/* Does another embedder cover more of the collection than the configured one? Then it is *ret.
 * *ret_others: the store knows other ones, whose embeddings here are to be dropped in the end, and
 * they themselves when nobody has any of theirs. */
static enum rag_status find_older(struct collection_vectors *v, const struct embedder *current,
                                  struct arena *arena, struct store_embedder **ret,
                                  bool *ret_others, struct rag_error *reterr)
{
    struct store_embedder *list = NULL;
    uint64_t best = 0;
    uint64_t n_chunks;
    size_t n = 0;
    enum rag_status status = store_embedder_list(v->store, arena, &list, &n, reterr);

    *ret = NULL;
    *ret_others = false;
    if (status != RAG_OK || n <= 1)
        return status;
    status =
        store_embeddings_count(v->store, v->collection_id, current->id, &best, &n_chunks, reterr);
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        uint64_t n_embedded = 0;

        if (list[i].id == current->id)
            continue;
        status = store_embeddings_count(v->store, v->collection_id, list[i].id, &n_embedded,
                                        &n_chunks, reterr);
        *ret_others = true;
        if (n_embedded > best) {
            best = n_embedded;
            *ret = &list[i];
        }
    }
    return status;
}

/* The space of an older embedder, or none when that cannot be loaded any more. */
static enum rag_status open_older(struct collection_vectors *v, const struct store_embedder *stored,
                                  struct rag_error *reterr)
{
    struct opened opened = {.how = ""};
    struct rag_error error = {RAG_OK, ""};
    struct embedder *embedder = NULL;
    enum rag_status status = embedders_older(v->embedders, stored, &embedder, &error);

    if (status == RAG_ENOMEM)
        return rag_fail(reterr, status, "%s", error.text);
    if (status != RAG_OK) {
        log_event(LOG_WARN, NULL, "embedder_gone",
                  "collection=%s dir=\"%s\" error=\"%s\" until_embedded=\"words only\"", v->name,
                  stored->dir, error.text);
        return RAG_OK;
    }
    status = space_open(v, embedder, v->path, NULL, &opened, &v->serving, reterr);
    if (status == RAG_OK)
        log_event(LOG_INFO, NULL, "embedder_older_serves", "collection=%s dir=\"%s\"", v->name,
                  stored->dir);
    return status;
}

static enum rag_status open_spaces(struct collection_vectors *v, struct embedder *current,
                                   struct opened *opened, struct rag_error *reterr)
{
    struct store_embedder *older = NULL;
    enum rag_status status;
    struct arena arena;

    arena_init(&arena, 64u << 20);
    status = find_older(v, current, &arena, &older, &v->drop_others, reterr);
    if (status == RAG_OK && older)
        status = open_older(v, older, reterr);
    arena_release(&arena);
    if (status != RAG_OK) {
        embedders_release(v->embedders, current);
        return status;
    }
    status = space_open(v, current, older ? NULL : v->path, &v->queue, opened, &v->target, reterr);
    if (status == RAG_OK && !older)
        v->serving = space_ref(v->target);
    return status;
}

/* ---- open and close ---- */

static struct collection_vectors *new_vectors(const struct collection_vectors_options *o)
{
    struct collection_vectors *v = calloc(1, sizeof *v);
    pthread_condattr_t attributes;

    if (!v)
        return NULL;
    v->worker = o->worker;
    v->store = embedding_worker_options(o->worker)->store;
    v->embedders = embedding_worker_embedders(o->worker);
    v->live = o->live;
    v->collection_id = o->collection_id;
    v->name = strdup(o->name);
    v->path = strdup(o->path);
    v->member.vectors = v;
    pthread_mutex_init(&v->mutex, NULL);
    pthread_mutex_init(&v->adapter_mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&v->settled, &attributes);
    pthread_condattr_destroy(&attributes);
    return v;
}

static void free_vectors(struct collection_vectors *v)
{
    struct space *spaces[2] = {NULL, NULL};

    if (v->serving)
        spaces[0] = space_unref(v->serving);
    if (v->target)
        spaces[1] = space_unref(v->target);
    space_free(v->embedders, spaces[0]);
    space_free(v->embedders, spaces[1]);
    free(v->queue.ids);
    pthread_cond_destroy(&v->settled);
    pthread_mutex_destroy(&v->adapter_mutex);
    pthread_mutex_destroy(&v->mutex);
    collection_adapter_unref(v->adapter);
    free(v->name);
    free(v->path);
    free(v);
}

static void log_opened(const struct collection_vectors *v, const struct opened *o, int64_t begun_ns)
{
    struct vector_index_stats stats;

    vector_index_stats(v->target->index, &stats);
    if (stats.n == 0 && v->queue.n == 0)
        return; /* an empty collection says nothing */
    log_event(LOG_INFO, NULL, "vectors_opened",
              "collection=%s n=%" PRIu64 " pending=%zu how=%s reconciled=%zu kind=%s ms=%.1f "
              "why=\"%s\"",
              v->name, stats.n, v->queue.n, o->how, o->n_changed, stats.kind,
              clock_elapsed_ms(begun_ns), o->why.text);
}

enum rag_status collection_vectors_open(const struct collection_vectors_options *options,
                                        struct collection_vectors **ret, struct rag_error *reterr)
{
    struct embedder *current =
        options->worker ? embedders_current(embedding_worker_embedders(options->worker)) : NULL;
    int64_t begun = clock_monotonic_ns();
    struct opened opened = {.how = ""};
    struct collection_vectors *v;
    enum rag_status status;

    if (!current) {
        *ret = NULL;
        return RAG_OK;
    }
    v = new_vectors(options);
    if (!v || !v->name || !v->path) {
        embedders_release(embedding_worker_embedders(options->worker), current);
        status = RAG_ENOMEM;
    } else {
        status = open_spaces(v, current, &opened, reterr);
    }
    if (status == RAG_ENOMEM)
        rag_fail(reterr, status, "vectors of '%s': out of memory", options->name);
    if (status != RAG_OK) {
        if (v)
            free_vectors(v);
        return status;
    }
    collection_vectors_set_offline(v, options->offline);
    v->n_queued = v->queue.n;
    v->n_changes = opened.n_changed + (strcmp(opened.how, "rebuilt") == 0);
    v->saved_ns = begun;
    log_opened(v, &opened, begun);
    collection_vectors_load_adapter(v);
    embedding_worker_join(v->worker, &v->member);
    *ret = v;
    return RAG_OK;
}

void collection_vectors_close(struct collection_vectors *v)
{
    if (!v)
        return;
    embedding_worker_leave(v->worker, &v->member);
    free_vectors(v);
}
