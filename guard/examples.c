#define _POSIX_C_SOURCE 200809L
#include "guard/examples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/json.h"
#include "text/sparse_vector.h"
#include "text/text_file.h"

/* Either vectors (an embedder was there) or terms and sparse. */
struct examples {
    const struct analyzer *analyzer; /* borrowed */
    struct buf text;                 /* of the file, NFC; lines end with NUL */
    const char **items;              /* into text or json; owned array */
    struct json **parsed;            /* owned; NULL for a plain line */
    size_t n, cap;
    size_t dim;
    float *vectors; /* [n, dim] */
    struct sparse_vector *sparse;
    struct df {
        uint64_t id;
        uint32_t n; /* examples that have it */
    } * df;         /* ascending */
    size_t n_df;
};

void examples_close(struct examples *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->n; i++) {
        json_free(e->parsed[i]);
        if (e->sparse)
            sparse_vector_release(&e->sparse[i]);
    }
    free(e->items);
    free(e->parsed);
    free(e->vectors);
    free(e->sparse);
    free(e->df);
    buf_release(&e->text);
    free(e);
}

/* ---- the file ---- */

static enum rag_status room_for_one(struct examples *e)
{
    size_t cap = e->cap ? 2 * e->cap : 64;
    const char **items;
    struct json **parsed;

    if (e->n < e->cap)
        return RAG_OK;
    items = realloc(e->items, cap * sizeof *items);
    if (!items)
        return RAG_ENOMEM;
    e->items = items;
    parsed = realloc(e->parsed, cap * sizeof *parsed);
    if (!parsed)
        return RAG_ENOMEM;
    e->parsed = parsed;
    e->cap = cap;
    return RAG_OK;
}

/* A line, NUL at its end: a text, or an object with one. */
static enum rag_status add_line(struct examples *e, const char *path, size_t number, char *line,
                                size_t n, struct rag_error *reterr)
{
    struct json *parsed = NULL;
    const char *text = line;
    enum rag_status status;

    while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        line[--n] = '\0';
    while (*text == ' ' || *text == '\t')
        text++;
    if (*text == '\0')
        return RAG_OK;
    if (*text == '{') {
        status = json_parse(text, strlen(text), "example", &parsed, reterr);
        if (status == RAG_OK)
            text = json_string(json_member(parsed, "text"));
        if (status == RAG_ENOMEM)
            return status;
        if (status != RAG_OK || !text || *text == '\0') {
            json_free(parsed);
            return rag_fail(reterr, RAG_EFORMAT,
                            "examples '%s': line %zu is no object with a \"text\"", path, number);
        }
    }
    if (e->n == EXAMPLES_MAX || strlen(text) > EXAMPLE_BYTES_MAX) {
        status = rag_fail(reterr, RAG_ELIMIT,
                          "examples '%s': line %zu: at most %u examples of at most %u bytes", path,
                          number, EXAMPLES_MAX, EXAMPLE_BYTES_MAX);
        json_free(parsed);
        return status;
    }
    if (room_for_one(e) != RAG_OK) {
        json_free(parsed);
        return rag_fail(reterr, RAG_ENOMEM, "examples '%s': out of memory", path);
    }
    e->items[e->n] = text;
    e->parsed[e->n++] = parsed;
    return RAG_OK;
}

static enum rag_status read_lines(struct examples *e, const char *path, struct rag_error *reterr)
{
    enum rag_status status = text_file_read(path, EXAMPLES_FILE_BYTES_MAX, &e->text, reterr);
    char *line = e->text.data;
    char *end = line ? line + e->text.len : NULL;

    for (size_t number = 1; status == RAG_OK && line && line < end; number++) {
        char *stop = memchr(line, '\n', (size_t)(end - line));

        if (!stop)
            stop = end;
        *stop = '\0';
        status = add_line(e, path, number, line, (size_t)(stop - line), reterr);
        line = stop + 1;
    }
    if (status == RAG_OK && e->n == 0)
        status = rag_fail(reterr, RAG_EFORMAT, "examples '%s': it has none; one a line", path);
    return status;
}

/* ---- by terms ---- */

static int df_by_id(const void *a, const void *b)
{
    const struct df *x = a;
    const struct df *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

/* idf = 1 + ln((N + 1) / (df + 1)): a term of every example still counts, because what all denied
 * examples share is what they are denied for; one that none has counts most. */
static float idf_of(const struct examples *e, uint64_t id)
{
    const struct df key = {id, 0};
    const struct df *found = bsearch(&key, e->df, e->n_df, sizeof key, df_by_id);

    return (float)(1 + log((double)(e->n + 1) / ((found ? found->n : 0) + 1)));
}

static enum rag_status vector_of(const struct examples *e, const char *text, size_t n,
                                 struct sparse_vector *ret)
{
    struct term_list terms = {0};
    float *idf = NULL;
    enum rag_status status = analyzer_question(e->analyzer, text, n, &terms);

    if (status == RAG_OK) {
        idf = malloc((terms.n + 1) * sizeof *idf);
        status = idf ? RAG_OK : RAG_ENOMEM;
    }
    for (size_t i = 0; status == RAG_OK && i < terms.n; i++)
        idf[i] = idf_of(e, terms.items[i].id);
    if (status == RAG_OK)
        status = sparse_vector_make(&terms, idf, ret);
    free(idf);
    term_list_release(&terms);
    return status;
}

/* A question has each term once, so every term is one example more. */
static enum rag_status count_terms(struct examples *e)
{
    struct term_list terms = {0};
    enum rag_status status = RAG_OK;
    size_t cap = 0;
    size_t n = 0;

    for (size_t i = 0; status == RAG_OK && i < e->n; i++) {
        status = analyzer_question(e->analyzer, e->items[i], strlen(e->items[i]), &terms);
        if (status == RAG_OK && e->n_df + terms.n > cap) {
            struct df *grown;

            cap = 2 * (e->n_df + terms.n);
            grown = realloc(e->df, cap * sizeof *grown);
            if (grown)
                e->df = grown;
            status = grown ? RAG_OK : RAG_ENOMEM;
        }
        for (size_t k = 0; status == RAG_OK && k < terms.n; k++)
            e->df[e->n_df++] = (struct df){terms.items[k].id, 1};
    }
    term_list_release(&terms);
    if (e->n_df > 0)
        qsort(e->df, e->n_df, sizeof *e->df, df_by_id);
    for (size_t i = 0; i < e->n_df; i++) {
        if (n > 0 && e->df[n - 1].id == e->df[i].id)
            e->df[n - 1].n++;
        else
            e->df[n++] = e->df[i];
    }
    e->n_df = n;
    return status;
}

static enum rag_status make_sparse(struct examples *e)
{
    enum rag_status status = count_terms(e);

    if (status == RAG_OK) {
        e->sparse = calloc(e->n, sizeof *e->sparse);
        status = e->sparse ? RAG_OK : RAG_ENOMEM;
    }
    for (size_t i = 0; status == RAG_OK && i < e->n; i++)
        status = vector_of(e, e->items[i], strlen(e->items[i]), &e->sparse[i]);
    return status;
}

/* ---- by an embedder ---- */

static enum rag_status make_vectors(struct examples *e, const struct guard_models *models,
                                    struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    e->dim = models->dim;
    e->vectors = calloc(e->n, e->dim * sizeof *e->vectors);
    if (!e->vectors)
        return rag_fail(reterr, RAG_ENOMEM, "examples: out of memory");
    for (size_t i = 0; i < e->n && status == RAG_OK; i += EXAMPLES_BATCH) {
        size_t n = e->n - i < EXAMPLES_BATCH ? e->n - i : EXAMPLES_BATCH;

        status = models->embed(models->context, models->may_leave, models->deadline_ns,
                               e->items + i, n, e->vectors + i * e->dim, reterr);
    }
    return status;
}

enum rag_status examples_open(const char *path, const struct analyzer *analyzer,
                              const struct guard_models *models, struct examples **ret,
                              struct rag_error *reterr)
{
    struct examples *e = calloc(1, sizeof *e);
    enum rag_status status;

    if (!e)
        return rag_fail(reterr, RAG_ENOMEM, "examples: out of memory");
    e->analyzer = analyzer;
    buf_init(&e->text, 3 * EXAMPLES_FILE_BYTES_MAX); /* NFC grows a text threefold at most */
    status = read_lines(e, path, reterr);
    if (status == RAG_OK && models && models->embed) {
        status = make_vectors(e, models, reterr);
    } else if (status == RAG_OK) {
        status = make_sparse(e);
        if (status != RAG_OK)
            rag_fail(reterr, status, "examples '%s': out of memory", path);
    }
    if (status != RAG_OK) {
        examples_close(e);
        return status;
    }
    *ret = e;
    return RAG_OK;
}

/* ---- asking ---- */

static enum rag_status nearest_vector(const struct examples *e, const struct guard_models *models,
                                      const char *text, size_t n, float *ret, size_t *ret_i,
                                      struct rag_error *reterr)
{
    char *copy = strndup(text, n);
    float *v = malloc(e->dim * sizeof *v);
    enum rag_status status = RAG_OK;

    *ret = -1;
    if (!copy || !v)
        status = rag_fail(reterr, RAG_ENOMEM, "examples: out of memory");
    if (status == RAG_OK)
        status = models->embed(models->context, models->may_leave, models->deadline_ns,
                               (const char *const *)&copy, 1, v, reterr);
    for (size_t i = 0; i < e->n && status == RAG_OK; i++) {
        float dot = 0;

        for (size_t k = 0; k < e->dim; k++)
            dot += v[k] * e->vectors[i * e->dim + k];
        if (dot > *ret) {
            *ret = dot;
            *ret_i = i;
        }
    }
    free(copy);
    free(v);
    return status;
}

enum rag_status examples_nearest(const struct examples *e, const struct guard_models *models,
                                 const char *text, size_t n, float *ret_similarity,
                                 const char **ret_example, struct rag_error *reterr)
{
    struct sparse_vector v = {0};
    float best = -1;
    size_t at = 0;
    enum rag_status status;

    if (e->vectors) {
        status = nearest_vector(e, models, text, n, &best, &at, reterr);
    } else {
        status = vector_of(e, text, n, &v);
        if (status != RAG_OK)
            rag_fail(reterr, status, "examples: a text of %zu bytes cannot be analysed", n);
        for (size_t i = 0; i < e->n && status == RAG_OK; i++) {
            float cosine = sparse_vector_cosine(&v, &e->sparse[i]);

            if (cosine > best) {
                best = cosine;
                at = i;
            }
        }
        sparse_vector_release(&v);
    }
    if (status == RAG_OK) {
        *ret_similarity = best < 0 ? 0 : best > 1 ? 1 : best;
        *ret_example = e->items[at];
    }
    return status;
}
