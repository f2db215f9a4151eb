/* HTML: visible text, a block per line; what is hostile is refused with its limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "block_dump.h"

static const struct dump_row rows[] = {
    {"nothing",                                           "",                                                                          ""                                                                                        },
    {"title and paragraph",                               "<title> 안내\n문 </title><p>글 <b>굵게</b>\n 쓴다.</p>",
     "안내 문 ¶ P \"글 굵게 쓴다.\""                                                                                                                                                                                    },
    {"the first h1 where there is no title",              "<p>글<h2>둘</h2><h1>하나</h1>",
     "하나 ¶ P \"글\" ¶ H2 \"둘\" (둘) ¶ H1 \"하나\" (하나)"                                                                                                                                                         },
    {"entities and a no-break space",                     "<p>a&amp;b&nbsp;&lt;c&gt; &#44032;",                                        " ¶ P \"a&b <c> 가\""                                                                   },
    {"text is made NFC after its entities",               "<p>&#x1100;&#x1161;&#x11A8;",                                               " ¶ P \"각\""                                                                           },
    {"soft hyphens go",                                   "<p>inter&shy;net",                                                          " ¶ P \"internet\""                                                                      },
    {"text outside of elements",                          "가<p>나</p>다",                                                          " ¶ P \"가\" ¶ P \"나\" ¶ P \"다\""                                                 },
    {"inline elements do not divide",                     "<p><span>가</span><em>나</em>",                                           " ¶ P \"가나\""                                                                        },
    {"a line break",                                      "<p>가<br>나<br/>",                                                        " ¶ P \"가\n나\""                                                                      },
    {"what is not seen",
     "<style>p{}</style><script>1</script><template>t</template><nav>메뉴</nav><p hidden>h<p "
     "style='Display: NONE'>d<p>글<noscript>n</noscript><select><option>o"
     "</select><svg><text>s</text></svg><!-- c -->",                                                                                   " ¶ P \"글\""                                                                           },
    {"header, footer and aside are seen",
     "<header>머리</header><aside>곁</aside><footer>꼬리</footer>",                                                               " ¶ P \"머리\" ¶ P \"곁\" ¶ P \"꼬리\""                                           },
    {"lists",                                             "<ul><li>하나<li>둘<ol start=3><li>셋<li>넷</ol></ul>",
     " ¶ I \"- 하나\" ¶ I \"- 둘\" ¶ I \"3. 셋\" ¶ I \"4. 넷\""                                                                                                                                                         },
    {"an item of two paragraphs",                         "<ul><li><p>하나</p><p>둘</p></ul>",
     " ¶ I \"- 하나\" ¶ I \"둘\""                                                                                                                                                                                           },
    {"a definition list",                                 "<dl><dt>말<dd>뜻</dl>",                                                   " ¶ P \"말\" ¶ I \"뜻\""                                                              },
    {"a quotation",                                       "<blockquote><p>말</blockquote>",                                           " ¶ Q \"말\""                                                                           },
    {"preformatted text keeps its lines",                 "<pre>\n a\n\n  b</pre>",                                                    " ¶ C \" a\n\n  b\""                                                                     },
    {"a table with a head of th",                         "<table><tr><th>이름<th>값<tr><td>가<td>1</table>",
     " ¶ T \"이름 | 값\" ¶ R \"가 | 1\""                                                                                                                                                                                   },
    {"a table with thead",
     "<table><caption>표</caption><thead><tr><td>이름<td>값</thead><tbody><tr>"
     "<td>가<td>1</table>",                                                                                                           " ¶ P \"표\" ¶ T \"이름 | 값\" ¶ R \"가 | 1\""                                    },
    {"a row whose first cell is th is no head",           "<table><tr><th>이름<td>가<tr><th>값<td>1</table>",
     " ¶ R \"이름 | 가\" ¶ R \"값 | 1\""                                                                                                                                                                                   },
    {"blocks in a cell are one line",                     "<table><tr><td><p>가</p><ul><li>나</ul><td>1<br>2</table>",
     " ¶ R \"가 나 | 1 2\""                                                                                                                                                                                                   },
    {"an empty cell keeps its place, an empty row goes",
     "<table><tr><td>가<td><td>다<tr><td><td><td></table>",                                                                          " ¶ R \"가 |  | 다\""                                                                  },
    {"white space in cells",                              "<table> <tr> <td> 가 <td> <b> 나 </b> <td>\n</table>",
     " ¶ R \"가 | 나 |\""                                                                                                                                                                                                     },
    {"a cell over rows is said in each",
     "<table><tr><th>구분<th>일수<th>돈<tr><td rowspan=2>경조<td>5일<td>1<tr><td>10일<td>2</table>",
     " ¶ T \"구분 | 일수 | 돈\" ¶ R \"경조 | 5일 | 1\" ¶ R \"경조 | 10일 | 2\""                                                                                                                                    },
    {"cells over rows in the middle and at the end",
     "<table><tr><td>가<td rowspan=3>나<td "
     "rowspan=2>다<tr><td>라<tr><td>마<td>바<tr><td>사</table>",                                                                  " ¶ R \"가 | 나 | 다\" ¶ R \"라 | 나 | 다\" ¶ R \"마 | 나 | 바\" ¶ R \"사\""},
    {"a cell over rows and columns is said once in each",
     "<table><tr><td rowspan=2 colspan=2>가<td>나<tr><td>다</table>",                                                               " ¶ R \"가 | 나\" ¶ R \"가 | 다\""                                                  },
    {"a head over two rows",
     "<table><thead><tr><th rowspan=2>이름<th colspan=2>값<tr><th>처음<th>끝</thead><tr><td>가<td>1"
     "<td>2</table>",                                                                                                                  " ¶ T \"이름 | 값\" ¶ T \"이름 | 처음 | 끝\" ¶ R \"가 | 1 | 2\""              },
    {"spans end with their table",
     "<table><tr><td rowspan=9>가<td>나</table><table><tr><td>다<td>라</table>",                                                   " ¶ R \"가 | 나\" ¶ R \"다 | 라\""                                                  },
    {"a table of layout",                                 "<table><tr><td><h2>왼쪽</h2><p>글</td><td>오른쪽</td></tr></table>",
     " ¶ H2 \"왼쪽\" (왼쪽) ¶ P \"글\" ¶ P \"오른쪽\""                                                                                                                                                                },
    {"a table in a table",                                "<table><tr><td>왼쪽<td><table><tr><th>이름<tr><td>가</table></table>",
     " ¶ P \"왼쪽\" ¶ T \"이름\" ¶ R \"가\""                                                                                                                                                                             },
    {"a hidden table does not shift the others",
     "<table hidden><tr><td><h1>x</h1></table><table><tr><td>가<td>나</table>",                                                      " ¶ R \"가 | 나\""                                                                     },
    {"ruby",                                              "<p><ruby>漢<rp>(</rp><rt>한</rt><rp>)</rp></ruby>",                       " ¶ P \"漢(한)\""                                                                      },
    {"unclosed and crossing elements",                    "<div><p>가<b>나<i>다</b>라</div></span>마",
     " ¶ P \"가나다라\" ¶ P \"마\""                                                                                                                                                                                       },
    {"bytes win over a meta that is wrong",               "<meta charset=euc-kr><p>가",                                               " ¶ P \"가\""                                                                           },
};

static void test_rows(void **state)
{
    (void)state;
    check_dump_rows(FORMAT_HTML, rows, sizeof rows / sizeof rows[0]);
}

/* ---- refused ---- */

static const struct {
    const char *name;
    const char *start;
    const char *piece;
    size_t times;
    enum rag_status status;
    const char *says;
} refused[] = {
    {"too deep",                         "",                                                 "<div>",    HTML_DEPTH_MAX + 1, RAG_ELIMIT,  "limit of 512"              },
    {"far too deep",                     "",                                                 "<span>",   20000,              RAG_ELIMIT,  "limit of 512"              },
    {"lists in lists",                   "",                                                 "<ul><li>", 400,                RAG_ELIMIT,  "limit of 512"              },
    {"another encoding",                 "<meta charset=\"euc-kr\"><p>\xB0\xA1",             "",         0,                  RAG_EFORMAT,
     "iconv -f euc-kr"                                                                                                                                                },
    {"another encoding in the old form",
     "<meta http-equiv=Content-Type content=\"text/html; charset=ks_c_5601-1987\">\xB0\xA1", "",         0,
     RAG_EFORMAT,                                                                                                                         "iconv -f cp949"            },
    {"no encoding",                      "<p>\xB0\xA1",                                      "",         0,                  RAG_EFORMAT, "byte 3 (0xB0) is not UTF-8"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct extracted e = {0};
        enum rag_status status;
        struct buf body;

        buf_init(&body, 1u << 20);
        buf_append_str(&body, refused[i].start);
        for (size_t k = 0; k < refused[i].times; k++)
            buf_append_str(&body, refused[i].piece);
        status = extract_document(FORMAT_HTML, buf_str(&body), body.len, &e, &error);
        if (status != refused[i].status || !strstr(error.text, refused[i].says))
            fail_msg("%s: status %d: %s", refused[i].name, status, error.text);
        assert_null(e.text);
        buf_release(&body);
    }
}

static void test_nul(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct extracted e = {0};

    (void)state;
    assert_int_equal(extract_document(FORMAT_HTML, "<p>a\0b", 6, &e, &error), RAG_EFORMAT);
    assert_string_equal(error.text, "document: NUL at byte 4");
}

/* As deep as is allowed, and every kind of container there. */
static void test_deep_but_allowed(void **state)
{
    struct extracted e = {0};
    struct buf body;

    (void)state;
    buf_init(&body, 1u << 20);
    for (size_t i = 0; i < 250; i++)
        buf_append_str(&body, "<ol><li>");
    buf_append_str(&body, "가");
    assert_int_equal(extract_document(FORMAT_HTML, buf_str(&body), body.len, &e, NULL), RAG_OK);
    assert_string_equal(e.text, "1. 가");
    extracted_release(&e);
    buf_release(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_deep_but_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
