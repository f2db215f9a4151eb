/* Heads that classify a sequence by the state of its first token:
 *
 *     BERT        W_o tanh(W_d x + b_d) + b_o       pooler.dense (part of the encoder), classifier
 *     RoBERTa     W_o tanh(W_d x + b_d) + b_o       classifier.dense, classifier.out_proj
 *     ELECTRA     W_o gelu(W_d x + b_d) + b_o       the same names
 *     DistilBERT  W_o relu(W_d x + b_d) + b_o       pre_classifier, classifier
 *
 * Always fp32: a thousandth of the work, and the last rounding that a score sees. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "base/bounds.h"
#include "nn/encoder_internal.h"

void encoder_head_names(const struct encoder *e, struct head_names *ret)
{
    switch (e->config.family) {
    case FAMILY_BERT:
        snprintf(ret->dense, sizeof ret->dense, "%spooler.dense", e->prefix);
        snprintf(ret->out, sizeof ret->out, "classifier");
        break;
    case FAMILY_DISTILBERT:
        snprintf(ret->dense, sizeof ret->dense, "pre_classifier");
        snprintf(ret->out, sizeof ret->out, "classifier");
        break;
    case FAMILY_ROBERTA:
    case FAMILY_XLM_ROBERTA:
    case FAMILY_ELECTRA:
        snprintf(ret->dense, sizeof ret->dense, "classifier.dense");
        snprintf(ret->out, sizeof ret->out, "classifier.out_proj");
        break;
    }
}

static const struct tensor *find_weight(const struct encoder *e, const char *name)
{
    char full[TENSOR_NAME_BYTES + 16];

    snprintf(full, sizeof full, "%s.weight", name);
    return weights_find(e->weights, full);
}

/* How many labels there are: the tensor has them, config.json may say it again. */
static enum rag_status count_labels(const struct encoder *e, const struct head_names *names,
                                    size_t *ret, struct rag_error *reterr)
{
    const struct tensor *out = find_weight(e, names->out);
    size_t n = out && out->n_dims == 2 ? out->shape[0] : 0;

    if (e->config.n_labels)
        n = e->config.n_labels; /* the shape is compared with it */
    if (n == 0 || n > ENCODER_LABELS_MAX)
        return rag_fail(reterr, RAG_EFORMAT,
                        "model '%s': tensor '%s.weight': %zu labels, allowed are 1 to %d",
                        weights_dir(e->weights), names->out, n, ENCODER_LABELS_MAX);
    *ret = n;
    return RAG_OK;
}

static enum rag_status open_linear(struct encoder *e, const char *name, size_t n_out,
                                   struct linear **ret, struct rag_error *reterr)
{
    struct linear_values v = {0};
    enum rag_status status = encoder_read_named(e, &name, 1, n_out, e->config.hidden, &v, reterr);

    if (status == RAG_OK)
        status = encoder_make_linear(e, &v, PRECISION_FP32, ret, reterr);
    linear_values_release(&v);
    if (status == RAG_OK) {
        e->n_parameters += (uint64_t)linear_n_out(*ret) * (linear_n_in(*ret) + 1);
        e->bytes += linear_bytes(*ret);
    }
    return status;
}

enum rag_status encoder_open_head(struct encoder *e, struct rag_error *reterr)
{
    struct head_names names;
    size_t n_labels = 0;
    enum rag_status status;

    encoder_head_names(e, &names);
    /* An encoder without a classifier is none, unless it says that it is one. A token classifier
     * has one of the two names: no head that this is about. */
    if (!e->config.classifies && (!find_weight(e, names.dense) || !find_weight(e, names.out)))
        return RAG_OK;
    status = count_labels(e, &names, &n_labels, reterr);
    if (status == RAG_OK)
        status = open_linear(e, names.dense, e->config.hidden, &e->head_dense, reterr);
    if (status == RAG_OK)
        status = open_linear(e, names.out, n_labels, &e->head_out, reterr);
    if (status == RAG_OK)
        e->n_labels = n_labels;
    return status;
}

enum rag_status encoder_head(const struct encoder *e, const float *states, size_t n,
                             float *ret_logits, struct rag_error *reterr)
{
    size_t hidden = e->config.hidden;
    size_t rows_max = n < ENCODER_HEAD_ROWS ? n : ENCODER_HEAD_ROWS;
    struct encoder_scratch s = {0};

    if (encoder_scratch_init(e, rows_max, 1, &s) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "model: out of memory for %zu classifications", n);
    for (size_t first = 0; first < n; first += rows_max) {
        size_t n_rows = n - first < rows_max ? n - first : rows_max;
        struct encoder_product dense = {.linear = e->head_dense,
                                        .x = states + first * hidden,
                                        .n_rows = n_rows,
                                        .y = s.first,
                                        .activation = e->config.head_activation};
        struct encoder_product out = {.linear = e->head_out,
                                      .x = s.first,
                                      .n_rows = n_rows,
                                      .y = ret_logits + first * e->n_labels};

        encoder_multiply(e, &dense, &s);
        encoder_multiply(e, &out, &s);
    }
    encoder_scratch_release(&s);
    return RAG_OK;
}
