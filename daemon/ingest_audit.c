/* daemon/ingest_audit.c - the audit rows of changes of documents.
 *
 * A change that is durable owes its row: one that could not be written is owed until a later change
 * or the next start has made it good, by the store's own log of changes. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "base/json_writer.h"
#include "daemon/ingest_internal.h"

static void write_result(struct json_writer *w, const struct ingest_result *result)
{
    if (result && result->version_id != 0) {
        json_put_int(w, "version", (int64_t)result->version_id);
        json_put_int(w, "chunks", (int64_t)result->n_chunks);
        json_put_int(w, "text_bytes", (int64_t)result->text_bytes);
    }
    if (result && result->guarded.n_items > 0)
        ingest_guarded_write(&result->guarded, w, "guard");
}

static void write_change_payload(struct buf *out, const char *collection, const char *document,
                                 const char *request_id, const struct ingest_result *result)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "collection", collection);
    json_put_string(&w, "document", document);
    if (request_id)
        json_put_string(&w, "request_id", request_id);
    write_result(&w, result);
    json_end_object(&w);
}

/* ---- rows that wait ---- */

/* The row of the documents that are told together, as one more that waits. */
static enum rag_status end_together(struct pending_audit *p, struct rag_error *reterr)
{
    struct together *t = p->together;

    if (!t || t->n == 0)
        return RAG_OK;
    json_end_array(&t->w);
    json_end_object(&t->w);
    p->principals[p->n] = strdup(t->principal);
    if (!p->principals[p->n] || buf_take(&t->payload, &p->payloads[p->n], NULL) != RAG_OK) {
        free(p->principals[p->n]);
        t->n = 0;
        buf_release(&t->payload);
        return rag_fail(reterr, RAG_ENOMEM, "audit record: out of memory");
    }
    p->items[p->n] = (struct audit_item){.kind = "documents.put",
                                         .principal = p->principals[p->n],
                                         .payload = p->payloads[p->n],
                                         .change = t->changes[0],
                                         .more = t->changes + 1,
                                         .n_more = t->n - 1};
    p->n++;
    t->n = 0;
    return RAG_OK;
}

enum rag_status pending_flush(const struct ingest *ingest, struct pending_audit *p,
                              struct rag_error *reterr)
{
    enum rag_status ended = end_together(p, reterr);
    enum rag_status status = audit_append_all(ingest->audit, p->items, p->n, reterr);

    if (status == RAG_OK)
        status = ended;
    if (status != RAG_OK)
        ingest_owe_audit(ingest);
    for (size_t i = 0; i < p->n; i++) {
        free(p->payloads[i]);
        free(p->principals[i]);
    }
    p->n = 0;
    return status;
}

/* 'kind' is a static text. */
static enum rag_status pending_add(const struct ingest *ingest, struct pending_audit *p,
                                   const char *kind, const char *principal, struct buf *payload,
                                   uint64_t change, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    if (p->n == PENDING_MAX - 1) /* one is for those that are told together */
        status = pending_flush(ingest, p, reterr);
    if (status == RAG_OK)
        status = buf_take(payload, &p->payloads[p->n], NULL);
    if (status != RAG_OK)
        return status;
    p->principals[p->n] = strdup(principal);
    if (!p->principals[p->n]) {
        free(p->payloads[p->n]);
        return rag_fail(reterr, RAG_ENOMEM, "audit record: out of memory");
    }
    p->items[p->n] = (struct audit_item){.kind = kind,
                                         .principal = p->principals[p->n],
                                         .payload = p->payloads[p->n],
                                         .change = change};
    p->n++;
    return RAG_OK;
}

enum rag_status ingest_audit_put(const struct ingest *ingest, struct pending_audit *pending,
                                 const char *collection, const char *document,
                                 const struct ingest_source *s, const struct ingest_result *result,
                                 struct rag_error *reterr)
{
    struct together *t = pending ? pending->together : NULL;
    enum rag_status status = RAG_OK;

    if (!t)
        return ingest_audit_change(ingest, pending, "document.put", collection, document,
                                   s->principal, s->request_id, result, result->change, reterr);
    if (t->n == TOGETHER_MAX || (t->n > 0 && t->payload.len > TOGETHER_BYTES))
        status = pending_flush(ingest, pending, reterr);
    if (t->n == 0) {
        buf_init(&t->payload, TOGETHER_BYTES_MAX);
        json_writer_init(&t->w, &t->payload);
        json_begin_object(&t->w, NULL);
        json_put_string(&t->w, "collection", collection);
        if (s->request_id)
            json_put_string(&t->w, "request_id", s->request_id);
        json_begin_array(&t->w, "documents");
        t->principal = s->principal;
    }
    json_begin_object(&t->w, NULL);
    json_put_string(&t->w, "document", document);
    write_result(&t->w, result);
    json_end_object(&t->w);
    t->changes[t->n++] = result->change;
    return status;
}

/* Record a change: now and durably, or with 'pending' when that is flushed. */
enum rag_status ingest_audit_change(const struct ingest *ingest, struct pending_audit *pending,
                                    const char *kind, const char *collection, const char *document,
                                    const char *principal, const char *request_id,
                                    const struct ingest_result *result, uint64_t change,
                                    struct rag_error *reterr)
{
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;
    struct buf payload;
    uint64_t seq;

    buf_init(&payload, 65536);
    write_change_payload(&payload, collection, document, request_id, result);
    status = buf_status(&payload);
    if (status != RAG_OK)
        rag_fail(reterr, status, "audit record of '%.200s': out of memory", document);
    else if (pending)
        status = pending_add(ingest, pending, kind, principal, &payload, change, reterr);
    else
        status =
            audit_append(ingest->audit, kind, principal, buf_str(&payload), change, &seq, &error);
    if (error.status != RAG_OK)
        rag_fail(reterr, status, "document '%.200s': changed, but its audit record failed: %s",
                 document, error.text);
    if (status != RAG_OK)
        ingest_owe_audit(ingest);
    buf_release(&payload);
    return status;
}

/* ---- after a crash ---- */

struct catch_up {
    const struct ingest *ingest;
    struct pending_audit pending;
    size_t n;
};

static enum rag_status catch_up_one(void *context, const struct store_change *change,
                                    struct rag_error *reterr)
{
    static const char *const kinds[] = {
        [CHANGE_PUBLISH] = "document.put",
        [CHANGE_DELETE] = "document.delete",
        [CHANGE_COLLECTION_DELETE] = "collection.delete",
    };
    struct catch_up *u = context;

    u->n++;
    return ingest_audit_change(u->ingest, &u->pending, kinds[change->kind], change->collection,
                               change->document, change->principal, NULL, NULL, change->change,
                               reterr);
}

enum rag_status ingest_catch_up_audit(const struct ingest *ingest, size_t *ret_n,
                                      struct rag_error *reterr)
{
    struct catch_up u = {.ingest = ingest};
    enum rag_status status;

    /* Changes are recorded side by side, so a crash or a full disk can leave gaps anywhere:
     * with a gap every change is offered again, and recording is idempotent. */
    status = store_changes_since(ingest->store, audit_changes_recorded(ingest->audit), catch_up_one,
                                 &u, reterr);
    if (status == RAG_OK)
        status = pending_flush(ingest, &u.pending, reterr);
    else
        (void)pending_flush(ingest, &u.pending, NULL);
    *ret_n = u.n;
    return status;
}

/* ---- records that are owed ---- */

void ingest_owe_audit(const struct ingest *ingest)
{
    atomic_fetch_add(&ingest->debt->incurred, 1);
}

enum rag_status ingest_settle_audit(const struct ingest *ingest, struct rag_error *reterr)
{
    /* Read first: what is incurred while we catch up stays owed. Two threads may do this at
     * once; recording is idempotent, and the smaller number stored last costs a repetition. */
    uint64_t incurred = atomic_load(&ingest->debt->incurred);
    enum rag_status status;
    size_t n = 0;

    if (incurred == atomic_load(&ingest->debt->settled))
        return RAG_OK;
    status = ingest_catch_up_audit(ingest, &n, reterr);
    if (status == RAG_OK)
        atomic_store(&ingest->debt->settled, incurred);
    return status;
}
