#define _GNU_SOURCE
#include "retrieve/cross_encoder.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "nn/model_files.h"

#define LABELS_MAX 2
/* Part of every fingerprint: changes when this file computes other scores from the same model. */
#define RECIPE     "ragd reranking 1"

struct cross_encoder {
    struct remote_reranker *remote; /* owned; then nothing else is set */
    char *dir;                      /* owned */
    char *name;                     /* owned */
    struct encoder *encoder;        /* owned */
    struct tokenizer *tokenizer;    /* owned */
    struct compute_pool *pool;      /* borrowed, may be NULL */
    struct encoder_info shape;
    size_t max_tokens;
    char fingerprint[SHA256_HEX_BYTES];
};

void cross_encoder_close(struct cross_encoder *x)
{
    if (!x)
        return;
    remote_reranker_close(x->remote);
    encoder_close(x->encoder);
    tokenizer_close(x->tokenizer);
    free(x->dir);
    free(x->name);
    free(x);
}

/* ---- opening ---- */

static enum rag_status open_parts(struct cross_encoder *x,
                                  const struct cross_encoder_options *options,
                                  struct rag_error *reterr)
{
    const struct encoder_options encoder = {options->precision, options->pool};
    enum rag_status status = tokenizer_open(x->dir, &x->tokenizer, reterr);

    if (status == RAG_OK)
        status = encoder_open(x->dir, &encoder, &x->encoder, reterr);
    if (status != RAG_OK)
        return status;
    encoder_info(x->encoder, &x->shape);
    if (x->shape.n_labels == 0)
        return rag_fail(reterr, RAG_EFORMAT,
                        "model '%s': has no classification head, so it cannot rerank (is it an "
                        "embedding model?)",
                        x->dir);
    if (x->shape.n_labels > LABELS_MAX)
        return rag_fail(reterr, RAG_EFORMAT, "model '%s': %zu labels, a reranker has 1 or %d",
                        x->dir, x->shape.n_labels, LABELS_MAX);
    return RAG_OK;
}

static enum rag_status decide_max_tokens(struct cross_encoder *x, size_t wanted,
                                         struct rag_error *reterr)
{
    size_t n_special = tokenizer_n_special(x->tokenizer, true);
    size_t limit = wanted;
    enum rag_status status;

    if (limit == 0) {
        status = model_max_length(x->dir, &limit, reterr);
        if (status != RAG_OK)
            return status;
        if (limit == 0 || limit > CROSS_TOKENS_MAX_DEFAULT)
            limit = CROSS_TOKENS_MAX_DEFAULT;
    }
    x->max_tokens = limit < x->shape.max_tokens ? limit : x->shape.max_tokens;
    if (x->max_tokens < n_special + 2)
        return rag_fail(reterr, RAG_EINVAL, "model '%s': max tokens %zu, a pair needs at least %zu",
                        x->dir, x->max_tokens, n_special + 2);
    return RAG_OK;
}

static enum rag_status decide_fingerprint(struct cross_encoder *x, struct rag_error *reterr)
{
    uint8_t files[SHA256_BYTES];
    uint8_t digest[SHA256_BYTES];
    char numbers[64];
    enum rag_status status = model_digest(x->dir, x->pool, files, reterr);
    struct sha256_part parts[] = {
        {RECIPE, strlen(RECIPE)},
        {files,  sizeof files  },
        {NULL,   0             },
    };

    if (status != RAG_OK)
        return status;
    parts[2].n_bytes = (size_t)snprintf(numbers, sizeof numbers, "max=%zu", x->max_tokens);
    parts[2].data = numbers;
    if (sha256_lengths(parts, sizeof parts / sizeof parts[0], digest) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory while hashing", x->dir);
    sha256_hex(digest, x->fingerprint);
    return RAG_OK;
}

enum rag_status cross_encoder_open(const char *dir, const struct cross_encoder_options *options,
                                   struct cross_encoder **ret, struct rag_error *reterr)
{
    struct cross_encoder *x = calloc(1, sizeof *x);
    enum rag_status status;

    if (!x)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
    x->pool = options->pool;
    x->dir = strdup(dir);
    x->name = model_dir_name(dir);
    status =
        x->dir && x->name ? RAG_OK : rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", dir);
    if (status == RAG_OK)
        status = open_parts(x, options, reterr);
    if (status == RAG_OK)
        status = decide_max_tokens(x, options->max_tokens, reterr);
    if (status == RAG_OK)
        status = decide_fingerprint(x, reterr);
    if (status != RAG_OK) {
        cross_encoder_close(x);
        return status;
    }
    *ret = x;
    return RAG_OK;
}

enum rag_status cross_encoder_open_remote(const struct remote_reranker_options *options,
                                          struct cross_encoder **ret, struct rag_error *reterr)
{
    struct cross_encoder *x = calloc(1, sizeof *x);
    enum rag_status status;

    if (!x)
        return rag_fail(reterr, RAG_ENOMEM, "rerank: out of memory");
    status = remote_reranker_open(options, &x->remote, reterr);
    if (status != RAG_OK) {
        cross_encoder_close(x);
        return status;
    }
    *ret = x;
    return RAG_OK;
}

const struct remote_reranker *cross_encoder_remote(const struct cross_encoder *x)
{
    return x->remote;
}

static void remote_info(const struct cross_encoder *x, struct cross_encoder_info *ret)
{
    struct remote_reranker_info info;

    remote_reranker_info(x->remote, &info);
    *ret = (struct cross_encoder_info){
        .name = info.name,
        .dir = info.url,
        .encoder = {.family = "remote", .kernels = ""},
    };
    memcpy(ret->fingerprint, info.fingerprint, sizeof ret->fingerprint);
}

void cross_encoder_info(const struct cross_encoder *x, struct cross_encoder_info *ret)
{
    if (x->remote) {
        remote_info(x, ret);
        return;
    }
    *ret = (struct cross_encoder_info){.name = x->name, .dir = x->dir, .max_tokens = x->max_tokens};
    memcpy(ret->fingerprint, x->fingerprint, sizeof ret->fingerprint);
    encoder_info(x->encoder, &ret->encoder);
}

const struct tokenizer *cross_encoder_tokenizer(const struct cross_encoder *x)
{
    return x->tokenizer;
}

const struct encoder *cross_encoder_encoder(const struct cross_encoder *x)
{
    return x->encoder;
}

/* ---- scoring ---- */

/* All pairs of one call. Tokenising costs a small part of scoring, so it is done for all at once,
 * by the pool, before the first group. */
struct scoring {
    const struct cross_encoder *x;
    struct pair_text query;
    const struct pair_text *passages; /* [n] */
    size_t n;
    struct token_list *tokens;    /* [n], owned */
    struct rag_error *errors;     /* [n], owned */
    struct encoder_input *inputs; /* [n], owned */
    float *logits;                /* [n, n_labels], owned */
};

static void scoring_release(struct scoring *s)
{
    for (size_t i = 0; s->tokens && i < s->n; i++)
        token_list_release(&s->tokens[i]);
    free(s->tokens);
    free(s->errors);
    free(s->inputs);
    free(s->logits);
}

static enum rag_status tokenise(const struct scoring *s, const struct pair_text *passage,
                                struct token_list *ret, struct rag_error *reterr)
{
    const struct tokenize_options options = {.special = true, .max_tokens = s->x->max_tokens};
    enum rag_status status =
        tokenizer_encode(s->x->tokenizer, s->query.text, s->query.n_bytes, passage->text,
                         passage->n_bytes, &options, ret, reterr);

    if (status == RAG_OK && ret->n == 0)
        status = rag_fail(reterr, RAG_EINVAL, "the pair has no tokens");
    for (size_t i = 0; status == RAG_OK && i < ret->n; i++) {
        if (ret->ids[i] >= s->x->shape.vocab_size)
            status = rag_fail(reterr, RAG_EFORMAT,
                              "token %u, the model has %zu; its tokenizer belongs to another one",
                              ret->ids[i], s->x->shape.vocab_size);
    }
    return status;
}

static void tokenise_item(void *context, size_t item, size_t thread)
{
    struct scoring *s = context;

    (void)thread;
    s->errors[item].status = tokenise(s, &s->passages[item], &s->tokens[item], &s->errors[item]);
}

static enum rag_status scoring_open(struct scoring *s, struct rag_error *reterr)
{
    s->tokens = calloc(s->n, sizeof *s->tokens);
    s->errors = calloc(s->n, sizeof *s->errors);
    s->inputs = calloc(s->n, sizeof *s->inputs);
    s->logits = calloc(s->n, s->x->shape.n_labels * sizeof *s->logits);
    if (!s->tokens || !s->errors || !s->inputs || !s->logits)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory for %zu passages", s->x->dir,
                        s->n);
    compute_pool_run(s->n > 1 ? s->x->pool : NULL, s->n, tokenise_item, s);
    for (size_t i = 0; i < s->n; i++) {
        const struct token_list *t = &s->tokens[i];

        if (s->errors[i].status != RAG_OK)
            return rag_fail(reterr, s->errors[i].status, "passage %zu: %s", i + 1,
                            s->errors[i].text);
        s->inputs[i] =
            (struct encoder_input){t->ids, s->x->shape.n_types > 1 ? t->types : NULL, t->n};
    }
    return RAG_OK;
}

/* How many passages from 'first' on hold at most 'tokens_max' tokens together; at least 1. */
static size_t group_size(const struct scoring *s, size_t first, size_t tokens_max,
                         size_t *ret_tokens)
{
    size_t n_tokens = s->tokens[first].n;
    size_t n = 1;

    while (first + n < s->n && n_tokens + s->tokens[first + n].n <= tokens_max)
        n_tokens += s->tokens[first + n++].n;
    *ret_tokens = n_tokens;
    return n;
}

/* Tokens that fit before the deadline at the speed so far: 0 when not even the next pair does. */
static size_t affordable_tokens(int64_t since_ns, int64_t deadline_ns, size_t n_done, size_t n_next)
{
    int64_t now = clock_monotonic_ns();
    double left = (double)(deadline_ns - now);
    double fits;

    if (left <= 0.0)
        return 0;
    if (n_done == 0)
        return RERANK_GROUP_TOKENS_MIN;
    fits = left * (double)n_done / (double)(now - since_ns > 0 ? now - since_ns : 1);
    if (fits < (double)n_next)
        return 0;
    return fits < RERANK_GROUP_TOKENS ? (size_t)fits : RERANK_GROUP_TOKENS;
}

static float score_of(const float *logits, size_t n_labels, bool raw)
{
    double logit = n_labels == 1 ? (double)logits[0] : (double)logits[1] - (double)logits[0];

    return (float)(raw ? logit : 1.0 / (1.0 + exp(-logit)));
}

static enum rag_status score_groups(struct scoring *s, int64_t deadline_ns,
                                    const atomic_bool *cancel, size_t *ret_n,
                                    struct rag_error *reterr)
{
    int64_t since_ns = clock_monotonic_ns();
    size_t n_labels = s->x->shape.n_labels;
    size_t n_done = 0; /* tokens */
    size_t i = 0;

    while (i < s->n) {
        size_t tokens_max = RERANK_GROUP_TOKENS;
        size_t n_tokens = 0;
        enum rag_status status;
        size_t n;

        if (deadline_ns != 0) {
            tokens_max = affordable_tokens(since_ns, deadline_ns, n_done, s->tokens[i].n);
            if (tokens_max == 0 && i > 0)
                break;
        }
        n = group_size(s, i, tokens_max, &n_tokens);
        status = encoder_classify(s->x->encoder, s->inputs + i, n, cancel, s->logits + i * n_labels,
                                  reterr);
        if (status != RAG_OK)
            return status;
        i += n;
        n_done += n_tokens;
    }
    *ret_n = i;
    return RAG_OK;
}

enum rag_status cross_encoder_score(const struct cross_encoder *x, struct pair_text query,
                                    const struct pair_text *passages, size_t n, bool raw,
                                    int64_t deadline_ns, const atomic_bool *cancel,
                                    float *ret_scores, size_t *ret_n_scored,
                                    struct rag_error *reterr)
{
    struct scoring s = {.x = x, .query = query, .passages = passages, .n = n};
    size_t n_labels = x->shape.n_labels;
    enum rag_status status;
    size_t n_scored = 0;

    assert(!x->remote && (n == 0 || (passages && ret_scores)));
    if (n == 0) {
        *ret_n_scored = 0;
        return RAG_OK;
    }
    status = scoring_open(&s, reterr);
    if (status == RAG_OK)
        status = score_groups(&s, deadline_ns, cancel, &n_scored, reterr);
    for (size_t i = 0; status == RAG_OK && i < n_scored; i++) {
        float score = score_of(s.logits + i * n_labels, n_labels, raw);

        if (!isfinite(score))
            status =
                rag_fail(reterr, RAG_ENUMERIC, "passage %zu: its score is not a number", i + 1);
    }
    if (status == RAG_OK) {
        for (size_t i = 0; i < n_scored; i++)
            ret_scores[i] = score_of(s.logits + i * n_labels, n_labels, raw);
        *ret_n_scored = n_scored;
    }
    scoring_release(&s);
    return status;
}
