#define _GNU_SOURCE
#include "generate/local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/sha256.h"
#include "generate/answer_out.h"
#include "generate/chat_template.h"
#include "nn/model_files.h"
#include "nn/model_tensors.h"
#include "nn/tokenizer.h"

#define ENDS_MAX 32 /* tokens that end an answer: the configuration's and the template's */

struct local {
    struct generator base;
    struct model_tensors *tensors;
    struct tokenizer *tokenizer;
    struct decoder *decoder;
    struct chat_template *chat;
    struct decode_scheduler *scheduler;
    char *path;
    char *name;
    char fingerprint[SHA256_HEX_BYTES];
    const char *precision;
    enum unsupported_policy unsupported;
    pair_score_fn *pair_score;
    void *pair_score_context;
    uint64_t kv_budget_bytes;
    size_t context_tokens;
    size_t new_tokens;
    uint32_t ends[ENDS_MAX];
    size_t n_ends;
};

/* ---- one answer ---- */

static bool on_text(void *context, const char *text, size_t n)
{
    return answer_out_text(context, text, n);
}

static void note_outcome(const struct decode_outcome *o, struct generator_result *ret)
{
    ret->finish_reason = o->finish_reason;
    ret->stop_string = o->stop_string;
    ret->prompt_tokens = o->n_prompt;
    ret->cached_tokens = o->n_cached;
    ret->output_tokens = o->n_output;
    ret->prefill_ms = (double)(o->queued_ns + o->prefill_ns) / 1e6;
    ret->decode_ms = (double)o->decode_ns / 1e6;
}

/* The prompt's tokens to the answer. */
static enum rag_status decode(struct local *self, const struct generator_request *request,
                              const struct token_list *prompt, size_t n_new, struct answer_out *a,
                              struct rag_error *reterr)
{
    struct decode_request decode = {
        .prompt = prompt->ids,
        .n_prompt = prompt->n,
        .sampling = &request->sampling,
        .n_new_max = n_new,
        .ends = self->ends,
        .n_ends = self->n_ends,
        .deadline_ns = request->deadline_ns,
        .cancel = request->cancel,
        .on_text = on_text,
        .context = a,
    };
    const char *text = request->sampling.schema;
    struct json_schema *schema = NULL;
    struct decode_outcome outcome = {0};
    enum rag_status status = RAG_OK;

    if (text)
        status = json_schema_compile(text, strlen(text), &schema, reterr);
    decode.schema = schema;
    if (status == RAG_OK)
        status = decode_scheduler_run(self->scheduler, &decode, &outcome, reterr);
    if (status == RAG_OK) {
        note_outcome(&outcome, a->result);
        status = answer_out_finish(a, reterr);
    }
    free(outcome.ids);
    json_schema_free(schema);
    return status;
}

/* ---- prompts ---- */

static enum rag_status render(const struct local *self, const struct message *messages, size_t n,
                              struct token_list *ret, struct rag_error *reterr)
{
    static const struct chat_render_options options = {.open_answer = true};

    return chat_template_render(self->chat, messages, n, &options, ret, reterr);
}

struct counter {
    const struct local *self;
    struct token_list list;
};

static enum rag_status count_tokens(void *context, const struct message *messages, size_t n,
                                    size_t *ret, struct rag_error *reterr)
{
    struct counter *c = context;
    enum rag_status status = render(c->self, messages, n, &c->list, reterr);

    if (status == RAG_OK)
        *ret = c->list.n;
    return status;
}

/* Tokens of an answer: what is asked for, at most half the context, so that a prompt has room. */
static size_t answer_tokens(const struct local *self, const struct generator_request *request)
{
    size_t n = generator_new_tokens(request, self->new_tokens);

    return n <= self->context_tokens / 2 ? n : self->context_tokens / 2;
}

static enum rag_status generate_grounded(struct local *self,
                                         const struct generator_request *request,
                                         struct answer_out *a, struct rag_error *reterr)
{
    size_t n_new = answer_tokens(self, request);
    struct grounded_prompt prompt = {0};
    struct counter counter = {.self = self};
    enum rag_status status;

    status = grounded_prompt_make(request, self->context_tokens - n_new, count_tokens, &counter,
                                  &prompt, reterr);
    if (status == RAG_OK) {
        struct grounding_options options = {
            .request = request,
            .unsupported = self->unsupported,
            .pair_score = self->pair_score,
            .pair_score_context = self->pair_score_context,
        };

        status = answer_out_ground(a, options, &prompt, reterr);
    }
    if (status == RAG_OK)
        status = render(self, prompt.messages, prompt.n_messages, &counter.list, reterr);
    if (status == RAG_OK)
        status = decode(self, request, &counter.list, n_new, a, reterr);
    token_list_release(&counter.list);
    grounded_prompt_release(&prompt);
    return status;
}

static enum rag_status generate_plain(struct local *self, const struct generator_request *request,
                                      struct answer_out *a, struct rag_error *reterr)
{
    struct token_list list = {0};
    size_t n_new = generator_new_tokens(request, self->new_tokens);
    enum rag_status status = render(self, request->messages, request->n_messages, &list, reterr);

    if (status == RAG_OK && list.n >= self->context_tokens)
        status = rag_fail(reterr, RAG_ELIMIT,
                          "messages: %zu tokens, the context has %zu for them and the answer; "
                          "leave out earlier turns, or raise [generate] context_tokens and "
                          "kv_budget_mb, which bounds it",
                          list.n, self->context_tokens);
    if (status == RAG_OK) {
        if (n_new > self->context_tokens - list.n)
            n_new = self->context_tokens - list.n;
        status = decode(self, request, &list, n_new, a, reterr);
    }
    token_list_release(&list);
    return status;
}

static enum rag_status generate(struct generator *generator,
                                const struct generator_request *request,
                                const struct generator_sink *sink, struct generator_result *ret,
                                struct rag_error *reterr)
{
    struct local *self = (struct local *)generator;
    struct answer_out a;
    enum rag_status status;

    ret->backend = generator->name;
    ret->model_fingerprint = self->fingerprint;
    ret->finish_reason = FINISH_STOP;
    status = generator_request_check(request, reterr);
    if (status != RAG_OK)
        return status;
    answer_out_init(&a, sink, ret);
    if (request->grounding == GROUNDING_STRICT)
        status = generate_grounded(self, request, &a, reterr);
    else
        status = generate_plain(self, request, &a, reterr);
    answer_out_release(&a);
    return status;
}

/* ---- open and close ---- */

static void local_close(struct generator *generator)
{
    struct local *self = (struct local *)generator;

    if (!self)
        return;
    decode_scheduler_close(self->scheduler);
    chat_template_close(self->chat);
    decoder_close(self->decoder);
    tokenizer_close(self->tokenizer);
    model_tensors_close(self->tensors);
    free(self->name);
    free(self->path);
    free(self);
}

static enum rag_status open_chat(struct local *self, const char *name, struct rag_error *reterr)
{
    const struct gguf *g = model_tensors_gguf(self->tensors);
    struct chat_template_source source = {
        .name = name,
        .family = decoder_family_name(model_tensors_config(self->tensors)->family),
    };
    enum rag_status status;
    char *text = NULL;

    status = g ? chat_template_text_of_gguf(g, &text, &source.n_bytes, reterr)
               : chat_template_text_of_dir(self->path, &text, &source.n_bytes, reterr);
    if (status == RAG_OK || status == RAG_ENOTFOUND) {
        source.text = text;
        status = chat_template_open(&source, self->tokenizer, &self->chat, reterr);
    }
    free(text);
    return status;
}

/* The tokens that end an answer: of the configuration, and of the template, once each. */
static void collect_ends(struct local *self)
{
    const struct decoder_config *config = model_tensors_config(self->tensors);
    const uint32_t *more = NULL;
    size_t n_more = chat_template_ends(self->chat, &more);

    for (size_t i = 0; i < config->n_eos + n_more && self->n_ends < ENDS_MAX; i++) {
        uint32_t id = i < config->n_eos ? config->eos_ids[i] : more[i - config->n_eos];
        size_t k = 0;

        while (k < self->n_ends && self->ends[k] != id)
            k++;
        if (k == self->n_ends)
            self->ends[self->n_ends++] = id;
    }
}

/* What the budget holds, less the page that a copy may take. */
static size_t tokens_in_budget(const struct local *self)
{
    struct kv_cache_options kv = decoder_kv_options(self->decoder);
    uint64_t n = self->kv_budget_bytes / ((uint64_t)kv.n_layers * kv.layer_page_bytes);

    return n > 1 ? (size_t)(n - 1) * KV_PAGE_TOKENS : 0;
}

static enum rag_status decide_context(struct local *self, size_t wanted, struct rag_error *reterr)
{
    size_t in_budget = tokens_in_budget(self);
    struct decoder_info info;
    size_t n = wanted > 0 ? wanted : LOCAL_CONTEXT_DEFAULT;

    decoder_info(self->decoder, &info);
    if (wanted > 0 && wanted < LOCAL_CONTEXT_MIN)
        return rag_fail(reterr, RAG_EINVAL, "context_tokens: %zu, the least is %d", wanted,
                        LOCAL_CONTEXT_MIN);
    if (wanted > info.context_max)
        return rag_fail(reterr, RAG_EINVAL, "context_tokens: %zu, the model has %zu", wanted,
                        info.context_max);
    if (n > info.context_max)
        n = info.context_max;
    if (wanted > in_budget || in_budget < LOCAL_CONTEXT_MIN)
        return rag_fail(reterr, RAG_EINVAL,
                        "a KV budget of %llu bytes holds %zu tokens (%llu bytes each), "
                        "context_tokens is %zu; raise kv_budget_mb",
                        (unsigned long long)self->kv_budget_bytes, in_budget,
                        (unsigned long long)info.kv_bytes_per_token, n);
    self->context_tokens = n < in_budget ? n : in_budget;
    return RAG_OK;
}

static enum rag_status decide_fingerprint(struct local *self, struct compute_pool *pool,
                                          struct rag_error *reterr)
{
    const char *chat = chat_template_name(self->chat);
    uint8_t files[SHA256_BYTES];
    uint8_t digest[SHA256_BYTES];
    struct sha256_part parts[] = {
        {files,           sizeof files           },
        {self->precision, strlen(self->precision)},
        {chat,            strlen(chat)           },
    };
    enum rag_status status = model_tensors_digest(self->tensors, pool, files, reterr);

    if (status == RAG_OK && sha256_lengths(parts, sizeof parts / sizeof parts[0], digest) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "out of memory");
    if (status == RAG_OK)
        sha256_hex(digest, self->fingerprint);
    return status;
}

/* "org/name" or the folder's name; of a file its name without ".gguf". */
static enum rag_status decide_name(struct local *self, struct rag_error *reterr)
{
    size_t n;

    self->name = model_dir_name(self->path);
    if (!self->name)
        return rag_fail(reterr, RAG_ENOMEM, "out of memory");
    n = strlen(self->name);
    if (n > 5 && strcmp(self->name + n - 5, ".gguf") == 0)
        self->name[n - 5] = '\0';
    return RAG_OK;
}

static enum rag_status open_model(struct local *self, const struct local_options *o,
                                  struct rag_error *reterr)
{
    struct decoder_options decoder = {
        .precision = o->fp32 ? DECODER_FP32 : DECODER_BLOCKS,
        .dense_type = o->dense_type,
        .pool = o->pool,
    };
    enum rag_status status = model_tensors_open(o->path, &self->tensors, reterr);
    const struct gguf *g;

    if (status != RAG_OK)
        return status;
    g = model_tensors_gguf(self->tensors);
    self->precision = o->fp32                       ? "fp32"
                      : g                           ? "quantised"
                      : o->dense_type == BLOCK_Q8_0 ? "int8"
                                                    : "int4";
    status = g ? tokenizer_open_gguf(g, &self->tokenizer, reterr)
               : tokenizer_open(o->path, &self->tokenizer, reterr);
    if (status == RAG_OK)
        status = open_chat(self, o->chat_template, reterr);
    if (status == RAG_OK)
        status = decoder_open(self->tensors, &decoder, &self->decoder, reterr);
    return status;
}

static enum rag_status open_scheduler(struct local *self, const struct local_options *o,
                                      struct rag_error *reterr)
{
    struct decode_scheduler_options scheduler = {
        .decoder = self->decoder,
        .tokenizer = self->tokenizer,
        .kv_budget_bytes = self->kv_budget_bytes,
        .n_running_max = o->n_running_max ? o->n_running_max : LOCAL_RUNNING_DEFAULT,
        .n_waiting_max = LOCAL_WAITING_MAX,
        .chunk_tokens = LOCAL_CHUNK_TOKENS,
        .layer_ms_max = LOCAL_LAYER_MS,
        .draft_tokens = o->draft_tokens,
        .turns = o->turns,
    };
    enum rag_status status = decide_context(self, o->context_tokens, reterr);

    return status == RAG_OK ? decode_scheduler_open(&scheduler, &self->scheduler, reterr) : status;
}

enum rag_status local_open(const struct local_options *options, struct generator **ret,
                           struct rag_error *reterr)
{
    struct rag_error error = {RAG_OK, ""};
    struct local *self = calloc(1, sizeof *self);
    enum rag_status status;

    if (!self)
        return rag_fail(reterr, RAG_ENOMEM, "model '%s': out of memory", options->path);
    self->unsupported = options->unsupported;
    self->pair_score = options->pair_score;
    self->pair_score_context = options->pair_score_context;
    self->kv_budget_bytes =
        options->kv_budget_bytes ? options->kv_budget_bytes : LOCAL_KV_BYTES_DEFAULT;
    self->new_tokens = options->new_tokens ? options->new_tokens : LOCAL_NEW_TOKENS_DEFAULT;
    self->path = strdup(options->path);
    status = self->path ? decide_name(self, &error) : rag_fail(&error, RAG_ENOMEM, "out of memory");
    if (status == RAG_OK)
        status = open_model(self, options, &error);
    if (status == RAG_OK)
        status = decide_fingerprint(self, options->pool, &error);
    if (status == RAG_OK)
        status = open_scheduler(self, options, &error);
    if (status != RAG_OK) {
        local_close(&self->base);
        if (strstr(error.text, options->path)) /* most name their file themselves */
            return rag_fail(reterr, status, "%s", error.text);
        return rag_fail(reterr, status, "model '%s': %s", options->path, error.text);
    }
    collect_ends(self);
    self->base = (struct generator){
        .name = "local",
        .capabilities = {.streams = true,
                         .schema = true,
                         .context_tokens_max = self->context_tokens},
        .generate = generate,
        .close = local_close,
    };
    *ret = &self->base;
    return RAG_OK;
}

void local_info(const struct generator *g, struct local_info *ret)
{
    const struct local *self = (const struct local *)g;

    *ret = (struct local_info){
        .path = self->path,
        .name = self->name,
        .chat_template = chat_template_name(self->chat),
        .fingerprint = self->fingerprint,
        .precision = self->precision,
        .file_bytes = model_tensors_bytes(self->tensors),
        .kv_budget_bytes = self->kv_budget_bytes,
        .context_tokens = self->context_tokens,
        .new_tokens = self->new_tokens,
    };
    decoder_info(self->decoder, &ret->decoder);
}

void local_stats(const struct generator *g, struct decode_scheduler_stats *ret)
{
    const struct local *self = (const struct local *)g;

    decode_scheduler_stats(self->scheduler, ret);
}

/* What the bytes of keys and values depend on. */
static enum rag_status binding_of(const struct local *self, uint8_t ret[SHA256_BYTES],
                                  struct rag_error *reterr)
{
    struct decoder_info info;
    struct sha256_part parts[2];

    decoder_info(self->decoder, &info);
    parts[0] = (struct sha256_part){self->fingerprint, strlen(self->fingerprint)};
    parts[1] = (struct sha256_part){info.kernels, strlen(info.kernels)};
    if (sha256_lengths(parts, 2, ret) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "KV cache: out of memory");
    return RAG_OK;
}

enum rag_status local_load(struct generator *g, const char *path, size_t *ret_n,
                           struct rag_error *reterr)
{
    const struct local *self = (const struct local *)g;
    uint8_t binding[SHA256_BYTES];
    enum rag_status status = binding_of(self, binding, reterr);

    return status == RAG_OK ? decode_scheduler_load(self->scheduler, path, binding, ret_n, reterr)
                            : status;
}

enum rag_status local_save(struct generator *g, const char *path, uint64_t bytes_max, size_t *ret_n,
                           struct rag_error *reterr)
{
    const struct local *self = (const struct local *)g;
    uint8_t binding[SHA256_BYTES];
    enum rag_status status = binding_of(self, binding, reterr);

    if (status != RAG_OK)
        return status;
    return decode_scheduler_save(self->scheduler, path, binding, bytes_max, ret_n, reterr);
}
