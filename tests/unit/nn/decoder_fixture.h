/* tests/unit/nn/decoder_fixture.h - the tiny decoders of tests/data/models, and sequences on them.
 */
#ifndef RAG_TESTS_DECODER_FIXTURE_H
#define RAG_TESTS_DECODER_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "kernel_paths.h"
#include "nn/decoder.h"

#define IDS_MAX    96 /* of a record */
#define VOCAB_MAX  320
#define PLACES_MAX 4 /* positions of a record whose logits are known */

struct golden_sequence {
    uint32_t ids[IDS_MAX];
    size_t n;
    size_t places[PLACES_MAX];
    size_t n_places;
    double logits[PLACES_MAX][VOCAB_MAX];
};

static inline void golden_parse(const char *line, size_t n_bytes, struct golden_sequence *ret)
{
    const struct json *logits;
    struct json *root = NULL;

    memset(ret, 0, sizeof *ret);
    assert_int_equal(json_parse(line, n_bytes, "golden", &root, NULL), RAG_OK);
    for (const struct json *v = json_first(json_member(root, "token_ids")); v; v = json_next(v))
        ret->ids[ret->n++] = (uint32_t)json_number(v);
    for (const struct json *v = json_first(json_member(root, "positions")); v; v = json_next(v))
        ret->places[ret->n_places++] = (size_t)json_number(v);
    logits = json_first(json_member(root, "logits"));
    for (size_t i = 0; i < ret->n_places; i++, logits = json_next(logits)) {
        size_t j = 0;

        for (const struct json *v = json_first(logits); v; v = json_next(v))
            ret->logits[i][j++] = json_number(v);
    }
    json_free(root);
}

/* A model open, with a KV cache. */
struct fixture {
    struct model_tensors *tensors;
    struct decoder *d;
    struct kv_cache *kv;
    struct compute_pool *pool;
    size_t vocab;
};

static inline void fixture_release(struct fixture *f)
{
    kv_cache_close(f->kv);
    decoder_close(f->d);
    model_tensors_close(f->tensors);
    compute_pool_close(f->pool);
    memset(f, 0, sizeof *f);
}

static inline enum rag_status fixture_try(const char *path, enum decoder_precision precision,
                                          size_t n_threads, struct fixture *ret,
                                          struct rag_error *reterr)
{
    struct decoder_options options = {.precision = precision, .dense_type = BLOCK_Q8_0};
    struct kv_cache_options kv;
    enum rag_status status = RAG_OK;

    memset(ret, 0, sizeof *ret);
    if (n_threads > 0)
        status = compute_pool_open(n_threads, &ret->pool, reterr);
    options.pool = ret->pool;
    if (status == RAG_OK)
        status = model_tensors_open(path, &ret->tensors, reterr);
    if (status == RAG_OK)
        status = decoder_open(ret->tensors, &options, &ret->d, reterr);
    if (status == RAG_OK) {
        ret->vocab = decoder_config(ret->d)->vocab_size;
        kv = decoder_kv_options(ret->d);
        kv.budget_bytes = 64 * kv.n_layers * kv.layer_page_bytes;
        status = kv_cache_open(&kv, &ret->kv, reterr);
    }
    if (status != RAG_OK)
        fixture_release(ret);
    return status;
}

/* n_threads 0: the caller's thread. */
static inline struct fixture fixture_open(const char *name, enum decoder_precision precision,
                                          size_t n_threads)
{
    struct rag_error error = {.text = ""};
    struct fixture f;
    char path[512];

    snprintf(path, sizeof path, RAG_TEST_DATA "/models/%s", name);
    if (fixture_try(path, precision, n_threads, &f, &error) != RAG_OK)
        fail_msg("%s", error.text);
    return f;
}

/* A sequence that takes nothing from known pages. */
static inline struct kv_sequence *fixture_sequence(const struct fixture *f)
{
    struct kv_sequence *s = NULL;

    assert_int_equal(kv_sequence_open(f->kv, NULL, 0, &s, NULL), RAG_OK);
    return s;
}

/* Append n ids; logits of the last n_logits. */
static inline void fixture_run(const struct fixture *f, struct kv_sequence *s, const uint32_t *ids,
                               size_t n, size_t n_logits, float *ret)
{
    const struct decoder_input input = {s, ids, n, n_logits, ret};
    struct rag_error error = {.text = ""};

    if (decoder_run(f->d, &input, 1, NULL, &error) != RAG_OK)
        fail_msg("%s", error.text);
}

#endif
