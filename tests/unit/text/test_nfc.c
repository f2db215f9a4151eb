/* Normalisation at the door: every form of input that documents come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "text/nfc.h"

static const struct {
    const char *name;
    const char *in;
    const char *out;
} rows[] = {
    {"nothing stays nothing",                       "",                                     ""                },
    {"composed Hangul is copied",                   "한국어 문서",                     "한국어 문서"},
    {"decomposed Hangul is composed",               "\u1112\u1161\u11AB\u1100\u116E\u11A8", "한국"          },
    {"a decomposed syllable after ASCII",           "a\u1112\u1161\u11ABb",                 "a한b"           },
    {"a final jamo joins the syllable before it",   "하\u11AB글",                         "한글"          },
    {"a mark joins the letter before it",           "cafe\u0301 x",                         "caf\u00E9 x"     },
    {"marks are put into canonical order",          "a\u0301\u0323",                        "\u1EA1\u0301"    },
    {"a voiced kana is composed",                   "\u304B\u3099",                         "\u304C"          },
    {"a singleton is replaced",                     "\u2126 \u212B",                        "\u03A9 \u00C5"   },
    {"compatibility ideographs are replaced",       "\uF900",                               "\u8C48"          },
    {"full-width forms stay: this is not NFKC",     "ＡＢ１２",                         "ＡＢ１２"    },
    {"a byte-order mark at the start goes",         "\uFEFF가",                            "가"             },
    {"a byte-order mark inside stays",              "가\uFEFF나",                         "가\uFEFF나"    },
    {"CRLF becomes LF",                             "가\r\n나\r\n",                       "가\n나\n"      },
    {"a lone CR becomes LF",                        "가\r나\r",                           "가\n나\n"      },
    {"CR CR LF is two line ends",                   "a\r\r\nb",                             "a\n\nb"          },
    {"tabs stay",                                   "a\tb",                                 "a\tb"            },
    {"other controls become a space",
     "a\x01\x1F\x0C"
     "b",                                                                                   "a   b"           },
    {"a mark after a repaired control has no base", "a\r\u0301",                            "a\n\u0301"       },
    {"a mark at the start has no base",             "\u0301a",                              "\u0301a"         },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out;

        buf_init(&out, 4096);
        assert_int_equal(nfc_append(rows[i].in, strlen(rows[i].in), &out, NULL), RAG_OK);
        if (strcmp(buf_str(&out), rows[i].out) != 0)
            fail_msg("%s: '%s'", rows[i].name, buf_str(&out));
        buf_release(&out);
    }
}

static void test_errors_leave_the_output_as_it_was(void **state)
{
    static const struct {
        const char *name;
        const char *in;
        size_t n;
        size_t max;
        enum rag_status status;
        const char *message;
    } bad[] = {
        {"a truncated character",                 "ab\xEA\xB0",    4, 100, RAG_EFORMAT, "byte 2"       },
        {"an overlong form",                      "\xC0\xAF",      2, 100, RAG_EFORMAT, "byte 0"       },
        {"a surrogate",                           "a\xED\xA0\x80", 4, 100, RAG_EFORMAT, "byte 1"       },
        {"a NUL",                                 "ab\0c",         4, 100, RAG_EFORMAT, "NUL at byte 2"},
        {"a NUL before a bad byte",               "a\0\xFF",       3, 100, RAG_EFORMAT, "NUL at byte 1"},
        {"a text longer than the buffer may get", "abcdefgh",      8, 6,   RAG_ELIMIT,  "too long"     },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rag_error err = {0};
        struct buf out;

        buf_init(&out, bad[i].max);
        buf_append_str(&out, "x");
        if (nfc_append(bad[i].in, bad[i].n, &out, &err) != bad[i].status)
            fail_msg("%s", bad[i].name);
        assert_non_null(strstr(err.text, bad[i].message));
        assert_string_equal(buf_str(&out), "x");
        assert_int_equal(buf_status(&out), RAG_OK);
        buf_release(&out);
    }
}

/* A hostile text of marks alone must take linear time and stay UTF-8. */
static void test_a_megabyte_of_marks_ends_soon(void **state)
{
    enum { N = 1 << 20 };
    struct buf in;
    struct buf out;

    (void)state;
    buf_init(&in, N);
    buf_init(&out, 4 * N);
    for (size_t i = 0; i < N / 4; i++)
        buf_append_str(&in, i % 2 ? "\u0301" : "\u0323");
    assert_int_equal(nfc_append(in.data, in.len, &out, NULL), RAG_OK);
    assert_int_equal(out.len, in.len);
    buf_release(&in);
    buf_release(&out);
}

/* Long decomposed text without a space is cut only between syllables. */
static void test_long_decomposed_hangul_is_composed_whole(void **state)
{
    struct buf in;
    struct buf out;
    struct buf want;

    (void)state;
    buf_init(&in, 1 << 20);
    buf_init(&out, 1 << 20);
    buf_init(&want, 1 << 20);
    for (size_t i = 0; i < 5000; i++) {
        buf_append_str(&in, i % 3 ? "\u1112\u1161\u11AB" : "\u1100\u1161");
        buf_append_str(&want, i % 3 ? "한" : "가");
    }
    assert_int_equal(nfc_append(in.data, in.len, &out, NULL), RAG_OK);
    assert_string_equal(buf_str(&out), buf_str(&want));
    buf_release(&in);
    buf_release(&out);
    buf_release(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_errors_leave_the_output_as_it_was),
        cmocka_unit_test(test_a_megabyte_of_marks_ends_soon),
        cmocka_unit_test(test_long_decomposed_hangul_is_composed_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
