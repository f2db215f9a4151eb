/* nn/kv_cache.h - pages of keys and values under one hard budget, shared by equal beginnings.
 *
 * A page holds KV_PAGE_TOKENS positions of all layers (nn/kv_attention.h). A sequence is a list of
 * pages. A full page is known by all the tokens up to its end: by the known page before it and its
 * own KV_PAGE_TOKENS ids. When a sequence begins with the same tokens as an earlier one it takes
 * the same pages (found by a hash, compared by ids), so a system prompt and equal leading passages
 * are computed once. Pages that no sequence holds stay until their memory is needed, least recently
 * used first. Memory is taken page by page and never more than the budget: when pages in use fill
 * it, an append fails with RAG_EBUSY.
 *
 * One owner (the scheduler's thread): not thread-safe. */
#ifndef RAG_NN_KV_CACHE_H
#define RAG_NN_KV_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/kv_attention.h"

struct kv_cache;    /* opaque */
struct kv_sequence; /* opaque; belongs to one cache */

struct kv_cache_options {
    size_t n_layers;
    size_t layer_page_bytes; /* kv_page_bytes() */
    uint64_t budget_bytes;   /* at least one page */
    uint64_t hash_key;       /* of the page hashes; random, so that nobody can aim at collisions */
};

/* RAG_ENOMEM; RAG_EINVAL (budget below one page; the message says both); RAG_ELIMIT (pages too
 * large to count). */
enum rag_status kv_cache_open(const struct kv_cache_options *options, struct kv_cache **ret,
                              struct rag_error *reterr);
void kv_cache_close(struct kv_cache *c); /* every sequence closed before; NULL is a no-op */

/* A sequence whose first tokens are ids[0..n-1] as far as pages of them are there: at most n - 1
 * tokens, whole pages, so that something is left to compute. kv_sequence_length() says how many. */
enum rag_status kv_sequence_open(struct kv_cache *c, const uint32_t *ids, size_t n,
                                 struct kv_sequence **ret, struct rag_error *reterr);
void kv_sequence_close(struct kv_sequence *s);          /* NULL is a no-op; full pages stay known */
size_t kv_sequence_length(const struct kv_sequence *s); /* tokens computed */

/* Room for n more tokens (positions length .. length + n - 1). What is new in the pages is zeros.
 * RAG_EBUSY: the budget is in use by other sequences, try later; RAG_ELIMIT: the budget could never
 * hold it (bytes named); RAG_ENOMEM. On failure the sequence is as it was. */
enum rag_status kv_sequence_reserve(struct kv_sequence *s, size_t n, struct rag_error *reterr);
/* Layer's part of each page, [ceil((length + reserved) / KV_PAGE_TOKENS)]; valid until the next
 * call that changes the sequence. Pages that hold reserved room are this sequence's alone. */
unsigned char *const *kv_sequence_pages(struct kv_sequence *s, size_t layer);
/* ids[0..n-1] were computed into the reserved room: length grows; full pages become known (or, when
 * another sequence was faster, give way to the same page of that one). */
void kv_sequence_commit(struct kv_sequence *s, const uint32_t *ids, size_t n);
/* Back to the first n tokens (speculation that failed), n <= length; reserved room is given back. A
 * page that others share is not written: the next reserve copies what it needs. */
void kv_sequence_truncate(struct kv_sequence *s, size_t n);

struct kv_cache_stats {
    uint64_t budget_bytes;
    uint64_t held_bytes; /* allocated */
    uint64_t used_bytes; /* by sequences */
    uint64_t n_reused;   /* tokens taken from known pages since open */
    uint64_t n_evicted;  /* known pages whose memory was needed */
};
void kv_cache_stats(const struct kv_cache *c, struct kv_cache_stats *ret);

#endif
