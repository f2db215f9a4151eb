/* What a decoder's linear layers reach: n rows x K -> outputs, weights in blocks.
 *
 *     bench_block_linear [--path NAME] [--threads N] [--type Q4_K] [--rows 1,4,512] [--pack]
 *
 * EXAONE-3.5-2.4B's matrices: few rows read the head, 102,400 outputs, which no cache holds; many
 * rows the feed-forward's. Best of several rounds: wall time, and CPU time of one thread. Beside
 * it what reading the same bytes takes. The last line is one JSON object. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/f16.h"
#include "base/splitmix.h"
#include "bench_measure.h"
#include "nn/block_linear.h"
#include "nn/compute_pool.h"
#include "nn/kernels.h"

#define ROUNDS    7
#define SECONDS   0.25 /* of a case, at least */
#define THREADS   16
#define RANGE     128 /* outputs of an item when there are many rows */
#define RANGE_FEW 256
#define HEAD_OUTS 102400
#define WIDTH     2560
#define WIDTH_FF  7168
#define MANY_ROWS 16

static const struct {
    enum block_type type;
    int scales_at[2];
} types[] = {
    {BLOCK_Q4_K, {0, 2}   },
    {BLOCK_Q6_K, {208, -1}},
    {BLOCK_Q8_0, {0, -1}  },
    {BLOCK_Q5_K, {0, 2}   },
    {BLOCK_Q4_0, {0, -1}  },
};

static uint8_t *random_blocks(size_t which, size_t n)
{
    enum block_type type = types[which].type;
    size_t bytes = n / block_elements(type) * block_bytes(type);
    uint8_t *w = memory(bytes);
    uint16_t scale = f16_from_f32(0.01f);
    uint64_t state = 1;

    for (size_t i = 0; i + 8 <= bytes; i += 8) {
        uint64_t value = splitmix_next(&state);

        memcpy(w + i, &value, 8);
    }
    for (size_t b = 0; b < bytes; b += block_bytes(type))
        for (size_t i = 0; i < 2; i++)
            if (types[which].scales_at[i] >= 0)
                memcpy(w + b + types[which].scales_at[i], &scale, 2);
    return w;
}

struct bench {
    const struct kernels *k;
    struct compute_pool *pool;
    size_t n_threads;
    const struct block_linear *l;
    struct block_linear_input in;
    size_t n;
    size_t range;
    float *y[THREADS];
    void *scratch[THREADS];
};

static void work(void *context, size_t item, size_t thread)
{
    struct bench *b = context;
    size_t first = item * b->range;
    size_t left = block_linear_n_out(b->l) - first;

    block_linear_forward(b->l, &b->in, b->n, first, left < b->range ? left : b->range, b->y[thread],
                         b->range, b->scratch[thread]);
}

static void run(struct bench *b)
{
    compute_pool_run(b->pool, (block_linear_n_out(b->l) + b->range - 1) / b->range, work, b);
}

static void time_it(struct bench *b, double *ret_wall, double *ret_cpu)
{
    double begun = seconds_of(CLOCK_MONOTONIC);

    *ret_wall = *ret_cpu = 1e30;
    run(b);
    for (int round = 0; round < ROUNDS || seconds_of(CLOCK_MONOTONIC) - begun < SECONDS; round++) {
        double wall = seconds_of(CLOCK_MONOTONIC);
        double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);

        run(b);
        wall = seconds_of(CLOCK_MONOTONIC) - wall;
        cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        *ret_wall = wall < *ret_wall ? wall : *ret_wall;
        *ret_cpu = cpu < *ret_cpu ? cpu : *ret_cpu;
    }
}

/* ---- reading alone ---- */

struct reading {
    const uint8_t *bytes;
    size_t n;
    uint64_t sums[THREADS][8];
};

#define READ_ITEM ((size_t)256 << 10)

static void read_item(void *context, size_t item, size_t thread)
{
    struct reading *r = context;
    const uint64_t *p = (const uint64_t *)(const void *)(r->bytes + item * READ_ITEM);
    uint64_t sum[8] = {0};

    for (size_t i = 0; i < READ_ITEM / 8; i += 8) {
        __builtin_prefetch(p + i + 512);
        for (size_t j = 0; j < 8; j++)
            sum[j] += p[i + j];
    }
    for (size_t j = 0; j < 8; j++)
        r->sums[thread][j] += sum[j];
}

static double read_gb_per_s(struct compute_pool *pool, const uint8_t *bytes, size_t n,
                            clockid_t clock)
{
    struct reading r = {.bytes = bytes, .n = n};
    double best = 1e30;

    for (int round = 0; round < ROUNDS; round++) {
        double begun = seconds_of(clock);

        compute_pool_run(pool, n / READ_ITEM, read_item, &r);
        begun = seconds_of(clock) - begun;
        best = begun < best ? begun : best;
    }
    return (double)(n / READ_ITEM * READ_ITEM) / best * 1e-9;
}

static double bench_case(struct bench *b, size_t which, size_t n_in, size_t n_out, size_t n,
                         const uint8_t *w, bool pack)
{
    enum block_type type = types[which].type;
    struct block_linear *l = NULL;
    float *x = memory(n * n_in * sizeof *x);
    void *q = memory(block_rows_bytes(b->k, n, n_in));
    struct block_rows rows = block_rows_in(b->k, q, n, n_in);
    uint64_t state = 7;
    double wall;
    double cpu;
    double quantise;
    double begun = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    double macs = (double)n * (double)n_in * (double)n_out;

    if (block_linear_new(b->k, type, w, n_in / block_elements(type) * block_bytes(type), n_out,
                         n_in, BLOCK_Q8_0, NULL, &l, NULL) != RAG_OK)
        abort();
    if (pack)
        printf("%-12s %s packed at %.2f G weights/s, %.3f bytes a weight\n", kernels_name(b->k),
               block_type_name(type),
               (double)(n_in * n_out) / (seconds_of(CLOCK_THREAD_CPUTIME_ID) - begun) * 1e-9,
               (double)block_linear_bytes(l) / (double)(n_in * n_out));
    for (size_t i = 0; i < n * n_in; i++)
        x[i] = (float)(splitmix_next(&state) >> 40) * 0x1p-23f - 1.0f;
    begun = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    block_rows_quantize(b->k, x, n_in, n, &rows);
    quantise = seconds_of(CLOCK_THREAD_CPUTIME_ID) - begun;
    b->l = l;
    b->n = n;
    b->in.rows = &rows;
    b->range = n >= MANY_ROWS ? RANGE : RANGE_FEW;
    for (size_t i = 0; i < b->n_threads; i++) {
        b->y[i] = memory(n * RANGE_FEW * sizeof(float));
        b->scratch[i] = memory(block_linear_scratch_bytes(l, n, RANGE_FEW));
    }
    time_it(b, &wall, &cpu);
    printf(
        "%-12s %s %4zu x %4zu -> %6zu  %9.1f us  %7.1f GMAC/s (%6.1f a CPU s) %6.1f GB/s (%.1f)  "
        "quantise %.1f us\n",
        kernels_name(b->k), block_type_name(type), n, n_in, n_out, wall * 1e6, macs / wall * 1e-9,
        macs / cpu * 1e-9, (double)block_linear_bytes(l) / wall * 1e-9,
        (double)block_linear_bytes(l) / cpu * 1e-9, quantise * 1e6);
    for (size_t i = 0; i < b->n_threads; i++) {
        free(b->y[i]);
        free(b->scratch[i]);
    }
    block_linear_free(l);
    free(x);
    free(q);
    return wall;
}

int main(int argc, char **argv)
{
    struct bench b = {.n_threads = 1};
    const char *only = NULL;
    const char *rows = "1,2,4,8,64,512";
    bool pack = false;
    double read = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--pack") == 0)
            pack = true;
        else if (i + 1 == argc)
            return 2;
        else if (strcmp(argv[i], "--path") == 0)
            setenv("RAGD_KERNELS", argv[++i], 1);
        else if (strcmp(argv[i], "--threads") == 0)
            b.n_threads = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--type") == 0)
            only = argv[++i];
        else if (strcmp(argv[i], "--rows") == 0)
            rows = argv[++i];
    }
    if (kernels_choose(&b.k, NULL) != RAG_OK || b.n_threads < 1 || b.n_threads > THREADS ||
        compute_pool_open(b.n_threads, &b.pool, NULL) != RAG_OK)
        return 2;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        uint8_t *w;

        if (only ? strcmp(only, block_type_name(types[t].type)) != 0 : t > 2)
            continue;
        w = random_blocks(t, (size_t)WIDTH * HEAD_OUTS);
        if (read == 0) {
            read = read_gb_per_s(b.pool, w, (size_t)140 << 20, CLOCK_MONOTONIC);
            printf("reading alone, %zu threads: %.1f GB/s (%.1f a CPU s)\n", b.n_threads, read,
                   read_gb_per_s(b.pool, w, (size_t)140 << 20, CLOCK_PROCESS_CPUTIME_ID));
        }
        for (const char *p = rows; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
            size_t n = strtoul(p, NULL, 10);

            if (n < MANY_ROWS)
                bench_case(&b, t, WIDTH, HEAD_OUTS, n, w, pack);
            else {
                bench_case(&b, t, WIDTH, WIDTH_FF, n, w, pack);
                bench_case(&b, t, WIDTH_FF, WIDTH, n, w, pack);
            }
        }
        free(w);
    }
    compute_pool_close(b.pool);
    printf("{\"bench\":\"block_linear\",\"path\":\"%s\",\"threads\":%zu,\"read_gb_per_s\":%.1f}\n",
           kernels_name(b.k), b.n_threads, read);
    return 0;
}
