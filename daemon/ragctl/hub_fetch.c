#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/http_client.h"
#include "daemon/ragctl/hub_internal.h"
#include "nn/model_files.h"

#define PATH_BYTES_MAX 4096

/* A file that is being brought. Invariant: the first sink.offset bytes of the descriptor's file are
 * the file's first bytes as the server sent them, now or in an earlier call. */
struct fetching {
    const struct hub_file *file;
    const struct hub_fetch *fetch;
    char path[PATH_BYTES_MAX];
    char part[PATH_BYTES_MAX];
    int fd; /* of part */
    uint64_t written;
    uint64_t fetched;   /* over the net, in all attempts */
    uint64_t bytes_max; /* the file's size, or the limit of its kind */
};

bool hub_is_weights(const char *name)
{
    static const char *const endings[] = {".safetensors", ".gguf"};

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (model_file_ends(name, endings[i]))
            return true;
    }
    return false;
}

static enum rag_status disk_failed(int errnum, const char *what, const char *path,
                                   struct rag_error *reterr)
{
    return rag_fail_errno(reterr, rag_status_of_write(errnum), errnum, "file '%s': %s", path, what);
}

/* ---- the sink ---- */

static enum rag_status file_begin(void *context, bool ranged, uint64_t total,
                                  struct rag_error *reterr)
{
    struct fetching *f = context;

    if (ranged && f->file->size != HUB_SIZE_UNKNOWN && total != HUB_SIZE_UNKNOWN &&
        total != f->file->size)
        return rag_fail(reterr, RAG_EFORMAT, "%llu bytes long, the list says %llu",
                        (unsigned long long)total, (unsigned long long)f->file->size);
    if (!ranged)
        f->written = 0;
    if (ftruncate(f->fd, (off_t)f->written) != 0)
        return disk_failed(errno, "cannot truncate", f->part, reterr);
    return RAG_OK;
}

static enum rag_status file_piece(void *context, const char *data, size_t n,
                                  struct rag_error *reterr)
{
    struct fetching *f = context;

    if (n > f->bytes_max - f->written)
        return rag_fail(
            reterr, RAG_EFORMAT, "longer than %llu bytes%s", (unsigned long long)f->bytes_max,
            f->file->size == HUB_SIZE_UNKNOWN ? ", the limit" : ", its size in the list");
    while (n > 0) {
        ssize_t done = pwrite(f->fd, data, n, (off_t)f->written);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return disk_failed(errno, "cannot write; what has come is kept", f->part, reterr);
        data += done;
        n -= (size_t)done;
        f->written += (uint64_t)done;
        f->fetched += (uint64_t)done;
    }
    if (f->fetch->on_progress)
        f->fetch->on_progress(f->fetch->context, f->written);
    return RAG_OK;
}

/* ---- one file ---- */

/* The folders of dir/a/b/c below dir. */
static enum rag_status make_folders(const char *dir, const char *name, struct rag_error *reterr)
{
    char path[PATH_BYTES_MAX];

    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        struct stat st;
        int n = snprintf(path, sizeof path, "%s/%.*s", dir, (int)(slash - name), name);

        if (n < 0 || (size_t)n >= sizeof path)
            return rag_fail(reterr, RAG_ELIMIT, "folder '%.200s': path over %d bytes", dir,
                            PATH_BYTES_MAX);
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            return disk_failed(errno, "cannot create the folder", path, reterr);
        if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
            return rag_fail(reterr, RAG_EEXIST, "folder '%s': something else is there", path);
    }
    return RAG_OK;
}

static enum rag_status name_paths(struct fetching *f, struct rag_error *reterr)
{
    int n = snprintf(f->path, sizeof f->path, "%s/%s", f->fetch->dir, f->file->name);
    int m = snprintf(f->part, sizeof f->part, "%s/%s.part", f->fetch->dir, f->file->name);

    if (n < 0 || m < 0 || (size_t)m >= sizeof f->part)
        return rag_fail(reterr, RAG_ELIMIT, "folder '%.200s': path over %d bytes", f->fetch->dir,
                        PATH_BYTES_MAX);
    return make_folders(f->fetch->dir, f->file->name, reterr);
}

/* Is the finished file there already, as an earlier call left it? */
static bool have_it(const struct fetching *f, char ret_sha256[SHA256_HEX_BYTES])
{
    uint8_t digest[SHA256_BYTES];
    struct stat st;

    if (f->file->sha256[0] == '\0' || lstat(f->path, &st) != 0 || !S_ISREG(st.st_mode) ||
        (f->file->size != HUB_SIZE_UNKNOWN && (uint64_t)st.st_size != f->file->size) ||
        sha256_file(f->path, digest, NULL) != RAG_OK)
        return false;
    sha256_hex(digest, ret_sha256);
    return strcmp(ret_sha256, f->file->sha256) == 0;
}

/* The part file, and how much of it can be kept. */
static enum rag_status open_part(struct fetching *f, bool afresh, struct rag_error *reterr)
{
    struct stat st;

    f->fd = open(f->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (f->fd < 0)
        return disk_failed(errno, "cannot create", f->part, reterr);
    if (fstat(f->fd, &st) != 0 || !S_ISREG(st.st_mode))
        return rag_fail(reterr, RAG_EEXIST, "file '%s': something else is there", f->part);
    f->written = (uint64_t)st.st_size;
    if (afresh || f->file->sha256[0] == '\0' || f->written > f->bytes_max)
        f->written = 0;
    return RAG_OK;
}

/* Everything is in the part file: is it what the list promised? */
static enum rag_status check_part(struct fetching *f, char ret_sha256[SHA256_HEX_BYTES],
                                  struct rag_error *reterr)
{
    uint8_t digest[SHA256_BYTES];
    enum rag_status status;

    if (f->file->size != HUB_SIZE_UNKNOWN && f->written != f->file->size)
        return rag_fail(reterr, RAG_EFORMAT, "file '%s': %llu bytes came, the list says %llu",
                        f->file->name, (unsigned long long)f->written,
                        (unsigned long long)f->file->size);
    status = sha256_file(f->part, digest, reterr);
    if (status != RAG_OK)
        return status;
    sha256_hex(digest, ret_sha256);
    if (f->file->sha256[0] != '\0' && strcmp(ret_sha256, f->file->sha256) != 0)
        return rag_fail(
            reterr, RAG_EFORMAT,
            "file '%s': SHA-256 %.16s..., the hub says %.16s...: damaged or replaced on "
            "the way",
            f->file->name, ret_sha256, f->file->sha256);
    return RAG_OK;
}

static enum rag_status transfer(struct hub *hub, const struct hub_model *model, struct fetching *f,
                                struct rag_error *reterr)
{
    struct hub_sink sink = {
        .offset = f->written, .begin = file_begin, .piece = file_piece, .context = f};
    enum rag_status status;
    char what[256];
    struct buf path;

    if (f->written > 0 && f->written == f->file->size)
        return RAG_OK; /* only the check was still to be done */
    buf_init(&path, PATH_BYTES_MAX);
    buf_append_char(&path, '/');
    hub_append_path(&path, model->name);
    buf_append_str(&path, "/resolve/");
    http_encode_segment(&path, model->commit);
    buf_append_char(&path, '/');
    hub_append_path(&path, f->file->name);
    snprintf(what, sizeof what, "file '%s' of '%s'", f->file->name, model->name);
    status = buf_status(&path);
    if (status == RAG_OK)
        status = hub_get(hub, buf_str(&path), what, &sink, NULL, reterr);
    else
        rag_fail(reterr, status, "%s: out of memory", what);
    buf_release(&path);
    return status;
}

/* One pass over a part file; RAG_EFORMAT or RAG_ELIMIT: what is there is of no use. */
static enum rag_status fetch_once(struct hub *hub, const struct hub_model *model,
                                  struct fetching *f, bool afresh,
                                  char ret_sha256[SHA256_HEX_BYTES], struct rag_error *reterr)
{
    enum rag_status status = open_part(f, afresh, reterr);

    if (status == RAG_OK)
        status = transfer(hub, model, f, reterr);
    if (status == RAG_OK && ftruncate(f->fd, (off_t)f->written) != 0)
        status = disk_failed(errno, "cannot truncate", f->part, reterr);
    if (status == RAG_OK && fsync(f->fd) != 0)
        status = disk_failed(errno, "cannot sync", f->part, reterr);
    if (status == RAG_OK)
        status = check_part(f, ret_sha256, reterr);
    if (status == RAG_OK && rename(f->part, f->path) != 0)
        status = disk_failed(errno, "cannot rename", f->part, reterr);
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    if (status == RAG_EFORMAT || status == RAG_ELIMIT)
        unlink(f->part);
    return status;
}

enum rag_status hub_fetch_file(struct hub *hub, const struct hub_model *model,
                               const struct hub_file *file, const struct hub_fetch *fetch,
                               char ret_sha256[SHA256_HEX_BYTES], uint64_t *ret_fetched,
                               struct rag_error *reterr)
{
    struct fetching f = {.file = file, .fetch = fetch, .fd = -1};
    uint64_t limit = hub_is_weights(file->name) ? HUB_WEIGHTS_BYTES_MAX : HUB_SMALL_BYTES_MAX;
    enum rag_status status;

    if (file->size != HUB_SIZE_UNKNOWN && file->size > limit)
        return rag_fail(reterr, RAG_ELIMIT, "file '%s' of '%s': %llu bytes, the limit is %llu",
                        file->name, model->name, (unsigned long long)file->size,
                        (unsigned long long)limit);
    f.bytes_max = file->size != HUB_SIZE_UNKNOWN ? file->size : limit;
    status = name_paths(&f, reterr);
    if (status != RAG_OK)
        return status;
    if (have_it(&f, ret_sha256)) {
        *ret_fetched = 0;
        return RAG_OK;
    }
    status = fetch_once(hub, model, &f, false, ret_sha256, reterr);
    if (status == RAG_EFORMAT || status == RAG_ELIMIT) /* the part may have been of another file */
        status = fetch_once(hub, model, &f, true, ret_sha256, reterr);
    *ret_fetched = f.fetched;
    return status;
}
