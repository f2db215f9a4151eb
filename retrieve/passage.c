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
