/* embed/question_adapter.h - a linear map of questions' vectors, learned on a collection's own
 * text.
 *
 *     q' = W q / |W q|,    W = I + D  (rank 0)   or   W = I + A B  (rank r)
 *     D [dim, dim], D[i][j] from input j to output i;    A [dim, r], B [r, dim]
 *
 * Only questions are mapped, so no passage is embedded again. All rows are kept by rows; outside
 * they are float16, little-endian, D or A and then B: what is far smaller than 1 beside the
 * identity loses nothing that counts. An adapter that is not being trained is immutable and may be
 * used by any number of threads.
 *
 * Source of the idea: a linear map from one space to another, near an identity (Mikolov, Le and
 * Sutskever, "Exploiting Similarities among Languages for Machine Translation", 2013, section 4);
 * A B of a small inner width is LoRA's form (Hu et al. 2021, section 4.1). */
#ifndef RAG_EMBED_QUESTION_ADAPTER_H
#define RAG_EMBED_QUESTION_ADAPTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct question_adapter {
    size_t dim;
    size_t rank;    /* 0: D; else of A B */
    float *weights; /* owned, [question_adapter_n_weights()] */
};

/* Numbers of D, or of A and B; 0 when the limits of base/bounds.h do not allow such an adapter
 * (ADAPTER_WEIGHTS_MAX, ADAPTER_RANK_MAX; a rank of dim or more is none). */
size_t question_adapter_n_weights(size_t dim, size_t rank);
/* The identity. RAG_ELIMIT names dim, rank and the limit; RAG_ENOMEM. */
enum rag_status question_adapter_new(size_t dim, size_t rank, struct question_adapter **ret,
                                     struct rag_error *reterr);
void question_adapter_free(struct question_adapter *a); /* NULL is a no-op */

/* q [dim], unit -> ret [dim], unit; ret is not q. The result of one adapter and q is the same on
 * every machine. False when W q has no usable length: then ret is q. */
bool question_adapter_apply(const struct question_adapter *a, const float *q, float *ret);

/* Of the weights: 2 * n_weights bytes. */
void question_adapter_encode(const struct question_adapter *a, uint8_t *ret);
/* RAG_EINVAL: another number of bytes, a weight that is not finite (both are named); RAG_ELIMIT,
 * RAG_ENOMEM as above. */
enum rag_status question_adapter_decode(size_t dim, size_t rank, const uint8_t *bytes,
                                        size_t n_bytes, struct question_adapter **ret,
                                        struct rag_error *reterr);

#endif
