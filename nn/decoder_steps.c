/* One layer on the rows of a slice:
 *
 *     NORM_ATTENTION     by rows      n = rms_norm(x), quantised
 *     QKV                by outputs   q, k, v = W n (+ b)
 *     STORE              by kv head and positions: norm and rotate q and k, k and v into the pages
 *     ATTEND             by kv head and queries
 *     QUANTIZE_ATTENDED  by rows
 *     OUT                by outputs   x += W_o a      (or a branch, which is normed, then added)
 *     NORM_FEED_FORWARD  by rows      m = rms_norm(x), quantised
 *     GATED              by outputs   g = act(W_gate m) * W_up m
 *     QUANTIZE_GATED     by rows
 *     DOWN               by outputs   x += W_down g   (or a branch)
 *
 * Each item writes what no other item of its step reads. A number depends on its row (and the keys
 * before it) alone: neither on what shares the slice, nor on how steps are cut into items, nor on
 * who computes them. */
#define _GNU_SOURCE
#include <float.h>
#include <math.h>
#include <string.h>

#include "nn/decoder_internal.h"
#include "nn/decoder_rows.h"

static size_t ceil_div(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool is_last(const struct decoder *d, size_t layer)
{
    return layer + 1 == d->config->n_layers;
}

static size_t qkv_width(const struct decoder_config *c)
{
    return (c->n_heads + 2 * c->n_kv_heads) * c->head_dim;
}

static bool all_finite(const float *x, size_t n)
{
    bool good = true;

    for (size_t i = 0; i < n; i++)
        good &= fabsf(x[i]) <= FLT_MAX;
    return good;
}

/* ---- rows ---- */

static void embed_rows(const struct decoder_slice *s, size_t first, size_t n)
{
    const struct decoder_scratch *m = s->scratch;
    const struct decoder_config *c = s->d->config;

    for (size_t i = first; i < first + n; i++) {
        float *x = m->x + i * c->hidden;

        matrix_read_row(&s->d->embedding, m->ids[i], x);
        for (size_t j = 0; c->embedding_scale != 1.0f && j < c->hidden; j++)
            x[j] *= c->embedding_scale;
    }
    for (size_t k = 0; k < s->n_segments; k++) {
        const struct decoder_segment *g = &m->segments[k];

        for (size_t i = 0; i < g->n_rows; i++) {
            size_t row = g->first_row + i;

            if (row < first || row >= first + n)
                continue;
            rope_angles(g->first_position + i, c->head_dim, c->rope_theta, c->rope_divisors,
                        m->rope + row * c->head_dim);
            if (c->sliding_window > 0)
                rope_angles(g->first_position + i, c->head_dim, c->rope_theta_local, NULL,
                            m->rope_local + row * c->head_dim);
        }
    }
}

/* x = x + rms_norm(branch) */
static void add_branch(const struct decoder_slice *s, const float *norm, size_t first, size_t n,
                       struct decoder_lane *lane)
{
    const struct decoder_config *c = s->d->config;
    float *x = s->scratch->x + first * c->hidden;

    row_rms_norm(s->d->kernels, norm, c->hidden, c->norm_epsilon,
                 s->scratch->branch + first * c->hidden, c->hidden, n, lane->rows, c->hidden);
    for (size_t i = 0; i < n * c->hidden; i++)
        x[i] += lane->rows[i];
}

static void norm_rows(const struct decoder_slice *s, const float *norm, size_t first, size_t n,
                      struct decoder_lane *lane)
{
    const struct decoder_config *c = s->d->config;
    const float *x = s->scratch->x + first * c->hidden;
    float *y = s->d->fp32 ? s->scratch->normed + first * c->hidden : lane->rows;
    struct block_rows rows;

    row_rms_norm(s->d->kernels, norm, c->hidden, c->norm_epsilon, x, c->hidden, n, y, c->hidden);
    if (s->d->fp32)
        return;
    rows = block_rows_from(&s->scratch->hidden8, first);
    block_rows_quantize(s->d->kernels, y, c->hidden, n, &rows);
}

/* What is left to be added by the layer before, and the norm of this one. */
static void norm_attention(struct decoder_slice *s, size_t layer, size_t first, size_t n,
                           struct decoder_lane *lane)
{
    const struct decoder *d = s->d;

    if (d->config->post_norms && layer > 0)
        add_branch(s, d->layers[layer - 1].norms[DECODER_NORM_FEED_FORWARD_OUT], first, n, lane);
    if (is_last(d, layer) &&
        !all_finite(s->scratch->x + first * d->config->hidden, n * d->config->hidden))
        atomic_store(&s->not_finite, true);
    norm_rows(s, d->layers[layer].norms[DECODER_NORM_ATTENTION], first, n, lane);
}

static void norm_feed_forward(const struct decoder_slice *s, size_t layer, size_t first, size_t n,
                              struct decoder_lane *lane)
{
    const struct decoder_layer *l = &s->d->layers[layer];

    if (s->d->config->post_norms)
        add_branch(s, l->norms[DECODER_NORM_ATTENTION_OUT], first, n, lane);
    norm_rows(s, l->norms[DECODER_NORM_FEED_FORWARD], first, n, lane);
}

static void norm_last(const struct decoder_slice *s, size_t layer, size_t first, size_t n,
                      struct decoder_lane *lane)
{
    if (s->d->config->post_norms)
        add_branch(s, s->d->layers[layer].norms[DECODER_NORM_FEED_FORWARD_OUT], first, n, lane);
    norm_rows(s, s->d->norm, first, n, lane);
}

static void quantize_rows(const struct decoder_slice *s, const float *x,
                          const struct block_rows *to, size_t first, size_t n)
{
    struct block_rows rows = block_rows_from(to, first);

    block_rows_quantize(s->d->kernels, x + first * to->width, to->width, n, &rows);
}

static void row_item(struct decoder_slice *s, const struct decoder_step *step, size_t item,
                     struct decoder_lane *lane)
{
    size_t first = item * DECODER_ROW_ITEM;
    size_t n = min_size(step->n_rows - first, DECODER_ROW_ITEM);

    switch (step->kind) {
    case STEP_EMBED:
        embed_rows(s, first, n);
        break;
    case STEP_NORM_ATTENTION:
        norm_attention(s, step->layer, first, n, lane);
        break;
    case STEP_QUANTIZE_ATTENDED:
        quantize_rows(s, s->scratch->attended, &s->scratch->attended8, first, n);
        break;
    case STEP_NORM_FEED_FORWARD:
        norm_feed_forward(s, step->layer, first, n, lane);
        break;
    case STEP_QUANTIZE_GATED:
        quantize_rows(s, s->scratch->gated, &s->scratch->gated8, first, n);
        break;
    default:
        norm_last(s, step->layer, first, n, lane);
        break;
    }
}

/* ---- ranges of outputs ---- */

/* The item-th range of 'width' outputs of l, which it cuts at the end. */
struct range {
    size_t first;
    size_t n;
};

static struct range range_of(const struct block_linear *l, size_t width, size_t item)
{
    size_t first = item * width;

    return (struct range){first, min_size(block_linear_n_out(l) - first, width)};
}

/* y [n_rows, range] = the range's outputs of the rows that l reads: x in fp32, else rows. */
static void multiply(const struct decoder_slice *s, const struct block_linear *l,
                     const struct block_rows *rows, const float *x, size_t n_rows,
                     struct range range, float *y, size_t y_stride, const struct decoder_lane *lane)
{
    const struct block_linear_input in = {
        .rows = s->d->fp32 ? NULL : rows,
        .f32 = s->d->fp32 ? x : NULL,
        .f32_stride = block_linear_n_in(l),
    };

    block_linear_forward(l, &in, n_rows, range.first, range.n, y, y_stride, lane->linear);
}

static size_t qkv_items(const struct decoder_layer *l, size_t width, bool with_q)
{
    return ceil_div(block_linear_n_out(l->linears[DECODER_K]), width) +
           ceil_div(block_linear_n_out(l->linears[DECODER_V]), width) +
           (with_q ? ceil_div(block_linear_n_out(l->linears[DECODER_Q]), width) : 0);
}

/* k first, then v, then q: what nobody's logits need is q. */
static void qkv_item(const struct decoder_slice *s, const struct decoder_step *step, size_t item,
                     struct decoder_lane *lane)
{
    static const enum decoder_linear order[] = {DECODER_K, DECODER_V, DECODER_Q};
    const struct decoder_config *c = s->d->config;
    const size_t columns[] = {c->n_heads * c->head_dim, (c->n_heads + c->n_kv_heads) * c->head_dim,
                              0};
    const struct decoder_layer *l = &s->d->layers[step->layer];

    for (size_t i = 0; i < 3; i++) {
        const struct block_linear *linear = l->linears[order[i]];
        size_t n = ceil_div(block_linear_n_out(linear), step->width);
        struct range range;

        if (item >= n) {
            item -= n;
            continue;
        }
        range = range_of(linear, step->width, item);
        multiply(s, linear, &s->scratch->hidden8, s->scratch->normed, step->n_rows, range,
                 s->scratch->qkv + columns[i] + range.first, qkv_width(c), lane);
        return;
    }
}

/* x += y, or branch = y, in the columns of the range. */
static void add_item(const struct decoder_slice *s, const struct decoder_step *step, size_t item,
                     struct decoder_lane *lane)
{
    const struct decoder_layer *l = &s->d->layers[step->layer];
    const struct decoder_config *c = s->d->config;
    const struct decoder_scratch *m = s->scratch;
    bool out = step->kind == STEP_OUT;
    const struct block_linear *linear = l->linears[out ? DECODER_O : DECODER_DOWN];
    struct range range = range_of(linear, step->width, item);
    const struct block_rows *rows = out ? &m->attended8 : &m->gated8;
    const float *x = out ? m->attended : m->gated;
    float *y = lane->outputs[0];

    if (c->post_norms) {
        multiply(s, linear, rows, x, step->n_rows, range, m->branch + range.first, c->hidden, lane);
        return;
    }
    multiply(s, linear, rows, x, step->n_rows, range, y, range.n, lane);
    for (size_t i = 0; i < step->n_rows; i++) {
        float *to = m->x + i * c->hidden + range.first;

        for (size_t j = 0; j < range.n; j++)
            to[j] += y[i * range.n + j];
    }
}

static void gated_item(const struct decoder_slice *s, const struct decoder_step *step, size_t item,
                       struct decoder_lane *lane)
{
    const struct decoder_layer *l = &s->d->layers[step->layer];
    const struct decoder_config *c = s->d->config;
    const struct decoder_scratch *m = s->scratch;
    struct range range = range_of(l->linears[DECODER_GATE], step->width, item);
    float *gate = lane->outputs[0];
    float *up = lane->outputs[1];

    multiply(s, l->linears[DECODER_GATE], &m->hidden8, m->normed, step->n_rows, range, gate,
             range.n, lane);
    multiply(s, l->linears[DECODER_UP], &m->hidden8, m->normed, step->n_rows, range, up, range.n,
             lane);
    for (size_t i = 0; i < step->n_rows; i++)
        row_gated(s->d->kernels, c->gelu, gate + i * range.n, up + i * range.n, range.n,
                  m->gated + i * c->intermediate + range.first);
}

static void head_item(struct decoder_slice *s, const struct decoder_step *step, size_t item,
                      struct decoder_lane *lane)
{
    const struct decoder_scratch *m = s->scratch;
    struct range range = range_of(s->d->head, step->width, item);
    float *y = lane->outputs[0];

    multiply(s, s->d->head, &m->hidden8, m->normed, step->n_rows, range, y, range.n, lane);
    if (!all_finite(y, step->n_rows * range.n))
        atomic_store(&s->not_finite, true);
    for (size_t i = 0; i < step->n_rows; i++)
        memcpy(m->logits[i] + range.first, y + i * range.n, range.n * sizeof *y);
}

/* ---- heads ---- */

/* Norm and rotation of n heads of one row. */
static void turn_heads(const struct decoder_slice *s, const struct decoder_layer *l,
                       const float *norm, size_t row, size_t n, float *x)
{
    const struct decoder_config *c = s->d->config;
    const float *angles = (l->local ? s->scratch->rope_local : s->scratch->rope);

    if (norm)
        row_rms_norm(s->d->kernels, norm, c->head_dim, c->norm_epsilon, x, c->head_dim, n, x,
                     c->head_dim);
    row_rope(s->d->kernels, angles + row * c->head_dim, c->head_dim, c->rope_interleaved, n, x);
}

/* Rows first .. first + n - 1 of the segment: q and k of a kv head turned, k and v stored. */
static void store_head(const struct decoder_slice *s, size_t layer, const struct decoder_segment *g,
                       size_t first, size_t n, size_t kv_head)
{
    const struct decoder_config *c = s->d->config;
    const struct decoder_layer *l = &s->d->layers[layer];
    size_t group = c->n_heads / c->n_kv_heads;
    size_t width = qkv_width(c);
    float *q = s->scratch->qkv + (g->first_row + first) * width;
    float *k = q + c->n_heads * c->head_dim;
    float *v = k + c->n_kv_heads * c->head_dim;

    for (size_t i = 0; i < n; i++) {
        size_t row = g->first_row + first + i;

        turn_heads(s, l, l->norms[DECODER_NORM_Q], row, group,
                   q + i * width + kv_head * group * c->head_dim);
        turn_heads(s, l, l->norms[DECODER_NORM_K], row, 1, k + i * width + kv_head * c->head_dim);
    }
    kv_store(s->d->kernels, l->local ? &s->d->shape_local : &s->d->shape,
             kv_sequence_pages(g->sequence, layer), g->first_position + first, k, v, width, n,
             kv_head, 1);
}

/* Pieces of a segment that end where positions are multiples of DECODER_STORE_ITEM, so that no two
 * threads write into one page. */
static size_t store_pieces(const struct decoder_segment *g)
{
    return ceil_div(g->first_position % DECODER_STORE_ITEM + g->n_rows, DECODER_STORE_ITEM);
}

static void store_item(const struct decoder_slice *s, const struct decoder_step *step, size_t item)
{
    size_t n_kv = s->d->config->n_kv_heads;
    const struct decoder_segment *g = s->scratch->segments;
    size_t piece = item / n_kv;
    size_t skew;
    size_t first;
    size_t end;

    for (; piece >= store_pieces(g); g++)
        piece -= store_pieces(g);
    skew = g->first_position % DECODER_STORE_ITEM;
    first = piece == 0 ? 0 : piece * DECODER_STORE_ITEM - skew;
    end = min_size((piece + 1) * DECODER_STORE_ITEM - skew, g->n_rows);
    store_head(s, step->layer, g, first, end - first, item % n_kv);
}

/* Rows of a segment that attend in this layer: all, or in the last one those that are kept. */
static size_t attending(const struct decoder_slice *s, size_t layer,
                        const struct decoder_segment *g)
{
    return is_last(s->d, layer) ? g->n_kept : g->n_rows;
}

/* Queries first .. first + n - 1 of those of the segment that attend. */
static void attend_head(const struct decoder_slice *s, size_t layer,
                        const struct decoder_segment *g, size_t first, size_t n, size_t kv_head,
                        struct decoder_lane *lane)
{
    const struct decoder_config *c = s->d->config;
    bool local = s->d->layers[layer].local;
    size_t in_segment = g->n_rows - attending(s, layer, g) + first;
    size_t to = (is_last(s->d, layer) ? g->first_kept : g->first_row) + first;
    size_t width = qkv_width(c);
    size_t out_width = c->n_heads * c->head_dim;

    kv_attention(s->d->kernels, local ? &s->d->shape_local : &s->d->shape,
                 kv_sequence_pages(g->sequence, layer), g->first_position + in_segment,
                 s->scratch->qkv + (g->first_row + in_segment) * width, width, n, kv_head,
                 s->scratch->attended + to * out_width, out_width, lane->attention);
}

/* The states of the rows that are kept move to where they are kept. */
static void keep_states(const struct decoder_slice *s)
{
    size_t hidden = s->d->config->hidden;

    for (size_t i = 0; i < s->n_segments; i++) {
        const struct decoder_segment *g = &s->scratch->segments[i];
        size_t from = g->first_row + g->n_rows - g->n_kept;

        memmove(s->scratch->x + g->first_kept * hidden, s->scratch->x + from * hidden,
                g->n_kept * hidden * sizeof(float));
    }
}

static size_t attend_pieces(const struct decoder_slice *s, size_t layer,
                            const struct decoder_segment *g)
{
    return s->small ? 1 : ceil_div(attending(s, layer, g), DECODER_QUERY_ITEM);
}

/* In the last layer item 0 is keep_states(). The others go from the end, whose queries have the
 * most keys, to the beginning. */
static void attend_item(const struct decoder_slice *s, const struct decoder_step *step, size_t item,
                        struct decoder_lane *lane)
{
    size_t n_kv = s->d->config->n_kv_heads;
    const struct decoder_segment *g = s->scratch->segments;
    size_t layer = step->layer;
    size_t piece;
    size_t first;
    size_t n;

    if (is_last(s->d, layer) && item == 0) {
        keep_states(s);
        return;
    }
    item = step->n_items - 1 - item;
    for (piece = item / n_kv; piece >= attend_pieces(s, layer, g); g++)
        piece -= attend_pieces(s, layer, g);
    if (s->small)
        store_head(s, layer, g, 0, g->n_rows, item % n_kv);
    first = piece * DECODER_QUERY_ITEM;
    n = min_size(attending(s, layer, g) - first, DECODER_QUERY_ITEM);
    if (n > 0)
        attend_head(s, layer, g, first, n, item % n_kv, lane);
}

/* ---- steps ---- */

size_t decoder_step_items(const struct decoder_slice *s, const struct decoder_step *step)
{
    const struct decoder_config *c = s->d->config;
    size_t n = 0;

    switch (step->kind) {
    case STEP_QKV:
        return qkv_items(&s->d->layers[step->layer], step->width,
                         !is_last(s->d, step->layer) || s->n_kept > 0);
    case STEP_STORE:
        for (size_t i = 0; i < s->n_segments; i++)
            n += store_pieces(&s->scratch->segments[i]);
        return n * c->n_kv_heads;
    case STEP_ATTEND:
        for (size_t i = 0; i < s->n_segments; i++)
            n += attend_pieces(s, step->layer, &s->scratch->segments[i]);
        return n * c->n_kv_heads + is_last(s->d, step->layer);
    case STEP_OUT:
    case STEP_DOWN:
        return ceil_div(c->hidden, step->width);
    case STEP_GATED:
        return ceil_div(c->intermediate, step->width);
    case STEP_HEAD:
        return ceil_div(c->vocab_size, step->width);
    default:
        return ceil_div(step->n_rows, DECODER_ROW_ITEM);
    }
}

static void step_item(struct decoder_slice *s, const struct decoder_step *step, size_t item,
                      struct decoder_lane *lane)
{
    switch (step->kind) {
    case STEP_QKV:
        qkv_item(s, step, item, lane);
        break;
    case STEP_STORE:
        store_item(s, step, item);
        break;
    case STEP_ATTEND:
        attend_item(s, step, item, lane);
        break;
    case STEP_OUT:
    case STEP_DOWN:
        add_item(s, step, item, lane);
        break;
    case STEP_GATED:
        gated_item(s, step, item, lane);
        break;
    case STEP_HEAD:
        head_item(s, step, item, lane);
        break;
    default:
        row_item(s, step, item, lane);
        break;
    }
}

void decoder_step_work(void *slice, size_t step, size_t item, size_t thread)
{
    struct decoder_slice *s = slice;
    struct decoder_step *at = &s->scratch->steps[s->first_step + step];

    (void)item;
    for (;;) {
        size_t i = atomic_fetch_add_explicit(&at->next, 1, memory_order_relaxed);

        if (i >= at->n_items)
            return;
        step_item(s, at, i, &s->scratch->lanes[thread]);
    }
}
