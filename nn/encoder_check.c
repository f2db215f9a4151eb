/* Which linear layers bear int8. The inputs go through the model in fp32, one layer of it in memory
 * at a time; each linear layer's int8 twin gets the same rows, and the cosine of the two outputs is
 * taken row by row. A layer with a row below CHECK_COSINE_MIN stays in fp32.
 *
 * encoder_open() does that with token ids drawn at random, so that a read-only model directory is
 * all that is needed; encoder_check() with the caller's texts. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "nn/encoder_internal.h"

struct check {
    const struct encoder *e;
    struct encoder fp32; /* e with one layer, the current one, in fp32; borrows all else */
    struct encoder_layer layer;
    const struct encoder_layer *int8; /* the same layer of e */

    struct encoder_sequence *sequences; /* [n] */
    uint32_t *positions;
    size_t n;
    size_t n_rows;
    float *x;           /* [n_rows, H] */
    double *least;      /* [n, LAYER_LINEARS]: per sequence, so that no thread meets another */
    atomic_bool failed; /* out of memory */
};

/* ---- one sequence through one layer ---- */

static double cosine(const float *a, const float *b, size_t n)
{
    double ab = 0;
    double aa = 0;
    double bb = 0;

    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    if (aa == 0 && bb == 0)
        return 1;
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0; /* NaN stays NaN */
}

/* Multiply in fp32 into y, which goes on, and in int8 into 'other', and compare row by row. Query,
 * key and value of a token are one row: the value of a token that attention only rests on (the
 * first one of a BERT) is nearly zero, and a cosine of it alone would say nothing. */
static void multiply_both(struct check *c, size_t sequence, enum layer_linear which,
                          const struct encoder_product *product, float *other,
                          struct encoder_scratch *s)
{
    struct encoder_product p = *product;
    double *least = &c->least[sequence * LAYER_LINEARS + which];
    size_t n_out = linear_n_out(c->layer.linears[which]);

    p.linear = c->layer.linears[which];
    encoder_multiply(&c->fp32, &p, s);
    if (!linear_is_int8(c->int8->linears[which]))
        return;
    p.linear = c->int8->linears[which];
    p.columns = c->int8->columns[which];
    p.y = other;
    encoder_multiply(c->e, &p, s);
    for (size_t i = 0; i < p.n_rows * n_out; i += n_out) {
        double found = cosine(product->y + i, other + i, n_out);

        if (!(found >= *least))
            *least = found;
    }
}

/* Memory of one sequence of n tokens: y and other [n, max(3H, F)], sum [n, H]. */
static void check_rows(struct check *c, size_t i, float *y, float *other, float *sum,
                       struct encoder_scratch *s)
{
    const struct encoder *e = c->e;
    const struct encoder_sequence *sequence = &c->sequences[i];
    size_t n = sequence->input->n_tokens;
    size_t hidden = e->config.hidden;
    float *x = c->x + sequence->first_row * hidden;
    struct encoder_product p = {.x = x, .n_rows = n, .y = y};

    multiply_both(c, i, LINEAR_QKV, &p, other, s);
    attention_forward(e->kernels, &c->fp32.attention, y, 3 * hidden, n, 0, n, s->attended, hidden,
                      s->attention);
    p = (struct encoder_product){.x = s->attended, .n_rows = n, .y = sum};
    multiply_both(c, i, LINEAR_OUT, &p, other, s);
    row_add(e->kernels, sum, n * hidden, x);
    row_layer_norm(e->kernels, &c->int8->attention_norm, x, hidden, n, x, hidden, NULL);
    p = (struct encoder_product){.x = x, .n_rows = n, .y = y, .activation = e->config.activation};
    multiply_both(c, i, LINEAR_UP, &p, other, s);
    p = (struct encoder_product){.x = y, .n_rows = n, .y = sum};
    multiply_both(c, i, LINEAR_DOWN, &p, other, s);
    row_add(e->kernels, sum, n * hidden, x);
    row_layer_norm(e->kernels, &c->int8->output_norm, x, hidden, n, x, hidden, NULL);
}

static void check_sequence(void *context, size_t item, size_t thread)
{
    struct check *c = context;
    size_t n = c->sequences[item].input->n_tokens;
    size_t hidden = c->e->config.hidden;
    size_t wide = c->e->config.intermediate > 3 * hidden ? c->e->config.intermediate : 3 * hidden;
    struct encoder_scratch s = {0};
    float *memory = aligned_alloc(64, (n * (2 * wide + hidden) * sizeof(float) + 63) / 64 * 64);

    (void)thread;
    if (memory && encoder_scratch_init(&c->fp32, n, n, &s) == RAG_OK)
        check_rows(c, item, memory, memory + n * wide, memory + 2 * n * wide, &s);
    else
        atomic_store(&c->failed, true);
    encoder_scratch_release(&s);
    free(memory);
}

/* ---- all layers ---- */

static void layer_release(struct encoder_layer *l)
{
    for (size_t k = 0; k < LAYER_LINEARS; k++) {
        linear_free(l->linears[k]);
        l->linears[k] = NULL;
    }
}

static enum rag_status read_layer(struct check *c, size_t i, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    for (size_t k = 0; k < LAYER_LINEARS && status == RAG_OK; k++) {
        struct linear_values v = {0};

        status = encoder_read_linear(c->e, i, (enum layer_linear)k, &v, reterr);
        if (status == RAG_OK)
            status = encoder_make_linear(c->e, &v, PRECISION_FP32, &c->layer.linears[k], reterr);
        linear_values_release(&v);
    }
    return status;
}

static enum rag_status check_init(struct check *c, const struct encoder_input *inputs, size_t n,
                                  struct rag_error *reterr)
{
    const struct encoder *e = c->e;
    struct encoder_rows_state state = {.e = e};
    struct encoder_scratch s = {0};
    enum rag_status status = RAG_ENOMEM;

    c->n = n;
    c->fp32 = *e;
    c->fp32.layers = &c->layer;
    c->fp32.config.n_layers = 1;
    c->fp32.attention.precision = ATTENTION_EXACT;
    for (size_t i = 0; i < n; i++)
        c->n_rows += inputs[i].n_tokens;
    c->sequences = calloc(n, sizeof *c->sequences);
    c->positions = calloc(c->n_rows, sizeof *c->positions);
    c->x = calloc(c->n_rows * e->config.hidden, sizeof *c->x);
    c->least = calloc(n * LAYER_LINEARS, sizeof *c->least);
    if (c->sequences && c->positions && c->x && c->least)
        status = encoder_scratch_init(e, c->n_rows, 1, &s);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "encoder: out of memory for a check of %zu inputs", n);
    for (size_t i = 0, row = 0; i < n; i++) {
        encoder_positions(&e->config, &inputs[i], c->positions + row);
        c->sequences[i] = (struct encoder_sequence){
            .input = &inputs[i], .positions = c->positions + row, .first_row = row};
        row += inputs[i].n_tokens;
    }
    state.sequences = c->sequences;
    state.n_sequences = n;
    state.n_rows = c->n_rows;
    state.x = c->x;
    encoder_embed_rows(&state, 0, c->n_rows, &s);
    encoder_scratch_release(&s);
    return RAG_OK;
}

static void check_release(struct check *c)
{
    layer_release(&c->layer);
    free(c->sequences);
    free(c->positions);
    free(c->x);
    free(c->least);
}

/* ret [n_layers, LAYER_LINEARS], least cosines. Layers of e that are fp32 keep what ret has. */
static enum rag_status check_layers(const struct encoder *e, const struct encoder_input *inputs,
                                    size_t n, struct layer_check *ret, struct rag_error *reterr)
{
    struct check c = {.e = e};
    enum rag_status status = check_init(&c, inputs, n, reterr);

    for (size_t i = 0; i < e->config.n_layers && status == RAG_OK; i++) {
        status = read_layer(&c, i, reterr);
        if (status != RAG_OK)
            break;
        c.int8 = &e->layers[i];
        for (size_t k = 0; k < n * LAYER_LINEARS; k++)
            c.least[k] = 1;
        compute_pool_run(e->pool, n, check_sequence, &c);
        for (size_t k = 0; k < LAYER_LINEARS; k++) {
            struct layer_check *found = &ret[i * LAYER_LINEARS + k];

            if (!linear_is_int8(c.int8->linears[k]))
                continue;
            found->cosine_min = 1;
            for (size_t s = 0; s < n; s++) {
                double cosine_min = c.least[s * LAYER_LINEARS + k];

                if (!(cosine_min >= found->cosine_min))
                    found->cosine_min = cosine_min;
            }
            found->fp32 = !(found->cosine_min >= CHECK_COSINE_MIN);
        }
        layer_release(&c.layer);
        if (atomic_load(&c.failed))
            status = rag_fail(reterr, RAG_ENOMEM, "encoder: out of memory for a check");
    }
    check_release(&c);
    return status;
}

enum rag_status encoder_check(const struct encoder *e, const struct encoder_input *inputs, size_t n,
                              struct layer_check **ret, size_t *ret_n, struct rag_error *reterr)
{
    size_t n_checks = LAYER_LINEARS * e->config.n_layers;
    struct layer_check *checks;
    enum rag_status status;

    if (e->precision != PRECISION_INT8)
        return rag_fail(reterr, RAG_EINVAL, "encoder: only an int8 one is checked");
    status = encoder_check_inputs(e, inputs, n, reterr);
    if (status != RAG_OK)
        return status;
    checks = malloc(n_checks * sizeof *checks);
    if (!checks)
        return rag_fail(reterr, RAG_ENOMEM, "encoder: out of memory for a check");
    memcpy(checks, e->checks, n_checks * sizeof *checks);
    if (n > 0)
        status = check_layers(e, inputs, n, checks, reterr);
    if (status == RAG_OK)
        status = weights_intact(e->weights, reterr);
    if (status != RAG_OK) {
        free(checks);
        return status;
    }
    *ret = checks; /* ownership to the caller */
    *ret_n = n_checks;
    return RAG_OK;
}

/* ---- at open ---- */

static enum rag_status name_checks(struct encoder *e, struct rag_error *reterr)
{
    char name[TENSOR_NAME_BYTES];

    e->checks = calloc(LAYER_LINEARS * e->config.n_layers, sizeof *e->checks);
    for (size_t i = 0; e->checks && i < LAYER_LINEARS * e->config.n_layers; i++) {
        encoder_product_name(e, i / LAYER_LINEARS, (enum layer_linear)(i % LAYER_LINEARS), name);
        e->checks[i].name = strdup(name + strlen(e->prefix));
        e->checks[i].cosine_min = 1;
        if (!e->checks[i].name)
            break;
        if (i + 1 == LAYER_LINEARS * e->config.n_layers)
            return RAG_OK;
    }
    return rag_fail(reterr, RAG_ENOMEM, "model: out of memory");
}

static enum rag_status keep_fp32(struct encoder *e, size_t i, enum layer_linear which,
                                 struct rag_error *reterr)
{
    struct encoder_layer *l = &e->layers[i];
    struct linear_values v = {0};
    struct linear *exact = NULL;
    enum rag_status status = encoder_read_linear(e, i, which, &v, reterr);

    if (status == RAG_OK)
        status = encoder_make_linear(e, &v, PRECISION_FP32, &exact, reterr);
    linear_values_release(&v);
    if (status != RAG_OK)
        return status;
    e->bytes += linear_bytes(exact) - linear_bytes(l->linears[which]);
    linear_free(l->linears[which]);
    l->linears[which] = exact; /* ownership to the layer */
    return RAG_OK;
}

enum rag_status encoder_list_packed(struct encoder *e, struct rag_error *reterr)
{
    enum rag_status status = name_checks(e, reterr);

    for (size_t i = 0; i < LAYER_LINEARS * e->config.n_layers && status == RAG_OK; i++) {
        struct layer_check *c = &e->checks[i];

        c->fp32 = !linear_is_int8(e->layers[i / LAYER_LINEARS].linears[i % LAYER_LINEARS]);
        if (c->fp32)
            c->cosine_min = (double)NAN; /* the file does not say */
    }
    return status;
}

enum rag_status encoder_probe(struct encoder *e, struct rag_error *reterr)
{
    const struct model_config *c = &e->config;
    size_t n_tokens = c->max_tokens < CHECK_PROBE_TOKENS ? c->max_tokens : CHECK_PROBE_TOKENS;
    struct encoder_input inputs[CHECK_PROBE_INPUTS];
    uint32_t ids[CHECK_PROBE_INPUTS * CHECK_PROBE_TOKENS];
    uint64_t seed = 1;
    enum rag_status status = name_checks(e, reterr);

    for (size_t i = 0; i < CHECK_PROBE_INPUTS * CHECK_PROBE_TOKENS; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
        ids[i] = (uint32_t)((seed >> 33) % c->vocab_size);
    }
    for (size_t i = 0; i < CHECK_PROBE_INPUTS; i++)
        inputs[i] =
            (struct encoder_input){.ids = ids + i * CHECK_PROBE_TOKENS, .n_tokens = n_tokens};
    if (status == RAG_OK)
        status = check_layers(e, inputs, CHECK_PROBE_INPUTS, e->checks, reterr);
    for (size_t i = 0; i < LAYER_LINEARS * c->n_layers && status == RAG_OK; i++) {
        if (e->checks[i].fp32)
            status =
                keep_fp32(e, i / LAYER_LINEARS, (enum layer_linear)(i % LAYER_LINEARS), reterr);
    }
    return status;
}
