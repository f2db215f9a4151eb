#include "eval/metrics.h"

#include <assert.h>
#include <math.h>

#define DEPTH 10 /* of MRR and nDCG */

static double discount(size_t rank)
{
    return 1.0 / log2(1.0 + (double)rank);
}

/* DCG of the best order: the ten largest gains first. */
static double ideal_dcg(const float *gains, size_t n)
{
    float best[DEPTH] = {0};
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        float g = gains ? gains[i] : 1.0f;

        for (size_t k = 0; k < DEPTH; k++) {
            if (g > best[k]) {
                float pushed = best[k];

                best[k] = g;
                g = pushed;
            }
        }
    }
    for (size_t k = 0; k < DEPTH; k++)
        sum += (double)best[k] * discount(k + 1);
    return sum;
}

void stage_quality_add(struct stage_quality *sum, const uint32_t *ranks, const float *gains,
                       size_t n_relevant)
{
    uint32_t best = RANK_NOT_FOUND;
    double ideal = ideal_dcg(gains, n_relevant);
    double dcg = 0.0;

    assert(n_relevant > 0 && ideal > 0.0);
    for (size_t i = 0; i < n_relevant; i++) {
        if (ranks[i] == RANK_NOT_FOUND)
            continue;
        if (best == RANK_NOT_FOUND || ranks[i] < best)
            best = ranks[i];
        if (ranks[i] <= DEPTH)
            dcg += (gains ? (double)gains[i] : 1.0) * discount(ranks[i]);
    }
    sum->n++;
    if (best == RANK_NOT_FOUND)
        return;
    sum->hit_at_1 += best <= 1;
    sum->hit_at_3 += best <= 3;
    sum->hit_at_5 += best <= 5;
    sum->hit_at_10 += best <= 10;
    sum->hit_at_20 += best <= 20;
    if (best <= DEPTH)
        sum->mrr_at_10 += 1.0 / best;
    sum->ndcg_at_10 += dcg / ideal;
}

struct stage_quality stage_quality_mean(const struct stage_quality *sum)
{
    double n = sum->n > 0 ? (double)sum->n : 1.0;

    return (struct stage_quality){
        .n = sum->n,
        .hit_at_1 = sum->hit_at_1 / n,
        .hit_at_3 = sum->hit_at_3 / n,
        .hit_at_5 = sum->hit_at_5 / n,
        .hit_at_10 = sum->hit_at_10 / n,
        .hit_at_20 = sum->hit_at_20 / n,
        .mrr_at_10 = sum->mrr_at_10 / n,
        .ndcg_at_10 = sum->ndcg_at_10 / n,
    };
}

double metrics_share(size_t part, size_t whole)
{
    return whole > 0 ? (double)part / (double)whole : (double)NAN;
}
