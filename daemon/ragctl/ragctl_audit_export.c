/* daemon/ragctl/ragctl_audit_export.c - 'audit export': pages of lines become one file.
 *
 * A page that breaks off is gone on with behind the last whole line, so a slow disk or a restart of
 * the daemon costs nothing; the file ends when a page has no row. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json_writer.h"
#include "daemon/ragctl/ragctl_audit.h"

#define PAGE_ROWS       5000
#define LINE_BYTES_MAX  (64u << 20) /* the largest payload, escaped as a text */
#define ERROR_BYTES_MAX 65536

struct export
{
    struct ragctl_client *client;
    FILE *file;
    bool csv;
    bool begun; /* CSV: the header is written */
    struct buf line;
    struct buf error_body;
    char *end; /* owned: the last line of a page of JSONL, or NULL */
    uint64_t last;
    uint64_t n_rows;
    uint64_t n_page;
    enum rag_status failed; /* of writing */
};

static void write_line(struct export *e, const char *line, size_t n)
{
    if (fwrite(line, 1, n, e->file) != n || fwrite("\n", 1, 1, e->file) != 1)
        e->failed = RAG_EIO;
}

static void take_line(struct export *e)
{
    const char *line = buf_str(&e->line);
    bool is_row = e->csv ? line[0] >= '0' && line[0] <= '9' : strncmp(line, "{\"seq\":", 7) == 0;

    if (is_row) {
        write_line(e, line, e->line.len);
        e->last = strtoull(e->csv ? line : line + 7, NULL, 10);
        e->n_rows++;
        e->n_page++;
    } else if (!e->csv) {
        free(e->end);
        e->end = strdup(line);
    } else if (!e->begun) {
        write_line(e, line, e->line.len);
        e->begun = true;
    }
}

static bool on_piece(void *context, const char *data, size_t n)
{
    struct export *e = context;

    if (http_client_code(e->client->http) >= 300) {
        buf_append(&e->error_body, data, n);
        return buf_status(&e->error_body) == RAG_OK;
    }
    while (n > 0) {
        const char *lf = memchr(data, '\n', n);
        size_t part = lf ? (size_t)(lf - data) : n;

        buf_append(&e->line, data, part);
        if (buf_status(&e->line) != RAG_OK)
            return false;
        if (!lf)
            return true;
        take_line(e);
        buf_reset(&e->line);
        if (e->failed != RAG_OK)
            return false;
        data = lf + 1;
        n -= part + 1;
    }
    return true;
}

static enum rag_status fetch_page(struct export *e, const struct audit_args *args, uint64_t limit,
                                  struct rag_error *reterr)
{
    struct http_call request = {.method = "GET", .on_piece = on_piece, .context = e};
    enum rag_status status;
    struct buf path;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    buf_printf(&path, "/v1/audit/export?format=%s&after=%" PRIu64 "&limit=%" PRIu64,
               e->csv ? "csv" : "jsonl", e->last, limit);
    ragctl_audit_filters(&path, args);
    request.path = buf_str(&path);
    e->n_page = 0;
    free(e->end);
    e->end = NULL;
    buf_reset(&e->line);
    status = ragctl_client_do(e->client, &request, reterr);
    buf_release(&path);
    if (e->failed != RAG_OK)
        return rag_fail_errno(reterr, e->failed, errno, "audit: the rows cannot be written");
    if (buf_status(&e->line) != RAG_OK)
        return rag_fail(reterr, RAG_ELIMIT, "audit row behind %" PRIu64 ": over %u bytes", e->last,
                        LINE_BYTES_MAX);
    if (e->client->code >= 300)
        return ragctl_client_error(e->client->code, buf_str(&e->error_body), e->error_body.len,
                                   reterr);
    /* broken off, but further than before */
    return status == RAG_EIO && e->n_page > 0 ? RAG_OK : status;
}

/* The last page's end speaks of that page: the file's has all rows. */
static enum rag_status write_end(struct export *e, const struct audit_args *args,
                                 struct rag_error *reterr)
{
    static const char *const copied[] = {"filtered", "head", "checkpoint"};
    const struct json *end;
    struct json *root = NULL;
    struct json_writer w;
    struct buf out;
    enum rag_status status = RAG_OK;

    if (!e->end)
        return rag_fail(reterr, RAG_EIO, "ragd: the export broke off behind row %" PRIu64, e->last);
    status = json_parse(e->end, strlen(e->end), "response of ragd", &root, reterr);
    end = json_member(root, "end");
    if (status == RAG_OK && !json_is_object(end))
        status = rag_fail(reterr, RAG_EIO, "ragd: %s", e->end);
    buf_init(&out, ERROR_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_begin_object(&w, "end");
    json_put_int(&w, "rows", (int64_t)e->n_rows);
    json_put_int(&w, "after", args->after);
    json_put_bool(&w, "limited", args->limit > 0 && e->n_rows >= (uint64_t)args->limit);
    for (size_t i = 0; status == RAG_OK && i < sizeof copied / sizeof copied[0]; i++) {
        char *text = NULL;

        status = json_print(json_member(end, copied[i]), &text);
        json_put_raw(&w, copied[i], status == RAG_OK ? text : "null");
        free(text);
    }
    json_end_object(&w);
    json_end_object(&w);
    if (status == RAG_OK)
        write_line(e, buf_str(&out), out.len);
    json_free(root);
    buf_release(&out);
    return status;
}

static enum rag_status export_all(struct export *e, const struct audit_args *args,
                                  struct rag_error *reterr)
{
    uint64_t limit = (uint64_t)args->limit; /* 0: none */
    enum rag_status status;

    do {
        uint64_t left = limit > 0 ? limit - e->n_rows : PAGE_ROWS;

        status = fetch_page(e, args, left < PAGE_ROWS ? left : PAGE_ROWS, reterr);
    } while (status == RAG_OK && e->n_page > 0 && (limit == 0 || e->n_rows < limit));
    if (status == RAG_OK && !e->csv)
        status = write_end(e, args, reterr);
    return status;
}

static void report(const struct export *e, const struct audit_args *args)
{
    const struct ragctl_options *options = e->client->options;
    struct json *root = NULL;
    struct json_writer w;
    char *head = NULL;
    struct buf out;

    if (!options->json) {
        ragctl_note(options, "%" PRIu64 " rows written to '%s'", e->n_rows, args->output);
        return;
    }
    buf_init(&out, ERROR_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_int(&w, "entries", (int64_t)e->n_rows);
    json_put_string(&w, "file", args->output);
    if (e->end && json_parse(e->end, strlen(e->end), "end", &root, NULL) == RAG_OK &&
        json_print(json_member(json_member(root, "end"), "head"), &head) == RAG_OK)
        json_put_raw(&w, "head", head);
    json_end_object(&w);
    printf("%s\n", buf_str(&out));
    free(head);
    json_free(root);
    buf_release(&out);
}

enum rag_status ragctl_audit_export(struct ragctl_client *client, const struct audit_args *args,
                                    struct rag_error *reterr)
{
    struct export e = {.client = client,
                       .file = stdout,
                       .csv = args->format && strcmp(args->format, "csv") == 0,
                       .last = (uint64_t)args->after};
    enum rag_status status;

    buf_init(&e.line, LINE_BYTES_MAX);
    buf_init(&e.error_body, ERROR_BYTES_MAX);
    if (args->output)
        e.file = fopen(args->output, "wxe");
    if (!e.file)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot be created", args->output);
    if (e.csv && args->bom)
        fputs("\xEF\xBB\xBF", e.file);
    status = export_all(&e, args, reterr);
    if (args->output && fclose(e.file) != 0 && status == RAG_OK)
        status =
            rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot be written", args->output);
    if (status == RAG_OK && args->output)
        report(&e, args);
    free(e.end);
    buf_release(&e.line);
    buf_release(&e.error_body);
    return status;
}
