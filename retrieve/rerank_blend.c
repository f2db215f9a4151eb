#include "retrieve/rerank_blend.h"

void rerank_blend(struct passage *passages, size_t n, float w)
{
    float low = n > 0 ? passages[0].rerank_score : 0;
    float high = low;

    for (size_t i = 1; i < n; i++) {
        low = passages[i].rerank_score < low ? passages[i].rerank_score : low;
        high = passages[i].rerank_score > high ? passages[i].rerank_score : high;
    }
    for (size_t i = 0; i < n; i++) {
        struct passage *s = &passages[i];
        float words = high > low ? (s->rerank_score - low) / (high - low) : 1;

        s->rerank_score = (1 - w) * (s->cross_read ? s->cross_score : 0) + w * words;
    }
    passages_by_rerank(passages, n);
    for (size_t i = 0; i < n; i++)
        passages[i].rerank_rank = (uint32_t)i + 1;
}
