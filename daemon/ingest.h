/* daemon/ingest.h - the life of one document, from a file's bytes to its index entry.
 *
 *   1. name -> NFC, checked            5. old version's chunks -> postings (to take away)
 *   2. source hash: unchanged? done    6. store: stage and publish      (durable from here)
 *   3. extract text and structure,     7. index: one batch, visible at once
 *      checked and masked by the       8. audit record                  (durable), then reply
 *      policy                             (vectors follow in the background)
 *   4. chunk, hash, analyse
 *
 * A failure before 6 leaves nothing; a crash after 6 is mended at start from the store
 * (index) and from its change log (audit). When 8 fails (the disk is full) the change is there
 * and its caller gets the error; nothing further is changed or called unchanged until the record
 * is written (ingest_settle_audit). Thread-safe: documents of different names go side by side. */
#ifndef RAG_DAEMON_INGEST_H
#define RAG_DAEMON_INGEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json_writer.h"
#include "base/status.h"
#include "cache/answer_cache.h"
#include "daemon/collections.h"
#include "daemon/metrics.h"
#include "embed/extract.h"
#include "guard/guard.h"
#include "store/audit.h"
#include "store/store.h"
#include "text/analyzer.h"

/* Audit records that could not be written. They are owed as long as the two differ. */
struct audit_debt {
    atomic_uint_fast64_t incurred; /* failures */
    atomic_uint_fast64_t settled;  /* of them, what a later catch-up has made good */
};

struct ingest {
    struct store *store; /* borrowed, as all here */
    struct audit *audit;
    struct collections *collections;
    const struct analyzer *analyzer;
    struct answer_cache *cache; /* NULL: none */
    const struct guard *guard;  /* NULL: documents are stored as they come */
    struct metrics *metrics;    /* NULL: nothing is counted */
    struct audit_debt *debt;
};

/* The stored form of a document's name: NFC, checked. Appends to an empty 'out' of
 * INGEST_NAME_BUF bytes. RAG_EINVAL (empty, too long, not UTF-8, a control
 * character), RAG_ENOMEM. */
#define INGEST_NAME_BUF                                                                            \
    ((size_t)DOCUMENT_NAME_BYTES_MAX * 3) /* NFC grows 3 times at worst (UAX #15) */
enum rag_status ingest_document_name(const char *name, struct buf *out, struct rag_error *reterr);

struct ingest_source {
    const char *name;            /* of the document, UTF-8 */
    enum document_format format; /* not FORMAT_NDJSON */
    const char *body;
    size_t n_bytes;
    const char *title;    /* overrides the extracted one; NULL: none given */
    const char *metadata; /* JSON object text, or NULL */
    const char *principal;
    const char *request_id;
};
/* What the policy found in a document, its title and its metadata. */
#define INGEST_GUARDED_MAX 32 /* kinds of findings that are told apart */
struct ingest_guarded {
    enum guard_action verdict;
    size_t n_findings; /* places; those beyond GUARD_FINDINGS_MAX of a text are not counted */
    struct {
        const char *rule; /* of the guard, as detail */
        const char *detail;
        enum guard_action action;
        size_t n;
    } items[INGEST_GUARDED_MAX];
    size_t n_items;
};
struct ingest_result {
    bool unchanged; /* same bytes, settings and metadata as stored: nothing was done */
    bool created;   /* no document of that name was there */
    uint64_t change;
    uint64_t version_id;
    uint64_t n_chunks;
    uint64_t text_bytes;
    struct ingest_guarded guarded;
};
/* {"verdict", "findings": [{"rule", "detail", "action", "n"}]} */
void ingest_guarded_write(const struct ingest_guarded *g, struct json_writer *w, const char *key);

/* RAG_EDENIED: the policy refuses the document (an audit row "document.refused" says why). */
enum rag_status ingest_document(const struct ingest *ingest, struct collection *c,
                                const struct ingest_source *source, struct ingest_result *ret,
                                struct rag_error *reterr);

/* NDJSON: every line a document of its own, acknowledged when the call returns. A bad line
 * is counted and described (the first INGEST_ERRORS_MAX) and the others go on. single: the
 * body is one JSON record over any number of lines. together: an audit row tells of many documents
 * at once, by name and version, instead of one row each. */
#define INGEST_ERRORS_MAX 100
struct ingest_bulk_error {
    size_t line;
    char message[256];
};
struct ingest_bulk_result {
    uint64_t n_accepted; /* new or changed */
    uint64_t n_unchanged;
    uint64_t n_failed;
    struct ingest_bulk_error errors[INGEST_ERRORS_MAX];
    size_t n_errors;
};
enum rag_status ingest_records(const struct ingest *ingest, struct collection *c, bool single,
                               bool together, const char *body, size_t n_bytes,
                               const char *principal, const char *request_id,
                               const atomic_bool *cancel, struct ingest_bulk_result *ret,
                               struct rag_error *reterr);

enum rag_status ingest_delete(const struct ingest *ingest, struct collection *c, const char *name,
                              const char *principal, const char *request_id, uint64_t *ret_change,
                              struct rag_error *reterr);

/* The audit record of a change could not be written: to be settled before the next change. */
void ingest_owe_audit(const struct ingest *ingest);
/* Write the records that are owed, if any are. Costs two loads when none are. */
enum rag_status ingest_settle_audit(const struct ingest *ingest, struct rag_error *reterr);
/* Write the audit records of changes that a crash left without one. */
enum rag_status ingest_catch_up_audit(const struct ingest *ingest, size_t *ret_n,
                                      struct rag_error *reterr);

#endif
