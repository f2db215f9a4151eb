#include "bench_vectors_data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>

#include "base/splitmix.h"
#include "bench_vectors_text.h"

#define PER_CENTRE 200u
#define TILE       2048u /* vectors of one matrix product */

static uint64_t seed = 20260101;

static double uniform(void)
{
    return (double)(splitmix_next(&seed) >> 11) * 0x1p-53;
}

static float gaussian(void)
{
    static float next;
    static bool has_next;
    double radius;
    double angle;

    has_next = !has_next;
    if (!has_next)
        return next;
    radius = sqrt(-2.0 * log(1.0 - uniform()));
    angle = 6.283185307179586 * uniform();
    next = (float)(radius * sin(angle));
    return (float)(radius * cos(angle));
}

static bool normalise(float *v, size_t dim)
{
    double sum = 0;

    for (size_t i = 0; i < dim; i++)
        sum += (double)v[i] * (double)v[i];
    for (size_t i = 0; i < dim; i++)
        v[i] = (float)((double)v[i] / sqrt(sum));
    return sum > 0 && isfinite(sum);
}

static bool room(struct vectors_data *d, size_t n, size_t dim, size_t n_queries)
{
    d->n = n;
    d->dim = dim;
    d->n_queries = n_queries;
    d->vectors = malloc(n * dim * sizeof *d->vectors);
    d->queries = malloc(n_queries * dim * sizeof *d->queries);
    return d->vectors && d->queries;
}

bool vectors_clustered(struct vectors_data *d, size_t n, size_t dim, size_t n_queries, float noise)
{
    size_t n_centres = n / PER_CENTRE + 1;
    float *centres = malloc(n_centres * dim * sizeof *centres);
    float *deviation = malloc(dim * sizeof *deviation);
    bool ok = centres && deviation && room(d, n, dim, n_queries);

    for (size_t i = 0; ok && i < dim; i++)
        deviation[i] = 1.0f / sqrtf(1.0f + (float)i / 8.0f);
    for (size_t i = 0; ok && i < n_centres * dim; i++)
        centres[i] = gaussian() * deviation[i % dim];
    for (size_t r = 0; ok && r < n + n_queries; r++) {
        const float *centre = centres + (size_t)(uniform() * (double)n_centres) * dim;
        float *v = r < n ? d->vectors + r * dim : d->queries + (r - n) * dim;

        for (size_t i = 0; i < dim; i++)
            v[i] = centre[i] + noise * gaussian() * deviation[i];
        ok = normalise(v, dim);
    }
    snprintf(d->what, sizeof d->what, "%zu x %zu around %zu centres, noise %.2f", n, dim, n_centres,
             (double)noise);
    free(centres);
    free(deviation);
    return ok;
}

/* ---- files ---- */

static float *read_floats(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    float *data = NULL;
    long bytes;

    if (f && fseek(f, 0, SEEK_END) == 0 && (bytes = ftell(f)) > 0 && fseek(f, 0, SEEK_SET) == 0) {
        data = malloc((size_t)bytes);
        *ret_n = (size_t)bytes / sizeof *data;
        if (data && fread(data, sizeof *data, *ret_n, f) != *ret_n) {
            free(data);
            data = NULL;
        }
    }
    if (f)
        fclose(f);
    if (!data)
        fprintf(stderr, "bench_vectors: '%s': cannot read\n", path);
    return data;
}

bool vectors_raw(struct vectors_data *d, const char *path, const char *queries, size_t n,
                 size_t dim, size_t n_queries)
{
    size_t n_floats = 0;
    size_t n_query_floats = 0;
    bool ok;

    d->vectors = read_floats(path, &n_floats);
    if (d->vectors && queries)
        d->queries = read_floats(queries, &n_query_floats);
    if (!d->vectors || (queries && !d->queries))
        return false;
    d->dim = dim;
    d->n = n_floats / dim;
    d->n_queries = n_query_floats / dim;
    if (!queries) {
        d->n_queries = n_queries < d->n / 2 ? n_queries : d->n / 2;
        d->n -= d->n_queries;
        d->queries = malloc(d->n_queries * dim * sizeof *d->queries);
        if (d->queries)
            memcpy(d->queries, d->vectors + d->n * dim, d->n_queries * dim * sizeof *d->queries);
    }
    d->n = n && n < d->n ? n : d->n;
    ok = d->queries && d->n > 0 && d->n_queries > 0;
    for (size_t i = 0; ok && i < d->n; i++)
        ok = normalise(d->vectors + i * dim, dim);
    for (size_t i = 0; ok && i < d->n_queries; i++)
        ok = normalise(d->queries + i * dim, dim);
    snprintf(d->what, sizeof d->what, "%zu x %zu of %s", d->n, dim, path);
    return ok;
}

bool vectors_text(struct vectors_data *d, const char *path, const char *dir, const char *cache,
                  size_t n, size_t n_queries, size_t n_threads)
{
    float *all = NULL;
    size_t n_all = 0;
    size_t dim = 0;

    if (!vectors_embed_file(path, dir, cache, n + n_queries, n_threads, &all, &n_all, &dim))
        return false;
    if (n_all <= n_queries) {
        fprintf(stderr, "bench_vectors: '%s': %zu texts, %zu of them would ask\n", path, n_all,
                n_queries);
        free(all);
        return false;
    }
    d->n = n_all - n_queries;
    d->dim = dim;
    d->n_queries = n_queries;
    d->vectors = all;
    d->queries = malloc(n_queries * dim * sizeof *d->queries);
    if (!d->queries)
        return false;
    memcpy(d->queries, all + d->n * dim, n_queries * dim * sizeof *all);
    snprintf(d->what, sizeof d->what, "%zu x %zu, texts of %s", d->n, dim, path);
    return true;
}

void vectors_release(struct vectors_data *d)
{
    free(d->vectors);
    free(d->queries);
    memset(d, 0, sizeof *d);
}

/* ---- what should be found ---- */

float vectors_product(const float *a, const float *b, size_t dim)
{
    return cblas_sdot((int)dim, a, 1, b, 1);
}

struct best {
    uint32_t rows[VECTORS_K];
    float scores[VECTORS_K];
    size_t n;
};

static void offer(struct best *b, uint32_t row, float score)
{
    size_t i = b->n;

    if (i == VECTORS_K && score <= b->scores[i - 1])
        return;
    i = i == VECTORS_K ? i - 1 : b->n++;
    for (; i > 0 && b->scores[i - 1] < score; i--) {
        b->rows[i] = b->rows[i - 1];
        b->scores[i] = b->scores[i - 1];
    }
    b->rows[i] = row;
    b->scores[i] = score;
}

static bool keep_best(const struct vectors_data *d, const struct best *best,
                      struct vectors_truth *truth)
{
    truth->rows = calloc(d->n_queries * VECTORS_K, sizeof *truth->rows);
    truth->least = calloc(d->n_queries, sizeof *truth->least);
    truth->n = calloc(d->n_queries, sizeof *truth->n);
    if (!truth->rows || !truth->least || !truth->n)
        return false;
    for (size_t q = 0; q < d->n_queries; q++) {
        memcpy(truth->rows + q * VECTORS_K, best[q].rows, sizeof best[q].rows);
        truth->n[q] = best[q].n;
        truth->least[q] = best[q].n ? best[q].scores[best[q].n - 1] : 0.0f;
    }
    return true;
}

bool vectors_find(const struct vectors_data *d, const uint8_t *const *kept, size_t n_filters,
                  struct vectors_truth *truths)
{
    float *scores = malloc(d->n_queries * TILE * sizeof *scores);
    struct best *best = calloc(n_filters * d->n_queries, sizeof *best);
    bool ok = scores && best;

    for (size_t at = 0; ok && at < d->n; at += TILE) {
        size_t n = d->n - at < TILE ? d->n - at : TILE;

        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)d->n_queries, (int)n, (int)d->dim,
                    1.0f, d->queries, (int)d->dim, d->vectors + at * d->dim, (int)d->dim, 0.0f,
                    scores, (int)n);
        for (size_t f = 0; f < n_filters; f++)
            for (size_t q = 0; q < d->n_queries; q++)
                for (size_t i = 0; i < n; i++)
                    if (!kept[f] || kept[f][at + i])
                        offer(&best[f * d->n_queries + q], (uint32_t)(at + i), scores[q * n + i]);
    }
    for (size_t f = 0; ok && f < n_filters; f++)
        ok = keep_best(d, best + f * d->n_queries, &truths[f]);
    free(scores);
    free(best);
    return ok;
}

void vectors_truth_release(struct vectors_truth *truth)
{
    free(truth->rows);
    free(truth->least);
    free(truth->n);
    memset(truth, 0, sizeof *truth);
}
