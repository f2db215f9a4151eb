/* daemon/ragctl/ragctl_mcp_ask.c - tools/call ask: a stream of events becomes progress and one
 * result. */
#include <string.h>

#include "base/clock.h"
#include "daemon/ragctl/ragctl_ask.h"
#include "daemon/ragctl/ragctl_mcp.h"
#include "daemon/ragctl/ragctl_sse.h"

#define REQUEST_BYTES_MAX (4u << 20)
#define EVENT_BYTES_MAX   (64u << 20) /* the passages event: PASSAGES_MAX large chunks */
#define ERROR_BYTES_MAX   65536
#define ASK_TIMEOUT_MS    330000 /* over the daemon's own deadline, which has the better message */
#define SOURCE_COLUMNS    10000  /* of a line of the sources: nobody's terminal wraps them here */

/* One attempt. An error comes as one JSON object instead of events. */
struct attempt {
    struct mcp *m;
    const struct json *token;
    int64_t progress;
    struct ragctl_sse sse;
    struct buf error_body;
    struct buf *done; /* of the event 'done': borrowed */
    struct rag_error failure;
};

static void tell_passages(struct attempt *a, const struct json *event)
{
    struct buf message;

    buf_init(&message, 128);
    buf_printf(&message, "%zu passages found", json_size(json_member(event, "passages")));
    mcp_progress(a->m, a->token, ++a->progress, buf_str(&message), message.len);
    buf_release(&message);
}

static bool on_event(void *context, const char *name, const char *data, size_t n_bytes)
{
    struct attempt *a = context;
    struct json *event = NULL;

    if (json_parse(data, n_bytes, "event of ragd", &event, &a->failure) != RAG_OK)
        return false;
    a->failure.status = RAG_OK;
    if (strcmp(name, "passages") == 0)
        tell_passages(a, event);
    else if (strcmp(name, "delta") == 0)
        mcp_progress(a->m, a->token, ++a->progress, ragctl_text(event, "text"),
                     strlen(ragctl_text(event, "text")));
    else if (strcmp(name, "done") == 0)
        buf_append(a->done, data, n_bytes);
    else if (strcmp(name, "error") == 0)
        rag_fail(&a->failure, RAG_EINTERNAL, "%s",
                 ragctl_text(json_member(event, "error"), "message"));
    json_free(event);
    return a->failure.status == RAG_OK && mcp_go_on(a->m);
}

static bool on_piece(void *context, const char *data, size_t n_bytes)
{
    struct attempt *a = context;

    if (http_client_code(a->m->client.http) < 300)
        return ragctl_sse_feed(&a->sse, data, n_bytes);
    buf_append(&a->error_body, data, n_bytes);
    return buf_status(&a->error_body) == RAG_OK;
}

static bool go_on(void *context)
{
    const struct attempt *a = context;

    return mcp_go_on(a->m);
}

static enum rag_status ask_once(struct attempt *a, struct http_call *request,
                                struct rag_error *reterr)
{
    struct ragctl_client *client = &a->m->client;
    enum rag_status status;

    request->on_piece = on_piece;
    request->go_on = go_on;
    request->context = a;
    status = ragctl_client_once(client, request, reterr);
    if (a->m->cancelled)
        return rag_fail(reterr, RAG_ECANCELLED, "ask: cancelled");
    if (a->failure.status != RAG_OK) {
        *reterr = a->failure;
        return a->failure.status;
    }
    if (client->code >= 300)
        return ragctl_client_error(client->code, buf_str(&a->error_body), a->error_body.len,
                                   reterr);
    if (status == RAG_OK && a->done->len == 0)
        return rag_fail(reterr, RAG_EIO, "ragd: the stream ended before the answer did");
    return status;
}

static enum rag_status ask(struct mcp *m, const struct json *token, struct buf *body,
                           struct buf *done, struct rag_error *reterr)
{
    struct http_call request = {.method = "POST",
                                .path = "/v1/ask",
                                .body = buf_str(body),
                                .body_bytes = body->len,
                                .timeout_ms = m->options->timeout_ms ? m->options->timeout_ms
                                                                     : ASK_TIMEOUT_MS};
    int64_t since_ns = clock_monotonic_ns();
    enum rag_status status;
    int64_t progress = 0;

    do {
        struct attempt a = {.m = m, .token = token, .progress = progress, .done = done};

        buf_reset(done);
        buf_init(&a.error_body, ERROR_BYTES_MAX);
        ragctl_sse_init(&a.sse, EVENT_BYTES_MAX, on_event, &a);
        status = ask_once(&a, &request, reterr);
        progress = a.progress; /* it never goes back */
        ragctl_sse_release(&a.sse);
        buf_release(&a.error_body);
    } while (status == RAG_EBUSY && mcp_go_on(m) && ragctl_client_busy_again(&m->client, since_ns));
    return status;
}

static enum rag_status format_answer(struct mcp_result *result, struct rag_error *reterr)
{
    static const struct ask_screen screen = {false, false, false};
    struct json *reply = NULL;
    enum rag_status status = json_parse(buf_str(&result->structured), result->structured.len,
                                        "answer of ragd", &reply, reterr);

    if (status == RAG_OK)
        ragctl_ask_format(reply, &screen, false, SOURCE_COLUMNS, &result->text);
    json_free(reply);
    return status;
}

enum rag_status mcp_tool_ask(struct mcp *m, const struct json *arguments, const struct json *token,
                             struct mcp_result *result, struct rag_error *reterr)
{
    static const char *const copied[] = {"top_k", "filter", "messages"};
    const char *collection = NULL;
    const char *question = NULL;
    struct json_writer w;
    struct buf body;
    enum rag_status status = mcp_collection(m, arguments, &collection, result, reterr);

    buf_init(&body, REQUEST_BYTES_MAX);
    json_writer_init(&w, &body);
    if (status == RAG_OK) {
        status = json_get_string(arguments, "question", QUESTION_BYTES_MAX, &question, reterr);
        if (status == RAG_OK && !question)
            status = rag_fail(reterr, RAG_EINVAL, "'question': missing");
        result->bad_arguments = status != RAG_OK;
    }
    json_begin_object(&w, NULL);
    json_put_string(&w, "collection", collection);
    json_put_string(&w, "question", question);
    json_put_bool(&w, "stream", true);
    for (size_t i = 0; status == RAG_OK && i < sizeof copied / sizeof copied[0]; i++)
        status = mcp_copy_member(&w, arguments, copied[i], reterr);
    json_end_object(&w);
    if (status == RAG_OK && buf_status(&body) != RAG_OK)
        status = rag_fail(reterr, RAG_ELIMIT, "'messages': over %u bytes", REQUEST_BYTES_MAX);
    if (status == RAG_OK)
        status = ask(m, token, &body, &result->structured, reterr);
    if (status == RAG_OK)
        status = format_answer(result, reterr);
    buf_release(&body);
    return status;
}
