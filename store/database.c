#define _GNU_SOURCE
#include "store/database.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bounds.h"

/* A row: the metadata, a text piece or a chunk's body, and names (limits in bounds.h). */
#define LENGTH_MAX (DOCUMENT_BYTES_MAX + (1 << 20))

/* SQLite says "full" for ENOSPC only; a quota or a size limit is an I/O error whose errno the
 * file that failed keeps: the database or its WAL. */
static enum rag_status status_of_io(sqlite3 *handle)
{
    static const int pointers[] = {SQLITE_FCNTL_FILE_POINTER, SQLITE_FCNTL_JOURNAL_POINTER};

    if (rag_status_of_write(sqlite3_system_errno(handle)) == RAG_ENOSPC)
        return RAG_ENOSPC;
    for (size_t i = 0; i < sizeof pointers / sizeof pointers[0]; i++) {
        sqlite3_file *file = NULL;
        int errnum = 0;

        if (sqlite3_file_control(handle, "main", pointers[i], &file) == SQLITE_OK && file &&
            file->pMethods &&
            file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &errnum) == SQLITE_OK &&
            rag_status_of_write(errnum) == RAG_ENOSPC)
            return RAG_ENOSPC;
    }
    return RAG_EIO;
}

enum rag_status database_fail(struct database *db, int code, struct rag_error *reterr)
{
    enum rag_status status;

    switch (code & 0xFF) {
    case SQLITE_FULL:
    case SQLITE_READONLY:
        status = RAG_ENOSPC;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        status = RAG_EFORMAT;
        break;
    case SQLITE_NOMEM:
        status = RAG_ENOMEM;
        break;
    case SQLITE_TOOBIG:
        status = RAG_ELIMIT;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        status = RAG_EBUSY;
        break;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
        status = db->handle ? status_of_io(db->handle) : RAG_EIO;
        break;
    default:
        status = RAG_EIO;
        break;
    }
    return rag_fail(reterr, status, "database '%s': %s%s", db->what,
                    db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code),
                    status == RAG_ENOSPC ? " (no room on the disk, or it is read-only)" : "");
}

enum rag_status database_exec(struct database *db, const char *sql, struct rag_error *reterr)
{
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? RAG_OK : database_fail(db, code, reterr);
}

void database_close(struct database *db)
{
    if (!db->handle)
        return;
    for (size_t i = 0; i < db->n_cached; i++)
        sqlite3_finalize(db->cache[i].statement);
    (void)sqlite3_close(db->handle);
    memset(db, 0, sizeof *db);
}

enum rag_status database_open(const char *path, bool create, struct database *ret,
                              struct rag_error *reterr)
{
    /* The file may be damaged or crafted: no functions, triggers or views of its schema run,
     * cell sizes are checked, values have a limit. WAL and FULL: a commit is durable when it
     * returns. secure_delete: what was deleted is not left in free pages (it costs writes that
     * reclaiming does while idle). foreign_keys off: the rows are written by a few functions
     * whose invariants schema.c states and the tests check; a probe per row would say no more. */
    static const char setup[] = "PRAGMA trusted_schema=OFF;"
                                "PRAGMA cell_size_check=ON;"
                                "PRAGMA foreign_keys=OFF;"
                                "PRAGMA secure_delete=ON;"
                                "PRAGMA synchronous=FULL;"
                                "PRAGMA temp_store=MEMORY;"
                                "PRAGMA cache_size=-16384;";
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
    struct database db = {.what = path};
    enum rag_status status = RAG_OK;
    int code;

    code = sqlite3_open_v2(path, &db.handle, flags, NULL);
    if (code != SQLITE_OK) {
        status = database_fail(&db, code, reterr);
        goto out;
    }
    sqlite3_extended_result_codes(db.handle, 1);
    sqlite3_busy_timeout(db.handle, DATABASE_BUSY_MS);
    (void)sqlite3_db_config(db.handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db.handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    (void)sqlite3_db_config(db.handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    (void)sqlite3_limit(db.handle, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
    (void)sqlite3_limit(db.handle, SQLITE_LIMIT_ATTACHED, 1); /* VACUUM INTO needs one */
    status = database_exec(&db, setup, reterr);
    if (status == RAG_OK)
        status =
            database_exec(&db, create ? "PRAGMA journal_mode=WAL" : "PRAGMA query_only=ON", reterr);
out:
    if (status != RAG_OK) {
        database_close(&db);
        return status;
    }
    *ret = db;
    return RAG_OK;
}

enum rag_status database_statement(struct database *db, const char *static_sql, sqlite3_stmt **ret,
                                   struct rag_error *reterr)
{
    sqlite3_stmt *statement = NULL;
    int code;

    for (size_t i = 0; i < db->n_cached; i++) {
        if (db->cache[i].sql == static_sql) {
            sqlite3_reset(db->cache[i].statement);
            sqlite3_clear_bindings(db->cache[i].statement);
            *ret = db->cache[i].statement;
            return RAG_OK;
        }
    }
    code =
        sqlite3_prepare_v3(db->handle, static_sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
    if (code != SQLITE_OK)
        return database_fail(db, code, reterr);
    assert(db->n_cached < STATEMENTS_MAX);
    db->cache[db->n_cached].sql = static_sql;
    db->cache[db->n_cached++].statement = statement;
    *ret = statement;
    return RAG_OK;
}

enum rag_status database_step(struct database *db, sqlite3_stmt *statement, bool *ret_row,
                              struct rag_error *reterr)
{
    int code = sqlite3_step(statement);

    *ret_row = code == SQLITE_ROW;
    if (code == SQLITE_ROW)
        return RAG_OK;
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? RAG_OK : database_fail(db, code, reterr);
}

enum rag_status database_run(struct database *db, sqlite3_stmt *statement, struct rag_error *reterr)
{
    enum rag_status status;
    bool row = true;

    do {
        status = database_step(db, statement, &row, reterr);
    } while (status == RAG_OK && row);
    return status;
}

enum rag_status database_run_for(struct database *db, const char *static_sql, int64_t id,
                                 struct rag_error *reterr)
{
    sqlite3_stmt *statement;
    enum rag_status status = database_statement(db, static_sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    return database_run(db, statement, reterr);
}

enum rag_status database_number(struct database *db, const char *sql, int64_t *ret,
                                struct rag_error *reterr)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    if (code == SQLITE_ROW)
        return RAG_OK;
    return database_fail(db, code == SQLITE_DONE ? SQLITE_CORRUPT : code, reterr);
}

/* Whose file is it? An empty one is ours to fill. */
static enum rag_status check_owner(struct database *db, int application_id,
                                   struct rag_error *reterr)
{
    int64_t n_objects = 0;
    int64_t id = 0;
    enum rag_status status = database_number(db, "PRAGMA application_id", &id, reterr);

    if (status == RAG_OK)
        status = database_number(db, "SELECT count(*) FROM sqlite_schema", &n_objects, reterr);
    if (status == RAG_OK && id != application_id && (id != 0 || n_objects != 0))
        status =
            rag_fail(reterr, RAG_EFORMAT,
                     "database '%s': of another program (application id %" PRId64 ", ragd's is %d)",
                     db->what, id, application_id);
    return status;
}

enum rag_status database_migrate(struct database *db, int application_id, const char *const *steps,
                                 size_t n_steps, struct rag_error *reterr)
{
    int64_t version = 0;
    char pragmas[96];
    enum rag_status status = check_owner(db, application_id, reterr);

    if (status == RAG_OK)
        status = database_number(db, "PRAGMA user_version", &version, reterr);
    if (status != RAG_OK)
        return status;
    if (version < 0 || (uint64_t)version > n_steps)
        return rag_fail(reterr, RAG_EFORMAT,
                        "database '%s': format %" PRId64
                        " is newer than format %zu of this program; use a newer ragd",
                        db->what, version, n_steps);
    for (size_t i = (size_t)version; i < n_steps && status == RAG_OK; i++) {
        sqlite3_snprintf(sizeof pragmas, pragmas, "PRAGMA application_id=%d;PRAGMA user_version=%d",
                         application_id, (int)i + 1);
        status = database_exec(db, "BEGIN IMMEDIATE", reterr);
        if (status == RAG_OK)
            status = database_exec(db, steps[i], reterr);
        if (status == RAG_OK)
            status = database_exec(db, pragmas, reterr);
        if (status == RAG_OK)
            status = database_exec(db, "COMMIT", reterr);
        if (status != RAG_OK)
            (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    }
    return status;
}

enum rag_status database_quick_check(struct database *db, struct rag_error *reterr)
{
    sqlite3_stmt *statement = NULL;
    enum rag_status status = RAG_OK;
    int code = sqlite3_prepare_v2(db->handle, "PRAGMA quick_check(1)", -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        status = database_fail(db, code, reterr);
    else if (strcmp(column_text(statement, 0), "ok") != 0)
        status = rag_fail(reterr, RAG_EFORMAT, "database '%s': damaged: %s", db->what,
                          column_text(statement, 0));
    sqlite3_finalize(statement);
    return status;
}

const char *column_text(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);

    return text ? (const char *)text : "";
}
