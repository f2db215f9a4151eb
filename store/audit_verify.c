/* store/audit_verify.c - checking the chain from its first row to its head.
 *
 * Each row is hashed with the hash that the row before claims, so one bad row is one finding and
 * the walk goes on; the first finding is the one reported. For a row that does not fit, a second
 * walk looks whether its content fits another place: then rows were exchanged, not changed. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "store/audit_internal.h"

struct walk {
    struct audit_report *report;
    const uint8_t *trusted; /* public key of the checkpoint, or NULL: that of audit.pub */
    uint64_t seq;           /* of the row before */
    uint8_t hash[SHA256_BYTES];
    struct audit_erasures erasures;
    bool misfit; /* bad_seq is a row that does not fit its place */
};

static void problem(struct walk *w, uint64_t seq, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void problem(struct walk *w, uint64_t seq, const char *fmt, ...)
{
    va_list ap;

    if (!w->report->whole)
        return; /* the first one is named */
    w->report->whole = false;
    w->report->bad_seq = seq;
    va_start(ap, fmt);
    vsnprintf(w->report->problem, sizeof w->report->problem, fmt, ap);
    va_end(ap);
}

static void missing(struct walk *w, uint64_t first, uint64_t last)
{
    if (first == last)
        problem(w, first, "row %" PRIu64 " is missing", first);
    else
        problem(w, first, "rows %" PRIu64 "..%" PRIu64 " are missing", first, last);
}

/* Columns: seq, time_ms, kind, principal, salt, payload, payload_hash, hash */
#define ROW_COLUMNS "SELECT seq, time_ms, kind, principal, salt, payload, payload_hash, hash"

static struct audit_row read_row(sqlite3_stmt *statement)
{
    struct audit_row row = {
        .seq = (uint64_t)sqlite3_column_int64(statement, 0),
        .time_ms = sqlite3_column_int64(statement, 1),
        .kind = column_text(statement, 2),
        .principal = column_text(statement, 3),
    };

    audit_column_bytes(statement, 6, SHA256_BYTES, row.payload_hash);
    return row;
}

/* Remember what an erasure says that it erased. */
static enum rag_status note_erasure(struct walk *w, const char *payload)
{
    struct json *root = NULL;
    enum rag_status status = RAG_OK;
    int64_t seq = 0;

    if (json_parse(payload, strlen(payload), "payload", &root, NULL) != RAG_OK)
        return RAG_OK; /* the chain holds what was written; it just names no row */
    if (json_is_object(root) && json_get_int(root, "seq", 1, INT64_MAX, &seq, NULL) == RAG_OK &&
        seq > 0)
        status = id_list_add(&w->erasures.recorded, (uint64_t)seq);
    json_free(root);
    return status;
}

static enum rag_status check_payload(struct walk *w, sqlite3_stmt *statement,
                                     const struct audit_row *row)
{
    const void *salt = sqlite3_column_blob(statement, 4);
    const char *payload;
    uint8_t digest[SHA256_BYTES];

    if (sqlite3_column_type(statement, 5) == SQLITE_NULL) {
        w->report->n_erased++;
        return id_list_add(&w->erasures.gone, row->seq);
    }
    payload = column_text(statement, 5);
    if (!salt || sqlite3_column_bytes(statement, 4) != AUDIT_SALT_BYTES) {
        problem(w, row->seq, "row %" PRIu64 " was changed: its salt is gone", row->seq);
        return RAG_OK;
    }
    if (audit_payload_hash(salt, payload, strlen(payload), digest) != RAG_OK)
        return RAG_ENOMEM;
    if (memcmp(digest, row->payload_hash, SHA256_BYTES) != 0)
        problem(w, row->seq, "row %" PRIu64 " was changed: its payload is not the one recorded",
                row->seq);
    return strcmp(row->kind, "audit.erase") == 0 ? note_erasure(w, payload) : RAG_OK;
}

static enum rag_status check_row(struct walk *w, sqlite3_stmt *statement)
{
    struct audit_row row = read_row(statement);
    uint8_t claimed[SHA256_BYTES];
    uint8_t digest[SHA256_BYTES];

    audit_column_bytes(statement, 7, SHA256_BYTES, claimed);
    if (row.seq != w->seq + 1)
        missing(w, w->seq + 1, row.seq - 1);
    if (audit_row_hash(w->hash, &row, digest) != RAG_OK)
        return RAG_ENOMEM;
    if (memcmp(claimed, digest, SHA256_BYTES) != 0 && w->report->whole) {
        w->misfit = true;
        problem(w, row.seq, "row %" PRIu64 " was changed or inserted", row.seq);
    }
    memcpy(w->hash, claimed, SHA256_BYTES);
    w->seq = row.seq;
    w->report->n_rows++;
    return check_payload(w, statement, &row);
}

static enum rag_status each_row(struct database *db, uint64_t after,
                                enum rag_status (*visit)(void *context, sqlite3_stmt *statement),
                                void *context, struct rag_error *reterr)
{
    static const char sql[] = ROW_COLUMNS " FROM audit WHERE seq>?1 ORDER BY seq";
    sqlite3_stmt *statement;
    bool row = true;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (int64_t)after);
    while (status == RAG_OK) {
        status = database_step(db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            return status;
        status = visit(context, statement);
    }
    sqlite3_reset(statement);
    return rag_fail(reterr, status, "audit: out of memory while verifying");
}

static enum rag_status visit_row(void *context, sqlite3_stmt *statement)
{
    return check_row(context, statement);
}

/* ---- rows that were exchanged ---- */

struct search {
    struct audit_row row; /* the content that does not fit; texts of an arena */
    uint8_t hash[SHA256_BYTES];
    uint8_t previous[SHA256_BYTES]; /* of the row before the one visited */
    uint64_t found;                 /* the place that it fits, or 0 */
};

/* Exchanged rows took their hashes along. A content fits place j with the hash of row j - 1
 * before it, or, when it was exchanged with its neighbour, with the one now in row j. */
static enum rag_status try_place(void *context, sqlite3_stmt *statement)
{
    struct search *s = context;
    uint64_t seq = (uint64_t)sqlite3_column_int64(statement, 0);
    uint8_t here[SHA256_BYTES];
    const uint8_t *before[2] = {s->previous, here};

    audit_column_bytes(statement, 7, SHA256_BYTES, here);
    for (size_t i = 0; i < 2 && s->found == 0 && seq != s->row.seq; i++) {
        struct audit_row moved = s->row;
        uint8_t digest[SHA256_BYTES];

        moved.seq = seq;
        if (audit_row_hash(before[i], &moved, digest) != RAG_OK)
            return RAG_ENOMEM;
        if (memcmp(digest, s->hash, SHA256_BYTES) == 0)
            s->found = seq;
    }
    memcpy(s->previous, here, SHA256_BYTES);
    return RAG_OK;
}

static enum rag_status find_place(struct database *db, struct walk *w, uint64_t first_seq,
                                  const uint8_t *first_hash, struct rag_error *reterr)
{
    static const char sql[] = ROW_COLUMNS " FROM audit WHERE seq=?1";
    uint64_t bad = w->report->bad_seq;
    struct search s = {.found = 0};
    sqlite3_stmt *statement;
    struct arena arena;
    bool row = false;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    arena_init(&arena, 1u << 20);
    memcpy(s.previous, first_hash, SHA256_BYTES);
    sqlite3_bind_int64(statement, 1, (int64_t)bad);
    status = database_step(db, statement, &row, reterr);
    if (status == RAG_OK && row) {
        s.row = read_row(statement);
        s.row.kind = arena_strdup(&arena, s.row.kind);
        s.row.principal = arena_strdup(&arena, s.row.principal);
        audit_column_bytes(statement, 7, SHA256_BYTES, s.hash);
        sqlite3_reset(statement);
        if (s.row.kind && s.row.principal)
            status = each_row(db, first_seq - 1, try_place, &s, reterr);
    }
    if (status == RAG_OK && s.found != 0)
        snprintf(w->report->problem, sizeof w->report->problem,
                 "row %" PRIu64 " holds what was row %" PRIu64 ": rows were reordered", bad,
                 s.found);
    arena_release(&arena);
    return status;
}

/* ---- the whole ---- */

/* Every payload that is gone must have a row that says so. */
static void check_erasures(struct walk *w)
{
    uint64_t seq = audit_erasures_unrecorded(&w->erasures);

    if (seq != 0)
        problem(w, seq, "row %" PRIu64 " lost its payload without a recorded erasure", seq);
}

static enum rag_status begin_at_checkpoint(const char *dir, struct database *db, struct walk *w,
                                           struct rag_error *reterr)
{
    struct audit_checkpoint checkpoint;
    bool found = false;
    bool good = false;
    enum rag_status status = audit_checkpoint_get(db, &checkpoint, &found, reterr);

    if (status != RAG_OK || !found)
        return status;
    status = audit_checkpoint_verify(dir, &checkpoint, w->trusted, &good, reterr);
    if (status == RAG_OK && !good)
        problem(w, checkpoint.seq,
                "the checkpoint behind row %" PRIu64 " is not signed by the key %s", checkpoint.seq,
                w->trusted ? "given" : "of audit.pub");
    w->report->checkpoint = checkpoint;
    w->report->checkpoint_good = good;
    w->seq = checkpoint.seq;
    memcpy(w->hash, checkpoint.hash, SHA256_BYTES);
    return status;
}

/* The row that a head names must be there as it was. One behind the cut cannot be looked at. */
static enum rag_status check_head(struct database *db, struct walk *w,
                                  const struct audit_head *head, const uint8_t *cut_hash,
                                  const char *what, struct rag_error *reterr)
{
    static const char sql[] = "SELECT hash FROM audit WHERE seq=?1";
    uint8_t hash[SHA256_BYTES];
    sqlite3_stmt *statement;
    bool row = false;
    enum rag_status status;

    uint64_t cut_seq = w->report->checkpoint.seq;

    if (head->n == 0 || head->n < cut_seq)
        return RAG_OK;
    if (head->n > w->seq) {
        problem(w, w->seq + 1,
                "the log ends at row %" PRIu64 ", %s at %" PRIu64 ": rows %" PRIu64 "..%" PRIu64
                " were dropped",
                w->seq, what, head->n, w->seq + 1, head->n);
        return RAG_OK;
    }
    memcpy(hash, cut_hash, SHA256_BYTES);
    if (head->n > cut_seq) {
        status = database_statement(db, sql, &statement, reterr);
        if (status != RAG_OK)
            return status;
        sqlite3_bind_int64(statement, 1, (int64_t)head->n);
        status = database_step(db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            return status; /* a missing row has been named */
        audit_column_bytes(statement, 0, SHA256_BYTES, hash);
        sqlite3_reset(statement);
    }
    if (memcmp(hash, head->hash, SHA256_BYTES) != 0)
        problem(w, head->n, "row %" PRIu64 " is not the one of %s: rows were rewritten", head->n,
                what);
    return RAG_OK;
}

static enum rag_status verify(struct audit *audit, struct database *db,
                              const struct audit_head *head, struct walk *w,
                              struct rag_error *reterr)
{
    uint8_t first_hash[SHA256_BYTES];
    uint64_t cut_seq;
    enum rag_status status = begin_at_checkpoint(audit->dir, db, w, reterr);

    cut_seq = w->seq;
    memcpy(first_hash, w->hash, SHA256_BYTES);
    w->report->first_seq = cut_seq + 1;
    if (status == RAG_OK)
        status = each_row(db, cut_seq, visit_row, w, reterr);
    if (status == RAG_OK && w->misfit)
        status = find_place(db, w, cut_seq + 1, first_hash, reterr);
    if (status == RAG_OK)
        check_erasures(w);
    if (status == RAG_OK && head) {
        w->report->head_was_cut = head->n > 0 && head->n < cut_seq;
        status = check_head(db, w, head, first_hash, "the head", reterr);
    }
    if (status == RAG_OK)
        status = check_head(db, w, &audit->lost, first_hash, "audit.head.lost", reterr);
    return status;
}

enum rag_status audit_verify(struct audit *audit, const struct audit_head *head,
                             const uint8_t *public_key, struct audit_report *ret,
                             struct rag_error *reterr)
{
    struct audit_report report = {.whole = true};
    struct walk w = {.report = &report, .trusted = public_key};
    struct database db = {0};
    /* a connection of its own: it takes long, and people list the log meanwhile */
    enum rag_status status = database_open(audit->path, false, &db, reterr);

    if (status == RAG_OK)
        status = database_exec(&db, "BEGIN", reterr);
    if (status == RAG_OK)
        status = verify(audit, &db, head, &w, reterr);
    database_close(&db); /* ends the snapshot */
    audit_erasures_release(&w.erasures);
    if (status != RAG_OK)
        return status;
    report.head.n = w.seq;
    memcpy(report.head.hash, w.hash, SHA256_BYTES);
    *ret = report;
    return RAG_OK;
}
