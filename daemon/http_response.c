/* daemon/http_response.c - what a handler fills, and the one mapping of a status to HTTP. */
#include "base/json_writer.h"
#include "daemon/http_server.h"

void http_respond(struct http_response *response, int code, struct buf *body)
{
    buf_release(&response->body);
    response->code = code;
    response->body = *body;
    buf_init(body, body->max); /* its memory is the response's now */
}

void http_response_type(struct http_response *response, const char *static_type)
{
    response->type = static_type;
}

int http_status_of(enum rag_status status)
{
    switch (status) {
    case RAG_OK:
        return 200;
    case RAG_EINVAL:
    case RAG_EFORMAT:
    case RAG_ENUMERIC:
        return 400;
    case RAG_EDENIED:
        return 403;
    case RAG_ENOTFOUND:
        return 404;
    case RAG_EEXIST:
        return 409;
    case RAG_ELIMIT:
        return 413;
    case RAG_ECANCELLED:
        return HTTP_CLIENT_GONE;
    case RAG_EBUSY:
    case RAG_ENOMEM:
        return 503;
    case RAG_ETIMEOUT:
        return 504;
    case RAG_ENOSPC:
        return 507;
    case RAG_EIO:
    case RAG_EINTERNAL:
        return 500;
    }
    return 500;
}

static const char *type_of(int code)
{
    if (code == 401 || code == 403)
        return "permission_error";
    if (code == 404)
        return "not_found_error";
    if (code >= 400 && code < 500)
        return "invalid_request_error";
    return code == 503 ? "overloaded_error" : "server_error";
}

void http_write_error(struct json_writer *w, const char *type, enum rag_status status,
                      const char *message, const char *param)
{
    json_put_string(w, "type", type);
    json_put_string(w, "code", rag_status_code(status));
    json_put_string(w, "message", message);
    json_put_string(w, "param", param);
}

void http_respond_code(struct http_response *response, int code, enum rag_status status,
                       const char *message, const char *param)
{
    struct json_writer w;
    struct buf body;

    buf_init(&body, 16384);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    json_begin_object(&w, "error");
    http_write_error(&w, type_of(code), status, message, param);
    json_end_object(&w);
    json_end_object(&w);
    response->type = "application/json";
    http_respond(response, code, &body);
    buf_release(&body);
}

void http_respond_error(struct http_response *response, enum rag_status status, const char *message,
                        const char *param)
{
    http_respond_code(response, http_status_of(status), status, message, param);
}
