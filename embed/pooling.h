/* embed/pooling.h - the states of a text's tokens -> one vector.
 *
 *     mean:  v[d] = sum_t states[t, d] / n_tokens
 *     cls:   v[d] = states[0, d]
 *     max:   v[d] = max_t states[t, d]
 *
 * All tokens count, special ones included, as in sentence-transformers (Reimers and Gurevych,
 * "Sentence-BERT", 2019, section 3). Allocates nothing, keeps no state: safe from any thread. */
#ifndef RAG_EMBED_POOLING_H
#define RAG_EMBED_POOLING_H

#include <stddef.h>

#include "base/status.h"

enum pooling { POOLING_MEAN, POOLING_CLS, POOLING_MAX };

const char *pooling_name(enum pooling pooling); /* "mean", "cls", "max" */
/* RAG_OK or RAG_EINVAL. */
enum rag_status pooling_parse(const char *name, enum pooling *ret);

/* states [n_tokens, dim] row-major, n_tokens >= 1; ret_vector [dim], not normalised. Sums of the
 * mean run in double, in order of the tokens. */
void pooling_apply(enum pooling pooling, const float *states, size_t n_tokens, size_t dim,
                   float *ret_vector);

/* vector[0..dim) scaled to length 1, in place: v / |v|_2, lengths in double. RAG_OK, or
 * RAG_ENUMERIC and nothing is changed: a value is NaN or infinite, or all are 0. Such a vector
 * must never reach an index, where NaN breaks the order that every search relies on. */
enum rag_status pooling_normalise(float *vector, size_t dim);

#endif
