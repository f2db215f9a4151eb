#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "text/entity.h"
#include "text/particle.h"
#include "text/question.h"

static void reads_what_is_asked(void **state)
{
    static const struct {
        const char *question;
        const char *kind;
        const char *unit;
        const char *focus;
    } rows[] = {
        {"이 소설을 쓴 사람은 누구인가?", "person",     "",    "사람"      },
        {"훈민정음을 만든 왕은?",            "any",        "",    "왕"         },
        {"시설관리팀 팀장은?",                "person",     "",    "팀장"      },
        {"호주의 수도는 어디인가?",         "place",      "",    "수도"      },
        {"어느 나라에서 열렸는가?",         "place",      "",    "나라"      },
        {"창립일은 언제입니까?",             "date",       "",    "창립일"   },
        {"몇 년에 태어났나요?",               "date",       "년", ""            },
        {"몇 년 동안 일했나요?",              "quantity",   "년", ""            }, /* a duration, not a year */
        {"몇 월에 문을 여나요?",              "date",       "월", ""            },
        {"휴가는 며칠인가요?",                "quantity",   "일", "휴가"      },
        {"모임은 6월 며칠인가요?",           "date",       "일", "모임"      },
        {"정원은 몇 명인가요?",               "quantity",   "명", "정원"      },
        {"몇명까지 들어가나요?",             "quantity",   "명", ""            },
        {"무게는 얼마인가요?",                "quantity",   "kg",  "무게"      },
        {"소음은 최대 얼마인가요?",         "quantity",   "dB",  "소음"      },
        {"수리비는 얼마인가요?",             "quantity",   "원", "수리비"   }, /* ...비 is money */
        {"문을 닫는 이유는 무엇인가?",     "reason",     "",    "이유"      },
        {"왜 늦었나요?",                         "reason",     "",    ""            },
        {"신청은 어떻게 하나요?",            "method",     "",    "신청"      },
        {"가격이 어떻게 되나요?",            "quantity",   "원", "가격"      }, /* what is it, not how */
        {"강의 이름은 무엇인가?",            "name",       "",    "이름"      },
        {"이것을 무엇이라고 부르는가?",   "name",       "",    ""            },
        {"백색왜성이란 무엇인가?",          "definition", "",    "백색왜성"},
        {"개를 데려가도 되나요?",            "yesno",      "",    ""            },
        {"신청 방법 알려 주세요",            "method",     "",    "방법"      },
        {"?",                                         "any",        "",    ""            },
        {"",                                          "any",        "",    ""            },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct question q;
        char focus[64];

        question_analyze(rows[i].question, strlen(rows[i].question), &q);
        snprintf(focus, sizeof focus, "%.*s", (int)(q.focus_end - q.focus_start),
                 rows[i].question + q.focus_start);
        if (strcmp(answer_kind_name(q.kind), rows[i].kind) != 0 ||
            strcmp(q.unit, rows[i].unit) != 0 ||
            (rows[i].focus[0] != '\0' && strcmp(focus, rows[i].focus) != 0))
            fail_msg("%s: %s '%s' '%s'", rows[i].question, answer_kind_name(q.kind), q.unit, focus);
    }
}

static void knows_what_a_question_insists_on(void **state)
{
    static const struct {
        const char *question;
        const char *text;
        bool firm;
        bool met;
    } rows[] = {
        {"2022년에 몇 명이 왔나요", "2022년 방문자는 30명이다",           true,  true },
        {"2022년에 몇 명이 왔나요", "2023년 방문자는 30명이다",           true,  false},
        {"6월 11일 회의",               "회의록-2024-06-11.txt",                   true,  true },
        {"6월 11일 회의",               "6/11 회의",                                true,  true },
        {"6월 11일 회의",               "6월 12일 회의",                          true,  false},
 /* The year may stand in a heading, the day in a sentence. */
        {"2024년 6월 11일 회의",       "2024년 상반기. 6월 11일에 모였다", true,  true },
        {"AP-700 무게",                   "AP700은 7kg이다",                         true,  true },
        {"AP-700 무게",                   "AP-520은 7kg이다",                        true,  false},
        {"제3조",                         "제3조 연차",                             true,  true },
        {"２０２４년",                 "2024년",                                    true,  true },
 /* A capital at the beginning of an English sentence names nothing. */
        {"Who founded the lab?",            "Mina Park founded the lab",                  false, false},
        {"Orbit이 만든 제품",          "a product",                                  true,  false},
        {"the founder of Orbit",            "the lab Orbit",                              false, true },
 /* An amount may be said otherwise: it is no reason to refuse. */
        {"5만 원 선물",                 "선물은 3만 원 이하",                  false, false},
        {"5만 원 선물",                 "선물은 50,000원 이하",                 false, true },
        {"80% 이상",                      "80퍼센트 이상",                         false, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct question q;

        question_analyze(rows[i].question, strlen(rows[i].question), &q);
        if (q.n_constraints == 0 || q.constraints[0].firm != rows[i].firm ||
            constraint_met(rows[i].question, &q.constraints[0], rows[i].text,
                           strlen(rows[i].text)) != rows[i].met)
            fail_msg("'%s' in '%s': %zu constraints", rows[i].question, rows[i].text,
                     q.n_constraints);
    }
}

static void reads_entities(void **state)
{
    static const struct {
        const char *text;
        const char *found;
        int kind;
        int unit;
        double value;
    } rows[] = {
        {"약 1,234명이",        "1,234명",          ENTITY_NUMBER, UNIT_PERSON,  1234     },
        {"값은 20만 원이다", "20만 원",         ENTITY_NUMBER, UNIT_MONEY,   200000   },
        {"1억 2,000만 원",      "1억 2,000만 원", ENTITY_NUMBER, UNIT_MONEY,   120000000},
        {"3.14배",                "3.14배",           ENTITY_NUMBER, UNIT_OTHER,   3.14     },
        {"네 번까지",          "네 번",           ENTITY_NUMBER, UNIT_TIMES,   4        },
        {"사흘 뒤",             "사흘",            ENTITY_NUMBER, UNIT_DAY,     3        },
        {"09:30에",               "09:30",             ENTITY_NUMBER, UNIT_CLOCK,   9.5      },
        {"3년 동안",            "3년",              ENTITY_NUMBER, UNIT_YEAR,    3        },
        {"제3조에",             "3조",              ENTITY_NUMBER, UNIT_ARTICLE, 3        }, /* not three trillion */
        {"2024년 3월 1일",      "2024년 3월 1일", ENTITY_DATE,   UNIT_NONE,    0        },
        {"2024. 3. 1. 시행",     "2024. 3. 1",        ENTITY_DATE,   UNIT_NONE,    0        },
        {"수요일에",           "수요일",         ENTITY_DATE,   UNIT_NONE,    3        },
        {"AP-700은",              "AP-700",            ENTITY_CODE,   UNIT_NONE,    0        },
        {"3D 영화",              "3D",                ENTITY_CODE,   UNIT_NONE,    0        },
        {"２D 도면",            "２D",              ENTITY_CODE,   UNIT_NONE,    0        },
        {"SQLite를",              "SQLite",            ENTITY_LATIN,  UNIT_NONE,    0        },
        {"「무정」을",        "무정",            ENTITY_QUOTED, UNIT_NONE,    0        },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct entity e;
        size_t at = 0;
        size_t n = strlen(rows[i].found);

        if (!entity_next(rows[i].text, strlen(rows[i].text), &at, &e) ||
            e.byte_end - e.byte_start != n ||
            memcmp(rows[i].text + e.byte_start, rows[i].found, n) != 0 || e.kind != rows[i].kind ||
            e.unit != rows[i].unit || e.value < rows[i].value - 1e-6 ||
            e.value > rows[i].value + 1e-6)
            fail_msg("%s: kind %d unit %d value %g bytes %u-%u", rows[i].text, e.kind, e.unit,
                     e.value, e.byte_start, e.byte_end);
    }
}

static void chooses_the_particle(void **state)
{
    static const struct {
        const char *word;
        enum particle particle;
        const char *want;
    } rows[] = {
        {"2022년", PARTICLE_SUBJECT, "이"     },
        {"회의",  PARTICLE_SUBJECT, "가"     },
        {"AP-700",  PARTICLE_SUBJECT, "이"     }, /* 영 */
        {"E2",      PARTICLE_SUBJECT, "가"     },
        {"서울",  PARTICLE_BY,      "로"     },
        {"집",     PARTICLE_BY,      "으로"  },
        {"'책'",   PARTICLE_OBJECT,  "을"     },
        {"漢字",  PARTICLE_TOPIC,   "은(는)"},
        {"",        PARTICLE_AND,     "과(와)"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(particle_after(rows[i].particle, rows[i].word, strlen(rows[i].word)),
                            rows[i].want);
}

static void keeps_the_end_of_a_long_question(void **state)
{
    static char text[8192];
    struct question q;

    (void)state;
    text[0] = '\0';
    while (strlen(text) < 8000)
        strcat(text, "긴 이야기 1 ");
    strcat(text, "몇 명인가요?");
    question_analyze(text, strlen(text), &q);
    assert_int_equal(q.kind, ANSWER_QUANTITY);
    assert_string_equal(q.unit, "명");
    assert_true(q.n_constraints <= CONSTRAINTS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_asked),
        cmocka_unit_test(knows_what_a_question_insists_on),
        cmocka_unit_test(reads_entities),
        cmocka_unit_test(chooses_the_particle),
        cmocka_unit_test(keeps_the_end_of_a_long_question),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
