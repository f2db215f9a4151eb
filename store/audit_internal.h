/* store/audit_internal.h - what the files of the audit log share (internal). */
#ifndef RAG_STORE_AUDIT_INTERNAL_H
#define RAG_STORE_AUDIT_INTERNAL_H

#include <pthread.h>

#include "store/audit.h"
#include "store/audit_chain.h"
#include "store/database.h"
#include "store/writer.h"

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

/* A blob of exactly n bytes; zeros of one that is not. */
void audit_column_bytes(sqlite3_stmt *statement, int column, size_t n, uint8_t *ret);

/* The end of the chain as the connection sees it: the last row, or the checkpoint. */
enum rag_status audit_tail(struct database *db, struct audit_head *ret, struct rag_error *reterr);

/* *ret_found is false when the log was never cut. */
enum rag_status audit_checkpoint_get(struct database *db, struct audit_checkpoint *ret,
                                     bool *ret_found, struct rag_error *reterr);
/* Sign with the key in dir/audit.key (made when missing). */
enum rag_status audit_checkpoint_sign(const char *dir, struct audit_checkpoint *c,
                                      struct rag_error *reterr);
/* Is the signature good, and by the key 'trusted', or, when that is NULL, of dir/audit.pub? */
enum rag_status audit_checkpoint_verify(const char *dir, const struct audit_checkpoint *c,
                                        const uint8_t *trusted, bool *ret_good,
                                        struct rag_error *reterr);

void audit_head_print(const struct audit_head *head, char ret_line[AUDIT_HEAD_LINE_BYTES]);
void audit_head_write(int fd, const struct audit_head *head);
/* Compare audit.head with the database and open it for writing. */
enum rag_status audit_head_open(const char *dir, struct database *db, int *ret_fd,
                                struct audit_head *ret_lost, struct rag_error *reterr);

/* One slice of deleting rows behind the checkpoint; the writer's idle work. */
enum rag_status audit_cut_slice(void *context, struct database *db, bool *ret_more);

/* The rows of a query, for who reads other columns: audit_bind_query() binds ?1..?7. */
#define AUDIT_CONDITIONS                                                                           \
    " WHERE seq>max(?1,coalesce((SELECT seq FROM checkpoint),0)) AND (?2=0 OR seq<?2) AND (?4 IS " \
    "NULL OR kind=?4)"                                                                             \
    " AND (?5 IS NULL OR principal=?5) AND (?6=0 OR time_ms>=?6) AND (?7=0 OR time_ms<=?7)"
void audit_bind_query(sqlite3_stmt *statement, const struct audit_query *q);

/* Append one row inside the writer's transaction. */
enum rag_status audit_insert(struct database *db, const char *kind, const char *principal,
                             const char *payload, uint64_t change, uint64_t *ret_seq,
                             struct rag_error *reterr);

#endif
