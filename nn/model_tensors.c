#define _GNU_SOURCE
#include "nn/model_tensors.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "nn/model_files.h"
#include "nn/weights.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct model_tensors {
    char *path; /* as given; owned */
    struct decoder_config config;
    struct gguf *gguf;       /* one of these two; owned */
    struct weights *weights; /* likewise */
    const char *prefix;      /* of every name in the directory, before "model." or "lm_head." */
};

/* ---- names ---- */

/* What a module of a layer is called, without ".weight" and ".bias". */
struct layer_name {
    const char *ours; /* Llama's */
    const char *gguf;
    const char *exaone;
};

static const struct layer_name layer_names[] = {
    {"self_attn.q_proj",         "attn_q",      "attn.attention.q_proj"  },
    {"self_attn.k_proj",         "attn_k",      "attn.attention.k_proj"  },
    {"self_attn.v_proj",         "attn_v",      "attn.attention.v_proj"  },
    {"self_attn.o_proj",         "attn_output", "attn.attention.out_proj"},
    {"self_attn.q_norm",         "attn_q_norm", NULL                     },
    {"self_attn.k_norm",         "attn_k_norm", NULL                     },
    {"mlp.gate_proj",            "ffn_gate",    "mlp.c_fc_0"             },
    {"mlp.up_proj",              "ffn_up",      "mlp.c_fc_1"             },
    {"mlp.down_proj",            "ffn_down",    "mlp.c_proj"             },
    {"input_layernorm",          "attn_norm",   "ln_1"                   },
    {"post_attention_layernorm", "ffn_norm",    "ln_2"                   },
};

/* Gemma has norms behind both halves, so that the one before the feed-forward has another name in
 * safetensors, and the one behind attention another place. */
static const struct layer_name gemma_names[] = {
    {"post_attention_layernorm",   "post_attention_norm", NULL},
    {"pre_feedforward_layernorm",  "ffn_norm",            NULL},
    {"post_feedforward_layernorm", "post_ffw_norm",       NULL},
};

static const struct layer_name model_names[] = {
    {"model.embed_tokens.weight", "token_embd.weight",  "transformer.wte.weight" },
    {"model.norm.weight",         "output_norm.weight", "transformer.ln_f.weight"},
    {"lm_head.weight",            "output.weight",      "lm_head.weight"         },
};

static const char *theirs(const struct model_tensors *t, const struct layer_name *n)
{
    if (t->gguf)
        return n->gguf;
    return t->config.family == DECODER_EXAONE ? n->exaone : n->ours;
}

static const struct layer_name *find_module(const struct model_tensors *t, const char *name,
                                            size_t n)
{
    bool gemma = t->config.family == DECODER_GEMMA3;

    for (size_t i = 0; gemma && i < COUNT(gemma_names); i++) {
        if (strlen(gemma_names[i].ours) == n && memcmp(gemma_names[i].ours, name, n) == 0)
            return &gemma_names[i];
    }
    for (size_t i = 0; i < COUNT(layer_names); i++) {
        if (strlen(layer_names[i].ours) == n && memcmp(layer_names[i].ours, name, n) == 0)
            return &layer_names[i];
    }
    return NULL;
}

/* "3.attn_q.weight": the number of a layer, written as we would write it, and what is behind its
 * point. False: it is not there. */
static bool layer_number(const char *text, size_t *ret, const char **ret_rest)
{
    size_t n = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9' && at - text < 4; at++)
        n = 10 * n + (size_t)(*at - '0');
    if (at == text || *at != '.' || (*text == '0' && at - text > 1))
        return false;
    *ret = n;
    *ret_rest = at + 1;
    return true;
}

/* The file's name of what we call 'name'. False: there is none. */
static bool translate(const struct model_tensors *t, const char *name,
                      char ret[WEIGHTS_NAME_BYTES_MAX])
{
    static const char layers[] = "model.layers.";
    const struct layer_name *module;
    const char *rest;
    const char *leaf;
    size_t layer;
    int n;

    for (size_t i = 0; i < COUNT(model_names); i++) {
        if (strcmp(model_names[i].ours, name) == 0) {
            n = snprintf(ret, WEIGHTS_NAME_BYTES_MAX, "%s%s", t->prefix,
                         theirs(t, &model_names[i]));
            return n < WEIGHTS_NAME_BYTES_MAX;
        }
    }
    if (strncmp(name, layers, sizeof layers - 1) != 0)
        return false;
    if (!layer_number(name + sizeof layers - 1, &layer, &rest))
        return false;
    leaf = strrchr(rest, '.');
    if (!leaf)
        return false;
    module = find_module(t, rest, (size_t)(leaf - rest));
    if (!module || !theirs(t, module))
        return false;
    n = snprintf(ret, WEIGHTS_NAME_BYTES_MAX, "%s%s.%zu.%s%s", t->prefix,
                 t->gguf                              ? "blk"
                 : t->config.family == DECODER_EXAONE ? "transformer.h"
                                                      : "model.layers",
                 layer, theirs(t, module), leaf);
    return n < WEIGHTS_NAME_BYTES_MAX;
}

/* ---- looking up ---- */

static enum block_type block_of(enum tensor_type type)
{
    return type == TENSOR_F32 ? BLOCK_F32 : type == TENSOR_F16 ? BLOCK_F16 : BLOCK_BF16;
}

static struct matrix matrix_of_gguf(const struct gguf_tensor *t)
{
    return (struct matrix){t->name, t->type, t->n_rows, t->n_cols, t->row_bytes, t->data};
}

static struct matrix matrix_of_weights(const struct tensor *t)
{
    enum block_type type = block_of(t->type);
    size_t n_cols = t->n_dims ? t->shape[t->n_dims - 1] : 1;

    return (struct matrix){
        t->name, type, n_cols ? t->n_elements / n_cols : 0, n_cols, n_cols * block_bytes(type),
        t->data};
}

/* By the file's own name. A tensor of more than two dimensions is none of a decoder's. */
static bool find(const struct model_tensors *t, const char *name, struct matrix *ret)
{
    const struct gguf_tensor *g = t->gguf ? gguf_find(t->gguf, name) : NULL;
    const struct tensor *w = t->weights ? weights_find(t->weights, name) : NULL;

    if (g && g->n_dims <= 2) {
        *ret = matrix_of_gguf(g);
        return true;
    }
    if (w && (w->n_dims == 1 || w->n_dims == 2)) {
        *ret = matrix_of_weights(w);
        return true;
    }
    return false;
}

size_t model_tensors_count(const struct model_tensors *t)
{
    return t->gguf ? gguf_count(t->gguf) : weights_count(t->weights);
}

void model_tensors_at(const struct model_tensors *t, size_t i, struct matrix *ret)
{
    *ret = t->gguf ? matrix_of_gguf(gguf_at(t->gguf, i))
                   : matrix_of_weights(weights_at(t->weights, i));
}

bool model_tensors_has(const struct model_tensors *t, const char *name)
{
    char file_name[WEIGHTS_NAME_BYTES_MAX];
    struct matrix m;

    return translate(t, name, file_name) && find(t, file_name, &m);
}

enum rag_status model_tensors_need(const struct model_tensors *t, const char *name, size_t n_rows,
                                   size_t n_cols, struct matrix *ret, struct rag_error *reterr)
{
    char file_name[WEIGHTS_NAME_BYTES_MAX];
    struct matrix m;

    if (!translate(t, name, file_name))
        return rag_fail(reterr, RAG_EFORMAT, "model '%s': tensor '%s' is none of %s", t->path, name,
                        decoder_family_name(t->config.family));
    if (!find(t, file_name, &m))
        return rag_fail(reterr, RAG_EFORMAT,
                        "model '%s': tensor '%s': missing or not of two dimensions, expected "
                        "[%zu, %zu]",
                        t->path, file_name, n_rows, n_cols);
    if (m.n_rows != n_rows || m.n_cols != n_cols)
        return rag_fail(reterr, RAG_EFORMAT,
                        "model '%s': tensor '%s': shape [%zu, %zu], expected [%zu, %zu] by %s",
                        t->path, file_name, m.n_rows, m.n_cols, n_rows, n_cols,
                        t->gguf ? "the file's keys" : "config.json");
    *ret = m;
    return RAG_OK;
}

void matrix_read_row(const struct matrix *m, size_t i, float *ret)
{
    assert(i < m->n_rows);
    blocks_read_f32(m->type, m->data + i * m->row_bytes, m->n_cols, ret);
}

/* ---- tensors that would change the result and that nobody reads ---- */

static bool is_known_module(const struct model_tensors *t, const char *name, size_t n)
{
    bool gemma = t->config.family == DECODER_GEMMA3;

    for (size_t i = 0; gemma && i < COUNT(gemma_names); i++) {
        const char *module = theirs(t, &gemma_names[i]);

        if (strlen(module) == n && memcmp(module, name, n) == 0)
            return true;
    }
    for (size_t i = 0; i < COUNT(layer_names); i++) {
        const char *module = theirs(t, &layer_names[i]);

        if (module && strlen(module) == n && memcmp(module, name, n) == 0)
            return true;
    }
    return false;
}

/* "blk.3.attn_q.weight": a layer that there is, a module that is known, and a bias only where the
 * model has one. */
static bool is_known_of_layer(const struct model_tensors *t, const char *name)
{
    static const char *const with_bias[] = {
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "attn_q", "attn_k", "attn_v"};
    const struct decoder_config *c = &t->config;
    const char *module;
    const char *leaf;
    size_t layer;
    size_t n;

    if (!layer_number(name, &layer, &module) || layer >= c->n_layers)
        return false;
    leaf = strrchr(module, '.');
    n = leaf ? (size_t)(leaf - module) : 0;
    if (!leaf || !is_known_module(t, module, n))
        return false;
    if (strcmp(leaf, ".weight") == 0)
        return c->qk_norm || !(strstr(module, "q_norm.") || strstr(module, "k_norm."));
    for (size_t i = 0; i < COUNT(with_bias) && c->qkv_bias && strcmp(leaf, ".bias") == 0; i++) {
        if (strlen(with_bias[i]) == n && memcmp(with_bias[i], module, n) == 0)
            return true;
    }
    return false;
}

static bool begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool is_known(const struct model_tensors *t, const char *name)
{
    const char *layers = t->gguf                              ? "blk."
                         : t->config.family == DECODER_EXAONE ? "transformer.h."
                                                              : "model.layers.";

    /* tables that follow from the configuration */
    if (strcmp(name, "rope_freqs.weight") == 0 || strstr(name, "rotary_emb.inv_freq") ||
        strstr(name, "rotary.inv_freq") || strstr(name, "attn_rot_embd"))
        return true;
    if (t->weights && *t->prefix && !begins(name, t->prefix)) /* of the part that sees pictures */
        return begins(name, "vision_tower.") || begins(name, "multi_modal_projector.");
    name += strlen(t->prefix);
    for (size_t i = 0; i < COUNT(model_names); i++) {
        if (strcmp(theirs(t, &model_names[i]), name) == 0)
            return true;
    }
    return begins(name, layers) && is_known_of_layer(t, name + strlen(layers));
}

static enum rag_status refuse_unknown(const struct model_tensors *t, struct rag_error *reterr)
{
    for (size_t i = 0; i < model_tensors_count(t); i++) {
        struct matrix m;

        model_tensors_at(t, i, &m);
        if (!is_known(t, m.name))
            return rag_fail(reterr, RAG_EFORMAT,
                            "model '%s': tensor '%s' is none of a %s of %zu layers; leaving it out "
                            "would give other answers",
                            t->path, m.name, decoder_family_name(t->config.family),
                            t->config.n_layers);
    }
    return RAG_OK;
}

/* ---- opening ---- */

/* Gemma 3 with pictures keeps its decoder under a name of its own. */
static const char *find_prefix(const struct weights *w)
{
    static const char *const prefixes[] = {"language_model."};

    for (size_t i = 0; i < COUNT(prefixes); i++) {
        char name[WEIGHTS_NAME_BYTES_MAX];

        snprintf(name, sizeof name, "%smodel.embed_tokens.weight", prefixes[i]);
        if (weights_find(w, name))
            return prefixes[i];
    }
    return "";
}

static enum rag_status open_files(struct model_tensors *t, struct rag_error *reterr)
{
    char *file = NULL;
    enum rag_status status = decoder_gguf_path(t->path, &file, reterr);

    t->prefix = "";
    if (status != RAG_OK)
        return status;
    if (file) {
        status = gguf_open(file, &t->gguf, reterr);
        free(file);
        return status == RAG_OK ? decoder_config_of_gguf(t->gguf, &t->config, reterr) : status;
    }
    status = decoder_config_open(t->path, &t->config, reterr);
    if (status == RAG_OK)
        status = weights_open(t->path, &t->weights, reterr);
    if (status == RAG_OK && weights_packed(t->weights))
        status =
            rag_fail(reterr, RAG_EFORMAT,
                     "model '%s': packed int8 weights are of encoders; this is a decoder", t->path);
    if (status == RAG_OK)
        t->prefix = find_prefix(t->weights);
    return status;
}

enum rag_status model_tensors_open(const char *path, struct model_tensors **ret,
                                   struct rag_error *reterr)
{
    struct model_tensors *t = calloc(1, sizeof *t);
    enum rag_status status;

    if (!t || !(t->path = strdup(path))) {
        free(t);
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", path);
    }
    status = open_files(t, reterr);
    if (status == RAG_OK)
        status = refuse_unknown(t, reterr);
    if (status != RAG_OK) {
        model_tensors_close(t);
        return status;
    }
    *ret = t;
    return RAG_OK;
}

void model_tensors_close(struct model_tensors *t)
{
    if (!t)
        return;
    gguf_close(t->gguf);
    weights_close(t->weights);
    decoder_config_release(&t->config);
    free(t->path);
    free(t);
}

const struct decoder_config *model_tensors_config(const struct model_tensors *t)
{
    return &t->config;
}

const struct gguf *model_tensors_gguf(const struct model_tensors *t)
{
    return t->gguf;
}

const char *model_tensors_path(const struct model_tensors *t)
{
    return t->path;
}

void model_tensors_forget(const struct model_tensors *t, const struct matrix *m)
{
    if (t->gguf)
        gguf_forget(t->gguf, gguf_find(t->gguf, m->name));
    else
        weights_forget(t->weights, weights_find(t->weights, m->name));
}

enum rag_status model_tensors_intact(const struct model_tensors *t, struct rag_error *reterr)
{
    return t->gguf ? gguf_intact(t->gguf, reterr) : weights_intact(t->weights, reterr);
}

uint64_t model_tensors_bytes(const struct model_tensors *t)
{
    return t->gguf ? gguf_bytes(t->gguf) : weights_bytes(t->weights);
}

enum rag_status model_tensors_digest(const struct model_tensors *t, struct compute_pool *pool,
                                     uint8_t ret_digest[SHA256_BYTES], struct rag_error *reterr)
{
    static const char *const more[] = {"generation_config.json", "tokenizer.model",
                                       "chat_template.jinja"};
    uint8_t digests[1 + COUNT(more)][SHA256_BYTES] = {{0}};
    enum rag_status status;

    if (t->gguf)
        return model_file_digest(gguf_path(t->gguf), pool, ret_digest, reterr);
    status = model_digest(t->path, pool, digests[0], reterr);
    for (size_t i = 0; i < COUNT(more) && status == RAG_OK; i++) {
        char path[MODEL_PATH_BYTES_MAX];

        if (snprintf(path, sizeof path, "%s/%s", t->path, more[i]) >= (int)sizeof path)
            return rag_fail(reterr, RAG_ELIMIT, "model '%.128s': a path over %zu bytes", t->path,
                            sizeof path - 1);
        status = model_file_digest(path, pool, digests[i + 1], reterr);
        if (status == RAG_ENOTFOUND)
            status = RAG_OK;
    }
    if (status == RAG_OK && sha256(digests, sizeof digests, ret_digest) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory while hashing", t->path);
    return status;
}
