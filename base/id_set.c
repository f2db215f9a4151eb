#include "base/id_set.h"

#include <stdlib.h>
#include <string.h>

#define SPAN_MAX (1ull << 32)

enum rag_status id_set_init(struct id_set *set, const uint64_t *ids, size_t n)
{
    uint64_t first = UINT64_MAX;
    uint64_t last = 0;

    memset(set, 0, sizeof *set);
    if (n == 0)
        return RAG_OK;
    for (size_t i = 0; i < n; i++) {
        first = ids[i] < first ? ids[i] : first;
        last = ids[i] > last ? ids[i] : last;
    }
    if (last - first >= SPAN_MAX)
        return RAG_ELIMIT;
    set->words = calloc((size_t)((last - first) / 64 + 1), sizeof *set->words);
    if (!set->words)
        return RAG_ENOMEM;
    set->first = first;
    set->n_bits = last - first + 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t bit = ids[i] - first;
        uint64_t mask = 1ull << (bit & 63);

        set->n += !(set->words[bit >> 6] & mask);
        set->words[bit >> 6] |= mask;
    }
    return RAG_OK;
}

void id_set_release(struct id_set *set)
{
    if (!set)
        return;
    free(set->words);
    memset(set, 0, sizeof *set);
}
