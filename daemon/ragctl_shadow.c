#define _GNU_SOURCE
#include "daemon/ragctl_shadow.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_writer.h"
#include "base/sha256.h"
#include "daemon/progress.h"

#define SLICE_BYTES       (4u << 20)
#define SLICE_LINES_MAX   2000
#define INGEST_TIMEOUT_MS 600000
#define REQUEST_BYTES_MAX (QUESTION_BYTES_MAX * 6 + 1024) /* every byte escaped */
#define POLL_MS           200

enum rag_status shadow_open(struct shadow *s, struct ragctl_client *client,
                            const struct ragctl_options *options, const char *prefix,
                            struct rag_error *reterr)
{
    uint8_t tail[8];
    enum rag_status status;
    struct json_writer w;
    struct buf path;
    struct buf body;

    memset(s, 0, sizeof *s);
    s->client = client;
    s->options = options;
    buf_init(&s->slice, BODY_BYTES_MAX_DEFAULT);
    if (random_bytes(tail, sizeof tail) != RAG_OK)
        return rag_fail(reterr, RAG_EIO, "collection '%s-...': no random bytes for its name",
                        prefix);
    snprintf(s->name, sizeof s->name, "%s-%02x%02x%02x%02x%02x%02x%02x%02x", prefix, tail[0],
             tail[1], tail[2], tail[3], tail[4], tail[5], tail[6], tail[7]);
    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    buf_init(&body, 4096);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    json_put_int(&w, "chunk_chars", CHUNK_CHARS_MAX);
    json_put_int(&w, "chunk_overlap", 0);
    json_end_object(&w);
    ragctl_client_collection_path(&path, s->name, "", NULL);
    status = ragctl_client_send(client, "PUT", buf_str(&path), &body, NULL, reterr);
    s->made = status == RAG_OK;
    buf_release(&path);
    buf_release(&body);
    return status;
}

void shadow_close(struct shadow *s)
{
    struct rag_error error = {RAG_OK, ""};
    struct buf path;

    buf_release(&s->slice);
    if (!s->made)
        return;
    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    ragctl_client_collection_path(&path, s->name, "", NULL);
    if (ragctl_client_call(s->client, "DELETE", buf_str(&path), NULL, &error) != RAG_OK)
        fprintf(stderr, "ragctl: collection '%s' is left behind: %s\n", s->name, error.text);
    s->made = false;
    buf_release(&path);
}

static enum rag_status send_slice(struct shadow *s, struct rag_error *reterr)
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
    const char *refused;
    struct buf path;

    if (buf_status(&s->slice) != RAG_OK)
        return rag_fail(reterr, buf_status(&s->slice), "passages: over the limit of %zu bytes",
                        s->slice.max);
    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    ragctl_client_collection_path(&path, s->name, "/documents", NULL);
    call.path = buf_str(&path);
    status = ragctl_client_do(s->client, &call, reterr);
    if (status == RAG_OK)
        status = json_parse(buf_str(&s->client->body), s->client->body.len, "response of ragd",
                            &reply, reterr);
    refused = json_string(json_member(json_first(json_member(reply, "errors")), "message"));
    if (status == RAG_OK && refused)
        status = rag_fail(reterr, RAG_EINVAL, "ragd refused a passage: %s", refused);
    json_free(reply);
    buf_release(&path);
    buf_reset(&s->slice);
    s->n_lines = 0;
    return status;
}

enum rag_status shadow_add(struct shadow *s, size_t i, const char *title, const char *heading,
                           const char *body, struct rag_error *reterr)
{
    struct json_writer w;
    struct buf text;
    char name[24];

    snprintf(name, sizeof name, "p%zu", i);
    buf_init(&text, DOCUMENT_BYTES_MAX);
    if (heading[0] != '\0')
        buf_printf(&text, "%s\n\n", heading);
    buf_append_str(&text, body);
    json_writer_init(&w, &s->slice);
    json_begin_object(&w, NULL);
    json_put_string(&w, "id", name);
    if (title[0] != '\0')
        json_put_string(&w, "title", title);
    json_put_string(&w, "text", buf_str(&text));
    json_end_object(&w);
    buf_append_char(&s->slice, '\n');
    buf_release(&text);
    s->n_lines++;
    if (s->slice.len >= SLICE_BYTES || s->n_lines == SLICE_LINES_MAX)
        return send_slice(s, reterr);
    return RAG_OK;
}

/* How many passages still have no vector. */
static enum rag_status count_pending(struct shadow *s, const char *path, uint64_t *ret,
                                     struct rag_error *reterr)
{
    struct json *reply = NULL;
    enum rag_status status = ragctl_client_call(s->client, "GET", path, &reply, reterr);
    const struct json *vectors = json_member(reply, "vectors");
    const char *state = json_string(json_member(vectors, "state"));
    const char *why = json_string(json_member(vectors, "error"));
    double pending = json_number(json_member(vectors, "pending"));

    if (status == RAG_OK && (!state || strcmp(state, "off") == 0))
        status = rag_fail(reterr, RAG_EINVAL,
                          "the daemon has no embedder, so there is one ranking only; name one as "
                          "[models] embedder in ragd.conf");
    else if (status == RAG_OK && why)
        status = rag_fail(reterr, RAG_EIO, "the daemon cannot embed: %s", why);
    *ret = pending > 0 ? (uint64_t)pending : 0;
    json_free(reply);
    return status;
}

enum rag_status shadow_flush(struct shadow *s, struct rag_error *reterr)
{
    enum rag_status status = s->n_lines > 0 ? send_slice(s, reterr) : RAG_OK;
    struct progress progress;
    uint64_t pending = 0;
    uint64_t most = 0;
    struct buf path;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    ragctl_client_collection_path(&path, s->name, "", NULL);
    if (status == RAG_OK)
        status = count_pending(s, buf_str(&path), &most, reterr);
    pending = most;
    progress_init(&progress, stderr, s->options->quiet, "vectors", most, 0);
    while (status == RAG_OK && pending > 0) {
        ragctl_client_sleep_ms(POLL_MS);
        status = count_pending(s, buf_str(&path), &pending, reterr);
        progress_update(&progress, pending < most ? most - pending : 0, 0);
    }
    progress_finish(&progress);
    buf_release(&path);
    return status;
}

static bool passage_number(const char *name, uint64_t *ret)
{
    char *end = NULL;

    if (!name || name[0] != 'p' || name[1] < '0' || name[1] > '9')
        return false;
    *ret = strtoull(name + 1, &end, 10);
    return *end == '\0';
}

enum rag_status shadow_search(struct shadow *s, const char *question, int list, size_t n_max,
                              struct ranked *ret, size_t *ret_n, struct rag_error *reterr)
{
    static const char *const modes[N_LISTS] = {[LIST_BM25] = "bm25", [LIST_DENSE] = "dense"};
    static const char *const scores[N_LISTS] = {
        [LIST_BM25] = "bm25_score", [LIST_DENSE] = "dense_score"};
    struct json *reply = NULL;
    enum rag_status status;
    struct json_writer w;
    struct buf body;
    size_t n = 0;

    buf_init(&body, REQUEST_BYTES_MAX);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    json_put_string(&w, "collection", s->name);
    json_put_string(&w, "query", question);
    json_put_string(&w, "mode", modes[list]);
    json_put_bool(&w, "rerank", false);
    json_put_int(&w, "top_k", (int64_t)n_max);
    json_end_object(&w);
    status = ragctl_client_send(s->client, "POST", "/v1/search", &body, &reply, reterr);
    buf_release(&body);
    for (const struct json *r = json_first(json_member(reply, "results"));
         status == RAG_OK && r && n < n_max; r = json_next(r)) {
        double score = json_number(json_member(r, scores[list]));

        if (!passage_number(json_string(json_member(r, "document")), &ret[n].id) ||
            !isfinite(score)) {
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
