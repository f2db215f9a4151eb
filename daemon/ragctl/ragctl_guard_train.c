#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/bounds.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_guard.h"
#include "daemon/ragctl/ragctl_model.h"
#include "embed/bi_encoder.h"
#include "eval/input.h"
#include "guard/classifier.h"
#include "nn/compute_pool.h"
#include "text/nfc.h"

#define SEED_DEFAULT     42
#define OUTPUT_BYTES_MAX 65536

struct train_args {
    const char *file; /* "{text, label}" a line */
    const char *out;
    const char *embedder; /* a model's directory, or NULL */
    int64_t seed;
    int64_t threads; /* 0: the cores */
};

struct training_set {
    struct arena arena; /* texts */
    struct classifier_example *examples;
    size_t n, cap;
    size_t n_positive;
    float *vectors;
    struct bi_encoder_info info; /* of the embedder */
};

/* "label": true or "deny" is what the classifier is to find, false or "allow" is not. */
static bool read_label(const struct json *label, bool *ret)
{
    const char *text = json_string(label);

    if (json_is_bool(label))
        *ret = json_true(label);
    else if (text && (strcmp(text, "deny") == 0 || strcmp(text, "allow") == 0))
        *ret = strcmp(text, "deny") == 0;
    else
        return false;
    return true;
}

static enum rag_status add_example(struct training_set *set, const char *text, bool positive,
                                   struct rag_error *reterr)
{
    enum rag_status status;
    struct buf nfc;

    if (set->n == set->cap) {
        size_t cap = set->cap ? 2 * set->cap : 1024;
        struct classifier_example *grown = realloc(set->examples, cap * sizeof *grown);

        if (!grown)
            return rag_fail(reterr, RAG_ENOMEM, "guard train: out of memory");
        set->examples = grown;
        set->cap = cap;
    }
    buf_init(&nfc, EVAL_TEXT_BYTES_MAX);
    status = nfc_append(text, strlen(text), &nfc, reterr);
    if (status == RAG_OK) {
        text = arena_strndup(&set->arena, buf_str(&nfc), nfc.len);
        status = text ? RAG_OK : rag_fail(reterr, RAG_ENOMEM, "guard train: out of memory");
    }
    buf_release(&nfc);
    if (status == RAG_OK)
        set->examples[set->n++] = (struct classifier_example){.text = text, .positive = positive};
    return status;
}

static enum rag_status read_line(struct training_set *set, const struct input *in,
                                 const struct buf *line, struct rag_error *reterr)
{
    struct json *root = NULL;
    struct rag_error error = {0};
    const char *text = NULL;
    bool positive = false;
    enum rag_status status;

    if (strspn(buf_str(line), " \t") == line->len)
        return RAG_OK;
    status = json_parse(buf_str(line), line->len, "line", &root, &error);
    if (status == RAG_OK)
        text = json_string(json_member(root, "text"));
    if (status == RAG_OK && (!text || !read_label(json_member(root, "label"), &positive)))
        status = rag_fail(&error, RAG_EFORMAT,
                          "needs \"text\" and \"label\": true, false, \"deny\" or \"allow\"");
    if (status == RAG_OK && set->n == CLASSIFIER_EXAMPLES_MAX)
        status = rag_fail(&error, RAG_ELIMIT, "more than %u examples", CLASSIFIER_EXAMPLES_MAX);
    if (status == RAG_OK)
        status = add_example(set, text, positive, &error);
    if (status != RAG_OK)
        rag_fail(reterr, status, "file '%.200s', line %zu: %.250s", input_name(in),
                 input_line_number(in), error.text);
    else
        set->n_positive += positive;
    json_free(root);
    return status;
}

static enum rag_status read_set(const char *path, struct training_set *set,
                                struct rag_error *reterr)
{
    struct input *in = NULL;
    enum rag_status status = input_open(path, &in, reterr);
    bool end = false;
    struct buf line;

    buf_init(&line, EVAL_LINE_BYTES_MAX);
    while (status == RAG_OK && !end) {
        status = input_line(in, &line, &end, reterr);
        if (status == RAG_OK && !end)
            status = read_line(set, in, &line, reterr);
    }
    buf_release(&line);
    input_close(in);
    return status;
}

/* A vector for each text, as for a question: the guard asks the embedder in the same way. */
static enum rag_status embed_set(const struct train_args *args, struct training_set *set,
                                 struct rag_error *reterr)
{
    struct bi_encoder_options options = {.precision = PRECISION_FP32};
    struct embed_text *texts = calloc(set->n + 1, sizeof *texts);
    struct compute_pool *pool = NULL;
    struct bi_encoder *encoder = NULL;
    enum rag_status status;

    status = texts ? compute_pool_open((size_t)args->threads, &pool, reterr)
                   : rag_fail(reterr, RAG_ENOMEM, "guard train: out of memory");
    options.pool = pool;
    if (status == RAG_OK)
        status = bi_encoder_open(args->embedder, &options, &encoder, reterr);
    if (status == RAG_OK) {
        bi_encoder_info(encoder, &set->info);
        set->vectors = calloc(set->n + 1, set->info.dim * sizeof *set->vectors);
        if (!set->vectors)
            status =
                rag_fail(reterr, RAG_ENOMEM, "guard train: out of memory for %zu vectors", set->n);
    }
    for (size_t i = 0; status == RAG_OK && i < set->n; i++) {
        texts[i] = (struct embed_text){set->examples[i].text, strlen(set->examples[i].text)};
        set->examples[i].vector = set->vectors + i * set->info.dim;
    }
    if (status == RAG_OK)
        status =
            bi_encoder_embed(encoder, texts, set->n, EMBED_QUERY, NULL, set->vectors, NULL, reterr);
    bi_encoder_close(encoder);
    compute_pool_close(pool);
    free(texts);
    return status;
}

static void print_report(const struct ragctl_options *options, const struct train_args *args,
                         const struct training_set *set, const struct classifier_report *r)
{
    struct json_writer w;
    struct buf out;

    if (!options->json) {
        printf("%s: %zu examples (%zu deny, %zu allow), over %s, trained in %.0f ms\n"
               "of the %zu held out: precision %.4f, recall %.4f, F1 %.4f, AUC %.4f\n",
               args->out, r->n_train, set->n_positive, set->n - set->n_positive,
               set->vectors ? set->info.name : "n-grams", r->train_ms, r->n_held, r->held_precision,
               r->held_recall, r->held_f1, r->held_auc);
        return;
    }
    buf_init(&out, OUTPUT_BYTES_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "file", args->out);
    json_put_int(&w, "examples", (int64_t)r->n_train);
    json_put_int(&w, "deny", (int64_t)set->n_positive);
    json_put_int(&w, "allow", (int64_t)(set->n - set->n_positive));
    json_put_string(&w, "embedder", set->vectors ? set->info.fingerprint : NULL);
    json_put_int(&w, "dim", set->vectors ? (int64_t)set->info.dim : 0);
    json_put_int(&w, "held_out", (int64_t)r->n_held);
    json_put_double(&w, "precision", r->held_precision);
    json_put_double(&w, "recall", r->held_recall);
    json_put_double(&w, "f1", r->held_f1);
    json_put_double(&w, "auc", r->held_auc);
    json_put_double(&w, "train_ms", r->train_ms);
    json_end_object(&w);
    printf("%s\n", buf_str(&out));
    buf_release(&out);
}

static enum rag_status train(const struct ragctl_options *options, const struct train_args *args,
                             struct rag_error *reterr)
{
    struct classifier_training training = {.seed = (uint64_t)args->seed};
    struct classifier_report report;
    struct training_set set = {0};
    enum rag_status status;

    arena_init(&set.arena, EVAL_TEXT_BYTES_MAX);
    status = read_set(args->file, &set, reterr);
    if (status == RAG_OK && args->embedder) {
        status = embed_set(args, &set, reterr);
        training.dim = set.info.dim;
        training.embedder = set.info.fingerprint;
    }
    if (status == RAG_OK)
        status = classifier_train(set.examples, set.n, &training, args->out, &report, reterr);
    if (status == RAG_OK)
        print_report(options, args, &set, &report);
    free(set.examples);
    free(set.vectors);
    arena_release(&set.arena);
    return status;
}

int ragctl_guard_train(const struct ragctl_options *options, int argc, char **argv)
{
    struct train_args args = {.seed = SEED_DEFAULT};
    const struct ragctl_arg table[] = {
        {.name = "--out",             .text = &args.out},
        {                   .name = "--embedder",     .text = &args.embedder                 },
        {    .name = "--seed",           .number = &args.seed,                            .max = INT64_MAX},
        { .name = "--threads", .number = &args.threads,                  .max = COMPUTE_THREADS_MAX},
    };
    char **words = calloc((size_t)argc + 1, sizeof *words);
    struct rag_error error = {RAG_ENOMEM, "guard train: out of memory"};
    char *embedder = NULL;
    enum rag_status status;
    int n_words = 0;

    if (!words)
        return ragctl_fail(options, &error);
    status = ragctl_args_parse(table, sizeof table / sizeof table[0], argc, argv, words, &n_words,
                               &error);
    if (status == RAG_OK && (n_words != 1 || !args.out))
        status = rag_fail(&error, RAG_EINVAL, "guard train: needs one FILE and --out FILE");
    if (n_words > 0)
        args.file = words[0];
    free(words);
    if (status != RAG_OK)
        return ragctl_usage("guard", &error);
    status = ragctl_model_path(args.embedder, MODEL_EMBEDDER, &embedder, &error);
    if (status == RAG_OK) {
        args.embedder = *embedder ? embedder : NULL;
        status = train(options, &args, &error);
    }
    free(embedder);
    return status == RAG_OK ? RAGCTL_OK : ragctl_fail(options, &error);
}
