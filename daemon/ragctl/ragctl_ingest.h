/* daemon/ragctl/ragctl_ingest.h - shared by the two files of 'ragctl ingest'. */
#ifndef RAG_DAEMON_RAGCTL_INGEST_H
#define RAG_DAEMON_RAGCTL_INGEST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/json_writer.h"
#include "daemon/ragctl/progress.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_client.h"
#include "daemon/ragctl/ragctl_files.h"

/* One ingest run. Invariants: 'mutex' guards everything below it; what is above it does
 * not change while workers run. A unit of work is one file, or one slice of a record
 * file's lines; units are handed out in order and every unit handed out is either counted
 * in the totals or in n_failed. */
struct ingest_run {
    const struct ragctl_options *options;
    const struct ragctl_files *files;
    const char *metadata; /* JSON object for every document, or NULL */
    int64_t n_jobs;

    pthread_mutex_t mutex;
    struct progress progress;
    size_t next;        /* index of the next file */
    FILE *records;      /* the record file being sliced, or NULL; owned */
    size_t records_i;   /* its index */
    uint64_t next_line; /* of records, from 1 */
    bool stopped;       /* the daemon is gone: hand out nothing more */
    struct rag_error stop_error;

    uint64_t n_documents; /* stored, new or changed */
    uint64_t n_unchanged;
    uint64_t n_failed;
    uint64_t n_files_done;
    uint64_t n_chunks;
    uint64_t n_converted;
    uint64_t n_deleted;
    uint64_t n_pending; /* chunks without their vectors, at the latest reply */
    bool pended;        /* in some reply there were any: replies may pass each other */
    uint64_t done_bytes;
    struct buf errors_json; /* {..},{..}: every failure as an object */
    struct json_writer errors;
};

/* Send every file with n_jobs threads. RAG_OK when all units were handed out, whatever
 * became of them; else the run stopped early (stop_error). */
enum rag_status ragctl_ingest_send(struct ingest_run *in, struct rag_error *reterr);

/* Count and show a failure: of 'path' as a whole, or of its line (line > 0). Takes the
 * mutex. */
void ragctl_ingest_failed(struct ingest_run *in, const char *path, const char *document,
                          uint64_t line, const char *why);

/* --delete-missing: delete the collection's documents that start with 'prefix' and are no
 * file of this run. Without 'yes' it refuses to delete more than half of them when that is
 * more than INGEST_DELETE_FREELY. */
#define INGEST_DELETE_FREELY 20 /* as many can be ingested again by hand */
enum rag_status ragctl_ingest_delete_missing(struct ingest_run *in, const char *prefix, bool yes,
                                             struct rag_error *reterr);

#endif
