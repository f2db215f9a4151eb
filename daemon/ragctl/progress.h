/* daemon/ragctl/progress.h - one line on a terminal that says how far a long job is.
 *
 *     [########............]  41%  512/1240 files  18.3 MB  96.1 files/s  ETA 0:07
 *
 * Drawn at most ten times a second, and only where somebody can see it: 'out' is a
 * terminal and the job is not quiet. Everywhere else every call is nearly free and writes
 * nothing but what progress_note() is asked to say. Not thread-safe: callers that work in
 * several threads hold a mutex of their own around these calls. */
#ifndef RAG_DAEMON_PROGRESS_H
#define RAG_DAEMON_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"

struct progress {
    FILE *out;            /* borrowed; normally stderr */
    const char *noun;     /* borrowed: "files", "questions" */
    uint64_t total;       /* of things; 0: unknown */
    uint64_t total_bytes; /* 0: the bar counts things; both 0: no bar and no ETA */
    uint64_t done;
    uint64_t done_bytes;
    int64_t start_ns; /* clock_monotonic_ns() */
    int64_t drawn_ns; /* of the last drawing; 0: never */
    bool visible;
    bool on_screen; /* the line is there now and has to be cleared before other text */
};

/* Start the clock. 'total_bytes' makes the bar and the ETA follow bytes, which is fairer
 * when things differ in size. */
void progress_init(struct progress *p, FILE *out, bool quiet, const char *noun, uint64_t total,
                   uint64_t total_bytes);
/* Say how much is done so far (totals, not differences). */
void progress_update(struct progress *p, uint64_t done, uint64_t done_bytes);
/* Write a line of text to 'out', above the bar. Written whether visible or not. */
void progress_note(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Remove the bar. The job's own summary follows. A second call is a no-op. */
void progress_finish(struct progress *p);

/* The line for a terminal of 'columns' columns, without end of line: what the others draw.
 *     rate = done / elapsed_s;  ETA = elapsed_s * (1 - f) / f,  f = the part that is done
 * No ETA is given before f > 0 and one second has passed. Pure. */
void progress_format(const struct progress *p, double elapsed_s, unsigned columns, struct buf *out);

/* "0:07", "12:40", "3:05:00"; "1.5 kB", "18.3 MB" (powers of 1000). Appended to out. */
void progress_append_duration(struct buf *out, double seconds);
void progress_append_bytes(struct buf *out, uint64_t n_bytes);

#endif
