/* Goal: row_kernels.h and q8_rows.h compute what their headers say on every path. Method: against
 * the formulas in double; quantised values against the definition, exactly. */
#define _GNU_SOURCE /* posix_memalign */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_paths.h"
#include "nn/q8_rows.h"
#include "nn/row_kernels.h"

static const size_t widths[] = {1, 5, 8, 15, 16, 17, 48, 63, 64, 65, 384, 768, 1000};

#define ROWS 3

/* ---- layer norm ---- */

static void expect_norm(const struct kernels *k, size_t width, float offset, float factor)
{
    uint64_t seed = width;
    float *x = floats(ROWS * width);
    float *y = floats(ROWS * width);
    float *gamma = floats(width);
    float *beta = floats(width);
    float *memory = floats(q8_rows_bytes(k, ROWS, width) / sizeof(float));
    float *memory_2 = floats(q8_rows_bytes(k, ROWS, width) / sizeof(float));
    struct q8_rows rows = q8_rows_in(k, memory, ROWS, width);
    struct q8_rows rows_2 = q8_rows_in(k, memory_2, ROWS, width);
    struct layer_norm norm = {gamma, beta, width, 1e-12f};

    draw_floats(&seed, ROWS * width, factor, x);
    draw_floats(&seed, width, 2, gamma);
    draw_floats(&seed, width, 1, beta);
    for (size_t i = 0; i < ROWS * width; i++)
        x[i] += offset;
    row_layer_norm(k, &norm, x, width, ROWS, y, width, &rows);
    for (size_t r = 0; r < ROWS; r++) {
        double mean = 0;
        double variance = 0;

        for (size_t i = 0; i < width; i++)
            mean += (double)x[r * width + i] / (double)width;
        for (size_t i = 0; i < width; i++) {
            double d = (double)x[r * width + i] - mean;

            variance += d * d / (double)width;
        }
        for (size_t i = 0; i < width && width > 1; i++) {
            double d = ((double)x[r * width + i] - mean) / sqrt(variance + 1e-12);
            double expected = d * (double)gamma[i] + (double)beta[i];
            double slack = 4e-6 * (1 + fabs((double)offset / (double)factor));

            if (fabs(expected - (double)y[r * width + i]) > slack)
                fail_msg("%s, width %zu, row %zu, column %zu: %.9g, expected %.9g", kernels_name(k),
                         width, r, i, (double)y[r * width + i], expected);
        }
    }
    q8_quantize(k, y, width, ROWS, &rows_2);
    assert_memory_equal(rows.scale, rows_2.scale, ROWS * sizeof(float));
    for (size_t r = 0; r < ROWS; r++)
        for (size_t i = 0; i < width; i++)
            assert_int_equal(q8_value(&rows, r, i), q8_value(&rows_2, r, i));
    free(x);
    free(y);
    free(gamma);
    free(beta);
    free(memory);
    free(memory_2);
}

static void layer_norm_is_the_formula(void **state)
{
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t i = 0; i < COUNT(widths); i++) {
            expect_norm(k, widths[i], 0, 1);
            expect_norm(k, widths[i], 30, 1);    /* a mean far from zero */
            expect_norm(k, widths[i], 0, 1e-5f); /* variance not far above epsilon */
        }
}

/* ---- quantisation ---- */

struct special {
    const char *name;
    float value; /* the row's first; the others are as 'rest' */
    float rest;
    float scale;
    int first; /* quantised */
    int others;
};

static const struct special specials[] = {
    {"a row of zeros",                     0.0f,      0.0f,     0.0f,             0,    0   },
    {"the largest is 127, the least -127", -2.0f,     1.0f,     1.5f / 127.0f,    -127, 127 },
    {"all above zero as well",             7.0f,      5.0f,     1.0f / 127.0f,    127,  -127},
    {"too near to each other is zero",     3e-31f,    1e-31f,   0.0f,             0,    0   },
    {"the largest number there is",        3.4e38f,   -3.4e38f, 3.4e38f / 127.0f, 127,  -127},
    {"NaN anywhere makes the row nothing", NAN,       1.0f,     NAN,              0,    0   },
    {"and so does infinity",               INFINITY,  1.0f,     NAN,              0,    0   },
    {"and minus infinity",                 -INFINITY, 1.0f,     NAN,              0,    0   },
};

static void rows_are_quantised_as_defined(void **state)
{
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t w = 0; w < COUNT(widths); w++)
            for (size_t c = 0; c < COUNT(specials); c++) {
                const struct special *s = &specials[c];
                size_t width = widths[w];
                size_t where = width / 2;
                float *x = floats(2 * width);
                float *memory = floats(q8_rows_bytes(k, 2, width) / sizeof(float));
                struct q8_rows both = q8_rows_in(k, memory, 2, width);
                struct q8_rows rows = q8_rows_from(&both, 1);

                for (size_t i = 0; i < width; i++)
                    x[i] = x[width + i] = i == where ? s->value : s->rest;
                q8_quantize(k, x, width, 2, &both);
                if (isnan(s->scale) ? !isnan(rows.scale[0]) || !isnan(rows.middle[0])
                                    : rows.scale[0] != (width == 1 ? 0 : s->scale))
                    fail_msg("%s, %s: scale %.9g", kernels_name(k), s->name, (double)rows.scale[0]);
                if (width == 1) /* its middle alone */
                    assert_true(isnan(s->scale) || rows.middle[0] == s->value);
                for (size_t i = 0; i < width; i++)
                    if (q8_value(&rows, 0, i) != (width == 1   ? 0
                                                  : i == where ? s->first
                                                               : s->others))
                        fail_msg("%s, %s, width %zu: column %zu is %d", kernels_name(k), s->name,
                                 width, i, q8_value(&rows, 0, i));
                free(x);
                free(memory);
            }
}

static void columns_multiply_before_they_are_quantised(void **state)
{
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t w = 0; w < COUNT(widths); w++) {
            size_t width = widths[w];
            uint64_t seed = width;
            float *x = floats(ROWS * width);
            float *columns = floats(width);
            float *memory = floats(q8_rows_bytes(k, ROWS, width) / sizeof(float));
            float *memory_2 = floats(q8_rows_bytes(k, ROWS, width) / sizeof(float));
            struct q8_rows rows = q8_rows_in(k, memory, ROWS, width);
            struct q8_rows multiplied = q8_rows_in(k, memory_2, ROWS, width);

            draw_floats(&seed, ROWS * width, 5, x);
            draw_floats(&seed, width, 3, columns);
            rows.columns = columns;
            q8_quantize(k, x, width, ROWS, &rows);
            for (size_t i = 0; i < ROWS * width; i++)
                x[i] *= columns[i % width];
            q8_quantize(k, x, width, ROWS, &multiplied);
            assert_memory_equal(rows.scale, multiplied.scale, ROWS * sizeof(float));
            for (size_t i = 0; i < ROWS * width; i++)
                assert_int_equal(q8_value(&rows, i / width, i % width),
                                 q8_value(&multiplied, i / width, i % width));
            free(x);
            free(columns);
            free(memory);
            free(memory_2);
        }
}

static void random_rows_are_the_same_on_every_path(void **state)
{
    size_t width = 200;
    size_t n = 50;
    uint64_t seed = 1;
    float *x = floats(n * width);
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    draw_floats(&seed, n * width, 5, x);
    while ((k = next_path(&at)) != NULL) {
        float *memory = floats(q8_rows_bytes(k, n, width) / sizeof(float));
        struct q8_rows rows = q8_rows_in(k, memory, n, width);

        q8_quantize(k, x, width, n, &rows);
        for (size_t r = 0; r < n; r++) {
            float highest = x[r * width];
            float lowest = x[r * width];
            float half;

            for (size_t i = 0; i < width; i++) {
                highest = fmaxf(highest, x[r * width + i]);
                lowest = fminf(lowest, x[r * width + i]);
            }
            half = highest * 0.5f - lowest * 0.5f;
            assert_true(rows.scale[r] == half / 127.0f);
            assert_true(rows.middle[r] == highest * 0.5f + lowest * 0.5f);
            for (size_t i = 0; i < width; i++) {
                long q = lrintf((x[r * width + i] - rows.middle[r]) * (127.0f / half));

                q = q > 127 ? 127 : q < -127 ? -127 : q;
                assert_int_equal(q8_value(&rows, r, i), q);
            }
        }
        free(memory);
    }
    free(x);
}

/* ---- activations, softmax ---- */

static double activation(enum linear_activation f, double x)
{
    switch (f) {
    case LINEAR_GELU:
        return 0.5 * x * erfc(-x / sqrt(2));
    case LINEAR_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979) * (x + 0.044715 * x * x * x)));
    case LINEAR_RELU:
        return x > 0 ? x : 0;
    case LINEAR_TANH:
        return tanh(x);
    case LINEAR_PLAIN:
        break;
    }
    return x;
}

static void activations_are_accurate(void **state)
{
    const size_t n = 200001;
    float *x = floats(n);
    float *y = floats(n);
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    for (size_t i = 0; i < n; i++)
        x[i] = -20.0f + (float)i * 2e-4f;
    while ((k = next_path(&at)) != NULL)
        for (int f = LINEAR_PLAIN; f <= LINEAR_TANH; f++) {
            memcpy(y, x, n * sizeof *x);
            row_activate(k, (enum linear_activation)f, n, y);
            for (size_t i = 0; i < n; i++) {
                double expected = activation((enum linear_activation)f, (double)x[i]);
                double slack = 2.5e-7 * fmax(1, fabs(expected));

                if (fabs(expected - (double)y[i]) > slack)
                    fail_msg("%s: f%d(%.9g) = %.9g, expected %.9g", kernels_name(k), f,
                             (double)x[i], (double)y[i], expected);
            }
        }
    free(x);
    free(y);
}

static void what_is_not_finite_is_not_hidden(void **state)
{
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (int f = LINEAR_PLAIN; f <= LINEAR_TANH; f++) {
            float y[3] = {NAN, INFINITY, -INFINITY};

            row_activate(k, (enum linear_activation)f, 3, y);
            assert_true(isnan(y[0]));
            if (f != LINEAR_TANH)
                assert_true(isinf(y[1]));
            else
                assert_true(y[1] == 1.0f && y[2] == -1.0f);
        }
}

static void softmax_sums_to_one(void **state)
{
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t w = 0; w < COUNT(widths); w++) {
            size_t n = widths[w];
            uint64_t seed = n;
            float *x = floats(n);
            float *y = floats(n);
            double sum = 0;

            draw_floats(&seed, n, 30, x);
            memcpy(y, x, n * sizeof *x);
            row_softmax(k, n, y);
            for (size_t i = 0; i < n; i++)
                sum += exp((double)x[i]);
            for (size_t i = 0; i < n; i++)
                assert_true(fabs(exp((double)x[i]) / sum - (double)y[i]) < 3e-7);
            for (size_t i = 0; i < n; i++)
                y[i] = -1e30f;
            row_softmax(k, n, y);
            for (size_t i = 0; i < n; i++)
                assert_true(fabs(1.0 / (double)n - (double)y[i]) < 1e-6);
            free(x);
            free(y);
        }
}

static void sums_of_rows(void **state)
{
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t w = 0; w < COUNT(widths); w++) {
            size_t n = widths[w];
            float *x = floats(n);
            float *y = floats(n);

            for (size_t i = 0; i < n; i++) {
                x[i] = (float)i;
                y[i] = 1000.0f;
            }
            row_add(k, x, n, y);
            for (size_t i = 0; i < n; i++)
                assert_true(y[i] == 1000.0f + (float)i);
            free(x);
            free(y);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layer_norm_is_the_formula),
        cmocka_unit_test(rows_are_quantised_as_defined),
        cmocka_unit_test(columns_multiply_before_they_are_quantised),
        cmocka_unit_test(random_rows_are_the_same_on_every_path),
        cmocka_unit_test(activations_are_accurate),
        cmocka_unit_test(what_is_not_finite_is_not_hidden),
        cmocka_unit_test(softmax_sums_to_one),
        cmocka_unit_test(sums_of_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
