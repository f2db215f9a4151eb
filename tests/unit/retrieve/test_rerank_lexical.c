/* The head of a ranking, reordered by reading it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/bounds.h"
#include "retrieve/rerank_lexical.h"

#define PASSAGES 4

struct row {
    const char *name;
    const char *question;
    struct {
        const char *title;
        const char *text;
        float bm25;
    } passages[PASSAGES];
    size_t first; /* index of the one that should lead */
};

static const struct row rows[] = {
    {"one sentence that holds the question beats the same words strewn about",
     "태풍 매미의 최대 풍속은?",       {{"",
       "태풍은 바다에서 생긴다. 매미는 여름에 운다. 이 곡의 최대 강점은 여기에 있다. 풍속은 "
       "다르다.",
       6},
      {"", "태풍 매미의 최대 풍속은 초속 60미터였다. 피해가 컸다.", 6}},
     1},
    {"words side by side beat the same words apart",
     "서울 시청 주소",                     {{"", "서울에 오면 누구나 들르는 곳으로 이름난 시청 앞 광장의 옛 사진과 오래된 주소", 4},
      {"", "서울 시청 주소는 세종대로이다", 4}},
     1},
    {"the title speaks for its sentences",
     "금강산의 높이는?",                  {{"설악산", "높이는 1708미터이다.", 3}, {"금강산", "높이는 1638미터이다.", 3}},
     1},
    {"a date is asked for and said",
     "회사 창립 기념일은 언제인가?", {{"", "회사 창립 기념일은 모두가 쉰다.", 4}, {"", "회사 창립 기념일은 5월 2일이다.", 4}},
     1},
    {"a count in the unit that is asked for",
     "수습 직원은 몇 명인가?",          {{"", "수습 직원은 3개월 동안 배운다.", 4}, {"", "수습 직원은 모두 12명이다.", 4}},
     1},
    {"equal passages keep their order",
     "금강산",                                {{"", "금강산", 2}, {"", "금강산", 2}, {"", "금강산", 2}},
     0},
    {"a much better bm25 score is not thrown away",
     "환불 규정",                            {{"", "환불은 규정에 따라 칠 일 안에 된다.", 8}, {"", "환불", 1}},
     0},
};

static size_t load(const struct row *row, struct passage *ret)
{
    size_t n = 0;

    memset(ret, 0, PASSAGES * sizeof *ret);
    for (; n < PASSAGES && row->passages[n].text; n++) {
        ret[n] = (struct passage){.id = n,
                                  .document = "",
                                  .title = row->passages[n].title,
                                  .heading = "",
                                  .context = "",
                                  .text = row->passages[n].text,
                                  .text_bytes = strlen(row->passages[n].text),
                                  .bm25_score = row->passages[n].bm25,
                                  .bm25_rank = (uint32_t)n + 1};
    }
    return n;
}

static void rerank(const char *text, struct passage *passages, size_t n)
{
    float idf[QUERY_TERMS_MAX];
    struct term_list terms = {0};
    struct question question = {0};
    struct analyzer *a = NULL;
    struct lexical_query query = {
        .text = text, .n_bytes = strlen(text), .terms = &terms, .idf = idf, .question = &question};

    assert_int_equal(analyzer_open(NULL, &a, NULL), RAG_OK);
    query.analyzer = a;
    question_analyze(text, strlen(text), &question);
    assert_int_equal(analyzer_question(a, text, strlen(text), &terms), RAG_OK);
    for (size_t i = 0; i < terms.n; i++)
        idf[i] = 3;
    assert_int_equal(rerank_lexical(&query, &LEXICAL_WEIGHTS_DEFAULT, passages, n), RAG_OK);
    term_list_release(&terms);
    analyzer_close(a);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct passage passages[PASSAGES];
        size_t n = load(&rows[r], passages);

        rerank(rows[r].question, passages, n);
        if (passages[0].id != rows[r].first)
            fail_msg("%s: passage %zu leads", rows[r].name, (size_t)passages[0].id);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(passages[i].final_rank, i + 1);
            assert_true(passages[i].rerank_score >= 0 && passages[i].rerank_score <= 1);
            assert_true(i == 0 || passages[i].rerank_score <= passages[i - 1].rerank_score);
        }
    }
}

/* Where in a passage's text the words were found: what a window of it is made around. */
static const struct {
    const char *name;
    const char *question;
    const char *title;
    const char *text;
    const char *sentence; /* that has them; "": nowhere */
} place_rows[] = {
    {"the sentence with most of the words", "매미의 최대 풍속은?", "",
     "태풍은 바다에서 생긴다. 매미의 최대 풍속은 초속 60미터였다. 매미는 여름에 운다.",
     "매미의 최대 풍속은 초속 60미터였다."                                                                                       },
    {"the first of two that are equal",     "매미",                      "",       "매미는 운다. 매미는 난다.", "매미는 운다."},
    {"none of them",                        "화성 탐사선",            "",       "매미는 여름에 운다.",         ""                 },
    {"in the title alone",                  "매미",                      "매미", "여름에 운다.",                   ""                 },
};

static void test_place_of_the_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof place_rows / sizeof place_rows[0]; i++) {
        const char *text = place_rows[i].text;
        size_t at = (size_t)(strstr(text, place_rows[i].sentence) - text);
        size_t n = strlen(place_rows[i].sentence);
        struct passage p = {.title = place_rows[i].title,
                            .heading = "",
                            .context = "",
                            .text = text,
                            .text_bytes = strlen(text),
                            .bm25_score = 1};

        rerank(place_rows[i].question, &p, 1);
        if ((p.words.start < p.words.end) != (n > 0) ||
            (n > 0 && (p.words.start < at || p.words.end > at + n)))
            fail_msg("%s: bytes %u to %u", place_rows[i].name, p.words.start, p.words.end);
    }
}

static void test_scores_compare_between_questions(void **state)
{
    struct passage answered = {.title = "",
                               .heading = "",
                               .text = "연차 휴가는 15일이다.",
                               .text_bytes = strlen("연차 휴가는 15일이다."),
                               .bm25_score = 4};
    struct passage unrelated = answered;

    (void)state;
    rerank("연차 휴가는 며칠인가?", &answered, 1);
    unrelated.bm25_score = 0.5f;
    rerank("화성 탐사선의 연차 보고서를 누가 언제 어디에서 처음 발표했나?", &unrelated, 1);
    assert_true(answered.rerank_score > 2 * unrelated.rerank_score);
}

/* A head of eight: passage 1, or 1 and 8, has words of the question; 2 is nearest, then 3, ...; 8
 * and 1 are least near. */
static const struct {
    const char *name;
    struct fusion_options fusion;
    float window; /* what the best of them holds of the question */
    bool two;
    uint64_t want[8];
} fuse_rows[] = {
    {"words that hold the question lead",
     {.method = FUSION_SCALED, .weights = {1, 1}},
     FUSION_HELD,        false,
     {1, 2, 3, 4, 5, 6, 7, 8}                           },
    {"words that hold little of it are third at least",
     {.method = FUSION_SCALED, .weights = {1, 1}},
     0.1f,               false,
     {2, 3, 1, 4, 5, 6, 7, 8}                           },
    {"even those that hold nothing",
     {.method = FUSION_SCALED, .weights = {1, 1}},
     0.0f,               false,
     {2, 3, 1, 4, 5, 6, 7, 8}                           },
    {"a tenth of a doubt: between",
     {.method = FUSION_SCALED, .weights = {1, 1}},
     FUSION_HELD * 0.9f,
     false,                     {2, 1, 3, 4, 5, 6, 7, 8}},
    {"the second by words is sixth at least",
     {.method = FUSION_SCALED, .weights = {1, 1}},
     0.1f,               true,
     {2, 3, 1, 4, 5, 8, 6, 7}                           },
    {"words of weight 0 are lifted nowhere",
     {.method = FUSION_SCALED, .weights = {0, 1}},
     0.1f,               false,
     {2, 3, 4, 5, 6, 7, 8, 1}                           },
    {"convex knows no doubt",
     {.method = FUSION_CONVEX, .weights = {1, 1}},
     0.0f,               false,
     {1, 2, 3, 4, 5, 6, 7, 8}                           },
};

static void test_doubt_of_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fuse_rows / sizeof fuse_rows[0]; i++) {
        struct passage head[8];
        struct fused fused[16];
        size_t n = 0;

        for (uint32_t k = 0; k < 8; k++)
            head[k] = (struct passage){.id = k + 1,
                                       .dense_rank = k ? k : 8,
                                       .dense_score = k ? 0.9f - 0.1f * (float)k : 0.1f};
        head[0].bm25_rank = 1;
        head[0].rerank_score = 0.3f;
        head[0].words = (struct lexical_evidence){.window = fuse_rows[i].window, .read = true};
        if (fuse_rows[i].two) { /* heads come in the order by words */
            struct passage second = head[7];

            second.bm25_rank = 2;
            second.rerank_score = 0.2f;
            memmove(head + 2, head + 1, 6 * sizeof head[0]);
            head[1] = second;
        }
        assert_int_equal(rerank_fuse(&fuse_rows[i].fusion, head, 8, fused, &n, NULL, NULL), RAG_OK);
        assert_int_equal(n, 8);
        for (size_t k = 0; k < n; k++) {
            if (fused[k].id != fuse_rows[i].want[k])
                fail_msg("%s: place %zu is %u", fuse_rows[i].name, k + 1, (unsigned)fused[k].id);
            assert_true(k == 0 || fused[k].score <= fused[k - 1].score);
        }
    }
}

static void test_nothing_to_do(void **state)
{
    struct passage passage = {
        .title = "", .heading = "", .text = "", .text_bytes = 0, .bm25_score = 1};

    (void)state;
    rerank("질문", NULL, 0);
    rerank("?", &passage, 1);
    assert_float_equal(passage.rerank_score, 0, 1e-6);
    assert_int_equal(passage.final_rank, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_place_of_the_words),
        cmocka_unit_test(test_scores_compare_between_questions),
        cmocka_unit_test(test_doubt_of_words),
        cmocka_unit_test(test_nothing_to_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
