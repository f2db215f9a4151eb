/* One call: rows are cut into slices of at most DECODER_SLICE_ROWS; a slice goes through all layers
 * as a list of steps. With a cancel flag or somebody who may compute in between, the list runs in
 * parts of about RUN_NS, so that nobody waits long; else in one. */
#define _GNU_SOURCE
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "nn/decoder_internal.h"

#define LINE              64
/* Rows of the embedding table read before its pages are let go: each may take 64 KiB of this
 * process's memory, since the system maps what lies around a page as well. */
#define EMBEDDED_ROWS_MAX 64
#define RUN_NS            10000000 /* of a part of the steps: what starting one costs, 50 us, is nothing */

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- memory ---- */

/* Room for n bytes at *at, which goes on; NULL while only the size is asked for. */
static void *room(unsigned char *memory, size_t *at, size_t n)
{
    size_t begin = *at;

    *at += (n + LINE - 1) / LINE * LINE;
    return memory ? memory + begin : NULL;
}

static size_t linear_scratch(const struct decoder *d, size_t n)
{
    size_t most = block_linear_scratch_bytes(d->head, n, DECODER_RANGE_MAX);

    for (size_t i = 0; i < d->config->n_layers; i++)
        for (size_t k = 0; k < DECODER_LINEARS; k++)
            most = max_size(
                most, block_linear_scratch_bytes(d->layers[i].linears[k], n, DECODER_RANGE_MAX));
    return most;
}

static size_t attention_scratch(const struct decoder *d)
{
    return max_size(kv_attention_scratch_bytes(d->kernels, &d->shape, DECODER_QUERY_ITEM),
                    kv_attention_scratch_bytes(d->kernels, &d->shape_local, DECODER_QUERY_ITEM));
}

static void lay_out_lanes(const struct decoder *d, struct decoder_scratch *m, unsigned char *memory,
                          size_t *at)
{
    size_t hidden = d->config->hidden;
    size_t n_linear = linear_scratch(d, m->rows_max);
    size_t n_attention = attention_scratch(d);

    m->lanes = room(memory, at, d->n_threads * sizeof *m->lanes);
    for (size_t i = 0; i < d->n_threads; i++) {
        struct decoder_lane lane;

        lane.rows = room(memory, at, DECODER_ROW_ITEM * hidden * sizeof(float));
        for (size_t k = 0; k < 2; k++)
            lane.outputs[k] = room(memory, at, m->rows_max * DECODER_RANGE_MAX * sizeof(float));
        lane.linear = room(memory, at, n_linear);
        lane.attention = room(memory, at, n_attention);
        if (memory)
            m->lanes[i] = lane;
    }
}

/* Where everything is for m->rows_max rows; the bytes of all. Limits of base/bounds.h keep the sum
 * far below SIZE_MAX. */
static size_t lay_out(const struct decoder *d, struct decoder_scratch *m, unsigned char *memory)
{
    const struct decoder_config *c = d->config;
    size_t n = m->rows_max;
    size_t q_width = c->n_heads * c->head_dim;
    size_t kv_width = c->n_kv_heads * c->head_dim;
    size_t widest = max_size(max_size(c->hidden, q_width), c->intermediate);
    unsigned char *quantized;
    size_t at = 0;

    m->ids = room(memory, &at, n * sizeof *m->ids);
    m->logits = room(memory, &at, n * sizeof *m->logits);
    m->segments = room(memory, &at, n * sizeof *m->segments);
    m->steps = room(memory, &at,
                    (c->n_layers * DECODER_LAYER_STEPS + DECODER_OTHER_STEPS) * sizeof *m->steps);
    m->layer_ends = room(memory, &at, c->n_layers * sizeof *m->layer_ends);
    m->x = room(memory, &at, n * c->hidden * sizeof(float));
    m->branch = room(memory, &at, c->post_norms ? n * c->hidden * sizeof(float) : 0);
    m->normed = room(memory, &at, d->fp32 ? n * c->hidden * sizeof(float) : 0);
    m->qkv = room(memory, &at, n * (q_width + 2 * kv_width) * sizeof(float));
    m->attended = room(memory, &at, n * q_width * sizeof(float));
    m->gated = room(memory, &at, n * c->intermediate * sizeof(float));
    m->rope = room(memory, &at, n * c->head_dim * sizeof(float));
    m->rope_local = room(memory, &at, c->sliding_window > 0 ? n * c->head_dim * sizeof(float) : 0);
    quantized = room(memory, &at, d->fp32 ? 0 : block_rows_bytes(d->kernels, n, widest));
    if (quantized && !d->fp32) {
        m->hidden8 = block_rows_in(d->kernels, quantized, n, c->hidden);
        m->attended8 = block_rows_in(d->kernels, quantized, n, q_width);
        m->gated8 = block_rows_in(d->kernels, quantized, n, c->intermediate);
    }
    lay_out_lanes(d, m, memory, &at);
    return at;
}

enum rag_status decoder_scratch_need(struct decoder *d, size_t n_rows, struct rag_error *reterr)
{
    struct decoder_scratch *m = NULL;
    size_t n_bytes;

    if (d->scratch && n_rows <= d->scratch->rows_max)
        return RAG_OK;
    decoder_scratch_free(d->scratch);
    d->scratch = NULL;
    m = calloc(1, sizeof *m);
    if (!m)
        return rag_fail(reterr, RAG_ENOMEM, "model: out of memory");
    m->rows_max = max_size(n_rows, DECODER_SMALL_ROWS);
    n_bytes = lay_out(d, m, NULL);
    m->memory = aligned_alloc(LINE, n_bytes);
    if (!m->memory) {
        free(m);
        return rag_fail(reterr, RAG_ENOMEM, "model: no memory for %zu bytes to compute %zu rows",
                        n_bytes, n_rows);
    }
    lay_out(d, m, m->memory);
    d->scratch = m; /* ownership to the decoder */
    return RAG_OK;
}

void decoder_scratch_free(struct decoder_scratch *m)
{
    if (!m)
        return;
    free(m->memory);
    free(m);
}

/* ---- the steps of a slice ---- */

/* Outputs of an item. Few rows: the weights are what takes time, and enough items keep all threads
 * busy to the end; many rows: as much as a core's L2 takes together with them. */
static size_t range_width(const struct decoder *d, size_t n_out, size_t n_rows)
{
    size_t width = DECODER_RANGE_MAX / 2;

    if (n_rows < DECODER_NARROW_ROWS)
        width = min_size(n_out / (8 * d->n_threads), DECODER_RANGE_MAX);
    width = width / BLOCK_LINEAR_STRIP * BLOCK_LINEAR_STRIP;
    return max_size(width, BLOCK_LINEAR_STRIP);
}

static void add_step(struct decoder_slice *s, enum decoder_step_kind kind, size_t layer,
                     size_t n_rows)
{
    const struct decoder_config *c = s->d->config;
    struct decoder_step *step = &s->scratch->steps[s->n_steps];
    size_t n_out = c->hidden;

    if (n_rows == 0)
        return;
    if (kind == STEP_HEAD)
        n_out = c->vocab_size;
    if (kind == STEP_GATED)
        n_out = c->intermediate;
    step->kind = kind;
    step->layer = layer;
    step->n_rows = n_rows;
    step->width = range_width(s->d, n_out, n_rows);
    step->n_items = decoder_step_items(s, step);
    atomic_store(&step->next, 0);
    s->n_steps++;
}

static void plan_layer(struct decoder_slice *s, size_t layer)
{
    bool last = layer + 1 == s->d->config->n_layers;
    size_t n = last ? s->n_kept : s->n_rows; /* from attention on */
    size_t quantized = s->d->fp32 ? 0 : n;

    add_step(s, STEP_NORM_ATTENTION, layer, s->n_rows);
    add_step(s, STEP_QKV, layer, s->n_rows);
    if (!s->small)
        add_step(s, STEP_STORE, layer, s->n_rows);
    add_step(s, STEP_ATTEND, layer, s->small ? s->n_rows : n);
    add_step(s, STEP_QUANTIZE_ATTENDED, layer, quantized);
    add_step(s, STEP_OUT, layer, n);
    add_step(s, STEP_NORM_FEED_FORWARD, layer, n);
    add_step(s, STEP_GATED, layer, n);
    add_step(s, STEP_QUANTIZE_GATED, layer, quantized);
    add_step(s, STEP_DOWN, layer, n);
    s->scratch->layer_ends[layer] = s->n_steps;
}

static void plan_steps(struct decoder_slice *s)
{
    size_t n_layers = s->d->config->n_layers;

    s->n_steps = 0;
    add_step(s, STEP_EMBED, 0, s->n_rows);
    for (size_t layer = 0; layer < n_layers; layer++)
        plan_layer(s, layer);
    add_step(s, STEP_NORM_LAST, n_layers - 1, s->n_kept);
    add_step(s, STEP_HEAD, n_layers - 1, s->n_kept);
    s->scratch->layer_ends[n_layers - 1] = s->n_steps;
}

/* Steps first .. end - 1; *ret_ns grows by the time that they took. */
static void run_steps(struct decoder_slice *s, size_t first, size_t end, int64_t *ret_ns)
{
    int64_t begin = clock_monotonic_ns();

    s->first_step = first;
    compute_pool_run_steps(s->d->pool, end - first, s->d->n_threads, decoder_step_work, s);
    *ret_ns += clock_monotonic_ns() - begin;
}

/* Others' turn, and whether to go on. */
static enum rag_status pause_run(const struct decoder_run_options *options, size_t layer,
                                 struct rag_error *reterr)
{
    if (options->between_layers && layer > 0)
        options->between_layers(options->context);
    if (options->cancel && atomic_load(options->cancel))
        return rag_fail(reterr, RAG_ECANCELLED, "model: cancelled in layer %zu", layer + 1);
    return RAG_OK;
}

/* With pauses: as many layers at once as take RUN_NS; where one takes longer, step by step. */
static enum rag_status run_with_pauses(struct decoder_slice *s,
                                       const struct decoder_run_options *options,
                                       struct rag_error *reterr)
{
    size_t n_layers = s->d->config->n_layers;
    bool by_steps = s->n_rows >= DECODER_NARROW_ROWS;
    enum rag_status status = RAG_OK;
    size_t n_together = 1;
    size_t first = 0;

    for (size_t layer = 0; layer < n_layers && status == RAG_OK;) {
        size_t next = min_size(layer + n_together, n_layers);
        size_t end = s->scratch->layer_ends[next - 1];
        int64_t ns = 0;

        while (first < end && status == RAG_OK) {
            size_t stop = by_steps ? first + 1 : end;

            status = pause_run(options, layer, reterr);
            if (status == RAG_OK)
                run_steps(s, first, stop, &ns);
            first = stop;
        }
        n_together = max_size(1, (size_t)(RUN_NS * (int64_t)(next - layer) / (ns + 1)));
        by_steps = ns / (int64_t)(next - layer) > RUN_NS;
        layer = next;
    }
    return status;
}

static enum rag_status run_slice(struct decoder_slice *s, const struct decoder_run_options *options,
                                 struct rag_error *reterr)
{
    int64_t ns = 0;

    plan_steps(s);
    if (options && (options->cancel || options->between_layers))
        return run_with_pauses(s, options, reterr);
    run_steps(s, 0, s->n_steps, &ns);
    return RAG_OK;
}

/* ---- slices of a call ---- */

/* Where in the inputs the next row is. */
struct cursor {
    size_t input;
    size_t token;
};

/* Take up to n_rows rows of the inputs from *at on. */
static void fill_slice(struct decoder_slice *s, const struct decoder_input *inputs, size_t n_rows,
                       struct cursor *at)
{
    const struct decoder_scratch *m = s->scratch;
    size_t vocab = s->d->config->vocab_size;

    s->small = true;
    while (s->n_rows < n_rows) {
        const struct decoder_input *in = &inputs[at->input];
        size_t n = min_size(in->n - at->token, n_rows - s->n_rows);
        size_t first_wanted = in->n - in->n_logits;
        size_t end = at->token + n;
        struct decoder_segment *g = &m->segments[s->n_segments++];

        *g = (struct decoder_segment){
            .sequence = in->sequence,
            .first_row = s->n_rows,
            .n_rows = n,
            .first_position = kv_sequence_length(in->sequence) + at->token,
            .first_kept = s->n_kept,
            .n_kept = end > first_wanted ? min_size(end - first_wanted, n) : 0,
        };
        memcpy(m->ids + s->n_rows, in->ids + at->token, n * sizeof *in->ids);
        for (size_t i = end - g->n_kept; i < end; i++)
            m->logits[s->n_kept++] = in->ret_logits + (i - first_wanted) * vocab;
        s->small = s->small && n <= DECODER_SMALL_ROWS;
        s->n_rows += n;
        at->token = end;
        if (at->token == in->n)
            *at = (struct cursor){at->input + 1, 0};
    }
}

/* Behind a run that gave no finite numbers: what was stored is replaced by zeros, since a NaN that
 * is multiplied by nothing stays one. */
static void clear_stored(const struct decoder *d, const struct decoder_input *in)
{
    const struct decoder_config *c = d->config;
    size_t width = c->n_kv_heads * c->head_dim;
    float *zeros = d->scratch->qkv; /* at least a row; used no more */

    memset(zeros, 0, width * sizeof *zeros);
    for (size_t layer = 0; layer < c->n_layers; layer++)
        kv_store(d->kernels, d->layers[layer].local ? &d->shape_local : &d->shape,
                 kv_sequence_pages(in->sequence, layer), kv_sequence_length(in->sequence), zeros,
                 zeros, 0, in->n, 0, c->n_kv_heads);
}

static enum rag_status run_slices(struct decoder *d, const struct decoder_input *inputs, size_t n,
                                  size_t n_rows, const struct decoder_run_options *options,
                                  struct rag_error *reterr)
{
    size_t n_slices = (n_rows + DECODER_SLICE_ROWS - 1) / DECODER_SLICE_ROWS;
    struct cursor at = {0};
    enum rag_status status = RAG_OK;
    size_t done = 0;

    for (size_t i = 0; i < n_slices && status == RAG_OK; i++) {
        struct decoder_slice s = {.d = d, .scratch = d->scratch};
        size_t end = n_rows * (i + 1) / n_slices;

        fill_slice(&s, inputs, end - done, &at);
        done = end;
        status = run_slice(&s, options, reterr);
        if (status == RAG_OK)
            status = model_tensors_intact(d->tensors, reterr); /* embeddings come from the file */
        if (status == RAG_OK && atomic_load(&s.not_finite)) {
            for (size_t k = 0; k < n; k++)
                clear_stored(d, &inputs[k]);
            status = rag_fail(reterr, RAG_ENUMERIC,
                              "model '%s': its numbers are not finite after %zu tokens",
                              model_tensors_path(d->tensors),
                              kv_sequence_length(inputs[0].sequence) + inputs[0].n);
        }
    }
    return status;
}

static enum rag_status check_input(const struct decoder *d, const struct decoder_input *in,
                                   struct rag_error *reterr)
{
    const struct decoder_config *c = d->config;
    size_t length = kv_sequence_length(in->sequence);

    assert(in->n > 0 && in->n_logits <= in->n && (in->n_logits == 0 || in->ret_logits));
    for (size_t i = 0; i < in->n; i++)
        if (in->ids[i] >= c->vocab_size)
            return rag_fail(reterr, RAG_EINVAL, "model '%s': token id %u, but ids end at %zu",
                            model_tensors_path(d->tensors), in->ids[i], c->vocab_size - 1);
    if (length > c->context_max || in->n > c->context_max - length)
        return rag_fail(reterr, RAG_EINVAL,
                        "model '%s': %zu more tokens behind %zu, but its context has %zu",
                        model_tensors_path(d->tensors), in->n, length, c->context_max);
    return RAG_OK;
}

enum rag_status decoder_run(struct decoder *d, const struct decoder_input *inputs, size_t n,
                            const struct decoder_run_options *options, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    size_t n_rows = 0;

    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        status = check_input(d, &inputs[i], reterr);
        n_rows += inputs[i].n;
        if (status == RAG_OK && n_rows > DECODER_RUN_TOKENS_MAX)
            status = rag_fail(reterr, RAG_ELIMIT, "model: over %u tokens in one call",
                              DECODER_RUN_TOKENS_MAX);
    }
    if (status == RAG_OK && n_rows > 0)
        status = decoder_scratch_need(d, min_size(n_rows, DECODER_SLICE_ROWS), reterr);
    if (status != RAG_OK || n_rows == 0)
        return status;
    for (size_t i = 0; i < n && status == RAG_OK; i++)
        status = kv_sequence_reserve(inputs[i].sequence, inputs[i].n, reterr);
    if (status == RAG_OK)
        status = run_slices(d, inputs, n, n_rows, options, reterr);
    for (size_t i = 0; i < n; i++) {
        if (status == RAG_OK)
            kv_sequence_commit(inputs[i].sequence, inputs[i].ids, inputs[i].n);
        else
            kv_sequence_truncate(inputs[i].sequence, kv_sequence_length(inputs[i].sequence));
    }
    d->n_embedded += n_rows;
    if (d->n_embedded >= EMBEDDED_ROWS_MAX) {
        model_tensors_forget(d->tensors, &d->embedding);
        d->n_embedded = 0;
    }
    return status;
}
