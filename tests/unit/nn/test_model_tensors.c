/* Goal: a decoder's matrices are found under one set of names in files of either format and of
 * every family, with their shapes checked, and a tensor that nobody would read is refused. Method:
 * files of the smallest models, whose values say which tensor they are; one row per way they are
 * wrong. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gguf_builder.h"
#include "gguf_dir.h"
#include "nn/model_tensors.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* one layer; hidden 8, two heads of 4 and one of keys, feed-forward 12, five tokens */
enum { HIDDEN = 8, QUERIES = 8, KEYS = 4, INNER = 12, TOKENS = 5 };

struct item {
    const char *name; /* of the file */
    size_t n_rows;    /* 0: a vector */
    size_t n_cols;
};

/* What each family calls the tensors that all have; in the order of 'ours'. */
#define ATTENTION(q, k, v, o)                                                                      \
    {q, QUERIES, HIDDEN}, {k, KEYS, HIDDEN}, {v, KEYS, HIDDEN},                                    \
    {                                                                                              \
        o, HIDDEN, QUERIES                                                                         \
    }
#define FEED_FORWARD(gate, up, down)                                                               \
    {gate, INNER, HIDDEN}, {up, INNER, HIDDEN},                                                    \
    {                                                                                              \
        down, HIDDEN, INNER                                                                        \
    }
#define WHOLE(table, norm)                                                                         \
    {table, TOKENS, HIDDEN},                                                                       \
    {                                                                                              \
        norm, 0, HIDDEN                                                                            \
    }

#define N_COMMON 11
static const char *const ours[N_COMMON] = {
    "model.embed_tokens.weight",
    "model.norm.weight",
    "model.layers.0.self_attn.q_proj.weight",
    "model.layers.0.self_attn.k_proj.weight",
    "model.layers.0.self_attn.v_proj.weight",
    "model.layers.0.self_attn.o_proj.weight",
    "model.layers.0.mlp.gate_proj.weight",
    "model.layers.0.mlp.up_proj.weight",
    "model.layers.0.mlp.down_proj.weight",
    "model.layers.0.input_layernorm.weight",
    "model.layers.0.post_attention_layernorm.weight",
};

static const struct item gguf_names[N_COMMON] = {
    WHOLE("token_embd.weight", "output_norm.weight"),
    ATTENTION("blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight",
              "blk.0.attn_output.weight"),
    FEED_FORWARD("blk.0.ffn_gate.weight", "blk.0.ffn_up.weight", "blk.0.ffn_down.weight"),
    {"blk.0.attn_norm.weight", 0, HIDDEN},
    {"blk.0.ffn_norm.weight",  0, HIDDEN},
};

static const struct item llama_names[N_COMMON] = {
    WHOLE("model.embed_tokens.weight", "model.norm.weight"),
    ATTENTION("model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.k_proj.weight",
              "model.layers.0.self_attn.v_proj.weight", "model.layers.0.self_attn.o_proj.weight"),
    FEED_FORWARD("model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.up_proj.weight",
                 "model.layers.0.mlp.down_proj.weight"),
    {"model.layers.0.input_layernorm.weight",          0, HIDDEN},
    {"model.layers.0.post_attention_layernorm.weight", 0, HIDDEN},
};

static const struct item exaone_names[N_COMMON] = {
    WHOLE("transformer.wte.weight", "transformer.ln_f.weight"),
    ATTENTION("transformer.h.0.attn.attention.q_proj.weight",
              "transformer.h.0.attn.attention.k_proj.weight",
              "transformer.h.0.attn.attention.v_proj.weight",
              "transformer.h.0.attn.attention.out_proj.weight"),
    FEED_FORWARD("transformer.h.0.mlp.c_fc_0.weight", "transformer.h.0.mlp.c_fc_1.weight",
                 "transformer.h.0.mlp.c_proj.weight"),
    {"transformer.h.0.ln_1.weight", 0, HIDDEN},
    {"transformer.h.0.ln_2.weight", 0, HIDDEN},
};

static size_t rows_of(const struct item *item)
{
    return item->n_rows ? item->n_rows : 1;
}

/* ---- files ---- */

static void remove_all(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s/*", dir);
    assert_int_equal(system(command), 0);
}

/* Tensor i holds i everywhere. */
static void write_gguf(const char *architecture, const struct item *items, size_t n)
{
    static const char *const sizes[] = {"block_count",          "embedding_length",
                                        "feed_forward_length",  "context_length",
                                        "attention.head_count", "attention.head_count_kv"};
    static const uint32_t values[] = {1, HIDDEN, INNER, 16, 2, 1};
    struct gguf_builder b;
    char key[96];

    gguf_begin(&b);
    key_text(&b, "general.architecture", architecture);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        snprintf(key, sizeof key, "%s.%s", architecture, sizes[i]);
        key_u32(&b, key, values[i]);
    }
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", architecture);
    key_f32(&b, key, 1e-5f);
    for (size_t i = 0; i < n; i++)
        tensor_f32(&b, items[i].name, items[i].n_rows, items[i].n_cols);
    gguf_finish(&b);
    put_padding(&b, 32);
    for (size_t i = 0; i < n; i++) {
        float value = (float)i;

        for (size_t k = 0; k < rows_of(&items[i]) * items[i].n_cols; k++)
            put(&b, &value, sizeof value);
        put_padding(&b, 32);
    }
    gguf_save(&b, path);
    gguf_drop(&b);
}

static void write_file(const char *name, const void *data, size_t n)
{
    char file[96];
    FILE *f;

    snprintf(file, sizeof file, "%s/%s", dir, name);
    f = fopen(file, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void write_directory(const char *config, const struct item *items, size_t n,
                            const char *prefix)
{
    char header[8192] = "{";
    struct gguf_builder b = {0};
    uint64_t n_header;
    size_t at = 1;
    size_t end = 0;

    for (size_t i = 0; i < n; i++) {
        size_t begin = end;
        char rows[32] = "";

        end += 4 * rows_of(&items[i]) * items[i].n_cols;
        if (items[i].n_rows)
            snprintf(rows, sizeof rows, "%zu,", items[i].n_rows);
        at += (size_t)snprintf(header + at, sizeof header - at,
                               "%s\"%s%s\":{\"dtype\":\"F32\",\"shape\":[%s%zu],"
                               "\"data_offsets\":[%zu,%zu]}",
                               i ? "," : "", prefix, items[i].name, rows, items[i].n_cols, begin,
                               end);
    }
    at += (size_t)snprintf(header + at, sizeof header - at, "}");
    assert_true(at < sizeof header);
    n_header = at;
    put(&b, &n_header, 8);
    put(&b, header, at);
    for (size_t i = 0; i < n; i++) {
        float value = (float)i;

        for (size_t k = 0; k < rows_of(&items[i]) * items[i].n_cols; k++)
            put(&b, &value, sizeof value);
    }
    write_file("model.safetensors", b.bytes, b.n);
    write_file("config.json", config, strlen(config));
    gguf_drop(&b);
}

#define SIZES                                                                                      \
    "\"hidden_size\":8,\"num_attention_heads\":2,\"num_key_value_heads\":1,"                       \
    "\"intermediate_size\":12,\"vocab_size\":5,\"max_position_embeddings\":16,\"head_dim\":4,"     \
    "\"tie_word_embeddings\":true"

static const char llama_config[] = "{\"model_type\":\"llama\",\"num_hidden_layers\":1," SIZES "}";
static const char exaone_config[] = "{\"model_type\":\"exaone\",\"num_layers\":1," SIZES "}";
static const char gemma_config[] = "{\"model_type\":\"gemma3\",\"text_config\":{\"model_type\":"
                                   "\"gemma3_text\",\"num_hidden_layers\":1," SIZES "}}";

/* ---- names ---- */

static void assert_found(const struct model_tensors *t, const char *name, const struct item *item,
                         float value)
{
    struct rag_error error = {.text = ""};
    struct matrix m;
    float row[16];

    if (model_tensors_need(t, name, rows_of(item), item->n_cols, &m, &error) != RAG_OK)
        fail_msg("%s", error.text);
    assert_true(model_tensors_has(t, name));
    assert_int_equal(m.type, BLOCK_F32);
    assert_int_equal(m.n_rows, rows_of(item));
    assert_int_equal(m.n_cols, item->n_cols);
    matrix_read_row(&m, m.n_rows - 1, row);
    assert_true(row[0] == value && row[m.n_cols - 1] == value);
    model_tensors_forget(t, &m);
    matrix_read_row(&m, 0, row);
    assert_true(row[0] == value);
}

static void check_names(const char *model, const struct item *items)
{
    struct model_tensors *t = NULL;
    struct rag_error error = {.text = ""};

    if (model_tensors_open(model, &t, &error) != RAG_OK)
        fail_msg("%s", error.text);
    for (size_t i = 0; i < N_COMMON; i++)
        assert_found(t, ours[i], &items[i], (float)i);
    assert_true(model_tensors_config(t)->tied);
    assert_false(model_tensors_has(t, "lm_head.weight"));
    assert_false(model_tensors_has(t, "model.layers.1.self_attn.q_proj.weight"));
    assert_false(model_tensors_has(t, "model.layers.0.self_attn.q_proj.bias"));
    assert_false(model_tensors_has(t, "model.layers.0.self_attn.q_norm.weight"));
    assert_string_equal(model_tensors_path(t), model);
    assert_int_equal(model_tensors_intact(t, NULL), RAG_OK);
    assert_true(model_tensors_bytes(t) > 4 * HIDDEN * INNER);
    model_tensors_close(t);
    remove_all();
}

static void names_of_gguf(void **state)
{
    static const char *const architectures[] = {"llama", "exaone", "qwen3"};

    (void)state;
    for (size_t i = 0; i < COUNT(architectures); i++) {
        write_gguf(architectures[i], gguf_names, N_COMMON);
        check_names(path, gguf_names);
    }
    write_gguf("llama", gguf_names, N_COMMON);
    check_names(dir, gguf_names); /* which holds that file alone */
}

static void names_of_llama(void **state)
{
    (void)state;
    write_directory(llama_config, llama_names, N_COMMON, "");
    check_names(dir, llama_names);
}

static void names_of_exaone(void **state)
{
    (void)state;
    write_directory(exaone_config, exaone_names, N_COMMON, "");
    check_names(dir, exaone_names);
}

/* Gemma: of the four norms, the one that GGUF calls ffn_norm comes before the feed-forward. */
static void norms_of_gemma(void **state)
{
    static const struct {
        const char *ours;
        const char *gguf;
    } norms[] = {
        {"input_layernorm",            "attn_norm"          },
        {"post_attention_layernorm",   "post_attention_norm"},
        {"pre_feedforward_layernorm",  "ffn_norm"           },
        {"post_feedforward_layernorm", "post_ffw_norm"      },
        {"self_attn.q_norm",           "attn_q_norm"        },
        {"self_attn.k_norm",           "attn_k_norm"        },
    };
    char names[2][COUNT(norms)][80];
    struct item items[2][2 + COUNT(norms)];

    (void)state;
    for (size_t f = 0; f < 2; f++) {
        items[f][0] = f ? gguf_names[0] : llama_names[0];
        items[f][1] = f ? gguf_names[1] : llama_names[1];
        for (size_t i = 0; i < COUNT(norms); i++) {
            snprintf(names[f][i], sizeof names[f][i], "%s.%s.weight",
                     f ? "blk.0" : "model.layers.0", f ? norms[i].gguf : norms[i].ours);
            items[f][2 + i] = (struct item){names[f][i], 0, HIDDEN};
        }
    }
    for (size_t f = 0; f < 3; f++) { /* the last: as the part of a model that sees pictures */
        struct model_tensors *t = NULL;
        struct rag_error error = {.text = ""};

        if (f == 1)
            write_gguf("gemma3", items[1], COUNT(items[1]));
        else
            write_directory(gemma_config, items[0], COUNT(items[0]), f ? "language_model." : "");
        if (model_tensors_open(dir, &t, &error) != RAG_OK)
            fail_msg("%s", error.text);
        for (size_t i = 0; i < COUNT(norms); i++)
            assert_found(t, names[0][i], &items[0][2 + i], (float)(2 + i));
        model_tensors_close(t);
        remove_all();
    }
}

static void biases_of_qwen2(void **state)
{
    struct item items[N_COMMON + 3];
    struct model_tensors *t = NULL;

    (void)state;
    memcpy(items, gguf_names, sizeof gguf_names);
    items[N_COMMON] = (struct item){"blk.0.attn_q.bias", 0, QUERIES};
    items[N_COMMON + 1] = (struct item){"blk.0.attn_k.bias", 0, KEYS};
    items[N_COMMON + 2] = (struct item){"blk.0.attn_v.bias", 0, KEYS};
    write_gguf("qwen2", items, COUNT(items));
    assert_int_equal(model_tensors_open(path, &t, NULL), RAG_OK);
    assert_found(t, "model.layers.0.self_attn.k_proj.bias", &items[N_COMMON + 1], N_COMMON + 1);
    model_tensors_close(t);
    remove_all();
}

/* ---- what the files are ---- */

static void digest_of(const char *model, uint8_t ret[SHA256_BYTES])
{
    struct model_tensors *t = NULL;

    assert_int_equal(model_tensors_open(model, &t, NULL), RAG_OK);
    assert_int_equal(model_tensors_digest(t, NULL, ret, NULL), RAG_OK);
    model_tensors_close(t);
}

/* The same file by either of its paths; every file that changes answers counts. */
static void a_digest_names_the_bytes(void **state)
{
    static const char *const files[] = {"generation_config.json", "tokenizer.model",
                                        "chat_template.jinja"};
    uint8_t first[SHA256_BYTES];
    uint8_t again[SHA256_BYTES];

    (void)state;
    write_gguf("llama", gguf_names, N_COMMON);
    digest_of(path, first);
    digest_of(dir, again);
    assert_memory_equal(first, again, SHA256_BYTES);
    write_gguf("exaone", gguf_names, N_COMMON);
    digest_of(path, again);
    assert_memory_not_equal(first, again, SHA256_BYTES);
    remove_all();
    write_directory(llama_config, llama_names, N_COMMON, "");
    digest_of(dir, first);
    digest_of(dir, again);
    assert_memory_equal(first, again, SHA256_BYTES);
    for (size_t i = 0; i < COUNT(files); i++) {
        write_file(files[i], "{}", 2);
        digest_of(dir, again);
        assert_memory_not_equal(first, again, SHA256_BYTES);
        memcpy(first, again, SHA256_BYTES);
    }
    remove_all();
}

/* ---- wrong files ---- */

static const struct refused {
    const char *name;
    const char *architecture;
    struct item item; /* a tensor too many */
    const char *words;
} refused[] = {
    {"a bias behind attention",
     "llama",                                  {"blk.0.attn_output.bias", 0, HIDDEN},
     "'blk.0.attn_output.bias' is none of a llama"                                                                },
    {"a bias where others have none",
     "exaone",                                 {"blk.0.ffn_up.bias", 0, INNER},
     "'blk.0.ffn_up.bias' is none"                                                                                },
    {"a norm of queries in a Llama",
     "llama",                                  {"blk.0.attn_q_norm.weight", 0, 4},
     "'blk.0.attn_q_norm.weight' is none"                                                                         },
    {"a gate of experts",
     "llama",                                  {"blk.0.ffn_gate_inp.weight", 2, HIDDEN},
     "'blk.0.ffn_gate_inp.weight' is none"                                                                        },
    {"a layer more than is declared",
     "llama",                                  {"blk.1.attn_q.weight", QUERIES, HIDDEN},
     "is none of a llama of 1 layers"                                                                             },
    {"a layer's number with a zero",
     "llama",                                  {"blk.00.attn_q.weight", QUERIES, HIDDEN},
     "'blk.00.attn_q.weight' is none"                                                                             },
    {"a layer's number with a sign",
     "llama",                                  {"blk.+0.attn_q.weight", QUERIES, HIDDEN},
     "'blk.+0.attn_q.weight' is none"                                                                             },
    {"a layer without a number",
     "llama",                                  {"blk..attn_q.weight", QUERIES, HIDDEN},
     "'blk..attn_q.weight' is none"                                                                               },
    {"another kind of value",
     "llama",                                  {"blk.0.attn_q.scale", 0, HIDDEN},
     "'blk.0.attn_q.scale' is none"                                                                               },
    {"a module without a kind",       "llama", {"blk.0.attn_q", 0, HIDDEN},               "'blk.0.attn_q' is none"},
    {"another table",
     "llama",                                  {"position_embd.weight", 16, HIDDEN},
     "'position_embd.weight' is none"                                                                             },
    {"a norm that only Gemma has",
     "qwen3",                                  {"blk.0.post_ffw_norm.weight", 0, HIDDEN},
     "'blk.0.post_ffw_norm.weight' is none"                                                                       },
};

static void check_refused(void **state)
{
    const struct refused *row = *state;
    struct item items[N_COMMON + 1];
    struct model_tensors *t = NULL;
    struct rag_error error = {.text = ""};

    memcpy(items, gguf_names, sizeof gguf_names);
    items[N_COMMON] = row->item;
    write_gguf(row->architecture, items, COUNT(items));
    assert_int_equal(model_tensors_open(path, &t, &error), RAG_EFORMAT);
    if (!strstr(error.text, row->words))
        fail_msg("message: %s", error.text);
    assert_null(t);
    remove_all();
}

static void what_is_missing_or_has_another_shape(void **state)
{
    struct model_tensors *t = NULL;
    struct rag_error error;
    struct matrix m;

    (void)state;
    write_gguf("llama", gguf_names, N_COMMON - 1);
    assert_int_equal(model_tensors_open(path, &t, NULL), RAG_OK);
    assert_int_equal(model_tensors_need(t, ours[10], 1, HIDDEN, &m, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "'blk.0.ffn_norm.weight': missing"));
    assert_non_null(strstr(error.text, "expected [1, 8]"));
    assert_int_equal(model_tensors_need(t, ours[2], HIDDEN, QUERIES + 1, &m, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "'blk.0.attn_q.weight': shape [8, 8], expected [8, 9]"));
    assert_int_equal(model_tensors_need(t, "model.layers.x.mlp.up_proj.weight", 1, 1, &m, &error),
                     RAG_EFORMAT);
    assert_int_equal(model_tensors_need(t, "nothing", 1, 1, &m, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "'nothing' is none of llama"));
    model_tensors_close(t);
    remove_all();
}

static void a_tensor_of_three_dimensions_is_no_matrix(void **state)
{
    struct gguf_builder b;
    struct model_tensors *t = NULL;
    struct matrix m;

    (void)state;
    gguf_begin(&b);
    key_text(&b, "general.architecture", "llama");
    key_u32(&b, "llama.block_count", 1);
    key_u32(&b, "llama.embedding_length", HIDDEN);
    key_u32(&b, "llama.feed_forward_length", INNER);
    key_u32(&b, "llama.context_length", 16);
    key_u32(&b, "llama.attention.head_count", 2);
    key_f32(&b, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    put_tensor(&b, "token_embd.weight", 3, (const uint64_t[]){HIDDEN, 5, 1}, G_F32, 0);
    b.offset = 160;
    gguf_finish_with_data(&b);
    gguf_save(&b, path);
    gguf_drop(&b);
    assert_int_equal(model_tensors_open(path, &t, NULL), RAG_OK);
    assert_int_equal(model_tensors_need(t, ours[0], 5, HIDDEN, &m, NULL), RAG_EFORMAT);
    assert_false(model_tensors_has(t, ours[0]));
    model_tensors_close(t);
    remove_all();
}

static void what_is_no_model(void **state)
{
    struct model_tensors *t = NULL;

    (void)state;
    assert_int_equal(model_tensors_open(dir, &t, NULL), RAG_ENOTFOUND);
    assert_int_equal(model_tensors_open("/nonexistent", &t, NULL), RAG_ENOTFOUND);
    write_file("config.json", llama_config, sizeof llama_config - 1);
    write_file("model.safetensors", "x", 1);
    assert_int_equal(model_tensors_open(dir, &t, NULL), RAG_EFORMAT);
    assert_null(t);
    model_tensors_close(NULL);
    remove_all();
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(names_of_gguf),
        cmocka_unit_test(names_of_llama),
        cmocka_unit_test(names_of_exaone),
        cmocka_unit_test(norms_of_gemma),
        cmocka_unit_test(biases_of_qwen2),
        cmocka_unit_test(a_digest_names_the_bytes),
        cmocka_unit_test(what_is_missing_or_has_another_shape),
        cmocka_unit_test(a_tensor_of_three_dimensions_is_no_matrix),
        cmocka_unit_test(what_is_no_model),
    };
    struct CMUnitTest tests[COUNT(refused) + COUNT(others)];

    for (size_t i = 0; i < COUNT(refused); i++)
        tests[i] = (struct CMUnitTest){.name = refused[i].name,
                                       .test_func = check_refused,
                                       .initial_state = (void *)(uintptr_t)&refused[i]};
    memcpy(tests + COUNT(refused), others, sizeof others);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
