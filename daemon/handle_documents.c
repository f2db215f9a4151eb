#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/handle.h"

#define LIST_MAX 1000 /* documents of one page of a listing */

static enum rag_status get_collection(struct app *app, struct http_request *request,
                                      enum access access, struct collection **ret,
                                      struct rag_error *reterr)
{
    return collections_get(app->collections, http_request_param(request, "c"), request->principal,
                           access, ret, reterr);
}

/* How long this request may wait for vectors: an acknowledged document is found by its words; by
 * its meaning too, when its vectors are there in time. */
static enum rag_status get_wait(const struct http_request *request, int64_t *ret_ms,
                                struct rag_error *reterr)
{
    return handle_query_int(request, "embed_wait_ms", 0, EMBED_WAIT_MS_MAX, ret_ms, reterr);
}

/* ?audit=together: one row for many documents; ?audit=each, the default. */
static enum rag_status get_together(const struct http_request *request, bool *ret,
                                    struct rag_error *reterr)
{
    const char *text = http_request_query(request, "audit");

    if (text && strcmp(text, "each") != 0 && strcmp(text, "together") != 0)
        return rag_fail(reterr, RAG_EINVAL, "audit='%.32s': must be each or together", text);
    *ret = text && strcmp(text, "together") == 0;
    return RAG_OK;
}

static void write_put(struct json_writer *w, const char *name, const struct ingest_result *r,
                      uint64_t n_pending)
{
    json_begin_object(w, NULL);
    json_put_string(w, "document", name);
    json_put_int(w, "version", (int64_t)r->version_id);
    json_put_int(w, "chunks", (int64_t)r->n_chunks);
    json_put_int(w, "text_bytes", (int64_t)r->text_bytes);
    json_put_bool(w, "unchanged", r->unchanged);
    json_put_bool(w, "created", r->created);
    json_put_int(w, "change", (int64_t)r->change);
    json_put_int(w, "vectors_pending", (int64_t)n_pending);
    if (r->guarded.n_items > 0)
        ingest_guarded_write(&r->guarded, w, "guard");
    json_end_object(w);
}

/* The collection, and the stored form of the document's name into the empty buffer. */
static enum rag_status get_document(struct app *app, struct http_request *request,
                                    enum access access, struct collection **ret, struct buf *name,
                                    struct rag_error *reterr)
{
    enum rag_status status = get_collection(app, request, access, ret, reterr);

    if (status == RAG_OK)
        status = ingest_document_name(http_request_param(request, "id"), name, reterr);
    return status;
}

static enum rag_status put_body(struct app *app, struct collection *c, struct http_request *request,
                                const char *name, struct ingest_result *ret,
                                struct rag_error *reterr)
{
    const char *title = http_request_query(request, "title");
    struct ingest_source source = {
        .name = name,
        .body = request->body,
        .n_bytes = request->body_bytes,
        .title = title,
        .metadata = http_request_header(request, "X-Ragd-Metadata"),
        .principal = request->principal,
        .request_id = request->id,
    };
    enum rag_status status;

    if (source.metadata && strlen(source.metadata) > METADATA_BYTES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "X-Ragd-Metadata: %zu bytes, the limit is %d",
                        strlen(source.metadata), METADATA_BYTES_MAX);
    status = document_format_of(http_request_header(request, "Content-Type"), name, &source.format,
                                reterr);
    if (status != RAG_OK)
        return status;
    if (source.format == FORMAT_NDJSON)
        return rag_fail(reterr, RAG_EINVAL,
                        "document '%.200s': NDJSON holds many documents; POST it to "
                        "/v1/collections/%s/documents",
                        name, c->name);
    return ingest_document(&app->ingest, c, &source, ret, reterr);
}

void handle_document_put(struct http_request *request, struct http_response *response,
                         void *context)
{
    struct ingest_result result = {0};
    struct rag_error error = {RAG_OK, ""};
    struct app *app = context;
    int64_t wait_ms = app->config->embed_wait_ms;
    struct collection *c = NULL;
    enum rag_status status;
    struct json_writer w;
    uint64_t n_pending = 0;
    struct buf body;
    struct buf name;

    buf_init(&name, INGEST_NAME_BUF);
    buf_init(&body, 65536);
    json_writer_init(&w, &body);
    status = get_wait(request, &wait_ms, &error);
    if (status == RAG_OK)
        status = get_document(app, request, ACCESS_WRITE, &c, &name, &error);
    if (status == RAG_OK)
        status = put_body(app, c, request, buf_str(&name), &result, &error);
    if (status == RAG_OK)
        n_pending = collection_vectors_wait(c->vectors, wait_ms, request->cancelled);
    collection_release(app->collections, c);
    write_put(&w, buf_str(&name), &result, n_pending);
    if (status == RAG_OK) {
        metrics_add(app->metrics,
                    result.unchanged ? METRIC_DOCUMENTS_UNCHANGED : METRIC_DOCUMENTS_PUT, 1);
        metrics_add(app->metrics, METRIC_DOCUMENT_BYTES, request->body_bytes);
    }
    handle_finish(request, response, result.created ? 201 : 200, &body, status, &error);
    buf_release(&name);
}

static void write_bulk(struct json_writer *w, const struct ingest_bulk_result *r,
                       uint64_t n_pending)
{
    json_begin_object(w, NULL);
    json_put_int(w, "accepted", (int64_t)r->n_accepted);
    json_put_int(w, "unchanged", (int64_t)r->n_unchanged);
    json_put_int(w, "failed", (int64_t)r->n_failed);
    json_begin_array(w, "errors");
    for (size_t i = 0; i < r->n_errors; i++) {
        json_begin_object(w, NULL);
        json_put_int(w, "line", (int64_t)r->errors[i].line);
        json_put_string(w, "message", r->errors[i].message);
        json_end_object(w);
    }
    json_end_array(w);
    json_put_int(w, "vectors_pending", (int64_t)n_pending);
    json_end_object(w);
}

void handle_documents_post(struct http_request *request, struct http_response *response,
                           void *context)
{
    struct ingest_bulk_result *result = calloc(1, sizeof *result);
    struct rag_error error = {RAG_OK, ""};
    struct app *app = context;
    struct collection *c = NULL;
    enum document_format format = FORMAT_NDJSON;
    enum rag_status status;
    struct json_writer w;
    uint64_t n_pending = 0;
    int64_t wait_ms = -1;
    bool together = false;
    struct buf body;

    buf_init(&body, 1u << 20);
    json_writer_init(&w, &body);
    status = result ? get_collection(app, request, ACCESS_WRITE, &c, &error)
                    : rag_fail(&error, RAG_ENOMEM, "documents: out of memory");
    if (status == RAG_OK)
        status = get_wait(request, &wait_ms, &error);
    if (status == RAG_OK)
        status = get_together(request, &together, &error);
    if (status == RAG_OK)
        status = document_format_of(http_request_header(request, "Content-Type"), "records.ndjson",
                                    &format, &error);
    if (status == RAG_OK && format != FORMAT_JSON && format != FORMAT_NDJSON)
        status = rag_fail(&error, RAG_EINVAL,
                          "Content-Type '%s': POST takes application/json or "
                          "application/x-ndjson; PUT .../documents/{id} takes files",
                          document_format_mime(format));
    if (status == RAG_OK)
        status = ingest_records(&app->ingest, c, format == FORMAT_JSON, together, request->body,
                                request->body_bytes, request->principal, request->id,
                                request->cancelled, result, &error);
    if (wait_ms < 0) /* many documents are waited for only when that was asked for */
        wait_ms = format == FORMAT_JSON ? app->config->embed_wait_ms : 0;
    if (status == RAG_OK)
        n_pending = collection_vectors_wait(c->vectors, wait_ms, request->cancelled);
    collection_release(app->collections, c);
    if (result) {
        /* what was accepted before an error stays, and is counted */
        metrics_add(app->metrics, METRIC_DOCUMENTS_PUT, result->n_accepted);
        metrics_add(app->metrics, METRIC_DOCUMENTS_UNCHANGED, result->n_unchanged);
        metrics_add(app->metrics, METRIC_DOCUMENTS_FAILED, result->n_failed);
        metrics_add(app->metrics, METRIC_DOCUMENT_BYTES, request->body_bytes);
        write_bulk(&w, result, n_pending);
        /* a single record that failed is the client's error, not a partial success */
        if (status == RAG_OK && result->n_failed > 0 && result->n_accepted == 0 &&
            result->n_unchanged == 0 && format == FORMAT_JSON)
            status = rag_fail(&error, RAG_EINVAL, "%s", result->errors[0].message);
    }
    handle_finish(request, response, 200, &body, status, &error);
    free(result);
}

static void write_document(struct json_writer *w, const struct store_document *d)
{
    char updated[CLOCK_TEXT_BYTES];

    clock_format(d->updated_ms, updated);
    json_put_string(w, "document", d->name);
    json_put_string(w, "title", d->title);
    json_put_string(w, "mime", d->mime);
    json_put_int(w, "version", (int64_t)d->version_id);
    json_put_int(w, "text_bytes", (int64_t)d->text_bytes);
    json_put_int(w, "chunks", (int64_t)d->n_chunks);
    json_put_string(w, "updated", updated);
    json_put_raw(w, "metadata", d->metadata);
}

void handle_documents_list(struct http_request *request, struct http_response *response,
                           void *context)
{
    const char *after = http_request_query(request, "after");
    struct store_document *documents = NULL;
    struct rag_error error = {RAG_OK, ""};
    struct app *app = context;
    struct collection *c = NULL;
    enum rag_status status;
    struct json_writer w;
    struct arena arena;
    int64_t limit = 100;
    struct buf body;
    struct buf from; /* where the page begins, in stored form */
    size_t n = 0;

    arena_init(&arena, 64u << 20);
    buf_init(&from, INGEST_NAME_BUF);
    buf_init(&body, HANDLE_REPLY_BYTES_MAX);
    json_writer_init(&w, &body);
    status = handle_query_int(request, "limit", 1, LIST_MAX, &limit, &error);
    if (status == RAG_OK)
        status = get_collection(app, request, ACCESS_READ, &c, &error);
    if (status == RAG_OK && after && *after)
        status = ingest_document_name(after, &from, &error);
    if (status == RAG_OK)
        status = store_document_list(app->store, c->id, buf_str(&from), (size_t)limit, &arena,
                                     &documents, &n, &error);
    collection_release(app->collections, c);
    json_begin_object(&w, NULL);
    json_begin_array(&w, "documents");
    for (size_t i = 0; status == RAG_OK && i < n; i++) {
        json_begin_object(&w, NULL);
        write_document(&w, &documents[i]);
        json_end_object(&w);
    }
    json_end_array(&w);
    /* a full page may have a successor: its last name is where the next one begins */
    json_put_string(&w, "next",
                    status == RAG_OK && n == (size_t)limit ? documents[n - 1].name : NULL);
    json_end_object(&w);
    handle_finish(request, response, 200, &body, status, &error);
    buf_release(&from);
    arena_release(&arena);
}

static bool wants_plain_text(const struct http_request *request)
{
    const char *accept = http_request_header(request, "Accept");

    return accept && strncmp(accept, "text/plain", 10) == 0;
}

void handle_document_get(struct http_request *request, struct http_response *response,
                         void *context)
{
    struct store_document document;
    struct rag_error error = {RAG_OK, ""};
    struct app *app = context;
    struct collection *c = NULL;
    enum rag_status status;
    struct json_writer w;
    struct arena arena;
    char *text = NULL;
    size_t n_bytes = 0;
    struct buf body;
    struct buf name;

    arena_init(&arena, 1u << 20);
    buf_init(&name, INGEST_NAME_BUF);
    /* escaping a control character makes six bytes of one */
    buf_init(&body, (size_t)DOCUMENT_BYTES_MAX * 6);
    json_writer_init(&w, &body);
    status = get_document(app, request, ACCESS_READ, &c, &name, &error);
    if (status == RAG_OK)
        status = store_document_get(app->store, c->id, buf_str(&name), &arena, &document, &error);
    if (status == RAG_OK)
        status = store_document_text(app->store, c->id, buf_str(&name), &text, &n_bytes, &error);
    collection_release(app->collections, c);
    if (status == RAG_OK && wants_plain_text(request)) {
        buf_append(&body, text, n_bytes);
        http_response_type(response, "text/plain; charset=utf-8");
    } else if (status == RAG_OK) {
        json_begin_object(&w, NULL);
        write_document(&w, &document);
        json_put_string_n(&w, "text", text, n_bytes);
        json_end_object(&w);
    }
    handle_finish(request, response, 200, &body, status, &error);
    free(text);
    buf_release(&name);
    arena_release(&arena);
}

void handle_document_delete(struct http_request *request, struct http_response *response,
                            void *context)
{
    struct rag_error error = {RAG_OK, ""};
    struct app *app = context;
    struct collection *c = NULL;
    enum rag_status status;
    uint64_t change = 0;
    struct json_writer w;
    struct buf body;
    struct buf name;

    buf_init(&name, INGEST_NAME_BUF);
    buf_init(&body, 65536);
    json_writer_init(&w, &body);
    status = get_document(app, request, ACCESS_WRITE, &c, &name, &error);
    if (status == RAG_OK)
        status = ingest_delete(&app->ingest, c, buf_str(&name), request->principal, request->id,
                               &change, &error);
    collection_release(app->collections, c);
    if (status == RAG_OK)
        metrics_add(app->metrics, METRIC_DOCUMENTS_DELETED, 1);
    json_begin_object(&w, NULL);
    json_put_string(&w, "document", buf_str(&name));
    json_put_bool(&w, "deleted", true);
    json_put_int(&w, "change", (int64_t)change);
    json_end_object(&w);
    handle_finish(request, response, 200, &body, status, &error);
    buf_release(&name);
}
