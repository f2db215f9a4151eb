#include "embed/pooling.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define SUM_COLUMNS 256 /* of the mean, summed at a time: 2 KiB of stack whatever the width */

static const char *const names[] = {
    [POOLING_MEAN] = "mean", [POOLING_CLS] = "cls", [POOLING_MAX] = "max"};

const char *pooling_name(enum pooling pooling)
{
    return names[pooling];
}

enum rag_status pooling_parse(const char *name, enum pooling *ret)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum pooling)i;
            return RAG_OK;
        }
    }
    return RAG_EINVAL;
}

static void mean(const float *states, size_t n_tokens, size_t dim, float *ret)
{
    double sums[SUM_COLUMNS];

    for (size_t first = 0; first < dim; first += SUM_COLUMNS) {
        size_t n = dim - first < SUM_COLUMNS ? dim - first : SUM_COLUMNS;

        memset(sums, 0, sizeof sums);
        for (size_t t = 0; t < n_tokens; t++) {
            const float *row = states + t * dim + first;

            for (size_t d = 0; d < n; d++)
                sums[d] += (double)row[d];
        }
        for (size_t d = 0; d < n; d++)
            ret[first + d] = (float)(sums[d] / (double)n_tokens);
    }
}

static void max(const float *states, size_t n_tokens, size_t dim, float *ret)
{
    memcpy(ret, states, dim * sizeof *ret);
    for (size_t t = 1; t < n_tokens; t++) {
        const float *row = states + t * dim;

        for (size_t d = 0; d < dim; d++)
            ret[d] = row[d] > ret[d] ? row[d] : ret[d];
    }
}

void pooling_apply(enum pooling pooling, const float *states, size_t n_tokens, size_t dim,
                   float *ret_vector)
{
    assert(states);
    assert(n_tokens > 0);
    assert(dim > 0);
    switch (pooling) {
    case POOLING_MEAN:
        mean(states, n_tokens, dim, ret_vector);
        return;
    case POOLING_CLS:
        memcpy(ret_vector, states, dim * sizeof *ret_vector);
        return;
    case POOLING_MAX:
        max(states, n_tokens, dim, ret_vector);
        return;
    }
}

enum rag_status pooling_normalise(float *vector, size_t dim)
{
    double squares = 0.0;
    double length;

    /* Squares of finite floats do not overflow a double (2e76 at most, each), so a sum that is
     * not finite means a value that is not. */
    for (size_t d = 0; d < dim; d++)
        squares += (double)vector[d] * (double)vector[d];
    if (!isfinite(squares) || squares == 0.0)
        return RAG_ENUMERIC;
    length = sqrt(squares);
    for (size_t d = 0; d < dim; d++)
        vector[d] = (float)((double)vector[d] / length);
    return RAG_OK;
}
