/* store/audit.h - the audit log, format v1: a hash chain in a database of its own.
 *
 *     payload_hash = SHA-256(salt, payload)
 *     hash = SHA-256(previous hash, seq, time_ms, kind, principal, payload_hash)
 *
 * each part preceded by its length as little-endian u64 (base/sha256.h), numbers as
 * little-endian u64, the first previous hash 32 zero bytes. Erasing a payload (and its
 * salt) on lawful request leaves payload_hash, so the chain still verifies and says
 * "erased". The head (count, hash) is also kept in the file audit.head and may be copied
 * anywhere: verifying against it finds a dropped tail. It may lag behind the database after a
 * crash and is never ahead; when it is found ahead at open, its line is kept in
 * audit.head.lost and every verification fails until that file is removed. Retention cuts the chain
 * at a checkpoint signed with Ed25519. Thread-safe; appends are committed in groups. */
#ifndef RAG_STORE_AUDIT_H
#define RAG_STORE_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/sha256.h"
#include "base/status.h"
#include "store/audit_chain.h"

struct audit; /* opaque */

enum rag_status audit_open(const char *state_dir, struct audit **ret, struct rag_error *reterr);
void audit_close(struct audit *audit);

struct audit_entry {
    uint64_t seq; /* from 1; assigned by append */
    int64_t time_ms;
    const char *kind; /* "ask", "search", "document.put", "document.delete", ... */
    const char *principal;
    const char *payload; /* JSON object; NULL: erased */
    uint8_t hash[SHA256_BYTES];
    uint64_t change; /* store change that it tells of, the first one, or 0; at most one row each */
};
/* Append and return after the commit is durable. With change != 0 a row that is already
 * there for it makes this a no-op (ret_seq is that row's). */
enum rag_status audit_append(struct audit *audit, const char *kind, const char *principal,
                             const char *payload, uint64_t change, uint64_t *ret_seq,
                             struct rag_error *reterr);
/* The same of a payload that was built in a buffer, which is released. Where building it failed,
 * RAG_ELIMIT or RAG_ENOMEM. */
enum rag_status audit_append_buf(struct audit *audit, const char *kind, const char *principal,
                                 struct buf *payload, uint64_t change, struct rag_error *reterr);
/* The same for n rows, in order, in one commit; all of them or, on failure, none. A row that tells
 * of several changes is a no-op when each of them is recorded already; else it is theirs that were
 * not. */
struct audit_item {
    const char *kind;
    const char *principal;
    const char *payload;
    uint64_t change;
    const uint64_t *more; /* n_more further changes that the row tells of; with change != 0 */
    size_t n_more;
};
enum rag_status audit_append_all(struct audit *audit, const struct audit_item *items, size_t n,
                                 struct rag_error *reterr);
uint64_t audit_last_change(struct audit *audit); /* largest change number recorded */
/* The largest c so that each of the changes 1..c has its row, or 0 when one below the largest
 * is missing (change numbers have no gaps). O(rows of changes), of an index alone. */
uint64_t audit_changes_recorded(struct audit *audit);

struct audit_head {
    uint64_t n; /* rows ever appended */
    uint8_t hash[SHA256_BYTES];
};
void audit_head(struct audit *audit, struct audit_head *ret);
uint64_t
audit_first_seq(struct audit *audit); /* of the rows that were not cut; 1 of an empty log */
/* The last of the rows from the first on that are all older than before_ms, but never the log's
 * last row, which stays: what audit_cut() takes. *ret_seq is 0 when there is none. Reads the rows
 * that would go. */
enum rag_status audit_seq_before(struct audit *audit, int64_t before_ms, uint64_t *ret_seq,
                                 struct rag_error *reterr);

/* Rows with seq > after, ascending (or seq < before, descending, when before != 0). */
struct audit_query {
    uint64_t after;
    uint64_t before;
    size_t limit;
    const char *kind;      /* or NULL */
    const char *principal; /* or NULL */
    int64_t since_ms;      /* 0: no bound */
    int64_t until_ms;
    const char *request_id; /* only rows whose payload begins with this one, ascending; or NULL */
};
enum rag_status audit_list(struct audit *audit, const struct audit_query *query,
                           enum rag_status (*visit)(void *context, const struct audit_entry *entry,
                                                    struct rag_error *reterr),
                           void *context, struct rag_error *reterr);
enum rag_status audit_get(struct audit *audit, uint64_t seq, struct arena *arena,
                          struct audit_entry *ret, struct rag_error *reterr);

/* The first row of a request: RAG_ENOTFOUND also when its payload was erased. */
enum rag_status audit_get_request(struct audit *audit, const char *request_id, struct arena *arena,
                                  struct audit_entry *ret, struct rag_error *reterr);

/* A row with all that its hash is made of (store/audit_chain.h). */
struct audit_export_row {
    struct audit_row row;
    uint8_t hash[SHA256_BYTES];
    uint8_t previous[SHA256_BYTES];
    const uint8_t *salt; /* [AUDIT_SALT_BYTES]; NULL: erased */
    const char *payload; /* NULL: erased */
};
/* Up to query->limit rows, ascending ('before' ends them), until visit returns false. */
enum rag_status audit_export(struct audit *audit, const struct audit_query *query,
                             bool (*visit)(void *context, const struct audit_export_row *row),
                             void *context, struct rag_error *reterr);
/* The checkpoint behind which the log begins; seq 0: it was never cut. */
enum rag_status audit_checkpoint(struct audit *audit, struct audit_checkpoint *ret,
                                 struct rag_error *reterr);

struct audit_report {
    bool whole;
    uint64_t n_rows;
    uint64_t n_erased;
    uint64_t first_seq;                 /* > 1 after a retention cut */
    struct audit_checkpoint checkpoint; /* of that cut; seq 0: none */
    bool checkpoint_good;               /* signed by the key given, or that of audit.pub */
    bool head_was_cut; /* the head given is of a row that was cut: it cannot be compared */
    uint64_t bad_seq;  /* of the first row that is wrong; 0 */
    char problem[256]; /* "row 17 was changed", "rows 18..20 are missing", ...; "" */
    struct audit_head head;
};
/* Check the whole chain; with 'head' also that the log reaches it; the signature of a cut with
 * 'public_key' [AUDIT_PUBLIC_BYTES], a copy of audit.pub that was kept elsewhere, or NULL: with
 * audit.pub as it is. RAG_OK when the check ran, whatever it found. */
enum rag_status audit_verify(struct audit *audit, const struct audit_head *head,
                             const uint8_t *public_key, struct audit_report *ret,
                             struct rag_error *reterr);
/* Erase one payload; the erasure itself is appended as a row (who, when, which, why). An
 * erased row again is RAG_OK; an "audit." row is RAG_EINVAL; no such row RAG_ENOTFOUND. */
enum rag_status audit_erase(struct audit *audit, uint64_t seq, const char *principal,
                            const char *why, struct rag_error *reterr);
/* Drop rows up to and including seq behind a signed checkpoint (key made at first use,
 * audit.key, mode 0600; public half audit.pub). They are gone for every reader at once and
 * deleted in slices; the cut is appended as a row (who, when, up to where, how many, why).
 * RAG_ENOTFOUND: no such row, or cut already; RAG_EINVAL: the log's last row. */
enum rag_status audit_cut(struct audit *audit, uint64_t seq, const char *principal, const char *why,
                          struct rag_error *reterr);

#endif
