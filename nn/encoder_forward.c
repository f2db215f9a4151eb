/* One layer on some rows: attention reads the q, k, v of whole sequences, everything after it is
 * row by row, up to and with the q, k, v of the next layer. So a thread may take whole sequences
 * through all layers alone, or all threads take rows of the same sequences and wait for each other
 * once a layer. Either way each row sees the same sums in the same order. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "nn/encoder_internal.h"

#define ALIGN_FLOATS 16 /* 64 bytes: a cache line, a vector */

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t round_up(size_t n)
{
    return (n + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
}

static size_t linear_floats(const struct encoder *e, size_t rows)
{
    const struct linear *others[] = {e->project, e->head_dense, e->head_out};
    size_t n = 0;

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (others[i])
            n = max_size(n, linear_scratch_floats(others[i], rows));
    }
    for (size_t i = 0; i < e->config.n_layers; i++) {
        for (size_t k = 0; k < LAYER_LINEARS; k++)
            n = max_size(n, linear_scratch_floats(e->layers[i].linears[k], rows));
    }
    return n;
}

enum rag_status encoder_scratch_init(const struct encoder *e, size_t rows_max, size_t tokens_max,
                                     struct encoder_scratch *ret)
{
    const struct model_config *c = &e->config;
    size_t wide = max_size(max_size(c->intermediate, c->embedding), c->hidden);
    size_t n_attended = round_up(rows_max * max_size(c->hidden, c->embedding));
    size_t n_first = round_up(rows_max * c->hidden);
    size_t n_hidden = round_up(rows_max * wide);
    size_t n_attention = round_up(attention_scratch_floats(e->kernels, &e->attention, tokens_max));
    size_t n_linear = round_up(linear_floats(e, rows_max));
    size_t n_q8 = e->precision == PRECISION_INT8 ? q8_rows_bytes(e->kernels, rows_max, wide) : 0;
    struct encoder_scratch s = {.rows_max = rows_max};
    float *at;

    /* limits of base/bounds.h keep each term far below SIZE_MAX */
    at = aligned_alloc(64,
                       (n_attended + n_first + n_hidden + n_attention + n_linear) * sizeof(float) +
                           (n_q8 + 63) / 64 * 64);
    if (!at)
        return RAG_ENOMEM;
    s.memory = at;
    s.attended = at;
    s.first = (at += n_attended);
    s.hidden = (at += n_first);
    s.attention = (at += n_hidden);
    s.linear = (at += n_attention);
    s.q8 = (unsigned char *)(at + n_linear);
    *ret = s;
    return RAG_OK;
}

void encoder_scratch_release(struct encoder_scratch *s)
{
    free(s->memory);
    memset(s, 0, sizeof *s);
}

void encoder_multiply(const struct encoder *e, const struct encoder_product *p,
                      struct encoder_scratch *s)
{
    size_t n_in = linear_n_in(p->linear);
    size_t n_out = linear_n_out(p->linear);
    struct linear_input in = {.q8 = p->q8, .f32 = p->x, .stride = n_in};
    struct linear_output out = {.y = p->y,
                                .stride = n_out,
                                .activation = p->activation,
                                .residual = p->residual,
                                .residual_stride = n_out};
    struct q8_rows q8;

    if (linear_is_int8(p->linear) && !p->q8) {
        q8 = q8_rows_in(e->kernels, s->q8, p->n_rows, n_in);
        q8.columns = p->columns;
        q8_quantize(e->kernels, p->x, n_in, p->n_rows, &q8);
        in.q8 = &q8;
    }
    linear_forward(p->linear, &in, p->n_rows, &out, s->linear);
}

/* x = LN(x), in place of the rows that 'next' multiplies; when that is int8 they are quantised for
 * it on the way, into q8. */
static void normalize(const struct encoder *e, const struct layer_norm *norm, float *x, size_t n,
                      struct encoder_product *next, struct encoder_scratch *s, struct q8_rows *q8)
{
    size_t width = norm->width;

    if (next->linear && linear_is_int8(next->linear)) {
        *q8 = q8_rows_in(e->kernels, s->q8, n, width);
        q8->columns = next->columns;
        next->q8 = q8;
    }
    row_layer_norm(e->kernels, norm, x, width, n, x, width, next->q8);
}

/* Rows that go through a product together. While a layer's weights stay in the core's L2, few: then
 * the rows and what is made of them stay in L1 and L2 as well. Else all, since the weights come
 * from L3 or memory each time. */
static size_t rows_at_once(const struct encoder_layer *l, size_t n)
{
    uint64_t bytes = 0;

    for (size_t k = 0; k < LAYER_LINEARS; k++)
        bytes += linear_bytes(l->linears[k]);
    return bytes <= ENCODER_CACHED_BYTES && n > ENCODER_CACHED_ROWS ? ENCODER_CACHED_ROWS : n;
}

/* x = x + W_o attended + b_o */
static void project_attended(const struct encoder *e, const struct encoder_layer *l, float *x,
                             size_t n, struct encoder_scratch *s)
{
    size_t hidden = e->config.hidden;
    size_t step = rows_at_once(l, n);

    for (size_t i = 0; i < n; i += step) {
        struct encoder_product out = {.linear = l->linears[LINEAR_OUT],
                                      .columns = l->columns[LINEAR_OUT],
                                      .x = s->attended + i * hidden,
                                      .n_rows = n - i < step ? n - i : step,
                                      .y = x + i * hidden,
                                      .residual = x + i * hidden};

        encoder_multiply(e, &out, s);
    }
}

/* x = LN(x);  x = x + W_2 act(W_1 x + b_1) + b_2 */
static void feed_forward(const struct encoder *e, const struct encoder_layer *l, float *x, size_t n,
                         struct encoder_scratch *s)
{
    size_t step = rows_at_once(l, n);

    for (size_t i = 0; i < n; i += step) {
        float *rows = x + i * e->config.hidden;
        size_t n_rows = n - i < step ? n - i : step;
        struct q8_rows q8;
        struct encoder_product up = {.linear = l->linears[LINEAR_UP],
                                     .columns = l->columns[LINEAR_UP],
                                     .x = rows,
                                     .n_rows = n_rows,
                                     .y = s->hidden,
                                     .activation = e->config.activation};
        struct encoder_product down = {.linear = l->linears[LINEAR_DOWN],
                                       .columns = l->columns[LINEAR_DOWN],
                                       .x = s->hidden,
                                       .n_rows = n_rows,
                                       .y = rows,
                                       .residual = rows};

        normalize(e, &l->attention_norm, rows, n_rows, &up, s, &q8);
        encoder_multiply(e, &up, s);
        encoder_multiply(e, &down, s);
    }
}

/* x = LN(x), and q, k, v of the next layer to next_qkv, unless that is NULL. */
static void finish_layer(const struct encoder *e, const struct encoder_layer *l, float *x, size_t n,
                         float *next_qkv, struct encoder_scratch *s)
{
    const struct encoder_layer *next = next_qkv ? l + 1 : NULL;
    size_t hidden = e->config.hidden;
    size_t step = rows_at_once(l, n);

    for (size_t i = 0; i < n; i += step) {
        struct q8_rows q8;
        struct encoder_product qkv = {.linear = next ? next->linears[LINEAR_QKV] : NULL,
                                      .columns = next ? next->columns[LINEAR_QKV] : NULL,
                                      .x = x + i * hidden,
                                      .n_rows = n - i < step ? n - i : step,
                                      .y = next ? next_qkv + i * 3 * hidden : NULL};

        normalize(e, &l->output_norm, x + i * hidden, qkv.n_rows, &qkv, s, &q8);
        if (next)
            encoder_multiply(e, &qkv, s);
    }
}

/* From what attention gave to the layer's output, and the next layer's q, k, v:
 *     x = LN(x + W_o attended + b_o);  x = LN(x + W_2 act(W_1 x + b_1) + b_2) */
static void after_attention(const struct encoder *e, size_t layer, float *x, size_t n,
                            float *next_qkv, struct encoder_scratch *s)
{
    const struct encoder_layer *l = &e->layers[layer];

    project_attended(e, l, x, n, s);
    feed_forward(e, l, x, n, s);
    finish_layer(e, l, x, n, next_qkv, s);
}

static void attend(const struct encoder_rows_state *state, const struct encoder_sequence *sequence,
                   size_t first_query, size_t n_queries, float *out, struct encoder_scratch *s)
{
    size_t hidden = state->e->config.hidden;

    attention_forward(state->e->kernels, &state->e->attention,
                      state->qkv + sequence->first_row * 3 * hidden, 3 * hidden,
                      sequence->input->n_tokens, first_query, n_queries, out, hidden, s->attention);
}

void encoder_first_rows(const struct encoder_rows_state *state, size_t first, size_t end,
                        struct encoder_scratch *s)
{
    const struct encoder *e = state->e;
    size_t hidden = e->config.hidden;
    struct encoder_product qkv = {.linear = e->layers[0].linears[LINEAR_QKV],
                                  .columns = e->layers[0].columns[LINEAR_QKV],
                                  .x = state->x + first * hidden,
                                  .n_rows = end - first,
                                  .y = state->qkv + first * 3 * hidden};

    encoder_embed_rows(state, first, end, s);
    encoder_multiply(e, &qkv, s);
}

void encoder_layer_rows(const struct encoder_rows_state *state, size_t layer, size_t first,
                        size_t end, float *next_qkv, struct encoder_scratch *s)
{
    const struct encoder *e = state->e;
    size_t hidden = e->config.hidden;
    bool last = layer + 1 == e->config.n_layers;

    for (size_t i = 0; i < state->n_sequences; i++) {
        const struct encoder_sequence *sequence = &state->sequences[i];
        size_t begin = max_size(first, sequence->first_row);
        size_t stop = sequence->first_row + sequence->input->n_tokens;

        if (stop > end)
            stop = end;
        if (begin < stop)
            attend(state, sequence, begin - sequence->first_row, stop - begin,
                   s->attended + (begin - first) * hidden, s);
    }
    after_attention(e, layer, state->x + first * hidden, end - first,
                    last ? NULL : next_qkv + first * 3 * hidden, s);
}

void encoder_last_layer_first_tokens(const struct encoder_rows_state *state, size_t first,
                                     size_t end, struct encoder_scratch *s)
{
    const struct encoder *e = state->e;
    size_t hidden = e->config.hidden;

    for (size_t i = first; i < end; i++) {
        const struct encoder_sequence *sequence = &state->sequences[i];

        attend(state, sequence, 0, 1, s->attended + (i - first) * hidden, s);
        memcpy(s->first + (i - first) * hidden, state->x + sequence->first_row * hidden,
               hidden * sizeof(float));
    }
    after_attention(e, e->config.n_layers - 1, s->first, end - first, NULL, s);
}
