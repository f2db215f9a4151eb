/* cache/answer_cache_entry.c - one answer in one block of memory. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cache/answer_cache_internal.h"

#define MALLOC_BYTES 16 /* what a block costs beside its content */

enum rag_status entry_key(const struct cache_key *key, uint8_t ret_digest[SHA256_BYTES])
{
    const struct sha256_part parts[] = {
        {&key->collection_id, sizeof key->collection_id},
        {key->scope,          SHA256_BYTES             },
        {key->settings,       SHA256_BYTES             },
        {key->question,       strlen(key->question)    },
    };

    return sha256_lengths(parts, sizeof parts / sizeof parts[0], ret_digest);
}

/* Parts of a block, handed out from its beginning. */
struct block {
    char *data;
    size_t n;
};

/* Parts are below CACHE_ROW_BYTES_MAX each and few, so sums do not overflow. */
static void *take(struct block *b, size_t n)
{
    void *part = b->data ? b->data + b->n : NULL;

    b->n += n;
    return part;
}

static const char *take_text(struct block *b, const char *text, size_t n)
{
    char *copy = take(b, n + 1);

    if (copy) {
        memcpy(copy, text, n);
        copy[n] = '\0';
    }
    return copy;
}

/* The parts of an entry; b->data NULL: only their size. What needs alignment comes first. */
static void lay_out(struct block *b, const struct cache_key *key, const struct cache_put *put,
                    const struct sparse_vector *terms, struct entry *e)
{
    uint64_t *chunks;

    (void)take(b, sizeof *e);
    e->documents = take(b, put->n_documents * sizeof *e->documents);
    chunks = take(b, put->n_chunks * sizeof *chunks);
    e->terms.ids = take(b, terms->n * sizeof *terms->ids);
    e->terms.values = take(b, terms->n * sizeof *terms->values);
    if (b->data) {
        if (put->n_chunks > 0)
            memcpy(chunks, put->chunks, put->n_chunks * sizeof *chunks);
        if (terms->n > 0) {
            memcpy(e->terms.ids, terms->ids, terms->n * sizeof *terms->ids);
            memcpy(e->terms.values, terms->values, terms->n * sizeof *terms->values);
        }
        e->terms.n = terms->n;
        e->chunks = chunks;
    }
    e->canonical = take_text(b, key->question, strlen(key->question));
    e->question = take_text(b, put->question, strlen(put->question));
    e->payload = take_text(b, put->payload, put->payload_bytes);
    for (size_t i = 0; i < put->n_documents; i++) {
        const struct cache_document *d = &put->documents[i];
        const char *name = take_text(b, d->name, strlen(d->name));

        if (b->data)
            e->documents[i] = (struct cited){.name = name, .version_id = d->version_id};
    }
}

enum rag_status entry_new(const struct cache_key *key, const struct cache_put *put,
                          const struct sparse_vector *terms, size_t bytes_max, struct entry **ret)
{
    struct block block = {NULL, 0};
    struct entry sizes;
    struct entry *e;

    if (put->payload_bytes > bytes_max || put->n_chunks > TOP_K_MAX ||
        put->n_documents > CACHE_DOCUMENTS_MAX)
        return RAG_ELIMIT;
    lay_out(&block, key, put, terms, &sizes);
    if (block.n > bytes_max)
        return RAG_ELIMIT;
    e = calloc(1, block.n);
    if (!e)
        return RAG_ENOMEM;
    block = (struct block){(char *)e, 0};
    lay_out(&block, key, put, terms, e);
    e->bytes = block.n + MALLOC_BYTES;
    e->collection_id = key->collection_id;
    if (entry_key(key, e->key) != RAG_OK) {
        free(e);
        return RAG_ENOMEM;
    }
    memcpy(e->scope, key->scope, SHA256_BYTES);
    memcpy(e->settings, key->settings, SHA256_BYTES);
    e->payload_bytes = put->payload_bytes;
    e->n_documents = put->n_documents;
    e->n_chunks = put->n_chunks;
    e->refused = put->refused;
    e->generation = put->generation;
    e->cost_ms = put->cost_ms > 0 ? put->cost_ms : 0; /* a NaN is nothing saved */
    e->hit_similarity = 1;
    e->n_refs = 1;
    *ret = e;
    return RAG_OK;
}

bool entry_expired(const struct entry *e, int64_t ttl_ms, int64_t wall_ms, int64_t now_ns)
{
    if (ttl_ms == 0)
        return false;
    /* The monotonic clock stands still while the machine sleeps, the other one can be set. */
    return now_ns >= e->expires_ns || wall_ms - e->created_ms >= ttl_ms;
}

enum rag_status entry_copy(const struct entry *e, struct answer_cached *ret)
{
    struct answer_cached a = *ret;

    a.question = strdup(e->question);
    a.payload = malloc(e->payload_bytes + 1);
    a.chunks = calloc(e->n_chunks + 1, sizeof *a.chunks);
    if (!a.question || !a.payload || !a.chunks) {
        answer_cached_release(&a);
        return RAG_ENOMEM;
    }
    memcpy(a.payload, e->payload, e->payload_bytes + 1);
    if (e->n_chunks > 0)
        memcpy(a.chunks, e->chunks, e->n_chunks * sizeof *a.chunks);
    a.id = e->id;
    a.payload_bytes = e->payload_bytes;
    a.n_chunks = e->n_chunks;
    a.created_ms = e->created_ms;
    *ret = a;
    return RAG_OK;
}

void answer_cached_release(struct answer_cached *a)
{
    free(a->question);
    free(a->payload);
    free(a->chunks);
    memset(a, 0, sizeof *a);
}
