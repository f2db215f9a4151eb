/* daemon/handle_chat.c - POST /v1/chat/completions, as OpenAI has it: with "collection" an answer
 * from its documents through the pipeline, else the model alone. Both leave an audit record before
 * the reply ends. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/chat_request.h"
#include "daemon/handle.h"
#include "daemon/reply.h"
#include "daemon/sampling_settings.h"

#define RECORD_BYTES_MAX (4u << 20) /* CHAT_BYTES_MAX and an answer, escaped */

/* One completion and how it leaves. */
struct completion {
    struct app *app;
    struct http_request *request;
    struct chat_request chat;
    int64_t created_s;
    struct buf scratch;            /* of one event */
    bool begun;                    /* the stream: the first chunk has left */
    bool open;                     /* the client still takes them */
    struct pipeline_answer answer; /* plain chat uses its result alone */
};

static const struct generator_result *result_of(const struct completion *c)
{
    return &c->answer.result;
}

/* OpenAI knows of "stop" and "length" here; a refusal is a complete answer. */
static const char *reason_of(const struct completion *c)
{
    return !c->answer.refused && result_of(c)->finish_reason == FINISH_LENGTH ? "length" : "stop";
}

/* ---- chunks ---- */

static struct json_writer begin_object(struct completion *c, const char *object, struct buf *out)
{
    struct json_writer w;
    char id[HTTP_ID_BYTES + 16];

    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    snprintf(id, sizeof id, "chatcmpl-%s", c->request->id);
    json_put_string(&w, "id", id);
    json_put_string(&w, "object", object);
    json_put_int(&w, "created", c->created_s);
    json_put_string(&w, "model", c->chat.model);
    return w;
}

static void send_data(struct completion *c)
{
    struct buf event;

    buf_init(&event, HANDLE_REPLY_BYTES_MAX);
    buf_append_str(&event, "data: ");
    buf_append(&event, buf_str(&c->scratch), c->scratch.len);
    buf_append_str(&event, "\n\n");
    if (buf_status(&c->scratch) != RAG_OK || buf_status(&event) != RAG_OK ||
        !http_stream_write(c->request, buf_str(&event), event.len))
        c->open = false;
    buf_release(&event);
}

/* text NULL: the last one, with its reason. */
static void send_chunk(struct completion *c, const char *text, size_t n)
{
    struct json_writer w;

    buf_reset(&c->scratch);
    w = begin_object(c, "chat.completion.chunk", &c->scratch);
    json_begin_array(&w, "choices");
    json_begin_object(&w, NULL);
    json_put_int(&w, "index", 0);
    json_begin_object(&w, "delta");
    if (!c->begun)
        json_put_string(&w, "role", "assistant");
    if (text)
        json_put_string_n(&w, "content", text, n);
    json_end_object(&w);
    if (text)
        json_put_null(&w, "finish_reason");
    else
        json_put_string(&w, "finish_reason", reason_of(c));
    json_end_object(&w);
    json_end_array(&w);
    if (!text && c->chat.collection) {
        json_begin_object(&w, "ragd");
        reply_write_answer(&w, &c->answer);
        reply_write_degraded(&w, &c->answer.retrieval);
        json_end_object(&w);
    }
    json_end_object(&w);
    c->begun = true;
    send_data(c);
}

static bool on_piece(void *context, const char *text, size_t n)
{
    struct completion *c = context;

    live_request_wrote(c->request->live, n);
    send_chunk(c, text, n);
    return c->open;
}

static void send_usage(struct completion *c)
{
    struct json_writer w;

    buf_reset(&c->scratch);
    w = begin_object(c, "chat.completion.chunk", &c->scratch);
    json_begin_array(&w, "choices");
    json_end_array(&w);
    reply_write_usage(&w, result_of(c));
    json_end_object(&w);
    send_data(c);
}

static void send_error(struct completion *c, enum rag_status status, const struct rag_error *error)
{
    struct json_writer w;

    buf_reset(&c->scratch);
    json_writer_init(&w, &c->scratch);
    json_begin_object(&w, NULL);
    json_begin_object(&w, "error");
    http_write_error(&w, rag_status_code(status), status, error->text, NULL);
    json_end_object(&w);
    json_end_object(&w);
    send_data(c);
}

/* ---- the model alone ---- */

static enum rag_status append_record(struct completion *c, enum rag_status outcome,
                                     const struct rag_error *failed, struct rag_error *reterr)
{
    const struct generator_result *r = result_of(c);
    struct json_writer w;
    struct buf out;

    buf_init(&out, RECORD_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "request_id", c->request->id);
    json_put_string(&w, "outcome",
                    outcome != RAG_OK   ? rag_status_code(outcome)
                    : c->answer.refused ? "refused"
                                        : "answered");
    if (outcome != RAG_OK)
        json_put_string(&w, "error", failed->text);
    json_put_string(&w, "model", c->chat.model);
    json_put_string(&w, "model_fingerprint", r->model_fingerprint);
    json_begin_object(&w, "settings");
    sampling_write(&w, &c->chat.sampling);
    if (c->chat.sampling.schema)
        json_put_raw(&w, "schema", c->chat.sampling.schema);
    json_end_object(&w);
    if (c->answer.history)
        reply_write_messages(&w, c->answer.history, c->answer.n_history + 1);
    reply_write_guard(&w, &c->answer.retrieval.guard);
    json_put_string(&w, "backend", r->backend);
    json_put_string(&w, "answer", buf_str(&r->answer));
    json_put_string(&w, "finish_reason", finish_reason_name(r->finish_reason));
    reply_write_usage(&w, r);
    json_put_double(&w, "cost", r->cost);
    json_end_object(&w);
    return audit_append_buf(c->app->audit, "chat", c->request->principal, &out, 0, reterr);
}

static enum rag_status chat_alone(struct completion *c, const struct pipeline_sink *sink,
                                  struct rag_error *reterr)
{
    const struct pipeline_request request = {
        .question = c->chat.messages[c->chat.n_messages - 1].text,
        .history = c->chat.messages,
        .n_history = c->chat.n_messages - 1,
        .generator = c->chat.generator,
        .sampling = &c->chat.sampling,
        .deadline_ns = c->chat.deadline_ns,
        .cancel = c->request->cancelled,
        .principal = c->request->principal,
        .request_id = c->request->id,
        .stage_now = live_request_stage(c->request->live),
    };
    struct rag_error error = {RAG_OK, ""};
    enum rag_status recorded;
    enum rag_status status;

    status = pipeline_chat(&c->app->pipeline, &request, sink, &c->answer, &error);
    recorded = append_record(c, status, &error, reterr);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "%s", error.text);
    return recorded; /* an answer that could not be recorded is not given */
}

/* ---- both ---- */

static enum rag_status complete(struct completion *c, bool stream, struct rag_error *reterr)
{
    const struct pipeline_sink sink = {.on_piece = stream ? on_piece : NULL, .context = c};
    const struct pipeline_request alone = {.sampling = &c->chat.sampling};
    const char *question = c->chat.messages[c->chat.n_messages - 1].text;
    enum rag_status status;

    request_note_question(&c->request->note, question, strlen(question));
    if (c->chat.collection)
        handle_note_collection(c->app, c->request, c->chat.collection->name);
    if (c->chat.collection)
        status = pipeline_ask(&c->app->pipeline, &c->chat.ask, &sink, &c->answer, reterr);
    else
        status = chat_alone(c, &sink, reterr);
    handle_note_ask(c->app, c->request, c->chat.collection ? &c->chat.ask : &alone, &c->answer,
                    status);
    handle_count_ask(c->app, c->request->id, &c->answer, status);
    return status;
}

/* What a refusal says stands where the answer would. */
static const char *content_of(const struct completion *c)
{
    return c->answer.refused ? c->answer.reason : buf_str(&result_of(c)->answer);
}

static void reply_stream(struct completion *c, struct http_response *response)
{
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;

    buf_init(&c->scratch, HANDLE_REPLY_BYTES_MAX);
    c->open = true;
    http_stream_begin(c->request, response, "text/event-stream; charset=utf-8");
    send_chunk(c, "", 0);
    status = complete(c, true, &error);
    if (status == RAG_OK) {
        if (c->answer.refused)
            send_chunk(c, content_of(c), strlen(content_of(c)));
        send_chunk(c, NULL, 0);
        if (c->chat.include_usage)
            send_usage(c);
    } else {
        send_error(c, status, &error);
    }
    (void)http_stream_write(c->request, "data: [DONE]\n\n", 14);
    http_stream_end(c->request);
    buf_release(&c->scratch);
}

static void reply_whole(struct completion *c, struct http_response *response)
{
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status = complete(c, false, &error);
    struct json_writer w;
    struct buf body;

    buf_init(&body, HANDLE_REPLY_BYTES_MAX);
    if (status == RAG_OK) {
        w = begin_object(c, "chat.completion", &body);
        json_begin_array(&w, "choices");
        json_begin_object(&w, NULL);
        json_put_int(&w, "index", 0);
        json_begin_object(&w, "message");
        json_put_string(&w, "role", "assistant");
        json_put_string(&w, "content", content_of(c));
        json_end_object(&w);
        json_put_string(&w, "finish_reason", reason_of(c));
        json_end_object(&w);
        json_end_array(&w);
        reply_write_usage(&w, result_of(c));
        if (c->chat.collection) {
            json_begin_object(&w, "ragd");
            reply_write_answer(&w, &c->answer);
            reply_write_degraded(&w, &c->answer.retrieval);
            json_end_object(&w);
        }
        json_end_object(&w);
    }
    handle_finish(c->request, response, 200, &body, status, &error);
}

void handle_chat(struct http_request *request, struct http_response *response, void *context)
{
    struct completion c = {.app = context, .request = request, .created_s = clock_wall_ms() / 1000};
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status = chat_request_read(context, request, &c.chat, &error);

    if (status != RAG_OK)
        http_respond_error(response, status, error.text, NULL);
    else if (c.chat.stream)
        reply_stream(&c, response);
    else
        reply_whole(&c, response);
    pipeline_answer_release(&c.answer);
    chat_request_release(context, &c.chat);
}
