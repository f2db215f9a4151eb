#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_writer.h"
#include "daemon/ragctl/interrupt.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_verb.h"
#include "daemon/ragctl/tune_bench.h"
#include "daemon/ragctl/tune_parts.h"
#include "daemon/ragctl/tune_report.h"

#define QUESTIONS_DEFAULT      2000 /* 1000 measure: a gain of .015 in MRR is seen in most runs */
#define QUESTIONS_MAX          5000 /* each is searched some five times */
#define PASSAGES_DEFAULT       3000 /* each is embedded: a minute of a small model */
#define SEED_DEFAULT           42
#define MINUTES_DEFAULT        30
#define MINUTES_MAX            1440
#define FALSE_REFUSALS_DEFAULT 0.05
#define FALSE_REFUSALS_MAX     0.5 /* beyond it the gate is no use */
#define OUTPUT_BYTES_MAX       65536

/* In the order in which 'all' takes them: each is measured with what the former ones found. */
static const struct part {
    const char *name;
    enum rag_status (*run)(struct tune_bench *b, struct tune_outcome *o, struct rag_error *reterr);
    bool needs_vectors;
    bool needs_cross;
} parts[] = {
    {"adapter", tune_adapter, true,  false},
    {"fusion",  tune_fusion,  true,  false},
    {"lexical", tune_lexical, false, false},
    {"rerank",  tune_rerank,  false, true },
    {"gate",    tune_gate,    false, false},
};
#define N_PARTS (sizeof parts / sizeof parts[0])

static bool is_wanted(const char *verb, const char *part)
{
    return strcmp(verb, "all") == 0 || strcmp(verb, part) == 0;
}

static void print(const struct tune_bench *b, const char *verb, const struct tune_row *rows,
                  size_t n)
{
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    if (b->options->json) {
        tune_report_json(b, verb, rows, n, &out);
        buf_append_char(&out, '\n');
    } else {
        tune_report_text(b, rows, n, &out);
    }
    fputs(buf_str(&out), stdout);
    buf_release(&out);
}

/* A part that was asked for by its name and cannot be had is a failure; of all of them it is a
 * line of the report. */
static enum rag_status run_part(struct tune_bench *b, const struct part *part, bool alone,
                                struct tune_row *row, struct rag_error *reterr)
{
    enum rag_status status;

    *row = (struct tune_row){.part = part->name};
    status = part->run(b, &row->outcome, reterr);
    if (status == RAG_OK && alone && row->outcome.skipped)
        status = rag_fail(reterr, RAG_EINVAL, "tune %s: %s", part->name, row->outcome.verdict);
    return status;
}

/* What an earlier part installed stays when a later one fails, so it is told. */
static void tell_installed(const struct tune_bench *b, const struct tune_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].outcome.better && !b->args->dry_run)
            ragctl_note(b->options, "%s was installed before: %s", rows[i].part,
                        rows[i].outcome.verdict);
}

/* A part that was asked for by its name and lacks a model fails before anything is made for it. */
static enum rag_status check_models(const struct tune_bench *b, const char *verb,
                                    struct rag_error *reterr)
{
    for (size_t i = 0; i < N_PARTS; i++) {
        if (strcmp(verb, parts[i].name) != 0)
            continue;
        if (parts[i].needs_vectors && !b->vectors)
            return rag_fail(reterr, RAG_EINVAL, "tune %s: %s", verb, b->no_vectors);
        if (parts[i].needs_cross && !b->cross)
            return rag_fail(reterr, RAG_EINVAL, "tune %s: %s", verb, b->no_cross);
    }
    return RAG_OK;
}

static int tune(const struct ragctl_options *options, const char *verb,
                const struct tune_args *args)
{
    struct tune_bench b = {.options = options, .args = args};
    struct tune_row rows[N_PARTS] = {0};
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;
    size_t n = 0;

    if (is_wanted(verb, "adapter") && ragctl_prepare_compute(options, &error) != RAG_OK)
        return ragctl_fail(options, &error);
    interrupt_install("tune", args->n_minutes * 60000);
    status = tune_bench_open(&b, &error);
    if (status == RAG_OK)
        status = check_models(&b, verb, &error);
    if (status == RAG_OK)
        status = tune_bench_fill(&b, &error);
    for (size_t i = 0; i < N_PARTS && status == RAG_OK; i++)
        if (is_wanted(verb, parts[i].name))
            status = run_part(&b, &parts[i], strcmp(verb, "all") != 0, &rows[n++], &error);
    if (status == RAG_OK)
        print(&b, verb, rows, n);
    else
        tell_installed(&b, rows, n);
    for (size_t i = 0; i < n; i++)
        tune_outcome_release(&rows[i].outcome);
    tune_bench_close(&b);
    return status == RAG_OK ? RAGCTL_OK : ragctl_fail(options, &error);
}

/* ---- back to the defaults ---- */

static enum rag_status reset(const struct ragctl_options *options, const char *verb,
                             struct rag_error *reterr)
{
    struct ragctl_client client = {0};
    enum rag_status status = ragctl_client_open(options, &client, reterr);
    struct json_writer w;
    struct buf path;
    struct buf body;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    buf_init(&body, 4096);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    for (int i = 0; i < N_TUNE_SETTINGS; i++) {
        const char *name = tune_setting_name((enum tune_setting)i);

        if (!is_wanted(verb, name))
            continue;
        json_begin_object(&w, name);
        json_end_object(&w);
    }
    json_end_object(&w);
    ragctl_client_collection_path(&path, options->collection, "", NULL);
    if (status == RAG_OK && strcmp(verb, "adapter") != 0)
        status = ragctl_client_send(&client, "PUT", buf_str(&path), &body, NULL, reterr);
    if (status == RAG_OK && is_wanted(verb, "adapter")) {
        struct rag_error error = {RAG_OK, ""};

        buf_reset(&path);
        ragctl_client_collection_path(&path, options->collection, "/adapter", NULL);
        status = ragctl_client_call(&client, "DELETE", buf_str(&path), NULL, &error);
        if (status == RAG_ENOTFOUND)
            status = RAG_OK; /* there was none */
        else if (status != RAG_OK)
            rag_fail(reterr, status, "%s", error.text);
    }
    buf_release(&path);
    buf_release(&body);
    ragctl_client_close(&client);
    return status;
}

static int reset_and_tell(const struct ragctl_options *options, const char *verb)
{
    struct rag_error error = {RAG_OK, ""};
    struct json_writer w;
    struct buf out;

    if (reset(options, verb, &error) != RAG_OK)
        return ragctl_fail(options, &error);
    if (!options->json) {
        ragctl_note(options, "collection '%s': %s is as the daemon has it again",
                    options->collection, verb);
        return RAGCTL_OK;
    }
    buf_init(&out, OUTPUT_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "tune", verb);
    json_put_string(&w, "collection", options->collection);
    json_put_bool(&w, "reset", true);
    json_end_object(&w);
    printf("%s\n", buf_str(&out));
    buf_release(&out);
    return RAGCTL_OK;
}

static enum rag_status read_share(const char *text, double *ret, struct rag_error *reterr)
{
    char *end = NULL;
    double value = strtod(text, &end);

    if (*text == '\0' || *end != '\0' || !(value >= 0 && value <= FALSE_REFUSALS_MAX))
        return rag_fail(reterr, RAG_EINVAL,
                        "option --false-refusals '%s': must be a share from 0 to %g", text,
                        FALSE_REFUSALS_MAX);
    *ret = value;
    return RAG_OK;
}

int ragctl_tune(const struct ragctl_options *options, int argc, char **argv)
{
    static const char *const verbs[] = {"all", "adapter", "fusion", "lexical", "rerank", "gate"};
    struct tune_args args = {.n_pairs = QUESTIONS_DEFAULT,
                             .n_passages = PASSAGES_DEFAULT,
                             .n_minutes = MINUTES_DEFAULT,
                             .seed = SEED_DEFAULT,
                             .false_refusals = FALSE_REFUSALS_DEFAULT};
    const char *share = NULL;
    bool back = false;
    const struct ragctl_arg table[] = {
        {.name = "--questions",
         .number = &args.n_pairs,
         .min = (int64_t)2 * TUNE_PAIRS_MIN,
         .max = QUESTIONS_MAX},
        {.name = "--passages",
         .number = &args.n_passages,
         .min = (int64_t)2 * TUNE_PAIRS_MIN,
         .max = CHUNK_SAMPLE_MAX},
        {.name = "--minutes", .number = &args.n_minutes,                              .min = 1, .max = MINUTES_MAX},
        {.name = "--seed",                          .number = &args.seed,                                           .min = 0, .max = INT64_MAX},
        {.name = "--false-refusals",                  .text = &share     },
        {.name = "--dry-run",           .flag = &args.dry_run},
        {.name = "--reset",          .flag = &back                                            },
    };
    struct rag_error error = {RAG_OK, ""};
    const char *verb = NULL;
    enum rag_status status =
        ragctl_args_one_verb("tune", verbs, sizeof verbs / sizeof verbs[0], "all", table,
                             sizeof table / sizeof table[0], argc, argv, &verb, &error);

    if (status == RAG_OK && share)
        status = read_share(share, &args.false_refusals, &error);
    if (status == RAG_OK && back && args.dry_run)
        status = rag_fail(&error, RAG_EINVAL, "tune: --reset and --dry-run do not go together");
    if (status != RAG_OK)
        return ragctl_usage("tune", &error);
    return back ? reset_and_tell(options, verb) : tune(options, verb, &args);
}
