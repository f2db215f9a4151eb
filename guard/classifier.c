#include "guard/classifier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "guard/classifier_internal.h"

void classifier_free(struct classifier *c)
{
    if (!c)
        return;
    free(c->weights);
    free(c);
}

size_t classifier_dim(const struct classifier *c)
{
    return c->dim;
}

const char *classifier_embedder(const struct classifier *c)
{
    return c->embedder;
}

static float probability(double z)
{
    return (float)(1 / (1 + exp(-z)));
}

/* A long text is as bad as its worst part: else a page of harmless text would hide a sentence. */
static enum rag_status score_parts(const struct classifier *c, const char *text, size_t n,
                                   float *ret)
{
    struct classifier_features f = {0};
    enum rag_status status = RAG_OK;
    float best = 0;

    for (size_t from = 0; from == 0 || from < n;) {
        size_t end = utf8_floor(
            text, n, n - from > CLASSIFIER_PART_BYTES ? from + CLASSIFIER_PART_BYTES : n);
        double z = (double)c->bias;

        status = classifier_features_of(text + from, end - from, &f);
        if (status != RAG_OK)
            break;
        for (size_t i = 0; i < f.n; i++)
            z += (double)c->weights[f.places[i]] * (double)f.values[i];
        if (probability(z) > best)
            best = probability(z);
        if (end >= n)
            break;
        from = utf8_floor(text, n, from + CLASSIFIER_PART_BYTES / 2); /* parts overlap by half */
    }
    classifier_features_release(&f);
    if (status == RAG_OK)
        *ret = best;
    return status;
}

enum rag_status classifier_score(const struct classifier *c, const char *text, size_t n,
                                 const float *vector, float *ret, struct rag_error *reterr)
{
    double z = (double)c->bias;

    if (c->dim == 0) {
        if (score_parts(c, text, n, ret) != RAG_OK)
            return rag_fail(reterr, RAG_ENOMEM, "classifier: out of memory");
        return RAG_OK;
    }
    for (size_t i = 0; i < c->dim; i++)
        z += (double)c->weights[i] * (double)vector[i];
    *ret = probability(z);
    return RAG_OK;
}
