#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "daemon/ragctl/ragctl_charset.h"
#include "daemon/ragctl/ragctl_ingest.h"

#define SLICE_BYTES       (2u << 20) /* of record lines in one request: some 2,000 records */
#define SLICE_LINES_MAX   2000       /* so that progress moves with short records too */
#define READ_BYTES        65536
#define INGEST_TIMEOUT_MS 600000 /* a 64 MiB document takes a slow disk a while */
#define INGEST_BUSY_MS    600000 /* a full queue empties in seconds; a bulk load may wait */

#define RECONNECTS_MAX 4 /* a daemon that restarts is back within seconds */

/* A file, or lines of a record file. */
struct unit {
    const struct ragctl_file *file; /* borrowed from the run */
    struct buf body;
    uint64_t first_line; /* of record lines; 0: a whole file */
    bool last;           /* nothing of this file follows */
};

void ragctl_ingest_failed(struct ingest_run *in, const char *path, const char *document,
                          uint64_t line, const char *why)
{
    pthread_mutex_lock(&in->mutex);
    in->n_failed++;
    if (line > 0)
        progress_note(&in->progress, "ragctl: %s, line %" PRIu64 ": %s", path, line, why);
    else
        progress_note(&in->progress, "ragctl: %s: %s", path, why);
    json_begin_object(&in->errors, NULL);
    json_put_string(&in->errors, "path", path);
    if (document)
        json_put_string(&in->errors, "document", document);
    if (line > 0)
        json_put_int(&in->errors, "line", (int64_t)line);
    json_put_string(&in->errors, "message", why);
    json_end_object(&in->errors);
    pthread_mutex_unlock(&in->mutex);
}

static const char *shown_path(const struct ragctl_file *file)
{
    return file->path ? file->path : "standard input";
}

static FILE *open_file(const struct ragctl_file *file)
{
    return file->path ? fopen(file->path, "rbe") : stdin;
}

static void close_file(FILE *f)
{
    if (f && f != stdin)
        fclose(f);
}

/* Read a whole file. Messages name what is wrong, not the file: the caller does. */
static enum rag_status read_whole(const struct ragctl_file *file, struct buf *body,
                                  struct rag_error *reterr)
{
    FILE *f = open_file(file);
    enum rag_status status = RAG_OK;
    char piece[READ_BYTES];
    size_t n;

    if (!f)
        return rag_fail_errno(reterr, RAG_EIO, errno, "cannot be opened");
    do {
        n = fread(piece, 1, sizeof piece, f);
        buf_append(body, piece, n);
    } while (n > 0 && buf_status(body) == RAG_OK);
    if (buf_status(body) == RAG_ELIMIT)
        status = rag_fail(reterr, RAG_ELIMIT, "over the limit of %u bytes for one document",
                          DOCUMENT_BYTES_MAX);
    else if (buf_status(body) != RAG_OK)
        status = rag_fail(reterr, buf_status(body), "out of memory");
    else if (ferror(f))
        status = rag_fail_errno(reterr, RAG_EIO, errno, "cannot be read");
    close_file(f);
    return status;
}

/* Under the mutex: lines of in->records up to a slice. The file is closed at its end. */
static enum rag_status read_slice(struct ingest_run *in, struct unit *unit,
                                  struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    char *line = NULL;
    size_t cap = 0;

    unit->file = &in->files->items[in->records_i];
    unit->first_line = in->next_line;
    for (unsigned n = 0; n < SLICE_LINES_MAX && unit->body.len < SLICE_BYTES; n++) {
        ssize_t got = getline(&line, &cap, in->records);

        if (got < 0) {
            if (ferror(in->records))
                status = rag_fail_errno(reterr, RAG_EIO, errno, "cannot be read");
            unit->last = true;
            break;
        }
        in->next_line++;
        buf_append(&unit->body, line, (size_t)got);
    }
    if (buf_status(&unit->body) != RAG_OK) {
        status = rag_fail(reterr, RAG_ELIMIT, "a record is over the limit of %u bytes",
                          DOCUMENT_BYTES_MAX);
        unit->last = true;
    }
    free(line);
    if (unit->last) {
        close_file(in->records);
        in->records = NULL;
    }
    return status;
}

/* Hand out the next unit. *ret_more: there was one; its reading may still have failed,
 * which the status says. */
static enum rag_status next_unit(struct ingest_run *in, struct unit *unit, bool *ret_more,
                                 struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    bool whole = false;

    unit->file = NULL;
    unit->first_line = 0;
    unit->last = false;
    buf_reset(&unit->body);
    pthread_mutex_lock(&in->mutex);
    *ret_more = !in->stopped && (in->records || in->next < in->files->n);
    if (*ret_more && !in->records) {
        unit->file = &in->files->items[in->next++];
        whole = !unit->file->records;
        if (!whole) {
            in->records_i = in->next - 1;
            in->next_line = 1;
            in->records = open_file(unit->file);
            if (!in->records)
                status = rag_fail_errno(reterr, RAG_EIO, errno, "cannot be opened");
        }
    }
    if (in->records && status == RAG_OK && *ret_more && !whole)
        status = read_slice(in, unit, reterr);
    pthread_mutex_unlock(&in->mutex);
    if (whole) {
        unit->last = true;
        status = read_whole(unit->file, &unit->body, reterr);
    } else if (status != RAG_OK) {
        unit->last = true;
    }
    return status;
}

static void count_unit(struct ingest_run *in, const struct unit *unit, uint64_t n_read_bytes)
{
    bool by_record = in->progress.total == 0;

    pthread_mutex_lock(&in->mutex);
    in->done_bytes += n_read_bytes;
    if (unit->last)
        in->n_files_done++;
    progress_update(&in->progress,
                    by_record ? in->n_documents + in->n_unchanged + in->n_failed : in->n_files_done,
                    in->done_bytes);
    pthread_mutex_unlock(&in->mutex);
}

static void count_document(struct ingest_run *in, const struct json *reply)
{
    bool unchanged = json_true(json_member(reply, "unchanged"));
    int64_t n_pending = 0;
    int64_t n_chunks = 0;

    (void)json_get_int(reply, "chunks", 0, INT64_MAX, &n_chunks, NULL);
    (void)json_get_int(reply, "vectors_pending", 0, INT64_MAX, &n_pending, NULL);
    pthread_mutex_lock(&in->mutex);
    in->n_pending = (uint64_t)n_pending;
    in->pended = in->pended || n_pending > 0;
    if (unchanged)
        in->n_unchanged++;
    else
        in->n_documents++;
    if (!unchanged)
        in->n_chunks += (uint64_t)n_chunks;
    pthread_mutex_unlock(&in->mutex);
}

static void count_records(struct ingest_run *in, const struct unit *unit, const struct json *reply)
{
    const struct json *errors = json_member(reply, "errors");
    int64_t n_accepted = 0;
    int64_t n_unchanged = 0;
    int64_t n_failed = 0;
    int64_t n_pending = 0;
    uint64_t n_named = 0;

    (void)json_get_int(reply, "accepted", 0, INT64_MAX, &n_accepted, NULL);
    (void)json_get_int(reply, "unchanged", 0, INT64_MAX, &n_unchanged, NULL);
    (void)json_get_int(reply, "failed", 0, INT64_MAX, &n_failed, NULL);
    (void)json_get_int(reply, "vectors_pending", 0, INT64_MAX, &n_pending, NULL);
    pthread_mutex_lock(&in->mutex);
    in->n_pending = (uint64_t)n_pending;
    in->pended = in->pended || n_pending > 0;
    in->n_documents += (uint64_t)n_accepted;
    in->n_unchanged += (uint64_t)n_unchanged;
    pthread_mutex_unlock(&in->mutex);
    for (const struct json *e = json_first(errors); e; e = json_next(e), n_named++) {
        const char *message = json_string(json_member(e, "message"));
        int64_t line = 1;

        (void)json_get_int(e, "line", 1, INT64_MAX, &line, NULL);
        ragctl_ingest_failed(in, shown_path(unit->file), NULL,
                             unit->first_line + (uint64_t)line - 1, message ? message : "refused");
    }
    if ((uint64_t)n_failed > n_named) { /* the daemon's list of errors is capped */
        pthread_mutex_lock(&in->mutex);
        in->n_failed += (uint64_t)n_failed - n_named;
        progress_note(&in->progress, "ragctl: %s: %" PRIu64 " more records failed",
                      shown_path(unit->file), (uint64_t)n_failed - n_named);
        pthread_mutex_unlock(&in->mutex);
    }
}

static void say_converted(struct ingest_run *in, const struct unit *unit, const char *from)
{
    pthread_mutex_lock(&in->mutex);
    in->n_converted++;
    if (!in->options->quiet)
        progress_note(&in->progress, "ragctl: %s: converted from %s", shown_path(unit->file), from);
    pthread_mutex_unlock(&in->mutex);
}

/* "text/html; charset=utf-8": a page that says EUC-KR inside was converted above. */
static enum rag_status send_unit(struct ingest_run *in, struct ragctl_client *client,
                                 const struct unit *unit, struct json **ret_reply,
                                 struct rag_error *reterr)
{
    const char *headers[2] = {NULL, NULL};
    enum rag_status status;
    struct http_call request = {.timeout_ms = in->options->timeout_ms};
    struct buf path;
    struct buf type;
    struct buf metadata;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    buf_init(&type, 256);
    buf_init(&metadata, HTTP_HEADER_BYTES_MAX);
    ragctl_client_collection_path(&path, in->options->collection, "/documents", NULL);
    if (!unit->file->records) {
        buf_append_char(&path, '/');
        http_encode_segment(&path, unit->file->name);
        buf_append_str(&path, "?embed_wait_ms=0"); /* one wait at the end is enough */
    }
    buf_printf(&type, "%s; charset=utf-8", unit->file->content_type);
    if (in->metadata && !unit->file->records) {
        buf_printf(&metadata, "X-Ragd-Metadata: %s", in->metadata);
        headers[0] = buf_str(&metadata);
        request.headers = headers;
    }
    request.method = unit->file->records ? "POST" : "PUT";
    request.path = buf_str(&path);
    request.content_type = buf_str(&type);
    request.body = buf_str(&unit->body);
    request.body_bytes = unit->body.len;
    if (request.timeout_ms == 0)
        request.timeout_ms = INGEST_TIMEOUT_MS;
    if (buf_status(&path) != RAG_OK || buf_status(&metadata) != RAG_OK)
        status = rag_fail(reterr, RAG_ELIMIT, "its name or metadata do not fit into a request");
    else
        status = ragctl_client_do(client, &request, reterr);
    if (status == RAG_OK)
        status = json_parse(buf_str(&client->body), client->body.len, "response of ragd", ret_reply,
                            reterr);
    buf_release(&path);
    buf_release(&type);
    buf_release(&metadata);
    return status;
}

/* Every request of an ingest may be repeated: the same content twice is "unchanged". So a
 * connection that broke is tried again a few times, a second longer each time. */
static enum rag_status send_with_patience(struct ingest_run *in, struct ragctl_client *client,
                                          const struct unit *unit, struct json **ret_reply,
                                          struct rag_error *reterr)
{
    enum rag_status status = RAG_EIO;

    for (unsigned i = 0; i <= RECONNECTS_MAX && status == RAG_EIO; i++) {
        if (i > 0)
            ragctl_client_sleep_ms((int64_t)i * 1000);
        status = send_unit(in, client, unit, ret_reply, reterr);
    }
    return status;
}

static void stop(struct ingest_run *in, const struct rag_error *error)
{
    pthread_mutex_lock(&in->mutex);
    if (!in->stopped)
        in->stop_error = *error;
    in->stopped = true;
    pthread_mutex_unlock(&in->mutex);
}

static void work_on(struct ingest_run *in, struct ragctl_client *client, struct unit *unit)
{
    struct rag_error error = {0};
    struct json *reply = NULL;
    const char *from = NULL;
    enum rag_status status;

    status = charset_to_utf8(&unit->body, &from, &error);
    if (from)
        say_converted(in, unit, from);
    /* A slice with a bad line goes as it is: the daemon names the line and takes the rest. */
    if (status == RAG_OK || (status == RAG_EFORMAT && unit->file->records))
        status = send_with_patience(in, client, unit, &reply, &error);
    if (status != RAG_OK) {
        ragctl_ingest_failed(in, shown_path(unit->file), unit->file->name, unit->first_line,
                             error.text);
        if (client->code == 0 && status == RAG_EIO)
            stop(in, &error);
        /* Denied or no such collection: the next file would hear the same. */
        if (status == RAG_EDENIED || status == RAG_ENOTFOUND)
            stop(in, &error);
    } else if (unit->file->records) {
        count_records(in, unit, reply);
    } else {
        count_document(in, reply);
    }
    json_free(reply);
}

static void *worker(void *context)
{
    struct ingest_run *in = context;
    struct ragctl_client client = {0};
    struct rag_error error = {0};
    struct unit unit = {0};
    bool more = true;

    buf_init(&unit.body, DOCUMENT_BYTES_MAX);
    if (ragctl_client_open(in->options, &client, &error) != RAG_OK) {
        stop(in, &error);
        goto out;
    }
    client.busy_wait_ms = INGEST_BUSY_MS;
    while (more) {
        enum rag_status status = next_unit(in, &unit, &more, &error);
        uint64_t n_read_bytes = unit.body.len;

        if (!more)
            break;
        if (status != RAG_OK)
            ragctl_ingest_failed(in, shown_path(unit.file), unit.file->name, unit.first_line,
                                 error.text);
        else if (unit.body.len > 0 || !unit.file->records)
            work_on(in, &client, &unit);
        count_unit(in, &unit, n_read_bytes);
    }
out:
    buf_release(&unit.body);
    ragctl_client_close(&client);
    return NULL;
}

enum rag_status ragctl_ingest_send(struct ingest_run *in, struct rag_error *reterr)
{
    pthread_t threads[INGEST_JOBS_MAX];
    int64_t n = 0;

    /* The first worker is this thread; a thread that cannot be made is one worker less. */
    while (n < in->n_jobs - 1 && pthread_create(&threads[n], NULL, worker, in) == 0)
        n++;
    worker(in);
    for (int64_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    close_file(in->records);
    in->records = NULL;
    progress_finish(&in->progress);
    if (!in->stopped)
        return RAG_OK;
    *reterr = in->stop_error;
    return in->stop_error.status;
}
