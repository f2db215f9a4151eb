/* daemon/ragctl/ragctl_export.c - training pairs out of a collection.
 *
 * JSONL as sentence-transformers' datasets have it: {"anchor","positive","negative"}, or
 * "negative_1", "negative_2" ... when there are several. Negatives are what the current retriever
 * ranks high and is probably not an answer: not the positive, not its document, and scored below
 * NEGATIVE_MARGIN of the positive (or of the best result where the positive is not found), since
 * what is scored alike is often an answer that nobody marked. Source of that margin: Moreira et
 * al., "NV-Retriever: Improving text embedding models with effective hard-negative mining", 2024,
 * section 3.2 (TopK-PercPos, 95%). */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_writer.h"
#include "daemon/ragctl/progress.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_chunks.h"
#include "daemon/ragctl/ragctl_client.h"
#include "daemon/ragctl/ragctl_pairs.h"

#define PAIRS_DEFAULT     10000
#define NEGATIVES_MAX     16
#define SEED_DEFAULT      42
#define SEARCH_DEPTH      50
#define NEGATIVE_MARGIN   0.95
#define TEXT_BYTES_MAX    (2ull << 30)
#define REQUEST_BYTES_MAX (QUESTION_BYTES_MAX * 6 + 1024)
#define LINE_BYTES_MAX    (4u << 20)

struct export_args {
    const char *output;
    int64_t n_pairs;
    int64_t n_negatives;
    int64_t seed;
};

struct export_run {
    const struct ragctl_options *options;
    const struct export_args *args;
    struct ragctl_client client;
    struct arena arena;
    struct chunk_sample *chunks;
    struct pairs pairs;
    size_t n_chunks;
    size_t n_total;
    size_t n_written;
    size_t n_short; /* pairs with fewer negatives than asked for: left out */
    FILE *out;
};

static enum rag_status search(struct export_run *e, const char *question, struct json **ret,
                              struct rag_error *reterr)
{
    enum rag_status status;
    struct json_writer w;
    struct buf body;

    buf_init(&body, REQUEST_BYTES_MAX);
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    json_put_string(&w, "collection", e->options->collection);
    json_put_string(&w, "query", question);
    json_put_int(&w, "top_k", SEARCH_DEPTH);
    json_end_object(&w);
    status = ragctl_client_send(&e->client, "POST", "/v1/search", &body, ret, reterr);
    buf_release(&body);
    return status;
}

/* The score that a negative has to stay below. */
static double ceiling(const struct json *results, uint64_t positive)
{
    double best = json_number(json_member(json_first(results), "score"));

    for (const struct json *r = json_first(results); r; r = json_next(r)) {
        if (json_number(json_member(r, "chunk")) == (double)positive)
            best = json_number(json_member(r, "score"));
    }
    return best > 0.0 ? best * NEGATIVE_MARGIN : best;
}

static size_t choose_negatives(const struct export_run *e, const struct chunk_sample *positive,
                               const struct json *results, const char **ret)
{
    double limit = ceiling(results, positive->id);
    size_t n = 0;

    for (const struct json *r = json_first(results); r && n < (size_t)e->args->n_negatives;
         r = json_next(r)) {
        const char *document = json_string(json_member(r, "document"));
        const char *text = json_string(json_member(r, "text"));

        if (document && text && strcmp(document, positive->document) != 0 &&
            json_number(json_member(r, "score")) < limit)
            ret[n++] = text;
    }
    return n;
}

/* As a passage is read by the retriever: title and headings first, unless the text begins so. */
static void append_passage(struct buf *out, const struct pair_passage *p)
{
    const char *last = ragctl_pairs_last_heading(p->heading);

    if (p->title[0] != '\0' && !strstr(p->heading, p->title) && !strstr(p->text, p->title))
        buf_printf(out, "%s\n", p->title);
    if (p->heading[0] != '\0' && !strstr(p->text, last))
        buf_printf(out, "%s\n", p->heading);
    buf_append_str(out, p->text);
}

static enum rag_status write_pair(struct export_run *e, const struct pair *q,
                                  const char *const *negatives, struct rag_error *reterr)
{
    struct pair_passage passage = {"", "", ""};
    enum rag_status status = ragctl_pairs_passage(&e->pairs, q->chunk, &passage, reterr);
    struct json_writer w;
    struct buf scratch;
    struct buf line;

    if (status != RAG_OK)
        return status;
    buf_init(&line, LINE_BYTES_MAX);
    buf_init(&scratch, LINE_BYTES_MAX);
    append_passage(&scratch, &passage);
    json_writer_init(&w, &line);
    json_begin_object(&w, NULL);
    json_put_string(&w, "anchor", q->text);
    json_put_string(&w, "positive", buf_str(&scratch));
    for (int64_t i = 0; i < e->args->n_negatives; i++) {
        char key[32] = "negative";

        if (e->args->n_negatives > 1)
            snprintf(key, sizeof key, "negative_%" PRId64, i + 1);
        json_put_string(&w, key, negatives[i]);
    }
    json_end_object(&w);
    buf_append_char(&line, '\n');
    status = buf_status(&scratch) == RAG_OK ? buf_status(&line) : buf_status(&scratch);
    if (status != RAG_OK)
        rag_fail(reterr, status, "pair: over %u bytes or out of memory", LINE_BYTES_MAX);
    else if (fwrite(buf_str(&line), 1, line.len, e->out) != line.len)
        status = rag_fail_errno(reterr, RAG_EIO, errno, "pairs: cannot be written");
    buf_release(&line);
    buf_release(&scratch);
    return status;
}

static enum rag_status write_pairs(struct export_run *e, struct rag_error *reterr)
{
    const char *negatives[NEGATIVES_MAX];
    enum rag_status status = RAG_OK;
    struct progress progress;

    progress_init(&progress, stderr, e->options->quiet, "pairs", e->pairs.n, 0);
    for (size_t i = 0; i < e->pairs.n && status == RAG_OK; i++) {
        const struct pair *q = &e->pairs.items[i];
        struct json *reply = NULL;

        status = search(e, q->text, &reply, reterr);
        if (status == RAG_OK &&
            choose_negatives(e, &e->chunks[q->chunk], json_member(reply, "results"), negatives) <
                (size_t)e->args->n_negatives) {
            e->n_short++;
        } else if (status == RAG_OK) {
            status = write_pair(e, q, negatives, reterr);
            e->n_written++;
        }
        json_free(reply);
        progress_update(&progress, i + 1, 0);
    }
    progress_finish(&progress);
    return status;
}

static enum rag_status open_output(struct export_run *e, struct rag_error *reterr)
{
    e->out = stdout;
    if (!e->args->output)
        return RAG_OK;
    e->out = fopen(e->args->output, "wbxe");
    if (!e->out)
        return rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot be made", e->args->output);
    return RAG_OK;
}

static enum rag_status close_output(struct export_run *e, enum rag_status status,
                                    struct rag_error *reterr)
{
    if (!e->out || e->out == stdout)
        return status;
    if (fclose(e->out) != 0 && status == RAG_OK)
        status =
            rag_fail_errno(reterr, RAG_EIO, errno, "file '%s': cannot be written", e->args->output);
    if (status != RAG_OK)
        (void)unlink(e->args->output); /* half a file would be taken for a whole one */
    return status;
}

static void print_result(const struct export_run *e)
{
    struct json_writer w;
    struct buf out;

    if (!e->options->json) {
        ragctl_note(e->options, "%zu pairs; %zu left out for want of %" PRId64 " hard negatives",
                    e->n_written, e->n_short, e->args->n_negatives);
        return;
    }
    buf_init(&out, 4096);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "collection", e->options->collection);
    json_put_string(&w, "output", e->args->output);
    json_put_int(&w, "pairs", (int64_t)e->n_written);
    json_put_int(&w, "without_negatives", (int64_t)e->n_short);
    json_put_int(&w, "chunks", (int64_t)e->n_total);
    json_end_object(&w);
    printf("%s\n", buf_str(&out));
    buf_release(&out);
}

static int export_pairs(const struct ragctl_options *options, const struct export_args *args)
{
    struct export_run e = {.options = options, .args = args};
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;
    size_t n_chunks = (size_t)args->n_pairs * 2;

    if (n_chunks > CHUNK_SAMPLE_MAX)
        n_chunks = CHUNK_SAMPLE_MAX;
    arena_init(&e.arena, TEXT_BYTES_MAX);
    status = ragctl_client_open(options, &e.client, &error);
    if (status == RAG_OK)
        status = ragctl_chunks_sample(&e.client, options, options->collection, n_chunks,
                                      (uint64_t)args->seed, &e.arena, &e.chunks, &e.n_chunks,
                                      &e.n_total, &error);
    if (status == RAG_OK)
        status = ragctl_pairs_make(e.chunks, e.n_chunks, (size_t)args->n_pairs,
                                   (uint64_t)args->seed, &e.arena, &e.pairs, &error);
    if (status == RAG_OK)
        status = open_output(&e, &error);
    if (status == RAG_OK)
        status = close_output(&e, write_pairs(&e, &error), &error);
    if (status == RAG_OK)
        print_result(&e);
    ragctl_client_close(&e.client);
    arena_release(&e.arena);
    return status == RAG_OK ? RAGCTL_OK : ragctl_fail(options, &error);
}

int ragctl_export(const struct ragctl_options *options, int argc, char **argv)
{
    static const char *const verbs[] = {"pairs"};
    struct export_args args = {NULL, PAIRS_DEFAULT, 1, SEED_DEFAULT};
    const struct ragctl_arg table[] = {
        {.name = "--output", .text = &args.output},
        { .name = "--pairs",     .number = &args.n_pairs,       .min = 1, .max = CHUNK_SAMPLE_MAX},
        { .name = "--negatives", .number = &args.n_negatives,          .min = 0, .max = NEGATIVES_MAX},
        { .name = "--seed",      .number = &args.seed,              .min = 0, .max = INT64_MAX},
    };
    struct rag_error error = {RAG_OK, ""};
    const char *verb = NULL;
    enum rag_status status = ragctl_args_one_verb(
        "export", verbs, 1, NULL, table, sizeof table / sizeof table[0], argc, argv, &verb, &error);

    if (status == RAG_OK && options->json && !args.output)
        status = rag_fail(&error, RAG_EINVAL,
                          "export: --json reports about a file; give it with --output");
    if (status != RAG_OK)
        return ragctl_usage("export", &error);
    return export_pairs(options, &args);
}
