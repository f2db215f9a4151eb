/* Goal: fused rankings follow the formulas of fusion.h in every corner: ties, empty lists, weights
 * of 0, a depth, equal scores; options that make no sense are refused, and no NaN comes out. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "retrieve/fusion.h"

#define N_MAX 6

struct fusion_case {
    const char *name;
    struct fusion_options options;
    size_t n[N_LISTS];
    struct ranked items[N_LISTS][N_MAX];
    size_t n_want;
    struct {
        uint64_t id;
        double score;
        uint32_t bm25;
        uint32_t dense;
    } want[N_MAX];
};

static const struct fusion_case cases[] = {
    {"two empty lists give an empty ranking",
     {FUSION_RRF, {1, 1}, 60, 0, 0},
     {0, 0},
     {{{0}}},
     0, {{0}}                                                                            },
    {"one empty list: the other decides",
     {FUSION_RRF, {1, 1}, 60, 0, 0},
     {2, 0},
     {{{9, 3.0f}, {4, 2.0f}}},
     2, {{9, 1.0 / 61, 1, 0}, {4, 1.0 / 62, 2, 0}}                                       },
    {"a passage of both lists adds up and rises",
     {FUSION_RRF, {1, 1}, 60, 0, 0},
     {3, 2},
     {{{1, 9.0f}, {2, 8.0f}, {3, 7.0f}}, {{3, 0.9f}, {4, 0.8f}}},
     4, {{3, 1.0 / 63 + 1.0 / 61, 3, 1},
      {1, 1.0 / 61, 1, 0},
      {2, 1.0 / 62, 2, 0},
      {4, 1.0 / 62, 0, 2}}                                                        },
    {"equal sums rank the smaller id first",
     {FUSION_RRF, {1, 1}, 60, 0, 0},
     {2, 2},
     {{{7, 9.0f}, {5, 8.0f}}, {{5, 0.9f}, {7, 0.8f}}},
     2, {{5, 1.0 / 61 + 1.0 / 62, 2, 1}, {7, 1.0 / 61 + 1.0 / 62, 1, 2}}                 },
    {"weights scale each list",
     {FUSION_RRF, {0.25f, 2.0f}, 10, 0, 0},
     {1, 1},
     {{{1, 9.0f}}, {{2, 0.1f}}},
     2, {{2, 2.0 / 11, 0, 1}, {1, 0.25 / 11, 1, 0}}                                      },
    {"a list of weight 0 adds no passage, but its ranks are told",
     {FUSION_RRF, {1, 0}, 60, 0, 0},
     {1, 2},
     {{{2, 5.0f}}, {{1, 0.9f}, {2, 0.8f}}},
     1, {{2, 1.0 / 61, 1, 2}}                                                            },
    {"what lies below the depth is not looked at",
     {FUSION_RRF, {1, 1}, 60, 1, 0},
     {2, 2},
     {{{1, 9.0f}, {2, 8.0f}}, {{3, 0.9f}, {1, 0.8f}}},
     2, {{1, 1.0 / 61, 1, 0}, {3, 1.0 / 61, 0, 1}}                                       },
    {"a small k makes the first rank weigh more",
     {FUSION_RRF, {1, 1}, 0.5f, 0, 0},
     {2, 2},
     {{{1, 9.0f}, {2, 8.0f}}, {{3, 9.0f}, {2, 8.0f}}},
     3, {{2, 2 / 2.5, 2, 2}, {1, 1 / 1.5, 1, 0}, {3, 1 / 1.5, 0, 1}}                     },
    {"convex: scores are brought to 0..1 and weights to a sum of 1",
     {FUSION_CONVEX, {3, 1}, 60, 0, 0},
     {3, 2},
     {{{1, 30.0f}, {2, 20.0f}, {3, 10.0f}}, {{2, 0.9f}, {4, 0.5f}}},
     4, {{1, 0.75, 1, 0}, {2, 0.75 * 0.5 + 0.25, 2, 1}, {3, 0.0, 3, 0}, {4, 0.0, 0, 2}}  },
    {"convex: a list of one passage gives it the full weight",
     {FUSION_CONVEX, {1, 1}, 60, 0, 0},
     {1, 1},
     {{{1, -3.0f}}, {{2, 0.1f}}},
     2, {{1, 0.5, 1, 0}, {2, 0.5, 0, 1}}                                                 },
    {"convex: equal scores all count as 1",
     {FUSION_CONVEX, {1, 0}, 60, 0, 0},
     {3, 0},
     {{{3, 2.0f}, {2, 2.0f}, {1, 2.0f}}},
     3, {{1, 1.0, 3, 0}, {2, 1.0, 2, 0}, {3, 1.0, 1, 0}}                                 },
    {"convex: the largest floats do not overflow",
     {FUSION_CONVEX, {1, 1}, 60, 0, 0},
     {2, 0},
     {{{1, 3.4e38f}, {2, -3.4e38f}}},
     2, {{1, 0.5, 1, 0}, {2, 0.0, 2, 0}}                                                 },
    {"convex needs no k",
     {FUSION_CONVEX, {1, 1}, 0, 0, 0},
     {1, 0},
     {{{1, 2.0f}}},
     1, {{1, 0.5, 1, 0}}                                                                 },
    {"scaled: BM25 in parts of its first, cosines by how far above the least",
     {FUSION_SCALED, {3, 1}, 60, 0, 0},
     {3, 2},
     {{{1, 30.0f}, {2, 20.0f}, {3, 15.0f}}, {{2, 0.75f}, {4, 0.5f}}},
     4, {{1, 0.75, 1, 0}, {2, 0.5 + 0.25 * 0.25, 2, 1}, {3, 0.375, 3, 0}, {4, 0.0, 0, 2}}},
    {"scaled: without words the vectors have their weight",
     {FUSION_SCALED, {1, 1}, 60, 0, 0},
     {0, 2},
     {{{0, 0.0f}}, {{2, 0.625f}, {4, 0.5f}}},
     2, {{2, 0.5 * 0.125 / 0.2, 0, 1}, {4, 0.0, 0, 2}}                                   },
    {"scaled: words that weigh nothing leave the order to the vectors",
     {FUSION_SCALED, {1, 1}, 60, 0, 0},
     {2, 2},
     {{{1, 0.0f}, {2, 0.0f}}, {{2, 0.75f}, {1, 0.5f}}},
     2, {{2, 1.0, 2, 1}, {1, 0.5, 1, 2}}                                                 },
    {"scaled: a passage that alone has the word is first, however near others are",
     {FUSION_SCALED, {1, 1}, 60, 0, 0},
     {1, 3},
     {{{7, 0.5f}}, {{2, 0.9f}, {3, 0.8f}, {7, 0.1f}}},
     3, {{7, 0.5, 1, 3}, {2, 0.5, 0, 1}, {3, 0.5 * 0.875, 0, 2}}                         },
    {"scaled: a tenth of nothing hushes the vectors, and loses no passage",
     {FUSION_SCALED, {1, 1}, 60, 0, 0},
     {2, 2},
     {{{1, 2.0f}, {4, 0.0f}}, {{2, 0.75f}, {3, 0.5f}}},
     4, {{1, 0.5, 1, 0}, {2, 0.005, 0, 1}, {4, 0.0, 2, 0}, {3, 0.0, 0, 2}}               },
    {"scaled: half a doubt takes half of the words' weight, and half of what hushes the vectors",
     {FUSION_SCALED, {1, 1}, 60, 0, 0.5f},
     {2, 2},
     {{{1, 2.0f}, {4, 1.0f}}, {{2, 0.75f}, {3, 0.5f}}},
     4, {{2, 0.5 * 0.625, 0, 1}, {1, 0.25, 1, 0}, {4, 0.125, 2, 0}, {3, 0.0, 0, 2}}      },
    {"scaled: words that are all doubt order nothing, but are there",
     {FUSION_SCALED, {1, 1}, 60, 0, 1.0f},
     {2, 2},
     {{{1, 2.0f}, {4, 1.0f}}, {{2, 0.75f}, {3, 0.5f}}},
     4, {{2, 0.5, 0, 1}, {1, 0.0, 1, 0}, {4, 0.0, 2, 0}, {3, 0.0, 0, 2}}                 },
    {"doubt is nothing to ranks",
     {FUSION_RRF, {1, 1}, 60, 0, 1.0f},
     {1, 0},
     {{{9, 3.0f}}},
     1, {{9, 1.0 / 61, 1, 0}}                                                            },
    {"scaled: one vector is as near as can be",
     {FUSION_SCALED, {1, 1}, 60, 0, 0},
     {0, 1},
     {{{0, 0.0f}}, {{2, 0.625f}}},
     1, {{2, 0.5, 0, 1}}                                                                 },
    {"an id that stands twice in a list counts once, at its best rank",
     {FUSION_RRF, {1, 1}, 60, 0, 0},
     {2, 0},
     {{{1, 9.0f}, {1, 8.0f}}},
     1, {{1, 1.0 / 61, 1, 0}}                                                            },
};

static void rankings_follow_the_formulas(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct fusion_case *c = &cases[i];
        struct ranked_list lists[N_LISTS];
        struct fused out[N_LISTS * N_MAX];
        size_t n = 99;

        for (size_t l = 0; l < N_LISTS; l++)
            lists[l] = (struct ranked_list){c->items[l], c->n[l]};
        assert_int_equal(fusion_rank(&c->options, lists, out, &n, NULL), RAG_OK);
        if (n != c->n_want)
            fail_msg("%s: %zu results, %zu expected", c->name, n, c->n_want);
        for (size_t k = 0; k < n; k++) {
            const struct fused *f = &out[k];

            if (f->id != c->want[k].id || !(fabs((double)f->score - c->want[k].score) < 1e-7) ||
                f->ranks[LIST_BM25] != c->want[k].bm25 || f->ranks[LIST_DENSE] != c->want[k].dense)
                fail_msg("%s: place %zu is id %u score %.9g ranks %u %u", c->name, k + 1,
                         (unsigned)f->id, (double)f->score, f->ranks[LIST_BM25],
                         f->ranks[LIST_DENSE]);
            for (size_t l = 0; l < N_LISTS; l++) {
                float want = f->ranks[l] ? c->items[l][f->ranks[l] - 1].score : 0.0f;

                assert_true(f->scores[l] == want);
            }
        }
    }
}

static void senseless_options_are_refused(void **state)
{
    static const struct {
        const char *why;
        struct fusion_options options;
        float score;
    } rows[] = {
        {"every weight is 0",       {FUSION_RRF, {0, 0}, 60, 0, 0},            1.0f    },
        {"a weight is negative",    {FUSION_RRF, {1, -1}, 60, 0, 0},           1.0f    },
        {"a weight is NaN",         {FUSION_RRF, {NAN, 1}, 60, 0, 0},          1.0f    },
        {"a weight is infinite",    {FUSION_CONVEX, {1, INFINITY}, 60, 0, 0},  1.0f    },
        {"k is 0",                  {FUSION_RRF, {1, 1}, 0, 0, 0},             1.0f    },
        {"k is NaN",                {FUSION_RRF, {1, 1}, NAN, 0, 0},           1.0f    },
        {"there is no such method", {(enum fusion_method)7, {1, 1}, 60, 0, 0}, 1.0f    },
        {"doubt is above 1",        {FUSION_SCALED, {1, 1}, 60, 0, 1.5f},      1.0f    },
        {"doubt is NaN",            {FUSION_SCALED, {1, 1}, 60, 0, NAN},       1.0f    },
        {"a score is NaN",          {FUSION_CONVEX, {1, 1}, 60, 0, 0},         NAN     },
        {"a score is infinite",     {FUSION_RRF, {1, 1}, 60, 0, 0},            INFINITY},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ranked item = {1, rows[i].score};
        const struct ranked_list lists[N_LISTS] = {
            {&item, 1},
            {NULL,  0}
        };
        struct rag_error error = {0};
        struct fused out[1];
        size_t n = 99;

        if (fusion_rank(&rows[i].options, lists, out, &n, &error) != RAG_EINVAL || n != 99 ||
            !strstr(error.text, "fusion"))
            fail_msg("accepted although %s", rows[i].why);
    }
}

static void methods_have_names(void **state)
{
    enum fusion_method method = FUSION_RRF;

    (void)state;
    assert_int_equal(fusion_method_parse("convex", &method), RAG_OK);
    assert_int_equal(method, FUSION_CONVEX);
    assert_string_equal(fusion_method_name(method), "convex");
    assert_int_equal(fusion_method_parse("scaled", &method), RAG_OK);
    assert_int_equal(method, FUSION_SCALED);
    assert_string_equal(fusion_method_name(method), "scaled");
    assert_int_equal(fusion_method_parse("rrf", &method), RAG_OK);
    assert_string_equal(fusion_method_name(method), "rrf");
    assert_int_equal(fusion_method_parse("RRF", &method), RAG_EINVAL);
    assert_int_equal(method, FUSION_RRF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rankings_follow_the_formulas),
        cmocka_unit_test(senseless_options_are_refused),
        cmocka_unit_test(methods_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
