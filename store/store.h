/* store/store.h - the only truth: collections, documents, chunks, changes, in SQLite.
 *
 * Files in the state directory: ragd.db (WAL, synchronous=FULL) here, audit.db in
 * store/audit.h. One writer thread commits queued changes in groups; each call below
 * that changes something returns only after its commit is durable, and then it will
 * survive kill -9 and power loss. Reads use a pool of connections. Every function is
 * thread-safe. SQLITE_FULL and a read-only disk give RAG_ENOSPC, and the store goes on.
 *
 * Invariants
 *   1. A document is visible if and only if documents.version_id points to a version:
 *      one small transaction (publish) sets it, so nothing half is ever visible.
 *   2. A version owns chunk rows through (version, ordinal) -> chunk. A chunk is stored
 *      once per (collection, hash) and deleted with its last owner, staged ones included.
 *   3. Chunk ids grow and are never used again (AUTOINCREMENT).
 *   4. Each publish and delete adds one row to changes; its number orders everything.
 *   5. Staged versions that a crash left behind are reclaimed at open.
 *   6. Retired versions are reclaimed in slices after the commit that retired them; at
 *      open what is left of that work goes on. */
#ifndef RAG_STORE_STORE_H
#define RAG_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/id_set.h"
#include "base/sha256.h"
#include "base/status.h"

struct store; /* opaque */

struct store_options {
    const char *state_dir; /* exists; mode 0700 */
    size_t n_readers;      /* connections for reading; 0: 4 */
    size_t queue_max;      /* queued writes; then RAG_EBUSY. 0: 1024 */
};

/* Opens or creates, migrates, locks the directory (a second daemon gets RAG_EEXIST with
 * the other's pid). RAG_EFORMAT when the database is newer than this program or damaged. */
enum rag_status store_open(const struct store_options *options, struct store **ret,
                           struct rag_error *reterr);
void store_close(struct store *store); /* finishes queued writes; NULL is a no-op */

/* ---- collections ---- */
struct store_collection {
    int64_t id;
    char *name;     /* owned by the arena given, as all texts returned */
    char *settings; /* JSON, meaning is the daemon's: readers, writers, sizes, offline */
    char *binding;  /* analyzer fingerprint and chunker version its chunks were made with */
    int64_t created_ms;
    uint64_t generation; /* grows with every change of its documents */
    uint64_t n_documents;
};
enum rag_status store_collection_put(struct store *store, const char *name, const char *settings,
                                     const char *binding, int64_t *ret_id, bool *ret_created,
                                     struct rag_error *reterr);
enum rag_status store_collection_get(struct store *store, const char *name, struct arena *arena,
                                     struct store_collection *ret, struct rag_error *reterr);
enum rag_status store_collection_list(struct store *store, struct arena *arena,
                                      struct store_collection **ret, size_t *ret_n,
                                      struct rag_error *reterr);
/* Deletes its documents too (reclaimed in slices); invisible at once. */
enum rag_status store_collection_delete(struct store *store, const char *name,
                                        const char *principal, uint64_t *ret_change,
                                        struct rag_error *reterr);

/* ---- documents ---- */
struct store_document {
    char *name; /* unique within the collection */
    char *title;
    char *mime;
    char *metadata;                    /* JSON object */
    uint8_t source_hash[SHA256_BYTES]; /* of what was sent: equal means unchanged */
    uint64_t version_id;
    int64_t updated_ms;
    uint64_t text_bytes;
    uint64_t n_chunks;
};
struct store_chunk {
    uint8_t hash[SHA256_BYTES]; /* of title, heading, context and text, lengths included */
    const char *heading;
    const char *context;
    uint32_t byte_start; /* in the version's text */
    uint32_t byte_end;
};
/* A whole document to be made visible. Texts are borrowed. */
struct store_put {
    int64_t collection_id;
    const char *name;
    const char *title;
    const char *mime;
    const char *metadata; /* JSON object; texts, numbers, booleans (as "true", "false") and
                           * arrays of these can be filtered by */
    const uint8_t *source_hash;
    const char *text; /* NFC */
    size_t text_bytes;
    const struct store_chunk *chunks;
    size_t n_chunks;
    const char *principal;
};
struct store_put_result {
    uint64_t change;
    uint64_t version_id;
    uint64_t retired_version_id; /* 0: the document is new */
};
/* Stage (in slices of STAGE_SLICE_CHUNKS when there are more than that) and publish;
 * ret_chunk_ids: room for n_chunks, the id of each chunk (an earlier id where the same
 * content is already there). On failure nothing is visible and what was staged goes. */
enum rag_status store_document_put(struct store *store, const struct store_put *put,
                                   uint64_t *ret_chunk_ids, struct store_put_result *ret,
                                   struct rag_error *reterr);
enum rag_status store_document_delete(struct store *store, int64_t collection_id, const char *name,
                                      const char *principal, uint64_t *ret_change,
                                      uint64_t *ret_version_id, struct rag_error *reterr);
/* RAG_ENOTFOUND when there is none. */
enum rag_status store_document_get(struct store *store, int64_t collection_id, const char *name,
                                   struct arena *arena, struct store_document *ret,
                                   struct rag_error *reterr);
/* Of n documents the version that is visible (0: none), and the collection's generation, all from
 * one read snapshot. RAG_ENOTFOUND: the collection is deleted, or never was. */
enum rag_status store_document_versions(struct store *store, int64_t collection_id,
                                        const char *const *names, size_t n, uint64_t *ret_versions,
                                        uint64_t *ret_generation, struct rag_error *reterr);
/* The stored text; malloc'ed. */
enum rag_status store_document_text(struct store *store, int64_t collection_id, const char *name,
                                    char **ret_text, size_t *ret_bytes, struct rag_error *reterr);
/* Up to 'limit' documents with name > after ("" for the first page), by name. */
enum rag_status store_document_list(struct store *store, int64_t collection_id, const char *after,
                                    size_t limit, struct arena *arena, struct store_document **ret,
                                    size_t *ret_n, struct rag_error *reterr);

/* ---- chunks ---- */
struct store_passage {
    uint64_t id;
    char *document; /* name of the first visible owner */
    char *title;
    char *heading;
    char *context;
    char *text;
    size_t text_bytes;
    uint32_t byte_start;
    uint32_t byte_end;
    uint64_t version_id;
    uint64_t n_owners; /* times that visible documents hold this content: a document that
                        * holds it twice counts twice, as in store_version_chunks() */
};
/* Chunks by id, in the order of ids[]; one with no visible owner (deleted meanwhile) is
 * left out, so *ret_n may be smaller. All from one read snapshot. */
enum rag_status store_passages(struct store *store, const uint64_t *ids, size_t n,
                               struct arena *arena, struct store_passage **ret, size_t *ret_n,
                               struct rag_error *reterr);
/* The same, each named by its first owner among 'versions' (store_filter_owners); one that
 * none of them owns is left out. */
enum rag_status store_passages_owned(struct store *store, const uint64_t *ids, size_t n,
                                     const struct id_set *versions, struct arena *arena,
                                     struct store_passage **ret, size_t *ret_n,
                                     struct rag_error *reterr);
/* Chunks of one version by ordinal, whether it is still visible or not. */
enum rag_status store_version_chunks(struct store *store, uint64_t version_id,
                                     enum rag_status (*visit)(void *context,
                                                              const struct store_passage *passage,
                                                              struct rag_error *reterr),
                                     void *context, struct rag_error *reterr);
/* Up to 'limit' visible chunks of a collection with id > after, ascending, each named by its first
 * owner, n_owners not filled in: a page of a walk through all of them. From one read snapshot. */
enum rag_status store_chunk_page(struct store *store, int64_t collection_id, uint64_t after,
                                 size_t limit, struct arena *arena, struct store_passage **ret,
                                 size_t *ret_n, struct rag_error *reterr);
/* Every visible (chunk, owners) of a collection, ascending ids, and the change number of
 * that snapshot: what an index must hold. Text is filled only when with_text. */
enum rag_status
store_collection_chunks(struct store *store, int64_t collection_id, bool with_text,
                        enum rag_status (*visit)(void *context, const struct store_passage *p,
                                                 struct rag_error *reterr),
                        void *context, uint64_t *ret_change, struct rag_error *reterr);

/* ---- metadata filters: all clauses must hold ---- */
enum filter_op { FILTER_EQ, FILTER_IN, FILTER_GT, FILTER_GTE, FILTER_LT, FILTER_LTE };
struct filter_value {
    const char *text; /* or NULL: a number */
    double number;
};
struct filter_clause {
    const char *key; /* a metadata key, or "document" / "title" */
    enum filter_op op;
    const struct filter_value *values; /* n_values == 1 except for FILTER_IN */
    size_t n_values;
};
/* Ids of the visible chunks of the documents that match. */
enum rag_status store_filter(struct store *store, int64_t collection_id,
                             const struct filter_clause *clauses, size_t n, struct id_set *ret,
                             struct rag_error *reterr);
/* And the ids of those documents' versions: who may be cited for a shared chunk. */
enum rag_status store_filter_owners(struct store *store, int64_t collection_id,
                                    const struct filter_clause *clauses, size_t n,
                                    struct id_set *ret_chunks, struct id_set *ret_versions,
                                    struct rag_error *reterr);

/* ---- changes ---- */
enum change_kind { CHANGE_PUBLISH, CHANGE_DELETE, CHANGE_COLLECTION_DELETE };
struct store_change {
    uint64_t change;
    int64_t collection_id;
    int64_t time_ms;
    const char *collection;
    const char *document; /* "" for a collection */
    const char *principal;
    enum change_kind kind;
    uint64_t version_id;         /* published, or 0 */
    uint64_t retired_version_id; /* or 0 */
};
/* The last change whose call has returned or is about to; a snapshot that is taken now may hold
 * a later one, whose commit is done and whose call is not. */
uint64_t store_last_change(struct store *store);
enum rag_status store_changes_since(struct store *store, uint64_t change,
                                    enum rag_status (*visit)(void *context,
                                                             const struct store_change *change,
                                                             struct rag_error *reterr),
                                    void *context, struct rag_error *reterr);

struct store_stats {
    uint64_t n_collections;
    uint64_t n_documents;
    uint64_t n_chunks;
    uint64_t database_bytes;
    uint64_t n_commits; /* transactions of the writer since open */
    uint64_t n_writes;  /* changes in them: writes / commits is the group size */
    size_t queue_length;
};
enum rag_status store_stats(struct store *store, struct store_stats *ret, struct rag_error *reterr);

#endif
