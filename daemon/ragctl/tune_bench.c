#define _GNU_SOURCE
#include "daemon/ragctl/tune_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json_writer.h"
#include "daemon/ragctl/interrupt.h"
#include "daemon/ragctl/progress.h"

#define TEXT_BYTES_MAX    (2ull << 30) /* of the sample, and of its passages once more */
#define SETTING_BYTES_MAX 4096

const char *tune_setting_name(enum tune_setting setting)
{
    static const char *const names[N_TUNE_SETTINGS] = {
        [SETTING_FUSION] = "fusion",
        [SETTING_LEXICAL] = "lexical",
        [SETTING_RERANK] = "rerank",
        [SETTING_GATE] = "gate",
    };

    return names[setting];
}

static enum rag_status no_memory(struct rag_error *reterr)
{
    return rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
}

/* ---- settings ---- */

static enum rag_status copy_json(const struct json *node, struct json **ret,
                                 struct rag_error *reterr)
{
    char *text = NULL;
    enum rag_status status = RAG_OK;

    if (node && json_print(node, &text) != RAG_OK)
        return no_memory(reterr);
    status = json_parse(text ? text : "{}", text ? strlen(text) : 2, "settings", ret, reterr);
    free(text);
    return status;
}

/* Does an embedder serve? Asked before anything is made for a part that needs one. */
static void note_vectors(struct tune_bench *b, const struct json *vectors)
{
    const char *state = ragctl_text(vectors, "state");

    b->vectors = strcmp(state, "off") != 0 && strcmp(state, "offline") != 0;
    if (strcmp(state, "offline") == 0)
        snprintf(b->no_vectors, sizeof b->no_vectors,
                 "collection '%.64s' is offline and the embedder is another server, so it has "
                 "no vectors; name a model of this machine as [models] embedder in ragd.conf",
                 b->options->collection);
    else if (!b->vectors)
        snprintf(
            b->no_vectors, sizeof b->no_vectors,
            "the daemon has no embedder, so there are no vectors; name one as [models] "
            "embedder in ragd.conf (builtin:ragd-ko-embed comes with ragd) and start it again");
    snprintf(b->fingerprint, sizeof b->fingerprint, "%s", ragctl_text(vectors, "fingerprint"));
}

/* Likewise a cross-encoder. */
static enum rag_status read_models(struct tune_bench *b, struct rag_error *reterr)
{
    struct json *models = NULL;
    enum rag_status status = ragctl_client_call(&b->client, "GET", "/v1/models", &models, reterr);
    bool remote = false;

    for (const struct json *m = json_first(json_member(models, "data")); m; m = json_next(m)) {
        if (strcmp(ragctl_text(m, "kind"), "reranker") != 0)
            continue;
        b->cross = true;
        remote = strcmp(ragctl_text(m, "owned_by"), "remote") == 0;
        snprintf(b->reranker, sizeof b->reranker, "%s", ragctl_text(m, "id"));
    }
    json_free(models);
    if (!b->cross)
        snprintf(b->no_cross, sizeof b->no_cross,
                 "the daemon has no cross-encoder, so the words alone order the head; name one as "
                 "[models] reranker in ragd.conf (builtin:ragd-ko-rerank comes with ragd) and "
                 "start it again");
    else if (remote && b->offline)
        snprintf(b->no_cross, sizeof b->no_cross,
                 "collection '%.64s' is offline and the cross-encoder is another server, so the "
                 "words alone order the head",
                 b->options->collection);
    b->cross = b->no_cross[0] == '\0';
    return status;
}

static enum rag_status read_settings(struct tune_bench *b, struct rag_error *reterr)
{
    struct json *collection = NULL;
    enum rag_status status;
    struct buf path;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    ragctl_client_collection_path(&path, b->options->collection, "", NULL);
    status = ragctl_client_call(&b->client, "GET", buf_str(&path), &collection, reterr);
    for (int i = 0; i < N_TUNE_SETTINGS && status == RAG_OK; i++) {
        const char *name = tune_setting_name((enum tune_setting)i);
        char from[32];

        snprintf(from, sizeof from, "%s_from", name);
        b->own[i] = strcmp(ragctl_text(collection, from), "collection") == 0;
        status = copy_json(json_member(collection, name), &b->settings[i], reterr);
    }
    b->offline = json_true(json_member(collection, "offline"));
    note_vectors(b, json_member(collection, "vectors"));
    json_free(collection);
    buf_release(&path);
    return status;
}

/* {"<name>": value} and, beside a fusion, what it was measured with: doctor says when another
 * embedder serves. value NULL: {} */
static enum rag_status write_setting(const struct tune_bench *b, enum tune_setting setting,
                                     const struct json *value, struct buf *out,
                                     struct rag_error *reterr)
{
    struct json_writer w;
    char *text = NULL;

    if (value && json_print(value, &text) != RAG_OK)
        return no_memory(reterr);
    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_raw(&w, tune_setting_name(setting), text ? text : "{}");
    if (value && setting == SETTING_FUSION && b->fingerprint[0] != '\0')
        json_put_string(&w, "fusion_tuned_with", b->fingerprint);
    json_end_object(&w);
    free(text);
    return buf_status(out) == RAG_OK ? RAG_OK : no_memory(reterr);
}

enum rag_status tune_bench_try(struct tune_bench *b, enum tune_setting setting,
                               const struct json *value, struct rag_error *reterr)
{
    enum rag_status status;
    struct buf body;

    buf_init(&body, SETTING_BYTES_MAX);
    status = write_setting(b, setting, value, &body, reterr);
    if (status == RAG_OK)
        status = shadow_set(&b->shadow, &body, reterr);
    buf_release(&body);
    return status;
}

enum rag_status tune_bench_keep(struct tune_bench *b, enum tune_setting setting, struct json *value,
                                uint32_t *ranks, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct buf path;
    struct buf body;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    buf_init(&body, SETTING_BYTES_MAX);
    if (!b->args->dry_run) {
        ragctl_client_collection_path(&path, b->options->collection, "", NULL);
        status = write_setting(b, setting, value, &body, reterr);
        if (status == RAG_OK)
            status = ragctl_client_send(&b->client, "PUT", buf_str(&path), &body, NULL, reterr);
    }
    buf_release(&path);
    buf_release(&body);
    if (status != RAG_OK) {
        json_free(value);
        return status;
    }
    json_free(b->settings[setting]);
    b->settings[setting] = value; /* ours now */
    b->own[setting] = true;
    b->ranks = ranks;
    return RAG_OK;
}

/* ---- the adapter ---- */

/* What installs it again: the members of its reply that the request takes. */
static enum rag_status copy_adapter(const struct json *adapter, char **ret,
                                    struct rag_error *reterr)
{
    enum rag_status status;
    struct json_writer w;
    struct buf out;
    char *measured = NULL;

    buf_init(&out, ADAPTER_BODY_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "fingerprint", ragctl_text(adapter, "fingerprint"));
    json_put_int(&w, "dim", (int64_t)json_number(json_member(adapter, "dim")));
    json_put_int(&w, "rank", (int64_t)json_number(json_member(adapter, "rank")));
    json_put_string(&w, "weights", ragctl_text(adapter, "weights"));
    if (json_is_number(json_member(adapter, "pairs")))
        json_put_int(&w, "pairs", (int64_t)json_number(json_member(adapter, "pairs")));
    if (json_is_object(json_member(adapter, "measured")) &&
        json_print(json_member(adapter, "measured"), &measured) == RAG_OK)
        json_put_raw(&w, "measured", measured);
    json_end_object(&w);
    free(measured);
    status = buf_take(&out, ret, NULL);
    buf_release(&out);
    return status == RAG_OK ? RAG_OK : no_memory(reterr);
}

/* Only one that serves: a search does not use another. */
static enum rag_status read_adapter(struct tune_bench *b, struct rag_error *reterr)
{
    struct json *adapter = NULL;
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;
    struct buf path;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    ragctl_client_collection_path(&path, b->options->collection, "/adapter", NULL);
    status = ragctl_client_call(&b->client, "GET", buf_str(&path), &adapter, &error);
    if (status == RAG_OK && json_true(json_member(adapter, "active")))
        status = copy_adapter(adapter, &b->adapter, &error);
    json_free(adapter);
    buf_release(&path);
    if (status == RAG_ENOTFOUND)
        return RAG_OK;
    return status == RAG_OK ? RAG_OK : rag_fail(reterr, status, "%s", error.text);
}

enum rag_status tune_bench_put_adapter(struct tune_bench *b, const char *collection,
                                       const char *body, struct rag_error *reterr)
{
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;
    struct buf path;
    struct buf text;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    buf_init(&text, ADAPTER_BODY_MAX);
    ragctl_client_collection_path(&path, collection, "/adapter", NULL);
    if (body) {
        buf_append_str(&text, body);
        status = ragctl_client_send(&b->client, "PUT", buf_str(&path), &text, NULL, &error);
    } else {
        status = ragctl_client_call(&b->client, "DELETE", buf_str(&path), NULL, &error);
    }
    buf_release(&path);
    buf_release(&text);
    if (status == RAG_OK || (!body && status == RAG_ENOTFOUND))
        return RAG_OK;
    return rag_fail(reterr, status, "%s", error.text);
}

/* ---- filling it ---- */

static enum rag_status make_pairs(struct tune_bench *b, struct rag_error *reterr)
{
    const struct tune_args *args = b->args;
    enum rag_status status = ragctl_chunks_sample(
        &b->client, b->options, b->options->collection, (size_t)args->n_passages,
        (uint64_t)args->seed, &b->arena, &b->chunks, &b->n_chunks, &b->n_total, reterr);

    if (status == RAG_OK)
        status = ragctl_pairs_make(b->chunks, b->n_chunks, (size_t)args->n_pairs,
                                   (uint64_t)args->seed, &b->arena, &b->pairs, reterr);
    if (status == RAG_OK &&
        (b->pairs.n_learn < TUNE_PAIRS_MIN || b->pairs.n_measure < TUNE_PAIRS_MIN))
        status =
            rag_fail(reterr, RAG_EINVAL,
                     "collection '%s': its %zu chunks give %zu questions, %zu to learn from and "
                     "%zu of other "
                     "documents to measure; at least %d of each are needed; nothing was changed",
                     b->options->collection, b->n_total, b->pairs.n, b->pairs.n_learn,
                     b->pairs.n_measure, TUNE_PAIRS_MIN);
    return status;
}

static enum rag_status add_passage(struct tune_bench *b, size_t i, struct rag_error *reterr)
{
    struct pair_passage p = {"", "", ""};
    enum rag_status status = ragctl_pairs_passage(&b->pairs, i, &p, reterr);
    struct buf text;

    if (status != RAG_OK)
        return status;
    buf_init(&text, DOCUMENT_BYTES_MAX);
    if (p.heading[0] != '\0')
        buf_printf(&text, "%s\n\n", p.heading);
    /* a chunk that was nothing else stays as a passage that nothing finds */
    buf_append_str(&text, p.text[0] != '\0' ? p.text : "-");
    status = buf_status(&text) == RAG_OK
                 ? shadow_add(&b->shadow, i, (int)(b->pairs.document_of[i] % SHADOW_GROUPS),
                              p.title, buf_str(&text), text.len, reterr)
                 : no_memory(reterr);
    buf_release(&text);
    return status;
}

/* What is not tuned but counts: before the first passage is in it, where its text may go. */
static enum rag_status copy_settings(struct tune_bench *b, struct rag_error *reterr)
{
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, SETTING_BYTES_MAX);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    json_put_bool(&w, "offline", b->offline);
    json_end_object(&w);
    status = shadow_set(&b->shadow, &body, reterr);
    buf_release(&body);
    for (int i = 0; i < N_TUNE_SETTINGS && status == RAG_OK; i++)
        if (b->own[i])
            status = tune_bench_try(b, (enum tune_setting)i, b->settings[i], reterr);
    return status;
}

static enum rag_status fill(struct tune_bench *b, struct rag_error *reterr)
{
    enum rag_status status =
        shadow_open(&b->shadow, &b->client, "tune", CHUNK_CHARS_MAX, 0, reterr);
    bool off = false;

    b->shadow.check = interrupt_check;
    if (status == RAG_OK)
        status = copy_settings(b, reterr);
    for (size_t i = 0; i < b->n_chunks && status == RAG_OK; i++)
        status = add_passage(b, i, reterr);
    if (status == RAG_OK)
        status = shadow_flush(&b->shadow, reterr);
    if (status == RAG_OK)
        status = shadow_wait(&b->shadow, &off, reterr);
    if (status == RAG_OK && b->adapter && b->vectors)
        status = tune_bench_put_adapter(b, b->shadow.name, b->adapter, reterr);
    return status;
}

enum rag_status tune_bench_open(struct tune_bench *b, struct rag_error *reterr)
{
    enum rag_status status;

    arena_init(&b->arena, TEXT_BYTES_MAX);
    status = ragctl_client_open(b->options, &b->client, reterr);
    if (status == RAG_OK)
        status = read_settings(b, reterr);
    if (status == RAG_OK)
        status = read_models(b, reterr);
    return status == RAG_OK ? read_adapter(b, reterr) : status;
}

enum rag_status tune_bench_fill(struct tune_bench *b, struct rag_error *reterr)
{
    enum rag_status status = make_pairs(b, reterr);

    return status == RAG_OK ? fill(b, reterr) : status;
}

void tune_bench_close(struct tune_bench *b)
{
    shadow_close(&b->shadow);
    for (int i = 0; i < N_TUNE_SETTINGS; i++)
        json_free(b->settings[i]);
    free(b->adapter);
    ragctl_client_close(&b->client);
    arena_release(&b->arena);
    memset(b, 0, sizeof *b);
}

/* ---- asking ---- */

static bool is_asked(const struct tune_bench *b, const struct tune_ask *ask, size_t i)
{
    const struct pair *q = &b->pairs.items[i];

    return (ask->kinds & 1u << q->kind) != 0 && (q->measures ? ask->measure : ask->learn) &&
           (!ask->texts || ask->texts[i]);
}

enum rag_status tune_bench_ask(struct tune_bench *b, const struct tune_ask *ask,
                               struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct progress progress;
    size_t n = 0;

    for (size_t i = 0; i < b->pairs.n; i++)
        n += is_asked(b, ask, i);
    progress_init(&progress, stderr, b->options->quiet, ask->noun, n, 0);
    n = 0;
    for (size_t i = 0; i < b->pairs.n && status == RAG_OK; i++) {
        const struct pair *q = &b->pairs.items[i];
        const struct shadow_query query = {
            .question = ask->texts ? ask->texts[i] : q->text,
            .mode = ask->mode,
            .top_k = ask->top_k,
            .rerank = ask->rerank,
            .explain = ask->explain,
            .without = ask->leave_out ? (int)(q->document % SHADOW_GROUPS) : SHADOW_NO_GROUP,
        };
        struct json *reply = NULL;

        if (!is_asked(b, ask, i))
            continue;
        status = interrupt_check(reterr);
        if (status == RAG_OK)
            status = shadow_ask(&b->shadow, &query, &reply, reterr);
        if (status == RAG_OK)
            status = ask->take(ask->context, q, reply, reterr);
        json_free(reply);
        progress_update(&progress, ++n, 0);
    }
    progress_finish(&progress);
    return status;
}

struct ranking_task {
    const struct tune_bench *bench;
    uint32_t *ranks;
};

static enum rag_status take_rank(void *context, const struct pair *q, const struct json *reply,
                                 struct rag_error *reterr)
{
    const struct ranking_task *t = context;
    uint32_t rank = 0;

    (void)reterr;
    for (const struct json *r = json_first(json_member(reply, "results")); r; r = json_next(r)) {
        uint32_t i = shadow_passage_index(json_string(json_member(r, "document")), UINT32_MAX);

        rank++;
        if (rank <= TUNE_DEPTH && i >= q->gold_first && i <= q->gold_last) {
            t->ranks[q - t->bench->pairs.items] = rank;
            break;
        }
    }
    return RAG_OK;
}

enum rag_status tune_bench_rank(struct tune_bench *b, const char *mode, const char *noun,
                                uint32_t **ret, struct rag_error *reterr)
{
    struct ranking_task task = {b, arena_calloc(&b->arena, b->pairs.n + 1, sizeof *task.ranks)};
    const struct tune_ask ask = {.noun = noun,
                                 .mode = mode,
                                 .top_k = TUNE_DEPTH,
                                 .rerank = true,
                                 .kinds = TUNE_ALL_KINDS,
                                 .measure = true,
                                 .take = take_rank,
                                 .context = &task};
    enum rag_status status = task.ranks ? tune_bench_ask(b, &ask, reterr) : no_memory(reterr);

    if (status == RAG_OK)
        *ret = task.ranks;
    return status;
}

enum rag_status tune_bench_ranks(struct tune_bench *b, struct rag_error *reterr)
{
    return b->ranks ? RAG_OK : tune_bench_rank(b, "auto", "questions before", &b->ranks, reterr);
}

/* ---- figures ---- */

static bool is_measured(const struct pair *q, unsigned kinds)
{
    return q->measures && (kinds & 1u << q->kind) != 0;
}

static double reciprocal(uint32_t rank)
{
    return rank == 0 ? 0.0 : 1.0 / rank;
}

struct tune_quality tune_bench_quality(const struct tune_bench *b, const uint32_t *ranks,
                                       unsigned kinds)
{
    struct tune_quality q = {0};

    for (size_t i = 0; i < b->pairs.n; i++) {
        if (!is_measured(&b->pairs.items[i], kinds))
            continue;
        q.n++;
        q.hit_at_1 += ranks[i] == 1;
        q.hit_at_10 += ranks[i] != 0;
        q.mrr_at_10 += reciprocal(ranks[i]);
    }
    if (q.n > 0) {
        q.hit_at_1 /= (double)q.n;
        q.hit_at_10 /= (double)q.n;
        q.mrr_at_10 /= (double)q.n;
    }
    return q;
}

struct tune_gain tune_bench_gain(const struct tune_bench *b, const uint32_t *before,
                                 const uint32_t *after, unsigned kinds)
{
    struct paired_sum one = {0};
    struct paired_sum ten = {0};
    struct paired_sum mrr = {0};

    for (size_t i = 0; i < b->pairs.n; i++) {
        if (!is_measured(&b->pairs.items[i], kinds))
            continue;
        paired_add(&one, (after[i] == 1) - (before[i] == 1));
        paired_add(&ten, (after[i] != 0) - (before[i] != 0));
        paired_add(&mrr, reciprocal(after[i]) - reciprocal(before[i]));
    }
    return (struct tune_gain){paired_interval(&one), paired_interval(&ten), paired_interval(&mrr)};
}

size_t tune_bench_count(const struct tune_bench *b, bool measures, unsigned kinds)
{
    size_t n = 0;

    for (size_t i = 0; i < b->pairs.n; i++)
        n += b->pairs.items[i].measures == measures && (kinds & 1u << b->pairs.items[i].kind) != 0;
    return n;
}
