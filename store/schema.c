/* store/schema.c - the tables of ragd.db, as migration steps.
 *
 * Step i takes the file from PRAGMA user_version i to i + 1; steps are never changed once
 * released, only added.
 *
 *   collections     a row for ever (ids are not used again); deleted: its name is free
 *   documents       a row while the document is visible; version_id shows which version
 *   versions        one state of one document: 0 staged, 1 published, 2 retired
 *   texts           the stored NFC text of a version
 *   chunks          distinct content of a collection: (collection, hash) once
 *   version_chunks  who owns which chunk, and where it is in the version's text
 *   metadata        filterable members of a version's metadata
 *   changes         one row for each publish and delete: the order of everything */
#include "store/store_internal.h"

const char *const store_schema[] = {
    "CREATE TABLE collections("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL, settings TEXT NOT NULL, binding TEXT NOT NULL,"
    "  created_ms INTEGER NOT NULL, generation INTEGER NOT NULL DEFAULT 0,"
    "  deleted INTEGER NOT NULL DEFAULT 0);"
    "CREATE UNIQUE INDEX collections_name ON collections(name) WHERE deleted=0;"
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
    "CREATE TABLE texts(version_id INTEGER PRIMARY KEY, body TEXT NOT NULL);"
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
    "  version_id INTEGER NOT NULL, collection_id INTEGER NOT NULL, key TEXT NOT NULL,"
    "  text TEXT, number REAL);"
    "CREATE INDEX metadata_version ON metadata(version_id);"
    "CREATE INDEX metadata_text ON metadata(collection_id, key, text) WHERE text IS NOT NULL;"
    "CREATE INDEX metadata_number ON metadata(collection_id, key, number)"
    "  WHERE number IS NOT NULL;"
    "CREATE TABLE changes("
    "  change INTEGER PRIMARY KEY AUTOINCREMENT, collection_id INTEGER NOT NULL,"
    "  collection TEXT NOT NULL, document TEXT NOT NULL, principal TEXT NOT NULL,"
    "  kind INTEGER NOT NULL, version_id INTEGER NOT NULL,"
    "  retired_version_id INTEGER NOT NULL, time_ms INTEGER NOT NULL);",
};
const size_t store_schema_n = sizeof store_schema / sizeof store_schema[0];
