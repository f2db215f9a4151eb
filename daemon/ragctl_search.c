#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json_writer.h"
#include "daemon/ragctl.h"
#include "daemon/ragctl_client.h"
#include "daemon/ragctl_filter.h"
#include "daemon/ragctl_print.h"

#define REQUEST_BYTES_MAX (1u << 20)
#define OUTPUT_BYTES_MAX  (64u << 20) /* TOP_K_MAX passages of the largest chunk */
#define SNIPPET_COLUMNS   320         /* of a passage, unless --full: some four lines */

/* "[1] document (heading)  0.873" and the passage below it. */
static void append_result(struct buf *out, const struct json *r, size_t columns, bool full)
{
    const char *heading = json_string(json_member(r, "heading"));
    const char *document = json_string(json_member(r, "document"));
    const char *text = json_string(json_member(r, "text"));
    struct buf snippet;

    buf_init(&snippet, OUTPUT_BYTES_MAX);
    buf_printf(out, "[%.0f] ", json_number(json_member(r, "rank")));
    print_one_line(out, document ? document : "", document ? strlen(document) : 0, 0);
    if (heading && heading[0] != '\0') {
        buf_append_str(out, " (");
        print_one_line(out, heading, strlen(heading), 0);
        buf_append_str(out, ")");
    }
    buf_printf(out, "  %.3f\n", json_number(json_member(r, "score")));
    if (text)
        print_one_line(&snippet, text, strlen(text), full ? 0 : SNIPPET_COLUMNS);
    print_wrapped(out, buf_str(&snippet), "    ", columns);
    buf_release(&snippet);
}

static void print_results(const struct json *reply, bool full)
{
    const struct json *results = json_member(reply, "results");
    size_t columns = print_terminal_columns(stdout);
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    for (const struct json *r = json_first(results); r; r = json_next(r))
        append_result(&out, r, columns, full);
    if (json_size(results) == 0)
        buf_append_str(&out, "nothing found\n");
    fputs(buf_str(&out), stdout);
    buf_release(&out);
}

static enum rag_status make_request(const struct ragctl_options *options, char **words, int n_words,
                                    const struct ragctl_query *query, bool stages,
                                    struct buf *ret_body, struct rag_error *reterr)
{
    enum rag_status status;
    struct json_writer w;
    struct buf text;

    buf_init(&text, QUESTION_BYTES_MAX + 1);
    status = ragctl_query_join(words, n_words, "query", &text, reterr);
    json_writer_init(&w, ret_body);
    json_begin_object(&w, NULL);
    json_put_string(&w, "query", buf_str(&text));
    if (stages)
        json_put_bool(&w, "stages", true);
    if (status == RAG_OK)
        status = ragctl_query_write(&w, options->collection, query, reterr);
    json_end_object(&w);
    buf_release(&text);
    return status;
}

int ragctl_search(const struct ragctl_options *options, int argc, char **argv)
{
    struct ragctl_query query = {0};
    bool full = false;
    bool stages = false;
    const struct ragctl_arg table[] = {
        {.name = "--top-k",      .number = &query.top_k, .min = 1, .max = TOP_K_MAX},
        {.name = "--filter",      .text = &query.filter                           },
        {.name = "--where",.list = &query.only},
        {.name = "--full",        .flag = &full                                       },
        {.name = "--stages",  .flag = &stages},
    };
    char **words = calloc((size_t)argc + 1, sizeof *words);
    struct ragctl_client client = {0};
    struct rag_error error = {RAG_ENOMEM, "search: out of memory"};
    struct json *reply = NULL;
    int exit_status = RAGCTL_OK;
    struct buf body;
    int n_words = 0;

    buf_init(&body, REQUEST_BYTES_MAX);
    if (!words) {
        exit_status = ragctl_fail(options, &error);
        goto out;
    }
    if (ragctl_args_parse(table, sizeof table / sizeof table[0], argc, argv, words, &n_words,
                          &error) != RAG_OK ||
        make_request(options, words, n_words, &query, stages, &body, &error) != RAG_OK) {
        exit_status = ragctl_usage("search", &error);
        goto out;
    }
    if (ragctl_client_open(options, &client, &error) != RAG_OK ||
        ragctl_client_send(&client, "POST", "/v1/search", &body, &reply, &error) != RAG_OK) {
        exit_status = ragctl_fail(options, &error);
        goto out;
    }
    if (options->json)
        printf("%s\n", buf_str(&client.body));
    else
        print_results(reply, full);
out:
    free(words);
    json_free(reply);
    buf_release(&body);
    ragctl_client_close(&client);
    return exit_status;
}
