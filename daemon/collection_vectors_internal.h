/* daemon/collection_vectors_internal.h - what the files of collection_vectors share (internal).
 *
 * Invariants
 *   1. 'target' is the configured embedder's space: what new chunks are embedded for. It serves,
 *      unless a collection came from another embedder: then 'serving' is that one's space, or NULL
 *      when it cannot be loaded, until everything is in 'target'.
 *   2. A vector is added to an index under the mutex and only while BM25 has its chunk live;
 *      removals look at BM25 under the mutex as well. So whichever comes last, a deletion or an
 *      embedding, the index agrees with BM25.
 *   3. Every live chunk is in target, in the queue, or counted in n_failed.
 *   4. A space is freed with its last reference: searches hold one while they run. */
#ifndef RAG_DAEMON_COLLECTION_VECTORS_INTERNAL_H
#define RAG_DAEMON_COLLECTION_VECTORS_INTERNAL_H

#include <pthread.h>

#include "daemon/collection_adapter.h"
#include "daemon/collection_vectors.h"
#include "daemon/embedding_worker.h"

/* An index and the embedder that it is bound to. */
struct space {
    struct embedder *embedder; /* counted */
    struct vector_index *index;
    unsigned n_refs; /* guarded by the mutex of the vectors */
};

/* Chunks that wait, oldest first: ids[head .. head + n). */
struct chunk_queue {
    uint64_t *ids; /* owned */
    size_t head;
    size_t n;
    size_t cap;
};

/* From the first chunk that waits to the last one done, for the log. */
struct embedding_run {
    int64_t begun_ns;
    uint64_t n_done;
    unsigned tenths; /* that were told */
    bool told;
    int64_t told_ns; /* the last time */
};

struct collection_vectors {
    struct embedding_worker *worker; /* borrowed, as store, embedders and live */
    struct store *store;
    struct embedders *embedders;
    struct bm25 *live;
    int64_t collection_id;
    char *name; /* owned, as path */
    char *path;
    struct embedding_member member;
    atomic_bool interrupted; /* the collection goes away, or the daemon stops */
    atomic_bool offline;     /* nothing of it may be sent to another server */
    atomic_bool held;        /* no step embeds: interrupted, or offline with a remote target */
    struct space *target;    /* stays; its index is thread-safe */

    pthread_mutex_t adapter_mutex; /* held while another adapter is stored; taken before the next */

    pthread_mutex_t mutex;              /* guards what follows; taken after the worker's */
    pthread_cond_t settled;             /* some of the queue is done, or it failed */
    struct space *serving;              /* == target, another one, or NULL */
    struct collection_adapter *adapter; /* counted; NULL: none */
    struct chunk_queue queue;
    uint64_t n_queued;   /* ever */
    uint64_t n_finished; /* ever: taken out of the queue, embedded or not */
    uint64_t n_failed;   /* refused by the model */
    double chunk_ms;     /* time of a chunk lately; 0: not measured yet */
    bool rescan;         /* the queue is not complete: memory ran out */
    bool drop_others;    /* embeddings of other embedders are left in the store */
    bool failing;        /* the last attempt failed, and the log was told */
    char why[256];       /* it failed */
    bool forgotten;      /* the collection was deleted */
    int64_t retry_ns;
    struct embedding_run run;
    uint64_t n_changes; /* of the serving index */
    uint64_t n_saved;   /* of them in the snapshot */
    int64_t saved_ns;
};

/* ---- collection_vectors.c ---- */
/* The mutex is held for all of these but the last. */
enum rag_status chunk_queue_push(struct chunk_queue *q, uint64_t id);
void chunk_queue_pop(struct chunk_queue *q, size_t n);
struct space *space_ref(struct space *s);
/* Give a reference back; what is returned must be freed by space_free() without the mutex. */
struct space *space_unref(struct space *s);
void space_free(struct embedders *embedders, struct space *s); /* NULL is a no-op */

/* ---- collection_vectors_open.c ---- */
bool is_unit(const float *vector, size_t dim); /* within what float16 and the index allow */
/* Make the index hold exactly the live chunks that have an embedding in the store; the others are
 * appended to 'missing' (which may be NULL). Nobody else changes the index meanwhile, but for
 * removals. */
enum rag_status space_reconcile(struct collection_vectors *v, struct space *s,
                                struct chunk_queue *missing, size_t *ret_n_changed,
                                struct rag_error *reterr);

/* ---- collection_vectors_adapter.c ---- */
/* Was it learned with this space's embedder? NULLs fit nothing. */
bool space_fits(const struct space *s, const struct collection_adapter *a);
/* What the store has, at open. A damaged one is no error: the log tells. */
void collection_vectors_load_adapter(struct collection_vectors *v);
/* Drop the adapter when its embedder neither serves nor is going to. */
void collection_vectors_check_adapter(struct collection_vectors *v);

/* Whether texts may be sent to another server now. */
enum models_reach collection_vectors_reach(struct collection_vectors *v);

/* ---- collection_vectors_embed.c, for the worker's thread ---- */
/* When there is something to do: 0 now, INT64_MAX never. */
int64_t collection_vectors_due(struct collection_vectors *v);
/* Do some of it. */
void collection_vectors_step(struct collection_vectors *v);
/* Let a step that is running end soon, and begin no other. */
void collection_vectors_interrupt(struct collection_vectors *v);

#endif
