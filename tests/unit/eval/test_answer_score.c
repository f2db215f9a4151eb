/* KorQuAD's EM and F1, and the check of answer norms. F1 values are worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "eval/answer_score.h"

static const struct {
    const char *name;
    const char *prediction;
    const char *gold;
    double exact;
    double f1;
} rows[] = {
    {"the same",                                                    "1989년 2월 15일",            "1989년 2월 15일",  1, 1  },
    {"white space differs, as words",                               "1989년  2월 15일 ",          "1989년 2월\t15일", 1, 1  },
    {"spaces count for EM, not for F1",                             "임종 석",                    "임종석",           0, 1  },
    {"angle quotes become spaces",                                  "《태조실록》",            "태조실록",        1, 1  },
    {"an inner bracket becomes a space",                            "서울(한양)",                "서울 한양",       1, 1  },
    {"ASCII punctuation goes without a space",                      "3,000명",                      "3000명",             1, 1  },
    {"an apostrophe becomes a space before that",                   "rock'n",                        "rock n",              1, 1  },
    {"a hyphen joins",                                              "U-20",                          "u20",                 1, 1  },
    {"capitals",                                                    "SQLite",                        "sqlite",              1, 1  },
    {"full-width capitals are lowered, not narrowed",               "ＡＢ",                        "ａｂ",              1, 1  },
    {"Cyrillic and Greek capitals",                                 "ЖΩ",                          "жω",                1, 1  },
    {"a corner bracket is no ASCII punctuation",                    "「가」",                     "가",                 0, 0.5},
    {"one of two characters too many: P 2/3, R 1",                  "이순신",                     "이순",              0, 0.8},
    {"a sentence around the answer: P 3/9, R 1",                    "그는 이순신 장군이다", "이순신",           0, 0.5},
    {"nothing shared",                                              "가나",                        "다라",              0, 0  },
    {"a repeated character counts as often as in both: P 1/3, R 1", "가가가",                     "가",                 0, 0.5},
    {"an empty prediction",                                         "",                              "가",                 0, 0  },
    {"both empty are equal, and share nothing",                     "()",                            "''",                  1, 0  },
    {"ideographic space",                                           "가　나",                     "가 나",             1, 1  },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double exact = -1;
        double f1 = -1;

        assert_int_equal(answer_score(rows[i].prediction, rows[i].gold, &exact, &f1), RAG_OK);
        if (fabs(exact - rows[i].exact) > 1e-12 || fabs(f1 - rows[i].f1) > 1e-12)
            fail_msg("%s: EM %g F1 %g", rows[i].name, exact, f1);
    }
}

static const struct {
    const char *name;
    const char *answer;
    const char *want;
} mark_rows[] = {
    {"no mark",                          "서울이다.",       "서울이다."},
    {"a mark and its blank go",          "서울이다 [1].",   "서울이다."},
    {"marks in a row",                   "가 [1][2] 나 [13]", "가 나"      },
    {"a bracket without a number stays", "[주] 가",           "[주] 가"    },
    {"an open bracket at the end stays", "가 [1",              "가 [1"       },
    {"a year of five digits is no mark", "[123456]",            "[123456]"     },
};

static void test_marks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mark_rows / sizeof mark_rows[0]; i++) {
        struct buf out;

        buf_init(&out, 1000);
        answer_without_marks(mark_rows[i].answer, strlen(mark_rows[i].answer), &out);
        if (strcmp(buf_str(&out), mark_rows[i].want) != 0)
            fail_msg("%s: '%s'", mark_rows[i].name, buf_str(&out));
        buf_release(&out);
    }
}

static const struct {
    const char *name;
    const char *answer;
    const char *norm;
    bool want;
} norm_rows[] = {
    {"inside a sentence",                  "연차는 15일입니다. [1]", "15일",        true },
    {"spaces are left out",                "네 번까지 됩니다",       "네번",       true },
    {"punctuation too",                    "3,000원",                      "3000원",      true },
    {"the per cent sign stays",            "100% 지급",                   "100%",         true },
    {"capitals",                           "USB-C 포트",                  "usbc",         true },
    {"not there",                          "16일",                         "15일",        false},
    {"CJK brackets are left out",          "「대외비」입니다",      "대외비입", true },
    {"a norm of punctuation never passes", "가!",                          "!",            false},
};

static void test_norms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof norm_rows / sizeof norm_rows[0]; i++) {
        bool got = !norm_rows[i].want;

        assert_int_equal(answer_contains(norm_rows[i].answer, norm_rows[i].norm, &got), RAG_OK);
        if (got != norm_rows[i].want)
            fail_msg("%s", norm_rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_marks),
                                       cmocka_unit_test(test_norms)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
