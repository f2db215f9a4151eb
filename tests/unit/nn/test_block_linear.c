/* Goal: block_linear.h computes what its header says on every path. Method: the portable twin
 * against the dequantised weights in double, every other path against the portable twin to the last
 * bit; ranges and neighbours change nothing. */
#define _GNU_SOURCE /* posix_memalign */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "block_weights.h"
#include "nn/block_linear.h"

struct shape {
    const char *name;
    size_t n_in;
    size_t n_out;
};

static const struct shape shapes[] = {
    {"one block of the small types",            32,   16},
    {"one block of the large types",            256,  48},
    {"hidden 48 of the tiny models",            48,   48},
    {"two groups and a lonely output",          64,   17},
    {"stories15M: the last block is one group", 288,  40},
    {"a last block of two groups",              320,  5 },
    {"three large blocks",                      768,  70},
    {"EXAONE 2.4B",                             2560, 40},
};

static const size_t row_counts[] = {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 32, 33, 64, 100};

#define ROWS_MAX 100

/* n_in whole blocks of the type; any number for plain ones */
static bool fits(enum block_type type, const struct shape *s)
{
    return s->n_in % block_elements(type) == 0;
}

static struct block_linear *new_linear(const struct kernels *k, enum block_type type,
                                       const uint8_t *w, const struct shape *s, const float *bias)
{
    struct block_linear *l = NULL;
    size_t row_bytes = s->n_in / block_elements(type) * block_bytes(type);

    assert_int_equal(
        block_linear_new(k, type, w, row_bytes, s->n_out, s->n_in, BLOCK_Q8_0, bias, &l, NULL),
        RAG_OK);
    return l;
}

/* Rows of every kind that activations can be. */
static void draw_rows(uint64_t *seed, const struct shape *s, size_t n, float *ret)
{
    draw_floats(seed, n * s->n_in, 2, ret);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < s->n_in; j++) {
            float *x = ret + i * s->n_in + j;

            if (i % 16 == 3)
                *x = j % 3 ? 1.0f : -1.0f; /* all at the largest magnitude */
            else if (i % 16 == 5)
                *x = 1.0f;
            else if (i % 16 == 6)
                *x *= j == 7 ? 1000.0f : 1.0f;
            else if (i % 16 == 9)
                *x = 0;
            else if (i % 16 == 11 && j == s->n_in - 1)
                *x = NAN;
        }
}

static struct block_rows quantized(const struct kernels *k, const struct shape *s, const float *x,
                                   size_t n, void **ret_memory)
{
    struct block_rows rows;

    *ret_memory = floats(block_rows_bytes(k, n, s->n_in) / sizeof(float));
    memset(*ret_memory, 0x7F, block_rows_bytes(k, n, s->n_in));
    rows = block_rows_in(k, *ret_memory, n, s->n_in);
    block_rows_quantize(k, x, s->n_in, n, &rows);
    return rows;
}

static void run(const struct block_linear *l, const struct block_rows *rows, size_t n, size_t first,
                size_t n_outs, float *y, size_t stride)
{
    struct block_linear_input in = {.rows = rows};
    float *scratch = floats(block_linear_scratch_bytes(l, n, n_outs) / sizeof(float) + 1);

    block_linear_forward(l, &in, n, first, n_outs, y, stride, scratch);
    free(scratch);
}

static void for_each_case(void (*check)(enum block_type type, const struct shape *s))
{
    for (int type = 0; type < BLOCK_TYPES; type++)
        for (size_t i = 0; i < COUNT(shapes); i++)
            if (fits((enum block_type)type, &shapes[i]))
                check((enum block_type)type, &shapes[i]);
}

/* ---- the portable twin ---- */

/* Quantised when packed. */
static bool plain(enum block_type type)
{
    return type == BLOCK_F32 || type == BLOCK_F16 || type == BLOCK_BF16 || type == BLOCK_IQ2_XXS;
}

/* Of the sum of magnitudes: what float steps may lose, what rounding a scale to f16, and of weights
 * up to 1 quantised to Q8_0 (the magnitudes are then those of the activations). */
static double allowed(enum block_type type)
{
    return plain(type) ? 1.0 / 250 : type == BLOCK_IQ4_XS ? 5e-4 : 1e-6;
}

static void check_meaning(enum block_type type, const struct shape *s)
{
    const struct kernels *k = kernels_of(KERNELS_PORTABLE);
    uint64_t seed = 3 + (uint64_t)type;
    size_t n = 17;
    uint8_t *w = random_blocks(type, s->n_in * s->n_out, &seed);
    float *values = floats(s->n_in * s->n_out);
    float *bias = floats(s->n_out);
    float *x = floats(n * s->n_in);
    float *y = floats(n * s->n_out);
    void *memory = NULL;
    struct block_linear *l;
    struct block_rows rows;

    draw_floats(&seed, s->n_out, 3, bias);
    draw_rows(&seed, s, n, x);
    blocks_read_f32(type, w, s->n_in * s->n_out, values);
    l = new_linear(k, type, w, s, bias);
    rows = quantized(k, s, x, n, &memory);
    run(l, &rows, n, 0, s->n_out, y, s->n_out);
    for (size_t i = 0; i < n; i++)
        for (size_t o = 0; o < s->n_out; o++) {
            double expected = (double)bias[o];
            double magnitude = fabs(expected);
            double got = (double)y[i * s->n_out + o];

            for (size_t j = 0; j < s->n_in; j++) {
                size_t at = block_rows_at(&rows, i, j / BLOCK_ROWS_BLOCK);
                double q = (double)rows.q[at * BLOCK_ROWS_BLOCK + j % BLOCK_ROWS_BLOCK] *
                           (double)rows.scale[at];
                double weight = (double)values[o * s->n_in + j];

                expected += weight * q;
                magnitude += plain(type) ? fabs(q) : fabs(weight * q);
            }
            if (isnan(expected) ? !isnan(got) : fabs(expected - got) > allowed(type) * magnitude)
                fail_msg("%s, %s: row %zu output %zu is %.9g, expected %.9g", block_type_name(type),
                         s->name, i, o, got, expected);
        }
    block_linear_free(l);
    free(memory);
    free(w);
    free(values);
    free(bias);
    free(x);
    free(y);
}

static void portable_twin_computes_what_the_file_says(void **state)
{
    (void)state;
    for_each_case(check_meaning);
}

/* ---- the other paths ---- */

static void compare(const struct kernels *k, enum block_type type, const struct shape *s, size_t n,
                    const float *expected, const float *y)
{
    for (size_t i = 0; i < n; i++)
        for (size_t o = 0; o < s->n_out; o++)
            if (memcmp(&expected[i * s->n_out + o], &y[i * s->n_out + o], 4) != 0 &&
                !(isnan(expected[i * s->n_out + o]) && isnan(y[i * s->n_out + o])))
                fail_msg("%s, %s, %s, %zu rows: row %zu output %zu is %.9g, not %.9g",
                         kernels_name(k), block_type_name(type), s->name, n, i, o,
                         (double)y[i * s->n_out + o], (double)expected[i * s->n_out + o]);
}

static void check_paths(enum block_type type, const struct shape *s)
{
    const struct kernels *portable = kernels_of(KERNELS_PORTABLE);
    uint64_t seed = 30 + (uint64_t)type;
    uint8_t *w = random_blocks(type, s->n_in * s->n_out, &seed);
    float *bias = floats(s->n_out);
    float *x = floats(ROWS_MAX * s->n_in);
    float *expected = floats(ROWS_MAX * s->n_out);
    void *memory = NULL;
    struct block_linear *l;
    struct block_rows rows;
    const struct kernels *k;
    size_t at = 0;

    draw_floats(&seed, s->n_out, 3, bias);
    draw_rows(&seed, s, ROWS_MAX, x);
    l = new_linear(portable, type, w, s, bias);
    rows = quantized(portable, s, x, ROWS_MAX, &memory);
    run(l, &rows, ROWS_MAX, 0, s->n_out, expected, s->n_out);
    block_linear_free(l);
    while ((k = next_path(&at)) != NULL) {
        l = new_linear(k, type, w, s, bias);
        for (size_t i = 0; i < COUNT(row_counts); i++) {
            size_t n = row_counts[i];
            float *y = floats(n * s->n_out);
            /* the last n rows, so that counts meet different neighbours */
            struct block_rows last = block_rows_from(&rows, ROWS_MAX - n);

            run(l, &last, n, 0, s->n_out, y, s->n_out);
            compare(k, type, s, n, expected + (ROWS_MAX - n) * s->n_out, y);
            free(y);
        }
        block_linear_free(l);
    }
    free(memory);
    free(w);
    free(bias);
    free(x);
    free(expected);
}

static void every_path_gives_the_bits_of_the_portable_twin(void **state)
{
    (void)state;
    for_each_case(check_paths);
}

static void a_result_does_not_depend_on_the_range(void **state)
{
    static const struct shape s = {"ranges", 320, 83};
    static const struct {
        size_t first, n;
    } ranges[] = {
        {0,  16},
        {16, 32},
        {64, 19},
        {80, 3 },
        {0,  83}
    };
    static const enum block_type types[] = {BLOCK_Q4_1, BLOCK_Q8_0, BLOCK_F32};
    const struct kernels *k;
    size_t at = 0;

    (void)state;
    while ((k = next_path(&at)) != NULL)
        for (size_t t = 0; t < COUNT(types); t++) {
            uint64_t seed = 99;
            size_t n = 35;
            uint8_t *w = random_blocks(types[t], s.n_in * s.n_out, &seed);
            float *x = floats(n * s.n_in);
            float *whole = floats(n * s.n_out);
            void *memory = NULL;
            struct block_linear *l = new_linear(k, types[t], w, &s, NULL);
            struct block_rows rows;

            draw_floats(&seed, n * s.n_in, 1, x);
            rows = quantized(k, &s, x, n, &memory);
            run(l, &rows, n, 0, s.n_out, whole, s.n_out);
            for (size_t r = 0; r < COUNT(ranges); r++) {
                float *y = floats(n * ranges[r].n);

                run(l, &rows, n, ranges[r].first, ranges[r].n, y, ranges[r].n);
                for (size_t i = 0; i < n; i++)
                    assert_memory_equal(y + i * ranges[r].n, whole + i * s.n_out + ranges[r].first,
                                        ranges[r].n * sizeof *y);
                free(y);
            }
            block_linear_free(l);
            free(memory);
            free(w);
            free(x);
            free(whole);
        }
}

/* ---- float32 ---- */

static void fp32_is_the_dequantised_product_whatever_the_batch_and_the_range(void **state)
{
    static const struct shape s = {"fp32", 256, 101};
    const struct kernels *k = NULL;
    uint64_t seed = 5;
    size_t n = 53;
    uint8_t *w = random_blocks(BLOCK_Q4_K, s.n_in * s.n_out, &seed);
    float *values = floats(s.n_in * s.n_out);
    float *bias = floats(s.n_out);
    float *x = floats(n * s.n_in);
    float *y = floats(n * s.n_out);
    float one[37];
    float *scratch;
    struct block_linear *l = NULL;
    struct block_linear_input in = {.f32 = x, .f32_stride = s.n_in};

    (void)state;
    assert_int_equal(kernels_choose(&k, NULL), RAG_OK);
    draw_floats(&seed, s.n_out, 1, bias);
    draw_floats(&seed, n * s.n_in, 1, x);
    blocks_read_f32(BLOCK_Q4_K, w, s.n_in * s.n_out, values);
    assert_int_equal(block_linear_new_fp32(k, BLOCK_Q4_K, w, 144, s.n_out, s.n_in, bias, &l, NULL),
                     RAG_OK);
    assert_true(block_linear_is_fp32(l));
    scratch = floats(block_linear_scratch_bytes(l, n, s.n_out) / sizeof(float));
    block_linear_forward(l, &in, n, 0, s.n_out, y, s.n_out, scratch);
    for (size_t i = 0; i < n; i++)
        for (size_t o = 0; o < s.n_out; o++) {
            double expected = (double)bias[o];

            for (size_t j = 0; j < s.n_in; j++)
                expected += (double)x[i * s.n_in + j] * (double)values[o * s.n_in + j];
            assert_true(fabs(expected - (double)y[i * s.n_out + o]) < 1e-3);
        }
    for (size_t i = 0; i < n; i += 13) {
        in.f32 = x + i * s.n_in;
        block_linear_forward(l, &in, 1, 64, 37, one, 37, scratch);
        assert_memory_equal(one, y + i * s.n_out + 64, sizeof one);
    }
    block_linear_free(l);
    free(scratch);
    free(w);
    free(values);
    free(bias);
    free(x);
    free(y);
}

/* ---- what goes wrong, what is lost ---- */

static void weights_that_are_not_finite_are_refused(void **state)
{
    const struct kernels *k = kernels_of(KERNELS_PORTABLE);
    static const struct shape s = {"hostile", 256, 20};

    (void)state;
    for (int type = 0; type < BLOCK_TYPES; type++)
        for (size_t i = 0; i < 2; i++) {
            enum block_type t = (enum block_type)type;
            size_t row_bytes = s.n_in / block_elements(t) * block_bytes(t);
            uint64_t seed = 1;
            uint8_t *w = random_blocks(t, s.n_in * s.n_out, &seed);
            int scale_at = plain(t) ? 0 : block_scales_at(t)[i];
            struct block_linear *l = NULL;

            if (scale_at >= 0) {
                /* the last row; f16 infinity, and an infinity of the other plain types */
                uint8_t *at = w + (s.n_out - 1) * row_bytes + scale_at;

                memcpy(at,
                       t == BLOCK_F32    ? "\0\0\x80\x7F"
                       : t == BLOCK_BF16 ? "\x80\x7F"
                                         : "\0\x7C",
                       t == BLOCK_F32 ? 4 : 2);
                assert_int_equal(block_linear_new(k, t, w, row_bytes, s.n_out, s.n_in, BLOCK_Q4_1,
                                                  NULL, &l, NULL),
                                 RAG_ENUMERIC);
                assert_int_equal(
                    block_linear_new_fp32(k, t, w, row_bytes, s.n_out, s.n_in, NULL, &l, NULL),
                    RAG_ENUMERIC);
                assert_null(l);
            }
            free(w);
        }
}

static void sizes_beyond_the_limits_are_refused(void **state)
{
    struct block_linear *l = NULL;
    float bias = INFINITY;

    (void)state;
    assert_int_equal(block_linear_new(kernels_of(KERNELS_PORTABLE), BLOCK_Q8_0, NULL, 0, 1,
                                      (size_t)1 << 20, BLOCK_Q8_0, NULL, &l, NULL),
                     RAG_ELIMIT);
    assert_int_equal(block_linear_new(kernels_of(KERNELS_PORTABLE), BLOCK_Q8_0, NULL, 0,
                                      (size_t)1 << 40, 32, BLOCK_Q8_0, NULL, &l, NULL),
                     RAG_ELIMIT);
    assert_int_equal(block_linear_new(kernels_of(KERNELS_PORTABLE), BLOCK_Q8_0, NULL, 0, 1, 32,
                                      BLOCK_Q8_0, &bias, &l, NULL),
                     RAG_ENUMERIC);
}

/* Bell-shaped weights and activations, relative error of the product (root mean square). */
static void quantised_products_are_near_the_exact_ones(void **state)
{
    static const struct {
        enum block_type dense;
        double error;
    } rows[] = {
        {BLOCK_Q8_0, 0.012},
        {BLOCK_Q4_1, 0.08 },
    };
    static const struct shape s = {"quality", 2560, 64};
    const struct kernels *k = kernels_of(KERNELS_PORTABLE);
    uint64_t seed = 17;
    size_t n = 8;
    float *w = floats(s.n_in * s.n_out);
    float *x = floats(n * s.n_in);
    float *y = floats(n * s.n_out);
    void *memory = NULL;
    struct block_rows quantised;

    (void)state;
    for (size_t i = 0; i < s.n_in * s.n_out; i++)
        w[i] = draw_float(&seed) + draw_float(&seed) + draw_float(&seed) + draw_float(&seed);
    for (size_t i = 0; i < n * s.n_in; i++)
        x[i] = draw_float(&seed) + draw_float(&seed) + draw_float(&seed) + draw_float(&seed);
    quantised = quantized(k, &s, x, n, &memory);
    for (size_t r = 0; r < COUNT(rows); r++) {
        struct block_linear *l = NULL;
        double off = 0;
        double all = 0;

        assert_int_equal(block_linear_new(k, BLOCK_F32, (const uint8_t *)w, s.n_in * 4, s.n_out,
                                          s.n_in, rows[r].dense, NULL, &l, NULL),
                         RAG_OK);
        run(l, &quantised, n, 0, s.n_out, y, s.n_out);
        for (size_t i = 0; i < n * s.n_out; i++) {
            double exact = 0;

            for (size_t j = 0; j < s.n_in; j++)
                exact += (double)x[i / s.n_out * s.n_in + j] * (double)w[i % s.n_out * s.n_in + j];
            off += (exact - (double)y[i]) * (exact - (double)y[i]);
            all += exact * exact;
        }
        if (sqrt(off / all) > rows[r].error)
            fail_msg("%s: relative error %.4f, at most %.4f", block_type_name(rows[r].dense),
                     sqrt(off / all), rows[r].error);
        block_linear_free(l);
    }
    free(memory);
    free(w);
    free(x);
    free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(portable_twin_computes_what_the_file_says),
        cmocka_unit_test(every_path_gives_the_bits_of_the_portable_twin),
        cmocka_unit_test(a_result_does_not_depend_on_the_range),
        cmocka_unit_test(fp32_is_the_dequantised_product_whatever_the_batch_and_the_range),
        cmocka_unit_test(weights_that_are_not_finite_are_refused),
        cmocka_unit_test(sizes_beyond_the_limits_are_refused),
        cmocka_unit_test(quantised_products_are_near_the_exact_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
