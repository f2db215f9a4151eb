/* What attention over pages and the rows of a decoder cost on each path: EXAONE-3.5-2.4B's shapes
 * (30 layers, 32 query heads, 8 kv heads of 80), one thread, and decoding on two.
 *
 *     bench_kv_attention [--path NAME] [--dim N] [--heads N] [--kv-heads N]
 *
 * Decoding reads the keys and values of all layers, which no cache holds. One thread: CPU seconds,
 * the best of several rounds; two: wall seconds. The last line is one JSON object. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench_measure.h"
#include "nn/decoder_rows.h"
#include "nn/kernels.h"
#include "nn/kv_attention.h"

#define LAYERS  30
#define ROUNDS  25
#define DEPTH   2048
#define PREFILL 1536
#define CHUNK   512
#define HIDDEN  2560
#define MIDDLE  7168

struct bench {
    const struct kernels *k;
    struct kv_shape shape;
    size_t page_bytes;
    unsigned char **pages[LAYERS];
    float *q;
    float *out;
    size_t width;
};

static void fill(struct bench *b)
{
    size_t kv_width = b->shape.n_kv_heads * b->shape.head_dim;
    float *rows = random_floats(KV_PAGE_TOKENS * kv_width * 2);
    size_t n_pages = DEPTH / KV_PAGE_TOKENS;

    b->page_bytes = kv_page_bytes(b->k, &b->shape);
    b->width = b->shape.n_heads * b->shape.head_dim;
    b->q = random_floats(DEPTH * b->width);
    b->out = random_floats(DEPTH * b->width);
    for (size_t layer = 0; layer < LAYERS; layer++)
        b->pages[layer] = memory(n_pages * sizeof *b->pages[layer]);
    for (size_t page = 0; page < n_pages; page++) {
        /* all layers of a page lie together, as in the cache */
        unsigned char *at = memory(LAYERS * b->page_bytes);

        for (size_t layer = 0; layer < LAYERS; layer++) {
            b->pages[layer][page] = at + layer * b->page_bytes;
            kv_store(b->k, &b->shape, b->pages[layer], page * KV_PAGE_TOKENS, rows,
                     rows + KV_PAGE_TOKENS * kv_width, kv_width, KV_PAGE_TOKENS, 0,
                     b->shape.n_kv_heads);
        }
    }
    free(rows);
}

static void release(struct bench *b)
{
    for (size_t page = 0; page < DEPTH / KV_PAGE_TOKENS; page++)
        free(b->pages[0][page]);
    for (size_t layer = 0; layer < LAYERS; layer++)
        free(b->pages[layer]);
    free(b->q);
    free(b->out);
}

/* ---- decoding ---- */

struct part {
    const struct bench *b;
    size_t first_head;
    size_t end_head;
    size_t n; /* queries */
};

/* n tokens at depth DEPTH through all layers, these kv heads. */
static void *decode(void *context)
{
    const struct part *p = context;
    const struct bench *b = p->b;
    void *scratch = memory(kv_attention_scratch_bytes(b->k, &b->shape, p->n));

    for (size_t layer = 0; layer < LAYERS; layer++)
        for (size_t head = p->first_head; head < p->end_head; head++)
            kv_attention(b->k, &b->shape, b->pages[layer], DEPTH - p->n, b->q, b->width, p->n, head,
                         b->out, b->width, scratch);
    free(scratch);
    return NULL;
}

static double decode_seconds(const struct bench *b, size_t n, bool two)
{
    clockid_t clock = two ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
    size_t heads = b->shape.n_kv_heads;
    double least = 1e30;

    for (int round = 0; round < ROUNDS; round++) {
        struct part low = {b, 0, two ? heads / 2 : heads, n};
        struct part high = {b, heads / 2, heads, n};
        double begun = seconds_of(clock);
        double each;
        pthread_t thread;

        if (two && pthread_create(&thread, NULL, decode, &high) != 0)
            abort();
        decode(&low);
        if (two)
            pthread_join(thread, NULL);
        each = seconds_of(clock) - begun;
        least = each < least ? each : least;
    }
    return least;
}

static double bench_decode(const struct bench *b, size_t n, bool two)
{
    double bytes = (double)b->page_bytes * (DEPTH / KV_PAGE_TOKENS) * LAYERS;
    double seconds = decode_seconds(b, n, two);

    printf("%-12s decode   %2zu queries at depth %d, %d layers, %s %9.2f ms %8.1f GB/s\n",
           kernels_name(b->k), n, DEPTH, LAYERS, two ? "2 threads" : "1 thread ", seconds * 1e3,
           bytes / seconds * 1e-9);
    return seconds;
}

/* ---- prefill ---- */

static double bench_prefill(const struct bench *b)
{
    double least = 1e30;
    double products = (double)PREFILL * (PREFILL + 1) * (double)b->width; /* q k and p v */
    void *scratch = memory(kv_attention_scratch_bytes(b->k, &b->shape, CHUNK));

    for (int round = 0; round < ROUNDS; round++) {
        double begun = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        double each;

        for (size_t at = 0; at < PREFILL; at += CHUNK)
            for (size_t head = 0; head < b->shape.n_kv_heads; head++)
                kv_attention(b->k, &b->shape, b->pages[0], at, b->q, b->width, CHUNK, head, b->out,
                             b->width, scratch);
        each = seconds_of(CLOCK_THREAD_CPUTIME_ID) - begun;
        least = each < least ? each : least;
    }
    free(scratch);
    printf("%-12s prefill  %d tokens in chunks of %d, one layer   %9.2f ms %8.1f GMAC/s\n",
           kernels_name(b->k), PREFILL, CHUNK, least * 1e3, products / least * 1e-9);
    return least;
}

static double bench_store(const struct bench *b, size_t n)
{
    size_t kv_width = b->shape.n_kv_heads * b->shape.head_dim;
    float *rows = random_floats(n * kv_width * 2);
    double least = 1e30;

    for (int round = 0; round < ROUNDS; round++) {
        double begun = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        double each;

        for (size_t layer = 0; layer < LAYERS; layer++)
            kv_store(b->k, &b->shape, b->pages[layer], 0, rows, rows + n * kv_width, kv_width, n, 0,
                     b->shape.n_kv_heads);
        each = (seconds_of(CLOCK_THREAD_CPUTIME_ID) - begun) / LAYERS;
        least = each < least ? each : least;
    }
    free(rows);
    printf("%-12s store    %3zu tokens, one layer                      %9.1f us\n",
           kernels_name(b->k), n, least * 1e6);
    return least;
}

/* ---- rows ---- */

enum row_kind { NORM, ROPE, SILU };

static void run_rows(const struct kernels *k, enum row_kind kind, size_t n, float *x,
                     const float *other, float *y)
{
    switch (kind) {
    case NORM:
        row_rms_norm(k, other, HIDDEN, 1e-5f, x, HIDDEN, n, y, HIDDEN);
        break;
    case ROPE:
        for (size_t i = 0; i < n; i++)
            row_rope(k, other, 80, false, 40, x + i * 40 * 80);
        break;
    case SILU:
        row_gated(k, false, x, other, n * MIDDLE, y);
        break;
    }
}

static void bench_rows(const struct kernels *k, enum row_kind kind, const char *name, size_t n)
{
    float *x = random_floats(n * MIDDLE);
    float *other = random_floats(n * MIDDLE);
    float turn[80];
    float *y = random_floats(n * MIDDLE);
    double least = 1e30;

    rope_angles(77, 80, 1e4f, NULL, turn);
    for (int round = 0; round < ROUNDS; round++) {
        double begun = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        double each;
        size_t repeat = 1 + 1024 / n;

        for (size_t i = 0; i < repeat; i++)
            run_rows(k, kind, n, x, kind == ROPE ? turn : other, y);
        each = (seconds_of(CLOCK_THREAD_CPUTIME_ID) - begun) / (double)repeat;
        least = each < least ? each : least;
    }
    printf("%-12s %-22s %3zu rows                      %9.1f us %8.0f ns a row\n", kernels_name(k),
           name, n, least * 1e6, least * 1e9 / (double)n);
    free(x);
    free(other);
    free(y);
}

static void bench_path(const struct kernels *k, const struct kv_shape *shape, double ret_ms[3])
{
    struct bench b = {.k = k, .shape = *shape};

    fill(&b);
    ret_ms[0] = bench_decode(&b, 1, false) * 1e3;
    ret_ms[1] = bench_decode(&b, 1, true) * 1e3;
    bench_decode(&b, 4, false);
    ret_ms[2] = bench_prefill(&b) * 1e3;
    bench_store(&b, 1);
    bench_store(&b, CHUNK);
    release(&b);
    for (size_t n = 1; n <= CHUNK; n *= CHUNK) {
        bench_rows(k, NORM, "rms norm of 2560", n);
        bench_rows(k, ROPE, "rotation of 40 x 80", n);
        bench_rows(k, SILU, "silu * up of 7168", n);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    struct kv_shape shape = {
        .type = KV_F16, .n_heads = 32, .n_kv_heads = 8, .head_dim = 80, .scale = 0.1f};
    const char *only = NULL;
    const struct kernels *best = NULL;
    double ms[3] = {0};

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--path") == 0)
            only = argv[i + 1];
        else if (strcmp(argv[i], "--dim") == 0)
            shape.head_dim = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--heads") == 0)
            shape.n_heads = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--kv-heads") == 0)
            shape.n_kv_heads = strtoul(argv[i + 1], NULL, 10);
    }
    if (shape.head_dim < 2 || shape.head_dim > KV_HEAD_DIM_MAX || shape.head_dim % 2 ||
        shape.n_kv_heads < 1 || shape.n_heads % shape.n_kv_heads ||
        kernels_choose(&best, NULL) != RAG_OK)
        return 2;
    for (int path = KERNEL_PATHS - 1; path >= 0; path--) {
        const struct kernels *k = kernels_of((enum kernel_path)path);

        if (k &&
            (only ? strcmp(only, kernels_name(k)) == 0 : path != KERNELS_PORTABLE && k != best))
            bench_path(k, &shape, ms);
    }
    if (!only)
        bench_path(best, &shape, ms);
    printf("{\"bench\":\"kv_attention\",\"path\":\"%s\",\"decode_ms\":%.2f,"
           "\"decode_2_threads_ms\":%.2f,\"prefill_layer_ms\":%.2f}\n",
           only ? only : kernels_name(best), ms[0], ms[1], ms[2]);
    return 0;
}
