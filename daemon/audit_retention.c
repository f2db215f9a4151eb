#include "daemon/audit_retention.h"

#include <stdio.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "daemon/log.h"

#define DAY_MS    86400000ll
#define DAY_NS    86400000000000ll
#define AGAIN_NS  3600000000000ll
#define PRINCIPAL "ragd" /* nobody asked: the configuration says so */

int64_t audit_retention_before_ms(int64_t now_ms, int64_t keep_days)
{
    int64_t before_ms = now_ms - keep_days * DAY_MS; /* AUDIT_KEEP_DAYS_MAX: no overflow */

    return before_ms > 1 ? before_ms : 1;
}

static enum rag_status cut(struct audit_retention *r, struct rag_error *reterr)
{
    int64_t before_ms = audit_retention_before_ms(clock_wall_ms(), r->keep_days);
    uint64_t first = audit_first_seq(r->audit);
    uint64_t seq = 0;
    char why[32];
    enum rag_status status = audit_seq_before(r->audit, before_ms, &seq, reterr);

    if (status != RAG_OK || seq == 0)
        return status;
    snprintf(why, sizeof why, "keep_days %lld", (long long)r->keep_days);
    status = audit_cut(r->audit, seq, PRINCIPAL, why, reterr);
    if (status == RAG_OK)
        log_event(LOG_INFO, NULL, "audit_pruned", "rows=%llu first=%llu keep_days=%lld",
                  (unsigned long long)(seq - first + 1), (unsigned long long)(seq + 1),
                  (long long)r->keep_days);
    return status;
}

void audit_retention_run(struct audit_retention *r)
{
    struct rag_error error = {RAG_OK, ""};
    int64_t now_ns = clock_monotonic_ns();

    if (r->keep_days == 0 || now_ns < r->next_ns)
        return;
    r->next_ns = now_ns + DAY_NS;
    if (cut(r, &error) == RAG_OK)
        return;
    r->next_ns = now_ns + AGAIN_NS;
    log_event(LOG_ERROR, NULL, "audit_prune_failed", "error=\"%s\"", error.text);
}
