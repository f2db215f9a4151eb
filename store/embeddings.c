/* store/embeddings.c - vectors of chunks and the models that made them. */
#include "store/embeddings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/f16.h"
#include "store/store_internal.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "vectors are stored little-endian");

/* ---- embedders ---- */

struct register_job {
    const char *fingerprint;
    const char *dir;
    const char *settings;
    size_t dim;
    int64_t id;
};

static enum rag_status run_register(struct database *db, void *context, struct rag_error *reterr)
{
    static const char sql[] =
        "INSERT INTO embedders(fingerprint, dir, settings, dim) VALUES(?1,?2,?3,?4)"
        " ON CONFLICT(fingerprint) DO UPDATE SET dir=excluded.dir, settings=excluded.settings"
        " RETURNING id, dim";
    struct register_job *j = context;
    sqlite3_stmt *statement;
    int64_t dim = 0;
    bool row = false;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_text(statement, 1, j->fingerprint, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, j->dir, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, j->settings, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, (int64_t)j->dim);
    status = database_step(db, statement, &row, reterr);
    if (status != RAG_OK || !row)
        return status;
    j->id = sqlite3_column_int64(statement, 0);
    dim = sqlite3_column_int64(statement, 1);
    status = database_run(db, statement, reterr);
    if (status == RAG_OK && dim != (int64_t)j->dim)
        status = rag_fail(reterr, RAG_EFORMAT,
                          "database '%s': embedder %.16s is known with %lld dimensions, not %zu",
                          db->what, j->fingerprint, (long long)dim, j->dim);
    return status;
}

/* Is it there as it would be written? Then a start needs no room on the disk. */
static enum rag_status find_same(struct store *s, struct register_job *j, struct rag_error *reterr)
{
    static const char sql[] = "SELECT id FROM embedders WHERE fingerprint=?1 AND dir=?2"
                              " AND settings=?3 AND dim=?4";
    struct database *db = NULL;
    enum rag_status status = reader_begin(s, &db, reterr);
    sqlite3_stmt *statement;
    bool row = false;

    if (status != RAG_OK)
        return status;
    status = database_statement(db, sql, &statement, reterr);
    if (status == RAG_OK) {
        sqlite3_bind_text(statement, 1, j->fingerprint, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, j->dir, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 3, j->settings, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 4, (int64_t)j->dim);
        status = database_step(db, statement, &row, reterr);
    }
    if (status == RAG_OK && row)
        j->id = sqlite3_column_int64(statement, 0);
    reader_end(s, db);
    return status;
}

enum rag_status store_embedder_register(struct store *s, const char *fingerprint, const char *dir,
                                        const char *settings, size_t dim, int64_t *ret_id,
                                        struct rag_error *reterr)
{
    struct register_job j = {fingerprint, dir, settings, dim, 0};
    enum rag_status status = find_same(s, &j, reterr);

    if (status == RAG_OK && j.id == 0)
        status = writer_do(s->writer, run_register, &j, reterr);

    if (status == RAG_OK)
        *ret_id = j.id;
    return status;
}

static enum rag_status read_embedder(sqlite3_stmt *statement, struct arena *arena,
                                     struct store_embedder *ret)
{
    enum rag_status status;

    ret->id = sqlite3_column_int64(statement, 0);
    ret->dim = (size_t)sqlite3_column_int64(statement, 4);
    status = arena_column(arena, statement, 1, &ret->fingerprint);
    if (status == RAG_OK)
        status = arena_column(arena, statement, 2, &ret->dir);
    if (status == RAG_OK)
        status = arena_column(arena, statement, 3, &ret->settings);
    return status;
}

enum rag_status store_embedder_list(struct store *s, struct arena *arena,
                                    struct store_embedder **ret, size_t *ret_n,
                                    struct rag_error *reterr)
{
    static const char count[] = "SELECT count(*) FROM embedders";
    static const char sql[] = "SELECT id, fingerprint, dir, settings, dim FROM embedders"
                              " ORDER BY id";
    struct store_embedder *list = NULL;
    struct database *db = NULL;
    enum rag_status status = reader_begin(s, &db, reterr);
    sqlite3_stmt *statement;
    int64_t n_rows = 0;
    bool row = true;
    size_t n = 0;

    if (status != RAG_OK)
        return status;
    status = database_number(db, count, &n_rows, reterr);
    if (status == RAG_OK) {
        list = arena_calloc(arena, (size_t)n_rows + 1, sizeof *list);
        if (!list)
            status = rag_fail(reterr, RAG_ENOMEM, "embedders: out of memory");
    }
    if (status == RAG_OK)
        status = database_statement(db, sql, &statement, reterr);
    while (status == RAG_OK && n < (size_t)n_rows) {
        status = database_step(db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            break;
        if (read_embedder(statement, arena, &list[n++]) != RAG_OK)
            status = rag_fail(reterr, RAG_ENOMEM, "embedders: out of memory");
    }
    reader_end(s, db);
    if (status == RAG_OK) {
        *ret = list;
        *ret_n = n;
    }
    return status;
}

/* ---- writing ---- */

struct put_vectors {
    int64_t embedder_id;
    const uint64_t *chunk_ids;
    const float *vectors;
    size_t dim;
    size_t n;
    uint16_t *row; /* [dim] */
};

static enum rag_status need_embedder(struct database *db, const struct put_vectors *j,
                                     struct rag_error *reterr)
{
    static const char sql[] = "SELECT dim FROM embedders WHERE id=?1";
    sqlite3_stmt *statement;
    int64_t dim = 0;
    bool row = false;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, j->embedder_id);
    status = database_step(db, statement, &row, reterr);
    if (status == RAG_OK && row)
        dim = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    if (status == RAG_OK && dim != (int64_t)j->dim)
        status =
            rag_fail(reterr, RAG_EINVAL, "embeddings: embedder %lld has %lld dimensions, not %zu",
                     (long long)j->embedder_id, (long long)dim, j->dim);
    return status;
}

static enum rag_status run_put_vectors(struct database *db, void *context, struct rag_error *reterr)
{
    static const char sql[] =
        "INSERT INTO embeddings(chunk_id, embedder_id, vector)"
        " SELECT id, ?2, ?3 FROM chunks WHERE id=?1"
        " ON CONFLICT(chunk_id, embedder_id) DO UPDATE SET vector=excluded.vector";
    struct put_vectors *j = context;
    enum rag_status status = need_embedder(db, j, reterr);

    for (size_t i = 0; i < j->n && status == RAG_OK; i++) {
        sqlite3_stmt *statement;

        status = database_statement(db, sql, &statement, reterr);
        if (status != RAG_OK)
            break;
        f16_encode(j->vectors + i * j->dim, j->dim, j->row);
        sqlite3_bind_int64(statement, 1, (int64_t)j->chunk_ids[i]);
        sqlite3_bind_int64(statement, 2, j->embedder_id);
        sqlite3_bind_blob(statement, 3, j->row, (int)(j->dim * sizeof *j->row), SQLITE_STATIC);
        status = database_run(db, statement, reterr);
    }
    return status;
}

enum rag_status store_embeddings_put(struct store *s, int64_t embedder_id,
                                     const uint64_t *chunk_ids, const float *vectors, size_t dim,
                                     size_t n, struct rag_error *reterr)
{
    struct put_vectors j = {.embedder_id = embedder_id, .dim = dim};
    enum rag_status status = RAG_OK;

    assert(dim > 0 && dim <= EMBEDDING_DIM_MAX);
    j.row = malloc(dim * sizeof *j.row);
    if (!j.row)
        return rag_fail(reterr, RAG_ENOMEM, "embeddings: out of memory");
    for (size_t i = 0; i < n && status == RAG_OK; i += j.n) {
        j.chunk_ids = chunk_ids + i;
        j.vectors = vectors + i * dim;
        j.n = n - i < STAGE_SLICE_CHUNKS ? n - i : STAGE_SLICE_CHUNKS;
        status = writer_go_on(s->writer, run_put_vectors, &j, reterr);
    }
    free(j.row);
    return status;
}

struct drop_job {
    int64_t collection_id;
    int64_t embedder_id;
    uint64_t after; /* chunk id that the slice begins behind */
    bool more;
};

static enum rag_status run_drop(struct database *db, void *context, struct rag_error *reterr)
{
    static const char find[] = "SELECT c.id FROM chunks c JOIN embeddings e ON e.chunk_id=c.id"
                               " AND e.embedder_id=?2 WHERE c.collection_id=?1 AND c.id>?3"
                               " ORDER BY c.id LIMIT ?4";
    static const char drop[] = "DELETE FROM embeddings WHERE chunk_id=?1 AND embedder_id=?2";
    uint64_t ids[STAGE_SLICE_CHUNKS];
    struct drop_job *j = context;
    sqlite3_stmt *statement;
    bool row = true;
    size_t n = 0;
    enum rag_status status = database_statement(db, find, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, j->collection_id);
    sqlite3_bind_int64(statement, 2, j->embedder_id);
    sqlite3_bind_int64(statement, 3, (int64_t)j->after);
    sqlite3_bind_int(statement, 4, STAGE_SLICE_CHUNKS);
    while (status == RAG_OK && row) {
        status = database_step(db, statement, &row, reterr);
        if (status == RAG_OK && row)
            ids[n++] = (uint64_t)sqlite3_column_int64(statement, 0);
    }
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        status = database_statement(db, drop, &statement, reterr);
        if (status != RAG_OK)
            break;
        sqlite3_bind_int64(statement, 1, (int64_t)ids[i]);
        sqlite3_bind_int64(statement, 2, j->embedder_id);
        status = database_run(db, statement, reterr);
    }
    j->more = n == STAGE_SLICE_CHUNKS;
    if (n > 0)
        j->after = ids[n - 1];
    return status;
}

static enum rag_status run_forget(struct database *db, void *context, struct rag_error *reterr)
{
    const struct drop_job *j = context;

    return database_run_for(db, "DELETE FROM embedders WHERE id=?1", j->embedder_id, reterr);
}

/* Is anything left that this embedder made? Reads all keys when not, so not on the writer. */
static enum rag_status is_used(struct store *s, int64_t embedder_id, bool *ret,
                               struct rag_error *reterr)
{
    static const char sql[] = "SELECT 1 FROM embeddings WHERE embedder_id=?1 LIMIT 1";
    struct database *db = NULL;
    enum rag_status status = reader_begin(s, &db, reterr);
    sqlite3_stmt *statement;

    if (status != RAG_OK)
        return status;
    status = database_statement(db, sql, &statement, reterr);
    if (status == RAG_OK) {
        sqlite3_bind_int64(statement, 1, embedder_id);
        status = database_step(db, statement, ret, reterr);
    }
    reader_end(s, db);
    return status;
}

enum rag_status store_embeddings_drop(struct store *s, int64_t collection_id, int64_t embedder_id,
                                      struct rag_error *reterr)
{
    struct drop_job j = {collection_id, embedder_id, 0, true};
    enum rag_status status = RAG_OK;
    bool used = true;

    while (status == RAG_OK && j.more)
        status = writer_go_on(s->writer, run_drop, &j, reterr);
    if (status == RAG_OK)
        status = is_used(s, embedder_id, &used, reterr);
    if (status == RAG_OK && !used)
        status = writer_go_on(s->writer, run_forget, &j, reterr);
    return status;
}

/* ---- reading ---- */

enum rag_status store_embeddings_count(struct store *s, int64_t collection_id, int64_t embedder_id,
                                       uint64_t *ret_embedded, uint64_t *ret_chunks,
                                       struct rag_error *reterr)
{
    static const char sql[] = "SELECT count(e.chunk_id), count(*) FROM chunks c"
                              " LEFT JOIN embeddings e ON e.chunk_id=c.id AND e.embedder_id=?2"
                              " WHERE c.collection_id=?1 AND" VISIBLE_CHUNK;
    struct database *db = NULL;
    enum rag_status status = reader_begin(s, &db, reterr);
    sqlite3_stmt *statement;
    bool row = false;

    if (status != RAG_OK)
        return status;
    status = database_statement(db, sql, &statement, reterr);
    if (status == RAG_OK) {
        sqlite3_bind_int64(statement, 1, collection_id);
        sqlite3_bind_int64(statement, 2, embedder_id);
        status = database_step(db, statement, &row, reterr);
    }
    if (status == RAG_OK && row) {
        *ret_embedded = (uint64_t)sqlite3_column_int64(statement, 0);
        *ret_chunks = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    reader_end(s, db);
    return status;
}

/* The vector in a column. */
static enum rag_status read_vector(struct database *db, sqlite3_stmt *statement, int column,
                                   uint64_t chunk_id, size_t dim, uint16_t *row, float *ret,
                                   struct rag_error *reterr)
{
    const void *blob = sqlite3_column_blob(statement, column);
    size_t n_bytes = (size_t)sqlite3_column_bytes(statement, column);

    if (!blob || n_bytes != dim * sizeof *row)
        return rag_fail(reterr, RAG_EFORMAT,
                        "database '%s': the vector of chunk %llu has %zu bytes, expected %zu",
                        db->what, (unsigned long long)chunk_id, n_bytes, dim * sizeof *row);
    memcpy(row, blob, n_bytes); /* a blob has no alignment */
    f16_decode(row, dim, ret);
    return RAG_OK;
}

enum rag_status store_embeddings_get(struct store *s, int64_t embedder_id, const uint64_t *ids,
                                     size_t n, size_t dim, float *ret_vectors, bool *ret_found,
                                     struct rag_error *reterr)
{
    static const char sql[] = "SELECT vector FROM embeddings WHERE chunk_id=?1 AND embedder_id=?2";
    uint16_t *row16 = malloc(dim * sizeof *row16);
    struct database *db = NULL;
    enum rag_status status;

    if (!row16)
        return rag_fail(reterr, RAG_ENOMEM, "embeddings: out of memory");
    status = reader_begin(s, &db, reterr);
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        sqlite3_stmt *statement;

        status = database_statement(db, sql, &statement, reterr);
        if (status != RAG_OK)
            break;
        sqlite3_bind_int64(statement, 1, (int64_t)ids[i]);
        sqlite3_bind_int64(statement, 2, embedder_id);
        status = database_step(db, statement, &ret_found[i], reterr);
        if (status == RAG_OK && ret_found[i])
            status =
                read_vector(db, statement, 0, ids[i], dim, row16, ret_vectors + i * dim, reterr);
        sqlite3_reset(statement);
    }
    if (db)
        reader_end(s, db);
    free(row16);
    return status;
}
