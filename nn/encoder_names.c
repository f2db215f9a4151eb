#define _GNU_SOURCE
#include <stdio.h>

#include "nn/encoder_internal.h"

/* What wraps the encoder in a file: the task model's attribute, or nothing. */
static const char *const prefixes[] = {
    "", "bert.", "roberta.", "electra.", "distilbert.", "model.", "0.auto_model.", "auto_model.",
};

const char *encoder_find_prefix(const struct weights *w)
{
    char name[TENSOR_NAME_BYTES];

    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        snprintf(name, sizeof name, "%sembeddings.word_embeddings.weight", prefixes[i]);
        if (weights_find(w, name))
            return prefixes[i];
    }
    return NULL;
}

void encoder_layer_name(const struct encoder *e, size_t layer, enum layer_part part,
                        char ret[TENSOR_NAME_BYTES])
{
    static const char *const bert[LAYER_PARTS] = {
        [PART_QUERY] = "attention.self.query",
        [PART_KEY] = "attention.self.key",
        [PART_VALUE] = "attention.self.value",
        [PART_OUT] = "attention.output.dense",
        [PART_UP] = "intermediate.dense",
        [PART_DOWN] = "output.dense",
        [PART_NORM_1] = "attention.output.LayerNorm",
        [PART_NORM_2] = "output.LayerNorm",
    };
    static const char *const distilbert[LAYER_PARTS] = {
        [PART_QUERY] = "attention.q_lin", [PART_KEY] = "attention.k_lin",
        [PART_VALUE] = "attention.v_lin", [PART_OUT] = "attention.out_lin",
        [PART_UP] = "ffn.lin1",           [PART_DOWN] = "ffn.lin2",
        [PART_NORM_1] = "sa_layer_norm",  [PART_NORM_2] = "output_layer_norm",
    };
    bool distil = e->config.family == FAMILY_DISTILBERT;

    snprintf(ret, TENSOR_NAME_BYTES, "%s%s.layer.%zu.%s", e->prefix,
             distil ? "transformer" : "encoder", layer, distil ? distilbert[part] : bert[part]);
}

void encoder_product_name(const struct encoder *e, size_t layer, enum layer_linear which,
                          char ret[TENSOR_NAME_BYTES])
{
    static const enum layer_part parts[LAYER_LINEARS] = {
        [LINEAR_OUT] = PART_OUT, [LINEAR_UP] = PART_UP, [LINEAR_DOWN] = PART_DOWN};
    bool distil = e->config.family == FAMILY_DISTILBERT;

    if (which != LINEAR_QKV)
        encoder_layer_name(e, layer, parts[which], ret);
    else
        snprintf(ret, TENSOR_NAME_BYTES, "%s%s.layer.%zu.%s", e->prefix,
                 distil ? "transformer" : "encoder", layer,
                 distil ? "attention.q_lin,k_lin,v_lin" : "attention.self.query,key,value");
}
