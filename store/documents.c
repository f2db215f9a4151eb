/* store/documents.c - putting, deleting and reading documents. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/json.h"
#include "store/store_internal.h"

/* ---- staging: jobs on the writer thread ---- */

struct put_job {
    const struct store_put *put;
    uint64_t *chunk_ids;
    size_t from; /* slice of chunks that this job stages */
    size_t to;
    bool first; /* makes the version */
    bool last;  /* publishes it */
    int64_t version_id;
    struct store_put_result result;
};

static enum rag_status insert_metadata_value(struct database *db, const struct put_job *j,
                                             const char *key, const struct json *value,
                                             struct rag_error *reterr)
{
    static const char sql[] = "INSERT INTO metadata(version_id, collection_id, key, text, number)"
                              " VALUES(?1,?2,?3,?4,?5)";
    sqlite3_stmt *statement;
    enum rag_status status;

    if (!json_is_string(value) && !json_is_number(value) && !json_is_bool(value))
        return RAG_OK; /* null and what is nested cannot be asked for */
    status = database_statement(db, sql, &statement, reterr);
    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, j->version_id);
    sqlite3_bind_int64(statement, 2, j->put->collection_id);
    sqlite3_bind_text(statement, 3, key, -1, SQLITE_STATIC);
    if (json_is_string(value))
        sqlite3_bind_text(statement, 4, json_string(value), -1, SQLITE_STATIC);
    else if (json_is_bool(value))
        sqlite3_bind_text(statement, 4, json_true(value) ? "true" : "false", -1, SQLITE_STATIC);
    else
        sqlite3_bind_double(statement, 5, json_number(value));
    return database_run(db, statement, reterr);
}

static enum rag_status insert_metadata(struct database *db, const struct put_job *j,
                                       struct rag_error *reterr)
{
    struct json *metadata = NULL;
    enum rag_status status =
        json_parse(j->put->metadata, strlen(j->put->metadata), "metadata", &metadata, reterr);

    for (const struct json *m = json_first(metadata); m && status == RAG_OK; m = json_next(m)) {
        if (!json_is_array(m)) {
            status = insert_metadata_value(db, j, json_key(m), m, reterr);
            continue;
        }
        for (const struct json *e = json_first(m); e && status == RAG_OK; e = json_next(e))
            status = insert_metadata_value(db, j, json_key(m), e, reterr);
    }
    json_free(metadata);
    return status;
}

static enum rag_status insert_version(struct database *db, struct put_job *j,
                                      struct rag_error *reterr)
{
    static const char insert[] =
        "INSERT INTO versions(collection_id, state, title, mime, metadata, source_hash,"
        " updated_ms, text_bytes, n_chunks) VALUES(?1,0,?2,?3,?4,?5,?6,?7,?8)";
    static const char text[] = "INSERT INTO texts(version_id, body) VALUES(?1,?2)";
    const struct store_put *put = j->put;
    sqlite3_stmt *statement;
    enum rag_status status = database_statement(db, insert, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, put->collection_id);
    sqlite3_bind_text(statement, 2, put->title, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, put->mime, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 4, put->metadata, -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 5, put->source_hash, SHA256_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 6, clock_wall_ms());
    sqlite3_bind_int64(statement, 7, (int64_t)put->text_bytes);
    sqlite3_bind_int64(statement, 8, (int64_t)put->n_chunks);
    status = database_run(db, statement, reterr);
    if (status != RAG_OK)
        return status;
    j->version_id = sqlite3_last_insert_rowid(db->handle);
    status = database_statement(db, text, &statement, reterr);
    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, j->version_id);
    sqlite3_bind_text64(statement, 2, put->text, put->text_bytes, SQLITE_STATIC, SQLITE_UTF8);
    status = database_run(db, statement, reterr);
    return status == RAG_OK ? insert_metadata(db, j, reterr) : status;
}

/* The id of the chunk's content, stored if it is new. */
static enum rag_status insert_chunk(struct database *db, const struct put_job *j,
                                    const struct store_chunk *c, uint64_t *ret_id,
                                    struct rag_error *reterr)
{
    static const char find[] = "SELECT id FROM chunks WHERE collection_id=?1 AND hash=?2";
    static const char insert[] = "INSERT INTO chunks(collection_id, hash, title, heading, context,"
                                 " body) VALUES(?1,?2,?3,?4,?5,?6)";
    sqlite3_stmt *statement;
    bool row = false;
    enum rag_status status = database_statement(db, find, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, j->put->collection_id);
    sqlite3_bind_blob(statement, 2, c->hash, SHA256_BYTES, SQLITE_STATIC);
    status = database_step(db, statement, &row, reterr);
    if (status != RAG_OK)
        return status;
    if (row) {
        *ret_id = (uint64_t)sqlite3_column_int64(statement, 0);
        sqlite3_reset(statement);
        return RAG_OK;
    }
    status = database_statement(db, insert, &statement, reterr);
    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, j->put->collection_id);
    sqlite3_bind_blob(statement, 2, c->hash, SHA256_BYTES, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, j->put->title, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 4, c->heading, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 5, c->context, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 6, j->put->text + c->byte_start,
                      (int)(c->byte_end - c->byte_start), SQLITE_STATIC);
    status = database_run(db, statement, reterr);
    if (status == RAG_OK)
        *ret_id = (uint64_t)sqlite3_last_insert_rowid(db->handle);
    return status;
}

static enum rag_status insert_slice(struct database *db, struct put_job *j,
                                    struct rag_error *reterr)
{
    static const char own[] = "INSERT INTO version_chunks(version_id, ordinal, chunk_id,"
                              " byte_start, byte_end) VALUES(?1,?2,?3,?4,?5)";
    enum rag_status status = RAG_OK;

    for (size_t i = j->from; i < j->to && status == RAG_OK; i++) {
        const struct store_chunk *c = &j->put->chunks[i];
        sqlite3_stmt *statement;

        assert(c->byte_start <= c->byte_end && c->byte_end <= j->put->text_bytes);
        status = insert_chunk(db, j, c, &j->chunk_ids[i], reterr);
        if (status == RAG_OK)
            status = database_statement(db, own, &statement, reterr);
        if (status != RAG_OK)
            break;
        sqlite3_bind_int64(statement, 1, j->version_id);
        sqlite3_bind_int64(statement, 2, (int64_t)i);
        sqlite3_bind_int64(statement, 3, (int64_t)j->chunk_ids[i]);
        sqlite3_bind_int64(statement, 4, c->byte_start);
        sqlite3_bind_int64(statement, 5, c->byte_end);
        status = database_run(db, statement, reterr);
    }
    return status;
}

/* ---- publishing and retiring ---- */

static enum rag_status set_state(struct database *db, int64_t version_id, enum version_state state,
                                 struct rag_error *reterr)
{
    static const char sql[] = "UPDATE versions SET state=?2 WHERE id=?1";
    sqlite3_stmt *statement;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, version_id);
    sqlite3_bind_int(statement, 2, (int)state);
    return database_run(db, statement, reterr);
}

struct change_row {
    int64_t collection_id;
    const char *document;
    const char *principal;
    enum change_kind kind;
    int64_t version_id;
    int64_t retired_version_id;
};

/* Append to the change log and grow the collection's generation. */
static enum rag_status insert_change(struct database *db, const struct change_row *c,
                                     uint64_t *ret_change, struct rag_error *reterr)
{
    static const char generation[] = "UPDATE collections SET generation=generation+1 WHERE id=?1";
    static const char insert[] =
        "INSERT INTO changes(collection_id, collection, document, principal, kind, version_id,"
        " retired_version_id, time_ms)"
        " SELECT id, name, ?2, ?3, ?4, ?5, ?6, ?7 FROM collections WHERE id=?1";
    sqlite3_stmt *statement;
    enum rag_status status = database_statement(db, generation, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, c->collection_id);
    status = database_run(db, statement, reterr);
    if (status == RAG_OK)
        status = database_statement(db, insert, &statement, reterr);
    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, c->collection_id);
    sqlite3_bind_text(statement, 2, c->document, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, c->principal, -1, SQLITE_STATIC);
    sqlite3_bind_int(statement, 4, (int)c->kind);
    sqlite3_bind_int64(statement, 5, c->version_id);
    sqlite3_bind_int64(statement, 6, c->retired_version_id);
    sqlite3_bind_int64(statement, 7, clock_wall_ms());
    status = database_run(db, statement, reterr);
    if (status == RAG_OK)
        *ret_change = (uint64_t)sqlite3_last_insert_rowid(db->handle);
    return status;
}

/* The visible version of a document, 0 for none. */
static enum rag_status find_version(struct database *db, int64_t collection_id, const char *name,
                                    int64_t *ret, struct rag_error *reterr)
{
    static const char sql[] = "SELECT version_id FROM documents WHERE collection_id=?1 AND name=?2";
    sqlite3_stmt *statement;
    bool row = false;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, collection_id);
    sqlite3_bind_text(statement, 2, name, -1, SQLITE_STATIC);
    status = database_step(db, statement, &row, reterr);
    *ret = row ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return status;
}

static enum rag_status need_collection(struct database *db, int64_t id, struct rag_error *reterr)
{
    static const char sql[] = "SELECT 1 FROM collections WHERE id=?1 AND deleted=0";
    sqlite3_stmt *statement;
    bool row = false;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    status = database_step(db, statement, &row, reterr);
    sqlite3_reset(statement);
    if (status == RAG_OK && !row)
        return rag_fail(reterr, RAG_ENOTFOUND, "collection: was deleted meanwhile");
    return status;
}

static enum rag_status publish(struct database *db, struct put_job *j, struct rag_error *reterr)
{
    static const char upsert[] =
        "INSERT INTO documents(collection_id, name, version_id) VALUES(?1,?2,?3)"
        " ON CONFLICT(collection_id, name) DO UPDATE SET version_id=excluded.version_id";
    const struct store_put *put = j->put;
    struct change_row change = {put->collection_id, put->name,     put->principal,
                                CHANGE_PUBLISH,     j->version_id, 0};
    sqlite3_stmt *statement;
    enum rag_status status = need_collection(db, put->collection_id, reterr);

    if (status == RAG_OK)
        status =
            find_version(db, put->collection_id, put->name, &change.retired_version_id, reterr);
    if (status == RAG_OK)
        status = database_statement(db, upsert, &statement, reterr);
    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, put->collection_id);
    sqlite3_bind_text(statement, 2, put->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, j->version_id);
    status = database_run(db, statement, reterr);
    if (status == RAG_OK)
        status = set_state(db, j->version_id, VERSION_PUBLISHED, reterr);
    if (status == RAG_OK && change.retired_version_id != 0)
        status = set_state(db, change.retired_version_id, VERSION_RETIRED, reterr);
    if (status == RAG_OK)
        status = insert_change(db, &change, &j->result.change, reterr);
    j->result.version_id = (uint64_t)j->version_id;
    j->result.retired_version_id = (uint64_t)change.retired_version_id;
    return status;
}

static enum rag_status run_put(struct database *db, void *context, struct rag_error *reterr)
{
    struct put_job *j = context;
    enum rag_status status = RAG_OK;

    if (j->first)
        status = need_collection(db, j->put->collection_id, reterr);
    if (status == RAG_OK && j->first)
        status = insert_version(db, j, reterr);
    if (status == RAG_OK)
        status = insert_slice(db, j, reterr);
    if (status == RAG_OK && j->last)
        status = publish(db, j, reterr);
    return status;
}

static enum rag_status run_abandon(struct database *db, void *context, struct rag_error *reterr)
{
    const struct put_job *j = context;

    return set_state(db, j->version_id, VERSION_RETIRED, reterr);
}

enum rag_status store_document_put(struct store *s, const struct store_put *put,
                                   uint64_t *ret_chunk_ids, struct store_put_result *ret,
                                   struct rag_error *reterr)
{
    struct put_job j = {.put = put, .chunk_ids = ret_chunk_ids, .first = true};
    enum rag_status status = RAG_OK;
    bool staged = false;

    do {
        j.to = put->n_chunks - j.from > STAGE_SLICE_CHUNKS ? j.from + STAGE_SLICE_CHUNKS
                                                           : put->n_chunks;
        j.last = j.to == put->n_chunks;
        status = writer_do(s->writer, run_put, &j, reterr);
        staged = staged || status == RAG_OK;
        j.first = false;
        j.from = j.to;
    } while (status == RAG_OK && !j.last);
    if (status != RAG_OK && staged) /* best effort: the next open does it otherwise */
        (void)writer_do(s->writer, run_abandon, &j, NULL);
    if (status != RAG_OK || j.result.retired_version_id != 0)
        writer_wake_idle(s->writer);
    if (status == RAG_OK)
        *ret = j.result;
    return status;
}

/* ---- delete ---- */

struct delete_job {
    struct change_row row;
    const char *name; /* of the document or collection */
    uint64_t change;
};

static enum rag_status run_delete(struct database *db, void *context, struct rag_error *reterr)
{
    static const char sql[] = "DELETE FROM documents WHERE collection_id=?1 AND name=?2";
    struct delete_job *j = context;
    sqlite3_stmt *statement;
    enum rag_status status;

    status = find_version(db, j->row.collection_id, j->name, &j->row.retired_version_id, reterr);
    if (status == RAG_OK && j->row.retired_version_id == 0)
        status = rag_fail(reterr, RAG_ENOTFOUND, "document '%.200s': does not exist", j->name);
    if (status == RAG_OK)
        status = database_statement(db, sql, &statement, reterr);
    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, j->row.collection_id);
    sqlite3_bind_text(statement, 2, j->name, -1, SQLITE_STATIC);
    status = database_run(db, statement, reterr);
    if (status == RAG_OK)
        status = set_state(db, j->row.retired_version_id, VERSION_RETIRED, reterr);
    if (status == RAG_OK)
        status = insert_change(db, &j->row, &j->change, reterr);
    return status;
}

enum rag_status store_document_delete(struct store *s, int64_t collection_id, const char *name,
                                      const char *principal, uint64_t *ret_change,
                                      uint64_t *ret_version_id, struct rag_error *reterr)
{
    struct delete_job j = {
        {collection_id, name, principal, CHANGE_DELETE, 0, 0},
        name, 0
    };
    enum rag_status status = writer_do(s->writer, run_delete, &j, reterr);

    if (status == RAG_OK) {
        writer_wake_idle(s->writer);
        *ret_change = j.change;
        *ret_version_id = (uint64_t)j.row.retired_version_id;
    }
    return status;
}

static enum rag_status run_for(struct database *db, const char *static_sql, int64_t id,
                               struct rag_error *reterr)
{
    sqlite3_stmt *statement;
    enum rag_status status = database_statement(db, static_sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    return database_run(db, statement, reterr);
}

static enum rag_status run_delete_collection(struct database *db, void *context,
                                             struct rag_error *reterr)
{
    static const char find[] = "SELECT id FROM collections WHERE name=?1 AND deleted=0";
    static const char retire[] = "UPDATE versions SET state=2 WHERE id IN"
                                 " (SELECT version_id FROM documents WHERE collection_id=?1)";
    static const char hide[] = "DELETE FROM documents WHERE collection_id=?1";
    static const char mark[] = "UPDATE collections SET deleted=1 WHERE id=?1";
    struct delete_job *j = context;
    sqlite3_stmt *statement;
    bool row = false;
    enum rag_status status = database_statement(db, find, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_text(statement, 1, j->name, -1, SQLITE_STATIC);
    status = database_step(db, statement, &row, reterr);
    if (status == RAG_OK && !row)
        return rag_fail(reterr, RAG_ENOTFOUND, "collection '%.80s': does not exist", j->name);
    if (status != RAG_OK)
        return status;
    j->row.collection_id = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    status = insert_change(db, &j->row, &j->change, reterr);
    if (status == RAG_OK)
        status = run_for(db, retire, j->row.collection_id, reterr);
    if (status == RAG_OK)
        status = run_for(db, hide, j->row.collection_id, reterr);
    if (status == RAG_OK)
        status = run_for(db, mark, j->row.collection_id, reterr);
    return status;
}

enum rag_status store_collection_delete(struct store *s, const char *name, const char *principal,
                                        uint64_t *ret_change, struct rag_error *reterr)
{
    struct delete_job j = {
        {0, "", principal, CHANGE_COLLECTION_DELETE, 0, 0},
        name, 0
    };
    enum rag_status status = writer_do(s->writer, run_delete_collection, &j, reterr);

    if (status == RAG_OK) {
        writer_wake_idle(s->writer);
        *ret_change = j.change;
    }
    return status;
}

/* ---- reclaim ---- */

/* Delete the rows of one retired version, STAGE_SLICE_CHUNKS owners at a time, and the chunks
 * that lost their last owner. */
static enum rag_status reclaim_version(struct database *db, int64_t version_id)
{
    static const char orphans[] =
        "DELETE FROM chunks WHERE id IN"
        " (SELECT chunk_id FROM version_chunks WHERE version_id=?1 ORDER BY ordinal LIMIT ?2)"
        " AND NOT EXISTS (SELECT 1 FROM version_chunks o WHERE o.chunk_id=chunks.id"
        "                 AND o.version_id<>?1)"
        " AND NOT EXISTS (SELECT 1 FROM version_chunks o WHERE o.chunk_id=chunks.id"
        "                 AND o.version_id=?1 AND o.ordinal NOT IN"
        "   (SELECT ordinal FROM version_chunks WHERE version_id=?1 ORDER BY ordinal LIMIT ?2))";
    static const char owners[] =
        "DELETE FROM version_chunks WHERE version_id=?1 AND ordinal IN"
        " (SELECT ordinal FROM version_chunks WHERE version_id=?1 ORDER BY ordinal LIMIT ?2)";
    static const char text[] = "DELETE FROM texts WHERE version_id=?1";
    static const char metadata[] = "DELETE FROM metadata WHERE version_id=?1";
    static const char version[] = "DELETE FROM versions WHERE id=?1";
    static const char *const slice[] = {orphans, owners};
    enum rag_status status = RAG_OK;
    int n_deleted = 0;

    for (size_t i = 0; i < 2 && status == RAG_OK; i++) {
        sqlite3_stmt *statement;

        status = database_statement(db, slice[i], &statement, NULL);
        if (status != RAG_OK)
            break;
        sqlite3_bind_int64(statement, 1, version_id);
        sqlite3_bind_int(statement, 2, STAGE_SLICE_CHUNKS);
        status = database_run(db, statement, NULL);
        n_deleted = sqlite3_changes(db->handle);
    }
    if (status != RAG_OK || n_deleted == STAGE_SLICE_CHUNKS)
        return status;
    status = run_for(db, text, version_id, NULL);
    if (status == RAG_OK)
        status = run_for(db, metadata, version_id, NULL);
    return status == RAG_OK ? run_for(db, version, version_id, NULL) : status;
}

enum rag_status reclaim_slice(void *context, struct database *db, bool *ret_more)
{
    static const char sql[] = "SELECT id FROM versions WHERE state=2 LIMIT 1";
    sqlite3_stmt *statement;
    bool row = false;
    int64_t id = 0;
    enum rag_status status = database_statement(db, sql, &statement, NULL);

    (void)context;
    if (status == RAG_OK)
        status = database_step(db, statement, &row, NULL);
    if (status == RAG_OK && row) {
        id = sqlite3_column_int64(statement, 0);
        sqlite3_reset(statement);
        status = reclaim_version(db, id);
    }
    *ret_more = row;
    return status;
}

/* ---- reading ---- */

#define DOCUMENT_COLUMNS                                                                           \
    "SELECT d.name, v.title, v.mime, v.metadata, v.source_hash, v.id, v.updated_ms,"               \
    " v.text_bytes, v.n_chunks FROM documents d JOIN versions v ON v.id=d.version_id"

static enum rag_status read_document(sqlite3_stmt *statement, struct arena *arena,
                                     struct store_document *ret)
{
    char **texts[] = {&ret->name, &ret->title, &ret->mime, &ret->metadata};
    const void *hash = sqlite3_column_blob(statement, 4);

    memset(ret, 0, sizeof *ret);
    for (int i = 0; i < 4; i++)
        if (arena_column(arena, statement, i, texts[i]) != RAG_OK)
            return RAG_ENOMEM;
    if (hash && sqlite3_column_bytes(statement, 4) == SHA256_BYTES)
        memcpy(ret->source_hash, hash, SHA256_BYTES);
    ret->version_id = (uint64_t)sqlite3_column_int64(statement, 5);
    ret->updated_ms = sqlite3_column_int64(statement, 6);
    ret->text_bytes = (uint64_t)sqlite3_column_int64(statement, 7);
    ret->n_chunks = (uint64_t)sqlite3_column_int64(statement, 8);
    return RAG_OK;
}

enum rag_status store_document_get(struct store *s, int64_t collection_id, const char *name,
                                   struct arena *arena, struct store_document *ret,
                                   struct rag_error *reterr)
{
    static const char sql[] = DOCUMENT_COLUMNS " WHERE d.collection_id=?1 AND d.name=?2";
    struct database *db = NULL;
    enum rag_status status = reader_begin(s, &db, reterr);
    sqlite3_stmt *statement;
    bool row = false;

    if (status != RAG_OK)
        return status;
    status = database_statement(db, sql, &statement, reterr);
    if (status == RAG_OK) {
        sqlite3_bind_int64(statement, 1, collection_id);
        sqlite3_bind_text(statement, 2, name, -1, SQLITE_STATIC);
        status = database_step(db, statement, &row, reterr);
    }
    if (status == RAG_OK && !row)
        status = rag_fail(reterr, RAG_ENOTFOUND, "document '%.200s': does not exist", name);
    if (status == RAG_OK && read_document(statement, arena, ret) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "document '%.200s': out of memory", name);
    reader_end(s, db);
    return status;
}

enum rag_status store_document_text(struct store *s, int64_t collection_id, const char *name,
                                    char **ret_text, size_t *ret_bytes, struct rag_error *reterr)
{
    static const char sql[] =
        "SELECT t.body FROM documents d JOIN texts t"
        " ON t.version_id=d.version_id WHERE d.collection_id=?1 AND d.name=?2";
    struct database *db = NULL;
    enum rag_status status = reader_begin(s, &db, reterr);
    sqlite3_stmt *statement;
    bool row = false;

    if (status != RAG_OK)
        return status;
    status = database_statement(db, sql, &statement, reterr);
    if (status == RAG_OK) {
        sqlite3_bind_int64(statement, 1, collection_id);
        sqlite3_bind_text(statement, 2, name, -1, SQLITE_STATIC);
        status = database_step(db, statement, &row, reterr);
    }
    if (status == RAG_OK && !row)
        status = rag_fail(reterr, RAG_ENOTFOUND, "document '%.200s': does not exist", name);
    if (status == RAG_OK) {
        const char *text = column_text(statement, 0);
        size_t n = (size_t)sqlite3_column_bytes(statement, 0);
        char *copy = malloc(n + 1);

        if (!copy) {
            status = rag_fail(reterr, RAG_ENOMEM, "document '%.200s': out of memory", name);
        } else {
            memcpy(copy, text, n);
            copy[n] = '\0';
            *ret_text = copy;
            *ret_bytes = n;
        }
    }
    reader_end(s, db);
    return status;
}

enum rag_status store_document_list(struct store *s, int64_t collection_id, const char *after,
                                    size_t limit, struct arena *arena, struct store_document **ret,
                                    size_t *ret_n, struct rag_error *reterr)
{
    static const char sql[] =
        DOCUMENT_COLUMNS " WHERE d.collection_id=?1 AND d.name>?2 ORDER BY d.name LIMIT ?3";
    struct store_document *list = arena_calloc(arena, limit + 1, sizeof *list);
    struct database *db = NULL;
    sqlite3_stmt *statement;
    enum rag_status status;
    bool row = true;
    size_t n = 0;

    if (!list)
        return rag_fail(reterr, RAG_ENOMEM, "documents: out of memory");
    status = reader_begin(s, &db, reterr);
    if (status != RAG_OK)
        return status;
    status = database_statement(db, sql, &statement, reterr);
    if (status == RAG_OK) {
        sqlite3_bind_int64(statement, 1, collection_id);
        sqlite3_bind_text(statement, 2, after, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 3, (int64_t)limit);
    }
    while (status == RAG_OK && n < limit) {
        status = database_step(db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            break;
        if (read_document(statement, arena, &list[n++]) != RAG_OK)
            status = rag_fail(reterr, RAG_ENOMEM, "documents: out of memory");
    }
    reader_end(s, db);
    if (status == RAG_OK) {
        *ret = list;
        *ret_n = n;
    }
    return status;
}
