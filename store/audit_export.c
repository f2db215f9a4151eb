/* store/audit_export.c - rows with all that is needed to check them elsewhere. */
#include <string.h>

#include "store/audit_internal.h"

/* The hash of row seq, of a cut row that of the checkpoint; zeros before the first. */
static enum rag_status hash_of(struct database *db, uint64_t seq, uint8_t ret[SHA256_BYTES],
                               struct rag_error *reterr)
{
    static const char sql[] = "SELECT hash FROM audit WHERE seq=?1 UNION ALL"
                              " SELECT hash FROM checkpoint WHERE seq=?1";
    sqlite3_stmt *statement;
    bool row = false;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    memset(ret, 0, SHA256_BYTES);
    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (int64_t)seq);
    status = database_step(db, statement, &row, reterr);
    if (status == RAG_OK && row) {
        audit_column_bytes(statement, 0, SHA256_BYTES, ret);
        sqlite3_reset(statement);
    }
    return status;
}

static struct audit_export_row borrow_row(sqlite3_stmt *statement)
{
    struct audit_export_row r = {
        .row = {.seq = (uint64_t)sqlite3_column_int64(statement, 0),
                .time_ms = sqlite3_column_int64(statement, 1),
                .kind = column_text(statement, 2),
                .principal = column_text(statement, 3)},
        .payload = (const char *)sqlite3_column_text(statement, 5),
    };

    if (sqlite3_column_bytes(statement, 4) == AUDIT_SALT_BYTES)
        r.salt = sqlite3_column_blob(statement, 4);
    audit_column_bytes(statement, 6, SHA256_BYTES, r.row.payload_hash);
    audit_column_bytes(statement, 7, SHA256_BYTES, r.hash);
    return r;
}

static enum rag_status export_rows(struct database *db, sqlite3_stmt *statement,
                                   bool (*visit)(void *context, const struct audit_export_row *row),
                                   void *context, struct rag_error *reterr)
{
    uint8_t last_hash[SHA256_BYTES];
    uint64_t last_seq = 0;
    enum rag_status status = RAG_OK;

    while (status == RAG_OK) {
        struct audit_export_row r;
        bool row = false;

        status = database_step(db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            return status;
        r = borrow_row(statement);
        if (last_seq != 0 && r.row.seq == last_seq + 1)
            memcpy(r.previous, last_hash, SHA256_BYTES);
        else
            status = hash_of(db, r.row.seq - 1, r.previous, reterr);
        last_seq = r.row.seq;
        memcpy(last_hash, r.hash, SHA256_BYTES);
        if (status == RAG_OK && !visit(context, &r))
            break;
    }
    sqlite3_reset(statement);
    return status;
}

enum rag_status audit_export(struct audit *audit, const struct audit_query *q,
                             bool (*visit)(void *context, const struct audit_export_row *row),
                             void *context, struct rag_error *reterr)
{
    static const char sql[] =
        "SELECT seq, time_ms, kind, principal, salt, payload, payload_hash, hash"
        " FROM audit" AUDIT_CONDITIONS " ORDER BY seq LIMIT ?3";
    struct database *db = &audit->reader;
    sqlite3_stmt *statement;
    enum rag_status status;

    pthread_mutex_lock(&audit->reader_mutex);
    status = database_statement(db, sql, &statement, reterr);
    if (status == RAG_OK) {
        audit_bind_query(statement, q);
        status = export_rows(db, statement, visit, context, reterr);
    }
    pthread_mutex_unlock(&audit->reader_mutex);
    return status;
}

enum rag_status audit_checkpoint(struct audit *audit, struct audit_checkpoint *ret,
                                 struct rag_error *reterr)
{
    struct audit_checkpoint checkpoint;
    enum rag_status status;
    bool found = false;

    pthread_mutex_lock(&audit->reader_mutex);
    status = audit_checkpoint_get(&audit->reader, &checkpoint, &found, reterr);
    pthread_mutex_unlock(&audit->reader_mutex);
    if (status == RAG_OK && !found)
        memset(&checkpoint, 0, sizeof checkpoint);
    if (status == RAG_OK)
        *ret = checkpoint;
    return status;
}
