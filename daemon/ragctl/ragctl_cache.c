/* daemon/ragctl/ragctl_cache.c - 'ragctl cache': answers that are kept, and reports about them. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_writer.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_client.h"
#include "daemon/ragctl/ragctl_print.h"

#define OUTPUT_BYTES_MAX (256u << 20)
#define LIST_ROWS        50
#define LIST_ROWS_MAX    1000
#define QUESTION_COLUMNS 60

struct cache_args {
    int64_t limit;
    const char *request;    /* feedback: of the reply, in place of the entry */
    const char *similarity; /* feedback: a number */
    bool right;
    bool wrong;
    bool yes;
};

struct cache_command {
    const struct ragctl_options *options;
    struct ragctl_client client;
    struct cache_args args;
    char **words; /* behind the verb */
    int n_words;
};

/* "/v1/cache" with the collection and what else is asked for. */
static void cache_path(const struct cache_command *c, struct buf *path, int64_t limit)
{
    buf_append_str(path, "/v1/cache");
    if (limit >= 0)
        buf_printf(path, "?limit=%" PRId64, limit);
    if (c->options->collection) {
        buf_append_str(path, limit >= 0 ? "&collection=" : "?collection=");
        http_encode_segment(path, c->options->collection);
    }
}

static enum rag_status call(struct cache_command *c, const char *method, int64_t limit,
                            struct json **ret, struct rag_error *reterr)
{
    struct buf path;
    enum rag_status status;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    cache_path(c, &path, limit);
    status = buf_status(&path);
    if (status != RAG_OK)
        rag_fail(reterr, RAG_EINVAL, "collection: the name is too long");
    else
        status = ragctl_client_call(&c->client, method, buf_str(&path), ret, reterr);
    buf_release(&path);
    return status;
}

/* ---- stats ---- */

static double member(const struct json *object, const char *key)
{
    const struct json *m = json_member(object, key);

    return m ? json_number(m) : 0;
}

static void print_stats(const struct json *reply, struct buf *out)
{
    const struct json *s = json_member(reply, "stats");
    double exact = member(s, "exact_hits");
    double semantic = member(s, "semantic_hits");
    double asked = exact + semantic + member(s, "misses");
    struct print_table t;

    if (!json_true(json_member(reply, "enabled"))) {
        buf_append_str(out, "the cache is off ([cache] enabled)\n");
        return;
    }
    buf_printf(out, "%.0f answers, %.1f MiB\n", member(s, "entries"),
               member(s, "bytes") / (1 << 20));
    buf_printf(out, "%.0f questions: %.1f%% had their answer, %.1f%% that of a similar one\n",
               asked, asked > 0 ? 100 * exact / asked : 0, asked > 0 ? 100 * semantic / asked : 0);
    buf_printf(out, "saved %.1f s\n", member(s, "saved_ms") / 1000);
    buf_printf(out, "not confirmed %.0f, stale %.0f, evicted %.0f, ended by a change %.0f\n",
               member(s, "unconfirmed"), member(s, "stale"), member(s, "evicted"),
               member(s, "invalidated"));
    buf_printf(out, "reported right %.0f, wrong %.0f\n", member(s, "reported_correct"),
               member(s, "reported_false"));
    print_table_init(&t, "lr");
    for (const struct json *c = json_first(json_member(reply, "collections")); c;
         c = json_next(c)) {
        const char *name = json_string(json_member(c, "name"));
        const struct json *threshold = json_member(c, "threshold");

        print_table_cell(&t, "%s", name ? name : "");
        if (json_is_number(threshold))
            print_table_cell(&t, "threshold %.3f", json_number(threshold));
        else
            print_table_cell(&t, "no similar ones");
    }
    print_table_append(&t, out);
    print_table_release(&t);
}

static enum rag_status stats(struct cache_command *c, struct buf *out, struct rag_error *reterr)
{
    struct json *reply = NULL;
    enum rag_status status = call(c, "GET", 0, &reply, reterr);

    if (status == RAG_OK)
        print_stats(reply, out);
    json_free(reply);
    return status;
}

/* ---- list ---- */

static void cell_of(struct print_table *t, const struct json *entry, const char *key)
{
    struct buf text;

    buf_init(&text, 65536);
    print_json_value(&text, json_member(entry, key));
    print_table_cell(t, "%s", buf_str(&text));
    buf_release(&text);
}

static void print_list(const struct json *reply, struct buf *out)
{
    static const char *const heads[] = {"entry", "collection", "used",
                                        "exact", "similar",    "question"};
    static const char *const keys[] = {"entry", "collection", "used", "exact_hits",
                                       "semantic_hits"};
    struct print_table t;

    print_table_init(&t, "rllrrl");
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        print_table_cell(&t, "%s", heads[i]);
    for (const struct json *e = json_first(json_member(reply, "entries")); e; e = json_next(e)) {
        const char *question = json_string(json_member(e, "question"));
        struct buf line;

        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
            cell_of(&t, e, keys[i]);
        buf_init(&line, 65536);
        print_one_line(&line, question ? question : "", question ? strlen(question) : 0,
                       QUESTION_COLUMNS);
        print_table_cell(&t, "%s%s", buf_str(&line),
                         json_true(json_member(e, "refused")) ? " (refused)" : "");
        buf_release(&line);
    }
    print_table_append(&t, out);
    print_table_release(&t);
}

static enum rag_status list(struct cache_command *c, struct buf *out, struct rag_error *reterr)
{
    struct json *reply = NULL;
    enum rag_status status = call(c, "GET", c->args.limit, &reply, reterr);

    if (status == RAG_OK)
        print_list(reply, out);
    json_free(reply);
    return status;
}

/* ---- clear, feedback ---- */

static enum rag_status clear(struct cache_command *c, struct buf *out, struct rag_error *reterr)
{
    struct json *reply = NULL;
    enum rag_status status = call(c, "DELETE", -1, &reply, reterr);

    if (status == RAG_OK)
        buf_printf(out, "%.0f answers forgotten\n", member(reply, "removed"));
    json_free(reply);
    return status;
}

static enum rag_status write_report(const struct cache_command *c, struct json_writer *w,
                                    struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    int64_t entry = 0;

    json_begin_object(w, NULL);
    if (c->n_words > 0) {
        status = ragctl_args_number(c->words[0], "entry", 1, 1ll << 53, &entry, reterr);
        json_put_int(w, "entry", entry);
    }
    if (c->args.request)
        json_put_string(w, "request_id", c->args.request);
    if (status == RAG_OK && c->args.similarity) {
        struct json *number = NULL; /* as JSON has numbers; the daemon knows the range */

        status = json_parse(c->args.similarity, strlen(c->args.similarity), "--similarity", &number,
                            reterr);
        if (status == RAG_OK && !json_is_number(number))
            status = rag_fail(reterr, RAG_EINVAL, "--similarity '%.40s': not a number",
                              c->args.similarity);
        if (status == RAG_OK)
            json_put_exact(w, "similarity", json_number(number));
        json_free(number);
    }
    json_put_bool(w, "correct", c->args.right);
    json_end_object(w);
    return status;
}

static enum rag_status feedback(struct cache_command *c, struct buf *out, struct rag_error *reterr)
{
    struct json *reply = NULL;
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, 65536);
    json_writer_init(&w, &body);
    status = write_report(c, &w, reterr);
    if (status == RAG_OK)
        status = ragctl_client_send(&c->client, "POST", "/v1/feedback", &body, &reply, reterr);
    buf_release(&body);
    if (status == RAG_OK) {
        const struct json *threshold = json_member(reply, "threshold");

        buf_append_str(out, c->args.right ? "noted as right" : "noted as wrong");
        if (json_is_number(threshold))
            buf_printf(out, "; similar questions need %.3f now\n", json_number(threshold));
        else
            buf_append_str(out, "; nothing is given to similar questions any more\n");
    }
    json_free(reply);
    return status;
}

/* What the daemon need not be asked about. */
static enum rag_status check_args(const struct cache_command *c, const char *verb,
                                  struct rag_error *reterr)
{
    bool reports = strcmp(verb, "feedback") == 0;

    if (c->n_words > (reports ? 1 : 0))
        return rag_fail(reterr, RAG_EINVAL, "cache %s: '%.80s' is one word too many", verb,
                        c->words[reports ? 1 : 0]);
    if (reports && c->args.right == c->args.wrong)
        return rag_fail(reterr, RAG_EINVAL,
                        "cache feedback: --right or --wrong, does the answer fit the question?");
    if (reports && c->n_words == 0 && !c->args.request)
        return rag_fail(reterr, RAG_EINVAL,
                        "cache feedback: which answer? The number of its entry, or --request ID");
    if (strcmp(verb, "clear") == 0 && !c->options->collection && !c->args.yes)
        return rag_fail(reterr, RAG_EINVAL,
                        "cache clear: say which (--collection C), or --yes for every collection");
    return RAG_OK;
}

static enum rag_status read_args(struct cache_command *c, int argc, char **argv, char **words,
                                 const char **ret_verb, struct rag_error *reterr)
{
    static const char *const verbs[] = {"stats", "list", "clear", "feedback"};
    const struct ragctl_arg args[] = {
        {.name = "--limit",            .number = &c->args.limit, .min = 1, .max = LIST_ROWS_MAX},
        {.name = "--request",        .text = &c->args.request                               },
        {.name = "--similarity",.text = &c->args.similarity},
        {.name = "--right",     .flag = &c->args.right                                       },
        {.name = "--wrong",  .flag = &c->args.wrong},
        {.name = "--yes",     .flag = &c->args.yes                                          },
    };
    int n_words = 0;
    enum rag_status status =
        ragctl_args_parse(args, sizeof args / sizeof args[0], argc, argv, words, &n_words, reterr);

    if (status == RAG_OK)
        status = ragctl_args_verb(verbs, sizeof verbs / sizeof verbs[0], "cache", words, n_words,
                                  ret_verb, reterr);
    if (status != RAG_OK)
        return status;
    c->words = words + 1;
    c->n_words = n_words - 1;
    return check_args(c, *ret_verb, reterr);
}

static enum rag_status run_verb(struct cache_command *c, const char *verb, struct buf *out,
                                struct rag_error *reterr)
{
    if (strcmp(verb, "stats") == 0)
        return stats(c, out, reterr);
    if (strcmp(verb, "list") == 0)
        return list(c, out, reterr);
    if (strcmp(verb, "clear") == 0)
        return clear(c, out, reterr);
    return feedback(c, out, reterr);
}

int ragctl_cache(const struct ragctl_options *options, int argc, char **argv)
{
    struct cache_command c = {.options = options, .args = {.limit = LIST_ROWS}};
    char **words = calloc((size_t)argc + 1, sizeof *words);
    struct rag_error error = {RAG_ENOMEM, "cache: out of memory"};
    const char *verb = NULL;
    enum rag_status status;
    struct buf out;

    if (!words)
        return ragctl_fail(options, &error);
    status = read_args(&c, argc, argv, words, &verb, &error);
    if (status != RAG_OK) {
        free(words);
        return ragctl_usage("cache", &error);
    }
    buf_init(&out, OUTPUT_BYTES_MAX);
    status = ragctl_client_open(options, &c.client, &error);
    if (status == RAG_OK)
        status = run_verb(&c, verb, &out, &error);
    if (status == RAG_OK && options->json)
        printf("%s\n", buf_str(&c.client.body));
    else if (status == RAG_OK)
        fputs(buf_str(&out), stdout);
    ragctl_client_close(&c.client);
    buf_release(&out);
    free(words);
    return status == RAG_OK ? RAGCTL_OK : ragctl_fail(options, &error);
}
