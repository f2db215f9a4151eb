#define _GNU_SOURCE
#include "bench_vectors_text.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/json.h"
#include "base/splitmix.h"
#include "embed/bi_encoder.h"
#include "nn/compute_pool.h"

#define WORDS_MIN 8
#define SLICE     4096u /* texts embedded at once, so that progress can be told */

struct texts {
    char **at;
    size_t n;
    size_t cap;
    uint64_t *seen; /* hashes; 0: free */
    size_t seen_cap;
};

static size_t count_words(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text != ' ' && (text[1] == ' ' || text[1] == '\0');
    return n;
}

static bool is_new(struct texts *t, const char *text)
{
    uint64_t hash = XXH3_64bits(text, strlen(text)) | 1;
    size_t i = (size_t)(hash >> 20) & (t->seen_cap - 1);

    while (t->seen[i] && t->seen[i] != hash)
        i = (i + 1) & (t->seen_cap - 1);
    if (t->seen[i])
        return false;
    t->seen[i] = hash;
    return true;
}

static bool add_line(struct texts *t, const char *line, size_t n)
{
    struct json *root = NULL;
    const char *text;
    bool ok = true;

    if (json_parse(line, n, "line", &root, NULL) != RAG_OK)
        return true; /* a bad line is left out */
    text = json_string(json_member(root, "text"));
    if (!text)
        text = json_string(json_member(root, "en"));
    if (text && count_words(text) >= WORDS_MIN && t->n < t->seen_cap / 2 && is_new(t, text)) {
        if (t->n == t->cap) {
            size_t cap = t->cap ? t->cap * 2 : 1024;
            char **at = realloc(t->at, cap * sizeof *at);

            ok = at != NULL;
            t->at = ok ? at : t->at;
            t->cap = ok ? cap : t->cap;
        }
        if (ok)
            t->at[t->n] = strdup(text);
        ok = ok && t->at[t->n++];
    }
    json_free(root);
    return ok;
}

static bool read_texts(struct texts *t, const char *path)
{
    FILE *f = fopen(path, "rb");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    bool ok = f != NULL;

    t->seen_cap = 1u << 22;
    t->seen = calloc(t->seen_cap, sizeof *t->seen);
    ok = ok && t->seen;
    while (ok && (n = getline(&line, &cap, f)) > 0)
        ok = add_line(t, line, (size_t)n);
    free(line);
    if (f)
        fclose(f);
    if (!ok)
        fprintf(stderr, "bench_vectors: '%s': cannot read (unpack .zst first)\n", path);
    return ok;
}

static void shuffle(struct texts *t)
{
    uint64_t state = 7;

    for (size_t i = t->n; i > 1; i--) {
        size_t j = (size_t)(splitmix_next(&state) % i);
        char *swap = t->at[i - 1];

        t->at[i - 1] = t->at[j];
        t->at[j] = swap;
    }
}

static bool embed(const struct bi_encoder *b, const struct texts *t, size_t n, size_t dim,
                  float *ret)
{
    struct embed_text slice[SLICE];
    struct rag_error error = {0};

    for (size_t at = 0; at < n; at += SLICE) {
        size_t n_here = n - at < SLICE ? n - at : SLICE;

        for (size_t i = 0; i < n_here; i++)
            slice[i] = (struct embed_text){t->at[at + i], strlen(t->at[at + i])};
        if (bi_encoder_embed(b, slice, n_here, EMBED_PASSAGE, NULL, ret + at * dim, NULL, &error) !=
            RAG_OK) {
            fprintf(stderr, "bench_vectors: %s\n", error.text);
            return false;
        }
        fprintf(stderr, "\r%zu of %zu embedded", at + n_here, n);
    }
    fputc('\n', stderr);
    return true;
}

static void write_cache(const char *cache, const float *vectors, size_t n)
{
    FILE *f = fopen(cache, "wb");

    if (!f || fwrite(vectors, sizeof *vectors, n, f) != n || fclose(f) != 0)
        fprintf(stderr, "bench_vectors: '%s': %s\n", cache, strerror(errno));
}

bool vectors_embed_file(const char *path, const char *dir, const char *cache, size_t n,
                        size_t n_threads, float **ret, size_t *ret_n, size_t *ret_dim)
{
    struct texts t = {0};
    struct compute_pool *pool = NULL;
    struct bi_encoder *b = NULL;
    struct bi_encoder_info info = {0};
    struct rag_error error = {0};
    float *vectors = NULL;
    bool ok = read_texts(&t, path);

    shuffle(&t);
    n = n < t.n ? n : t.n;
    if (ok) {
        struct bi_encoder_options o = {.precision = PRECISION_INT8};

        ok = compute_pool_open(n_threads, &pool, &error) == RAG_OK;
        o.pool = pool;
        ok = ok && bi_encoder_open(dir, &o, &b, &error) == RAG_OK;
        if (!ok)
            fprintf(stderr, "bench_vectors: %s\n", error.text);
    }
    if (ok) {
        bi_encoder_info(b, &info);
        vectors = malloc(n * info.dim * sizeof *vectors);
    }
    ok = vectors && embed(b, &t, n, info.dim, vectors);
    if (ok && cache)
        write_cache(cache, vectors, n * info.dim);
    bi_encoder_close(b);
    compute_pool_close(pool);
    for (size_t i = 0; i < t.n; i++)
        free(t.at[i]);
    free(t.at);
    free(t.seen);
    if (!ok) {
        free(vectors);
        return false;
    }
    *ret = vectors;
    *ret_n = n;
    *ret_dim = info.dim;
    return true;
}
