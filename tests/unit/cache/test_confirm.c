/* Do two similar questions ask for the same? */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "cache/confirm.h"

#define ANY_NO CONFIRM_PAIR /* no by whichever rule comes first */

struct row {
    const char *a;
    const char *b;
    enum confirm_reason reason;
    const char *why;
};

/* clang-format off */
static const struct row SAME[] = {
    {"연차는 며칠인가요?", "연차는 며칠인가요?", CONFIRM_YES, "the same text"},
    {"연차는 며칠인가요?", "연차가 며칠이야?", CONFIRM_YES, "another particle and politeness"},
    {"회의실 예약 방법 알려줘", "회의실 예약은 어떻게 하나요?", CONFIRM_YES, "a method asked for in two ways"},
    {"출장비는 얼마까지 되나요?", "출장비가 얼마까지인가요", CONFIRM_YES, "an ending is not content"},
    {"2천 원짜리 식권", "2,000원짜리 식권", CONFIRM_YES, "numbers by value"},
    {"2024년 3월 5일 매출", "2024-03-05 매출", CONFIRM_YES, "dates by value"},
    {"AP-700 설치 방법", "ap700 설치 방법", CONFIRM_YES, "codes without case and hyphen"},
    {"남자가 말을 타고 있다.", "남자가 말을 탄다.", CONFIRM_YES, "two forms of a verb"},
    {"한 남자가 말을 타고 있다.", "남자가 말을 타고 있다.", CONFIRM_YES, "한 is an article here"},
    {"여자가 플루트를 연주한다.", "여성이 플루트를 연주한다.", CONFIRM_YES, "listed as the same"},
    {"주차권은 없나요?", "주차권이 없습니까?", CONFIRM_YES, "both deny"},
    {"how do I change the password?", "how can I change my password", CONFIRM_YES, "English function words"},
    {"식당에서 무엇을 먹어야 하나요?", "식당에서 무엇을 먹나요?", CONFIRM_YES, "verb forms and empty words"},
    {"무선 청소기 추천해 주세요", "무선청소기 추천해줘", CONFIRM_YES, "words run together"},
    {"노트북은 몇 년 주기로 바꾸나요?", "노트북을 바꾸는 주기가 몇 년이야?", CONFIRM_YES, "another order"},
    {"입사일이 언제인지 알려줄 수 있나요?", "입사일이 언제인가요?", CONFIRM_YES, "asked to tell"},
    {"주차권은 어디에서 받나요?", "주차권 받는 곳이 어디인가요?", CONFIRM_YES, "곳 says 어디 again"},
    {"회의는 몇 시에 시작하나요?", "회의 시작은 언제인가요?", CONFIRM_YES, "몇 시 is when"},
    {"How do I change the PASSWORD?", "how do i change the password", CONFIRM_YES, "case of letters"},
    {"삼성전자가 애플을 고소했다", "삼성전자가 애플을 고소했습니다", CONFIRM_YES, "roles stay"},
};

static const struct row DIFFERENT[] = {
    {"3일 휴가 신청", "5일 휴가 신청", CONFIRM_NUMBER, "another number"},
    {"두 남자가 체스를 한다", "세 남자가 체스를 한다", CONFIRM_NUMBER, "numerals in words"},
    {"3kg 상자의 요금", "3g 상자의 요금", CONFIRM_NUMBER, "the same number of another unit"},
    {"휴가 3일 규정", "휴가 3시간 규정", CONFIRM_NUMBER, "days are no hours"},
    {"휴가 3일 규정", "휴가 규정", CONFIRM_NUMBER, "a number that only one says"},
    {"how many days for two people?", "how many days for three people?", CONFIRM_NUMBER, "English numerals"},
    {"2024년 3월 매출", "2024년 4월 매출", CONFIRM_DATE, "another month"},
    {"월요일 회의 시간", "화요일 회의 시간", CONFIRM_DATE, "another weekday"},
    {"AP-700 설치 방법", "AP-800 설치 방법", CONFIRM_NAME, "another code"},
    {"Outlook 설정", "Gmail 설정", CONFIRM_NAME, "another product in Latin letters"},
    {"'열매' 등급의 혜택", "'나무' 등급의 혜택", CONFIRM_NAME, "another quotation"},
    {"식권을 살 수 있나요?", "식권을 살 수 없나요?", CONFIRM_NEGATION, "있다 and 없다"},
    {"카드를 쓰면 되나요?", "카드를 쓰면 안 되나요?", CONFIRM_NEGATION, "안"},
    {"문을 여는 기능", "문을 열지 않는 기능", CONFIRM_NEGATION, "않다"},
    {"전화하세요", "전화하지 마세요", CONFIRM_NEGATION, "a prohibition"},
    {"환불 가능한 상품", "환불 불가능한 상품", CONFIRM_NEGATION, "불가능 denies"},
    {"Is parking allowed?", "Isn't parking allowed?", CONFIRM_NEGATION, "n't"},
    {"can I enter with a card?", "can I enter without a card?", CONFIRM_NEGATION, "without"},
    {"100명 이상 회의", "100명 이하 회의", CONFIRM_OPPOSITE, "이상 and 이하"},
    {"퇴근 전에 할 일", "퇴근 후에 할 일", CONFIRM_OPPOSITE, "전 and 후"},
    {"오늘 점심 메뉴", "내일 점심 메뉴", CONFIRM_OPPOSITE, "오늘 and 내일"},
    {"국내 출장비", "해외 출장비", CONFIRM_OPPOSITE, "국내 and 해외"},
    {"maximum upload size", "minimum upload size", CONFIRM_OPPOSITE, "maximum and minimum"},
    {"서울에서 부산으로 가는 버스", "부산에서 서울로 가는 버스", CONFIRM_OPPOSITE, "roles exchanged"},
    {"회의는 언제 하나요?", "회의는 어디서 하나요?", CONFIRM_ASKED, "when and where"},
    {"참석자는 몇 명인가요?", "참석자는 몇 살인가요?", CONFIRM_ASKED, "how many, how old"},
    {"who approves travel?", "when is travel approved?", CONFIRM_ASKED, "who and when"},
    {"who approves travel", "when is travel approved", CONFIRM_ASKED, "the same without marks"},
    {"재무팀 연락처", "인사팀 연락처", CONFIRM_WORDS, "another team"},
    {"개가 공을 물고 있다", "고양이가 공을 물고 있다", CONFIRM_WORDS, "another animal"},
    {"서울 지점의 주소", "대전 지점의 주소", CONFIRM_WORDS, "another city"},
    {"what is the travel policy?", "what is the parking policy?", CONFIRM_WORDS, "another policy"},
    {"남자와 여자가 걷는다", "여자와 여자가 걷는다", ANY_NO, "a counterpart is used once"},
    {"여자친구가 남자도 만난다", "남자친구가 여자도 만난다", CONFIRM_OPPOSITE, "poles exchanged"},
    {"인도 총리의 이름", "인도네시아 총리의 이름", CONFIRM_WORDS, "a word inside another"},
    {"한국은 한국 훈련에 참가한다", "미국은 한국 훈련에 참가한다", CONFIRM_WORDS, "a name that comes twice"},
    {"축구경기는 언제 하나요?", "야구경기는 언제 하나요?", CONFIRM_WORDS, "words that only end alike"},
    {"회의실 예약 방법 알려줘", "회의실 예약 취소 방법 알려줘", CONFIRM_WORDS, "취소 is no detail"},
    {"교통 사고 신고 방법", "교통 사기 신고 방법", CONFIRM_WORDS, "nouns that look like verb forms"},
    {"날씨가 궁금합니다", "날씨가 궁금하지 않습니다", CONFIRM_NEGATION, "궁금합니다 does not forbid"},
    {"건조기 말고 세탁기로 세탁해줘", "세탁기 말고 건조기로 세탁해줘", CONFIRM_OPPOSITE, "the other one not"},
    {"부서 회의는 언제 하나요?", "부서 회의에서 뭘 하나요?", CONFIRM_ASKED, "when and what"},
    {"", "휴가 규정", ANY_NO, "nothing asked"},
};
/* clang-format on */

static struct analyzer *open_analyzer(void)
{
    struct analyzer *analyzer;
    assert_int_equal(analyzer_open(NULL, &analyzer, NULL), RAG_OK);
    return analyzer;
}

static size_t wrong(const struct row *rows, size_t n)
{
    struct analyzer *analyzer = open_analyzer();
    size_t n_wrong = 0;

    for (size_t i = 0; i < 2 * n; i++) {
        const struct row *r = &rows[i / 2];
        bool turned = i % 2 == 1;
        enum confirm_reason reason =
            confirm_words(analyzer, turned ? r->b : r->a, turned ? r->a : r->b);

        if (reason == r->reason || (r->reason == ANY_NO && reason != CONFIRM_YES))
            continue;
        print_error("%s: '%s' and '%s': %s, not %s\n", r->why, r->a, r->b,
                    confirm_reason_name(reason), confirm_reason_name(r->reason));
        n_wrong++;
    }
    analyzer_close(analyzer);
    return n_wrong;
}

static void test_same(void **state)
{
    (void)state;
    assert_int_equal(wrong(SAME, sizeof SAME / sizeof *SAME), 0);
}

static void test_different(void **state)
{
    (void)state;
    assert_int_equal(wrong(DIFFERENT, sizeof DIFFERENT / sizeof *DIFFERENT), 0);
}

/* What is longer than the bounds is not read further: no, unless it is the same text. */
static void test_bounds(void **state)
{
    struct analyzer *analyzer = open_analyzer();
    char *a = calloc(1, CONFIRM_BYTES_MAX + 200);
    char *b = calloc(1, CONFIRM_BYTES_MAX + 200);

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    for (size_t i = 0; i <= CONFIRM_WORDS_MAX; i++)
        strcat(a, "ab ");
    snprintf(b, CONFIRM_BYTES_MAX, "%s ab", a);
    assert_int_equal(confirm_words(analyzer, a, b), CONFIRM_WORDS);
    assert_int_equal(confirm_words(analyzer, a, a), CONFIRM_YES);
    a[0] = '\0';
    for (size_t i = 0; i <= CONFIRM_FACTS_MAX; i++)
        strcat(a, "7 ");
    snprintf(b, CONFIRM_BYTES_MAX, "%s 7", a);
    assert_int_equal(confirm_words(analyzer, a, b), CONFIRM_WORDS);
    memset(a, 'a', CONFIRM_BYTES_MAX + 1);
    memset(b, 'a', CONFIRM_BYTES_MAX + 2);
    assert_int_equal(confirm_words(analyzer, a, b), CONFIRM_WORDS);
    free(a);
    free(b);
    analyzer_close(analyzer);
}

static void test_names(void **state)
{
    (void)state;
    for (int i = CONFIRM_YES; i <= CONFIRM_PAIR; i++)
        assert_true(strlen(confirm_reason_name((enum confirm_reason)i)) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_different),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
