/* store/documents.c - reading documents. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "store/store_internal.h"

#define DOCUMENT_COLUMNS                                                                           \
    "SELECT d.name, v.title, v.mime, v.metadata, v.source_hash, v.id, v.updated_ms,"               \
    " v.text_bytes, v.n_chunks FROM documents d JOIN versions v ON v.id=d.version_id" VISIBLE

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

static enum rag_status read_generation(struct database *db, int64_t collection_id, uint64_t *ret,
                                       struct rag_error *reterr)
{
    static const char sql[] = "SELECT generation FROM collections WHERE id=?1 AND deleted=0";
    sqlite3_stmt *statement;
    enum rag_status status = database_statement(db, sql, &statement, reterr);
    bool row = false;

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, collection_id);
    status = database_step(db, statement, &row, reterr);
    if (status == RAG_OK && !row)
        return rag_fail(reterr, RAG_ENOTFOUND, "collection %" PRId64 ": does not exist",
                        collection_id);
    if (status == RAG_OK)
        *ret = (uint64_t)sqlite3_column_int64(statement, 0);
    return status;
}

enum rag_status store_document_versions(struct store *s, int64_t collection_id,
                                        const char *const *names, size_t n, uint64_t *ret_versions,
                                        uint64_t *ret_generation, struct rag_error *reterr)
{
    static const char sql[] = "SELECT version_id FROM documents WHERE collection_id=?1 AND name=?2";
    struct database *db = NULL;
    enum rag_status status = reader_begin(s, &db, reterr);
    uint64_t generation = 0;

    if (status != RAG_OK)
        return status;
    status = read_generation(db, collection_id, &generation, reterr);
    for (size_t i = 0; status == RAG_OK && i < n; i++) {
        sqlite3_stmt *statement;
        bool row = false;

        status = database_statement(db, sql, &statement, reterr);
        if (status != RAG_OK)
            break;
        sqlite3_bind_int64(statement, 1, collection_id);
        sqlite3_bind_text(statement, 2, names[i], -1, SQLITE_STATIC);
        status = database_step(db, statement, &row, reterr);
        ret_versions[i] = row ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    }
    reader_end(s, db);
    if (status == RAG_OK)
        *ret_generation = generation;
    return status;
}

/* The pieces of a version's text, which must be n_bytes together. */
static enum rag_status read_text(struct database *db, int64_t version_id, char *text,
                                 size_t n_bytes, struct rag_error *reterr)
{
    static const char sql[] = "SELECT body FROM texts WHERE version_id=?1 ORDER BY piece";
    sqlite3_stmt *statement;
    enum rag_status status = database_statement(db, sql, &statement, reterr);
    bool row = true;
    size_t at = 0;

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, version_id);
    while (status == RAG_OK) {
        const void *body;
        size_t n;

        status = database_step(db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            break;
        body = sqlite3_column_blob(statement, 0);
        n = (size_t)sqlite3_column_bytes(statement, 0);
        if (n > n_bytes - at)
            break;
        if (n > 0)
            memcpy(text + at, body, n);
        at += n;
    }
    if (status == RAG_OK && (row || at != n_bytes))
        status = rag_fail(reterr, RAG_EFORMAT,
                          "database '%s': the text of version %" PRId64 " is not %zu bytes",
                          db->what, version_id, n_bytes);
    return status;
}

enum rag_status store_document_text(struct store *s, int64_t collection_id, const char *name,
                                    char **ret_text, size_t *ret_bytes, struct rag_error *reterr)
{
    static const char sql[] =
        "SELECT v.id, v.text_bytes FROM documents d"
        " JOIN versions v ON v.id=d.version_id" VISIBLE " WHERE d.collection_id=?1 AND d.name=?2";
    struct database *db = NULL;
    enum rag_status status = reader_begin(s, &db, reterr);
    int64_t n_bytes = 0;
    sqlite3_stmt *statement;
    char *text = NULL;
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
        n_bytes = sqlite3_column_int64(statement, 1);
        if (n_bytes < 0 || n_bytes > (int64_t)DOCUMENT_BYTES_MAX)
            status = rag_fail(reterr, RAG_EFORMAT,
                              "database '%s': document '%.200s' of %" PRId64 " bytes", db->what,
                              name, n_bytes);
    }
    if (status == RAG_OK && !(text = malloc((size_t)n_bytes + 1)))
        status = rag_fail(reterr, RAG_ENOMEM, "document '%.200s': out of memory", name);
    if (status == RAG_OK)
        status = read_text(db, sqlite3_column_int64(statement, 0), text, (size_t)n_bytes, reterr);
    reader_end(s, db);
    if (status != RAG_OK) {
        free(text);
        return status;
    }
    text[n_bytes] = '\0';
    *ret_text = text;
    *ret_bytes = (size_t)n_bytes;
    return RAG_OK;
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
