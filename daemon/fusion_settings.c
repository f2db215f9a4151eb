#include "daemon/fusion_settings.h"

#include "base/bounds.h"

#define METHOD_BYTES_MAX 16

static enum rag_status read_weights(const struct json *object, float weights[N_LISTS],
                                    struct rag_error *reterr)
{
    static const char *const keys[N_LISTS] = {
        [LIST_BM25] = "weight_bm25", [LIST_DENSE] = "weight_dense"};
    double values[N_LISTS];
    size_t n_given = 0;

    for (int i = 0; i < N_LISTS; i++) {
        enum rag_status status;

        values[i] = -1;
        status = json_get_double(object, keys[i], 0, FUSION_WEIGHT_MAX, &values[i], reterr);
        if (status != RAG_OK)
            return status;
        n_given += values[i] >= 0;
    }
    for (int i = 0; i < N_LISTS && n_given == 1; i++) {
        double other = values[1 - i];

        if (values[i] >= 0)
            continue;
        if (other > 1)
            return rag_fail(reterr, RAG_EINVAL, "'%s': %g alone is not from 0 to 1; give '%s' too",
                            keys[1 - i], other, keys[i]);
        values[i] = 1 - other;
    }
    if (n_given > 0 && values[LIST_BM25] + values[LIST_DENSE] <= 0)
        return rag_fail(reterr, RAG_EINVAL, "'%s' and '%s': both are 0", keys[0], keys[1]);
    for (int i = 0; i < N_LISTS && n_given > 0; i++)
        weights[i] = (float)values[i];
    return RAG_OK;
}

enum rag_status fusion_settings_read(const struct json *object, struct fusion_options *options,
                                     struct rag_error *reterr)
{
    static const char *const keys[] = {"method", "weight_bm25", "weight_dense",
                                       "rrf_k",  "depth",       NULL};
    double rrf_k = (double)options->rrf_k;
    int64_t depth = (int64_t)options->depth;
    const char *method = NULL;
    enum rag_status status = json_only(object, keys, reterr);

    if (status == RAG_OK)
        status = json_get_string(object, "method", METHOD_BYTES_MAX, &method, reterr);
    if (status == RAG_OK && method && fusion_method_parse(method, &options->method) != RAG_OK)
        status = rag_fail(reterr, RAG_EINVAL,
                          "'method': '%s' is none of 'rrf', 'convex' and 'scaled'", method);
    if (status == RAG_OK)
        status = read_weights(object, options->weights, reterr);
    if (status == RAG_OK)
        status = json_get_double(object, "rrf_k", 1, FUSION_RRF_K_MAX, &rrf_k, reterr);
    if (status == RAG_OK)
        status = json_get_int(object, "depth", 0, CANDIDATES_MAX, &depth, reterr);
    options->rrf_k = (float)rrf_k;
    options->depth = (size_t)depth;
    return status;
}

void fusion_settings_write(struct json_writer *w, const struct fusion_options *options)
{
    json_put_string(w, "method", fusion_method_name(options->method));
    json_put_double(w, "weight_bm25", (double)options->weights[LIST_BM25]);
    json_put_double(w, "weight_dense", (double)options->weights[LIST_DENSE]);
    json_put_double(w, "rrf_k", (double)options->rrf_k);
    json_put_int(w, "depth", (int64_t)options->depth);
}
