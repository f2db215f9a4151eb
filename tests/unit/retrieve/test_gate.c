#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/bounds.h"
#include "retrieve/gate.h"

static const struct {
    const char *name;
    const char *question;
    const char *document;
    const char *text; /* NULL: no passage */
    const char *code;
    const char *reason;
} rows[] = {
    {"the words are there",                      "도서관 휴관일은 언제인가요?",         "a.md", "도서관 휴관일은 월요일이다.",
     "",                                                                                                                                                                     ""                              },
    {"nothing was found",                        "도서관 휴관일은 언제인가요?",         "a.md", NULL,                                      "no_passages",        "찾지"                        },
    {"about something else",                     "김치찌개는 어떻게 끓이나요?",         "a.md", "도서관 휴관일은 월요일이다.",
     "low_relevance",                                                                                                                                                        "관련된"                     },
    {"another model",                            "AP-900의 무게는 얼마인가요?",            "a.md", "AP-700의 무게는 7kg이다.",
     "missing_constraint",                                                                                                                                                   "'AP-900'이 나오는"         },
    {"another year",                             "2022년 방문자는 몇 명인가요?",          "a.md", "2023년 방문자는 300명이다.",
     "missing_constraint",                                                                                                                                                   "'2022년'이 나오는"        },
    {"an English question, nothing found",       "When does it open?",                              "a.md", NULL,                                      "no_passages",
     "No document has"                                                                                                                                                                                       },
    {"an English question about something else", "How do I cook stew?",                             "a.md",
     "The library is closed on Mondays.",                                                                                                              "low_relevance",      "have nothing about"            },
    {"an English question about another model",  "What does the AP-900 weigh?",                     "a.md",
     "The AP-700 weighs 7 kg.",                                                                                                                        "missing_constraint", "No document mentions 'AP-900'."},
    {"the document's name says the date",        "6월 11일 회의에서 무엇을 정했나요?",
     "회의록-2024-06-11.txt",                                                                            "회의에서 출시일을 정했다.",    "",                   ""                              },
};

static void decides(void **state)
{
    struct analyzer_options options = {0};
    struct gate_options gate = {.relevance_min = GATE_RELEVANCE_MIN_DEFAULT};
    struct analyzer *analyzer;

    (void)state;
    assert_int_equal(analyzer_open(&options, &analyzer, NULL), RAG_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        float idf[QUERY_TERMS_MAX];
        struct term_list terms = {0};
        struct question question;
        struct lexical_query query = {
            rows[i].question, strlen(rows[i].question), &terms, idf, &question, analyzer};
        struct passage passage = {.document = rows[i].document,
                                  .title = "",
                                  .heading = "",
                                  .context = "",
                                  .text = rows[i].text,
                                  .text_bytes = rows[i].text ? strlen(rows[i].text) : 0};
        struct gate_verdict verdict;

        for (size_t k = 0; k < QUERY_TERMS_MAX; k++)
            idf[k] = 1;
        question_analyze(rows[i].question, query.n_bytes, &question);
        assert_int_equal(analyzer_question(analyzer, query.text, query.n_bytes, &terms), RAG_OK);
        gate_decide(&query, &passage, rows[i].text ? 1 : 0, &gate, &verdict);
        if (strcmp(verdict.code, rows[i].code) != 0 || !strstr(verdict.reason, rows[i].reason) ||
            verdict.pass != (rows[i].code[0] == '\0'))
            fail_msg("%s: '%s' '%s' %.2f", rows[i].name, verdict.code, verdict.reason,
                     (double)verdict.relevance);
        term_list_release(&terms);
    }
    analyzer_close(analyzer);
}

static void a_filter_that_leaves_nothing_is_named(void **state)
{
    const struct gate_options gate = {.relevance_min = GATE_RELEVANCE_MIN_DEFAULT,
                                      .filtered = true};
    struct question question = {.korean = true};
    struct lexical_query query = {.question = &question};
    struct gate_verdict verdict;

    (void)state;
    gate_decide(&query, NULL, 0, &gate, &verdict);
    assert_string_equal(verdict.code, "no_passages");
    assert_non_null(strstr(verdict.reason, "필터"));
    question.korean = false;
    gate_decide(&query, NULL, 0, &gate, &verdict);
    assert_non_null(strstr(verdict.reason, "filter"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(decides),
                                       cmocka_unit_test(a_filter_that_leaves_nothing_is_named)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
