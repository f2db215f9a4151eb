/* cache/answer_cache.h - answers that were given before, found by the same question or by one that
 * means the same.
 *
 * An entry belongs to (collection, scope, settings, canonical question):
 *   scope     who may get it: a hash that the caller makes of the principal, or of the
 *             collection's list of readers; never crossed
 *   settings  a hash of all else that an answer depends on: models, prompts, top_k, filter, history
 * It is bound to the versions of the documents that it cites and to the collection's generation
 * that it was made in (both read before the passages were searched for).
 *
 * Invariants
 *   1. No answer is given unless, in one read snapshot of the store taken within the call, every
 *      document that it cites has the version that it cited and the expiry policy allows the
 *      generation. Nothing else (no message that was missed, no race) can make it stale.
 *   2. A refusal is given in its own generation only, and only to its own question. So is an answer
 *      that cites nothing, but for the question.
 *   3. The database (cache.db) is derived data: what is damaged is thrown away and begun anew. It
 *      is written behind the answers; a crash loses the last entries, never their truth.
 *   4. At most entries_max entries and bytes_max bytes in memory (texts, payloads, vectors,
 *      indexes) and as many rows in cache.db; the one used longest ago goes first.
 *   5. What a person reported as false is durable before feedback returns. An entry that was false
 *      for its own question goes; one that was false for a similar question is not given again to
 *      any question that is as like it or less.
 *
 * Thread-safe. No call but answer_cache_open(), _close(), _feedback() and _clear() waits for
 * cache.db. */
#ifndef RAG_CACHE_ANSWER_CACHE_H
#define RAG_CACHE_ANSWER_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"
#include "base/status.h"
#include "cache/confirm.h"
#include "store/store.h"
#include "text/analyzer.h"

struct answer_cache; /* opaque */

enum cache_expiry {
    CACHE_EXPIRE_CHANGE, /* any change of the collection's documents */
    CACHE_EXPIRE_TOP_K,  /* a change after which other passages would be given: CACHE_RECHECK */
    CACHE_EXPIRE_TTL,    /* none but changes of what is cited; and ttl_ms */
};

struct answer_cache_options {
    const char *path;    /* of cache.db; NULL: in memory only */
    struct store *store; /* borrowed for the cache's life, as all here */
    const struct analyzer *analyzer;
    size_t entries_max; /* 1 .. CACHE_ENTRIES_MAX */
    size_t bytes_max;
    int64_t ttl_ms; /* 0: none */
    enum cache_expiry expiry;
    double threshold;   /* similarity from which on an entry is looked at; 0..1 */
    double error_bound; /* of all semantic hits, the share that may be false; 0..1 */
};
/* RAG_OK, RAG_EINVAL, RAG_EIO, RAG_ENOSPC, RAG_ENOMEM. A damaged cache.db is replaced and *ret_why
 * (may be NULL, room for 256) says so; else "". */
enum rag_status answer_cache_open(const struct answer_cache_options *options,
                                  struct answer_cache **ret, char *ret_why,
                                  struct rag_error *reterr);
void answer_cache_close(struct answer_cache *c); /* writes what is left; NULL is a no-op */

struct cache_key {
    int64_t collection_id;
    uint8_t scope[SHA256_BYTES];
    uint8_t settings[SHA256_BYTES];
    const char *question;   /* canonical */
    const char *request_id; /* of who asks, so that feedback may name it; or NULL */
};

enum cache_verdict {
    CACHE_MISS,
    CACHE_HIT,
    CACHE_RECHECK, /* policy TOP_K: what it cites is unchanged, but the collection is not. The
                      caller searches; when the chunks are those of the entry it is a hit, and
                      answer_cache_rechecked() says so either way */
};
enum cache_kind { CACHE_EXACT, CACHE_SEMANTIC };
const char *cache_kind_name(enum cache_kind kind); /* "exact", "semantic" */

/* A copy of an entry; answer_cached_release() frees it. */
struct answer_cached {
    uint64_t id;
    enum cache_kind kind;
    float similarity; /* 1 of an exact one */
    double threshold; /* that it had to reach */
    char *question;   /* as it was asked first */
    char *payload;    /* as it was put */
    size_t payload_bytes;
    uint64_t *chunks; /* of the passages that the answer was made from, in order */
    size_t n_chunks;
    uint64_t generation; /* now, of the collection */
    int64_t created_ms;
};
void answer_cached_release(struct answer_cached *a); /* a zeroed one is a no-op */

/* *ret is written unless the verdict is CACHE_MISS. RAG_OK, RAG_ENOMEM, RAG_EIO (the store). */
enum rag_status answer_cache_find(struct answer_cache *c, const struct cache_key *key,
                                  enum cache_verdict *ret_verdict, struct answer_cached *ret,
                                  struct rag_error *reterr);

/* What a question means, as far as the cache can tell: its vector, or (vector NULL) its terms. */
struct cache_meaning {
    const float *vector; /* [dim], length 1; of one embedder for equal 'settings' */
    size_t dim;
    const struct term_list *terms; /* analyzer_question() of it */
    const float *idf;              /* [terms->n] */
};
/* The entries most like it, best first, until one is confirmed (cache/confirm.h, by words; then
 * pair_fn, may be NULL). Statuses as above and those of pair_fn. */
enum rag_status answer_cache_find_similar(struct answer_cache *c, const struct cache_key *key,
                                          const struct cache_meaning *meaning,
                                          const struct confirm_pair *pair,
                                          enum cache_verdict *ret_verdict,
                                          struct answer_cached *ret, struct rag_error *reterr);
/* After CACHE_RECHECK: the same passages were found (valid: the entry now holds for 'generation',
 * which is answer_cached.generation), or others (it is dropped). */
void answer_cache_rechecked(struct answer_cache *c, uint64_t id, uint64_t generation, bool valid);

struct cache_document {
    const char *name;
    uint64_t version_id;
};
struct cache_put {
    const char *question;                /* as asked */
    const struct cache_meaning *meaning; /* NULL: never found by another question */
    const char *payload;
    size_t payload_bytes;
    bool refused;
    uint64_t generation;                    /* of the collection, read before the search */
    const struct cache_document *documents; /* cited, each once */
    size_t n_documents;
    const uint64_t *chunks;
    size_t n_chunks;
    double cost_ms; /* that making it took: what a hit saves */
};
/* Replaces an entry of the same key. Not kept is what is too large (a quarter of bytes_max), cites
 * more than CACHE_DOCUMENTS_MAX, or is not true any more. RAG_OK, RAG_ENOMEM, RAG_EIO (the store;
 * it is kept: it is looked at again before it is given). */
enum rag_status answer_cache_put(struct answer_cache *c, const struct cache_key *key,
                                 const struct cache_put *put, struct rag_error *reterr);

/* A document was changed or deleted: exactly the entries that cite it go; generations are looked at
 * when an entry is asked for. Returns how many. */
size_t answer_cache_document_changed(struct answer_cache *c, int64_t collection_id,
                                     const char *document);
size_t answer_cache_collection_deleted(struct answer_cache *c, int64_t collection_id);
/* collection_id 0: everything. Returns how many; they are gone from cache.db too, unless the status
 * says that it could not be written. RAG_OK, RAG_EIO, RAG_ENOSPC, RAG_EFORMAT. */
enum rag_status answer_cache_clear(struct answer_cache *c, int64_t collection_id, size_t *ret_n,
                                   struct rag_error *reterr);

/* A hit that a person may report on: by its entry, or (entry 0) by the request that got it, of
 * which the last CACHE_HITS_REMEMBERED are known. RAG_ENOTFOUND: no such entry (any more). */
struct cache_hit {
    uint64_t entry;
    int64_t collection_id;
    enum cache_kind kind; /* of that request's hit, else of the entry's last one */
    float similarity;
};
enum rag_status answer_cache_hit(struct answer_cache *c, uint64_t entry, const char *request_id,
                                 struct cache_hit *ret, struct rag_error *reterr);

/* A person says that the answer of a hit fits its question, or does not. RAG_ENOTFOUND: no such
 * entry (any more), or not of this scope (NULL: an administrator). RAG_EIO, RAG_ENOSPC,
 * RAG_EFORMAT: it counts until ragd stops, but is not durable. */
enum rag_status answer_cache_feedback(struct answer_cache *c, const struct cache_hit *hit,
                                      const uint8_t *scope, bool correct, struct rag_error *reterr);

struct answer_cache_stats {
    size_t n;
    size_t bytes;
    uint64_t exact_hits;
    uint64_t semantic_hits;
    uint64_t misses;      /* of answer_cache_find() that ended in no hit of either kind */
    uint64_t unconfirmed; /* similar enough, but not confirmed */
    uint64_t stale;       /* found and not given: a version, generation or ttl */
    uint64_t evicted;
    uint64_t invalidated;  /* by changes of documents and collections */
    uint64_t false_hits;   /* reported */
    uint64_t correct_hits; /* reported */
    double saved_ms;
};
void answer_cache_stats(struct answer_cache *c, struct answer_cache_stats *ret);

/* What one may see of the cache. */
struct cache_view {
    int64_t collection_id;
    const uint8_t *scope; /* NULL: every one */
};
struct cache_listed {
    uint64_t id;
    int64_t collection_id;
    const char *question; /* as it was asked first */
    size_t payload_bytes;
    size_t n_documents;
    bool refused;
    int64_t created_ms;
    int64_t used_ms;
    uint64_t n_exact;
    uint64_t n_semantic;
    double threshold; /* that another question has to reach */
    double cost_ms;
};
/* Visit at most 'limit' entries that one of the views holds, the one used last first. The cache is
 * not locked meanwhile. RAG_OK, RAG_ENOMEM. */
enum rag_status answer_cache_list(struct answer_cache *c, const struct cache_view *views,
                                  size_t n_views, size_t limit,
                                  void (*visit)(void *context, const struct cache_listed *entry),
                                  void *context, struct rag_error *reterr);
/* The learned threshold of a collection's entries, as it stands; > 1: nothing is reused. */
double answer_cache_threshold(struct answer_cache *c, int64_t collection_id);

#endif
