/* The keys of a GGUF file that describe a decoder (docs/gguf.md of ggml-org/ggml, "LLM"), with
 * llama.cpp's defaults where a key is missing (src/llama-model.cpp, load_hparams). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "nn/decoder_config_internal.h"

#define COUNT(a)      (sizeof(a) / sizeof((a)[0]))
#define KEY_BYTES_MAX 128

static const struct family {
    const char *architecture;
    enum decoder_family family;
    bool qkv_bias;
    bool qk_norm;
} families[] = {
    {"llama",  DECODER_LLAMA,  false, false},
    {"exaone", DECODER_EXAONE, false, false},
    {"qwen2",  DECODER_QWEN2,  true,  false},
    {"qwen3",  DECODER_QWEN3,  false, true },
    {"gemma3", DECODER_GEMMA3, false, true },
};

/* The file and the name that its keys begin with. */
struct reader {
    const struct gguf *g;
    const char *prefix;
    char key[KEY_BYTES_MAX];
};

static const char *key_of(struct reader *r, const char *name)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->prefix, name);
    return r->key;
}

/* A missing key: *ret stays. */
static enum rag_status read_uint(struct reader *r, const char *name, uint64_t max, uint64_t *ret,
                                 struct rag_error *reterr)
{
    const char *key = key_of(r, name);
    uint64_t value = 0;
    enum rag_status status;

    if (!gguf_has(r->g, key))
        return RAG_OK;
    status = gguf_get_uint(r->g, key, &value, reterr);
    if (status == RAG_OK && value > max)
        status = rag_fail(reterr, RAG_EFORMAT, "gguf '%s': key '%s': %llu, expected at most %llu",
                          gguf_path(r->g), key, (unsigned long long)value, (unsigned long long)max);
    if (status == RAG_OK)
        *ret = value;
    return status;
}

static enum rag_status read_float(struct reader *r, const char *name, double min, double max,
                                  float *ret, struct rag_error *reterr)
{
    const char *key = key_of(r, name);
    double value = 0;
    enum rag_status status;

    if (!gguf_has(r->g, key))
        return RAG_OK;
    status = gguf_get_float(r->g, key, &value, reterr);
    if (status == RAG_OK && !(value >= min && value <= max))
        status = rag_fail(reterr, RAG_EFORMAT, "gguf '%s': key '%s': %g, expected %g to %g",
                          gguf_path(r->g), key, value, min, max);
    if (status == RAG_OK)
        *ret = (float)value;
    return status;
}

/* value: the default; 0: the key must be there. */
static enum rag_status need_size(struct reader *r, const char *name, uint64_t value, uint64_t max,
                                 size_t *ret, struct rag_error *reterr)
{
    enum rag_status status = read_uint(r, name, max, &value, reterr);

    if (status == RAG_OK && value == 0)
        status = rag_fail(reterr, RAG_EFORMAT, "gguf '%s': key '%s.%s': missing or 0",
                          gguf_path(r->g), r->prefix, name);
    if (status == RAG_OK)
        *ret = (size_t)value;
    return status;
}

static enum rag_status find_family(const struct gguf *g, const struct family **ret,
                                   struct rag_error *reterr)
{
    struct gguf_string name;
    enum rag_status status = gguf_get_string(g, "general.architecture", &name, reterr);

    if (status != RAG_OK)
        return status == RAG_ENOTFOUND ? RAG_EFORMAT : status;
    for (size_t i = 0; i < COUNT(families); i++) {
        if (strlen(families[i].architecture) == name.n_bytes &&
            memcmp(families[i].architecture, name.text, name.n_bytes) == 0) {
            *ret = &families[i];
            return RAG_OK;
        }
    }
    return rag_fail(reterr, RAG_EFORMAT,
                    "gguf '%s': architecture '%.*s' is not supported; llama, exaone, qwen2, qwen3 "
                    "and gemma3 are",
                    gguf_path(g), (int)(name.n_bytes < 64 ? name.n_bytes : 64), name.text);
}

/* ---- settings that make another model of the same weights ---- */

static enum rag_status refuse_variants(struct reader *r, struct rag_error *reterr)
{
    static const char *const counts[] = {"expert_count", "expert_used_count",
                                         "expert_shared_count"};
    static const char *const numbers[] = {
        "attn_logit_softcapping",  "final_logit_softcapping", "logit_scale",
        "residual_scale",          "embedding_scale",         "attention.clamp_kqv",
        "attention.max_alibi_bias"};
    enum rag_status status = RAG_OK;
    bool causal = true;

    for (size_t i = 0; i < COUNT(counts) && status == RAG_OK; i++) {
        uint64_t n = 0;

        status = read_uint(r, counts[i], UINT64_MAX, &n, reterr);
        if (status == RAG_OK && n > 0)
            status = rag_fail(reterr, RAG_EFORMAT,
                              "gguf '%s': key '%s': %llu; a mixture of experts is not supported",
                              gguf_path(r->g), r->key, (unsigned long long)n);
    }
    for (size_t i = 0; i < COUNT(numbers) && status == RAG_OK; i++) {
        float value = 0.0f;

        status = read_float(r, numbers[i], -1e30, 1e30, &value, reterr);
        if (status == RAG_OK && value != 0.0f)
            status = rag_fail(reterr, RAG_EFORMAT, "gguf '%s': key '%s': %g is not supported",
                              gguf_path(r->g), r->key, (double)value);
    }
    if (status == RAG_OK && gguf_has(r->g, key_of(r, "attention.causal")))
        status = gguf_get_bool(r->g, r->key, &causal, reterr);
    if (status == RAG_OK && !causal)
        status = rag_fail(reterr, RAG_EFORMAT, "gguf '%s': key '%s': false, this is no decoder",
                          gguf_path(r->g), r->key);
    return status;
}

/* ---- sizes ---- */

/* The rows of the embedding table, which the key and the list of tokens may not contradict. */
static enum rag_status read_vocabulary(struct reader *r, struct decoder_config *c,
                                       struct rag_error *reterr)
{
    const struct gguf_tensor *table = gguf_find(r->g, "token_embd.weight");
    struct gguf_array tokens = {0};
    uint64_t declared = 0;
    enum rag_status status = read_uint(r, "vocab_size", DECODER_VOCAB_MAX, &declared, reterr);

    if (status == RAG_OK && gguf_has(r->g, "tokenizer.ggml.tokens"))
        status = gguf_get_array(r->g, "tokenizer.ggml.tokens", &tokens, reterr);
    if (status != RAG_OK)
        return status;
    c->vocab_size = table ? table->n_rows : declared ? (size_t)declared : tokens.n;
    if (c->vocab_size == 0 || c->vocab_size > DECODER_VOCAB_MAX)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': a vocabulary of %zu tokens, expected 1 to %u", gguf_path(r->g),
                        c->vocab_size, DECODER_VOCAB_MAX);
    if (declared != 0 && declared != c->vocab_size)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': key '%s.vocab_size': %llu, but token_embd.weight has %zu rows",
                        gguf_path(r->g), r->prefix, (unsigned long long)declared, c->vocab_size);
    if (tokens.n > c->vocab_size)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': key 'tokenizer.ggml.tokens': %zu tokens, but "
                        "token_embd.weight has %zu rows",
                        gguf_path(r->g), tokens.n, c->vocab_size);
    return RAG_OK;
}

static enum rag_status read_heads(struct reader *r, struct decoder_config *c,
                                  struct rag_error *reterr)
{
    size_t value_length = 0;
    size_t rotated = 0;
    enum rag_status status =
        need_size(r, "attention.head_count", 0, DECODER_HEADS_MAX, &c->n_heads, reterr);

    if (status == RAG_OK)
        status = need_size(r, "attention.head_count_kv", c->n_heads, DECODER_HEADS_MAX,
                           &c->n_kv_heads, reterr);
    if (status == RAG_OK)
        status = need_size(r, "attention.key_length", c->hidden / c->n_heads, DECODER_HIDDEN_MAX,
                           &c->head_dim, reterr);
    if (status == RAG_OK)
        status = need_size(r, "attention.value_length", c->head_dim, DECODER_HIDDEN_MAX,
                           &value_length, reterr);
    if (status == RAG_OK)
        status =
            need_size(r, "rope.dimension_count", c->head_dim, DECODER_HIDDEN_MAX, &rotated, reterr);
    if (status == RAG_OK && value_length != c->head_dim)
        status = rag_fail(reterr, RAG_EFORMAT,
                          "gguf '%s': key '%s.attention.value_length': %zu, expected the %zu of "
                          "key_length",
                          gguf_path(r->g), r->prefix, value_length, c->head_dim);
    if (status == RAG_OK && rotated != c->head_dim)
        status = rag_fail(reterr, RAG_EFORMAT,
                          "gguf '%s': key '%s.rope.dimension_count': %zu, expected all %zu of a "
                          "head",
                          gguf_path(r->g), r->prefix, rotated, c->head_dim);
    return status;
}

static enum rag_status read_sizes(struct reader *r, struct decoder_config *c,
                                  struct rag_error *reterr)
{
    enum rag_status status =
        need_size(r, "block_count", 0, DECODER_LAYERS_MAX, &c->n_layers, reterr);

    if (status == RAG_OK)
        status = need_size(r, "embedding_length", 0, DECODER_HIDDEN_MAX, &c->hidden, reterr);
    if (status == RAG_OK)
        status = need_size(r, "feed_forward_length", 0, DECODER_INTERMEDIATE_MAX, &c->intermediate,
                           reterr);
    if (status == RAG_OK)
        status = need_size(r, "context_length", 0, DECODER_CONTEXT_MAX, &c->context_max, reterr);
    if (status == RAG_OK)
        status = read_heads(r, c, reterr);
    return status == RAG_OK ? read_vocabulary(r, c, reterr) : status;
}

/* ---- rotation ---- */

/* The tensor that converters write for Llama 3's scaling (and EXAONE's). */
static enum rag_status read_divisors(struct reader *r, struct decoder_config *c,
                                     struct rag_error *reterr)
{
    const struct gguf_tensor *t = gguf_find(r->g, "rope_freqs.weight");
    enum rag_status status;

    if (!t)
        return RAG_OK;
    if (t->type != BLOCK_F32 || t->n_rows != 1 || t->n_cols != c->head_dim / 2)
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': tensor 'rope_freqs.weight': %s [%zu, %zu], expected F32 [%zu]",
                        gguf_path(r->g), block_type_name(t->type), t->n_rows, t->n_cols,
                        c->head_dim / 2);
    status = decoder_config_divide(c, 1.0f, reterr);
    if (status == RAG_OK)
        blocks_read_f32(BLOCK_F32, t->data, t->n_cols, c->rope_divisors);
    return status;
}

static enum rag_status read_scaling(struct reader *r, struct decoder_config *c,
                                    struct rag_error *reterr)
{
    struct gguf_string type = {"none", 4};
    float factor = 0.0f;
    enum rag_status status = RAG_OK;
    bool linear;

    if (gguf_has(r->g, key_of(r, "rope.scaling.type")))
        status = gguf_get_string(r->g, r->key, &type, reterr);
    if (status != RAG_OK)
        return status;
    linear = type.n_bytes == 6 && memcmp(type.text, "linear", 6) == 0;
    if (!linear && !(type.n_bytes == 4 && memcmp(type.text, "none", 4) == 0))
        return rag_fail(reterr, RAG_EFORMAT,
                        "gguf '%s': key '%s': '%.*s' is not supported; linear and none are",
                        gguf_path(r->g), r->key, (int)(type.n_bytes < 64 ? type.n_bytes : 64),
                        type.text);
    status = read_float(r, "rope.scale_linear", 0.0, 1e6, &factor, reterr); /* its older name */
    if (status == RAG_OK && factor > 0.0f)
        linear = true;
    if (status == RAG_OK)
        status = read_float(r, "rope.scaling.factor", 0.0, 1e6, &factor, reterr);
    if (status == RAG_OK && linear && factor > 0.0f && factor != 1.0f) {
        if (c->rope_divisors)
            return rag_fail(reterr, RAG_EFORMAT,
                            "gguf '%s': linear rope scaling and rope_freqs.weight together are "
                            "not supported",
                            gguf_path(r->g));
        status = decoder_config_divide(c, factor, reterr);
    }
    return status;
}

static enum rag_status read_rope(struct reader *r, struct decoder_config *c,
                                 struct rag_error *reterr)
{
    enum rag_status status;

    c->rope_theta = (float)DECODER_ROPE_THETA_DEFAULT;
    c->rope_interleaved = c->family == DECODER_LLAMA;
    status = read_float(r, "rope.freq_base", 1.0, 1e12, &c->rope_theta, reterr);
    if (status == RAG_OK && c->family == DECODER_GEMMA3) {
        c->rope_theta_local = (float)DECODER_ROPE_THETA_DEFAULT;
        status = read_float(r, "rope.freq_base_swa", 1.0, 1e12, &c->rope_theta_local, reterr);
    }
    if (status == RAG_OK)
        status = read_divisors(r, c, reterr);
    return status == RAG_OK ? read_scaling(r, c, reterr) : status;
}

/* ---- attention ---- */

/* Gemma 3 27B (62 layers) scales by its width over its heads, the others by the head: the file has
 * no key for it. */
#define GEMMA3_27B_LAYERS 62

static enum rag_status read_attention(struct reader *r, struct decoder_config *c,
                                      struct rag_error *reterr)
{
    uint64_t window = 0;
    uint64_t pattern = DECODER_SLIDING_PATTERN_GEMMA3;
    enum rag_status status =
        read_float(r, "attention.scale", 0.0, 1e6, &c->attention_scale, reterr);

    if (status == RAG_OK)
        status = read_uint(r, "attention.sliding_window", DECODER_CONTEXT_MAX, &window, reterr);
    if (status != RAG_OK)
        return status;
    if (c->family != DECODER_GEMMA3) {
        if (window != 0 && window < c->context_max)
            return rag_fail(reterr, RAG_EFORMAT,
                            "gguf '%s': key '%s.attention.sliding_window': %llu is not supported "
                            "for this architecture",
                            gguf_path(r->g), r->prefix, (unsigned long long)window);
        return RAG_OK;
    }
    status =
        read_uint(r, "attention.sliding_window_pattern", DECODER_LAYERS_MAX + 1, &pattern, reterr);
    if (status != RAG_OK)
        return status;
    c->sliding_pattern = pattern ? (size_t)pattern : DECODER_SLIDING_PATTERN_GEMMA3;
    c->sliding_window = c->sliding_pattern == 1 ? 0 : (size_t)window;
    if (c->attention_scale == 0.0f && c->n_layers == GEMMA3_27B_LAYERS)
        c->attention_scale = (float)(1.0 / sqrt((double)c->hidden / (double)c->n_heads));
    return RAG_OK;
}

/* ---- tokens ---- */

static bool string_is(const struct gguf *g, const char *key, const char *text)
{
    struct gguf_string s;

    return gguf_get_string(g, key, &s, NULL) == RAG_OK && s.n_bytes == strlen(text) &&
           memcmp(s.text, text, s.n_bytes) == 0;
}

/* What decoder_config.c says, behind the file's name. */
static enum rag_status name_file(const struct gguf *g, enum rag_status status,
                                 const struct rag_error *why, struct rag_error *reterr)
{
    return status == RAG_OK ? RAG_OK
                            : rag_fail(reterr, status, "gguf '%s': %s", gguf_path(g), why->text);
}

static enum rag_status add_end(const struct gguf *g, struct decoder_config *c, uint64_t id,
                               struct rag_error *reterr)
{
    struct rag_error why = {.text = ""};

    return name_file(g, decoder_config_add_eos(c, id, &why), &why, reterr);
}

/* Control tokens that end a turn, whatever eos_token_id says: instruct models whose file names only
 * the end of a text go on otherwise. */
static enum rag_status add_known_ends(const struct gguf *g, struct decoder_config *c,
                                      struct rag_error *reterr)
{
    static const char *const ends[] = {"<|eot_id|>",    "<|eom_id|>",    "<|im_end|>",
                                       "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>",
                                       "[|endofturn|]"};
    enum { TYPE_CONTROL = 3 };
    struct gguf_array tokens;
    struct gguf_array types;
    enum rag_status status = RAG_OK;

    if (gguf_get_array(g, "tokenizer.ggml.tokens", &tokens, NULL) != RAG_OK ||
        gguf_get_array(g, "tokenizer.ggml.token_type", &types, NULL) != RAG_OK)
        return RAG_OK;
    for (size_t i = 0; i < tokens.n && i < types.n && status == RAG_OK; i++) {
        struct gguf_string s;
        int64_t type = 0;

        status = gguf_array_int(g, &types, i, &type, reterr);
        if (status != RAG_OK || type != TYPE_CONTROL)
            continue;
        status = gguf_array_string(g, &tokens, i, &s, reterr);
        for (size_t e = 0; status == RAG_OK && e < COUNT(ends); e++) {
            if (s.n_bytes == strlen(ends[e]) && memcmp(s.text, ends[e], s.n_bytes) == 0)
                status = add_end(g, c, i, reterr);
        }
    }
    return status;
}

static enum rag_status read_tokens(const struct gguf *g, struct decoder_config *c,
                                   struct rag_error *reterr)
{
    static const char *const ends[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    struct reader r = {.g = g, .prefix = "tokenizer.ggml"};
    uint64_t bos = UINT64_MAX;
    enum rag_status status = read_uint(&r, "bos_token_id", UINT32_MAX, &bos, reterr);

    for (size_t i = 0; i < COUNT(ends) && status == RAG_OK; i++) {
        uint64_t id = 0;

        if (!gguf_has(g, ends[i]))
            continue;
        status = gguf_get_uint(g, ends[i], &id, reterr);
        if (status == RAG_OK)
            status = add_end(g, c, id, reterr);
    }
    if (status == RAG_OK)
        status = add_known_ends(g, c, reterr);
    if (status != RAG_OK)
        return status;
    c->has_bos = bos != UINT64_MAX;
    c->bos_id = c->has_bos ? (uint32_t)bos : 0;
    c->add_bos = string_is(g, "tokenizer.ggml.model", "llama") ||
                 string_is(g, "tokenizer.ggml.pre", "llama-bpe") ||
                 string_is(g, "tokenizer.ggml.pre", "llama3") ||
                 string_is(g, "tokenizer.ggml.pre", "llama-v3");
    if (gguf_has(g, "tokenizer.ggml.add_bos_token"))
        status = gguf_get_bool(g, "tokenizer.ggml.add_bos_token", &c->add_bos, reterr);
    return status;
}

/* ---- all of it ---- */

static enum rag_status read_keys(const struct gguf *g, const struct family *f,
                                 struct decoder_config *c, struct rag_error *reterr)
{
    struct reader r = {.g = g, .prefix = f->architecture};
    enum rag_status status = refuse_variants(&r, reterr);
    bool gemma = f->family == DECODER_GEMMA3;

    c->family = f->family;
    /* some Llamas have biases too; whether the shapes fit is seen when they are read */
    c->qkv_bias = f->qkv_bias || gguf_find(g, "blk.0.attn_q.bias") != NULL;
    c->qk_norm = f->qk_norm;
    c->post_norms = gemma;
    c->gelu = gemma;
    c->tied = !gguf_find(g, "output.weight");
    if (status == RAG_OK)
        status = read_sizes(&r, c, reterr);
    if (status == RAG_OK)
        status = read_float(&r, "attention.layer_norm_rms_epsilon", 1e-30, 1.0, &c->norm_epsilon,
                            reterr);
    if (status == RAG_OK && c->norm_epsilon == 0.0f)
        status = rag_fail(reterr, RAG_EFORMAT, "gguf '%s': key '%s': missing", gguf_path(g), r.key);
    if (status == RAG_OK)
        status = read_rope(&r, c, reterr);
    if (status == RAG_OK)
        status = read_attention(&r, c, reterr);
    if (status == RAG_OK)
        status = read_tokens(g, c, reterr);
    c->embedding_scale = gemma ? (float)sqrt((double)c->hidden) : 1.0f;
    return status;
}

enum rag_status decoder_config_of_gguf(const struct gguf *g, struct decoder_config *ret,
                                       struct rag_error *reterr)
{
    struct decoder_config c = {0};
    const struct family *f = NULL;
    struct rag_error why = {.text = ""};
    enum rag_status status = find_family(g, &f, reterr);

    if (status != RAG_OK)
        return status;
    status = read_keys(g, f, &c, reterr);
    if (status == RAG_OK)
        status = name_file(g, decoder_config_check(&c, &why), &why, reterr);
    if (status != RAG_OK) {
        decoder_config_release(&c);
        return status;
    }
    *ret = c;
    return RAG_OK;
}
