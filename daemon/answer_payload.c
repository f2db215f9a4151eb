#include "daemon/answer_payload.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/json_writer.h"
#include "daemon/reply.h"

static void write_passage(struct json_writer *w, const struct passage *s)
{
    json_begin_object(w, NULL);
    json_put_int(w, "chunk", (int64_t)s->id);
    json_put_string(w, "document", s->document);
    json_put_int(w, "version", (int64_t)s->version_id);
    json_put_string(w, "title", s->title);
    json_put_string(w, "heading", s->heading);
    json_put_string(w, "context", s->context);
    json_put_string_n(w, "text", s->text, s->text_bytes);
    json_put_int(w, "start", s->byte_start);
    json_put_exact(w, "score", (double)s->score);
    json_end_object(w);
}

/* Only passages that the entry is bound to may be shown again: another one's document may be gone
 * by then. An answer that cites nothing is bound to all of them. */
static bool is_bound(const struct pipeline_answer *a, size_t passage)
{
    if (a->refused || a->result.n_citations == 0)
        return !a->refused;
    for (size_t i = 0; i < a->result.n_citations; i++)
        if (a->result.citations[i].passage == passage)
            return true;
    return false;
}

static void write_citation(struct json_writer *w, const struct citation *c)
{
    json_begin_object(w, NULL);
    json_put_int(w, "passage", (int64_t)c->passage);
    json_put_int(w, "start", c->byte_start);
    json_put_int(w, "end", c->byte_end);
    json_put_int(w, "answer_start", c->answer_start);
    json_put_int(w, "answer_end", c->answer_end);
    json_end_object(w);
}

void answer_payload_write(const struct pipeline_answer *a, const char *request_id, struct buf *out)
{
    const struct generator_result *r = &a->result;
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_int(&w, "v", ANSWER_PAYLOAD_VERSION);
    json_put_string(&w, "request_id", request_id);
    json_put_bool(&w, "refused", a->refused);
    json_put_string(&w, "reason", a->reason);
    json_put_string(&w, "reason_code", a->reason_code);
    json_put_string(&w, "answer", a->refused ? "" : buf_str(&r->answer));
    json_put_string(&w, "short_answer", a->refused ? "" : r->short_answer);
    json_put_string(&w, "backend", r->backend);
    json_put_string(&w, "model_fingerprint", r->model_fingerprint);
    json_put_bool(&w, "cut", r->finish_reason == FINISH_LENGTH);
    json_put_exact(&w, "relevance", (double)a->verdict.relevance);
    json_put_exact(&w, "confidence", (double)r->confidence);
    json_put_int(&w, "passages_dropped", (int64_t)r->passages_dropped);
    json_put_int(&w, "sentences_removed", (int64_t)r->sentences_removed);
    json_put_string(&w, "standalone", buf_str(&a->standalone));
    json_begin_array(&w, "passages");
    for (size_t i = 0; i < a->n_given; i++) {
        if (is_bound(a, i))
            write_passage(&w, &a->retrieval.passages[i]);
        else
            json_put_null(&w, NULL);
    }
    json_end_array(&w);
    json_begin_array(&w, "citations");
    for (size_t i = 0; !a->refused && i < r->n_citations; i++)
        write_citation(&w, &r->citations[i]);
    json_end_array(&w);
    reply_write_nearest(&w, a);
    json_end_object(&w);
}

/* ---- reading ---- */

/* A member that has to be there. */
static enum rag_status need_int(const struct json *object, const char *key, int64_t max,
                                int64_t *ret, struct rag_error *reterr)
{
    *ret = -1;
    if (json_get_int(object, key, 0, max, ret, reterr) == RAG_OK && *ret >= 0)
        return RAG_OK;
    return rag_fail(reterr, RAG_EFORMAT, "cached answer: '%s' is missing or no number", key);
}

static enum rag_status need_text(const struct json *object, const char *key, struct arena *arena,
                                 const char **ret, struct rag_error *reterr)
{
    const char *text = json_string(json_member(object, key));

    if (!text)
        return rag_fail(reterr, RAG_EFORMAT, "cached answer: '%s' is missing or no text", key);
    *ret = arena_strdup(arena, text);
    return *ret ? RAG_OK : rag_fail(reterr, RAG_ENOMEM, "cached answer: out of memory");
}

/* Which stored text a passage is, and what it is called. */
struct origin {
    uint64_t chunk;
    uint64_t version_id;
    const char *document;
    const char *title;
    const char *heading;
};

static enum rag_status need_origin(const struct json *object, struct arena *arena,
                                   struct origin *ret, struct rag_error *reterr)
{
    int64_t chunk, version;
    enum rag_status status = need_int(object, "chunk", INT64_MAX, &chunk, reterr);

    if (status == RAG_OK)
        status = need_int(object, "version", INT64_MAX, &version, reterr);
    if (status == RAG_OK)
        status = need_text(object, "document", arena, &ret->document, reterr);
    if (status == RAG_OK)
        status = need_text(object, "title", arena, &ret->title, reterr);
    if (status == RAG_OK)
        status = need_text(object, "heading", arena, &ret->heading, reterr);
    if (status != RAG_OK)
        return status;
    ret->chunk = (uint64_t)chunk;
    ret->version_id = (uint64_t)version;
    return RAG_OK;
}

static enum rag_status read_passage(const struct json *object, struct arena *arena,
                                    struct passage *ret, struct rag_error *reterr)
{
    struct origin origin;
    enum rag_status status;
    int64_t start;

    ret->document = ret->title = ret->heading = ret->context = ret->text = "";
    if (json_is_null(object)) /* one that was given and not cited: its number only */
        return RAG_OK;
    status = need_origin(object, arena, &origin, reterr);
    if (status == RAG_OK)
        status = need_int(object, "start", UINT32_MAX, &start, reterr);
    if (status == RAG_OK)
        status = need_text(object, "context", arena, &ret->context, reterr);
    if (status == RAG_OK)
        status = need_text(object, "text", arena, &ret->text, reterr);
    if (status != RAG_OK)
        return status;
    ret->id = origin.chunk;
    ret->version_id = origin.version_id;
    ret->document = origin.document;
    ret->title = origin.title;
    ret->heading = origin.heading;
    ret->text_bytes = strlen(ret->text);
    ret->byte_start = (uint32_t)start;
    if (ret->text_bytes > UINT32_MAX - ret->byte_start)
        return rag_fail(reterr, RAG_EFORMAT, "cached answer: a passage ends past 4 GiB");
    ret->byte_end = ret->byte_start + (uint32_t)ret->text_bytes;
    ret->score = (float)json_number(json_member(object, "score"));
    return RAG_OK;
}

static enum rag_status read_citation(const struct json *object, const struct passage *passages,
                                     size_t n_passages, size_t n_answer, struct citation *ret,
                                     struct rag_error *reterr)
{
    int64_t passage, start, end, answer_start, answer_end;
    const struct passage *s;
    enum rag_status status = need_int(object, "passage", (int64_t)n_passages, &passage, reterr);

    if (status == RAG_OK)
        status = need_int(object, "start", UINT32_MAX, &start, reterr);
    if (status == RAG_OK)
        status = need_int(object, "end", UINT32_MAX, &end, reterr);
    if (status == RAG_OK)
        status = need_int(object, "answer_start", (int64_t)n_answer, &answer_start, reterr);
    if (status == RAG_OK)
        status = need_int(object, "answer_end", (int64_t)n_answer, &answer_end, reterr);
    if (status != RAG_OK)
        return status;
    if ((size_t)passage >= n_passages)
        return rag_fail(reterr, RAG_EFORMAT, "cached answer: a citation names no passage");
    s = &passages[passage];
    if (start < s->byte_start || end > s->byte_end || start >= end || answer_start > answer_end)
        return rag_fail(reterr, RAG_EFORMAT, "cached answer: a citation lies outside its passage");
    *ret = (struct citation){(size_t)passage, (uint32_t)start, (uint32_t)end,
                             (uint32_t)answer_start, (uint32_t)answer_end};
    return RAG_OK;
}

static enum rag_status read_nearest(const struct json *object, struct arena *arena,
                                    struct nearest *ret, struct rag_error *reterr)
{
    const char *by = json_string(json_member(object, "by"));
    double score = json_number(json_member(object, "score"));
    int64_t start, end, cut_start, cut_end;
    struct origin origin;
    enum rag_status status = need_origin(object, arena, &origin, reterr);

    if (status == RAG_OK)
        status = need_int(object, "byte_start", UINT32_MAX, &start, reterr);
    if (status == RAG_OK)
        status = need_int(object, "byte_end", UINT32_MAX, &end, reterr);
    if (status == RAG_OK)
        status = need_int(object, "snippet_start", UINT32_MAX, &cut_start, reterr);
    if (status == RAG_OK)
        status = need_int(object, "snippet_end", UINT32_MAX, &cut_end, reterr);
    if (status == RAG_OK)
        status = need_text(object, "snippet", arena, &ret->snippet, reterr);
    if (status != RAG_OK)
        return status;
    if (!by || !isfinite(score) || cut_start < start || cut_start > cut_end || cut_end > end ||
        strlen(ret->snippet) != (size_t)(cut_end - cut_start))
        return rag_fail(reterr, RAG_EFORMAT,
                        "cached answer: a snippet is not that part of its passage");
    ret->chunk = origin.chunk;
    ret->version_id = origin.version_id;
    ret->document = origin.document;
    ret->title = origin.title;
    ret->heading = origin.heading;
    ret->byte_start = (uint32_t)start;
    ret->byte_end = (uint32_t)end;
    ret->snippet_start = (uint32_t)cut_start;
    ret->snippet_end = (uint32_t)cut_end;
    ret->score = (float)score;
    ret->by_vectors = strcmp(by, "vectors") == 0;
    return RAG_OK;
}

static enum rag_status read_all_nearest(const struct json *root, struct arena *arena,
                                        struct nearest ret[NEAREST_MAX], size_t *ret_n,
                                        struct rag_error *reterr)
{
    const struct json *list = json_member(root, "nearest");
    enum rag_status status = RAG_OK;

    if (json_size(list) > NEAREST_MAX)
        return rag_fail(reterr, RAG_EFORMAT, "cached answer: 'nearest' has %zu passages of %d",
                        json_size(list), NEAREST_MAX);
    for (const struct json *s = json_first(list); s && status == RAG_OK; s = json_next(s))
        status = read_nearest(s, arena, &ret[(*ret_n)++], reterr);
    return status;
}

static enum rag_status read_lists(const struct json *root, struct retrieval *r,
                                  struct generator_result *result, size_t *ret_n_passages,
                                  struct passage **ret_passages, struct rag_error *reterr)
{
    const struct json *passages = json_member(root, "passages");
    const struct json *citations = json_member(root, "citations");
    struct passage *items;
    enum rag_status status = RAG_OK;
    size_t n = 0;

    if (json_size(passages) > PASSAGES_MAX || json_size(citations) > CITATIONS_MAX)
        return rag_fail(reterr, RAG_EFORMAT, "cached answer: %zu passages, %zu citations",
                        json_size(passages), json_size(citations));
    items = arena_calloc(&r->arena, json_size(passages) + 1, sizeof *items);
    if (!items)
        return rag_fail(reterr, RAG_ENOMEM, "cached answer: out of memory");
    for (const struct json *p = json_first(passages); p && status == RAG_OK; p = json_next(p)) {
        status = read_passage(p, &r->arena, &items[n], reterr);
        items[n].final_rank = (uint32_t)n + 1;
        n++;
    }
    for (const struct json *c = json_first(citations); c && status == RAG_OK; c = json_next(c))
        status = read_citation(c, items, n, result->answer.len,
                               &result->citations[result->n_citations++], reterr);
    *ret_n_passages = n;
    *ret_passages = items;
    return status;
}

static float number_of(const struct json *root, const char *key)
{
    double v = json_number(json_member(root, key));

    return v >= 0 && v <= 1 ? (float)v : 0.0f;
}

/* What the reply says besides passages and citations. */
static enum rag_status read_answer(const struct json *root, struct arena *arena,
                                   struct generator_result *result, struct rag_error *reterr)
{
    const char *answer = json_string(json_member(root, "answer"));
    const char *value = json_string(json_member(root, "short_answer"));
    int64_t n_dropped, n_removed;
    enum rag_status status = need_text(root, "backend", arena, &result->backend, reterr);

    if (status == RAG_OK)
        status = need_text(root, "model_fingerprint", arena, &result->model_fingerprint, reterr);
    if (status == RAG_OK)
        status = need_int(root, "passages_dropped", PASSAGES_MAX, &n_dropped, reterr);
    if (status == RAG_OK)
        status = need_int(root, "sentences_removed", INT32_MAX, &n_removed, reterr);
    if (status == RAG_OK && (!answer || !value || strlen(value) >= sizeof result->short_answer))
        status = rag_fail(reterr, RAG_EFORMAT, "cached answer: without an answer");
    if (status != RAG_OK)
        return status;
    buf_append_str(&result->answer, answer);
    memcpy(result->short_answer, value, strlen(value) + 1);
    result->finish_reason = json_true(json_member(root, "cut")) ? FINISH_LENGTH : FINISH_STOP;
    result->confidence = number_of(root, "confidence");
    result->passages_dropped = (size_t)n_dropped;
    result->sentences_removed = (size_t)n_removed;
    return buf_status(&result->answer);
}

enum rag_status answer_payload_read(const char *text, size_t n, struct pipeline_answer *a,
                                    const char **ret_request_id, struct rag_error *reterr)
{
    struct retrieval *r = &a->retrieval;
    struct nearest nearest[NEAREST_MAX] = {{0}};
    struct generator_result result;
    struct passage *passages = NULL;
    const char *standalone = "";
    const char *reason = "";
    const char *code = "";
    struct json *root = NULL;
    size_t n_passages = 0;
    size_t n_nearest = 0;
    enum rag_status status = json_parse(text, n, "cached answer", &root, reterr);

    if (status != RAG_OK)
        return status;
    generator_result_init(&result);
    if (json_number(json_member(root, "v")) != ANSWER_PAYLOAD_VERSION)
        status = rag_fail(reterr, RAG_EFORMAT, "cached answer: of another version");
    if (status == RAG_OK)
        status = need_text(root, "request_id", &r->arena, ret_request_id, reterr);
    if (status == RAG_OK)
        status = need_text(root, "reason", &r->arena, &reason, reterr);
    if (status == RAG_OK)
        status = need_text(root, "reason_code", &r->arena, &code, reterr);
    if (status == RAG_OK)
        status = need_text(root, "standalone", &r->arena, &standalone, reterr);
    if (status == RAG_OK)
        status = read_answer(root, &r->arena, &result, reterr);
    if (status == RAG_OK)
        status = read_lists(root, r, &result, &n_passages, &passages, reterr);
    if (status == RAG_OK)
        status = read_all_nearest(root, &r->arena, nearest, &n_nearest, reterr);
    if (status == RAG_OK && a->standalone.len == 0)
        buf_append_str(&a->standalone, standalone);
    if (status == RAG_OK) {
        generator_result_release(&a->result);
        a->result = result;
        a->refused = json_true(json_member(root, "refused"));
        a->reason = reason;
        a->reason_code = code;
        memcpy(a->nearest, nearest, sizeof nearest);
        a->n_nearest = n_nearest;
        a->verdict.pass = true;
        a->verdict.relevance = number_of(root, "relevance");
        r->passages = passages;
        r->n_passages = r->n_fetched = a->n_given = n_passages;
    } else {
        generator_result_release(&result);
    }
    json_free(root);
    return status;
}
