/* Goal: a threshold is called better when it is, by questions whose answer is there or not.
 * Method: relevances made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/splitmix.h"
#include "retrieve/gate_tune.h"

#define QUESTIONS 200
#define BOUND     0.05

static struct gate_tune_question questions[QUESTIONS];

/* Relevances spread evenly over what is given, from..to, with and without the answer. */
static void make(float with_from, float with_to, float without_from, float without_to)
{
    uint64_t random = 7;

    for (size_t i = 0; i < QUESTIONS; i++) {
        float a = (float)(splitmix_next(&random) % 1000) / 1000.0f;
        float b = (float)(splitmix_next(&random) % 1000) / 1000.0f;

        questions[i] = (struct gate_tune_question){
            .with = {.relevance = with_from + a * (with_to - with_from)},
            .without = {.relevance = without_from + b * (without_to - without_from)},
            .measures = i % 2,
        };
    }
}

static void rows(void **state)
{
    static const struct {
        const char *name;
        float with[2];
        float without[2];
        float present;
        float low; /* of the threshold that is to be chosen */
        float high;
        bool better;
    } table[] = {
        {"what lies apart is told apart",                          {.5f, 1}, {0, .4f},  .1f, .35f, .5f,  true },
        {"a threshold that is right already is no better",
         {.5f, 1},
         {0, .4f},
         .4f,                                                                                .35f,
         .5f,                                                                                            false},
        {"what is the same cannot be told apart by much",          {0, 1},   {0, 1},    0,   0,    .08f, false},
        {"one that refuses what is answered comes down",           {.2f, 1}, {0, .15f}, .6f, .1f,  .3f,  true },
        {"where nothing without an answer is found it stays at 0",
         {.5f, .5f},
         {1, 1},
         0,                                                                                  0,
         0,                                                                                              false},
    };

    (void)state;
    for (size_t r = 0; r < sizeof table / sizeof table[0]; r++) {
        struct gate_choice c;

        make(table[r].with[0], table[r].with[1], table[r].without[0], table[r].without[1]);
        assert_int_equal(gate_tune(questions, QUESTIONS, table[r].present, BOUND, &c, NULL),
                         RAG_OK);
        if (c.threshold < table[r].low || c.threshold > table[r].high)
            fail_msg("%s: threshold %.2f", table[r].name, (double)c.threshold);
        if (c.better != table[r].better)
            fail_msg("%s: better %d", table[r].name, c.better);
        if (c.learned.too_low > BOUND)
            fail_msg("%s: %.3f falsely refused", table[r].name, c.learned.too_low);
    }
}

static void what_the_threshold_does_not_decide_is_counted_as_it_was(void **state)
{
    struct gate_choice c;

    (void)state;
    make(.5f, 1, 0, .4f);
    for (size_t i = 0; i < QUESTIONS; i++) {
        questions[i].without = (struct gate_seen){.relevance = 1, .decided = true, .refused = true};
        questions[i].with.decided = true; /* passed, however small its relevance is */
        questions[i].with.relevance = 0;
    }
    assert_int_equal(gate_tune(questions, QUESTIONS, 0.2f, BOUND, &c, NULL), RAG_OK);
    assert_true(c.after.refused_without == 1.0 && c.before.refused_without == 1.0);
    assert_true(c.after.refused_with == 0.0 && c.threshold == 0.2f);
    assert_false(c.better);
}

static void what_holds_on_one_half_only_is_not_better(void **state)
{
    struct gate_choice c;

    (void)state;
    make(.5f, 1, 0, .4f);
    for (size_t i = 0; i < QUESTIONS; i++)
        if (questions[i].measures)
            questions[i].with.relevance = 0.1f; /* all of them would be refused falsely */
    assert_int_equal(gate_tune(questions, QUESTIONS, 0.05f, BOUND, &c, NULL), RAG_OK);
    assert_true(c.threshold > 0.3f && c.after.refused_with == 1.0);
    assert_false(c.better);
}

/* A gate that refuses a few falsely and most of what nothing answers, at the price of 3 a lower one
 * would be "better". */
static void what_nothing_answers_is_not_answered_for_fewer_false_refusals(void **state)
{
    struct gate_choice c;

    (void)state;
    make(.5f, 1, .5f, 1);
    for (size_t i = 0; i < QUESTIONS; i++) {
        if (i % 50 < 2) /* 4%, within the bound */
            questions[i].with.relevance = 0.1f;
        if (i % 20 < 2)
            questions[i].without.relevance = 0.1f; /* 10%: less than three times the 4% */
    }
    assert_int_equal(gate_tune(questions, QUESTIONS, 0.2f, BOUND, &c, NULL), RAG_OK);
    assert_true(c.kept_bound && c.threshold == 0.2f && !c.better);

    /* where almost nothing without its document was refused, what is mixed says it */
    make(.5f, 1, .5f, 1);
    for (size_t i = 0; i < QUESTIONS; i++) {
        if (i % 50 < 2)
            questions[i].with.relevance = 0.1f;
        questions[i].has_mixed = true;
        questions[i].mixed.relevance = 0.1f;
    }
    assert_int_equal(gate_tune(questions, QUESTIONS, 0.2f, BOUND, &c, NULL), RAG_OK);
    assert_true(c.threshold == 0.2f && !c.better && c.after.refused_mixed == 1.0);

    /* and where that is not so, it comes down */
    for (size_t i = 0; i < QUESTIONS; i++)
        questions[i].mixed.relevance = 0.9f;
    assert_int_equal(gate_tune(questions, QUESTIONS, 0.2f, BOUND, &c, NULL), RAG_OK);
    assert_true(c.threshold == 0.1f && c.better && !c.answers_more);
}

static void what_only_the_measuring_half_shows_is_not_installed_either(void **state)
{
    struct gate_choice c;

    (void)state;
    make(.5f, 1, .5f, 1);
    for (size_t i = 0; i < QUESTIONS; i++) {
        if (i % 50 < 2)
            questions[i].with.relevance = 0.1f;
        questions[i].has_mixed = true;
        questions[i].mixed.relevance = questions[i].measures ? 0.1f : 0.9f;
    }
    assert_int_equal(gate_tune(questions, QUESTIONS, 0.2f, BOUND, &c, NULL), RAG_OK);
    assert_true(c.threshold < 0.2f && c.answers_more && !c.better);
    assert_true(c.before.refused_mixed == 1.0 && c.after.refused_mixed == 0.0);
}

static void one_that_has_to_come_down_comes_no_further_than_it_must(void **state)
{
    struct gate_choice c;

    (void)state;
    make(.3f, 1, 0, 1);
    assert_int_equal(gate_tune(questions, QUESTIONS, 0.95f, BOUND, &c, NULL), RAG_OK);
    assert_true(!c.kept_bound && c.better && c.answers_more);
    assert_true(c.threshold >= 0.25f && c.threshold <= 0.4f);
    assert_true(c.after.refused_without > 0.2);
}

/* Names that are nowhere refuse 6% of what is answered, whatever the threshold is: to take it to 0
 * would help none of them. */
static void what_no_threshold_helps_takes_it_nowhere(void **state)
{
    struct gate_choice c;

    (void)state;
    make(.5f, 1, 0, .4f);
    for (size_t i = 0; i < QUESTIONS; i++)
        if (i % 34 < 2)
            questions[i].with = (struct gate_seen){.decided = true, .refused = true};
    assert_int_equal(gate_tune(questions, QUESTIONS, 0.45f, BOUND, &c, NULL), RAG_OK);
    assert_true(c.kept_bound && c.threshold == 0.45f && !c.better);
    assert_true(c.learned.refused_with > BOUND && c.learned.too_low == 0.0);
    assert_int_equal(gate_tune(questions, QUESTIONS, 0.9f, BOUND, &c, NULL), RAG_OK);
    assert_true(!c.kept_bound && c.threshold > 0.35f && c.threshold < 0.6f && c.better);
}

static void a_half_too_small_is_refused(void **state)
{
    struct gate_choice c;
    struct rag_error error;

    (void)state;
    make(.5f, 1, 0, .4f);
    assert_int_equal(gate_tune(questions, 39, 0.2f, BOUND, &c, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "20 questions to learn from and 19 to measure"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows),
        cmocka_unit_test(what_the_threshold_does_not_decide_is_counted_as_it_was),
        cmocka_unit_test(what_holds_on_one_half_only_is_not_better),
        cmocka_unit_test(what_nothing_answers_is_not_answered_for_fewer_false_refusals),
        cmocka_unit_test(what_only_the_measuring_half_shows_is_not_installed_either),
        cmocka_unit_test(one_that_has_to_come_down_comes_no_further_than_it_must),
        cmocka_unit_test(what_no_threshold_helps_takes_it_nowhere),
        cmocka_unit_test(a_half_too_small_is_refused),
    };

    return cmocka_run_group_tests_name("gate_tune", tests, NULL, NULL);
}
