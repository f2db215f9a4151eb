/* Goal: linear.h computes what its header says on every path. Method: int8 against sums in 64 bits
 * of the quantised values, to the last bit; fp32 against sums in double; both alone and in a
 * batch. */
#define _GNU_SOURCE /* posix_memalign */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_paths.h"
#include "nn/linear_packed.h"
#include "nn/row_kernels.h"

struct shape {
    const char *name;
    size_t n;
    size_t n_in;
    size_t n_out;
};

static const struct shape shapes[] = {
    {"a single number",                      1,   1,     1  },
    {"narrower than any vector",             3,   5,     7  },
    {"hidden 48 of the tiny models",         7,   48,    48 },
    {"one strip and one channel",            9,   64,    17 },
    {"one tile less one row",                31,  100,   130},
    {"two tiles and a row",                  33,  64,    64 },
    {"rows that are no multiple of a block", 50,  384,   96 },
    {"more than two blocks of sgemm",        101, 72,    33 },
    {"the second linear of a feed-forward",  17,  1536,  64 },
    {"the longest sums that are allowed",    2,   65536, 3  },
};

#define ROUNDING 4e-7

/* Inputs that have gone wrong elsewhere. */
enum kind {
    RANDOM,
    SATURATED, /* all at the largest magnitude, signs equal or opposite to the weights' */
    OUTLIER,   /* one value a thousand times the others */
    TINY,      /* below what quantisation keeps apart from zero */
    MIXED,     /* a zero row, a row with NaN, one with infinity, the others random */
    KINDS
};

static const char *const kind_names[KINDS] = {"random", "saturated", "outlier", "tiny", "mixed"};

static void fill(enum kind kind, const struct shape *s, uint64_t *seed, float *x, float *w)
{
    draw_floats(seed, s->n * s->n_in, 1, x);
    draw_floats(seed, s->n_out * s->n_in, 0.1f, w);
    for (size_t i = 0; i < s->n * s->n_in; i++) {
        size_t row = i / s->n_in;
        size_t column = i % s->n_in;

        if (kind == SATURATED)
            x[i] = row % 3 == 0 ? 1.0f : row % 3 == 1 ? -1.0f : (column % 2 ? 1.0f : -1.0f);
        else if (kind == OUTLIER && column == 3 % s->n_in)
            x[i] *= 1000;
        else if (kind == TINY)
            x[i] *= 1e-31f;
        else if (kind == MIXED && row % 4 == 1)
            x[i] = 0;
        else if (kind == MIXED && column == 0 && row % 4 == 2)
            x[i] = NAN;
        else if (kind == MIXED && column == s->n_in - 1 && row % 4 == 3)
            x[i] = -INFINITY;
    }
    if (kind == SATURATED)
        for (size_t i = 0; i < s->n_out * s->n_in; i++) {
            size_t o = i / s->n_in;

            w[i] = o % 3 == 0 ? 0.5f : o % 3 == 1 ? -0.5f : (i % s->n_in % 2 ? 0.5f : -0.5f);
        }
}

/* One value of int8 by the definition, and the size of the two terms that it is the sum of: whether
 * a path rounds once or twice after the integers is its own affair. */
static double expected_int8(const struct shape *s, const float *x, const float *w,
                            double *ret_magnitude)
{
    float x_max = x[0];
    float x_min = x[0];
    float w_max = 0;
    float w_scale;
    float half;
    float middle;
    int64_t sum = 0;
    int64_t w_sum = 0;

    for (size_t i = 0; i < s->n_in; i++) {
        if (!isfinite(x[i]))
            return NAN;
        x_max = x[i] > x_max ? x[i] : x_max;
        x_min = x[i] < x_min ? x[i] : x_min;
        w_max = fabsf(w[i]) > w_max ? fabsf(w[i]) : w_max;
    }
    *ret_magnitude = 0;
    if (w_max < 1e-30f)
        return 0;
    half = x_max * 0.5f - x_min * 0.5f;
    middle = x_max * 0.5f + x_min * 0.5f;
    w_scale = w_max / 127.0f;
    for (size_t i = 0; i < s->n_in; i++) {
        long q = half < 1e-30f ? 0 : lrintf((x[i] - middle) * (127.0f / half));
        long weight = lrintf(w[i] * (127.0f / w_max));

        q = q > 127 ? 127 : q < -127 ? -127 : q;
        sum += q * weight;
        w_sum += weight;
    }
    half = half < 1e-30f ? 0 : half / 127.0f;
    *ret_magnitude = fabs((double)sum * (double)half * (double)w_scale) +
                     fabs((double)middle * (double)w_scale * (double)w_sum);
    return (double)sum * (double)half * (double)w_scale +
           (double)middle * (double)w_scale * (double)w_sum;
}

static void run_int8(const struct kernels *k, const struct linear *l, const struct shape *s,
                     const float *x, struct linear_output *out)
{
    float *memory = floats(q8_rows_bytes(k, s->n, s->n_in) / sizeof(float));
    struct q8_rows rows = q8_rows_in(k, memory, s->n, s->n_in);
    struct linear_input in = {.q8 = &rows};

    q8_quantize(k, x, s->n_in, s->n, &rows);
    linear_forward(l, &in, s->n, out, NULL);
    free(memory);
}

static void check_int8(const struct kernels *k, const struct shape *s, enum kind kind)
{
    uint64_t seed = 7 + (uint64_t)kind;
    float *x = floats(s->n * s->n_in);
    float *w = floats(s->n_out * s->n_in);
    float *y = floats(s->n * s->n_out);
    struct linear *l = NULL;
    struct linear_output out = {.y = y, .stride = s->n_out};

    fill(kind, s, &seed, x, w);
    assert_int_equal(linear_new_int8(k, w, NULL, s->n_out, s->n_in, &l, NULL), RAG_OK);
    run_int8(k, l, s, x, &out);
    for (size_t i = 0; i < s->n; i++)
        for (size_t o = 0; o < s->n_out; o++) {
            double magnitude = 0;
            double expected = expected_int8(s, x + i * s->n_in, w + o * s->n_in, &magnitude);
            double got = (double)y[i * s->n_out + o];

            /* the integers are the same; what follows is rounded a few times */
            if (isnan(expected) ? !isnan(got) : fabs(expected - got) > ROUNDING * magnitude)
                fail_msg("%s, %s, %s: row %zu channel %zu is %.9g, expected %.9g", kernels_name(k),
                         s->name, kind_names[kind], i, o, got, expected);
        }
    linear_free(l);
    free(x);
    free(w);
    free(y);
}

static void int8_sums_are_the_same_integers_on_every_path(void **state)
{
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t i = 0; i < COUNT(shapes); i++)
            for (int kind = 0; kind < KINDS; kind++)
                check_int8(k, &shapes[i], (enum kind)kind);
}

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

/* All that comes after the sums; 'within' is what GELU of int8 may be off. */
static void check_epilogue(const struct kernels *k, const struct shape *s, bool int8)
{
    uint64_t seed = 11;
    float *x = floats(s->n * s->n_in);
    float *w = floats(s->n_out * s->n_in);
    float *bias = floats(s->n_out);
    float *residual = floats(s->n * s->n_out);
    float *plain = floats(s->n * s->n_out);
    float *y = floats(s->n * s->n_out);
    float *scratch = NULL;
    struct linear *l = NULL;
    struct linear_input in = {.f32 = x, .stride = s->n_in};
    struct linear_output out = {.y = plain, .stride = s->n_out};

    fill(RANDOM, s, &seed, x, w);
    draw_floats(&seed, s->n_out, 3, bias);
    draw_floats(&seed, s->n * s->n_out, 1, residual);
    assert_int_equal(int8 ? linear_new_int8(k, w, bias, s->n_out, s->n_in, &l, NULL)
                          : linear_new_fp32(k, w, bias, s->n_out, s->n_in, &l, NULL),
                     RAG_OK);
    scratch = floats(linear_scratch_floats(l, s->n) + 16);
    for (int f = LINEAR_PLAIN; f <= LINEAR_TANH; f++) {
        out.y = f == LINEAR_PLAIN ? plain : y;
        out.activation = (enum linear_activation)f;
        out.residual = f == LINEAR_PLAIN ? NULL : y; /* in place, too */
        out.residual_stride = s->n_out;
        memcpy(y, residual, s->n * s->n_out * sizeof *y);
        if (int8)
            run_int8(k, l, s, x, &out);
        else
            linear_forward(l, &in, s->n, &out, scratch);
        for (size_t i = 0; i < s->n * s->n_out && f != LINEAR_PLAIN; i++) {
            double expected =
                activation((enum linear_activation)f, (double)plain[i]) + (double)residual[i];

            if (fabs(expected - (double)y[i]) > (int8 && f == LINEAR_GELU ? 1.3e-4 : 2e-6))
                fail_msg("%s, %s, activation %d: %.9g, expected %.9g", kernels_name(k), s->name, f,
                         (double)y[i], expected);
        }
    }
    linear_free(l);
    free(scratch);
    free(x);
    free(w);
    free(bias);
    free(residual);
    free(plain);
    free(y);
}

static void bias_activation_and_residual_come_after_the_sums(void **state)
{
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t i = 0; i < COUNT(shapes) - 1; i++) {
            check_epilogue(k, &shapes[i], true);
            check_epilogue(k, &shapes[i], false);
        }
}

static void fp32_is_the_product(void **state)
{
    const struct kernels *k = kernels_of(KERNELS_PORTABLE);

    (void)state;
    for (size_t c = 0; c < COUNT(shapes) - 1; c++) {
        const struct shape *s = &shapes[c];
        uint64_t seed = 3;
        float *x = floats(s->n * s->n_in);
        float *w = floats(s->n_out * s->n_in);
        float *y = floats(s->n * s->n_out);
        float *scratch;
        struct linear *l = NULL;
        struct linear_input in = {.f32 = x, .stride = s->n_in};
        struct linear_output out = {.y = y, .stride = s->n_out};

        fill(RANDOM, s, &seed, x, w);
        assert_int_equal(linear_new_fp32(k, w, NULL, s->n_out, s->n_in, &l, NULL), RAG_OK);
        scratch = floats(linear_scratch_floats(l, s->n));
        linear_forward(l, &in, s->n, &out, scratch);
        for (size_t i = 0; i < s->n; i++)
            for (size_t o = 0; o < s->n_out; o++) {
                double sum = 0;

                for (size_t j = 0; j < s->n_in; j++)
                    sum += (double)x[i * s->n_in + j] * (double)w[o * s->n_in + j];
                if (fabs(sum - (double)y[i * s->n_out + o]) > 1e-5)
                    fail_msg("%s: row %zu channel %zu", s->name, i, o);
            }
        linear_free(l);
        free(scratch);
        free(x);
        free(w);
        free(y);
    }
}

/* Row i of n equal rows, and of n different ones, is what the row gives alone. */
static void check_alone(const struct kernels *k, const struct shape *s, bool int8)
{
    uint64_t seed = 5;
    float *x = floats(s->n * s->n_in);
    float *w = floats(s->n_out * s->n_in);
    float *bias = floats(s->n_out);
    float *y = floats(s->n * s->n_out);
    float *alone = floats(s->n_out);
    struct shape one = {s->name, 1, s->n_in, s->n_out};
    struct linear *l = NULL;
    struct linear_output out = {.stride = s->n_out, .activation = LINEAR_GELU};
    float *scratch;

    fill(RANDOM, s, &seed, x, w);
    draw_floats(&seed, s->n_out, 1, bias);
    assert_int_equal(int8 ? linear_new_int8(k, w, bias, s->n_out, s->n_in, &l, NULL)
                          : linear_new_fp32(k, w, bias, s->n_out, s->n_in, &l, NULL),
                     RAG_OK);
    scratch = floats(linear_scratch_floats(l, s->n) + 16);
    for (size_t i = 0; i <= s->n; i++) {
        struct linear_input in = {.f32 = i == 0 ? x : x + (i - 1) * s->n_in, .stride = s->n_in};

        out.y = i == 0 ? y : alone;
        if (int8)
            run_int8(k, l, i == 0 ? s : &one, in.f32, &out);
        else
            linear_forward(l, &in, i == 0 ? s->n : 1, &out, scratch);
        if (i > 0 && memcmp(alone, y + (i - 1) * s->n_out, s->n_out * sizeof *y) != 0)
            fail_msg("%s, %s, %s: row %zu differs in a batch", kernels_name(k), s->name,
                     int8 ? "int8" : "fp32", i - 1);
    }
    linear_free(l);
    free(scratch);
    free(x);
    free(w);
    free(bias);
    free(y);
    free(alone);
}

static void a_row_alone_is_the_row_in_a_batch(void **state)
{
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t i = 0; i < COUNT(shapes) - 1; i++) {
            check_alone(k, &shapes[i], true);
            check_alone(k, &shapes[i], false);
        }
}

/* Rows of an int8 layer, written down and read again. */
static void check_packed(const struct kernels *k, const struct shape *s)
{
    uint64_t seed = 11;
    float *x = floats(s->n * s->n_in);
    float *w = floats(s->n_out * s->n_in);
    float *bias = floats(s->n_out);
    float *scale = floats(s->n_out);
    float *y = floats(2 * s->n * s->n_out);
    int8_t *rows = malloc(s->n_out * s->n_in);
    struct linear *l = NULL;
    struct linear *again = NULL;

    fill(RANDOM, s, &seed, x, w);
    draw_floats(&seed, s->n_out, 1, bias);
    memset(w, 0, s->n_in * sizeof *w);
    assert_int_equal(linear_new_int8(k, w, bias, s->n_out, s->n_in, &l, NULL), RAG_OK);
    for (size_t o = 0; o < s->n_out; o++) {
        scale[o] = linear_int8_row(l, o, rows + o * s->n_in);
        assert_int_equal(scale[o] > 0, o > 0);
    }
    scale[0] = 1; /* of a row of zeros, which has none of its own */
    assert_int_equal(linear_new_packed(k, rows, scale, bias, s->n_out, s->n_in, &again, NULL),
                     RAG_OK);
    assert_memory_equal(linear_bias(again), bias, s->n_out * sizeof *bias);
    run_int8(k, l, s, x, &(struct linear_output){.y = y, .stride = s->n_out});
    run_int8(k, again, s, x, &(struct linear_output){.y = y + s->n * s->n_out, .stride = s->n_out});
    assert_memory_equal(y, y + s->n * s->n_out, s->n * s->n_out * sizeof *y);
    linear_free(l);
    linear_free(again);
    free(x);
    free(w);
    free(bias);
    free(scale);
    free(y);
    free(rows);
}

static void rows_written_down_make_the_same_layer(void **state)
{
    size_t at = 0;
    const struct kernels *k;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t i = 0; i < COUNT(shapes); i++)
            check_packed(k, &shapes[i]);
}

static void what_no_layer_can_be_is_refused(void **state)
{
    const struct kernels *k = kernels_of(KERNELS_PORTABLE);
    float w[2] = {1, NAN};
    float bias[1] = {INFINITY};
    struct linear *l = NULL;
    struct rag_error error = {RAG_OK, ""};

    (void)state;
    assert_int_equal(linear_new_int8(k, w, NULL, 1, 2, &l, &error), RAG_ENUMERIC);
    assert_string_equal(error.text, "weight 1 of a linear layer is not finite");
    assert_int_equal(linear_new_fp32(k, w, bias, 1, 1, &l, &error), RAG_ENUMERIC);
    assert_string_equal(error.text, "bias 0 of a linear layer is not finite");
    assert_int_equal(linear_new_int8(k, w, NULL, 1, LINEAR_IN_MAX + 1, &l, &error), RAG_ELIMIT);
    assert_null(l);
    linear_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(int8_sums_are_the_same_integers_on_every_path),
        cmocka_unit_test(bias_activation_and_residual_come_after_the_sums),
        cmocka_unit_test(fp32_is_the_product),
        cmocka_unit_test(a_row_alone_is_the_row_in_a_batch),
        cmocka_unit_test(rows_written_down_make_the_same_layer),
        cmocka_unit_test(what_no_layer_can_be_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
