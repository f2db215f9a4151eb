/* store/audit_internal.h - what the files of the audit log share (internal). */
#ifndef RAG_STORE_AUDIT_INTERNAL_H
#define RAG_STORE_AUDIT_INTERNAL_H

#include <pthread.h>

#include "store/audit.h"
#include "store/database.h"
#include "store/writer.h"

#define AUDIT_SALT_BYTES      16
#define AUDIT_SIGNATURE_BYTES 64 /* Ed25519, RFC 8032 */
#define AUDIT_PUBLIC_BYTES    32

#define AUDIT_HEAD_LINE_BYTES 87 /* 20 digits, ':', 64 digits, newline, NUL */

struct audit {
    char *dir;   /* state directory; owned */
    char *path;  /* of audit.db; owned */
    int head_fd; /* audit.head */
    int lock_fd; /* audit.lock, see state_lock.h */
    struct database writer_db;
    struct writer *writer;
    bool truncate_wal; /* of the writer thread: something was erased, its pages are in the WAL */
    struct audit_head lost; /* audit.head.lost, see audit_head_file.c; n is 0 when there is none */

    pthread_mutex_t mutex;  /* guards what follows */
    struct audit_head head; /* committed */

    pthread_mutex_t reader_mutex; /* one reader at a time: the log is read by people */
    struct database reader;
};

/* What a row's hash covers besides the previous hash. */
struct audit_row {
    uint64_t seq;
    int64_t time_ms;
    const char *kind;
    const char *principal;
    uint8_t payload_hash[SHA256_BYTES];
};
enum rag_status audit_row_hash(const uint8_t previous[SHA256_BYTES], const struct audit_row *row,
                               uint8_t ret[SHA256_BYTES]);
enum rag_status audit_payload_hash(const uint8_t *salt, const char *payload,
                                   uint8_t ret[SHA256_BYTES]);

/* The end of the chain as the connection sees it: the last row, or the checkpoint. */
enum rag_status audit_tail(struct database *db, struct audit_head *ret, struct rag_error *reterr);

/* A cut: everything up to seq was dropped; 'hash' is that of row seq. */
struct audit_checkpoint {
    uint64_t seq;
    int64_t time_ms;
    uint8_t hash[SHA256_BYTES];
    uint8_t signature[AUDIT_SIGNATURE_BYTES];
    uint8_t public_key[AUDIT_PUBLIC_BYTES];
};
/* *ret_found is false when the log was never cut. */
enum rag_status audit_checkpoint_get(struct database *db, struct audit_checkpoint *ret,
                                     bool *ret_found, struct rag_error *reterr);
/* Sign with the key in dir/audit.key (made when missing). */
enum rag_status audit_checkpoint_sign(const char *dir, struct audit_checkpoint *c,
                                      struct rag_error *reterr);
/* Is the signature good, and by the key of dir/audit.pub? */
enum rag_status audit_checkpoint_verify(const char *dir, const struct audit_checkpoint *c,
                                        bool *ret_good, struct rag_error *reterr);

void audit_head_print(const struct audit_head *head, char ret_line[AUDIT_HEAD_LINE_BYTES]);
void audit_head_write(int fd, const struct audit_head *head);
/* Compare audit.head with the database and open it for writing. */
enum rag_status audit_head_open(const char *dir, struct database *db, int *ret_fd,
                                struct audit_head *ret_lost, struct rag_error *reterr);

/* One slice of deleting rows behind the checkpoint; the writer's idle work. */
enum rag_status audit_cut_slice(void *context, struct database *db, bool *ret_more);

/* Append one row inside the writer's transaction. */
enum rag_status audit_insert(struct database *db, const char *kind, const char *principal,
                             const char *payload, uint64_t change, uint64_t *ret_seq,
                             struct rag_error *reterr);

#endif
