/* Goal: two spellings of one question have one canonical form, two questions have two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cache/canonical.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct row {
    const char *name;
    const char *text;
    const char *want;
};

static struct row rows[] = {
    {"what is canonical stays",                         "대한민국의 수도는 어디",   "대한민국의 수도는 어디"},
    {"the question mark goes",                          "수도는 어디인가?",            "수도는 어디인가"          },
    {"so does a full-width one",                        "수도는 어디인가？",          "수도는 어디인가"          },
    {"several, and blanks between them",                "수도는 어디인가 ? ! ...",     "수도는 어디인가"          },
    {"an ellipsis",                                     "수도는 어디…",                "수도는 어디"                },
    {"a quote that closes behind it goes along",        "\"수도는 어디?\"",              "\"수도는 어디"              },
    {"a quote behind no punctuation stays",             "저자는 '토지'",                 "저자는 '토지'"              },
    {"a bracket behind it keeps it",                    "왜 (2024년.)",                     "왜 (2024년.)"                  },
    {"points inside stay",                              "Node.js 3.5 버전은?",             "node.js 3.5 버전은"           },
    {"runs of blanks are one",                          "  수도는 \t\n 어디 \r\n",       "수도는 어디"                },
    {"wide and narrow blanks are blanks",               "수도는\u3000어디\u00A0인가",  "수도는 어디 인가"         },
    {"zero-width characters go",                        "수\u200B도\uFEFF는 어\u00AD디", "수도는 어디"                },
    {"and so do marks of direction",                    "\u202E수도는\u2069 어디",       "수도는 어디"                },
    {"control characters go, but for those that break", "수\001도는\302\205어디",        "수도는 어디"                },
    {"Latin letters lose their case",                   "KBS와 ÉTÉ의 Ａ급",             "kbs와 été의 ａ급"          },
    {"Greek ones keep it",                              "Ω의 값",                          "Ω의 값"                       },
    {"numbers and particles stay",                      "3일은 2,000원",                   "3일은 2,000원"                },
    {"punctuation only stays as it is",                 "?!",                                 "?!"                              },
    {"with its blanks in order",                        " ?  ! ",                             "? !"                             },
    {"quotes only stay",                                "\"\"",                               "\"\""                            },
    {"nothing stays nothing",                           "",                                   ""                                },
    {"blanks only are nothing",                         " \t ",                               ""                                },
};

static void check_row(void **state)
{
    const struct row *r = *state;
    struct buf out;

    buf_init(&out, 4096);
    buf_append_str(&out, "|");
    assert_int_equal(question_canonical(r->text, strlen(r->text), &out), RAG_OK);
    assert_string_equal(buf_str(&out) + 1, r->want);
    /* what is canonical is its own canonical form */
    buf_reset(&out);
    assert_int_equal(question_canonical(r->want, strlen(r->want), &out), RAG_OK);
    assert_string_equal(buf_str(&out), r->want);
    buf_release(&out);
}

static void check_cap(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 4);
    assert_int_equal(question_canonical("abcdef", 6, &out), RAG_ELIMIT);
    buf_release(&out);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 1];

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    tests[COUNT(rows)] =
        (struct CMUnitTest){"a buffer that is too small is an error", check_cap, NULL, NULL, NULL};
    return cmocka_run_group_tests_name("canonical", tests, NULL, NULL);
}
