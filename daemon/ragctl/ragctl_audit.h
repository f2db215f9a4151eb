/* daemon/ragctl/ragctl_audit.h - what the files of 'ragctl audit' share (internal). */
#ifndef RAG_DAEMON_RAGCTL_AUDIT_H
#define RAG_DAEMON_RAGCTL_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/sha256.h"
#include "base/status.h"
#include "daemon/ragctl/ragctl_client.h"
#include "store/audit_chain.h"

/* Options and words, borrowed from argv. Numbers that were not given are -1 (limit: 0). */
struct audit_args {
    const char *kind;
    const char *principal;
    const char *since;
    const char *until;
    const char *head;       /* verify: N:HEX or a file */
    const char *public_key; /* verify: 64 hex digits or a file */
    const char *file;       /* verify: an export in place of the daemon's log */
    const char *why;        /* erase, prune */
    const char *output;     /* export: a file; NULL: standard output */
    const char *format;     /* export: "jsonl" or "csv" */
    const char *before;     /* prune: a time */
    const char *id;         /* show, erase, replay: a row number or a request id */
    bool dry_run;           /* prune */
    bool bom;               /* export: of CSV */
    int64_t keep_days;      /* prune */
    int64_t limit;
    int64_t after;
    int64_t since_ms;
    int64_t until_ms;
    int64_t before_ms;
};

/* The filters of a listing as "&kind=..." */
void ragctl_audit_filters(struct buf *path, const struct audit_args *args);

/* A head that somebody kept: the number of rows and the hash of the last. */
struct audit_kept_head {
    uint64_t n;
    uint8_t hash[SHA256_BYTES];
};
/* "N:HEX", or a file with that line or with JSON that has a "head". RAG_EINVAL. */
enum rag_status ragctl_audit_head(const char *text, struct audit_kept_head *ret,
                                  struct rag_error *reterr);
/* 64 hex digits, or a file of 32 bytes (audit.pub) or of those digits. RAG_EINVAL. */
enum rag_status ragctl_audit_key(const char *text, uint8_t ret[AUDIT_PUBLIC_BYTES],
                                 struct rag_error *reterr);

/* Check the daemon's log (client open) or, with args->file, an export, and print what was found.
 * *ret_whole: nothing is wrong. */
enum rag_status ragctl_audit_verify(struct ragctl_client *client, const struct audit_args *args,
                                    bool *ret_whole, struct rag_error *reterr);
enum rag_status ragctl_audit_verify_file(const struct ragctl_options *options,
                                         const struct audit_args *args, bool *ret_whole,
                                         struct rag_error *reterr);
/* All rows as lines, into args->output or standard output. */
enum rag_status ragctl_audit_export(struct ragctl_client *client, const struct audit_args *args,
                                    struct rag_error *reterr);
/* Ask the question of a row (a number or a request id) again and print what has changed. */
enum rag_status ragctl_audit_replay(struct ragctl_client *client, const char *id,
                                    struct rag_error *reterr);
enum rag_status ragctl_audit_prune(struct ragctl_client *client, const struct audit_args *args,
                                   struct rag_error *reterr);

#endif
