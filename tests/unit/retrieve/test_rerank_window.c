/* What a cross-encoder is given of a passage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "retrieve/rerank_window.h"

static const struct {
    const char *name;
    const char *text;
    uint64_t hundredths;
} cost_rows[] = {
    {"nothing",                     "",                          0  },
    {"white space of any kind",     " \n\t\xC2\xA0\xE3\x80\x80", 0  },
    {"Hangul syllables",            "가나다",                 150},
    {"Latin words",                 "four words",                225},
    {"accents and other alphabets", "éж",                      100},
    {"digits",                      "2024",                      200},
    {"Han and kana",                "漢字かな",              400},
    {"marks",                       ".,—。",                  400},
    {"beyond the basic plane",      "😀",                      100},
};

static void test_costs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cost_rows / sizeof cost_rows[0]; i++) {
        uint64_t cost = rerank_window_cost(cost_rows[i].text, strlen(cost_rows[i].text));

        if (cost != cost_rows[i].hundredths)
            fail_msg("%s: %llu", cost_rows[i].name, (unsigned long long)cost);
    }
}

/* 3.5, 5.5, 4 and 4 tokens */
#define FOUR "첫 문장이다. 둘째 문장에 답이 있다. 셋째 문장이다. 넷째 문장이다."
/* one sentence: 1, 1, 1.5, 2, 2 and 1.5 */
#define LONG "하나 둘셋 넷다섯 여섯일곱 여덟아홉 열하나"
/* one word: 5 */
#define WORD "가나다라마바사아자차"

static const struct {
    const char *name;
    const char *text;
    const char *words; /* that were found; "": none */
    size_t tokens;
    const char *want;
} rows[] = {
    {"0 tokens: the whole passage",                       FOUR,                                      "답이",                        0,  FOUR                                                                    },
    {"a passage that fits is whole",                      FOUR,                                      "답이",                        20, FOUR                                                                    },
    {"no room for a neighbour",                           FOUR,                                      "답이",                        7,  "둘째 문장에 답이 있다."                                       },
    {"the next sentence first",                           FOUR,                                      "답이",                        11, "둘째 문장에 답이 있다. 셋째 문장이다."                  },
    {"a sentence that does not fit is not cut",           FOUR,                                      "답이",                        8,  "둘째 문장에 답이 있다."                                       },
    {"then the one before",                               FOUR,                                      "답이",                        15, "첫 문장이다. 둘째 문장에 답이 있다. 셋째 문장이다."},
    {"the last sentence grows backwards alone",           FOUR,                                      "넷째",                        12, "셋째 문장이다. 넷째 문장이다."                             },
    {"words over two sentences: the first of them",       FOUR,                                      "있다. 셋째",                7,
     "둘째 문장에 답이 있다."                                                                                                                                                                            },
    {"no words: the beginning",                           FOUR,                                      "",                              5,  "첫 문장이다."                                                     },
    {"no words: the beginning grows",                     FOUR,                                      "",                              12, "첫 문장이다. 둘째 문장에 답이 있다."                     },
    {"a long sentence around its words",                  LONG,                                      "여섯일곱",                  6,  "넷다섯 여섯일곱 여덟아홉"                                   },
    {"words at its end: more of what stands before",      LONG,                                      "열하나",                     6,  "여섯일곱 여덟아홉 열하나"                                   },
    {"words at its start",                                LONG,                                      "하나",                        5,  "하나 둘셋 넷다섯"                                               },
    {"no words in it: its start",                         LONG,                                      "",                              5,  "하나 둘셋 넷다섯"                                               },
    {"a word before that does not fit is not cut",        LONG,                                      "여섯일곱",                  3,  "여섯일곱"                                                          },
    {"words that are too long themselves: their start",   LONG,                                      "둘셋 넷다섯 여섯일곱", 3,
     "둘셋 넷다섯"                                                                                                                                                                                           },
    {"a word without a border is cut between characters", WORD,                                      "마바",                        3,  "다라마바사아"                                                    },
    {"no more than a token",                              WORD,                                      "마바",                        1,  "마바"                                                                },
    {"a line is a sentence",                              "제목\n본문의 한 줄\n끝입니다", "본문",                        3,  "본문의 한 줄"                                                     },
    {"white space alone",                                 " \n ",                                    "",                              1,  " \n "                                                                  },
};

static void test_windows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *text = rows[i].text;
        uint32_t at = (uint32_t)(strstr(text, rows[i].words) - text);
        struct byte_span words = {at, at + (uint32_t)strlen(rows[i].words)};
        struct byte_span got = {0, 0};

        assert_int_equal(rerank_window(text, strlen(text), words, rows[i].tokens, &got), RAG_OK);
        if (got.end < got.start || got.end - got.start != strlen(rows[i].want) ||
            memcmp(text + got.start, rows[i].want, got.end - got.start) != 0)
            fail_msg("%s: '%.*s'", rows[i].name, (int)(got.end - got.start), text + got.start);
    }
}

/* Whatever the words and the limit: inside the text, whole characters, no more than the limit, and
 * the first of the words in it. */
static void test_every_place_and_limit(void **state)
{
    static const char *const texts[] = {FOUR, LONG, WORD, "a, b (c) 1.5 漢字。 x\ny  z 가나"};

    (void)state;
    for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
        uint32_t n = (uint32_t)strlen(texts[t]);

        for (uint32_t at = 0; at < n; at++) {
            if (((unsigned char)texts[t][at] & 0xC0u) == 0x80u)
                continue;
            for (size_t tokens = 1; tokens < 24; tokens++) {
                struct byte_span words = {at, n};
                struct byte_span got = {0, 0};

                assert_int_equal(rerank_window(texts[t], n, words, tokens, &got), RAG_OK);
                assert_true(got.start < got.end && got.end <= n);
                assert_true(((unsigned char)texts[t][got.start] & 0xC0u) != 0x80u);
                assert_true(((unsigned char)texts[t][got.end] & 0xC0u) != 0x80u);
                assert_true(rerank_window_cost(texts[t] + got.start, got.end - got.start) <=
                            tokens * 100);
                if (strchr(" \n", texts[t][at]) == NULL)
                    assert_true(got.start <= at && at < got.end);
            }
        }
    }
}

static void test_a_text_too_long_is_refused(void **state)
{
    struct byte_span got = {0, 0};

    (void)state;
    if (sizeof(size_t) > 4)
        assert_int_equal(
            rerank_window("", (size_t)UINT32_MAX + 1, (struct byte_span){0, 0}, 1, &got),
            RAG_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_every_place_and_limit),
        cmocka_unit_test(test_a_text_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
