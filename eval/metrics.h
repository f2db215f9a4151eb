/* eval/metrics.h - how good ranked lists are, given which entries were wanted.
 *
 * For one question with R relevant documents of which r_1 < r_2 < ... are the 1-based ranks
 * of those that were found:
 *
 *   hit@k   = 1 if r_1 <= k, else 0
 *   MRR@10  = 1 / r_1 if r_1 <= 10, else 0               (Voorhees, TREC-8 QA track, 1999)
 *   nDCG@10 = sum over r_i <= 10 of g_i / log2(1 + r_i)
 *             / sum over i = 1 .. min(R, 10) of h_i / log2(1 + i)
 *             (Järvelin and Kekäläinen, TOIS 2002), where g_i is the gain of the document at
 *             r_i (its grade; 1 where there are no grades) and h the gains in descending order
 *
 * and each figure of a stage is the mean over its questions. Pure; not thread-safe. */
#ifndef RAG_EVAL_METRICS_H
#define RAG_EVAL_METRICS_H

#include <stddef.h>
#include <stdint.h>

#define RANK_NOT_FOUND 0u

struct stage_quality {
    size_t n; /* questions */
    double hit_at_1;
    double hit_at_3;
    double hit_at_5;
    double hit_at_10;
    double hit_at_20;
    double mrr_at_10;
    double ndcg_at_10;
};

/* Add one question to sums (a zeroed struct is the empty sum). ranks[n_relevant], each
 * RANK_NOT_FOUND or a rank from 1, in any order; gains[n_relevant] > 0, or NULL: all 1;
 * n_relevant >= 1. */
void stage_quality_add(struct stage_quality *sum, const uint32_t *ranks, const float *gains,
                       size_t n_relevant);
/* The means of a sum; all 0 when there was no question. */
struct stage_quality stage_quality_mean(const struct stage_quality *sum);

/* tp / (tp + other), or NAN when nothing is counted (0 / 0). */
double metrics_share(size_t part, size_t whole);

#endif
