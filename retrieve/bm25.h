/* retrieve/bm25.h - inverted index with exact top-k BM25 by block-max pruning.
 *
 *     score(q, d) = sum_t w_t * idf(t) * tf / (tf + k1 * (1 - b + b * len_d / avglen))
 *     idf(t)      = ln(1 + (N - df_t + 0.5) / (df_t + 0.5))
 *
 * Each term's part is computed in float and rounded up to a whole multiple of 2^-s, and
 * those multiples are added as integers, where s is the largest that keeps the highest
 * possible sum of the question below 2^24. So the sum is exact (error of a part: under
 * 2^-22 of the sum of w * idf), is a float without further rounding, and does not depend
 * on the order of terms, on segments, pruning or history: an index reached by any path
 * of adds and removes equals a rebuild in ids and bits of scores. (A float sum in the
 * order given would have the same precision, but pruning visits terms in other orders.)
 * N, df and avglen count live passages only. Equal scores rank the smaller id first.
 *
 * A passage has an id (unique, never reused for other content) and a number of
 * owners: adding an id that is live only adds an owner, removing takes one away,
 * and the last one removes the passage. The same id may be added again later.
 *
 * Structure: immutable segments; a batch becomes a small segment, small segments
 * merge into larger ones in the background (tiers), removed passages are
 * tombstones until a merge drops them. A search works on one view (a counted
 * reference to a list of segments and their tombstones): it takes no lock while
 * scoring and sees a batch entirely or not at all.
 *
 * Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25
 * and Beyond", 2009; Ding and Suel, "Faster Top-k Document Retrieval Using
 * Block-Max Indexes", SIGIR 2011. */
#ifndef RAG_RETRIEVE_BM25_H
#define RAG_RETRIEVE_BM25_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id_set.h"
#include "base/status.h"

#define BM25_K1_DEFAULT 0.9f
#define BM25_B_DEFAULT  0.4f
#define BM25_TF_ONE     8u /* term frequencies are fixed-point: 8 = one occurrence */

struct bm25;       /* an index; thread-safe */
struct bm25_batch; /* changes that become visible at once; one thread */

struct bm25_options {
    float k1; /* > 0 */
    float b;  /* 0..1 */
};

/* An empty index. */
enum rag_status bm25_new(const struct bm25_options *options, struct bm25 **ret);
void bm25_free(struct bm25 *index); /* waits for its merges; NULL is a no-op */

struct bm25_posting {
    uint64_t term; /* id of text/analyzer.h */
    uint32_t tf;   /* in units of 1/BM25_TF_ONE occurrence; >= 1, capped at BM25_TF_MAX */
};

enum rag_status bm25_batch_new(struct bm25_batch **ret);
void bm25_batch_free(struct bm25_batch *batch); /* NULL is a no-op */
/* Add a passage. postings: any order, terms distinct (copied). 'length' is the
 * passage's length in the same unit as tf (usually the sum of tf; at most 2^31 - 1 counts).
 * For an id that is live the postings are not read, so they may be NULL, 0. RAG_OK,
 * RAG_ENOMEM. */
enum rag_status bm25_batch_add(struct bm25_batch *batch, uint64_t passage_id,
                               const struct bm25_posting *postings, size_t n, uint32_t length);
/* Take one owner away from a passage. With its postings - exactly those it was added
 * with - df is corrected in O(n); without (NULL, 0) the segments that hold it are scanned once for
 * the batch. An id that is not live is ignored. */
enum rag_status bm25_batch_remove(struct bm25_batch *batch, uint64_t passage_id,
                                  const struct bm25_posting *postings, size_t n);
/* Make the batch visible, removes before adds; 'change' is the store's change number
 * that it carries the index to (kept in snapshots; never goes back). The batch stays the
 * caller's. RAG_OK, RAG_ENOMEM or RAG_ELIMIT, and then nothing of it is visible. */
enum rag_status bm25_apply(struct bm25 *index, const struct bm25_batch *batch, uint64_t change,
                           struct rag_error *reterr);

struct bm25_query_term {
    uint64_t term;
    float weight; /* 1e-6 .. 1e6 */
};
struct bm25_hit {
    uint64_t passage_id;
    float score; /* > 0 */
};

/* The k best live passages that hold at least one term, best first; with 'keep' only
 * its members, and never fewer than k while that many match. terms: distinct, at most
 * QUERY_TERMS_MAX. ret_hits: room for k. RAG_OK, RAG_ENOMEM, RAG_EINVAL. */
enum rag_status bm25_search(struct bm25 *index, const struct bm25_query_term *terms, size_t n_terms,
                            const struct id_set *keep, size_t k, struct bm25_hit *ret_hits,
                            size_t *ret_n, struct rag_error *reterr);

/* The same result by scoring every posting: the reference that tests compare with. */
enum rag_status bm25_search_exhaustive(struct bm25 *index, const struct bm25_query_term *terms,
                                       size_t n_terms, const struct id_set *keep, size_t k,
                                       struct bm25_hit *ret_hits, size_t *ret_n,
                                       struct rag_error *reterr);

/* idf of each term now (of a term that no passage holds: the largest value there is). */
void bm25_idf(struct bm25 *index, const uint64_t *terms, size_t n, float *ret_idf);

struct bm25_stats {
    uint64_t n_passages; /* live */
    uint64_t n_tombstones;
    uint64_t n_postings; /* live and dead */
    uint64_t n_terms;    /* dictionary entries over all segments */
    uint64_t bytes;      /* memory held */
    size_t n_segments;
    uint64_t change; /* last one applied */
};
void bm25_stats(struct bm25 *index, struct bm25_stats *ret);

/* Call visit(id, n_owners) for each live passage, ascending ids, on one view. */
enum rag_status bm25_each(struct bm25 *index,
                          void (*visit)(void *context, uint64_t id, uint32_t n_owners),
                          void *context);

/* Which of the n ids are live, on one view. */
void bm25_has(struct bm25 *index, const uint64_t *ids, size_t n, bool *ret);

/* Merge everything into one segment without tombstones; waits. */
enum rag_status bm25_compact(struct bm25 *index, struct rag_error *reterr);

/* Write one view with its change number and 'binding' (a text: analyzer fingerprint,
 * chunker version) to a temporary file, fsync, rename over 'path', fsync the folder.
 * Searches and changes go on meanwhile. RAG_OK, RAG_EIO, RAG_ENOSPC, RAG_ENOMEM. */
enum rag_status bm25_save(struct bm25 *index, const char *path, const char *binding,
                          struct rag_error *reterr);
/* Load a snapshot: the file is hostile until its checksums and every bound have been
 * checked. RAG_OK; RAG_EFORMAT (damaged, other version, other binding: rebuild);
 * RAG_ENOTFOUND (no file); RAG_EIO; RAG_ENOMEM. */
enum rag_status bm25_load(const char *path, const char *binding, const struct bm25_options *options,
                          struct bm25 **ret, struct rag_error *reterr);

#endif
