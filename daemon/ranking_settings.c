#include "daemon/ranking_settings.h"

#include "base/bounds.h"

enum rag_status lexical_settings_read(const struct json *object, struct lexical_weights *weights,
                                      struct rag_error *reterr)
{
    static const char *const keys[] = {"bm25", "sentence", "window", "proximity", "kind", NULL};
    struct lexical_weights fresh = *weights;
    float *const targets[] = {&fresh.bm25, &fresh.sentence, &fresh.window, &fresh.proximity,
                              &fresh.kind};
    enum rag_status status = json_only(object, keys, reterr);

    for (size_t i = 0; keys[i] && status == RAG_OK; i++) {
        double value = (double)*targets[i];

        status = json_get_double(object, keys[i], 0, LEXICAL_WEIGHT_MAX, &value, reterr);
        *targets[i] = (float)value;
    }
    if (status == RAG_OK && fresh.bm25 + fresh.sentence + fresh.window + fresh.proximity <= 0)
        status =
            rag_fail(reterr, RAG_EINVAL, "'bm25', 'sentence', 'window' and 'proximity': all are 0");
    if (status == RAG_OK)
        *weights = fresh;
    return status;
}

void lexical_settings_write(struct json_writer *w, const struct lexical_weights *weights)
{
    json_put_double(w, "bm25", (double)weights->bm25);
    json_put_double(w, "sentence", (double)weights->sentence);
    json_put_double(w, "window", (double)weights->window);
    json_put_double(w, "proximity", (double)weights->proximity);
    json_put_double(w, "kind", (double)weights->kind);
}

/* The one member of an object, 0..1. */
static enum rag_status read_share(const struct json *object, const char *key, float *share,
                                  struct rag_error *reterr)
{
    const char *const keys[] = {key, NULL};
    double value = (double)*share;
    enum rag_status status = json_only(object, keys, reterr);

    if (status == RAG_OK)
        status = json_get_double(object, key, 0, 1, &value, reterr);
    if (status == RAG_OK)
        *share = (float)value;
    return status;
}

enum rag_status rerank_settings_read(const struct json *object, float *words,
                                     struct rag_error *reterr)
{
    return read_share(object, "words", words, reterr);
}

void rerank_settings_write(struct json_writer *w, float words)
{
    json_put_double(w, "words", (double)words);
}

enum rag_status gate_settings_read(const struct json *object, float *relevance_min,
                                   struct rag_error *reterr)
{
    return read_share(object, "relevance_min", relevance_min, reterr);
}

void gate_settings_write(struct json_writer *w, float relevance_min)
{
    json_put_double(w, "relevance_min", (double)relevance_min);
}
