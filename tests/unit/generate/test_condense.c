#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "analyzer_fixture.h"
#include "base/bounds.h"
#include "generate/grounding.h"

#define TURNS_MAX 6

/* Questions and answers by turns; the last one is the follow-up. */
static size_t turns(const char *const *texts, struct message *ret)
{
    size_t n = 0;

    for (; n < TURNS_MAX && texts[n]; n++)
        ret[n] = (struct message){n % 2 == 0 ? ROLE_USER : ROLE_ASSISTANT, texts[n]};
    return n;
}

static const struct {
    const char *name;
    const char *texts[TURNS_MAX];
    enum condense_need need;
    const char *question;
} words[] = {
    {"a first question stands alone",                             {"그건 언제인가요?"},                                 CONDENSE_NOT, "그건 언제인가요?"                                                      },
    {"what names its subject stands alone",
     {"연차는 며칠인가요?", "15일입니다.",
      "출장비 정산 신청서는 어느 부서에 언제까지 내야 하나요?"},
     CONDENSE_NOT,                                                                                                                           "출장비 정산 신청서는 어느 부서에 언제까지 내야 하나요?"},
    {"a pronoun gives way to what it stands for",
     {"미사용 연차는 며칠까지 이월할 수 있나요?", "5일입니다.", "그건 언제까지 써야 하나요?"},
     CONDENSE_YES,                                                                                                                           "미사용 연차 이월 언제까지 써야 하나요?"                       },
    {"a pronoun before a noun, too",
     {"AP-500의 가격은 얼마인가요?", "30만 원입니다.", "그 제품의 무게는 얼마인가요?"},
     CONDENSE_YES,                                                                                                                           "AP-500 제품의 무게는 얼마인가요?"                                  },
    {"a question without a word of its own",
     {"미사용 연차는 며칠까지 이월할 수 있나요?", "5일입니다.", "왜요?"},
     CONDENSE_YES,                                                                                                                           "미사용 연차 이월 왜요?"                                              },
    {"another model takes the place of the first",
     {"AP-500의 필터 교체 주기는 얼마인가요?", "6개월입니다.", "그럼 AP-700은요?"},
     CONDENSE_YES,                                                                                                                           "AP-700의 필터 교체 주기는 얼마인가요?"                           },
    {"another year takes the place of the first",
     {"2022년 매출은 얼마인가요?", "3억 원입니다.", "2023년은요?"},
     CONDENSE_YES,                                                                                                                           "2023년 매출은 얼마인가요?"                                           },
    {"another one of the same kind takes the place of the first",
     {"경조 휴가는 며칠인가요?", "5일입니다.", "출산 휴가는요?"},
     CONDENSE_YES,                                                                                                                           "출산 휴가는 며칠인가요?"                                            },
    {"a property lacks its thing",
     {"AP-500의 무게는 얼마인가요?", "5.2kg입니다.", "가격은요?"},
     CONDENSE_YES,                                                                                                                           "AP-500 가격은요?"                                                         },
    {"a property of something else lacks nothing",
     {"AP-500의 무게는 얼마인가요?", "5.2kg입니다.", "화성 탐사선의 발사 비용은?"},
     CONDENSE_NOT,                                                                                                                           "화성 탐사선의 발사 비용은?"                                        },
    {"several words that name a property lack nothing by words",
     {"AP-500의 무게는 얼마인가요?", "5.2kg입니다.", "출장비 정산 기한은?"},
     CONDENSE_NOT,                                                                                                                           "출장비 정산 기한은?"                                                  },
    {"what is named goes in front of the question",
     {"연차는 며칠인가요?", "15일입니다.", "그럼 경력직 사원은요?"},
     CONDENSE_YES,                                                                                                                           "경력직 사원 연차는 며칠인가요?"                                  },
    {"over two turns",
     {"AP-500의 가격은 얼마인가요?", "30만 원입니다.", "AP-700은요?", "40만 원입니다.",
      "그건 어디서 사나요?"},
     CONDENSE_YES,                                                                                                                           "AP-700 어디서 사나요?"                                                  },
    {"a short question may lack something",
     {"경조 휴가는 며칠인가요?", "5일입니다.", "신청은 어떻게 하나요?"},
     CONDENSE_MAYBE,                                                                                                                         "신청은 어떻게 하나요?"                                               },
    {"English: a pronoun",
     {"How much does the AP-500 cost?", "300 dollars.", "How heavy is it?"},
     CONDENSE_YES,                                                                                                                           "How heavy is AP-500?"                                                         },
    {"English: a name of two words",
     {"Who founded Orbit Labs?", "Mina Park.", "How many employees does it have?"},
     CONDENSE_YES,                                                                                                                           "How many employees does Orbit Labs have?"                                     },
    {"English: another one",
     {"How much does the AP-500 cost?", "300 dollars.", "What about the AP-700?"},
     CONDENSE_YES,                                                                                                                           "How much does the AP-700 cost?"                                               },
};

static void follow_ups_are_completed_by_words(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct message messages[TURNS_MAX];
        size_t n = turns(words[i].texts, messages);
        enum condense_need need;
        struct buf out;

        buf_init(&out, QUESTION_BYTES_MAX);
        assert_int_equal(condense_need(messages, n, analyzer, &need), RAG_OK);
        assert_int_equal(condense_by_words(messages, n, analyzer, &out), RAG_OK);
        if (need != words[i].need || strcmp(buf_str(&out), words[i].question) != 0) {
            print_message("'%s': %d '%s'\n", words[i].name, (int)need, buf_str(&out));
            wrong++;
        }
        buf_release(&out);
    }
    assert_int_equal(wrong, 0);
}

#define LEAVE_TURNS "미사용 연차는 며칠까지 이월할 수 있나요?", "5일까지 이월할 수 있습니다."

static const struct {
    const char *name;
    const char *texts[TURNS_MAX];
    const char *answer;
    const char *question; /* NULL: of no use */
} models[] = {
    {"a good one is taken",
     {LEAVE_TURNS, "그건 언제까지 써야 하나요?"},
     "이월한 연차는 언제까지 써야 하나요?",                                                           "이월한 연차는 언제까지 써야 하나요?"},
    {"label, quotation marks and further lines go",
     {LEAVE_TURNS, "그건 언제까지 써야 하나요?"},
     "고쳐 쓴 질문: \"이월한 연차는 언제까지 써야 하나요?\"\n답: 3월입니다.",
     "이월한 연차는 언제까지 써야 하나요?"                                                                                                                },
    {"thoughts go",
     {LEAVE_TURNS, "그건 언제까지 써야 하나요?"},
     "<think>무엇일까?</think>\n이월한 연차는 언제까지 써야 하나요?",                             "이월한 연차는 언제까지 써야 하나요?"},
    {"nothing is of no use",                        {LEAVE_TURNS, "그건 언제까지 써야 하나요?"}, "\n \n", NULL                                                },
    {"an answer is no question",
     {LEAVE_TURNS, "그건 언제까지 써야 하나요?"},
     "이월한 연차는 다음 해까지 써야 합니다.",                                                       NULL                                                },
    {"another subject is of no use",
     {LEAVE_TURNS, "그건 언제까지 써야 하나요?"},
     "서울의 인구는 몇 명인가요?",                                                                        NULL                                                },
    {"a number of nowhere is of no use",
     {LEAVE_TURNS, "그건 언제까지 써야 하나요?"},
     "2019년에 이월한 연차는 언제까지 써야 하나요?",                                                NULL                                                },
    {"a name that the follow-up says has to stay",
     {"AP-500의 가격은 얼마인가요?", "30만 원입니다.", "AP-700은요?"},
     "AP-500의 가격은 얼마인가요?",                                                                         NULL                                                },
    {"a name put in the place of the other",
     {"AP-500의 가격은 얼마인가요?", "30만 원입니다.", "AP-700은요?"},
     "AP-700의 가격은 얼마인가요?",                                                                         "AP-700의 가격은 얼마인가요?"              },
    {"what the follow-up asks has to stay",
     {LEAVE_TURNS, "그건 인사팀에 신청하나요?"},
     "미사용 연차는 며칠까지 이월할 수 있나요?",                                                    NULL                                                },
    {"English: a good one",
     {"How much does the AP-500 cost?", "300 dollars.", "How heavy is it?"},
     "How heavy is the AP-500?",                                                                                     "How heavy is the AP-500?"                          },
    {"English: an answer is no question",
     {"How much does the AP-500 cost?", "300 dollars.", "How heavy is it?"},
     "The AP-500 is heavy.",                                                                                         NULL                                                },
};

static void a_models_question_is_checked(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        struct message messages[TURNS_MAX];
        size_t n = turns(models[i].texts, messages);
        struct rag_error error = {RAG_OK, ""};
        enum rag_status status;
        struct buf out;

        buf_init(&out, QUESTION_BYTES_MAX);
        status = condensed_question(messages, n, analyzer, models[i].answer,
                                    strlen(models[i].answer), &out, &error);
        if (models[i].question ? status != RAG_OK || strcmp(buf_str(&out), models[i].question) != 0
                               : status != RAG_EFORMAT) {
            print_message("'%s': %d '%s' %s\n", models[i].name, (int)status, buf_str(&out),
                          error.text);
            wrong++;
        }
        buf_release(&out);
    }
    assert_int_equal(wrong, 0);
}

static void the_model_sees_the_last_turns(void **state)
{
    const struct message messages[] = {
        {ROLE_USER,      "첫 질문"   },
        {ROLE_ASSISTANT, "첫 답"      },
        {ROLE_USER,      "둘째 질문"},
        {ROLE_ASSISTANT, ""             },
        {ROLE_USER,      "셋째 질문"},
        {ROLE_ASSISTANT, "셋째 답"   },
        {ROLE_USER,      "넷째 질문"},
        {ROLE_ASSISTANT, "넷째 답"   },
        {ROLE_USER,      "그건요?"   }
    };
    struct grounded_prompt p;
    struct rag_error error = {RAG_OK, ""};

    (void)state;
    assert_int_equal(condense_prompt_make(messages, 9, &p, &error), RAG_OK);
    assert_int_equal(p.n_messages, 2);
    assert_true(p.korean);
    assert_null(strstr(p.messages[1].text, "첫 질문"));
    assert_non_null(strstr(p.messages[1].text, "둘째 질문"));
    assert_non_null(strstr(p.messages[1].text, "넷째 답"));
    assert_non_null(strstr(p.messages[1].text, "그건요?"));
    grounded_prompt_release(&p);
    assert_int_equal(condense_prompt_make(messages, 1, &p, &error), RAG_EINVAL);
    assert_int_equal(condense_prompt_make(messages, 2, &p, &error), RAG_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follow_ups_are_completed_by_words),
        cmocka_unit_test(a_models_question_is_checked),
        cmocka_unit_test(the_model_sees_the_last_turns),
    };

    return cmocka_run_group_tests(tests, open_analyzer, close_analyzer);
}
