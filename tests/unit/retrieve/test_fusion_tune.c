/* Goal: a fusion is chosen when it is better than its members and never when it is not.
 * Method: rankings made up so that the right choice is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/splitmix.h"
#include "retrieve/fusion_tune.h"

#define QUESTIONS 200
#define DEPTH     30

/* Chance in percent that a list has the gold passage first; else it is at a random place of the
 * list, or, 'lost' in percent, not in it at all. */
struct quality {
    unsigned first;
    unsigned lost;
};

static struct ranked items[QUESTIONS][N_LISTS][DEPTH];
static struct tune_question questions[QUESTIONS];

static void make_list(size_t q, int list, struct quality quality, uint64_t *random)
{
    size_t gold = splitmix_next(random) % 100 < quality.first ? 0 : splitmix_next(random) % DEPTH;
    bool lost = gold > 0 && splitmix_next(random) % 100 < quality.lost;

    for (size_t i = 0; i < DEPTH; i++) {
        items[q][list][i].id = 1000 + splitmix_next(random) % 1000000 * 32 + i;
        items[q][list][i].score = (float)(DEPTH - i) / DEPTH;
    }
    if (!lost)
        items[q][list][gold].id = questions[q].gold_first;
    questions[q].lists[list] = (struct ranked_list){items[q][list], DEPTH};
}

static void make(struct quality bm25, struct quality dense, uint64_t seed)
{
    for (size_t q = 0; q < QUESTIONS; q++) {
        questions[q].gold_first = questions[q].gold_last = q + 1;
        make_list(q, LIST_BM25, bm25, &seed);
        make_list(q, LIST_DENSE, dense, &seed);
    }
}

static void a_random_list_is_left_out(void **state)
{
    struct fusion_choice c;

    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        make((struct quality){80, 50}, (struct quality){0, 97}, seed);
        assert_int_equal(fusion_tune(questions, QUESTIONS, &c, NULL), RAG_OK);
        assert_true(c.mrr_chosen >= c.mrr[LIST_BM25]);
        assert_false(c.fused);
        assert_true(c.options.weights[LIST_DENSE] == 0.0f);
        assert_true(c.options.weights[LIST_BM25] > 0.0f);
    }
}

static void two_good_lists_are_fused(void **state)
{
    struct fusion_choice c;

    (void)state;
    make((struct quality){50, 0}, (struct quality){50, 0}, 7);
    assert_int_equal(fusion_tune(questions, QUESTIONS, &c, NULL), RAG_OK);
    assert_true(c.fused);
    assert_true(c.p < FUSION_TUNE_P);
    assert_true(c.mrr_chosen > c.mrr[LIST_BM25] && c.mrr_chosen > c.mrr[LIST_DENSE]);
    assert_true(c.options.weights[LIST_BM25] > 0.0f && c.options.weights[LIST_DENSE] > 0.0f);
}

static void a_useless_bm25_leaves_the_dense_list(void **state)
{
    struct fusion_choice c;

    (void)state;
    make((struct quality){0, 100}, (struct quality){70, 30}, 3);
    assert_int_equal(fusion_tune(questions, QUESTIONS, &c, NULL), RAG_OK);
    assert_true(c.options.weights[LIST_DENSE] > 0.0f);
    assert_true(c.mrr_chosen >= c.mrr[LIST_DENSE]);
}

static void equal_lists_gain_nothing_and_bm25_stays(void **state)
{
    struct fusion_choice c;

    (void)state;
    make((struct quality){60, 50}, (struct quality){60, 50}, 5);
    for (size_t q = 0; q < QUESTIONS; q++)
        questions[q].lists[LIST_DENSE] = questions[q].lists[LIST_BM25];
    assert_int_equal(fusion_tune(questions, QUESTIONS, &c, NULL), RAG_OK);
    assert_false(c.fused);
    assert_true(c.gain == 0.0);
    assert_true(c.options.weights[LIST_DENSE] == 0.0f);
}

static void empty_lists_are_measured_as_nothing_found(void **state)
{
    struct fusion_choice c;

    (void)state;
    memset(questions, 0, sizeof questions);
    assert_int_equal(fusion_tune(questions, QUESTIONS, &c, NULL), RAG_OK);
    assert_true(c.mrr_chosen == 0.0);
    assert_false(c.fused);
}

static void the_first_of_several_right_passages_counts(void **state)
{
    struct fusion_choice c;

    (void)state;
    make((struct quality){100, 0}, (struct quality){100, 0}, 13);
    for (size_t q = 0; q < QUESTIONS; q++) {
        for (int list = 0; list < N_LISTS; list++) {
            items[q][list][0].id = q + 1000000000; /* wrong, the same in both */
            items[q][list][1].id = 2 * q + 2000000001;
            items[q][list][2].id = 2 * q + 2000000000;
        }
        questions[q].gold_first = 2 * q + 2000000000;
        questions[q].gold_last = 2 * q + 2000000001;
    }
    assert_int_equal(fusion_tune(questions, QUESTIONS, &c, NULL), RAG_OK);
    assert_true(c.mrr[LIST_BM25] == 0.5 && c.mrr[LIST_DENSE] == 0.5 && c.mrr_tried == 0.5);
}

static void too_few_questions_are_refused(void **state)
{
    struct fusion_choice c;
    struct rag_error error;

    (void)state;
    assert_int_equal(fusion_tune(questions, FUSION_TUNE_QUESTIONS_MIN - 1, &c, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "19 questions, at least 20"));
}

static void the_same_questions_give_the_same_choice(void **state)
{
    struct fusion_choice a;
    struct fusion_choice b;

    (void)state;
    make((struct quality){50, 10}, (struct quality){40, 20}, 11);
    assert_int_equal(fusion_tune(questions, QUESTIONS, &a, NULL), RAG_OK);
    assert_int_equal(fusion_tune(questions, QUESTIONS, &b, NULL), RAG_OK);
    assert_true(a.p == b.p && a.mrr_chosen == b.mrr_chosen && a.options.method == b.options.method);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_random_list_is_left_out),
        cmocka_unit_test(two_good_lists_are_fused),
        cmocka_unit_test(a_useless_bm25_leaves_the_dense_list),
        cmocka_unit_test(equal_lists_gain_nothing_and_bm25_stays),
        cmocka_unit_test(empty_lists_are_measured_as_nothing_found),
        cmocka_unit_test(the_first_of_several_right_passages_counts),
        cmocka_unit_test(too_few_questions_are_refused),
        cmocka_unit_test(the_same_questions_give_the_same_choice),
    };

    return cmocka_run_group_tests_name("fusion_tune", tests, NULL, NULL);
}
