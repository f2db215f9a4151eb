/* daemon/collections.h - the open collections: settings, access lists, index.
 *
 * Each collection of the store has one runtime object here, from start or creation to
 * deletion. It is counted: collections_get() gives a reference, collection_release()
 * returns it, and a deleted collection lives on until its last user is done. */
#ifndef RAG_DAEMON_COLLECTIONS_H
#define RAG_DAEMON_COLLECTIONS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/sha256.h"
#include "base/status.h"
#include "cache/answer_cache.h"
#include "daemon/collection_settings.h"
#include "daemon/collection_vectors.h"
#include "daemon/config.h"
#include "embed/chunker.h"
#include "retrieve/bm25.h"
#include "retrieve/fusion.h"
#include "store/store.h"
#include "text/analyzer.h"

#define NAME_LOCKS 64 /* documents of one name change one at a time; names share 64 locks */

struct collection {
    int64_t id;
    char name[COLLECTION_NAME_BYTES_MAX + 1];
    struct bm25 *index;                 /* owned; thread-safe */
    struct collection_vectors *vectors; /* owned; thread-safe; NULL: no embedder */
    pthread_mutex_t name_locks[NAME_LOCKS];

    pthread_mutex_t mutex; /* guards what follows */
    struct collection_settings settings;
    unsigned n_refs;
    uint64_t in_flight[NAME_LOCKS]; /* per name lock: 0, or 1 + store_last_change() when begun */
    uint64_t missed_change;         /* first one that the index could not take; 0: none */
    uint64_t saved_change;          /* of the snapshot on disk */
    bool deleted;
    struct collection *next; /* in the registry; guarded by its lock */
};

struct collections; /* the registry; thread-safe */

struct collections_options {
    struct store *store; /* borrowed, as all here, for the registry's life */
    const struct analyzer *analyzer;
    struct answer_cache *cache;         /* NULL: none */
    struct embedding_worker *embedding; /* NULL: no vectors */
    const char *state_dir;              /* snapshots go to state_dir/index/ */
    struct bm25_options bm25;
    struct chunker_options chunks; /* defaults of new collections */
    struct collection_defaults defaults;
    const char *const *admins; /* principals that pass every access list */
    size_t n_admins;
};

/* Open every collection of the store: load its index snapshot and bring it to what the
 * store holds, or rebuild it. report (may be NULL) hears of each one, for the log. */
struct collection_opened {
    const char *name;
    bool rebuilt;        /* no usable snapshot: from the store's text */
    const char *why;     /* of a rebuild: one line; "" otherwise */
    size_t n_reconciled; /* passages added or removed after a snapshot was loaded */
    uint64_t n_passages;
    double ms;
};
enum rag_status collections_open(const struct collections_options *options,
                                 void (*report)(const struct collection_opened *opened),
                                 struct collections **ret, struct rag_error *reterr);
void collections_close(struct collections *cs); /* every reference must be back */

enum access { ACCESS_READ, ACCESS_WRITE };
/* The collection of that name, if 'principal' may do 'access' (NULL: the caller has checked).
 * RAG_ENOTFOUND, RAG_EDENIED. */
enum rag_status collections_get(struct collections *cs, const char *name, const char *principal,
                                enum access access, struct collection **ret,
                                struct rag_error *reterr);
void collection_release(struct collections *cs, struct collection *c); /* NULL is a no-op */
bool collections_is_admin(const struct collections *cs, const char *principal);

#define COLLECTIONS_MAX 10000 /* each has an index in memory and a file */
/* Create or change; 'body' is the JSON of the request (NULL: no settings). Members that are
 * absent keep their value; a new collection is readable and writable by its creator.
 * Changing an existing one needs ACCESS_WRITE. */
enum rag_status collections_put(struct collections *cs, const char *name, const struct json *body,
                                const char *principal, bool *ret_created, struct rag_error *reterr);
enum rag_status collections_delete(struct collections *cs, const char *name, const char *principal,
                                   uint64_t *ret_change, struct rag_error *reterr);
/* Visit what the principal may read, by name; everything when it is NULL. */
enum rag_status collections_each(struct collections *cs, const char *principal,
                                 enum rag_status (*visit)(void *context, struct collection *c,
                                                          struct rag_error *reterr),
                                 void *context, struct rag_error *reterr);
/* Write readers, writers, offline, chunk sizes and what else the collection has set itself, as
 * members of an open object. */
void collection_write_settings(struct collection *c, struct json_writer *w);
/* How its lists are fused: false when it has no settings of its own (*ret is not written). */
bool collection_fusion(struct collection *c, struct fusion_options *ret);
/* The weights of its rerank by words, the share of the words beside a cross-encoder, the threshold
 * of its gate: likewise. */
bool collection_lexical(struct collection *c, struct lexical_weights *ret);
bool collection_rerank(struct collection *c, float *ret_words);
bool collection_gate(struct collection *c, float *ret_relevance_min);
/* Its own list of backends, but for those that are not on this machine when it is offline (the
 * extractive one when nothing remains); 0: it has no list, the daemon's holds. */
size_t collection_backends(struct collection *c, enum config_backend ret[CONFIG_BACKENDS_MAX]);
/* Must its text, and what is asked of it, stay on this machine? */
bool collection_is_offline(struct collection *c);
void collection_chunks(struct collection *c, struct chunker_options *ret);
/* Of its list of readers as it stands: two lists with the same principals in the same order are
 * equal. RAG_OK, RAG_ENOMEM. */
enum rag_status collection_readers_hash(struct collection *c, uint8_t ret[SHA256_BYTES]);

/* Save the index snapshots that lag behind by min_changes or more; those of vectors, which are big,
 * while nothing is being embedded, or at once when 'now'. Returns the number saved; a failure is
 * described in reterr and the rest is still tried. */
size_t collections_save(struct collections *cs, uint64_t min_changes, bool now,
                        struct rag_error *reterr);

/* ---- changing documents (daemon/ingest.c) ----
 * begin takes the name's lock; end releases it. Between them the caller commits to the
 * store and applies to the index with collection_watermark(): the largest change number up
 * to which this index has everything, which is what a snapshot may claim to hold. */
size_t collection_change_begin(struct collections *cs, struct collection *c, const char *document);
uint64_t collection_watermark(struct collection *c, size_t lock, uint64_t committed);
/* The commit could not be applied to the index (memory): no later watermark passes it. */
void collection_index_missed(struct collection *c, uint64_t committed);
void collection_change_end(struct collection *c, size_t lock);

#endif
