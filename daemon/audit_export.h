/* daemon/audit_export.h - rows of the audit log as lines of JSON or CSV (docs/FORMATS.md). Pure.
 *
 * JSONL: the whole row, with salt and hashes, so that 'ragctl audit verify --file' can check it
 * without the database; the payload last, byte for byte as it was hashed.
 * CSV (RFC 4180): the columns of audit_export_header(), for spreadsheets. A text that a spreadsheet
 * would take for a formula gets an apostrophe before it, and white space that ends lines or cells
 * is a blank, so that no part of a text ever stands at the beginning of a cell unmarked. */
#ifndef RAG_DAEMON_AUDIT_EXPORT_H
#define RAG_DAEMON_AUDIT_EXPORT_H

#include "base/buf.h"
#include "store/audit.h"

/* Append a line; failures stick to the buf. */
void audit_export_json(const struct audit_export_row *row, struct buf *out);
void audit_export_header(struct buf *out); /* of CSV */
void audit_export_csv(const struct audit_export_row *row, struct buf *out);

/* What the last line of JSONL says: {"end": {...}}. */
struct audit_export_end {
    uint64_t n_rows;
    uint64_t after; /* it was to begin behind this row */
    bool filtered;  /* rows may be missing in between */
    bool limited;   /* and at the end */
    struct audit_head head;
    struct audit_checkpoint checkpoint; /* seq 0: none */
};
void audit_export_end(const struct audit_export_end *end, struct buf *out);

#endif
