/* store/audit_checkpoint.c - cutting the log behind a signature (Ed25519, RFC 8032, libcrypto).
 *
 * audit.key holds the 32-byte private key (mode 0600), audit.pub the 32-byte public one, both
 * raw. Whoever can read audit.key can forge a checkpoint: keep a copy of audit.pub elsewhere. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "store/audit_internal.h"

#define KEY_BYTES 32

/* Read exactly n bytes. RAG_ENOTFOUND when the file is not there. */
static enum rag_status read_key(const char *dir, const char *name, uint8_t *ret, size_t n,
                                struct rag_error *reterr)
{
    char path[4096];
    ssize_t got;
    int fd;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return rag_fail(reterr, RAG_ENOTFOUND, "key '%s': does not exist", path);
    if (fd < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "key '%s': cannot open", path);
    got = read(fd, ret, n);
    (void)close(fd);
    if (got != (ssize_t)n)
        return rag_fail(reterr, RAG_EFORMAT, "key '%s': not %zu bytes", path, n);
    return RAG_OK;
}

/* Beside its name first, so that a crash leaves a whole key or none. */
static enum rag_status write_key(const char *dir, const char *name, const uint8_t *data, size_t n,
                                 mode_t mode, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    char fresh[4096];
    char path[4096];
    int fd;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(fresh, sizeof fresh, "%s/%s.new", dir, name);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "key '%s': cannot create", path);
    if (write(fd, data, n) != (ssize_t)n || fsync(fd) < 0 || rename(fresh, path) < 0)
        status = rag_fail_errno(reterr, errno == ENOSPC ? RAG_ENOSPC : RAG_EIO, errno,
                                "key '%s': cannot write", path);
    (void)close(fd);
    return status;
}

/* audit.pub follows audit.key, whatever a crash or a person left there. */
static enum rag_status match_public_key(const char *dir, const uint8_t *public_key,
                                        struct rag_error *reterr)
{
    uint8_t there[AUDIT_PUBLIC_BYTES];

    if (read_key(dir, "audit.pub", there, sizeof there, NULL) == RAG_OK &&
        memcmp(there, public_key, sizeof there) == 0)
        return RAG_OK;
    return write_key(dir, "audit.pub", public_key, AUDIT_PUBLIC_BYTES, 0644, reterr);
}

static enum rag_status load_or_make_key(const char *dir, EVP_PKEY **ret, uint8_t *ret_public,
                                        struct rag_error *reterr)
{
    uint8_t private_key[KEY_BYTES];
    size_t n_public = AUDIT_PUBLIC_BYTES;
    enum rag_status status = read_key(dir, "audit.key", private_key, KEY_BYTES, reterr);
    bool fresh = status == RAG_ENOTFOUND;
    EVP_PKEY *key = NULL;

    if (fresh) {
        status = random_bytes(private_key, KEY_BYTES);
        if (status == RAG_OK)
            status = write_key(dir, "audit.key", private_key, KEY_BYTES, 0600, reterr);
    }
    if (status == RAG_OK) {
        key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key, KEY_BYTES);
        if (!key || EVP_PKEY_get_raw_public_key(key, ret_public, &n_public) != 1)
            status = rag_fail(reterr, RAG_EFORMAT, "key '%s/audit.key': not an Ed25519 key", dir);
    }
    explicit_bzero(private_key, sizeof private_key);
    if (status == RAG_OK)
        status = match_public_key(dir, ret_public, reterr);
    if (status != RAG_OK) {
        EVP_PKEY_free(key);
        return status;
    }
    *ret = key;
    return RAG_OK;
}

enum rag_status audit_checkpoint_sign(const char *dir, struct audit_checkpoint *c,
                                      struct rag_error *reterr)
{
    size_t n_signature = AUDIT_SIGNATURE_BYTES;
    uint8_t message[AUDIT_CHECKPOINT_MESSAGE_BYTES];
    EVP_MD_CTX *ctx = NULL;
    EVP_PKEY *key = NULL;
    enum rag_status status = load_or_make_key(dir, &key, c->public_key, reterr);

    if (status != RAG_OK)
        return status;
    audit_checkpoint_message(c, message);
    ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(ctx, c->signature, &n_signature, message, sizeof message) != 1)
        status = rag_fail(reterr, RAG_EINTERNAL, "audit checkpoint: cannot be signed");
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return status;
}

enum rag_status audit_checkpoint_verify(const char *dir, const struct audit_checkpoint *c,
                                        const uint8_t *trusted, bool *ret_good,
                                        struct rag_error *reterr)
{
    uint8_t public_key[AUDIT_PUBLIC_BYTES];
    enum rag_status status = RAG_OK;

    *ret_good = false;
    if (!trusted) {
        status = read_key(dir, "audit.pub", public_key, sizeof public_key, reterr);
        trusted = public_key;
    }
    if (status == RAG_ENOTFOUND)
        return RAG_OK; /* nothing to trust */
    if (status == RAG_OK)
        *ret_good = audit_checkpoint_signed_by(c, trusted);
    return status;
}

enum rag_status audit_checkpoint_get(struct database *db, struct audit_checkpoint *ret,
                                     bool *ret_found, struct rag_error *reterr)
{
    static const char sql[] = "SELECT seq, time_ms, hash, signature, public_key FROM checkpoint";
    sqlite3_stmt *statement;
    bool row = false;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    if (status == RAG_OK)
        status = database_step(db, statement, &row, reterr);
    if (status == RAG_OK && row) {
        ret->seq = (uint64_t)sqlite3_column_int64(statement, 0);
        ret->time_ms = sqlite3_column_int64(statement, 1);
        audit_column_bytes(statement, 2, SHA256_BYTES, ret->hash);
        audit_column_bytes(statement, 3, AUDIT_SIGNATURE_BYTES, ret->signature);
        audit_column_bytes(statement, 4, AUDIT_PUBLIC_BYTES, ret->public_key);
        sqlite3_reset(statement);
    }
    *ret_found = row;
    return status;
}

/* ---- cut ---- */

struct cut_job {
    const char *dir;
    const char *principal;
    const char *why;
    uint64_t seq;
};

static enum rag_status row_hash(struct database *db, uint64_t seq, uint8_t ret[SHA256_BYTES],
                                struct rag_error *reterr)
{
    static const char sql[] = "SELECT hash FROM audit WHERE seq=?1";
    sqlite3_stmt *statement;
    bool row = false;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (int64_t)seq);
    status = database_step(db, statement, &row, reterr);
    if (status == RAG_OK && !row)
        return rag_fail(reterr, RAG_ENOTFOUND, "audit row %" PRIu64 ": does not exist", seq);
    if (row) {
        audit_column_bytes(statement, 0, SHA256_BYTES, ret);
        sqlite3_reset(statement);
    }
    return status;
}

static enum rag_status store_checkpoint(struct database *db, const struct audit_checkpoint *c,
                                        struct rag_error *reterr)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO checkpoint(id, seq, time_ms, hash, signature, public_key)"
        " VALUES(1,?1,?2,?3,?4,?5)";
    sqlite3_stmt *statement;
    enum rag_status status = database_statement(db, sql, &statement, reterr);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (int64_t)c->seq);
    sqlite3_bind_int64(statement, 2, c->time_ms);
    sqlite3_bind_blob(statement, 3, c->hash, SHA256_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 4, c->signature, AUDIT_SIGNATURE_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 5, c->public_key, AUDIT_PUBLIC_BYTES, SQLITE_STATIC);
    return database_run(db, statement, reterr);
}

/* The cut itself is a row, behind everything that it drops. */
static enum rag_status record_cut(struct database *db, const struct cut_job *j, uint64_t cut_before,
                                  struct rag_error *reterr)
{
    struct json_writer w;
    enum rag_status status;
    struct buf payload;
    uint64_t seq;

    buf_init(&payload, 65536);
    json_writer_init(&w, &payload);
    json_begin_object(&w, NULL);
    json_put_int(&w, "seq", (int64_t)j->seq);
    json_put_int(&w, "rows", (int64_t)(j->seq - cut_before));
    json_put_string(&w, "why", j->why);
    json_end_object(&w);
    status = buf_status(&payload);
    if (status == RAG_OK)
        status = audit_insert(db, "audit.cut", j->principal, buf_str(&payload), 0, &seq, reterr);
    else
        rag_fail(reterr, status, "audit row %" PRIu64 ": the reason is too long", j->seq);
    buf_release(&payload);
    return status;
}

/* Only the checkpoint is written here: with it the rows are gone for every reader, and idle work
 * deletes them, so that no append waits for a big cut. */
static enum rag_status run_cut(struct database *db, void *context, struct rag_error *reterr)
{
    struct cut_job *j = context;
    struct audit_checkpoint c = {.seq = j->seq, .time_ms = clock_wall_ms()};
    struct audit_checkpoint before;
    bool found = false;
    struct audit_head tail;
    enum rag_status status = audit_checkpoint_get(db, &before, &found, reterr);

    if (status == RAG_OK)
        status = audit_tail(db, &tail, reterr);
    if (status == RAG_OK && j->seq == tail.n)
        return rag_fail(reterr, RAG_EINVAL,
                        "audit row %" PRIu64 ": is the last one, which stays; cut up to %" PRIu64
                        " at most",
                        j->seq, tail.n > 0 ? tail.n - 1 : 0);
    if (status == RAG_OK && found && j->seq <= before.seq)
        return rag_fail(reterr, RAG_ENOTFOUND,
                        "audit row %" PRIu64 ": was cut already, with all "
                        "rows up to %" PRIu64,
                        j->seq, before.seq);
    if (status == RAG_OK)
        status = row_hash(db, j->seq, c.hash, reterr);
    if (status == RAG_OK)
        status = audit_checkpoint_sign(j->dir, &c, reterr);
    if (status == RAG_OK)
        status = store_checkpoint(db, &c, reterr);
    return status == RAG_OK ? record_cut(db, j, found ? before.seq : 0, reterr) : status;
}

enum rag_status audit_cut(struct audit *audit, uint64_t seq, const char *principal, const char *why,
                          struct rag_error *reterr)
{
    struct cut_job j = {audit->dir, principal, why, seq};
    enum rag_status status = writer_do(audit->writer, run_cut, &j, reterr);

    if (status == RAG_OK)
        writer_wake_idle(audit->writer);
    return status;
}

enum rag_status audit_cut_slice(void *context, struct database *db, bool *ret_more)
{
    static const char last[] =
        "SELECT max(seq) FROM (SELECT seq FROM audit WHERE seq<=(SELECT seq FROM checkpoint)"
        " ORDER BY seq LIMIT ?1)";
    static const char keep[] = "INSERT OR IGNORE INTO cut_changes SELECT change FROM audit"
                               " WHERE seq<=?1 AND change IS NOT NULL";
    static const char drop[] = "DELETE FROM audit WHERE seq<=?1";
    struct audit *audit = context;
    sqlite3_stmt *statement;
    int64_t seq = 0;
    bool row = false;
    enum rag_status status = database_statement(db, last, &statement, NULL);

    if (status != RAG_OK)
        return status;
    sqlite3_bind_int(statement, 1, AUDIT_CUT_SLICE_ROWS);
    status = database_step(db, statement, &row, NULL);
    if (status != RAG_OK)
        return status;
    seq = row ? sqlite3_column_int64(statement, 0) : 0; /* 0 also for NULL: nothing to drop */
    sqlite3_reset(statement);
    *ret_more = seq != 0;
    if (seq == 0)
        return RAG_OK;
    audit->truncate_wal = true;
    status = database_run_for(db, keep, seq, NULL);
    return status == RAG_OK ? database_run_for(db, drop, seq, NULL) : status;
}
