/* Goal: a token's logits are the same bits alone, among others, in chunks of any size, behind pages
 * that were known, after a draft was taken back, and on any number of threads; for each instruction
 * set and precision. Method: one call for all tokens with all logits is the reference, with which
 * every other way of computing them is compared. */
#define _GNU_SOURCE
#include "decoder_fixture.h"
#include "kernel_paths.h"

#define N_TOKENS 150

/* The first ones on every path, the others, which differ in shapes only, on the best one. */
static const char *const models[] = {"tiny-gemma3", "tiny-llama-mixedq.gguf",
                                     "tiny-llama",  "tiny-exaone",
                                     "tiny-qwen3",  "tiny-qwen2"};
#define N_ON_EVERY_PATH 2

/* What is being compared, for messages. */
static char what[160];

static void draw_ids(const struct fixture *f, uint64_t seed, uint32_t *ret)
{
    for (size_t i = 0; i < N_TOKENS; i++)
        ret[i] = (uint32_t)(draw(&seed) % f->vocab);
}

static void equal(const struct fixture *f, const float *expected, const float *got, size_t n,
                  const char *how)
{
    if (memcmp(expected, got, n * f->vocab * sizeof *got) != 0)
        fail_msg("%s: other logits %s", what, how);
}

static float *logits_of(const struct fixture *f, size_t n)
{
    float *ret = calloc(n * f->vocab, sizeof *ret);

    assert_non_null(ret);
    return ret;
}

static void in_chunks(const struct fixture *f, const uint32_t *ids, const float *expected)
{
    static const size_t chunks[] = {1, 17, 64};
    float *got = logits_of(f, N_TOKENS);

    for (size_t i = 0; i < COUNT(chunks); i++) {
        struct kv_sequence *s = fixture_sequence(f);
        char how[64];

        memset(got, 0, N_TOKENS * f->vocab * sizeof *got);
        for (size_t at = 0; at < N_TOKENS; at += chunks[i]) {
            size_t n = N_TOKENS - at < chunks[i] ? N_TOKENS - at : chunks[i];

            fixture_run(f, s, ids + at, n, n, got + at * f->vocab);
        }
        snprintf(how, sizeof how, "in chunks of %zu", chunks[i]);
        equal(f, expected, got, N_TOKENS, how);
        kv_sequence_close(s);
    }
    free(got);
}

static void with_few_logits_wanted(const struct fixture *f, const uint32_t *ids,
                                   const float *expected)
{
    float *got = logits_of(f, 2);
    struct kv_sequence *s = fixture_sequence(f);

    fixture_run(f, s, ids, 100, 0, NULL);
    fixture_run(f, s, ids + 100, 20, 2, got);
    equal(f, expected + 118 * f->vocab, got, 2, "when only two are wanted");
    fixture_run(f, s, ids + 120, 1, 1, got);
    equal(f, expected + 120 * f->vocab, got, 1, "behind rows whose logits nobody wanted");
    kv_sequence_close(s);
    free(got);
}

/* Four sequences in one call, one of them ours: more rows than a slice has. */
static void among_others(const struct fixture *f, const uint32_t *ids, const float *expected)
{
    float *got = logits_of(f, N_TOKENS);
    struct decoder_input inputs[5] = {0};
    uint32_t others[4][N_TOKENS];

    for (size_t i = 0; i < 4; i++)
        draw_ids(f, 100 + i, others[i]);
    for (size_t place = 0; place < 5; place += 4) {
        for (size_t i = 0; i < 5; i++) {
            size_t n = i == place ? N_TOKENS : N_TOKENS - 10 * i;

            inputs[i] = (struct decoder_input){
                .sequence = fixture_sequence(f),
                .ids = i == place ? ids : others[i < place ? i : i - 1],
                .n = n,
                .n_logits = i == place ? n : 0,
                .ret_logits = i == place ? got : NULL,
            };
        }
        assert_int_equal(decoder_run(f->d, inputs, 5, NULL, NULL), RAG_OK);
        equal(f, expected, got, N_TOKENS, "among four others");
        for (size_t i = 0; i < 5; i++)
            kv_sequence_close(inputs[i].sequence);
    }
    free(got);
}

/* Four sequences decoded together, of which the first is ours. */
static void decoded_with_others(const struct fixture *f, const uint32_t *ids, const float *expected)
{
    float *got = logits_of(f, 4);
    struct decoder_input inputs[4] = {0};
    uint32_t others[4][N_TOKENS];

    for (size_t i = 0; i < 4; i++) {
        draw_ids(f, 200 + i, others[i]);
        inputs[i].sequence = fixture_sequence(f);
        inputs[i].ids = i == 0 ? ids : others[i];
        inputs[i].n = 40 + 13 * i;
    }
    assert_int_equal(decoder_run(f->d, inputs, 4, NULL, NULL), RAG_OK);
    for (size_t at = 40; at < 70; at++) {
        for (size_t i = 0; i < 4; i++) {
            inputs[i].ids = i == 0 ? ids + at : others[i] + at;
            inputs[i].n = 1;
            inputs[i].n_logits = 1;
            inputs[i].ret_logits = got + i * f->vocab;
        }
        assert_int_equal(decoder_run(f->d, inputs, 4, NULL, NULL), RAG_OK);
        equal(f, expected + at * f->vocab, got, 1, "decoded beside three others");
    }
    for (size_t i = 0; i < 4; i++)
        kv_sequence_close(inputs[i].sequence);
    free(got);
}

static void from_known_pages(const struct fixture *f, const uint32_t *ids, const float *expected)
{
    float *got = logits_of(f, N_TOKENS);
    struct kv_sequence *s = fixture_sequence(f);
    size_t n;

    fixture_run(f, s, ids, N_TOKENS, 0, NULL);
    kv_sequence_close(s);
    assert_int_equal(kv_sequence_open(f->kv, ids, 100, &s, NULL), RAG_OK);
    n = kv_sequence_length(s);
    assert_int_equal(n, 96);
    fixture_run(f, s, ids + n, N_TOKENS - n, N_TOKENS - n, got);
    equal(f, expected + n * f->vocab, got, N_TOKENS - n, "behind known pages");
    kv_sequence_close(s);
    free(got);
}

static void after_drafts(const struct fixture *f, const uint32_t *ids, const float *expected)
{
    static const size_t places[] = {20, 64, 90};
    float *got = logits_of(f, N_TOKENS);
    uint32_t draft[N_TOKENS];
    struct kv_sequence *s = fixture_sequence(f);
    size_t at = 0;

    draw_ids(f, 300, draft);
    for (size_t i = 0; i < COUNT(places); i++) {
        fixture_run(f, s, ids + at, places[i] - at, places[i] - at, got);
        equal(f, expected + at * f->vocab, got, places[i] - at, "after a draft");
        at = places[i];
        fixture_run(f, s, draft, 45, 45, got); /* what comes out of it is of no interest */
        kv_sequence_truncate(s, at);
    }
    fixture_run(f, s, ids + at, 8, 8, got); /* verified at once */
    equal(f, expected + at * f->vocab, got, 8, "of a draft that is right");
    kv_sequence_close(s);
    free(got);
}

static void on_threads(const struct fixture *f, const char *model, enum decoder_precision precision,
                       const uint32_t *ids, const float *expected)
{
    float *got = logits_of(f, N_TOKENS);

    for (size_t n_threads = 0; n_threads <= 3; n_threads += 3) {
        struct fixture other = fixture_open(model, precision, n_threads);
        struct kv_sequence *s = fixture_sequence(&other);

        fixture_run(&other, s, ids, N_TOKENS - 4, N_TOKENS - 4, got);
        for (size_t i = N_TOKENS - 4; i < N_TOKENS; i++)
            fixture_run(&other, s, ids + i, 1, 1, got + i * f->vocab);
        equal(f, expected, got, N_TOKENS, "on another number of threads");
        kv_sequence_close(s);
        fixture_release(&other);
    }
    free(got);
}

static void check(const char *model, enum decoder_precision precision)
{
    struct fixture f = fixture_open(model, precision, 2);
    float *expected = logits_of(&f, N_TOKENS);
    struct kv_sequence *s = fixture_sequence(&f);
    uint32_t ids[N_TOKENS];

    draw_ids(&f, 7, ids);
    fixture_run(&f, s, ids, N_TOKENS, N_TOKENS, expected);
    kv_sequence_close(s);
    in_chunks(&f, ids, expected);
    with_few_logits_wanted(&f, ids, expected);
    among_others(&f, ids, expected);
    decoded_with_others(&f, ids, expected);
    from_known_pages(&f, ids, expected);
    after_drafts(&f, ids, expected);
    on_threads(&f, model, precision, ids, expected);
    free(expected);
    fixture_release(&f);
}

static void on_every_path(enum decoder_precision precision)
{
    const struct kernels *best = NULL;
    const struct kernels *k;
    size_t at = 0;

    assert_int_equal(kernels_choose(&best, NULL), RAG_OK);
    while ((k = next_path(&at))) {
        assert_int_equal(setenv("RAGD_KERNELS", kernels_name(k), 1), 0);
        for (size_t i = 0; i < (k == best ? COUNT(models) : N_ON_EVERY_PATH); i++) {
            snprintf(what, sizeof what, "%s, %s, %s", kernels_name(k), models[i],
                     precision == DECODER_FP32 ? "fp32" : "blocks");
            check(models[i], precision);
        }
    }
    unsetenv("RAGD_KERNELS");
}

static void logits_in_blocks_are_the_same_bits_however_they_are_computed(void **state)
{
    (void)state;
    on_every_path(DECODER_BLOCKS);
}

static void logits_in_fp32_are_the_same_bits_however_they_are_computed(void **state)
{
    (void)state;
    on_every_path(DECODER_FP32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_in_blocks_are_the_same_bits_however_they_are_computed),
        cmocka_unit_test(logits_in_fp32_are_the_same_bits_however_they_are_computed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
