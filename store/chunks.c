/* store/chunks.c - reading chunks: by id, by version, by collection. */
#include <string.h>

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
                              " ON d.version_id=o.version_id" VISIBLE " WHERE o.chunk_id=?1";
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

/* Step to the first owner, in order of documents, that 'versions' has; NULL: any. */
static enum rag_status find_owner(struct database *db, sqlite3_stmt *statement,
                                  const struct id_set *versions, bool *ret_found,
                                  struct rag_error *reterr)
{
    enum rag_status status;

    do {
        status = database_step(db, statement, ret_found, reterr);
    } while (status == RAG_OK && *ret_found && versions &&
             !id_set_has(versions, (uint64_t)sqlite3_column_int64(statement, 7)));
    return status;
}

/* Chunk 'id' as its first owner among 'versions' (NULL: any) has it; *ret_found: there is one. */
static enum rag_status read_owned(struct database *db, uint64_t id, const struct id_set *versions,
                                  struct arena *arena, struct store_passage *ret, bool *ret_found,
                                  struct rag_error *reterr)
{
    static const char sql[] =
        PASSAGE_COLUMNS ", d.name FROM chunks c JOIN version_chunks o ON o.chunk_id=c.id"
                        " JOIN documents d ON d.version_id=o.version_id" VISIBLE " WHERE c.id=?1"
                        " ORDER BY d.id, o.ordinal";
    sqlite3_stmt *statement;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    *ret_found = false;
    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (int64_t)id);
    status = find_owner(db, statement, versions, ret_found, reterr);
    if (status != RAG_OK || !*ret_found)
        return status;
    if (copy_passage(statement, arena, ret) != RAG_OK ||
        arena_column(arena, statement, 8, &ret->document) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "passages: out of memory");
    sqlite3_reset(statement);
    return status;
}

enum rag_status store_passages_owned(struct store *s, const uint64_t *ids, size_t n,
                                     const struct id_set *versions, struct arena *arena,
                                     struct store_passage **ret, size_t *ret_n,
                                     struct rag_error *reterr)
{
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
        bool found = false;

        status = read_owned(db, ids[i], versions, arena, p, &found, reterr);
        if (status == RAG_OK && found)
            status = count_owners(db, p->id, &p->n_owners, reterr);
        n_found += found;
    }
    reader_end(s, db);
    if (status == RAG_OK) {
        *ret = list;
        *ret_n = n_found;
    }
    return status;
}

enum rag_status store_passages(struct store *s, const uint64_t *ids, size_t n, struct arena *arena,
                               struct store_passage **ret, size_t *ret_n, struct rag_error *reterr)
{
    return store_passages_owned(s, ids, n, NULL, arena, ret, ret_n, reterr);
}

enum rag_status store_chunk_page(struct store *s, int64_t collection_id, uint64_t after,
                                 size_t limit, struct arena *arena, struct store_passage **ret,
                                 size_t *ret_n, struct rag_error *reterr)
{
    /* The scan walks ids, so a page costs what it returns and what lies between: chunks of other
     * collections and dead ones. */
    static const char sql[] = "SELECT c.id FROM chunks c WHERE c.id>?2 AND c.collection_id=?1"
                              " AND" VISIBLE_CHUNK " ORDER BY c.id LIMIT ?3";
    struct store_passage *list = arena_calloc(arena, limit + 1, sizeof *list);
    struct database *db = NULL;
    sqlite3_stmt *statement;
    enum rag_status status;
    bool more = true;
    size_t n = 0;

    if (!list)
        return rag_fail(reterr, RAG_ENOMEM, "chunks: out of memory");
    status = reader_begin(s, &db, reterr);
    if (status != RAG_OK)
        return status;
    status = database_statement(db, sql, &statement, reterr);
    if (status == RAG_OK) {
        sqlite3_bind_int64(statement, 1, collection_id);
        sqlite3_bind_int64(statement, 2, (int64_t)after);
        sqlite3_bind_int64(statement, 3, (int64_t)limit);
    }
    while (status == RAG_OK) {
        bool found = false;

        status = database_step(db, statement, &more, reterr);
        if (status != RAG_OK || !more)
            break;
        status = read_owned(db, (uint64_t)sqlite3_column_int64(statement, 0), NULL, arena, &list[n],
                            &found, reterr);
        n += found;
    }
    reader_end(s, db);
    if (status == RAG_OK) {
        *ret = list;
        *ret_n = n;
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
        " ON o.version_id=d.version_id" VISIBLE " WHERE d.collection_id=?1 GROUP BY o.chunk_id"
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
