#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_eval.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/version.h"
#include "eval/input.h"
#include "eval/report_html.h"
#include "eval/report_json.h"
#include "eval/report_text.h"

#define SEED_DEFAULT     42
#define REPORT_BYTES_MAX (64u << 20) /* 50 questions with their passages; JSON is far smaller */
#define SET_FILE         "questions.jsonl"

/* ---- the files ---- */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s);
    size_t n_end = strlen(end);

    return n >= n_end && strcmp(s + n - n_end, end) == 0;
}

enum eval_kind { EVAL_SQUAD, EVAL_SET, EVAL_TREC };

/* A folder stands for the question set in it, or else for a TREC collection. *ret_path is
 * malloc'ed. */
static enum rag_status resolve(const struct eval_options *o, char **ret_path, enum eval_kind *ret,
                               struct rag_error *reterr)
{
    const char *path = o->path;
    struct stat info;
    bool folder;
    int n;

    if (stat(path, &info) != 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot be read", path);
    folder = S_ISDIR(info.st_mode);
    n = asprintf(ret_path, "%s%s%s", path, folder ? "/" : "", folder ? SET_FILE : "");
    if (n < 0)
        return rag_fail(reterr, RAG_ENOMEM, "evaluation: out of memory");
    if (o->n_paths > 1 || (folder && access(*ret_path, F_OK) != 0)) {
        memcpy(*ret_path, path, strlen(path) + 1);
        *ret = EVAL_TREC;
    } else {
        *ret = folder || ends_with(path, ".jsonl") || ends_with(path, ".ndjson") ||
                       ends_with(path, ".jsonl.zst")
                   ? EVAL_SET
                   : EVAL_SQUAD;
    }
    return RAG_OK;
}

static enum rag_status read_trec(struct dataset *d, const struct eval_options *o,
                                 struct rag_error *reterr)
{
    struct eval_trec files = {0};
    enum rag_status status = eval_trec_find(o->paths, o->n_paths, &files, reterr);

    if (status == RAG_OK)
        status = eval_trec_read(&files, d, reterr);
    eval_trec_release(&files);
    return status;
}

static enum rag_status read_squad(struct dataset *d, const struct eval_options *o,
                                  struct rag_error *reterr)
{
    struct input *in = NULL;
    enum rag_status status = input_open(o->path, &in, reterr);

    if (status == RAG_OK)
        status = dataset_read_squad(d, in, reterr);
    input_close(in);
    return status;
}

static enum rag_status read_dataset(struct dataset *d, const struct eval_options *o,
                                    enum eval_kind kind, size_t *ret_n_distractors,
                                    struct rag_error *reterr)
{
    bool book = strcmp(o->protocol, "book") == 0;
    struct input *in = NULL;
    enum rag_status status;

    if (book && kind == EVAL_TREC)
        return rag_fail(reterr, RAG_EINVAL,
                        "folder '%s': --protocol book is for KLUE-MRC and SQuAD files", o->path);
    status = kind == EVAL_TREC ? read_trec(d, o, reterr) : read_squad(d, o, reterr);
    if (status == RAG_OK && o->sample > 0)
        status = dataset_sample(d, (size_t)o->sample, (uint64_t)o->seed, reterr);
    if (status == RAG_OK && book)
        status = dataset_book_corpus(d, reterr);
    if (status != RAG_OK || !o->distractors)
        return status;
    status = input_open(o->distractors, &in, reterr);
    if (status == RAG_OK)
        status = dataset_read_distractors(d, in, ret_n_distractors, reterr);
    input_close(in);
    return status;
}

static enum rag_status read_set(struct question_set *set, const struct eval_options *o,
                                struct rag_error *reterr)
{
    struct input *in = NULL;
    enum rag_status status;

    if (o->distractors || o->sample > 0 || strcmp(o->protocol, "standard") != 0 || o->titles)
        return rag_fail(reterr, RAG_EINVAL,
                        "file '%s': --sample, --protocol, --distractors and "
                        "--titles are for KLUE-MRC, SQuAD and TREC files",
                        o->path);
    status = input_open(o->path, &in, reterr);
    if (status == RAG_OK)
        status = question_set_read(in, set, reterr);
    if (status == RAG_OK && o->off_topic)
        status = question_set_mark_off_topic(set, o->off_topic, reterr);
    input_close(in);
    return status;
}

/* ---- the reports ---- */

enum rag_status eval_write_file(const struct buf *page, const char *path, struct rag_error *reterr)
{
    enum rag_status status = buf_status(page);
    FILE *f;
    bool written;

    if (status != RAG_OK)
        return rag_fail(reterr, status, "report '%s': larger than %zu bytes or out of memory", path,
                        page->max);
    f = fopen(path, "wbe");
    if (!f)
        return rag_fail_errno(reterr, RAG_EIO, errno, "report '%s': cannot be written", path);
    written = fwrite(buf_str(page), 1, page->len, f) == page->len;
    if (fclose(f) != 0 || !written)
        return rag_fail_errno(reterr, RAG_EIO, errno, "report '%s': cannot be written", path);
    return RAG_OK;
}

static enum rag_status write_report(const struct run *run, const char *path,
                                    struct rag_error *reterr)
{
    enum rag_status status;
    struct buf page;

    buf_init(&page, REPORT_BYTES_MAX);
    report_html(run, &page);
    status = eval_write_file(&page, path, reterr);
    buf_release(&page);
    return status;
}

enum rag_status eval_print(const struct buf *text, struct rag_error *reterr)
{
    enum rag_status status = buf_status(text);

    if (status != RAG_OK)
        return rag_fail(reterr, status, "report: out of memory");
    if (fwrite(buf_str(text), 1, text->len, stdout) != text->len || fflush(stdout) != 0)
        return rag_fail_errno(reterr, RAG_EIO, errno, "report: cannot be written");
    return RAG_OK;
}

static enum rag_status print_report(const struct ragctl_options *options, const struct run *run,
                                    struct rag_error *reterr)
{
    enum rag_status status;
    struct buf out;

    buf_init(&out, REPORT_BYTES_MAX);
    if (options->json) {
        report_json(run, &out);
        buf_append_char(&out, '\n');
    } else {
        report_text(run, &out);
    }
    status = eval_print(&out, reterr);
    buf_release(&out);
    return status;
}

/* ---- the evaluation ---- */

static void describe_run(const struct evaluation *e, size_t n_distractors)
{
    struct run *run = e->run;

    run->question_set = e->set != NULL;
    run->source = e->eval->path;
    run->version = e->dataset ? e->dataset->version : "";
    run->protocol = e->eval->protocol;
    run->distractors = e->eval->distractors ? e->eval->distractors : "";
    run->daemon_version = RAGD_VERSION;
    run->wall_ms = clock_wall_ms();
    run->sample = (size_t)e->eval->sample;
    run->seed = (uint64_t)e->eval->seed;
    run->titles = e->eval->titles;
    run->n_distractors = n_distractors;
}

/* With a daemon to talk to: make the corpus, ask, clean up. */
static enum rag_status evaluate(struct evaluation *e, const struct ragctl_options *options,
                                struct rag_error *reterr)
{
    struct ragctl_client client = {0};
    int64_t since_ns = clock_monotonic_ns();
    enum rag_status status = ragctl_client_open(options, &client, reterr);

    e->client = &client;
    if (status == RAG_OK)
        status = eval_corpus_make(e, reterr);
    if (status == RAG_OK)
        status = eval_ask_all(e, reterr);
    e->run->seconds = clock_elapsed_ms(since_ns) / 1000.0;
    run_finish(e->run);
    if (options->socket_given || options->url)
        shadow_close(&e->corpus);
    else
        shadow_forget(&e->corpus);
    ragctl_client_close(&client);
    return status;
}

static enum rag_status run_all(struct evaluation *e, struct rag_error *reterr)
{
    struct ragctl_options options = *e->options;
    struct eval_daemon private_daemon = {0};
    enum rag_status status = RAG_OK;

    interrupt_install("evaluation", 0);
    if (!options.socket_given && !options.url) {
        status = eval_daemon_start(&private_daemon, &options, e->eval, reterr);
        options.socket_path = private_daemon.socket;
    }
    if (status == RAG_OK)
        status = evaluate(e, &options, reterr);
    status = eval_daemon_explain(&private_daemon, status, reterr);
    eval_daemon_stop(&private_daemon);
    if (status == RAG_OK && e->eval->report)
        status = write_report(e->run, e->eval->report, reterr);
    if (status == RAG_OK)
        status = print_report(e->options, e->run, reterr);
    if (status == RAG_OK && e->eval->report)
        ragctl_note(e->options, "report: %s", e->eval->report);
    return status;
}

static enum rag_status eval_file(const struct ragctl_options *options, struct eval_options *o,
                                 struct rag_error *reterr)
{
    struct evaluation e = {.options = options, .eval = o};
    struct question_set set = {0};
    struct dataset dataset = {0};
    size_t n_distractors = 0;
    struct run run = {0};
    enum rag_status status;
    enum eval_kind kind = EVAL_SQUAD;
    char *path = NULL;

    dataset_init(&dataset);
    status = resolve(o, &path, &kind, reterr);
    if (status != RAG_OK)
        goto out;
    o->path = path;
    status = kind == EVAL_SET ? read_set(&set, o, reterr)
                              : read_dataset(&dataset, o, kind, &n_distractors, reterr);
    if (status != RAG_OK)
        goto out;
    if (kind == EVAL_SET)
        e.set = &set;
    else
        e.dataset = &dataset;
    status = run_init(&run, e.set ? set.n : dataset.n_questions);
    if (status != RAG_OK) {
        rag_fail(reterr, status, "evaluation: out of memory");
        goto out;
    }
    e.run = &run;
    describe_run(&e, n_distractors);
    status = run_all(&e, reterr);
out:
    for (size_t i = 0; i < e.n_documents; i++)
        evidence_document_release(&e.documents[i].evidence);
    free(e.documents);
    ragctl_files_release(&e.files);
    run_release(&run);
    question_set_release(&set);
    dataset_release(&dataset);
    free(path);
    return status;
}

/* ---- the command line ---- */

static enum rag_status check_options(const struct ragctl_options *options,
                                     const struct eval_options *o, bool seed_given,
                                     struct rag_error *reterr)
{
    if (o->config && (o->embedder || o->reranker))
        return rag_fail(reterr, RAG_EINVAL,
                        "option '--config': the file names the models; give no --embedder and "
                        "--reranker");
    if ((o->config || o->embedder || o->reranker) && (options->socket_given || options->url))
        return rag_fail(reterr, RAG_EINVAL,
                        "options '--config', '--embedder', '--reranker': are for the private ragd, "
                        "not with --socket or --url");
    if (strcmp(o->protocol, "standard") != 0 && strcmp(o->protocol, "book") != 0)
        return rag_fail(reterr, RAG_EINVAL,
                        "option '--protocol': '%s' is neither 'standard' nor "
                        "'book'",
                        o->protocol);
    if (seed_given && o->sample == 0)
        return rag_fail(reterr, RAG_EINVAL, "option '--seed': needs --sample");
    return RAG_OK;
}

int ragctl_eval(const struct ragctl_options *options, int argc, char **argv)
{
    struct eval_options o = {.protocol = "standard", .seed = -1};
    const struct ragctl_arg args[] = {
        {.name = "--sample",         .number = &o.sample,                .min = 1, .max = EVAL_QUESTIONS_MAX},
        {.name = "--seed", .number = &o.seed,                                   .min = 0, .max = INT64_MAX},
        {.name = "--protocol",         .text = &o.protocol},
        {.name = "--distractors",                          .text = &o.distractors                                        },
        {.name = "--report",                          .text = &o.report                                     },
        {.name = "--off-topic",                          .text = &o.off_topic  },
        {.name = "--chunk-chars",
         .number = &o.chunk_chars,
         .min = CHUNK_CHARS_MIN,
         .max = CHUNK_CHARS_MAX},
        {.name = "--titles",                          .flag = &o.titles                                   },
        {.name = "--no-answers",     .flag = &o.no_answers                                        },
        {.name = "--config",         .text = &o.config},
        {.name = "--embedder",     .text = &o.embedder             },
        {.name = "--reranker",         .text = &o.reranker                 },
        {.name = "--mode",       .text = &o.mode                 },
        {.name = "--fusion",       .text = &o.fusion             },
    };
    struct rag_error error = {RAG_OK, ""};
    char **words = calloc((size_t)argc + 1, sizeof *words);
    enum rag_status status;
    bool seed_given;
    int n_words = 0;

    if (argc > 1 && strcmp(argv[1], "cache") == 0) {
        free(words);
        return ragctl_eval_cache(options, argc - 1, argv + 1);
    }
    if (!words) {
        rag_fail(&error, RAG_ENOMEM, "evaluation: out of memory");
        return ragctl_fail(options, &error);
    }
    status =
        ragctl_args_parse(args, sizeof args / sizeof args[0], argc, argv, words, &n_words, &error);
    if (status == RAG_OK && n_words != 1 && n_words != 3)
        status = rag_fail(&error, RAG_EINVAL,
                          "eval: needs one file or folder, or the three files of a TREC "
                          "collection, not %d",
                          n_words);
    seed_given = o.seed >= 0;
    if (!seed_given)
        o.seed = SEED_DEFAULT;
    if (status == RAG_OK)
        status = check_options(options, &o, seed_given, &error);
    o.paths = words;
    o.n_paths = n_words;
    if (status != RAG_OK) {
        free(words);
        return ragctl_usage("eval", &error);
    }
    o.path = words[0];
    status = eval_file(options, &o, &error);
    free(words);
    return status == RAG_OK ? RAGCTL_OK : ragctl_fail(options, &error);
}
