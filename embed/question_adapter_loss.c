#include "embed/question_adapter_loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/gemm_fp32.h"

#define LENGTH_MIN 1e-6f /* of W q; below it the direction is noise */

enum rag_status adapter_scratch_init(size_t dim, size_t rank, size_t n, size_t n_columns,
                                     struct adapter_scratch *ret, struct rag_error *reterr)
{
    struct adapter_scratch s = {
        .mapped = malloc(n * dim * sizeof(float)),
        .slope = malloc(n * dim * sizeof(float)),
        .scores = malloc(n * n_columns * sizeof(float)),
        .inner = malloc((n * rank + 1) * sizeof(float)),
        .inner_slope = malloc((n * rank + 1) * sizeof(float)),
        .lengths = malloc(n * sizeof(float)),
        .squares = malloc((2 * rank * rank + 1) * sizeof(float)),
    };

    if (!s.mapped || !s.slope || !s.scores || !s.inner || !s.inner_slope || !s.lengths ||
        !s.squares) {
        adapter_scratch_release(&s);
        return rag_fail(reterr, RAG_ENOMEM, "adapter: out of memory");
    }
    *ret = s;
    return RAG_OK;
}

void adapter_scratch_release(struct adapter_scratch *s)
{
    free(s->mapped);
    free(s->slope);
    free(s->scores);
    free(s->inner);
    free(s->inner_slope);
    free(s->lengths);
    free(s->squares);
    memset(s, 0, sizeof *s);
}

static struct gemm_fp32_operand as_is(const float *data, size_t stride)
{
    return (struct gemm_fp32_operand){data, stride, false};
}

static struct gemm_fp32_operand turned(const float *data, size_t stride)
{
    return (struct gemm_fp32_operand){data, stride, true};
}

/* s->mapped = q', s->lengths = |W q|, s->inner = B q */
static void map_questions(const struct question_adapter *a, const struct adapter_batch *b,
                          struct adapter_scratch *s)
{
    const float *inner_weights = a->weights + a->dim * a->rank;
    size_t dim = a->dim;

    memcpy(s->mapped, b->questions, b->n * dim * sizeof *s->mapped);
    if (a->rank == 0) {
        gemm_fp32_any(b->n, dim, dim, as_is(b->questions, dim), turned(a->weights, dim), 1,
                      s->mapped, dim);
    } else {
        gemm_fp32_any(b->n, a->rank, dim, as_is(b->questions, dim), turned(inner_weights, dim), 0,
                      s->inner, a->rank);
        gemm_fp32_any(b->n, dim, a->rank, as_is(s->inner, a->rank), turned(a->weights, a->rank), 1,
                      s->mapped, dim);
    }
    for (size_t i = 0; i < b->n; i++) {
        float *q = s->mapped + i * dim;
        double squares = 0;

        for (size_t k = 0; k < dim; k++)
            squares += (double)q[k] * (double)q[k];
        s->lengths[i] = fmaxf((float)sqrt(squares), LENGTH_MIN);
        for (size_t k = 0; k < dim; k++)
            q[k] /= s->lengths[i];
    }
}

void adapter_scores(const struct question_adapter *a, const struct adapter_batch *b,
                    double temperature, struct adapter_scratch *s)
{
    float scale = (float)(1 / temperature);

    map_questions(a, b, s);
    gemm_fp32_any(b->n, b->n_columns, a->dim, as_is(s->mapped, a->dim), turned(b->passages, a->dim),
                  0, s->scores, b->n_columns);
    for (size_t i = 0; i < b->n * b->n_columns; i++)
        s->scores[i] *= scale;
    for (size_t i = 0; i < b->n_masks; i++)
        s->scores[b->masks[i].row * b->n_columns + b->masks[i].column] = -INFINITY;
}

/* Turns a row of scores into the slopes of its loss by them, times 'scale'; returns the loss. */
static double row_loss(float *scores, size_t n, uint32_t right, double scale)
{
    double most = (double)scores[right];
    double right_score = most;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        most = fmax(most, (double)scores[i]);
    for (size_t i = 0; i < n; i++) {
        scores[i] = expf(scores[i] - (float)most);
        sum += (double)scores[i];
    }
    for (size_t i = 0; i < n; i++)
        scores[i] *= (float)(scale / sum);
    scores[right] -= (float)scale;
    return most + log(sum) - right_score;
}

double adapter_distance_squared(const struct question_adapter *a, struct adapter_scratch *s)
{
    const float *b = a->weights + a->dim * a->rank;
    size_t r = a->rank;
    double sum = 0;

    if (r == 0) {
        for (size_t i = 0; i < a->dim * a->dim; i++)
            sum += (double)a->weights[i] * (double)a->weights[i];
        return sum;
    }
    /* |A B|^2 = sum of A'A times B B', element by element */
    gemm_fp32_any(r, r, a->dim, turned(a->weights, r), as_is(a->weights, r), 0, s->squares, r);
    gemm_fp32_any(r, r, a->dim, as_is(b, a->dim), turned(b, a->dim), 0, s->squares + r * r, r);
    for (size_t i = 0; i < r * r; i++)
        sum += (double)s->squares[i] * (double)s->squares[r * r + i];
    return fmax(sum, 0);
}

/* gradient += decay / 2 * d |W - I|^2; s->squares are of the weights. */
static void add_decay(const struct question_adapter *a, double decay, struct adapter_scratch *s,
                      float *gradient)
{
    size_t r = a->rank;
    size_t n = r == 0 ? a->dim * a->dim : a->dim * r;

    if (r == 0) {
        for (size_t i = 0; i < n; i++)
            gradient[i] += (float)decay * a->weights[i];
        return;
    }
    for (size_t i = 0; i < 2 * r * r; i++)
        s->squares[i] *= (float)decay;
    gemm_fp32_any(a->dim, r, r, as_is(a->weights, r), as_is(s->squares + r * r, r), 1, gradient, r);
    gemm_fp32_any(r, a->dim, r, as_is(s->squares, r), as_is(a->weights + n, a->dim), 1,
                  gradient + n, a->dim);
}

/* The gradient of the mean loss, from s->slope, by the weights. */
static void weight_slopes(const struct question_adapter *a, const struct adapter_batch *b,
                          struct adapter_scratch *s, float *ret)
{
    size_t dim = a->dim;
    size_t r = a->rank;

    if (r == 0) {
        gemm_fp32_any(dim, dim, b->n, turned(s->slope, dim), as_is(b->questions, dim), 0, ret, dim);
        return;
    }
    gemm_fp32_any(dim, r, b->n, turned(s->slope, dim), as_is(s->inner, r), 0, ret, r);
    gemm_fp32_any(b->n, r, dim, as_is(s->slope, dim), as_is(a->weights, r), 0, s->inner_slope, r);
    gemm_fp32_any(r, dim, b->n, turned(s->inner_slope, r), as_is(b->questions, dim), 0,
                  ret + dim * r, dim);
}

double adapter_loss(const struct question_adapter *a, const struct adapter_batch *b,
                    double temperature, double decay, struct adapter_scratch *s,
                    float *ret_gradient)
{
    double scale = 1 / ((double)b->n * temperature);
    size_t dim = a->dim;
    double loss = 0;

    adapter_scores(a, b, temperature, s);
    for (size_t i = 0; i < b->n; i++)
        loss += row_loss(s->scores + i * b->n_columns, b->n_columns, b->right[i], scale);
    gemm_fp32_any(b->n, dim, b->n_columns, as_is(s->scores, b->n_columns), as_is(b->passages, dim),
                  0, s->slope, dim);
    /* through the normalisation: dL/d(Wq) = (g - q' (q' . g)) / |Wq| */
    for (size_t i = 0; i < b->n; i++) {
        const float *q = s->mapped + i * dim;
        float *g = s->slope + i * dim;
        double along = 0;

        for (size_t k = 0; k < dim; k++)
            along += (double)q[k] * (double)g[k];
        for (size_t k = 0; k < dim; k++)
            g[k] = (g[k] - q[k] * (float)along) / s->lengths[i];
    }
    weight_slopes(a, b, s, ret_gradient);
    loss = loss / (double)b->n + decay / 2 * adapter_distance_squared(a, s);
    add_decay(a, decay, s, ret_gradient);
    return loss;
}
