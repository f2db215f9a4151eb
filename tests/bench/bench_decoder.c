/* ragd's decoder, asked line by line like its peer (peer_llama_decoder.mjs).
 *
 *     bench_decoder MODEL THREADS KV_TOKENS [CHUNK_TOKENS]
 *
 *     prefill N            from nothing to the first token that follows N tokens
 *     decode DEPTH N       N tokens, each the likeliest after those before, behind DEPTH tokens
 *                          (which stay from one such line to the next)
 *     batch STREAMS N      N tokens of each of STREAMS sequences, all in one run
 *     ttft                 a prompt of 1,536 tokens to its first token: cold, then another one with
 *                          the same beginning (640 tokens: instruction and two passages)
 *     top N                the likeliest 50 tokens after N tokens, and ln p of each
 *     bandwidth            {"bytes_per_s"}: reading 512 MB on all threads, best of 20
 *     info                 {"kernels","weights_bytes","file_bytes",...}
 *
 * Each answers {"wall_s","cpu_s","tokens"} and what memory it has by then. Prompts longer than
 * CHUNK_TOKENS (512) are computed in such chunks. No tokenizer and no scheduler runs here: ids are
 * made up, the same as the peer's, and no page of keys is known from before unless a line says so.
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "nn/decoder.h"

#define LINE_BYTES      256
#define STREAMS_MAX     16
#define TOP             50
#define FIRST_ID        300u /* behind special tokens and bytes */
#define RAG_PROMPT      1536
#define RAG_KNOWN       640 /* an instruction of 128, two passages of 256 */
#define SHORT_PROMPT    16
#define READ_ITEMS      256
#define READ_ITEM_WORDS (1u << 18)

struct bench {
    struct compute_pool *pool;
    struct model_tensors *tensors;
    struct decoder *decoder;
    struct decoder_info info;
    struct kv_cache *cache;
    size_t kv_tokens;
    size_t chunk;
    uint32_t *ids;            /* [kv_tokens], owned: a prompt */
    float *logits;            /* [STREAMS_MAX][vocab_size], owned */
    struct kv_sequence *deep; /* of 'decode' */
    size_t depth;             /* tokens of its prompt */
    size_t salt;              /* makes prompts that were never seen */
    struct rag_error error;
};

struct stopwatch {
    int64_t begun;
    double cpu;
};

static double cpu_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static struct stopwatch start(void)
{
    return (struct stopwatch){clock_monotonic_ns(), cpu_seconds()};
}

/* "VmRSS:" or "VmHWM:" of this process, in bytes. */
static uint64_t memory(const char *what)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[LINE_BYTES];
    uint64_t ret = 0;

    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, what, strlen(what)) == 0)
            ret = 1024 * strtoull(line + strlen(what), NULL, 10);
    if (file)
        fclose(file);
    return ret;
}

static void print_sample(const struct bench *b, struct stopwatch w, size_t n_tokens)
{
    double cpu = cpu_seconds() - w.cpu;
    struct kv_cache_stats kv;

    kv_cache_stats(b->cache, &kv);
    printf("{\"wall_s\":%.6f,\"cpu_s\":%.6f,\"tokens\":%zu,\"rss_bytes\":%llu,"
           "\"kv_held_bytes\":%llu}\n",
           clock_elapsed_ms(w.begun) / 1e3, cpu, n_tokens, (unsigned long long)memory("VmRSS:"),
           (unsigned long long)kv.held_bytes);
}

/* ---- tokens ---- */

static uint32_t made_up_id(const struct bench *b, size_t i, size_t stream)
{
    return FIRST_ID +
           (uint32_t)((i * 7919 + stream * 104729 + 12345) % (b->info.vocab_size - FIRST_ID));
}

static void make_ids(const struct bench *b, size_t first, size_t n, size_t stream)
{
    for (size_t i = first; i < first + n; i++)
        b->ids[i] = made_up_id(b, i, stream);
}

static uint32_t likeliest(const float *logits, size_t n)
{
    size_t ret = 0;

    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[ret])
            ret = i;
    return (uint32_t)ret;
}

static enum rag_status run(struct bench *b, const struct decoder_input *inputs, size_t n)
{
    const struct decoder_run_options options = {NULL, NULL, NULL};

    return decoder_run(b->decoder, inputs, n, &options, &b->error);
}

/* ids[0..n-1] behind what the sequence holds, in chunks; the logits of the last one. */
static enum rag_status prompt(struct bench *b, struct kv_sequence *s, const uint32_t *ids, size_t n)
{
    enum rag_status status = RAG_OK;

    for (size_t at = 0, here; at < n && status == RAG_OK; at += here) {
        here = n - at < b->chunk ? n - at : b->chunk;
        const struct decoder_input input = {s, ids + at, here, at + here == n ? 1 : 0, b->logits};
        status = run(b, &input, 1);
    }
    return status;
}

/* n tokens of each sequence, one of each in a run; the first ones come after ids[i]. */
static enum rag_status generate(struct bench *b, struct kv_sequence **sequences, uint32_t *ids,
                                size_t n_streams, size_t n)
{
    struct decoder_input inputs[STREAMS_MAX];
    size_t vocab = b->info.vocab_size;
    enum rag_status status = RAG_OK;

    for (size_t t = 0; t < n && status == RAG_OK; t++) {
        for (size_t i = 0; i < n_streams; i++)
            inputs[i] = (struct decoder_input){sequences[i], &ids[i], 1, 1, b->logits + i * vocab};
        status = run(b, inputs, n_streams);
        for (size_t i = 0; i < n_streams && status == RAG_OK; i++)
            ids[i] = likeliest(b->logits + i * vocab, vocab);
    }
    return status;
}

/* ---- what can be asked ---- */

static enum rag_status do_prefill(struct bench *b, size_t n)
{
    struct kv_sequence *s = NULL;
    enum rag_status status = kv_sequence_open(b->cache, NULL, 0, &s, &b->error);
    struct stopwatch w;

    make_ids(b, 0, n, 0);
    w = start();
    if (status == RAG_OK)
        status = prompt(b, s, b->ids, n);
    if (status == RAG_OK)
        likeliest(b->logits, b->info.vocab_size);
    if (status == RAG_OK)
        print_sample(b, w, n);
    kv_sequence_close(s);
    return status;
}

static enum rag_status need_depth(struct bench *b, size_t depth)
{
    enum rag_status status;

    if (b->deep && b->depth == depth) {
        kv_sequence_truncate(b->deep, depth);
        return RAG_OK;
    }
    kv_sequence_close(b->deep);
    b->deep = NULL;
    b->depth = depth;
    status = kv_sequence_open(b->cache, NULL, 0, &b->deep, &b->error);
    make_ids(b, 0, depth, 0);
    return status == RAG_OK ? prompt(b, b->deep, b->ids, depth) : status;
}

static enum rag_status do_decode(struct bench *b, size_t depth, size_t n)
{
    uint32_t id = made_up_id(b, 0, 1);
    enum rag_status status = need_depth(b, depth);
    struct stopwatch w = start();

    if (status == RAG_OK)
        status = generate(b, &b->deep, &id, 1, n);
    if (status == RAG_OK)
        print_sample(b, w, n);
    return status;
}

static enum rag_status do_batch(struct bench *b, size_t n_streams, size_t n)
{
    struct kv_sequence *sequences[STREAMS_MAX] = {NULL};
    uint32_t ids[STREAMS_MAX];
    enum rag_status status = RAG_OK;
    struct stopwatch w;

    for (size_t i = 0; i < n_streams && status == RAG_OK; i++) {
        ids[i] = made_up_id(b, 0, i);
        make_ids(b, 0, SHORT_PROMPT, i);
        status = kv_sequence_open(b->cache, NULL, 0, &sequences[i], &b->error);
        if (status == RAG_OK)
            status = prompt(b, sequences[i], b->ids, SHORT_PROMPT);
    }
    w = start();
    if (status == RAG_OK)
        status = generate(b, sequences, ids, n_streams, n);
    if (status == RAG_OK)
        print_sample(b, w, n_streams * n);
    for (size_t i = 0; i < n_streams; i++)
        kv_sequence_close(sequences[i]);
    return status;
}

/* Seconds from the prompt in b->ids to its first token, and how much of it was known. */
static enum rag_status first_token(struct bench *b, double *ret_s, size_t *ret_known)
{
    int64_t begun = clock_monotonic_ns();
    struct kv_sequence *s = NULL;
    enum rag_status status = kv_sequence_open(b->cache, b->ids, RAG_PROMPT, &s, &b->error);

    if (status == RAG_OK) {
        *ret_known = kv_sequence_length(s);
        status = prompt(b, s, b->ids + *ret_known, RAG_PROMPT - *ret_known);
    }
    if (status == RAG_OK)
        likeliest(b->logits, b->info.vocab_size);
    *ret_s = clock_elapsed_ms(begun) / 1e3;
    kv_sequence_close(s);
    return status;
}

static enum rag_status do_ttft(struct bench *b)
{
    double cold_s = 0, warm_s = 0;
    size_t known = 0;
    enum rag_status status;

    make_ids(b, 0, RAG_PROMPT, 1000 + b->salt++);
    status = first_token(b, &cold_s, &known);
    make_ids(b, RAG_KNOWN, RAG_PROMPT - RAG_KNOWN, 1000 + b->salt++);
    if (status == RAG_OK)
        status = first_token(b, &warm_s, &known);
    if (status == RAG_OK)
        printf("{\"cold_s\":%.6f,\"warm_s\":%.6f,\"known_tokens\":%zu,\"tokens\":%d}\n", cold_s,
               warm_s, known, RAG_PROMPT);
    return status;
}

static enum rag_status do_top(struct bench *b, size_t n)
{
    struct kv_sequence *s = NULL;
    enum rag_status status = kv_sequence_open(b->cache, NULL, 0, &s, &b->error);
    double sum = 0, log_sum;

    make_ids(b, 0, n, 0);
    if (status == RAG_OK)
        status = prompt(b, s, b->ids, n);
    kv_sequence_close(s);
    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < b->info.vocab_size; i++)
        sum += exp((double)b->logits[i]);
    log_sum = log(sum);
    printf("{\"top\":[");
    for (size_t i = 0; i < TOP; i++) {
        uint32_t id = likeliest(b->logits, b->info.vocab_size);

        printf("%s[%u,%.5f]", i > 0 ? "," : "", id, (double)b->logits[id] - log_sum);
        b->logits[id] = -INFINITY;
    }
    printf("]}\n");
    return RAG_OK;
}

struct reading {
    const uint64_t *words;
    uint64_t sums[READ_ITEMS];
};

static void read_item(void *context, size_t item, size_t thread)
{
    struct reading *r = context;
    const uint64_t *at = r->words + item * READ_ITEM_WORDS;
    uint64_t sum = 0;

    (void)thread;
    for (size_t i = 0; i < READ_ITEM_WORDS; i++)
        sum += at[i];
    r->sums[item] = sum;
}

static enum rag_status do_bandwidth(struct bench *b)
{
    const size_t n_bytes = READ_ITEMS * READ_ITEM_WORDS * sizeof(uint64_t);
    uint64_t *words = malloc(n_bytes);
    struct reading r = {words, {0}};
    double best = INFINITY;

    if (!words)
        return RAG_ENOMEM;
    memset(words, 1, n_bytes);
    for (int i = 0; i < 20; i++) {
        int64_t begun = clock_monotonic_ns();

        compute_pool_run(b->pool, READ_ITEMS, read_item, &r);
        best = fmin(best, clock_elapsed_ms(begun) / 1e3);
    }
    printf("{\"bytes_per_s\":%.0f}\n", (double)n_bytes / best);
    free(words);
    return RAG_OK;
}

static enum rag_status do_info(const struct bench *b)
{
    printf("{\"kernels\":\"%s\",\"weights_bytes\":%llu,\"file_bytes\":%llu,"
           "\"kv_budget_bytes\":%llu,\"kv_bytes_per_token\":%llu,\"rss_bytes\":%llu,"
           "\"peak_bytes\":%llu}\n",
           b->info.kernels, (unsigned long long)b->info.bytes,
           (unsigned long long)model_tensors_bytes(b->tensors),
           (unsigned long long)(b->kv_tokens * b->info.kv_bytes_per_token),
           (unsigned long long)b->info.kv_bytes_per_token, (unsigned long long)memory("VmRSS:"),
           (unsigned long long)memory("VmHWM:"));
    return RAG_OK;
}

static void answer(struct bench *b, char *line)
{
    char *rest = NULL;
    const char *verb = strtok_r(line, " \n", &rest);
    const char *words[2] = {strtok_r(NULL, " \n", &rest), strtok_r(NULL, " \n", &rest)};
    size_t x = words[0] ? strtoul(words[0], NULL, 10) : 0;
    size_t n = words[1] ? strtoul(words[1], NULL, 10) : 0;
    enum rag_status status = RAG_EINVAL;

    snprintf(b->error.text, sizeof b->error.text, "not a line that is known, or beyond a limit");
    if (!verb || x + n > b->kv_tokens)
        verb = "";
    if (strcmp(verb, "prefill") == 0 && x > 0)
        status = do_prefill(b, x);
    else if (strcmp(verb, "decode") == 0 && x > 0)
        status = do_decode(b, x, n);
    else if (strcmp(verb, "batch") == 0 && x > 0 && x <= STREAMS_MAX)
        status = do_batch(b, x, n);
    else if (strcmp(verb, "ttft") == 0)
        status = do_ttft(b);
    else if (strcmp(verb, "top") == 0 && x > 0)
        status = do_top(b, x);
    else if (strcmp(verb, "bandwidth") == 0)
        status = do_bandwidth(b);
    else if (strcmp(verb, "info") == 0)
        status = do_info(b);
    if (status != RAG_OK)
        printf("{\"error\":\"%s\"}\n", b->error.text);
    fflush(stdout);
}

static enum rag_status open_all(struct bench *b, const char *path, size_t n_threads)
{
    struct decoder_options options = {DECODER_BLOCKS, BLOCK_Q8_0, NULL};
    struct kv_cache_options kv;
    enum rag_status status = compute_pool_open(n_threads, &b->pool, &b->error);

    if (status == RAG_OK)
        status = model_tensors_open(path, &b->tensors, &b->error);
    options.pool = b->pool;
    if (status == RAG_OK)
        status = decoder_open(b->tensors, &options, &b->decoder, &b->error);
    if (status != RAG_OK)
        return status;
    decoder_info(b->decoder, &b->info);
    kv = decoder_kv_options(b->decoder);
    kv.budget_bytes = b->kv_tokens * b->info.kv_bytes_per_token;
    kv.hash_key = 1;
    b->ids = malloc(b->kv_tokens * sizeof *b->ids);
    b->logits = malloc(STREAMS_MAX * b->info.vocab_size * sizeof *b->logits);
    if (!b->ids || !b->logits)
        return RAG_ENOMEM;
    return kv_cache_open(&kv, &b->cache, &b->error);
}

int main(int argc, char **argv)
{
    struct bench b = {.chunk = 512};
    char line[LINE_BYTES];

    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: bench_decoder MODEL THREADS KV_TOKENS [CHUNK_TOKENS]\n");
        return 2;
    }
    b.kv_tokens = strtoul(argv[3], NULL, 10);
    if (argc == 5)
        b.chunk = strtoul(argv[4], NULL, 10);
    if (b.kv_tokens < RAG_PROMPT || b.chunk == 0) {
        fprintf(stderr, "bench_decoder: KV_TOKENS of %d or more, CHUNK_TOKENS of 1 or more\n",
                RAG_PROMPT);
        return 2;
    }
    if (open_all(&b, argv[1], strtoul(argv[2], NULL, 10)) != RAG_OK) {
        fprintf(stderr, "bench_decoder: %s: %s\n", argv[1], b.error.text);
        return 1;
    }
    while (fgets(line, sizeof line, stdin))
        answer(&b, line);
    kv_sequence_close(b.deep);
    kv_cache_close(b.cache);
    decoder_close(b.decoder);
    model_tensors_close(b.tensors);
    compute_pool_close(b.pool);
    free(b.ids);
    free(b.logits);
    return 0;
}
