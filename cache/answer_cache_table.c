/* cache/answer_cache_table.c - where entries are: tables, partitions, lanes, the order of use.
 * The cache's lock is held in all of it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/f16.h"
#include "cache/answer_cache_internal.h"

#define BUCKETS_MIN     64
#define LANE_ROWS_MIN   4
#define ENTRY_BYTES_MIN 512 /* no entry is smaller */

/* ---- tables ---- */

static uint64_t key_hash(const uint8_t key[SHA256_BYTES])
{
    uint64_t hash;

    memcpy(&hash, key, sizeof hash);
    return hash;
}

/* Scope and settings are digests; only what they stand for is chosen by others. */
static uint64_t partition_hash(int64_t collection_id, const uint8_t *scope, const uint8_t *settings)
{
    return key_hash(scope) ^ key_hash(settings) * 3 ^ (uint64_t)collection_id * 0x9E3779B97F4A7C15u;
}

uint64_t cache_document_hash(const struct answer_cache *c, int64_t collection_id,
                             const char *document)
{
    return XXH3_64bits_withSeed(document, strlen(document), c->seed + (uint64_t)collection_id);
}

static size_t table_bytes(size_t n_buckets)
{
    return n_buckets * 4 * sizeof(void *);
}

enum rag_status cache_tables_new(struct answer_cache *c)
{
    c->n_buckets = BUCKETS_MIN;
    while (c->n_buckets < c->options.entries_max &&
           c->n_buckets < c->options.bytes_max / ENTRY_BYTES_MIN)
        c->n_buckets *= 2;
    /* what is not touched takes no memory, so they need not grow */
    c->by_key = calloc(c->n_buckets, sizeof(void *));
    c->by_id = calloc(c->n_buckets, sizeof(void *));
    c->by_document = calloc(c->n_buckets, sizeof(void *));
    c->partitions = calloc(c->n_buckets, sizeof(void *));
    c->remembered = calloc(CACHE_HITS_REMEMBERED, sizeof *c->remembered);
    if (!c->by_key || !c->by_id || !c->by_document || !c->partitions || !c->remembered)
        return RAG_ENOMEM;
    c->stats.bytes = table_bytes(c->n_buckets) + CACHE_HITS_REMEMBERED * sizeof *c->remembered;
    return RAG_OK;
}

void cache_tables_empty(struct answer_cache *c)
{
    while (c->newest)
        cache_unlink(c, c->newest);
    while (c->books) {
        c->books->n_reports = 0;
        cache_book_tidy(c, c->books);
    }
}

void cache_tables_free(struct answer_cache *c)
{
    cache_tables_empty(c);
    free(c->by_key);
    free(c->by_id);
    free(c->by_document);
    free(c->partitions);
    free(c->remembered);
}

struct entry *cache_by_key(const struct answer_cache *c, const uint8_t key[SHA256_BYTES])
{
    struct entry *e = c->by_key[key_hash(key) & (c->n_buckets - 1)];

    while (e && memcmp(e->key, key, SHA256_BYTES) != 0)
        e = e->next_by_key;
    return e;
}

struct entry *cache_by_id(const struct answer_cache *c, uint64_t id)
{
    struct entry *e = c->by_id[id & (c->n_buckets - 1)];

    while (e && e->id != id)
        e = e->next_by_id;
    return e;
}

struct partition *cache_partition(const struct answer_cache *c, int64_t collection_id,
                                  const uint8_t *scope, const uint8_t *settings)
{
    uint64_t hash = partition_hash(collection_id, scope, settings);
    struct partition *p = c->partitions[hash & (c->n_buckets - 1)];

    while (p && (p->collection_id != collection_id || memcmp(p->scope, scope, SHA256_BYTES) != 0 ||
                 memcmp(p->settings, settings, SHA256_BYTES) != 0))
        p = p->next;
    return p;
}

/* ---- books and partitions ---- */

struct book *cache_book(const struct answer_cache *c, int64_t collection_id)
{
    struct book *b = c->books;

    while (b && b->collection_id != collection_id)
        b = b->next;
    return b;
}

enum rag_status cache_book_make(struct answer_cache *c, int64_t collection_id, struct book **ret)
{
    struct book *b = cache_book(c, collection_id);

    if (!b) {
        b = calloc(1, sizeof *b);
        if (!b)
            return RAG_ENOMEM;
        b->collection_id = collection_id;
        b->threshold = c->threshold;
        b->next = c->books;
        c->books = b;
        c->stats.bytes += sizeof *b;
    }
    *ret = b;
    return RAG_OK;
}

void cache_book_tidy(struct answer_cache *c, struct book *b)
{
    struct book **link = &c->books;

    if (b->partitions || b->n_reports > 0)
        return;
    while (*link != b)
        link = &(*link)->next;
    *link = b->next;
    c->stats.bytes -= sizeof *b + b->cap * (sizeof *b->reports + sizeof *b->report_keys);
    free(b->reports);
    free(b->report_keys);
    free(b);
}

static enum rag_status partition_make(struct answer_cache *c, const struct entry *e,
                                      struct partition **ret)
{
    struct partition *p = cache_partition(c, e->collection_id, e->scope, e->settings);
    uint64_t hash = partition_hash(e->collection_id, e->scope, e->settings);
    struct book *b = NULL;

    if (!p) {
        if (cache_book_make(c, e->collection_id, &b) != RAG_OK)
            return RAG_ENOMEM;
        p = calloc(1, sizeof *p);
        if (!p) {
            cache_book_tidy(c, b);
            return RAG_ENOMEM;
        }
        p->collection_id = e->collection_id;
        memcpy(p->scope, e->scope, SHA256_BYTES);
        memcpy(p->settings, e->settings, SHA256_BYTES);
        p->book = b;
        p->next_of_book = b->partitions;
        b->partitions = p;
        p->next = c->partitions[hash & (c->n_buckets - 1)];
        c->partitions[hash & (c->n_buckets - 1)] = p;
        c->stats.bytes += sizeof *p;
    }
    *ret = p;
    return RAG_OK;
}

/* ---- lanes ---- */

static size_t lane_row_bytes(const struct lane *l)
{
    return sizeof *l->entries + (l->dim > 0 ? l->dim * sizeof *l->vectors : sizeof *l->sketches);
}

static void lane_release(struct answer_cache *c, struct lane *l)
{
    c->stats.bytes -= l->cap * lane_row_bytes(l);
    free(l->entries);
    free(l->vectors);
    free(l->sketches);
    *l = (struct lane){.n = 0};
}

static enum rag_status lane_grow(struct answer_cache *c, struct lane *l)
{
    size_t cap = l->cap ? l->cap * 2 : LANE_ROWS_MIN;
    struct entry **entries = realloc(l->entries, cap * sizeof *entries);
    void *rows;

    if (!entries)
        return RAG_ENOMEM;
    l->entries = entries;
    if (l->dim > 0) {
        rows = realloc(l->vectors, cap * l->dim * sizeof *l->vectors);
        l->vectors = rows ? rows : l->vectors;
    } else {
        rows = realloc(l->sketches, cap * sizeof *l->sketches);
        l->sketches = rows ? rows : l->sketches;
    }
    if (!rows)
        return RAG_ENOMEM;
    c->stats.bytes += (cap - l->cap) * lane_row_bytes(l);
    l->cap = cap;
    return RAG_OK;
}

static void lane_remove(struct answer_cache *c, struct entry *e)
{
    struct lane *l = e->lane;
    size_t last = l->n - 1;

    if (e->row != last) {
        l->entries[e->row] = l->entries[last];
        l->entries[e->row]->row = e->row;
        if (l->dim > 0)
            memcpy(l->vectors + e->row * l->dim, l->vectors + last * l->dim,
                   l->dim * sizeof *l->vectors);
        else
            l->sketches[e->row] = l->sketches[last];
    }
    l->n = last;
    e->lane = NULL;
    if (last == 0)
        lane_release(c, l);
}

static enum rag_status lane_add_vector(struct answer_cache *c, struct lane *l, struct entry *e,
                                       const float *vector, size_t dim)
{
    size_t padded = (dim + VECTOR_PAD - 1) / VECTOR_PAD * VECTOR_PAD;
    uint16_t *row;

    if (l->n == 0)
        l->dim = padded;
    if (l->dim != padded)
        return RAG_OK; /* of another model: 'settings' should have told them apart */
    if (l->n == l->cap && lane_grow(c, l) != RAG_OK)
        return RAG_ENOMEM;
    row = l->vectors + l->n * padded;
    f16_encode(vector, dim, row);
    memset(row + dim, 0, (padded - dim) * sizeof *row);
    e->row = l->n;
    e->lane = l;
    l->entries[l->n++] = e;
    return RAG_OK;
}

static enum rag_status lane_add_terms(struct answer_cache *c, struct lane *l, struct entry *e)
{
    if (l->n == l->cap && lane_grow(c, l) != RAG_OK)
        return RAG_ENOMEM;
    l->sketches[l->n] = cache_sketch(&e->terms);
    e->row = l->n;
    e->lane = l;
    l->entries[l->n++] = e;
    return RAG_OK;
}

/* ---- entries ---- */

void entry_unref(struct entry *e)
{
    assert(e->n_refs > 0);
    if (--e->n_refs == 0)
        free(e);
}

static void order_remove(struct answer_cache *c, struct entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void order_first(struct answer_cache *c, struct entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

void cache_touch(struct answer_cache *c, struct entry *e)
{
    order_remove(c, e);
    order_first(c, e);
}

static void cite(struct answer_cache *c, struct entry *e)
{
    for (size_t i = 0; i < e->n_documents; i++) {
        struct cited *d = &e->documents[i];
        struct cited **head;

        d->entry = e;
        d->hash = cache_document_hash(c, e->collection_id, d->name);
        head = &c->by_document[d->hash & (c->n_buckets - 1)];
        d->next = *head;
        d->link = head;
        if (d->next)
            d->next->link = &d->next;
        *head = d;
    }
}

static void uncite(struct entry *e)
{
    for (size_t i = 0; i < e->n_documents; i++) {
        struct cited *d = &e->documents[i];

        *d->link = d->next;
        if (d->next)
            d->next->link = d->link;
    }
}

static void partition_tidy(struct answer_cache *c, struct partition *p)
{
    uint64_t hash = partition_hash(p->collection_id, p->scope, p->settings);
    struct partition **link = &c->partitions[hash & (c->n_buckets - 1)];
    struct partition **of_book = &p->book->partitions;

    if (p->entries)
        return;
    while (*link != p)
        link = &(*link)->next;
    *link = p->next;
    while (*of_book != p)
        of_book = &(*of_book)->next_of_book;
    *of_book = p->next_of_book;
    lane_release(c, &p->vectors);
    lane_release(c, &p->terms);
    c->stats.bytes -= sizeof *p;
    cache_book_tidy(c, p->book);
    free(p);
}

enum rag_status cache_link(struct answer_cache *c, struct entry *e, const float *vector, size_t dim)
{
    struct partition *p = NULL;
    enum rag_status status = partition_make(c, e, &p);

    if (status == RAG_OK && vector && !e->refused)
        status = lane_add_vector(c, &p->vectors, e, vector, dim);
    else if (status == RAG_OK && e->terms.n > 0)
        status = lane_add_terms(c, &p->terms, e);
    if (status != RAG_OK) {
        if (p)
            partition_tidy(c, p);
        return RAG_ENOMEM;
    }
    e->partition = p;
    e->previous_of_partition = NULL;
    e->next_of_partition = p->entries;
    if (p->entries)
        p->entries->previous_of_partition = e;
    p->entries = e;
    e->next_by_key = c->by_key[key_hash(e->key) & (c->n_buckets - 1)];
    c->by_key[key_hash(e->key) & (c->n_buckets - 1)] = e;
    e->next_by_id = c->by_id[e->id & (c->n_buckets - 1)];
    c->by_id[e->id & (c->n_buckets - 1)] = e;
    cite(c, e);
    order_first(c, e);
    e->linked = true;
    c->stats.bytes += e->bytes;
    c->stats.n++;
    return RAG_OK;
}

void cache_unlink(struct answer_cache *c, struct entry *e)
{
    struct entry **by_key = &c->by_key[key_hash(e->key) & (c->n_buckets - 1)];
    struct entry **by_id = &c->by_id[e->id & (c->n_buckets - 1)];

    assert(e->linked);
    while (*by_key != e)
        by_key = &(*by_key)->next_by_key;
    *by_key = e->next_by_key;
    while (*by_id != e)
        by_id = &(*by_id)->next_by_id;
    *by_id = e->next_by_id;
    uncite(e);
    order_remove(c, e);
    if (e->lane)
        lane_remove(c, e);
    *(e->previous_of_partition ? &e->previous_of_partition->next_of_partition
                               : &e->partition->entries) = e->next_of_partition;
    if (e->next_of_partition)
        e->next_of_partition->previous_of_partition = e->previous_of_partition;
    partition_tidy(c, e->partition);
    e->linked = false;
    c->stats.bytes -= e->bytes;
    c->stats.n--;
    entry_unref(e);
}

void cache_evict(struct answer_cache *c, const struct entry *keep)
{
    while (c->oldest && c->oldest != keep &&
           (c->stats.n > c->options.entries_max || c->stats.bytes > c->options.bytes_max)) {
        cache_forget(c, c->oldest);
        c->stats.evicted++;
    }
}
