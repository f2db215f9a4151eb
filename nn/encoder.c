/* Who computes what. The inputs of a call are cut into waves of at most ENCODER_WAVE_TOKENS. The
 * sequences of a wave are dealt out to jobs of about ENCODER_JOB_TOKENS rows, the longest first,
 * each to the job with the least to do; a thread takes a job through all layers in memory that
 * stays in its caches, and meets nobody until the end.
 *
 * That leaves threads idle when a wave is a few sequences (one question) or holds a very long one:
 * then its rows are shared, each thread takes some of them, and they wait for each other once a
 * layer. A row's result is the same in both ways, see encoder_forward.c. */
#define _GNU_SOURCE
#include "nn/encoder.h"

#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "nn/encoder_internal.h"

struct job {
    size_t first; /* of the wave's sequences in their planned order */
    size_t n;
    size_t n_rows;
    double cost;
};

struct thread_memory {
    struct encoder_scratch scratch;
    float *rows; /* x and qkv of a job: [rows_max, 4H] */
};

struct wave {
    const struct encoder *e;
    enum encoder_rows rows;
    const atomic_bool *cancel;
    float *ret_states;

    struct encoder_sequence *sequences; /* [n], job by job */
    uint32_t *positions;                /* [n_rows] */
    size_t n;
    size_t n_rows;
    size_t tokens_max; /* of one sequence */
    struct job *jobs;
    size_t n_jobs;
    bool shared;

    size_t n_threads;
    size_t rows_max; /* of a job or a block */
    struct thread_memory
        *memory; /* [n_threads], each allocated by its thread when it first works */

    /* shared rows alone */
    struct encoder_rows_state state;
    float *next_qkv;
    size_t layer;

    /* set by any thread, read by all */
    atomic_int failed; /* enum rag_status */
};

static bool stopped(struct wave *w)
{
    if (w->cancel && atomic_load_explicit(w->cancel, memory_order_relaxed))
        atomic_store(&w->failed, RAG_ECANCELLED);
    return atomic_load(&w->failed) != RAG_OK;
}

/* The exponent of infinities and NaN is all ones. */
static bool all_finite(const float *x, size_t n)
{
    uint32_t bad = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &x[i], sizeof bits);
        bad |= (bits & 0x7F800000u) == 0x7F800000u;
    }
    return bad == 0;
}

static void give_states(struct wave *w, const struct encoder_sequence *sequence, const float *rows,
                        size_t n_rows)
{
    size_t hidden = w->e->config.hidden;

    if (!all_finite(rows, n_rows * hidden))
        atomic_store(&w->failed, RAG_ENUMERIC);
    memcpy(w->ret_states + sequence->ret_row * hidden, rows, n_rows * hidden * sizeof(float));
}

static struct thread_memory *memory_of(struct wave *w, size_t thread)
{
    struct thread_memory *m = &w->memory[thread];

    if (m->scratch.memory)
        return m;
    if (!w->shared) {
        m->rows = aligned_alloc(64, (w->rows_max * 4 * w->e->config.hidden * sizeof(float) + 63) /
                                        64 * 64);
        if (!m->rows)
            goto failed;
    }
    if (encoder_scratch_init(w->e, w->rows_max, w->tokens_max, &m->scratch) == RAG_OK)
        return m;
failed:
    atomic_store(&w->failed, RAG_ENOMEM);
    return NULL;
}

/* ---- a job for one thread ---- */

static void give_job(struct wave *w, const struct encoder_rows_state *state,
                     const struct encoder_scratch *s)
{
    size_t hidden = w->e->config.hidden;

    for (size_t i = 0; i < state->n_sequences; i++) {
        const struct encoder_sequence *sequence = &state->sequences[i];

        if (w->rows == ENCODER_FIRST_TOKEN)
            give_states(w, sequence, s->first + i * hidden, 1);
        else
            give_states(w, sequence, state->x + sequence->first_row * hidden,
                        sequence->input->n_tokens);
    }
}

static void run_job(void *context, size_t item, size_t thread)
{
    struct wave *w = context;
    const struct job *job = &w->jobs[item];
    const struct encoder *e = w->e;
    struct thread_memory *m = stopped(w) ? NULL : memory_of(w, thread);
    struct encoder_rows_state state = {.e = e,
                                       .sequences = w->sequences + job->first,
                                       .n_sequences = job->n,
                                       .n_rows = job->n_rows};
    size_t n_layers = e->config.n_layers;

    if (!m)
        return;
    state.x = m->rows;
    state.qkv = m->rows + w->rows_max * e->config.hidden;
    encoder_first_rows(&state, 0, job->n_rows, &m->scratch);
    for (size_t layer = 0; layer < n_layers; layer++) {
        if (stopped(w))
            return;
        if (layer + 1 == n_layers && w->rows == ENCODER_FIRST_TOKEN)
            encoder_last_layer_first_tokens(&state, 0, job->n, &m->scratch);
        else
            encoder_layer_rows(&state, layer, 0, job->n_rows, state.qkv, &m->scratch);
    }
    give_job(w, &state, &m->scratch);
}

/* ---- rows shared by all threads ---- */

static size_t block_end(const struct wave *w, size_t item, size_t n)
{
    size_t end = (item + 1) * w->rows_max;

    return end < n ? end : n;
}

static void run_first_block(void *context, size_t item, size_t thread)
{
    struct wave *w = context;
    struct thread_memory *m = stopped(w) ? NULL : memory_of(w, thread);

    if (m)
        encoder_first_rows(&w->state, item * w->rows_max, block_end(w, item, w->n_rows),
                           &m->scratch);
}

static void run_layer_block(void *context, size_t item, size_t thread)
{
    struct wave *w = context;
    struct thread_memory *m = stopped(w) ? NULL : memory_of(w, thread);

    if (m)
        encoder_layer_rows(&w->state, w->layer, item * w->rows_max, block_end(w, item, w->n_rows),
                           w->next_qkv, &m->scratch);
}

static void run_first_token_block(void *context, size_t item, size_t thread)
{
    struct wave *w = context;
    struct thread_memory *m = stopped(w) ? NULL : memory_of(w, thread);
    size_t first = item * w->rows_max;
    size_t end = block_end(w, item, w->n);

    if (!m)
        return;
    encoder_last_layer_first_tokens(&w->state, first, end, &m->scratch);
    for (size_t i = first; i < end; i++)
        give_states(w, &w->sequences[i], m->scratch.first + (i - first) * w->e->config.hidden, 1);
}

static void run_shared(struct wave *w)
{
    const struct encoder *e = w->e;
    size_t n_blocks = (w->n_rows + w->rows_max - 1) / w->rows_max;
    size_t row_floats = w->n_rows * e->config.hidden;
    float *memory = aligned_alloc(64, (row_floats * 7 * sizeof(float) + 63) / 64 * 64);

    if (!memory) {
        atomic_store(&w->failed, RAG_ENOMEM);
        return;
    }
    w->state = (struct encoder_rows_state){.e = e,
                                           .sequences = w->sequences,
                                           .n_sequences = w->n,
                                           .n_rows = w->n_rows,
                                           .x = memory,
                                           .qkv = memory + row_floats};
    w->next_qkv = memory + 4 * row_floats;
    compute_pool_run(e->pool, n_blocks, run_first_block, w);
    for (w->layer = 0; w->layer < e->config.n_layers && !stopped(w); w->layer++) {
        float *used = w->state.qkv;

        if (w->layer + 1 == e->config.n_layers && w->rows == ENCODER_FIRST_TOKEN) {
            compute_pool_run(e->pool, (w->n + w->rows_max - 1) / w->rows_max, run_first_token_block,
                             w);
            goto out;
        }
        compute_pool_run(e->pool, n_blocks, run_layer_block, w);
        w->state.qkv = w->next_qkv;
        w->next_qkv = used;
    }
    if (!stopped(w)) {
        for (size_t i = 0; i < w->n; i++)
            give_states(w, &w->sequences[i],
                        w->state.x + w->sequences[i].first_row * e->config.hidden,
                        w->sequences[i].input->n_tokens);
    }
out:
    free(memory);
}

/* ---- planning ---- */

/* Multiplications per token: 12 H^2 in the linear layers, 2 n H in attention; a unit of attention
 * takes about three times as long, since it is not in int8. */
static double cost_of(const struct encoder *e, size_t n_tokens)
{
    return (double)n_tokens * (2.0 * (double)e->config.hidden + (double)n_tokens);
}

static int compare_sequences(const void *a, const void *b)
{
    const struct encoder_sequence *x = a;
    const struct encoder_sequence *y = b;

    if (x->input->n_tokens != y->input->n_tokens)
        return x->input->n_tokens > y->input->n_tokens ? -1 : 1;
    return x->ret_row < y->ret_row ? -1 : 1;
}

static int compare_jobs(const void *a, const void *b)
{
    const struct job *x = a;
    const struct job *y = b;

    return x->cost > y->cost ? -1 : x->cost < y->cost;
}

/* Deal the sequences (longest first) to jobs; 'of' tells which job each went to. */
static void deal(struct wave *w, size_t *of)
{
    for (size_t i = 0; i < w->n; i++) {
        size_t n_tokens = w->sequences[i].input->n_tokens;
        size_t least = 0;

        for (size_t k = 1; k < w->n_jobs; k++) {
            if (w->jobs[k].cost < w->jobs[least].cost)
                least = k;
        }
        of[i] = least;
        w->jobs[least].n++;
        w->jobs[least].n_rows += n_tokens;
        w->jobs[least].cost += cost_of(w->e, n_tokens);
    }
}

/* The sequences in the order of their jobs, each with its row within its job. */
static void group(struct wave *w, const size_t *of, const struct encoder_sequence *sorted)
{
    size_t at = 0;

    for (size_t k = 0; k < w->n_jobs; k++) {
        w->jobs[k].first = at;
        at += w->jobs[k].n;
        w->jobs[k].n = 0;
        w->jobs[k].n_rows = 0;
    }
    for (size_t i = 0; i < w->n; i++) {
        struct job *job = &w->jobs[of[i]];
        struct encoder_sequence *s = &w->sequences[job->first + job->n++];

        *s = sorted[i];
        s->first_row = job->n_rows;
        job->n_rows += s->input->n_tokens;
    }
}

/* Would jobs leave threads waiting? The time of the busiest thread when each takes the next largest
 * job, against an even share. */
static bool jobs_are_uneven(const struct wave *w)
{
    double busy[COMPUTE_THREADS_MAX] = {0};
    double total = 0;
    double most = 0;

    for (size_t k = 0; k < w->n_jobs; k++) {
        size_t least = 0;

        for (size_t t = 1; t < w->n_threads; t++) {
            if (busy[t] < busy[least])
                least = t;
        }
        busy[least] += w->jobs[k].cost;
        total += w->jobs[k].cost;
    }
    for (size_t t = 0; t < w->n_threads; t++) {
        if (busy[t] > most)
            most = busy[t];
    }
    return most * (double)w->n_threads > 1.25 * total;
}

static void plan_shared(struct wave *w)
{
    size_t rows = (w->n_rows + w->n_threads - 1) / w->n_threads;
    size_t at = 0;

    rows = (rows + 15) / 16 * 16; /* kernels take 16 rows at once */
    if (rows < ENCODER_BLOCK_ROWS_MIN)
        rows = ENCODER_BLOCK_ROWS_MIN;
    w->rows_max = rows < ENCODER_JOB_TOKENS ? rows : ENCODER_JOB_TOKENS;
    for (size_t i = 0; i < w->n; i++) {
        w->sequences[i].first_row = at;
        at += w->sequences[i].input->n_tokens;
    }
}

static enum rag_status plan(struct wave *w)
{
    struct encoder_sequence *sorted = malloc(w->n * sizeof *sorted);
    size_t *of = malloc(w->n * sizeof *of);
    enum rag_status status = RAG_OK;

    w->n_jobs = (w->n_rows + ENCODER_JOB_TOKENS - 1) / ENCODER_JOB_TOKENS;
    w->n_jobs = (w->n_jobs + w->n_threads - 1) / w->n_threads * w->n_threads;
    if (w->n_jobs > w->n)
        w->n_jobs = w->n;
    w->jobs = calloc(w->n_jobs, sizeof *w->jobs);
    if (!sorted || !of || !w->jobs) {
        status = RAG_ENOMEM;
        goto out;
    }
    qsort(w->sequences, w->n, sizeof *w->sequences, compare_sequences);
    memcpy(sorted, w->sequences, w->n * sizeof *sorted);
    deal(w, of);
    group(w, of, sorted);
    qsort(w->jobs, w->n_jobs, sizeof *w->jobs, compare_jobs);
    w->tokens_max = sorted[0].input->n_tokens;
    for (size_t k = 0; k < w->n_jobs; k++) {
        if (w->jobs[k].n_rows > w->rows_max)
            w->rows_max = w->jobs[k].n_rows;
    }
    w->shared = w->rows_max > ENCODER_JOB_TOKENS_MAX ||
                (w->n_threads > 1 && w->n_rows > ENCODER_BLOCK_ROWS_MIN && jobs_are_uneven(w));
    if (w->shared)
        plan_shared(w);
out:
    free(sorted);
    free(of);
    return status;
}

/* ---- one wave ---- */

static void wave_release(struct wave *w)
{
    for (size_t t = 0; w->memory && t < w->n_threads; t++) {
        encoder_scratch_release(&w->memory[t].scratch);
        free(w->memory[t].rows);
    }
    free(w->memory);
    free(w->jobs);
    free(w->sequences);
    free(w->positions);
}

/* n inputs, whose first row of the result is ret_row. */
static enum rag_status run_wave(struct wave *w, const struct encoder_input *inputs, size_t ret_row)
{
    uint32_t *positions;
    enum rag_status status = RAG_ENOMEM;

    w->n_threads = w->e->pool ? compute_pool_threads(w->e->pool) : 1;
    w->sequences = calloc(w->n, sizeof *w->sequences);
    w->positions = calloc(w->n_rows, sizeof *w->positions);
    w->memory = calloc(w->n_threads, sizeof *w->memory);
    if (!w->sequences || !w->positions || !w->memory)
        goto out;
    positions = w->positions;
    for (size_t i = 0; i < w->n; i++) {
        encoder_positions(&w->e->config, &inputs[i], positions);
        w->sequences[i] = (struct encoder_sequence){
            .input = &inputs[i], .positions = positions, .ret_row = ret_row};
        positions += inputs[i].n_tokens;
        ret_row += w->rows == ENCODER_FIRST_TOKEN ? 1 : inputs[i].n_tokens;
    }
    status = plan(w);
    if (status != RAG_OK)
        goto out;
    if (w->shared)
        run_shared(w);
    else
        compute_pool_run(w->e->pool, w->n_jobs, run_job, w);
    status = (enum rag_status)atomic_load(&w->failed);
out:
    wave_release(w);
    return status;
}

/* ---- the public calls ---- */

static enum rag_status check_input(const struct encoder *e, const struct encoder_input *input,
                                   size_t i, struct rag_error *reterr)
{
    const struct model_config *c = &e->config;

    if (input->n_tokens == 0 || input->n_tokens > c->max_tokens)
        return rag_fail(reterr, RAG_EINVAL, "input %zu: %zu tokens, the model takes 1 to %zu", i,
                        input->n_tokens, c->max_tokens);
    for (size_t k = 0; k < input->n_tokens; k++) {
        if (input->ids[k] >= c->vocab_size)
            return rag_fail(reterr, RAG_EINVAL,
                            "input %zu: token %zu has id %u, the vocabulary has %zu", i, k,
                            input->ids[k], c->vocab_size);
        if (input->types && c->n_types > 0 && input->types[k] >= c->n_types)
            return rag_fail(reterr, RAG_EINVAL,
                            "input %zu: token %zu is of segment %u, the model has %zu", i, k,
                            input->types[k], c->n_types);
    }
    return RAG_OK;
}

enum rag_status encoder_check_inputs(const struct encoder *e, const struct encoder_input *inputs,
                                     size_t n, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    size_t n_tokens = 0;

    if (n > ENCODER_INPUTS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "%zu inputs in one call, the limit is %u", n,
                        ENCODER_INPUTS_MAX);
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        status = check_input(e, &inputs[i], i, reterr);
        n_tokens += inputs[i].n_tokens;
        if (status == RAG_OK && n_tokens > ENCODER_RUN_TOKENS_MAX)
            status =
                rag_fail(reterr, RAG_ELIMIT, "over %u tokens in one call", ENCODER_RUN_TOKENS_MAX);
    }
    return status;
}

static enum rag_status say(enum rag_status status, struct rag_error *reterr)
{
    if (status == RAG_ENOMEM)
        return rag_fail(reterr, status, "encoder: out of memory");
    if (status == RAG_ENUMERIC)
        return rag_fail(
            reterr, status,
            "encoder: a state is not a finite number (damaged weights, or too large for "
            "float32)");
    if (status == RAG_ECANCELLED)
        return rag_fail(reterr, status, "encoder: cancelled");
    return status;
}

enum rag_status encoder_run(const struct encoder *e, const struct encoder_input *inputs, size_t n,
                            enum encoder_rows rows, const atomic_bool *cancel, float *ret_states,
                            struct rag_error *reterr)
{
    enum rag_status status = encoder_check_inputs(e, inputs, n, reterr);
    size_t ret_row = 0;

    if (status != RAG_OK)
        return status;
    for (size_t first = 0; first < n && status == RAG_OK;) {
        struct wave w = {.e = e, .rows = rows, .cancel = cancel, .ret_states = ret_states};

        while (first + w.n < n &&
               (w.n == 0 || w.n_rows + inputs[first + w.n].n_tokens <= ENCODER_WAVE_TOKENS))
            w.n_rows += inputs[first + w.n++].n_tokens;
        atomic_init(&w.failed, RAG_OK);
        status = run_wave(&w, inputs + first, ret_row);
        first += w.n;
        ret_row += rows == ENCODER_FIRST_TOKEN ? w.n : w.n_rows;
    }
    if (status != RAG_OK)
        return say(status, reterr);
    return weights_intact(e->weights, reterr);
}

enum rag_status encoder_classify(const struct encoder *e, const struct encoder_input *inputs,
                                 size_t n, const atomic_bool *cancel, float *ret_logits,
                                 struct rag_error *reterr)
{
    enum rag_status status;
    float *states;

    if (!e->head_out)
        return rag_fail(reterr, RAG_EINVAL, "model: it has no classification head");
    if (n == 0)
        return RAG_OK;
    if (n > ENCODER_INPUTS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "%zu inputs in one call, the limit is %u", n,
                        ENCODER_INPUTS_MAX);
    states = malloc(n * e->config.hidden * sizeof *states);
    if (!states)
        return say(RAG_ENOMEM, reterr);
    status = encoder_run(e, inputs, n, ENCODER_FIRST_TOKEN, cancel, states, reterr);
    if (status == RAG_OK)
        status = encoder_head(e, states, n, ret_logits, reterr);
    if (status == RAG_OK && !all_finite(ret_logits, n * e->n_labels))
        status = say(RAG_ENUMERIC, reterr);
    free(states);
    return status;
}

void encoder_info(const struct encoder *e, struct encoder_info *ret)
{
    const struct model_config *c = &e->config;

    *ret = (struct encoder_info){
        .family = model_family_name(c->family),
        .n_layers = c->n_layers,
        .hidden = c->hidden,
        .n_heads = c->n_heads,
        .intermediate = c->intermediate,
        .vocab_size = c->vocab_size,
        .max_tokens = c->max_tokens,
        .n_types = c->n_types,
        .n_labels = e->n_labels,
        .n_parameters = e->n_parameters,
        .bytes = e->bytes,
        .kernels = e->kernels_name,
    };
    for (size_t i = 0; e->checks && i < LAYER_LINEARS * c->n_layers; i++)
        ret->n_fp32_layers += e->checks[i].fp32;
}
