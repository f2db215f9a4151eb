#define _GNU_SOURCE
#include "store/cache_rows_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/id_list.h"
#include "base/sha256.h"

#define CACHE_APPLICATION_ID 0x52616743 /* "RagC" */

static const char *const schema[] = {
    "CREATE TABLE entries("
    "  id INTEGER PRIMARY KEY, collection_id INTEGER NOT NULL, used_ms INTEGER NOT NULL,"
    "  sum BLOB NOT NULL, body BLOB NOT NULL);"
    "CREATE INDEX entries_used ON entries(used_ms);"
    "CREATE TABLE reports("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, collection_id INTEGER NOT NULL,"
    "  key INTEGER NOT NULL, similarity REAL NOT NULL, correct INTEGER NOT NULL);"
    "CREATE INDEX reports_collection ON reports(collection_id, id);"
    "CREATE TABLE meta("
    "  id INTEGER PRIMARY KEY CHECK(id=1), change INTEGER NOT NULL, change_ms INTEGER NOT NULL,"
    "  last_id INTEGER NOT NULL);"
    "INSERT INTO meta VALUES(1, 0, 0, 0);",
};

static enum rag_status sum_row(uint64_t id, int64_t collection_id, const void *body, size_t n_bytes,
                               uint8_t ret[SHA256_BYTES])
{
    const struct sha256_part parts[] = {
        {&id,            sizeof id           },
        {&collection_id, sizeof collection_id},
        {body,           n_bytes             },
    };

    return sha256_lengths(parts, sizeof parts / sizeof parts[0], ret);
}

/* ---- open ---- */

void cache_file_remove(const char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    char name[4096];

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if ((size_t)snprintf(name, sizeof name, "%s%s", path, endings[i]) < sizeof name)
            (void)unlink(name); /* what cannot be removed fails the next open */
}

void cache_file_close(struct cache_file *f)
{
    database_close(&f->db);
    free(f->path);
    memset(f, 0, sizeof *f);
}

static enum rag_status check_history(const struct cache_rows_options *o, struct cache_file *f,
                                     struct rag_error *reterr)
{
    enum rag_status status;
    int64_t change = 0;
    int64_t time_ms = 0;
    bool known = false;

    status = database_number(&f->db, "SELECT change FROM meta", &change, reterr);
    if (status == RAG_OK)
        status = database_number(&f->db, "SELECT change_ms FROM meta", &time_ms, reterr);
    if (status != RAG_OK || change == 0)
        return status;
    status =
        o->knows(o->context, &(struct cache_moment){(uint64_t)change, time_ms}, &known, reterr);
    if (status == RAG_OK && !known)
        status = rag_fail(reterr, RAG_EFORMAT,
                          "database '%s': the store does not know change %" PRId64
                          " of its time: it is of another state",
                          f->path, change);
    return status;
}

static enum rag_status check(const struct cache_rows_options *o, struct cache_file *f,
                             uint64_t *ret_last_id, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    int64_t last_id = 0;
    struct stat sb;

    if (stat(f->path, &sb) == 0 && sb.st_size <= (off_t)OPEN_CHECK_BYTES_MAX)
        status = database_quick_check(&f->db, reterr);
    if (status == RAG_OK)
        status = check_history(o, f, reterr);
    if (status == RAG_OK)
        status = database_number(&f->db, "SELECT last_id FROM meta", &last_id, reterr);
    if (status == RAG_OK && last_id < 0)
        status = rag_fail(reterr, RAG_EFORMAT, "database '%s': an id below 0", f->path);
    if (status == RAG_OK)
        *ret_last_id = (uint64_t)last_id;
    return status;
}

static enum rag_status read_entry(const struct cache_rows_options *o, sqlite3_stmt *statement,
                                  struct id_list *useless)
{
    struct cache_row row = {
        .id = (uint64_t)sqlite3_column_int64(statement, 0),
        .collection_id = sqlite3_column_int64(statement, 1),
        .used_ms = sqlite3_column_int64(statement, 2),
        .body = sqlite3_column_blob(statement, 4),
        .n_bytes = (size_t)sqlite3_column_bytes(statement, 4),
    };
    bool whole = row.body && sqlite3_column_bytes(statement, 3) == SHA256_BYTES;
    enum rag_status status = RAG_EFORMAT;
    uint8_t sum[SHA256_BYTES];

    if (whole) {
        if (sum_row(row.id, row.collection_id, row.body, row.n_bytes, sum) != RAG_OK)
            return RAG_ENOMEM;
        whole = memcmp(sum, sqlite3_column_blob(statement, 3), SHA256_BYTES) == 0;
    }
    if (whole)
        status = o->entry(o->context, &row);
    return status == RAG_EFORMAT ? id_list_add(useless, row.id) : status;
}

static enum rag_status read_entries(const struct cache_rows_options *o, struct cache_file *f,
                                    struct rag_error *reterr)
{
    static const char sql[] =
        "SELECT id, collection_id, used_ms, sum, body FROM entries ORDER BY used_ms";
    static const char delete_sql[] = "DELETE FROM entries WHERE id=?1";
    struct id_list useless = {0}; /* rows to be deleted when the reading is done */
    sqlite3_stmt *statement = NULL;
    enum rag_status status = database_statement(&f->db, sql, &statement, reterr);
    bool row = true;

    while (status == RAG_OK) {
        status = database_step(&f->db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            break;
        if (read_entry(o, statement, &useless) != RAG_OK)
            status = rag_fail(reterr, RAG_ENOMEM, "database '%s': out of memory", f->path);
    }
    sqlite3_reset(statement);
    for (size_t i = 0; status == RAG_OK && i < useless.n; i++)
        status = database_run_for(&f->db, delete_sql, (int64_t)useless.ids[i], reterr);
    id_list_release(&useless);
    return status;
}

static enum rag_status read_reports(const struct cache_rows_options *o, struct cache_file *f,
                                    struct rag_error *reterr)
{
    static const char sql[] =
        "SELECT collection_id, key, similarity, correct FROM reports ORDER BY id";
    sqlite3_stmt *statement = NULL;
    enum rag_status status = database_statement(&f->db, sql, &statement, reterr);
    bool row = true;

    while (status == RAG_OK) {
        struct cache_report_row report;

        status = database_step(&f->db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            break;
        report = (struct cache_report_row){
            .collection_id = sqlite3_column_int64(statement, 0),
            .key = (uint64_t)sqlite3_column_int64(statement, 1),
            .similarity = (float)sqlite3_column_double(statement, 2),
            .correct = sqlite3_column_int(statement, 3) != 0,
        };
        if (o->report(o->context, &report) != RAG_OK)
            status = rag_fail(reterr, RAG_ENOMEM, "database '%s': out of memory", f->path);
    }
    sqlite3_reset(statement);
    return status;
}

enum rag_status cache_file_open(const struct cache_rows_options *options, struct cache_file *ret,
                                uint64_t *ret_last_id, struct rag_error *reterr)
{
    struct cache_file f = {.path = strdup(options->path), .durable = true};
    uint64_t last_id = 0;
    enum rag_status status;

    if (!f.path)
        return rag_fail(reterr, RAG_ENOMEM, "database '%s': out of memory", options->path);
    status = database_open(f.path, true, &f.db, reterr);
    if (status == RAG_OK)
        status = database_migrate(&f.db, CACHE_APPLICATION_ID, schema,
                                  sizeof schema / sizeof schema[0], reterr);
    if (status == RAG_OK)
        status = check(options, &f, &last_id, reterr);
    if (status == RAG_OK)
        status = read_entries(options, &f, reterr);
    if (status == RAG_OK)
        status = read_reports(options, &f, reterr);
    /* a statement that means nothing here: the tables are not those of the version that it says */
    if (status == RAG_EIO && f.db.handle && sqlite3_errcode(f.db.handle) == SQLITE_ERROR)
        status = RAG_EFORMAT;
    if (status != RAG_OK) {
        cache_file_close(&f);
        return status;
    }
    *ret = f;
    *ret_last_id = last_id;
    return RAG_OK;
}

/* ---- write ---- */

static enum rag_status write_put(struct cache_file *f, const struct cache_write *w,
                                 struct rag_error *reterr)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO entries(id, collection_id, used_ms, sum, body)"
        " VALUES(?1,?2,?3,?4,?5)";
    sqlite3_stmt *statement;
    uint8_t sum[SHA256_BYTES];
    enum rag_status status = database_statement(&f->db, sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    if (sum_row(w->id, w->collection_id, w->body, w->n_bytes, sum) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "database '%s': out of memory", f->path);
    sqlite3_bind_int64(statement, 1, (int64_t)w->id);
    sqlite3_bind_int64(statement, 2, w->collection_id);
    sqlite3_bind_int64(statement, 3, w->used_ms);
    sqlite3_bind_blob(statement, 4, sum, sizeof sum, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 5, w->body, (int)w->n_bytes, SQLITE_STATIC);
    return database_run(&f->db, statement, reterr);
}

static enum rag_status write_used(struct cache_file *f, const struct cache_write *w,
                                  struct rag_error *reterr)
{
    static const char sql[] = "UPDATE entries SET used_ms=?2 WHERE id=?1";
    sqlite3_stmt *statement;
    enum rag_status status = database_statement(&f->db, sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (int64_t)w->id);
    sqlite3_bind_int64(statement, 2, w->used_ms);
    return database_run(&f->db, statement, reterr);
}

static enum rag_status write_report(struct cache_file *f, const struct cache_write *w,
                                    struct rag_error *reterr)
{
    static const char insert[] =
        "INSERT INTO reports(collection_id, key, similarity, correct) VALUES(?1,?2,?3,?4)";
    static const char cut[] = "DELETE FROM reports WHERE collection_id=?1 AND id<=("
                              " SELECT id FROM reports WHERE collection_id=?1"
                              " ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    sqlite3_stmt *statement;
    enum rag_status status = database_statement(&f->db, insert, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, w->report.collection_id);
    sqlite3_bind_int64(statement, 2, (int64_t)w->report.key);
    sqlite3_bind_double(statement, 3, (double)w->report.similarity);
    sqlite3_bind_int(statement, 4, w->report.correct);
    status = database_run(&f->db, statement, reterr);
    if (status == RAG_OK)
        status = database_statement(&f->db, cut, &statement, reterr);
    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, w->report.collection_id);
    sqlite3_bind_int64(statement, 2, CACHE_OBSERVATIONS_MAX);
    return database_run(&f->db, statement, reterr);
}

static enum rag_status write_one(struct cache_file *f, const struct cache_write *w,
                                 struct rag_error *reterr)
{
    static const char delete_entry[] = "DELETE FROM entries WHERE id=?1";
    static const char delete_reports[] = "DELETE FROM reports WHERE collection_id=?1";

    switch (w->kind) {
    case CACHE_WRITE_PUT:
        return write_put(f, w, reterr);
    case CACHE_WRITE_DELETE:
        return database_run_for(&f->db, delete_entry, (int64_t)w->id, reterr);
    case CACHE_WRITE_USED:
        return write_used(f, w, reterr);
    case CACHE_WRITE_REPORT:
        return write_report(f, w, reterr);
    case CACHE_WRITE_DELETE_REPORTS:
        break;
    }
    return database_run_for(&f->db, delete_reports, w->collection_id, reterr);
}

static enum rag_status write_meta(struct cache_file *f, const struct cache_write *group,
                                  struct rag_error *reterr)
{
    static const char moment_sql[] = "UPDATE meta SET change=?1, change_ms=?2 WHERE change<?1";
    static const char id_sql[] = "UPDATE meta SET last_id=max(last_id, ?1)";
    struct cache_moment moment = {0, 0};
    sqlite3_stmt *statement;
    enum rag_status status = database_statement(&f->db, moment_sql, &statement, reterr);
    uint64_t last_id = 0;

    if (status != RAG_OK)
        return status;
    for (const struct cache_write *w = group; w; w = w->next) {
        moment = w->moment.change > moment.change ? w->moment : moment;
        last_id = w->kind == CACHE_WRITE_PUT && w->id > last_id ? w->id : last_id;
    }
    sqlite3_bind_int64(statement, 1, (int64_t)moment.change);
    sqlite3_bind_int64(statement, 2, moment.time_ms);
    status = database_run(&f->db, statement, reterr);
    /* always: a group without anything is there to sync those before it */
    return status == RAG_OK ? database_run_for(&f->db, id_sql, (int64_t)last_id, reterr) : status;
}

enum rag_status cache_file_write(struct cache_file *f, const struct cache_write *group, bool wipe,
                                 bool sync, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    /* NORMAL: a commit is in the log, which the next FULL one syncs with its own. */
    if (sync != f->durable) {
        status = database_exec(
            &f->db, sync ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", reterr);
        f->durable = status == RAG_OK ? sync : f->durable;
    }
    if (status == RAG_OK)
        status = database_exec(&f->db, "BEGIN IMMEDIATE", reterr);
    if (status == RAG_OK && wipe)
        status = database_exec(&f->db, "DELETE FROM entries", reterr);
    if (status == RAG_OK)
        status = write_meta(f, group, reterr);
    for (const struct cache_write *w = group; status == RAG_OK && w; w = w->next)
        status = write_one(f, w, reterr);
    if (status == RAG_OK)
        status = database_exec(&f->db, "COMMIT", reterr);
    if (status != RAG_OK && !sqlite3_get_autocommit(f->db.handle))
        (void)database_exec(&f->db, "ROLLBACK", NULL);
    return status;
}
