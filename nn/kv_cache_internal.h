/* nn/kv_cache_internal.h - the cache's state, for nn/kv_cache.c and nn/kv_cache_file.c.
 *
State: pages are in use (n_users > 0), or known and idle (in the list of idle ones, oldest
 * first), or gone.
 *
 * Invariants: every page of a sequence that lies below its length as a whole is known; a page that
 * holds reserved room has one user and is not known. A known page is in the table once, under its
 * parent's serial number and its ids; no two known pages have the same. Serial numbers are not
 * given out twice, so a page whose parent is gone is never found again. A page is idle only while
 * its children are: a sequence lets go of its pages from the last to the first, so that children
 * stand before their parents in the list and are evicted first. n_held * page_bytes never passes
 * the budget. */
#ifndef RAG_NN_KV_CACHE_INTERNAL_H
#define RAG_NN_KV_CACHE_INTERNAL_H

#include "nn/kv_cache.h"

#define KV_NO_PARENT 0 /* serial number before the first page of a sequence */

struct kv_page {
    unsigned char *memory; /* [n_layers][layer_page_bytes], aligned to 64; owned */
    uint64_t parent;       /* serial number of the page before; of known pages */
    uint64_t serial;       /* 0: not known */
    size_t n_users;
    struct kv_page *next_in_bucket;
    struct kv_page *newer; /* in the list of idle pages */
    struct kv_page *older;
    uint32_t ids[KV_PAGE_TOKENS]; /* as far as they are committed */
};

struct kv_cache {
    size_t n_layers;
    size_t layer_page_bytes;
    size_t page_bytes;
    size_t n_pages_max;
    uint64_t budget_bytes;
    uint64_t hash_key;
    uint64_t last_serial;
    size_t n_held;
    size_t n_idle;
    size_t n_sequences;
    struct kv_page *oldest;
    struct kv_page *newest;
    struct kv_page **buckets; /* owned */
    size_t n_buckets;         /* a power of two */
    uint64_t n_reused;
    uint64_t n_evicted;
};

/* The known page of these ids behind that parent, or NULL. */
struct kv_page *kv_find_known(const struct kv_cache *c, uint64_t parent, const uint32_t *ids);
/* Page p holds p->ids behind that parent; no known page does. */
void kv_make_known(struct kv_cache *c, struct kv_page *p, uint64_t parent);
/* The newest of the idle pages. */
void kv_enter_idle(struct kv_cache *c, struct kv_page *p);
/* Memory for one more page, which is nobody's yet; NULL: none. The budget is the caller's care. */
struct kv_page *kv_new_page(struct kv_cache *c);
void kv_free_page(struct kv_cache *c, struct kv_page *p);
/* All idle pages are known no more, and gone. */
void kv_forget_idle(struct kv_cache *c);

#endif
