#define _GNU_SOURCE
#include "embed/remote_embedder.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/sha256.h"
#include "embed/bi_encoder.h"
#include "embed/pooling.h"

/* Part of every fingerprint: changes when this file makes other vectors of the same reply. */
#define RECIPE "ragd remote embedding 1"

struct remote_embedder {
    struct remote *remote; /* borrowed */
    enum remote_embed_api api;
    char *model; /* owned, as the prompts; or NULL */
    char *query_prompt;
    char *passage_prompt;
    size_t dim;
    size_t batch;
    char fingerprint[SHA256_HEX_BYTES];
};

void remote_embedder_close(struct remote_embedder *e)
{
    if (!e)
        return;
    free(e->model);
    free(e->query_prompt);
    free(e->passage_prompt);
    free(e);
}

static enum rag_status decide_fingerprint(struct remote_embedder *e)
{
    const char *url = remote_base_url(e->remote);
    const char *model = e->model ? e->model : "";
    uint8_t digest[SHA256_BYTES];
    char shape[64];
    int n = snprintf(shape, sizeof shape, "api %d dim %zu", (int)e->api, e->dim);
    struct sha256_part parts[] = {
        {RECIPE,            strlen(RECIPE)           },
        {url,               strlen(url)              },
        {model,             strlen(model)            },
        {shape,             (size_t)n                },
        {e->query_prompt,   strlen(e->query_prompt)  },
        {e->passage_prompt, strlen(e->passage_prompt)},
    };
    enum rag_status status = sha256_lengths(parts, sizeof parts / sizeof parts[0], digest);

    if (status == RAG_OK)
        sha256_hex(digest, e->fingerprint);
    return status;
}

enum rag_status remote_embedder_open(const struct remote_embedder_options *o,
                                     struct remote_embedder **ret, struct rag_error *reterr)
{
    const char *query = o->query_prompt ? o->query_prompt : "";
    const char *passage = o->passage_prompt ? o->passage_prompt : "";
    struct remote_embedder *e;

    if (o->dim == 0 || o->dim > EMBEDDING_DIM_MAX)
        return rag_fail(reterr, RAG_EINVAL, "embed: a dimension of %zu; must be 1 to %d", o->dim,
                        EMBEDDING_DIM_MAX);
    if (o->api == REMOTE_EMBED_OPENAI && !o->model)
        return rag_fail(reterr, RAG_EINVAL, "embed: this API needs the name of a model");
    if (o->model && strlen(o->model) > REMOTE_NAME_BYTES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "embed: the model's name has over %d bytes",
                        REMOTE_NAME_BYTES_MAX);
    if (strlen(query) > MODEL_PROMPT_BYTES_MAX || strlen(passage) > MODEL_PROMPT_BYTES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "embed: a prompt has over %d bytes",
                        MODEL_PROMPT_BYTES_MAX);
    e = calloc(1, sizeof *e);
    if (!e)
        return rag_fail(reterr, RAG_ENOMEM, "embed: out of memory");
    e->remote = o->remote;
    e->api = o->api;
    e->dim = o->dim;
    e->batch = o->batch ? o->batch : REMOTE_BATCH_DEFAULT;
    e->model = o->model ? strdup(o->model) : NULL;
    e->query_prompt = strdup(query);
    e->passage_prompt = strdup(passage);
    if ((o->model && !e->model) || !e->query_prompt || !e->passage_prompt ||
        decide_fingerprint(e) != RAG_OK) {
        remote_embedder_close(e);
        return rag_fail(reterr, RAG_ENOMEM, "embed: out of memory");
    }
    *ret = e;
    return RAG_OK;
}

void remote_embedder_info(const struct remote_embedder *e, struct remote_embedder_info *ret)
{
    *ret = (struct remote_embedder_info){
        .url = remote_base_url(e->remote),
        .name = e->model ? e->model : "remote",
        .dim = e->dim,
        .query_prompt = e->query_prompt,
        .passage_prompt = e->passage_prompt,
    };
    memcpy(ret->fingerprint, e->fingerprint, sizeof ret->fingerprint);
}

/* ---- requests ---- */

static void write_request(const struct remote_embedder *e, const struct embed_text *texts, size_t n,
                          const char *prompt, struct buf *scratch, struct buf *out)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    if (e->api == REMOTE_EMBED_OPENAI) {
        json_put_string(&w, "model", e->model);
        json_put_string(&w, "encoding_format", "float");
    } else {
        json_put_bool(&w, "truncate", true);
    }
    json_begin_array(&w, e->api == REMOTE_EMBED_OPENAI ? "input" : "inputs");
    for (size_t i = 0; i < n; i++) {
        buf_reset(scratch);
        buf_append_str(scratch, prompt);
        buf_append(scratch, texts[i].text, texts[i].n_bytes);
        json_put_string_n(&w, NULL, buf_str(scratch), scratch->len);
    }
    json_end_array(&w);
    json_end_object(&w);
}

/* ---- replies ---- */

static enum rag_status read_vector(const struct remote_embedder *e, const struct json *array,
                                   size_t i, float *ret, struct rag_error *reterr)
{
    size_t k = 0;

    if (!json_is_array(array))
        return rag_fail(reterr, RAG_EFORMAT, "embed: vector %zu is no array of numbers", i + 1);
    if (json_size(array) != e->dim)
        return rag_fail(reterr, RAG_EFORMAT,
                        "embed: vector %zu has %zu numbers, embed_dim says %zu", i + 1,
                        json_size(array), e->dim);
    for (const struct json *x = json_first(array); x; x = json_next(x))
        ret[k++] = (float)json_number(x); /* NAN when it is none */
    for (k = 0; k < e->dim; k++)
        if (!isfinite(ret[k]))
            return rag_fail(reterr, RAG_ENUMERIC, "embed: vector %zu: number %zu is none", i + 1,
                            k + 1);
    if (pooling_normalise(ret, e->dim) != RAG_OK)
        return rag_fail(reterr, RAG_ENUMERIC, "embed: vector %zu has no length", i + 1);
    return RAG_OK;
}

/* OpenAI's elements have an index and may come in any order. */
static enum rag_status read_data(const struct remote_embedder *e, const struct json *root, size_t n,
                                 float *ret, struct rag_error *reterr)
{
    const struct json *data = json_member(root, "data");
    enum rag_status status = RAG_OK;
    bool *seen;
    size_t k = 0;

    if (!json_is_array(data))
        return rag_fail(reterr, RAG_EFORMAT, "embed: the reply has no list 'data'");
    if (json_size(data) != n)
        return rag_fail(reterr, RAG_EFORMAT, "embed: 'data' has %zu elements, %zu texts were sent",
                        json_size(data), n);
    seen = calloc(n, sizeof *seen);
    if (!seen)
        return rag_fail(reterr, RAG_ENOMEM, "embed: out of memory");
    for (const struct json *d = json_first(data); d && status == RAG_OK; d = json_next(d), k++) {
        double index = json_is_number(json_member(d, "index"))
                           ? json_number(json_member(d, "index"))
                           : (double)k;
        size_t i = index >= 0 && index < (double)n ? (size_t)index : n;

        if (i == n || seen[i])
            status =
                rag_fail(reterr, RAG_EFORMAT, "embed: element %zu of 'data' has no place", k + 1);
        else
            status = read_vector(e, json_member(d, "embedding"), i, ret + i * e->dim, reterr);
        if (status == RAG_OK)
            seen[i] = true;
    }
    free(seen);
    return status;
}

static enum rag_status read_rows(const struct remote_embedder *e, const struct json *root, size_t n,
                                 float *ret, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    size_t i = 0;

    if (!json_is_array(root))
        return rag_fail(reterr, RAG_EFORMAT, "embed: the reply is no list of vectors");
    if (json_size(root) != n)
        return rag_fail(reterr, RAG_EFORMAT, "embed: %zu vectors came for %zu texts",
                        json_size(root), n);
    for (const struct json *v = json_first(root); v && status == RAG_OK; v = json_next(v), i++)
        status = read_vector(e, v, i, ret + i * e->dim, reterr);
    return status;
}

static enum rag_status read_reply(const struct remote_embedder *e, const struct buf *body, size_t n,
                                  float *ret, uint64_t *tokens, struct rag_error *reterr)
{
    struct json *root = NULL;
    enum rag_status status = json_parse(buf_str(body), body->len, "embed", &root, reterr);
    double counted;

    if (status != RAG_OK)
        return status;
    if (e->api == REMOTE_EMBED_OPENAI)
        status = read_data(e, root, n, ret, reterr);
    else
        status = read_rows(e, root, n, ret, reterr);
    counted = json_number(json_member(json_member(root, "usage"), "prompt_tokens"));
    if (counted > 0 && counted < 1e12)
        *tokens += (uint64_t)counted;
    json_free(root);
    return status;
}

static enum rag_status embed_batch(const struct remote_embedder *e, const struct embed_text *texts,
                                   size_t n, const char *prompt, int64_t deadline_ns,
                                   const atomic_bool *cancel, float *ret, uint64_t *tokens,
                                   struct rag_error *reterr)
{
    struct remote_outcome outcome;
    struct buf scratch;
    struct buf body;
    struct buf reply;
    enum rag_status status;

    buf_init(&scratch, MODEL_TEXTS_BYTES_MAX);
    buf_init(&body, 6 * (size_t)MODEL_TEXTS_BYTES_MAX); /* all of it escaped */
    buf_init(&reply, REMOTE_REPLY_BYTES_MAX);
    write_request(e, texts, n, prompt, &scratch, &body);
    status = buf_status(&scratch) != RAG_OK ? buf_status(&scratch) : buf_status(&body);
    if (status != RAG_OK) {
        rag_fail(reterr, status, "embed: the texts are too long or memory is out");
    } else {
        struct remote_call call = {
            .path = e->api == REMOTE_EMBED_OPENAI ? "/embeddings" : "/embed",
            .body = buf_str(&body),
            .body_bytes = body.len,
            .deadline_ns = deadline_ns,
            .cancel = cancel,
            .response_bytes_max = REMOTE_REPLY_BYTES_MAX,
        };

        status = remote_do(e->remote, &call, &reply, &outcome, reterr);
    }
    if (status == RAG_OK)
        status = read_reply(e, &reply, n, ret, tokens, reterr);
    buf_release(&scratch);
    buf_release(&body);
    buf_release(&reply);
    return status;
}

enum rag_status remote_embedder_embed(const struct remote_embedder *e,
                                      const struct embed_text *texts, size_t n, const char *prompt,
                                      int64_t deadline_ns, const atomic_bool *cancel,
                                      float *ret_vectors, uint64_t *ret_tokens,
                                      struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    uint64_t tokens = 0;

    for (size_t i = 0; i < n && status == RAG_OK; i += e->batch)
        status =
            embed_batch(e, texts + i, n - i < e->batch ? n - i : e->batch, prompt ? prompt : "",
                        deadline_ns, cancel, ret_vectors + i * e->dim, &tokens, reterr);
    if (status == RAG_OK)
        *ret_tokens = tokens;
    return status;
}
