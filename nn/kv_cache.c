#define _GNU_SOURCE
#include "nn/kv_cache_internal.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/splitmix.h"

#define BUCKETS_MAX 65536 /* of the table; more pages than that share them */

struct kv_sequence {
    struct kv_cache *cache;
    size_t length;
    struct kv_page **pages; /* [cap]; owned */
    unsigned char **views;  /* [n_layers][cap]: their memory by layer; owned */
    size_t n_pages;
    size_t cap;
};

static size_t pages_of(size_t n_tokens)
{
    return n_tokens / KV_PAGE_TOKENS + (n_tokens % KV_PAGE_TOKENS != 0);
}

/* ---- the table of known pages ---- */

static struct kv_page **bucket_of(const struct kv_cache *c, uint64_t parent, const uint32_t *ids)
{
    uint64_t state = c->hash_key ^ parent;
    uint64_t h = splitmix_next(&state);

    for (size_t i = 0; i < KV_PAGE_TOKENS; i++) {
        state = h ^ ids[i];
        h = splitmix_next(&state);
    }
    return &c->buckets[h & (c->n_buckets - 1)];
}

struct kv_page *kv_find_known(const struct kv_cache *c, uint64_t parent, const uint32_t *ids)
{
    struct kv_page *p = *bucket_of(c, parent, ids);

    while (p && (p->parent != parent || memcmp(p->ids, ids, sizeof p->ids) != 0))
        p = p->next_in_bucket;
    return p;
}

void kv_make_known(struct kv_cache *c, struct kv_page *p, uint64_t parent)
{
    struct kv_page **bucket = bucket_of(c, parent, p->ids);

    p->parent = parent;
    p->serial = ++c->last_serial;
    p->next_in_bucket = *bucket;
    *bucket = p;
}

static void make_unknown(struct kv_cache *c, struct kv_page *p)
{
    struct kv_page **link = bucket_of(c, p->parent, p->ids);

    while (*link != p)
        link = &(*link)->next_in_bucket;
    *link = p->next_in_bucket;
    p->serial = 0;
}

/* ---- pages ---- */

void kv_free_page(struct kv_cache *c, struct kv_page *p)
{
    free(p->memory);
    free(p);
    c->n_held--;
}

static void leave_idle(struct kv_cache *c, struct kv_page *p)
{
    *(p->older ? &p->older->newer : &c->oldest) = p->newer;
    *(p->newer ? &p->newer->older : &c->newest) = p->older;
    p->older = NULL;
    p->newer = NULL;
    c->n_idle--;
}

void kv_enter_idle(struct kv_cache *c, struct kv_page *p)
{
    p->older = c->newest;
    p->newer = NULL;
    *(c->newest ? &c->newest->newer : &c->oldest) = p;
    c->newest = p;
    c->n_idle++;
}

static void use_page(struct kv_cache *c, struct kv_page *p)
{
    if (p->n_users++ == 0)
        leave_idle(c, p);
}

static void let_go(struct kv_cache *c, struct kv_page *p)
{
    if (--p->n_users > 0)
        return;
    if (p->serial)
        kv_enter_idle(c, p);
    else
        kv_free_page(c, p);
}

struct kv_page *kv_new_page(struct kv_cache *c)
{
    struct kv_page *p = calloc(1, sizeof *p);

    if (p)
        p->memory = aligned_alloc(64, c->page_bytes);
    if (p && p->memory) {
        c->n_held++;
        return p;
    }
    free(p);
    return NULL;
}

/* A page of zeros for one user: new memory while the budget and the system have some, else that of
 * the page that nobody has needed for the longest time. NULL: neither. */
static struct kv_page *take_page(struct kv_cache *c)
{
    struct kv_page *p = c->n_held < c->n_pages_max ? kv_new_page(c) : NULL;

    if (!p && c->oldest) {
        p = c->oldest;
        leave_idle(c, p);
        make_unknown(c, p);
        c->n_evicted++;
    }
    if (!p)
        return NULL;
    memset(p->memory, 0, c->page_bytes); /* behind the last position a page must be finite */
    p->n_users = 1;
    return p;
}

/* ---- the cache ---- */

enum rag_status kv_cache_open(const struct kv_cache_options *options, struct kv_cache **ret,
                              struct rag_error *reterr)
{
    struct kv_cache *c = NULL;
    size_t page_bytes = 0;
    uint64_t n_pages;

    if (__builtin_mul_overflow(options->n_layers, options->layer_page_bytes, &page_bytes) ||
        page_bytes > SIZE_MAX / 4)
        return rag_fail(reterr, RAG_ELIMIT, "KV cache: %zu layers of %zu bytes a page",
                        options->n_layers, options->layer_page_bytes);
    assert(page_bytes > 0 && page_bytes % 64 == 0);
    n_pages = options->budget_bytes / page_bytes;
    if (n_pages == 0)
        return rag_fail(reterr, RAG_EINVAL,
                        "KV cache: a budget of %llu bytes is less than one page of %d tokens, %zu "
                        "bytes",
                        (unsigned long long)options->budget_bytes, KV_PAGE_TOKENS, page_bytes);
    c = calloc(1, sizeof *c);
    if (!c)
        return rag_fail(reterr, RAG_ENOMEM, "KV cache: out of memory");
    c->n_layers = options->n_layers;
    c->layer_page_bytes = options->layer_page_bytes;
    c->page_bytes = page_bytes;
    c->n_pages_max = n_pages < SIZE_MAX / 64 ? (size_t)n_pages : SIZE_MAX / 64;
    c->budget_bytes = options->budget_bytes;
    c->hash_key = options->hash_key;
    c->n_buckets = 1;
    while (c->n_buckets < BUCKETS_MAX && c->n_buckets * 2 < c->n_pages_max)
        c->n_buckets *= 2;
    c->buckets = calloc(c->n_buckets, sizeof(struct kv_page *));
    if (!c->buckets) {
        free(c);
        return rag_fail(reterr, RAG_ENOMEM, "KV cache: out of memory");
    }
    *ret = c;
    return RAG_OK;
}

void kv_forget_idle(struct kv_cache *c)
{
    while (c->oldest) {
        struct kv_page *p = c->oldest;

        leave_idle(c, p);
        make_unknown(c, p);
        kv_free_page(c, p);
    }
}

void kv_cache_close(struct kv_cache *c)
{
    if (!c)
        return;
    assert(c->n_sequences == 0 && c->n_held == c->n_idle);
    kv_forget_idle(c);
    free(c->buckets);
    free(c);
}

void kv_cache_stats(const struct kv_cache *c, struct kv_cache_stats *ret)
{
    *ret = (struct kv_cache_stats){
        .budget_bytes = c->budget_bytes,
        .held_bytes = (uint64_t)c->n_held * c->page_bytes,
        .used_bytes = (uint64_t)(c->n_held - c->n_idle) * c->page_bytes,
        .n_reused = c->n_reused,
        .n_evicted = c->n_evicted,
    };
}

/* ---- sequences ---- */

static void set_page(struct kv_sequence *s, size_t i, struct kv_page *p)
{
    const struct kv_cache *c = s->cache;

    s->pages[i] = p;
    for (size_t layer = 0; layer < c->n_layers; layer++)
        s->views[layer * s->cap + i] = p->memory + layer * c->layer_page_bytes;
}

/* Places for n pages. */
static bool grow(struct kv_sequence *s, size_t n)
{
    const struct kv_cache *c = s->cache;
    size_t cap = s->cap ? s->cap : 8;
    struct kv_page **pages = NULL;
    unsigned char **views = NULL;

    if (n <= s->cap)
        return true;
    while (cap < n)
        cap *= 2;
    pages = calloc(cap, sizeof(struct kv_page *));
    if (cap <= SIZE_MAX / c->n_layers)
        views = calloc(c->n_layers * cap, sizeof(unsigned char *));
    if (!pages || !views) {
        free(pages);
        free(views);
        return false;
    }
    for (size_t i = 0; i < s->n_pages; i++)
        pages[i] = s->pages[i];
    free(s->pages);
    free(s->views);
    s->pages = pages;
    s->views = views;
    s->cap = cap;
    for (size_t i = 0; i < s->n_pages; i++)
        set_page(s, i, pages[i]);
    return true;
}

enum rag_status kv_sequence_open(struct kv_cache *c, const uint32_t *ids, size_t n,
                                 struct kv_sequence **ret, struct rag_error *reterr)
{
    size_t n_whole = n > 0 ? (n - 1) / KV_PAGE_TOKENS : 0;
    struct kv_sequence *s = calloc(1, sizeof *s);
    uint64_t parent = KV_NO_PARENT;

    if (!s)
        return rag_fail(reterr, RAG_ENOMEM, "KV cache: out of memory for a sequence");
    s->cache = c;
    c->n_sequences++;
    while (s->n_pages < n_whole) {
        struct kv_page *p = kv_find_known(c, parent, ids + s->n_pages * KV_PAGE_TOKENS);

        if (!p)
            break;
        if (!grow(s, s->n_pages + 1)) {
            kv_sequence_close(s);
            return rag_fail(reterr, RAG_ENOMEM, "KV cache: out of memory for a sequence");
        }
        use_page(c, p);
        set_page(s, s->n_pages++, p);
        parent = p->serial;
    }
    s->length = s->n_pages * KV_PAGE_TOKENS;
    c->n_reused += s->length;
    *ret = s;
    return RAG_OK;
}

static void drop_pages(struct kv_sequence *s, size_t n_left)
{
    while (s->n_pages > n_left)
        let_go(s->cache, s->pages[--s->n_pages]);
}

void kv_sequence_close(struct kv_sequence *s)
{
    if (!s)
        return;
    drop_pages(s, 0);
    s->cache->n_sequences--;
    free(s->pages);
    free(s->views);
    free(s);
}

size_t kv_sequence_length(const struct kv_sequence *s)
{
    return s->length;
}

static enum rag_status no_room(const struct kv_sequence *s, size_t n, size_t n_total,
                               enum rag_status status, struct rag_error *reterr)
{
    const struct kv_cache *c = s->cache;
    const char *why = "";

    if (status == RAG_ENOMEM)
        why = ": out of memory";
    else if (status == RAG_EBUSY)
        why = ", and others use it now";
    return rag_fail(reterr, status,
                    "KV cache: room for %zu more tokens behind %zu takes %llu bytes of a budget "
                    "of %llu%s",
                    n, s->length, (unsigned long long)n_total * c->page_bytes,
                    (unsigned long long)c->budget_bytes, why);
}

/* n more pages behind those of the sequence, or none. */
static bool add_pages(struct kv_sequence *s, size_t n)
{
    size_t before = s->n_pages;

    for (size_t i = 0; i < n; i++) {
        struct kv_page *p = take_page(s->cache);

        if (!p) {
            drop_pages(s, before);
            return false;
        }
        set_page(s, s->n_pages++, p);
    }
    return true;
}

/* The page where the sequence goes on becomes its alone: the copy lies behind the others already.
 */
static void replace_shared(struct kv_sequence *s, size_t i)
{
    struct kv_page *shared = s->pages[i];
    struct kv_page *copy = s->pages[--s->n_pages];

    memcpy(copy->memory, shared->memory, s->cache->page_bytes);
    memcpy(copy->ids, shared->ids, sizeof copy->ids);
    let_go(s->cache, shared);
    set_page(s, i, copy);
}

enum rag_status kv_sequence_reserve(struct kv_sequence *s, size_t n, struct rag_error *reterr)
{
    struct kv_cache *c = s->cache;
    size_t at = s->length / KV_PAGE_TOKENS; /* the page where the sequence goes on */
    bool inside = s->length % KV_PAGE_TOKENS != 0 && n > 0;
    bool shared = inside && s->pages[at]->n_users > 1;
    size_t n_total;
    size_t n_more;

    if (n > SIZE_MAX / 2)
        return rag_fail(reterr, RAG_ELIMIT, "KV cache: %zu tokens", n);
    n_total = pages_of(s->length + n);
    if (n_total > c->n_pages_max)
        return no_room(s, n, n_total, RAG_ELIMIT, reterr);
    n_more = (n_total > s->n_pages ? n_total - s->n_pages : 0) + shared;
    if (n_more > c->n_pages_max - c->n_held + c->n_idle)
        return no_room(s, n, n_total, RAG_EBUSY, reterr);
    if (!grow(s, s->n_pages + n_more) || !add_pages(s, n_more))
        return no_room(s, n, n_total, RAG_ENOMEM, reterr);
    if (shared)
        replace_shared(s, at);
    else if (inside && s->pages[at]->serial)
        make_unknown(c, s->pages[at]); /* its end was taken back, and nobody else has it */
    return RAG_OK;
}

unsigned char *const *kv_sequence_pages(struct kv_sequence *s, size_t layer)
{
    assert(layer < s->cache->n_layers);
    return s->views + layer * s->cap;
}

void kv_sequence_commit(struct kv_sequence *s, const uint32_t *ids, size_t n)
{
    struct kv_cache *c = s->cache;

    assert(pages_of(s->length + n) <= s->n_pages);
    for (size_t i = 0; i < n; i++) {
        size_t at = s->length / KV_PAGE_TOKENS;
        struct kv_page *p = s->pages[at];
        uint64_t parent = at > 0 ? s->pages[at - 1]->serial : KV_NO_PARENT;
        struct kv_page *same;

        assert(p->n_users == 1 && p->serial == 0);
        p->ids[s->length++ % KV_PAGE_TOKENS] = ids[i];
        if (s->length % KV_PAGE_TOKENS != 0)
            continue;
        same = kv_find_known(c, parent, p->ids);
        if (same) { /* its bits are the same as well: nn/decoder.h */
            use_page(c, same);
            let_go(c, p);
            set_page(s, at, same);
        } else {
            kv_make_known(c, p, parent);
        }
    }
}

void kv_sequence_truncate(struct kv_sequence *s, size_t n)
{
    assert(n <= s->length);
    drop_pages(s, pages_of(n));
    s->length = n;
}
