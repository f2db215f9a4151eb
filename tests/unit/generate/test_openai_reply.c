/* Streams of chat completions, as servers send them and as they should not: what is read of them,
 * however the bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "generate/openai_reply.h"
#include "generate/openai_request.h"
#include "generate/sse_reader.h"

#define COUNT(a)        (sizeof(a) / sizeof((a)[0]))
#define EVENT(json)     "data: " json "\n\n"
#define SAYS(text)      "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}"
#define ENDS(reason)    "{\"choices\":[{\"delta\":{},\"finish_reason\":\"" reason "\"}]}"
#define EVENT_BYTES_MAX 400
#define REPLACEMENT     "\xEF\xBF\xBD"

struct reading {
    struct openai_reply reply;
    char text[512];
    enum rag_status status;
    struct rag_error error;
    bool done;
};

static bool on_event(void *context, const char *data, size_t n)
{
    struct reading *r = context;

    r->done = n == 6 && memcmp(data, "[DONE]", 6) == 0;
    if (r->done)
        return false;
    r->status = openai_reply_put(&r->reply, data, n, &r->error);
    strncat(r->text, buf_str(&r->reply.text), sizeof r->text - strlen(r->text) - 1);
    buf_reset(&r->reply.text);
    return r->status == RAG_OK;
}

static void read_cut(const char *stream, size_t n, size_t step, struct reading *ret)
{
    struct sse_reader events;
    enum rag_status status = RAG_OK;

    memset(ret, 0, sizeof *ret);
    openai_reply_init(&ret->reply, 4096);
    sse_reader_init(&events, EVENT_BYTES_MAX, on_event, ret);
    for (size_t i = 0; i < n && status == RAG_OK; i += step)
        status = sse_reader_put(&events, stream + i, n - i < step ? n - i : step);
    if (status == RAG_OK)
        status = sse_reader_finish(&events);
    openai_reply_finish(&ret->reply);
    strncat(ret->text, buf_str(&ret->reply.text), sizeof ret->text - strlen(ret->text) - 1);
    if (ret->status == RAG_OK)
        ret->status = status;
    sse_reader_release(&events);
}

static const struct row {
    const char *what;
    const char *stream;
    const char *text;
    enum rag_status status;
    enum openai_finish finish;
    bool done;
} rows[] = {
    {"an answer in three pieces",
     EVENT(SAYS("필터는")) EVENT(SAYS(" 6개월")) EVENT(SAYS(".")) EVENT(ENDS("stop"))
         EVENT("[DONE]"),
     "필터는 6개월.",                                                                                                                                           RAG_OK,      OPENAI_STOP,     true },
    {"lines that end in CR LF, a comment, other fields, a byte order mark",
     "\xEF\xBB\xBF: hello\r\nevent: x\r\nid: 1\r\ndata: " SAYS("a") "\r\n\r\ndata: [DONE]\r\n\r\n",
     "a",                                                                                                                                                            RAG_OK,      OPENAI_RUNNING,  true },
    {"lines that end in CR",                                                "data: " SAYS("a") "\r\rdata:[DONE]\r\r",                           "a",                 RAG_OK,      OPENAI_RUNNING,
     true                                                                                                                                                                                               },
    {"an event of many lines",
     "data: {\"choices\":[\ndata: {\"delta\":{\"content\":\"a\"}}\ndata:]}\n\n",                                                                "a",                 RAG_OK,
     OPENAI_RUNNING,                                                                                                                                                                               false},
    {"an end without an empty line",                                        EVENT(SAYS("a")) "data: " ENDS("length"),                           "a",                 RAG_OK,
     OPENAI_LENGTH,                                                                                                                                                                                false},
    {"half an event at the end",                                            EVENT(SAYS("a")) "data: {\"choices\":[{\"delta\"",                  "a",
     RAG_EFORMAT,                                                                                                                                                                 OPENAI_RUNNING,  false},
    {"text behind the end",                                                 EVENT("[DONE]") EVENT(SAYS("never read")),                          "",                  RAG_OK,      OPENAI_RUNNING,
     true                                                                                                                                                                                               },
    {"a character cut between events, as bytes",                            EVENT(SAYS("\xEA\xB0")) EVENT(SAYS("\x80!")),
     "가!",                                                                                                                                                         RAG_OK,      OPENAI_RUNNING,  false},
    {"a character that is never finished",                                  EVENT(SAYS("a\xEA\xB0")) EVENT(SAYS("b")),
     "a" REPLACEMENT "b",                                                                                                                                            RAG_OK,      OPENAI_RUNNING,  false},
    {"a character that the end cuts",                                       EVENT(SAYS("a\xEA\xB0")),                                           "a" REPLACEMENT,     RAG_OK,
     OPENAI_RUNNING,                                                                                                                                                                               false},
    {"a surrogate pair cut between events",                                 EVENT(SAYS("\\ud83d")) EVENT(SAYS("\\ude00")),                      "😀",
     RAG_OK,                                                                                                                                                                      OPENAI_RUNNING,  false},
    {"halves of surrogate pairs alone",                                     EVENT(SAYS("\\ude00x\\ud83d")) EVENT(SAYS("y")),
     REPLACEMENT "x" REPLACEMENT "y",                                                                                                                                RAG_OK,      OPENAI_RUNNING,  false},
    {"a NUL in the text",                                                   EVENT(SAYS("a\\u0000b")),                                           "a" REPLACEMENT "b", RAG_OK,      OPENAI_RUNNING,
     false                                                                                                                                                                                              },
    {"content in parts",
     EVENT("{\"choices\":[{\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}}]}"),                                                   "a",
     RAG_OK,                                                                                                                                                                      OPENAI_RUNNING,  false},
    {"another choice than the first",
     EVENT("{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"x\"}}]}"),                                                                      "",                  RAG_OK,
     OPENAI_RUNNING,                                                                                                                                                                               false},
    {"an error in the stream",                                              EVENT(SAYS("a")) EVENT("{\"error\":{\"message\":\"overloaded\"}}"),
     "a",                                                                                                                                                            RAG_EIO,     OPENAI_RUNNING,  false},
    {"a refusal by the API's own means",                                    EVENT("{\"choices\":[{\"delta\":{\"refusal\":\"no\"}}]}"),
     "",                                                                                                                                                             RAG_EDENIED, OPENAI_RUNNING,  false},
    {"a content filter",                                                    EVENT(ENDS("content_filter")),                                      "",                  RAG_OK,      OPENAI_FILTERED, false},
    {"a tool that nobody offered",                                          EVENT(ENDS("tool_calls")),                                          "",                  RAG_OK,      OPENAI_TOOL,     false},
    {"a reason that is not known",                                          EVENT(ENDS("eos")),                                                 "",                  RAG_OK,      OPENAI_STOP,     false},
    {"no JSON",                                                             EVENT("{oops"),                                                     "",                  RAG_EFORMAT, OPENAI_RUNNING,  false},
    {"JSON of another shape",                                               EVENT("{\"choices\":{\"delta\":1}}"),                               "",                  RAG_EFORMAT, OPENAI_RUNNING,
     false                                                                                                                                                                                              },
    {"choices that are no objects",                                         EVENT("{\"choices\":[1]}"),                                         "",                  RAG_EFORMAT, OPENAI_RUNNING,
     false                                                                                                                                                                                              },
    {"content that is a number",                                            EVENT("{\"choices\":[{\"delta\":{\"content\":1}}]}"),               "",
     RAG_EFORMAT,                                                                                                                                                                 OPENAI_RUNNING,  false},
};

static void streams_are_read_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t step = 1; step < 40; step += step < 8 ? 1 : 31) {
            const struct row *row = &rows[i];
            struct reading r;

            read_cut(row->stream, strlen(row->stream), step, &r);
            if (strcmp(r.text, row->text) != 0 || r.status != row->status ||
                r.reply.finish != row->finish || r.done != row->done)
                fail_msg("%s, by %zu: '%s', status %d, finish %d, done %d: %s", row->what, step,
                         r.text, r.status, r.reply.finish, r.done, r.error.text);
            openai_reply_release(&r.reply);
        }
}

static void a_long_event_is_the_limit(void **state)
{
    char stream[EVENT_BYTES_MAX + 32];
    struct reading r;

    (void)state;
    memset(stream, 'x', sizeof stream);
    memcpy(stream, "data: ", 6);
    read_cut(stream, sizeof stream, sizeof stream, &r);
    assert_int_equal(r.status, RAG_ELIMIT);
    openai_reply_release(&r.reply);
}

static void counts_are_read_and_nonsense_is_zero(void **state)
{
    static const char good[] = EVENT("{\"choices\":[],\"usage\":{\"prompt_tokens\":9,"
                                     "\"completion_tokens\":3,\"prompt_tokens_details\":"
                                     "{\"cached_tokens\":2}}}");
    static const char bad[] =
        EVENT("{\"choices\":[],\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1e300}}");
    struct reading r;

    (void)state;
    read_cut(good, strlen(good), 5, &r);
    assert_true(r.reply.has_usage);
    assert_int_equal(r.reply.prompt_tokens, 9);
    assert_int_equal(r.reply.completion_tokens, 3);
    assert_int_equal(r.reply.cached_tokens, 2);
    openai_reply_release(&r.reply);
    read_cut(bad, strlen(bad), 5, &r);
    assert_int_equal(r.reply.prompt_tokens, 0);
    assert_int_equal(r.reply.completion_tokens, 0);
    openai_reply_release(&r.reply);
}

static void a_request_has_what_the_api_knows(void **state)
{
    static const char *const stop[] = {"a", "b", "c", "d", "e", NULL};
    const struct message messages[] = {
        {ROLE_SYSTEM, "be \"brief\""},
        {ROLE_USER,   "안녕\n"    }
    };
    const struct sampling sampling = {
        .temperature = 0.5f, .top_k = 7, .top_p = 0.25f, .seed = 3, .stop = stop, .schema = "{}"};
    struct openai_request r = {
        .model = "m", .messages = messages, .n_messages = 2, .sampling = &sampling, .n_new = 8};
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    openai_request_write(&r, &out);
    assert_string_equal(
        buf_str(&out),
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be \\\"brief\\\"\"},"
        "{\"role\":\"user\",\"content\":\"안녕\\n\"}],\"temperature\":0.5,\"top_p\":0.25,\"seed\":"
        "3,"
        "\"max_tokens\":8,\"stop\":[\"a\",\"b\",\"c\",\"d\"],\"response_format\":{\"type\":"
        "\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"strict\":true,\"schema\":{}}},"
        "\"stream\":false}");
    buf_reset(&out);
    r.stream = r.completion_tokens = true;
    openai_request_write(&r, &out);
    assert_non_null(strstr(buf_str(&out), "\"max_completion_tokens\":8"));
    assert_non_null(strstr(buf_str(&out), "\"stream_options\":{\"include_usage\":true}"));
    buf_release(&out);
    assert_int_equal(openai_tenths("ab1 가나", strlen("ab1 가나")), 3 + 3 + 5 + 5 + 10 + 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_read_however_they_are_cut),
        cmocka_unit_test(a_long_event_is_the_limit),
        cmocka_unit_test(counts_are_read_and_nonsense_is_zero),
        cmocka_unit_test(a_request_has_what_the_api_knows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
