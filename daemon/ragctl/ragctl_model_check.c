#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json_writer.h"
#include "daemon/ragctl/model_sentences.h"
#include "daemon/ragctl/ragctl_args.h"
#include "daemon/ragctl/ragctl_model_decoder.h"
#include "daemon/ragctl/ragctl_model_run.h"
#include "daemon/ragctl/ragctl_print.h"
#include "embed/bi_encoder.h"
#include "retrieve/cross_encoder.h"

/* int8 against fp32 on 64 sentences: each linear layer by itself, and the result of all.
 *
 *   layer      cosine of its int8 output with its fp32 output, the lowest over all tokens; the
 *              encoder keeps a layer below .99 in fp32 (nn/encoder.h)
 *   embedder   cosine of the embeddings: good when >= .99 for every sentence and >= .995 on average
 *   reranker   rms difference of the logits, as a share of their standard deviation: good when
 *              <= .1, where the order of passages hardly changes */

#define COSINE_MIN       0.99
#define COSINE_MEAN_MIN  0.995
#define LOGIT_SHARE_MAX  0.1
#define OUTPUT_BYTES_MAX (16u << 20)
#define MANY_TOKENS      256 /* sentences are shorter, pairs too */

struct check {
    const struct ragctl_options *options;
    char *dir; /* owned */
    struct compute_pool *pool;
    bool reranker;
    struct encoder_info int8;   /* its texts live as long as the encoder: until printing is done */
    struct layer_check *layers; /* owned by malloc */
    size_t n_layers;
    char fingerprint[EMBEDDER_FINGERPRINT_BYTES];
    double worst; /* lowest cosine; largest difference of logits */
    double mean;  /* mean cosine; rms difference over the deviation */
    size_t dim;
    bool good;
};

/* ---- inputs of the layers ---- */

static enum rag_status check_layers(struct check *c, const struct encoder *e,
                                    const struct tokenizer *t, struct rag_error *reterr)
{
    struct tokenize_options options = {.special = true};
    struct token_list lists[MODEL_SENTENCES] = {0};
    struct encoder_input inputs[MODEL_SENTENCES];
    enum rag_status status = RAG_OK;
    struct encoder_info info;

    encoder_info(e, &info);
    options.max_tokens = info.max_tokens < MANY_TOKENS ? info.max_tokens : MANY_TOKENS;
    for (size_t i = 0; i < MODEL_SENTENCES && status == RAG_OK; i++) {
        const char *text = model_sentences[i];
        const char *pair = c->reranker ? model_sentences[(i + 1) % MODEL_SENTENCES] : NULL;

        status = tokenizer_encode(t, text, strlen(text), pair, pair ? strlen(pair) : 0, &options,
                                  &lists[i], reterr);
        inputs[i] = (struct encoder_input){lists[i].ids, info.n_types > 1 ? lists[i].types : NULL,
                                           lists[i].n};
    }
    if (status == RAG_OK)
        status = encoder_check(e, inputs, MODEL_SENTENCES, &c->layers, &c->n_layers, reterr);
    for (size_t i = 0; i < MODEL_SENTENCES; i++)
        token_list_release(&lists[i]);
    return status;
}

/* ---- embedders ---- */

static enum rag_status embed_all(const struct bi_encoder *b, float *ret, struct rag_error *reterr)
{
    struct embed_text texts[MODEL_SENTENCES];

    for (size_t i = 0; i < MODEL_SENTENCES; i++)
        texts[i] = (struct embed_text){model_sentences[i], strlen(model_sentences[i])};
    return bi_encoder_embed(b, texts, MODEL_SENTENCES, EMBED_PLAIN, NULL, ret, NULL, reterr);
}

static void compare_embeddings(struct check *c, const float *a, const float *b)
{
    c->worst = 1.0;
    c->mean = 0.0;
    for (size_t i = 0; i < MODEL_SENTENCES; i++) {
        double dot = 0.0;

        for (size_t d = 0; d < c->dim; d++)
            dot += (double)a[i * c->dim + d] * (double)b[i * c->dim + d];
        c->worst = fmin(c->worst, dot);
        c->mean += dot / MODEL_SENTENCES;
    }
    c->good = c->worst >= COSINE_MIN && c->mean >= COSINE_MEAN_MIN;
}

static enum rag_status check_embedder(struct check *c, struct bi_encoder *int8,
                                      struct rag_error *reterr)
{
    const struct bi_encoder_options options = {.precision = PRECISION_FP32, .pool = c->pool};
    struct bi_encoder *fp32 = NULL;
    struct bi_encoder_info info;
    float *vectors = NULL;
    enum rag_status status;

    bi_encoder_info(int8, &info);
    memcpy(c->fingerprint, info.fingerprint, sizeof c->fingerprint);
    c->dim = info.dim;
    c->int8 = info.encoder;
    vectors = calloc(2 * (size_t)MODEL_SENTENCES, c->dim * sizeof *vectors);
    status = vectors ? bi_encoder_open(c->dir, &options, &fp32, reterr)
                     : rag_fail(reterr, RAG_ENOMEM, "model check: out of memory");
    if (status == RAG_OK)
        status = embed_all(fp32, vectors, reterr);
    if (status == RAG_OK)
        status = embed_all(int8, vectors + MODEL_SENTENCES * c->dim, reterr);
    if (status == RAG_OK)
        compare_embeddings(c, vectors, vectors + MODEL_SENTENCES * c->dim);
    if (status == RAG_OK)
        status = check_layers(c, bi_encoder_encoder(int8), bi_encoder_tokenizer(int8), reterr);
    bi_encoder_close(fp32);
    free(vectors);
    return status;
}

/* ---- rerankers ---- */

static enum rag_status score_all(const struct cross_encoder *x, float *ret,
                                 struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < MODEL_SENTENCES && status == RAG_OK; i++) {
        const char *passage = model_sentences[(i + 1) % MODEL_SENTENCES];
        struct pair_text query = {model_sentences[i], strlen(model_sentences[i])};
        struct pair_text pair = {passage, strlen(passage)};
        size_t n_scored;

        status = cross_encoder_score(x, query, &pair, 1, true, 0, NULL, &ret[i], &n_scored, reterr);
    }
    return status;
}

static void compare_logits(struct check *c, const float *fp32, const float *int8)
{
    double squares = 0.0;
    double mean = 0.0;
    double variance = 0.0;

    c->worst = 0.0;
    for (size_t i = 0; i < MODEL_SENTENCES; i++) {
        double difference = fabs((double)fp32[i] - (double)int8[i]);

        c->worst = fmax(c->worst, difference);
        squares += difference * difference / MODEL_SENTENCES;
        mean += (double)fp32[i] / MODEL_SENTENCES;
    }
    for (size_t i = 0; i < MODEL_SENTENCES; i++)
        variance += ((double)fp32[i] - mean) * ((double)fp32[i] - mean) / MODEL_SENTENCES;
    c->mean = variance > 0.0 ? sqrt(squares / variance) : 0.0;
    c->good = c->mean <= LOGIT_SHARE_MAX;
}

static enum rag_status check_reranker(struct check *c, struct cross_encoder *int8,
                                      struct rag_error *reterr)
{
    const struct cross_encoder_options options = {.precision = PRECISION_FP32, .pool = c->pool};
    struct cross_encoder *fp32 = NULL;
    struct cross_encoder_info info;
    float logits[2][MODEL_SENTENCES];
    enum rag_status status;

    cross_encoder_info(int8, &info);
    memcpy(c->fingerprint, info.fingerprint, sizeof c->fingerprint);
    c->int8 = info.encoder;
    status = cross_encoder_open(c->dir, &options, &fp32, reterr);
    if (status == RAG_OK)
        status = score_all(fp32, logits[0], reterr);
    if (status == RAG_OK)
        status = score_all(int8, logits[1], reterr);
    if (status == RAG_OK)
        compare_logits(c, logits[0], logits[1]);
    if (status == RAG_OK)
        status =
            check_layers(c, cross_encoder_encoder(int8), cross_encoder_tokenizer(int8), reterr);
    cross_encoder_close(fp32);
    return status;
}

/* ---- output ---- */

static void put_json(const struct check *c, struct buf *out)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_begin_object(&w, NULL);
    json_put_string(&w, "dir", c->dir);
    json_put_string(&w, "kind", c->reranker ? "reranker" : "embedder");
    json_put_string(&w, "family", c->int8.family);
    json_put_int(&w, "parameters", (int64_t)c->int8.n_parameters);
    json_put_int(&w, "layers_count", (int64_t)c->int8.n_layers);
    json_put_int(&w, "hidden", (int64_t)c->int8.hidden);
    json_put_string(&w, "kernels", c->int8.kernels);
    json_put_string(&w, "fingerprint", c->fingerprint);
    json_put_int(&w, "fp32_layers", (int64_t)c->int8.n_fp32_layers);
    if (c->reranker) {
        json_put_double(&w, "logit_difference_max", c->worst);
        json_put_double(&w, "logit_difference_share", c->mean);
    } else {
        json_put_double(&w, "cosine_min", c->worst);
        json_put_double(&w, "cosine_mean", c->mean);
    }
    json_put_bool(&w, "int8_good", c->good);
    json_begin_array(&w, "layers");
    for (size_t i = 0; i < c->n_layers; i++) {
        json_begin_object(&w, NULL);
        json_put_string(&w, "name", c->layers[i].name);
        json_put_double(&w, "cosine_min", c->layers[i].cosine_min);
        json_put_bool(&w, "fp32", c->layers[i].fp32);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
    buf_append_char(out, '\n');
}

static void put_text(const struct check *c, struct buf *out)
{
    struct print_table table;

    buf_printf(out, "%s: %s, %s, %zu layers of %zu, %.1f million parameters, %s\n", c->dir,
               c->reranker ? "reranker" : "embedder", c->int8.family, c->int8.n_layers,
               c->int8.hidden, (double)c->int8.n_parameters / 1e6, c->int8.kernels);
    buf_printf(out, "fingerprint %s\n\n", c->fingerprint);
    print_table_init(&table, "lrl");
    print_table_cell(&table, "LAYER");
    print_table_cell(&table, "COSINE");
    print_table_cell(&table, "%s", "");
    for (size_t i = 0; i < c->n_layers; i++) {
        print_table_cell(&table, "%s", c->layers[i].name);
        if (isnan(c->layers[i].cosine_min)) /* of a packed file, which does not say */
            print_table_cell(&table, "-");
        else
            print_table_cell(&table, "%.5f", c->layers[i].cosine_min);
        print_table_cell(&table, "%s", c->layers[i].fp32 ? "stays fp32" : "int8");
    }
    print_table_append(&table, out);
    print_table_release(&table);
    if (c->reranker)
        buf_printf(out,
                   "\nlogits, int8 against fp32: largest difference %.4f, rms %.3f of their "
                   "standard deviation (good up to %.1f)\n",
                   c->worst, c->mean, LOGIT_SHARE_MAX);
    else
        buf_printf(out,
                   "\nembeddings, int8 against fp32: cosine %.5f at least, %.5f on average (good "
                   "from %.2f and %.3f)\n",
                   c->worst, c->mean, COSINE_MIN, COSINE_MEAN_MIN);
    buf_printf(out, "%zu of %zu linear layers stay in fp32\n", c->int8.n_fp32_layers, c->n_layers);
    buf_append_str(out, c->good
                            ? "verdict: int8 is good for this model\n"
                            : "verdict: int8 changes this model's results; set precision = fp32 "
                              "in [models] of ragd.conf\n");
}

static enum rag_status print_check(const struct check *c, struct rag_error *reterr)
{
    enum rag_status status;
    struct buf out;

    buf_init(&out, OUTPUT_BYTES_MAX);
    if (c->options->json)
        put_json(c, &out);
    else
        put_text(c, &out);
    status = buf_status(&out);
    if (status == RAG_OK)
        fputs(buf_str(&out), stdout);
    else
        rag_fail(reterr, status, "model check: out of memory");
    buf_release(&out);
    return status;
}

/* ---- the command ---- */

static enum rag_status check_model(struct check *c, struct rag_error *reterr)
{
    const struct bi_encoder_options embedder = {.precision = PRECISION_INT8, .pool = c->pool};
    const struct cross_encoder_options reranker = {.precision = PRECISION_INT8, .pool = c->pool};
    struct cross_encoder *x = NULL;
    struct bi_encoder *b = NULL;
    struct bi_encoder_info info;
    enum rag_status status = bi_encoder_open(c->dir, &embedder, &b, reterr);

    if (status != RAG_OK)
        return status;
    bi_encoder_info(b, &info);
    c->reranker = info.encoder.n_labels > 0;
    if (c->reranker) { /* a head: it was trained to judge pairs */
        bi_encoder_close(b);
        b = NULL;
        status = cross_encoder_open(c->dir, &reranker, &x, reterr);
        if (status == RAG_OK)
            status = check_reranker(c, x, reterr);
    } else {
        status = check_embedder(c, b, reterr);
    }
    if (status == RAG_OK)
        status = print_check(c, reterr); /* while the encoder, which owns the names, lives */
    bi_encoder_close(b);
    cross_encoder_close(x);
    return status;
}

int ragctl_model_check(const struct ragctl_options *options, int argc, char **argv)
{
    struct check c = {.options = options};
    int64_t n_threads = 0;
    const struct ragctl_arg table[] = {
        {.name = "--threads", .number = &n_threads, .min = 1, .max = COMPUTE_THREADS_MAX},
    };
    char **words = calloc((size_t)argc + 1, sizeof *words);
    struct rag_error error = {0};
    enum rag_status status;
    bool usage = true;
    int n_words = 0;
    int code;

    status = words ? ragctl_args_parse(table, sizeof table / sizeof table[0], argc, argv, words,
                                       &n_words, &error)
                   : rag_fail(&error, RAG_ENOMEM, "model check: out of memory");
    if (status == RAG_OK && n_words != 1)
        status = rag_fail(&error, RAG_EINVAL,
                          "model check: needs one model: a directory or a GGUF file");
    if (status == RAG_OK) {
        usage = false;
        status = ragctl_model_need("check", words[0], &c.dir, &error);
    }
    if (status == RAG_OK)
        status = compute_pool_open((size_t)n_threads, &c.pool, &error);
    if (status == RAG_OK && decoder_config_is_decoder(c.dir)) {
        code = ragctl_model_check_decoder(options, c.dir, c.pool);
    } else {
        if (status == RAG_OK)
            status = check_model(&c, &error);
        code = status == RAG_OK ? RAGCTL_OK
               : usage          ? ragctl_usage("model", &error)
                                : ragctl_fail(options, &error);
    }
    compute_pool_close(c.pool);
    free(c.layers);
    free(c.dir);
    free(words);
    return code;
}
