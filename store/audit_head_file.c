/* store/audit_head_file.c - audit.head: the end of the chain, kept outside the database.
 *
 * Invariants
 *   1. audit.head is one line, "%020u:%64x\n" (rows, hash of the last), written in place after a
 *      commit is durable and never before: it may lag behind the database, it is never ahead of
 *      it. It is not synced at each commit (that would double the cost of an append); a power
 *      failure can only make it lag more.
 *   2. So a head that is ahead of the database, or names another hash, means that rows were
 *      dropped or rewritten while no daemon ran. Before the file is written over, its line is
 *      kept in audit.head.lost, and every verification fails until a person removes that file. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/audit_internal.h"

#define LOST "audit.head.lost"

void audit_head_print(const struct audit_head *head, char ret_line[AUDIT_HEAD_LINE_BYTES])
{
    char hex[SHA256_HEX_BYTES];

    sha256_hex(head->hash, hex);
    snprintf(ret_line, AUDIT_HEAD_LINE_BYTES, "%020" PRIu64 ":%s\n", head->n, hex);
}

/* false: not a line of audit_head_print() */
static bool parse(const char *line, struct audit_head *ret)
{
    char hex[SHA256_HEX_BYTES];
    char *end;

    errno = 0;
    ret->n = strtoull(line, &end, 10);
    if (errno != 0 || end != line + 20 || *end != ':' || strlen(end) < SHA256_HEX_BYTES)
        return false;
    memcpy(hex, end + 1, SHA256_HEX_BYTES - 1);
    hex[SHA256_HEX_BYTES - 1] = '\0';
    return sha256_from_hex(hex, ret->hash) == RAG_OK;
}

static bool read_line(int dir_fd, const char *name, struct audit_head *ret)
{
    char line[AUDIT_HEAD_LINE_BYTES];
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, line, sizeof line - 1);
    (void)close(fd);
    line[n > 0 ? n : 0] = '\0';
    return parse(line, ret);
}

void audit_head_write(int fd, const struct audit_head *head)
{
    char line[AUDIT_HEAD_LINE_BYTES];

    audit_head_print(head, line);
    if (pwrite(fd, line, sizeof line - 1, 0) < 0)
        return; /* invariant 1: a head that lags is allowed */
}

/* Does the database hold the row that 'head' names? */
static enum rag_status confirms(struct database *db, const struct audit_head *head, bool *ret,
                                struct rag_error *reterr)
{
    static const char sql[] = "SELECT hash FROM audit WHERE seq=?1";
    struct audit_checkpoint checkpoint = {.seq = 0};
    sqlite3_stmt *statement;
    bool found = false;
    bool row = false;
    enum rag_status status = audit_checkpoint_get(db, &checkpoint, &found, reterr);

    if (status == RAG_OK)
        status = database_statement(db, sql, &statement, reterr);
    if (status != RAG_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (int64_t)head->n);
    status = database_step(db, statement, &row, reterr);
    if (status != RAG_OK)
        return status;
    *ret = head->n == 0 || head->n < checkpoint.seq;
    if (row) {
        const void *hash = sqlite3_column_blob(statement, 0);

        *ret = hash && sqlite3_column_bytes(statement, 0) == SHA256_BYTES &&
               memcmp(hash, head->hash, SHA256_BYTES) == 0;
        sqlite3_reset(statement);
    } else if (found && head->n == checkpoint.seq) {
        *ret = memcmp(checkpoint.hash, head->hash, SHA256_BYTES) == 0;
    }
    return RAG_OK;
}

static enum rag_status keep_lost(int dir_fd, const char *dir, const struct audit_head *head,
                                 struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    char line[AUDIT_HEAD_LINE_BYTES];
    int fd = openat(dir_fd, LOST, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 && errno == EEXIST)
        return RAG_OK; /* the first loss is the one to look into */
    audit_head_print(head, line);
    if (fd < 0 || write(fd, line, sizeof line - 1) != (ssize_t)sizeof line - 1 || fsync(fd) < 0)
        status = rag_fail_errno(reterr, RAG_EIO, errno, "file '%s/" LOST "': cannot write", dir);
    if (fd >= 0)
        (void)close(fd);
    return status;
}

enum rag_status audit_head_open(const char *dir, struct database *db, int *ret_fd,
                                struct audit_head *ret_lost, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct audit_head head;
    bool confirmed = true;
    int dir_fd;
    int fd = -1;

    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "state '%s': cannot open", dir);
    if (read_line(dir_fd, "audit.head", &head))
        status = confirms(db, &head, &confirmed, reterr);
    if (status == RAG_OK && !confirmed)
        status = keep_lost(dir_fd, dir, &head, reterr);
    memset(ret_lost, 0, sizeof *ret_lost);
    if (status == RAG_OK && !read_line(dir_fd, LOST, ret_lost))
        memset(ret_lost, 0, sizeof *ret_lost);
    if (status == RAG_OK) {
        fd = openat(dir_fd, "audit.head", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            status =
                rag_fail_errno(reterr, RAG_EIO, errno, "file '%s/audit.head': cannot open", dir);
    }
    (void)close(dir_fd);
    if (status == RAG_OK)
        *ret_fd = fd;
    return status;
}
