/* Invariants:
 *   1. a slot whose 'begin' is above SLOT_CLAIMED describes a live mapping: 'end' and 'damaged'
 * were set before 'begin' was published;
 *   2. 'begin' is back at SLOT_CLAIMED before the mapping is removed, so the handler never maps
 * zeros over memory that is no longer ours;
 *   3. 'damaged' goes from false to true only, and only close makes the slot usable again. */
#define _GNU_SOURCE
#include "nn/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bounds.h"

#define SLOT_FREE    ((uintptr_t)0)
#define SLOT_CLAIMED ((uintptr_t)1)

_Static_assert(ATOMIC_POINTER_LOCK_FREE == 2, "the handler may not take a lock");

struct slot {
    atomic_uintptr_t begin; /* SLOT_FREE, SLOT_CLAIMED or the first mapped address */
    atomic_uintptr_t end;
    atomic_bool damaged;
};

static struct slot slots[MAPPED_FILES_MAX];
static struct sigaction previous; /* written by mapped_file_guard() before the handler is set */

struct mapped_file {
    struct slot *slot;
    uint8_t *data; /* mapped */
    size_t n_bytes;
    int fd; /* kept open: a cut inside the last page raises no signal, fstat sees it */
    struct timespec mtime; /* at open */
    char *path;            /* owned */
};

/* Zeros from the page of 'address' to the end of its mapping, at once: a file that lost its tail
 * would otherwise cost one signal and one kernel mapping for each of its pages. */
static bool replace_by_zeros(uintptr_t address)
{
    for (size_t i = 0; i < MAPPED_FILES_MAX; i++) {
        uintptr_t begin = atomic_load(&slots[i].begin);
        uintptr_t end;
        uintptr_t page;

        if (begin <= SLOT_CLAIMED || address < begin)
            continue;
        end = atomic_load(&slots[i].end);
        if (address >= end)
            continue;
        page = address - address % (uintptr_t)sysconf(_SC_PAGESIZE);
        atomic_store(&slots[i].damaged, true);
        return mmap((void *)page, end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                    -1, 0) != MAP_FAILED;
    }
    return false;
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    int saved = errno;

    if (info->si_code > 0 && replace_by_zeros((uintptr_t)info->si_addr)) {
        errno = saved;
        return;
    }
    errno = saved;
    if ((previous.sa_flags & SA_SIGINFO) != 0) {
        previous.sa_sigaction(number, info, context);
    } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(number);
    } else {
        /* the instruction faults again and ends the process as it would have without us; a signal
         * that was sent, not raised by a fault, has to be sent again */
        signal(SIGBUS, SIG_DFL);
        if (info->si_code <= 0)
            raise(SIGBUS);
    }
}

enum rag_status mapped_file_guard(struct rag_error *reterr)
{
    struct sigaction action;
    struct sigaction current;

    if (sigaction(SIGBUS, NULL, &current) < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "signal handler for SIGBUS");
    if ((current.sa_flags & SA_SIGINFO) != 0 && current.sa_sigaction == on_sigbus)
        return RAG_OK;
    previous = current;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_sigbus;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, &action, NULL) < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "signal handler for SIGBUS");
    return RAG_OK;
}

static struct slot *claim_slot(void)
{
    for (size_t i = 0; i < MAPPED_FILES_MAX; i++) {
        uintptr_t expected = SLOT_FREE;

        if (atomic_compare_exchange_strong(&slots[i].begin, &expected, SLOT_CLAIMED))
            return &slots[i];
    }
    return NULL;
}

/* Open and look: a directory, a device or a pipe is no model file. */
static enum rag_status open_regular(const char *path, struct mapped_file *f,
                                    struct rag_error *reterr)
{
    struct stat sb;

    /* O_NONBLOCK: opening a pipe would wait for its writer */
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (f->fd < 0)
        return rag_fail_errno(reterr, errno == ENOENT || errno == ENOTDIR ? RAG_ENOTFOUND : RAG_EIO,
                              errno, "file '%s'", path);
    if (fstat(f->fd, &sb) < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s'", path);
    if (!S_ISREG(sb.st_mode))
        return rag_fail(reterr, RAG_EFORMAT, "file '%s': not a regular file", path);
    if (sb.st_size <= 0)
        return rag_fail(reterr, RAG_EFORMAT, "file '%s': empty", path);
    f->n_bytes = (size_t)sb.st_size;
    f->mtime = sb.st_mtim;
    return RAG_OK;
}

enum rag_status mapped_file_open(const char *path, struct mapped_file **ret,
                                 struct rag_error *reterr)
{
    struct mapped_file *f = calloc(1, sizeof *f);
    enum rag_status status = RAG_OK;
    void *data;

    if (!f)
        return rag_fail(reterr, RAG_ENOMEM, "file '%s': out of memory", path);
    f->fd = -1;
    f->path = strdup(path);
    if (!f->path) {
        status = rag_fail(reterr, RAG_ENOMEM, "file '%s': out of memory", path);
        goto out;
    }
    status = open_regular(path, f, reterr);
    if (status != RAG_OK)
        goto out;
    f->slot = claim_slot();
    if (!f->slot) {
        status = rag_fail(reterr, RAG_ELIMIT,
                          "file '%s': %d model files are mapped, the limit; "
                          "load fewer models",
                          path, MAPPED_FILES_MAX);
        goto out;
    }
    data = mmap(NULL, f->n_bytes, PROT_READ, MAP_PRIVATE, f->fd, 0);
    if (data == MAP_FAILED) {
        status = rag_fail_errno(reterr, errno == ENOMEM ? RAG_ENOMEM : RAG_EIO, errno,
                                "file '%s': mapping %zu bytes", path, f->n_bytes);
        goto out;
    }
    f->data = data;
    atomic_store(&f->slot->damaged, false);
    atomic_store(&f->slot->end, (uintptr_t)f->data + f->n_bytes);
    atomic_store(&f->slot->begin, (uintptr_t)f->data);
    *ret = f; /* ownership to the caller */
    f = NULL;
out:
    mapped_file_close(f);
    return status;
}

void mapped_file_close(struct mapped_file *f)
{
    if (!f)
        return;
    if (f->slot)
        atomic_store(&f->slot->begin, SLOT_CLAIMED);
    if (f->data)
        munmap(f->data, f->n_bytes);
    if (f->slot)
        atomic_store(&f->slot->begin, SLOT_FREE);
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    free(f);
}

const uint8_t *mapped_file_data(const struct mapped_file *f)
{
    return f->data;
}

size_t mapped_file_size(const struct mapped_file *f)
{
    return f->n_bytes;
}

const char *mapped_file_path(const struct mapped_file *f)
{
    return f->path;
}

void mapped_file_forget(const struct mapped_file *f, size_t first, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t begin = first + (page - first % page) % page;
    size_t end = first + n - (first + n) % page;

    if (begin < end) /* whole pages only */
        (void)madvise(f->data + begin, end - begin, MADV_DONTNEED);
}

bool mapped_file_intact(const struct mapped_file *f)
{
    struct stat sb;

    if (atomic_load(&f->slot->damaged))
        return false;
    return fstat(f->fd, &sb) == 0 && sb.st_size == (off_t)f->n_bytes &&
           sb.st_mtim.tv_sec == f->mtime.tv_sec && sb.st_mtim.tv_nsec == f->mtime.tv_nsec;
}
