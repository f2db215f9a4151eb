/* config.json of a decoder, as Hugging Face's transformers writes it (configuration_llama.py,
 * configuration_qwen2.py, configuration_qwen3.py, configuration_gemma3.py; EXAONE 3.5's own
 * configuration_exaone.py), with their defaults. */
#include <math.h>
#include <string.h>

#include "base/bounds.h"
#include "nn/config_keys.h"
#include "nn/decoder_config_internal.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct family {
    const char *model_type;
    enum decoder_family family;
    const char *n_layers;
    const char *epsilon;
    const char *activation;
    double epsilon_default;
    int64_t head_dim; /* when the file does not say; 0: hidden / heads */
    bool qkv_bias;
    bool qk_norm;
    bool tied; /* likewise */
    bool add_bos;
};

#define LLAMA_KEYS                                                                                 \
    .n_layers = "num_hidden_layers", .epsilon = "rms_norm_eps", .activation = "hidden_act",        \
    .epsilon_default = 1e-6

/* clang-format off */
static const struct family families[] = {
    {"llama", DECODER_LLAMA, LLAMA_KEYS, .add_bos = true},
    {"exaone", DECODER_EXAONE, .n_layers = "num_layers", .epsilon = "layer_norm_epsilon",
     .activation = "activation_function", .epsilon_default = 1e-5, .tied = true},
    {"qwen2", DECODER_QWEN2, LLAMA_KEYS, .qkv_bias = true},
    {"qwen3", DECODER_QWEN3, LLAMA_KEYS, .head_dim = 128, .qk_norm = true},
    {"gemma3_text", DECODER_GEMMA3, .n_layers = "num_hidden_layers", .epsilon = "rms_norm_eps",
     .activation = "hidden_activation", .epsilon_default = 1e-6, .head_dim = 256, .qk_norm = true,
     .tied = true, .add_bos = true},
    /* a Llama in another package; its experts and its rope scaling are refused below */
    {"minimind", DECODER_LLAMA, .n_layers = "num_hidden_layers", .epsilon = "rms_norm_eps",
     .activation = "hidden_act", .epsilon_default = 1e-5, .tied = true},
};
/* clang-format on */

/* NULL: none of ours. */
static const struct family *family_of(const char *type)
{
    for (size_t i = 0; type && i < COUNT(families); i++)
        if (strcmp(families[i].model_type, type) == 0)
            return &families[i];
    return NULL;
}

bool decoder_config_names_decoder(const struct json *config)
{
    return family_of(json_string(json_member(config, "model_type"))) ||
           config_names_architecture(config, "ForCausalLM") ||
           config_names_architecture(config, "ForConditionalGeneration");
}

static enum rag_status find_family(const struct json *root, const struct family **ret,
                                   struct rag_error *reterr)
{
    const struct family *found;
    const char *type = NULL;
    enum rag_status status = json_get_string(root, "model_type", 64, &type, reterr);

    if (status != RAG_OK)
        return status;
    found = family_of(type);
    if (found) {
        *ret = found;
        return RAG_OK;
    }
    return rag_fail(reterr, RAG_EFORMAT,
                    "model_type '%s' is not supported; llama, exaone, qwen2, qwen3, gemma3 and "
                    "gemma3_text are",
                    type ? type : "(none)");
}

/* ---- settings that make another model of the same weights ---- */

/* Keys that must be false, zero, null or absent. */
static enum rag_status refuse_variants(const struct json *root, struct rag_error *reterr)
{
    static const char *const off[] = {
        "attention_bias",
        "mlp_bias",
        "qkv_bias",
        "use_sliding_window",
        "use_moe",
        "num_experts",
        "num_local_experts",
        "n_routed_experts",
        "attn_logit_softcapping",
        "final_logit_softcapping",
        "quantization_config",
        "inference_rope_scaling",
        "use_bidirectional_attention",
        "is_encoder_decoder",
        "clip_qkv",
    };

    for (size_t i = 0; i < COUNT(off); i++) {
        const struct json *value = json_member(root, off[i]);

        /* a mixture's sizes may be there though it is off */
        if (!value || json_is_null(value) || (json_is_bool(value) && !json_true(value)) ||
            json_number(value) == 0.0)
            continue;
        if ((strcmp(off[i], "num_experts") == 0 || strcmp(off[i], "n_routed_experts") == 0) &&
            json_is_bool(json_member(root, "use_moe")))
            continue;
        return rag_fail(reterr, RAG_EFORMAT, "'%s' is set, which is not supported", off[i]);
    }
    return RAG_OK;
}

/* "partial_rotary_factor": how much of a head is rotated. */
static enum rag_status refuse_partial_rotary(const struct json *object, struct rag_error *reterr)
{
    double factor = 1.0;
    enum rag_status status =
        json_get_double(object, "partial_rotary_factor", 0.0, 1.0, &factor, reterr);

    if (status == RAG_OK && factor != 1.0)
        status = rag_fail(reterr, RAG_EFORMAT, "'partial_rotary_factor' %g is not supported; 1 is",
                          factor);
    return status;
}

static enum rag_status check_activation(const struct json *root, const struct family *f,
                                        struct decoder_config *c, struct rag_error *reterr)
{
    const char *expected = f->family == DECODER_GEMMA3 ? "gelu_pytorch_tanh" : "silu";
    const char *found = expected;
    enum rag_status status = json_get_string(root, f->activation, 64, &found, reterr);

    c->gelu = f->family == DECODER_GEMMA3;
    if (status == RAG_OK && strcmp(found, expected) != 0)
        status = rag_fail(reterr, RAG_EFORMAT, "%s '%s' is not supported; '%s' is", f->activation,
                          found, expected);
    return status;
}

/* ---- sizes ---- */

/* The text part of Gemma 3's larger models leaves out what is as in Gemma3TextConfig. */
static enum rag_status read_sizes(const struct json *root, const struct family *f,
                                  struct decoder_config *c, struct rag_error *reterr)
{
    bool gemma = f->family == DECODER_GEMMA3;
    int64_t head_dim = f->head_dim;
    enum rag_status status =
        config_size(root, f->n_layers, 0, DECODER_LAYERS_MAX, &c->n_layers, reterr);

    if (status == RAG_OK)
        status = config_size(root, "hidden_size", 0, DECODER_HIDDEN_MAX, &c->hidden, reterr);
    if (status == RAG_OK)
        status = config_size(root, "num_attention_heads", gemma ? 8 : 0, DECODER_HEADS_MAX,
                             &c->n_heads, reterr);
    if (status == RAG_OK)
        status = config_size(root, "num_key_value_heads", gemma ? 4 : (int64_t)c->n_heads,
                             DECODER_HEADS_MAX, &c->n_kv_heads, reterr);
    if (status == RAG_OK)
        status = config_size(root, "intermediate_size", 0, DECODER_INTERMEDIATE_MAX,
                             &c->intermediate, reterr);
    if (status == RAG_OK)
        status = config_size(root, "vocab_size", gemma ? 262208 : 0, DECODER_VOCAB_MAX,
                             &c->vocab_size, reterr);
    if (status == RAG_OK)
        status = config_size(root, "max_position_embeddings", gemma ? 131072 : 0,
                             DECODER_CONTEXT_MAX, &c->context_max, reterr);
    if (status != RAG_OK)
        return status;
    if (head_dim == 0 && c->hidden % c->n_heads == 0) /* else it must be there */
        head_dim = (int64_t)(c->hidden / c->n_heads);
    return config_size(root, "head_dim", head_dim, DECODER_HIDDEN_MAX, &c->head_dim, reterr);
}

/* ---- rotation ---- */

/* Llama 3's: wavelengths shorter than original / high_freq_factor stay, those longer than original
 * / low_freq_factor are stretched by factor, in between
 *
 *     s = (original / wavelength - low) / (high - low)    divisor = 1 / ((1 - s) / factor + s)
 *
 * (transformers, modeling_rope_utils.py, _compute_llama3_parameters) */
static enum rag_status stretch_llama3(const struct json *scaling, double factor,
                                      struct decoder_config *c, struct rag_error *reterr)
{
    double low = 1.0;
    double high = 4.0;
    double original = 8192.0;
    enum rag_status status = json_get_double(scaling, "low_freq_factor", 1e-3, 1e3, &low, reterr);

    if (status == RAG_OK)
        status = json_get_double(scaling, "high_freq_factor", 1e-3, 1e3, &high, reterr);
    if (status == RAG_OK)
        status = json_get_double(scaling, "original_max_position_embeddings", 1.0,
                                 DECODER_CONTEXT_MAX, &original, reterr);
    if (status == RAG_OK && !(low < high))
        status = rag_fail(reterr, RAG_EFORMAT,
                          "'low_freq_factor' %g is not below 'high_freq_factor' %g", low, high);
    if (status == RAG_OK)
        status = decoder_config_divide(c, 1.0f, reterr);
    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < c->head_dim / 2; i++) {
        double frequency = pow((double)c->rope_theta, -2.0 * (double)i / (double)c->head_dim);
        double wavelength = 2.0 * acos(-1.0) / frequency;
        double s = (original / wavelength - low) / (high - low);

        s = s < 0.0 ? 0.0 : s > 1.0 ? 1.0 : s;
        c->rope_divisors[i] = (float)(1.0 / ((1.0 - s) / factor + s));
    }
    return RAG_OK;
}

/* An object of "rope_scaling" or "rope_parameters"; NULL: none. */
static enum rag_status read_scaling(const struct json *scaling, struct decoder_config *c,
                                    struct rag_error *reterr)
{
    const char *type = NULL;
    double factor = 1.0;
    enum rag_status status;

    if (!scaling)
        return RAG_OK;
    status = json_get_string(scaling, "type", 64, &type, reterr); /* its older name */
    if (status == RAG_OK)
        status = json_get_string(scaling, "rope_type", 64, &type, reterr);
    if (status == RAG_OK)
        status = json_get_double(scaling, "factor", 1e-3, 1e6, &factor, reterr);
    if (status == RAG_OK)
        status = refuse_partial_rotary(scaling, reterr);
    if (status != RAG_OK || !type || strcmp(type, "default") == 0)
        return status;
    if (strcmp(type, "llama3") == 0)
        return stretch_llama3(scaling, factor, c, reterr);
    if (strcmp(type, "linear") == 0)
        return factor != 1.0 ? decoder_config_divide(c, (float)factor, reterr) : RAG_OK;
    return rag_fail(reterr, RAG_EFORMAT,
                    "rope_type '%s' is not supported; default, linear and llama3 are", type);
}

static enum rag_status read_theta(const struct json *object, const char *key, float *ret,
                                  struct rag_error *reterr)
{
    double theta = (double)*ret;
    enum rag_status status = json_get_double(object, key, 1.0, 1e12, &theta, reterr);

    if (status == RAG_OK)
        *ret = (float)theta;
    return status;
}

/* Before transformers 5: "rope_theta", "rope_scaling", "rope_local_base_freq"; since then
 * "rope_parameters", for Gemma one for each kind of layer. */
static enum rag_status read_rope(const struct json *root, const struct family *f,
                                 struct decoder_config *c, struct rag_error *reterr)
{
    const struct json *scaling = NULL;
    const struct json *newer = NULL;
    const struct json *local = NULL;
    const struct json *whole = NULL;
    const char *local_type = "default";
    bool gemma = f->family == DECODER_GEMMA3;
    enum rag_status status;

    c->rope_theta = gemma ? 1e6f : (float)DECODER_ROPE_THETA_DEFAULT;
    c->rope_theta_local = gemma ? (float)DECODER_ROPE_THETA_DEFAULT : 0.0f;
    status = read_theta(root, "rope_theta", &c->rope_theta, reterr);
    if (status == RAG_OK && gemma)
        status = read_theta(root, "rope_local_base_freq", &c->rope_theta_local, reterr);
    if (status == RAG_OK)
        status = json_get_object(root, "rope_scaling", &scaling, reterr);
    if (status == RAG_OK)
        status = json_get_object(root, "rope_parameters", &newer, reterr);
    if (status == RAG_OK && newer)
        status = json_get_object(newer, "full_attention", &whole, reterr);
    if (status == RAG_OK && newer)
        status = json_get_object(newer, "sliding_attention", &local, reterr);
    if (status == RAG_OK && local)
        status = read_theta(local, "rope_theta", &c->rope_theta_local, reterr);
    if (status == RAG_OK && local)
        status = json_get_string(local, "rope_type", 64, &local_type, reterr);
    if (status == RAG_OK && strcmp(local_type, "default") != 0)
        status = rag_fail(reterr, RAG_EFORMAT,
                          "rope_type '%s' of sliding_attention is not supported; default is",
                          local_type);
    if (whole || newer)
        scaling = whole ? whole : newer;
    if (status == RAG_OK && (whole || newer))
        status = read_theta(scaling, "rope_theta", &c->rope_theta, reterr);
    return status == RAG_OK ? read_scaling(scaling, c, reterr) : status;
}

/* ---- which layers see all ---- */

/* "layer_types" as the pattern that it must be; without one, 'pattern' stays. */
static enum rag_status read_layer_types(const struct json *root, bool may_slide, size_t *pattern,
                                        struct decoder_config *c, struct rag_error *reterr)
{
    const struct json *list = NULL;
    enum rag_status status = json_get_array(root, "layer_types", &list, reterr);
    size_t first = 0; /* layer that sees all, counted from 1 */
    size_t i = 1;

    if (status != RAG_OK || !list)
        return status;
    if (json_size(list) != c->n_layers)
        return rag_fail(reterr, RAG_EFORMAT, "'layer_types' has %zu entries for %zu layers",
                        json_size(list), c->n_layers);
    for (const struct json *t = json_first(list); t; t = json_next(t), i++) {
        const char *type = json_string(t) ? json_string(t) : "(none)";
        bool full = strcmp(type, "full_attention") == 0;

        if (!full && !(may_slide && strcmp(type, "sliding_attention") == 0))
            return rag_fail(reterr, RAG_EFORMAT, "'layer_types': '%s' is not supported here", type);
        if (full && first == 0)
            first = i;
        if (full != (first > 0 && i % first == 0))
            return rag_fail(reterr, RAG_EFORMAT,
                            "'layer_types': layer %zu breaks the pattern of every %zu-th", i - 1,
                            first);
    }
    *pattern = first ? first : c->n_layers + 1;
    return RAG_OK;
}

static enum rag_status read_window(const struct json *root, const struct family *f,
                                   struct decoder_config *c, struct rag_error *reterr)
{
    bool gemma = f->family == DECODER_GEMMA3;
    size_t pattern = DECODER_SLIDING_PATTERN_GEMMA3;
    double scalar = 256.0;
    enum rag_status status;

    if (!gemma)
        return read_layer_types(root, false, &pattern, c, reterr);
    status = config_size(root, "sliding_window_pattern", DECODER_SLIDING_PATTERN_GEMMA3,
                         DECODER_LAYERS_MAX + 1, &pattern, reterr);
    if (status == RAG_OK)
        status = read_layer_types(root, true, &pattern, c, reterr);
    if (status == RAG_OK)
        status = config_size(root, "sliding_window", 4096, DECODER_CONTEXT_MAX, &c->sliding_window,
                             reterr);
    if (status == RAG_OK)
        status = json_get_double(root, "query_pre_attn_scalar", 1.0, 1e6, &scalar, reterr);
    if (status != RAG_OK)
        return status;
    c->sliding_pattern = pattern;
    if (pattern == 1) /* every layer sees all */
        c->sliding_window = 0;
    c->attention_scale = (float)(1.0 / sqrt(scalar));
    return RAG_OK;
}

/* ---- tokens ---- */

/* One id or a list of them; NULL and null: none. */
static enum rag_status read_eos(const struct json *node, const char *file, struct decoder_config *c,
                                struct rag_error *reterr)
{
    const struct json *one = json_is_array(node) ? json_first(node) : node;
    enum rag_status status = RAG_OK;

    if (!node || json_is_null(node))
        return RAG_OK;
    for (; one && status == RAG_OK; one = json_is_array(node) ? json_next(one) : NULL) {
        double id = json_number(one);

        if (!(id >= 0.0 && id < (double)DECODER_VOCAB_MAX) || id != floor(id))
            return rag_fail(reterr, RAG_EFORMAT, "'eos_token_id' of %s: %g is no token", file, id);
        status = decoder_config_add_eos(c, (uint64_t)id, reterr);
    }
    return status;
}

/* What a wrapper says counts as well as what its text part says. */
static enum rag_status read_tokens(const struct json *root, const struct json *text,
                                   const struct json *generation, const struct json *tokenizer,
                                   const struct family *f, struct decoder_config *c,
                                   struct rag_error *reterr)
{
    int64_t bos = f->family == DECODER_GEMMA3 ? 2 : -1;
    enum rag_status status = json_get_int(text, "bos_token_id", 0, DECODER_VOCAB_MAX, &bos, reterr);

    if (status == RAG_OK)
        status = json_get_int(root, "bos_token_id", 0, DECODER_VOCAB_MAX, &bos, reterr);
    if (status == RAG_OK)
        status = read_eos(json_member(text, "eos_token_id"), "config.json", c, reterr);
    if (status == RAG_OK && root != text)
        status = read_eos(json_member(root, "eos_token_id"), "config.json", c, reterr);
    if (status == RAG_OK && generation)
        status =
            read_eos(json_member(generation, "eos_token_id"), "generation_config.json", c, reterr);
    c->has_bos = bos >= 0;
    c->bos_id = bos >= 0 ? (uint32_t)bos : 0;
    c->add_bos = f->add_bos;
    if (status == RAG_OK && tokenizer)
        status = json_get_bool(tokenizer, "add_bos_token", &c->add_bos, reterr);
    return status;
}

/* ---- all of it ---- */

static enum rag_status read_text_config(const struct json *root, const struct family *f,
                                        struct decoder_config *c, struct rag_error *reterr)
{
    double epsilon = f->epsilon_default;
    enum rag_status status = refuse_variants(root, reterr);

    c->family = f->family;
    c->qkv_bias = f->qkv_bias;
    c->qk_norm = f->qk_norm;
    c->post_norms = f->family == DECODER_GEMMA3;
    c->norm_offset = f->family == DECODER_GEMMA3 ? 1.0f : 0.0f;
    if (status == RAG_OK)
        status = refuse_partial_rotary(root, reterr);
    if (status == RAG_OK)
        status = check_activation(root, f, c, reterr);
    if (status == RAG_OK)
        status = read_sizes(root, f, c, reterr);
    if (status == RAG_OK)
        status = json_get_double(root, f->epsilon, 1e-30, 1, &epsilon, reterr);
    if (status == RAG_OK)
        status = read_rope(root, f, c, reterr);
    if (status == RAG_OK)
        status = read_window(root, f, c, reterr);
    c->norm_epsilon = (float)epsilon;
    c->embedding_scale = f->family == DECODER_GEMMA3 ? (float)sqrt((double)c->hidden) : 1.0f;
    return status;
}

enum rag_status decoder_config_read_hf(const struct json *config, const struct json *generation,
                                       const struct json *tokenizer, struct decoder_config *ret,
                                       struct rag_error *reterr)
{
    const struct family *f = NULL;
    const struct json *text = config;
    const char *type = json_string(json_member(config, "model_type"));
    enum rag_status status = RAG_OK;

    if (!json_is_object(config))
        return rag_fail(reterr, RAG_EFORMAT, "not a JSON object");
    if (type && strcmp(type, "gemma3") == 0) { /* with pictures: its text part is a decoder */
        text = json_member(config, "text_config");
        if (!json_is_object(text))
            return rag_fail(reterr, RAG_EFORMAT, "'text_config' is missing");
    }
    status = find_family(text, &f, reterr);
    if (status != RAG_OK)
        return status;
    status = read_text_config(text, f, ret, reterr);
    ret->tied = f->tied;
    if (status == RAG_OK)
        status = json_get_bool(text, "tie_word_embeddings", &ret->tied, reterr);
    if (status == RAG_OK && text != config)
        status = json_get_bool(config, "tie_word_embeddings", &ret->tied, reterr);
    if (status == RAG_OK)
        status = read_tokens(config, text, generation, tokenizer, f, ret, reterr);
    return status == RAG_OK ? decoder_config_check(ret, reterr) : status;
}
