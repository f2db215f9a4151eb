/* daemon/ragctl/doctor_system.c - the machine: kernels, clock, state folder. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>

#include "base/clock.h"
#include "daemon/ragctl/doctor.h"
#include "daemon/ragctl/progress.h"
#include "nn/kernels.h"

#define FREE_BYTES_FAIL  (256ull << 20) /* an ingest of a few documents would fill it */
#define FREE_BYTES_WARN  (2ull << 30)
#define CLOCK_MS_MIN     1767225600000 /* 2026-01-01 */
#define FREE_INODES_FAIL 100           /* snapshots are written into new files */
#define FREE_INODES_WARN 1000

/* What models would be computed with on this machine. ragd mends what OpenBLAS takes the CPU for
 * (daemon/reexec.h), unless a person asks for a core. */
void doctor_check_compute(struct doctor *d)
{
    const struct kernels *kernels = NULL;
    const char *better = NULL;
    const char *core = kernels_blas_core(&better);
    const char *asked = getenv("OPENBLAS_CORETYPE");
    struct rag_error error = {RAG_OK, ""};

    if (kernels_choose(&kernels, &error) != RAG_OK)
        doctor_finding(d, FINDING_FAIL, "compute", "%s", error.text);
    else if (better && asked && *asked)
        doctor_finding(d, FINDING_WARN, "compute",
                       "kernels %s; OPENBLAS_CORETYPE=%s makes fp32 models slower than '%s' would",
                       kernels_name(kernels), asked, better);
    else
        doctor_finding(d, FINDING_OK, "compute", "kernels %s; OpenBLAS for %s",
                       kernels_name(kernels), better ? better : core);
}

/* Times in the audit log and of certificates hang on it. */
void doctor_check_clock(struct doctor *d)
{
    struct timex clock = {.modes = 0}; /* only ask */
    char now[CLOCK_TEXT_BYTES];
    int state = adjtimex(&clock);

    clock_format(clock_wall_ms(), now);
    if (clock_wall_ms() < CLOCK_MS_MIN)
        doctor_finding(d, FINDING_FAIL, "clock",
                       "%s is before this program was written; set the clock", now);
    else if (state == TIME_ERROR || (clock.status & STA_UNSYNC))
        doctor_finding(d, FINDING_OK, "clock",
                       "%s UTC; the kernel has no word of a time server (containers often have "
                       "none)",
                       now);
    else
        doctor_finding(d, FINDING_OK, "clock", "%s, synchronised", now);
}

static enum finding severity(uint64_t n, uint64_t fail_below, uint64_t warn_below)
{
    return n < fail_below ? FINDING_FAIL : n < warn_below ? FINDING_WARN : FINDING_OK;
}

/* A file of the state folder, when it is there: nobody else's to read, and of the folder's owner.
 */
static void check_state_file(struct doctor *d, const char *name, uid_t owner)
{
    char path[DOCTOR_TEXT_BYTES_MAX];
    struct stat sb;

    snprintf(path, sizeof path, "%s/%s", d->state_dir, name);
    if (stat(path, &sb) != 0)
        return;
    if (sb.st_uid != owner)
        doctor_finding(d, FINDING_FAIL, "state",
                       "'%s': belongs to uid %lu, the folder to uid %lu: ragd ran as another "
                       "user; chown it to the folder's owner",
                       path, (unsigned long)sb.st_uid, (unsigned long)owner);
    else if (sb.st_mode & 0077)
        doctor_finding(d, FINDING_WARN, "state", "'%s': mode %04o lets others at it; chmod 600 it",
                       path, (unsigned)(sb.st_mode & 07777));
}

void doctor_check_state(struct doctor *d)
{
    static const char *const files[] = {"ragd.db", "audit.db", "audit.key", "cache.db", "kv.cache"};
    struct statvfs fs;
    uint64_t n_free;
    struct stat sb;
    struct buf text;

    if (!d->state_dir)
        return;
    if (stat(d->state_dir, &sb) != 0 || statvfs(d->state_dir, &fs) != 0) {
        doctor_finding(d, FINDING_FAIL, "state", "'%s': %s; --state names another folder",
                       d->state_dir, strerror(errno));
        return;
    }
    if (sb.st_mode & 0077)
        doctor_finding(d, FINDING_WARN, "state",
                       "'%s': mode %04o lets others read the documents; chmod 700 it", d->state_dir,
                       (unsigned)(sb.st_mode & 07777));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        check_state_file(d, files[i], sb.st_uid);
    n_free = (uint64_t)fs.f_bavail * fs.f_frsize;
    buf_init(&text, DOCTOR_TEXT_BYTES_MAX);
    progress_append_bytes(&text, n_free);
    doctor_finding(d, severity(n_free, FREE_BYTES_FAIL, FREE_BYTES_WARN), "disk", "'%s': %s free",
                   d->state_dir, buf_str(&text));
    buf_release(&text);
    if (fs.f_files > 0) /* else the file system makes them as it needs them */
        doctor_finding(d, severity(fs.f_favail, FREE_INODES_FAIL, FREE_INODES_WARN), "disk",
                       "'%s': %" PRIu64 " files can still be made", d->state_dir,
                       (uint64_t)fs.f_favail);
}
