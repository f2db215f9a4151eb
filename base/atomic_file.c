#define _GNU_SOURCE
#include "base/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITE_BYTES_MAX (1u << 30) /* of one write(2): Linux takes no more than 2 GiB */

enum rag_status atomic_file_open(struct atomic_file *f, const char *noun, const char *path,
                                 mode_t mode, struct rag_error *reterr)
{
    char *temporary = NULL;
    int fd;

    memset(f, 0, sizeof *f);
    if (asprintf(&temporary, "%s.tmp", path) < 0)
        return rag_fail(reterr, RAG_ENOMEM, "%s '%s': out of memory", noun, path);
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        int errnum = errno;
        enum rag_status status = rag_fail_errno(reterr, rag_status_of_write(errnum), errnum,
                                                "%s '%s': cannot create", noun, temporary);

        free(temporary);
        return status;
    }
    *f = (struct atomic_file){noun, path, temporary, fd};
    return RAG_OK;
}

enum rag_status atomic_file_write(struct atomic_file *f, const void *data, uint64_t n_bytes,
                                  struct rag_error *reterr)
{
    const uint8_t *at = data;

    while (n_bytes > 0) {
        ssize_t written =
            write(f->fd, at, n_bytes < WRITE_BYTES_MAX ? (size_t)n_bytes : WRITE_BYTES_MAX);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return rag_fail_errno(reterr, rag_status_of_write(errno), errno,
                                  "%s '%s': cannot write", f->noun, f->temporary);
        at += written;
        n_bytes -= (uint64_t)written;
    }
    return RAG_OK;
}

static enum rag_status sync_folder(const struct atomic_file *f, struct rag_error *reterr)
{
    const char *path = f->path;
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    enum rag_status status = RAG_OK;
    int fd;

    if (!folder)
        return rag_fail(reterr, RAG_ENOMEM, "%s '%s': out of memory", f->noun, path);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        status = rag_fail_errno(reterr, RAG_EIO, errno, "folder '%s': cannot sync", folder);
    if (fd >= 0)
        (void)close(fd);
    free(folder);
    return status;
}

enum rag_status atomic_file_commit(struct atomic_file *f, struct rag_error *reterr)
{
    if (fsync(f->fd) != 0)
        return rag_fail_errno(reterr, rag_status_of_write(errno), errno, "%s '%s': cannot sync",
                              f->noun, f->temporary);
    if (rename(f->temporary, f->path) != 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "%s '%s': cannot rename to it", f->noun,
                              f->path);
    free(f->temporary);
    f->temporary = NULL; /* it is 'path' now */
    return sync_folder(f, reterr);
}

void atomic_file_close(struct atomic_file *f)
{
    if (!f->path)
        return;
    (void)close(f->fd);
    if (f->temporary)
        (void)unlink(f->temporary);
    free(f->temporary);
    memset(f, 0, sizeof *f);
}
