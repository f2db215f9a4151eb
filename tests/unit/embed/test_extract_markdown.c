/* Markdown: blocks as spans of the source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "block_dump.h"

static const struct dump_row rows[] = {
    {"nothing",                                                     "",                                                               ""                                                   },
    {"a heading and a paragraph",                                   "# 제목\n\n글이다.\n",
     "제목 ¶ H1 \"# 제목\" (제목) ¶ P \"글이다.\""                                                                                                                              },
    {"a closed heading",                                            "## 제목 ##\n\n글\n",                                          "제목 ¶ H2 \"## 제목 ##\" (제목) ¶ P \"글\""},
    {"a setext heading",                                            "제목\n===\n\n둘째\n---\n",
     "제목 ¶ H1 \"제목\n===\" (제목) ¶ H2 \"둘째\n---\" (둘째)"                                                                                                                },
    {"the first heading of level 1 is the title",                   "글\n\n## 둘\n\n# 하나\n\n# 셋\n",
     "하나 ¶ P \"글\" ¶ H2 \"## 둘\" (둘) ¶ H1 \"# 하나\" (하나) ¶ H1 \"# 셋\" (셋)"                                                                                        },
    {"emphasis around a heading is not its title",                  "# **제목**\n\n## `a` 나\n",
     "제목 ¶ H1 \"# **제목**\" (제목) ¶ H2 \"## `a` 나\" (`a` 나)"                                                                                                               },
    {"front matter gives the title",                                "---\ntitle: \"안내서\"\ntags: [a]\n---\n\n# 하나\n",
     "안내서 ¶ C \"---\ntitle: \"안내서\"\ntags: [a]\n---\" ¶ H1 \"# 하나\" (하나)"                                                                                            },
    {"front matter without a title",                                "---\ndate: 2024-01-01\n...\n# 하나\n",
     "하나 ¶ C \"---\ndate: 2024-01-01\n...\" ¶ H1 \"# 하나\" (하나)"                                                                                                              },
    {"a thematic break is no front matter",                         "---\n\n글\n\n---\n",
     " ¶ P \"---\" ¶ P \"글\" ¶ P \"---\""                                                                                                                                             },
    {"a title in a list of YAML is left alone",                     "---\ntitle: [a, b]\n---\n# 하나\n",
     "하나 ¶ C \"---\ntitle: [a, b]\n---\" ¶ H1 \"# 하나\" (하나)"                                                                                                                 },
    {"items, tight and nested",                                     "글:\n- 하나\n  - 둘\n- 셋\n  이어서\n",
     " ¶ P \"글:\" ¶ I \"- 하나\" ¶ I \"  - 둘\" ¶ I \"- 셋\n  이어서\""                                                                                                       },
    {"an item of two paragraphs",                                   "1. 하나\n\n   둘\n\n2. 셋\n",
     " ¶ I \"1. 하나\" ¶ I \"   둘\" ¶ I \"2. 셋\""                                                                                                                                 },
    {"a quote",                                                     "> 말했다.\n> 이어서\n\n글\n",                             " ¶ Q \"> 말했다.\n> 이어서\" ¶ P \"글\""   },
    {"fenced code keeps its fences",                                "글\n\n```c\nint x;\n\nint y;\n```\n\n끝\n",
     " ¶ P \"글\" ¶ C \"```c\nint x;\n\nint y;\n```\" ¶ P \"끝\""                                                                                                                     },
    {"code that begins and ends with blank lines",                  "~~~\n\na\n\n~~~\n",                                              " ¶ C \"~~~\n\na\n\n~~~\""                          },
    {"code that is never closed",                                   "```\na\n# b\n",                                                  " ¶ C \"```\na\n# b\""                              },
    {"a heading inside code is none",                               "```\n# b\n```\n",                                                " ¶ C \"```\n# b\n```\""                            },
    {"indented code",                                               "글\n\n    a = 1\n    b = 2\n",                                  " ¶ P \"글\" ¶ C \"    a = 1\n    b = 2\""        },
    {"a table",                                                     "| 이름 | 값 |\n|:--|--:|\n| 가 | 1 |\n| 나 | 2 |\n\n끝\n",
     " ¶ T \"| 이름 | 값 |\n|:--|--:|\" ¶ R \"| 가 | 1 |\" ¶ R \"| 나 | 2 |\" ¶ P \"끝\""                                                                                        },
    {"a table with an escaped pipe",                                "a \\| b | c\n---|---\n1 \\| 2 | 3\n",
     " ¶ T \"a \\| b | c\n---|---\" ¶ R \"1 \\| 2 | 3\""                                                                                                                                 },
    {"a table behind a paragraph's line is a paragraph of its own", "글\n\na|b\n---|---\n1|2\n",
     " ¶ P \"글\" ¶ T \"a|b\n---|---\" ¶ R \"1|2\""                                                                                                                                    },
    {"a delimiter row of single hyphens",                           "| a | b |\n| - | -: |\n| 1 | 2 |\n",
     " ¶ T \"| a | b |\n| - | -: |\" ¶ R \"| 1 | 2 |\""                                                                                                                                  },
    {"pipes without a delimiter row are a paragraph",               "a | b\nc | d\n",                                                 " ¶ P \"a | b\nc | d\""                             },
    {"HTML blocks",                                                 "<div>\n글\n</div>\n\n끝\n",                                    " ¶ P \"<div>\n글\n</div>\" ¶ P \"끝\""          },
    {"a script ends on its line",                                   "<script>x</script>\n\n# 제목\n",
     "제목 ¶ P \"<script>x</script>\" ¶ H1 \"# 제목\" (제목)"                                                                                                                      },
    {"link definitions are kept",                                   "[a][b]\n\n[b]: http://x.kr\n",
     " ¶ P \"[a][b]\" ¶ P \"[b]: http://x.kr\""                                                                                                                                          },
    {"a line of inline code is no fence",                           "```a``` b\n\n# 제목\n",
     "제목 ¶ P \"```a``` b\" ¶ H1 \"# 제목\" (제목)"                                                                                                                               },
    {"an escaped mark is text",                                     "\\# 글\n\n\\- 글\n",                                           " ¶ P \"\\# 글\" ¶ P \"\\- 글\""                 },
    {"marks of breaks in all forms",                                "* * *\n\n_ _ _\n\n글\n",
     " ¶ P \"* * *\n\n_ _ _\" ¶ P \"글\""                                                                                                                                               },
    {"bold at the start of a line is no item",                      "**굵게** 쓴다\n",                                            " ¶ P \"**굵게** 쓴다\""                        },
    {"a task list",                                                 "- [ ] 하나\n- [x] 둘\n",                                      " ¶ I \"- [ ] 하나\" ¶ I \"- [x] 둘\""          },
    {"code in an item",                                             "- 하나\n\n  ```\n  a\n  ```\n",
     " ¶ I \"- 하나\" ¶ C \"  ```\n  a\n  ```\""                                                                                                                                       },
    {"a heading of nothing that is seen",                           "## \xEF\xBB\xBF \n\n글\n",                                      " ¶ H2 \"##\" () ¶ P \"글\""                      },
    {"an empty heading",                                            "#\n\n글\n",                                                     " ¶ P \"#\" ¶ P \"글\""                           },
};

static void test_rows(void **state)
{
    (void)state;
    check_dump_rows(FORMAT_MARKDOWN, rows, sizeof rows / sizeof rows[0]);
}

/* Versions of md4c fill short rows up to the head's width; that must not multiply. */
static void test_wide_head_and_many_rows(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct extracted e = {0};
    enum rag_status status;
    struct buf body;

    (void)state;
    buf_init(&body, 1u << 20);
    for (size_t i = 0; i < 20000; i++)
        buf_append_str(&body, "a|");
    buf_append_str(&body, "\n");
    for (size_t i = 0; i < 20000; i++)
        buf_append_str(&body, "---|");
    for (size_t i = 0; i < 20000; i++)
        buf_append_str(&body, "\n|b");
    status = extract_document(FORMAT_MARKDOWN, buf_str(&body), body.len, &e, &error);
    if (status != RAG_OK) {
        assert_int_equal(status, RAG_ELIMIT);
        assert_non_null(strstr(error.text, "table"));
    }
    extracted_release(&e);
    buf_release(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_wide_head_and_many_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
