/* daemon/handle_audit_export.c - GET /v1/audit/export: the log as a stream of lines.
 *
 * Rows are read in slices and sent without the log's lock, so that a slow reader holds up nobody;
 * the stream ends with the rows that were there when it began. */
#include <string.h>

#include "daemon/audit_export.h"
#include "daemon/handle.h"
#include "daemon/log.h"

#define SLICE_ROWS  256
#define SLICE_BYTES (1u << 20)  /* then it is sent, whatever the next row's size */
#define LINES_BYTES (64u << 20) /* a slice and the largest row, escaped */

struct export
{
    struct buf lines;
    bool csv;
    uint64_t last; /* of the rows written */
    uint64_t n_rows;
    uint64_t rows_max; /* 0: all */
};

static bool add_row(void *context, const struct audit_export_row *row)
{
    struct export *e = context;

    if (e->csv)
        audit_export_csv(row, &e->lines);
    else
        audit_export_json(row, &e->lines);
    e->last = row->row.seq;
    e->n_rows++;
    return e->lines.len < SLICE_BYTES && e->n_rows != e->rows_max;
}

static enum rag_status read_query(struct app *app, const struct http_request *request,
                                  struct audit_query *q, struct export *e, struct rag_error *reterr)
{
    const char *format = http_request_query(request, "format");
    int64_t after = 0;
    int64_t limit = 0;
    enum rag_status status = handle_query_int(request, "after", 0, INT64_MAX, &after, reterr);

    if (status == RAG_OK)
        status = handle_query_int(request, "limit", 1, INT32_MAX, &limit, reterr);
    if (status == RAG_OK)
        status = handle_query_int(request, "since", 0, INT64_MAX, &q->since_ms, reterr);
    if (status == RAG_OK)
        status = handle_query_int(request, "until", 0, INT64_MAX, &q->until_ms, reterr);
    if (status == RAG_OK && format && strcmp(format, "jsonl") != 0 && strcmp(format, "csv") != 0)
        status =
            rag_fail(reterr, RAG_EINVAL, "'format': '%.20s' is neither 'jsonl' nor 'csv'", format);
    q->after = (uint64_t)after;
    q->kind = http_request_query(request, "kind");
    q->principal = http_request_query(request, "principal");
    e->csv = format && strcmp(format, "csv") == 0;
    e->rows_max = (uint64_t)limit;
    if (status == RAG_OK && !handle_is_admin(app, request)) {
        if (q->principal && strcmp(q->principal, request->principal) != 0)
            status = handle_need_admin(app, request, reterr);
        q->principal = request->principal; /* everybody may read their own rows */
    }
    return status;
}

static bool send_lines(struct http_request *request, struct export *e)
{
    bool sent = buf_status(&e->lines) == RAG_OK &&
                http_stream_write(request, buf_str(&e->lines), e->lines.len);

    buf_reset(&e->lines);
    return sent;
}

/* Up to the row 'head'; false: the reader has gone, or the reason is in reterr. */
static bool send_rows(struct app *app, struct http_request *request, struct audit_query *q,
                      struct export *e, struct rag_error *reterr)
{
    for (;;) {
        uint64_t n_before = e->n_rows;

        q->limit = SLICE_ROWS;
        if (audit_export(app->audit, q, add_row, e, reterr) != RAG_OK)
            return false;
        if (e->n_rows == n_before)
            return true;
        if (!send_lines(request, e))
            return false;
        if (e->rows_max != 0 && e->n_rows >= e->rows_max)
            return true;
        q->after = e->last;
    }
}

void handle_audit_export(struct http_request *request, struct http_response *response,
                         void *context)
{
    struct rag_error error = {RAG_OK, ""};
    struct audit_export_end end = {0};
    struct audit_query q = {0};
    struct export e = {0};
    struct app *app = context;
    enum rag_status status = read_query(app, request, &q, &e, &error);

    if (status == RAG_OK)
        status = audit_checkpoint(app->audit, &end.checkpoint, &error);
    if (status != RAG_OK) {
        http_respond_error(response, status, error.text, NULL);
        return;
    }
    audit_head(app->audit, &end.head);
    q.before = end.head.n + 1;
    end.after = q.after;
    end.filtered = q.kind || q.principal || q.since_ms > 0 || q.until_ms > 0;
    buf_init(&e.lines, LINES_BYTES);
    http_stream_begin(request, response,
                      e.csv ? "text/csv; charset=utf-8; header=present" : "application/x-ndjson");
    if (e.csv)
        audit_export_header(&e.lines);
    if (send_rows(app, request, &q, &e, &error) && !e.csv) {
        end.n_rows = e.n_rows;
        end.limited = e.rows_max != 0 && e.n_rows >= e.rows_max;
        audit_export_end(&end, &e.lines);
    }
    if (error.status != RAG_OK)
        log_event(LOG_ERROR, request->id, "audit_export_failed", "rows=%llu error=\"%s\"",
                  (unsigned long long)e.n_rows, error.text);
    (void)send_lines(request, &e);
    http_stream_end(request);
    buf_release(&e.lines);
}
