/* daemon/ingest_bulk.c - NDJSON: many documents in one body.
 *
 * A durable commit takes a fraction of a millisecond to some milliseconds of waiting, and the
 * store commits what waits together. So records go to LANES threads, each with a short queue; a
 * document's name decides its lane, which keeps the lines of one document in order. Short bodies
 * are done by the caller alone.
 *
 * 'mutex' guards everything of struct bulk below it and every lane's queue. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "daemon/ingest_internal.h"

#define LANES      8  /* the store's group commit makes one fsync of their changes */
#define LANE_QUEUE 4  /* records that wait in a lane */
#define ALONE_MAX  16 /* records that the caller does before it starts the lanes */

struct bulk;

struct queued {
    struct extracted record; /* owned */
    size_t line;
};

struct lane {
    struct bulk *bulk;
    pthread_t thread;
    bool started;
    struct queued queue[LANE_QUEUE]; /* [head, head + n) modulo its size */
    size_t head;
    size_t n;
    struct pending_audit pending; /* its thread's alone */
};

struct bulk {
    const struct ingest *ingest;
    struct collection *collection;
    const char *principal;
    const char *request_id;
    const atomic_bool *cancel;
    struct lane *lanes;           /* owned, [LANES]; NULL until they are needed */
    struct pending_audit pending; /* of the caller */
    bool together;
    size_t n_alone;

    pthread_mutex_t mutex;
    pthread_cond_t changed; /* a queue got a record or room, or closing */
    struct ingest_bulk_result *result;
    enum rag_status failed; /* a fault of the machine: everything stops */
    struct rag_error error;
    bool closing;
};

static bool note_bad(void *context, size_t line, const char *message)
{
    struct bulk *b = context;
    struct ingest_bulk_result *r = b->result;

    pthread_mutex_lock(&b->mutex);
    r->n_failed++;
    if (r->n_errors < INGEST_ERRORS_MAX) {
        struct ingest_bulk_error *e = &r->errors[r->n_errors++];
        size_t n = utf8_floor(message, strlen(message), sizeof e->message - 1);

        e->line = line;
        memcpy(e->message, message, n);
        e->message[n] = '\0';
    }
    pthread_mutex_unlock(&b->mutex);
    return true;
}

/* A fault of this record only, or of the machine (then the whole call stops)? */
static bool is_record_fault(enum rag_status status)
{
    return status == RAG_EDENIED || status == RAG_EINVAL || status == RAG_EFORMAT ||
           status == RAG_ELIMIT;
}

/* Ingest one record, which is moved from. RAG_OK also when it was bad and noted. */
static enum rag_status ingest_record(struct bulk *b, struct pending_audit *pending, size_t line,
                                     struct extracted *record, struct rag_error *reterr)
{
    char *metadata = record->metadata; /* given as the request's, so that it is hashed */
    struct rag_error error = {RAG_OK, ""};
    struct ingest_result result = {0};
    struct ingest_source s = {
        .name = record->name ? record->name : "",
        .format = FORMAT_JSON,
        .body = record->text,
        .n_bytes = record->n_bytes,
        .title = record->title,
        .metadata = metadata,
        .principal = b->principal,
        .request_id = b->request_id,
    };
    enum rag_status status;

    if (b->cancel && atomic_load(b->cancel))
        return rag_fail(reterr, RAG_ECANCELLED, "line %zu: the client went away", line);
    record->metadata = NULL;
    status = ingest_extracted(b->ingest, b->collection, &s, record, pending, &result, &error);
    free(metadata);
    if (is_record_fault(status)) {
        note_bad(b, line, error.text);
        return RAG_OK;
    }
    if (status != RAG_OK)
        return rag_fail(reterr, status, "line %zu: %s", line, error.text);
    pthread_mutex_lock(&b->mutex);
    b->result->n_accepted += !result.unchanged;
    b->result->n_unchanged += result.unchanged;
    pthread_mutex_unlock(&b->mutex);
    return RAG_OK;
}

static void note_fault(struct bulk *b, enum rag_status status, const struct rag_error *error)
{
    pthread_mutex_lock(&b->mutex);
    if (b->failed == RAG_OK) { /* the first one is reported */
        b->failed = status;
        b->error = *error;
    }
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->mutex);
}

/* ---- lanes ---- */

static void *run_lane(void *context)
{
    struct lane *lane = context;
    struct bulk *b = lane->bulk;
    struct rag_error error;
    enum rag_status status;

    for (;;) {
        struct queued q;

        pthread_mutex_lock(&b->mutex);
        while (lane->n == 0 && !b->closing)
            pthread_cond_wait(&b->changed, &b->mutex);
        if (lane->n == 0) {
            pthread_mutex_unlock(&b->mutex);
            break;
        }
        q = lane->queue[lane->head];
        lane->head = (lane->head + 1) % LANE_QUEUE;
        lane->n--;
        status = b->failed;
        pthread_cond_broadcast(&b->changed);
        pthread_mutex_unlock(&b->mutex);

        if (status == RAG_OK) {
            status = ingest_record(b, &lane->pending, q.line, &q.record, &error);
            if (status != RAG_OK)
                note_fault(b, status, &error);
        }
        extracted_release(&q.record);
    }
    status = pending_flush(b->ingest, &lane->pending, &error);
    if (status != RAG_OK)
        note_fault(b, status, &error);
    return NULL;
}

/* Without memory or threads for them the caller goes on alone. */
static void start_lanes(struct bulk *b)
{
    b->lanes = calloc(LANES, sizeof *b->lanes);
    for (size_t i = 0; b->lanes && i < LANES; i++) {
        b->lanes[i].bulk = b;
        /* without memory for it each document has its row */
        if (b->together)
            b->lanes[i].pending.together = calloc(1, sizeof *b->lanes[i].pending.together);
        b->lanes[i].started =
            pthread_create(&b->lanes[i].thread, NULL, run_lane, &b->lanes[i]) == 0;
    }
}

static void stop_lanes(struct bulk *b)
{
    pthread_mutex_lock(&b->mutex);
    b->closing = true;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->mutex);
    for (size_t i = 0; b->lanes && i < LANES; i++)
        if (b->lanes[i].started)
            pthread_join(b->lanes[i].thread, NULL);
    for (size_t i = 0; b->lanes && i < LANES; i++)
        free(b->lanes[i].pending.together);
    free(b->lanes);
}

/* By the stored form of the name: lines of one document must meet in one lane however they
 * spell it. A name that has no stored form is refused in any lane. */
static struct lane *lane_of(struct bulk *b, const char *name)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    struct buf nfc;

    buf_init(&nfc, INGEST_NAME_BUF);
    (void)ingest_document_name(name, &nfc, NULL);
    for (const char *p = buf_str(&nfc); *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    buf_release(&nfc);
    return &b->lanes[(h >> 32) % LANES];
}

static enum rag_status on_record(void *context, size_t line, struct extracted *record,
                                 struct rag_error *reterr)
{
    struct bulk *b = context;
    enum rag_status status;
    struct lane *lane;

    if (b->n_alone++ == ALONE_MAX)
        start_lanes(b);
    lane = b->lanes ? lane_of(b, record->name ? record->name : "") : NULL;
    if (!lane || !lane->started)
        return ingest_record(b, &b->pending, line, record, reterr);
    pthread_mutex_lock(&b->mutex);
    while (lane->n == LANE_QUEUE && b->failed == RAG_OK)
        pthread_cond_wait(&b->changed, &b->mutex);
    status = b->failed;
    if (status == RAG_OK) {
        struct queued *q = &lane->queue[(lane->head + lane->n++) % LANE_QUEUE];

        q->record = *record; /* moves over to the lane */
        q->line = line;
        memset(record, 0, sizeof *record);
        pthread_cond_broadcast(&b->changed);
    } else if (reterr) {
        *reterr = b->error;
    }
    pthread_mutex_unlock(&b->mutex);
    return status;
}

/* ---- the call ---- */

/* A body that is one JSON record over any number of lines. */
static enum rag_status ingest_single(struct bulk *b, const char *body, size_t n_bytes,
                                     struct rag_error *reterr)
{
    struct rag_error error = {RAG_OK, ""};
    struct extracted record = {0};
    enum rag_status status = extract_document(FORMAT_JSON, body, n_bytes, &record, &error);

    if (is_record_fault(status)) {
        note_bad(b, 1, error.text);
        return RAG_OK;
    }
    if (status != RAG_OK)
        return rag_fail(reterr, status, "%s", error.text);
    status = ingest_record(b, &b->pending, 1, &record, reterr);
    extracted_release(&record);
    return status;
}

static int by_line(const void *a, const void *b)
{
    const struct ingest_bulk_error *x = a;
    const struct ingest_bulk_error *y = b;

    return (x->line > y->line) - (x->line < y->line);
}

enum rag_status ingest_records(const struct ingest *ingest, struct collection *c, bool single,
                               bool together, const char *body, size_t n_bytes,
                               const char *principal, const char *request_id,
                               const atomic_bool *cancel, struct ingest_bulk_result *ret,
                               struct rag_error *reterr)
{
    struct bulk b = {.ingest = ingest,
                     .collection = c,
                     .principal = principal,
                     .request_id = request_id,
                     .cancel = cancel,
                     .together = together,
                     .result = ret};
    struct record_sink sink = {on_record, note_bad, &b};
    enum rag_status flushed;
    enum rag_status status;

    memset(ret, 0, sizeof *ret);
    status = ingest_settle_audit(ingest, reterr);
    if (status != RAG_OK)
        return status;
    if (together)
        b.pending.together = calloc(1, sizeof *b.pending.together);
    pthread_mutex_init(&b.mutex, NULL);
    pthread_cond_init(&b.changed, NULL);
    if (single)
        status = ingest_single(&b, body, n_bytes, reterr);
    else
        status = extract_records(body, n_bytes, &sink, reterr);
    stop_lanes(&b);
    if (status == RAG_OK && b.failed != RAG_OK) {
        status = b.failed;
        if (reterr)
            *reterr = b.error;
    }
    /* what was accepted before an error is recorded too */
    flushed = pending_flush(ingest, &b.pending, status == RAG_OK ? reterr : NULL);
    free(b.pending.together);
    pthread_cond_destroy(&b.changed);
    pthread_mutex_destroy(&b.mutex);
    qsort(ret->errors, ret->n_errors, sizeof ret->errors[0], by_line);
    return status == RAG_OK ? flushed : status;
}
