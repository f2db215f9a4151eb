/* cache/answer_cache_similar.c - the entries whose questions are most like a question.
 *
 * Vectors are compared all. Of terms a sketch comes first: bit b of an entry is set when one of its
 * terms falls on it (64 bits). With M(b) the sum of q_t^2 over the question's terms on bit b,
 * Cauchy and Schwarz's inequality bounds the cosine of two vectors of length 1 by
 *
 *     sqrt( sum of M(b) over the entry's bits )
 *
 * so that an entry below the threshold by this bound needs no comparison. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cache/answer_cache_internal.h"

/* A question, as entries are compared with it. */
struct probe {
    const struct cache_key *key;
    float *vector; /* [dim], padded; owned; NULL: terms */
    size_t dim;
    struct sparse_vector terms;
    float mass[8][256]; /* of the bits of each byte of a sketch */
};

struct candidate {
    uint64_t id;
    float similarity;
};

/* Best first. */
struct candidates {
    struct candidate items[CACHE_CANDIDATES_MAX];
    size_t n;
};

static unsigned sketch_bit(uint64_t term)
{
    return (unsigned)(term >> 58);
}

uint64_t cache_sketch(const struct sparse_vector *v)
{
    uint64_t sketch = 0;

    for (size_t i = 0; i < v->n; i++)
        sketch |= 1ull << sketch_bit(v->ids[i]);
    return sketch;
}

static void measure_bits(struct probe *p)
{
    float bits[64] = {0};

    for (size_t i = 0; i < p->terms.n; i++)
        bits[sketch_bit(p->terms.ids[i])] += p->terms.values[i] * p->terms.values[i];
    for (size_t byte = 0; byte < 8; byte++) {
        p->mass[byte][0] = 0;
        for (unsigned v = 1; v < 256; v++) {
            unsigned lowest = (unsigned)__builtin_ctz(v);

            p->mass[byte][v] = p->mass[byte][v & (v - 1)] + bits[byte * 8 + lowest];
        }
    }
}

static float bound_squared(const struct probe *p, uint64_t sketch)
{
    float sum = 0;

    for (size_t byte = 0; byte < 8; byte++)
        sum += p->mass[byte][sketch >> 8 * byte & 0xFF];
    return sum;
}

static void probe_release(struct probe *p)
{
    free(p->vector);
    sparse_vector_release(&p->terms);
}

static enum rag_status probe_init(struct probe *p, const struct cache_key *key,
                                  const struct cache_meaning *meaning)
{
    enum rag_status status = RAG_OK;

    *p = (struct probe){.key = key};
    if (meaning->vector) {
        p->dim = (meaning->dim + VECTOR_PAD - 1) / VECTOR_PAD * VECTOR_PAD;
        p->vector = calloc(p->dim, sizeof *p->vector);
        if (!p->vector)
            return RAG_ENOMEM;
        memcpy(p->vector, meaning->vector, meaning->dim * sizeof *p->vector);
    } else if (meaning->terms) {
        status = sparse_vector_make(meaning->terms, meaning->idf, &p->terms);
        if (status == RAG_OK)
            measure_bits(p);
    }
    return status;
}

static void offer(struct candidates *found, uint64_t id, float similarity)
{
    size_t at = found->n;

    for (size_t i = 0; i < found->n; i++)
        if (found->items[i].id == id)
            return; /* it moved while the lock was free */
    while (at > 0 && found->items[at - 1].similarity < similarity)
        at--;
    if (at == CACHE_CANDIDATES_MAX)
        return;
    if (found->n < CACHE_CANDIDATES_MAX)
        found->n++;
    memmove(&found->items[at + 1], &found->items[at], (found->n - 1 - at) * sizeof found->items[0]);
    found->items[at] = (struct candidate){id, similarity};
}

/* Row i of the lane, when it is similar enough. The lock is held. */
static void compare(const struct answer_cache *c, const struct probe *p, const struct lane *l,
                    size_t i, double threshold, struct candidates *found)
{
    const struct entry *e = l->entries[i];
    double needed = e->threshold > threshold ? e->threshold : threshold;
    float similarity;

    if (p->vector) {
        similarity = c->kernels->f16(p->vector, l->vectors + i * l->dim, l->dim);
    } else {
        /* a little more than exact: sums of rounded squares may lie below the true one */
        if ((double)bound_squared(p, l->sketches[i]) * 1.001 < needed * needed)
            return;
        similarity = sparse_vector_cosine(&p->terms, &e->terms);
    }
    similarity = similarity > 1 ? 1 : similarity;
    if ((double)similarity >= needed) /* false for NAN too */
        offer(found, e->id, similarity);
}

/* A slice at a time: who asks for an answer by its key does not wait for all of them. An entry that
 * moves between two slices may be missed, which is a miss. */
static void scan(struct answer_cache *c, const struct probe *p, struct candidates *found)
{
    const struct cache_key *key = p->key;
    bool more = true;

    for (size_t i = 0; more;) {
        struct partition *part;
        struct lane *l = NULL;

        pthread_mutex_lock(&c->lock);
        part = cache_partition(c, key->collection_id, key->scope, key->settings);
        if (part)
            l = p->vector ? &part->vectors : &part->terms;
        if (l && p->vector && l->dim != p->dim)
            l = NULL;
        for (size_t end = i + CACHE_SCAN_SLICE; l && i < l->n && i < end; i++)
            compare(c, p, l, i, part->book->threshold, found);
        more = l && i < l->n;
        pthread_mutex_unlock(&c->lock);
    }
}

/* A referenced entry, or NULL. *ret_threshold: that it had to reach. */
static struct entry *hold(struct answer_cache *c, uint64_t id, double *ret_threshold)
{
    struct entry *e;

    pthread_mutex_lock(&c->lock);
    e = cache_by_id(c, id);
    if (e && entry_expired(e, c->options.ttl_ms, clock_wall_ms(), clock_monotonic_ns())) {
        c->stats.stale++;
        cache_forget(c, e);
        e = NULL;
    }
    if (e) {
        double learned = e->partition->book->threshold;

        *ret_threshold = e->threshold > learned ? e->threshold : learned;
        e->n_refs++;
    }
    pthread_mutex_unlock(&c->lock);
    return e;
}

static enum rag_status confirm(const struct answer_cache *c, const struct cache_key *key,
                               const struct entry *e, const struct confirm_pair *pair,
                               bool *ret_same, struct rag_error *reterr)
{
    float score = 0;
    enum rag_status status;

    *ret_same = confirm_words(c->options.analyzer, key->question, e->canonical) == CONFIRM_YES;
    if (!*ret_same || !pair)
        return RAG_OK;
    status = pair->score(pair->context, key->question, e->canonical, &score, reterr);
    *ret_same = status == RAG_OK && score >= pair->score_min;
    return status;
}

static enum rag_status try_candidate(struct answer_cache *c, const struct cache_key *key,
                                     const struct candidate *candidate,
                                     const struct confirm_pair *pair, enum cache_verdict *verdict,
                                     struct answer_cached *ret, struct rag_error *reterr)
{
    double threshold = 0;
    struct entry *e = hold(c, candidate->id, &threshold);
    enum rag_status status;
    bool same = false;

    *verdict = CACHE_MISS;
    if (!e)
        return RAG_OK;
    status = confirm(c, key, e, pair, &same, reterr);
    pthread_mutex_lock(&c->lock);
    if (status == RAG_OK && !same)
        c->stats.unconfirmed++;
    if (status == RAG_OK && same && e->linked && (double)candidate->similarity >= e->threshold) {
        entry_unref(e); /* the tables hold it */
        return cache_give(c, e, key, CACHE_SEMANTIC, candidate->similarity, threshold, verdict, ret,
                          reterr);
    }
    entry_unref(e);
    pthread_mutex_unlock(&c->lock);
    return status;
}

enum rag_status answer_cache_find_similar(struct answer_cache *c, const struct cache_key *key,
                                          const struct cache_meaning *meaning,
                                          const struct confirm_pair *pair,
                                          enum cache_verdict *ret_verdict,
                                          struct answer_cached *ret, struct rag_error *reterr)
{
    struct candidates found = {.n = 0};
    enum cache_verdict verdict = CACHE_MISS;
    enum rag_status status;
    struct probe probe;

    status = probe_init(&probe, key, meaning);
    if (status != RAG_OK) {
        probe_release(&probe);
        return rag_fail(reterr, status, "cache of answers: out of memory");
    }
    scan(c, &probe, &found);
    probe_release(&probe);
    for (size_t i = 0; status == RAG_OK && verdict == CACHE_MISS && i < found.n; i++)
        status = try_candidate(c, key, &found.items[i], pair, &verdict, ret, reterr);
    if (status == RAG_OK)
        *ret_verdict = verdict;
    return status;
}
