/* daemon/collection_vectors_embed.c - the steps of the background: embed a batch, replace an
 * embedder, drop what it left. All on the worker's thread. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/collection_vectors_internal.h"
#include "daemon/log.h"
#include "embed/passage_text.h"

#define TEXT_BYTES_MAX    (1u << 20) /* of a chunk with its headings: far above the limits of both */
#define BATCH_BYTES_MAX   (256u << 20) /* passages of a batch */
#define LOG_EVERY_NS      60000000000  /* of a long run */
#define NEWEST_BATCH_PART .3           /* of the mean time of a chunk */

/* A batch on its way from ids to vectors. */
struct batch {
    uint64_t ids[EMBED_BATCH_CHUNKS];
    size_t n_taken; /* from the queue */
    size_t n;       /* ids[0 .. n) are to be embedded; the others need nothing */
    size_t dim;
    float *vectors; /* [EMBED_BATCH_CHUNKS, dim] */
    uint64_t done[EMBED_BATCH_CHUNKS];
    size_t n_done; /* vectors[0 .. n_done) belong to done[] */
    size_t n_failed;
    struct arena arena; /* of the passages */
};

/* ---- embedding ---- */

/* Keep the ids that are live and not in the index yet. The mutex is held. */
static void keep_needed(struct collection_vectors *v, struct batch *b)
{
    bool live[EMBED_BATCH_CHUNKS];
    size_t n = 0;

    bm25_has(v->live, b->ids, b->n_taken, live);
    for (size_t i = 0; i < b->n_taken; i++)
        if (live[i] && !vector_index_has(v->target->index, b->ids[i]))
            b->ids[n++] = b->ids[i];
    b->n = n;
}

/* Take what the store has already: a chunk that lost its last owner and got one again. */
static enum rag_status take_stored(struct collection_vectors *v, struct batch *b,
                                   struct rag_error *reterr)
{
    bool found[EMBED_BATCH_CHUNKS];
    size_t n_left = 0;
    enum rag_status status = store_embeddings_get(v->store, v->target->embedder->id, b->ids, b->n,
                                                  b->dim, b->vectors, found, reterr);

    for (size_t i = 0; i < b->n && status == RAG_OK; i++) {
        const float *vector = b->vectors + i * b->dim;

        if (found[i] && is_unit(vector, b->dim)) {
            memmove(b->vectors + b->n_done * b->dim, vector, b->dim * sizeof *vector);
            b->done[b->n_done++] = b->ids[i];
        } else {
            b->ids[n_left++] = b->ids[i];
        }
    }
    if (status == RAG_OK)
        b->n = n_left;
    return status;
}

static enum rag_status compose(const struct store_passage *p, struct arena *arena,
                               struct embed_text *ret)
{
    struct passage_parts parts = {p->title, p->heading, p->context, p->text, p->text_bytes};
    struct buf text;

    buf_init(&text, TEXT_BYTES_MAX);
    passage_text(&parts, &text);
    ret->n_bytes = text.len;
    ret->text = buf_status(&text) == RAG_OK ? arena_strndup(arena, buf_str(&text), text.len) : NULL;
    buf_release(&text);
    return ret->text ? RAG_OK : RAG_ENOMEM;
}

/* The model refuses something in the batch: find out what, and go on without it. */
static enum rag_status embed_singly(struct collection_vectors *v, struct batch *b,
                                    const struct embed_text *texts, const uint64_t *ids, size_t n,
                                    struct rag_error *reterr)
{
    struct models *models = embedders_models(v->embedders);
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        status = models_embed(models, v->target->embedder->encoder, MODELS_BULK,
                              collection_vectors_reach(v), &texts[i], 1, EMBED_PASSAGE, 0, &v->held,
                              b->vectors + b->n_done * b->dim, NULL, reterr);
        if (status == RAG_OK) {
            b->done[b->n_done++] = ids[i];
        } else if (status == RAG_EINVAL || status == RAG_ENUMERIC) {
            log_event(LOG_WARN, NULL, "chunk_not_embedded",
                      "collection=%s chunk=%" PRIu64 " error=\"%s\"", v->name, ids[i],
                      reterr->text);
            b->n_failed++;
            status = RAG_OK;
        }
    }
    return status;
}

/* Embed ids[0 .. n) and make them durable. */
static enum rag_status embed_new(struct collection_vectors *v, struct batch *b,
                                 struct rag_error *reterr)
{
    struct embedder *embedder = v->target->embedder;
    size_t n_before = b->n_done;
    float *vectors = b->vectors + n_before * b->dim;
    struct embed_text texts[EMBED_BATCH_CHUNKS];
    struct store_passage *passages = NULL;
    uint64_t ids[EMBED_BATCH_CHUNKS];
    size_t n = 0;
    enum rag_status status =
        store_passages(v->store, b->ids, b->n, &b->arena, &passages, &n, reterr);

    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        ids[i] = passages[i].id;
        status = compose(&passages[i], &b->arena, &texts[i]);
        if (status != RAG_OK)
            rag_fail(reterr, status, "vectors of '%s': out of memory", v->name);
    }
    if (status != RAG_OK || n == 0)
        return status;
    status = models_embed(embedders_models(v->embedders), embedder->encoder, MODELS_BULK,
                          collection_vectors_reach(v), texts, n, EMBED_PASSAGE, 0, &v->held,
                          vectors, NULL, reterr);
    if (status == RAG_OK) {
        memcpy(b->done + n_before, ids, n * sizeof *ids);
        b->n_done += n;
    } else if (status == RAG_EINVAL || status == RAG_ENUMERIC) {
        status = embed_singly(v, b, texts, ids, n, reterr);
    }
    if (status == RAG_OK && b->n_done > n_before)
        status = store_embeddings_put(v->store, embedder->id, b->done + n_before, vectors, b->dim,
                                      b->n_done - n_before, reterr);
    return status;
}

/* Add what is done and live to the index. The mutex is held. */
static enum rag_status index_done(struct collection_vectors *v, struct batch *b,
                                  struct rag_error *reterr)
{
    bool live[EMBED_BATCH_CHUNKS];
    size_t n = 0;

    bm25_has(v->live, b->done, b->n_done, live);
    for (size_t i = 0; i < b->n_done; i++) {
        if (!live[i])
            continue;
        memmove(b->vectors + n * b->dim, b->vectors + i * b->dim, b->dim * sizeof *b->vectors);
        b->done[n++] = b->done[i];
    }
    v->n_changes += v->serving == v->target;
    return n > 0 ? vector_index_add(v->target->index, b->done, b->vectors, n, reterr) : RAG_OK;
}

/* ---- the log ---- */

/* The mutex is held. */
static void log_progress(struct collection_vectors *v, size_t n_done)
{
    struct embedding_run *r = &v->run;
    int64_t now = clock_monotonic_ns();
    uint64_t total;
    unsigned tenths;
    double s;

    if (r->begun_ns == 0)
        r->begun_ns = now;
    if (!r->told && v->queue.n + n_done >= EMBED_LOG_MIN) {
        log_event(LOG_INFO, NULL, "embedding", "collection=%s chunks=%zu model=%.16s", v->name,
                  v->queue.n + n_done, v->target->embedder->binding);
        r->told = true;
        r->told_ns = now;
    }
    r->n_done += n_done;
    total = r->n_done + v->queue.n;
    tenths = total > 0 ? (unsigned)(r->n_done * 10 / total) : 10;
    s = (double)(now - r->begun_ns) / 1e9;
    /* while documents come in as fast as they are embedded the tenths stand still */
    if (r->told && (tenths > r->tenths || v->queue.n == 0 || now - r->told_ns >= LOG_EVERY_NS)) {
        log_event(LOG_INFO, NULL, v->queue.n == 0 ? "embedded" : "embedding",
                  "collection=%s chunks=%" PRIu64 " of=%" PRIu64 " s=%.1f chunks_per_s=%.1f",
                  v->name, r->n_done, total, s, s > 0 ? (double)r->n_done / s : 0);
        r->tenths = tenths;
        r->told_ns = now;
    }
    if (v->queue.n == 0)
        *r = (struct embedding_run){0};
}

/* The mutex is held. */
static void note_failure(struct collection_vectors *v, const struct rag_error *error)
{
    if (!v->failing)
        log_event(LOG_ERROR, NULL, "embedding_failed",
                  "collection=%s pending=%zu retry_s=%d error=\"%s\"", v->name, v->queue.n,
                  EMBED_RETRY_S, error->text);
    v->failing = true;
    snprintf(v->why, sizeof v->why, "%.200s", error->text);
    v->retry_ns = clock_monotonic_ns() + EMBED_RETRY_S * INT64_C(1000000000);
    pthread_cond_broadcast(&v->settled);
}

static void note_success(struct collection_vectors *v)
{
    if (v->failing)
        log_event(LOG_INFO, NULL, "embedding_works_again", "collection=%s", v->name);
    v->failing = false;
    v->retry_ns = 0;
}

/* ---- steps ---- */

static void embed_batch(struct collection_vectors *v, struct batch *b)
{
    struct rag_error error = {RAG_OK, ""};
    int64_t begun = clock_monotonic_ns();
    enum rag_status status = RAG_OK;

    pthread_mutex_lock(&v->mutex);
    b->dim = v->target->embedder->dim;
    b->n_taken = v->queue.n < EMBED_BATCH_CHUNKS ? v->queue.n : EMBED_BATCH_CHUNKS;
    memcpy(b->ids, v->queue.ids + v->queue.head, b->n_taken * sizeof *b->ids);
    keep_needed(v, b);
    pthread_mutex_unlock(&v->mutex);

    if (b->n > 0) {
        b->vectors = malloc(EMBED_BATCH_CHUNKS * b->dim * sizeof *b->vectors);
        if (!b->vectors)
            status = rag_fail(&error, RAG_ENOMEM, "vectors of '%s': out of memory", v->name);
        if (status == RAG_OK)
            status = take_stored(v, b, &error);
        if (status == RAG_OK && b->n > 0)
            status = embed_new(v, b, &error);
    }

    pthread_mutex_lock(&v->mutex);
    if (status == RAG_OK)
        status = index_done(v, b, &error);
    if (status == RAG_OK) {
        double ms = clock_elapsed_ms(begun) / (double)b->n_taken;

        v->chunk_ms = v->chunk_ms > 0 ? v->chunk_ms + NEWEST_BATCH_PART * (ms - v->chunk_ms) : ms;
        chunk_queue_pop(&v->queue, b->n_taken);
        v->n_finished += b->n_taken;
        v->n_failed += b->n_failed;
        note_success(v);
        log_progress(v, b->n_taken);
        pthread_cond_broadcast(&v->settled);
    } else if (status != RAG_ECANCELLED && !atomic_load(&v->held)) {
        note_failure(v, &error);
    }
    pthread_mutex_unlock(&v->mutex);
}

static void step_embed(struct collection_vectors *v)
{
    struct batch *b = calloc(1, sizeof *b);
    struct rag_error error = {RAG_OK, ""};

    if (!b) {
        rag_fail(&error, RAG_ENOMEM, "vectors of '%s': out of memory", v->name);
        pthread_mutex_lock(&v->mutex);
        note_failure(v, &error);
        pthread_mutex_unlock(&v->mutex);
        return;
    }
    arena_init(&b->arena, BATCH_BYTES_MAX);
    embed_batch(v, b);
    arena_release(&b->arena);
    free(b->vectors);
    free(b);
}

/* What could not be queued for lack of memory is found by comparing again. */
static void step_rescan(struct collection_vectors *v)
{
    struct chunk_queue missing = {0};
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;
    size_t n_changed = 0;

    /* under the mutex, so that no deletion comes between the look at BM25 and the addition; memory
     * ran out, so that searches wait a moment is the least of worries */
    pthread_mutex_lock(&v->mutex);
    status = space_reconcile(v, v->target, &missing, &n_changed, &error);
    if (status == RAG_OK) {
        free(v->queue.ids);
        v->queue = missing;
        v->n_queued = v->n_finished + missing.n;
        v->rescan = false;
        note_success(v);
    } else {
        free(missing.ids);
        note_failure(v, &error);
    }
    pthread_mutex_unlock(&v->mutex);
}

/* Everything is in the target: it serves from now on. */
static void step_replace(struct collection_vectors *v)
{
    struct vector_index_stats stats;
    struct space *old = NULL;
    bool complete;

    pthread_mutex_lock(&v->mutex);
    complete = v->queue.n == 0 && !v->rescan; /* a document may have come since the choice */
    if (complete) {
        if (v->serving)
            old = space_unref(v->serving);
        v->serving = space_ref(v->target);
        v->drop_others = true;
        v->n_changes++; /* the snapshot is the old one's */
    }
    pthread_mutex_unlock(&v->mutex);
    space_free(v->embedders, old);
    if (!complete)
        return;
    vector_index_stats(v->target->index, &stats);
    log_event(LOG_INFO, NULL, "embedder_replaced", "collection=%s n=%" PRIu64 " model=%.16s",
              v->name, stats.n, v->target->embedder->binding);
    collection_vectors_check_adapter(v);
}

static enum rag_status drop_others(struct collection_vectors *v, struct rag_error *reterr)
{
    struct store_embedder *list = NULL;
    enum rag_status status;
    struct arena arena;
    size_t n = 0;

    arena_init(&arena, 64u << 20);
    status = store_embedder_list(v->store, &arena, &list, &n, reterr);
    for (size_t i = 0; i < n && status == RAG_OK; i++)
        if (list[i].id != v->target->embedder->id)
            status = store_embeddings_drop(v->store, v->collection_id, list[i].id, reterr);
    arena_release(&arena);
    return status;
}

static void step_drop(struct collection_vectors *v)
{
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status = drop_others(v, &error);

    pthread_mutex_lock(&v->mutex);
    if (status == RAG_OK) {
        v->drop_others = false;
        note_success(v);
    } else {
        note_failure(v, &error);
    }
    pthread_mutex_unlock(&v->mutex);
}

enum work { WORK_NONE, WORK_RESCAN, WORK_EMBED, WORK_REPLACE, WORK_DROP };

/* The mutex is held. */
static enum work next_work(const struct collection_vectors *v)
{
    if (atomic_load(&v->interrupted))
        return WORK_NONE;
    if (v->rescan)
        return WORK_RESCAN;
    if (v->queue.n > 0)
        return atomic_load(&v->held) ? WORK_NONE : WORK_EMBED;
    if (v->serving != v->target)
        return WORK_REPLACE;
    return v->drop_others ? WORK_DROP : WORK_NONE;
}

int64_t collection_vectors_due(struct collection_vectors *v)
{
    int64_t due;

    pthread_mutex_lock(&v->mutex);
    due = next_work(v) == WORK_NONE ? INT64_MAX : v->retry_ns;
    pthread_mutex_unlock(&v->mutex);
    return due;
}

void collection_vectors_step(struct collection_vectors *v)
{
    enum work work;

    pthread_mutex_lock(&v->mutex);
    work = next_work(v);
    pthread_mutex_unlock(&v->mutex);
    if (work == WORK_RESCAN)
        step_rescan(v);
    else if (work == WORK_EMBED)
        step_embed(v);
    else if (work == WORK_REPLACE)
        step_replace(v);
    else if (work == WORK_DROP)
        step_drop(v);
}

void collection_vectors_interrupt(struct collection_vectors *v)
{
    atomic_store(&v->interrupted, true);
    atomic_store(&v->held, true);
}

enum models_reach collection_vectors_reach(struct collection_vectors *v)
{
    return atomic_load(&v->offline) ? MODELS_STAY_HERE : MODELS_MAY_LEAVE;
}

void collection_vectors_set_offline(struct collection_vectors *v, bool offline)
{
    if (!v)
        return;
    pthread_mutex_lock(&v->mutex);
    atomic_store(&v->offline, offline);
    atomic_store(&v->held, offline && bi_encoder_remote(v->target->embedder->encoder));
    if (atomic_load(&v->interrupted)) /* said meanwhile, without the mutex */
        atomic_store(&v->held, true);
    if (atomic_load(&v->held))
        pthread_cond_broadcast(&v->settled); /* nobody waits for what will not come */
    pthread_mutex_unlock(&v->mutex);
    if (!offline)
        embedding_worker_wake(v->worker);
}
