#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "generate/extractive.h"

#define BASE 1000u /* byte of the passages' text in their documents */

struct source {
    const char *title;
    const char *heading;
    const char *context;
    const char *text;
};

static struct generator *generator;

static int open_generator(void **state)
{
    (void)state;
    return extractive_open(&generator, NULL) == RAG_OK ? 0 : -1;
}

static int close_generator(void **state)
{
    (void)state;
    generator->close(generator);
    return 0;
}

static size_t fill(const struct source *sources, size_t n_max, struct generator_passage *ret)
{
    size_t n = 0;

    for (; n < n_max && sources[n].text; n++)
        ret[n] = (struct generator_passage){
            .id = n + 1,
            .title = sources[n].title ? sources[n].title : "",
            .heading = sources[n].heading ? sources[n].heading : "",
            .context = sources[n].context ? sources[n].context : "",
            .text = sources[n].text,
            .text_bytes = strlen(sources[n].text),
            .byte_start = BASE,
            .byte_end = BASE + (uint32_t)strlen(sources[n].text),
            .score = 0.5f,
        };
    return n;
}

static const char library[] =
    "종합자료실은 평일 오전 9시부터 오후 10시까지 문을 연다. 매월 둘째 주 월요일에는 쉰다.\n"
    "회원증을 다시 발급받으려면 수수료 2,000원을 낸다.";
static const char rows_text[] = "| 항목 | RB-310 | RB-150 |\n|---|---|---|\n"
                                "| 무게 | 186kg | 94kg |\n| 화면 크기 | 15인치 | 10인치 |";
static const char codes[] =
    "- R1: 투입구가 막혔다. 책을 빼고 다시 넣는다.\n- R4: 태그를 읽지 못했다. 뒤표지가 아래로 가게 "
    "넣는다.";

static const struct {
    const char *name;
    const char *question;
    struct source sources[3];
    const char *cited;  /* in the first cited span; NULL: refused */
    const char *answer; /* in the answer, or the reason code */
    const char *short_answer;
} rows[] = {
    {"an amount is found by its unit",
     "회원증 재발급 수수료는 얼마인가요?",                                          {{.text = library}},
     "2,000원을 낸다.",                                                                                                                                                                                     "[1]",
     "2,000원"                                                                                                                                                                                                                                                                        },
    {"a row is told with its header",
     "RB-150의 무게는 얼마인가요?",                                                       {{.title = "무인 반납기", .text = rows_text}},
     "무게 | 186kg | 94kg",                                                                                                                                                                                   "RB-150: 94kg [1]",
     NULL                                                                                                                                                                                                                                                                              },
    {"a cut table brings its header as context",
     "RB-150의 무게는 얼마인가요?",                                                       {{.context = "| 항목 | RB-310 | RB-150 |", .text = "| 무게 | 186kg | 94kg |"}},
     "무게 | 186kg | 94kg",                                                                                                                                                                                   "항목: 무게, RB-310: 186kg, RB-150: 94kg",
     NULL                                                                                                                                                                                                                                                                              },
    {"another code's item does not answer",
     "R4 오류가 나면 어떻게 해야 하나요?",                                            {{.heading = "오류 코드", .text = codes}},
     "R4: 태그를 읽지 못했다.",                                                                                                                                                                         "뒤표지가",
     NULL                                                                                                                                                                                                                                                                              },
    {"the text below a question answers it",
     "노트북을 빌려 주나요?",                                                             {{.text = "## 노트북을 빌려 주나요?\n3층에서 하루 4시간까지 빌려 드립니다."}},
     "3층에서",                                                                                                                                                                                              "4시간",
     NULL                                                                                                                                                                                                                                                                              },
    {"a plain prohibition answers no",
     "예약된 책도 대출을 연장할 수 있나요?",                                        {{.text = "예약된 책은 대출을 연장할 수 없다."}},
     "예약된 책은",                                                                                                                                                                                        "아니요. 예약된 책은 대출을 연장할 수 없다. [1]",
     NULL                                                                                                                                                                                                                                                                              },
    {"two questions are answered one by one",
     "종합자료실은 평일 몇 시까지 여나요? 회원증 수수료는 얼마인가요?", {{.text = library}},
     "오후 10시까지",                                                                                                                                                                                      "2,000원",
     NULL                                                                                                                                                                                                                                                                              },
    {"what was masked stays, emphasis goes",
     "민원 접수 창구는 어디인가요?",                                                   {{.text = "민원 접수 **창구**는 1층 ************* 옆이다."}},
     "민원 접수",                                                                                                                                                                                           "창구는 1층 ************* 옆이다.",
     NULL                                                                                                                                                                                                                                                                              },
    {"another year is no evidence",
     "2022년 방문자는 몇 명인가요?",                                                     {{.text = "2023년 방문자는 300명이다."}},
     NULL,                                                                                                                                                                                                      "",
     NULL                                                                                                                                                                                                                                                                              },
    {"the passage has the subject but not the thing asked for",
     "관장의 전화번호는 무엇인가요?",                                                 {{.text = "지금의 관장은 2020년 1월에 취임했다."}},
     NULL,                                                                                                                                                                                                      "no_support",
     NULL                                                                                                                                                                                                                                                                              },
    {"nothing of the question is there",
     "비행기는 왜 하늘에 뜨나요?",                                                      {{.text = library}},
     NULL,                                                                                                                                                                                                      "no_support",
     NULL                                                                                                                                                                                                                                                                              },
    {"no passages",                                             "관장은 누구인가요?",      {{.text = NULL}},                                                                                      NULL, "no_support",                                                      NULL},
};

static void answers_and_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct generator_passage passages[3];
        struct message message = {ROLE_USER, rows[i].question};
        struct generator_request request = {
            .messages = &message,
            .n_messages = 1,
            .passages = passages,
            .n_passages = fill(rows[i].sources, 3, passages),
        };
        struct generator_result result;
        struct rag_error err;
        char cited[1024] = "";

        generator_result_init(&result);
        assert_int_equal(generator->generate(generator, &request, NULL, &result, &err), RAG_OK);
        if (result.n_citations > 0) {
            const struct citation *c = &result.citations[0];

            snprintf(cited, sizeof cited, "%.*s", (int)(c->byte_end - c->byte_start),
                     passages[c->passage].text + c->byte_start - BASE);
            assert_true(c->byte_start >= BASE && c->byte_end <= passages[c->passage].byte_end);
            assert_true(utf8_count(cited, strlen(cited)) <= 200);
            assert_true(c->answer_end <= result.answer.len);
        }
        if ((rows[i].cited == NULL) != (result.finish_reason == FINISH_REFUSED) ||
            (rows[i].cited &&
             (!strstr(cited, rows[i].cited) || !strstr(buf_str(&result.answer), rows[i].answer))) ||
            (rows[i].short_answer && strcmp(result.short_answer, rows[i].short_answer) != 0) ||
            (!rows[i].cited && (!strstr(result.reason_code, rows[i].answer) ||
                                result.reason[0] == '\0' || result.answer.len > 0)))
            fail_msg("%s: cited '%s' answer '%s' short '%s' code '%s'", rows[i].name, cited,
                     buf_str(&result.answer), result.short_answer, result.reason_code);
        generator_result_release(&result);
    }
}

static void cites_at_most_200_characters_of_a_long_sentence(void **state)
{
    static char text[8192];
    struct generator_passage passage;
    struct message message = {ROLE_USER, "느티나무 광장의 넓이는 몇 제곱미터인가요?"};
    struct generator_request request = {
        .messages = &message, .n_messages = 1, .passages = &passage, .n_passages = 1};
    struct source source = {.text = text};
    struct generator_result result;
    const struct citation *c;

    (void)state;
    text[0] = '\0';
    for (int i = 0; i < 40; i++)
        strcat(text, "마을 사람들이 모여 이야기를 나누었고, ");
    strcat(text, "느티나무 광장의 넓이는 4,200제곱미터이고, ");
    for (int i = 0; i < 40; i++)
        strcat(text, "아이들은 해가 질 때까지 뛰어놀았고, ");
    strcat(text, "밤이 되었다.");
    fill(&source, 1, &passage);
    generator_result_init(&result);
    assert_int_equal(generator->generate(generator, &request, NULL, &result, NULL), RAG_OK);
    assert_true(result.n_citations >= 1);
    c = &result.citations[0];
    assert_true(utf8_count(text + c->byte_start - BASE, c->byte_end - c->byte_start) <= 200);
    assert_non_null(strstr(buf_str(&result.answer), "4,200"));
    assert_string_equal(result.short_answer, "4,200제곱미터");
    generator_result_release(&result);
}

struct heard {
    char text[4096];
    size_t n_pieces;
    size_t stop_after;
};

static bool hear(void *context, const char *text, size_t n_bytes)
{
    struct heard *h = context;

    strncat(h->text, text, n_bytes);
    return ++h->n_pieces != h->stop_after;
}

static void streams_what_the_answer_holds_and_stops(void **state)
{
    static const char question[] =
        "종합자료실은 평일 몇 시까지 여나요? 회원증 수수료는 얼마인가요?";
    struct source source = {.text = library};
    struct generator_passage passage;
    struct message message = {ROLE_USER, question};
    atomic_bool cancel = false;
    struct generator_request request = {.messages = &message,
                                        .n_messages = 1,
                                        .passages = &passage,
                                        .n_passages = 1,
                                        .cancel = &cancel};
    struct heard heard = {.n_pieces = 0};
    struct generator_sink sink = {hear, &heard};
    struct generator_result result;

    (void)state;
    fill(&source, 1, &passage);
    generator_result_init(&result);
    assert_int_equal(generator->generate(generator, &request, &sink, &result, NULL), RAG_OK);
    assert_int_equal(result.finish_reason, FINISH_STOP);
    assert_true(heard.n_pieces >= 2);
    assert_string_equal(heard.text, buf_str(&result.answer));
    generator_result_release(&result);

    heard = (struct heard){.stop_after = 1};
    generator_result_init(&result);
    assert_int_equal(generator->generate(generator, &request, &sink, &result, NULL), RAG_OK);
    assert_int_equal(result.finish_reason, FINISH_CANCELLED);
    assert_int_equal(heard.n_pieces, 1);
    assert_int_equal(result.n_citations, 1);
    generator_result_release(&result);

    atomic_store(&cancel, true);
    generator_result_init(&result);
    assert_int_equal(generator->generate(generator, &request, &sink, &result, NULL), RAG_OK);
    assert_int_equal(result.finish_reason, FINISH_CANCELLED);
    generator_result_release(&result);

    atomic_store(&cancel, false);
    request.deadline_ns = clock_monotonic_ns() - 1;
    generator_result_init(&result);
    assert_int_equal(generator->generate(generator, &request, &sink, &result, NULL), RAG_OK);
    assert_int_equal(result.finish_reason, FINISH_DEADLINE);
    assert_string_equal(finish_reason_name(result.finish_reason), "deadline");
    generator_result_release(&result);
}

static void refuses_an_unusable_request(void **state)
{
    struct generator_passage passage = {.text = ""};
    struct message message = {ROLE_ASSISTANT, "네."};
    struct generator_request request = {
        .messages = &message, .n_messages = 1, .passages = &passage, .n_passages = 1};
    struct generator_result result;
    struct rag_error err;

    (void)state;
    generator_result_init(&result);
    assert_int_equal(generator->generate(generator, &request, NULL, &result, &err), RAG_EINVAL);
    message.role = ROLE_USER;
    request.n_passages = PASSAGES_MAX + 1;
    assert_int_equal(generator->generate(generator, &request, NULL, &result, &err), RAG_EINVAL);
    assert_non_null(strstr(err.text, "50"));
    generator_result_release(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_and_refuses),
        cmocka_unit_test(cites_at_most_200_characters_of_a_long_sentence),
        cmocka_unit_test(streams_what_the_answer_holds_and_stops),
        cmocka_unit_test(refuses_an_unusable_request),
    };

    return cmocka_run_group_tests(tests, open_generator, close_generator);
}
