#include "daemon/handle.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* A question with its history is small; only documents are not. */
#define SMALL     ((size_t)256 << 10)
/* Base64 of ADAPTER_WEIGHTS_MAX float16. */
#define MAP_BODY  ((size_t)3 << 20)
/* A chat brings all its turns along each time. */
#define CHAT_BODY ((size_t)2 << 20)

const struct http_route app_routes[] = {
    {"GET",    "/healthz",                           handle_health,            JOB_INTERACTIVE, "healthz",    SMALL    },
    {"GET",    "/readyz",                            handle_ready,             JOB_INTERACTIVE, "readyz",     SMALL    },
    {"GET",    "/metrics",                           handle_metrics,           JOB_INTERACTIVE, "metrics",    SMALL    },
    {"GET",    "/v1/collections",                    handle_collections_list,  JOB_INTERACTIVE, "collection", SMALL    },
    {"PUT",    "/v1/collections/{c}",                handle_collection_put,    JOB_INTERACTIVE, "collection", SMALL    },
    {"GET",    "/v1/collections/{c}",                handle_collection_get,    JOB_INTERACTIVE, "collection", SMALL    },
    {"DELETE", "/v1/collections/{c}",                handle_collection_delete, JOB_BULK,        "collection", SMALL    },
    {"PUT",    "/v1/collections/{c}/adapter",        handle_adapter_put,       JOB_BULK,        "adapter",    MAP_BODY },
    {"GET",    "/v1/collections/{c}/adapter",        handle_adapter_get,       JOB_BULK,        "adapter",    SMALL    },
    {"DELETE", "/v1/collections/{c}/adapter",        handle_adapter_delete,    JOB_BULK,        "adapter",    SMALL    },
    {"POST",   "/v1/collections/{c}/check",          handle_collection_check,  JOB_BULK,        "check",      SMALL    },
    {"POST",   "/v1/collections/{c}/documents",      handle_documents_post,    JOB_BULK,        "ingest",     0        },
    {"GET",    "/v1/collections/{c}/documents",      handle_documents_list,    JOB_INTERACTIVE, "documents",
     SMALL                                                                                                             },
    {"GET",    "/v1/collections/{c}/chunks",         handle_chunks_list,       JOB_BULK,        "chunks",     SMALL    },
    {"PUT",    "/v1/collections/{c}/documents/{id}", handle_document_put,      JOB_BULK,        "ingest",     0        },
    {"GET",    "/v1/collections/{c}/documents/{id}", handle_document_get,      JOB_INTERACTIVE, "documents",
     SMALL                                                                                                             },
    {"DELETE", "/v1/collections/{c}/documents/{id}", handle_document_delete,   JOB_BULK,        "ingest",
     SMALL                                                                                                             },
    {"POST",   "/v1/search",                         handle_search,            JOB_INTERACTIVE, "search",     SMALL    },
    {"POST",   "/v1/ask",                            handle_ask,               JOB_ANSWER,      "ask",        SMALL    },
    {"POST",   "/v1/chat/completions",               handle_chat,              JOB_ANSWER,      "chat",       CHAT_BODY},
    {"GET",    "/v1/models",                         handle_models,            JOB_INTERACTIVE, "models",     SMALL    },
    {"POST",   "/v1/embeddings",                     handle_embeddings,        JOB_BULK,        "embeddings", 0        },
    {"POST",   "/v1/rerank",                         handle_rerank,            JOB_BULK,        "rerank",     0        },
    {"GET",    "/v1/audit",                          handle_audit_list,        JOB_INTERACTIVE, "audit",      SMALL    },
    {"GET",    "/v1/audit/export",                   handle_audit_export,      JOB_BULK,        "audit",      SMALL    },
    {"GET",    "/v1/audit/{seq}",                    handle_audit_get,         JOB_INTERACTIVE, "audit",      SMALL    },
    {"POST",   "/v1/audit/verify",                   handle_audit_verify,      JOB_BULK,        "audit",      SMALL    },
    {"POST",   "/v1/audit/cut",                      handle_audit_cut,         JOB_BULK,        "audit",      SMALL    },
    {"POST",   "/v1/audit/{seq}/erase",              handle_audit_erase,       JOB_BULK,        "audit",      SMALL    },
    {"GET",    "/v1/requests",                       handle_requests,          JOB_INTERACTIVE, "requests",   SMALL    },
    {"GET",    "/v1/cache",                          handle_cache_list,        JOB_INTERACTIVE, "cache",      SMALL    },
    {"DELETE", "/v1/cache",                          handle_cache_clear,       JOB_BULK,        "cache",      SMALL    },
    {"POST",   "/v1/feedback",                       handle_feedback,          JOB_INTERACTIVE, "feedback",   SMALL    },
    {"POST",   "/v1/backup",                         handle_backup,            JOB_BULK,        "backup",     SMALL    },
};
const size_t app_n_routes = sizeof app_routes / sizeof app_routes[0];

enum rag_status handle_body_object(const struct http_request *request, struct json **ret,
                                   struct rag_error *reterr)
{
    const char *text = request->body_bytes > 0 ? request->body : "{}";
    size_t n = request->body_bytes > 0 ? request->body_bytes : 2;
    struct json *root = NULL;
    enum rag_status status = json_parse(text, n, "body", &root, reterr);

    if (status != RAG_OK)
        return status;
    if (!json_is_object(root)) {
        json_free(root);
        return rag_fail(reterr, RAG_EINVAL, "body: not a JSON object");
    }
    *ret = root;
    return RAG_OK;
}

enum rag_status handle_query_int(const struct http_request *request, const char *key, int64_t min,
                                 int64_t max, int64_t *ret, struct rag_error *reterr)
{
    const char *text = http_request_query(request, key);
    char *end = NULL;
    long long v;

    if (!text)
        return RAG_OK;
    v = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || strlen(text) > 20 || v < min || v > max)
        return rag_fail(reterr, RAG_EINVAL, "'%s': '%.40s' is not an integer from %lld to %lld",
                        key, text, (long long)min, (long long)max);
    *ret = v;
    return RAG_OK;
}

void handle_finish(const struct http_request *request, struct http_response *response, int code,
                   struct buf *body, enum rag_status status, const struct rag_error *error)
{
    struct rag_error full = {RAG_OK, ""};

    (void)request;
    if (status == RAG_OK && buf_status(body) != RAG_OK) {
        status =
            rag_fail(&full, buf_status(body), "reply: over %zu bytes or out of memory", body->max);
        error = &full;
    }
    if (status == RAG_OK)
        http_respond(response, code, body);
    else
        http_respond_error(response, status, error->text, NULL);
    buf_release(body);
}

bool handle_is_admin(const struct app *app, const struct http_request *request)
{
    return collections_is_admin(app->collections, request->principal);
}

enum rag_status handle_need_admin(const struct app *app, const struct http_request *request,
                                  struct rag_error *reterr)
{
    if (handle_is_admin(app, request))
        return RAG_OK;
    return rag_fail(reterr, RAG_EDENIED, "%s: not an administrator of this ragd (see 'admins')",
                    request->principal);
}

enum rag_status handle_record(const struct app *app, const struct http_request *request,
                              const char *kind, const char *collection, uint64_t change,
                              struct rag_error *reterr)
{
    struct json_writer w;
    struct buf payload;

    buf_init(&payload, 65536);
    json_writer_init(&w, &payload);
    json_begin_object(&w, NULL);
    json_put_string(&w, "request_id", request->id);
    json_put_string(&w, "collection", collection);
    /* the settings that a PUT asked for, as they were sent; its handler has parsed them */
    if (request->body_bytes > 0 && request->body_bytes < 32768 &&
        strcmp(request->method, "PUT") == 0)
        json_put_raw(&w, "settings", request->body);
    json_end_object(&w);
    return audit_append_buf(app->audit, kind, request->principal, &payload, change, reterr);
}
