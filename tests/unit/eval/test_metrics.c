/* Ranked-list figures against values worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "eval/latency.h"
#include "eval/metrics.h"

static const struct {
    const char *name;
    uint32_t ranks[4];
    size_t n_relevant;
    double hits[5]; /* at 1, 3, 5, 10, 20 */
    double mrr;
    double ndcg;
} rows[] = {
    {"first",                                                  {1},              1, {1, 1, 1, 1, 1}, 1.0,        1.0       },
    {"second: 1/log2(3)",                                      {2},              1, {0, 1, 1, 1, 1}, 0.5,        0.63092975},
    {"third: 1/log2(4)",                                       {3},              1, {0, 1, 1, 1, 1}, 0.33333333, 0.5       },
    {"fourth is outside three: 1/log2(5)",                     {4},              1, {0, 0, 1, 1, 1}, 0.25,       0.43067656},
    {"fifth is inside five: 1/log2(6)",                        {5},              1, {0, 0, 1, 1, 1}, 0.2,        0.38685281},
    {"sixth is not",                                           {6},              1, {0, 0, 0, 1, 1}, 0.16666667, 0.35620719},
    {"tenth still counts: 1/log2(11)",                         {10},             1, {0, 0, 0, 1, 1}, 0.1,        0.28906483},
    {"eleventh counts for hit@20 alone",                       {11},             1, {0, 0, 0, 0, 1}, 0.0,        0.0       },
    {"twentieth",                                              {20},             1, {0, 0, 0, 0, 1}, 0.0,        0.0       },
    {"past twenty",                                            {21},             1, {0, 0, 0, 0, 0}, 0.0,        0.0       },
    {"not found",                                              {RANK_NOT_FOUND}, 1, {0, 0, 0, 0, 0}, 0.0,        0.0       },
    {"two relevant at 1 and 3: (1 + 1/2) / (1 + 1/log2 3)",
     {3, 1},
     2,                                                                             {1, 1, 1, 1, 1},
     1.0,                                                                                                        0.91972079},
    {"two relevant, one missing: (1/log2 3) / (1 + 1/log2 3)",
     {RANK_NOT_FOUND, 2},
     2,                                                                             {0, 1, 1, 1, 1},
     0.5,                                                                                                        0.38685281},
};

static void near(double got, double want, const char *name, const char *figure)
{
    if (fabs(got - want) > 5e-8)
        fail_msg("%s: %s is %.9f, not %.9f", name, figure, got, want);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stage_quality sum = {0};
        struct stage_quality q;

        stage_quality_add(&sum, rows[i].ranks, NULL, rows[i].n_relevant);
        q = stage_quality_mean(&sum);
        near(q.hit_at_1, rows[i].hits[0], rows[i].name, "hit@1");
        near(q.hit_at_3, rows[i].hits[1], rows[i].name, "hit@3");
        near(q.hit_at_5, rows[i].hits[2], rows[i].name, "hit@5");
        near(q.hit_at_10, rows[i].hits[3], rows[i].name, "hit@10");
        near(q.hit_at_20, rows[i].hits[4], rows[i].name, "hit@20");
        near(q.mrr_at_10, rows[i].mrr, rows[i].name, "MRR@10");
        near(q.ndcg_at_10, rows[i].ndcg, rows[i].name, "nDCG@10");
    }
}

/* Two documents of grade 3 and 1 at ranks 2 and 1: (1 + 3/log2 3) / (3 + 1/log2 3). */
static void test_grades_are_gains(void **state)
{
    static const uint32_t ranks[] = {2, 1};
    static const float gains[] = {3, 1};
    struct stage_quality sum = {0};

    (void)state;
    stage_quality_add(&sum, ranks, gains, 2);
    near(sum.ndcg_at_10, 0.79670757, "grades", "nDCG@10");
    near(sum.mrr_at_10, 1.0, "grades", "MRR@10");
}

static void test_means(void **state)
{
    const uint32_t ranks[] = {1, 2, RANK_NOT_FOUND, 4};
    struct stage_quality sum = {0};
    struct stage_quality q;

    (void)state;
    q = stage_quality_mean(&sum);
    assert_true(q.n == 0 && q.hit_at_1 <= 0.0);
    for (size_t i = 0; i < 4; i++)
        stage_quality_add(&sum, &ranks[i], NULL, 1);
    q = stage_quality_mean(&sum);
    assert_int_equal(q.n, 4);
    near(q.hit_at_1, 0.25, "means", "hit@1");
    near(q.hit_at_3, 0.5, "means", "hit@3");
    near(q.hit_at_5, 0.75, "means", "hit@5");
    near(q.mrr_at_10, (1.0 + 0.5 + 0.25) / 4, "means", "MRR@10");
    near(metrics_share(3, 4), 0.75, "means", "share");
    assert_true(isnan(metrics_share(0, 0)));
}

static void test_percentiles(void **state)
{
    struct latency l = {0};

    (void)state;
    assert_true(latency_percentile(&l, 50) <= 0.0);
    for (int i = 100; i >= 1; i--)
        assert_int_equal(latency_add(&l, i), RAG_OK);
    latency_sort(&l);
    near(latency_percentile(&l, 50), 50, "1..100", "p50");
    near(latency_percentile(&l, 95), 95, "1..100", "p95");
    near(latency_percentile(&l, 99), 99, "1..100", "p99");
    near(latency_percentile(&l, 100), 100, "1..100", "p100");
    latency_release(&l);
    assert_int_equal(latency_add(&l, 7.5), RAG_OK);
    latency_sort(&l);
    near(latency_percentile(&l, 50), 7.5, "one sample", "p50");
    near(latency_percentile(&l, 99), 7.5, "one sample", "p99");
    assert_int_equal(latency_add(&l, (double)NAN), RAG_OK);
    latency_sort(&l);
    near(latency_percentile(&l, 50), 0.0, "no number counts as nothing", "p50");
    latency_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows), cmocka_unit_test(test_grades_are_gains),
        cmocka_unit_test(test_means), cmocka_unit_test(test_percentiles)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
