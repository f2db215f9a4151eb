/* store/chunks.c - reading chunks: by id, by version, by collection, by metadata. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "store/store_internal.h"

#define PASSAGE_COLUMNS                                                                            \
    "SELECT c.id, c.title, c.heading, c.context, c.body, o.byte_start, o.byte_end, o.version_id"

/* Columns 0..7 of PASSAGE_COLUMNS into the arena. */
static enum rag_status copy_passage(sqlite3_stmt *statement, struct arena *arena,
                                    struct store_passage *ret)
{
    char **texts[] = {&ret->title, &ret->heading, &ret->context, &ret->text};

    memset(ret, 0, sizeof *ret);
    ret->id = (uint64_t)sqlite3_column_int64(statement, 0);
    for (int i = 0; i < 4; i++)
        if (arena_column(arena, statement, i + 1, texts[i]) != RAG_OK)
            return RAG_ENOMEM;
    ret->text_bytes = (size_t)sqlite3_column_bytes(statement, 4);
    ret->byte_start = (uint32_t)sqlite3_column_int64(statement, 5);
    ret->byte_end = (uint32_t)sqlite3_column_int64(statement, 6);
    ret->version_id = (uint64_t)sqlite3_column_int64(statement, 7);
    return RAG_OK;
}

static enum rag_status count_owners(struct database *db, uint64_t id, uint64_t *ret,
                                    struct rag_error *reterr)
{
    static const char sql[] = "SELECT count(*) FROM version_chunks o JOIN documents d"
                              " ON d.version_id=o.version_id WHERE o.chunk_id=?1";
    sqlite3_stmt *statement;
    bool row = false;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (int64_t)id);
    status = database_step(db, statement, &row, reterr);
    if (status == RAG_OK && row)
        *ret = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return status;
}

enum rag_status store_passages(struct store *s, const uint64_t *ids, size_t n, struct arena *arena,
                               struct store_passage **ret, size_t *ret_n, struct rag_error *reterr)
{
    static const char sql[] =
        PASSAGE_COLUMNS ", d.name FROM chunks c JOIN version_chunks o ON o.chunk_id=c.id"
                        " JOIN documents d ON d.version_id=o.version_id WHERE c.id=?1"
                        " ORDER BY d.id, o.ordinal LIMIT 1";
    struct store_passage *list = arena_calloc(arena, n + 1, sizeof *list);
    struct database *db = NULL;
    enum rag_status status;
    size_t n_found = 0;

    if (!list)
        return rag_fail(reterr, RAG_ENOMEM, "passages: out of memory");
    status = reader_begin(s, &db, reterr);
    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        struct store_passage *p = &list[n_found];
        sqlite3_stmt *statement;
        bool row = false;

        status = database_statement(db, sql, &statement, reterr);
        if (status != RAG_OK)
            break;
        sqlite3_bind_int64(statement, 1, (int64_t)ids[i]);
        status = database_step(db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            continue;
        if (copy_passage(statement, arena, p) != RAG_OK ||
            arena_column(arena, statement, 8, &p->document) != RAG_OK)
            status = rag_fail(reterr, RAG_ENOMEM, "passages: out of memory");
        sqlite3_reset(statement);
        if (status == RAG_OK)
            status = count_owners(db, p->id, &p->n_owners, reterr);
        n_found++;
    }
    reader_end(s, db);
    if (status == RAG_OK) {
        *ret = list;
        *ret_n = n_found;
    }
    return status;
}

/* The current row as a passage whose texts are the statement's. */
static struct store_passage borrow_passage(sqlite3_stmt *statement)
{
    return (struct store_passage){
        .id = (uint64_t)sqlite3_column_int64(statement, 0),
        .document = (char *)(uintptr_t) "",
        .title = (char *)(uintptr_t)column_text(statement, 1),
        .heading = (char *)(uintptr_t)column_text(statement, 2),
        .context = (char *)(uintptr_t)column_text(statement, 3),
        .text = (char *)(uintptr_t)column_text(statement, 4),
        .text_bytes = (size_t)sqlite3_column_bytes(statement, 4),
        .byte_start = (uint32_t)sqlite3_column_int64(statement, 5),
        .byte_end = (uint32_t)sqlite3_column_int64(statement, 6),
        .version_id = (uint64_t)sqlite3_column_int64(statement, 7),
    };
}

enum rag_status store_version_chunks(struct store *s, uint64_t version_id,
                                     enum rag_status (*visit)(void *context,
                                                              const struct store_passage *passage,
                                                              struct rag_error *reterr),
                                     void *context, struct rag_error *reterr)
{
    static const char sql[] = PASSAGE_COLUMNS " FROM version_chunks o JOIN chunks c"
                                              " ON c.id=o.chunk_id WHERE o.version_id=?1"
                                              " ORDER BY o.ordinal";
    struct database *db = NULL;
    enum rag_status status = reader_begin(s, &db, reterr);
    sqlite3_stmt *statement;
    bool row = true;

    if (status != RAG_OK)
        return status;
    status = database_statement(db, sql, &statement, reterr);
    if (status == RAG_OK)
        sqlite3_bind_int64(statement, 1, (int64_t)version_id);
    while (status == RAG_OK) {
        struct store_passage p;

        status = database_step(db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            break;
        p = borrow_passage(statement);
        status = visit(context, &p, reterr);
    }
    reader_end(s, db);
    return status;
}

static enum rag_status snapshot_change(struct database *db, uint64_t *ret, struct rag_error *reterr)
{
    static const char sql[] = "SELECT seq FROM sqlite_sequence WHERE name='changes'";
    sqlite3_stmt *statement;
    bool row = false;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    if (status == RAG_OK)
        status = database_step(db, statement, &row, reterr);
    if (status == RAG_OK)
        *ret = row ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    if (row)
        sqlite3_reset(statement);
    return status;
}

enum rag_status
store_collection_chunks(struct store *s, int64_t collection_id, bool with_text,
                        enum rag_status (*visit)(void *context, const struct store_passage *p,
                                                 struct rag_error *reterr),
                        void *context, uint64_t *ret_change, struct rag_error *reterr)
{
    static const char ids[] =
        "SELECT o.chunk_id, count(*) FROM documents d JOIN version_chunks o"
        " ON o.version_id=d.version_id WHERE d.collection_id=?1 GROUP BY o.chunk_id"
        " ORDER BY o.chunk_id";
    static const char text[] =
        "SELECT id, title, heading, context, body, 0, 0, 0 FROM chunks WHERE id=?1";
    struct database *db = NULL;
    enum rag_status status = reader_begin(s, &db, reterr);
    sqlite3_stmt *statement;
    uint64_t change = 0;
    bool row = true;

    if (status != RAG_OK)
        return status;
    status = snapshot_change(db, &change, reterr);
    if (status == RAG_OK)
        status = database_statement(db, ids, &statement, reterr);
    if (status == RAG_OK)
        sqlite3_bind_int64(statement, 1, collection_id);
    while (status == RAG_OK) {
        struct store_passage p = {0};
        sqlite3_stmt *body;
        bool found = false;

        status = database_step(db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            break;
        p.id = (uint64_t)sqlite3_column_int64(statement, 0);
        p.n_owners = (uint64_t)sqlite3_column_int64(statement, 1);
        if (with_text) {
            uint64_t n_owners = p.n_owners;

            status = database_statement(db, text, &body, reterr);
            if (status != RAG_OK)
                break;
            sqlite3_bind_int64(body, 1, (int64_t)p.id);
            status = database_step(db, body, &found, reterr);
            if (status == RAG_OK && !found)
                status = rag_fail(reterr, RAG_EFORMAT, "database '%s': chunk %llu is missing",
                                  db->what, (unsigned long long)p.id);
            if (status != RAG_OK)
                break;
            p = borrow_passage(body);
            p.n_owners = n_owners;
        }
        status = visit(context, &p, reterr);
    }
    reader_end(s, db);
    if (status == RAG_OK)
        *ret_change = change;
    return status;
}

/* ---- filters ---- */

static const char *op_sql(enum filter_op op)
{
    switch (op) {
    case FILTER_EQ:
    case FILTER_IN:
        return "=";
    case FILTER_GT:
        return ">";
    case FILTER_GTE:
        return ">=";
    case FILTER_LT:
        return "<";
    case FILTER_LTE:
        return "<=";
    }
    return "=";
}

/* One clause as SQL; every value and key is a parameter, numbered from *n_bound + 1. */
static void append_clause(struct buf *sql, const struct filter_clause *c, int *n_bound)
{
    const char *column = NULL;

    if (strcmp(c->key, "document") == 0)
        column = "d.name";
    else if (strcmp(c->key, "title") == 0)
        column = "v.title";
    buf_append_str(sql, " AND (0");
    for (size_t i = 0; i < c->n_values; i++) {
        if (column)
            buf_printf(sql, " OR %s%s?%d", column, op_sql(c->op), ++*n_bound);
        else
            buf_printf(sql,
                       " OR d.version_id IN (SELECT version_id FROM metadata WHERE"
                       " collection_id=?1 AND key=?%d AND %s%s?%d)",
                       *n_bound + 1, c->values[i].text ? "text" : "number", op_sql(c->op),
                       *n_bound + 2);
        if (!column)
            *n_bound += 2;
    }
    buf_append_str(sql, ")");
}

static void bind_value(sqlite3_stmt *statement, int at, const struct filter_value *value)
{
    if (value->text)
        sqlite3_bind_text(statement, at, value->text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_double(statement, at, value->number);
}

static void bind_clauses(sqlite3_stmt *statement, const struct filter_clause *clauses, size_t n)
{
    int at = 1;

    for (size_t i = 0; i < n; i++) {
        const struct filter_clause *c = &clauses[i];
        bool column = strcmp(c->key, "document") == 0 || strcmp(c->key, "title") == 0;

        for (size_t k = 0; k < c->n_values; k++) {
            if (!column)
                sqlite3_bind_text(statement, ++at, c->key, -1, SQLITE_STATIC);
            bind_value(statement, ++at, &c->values[k]);
        }
    }
}

static enum rag_status collect_ids(struct database *db, sqlite3_stmt *statement, uint64_t **ids,
                                   size_t *n, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    bool row = true;
    size_t cap = 0;

    while (status == RAG_OK) {
        status = database_step(db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            break;
        if (*n == cap) {
            uint64_t *more;

            cap = cap ? cap * 2 : 1024;
            more = realloc(*ids, cap * sizeof *more);
            if (!more)
                return rag_fail(reterr, RAG_ENOMEM, "filter: out of memory");
            *ids = more;
        }
        (*ids)[(*n)++] = (uint64_t)sqlite3_column_int64(statement, 0);
    }
    return status;
}

enum rag_status store_filter(struct store *s, int64_t collection_id,
                             const struct filter_clause *clauses, size_t n, struct id_set *ret,
                             struct rag_error *reterr)
{
    sqlite3_stmt *statement = NULL;
    struct database *db = NULL;
    enum rag_status status;
    uint64_t *ids = NULL;
    struct id_set set;
    size_t n_ids = 0;
    int n_bound = 1;
    struct buf sql;

    buf_init(&sql, 1u << 20);
    buf_append_str(&sql, "SELECT o.chunk_id FROM documents d JOIN versions v ON v.id=d.version_id"
                         " JOIN version_chunks o ON o.version_id=d.version_id"
                         " WHERE d.collection_id=?1");
    for (size_t i = 0; i < n; i++)
        append_clause(&sql, &clauses[i], &n_bound);
    if (buf_status(&sql) != RAG_OK) {
        buf_release(&sql);
        return rag_fail(reterr, RAG_ELIMIT, "filter: too long");
    }
    status = reader_begin(s, &db, reterr);
    if (status != RAG_OK) {
        buf_release(&sql);
        return status;
    }
    if (sqlite3_prepare_v2(db->handle, buf_str(&sql), -1, &statement, NULL) != SQLITE_OK) {
        status = database_fail(db, sqlite3_errcode(db->handle), reterr);
    } else {
        sqlite3_bind_int64(statement, 1, collection_id);
        bind_clauses(statement, clauses, n);
        status = collect_ids(db, statement, &ids, &n_ids, reterr);
    }
    sqlite3_finalize(statement);
    reader_end(s, db);
    if (status == RAG_OK) {
        status = id_set_init(&set, ids, n_ids);
        if (status == RAG_OK)
            *ret = set;
        else
            rag_fail(reterr, status, "filter: out of memory");
    }
    free(ids);
    buf_release(&sql);
    return status;
}
