/* What is shown of a passage where all of it would be too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/utf8.h"
#include "retrieve/snippet.h"
#include "text/grapheme.h"

/* 35 characters: words of two and a blank, the last without */
#define WORDS  "가가 나나 다다 라라 마마 바바 사사 아아 자자 차차 카카 타타"
/* 20 characters in one word */
#define LONG   "가나다라마바사아자차카타파하거너더러머버"
/* a family: four people, seven code points, one character to the eye */
#define FAMILY "👨‍👩‍👧‍👦"

static const struct {
    const char *name;
    const char *text;
    const char *words; /* of the question; "": none were found */
    size_t chars;
    const char *want;
} rows[] = {
    {"a text that fits is whole",                         WORDS,                                                                                "차차",    35, WORDS                                          },
    {"no words: the beginning",                           WORDS,                                                                                "",          12, "가가 나나 다다 라라"                  },
    {"it ends behind a word",                             WORDS,                                                                                "",          13, "가가 나나 다다 라라"                  },
    {"it begins at a word before the question's",         WORDS,                                                                                "마마",    18,
     "라라 마마 바바 사사 아아 자자"                                                                                                                                                                },
    {"at the question's where none fits",                 WORDS,                                                                                "마마",    8,  "마마 바바 사사"                         },
    {"words at the beginning",                            WORDS,                                                                                "가가",    8,  "가가 나나 다다"                         },
    {"at the end it begins earlier",                      WORDS,                                                                                "타타",    12, "자자 차차 카카 타타"                  },
    {"behind a line's end",                               "제목\n본문은 여기서 시작하고 계속된다",                              "본문은", 12,
     "본문은 여기서 시작하고"                                                                                                                                                                         },
    {"a line's end that is too far does not matter",      "하나\n둘 셋 넷 다섯 여섯 일곱 여덟 아홉 열",
     "여섯",                                                                                                                                               12, "여섯 일곱 여덟 아홉"                  },
    {"a word without a border is cut between characters", LONG,                                                                                 "카타",    6,  "차카타파하거"                           },
    {"no more than a character",                          LONG,                                                                                 "카타",    1,  "카"                                          },
    {"nothing is cut within a seen character",            "가" FAMILY FAMILY "나",                                                            "",          10, "가" FAMILY                                   },
    {"but one that is longer than all of it",             FAMILY "나",                                                                         "",          3,  "👨‍👩"                                  },
    {"nor where it begins",                               "가나다라마바사아자" FAMILY "차카타파하거너더러머버서어저처", "차카",
     18,                                                                                                                                                         "차카타파하거너더러머버서어저처"},
    {"white space at either end goes",                    "  \n 가나 다라  ",                                                               "",          20, "가나 다라"                                },
    {"a blank beginning takes no room",                   "          가나",                                                                   "",          3,  "가나"                                       },
    {"white space alone",                                 " \n\t ",                                                                             "",          3,  ""                                             },
    {"nothing",                                           "",                                                                                   "",          3,  ""                                             },
    {"masks are text as any other",                       "번호는 ************* 이다",                                                     "번호는", 12, "번호는 ********"                           },
};

static void test_cuts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *text = rows[i].text;
        size_t at = (size_t)(strstr(text, rows[i].words) - text);
        struct byte_span words = {(uint32_t)at, (uint32_t)(at + strlen(rows[i].words))};
        struct byte_span cut = snippet_cut(text, strlen(text), words, rows[i].chars);

        if (strlen(rows[i].want) != cut.end - cut.start ||
            memcmp(text + cut.start, rows[i].want, cut.end - cut.start) != 0)
            fail_msg("%s: '%.*s'", rows[i].name, (int)(cut.end - cut.start), text + cut.start);
    }
}

/* Every place and length of a text with all that is odd: within the limit, at characters, and the
 * question's first word is in it. */
static void test_every_cut_is_whole(void **state)
{
    static const char text[] = "가나 " FAMILY "다라\n\n🇰🇷🇰🇷 e\u0301e\u0301  abc  마\tbar 한국 끝";
    size_t n = sizeof text - 1;

    (void)state;
    for (size_t start = 0; start < n; start++) {
        if (!grapheme_boundary(text, n, start))
            continue;
        for (size_t chars = 1; chars < 40; chars++) {
            struct byte_span words = {(uint32_t)start, (uint32_t)n};
            struct byte_span cut = snippet_cut(text, n, words, chars);
            const char *s = text + cut.start;

            if (cut.start >= cut.end || cut.end > n || !utf8_valid(s, cut.end - cut.start, NULL) ||
                utf8_count(s, cut.end - cut.start) > chars ||
                !grapheme_boundary(text, n, cut.start) ||
                (chars >= 7 && !grapheme_boundary(text, n, cut.end)))
                fail_msg("%zu characters at %zu: %u to %u", chars, start, cut.start, cut.end);
            if (!strchr(" \n\t", text[start]) && (cut.start > start || cut.end <= start))
                fail_msg("%zu characters at %zu: %u to %u are beside it", chars, start, cut.start,
                         cut.end);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_every_cut_is_whole),
    };

    return cmocka_run_group_tests_name("snippet", tests, NULL, NULL);
}
