#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json_writer.h"
#include "daemon/ragctl/progress.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_client.h"
#include "daemon/ragctl/ragctl_filter.h"
#include "daemon/ragctl/ragctl_print.h"

#define REQUEST_BYTES_MAX 262144 /* PRINCIPALS_MAX readers and writers at their longest */
#define OUTPUT_BYTES_MAX  (16u << 20)

struct collection_args {
    const char *readers; /* comma-separated; NULL: keep */
    const char *writers;
    const char *offline;  /* "yes" or "no" */
    const char *backends; /* comma-separated; NULL: keep */
    const char *fusion;   /* a JSON object; NULL: keep; likewise the next two */
    const char *lexical;
    const char *rerank;
    const char *gate;
    int64_t chunk_chars;
    int64_t chunk_overlap;
    bool yes;
};

/* "uid:1000,uid:1001" as an array; "" is the empty list. */
static void put_list(struct json_writer *w, const char *key, const char *list)
{
    if (!list)
        return;
    json_begin_array(w, key);
    while (*list) {
        size_t n = strcspn(list, ",");

        if (n > 0)
            json_put_string_n(w, NULL, list, n);
        list += n + (list[n] == ',');
    }
    json_end_array(w);
}

static enum rag_status make_settings(const struct collection_args *args, struct buf *out,
                                     struct rag_error *reterr)
{
    enum rag_status status;
    struct json_writer w;
    bool offline = args->offline && strcmp(args->offline, "yes") == 0;

    if (args->offline && !offline && strcmp(args->offline, "no") != 0)
        return rag_fail(reterr, RAG_EINVAL, "option --offline '%s': must be yes or no",
                        args->offline);
    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    put_list(&w, "readers", args->readers);
    put_list(&w, "writers", args->writers);
    put_list(&w, "backends", args->backends);
    if (args->offline)
        json_put_bool(&w, "offline", offline);
    if (args->chunk_chars > 0)
        json_put_int(&w, "chunk_chars", args->chunk_chars);
    if (args->chunk_overlap >= 0)
        json_put_int(&w, "chunk_overlap", args->chunk_overlap);
    status = ragctl_object_write(&w, "fusion", "--fusion", args->fusion, reterr);
    if (status == RAG_OK)
        status = ragctl_object_write(&w, "lexical", "--lexical", args->lexical, reterr);
    if (status == RAG_OK)
        status = ragctl_object_write(&w, "rerank", "--rerank", args->rerank, reterr);
    if (status == RAG_OK)
        status = ragctl_object_write(&w, "gate", "--gate", args->gate, reterr);
    json_end_object(&w);
    return status;
}

static void append_list(struct buf *out, const struct json *list)
{
    bool first = true;

    for (const struct json *p = json_first(list); p; p = json_next(p)) {
        if (!first)
            buf_append_char(out, ' ');
        print_json_value(out, p);
        first = false;
    }
}

/* "384 vectors by 'e5-small', flat, 1.2 MB, 16 chunks wait"; nothing without an embedder. */
static void append_vectors(struct buf *out, const struct json *vectors)
{
    const char *embedder = json_string(json_member(vectors, "embedder"));
    const char *serving = json_string(json_member(vectors, "serving_embedder"));
    const char *kind = json_string(json_member(vectors, "kind"));
    const char *error = json_string(json_member(vectors, "error"));
    double n_pending = json_number(json_member(vectors, "pending"));

    if (!embedder)
        return;
    buf_printf(out, "%-14s %.0f vectors by '%s', %s, ", "vectors",
               json_number(json_member(vectors, "n")), serving ? serving : embedder,
               kind ? kind : "not serving");
    progress_append_bytes(out, (uint64_t)json_number(json_member(vectors, "bytes")));
    if (n_pending > 0)
        buf_printf(out, ", %.0f chunks wait", n_pending);
    if (n_pending > 0 && serving)
        buf_printf(out, " for '%s'", embedder);
    buf_append_char(out, '\n');
    if (error)
        buf_printf(out, "%-14s %s\n", "", error);
}

/* "9f86d081884c7d65 of 1200 pairs, mrr@10 0.61 -> 0.66"; nothing where there is none. */
static void append_adapter(struct buf *out, const struct json *adapter)
{
    const struct json *measured = json_member(adapter, "measured");
    const char *metric = json_string(json_member(measured, "metric"));
    double before = json_number(json_member(measured, "before"));
    double after = json_number(json_member(measured, "after"));

    if (!adapter)
        return;
    buf_printf(out, "%-14s %s of %.0f pairs", "adapter", ragctl_text(adapter, "id"),
               json_number(json_member(adapter, "pairs")));
    if (!isnan(before) && !isnan(after))
        buf_printf(out, ", %s %.4f -> %.4f", metric ? metric : "measured", before, after);
    if (!json_true(json_member(adapter, "active")))
        buf_append_str(out, ", not applied: its embedder does not serve");
    buf_append_char(out, '\n');
}

static void print_show(const struct json *c)
{
    static const char *const keys[] = {"name",        "documents",   "chunks",        "generation",
                                       "created",     "readers",     "writers",       "offline",
                                       "backends",    "chunk_chars", "chunk_overlap", "fusion",
                                       "fusion_from", "lexical",     "lexical_from",  "rerank",
                                       "rerank_from", "gate",        "gate_from",     "analyzer"};
    const struct json *index = json_member(c, "index");
    struct buf value;
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    buf_init(&value, OUTPUT_BYTES_MAX);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct json *member = json_member(c, keys[i]);

        if (!member)
            continue;
        buf_reset(&value);
        if (json_is_array(member))
            append_list(&value, member);
        else
            print_json_value(&value, member);
        buf_printf(&out, "%-14s ", keys[i]);
        print_one_line(&out, buf_str(&value), value.len, 0);
        buf_append_char(&out, '\n');
    }
    if (index) {
        buf_printf(&out, "%-14s %.0f passages, %.0f segments, ", "index",
                   json_number(json_member(index, "passages")),
                   json_number(json_member(index, "segments")));
        progress_append_bytes(&out, (uint64_t)json_number(json_member(index, "bytes")));
        buf_append_char(&out, '\n');
    }
    append_vectors(&out, json_member(c, "vectors"));
    append_adapter(&out, json_member(c, "adapter"));
    fputs(buf_str(&out), stdout);
    buf_release(&value);
    buf_release(&out);
}

static void print_list(const struct json *reply)
{
    const struct json *list = json_member(reply, "collections");
    struct print_table table;
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    print_table_init(&table, "lrrl");
    if (json_size(list) > 0) {
        print_table_cell(&table, "COLLECTION");
        print_table_cell(&table, "DOCUMENTS");
        print_table_cell(&table, "CHUNKS");
        print_table_cell(&table, "CREATED");
    } else {
        buf_append_str(&out, "no collections that you may read\n");
    }
    for (const struct json *c = json_first(list); c; c = json_next(c)) {
        const char *name = json_string(json_member(c, "name"));
        const char *created = json_string(json_member(c, "created"));

        print_table_cell(&table, "%s", name ? name : "");
        print_table_cell(&table, "%.0f", json_number(json_member(c, "documents")));
        print_table_cell(&table, "%.0f", json_number(json_member(c, "chunks")));
        print_table_cell(&table, "%s", created ? created : "");
    }
    print_table_append(&table, &out);
    fputs(buf_str(&out), stdout);
    print_table_release(&table);
    buf_release(&out);
}

/* A collection goes only when it is said twice. */
static enum rag_status confirm_delete(const char *name, bool yes, struct rag_error *reterr)
{
    if (yes)
        return RAG_OK;
    return rag_fail(reterr, RAG_EINVAL,
                    "collection '%s': deleting takes every document in it; add --yes if that is "
                    "meant",
                    name);
}

static enum rag_status create(struct ragctl_client *client, const char *path, const char *name,
                              const struct buf *settings, bool must_exist, struct json **ret_reply,
                              struct rag_error *reterr)
{
    enum rag_status status = ragctl_client_call(client, "GET", path, NULL, reterr);

    if (status == RAG_OK && !must_exist)
        return rag_fail(reterr, RAG_EEXIST,
                        "collection '%s': is there already; 'collection set' changes it", name);
    if (status != RAG_OK && (must_exist || status != RAG_ENOTFOUND))
        return status;
    return ragctl_client_send(client, "PUT", path, settings, ret_reply, reterr);
}

static void print_check(const struct json *reply)
{
    const char *name = json_string(json_member(reply, "name"));

    printf("collection '%s': index of %.0f passages ", name ? name : "",
           json_number(json_member(reply, "passages")));
    if (json_true(json_member(reply, "in_step")))
        printf("is in step with the store\n");
    else
        printf("differs from the store in %.0f passages and %.0f vectors; restart ragd to rebuild "
               "it\n",
               json_number(json_member(reply, "differences")),
               json_number(json_member(reply, "vector_differences")));
}

static void print_reply(const char *verb, const char *name, const struct json *reply)
{
    if (strcmp(verb, "list") == 0)
        print_list(reply);
    else if (strcmp(verb, "delete") == 0)
        printf("collection '%s': deleted\n", name);
    else if (strcmp(verb, "check") == 0)
        print_check(reply);
    else
        print_show(reply);
}

/* Do one verb on the collection 'name' (not used by list). */
static enum rag_status do_verb(struct ragctl_client *client, const char *verb, const char *name,
                               const struct collection_args *args, struct json **ret_reply,
                               struct rag_error *reterr)
{
    enum rag_status status;
    struct buf settings;
    struct buf path;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    buf_init(&settings, REQUEST_BYTES_MAX);
    if (strcmp(verb, "list") == 0)
        buf_append_str(&path, "/v1/collections");
    else
        ragctl_client_collection_path(&path, name, strcmp(verb, "check") == 0 ? "/check" : "",
                                      NULL);
    status = make_settings(args, &settings, reterr);
    if (status != RAG_OK)
        goto out;
    if (strcmp(verb, "create") == 0 || strcmp(verb, "set") == 0) {
        status = create(client, buf_str(&path), name, &settings, strcmp(verb, "set") == 0,
                        ret_reply, reterr);
    } else if (strcmp(verb, "delete") == 0) {
        status = confirm_delete(name, args->yes, reterr);
        if (status == RAG_OK)
            status = ragctl_client_call(client, "DELETE", buf_str(&path), ret_reply, reterr);
    } else {
        status = ragctl_client_call(client, strcmp(verb, "check") == 0 ? "POST" : "GET",
                                    buf_str(&path), ret_reply, reterr);
    }
out:
    buf_release(&settings);
    buf_release(&path);
    return status;
}

static enum rag_status read_args(const struct ragctl_options *options, int argc, char **argv,
                                 struct collection_args *args, const char **ret_verb,
                                 const char **ret_name, struct rag_error *reterr)
{
    static const char *const verbs[] = {"list", "show", "create", "set", "delete", "check"};
    const struct ragctl_arg table[] = {
        {.name = "--readers",            .text = &args->readers },
        {.name = "--writers",            .text = &args->writers },
        {.name = "--offline",            .text = &args->offline },
        {.name = "--backends",           .text = &args->backends},
        {.name = "--fusion",             .text = &args->fusion  },
        {.name = "--lexical",            .text = &args->lexical },
        {.name = "--rerank",             .text = &args->rerank  },
        {.name = "--gate",               .text = &args->gate    },
        {.name = "--chunk-chars",
         .number = &args->chunk_chars,
         .min = CHUNK_CHARS_MIN,
         .max = CHUNK_CHARS_MAX},
        {.name = "--chunk-overlap",
         .number = &args->chunk_overlap,
         .min = 0,
         .max = CHUNK_CHARS_MAX / 2},
        {.name = "--yes", .flag = &args->yes                                               },
    };
    char **words = calloc((size_t)argc + 1, sizeof *words);
    enum rag_status status;
    int n_words = 0;

    if (!words)
        return rag_fail(reterr, RAG_ENOMEM, "collection: out of memory");
    status = ragctl_args_parse(table, sizeof table / sizeof table[0], argc, argv, words, &n_words,
                               reterr);
    if (status == RAG_OK)
        status = ragctl_args_verb(verbs, sizeof verbs / sizeof verbs[0], "collection", words,
                                  n_words, ret_verb, reterr);
    if (status == RAG_OK) {
        *ret_name = n_words > 1 ? words[1] : options->collection;
        if (strcmp(*ret_verb, "list") == 0 ? n_words > 1 : n_words > 2)
            status = rag_fail(reterr, RAG_EINVAL, "collection %s: '%s' is one word too many",
                              *ret_verb, words[n_words - 1]);
        else if (!*ret_name && strcmp(*ret_verb, "list") != 0)
            status =
                rag_fail(reterr, RAG_EINVAL, "collection %s: needs a collection's name", *ret_verb);
    }
    free(words);
    return status;
}

int ragctl_collection(const struct ragctl_options *options, int argc, char **argv)
{
    struct collection_args args = {.chunk_overlap = -1};
    struct ragctl_client client = {0};
    struct rag_error error = {0};
    struct json *reply = NULL;
    int exit_status = RAGCTL_OK;
    const char *verb = NULL;
    const char *name = NULL;

    if (read_args(options, argc, argv, &args, &verb, &name, &error) != RAG_OK)
        return ragctl_usage("collection", &error);
    if (ragctl_client_open(options, &client, &error) != RAG_OK ||
        do_verb(&client, verb, name, &args, &reply, &error) != RAG_OK)
        exit_status = ragctl_fail(options, &error);
    else if (options->json)
        printf("%s\n", buf_str(&client.body));
    else
        print_reply(verb, name, reply);
    if (exit_status == RAGCTL_OK && strcmp(verb, "check") == 0 &&
        !json_true(json_member(reply, "in_step")))
        exit_status = RAGCTL_FAILED;
    json_free(reply);
    ragctl_client_close(&client);
    return exit_status;
}
