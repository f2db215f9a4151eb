#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json_writer.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_ask.h"
#include "daemon/ragctl/ragctl_client.h"
#include "daemon/ragctl/ragctl_filter.h"
#include "daemon/ragctl/ragctl_print.h"

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

/* The stages that a result may tell of, in the order in which they run. */
static const struct stage_column {
    const char *title;
    const char *rank;
    const char *score;
} stage_columns[] = {
    {"BM25",   "bm25_rank",   "bm25_score"  },
    {"DENSE",  "dense_rank",  "dense_score" },
    {"FUSED",  "fused_rank",  "fused_score" },
    {"RERANK", "rerank_rank", "rerank_score"},
};
#define N_STAGE_COLUMNS (sizeof stage_columns / sizeof stage_columns[0])

static void put_stage(struct print_table *table, const struct json *result,
                      const struct stage_column *stage)
{
    const struct json *rank = json_member(result, stage->rank);
    const struct json *score = json_member(result, stage->score);

    if (json_is_number(rank))
        print_table_cell(table, "%.0f", json_number(rank));
    else
        print_table_cell(table, "-");
    if (json_is_number(score))
        print_table_cell(table, "%.4f", json_number(score));
    else
        print_table_cell(table, " ");
}

/* Rank and score of each result in each stage that ran. */
static void append_stages(struct buf *out, const struct json *results)
{
    const struct json *first = json_first(results);
    char align[2 * N_STAGE_COLUMNS + 3] = "r";
    struct print_table table;

    if (!first)
        return;
    for (size_t i = 0; i < N_STAGE_COLUMNS; i++)
        if (json_member(first, stage_columns[i].rank))
            strcat(align, "rr");
    strcat(align, "l");
    print_table_init(&table, align);
    print_table_cell(&table, "FINAL");
    for (size_t i = 0; i < N_STAGE_COLUMNS; i++) {
        if (!json_member(first, stage_columns[i].rank))
            continue;
        print_table_cell(&table, "%s", stage_columns[i].title);
        print_table_cell(&table, "SCORE");
    }
    print_table_cell(&table, "DOCUMENT");
    for (const struct json *r = first; r; r = json_next(r)) {
        const char *document = json_string(json_member(r, "document"));

        print_table_cell(&table, "%.0f", json_number(json_member(r, "rank")));
        for (size_t i = 0; i < N_STAGE_COLUMNS; i++)
            if (json_member(first, stage_columns[i].rank))
                put_stage(&table, r, &stage_columns[i]);
        print_table_cell(&table, "%s", document ? document : "");
    }
    buf_append_char(out, '\n');
    print_table_append(&table, out);
    print_table_release(&table);
}

static void note_degraded(const struct ragctl_options *options, const struct json *reply)
{
    const struct json *list = json_member(reply, "degraded");

    for (const struct json *d = json_first(list); d; d = json_next(d)) {
        const char *stage = json_string(json_member(d, "stage"));
        const char *reason = json_string(json_member(d, "reason"));

        ragctl_note(options, "without the stage '%s': %s", stage ? stage : "?",
                    reason ? reason : "?");
    }
}

static void print_results(const struct json *reply, bool full, bool stages)
{
    const struct json *results = json_member(reply, "results");
    size_t columns = print_terminal_columns(stdout);
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    for (const struct json *r = json_first(results); r; r = json_next(r))
        append_result(&out, r, columns, full);
    if (json_size(results) == 0)
        buf_append_str(&out, "nothing found\n");
    if (json_member(reply, "guard")) {
        ragctl_ask_guard(reply, &out);
        buf_append_char(&out, '\n');
    }
    if (stages) {
        append_stages(&out, results);
        buf_append_str(&out, "mode ");
        print_retrieval(&out, reply);
        buf_append_char(&out, '\n');
    }
    fputs(buf_str(&out), stdout);
    buf_release(&out);
}

struct search_args {
    struct ragctl_query query;
    const char *mode;
    const char *fusion; /* a JSON object */
    bool full;
    bool stages;
    bool no_rerank;
};

static enum rag_status make_request(const struct ragctl_options *options, char **words, int n_words,
                                    const struct search_args *args, struct buf *ret_body,
                                    struct rag_error *reterr)
{

    enum rag_status status;
    struct json_writer w;
    struct buf text;

    buf_init(&text, QUESTION_BYTES_MAX + 1);
    status = ragctl_query_join(words, n_words, "query", &text, reterr);
    json_writer_init(&w, ret_body);
    json_begin_object(&w, NULL);
    json_put_string(&w, "query", buf_str(&text));
    if (args->stages)
        json_put_bool(&w, "stages", true);
    if (args->no_rerank)
        json_put_bool(&w, "rerank", false);
    if (args->mode)
        json_put_string(&w, "mode", args->mode);
    if (status == RAG_OK)
        status = ragctl_object_write(&w, "fusion", "--fusion", args->fusion, reterr);
    if (status == RAG_OK)
        status = ragctl_query_write(&w, options->collection, &args->query, reterr);
    json_end_object(&w);
    buf_release(&text);
    return status;
}

int ragctl_search(const struct ragctl_options *options, int argc, char **argv)
{
    struct search_args args = {0};
    const struct ragctl_arg table[] = {
        {.name = "--top-k",           .number = &args.query.top_k, .min = 1, .max = TOP_K_MAX},
        {.name = "--filter",           .text = &args.query.filter                                     },
        {.name = "--where",.list = &args.query.only},
        {.name = "--full",             .flag = &args.full                                                           },
        {.name = "--stages",.flag = &args.stages},
        {.name = "--mode",           .text = &args.mode                                                                         },
        {.name = "--fusion",.text = &args.fusion},
        {.name = "--no-rerank",         .flag = &args.no_rerank                                                                                   },
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
        make_request(options, words, n_words, &args, &body, &error) != RAG_OK) {
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
        print_results(reply, args.full, args.stages);
    note_degraded(options, reply);
out:
    free(words);
    json_free(reply);
    buf_release(&body);
    ragctl_client_close(&client);
    return exit_status;
}
