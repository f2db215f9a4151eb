/* Factors that make the columns of an int8 layer's input alike, so that one that is always large
 * does not take the steps of all others:
 *
 *     y = W x = (W diag(1/c)) (diag(c) x)          c_j = sqrt(w_j / a_j)
 *
 * a_j and w_j are the root mean squares of column j of the input and of the weights: both sides
 * then have columns of about sqrt(a_j w_j). (Xiao et al. 2022, SmoothQuant, equation 4 with alpha
 * .5; the paper takes largest magnitudes, which cost 2e-3 of cosine more here, docs/SPEED.md.)
 *
 * The paper measures a_j on sample texts. Here it follows from the weights alone, so that a model
 * directory is all that is needed and the same model always gives the same numbers: behind a
 * LayerNorm column j has mean beta_j and deviation |gamma_j| over many tokens, and a linear layer
 * makes of these its own, taking the columns as independent. Activations are the portable ones, so
 * that the factors, and the weights that are made with them, are the same bits on every CPU. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/encoder_internal.h"

#define RATIO_MAX 1e3f /* of a factor to the middle one, and back */

void column_spread_release(struct column_spread *s)
{
    free(s->mean);
    free(s->deviation);
    memset(s, 0, sizeof *s);
}

static enum rag_status spread_init(struct column_spread *s, size_t n)
{
    s->n = n;
    s->mean = calloc(n, sizeof *s->mean);
    s->deviation = calloc(n, sizeof *s->deviation);
    return s->mean && s->deviation ? RAG_OK : RAG_ENOMEM;
}

enum rag_status column_spread_of_norm(const struct layer_norm *norm, struct column_spread *ret)
{
    struct column_spread s = {0};

    if (spread_init(&s, norm->width) != RAG_OK) {
        column_spread_release(&s);
        return RAG_ENOMEM;
    }
    for (size_t i = 0; i < s.n; i++) {
        s.mean[i] = norm->beta[i];
        s.deviation[i] = fabsf(norm->gamma[i]);
    }
    *ret = s; /* ownership to the caller */
    return RAG_OK;
}

enum rag_status column_spread_through(const struct linear_values *v, size_t first, size_t n,
                                      const struct column_spread *in, struct column_spread *ret)
{
    struct column_spread s = {0};

    if (spread_init(&s, n) != RAG_OK) {
        column_spread_release(&s);
        return RAG_ENOMEM;
    }
    for (size_t o = 0; o < n; o++) {
        const float *w = v->w + (first + o) * v->n_in;
        double mean = (double)v->bias[first + o];
        double variance = 0;

        for (size_t i = 0; i < v->n_in; i++) {
            double d = (double)(w[i] * in->deviation[i]);

            mean += (double)(w[i] * in->mean[i]);
            variance += d * d;
        }
        s.mean[o] = (float)mean;
        s.deviation[o] = (float)sqrt(variance);
    }
    *ret = s; /* ownership to the caller */
    return RAG_OK;
}

/* E f(m + d z)^2 for a standard normal z, by the middles of eight equally likely parts. */
static double activated_square(const struct encoder *e, double mean, double deviation)
{
    static const float z[8] = {-1.534f, -0.887f, -0.489f, -0.157f, 0.157f, 0.489f, 0.887f, 1.534f};
    float values[8];
    double sum = 0;

    for (size_t i = 0; i < 8; i++)
        values[i] = (float)(mean + deviation * (double)z[i]);
    row_activate(kernels_of(KERNELS_PORTABLE), e->config.activation, 8, values);
    for (size_t i = 0; i < 8; i++)
        sum += (double)values[i] * (double)values[i];
    return sum / 8;
}

void column_spread_activate(const struct encoder *e, struct column_spread *s)
{
    for (size_t i = 0; i < s->n; i++) {
        s->mean[i] = (float)sqrt(activated_square(e, (double)s->mean[i], (double)s->deviation[i]));
        s->deviation[i] = 0;
    }
}

/* sqrt(w_j), w_j over the outputs from 'first' on. Each output counts alike: it has a scale of its
 * own, so how large its weights are says nothing. */
static void weight_columns(const struct linear_values *v, size_t first, float *ret)
{
    for (size_t o = first; o < v->n_out; o++) {
        const float *w = v->w + o * v->n_in;
        float squares = 0;

        for (size_t i = 0; i < v->n_in; i++)
            squares += w[i] * w[i];
        for (size_t i = 0; i < v->n_in && squares > 0; i++)
            ret[i] += w[i] * w[i] / squares;
    }
    for (size_t i = 0; i < v->n_in; i++)
        ret[i] = sqrtf(sqrtf(ret[i]));
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;

    return x < y ? -1 : x > y;
}

/* A column that is always zero, or that no weight looks at, has no factor of its own. */
static float bounded(float factor, float middle)
{
    if (!(middle > 0) || !isfinite(middle))
        return 1;
    if (!(factor > middle / RATIO_MAX)) /* NaN as well: 0 / 0 */
        return middle / RATIO_MAX;
    return factor < middle * RATIO_MAX ? factor : middle * RATIO_MAX;
}

enum rag_status encoder_even_columns(const struct column_spread *s, size_t first,
                                     struct linear_values *v, float **ret)
{
    float *columns = calloc(v->n_in, sizeof *columns);
    float *sorted = calloc(v->n_in, sizeof *sorted);
    float middle;

    if (!columns || !sorted) {
        free(columns);
        free(sorted);
        return RAG_ENOMEM;
    }
    weight_columns(v, first, columns);
    for (size_t i = 0; i < v->n_in; i++)
        columns[i] /= sqrtf(hypotf(s->mean[i], s->deviation[i]));
    memcpy(sorted, columns, v->n_in * sizeof *sorted);
    qsort(sorted, v->n_in, sizeof *sorted, compare_floats);
    middle = sorted[v->n_in / 2];
    free(sorted);
    for (size_t i = 0; i < v->n_in; i++)
        columns[i] = bounded(columns[i], middle);
    for (size_t o = 0; o < v->n_out; o++) {
        for (size_t i = 0; i < v->n_in; i++)
            v->w[o * v->n_in + i] /= columns[i];
    }
    *ret = columns; /* ownership to the caller */
    return RAG_OK;
}
