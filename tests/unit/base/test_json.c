/* Goal: json_parse() takes every valid document and refuses what two readers could
 * understand differently; typed members report what is wrong with them; the writer's
 * output is read back the same. Method: one row per text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "base/bounds.h"
#include "base/json.h"
#include "base/json_writer.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct row {
    const char *name;
    const char *text;
    enum rag_status want;
    const char *message; /* part of it; NULL: do not look */
};

static struct row rows[] = {
    {"an object",                    "{\"a\":[1,2.5,true,null,\"가\"]}", RAG_OK,      NULL               },
    {"a bare number",                " 12 ",                              RAG_OK,      NULL               },
    {"a surrogate pair",             "\"\\ud83d\\ude00\"",                RAG_OK,      NULL               },
    {"nothing",                      "",                                  RAG_EFORMAT, NULL               },
    {"a trailing comma",             "{\"a\":1,}",                        RAG_EFORMAT, NULL               },
    {"text after the value",         "{} x",                              RAG_EFORMAT, "after the JSON"   },
    {"two values",                   "{}{}",                              RAG_EFORMAT, "after the JSON"   },
    {"a NUL escape ends a C string", "\"a\\u0000b\"",                     RAG_EFORMAT, "escape"           },
    {"a lone high surrogate",        "\"\\ud83d\"",                       RAG_EFORMAT, "escape"           },
    {"a lone low surrogate",         "\"\\ude00\"",                       RAG_EFORMAT, "escape"           },
    {"an unknown escape",            "\"\\x41\"",                         RAG_EFORMAT, "escape"           },
    {"a raw line feed in a string",  "\"a\nb\"",                          RAG_EFORMAT, "control character"},
    {"bytes that are not UTF-8",     "\"\xC0\xAF\"",                      RAG_EFORMAT, "invalid UTF-8"    },
    {"the same key twice",           "{\"a\":1,\"b\":2,\"a\":3}",         RAG_EFORMAT, "'a' occurs twice" },
    {"the same key twice, deeper",   "[{\"a\":{\"k\":1,\"k\":1}}]",       RAG_EFORMAT, "'k' occurs twice" },
    {"a number past every double",   "[1e999]",                           RAG_EFORMAT, NULL               },
    {"an unclosed array",            "[1,2",                              RAG_EFORMAT, NULL               },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    struct rag_error error = {RAG_OK, ""};
    struct json *root = NULL;

    assert_int_equal(json_parse(row->text, strlen(row->text), "body", &root, &error), row->want);
    if (row->message)
        assert_non_null(strstr(error.text, row->message));
    json_free(root);
}

static void depth_is_limited(void **state)
{
    char text[2 * JSON_DEPTH_MAX + 3] = "";
    struct json *root = NULL;

    (void)state;
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_int_equal(json_parse(text, 2 * JSON_DEPTH_MAX, "body", &root, NULL), RAG_OK);
    json_free(root);
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_int_equal(json_parse(text, 2 * JSON_DEPTH_MAX + 2, "body", &root, NULL), RAG_EFORMAT);
}

static void typed_members_say_what_is_wrong(void **state)
{
    static const char text[] = "{\"s\":\"text\",\"n\":7,\"half\":1.5,\"null\":null,\"b\":true}";
    static const char *const known[] = {"s", "n", "half", "null", NULL};
    struct rag_error error;
    struct json *root = NULL;
    const char *s = "default";
    int64_t n = 42;
    bool b = false;

    (void)state;
    assert_int_equal(json_parse(text, strlen(text), "body", &root, &error), RAG_OK);
    assert_int_equal(json_get_string(root, "absent", 9, &s, &error), RAG_OK);
    assert_string_equal(s, "default");
    assert_int_equal(json_get_string(root, "null", 9, &s, &error), RAG_OK);
    assert_string_equal(s, "default");
    assert_int_equal(json_get_string(root, "s", 3, &s, &error), RAG_EINVAL);
    assert_string_equal(error.text, "'s': 4 bytes, the limit is 3");
    assert_int_equal(json_get_string(root, "n", 9, &s, &error), RAG_EINVAL);
    assert_string_equal(error.text, "'n': expected a string, not a number");
    assert_int_equal(json_get_int(root, "n", 1, 5, &n, &error), RAG_EINVAL);
    assert_string_equal(error.text, "'n': 7 is not an integer from 1 to 5");
    assert_int_equal(n, 42);
    assert_int_equal(json_get_int(root, "half", 0, 5, &n, &error), RAG_EINVAL);
    assert_int_equal(json_get_int(root, "n", 1, 10, &n, &error), RAG_OK);
    assert_int_equal(n, 7);
    assert_int_equal(json_get_bool(root, "b", &b, &error), RAG_OK);
    assert_true(b);
    assert_int_equal(json_only(root, known, &error), RAG_EINVAL);
    assert_string_equal(error.text, "'b': no such field here");
    json_free(root);
}

static void what_is_written_reads_back(void **state)
{
    static const char hostile[] = "\"\\\n\x01 가 </script>";
    struct json *root = NULL;
    struct json_writer w;
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_string(&w, hostile, hostile);
    json_put_string(&w, "bad", "a\xFFz");
    json_begin_array(&w, "list");
    json_put_int(&w, NULL, INT64_MIN);
    json_put_exact(&w, NULL, 0.1);
    json_put_double(&w, NULL, (double)NAN);
    json_begin_object(&w, NULL);
    json_end_object(&w);
    json_end_array(&w);
    json_put_bool(&w, "b", false);
    json_end_object(&w);
    assert_int_equal(buf_status(&out), RAG_OK);
    assert_int_equal(json_parse(out.data, out.len, "written", &root, NULL), RAG_OK);
    assert_string_equal(json_string(json_member(root, hostile)), hostile);
    assert_string_equal(json_string(json_member(root, "bad")), "a\xEF\xBF\xBDz");
    assert_int_equal(json_size(json_member(root, "list")), 4);
    assert_true(json_number(json_next(json_first(json_member(root, "list")))) == 0.1);
    json_free(root);
    buf_release(&out);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 3];

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    tests[COUNT(rows)] = (struct CMUnitTest)cmocka_unit_test(depth_is_limited);
    tests[COUNT(rows) + 1] = (struct CMUnitTest)cmocka_unit_test(typed_members_say_what_is_wrong);
    tests[COUNT(rows) + 2] = (struct CMUnitTest)cmocka_unit_test(what_is_written_reads_back);
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
