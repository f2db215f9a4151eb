/* Goal: the fp32 encoder computes what independent float64 implementations compute, for every
 * family and head; a result depends on its own input alone, to the last bit; wrong inputs are
 * refused. Method: the golden files of tests/data/models (README.md there), whose differences are
 * compared with the 1e-5 that float32 leaves; a tanh for an erf GELU would already cost 2.6e-4. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "encoder_golden.h"
#include "nn/mapped_file.h"

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define TOLERANCE 1e-5
#define WIDTH_MAX 384

static struct row {
    const char *name;
    const char *model;
    const char *family;
    size_t n_labels;
    size_t max_tokens;
} rows[] = {
    {"BERT with a pooler and a classifier",         "tiny-bert-ce",       "bert",        1, 128},
    {"RoBERTa with its classification head",        "tiny-roberta-ce",    "roberta",     1, 128},
    {"XLM-RoBERTa with its classification head",    "tiny-xlmr-ce",       "xlm-roberta", 1, 128},
    {"XLM-RoBERTa without prefix, for CLS pooling", "tiny-xlmr-embed",    "xlm-roberta", 0, 128},
    {"ELECTRA, narrow embeddings, gamma and beta",  "tiny-electra-ce",    "electra",     2, 40 },
    {"DistilBERT in F16 under another file name",   "tiny-distilbert-ce", "distilbert",  1, 40 },
    {"BERT in BF16 shards with a tanh GELU",        "tiny-bert-sharded",  "bert",        0, 40 },
};

static struct encoder *open_model(const char *dir, struct compute_pool *pool)
{
    struct encoder_options options = {.precision = PRECISION_FP32, .pool = pool};
    struct encoder *e = NULL;
    struct rag_error error = {.text = ""};

    if (encoder_open(dir, &options, &e, &error) != RAG_OK)
        fail_msg("%s", error.text);
    return e;
}

static double worst(const double *expected, const float *got, size_t n)
{
    double most = 0;

    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(expected[i] - (double)got[i]));
    return most;
}

/* Compare where the record has the key. */
static double compare(const struct golden_record *r, const char *key, const float *got, size_t n)
{
    double expected[WIDTH_MAX];
    const struct json *array = golden_array(r, key);

    if (!array)
        return 0;
    assert_int_equal(golden_numbers(array, expected, WIDTH_MAX), n);
    return worst(expected, got, n);
}

static double check_record(const struct encoder *e, const struct golden_record *r,
                           const struct encoder_info *info)
{
    size_t hidden = info->hidden;
    size_t n = r->input.n_tokens;
    float *states = malloc(n * hidden * sizeof *states);
    float first[WIDTH_MAX];
    float logits[8];
    double logit = json_number(json_member(r->root, "logit"));
    double most;

    assert_int_equal(encoder_run(e, &r->input, 1, ENCODER_ALL_TOKENS, NULL, states, NULL), RAG_OK);
    assert_int_equal(encoder_run(e, &r->input, 1, ENCODER_FIRST_TOKEN, NULL, first, NULL), RAG_OK);
    assert_memory_equal(first, states, hidden * sizeof *first);
    most = compare(r, "cls_hidden", first, hidden);
    most = fmax(most, compare(r, "last_hidden", states + (n - 1) * hidden, hidden));
    if (info->n_labels) {
        assert_int_equal(encoder_classify(e, &r->input, 1, NULL, logits, NULL), RAG_OK);
        most = fmax(most, compare(r, "logits", logits, info->n_labels));
        if (!isnan(logit))
            most = fmax(most, fabs(logit - (double)logits[0]));
    }
    free(states);
    return most;
}

static void check_row(void **state)
{
    const struct row *row = *state;
    struct golden golden;
    struct encoder_info info;
    struct encoder *e;
    char dir[512];
    double most = 0;

    assert_true(golden_read(row->model, &golden));
    e = open_model(golden_tiny_dir(row->model, dir, sizeof dir), NULL);
    encoder_info(e, &info);
    assert_string_equal(info.family, row->family);
    assert_int_equal(info.n_labels, row->n_labels);
    assert_int_equal(info.max_tokens, row->max_tokens);
    assert_int_equal(info.n_layers, 2);
    assert_true(info.n_parameters > 10000 && info.bytes > 10000);
    for (size_t i = 0; i < golden.n; i++) {
        double difference = check_record(e, &golden.records[i], &info);

        if (!(difference <= TOLERANCE))
            fail_msg("%s: record '%s' differs by %.3g", row->model, golden.records[i].id,
                     difference);
        most = fmax(most, difference);
    }
    print_message("%s: %zu records, worst difference %.2g\n", row->model, golden.n, most);
    encoder_close(e);
    golden_release(&golden);
}

static void the_real_minilm_gives_its_golden_embeddings(void **state)
{
    struct golden golden;
    struct encoder *e;
    char dir[512];
    double most = 0;

    (void)state;
    if (!golden_real_dir("all-MiniLM-L6-v2", dir, sizeof dir))
        skip();
    assert_true(golden_read("all-MiniLM-L6-v2", &golden));
    e = open_model(dir, NULL);
    for (size_t i = 0; i < golden.n; i++) {
        const struct golden_record *r = &golden.records[i];
        float *states = malloc(r->input.n_tokens * 384 * sizeof *states);
        double mean[384];
        double expected[384];

        assert_int_equal(encoder_run(e, &r->input, 1, ENCODER_ALL_TOKENS, NULL, states, NULL),
                         RAG_OK);
        golden_mean(states, r->input.n_tokens, 384, mean);
        assert_int_equal(golden_numbers(golden_array(r, "embedding"), expected, 384), 384);
        for (size_t k = 0; k < 384; k++)
            most = fmax(most, fabs(mean[k] - expected[k]));
        free(states);
    }
    print_message("all-MiniLM-L6-v2: %zu records, worst difference %.2g\n", golden.n, most);
    assert_true(most <= TOLERANCE);
    encoder_close(e);
    golden_release(&golden);
}

/* ---- a result depends on its own input alone ---- */

#define MANY 40

/* MANY sequences of lengths 1 .. 128, from a fixed mixture; ids and types have room for 128 each.
 */
static void make_inputs(struct encoder_input *inputs, uint32_t *ids, size_t vocab_size)
{
    uint64_t seed = 17;

    for (size_t i = 0; i < MANY; i++) {
        inputs[i] = (struct encoder_input){.ids = ids + i * 128, .n_tokens = 1 + i * i * 7 % 128};
        for (size_t k = 0; k < inputs[i].n_tokens; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            ids[i * 128 + k] = (uint32_t)((seed >> 33) % vocab_size);
        }
    }
}

static float *run_all(const struct encoder *e, const struct encoder_input *inputs, size_t n,
                      enum encoder_rows which)
{
    float *ret = calloc(n * 128 * 48, sizeof *ret);

    assert_int_equal(encoder_run(e, inputs, n, which, NULL, ret, NULL), RAG_OK);
    return ret;
}

static void a_result_is_the_same_alone_and_in_any_company(void **state)
{
    struct encoder_input inputs[MANY];
    static uint32_t ids[MANY * 128];
    char dir[512];
    struct encoder *e = open_model(golden_tiny_dir("tiny-bert-ce", dir, sizeof dir), NULL);
    float *together;
    float *backwards;
    struct encoder_input reversed[MANY];
    size_t at = 0;

    (void)state;
    make_inputs(inputs, ids, 284);
    together = run_all(e, inputs, MANY, ENCODER_ALL_TOKENS);
    for (size_t i = 0; i < MANY; i++) {
        float *alone = run_all(e, &inputs[i], 1, ENCODER_ALL_TOKENS);

        assert_memory_equal(alone, together + at * 48, inputs[i].n_tokens * 48 * sizeof(float));
        at += inputs[i].n_tokens;
        reversed[MANY - 1 - i] = inputs[i];
        free(alone);
    }
    backwards = run_all(e, reversed, MANY, ENCODER_FIRST_TOKEN);
    at = 0;
    for (size_t i = 0; i < MANY; i++) {
        assert_memory_equal(backwards + (MANY - 1 - i) * 48, together + at * 48,
                            48 * sizeof(float));
        at += inputs[i].n_tokens;
    }
    free(together);
    free(backwards);
    encoder_close(e);
}

static void a_result_is_the_same_on_any_number_of_threads(void **state)
{
    static const size_t threads[] = {1, 2, 3, 8};
    struct encoder_input inputs[MANY];
    static uint32_t ids[MANY * 128];
    char dir[512];
    float *expected[2];
    struct encoder *e = open_model(golden_tiny_dir("tiny-xlmr-ce", dir, sizeof dir), NULL);

    (void)state;
    make_inputs(inputs, ids, 416);
    expected[0] = run_all(e, inputs, MANY, ENCODER_ALL_TOKENS);
    /* a lone long sequence is shared by the threads */
    expected[1] = run_all(e, &inputs[13], 1, ENCODER_ALL_TOKENS);
    encoder_close(e);
    for (size_t t = 0; t < COUNT(threads); t++) {
        struct compute_pool *pool = NULL;
        float *got;

        assert_int_equal(compute_pool_open(threads[t], &pool, NULL), RAG_OK);
        e = open_model(dir, pool);
        got = run_all(e, inputs, MANY, ENCODER_ALL_TOKENS);
        assert_memory_equal(got, expected[0], MANY * 128 * 48 * sizeof(float));
        free(got);
        got = run_all(e, &inputs[13], 1, ENCODER_ALL_TOKENS);
        assert_memory_equal(got, expected[1], 128 * 48 * sizeof(float));
        free(got);
        got = run_all(e, &inputs[13], 1, ENCODER_FIRST_TOKEN);
        assert_memory_equal(got, expected[1], 48 * sizeof(float));
        free(got);
        encoder_close(e);
        compute_pool_close(pool);
    }
    free(expected[0]);
    free(expected[1]);
}

/* ---- what is refused ---- */

static void wrong_inputs_are_refused_by_number(void **state)
{
    uint32_t ids[129] = {0};
    uint32_t bad_ids[2] = {1, 284};
    uint8_t bad_types[2] = {0, 2};
    const struct {
        struct encoder_input input;
        const char *words;
    } bad[] = {
        {{ids, NULL, 0},      "input 1: 0 tokens, the model takes 1 to 128"},
        {{ids, NULL, 129},    "input 1: 129 tokens"                        },
        {{bad_ids, NULL, 2},  "input 1: token 1 has id 284, the vocabulary"},
        {{ids, bad_types, 2}, "input 1: token 1 is of segment 2, the model"},
    };
    char dir[512];
    struct encoder *e = open_model(golden_tiny_dir("tiny-bert-ce", dir, sizeof dir), NULL);
    static float states[400 * 48];
    struct rag_error error;
    atomic_bool cancel = true;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct encoder_input inputs[2] = {
            {ids, NULL, 3},
            bad[i].input
        };

        assert_int_equal(encoder_run(e, inputs, 2, ENCODER_ALL_TOKENS, NULL, states, &error),
                         RAG_EINVAL);
        if (!strstr(error.text, bad[i].words))
            fail_msg("message: %s", error.text);
    }
    assert_int_equal(encoder_run(e, NULL, 0, ENCODER_ALL_TOKENS, NULL, states, &error), RAG_OK);
    assert_int_equal(encoder_classify(e, NULL, 0, NULL, states, &error), RAG_OK);
    assert_int_equal(encoder_run(e, &(struct encoder_input){ids, NULL, 5}, 1, ENCODER_ALL_TOKENS,
                                 &cancel, states, &error),
                     RAG_ECANCELLED);
    encoder_close(e);
    e = open_model(golden_tiny_dir("tiny-xlmr-embed", dir, sizeof dir), NULL);
    assert_int_equal(
        encoder_classify(e, &(struct encoder_input){ids, NULL, 5}, 1, NULL, states, &error),
        RAG_EINVAL);
    assert_non_null(strstr(error.text, "no classification head"));
    encoder_close(e);
    encoder_close(NULL);
}

/* A copy of a tiny model with one thing changed by a shell command run in it. */
static struct damage {
    const char *name;
    const char *model;
    const char *command;
    enum rag_status status; /* of encoder_open() */
    const char *words;
} damages[] = {
    {"a config with more layers than the file",    "tiny-bert-ce",
     "sed -i 's/\"num_hidden_layers\": 2/\"num_hidden_layers\": 3/' config.json",                            RAG_EFORMAT,
     "tensor 'bert.encoder.layer.2.attention.output.LayerNorm.weight': missing, expected [48]"                                                },
    {"a config with another width",                "tiny-bert-ce",
     "sed -i 's/\"hidden_size\": 48/\"hidden_size\": 64/' config.json",                                      RAG_EFORMAT,
     "'bert.embeddings.word_embeddings.weight': shape [284, 48], expected [284, 64]"                                                          },
    {"a config with another vocabulary",           "tiny-roberta-ce",
     "sed -i 's/\"vocab_size\": 381/\"vocab_size\": 382/' config.json",                                      RAG_EFORMAT,
     "expected [382, 48]"                                                                                                                     },
    {"a config with another intermediate width",   "tiny-xlmr-ce",
     "sed -i 's/\"intermediate_size\": 96/\"intermediate_size\": 95/' config.json",                          RAG_EFORMAT,
     "intermediate.dense.weight': shape [96, 48], expected [95, 48]"                                                                          },
    {"a config with two labels for a head of one", "tiny-roberta-ce",
     "sed -i 's/\"0\": \"LABEL_0\"/\"0\": \"a\", \"1\": \"b\"/' config.json",                                RAG_EFORMAT,
     "'classifier.out_proj.weight': shape [1, 48], expected [2, 48]"                                                                          },
    {"a classifier without its head",              "tiny-xlmr-embed",
     "sed -i 's/XLMRobertaModel/XLMRobertaForSequenceClassification/' config.json",                          RAG_EFORMAT,
     "classifier"                                                                                                                             },
    {"weights of another family",                  "tiny-distilbert-ce", "cp ../config.other config.json",
     RAG_EFORMAT,                                                                                                           "missing"         },
    {"no config",                                  "tiny-bert-ce",       "rm config.json",                   RAG_ENOTFOUND, "config.json"     },
    {"no weights",                                 "tiny-bert-ce",       "rm model.safetensors",             RAG_ENOTFOUND, "no *.safetensors"},
    {"cut weights",                                "tiny-bert-ce",       "truncate -s -1 model.safetensors", RAG_EFORMAT,   "cut?"            },
    {"a directory without an encoder",             "tiny-bert-ce",
     "sed -i 's/word_embeddings/w0rd_embeddings/' model.safetensors",                                        RAG_EFORMAT,
     "'embeddings.word_embeddings.weight': missing, with any"                                                                                 },
    {"a NaN among the weights",                    "tiny-bert-ce",
     "printf '\\000\\000\\300\\177' | dd of=model.safetensors bs=1 seek=200000 conv=notrunc "
     "2>/dev/null",                                                                                          RAG_ENUMERIC,
     "tensor 'bert.encoder.layer.1.intermediate.dense.weight': element 378 is not a finite"                                                   },
};

static void check_damage(void **state)
{
    const struct damage *row = *state;
    struct encoder_options options = {.precision = PRECISION_FP32};
    struct rag_error error = {.text = ""};
    struct encoder *e = NULL;
    char dir[] = "/tmp/rag-encoder-XXXXXX";
    char command[1024];
    uint32_t ids[3] = {1, 2, 3};
    float states[3 * 48];
    enum rag_status status;

    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof command,
             "cd %s && cp -r " RAG_TEST_DATA "/models/%s m && "
             "cp " RAG_TEST_DATA "/models/tiny-bert-sharded/config.json config.other && cd m && %s",
             dir, row->model, row->command);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "%s/m", dir);
    status = encoder_open(command, &options, &e, &error);
    if (status == RAG_OK) /* a NaN may stand where only a run meets it */
        status = encoder_run(e, &(struct encoder_input){ids, NULL, 3}, 1, ENCODER_ALL_TOKENS, NULL,
                             states, &error);
    assert_int_equal(status, row->status);
    if (!strstr(error.text, row->words))
        fail_msg("message: %s", error.text);
    encoder_close(e);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

static void a_file_cut_under_a_live_model_is_an_error(void **state)
{
    struct encoder *e;
    char dir[] = "/tmp/rag-encoder-XXXXXX";
    char command[1024];
    uint32_t ids[3] = {1, 2, 3};
    float states[3 * 48];
    struct rag_error error;

    (void)state;
    assert_int_equal(mapped_file_guard(NULL), RAG_OK); /* cmocka sets its own handler per test */
    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof command, "cp -r " RAG_TEST_DATA "/models/tiny-bert-ce/* %s", dir);
    assert_int_equal(system(command), 0);
    e = open_model(dir, NULL);
    snprintf(command, sizeof command, "truncate -s 10000 %s/model.safetensors", dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(encoder_run(e, &(struct encoder_input){ids, NULL, 3}, 1, ENCODER_ALL_TOKENS,
                                 NULL, states, &error),
                     RAG_EIO);
    assert_non_null(strstr(error.text, "model.safetensors"));
    encoder_close(e);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + COUNT(damages) + 5];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[n++] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    for (size_t i = 0; i < COUNT(damages); i++)
        tests[n++] = (struct CMUnitTest){damages[i].name, check_damage, NULL, NULL, &damages[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(the_real_minilm_gives_its_golden_embeddings);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_result_is_the_same_alone_and_in_any_company);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_result_is_the_same_on_any_number_of_threads);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(wrong_inputs_are_refused_by_number);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_file_cut_under_a_live_model_is_an_error);
    return cmocka_run_group_tests_name("encoder", tests, NULL, NULL);
}
