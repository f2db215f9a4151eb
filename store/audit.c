/* store/audit.c - appending to, reading and erasing in the audit log. Format: audit.h.
 *
 * Invariants
 *   1. Rows are seq = n + 1 of the row before; the first that counts follows the checkpoint, or
 *      is 1. Rows up to the checkpoint are gone for every reader; idle work deletes them.
 *   2. A change number is in one row, or in cut_changes, never in two: there are those of rows that
 *      were deleted, and of a row that tells of several all but one.
 *   3. A row has salt and payload, or neither: then a later row "audit.erase" names its seq. */
#define _GNU_SOURCE
#include "store/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_writer.h"
#include "store/audit_internal.h"
#include "store/state_lock.h"

#define QUEUE_MAX 4096 /* appends that wait: more than there are workers and connections */

#define OF_REQUEST "substr(payload,1,15)='{\"request_id\":\"'"

static const char *const schema[] = {
    "CREATE TABLE audit("
    "  seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, kind TEXT NOT NULL,"
    "  principal TEXT NOT NULL, salt BLOB, payload TEXT, payload_hash BLOB NOT NULL,"
    "  hash BLOB NOT NULL, change INTEGER);"
    "CREATE UNIQUE INDEX audit_change ON audit(change) WHERE change IS NOT NULL;"
    "CREATE TABLE checkpoint("
    "  id INTEGER PRIMARY KEY CHECK(id=1), seq INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
    "  hash BLOB NOT NULL, signature BLOB NOT NULL, public_key BLOB NOT NULL);"
    "CREATE TABLE cut_changes(change INTEGER PRIMARY KEY);",
    /* payloads of requests begin with their id */
    "CREATE INDEX audit_request ON audit(substr(payload,16,32)) WHERE " OF_REQUEST ";",
};

/* ---- appending ---- */

void audit_column_bytes(sqlite3_stmt *statement, int column, size_t n, uint8_t *ret)
{
    const void *blob = sqlite3_column_blob(statement, column);

    memset(ret, 0, n);
    if (blob && (size_t)sqlite3_column_bytes(statement, column) == n)
        memcpy(ret, blob, n);
}

enum rag_status audit_tail(struct database *db, struct audit_head *ret, struct rag_error *reterr)
{
    static const char sql[] = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1";
    struct audit_checkpoint checkpoint;
    sqlite3_stmt *statement;
    bool found = false;
    bool row = false;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    if (status == RAG_OK)
        status = database_step(db, statement, &row, reterr);
    if (status != RAG_OK)
        return status;
    memset(ret, 0, sizeof *ret);
    if (row) {
        ret->n = (uint64_t)sqlite3_column_int64(statement, 0);
        audit_column_bytes(statement, 1, SHA256_BYTES, ret->hash);
        sqlite3_reset(statement);
        return RAG_OK;
    }
    status = audit_checkpoint_get(db, &checkpoint, &found, reterr);
    if (status == RAG_OK && found) {
        ret->n = checkpoint.seq;
        memcpy(ret->hash, checkpoint.hash, SHA256_BYTES);
    }
    return status;
}

enum rag_status audit_insert(struct database *db, const char *kind, const char *principal,
                             const char *payload, uint64_t change, uint64_t *ret_seq,
                             struct rag_error *reterr)
{
    static const char sql[] =
        "INSERT INTO audit(seq, time_ms, kind, principal, salt, payload, payload_hash, hash,"
        " change) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)";
    struct audit_row row = {.kind = kind, .principal = principal};
    uint8_t salt[AUDIT_SALT_BYTES];
    uint8_t hash[SHA256_BYTES];
    sqlite3_stmt *statement;
    struct audit_head tail;
    enum rag_status status = audit_tail(db, &tail, reterr);

    if (status != RAG_OK)
        return status;
    row.seq = tail.n + 1;
    row.time_ms = clock_wall_ms();
    if (random_bytes(salt, sizeof salt) != RAG_OK ||
        audit_payload_hash(salt, payload, strlen(payload), row.payload_hash) != RAG_OK ||
        audit_row_hash(tail.hash, &row, hash) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "audit row %" PRIu64 ": cannot be hashed", row.seq);
    status = database_statement(db, sql, &statement, reterr);
    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (int64_t)row.seq);
    sqlite3_bind_int64(statement, 2, row.time_ms);
    sqlite3_bind_text(statement, 3, kind, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 4, principal, -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 5, salt, sizeof salt, SQLITE_STATIC);
    sqlite3_bind_text(statement, 6, payload, -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 7, row.payload_hash, SHA256_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 8, hash, SHA256_BYTES, SQLITE_STATIC);
    if (change != 0)
        sqlite3_bind_int64(statement, 9, (int64_t)change);
    status = database_run(db, statement, reterr);
    if (status == RAG_OK)
        *ret_seq = row.seq;
    return status;
}

struct append_job {
    const struct audit_item *items;
    size_t n;
    uint64_t seq; /* of the last one */
};

/* Is there a row for that change? *ret_seq: its number, 0 when it is not known. */
static enum rag_status find_change(struct database *db, uint64_t change, bool *ret,
                                   uint64_t *ret_seq, struct rag_error *reterr)
{
    /* the row of a change may have been cut away since: its number is kept */
    static const char find[] = "SELECT seq FROM audit WHERE change=?1 UNION ALL"
                               " SELECT (SELECT seq FROM checkpoint) FROM cut_changes"
                               " WHERE change=?1";
    sqlite3_stmt *statement;
    enum rag_status status = database_statement(db, find, &statement, reterr);
    bool row = false;

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (int64_t)change);
    status = database_step(db, statement, &row, reterr);
    if (status != RAG_OK)
        return status;
    if (row) {
        *ret_seq = (uint64_t)sqlite3_column_int64(statement, 0);
        sqlite3_reset(statement);
    }
    *ret = row;
    return RAG_OK;
}

/* The row has the first change that was not recorded; the others are kept beside. */
static enum rag_status append_several(struct database *db, const struct audit_item *item,
                                      uint64_t *ret_seq, struct rag_error *reterr)
{
    static const char keep[] = "INSERT INTO cut_changes(change) VALUES(?1)";
    enum rag_status status = RAG_OK;
    bool written = false;

    for (size_t i = 0; i <= item->n_more && status == RAG_OK; i++) {
        uint64_t change = i == 0 ? item->change : item->more[i - 1];
        bool found = false;

        status = find_change(db, change, &found, ret_seq, reterr);
        if (status != RAG_OK || found)
            continue;
        if (written)
            status = database_run_for(db, keep, (int64_t)change, reterr);
        else
            status = audit_insert(db, item->kind, item->principal, item->payload, change, ret_seq,
                                  reterr);
        written = true;
    }
    return status;
}

static enum rag_status append_one(struct database *db, const struct audit_item *item,
                                  uint64_t *ret_seq, struct rag_error *reterr)
{
    if (item->change != 0)
        return append_several(db, item, ret_seq, reterr);
    return audit_insert(db, item->kind, item->principal, item->payload, 0, ret_seq, reterr);
}

static enum rag_status run_append(struct database *db, void *context, struct rag_error *reterr)
{
    struct append_job *j = context;
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < j->n && status == RAG_OK; i++)
        status = append_one(db, &j->items[i], &j->seq, reterr);
    return status;
}

enum rag_status audit_append(struct audit *audit, const char *kind, const char *principal,
                             const char *payload, uint64_t change, uint64_t *ret_seq,
                             struct rag_error *reterr)
{
    struct audit_item item = {
        .kind = kind, .principal = principal, .payload = payload, .change = change};
    struct append_job j = {&item, 1, 0};
    enum rag_status status = writer_do(audit->writer, run_append, &j, reterr);

    if (status == RAG_OK)
        *ret_seq = j.seq;
    return status;
}

enum rag_status audit_append_buf(struct audit *audit, const char *kind, const char *principal,
                                 struct buf *payload, uint64_t change, struct rag_error *reterr)
{
    enum rag_status status = buf_status(payload);
    uint64_t seq;

    if (status == RAG_OK)
        status = audit_append(audit, kind, principal, buf_str(payload), change, &seq, reterr);
    else
        rag_fail(reterr, status, "audit record: over %zu bytes or out of memory", payload->max);
    buf_release(payload);
    return status;
}

enum rag_status audit_append_all(struct audit *audit, const struct audit_item *items, size_t n,
                                 struct rag_error *reterr)
{
    struct append_job j = {items, n, 0};

    return n == 0 ? RAG_OK : writer_do(audit->writer, run_append, &j, reterr);
}

/* ---- the head ---- */

/* Erased bytes are gone from the pages (secure_delete), but the WAL still has older copies of
 * them until it is written back and truncated; a reader can put that off to a later commit. */
static void truncate_wal(struct audit *audit, struct database *db)
{
    sqlite3_busy_timeout(db->handle, 0);
    if (sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) ==
        SQLITE_OK)
        audit->truncate_wal = false;
    sqlite3_busy_timeout(db->handle, DATABASE_BUSY_MS);
}

static void on_committed(void *context, struct database *db)
{
    struct audit *audit = context;
    struct audit_head head;

    if (audit->truncate_wal)
        truncate_wal(audit, db);
    if (audit_tail(db, &head, NULL) != RAG_OK)
        return;
    pthread_mutex_lock(&audit->mutex);
    audit->head = head;
    pthread_mutex_unlock(&audit->mutex);
    audit_head_write(audit->head_fd, &head);
}

void audit_head(struct audit *audit, struct audit_head *ret)
{
    pthread_mutex_lock(&audit->mutex);
    *ret = audit->head;
    pthread_mutex_unlock(&audit->mutex);
}

/* One number, by an index-only query; 0 when it cannot be read. */
static uint64_t read_number(struct audit *audit, const char *static_sql)
{
    sqlite3_stmt *statement;
    uint64_t number = 0;
    bool row = false;

    pthread_mutex_lock(&audit->reader_mutex);
    if (database_statement(&audit->reader, static_sql, &statement, NULL) == RAG_OK &&
        database_step(&audit->reader, statement, &row, NULL) == RAG_OK && row) {
        number = (uint64_t)sqlite3_column_int64(statement, 0);
        sqlite3_reset(statement);
    }
    pthread_mutex_unlock(&audit->reader_mutex);
    return number;
}

uint64_t audit_last_change(struct audit *audit)
{
    /* the condition lets the partial index answer; without it the whole log is read */
    static const char sql[] =
        "SELECT max(coalesce((SELECT max(change) FROM audit WHERE change IS NOT NULL),0),"
        " coalesce((SELECT max(change) FROM cut_changes),0))";

    return read_number(audit, sql);
}

uint64_t audit_changes_recorded(struct audit *audit)
{
    static const char sql[] = "SELECT (SELECT count(*) FROM audit WHERE change IS NOT NULL)"
                              " + (SELECT count(*) FROM cut_changes)";
    uint64_t last = audit_last_change(audit);

    return read_number(audit, sql) == last ? last : 0;
}

uint64_t audit_first_seq(struct audit *audit)
{
    static const char sql[] = "SELECT coalesce((SELECT seq FROM checkpoint),0) + 1";

    return read_number(audit, sql);
}

enum rag_status audit_seq_before(struct audit *audit, int64_t before_ms, uint64_t *ret_seq,
                                 struct rag_error *reterr)
{
    /* the clock may have stepped back: what counts is the first row that has to stay */
    static const char sql[] =
        "SELECT coalesce((SELECT seq FROM audit WHERE seq>(SELECT coalesce(max(seq),0) FROM"
        " checkpoint) AND time_ms>=?1 ORDER BY seq LIMIT 1), (SELECT max(seq) FROM audit)) - 1,"
        " (SELECT coalesce(max(seq),0) FROM checkpoint)";
    struct database *db = &audit->reader;
    sqlite3_stmt *statement;
    enum rag_status status;
    bool row = false;

    pthread_mutex_lock(&audit->reader_mutex);
    status = database_statement(db, sql, &statement, reterr);
    if (status == RAG_OK) {
        sqlite3_bind_int64(statement, 1, before_ms);
        status = database_step(db, statement, &row, reterr);
    }
    if (status == RAG_OK && row) {
        int64_t seq = sqlite3_column_int64(statement, 0); /* NULL, of an empty log, is 0 */
        int64_t cut = sqlite3_column_int64(statement, 1);

        *ret_seq = seq > cut ? (uint64_t)seq : 0;
        sqlite3_reset(statement);
    }
    pthread_mutex_unlock(&audit->reader_mutex);
    return status;
}

/* ---- open and close ---- */

static enum rag_status start(struct audit *audit, struct rag_error *reterr)
{
    struct writer_options writer = {.db = &audit->writer_db,
                                    .queue_max = QUEUE_MAX,
                                    .committed = on_committed,
                                    .idle = audit_cut_slice,
                                    .context = audit};
    bool was_unclean = false;
    enum rag_status status =
        state_lock(audit->dir, "audit.lock", &audit->lock_fd, &was_unclean, reterr);

    if (status == RAG_OK)
        status = database_open(audit->path, true, &audit->writer_db, reterr);
    if (status == RAG_OK)
        status = database_migrate(&audit->writer_db, AUDIT_APPLICATION_ID, schema,
                                  sizeof schema / sizeof schema[0], reterr);
    if (status == RAG_OK)
        status = database_open(audit->path, false, &audit->reader, reterr);
    if (status == RAG_OK)
        status =
            audit_head_open(audit->dir, &audit->writer_db, &audit->head_fd, &audit->lost, reterr);
    if (status != RAG_OK)
        return status;
    audit->truncate_wal = true; /* of what an earlier run may have left */
    on_committed(audit, &audit->writer_db);
    return writer_start(&writer, &audit->writer, reterr);
}

enum rag_status audit_open(const char *state_dir, struct audit **ret, struct rag_error *reterr)
{
    struct audit *audit = calloc(1, sizeof *audit);
    enum rag_status status;

    if (!audit)
        return rag_fail(reterr, RAG_ENOMEM, "audit: out of memory");
    audit->head_fd = -1;
    audit->lock_fd = -1;
    pthread_mutex_init(&audit->mutex, NULL);
    pthread_mutex_init(&audit->reader_mutex, NULL);
    audit->dir = strdup(state_dir);
    if (asprintf(&audit->path, "%s/audit.db", state_dir) < 0)
        audit->path = NULL;
    if (audit->dir && audit->path)
        status = start(audit, reterr);
    else
        status = rag_fail(reterr, RAG_ENOMEM, "audit: out of memory");
    if (status != RAG_OK) {
        audit_close(audit);
        return status;
    }
    *ret = audit;
    return RAG_OK;
}

void audit_close(struct audit *audit)
{
    if (!audit)
        return;
    writer_stop(audit->writer);
    database_close(&audit->reader);
    database_close(&audit->writer_db);
    if (audit->head_fd >= 0)
        (void)close(audit->head_fd);
    state_unlock(audit->lock_fd, audit->writer != NULL);
    pthread_mutex_destroy(&audit->mutex);
    pthread_mutex_destroy(&audit->reader_mutex);
    free(audit->dir);
    free(audit->path);
    free(audit);
}

/* ---- reading ---- */

#define ENTRY_COLUMNS "SELECT seq, time_ms, kind, principal, payload, hash, change FROM audit"

static struct audit_entry borrow_entry(sqlite3_stmt *statement)
{
    struct audit_entry entry = {
        .seq = (uint64_t)sqlite3_column_int64(statement, 0),
        .time_ms = sqlite3_column_int64(statement, 1),
        .kind = column_text(statement, 2),
        .principal = column_text(statement, 3),
        .payload = (const char *)sqlite3_column_text(statement, 4), /* NULL: erased */
        .change = (uint64_t)sqlite3_column_int64(statement, 6),
    };

    audit_column_bytes(statement, 5, SHA256_BYTES, entry.hash);
    return entry;
}

void audit_bind_query(sqlite3_stmt *statement, const struct audit_query *q)
{
    sqlite3_bind_int64(statement, 1, (int64_t)q->after);
    sqlite3_bind_int64(statement, 2, (int64_t)q->before);
    sqlite3_bind_int64(statement, 3, (int64_t)q->limit);
    sqlite3_bind_text(statement, 4, q->kind, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 5, q->principal, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 6, q->since_ms);
    sqlite3_bind_int64(statement, 7, q->until_ms);
}

enum rag_status audit_list(struct audit *audit, const struct audit_query *q,
                           enum rag_status (*visit)(void *context, const struct audit_entry *entry,
                                                    struct rag_error *reterr),
                           void *context, struct rag_error *reterr)
{
    static const char up[] = ENTRY_COLUMNS AUDIT_CONDITIONS " ORDER BY seq LIMIT ?3";
    static const char down[] = ENTRY_COLUMNS AUDIT_CONDITIONS " ORDER BY seq DESC LIMIT ?3";
    static const char of_request[] = ENTRY_COLUMNS AUDIT_CONDITIONS
        " AND " OF_REQUEST " AND substr(payload,16,32)=?8 ORDER BY seq LIMIT ?3";
    const char *sql = q->request_id ? of_request : q->before ? down : up;
    struct database *db = &audit->reader;
    sqlite3_stmt *statement;
    enum rag_status status;
    bool row = true;

    pthread_mutex_lock(&audit->reader_mutex);
    status = database_statement(db, sql, &statement, reterr);
    if (status == RAG_OK) {
        audit_bind_query(statement, q);
        if (q->request_id)
            sqlite3_bind_text(statement, 8, q->request_id, -1, SQLITE_STATIC);
    }
    while (status == RAG_OK) {
        struct audit_entry entry;

        status = database_step(db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            break;
        entry = borrow_entry(statement);
        status = visit(context, &entry, reterr);
        if (status != RAG_OK)
            sqlite3_reset(statement);
    }
    pthread_mutex_unlock(&audit->reader_mutex);
    return status;
}

struct one {
    struct arena *arena;
    struct audit_entry entry;
    bool found;
};

static enum rag_status keep_one(void *context, const struct audit_entry *entry,
                                struct rag_error *reterr)
{
    struct one *one = context;

    one->entry = *entry;
    one->entry.kind = arena_strdup(one->arena, entry->kind);
    one->entry.principal = arena_strdup(one->arena, entry->principal);
    if (entry->payload)
        one->entry.payload = arena_strdup(one->arena, entry->payload);
    if (!one->entry.kind || !one->entry.principal || (entry->payload && !one->entry.payload))
        return rag_fail(reterr, RAG_ENOMEM, "audit row %" PRIu64 ": out of memory", entry->seq);
    one->found = true;
    return RAG_OK;
}

enum rag_status audit_get(struct audit *audit, uint64_t seq, struct arena *arena,
                          struct audit_entry *ret, struct rag_error *reterr)
{
    const struct audit_query q = {.after = seq - 1, .before = seq + 1, .limit = 1};
    struct one one = {.arena = arena};
    enum rag_status status = RAG_OK;

    if (seq > 0)
        status = audit_list(audit, &q, keep_one, &one, reterr);
    if (status == RAG_OK && !one.found)
        status = rag_fail(reterr, RAG_ENOTFOUND, "audit row %" PRIu64 ": does not exist", seq);
    if (status == RAG_OK)
        *ret = one.entry;
    return status;
}

enum rag_status audit_get_request(struct audit *audit, const char *request_id, struct arena *arena,
                                  struct audit_entry *ret, struct rag_error *reterr)
{
    const struct audit_query q = {.request_id = request_id, .limit = 1};
    struct one one = {.arena = arena};
    enum rag_status status = audit_list(audit, &q, keep_one, &one, reterr);

    if (status == RAG_OK && !one.found)
        status = rag_fail(reterr, RAG_ENOTFOUND,
                          "audit: no row of request '%.40s' (or it was erased)", request_id);
    if (status == RAG_OK)
        *ret = one.entry;
    return status;
}

/* ---- erase ---- */

struct erase_job {
    struct audit *audit;
    uint64_t seq;
    const char *principal;
    const char *payload;
};

static enum rag_status run_erase(struct database *db, void *context, struct rag_error *reterr)
{
    static const char find[] = "SELECT kind, payload IS NULL FROM audit WHERE seq=?1"
                               " AND seq>coalesce((SELECT seq FROM checkpoint),0)";
    static const char erase[] = "UPDATE audit SET payload=NULL, salt=NULL WHERE seq=?1";
    struct erase_job *j = context;
    sqlite3_stmt *statement;
    bool is_erased = false;
    bool is_own = false;
    bool row = false;
    uint64_t seq;
    enum rag_status status = database_statement(db, find, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (int64_t)j->seq);
    status = database_step(db, statement, &row, reterr);
    if (status != RAG_OK)
        return status;
    if (!row)
        return rag_fail(reterr, RAG_ENOTFOUND, "audit row %" PRIu64 ": does not exist", j->seq);
    is_own = strncmp(column_text(statement, 0), "audit.", 6) == 0;
    is_erased = sqlite3_column_int(statement, 1) != 0;
    sqlite3_reset(statement);
    if (is_own) /* what was erased and cut must stay known */
        return rag_fail(reterr, RAG_EINVAL,
                        "audit row %" PRIu64 ": records an erasure or a cut and cannot be erased",
                        j->seq);
    if (is_erased)
        return RAG_OK;
    status = database_run_for(db, erase, (int64_t)j->seq, reterr);
    if (status == RAG_OK)
        status = audit_insert(db, "audit.erase", j->principal, j->payload, 0, &seq, reterr);
    if (status == RAG_OK)
        j->audit->truncate_wal = true;
    return status;
}

enum rag_status audit_erase(struct audit *audit, uint64_t seq, const char *principal,
                            const char *why, struct rag_error *reterr)
{
    struct erase_job j = {audit, seq, principal, NULL};
    struct json_writer w;
    enum rag_status status;
    struct buf payload;

    buf_init(&payload, 65536);
    json_writer_init(&w, &payload);
    json_begin_object(&w, NULL);
    json_put_int(&w, "seq", (int64_t)seq);
    json_put_string(&w, "why", why);
    json_end_object(&w);
    status = buf_status(&payload);
    j.payload = buf_str(&payload);
    if (status == RAG_OK)
        status = writer_do(audit->writer, run_erase, &j, reterr);
    else
        rag_fail(reterr, status, "audit row %" PRIu64 ": the reason is too long", seq);
    buf_release(&payload);
    return status;
}
