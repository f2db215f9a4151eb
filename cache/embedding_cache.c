/* Places in one array, linked twice: by use (newest first) and, from buckets, by digest.
 * Invariant: a place below n_used is in both lists. */
#include "cache/embedding_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/sha256.h"

#define NONE UINT32_MAX

struct place {
    uint8_t digest[SHA256_BYTES];
    float *vector; /* owned, [dim] */
    size_t dim;
    uint32_t newer;
    uint32_t older;
    uint32_t next; /* of the bucket */
};

struct embedding_cache {
    size_t n_max;
    size_t n_buckets; /* power of two */

    pthread_mutex_t mutex; /* guards what follows */
    struct place *places;  /* owned, [n_max] */
    uint32_t *buckets;     /* owned, [n_buckets] */
    size_t n_used;
    uint32_t newest;
    uint32_t oldest;
};

enum rag_status embedding_cache_open(size_t n_max, struct embedding_cache **ret,
                                     struct rag_error *reterr)
{
    struct embedding_cache *c;

    if (n_max == 0 || n_max > EMBEDDING_CACHE_MAX)
        return rag_fail(reterr, RAG_EINVAL, "embedding cache: %zu vectors, allowed are 1 to %d",
                        n_max, EMBEDDING_CACHE_MAX);
    c = calloc(1, sizeof *c);
    if (!c)
        return rag_fail(reterr, RAG_ENOMEM, "embedding cache: out of memory");
    c->n_max = n_max;
    c->newest = c->oldest = NONE;
    for (c->n_buckets = 1; c->n_buckets < n_max; c->n_buckets *= 2)
        ;
    c->places = calloc(n_max, sizeof *c->places);
    c->buckets = malloc(c->n_buckets * sizeof *c->buckets);
    if (!c->places || !c->buckets || pthread_mutex_init(&c->mutex, NULL) != 0) {
        free(c->places);
        free(c->buckets);
        free(c);
        return rag_fail(reterr, RAG_ENOMEM, "embedding cache: out of memory");
    }
    for (size_t i = 0; i < c->n_buckets; i++)
        c->buckets[i] = NONE;
    *ret = c;
    return RAG_OK;
}

void embedding_cache_close(struct embedding_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_used; i++)
        free(c->places[i].vector);
    pthread_mutex_destroy(&c->mutex);
    free(c->places);
    free(c->buckets);
    free(c);
}

static bool digest_of(const char *fingerprint, const char *text, size_t n_bytes,
                      uint8_t ret[SHA256_BYTES])
{
    const struct sha256_part parts[] = {
        {fingerprint, strlen(fingerprint)},
        {text,        n_bytes            },
    };

    return sha256_lengths(parts, 2, ret) == RAG_OK;
}

static uint32_t *bucket_of(struct embedding_cache *c, const uint8_t digest[SHA256_BYTES])
{
    uint64_t h;

    memcpy(&h, digest, sizeof h);
    return &c->buckets[h & (c->n_buckets - 1)];
}

static uint32_t find(struct embedding_cache *c, const uint8_t digest[SHA256_BYTES])
{
    uint32_t i = *bucket_of(c, digest);

    while (i != NONE && memcmp(c->places[i].digest, digest, SHA256_BYTES) != 0)
        i = c->places[i].next;
    return i;
}

static void unlink_use(struct embedding_cache *c, uint32_t i)
{
    struct place *p = &c->places[i];

    *(p->newer == NONE ? &c->newest : &c->places[p->newer].older) = p->older;
    *(p->older == NONE ? &c->oldest : &c->places[p->older].newer) = p->newer;
}

static void link_newest(struct embedding_cache *c, uint32_t i)
{
    struct place *p = &c->places[i];

    p->newer = NONE;
    p->older = c->newest;
    *(c->newest == NONE ? &c->oldest : &c->places[c->newest].newer) = i;
    c->newest = i;
}

static void unlink_bucket(struct embedding_cache *c, uint32_t i)
{
    uint32_t *at = bucket_of(c, c->places[i].digest);

    while (*at != i)
        at = &c->places[*at].next;
    *at = c->places[i].next;
}

bool embedding_cache_get(struct embedding_cache *c, const char *fingerprint, const char *text,
                         size_t n_bytes, size_t dim, float *ret_vector)
{
    uint8_t digest[SHA256_BYTES];
    bool found = false;
    uint32_t i;

    if (!digest_of(fingerprint, text, n_bytes, digest))
        return false;
    pthread_mutex_lock(&c->mutex);
    i = find(c, digest);
    if (i != NONE && c->places[i].dim == dim) {
        memcpy(ret_vector, c->places[i].vector, dim * sizeof *ret_vector);
        unlink_use(c, i);
        link_newest(c, i);
        found = true;
    }
    pthread_mutex_unlock(&c->mutex);
    return found;
}

void embedding_cache_put(struct embedding_cache *c, const char *fingerprint, const char *text,
                         size_t n_bytes, const float *vector, size_t dim)
{
    uint8_t digest[SHA256_BYTES];
    float *copy = malloc(dim * sizeof *copy);
    uint32_t i;

    if (!copy || !digest_of(fingerprint, text, n_bytes, digest)) {
        free(copy);
        return;
    }
    memcpy(copy, vector, dim * sizeof *copy);
    pthread_mutex_lock(&c->mutex);
    i = find(c, digest);
    if (i != NONE || c->n_used == c->n_max) { /* its place, or the one used longest ago */
        i = i != NONE ? i : c->oldest;
        unlink_use(c, i);
        unlink_bucket(c, i);
        free(c->places[i].vector);
    } else {
        i = (uint32_t)c->n_used++;
    }
    memcpy(c->places[i].digest, digest, sizeof digest);
    c->places[i].vector = copy;
    c->places[i].dim = dim;
    c->places[i].next = *bucket_of(c, digest);
    *bucket_of(c, digest) = i;
    link_newest(c, i);
    pthread_mutex_unlock(&c->mutex);
}
