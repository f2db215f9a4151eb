/* A packed file's int8 weights to layers: docs/FORMATS.md, "Packed encoder". Nothing is made of
 * floats and nothing is tried; each number is checked, since the file is as hostile as any. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/encoder_internal.h"
#include "nn/linear_packed.h"

#define FULL_NAME_BYTES (TENSOR_NAME_BYTES + 16)

/* What belongs to a product; all but 'w' owned. */
struct packed_parts {
    const struct tensor *w; /* [n_out, n_in] */
    float *scale;           /* [n_out] */
    float *bias;            /* [n_out] */
    float *columns;         /* [n_in] */
    size_t shape[2];
};

static void parts_release(struct packed_parts *p)
{
    free(p->scale);
    free(p->bias);
    free(p->columns);
    memset(p, 0, sizeof *p);
}

bool encoder_is_packed(const struct encoder *e, size_t layer, enum layer_linear which)
{
    char name[TENSOR_NAME_BYTES];
    char full[FULL_NAME_BYTES];
    const struct tensor *t;

    if (!weights_packed(e->weights))
        return false;
    encoder_product_name(e, layer, which, name);
    snprintf(full, sizeof full, "%s.weight", name);
    t = weights_find(e->weights, full);
    return t && t->type == TENSOR_I8;
}

/* Scales: n of them, finite (encoder_read_tensor) and above 0. *ret is malloc'ed. */
static enum rag_status read_scales(const struct encoder *e, const char *name, const char *suffix,
                                   size_t n, float **ret, struct rag_error *reterr)
{
    float *values = calloc(n, sizeof *values);
    enum rag_status status;

    if (!values)
        return rag_fail(reterr, RAG_ENOMEM, "model: out of memory for its weights");
    status = encoder_read_tensor(e, name, suffix, &n, 1, values, reterr);
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        if (!(values[i] > 0))
            status = rag_fail(reterr, RAG_EFORMAT,
                              "model '%s': tensor '%s%s': element %zu is %g, expected a scale "
                              "above 0",
                              weights_dir(e->weights), name, suffix, i, (double)values[i]);
    }
    if (status != RAG_OK) {
        free(values);
        return status;
    }
    *ret = values; /* ownership to the caller */
    return RAG_OK;
}

static enum rag_status need_values(const struct encoder *e, const char *name, const size_t shape[2],
                                   const struct tensor **ret, struct rag_error *reterr)
{
    char full[FULL_NAME_BYTES];

    snprintf(full, sizeof full, "%s.weight", name);
    return weights_need_int8(e->weights, full, shape, 2, ret, reterr);
}

/* -128 is no weight: sums are bounded by 127 a weight (LINEAR_IN_MAX). */
static enum rag_status check_values(const struct encoder *e, const struct tensor *t,
                                    struct rag_error *reterr)
{
    const char *bad = memchr(t->data, 0x80, t->n_elements);

    if (!bad)
        return RAG_OK;
    return rag_fail(reterr, RAG_EFORMAT,
                    "model '%s': tensor '%s': element %zu is -128, expected -127 to 127",
                    weights_dir(e->weights), t->name, (size_t)(bad - (const char *)t->data));
}

static enum rag_status read_parts(const struct encoder *e, size_t layer, enum layer_linear which,
                                  struct packed_parts *ret, struct rag_error *reterr)
{
    struct packed_parts p = {0};
    char name[TENSOR_NAME_BYTES];
    enum rag_status status;

    encoder_product_name(e, layer, which, name);
    encoder_product_shape(e, which, p.shape);
    status = need_values(e, name, p.shape, &p.w, reterr);
    if (status == RAG_OK)
        status = check_values(e, p.w, reterr);
    if (status == RAG_OK)
        status = read_scales(e, name, PACKED_SCALE, p.shape[0], &p.scale, reterr);
    if (status == RAG_OK)
        status = read_scales(e, name, PACKED_INPUT_SCALE, p.shape[1], &p.columns, reterr);
    if (status == RAG_OK) {
        p.bias = calloc(p.shape[0], sizeof *p.bias);
        if (!p.bias)
            status = rag_fail(reterr, RAG_ENOMEM, "model: out of memory for its weights");
        else
            status = encoder_read_tensor(e, name, ".bias", p.shape, 1, p.bias, reterr);
    }
    if (status != RAG_OK) {
        parts_release(&p);
        return status;
    }
    *ret = p; /* ownership to the caller */
    return RAG_OK;
}

enum rag_status encoder_open_packed(struct encoder *e, size_t layer, enum layer_linear which,
                                    struct rag_error *reterr)
{
    struct encoder_layer *l = &e->layers[layer];
    struct packed_parts p = {0};
    enum rag_status status = read_parts(e, layer, which, &p, reterr);

    if (status == RAG_OK)
        status = linear_new_packed(e->kernels, p.w->data, p.scale, p.bias, p.shape[0], p.shape[1],
                                   &l->linears[which], reterr);
    if (status == RAG_OK) {
        weights_forget(e->weights, p.w);
        l->columns[which] = p.columns; /* ownership to the layer */
        p.columns = NULL;
        e->bytes += p.shape[1] * sizeof(float);
    }
    parts_release(&p);
    return status;
}

/* W[o,i] = w[o,i] scale[o] columns[i] */
enum rag_status encoder_unpack(const struct encoder *e, size_t layer, enum layer_linear which,
                               struct linear_values *ret, struct rag_error *reterr)
{
    struct packed_parts p = {0};
    struct linear_values v = {0};
    enum rag_status status = read_parts(e, layer, which, &p, reterr);

    if (status != RAG_OK)
        return status;
    v = (struct linear_values){.n_out = p.shape[0], .n_in = p.shape[1], .bias = p.bias};
    p.bias = NULL; /* ownership to v */
    v.w = calloc(v.n_out * v.n_in, sizeof *v.w);
    if (!v.w) {
        linear_values_release(&v);
        status = rag_fail(reterr, RAG_ENOMEM, "model: out of memory for its weights");
        goto out;
    }
    for (size_t o = 0; o < v.n_out; o++) {
        float *row = v.w + o * v.n_in;

        tensor_read_f32(p.w, o * v.n_in, v.n_in, row);
        for (size_t i = 0; i < v.n_in; i++) {
            row[i] *= p.scale[o] * p.columns[i];
            if (!isfinite(row[i]))
                status = rag_fail(reterr, RAG_ENUMERIC,
                                  "model '%s': tensor '%s': row %zu, column %zu: not a finite "
                                  "number with its scales",
                                  weights_dir(e->weights), p.w->name, o, i);
        }
    }
    if (status == RAG_OK)
        *ret = v; /* ownership to the caller */
    else
        linear_values_release(&v);
out:
    parts_release(&p);
    return status;
}

enum rag_status encoder_open_packed_words(struct encoder *e, const char *name,
                                          struct rag_error *reterr)
{
    const size_t shape[2] = {e->config.vocab_size, e->config.embedding};
    enum rag_status status = need_values(e, name, shape, &e->word, reterr);

    if (status == RAG_OK)
        status = read_scales(e, name, PACKED_SCALE, shape[0], &e->word_scale, reterr);
    if (status == RAG_OK)
        e->bytes += shape[0] * sizeof(float);
    return status;
}
