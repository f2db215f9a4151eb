/* Goal: pooled vectors are the formulas of pooling.h, of length 1 after normalising, and nothing
 * that is not a number is let through. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "embed/pooling.h"

#define WIDE   1000 /* more columns than are summed at a time */
#define TOKENS 7

static void poolings_follow_their_formulas(void **state)
{
    static const struct {
        const char *name;
        enum pooling pooling;
        size_t n_tokens;
        float want[3];
    } rows[] = {
        {"the mean of three tokens",                 POOLING_MEAN, 3, {2.0f, 0.0f, -1.0f} },
        {"the mean of one is itself",                POOLING_MEAN, 1, {1.0f, -2.0f, -1.0f}},
        {"cls is the first token",                   POOLING_CLS,  3, {1.0f, -2.0f, -1.0f}},
        {"max takes each column by itself",          POOLING_MAX,  3, {4.0f, 2.0f, -0.5f} },
        {"max of negative values is no hidden zero", POOLING_MAX,  1, {1.0f, -2.0f, -1.0f}},
    };
    static const float states[] = {1, -2, -1, 4, 2, -0.5f, 1, 0, -1.5f};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        float v[3] = {NAN, NAN, NAN};

        pooling_apply(rows[i].pooling, states, rows[i].n_tokens, 3, v);
        for (size_t d = 0; d < 3; d++) {
            if (!(fabsf(v[d] - rows[i].want[d]) < 1e-7f))
                fail_msg("%s: [%zu] is %g", rows[i].name, d, (double)v[d]);
        }
    }
}

static void a_wide_mean_is_the_mean_of_every_column(void **state)
{
    float *states = malloc(sizeof *states * TOKENS * WIDE);
    float v[WIDE];

    (void)state;
    assert_non_null(states);
    for (size_t t = 0; t < TOKENS; t++)
        for (size_t d = 0; d < WIDE; d++)
            states[t * WIDE + d] = (float)d + (float)t - 3.0f;
    pooling_apply(POOLING_MEAN, states, TOKENS, WIDE, v);
    for (size_t d = 0; d < WIDE; d++)
        assert_true(fabsf(v[d] - (float)d) < 1e-4f);
    free(states);
}

static void a_normalised_vector_has_length_one(void **state)
{
    static const struct {
        const char *name;
        float v[3];
        enum rag_status want;
    } rows[] = {
        {"an ordinary vector",                {3.0f, 0.0f, -4.0f},     RAG_OK      },
        {"squares that would overflow float", {3e38f, -3e38f, 3e38f},  RAG_OK      },
        {"squares that would vanish",         {1e-30f, 1e-30f, 0.0f},  RAG_OK      },
        {"all zero has no direction",         {0.0f, -0.0f, 0.0f},     RAG_ENUMERIC},
        {"a NaN",                             {1.0f, NAN, 0.0f},       RAG_ENUMERIC},
        {"an infinity",                       {1.0f, -INFINITY, 0.0f}, RAG_ENUMERIC},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        float v[3] = {rows[i].v[0], rows[i].v[1], rows[i].v[2]};
        double length = 0.0;

        if (pooling_normalise(v, 3) != rows[i].want)
            fail_msg("%s: another status", rows[i].name);
        for (size_t d = 0; d < 3; d++)
            length += (double)v[d] * (double)v[d];
        if (rows[i].want == RAG_OK && !(fabs(length - 1.0) < 1e-6))
            fail_msg("%s: length %g", rows[i].name, length);
        if (rows[i].want != RAG_OK && v[0] != rows[i].v[0])
            fail_msg("%s: changed all the same", rows[i].name);
    }
}

static void poolings_have_names(void **state)
{
    static const char *const names[] = {"mean", "cls", "max"};
    enum pooling p = POOLING_MAX;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pooling_parse(names[i], &p), RAG_OK);
        assert_string_equal(pooling_name(p), names[i]);
    }
    assert_int_equal(pooling_parse("lasttoken", &p), RAG_EINVAL);
    assert_int_equal(p, POOLING_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(poolings_follow_their_formulas),
        cmocka_unit_test(a_wide_mean_is_the_mean_of_every_column),
        cmocka_unit_test(a_normalised_vector_has_length_one),
        cmocka_unit_test(poolings_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
