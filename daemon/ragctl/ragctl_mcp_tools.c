/* daemon/ragctl/ragctl_mcp_tools.c - tools/call: each tool is one request to ragd. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "daemon/ragctl/ragctl_mcp.h"

#define REQUEST_BYTES_MAX (4u << 20)  /* a question and its earlier turns, escaped */
#define RESULT_BYTES_MAX  (32u << 20) /* of a tool: fits a message twice */

enum rag_status mcp_collection(const struct mcp *m, const struct json *arguments, const char **ret,
                               struct mcp_result *result, struct rag_error *reterr)
{
    const char *name = m->options->collection;
    enum rag_status status =
        json_get_string(arguments, "collection", COLLECTION_NAME_BYTES_MAX, &name, reterr);

    if (status == RAG_OK && !name)
        status = rag_fail(reterr, RAG_EINVAL, "'collection': missing; list_collections has them");
    result->bad_arguments = status != RAG_OK;
    *ret = name;
    return status;
}

enum rag_status mcp_copy_member(struct json_writer *w, const struct json *arguments,
                                const char *key, struct rag_error *reterr)
{
    const struct json *member = json_member(arguments, key);
    char *text = NULL;

    if (!member || json_is_null(member))
        return RAG_OK;
    if (json_print(member, &text) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "'%s': out of memory", key);
    json_put_raw(w, key, text);
    free(text);
    return RAG_OK;
}

/* RAG_EINVAL unless the text is there. */
static enum rag_status get_text(const struct json *arguments, const char *key, size_t bytes_max,
                                const char **ret, struct mcp_result *result,
                                struct rag_error *reterr)
{
    enum rag_status status = json_get_string(arguments, key, bytes_max, ret, reterr);

    if (status == RAG_OK && !*ret)
        status = rag_fail(reterr, RAG_EINVAL, "'%s': missing", key);
    result->bad_arguments = status != RAG_OK;
    return status;
}

static enum rag_status get_int(const struct json *arguments, const char *key, int64_t min,
                               int64_t max, int64_t *ret, struct mcp_result *result,
                               struct rag_error *reterr)
{
    enum rag_status status = json_get_int(arguments, key, min, max, ret, reterr);

    result->bad_arguments = status != RAG_OK;
    return status;
}

/* What ragd answered, as it is. */
static void take_reply(const struct mcp *m, struct mcp_result *result)
{
    buf_append(&result->structured, buf_str(&m->client.body), m->client.body.len);
}

/* The same, and as text too. */
static void take_reply_as_text(const struct mcp *m, struct mcp_result *result)
{
    take_reply(m, result);
    buf_append(&result->text, buf_str(&result->structured), result->structured.len);
}

/* A request without a body whose reply is the result. */
static enum rag_status pass_on(struct mcp *m, const char *method, const char *path,
                               struct mcp_result *result, struct rag_error *reterr)
{
    enum rag_status status = ragctl_client_call(&m->client, method, path, NULL, reterr);

    if (status == RAG_OK)
        take_reply_as_text(m, result);
    return status;
}

/* ---- search ---- */

static void format_results(const struct json *reply, struct buf *out)
{
    const struct json *results = json_member(reply, "results");

    if (json_size(results) == 0)
        buf_append_str(out, "No passage matches.\n");
    for (const struct json *r = json_first(results); r; r = json_next(r)) {
        const char *heading = ragctl_text(r, "heading");

        buf_printf(out, "[%.0f] %s%s%s (bytes %.0f-%.0f)\n", json_number(json_member(r, "rank")),
                   ragctl_text(r, "document"), *heading ? ", " : "", heading,
                   json_number(json_member(r, "byte_start")),
                   json_number(json_member(r, "byte_end")));
        buf_append_str(out, ragctl_text(r, "text"));
        buf_append_str(out, "\n\n");
    }
}

static enum rag_status call_search(struct mcp *m, const struct json *arguments,
                                   const struct json *token, struct mcp_result *result,
                                   struct rag_error *reterr)
{
    const char *collection = NULL;
    const char *query = NULL;
    struct json *reply = NULL;
    enum rag_status status;
    struct json_writer w;
    int64_t top_k = 5;
    struct buf body;

    (void)token;
    buf_init(&body, REQUEST_BYTES_MAX);
    json_writer_init(&w, &body);
    status = mcp_collection(m, arguments, &collection, result, reterr);
    if (status == RAG_OK)
        status = get_text(arguments, "query", QUESTION_BYTES_MAX, &query, result, reterr);
    if (status == RAG_OK)
        status = get_int(arguments, "top_k", 1, PASSAGES_MAX, &top_k, result, reterr);
    json_begin_object(&w, NULL);
    json_put_string(&w, "collection", collection);
    json_put_string(&w, "query", query);
    json_put_int(&w, "top_k", top_k);
    if (status == RAG_OK)
        status = mcp_copy_member(&w, arguments, "filter", reterr);
    json_end_object(&w);
    if (status == RAG_OK)
        status = ragctl_client_send(&m->client, "POST", "/v1/search", &body, &reply, reterr);
    if (status == RAG_OK) {
        take_reply(m, result);
        format_results(reply, &result->text);
    }
    json_free(reply);
    buf_release(&body);
    return status;
}

/* ---- collections and documents ---- */

static enum rag_status call_list_collections(struct mcp *m, const struct json *arguments,
                                             const struct json *token, struct mcp_result *result,
                                             struct rag_error *reterr)
{
    (void)arguments;
    (void)token;
    return pass_on(m, "GET", "/v1/collections", result, reterr);
}

static enum rag_status call_list_documents(struct mcp *m, const struct json *arguments,
                                           const struct json *token, struct mcp_result *result,
                                           struct rag_error *reterr)
{
    const char *collection = NULL;
    const char *after = NULL;
    int64_t limit = 100;
    enum rag_status status;
    struct buf path;

    (void)token;
    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    status = mcp_collection(m, arguments, &collection, result, reterr);
    if (status == RAG_OK)
        status = json_get_string(arguments, "after", DOCUMENT_NAME_BYTES_MAX, &after, reterr);
    result->bad_arguments = status != RAG_OK;
    if (status == RAG_OK)
        status = get_int(arguments, "limit", 1, 1000, &limit, result, reterr);
    if (status == RAG_OK) {
        ragctl_client_collection_path(&path, collection, "/documents", NULL);
        buf_printf(&path, "?limit=%lld", (long long)limit);
        if (after) {
            buf_append_str(&path, "&after=");
            http_encode_segment(&path, after);
        }
        status = pass_on(m, "GET", buf_str(&path), result, reterr);
    }
    buf_release(&path);
    return status;
}

static enum rag_status document_path(struct mcp *m, const struct json *arguments, struct buf *path,
                                     struct mcp_result *result, struct rag_error *reterr)
{
    const char *collection = NULL;
    const char *document = NULL;
    enum rag_status status = mcp_collection(m, arguments, &collection, result, reterr);

    if (status == RAG_OK)
        status =
            get_text(arguments, "document", DOCUMENT_NAME_BYTES_MAX, &document, result, reterr);
    if (status == RAG_OK)
        ragctl_client_collection_path(path, collection, "/documents/", document);
    return status;
}

/* The part [byte_start, byte_start + max_bytes) of the text, at whole characters. */
static void write_part(struct mcp_result *result, const struct json *reply, size_t byte_start,
                       size_t bytes_max)
{
    static const char *const copied[] = {"document", "title", "mime", "updated"};
    const char *text = ragctl_text(reply, "text");
    size_t n = strlen(text);
    size_t start = utf8_floor(text, n, byte_start < n ? byte_start : n);
    size_t end = utf8_floor(text, n, bytes_max < n - start ? start + bytes_max : n);
    struct json_writer w;

    json_writer_init(&w, &result->structured);
    json_begin_object(&w, NULL);
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++)
        json_put_string(&w, copied[i], ragctl_text(reply, copied[i]));
    (void)mcp_copy_member(&w, reply, "metadata", NULL); /* without it when memory is out */
    json_put_int(&w, "text_bytes", (int64_t)n);
    json_put_int(&w, "byte_start", (int64_t)start);
    json_put_int(&w, "byte_end", (int64_t)end);
    json_put_bool(&w, "truncated", end < n);
    json_put_string_n(&w, "text", text + start, end - start);
    json_end_object(&w);
    buf_append(&result->text, text + start, end - start);
    if (end < n)
        buf_printf(&result->text, "\n[... %zu of %zu bytes follow; byte_start %zu reads on]",
                   n - end, n, end);
}

static enum rag_status call_get_document(struct mcp *m, const struct json *arguments,
                                         const struct json *token, struct mcp_result *result,
                                         struct rag_error *reterr)
{
    int64_t max_bytes = MCP_TEXT_BYTES_DEFAULT;
    struct json *reply = NULL;
    int64_t byte_start = 0;
    enum rag_status status;
    struct buf path;

    (void)token;
    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    status = document_path(m, arguments, &path, result, reterr);
    if (status == RAG_OK)
        status = get_int(arguments, "byte_start", 0, INT32_MAX, &byte_start, result, reterr);
    if (status == RAG_OK)
        status = get_int(arguments, "max_bytes", 1, MCP_TEXT_BYTES_MAX, &max_bytes, result, reterr);
    if (status == RAG_OK)
        status = ragctl_client_call(&m->client, "GET", buf_str(&path), &reply, reterr);
    if (status == RAG_OK)
        write_part(result, reply, (size_t)byte_start, (size_t)max_bytes);
    json_free(reply);
    buf_release(&path);
    return status;
}

static enum rag_status put(struct mcp *m, const struct buf *path, const char *type,
                           const char *text, const char *metadata, struct rag_error *reterr)
{
    const char *headers[] = {NULL, NULL};
    struct http_call request = {.method = "PUT",
                                .path = buf_str(path),
                                .content_type = type,
                                .headers = headers,
                                .body = text,
                                .body_bytes = strlen(text)};
    enum rag_status status;
    struct buf header;

    buf_init(&header, HTTP_HEADER_BYTES_MAX);
    if (metadata) {
        buf_printf(&header, "X-Ragd-Metadata: %s", metadata);
        headers[0] = buf_str(&header);
    }
    if (buf_status(&header) != RAG_OK || buf_status(path) != RAG_OK)
        status = rag_fail(reterr, RAG_ELIMIT, "'metadata' or 'title': too long");
    else
        status = ragctl_client_do(&m->client, &request, reterr);
    buf_release(&header);
    return status;
}

static enum rag_status call_put_document(struct mcp *m, const struct json *arguments,
                                         const struct json *token, struct mcp_result *result,
                                         struct rag_error *reterr)
{
    const struct json *metadata = NULL;
    const char *type = "text/plain";
    const char *title = NULL;
    const char *text = NULL;
    char *header = NULL;
    enum rag_status status;
    struct buf path;

    (void)token;
    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    status = document_path(m, arguments, &path, result, reterr);
    if (status == RAG_OK)
        status = get_text(arguments, "text", MCP_LINE_BYTES_MAX, &text, result, reterr);
    if (status == RAG_OK) {
        status = json_get_string(arguments, "type", 32, &type, reterr);
        if (status == RAG_OK)
            status = json_get_string(arguments, "title", 1024, &title, reterr);
        if (status == RAG_OK)
            status = json_get_object(arguments, "metadata", &metadata, reterr);
        if (status == RAG_OK && strcmp(type, "text/plain") != 0 &&
            strcmp(type, "text/markdown") != 0 && strcmp(type, "text/html") != 0)
            status = rag_fail(reterr, RAG_EINVAL,
                              "'type': '%s' is none of text/plain, text/markdown, text/html", type);
        result->bad_arguments = status != RAG_OK;
    }
    if (status == RAG_OK && metadata && json_print(metadata, &header) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "'metadata': out of memory");
    if (status == RAG_OK && title) {
        buf_append_str(&path, "?title=");
        http_encode_segment(&path, title);
    }
    if (status == RAG_OK)
        status = put(m, &path, type, text, header, reterr);
    if (status == RAG_OK)
        take_reply_as_text(m, result);
    free(header);
    buf_release(&path);
    return status;
}

static enum rag_status call_delete_document(struct mcp *m, const struct json *arguments,
                                            const struct json *token, struct mcp_result *result,
                                            struct rag_error *reterr)
{
    enum rag_status status;
    struct buf path;

    (void)token;
    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    status = document_path(m, arguments, &path, result, reterr);
    if (status == RAG_OK)
        status = pass_on(m, "DELETE", buf_str(&path), result, reterr);
    buf_release(&path);
    return status;
}

/* ---- tools/call ---- */

static const struct {
    const char *name;
    const char *const keys[8]; /* of the arguments */
    enum rag_status (*call)(struct mcp *m, const struct json *arguments, const struct json *token,
                            struct mcp_result *result, struct rag_error *reterr);
} calls[] = {
    {"search",           {"collection", "query", "top_k", "filter"},                call_search          },
    {"ask",              {"collection", "question", "top_k", "filter", "messages"}, mcp_tool_ask         },
    {"list_collections", {NULL},                                                    call_list_collections},
    {"list_documents",   {"collection", "after", "limit"},                          call_list_documents  },
    {"get_document",     {"collection", "document", "byte_start", "max_bytes"},     call_get_document    },
    {"put_document",
     {"collection", "document", "text", "type", "title", "metadata"},
     call_put_document                                                                                   },
    {"delete_document",  {"collection", "document"},                                call_delete_document },
};

static bool is_offered(const struct mcp *m, const char *name)
{
    for (size_t i = 0; i < mcp_n_tools; i++)
        if (strcmp(mcp_tools[i].name, name) == 0)
            return m->write || !mcp_tools[i].writes;
    return false;
}

static void write_result(struct json_writer *w, const struct mcp_result *result,
                         enum rag_status status, const struct rag_error *error)
{
    json_begin_array(w, "content");
    json_begin_object(w, NULL);
    json_put_string(w, "type", "text");
    json_put_string(w, "text", status == RAG_OK ? buf_str(&result->text) : error->text);
    json_end_object(w);
    json_end_array(w);
    if (status == RAG_OK)
        json_put_raw(w, "structuredContent", buf_str(&result->structured));
    json_put_bool(w, "isError", status != RAG_OK);
}

static int call_tool(struct mcp *m, size_t i, const struct json *params, struct json_writer *w,
                     struct rag_error *reterr)
{
    const struct json *arguments = json_member(params, "arguments");
    const struct json *token = json_member(json_member(params, "_meta"), "progressToken");
    struct mcp_result result = {.bad_arguments = true};
    enum rag_status status = RAG_OK;
    int code = 0;

    buf_init(&result.text, RESULT_BYTES_MAX);
    buf_init(&result.structured, RESULT_BYTES_MAX);
    if (arguments && !json_is_object(arguments) && !json_is_null(arguments))
        status = rag_fail(reterr, RAG_EINVAL, "'arguments': not an object");
    if (status == RAG_OK && json_is_object(arguments))
        status = json_only(arguments, calls[i].keys, reterr);
    if (status == RAG_OK) {
        result.bad_arguments = false;
        status = calls[i].call(m, arguments, token, &result, reterr);
    }
    if (status == RAG_OK &&
        (buf_status(&result.text) != RAG_OK || buf_status(&result.structured) != RAG_OK))
        status =
            rag_fail(reterr, RAG_ELIMIT, "result: over %u bytes; ask for less", RESULT_BYTES_MAX);
    if (status != RAG_OK && result.bad_arguments)
        code = MCP_INVALID_PARAMS;
    else
        write_result(w, &result, status, reterr);
    buf_release(&result.text);
    buf_release(&result.structured);
    return code;
}

int mcp_tools_call(struct mcp *m, const struct json *params, struct json_writer *w,
                   struct rag_error *reterr)
{
    const char *name = json_string(json_member(params, "name"));

    if (!name) {
        rag_fail(reterr, RAG_EINVAL, "'name': missing");
        return MCP_INVALID_PARAMS;
    }
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (strcmp(calls[i].name, name) == 0 && is_offered(m, name))
            return call_tool(m, i, params, w, reterr);
    rag_fail(reterr, RAG_ENOTFOUND, "tool '%.100s': unknown%s", name,
             m->write ? "" : " (those that write need --write)");
    return MCP_INVALID_PARAMS;
}
