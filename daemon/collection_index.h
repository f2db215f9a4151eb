/* daemon/collection_index.h - bring a collection's BM25 index to what the store holds. */
#ifndef RAG_DAEMON_COLLECTION_INDEX_H
#define RAG_DAEMON_COLLECTION_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "retrieve/bm25.h"
#include "store/store.h"
#include "text/analyzer.h"

struct collection_opened;

struct collection_index_source {
    struct store *store; /* borrowed */
    const struct analyzer *analyzer;
    struct bm25_options bm25;
    int64_t collection_id;
};

/* Load the snapshot at 'path' and add or remove what changed since; without a usable
 * snapshot (why says what was wrong with it) read every visible chunk of the store.
 * Fills rebuilt, n_reconciled and n_passages of 'opened'; *ret_saved_change is the change
 * number of the file on disk (0: none). O(changes) when only those differ, but for one
 * pass over the ids of the collection. */
enum rag_status collection_index_open(const struct collection_index_source *source,
                                      const char *path, struct bm25 **ret,
                                      struct collection_opened *opened, uint64_t *ret_saved_change,
                                      struct rag_error *why, struct rag_error *reterr);

/* Does the index hold exactly the visible chunks, each with as many owners? On a quiet
 * collection only. *ret_n_wrong counts the passages that differ. */
enum rag_status collection_index_check(const struct collection_index_source *source,
                                       struct bm25 *index, uint64_t *ret_n_wrong,
                                       struct rag_error *reterr);

/* The postings of a stored chunk: what was added when it came, so what a removal gives.
 * *ret_postings is malloc'ed. RAG_OK, RAG_ENOMEM. */
enum rag_status collection_index_postings(const struct analyzer *analyzer,
                                          const struct store_passage *passage,
                                          struct bm25_posting **ret_postings, size_t *ret_n,
                                          uint32_t *ret_length);
/* Add one stored chunk (its title, heading, context and text) to a batch. */
enum rag_status collection_index_add(const struct analyzer *analyzer, struct bm25_batch *batch,
                                     const struct store_passage *passage, struct rag_error *reterr);

#endif
