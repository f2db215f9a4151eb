#define _GNU_SOURCE
#include "store/state_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum rag_status state_lock(const char *state_dir, const char *name, int *ret_fd,
                           bool *ret_was_unclean, struct rag_error *reterr)
{
    char path[4096];
    char pid[32];
    ssize_t n;
    int fd;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", state_dir, name) >= sizeof path)
        return rag_fail(reterr, RAG_EINVAL, "state '%.200s': a path of %zu bytes, the limit is %zu",
                        state_dir, strlen(state_dir), sizeof path - 32);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return rag_fail_errno(
            reterr,
            errno == EROFS || errno == ENOSPC || errno == EDQUOT || errno == EACCES ? RAG_ENOSPC
                                                                                    : RAG_EIO,
            errno, "state '%s': cannot write its file '%s'", state_dir, name);
    n = flock(fd, LOCK_EX | LOCK_NB);
    if (n < 0 && errno != EWOULDBLOCK) {
        int errnum = errno;

        (void)close(fd);
        return rag_fail_errno(reterr, RAG_EIO, errnum, "state '%s': cannot lock", state_dir);
    }
    if (n < 0) {
        n = pread(fd, pid, sizeof pid - 1, 0);
        (void)close(fd);
        pid[n > 0 ? n : 0] = '\0';
        pid[strcspn(pid, "\n")] = '\0';
        return rag_fail(reterr, RAG_EEXIST, "state '%s': in use by pid %s", state_dir,
                        pid[0] ? pid : "unknown");
    }
    *ret_was_unclean = pread(fd, pid, 1, 0) == 1;
    n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
        int errnum = errno;

        (void)close(fd);
        return rag_fail_errno(reterr, errnum == EIO ? RAG_EIO : RAG_ENOSPC, errnum,
                              "state '%s': cannot write its file '%s'", state_dir, name);
    }
    *ret_fd = fd;
    return RAG_OK;
}

void state_unlock(int fd, bool clean)
{
    if (fd < 0)
        return;
    if (clean && ftruncate(fd, 0) < 0)
        clean = false; /* the next open then checks more than it has to */
    (void)close(fd);
}
