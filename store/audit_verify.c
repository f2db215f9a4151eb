/* store/audit_verify.c - checking the chain from its first row to its head. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/audit_internal.h"

struct walk {
    struct audit_report *report;
    uint64_t seq; /* of the row before */
    uint8_t hash[SHA256_BYTES];
    const struct audit_head *want; /* or NULL */
    bool want_seen;
};

static void problem(struct walk *w, uint64_t seq, const char *text)
{
    if (w->report->bad_seq != 0 || !w->report->whole)
        return; /* the first one is named */
    w->report->whole = false;
    w->report->bad_seq = seq;
    snprintf(w->report->problem, sizeof w->report->problem, "%s", text);
}

static bool blob_is(sqlite3_stmt *statement, int column, const uint8_t digest[SHA256_BYTES])
{
    const void *blob = sqlite3_column_blob(statement, column);

    return blob && sqlite3_column_bytes(statement, column) == SHA256_BYTES &&
           memcmp(blob, digest, SHA256_BYTES) == 0;
}

/* Columns: seq, time_ms, kind, principal, salt, payload, payload_hash, hash */
static enum rag_status check_row(struct walk *w, sqlite3_stmt *statement)
{
    uint64_t seq = (uint64_t)sqlite3_column_int64(statement, 0);
    struct audit_row row = {
        .seq = seq,
        .time_ms = sqlite3_column_int64(statement, 1),
        .kind = column_text(statement, 2),
        .principal = column_text(statement, 3),
    };
    const void *payload_hash = sqlite3_column_blob(statement, 6);
    bool erased = sqlite3_column_type(statement, 5) == SQLITE_NULL;
    uint8_t digest[SHA256_BYTES];
    char text[256];

    if (seq != w->seq + 1) {
        if (seq == w->seq + 2)
            snprintf(text, sizeof text, "row %" PRIu64 " is missing", w->seq + 1);
        else
            snprintf(text, sizeof text, "rows %" PRIu64 "..%" PRIu64 " are missing", w->seq + 1,
                     seq - 1);
        problem(w, w->seq + 1, text);
    }
    if (payload_hash && sqlite3_column_bytes(statement, 6) == SHA256_BYTES)
        memcpy(row.payload_hash, payload_hash, SHA256_BYTES);
    if (audit_row_hash(w->hash, &row, digest) != RAG_OK)
        return RAG_ENOMEM;
    if (!blob_is(statement, 7, digest)) {
        snprintf(text, sizeof text, "row %" PRIu64 " was changed, inserted or moved", seq);
        problem(w, seq, text);
    }
    if (erased) {
        w->report->n_erased++;
    } else {
        const void *salt = sqlite3_column_blob(statement, 4);

        if (salt && sqlite3_column_bytes(statement, 4) == AUDIT_SALT_BYTES &&
            audit_payload_hash(salt, column_text(statement, 5), digest) != RAG_OK)
            return RAG_ENOMEM;
        if (!salt || sqlite3_column_bytes(statement, 4) != AUDIT_SALT_BYTES ||
            memcmp(digest, row.payload_hash, SHA256_BYTES) != 0) {
            snprintf(text, sizeof text, "the payload of row %" PRIu64 " was changed", seq);
            problem(w, seq, text);
        }
    }
    /* go on from what the row claims, so that one bad row is one report */
    if (sqlite3_column_bytes(statement, 7) == SHA256_BYTES)
        memcpy(w->hash, sqlite3_column_blob(statement, 7), SHA256_BYTES);
    w->seq = seq;
    if (w->want && w->want->n == seq)
        w->want_seen = memcmp(w->want->hash, w->hash, SHA256_BYTES) == 0;
    w->report->n_rows++;
    return RAG_OK;
}

static enum rag_status begin_at_checkpoint(struct audit *audit, struct walk *w,
                                           struct rag_error *reterr)
{
    struct audit_checkpoint checkpoint;
    bool found = false;
    bool good = false;
    enum rag_status status = audit_checkpoint_get(&audit->reader, &checkpoint, &found, reterr);

    if (status != RAG_OK || !found)
        return status;
    status = audit_checkpoint_verify(audit->dir, &checkpoint, &good, reterr);
    if (status == RAG_OK && !good)
        problem(w, checkpoint.seq, "the checkpoint's signature is not that of audit.pub");
    w->seq = checkpoint.seq;
    memcpy(w->hash, checkpoint.hash, SHA256_BYTES);
    if (w->want && w->want->n == checkpoint.seq)
        w->want_seen = memcmp(w->want->hash, w->hash, SHA256_BYTES) == 0;
    return status;
}

static void check_head(struct walk *w)
{
    char text[256];

    if (!w->want || w->want_seen || (w->want->n == 0 && w->report->first_seq <= 1))
        return;
    if (w->want->n > w->seq)
        snprintf(text, sizeof text,
                 "the log ends at row %" PRIu64 ", the head says %" PRIu64
                 ": rows were dropped from its end",
                 w->seq, w->want->n);
    else if (w->want->n < w->report->first_seq)
        snprintf(text, sizeof text, "row %" PRIu64 " of the head was cut off by retention",
                 w->want->n);
    else
        snprintf(text, sizeof text, "row %" PRIu64 " is not the one of the head", w->want->n);
    problem(w, w->want->n > w->seq ? w->seq + 1 : w->want->n, text);
}

enum rag_status audit_verify(struct audit *audit, const struct audit_head *head,
                             struct audit_report *ret, struct rag_error *reterr)
{
    static const char sql[] = "SELECT seq, time_ms, kind, principal, salt, payload, payload_hash,"
                              " hash FROM audit ORDER BY seq";
    struct audit_report report = {.whole = true};
    struct walk w = {.report = &report, .want = head};
    struct database *db = &audit->reader;
    sqlite3_stmt *statement;
    enum rag_status status;
    bool row = true;

    pthread_mutex_lock(&audit->reader_mutex);
    status = database_exec(db, "BEGIN", reterr);
    if (status == RAG_OK)
        status = begin_at_checkpoint(audit, &w, reterr);
    report.first_seq = w.seq + 1;
    if (status == RAG_OK)
        status = database_statement(db, sql, &statement, reterr);
    while (status == RAG_OK) {
        status = database_step(db, statement, &row, reterr);
        if (status != RAG_OK || !row)
            break;
        status = check_row(&w, statement);
        if (status != RAG_OK) {
            sqlite3_reset(statement);
            rag_fail(reterr, status, "audit: out of memory while verifying");
        }
    }
    (void)database_exec(db, "COMMIT", NULL);
    pthread_mutex_unlock(&audit->reader_mutex);
    if (status != RAG_OK)
        return status;
    check_head(&w);
    report.head.n = w.seq;
    memcpy(report.head.hash, w.hash, SHA256_BYTES);
    *ret = report;
    return RAG_OK;
}
