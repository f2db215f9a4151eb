/* The mean of paired differences and its interval. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/paired.h"

static void rows(void **state)
{
    static const struct {
        const char *name;
        double differences[5];
        size_t n;
        double mean;
        double half;
    } table[] = {
        {"nothing says nothing",                        {0},             0, 0.0, 0.0   },
        {"of one difference no spread is known",        {0.5},           1, 0.5, 0.0   },
        {"equal differences have no spread",            {.25, .25, .25}, 3, .25, 0.0   },
 /* sd = 1: 1.959964 / sqrt(3) */
        {"the interval is 1.96 standard errors a side", {0, 1, 2},       3, 1.0, 1.1316},
        {"what cancels out is zero",                    {1, -1, 1, -1},  4, 0.0, 1.1316},
    };

    (void)state;
    for (size_t r = 0; r < sizeof table / sizeof table[0]; r++) {
        struct paired_sum sum = {0};
        struct paired p;

        for (size_t i = 0; i < table[r].n; i++)
            paired_add(&sum, table[r].differences[i]);
        p = paired_interval(&sum);
        if (p.n != table[r].n)
            fail_msg("%s", table[r].name);
        assert_true(fabs(p.mean - table[r].mean) < 1e-9);
        assert_true(fabs(p.high - p.mean - table[r].half) < 1e-4);
        assert_true(fabs(p.mean - p.low - table[r].half) < 1e-4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows)};

    return cmocka_run_group_tests_name("paired", tests, NULL, NULL);
}
