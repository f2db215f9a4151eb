/* Goal: decoder_rows.h is its formulas on every path, and a row depends on itself alone. Method:
 * against double; each row alone against all at once. */
#define _GNU_SOURCE /* posix_memalign */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_paths.h"
#include "nn/decoder_rows.h"
#include "nn/kv_attention.h"

static const size_t widths[] = {1, 7, 16, 63, 64, 80, 130, 288, 2560};

static void rms_norm_is_the_formula(void **state)
{
    enum { ROWS = 5 };
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t i = 0; i < COUNT(widths); i++) {
            size_t width = widths[i];
            float *x = floats(ROWS * width);
            float *y = floats(ROWS * width);
            float *alone = floats(width);
            float *weight = floats(width);
            uint64_t seed = width;

            draw_floats(&seed, ROWS * width, 3, x);
            draw_floats(&seed, width, 2, weight);
            memset(x, 0, width * sizeof *x); /* a row of zeros stays one */
            row_rms_norm(k, weight, width, 1e-5f, x, width, ROWS, y, width);
            for (size_t row = 0; row < ROWS; row++) {
                double sum = 0;

                for (size_t j = 0; j < width; j++)
                    sum += (double)x[row * width + j] * (double)x[row * width + j];
                for (size_t j = 0; j < width; j++) {
                    double truth = (double)x[row * width + j] * (double)weight[j] /
                                   sqrt(sum / (double)width + 1e-5);

                    if (!(fabs(truth - (double)y[row * width + j]) <= 1e-6 * (1 + fabs(truth))))
                        fail_msg("%s, width %zu: row %zu column %zu: %.9g, expected %.9g",
                                 kernels_name(k), width, row, j, (double)y[row * width + j], truth);
                }
                memcpy(alone, x + row * width, width * sizeof *x);
                row_rms_norm(k, weight, width, 1e-5f, alone, width, 1, alone, width);
                assert_memory_equal(alone, y + row * width, width * sizeof *y);
            }
            free(x);
            free(y);
            free(alone);
            free(weight);
        }
}

static void rotation_is_the_formula(void **state)
{
    static const size_t dims[] = {2, 6, 16, 48, 64, 80, 128, 256};
    enum { HEADS = 3, POSITION = 1234 };
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t i = 0; i < COUNT(dims); i++)
            for (int interleaved = 0; interleaved <= 1; interleaved++) {
                size_t d = dims[i];
                float *x = floats(HEADS * d);
                float *y = floats(HEADS * d);
                float *angles = floats(d);
                float *divisors = floats(d / 2);
                uint64_t seed = d;

                draw_floats(&seed, HEADS * d, 1, x);
                memcpy(y, x, HEADS * d * sizeof *x);
                for (size_t j = 0; j < d / 2; j++)
                    divisors[j] = (float)(1 + j % 8);
                rope_angles(POSITION, d, 10000.0f, divisors, angles);
                row_rope(k, angles, d, interleaved, HEADS, y);
                for (size_t j = 0; j < HEADS * d / 2; j++) {
                    size_t pair = j % (d / 2);
                    size_t head = j / (d / 2) * d;
                    size_t first = head + (interleaved ? 2 * pair : pair);
                    size_t second = head + (interleaved ? 2 * pair + 1 : pair + d / 2);
                    double angle = POSITION * pow(10000.0, -2.0 * (double)pair / (double)d) /
                                   (double)(1 + pair % 8);
                    double a = (double)x[first];
                    double b = (double)x[second];

                    if (!(fabs((double)y[first] - (a * cos(angle) - b * sin(angle))) < 3e-7) ||
                        !(fabs((double)y[second] - (a * sin(angle) + b * cos(angle))) < 3e-7))
                        fail_msg("%s, heads of %zu, interleaved %d: pair %zu is (%.9g, %.9g)",
                                 kernels_name(k), d, interleaved, j, (double)y[first],
                                 (double)y[second]);
                }
                /* a head does not depend on the others */
                row_rope(k, angles, d, interleaved, 1, x + d);
                assert_memory_equal(x + d, y + d, d * sizeof *x);
                free(x);
                free(y);
                free(angles);
                free(divisors);
            }
}

static void position_zero_is_not_turned(void **state)
{
    float angles[80];

    (void)state;
    rope_angles(0, 80, 1e6f, NULL, angles);
    for (size_t i = 0; i < 40; i++) {
        assert_float_equal(angles[2 * i], 1, 0);
        assert_float_equal(angles[2 * i + 1], 0, 0);
    }
}

static double activation(int gelu, double x)
{
    if (gelu)
        return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    return x / (1 + exp(-x));
}

static void gated_is_the_formula(void **state)
{
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t i = 0; i < COUNT(widths); i++)
            for (int gelu = 0; gelu <= 1; gelu++) {
                size_t n = widths[i];
                float *gate = floats(n);
                float *up = floats(n);
                float *y = floats(n);
                uint64_t seed = n;

                draw_floats(&seed, n, 12, gate);
                draw_floats(&seed, n, 2, up);
                if (n > 60) { /* beyond what exp can do */
                    gate[3] = 200;
                    gate[17] = -200;
                    gate[40] = 0;
                }
                row_gated(k, gelu, gate, up, n, y);
                for (size_t j = 0; j < n; j++) {
                    double truth = activation(gelu, (double)gate[j]) * (double)up[j];

                    if (!(fabs(truth - (double)y[j]) <= 1e-6 * (1 + fabs(truth))))
                        fail_msg("%s, %zu values, gelu %d: value %zu of gate %.9g: %.9g, expected "
                                 "%.9g",
                                 kernels_name(k), n, gelu, j, (double)gate[j], (double)y[j], truth);
                }
                row_gated(k, gelu, gate, up, n, gate); /* in place */
                assert_memory_equal(gate, y, n * sizeof *y);
                gate[0] = NAN;
                row_gated(k, gelu, gate, up, 1, y);
                assert_true(isnan(y[0]));
                free(gate);
                free(up);
                free(y);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rms_norm_is_the_formula),
        cmocka_unit_test(rotation_is_the_formula),
        cmocka_unit_test(position_zero_is_not_turned),
        cmocka_unit_test(gated_is_the_formula),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
