#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_audit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "base/sha256.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_client.h"
#include "daemon/ragctl/ragctl_print.h"
#include "daemon/ragctl/ragctl_time.h"

#define OUTPUT_BYTES_MAX  (256u << 20)
#define PAGE_ROWS         500
#define LIST_ROWS_DEFAULT 50
#define SUMMARY_COLUMNS   70
#define REQUEST_ID_CHARS  32

/* ---- rows ---- */

/* What a row is about, in a few words: the question, the document, or the payload itself. */
static void row_summary(const struct json *row, struct buf *out)
{
    static const char *const keys[] = {"question", "query", "document", "collection"};
    const struct json *payload = json_member(row, "payload");
    struct buf raw;

    if (json_true(json_member(row, "erased"))) {
        buf_append_str(out, "(erased)");
        return;
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *text = json_string(json_member(payload, keys[i]));

        if (text && text[0] != '\0') {
            print_one_line(out, text, strlen(text), SUMMARY_COLUMNS);
            return;
        }
    }
    buf_init(&raw, OUTPUT_BYTES_MAX);
    print_json_value(&raw, payload);
    print_one_line(out, buf_str(&raw), raw.len, SUMMARY_COLUMNS);
    buf_release(&raw);
}

static void add_row(struct print_table *table, const struct json *row)
{
    const char *time = json_string(json_member(row, "time"));
    const char *kind = json_string(json_member(row, "kind"));
    const char *principal = json_string(json_member(row, "principal"));
    struct buf summary;

    buf_init(&summary, OUTPUT_BYTES_MAX);
    row_summary(row, &summary);
    print_table_cell(table, "%.0f", json_number(json_member(row, "seq")));
    print_table_cell(table, "%s", time ? time : "");
    print_table_cell(table, "%s", principal ? principal : "");
    print_table_cell(table, "%s", kind ? kind : "");
    print_table_cell(table, "%s", buf_str(&summary));
    buf_release(&summary);
}

void ragctl_audit_filters(struct buf *path, const struct audit_args *args)
{
    if (args->kind) {
        buf_append_str(path, "&kind=");
        http_encode_segment(path, args->kind);
    }
    if (args->principal) {
        buf_append_str(path, "&principal=");
        http_encode_segment(path, args->principal);
    }
    if (args->since_ms > 0)
        buf_printf(path, "&since=%" PRId64, args->since_ms);
    if (args->until_ms > 0)
        buf_printf(path, "&until=%" PRId64, args->until_ms);
}

/* Call 'visit' for up to 'limit' rows (0: all), newest first or ascending from 'after'. */
static enum rag_status each_row(struct ragctl_client *client, const struct audit_args *args,
                                bool ascending, int64_t limit,
                                enum rag_status (*visit)(void *context, const struct json *row),
                                void *context, struct json **ret_last_page,
                                struct rag_error *reterr)
{
    uint64_t seq = ascending ? (uint64_t)args->after : (uint64_t)INT64_MAX;
    enum rag_status status = RAG_OK;
    bool more = true;
    int64_t left = limit;
    struct buf path;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    while (more && status == RAG_OK && (limit == 0 || left > 0)) {
        int64_t page_rows = limit > 0 && left < PAGE_ROWS ? left : PAGE_ROWS;
        struct json *page = NULL;
        int64_t n = 0;

        buf_reset(&path);
        buf_printf(&path, "/v1/audit?%s=%" PRIu64 "&limit=%" PRId64, ascending ? "after" : "before",
                   seq, page_rows);
        ragctl_audit_filters(&path, args);
        status = ragctl_client_call(client, "GET", buf_str(&path), &page, reterr);
        for (const struct json *row = json_first(json_member(page, "entries"));
             row && status == RAG_OK; row = json_next(row), n++) {
            seq = (uint64_t)json_number(json_member(row, "seq"));
            status = visit(context, row);
            if (status != RAG_OK)
                rag_fail_errno(reterr, status, errno, "audit: the rows cannot be written");
        }
        left -= n;
        more = n == page_rows;
        json_free(*ret_last_page);
        *ret_last_page = page;
    }
    buf_release(&path);
    return status;
}

/* ---- list ---- */

struct rows {
    struct print_table *table; /* for people */
    struct json_writer *w;     /* one JSON object */
};

static enum rag_status visit_row(void *context, const struct json *row)
{
    struct rows *rows = context;
    char *text = NULL;

    if (rows->table) {
        add_row(rows->table, row);
        return RAG_OK;
    }
    if (json_print(row, &text) != RAG_OK)
        return RAG_ENOMEM;
    json_put_raw(rows->w, NULL, text);
    free(text);
    return RAG_OK;
}

static void put_head(struct json_writer *w, const struct json *page)
{
    char *text = NULL;

    if (json_member(page, "head") && json_print(json_member(page, "head"), &text) == RAG_OK)
        json_put_raw(w, "head", text);
    free(text);
}

static enum rag_status list(struct ragctl_client *client, const struct audit_args *args,
                            bool export_all, struct rag_error *reterr)
{
    bool as_json = client->options->json;
    int64_t limit = args->limit;
    struct print_table table;
    struct json *page = NULL;
    struct json_writer w;
    struct rows rows = {0};
    enum rag_status status;
    struct buf out;

    if (limit == 0 && !export_all)
        limit = LIST_ROWS_DEFAULT;
    buf_init(&out, OUTPUT_BYTES_MAX);
    print_table_init(&table, "rllll");
    json_writer_init(&w, &out);
    rows.w = as_json ? &w : NULL;
    rows.table = as_json ? NULL : &table;
    if (as_json) {
        json_begin_object(&w, NULL);
        json_begin_array(&w, "entries");
    }
    status = each_row(client, args, export_all || args->after >= 0, limit, visit_row, &rows, &page,
                      reterr);
    if (as_json) {
        json_end_array(&w);
        put_head(&w, page);
        json_end_object(&w);
        buf_append_char(&out, '\n');
    } else {
        print_table_append(&table, &out);
    }
    if (status == RAG_OK && buf_status(&out) != RAG_OK)
        status = rag_fail(reterr, buf_status(&out),
                          "audit: the rows are over %zu bytes; 'audit export' has no such limit",
                          out.max);
    if (status == RAG_OK)
        fputs(buf_str(&out), stdout);
    json_free(page);
    print_table_release(&table);
    buf_release(&out);
    return status;
}

/* ---- show, erase, verify ---- */

static void print_row(const struct json *row)
{
    static const char *const keys[] = {"seq", "time", "principal", "kind", "hash"};
    const struct json *payload = json_member(row, "payload");
    struct buf value;
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    buf_init(&value, OUTPUT_BYTES_MAX);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        buf_reset(&value);
        print_json_value(&value, json_member(row, keys[i]));
        buf_printf(&out, "%-10s %s\n", keys[i], buf_str(&value));
    }
    if (json_true(json_member(row, "erased")))
        buf_append_str(&out, "payload    (erased)\n");
    for (const struct json *m = json_first(payload); m; m = json_next(m)) {
        buf_reset(&value);
        print_json_value(&value, m);
        buf_printf(&out, "  %-12s ", json_key(m));
        print_one_line(&out, buf_str(&value), value.len, 0);
        buf_append_char(&out, '\n');
    }
    fputs(buf_str(&out), stdout);
    buf_release(&value);
    buf_release(&out);
}

static enum rag_status show(struct ragctl_client *client, const char *id, struct rag_error *reterr)
{
    struct json *row = NULL;
    enum rag_status status;
    char path[64];

    snprintf(path, sizeof path, "/v1/audit/%s", id);
    status = ragctl_client_call(client, "GET", path, &row, reterr);
    if (status == RAG_OK && client->options->json)
        printf("%s\n", buf_str(&client->body));
    else if (status == RAG_OK)
        print_row(row);
    json_free(row);
    return status;
}

static enum rag_status erase(struct ragctl_client *client, const char *seq, const char *why,
                             struct rag_error *reterr)
{
    enum rag_status status;
    struct json_writer w;
    struct buf body;
    char path[64];

    snprintf(path, sizeof path, "/v1/audit/%s/erase", seq);
    buf_init(&body, 65536);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    json_put_string(&w, "why", why);
    json_end_object(&w);
    status = ragctl_client_send(client, "POST", path, &body, NULL, reterr);
    if (status == RAG_OK && client->options->json)
        printf("%s\n", buf_str(&client->body));
    else if (status == RAG_OK)
        printf("row %s: its payload is erased; the row and the reason stay\n", seq);
    buf_release(&body);
    return status;
}

/* ---- the command ---- */

/* A row number, or (not of an erasure) the id of a request: 32 hexadecimal digits. */
static enum rag_status check_id(const char *verb, const char *id, struct rag_error *reterr)
{
    size_t n = strlen(id);
    int64_t seq = 0;

    if (strcmp(verb, "erase") != 0 && n == REQUEST_ID_CHARS &&
        strspn(id, "0123456789abcdef") == REQUEST_ID_CHARS)
        return RAG_OK;
    return ragctl_args_number(id, "audit row", 1, INT64_MAX, &seq, reterr);
}

static enum rag_status check_args(const char *verb, struct audit_args *args, char **words, int n,
                                  struct rag_error *reterr)
{
    bool one_row =
        strcmp(verb, "show") == 0 || strcmp(verb, "erase") == 0 || strcmp(verb, "replay") == 0;

    if (one_row && n != 2)
        return rag_fail(reterr, RAG_EINVAL, "audit %s: needs one row number", verb);
    if (!one_row && n > 1)
        return rag_fail(reterr, RAG_EINVAL, "audit %s: '%s' is one word too many", verb, words[1]);
    if (strcmp(verb, "erase") == 0 && (!args->why || args->why[0] == '\0'))
        return rag_fail(reterr, RAG_EINVAL,
                        "audit erase: needs --why; the reason stays in the log for good");
    if (strcmp(verb, "prune") == 0 && (args->keep_days > 0) == (args->before != NULL))
        return rag_fail(reterr, RAG_EINVAL,
                        "audit prune: needs either --keep-days or --before; rows that go cannot "
                        "be brought back, --dry-run says how many they are");
    if (args->file && strcmp(verb, "verify") != 0)
        return rag_fail(reterr, RAG_EINVAL, "option --file: of 'audit verify' alone");
    if (args->format && strcmp(args->format, "jsonl") != 0 && strcmp(args->format, "csv") != 0)
        return rag_fail(reterr, RAG_EINVAL, "option --format '%s': neither jsonl nor csv",
                        args->format);
    args->id = one_row ? words[1] : NULL;
    return one_row ? check_id(verb, words[1], reterr) : RAG_OK;
}

static enum rag_status read_times(struct audit_args *args, struct rag_error *reterr)
{
    const struct {
        const char *text;
        const char *what;
        int64_t *ret_ms;
    } times[] = {
        {args->since,  "option --since",  &args->since_ms },
        {args->until,  "option --until",  &args->until_ms },
        {args->before, "option --before", &args->before_ms},
    };
    int64_t now_ms = clock_wall_ms();
    enum rag_status status = RAG_OK;

    for (size_t i = 0; status == RAG_OK && i < sizeof times / sizeof times[0]; i++)
        if (times[i].text)
            status =
                ragctl_time_parse(times[i].text, times[i].what, now_ms, times[i].ret_ms, reterr);
    return status;
}

static enum rag_status read_args(int argc, char **argv, struct audit_args *args, char **words,
                                 const char **ret_verb, struct rag_error *reterr)
{
    static const char *const verbs[] = {"list",  "show",  "export", "verify",
                                        "prune", "erase", "replay"};
    const struct ragctl_arg table[] = {
        {.name = "--limit",       .number = &args->limit, .min = 1, .max = INT32_MAX},
        {.name = "--after",       .number = &args->after,                             .min = 0, .max = INT64_MAX},
        {.name = "--kind",.text = &args->kind},
        {.name = "--principal",                       .text = &args->principal                             },
        {.name = "--since",                       .text = &args->since                                            },
        {.name = "--until",                       .text = &args->until},
        {.name = "--head",                       .text = &args->head},
        {.name = "--public-key",                       .text = &args->public_key                              },
        {.name = "--why",                       .text = &args->why                                       },
        {.name = "--output",                       .text = &args->output},
        {.name = "--out",                       .text = &args->output},
        {.name = "--format",                       .text = &args->format                              },
        {.name = "--bom",                       .flag = &args->bom                                       },
        {.name = "--file",                       .text = &args->file},
        {.name = "--keep-days",                       .number = &args->keep_days,.min = 1, .max = AUDIT_KEEP_DAYS_MAX},
        {.name = "--before",                       .text = &args->before                        },
        {.name = "--dry-run",               .flag = &args->dry_run                    },
    };
    int n_words = 0;
    enum rag_status status = ragctl_args_parse(table, sizeof table / sizeof table[0], argc, argv,
                                               words, &n_words, reterr);

    if (status == RAG_OK)
        status = ragctl_args_verb(verbs, sizeof verbs / sizeof verbs[0], "audit", words, n_words,
                                  ret_verb, reterr);
    if (status == RAG_OK)
        status = read_times(args, reterr);
    return status == RAG_OK ? check_args(*ret_verb, args, words, n_words, reterr) : status;
}

static enum rag_status run_verb(const char *verb, struct ragctl_client *client,
                                struct audit_args *args, bool *ret_whole, struct rag_error *reterr)
{
    if (strcmp(verb, "list") == 0)
        return list(client, args, false, reterr);
    if (strcmp(verb, "show") == 0)
        return show(client, args->id, reterr);
    if (strcmp(verb, "erase") == 0)
        return erase(client, args->id, args->why, reterr);
    if (strcmp(verb, "replay") == 0)
        return ragctl_audit_replay(client, args->id, reterr);
    if (strcmp(verb, "prune") == 0)
        return ragctl_audit_prune(client, args, reterr);
    if (strcmp(verb, "verify") == 0)
        return ragctl_audit_verify(client, args, ret_whole, reterr);
    args->after = args->after < 0 ? 0 : args->after;
    if (!args->output && client->options->json && !args->format)
        return list(client, args, true, reterr);
    return ragctl_audit_export(client, args, reterr);
}

int ragctl_audit(const struct ragctl_options *options, int argc, char **argv)
{
    char **words = calloc((size_t)argc + 1, sizeof *words);
    struct rag_error error = {RAG_ENOMEM, "audit: out of memory"};
    struct audit_args args = {.after = -1};
    struct ragctl_client client = {0};
    enum rag_status status;
    const char *verb = NULL;
    bool whole = true;

    if (!words)
        return ragctl_fail(options, &error);
    status = read_args(argc, argv, &args, words, &verb, &error);
    free(words); /* what they point to is argv's */
    if (status != RAG_OK)
        return ragctl_usage("audit", &error);
    if (args.file) { /* needs no daemon */
        status = ragctl_audit_verify_file(options, &args, &whole, &error);
    } else {
        status = ragctl_client_open(options, &client, &error);
        if (status == RAG_OK)
            status = run_verb(verb, &client, &args, &whole, &error);
    }
    ragctl_client_close(&client);
    if (status != RAG_OK)
        return ragctl_fail(options, &error);
    return whole ? RAGCTL_OK : RAGCTL_FAILED;
}
