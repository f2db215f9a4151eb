/* Vectors to search for bench_vectors, and what a search should find. */
#ifndef RAG_BENCH_VECTORS_DATA_H
#define RAG_BENCH_VECTORS_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VECTORS_K 10 /* recall@10 */

struct vectors_data {
    size_t n;
    size_t dim;
    size_t n_queries;
    float *vectors; /* [n, dim], unit length; row i has id i + 1 */
    float *queries; /* [n_queries, dim] */
    char what[256]; /* in words */
};

/* n vectors around n / 200 centres (seeded). All with falling variance over the dimensions, as
 * embeddings have: centre and noise are Gaussian with deviation (1 + i / 8)^-1/2 in dimension i,
 * noise times 'noise'. Queries come from the same mixture. */
bool vectors_clustered(struct vectors_data *d, size_t n, size_t dim, size_t n_queries, float noise);
/* Raw float32 files. queries NULL: the last n_queries vectors of 'path'. n 0: all. */
bool vectors_raw(struct vectors_data *d, const char *path, const char *queries, size_t n,
                 size_t dim, size_t n_queries);
/* The first n + n_queries distinct "text" (or "en") members of a JSONL file, embedded by the model
 * in 'dir'; the last ones ask. Embeddings are kept in 'cache' (NULL: nowhere) as raw float32. */
bool vectors_text(struct vectors_data *d, const char *path, const char *dir, const char *cache,
                  size_t n, size_t n_queries, size_t n_threads);
void vectors_release(struct vectors_data *d);

/* The k best of each query, computed in float32 from every vector. */
struct vectors_truth {
    uint32_t *rows; /* [n_queries, VECTORS_K] */
    float *least;   /* [n_queries]: the score of the last; another row of that score is as good */
    size_t *n;      /* [n_queries]: how many there are */
};

/* truths[f] for kept[f] (a byte per row; NULL: all). */
bool vectors_find(const struct vectors_data *d, const uint8_t *const *kept, size_t n_filters,
                  struct vectors_truth *truths);
void vectors_truth_release(struct vectors_truth *truth);

float vectors_product(const float *a, const float *b, size_t dim);

#endif
