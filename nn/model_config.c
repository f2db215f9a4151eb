#define _GNU_SOURCE
#include "nn/model_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json.h"
#include "nn/attention.h"
#include "nn/config_keys.h"
#include "nn/mapped_file.h"

/* What a family's keys are called. NULL: the key does not exist there. */
struct keys {
    const char *hidden;
    const char *n_layers;
    const char *n_heads;
    const char *intermediate;
    const char *activation;
    const char *epsilon;
    const char *n_types;
};

static const struct keys bert_keys = {
    .hidden = "hidden_size",
    .n_layers = "num_hidden_layers",
    .n_heads = "num_attention_heads",
    .intermediate = "intermediate_size",
    .activation = "hidden_act",
    .epsilon = "layer_norm_eps",
    .n_types = "type_vocab_size",
};

static const struct keys distilbert_keys = {
    .hidden = "dim",
    .n_layers = "n_layers",
    .n_heads = "n_heads",
    .intermediate = "hidden_dim",
    .activation = "activation",
};

struct family {
    const char *model_type;
    enum model_family family;
    const struct keys *keys;
    bool counts_from_pad;
    uint32_t pad_id; /* when the file does not say */
};

static const struct family families[] = {
    {"bert",        FAMILY_BERT,        &bert_keys,       false, 0},
    {"roberta",     FAMILY_ROBERTA,     &bert_keys,       true,  1},
    {"camembert",   FAMILY_ROBERTA,     &bert_keys,       true,  1},
    {"xlm-roberta", FAMILY_XLM_ROBERTA, &bert_keys,       true,  1},
    {"electra",     FAMILY_ELECTRA,     &bert_keys,       false, 0},
    {"distilbert",  FAMILY_DISTILBERT,  &distilbert_keys, false, 0},
};

/* What transformers assumes for a file that does not say. */
#define N_TYPES_DEFAULT 2
#define EPSILON_DEFAULT 1e-12

static const struct {
    const char *name;
    enum linear_activation activation;
} activations[] = {
    {"gelu",              LINEAR_GELU     },
    {"gelu_python",       LINEAR_GELU     },
    {"gelu_new",          LINEAR_GELU_TANH},
    {"gelu_fast",         LINEAR_GELU_TANH},
    {"gelu_pytorch_tanh", LINEAR_GELU_TANH},
    {"relu",              LINEAR_RELU     },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const char *model_family_name(enum model_family family)
{
    static const char *const names[] = {"bert", "roberta", "xlm-roberta", "distilbert", "electra"};

    return names[family];
}

static enum rag_status find_family(const struct json *root, const struct family **ret,
                                   struct rag_error *reterr)
{
    const char *type = NULL;
    enum rag_status status = json_get_string(root, "model_type", 64, &type, reterr);

    if (status != RAG_OK)
        return status;
    for (size_t i = 0; type && i < COUNT(families); i++) {
        if (strcmp(families[i].model_type, type) == 0) {
            *ret = &families[i];
            return RAG_OK;
        }
    }
    return rag_fail(reterr, RAG_EFORMAT,
                    "model_type '%s' is not supported; bert, roberta, camembert, xlm-roberta, "
                    "distilbert and electra are",
                    type ? type : "(none)");
}

static enum rag_status read_sizes(const struct json *root, const struct family *f,
                                  struct model_config *c, struct rag_error *reterr)
{
    int64_t n_types = f->keys->n_types ? N_TYPES_DEFAULT : 0;
    int64_t embedding = 0;
    enum rag_status status =
        config_size(root, f->keys->n_layers, 0, ENCODER_LAYERS_MAX, &c->n_layers, reterr);

    if (status == RAG_OK)
        status = config_size(root, f->keys->hidden, 0, ENCODER_HIDDEN_MAX, &c->hidden, reterr);
    if (status == RAG_OK)
        status = config_size(root, f->keys->n_heads, 0, ENCODER_HEADS_MAX, &c->n_heads, reterr);
    if (status == RAG_OK)
        status = config_size(root, f->keys->intermediate, 0, ENCODER_INTERMEDIATE_MAX,
                             &c->intermediate, reterr);
    if (status == RAG_OK)
        status = config_size(root, "vocab_size", 0, ENCODER_VOCAB_MAX, &c->vocab_size, reterr);
    if (status == RAG_OK)
        status = config_size(root, "max_position_embeddings", 0, ENCODER_POSITIONS_MAX,
                             &c->n_positions, reterr);
    if (status == RAG_OK && f->keys->n_types)
        status = json_get_int(root, f->keys->n_types, 0, ENCODER_TYPES_MAX, &n_types, reterr);
    if (status == RAG_OK && f->family == FAMILY_ELECTRA)
        status = json_get_int(root, "embedding_size", 1, ENCODER_HIDDEN_MAX, &embedding, reterr);
    if (status != RAG_OK)
        return status;
    c->n_types = (size_t)n_types;
    c->embedding = embedding ? (size_t)embedding : c->hidden;
    if (c->hidden % c->n_heads != 0)
        return rag_fail(reterr, RAG_EFORMAT, "'%s' %zu is not a multiple of '%s' %zu",
                        f->keys->hidden, c->hidden, f->keys->n_heads, c->n_heads);
    if (c->hidden / c->n_heads > ATTENTION_HEAD_DIM_MAX)
        return rag_fail(reterr, RAG_EFORMAT,
                        "'%s' %zu over '%s' %zu: a head of %zu, the limit is "
                        "%d",
                        f->keys->hidden, c->hidden, f->keys->n_heads, c->n_heads,
                        c->hidden / c->n_heads, ATTENTION_HEAD_DIM_MAX);
    return RAG_OK;
}

static enum rag_status read_positions(const struct json *root, const struct family *f,
                                      struct model_config *c, struct rag_error *reterr)
{
    const char *type = "absolute";
    int64_t pad = f->pad_id;
    enum rag_status status = json_get_string(root, "position_embedding_type", 64, &type, reterr);

    c->counts_from_pad = f->counts_from_pad;
    c->max_tokens = c->n_positions;
    if (status == RAG_OK && strcmp(type, "absolute") != 0)
        status = rag_fail(reterr, RAG_EFORMAT,
                          "position_embedding_type '%s' is not supported; 'absolute' is", type);
    if (status != RAG_OK || !c->counts_from_pad)
        return status;
    status = json_get_int(root, "pad_token_id", 0, (int64_t)c->vocab_size - 1, &pad, reterr);
    if (status == RAG_OK && c->n_positions <= (size_t)pad + 1)
        status = rag_fail(reterr, RAG_EFORMAT,
                          "'max_position_embeddings' %zu leaves none above 'pad_token_id' %lld",
                          c->n_positions, (long long)pad);
    if (status != RAG_OK)
        return status;
    c->pad_id = (uint32_t)pad;
    c->max_tokens = c->n_positions - ((size_t)pad + 1);
    return RAG_OK;
}

static enum rag_status read_activation(const struct json *root, const char *key,
                                       enum linear_activation *ret, struct rag_error *reterr)
{
    const char *name = "gelu";
    enum rag_status status = json_get_string(root, key, 64, &name, reterr);

    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < COUNT(activations); i++) {
        if (strcmp(activations[i].name, name) == 0) {
            *ret = activations[i].activation;
            return RAG_OK;
        }
    }
    return rag_fail(reterr, RAG_EFORMAT,
                    "%s '%s' is not supported; gelu, gelu_new, gelu_pytorch_tanh and relu are", key,
                    name);
}

/* ELECTRA's classifier has gelu, whatever "summary_activation" says: that is of other heads. */
static enum rag_status read_labels(const struct json *root, struct model_config *c,
                                   struct rag_error *reterr)
{
    const struct json *id2label = NULL;
    int64_t n = 0;
    enum rag_status status = json_get_object(root, "id2label", &id2label, reterr);

    if (status == RAG_OK)
        status = json_get_int(root, "num_labels", 1, ENCODER_LABELS_MAX, &n, reterr);
    if (status != RAG_OK)
        return status;
    if (id2label)
        n = (int64_t)json_size(id2label);
    if (n > ENCODER_LABELS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "'id2label' has %lld labels, the limit is %d",
                        (long long)n, ENCODER_LABELS_MAX);
    c->n_labels = (size_t)n;
    c->classifies = config_names_architecture(root, "ForSequenceClassification");
    c->head_activation = c->family == FAMILY_ELECTRA      ? LINEAR_GELU
                         : c->family == FAMILY_DISTILBERT ? LINEAR_RELU
                                                          : LINEAR_TANH;
    return RAG_OK;
}

/* Settings that make another model of the same weights. */
static enum rag_status refuse_variants(const struct json *root, struct rag_error *reterr)
{
    static const char *const must_be_false[] = {"is_decoder", "add_cross_attention",
                                                "is_encoder_decoder"};
    const struct json *pruned = NULL;
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < COUNT(must_be_false) && status == RAG_OK; i++) {
        bool value = false;

        status = json_get_bool(root, must_be_false[i], &value, reterr);
        if (status == RAG_OK && value)
            status = rag_fail(reterr, RAG_EFORMAT, "'%s' true is not supported: this is no encoder",
                              must_be_false[i]);
    }
    if (status == RAG_OK)
        status = json_get_object(root, "pruned_heads", &pruned, reterr);
    if (status == RAG_OK && json_size(pruned) > 0)
        status = rag_fail(reterr, RAG_EFORMAT, "'pruned_heads' is not supported");
    return status;
}

static enum rag_status read_config(const struct json *root, struct model_config *c,
                                   struct rag_error *reterr)
{
    const struct family *f = NULL;
    enum rag_status status;
    double epsilon = EPSILON_DEFAULT;

    if (!json_is_object(root))
        return rag_fail(reterr, RAG_EFORMAT, "not a JSON object");
    status = find_family(root, &f, reterr);
    if (status != RAG_OK)
        return status;
    c->family = f->family;
    status = refuse_variants(root, reterr);
    if (status == RAG_OK)
        status = read_sizes(root, f, c, reterr);
    if (status == RAG_OK)
        status = read_positions(root, f, c, reterr);
    if (status == RAG_OK)
        status = read_activation(root, f->keys->activation, &c->activation, reterr);
    if (status == RAG_OK && f->keys->epsilon)
        status = json_get_double(root, f->keys->epsilon, 1e-30, 1, &epsilon, reterr);
    if (status == RAG_OK)
        status = read_labels(root, c, reterr);
    c->layer_norm_epsilon = (float)epsilon;
    return status;
}

enum rag_status model_config_parse(const char *dir, const char *text, size_t n,
                                   struct model_config *ret, struct rag_error *reterr)
{
    struct model_config c = {0};
    struct json *root = NULL;
    struct rag_error why = {.text = ""};
    enum rag_status status = json_parse(text, n, "JSON", &root, &why);

    if (status == RAG_OK)
        status = read_config(root, &c, &why);
    json_free(root);
    if (status == RAG_OK)
        *ret = c;
    return config_finish(status, dir, &why, reterr);
}

enum rag_status model_config_open(const char *dir, struct model_config *ret,
                                  struct rag_error *reterr)
{
    struct mapped_file *file = NULL;
    char path[MODEL_PATH_BYTES_MAX];
    char *copy = NULL;
    enum rag_status status;
    size_t n;

    if (snprintf(path, sizeof path, "%s/config.json", dir) >= (int)sizeof path)
        return rag_fail(reterr, RAG_ELIMIT, "model '%.128s': a path over %zu bytes", dir,
                        sizeof path - 1);
    status = mapped_file_open(path, &file, reterr);
    if (status != RAG_OK)
        return status;
    n = mapped_file_size(file);
    if (n > MODEL_CONFIG_BYTES_MAX) {
        status = rag_fail(reterr, RAG_ELIMIT, "file '%s': %zu bytes, the limit is %u", path, n,
                          MODEL_CONFIG_BYTES_MAX);
        goto out;
    }
    copy = malloc(n); /* the file may be written over while it is parsed */
    if (!copy) {
        status = rag_fail(reterr, RAG_ENOMEM, "file '%s': out of memory", path);
        goto out;
    }
    memcpy(copy, mapped_file_data(file), n);
    status = model_config_parse(dir, copy, n, ret, reterr);
out:
    free(copy);
    mapped_file_close(file);
    return status;
}
