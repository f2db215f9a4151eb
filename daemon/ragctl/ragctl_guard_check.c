#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/json_writer.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_guard.h"
#include "daemon/ragctl/ragctl_print.h"
#include "guard/guard.h"
#include "text/analyzer.h"
#include "text/nfc.h"

#define OUTPUT_BYTES_MAX (1ull << 30)

/* Where no policy is named: everything that needs none of one's own is shown. */
static const char check_policy[] =
    "{\"rules\":["
    "{\"name\":\"pii\",\"kind\":\"pii\",\"on\":[\"question\",\"passage\",\"answer\",\"document\"],"
    "\"action\":\"mask\"},"
    "{\"name\":\"injection\",\"kind\":\"injection\","
    "\"on\":[\"question\",\"passage\",\"answer\",\"document\"],\"action\":\"flag\"},"
    "{\"name\":\"leak\",\"kind\":\"leak\",\"on\":[\"answer\"],\"action\":\"refuse\"}]}";

struct check_args {
    const char *policy;
    const char *stage_name;
    const char *question;
    const char *system_prompt;
    enum guard_stage stage;
};

static enum rag_status parse_stage(struct check_args *args, struct rag_error *reterr)
{
    for (int s = 0; s < N_GUARD_STAGES; s++) {
        if (strcmp(guard_stage_name((enum guard_stage)s), args->stage_name) == 0) {
            args->stage = (enum guard_stage)s;
            return RAG_OK;
        }
    }
    return rag_fail(reterr, RAG_EINVAL,
                    "--stage: '%.40s' is not question, passage, answer or document",
                    args->stage_name);
}

/* The word, or standard input for "-", in NFC. */
static enum rag_status read_text(const char *word, struct buf *out, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct buf raw;

    buf_init(&raw, DOCUMENT_BYTES_MAX);
    if (strcmp(word, "-") != 0) {
        buf_append_str(&raw, word);
    } else {
        char piece[65536];
        size_t n;

        while ((n = fread(piece, 1, sizeof piece, stdin)) > 0)
            buf_append(&raw, piece, n);
        if (ferror(stdin))
            status = rag_fail(reterr, RAG_EIO, "standard input: cannot be read");
    }
    if (status == RAG_OK && buf_status(&raw) != RAG_OK)
        status = rag_fail(reterr, buf_status(&raw), "text: over the limit of %u bytes",
                          DOCUMENT_BYTES_MAX);
    if (status == RAG_OK)
        status = nfc_append(buf_str(&raw), raw.len, out, reterr);
    buf_release(&raw);
    return status;
}

static void print_json(const struct guard_result *r, const struct buf *text)
{
    const struct buf *masked = r->masked.len > 0 ? &r->masked : text;
    struct json_writer w;
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "verdict", guard_action_name(r->verdict));
    json_begin_array(&w, "findings");
    for (size_t i = 0; i < r->n_findings; i++) {
        const struct guard_finding *f = &r->findings[i];

        json_begin_object(&w, NULL);
        json_put_string(&w, "rule", f->rule);
        json_put_int(&w, "start", f->start);
        json_put_int(&w, "end", f->end);
        json_put_string(&w, "detail", f->detail);
        json_put_string(&w, "action", guard_action_name(f->action));
        json_put_single(&w, "score", f->score);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_put_string_n(&w, "masked", buf_str(masked), masked->len);
    json_put_string(&w, "reason", r->reason);
    json_put_bool(&w, "truncated", r->truncated);
    json_end_object(&w);
    printf("%s\n", buf_str(&out));
    buf_release(&out);
}

static void print_text(const struct guard_result *r, const struct buf *text)
{
    const struct buf *masked = r->masked.len > 0 ? &r->masked : text;
    struct print_table table;
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    print_table_init(&table, "lllrl");
    for (size_t i = 0; i < r->n_findings; i++) {
        const struct guard_finding *f = &r->findings[i];
        struct buf found;

        buf_init(&found, OUTPUT_BYTES_MAX);
        print_one_line(&found, buf_str(text) + f->start, f->end - f->start, 40);
        print_table_cell(&table, "%s", f->rule);
        print_table_cell(&table, "%s", f->detail);
        print_table_cell(&table, "%s", guard_action_name(f->action));
        if (f->end > f->start) {
            print_table_cell(&table, "%u-%u", f->start, f->end);
            print_table_cell(&table, "%s", buf_str(&found));
        } else {
            print_table_cell(&table, "whole"); /* of the text as a whole: it has no place */
            if (strcmp(f->detail, "unchecked") == 0)
                print_table_cell(&table, "on_error: it could not be checked here");
            else
                print_table_cell(&table, "score %.2f", f->score);
        }
        buf_release(&found);
    }
    buf_printf(&out, "verdict: %s\n", guard_action_name(r->verdict));
    if (r->reason[0] != '\0')
        buf_printf(&out, "reason: %s\n", r->reason);
    print_table_append(&table, &out);
    if (r->masked.len > 0)
        print_clean(&out, buf_str(masked), masked->len);
    printf("%s%s", buf_str(&out), r->masked.len > 0 ? "\n" : "");
    print_table_release(&table);
    buf_release(&out);
}

/* Every rule that needs no model is checked as the daemon does it; one that needs a model is
 * "unchecked" here. */
static enum rag_status check(const struct ragctl_options *options, const struct check_args *args,
                             const char *word, struct guard_result *result,
                             struct rag_error *reterr)
{
    const struct analyzer_options analyzer_options = {0};
    struct guard_options guard_options = {.path = args->policy,
                                          .json = args->policy ? NULL : check_policy};
    struct guard_text given = {.collection = options->collection,
                               .question = args->question,
                               .system_prompt = args->system_prompt};
    struct analyzer *analyzer = NULL;
    struct guard *guard = NULL;
    enum rag_status status;
    struct buf text;

    buf_init(&text, (size_t)DOCUMENT_BYTES_MAX * 3);
    status = read_text(word, &text, reterr);
    if (status == RAG_OK)
        status = analyzer_open(&analyzer_options, &analyzer, reterr);
    if (status == RAG_OK) {
        guard_options.analyzer = analyzer;
        status = guard_open(&guard_options, &guard, reterr);
    }
    if (status == RAG_OK) {
        given.text = buf_str(&text);
        given.n_bytes = text.len;
        status = guard_check(guard, args->stage, &given, result, reterr);
    }
    if (status == RAG_OK && options->json)
        print_json(result, &text);
    else if (status == RAG_OK)
        print_text(result, &text);
    guard_close(guard);
    analyzer_close(analyzer);
    buf_release(&text);
    return status;
}

int ragctl_guard_check(const struct ragctl_options *options, int argc, char **argv)
{
    struct check_args args = {.stage_name = guard_stage_name(GUARD_QUESTION)};
    const struct ragctl_arg table[] = {
        {.name = "--policy",        .text = &args.policy       },
        {.name = "--stage",         .text = &args.stage_name   },
        {.name = "--question",      .text = &args.question     },
        {.name = "--system-prompt", .text = &args.system_prompt},
    };
    char **words = calloc((size_t)argc + 1, sizeof *words);
    struct rag_error error = {RAG_OK, ""};
    struct guard_result result;
    enum rag_status status;
    int exit_status;
    int n_words = 0;

    if (!words) {
        rag_fail(&error, RAG_ENOMEM, "guard check: out of memory");
        return ragctl_fail(options, &error);
    }
    status = ragctl_args_parse(table, sizeof table / sizeof table[0], argc, argv, words, &n_words,
                               &error);
    if (status == RAG_OK && n_words != 1)
        status =
            rag_fail(&error, RAG_EINVAL, "guard check: needs one TEXT, or - for standard input");
    if (status == RAG_OK)
        status = parse_stage(&args, &error);
    if (status != RAG_OK) {
        free(words);
        return ragctl_usage("guard", &error);
    }
    guard_result_init(&result, (size_t)DOCUMENT_BYTES_MAX * 3);
    status = check(options, &args, words[0], &result, &error);
    exit_status = result.verdict >= GUARD_DROP ? RAGCTL_REFUSED : RAGCTL_OK;
    guard_result_release(&result);
    free(words);
    return status == RAG_OK ? exit_status : ragctl_fail(options, &error);
}
