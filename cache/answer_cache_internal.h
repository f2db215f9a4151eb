/* cache/answer_cache_internal.h - what the files of the answer cache share (internal).
 *
 *   entry        one answer in one block of memory; what is said to be fixed never changes, so that
 *                whoever holds a reference reads it without the lock
 *   partition    entries of one (collection, scope, settings): nothing is compared across it
 *   lane         those of a partition that can be found by likeness: rows of a matrix, one a vector
 *                (float16, padded), or sketches of terms
 *   book         what is known of a collection: its partitions and what people reported
 *
 * Invariants, while the lock is not held
 *   1. A linked entry is in the tables by key, id and cited document, in the list by use and in its
 *      partition, in one lane at most, and 'bytes' holds its size; an entry that is not linked is
 * in none of them and lives until its last reference is given back.
 *   2. A partition has an entry, a book a partition or a report.
 *   3. Row i of a lane is that of entries[i], whose 'row' is i.
 *   4. n <= entries_max and bytes <= bytes_max, but for an entry that is alone. */
#ifndef RAG_CACHE_ANSWER_CACHE_INTERNAL_H
#define RAG_CACHE_ANSWER_CACHE_INTERNAL_H

#include <pthread.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "cache/answer_cache.h"
#include "cache/threshold.h"
#include "store/cache_rows.h"
#include "store/vector_kernels.h"
#include "text/sparse_vector.h"

#define CACHE_REQUEST_BYTES 48 /* of a request's name that is remembered; ours have 32 */

struct entry;

/* A document that an entry cites, in the chain of its name. */
struct cited {
    struct cited *next;  /* guarded by the lock, as link */
    struct cited **link; /* what points here */
    struct entry *entry;
    const char *name;
    uint64_t version_id;
    uint64_t hash; /* of collection and name */
};

struct entry {
    /* fixed */
    uint64_t id;
    int64_t collection_id;
    uint8_t key[SHA256_BYTES];
    uint8_t scope[SHA256_BYTES];
    uint8_t settings[SHA256_BYTES];
    const char *canonical;
    const char *question;
    const char *payload;
    size_t payload_bytes;
    struct cited *documents;
    size_t n_documents;
    const uint64_t *chunks;
    size_t n_chunks;
    struct sparse_vector terms; /* n 0: none; inside this block */
    bool refused;
    int64_t created_ms;
    int64_t expires_ns; /* clock_monotonic_ns(); INT64_MAX: never */
    double cost_ms;
    size_t bytes;

    /* guarded by the lock */
    unsigned n_refs; /* of who reads it without the lock */
    bool linked;
    bool stored;         /* cache.db has it, or it waits there */
    bool used;           /* since it was written to cache.db */
    uint64_t generation; /* that it holds for; grows */
    double threshold;    /* its own; 0: none */
    int64_t used_ms;
    uint64_t n_hits[2];       /* by enum cache_kind */
    enum cache_kind hit_kind; /* of the last hit */
    float hit_similarity;
    struct entry *next_by_key;
    struct entry *next_by_id;
    struct entry *newer;
    struct entry *older;
    struct partition *partition;
    struct entry *next_of_partition;
    struct entry *previous_of_partition;
    struct lane *lane; /* or NULL */
    size_t row;
};

struct lane {
    struct entry **entries;
    size_t n;
    size_t cap;
    size_t dim;         /* of vectors, padded; 0: a lane of terms */
    uint16_t *vectors;  /* [cap, dim] */
    uint64_t *sketches; /* [cap]: a bit for each term */
};

struct partition {
    struct partition *next; /* in the table */
    struct partition *next_of_book;
    struct book *book;
    int64_t collection_id;
    uint8_t scope[SHA256_BYTES];
    uint8_t settings[SHA256_BYTES];
    struct entry *entries;
    struct lane vectors;
    struct lane terms;
};

struct book {
    struct book *next;
    int64_t collection_id;
    struct partition *partitions;
    struct threshold_observation *reports; /* [cap], the latest last */
    uint64_t *report_keys;                 /* [cap]: the beginning of the entry's key */
    size_t n_reports;
    size_t cap;
    double threshold;
};

/* A hit that feedback may name. */
struct remembered {
    char request_id[CACHE_REQUEST_BYTES];
    uint64_t entry;
    float similarity;
    enum cache_kind kind;
};

struct answer_cache {
    struct answer_cache_options options;
    const struct vector_kernels *kernels;
    struct cache_rows *rows; /* NULL: in memory only */
    uint64_t seed;           /* of the hashes of names, which others choose */
    double threshold;        /* of a collection without reports */

    pthread_mutex_t lock;  /* guards what follows */
    struct entry **by_key; /* [n_buckets] */
    struct entry **by_id;
    struct cited **by_document;
    struct partition **partitions;
    size_t n_buckets; /* a power of two */
    struct book *books;
    struct entry *newest;
    struct entry *oldest;
    uint64_t last_id;
    struct cache_moment moment;    /* the last one that the store was asked for */
    struct remembered *remembered; /* [CACHE_HITS_REMEMBERED] */
    size_t next_remembered;
    size_t n_partitions;
    uint64_t n_lookups;
    struct answer_cache_stats stats; /* but for misses */
};

/* ---- answer_cache_entry.c ---- */

/* An entry of one reference that is not linked, without id and times. put->meaning is not looked
 * at: its terms are given (n 0: none), its vector goes to cache_link(). RAG_OK, RAG_ENOMEM,
 * RAG_ELIMIT (larger than bytes_max, too many documents or chunks). */
enum rag_status entry_new(const struct cache_key *key, const struct cache_put *put,
                          const struct sparse_vector *terms, size_t bytes_max, struct entry **ret);
enum rag_status entry_key(const struct cache_key *key, uint8_t ret_digest[SHA256_BYTES]);
/* Is it too old, by either clock? */
bool entry_expired(const struct entry *e, int64_t ttl_ms, int64_t wall_ms, int64_t now_ns);
enum rag_status entry_copy(const struct entry *e, struct answer_cached *ret);

/* ---- answer_cache_store.c ---- */

/* An entry as it is stored, with its vector [dim] (or NULL), appended. */
void entry_encode(const struct entry *e, const float *vector, size_t dim, struct buf *out);
/* Back again: an entry of one reference without id and 'used_ms'. vector: room for
 * EMBEDDING_DIM_MAX, *ret_dim 0: none. The bytes are hostile. RAG_OK, RAG_EFORMAT, RAG_ENOMEM. */
enum rag_status entry_decode(const void *data, size_t n_bytes, int64_t collection_id,
                             struct entry **ret, float *vector, size_t *ret_dim);
/* Open cache.db and link what is in it. Nobody else has the cache yet. */
enum rag_status cache_load(struct answer_cache *c, char *ret_why, struct rag_error *reterr);
/* The store's last change with its time: what a row is written after. Without the lock. */
enum rag_status cache_moment(struct answer_cache *c, struct cache_moment *ret);
/* Queue what hits have changed. */
void cache_store_used(struct answer_cache *c);

/* ---- answer_cache_table.c; the lock is held ---- */

enum rag_status cache_tables_new(struct answer_cache *c);
void cache_tables_empty(struct answer_cache *c); /* of entries and books */
void cache_tables_free(struct answer_cache *c);
struct entry *cache_by_key(const struct answer_cache *c, const uint8_t key[SHA256_BYTES]);
struct entry *cache_by_id(const struct answer_cache *c, uint64_t id);
struct partition *cache_partition(const struct answer_cache *c, int64_t collection_id,
                                  const uint8_t *scope, const uint8_t *settings);
struct book *cache_book(const struct answer_cache *c, int64_t collection_id); /* or NULL */
enum rag_status cache_book_make(struct answer_cache *c, int64_t collection_id, struct book **ret);
/* Frees the book if nothing is in it. */
void cache_book_tidy(struct answer_cache *c, struct book *b);
uint64_t cache_document_hash(const struct answer_cache *c, int64_t collection_id,
                             const char *document);
/* Put it into everything, as the newest; takes over the caller's reference (RAG_OK). vector [dim]
 * or NULL. RAG_ENOMEM: it is in nothing. */
enum rag_status cache_link(struct answer_cache *c, struct entry *e, const float *vector,
                           size_t dim);
/* Out of everything; freed when nobody reads it. */
void cache_unlink(struct answer_cache *c, struct entry *e);
void cache_touch(struct answer_cache *c, struct entry *e);
void entry_unref(struct entry *e);
/* Within the bounds again; 'keep' stays. */
void cache_evict(struct answer_cache *c, const struct entry *keep);

/* ---- answer_cache_similar.c ---- */

/* A bit for each term. */
uint64_t cache_sketch(const struct sparse_vector *v);

/* ---- answer_cache.c ---- */

/* cache_unlink(), and out of cache.db. The lock is held. */
void cache_forget(struct answer_cache *c, struct entry *e);
/* May it be given? *ret_verdict: CACHE_MISS (it is not true any more), CACHE_HIT or CACHE_RECHECK.
 * Without the lock; e is referenced. generation: that it holds for. */
enum rag_status cache_check(struct answer_cache *c, const struct entry *e, uint64_t generation,
                            enum cache_verdict *ret_verdict, uint64_t *ret_now,
                            struct rag_error *reterr);
/* Reference, check, copy. The lock is held at entry and left at return. A stale one goes. */
enum rag_status cache_give(struct answer_cache *c, struct entry *e, const struct cache_key *key,
                           enum cache_kind kind, float similarity, double threshold,
                           enum cache_verdict *ret_verdict, struct answer_cached *ret,
                           struct rag_error *reterr);

/* ---- answer_cache_feedback.c; the lock is held ---- */

void cache_remember(struct answer_cache *c, struct entry *e, const char *request_id,
                    enum cache_kind kind, float similarity);
/* One more report at the end, the oldest goes when there are enough. RAG_OK, RAG_ENOMEM. */
enum rag_status cache_report_add(struct answer_cache *c, struct book *b, uint64_t key,
                                 float similarity, bool correct);
/* The thresholds of a collection and of its entries, from its reports. */
void cache_learn(struct answer_cache *c, struct book *b);
/* What its reports say that another question has to reach. */
double cache_entry_threshold(const struct book *b, const struct entry *e);

#endif
