/* Goal: config.json of a decoder is read with its own defaults, and what this engine would compute
 * wrongly is refused by its name. Method: the texts of published configurations; one row per
 * setting that is refused; directories. (GGUF: test_decoder_config_gguf.c) */
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decoder_config_asserts.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- published configurations ---- */

static const char exaone[] =
    "{\"activation_function\":\"silu\",\"architectures\":[\"ExaoneForCausalLM\"],"
    "\"attention_dropout\":0.0,\"bos_token_id\":1,\"embed_dropout\":0.0,\"eos_token_id\":361,"
    "\"head_dim\":80,\"hidden_size\":2560,\"initializer_range\":0.02,\"intermediate_size\":7168,"
    "\"layer_norm_epsilon\":1e-05,\"max_position_embeddings\":32768,\"model_type\":\"exaone\","
    "\"num_attention_heads\":32,\"num_key_value_heads\":8,\"num_layers\":30,\"pad_token_id\":0,"
    "\"rope_scaling\":{\"factor\":8.0,\"high_freq_factor\":4.0,\"low_freq_factor\":1.0,"
    "\"original_max_position_embeddings\":8192,\"rope_type\":\"llama3\"},\"rope_theta\":1000000,"
    "\"tie_word_embeddings\":true,\"use_cache\":true,\"vocab_size\":102400}";

static const char llama32[] =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"attention_bias\":false,\"bos_token_id\":128000,"
    "\"eos_token_id\":[128001,128008,128009],\"head_dim\":64,\"hidden_act\":\"silu\","
    "\"hidden_size\":2048,\"intermediate_size\":8192,\"max_position_embeddings\":131072,"
    "\"mlp_bias\":false,\"model_type\":\"llama\",\"num_attention_heads\":32,"
    "\"num_hidden_layers\":16,\"num_key_value_heads\":8,\"pretraining_tp\":1,"
    "\"rms_norm_eps\":1e-05,\"rope_scaling\":{\"factor\":32.0,\"high_freq_factor\":4.0,"
    "\"low_freq_factor\":1.0,\"original_max_position_embeddings\":8192,\"rope_type\":\"llama3\"},"
    "\"rope_theta\":500000.0,\"tie_word_embeddings\":true,\"vocab_size\":128256}";

static const char qwen25[] =
    "{\"architectures\":[\"Qwen2ForCausalLM\"],\"bos_token_id\":151643,\"eos_token_id\":151645,"
    "\"hidden_act\":\"silu\",\"hidden_size\":896,\"intermediate_size\":4864,"
    "\"max_position_embeddings\":32768,\"max_window_layers\":21,\"model_type\":\"qwen2\","
    "\"num_attention_heads\":14,\"num_hidden_layers\":24,\"num_key_value_heads\":2,"
    "\"rms_norm_eps\":1e-06,\"rope_theta\":1000000.0,\"sliding_window\":32768,"
    "\"tie_word_embeddings\":true,\"use_sliding_window\":false,\"vocab_size\":151936}";

static const char qwen3[] =
    "{\"architectures\":[\"Qwen3ForCausalLM\"],\"attention_bias\":false,\"bos_token_id\":151643,"
    "\"eos_token_id\":151645,\"head_dim\":128,\"hidden_act\":\"silu\",\"hidden_size\":1024,"
    "\"intermediate_size\":3072,\"max_position_embeddings\":40960,\"max_window_layers\":28,"
    "\"model_type\":\"qwen3\",\"num_attention_heads\":16,\"num_hidden_layers\":28,"
    "\"num_key_value_heads\":8,\"rms_norm_eps\":1e-06,\"rope_scaling\":null,"
    "\"rope_theta\":1000000,\"sliding_window\":null,\"tie_word_embeddings\":true,"
    "\"use_sliding_window\":false,\"vocab_size\":151936}";

static const char gemma3_1b[] =
    "{\"architectures\":[\"Gemma3ForCausalLM\"],\"attention_bias\":false,"
    "\"attn_logit_softcapping\":null,\"bos_token_id\":2,\"eos_token_id\":[1,106],"
    "\"final_logit_softcapping\":null,\"head_dim\":256,\"hidden_activation\":"
    "\"gelu_pytorch_tanh\",\"hidden_size\":1152,\"intermediate_size\":6912,"
    "\"max_position_embeddings\":32768,\"model_type\":\"gemma3_text\",\"num_attention_heads\":4,"
    "\"num_hidden_layers\":26,\"num_key_value_heads\":1,\"query_pre_attn_scalar\":256,"
    "\"rms_norm_eps\":1e-06,\"rope_local_base_freq\":10000,\"rope_scaling\":null,"
    "\"rope_theta\":1000000,\"sliding_window\":512,\"sliding_window_pattern\":6,"
    "\"vocab_size\":262144}";

static const char gemma3_4b[] =
    "{\"architectures\":[\"Gemma3ForConditionalGeneration\"],\"eos_token_id\":[1,106],"
    "\"image_token_index\":262144,\"model_type\":\"gemma3\",\"text_config\":{"
    "\"hidden_size\":2560,\"intermediate_size\":10240,\"model_type\":\"gemma3_text\","
    "\"num_hidden_layers\":34,\"rope_scaling\":{\"factor\":8.0,\"rope_type\":\"linear\"},"
    "\"sliding_window\":1024},\"vision_config\":{\"hidden_size\":1152}}";

/* of transformers 5 */
static const char gemma3_newer[] =
    "{\"architectures\":[\"Gemma3ForCausalLM\"],\"bos_token_id\":2,\"eos_token_id\":1,"
    "\"head_dim\":256,\"hidden_activation\":\"gelu_pytorch_tanh\",\"hidden_size\":640,"
    "\"intermediate_size\":2048,\"layer_types\":[\"sliding_attention\",\"sliding_attention\","
    "\"full_attention\",\"sliding_attention\",\"sliding_attention\",\"full_attention\","
    "\"sliding_attention\"],\"max_position_embeddings\":32768,\"model_type\":\"gemma3_text\","
    "\"num_attention_heads\":4,\"num_hidden_layers\":7,\"num_key_value_heads\":1,"
    "\"query_pre_attn_scalar\":256,\"rms_norm_eps\":1e-06,\"rope_parameters\":{"
    "\"full_attention\":{\"rope_theta\":2000000.0,\"rope_type\":\"default\"},"
    "\"sliding_attention\":{\"rope_theta\":20000.0,\"rope_type\":\"default\"}},"
    "\"sliding_window\":512,\"use_bidirectional_attention\":false,\"vocab_size\":262144}";

static const char llama_newer[] =
    "{\"head_dim\":null,\"hidden_act\":\"silu\",\"hidden_size\":64,\"intermediate_size\":96,"
    "\"max_position_embeddings\":512,\"model_type\":\"llama\",\"num_attention_heads\":4,"
    "\"num_hidden_layers\":2,\"vocab_size\":320,\"rope_parameters\":{\"rope_type\":\"linear\","
    "\"factor\":4.0,\"rope_theta\":50000.0}}";

static const char minimind[] =
    "{\"architectures\":[\"MiniMindForCausalLM\"],\"bos_token_id\":1,\"dropout\":0.0,"
    "\"eos_token_id\":2,\"flash_attn\":true,\"hidden_act\":\"silu\",\"hidden_size\":512,"
    "\"inference_rope_scaling\":false,\"intermediate_size\":1408,"
    "\"max_position_embeddings\":32768,\"model_type\":\"minimind\",\"n_routed_experts\":4,"
    "\"num_attention_heads\":8,\"num_experts_per_tok\":2,\"num_hidden_layers\":8,"
    "\"num_key_value_heads\":2,\"rms_norm_eps\":1e-05,\"rope_theta\":1000000.0,"
    "\"use_moe\":false,\"vocab_size\":6400}";

static const struct published {
    const char *name;
    const char *text;
    struct decoder_config expected; /* rope_divisors: not compared here */
    double divisor[2];              /* the first and the last; 0: none */
} published[] = {
    {"EXAONE 3.5 2.4B",
     exaone,       {.family = DECODER_EXAONE,
      .n_layers = 30,
      .hidden = 2560,
      .n_heads = 32,
      .n_kv_heads = 8,
      .head_dim = 80,
      .intermediate = 7168,
      .vocab_size = 102400,
      .context_max = 32768,
      .norm_epsilon = 1e-5f,
      .embedding_scale = 1,
      .attention_scale = 0.111803399f,
      .rope_theta = 1e6f,
      .rope_theta_local = 1e6f,
      .tied = true,
      .has_bos = true,
      .bos_id = 1,
      .eos_ids = {361},
      .n_eos = 1},
     {1, 8} },
    {"Llama 3.2 1B",
     llama32,      {.family = DECODER_LLAMA,
      .n_layers = 16,
      .hidden = 2048,
      .n_heads = 32,
      .n_kv_heads = 8,
      .head_dim = 64,
      .intermediate = 8192,
      .vocab_size = 128256,
      .context_max = 131072,
      .norm_epsilon = 1e-5f,
      .embedding_scale = 1,
      .attention_scale = 0.125f,
      .rope_theta = 5e5f,
      .rope_theta_local = 5e5f,
      .tied = true,
      .has_bos = true,
      .bos_id = 128000,
      .add_bos = true,
      .eos_ids = {128001, 128008, 128009},
      .n_eos = 3},
     {1, 32}},
    {"Qwen2.5 0.5B",
     qwen25,       {.family = DECODER_QWEN2,
      .n_layers = 24,
      .hidden = 896,
      .n_heads = 14,
      .n_kv_heads = 2,
      .head_dim = 64,
      .intermediate = 4864,
      .vocab_size = 151936,
      .context_max = 32768,
      .norm_epsilon = 1e-6f,
      .embedding_scale = 1,
      .attention_scale = 0.125f,
      .rope_theta = 1e6f,
      .rope_theta_local = 1e6f,
      .qkv_bias = true,
      .tied = true,
      .has_bos = true,
      .bos_id = 151643,
      .eos_ids = {151645},
      .n_eos = 1},
     {0, 0} },
    {"Qwen3 0.6B",
     qwen3,        {.family = DECODER_QWEN3,
      .n_layers = 28,
      .hidden = 1024,
      .n_heads = 16,
      .n_kv_heads = 8,
      .head_dim = 128,
      .intermediate = 3072,
      .vocab_size = 151936,
      .context_max = 40960,
      .norm_epsilon = 1e-6f,
      .embedding_scale = 1,
      .attention_scale = 0.0883883476f,
      .rope_theta = 1e6f,
      .rope_theta_local = 1e6f,
      .qk_norm = true,
      .tied = true,
      .has_bos = true,
      .bos_id = 151643,
      .eos_ids = {151645},
      .n_eos = 1},
     {0, 0} },
    {"Gemma 3 1B",
     gemma3_1b,    {.family = DECODER_GEMMA3,
      .n_layers = 26,
      .hidden = 1152,
      .n_heads = 4,
      .n_kv_heads = 1,
      .head_dim = 256,
      .intermediate = 6912,
      .vocab_size = 262144,
      .context_max = 32768,
      .norm_epsilon = 1e-6f,
      .norm_offset = 1,
      .embedding_scale = 33.9411255f,
      .attention_scale = 0.0625f,
      .rope_theta = 1e6f,
      .sliding_window = 512,
      .sliding_pattern = 6,
      .rope_theta_local = 1e4f,
      .qk_norm = true,
      .post_norms = true,
      .gelu = true,
      .tied = true,
      .has_bos = true,
      .bos_id = 2,
      .add_bos = true,
      .eos_ids = {1, 106},
      .n_eos = 2},
     {0, 0} },
    {"Gemma 3 4B, which leaves out what is usual",
     gemma3_4b,    {.family = DECODER_GEMMA3,
      .n_layers = 34,
      .hidden = 2560,
      .n_heads = 8,
      .n_kv_heads = 4,
      .head_dim = 256,
      .intermediate = 10240,
      .vocab_size = 262208,
      .context_max = 131072,
      .norm_epsilon = 1e-6f,
      .norm_offset = 1,
      .embedding_scale = 50.5964426f,
      .attention_scale = 0.0625f,
      .rope_theta = 1e6f,
      .sliding_window = 1024,
      .sliding_pattern = 6,
      .rope_theta_local = 1e4f,
      .qk_norm = true,
      .post_norms = true,
      .gelu = true,
      .tied = true,
      .has_bos = true,
      .bos_id = 2,
      .add_bos = true,
      .eos_ids = {1, 106},
      .n_eos = 2},
     {8, 8} },
    {"Gemma 3 as transformers 5 writes it",
     gemma3_newer, {.family = DECODER_GEMMA3,
      .n_layers = 7,
      .hidden = 640,
      .n_heads = 4,
      .n_kv_heads = 1,
      .head_dim = 256,
      .intermediate = 2048,
      .vocab_size = 262144,
      .context_max = 32768,
      .norm_epsilon = 1e-6f,
      .norm_offset = 1,
      .embedding_scale = 25.2982213f,
      .attention_scale = 0.0625f,
      .rope_theta = 2e6f,
      .sliding_window = 512,
      .sliding_pattern = 3,
      .rope_theta_local = 2e4f,
      .qk_norm = true,
      .post_norms = true,
      .gelu = true,
      .tied = true,
      .has_bos = true,
      .bos_id = 2,
      .add_bos = true,
      .eos_ids = {1},
      .n_eos = 1},
     {0, 0} },
    {"Llama as transformers 5 writes it, with every default",
     llama_newer,  {.family = DECODER_LLAMA,
      .n_layers = 2,
      .hidden = 64,
      .n_heads = 4,
      .n_kv_heads = 4,
      .head_dim = 16,
      .intermediate = 96,
      .vocab_size = 320,
      .context_max = 512,
      .norm_epsilon = 1e-6f,
      .embedding_scale = 1,
      .attention_scale = 0.25f,
      .rope_theta = 5e4f,
      .rope_theta_local = 5e4f},
     {4, 4} },
    {"MiniMind",
     minimind,     {.family = DECODER_LLAMA,
      .n_layers = 8,
      .hidden = 512,
      .n_heads = 8,
      .n_kv_heads = 2,
      .head_dim = 64,
      .intermediate = 1408,
      .vocab_size = 6400,
      .context_max = 32768,
      .norm_epsilon = 1e-5f,
      .embedding_scale = 1,
      .attention_scale = 0.125f,
      .rope_theta = 1e6f,
      .rope_theta_local = 1e6f,
      .tied = true,
      .has_bos = true,
      .bos_id = 1,
      .eos_ids = {2},
      .n_eos = 1},
     {0, 0} },
};

static void check_published(void **state)
{
    const struct published *p = *state;
    struct decoder_config c = {0};
    struct rag_error error = {.text = ""};

    if (decoder_config_parse("DIR", p->text, strlen(p->text), &c, &error) != RAG_OK)
        fail_msg("%s", error.text);
    assert_config(&c, &p->expected);
    if (p->divisor[0] == 0.0) {
        assert_null(c.rope_divisors);
    } else {
        assert_non_null(c.rope_divisors);
        assert_near(c.rope_divisors[0], (float)p->divisor[0]);
        assert_near(c.rope_divisors[c.head_dim / 2 - 1], (float)p->divisor[1]);
    }
    decoder_config_release(&c);
}

/* The divisor between the two ends of Llama 3's scaling: frequency 1 of 16, theta 500,000, original
 * context 64 (worked out with the formula in float64 elsewhere). */
static void llama3_scaling_between_its_ends(void **state)
{
    static const char text[] =
        "{\"model_type\":\"llama\",\"hidden_size\":64,\"intermediate_size\":96,"
        "\"max_position_embeddings\":512,\"num_attention_heads\":4,\"num_hidden_layers\":2,"
        "\"vocab_size\":320,\"rope_theta\":500000.0,\"rope_scaling\":{\"type\":\"llama3\","
        "\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
        "\"original_max_position_embeddings\":64}}";
    struct decoder_config c = {0};

    (void)state;
    assert_int_equal(decoder_config_parse("DIR", text, strlen(text), &c, NULL), RAG_OK);
    assert_near(c.rope_divisors[0], 1.0f);
    assert_true(fabs((double)c.rope_divisors[1] - 2.44226) < 1e-5);
    assert_near(c.rope_divisors[2], 8.0f);
    decoder_config_release(&c);
}

/* ---- what is refused ---- */

/* 'change' takes the place of "\"marker\":0" in a right configuration. */
static const char right[] =
    "{\"model_type\":\"%s\",\"num_hidden_layers\":2,\"num_layers\":2,\"hidden_size\":64,"
    "\"num_attention_heads\":4,\"intermediate_size\":96,\"max_position_embeddings\":512,"
    "\"vocab_size\":320,%s}";

static const struct refused {
    const char *name;
    const char *model_type;
    const char *change;
    enum rag_status status;
    const char *words;
} refused[] = {
    {"nothing changed",                          "llama",       "\"marker\":0",                                             RAG_OK,      ""                             },
    {"an architecture that is not there",        "mamba",       "\"marker\":0",                                             RAG_EFORMAT,
     "model_type 'mamba' is not supported"                                                                                                                              },
    {"experts",                                  "qwen3",       "\"num_experts\":128",                                      RAG_EFORMAT, "'num_experts' is set"         },
    {"experts of MiniMind",                      "minimind",    "\"use_moe\":true,\"n_routed_experts\":4",                  RAG_EFORMAT,
     "'use_moe' is set"                                                                                                                                                 },
    {"biases of Llama's attention",              "llama",       "\"attention_bias\":true",                                  RAG_EFORMAT,
     "'attention_bias' is set"                                                                                                                                          },
    {"biases of its feed-forward",               "llama",       "\"mlp_bias\":true",                                        RAG_EFORMAT, "'mlp_bias' is set"            },
    {"a window of Qwen2",                        "qwen2",       "\"use_sliding_window\":true,\"sliding_window\":16",        RAG_EFORMAT,
     "'use_sliding_window' is set"                                                                                                                                      },
    {"a window of Qwen3 in the newer way",       "qwen3",
     "\"layer_types\":[\"full_attention\",\"sliding_attention\"]",                                                          RAG_EFORMAT,
     "'sliding_attention' is not supported"                                                                                                                             },
    {"layer types that are all whole",           "qwen3",
     "\"layer_types\":[\"full_attention\",\"full_attention\"]",                                                             RAG_OK,      ""                             },
    {"layer types of other layers",              "gemma3_text", "\"layer_types\":[\"full_attention\"]",
     RAG_EFORMAT,                                                                                                                        "1 entries for 2 layers"       },
    {"soft-capping",                             "gemma3_text", "\"final_logit_softcapping\":30.0",                         RAG_EFORMAT,
     "'final_logit_softcapping' is set"                                                                                                                                 },
    {"attention that looks ahead",               "gemma3_text", "\"use_bidirectional_attention\":true",
     RAG_EFORMAT,                                                                                                                        "'use_bidirectional_attention'"},
    {"quantised weights of another kind",        "llama",
     "\"quantization_config\":{\"quant_method\":\"gptq\"}",                                                                 RAG_EFORMAT,
     "'quantization_config' is set"                                                                                                                                     },
    {"another activation",                       "llama",       "\"hidden_act\":\"gelu\"",                                  RAG_EFORMAT,
     "hidden_act 'gelu' is not supported"                                                                                                                               },
    {"another activation of Gemma",              "gemma3_text", "\"hidden_activation\":\"gelu\"",                           RAG_EFORMAT,
     "'gelu_pytorch_tanh' is"                                                                                                                                           },
    {"Gemma's other activation key is not read", "gemma3_text", "\"hidden_act\":\"silu\"",                                  RAG_OK,
     ""                                                                                                                                                                 },
    {"YaRN",                                     "qwen3",       "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4.0}", RAG_EFORMAT,
     "rope_type 'yarn' is not supported"                                                                                                                                },
    {"a rotation of half a head",                "llama",       "\"partial_rotary_factor\":0.5",                            RAG_EFORMAT,
     "'partial_rotary_factor' 0.5"                                                                                                                                      },
    {"it in the newer place",                    "llama",       "\"rope_parameters\":{\"partial_rotary_factor\":0.25}",
     RAG_EFORMAT,                                                                                                                        "'partial_rotary_factor' 0.25" },
    {"a scaling factor of 0",                    "llama",       "\"rope_scaling\":{\"type\":\"linear\",\"factor\":0}",
     RAG_EFORMAT,                                                                                                                        "factor"                       },
    {"a scaling that is text",                   "llama",       "\"rope_scaling\":\"linear\"",                              RAG_EFORMAT, "rope_scaling"                 },
    {"Llama 3's ends the wrong way round",       "llama",
     "\"rope_scaling\":{\"type\":\"llama3\",\"low_freq_factor\":4,\"high_freq_factor\":1}",                                 RAG_EFORMAT, "is not below"                 },
    {"a key twice",                              "llama",       "\"num_hidden_layers\":3",                                  RAG_EFORMAT, "occurs twice"                 },
    {"more key heads than heads",                "llama",       "\"num_key_value_heads\":8",                                RAG_EFORMAT,
     "8 key-value heads"                                                                                                                                                },
    {"key heads that do not divide",             "llama",       "\"num_key_value_heads\":3",                                RAG_EFORMAT,
     "3 key-value heads"                                                                                                                                                },
    {"an odd head",                              "llama",       "\"head_dim\":15",                                          RAG_EFORMAT, "heads of 15"                  },
    {"a head that is too large",                 "llama",       "\"head_dim\":258",                                         RAG_EFORMAT, "heads of 258"                 },
    {"a negative beginning token",               "llama",       "\"bos_token_id\":-1",                                      RAG_EFORMAT, "bos_token_id"                 },
    {"a beginning token out of the vocabulary",  "llama",       "\"bos_token_id\":320",                                     RAG_EFORMAT,
     "beginning token 320"                                                                                                                                              },
    {"a negative ending token",                  "llama",       "\"eos_token_id\":-1",                                      RAG_EFORMAT, "-1 is no token"               },
    {"half an ending token",                     "llama",       "\"eos_token_id\":[1,1.5]",                                 RAG_EFORMAT, "1.5 is no token"              },
    {"an ending token that is text",             "llama",       "\"eos_token_id\":\"</s>\"",                                RAG_EFORMAT, "no token"                     },
    {"an ending token out of the vocabulary",    "llama",       "\"eos_token_id\":[2,320]",                                 RAG_EFORMAT,
     "ending token 320"                                                                                                                                                 },
    {"nine ending tokens",                       "llama",       "\"eos_token_id\":[1,2,3,4,5,6,7,8,9]",                     RAG_EFORMAT,
     "more than 8 ending tokens"                                                                                                                                        },
    {"one ending token nine times",              "llama",       "\"eos_token_id\":[1,1,1,1,1,1,1,1,1]",                     RAG_OK,      ""                             },
    {"an epsilon that is text",                  "llama",       "\"rms_norm_eps\":\"small\"",                               RAG_EFORMAT, "rms_norm_eps"                 },
    {"a theta of 0",                             "llama",       "\"rope_theta\":0",                                         RAG_EFORMAT, "rope_theta"                   },
    {"a window of 0",                            "gemma3_text", "\"sliding_window\":0",                                     RAG_EFORMAT, "sliding_window"               },
    {"layer types out of pattern",               "gemma3_text",
     "\"layer_types\":[\"full_attention\",\"sliding_attention\"]",                                                          RAG_EFORMAT,
     "layer 1 breaks the pattern"                                                                                                                                       },
};

static void check_refused(void **state)
{
    const struct refused *row = *state;
    struct decoder_config c = {0};
    struct rag_error error = {.text = ""};
    char text[1024];

    snprintf(text, sizeof text, right, row->model_type, row->change);
    assert_int_equal(decoder_config_parse("DIR", text, strlen(text), &c, &error), row->status);
    if (!strstr(error.text, row->words) ||
        (row->status != RAG_OK && !strstr(error.text, "model 'DIR': config.json")))
        fail_msg("message: %s", error.text);
    decoder_config_release(&c);
}

static void what_is_no_configuration(void **state)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "7",
                                        "{}",
                                        "{\"model_type\":7}",
                                        "{\"model_type\":\"gemma3\",\"text_config\":[]}",
                                        "{\"model_type\":\"llama\"}"};

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct decoder_config c = {0};

        assert_int_equal(decoder_config_parse("DIR", texts[i], strlen(texts[i]), &c, NULL),
                         RAG_EFORMAT);
        assert_null(c.rope_divisors);
    }
}

/* ---- directories ---- */

static char dir[] = "/tmp/rag-decoder-config-XXXXXX";

static void write_text(const char *name, const char *text)
{
    char file[96];
    FILE *f;

    snprintf(file, sizeof file, "%s/%s", dir, name);
    f = fopen(file, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static void remove_all(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s/* %s/.hidden.gguf", dir, dir);
    assert_int_equal(system(command), 0);
}

/* Ending tokens of both files count; the tokenizer says whether texts begin with the other one. */
static void a_directory_of_three_files(void **state)
{
    struct decoder_config c = {0};
    struct rag_error error;

    (void)state;
    write_text("config.json", llama32);
    write_text("model.safetensors", "");
    write_text("generation_config.json", "{\"eos_token_id\":[128001,7]}");
    write_text("tokenizer_config.json", "{\"add_bos_token\":false}");
    assert_true(decoder_config_is_decoder(dir));
    assert_int_equal(decoder_config_open(dir, &c, NULL), RAG_OK);
    assert_int_equal(c.n_eos, 4);
    assert_int_equal(c.eos_ids[3], 7);
    assert_false(c.add_bos);
    decoder_config_release(&c);
    write_text("generation_config.json", "{\"eos_token_id\":-2}");
    assert_int_equal(decoder_config_open(dir, &c, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "generation_config.json: -2"));
    write_text("generation_config.json", "{");
    assert_int_equal(decoder_config_open(dir, &c, NULL), RAG_EFORMAT);
    remove_all();
}

static void which_file_a_path_means(void **state)
{
    struct rag_error error;
    char *file = NULL;
    char name[96];

    (void)state;
    assert_int_equal(decoder_gguf_path(dir, &file, &error), RAG_ENOTFOUND);
    assert_false(decoder_config_is_decoder(dir));
    write_text("b.gguf", "x");
    write_text(".hidden.gguf", "x");
    assert_int_equal(decoder_gguf_path(dir, &file, NULL), RAG_OK);
    snprintf(name, sizeof name, "%s/b.gguf", dir);
    assert_string_equal(file, name);
    free(file);
    assert_true(decoder_config_is_decoder(dir));
    assert_true(decoder_config_is_decoder(name));
    assert_int_equal(decoder_gguf_path(name, &file, NULL), RAG_OK);
    assert_string_equal(file, name);
    free(file);
    write_text("a.gguf", "x");
    assert_int_equal(decoder_gguf_path(dir, &file, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "2 *.gguf files; name one, such as"));
    assert_non_null(strstr(error.text, "/a.gguf'"));
    write_text("model.safetensors", "x"); /* wins over both */
    file = name;                          /* is set to NULL */
    assert_int_equal(decoder_gguf_path(dir, &file, NULL), RAG_OK);
    assert_null(file);
    assert_false(decoder_config_is_decoder(dir)); /* no config.json */
    write_text("config.json", "{\"model_type\":\"bert\",\"architectures\":[\"BertModel\"]}");
    assert_false(decoder_config_is_decoder(dir));
    write_text("config.json",
               "{\"model_type\":\"mamba\",\"architectures\":[\"MambaForCausalLM\"]}");
    assert_true(decoder_config_is_decoder(dir));
    snprintf(name, sizeof name, "%s/none", dir);
    assert_int_equal(decoder_gguf_path(name, &file, NULL), RAG_ENOTFOUND);
    assert_false(decoder_config_is_decoder(name));
    remove_all();
    write_text("config.json", llama32); /* a download that is not finished */
    assert_int_equal(decoder_gguf_path(dir, &file, NULL), RAG_OK);
    assert_null(file);
    assert_true(decoder_config_is_decoder(dir));
    write_text("a.gguf", "x"); /* a folder of GGUF files that has the original's config.json */
    assert_int_equal(decoder_gguf_path(dir, &file, NULL), RAG_OK);
    assert_non_null(file);
    free(file);
    remove_all();
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(llama3_scaling_between_its_ends),
        cmocka_unit_test(what_is_no_configuration),
        cmocka_unit_test(a_directory_of_three_files),
        cmocka_unit_test(which_file_a_path_means),
    };
    struct CMUnitTest tests[COUNT(published) + COUNT(refused) + COUNT(others)];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(published); i++)
        tests[n++] = (struct CMUnitTest){.name = published[i].name,
                                         .test_func = check_published,
                                         .initial_state = (void *)(uintptr_t)&published[i]};
    for (size_t i = 0; i < COUNT(refused); i++)
        tests[n++] = (struct CMUnitTest){.name = refused[i].name,
                                         .test_func = check_refused,
                                         .initial_state = (void *)(uintptr_t)&refused[i]};
    memcpy(tests + n, others, sizeof others);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
