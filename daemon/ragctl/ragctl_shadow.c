#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_shadow.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_writer.h"
#include "base/sha256.h"
#include "daemon/ragctl/ragctl_vectors.h"

#define SLICE_BYTES       (4u << 20) /* of passages in one request: some 5,000 */
#define SLICE_LINES_MAX   5000
#define INGEST_TIMEOUT_MS 600000
#define REQUEST_BYTES_MAX (QUESTION_BYTES_MAX * 6 + 1024) /* every byte escaped */

enum rag_status shadow_open(struct shadow *s, struct ragctl_client *client, const char *prefix,
                            int64_t chunk_chars, int64_t chunk_overlap, struct rag_error *reterr)
{
    uint8_t tail[8];
    enum rag_status status;
    struct json_writer w;
    struct buf path;
    struct buf body;

    memset(s, 0, sizeof *s);
    s->client = client;
    buf_init(&s->slice, BODY_BYTES_MAX_DEFAULT);
    status = random_bytes(tail, sizeof tail);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "collection '%s-...': no random bytes for its name",
                        prefix);
    snprintf(s->name, sizeof s->name, "%s-%02x%02x%02x%02x%02x%02x%02x%02x", prefix, tail[0],
             tail[1], tail[2], tail[3], tail[4], tail[5], tail[6], tail[7]);
    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    buf_init(&body, 4096);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    if (chunk_chars > 0) {
        json_put_int(&w, "chunk_chars", chunk_chars);
        json_put_int(&w, "chunk_overlap", chunk_overlap);
    }
    json_end_object(&w);
    ragctl_client_collection_path(&path, s->name, "", NULL);
    status = ragctl_client_send(client, "PUT", buf_str(&path), &body, NULL, reterr);
    s->made = status == RAG_OK;
    buf_release(&path);
    buf_release(&body);
    return status;
}

void shadow_forget(struct shadow *s)
{
    buf_release(&s->slice);
    s->made = false;
}

void shadow_close(struct shadow *s)
{
    struct rag_error error = {RAG_OK, ""};
    struct buf path;

    if (s->made) {
        buf_init(&path, HTTP_TARGET_BYTES_MAX);
        ragctl_client_collection_path(&path, s->name, "", NULL);
        if (ragctl_client_call(s->client, "DELETE", buf_str(&path), NULL, &error) != RAG_OK)
            fprintf(stderr, "ragctl: collection '%s' is left behind: %s\n", s->name, error.text);
        buf_release(&path);
    }
    shadow_forget(s);
}

/* ---- filling it ---- */

void shadow_passage_name(size_t i, char ret[24])
{
    snprintf(ret, 24, "p%zu", i);
}

uint32_t shadow_passage_index(const char *name, size_t n)
{
    char *end = NULL;
    unsigned long long v;

    if (!name || name[0] != 'p' || name[1] < '0' || name[1] > '9')
        return UINT32_MAX;
    v = strtoull(name + 1, &end, 10);
    return *end == '\0' && v < n ? (uint32_t)v : UINT32_MAX;
}

static enum rag_status check_bulk(const struct json *reply, struct rag_error *reterr)
{
    const struct json *first = json_first(json_member(reply, "errors"));
    const char *message = json_string(json_member(first, "message"));

    if (!first)
        return RAG_OK;
    return rag_fail(reterr, RAG_EINVAL, "ragd refused a passage: %s",
                    message ? message : "(no message)");
}

enum rag_status shadow_flush(struct shadow *s, struct rag_error *reterr)
{
    struct http_call call = {
        .method = "POST",
        .content_type = "application/x-ndjson",
        .body = buf_str(&s->slice),
        .body_bytes = s->slice.len,
        .timeout_ms = INGEST_TIMEOUT_MS,
    };
    struct json *reply = NULL;
    enum rag_status status;
    struct buf path;

    if (buf_status(&s->slice) != RAG_OK)
        return rag_fail(reterr, buf_status(&s->slice),
                        "passage: longer than the limit of %zu bytes", s->slice.max);
    if (s->n_lines == 0)
        return RAG_OK;
    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    ragctl_client_collection_path(&path, s->name, "/documents?audit=together", NULL);
    call.path = buf_str(&path);
    status = ragctl_client_do(s->client, &call, reterr);
    if (status == RAG_OK)
        status = json_parse(buf_str(&s->client->body), s->client->body.len, "response of ragd",
                            &reply, reterr);
    if (status == RAG_OK)
        status = check_bulk(reply, reterr);
    json_free(reply);
    buf_release(&path);
    buf_reset(&s->slice);
    s->n_lines = 0;
    return status == RAG_OK && s->check ? s->check(reterr) : status;
}

enum rag_status shadow_add(struct shadow *s, size_t i, int group, const char *title,
                           const char *text, size_t n_bytes, struct rag_error *reterr)
{
    struct json_writer w;
    char name[24];

    shadow_passage_name(i, name);
    json_writer_init(&w, &s->slice);
    json_begin_object(&w, NULL);
    json_put_string(&w, "id", name);
    if (title[0] != '\0')
        json_put_string(&w, "title", title);
    json_put_string_n(&w, "text", text, n_bytes);
    if (group != SHADOW_NO_GROUP) {
        json_begin_object(&w, "metadata");
        json_put_int(&w, "group", group);
        json_end_object(&w);
    }
    json_end_object(&w);
    buf_append_char(&s->slice, '\n');
    s->n_lines++;
    if (s->slice.len >= SLICE_BYTES || s->n_lines == SLICE_LINES_MAX)
        return shadow_flush(s, reterr);
    return RAG_OK;
}

enum rag_status shadow_wait(struct shadow *s, bool *ret_off, struct rag_error *reterr)
{
    struct vectors_state left = {0};
    enum rag_status status = ragctl_vectors_wait(s->client, s->name, s->check, &left, reterr);

    if (status == RAG_OK && left.n_pending > 0)
        status = rag_fail(reterr, RAG_EIO, "the daemon cannot embed: %s", left.why);
    if (status == RAG_OK)
        *ret_off = left.off;
    return status;
}

/* ---- asking it ---- */

enum rag_status shadow_ask(struct shadow *s, const struct shadow_query *query, struct json **ret,
                           struct rag_error *reterr)
{
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, REQUEST_BYTES_MAX);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    json_put_string(&w, "collection", s->name);
    json_put_string(&w, "query", query->question);
    json_put_string(&w, "mode", query->mode);
    json_put_bool(&w, "rerank", query->rerank);
    json_put_bool(&w, "explain", query->explain);
    json_put_int(&w, "top_k", (int64_t)query->top_k);
    if (query->without != SHADOW_NO_GROUP) {
        json_begin_object(&w, "filter");
        json_begin_array(&w, "group");
        for (int g = 0; g < SHADOW_GROUPS; g++)
            if (g != query->without)
                json_put_int(&w, NULL, g);
        json_end_array(&w);
        json_end_object(&w);
    }
    json_end_object(&w);
    status = ragctl_client_send(s->client, "POST", "/v1/search", &body, ret, reterr);
    buf_release(&body);
    return status;
}

enum rag_status shadow_set(struct shadow *s, const struct buf *settings, struct rag_error *reterr)
{
    enum rag_status status;
    struct buf path;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    ragctl_client_collection_path(&path, s->name, "", NULL);
    status = ragctl_client_send(s->client, "PUT", buf_str(&path), settings, NULL, reterr);
    buf_release(&path);
    return status;
}

enum rag_status shadow_search(struct shadow *s, const char *question, int list, size_t n_max,
                              struct ranked *ret, size_t *ret_n, struct rag_error *reterr)
{
    static const char *const modes[N_LISTS] = {[LIST_BM25] = "bm25", [LIST_DENSE] = "dense"};
    static const char *const scores[N_LISTS] = {
        [LIST_BM25] = "bm25_score", [LIST_DENSE] = "dense_score"};
    const struct shadow_query query = {question, modes[list], n_max, false, false, SHADOW_NO_GROUP};
    struct json *reply = NULL;
    enum rag_status status = shadow_ask(s, &query, &reply, reterr);
    size_t n = 0;

    for (const struct json *r = json_first(json_member(reply, "results"));
         status == RAG_OK && r && n < n_max; r = json_next(r)) {
        double score = json_number(json_member(r, scores[list]));

        ret[n].id = shadow_passage_index(json_string(json_member(r, "document")), UINT32_MAX);
        if (ret[n].id == UINT32_MAX || !isfinite(score)) {
            status = rag_fail(reterr, RAG_EFORMAT, "response of ragd: a result without '%s'",
                              scores[list]);
            break;
        }
        ret[n++].score = (float)score;
    }
    json_free(reply);
    if (status == RAG_OK)
        *ret_n = n;
    return status;
}
