#include "embed/question_adapter.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/f16.h"

#define LANES 8 /* sums side by side, always so many: the same on every machine, and vectors */

size_t question_adapter_n_weights(size_t dim, size_t rank)
{
    size_t width = rank == 0 ? dim : 2 * rank;

    if (dim == 0 || dim > EMBEDDING_DIM_MAX || rank > ADAPTER_RANK_MAX || rank >= dim ||
        width > ADAPTER_WEIGHTS_MAX / dim)
        return 0;
    return dim * width;
}

enum rag_status question_adapter_new(size_t dim, size_t rank, struct question_adapter **ret,
                                     struct rag_error *reterr)
{
    size_t n = question_adapter_n_weights(dim, rank);
    struct question_adapter *a;

    if (n == 0)
        return rag_fail(reterr, RAG_ELIMIT,
                        "adapter: %zu dimensions with rank %zu; the limits are %u weights (a rank "
                        "of 0 has dim * dim, another one 2 * dim * rank) and rank %d",
                        dim, rank, ADAPTER_WEIGHTS_MAX, ADAPTER_RANK_MAX);
    a = calloc(1, sizeof *a);
    if (a) {
        a->dim = dim;
        a->rank = rank;
        a->weights = calloc(n, sizeof *a->weights);
    }
    if (!a || !a->weights) {
        free(a);
        return rag_fail(reterr, RAG_ENOMEM, "adapter: out of memory");
    }
    *ret = a;
    return RAG_OK;
}

void question_adapter_free(struct question_adapter *a)
{
    if (!a)
        return;
    free(a->weights);
    free(a);
}

/* ---- applying ---- */

static float dot(const float *x, const float *y, size_t n)
{
    float sums[LANES] = {0};
    float sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            sums[k] += x[i + k] * y[i + k];
    for (; i < n; i++)
        sum += x[i] * y[i];
    for (size_t k = 0; k < LANES; k++)
        sum += sums[k];
    return sum;
}

bool question_adapter_apply(const struct question_adapter *a, const float *q, float *ret)
{
    float inner[ADAPTER_RANK_MAX];
    size_t width = a->rank == 0 ? a->dim : a->rank;
    const float *b = a->weights + a->dim * a->rank;
    double squares = 0;
    double length;

    assert(ret != q);
    for (size_t r = 0; r < a->rank; r++)
        inner[r] = dot(b + r * a->dim, q, a->dim);
    for (size_t i = 0; i < a->dim; i++) {
        ret[i] = q[i] + dot(a->weights + i * width, a->rank == 0 ? q : inner, width);
        squares += (double)ret[i] * (double)ret[i];
    }
    length = sqrt(squares);
    if (!isfinite(length) || length < 1e-6) {
        memcpy(ret, q, a->dim * sizeof *ret);
        return false;
    }
    for (size_t i = 0; i < a->dim; i++)
        ret[i] = (float)((double)ret[i] / length);
    return true;
}

/* ---- bytes ---- */

void question_adapter_encode(const struct question_adapter *a, uint8_t *ret)
{
    size_t n = question_adapter_n_weights(a->dim, a->rank);

    for (size_t i = 0; i < n; i++) {
        uint16_t half = f16_from_f32(a->weights[i]);

        ret[2 * i] = (uint8_t)half;
        ret[2 * i + 1] = (uint8_t)(half >> 8);
    }
}

enum rag_status question_adapter_decode(size_t dim, size_t rank, const uint8_t *bytes,
                                        size_t n_bytes, struct question_adapter **ret,
                                        struct rag_error *reterr)
{
    struct question_adapter *a = NULL;
    enum rag_status status = question_adapter_new(dim, rank, &a, reterr);
    size_t n = question_adapter_n_weights(dim, rank);

    if (status != RAG_OK)
        return status;
    if (n_bytes != 2 * n)
        status = rag_fail(reterr, RAG_EINVAL,
                          "adapter: %zu bytes of weights, %zu dimensions with rank %zu have %zu",
                          n_bytes, dim, rank, 2 * n);
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        a->weights[i] = f16_to_f32((uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8));
        if (!isfinite(a->weights[i]))
            status = rag_fail(reterr, RAG_EINVAL, "adapter: weight %zu of %zu is not finite", i, n);
    }
    if (status != RAG_OK) {
        question_adapter_free(a);
        return status;
    }
    *ret = a;
    return RAG_OK;
}
