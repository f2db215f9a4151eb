/* Goal: the reference path computes what an independent float64 implementation computes, for every
 * family, from a directory and from a GGUF file; the fast path is near it; what cannot be computed
 * is refused, and leaves every sequence as it was. Method: the tiny models of tests/data/models
 * (README.md there). A norm epsilon a hundred times too large would already cost 1.5e-3. */
#define _GNU_SOURCE
#include <unistd.h>

#include "decoder_fixture.h"
#include "nn/mapped_file.h"

#define TOLERANCE 1e-4

static const struct row {
    const char *name;
    const char *golden;
    const char *family;
    double int8_rms; /* of the logits, whose deviation is about 4: what 8 bits may cost */
} rows[] = {
    {"tiny-llama",             "tiny-llama",        "llama",  0.2},
    {"tiny-llama.gguf",        "tiny-llama",        "llama",  0.2},
    {"tiny-exaone",            "tiny-exaone",       "exaone", 0.2},
    {"tiny-qwen2",             "tiny-qwen2",        "qwen2",  0.2},
    {"tiny-qwen3",             "tiny-qwen3",        "qwen3",  0.2},
    {"tiny-gemma3",            "tiny-gemma3",       "gemma3", 0.2},
    {"tiny-gemma3.gguf",       "tiny-gemma3",       "gemma3", 0.2},
    {"tiny-llama-mixedq.gguf", "tiny-llama-mixedq", "llama",  0.1},
};

struct difference {
    double most;
    double squares;
    size_t n;
};

static void add_differences(const struct fixture *f, const struct golden_sequence *g,
                            struct difference *to)
{
    float *logits = calloc(g->n * f->vocab, sizeof *logits);
    struct kv_sequence *s = fixture_sequence(f);

    assert_non_null(logits);
    fixture_run(f, s, g->ids, g->n, g->n, logits);
    assert_int_equal(kv_sequence_length(s), g->n);
    for (size_t i = 0; i < g->n_places; i++)
        for (size_t j = 0; j < f->vocab; j++) {
            double difference = fabs((double)logits[g->places[i] * f->vocab + j] - g->logits[i][j]);

            to->most = difference <= to->most ? to->most : difference;
            to->squares += difference * difference;
            to->n++;
        }
    kv_sequence_close(s);
    free(logits);
}

static struct difference compare(const struct row *r, enum decoder_precision precision)
{
    struct fixture f = fixture_open(r->name, precision, 2);
    struct golden_sequence *g = malloc(sizeof *g);
    struct difference ret = {0};
    struct decoder_info info;
    char path[512];
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    FILE *file;

    assert_non_null(g);
    decoder_info(f.d, &info);
    assert_string_equal(info.family, r->family);
    snprintf(path, sizeof path, RAG_TEST_DATA "/models/%s.jsonl", r->golden);
    file = fopen(path, "r");
    assert_non_null(file);
    while ((n = getline(&line, &cap, file)) > 0) {
        golden_parse(line, (size_t)n, g);
        add_differences(&f, g, &ret);
    }
    assert_true(ret.n > 0);
    fclose(file);
    free(line);
    free(g);
    fixture_release(&f);
    return ret;
}

static void fp32_gives_the_reference_logits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct difference d = compare(&rows[i], DECODER_FP32);

        if (!(d.most <= TOLERANCE))
            fail_msg("%s: a logit is off by %g", rows[i].name, d.most);
    }
}

static void blocks_give_nearly_the_reference_logits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct difference d = compare(&rows[i], DECODER_BLOCKS);
        double rms = sqrt(d.squares / (double)d.n);

        if (!(rms <= rows[i].int8_rms))
            fail_msg("%s: logits are off by %g (rms), %g at most", rows[i].name, rms, d.most);
    }
}

static void a_decoder_says_what_it_is(void **state)
{
    struct fixture blocks = fixture_open("tiny-llama", DECODER_BLOCKS, 0);
    struct fixture fp32 = fixture_open("tiny-llama", DECODER_FP32, 0);
    struct decoder_info narrow;
    struct decoder_info wide;

    (void)state;
    decoder_info(blocks.d, &narrow);
    decoder_info(fp32.d, &wide);
    assert_int_equal(narrow.context_max, 256);
    assert_int_equal(narrow.vocab_size, 96);
    /* 2 layers of q 64x64, k and v 16x64, o 64x64, three of 112x64 and two norms; two tables of
     * 96x64; a norm */
    assert_int_equal(narrow.n_parameters,
                     2 * (2 * 64 * 64 + 2 * 16 * 64 + 3 * 112 * 64 + 2 * 64) + 2 * 96 * 64 + 64);
    assert_int_equal(wide.n_parameters, narrow.n_parameters);
    assert_true(narrow.bytes < wide.bytes);
    assert_true(narrow.kv_bytes_per_token >= 2 * 2 * 2 * 8 * sizeof(uint16_t));
    assert_true(wide.kv_bytes_per_token >= 2 * 2 * 2 * 8 * sizeof(float));
    fixture_release(&blocks);
    fixture_release(&fp32);
    decoder_close(NULL);
}

/* ---- what is refused ---- */

static void what_does_not_fit_is_refused_and_changes_nothing(void **state)
{
    static const struct {
        const char *name;
        size_t n;
        uint32_t last;
        enum rag_status status;
        const char *words;
    } refused[] = {
        {"an id behind the vocabulary",     3,   96, RAG_EINVAL, "96"     },
        {"more tokens than the context",    252, 1,  RAG_EINVAL, "context"},
        {"more tokens than the budget has", 200, 1,  RAG_ELIMIT, "budget" },
    };
    struct fixture f = fixture_open("tiny-llama", DECODER_BLOCKS, 0);
    struct kv_cache_options options = decoder_kv_options(f.d);
    struct kv_sequence *s = NULL;
    uint32_t ids[300];
    float *before = calloc(2, f.vocab * sizeof *before);
    float *after = before + f.vocab;

    (void)state;
    kv_cache_close(f.kv);
    options.budget_bytes = 5 * options.n_layers * options.layer_page_bytes;
    assert_int_equal(kv_cache_open(&options, &f.kv, NULL), RAG_OK);
    s = fixture_sequence(&f);
    for (size_t i = 0; i < COUNT(ids); i++)
        ids[i] = (uint32_t)i % 90;
    fixture_run(&f, s, ids, 5, 0, NULL);
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct decoder_input input = {s, ids + 5, refused[i].n, 0, NULL};
        struct rag_error error = {.text = ""};
        uint32_t kept = ids[5 + refused[i].n - 1];

        ids[5 + refused[i].n - 1] = refused[i].last;
        if (i == 1)
            assert_int_equal(input.n + kv_sequence_length(s), 257);
        if (decoder_run(f.d, &input, 1, NULL, &error) != refused[i].status ||
            !strstr(error.text, refused[i].words))
            fail_msg("%s: '%s'", refused[i].name, error.text);
        ids[5 + refused[i].n - 1] = kept;
        assert_int_equal(kv_sequence_length(s), 5);
    }
    fixture_run(&f, s, ids + 5, 1, 1, after);
    kv_sequence_close(s);
    s = fixture_sequence(&f);
    fixture_run(&f, s, ids, 6, 1, before);
    assert_memory_equal(before, after, f.vocab * sizeof *before);
    kv_sequence_close(s);
    free(before);
    fixture_release(&f);
}

static void count_layers(void *context)
{
    ++*(size_t *)context;
}

static void a_cancelled_call_leaves_the_sequence_as_it_was(void **state)
{
    struct fixture f = fixture_open("tiny-gemma3", DECODER_BLOCKS, 2);
    struct kv_sequence *s = fixture_sequence(&f);
    float *logits = calloc(2, f.vocab * sizeof *logits);
    atomic_bool cancel = true;
    size_t n_between = 0;
    struct decoder_run_options options = {&cancel, count_layers, &n_between};
    const uint32_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    struct decoder_input input = {s, ids, COUNT(ids), 1, logits};

    (void)state;
    assert_int_equal(decoder_run(f.d, &input, 1, &options, NULL), RAG_ECANCELLED);
    assert_int_equal(kv_sequence_length(s), 0);
    cancel = false;
    assert_int_equal(decoder_run(f.d, &input, 1, &options, NULL), RAG_OK);
    assert_int_equal(kv_sequence_length(s), COUNT(ids));
    assert_true(n_between > 0);
    kv_sequence_truncate(s, 0);
    input.ret_logits = logits + f.vocab;
    assert_int_equal(decoder_run(f.d, &input, 1, NULL, NULL), RAG_OK);
    assert_memory_equal(logits, logits + f.vocab, f.vocab * sizeof *logits);
    kv_sequence_close(s);
    free(logits);
    fixture_release(&f);
}

/* ---- models that are not what they should be ---- */

/* A copy of tiny-llama in a directory of its own. */
static void copy_model(char *ret_dir, size_t size)
{
    char command[1400];

    snprintf(ret_dir, size, "/tmp/rag-decoder-XXXXXX");
    assert_non_null(mkdtemp(ret_dir));
    snprintf(command, sizeof command, "cp '%s/models/tiny-llama/'* '%s'", RAG_TEST_DATA, ret_dir);
    assert_int_equal(system(command), 0);
}

static void remove_model(const char *dir)
{
    char command[600];

    snprintf(command, sizeof command, "rm -r '%s'", dir);
    assert_int_equal(system(command), 0);
}

/* Every number of a tensor of the copy's file becomes 'value'. */
static void fill_tensor(const char *dir, const char *name, float value)
{
    char path[600];
    char key[128];
    char *header = NULL;
    char *at = NULL;
    uint64_t n_header = 0;
    unsigned long begin = 0;
    unsigned long end = 0;
    FILE *f;

    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fread(&n_header, sizeof n_header, 1, f), 1);
    header = calloc(1, (size_t)n_header + 1);
    assert_non_null(header);
    assert_int_equal(fread(header, (size_t)n_header, 1, f), 1);
    snprintf(key, sizeof key, "\"%s\"", name);
    at = strstr(header, key);
    assert_non_null(at);
    at = strstr(at, "data_offsets");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "data_offsets\":[%lu,%lu]", &begin, &end), 2);
    assert_int_equal(fseek(f, (long)(8 + n_header + begin), SEEK_SET), 0);
    for (unsigned long i = begin; i < end; i += sizeof value)
        assert_int_equal(fwrite(&value, sizeof value, 1, f), 1);
    assert_int_equal(fclose(f), 0);
    free(header);
}

static void numbers_that_are_not_finite_are_an_error_and_leave_no_trace(void **state)
{
    static const uint32_t ids[] = {1, 2, 3, 4};
    static const char *const tensors[] = {"model.norm.weight",
                                          "model.layers.1.input_layernorm.weight"};
    char dir[64];

    (void)state;
    for (size_t i = 0; i < COUNT(tensors); i++) {
        struct rag_error error = {.text = ""};
        struct kv_sequence *s = NULL;
        struct decoder_input input;
        struct fixture f;
        float logits[VOCAB_MAX];

        copy_model(dir, sizeof dir);
        fill_tensor(dir, tensors[i], 3e38f);
        assert_int_equal(fixture_try(dir, DECODER_FP32, 0, &f, &error), RAG_OK);
        s = fixture_sequence(&f);
        input = (struct decoder_input){s, ids, COUNT(ids), 1, logits};
        assert_int_equal(decoder_run(f.d, &input, 1, NULL, &error), RAG_ENUMERIC);
        assert_non_null(strstr(error.text, "finite"));
        assert_int_equal(kv_sequence_length(s), 0);
        kv_sequence_close(s);
        fixture_release(&f);
        remove_model(dir);
    }
    copy_model(dir, sizeof dir);
    fill_tensor(dir, "model.layers.0.mlp.up_proj.weight", INFINITY);
    {
        struct rag_error error = {.text = ""};
        struct fixture f;

        assert_int_equal(fixture_try(dir, DECODER_BLOCKS, 2, &f, &error), RAG_ENUMERIC);
        assert_non_null(strstr(error.text, "model.layers.0.mlp.up_proj.weight"));
    }
    remove_model(dir);
}

static void a_file_that_is_cut_while_it_is_in_use_is_an_error(void **state)
{
    static const uint32_t ids[] = {95, 94};
    struct rag_error error = {.text = ""};
    struct kv_sequence *s = NULL;
    struct decoder_input input;
    float logits[VOCAB_MAX];
    struct fixture f;
    char dir[64];
    char path[600];

    (void)state;
    assert_int_equal(mapped_file_guard(NULL), RAG_OK); /* over cmocka's own handler */
    copy_model(dir, sizeof dir);
    assert_int_equal(fixture_try(dir, DECODER_BLOCKS, 2, &f, NULL), RAG_OK);
    s = fixture_sequence(&f);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    assert_int_equal(truncate(path, 8192), 0);
    input = (struct decoder_input){s, ids, COUNT(ids), 1, logits};
    assert_int_equal(decoder_run(f.d, &input, 1, NULL, &error), RAG_EIO);
    assert_int_equal(kv_sequence_length(s), 0);
    kv_sequence_close(s);
    fixture_release(&f);
    remove_model(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fp32_gives_the_reference_logits),
        cmocka_unit_test(blocks_give_nearly_the_reference_logits),
        cmocka_unit_test(a_decoder_says_what_it_is),
        cmocka_unit_test(what_does_not_fit_is_refused_and_changes_nothing),
        cmocka_unit_test(a_cancelled_call_leaves_the_sequence_as_it_was),
        cmocka_unit_test(numbers_that_are_not_finite_are_an_error_and_leave_no_trace),
        cmocka_unit_test(a_file_that_is_cut_while_it_is_in_use_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
