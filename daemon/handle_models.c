/* daemon/handle_models.c - the models themselves: GET /v1/models, POST /v1/embeddings (OpenAI's
 * shape), POST /v1/rerank (Cohere's and Jina's).
 *
 * Whoever may connect may use them: nothing stored is read. They run as bulk jobs, so that large
 * batches never take the workers away from questions, and wait in the bounded queues of workers
 * and models: then 503 with Retry-After. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "daemon/handle.h"
#include "daemon/models.h"
#include "daemon/models_configured.h"
#include "generate/local.h"
#include "generate/openai.h"
#include "text/nfc.h"

#define MODEL_NAME_BYTES_MAX  256
#define FORMAT_BYTES_MAX      16
#define INTERACTIVE_TEXTS_MAX 4 /* up to so many are somebody's question; more are documents */

/* ---- what both requests have ---- */

/* The texts of a request, in NFC. */
struct texts {
    struct json *body;  /* owned */
    struct arena arena; /* owns what follows */
    const char **items; /* [n] */
    size_t *bytes;      /* [n] */
    size_t n;
    size_t n_bytes; /* of all */
};

static void texts_release(struct texts *t)
{
    arena_release(&t->arena);
    json_free(t->body);
}

static enum rag_status texts_init(struct texts *t, size_t n, struct rag_error *reterr)
{
    t->items = arena_calloc(&t->arena, n + 1, sizeof *t->items);
    t->bytes = arena_calloc(&t->arena, n + 1, sizeof *t->bytes);
    if (!t->items || !t->bytes)
        return rag_fail(reterr, RAG_ENOMEM, "request: out of memory");
    return RAG_OK;
}

/* 'what' is what messages call it. */
static enum rag_status texts_add(struct texts *t, const char *text, size_t n, const char *what,
                                 struct rag_error *reterr)
{
    struct rag_error inner = {RAG_OK, ""};
    enum rag_status status;
    struct buf nfc;

    if (n > MODEL_TEXTS_BYTES_MAX - t->n_bytes)
        return rag_fail(reterr, RAG_ELIMIT, "%s: over %u bytes of text together", what,
                        MODEL_TEXTS_BYTES_MAX);
    buf_init(&nfc, n * 3 + 1);
    status = nfc_append(text, n, &nfc, &inner);
    if (status == RAG_OK) {
        t->items[t->n] = arena_strndup(&t->arena, buf_str(&nfc), nfc.len);
        t->bytes[t->n] = nfc.len;
        t->n_bytes += n;
        if (!t->items[t->n++])
            status = rag_fail(&inner, RAG_ENOMEM, "out of memory");
    }
    buf_release(&nfc);
    if (status != RAG_OK)
        return rag_fail(reterr, status == RAG_EFORMAT ? RAG_EINVAL : status, "%s: %s", what,
                        inner.text);
    return RAG_OK;
}

/* "model" must be the one that is loaded, where it is given at all. */
static enum rag_status check_model(const struct json *body, const char *kind, const char *name,
                                   struct rag_error *reterr)
{
    const char *wanted = NULL;
    enum rag_status status = json_get_string(body, "model", MODEL_NAME_BYTES_MAX, &wanted, reterr);

    if (status != RAG_OK)
        return status;
    if (!name)
        return rag_fail(reterr, RAG_ENOTFOUND, "no %s is configured (see [models] of ragd.conf)",
                        kind);
    if (wanted && strcmp(wanted, name) != 0)
        return rag_fail(reterr, RAG_ENOTFOUND, "model '%s': is not loaded; the %s here is '%s'",
                        wanted, kind, name);
    return RAG_OK;
}

static const char *embedder_name(const struct app *app, struct bi_encoder_info *info)
{
    if (!app->models || !models_embedder(app->models))
        return NULL;
    bi_encoder_info(models_embedder(app->models), info);
    return info->name;
}

static const char *reranker_name(const struct app *app, struct cross_encoder_info *info)
{
    if (!app->models || !models_reranker(app->models))
        return NULL;
    cross_encoder_info(models_reranker(app->models), info);
    return info->name;
}

/* ---- GET /v1/models ---- */

static void write_encoder(struct json_writer *w, const struct app *app, const char *kind,
                          const struct encoder_info *info)
{
    json_put_string(w, "object", "model");
    json_put_int(w, "created", 0); /* OpenAI's clients want one */
    json_put_string(w, "owned_by", strcmp(info->family, "remote") == 0 ? "remote" : "local");
    json_put_string(w, "kind", kind);
    if (strcmp(info->family, "remote") == 0)
        return;
    json_put_string(w, "family", info->family);
    json_put_int(w, "parameters", (int64_t)info->n_parameters);
    json_put_int(w, "bytes", (int64_t)info->bytes);
    json_put_string(w, "precision",
                    models_precision(app->models) == PRECISION_INT8 ? "int8" : "fp32");
    json_put_int(w, "fp32_layers", (int64_t)info->n_fp32_layers);
    json_put_string(w, "kernels", info->kernels);
}

/* The decoder: what it is, what it holds, and what is left for it. */
static void write_generator(struct json_writer *w, const struct generator *local)
{
    struct decode_scheduler_stats stats;
    struct local_info i;

    local_info(local, &i);
    local_stats(local, &stats);
    json_begin_object(w, NULL);
    json_put_string(w, "id", i.name);
    json_put_string(w, "object", "model");
    json_put_int(w, "created", 0);
    json_put_string(w, "owned_by", "local");
    json_put_string(w, "kind", "generator");
    json_put_string(w, "family", i.decoder.family);
    json_put_int(w, "parameters", (int64_t)i.decoder.n_parameters);
    json_put_int(w, "bytes", (int64_t)i.decoder.bytes);
    json_put_int(w, "file_bytes", (int64_t)i.file_bytes);
    json_put_string(w, "precision", i.precision);
    json_put_string(w, "kernels", i.decoder.kernels);
    json_put_int(w, "context_tokens", (int64_t)i.context_tokens);
    json_put_string(w, "chat_template", i.chat_template);
    json_put_int(w, "kv_budget_bytes", (int64_t)i.kv_budget_bytes);
    json_put_int(w, "kv_held_bytes", (int64_t)stats.kv.held_bytes);
    json_put_int(w, "kv_bytes_per_token", (int64_t)i.decoder.kv_bytes_per_token);
    json_put_int(w, "memory_available_bytes", (int64_t)memory_available_bytes());
    json_put_string(w, "fingerprint", i.fingerprint);
    json_end_object(w);
}

/* The backend that is another server. */
static void write_server(struct json_writer *w, const struct generator *openai)
{
    json_begin_object(w, NULL);
    json_put_string(w, "id", openai_model(openai));
    json_put_string(w, "object", "model");
    json_put_int(w, "created", 0);
    json_put_string(w, "owned_by", "remote");
    json_put_string(w, "kind", "generator");
    json_put_int(w, "context_tokens", (int64_t)openai_context_tokens(openai));
    json_end_object(w);
}

/* What was left to 'default' and is not installed; absent where nothing is missing. */
static void write_missing(struct json_writer *w, const struct config *config)
{
    struct model_missing missing[MODELS_MISSING_MAX];
    size_t n = models_missing(config, missing);

    if (n == 0)
        return;
    json_begin_array(w, "missing");
    for (size_t i = 0; i < n; i++) {
        json_begin_object(w, NULL);
        json_put_string(w, "role", missing[i].role);
        json_put_string(w, "error", missing[i].why.text);
        json_end_object(w);
    }
    json_end_array(w);
}

void handle_models(struct http_request *request, struct http_response *response, void *context)
{
    struct rag_error error = {RAG_OK, ""};
    struct cross_encoder_info reranker;
    struct bi_encoder_info embedder;
    struct app *app = context;
    struct json_writer w;
    struct buf body;

    buf_init(&body, 65536);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    json_put_string(&w, "object", "list");
    json_begin_array(&w, "data");
    if (embedder_name(app, &embedder)) {
        json_begin_object(&w, NULL);
        json_put_string(&w, "id", embedder.name);
        write_encoder(&w, app, "embedder", &embedder.encoder);
        json_put_int(&w, "dimensions", (int64_t)embedder.dim);
        json_put_int(&w, "max_tokens", (int64_t)embedder.max_tokens);
        json_put_string(&w, "pooling", embedder.pooling);
        json_put_string(&w, "query_prompt", embedder.query_prompt);
        json_put_string(&w, "passage_prompt", embedder.passage_prompt);
        json_put_string(&w, "fingerprint", embedder.fingerprint);
        json_end_object(&w);
    }
    if (reranker_name(app, &reranker)) {
        json_begin_object(&w, NULL);
        json_put_string(&w, "id", reranker.name);
        write_encoder(&w, app, "reranker", &reranker.encoder);
        json_put_int(&w, "max_tokens", (int64_t)reranker.max_tokens);
        json_put_string(&w, "fingerprint", reranker.fingerprint);
        json_end_object(&w);
    }
    if (app->generators.local)
        write_generator(&w, app->generators.local);
    if (app->generators.openai)
        write_server(&w, app->generators.openai);
    json_end_array(&w);
    write_missing(&w, app->config);
    json_end_object(&w);
    handle_finish(request, response, 200, &body, RAG_OK, &error);
}

/* ---- POST /v1/embeddings ---- */

struct embeddings {
    struct texts texts;
    enum embed_role role;
    size_t dim; /* of the reply */
    bool base64;
    float *vectors; /* [n, dim of the model]; owned */
    uint32_t *tokens;
};

/* Tokens are the embedder's own; they become the text that they stand for. */
static enum rag_status add_tokens(struct texts *t, const struct tokenizer *tokenizer,
                                  const struct json *array, struct rag_error *reterr)
{
    size_t n = json_size(array);
    uint32_t *ids = arena_calloc(&t->arena, n + 1, sizeof *ids);
    enum rag_status status = RAG_OK;
    struct buf text;
    size_t i = 0;

    if (!ids)
        return rag_fail(reterr, RAG_ENOMEM, "request: out of memory");
    if (!tokenizer)
        return rag_fail(reterr, RAG_EINVAL, "'input': token ids need a local embedder; send texts");
    for (const struct json *e = json_first(array); e; e = json_next(e)) {
        double id = json_number(e);

        if (!(id >= 0 && id < (double)tokenizer_vocab_size(tokenizer)) || floor(id) < id)
            return rag_fail(reterr, RAG_EINVAL,
                            "'input': element %zu: token %zu is not an integer from 0 to %zu",
                            t->n + 1, i + 1, tokenizer_vocab_size(tokenizer) - 1);
        ids[i++] = (uint32_t)id;
    }
    buf_init(&text, MODEL_TEXTS_BYTES_MAX);
    status = tokenizer_decode(tokenizer, ids, n, true, &text, reterr);
    if (status == RAG_OK)
        status = texts_add(t, buf_str(&text), text.len, "'input'", reterr);
    buf_release(&text);
    return status;
}

static enum rag_status read_input(struct texts *t, const struct tokenizer *tokenizer,
                                  struct rag_error *reterr)
{
    const struct json *input = json_member(t->body, "input");
    const struct json *first = json_first(input);
    bool one = json_is_string(input) || (json_is_array(input) && json_is_number(first));
    size_t n = one ? 1 : json_size(input);
    enum rag_status status;

    if (n == 0 || !(one || json_is_array(input)))
        return rag_fail(reterr, RAG_EINVAL,
                        "'input': is not a text, an array of texts, or an array of tokens or of "
                        "arrays of tokens");
    if (n > EMBEDDINGS_INPUTS_MAX)
        return rag_fail(reterr, RAG_EINVAL, "'input': %zu elements, the limit is %d", n,
                        EMBEDDINGS_INPUTS_MAX);
    status = texts_init(t, n, reterr);
    if (status == RAG_OK && json_is_string(input))
        return texts_add(t, json_string(input), strlen(json_string(input)), "'input'", reterr);
    if (status == RAG_OK && one)
        return add_tokens(t, tokenizer, input, reterr);
    for (const struct json *e = first; e && status == RAG_OK; e = json_next(e)) {
        const char *text = json_string(e);

        if (text)
            status = texts_add(t, text, strlen(text), "'input'", reterr);
        else if (json_is_array(e) && json_size(e) > 0)
            status = add_tokens(t, tokenizer, e, reterr);
        else
            status =
                rag_fail(reterr, RAG_EINVAL,
                         "'input': element %zu is neither a text nor an array of tokens", t->n + 1);
    }
    return status;
}

static enum rag_status read_role(const struct json *body, enum embed_role *ret,
                                 struct rag_error *reterr)
{
    const char *type = NULL;
    enum rag_status status = json_get_string(body, "input_type", FORMAT_BYTES_MAX, &type, reterr);

    if (status != RAG_OK || !type)
        return status;
    if (strcmp(type, "query") == 0)
        *ret = EMBED_QUERY;
    else if (strcmp(type, "passage") == 0)
        *ret = EMBED_PASSAGE;
    else
        return rag_fail(reterr, RAG_EINVAL, "'input_type': '%s' is neither 'query' nor 'passage'",
                        type);
    return RAG_OK;
}

static enum rag_status embeddings_read(const struct app *app, const struct http_request *request,
                                       struct embeddings *e, struct bi_encoder_info *info,
                                       struct rag_error *reterr)
{
    static const char *const keys[] = {
        "model", "input", "encoding_format", "dimensions", "input_type", "user", NULL};
    const char *format = "float";
    const char *name = embedder_name(app, info);
    enum rag_status status = handle_body_object(request, &e->texts.body, reterr);
    int64_t dim = name ? (int64_t)info->dim : 0;

    if (status == RAG_OK)
        status = check_model(e->texts.body, "embedder", name, reterr);
    if (status == RAG_OK)
        status = json_only(e->texts.body, keys, reterr);
    if (status == RAG_OK)
        status =
            json_get_string(e->texts.body, "encoding_format", FORMAT_BYTES_MAX, &format, reterr);
    if (status == RAG_OK && strcmp(format, "float") != 0 && strcmp(format, "base64") != 0)
        status = rag_fail(reterr, RAG_EINVAL,
                          "'encoding_format': '%s' is neither 'float' nor 'base64'", format);
    if (status == RAG_OK)
        status = json_get_int(e->texts.body, "dimensions", 1, dim, &dim, reterr);
    if (status == RAG_OK)
        status = read_role(e->texts.body, &e->role, reterr);
    if (status == RAG_OK)
        status = read_input(&e->texts, bi_encoder_tokenizer(models_embedder(app->models)), reterr);
    e->base64 = status == RAG_OK && strcmp(format, "base64") == 0;
    e->dim = (size_t)dim;
    return status;
}

static enum rag_status embeddings_compute(struct app *app, const struct http_request *request,
                                          struct embeddings *e, size_t model_dim,
                                          struct rag_error *reterr)
{
    size_t n = e->texts.n;
    struct embed_text *texts = arena_calloc(&e->texts.arena, n, sizeof *texts);

    e->tokens = arena_calloc(&e->texts.arena, n, sizeof *e->tokens);
    e->vectors = calloc(n, model_dim * sizeof *e->vectors);
    if (!texts || !e->tokens || !e->vectors)
        return rag_fail(reterr, RAG_ENOMEM, "embeddings: out of memory");
    for (size_t i = 0; i < n; i++)
        texts[i] = (struct embed_text){e->texts.items[i], e->texts.bytes[i]};
    return models_embed(app->models, models_embedder(app->models),
                        n <= INTERACTIVE_TEXTS_MAX ? MODELS_INTERACTIVE : MODELS_BULK,
                        MODELS_MAY_LEAVE, texts, n, e->role,
                        clock_monotonic_ns() + app->config->ask_deadline_ms * 1000000,
                        request->cancelled, e->vectors, e->tokens, reterr);
}

/* The first dim numbers, brought to length 1 again. */
static void shorten(float *v, size_t model_dim, size_t dim)
{
    double sum = 0;
    double length;

    if (dim == model_dim)
        return;
    for (size_t i = 0; i < dim; i++)
        sum += (double)v[i] * (double)v[i];
    length = sqrt(sum);
    for (size_t i = 0; i < dim && length > 0; i++)
        v[i] = (float)((double)v[i] / length);
}

/* The little-endian bytes of n floats. */
static void put_base64(struct json_writer *w, const char *key, const float *v, size_t n,
                       struct buf *scratch)
{
    buf_reset(scratch);
    base64_append(v, n * sizeof *v, scratch);
    json_put_string(w, key, buf_str(scratch));
}

static void write_vector(struct json_writer *w, const struct embeddings *e, const float *v,
                         struct buf *scratch)
{
    if (e->base64) {
        put_base64(w, "embedding", v, e->dim, scratch);
        return;
    }
    json_begin_array(w, "embedding");
    for (size_t i = 0; i < e->dim; i++)
        json_put_single(w, NULL, v[i]);
    json_end_array(w);
}

static void embeddings_write(struct embeddings *e, const struct bi_encoder_info *info,
                             struct buf *out)
{
    struct json_writer w;
    uint64_t n_tokens = 0;
    struct buf scratch;

    buf_init(&scratch, e->dim * 6 + 16);
    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "object", "list");
    json_begin_array(&w, "data");
    for (size_t i = 0; i < e->texts.n; i++) {
        float *v = &e->vectors[i * info->dim];

        shorten(v, info->dim, e->dim);
        n_tokens += e->tokens[i];
        json_begin_object(&w, NULL);
        json_put_string(&w, "object", "embedding");
        json_put_int(&w, "index", (int64_t)i);
        write_vector(&w, e, v, &scratch);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_put_string(&w, "model", info->name);
    json_begin_object(&w, "usage");
    json_put_int(&w, "prompt_tokens", (int64_t)n_tokens);
    json_put_int(&w, "total_tokens", (int64_t)n_tokens);
    json_end_object(&w);
    json_end_object(&w);
    buf_release(&scratch);
}

void handle_embeddings(struct http_request *request, struct http_response *response, void *context)
{
    struct embeddings e = {.role = EMBED_PLAIN};
    struct rag_error error = {RAG_OK, ""};
    struct bi_encoder_info info;
    struct app *app = context;
    enum rag_status status;
    struct buf body;

    buf_init(&body, HANDLE_REPLY_BYTES_MAX);
    arena_init(&e.texts.arena, MODEL_ARENA_BYTES_MAX);
    status = embeddings_read(app, request, &e, &info, &error);
    if (status == RAG_OK)
        status = embeddings_compute(app, request, &e, info.dim, &error);
    if (status == RAG_OK)
        embeddings_write(&e, &info, &body);
    handle_finish(request, response, 200, &body, status, &error);
    free(e.vectors);
    texts_release(&e.texts);
}

/* ---- POST /v1/rerank ---- */

struct reranking {
    struct texts texts; /* the query, then the documents */
    int64_t top_n;
    bool return_documents;
    bool raw;
};

struct scored {
    size_t index;
    float score;
};

static int best_first(const void *a, const void *b)
{
    const struct scored *x = a;
    const struct scored *y = b;

    if (x->score < y->score || x->score > y->score)
        return x->score < y->score ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

static enum rag_status read_documents(struct reranking *r, struct rag_error *reterr)
{
    const struct json *documents = NULL;
    struct texts *t = &r->texts;
    const char *query = NULL;
    enum rag_status status = json_get_string(t->body, "query", QUESTION_BYTES_MAX, &query, reterr);
    size_t n;

    if (status == RAG_OK)
        status = json_get_array(t->body, "documents", &documents, reterr);
    if (status != RAG_OK)
        return status;
    n = json_size(documents);
    if (!query || n == 0)
        return rag_fail(reterr, RAG_EINVAL, "'%s': missing or empty",
                        query ? "documents" : "query");
    if (n > RERANK_DOCUMENTS_MAX)
        return rag_fail(reterr, RAG_EINVAL, "'documents': %zu elements, the limit is %d", n,
                        RERANK_DOCUMENTS_MAX);
    status = texts_init(t, n + 1, reterr);
    if (status == RAG_OK)
        status = texts_add(t, query, strlen(query), "'query'", reterr);
    for (const struct json *d = json_first(documents); d && status == RAG_OK; d = json_next(d)) {
        const char *text = json_string(json_is_object(d) ? json_member(d, "text") : d);

        status =
            text ? texts_add(t, text, strlen(text), "'documents'", reterr)
                 : rag_fail(reterr, RAG_EINVAL,
                            "'documents': element %zu is neither a text nor {\"text\": ...}", t->n);
    }
    r->top_n = (int64_t)n;
    return status == RAG_OK ? json_get_int(t->body, "top_n", 1, INT32_MAX, &r->top_n, reterr)
                            : status;
}

static enum rag_status reranking_read(const struct app *app, const struct http_request *request,
                                      struct reranking *r, struct cross_encoder_info *info,
                                      struct rag_error *reterr)
{
    static const char *const keys[] = {
        "model", "query", "documents", "top_n", "return_documents", "raw_scores", NULL};
    enum rag_status status = handle_body_object(request, &r->texts.body, reterr);

    if (status == RAG_OK)
        status = check_model(r->texts.body, "reranker", reranker_name(app, info), reterr);
    if (status == RAG_OK)
        status = json_only(r->texts.body, keys, reterr);
    if (status == RAG_OK)
        status = json_get_bool(r->texts.body, "return_documents", &r->return_documents, reterr);
    if (status == RAG_OK)
        status = json_get_bool(r->texts.body, "raw_scores", &r->raw, reterr);
    return status == RAG_OK ? read_documents(r, reterr) : status;
}

static enum rag_status reranking_compute(struct app *app, const struct http_request *request,
                                         struct reranking *r, struct scored **ret,
                                         struct rag_error *reterr)
{
    size_t n = r->texts.n - 1;
    struct pair_text *pairs = arena_calloc(&r->texts.arena, n, sizeof *pairs);
    struct scored *scored = arena_calloc(&r->texts.arena, n, sizeof *scored);
    float *scores = arena_calloc(&r->texts.arena, n, sizeof *scores);
    struct pair_text query = {r->texts.items[0], r->texts.bytes[0]};
    enum rag_status status;
    size_t n_scored = 0;

    if (!pairs || !scored || !scores)
        return rag_fail(reterr, RAG_ENOMEM, "rerank: out of memory");
    for (size_t i = 0; i < n; i++)
        pairs[i] = (struct pair_text){r->texts.items[i + 1], r->texts.bytes[i + 1]};
    status = models_rerank(app->models, MODELS_MAY_LEAVE, query, pairs, n, r->raw,
                           app->config->ask_deadline_ms * 1000000, request->cancelled, scores,
                           &n_scored, reterr);
    if (status == RAG_OK && n_scored < n)
        status = rag_fail(reterr, RAG_ETIMEOUT,
                          "rerank: %zu of %zu documents were read within deadline_ms (%lld)",
                          n_scored, n, (long long)app->config->ask_deadline_ms);
    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        scored[i] = (struct scored){i, scores[i]};
    qsort(scored, n, sizeof *scored, best_first);
    *ret = scored;
    return RAG_OK;
}

void handle_rerank(struct http_request *request, struct http_response *response, void *context)
{
    struct reranking r = {.top_n = 0};
    struct rag_error error = {RAG_OK, ""};
    struct cross_encoder_info info;
    struct scored *scored = NULL;
    struct app *app = context;
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, HANDLE_REPLY_BYTES_MAX);
    arena_init(&r.texts.arena, MODEL_ARENA_BYTES_MAX);
    json_writer_init(&w, &body);
    status = reranking_read(app, request, &r, &info, &error);
    if (status == RAG_OK)
        status = reranking_compute(app, request, &r, &scored, &error);
    if (status == RAG_OK) {
        json_begin_object(&w, NULL);
        json_put_string(&w, "id", request->id);
        json_put_string(&w, "model", info.name);
        json_begin_array(&w, "results");
        for (size_t i = 0; i + 1 < r.texts.n && (int64_t)i < r.top_n; i++) {
            json_begin_object(&w, NULL);
            json_put_int(&w, "index", (int64_t)scored[i].index);
            json_put_single(&w, "relevance_score", scored[i].score);
            if (r.return_documents) {
                json_begin_object(&w, "document");
                json_put_string(&w, "text", r.texts.items[scored[i].index + 1]);
                json_end_object(&w);
            }
            json_end_object(&w);
        }
        json_end_array(&w);
        json_end_object(&w);
    }
    handle_finish(request, response, 200, &body, status, &error);
    texts_release(&r.texts);
}
