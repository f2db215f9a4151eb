/* Plain text: what is a heading, an item, a paragraph. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "block_dump.h"

static const struct dump_row rows[] = {
    {"nothing",                                               "",                                                                                                ""                                        },
    {"white space alone",                                     " \n\t\n",                                                                                         ""                                        },
    {"a paragraph of two lines",                              "가나다\n라마바",                                                                            " ¶ P \"가나다\n라마바\""          },
    {"two paragraphs",                                        "가나다.\n\n라마바.",                                                                        " ¶ P \"가나다.\" ¶ P \"라마바.\""},
    {"a first line before a blank one is the title",          "출장 보고\n\n내용이다.",
     "출장 보고 ¶ H1 \"출장 보고\" (출장 보고) ¶ P \"내용이다.\""                                                                                                                        },
    {"a first line that is a sentence is none",               "오늘 갔다.\n\n내용이다.",
     " ¶ P \"오늘 갔다.\" ¶ P \"내용이다.\""                                                                                                                                                     },
    {"a first line without text behind it is none",           "제목만\n\n",                                                                                   " ¶ P \"제목만\""                     },
    {"a statute's articles",                                  "제1조(목적) 이것을 정한다.\n제2조(정의) 말을 정한다.\n",
     " ¶ H1 \"제1조(목적)\" (제1조(목적)) ¶ P \"이것을 정한다.\" ¶ H1 \"제2조(정의)\" "
     "(제2조(정의)) ¶ P \"말을 정한다.\""                                                                                                                                                        },
    {"parts of a statute are nested by rank",                 "제1장 총칙\n\n제1조 목적\n글.\n\n제2장 휴가\n글.\n",
     " ¶ H1 \"제1장 총칙\" (제1장 총칙) ¶ H2 \"제1조 목적\" (제1조 목적) ¶ P \"글.\" ¶ H1 \"제2장 "
     "휴가\" (제2장 휴가) ¶ P \"글.\""                                                                                                                                                             },
    {"a branch article",                                      "제3조의2(특례) 따로 정한다.",
     " ¶ H1 \"제3조의2(특례)\" (제3조의2(특례)) ¶ P \"따로 정한다.\""                                                                                                                     },
    {"a reference to an article is no heading",               "제2조(정의)에 따른 말이다.\n제3조에서 정한다.",
     " ¶ P \"제2조(정의)에 따른 말이다.\n제3조에서 정한다.\""                                                                                                                            },
    {"numbered lines with text are headings",                 "1. 개요\n글이다.\n\n2. 내용\n글이다.\n",
     " ¶ H1 \"1. 개요\" (1. 개요) ¶ P \"글이다.\" ¶ H1 \"2. 내용\" (2. 내용) ¶ P \"글이다.\""                                                                                            },
    {"numbered lines one after the other are items",          "할 일\n\n1. 하나\n2. 둘\n3. 셋\n\n끝이다.",
     "할 일 ¶ H1 \"할 일\" (할 일) ¶ I \"1. 하나\" ¶ I \"2. 둘\" ¶ I \"3. 셋\" ¶ P \"끝이다.\""                                                                                          },
    {"a list that continues a paragraph is none of headings", "할 일은\n1. 하나\n2. 둘\n",
     " ¶ P \"할 일은\" ¶ I \"1. 하나\" ¶ I \"2. 둘\""                                                                                                                                             },
    {"marked lines with text are headings",                   "■ 요약\n글이다.\n■ 원인\n글이다.\n",
     " ¶ H1 \"■ 요약\" (요약) ¶ P \"글이다.\" ¶ H1 \"■ 원인\" (원인) ¶ P \"글이다.\""                                                                                                },
    {"marked lines in a row are items",                       "○ 하나\n○ 둘\n○ 셋\n",
     " ¶ I \"○ 하나\" ¶ I \"○ 둘\" ¶ I \"○ 셋\""                                                                                                                                              },
    {"marks below marks",                                     "□ 추진 배경\n ○ 현황\n  - 줄었다.\n ○ 원인\n  - 늘었다.\n□ 계획\n글.\n",
     " ¶ H1 \"□ 추진 배경\" (추진 배경) ¶ H2 \"○ 현황\" (현황) ¶ I \"- 줄었다.\" ¶ H2 \"○ 원인\" "
     "(원인) ¶ I \"- 늘었다.\" ¶ H1 \"□ 계획\" (계획) ¶ P \"글.\""                                                                                                                          },
    {"a marked sentence is an item",                          "○ 올해는 예산을 두 배로 늘린다.\n글이다.\n",
     " ¶ I \"○ 올해는 예산을 두 배로 늘린다.\" ¶ P \"글이다.\""                                                                                                                         },
    {"a bracketed line",                                      "[안건]\n예산을 정한다.\n\n[결정]\n정했다.\n",
     " ¶ H1 \"[안건]\" (안건) ¶ P \"예산을 정한다.\" ¶ H1 \"[결정]\" (결정) ¶ P \"정했다.\""                                                                                          },
    {"underlined lines",                                      "가나\n====\n글.\n\n다라\n----\n글.\n",
     " ¶ H1 \"가나\n====\" (가나) ¶ P \"글.\" ¶ H2 \"다라\n----\" (다라) ¶ P \"글.\""                                                                                                        },
    {"a rule under a paragraph is none",                      "가나\n다라\n----\n글.\n",
     " ¶ P \"가나\n다라\n----\n글.\""                                                                                                                                                                },
    {"a title, then numbers below it",                        "회의록\n\n1. 안건\n글.\n\n2. 결정\n글.\n",
     "회의록 ¶ H1 \"회의록\" (회의록) ¶ H2 \"1. 안건\" (1. 안건) ¶ P \"글.\" ¶ H2 \"2. 결정\" (2. "
     "결정) ¶ P \"글.\""                                                                                                                                                                               },
    {"deep numbers",                                          "1. 개요\n글.\n\n1.1 배경\n글.\n\n2. 내용\n글.\n",
     " ¶ H1 \"1. 개요\" (1. 개요) ¶ P \"글.\" ¶ H2 \"1.1 배경\" (1.1 배경) ¶ P \"글.\" ¶ H1 \"2. "
     "내용\" (2. 내용) ¶ P \"글.\""                                                                                                                                                                  },
    {"roman and Hangul numbers",                              "Ⅰ. 현황\n\n가. 예산\n글.\n\n나. 인력\n글.\n\nⅡ. 계획\n글.\n",
     " ¶ H1 \"Ⅰ. 현황\" (Ⅰ. 현황) ¶ H2 \"가. 예산\" (가. 예산) ¶ P \"글.\" ¶ H2 \"나. 인력\" (나. "
     "인력) ¶ P \"글.\" ¶ H1 \"Ⅱ. 계획\" (Ⅱ. 계획) ¶ P \"글.\""                                                                                                                             },
    {"an item goes on where it is indented",                  "- 하나는\n  길다\n- 둘\n셋\n",
     " ¶ I \"- 하나는\n  길다\" ¶ I \"- 둘\" ¶ P \"셋\""                                                                                                                                         },
    {"items in circles and brackets",                         "① 하나\n② 둘\n1) 셋\n(2) 넷\n가) 다섯\n",
     " ¶ I \"① 하나\" ¶ I \"② 둘\" ¶ I \"1) 셋\" ¶ I \"(2) 넷\" ¶ I \"가) 다섯\""                                                                                                         },
    {"a negative number and a decimal are no marks",          "값은\n-5도이고\n3.14이다\n",
     " ¶ P \"값은\n-5도이고\n3.14이다\""                                                                                                                                                           },
    {"decomposed Hangul is composed",                         "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8",                                                            " ¶ P \"각\""                           },
    {"line ends of all systems",                              "\xEF\xBB\xBF가.\r\n\r\n나.\r다.",
     " ¶ P \"가.\" ¶ P \"나.\n다.\""                                                                                                                                                                  },
};

static void test_rows(void **state)
{
    (void)state;
    check_dump_rows(FORMAT_TEXT, rows, sizeof rows / sizeof rows[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
