/* embed/question_adapter_loss.h - loss and gradient of one batch (of question_adapter_train.h). */
#ifndef RAG_EMBED_QUESTION_ADAPTER_LOSS_H
#define RAG_EMBED_QUESTION_ADAPTER_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "embed/question_adapter.h"

/* A column that does not count for a row: right as well. */
struct adapter_mask {
    uint32_t row;
    uint32_t column;
};

struct adapter_batch {
    const float *questions; /* [n, dim], borrowed as all here */
    size_t n;
    const float *passages; /* [n_columns, dim], distinct */
    size_t n_columns;
    const uint32_t *right; /* [n]: a column */
    const struct adapter_mask *masks;
    size_t n_masks;
};

/* Room for the largest batch. */
struct adapter_scratch {
    float *mapped; /* [n, dim]: q'; owned, as all here */
    float *slope;  /* [n, dim]: of the loss by W q */
    float *scores; /* [n, n_columns] */
    float *inner;  /* [n, rank]: B q */
    float *inner_slope;
    float *lengths; /* [n]: |W q| */
    float *squares; /* [2, rank, rank] */
};
enum rag_status adapter_scratch_init(size_t dim, size_t rank, size_t n, size_t n_columns,
                                     struct adapter_scratch *ret, struct rag_error *reterr);
void adapter_scratch_release(struct adapter_scratch *s); /* a zeroed one is a no-op */

/* s->scores = q' p / temperature, -INFINITY where masked. */
void adapter_scores(const struct question_adapter *a, const struct adapter_batch *b,
                    double temperature, struct adapter_scratch *s);
/* L of question_adapter_train.h. ret_gradient [n_weights]: dL / dweights. */
double adapter_loss(const struct question_adapter *a, const struct adapter_batch *b,
                    double temperature, double decay, struct adapter_scratch *s,
                    float *ret_gradient);
/* |W - I|_F^2; uses s->squares. */
double adapter_distance_squared(const struct question_adapter *a, struct adapter_scratch *s);

#endif
