/* daemon/ragctl/ragctl_time.h - moments as people write them. Pure but for the clock given. */
#ifndef RAG_DAEMON_RAGCTL_TIME_H
#define RAG_DAEMON_RAGCTL_TIME_H

#include <stdint.h>

#include "base/status.h"

/* "2026-01-31", "2026-01-31T09:30", "2026-01-31T09:30:15Z" (all UTC), or a time before
 * 'now_ms': "90s", "30m", "24h", "7d". *ret_ms: UTC, ms since 1970. RAG_EINVAL: 'what'
 * names it in the message, which shows the forms. */
enum rag_status ragctl_time_parse(const char *text, const char *what, int64_t now_ms,
                                  int64_t *ret_ms, struct rag_error *reterr);

#endif
