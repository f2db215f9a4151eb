#define _GNU_SOURCE
#include "store/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "store/audit_internal.h"
#include "store/store_internal.h"

#define MANIFEST        "manifest.json"
#define MANIFEST_FORMAT 1
#define MANIFEST_MAX    (1u << 20)
#define PATH_BYTES      4096

/* What a backup holds; the keys are there only when the audit log was ever cut. */
static const struct {
    const char *name;
    bool optional;
} parts[] = {
    {"audit.db",   false},
    {"audit.head", false},
    {"ragd.db",    false},
    {"audit.key",  true },
    {"audit.pub",  true },
};
#define N_PARTS (sizeof parts / sizeof parts[0])

/* ---- small file work ---- */

static enum rag_status sync_path(const char *path, int flags, struct rag_error *reterr)
{
    int fd = open(path, flags | O_CLOEXEC);
    enum rag_status status = RAG_OK;

    if (fd < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot open", path);
    if (fsync(fd) < 0)
        status = rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot sync", path);
    (void)close(fd);
    return status;
}

static enum rag_status write_failed(const char *path, struct rag_error *reterr)
{
    return rag_fail_errno(reterr, errno == ENOSPC || errno == EDQUOT ? RAG_ENOSPC : RAG_EIO, errno,
                          "file '%s': cannot write", path);
}

static enum rag_status copy_file(const char *from, const char *to, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    char block[65536];
    int out = -1;
    ssize_t n;
    int in;

    in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot open", from);
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        status = rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot create", to);
    while (status == RAG_OK && (n = read(in, block, sizeof block)) != 0) {
        if (n < 0)
            status = rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot read", from);
        else if (write(out, block, (size_t)n) != n)
            status = write_failed(to, reterr);
    }
    if (status == RAG_OK && fsync(out) < 0)
        status = write_failed(to, reterr);
    if (out >= 0)
        (void)close(out);
    (void)close(in);
    return status;
}

static enum rag_status need_empty(const char *dir, const char *what, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct dirent *entry;
    struct stat sb;
    DIR *d;

    if (mkdir(dir, 0700) == 0)
        return RAG_OK;
    if (errno != EEXIST)
        return rag_fail_errno(reterr, RAG_EIO, errno, "%s '%s': cannot create", what, dir);
    /* one that another user owns could be filled with links while we write */
    if (lstat(dir, &sb) < 0 || !S_ISDIR(sb.st_mode) || sb.st_uid != geteuid() ||
        (sb.st_mode & 0022) != 0)
        return rag_fail(reterr, RAG_EEXIST,
                        "%s '%s': is there and is not a folder that only its owner, this user, may "
                        "write",
                        what, dir);
    d = opendir(dir);
    if (!d)
        return rag_fail_errno(reterr, RAG_EIO, errno, "%s '%s': cannot open", what, dir);
    while ((entry = readdir(d)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = rag_fail(reterr, RAG_EEXIST, "%s '%s': is not empty", what, dir);
    closedir(d);
    return status;
}

/* ---- create ---- */

/* VACUUM INTO writes one consistent snapshot of the database while others write on. */
static enum rag_status copy_database(const char *source, const char *dir, const char *name,
                                     struct rag_error *reterr)
{
    struct database db = {0};
    sqlite3_stmt *statement = NULL;
    enum rag_status status = database_open(source, false, &db, reterr);
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (status != RAG_OK)
        return status;
    /* query_only would forbid VACUUM; the connection still only reads its own file */
    status = database_exec(&db, "PRAGMA query_only=OFF", reterr);
    if (status == RAG_OK &&
        sqlite3_prepare_v2(db.handle, "VACUUM INTO ?1", -1, &statement, NULL) != SQLITE_OK)
        status = database_fail(&db, sqlite3_errcode(db.handle), reterr);
    if (status == RAG_OK) {
        sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
        status = database_run(&db, statement, reterr);
    }
    sqlite3_finalize(statement);
    database_close(&db);
    return status == RAG_OK ? sync_path(path, O_RDONLY, reterr) : status;
}

static enum rag_status write_part(struct json_writer *w, const char *dir, const char *name,
                                  struct rag_error *reterr)
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    char path[PATH_BYTES];
    enum rag_status status;
    struct stat sb;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    status = sha256_file(path, digest, reterr);
    if (status != RAG_OK)
        return status;
    if (stat(path, &sb) < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot stat", path);
    sha256_hex(digest, hex);
    json_begin_object(w, NULL);
    json_put_string(w, "name", name);
    json_put_int(w, "bytes", (int64_t)sb.st_size);
    json_put_string(w, "sha256", hex);
    json_end_object(w);
    return RAG_OK;
}

static bool part_there(const char *dir, size_t i)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "%s/%s", dir, parts[i].name);
    return !parts[i].optional || access(path, F_OK) == 0;
}

/* What the copies hold, which is older than what the running databases do. */
struct contents {
    struct audit_head head;
    int64_t change;
};

static enum rag_status read_contents(const char *dir, struct contents *ret,
                                     struct rag_error *reterr)
{
    struct database db = {0};
    enum rag_status status;
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "%s/audit.db", dir);
    status = database_open(path, false, &db, reterr);
    if (status == RAG_OK)
        status = audit_tail(&db, &ret->head, reterr);
    database_close(&db);
    snprintf(path, sizeof path, "%s/ragd.db", dir);
    if (status == RAG_OK)
        status = database_open(path, false, &db, reterr);
    if (status == RAG_OK)
        status = database_number(&db, "SELECT coalesce(max(change),0) FROM changes", &ret->change,
                                 reterr);
    database_close(&db);
    return status;
}

static enum rag_status write_file(const char *path, const void *data, size_t n,
                                  struct rag_error *reterr)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    enum rag_status status = RAG_OK;

    if (fd < 0 || write(fd, data, n) != (ssize_t)n || fsync(fd) < 0)
        status = write_failed(path, reterr);
    if (fd >= 0)
        (void)close(fd);
    return status;
}

static enum rag_status write_head(const char *dir, const struct audit_head *head,
                                  struct rag_error *reterr)
{
    char line[AUDIT_HEAD_LINE_BYTES];
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "%s/audit.head", dir);
    audit_head_print(head, line);
    return write_file(path, line, sizeof line - 1, reterr);
}

static enum rag_status write_manifest(const char *dir, const struct contents *contents,
                                      struct rag_error *reterr)
{
    char time[CLOCK_TEXT_BYTES];
    char hex[SHA256_HEX_BYTES];
    enum rag_status status = RAG_OK;
    char path[PATH_BYTES];
    struct json_writer w;
    struct buf out;

    buf_init(&out, MANIFEST_MAX);
    json_writer_init(&w, &out);
    clock_format(clock_wall_ms(), time);
    sha256_hex(contents->head.hash, hex);
    json_begin_object(&w, NULL);
    json_put_int(&w, "format", MANIFEST_FORMAT);
    json_put_string(&w, "time", time);
    json_put_int(&w, "change", contents->change);
    json_put_int(&w, "audit_rows", (int64_t)contents->head.n);
    json_put_string(&w, "audit_hash", hex);
    json_begin_array(&w, "files");
    for (size_t i = 0; i < N_PARTS && status == RAG_OK; i++)
        if (part_there(dir, i))
            status = write_part(&w, dir, parts[i].name, reterr);
    json_end_array(&w);
    json_end_object(&w);
    buf_append_char(&out, '\n');
    snprintf(path, sizeof path, "%s/" MANIFEST, dir);
    if (status == RAG_OK && buf_status(&out) != RAG_OK)
        status = rag_fail(reterr, buf_status(&out), "manifest '%s': out of memory", path);
    if (status == RAG_OK)
        status = write_file(path, out.data, out.len, reterr);
    buf_release(&out);
    return status == RAG_OK ? sync_path(dir, O_RDONLY | O_DIRECTORY, reterr) : status;
}

enum rag_status backup_create(struct store *store, struct audit *audit, const char *dir,
                              struct rag_error *reterr)
{
    struct contents contents = {.change = 0};
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    enum rag_status status;

    if (strlen(dir) > PATH_BYTES - 64)
        return rag_fail(reterr, RAG_EINVAL, "backup: a path of %zu bytes", strlen(dir));
    status = need_empty(dir, "backup", reterr);
    /* The log first: a change that comes between the two is in the store without its row,
     * and the next start appends it; the other way round its number would be used twice. */
    if (status == RAG_OK)
        status = copy_database(audit->path, dir, "audit.db", reterr);
    if (status == RAG_OK)
        status = copy_database(store->path, dir, "ragd.db", reterr);
    if (status == RAG_OK)
        status = read_contents(dir, &contents, reterr);
    if (status == RAG_OK)
        status = write_head(dir, &contents.head, reterr);
    for (size_t i = 0; i < N_PARTS && status == RAG_OK; i++) {
        if (!parts[i].optional || !part_there(audit->dir, i))
            continue;
        snprintf(from, sizeof from, "%s/%s", audit->dir, parts[i].name);
        snprintf(to, sizeof to, "%s/%s", dir, parts[i].name);
        status = copy_file(from, to, reterr);
    }
    return status == RAG_OK ? write_manifest(dir, &contents, reterr) : status;
}

/* ---- check and restore ---- */

static enum rag_status read_manifest(const char *dir, struct json **ret, struct rag_error *reterr)
{
    char *text = malloc(MANIFEST_MAX);
    char path[PATH_BYTES];
    enum rag_status status;
    int64_t format = 0;
    FILE *file;
    size_t n;

    if (!text)
        return rag_fail(reterr, RAG_ENOMEM, "backup '%.200s': out of memory", dir);
    snprintf(path, sizeof path, "%.4000s/" MANIFEST, dir);
    file = fopen(path, "rbe");
    if (!file) {
        free(text);
        return rag_fail_errno(reterr, RAG_EIO, errno,
                              "backup '%.200s': no " MANIFEST ", so it is not a whole backup", dir);
    }
    n = fread(text, 1, MANIFEST_MAX, file);
    fclose(file);
    status = json_parse(text, n, MANIFEST, ret, reterr);
    free(text);
    if (status != RAG_OK)
        return status;
    status = json_get_int(*ret, "format", 0, INT32_MAX, &format, reterr);
    if (status == RAG_OK && format != MANIFEST_FORMAT)
        status = rag_fail(reterr, RAG_EFORMAT, "backup '%.200s': format %" PRId64 ", known is %d",
                          dir, format, MANIFEST_FORMAT);
    if (status != RAG_OK)
        json_free(*ret);
    return status;
}

static bool known_part(const char *name)
{
    for (size_t i = 0; i < N_PARTS; i++)
        if (strcmp(parts[i].name, name) == 0)
            return true;
    return false;
}

static enum rag_status check_part(const char *dir, const struct json *entry,
                                  struct rag_error *reterr)
{
    const char *name = json_string(json_member(entry, "name"));
    const char *want = json_string(json_member(entry, "sha256"));
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    char path[PATH_BYTES];
    enum rag_status status;

    if (!name || !want || !known_part(name))
        return rag_fail(reterr, RAG_EFORMAT, "backup '%.200s': its manifest names no known file",
                        dir);
    snprintf(path, sizeof path, "%.4000s/%s", dir, name);
    status = sha256_file(path, digest, reterr);
    if (status != RAG_OK)
        return status;
    sha256_hex(digest, hex);
    if (strcmp(hex, want) != 0)
        return rag_fail(reterr, RAG_EFORMAT,
                        "backup '%.200s': %s is damaged (SHA-256 %.16s..., the manifest says "
                        "%.16s...)",
                        dir, name, hex, want);
    return RAG_OK;
}

static enum rag_status check_all(const char *dir, struct json **ret, struct rag_error *reterr)
{
    enum rag_status status = read_manifest(dir, ret, reterr);
    const struct json *files;
    size_t n_needed = 0;

    if (status != RAG_OK)
        return status;
    files = json_member(*ret, "files");
    for (const struct json *f = json_first(files); f && status == RAG_OK; f = json_next(f)) {
        const char *name = json_string(json_member(f, "name"));

        status = check_part(dir, f, reterr);
        n_needed += name && (strcmp(name, "ragd.db") == 0 || strcmp(name, "audit.db") == 0);
    }
    if (status == RAG_OK && n_needed != 2)
        status =
            rag_fail(reterr, RAG_EFORMAT, "backup '%.200s': ragd.db or audit.db is missing", dir);
    if (status != RAG_OK)
        json_free(*ret);
    return status;
}

enum rag_status backup_check(const char *dir, struct rag_error *reterr)
{
    struct json *manifest = NULL;
    enum rag_status status = check_all(dir, &manifest, reterr);

    if (status == RAG_OK)
        json_free(manifest);
    return status;
}

enum rag_status backup_restore(const char *dir, const char *state_dir, struct rag_error *reterr)
{
    struct json *manifest = NULL;
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    enum rag_status status;

    if (strlen(dir) > PATH_BYTES - 64 || strlen(state_dir) > PATH_BYTES - 64)
        return rag_fail(reterr, RAG_EINVAL, "restore: a path over %d bytes", PATH_BYTES - 64);
    status = check_all(dir, &manifest, reterr);
    if (status != RAG_OK)
        return status;
    status = need_empty(state_dir, "state", reterr);
    if (status == RAG_OK) {
        for (const struct json *f = json_first(json_member(manifest, "files"));
             f && status == RAG_OK; f = json_next(f)) {
            const char *name = json_string(json_member(f, "name"));

            snprintf(from, sizeof from, "%s/%s", dir, name);
            snprintf(to, sizeof to, "%s/%s", state_dir, name);
            status = copy_file(from, to, reterr);
        }
        for (size_t i = 0; i < N_PARTS && status != RAG_OK; i++) {
            snprintf(to, sizeof to, "%s/%s", state_dir, parts[i].name);
            (void)unlink(to); /* nothing half stays */
        }
    }
    if (status == RAG_OK)
        status = sync_path(state_dir, O_RDONLY | O_DIRECTORY, reterr);
    json_free(manifest);
    return status;
}
