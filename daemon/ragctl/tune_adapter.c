/* The question adapter: vectors of the learning half's questions and passages as the daemon makes
 * them, embed/question_adapter_train.h, and the same search with and without it.
 *
 * It is better when vectors alone rank better with it beyond chance and the final list is not worse
 * beyond chance: how much the vectors count there is the fusion's, which is learned after it. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/bounds.h"
#include "base/json_writer.h"
#include "daemon/ragctl/interrupt.h"
#include "daemon/ragctl/progress.h"
#include "daemon/ragctl/tune_parts.h"
#include "embed/passage_text.h"
#include "embed/question_adapter_train.h"

#define BATCH_TEXTS       32
#define REQUEST_BYTES_MAX (64u << 20) /* BATCH_TEXTS chunks of the largest size, escaped */
#define PASSAGE_BYTES_MAX (1u << 20)
#define NOT_A_ROW         UINT32_MAX

/* Texts as rows of one matrix, embedded in batches. */
struct vector_table {
    struct tune_bench *bench;
    const char *type; /* "query", "passage" */
    struct progress progress;
    struct buf body;
    struct json_writer w;
    size_t n_open; /* texts in the request that is being written */
    size_t n;      /* rows that are there */
    size_t n_max;
    size_t dim;
    float *rows; /* owned, [n_max, dim] */
};

struct adapter_task {
    struct tune_bench *bench;
    struct vector_table questions;
    struct vector_table passages;
    uint32_t *row_of; /* [n_chunks]: of passages; NOT_A_ROW: of the measuring half */
    uint32_t *positives;
    uint32_t *groups;
    struct adapter_range *right;
    size_t n; /* pairs */
    struct progress progress;
};

/* ---- vectors ---- */

static void begin_batch(struct vector_table *t)
{
    buf_reset(&t->body);
    json_writer_init(&t->w, &t->body);
    json_begin_object(&t->w, NULL);
    json_put_string(&t->w, "encoding_format", "base64");
    json_put_string(&t->w, "input_type", t->type);
    json_begin_array(&t->w, "input");
    t->n_open = 0;
}

static enum rag_status take_vector(struct vector_table *t, const struct json *item,
                                   struct rag_error *reterr)
{
    const char *text = json_string(json_member(item, "embedding"));
    uint8_t *bytes = NULL;
    size_t n = 0;
    enum rag_status status =
        base64_read(text ? text : "", "embedding", EMBEDDING_DIM_MAX * 4, &bytes, &n, reterr);

    if (status != RAG_OK)
        return status;
    if (t->dim == 0 && n >= 4) {
        t->dim = n / 4;
        t->rows = calloc(t->n_max, n);
        if (!t->rows)
            status = rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
    }
    if (status == RAG_OK && (n != t->dim * 4 || n == 0 || t->n == t->n_max))
        status = rag_fail(reterr, RAG_EFORMAT,
                          "response of ragd: an embedding of %zu bytes, not %zu", n, t->dim * 4);
    for (size_t i = 0; status == RAG_OK && i < t->dim; i++) {
        const uint8_t *b = bytes + 4 * i; /* little-endian */
        uint32_t bits =
            (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;

        memcpy(&t->rows[t->n * t->dim + i], &bits, sizeof bits);
    }
    t->n += status == RAG_OK;
    free(bytes);
    return status;
}

static enum rag_status send_batch(struct vector_table *t, struct rag_error *reterr)
{
    struct json *reply = NULL;
    enum rag_status status = interrupt_check(reterr);
    size_t n_open = t->n_open;
    size_t n = 0;

    if (status != RAG_OK || n_open == 0)
        return status;
    json_end_array(&t->w);
    json_end_object(&t->w);
    status =
        ragctl_client_send(&t->bench->client, "POST", "/v1/embeddings", &t->body, &reply, reterr);
    for (const struct json *d = json_first(json_member(reply, "data")); status == RAG_OK && d;
         d = json_next(d), n++)
        status = take_vector(t, d, reterr);
    if (status == RAG_OK && n != n_open)
        status = rag_fail(reterr, RAG_EFORMAT, "response of ragd: %zu embeddings of %zu texts", n,
                          n_open);
    json_free(reply);
    progress_update(&t->progress, t->n, 0);
    begin_batch(t);
    return status;
}

static void table_open(struct vector_table *t, struct tune_bench *b, const char *type,
                       const char *noun, size_t n_max)
{
    t->bench = b;
    t->type = type;
    t->n_max = n_max;
    buf_init(&t->body, REQUEST_BYTES_MAX);
    progress_init(&t->progress, stderr, b->options->quiet, noun, n_max, 0);
    begin_batch(t);
}

static enum rag_status table_add(struct vector_table *t, const char *text, size_t n_bytes,
                                 struct rag_error *reterr)
{
    json_put_string_n(&t->w, NULL, text, n_bytes);
    t->n_open++;
    return t->n_open == BATCH_TEXTS ? send_batch(t, reterr) : RAG_OK;
}

static void table_close(struct vector_table *t)
{
    buf_release(&t->body);
    free(t->rows);
    t->rows = NULL;
}

/* ---- pairs ---- */

static enum rag_status embed_passage(struct adapter_task *t, size_t i, struct rag_error *reterr)
{
    struct pair_passage p = {"", "", ""};
    enum rag_status status = ragctl_pairs_passage(&t->bench->pairs, i, &p, reterr);
    const struct passage_parts parts = {p.title, p.heading, NULL, p.text[0] ? p.text : "-",
                                        p.text[0] ? strlen(p.text) : 1};
    struct buf text;

    if (status != RAG_OK)
        return status;
    buf_init(&text, PASSAGE_BYTES_MAX);
    passage_text(&parts, &text);
    status = buf_status(&text) == RAG_OK ? table_add(&t->passages, buf_str(&text), text.len, reterr)
                                         : rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
    buf_release(&text);
    return status;
}

/* Passages of the documents that learn: row_of, and their number. */
static size_t number_rows(struct adapter_task *t)
{
    const struct pairs *p = &t->bench->pairs;
    size_t n = 0;

    for (size_t i = 0; i < p->n_chunks; i++)
        t->row_of[i] = NOT_A_ROW;
    for (size_t i = 0; i < p->n; i++) {
        uint32_t d = p->items[i].document;

        for (size_t k = p->first_of[d]; !p->items[i].measures && k < p->first_of[d + 1]; k++)
            t->row_of[k] = 0;
    }
    for (size_t i = 0; i < p->n_chunks; i++)
        if (t->row_of[i] != NOT_A_ROW)
            t->row_of[i] = (uint32_t)n++;
    return n;
}

static enum rag_status embed(struct adapter_task *t, struct rag_error *reterr)
{
    const struct pairs *p = &t->bench->pairs;
    enum rag_status status = RAG_OK;

    table_open(&t->passages, t->bench, "passage", "passages (adapter)", number_rows(t));
    for (size_t i = 0; i < p->n_chunks && status == RAG_OK; i++)
        if (t->row_of[i] != NOT_A_ROW)
            status = embed_passage(t, i, reterr);
    if (status == RAG_OK)
        status = send_batch(&t->passages, reterr);
    progress_finish(&t->passages.progress);
    table_open(&t->questions, t->bench, "query", "questions (adapter)", p->n_learn);
    for (size_t i = 0; i < p->n && status == RAG_OK; i++) {
        const struct pair *q = &p->items[i];

        if (q->measures)
            continue;
        t->positives[t->n] = t->row_of[q->chunk];
        t->right[t->n] = (struct adapter_range){t->row_of[q->gold_first], t->row_of[q->gold_last]};
        t->groups[t->n++] = q->document;
        status = table_add(&t->questions, q->text, strlen(q->text), reterr);
    }
    if (status == RAG_OK)
        status = send_batch(&t->questions, reterr);
    progress_finish(&t->questions.progress);
    return status;
}

/* ---- learning ---- */

static bool on_step(void *context, size_t step, size_t steps, double loss)
{
    struct adapter_task *t = context;

    (void)loss;
    if (t->progress.total == 0)
        progress_init(&t->progress, stderr, t->bench->options->quiet, "steps (adapter)", steps, 0);
    progress_update(&t->progress, step, 0);
    return interrupt_check(NULL) == RAG_OK;
}

/* Above the width at which the whole matrix fits, an inner width that does. */
static size_t rank_for(size_t dim)
{
    return question_adapter_n_weights(dim, 0) > 0 ? 0 : ADAPTER_WEIGHTS_MAX / (2 * dim);
}

static enum rag_status train(struct adapter_task *t, struct question_adapter **ret,
                             struct adapter_report *report, struct rag_error *reterr)
{
    const struct adapter_pairs pairs = {
        .dim = t->questions.dim,
        .questions = t->questions.rows,
        .n = t->n,
        .passages = t->passages.rows,
        .n_passages = t->passages.n,
        .positives = t->positives,
        .right = t->right,
        .groups = t->groups,
    };
    struct adapter_options options;
    enum rag_status status;

    if (t->questions.dim != t->passages.dim)
        return rag_fail(reterr, RAG_EFORMAT, "response of ragd: embeddings of %zu and %zu numbers",
                        t->questions.dim, t->passages.dim);
    adapter_options_default(pairs.dim, pairs.n, &options);
    if (options.rank == 0)
        options.rank = rank_for(pairs.dim);
    options.seed = (uint64_t)t->bench->args->seed;
    options.progress = on_step;
    options.context = t;
    status = question_adapter_train(&pairs, &options, ret, report, reterr);
    progress_finish(&t->progress);
    if (status == RAG_ECANCELLED)
        (void)interrupt_check(reterr); /* says whether by a signal or the time */
    return status;
}

/* ---- measuring ---- */

static enum rag_status write_adapter(const struct tune_bench *b, const struct question_adapter *a,
                                     const struct tune_outcome *o, struct buf *out,
                                     struct rag_error *reterr)
{
    size_t n = 2 * question_adapter_n_weights(a->dim, a->rank);
    uint8_t *bytes = malloc(n);
    struct json_writer w;
    struct buf weights;

    if (!bytes)
        return rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
    question_adapter_encode(a, bytes);
    buf_init(&weights, n * 2);
    base64_append(bytes, n, &weights);
    free(bytes);
    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "fingerprint", b->fingerprint);
    json_put_int(&w, "dim", (int64_t)a->dim);
    json_put_int(&w, "rank", (int64_t)a->rank);
    json_put_string_n(&w, "weights", buf_str(&weights), weights.len);
    json_put_int(&w, "pairs", (int64_t)b->pairs.n_learn);
    if (o->has_dense) {
        json_begin_object(&w, "measured");
        json_put_string(&w, "metric", "mrr@10");
        json_put_int(&w, "questions", (int64_t)o->dense_before.n);
        json_put_double(&w, "before", o->dense_before.mrr_at_10);
        json_put_double(&w, "after", o->dense_after.mrr_at_10);
        json_end_object(&w);
    }
    json_end_object(&w);
    buf_release(&weights);
    return buf_status(out) == RAG_OK ? RAG_OK : rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
}

static void judge(struct tune_outcome *o)
{
    const struct paired *d = &o->dense_gain.mrr_at_10;
    const struct paired *f = &o->gain.mrr_at_10;

    o->better = d->low > 0 && f->high >= 0;
    snprintf(o->verdict, sizeof o->verdict,
             "%s: MRR@10 of vectors alone %+.4f [%+.4f, %+.4f], of the final list %+.4f [%+.4f, "
             "%+.4f] on %zu questions%s",
             o->better ? "better" : "not better beyond chance", d->mean, d->low, d->high, f->mean,
             f->low, f->high, d->n, o->better ? "" : "; what was in place stays");
}

static enum rag_status measure(struct tune_bench *b, const struct question_adapter *a,
                               struct tune_outcome *o, struct rag_error *reterr)
{
    uint32_t *dense_before = NULL;
    uint32_t *dense_after = NULL;
    uint32_t *after = NULL;
    enum rag_status status = tune_bench_ranks(b, reterr);
    struct buf body;

    buf_init(&body, ADAPTER_BODY_MAX);
    if (status == RAG_OK)
        status = tune_bench_rank(b, "dense", "vectors before", &dense_before, reterr);
    if (status == RAG_OK)
        status = write_adapter(b, a, o, &body, reterr);
    if (status == RAG_OK)
        status = tune_bench_put_adapter(b, b->shadow.name, buf_str(&body), reterr);
    if (status == RAG_OK)
        status = tune_bench_rank(b, "dense", "vectors after", &dense_after, reterr);
    if (status == RAG_OK)
        status = tune_bench_rank(b, "auto", "questions after", &after, reterr);
    if (status != RAG_OK)
        goto out;
    o->changed = o->has_dense = true;
    o->dense_before = tune_bench_quality(b, dense_before, TUNE_ALL_KINDS);
    o->dense_after = tune_bench_quality(b, dense_after, TUNE_ALL_KINDS);
    o->dense_gain = tune_bench_gain(b, dense_before, dense_after, TUNE_ALL_KINDS);
    o->before = tune_bench_quality(b, b->ranks, TUNE_ALL_KINDS);
    o->after = tune_bench_quality(b, after, TUNE_ALL_KINDS);
    o->gain = tune_bench_gain(b, b->ranks, after, TUNE_ALL_KINDS);
    judge(o);
    if (!o->better) {
        status = tune_bench_put_adapter(b, b->shadow.name, b->adapter, reterr);
        goto out;
    }
    buf_reset(&body); /* with what was measured */
    status = write_adapter(b, a, o, &body, reterr);
    if (status == RAG_OK && !b->args->dry_run)
        status = tune_bench_put_adapter(b, b->options->collection, buf_str(&body), reterr);
    if (status == RAG_OK)
        b->ranks = after;
out:
    buf_release(&body);
    return status;
}

static enum rag_status learn(struct adapter_task *t, struct tune_outcome *o,
                             struct rag_error *reterr)
{
    struct question_adapter *a = NULL;
    struct adapter_report report = {0};
    enum rag_status status = train(t, &a, &report, reterr);

    if (status != RAG_OK)
        return status;
    tune_outcome_note(o,
                      "learning half: %zu pairs learned from, %zu watched, MRR@10 of these %.4f -> "
                      "%.4f, step %zu of %zu kept, |W - I| %.3f",
                      report.n_learned, report.n_watched, report.mrr_before, report.mrr_after,
                      report.best_step, report.steps, report.distance);
    if (asprintf(&o->found, "{\"dim\":%zu,\"rank\":%zu}", a->dim, a->rank) < 0) {
        o->found = NULL;
        status = rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
    } else if (report.learned) {
        status = measure(t->bench, a, o, reterr);
    } else {
        status = tune_bench_ranks(t->bench, reterr);
        if (status == RAG_OK)
            o->before = o->after = tune_bench_quality(t->bench, t->bench->ranks, TUNE_ALL_KINDS);
        snprintf(
            o->verdict, sizeof o->verdict,
            "nothing was learned: the watched pairs of the learning half gained nothing beyond "
            "chance; what was in place stays");
    }
    question_adapter_free(a);
    return status;
}

enum rag_status tune_adapter(struct tune_bench *b, struct tune_outcome *o, struct rag_error *reterr)
{
    struct adapter_task t = {.bench = b};
    enum rag_status status;
    size_t n = b->pairs.n_learn + 1;

    o->kinds = TUNE_ALL_KINDS;
    if (!b->vectors) {
        o->skipped = true;
        snprintf(o->verdict, sizeof o->verdict, "%s", b->no_vectors);
        return RAG_OK;
    }
    t.row_of = arena_calloc(&b->arena, b->n_chunks + 1, sizeof *t.row_of);
    t.positives = arena_calloc(&b->arena, n, sizeof *t.positives);
    t.groups = arena_calloc(&b->arena, n, sizeof *t.groups);
    t.right = arena_calloc(&b->arena, n, sizeof *t.right);
    if (!t.row_of || !t.positives || !t.groups || !t.right)
        return rag_fail(reterr, RAG_ENOMEM, "tune: out of memory");
    status = embed(&t, reterr);
    if (status == RAG_OK)
        status = learn(&t, o, reterr);
    table_close(&t.questions);
    table_close(&t.passages);
    return status;
}
