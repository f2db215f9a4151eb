/* store/cache_rows.h - cache.db: what a cache of answers keeps between two runs.
 *
 * Derived data: a file that is damaged, of another format or of another history of the store is
 * removed and begun anew, a row that is damaged is left out. A history is known by the number and
 * time of the latest change that a row was written after: a store that is restored from a backup
 * may give the numbers behind it again, but not at the same millisecond. One thread writes behind
 * its callers, in groups; nobody waits for the disk but in cache_rows_flush(). After a failure
 * (disk full) what takes something away is tried again, what was to be added is given up: the file
 * may lack rows, and has too many only until the disk works again.
 *
 *     sum = SHA-256(id, collection, body), parts and numbers as in store/audit.h
 *
 * Every function is thread-safe, but for open and close. */
#ifndef RAG_STORE_CACHE_ROWS_H
#define RAG_STORE_CACHE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct cache_rows; /* opaque */

struct cache_row {
    uint64_t id;
    int64_t collection_id;
    int64_t used_ms;
    const void *body; /* [n_bytes], whose meaning is the caller's */
    size_t n_bytes;
};
struct cache_report_row {
    int64_t collection_id;
    uint64_t key; /* whose meaning is the caller's */
    float similarity;
    bool correct;
};

struct cache_moment {
    uint64_t change; /* 0: none yet */
    int64_t time_ms;
};
struct cache_rows_options {
    const char *path;
    /* Was this change made at this time? Not asked for change 0. */
    enum rag_status (*knows)(void *context, const struct cache_moment *moment, bool *ret,
                             struct rag_error *reterr);
    /* What is there, while it is opened: rows by ascending used_ms, reports in their order. entry
     * returns RAG_OK, RAG_EFORMAT (the row is of no use and deleted) or RAG_ENOMEM. reset: the file
     * turned out to be damaged, all that was told is void. */
    enum rag_status (*entry)(void *context, const struct cache_row *row);
    enum rag_status (*report)(void *context, const struct cache_report_row *report);
    void (*reset)(void *context);
    void *context;
};
#define CACHE_WHY_BYTES 256
/* RAG_OK, RAG_EIO, RAG_ENOSPC, RAG_ENOMEM. ret_last_id: the largest id that a row ever had. ret_why
 * (room for CACHE_WHY_BYTES): why the file was begun anew, or "". */
enum rag_status cache_rows_open(const struct cache_rows_options *options, struct cache_rows **ret,
                                uint64_t *ret_last_id, char *ret_why, struct rag_error *reterr);
void cache_rows_close(struct cache_rows *r); /* writes what is queued; NULL is a no-op */

/* Queue a row. body is taken over (free()) whatever happens. moment: of a change that is no earlier
 * than what the row tells of. False: the queue is full (CACHE_WRITES_MAX) or there is no memory,
 * and the row will not be there. */
bool cache_rows_put(struct cache_rows *r, const struct cache_row *row, void *body,
                    const struct cache_moment *moment);
void cache_rows_delete(struct cache_rows *r, uint64_t id);
void cache_rows_used(struct cache_rows *r, uint64_t id, int64_t used_ms);
/* Of a collection the latest CACHE_OBSERVATIONS_MAX are kept. */
void cache_rows_report(struct cache_rows *r, const struct cache_report_row *report);
void cache_rows_delete_reports(struct cache_rows *r, int64_t collection_id);

/* Wait until all that was queued is durable, but for rows that were given up. RAG_OK, or what
 * failed: RAG_EIO, RAG_ENOSPC, RAG_EFORMAT (the file is damaged; it is begun anew at the next
 * open), RAG_ENOMEM. */
enum rag_status cache_rows_flush(struct cache_rows *r, struct rag_error *reterr);

#endif
