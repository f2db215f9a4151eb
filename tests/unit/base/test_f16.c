/* Goal: f16.h converts as IEEE 754 says. Method: rows for the edges, and every half there is: it
 * round trips, what lies halfway to its neighbour goes to the even one, and what lies beside the
 * middle goes to the nearer one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/f16.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct row {
    const char *name;
    float value;
    uint16_t half;
} rows[] = {
    {"zero",                                       0.0f,            0x0000},
    {"minus zero keeps its sign",                  -0.0f,           0x8000},
    {"one",                                        1.0f,            0x3C00},
    {"minus two",                                  -2.0f,           0xC000},
    {"a third",                                    1.0f / 3.0f,     0x3555},
    {"largest half",                               65504.0f,        0x7BFF},
    {"just below the middle to infinity",          65519.996f,      0x7BFF},
    {"the middle to infinity rounds to infinity",  65520.0f,        0x7C00},
    {"a large float",                              1e30f,           0x7C00},
    {"minus infinity",                             -INFINITY,       0xFC00},
    {"smallest normal half",                       0x1p-14f,        0x0400},
    {"largest subnormal half",                     0x1.ff8p-15f,    0x03FF},
    {"rounds up into the normal ones",             0x1.fffp-15f,    0x0400},
    {"smallest subnormal half",                    0x1p-24f,        0x0001},
    {"half of the smallest ties to zero",          0x1p-25f,        0x0000},
    {"a little more than half of the smallest",    0x1.000002p-25f, 0x0001},
    {"one and a half of the smallest ties to two", 0x1.8p-24f,      0x0002},
    {"a subnormal float is zero",                  -0x1p-140f,      0x8000},
    {"a carry through the whole mantissa",         0x1.ffep0f,      0x4000},
};

static void check_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (f16_from_f32(rows[i].value) != rows[i].half)
            fail_msg("%s: 0x%04x, expected 0x%04x", rows[i].name, f16_from_f32(rows[i].value),
                     rows[i].half);
}

static void nan_stays_nan(void **state)
{
    (void)state;
    assert_int_equal(f16_from_f32(NAN) & 0x7C00, 0x7C00);
    assert_true(f16_from_f32(NAN) & 0x3FF);
    assert_true(isnan(f16_to_f32(0x7E00)));
    assert_true(isnan(f16_to_f32(0x7C01)));
    assert_true(isinf(f16_to_f32(0xFC00)));
}

static void every_half_round_trips_and_middles_go_to_the_even_one(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7C00; h++) {
        float value = f16_to_f32((uint16_t)h);
        float middle;

        assert_int_equal(f16_from_f32(value), h);
        assert_int_equal(f16_from_f32(-value), h | 0x8000);
        if (h + 1 == 0x7C00)
            break;
        middle = (value + f16_to_f32((uint16_t)(h + 1))) / 2; /* exact in f32 */
        assert_int_equal(f16_from_f32(middle), h & 1 ? h + 1 : h);
        assert_int_equal(f16_from_f32(nextafterf(middle, 0.0f)), h);
        assert_int_equal(f16_from_f32(nextafterf(middle, 1e6f)), h + 1);
    }
}

static void rows_of_numbers_convert(void **state)
{
    static const float values[] = {0.5f, -0.25f, 3.0f};
    uint16_t halves[COUNT(values)];
    float back[COUNT(values)];

    (void)state;
    f16_encode(values, COUNT(values), halves);
    f16_decode(halves, COUNT(values), back);
    for (size_t i = 0; i < COUNT(values); i++)
        assert_true(back[i] == values[i]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_rows),
        cmocka_unit_test(nan_stays_nan),
        cmocka_unit_test(every_half_round_trips_and_middles_go_to_the_even_one),
        cmocka_unit_test(rows_of_numbers_convert),
    };

    return cmocka_run_group_tests_name("f16", tests, NULL, NULL);
}
