/* Goal: vectors are those of the reference, whatever else is in the call; options and roles do what
 * they say; and a fingerprint changes with everything that changes a vector. */
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "base/json.h"
#include "embed/bi_encoder.h"
#include "tests/lib/temp_model.h"

#define TINY       RAG_TEST_DATA "/models/tiny-xlmr-embed"
#define DIM        48
#define GOLDEN_MAX 64

static struct bi_encoder *open_model(const char *dir, struct bi_encoder_options options)
{
    struct rag_error error = {0};
    struct bi_encoder *b = NULL;

    if (bi_encoder_open(dir, &options, &b, &error) != RAG_OK)
        fail_msg("%s: %s", dir, error.text);
    return b;
}

static void embed_one(const struct bi_encoder *b, const char *text, enum embed_role role,
                      float *ret)
{
    const struct embed_text t = {text, strlen(text)};

    assert_int_equal(bi_encoder_embed(b, &t, 1, role, NULL, ret, NULL, NULL), RAG_OK);
}

/* The lines of a reference file; free each with json_free(). */
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

static void vectors_are_those_of_the_reference_alone_and_together(void **state)
{
    struct bi_encoder *b = open_model(TINY, (struct bi_encoder_options){.pooling = "cls"});
    struct json *golden[GOLDEN_MAX];
    size_t n = read_golden(TINY ".jsonl", golden);
    struct embed_text texts[GOLDEN_MAX];
    float(*vectors)[DIM] = calloc(n, sizeof *vectors);
    uint32_t tokens[GOLDEN_MAX];

    (void)state;
    assert_non_null(vectors);
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string(json_member(golden[i], "text"));

        texts[i] = (struct embed_text){text, strlen(text)};
    }
    assert_int_equal(bi_encoder_embed(b, texts, n, EMBED_PLAIN, NULL, vectors[0], tokens, NULL),
                     RAG_OK);
    for (size_t i = 0; i < n; i++) {
        const struct json *want = json_first(json_member(golden[i], "embedding"));
        float alone[DIM];

        assert_int_equal(tokens[i], json_size(json_member(golden[i], "token_ids")));
        embed_one(b, texts[i].text, EMBED_PLAIN, alone);
        assert_memory_equal(alone, vectors[i], sizeof alone);
        for (size_t d = 0; d < DIM; d++, want = json_next(want)) {
            if (!(fabs((double)vectors[i][d] - json_number(want)) < 1e-5))
                fail_msg("'%s' [%zu]: %.9g, expected %.9g", texts[i].text, d, (double)vectors[i][d],
                         json_number(want));
        }
    }
    for (size_t i = 0; i < n; i++)
        json_free(golden[i]);
    free(vectors);
    bi_encoder_close(b);
}

static void thousands_of_texts_come_back_in_their_order(void **state)
{
    enum { N = 2 * EMBED_WINDOW_TEXTS + 7 };
    struct compute_pool *pool = NULL;
    struct embed_text *texts = calloc(N, sizeof *texts);
    float(*vectors)[DIM] = calloc(N, sizeof *vectors);
    char(*words)[64] = calloc(N, sizeof *words);
    struct bi_encoder *b;

    (void)state;
    assert_true(texts && vectors && words);
    assert_int_equal(compute_pool_open(3, &pool, NULL), RAG_OK);
    b = open_model(TINY, (struct bi_encoder_options){.pool = pool});
    for (size_t i = 0; i < N; i++) {
        memset(words[i], 'a' + (char)(i % 26), 1 + i % 60);
        texts[i] = (struct embed_text){words[i], 1 + i % 60};
    }
    assert_int_equal(bi_encoder_embed(b, texts, N, EMBED_PLAIN, NULL, vectors[0], NULL, NULL),
                     RAG_OK);
    for (size_t i = 0; i < N; i += 97) {
        float alone[DIM];

        embed_one(b, words[i], EMBED_PLAIN, alone);
        assert_memory_equal(alone, vectors[i], sizeof alone);
    }
    bi_encoder_close(b);
    compute_pool_close(pool);
    free(texts);
    free(vectors);
    free(words);
}

static void roles_put_their_prompt_before_the_text(void **state)
{
    const struct bi_encoder_options options = {.query_prompt = "query: ",
                                               .passage_prompt = "passage: "};
    struct bi_encoder *b = open_model(TINY, options);
    float by_role[DIM];
    float by_hand[DIM];

    (void)state;
    embed_one(b, "seoul", EMBED_QUERY, by_role);
    embed_one(b, "query: seoul", EMBED_PLAIN, by_hand);
    assert_memory_equal(by_role, by_hand, sizeof by_hand);
    embed_one(b, "seoul", EMBED_PASSAGE, by_role);
    embed_one(b, "passage: seoul", EMBED_PLAIN, by_hand);
    assert_memory_equal(by_role, by_hand, sizeof by_hand);
    bi_encoder_close(b);
}

static void fewer_dimensions_are_the_first_ones_rescaled(void **state)
{
    struct bi_encoder *all = open_model(TINY, (struct bi_encoder_options){0});
    struct bi_encoder *few = open_model(TINY, (struct bi_encoder_options){.dim = 10});
    double squares = 0.0;
    float v[DIM];
    float w[DIM];

    (void)state;
    embed_one(all, "the capital of korea", EMBED_PLAIN, v);
    embed_one(few, "the capital of korea", EMBED_PLAIN, w);
    for (size_t d = 0; d < 10; d++)
        squares += (double)v[d] * (double)v[d];
    for (size_t d = 0; d < 10; d++)
        assert_true(fabs((double)w[d] - (double)v[d] / sqrt(squares)) < 1e-6);
    bi_encoder_close(all);
    bi_encoder_close(few);
}

static void long_texts_are_cut_and_limits_are_kept(void **state)
{
    struct bi_encoder *b = open_model(TINY, (struct bi_encoder_options){.max_tokens = 6});
    struct bi_encoder *wide = open_model(TINY, (struct bi_encoder_options){.max_tokens = 100000});
    const struct embed_text text = {"one two three four five six seven eight nine ten", 48};
    struct bi_encoder_info info;
    uint32_t tokens = 0;
    float v[DIM];

    (void)state;
    assert_int_equal(bi_encoder_embed(b, &text, 1, EMBED_PLAIN, NULL, v, &tokens, NULL), RAG_OK);
    assert_int_equal(tokens, 6);
    bi_encoder_info(wide, &info);
    assert_int_equal(info.max_tokens, 128); /* 130 positions, the first two unused */
    assert_int_equal(info.dim, DIM);
    assert_string_equal(info.name, "tiny-xlmr-embed");
    assert_string_equal(info.pooling, "mean");
    bi_encoder_close(b);
    bi_encoder_close(wide);
}

static void what_cannot_be_embedded_is_said(void **state)
{
    struct bi_encoder *b = open_model(TINY, (struct bi_encoder_options){0});
    const struct embed_text bad[] = {
        {"fine", 4},
        {"\xff", 1}
    };
    struct rag_error error = {0};
    atomic_bool cancel = true;
    float v[2][DIM];

    (void)state;
    assert_int_equal(bi_encoder_embed(b, bad, 2, EMBED_PLAIN, NULL, v[0], NULL, &error),
                     RAG_EINVAL);
    assert_non_null(strstr(error.text, "text 2"));
    assert_int_equal(bi_encoder_embed(b, bad, 1, EMBED_PLAIN, &cancel, v[0], NULL, &error),
                     RAG_ECANCELLED);
    assert_int_equal(bi_encoder_embed(b, NULL, 0, EMBED_PLAIN, NULL, NULL, NULL, &error), RAG_OK);
    bi_encoder_close(b);
}

static void senseless_options_are_refused(void **state)
{
    static char long_prompt[MODEL_PROMPT_BYTES_MAX + 2];
    static const struct {
        const char *name;
        struct bi_encoder_options options;
        const char *message;
    } rows[] = {
        {"more dimensions than there are",    {.dim = DIM + 1},              "dimension 49"  },
        {"a pooling that is not known",       {.pooling = "sum"},            "pooling 'sum'" },
        {"no room for one token of the text", {.max_tokens = 2},             "special tokens"},
        {"a prompt longer than its limit",    {.query_prompt = long_prompt}, "limit is"      },
    };

    (void)state;
    memset(long_prompt, 'x', sizeof long_prompt - 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rag_error error = {0};
        struct bi_encoder *b = NULL;

        if (bi_encoder_open(TINY, &rows[i].options, &b, &error) != RAG_EINVAL || b ||
            !strstr(error.text, rows[i].message))
            fail_msg("%s: '%s'", rows[i].name, error.text);
    }
}

static void fingerprint_of(const char *dir, struct bi_encoder_options options,
                           char ret[EMBEDDER_FINGERPRINT_BYTES])
{
    struct bi_encoder *b = open_model(dir, options);
    struct bi_encoder_info info;

    bi_encoder_info(b, &info);
    strcpy(ret, info.fingerprint);
    bi_encoder_close(b);
}

static void a_fingerprint_changes_with_whatever_changes_a_vector(void **state)
{
    static const struct {
        const char *name;
        struct bi_encoder_options options;
        const char *file; /* that is added to the folder first */
        const char *text;
        bool same;
    } rows[] = {
        {"the same again",            {0},                           NULL,                        NULL,                      true },
        {"int8 is near enough",       {.precision = PRECISION_INT8}, NULL,                        NULL,                      true },
        {"a file that nobody reads",  {0},                           "notes.txt",                 "x",                       true },
        {"another pooling",           {.pooling = "cls"},            NULL,                        NULL,                      false},
        {"fewer dimensions",          {.dim = 12},                   NULL,                        NULL,                      false},
        {"fewer tokens",              {.max_tokens = 20},            NULL,                        NULL,                      false},
        {"a prompt before questions", {.query_prompt = "q: "},       NULL,                        NULL,                      false},
        {"a prompt before passages",  {.passage_prompt = "p: "},     NULL,                        NULL,                      false},
        {"a limit in a file",         {0},                           "sentence_bert_config.json", "{\"max_seq_length\":33}", false},
    };
    char base[EMBEDDER_FINGERPRINT_BYTES];

    (void)state;
    fingerprint_of(TINY, (struct bi_encoder_options){0}, base);
    assert_int_equal(strlen(base), 64);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char other[EMBEDDER_FINGERPRINT_BYTES];
        struct temp_model m;

        temp_model_make(&m);
        temp_model_copy(&m, TINY);
        if (rows[i].file)
            temp_model_text(&m, rows[i].file, rows[i].text);
        fingerprint_of(m.dir, rows[i].options, other);
        if ((strcmp(base, other) == 0) != rows[i].same)
            fail_msg("%s: the fingerprint is %s", rows[i].name,
                     rows[i].same ? "another one" : "the same");
        temp_model_remove(&m);
    }
}

/* With biases each: all that a fingerprint can have to take in. */
static void as_many_dense_layers_as_there_may_be_are_open(void **state)
{
    static const float values[4 * DIM] = {1, 2, 3};
    struct bi_encoder_info info;
    struct bi_encoder *b;
    struct temp_model m;
    char modules[1024] = "[{\"type\":\"a.Transformer\",\"path\":\"\"},"
                         "{\"type\":\"a.Pooling\",\"path\":\"1_Pooling\"}";

    (void)state;
    temp_model_make(&m);
    temp_model_copy(&m, TINY);
    for (int i = 0; i < MODEL_DENSE_MAX; i++) {
        size_t n_in = i == 0 ? DIM : 4;
        const struct temp_tensor tensors[] = {
            {.name = "linear.weight", .rows = 4, .columns = n_in, .values = values},
            {.name = "linear.bias",   .rows = 0, .columns = 4,    .values = values},
        };
        char name[64];
        char text[128];

        sprintf(modules + strlen(modules), ",{\"type\":\"a.Dense\",\"path\":\"%d_Dense\"}", i + 2);
        sprintf(text, "{\"in_features\":%zu,\"out_features\":4,\"bias\":true}", n_in);
        sprintf(name, "%d_Dense/config.json", i + 2);
        temp_model_text(&m, name, text);
        sprintf(name, "%d_Dense/model.safetensors", i + 2);
        temp_model_tensors(&m, name, tensors, 2);
    }
    strcat(modules, "]");
    temp_model_text(&m, "modules.json", modules);
    temp_model_text(&m, "1_Pooling/config.json", "{\"pooling_mode\":\"mean\"}");
    b = open_model(m.dir, (struct bi_encoder_options){0});
    bi_encoder_info(b, &info);
    assert_int_equal(info.dim, 4);
    bi_encoder_close(b);
    temp_model_remove(&m);
}

static void one_changed_bit_of_the_weights_changes_the_fingerprint(void **state)
{
    char before[EMBEDDER_FINGERPRINT_BYTES];
    char after[EMBEDDER_FINGERPRINT_BYTES];
    char path[TEMP_PATH_BYTES];
    struct temp_model m;
    FILE *f;
    int c;

    (void)state;
    temp_model_make(&m);
    temp_model_copy(&m, TINY);
    fingerprint_of(m.dir, (struct bi_encoder_options){0}, before);
    temp_model_path(&m, "model.safetensors", path);
    f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, -4, SEEK_END);
    c = fgetc(f);
    fseek(f, -4, SEEK_END);
    fputc(c ^ 1, f);
    fclose(f);
    fingerprint_of(m.dir, (struct bi_encoder_options){0}, after);
    assert_string_not_equal(before, after);
    temp_model_remove(&m);
}

static void a_dense_layer_comes_behind_the_pooling(void **state)
{
    static const char modules[] = "[{\"type\":\"a.Transformer\",\"path\":\"\"},"
                                  "{\"type\":\"a.Pooling\",\"path\":\"1_Pooling\"},"
                                  "{\"type\":\"a.Dense\",\"path\":\"2_Dense\"}]";
    float weight[2][DIM] = {{0}};
    const struct temp_tensor tensor = {"linear.weight", 2, DIM, weight[0]};
    struct bi_encoder *plain = open_model(TINY, (struct bi_encoder_options){0});
    struct bi_encoder *dense;
    struct bi_encoder_info info;
    struct temp_model m;
    double length;
    float v[DIM];
    float w[2];

    (void)state;
    weight[0][3] = 1.0f;
    weight[1][40] = 1.0f;
    temp_model_make(&m);
    temp_model_copy(&m, TINY);
    temp_model_text(&m, "modules.json", modules);
    temp_model_text(&m, "1_Pooling/config.json", "{\"pooling_mode_mean_tokens\":true}");
    temp_model_text(&m, "2_Dense/config.json",
                    "{\"in_features\":48,\"out_features\":2,\"bias\":false,"
                    "\"activation_function\":\"torch.nn.modules.linear.Identity\"}");
    temp_model_tensors(&m, "2_Dense/model.safetensors", &tensor, 1);
    dense = open_model(m.dir, (struct bi_encoder_options){0});
    bi_encoder_info(dense, &info);
    assert_int_equal(info.dim, 2);
    embed_one(plain, "seoul", EMBED_PLAIN, v);
    embed_one(dense, "seoul", EMBED_PLAIN, w);
    length = sqrt((double)v[3] * (double)v[3] + (double)v[40] * (double)v[40]);
    assert_true(fabs((double)w[0] - (double)v[3] / length) < 1e-5);
    assert_true(fabs((double)w[1] - (double)v[40] / length) < 1e-5);
    bi_encoder_close(plain);
    bi_encoder_close(dense);
    temp_model_remove(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_those_of_the_reference_alone_and_together),
        cmocka_unit_test(thousands_of_texts_come_back_in_their_order),
        cmocka_unit_test(roles_put_their_prompt_before_the_text),
        cmocka_unit_test(fewer_dimensions_are_the_first_ones_rescaled),
        cmocka_unit_test(long_texts_are_cut_and_limits_are_kept),
        cmocka_unit_test(what_cannot_be_embedded_is_said),
        cmocka_unit_test(senseless_options_are_refused),
        cmocka_unit_test(a_fingerprint_changes_with_whatever_changes_a_vector),
        cmocka_unit_test(as_many_dense_layers_as_there_may_be_are_open),
        cmocka_unit_test(one_changed_bit_of_the_weights_changes_the_fingerprint),
        cmocka_unit_test(a_dense_layer_comes_behind_the_pooling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
