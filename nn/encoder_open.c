/* From config.json and tensors to layers. Every tensor's shape is checked against config.json
 * before a byte of it is read. Linear layers are copied into the form that the kernels want, one
 * after another, and their pages of the file are let go: only the word and position embeddings stay
 * in the mapping, where each token reads its row. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "nn/encoder_internal.h"

void linear_values_release(struct linear_values *v)
{
    free(v->w);
    free(v->bias);
    memset(v, 0, sizeof *v);
}

static enum rag_status out_of_memory(struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "model: out of memory for its weights");
}

static enum rag_status check_finite(const struct encoder *e, const struct tensor *t,
                                    const float *values, struct rag_error *reterr)
{
    for (size_t i = 0; i < t->n_elements; i++) {
        if (!isfinite(values[i]))
            return rag_fail(reterr, RAG_ENUMERIC,
                            "model '%s': tensor '%s': element %zu is not a finite number",
                            weights_dir(e->weights), t->name, i);
    }
    return RAG_OK;
}

enum rag_status encoder_read_tensor(const struct encoder *e, const char *name, const char *suffix,
                                    const size_t *shape, size_t n_dims, float *ret,
                                    struct rag_error *reterr)
{
    const struct tensor *t = NULL;
    char full[TENSOR_NAME_BYTES + 16];
    enum rag_status status;

    snprintf(full, sizeof full, "%s%s", name, suffix);
    status = weights_need(e->weights, full, shape, n_dims, &t, reterr);
    if (status != RAG_OK)
        return status;
    tensor_read_f32(t, 0, t->n_elements, ret);
    weights_forget(e->weights, t);
    return check_finite(e, t, ret, reterr);
}

enum rag_status encoder_read_named(const struct encoder *e, const char *const *names,
                                   size_t n_parts, size_t n_out, size_t n_in,
                                   struct linear_values *ret, struct rag_error *reterr)
{
    struct linear_values v = {.n_out = n_parts * n_out, .n_in = n_in};
    const size_t shape[2] = {n_out, n_in};
    enum rag_status status = RAG_OK;

    v.w = calloc(v.n_out * n_in, sizeof *v.w);
    v.bias = calloc(v.n_out, sizeof *v.bias);
    if (!v.w || !v.bias)
        status = out_of_memory(reterr);
    for (size_t i = 0; i < n_parts && status == RAG_OK; i++) {
        status =
            encoder_read_tensor(e, names[i], ".weight", shape, 2, v.w + i * n_out * n_in, reterr);
        if (status == RAG_OK)
            status =
                encoder_read_tensor(e, names[i], ".bias", shape, 1, v.bias + i * n_out, reterr);
    }
    if (status != RAG_OK) {
        linear_values_release(&v);
        return status;
    }
    *ret = v; /* ownership to the caller */
    return RAG_OK;
}

void encoder_product_shape(const struct encoder *e, enum layer_linear which, size_t ret_shape[2])
{
    const struct model_config *c = &e->config;

    ret_shape[0] = which == LINEAR_QKV  ? 3 * c->hidden
                   : which == LINEAR_UP ? c->intermediate
                                        : c->hidden;
    ret_shape[1] = which == LINEAR_DOWN ? c->intermediate : c->hidden;
}

enum rag_status encoder_read_linear(const struct encoder *e, size_t layer, enum layer_linear which,
                                    struct linear_values *ret, struct rag_error *reterr)
{
    static const enum layer_part parts[LAYER_LINEARS] = {
        [LINEAR_QKV] = PART_QUERY,
        [LINEAR_OUT] = PART_OUT,
        [LINEAR_UP] = PART_UP,
        [LINEAR_DOWN] = PART_DOWN,
    };
    size_t n_parts = which == LINEAR_QKV ? 3 : 1;
    size_t shape[2];
    char names[3][TENSOR_NAME_BYTES];
    const char *pointers[3] = {names[0], names[1], names[2]};

    if (encoder_is_packed(e, layer, which))
        return encoder_unpack(e, layer, which, ret, reterr);
    encoder_product_shape(e, which, shape);
    for (size_t i = 0; i < n_parts; i++) /* query, key, value follow each other */
        encoder_layer_name(e, layer, (enum layer_part)((size_t)parts[which] + i), names[i]);
    return encoder_read_named(e, pointers, n_parts, shape[0] / n_parts, shape[1], ret, reterr);
}

enum rag_status encoder_make_linear(const struct encoder *e, const struct linear_values *v,
                                    enum precision precision, struct linear **ret,
                                    struct rag_error *reterr)
{
    if (precision == PRECISION_INT8)
        return linear_new_int8(e->kernels, v->w, v->bias, v->n_out, v->n_in, ret, reterr);
    return linear_new_fp32(e->kernels, v->w, v->bias, v->n_out, v->n_in, ret, reterr);
}

/* gamma and beta of 'name': .weight and .bias, or by their old names .gamma and .beta. */
static enum rag_status open_norm(struct encoder *e, const char *name, size_t width,
                                 struct layer_norm *ret, struct rag_error *reterr)
{
    char probe[TENSOR_NAME_BYTES + 16];
    float *both = calloc(2 * width, sizeof *both);
    enum rag_status status;
    bool old;

    if (!both)
        return out_of_memory(reterr);
    snprintf(probe, sizeof probe, "%s.gamma", name);
    old = weights_find(e->weights, probe) != NULL;
    status = encoder_read_tensor(e, name, old ? ".gamma" : ".weight", &width, 1, both, reterr);
    if (status == RAG_OK)
        status =
            encoder_read_tensor(e, name, old ? ".beta" : ".bias", &width, 1, both + width, reterr);
    if (status != RAG_OK) {
        free(both);
        return status;
    }
    ret->gamma = both; /* ownership to the encoder */
    ret->beta = both + width;
    ret->width = width;
    ret->epsilon = e->config.layer_norm_epsilon;
    e->n_parameters += 2 * width;
    e->bytes += 2 * width * sizeof(float);
    return RAG_OK;
}

static void count_linear(struct encoder *e, const struct linear *l)
{
    e->n_parameters += (uint64_t)linear_n_out(l) * linear_n_in(l) + linear_n_out(l);
    e->bytes += linear_bytes(l);
}

static enum rag_status need_table(struct encoder *e, const char *name, size_t n_rows,
                                  const struct tensor **ret, struct rag_error *reterr)
{
    const size_t shape[2] = {n_rows, e->config.embedding};
    char full[TENSOR_NAME_BYTES];

    snprintf(full, sizeof full, "%sembeddings.%s_embeddings.weight", e->prefix, name);
    e->n_parameters += shape[0] * shape[1];
    return weights_need(e->weights, full, shape, 2, ret, reterr);
}

/* The word embeddings: the only table of many rows, so the only one that a packed file may have as
 * int8. */
static enum rag_status open_words(struct encoder *e, struct rag_error *reterr)
{
    char name[TENSOR_NAME_BYTES];
    char full[TENSOR_NAME_BYTES + 16];
    const struct tensor *t;

    snprintf(name, sizeof name, "%sembeddings.word_embeddings", e->prefix);
    snprintf(full, sizeof full, "%s.weight", name);
    t = weights_find(e->weights, full);
    if (!t || t->type != TENSOR_I8)
        return need_table(e, "word", e->config.vocab_size, &e->word, reterr);
    e->n_parameters += e->config.vocab_size * e->config.embedding;
    return encoder_open_packed_words(e, name, reterr);
}

static enum rag_status read_project(const struct encoder *e, struct linear_values *ret,
                                    struct rag_error *reterr)
{
    char name[TENSOR_NAME_BYTES];
    const char *names[1] = {name};

    snprintf(name, sizeof name, "%sembeddings_project", e->prefix);
    return encoder_read_named(e, names, 1, e->config.hidden, e->config.embedding, ret, reterr);
}

static enum rag_status open_project(struct encoder *e, struct rag_error *reterr)
{
    struct linear_values v = {0};
    enum rag_status status;

    if (e->config.embedding == e->config.hidden)
        return RAG_OK;
    status = read_project(e, &v, reterr);
    /* a hundredth of a layer's work: not worth the rounding of int8 */
    if (status == RAG_OK)
        status = encoder_make_linear(e, &v, PRECISION_FP32, &e->project, reterr);
    if (status == RAG_OK)
        count_linear(e, e->project);
    linear_values_release(&v);
    return status;
}

static enum rag_status open_embeddings(struct encoder *e, struct rag_error *reterr)
{
    const struct model_config *c = &e->config;
    const struct tensor *type = NULL;
    char name[TENSOR_NAME_BYTES];
    enum rag_status status = open_words(e, reterr);

    if (status == RAG_OK)
        status = need_table(e, "position", c->n_positions, &e->position, reterr);
    if (status == RAG_OK && c->n_types > 0)
        status = need_table(e, "token_type", c->n_types, &type, reterr);
    if (status != RAG_OK)
        return status;
    if (type) {
        e->type = calloc(type->n_elements, sizeof *e->type);
        if (!e->type)
            return out_of_memory(reterr);
        tensor_read_f32(type, 0, type->n_elements, e->type);
        status = check_finite(e, type, e->type, reterr);
        if (status != RAG_OK)
            return status;
        e->bytes += type->n_elements * sizeof(float);
    }
    snprintf(name, sizeof name, "%sembeddings.LayerNorm", e->prefix);
    status = open_norm(e, name, c->embedding, &e->embedding_norm, reterr);
    return status == RAG_OK ? open_project(e, reterr) : status;
}

/* Does opening make int8 of floats? Not of a packed file: what is a float there stays one. */
static bool quantizes(const struct encoder *e)
{
    return e->precision == PRECISION_INT8 && !weights_packed(e->weights);
}

/* One linear layer, whose input has 'spread' when it is to be quantised. What its own outputs have
 * goes to *ret, when that is not NULL: of the last of its n_parts. */
static enum rag_status open_linear(struct encoder *e, size_t layer, enum layer_linear which,
                                   const struct column_spread *spread, struct column_spread *ret,
                                   struct rag_error *reterr)
{
    struct encoder_layer *l = &e->layers[layer];
    struct linear_values v = {0};
    enum precision precision = quantizes(e) ? PRECISION_INT8 : PRECISION_FP32;
    enum rag_status status;
    size_t n = e->config.hidden;

    if (e->precision == PRECISION_INT8 && encoder_is_packed(e, layer, which)) {
        status = encoder_open_packed(e, layer, which, reterr);
        if (status == RAG_OK)
            count_linear(e, l->linears[which]);
        return status;
    }
    status = encoder_read_linear(e, layer, which, &v, reterr);
    if (status != RAG_OK)
        return status;
    if (which == LINEAR_UP)
        n = e->config.intermediate;
    if (quantizes(e)) {
        if (ret)
            status = column_spread_through(&v, v.n_out - n, n, spread, ret);
        if (status == RAG_OK)
            /* what a value loses goes into the states, what a query or key loses only into weights
             */
            status = encoder_even_columns(spread, v.n_out - n, &v, &l->columns[which]);
        if (status != RAG_OK)
            status = out_of_memory(reterr);
        e->bytes += v.n_in * sizeof(float);
    }
    if (status == RAG_OK)
        status = encoder_make_linear(e, &v, precision, &l->linears[which], reterr);
    linear_values_release(&v);
    if (status == RAG_OK)
        count_linear(e, l->linears[which]);
    return status;
}

static enum rag_status open_norms(struct encoder *e, size_t i, struct rag_error *reterr)
{
    struct encoder_layer *l = &e->layers[i];
    char name[TENSOR_NAME_BYTES];
    enum rag_status status;

    encoder_layer_name(e, i, PART_NORM_1, name);
    status = open_norm(e, name, e->config.hidden, &l->attention_norm, reterr);
    encoder_layer_name(e, i, PART_NORM_2, name);
    if (status == RAG_OK)
        status = open_norm(e, name, e->config.hidden, &l->output_norm, reterr);
    return status;
}

/* What goes into layer i: the rows behind a LayerNorm, or ELECTRA's projection of them. */
static enum rag_status input_spread(const struct encoder *e, size_t i, struct column_spread *ret,
                                    struct rag_error *reterr)
{
    const struct layer_norm *norm = i ? &e->layers[i - 1].output_norm : &e->embedding_norm;
    struct column_spread s = {0};
    struct linear_values v = {0};
    enum rag_status status = column_spread_of_norm(norm, &s);

    if (status == RAG_OK && i == 0 && e->project) {
        status = read_project(e, &v, reterr);
        if (status == RAG_OK)
            status = column_spread_through(&v, 0, v.n_out, &s, ret);
        linear_values_release(&v);
        column_spread_release(&s);
    } else {
        *ret = s; /* ownership to the caller */
    }
    return status == RAG_ENOMEM ? out_of_memory(reterr) : status;
}

static enum rag_status open_layer(struct encoder *e, size_t i, struct rag_error *reterr)
{
    struct column_spread in = {0};     /* of the layer's input */
    struct column_spread values = {0}; /* v, and so of what attention makes of them */
    struct column_spread between = {0};
    struct column_spread wide = {0};
    enum rag_status status = open_norms(e, i, reterr);

    if (status == RAG_OK && quantizes(e)) {
        status = input_spread(e, i, &in, reterr);
        if (status == RAG_OK &&
            column_spread_of_norm(&e->layers[i].attention_norm, &between) != RAG_OK)
            status = out_of_memory(reterr);
    }
    if (status == RAG_OK)
        status = open_linear(e, i, LINEAR_QKV, &in, &values, reterr);
    if (status == RAG_OK)
        status = open_linear(e, i, LINEAR_OUT, &values, NULL, reterr);
    if (status == RAG_OK)
        status = open_linear(e, i, LINEAR_UP, &between, &wide, reterr);
    if (status == RAG_OK) {
        column_spread_activate(e, &wide); /* of nothing when nothing is quantised */
        status = open_linear(e, i, LINEAR_DOWN, &wide, NULL, reterr);
    }
    column_spread_release(&in);
    column_spread_release(&values);
    column_spread_release(&between);
    column_spread_release(&wide);
    return status;
}

static enum rag_status open_layers(struct encoder *e, struct rag_error *reterr)
{
    const struct model_config *c = &e->config;
    enum rag_status status = RAG_OK;

    e->layers = calloc(c->n_layers, sizeof *e->layers);
    if (!e->layers)
        return out_of_memory(reterr);
    e->attention = (struct attention){
        .n_heads = c->n_heads,
        .head_dim = c->hidden / c->n_heads,
        .scale = 1.0f / __builtin_sqrtf((float)(c->hidden / c->n_heads)),
        .precision = e->precision == PRECISION_INT8 ? ATTENTION_FAST : ATTENTION_EXACT,
    };
    for (size_t i = 0; i < c->n_layers && status == RAG_OK; i++)
        status = open_layer(e, i, reterr);
    return status;
}

static enum rag_status open_weights(struct encoder *e, const char *dir, struct rag_error *reterr)
{
    enum rag_status status = weights_open(dir, &e->weights, reterr);

    if (status != RAG_OK)
        return status;
    e->prefix = encoder_find_prefix(e->weights);
    if (!e->prefix)
        return rag_fail(reterr, RAG_EFORMAT,
                        "model '%s': tensor 'embeddings.word_embeddings.weight': missing, with any "
                        "of the usual prefixes (the first tensor is '%s')",
                        dir, weights_at(e->weights, 0)->name);
    status = open_embeddings(e, reterr);
    if (status == RAG_OK)
        status = open_layers(e, reterr);
    if (status == RAG_OK)
        status = encoder_open_head(e, reterr);
    return status;
}

enum rag_status encoder_open(const char *dir, const struct encoder_options *options,
                             struct encoder **ret, struct rag_error *reterr)
{
    struct encoder *e = calloc(1, sizeof *e);
    enum rag_status status;

    if (!e)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
    e->precision = options->precision;
    e->pool = options->pool;
    status = kernels_choose(&e->kernels, reterr);
    if (status == RAG_OK)
        status = model_config_open(dir, &e->config, reterr);
    if (status == RAG_OK)
        status = open_weights(e, dir, reterr);
    if (status == RAG_OK && e->precision == PRECISION_INT8)
        status =
            weights_packed(e->weights) ? encoder_list_packed(e, reterr) : encoder_probe(e, reterr);
    if (status == RAG_OK) /* pages that were missing were read as zeros */
        status = weights_intact(e->weights, reterr);
    if (status != RAG_OK) {
        encoder_close(e);
        return status;
    }
    if (e->precision == PRECISION_INT8)
        snprintf(e->kernels_name, sizeof e->kernels_name, "%s", kernels_name(e->kernels));
    else
        snprintf(e->kernels_name, sizeof e->kernels_name, "openblas %s", kernels_blas_core(NULL));
    *ret = e;
    return RAG_OK;
}

void encoder_close(struct encoder *e)
{
    if (!e)
        return;
    for (size_t i = 0; e->layers && i < e->config.n_layers; i++) {
        for (size_t k = 0; k < LAYER_LINEARS; k++) {
            linear_free(e->layers[i].linears[k]);
            free(e->layers[i].columns[k]);
        }
        free((float *)(uintptr_t)e->layers[i].attention_norm.gamma);
        free((float *)(uintptr_t)e->layers[i].output_norm.gamma);
    }
    for (size_t i = 0; e->checks && i < LAYER_LINEARS * e->config.n_layers; i++)
        free((char *)(uintptr_t)e->checks[i].name);
    free(e->checks);
    free(e->layers);
    free((float *)(uintptr_t)e->embedding_norm.gamma);
    free(e->type);
    free(e->word_scale);
    linear_free(e->project);
    linear_free(e->head_dense);
    linear_free(e->head_out);
    weights_close(e->weights);
    free(e);
}
