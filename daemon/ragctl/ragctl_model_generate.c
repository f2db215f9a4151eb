#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "daemon/ragctl/ragctl_model_session.h"
#include "daemon/ragctl/ragctl_print.h"
#include "generate/chat_template.h"
#include "generate/sampler.h"
#include "generate/stop_filter.h"
#include "nn/tokenizer.h"

#define NEW_TOKENS_DEFAULT 256
#define NEW_TOKENS_MAX     1000000
#define TEXT_BYTES_MAX     (64u << 20) /* of an answer: a million tokens of 64 bytes */

/* What the command line says. */
struct wishes {
    const char *prompt;
    const char *template_name;
    const char *temperature;
    const char *top_p;
    const char *min_p;
    const char *penalty;
    int64_t top_k;
    int64_t seed;
    int64_t new_tokens;
    struct ragctl_list stop;
    bool chat;
    bool ignore_ends;
};

struct generation {
    struct model_session m;
    struct wishes wishes;
    struct sampling sampling;
    const char *stop[SAMPLING_STOPS_MAX + 1];
    struct tokenizer *tokenizer; /* owned, as all below; NULL: the model has none */
    struct chat_template *chat_template;
    struct sampler *sampler;
    struct stop_filter *filter;
    struct token_stream stream;
    struct token_list prompt;
    uint32_t *ids; /* generated, [n] */
    size_t n;
    size_t n_decoded; /* computed one by one, in decode_ns */
    float *logits;    /* [vocab_size] */
    struct buf text;
    int64_t prefill_ns;
    int64_t decode_ns;
};

static void release(struct generation *g)
{
    token_list_release(&g->prompt);
    token_stream_release(&g->stream);
    stop_filter_close(g->filter);
    sampler_close(g->sampler);
    chat_template_close(g->chat_template);
    tokenizer_close(g->tokenizer);
    buf_release(&g->text);
    free(g->logits);
    free(g->ids);
}

/* ---- the command line ---- */

static enum rag_status read_number(const char *option, const char *text, float *ret,
                                   struct rag_error *reterr)
{
    char *end = NULL;
    float value;

    if (!text)
        return RAG_OK;
    errno = 0;
    value = strtof(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !isfinite(value))
        return rag_fail(reterr, RAG_EINVAL, "option %s '%s': must be a number", option, text);
    *ret = value;
    return RAG_OK;
}

static enum rag_status read_sampling(struct generation *g, struct rag_error *reterr)
{
    const struct wishes *w = &g->wishes;
    struct sampling *s = &g->sampling;
    enum rag_status status;

    *s = (struct sampling){.top_p = 1.0f, .repetition_penalty = 1.0f};
    s->top_k = (int)w->top_k;
    s->seed = (uint64_t)w->seed;
    s->max_new_tokens = (int)w->new_tokens;
    if (w->stop.n > SAMPLING_STOPS_MAX)
        return rag_fail(reterr, RAG_EINVAL, "option --stop: %zu times, at most %d", w->stop.n,
                        SAMPLING_STOPS_MAX);
    for (size_t i = 0; i < w->stop.n; i++)
        g->stop[i] = w->stop.items[i];
    s->stop = w->stop.n > 0 ? g->stop : NULL;
    status = read_number("--temperature", w->temperature, &s->temperature, reterr);
    if (status == RAG_OK)
        status = read_number("--top-p", w->top_p, &s->top_p, reterr);
    if (status == RAG_OK)
        status = read_number("--min-p", w->min_p, &s->min_p, reterr);
    if (status == RAG_OK)
        status = read_number("--repetition-penalty", w->penalty, &s->repetition_penalty, reterr);
    return status == RAG_OK ? sampling_check(s, reterr) : status;
}

static enum rag_status begin(struct generation *g, const struct ragctl_options *options, int argc,
                             char **argv, struct rag_error *reterr)
{
    struct wishes *w = &g->wishes;
    /* clang-format off */
    const struct ragctl_arg table[] = {
        {.name = "--prompt",             .text = &w->prompt},
        {.name = "--chat",               .flag = &w->chat},
        {.name = "--chat-template",      .text = &w->template_name},
        {.name = "--max-new-tokens",     .number = &w->new_tokens, .min = 1, .max = NEW_TOKENS_MAX},
        {.name = "--temperature",        .text = &w->temperature},
        {.name = "--top-k",              .number = &w->top_k, .min = 0, .max = 1000000},
        {.name = "--top-p",              .text = &w->top_p},
        {.name = "--min-p",              .text = &w->min_p},
        {.name = "--repetition-penalty", .text = &w->penalty},
        {.name = "--seed",               .number = &w->seed, .min = 0, .max = INT64_MAX},
        {.name = "--stop",               .list = &w->stop},
        {.name = "--ignore-eos",         .flag = &w->ignore_ends},
    };
    /* clang-format on */
    enum rag_status status;

    w->new_tokens = NEW_TOKENS_DEFAULT;
    status = model_session_begin(&g->m, options, argc, argv, table, sizeof table / sizeof table[0],
                                 reterr);
    if (status == RAG_OK && !w->prompt == !g->m.ids)
        status =
            rag_fail(reterr, RAG_EINVAL, "model generate: needs either --prompt TEXT or --ids IDS");
    if (status == RAG_OK && g->m.ids && (w->chat || w->template_name))
        status = rag_fail(reterr, RAG_EINVAL,
                          "option --chat: wants a --prompt, since --ids are taken as they are");
    return status == RAG_OK ? read_sampling(g, reterr) : status;
}

/* ---- the prompt ---- */

static enum rag_status open_tokenizer(struct generation *g, struct rag_error *reterr)
{
    const struct gguf *file = model_tensors_gguf(g->m.model);
    struct rag_error why = {0};
    enum rag_status status;

    if (file)
        status = tokenizer_open_gguf(file, &g->tokenizer, &why);
    else
        status = tokenizer_open(g->m.path, &g->tokenizer, &why);
    if (status == RAG_OK)
        return RAG_OK;
    if (g->wishes.prompt || status == RAG_ENOMEM)
        return rag_fail(reterr, status, "%s", why.text);
    ragctl_note(g->m.options, "no text, ids only: %s", why.text);
    return RAG_OK;
}

static enum rag_status open_template(struct generation *g, struct rag_error *reterr)
{
    const struct gguf *file = model_tensors_gguf(g->m.model);
    struct chat_template_source source = {.name = g->wishes.template_name};
    enum rag_status status = RAG_OK;
    char *text = NULL;

    if (!source.name && file)
        status = chat_template_text_of_gguf(file, &text, &source.n_bytes, reterr);
    else if (!source.name)
        status = chat_template_text_of_dir(g->m.path, &text, &source.n_bytes, reterr);
    if (status != RAG_OK)
        return status;
    source.text = text;
    source.family = decoder_family_name(decoder_config(g->m.decoder)->family);
    status = chat_template_open(&source, g->tokenizer, &g->chat_template, reterr);
    free(text);
    return status;
}

static enum rag_status read_prompt(struct generation *g, struct rag_error *reterr)
{
    const struct tokenize_options options = {.special = true}; /* the beginning token, if any */
    const struct chat_render_options render = {.open_answer = true};
    const struct message message = {ROLE_USER, g->wishes.prompt};
    enum rag_status status;

    if (g->m.ids) {
        g->prompt.ids = g->m.ids; /* ownership moves */
        g->prompt.n = g->m.n_ids;
        g->m.ids = NULL;
        return RAG_OK;
    }
    if (g->wishes.chat || g->wishes.template_name) {
        status = open_template(g, reterr);
        return status == RAG_OK ? chat_template_render(g->chat_template, &message, 1, &render,
                                                       &g->prompt, reterr)
                                : status;
    }
    status = tokenizer_encode(g->tokenizer, g->wishes.prompt, strlen(g->wishes.prompt), NULL, 0,
                              &options, &g->prompt, reterr);
    if (status != RAG_OK)
        return status;
    return g->prompt.n > 0 ? RAG_OK
                           : rag_fail(reterr, RAG_EINVAL,
                                      "option --prompt: no tokens, and this model's texts begin "
                                      "with none");
}

/* ---- tokens ---- */

static bool is_end(const struct generation *g, uint32_t id)
{
    const struct decoder_config *c = decoder_config(g->m.decoder);
    const uint32_t *ends = NULL;
    size_t n = g->chat_template ? chat_template_ends(g->chat_template, &ends) : 0;

    if (g->wishes.ignore_ends)
        return false;
    for (size_t i = 0; i < c->n_eos; i++)
        if (c->eos_ids[i] == id)
            return true;
    for (size_t i = 0; i < n; i++)
        if (ends[i] == id)
            return true;
    return false;
}

/* Text that is certain from its first byte 'from' on, to who watches. A model can write what drives
 * a terminal; a file gets the bytes as they are. */
static void show(struct generation *g, size_t from)
{
    const char *text = buf_str(&g->text) + from;
    struct buf clean;

    if (g->m.options->json || g->text.len == from)
        return;
    buf_init(&clean, 4ull * TEXT_BYTES_MAX);
    if (isatty(STDOUT_FILENO))
        print_clean(&clean, text, g->text.len - from);
    else
        buf_append(&clean, text, g->text.len - from);
    fwrite(buf_str(&clean), 1, clean.len, stdout);
    buf_release(&clean);
    fflush(stdout);
}

/* What 'id' (NULL: the end) lets be said. */
static enum rag_status put_text(struct generation *g, const uint32_t *id, bool *ret_stopped,
                                struct rag_error *reterr)
{
    size_t from = g->text.len;
    enum rag_status status;
    struct buf piece;

    *ret_stopped = false;
    if (!g->tokenizer)
        return RAG_OK;
    buf_init(&piece, TEXT_BYTES_MAX);
    if (id && *id >= tokenizer_vocab_size(g->tokenizer))
        status = RAG_OK; /* a row that only fills the matrix up has no text */
    else if (id)
        status = token_stream_put(&g->stream, *id, &piece, reterr);
    else
        status = token_stream_finish(&g->stream, &piece, reterr);
    if (status == RAG_OK)
        status =
            stop_filter_put(g->filter, buf_str(&piece), piece.len, &g->text, ret_stopped, reterr);
    if (status == RAG_OK && !id && !*ret_stopped)
        status = stop_filter_finish(g->filter, &g->text, reterr);
    buf_release(&piece);
    show(g, from);
    return status;
}

static enum rag_status decode(struct generation *g, size_t n_most, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    bool stopped = false;
    uint32_t id = 0;

    while (g->n < n_most && status == RAG_OK) {
        if (g->n > 0) {
            int64_t start = clock_monotonic_ns();

            status = model_session_run(&g->m, &id, 1, 1, g->logits, reterr);
            g->decode_ns += clock_monotonic_ns() - start;
            g->n_decoded++;
        }
        if (status == RAG_OK)
            status = sampler_next(g->sampler, g->logits, NULL, &id, reterr);
        if (status != RAG_OK || is_end(g, id))
            break;
        g->ids[g->n++] = id;
        status = sampler_accept(g->sampler, &id, 1, reterr);
        if (status == RAG_OK)
            status = put_text(g, &id, &stopped, reterr);
        if (stopped)
            return status;
    }
    return status == RAG_OK ? put_text(g, NULL, &stopped, reterr) : status;
}

/* Text goes on where the prompt ends, with the space that some tokenizers take from a beginning; a
 * chat's answer is a beginning. */
static enum rag_status open_stream(struct generation *g, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct buf prompt;

    if (!g->tokenizer)
        return RAG_OK;
    token_stream_init(&g->stream, g->tokenizer, true);
    buf_init(&prompt, TEXT_BYTES_MAX);
    for (size_t i = 0; i < g->prompt.n && !g->chat_template && status == RAG_OK; i++) {
        buf_reset(&prompt);
        if (g->prompt.ids[i] < tokenizer_vocab_size(g->tokenizer))
            status = token_stream_put(&g->stream, g->prompt.ids[i], &prompt, reterr);
    }
    buf_release(&prompt);
    return status;
}

static enum rag_status generate(struct generation *g, struct rag_error *reterr)
{
    const struct decoder_config *c = decoder_config(g->m.decoder);
    size_t n_most = (size_t)g->wishes.new_tokens;
    enum rag_status status;
    int64_t start;

    if (g->prompt.n < c->context_max && n_most > c->context_max - g->prompt.n)
        n_most = c->context_max - g->prompt.n;
    g->ids = calloc(n_most, sizeof *g->ids);
    g->logits = calloc(c->vocab_size, sizeof *g->logits);
    if (!g->ids || !g->logits)
        return rag_fail(reterr, RAG_ENOMEM, "model generate: out of memory");
    status = model_session_room(&g->m, g->prompt.n + n_most, reterr);
    if (status == RAG_OK)
        status = sampler_open(&g->sampling, c->vocab_size, &g->sampler, reterr);
    if (status == RAG_OK)
        status = stop_filter_open(g->sampling.stop, &g->filter, reterr);
    if (status == RAG_OK)
        status = open_stream(g, reterr);
    start = clock_monotonic_ns();
    if (status == RAG_OK)
        status = model_session_run(&g->m, g->prompt.ids, g->prompt.n, 1, g->logits, reterr);
    g->prefill_ns = clock_monotonic_ns() - start;
    if (status == RAG_OK)
        status = sampler_accept(g->sampler, g->prompt.ids, g->prompt.n, reterr);
    return status == RAG_OK ? decode(g, n_most, reterr) : status;
}

/* ---- output ---- */

static double per_second(size_t n, int64_t ns)
{
    return ns > 0 ? (double)n * 1e9 / (double)ns : 0.0;
}

static void put_ids(struct json_writer *w, const char *key, const uint32_t *ids, size_t n)
{
    json_begin_array(w, key);
    for (size_t i = 0; i < n; i++)
        json_put_int(w, NULL, ids[i]);
    json_end_array(w);
}

static enum rag_status print(struct generation *g, struct rag_error *reterr)
{
    double prefill = per_second(g->prompt.n, g->prefill_ns);
    double speed = per_second(g->n_decoded, g->decode_ns);
    enum rag_status status;
    struct json_writer w;
    struct buf out;

    if (!g->m.options->json) {
        putchar('\n');
        ragctl_note(g->m.options, "%zu tokens at %.1f/s, then %zu at %.1f/s", g->prompt.n, prefill,
                    g->n, speed);
        if (g->n == 0 && !g->chat_template && !g->m.ids_text)
            ragctl_note(g->m.options,
                        "the model ended its text at once; a chat model wants --chat");
        return RAG_OK;
    }
    buf_init(&out, 4ull * TEXT_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    put_ids(&w, "prompt_ids", g->prompt.ids, g->prompt.n);
    put_ids(&w, "ids", g->ids, g->n);
    json_put_string_n(&w, "text", buf_str(&g->text), g->text.len);
    json_put_double(&w, "prefill_tokens_per_s", prefill);
    json_put_double(&w, "decode_tokens_per_s", speed);
    json_end_object(&w);
    buf_append_char(&out, '\n');
    status = buf_status(&out);
    if (status == RAG_OK)
        fwrite(buf_str(&out), 1, out.len, stdout);
    else
        rag_fail(reterr, status, "model generate: out of memory");
    buf_release(&out);
    return status;
}

int ragctl_model_generate(const struct ragctl_options *options, int argc, char **argv)
{
    struct generation g = {0};
    struct rag_error error = {0};
    enum rag_status status;

    buf_init(&g.text, TEXT_BYTES_MAX);
    status = begin(&g, options, argc, argv, &error);
    if (status == RAG_OK)
        status = model_session_open(&g.m, &error);
    if (status == RAG_OK)
        status = open_tokenizer(&g, &error);
    if (status == RAG_OK)
        status = read_prompt(&g, &error);
    if (status == RAG_OK)
        status = generate(&g, &error);
    if (status == RAG_OK)
        status = print(&g, &error);
    release(&g);
    return model_session_end(&g.m, status, &error);
}
