/* daemon/handle_adapter.c - PUT, GET and DELETE of /v1/collections/{c}/adapter, for writers. */
#include <string.h>

#include "daemon/collection_adapter.h"
#include "daemon/handle.h"
#include "store/adapters.h"

#define RECORD_BYTES_MAX 65536

static enum rag_status get_collection(struct app *app, const struct http_request *request,
                                      struct collection **ret, struct rag_error *reterr)
{
    return collections_get(app->collections, http_request_param(request, "c"), request->principal,
                           ACCESS_WRITE, ret, reterr);
}

/* What was installed, without its weights; a NULL: it was taken away. */
static enum rag_status record(struct app *app, const struct http_request *request,
                              const struct collection *c, const struct collection_adapter *a,
                              struct rag_error *reterr)
{
    struct json_writer w;
    struct buf payload;

    buf_init(&payload, RECORD_BYTES_MAX);
    json_writer_init(&w, &payload);
    json_begin_object(&w, NULL);
    json_put_string(&w, "request_id", request->id);
    json_put_string(&w, "collection", c->name);
    if (a)
        collection_adapter_write(a, true, false, "adapter", &w);
    else
        json_put_null(&w, "adapter");
    json_end_object(&w);
    return audit_append_buf(app->audit, "collection.change", request->principal, &payload, 0,
                            reterr);
}

void handle_adapter_put(struct http_request *request, struct http_response *response, void *context)
{
    struct rag_error error = {RAG_OK, ""};
    struct collection_adapter *a = NULL;
    struct app *app = context;
    struct collection *c = NULL;
    struct json *root = NULL;
    bool replaced = false;
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, RECORD_BYTES_MAX);
    json_writer_init(&w, &body);
    status = get_collection(app, request, &c, &error);
    if (status == RAG_OK)
        status = handle_body_object(request, &root, &error);
    if (status == RAG_OK)
        status = collection_adapter_read(root, &a, &error);
    json_free(root);
    if (status == RAG_OK)
        status = collection_vectors_install(c->vectors, a, &replaced, &error);
    if (status == RAG_OK)
        status = record(app, request, c, a, &error);
    if (status == RAG_OK) {
        struct collection_adapter *now;
        bool active = false;

        now = collection_vectors_adapter(c->vectors, &active);
        collection_adapter_write(a, active && now && strcmp(now->id, a->id) == 0, false, NULL, &w);
        collection_adapter_unref(now);
    }
    collection_adapter_unref(a);
    collection_release(app->collections, c);
    handle_finish(request, response, replaced ? 200 : 201, &body, status, &error);
}

void handle_adapter_get(struct http_request *request, struct http_response *response, void *context)
{
    struct rag_error error = {RAG_OK, ""};
    struct collection_adapter *a = NULL;
    struct app *app = context;
    struct collection *c = NULL;
    bool active = false;
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, HANDLE_REPLY_BYTES_MAX);
    json_writer_init(&w, &body);
    status = get_collection(app, request, &c, &error);
    if (status == RAG_OK && c->vectors)
        a = collection_vectors_adapter(c->vectors, &active);
    else if (status == RAG_OK)
        status = collection_adapter_load(app->store, c->id, &a, &error);
    if (status == RAG_OK && !a)
        status = rag_fail(&error, RAG_ENOTFOUND, "adapter: collection '%s' has none", c->name);
    if (status == RAG_OK)
        collection_adapter_write(a, active, true, NULL, &w);
    collection_adapter_unref(a);
    collection_release(app->collections, c);
    handle_finish(request, response, 200, &body, status, &error);
}

void handle_adapter_delete(struct http_request *request, struct http_response *response,
                           void *context)
{
    struct rag_error error = {RAG_OK, ""};
    struct app *app = context;
    struct collection *c = NULL;
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, 4096);
    json_writer_init(&w, &body);
    status = get_collection(app, request, &c, &error);
    if (status == RAG_OK && c->vectors)
        status = collection_vectors_uninstall(c->vectors, &error);
    else if (status == RAG_OK)
        status = store_adapter_delete(app->store, c->id, NULL, &error);
    if (status == RAG_OK)
        status = record(app, request, c, NULL, &error);
    json_begin_object(&w, NULL);
    json_put_bool(&w, "deleted", true);
    json_end_object(&w);
    collection_release(app->collections, c);
    handle_finish(request, response, 200, &body, status, &error);
}
