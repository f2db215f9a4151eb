/* cache/answer_cache.c - asking, putting, what makes an answer stale. Invariants: answer_cache.h,
 * answer_cache_internal.h. */
#include "cache/answer_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cache/answer_cache_internal.h"

const char *cache_kind_name(enum cache_kind kind)
{
    return kind == CACHE_EXACT ? "exact" : "semantic";
}

static enum rag_status out_of_memory(struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "cache of answers: out of memory");
}

/* ---- open and close ---- */

static enum rag_status check_options(const struct answer_cache_options *o, struct rag_error *reterr)
{
    if (o->entries_max < 1 || o->entries_max > CACHE_ENTRIES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "cache of answers: %zu entries, the limit is %u",
                        o->entries_max, CACHE_ENTRIES_MAX);
    if (o->ttl_ms < 0 || o->ttl_ms > INT64_MAX / 1000000 / 2)
        return rag_fail(reterr, RAG_EINVAL, "cache of answers: a time to live of %lld ms",
                        (long long)o->ttl_ms);
    if (!(o->threshold >= 0 && o->threshold <= 1))
        return rag_fail(reterr, RAG_EINVAL, "cache of answers: a threshold of %g, use 0 to 1",
                        o->threshold);
    if (!(o->error_bound >= 0 && o->error_bound <= 1))
        return rag_fail(reterr, RAG_EINVAL, "cache of answers: an error bound of %g, use 0 to 1",
                        o->error_bound);
    return RAG_OK;
}

enum rag_status answer_cache_open(const struct answer_cache_options *options,
                                  struct answer_cache **ret, char *ret_why,
                                  struct rag_error *reterr)
{
    enum rag_status status = check_options(options, reterr);
    char why[CACHE_WHY_BYTES] = "";
    struct answer_cache *c;

    if (status != RAG_OK)
        return status;
    c = calloc(1, sizeof *c);
    if (!c)
        return out_of_memory(reterr);
    pthread_mutex_init(&c->lock, NULL);
    c->options = *options;
    c->kernels = vector_kernels_variant(0);
    c->threshold = threshold_learn(NULL, 0, options->threshold, options->error_bound);
    if (cache_tables_new(c) != RAG_OK)
        status = out_of_memory(reterr);
    else if (random_bytes(&c->seed, sizeof c->seed) != RAG_OK)
        status = rag_fail(reterr, RAG_EIO, "cache of answers: no random numbers from the system");
    if (status == RAG_OK && options->path)
        status = cache_load(c, ret_why ? ret_why : why, reterr);
    else if (ret_why)
        ret_why[0] = '\0';
    if (status != RAG_OK) {
        answer_cache_close(c);
        return status;
    }
    *ret = c;
    return RAG_OK;
}

void answer_cache_close(struct answer_cache *c)
{
    if (!c)
        return;
    if (c->rows)
        cache_store_used(c);
    cache_rows_close(c->rows);
    cache_tables_free(c);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void cache_forget(struct answer_cache *c, struct entry *e)
{
    if (e->stored)
        cache_rows_delete(c->rows, e->id);
    cache_unlink(c, e);
}

/* ---- is it still true? ---- */

enum rag_status cache_check(struct answer_cache *c, const struct entry *e, uint64_t generation,
                            enum cache_verdict *ret_verdict, uint64_t *ret_now,
                            struct rag_error *reterr)
{
    const char *names[CACHE_DOCUMENTS_MAX];
    uint64_t versions[CACHE_DOCUMENTS_MAX];
    enum cache_verdict verdict = CACHE_HIT;
    enum rag_status status;
    uint64_t now = 0;

    for (size_t i = 0; i < e->n_documents; i++)
        names[i] = e->documents[i].name;
    status = store_document_versions(c->options.store, e->collection_id, names, e->n_documents,
                                     versions, &now, reterr);
    if (status == RAG_ENOTFOUND) {
        verdict = CACHE_MISS;
        status = RAG_OK;
    }
    if (status != RAG_OK)
        return status;
    if (verdict == CACHE_HIT && now != generation) {
        /* nothing but the generation says whether these would be the same today */
        bool bound = e->refused || e->n_documents == 0;

        if (bound || c->options.expiry == CACHE_EXPIRE_CHANGE)
            verdict = CACHE_MISS;
        else if (c->options.expiry == CACHE_EXPIRE_TOP_K)
            verdict = CACHE_RECHECK;
    }
    for (size_t i = 0; verdict != CACHE_MISS && i < e->n_documents; i++)
        if (versions[i] == 0 || versions[i] != e->documents[i].version_id)
            verdict = CACHE_MISS;
    *ret_verdict = verdict;
    *ret_now = now;
    return RAG_OK;
}

/* The lock is held. */
static void count_hit(struct answer_cache *c, struct entry *e)
{
    uint64_t *n = e->hit_kind == CACHE_EXACT ? &c->stats.exact_hits : &c->stats.semantic_hits;

    (*n)++;
    e->n_hits[e->hit_kind]++;
    e->used_ms = clock_wall_ms();
    e->used = true;
    c->stats.saved_ms += e->cost_ms;
    cache_touch(c, e);
}

enum rag_status cache_give(struct answer_cache *c, struct entry *e, const struct cache_key *key,
                           enum cache_kind kind, float similarity, double threshold,
                           enum cache_verdict *ret_verdict, struct answer_cached *ret,
                           struct rag_error *reterr)
{
    struct answer_cached a = {.kind = kind, .similarity = similarity, .threshold = threshold};
    enum cache_verdict verdict = CACHE_MISS;
    uint64_t generation = e->generation;
    enum rag_status status;

    e->n_refs++;
    pthread_mutex_unlock(&c->lock);
    status = cache_check(c, e, generation, &verdict, &a.generation, reterr);
    if (status == RAG_OK && verdict != CACHE_MISS && entry_copy(e, &a) != RAG_OK)
        status = out_of_memory(reterr);
    pthread_mutex_lock(&c->lock);
    if (status == RAG_OK && e->linked) {
        if (verdict == CACHE_MISS) {
            c->stats.stale++;
            cache_forget(c, e);
        } else {
            cache_remember(c, e, key->request_id, kind, similarity);
            if (verdict == CACHE_HIT)
                count_hit(c, e);
        }
    } else if (status == RAG_OK) {
        verdict = CACHE_MISS; /* cleared, or reported as false, meanwhile */
    }
    entry_unref(e);
    pthread_mutex_unlock(&c->lock);
    if (status != RAG_OK || verdict == CACHE_MISS)
        answer_cached_release(&a);
    else
        *ret = a;
    if (status == RAG_OK)
        *ret_verdict = verdict;
    return status;
}

/* ---- find and put ---- */

enum rag_status answer_cache_find(struct answer_cache *c, const struct cache_key *key,
                                  enum cache_verdict *ret_verdict, struct answer_cached *ret,
                                  struct rag_error *reterr)
{
    uint8_t digest[SHA256_BYTES];
    struct entry *e;

    if (entry_key(key, digest) != RAG_OK)
        return out_of_memory(reterr);
    pthread_mutex_lock(&c->lock);
    c->n_lookups++;
    e = cache_by_key(c, digest);
    if (e && entry_expired(e, c->options.ttl_ms, clock_wall_ms(), clock_monotonic_ns())) {
        c->stats.stale++;
        cache_forget(c, e);
        e = NULL;
    }
    if (e)
        return cache_give(c, e, key, CACHE_EXACT, 1, 0, ret_verdict, ret, reterr);
    pthread_mutex_unlock(&c->lock);
    *ret_verdict = CACHE_MISS;
    return RAG_OK;
}

void answer_cache_rechecked(struct answer_cache *c, uint64_t id, uint64_t generation, bool valid)
{
    struct entry *e;

    pthread_mutex_lock(&c->lock);
    e = cache_by_id(c, id);
    if (e && valid) {
        if (generation > e->generation)
            e->generation = generation;
        count_hit(c, e);
    } else if (e) {
        c->stats.stale++;
        cache_forget(c, e);
    }
    pthread_mutex_unlock(&c->lock);
}

/* An entry made now. body: as it is to be stored, where it is. */
static enum rag_status make_entry(const struct answer_cache *c, const struct cache_key *key,
                                  const struct cache_put *put, struct entry **ret, struct buf *body)
{
    const struct cache_meaning *m = put->meaning;
    struct sparse_vector terms = {NULL, NULL, 0};
    enum rag_status status = RAG_OK;
    struct entry *e = NULL;

    if (m && !m->vector && m->terms && !put->refused)
        status = sparse_vector_make(m->terms, m->idf, &terms);
    if (status == RAG_OK)
        status = entry_new(key, put, &terms, c->options.bytes_max / 4, &e);
    sparse_vector_release(&terms);
    if (status != RAG_OK)
        return status;
    e->created_ms = clock_wall_ms();
    e->used_ms = e->created_ms;
    e->expires_ns =
        c->options.ttl_ms > 0 ? clock_monotonic_ns() + c->options.ttl_ms * 1000000 : INT64_MAX;
    if (c->rows)
        entry_encode(e, m ? m->vector : NULL, m ? m->dim : 0, body);
    *ret = e;
    return RAG_OK;
}

/* Link it in place of an older one of its key. moment NULL: it is not stored. The lock is held. */
static enum rag_status insert(struct answer_cache *c, struct entry *e,
                              const struct cache_meaning *meaning, struct buf *body,
                              const struct cache_moment *moment)
{
    struct entry *old = cache_by_key(c, e->key);
    bool vector = meaning && meaning->vector;
    enum rag_status status;
    char *data = NULL;
    size_t n = 0;

    if (old)
        cache_forget(c, old);
    e->id = ++c->last_id;
    status = cache_link(c, e, vector ? meaning->vector : NULL, vector ? meaning->dim : 0);
    if (status != RAG_OK)
        return status;
    e->threshold = cache_entry_threshold(e->partition->book, e);
    if (moment && buf_take(body, &data, &n) == RAG_OK) {
        struct cache_row row = {e->id, e->collection_id, e->used_ms, data, n};

        e->stored = cache_rows_put(c->rows, &row, data, moment);
    }
    cache_evict(c, e);
    return RAG_OK;
}

enum rag_status answer_cache_put(struct answer_cache *c, const struct cache_key *key,
                                 const struct cache_put *put, struct rag_error *reterr)
{
    enum cache_verdict verdict = CACHE_MISS;
    struct cache_moment moment = {0, 0};
    struct entry *e = NULL;
    struct entry *newer;
    enum rag_status status;
    uint64_t now = 0;
    struct buf body;
    bool stored;

    buf_init(&body, CACHE_ROW_BYTES_MAX);
    status = make_entry(c, key, put, &e, &body);
    if (status != RAG_OK) {
        buf_release(&body);
        return status == RAG_ELIMIT ? RAG_OK : out_of_memory(reterr);
    }
    stored = c->rows && cache_moment(c, &moment) == RAG_OK;
    pthread_mutex_lock(&c->lock);
    newer = cache_by_key(c, e->key);
    if (newer && newer->generation > e->generation) {
        entry_unref(e); /* who searched later was faster */
        pthread_mutex_unlock(&c->lock);
        buf_release(&body);
        return RAG_OK;
    }
    e->n_refs++;
    status = insert(c, e, put->meaning, &body, stored ? &moment : NULL);
    if (status != RAG_OK)
        entry_unref(e); /* what the tables would have held */
    pthread_mutex_unlock(&c->lock);
    buf_release(&body);
    /* After it is linked: a change that comes from here on finds it there, one that came before is
     * seen in the store. So none is missed, and a deleted collection gets no entry. */
    if (status == RAG_OK)
        status = cache_check(c, e, put->generation, &verdict, &now, reterr);
    else
        status = out_of_memory(reterr);
    pthread_mutex_lock(&c->lock);
    if (status == RAG_OK && verdict == CACHE_MISS && e->linked) {
        c->stats.stale++;
        cache_forget(c, e);
    }
    entry_unref(e);
    pthread_mutex_unlock(&c->lock);
    return status;
}

/* ---- what goes ---- */

size_t answer_cache_document_changed(struct answer_cache *c, int64_t collection_id,
                                     const char *document)
{
    uint64_t hash = cache_document_hash(c, collection_id, document);
    struct cited *d;
    size_t n = 0;

    pthread_mutex_lock(&c->lock);
    d = c->by_document[hash & (c->n_buckets - 1)];
    while (d) {
        struct entry *e = d->entry;

        if (d->hash == hash && e->collection_id == collection_id &&
            strcmp(d->name, document) == 0) {
            cache_forget(c, e);
            n++;
            /* several of its links may have stood here */
            d = c->by_document[hash & (c->n_buckets - 1)];
        } else {
            d = d->next;
        }
    }
    c->stats.invalidated += n;
    pthread_mutex_unlock(&c->lock);
    return n;
}

/* Every entry of a collection. The lock is held. A book goes with its last partition, so it is
 * looked for again each time. */
static size_t forget_collection(struct answer_cache *c, int64_t collection_id)
{
    struct book *b;
    size_t n = 0;

    while ((b = cache_book(c, collection_id)) != NULL && b->partitions) {
        cache_forget(c, b->partitions->entries);
        n++;
    }
    return n;
}

size_t answer_cache_collection_deleted(struct answer_cache *c, int64_t collection_id)
{
    struct book *b;
    size_t n;

    pthread_mutex_lock(&c->lock);
    n = forget_collection(c, collection_id);
    b = cache_book(c, collection_id);
    if (b) {
        if (c->rows)
            cache_rows_delete_reports(c->rows, collection_id);
        b->n_reports = 0;
        cache_book_tidy(c, b);
    }
    c->stats.invalidated += n;
    pthread_mutex_unlock(&c->lock);
    return n;
}

enum rag_status answer_cache_clear(struct answer_cache *c, int64_t collection_id, size_t *ret_n,
                                   struct rag_error *reterr)
{
    size_t n = 0;

    pthread_mutex_lock(&c->lock);
    if (collection_id != 0)
        n = forget_collection(c, collection_id);
    for (; collection_id == 0 && c->newest; n++)
        cache_forget(c, c->newest);
    pthread_mutex_unlock(&c->lock);
    *ret_n = n;
    return c->rows ? cache_rows_flush(c->rows, reterr) : RAG_OK;
}

/* ---- what is there ---- */

void answer_cache_stats(struct answer_cache *c, struct answer_cache_stats *ret)
{
    pthread_mutex_lock(&c->lock);
    *ret = c->stats;
    ret->misses = c->n_lookups - c->stats.exact_hits - c->stats.semantic_hits;
    pthread_mutex_unlock(&c->lock);
}

double answer_cache_threshold(struct answer_cache *c, int64_t collection_id)
{
    struct book *b;
    double threshold;

    pthread_mutex_lock(&c->lock);
    b = cache_book(c, collection_id);
    threshold = b ? b->threshold : c->threshold;
    pthread_mutex_unlock(&c->lock);
    return threshold;
}

static bool in_view(const struct entry *e, const struct cache_view *views, size_t n_views)
{
    for (size_t i = 0; i < n_views; i++)
        if (views[i].collection_id == e->collection_id &&
            (!views[i].scope || memcmp(views[i].scope, e->scope, SHA256_BYTES) == 0))
            return true;
    return false;
}

static void fill_listed(const struct entry *e, struct cache_listed *ret)
{
    double learned = e->partition->book->threshold;

    *ret = (struct cache_listed){
        .id = e->id,
        .collection_id = e->collection_id,
        .question = e->question,
        .payload_bytes = e->payload_bytes,
        .n_documents = e->n_documents,
        .refused = e->refused,
        .created_ms = e->created_ms,
        .used_ms = e->used_ms,
        .n_exact = e->n_hits[CACHE_EXACT],
        .n_semantic = e->n_hits[CACHE_SEMANTIC],
        .threshold = e->threshold > learned ? e->threshold : learned,
        .cost_ms = e->cost_ms,
    };
}

enum rag_status answer_cache_list(struct answer_cache *c, const struct cache_view *views,
                                  size_t n_views, size_t limit,
                                  void (*visit)(void *context, const struct cache_listed *entry),
                                  void *context, struct rag_error *reterr)
{
    size_t cap = limit < c->options.entries_max ? limit : c->options.entries_max;
    struct cache_listed *listed = calloc(cap + 1, sizeof *listed);
    struct entry **entries = calloc(cap + 1, sizeof *entries);
    size_t n = 0;

    if (!listed || !entries) {
        free(listed);
        free(entries);
        return out_of_memory(reterr);
    }
    pthread_mutex_lock(&c->lock);
    for (struct entry *e = c->newest; e && n < cap; e = e->older) {
        if (!in_view(e, views, n_views))
            continue;
        e->n_refs++;
        fill_listed(e, &listed[n]);
        entries[n++] = e;
    }
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < n; i++)
        visit(context, &listed[i]);
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < n; i++)
        entry_unref(entries[i]);
    pthread_mutex_unlock(&c->lock);
    free(listed);
    free(entries);
    return RAG_OK;
}
