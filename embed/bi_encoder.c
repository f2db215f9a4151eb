#define _GNU_SOURCE
#include "embed/bi_encoder.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/sha256.h"
#include "embed/pooling.h"
#include "embed/sentence_transformers.h"
#include "nn/model_files.h"

/* Part of every fingerprint: changes when this file computes other vectors from the same model. */
#define RECIPE "ragd embedding 1"

struct bi_encoder {
    struct remote_embedder *remote;    /* owned; then nothing else but the fingerprint is set */
    char *dir;                         /* owned */
    char *name;                        /* owned */
    struct encoder *encoder;           /* owned */
    struct tokenizer *tokenizer;       /* owned */
    struct compute_pool *pool;         /* borrowed, may be NULL */
    struct sentence_settings settings; /* owned */
    struct encoder_info shape;
    size_t pooled_dim; /* of the dense layers' output, or the encoder's width */
    size_t dim;        /* what is left of it: <= pooled_dim */
    size_t max_tokens;
    char fingerprint[EMBEDDER_FINGERPRINT_BYTES];
};

void bi_encoder_close(struct bi_encoder *b)
{
    if (!b)
        return;
    remote_embedder_close(b->remote);
    encoder_close(b->encoder);
    tokenizer_close(b->tokenizer);
    sentence_settings_release(&b->settings);
    free(b->dir);
    free(b->name);
    free(b);
}

/* ---- opening ---- */

static enum rag_status replace_prompt(char **slot, const char *text, struct rag_error *reterr)
{
    char *copy;

    if (!text)
        return RAG_OK;
    if (strlen(text) > MODEL_PROMPT_BYTES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "prompt '%.40s': %zu bytes, the limit is %d", text,
                        strlen(text), MODEL_PROMPT_BYTES_MAX);
    copy = strdup(text);
    if (!copy)
        return rag_fail(reterr, RAG_ENOMEM, "prompt: out of memory");
    free(*slot);
    *slot = copy;
    return RAG_OK;
}

static enum rag_status apply_options(struct bi_encoder *b, const struct bi_encoder_options *options,
                                     struct rag_error *reterr)
{
    enum rag_status status;

    if (options->pooling && pooling_parse(options->pooling, &b->settings.pooling) != RAG_OK)
        return rag_fail(reterr, RAG_EINVAL, "pooling '%.40s': must be mean, cls or max",
                        options->pooling);
    status = replace_prompt(&b->settings.query_prompt, options->query_prompt, reterr);
    if (status == RAG_OK)
        status = replace_prompt(&b->settings.passage_prompt, options->passage_prompt, reterr);
    return status;
}

/* Widths of the dense layers, each fed by the one before; and what dim leaves of the last. */
static enum rag_status decide_dim(struct bi_encoder *b, size_t wanted, struct rag_error *reterr)
{
    size_t width = b->shape.hidden;

    if (width > EMBEDDING_DIM_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "model '%s': states of %zu values, the limit is %d",
                        b->dir, width, EMBEDDING_DIM_MAX);
    for (size_t i = 0; i < b->settings.n_dense; i++) {
        const struct dense_layer *layer = &b->settings.dense[i];

        if (layer->n_in != width)
            return rag_fail(reterr, RAG_EFORMAT,
                            "model '%s': dense layer %zu takes %zu values, %zu come before it",
                            b->dir, i + 1, layer->n_in, width);
        width = layer->n_out;
    }
    if (wanted > width)
        return rag_fail(reterr, RAG_EINVAL, "model '%s': dimension %zu, its embeddings have %zu",
                        b->dir, wanted, width);
    b->pooled_dim = width;
    b->dim = wanted > 0 ? wanted : width;
    return RAG_OK;
}

static enum rag_status decide_max_tokens(struct bi_encoder *b, size_t wanted,
                                         struct rag_error *reterr)
{
    size_t limit = wanted > 0 ? wanted : b->settings.max_tokens;
    enum rag_status status;

    if (limit == 0) {
        status = model_max_length(b->settings.transformer_dir, &limit, reterr);
        if (status != RAG_OK)
            return status;
    }
    b->max_tokens = limit > 0 && limit < b->shape.max_tokens ? limit : b->shape.max_tokens;
    if (b->max_tokens <= tokenizer_n_special(b->tokenizer, false))
        return rag_fail(reterr, RAG_EINVAL,
                        "model '%s': max tokens %zu, its special tokens alone are %zu", b->dir,
                        b->max_tokens, tokenizer_n_special(b->tokenizer, false));
    return RAG_OK;
}

static enum rag_status decide_fingerprint(struct bi_encoder *b, struct rag_error *reterr)
{
    struct sha256_part parts[6 + 4 * MODEL_DENSE_MAX]; /* up to 4 of a dense layer */
    uint8_t files[SHA256_BYTES];
    uint8_t digest[SHA256_BYTES];
    char numbers[256];
    size_t n = 0;
    int written;
    enum rag_status status = model_digest(b->settings.transformer_dir, b->pool, files, reterr);

    if (status != RAG_OK)
        return status;
    written = snprintf(numbers, sizeof numbers, "%s lower=%d max=%zu dim=%zu",
                       pooling_name(b->settings.pooling), b->settings.lower_case ? 1 : 0,
                       b->max_tokens, b->dim);
    parts[n++] = (struct sha256_part){RECIPE, strlen(RECIPE)};
    parts[n++] = (struct sha256_part){files, sizeof files};
    parts[n++] = (struct sha256_part){numbers, (size_t)written};
    parts[n++] = (struct sha256_part){b->settings.plain_prompt, strlen(b->settings.plain_prompt)};
    parts[n++] = (struct sha256_part){b->settings.query_prompt, strlen(b->settings.query_prompt)};
    parts[n++] =
        (struct sha256_part){b->settings.passage_prompt, strlen(b->settings.passage_prompt)};
    for (size_t i = 0; i < b->settings.n_dense; i++) {
        const struct dense_layer *layer = &b->settings.dense[i];

        parts[n++] = (struct sha256_part){layer->normalise_first ? "n" : "-", 1};
        parts[n++] = (struct sha256_part){&"itrgs"[layer->activation], 1};
        parts[n++] =
            (struct sha256_part){layer->weight, sizeof(float) * layer->n_in * layer->n_out};
        if (layer->bias)
            parts[n++] = (struct sha256_part){layer->bias, sizeof(float) * layer->n_out};
    }
    assert(n <= sizeof parts / sizeof parts[0]);
    if (sha256_lengths(parts, n, digest) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory while hashing", b->dir);
    sha256_hex(digest, b->fingerprint);
    return RAG_OK;
}

enum rag_status bi_encoder_open(const char *dir, const struct bi_encoder_options *options,
                                struct bi_encoder **ret, struct rag_error *reterr)
{
    const struct encoder_options encoder = {options->precision, options->pool};
    struct bi_encoder *b = calloc(1, sizeof *b);
    enum rag_status status;

    if (!b)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
    b->pool = options->pool;
    b->dir = strdup(dir);
    b->name = model_dir_name(dir);
    status =
        b->dir && b->name ? RAG_OK : rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
    if (status == RAG_OK)
        status = sentence_settings_read(dir, &b->settings, reterr);
    if (status == RAG_OK)
        status = apply_options(b, options, reterr);
    if (status == RAG_OK)
        status = tokenizer_open(b->settings.transformer_dir, &b->tokenizer, reterr);
    if (status == RAG_OK)
        status = encoder_open(b->settings.transformer_dir, &encoder, &b->encoder, reterr);
    if (status == RAG_OK) {
        encoder_info(b->encoder, &b->shape);
        status = decide_dim(b, options->dim, reterr);
    }
    if (status == RAG_OK)
        status = decide_max_tokens(b, options->max_tokens, reterr);
    if (status == RAG_OK)
        status = decide_fingerprint(b, reterr);
    if (status != RAG_OK) {
        bi_encoder_close(b);
        return status;
    }
    *ret = b;
    return RAG_OK;
}

enum rag_status bi_encoder_open_remote(const struct remote_embedder_options *options,
                                       struct bi_encoder **ret, struct rag_error *reterr)
{
    struct bi_encoder *b = calloc(1, sizeof *b);
    enum rag_status status;

    if (!b)
        return rag_fail(reterr, RAG_ENOMEM, "embed: out of memory");
    status = remote_embedder_open(options, &b->remote, reterr);
    if (status != RAG_OK) {
        bi_encoder_close(b);
        return status;
    }
    *ret = b;
    return RAG_OK;
}

const struct remote_embedder *bi_encoder_remote(const struct bi_encoder *b)
{
    return b->remote;
}

static void remote_info(const struct bi_encoder *b, struct bi_encoder_info *ret)
{
    struct remote_embedder_info info;

    remote_embedder_info(b->remote, &info);
    *ret = (struct bi_encoder_info){
        .name = info.name,
        .dir = info.url,
        .dim = info.dim,
        .pooling = "remote",
        .query_prompt = info.query_prompt,
        .passage_prompt = info.passage_prompt,
        .encoder = {.family = "remote", .kernels = ""},
    };
    memcpy(ret->fingerprint, info.fingerprint, sizeof ret->fingerprint);
}

void bi_encoder_info(const struct bi_encoder *b, struct bi_encoder_info *ret)
{
    if (b->remote) {
        remote_info(b, ret);
        return;
    }
    *ret = (struct bi_encoder_info){
        .name = b->name,
        .dir = b->dir,
        .dim = b->dim,
        .max_tokens = b->max_tokens,
        .pooling = pooling_name(b->settings.pooling),
        .query_prompt = b->settings.query_prompt,
        .passage_prompt = b->settings.passage_prompt,
    };
    memcpy(ret->fingerprint, b->fingerprint, sizeof ret->fingerprint);
    encoder_info(b->encoder, &ret->encoder);
}

const struct tokenizer *bi_encoder_tokenizer(const struct bi_encoder *b)
{
    return b->tokenizer;
}

const struct encoder *bi_encoder_encoder(const struct bi_encoder *b)
{
    return b->encoder;
}

/* ---- tokens ---- */

/* The texts of one window, each tokenised by whichever thread of the pool comes first. */
struct window {
    const struct bi_encoder *b;
    const struct embed_text *texts; /* [n] */
    size_t first;                   /* of all texts, for messages */
    size_t n;
    const char *prompt;
    struct token_list *tokens; /* [n], owned */
    struct rag_error *errors;  /* [n], owned; status RAG_OK where nothing failed */
    size_t *order;             /* [n], owned: longest first */
};

static void window_release(struct window *w)
{
    for (size_t i = 0; w->tokens && i < w->n; i++)
        token_list_release(&w->tokens[i]);
    free(w->tokens);
    free(w->errors);
    free(w->order);
}

/* prompt + text as the tokenizer is to see them. */
static enum rag_status prepare(const struct bi_encoder *b, const char *prompt,
                               const struct embed_text *text, struct buf *ret,
                               struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    if (b->settings.lower_case) {
        status = sentence_lower_case(prompt, strlen(prompt), ret);
        if (status == RAG_OK)
            status = sentence_lower_case(text->text, text->n_bytes, ret);
    } else {
        buf_append_str(ret, prompt);
        buf_append(ret, text->text, text->n_bytes);
        status = buf_status(ret);
    }
    if (status != RAG_OK)
        rag_fail(reterr, status, "%s",
                 status == RAG_EINVAL ? "not UTF-8" : "too long, or out of memory");
    return status;
}

static enum rag_status tokenise(const struct bi_encoder *b, const char *prompt,
                                const struct embed_text *text, struct token_list *ret,
                                struct rag_error *reterr)
{
    const struct tokenize_options options = {.special = true, .max_tokens = b->max_tokens};
    enum rag_status status = RAG_OK;
    struct embed_text whole = *text;
    struct buf prepared;

    buf_init(&prepared, SIZE_MAX / 2);
    if (prompt[0] || b->settings.lower_case) {
        status = prepare(b, prompt, text, &prepared, reterr);
        whole = (struct embed_text){buf_str(&prepared), prepared.len};
    }
    if (status == RAG_OK)
        status = tokenizer_encode(b->tokenizer, whole.text, whole.n_bytes, NULL, 0, &options, ret,
                                  reterr);
    if (status == RAG_OK && ret->n == 0)
        status = rag_fail(reterr, RAG_EINVAL, "the text has no tokens");
    for (size_t i = 0; status == RAG_OK && i < ret->n; i++) {
        if (ret->ids[i] >= b->shape.vocab_size)
            status = rag_fail(reterr, RAG_EFORMAT,
                              "token %u, the model has %zu; its tokenizer belongs to another one",
                              ret->ids[i], b->shape.vocab_size);
    }
    buf_release(&prepared);
    return status;
}

static void tokenise_item(void *context, size_t item, size_t thread)
{
    struct window *w = context;

    (void)thread;
    w->errors[item].status =
        tokenise(w->b, w->prompt, &w->texts[item], &w->tokens[item], &w->errors[item]);
}

static int longest_first(const void *a, const void *b, void *tokens)
{
    const struct token_list *lists = tokens;
    size_t x = lists[*(const size_t *)a].n;
    size_t y = lists[*(const size_t *)b].n;

    if (x != y)
        return x > y ? -1 : 1;
    return *(const size_t *)a < *(const size_t *)b ? -1 : 1;
}

static enum rag_status window_open(struct window *w, struct rag_error *reterr)
{
    w->tokens = calloc(w->n, sizeof *w->tokens);
    w->errors = calloc(w->n, sizeof *w->errors);
    w->order = calloc(w->n, sizeof *w->order);
    if (!w->tokens || !w->errors || !w->order)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", w->b->dir);
    compute_pool_run(w->n > 1 ? w->b->pool : NULL, w->n, tokenise_item, w);
    for (size_t i = 0; i < w->n; i++) {
        if (w->errors[i].status != RAG_OK)
            return rag_fail(reterr, w->errors[i].status, "text %zu: %s", w->first + i + 1,
                            w->errors[i].text);
        w->order[i] = i;
    }
    qsort_r(w->order, w->n, sizeof *w->order, longest_first, w->tokens);
    return RAG_OK;
}

/* ---- vectors ---- */

/* The steps behind the encoder, from one text's states [n_tokens, hidden]. scratch: two vectors
 * of EMBEDDING_DIM_MAX. */
static enum rag_status finish_vector(const struct bi_encoder *b, const float *states,
                                     size_t n_tokens, float *scratch, float *ret)
{
    float *v = scratch;
    float *next = scratch + EMBEDDING_DIM_MAX;
    size_t width = b->shape.hidden;

    pooling_apply(b->settings.pooling, states, n_tokens, width, v);
    for (size_t i = 0; i < b->settings.n_dense; i++) {
        const struct dense_layer *layer = &b->settings.dense[i];
        float *swap = v;

        if (layer->normalise_first && pooling_normalise(v, width) != RAG_OK)
            return RAG_ENUMERIC;
        dense_apply(layer, v, next);
        v = next;
        next = swap;
        width = layer->n_out;
    }
    if (pooling_normalise(v, b->dim) != RAG_OK)
        return RAG_ENUMERIC;
    memcpy(ret, v, b->dim * sizeof *ret);
    return RAG_OK;
}

struct batch {
    struct encoder_input *inputs; /* [EMBED_WINDOW_TEXTS], owned */
    float *states;                /* owned; grows */
    size_t states_cap;            /* floats */
    float *scratch;               /* [2 * EMBEDDING_DIM_MAX], owned */
};

static void batch_release(struct batch *batch)
{
    free(batch->inputs);
    free(batch->states);
    free(batch->scratch);
}

static enum rag_status batch_reserve(struct batch *batch, size_t n_floats)
{
    float *states;

    if (n_floats <= batch->states_cap)
        return RAG_OK;
    states = malloc(n_floats * sizeof *states);
    if (!states)
        return RAG_ENOMEM;
    free(batch->states);
    batch->states = states;
    batch->states_cap = n_floats;
    return RAG_OK;
}

/* The texts order[0..n) of the window, whose lengths sum to n_tokens. */
static enum rag_status run_batch(const struct window *w, struct batch *batch, const size_t *order,
                                 size_t n, size_t n_tokens, const atomic_bool *cancel,
                                 float *vectors, struct rag_error *reterr)
{
    const struct bi_encoder *b = w->b;
    bool first_only = b->settings.pooling == POOLING_CLS;
    size_t hidden = b->shape.hidden;
    enum rag_status status;
    size_t row = 0;

    if (batch_reserve(batch, (first_only ? n : n_tokens) * hidden) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory for %zu tokens", b->dir,
                        n_tokens);
    for (size_t i = 0; i < n; i++) {
        const struct token_list *t = &w->tokens[order[i]];

        batch->inputs[i] =
            (struct encoder_input){t->ids, b->shape.n_types > 1 ? t->types : NULL, t->n};
    }
    status = encoder_run(b->encoder, batch->inputs, n,
                         first_only ? ENCODER_FIRST_TOKEN : ENCODER_ALL_TOKENS, cancel,
                         batch->states, reterr);
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        size_t n_rows = first_only ? 1 : w->tokens[order[i]].n;

        status = finish_vector(b, batch->states + row * hidden, n_rows, batch->scratch,
                               vectors + (w->first + order[i]) * b->dim);
        if (status != RAG_OK)
            rag_fail(reterr, status, "text %zu: its vector has no length, or is no number",
                     w->first + order[i] + 1);
        row += n_rows;
    }
    return status;
}

static enum rag_status run_window(struct window *w, struct batch *batch, const atomic_bool *cancel,
                                  float *vectors, uint32_t *ret_tokens, struct rag_error *reterr)
{
    enum rag_status status = window_open(w, reterr);

    for (size_t i = 0; status == RAG_OK && i < w->n;) {
        size_t n_tokens = 0;
        size_t end = i;

        while (end < w->n &&
               (end == i || n_tokens + w->tokens[w->order[end]].n <= EMBED_BATCH_TOKENS))
            n_tokens += w->tokens[w->order[end++]].n;
        status = run_batch(w, batch, w->order + i, end - i, n_tokens, cancel, vectors, reterr);
        i = end;
    }
    for (size_t i = 0; status == RAG_OK && ret_tokens && i < w->n; i++)
        ret_tokens[w->first + i] = (uint32_t)w->tokens[i].n;
    return status;
}

enum rag_status bi_encoder_embed(const struct bi_encoder *b, const struct embed_text *texts,
                                 size_t n, enum embed_role role, const atomic_bool *cancel,
                                 float *ret_vectors, uint32_t *ret_tokens, struct rag_error *reterr)
{
    const char *prompts[] = {[EMBED_PLAIN] = b->settings.plain_prompt,
                             [EMBED_QUERY] = b->settings.query_prompt,
                             [EMBED_PASSAGE] = b->settings.passage_prompt};
    enum rag_status status = RAG_OK;
    struct batch batch = {0};

    assert(!b->remote && (n == 0 || (texts && ret_vectors)));
    batch.inputs = calloc(EMBED_WINDOW_TEXTS, sizeof *batch.inputs);
    batch.scratch = calloc(2 * (size_t)EMBEDDING_DIM_MAX, sizeof *batch.scratch);
    if (!batch.inputs || !batch.scratch)
        status = rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", b->dir);
    for (size_t first = 0; status == RAG_OK && first < n; first += EMBED_WINDOW_TEXTS) {
        struct window w = {.b = b,
                           .texts = texts + first,
                           .first = first,
                           .n = n - first < EMBED_WINDOW_TEXTS ? n - first : EMBED_WINDOW_TEXTS,
                           .prompt = prompts[role]};

        if (cancel && atomic_load_explicit(cancel, memory_order_relaxed))
            status = rag_fail(reterr, RAG_ECANCELLED, "embedding: cancelled");
        else
            status = run_window(&w, &batch, cancel, ret_vectors, ret_tokens, reterr);
        window_release(&w);
    }
    batch_release(&batch);
    return status;
}
