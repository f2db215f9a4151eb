/* store/database.h - one SQLite connection with its prepared statements (internal).
 *
 * A connection belongs to one thread at a time. Statements are prepared once and kept by the
 * address of their SQL, which must be a static text. */
#ifndef RAG_STORE_DATABASE_H
#define RAG_STORE_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define STATEMENTS_MAX       64
#define DATABASE_BUSY_MS     10000      /* another process (a person's sqlite3) may hold a lock */
#define STORE_APPLICATION_ID 0x52616744 /* "RagD" */
#define AUDIT_APPLICATION_ID 0x52616741 /* "RagA" */

struct database {
    sqlite3 *handle;
    const char *what; /* file name, for messages; borrowed */
    struct {
        const char *sql;
        sqlite3_stmt *statement;
    } cache[STATEMENTS_MAX];
    size_t n_cached;
};

/* create: make the file when it is missing and allow writing; else read-only by query_only. */
enum rag_status database_open(const char *path, bool create, struct database *ret,
                              struct rag_error *reterr);
void database_close(struct database *db); /* a zeroed one is a no-op */

/* Run steps[user_version..n) in one transaction each and set user_version. RAG_EFORMAT: a larger
 * user_version, or the file of another program by PRAGMA application_id. */
enum rag_status database_migrate(struct database *db, int application_id, const char *const *steps,
                                 size_t n_steps, struct rag_error *reterr);
/* PRAGMA quick_check: RAG_EFORMAT with the first thing it finds. Reads the whole file. */
enum rag_status database_quick_check(struct database *db, struct rag_error *reterr);
/* The first column of the first row. */
enum rag_status database_number(struct database *db, const char *sql, int64_t *ret,
                                struct rag_error *reterr);

/* The kept statement, reset and without bindings. */
enum rag_status database_statement(struct database *db, const char *static_sql, sqlite3_stmt **ret,
                                   struct rag_error *reterr);
/* Step once: *ret_row says whether there is a row. The statement is reset when there is none. */
enum rag_status database_step(struct database *db, sqlite3_stmt *statement, bool *ret_row,
                              struct rag_error *reterr);
/* Step a statement that gives no rows, then reset it. */
enum rag_status database_run(struct database *db, sqlite3_stmt *statement,
                             struct rag_error *reterr);
/* The same for a static SQL whose one parameter is an id. */
enum rag_status database_run_for(struct database *db, const char *static_sql, int64_t id,
                                 struct rag_error *reterr);
enum rag_status database_exec(struct database *db, const char *sql, struct rag_error *reterr);

/* The status and message of the connection's last failure. */
enum rag_status database_fail(struct database *db, int code, struct rag_error *reterr);

/* Text of a column, never NULL. Owned by the statement until its next step. */
const char *column_text(sqlite3_stmt *statement, int column);

#endif
