#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_model_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "daemon/ragctl/ragctl_args.h"

#define OWN_OPTIONS_MAX 16
#define MAX_LENGTH_MAX  65536 /* as the encoder's positions */

enum rag_status model_run_begin(struct model_run *run, const struct ragctl_options *options,
                                int argc, char **argv, const struct ragctl_arg *table, size_t n,
                                struct rag_error *reterr)
{
    /* clang-format off */
    struct ragctl_arg all[OWN_OPTIONS_MAX + 4] = {
        {.name = "--precision",  .text = &run->precision},
        {.name = "--file",       .text = &run->file},
        {.name = "--max-length", .number = &run->max_length, .min = 1, .max = MAX_LENGTH_MAX},
        {.name = "--threads",    .number = &run->threads, .min = 1, .max = COMPUTE_THREADS_MAX},
    };
    /* clang-format on */
    enum rag_status status;

    run->options = options;
    run->verb = argv[0];
    run->usage = true;
    for (size_t i = 0; i < n && i < OWN_OPTIONS_MAX; i++)
        all[4 + i] = table[i];
    run->words = calloc((size_t)argc + 1, sizeof *run->words);
    if (!run->words)
        return rag_fail(reterr, RAG_ENOMEM, "model %s: out of memory", run->verb);
    status = ragctl_args_parse(all, 4 + n, argc, argv, run->words, &run->n_words, reterr);
    if (status == RAG_OK && run->n_words == 0)
        status = rag_fail(reterr, RAG_EINVAL, "model %s: needs the model's directory", run->verb);
    if (status != RAG_OK)
        return status;
    status = ragctl_model_need(run->verb, run->words[0], &run->dir, reterr);
    run->usage = status != RAG_ENOTFOUND; /* what comes next may still be wrong on the line */
    return status;
}

enum rag_status model_run_precision(struct model_run *run, enum precision *ret,
                                    struct rag_error *reterr)
{
    if (!run->precision || strcmp(run->precision, "fp32") == 0)
        *ret = PRECISION_FP32;
    else if (strcmp(run->precision, "int8") == 0)
        *ret = PRECISION_INT8;
    else
        return rag_fail(reterr, RAG_EINVAL, "option --precision '%s': must be fp32 or int8",
                        run->precision);
    return RAG_OK;
}

enum rag_status model_run_pool(struct model_run *run, struct rag_error *reterr)
{
    run->usage = false;
    return compute_pool_open((size_t)run->threads, &run->pool, reterr);
}

enum rag_status model_run_texts(struct model_run *run, const char *pair, struct rag_error *reterr)
{
    if (!run->file && run->n_words < 2)
        return rag_fail(reterr, RAG_EINVAL, "model %s: needs a TEXT, or --file", run->verb);
    if (!run->file)
        return model_texts_words(run->words + 1, (size_t)run->n_words - 1, pair, &run->texts,
                                 reterr);
    run->usage = false;
    return model_texts_file(run->file, &run->texts, reterr);
}

int model_run_end(struct model_run *run, enum rag_status status, const struct rag_error *error)
{
    compute_pool_close(run->pool);
    model_texts_release(&run->texts);
    free(run->words);
    free(run->dir);
    if (status == RAG_OK)
        return RAGCTL_OK;
    return run->usage ? ragctl_usage("model", error) : ragctl_fail(run->options, error);
}

void model_put_float(struct json_writer *w, const char *key, float v)
{
    char digits[32];

    snprintf(digits, sizeof digits, "%.9g", v == 0.0f ? 0.0 : (double)v);
    json_put_raw(w, key, digits);
}
