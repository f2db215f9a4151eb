/* daemon/ragctl/tune_report.h - what 'ragctl tune' prints when it is done. */
#ifndef RAG_DAEMON_TUNE_REPORT_H
#define RAG_DAEMON_TUNE_REPORT_H

#include <stddef.h>

#include "base/buf.h"
#include "daemon/ragctl/tune_parts.h"

struct tune_row {
    const char *part;
    struct tune_outcome outcome;
};

/* A table for people; one JSON object. verb: what was asked for. */
void tune_report_text(const struct tune_bench *b, const struct tune_row *rows, size_t n,
                      struct buf *out);
void tune_report_json(const struct tune_bench *b, const char *verb, const struct tune_row *rows,
                      size_t n, struct buf *out);

#endif
