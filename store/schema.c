/* store/schema.c - the tables of ragd.db, as migration steps.
 *
 * Step i takes the file from PRAGMA user_version i to i + 1; steps are never changed once
 * released, only added.
 *
 *   collections     deleted: 0 visible, 1 its documents are being retired, 2 empty. The row stays,
 *                   so that the change log can name it; its name is free
 *   documents       a row while the document is visible; version_id shows which version
 *   versions        one state of one document: 0 staged, 1 published, 2 retired
 *   texts           the stored NFC text of a version in pieces of STAGE_SLICE_BYTES
 *   chunks          distinct content of a collection: (collection, hash) once
 *   version_chunks  who owns which chunk, and where it is in the version's text
 *   metadata        what a version can be filtered by: its metadata's scalars and the elements of
 *                   its arrays, and the keys "document" and "title"
 *   changes         one row for each publish and delete: the order of everything
 *   embedders       each embedding model that was used, by fingerprint, and how to load it again
 *   embeddings      a chunk's unit vector by one of them, float16, little-endian
 *   adapters        a collection's map of questions' vectors (store/adapters.h)
 *
 * Invariants, between transactions
 *   1. documents.version_id is a version of the same collection in state 1, and every version in
 *      state 1 has exactly one such row.
 *   2. A version in state 0 belongs to a put in progress (at open: to none, and becomes 2).
 *   3. Every chunk has at least one row in version_chunks, and every such row its version and
 *      chunk.
 *   4. (collection_id, hash) of chunks is unique; ids of chunks, versions, collections and changes
 *      grow and are never used again.
 *   5. A version in state 1 has version_chunks of ordinals 0..n_chunks-1, and pieces of text that
 *      are text_bytes together. One in state 2 may have less.
 *   6. changes.change of a publish or delete is that of the transaction that set documents.
 *   7. Every row of embeddings has its chunk and its embedder, and a vector of 2 * dim bytes.
 *   8. Every row of adapters has its collection, which is not deleted. */
#include "store/store_internal.h"

const char *const store_schema[] = {
    "CREATE TABLE collections("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL, settings TEXT NOT NULL, binding TEXT NOT NULL,"
    "  created_ms INTEGER NOT NULL, generation INTEGER NOT NULL DEFAULT 0,"
    "  deleted INTEGER NOT NULL DEFAULT 0);"
    "CREATE UNIQUE INDEX collections_name ON collections(name) WHERE deleted=0;"
    "CREATE INDEX collections_deleted ON collections(deleted) WHERE deleted=1;"
    "CREATE TABLE documents("
    "  id INTEGER PRIMARY KEY, collection_id INTEGER NOT NULL, name TEXT NOT NULL,"
    "  version_id INTEGER NOT NULL, UNIQUE(collection_id, name));"
    "CREATE UNIQUE INDEX documents_version ON documents(version_id);"
    "CREATE TABLE versions("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, collection_id INTEGER NOT NULL,"
    "  state INTEGER NOT NULL, title TEXT NOT NULL, mime TEXT NOT NULL,"
    "  metadata TEXT NOT NULL, source_hash BLOB NOT NULL, updated_ms INTEGER NOT NULL,"
    "  text_bytes INTEGER NOT NULL, n_chunks INTEGER NOT NULL);"
    "CREATE INDEX versions_not_published ON versions(state) WHERE state<>1;"
    "CREATE TABLE texts("
    "  version_id INTEGER NOT NULL, piece INTEGER NOT NULL, body BLOB NOT NULL,"
    "  PRIMARY KEY(version_id, piece));"
    "CREATE TABLE chunks("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, collection_id INTEGER NOT NULL,"
    "  hash BLOB NOT NULL, title TEXT NOT NULL, heading TEXT NOT NULL,"
    "  context TEXT NOT NULL, body TEXT NOT NULL, UNIQUE(collection_id, hash));"
    "CREATE TABLE version_chunks("
    "  version_id INTEGER NOT NULL, ordinal INTEGER NOT NULL, chunk_id INTEGER NOT NULL,"
    "  byte_start INTEGER NOT NULL, byte_end INTEGER NOT NULL,"
    "  PRIMARY KEY(version_id, ordinal)) WITHOUT ROWID;"
    "CREATE INDEX version_chunks_chunk ON version_chunks(chunk_id);"
    "CREATE TABLE metadata("
    "  collection_id INTEGER NOT NULL, key TEXT NOT NULL, value NOT NULL,"
    "  version_id INTEGER NOT NULL,"
    "  PRIMARY KEY(collection_id, key, value, version_id)) WITHOUT ROWID;"
    "CREATE INDEX metadata_version ON metadata(version_id, key, value);"
    "CREATE TABLE changes("
    "  change INTEGER PRIMARY KEY AUTOINCREMENT, collection_id INTEGER NOT NULL,"
    "  collection TEXT NOT NULL, document TEXT NOT NULL, principal TEXT NOT NULL,"
    "  kind INTEGER NOT NULL, version_id INTEGER NOT NULL,"
    "  retired_version_id INTEGER NOT NULL, time_ms INTEGER NOT NULL);",

    /* A table with rowids: vectors of 384 to 2048 bytes fill its leaf pages, where the pages of an
     * index would put all but a quarter page of each into an overflow chain. */
    "CREATE TABLE embedders("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, fingerprint TEXT NOT NULL UNIQUE,"
    "  dir TEXT NOT NULL, settings TEXT NOT NULL, dim INTEGER NOT NULL);"
    "CREATE TABLE embeddings("
    "  chunk_id INTEGER NOT NULL, embedder_id INTEGER NOT NULL, vector BLOB NOT NULL,"
    "  UNIQUE(chunk_id, embedder_id));"
    "CREATE INDEX chunks_collection ON chunks(collection_id);",

    "CREATE TABLE adapters("
    "  collection_id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL, dim INTEGER NOT NULL,"
    "  rank INTEGER NOT NULL, weights BLOB NOT NULL, n_pairs INTEGER NOT NULL,"
    "  measured TEXT NOT NULL, learned_ms INTEGER NOT NULL);",
};
const size_t store_schema_n = sizeof store_schema / sizeof store_schema[0];
