/* Goal: a packed file gives, opened as int8, the very layers that its folder gives; its int8 word
 * embeddings cost next to nothing; the same folder gives the same bytes; a damaged file is an error
 * that says what is wrong with which tensor. Method: layers and results compared to the last bit,
 * cosines to the golden files, and packed files with one thing changed in each. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/temp_model.h"
#include "encoder_golden.h"
#include "nn/encoder_internal.h"
#include "nn/encoder_pack.h"
#include "nn/linear_packed.h"
#include "nn/model_tensors.h"
#include "scaled_model.h"

#define COUNT(a)       (sizeof(a) / sizeof((a)[0]))
#define FILE_BYTES_MAX 300000

static struct encoder *open_encoder(const char *dir, enum precision precision)
{
    struct encoder_options options = {.precision = precision};
    struct encoder *e = NULL;
    struct rag_error error = {.text = ""};

    if (encoder_open(dir, &options, &e, &error) != RAG_OK)
        fail_msg("%s", error.text);
    return e;
}

/* The weights of 'dir' packed into m, with its config.json. */
static void pack_into(const struct temp_model *m, const char *dir, struct compute_pool *pool,
                      struct encoder_pack_info *info)
{
    char path[TEMP_PATH_BYTES];
    char config[TEMP_PATH_BYTES];
    char command[2 * TEMP_PATH_BYTES + 16];
    struct rag_error error = {.text = ""};

    temp_model_path(m, "model.safetensors", path);
    if (encoder_pack(dir, pool, path, info, &error) != RAG_OK)
        fail_msg("%s", error.text);
    temp_model_path(m, "config.json", config);
    snprintf(command, sizeof command, "cp %s/config.json %s", dir, config);
    assert_int_equal(system(command), 0);
}

/* ---- what is equal ---- */

static void same_linears(const struct linear *a, const struct linear *b)
{
    size_t n = linear_n_in(a);
    int8_t *rows = malloc(2 * n);

    assert_int_equal(linear_is_int8(a), linear_is_int8(b));
    assert_int_equal(linear_n_in(b), n);
    assert_int_equal(linear_n_out(b), linear_n_out(a));
    assert_memory_equal(linear_bias(a), linear_bias(b), linear_n_out(a) * sizeof(float));
    for (size_t o = 0; linear_is_int8(a) && o < linear_n_out(a); o++) {
        float scale_a = linear_int8_row(a, o, rows);
        float scale_b = linear_int8_row(b, o, rows + n);

        assert_memory_equal(rows, rows + n, n);
        assert_true(scale_a == scale_b || scale_a == 0);
    }
    free(rows);
}

static void same_layers(const struct encoder *a, const struct encoder *b)
{
    for (size_t i = 0; i < a->config.n_layers; i++)
        for (size_t k = 0; k < LAYER_LINEARS; k++) {
            const struct linear *l = a->layers[i].linears[k];

            same_linears(l, b->layers[i].linears[k]);
            if (linear_is_int8(l))
                assert_memory_equal(a->layers[i].columns[k], b->layers[i].columns[k],
                                    linear_n_in(l) * sizeof(float));
        }
}

/* With the word embeddings of the folder in place of its own, a packed model's results are the
 * folder's, to the last bit. */
static void same_results(const struct encoder *folder, struct encoder *packed,
                         const struct golden *golden)
{
    const struct tensor *word = packed->word;
    float *scale = packed->word_scale;

    packed->word = folder->word;
    packed->word_scale = NULL;
    for (size_t i = 0; i < golden->n; i++) {
        const struct encoder_input *input = &golden->records[i].input;
        size_t n = input->n_tokens * folder->config.hidden;
        float *states = calloc(2 * n, sizeof *states);
        float logits[2][8] = {{0}};

        assert_int_equal(encoder_run(folder, input, 1, ENCODER_ALL_TOKENS, NULL, states, NULL),
                         RAG_OK);
        assert_int_equal(encoder_run(packed, input, 1, ENCODER_ALL_TOKENS, NULL, states + n, NULL),
                         RAG_OK);
        assert_memory_equal(states, states + n, n * sizeof *states);
        if (folder->n_labels > 0) {
            assert_int_equal(encoder_classify(folder, input, 1, NULL, logits[0], NULL), RAG_OK);
            assert_int_equal(encoder_classify(packed, input, 1, NULL, logits[1], NULL), RAG_OK);
            assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
        }
        free(states);
    }
    packed->word = word;
    packed->word_scale = scale;
}

/* ---- what is near ---- */

static double first_cosine(const struct encoder *e, const struct golden_record *r)
{
    float got[64];
    double value[64];
    double expected[64];
    size_t n = e->config.hidden;

    assert_int_equal(encoder_run(e, &r->input, 1, ENCODER_FIRST_TOKEN, NULL, got, NULL), RAG_OK);
    assert_int_equal(golden_numbers(golden_array(r, "cls_hidden"), expected, 64), n);
    for (size_t i = 0; i < n; i++)
        value[i] = (double)got[i];
    return golden_cosine(value, expected, n);
}

static double least_cosine(const struct encoder *e, const struct golden *golden)
{
    double least = 1;

    for (size_t i = 0; i < golden->n; i++)
        least = fmin(least, first_cosine(e, &golden->records[i]));
    return least;
}

static void a_packed_model_is_its_folder_opened_as_int8(void **state)
{
    static const char *const models[] = {
        "tiny-bert-ce",    "tiny-roberta-ce",    "tiny-xlmr-ce",     "tiny-xlmr-embed",
        "tiny-electra-ce", "tiny-distilbert-ce", "tiny-bert-sharded"};

    (void)state;
    for (size_t i = 0; i < COUNT(models); i++) {
        struct encoder_pack_info info;
        struct encoder_info of_folder;
        struct encoder_info of_packed;
        struct temp_model m;
        struct golden golden;
        struct encoder *folder;
        struct encoder *packed;
        struct encoder *floats;
        char dir[512];

        golden_tiny_dir(models[i], dir, sizeof dir);
        assert_true(golden_read(models[i], &golden));
        temp_model_make(&m);
        pack_into(&m, dir, NULL, &info);
        assert_int_equal(info.n_linears, 8);
        assert_int_equal(info.n_fp32_linears, 0);
        folder = open_encoder(dir, PRECISION_INT8);
        packed = open_encoder(m.dir, PRECISION_INT8);
        floats = open_encoder(m.dir, PRECISION_FP32);
        same_layers(folder, packed);
        same_results(folder, packed, &golden);
        encoder_info(folder, &of_folder);
        encoder_info(packed, &of_packed);
        assert_int_equal(of_folder.n_parameters, of_packed.n_parameters);
        assert_int_equal(of_folder.n_labels, of_packed.n_labels);
        assert_true(least_cosine(packed, &golden) >= 0.99);
        assert_true(least_cosine(floats, &golden) >= 0.999);
        print_message("%s: cosine at least %.5f, as fp32 %.5f\n", models[i],
                      least_cosine(packed, &golden), least_cosine(floats, &golden));
        encoder_close(folder);
        encoder_close(packed);
        encoder_close(floats);
        golden_release(&golden);
        temp_model_remove(&m);
    }
}

static void a_layer_that_stays_in_fp32_is_kept_as_it_is(void **state)
{
    struct layer_check *checks = NULL;
    struct encoder_pack_info info;
    struct encoder_info shape;
    struct temp_model source;
    struct temp_model m;
    struct golden golden;
    struct encoder *folder;
    struct encoder *packed;
    size_t n = 0;

    (void)state;
    temp_model_make(&source);
    temp_model_make(&m);
    write_scaled(source.dir, 1e9f);
    pack_into(&m, source.dir, NULL, &info);
    assert_int_equal(info.n_fp32_linears, 1);
    folder = open_encoder(source.dir, PRECISION_INT8);
    packed = open_encoder(m.dir, PRECISION_INT8);
    encoder_info(packed, &shape);
    assert_int_equal(shape.n_fp32_layers, 1);
    assert_true(golden_read("tiny-bert-ce", &golden));
    same_layers(folder, packed);
    same_results(folder, packed, &golden);
    assert_int_equal(encoder_check(packed, &golden.records[0].input, 1, &checks, &n, NULL), RAG_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(checks[i].fp32, i == 5);
        assert_int_equal(isnan(checks[i].cosine_min) != 0, i == 5);
    }
    free(checks);
    encoder_close(folder);
    encoder_close(packed);
    golden_release(&golden);
    temp_model_remove(&source);
    temp_model_remove(&m);
}

static size_t read_packed(const struct temp_model *m, uint8_t *ret)
{
    char path[TEMP_PATH_BYTES];
    size_t n;
    FILE *f;

    temp_model_path(m, "model.safetensors", path);
    f = fopen(path, "rb");
    assert_non_null(f);
    n = fread(ret, 1, FILE_BYTES_MAX, f);
    fclose(f);
    assert_in_range(n, 1, FILE_BYTES_MAX - 1);
    return n;
}

static void the_same_folder_gives_the_same_bytes(void **state)
{
    static uint8_t bytes[2][FILE_BYTES_MAX];
    struct encoder_pack_info info;
    struct compute_pool *pool = NULL;
    struct temp_model m[2];
    size_t n[2];
    char dir[512];

    (void)state;
    golden_tiny_dir("tiny-roberta-ce", dir, sizeof dir);
    assert_int_equal(compute_pool_open(3, &pool, NULL), RAG_OK);
    for (size_t i = 0; i < 2; i++) {
        temp_model_make(&m[i]);
        pack_into(&m[i], dir, i ? pool : NULL, &info);
        n[i] = read_packed(&m[i], bytes[i]);
        assert_int_equal(info.n_bytes, n[i]);
        temp_model_remove(&m[i]);
    }
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(bytes[0], bytes[1], n[0]);
    compute_pool_close(pool);
}

static void what_cannot_be_packed_is_said(void **state)
{
    struct encoder_pack_info info;
    struct rag_error error = {.text = ""};
    struct model_tensors *t = NULL;
    struct temp_model m;
    char path[TEMP_PATH_BYTES];
    char dir[512];

    (void)state;
    temp_model_make(&m);
    pack_into(&m, golden_tiny_dir("tiny-bert-ce", dir, sizeof dir), NULL, &info);
    temp_model_path(&m, "again.safetensors", path);
    assert_int_equal(encoder_pack(m.dir, NULL, path, &info, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "is packed already"));
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(encoder_pack(dir, NULL, "/nonexistent/x.safetensors", &info, &error), RAG_EIO);
    temp_model_copy(&m, golden_tiny_dir("tiny-llama", dir, sizeof dir));
    assert_int_equal(encoder_pack(dir, NULL, path, &info, &error), RAG_EFORMAT);
    pack_into(&m, golden_tiny_dir("tiny-bert-ce", dir, sizeof dir), NULL, &info);
    golden_tiny_dir("tiny-llama", dir, sizeof dir);
    snprintf(path, sizeof path, "cp %s/config.json %s", dir, m.dir);
    assert_int_equal(system(path), 0);
    assert_int_equal(model_tensors_open(m.dir, &t, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "packed int8 weights are of encoders"));
    temp_model_remove(&m);
}

/* ---- damaged files ---- */

#define QKV  "bert.encoder.layer.0.attention.self.query,key,value"
#define OUT  "bert.encoder.layer.1.output.dense"
#define WORD "bert.embeddings.word_embeddings"

/* One thing is changed: 'from' in the header to 'to', or 'bytes' at element 'at' of a tensor, or
 * the file loses its last 'cut' bytes. */
static struct damage {
    const char *name;
    const char *from;
    const char *to;
    const char *tensor;
    size_t at;
    const char *bytes;
    size_t n_bytes;
    size_t cut;
    enum rag_status status;
    const char *words; /* of the message */
} damages[] = {
    {.name = "a later version",
     .from = "\"ragd_packed\":\"1\"",
     .to = "\"ragd_packed\":\"2\"",
     .status = RAG_EFORMAT,
     .words = "'ragd_packed' is '2', expected '1'"},
    {.name = "a version that is a number",
     .from = "\"ragd_packed\":\"1\"",
     .to = "\"ragd_packed\":1",
     .status = RAG_EFORMAT,
     .words = "'ragd_packed' is '(no text)'"},
    {.name = "no mark: int8 is not read",
     .from = "ragd_packed",
     .to = "other_tool",
     .status = RAG_EFORMAT,
     .words = "word_embeddings.weight': missing"},
    {.name = "weights of an unsigned type",
     .from = "\"" OUT ".weight\":{\"dtype\":\"I8\"",
     .to = "\"" OUT ".weight\":{\"dtype\":\"U8\"",
     .status = RAG_EFORMAT,
     .words = "'" OUT ".weight': dtype U8, expected F32, F16 or BF16"},
    {.name = "weights of another shape",
     .from = "\"" OUT ".weight\":{\"dtype\":\"I8\",\"shape\":[48,96]",
     .to = "\"" OUT ".weight\":{\"dtype\":\"I8\",\"shape\":[96,48]",
     .status = RAG_EFORMAT,
     .words = "'" OUT ".weight': shape [96, 48], expected [48, 96]"},
    {.name = "query, key and value without their name",
     .from = "query,key,value.weight\"",
     .to = "query,key.weight\"",
     .status = RAG_EFORMAT,
     .words = "attention.self.query.weight': missing, expected [48, 48]"},
    {.name = "no scales",
     .from = "\"" QKV ".weight_scale\"",
     .to = "\"" QKV ".scale\"",
     .status = RAG_EFORMAT,
     .words = "'" QKV ".weight_scale': missing, expected [144]"},
    {.name = "scales of another shape",
     .from = "\"" QKV ".weight_scale\":{\"dtype\":\"F32\",\"shape\":[144]",
     .to = "\"" QKV ".weight_scale\":{\"dtype\":\"F32\",\"shape\":[3,48]",
     .status = RAG_EFORMAT,
     .words = "shape [3, 48], expected [144]"},
    {.name = "scales of another type",
     .from = "\"" QKV ".weight_scale\":{\"dtype\":\"F32\"",
     .to = "\"" QKV ".weight_scale\":{\"dtype\":\"I32\"",
     .status = RAG_EFORMAT,
     .words = "weight_scale': dtype I32, expected F32, F16 or BF16"},
    {.name = "no scales of the inputs",
     .from = "\"" OUT ".input_scale\"",
     .to = "\"" OUT ".columns\"",
     .status = RAG_EFORMAT,
     .words = "'" OUT ".input_scale': missing, expected [96]"},
    {.name = "no bias",
     .from = "\"" OUT ".bias\"",
     .to = "\"" OUT ".bbias\"",
     .status = RAG_EFORMAT,
     .words = "'" OUT ".bias': missing, expected [48]"},
    {.name = "no scales of the words",
     .from = "\"" WORD ".weight_scale\"",
     .to = "\"" WORD ".scale\"",
     .status = RAG_EFORMAT,
     .words = "'" WORD ".weight_scale': missing"},
    {.name = "a scale of 0",
     .tensor = QKV ".weight_scale",
     .at = 7,
     .bytes = "\0\0\0\0",
     .n_bytes = 4,
     .status = RAG_EFORMAT,
     .words = "'" QKV ".weight_scale': element 7 is 0, expected a scale above 0"},
    {.name = "a negative scale",
     .tensor = QKV ".weight_scale",
     .at = 143,
     .bytes = "\0\0\x80\xbf",
     .n_bytes = 4,
     .status = RAG_EFORMAT,
     .words = "element 143 is -1, expected a scale above 0"},
    {.name = "a scale that is NaN",
     .tensor = OUT ".weight_scale",
     .bytes = "\0\0\xc0\x7f",
     .n_bytes = 4,
     .status = RAG_ENUMERIC,
     .words = "'" OUT ".weight_scale': element 0 is not a finite number"},
    {.name = "a scale that is infinite",
     .tensor = OUT ".weight_scale",
     .at = 47,
     .bytes = "\0\0\x80\x7f",
     .n_bytes = 4,
     .status = RAG_ENUMERIC,
     .words = "element 47 is not a finite number"},
    {.name = "an input's scale of 0",
     .tensor = OUT ".input_scale",
     .at = 95,
     .bytes = "\0\0\0\0",
     .n_bytes = 4,
     .status = RAG_EFORMAT,
     .words = "'" OUT ".input_scale': element 95 is 0"},
    {.name = "a word's scale of 0",
     .tensor = WORD ".weight_scale",
     .at = 3,
     .bytes = "\0\0\0\0",
     .n_bytes = 4,
     .status = RAG_EFORMAT,
     .words = "'" WORD ".weight_scale': element 3 is 0"},
    {.name = "a bias that is NaN",
     .tensor = OUT ".bias",
     .at = 1,
     .bytes = "\0\0\xc0\xff",
     .n_bytes = 4,
     .status = RAG_ENUMERIC,
     .words = "'" OUT ".bias': element 1 is not a finite number"},
    {.name = "a weight of -128",
     .tensor = OUT ".weight",
     .at = 100,
     .bytes = "\x80",
     .n_bytes = 1,
     .status = RAG_EFORMAT,
     .words = "'" OUT ".weight': element 100 is -128, expected -127 to 127"},
    {.name = "a file without its last byte",
     .cut = 1,
     .status = RAG_EFORMAT,
     .words = "was the download cut?"        },
    {.name = "a file cut in its header",
     .cut = FILE_BYTES_MAX,
     .status = RAG_EFORMAT,
     .words = "not safetensors, or cut"                                                                 },
};

static void damage_header(const struct temp_model *m, const struct damage *d, const uint8_t *file,
                          size_t n)
{
    static uint8_t out[FILE_BYTES_MAX];
    uint64_t n_header;
    const char *header = (const char *)file + 8;
    const char *at;
    size_t before;
    size_t n_from = strlen(d->from);
    size_t n_to = strlen(d->to);

    memcpy(&n_header, file, 8);
    at = memmem(header, n_header, d->from, n_from);
    if (!at)
        fail_msg("the header has no %s", d->from);
    before = (size_t)(at - header);
    n_header = n_header - n_from + n_to;
    memcpy(out, &n_header, 8);
    memcpy(out + 8, header, before);
    memcpy(out + 8 + before, d->to, n_to);
    memcpy(out + 8 + before + n_to, at + n_from, n - 8 - before - n_from);
    temp_model_write(m, "model.safetensors", out, n - n_from + n_to);
}

static void damage_data(const struct temp_model *m, const struct damage *d, uint8_t *file, size_t n)
{
    struct tensor_list list = {0};
    size_t i = 0;

    assert_int_equal(weights_read_header("packed", file, n, &list, NULL), RAG_OK);
    while (i < list.n && strcmp(list.items[i].name, d->tensor) != 0)
        i++;
    assert_true(i < list.n && d->at < list.items[i].n_elements);
    memcpy((uint8_t *)(uintptr_t)list.items[i].data + d->at * d->n_bytes, d->bytes, d->n_bytes);
    tensor_list_release(&list);
    temp_model_write(m, "model.safetensors", file, n);
}

static void check_damage(void **state)
{
    static const enum precision precisions[] = {PRECISION_INT8, PRECISION_FP32};
    static uint8_t file[FILE_BYTES_MAX];
    const struct damage *d = *state;
    struct encoder_pack_info info;
    struct temp_model m;
    char dir[512];
    size_t n;

    temp_model_make(&m);
    pack_into(&m, golden_tiny_dir("tiny-bert-ce", dir, sizeof dir), NULL, &info);
    n = read_packed(&m, file);
    if (d->cut)
        temp_model_write(&m, "model.safetensors", file, d->cut < n ? n - d->cut : 500);
    else if (d->from)
        damage_header(&m, d, file, n);
    else
        damage_data(&m, d, file, n);
    for (size_t i = 0; i < COUNT(precisions); i++) {
        struct encoder_options options = {.precision = precisions[i]};
        struct rag_error error = {.text = ""};
        struct encoder *e = NULL;

        assert_int_equal(encoder_open(m.dir, &options, &e, &error), d->status);
        if (!strstr(error.text, d->words) || !strstr(error.text, m.dir))
            fail_msg("'%s' does not say '%s'", error.text, d->words);
    }
    temp_model_remove(&m);
}

/* ---- the real one ---- */

static void mean_of(const struct encoder *e, const struct golden_record *r, double *ret)
{
    float *states = malloc(r->input.n_tokens * 384 * sizeof *states);

    assert_int_equal(encoder_run(e, &r->input, 1, ENCODER_ALL_TOKENS, NULL, states, NULL), RAG_OK);
    golden_mean(states, r->input.n_tokens, 384, ret);
    free(states);
}

static void the_real_minilm_keeps_its_embeddings(void **state)
{
    struct encoder_pack_info info;
    struct encoder *folder;
    struct encoder *packed;
    struct temp_model m;
    struct golden golden;
    double least[2] = {1, 1}; /* to the reference; to the folder as int8 */
    double sum[2] = {0, 0};
    char dir[512];

    (void)state;
    if (!golden_real_dir("all-MiniLM-L6-v2", dir, sizeof dir))
        skip();
    assert_true(golden_read("all-MiniLM-L6-v2", &golden));
    temp_model_make(&m);
    pack_into(&m, dir, NULL, &info);
    folder = open_encoder(dir, PRECISION_INT8);
    packed = open_encoder(m.dir, PRECISION_INT8);
    same_layers(folder, packed);
    for (size_t i = 0; i < golden.n; i++) {
        double expected[384];
        double of_packed[384];
        double of_folder[384];
        double cosines[2];

        mean_of(packed, &golden.records[i], of_packed);
        mean_of(folder, &golden.records[i], of_folder);
        assert_int_equal(
            golden_numbers(golden_array(&golden.records[i], "embedding"), expected, 384), 384);
        cosines[0] = golden_cosine(of_packed, expected, 384);
        cosines[1] = golden_cosine(of_packed, of_folder, 384);
        for (size_t k = 0; k < 2; k++) {
            least[k] = fmin(least[k], cosines[k]);
            sum[k] += cosines[k] / (double)golden.n;
        }
    }
    print_message("all-MiniLM-L6-v2, %llu bytes of %llu: cosine at least %.5f, mean %.5f; to its "
                  "folder as int8 %.5f, %.5f\n",
                  (unsigned long long)info.n_bytes, (unsigned long long)info.n_source_bytes,
                  least[0], sum[0], least[1], sum[1]);
    assert_true(least[0] >= 0.99);
    assert_true(sum[0] >= 0.995);
    assert_true(least[1] >= 0.995);
    assert_true(sum[1] >= 0.998);
    encoder_close(folder);
    encoder_close(packed);
    golden_release(&golden);
    temp_model_remove(&m);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(damages) + 5];
    size_t n = 0;

    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_packed_model_is_its_folder_opened_as_int8);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_layer_that_stays_in_fp32_is_kept_as_it_is);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(the_same_folder_gives_the_same_bytes);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(what_cannot_be_packed_is_said);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(the_real_minilm_keeps_its_embeddings);
    for (size_t i = 0; i < COUNT(damages); i++)
        tests[n++] = (struct CMUnitTest){damages[i].name, check_damage, NULL, NULL, &damages[i]};
    return cmocka_run_group_tests_name("encoder_pack", tests, NULL, NULL);
}
