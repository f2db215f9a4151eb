#define _GNU_SOURCE
#include "generate/openai.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/bounds.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/sha256.h"
#include "generate/answer_out.h"
#include "generate/openai_reply.h"
#include "generate/openai_request.h"
#include "generate/sse_reader.h"
#include "generate/stop_filter.h"

#define PATH        "/chat/completions"
#define NS_PER_MS   INT64_C(1000000)
#define END_OF_DATA "[DONE]"

struct openai {
    struct generator base;
    struct remote *remote; /* borrowed */
    char *model;           /* owned */
    bool stream;
    size_t context_tokens;
    size_t new_tokens;
    enum unsupported_policy unsupported;
    double prompt_price;
    double completion_price;
    pair_score_fn *pair_score;
    void *pair_score_context;
    enum rag_status (*neutralise)(const char *text, size_t n, struct buf *out);
    char fingerprint[SHA256_HEX_BYTES];
    atomic_bool completion_tokens; /* the server wants max_completion_tokens */

    pthread_mutex_t mutex; /* guards what follows */
    struct openai_usage usage;
};

/* ---- one exchange ---- */

enum form { FORM_UNKNOWN, FORM_EVENTS, FORM_JSON };

struct exchange {
    const struct generator_request *request;
    struct answer_out *answer;
    struct openai_reply reply;
    struct sse_reader events;
    struct stop_filter *stops; /* or NULL */
    struct buf json;           /* of a response that is no stream */
    struct buf piece;          /* text on its way through the stop strings */
    enum form form;
    size_t n_text;    /* bytes of the model's */
    uint64_t tenths;  /* of its tokens, as estimated */
    size_t n_prompt;  /* tokens, likewise */
    int64_t deadline; /* with what is left for others taken off; 0: none */
    bool done;        /* "[DONE]" */
    bool ended;       /* we want no more: a stop string, a limit, or the answer is complete */
    bool too_long;    /* more text than an answer may have, most of it not shown */
    int64_t begun_ns;
    int64_t first_ns; /* of text; 0: none yet */
    int64_t last_ns;
    enum rag_status status; /* of what came */
    struct rag_error error;
};

/* The text of the reply so far goes out. */
static void pass_text(struct exchange *x)
{
    struct buf *text = &x->reply.text;
    bool stopped = false;

    if (text->len == 0 || x->ended)
        return;
    x->last_ns = clock_monotonic_ns();
    if (x->first_ns == 0)
        x->first_ns = x->last_ns;
    x->n_text += text->len;
    x->tenths += openai_tenths(buf_str(text), text->len);
    buf_reset(&x->piece);
    if (x->stops)
        x->status =
            stop_filter_put(x->stops, buf_str(text), text->len, &x->piece, &stopped, &x->error);
    else
        buf_append(&x->piece, buf_str(text), text->len);
    buf_reset(text);
    if (x->status == RAG_OK && buf_status(&x->piece) != RAG_OK)
        x->status = rag_fail(&x->error, buf_status(&x->piece), "openai: out of memory");
    if (x->status != RAG_OK)
        return;
    x->answer->result->stop_string = stopped;
    x->too_long = x->n_text > ANSWER_BYTES_MAX;
    if (!answer_out_text(x->answer, buf_str(&x->piece), x->piece.len) || stopped || x->too_long)
        x->ended = true;
}

/* What a stop string could still have begun with is only text after all. */
static void pass_rest(struct exchange *x)
{
    openai_reply_finish(&x->reply);
    pass_text(x);
    if (!x->stops || x->ended || x->status != RAG_OK)
        return;
    buf_reset(&x->piece);
    x->status = stop_filter_finish(x->stops, &x->piece, &x->error);
    if (x->status == RAG_OK && x->piece.len > 0)
        (void)answer_out_text(x->answer, buf_str(&x->piece), x->piece.len);
}

static bool on_event(void *context, const char *data, size_t n)
{
    struct exchange *x = context;

    if (n >= strlen(END_OF_DATA) && memcmp(data, END_OF_DATA, strlen(END_OF_DATA)) == 0) {
        x->done = true;
        return false; /* some keep the connection open behind it */
    }
    x->status = openai_reply_put(&x->reply, data, n, &x->error);
    if (x->status == RAG_OK)
        pass_text(x);
    return x->status == RAG_OK && !x->ended;
}

/* A server that does not stream answers with one object. */
static enum form form_of(const char *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (data[i] != ' ' && data[i] != '\r' && data[i] != '\n' && data[i] != '\t')
            return data[i] == '{' || data[i] == '[' ? FORM_JSON : FORM_EVENTS;
    return FORM_UNKNOWN;
}

static bool on_piece(void *context, const char *data, size_t n)
{
    struct exchange *x = context;

    if (x->form == FORM_UNKNOWN)
        x->form = form_of(data, n);
    if (x->form == FORM_JSON) {
        buf_append(&x->json, data, n);
        x->status = buf_status(&x->json);
    } else {
        enum rag_status status = sse_reader_put(&x->events, data, n);

        if (status != RAG_OK)
            x->status = status;
    }
    if (x->status != RAG_OK && x->error.text[0] == '\0')
        rag_fail(&x->error, x->status, "openai: %s",
                 x->status == RAG_ELIMIT ? "an event or response is too long" : "out of memory");
    return x->status == RAG_OK && !x->done && !x->ended;
}

/* The stream's last bytes. Half an event matters only when nothing had said that it is the end. */
static void finish_events(struct exchange *x)
{
    bool known = x->reply.finish != OPENAI_RUNNING;
    enum rag_status status = sse_reader_finish(&x->events);

    if (x->status == RAG_OK)
        x->status = status;
    if (x->status == RAG_EFORMAT && known)
        x->status = RAG_OK;
    else if (x->status == RAG_EFORMAT)
        x->status = rag_fail(&x->error, RAG_EIO, "the response ended in the middle of an event");
}

/* The response has ended in good order: was it whole? */
static enum rag_status complete(struct exchange *x, struct rag_error *reterr)
{
    if (x->form == FORM_JSON && x->status == RAG_OK)
        x->status = openai_reply_put(&x->reply, buf_str(&x->json), x->json.len, &x->error);
    else if (x->status == RAG_OK && !x->done && !x->ended)
        finish_events(x);
    if (x->status == RAG_OK)
        pass_rest(x);
    if (x->status == RAG_OK && x->form == FORM_UNKNOWN)
        x->status = rag_fail(&x->error, RAG_EFORMAT, "the response is empty");
    if (x->status == RAG_OK && !x->done && !x->ended && x->reply.finish == OPENAI_RUNNING)
        x->status = rag_fail(&x->error, RAG_EIO, "the response ended in the middle");
    return x->status == RAG_OK ? RAG_OK : rag_fail(reterr, x->status, "%s", x->error.text);
}

/* How the model ended, for the result; an error when it did not. */
static enum rag_status note_finish(const struct exchange *x, struct generator_result *ret,
                                   struct rag_error *reterr)
{
    switch (x->reply.finish) {
    case OPENAI_FILTERED:
        return rag_fail(reterr, RAG_EDENIED, "the server's content filter stopped the answer");
    case OPENAI_TOOL:
        return rag_fail(reterr, RAG_EFORMAT,
                        "the model asked for a tool, though none was offered to it");
    case OPENAI_LENGTH:
        ret->finish_reason = FINISH_LENGTH;
        return RAG_OK;
    case OPENAI_RUNNING:
    case OPENAI_STOP:
        break;
    }
    ret->finish_reason = FINISH_STOP;
    if (x->too_long)
        ret->finish_reason = FINISH_LENGTH;
    else if (x->ended && !ret->stop_string)
        ret->finish_reason = FINISH_CANCELLED; /* answer_out_finish() knows why */
    return RAG_OK;
}

/* What the server counted; an answer that we ended has no counts, so they are estimated. */
static void note_usage(struct openai *self, struct exchange *x, struct generator_result *ret)
{
    struct openai_reply *r = &x->reply;

    if (!r->has_usage && x->form != FORM_UNKNOWN) {
        r->prompt_tokens = x->n_prompt;
        r->completion_tokens = (x->tenths + 9) / 10;
    }
    ret->prompt_tokens = r->prompt_tokens;
    ret->cached_tokens = r->cached_tokens;
    ret->output_tokens = r->completion_tokens;
    ret->cost = ((double)r->prompt_tokens * self->prompt_price +
                 (double)r->completion_tokens * self->completion_price) /
                1e6;
    if (x->first_ns != 0) {
        ret->prefill_ms = (double)(x->first_ns - x->begun_ns) / 1e6;
        ret->decode_ms = (double)(x->last_ns - x->first_ns) / 1e6;
    }
    pthread_mutex_lock(&self->mutex);
    self->usage.prompt_tokens += r->prompt_tokens;
    self->usage.cached_tokens += r->cached_tokens;
    self->usage.completion_tokens += r->completion_tokens;
    self->usage.n_estimated += !r->has_usage && x->form != FORM_UNKNOWN;
    self->usage.cost += ret->cost;
    pthread_mutex_unlock(&self->mutex);
}

/* The deadline less what the next backend may need. */
static int64_t own_deadline(const struct generator_request *request)
{
    int64_t left = request->deadline_ns - clock_monotonic_ns();
    int64_t reserve = left / 10;

    if (request->deadline_ns == 0 || left <= 0)
        return request->deadline_ns;
    if (reserve > OPENAI_RESERVE_MS_MAX * NS_PER_MS)
        reserve = OPENAI_RESERVE_MS_MAX * NS_PER_MS;
    return request->deadline_ns - reserve;
}

/* What became of the exchange, by what the transport says and what came. */
static enum rag_status conclude(struct openai *self, struct exchange *x, enum rag_status sent,
                                const struct rag_error *why, struct rag_error *reterr)
{
    const struct generator_request *request = x->request;
    struct generator_result *result = x->answer->result;
    enum rag_status status = RAG_OK;

    if (x->answer->gone ||
        (sent == RAG_ECANCELLED && request->cancel && atomic_load(request->cancel))) {
        result->finish_reason = FINISH_CANCELLED;
    } else if (sent == RAG_ETIMEOUT && x->answer->shown.len > 0 && x->deadline != 0 &&
               clock_monotonic_ns() >= x->deadline - NS_PER_MS) {
        result->finish_reason = FINISH_DEADLINE;
    } else if (sent == RAG_OK || (sent == RAG_ECANCELLED && (x->ended || x->done))) {
        status = complete(x, reterr);
        if (status == RAG_OK)
            status = note_finish(x, result, reterr);
    } else if (x->status != RAG_OK) {
        status = rag_fail(reterr, x->status, "%s", x->error.text);
    } else {
        status = rag_fail(reterr, sent, "%s", why->text);
    }
    note_usage(self, x, result);
    return status == RAG_OK ? answer_out_finish(x->answer, reterr) : status;
}

static enum rag_status exchange_open(struct exchange *x, const struct generator_request *request,
                                     struct answer_out *a, struct rag_error *reterr)
{
    *x = (struct exchange){.request = request, .answer = a, .deadline = own_deadline(request)};
    openai_reply_init(&x->reply, OPENAI_RESPONSE_BYTES_MAX);
    sse_reader_init(&x->events, OPENAI_EVENT_BYTES_MAX, on_event, x);
    buf_init(&x->json, OPENAI_RESPONSE_BYTES_MAX);
    buf_init(&x->piece, OPENAI_RESPONSE_BYTES_MAX);
    if (!request->sampling.stop || !request->sampling.stop[0])
        return RAG_OK;
    return stop_filter_open(request->sampling.stop, &x->stops, reterr);
}

static void exchange_close(struct exchange *x)
{
    openai_reply_release(&x->reply);
    sse_reader_release(&x->events);
    stop_filter_close(x->stops);
    buf_release(&x->json);
    buf_release(&x->piece);
}

/* What the person who asked is told: that the server is misconfigured, or does not speak the API,
 * is not theirs to mend. */
static enum rag_status tell(const struct openai *self, enum rag_status status,
                            struct rag_error *why, struct rag_error *reterr)
{
    bool named = strncmp(why->text, "openai: ", strlen("openai: ")) == 0;

    if (status == RAG_EDENIED || status == RAG_EFORMAT || status == RAG_ELIMIT)
        status = RAG_EIO;
    remote_hide_key(self->remote, why->text);
    return rag_fail(reterr, status, "%s%s", named ? "" : "openai: ", why->text);
}

/* Send messages, take the answer. *ret_other_name: the server knows the limit by its newer name. */
static enum rag_status exchange(struct openai *self, const struct generator_request *request,
                                const struct message *messages, size_t n, size_t n_new,
                                struct answer_out *a, bool *ret_other_name,
                                struct rag_error *reterr)
{
    struct openai_request body = {
        .model = self->model,
        .messages = messages,
        .n_messages = n,
        .sampling = &request->sampling,
        .n_new = n_new,
        .stream = self->stream,
        .completion_tokens = atomic_load(&self->completion_tokens),
    };
    struct rag_error error = {RAG_OK, ""};
    struct rag_error why = {RAG_OK, ""};
    struct remote_outcome outcome;
    struct exchange x;
    struct buf text;
    enum rag_status status = exchange_open(&x, request, a, reterr);

    buf_init(&text, OPENAI_REQUEST_BYTES_MAX);
    if (status == RAG_OK) {
        openai_request_write(&body, &text);
        status = buf_status(&text);
        if (status != RAG_OK)
            rag_fail(reterr, status, "openai: the request is too long or memory is out");
    }
    if (status == RAG_OK) {
        struct remote_call call = {
            .path = PATH,
            .body = buf_str(&text),
            .body_bytes = text.len,
            .offline = request->offline,
            .deadline_ns = x.deadline,
            .cancel = request->cancel,
            .response_bytes_max = OPENAI_RESPONSE_BYTES_MAX,
            .on_piece = on_piece,
            .context = &x,
        };

        x.n_prompt = openai_tokens_estimate(messages, n);
        x.begun_ns = clock_monotonic_ns();
        status = remote_do(self->remote, &call, NULL, &outcome, &why);
        *ret_other_name = status == RAG_EINVAL && !body.completion_tokens &&
                          strstr(why.text, "max_completion_tokens");
        status = conclude(self, &x, status, &why, &error);
        if (status != RAG_OK)
            status = tell(self, status, &error, reterr);
    }
    buf_release(&text);
    exchange_close(&x);
    return status;
}

static enum rag_status ask(struct openai *self, const struct generator_request *request,
                           const struct message *messages, size_t n, size_t n_new,
                           struct answer_out *a, struct rag_error *reterr)
{
    bool other_name = false;
    enum rag_status status = exchange(self, request, messages, n, n_new, a, &other_name, reterr);

    if (other_name) {
        atomic_store(&self->completion_tokens, true);
        status = exchange(self, request, messages, n, n_new, a, &other_name, reterr);
    }
    return status;
}

/* ---- prompts ---- */

static enum rag_status count_tokens(void *context, const struct message *messages, size_t n,
                                    size_t *ret, struct rag_error *reterr)
{
    (void)context, (void)reterr;
    *ret = openai_tokens_estimate(messages, n);
    return RAG_OK;
}

static enum rag_status harmless(const struct openai *self, struct arena *arena, const char *text,
                                size_t n, const char **ret, size_t *ret_n)
{
    enum rag_status status;
    struct buf out;

    buf_init(&out, GROUNDING_PROMPT_BYTES_MAX);
    status = self->neutralise(text, n, &out);
    if (status == RAG_OK)
        status = buf_status(&out);
    if (status == RAG_OK) {
        *ret = arena_strndup(arena, buf_str(&out), out.len);
        *ret_n = out.len;
        status = *ret ? RAG_OK : RAG_ENOMEM;
    }
    buf_release(&out);
    return status;
}

/* The passages as the prompt has them. What is checked and cited later are the originals. */
static enum rag_status harmless_passages(const struct openai *self,
                                         const struct generator_request *request,
                                         struct arena *arena, struct generator_request *ret,
                                         struct rag_error *reterr)
{
    struct generator_passage *passages =
        arena_calloc(arena, request->n_passages + 1, sizeof *passages);
    enum rag_status status = passages ? RAG_OK : RAG_ENOMEM;

    *ret = *request;
    for (size_t i = 0; i < request->n_passages && status == RAG_OK; i++) {
        struct generator_passage *p = &passages[i];
        const char **texts[] = {&p->title, &p->heading, &p->context};
        size_t n;

        *p = request->passages[i];
        for (size_t k = 0; k < 3 && status == RAG_OK; k++)
            status = harmless(self, arena, *texts[k], strlen(*texts[k]), texts[k], &n);
        if (status == RAG_OK)
            status = harmless(self, arena, p->text, p->text_bytes, &p->text, &p->text_bytes);
    }
    ret->passages = passages;
    return status == RAG_OK ? RAG_OK
                            : rag_fail(reterr, status, "prompt: too long or out of memory");
}

static size_t answer_tokens(const struct openai *self, const struct generator_request *request)
{
    size_t n = generator_new_tokens(request, self->new_tokens);

    return n <= self->context_tokens / 2 ? n : self->context_tokens / 2;
}

static enum rag_status generate_grounded(struct openai *self,
                                         const struct generator_request *request,
                                         struct answer_out *a, struct rag_error *reterr)
{
    size_t n_new = answer_tokens(self, request);
    struct generator_request shown = *request;
    struct grounded_prompt prompt = {0};
    struct arena arena;
    enum rag_status status = RAG_OK;

    arena_init(&arena, 4 * GROUNDING_PROMPT_BYTES_MAX);
    if (self->neutralise)
        status = harmless_passages(self, request, &arena, &shown, reterr);
    if (status == RAG_OK)
        status = grounded_prompt_make(&shown, self->context_tokens - n_new, count_tokens, NULL,
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
        status = ask(self, request, prompt.messages, prompt.n_messages, n_new, a, reterr);
    grounded_prompt_release(&prompt);
    arena_release(&arena);
    return status;
}

/* ---- the generator ---- */

static enum rag_status check(const struct generator_request *r, struct rag_error *reterr)
{
    struct json *schema = NULL;
    enum rag_status status;

    if (r->offline)
        return rag_fail(reterr, RAG_EDENIED, "openai: the collection is offline, nothing is sent");
    status = generator_request_check(r, reterr);
    if (status == RAG_OK && r->sampling.schema)
        status =
            json_parse(r->sampling.schema, strlen(r->sampling.schema), "schema", &schema, reterr);
    json_free(schema);
    return status;
}

static enum rag_status generate(struct generator *generator,
                                const struct generator_request *request,
                                const struct generator_sink *sink, struct generator_result *ret,
                                struct rag_error *reterr)
{
    struct openai *self = (struct openai *)generator;
    enum rag_status status = check(request, reterr);
    struct answer_out a;
    size_t n_new;

    ret->backend = generator->name;
    ret->model_fingerprint = self->fingerprint;
    ret->finish_reason = FINISH_STOP;
    if (status != RAG_OK)
        return status;
    n_new = generator_new_tokens(request, self->new_tokens);
    answer_out_init(&a, sink, ret);
    if (request->grounding == GROUNDING_STRICT)
        status = generate_grounded(self, request, &a, reterr);
    else
        status = ask(self, request, request->messages, request->n_messages, n_new, &a, reterr);
    answer_out_release(&a);
    return status;
}

static void openai_close(struct generator *generator)
{
    struct openai *self = (struct openai *)generator;

    if (!self)
        return;
    pthread_mutex_destroy(&self->mutex);
    free(self->model);
    free(self);
}

static enum rag_status decide_fingerprint(struct openai *self)
{
    const char *url = remote_base_url(self->remote);
    struct sha256_part parts[] = {
        {url,         strlen(url)        },
        {self->model, strlen(self->model)},
    };
    uint8_t digest[SHA256_BYTES];
    enum rag_status status = sha256_lengths(parts, sizeof parts / sizeof parts[0], digest);

    if (status == RAG_OK)
        sha256_hex(digest, self->fingerprint);
    return status;
}

enum rag_status openai_open(const struct openai_options *o, struct generator **ret,
                            struct rag_error *reterr)
{
    struct openai *self;

    if (!o->model || o->model[0] == '\0' || strlen(o->model) > REMOTE_NAME_BYTES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "openai: the model's name must have 1 to %d bytes",
                        REMOTE_NAME_BYTES_MAX);
    if (o->context_tokens < LOCAL_CONTEXT_MIN)
        return rag_fail(reterr, RAG_EINVAL, "openai: context_tokens %zu, the least is %d",
                        o->context_tokens, LOCAL_CONTEXT_MIN);
    self = calloc(1, sizeof *self);
    if (!self)
        return rag_fail(reterr, RAG_ENOMEM, "openai: out of memory");
    pthread_mutex_init(&self->mutex, NULL);
    self->remote = o->remote;
    self->model = strdup(o->model);
    self->stream = o->stream;
    self->context_tokens = o->context_tokens;
    self->new_tokens = o->new_tokens ? o->new_tokens : LOCAL_NEW_TOKENS_DEFAULT;
    self->unsupported = o->unsupported;
    self->prompt_price = o->prompt_price;
    self->completion_price = o->completion_price;
    self->pair_score = o->pair_score;
    self->pair_score_context = o->pair_score_context;
    self->neutralise = o->neutralise;
    if (!self->model || decide_fingerprint(self) != RAG_OK) {
        openai_close(&self->base);
        return rag_fail(reterr, RAG_ENOMEM, "openai: out of memory");
    }
    self->base = (struct generator){
        .name = "openai",
        .capabilities = {.streams = o->stream,
                         .schema = true,
                         .context_tokens_max = o->context_tokens},
        .generate = generate,
        .close = openai_close,
    };
    *ret = &self->base;
    return RAG_OK;
}

void openai_usage(struct generator *g, struct openai_usage *ret)
{
    struct openai *self = (struct openai *)g;

    pthread_mutex_lock(&self->mutex);
    *ret = self->usage;
    pthread_mutex_unlock(&self->mutex);
}

const char *openai_model(const struct generator *g)
{
    return ((const struct openai *)g)->model;
}

size_t openai_context_tokens(const struct generator *g)
{
    return ((const struct openai *)g)->context_tokens;
}
