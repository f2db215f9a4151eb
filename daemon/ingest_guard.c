/* daemon/ingest_guard.c - the policy's stage "document": what is stored is masked before. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "daemon/ingest_internal.h"

/* One document on its way through the policy. */
struct check {
    const struct ingest *ingest;
    const char *collection;
    const char *name;
    struct ingest_guarded *guarded;
};

static void count(struct ingest_guarded *g, const struct guard_finding *f)
{
    size_t i = 0;

    g->n_findings++;
    while (i < g->n_items && (g->items[i].rule != f->rule || g->items[i].action != f->action ||
                              strcmp(g->items[i].detail, f->detail) != 0))
        i++;
    if (i == INGEST_GUARDED_MAX)
        return;
    if (i == g->n_items) {
        g->items[i].rule = f->rule;
        g->items[i].detail = f->detail;
        g->items[i].action = f->action;
        g->n_items++;
    }
    g->items[i].n++;
}

static void take(const struct check *check, const struct guard_result *r)
{
    for (size_t i = 0; i < r->n_findings; i++) {
        const struct guard_finding *f = &r->findings[i];

        count(check->guarded, f);
        if (check->ingest->metrics)
            metrics_count(check->ingest->metrics, METRICS_GUARD_FINDINGS,
                          guard_stage_name(GUARD_DOCUMENT), guard_action_name(f->action), 1);
    }
    if (r->verdict > check->guarded->verdict)
        check->guarded->verdict = r->verdict;
}

/* Check n bytes and mask them in place. RAG_EINVAL: refused; no right is missing, so the next
 * document may pass. */
static enum rag_status check_text(const struct check *check, char *text, size_t n,
                                  struct rag_error *reterr)
{
    const struct guard_text given = {.text = text, .n_bytes = n, .collection = check->collection};
    int64_t begun = clock_monotonic_ns();
    struct guard_result r;
    enum rag_status status;

    if (n == 0)
        return RAG_OK;
    guard_result_init(&r, n);
    status = guard_check(check->ingest->guard, GUARD_DOCUMENT, &given, &r, reterr);
    if (check->ingest->metrics)
        metrics_guard(check->ingest->metrics, GUARD_DOCUMENT, clock_elapsed_ms(begun));
    take(check, &r);
    if (status == RAG_OK && r.masked.len == n)
        memcpy(text, r.masked.data, n);
    if (status == RAG_OK && r.verdict == GUARD_REFUSE)
        status =
            rag_fail(reterr, RAG_EINVAL, "document '%.200s': refused by the policy, rule '%s': %s",
                     check->name, r.findings[r.n_findings - 1].rule, r.reason);
    guard_result_release(&r);
    return status;
}

/* A text of the metadata, masked, into w. */
static enum rag_status check_value(const struct check *check, const struct json *value,
                                   const char *key, struct json_writer *w, struct rag_error *reterr)
{
    const char *text = json_string(value);
    enum rag_status status;
    char *copy = NULL;

    if (!text) {
        status = json_print(value, &copy);
        if (status != RAG_OK)
            return rag_fail(reterr, status, "metadata '%.64s': out of memory", key ? key : "");
        json_put_raw(w, key, copy);
        free(copy);
        return RAG_OK;
    }
    copy = strdup(text);
    if (!copy)
        return rag_fail(reterr, RAG_ENOMEM, "metadata: out of memory");
    status = check_text(check, copy, strlen(copy), reterr);
    json_put_string(w, key, copy);
    free(copy);
    return status;
}

static enum rag_status check_metadata(const struct check *check, char **metadata,
                                      struct rag_error *reterr)
{
    struct json *root = NULL;
    struct json_writer w;
    enum rag_status status = json_parse(*metadata, strlen(*metadata), "metadata", &root, reterr);
    char *masked = NULL;
    struct buf out;

    if (status != RAG_OK)
        return status;
    buf_init(&out, (size_t)METADATA_BYTES_MAX * 6); /* escapes that were characters before */
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    for (const struct json *m = json_first(root); m && status == RAG_OK; m = json_next(m)) {
        if (!json_is_array(m)) {
            status = check_value(check, m, json_key(m), &w, reterr);
            continue;
        }
        json_begin_array(&w, json_key(m));
        for (const struct json *e = json_first(m); e && status == RAG_OK; e = json_next(e))
            status = check_value(check, e, NULL, &w, reterr);
        json_end_array(&w);
    }
    json_end_object(&w);
    if (status == RAG_OK && buf_take(&out, &masked, NULL) != RAG_OK)
        status = rag_fail(reterr, RAG_ENOMEM, "metadata: out of memory");
    if (status == RAG_OK) {
        free(*metadata);
        *metadata = masked; /* owned by the caller from here on */
    }
    buf_release(&out);
    json_free(root);
    return status;
}

enum rag_status ingest_guard_check(const struct ingest *ingest, const char *collection,
                                   const char *name, struct extracted *extracted, struct buf *title,
                                   char **metadata, struct ingest_guarded *ret,
                                   struct rag_error *reterr)
{
    const struct check check = {ingest, collection, name, ret};
    enum rag_status status;

    if (!ingest->guard || !guard_has_stage(ingest->guard, GUARD_DOCUMENT, collection))
        return RAG_OK;
    status = check_text(&check, extracted->text, extracted->n_bytes, reterr);
    if (status == RAG_OK)
        status = check_text(&check, title->data, title->len, reterr);
    if (status == RAG_OK && *metadata)
        status = check_metadata(&check, metadata, reterr);
    return status;
}

void ingest_guarded_write(const struct ingest_guarded *g, struct json_writer *w, const char *key)
{
    json_begin_object(w, key);
    json_put_string(w, "verdict", guard_action_name(g->verdict));
    json_begin_array(w, "findings");
    for (size_t i = 0; i < g->n_items; i++) {
        json_begin_object(w, NULL);
        json_put_string(w, "rule", g->items[i].rule);
        json_put_string(w, "detail", g->items[i].detail);
        json_put_string(w, "action", guard_action_name(g->items[i].action));
        json_put_int(w, "n", (int64_t)g->items[i].n);
        json_end_object(w);
    }
    json_end_array(w);
    json_end_object(w);
}
