#include "daemon/chat_request.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/filter.h"
#include "daemon/handle.h"
#include "daemon/sampling_settings.h"
#include "generate/json_schema.h"
#include "generate/local.h"
#include "generate/openai.h"
#include "text/nfc.h"

#define MODEL_NAME_BYTES_MAX 256

void chat_request_release(struct app *app, struct chat_request *c)
{
    collection_release(app->collections, c->collection);
    arena_release(&c->arena);
    free(c->filter_text);
    json_free(c->body);
}

/* ---- the model ---- */

/* What a backend's model is called; the decoder's by its file, the server's as it calls it. */
static const char *model_name(const struct generators *g, const struct generator *generator)
{
    struct local_info info;

    if (generator == g->openai)
        return openai_model(generator);
    if (generator != g->local)
        return generator->name;
    local_info(generator, &info);
    return info.name;
}

static struct generator *generator_named(const struct generators *g, const char *name)
{
    if (g->local && strcmp(name, model_name(g, g->local)) == 0)
        return g->local;
    if (g->openai && strcmp(name, model_name(g, g->openai)) == 0)
        return g->openai;
    return generators_find(g, name);
}

/* "ragd" stands for whoever is configured: clients that must name a model have a name then. */
static enum rag_status read_model(struct app *app, struct chat_request *c, struct rag_error *reterr)
{
    const struct generators *g = &app->generators;
    struct generator *writer = g->local ? g->local : g->openai;
    const char *wanted = NULL;
    enum rag_status status =
        json_get_string(c->body, "model", MODEL_NAME_BYTES_MAX, &wanted, reterr);

    if (status != RAG_OK)
        return status;
    if (!writer && !c->collection)
        return rag_fail(reterr, RAG_ENOTFOUND,
                        "no model is configured ([generate] model or [openai] base_url of "
                        "ragd.conf); with a 'collection' questions are answered without one");
    c->model = model_name(g, writer ? writer : g->extractive);
    c->generator = c->collection ? NULL : writer;
    if (!wanted || strcmp(wanted, "ragd") == 0)
        return RAG_OK;
    c->generator = generator_named(g, wanted);
    if (c->generator && (c->collection || c->generator != g->extractive)) {
        c->model = model_name(g, c->generator);
        return RAG_OK;
    }
    return rag_fail(reterr, RAG_ENOTFOUND, "model '%s': is not loaded; here is '%s'", wanted,
                    c->model);
}

/* ---- messages ---- */

static enum rag_status bad_message(size_t i, struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_EINVAL,
                    "'messages': element %zu needs \"role\" (system, user or assistant) and "
                    "\"content\" (a text, or an array of {\"type\":\"text\",\"text\":...})",
                    i + 1);
}

static bool read_role(const char *name, enum message_role *ret)
{
    static const struct {
        const char *name;
        enum message_role role;
    } roles[] = {
        {"system",    ROLE_SYSTEM   },
        {"developer", ROLE_SYSTEM   },
        {"user",      ROLE_USER     },
        {"assistant", ROLE_ASSISTANT},
    };

    for (size_t i = 0; name && i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(name, roles[i].name) == 0) {
            *ret = roles[i].role;
            return true;
        }
    }
    return false;
}

/* The text of a message, appended in NFC; its parts are put together. */
static enum rag_status read_content(const struct json *content, size_t i, struct buf *ret,
                                    struct rag_error *reterr)
{
    const char *text = json_string(content);
    enum rag_status status = RAG_OK;

    if (text)
        return nfc_append(text, strlen(text), ret, reterr);
    if (!json_is_array(content))
        return bad_message(i, reterr);
    for (const struct json *p = json_first(content); p && status == RAG_OK; p = json_next(p)) {
        const char *type = json_string(json_member(p, "type"));

        text = json_string(json_member(p, "text"));
        status = type && text && strcmp(type, "text") == 0
                     ? nfc_append(text, strlen(text), ret, reterr)
                     : bad_message(i, reterr);
    }
    return status;
}

static enum rag_status read_messages(struct chat_request *c, struct rag_error *reterr)
{
    const struct json *list = NULL;
    enum rag_status status = json_get_array(c->body, "messages", &list, reterr);
    size_t n = json_size(list);
    struct buf text;
    size_t i = 0;

    if (status != RAG_OK)
        return status;
    if (n == 0 || n > CHAT_MESSAGES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "'messages': %zu elements, needs 1 to %d", n,
                        CHAT_MESSAGES_MAX);
    c->messages = arena_calloc(&c->arena, n, sizeof *c->messages);
    if (!c->messages)
        return rag_fail(reterr, RAG_ENOMEM, "'messages': out of memory");
    buf_init(&text, CHAT_BYTES_MAX);
    for (const struct json *m = json_first(list); m && status == RAG_OK; m = json_next(m), i++) {
        struct message *last = c->n_messages > 0 ? &c->messages[c->n_messages - 1] : NULL;
        struct message *to = &c->messages[c->n_messages];

        buf_reset(&text);
        if (!read_role(json_string(json_member(m, "role")), &to->role)) {
            status = bad_message(i, reterr);
            break;
        }
        if (to->role == ROLE_SYSTEM && last && last->role == ROLE_SYSTEM) {
            to = last; /* templates have one place for instructions, at the beginning */
            buf_printf(&text, "%s\n\n", last->text);
        } else {
            c->n_messages++;
        }
        status = read_content(json_member(m, "content"), i, &text, reterr);
        if (status != RAG_OK)
            break;
        to->text = arena_strndup(&c->arena, buf_str(&text), text.len);
        if (!to->text)
            status = rag_fail(reterr, RAG_ELIMIT, "'messages': over %u bytes of text together",
                              CHAT_BYTES_MAX);
    }
    buf_release(&text);
    if (status == RAG_OK && c->messages[c->n_messages - 1].role != ROLE_USER)
        status = rag_fail(reterr, RAG_EINVAL, "'messages': the last one must be the user's");
    return status;
}

/* ---- what else OpenAI's clients send ---- */

/* "response_format": what JSON the answer has to be. */
static enum rag_status read_format(struct chat_request *c, struct rag_error *reterr)
{
    const struct json *format = NULL;
    enum rag_status status = json_get_object(c->body, "response_format", &format, reterr);
    const char *type = json_string(json_member(format, "type"));
    const struct json *schema = json_member(json_member(format, "json_schema"), "schema");
    struct json_schema *compiled = NULL;
    bool any = type && strcmp(type, "json_object") == 0;
    char *text = NULL;

    if (status != RAG_OK || !format || (type && strcmp(type, "text") == 0))
        return status;
    if (!any && (!type || strcmp(type, "json_schema") != 0 || !json_is_object(schema)))
        return rag_fail(
            reterr, RAG_EINVAL,
            "'response_format': needs {\"type\":\"text\"}, {\"type\":\"json_object\"} or "
            "{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{...}}}");
    if (c->collection)
        return rag_fail(reterr, RAG_EINVAL,
                        "'response_format': an answer from a collection is held to its citations "
                        "sentence by sentence, so it cannot be JSON of a schema; leave out one of "
                        "both");
    if (any) {
        c->sampling.schema = "{\"type\":\"object\"}"; /* any object */
        return RAG_OK;
    }
    if (json_print(schema, &text) != RAG_OK)
        return rag_fail(reterr, RAG_ENOMEM, "'response_format': out of memory");
    status = json_schema_compile(text, strlen(text), &compiled, reterr);
    json_schema_free(compiled);
    c->sampling.schema = arena_strndup(&c->arena, text, strlen(text));
    free(text);
    if (status == RAG_OK && !c->sampling.schema)
        status = rag_fail(reterr, RAG_ENOMEM, "'response_format': out of memory");
    return status;
}

/* What only its own value leaves as it is: clients send these without being asked. */
static enum rag_status check_defaults(const struct json *body, struct rag_error *reterr)
{
    int64_t n = 1;
    double zero = 0;
    bool off = false;
    enum rag_status status = json_get_int(body, "n", 1, 1, &n, reterr);

    if (status == RAG_OK)
        status = json_get_double(body, "presence_penalty", 0, 0, &zero, reterr);
    if (status == RAG_OK)
        status = json_get_double(body, "frequency_penalty", 0, 0, &zero, reterr);
    if (status == RAG_OK)
        status = json_get_bool(body, "logprobs", &off, reterr);
    if (status == RAG_OK && off)
        status = rag_fail(reterr, RAG_EINVAL, "'logprobs': true is not supported");
    return status;
}

static enum rag_status read_stream(struct chat_request *c, struct rag_error *reterr)
{
    static const char *const keys[] = {"include_usage", NULL};
    const struct json *options = NULL;
    enum rag_status status = json_get_bool(c->body, "stream", &c->stream, reterr);

    if (status == RAG_OK)
        status = json_get_object(c->body, "stream_options", &options, reterr);
    if (status == RAG_OK && options)
        status = json_only(options, keys, reterr);
    if (status == RAG_OK)
        status = json_get_bool(options, "include_usage", &c->include_usage, reterr);
    return status;
}

static enum rag_status check_keys(const struct json *body, struct rag_error *reterr)
{
    static const char *const own[] = {
        "model",
        "messages",
        "stream",
        "stream_options",
        "response_format",
        "n",
        "presence_penalty",
        "frequency_penalty",
        "logprobs",
        "user",
        "deadline_ms",
        "collection",
        "filter",
        "passages",
        "cache",
    };
    const char *keys[40] = {NULL};
    size_t n = 0;

    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        keys[n++] = own[i];
    for (size_t i = 0; sampling_keys[i]; i++)
        keys[n++] = sampling_keys[i];
    return json_only(body, keys, reterr);
}

/* ---- with a collection ---- */

/* Whoever filters must not be answered from everything. */
static enum rag_status check_alone(const struct json *body, struct rag_error *reterr)
{
    static const char *const keys[] = {"filter", "passages", "cache"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct json *value = json_member(body, keys[i]);

        if (value && !json_is_null(value))
            return rag_fail(reterr, RAG_EINVAL, "'%s': needs a 'collection'", keys[i]);
    }
    return RAG_OK;
}

/* The last message is the question, the others before it are its history; what a system message
 * says is ours to say where answers are held to passages. */
static enum rag_status make_ask(const struct http_request *request, struct chat_request *c,
                                struct rag_error *reterr)
{
    const struct json *filter = NULL;
    struct message *history = arena_calloc(&c->arena, c->n_messages, sizeof *history);
    int64_t passages = 0;
    bool cache = true;
    size_t n = 0;
    enum rag_status status = json_get_int(c->body, "passages", 1, PASSAGES_MAX, &passages, reterr);

    if (!history)
        return rag_fail(reterr, RAG_ENOMEM, "'messages': out of memory");
    for (size_t i = 0; i + 1 < c->n_messages; i++)
        if (c->messages[i].role != ROLE_SYSTEM)
            history[n++] = c->messages[i];
    if (status == RAG_OK)
        status = json_get_object(c->body, "filter", &filter, reterr);
    if (status == RAG_OK && filter)
        status = filter_read(filter, &c->arena, &c->ask.filter, &c->ask.n_filter, reterr);
    if (status == RAG_OK && filter && json_print(filter, &c->filter_text) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "'filter': out of memory");
    if (status == RAG_OK)
        status = json_get_bool(c->body, "cache", &cache, reterr);
    c->ask.no_cache = !cache;
    c->ask.filter_text = c->filter_text;
    c->ask.collection = c->collection;
    c->ask.question = c->messages[c->n_messages - 1].text;
    c->ask.history = history;
    c->ask.n_history = n;
    c->ask.top_k = (size_t)passages;
    c->ask.generator = c->generator;
    c->ask.sampling = &c->sampling;
    c->ask.deadline_ns = c->deadline_ns;
    c->ask.cancel = request->cancelled;
    c->ask.principal = request->principal;
    c->ask.request_id = request->id;
    c->ask.stage_now = live_request_stage(request->live);
    return status;
}

enum rag_status chat_request_read(struct app *app, const struct http_request *request,
                                  struct chat_request *c, struct rag_error *reterr)
{
    int64_t deadline_ms = app->config->ask_deadline_ms;
    const char *collection = NULL;
    enum rag_status status;

    arena_init(&c->arena, CHAT_ARENA_BYTES_MAX);
    c->sampling = app->generators.sampling;
    status = handle_body_object(request, &c->body, reterr);
    if (status == RAG_OK)
        status = check_keys(c->body, reterr);
    if (status == RAG_OK)
        status =
            json_get_string(c->body, "collection", COLLECTION_NAME_BYTES_MAX, &collection, reterr);
    if (status == RAG_OK && !collection)
        status = check_alone(c->body, reterr);
    if (status == RAG_OK && collection)
        status = collections_get(app->collections, collection, request->principal, ACCESS_READ,
                                 &c->collection, reterr);
    if (status == RAG_OK)
        status = read_model(app, c, reterr);
    if (status == RAG_OK)
        status = read_messages(c, reterr);
    if (status == RAG_OK)
        status = sampling_read(c->body, &c->arena, &c->sampling, reterr);
    if (status == RAG_OK)
        status = read_format(c, reterr);
    if (status == RAG_OK)
        status = check_defaults(c->body, reterr);
    if (status == RAG_OK)
        status = read_stream(c, reterr);
    if (status == RAG_OK)
        status = json_get_int(c->body, "deadline_ms", 1, 3600000, &deadline_ms, reterr);
    c->deadline_ns = clock_monotonic_ns() + deadline_ms * 1000000;
    return status == RAG_OK && collection ? make_ask(request, c, reterr) : status;
}
