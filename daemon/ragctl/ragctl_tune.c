#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_writer.h"
#include "daemon/ragctl/progress.h"
#include "daemon/ragctl/ragctl.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_chunks.h"
#include "daemon/ragctl/ragctl_client.h"
#include "daemon/ragctl/ragctl_shadow.h"
#include "retrieve/fusion_tune.h"

#define QUESTIONS_DEFAULT 1000 /* 500 held out: a gain of .02 in MRR is seen in most runs */
#define QUESTIONS_MAX     5000 /* each is searched twice */
#define PASSAGES_DEFAULT  3000 /* each is embedded: a minute of a small model */
#define SEED_DEFAULT      42
#define TEXT_BYTES_MAX    (1ull << 30) /* of the sample */
#define OUTPUT_BYTES_MAX  65536
/* Chunks before and after the one that a question was made of, in the same document, answer it as
 * well: they overlap with it and go on about the same thing. */
#define NEIGHBOURS        2

struct tune_args {
    int64_t n_questions;
    int64_t n_passages;
    int64_t seed;
    bool dry_run;
};

struct tuning_run {
    const struct ragctl_options *options;
    const struct tune_args *args;
    struct ragctl_client client;
    struct arena arena;
    struct chunk_sample *chunks;
    struct pseudo_question *made;
    struct tune_question *questions;
    size_t n_total; /* chunks of the collection */
    size_t n_chunks;
    size_t n_questions;
    size_t n_headings; /* questions of that kind */
};

/* ---- the shadow collection ---- */

static size_t first_neighbour(const struct tuning_run *t, size_t i)
{
    size_t first = i;

    while (first > 0 && i - first < NEIGHBOURS &&
           strcmp(t->chunks[first - 1].document, t->chunks[i].document) == 0)
        first--;
    return first;
}

static size_t last_neighbour(const struct tuning_run *t, size_t i)
{
    size_t last = i;

    while (last + 1 < t->n_chunks && last - i < NEIGHBOURS &&
           strcmp(t->chunks[last + 1].document, t->chunks[i].document) == 0)
        last++;
    return last;
}

static void cut_out(char *text, const char *what)
{
    size_t n = strlen(what);

    for (char *at = text; n > 0 && (at = strstr(at, what)) != NULL;)
        memmove(at, at + n, strlen(at + n) + 1);
}

/* Passage i without what questions were made of, its own and its neighbours' (chunks overlap). */
static enum rag_status add_passage(struct tuning_run *t, struct shadow *shadow,
                                   const struct pseudo_question *const *of, size_t i,
                                   struct rag_error *reterr)
{
    const struct chunk_sample *c = &t->chunks[i];
    const char *heading = of[i] ? of[i]->heading : c->heading;
    char *body = strdup(of[i] ? of[i]->body : c->text);
    enum rag_status status;
    struct buf text;

    if (!body)
        return rag_fail(reterr, RAG_ENOMEM, "tuning: out of memory");
    for (size_t k = first_neighbour(t, i); k <= last_neighbour(t, i); k++) {
        if (of[k] && of[k]->kind == PSEUDO_SENTENCE)
            cut_out(body, of[k]->text);
    }
    buf_init(&text, DOCUMENT_BYTES_MAX);
    if (heading[0] != '\0')
        buf_printf(&text, "%s\n\n", heading);
    /* a chunk that was nothing else stays as a passage that nothing finds */
    buf_append_str(&text, body[strspn(body, " \n\t")] ? body : "-");
    status = buf_status(&text);
    if (status == RAG_OK)
        status = shadow_add(shadow, i, c->title, buf_str(&text), text.len, reterr);
    else
        rag_fail(reterr, status, "tuning: out of memory");
    buf_release(&text);
    free(body);
    return status;
}

static enum rag_status fill(struct tuning_run *t, struct shadow *shadow, struct rag_error *reterr)
{
    const struct pseudo_question **of = arena_calloc(&t->arena, t->n_chunks + 1, sizeof *of);
    enum rag_status status = RAG_OK;
    bool off = false;

    if (!of)
        return rag_fail(reterr, RAG_ENOMEM, "tuning: out of memory");
    for (size_t i = 0; i < t->n_questions; i++)
        of[t->made[i].chunk] = &t->made[i];
    for (size_t i = 0; i < t->n_chunks && status == RAG_OK; i++)
        status = add_passage(t, shadow, of, i, reterr);
    if (status == RAG_OK)
        status = shadow_flush(shadow, reterr);
    if (status == RAG_OK)
        status = shadow_wait(shadow, &off, reterr);
    if (status == RAG_OK && off)
        status = rag_fail(reterr, RAG_EINVAL,
                          "the daemon has no embedder, so there is one ranking only; name one as "
                          "[models] embedder in ragd.conf");
    return status;
}

static enum rag_status ask(struct tuning_run *t, struct shadow *shadow, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    struct progress progress;

    progress_init(&progress, stderr, t->options->quiet, "questions", t->n_questions, 0);
    for (size_t i = 0; i < t->n_questions && status == RAG_OK; i++) {
        struct tune_question *q = &t->questions[i];

        q->gold_first = first_neighbour(t, t->made[i].chunk);
        q->gold_last = last_neighbour(t, t->made[i].chunk);
        for (int list = 0; list < N_LISTS && status == RAG_OK; list++) {
            struct ranked *items = arena_calloc(&t->arena, FUSION_TUNE_DEPTH, sizeof *items);

            if (!items)
                status = rag_fail(reterr, RAG_ENOMEM, "tuning: out of memory");
            else
                status = shadow_search(shadow, t->made[i].text, list, FUSION_TUNE_DEPTH, items,
                                       &q->lists[list].n, reterr);
            q->lists[list].items = items;
        }
        progress_update(&progress, i + 1, 0);
    }
    progress_finish(&progress);
    return status;
}

static enum rag_status measure(struct tuning_run *t, struct fusion_choice *ret,
                               struct rag_error *reterr)
{
    struct shadow shadow = {0};
    enum rag_status status;

    t->questions = arena_calloc(&t->arena, t->n_questions + 1, sizeof *t->questions);
    if (!t->questions)
        return rag_fail(reterr, RAG_ENOMEM, "tuning: out of memory");
    status = shadow_open(&shadow, &t->client, "tune", CHUNK_CHARS_MAX, 0, reterr);
    if (status == RAG_OK)
        status = fill(t, &shadow, reterr);
    if (status == RAG_OK)
        status = ask(t, &shadow, reterr);
    shadow_close(&shadow);
    if (status == RAG_OK)
        status = fusion_tune(t->questions, t->n_questions, ret, reterr);
    return status;
}

static enum rag_status prepare(struct tuning_run *t, struct rag_error *reterr)
{
    enum rag_status status = ragctl_chunks_sample(
        &t->client, t->options, t->options->collection, (size_t)t->args->n_passages,
        (uint64_t)t->args->seed, &t->arena, &t->chunks, &t->n_chunks, &t->n_total, reterr);

    if (status == RAG_OK)
        status = ragctl_chunks_questions(t->chunks, t->n_chunks, (size_t)t->args->n_questions,
                                         (uint64_t)t->args->seed, &t->arena, &t->made,
                                         &t->n_questions, reterr);
    if (status == RAG_OK && t->n_questions < FUSION_TUNE_QUESTIONS_MIN)
        status =
            rag_fail(reterr, RAG_EINVAL,
                     "collection '%s': its %zu chunks give %zu questions, at least %d are "
                     "needed to measure anything; the fusion stays as it is",
                     t->options->collection, t->n_total, t->n_questions, FUSION_TUNE_QUESTIONS_MIN);
    for (size_t i = 0; status == RAG_OK && i < t->n_questions; i++)
        t->n_headings += t->made[i].kind == PSEUDO_HEADING;
    return status;
}

/* ---- the result ---- */

static void write_fusion(struct json_writer *w, const char *key, const struct fusion_options *o)
{
    json_begin_object(w, key);
    json_put_string(w, "method", fusion_method_name(o->method));
    json_put_double(w, "weight_bm25", (double)o->weights[LIST_BM25]);
    json_put_double(w, "weight_dense", (double)o->weights[LIST_DENSE]);
    json_put_double(w, "rrf_k", (double)o->rrf_k);
    json_put_int(w, "depth", (int64_t)o->depth);
    json_end_object(w);
}

static enum rag_status install(struct tuning_run *t, const struct fusion_choice *c,
                               struct rag_error *reterr)
{
    struct json *collection = NULL;
    const char *fingerprint;
    enum rag_status status;
    struct json_writer w;
    struct buf path;
    struct buf body;

    buf_init(&path, HTTP_TARGET_BYTES_MAX);
    buf_init(&body, 4096);
    ragctl_client_collection_path(&path, t->options->collection, "", NULL);
    status = ragctl_client_call(&t->client, "GET", buf_str(&path), &collection, reterr);
    if (status != RAG_OK)
        goto out;
    json_writer_init(&w, &body);
    json_begin_object(&w, NULL);
    write_fusion(&w, "fusion", &c->options);
    fingerprint = json_string(json_member(json_member(collection, "vectors"), "fingerprint"));
    if (fingerprint) /* doctor says when another embedder serves */
        json_put_string(&w, "fusion_tuned_with", fingerprint);
    json_end_object(&w);
    status = ragctl_client_send(&t->client, "PUT", buf_str(&path), &body, NULL, reterr);
out:
    json_free(collection);
    buf_release(&path);
    buf_release(&body);
    return status;
}

static const char *verdict(const struct fusion_choice *c)
{
    if (c->fused)
        return "fused: better than either ranking alone";
    if (c->options.weights[LIST_DENSE] > 0.0f)
        return "dense alone: better than bm25, and fusing the two gains nothing that can be told "
               "from chance";
    return "bm25 alone: fusing it with the dense ranking gains nothing that can be told from "
           "chance";
}

static void print_json(const struct tuning_run *t, const struct fusion_choice *c, bool installed)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "tune", "fusion");
    json_put_string(&w, "collection", t->options->collection);
    json_put_int(&w, "chunks", (int64_t)t->n_total);
    json_put_int(&w, "passages", (int64_t)t->n_chunks);
    json_put_int(&w, "questions", (int64_t)t->n_questions);
    json_put_int(&w, "questions_of_headings", (int64_t)t->n_headings);
    json_put_int(&w, "held_out", (int64_t)c->n_held_out);
    json_put_int(&w, "tried", (int64_t)c->n_grid);
    json_begin_object(&w, "mrr_at_10");
    json_put_double(&w, "bm25", c->mrr[LIST_BM25]);
    json_put_double(&w, "dense", c->mrr[LIST_DENSE]);
    json_put_double(&w, "fused", c->mrr_tried);
    json_put_double(&w, "chosen", c->mrr_chosen);
    json_end_object(&w);
    json_put_double(&w, "gain", c->gain);
    json_put_double(&w, "p", c->p);
    write_fusion(&w, "best_tried", &c->tried);
    write_fusion(&w, "fusion", &c->options);
    json_put_bool(&w, "fused", c->fused);
    json_put_bool(&w, "installed", installed);
    json_put_string(&w, "verdict", verdict(c));
    json_end_object(&w);
    printf("%s\n", buf_str(&out));
    buf_release(&out);
}

static void print_text(const struct tuning_run *t, const struct fusion_choice *c, bool installed)
{
    const struct fusion_options *o = &c->tried;

    printf("%zu questions made of %zu of %zu chunks (%zu of headings, the others of sentences)\n"
           "MRR@10 on the %zu held out:\n"
           "  bm25 alone   %.4f\n  dense alone  %.4f\n  fused        %.4f  (%+.4f, p = %.4f)\n"
           "best of %zu tried on the other half: %s, bm25 %.2g, dense %.2g",
           t->n_questions, t->n_chunks, t->n_total, t->n_headings, c->n_held_out, c->mrr[LIST_BM25],
           c->mrr[LIST_DENSE], c->mrr_tried, c->gain, c->p, c->n_grid,
           fusion_method_name(o->method), (double)o->weights[LIST_BM25],
           (double)o->weights[LIST_DENSE]);
    if (o->method == FUSION_RRF)
        printf(", k %.0f", (double)o->rrf_k);
    printf(", depth %zu\n%s: %s\n", o->depth, installed ? "installed" : "not installed",
           verdict(c));
}

static int tune_fusion(const struct ragctl_options *options, const struct tune_args *args)
{
    struct tuning_run t = {.options = options, .args = args};
    struct fusion_choice choice = {0};
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;

    arena_init(&t.arena, TEXT_BYTES_MAX);
    status = ragctl_client_open(options, &t.client, &error);
    if (status == RAG_OK)
        status = prepare(&t, &error);
    if (status == RAG_OK)
        status = measure(&t, &choice, &error);
    if (status == RAG_OK && !args->dry_run)
        status = install(&t, &choice, &error);
    if (status == RAG_OK && options->json)
        print_json(&t, &choice, !args->dry_run);
    else if (status == RAG_OK)
        print_text(&t, &choice, !args->dry_run);
    ragctl_client_close(&t.client);
    arena_release(&t.arena);
    return status == RAG_OK ? RAGCTL_OK : ragctl_fail(options, &error);
}

int ragctl_tune(const struct ragctl_options *options, int argc, char **argv)
{
    static const char *const verbs[] = {"fusion"};
    struct tune_args args = {QUESTIONS_DEFAULT, PASSAGES_DEFAULT, SEED_DEFAULT, false};
    const struct ragctl_arg table[] = {
        {.name = "--questions",
         .number = &args.n_questions,
         .min = FUSION_TUNE_QUESTIONS_MIN,
         .max = QUESTIONS_MAX},
        {.name = "--passages",
         .number = &args.n_passages,
         .min = FUSION_TUNE_QUESTIONS_MIN,
         .max = CHUNK_SAMPLE_MAX},
        {.name = "--seed", .number = &args.seed, .min = 0, .max = INT64_MAX},
        {.name = "--dry-run",                          .flag = &args.dry_run              },
    };
    char **words = calloc((size_t)argc + 1, sizeof *words);
    struct rag_error error = {RAG_ENOMEM, "tune: out of memory"};
    const char *verb = NULL;
    enum rag_status status;
    int n_words = 0;

    if (!words)
        return ragctl_fail(options, &error);
    status = ragctl_args_parse(table, sizeof table / sizeof table[0], argc, argv, words, &n_words,
                               &error);
    if (status == RAG_OK)
        status = ragctl_args_verb(verbs, 1, "tune", words, n_words, &verb, &error);
    if (status == RAG_OK && n_words > 1)
        status = rag_fail(&error, RAG_EINVAL, "tune %s: '%s' is too much", verb, words[1]);
    free(words);
    if (status != RAG_OK)
        return ragctl_usage("tune", &error);
    return tune_fusion(options, &args);
}
