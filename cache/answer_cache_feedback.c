/* cache/answer_cache_feedback.c - what people say about hits, and what is learned from it. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/answer_cache_internal.h"

/* The same question again may be a little more like an entry: a batch of other lengths adds up in
 * another order. */
#define SIMILARITY_NOISE 1e-4

static uint64_t report_key(const uint8_t key[SHA256_BYTES])
{
    uint64_t beginning;

    memcpy(&beginning, key, sizeof beginning);
    return beginning;
}

void cache_remember(struct answer_cache *c, struct entry *e, const char *request_id,
                    enum cache_kind kind, float similarity)
{
    struct remembered *r = &c->remembered[c->next_remembered];

    e->hit_kind = kind;
    e->hit_similarity = similarity;
    if (!request_id || strlen(request_id) >= sizeof r->request_id)
        return;
    snprintf(r->request_id, sizeof r->request_id, "%s", request_id);
    r->entry = e->id;
    r->similarity = similarity;
    r->kind = kind;
    c->next_remembered = (c->next_remembered + 1) % CACHE_HITS_REMEMBERED;
}

double cache_entry_threshold(const struct book *b, const struct entry *e)
{
    struct threshold_observation own[CACHE_OBSERVATIONS_MAX];
    double threshold;
    size_t n = 0;

    for (size_t i = 0; i < b->n_reports; i++)
        if (b->report_keys[i] == report_key(e->key))
            own[n++] = b->reports[i];
    if (n == 0)
        return 0;
    threshold = threshold_of_entry(own, n, 0);
    return threshold > 0 ? threshold + SIMILARITY_NOISE : 0;
}

enum rag_status answer_cache_hit(struct answer_cache *c, uint64_t entry, const char *request_id,
                                 struct cache_hit *ret, struct rag_error *reterr)
{
    enum rag_status status = RAG_ENOTFOUND;
    struct cache_hit hit = {.entry = entry};
    bool known = false;
    struct entry *e;

    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; request_id && !known && i < CACHE_HITS_REMEMBERED; i++) {
        const struct remembered *r = &c->remembered[i];

        if (r->entry != 0 && (entry == 0 || r->entry == entry) &&
            strcmp(r->request_id, request_id) == 0) {
            hit = (struct cache_hit){r->entry, 0, r->kind, r->similarity};
            known = true;
        }
    }
    e = known || !request_id ? cache_by_id(c, hit.entry) : NULL;
    if (e) {
        hit.collection_id = e->collection_id;
        hit.kind = known ? hit.kind : e->hit_kind;
        hit.similarity = known ? hit.similarity : e->hit_similarity;
        *ret = hit;
        status = RAG_OK;
    }
    pthread_mutex_unlock(&c->lock);
    if (status != RAG_OK && request_id)
        return rag_fail(reterr, RAG_ENOTFOUND,
                        "request '%.40s': got no answer of the cache that is still there",
                        request_id);
    if (status != RAG_OK)
        return rag_fail(reterr, RAG_ENOTFOUND, "cached answer %" PRIu64 ": is not there (any more)",
                        entry);
    return RAG_OK;
}

/* Room for one more report; the oldest goes when there are enough. The lock is held. */
static enum rag_status make_room(struct answer_cache *c, struct book *b)
{
    struct threshold_observation *reports;
    size_t cap = b->cap ? b->cap * 2 : 16;
    uint64_t *keys;

    if (b->n_reports == CACHE_OBSERVATIONS_MAX) {
        b->n_reports--;
        memmove(b->reports, b->reports + 1, b->n_reports * sizeof *b->reports);
        memmove(b->report_keys, b->report_keys + 1, b->n_reports * sizeof *b->report_keys);
    }
    if (b->n_reports < b->cap)
        return RAG_OK;
    reports = realloc(b->reports, cap * sizeof *reports);
    if (!reports)
        return RAG_ENOMEM;
    b->reports = reports;
    keys = realloc(b->report_keys, cap * sizeof *keys);
    if (!keys)
        return RAG_ENOMEM;
    b->report_keys = keys;
    c->stats.bytes += (cap - b->cap) * (sizeof *reports + sizeof *keys);
    b->cap = cap;
    return RAG_OK;
}

static bool is_same(const struct book *b, size_t i, uint64_t key, float similarity)
{
    return b->report_keys[i] == key &&
           fabsf(b->reports[i].similarity - similarity) <= (float)SIMILARITY_NOISE;
}

/* Was just this said before? */
static bool is_known(const struct book *b, uint64_t key, float similarity, bool correct)
{
    for (size_t i = 0; i < b->n_reports; i++)
        if (is_same(b, i, key, similarity) && b->reports[i].correct == correct)
            return true;
    return false;
}

/* A report of the same entry at the same similarity takes the place of an earlier one: the bound
 * is of pairs of questions, not of how often somebody says so. */
static void drop_same(struct book *b, uint64_t key, float similarity)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n_reports; i++) {
        if (is_same(b, i, key, similarity))
            continue;
        b->report_keys[n] = b->report_keys[i];
        b->reports[n++] = b->reports[i];
    }
    b->n_reports = n;
}

enum rag_status cache_report_add(struct answer_cache *c, struct book *b, uint64_t key,
                                 float similarity, bool correct)
{
    enum rag_status status;

    drop_same(b, key, similarity);
    status = make_room(c, b);
    if (status != RAG_OK)
        return status;
    b->report_keys[b->n_reports] = key;
    b->reports[b->n_reports++] = (struct threshold_observation){similarity, correct};
    return RAG_OK;
}

void cache_learn(struct answer_cache *c, struct book *b)
{
    b->threshold =
        threshold_learn(b->reports, b->n_reports, c->options.threshold, c->options.error_bound);
    for (struct partition *p = b->partitions; p; p = p->next_of_book)
        for (struct entry *e = p->entries; e; e = e->next_of_partition)
            e->threshold = cache_entry_threshold(b, e);
}

/* A report of a semantic hit: the thresholds of its collection and of its entry. The lock is held.
 */
static enum rag_status learn(struct answer_cache *c, struct entry *e, float similarity,
                             bool correct)
{
    struct book *b = e->partition->book;
    struct cache_report_row row = {e->collection_id, report_key(e->key), similarity, correct};
    enum rag_status status;

    if (is_known(b, row.key, similarity, correct))
        return RAG_OK;
    status = cache_report_add(c, b, row.key, similarity, correct);
    if (status != RAG_OK)
        return status;
    b->threshold =
        threshold_learn(b->reports, b->n_reports, c->options.threshold, c->options.error_bound);
    e->threshold = cache_entry_threshold(b, e);
    if (c->rows)
        cache_rows_report(c->rows, &row);
    return RAG_OK;
}

enum rag_status answer_cache_feedback(struct answer_cache *c, const struct cache_hit *hit,
                                      const uint8_t *scope, bool correct, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct entry *e;

    if (hit->kind == CACHE_SEMANTIC && !(hit->similarity >= 0 && hit->similarity <= 1))
        return rag_fail(reterr, RAG_EINVAL, "'similarity': %g, use 0 to 1",
                        (double)hit->similarity);
    pthread_mutex_lock(&c->lock);
    e = cache_by_id(c, hit->entry);
    if (!e || (scope && memcmp(e->scope, scope, SHA256_BYTES) != 0)) {
        status = rag_fail(reterr, RAG_ENOTFOUND,
                          "cached answer %" PRIu64 ": is not there (any more)", hit->entry);
    } else {
        if (hit->kind == CACHE_SEMANTIC)
            status = learn(c, e, hit->similarity, correct);
        else if (!correct)
            cache_forget(c, e);
        *(correct ? &c->stats.correct_hits : &c->stats.false_hits) += status == RAG_OK;
    }
    pthread_mutex_unlock(&c->lock);
    if (status == RAG_ENOMEM)
        rag_fail(reterr, status, "cache of answers: out of memory");
    if (status == RAG_OK && c->rows)
        status = cache_rows_flush(c->rows, reterr);
    return status;
}
