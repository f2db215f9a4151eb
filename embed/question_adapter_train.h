/* embed/question_adapter_train.h - learn a question adapter from pairs of question and passage.
 *
 * Minimises, over batches of pairs (q_i, p_i), the loss of multiple-negatives ranking (InfoNCE)
 *
 *     L = mean_i -log( exp(s_ii / t) / sum_j exp(s_ij / t) ) + decay / 2 * |W - I|_F^2
 *     s_ij = q'_i . p_j,   q' = W q / |W q|
 *
 * where j runs over the right passages of the batch, the hard negatives of its pairs and some other
 * passages by chance, but for those that are right for i too: the same passage, one with an equal
 * vector, one in the pair's 'right' range. Adam, seeded shuffles, sgemm on the caller's thread: the
 * same pairs, options and machine give the same adapter.
 *
 * A part of the pairs (whole groups of them) is not learned from but watched: the step with the
 * best mean reciprocal rank there is kept, and only when its gain over no adapter is more than
 * ADAPTER_GAIN_ERRORS of its standard errors; else the result is the identity. Whether it is worth
 * installing others measure, on pairs that are not given here.
 *
 * Sources: Henderson et al., "Efficient Natural Language Response Suggestion for Smart Reply",
 * 2017, section 4.4 (the loss); Kingma and Ba, "Adam", 2015, algorithm 1. */
#ifndef RAG_EMBED_QUESTION_ADAPTER_TRAIN_H
#define RAG_EMBED_QUESTION_ADAPTER_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "embed/question_adapter.h"

#define ADAPTER_NO_PASSAGE UINT32_MAX

struct adapter_range {
    uint32_t first;
    uint32_t last; /* included */
};

/* Vectors are unit length, by rows; all is borrowed. */
struct adapter_pairs {
    size_t dim;
    const float *questions; /* [n, dim] */
    size_t n;
    const float *passages; /* [n_passages, dim]: right ones, and any others of the collection */
    size_t n_passages;
    const uint32_t *positives; /* [n]: the row of the right passage */
    /* [n]: rows that answer it as well (neighbours of the right one); NULL: none */
    const struct adapter_range *right;
    const uint32_t *negatives; /* [n, n_negatives]: rows, or ADAPTER_NO_PASSAGE; NULL: none */
    size_t n_negatives;        /* a question; at most ADAPTER_NEGATIVES_MAX */
    /* [n]: pairs with one number (of one document) are learned from or watched together; NULL:
     * each by itself */
    const uint32_t *groups;
};

struct adapter_options {
    size_t rank;          /* 0: full */
    double temperature;   /* t */
    double decay;         /* towards the identity */
    double learning_rate; /* of Adam; falls to 0 as a cosine */
    size_t batch;         /* pairs */
    size_t others;        /* passages by chance beside those of the batch */
    size_t steps_max;     /* at most ADAPTER_STEPS_MAX */
    size_t patience;      /* looks at the watched pairs without a better one, then it ends */
    double watched;       /* part of the pairs, 0 < . < 1 */
    uint64_t seed;
    /* Told after each step, with the loss of its batch; returns false to stop: RAG_ECANCELLED.
     * NULL: nobody is told. */
    bool (*progress)(void *context, size_t step, size_t steps, double loss);
    void *context;
};

struct adapter_report {
    bool learned;     /* else the adapter is the identity */
    size_t n_learned; /* pairs learned from */
    size_t n_watched; /* pairs that chose the step */
    size_t n_columns; /* passages that those were ranked among */
    size_t steps;     /* taken */
    size_t best_step; /* kept; 0: none */
    double
        mrr_before; /* of the watched pairs, over all columns; how it was chosen, so no measure */
    double mrr_after;
    double gain_error; /* standard error of mrr_after - mrr_before, paired */
    double loss_first; /* of the first batch */
    double loss_last;
    double distance; /* |W - I|_F */
};

/* What is usual for n pairs of that width: the full map where the limits allow it, else the widest
 * rank; more steps for more pairs; seed 1, no progress. */
void adapter_options_default(size_t dim, size_t n, struct adapter_options *ret);

/* RAG_OK also when nothing was learned. RAG_EINVAL: fewer than ADAPTER_PAIRS_MIN pairs, a row that
 * is not there, a vector that is not of unit length, options out of range; RAG_ELIMIT: more than
 * ADAPTER_PAIRS_MAX, ADAPTER_PASSAGES_MAX, ADAPTER_WEIGHTS_MAX; RAG_ECANCELLED; RAG_ENUMERIC: the
 * loss is no number any more (the learning rate is too high); RAG_ENOMEM. */
enum rag_status question_adapter_train(const struct adapter_pairs *pairs,
                                       const struct adapter_options *options,
                                       struct question_adapter **ret,
                                       struct adapter_report *ret_report, struct rag_error *reterr);

#endif
