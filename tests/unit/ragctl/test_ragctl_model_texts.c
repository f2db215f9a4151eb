/* Goal: JSON lines are read as written: any character in a string, an end of line at LF alone, and
 * a mistake is said with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ragctl/ragctl_model_texts.h"

struct good_case {
    const char *name;
    const char *data;
    size_t n;
    const char *text; /* of the last item */
    size_t n_bytes;
    const char *pair; /* or NULL */
};

static const struct good_case good[] = {
    {"one line",                                       "{\"text\":\"a\"}\n",                                                    1, "a",    1,  NULL},
    {"no end of line at the end",                      "{\"text\":\"a\"}",                                                      1, "a",    1,  NULL},
    {"two lines, CR before LF, a blank line",          "{\"text\":\"a\"}\r\n \r\n{\"text\":\"b\"}\r\n",                         2,
     "b",                                                                                                                                  1,  NULL},
    {"a pair",                                         "{\"text\":\"a\",\"pair\":\"bc\"}",                                      1, "a",    1,  "bc"},
    {"a pair first, others between, blanks",
     " { \"pair\" : \"p\" , \"x\" : [1, {\"text\":\"no\"}, null] , \"text\" : \"a\" } ",                                        1, "a",    1,
     "p"                                                                                                                                           },
    {"a pair that is null is none",                    "{\"text\":\"a\",\"pair\":null}",                                        1, "a",    1,  NULL},
    {"an empty text",                                  "{\"text\":\"\"}",                                                       1, "",     0,  NULL},
    {"line separators that are none, raw in a string",
     "{\"text\":\"a\xe2\x80\xa8"
     "b\xc2\x85"
     "c\"}\n",                                                                                                                  1,
     "a\xe2\x80\xa8"
     "b\xc2\x85"
     "c",                                                                                                                                  8,  NULL},
    {"U+0000 by its escape",                           "{\"text\":\"a\\u0000b\"}",                                              1, "a\0b", 3,  NULL},
    {"escapes",                                        "{\"text\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uAC00\\ud83d\\ude00\"}", 1,
     "\"\\/\b\f\n\r\t\xc3\xa9\xea\xb0\x80\xf0\x9f\x98\x80",                                                                                17, NULL},
    {"numbers and literals to skip",                   "{\"a\":-1.5e+3,\"b\":true,\"text\":\"t\",\"c\":[],\"d\":{}}",
     1,                                                                                                                            "t",    1,  NULL},
    {"nothing at all",                                 "",                                                                      0, NULL,   0,  NULL},
};

static void lines_are_read_as_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const struct good_case *c = &good[i];
        struct rag_error error = {0};
        struct model_texts t = {0};
        const struct model_text *last;

        if (model_texts_parse(c->data, strlen(c->data), "file", &t, &error) != RAG_OK)
            fail_msg("%s: %s", c->name, error.text);
        if (t.n != c->n)
            fail_msg("%s: %zu items", c->name, t.n);
        if (t.n > 0) {
            last = &t.items[t.n - 1];
            if (last->n_bytes != c->n_bytes || memcmp(last->text, c->text, c->n_bytes) != 0)
                fail_msg("%s: %zu bytes '%s'", c->name, last->n_bytes, last->text);
            if (!last->pair != !c->pair || (c->pair && strcmp(last->pair, c->pair) != 0))
                fail_msg("%s: another pair", c->name);
        }
        model_texts_release(&t);
    }
}

static void mistakes_are_said_with_their_line(void **state)
{
    static const struct {
        const char *name;
        const char *data;
        const char *message;
    } rows[] = {
        {"no object",                "\"text\"",                           "line 1: an object"  },
        {"no text",                  "{\"text\":\"a\"}\n{\"pair\":\"b\"}", "line 2: no \"text\""},
        {"an empty object",          "{}",                                 "line 1"             },
        {"a text that is no string", "{\"text\":5}",                       "no \"text\""        },
        {"text twice",               "{\"text\":\"a\",\"text\":\"b\"}",    "twice"              },
        {"a string without its end", "{\"text\":\"a",                      "without its end"    },
        {"a raw tab in a string",    "{\"text\":\"a\tb\"}",                "control character"  },
        {"not UTF-8",                "{\"text\":\"\xff\"}",                "not UTF-8"          },
        {"a lone high surrogate",    "{\"text\":\"\\ud800\"}",             "lone surrogate"     },
        {"a lone low surrogate",     "{\"text\":\"\\udc00x\"}",            "lone surrogate"     },
        {"high and then no low",     "{\"text\":\"\\ud800\\u0041\"}",      "lone surrogate"     },
        {"an escape that is none",   "{\"text\":\"\\x41\"}",               "escape"             },
        {"half an escape",           "{\"text\":\"\\u00\"}",               "escape"             },
        {"something behind",         "{\"text\":\"a\"} {}",                "behind the object"  },
        {"no colon",                 "{\"text\" \"a\"}",                   "':'"                },
        {"an array without its end", "{\"x\":[1,2",                        "without its end"    },
        {"no value",                 "{\"x\":,\"text\":\"a\"}",            "a value"            },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rag_error error = {0};
        struct model_texts t = {0};

        if (model_texts_parse(rows[i].data, strlen(rows[i].data), "file", &t, &error) !=
                RAG_EFORMAT ||
            !strstr(error.text, rows[i].message))
            fail_msg("%s: '%s'", rows[i].name, error.text);
        assert_null(t.items);
    }
}

static void nesting_has_an_end(void **state)
{
    static char deep[1000] = "{\"x\":";
    struct rag_error error = {0};
    struct model_texts t = {0};

    (void)state;
    memset(deep + 5, '[', 900);
    assert_int_equal(model_texts_parse(deep, strlen(deep), "file", &t, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "too deep"));
}

static void many_lines_and_words(void **state)
{
    enum { N = 1000 };
    static char data[N * 32];
    char *const words[] = {(char *)(uintptr_t) "a", (char *)(uintptr_t) "bc"};
    struct model_texts t = {0};

    (void)state;
    for (size_t i = 0; i < N; i++)
        strcat(data + i * 30, "{\"text\":\"abcdef\",\"pair\":\"gh\"}\n");
    assert_int_equal(model_texts_parse(data, strlen(data), "file", &t, NULL), RAG_OK);
    assert_int_equal(t.n, N);
    assert_string_equal(t.items[N - 1].pair, "gh");
    model_texts_release(&t);
    assert_int_equal(model_texts_words(words, 2, "p", &t, NULL), RAG_OK);
    assert_int_equal(t.n, 2);
    assert_string_equal(t.items[1].text, "bc");
    assert_string_equal(t.items[1].pair, "p");
    model_texts_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_as_written),
        cmocka_unit_test(mistakes_are_said_with_their_line),
        cmocka_unit_test(nesting_has_an_end),
        cmocka_unit_test(many_lines_and_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
