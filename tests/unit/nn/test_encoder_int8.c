/* Goal: the int8 encoder stays near the fp32 one, on every kernel path with the same integers, and
 * layers that do not bear int8 are found and kept in fp32. Method: cosines to the golden states,
 * and a model whose one channel was scaled by 100 in a way that leaves its function as it was. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "encoder_golden.h"
#include "scaled_model.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct encoder *open_int8(const char *dir, struct compute_pool *pool)
{
    struct encoder_options options = {.precision = PRECISION_INT8, .pool = pool};
    struct encoder *e = NULL;
    struct rag_error error = {.text = ""};

    if (encoder_open(dir, &options, &e, &error) != RAG_OK)
        fail_msg("%s", error.text);
    return e;
}

/* Of the first token's state to the golden one. */
static double first_cosine(const struct encoder *e, const struct golden_record *r, size_t hidden)
{
    float got[64];
    double value[64];
    double expected[64];

    assert_int_equal(encoder_run(e, &r->input, 1, ENCODER_FIRST_TOKEN, NULL, got, NULL), RAG_OK);
    assert_int_equal(golden_numbers(golden_array(r, "cls_hidden"), expected, 64), hidden);
    for (size_t i = 0; i < hidden; i++)
        value[i] = (double)got[i];
    return golden_cosine(value, expected, hidden);
}

static void the_real_minilm_keeps_its_embeddings(void **state)
{
    struct golden golden;
    struct encoder *e;
    struct encoder_info info;
    char dir[512];
    double least = 1;
    double sum = 0;

    (void)state;
    if (!golden_real_dir("all-MiniLM-L6-v2", dir, sizeof dir))
        skip();
    assert_true(golden_read("all-MiniLM-L6-v2", &golden));
    e = open_int8(dir, NULL);
    encoder_info(e, &info);
    for (size_t i = 0; i < golden.n; i++) {
        const struct golden_record *r = &golden.records[i];
        float *states = malloc(r->input.n_tokens * 384 * sizeof *states);
        double mean[384];
        double expected[384];
        double cosine;

        assert_int_equal(encoder_run(e, &r->input, 1, ENCODER_ALL_TOKENS, NULL, states, NULL),
                         RAG_OK);
        golden_mean(states, r->input.n_tokens, 384, mean);
        assert_int_equal(golden_numbers(golden_array(r, "embedding"), expected, 384), 384);
        cosine = golden_cosine(mean, expected, 384);
        sum += cosine;
        least = fmin(least, cosine);
        free(states);
    }
    print_message(
        "all-MiniLM-L6-v2 on %s: %zu records, cosine at least %.5f, mean %.5f, %zu fp32\n",
        info.kernels, golden.n, least, sum / (double)golden.n, info.n_fp32_layers);
    assert_true(least >= 0.99);
    assert_true(sum / (double)golden.n >= 0.995);
    encoder_close(e);
    golden_release(&golden);
}

/* ---- tiny models ---- */

static void tiny_models_stay_near_their_golden_states(void **state)
{
    static const char *const models[] = {
        "tiny-bert-ce",    "tiny-roberta-ce",    "tiny-xlmr-ce",     "tiny-xlmr-embed",
        "tiny-electra-ce", "tiny-distilbert-ce", "tiny-bert-sharded"};

    (void)state;
    for (size_t m = 0; m < COUNT(models); m++) {
        char dir[512];
        struct golden golden;
        struct encoder *e = open_int8(golden_tiny_dir(models[m], dir, sizeof dir), NULL);
        struct encoder_info info;
        double least = 1;

        encoder_info(e, &info);
        assert_true(golden_read(models[m], &golden));
        for (size_t i = 0; i < golden.n; i++)
            least = fmin(least, first_cosine(e, &golden.records[i], info.hidden));
        print_message("%s on %s: cosine at least %.5f, %zu layers fp32\n", models[m], info.kernels,
                      least, info.n_fp32_layers);
        assert_true(least >= 0.99);
        assert_int_equal(info.n_fp32_layers, 0);
        encoder_close(e);
        golden_release(&golden);
    }
}

/* ---- a channel that is scaled, and scaled back ---- */

static struct scaled {
    const char *name;
    float factor;
    size_t n_fp32; /* layers that have to be kept */
} scaled[] = {
    {"a channel of 100 is evened out",           100,  0},
    {"a channel of 10^9 is kept in fp32, alone", 1e9f, 1},
};

static void check_scaled(void **state)
{
    const struct scaled *row = *state;
    char dir[] = "/tmp/rag-int8-XXXXXX";
    char command[512];
    struct golden golden;
    struct encoder *e;
    struct encoder_info info;
    struct encoder_input inputs[GOLDEN_RECORDS_MAX];
    struct layer_check *checks = NULL;
    size_t n_checks = 0;
    double least = 1;

    assert_non_null(mkdtemp(dir));
    write_scaled(dir, row->factor);
    e = open_int8(dir, NULL);
    encoder_info(e, &info);
    assert_int_equal(info.n_fp32_layers, row->n_fp32);
    assert_true(golden_read("tiny-bert-ce", &golden));
    for (size_t i = 0; i < golden.n; i++) {
        inputs[i] = golden.records[i].input;
        least = fmin(least, first_cosine(e, &golden.records[i], info.hidden));
    }
    print_message("%s: cosine at least %.5f\n", row->name, least);
    assert_true(least >= 0.99);

    assert_int_equal(encoder_check(e, inputs, golden.n, &checks, &n_checks, NULL), RAG_OK);
    assert_int_equal(n_checks, 8);
    assert_string_equal(checks[4].name, "encoder.layer.1.attention.self.query,key,value");
    assert_string_equal(checks[5].name, "encoder.layer.1.attention.output.dense");
    for (size_t i = 0; i < n_checks; i++) {
        assert_int_equal(checks[i].fp32, i == 5 && row->n_fp32);
        assert_int_equal(checks[i].cosine_min >= 0.99, !checks[i].fp32);
    }
    free(checks);
    encoder_close(e);
    golden_release(&golden);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

static void only_an_int8_encoder_is_checked(void **state)
{
    struct encoder_options options = {.precision = PRECISION_FP32};
    struct encoder *e = NULL;
    struct layer_check *checks = NULL;
    struct rag_error error;
    char dir[512];
    size_t n = 0;

    (void)state;
    golden_tiny_dir("tiny-bert-ce", dir, sizeof dir);
    assert_int_equal(encoder_open(dir, &options, &e, &error), RAG_OK);
    assert_int_equal(encoder_check(e, NULL, 0, &checks, &n, &error), RAG_EINVAL);
    encoder_close(e);
}

/* ---- a result depends on its own input alone ---- */

static void int8_is_the_same_in_any_company_and_on_any_threads(void **state)
{
    static const size_t threads[] = {1, 2, 5};
    static float expected[GOLDEN_RECORDS_MAX * 48];
    static float got[GOLDEN_RECORDS_MAX * 48];
    struct encoder_input inputs[GOLDEN_RECORDS_MAX];
    struct golden golden;
    char dir[512];

    (void)state;
    assert_true(golden_read("tiny-roberta-ce", &golden));
    golden_tiny_dir("tiny-roberta-ce", dir, sizeof dir);
    for (size_t t = 0; t < COUNT(threads); t++) {
        struct compute_pool *pool = NULL;
        struct encoder *e;

        assert_int_equal(compute_pool_open(threads[t], &pool, NULL), RAG_OK);
        e = open_int8(dir, pool);
        for (size_t i = 0; i < golden.n; i++) {
            inputs[i] = golden.records[i].input;
            assert_int_equal(
                encoder_run(e, &inputs[i], 1, ENCODER_FIRST_TOKEN, NULL, got + i * 48, NULL),
                RAG_OK);
        }
        if (t == 0)
            memcpy(expected, got, sizeof got);
        assert_memory_equal(got, expected, sizeof got);
        assert_int_equal(encoder_run(e, inputs, golden.n, ENCODER_FIRST_TOKEN, NULL, got, NULL),
                         RAG_OK);
        assert_memory_equal(got, expected, sizeof got);
        encoder_close(e);
        compute_pool_close(pool);
    }
    golden_release(&golden);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(tiny_models_stay_near_their_golden_states),
        {scaled[0].name, check_scaled, NULL, NULL, &scaled[0]},
        {scaled[1].name, check_scaled, NULL, NULL, &scaled[1]},
        cmocka_unit_test(only_an_int8_encoder_is_checked),
        cmocka_unit_test(int8_is_the_same_in_any_company_and_on_any_threads),
        cmocka_unit_test(the_real_minilm_keeps_its_embeddings),
    };

    return cmocka_run_group_tests_name("encoder_int8", tests, NULL, NULL);
}
