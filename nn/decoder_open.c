/* From tensors to layers: every matrix is packed by a thread of the pool, and its pages of the file
 * are let go. Only the embedding table stays in the mapping, where each token reads its row. */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/decoder_internal.h"

#define NAME_BYTES 128

static enum rag_status out_of_memory(const struct decoder *d, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory for its weights",
                    model_tensors_path(d->tensors));
}

/* The vector 'name' [n] as float32, 'offset' added to each. */
static enum rag_status read_vector(const struct decoder *d, const char *name, size_t n,
                                   float offset, float **ret, struct rag_error *reterr)
{
    float *v = NULL;
    struct matrix m;
    enum rag_status status = model_tensors_need(d->tensors, name, 1, n, &m, reterr);

    if (status != RAG_OK)
        return status;
    v = malloc(n * sizeof *v);
    if (!v)
        return out_of_memory(d, reterr);
    matrix_read_row(&m, 0, v);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(v[i])) {
            free(v);
            return rag_fail(reterr, RAG_ENUMERIC,
                            "model '%s': tensor '%s': element %zu is not a finite number",
                            model_tensors_path(d->tensors), m.name, i);
        }
        v[i] += offset;
    }
    *ret = v; /* ownership to the caller */
    return RAG_OK;
}

static enum rag_status read_norm(struct decoder *d, const char *name, size_t n, float **ret,
                                 struct rag_error *reterr)
{
    enum rag_status status = read_vector(d, name, n, d->config->norm_offset, ret, reterr);

    if (status == RAG_OK) {
        d->n_parameters += n;
        d->bytes += n * sizeof(float);
    }
    return status;
}

static enum rag_status open_norms(struct decoder *d, size_t layer, struct rag_error *reterr)
{
    const struct decoder_config *c = d->config;
    /* without norms behind the halves, "post_attention" is the one before the second half */
    const struct {
        enum decoder_norm which;
        const char *name;
        size_t width;
        bool there;
    } norms[] = {
        {DECODER_NORM_ATTENTION,        "input_layernorm",            c->hidden,   true          },
        {DECODER_NORM_FEED_FORWARD,     "post_attention_layernorm",   c->hidden,   !c->post_norms},
        {DECODER_NORM_ATTENTION_OUT,    "post_attention_layernorm",   c->hidden,   c->post_norms },
        {DECODER_NORM_FEED_FORWARD,     "pre_feedforward_layernorm",  c->hidden,   c->post_norms },
        {DECODER_NORM_FEED_FORWARD_OUT, "post_feedforward_layernorm", c->hidden,   c->post_norms },
        {DECODER_NORM_Q,                "self_attn.q_norm",           c->head_dim, c->qk_norm    },
        {DECODER_NORM_K,                "self_attn.k_norm",           c->head_dim, c->qk_norm    },
    };
    enum rag_status status = RAG_OK;
    char name[NAME_BYTES];

    for (size_t i = 0; i < sizeof norms / sizeof norms[0] && status == RAG_OK; i++) {
        if (!norms[i].there)
            continue;
        snprintf(name, sizeof name, "model.layers.%zu.%s.weight", layer, norms[i].name);
        status =
            read_norm(d, name, norms[i].width, &d->layers[layer].norms[norms[i].which], reterr);
    }
    return status;
}

/* ---- matrices, by all threads ---- */

struct packing {
    struct decoder *d;
    atomic_bool failed;
    pthread_mutex_t lock;
    uint64_t n_parameters;  /* under lock */
    uint64_t bytes;         /* under lock */
    enum rag_status status; /* under lock: the first failure */
    struct rag_error error; /* under lock */
};

static enum rag_status pack_matrix(const struct decoder *d, const char *name, size_t n_out,
                                   size_t n_in, const float *bias, struct block_linear **ret,
                                   struct rag_error *reterr)
{
    enum rag_status status;
    struct rag_error why;
    struct matrix m;

    status = model_tensors_need(d->tensors, name, n_out, n_in, &m, reterr);
    if (status != RAG_OK)
        return status;
    if (d->fp32)
        status = block_linear_new_fp32(d->kernels, m.type, m.data, m.row_bytes, n_out, n_in, bias,
                                       ret, &why);
    else
        status = block_linear_new(d->kernels, m.type, m.data, m.row_bytes, n_out, n_in,
                                  d->dense_type, bias, ret, &why);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "model '%s': tensor '%s': %s",
                        model_tensors_path(d->tensors), m.name, why.text);
    model_tensors_forget(d->tensors, &m);
    return RAG_OK;
}

static enum rag_status pack_linear(const struct decoder *d, size_t layer, enum decoder_linear which,
                                   struct rag_error *reterr)
{
    static const char *const names[DECODER_LINEARS] = {
        [DECODER_Q] = "self_attn.q_proj", [DECODER_K] = "self_attn.k_proj",
        [DECODER_V] = "self_attn.v_proj", [DECODER_O] = "self_attn.o_proj",
        [DECODER_GATE] = "mlp.gate_proj", [DECODER_UP] = "mlp.up_proj",
        [DECODER_DOWN] = "mlp.down_proj",
    };
    const struct decoder_config *c = d->config;
    size_t q_width = c->n_heads * c->head_dim;
    size_t kv_width = c->n_kv_heads * c->head_dim;
    const size_t outs[DECODER_LINEARS] = {
        [DECODER_Q] = q_width,
        [DECODER_K] = kv_width,
        [DECODER_V] = kv_width,
        [DECODER_O] = c->hidden,
        [DECODER_GATE] = c->intermediate,
        [DECODER_UP] = c->intermediate,
        [DECODER_DOWN] = c->hidden,
    };
    size_t n_in = c->hidden;
    enum rag_status status = RAG_OK;
    char name[NAME_BYTES];
    float *bias = NULL;

    if (which == DECODER_O)
        n_in = q_width;
    if (which == DECODER_DOWN)
        n_in = c->intermediate;
    if (c->qkv_bias && which <= DECODER_V) {
        snprintf(name, sizeof name, "model.layers.%zu.%s.bias", layer, names[which]);
        status = read_vector(d, name, outs[which], 0.0f, &bias, reterr);
    }
    snprintf(name, sizeof name, "model.layers.%zu.%s.weight", layer, names[which]);
    if (status == RAG_OK)
        status =
            pack_matrix(d, name, outs[which], n_in, bias, &d->layers[layer].linears[which], reterr);
    free(bias);
    return status;
}

static enum rag_status pack_head(struct decoder *d, struct rag_error *reterr)
{
    const struct decoder_config *c = d->config;

    return pack_matrix(d, c->tied ? "model.embed_tokens.weight" : "lm_head.weight", c->vocab_size,
                       c->hidden, NULL, &d->head, reterr);
}

/* Item 0 is the head, the largest; the others are the linears of the layers. */
static void pack_item(void *context, size_t item, size_t thread)
{
    struct packing *p = context;
    size_t layer = (item - 1) / DECODER_LINEARS;
    enum decoder_linear which = (enum decoder_linear)((item - 1) % DECODER_LINEARS);
    const struct block_linear *l = NULL;
    struct rag_error error = {0};
    enum rag_status status;

    (void)thread;
    if (atomic_load(&p->failed))
        return;
    if (item == 0)
        status = pack_head(p->d, &error);
    else
        status = pack_linear(p->d, layer, which, &error);
    if (status == RAG_OK)
        l = item == 0 ? p->d->head : p->d->layers[layer].linears[which];
    pthread_mutex_lock(&p->lock);
    if (l) {
        p->n_parameters += (uint64_t)block_linear_n_out(l) * block_linear_n_in(l);
        p->bytes += block_linear_bytes(l);
    } else if (p->status == RAG_OK) {
        p->status = status;
        p->error = error;
        atomic_store(&p->failed, true);
    }
    pthread_mutex_unlock(&p->lock);
}

static enum rag_status pack_all(struct decoder *d, struct rag_error *reterr)
{
    struct packing p = {.d = d};

    pthread_mutex_init(&p.lock, NULL);
    compute_pool_run(d->pool, 1 + d->config->n_layers * DECODER_LINEARS, pack_item, &p);
    pthread_mutex_destroy(&p.lock);
    d->n_parameters += p.n_parameters;
    d->bytes += p.bytes;
    return p.status == RAG_OK ? RAG_OK : rag_fail(reterr, p.status, "%s", p.error.text);
}

/* ---- the decoder ---- */

static void set_shapes(struct decoder *d)
{
    const struct decoder_config *c = d->config;

    d->shape = (struct kv_shape){
        .type = d->fp32 ? KV_F32 : KV_F16,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .head_dim = c->head_dim,
        .scale = c->attention_scale,
    };
    d->shape_local = d->shape;
    d->shape_local.window = c->sliding_window;
    for (size_t i = 0; i < c->n_layers; i++)
        d->layers[i].local = c->sliding_window > 0 && (i + 1) % c->sliding_pattern != 0;
}

static enum rag_status open_weights(struct decoder *d, struct rag_error *reterr)
{
    const struct decoder_config *c = d->config;
    enum rag_status status;

    d->layers = calloc(c->n_layers, sizeof *d->layers);
    if (!d->layers)
        return out_of_memory(d, reterr);
    set_shapes(d);
    status = model_tensors_need(d->tensors, "model.embed_tokens.weight", c->vocab_size, c->hidden,
                                &d->embedding, reterr);
    if (status == RAG_OK && !c->tied)
        d->n_parameters += (uint64_t)c->vocab_size * c->hidden;
    for (size_t i = 0; i < c->n_layers && status == RAG_OK; i++)
        status = open_norms(d, i, reterr);
    if (status == RAG_OK)
        status = read_norm(d, "model.norm.weight", c->hidden, &d->norm, reterr);
    if (status == RAG_OK)
        status = pack_all(d, reterr);
    if (status == RAG_OK) /* pages that were missing were read as zeros */
        status = model_tensors_intact(d->tensors, reterr);
    return status;
}

enum rag_status decoder_open(const struct model_tensors *t, const struct decoder_options *options,
                             struct decoder **ret, struct rag_error *reterr)
{
    struct decoder *d = calloc(1, sizeof *d);
    enum rag_status status;

    if (!d)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", model_tensors_path(t));
    d->tensors = t;
    d->config = model_tensors_config(t);
    d->pool = options->pool;
    d->n_threads = compute_pool_threads(options->pool);
    d->fp32 = options->precision == DECODER_FP32;
    d->dense_type = options->dense_type;
    status = kernels_choose(&d->kernels, reterr);
    if (status == RAG_OK)
        status = open_weights(d, reterr);
    if (status != RAG_OK) {
        decoder_close(d);
        return status;
    }
    if (d->fp32)
        snprintf(d->kernels_name, sizeof d->kernels_name, "openblas %s", kernels_blas_core(NULL));
    else
        snprintf(d->kernels_name, sizeof d->kernels_name, "%s", kernels_name(d->kernels));
    *ret = d;
    return RAG_OK;
}
