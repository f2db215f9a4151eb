/* store/reclaim.c - deleting what no document shows any more, a slice at a time.
 *
 * Invariants
 *   1. Only versions in state 'retired' are touched: nothing visible points to them, and no
 *      writer's job adds to them.
 *   2. Owners go before the chunk that they own, and its embeddings with it, in the same
 *      transaction, so a chunk without an owner or an embedding without a chunk is never seen
 *      outside.
 *   3. A slice handles at most STAGE_SLICE_CHUNKS owners and about STAGE_SLICE_BYTES of text:
 *      a queued write waits no longer than that. */
#include "base/bounds.h"
#include "store/store_internal.h"

struct slice {
    size_t rows_left;
    int64_t bytes_left;
};

/* Delete owners of the version up to the slice's end, and the chunks that lost their last. */
static enum rag_status drop_owners(struct database *db, int64_t version_id, struct slice *slice)
{
    static const char find[] = "SELECT ordinal, chunk_id FROM version_chunks WHERE version_id=?1"
                               " ORDER BY ordinal LIMIT ?2";
    static const char own[] = "DELETE FROM version_chunks WHERE version_id=?1 AND ordinal<=?2";
    static const char chunk[] = "DELETE FROM chunks WHERE id=?1 AND NOT EXISTS"
                                " (SELECT 1 FROM version_chunks WHERE chunk_id=?1)";
    static const char vectors[] = "DELETE FROM embeddings WHERE chunk_id=?1";
    int64_t ids[STAGE_SLICE_CHUNKS];
    sqlite3_stmt *statement;
    int64_t last = -1;
    bool row = true;
    size_t n = 0;
    enum rag_status status = database_statement(db, find, &statement, NULL);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, version_id);
    sqlite3_bind_int64(statement, 2, (int64_t)slice->rows_left);
    while (status == RAG_OK && row) {
        status = database_step(db, statement, &row, NULL);
        if (status == RAG_OK && row) {
            last = sqlite3_column_int64(statement, 0);
            ids[n++] = sqlite3_column_int64(statement, 1);
        }
    }
    if (status == RAG_OK && n > 0)
        status = database_statement(db, own, &statement, NULL);
    if (status != RAG_OK || n == 0)
        return status;
    sqlite3_bind_int64(statement, 1, version_id);
    sqlite3_bind_int64(statement, 2, last);
    status = database_run(db, statement, NULL);
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        status = database_run_for(db, chunk, ids[i], NULL);
        if (status == RAG_OK && sqlite3_changes(db->handle) > 0)
            status = database_run_for(db, vectors, ids[i], NULL);
    }
    slice->rows_left -= n;
    return status;
}

/* Delete the last piece of the version's text; *ret_bytes is 0 when there is none left. */
static enum rag_status drop_piece(struct database *db, int64_t version_id, int64_t *ret_bytes)
{
    static const char sql[] = "DELETE FROM texts WHERE rowid=(SELECT rowid FROM texts"
                              " WHERE version_id=?1 ORDER BY piece DESC LIMIT 1)"
                              " RETURNING length(body)";
    sqlite3_stmt *statement;
    bool row = false;
    enum rag_status status = database_statement(db, sql, &statement, NULL);

    *ret_bytes = 0;
    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, version_id);
    status = database_step(db, statement, &row, NULL);
    if (status == RAG_OK && row) {
        *ret_bytes = sqlite3_column_int64(statement, 0);
        status = database_run(db, statement, NULL);
    }
    return status;
}

/* As much of one retired version as the slice has room for. */
static enum rag_status reclaim_version(struct database *db, int64_t version_id, struct slice *slice)
{
    static const char metadata[] = "DELETE FROM metadata WHERE version_id=?1";
    static const char version[] = "DELETE FROM versions WHERE id=?1";
    enum rag_status status = drop_owners(db, version_id, slice);
    int64_t n_bytes = 1;

    if (status != RAG_OK || slice->rows_left == 0)
        return status; /* there may be more owners */
    while (status == RAG_OK && n_bytes > 0) {
        if (slice->bytes_left <= 0) {
            slice->rows_left = 0;
            return RAG_OK;
        }
        status = drop_piece(db, version_id, &n_bytes);
        slice->bytes_left -= n_bytes;
    }
    if (status == RAG_OK)
        status = database_run_for(db, metadata, version_id, NULL);
    if (status == RAG_OK)
        status = database_run_for(db, version, version_id, NULL);
    slice->rows_left--;
    return status;
}

/* Retire a slice of the documents of a deleted collection; *ret_more when there was one. */
static enum rag_status retire_collection(struct database *db, bool *ret_more)
{
    static const char find[] = "SELECT id FROM collections WHERE deleted=1 LIMIT 1";
    static const char retire[] = "UPDATE versions SET state=2 WHERE id IN (SELECT version_id"
                                 " FROM documents WHERE collection_id=?1 ORDER BY name LIMIT ?2)";
    static const char hide[] = "DELETE FROM documents WHERE id IN (SELECT id FROM documents"
                               " WHERE collection_id=?1 ORDER BY name LIMIT ?2)";
    static const char emptied[] = "UPDATE collections SET deleted=2 WHERE id=?1";
    static const char *const slices[] = {retire, hide};
    sqlite3_stmt *statement;
    int64_t id = 0;
    bool row = false;
    int n = 0;
    enum rag_status status = database_statement(db, find, &statement, NULL);

    if (status == RAG_OK)
        status = database_step(db, statement, &row, NULL);
    *ret_more = row;
    if (status != RAG_OK || !row)
        return status;
    id = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    for (size_t i = 0; i < 2 && status == RAG_OK; i++) {
        status = database_statement(db, slices[i], &statement, NULL);
        if (status != RAG_OK)
            break;
        sqlite3_bind_int64(statement, 1, id);
        sqlite3_bind_int(statement, 2, STAGE_SLICE_CHUNKS);
        status = database_run(db, statement, NULL);
        n = sqlite3_changes(db->handle);
    }
    return status == RAG_OK && n == 0 ? database_run_for(db, emptied, id, NULL) : status;
}

enum rag_status reclaim_slice(void *context, struct database *db, bool *ret_more)
{
    static const char sql[] = "SELECT id FROM versions WHERE state=2 LIMIT 1";
    struct slice slice = {STAGE_SLICE_CHUNKS, STAGE_SLICE_BYTES};
    enum rag_status status = RAG_OK;
    bool row = true;

    (void)context;
    while (status == RAG_OK && slice.rows_left > 0) {
        sqlite3_stmt *statement;
        int64_t id;

        status = database_statement(db, sql, &statement, NULL);
        if (status == RAG_OK)
            status = database_step(db, statement, &row, NULL);
        if (status != RAG_OK || !row)
            break;
        id = sqlite3_column_int64(statement, 0);
        sqlite3_reset(statement);
        status = reclaim_version(db, id, &slice);
    }
    *ret_more = true;
    if (status == RAG_OK && !row)
        status = retire_collection(db, ret_more);
    return status;
}
