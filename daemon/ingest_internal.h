/* daemon/ingest_internal.h - what ingest.c and ingest_bulk.c share (internal). */
#ifndef RAG_DAEMON_INGEST_INTERNAL_H
#define RAG_DAEMON_INGEST_INTERNAL_H

#include "base/json_writer.h"
#include "daemon/ingest.h"

/* Documents that one row tells of: all of them by name and version, so that nothing is lost but
 * rows. Of a body that asked for it; the caller's. */
#define TOGETHER_MAX       1000       /* documents of one row */
#define TOGETHER_BYTES     (1u << 16) /* a row ends behind the one with which it grows past this */
#define TOGETHER_BYTES_MAX (1u << 18) /* with room for the longest name, escaped, and findings */
struct together {
    struct buf payload; /* of n > 0, open */
    struct json_writer w;
    const char *principal; /* borrowed */
    uint64_t changes[TOGETHER_MAX];
    size_t n;
};

/* Audit rows that wait for one commit together, each owning its payload. One thread. */
#define PENDING_MAX 128
struct pending_audit {
    struct audit_item items[PENDING_MAX];
    char *payloads[PENDING_MAX];   /* owned; items[i].payload points to it */
    char *principals[PENDING_MAX]; /* likewise */
    size_t n;
    struct together *together; /* NULL: a row for each document */
};
/* Commit what waits; empties 'p' also on failure (the next start records what is missing). */
enum rag_status pending_flush(const struct ingest *ingest, struct pending_audit *p,
                              struct rag_error *reterr);
/* Record a change: now and durably, or with 'pending' when that is flushed. 'kind' is a static
 * text; result: NULL or what is known of it; change: the store's, or 0. */
enum rag_status ingest_audit_change(const struct ingest *ingest, struct pending_audit *pending,
                                    const char *kind, const char *collection, const char *document,
                                    const char *principal, const char *request_id,
                                    const struct ingest_result *result, uint64_t change,
                                    struct rag_error *reterr);
/* The same of a document that was stored, which may share a row with others of its body. */
enum rag_status ingest_audit_put(const struct ingest *ingest, struct pending_audit *pending,
                                 const char *collection, const char *document,
                                 const struct ingest_source *s, const struct ingest_result *result,
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
