/* store/cache_rows_file.h - the tables of cache.db (internal to cache_rows.c).
 *
 *   entries  a row an answer: id, collection, when it was used last, sum, body
 *   reports  what people said about hits, the latest last
 *   meta     one row: the latest change of the store and the largest id that were ever seen
 *
 * Everything here belongs to one thread. */
#ifndef RAG_STORE_CACHE_ROWS_FILE_H
#define RAG_STORE_CACHE_ROWS_FILE_H

#include "store/cache_rows.h"
#include "store/database.h"

enum cache_write_kind {
    CACHE_WRITE_PUT,
    CACHE_WRITE_DELETE,
    CACHE_WRITE_USED,
    CACHE_WRITE_REPORT,
    CACHE_WRITE_DELETE_REPORTS,
};

struct cache_write {
    struct cache_write *next;
    enum cache_write_kind kind;
    uint64_t id;
    int64_t collection_id;
    int64_t used_ms;
    struct cache_moment moment;
    void *body; /* owned by the queue; NULL but for a put */
    size_t n_bytes;
    struct cache_report_row report;
};

struct cache_file {
    struct database db;
    char *path;   /* owned */
    bool durable; /* what PRAGMA synchronous stands at */
};

/* Open, check and tell what is there. RAG_EFORMAT: begin anew. On failure *ret is zeroed. */
enum rag_status cache_file_open(const struct cache_rows_options *options, struct cache_file *ret,
                                uint64_t *ret_last_id, struct rag_error *reterr);
void cache_file_close(struct cache_file *f); /* a zeroed one is a no-op */
void cache_file_remove(const char *path);    /* with what SQLite keeps beside it */
/* One transaction; all of it or nothing. wipe: every entry goes first. sync: it is durable, and so
 * is all before it. */
enum rag_status cache_file_write(struct cache_file *f, const struct cache_write *group, bool wipe,
                                 bool sync, struct rag_error *reterr);

#endif
