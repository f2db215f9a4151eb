#define _GNU_SOURCE
#include "retrieve/remote_reranker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/sha256.h"
#include "retrieve/cross_encoder.h"

#define RECIPE "ragd remote reranking 1"

struct remote_reranker {
    struct remote *remote; /* borrowed */
    enum remote_rerank_api api;
    char *model; /* owned, or NULL */
    char fingerprint[SHA256_HEX_BYTES];
};

void remote_reranker_close(struct remote_reranker *r)
{
    if (!r)
        return;
    free(r->model);
    free(r);
}

static enum rag_status decide_fingerprint(struct remote_reranker *r)
{
    const char *url = remote_base_url(r->remote);
    const char *api = r->api == REMOTE_RERANK_COHERE ? "cohere" : "tei";
    const char *model = r->model ? r->model : "";
    uint8_t digest[SHA256_BYTES];
    struct sha256_part parts[] = {
        {RECIPE, strlen(RECIPE)},
        {url,    strlen(url)   },
        {api,    strlen(api)   },
        {model,  strlen(model) },
    };
    enum rag_status status = sha256_lengths(parts, sizeof parts / sizeof parts[0], digest);

    if (status == RAG_OK)
        sha256_hex(digest, r->fingerprint);
    return status;
}

enum rag_status remote_reranker_open(const struct remote_reranker_options *o,
                                     struct remote_reranker **ret, struct rag_error *reterr)
{
    struct remote_reranker *r;

    if (o->model && strlen(o->model) > REMOTE_NAME_BYTES_MAX)
        return rag_fail(reterr, RAG_EINVAL, "rerank: the model's name has over %d bytes",
                        REMOTE_NAME_BYTES_MAX);
    r = calloc(1, sizeof *r);
    if (!r)
        return rag_fail(reterr, RAG_ENOMEM, "rerank: out of memory");
    r->remote = o->remote;
    r->api = o->api;
    r->model = o->model ? strdup(o->model) : NULL;
    if ((o->model && !r->model) || decide_fingerprint(r) != RAG_OK) {
        remote_reranker_close(r);
        return rag_fail(reterr, RAG_ENOMEM, "rerank: out of memory");
    }
    *ret = r;
    return RAG_OK;
}

void remote_reranker_info(const struct remote_reranker *r, struct remote_reranker_info *ret)
{
    *ret = (struct remote_reranker_info){
        .url = remote_base_url(r->remote),
        .name = r->model ? r->model : "remote",
    };
    memcpy(ret->fingerprint, r->fingerprint, sizeof ret->fingerprint);
}

static void write_request(const struct remote_reranker *r, struct pair_text query,
                          const struct pair_text *passages, size_t n, bool raw, struct buf *out)
{
    bool tei = r->api == REMOTE_RERANK_TEI;
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    if (r->model && !tei)
        json_put_string(&w, "model", r->model);
    json_put_string_n(&w, "query", query.text, query.n_bytes);
    json_begin_array(&w, tei ? "texts" : "documents");
    for (size_t i = 0; i < n; i++)
        json_put_string_n(&w, NULL, passages[i].text, passages[i].n_bytes);
    json_end_array(&w);
    if (tei) {
        json_put_bool(&w, "raw_scores", raw);
        json_put_bool(&w, "truncate", true);
    } else {
        json_put_int(&w, "top_n", (int64_t)n);
        json_put_bool(&w, "return_documents", false);
    }
    json_end_object(&w);
}

/* Of each passage one score; 'scores' is NAN where none has come yet. */
static enum rag_status read_scores(const struct remote_reranker *r, const struct json *root,
                                   size_t n, float *scores, struct rag_error *reterr)
{
    bool tei = r->api == REMOTE_RERANK_TEI;
    const struct json *list = tei ? root : json_member(root, "results");
    size_t k = 0;

    if (!json_is_array(list))
        return rag_fail(reterr, RAG_EFORMAT, "rerank: the reply has no list of scores");
    if (json_size(list) != n)
        return rag_fail(reterr, RAG_EFORMAT, "rerank: %zu scores came for %zu passages",
                        json_size(list), n);
    for (const struct json *s = json_first(list); s; s = json_next(s), k++) {
        double index = json_number(json_member(s, "index"));
        double score = json_number(json_member(s, tei ? "score" : "relevance_score"));

        if (!(index >= 0 && index < (double)n) || !isnan(scores[(size_t)index]) ||
            !isfinite((float)score))
            return rag_fail(reterr, RAG_EFORMAT,
                            "rerank: score %zu is no number, or for no passage of its own", k + 1);
        scores[(size_t)index] = (float)score;
    }
    return RAG_OK;
}

static void to_unit(float *scores, size_t n)
{
    bool logits = false;

    for (size_t i = 0; i < n; i++)
        logits = logits || scores[i] < 0 || scores[i] > 1;
    for (size_t i = 0; logits && i < n; i++)
        scores[i] = (float)(1 / (1 + exp(-(double)scores[i])));
}

static enum rag_status score_batch(const struct remote_reranker *r, struct pair_text query,
                                   const struct pair_text *passages, size_t n, bool raw,
                                   int64_t deadline_ns, const atomic_bool *cancel, float *scores,
                                   struct rag_error *reterr)
{
    struct remote_outcome outcome;
    struct json *root = NULL;
    struct buf body;
    struct buf reply;
    enum rag_status status;

    buf_init(&body, 6 * (size_t)MODEL_TEXTS_BYTES_MAX); /* all of it escaped */
    buf_init(&reply, REMOTE_REPLY_BYTES_MAX);
    write_request(r, query, passages, n, raw, &body);
    status = buf_status(&body);
    if (status != RAG_OK) {
        rag_fail(reterr, status, "rerank: the passages are too long or memory is out");
    } else {
        struct remote_call call = {
            .path = "/rerank",
            .body = buf_str(&body),
            .body_bytes = body.len,
            .deadline_ns = deadline_ns,
            .cancel = cancel,
            .response_bytes_max = REMOTE_REPLY_BYTES_MAX,
        };

        status = remote_do(r->remote, &call, &reply, &outcome, reterr);
    }
    for (size_t i = 0; i < n; i++)
        scores[i] = NAN;
    if (status == RAG_OK)
        status = json_parse(buf_str(&reply), reply.len, "rerank", &root, reterr);
    if (status == RAG_OK)
        status = read_scores(r, root, n, scores, reterr);
    json_free(root);
    buf_release(&body);
    buf_release(&reply);
    return status;
}

enum rag_status remote_reranker_score(const struct remote_reranker *r, struct pair_text query,
                                      const struct pair_text *passages, size_t n, bool raw,
                                      int64_t deadline_ns, const atomic_bool *cancel,
                                      float *ret_scores, size_t *ret_n_scored,
                                      struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    size_t n_done = 0;

    if (raw && r->api != REMOTE_RERANK_TEI)
        return rag_fail(reterr, RAG_EINVAL, "'raw_scores': the configured server gives none");
    while (n_done < n && status == RAG_OK) {
        size_t left = n - n_done;
        size_t part = left < REMOTE_BATCH_DEFAULT ? left : REMOTE_BATCH_DEFAULT;

        status = score_batch(r, query, passages + n_done, part, raw, deadline_ns, cancel,
                             ret_scores + n_done, reterr);
        if (status == RAG_OK)
            n_done += part;
    }
    if (status != RAG_OK && !(status == RAG_ETIMEOUT && n_done > 0))
        return status;
    if (!raw)
        to_unit(ret_scores, n_done);
    *ret_n_scored = n_done;
    return RAG_OK;
}
