#include "retrieve/passage.h"

void passages_by_rerank(struct passage *passages, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct passage s = passages[i];
        size_t at = i;

        for (; at > 0 && passages[at - 1].rerank_score < s.rerank_score; at--)
            passages[at] = passages[at - 1];
        passages[at] = s;
    }
}

int passages_compare_dense(const void *a, const void *b)
{
    const struct passage *x = *(const struct passage *const *)a;
    const struct passage *y = *(const struct passage *const *)b;

    return (x->dense_rank > y->dense_rank) - (x->dense_rank < y->dense_rank);
}
