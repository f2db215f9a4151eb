/* ragd's encoder, asked line by line like its peers (peer_ort.mjs, peer_llama.mjs).
 *
 *     bench_encoder MODEL_DIR WORKLOADS THREADS
 *
 *     run PRECISION MODE WORKLOAD       one pass over the workload's texts, pooled and normalised
 *                                       or classified; the first is preceded by an unmeasured one.
 *                                       {"wall_s","cpu_s","tokens"}
 *     vectors PRECISION MODE WORKLOAD   what comes out, in the order of the texts
 *     info PRECISION                    {"kernels","n_fp32_layers"}
 *
 * PRECISION: int8, fp32. MODE: packedN, texts sorted by length and at most N tokens to a call, as
 * embed/bi_encoder.c and retrieve/cross_encoder.c do it. Ids are given: no tokenizer runs here nor
 * in the peers. Replies are one JSON object a line. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "embed/pooling.h"
#include "nn/encoder.h"

#define LINE_BYTES      256
#define WORKLOADS_BYTES (64u << 20)

struct workload {
    struct encoder_input *inputs; /* [n], owned, longest first */
    size_t *place;                /* [n], owned: where input i is in the file */
    size_t n;
    size_t n_tokens;
};

struct engine {
    const char *dir;
    struct compute_pool *pool;
    struct encoder *encoder; /* of the precision last asked for */
    char precision[8];
    struct encoder_info info;
    struct json *workloads;
};

static void fail(const char *message)
{
    printf("{\"error\":\"%s\"}\n", message);
    fflush(stdout);
}

static double cpu_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static enum rag_status read_file(const char *path, struct buf *ret)
{
    FILE *file = fopen(path, "rb");
    char block[65536];
    size_t n;

    if (!file)
        return RAG_EIO;
    while ((n = fread(block, 1, sizeof block, file)) > 0)
        buf_append(ret, block, n);
    fclose(file);
    return buf_status(ret);
}

/* ---- texts ---- */

static void workload_release(struct workload *w)
{
    for (size_t i = 0; w->inputs && i < w->n; i++) {
        free((void *)w->inputs[i].ids);
        free((void *)w->inputs[i].types);
    }
    free(w->inputs);
    free(w->place);
}

static enum rag_status read_text(const struct json *text, bool typed, struct encoder_input *ret)
{
    const struct json *ids = json_member(text, "ids");
    const struct json *types = json_member(text, "types");
    size_t n = json_size(ids);
    uint32_t *id = malloc(n * sizeof *id + 1);
    uint8_t *type = typed ? malloc(n + 1) : NULL;
    size_t i = 0;

    ret->ids = id;
    ret->types = type;
    ret->n_tokens = n;
    if (!id || (typed && !type) || n == 0 || json_size(types) != n)
        return RAG_EFORMAT;
    for (const struct json *x = json_first(ids); x; x = json_next(x))
        id[i++] = (uint32_t)json_number(x);
    i = 0;
    for (const struct json *x = json_first(types); typed && x; x = json_next(x))
        type[i++] = (uint8_t)json_number(x);
    return RAG_OK;
}

static int longest_first(const void *a, const void *b, void *inputs)
{
    const struct encoder_input *all = inputs;
    size_t x = all[*(const size_t *)a].n_tokens;
    size_t y = all[*(const size_t *)b].n_tokens;

    if (x != y)
        return x > y ? -1 : 1;
    return *(const size_t *)a < *(const size_t *)b ? -1 : 1;
}

static enum rag_status workload_read(const struct engine *e, const char *name, struct workload *ret)
{
    const struct json *texts = json_member(e->workloads, name);
    struct encoder_input *inputs;
    size_t i = 0;

    *ret = (struct workload){.n = json_size(texts)};
    if (ret->n == 0)
        return RAG_ENOTFOUND;
    inputs = calloc(ret->n, sizeof *inputs);
    ret->inputs = calloc(ret->n, sizeof *ret->inputs);
    ret->place = calloc(ret->n, sizeof *ret->place);
    if (!inputs || !ret->inputs || !ret->place) {
        free(inputs);
        return RAG_ENOMEM;
    }
    for (const struct json *text = json_first(texts); text; text = json_next(text), i++) {
        ret->place[i] = i;
        if (read_text(text, e->info.n_types > 1, &inputs[i]) != RAG_OK) {
            free(inputs);
            return RAG_EFORMAT;
        }
        ret->n_tokens += inputs[i].n_tokens;
    }
    qsort_r(ret->place, ret->n, sizeof *ret->place, longest_first, inputs);
    for (i = 0; i < ret->n; i++)
        ret->inputs[i] = inputs[ret->place[i]];
    free(inputs);
    return RAG_OK;
}

/* ---- passes ---- */

static size_t result_width(const struct engine *e)
{
    return e->info.n_labels > 0 ? e->info.n_labels : e->info.hidden;
}

/* One call of n inputs; states is room for their tokens, ret [n, result_width]. */
static enum rag_status compute(const struct engine *e, const struct encoder_input *inputs, size_t n,
                               float *states, float *ret, struct rag_error *error)
{
    size_t hidden = e->info.hidden;
    enum rag_status status;

    if (e->info.n_labels > 0)
        return encoder_classify(e->encoder, inputs, n, NULL, ret, error);
    status = encoder_run(e->encoder, inputs, n, ENCODER_ALL_TOKENS, NULL, states, error);
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        pooling_apply(POOLING_MEAN, states, inputs[i].n_tokens, hidden, ret + i * hidden);
        status = pooling_normalise(ret + i * hidden, hidden);
        states += inputs[i].n_tokens * hidden;
    }
    return status;
}

static enum rag_status pass(const struct engine *e, const struct workload *w, size_t batch_tokens,
                            float *states, float *ret, struct rag_error *error)
{
    for (size_t begin = 0, end; begin < w->n; begin = end) {
        size_t n_tokens = w->inputs[begin].n_tokens;
        enum rag_status status;

        for (end = begin + 1; end < w->n && n_tokens + w->inputs[end].n_tokens <= batch_tokens;
             end++)
            n_tokens += w->inputs[end].n_tokens;
        status = compute(e, w->inputs + begin, end - begin, states, ret + begin * result_width(e),
                         error);
        if (status != RAG_OK)
            return status;
    }
    return RAG_OK;
}

static void print_vectors(const struct engine *e, const struct workload *w, const float *result)
{
    size_t width = result_width(e);

    printf("{\"vectors\":[");
    for (size_t i = 0; i < w->n; i++) {
        size_t at = 0;

        while (w->place[at] != i)
            at++;
        for (size_t j = 0; j < width; j++)
            printf("%s%.7g", j > 0 ? "," : i > 0 ? ",[" : "[", (double)result[at * width + j]);
        printf("]");
    }
    printf("]}\n");
}

static void measure(const struct engine *e, const struct workload *w, const char *verb,
                    size_t batch_tokens)
{
    size_t longest = w->inputs[0].n_tokens;
    size_t room = batch_tokens > longest ? batch_tokens : longest;
    float *states = malloc(room * e->info.hidden * sizeof *states);
    float *result = malloc(w->n * result_width(e) * sizeof *result);
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status = states && result ? RAG_OK : RAG_ENOMEM;
    double cpu;
    int64_t begun;

    if (status == RAG_OK)
        status = pass(e, w, batch_tokens, states, result, &error);
    if (status != RAG_OK) {
        fail(error.text);
    } else if (strcmp(verb, "vectors") == 0) {
        print_vectors(e, w, result);
    } else {
        cpu = cpu_seconds();
        begun = clock_monotonic_ns();
        pass(e, w, batch_tokens, states, result, NULL);
        printf("{\"wall_s\":%.6f,\"cpu_s\":%.6f,\"tokens\":%zu}\n", clock_elapsed_ms(begun) / 1e3,
               cpu_seconds() - cpu, w->n_tokens);
    }
    fflush(stdout);
    free(states);
    free(result);
}

static enum rag_status use_precision(struct engine *e, const char *precision)
{
    struct encoder_options options = {PRECISION_INT8, e->pool};
    struct rag_error error = {RAG_OK, ""};
    enum rag_status status;

    if (strcmp(precision, e->precision) == 0)
        return RAG_OK;
    if (strcmp(precision, "fp32") == 0)
        options.precision = PRECISION_FP32;
    encoder_close(e->encoder);
    e->encoder = NULL;
    status = encoder_open(e->dir, &options, &e->encoder, &error);
    if (status != RAG_OK) {
        fail(error.text);
        return status;
    }
    snprintf(e->precision, sizeof e->precision, "%s", precision);
    encoder_info(e->encoder, &e->info);
    return RAG_OK;
}

static void answer(struct engine *e, char *line)
{
    char *rest = NULL;
    const char *verb = strtok_r(line, " \n", &rest);
    const char *precision = strtok_r(NULL, " \n", &rest);
    const char *mode = strtok_r(NULL, " \n", &rest);
    const char *name = strtok_r(NULL, " \n", &rest);
    struct workload w;

    if (!verb || !precision || use_precision(e, precision) != RAG_OK)
        return;
    if (strcmp(verb, "info") == 0) {
        printf("{\"kernels\":\"%s\",\"n_fp32_layers\":%zu}\n", e->info.kernels,
               e->info.n_fp32_layers);
        fflush(stdout);
        return;
    }
    if (!mode || !name || strncmp(mode, "packed", 6) != 0) {
        fail("expected: run PRECISION packedN WORKLOAD");
        return;
    }
    if (workload_read(e, name, &w) == RAG_OK)
        measure(e, &w, verb, strtoul(mode + 6, NULL, 10));
    else
        fail("no such workload, or not as encoder_texts.py writes it");
    workload_release(&w);
}

int main(int argc, char **argv)
{
    struct engine e = {.dir = argc > 1 ? argv[1] : NULL};
    struct rag_error error = {RAG_OK, ""};
    struct buf text;
    char line[LINE_BYTES];

    if (argc != 4) {
        fprintf(stderr, "usage: bench_encoder MODEL_DIR WORKLOADS THREADS\n");
        return 2;
    }
    buf_init(&text, WORKLOADS_BYTES);
    if (read_file(argv[2], &text) != RAG_OK ||
        json_parse(buf_str(&text), text.len, argv[2], &e.workloads, &error) != RAG_OK ||
        compute_pool_open(strtoul(argv[3], NULL, 10), &e.pool, &error) != RAG_OK) {
        fprintf(stderr, "bench_encoder: %s: %s\n", argv[2], error.text);
        return 1;
    }
    buf_release(&text);
    while (fgets(line, sizeof line, stdin))
        answer(&e, line);
    encoder_close(e.encoder);
    compute_pool_close(e.pool);
    json_free(e.workloads);
    return 0;
}
