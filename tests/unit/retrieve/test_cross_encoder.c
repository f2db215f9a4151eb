/* Goal: scores are those of the reference, in any company; a deadline ends the scoring between
 * groups; models that cannot rerank are refused. */
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/json.h"
#include "retrieve/cross_encoder.h"
#include "tests/lib/temp_model.h"

#define MODELS     RAG_TEST_DATA "/models/"
#define GOLDEN_MAX 64

static struct cross_encoder *open_model(const char *dir, struct cross_encoder_options options)
{
    struct rag_error error = {0};
    struct cross_encoder *x = NULL;

    if (cross_encoder_open(dir, &options, &x, &error) != RAG_OK)
        fail_msg("%s: %s", dir, error.text);
    return x;
}

static size_t read_golden(const char *name, struct json *ret[GOLDEN_MAX])
{
    static char line[1 << 20];
    FILE *f = fopen(name, "rb");
    size_t n = 0;

    assert_non_null(f);
    while (n < GOLDEN_MAX && fgets(line, sizeof line, f))
        assert_int_equal(json_parse(line, strlen(line), name, &ret[n++], NULL), RAG_OK);
    fclose(f);
    assert_true(n > 4);
    return n;
}

static struct pair_text text_of(const struct json *record, const char *key)
{
    const char *text = json_string(json_member(record, key));

    return (struct pair_text){text ? text : "", text ? strlen(text) : 0};
}

static void scores_are_those_of_the_reference(void **state)
{
    static const char *const names[] = {"tiny-bert-ce", "tiny-roberta-ce", "tiny-xlmr-ce"};

    (void)state;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        struct json *golden[GOLDEN_MAX];
        struct cross_encoder *x;
        char path[512];
        size_t n;

        snprintf(path, sizeof path, MODELS "%s", names[k]);
        x = open_model(path, (struct cross_encoder_options){0});
        snprintf(path, sizeof path, MODELS "%s.jsonl", names[k]);
        n = read_golden(path, golden);
        for (size_t i = 0; i < n; i++) {
            struct pair_text passage = text_of(golden[i], "pair");
            double logit = json_number(json_member(golden[i], "logit"));
            double limit = json_number(json_member(golden[i], "max_length"));
            size_t n_scored = 0;
            float score = NAN;
            float raw = NAN;

            if (limit < 128.0)
                continue; /* truncated pairs have a test of their own */
            assert_int_equal(cross_encoder_score(x, text_of(golden[i], "text"), &passage, 1, true,
                                                 0, NULL, &raw, &n_scored, NULL),
                             RAG_OK);
            assert_int_equal(cross_encoder_score(x, text_of(golden[i], "text"), &passage, 1, false,
                                                 0, NULL, &score, &n_scored, NULL),
                             RAG_OK);
            if (!(fabs((double)raw - logit) < 1e-5))
                fail_msg("%s '%s': %.9g, expected %.9g", names[k],
                         json_string(json_member(golden[i], "id")), (double)raw, logit);
            assert_true(fabs((double)score - 1.0 / (1.0 + exp(-logit))) < 1e-5);
        }
        for (size_t i = 0; i < n; i++)
            json_free(golden[i]);
        cross_encoder_close(x);
    }
}

static void truncated_pairs_are_those_of_the_reference(void **state)
{
    struct json *golden[GOLDEN_MAX];
    size_t n = read_golden(MODELS "tiny-bert-ce.jsonl", golden);
    size_t n_cut = 0;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        double limit = json_number(json_member(golden[i], "max_length"));
        struct pair_text passage = text_of(golden[i], "pair");
        struct cross_encoder *x;
        size_t n_scored;
        float raw = NAN;

        if (!(limit < 128.0))
            continue;
        n_cut++;
        x = open_model(MODELS "tiny-bert-ce",
                       (struct cross_encoder_options){.max_tokens = (size_t)limit});
        assert_int_equal(cross_encoder_score(x, text_of(golden[i], "text"), &passage, 1, true, 0,
                                             NULL, &raw, &n_scored, NULL),
                         RAG_OK);
        assert_true(fabs((double)raw - json_number(json_member(golden[i], "logit"))) < 1e-5);
        cross_encoder_close(x);
    }
    assert_true(n_cut > 0);
    for (size_t i = 0; i < n; i++)
        json_free(golden[i]);
}

/* 200 passages of growing length; every score must be what the pair has alone. */
static void many_passages_keep_their_order_and_their_scores(void **state)
{
    enum { N = 200 };
    static char words[N][128];
    const struct pair_text query = {"what is the capital", 19};
    struct pair_text passages[N];
    struct compute_pool *pool = NULL;
    struct cross_encoder *x;
    float scores[N];
    size_t n = 0;

    (void)state;
    assert_int_equal(compute_pool_open(2, &pool, NULL), RAG_OK);
    x = open_model(MODELS "tiny-bert-ce", (struct cross_encoder_options){.pool = pool});
    for (size_t i = 0; i < N; i++) {
        memset(words[i], 'a' + (char)(i % 26), 1 + i % 90);
        passages[i] = (struct pair_text){words[i], 1 + i % 90};
    }
    assert_int_equal(cross_encoder_score(x, query, passages, N, false, 0, NULL, scores, &n, NULL),
                     RAG_OK);
    assert_int_equal(n, N);
    for (size_t i = 0; i < N; i += 13) {
        float alone = NAN;

        assert_int_equal(
            cross_encoder_score(x, query, &passages[i], 1, false, 0, NULL, &alone, &n, NULL),
            RAG_OK);
        assert_true(alone == scores[i]);
        assert_true(alone > 0.0f && alone < 1.0f);
    }
    cross_encoder_close(x);
    compute_pool_close(pool);
}

static void a_deadline_that_has_passed_scores_one_group(void **state)
{
    enum { N = 400 };
    const struct pair_text query = {"what is the capital", 19};
    static const char text[] = "seoul is the capital of korea and its largest city by far";
    struct pair_text passages[N];
    struct cross_encoder *x = open_model(MODELS "tiny-bert-ce", (struct cross_encoder_options){0});
    float scores[N];
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < N; i++)
        passages[i] = (struct pair_text){text, sizeof text - 1};
    scores[1] = -7.0f;
    assert_int_equal(cross_encoder_score(x, query, passages, N, false, clock_monotonic_ns() - 1,
                                         NULL, scores, &n, NULL),
                     RAG_OK);
    assert_int_equal(n, 1);
    assert_true(scores[0] > 0.0f && scores[1] == -7.0f);
    assert_int_equal(cross_encoder_score(x, query, passages, N, false,
                                         clock_monotonic_ns() + 3600 * (int64_t)1000000000, NULL,
                                         scores, &n, NULL),
                     RAG_OK);
    assert_int_equal(n, N);
    cross_encoder_close(x);
}

static void two_labels_are_a_softmax(void **state)
{
    struct cross_encoder *x =
        open_model(MODELS "tiny-electra-ce", (struct cross_encoder_options){0});
    const struct pair_text query = {"a b c", 5};
    const struct pair_text passage = {"d e f g", 7};
    struct token_list list = {0};
    const struct tokenize_options options = {.special = true};
    struct encoder_input input;
    size_t n = 0;
    float logits[2];
    float score = NAN;
    float raw = NAN;

    (void)state;
    assert_int_equal(cross_encoder_score(x, query, &passage, 1, true, 0, NULL, &raw, &n, NULL),
                     RAG_OK);
    assert_int_equal(cross_encoder_score(x, query, &passage, 1, false, 0, NULL, &score, &n, NULL),
                     RAG_OK);
    assert_int_equal(tokenizer_encode(cross_encoder_tokenizer(x), query.text, query.n_bytes,
                                      passage.text, passage.n_bytes, &options, &list, NULL),
                     RAG_OK);
    input = (struct encoder_input){list.ids, list.types, list.n};
    assert_int_equal(encoder_classify(cross_encoder_encoder(x), &input, 1, NULL, logits, NULL),
                     RAG_OK);
    assert_true(fabs((double)raw - ((double)logits[1] - (double)logits[0])) < 1e-6);
    assert_true(fabs((double)score - exp((double)logits[1]) /
                                         (exp((double)logits[0]) + exp((double)logits[1]))) < 1e-6);
    token_list_release(&list);
    cross_encoder_close(x);
}

static void what_cannot_be_scored_is_said(void **state)
{
    struct cross_encoder *x = open_model(MODELS "tiny-bert-ce", (struct cross_encoder_options){0});
    const struct pair_text query = {"what", 4};
    const struct pair_text bad[] = {
        {"fine",     4},
        {"\xff\xfe", 2}
    };
    struct cross_encoder_info info;
    struct cross_encoder *none = NULL;
    struct rag_error error = {0};
    atomic_bool cancel = true;
    float scores[2];
    size_t n = 9;

    (void)state;
    assert_int_equal(cross_encoder_score(x, query, bad, 2, false, 0, NULL, scores, &n, &error),
                     RAG_EINVAL);
    assert_non_null(strstr(error.text, "passage 2"));
    assert_int_equal(cross_encoder_score(x, query, bad, 1, false, 0, &cancel, scores, &n, &error),
                     RAG_ECANCELLED);
    assert_int_equal(n, 9);
    assert_int_equal(cross_encoder_score(x, query, NULL, 0, false, 0, NULL, NULL, &n, &error),
                     RAG_OK);
    assert_int_equal(n, 0);
    cross_encoder_info(x, &info);
    assert_int_equal(info.max_tokens, 128);
    assert_int_equal(strlen(info.fingerprint), 64);
    assert_string_equal(info.name, "tiny-bert-ce");
    cross_encoder_close(x);
    assert_int_equal(cross_encoder_open(MODELS "tiny-xlmr-embed",
                                        &(struct cross_encoder_options){0}, &none, &error),
                     RAG_EFORMAT);
    assert_non_null(strstr(error.text, "no classification head"));
    assert_int_equal(cross_encoder_open(MODELS "tiny-bert-ce",
                                        &(struct cross_encoder_options){.max_tokens = 4}, &none,
                                        &error),
                     RAG_EINVAL);
    assert_null(none);
}

/* The fault of the model's files, not of who asks. */
static void a_token_that_the_model_has_not_is_said_with_its_passage(void **state)
{
    static const char added[] = "\"added_tokens\": [";
    static char text[16384];
    char changed[sizeof text + 64];
    const struct pair_text query = {"what", 4};
    const struct pair_text passages[] = {
        {"fine",     4},
        {"new word", 8}
    };
    struct rag_error error = {0};
    struct cross_encoder *x;
    struct temp_model m;
    char path[TEMP_PATH_BYTES];
    float scores[2];
    const char *at;
    size_t n = 9;
    FILE *f;

    (void)state;
    temp_model_make(&m);
    temp_model_copy(&m, MODELS "tiny-bert-ce");
    temp_model_path(&m, "tokenizer.json", path);
    f = fopen(path, "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    at = strstr(text, added);
    assert_non_null(at);
    at += strlen(added);
    snprintf(changed, sizeof changed, "%.*s{\"id\":99999,\"content\":\"new\"},%s", (int)(at - text),
             text, at);
    temp_model_text(&m, "tokenizer.json", changed);
    x = open_model(m.dir, (struct cross_encoder_options){0});
    assert_int_equal(cross_encoder_score(x, query, passages, 2, false, 0, NULL, scores, &n, &error),
                     RAG_EFORMAT);
    assert_non_null(strstr(error.text, "passage 2: token 99999"));
    assert_int_equal(n, 9);
    cross_encoder_close(x);
    temp_model_remove(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_the_reference),
        cmocka_unit_test(truncated_pairs_are_those_of_the_reference),
        cmocka_unit_test(many_passages_keep_their_order_and_their_scores),
        cmocka_unit_test(a_deadline_that_has_passed_scores_one_group),
        cmocka_unit_test(two_labels_are_a_softmax),
        cmocka_unit_test(what_cannot_be_scored_is_said),
        cmocka_unit_test(a_token_that_the_model_has_not_is_said_with_its_passage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
