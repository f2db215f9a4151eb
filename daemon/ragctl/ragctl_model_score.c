#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_model_run.h"
#include "daemon/ragctl/ragctl_print.h"
#include "retrieve/cross_encoder.h"

#define OUTPUT_BYTES_MAX (1ull << 30)
#define SHOWN_COLUMNS    70

/* The texts as pairs: (query, passage), from "QUERY PASSAGE..." or from "text" and "pair". */
static enum rag_status make_pairs(struct model_run *run, struct rag_error *reterr)
{
    enum rag_status status;

    if (!run->file) {
        if (run->n_words < 3)
            return rag_fail(reterr, RAG_EINVAL,
                            "model score: needs a QUERY and a PASSAGE, or --file");
        status =
            model_texts_words(run->words + 2, (size_t)run->n_words - 2, NULL, &run->texts, reterr);
        for (size_t i = 0; status == RAG_OK && i < run->texts.n; i++) {
            struct model_text *t = &run->texts.items[i];

            *t = (struct model_text){run->words[1], strlen(run->words[1]), t->text, t->n_bytes};
        }
        return status;
    }
    run->usage = false;
    status = model_texts_file(run->file, &run->texts, reterr);
    for (size_t i = 0; status == RAG_OK && i < run->texts.n; i++) {
        if (!run->texts.items[i].pair)
            status = rag_fail(reterr, RAG_EFORMAT, "file '%s': text %zu has no \"pair\"", run->file,
                              i + 1);
    }
    return status;
}

/* How many pairs from 'first' on ask the same query: they are scored together. */
static size_t same_query(const struct model_texts *t, size_t first)
{
    const struct model_text *a = &t->items[first];
    size_t n = 1;

    while (first + n < t->n && t->items[first + n].n_bytes == a->n_bytes &&
           memcmp(t->items[first + n].text, a->text, a->n_bytes) == 0)
        n++;
    return n;
}

static void put_scores(struct buf *out, const struct model_run *run, const float *scores)
{
    struct json_writer w;

    if (!run->options->json) {
        for (size_t i = 0; i < run->texts.n; i++) {
            buf_printf(out, "%10.6f  ", scores[i] == 0.0f ? 0.0 : (double)scores[i]);
            print_one_line(out, run->texts.items[i].pair, run->texts.items[i].n_pair_bytes,
                           SHOWN_COLUMNS);
            buf_append_char(out, '\n');
        }
        return;
    }
    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_begin_array(&w, "scores");
    for (size_t i = 0; i < run->texts.n; i++)
        model_put_float(&w, NULL, scores[i]);
    json_end_array(&w);
    json_end_object(&w);
    buf_append_char(out, '\n');
}

static enum rag_status score_pairs(struct model_run *run, const struct cross_encoder *x, bool raw,
                                   struct rag_error *reterr)
{
    size_t n = run->texts.n;
    struct pair_text *passages = calloc(n + 1, sizeof *passages);
    float *scores = calloc(n + 1, sizeof *scores);
    enum rag_status status = RAG_OK;
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    if (!passages || !scores)
        status = rag_fail(reterr, RAG_ENOMEM, "model score: out of memory for %zu pairs", n);
    for (size_t i = 0; status == RAG_OK && i < n; i++)
        passages[i] =
            (struct pair_text){run->texts.items[i].pair, run->texts.items[i].n_pair_bytes};
    for (size_t i = 0; status == RAG_OK && i < n;) {
        struct pair_text query = {run->texts.items[i].text, run->texts.items[i].n_bytes};
        size_t group = same_query(&run->texts, i);
        struct rag_error why = {0};
        size_t n_scored = 0;

        status = cross_encoder_score(x, query, passages + i, group, raw, 0, NULL, scores + i,
                                     &n_scored, &why);
        if (status != RAG_OK)
            rag_fail(reterr, status, "from pair %zu on: %s", i + 1, why.text);
        i += group;
    }
    if (status == RAG_OK) {
        put_scores(&out, run, scores);
        status = buf_status(&out);
        if (status == RAG_OK)
            fwrite(buf_str(&out), 1, out.len, stdout);
        else
            rag_fail(reterr, status, "model score: out of memory for the output");
    }
    buf_release(&out);
    free(passages);
    free(scores);
    return status;
}

int ragctl_model_score(const struct ragctl_options *options, int argc, char **argv)
{
    struct cross_encoder_options open = {0};
    struct cross_encoder *x = NULL;
    struct model_run run = {0};
    struct rag_error error = {0};
    enum rag_status status;
    bool raw = false;
    const struct ragctl_arg table[] = {
        {.name = "--raw", .flag = &raw},
    };

    status =
        model_run_begin(&run, options, argc, argv, table, sizeof table / sizeof table[0], &error);
    if (status == RAG_OK)
        status = model_run_precision(&run, &open.precision, &error);
    if (status == RAG_OK)
        status = make_pairs(&run, &error);
    if (status == RAG_OK)
        status = model_run_pool(&run, &error);
    open.pool = run.pool;
    open.max_tokens = (size_t)run.max_length;
    if (status == RAG_OK)
        status = cross_encoder_open(run.dir, &open, &x, &error);
    if (status == RAG_OK)
        status = score_pairs(&run, x, raw, &error);
    cross_encoder_close(x);
    return model_run_end(&run, status, &error);
}
