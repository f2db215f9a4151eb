#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/audit_retention.h"
#include "daemon/handle.h"
#include "daemon/log.h"

#define LIST_MAX          1000 /* rows of one page */
#define CUT_WHY_BYTES_MAX 1024

static void write_head(struct json_writer *w, const char *key, const struct audit_head *head)
{
    char hex[SHA256_HEX_BYTES];

    sha256_hex(head->hash, hex);
    json_begin_object(w, key);
    json_put_int(w, "n", (int64_t)head->n);
    json_put_string(w, "hash", hex);
    json_end_object(w);
}

static void write_entry(struct json_writer *w, const struct audit_entry *entry)
{
    char time[CLOCK_TEXT_BYTES];
    char hex[SHA256_HEX_BYTES];

    clock_format(entry->time_ms, time);
    sha256_hex(entry->hash, hex);
    json_begin_object(w, NULL);
    json_put_int(w, "seq", (int64_t)entry->seq);
    json_put_string(w, "time", time);
    json_put_string(w, "kind", entry->kind);
    json_put_string(w, "principal", entry->principal);
    json_put_bool(w, "erased", entry->payload == NULL);
    if (entry->payload)
        json_put_raw(w, "payload", entry->payload);
    else
        json_put_null(w, "payload");
    json_put_string(w, "hash", hex);
    json_end_object(w);
}

static enum rag_status list_one(void *context, const struct audit_entry *entry,
                                struct rag_error *reterr)
{
    (void)reterr;
    write_entry(context, entry);
    return RAG_OK;
}

static enum rag_status read_query(const struct http_request *request, struct audit_query *ret,
                                  struct rag_error *reterr)
{
    int64_t after = 0;
    int64_t before = 0;
    int64_t limit = 100;
    enum rag_status status;

    status = handle_query_int(request, "after", 0, INT64_MAX, &after, reterr);
    if (status == RAG_OK)
        status = handle_query_int(request, "before", 0, INT64_MAX, &before, reterr);
    if (status == RAG_OK)
        status = handle_query_int(request, "limit", 1, LIST_MAX, &limit, reterr);
    if (status == RAG_OK)
        status = handle_query_int(request, "since", 0, INT64_MAX, &ret->since_ms, reterr);
    if (status == RAG_OK)
        status = handle_query_int(request, "until", 0, INT64_MAX, &ret->until_ms, reterr);
    ret->after = (uint64_t)after;
    ret->before = (uint64_t)before;
    ret->limit = (size_t)limit;
    ret->kind = http_request_query(request, "kind");
    ret->principal = http_request_query(request, "principal");
    ret->request_id = http_request_query(request, "request_id");
    return status;
}

void handle_audit_list(struct http_request *request, struct http_response *response, void *context)
{
    struct rag_error error = {RAG_OK, ""};
    struct audit_query query = {0};
    struct app *app = context;
    enum rag_status status;
    struct audit_head head;
    struct json_writer w;
    struct buf body;

    buf_init(&body, HANDLE_REPLY_BYTES_MAX);
    json_writer_init(&w, &body);
    status = read_query(request, &query, &error);
    /* Everybody may read their own rows; an administrator all of them. */
    if (status == RAG_OK && !handle_is_admin(app, request)) {
        if (query.principal && strcmp(query.principal, request->principal) != 0)
            status = handle_need_admin(app, request, &error);
        query.principal = request->principal;
    }
    json_begin_object(&w, NULL);
    json_begin_array(&w, "entries");
    if (status == RAG_OK)
        status = audit_list(app->audit, &query, list_one, &w, &error);
    json_end_array(&w);
    audit_head(app->audit, &head);
    write_head(&w, "head", &head);
    json_end_object(&w);
    handle_finish(request, response, 200, &body, status, &error);
}

static enum rag_status read_seq(const struct http_request *request, uint64_t *ret,
                                struct rag_error *reterr)
{
    const char *text = http_request_param(request, "seq");
    unsigned long long v;
    char *end = NULL;

    v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || strlen(text) > 18)
        return rag_fail(reterr, RAG_EINVAL, "audit row '%.40s': not a row number", text);
    *ret = v;
    return RAG_OK;
}

void handle_audit_get(struct http_request *request, struct http_response *response, void *context)
{
    struct rag_error error = {RAG_OK, ""};
    struct audit_entry entry;
    struct app *app = context;
    const char *id = http_request_param(request, "seq");
    enum rag_status status = RAG_OK;
    struct json_writer w;
    struct arena arena;
    uint64_t seq = 0;
    struct buf body;

    arena_init(&arena, 64u << 20);
    buf_init(&body, HANDLE_REPLY_BYTES_MAX);
    json_writer_init(&w, &body);
    if (strlen(id) == HTTP_ID_BYTES - 1) { /* longer than any row number */
        status = audit_get_request(app->audit, id, &arena, &entry, &error);
    } else {
        status = read_seq(request, &seq, &error);
        if (status == RAG_OK)
            status = audit_get(app->audit, seq, &arena, &entry, &error);
    }
    if (status == RAG_OK && strcmp(entry.principal, request->principal) != 0)
        status = handle_need_admin(app, request, &error);
    if (status == RAG_OK)
        write_entry(&w, &entry);
    handle_finish(request, response, 200, &body, status, &error);
    arena_release(&arena);
}

/* What a verification is compared with; none of it need be there. */
struct anchors {
    struct audit_head head; /* of "head": {"n", "hash"} */
    bool has_head;
    uint8_t key[AUDIT_PUBLIC_BYTES]; /* of "public_key": 64 hex digits */
    bool has_key;
};

static enum rag_status read_anchors(const struct json *body, struct anchors *ret,
                                    struct rag_error *reterr)
{
    static const char *const keys[] = {"head", "public_key", NULL};
    const struct json *head = NULL;
    const char *hash = NULL;
    const char *key = NULL;
    int64_t n = -1;
    enum rag_status status;

    status = json_only(body, keys, reterr);
    if (status == RAG_OK)
        status = json_get_object(body, "head", &head, reterr);
    if (status == RAG_OK)
        status = json_get_string(body, "public_key", SHA256_HEX_BYTES - 1, &key, reterr);
    if (status == RAG_OK && key && sha256_from_hex(key, ret->key) != RAG_OK)
        status = rag_fail(reterr, RAG_EINVAL, "'public_key': not 64 hex digits");
    ret->has_key = key != NULL;
    if (status != RAG_OK || !head)
        return status;
    status = json_get_int(head, "n", 0, 1ll << 53, &n, reterr);
    if (status == RAG_OK)
        status = json_get_string(head, "hash", SHA256_HEX_BYTES - 1, &hash, reterr);
    if (status == RAG_OK && (n < 0 || !hash || sha256_from_hex(hash, ret->head.hash) != RAG_OK))
        status = rag_fail(reterr, RAG_EINVAL, "'head': needs \"n\" and \"hash\" (64 hex digits)");
    ret->head.n = (uint64_t)n;
    ret->has_head = status == RAG_OK;
    return status;
}

static void write_checkpoint(struct json_writer *w, const struct audit_report *report)
{
    const struct audit_checkpoint *c = &report->checkpoint;
    char time[CLOCK_TEXT_BYTES];
    char hex[SHA256_HEX_BYTES];

    if (c->seq == 0) {
        json_put_null(w, "checkpoint");
        return;
    }
    clock_format(c->time_ms, time);
    sha256_hex(c->public_key, hex);
    json_begin_object(w, "checkpoint");
    json_put_int(w, "seq", (int64_t)c->seq);
    json_put_string(w, "time", time);
    json_put_bool(w, "signature_good", report->checkpoint_good);
    json_put_string(w, "public_key", hex);
    json_end_object(w);
}

void handle_audit_verify(struct http_request *request, struct http_response *response,
                         void *context)
{
    struct rag_error error = {RAG_OK, ""};
    struct audit_report report = {0};
    struct anchors anchors = {0};
    struct json *settings = NULL;
    struct app *app = context;
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, 65536);
    json_writer_init(&w, &body);
    status = handle_need_admin(app, request, &error);
    if (status == RAG_OK)
        status = handle_body_object(request, &settings, &error);
    if (status == RAG_OK)
        status = read_anchors(settings, &anchors, &error);
    json_free(settings);
    if (status == RAG_OK)
        status = audit_verify(app->audit, anchors.has_head ? &anchors.head : NULL,
                              anchors.has_key ? anchors.key : NULL, &report, &error);
    json_begin_object(&w, NULL);
    json_put_bool(&w, "whole", report.whole);
    json_put_int(&w, "rows", (int64_t)report.n_rows);
    json_put_int(&w, "erased", (int64_t)report.n_erased);
    json_put_int(&w, "first_seq", (int64_t)report.first_seq);
    json_put_int(&w, "bad_seq", (int64_t)report.bad_seq);
    json_put_string(&w, "problem", report.problem);
    write_checkpoint(&w, &report);
    json_put_bool(&w, "head_was_cut", report.head_was_cut);
    write_head(&w, "head", &report.head);
    json_end_object(&w);
    handle_finish(request, response, 200, &body, status, &error);
}

/* ---- cut ---- */

struct cut {
    uint64_t seq; /* rows up to this one go; 0: none does */
    bool dry_run; /* only say how many */
    char why[CUT_WHY_BYTES_MAX + 1];
};

/* Exactly one of "seq", "before" (ms since 1970) and "keep_days" says what goes. */
static enum rag_status read_cut(const struct app *app, const struct json *body, struct cut *ret,
                                struct rag_error *reterr)
{
    static const char *const keys[] = {"seq", "before", "keep_days", "why", "dry_run", NULL};
    const char *why = NULL;
    int64_t keep_days = 0;
    int64_t before = 0;
    int64_t seq = 0;
    enum rag_status status = json_only(body, keys, reterr);

    if (status == RAG_OK)
        status = json_get_int(body, "seq", 1, 1ll << 53, &seq, reterr);
    if (status == RAG_OK)
        status = json_get_int(body, "before", 1, 1ll << 53, &before, reterr);
    if (status == RAG_OK)
        status = json_get_int(body, "keep_days", 1, AUDIT_KEEP_DAYS_MAX, &keep_days, reterr);
    if (status == RAG_OK)
        status = json_get_string(body, "why", CUT_WHY_BYTES_MAX, &why, reterr);
    if (status == RAG_OK)
        status = json_get_bool(body, "dry_run", &ret->dry_run, reterr);
    if (status == RAG_OK && (seq > 0) + (before > 0) + (keep_days > 0) != 1)
        status = rag_fail(reterr, RAG_EINVAL,
                          "body: needs exactly one of 'seq' (the last row that goes), 'before' "
                          "(milliseconds since 1970) and 'keep_days'");
    if (status != RAG_OK)
        return status;
    snprintf(ret->why, sizeof ret->why, "%s", why ? why : "");
    if (!why && keep_days > 0)
        snprintf(ret->why, sizeof ret->why, "keep_days %lld", (long long)keep_days);
    ret->seq = (uint64_t)seq;
    if (keep_days > 0)
        before = audit_retention_before_ms(clock_wall_ms(), keep_days);
    return before > 0 ? audit_seq_before(app->audit, before, &ret->seq, reterr) : RAG_OK;
}

/* A dry run refuses what the cut would refuse. */
static enum rag_status check_cut(const struct cut *cut, uint64_t first, uint64_t n,
                                 struct rag_error *reterr)
{
    if (cut->seq >= first && cut->seq < n)
        return RAG_OK;
    return rag_fail(reterr, cut->seq == n ? RAG_EINVAL : RAG_ENOTFOUND,
                    "audit row %llu: %s; rows %llu..%llu can be cut", (unsigned long long)cut->seq,
                    cut->seq == n      ? "is the last one, which stays"
                    : cut->seq < first ? "was cut already"
                                       : "does not exist",
                    (unsigned long long)first, (unsigned long long)(n > 0 ? n - 1 : 0));
}

void handle_audit_cut(struct http_request *request, struct http_response *response, void *context)
{
    struct rag_error error = {RAG_OK, ""};
    struct json *settings = NULL;
    struct app *app = context;
    struct cut cut = {0};
    enum rag_status status;
    struct audit_head head;
    struct json_writer w;
    uint64_t first = 0;
    struct buf body;

    buf_init(&body, 4096);
    json_writer_init(&w, &body);
    status = handle_need_admin(app, request, &error);
    if (status == RAG_OK)
        status = handle_body_object(request, &settings, &error);
    if (status == RAG_OK)
        status = read_cut(app, settings, &cut, &error);
    json_free(settings);
    first = audit_first_seq(app->audit);
    audit_head(app->audit, &head);
    if (status == RAG_OK && cut.seq > 0)
        status = check_cut(&cut, first, head.n, &error);
    if (status == RAG_OK && cut.seq > 0 && !cut.dry_run)
        status = audit_cut(app->audit, cut.seq, request->principal, cut.why, &error);
    if (status == RAG_OK && cut.seq > 0 && !cut.dry_run)
        log_event(LOG_INFO, request->id, "audit_cut", "rows=%llu first=%llu principal=%s",
                  (unsigned long long)(cut.seq - first + 1), (unsigned long long)(cut.seq + 1),
                  request->principal);
    json_begin_object(&w, NULL);
    json_put_int(&w, "seq", (int64_t)cut.seq);
    json_put_int(&w, "rows", cut.seq > 0 ? (int64_t)(cut.seq - first + 1) : 0);
    json_put_int(&w, "first_seq", (int64_t)(cut.seq > 0 ? cut.seq + 1 : first));
    json_put_bool(&w, "dry_run", cut.dry_run);
    json_end_object(&w);
    handle_finish(request, response, 200, &body, status, &error);
}

void handle_audit_erase(struct http_request *request, struct http_response *response, void *context)
{
    static const char *const keys[] = {"why", NULL};
    struct rag_error error = {RAG_OK, ""};
    struct json *settings = NULL;
    struct app *app = context;
    const char *why = NULL;
    enum rag_status status;
    struct json_writer w;
    uint64_t seq = 0;
    struct buf body;

    buf_init(&body, 4096);
    json_writer_init(&w, &body);
    status = handle_need_admin(app, request, &error);
    if (status == RAG_OK)
        status = read_seq(request, &seq, &error);
    if (status == RAG_OK)
        status = handle_body_object(request, &settings, &error);
    if (status == RAG_OK)
        status = json_only(settings, keys, &error);
    if (status == RAG_OK)
        status = json_get_string(settings, "why", 1024, &why, &error);
    if (status == RAG_OK && (!why || !*why))
        status = rag_fail(&error, RAG_EINVAL,
                          "'why': missing; an erasure is recorded with its "
                          "reason");
    if (status == RAG_OK)
        status = audit_erase(app->audit, seq, request->principal, why, &error);
    json_free(settings);
    json_begin_object(&w, NULL);
    json_put_int(&w, "seq", (int64_t)seq);
    json_put_bool(&w, "erased", true);
    json_end_object(&w);
    handle_finish(request, response, 200, &body, status, &error);
}
