/* What reports of false hits do to the threshold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/bounds.h"
#include "cache/threshold.h"

#define N_MAX 3000

#define CONFIGURED 0.8

struct reports {
    unsigned n; /* times */
    float similarity;
    bool correct;
};
struct row {
    double bound;
    double low; /* the threshold lies within [low, high] */
    double high;
    struct reports reports[2];
    const char *name;
};

/* clang-format off */
static const struct row ROWS[] = {
    {0.02, 0.8, 0.8, {{0}},
     "nobody reported anything: the prior allows the configured one"},
    {0.001, 1.1, INFINITY, {{0}},
     "a bound below what the prior shows allows nothing"},
    {0.01, 0.85, 0.85, {{0}},
     "a smaller bound begins at the similarity that the prior allows it from"},
    {0.004, 0.85, 0.85, {{800, 0.9f, true}},
     "correct reports outnumber the prior and make a smaller bound possible"},
    {1, 0.8, 0.8, {{900, 0.9f, false}},
     "a bound of 1 allows everything"},
    {0, 1.1, INFINITY, {{900, 0.9f, true}},
     "a bound of 0 allows nothing"},
    {0.02, 0.8, 0.8, {{1, 0.85f, false}},
     "one false report leaves a bound of 2% alone"},
    {0.02, 0.85, 0.85, {{5, 0.82f, false}, {3, 0.9f, false}},
     "eight of them pass it, and the threshold goes above the lowest ones"},
    {0.02, 0.9, 0.9001, {{60, 0.9f, false}},
     "when all of many false ones are equally similar it goes just above them"},
    {0.02, 0.8, 0.8, {{60, 0.7f, false}},
     "reports below the configured threshold say nothing about it"},
    {0.02, 0.8, 0.8, {{10, 0.85f, false}, {900, 0.85f, true}},
     "correct reports at the same similarity make up for false ones"},
    {0.02, 1.0000001, 1.0001, {{60, 1.0f, false}},
     "those at a similarity of 1 are passed as well: nothing is left"},
    {0.02, 0.8, 0.8, {{60, NAN, false}},
     "a similarity that is no number is not counted"},
};
/* clang-format on */

static size_t spread(const struct row *r, struct threshold_observation *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < 2; i++)
        for (unsigned k = 0; k < r->reports[i].n; k++)
            ret[n++] =
                (struct threshold_observation){r->reports[i].similarity, r->reports[i].correct};
    return n;
}

static void test_learn(void **state)
{
    static struct threshold_observation list[N_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const struct row *r = &ROWS[i];
        size_t n = spread(r, list);
        double t = threshold_learn(list, n, CONFIGURED, r->bound);

        if (!(t >= r->low && t <= r->high))
            fail_msg("%s: %.9g, not within %g .. %g", r->name, t, r->low, r->high);
    }
}

/* Order does not matter as long as no report is dropped; old ones are. */
static void test_latest(void **state)
{
    static struct threshold_observation list[N_MAX];
    size_t n = CACHE_OBSERVATIONS_MAX;

    (void)state;
    for (size_t i = 0; i < n; i++)
        list[i] = (struct threshold_observation){0.8f + (float)(i % 16) / 100, i % 9 != 0};
    double t = threshold_learn(list, n, 0.8, 0.02);
    for (size_t i = 0; i < n / 2; i++) {
        struct threshold_observation o = list[i];
        list[i] = list[n - 1 - i];
        list[n - 1 - i] = o;
    }
    assert_true(threshold_learn(list, n, 0.8, 0.02) == t);
    assert_true(t > 0.8);
    /* As many correct ones after them, and the false ones are forgotten. */
    for (size_t i = 0; i < n; i++)
        list[n + i] = (struct threshold_observation){0.9f, true};
    assert_true(threshold_learn(list, 2 * n, 0.8, 0.02) == 0.8);
}

/* The bound of Clopper and Pearson in closed form: with no false one among n the upper limit at
 * confidence c is 1 - (1 - c)^(1/n). */
static void test_closed_form(void **state)
{
    (void)state;
    const struct threshold_prior *last = &THRESHOLD_PRIOR[THRESHOLD_PRIOR_ROWS - 1];
    assert_int_equal(last->n_false, 0);
    double limit = 1 - pow(1 - THRESHOLD_CONFIDENCE, 1.0 / last->n_hits);
    assert_true(threshold_learn(NULL, 0, last->similarity, limit * 1.001) == last->similarity);
    assert_true(threshold_learn(NULL, 0, last->similarity, limit * 0.999) > 1);
}

static void test_entry(void **state)
{
    const struct threshold_observation list[] = {
        {0.9f,  true },
        {0.86f, false},
        {0.83f, false},
        {0.95f, true }
    };

    (void)state;
    assert_true(threshold_of_entry(NULL, 0, 0.8) == 0.8);
    assert_true(threshold_of_entry(list, 1, 0.8) == 0.8);
    double t = threshold_of_entry(list, 4, 0.8);
    assert_true(t > (double)0.86f && t < 0.8601);
    assert_true(threshold_of_entry(list, 4, 0.97) == 0.97);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learn),
        cmocka_unit_test(test_latest),
        cmocka_unit_test(test_closed_form),
        cmocka_unit_test(test_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
