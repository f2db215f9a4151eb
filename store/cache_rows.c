/* store/cache_rows.c - the queue of writes and its thread. cache_rows_file.c has the statements. */
#define _GNU_SOURCE
#include "store/cache_rows.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "store/cache_rows_file.h"

#define DELAY_MS 200 /* what comes within it is one commit */

struct cache_rows {
    struct cache_file file; /* the thread's alone while it runs */
    pthread_t thread;

    pthread_mutex_t lock;   /* guards what follows */
    pthread_cond_t work;    /* something was queued, or wanted, or stopping */
    pthread_cond_t written; /* a group is done */
    struct cache_write *head;
    struct cache_write **tail;
    size_t n_waiting;
    size_t bytes_waiting;
    uint64_t n_queued; /* ever */
    uint64_t n_done;   /* of them, committed or given up */
    uint64_t n_durable;
    uint64_t n_tried;    /* how far the last group that failed went */
    uint64_t n_failures; /* groups */
    struct rag_error failure;
    unsigned n_flushing; /* callers that wait: no delay, and with a sync */
    bool lost;           /* a deletion found no memory: every row goes, which takes none */
    bool broken;         /* the file is damaged: nothing more is written */
    bool stopping;
};

/* ---- queue ---- */

static void free_write(struct cache_write *w)
{
    free(w->body);
    free(w);
}

/* Append a copy of 'model'; bounded: refuse when there are too many. */
static bool enqueue(struct cache_rows *r, const struct cache_write *model, bool bounded)
{
    struct cache_write *w = malloc(sizeof *w);
    bool taken = false;

    pthread_mutex_lock(&r->lock);
    if (w && !r->broken &&
        (!bounded || (r->n_waiting < CACHE_WRITES_MAX &&
                      model->n_bytes <= CACHE_WRITES_BYTES_MAX - r->bytes_waiting))) {
        *w = *model;
        w->next = NULL;
        *r->tail = w;
        r->tail = &w->next;
        r->n_waiting++;
        r->bytes_waiting += w->n_bytes;
        r->n_queued++;
        taken = true;
    } else if (!w && !bounded) {
        r->lost = true;
    }
    pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
    if (!taken)
        free(w);
    return taken;
}

bool cache_rows_put(struct cache_rows *r, const struct cache_row *row, void *body,
                    const struct cache_moment *moment)
{
    struct cache_write w = {
        .kind = CACHE_WRITE_PUT,
        .id = row->id,
        .collection_id = row->collection_id,
        .used_ms = row->used_ms,
        .body = body,
        .n_bytes = row->n_bytes,
        .moment = *moment,
    };
    bool taken = row->n_bytes <= CACHE_ROW_BYTES_MAX && enqueue(r, &w, true);

    if (!taken)
        free(body);
    return taken;
}

void cache_rows_delete(struct cache_rows *r, uint64_t id)
{
    (void)enqueue(r, &(struct cache_write){.kind = CACHE_WRITE_DELETE, .id = id}, false);
}

void cache_rows_used(struct cache_rows *r, uint64_t id, int64_t used_ms)
{
    (void)enqueue(r, &(struct cache_write){.kind = CACHE_WRITE_USED, .id = id, .used_ms = used_ms},
                  false);
}

void cache_rows_report(struct cache_rows *r, const struct cache_report_row *report)
{
    (void)enqueue(r,
                  &(struct cache_write){.kind = CACHE_WRITE_REPORT,
                                        .collection_id = report->collection_id,
                                        .report = *report},
                  false);
}

void cache_rows_delete_reports(struct cache_rows *r, int64_t collection_id)
{
    (void)enqueue(
        r,
        &(struct cache_write){.kind = CACHE_WRITE_DELETE_REPORTS, .collection_id = collection_id},
        false);
}

/* ---- the thread ---- */

/* The first writes of the queue, at most a group. The lock is held. */
static struct cache_write *take_group(struct cache_rows *r, size_t *ret_n)
{
    struct cache_write *group = r->head;
    struct cache_write **end = &group;
    size_t n = 0;

    for (; *end && n < WRITE_GROUP_MAX; n++) {
        r->bytes_waiting -= (*end)->n_bytes;
        end = &(*end)->next;
    }
    r->head = *end;
    if (!r->head)
        r->tail = &r->head;
    *end = NULL;
    r->n_waiting -= n;
    *ret_n = n;
    return group;
}

/* Give up what a failed group was to add, and put the rest in front again, so that the order stays.
 * The lock is held. Returns how many were given up. */
static size_t put_back(struct cache_rows *r, struct cache_write *group)
{
    struct cache_write **last = &group;
    size_t n_given_up = 0;

    while (*last) {
        struct cache_write *w = *last;

        if (w->kind == CACHE_WRITE_PUT || w->kind == CACHE_WRITE_USED || r->broken) {
            *last = w->next;
            free_write(w);
            n_given_up++;
        } else {
            last = &w->next;
            r->n_waiting++;
        }
    }
    *last = r->head;
    r->head = group;
    r->tail = &r->head;
    while (*r->tail)
        r->tail = &(*r->tail)->next;
    return n_given_up;
}

static void wait_until(struct cache_rows *r, int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (!r->stopping && r->n_flushing == 0 && r->n_waiting < WRITE_GROUP_MAX &&
           pthread_cond_timedwait(&r->work, &r->lock, &until) == 0)
        continue;
}

/* One group. The lock is held, but not while it is written. */
static void write_group(struct cache_rows *r)
{
    struct rag_error error = {RAG_OK, ""};
    bool sync = r->n_flushing > 0 || r->stopping;
    bool wipe = r->lost;
    size_t n = 0;
    struct cache_write *group = take_group(r, &n);
    enum rag_status status;

    pthread_mutex_unlock(&r->lock);
    status = cache_file_write(&r->file, group, wipe, sync, &error);
    pthread_mutex_lock(&r->lock);
    if (status == RAG_OK) {
        while (group) {
            struct cache_write *next = group->next;

            free_write(group);
            group = next;
        }
        r->n_done += n;
        r->n_durable = sync ? r->n_done : r->n_durable;
        r->lost = r->lost && !wipe;
    } else {
        r->failure = error;
        r->n_tried = r->n_done + n;
        r->n_failures++;
        r->broken = r->broken || status == RAG_EFORMAT;
        r->n_done += put_back(r, group);
    }
    pthread_cond_broadcast(&r->written);
}

static void *write_loop(void *context)
{
    struct cache_rows *r = context;
    uint64_t n_failures;

    pthread_mutex_lock(&r->lock);
    for (;;) {
        bool wanted = r->n_flushing > 0 && r->n_durable < r->n_queued;

        if (r->broken || (!r->head && !r->lost && !wanted)) {
            if (r->stopping)
                break;
            pthread_cond_wait(&r->work, &r->lock);
            continue;
        }
        wait_until(r, DELAY_MS);
        n_failures = r->n_failures;
        write_group(r);
        if (r->n_failures > n_failures) {
            if (r->stopping)
                break;
            wait_until(r, CACHE_WRITE_RETRY_S * 1000);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

enum rag_status cache_rows_flush(struct cache_rows *r, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    uint64_t n_failures;
    uint64_t target;

    pthread_mutex_lock(&r->lock);
    target = r->n_queued;
    n_failures = r->n_failures;
    r->n_flushing++;
    pthread_cond_signal(&r->work);
    while (!r->broken && (r->n_durable < target || r->lost) &&
           !(r->n_failures > n_failures && r->n_tried >= target))
        pthread_cond_wait(&r->written, &r->lock);
    r->n_flushing--;
    if (r->broken || r->lost || r->n_durable < target) {
        status = r->failure.status;
        if (reterr)
            *reterr = r->failure;
    }
    pthread_mutex_unlock(&r->lock);
    return status;
}

/* ---- open and close ---- */

static enum rag_status start(struct cache_rows *r, struct rag_error *reterr)
{
    pthread_condattr_t monotonic;

    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&r->work, &monotonic);
    pthread_cond_init(&r->written, NULL);
    pthread_condattr_destroy(&monotonic);
    r->tail = &r->head;
    if (pthread_create(&r->thread, NULL, write_loop, r) == 0)
        return RAG_OK;
    pthread_cond_destroy(&r->written);
    pthread_cond_destroy(&r->work);
    pthread_mutex_destroy(&r->lock);
    return rag_fail(reterr, RAG_ENOMEM, "database '%s': cannot start its writer thread",
                    r->file.path);
}

enum rag_status cache_rows_open(const struct cache_rows_options *options, struct cache_rows **ret,
                                uint64_t *ret_last_id, char *ret_why, struct rag_error *reterr)
{
    struct cache_rows *r = calloc(1, sizeof *r);
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;

    ret_why[0] = '\0';
    if (!r)
        return rag_fail(reterr, RAG_ENOMEM, "database '%s': out of memory", options->path);
    status = cache_file_open(options, &r->file, ret_last_id, &error);
    if (status == RAG_EFORMAT) {
        snprintf(ret_why, CACHE_WHY_BYTES, "%.*s",
                 (int)utf8_floor(error.text, strlen(error.text),
                                 strnlen(error.text, CACHE_WHY_BYTES - 1)),
                 error.text);
        options->reset(options->context);
        cache_file_remove(options->path);
        status = cache_file_open(options, &r->file, ret_last_id, &error);
    }
    if (status == RAG_OK)
        status = start(r, &error);
    if (status != RAG_OK) {
        cache_file_close(&r->file);
        free(r);
        if (reterr)
            *reterr = error;
        return status == RAG_EFORMAT ? RAG_EIO : status;
    }
    *ret = r;
    return RAG_OK;
}

void cache_rows_close(struct cache_rows *r)
{
    struct cache_write *rest;
    bool damaged;

    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    damaged = r->broken;
    r->broken = true;
    rest = r->head;
    r->head = NULL;
    (void)put_back(r, rest); /* frees it all */
    if (damaged)
        cache_file_remove(r->file.path); /* closing it must not mend what is begun anew */
    cache_file_close(&r->file);
    pthread_cond_destroy(&r->written);
    pthread_cond_destroy(&r->work);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
