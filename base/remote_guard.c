#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/bounds.h"
#include "base/clock.h"
#include "base/remote_internal.h"

#define NS_PER_MS INT64_C(1000000)

/* ---- circuit ---- */

bool circuit_admits(struct circuit *c, int64_t now_ns)
{
    if (c->open_until_ns == 0)
        return true;
    if (c->trying || now_ns < c->open_until_ns)
        return false;
    c->trying = true;
    return true;
}

void circuit_note(struct circuit *c, bool ok, int64_t now_ns)
{
    bool was_open = c->open_until_ns != 0;

    c->trying = false;
    if (ok) {
        *c = (struct circuit){0};
        return;
    }
    c->n_failed++;
    if (!was_open && c->n_failed < REMOTE_FAILURES_MAX)
        return;
    c->open_ms = c->open_ms == 0 ? REMOTE_OPEN_MS : c->open_ms * 2;
    if (c->open_ms > REMOTE_OPEN_MS_MAX)
        c->open_ms = REMOTE_OPEN_MS_MAX;
    c->open_until_ns = now_ns + c->open_ms * NS_PER_MS;
}

void circuit_forget(struct circuit *c)
{
    c->trying = false;
}

void circuit_hold(struct circuit *c, int64_t until_ns)
{
    c->trying = false;
    if (until_ns > c->open_until_ns)
        c->open_until_ns = until_ns;
}

/* ---- budget ----
 *
 * The file is one line, "DAY COUNT\n": days since 1970 (UTC), tries. COUNT runs ahead of the truth
 * by up to a hundredth of the budget, so that not every try waits for the disk. */

static int64_t ahead(const struct budget *b)
{
    int64_t n = b->per_day / 100;

    return n < REMOTE_BUDGET_AHEAD_MAX ? n : REMOTE_BUDGET_AHEAD_MAX;
}

static enum rag_status budget_write(struct budget *b, int64_t n, struct rag_error *reterr)
{
    struct atomic_file file = {0};
    enum rag_status status;
    char line[64];
    int bytes = snprintf(line, sizeof line, "%" PRId64 " %" PRId64 "\n", b->day, n);

    if (!b->path)
        return RAG_OK;
    status = atomic_file_open(&file, "budget", b->path, 0600, reterr);
    if (status == RAG_OK)
        status = atomic_file_write(&file, line, (uint64_t)bytes, reterr);
    if (status == RAG_OK)
        status = atomic_file_commit(&file, reterr);
    atomic_file_close(&file);
    if (status == RAG_OK)
        b->n_written = n;
    return status;
}

static enum rag_status budget_read(struct budget *b, struct rag_error *reterr)
{
    int fd = open(b->path, O_RDONLY | O_CLOEXEC);
    char line[64] = "";
    int64_t day;
    int64_t n;
    ssize_t bytes;
    char end;

    if (fd < 0 && errno == ENOENT)
        return RAG_OK;
    if (fd < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "budget '%s': cannot open", b->path);
    bytes = read(fd, line, sizeof line - 1);
    close(fd);
    if (bytes < 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "budget '%s': cannot read", b->path);
    if (sscanf(line, "%18" SCNd64 " %18" SCNd64 "%c", &day, &n, &end) != 3 || end != '\n' ||
        day < 0 || n < 0)
        return rag_fail(reterr, RAG_EFORMAT,
                        "budget '%s': is not 'DAY COUNT'; remove it to begin the day anew",
                        b->path);
    if (day == b->day)
        b->n_used = n;
    return RAG_OK;
}

enum rag_status budget_open(struct budget *b, int64_t per_day, const char *path,
                            struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    *b = (struct budget){.per_day = per_day, .day = clock_wall_ms() / 86400000};
    if (per_day == 0 || !path)
        return RAG_OK;
    b->path = strdup(path);
    if (!b->path)
        return rag_fail(reterr, RAG_ENOMEM, "budget: out of memory");
    status = budget_read(b, reterr);
    if (status == RAG_OK) /* and now, since later would be in the middle of a question */
        status = budget_write(b, b->n_used, reterr);
    return status;
}

void budget_close(struct budget *b)
{
    if (b->path && b->n_written != b->n_used)
        (void)budget_write(b, b->n_used, NULL); /* what is there counts too much, not too little */
    free(b->path);
    b->path = NULL;
}

enum rag_status budget_take(struct budget *b, int64_t day, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    if (day > b->day) { /* a clock that steps back brings no new budget */
        b->day = day;
        b->n_used = b->n_written = 0;
    }
    if (b->per_day > 0 && b->n_used >= b->per_day)
        return rag_fail(reterr, RAG_EBUSY,
                        "the day's %" PRId64 " calls are spent; calls_per_day allows no more "
                        "before midnight UTC",
                        b->per_day);
    if (b->per_day > 0 && b->n_used >= b->n_written) {
        int64_t n = b->n_used + 1 + ahead(b);

        status = budget_write(b, n < b->per_day ? n : b->per_day, reterr);
    }
    if (status == RAG_OK)
        b->n_used++;
    return status;
}
