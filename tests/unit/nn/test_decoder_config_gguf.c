/* Goal: the keys of a GGUF file say the same as config.json, with llama.cpp's defaults where they
 * are missing, and what this engine would compute wrongly is refused by its name. Method: files
 * made in memory, one row per key that is refused or changes a number. */
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

#include "decoder_config_asserts.h"
#include "gguf_builder.h"
#include "gguf_dir.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void begin_llama(struct gguf_builder *b)
{
    gguf_begin(b);
    key_text(b, "general.architecture", "llama");
    key_u32(b, "llama.block_count", 2);
    key_u32(b, "llama.embedding_length", 64);
    key_u32(b, "llama.feed_forward_length", 96);
    key_u32(b, "llama.context_length", 512);
    key_u32(b, "llama.attention.head_count", 4);
    key_f32(b, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
}

static enum rag_status read_gguf(struct gguf_builder *b, struct decoder_config *c,
                                 struct rag_error *error)
{
    struct gguf *g = NULL;
    enum rag_status status;

    gguf_finish_with_data(b);
    gguf_save(b, path);
    gguf_drop(b);
    status = gguf_open(path, &g, error);
    if (status == RAG_OK)
        status = decoder_config_of_gguf(g, c, error);
    gguf_close(g);
    assert_int_equal(unlink(path), 0);
    return status;
}

static void gguf_with_every_default(void **state)
{
    const struct decoder_config expected = {.family = DECODER_LLAMA,
                                            .n_layers = 2,
                                            .hidden = 64,
                                            .n_heads = 4,
                                            .n_kv_heads = 4,
                                            .head_dim = 16,
                                            .intermediate = 96,
                                            .vocab_size = 5,
                                            .context_max = 512,
                                            .norm_epsilon = 1e-5f,
                                            .embedding_scale = 1,
                                            .attention_scale = 0.25f,
                                            .rope_interleaved = true,
                                            .rope_theta = 1e4f,
                                            .rope_theta_local = 1e4f,
                                            .tied = true};
    struct decoder_config c = {0};
    struct gguf_builder b;

    (void)state;
    begin_llama(&b);
    tensor_f32(&b, "token_embd.weight", 5, 64);
    assert_int_equal(read_gguf(&b, &c, NULL), RAG_OK);
    assert_config(&c, &expected);
    decoder_config_release(&c);
}

static void gguf_of_llama3(void **state)
{
    static const char *const tokens[] = {"a", "<|begin_of_text|>", "<|eot_id|>", "<|eom_id|>",
                                         "<|im_end|>"};
    static const int32_t types[] = {1, 3, 3, 3, 1}; /* the last one is only written so */
    const struct decoder_config expected = {
        .family = DECODER_LLAMA,
        .n_layers = 2,
        .hidden = 64,
        .n_heads = 4,
        .n_kv_heads = 2,
        .head_dim = 8,
        .intermediate = 96,
        .vocab_size = 5,
        .context_max = 512,
        .norm_epsilon = 1e-5f,
        .embedding_scale = 1,
        .attention_scale = 0.353553391f,
        .rope_interleaved = true,
        .rope_theta = 5e5f,
        .rope_theta_local = 5e5f,
        .qkv_bias = true,
        .has_bos = true,
        .bos_id = 1,
        .add_bos = true,
        .eos_ids = {0, 2, 3},
        .n_eos = 3
    };
    struct decoder_config c = {0};
    struct gguf_builder b;

    (void)state;
    begin_llama(&b);
    key_u32(&b, "llama.attention.head_count_kv", 2);
    key_u32(&b, "llama.attention.key_length", 8);
    key_u32(&b, "llama.attention.value_length", 8);
    key_u32(&b, "llama.rope.dimension_count", 8);
    key_f32(&b, "llama.rope.freq_base", 5e5f);
    key_u32(&b, "llama.vocab_size", 5);
    key_text(&b, "tokenizer.ggml.model", "gpt2");
    key_text(&b, "tokenizer.ggml.pre", "llama-bpe");
    key_u32(&b, "tokenizer.ggml.bos_token_id", 1);
    key_u32(&b, "tokenizer.ggml.eos_token_id", 0);
    key_array(&b, "tokenizer.ggml.tokens", T_STRING, COUNT(tokens));
    for (size_t i = 0; i < COUNT(tokens); i++)
        put_text(&b, tokens[i]);
    key_array(&b, "tokenizer.ggml.token_type", T_I32, COUNT(types));
    put(&b, types, sizeof types);
    tensor_f32(&b, "token_embd.weight", 5, 64);
    tensor_f32(&b, "output.weight", 5, 64);
    tensor_f32(&b, "blk.0.attn_q.bias", 0, 32);
    assert_int_equal(read_gguf(&b, &c, NULL), RAG_OK);
    assert_config(&c, &expected);
    decoder_config_release(&c);
}

/* Data of zeros: a divisor of 0 is refused, and one of another length is named. */
static void gguf_with_divisors(void **state)
{
    struct decoder_config c = {0};
    struct rag_error error;
    struct gguf_builder b;

    (void)state;
    begin_llama(&b);
    tensor_f32(&b, "token_embd.weight", 5, 64);
    tensor_f32(&b, "rope_freqs.weight", 0, 8);
    assert_int_equal(read_gguf(&b, &c, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "divisor 0 of the rope frequencies is 0"));
    begin_llama(&b);
    tensor_f32(&b, "token_embd.weight", 5, 64);
    tensor_f32(&b, "rope_freqs.weight", 0, 9);
    assert_int_equal(read_gguf(&b, &c, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "F32 [1, 9], expected F32 [8]"));
}

static void experts(struct gguf_builder *b)
{
    key_u32(b, "llama.expert_count", 8);
}

static void no_experts(struct gguf_builder *b)
{
    key_u32(b, "llama.expert_count", 0);
}

static void negative_bos(struct gguf_builder *b)
{
    key_i32(b, "tokenizer.ggml.bos_token_id", -1);
}

static void large_bos(struct gguf_builder *b)
{
    key_u32(b, "tokenizer.ggml.bos_token_id", 5);
}

static void large_eos(struct gguf_builder *b)
{
    key_u32(b, "tokenizer.ggml.eos_token_id", UINT32_MAX);
}

static void yarn(struct gguf_builder *b)
{
    key_text(b, "llama.rope.scaling.type", "yarn");
}

static void linear(struct gguf_builder *b)
{
    key_text(b, "llama.rope.scaling.type", "linear");
    key_f32(b, "llama.rope.scaling.factor", 4.0f);
}

static void older_linear(struct gguf_builder *b)
{
    key_f32(b, "llama.rope.scale_linear", 2.0f);
}

static void half_a_rotation(struct gguf_builder *b)
{
    key_u32(b, "llama.rope.dimension_count", 8);
}

static void other_values(struct gguf_builder *b)
{
    key_u32(b, "llama.attention.value_length", 32);
}

static void window(struct gguf_builder *b)
{
    key_u32(b, "llama.attention.sliding_window", 16);
}

static void window_of_all(struct gguf_builder *b)
{
    key_u32(b, "llama.attention.sliding_window", 512);
}

static void soft_capping(struct gguf_builder *b)
{
    key_f32(b, "llama.attn_logit_softcapping", 50.0f);
}

static void no_decoder(struct gguf_builder *b)
{
    key_bool(b, "llama.attention.causal", 0);
}

static void other_vocabulary(struct gguf_builder *b)
{
    key_u32(b, "llama.vocab_size", 6);
}

static void more_tokens(struct gguf_builder *b)
{
    key_array(b, "tokenizer.ggml.tokens", T_STRING, 6);
    for (int i = 0; i < 6; i++)
        put_text(b, "x");
}

static void heads_of_each_layer(struct gguf_builder *b)
{
    uint32_t heads[] = {4, 2};

    key_array(b, "llama.attention.head_count_kv", T_U32, 2);
    put(b, heads, sizeof heads);
}

static void no_heads(struct gguf_builder *b)
{
    key_u32(b, "llama.attention.head_count_kv", 0);
}

static void theta_as_text(struct gguf_builder *b)
{
    key_text(b, "llama.rope.freq_base", "10000");
}

static const struct gguf_row {
    const char *name;
    void (*add)(struct gguf_builder *b);
    enum rag_status status;
    const char *words;
    float divisor; /* 0: none */
} gguf_rows[] = {
    {"experts",                          experts,             RAG_EFORMAT, "'llama.expert_count': 8; a mixture",            0},
    {"no experts, said aloud",           no_experts,          RAG_OK,      "",                                              0},
    {"a negative beginning token",       negative_bos,        RAG_EFORMAT, "-1, expected 0 or more",                        0},
    {"a beginning token out of all",     large_bos,           RAG_EFORMAT, "beginning token 5 is not below the 5",
     0                                                                                                                       },
    {"an ending token of 2^32 - 1",      large_eos,           RAG_EFORMAT, "ending token 4294967295",                       0},
    {"YaRN",                             yarn,                RAG_EFORMAT, "'yarn' is not supported",                       0},
    {"linear scaling",                   linear,              RAG_OK,      "",                                              4},
    {"linear scaling by its older name", older_linear,        RAG_OK,      "",                                              2},
    {"a rotation of half a head",        half_a_rotation,     RAG_EFORMAT,
     "dimension_count': 8, expected all 16",                                                                                0},
    {"values of another width",          other_values,        RAG_EFORMAT, "value_length': 32, expected the 16",            0},
    {"a window of Llama",                window,              RAG_EFORMAT, "sliding_window': 16 is not supported",          0},
    {"a window as long as the context",  window_of_all,       RAG_OK,      "",                                              0},
    {"soft-capping",                     soft_capping,        RAG_EFORMAT, "'llama.attn_logit_softcapping': 50",            0},
    {"an encoder",                       no_decoder,          RAG_EFORMAT, "this is no decoder",                            0},
    {"a vocabulary of another size",     other_vocabulary,    RAG_EFORMAT,
     "6, but token_embd.weight has 5 rows",                                                                                 0},
    {"more tokens than rows",            more_tokens,         RAG_EFORMAT,
     "6 tokens, but token_embd.weight has 5 rows",                                                                          0},
    {"other heads in each layer",        heads_of_each_layer, RAG_EFORMAT,
     "type array, expected a whole number",                                                                                 0},
    {"no key heads",                     no_heads,            RAG_EFORMAT, "'llama.attention.head_count_kv': missing or 0", 0},
    {"a number that is text",            theta_as_text,       RAG_EFORMAT, "type string, expected f32 or f64",              0},
};

static void check_gguf_row(void **state)
{
    const struct gguf_row *row = *state;
    struct decoder_config c = {0};
    struct rag_error error = {.text = ""};
    struct gguf_builder b;

    begin_llama(&b);
    row->add(&b);
    tensor_f32(&b, "token_embd.weight", 5, 64);
    assert_int_equal(read_gguf(&b, &c, &error), row->status);
    if (!strstr(error.text, row->words) || (row->status != RAG_OK && !strstr(error.text, path)))
        fail_msg("message: %s", error.text);
    if (row->divisor > 0)
        assert_near(c.rope_divisors[7], row->divisor);
    else
        assert_null(c.rope_divisors);
    decoder_config_release(&c);
}

static void gguf_of_no_decoder(void **state)
{
    struct decoder_config c = {0};
    struct rag_error error;
    struct gguf_builder b;

    (void)state;
    gguf_begin(&b);
    assert_int_equal(read_gguf(&b, &c, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "'general.architecture' is missing"));
    gguf_begin(&b);
    key_text(&b, "general.architecture", "bert");
    assert_int_equal(read_gguf(&b, &c, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "architecture 'bert' is not supported"));
    gguf_begin(&b);
    key_text(&b, "general.architecture", "llama");
    assert_int_equal(read_gguf(&b, &c, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "'llama.block_count': missing or 0"));
}

static void gguf_of_gemma(void **state)
{
    struct decoder_config c = {0};
    struct gguf_builder b;

    (void)state;
    for (uint32_t n_layers = 26; n_layers <= 62; n_layers += 36) {
        gguf_begin(&b);
        key_text(&b, "general.architecture", "gemma3");
        key_u32(&b, "gemma3.block_count", n_layers);
        key_u32(&b, "gemma3.embedding_length", 64);
        key_u32(&b, "gemma3.feed_forward_length", 96);
        key_u32(&b, "gemma3.context_length", 512);
        key_u32(&b, "gemma3.attention.head_count", 4);
        key_u32(&b, "gemma3.attention.key_length", 64);
        key_u32(&b, "gemma3.attention.value_length", 64);
        key_u32(&b, "gemma3.attention.sliding_window", 16);
        key_f32(&b, "gemma3.attention.layer_norm_rms_epsilon", 1e-6f);
        key_f32(&b, "gemma3.rope.freq_base", 1e6f);
        key_text(&b, "gemma3.rope.scaling.type", "linear");
        key_f32(&b, "gemma3.rope.scaling.factor", 8.0f);
        tensor_f32(&b, "token_embd.weight", 5, 64);
        assert_int_equal(read_gguf(&b, &c, NULL), RAG_OK);
        assert_true(c.gelu && c.post_norms && c.qk_norm && !c.rope_interleaved);
        assert_near(c.norm_offset, 0.0f); /* the file has it added */
        assert_near(c.embedding_scale, 8.0f);
        assert_near(c.attention_scale, n_layers == 62 ? 0.25f : 0.125f);
        assert_near(c.rope_theta_local, 1e4f);
        assert_near(c.rope_divisors[31], 8.0f);
        assert_int_equal(c.sliding_window, 16);
        assert_int_equal(c.sliding_pattern, 6);
        decoder_config_release(&c);
    }
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(gguf_with_every_default), cmocka_unit_test(gguf_of_llama3),
        cmocka_unit_test(gguf_with_divisors),      cmocka_unit_test(gguf_of_no_decoder),
        cmocka_unit_test(gguf_of_gemma),
    };
    struct CMUnitTest tests[COUNT(gguf_rows) + COUNT(others)];

    for (size_t i = 0; i < COUNT(gguf_rows); i++)
        tests[i] = (struct CMUnitTest){.name = gguf_rows[i].name,
                                       .test_func = check_gguf_row,
                                       .initial_state = (void *)(uintptr_t)&gguf_rows[i]};
    memcpy(tests + COUNT(gguf_rows), others, sizeof others);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
