#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_eval_cache.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_writer.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_eval.h"
#include "daemon/ragctl/ragctl_model.h"
#include "daemon/ragctl/ragctl_verb.h"
#include "nn/compute_pool.h"

#define SEED_DEFAULT      42
#define ERROR_DEFAULT     "0.01"
#define PAIR_SCORE_MIN    0.5f /* of a reranker: more likely than not */
#define REPORT_BYTES_MAX  (64u << 20)
#define DETAILS_BYTES_MAX (1u << 30) /* two questions of each pair */

struct eval_cache_options {
    const char *path;
    const char *embedder;
    const char *reranker;
    const char *threshold; /* NULL: choose it */
    const char *error;
    const char *report;
    const char *details;
    int64_t answer_ms;
    int64_t seed;
};

/* ---- models ---- */

static enum rag_status score_pair(void *context, const char *a, const char *b, float *ret,
                                  struct rag_error *reterr)
{
    struct pair_text query = {a, strlen(a)};
    struct pair_text passage = {b, strlen(b)};
    size_t n_scored = 0;

    return cross_encoder_score(context, query, &passage, 1, false, 0, NULL, ret, &n_scored, reterr);
}

static enum rag_status open_models(struct eval_cache *e, const struct eval_cache_options *o,
                                   struct rag_error *reterr)
{
    enum rag_status status = analyzer_open(NULL, &e->analyzer, reterr);
    struct bi_encoder_options bi = {0};
    struct cross_encoder_options cross = {0};

    if (status == RAG_OK)
        status = ragctl_model_path(o->embedder, MODEL_EMBEDDER, &e->embedder_dir, reterr);
    if (status == RAG_OK)
        status = ragctl_model_path(o->reranker, MODEL_RERANKER, &e->reranker_dir, reterr);
    if (status == RAG_OK && (*e->embedder_dir || *e->reranker_dir))
        status = compute_pool_open(0, &e->pool, reterr);
    bi.pool = cross.pool = e->pool;
    e->report.encoder = "tf-idf";
    e->report.reranker = "";
    if (status == RAG_OK && *e->embedder_dir) {
        struct bi_encoder_info info;

        status = bi_encoder_open(e->embedder_dir, &bi, &e->encoder, reterr);
        if (status != RAG_OK)
            return status;
        bi_encoder_info(e->encoder, &info);
        e->report.encoder = info.name;
    }
    if (status == RAG_OK && *e->reranker_dir) {
        struct cross_encoder_info info;

        status = cross_encoder_open(e->reranker_dir, &cross, &e->reranker, reterr);
        if (status != RAG_OK)
            return status;
        cross_encoder_info(e->reranker, &info);
        e->report.reranker = info.name;
        e->pair = (struct confirm_pair){score_pair, e->reranker, PAIR_SCORE_MIN};
    }
    return status;
}

static void release(struct eval_cache *e)
{
    for (size_t i = 0; e->sparse && i < e->n_vectors; i++)
        sparse_vector_release(&e->sparse[i]);
    free(e->sparse);
    free(e->dense);
    bi_encoder_close(e->encoder);
    cross_encoder_close(e->reranker);
    compute_pool_close(e->pool);
    free(e->embedder_dir);
    free(e->reranker_dir);
    analyzer_close(e->analyzer);
    cache_pairs_release(&e->pairs);
}

/* ---- reports ---- */

static void fill_reasons(struct eval_cache *e)
{
    struct cache_report *r = &e->report;
    size_t place[CACHE_REASONS_MAX] = {0}; /* + 1 */

    for (size_t i = 0; i < e->pairs.n; i++) {
        const struct cache_pair *pair = &e->pairs.pairs[i];

        if (pair->confirmed || (double)pair->similarity < r->chosen.threshold ||
            pair->label == CACHE_BETWEEN || pair->reason >= CACHE_REASONS_MAX)
            continue;
        if (place[pair->reason] == 0) {
            r->reasons[r->n_reasons].name = confirm_reason_name((enum confirm_reason)pair->reason);
            place[pair->reason] = ++r->n_reasons;
        }
        size_t at = place[pair->reason] - 1;
        r->reasons[at].equivalent += pair->label == CACHE_EQUIVALENT ? 1 : 0;
        r->reasons[at].different += pair->label == CACHE_DIFFERENT ? 1 : 0;
    }
}

/* One line a pair: what was compared, how similar, and why it was not confirmed. */
static void put_details(const struct eval_cache *e, struct buf *out)
{
    static const char *const labels[] = {"different", "between", "equivalent"};

    for (size_t i = 0; i < e->pairs.n; i++) {
        const struct cache_pair *pair = &e->pairs.pairs[i];
        struct json_writer w;

        json_writer_init(&w, out);
        json_begin_object(&w, NULL);
        json_put_string(&w, "a", e->pairs.texts[pair->a].text);
        json_put_string(&w, "b", e->pairs.texts[pair->b].text);
        json_put_string(&w, "label", labels[pair->label]);
        json_put_string(&w, "kind", pair->kind);
        json_put_single(&w, "similarity", pair->similarity);
        json_put_string(&w, "confirmed", confirm_reason_name((enum confirm_reason)pair->reason));
        json_end_object(&w);
        buf_append_char(out, '\n');
    }
}

static enum rag_status print(const struct eval_cache *e, struct rag_error *reterr)
{
    enum rag_status status;
    struct buf out;

    buf_init(&out, REPORT_BYTES_MAX);
    if (e->options->json) {
        cache_report_json(&e->report, &out);
        buf_append_char(&out, '\n');
    } else {
        cache_report_text(&e->report, &out);
    }
    status = eval_print(&out, reterr);
    buf_release(&out);
    return status;
}

static enum rag_status write_files(const struct eval_cache *e, const struct eval_cache_options *o,
                                   struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct buf out;

    if (o->report) {
        buf_init(&out, REPORT_BYTES_MAX);
        cache_report_html(&e->report, &out);
        status = eval_write_file(&out, o->report, reterr);
        buf_release(&out);
    }
    if (status == RAG_OK && o->details) {
        buf_init(&out, DETAILS_BYTES_MAX);
        put_details(e, &out);
        status = eval_write_file(&out, o->details, reterr);
        buf_release(&out);
    }
    return status;
}

/* ---- the evaluation ---- */

static enum rag_status evaluate(struct eval_cache *e, const struct eval_cache_options *o,
                                double threshold, struct rag_error *reterr)
{
    int64_t since_ns = clock_monotonic_ns();
    struct input *in = NULL;
    enum rag_status status = input_open(o->path, &in, reterr);

    if (status == RAG_OK)
        status = cache_pairs_read(in, &e->pairs, reterr);
    input_close(in);
    if (status == RAG_OK)
        status = open_models(e, o, reterr);
    if (status == RAG_OK)
        status = eval_cache_vectors(e, reterr);
    if (status == RAG_OK)
        status = eval_cache_score(e, reterr);
    if (status != RAG_OK)
        return status;
    e->report.pairs = &e->pairs;
    cache_report_fill(&e->report, threshold);
    fill_reasons(e);
    status = eval_cache_ask(e, reterr);
    e->report.wall_ms = clock_wall_ms();
    e->report.seconds = clock_elapsed_ms(since_ns) / 1000.0;
    if (status == RAG_OK)
        status = write_files(e, o, reterr);
    if (status == RAG_OK)
        status = print(e, reterr);
    return status;
}

/* ---- the command line ---- */

static enum rag_status parse_share(const char *name, const char *text, double *ret,
                                   struct rag_error *reterr)
{
    char *end = NULL;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= 0 && value <= 1))
        return rag_fail(reterr, RAG_EINVAL, "option '%s': '%s' is no number within 0..1", name,
                        text);
    *ret = value;
    return RAG_OK;
}

int ragctl_eval_cache(const struct ragctl_options *options, int argc, char **argv)
{
    struct eval_cache_options o = {.seed = SEED_DEFAULT, .error = ERROR_DEFAULT};
    struct eval_cache e = {.options = options};
    /* clang-format off */
    const struct ragctl_arg args[] = {
        {.name = "--embedder",  .text = &o.embedder},
        {.name = "--reranker",  .text = &o.reranker},
        {.name = "--threshold", .text = &o.threshold},
        {.name = "--error",     .text = &o.error},
        {.name = "--report",    .text = &o.report},
        {.name = "--details",   .text = &o.details},
        {.name = "--answer-ms", .number = &o.answer_ms, .min = 0, .max = 3600000},
        {.name = "--seed",      .number = &o.seed,      .min = 0, .max = INT64_MAX},
    };
    /* clang-format on */
    struct rag_error error = {RAG_OK, ""};
    char **words = calloc((size_t)argc + 1, sizeof *words);
    double threshold = -1;
    enum rag_status status;
    int n_words = 0;

    if (!words) {
        rag_fail(&error, RAG_ENOMEM, "eval cache: out of memory");
        return ragctl_fail(options, &error);
    }
    status =
        ragctl_args_parse(args, sizeof args / sizeof args[0], argc, argv, words, &n_words, &error);
    if (status == RAG_OK && n_words != 1)
        status =
            rag_fail(&error, RAG_EINVAL, "eval cache: needs one file of pairs, not %d", n_words);
    if (status == RAG_OK && o.threshold)
        status = parse_share("--threshold", o.threshold, &threshold, &error);
    if (status == RAG_OK)
        status = parse_share("--error", o.error, &e.report.error, &error);
    o.path = words[0];
    free(words);
    if (status != RAG_OK)
        return ragctl_usage("eval", &error);
    /* The whole process may begin anew: nothing was read yet. */
    if ((o.embedder || o.reranker) && ragctl_prepare_compute(options, &error) != RAG_OK)
        return ragctl_fail(options, &error);
    e.report.source = o.path;
    e.report.seed = (uint64_t)o.seed;
    e.report.traffic.answer_ms = (double)o.answer_ms;
    status = evaluate(&e, &o, threshold, &error);
    release(&e);
    if (status == RAG_OK && o.report)
        ragctl_note(options, "report: %s", o.report);
    return status == RAG_OK ? RAGCTL_OK : ragctl_fail(options, &error);
}
