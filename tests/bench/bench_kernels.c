/* What each kernel reaches on each path, one thread, beside what the CPU can do at most.
 *
 *     bench_kernels [--path NAME] [--rows N]
 *
 * Times are CPU seconds of this thread, the best of several rounds: other processes cost little.
 * The last line is one JSON object. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench_measure.h"
#include "kernel_ceilings.h"
#include "nn/attention.h"
#include "nn/cpu.h"
#include "nn/kernels.h"
#include "nn/linear.h"
#include "nn/row_kernels.h"

#define ROUNDS   60
#define SECONDS  0.002 /* of a round */
#define ROWS_MAX 1024

/* Best seconds of one call. */
static double best(void (*call)(void *), void *context)
{
    double least = 1e30;
    size_t n = 1;

    call(context);
    for (int round = 0; round < ROUNDS; round++) {
        double begun = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        double each;

        for (size_t i = 0; i < n; i++)
            call(context);
        each = (seconds_of(CLOCK_THREAD_CPUTIME_ID) - begun) / (double)n;
        if (each < least && (double)n * each > SECONDS / 4)
            least = each;
        n = 1 + (size_t)(SECONDS / (each + 1e-9));
        if (round == 0)
            least = 1e30;
    }
    return least;
}

/* ---- ceilings ---- */

struct ceiling {
    const char *name;
    double (*run)(size_t n);
    bool there;
};

static double ceiling_gops(const struct ceiling *c)
{
    double top = 0;

    for (int round = 0; round < ROUNDS; round++) {
        double begun = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        double done = c->run(20000);
        double gops = done / (seconds_of(CLOCK_THREAD_CPUTIME_ID) - begun) * 1e-9;

        top = gops > top ? gops : top;
    }
    return top;
}

static void ceilings(void)
{
    struct cpu_features cpu = cpu_features();
    const struct ceiling list[] = {
        {"f32 FMA, AVX2",          ceiling_fma_avx2,    cpu.avx2                       },
        {"f32 FMA, AVX-512",       ceiling_fma_avx512,  cpu.avx512                     },
        {"int8 by vpmaddwd, AVX2", ceiling_madd_avx2,   cpu.avx2                       },
        {"int8 VNNI, AVX-512",     ceiling_vnni_avx512, cpu.avx512_vnni                },
        {"int8 AMX",               ceiling_amx_int8,    kernels_of(KERNELS_AMX) != NULL},
        {"bf16 AMX",               ceiling_amx_bf16,    kernels_of(KERNELS_AMX) != NULL},
    };

    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i].there)
            printf("ceiling  %-24s %8.0f GOP/s\n", list[i].name, ceiling_gops(&list[i]));
}

/* ---- linear ---- */

struct linear_case {
    const char *name;
    size_t n_in;
    size_t n_out;
    enum linear_activation activation;
    bool residual;
};

static const struct linear_case linear_cases[] = {
    {"qkv",  384,  1152, LINEAR_PLAIN, false},
    {"out",  384,  384,  LINEAR_PLAIN, true },
    {"up",   384,  1536, LINEAR_GELU,  false},
    {"down", 1536, 384,  LINEAR_PLAIN, true },
    {"qkv",  768,  2304, LINEAR_PLAIN, false},
    {"out",  768,  768,  LINEAR_PLAIN, true },
    {"up",   768,  3072, LINEAR_GELU,  false},
    {"down", 3072, 768,  LINEAR_PLAIN, true },
};

struct linear_run {
    const struct linear *l;
    struct linear_input in;
    struct linear_output out;
    size_t n;
    float *scratch;
};

static void run_linear(void *context)
{
    struct linear_run *r = context;

    linear_forward(r->l, &r->in, r->n, &r->out, r->scratch);
}

static double bench_linear(const struct kernels *k, const struct linear_case *c, size_t n,
                           bool int8)
{
    float *w = random_floats(c->n_in * c->n_out);
    float *x = random_floats(n * c->n_in);
    float *y = random_floats(n * c->n_out);
    float *residual = random_floats(n * c->n_out);
    void *q8 = memory(q8_rows_bytes(k, n, c->n_in));
    struct q8_rows rows = q8_rows_in(k, q8, n, c->n_in);
    struct linear *l = NULL;
    struct linear_run run = {.n = n};
    double seconds;

    if ((int8 ? linear_new_int8(k, w, w, c->n_out, c->n_in, &l, NULL)
              : linear_new_fp32(k, w, w, c->n_out, c->n_in, &l, NULL)) != RAG_OK)
        abort();
    q8_quantize(k, x, c->n_in, n, &rows);
    run.l = l;
    run.in = (struct linear_input){.q8 = &rows, .f32 = x, .stride = c->n_in};
    run.out = (struct linear_output){.y = y,
                                     .stride = c->n_out,
                                     .activation = c->activation,
                                     .residual = c->residual ? residual : NULL,
                                     .residual_stride = c->n_out};
    run.scratch = memory((linear_scratch_floats(l, n) + 16) * sizeof(float));
    seconds = best(run_linear, &run);
    printf("%-12s linear %-5s %-4s %4zu x %4zu -> %4zu %9.1f us %8.0f GOP/s\n",
           int8 ? kernels_name(k) : kernels_blas_core(NULL), int8 ? "int8" : "fp32", c->name, n,
           c->n_in, c->n_out, seconds * 1e6,
           2.0 * (double)(n * c->n_in * c->n_out) / seconds * 1e-9);
    linear_free(l);
    free(run.scratch);
    free(w);
    free(x);
    free(y);
    free(residual);
    free(q8);
    return seconds;
}

/* ---- attention ---- */

struct attention_run {
    const struct kernels *k;
    struct attention a;
    size_t n;
    float *qkv;
    size_t stride;
    float *out;
    float *scratch;
};

static void run_attention(void *context)
{
    struct attention_run *r = context;

    attention_forward(r->k, &r->a, r->qkv, r->stride, r->n, 0, r->n, r->out,
                      r->a.n_heads * r->a.head_dim, r->scratch);
}

static double bench_attention(const struct kernels *k, enum attention_precision precision,
                              size_t head_dim, size_t n)
{
    struct attention_run run = {
        .k = k, .n = n, .a = {12, head_dim, 0.15f, precision}
    };
    double seconds;
    double operations = 4.0 * 12 * (double)(n * n * head_dim);

    run.stride = 3 * 12 * head_dim + 16;
    run.qkv = random_floats(n * run.stride);
    run.out = random_floats(n * 12 * head_dim);
    run.scratch = memory(attention_scratch_floats(k, &run.a, n) * sizeof(float));
    seconds = best(run_attention, &run);
    printf("%-12s attention %-5s 12 x %zu, %4zu tokens     %9.1f us %8.0f GOP/s\n", kernels_name(k),
           precision == ATTENTION_FAST ? "fast" : "exact", head_dim, n, seconds * 1e6,
           operations / seconds * 1e-9);
    free(run.qkv);
    free(run.out);
    free(run.scratch);
    return seconds;
}

/* ---- rows ---- */

struct row_run {
    const struct kernels *k;
    size_t n;
    size_t width;
    float *x;
    float *y;
    struct layer_norm norm;
    struct q8_rows q8;
};

static void run_norm(void *context)
{
    struct row_run *r = context;

    row_layer_norm(r->k, &r->norm, r->x, r->width, r->n, r->y, r->width, &r->q8);
}

static void run_quantize(void *context)
{
    struct row_run *r = context;

    q8_quantize(r->k, r->x, r->width, r->n, &r->q8);
}

static double bench_rows(const struct kernels *k, size_t n, size_t width, bool norm)
{
    struct row_run run = {.k = k, .n = n, .width = width};
    void *q8 = memory(q8_rows_bytes(k, n, width));
    float *gamma = random_floats(width);
    double seconds;

    run.x = random_floats(n * width);
    run.y = random_floats(n * width);
    run.norm = (struct layer_norm){gamma, gamma, width, 1e-12f};
    run.q8 = q8_rows_in(k, q8, n, width);
    seconds = best(norm ? run_norm : run_quantize, &run);
    printf("%-12s %-18s %4zu rows of %4zu %9.1f us %8.1f ns a row\n", kernels_name(k),
           norm ? "layer norm + int8" : "to int8", n, width, seconds * 1e6,
           seconds * 1e9 / (double)n);
    free(run.x);
    free(run.y);
    free(gamma);
    free(q8);
    return seconds;
}

/* One layer of a geometry, n tokens of one sequence, int8: the sum of its kernels. */
static double bench_path(const struct kernels *k, size_t n, size_t hidden)
{
    double seconds = 0;

    for (size_t i = 0; i < sizeof linear_cases / sizeof *linear_cases; i++) {
        const struct linear_case *c = &linear_cases[i];

        if (c->n_in == hidden || c->n_in == 4 * hidden)
            seconds += bench_linear(k, c, n, true);
    }
    seconds += bench_attention(k, ATTENTION_FAST, hidden / 12, n);
    seconds += 2 * bench_rows(k, n, hidden, true);
    seconds += bench_rows(k, n, hidden, false);
    seconds += bench_rows(k, n, 4 * hidden, false);
    printf("%-12s a layer of %zu, %zu tokens: %.1f us, %.0f tokens/s through 6 layers\n\n",
           kernels_name(k), hidden, n, seconds * 1e6, (double)n / (6 * seconds));
    return seconds;
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    size_t n = 128;
    const struct kernels *best_path = NULL;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--path") == 0)
            only = argv[i + 1];
        else if (strcmp(argv[i], "--rows") == 0)
            n = strtoul(argv[i + 1], NULL, 10);
    }
    if (n < 1 || n > ROWS_MAX || kernels_choose(&best_path, NULL) != RAG_OK)
        return 2;
    ceilings();
    for (int path = KERNEL_PATHS - 1; path >= 0; path--) {
        const struct kernels *k = kernels_of((enum kernel_path)path);

        if (!k || (only && strcmp(only, kernels_name(k)) != 0))
            continue;
        if (!only && path == KERNELS_PORTABLE && n > 128)
            continue;
        bench_path(k, n, 384);
        bench_path(k, n, 768);
    }
    if (!only) {
        for (size_t i = 0; i < sizeof linear_cases / sizeof *linear_cases; i++)
            bench_linear(best_path, &linear_cases[i], n, false);
        bench_attention(best_path, ATTENTION_EXACT, 32, n);
        bench_attention(best_path, ATTENTION_EXACT, 64, n);
    }
    printf("{\"bench\":\"kernels\",\"path\":\"%s\",\"rows\":%zu,\"layer_384_us\":%.1f,"
           "\"layer_768_us\":%.1f}\n",
           kernels_name(best_path), n, bench_path(best_path, n, 384) * 1e6,
           bench_path(best_path, n, 768) * 1e6);
    return 0;
}
