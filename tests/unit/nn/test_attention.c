/* Goal: attention.h is the formula on every path, whatever part of a sequence is asked for. Method:
 * against sums in double; parts against the whole to the last bit. */
#define _GNU_SOURCE /* posix_memalign */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_paths.h"
#include "nn/attention.h"

struct row {
    const char *name;
    size_t n_heads;
    size_t head_dim;
    size_t n;
    float size; /* of q and k: how peaked the softmax is */
};

static const struct row rows[] = {
    {"one token",                      1, 4,   1,   1 },
    {"two heads of a tiny model",      4, 12,  7,   1 },
    {"odd everything",                 3, 5,   13,  1 },
    {"fewer tokens than lanes",        2, 32,  15,  1 },
    {"as many tokens as lanes",        2, 32,  16,  1 },
    {"MiniLM at its commonest length", 3, 32,  128, 1 },
    {"a length that fills no block",   2, 32,  67,  1 },
    {"BERT's heads",                   2, 64,  50,  1 },
    {"heads of 128",                   1, 128, 33,  1 },
    {"heads of 256",                   1, 256, 5,   1 },
    {"heads of 80",                    2, 80,  40,  1 },
    {"a long sequence",                1, 32,  520, 1 },
    {"one key takes nearly all",       2, 32,  100, 12},
};

static void expected(const struct row *row, const float *qkv, size_t stride, float scale,
                     double *ret)
{
    size_t width = row->n_heads * row->head_dim;
    double *s = malloc(row->n * sizeof *s);

    assert_non_null(s);
    for (size_t h = 0; h < row->n_heads; h++)
        for (size_t i = 0; i < row->n; i++) {
            const float *q = qkv + i * stride + h * row->head_dim;
            double largest = -INFINITY;
            double sum = 0;

            for (size_t j = 0; j < row->n; j++) {
                const float *k = qkv + j * stride + width + h * row->head_dim;

                s[j] = 0;
                for (size_t d = 0; d < row->head_dim; d++)
                    s[j] += (double)q[d] * (double)k[d] * (double)scale;
                largest = fmax(largest, s[j]);
            }
            for (size_t j = 0; j < row->n; j++)
                sum += s[j] = exp(s[j] - largest);
            for (size_t d = 0; d < row->head_dim; d++) {
                double o = 0;

                for (size_t j = 0; j < row->n; j++)
                    o += s[j] / sum * (double)qkv[j * stride + 2 * width + h * row->head_dim + d];
                ret[i * width + h * row->head_dim + d] = o;
            }
        }
    free(s);
}

static void check(const struct kernels *k, const struct row *row,
                  enum attention_precision precision)
{
    size_t width = row->n_heads * row->head_dim;
    size_t stride = 3 * width + 16;
    uint64_t seed = row->n;
    struct attention a = {row->n_heads, row->head_dim, 1.0f / sqrtf((float)row->head_dim),
                          precision};
    float *qkv = floats(row->n * stride);
    float *out = floats(row->n * width);
    float *part = floats(row->n * width);
    float *scratch = floats(attention_scratch_floats(k, &a, row->n));
    double *truth = malloc(row->n * width * sizeof *truth);
    /* bfloat16 has 8 bits; the values' largest magnitude is 1 */
    double slack = precision == ATTENTION_EXACT ? 3e-6 : 0.02;

    assert_non_null(truth);
    draw_floats(&seed, row->n * stride, 1, qkv);
    for (size_t i = 0; i < row->n; i++)
        for (size_t j = 0; j < 2 * width; j++)
            qkv[i * stride + j] *= row->size;
    expected(row, qkv, stride, a.scale, truth);
    attention_forward(k, &a, qkv, stride, row->n, 0, row->n, out, width, scratch);
    for (size_t i = 0; i < row->n * width; i++)
        if (!(fabs(truth[i] - (double)out[i]) <= slack * (double)row->size))
            fail_msg("%s, %s, precision %d: row %zu column %zu: %.9g, expected %.9g",
                     kernels_name(k), row->name, (int)precision, i / width, i % width,
                     (double)out[i], truth[i]);
    for (size_t n = row->n > 20 ? 19 : 1; n <= row->n; n = n * 3 + 2) /* in parts of n queries */
        for (size_t first = 0; first < row->n; first += n) {
            size_t m = row->n - first < n ? row->n - first : n;

            attention_forward(k, &a, qkv, stride, row->n, first, m, part, width, scratch);
            if (memcmp(part, out + first * width, m * width * sizeof *part) != 0)
                fail_msg("%s, %s, precision %d: queries %zu..%zu differ alone", kernels_name(k),
                         row->name, (int)precision, first, first + m - 1);
        }
    free(qkv);
    free(out);
    free(part);
    free(scratch);
    free(truth);
}

static void attention_is_the_formula(void **state)
{
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t i = 0; i < COUNT(rows); i++) {
            check(k, &rows[i], ATTENTION_EXACT);
            check(k, &rows[i], ATTENTION_FAST);
        }
}

/* A NaN in a token's state reaches that token's output, and is not replaced by a number. */
static void nan_is_not_hidden(void **state)
{
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (int precision = ATTENTION_EXACT; precision <= ATTENTION_FAST; precision++) {
            struct attention a = {1, 32, 0.2f, (enum attention_precision)precision};
            float *qkv = floats(20 * 96);
            float *out = floats(20 * 32);
            float *scratch = floats(attention_scratch_floats(k, &a, 20));
            uint64_t seed = 1;

            draw_floats(&seed, 20 * 96, 1, qkv);
            for (size_t i = 0; i < 96; i++)
                qkv[7 * 96 + i] = NAN;
            attention_forward(k, &a, qkv, 96, 20, 0, 20, out, 32, scratch);
            for (size_t i = 0; i < 32; i++)
                assert_true(isnan(out[7 * 32 + i]));
            free(qkv);
            free(out);
            free(scratch);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_the_formula),
        cmocka_unit_test(nan_is_not_hidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
