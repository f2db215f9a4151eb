/* Where sentences of Korean prose end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "text/sentence.h"

static const struct {
    const char *name;
    const char *text;
    const char *parts[6];
} rows[] = {
    {"nothing",                                     "",                                   {NULL}                                      },
    {"white space alone",                           " \n\t ",                             {NULL}                                      },
    {"one sentence without a stop",                 "안녕하세요",                    {"안녕하세요"}                         },
    {"two sentences",                               "왔다. 갔다.",                    {"왔다.", "갔다."}                      },
    {"question and exclamation",                    "왔나요? 네! 갔어요.",         {"왔나요?", "네!", "갔어요."}        },
    {"several marks are one end",                   "정말?! 그래!!! 응.",            {"정말?!", "그래!!!", "응."}           },
    {"a missing space after a final ending",        "왔다.그는 갔다.",              {"왔다.", "그는 갔다."}               },
    {"a line break ends",                           "제목\n본문이다.",              {"제목", "본문이다."}                 },
    {"endings at line ends need no stop",           "좋아요\n싫어요\n",             {"좋아요", "싫어요"}                  },
    {"a decimal",                                   "값은 3.14이다. 끝.",            {"값은 3.14이다.", "끝."}              },
    {"a date with spaces",                          "2024. 3. 1. 시행한다. 끝.",     {"2024. 3. 1. 시행한다.", "끝."}       },
    {"a sentence may end with a number",            "총점은 95. 그다음은 90.",     {"총점은 95.", "그다음은 90."}       },
    {"an enumerator stays with its item",
     "1. 목적을 적는다. 2. 범위.",                                                {"1. 목적을 적는다.", "2. 범위."}   },
    {"a Hangul enumerator",                         "가. 목적\n나. 범위",           {"가. 목적", "나. 범위"}              },
    {"an initial",                                  "조지 W. 부시가 왔다.",        {"조지 W. 부시가 왔다."}             },
    {"an abbreviation",                             "Dr. Kim came. He left.",             {"Dr. Kim came.", "He left."}               },
    {"e.g. goes on",                                "Use it, e.g. here. Then go.",        {"Use it, e.g. here.", "Then go."}          },
    {"a version and a URL",                         "v2.1.3은 www.a.kr에 있다. 끝.", {"v2.1.3은 www.a.kr에 있다.", "끝."}   },
    {"a file name",                                 "config.json을 연다.",             {"config.json을 연다."}                  },
    {"a quoted sentence goes on",
     "\"나는 갔다.\"고 말했다. 끝.",                                             {"\"나는 갔다.\"고 말했다.", "끝."}},
    {"a quoted sentence with a space",              "“갔다.” 라고 했다.",       {"“갔다.” 라고 했다."}            },
    {"a quotation that is a sentence",              "\"갔다.\" 그는 떠났다.",      {"\"갔다.\"", "그는 떠났다."}        },
    {"a bracket closes with its sentence",          "갔다(왔다.). 끝.",              {"갔다(왔다.).", "끝."}                },
    {"an ellipsis inside goes on",                  "그는… 갔다. 끝.",             {"그는… 갔다.", "끝."}               },
    {"an ellipsis after an ending",                 "그랬다... 끝.",                  {"그랬다...", "끝."}                    },
    {"full-width marks",                            "왔다。갔다！끝",              {"왔다。", "갔다！", "끝"}           },
    {"a leading dot",                               ".NET을 쓴다. 끝.",               {".NET을 쓴다.", "끝."}                 },
    {"no-break and ideographic spaces are trimmed", "　왔다.\u00A0갔다.　",         {"왔다.", "갔다."}                      },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sentence *found = NULL;
        size_t n = 0;
        size_t want = 0;

        assert_int_equal(sentence_split(rows[i].text, strlen(rows[i].text), &found, &n), RAG_OK);
        while (want < 6 && rows[i].parts[want])
            want++;
        for (size_t k = 0; k < n && k < want; k++) {
            size_t len = found[k].byte_end - found[k].byte_start;

            if (len != strlen(rows[i].parts[k]) ||
                memcmp(rows[i].text + found[k].byte_start, rows[i].parts[k], len) != 0)
                fail_msg("%s: part %zu is '%.*s'", rows[i].name, k, (int)len,
                         rows[i].text + found[k].byte_start);
        }
        if (n != want)
            fail_msg("%s: %zu sentences", rows[i].name, n);
        free(found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
