/* store/staging.c - putting and deleting documents: the jobs of the writer thread.
 *
 * A document becomes rows in slices of at most STAGE_SLICE_CHUNKS chunks and about
 * STAGE_SLICE_BYTES of text, each a job of its own, so that no other write waits long. Its version
 * is 'staged' until the last job publishes it; a small document needs that one job only. */
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
    const struct json *metadata; /* of put, parsed */
    uint64_t *chunk_ids;
    size_t text_from; /* the slice of this job, in bytes of text and in chunks */
    size_t text_to;
    size_t from;
    size_t to;
    bool first; /* makes the version */
    bool last;  /* publishes it */
    int64_t version_id;
    struct store_put_result result;
};

/* A member that can be asked for: text, number or boolean (as "true" and "false"). */
static enum rag_status insert_metadata_value(struct database *db, const struct put_job *j,
                                             const char *key, const struct json *value,
                                             struct rag_error *reterr)
{
    static const char sql[] =
        "INSERT OR IGNORE INTO metadata(collection_id, key, value, version_id) VALUES(?1,?2,?3,?4)";
    sqlite3_stmt *statement;
    enum rag_status status;

    if (!json_is_string(value) && !json_is_number(value) && !json_is_bool(value))
        return RAG_OK; /* null and what is nested cannot be asked for */
    status = database_statement(db, sql, &statement, reterr);
    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, j->put->collection_id);
    sqlite3_bind_text(statement, 2, key, -1, SQLITE_STATIC);
    if (json_is_string(value))
        sqlite3_bind_text(statement, 3, json_string(value), -1, SQLITE_STATIC);
    else if (json_is_bool(value))
        sqlite3_bind_text(statement, 3, json_true(value) ? "true" : "false", -1, SQLITE_STATIC);
    else
        sqlite3_bind_double(statement, 3, json_number(value));
    sqlite3_bind_int64(statement, 4, j->version_id);
    return database_run(db, statement, reterr);
}

/* The document's name and title are keys as well; a member of the same name yields to them. */
static enum rag_status insert_own_keys(struct database *db, const struct put_job *j,
                                       struct rag_error *reterr)
{
    static const char sql[] = "INSERT INTO metadata(collection_id, key, value, version_id)"
                              " VALUES(?1,'document',?2,?4),(?1,'title',?3,?4)";
    sqlite3_stmt *statement;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, j->put->collection_id);
    sqlite3_bind_text(statement, 2, j->put->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, j->put->title, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, j->version_id);
    return database_run(db, statement, reterr);
}

static enum rag_status insert_metadata(struct database *db, const struct put_job *j,
                                       struct rag_error *reterr)
{
    enum rag_status status = insert_own_keys(db, j, reterr);

    for (const struct json *m = json_first(j->metadata); m && status == RAG_OK; m = json_next(m)) {
        if (strcmp(json_key(m), "document") == 0 || strcmp(json_key(m), "title") == 0)
            continue;
        if (!json_is_array(m)) {
            status = insert_metadata_value(db, j, json_key(m), m, reterr);
            continue;
        }
        for (const struct json *e = json_first(m); e && status == RAG_OK; e = json_next(e))
            status = insert_metadata_value(db, j, json_key(m), e, reterr);
    }
    return status;
}

static enum rag_status insert_version(struct database *db, struct put_job *j,
                                      struct rag_error *reterr)
{
    static const char insert[] =
        "INSERT INTO versions(collection_id, state, title, mime, metadata, source_hash,"
        " updated_ms, text_bytes, n_chunks) VALUES(?1,0,?2,?3,?4,?5,?6,?7,?8)";
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
    return insert_metadata(db, j, reterr);
}

static enum rag_status insert_text(struct database *db, const struct put_job *j,
                                   struct rag_error *reterr)
{
    static const char sql[] = "INSERT INTO texts(version_id, piece, body) VALUES(?1,?2,?3)";
    sqlite3_stmt *statement;
    enum rag_status status;

    if (j->text_from == j->text_to)
        return RAG_OK;
    status = database_statement(db, sql, &statement, reterr);
    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, j->version_id);
    sqlite3_bind_int64(statement, 2, (int64_t)(j->text_from / STAGE_SLICE_BYTES));
    sqlite3_bind_blob64(statement, 3, j->put->text + j->text_from, j->text_to - j->text_from,
                        SQLITE_STATIC);
    return database_run(db, statement, reterr);
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
        status = insert_text(db, j, reterr);
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

/* Move on to the slice after this one: a piece of text, then chunks as room is left. */
static void next_slice(struct put_job *j)
{
    const struct store_put *put = j->put;
    size_t n_bytes;

    j->text_from = j->text_to;
    j->text_to = put->text_bytes - j->text_from > STAGE_SLICE_BYTES
                     ? j->text_from + STAGE_SLICE_BYTES
                     : put->text_bytes;
    n_bytes = j->text_to - j->text_from;
    j->from = j->to;
    while (j->text_to == put->text_bytes && j->to < put->n_chunks &&
           j->to - j->from < STAGE_SLICE_CHUNKS &&
           (n_bytes < 2 * (size_t)STAGE_SLICE_BYTES || j->to == j->from)) {
        const struct store_chunk *c = &put->chunks[j->to++];

        n_bytes += (c->byte_end - c->byte_start) + strlen(c->heading) + strlen(c->context);
    }
    j->last = j->text_to == put->text_bytes && j->to == put->n_chunks;
}

static enum rag_status check_put(const struct store_put *put, struct rag_error *reterr)
{
    if (put->text_bytes > DOCUMENT_BYTES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "document '%.200s': %zu bytes of text, the limit is %u",
                        put->name, put->text_bytes, DOCUMENT_BYTES_MAX);
    if (put->n_chunks > CHUNKS_PER_DOCUMENT_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "document '%.200s': %zu chunks, the limit is %u",
                        put->name, put->n_chunks, CHUNKS_PER_DOCUMENT_MAX);
    for (size_t i = 0; i < put->n_chunks; i++)
        assert(put->chunks[i].byte_start <= put->chunks[i].byte_end &&
               put->chunks[i].byte_end <= put->text_bytes);
    return RAG_OK;
}

/* What was staged and will not be published is reclaimed when idle; if even marking it fails
 * (disk full), the next open does it. */
static void abandon(struct store *s, struct put_job *j)
{
    (void)writer_go_on(s->writer, run_abandon, j, NULL);
    writer_wake_idle(s->writer);
}

enum rag_status store_document_put(struct store *s, const struct store_put *put,
                                   uint64_t *ret_chunk_ids, struct store_put_result *ret,
                                   struct rag_error *reterr)
{
    struct put_job j = {.put = put, .chunk_ids = ret_chunk_ids, .first = true};
    enum rag_status status = check_put(put, reterr);
    struct json *metadata = NULL;

    if (status == RAG_OK)
        status = json_parse(put->metadata, strlen(put->metadata), "metadata", &metadata, reterr);
    if (status == RAG_OK && !json_is_object(metadata))
        status = rag_fail(reterr, RAG_EINVAL, "document '%.200s': metadata is no JSON object",
                          put->name);
    j.metadata = metadata;
    while (status == RAG_OK && !j.last) {
        next_slice(&j);
        status = j.first ? writer_do(s->writer, run_put, &j, reterr)
                         : writer_go_on(s->writer, run_put, &j, reterr);
        if (status != RAG_OK && !j.first)
            abandon(s, &j);
        j.first = false;
    }
    json_free(metadata);
    if (status != RAG_OK)
        return status;
    if (j.result.retired_version_id != 0)
        writer_wake_idle(s->writer);
    *ret = j.result;
    return RAG_OK;
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

    status = need_collection(db, j->row.collection_id, reterr);
    if (status == RAG_OK)
        status =
            find_version(db, j->row.collection_id, j->name, &j->row.retired_version_id, reterr);
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

static enum rag_status run_delete_collection(struct database *db, void *context,
                                             struct rag_error *reterr)
{
    static const char find[] = "SELECT id FROM collections WHERE name=?1 AND deleted=0";
    static const char mark[] = "UPDATE collections SET deleted=1 WHERE id=?1";
    static const char adapter[] = "DELETE FROM adapters WHERE collection_id=?1";
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
        status = database_run_for(db, adapter, j->row.collection_id, reterr);
    /* its documents are invisible with it; reclaim.c retires them in slices */
    return status == RAG_OK ? database_run_for(db, mark, j->row.collection_id, reterr) : status;
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
