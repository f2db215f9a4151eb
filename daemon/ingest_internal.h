/* daemon/ingest_internal.h - what ingest.c and ingest_bulk.c share (internal). */
#ifndef RAG_DAEMON_INGEST_INTERNAL_H
#define RAG_DAEMON_INGEST_INTERNAL_H

#include "daemon/ingest.h"

/* Audit rows that wait for one commit together, each owning its payload. One thread. */
#define PENDING_MAX 128
struct pending_audit {
    struct audit_item items[PENDING_MAX];
    char *payloads[PENDING_MAX];   /* owned; items[i].payload points to it */
    char *principals[PENDING_MAX]; /* likewise */
    size_t n;
};
/* Commit what waits; empties 'p' also on failure (the next start records what is missing). */
enum rag_status pending_flush(const struct ingest *ingest, struct pending_audit *p,
                              struct rag_error *reterr);

/* Ingest what is extracted already: 'record' is moved from. With 'pending' the audit row
 * waits there, else it is durable on return. */
enum rag_status ingest_extracted(const struct ingest *ingest, struct collection *c,
                                 const struct ingest_source *source, struct extracted *record,
                                 struct pending_audit *pending, struct ingest_result *ret,
                                 struct rag_error *reterr);

/* Check text, title and metadata by the policy and mask them in place. RAG_EDENIED with the rule
 * and its reason; ret is set then too. */
enum rag_status ingest_guard_check(const struct ingest *ingest, const char *collection,
                                   const char *name, struct extracted *extracted, struct buf *title,
                                   char **metadata, struct ingest_guarded *ret,
                                   struct rag_error *reterr);
#endif
