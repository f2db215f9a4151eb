#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_model_run.h"
#include "daemon/ragctl/ragctl_print.h"
#include "embed/bi_encoder.h"

#define OUTPUT_BYTES_MAX (4ull << 30) /* 12 bytes a number: 300,000 embeddings of 1,024 */
#define SHOWN_NUMBERS    6            /* of an embedding, for people */
#define SHOWN_COLUMNS    60           /* of its text */

static enum rag_status parse_role(const char *name, enum embed_role *ret, struct rag_error *reterr)
{
    if (!name || strcmp(name, "plain") == 0)
        *ret = EMBED_PLAIN;
    else if (strcmp(name, "query") == 0)
        *ret = EMBED_QUERY;
    else if (strcmp(name, "passage") == 0)
        *ret = EMBED_PASSAGE;
    else
        return rag_fail(reterr, RAG_EINVAL, "option --role '%s': must be plain, query or passage",
                        name);
    return RAG_OK;
}

static void put_json(struct buf *out, const struct bi_encoder_info *info, const float *vectors,
                     const uint32_t *tokens, size_t n)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_int(&w, "dim", (int64_t)info->dim);
    json_begin_array(&w, "embeddings");
    for (size_t i = 0; i < n; i++) {
        json_begin_array(&w, NULL);
        for (size_t d = 0; d < info->dim; d++)
            model_put_float(&w, NULL, vectors[i * info->dim + d]);
        json_end_array(&w);
    }
    json_end_array(&w);
    json_begin_array(&w, "tokens");
    for (size_t i = 0; i < n; i++)
        json_put_int(&w, NULL, tokens[i]);
    json_end_array(&w);
    json_put_string(&w, "pooling", info->pooling);
    json_put_int(&w, "max_tokens", (int64_t)info->max_tokens);
    json_put_string(&w, "kernels", info->encoder.kernels);
    json_put_string(&w, "fingerprint", info->fingerprint);
    json_end_object(&w);
    buf_append_char(out, '\n');
}

static void put_text(struct buf *out, const struct bi_encoder_info *info,
                     const struct model_texts *texts, const float *vectors, const uint32_t *tokens)
{
    buf_printf(out, "%s: %zu dimensions, %s pooling, at most %zu tokens, %s\n", info->name,
               info->dim, info->pooling, info->max_tokens, info->encoder.kernels);
    for (size_t i = 0; i < texts->n; i++) {
        const float *v = vectors + i * info->dim;
        double dot = 0.0;

        for (size_t d = 0; d < info->dim; d++)
            dot += (double)v[d] * (double)vectors[d];
        buf_printf(out, "%4zu  %u tokens, cosine to the first %.4f, [", i + 1, tokens[i], dot);
        for (size_t d = 0; d < info->dim && d < SHOWN_NUMBERS; d++)
            buf_printf(out, "%s%.4f", d > 0 ? ", " : "", (double)v[d]);
        buf_append_str(out, info->dim > SHOWN_NUMBERS ? ", ...]  " : "]  ");
        print_one_line(out, texts->items[i].text, texts->items[i].n_bytes, SHOWN_COLUMNS);
        buf_append_char(out, '\n');
    }
}

static enum rag_status embed_texts(struct model_run *run, const struct bi_encoder *b,
                                   enum embed_role role, struct rag_error *reterr)
{
    struct bi_encoder_info info;
    size_t n = run->texts.n;
    struct embed_text *texts = NULL;
    enum rag_status status = RAG_ENOMEM;
    uint32_t *tokens = NULL;
    float *vectors = NULL;
    struct buf out;

    bi_encoder_info(b, &info);
    buf_init(&out, OUTPUT_BYTES_MAX);
    texts = calloc(n + 1, sizeof *texts);
    tokens = calloc(n + 1, sizeof *tokens);
    vectors = calloc(n + 1, info.dim * sizeof *vectors);
    if (!texts || !tokens || !vectors) {
        rag_fail(reterr, status, "model embed: out of memory for %zu texts", n);
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        texts[i] = (struct embed_text){run->texts.items[i].text, run->texts.items[i].n_bytes};
    if ((size_t)run->max_length > info.max_tokens)
        ragctl_note(run->options, "--max-length %lld: this model reaches %zu tokens",
                    (long long)run->max_length, info.max_tokens);
    status = bi_encoder_embed(b, texts, n, role, NULL, vectors, tokens, reterr);
    if (status != RAG_OK)
        goto out;
    if (run->options->json)
        put_json(&out, &info, vectors, tokens, n);
    else
        put_text(&out, &info, &run->texts, vectors, tokens);
    status = buf_status(&out);
    if (status == RAG_OK)
        fwrite(buf_str(&out), 1, out.len, stdout);
    else
        rag_fail(reterr, status, "model embed: the output is over %llu bytes, or out of memory",
                 OUTPUT_BYTES_MAX);
out:
    buf_release(&out);
    free(texts);
    free(tokens);
    free(vectors);
    return status;
}

int ragctl_model_embed(const struct ragctl_options *options, int argc, char **argv)
{
    struct bi_encoder_options open = {0};
    enum embed_role role = EMBED_PLAIN;
    struct bi_encoder *b = NULL;
    struct model_run run = {0};
    struct rag_error error = {0};
    const char *role_name = NULL;
    enum rag_status status;
    int64_t dim = 0;
    /* clang-format off */
    const struct ragctl_arg table[] = {
        {.name = "--role",    .text = &role_name},
        {.name = "--pooling", .text = &open.pooling},
        {.name = "--dim",     .number = &dim, .min = 1, .max = EMBEDDING_DIM_MAX},
    };
    /* clang-format on */

    status =
        model_run_begin(&run, options, argc, argv, table, sizeof table / sizeof table[0], &error);
    if (status == RAG_OK)
        status = model_run_precision(&run, &open.precision, &error);
    if (status == RAG_OK)
        status = parse_role(role_name, &role, &error);
    if (status == RAG_OK)
        status = model_run_texts(&run, NULL, &error);
    if (status == RAG_OK)
        status = model_run_pool(&run, &error);
    open.pool = run.pool;
    open.max_tokens = (size_t)run.max_length;
    open.dim = (size_t)dim;
    if (status == RAG_OK)
        status = bi_encoder_open(run.dir, &open, &b, &error);
    if (status == RAG_OK)
        status = embed_texts(&run, b, role, &error);
    bi_encoder_close(b);
    return model_run_end(&run, status, &error);
}
