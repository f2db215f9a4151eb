#include "store/adapters.h"

#include <string.h>

#include "store/store_internal.h"

struct put_adapter {
    int64_t collection_id;
    const struct store_adapter *adapter;
    bool replaced;
};

static enum rag_status run_put(struct database *db, void *context, struct rag_error *reterr)
{
    static const char find[] = "SELECT a.collection_id IS NOT NULL FROM collections c"
                               " LEFT JOIN adapters a ON a.collection_id=c.id"
                               " WHERE c.id=?1 AND c.deleted=0";
    static const char put[] =
        "INSERT OR REPLACE INTO adapters(collection_id, fingerprint, dim, rank, weights, n_pairs,"
        " measured, learned_ms) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)";
    struct put_adapter *j = context;
    const struct store_adapter *a = j->adapter;
    sqlite3_stmt *statement;
    bool row = false;
    enum rag_status status = database_statement(db, find, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, j->collection_id);
    status = database_step(db, statement, &row, reterr);
    if (status == RAG_OK && !row)
        return rag_fail(reterr, RAG_ENOTFOUND, "adapter: its collection does not exist");
    if (status != RAG_OK)
        return status;
    j->replaced = sqlite3_column_int(statement, 0) != 0;
    sqlite3_reset(statement);
    status = database_statement(db, put, &statement, reterr);
    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, j->collection_id);
    sqlite3_bind_text(statement, 2, a->fingerprint, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, (int64_t)a->dim);
    sqlite3_bind_int64(statement, 4, (int64_t)a->rank);
    sqlite3_bind_blob64(statement, 5, a->weights, a->n_bytes, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 6, (int64_t)a->n_pairs);
    sqlite3_bind_text(statement, 7, a->measured, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 8, a->learned_ms);
    return database_run(db, statement, reterr);
}

enum rag_status store_adapter_put(struct store *s, int64_t collection_id,
                                  const struct store_adapter *adapter, bool *ret_replaced,
                                  struct rag_error *reterr)
{
    struct put_adapter j = {collection_id, adapter, false};
    enum rag_status status = writer_do(s->writer, run_put, &j, reterr);

    if (status == RAG_OK)
        *ret_replaced = j.replaced;
    return status;
}

static enum rag_status read_row(sqlite3_stmt *statement, struct arena *arena,
                                struct store_adapter *ret)
{
    size_t n_bytes = (size_t)sqlite3_column_bytes(statement, 3);
    const void *blob = sqlite3_column_blob(statement, 3);
    struct store_adapter a = {
        .dim = (size_t)sqlite3_column_int64(statement, 1),
        .rank = (size_t)sqlite3_column_int64(statement, 2),
        .n_bytes = n_bytes,
        .n_pairs = (uint64_t)sqlite3_column_int64(statement, 4),
        .learned_ms = sqlite3_column_int64(statement, 6),
    };
    char *fingerprint = NULL;
    char *measured = NULL;
    void *weights = arena_alloc(arena, n_bytes);

    if (!weights || arena_column(arena, statement, 0, &fingerprint) != RAG_OK ||
        arena_column(arena, statement, 5, &measured) != RAG_OK)
        return RAG_ENOMEM;
    if (n_bytes > 0)
        memcpy(weights, blob, n_bytes);
    a.fingerprint = fingerprint;
    a.measured = measured;
    a.weights = weights;
    *ret = a;
    return RAG_OK;
}

enum rag_status store_adapter_get(struct store *s, int64_t collection_id, struct arena *arena,
                                  struct store_adapter *ret, struct rag_error *reterr)
{
    static const char sql[] = "SELECT fingerprint, dim, rank, weights, n_pairs, measured,"
                              " learned_ms FROM adapters WHERE collection_id=?1";
    struct database *db = NULL;
    enum rag_status status = reader_begin(s, &db, reterr);
    sqlite3_stmt *statement;
    bool row = false;

    if (status != RAG_OK)
        return status;
    status = database_statement(db, sql, &statement, reterr);
    if (status == RAG_OK) {
        sqlite3_bind_int64(statement, 1, collection_id);
        status = database_step(db, statement, &row, reterr);
    }
    if (status == RAG_OK && !row)
        status = rag_fail(reterr, RAG_ENOTFOUND, "adapter: the collection has none");
    if (status == RAG_OK && read_row(statement, arena, ret) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "adapter: out of memory");
    reader_end(s, db);
    return status;
}

struct delete_adapter {
    int64_t collection_id;
    const char *fingerprint;
};

static enum rag_status run_delete(struct database *db, void *context, struct rag_error *reterr)
{
    static const char sql[] = "DELETE FROM adapters WHERE collection_id=?1"
                              " AND (?2 IS NULL OR fingerprint=?2) RETURNING 1";
    const struct delete_adapter *j = context;
    sqlite3_stmt *statement;
    bool row = false;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, j->collection_id);
    sqlite3_bind_text(statement, 2, j->fingerprint, -1, SQLITE_STATIC);
    status = database_step(db, statement, &row, reterr);
    if (status == RAG_OK && !row)
        return rag_fail(reterr, RAG_ENOTFOUND, "adapter: the collection has none");
    return status == RAG_OK ? database_run(db, statement, reterr) : status;
}

enum rag_status store_adapter_delete(struct store *s, int64_t collection_id,
                                     const char *fingerprint, struct rag_error *reterr)
{
    struct delete_adapter j = {collection_id, fingerprint};

    return writer_do(s->writer, run_delete, &j, reterr);
}
