/* daemon/audit_retention.h - audit rows that are older than [audit] keep_days are cut, once a day.
 */
#ifndef RAG_DAEMON_AUDIT_RETENTION_H
#define RAG_DAEMON_AUDIT_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "store/audit.h"

struct audit_retention {
    struct audit *audit; /* borrowed */
    int64_t keep_days;   /* 0: for ever */
    int64_t next_ns;     /* clock_monotonic_ns() of the next look; 0: at once */
};

/* Rows before this wall time are older than keep_days; at least 1. */
int64_t audit_retention_before_ms(int64_t now_ms, int64_t keep_days);
/* Cut what is due, at most once a day, and log it; a failure is tried again in an hour. Of the
 * thread that calls it alone. */
void audit_retention_run(struct audit_retention *r);

#endif
