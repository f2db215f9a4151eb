/* Goal: a span is written as opentelemetry-proto's JSON mapping has it. Method: the text of two
 * spans, word for word, and values that JSON or int64 could spoil. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "daemon/otlp_span.h"

static const struct otlp_span server = {
    .trace_id = {0x0a,  0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80,
                 0x31, 0x9c},
    .span_id = {0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20,                                0x33,                                0x31                                   },
    .name = "POST /v1/ask",
    .kind = OTLP_SERVER,
    .begun_ns = 1763762400000000000,
    .ended_ns = 1763762400012345678,
};

static void a_span_is_written_as_the_protocol_has_it(void **state)
{
    struct json_writer w;
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    json_writer_init(&w, &out);
    otlp_span_begin(&w, &server);
    otlp_put_string(&w, "s", "a\"b");
    otlp_put_int(&w, "i", INT64_MIN);
    otlp_put_double(&w, "d", 0.5);
    otlp_put_bool(&w, "b", true);
    otlp_put_strings(&w, "l", (const char *const[]){"x", "y"}, 2);
    otlp_span_end(&w, &server);
    assert_string_equal(
        buf_str(&out),
        "{\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"b7ad6b7169203331\","
        "\"name\":\"POST /v1/ask\",\"kind\":2,\"startTimeUnixNano\":\"1763762400000000000\","
        "\"endTimeUnixNano\":\"1763762400012345678\",\"attributes\":["
        "{\"key\":\"s\",\"value\":{\"stringValue\":\"a\\\"b\"}},"
        "{\"key\":\"i\",\"value\":{\"intValue\":\"-9223372036854775808\"}},"
        "{\"key\":\"d\",\"value\":{\"doubleValue\":0.5}},"
        "{\"key\":\"b\",\"value\":{\"boolValue\":true}},"
        "{\"key\":\"l\",\"value\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"x\"},"
        "{\"stringValue\":\"y\"}]}}}]}");
    buf_release(&out);
}

static void a_failed_one_says_why_and_spans_follow_with_commas(void **state)
{
    struct otlp_span child = server;
    struct json_writer w;
    struct buf out;

    (void)state;
    memcpy(child.parent_id, server.span_id, SPAN_ID_BYTES);
    child.span_id[0] = 1;
    child.name = "generate";
    child.kind = OTLP_CLIENT;
    child.error = "timeout";
    buf_init(&out, 4096);
    json_writer_init(&w, &out);
    otlp_span_begin(&w, &child);
    otlp_span_end(&w, &child);
    otlp_span_begin(&w, &server);
    otlp_span_end(&w, &server);
    assert_non_null(strstr(buf_str(&out), "\"parentSpanId\":\"b7ad6b7169203331\""));
    assert_non_null(strstr(buf_str(&out),
                           "\"attributes\":[{\"key\":\"error.type\",\"value\":{\"stringValue\":"
                           "\"timeout\"}}],\"status\":{\"code\":2}},{\"traceId\":"));
    buf_release(&out);
}

static void what_is_no_number_is_still_json(void **state)
{
    struct json *root = NULL;
    struct json_writer w;
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    json_writer_init(&w, &out);
    otlp_span_begin(&w, &server);
    otlp_put_double(&w, "nan", (double)NAN);
    otlp_put_double(&w, "inf", (double)INFINITY);
    otlp_put_strings(&w, "none", NULL, 0);
    otlp_span_end(&w, &server);
    assert_int_equal(json_parse(buf_str(&out), out.len, "span", &root, NULL), RAG_OK);
    assert_null(strstr(buf_str(&out), "null"));
    json_free(root);
    buf_release(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_is_written_as_the_protocol_has_it),
        cmocka_unit_test(a_failed_one_says_why_and_spans_follow_with_commas),
        cmocka_unit_test(what_is_no_number_is_still_json),
    };

    return cmocka_run_group_tests_name("otlp_span", tests, NULL, NULL);
}
