/* Goal: a line of the JSON log is one object whatever its values hold, with the keys that the
 * format names and no others. Method: make lines and read them with the JSON reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/log_line.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void make(struct buf *line, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void make(struct buf *line, const char *fmt, ...)
{
    const struct log_head head = {"2026-01-31T23:59:59.123Z", "info", "0123abcd", "tried"};
    va_list ap;

    buf_init(line, LOG_BUFFER_BYTES);
    va_start(ap, fmt);
    assert_int_equal(log_line_json(&head, fmt, ap, line), RAG_OK);
    va_end(ap);
    assert_true(line->len < LOG_LINE_BYTES_MAX);
}

static struct json *parsed(const struct buf *line)
{
    struct rag_error error = {RAG_OK, ""};
    struct json *root = NULL;

    if (json_parse(buf_str(line), line->len, "line", &root, &error) != RAG_OK)
        fail_msg("%s: %s", error.text, buf_str(line));
    return root;
}

struct row {
    const char *name;
    const char *value;
    const char *want; /* as JSON */
};

static struct row rows[] = {
    {"plain text",                      "abc",                      "\"abc\""              },
    {"nothing",                         "",                         "\"\""                 },
    {"Korean stays readable",           "한글",                   "\"한글\""           },
    {"a quote makes no key",            "a\" n=1 b=\"c",            "\"a\\\" n=1 b=\\\"c\""},
    {"a line feed cannot forge a line", "a\n{\"event\":\"ready\"}",
     "\"a\\n{\\\"event\\\":\\\"ready\\\"}\""                                               },
    {"a blank and an equals sign",      "a k=v",                    "\"a k=v\""            },
    {"bytes that are not UTF-8",        "\xC0\xAF",                 "\"\\ufffd\\ufffd\""   },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    struct json *root;
    struct buf line;
    char want[256];

    make(&line, "v=\"%s\" n=%d", row->value, 7);
    snprintf(want, sizeof want,
             "{\"time\":\"2026-01-31T23:59:59.123Z\",\"level\":\"info\",\"req\":\"0123abcd\","
             "\"event\":\"tried\",\"v\":%s,\"n\":7}",
             row->want);
    assert_string_equal(buf_str(&line), want);
    root = parsed(&line);
    json_free(root);
    buf_release(&line);
}

static void values_are_numbers_where_the_format_says_so(void **state)
{
    struct json *root;
    struct buf line;

    (void)state;
    make(&line,
         "i=%d z=%zu ll=%lld f=%.1f g=%g text=%s both=%d/%d quoted=\"%d\" padded=%04d nan=%f "
         "mode=%04o",
         -3, (size_t)9, 12345678901234LL, 12.54, 1e-7, "5", 1, 2, 4, 7, (double)NAN, 0640u);
    root = parsed(&line);
    assert_true(json_number(json_member(root, "i")) == -3);
    assert_true(json_number(json_member(root, "z")) == 9);
    assert_true(json_number(json_member(root, "ll")) == 12345678901234.0);
    assert_true(json_number(json_member(root, "f")) == 12.5);
    assert_true(json_number(json_member(root, "g")) == 1e-7);
    assert_string_equal(json_string(json_member(root, "text")), "5");
    assert_string_equal(json_string(json_member(root, "both")), "1/2");
    assert_string_equal(json_string(json_member(root, "quoted")), "4");
    assert_string_equal(json_string(json_member(root, "padded")), "0007");
    assert_string_equal(json_string(json_member(root, "nan")), "nan");
    assert_string_equal(json_string(json_member(root, "mode")), "0640");
    json_free(root);
    buf_release(&line);
}

static void a_text_without_a_key_is_kept(void **state)
{
    struct json *root;
    struct buf line;

    (void)state;
    make(&line, "%s", "just=this text");
    root = parsed(&line);
    assert_string_equal(json_string(json_member(root, "text")), "just=this text");
    assert_null(json_member(root, "just"));
    json_free(root);
    buf_release(&line);
}

static void a_long_value_is_cut_and_the_line_says_so(void **state)
{
    static const char *const units[] = {"한", "a", "\x01", "\"", "\xF0\x9F\x98\x80"};
    char value[8001];

    (void)state;
    for (size_t u = 0; u < COUNT(units); u++) {
        struct json *root;
        struct buf line;
        size_t n = 0;

        while (n + strlen(units[u]) < sizeof value)
            n += (size_t)snprintf(value + n, sizeof value - n, "%s", units[u]);
        make(&line, "first=%d v=\"%s\" last=%d", 1, value, 2);
        root = parsed(&line);
        assert_true(json_true(json_member(root, "truncated")));
        assert_true(json_number(json_member(root, "first")) == 1);
        assert_true(strlen(json_string(json_member(root, "v"))) > 600);
        assert_true(line.len > LOG_LINE_BYTES_MAX - 200);
        json_free(root);
        buf_release(&line);
    }
}

static void a_value_with_the_mark_makes_no_other_keys(void **state)
{
    struct json *root;
    struct buf line;

    (void)state;
    make(&line, "a=\"%s\" b=%d", "x\xFFy", 1);
    root = parsed(&line);
    assert_int_equal(json_size(root), 6);
    json_free(root);
    buf_release(&line);
}

int main(void)
{
    static const struct CMUnitTest singles[] = {
        cmocka_unit_test(values_are_numbers_where_the_format_says_so),
        cmocka_unit_test(a_text_without_a_key_is_kept),
        cmocka_unit_test(a_long_value_is_cut_and_the_line_says_so),
        cmocka_unit_test(a_value_with_the_mark_makes_no_other_keys),
    };
    struct CMUnitTest tests[COUNT(rows) + COUNT(singles)];

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    memcpy(tests + COUNT(rows), singles, sizeof singles);
    return cmocka_run_group_tests_name("log_line", tests, NULL, NULL);
}
