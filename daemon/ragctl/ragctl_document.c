#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json_writer.h"
#include "daemon/ragctl/progress.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_client.h"
#include "daemon/ragctl/ragctl_pages.h"
#include "daemon/ragctl/ragctl_print.h"

#define OUTPUT_BYTES_MAX (512u << 20) /* a list of every document of a large collection */

struct document_args {
    const char *prefix; /* of names to list; "" for all */
    int64_t limit;      /* documents to list; 0: all */
    bool text;          /* get: the stored text alone */
    bool ignore_missing;
};

static void add_row(struct print_table *table, const struct json *d)
{
    const char *name = json_string(json_member(d, "document"));
    const char *title = json_string(json_member(d, "title"));
    const char *updated = json_string(json_member(d, "updated"));
    struct buf size;

    buf_init(&size, 64);
    progress_append_bytes(&size, (uint64_t)json_number(json_member(d, "text_bytes")));
    print_table_cell(table, "%s", name ? name : "");
    print_table_cell(table, "%.0f", json_number(json_member(d, "chunks")));
    print_table_cell(table, "%s", buf_str(&size));
    print_table_cell(table, "%.16s", updated ? updated : "");
    print_table_cell(table, "%s", title ? title : "");
    buf_release(&size);
}

static enum rag_status add_json(struct json_writer *w, const struct json *d,
                                struct rag_error *reterr)
{
    char *text = NULL;
    enum rag_status status = json_print(d, &text);

    if (status != RAG_OK)
        return rag_fail(reterr, status, "document list: out of memory");
    json_put_raw(w, NULL, text);
    free(text);
    return RAG_OK;
}

static enum rag_status list(struct ragctl_client *client, const struct document_args *args,
                            struct buf *out, struct rag_error *reterr)
{
    bool as_json = client->options->json;
    const struct json *document = NULL;
    enum rag_status status = RAG_OK;
    struct ragctl_pages pages;
    struct print_table table;
    struct json_writer w;
    int64_t n = 0;

    ragctl_pages_init(&pages, client, client->options->collection);
    print_table_init(&table, "lrrll");
    json_writer_init(&w, out);
    if (as_json) {
        json_begin_object(&w, NULL);
        json_begin_array(&w, "documents");
    }
    while (status == RAG_OK && (args->limit == 0 || n < args->limit) &&
           (status = ragctl_pages_next(&pages, &document, reterr)) == RAG_OK && document) {
        const char *name = json_string(json_member(document, "document"));

        if (!name || strncmp(name, args->prefix, strlen(args->prefix)) != 0)
            continue;
        n++;
        if (as_json)
            status = add_json(&w, document, reterr);
        else
            add_row(&table, document);
    }
    if (as_json) {
        json_end_array(&w);
        json_end_object(&w);
        buf_append_char(out, '\n');
    } else {
        print_table_append(&table, out);
    }
    if (status == RAG_OK && buf_status(out) != RAG_OK)
        status = rag_fail(reterr, buf_status(out), "document list: over %zu bytes", out->max);
    print_table_release(&table);
    ragctl_pages_release(&pages);
    return status;
}

static void append_document(struct buf *out, const struct json *d)
{
    static const char *const keys[] = {"document", "title",      "mime",    "version",
                                       "chunks",   "text_bytes", "updated", "metadata"};
    const char *text = json_string(json_member(d, "text"));
    struct buf value;

    buf_init(&value, OUTPUT_BYTES_MAX);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!json_member(d, keys[i]))
            continue;
        buf_reset(&value);
        print_json_value(&value, json_member(d, keys[i]));
        buf_printf(out, "%-11s ", keys[i]);
        print_one_line(out, buf_str(&value), value.len, 0);
        buf_append_char(out, '\n');
    }
    buf_append_char(out, '\n');
    if (text)
        print_clean(out, text, strlen(text));
    buf_append_char(out, '\n');
    buf_release(&value);
}

/* --text writes the stored bytes as they are: byte spans of citations count in them. */
static enum rag_status get(struct ragctl_client *client, const char *path,
                           const struct document_args *args, struct buf *out,
                           struct rag_error *reterr)
{
    static const char *const plain[] = {"Accept: text/plain", NULL};
    struct http_call request = {.method = "GET", .path = path};
    struct json *reply = NULL;
    enum rag_status status;

    if (args->text)
        request.headers = plain;
    status = ragctl_client_do(client, &request, reterr);
    if (status == RAG_OK && (args->text || client->options->json)) {
        buf_append(out, buf_str(&client->body), client->body.len);
        if (!args->text)
            buf_append_char(out, '\n');
    } else if (status == RAG_OK) {
        status = json_parse(buf_str(&client->body), client->body.len, "response of ragd", &reply,
                            reterr);
        if (status == RAG_OK)
            append_document(out, reply);
    }
    json_free(reply);
    return status;
}

/* Delete every name given; the first failure ends it. */
static enum rag_status delete_all(struct ragctl_client *client, char **names, int n,
                                  const struct document_args *args, struct buf *out,
                                  struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct json_writer w;
    struct buf path;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    json_writer_init(&w, out);
    if (client->options->json) {
        json_begin_object(&w, NULL);
        json_begin_array(&w, "deleted");
    }
    for (int i = 0; i < n && status == RAG_OK; i++) {
        buf_reset(&path);
        ragctl_client_collection_path(&path, client->options->collection, "/documents/", names[i]);
        status = ragctl_client_call(client, "DELETE", buf_str(&path), NULL, reterr);
        if (status == RAG_ENOTFOUND && args->ignore_missing) {
            status = RAG_OK;
            continue;
        }
        if (status == RAG_OK && client->options->json)
            json_put_string(&w, NULL, names[i]);
        else if (status == RAG_OK)
            buf_printf(out, "document '%s': deleted\n", names[i]);
    }
    if (client->options->json) {
        json_end_array(&w);
        json_end_object(&w);
        buf_append_char(out, '\n');
    }
    buf_release(&path);
    return status;
}

static enum rag_status do_verb(struct ragctl_client *client, const char *verb, char **names, int n,
                               const struct document_args *args, struct buf *out,
                               struct rag_error *reterr)
{
    enum rag_status status;
    struct buf path;

    if (strcmp(verb, "list") == 0)
        return list(client, args, out, reterr);
    if (strcmp(verb, "delete") == 0)
        return delete_all(client, names, n, args, out, reterr);
    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    ragctl_client_collection_path(&path, client->options->collection, "/documents/", names[0]);
    status = get(client, buf_str(&path), args, out, reterr);
    buf_release(&path);
    return status;
}

static enum rag_status read_args(int argc, char **argv, struct document_args *args, char **words,
                                 int *ret_n, const char **ret_verb, struct rag_error *reterr)
{
    static const char *const verbs[] = {"list", "get", "delete"};
    const struct ragctl_arg table[] = {
        {.name = "--prefix",   .text = &args->prefix },
        {.name = "--limit",    .number = &args->limit, .min = 1, .max = INT32_MAX},
        {.name = "--text",    .flag = &args->text                         },
        {.name = "--ignore-missing",.flag = &args->ignore_missing},
    };
    enum rag_status status =
        ragctl_args_parse(table, sizeof table / sizeof table[0], argc, argv, words, ret_n, reterr);

    if (status == RAG_OK)
        status = ragctl_args_verb(verbs, sizeof verbs / sizeof verbs[0], "document", words, *ret_n,
                                  ret_verb, reterr);
    if (status != RAG_OK)
        return status;
    if (strcmp(*ret_verb, "list") == 0 && *ret_n > 1)
        return rag_fail(reterr, RAG_EINVAL, "document list: '%s' is one word too many", words[1]);
    if (strcmp(*ret_verb, "get") == 0 && *ret_n != 2)
        return rag_fail(reterr, RAG_EINVAL, "document get: needs one document's name");
    if (strcmp(*ret_verb, "delete") == 0 && *ret_n < 2)
        return rag_fail(reterr, RAG_EINVAL, "document delete: needs a document's name");
    return RAG_OK;
}

int ragctl_document(const struct ragctl_options *options, int argc, char **argv)
{
    char **words = calloc((size_t)argc + 1, sizeof *words);
    struct rag_error error = {RAG_ENOMEM, "document: out of memory"};
    struct document_args args = {.prefix = ""};
    struct ragctl_client client = {0};
    int exit_status = RAGCTL_OK;
    const char *verb = NULL;
    struct buf out;
    int n_words = 0;

    buf_init(&out, OUTPUT_BYTES_MAX);
    if (!words) {
        exit_status = ragctl_fail(options, &error);
        goto out;
    }
    if (read_args(argc, argv, &args, words, &n_words, &verb, &error) != RAG_OK) {
        exit_status = ragctl_usage("document", &error);
        goto out;
    }
    if (ragctl_client_open(options, &client, &error) != RAG_OK ||
        do_verb(&client, verb, words + 1, n_words - 1, &args, &out, &error) != RAG_OK)
        exit_status = ragctl_fail(options, &error);
    /* What was deleted before a failure is said as well, but never as a second JSON object. */
    if (exit_status == RAGCTL_OK || (!options->json && strcmp(verb, "delete") == 0))
        fwrite(buf_str(&out), 1, out.len, stdout);
out:
    free(words);
    buf_release(&out);
    ragctl_client_close(&client);
    return exit_status;
}
