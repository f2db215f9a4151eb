/* Every variant of the inner products against plain sums in double or 64-bit integers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/f16.h"
#include "store/vector_kernels.h"

#define N_MAX 8192

static float q32[N_MAX], x32[N_MAX + 1];
static uint16_t a16[N_MAX], x16[N_MAX + 1];
static int16_t q12[N_MAX];
static int8_t a8[N_MAX], x8[N_MAX + 1], low8[N_MAX];
static uint64_t seed = 1;

static int32_t random_in(int32_t low, int32_t high)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return low + (int32_t)((seed >> 33) % (uint64_t)(high - low + 1));
}

static void fill(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        q32[i] = (float)random_in(-100000, 100000) / 1e6f;
        x32[i] = (float)random_in(-100000, 100000) / 1e6f;
        a16[i] = f16_from_f32((float)random_in(-100000, 100000) / 1e6f);
        x16[i] = f16_from_f32(x32[i]);
        q12[i] = (int16_t)random_in(-VECTOR_QUERY_MAX, VECTOR_QUERY_MAX);
        a8[i] = (int8_t)random_in(-127, 127);
        x8[i] = (int8_t)random_in(-127, 127);
        low8[i] = (int8_t)random_in(-128, 127);
    }
}

static void assert_near(float got, double expected, double absolute, const char *variant,
                        const char *kernel, size_t n)
{
    if (fabs((double)got - expected) > absolute * 2e-6 + 1e-12)
        fail_msg("%s %s n %zu: %.9g, expected %.9g", variant, kernel, n, (double)got, expected);
}

static void check_floats(const struct vector_kernels *k, size_t n)
{
    double sums[4] = {0};
    double sizes[4] = {0};

    for (size_t i = 0; i < n; i++) {
        double a = (double)f16_to_f32(a16[i]);
        double x = (double)f16_to_f32(x16[i]);
        double terms[4] = {(double)q32[i] * (double)x32[i], (double)q32[i] * x, a * x,
                           (double)q32[i] * (256 * x8[i] + low8[i])};

        for (size_t j = 0; j < 4; j++) {
            sums[j] += terms[j];
            sizes[j] += fabs(terms[j]);
        }
    }
    assert_near(k->f32(q32, x32, n), sums[0], sizes[0], k->name, "f32", n);
    assert_near(k->f16(q32, x16, n), sums[1], sizes[1], k->name, "f16", n);
    assert_near(k->f16_f16(a16, x16, n), sums[2], sizes[2], k->name, "f16_f16", n);
    assert_near(k->i16(q32, x8, low8, n), sums[3], sizes[3], k->name, "i16", n);
}

static void check_integers(const struct vector_kernels *k, size_t n)
{
    int64_t asymmetric = 0;
    int64_t symmetric = 0;

    for (size_t i = 0; i < n; i++) {
        asymmetric += q12[i] * x8[i];
        symmetric += a8[i] * x8[i];
    }
    assert_int_equal(k->i8(q12, x8, n), asymmetric);
    assert_int_equal(k->i8_i8(a8, x8, n), symmetric);
}

static void every_variant_gives_the_same_products(void **state)
{
    static const size_t sizes[] = {64, 128, 192, 384, 768, 1024, 4096, N_MAX};
    const struct vector_kernels *k;

    (void)state;
    for (size_t i = 0; (k = vector_kernels_variant(i)) != NULL; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            fill(sizes[j]);
            check_floats(k, sizes[j]);
            check_integers(k, sizes[j]);
        }
    }
    assert_true(strcmp(vector_kernels_variant(0)->name, "portable") == 0 ||
                vector_kernels_variant(1) != NULL);
}

static void the_largest_values_do_not_overflow(void **state)
{
    static const int signs[] = {1, -1};
    const struct vector_kernels *k;

    (void)state;
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < N_MAX; i++) {
            q12[i] = (int16_t)(signs[s] * VECTOR_QUERY_MAX);
            x8[i] = 127;
            a8[i] = (int8_t)(signs[s] * 127);
        }
        for (size_t i = 0; (k = vector_kernels_variant(i)) != NULL; i++)
            check_integers(k, N_MAX);
    }
}

static void a_row_may_begin_anywhere(void **state)
{
    const struct vector_kernels *k;

    (void)state;
    fill(N_MAX);
    for (size_t i = 0; (k = vector_kernels_variant(i)) != NULL; i++) {
        int32_t expected = vector_kernels_variant(0)->i8(q12, x8, 128);

        memmove(x8 + 1, x8, N_MAX);
        assert_int_equal(k->i8(q12, x8 + 1, 128), expected);
        memmove(x8, x8 + 1, N_MAX);
        x8[N_MAX] = 0;
        (void)k->f32(q32, x32 + 1, 128);
        (void)k->f16(q32, x16 + 1, 128);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_variant_gives_the_same_products),
        cmocka_unit_test(the_largest_values_do_not_overflow),
        cmocka_unit_test(a_row_may_begin_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
