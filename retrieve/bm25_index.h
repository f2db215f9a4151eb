/* retrieve/bm25_index.h - the index as its own files see it (bm25*.c).
 *
 * Invariants
 *  1. A view never changes once published, but for the marks of removed docs, which
 *     carry the number of the apply that made them (bm25_segment.h).
 *  2. Live document frequency of a term in a view = sum of its list lengths over the
 *     view's segments, plus the sum of its entries in the view's df runs. A removal
 *     adds a run of -1 entries, a merge that drops docs one of the opposite sign.
 *  3. An id is live in at most one segment of a view.
 *  4. A view has at most BM25_SEGMENTS_MAX segments.
 *
 * Locks: 'change_lock' is held through every change (apply, publishing a merge) and
 * guards owners, merging, n_dead and the fields so marked; 'view_lock' guards the
 * pointer to the current view and is held for a few instructions. Order: change_lock
 * before view_lock. */
#ifndef RAG_RETRIEVE_BM25_INDEX_H
#define RAG_RETRIEVE_BM25_INDEX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "retrieve/bm25.h"
#include "retrieve/bm25_kernels.h"
#include "retrieve/bm25_segment.h"

/* ---- df runs: corrections of document frequencies ---- */

#define BM25_RUNS_MAX 48 /* each is at least twice its successor: 2^48 entries */

struct bm25_run {
    atomic_size_t refs;
    size_t n;
    uint64_t *terms; /* ascending */
    int64_t *deltas; /* never 0 */
};

/* terms and deltas (any order, repeats added up; both are reordered). n may become 0.
 * RAG_OK or RAG_ENOMEM. */
enum rag_status bm25_run_new(uint64_t *terms, int64_t *deltas, size_t n, struct bm25_run **ret);
enum rag_status bm25_run_join(const struct bm25_run *a, const struct bm25_run *b,
                              struct bm25_run **ret);
void bm25_run_unref(struct bm25_run *run); /* NULL is a no-op */
int64_t bm25_run_delta(const struct bm25_run *run, uint64_t term);

/* Growing lists of terms and deltas, to make a run of. Zero-initialise. */
struct bm25_deltas {
    uint64_t *terms;
    int64_t *deltas;
    size_t n;
    size_t cap;
};

enum rag_status bm25_deltas_add(struct bm25_deltas *d, uint64_t term, int64_t delta);
void bm25_deltas_release(struct bm25_deltas *d);
/* Add -1 for each term of each of the n docs (ascending, distinct). */
enum rag_status bm25_segment_count(const struct bm25_segment *s, const uint32_t *docs, uint32_t n,
                                   struct bm25_deltas *d);

/* ---- views ---- */

struct bm25_view {
    atomic_size_t refs;
    uint64_t seq; /* number of the apply that made it */
    uint64_t change;
    uint64_t n_live;
    uint64_t total_length; /* of live passages */
    size_t n_segments;
    size_t n_runs;
    struct bm25_segment *segments[BM25_SEGMENTS_MAX];
    struct bm25_run *runs[BM25_RUNS_MAX];
};

struct bm25_view *bm25_view_get(struct bm25 *index); /* counted */
void bm25_view_unref(struct bm25_view *view);        /* NULL is a no-op */
/* A private copy to change and publish. NULL: no memory. */
struct bm25_view *bm25_view_copy(const struct bm25_view *view);
/* Add a run (taken over, also on failure), joining it with ones of similar size. */
enum rag_status bm25_view_push_run(struct bm25_view *view, struct bm25_run *run);
void bm25_view_publish(struct bm25 *index, struct bm25_view *view); /* takes it over */
/* Where the id lives; false when it is not live. */
bool bm25_view_find(const struct bm25_view *view, uint64_t id, size_t *ret_segment,
                    uint32_t *ret_doc);

/* A walk over the live ids of a view, ascending. Zero-initialise. */
struct bm25_walk {
    uint32_t at[BM25_SEGMENTS_MAX];
};

bool bm25_walk_next(struct bm25_walk *w, const struct bm25_view *view, uint64_t *ret_id);

/* ---- owners: ids with more than one ---- */

struct bm25_owner {
    uint64_t id;
    uint32_t n; /* >= 2; 0: a free slot */
};

struct bm25_owners {
    struct bm25_owner *slots; /* linear probing */
    size_t cap;               /* 0 or a power of two, at least twice n */
    size_t n;
};

uint32_t bm25_owners_get(const struct bm25_owners *owners, uint64_t id); /* 1 when not held */
/* Room for n more ids. RAG_OK or RAG_ENOMEM. */
enum rag_status bm25_owners_reserve(struct bm25_owners *owners, size_t n);
enum rag_status bm25_owners_copy(const struct bm25_owners *owners, struct bm25_owners *ret);
/* n_owners <= 1 forgets the id. Needs no memory after a reserve. */
void bm25_owners_set(struct bm25_owners *owners, uint64_t id, uint32_t n_owners);

/* ---- the index ---- */

struct bm25 {
    struct bm25_options options;
    const struct bm25_kernels *kernels;
    pthread_mutex_t change_lock;
    struct bm25_owners owners;  /* change_lock */
    pthread_t merger;           /* change_lock; joined by bm25_free */
    bool merger_runs;           /* change_lock */
    bool stopping;              /* change_lock */
    bool merge_wanted;          /* change_lock */
    pthread_cond_t merge_cond;  /* with change_lock: the merger waits for work */
    pthread_cond_t merged_cond; /* with change_lock: bm25_compact waits for the merger */
    pthread_mutex_t view_lock;
    struct bm25_view *view; /* view_lock */
};

/* ---- batches ---- */

struct bm25_batch_op {
    uint64_t id;
    size_t first; /* of its postings */
    uint32_t n;
    uint32_t length;
    bool has_postings; /* of a remove: they were given */
};

struct bm25_batch {
    struct bm25_batch_op *adds;
    struct bm25_batch_op *removes;
    size_t n_adds, adds_cap;
    size_t n_removes, removes_cap;
    /* postings of adds and removes: the number of the term in 'terms', and tf */
    uint32_t *numbers;
    uint16_t *tfs;
    size_t n_postings, postings_cap;
    /* every distinct term, in order of arrival, and a hash table of their numbers + 1 */
    uint64_t *terms;
    uint32_t *table;
    size_t n_terms, terms_cap;
    size_t table_cap; /* a power of two, more than n_terms */
};

/* A segment of the adds (distinct ids, ascending). RAG_OK or RAG_ENOMEM. */
enum rag_status bm25_batch_segment(const struct bm25_batch *batch,
                                   const struct bm25_batch_op *const *adds, uint32_t n_adds,
                                   struct bm25_segment **ret);

/* ---- merges ---- */

/* One segment of what lives in the sources as of view number seq. *ret_run undoes in df
 * what the dropped docs count there. ret_docs[i] (malloc'ed by the callee, freed by the
 * caller) maps docs of source i to docs of *ret_segment, BM25_NO_DOC when dropped. */
enum rag_status bm25_merge(struct bm25_segment *const *sources, size_t n_sources, uint64_t seq,
                           struct bm25_segment **ret_segment, struct bm25_run **ret_run,
                           uint32_t **ret_docs);
/* After a change, with change_lock held: small merges now, large ones handed over. */
void bm25_merge_some(struct bm25 *index);
/* Make room for one more segment in the current view. change_lock is held. */
enum rag_status bm25_merge_room(struct bm25 *index);
void bm25_merge_stop(struct bm25 *index); /* and wait */

#endif
