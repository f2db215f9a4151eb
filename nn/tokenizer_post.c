/* What happens to the ids of both sequences at the end: truncation, then the special tokens. */
#include <string.h>

#include "nn/tokenizer_internal.h"

/* The reference's "longest first" (utils/truncation.rs). It tokenizes each sequence only up to the
 * end of the word that reaches max_length, and calls the one longer that is longer so far; that
 * decides which one gets the odd token of the budget. stop_* are those lengths. */
void truncation_lengths(size_t n_first, size_t n_second, size_t stop_first, size_t stop_second,
                        bool pair, size_t budget, size_t *ret_first, size_t *ret_second)
{
    size_t n1 = stop_first;
    size_t n2 = stop_second;
    bool swap = false;

    *ret_first = n_first;
    *ret_second = n_second;
    if (n_first + n_second <= budget)
        return;
    if (budget == 0) {
        *ret_first = 0;
        *ret_second = 0;
        return;
    }
    if (!pair) {
        *ret_first = budget;
        return;
    }
    if (n1 > n2) {
        swap = true;
        n1 = stop_second;
        n2 = stop_first;
    }
    if (n1 > budget)
        n2 = n1;
    else
        n2 = n1 > budget - n1 ? n1 : budget - n1;
    if (n1 + n2 > budget) {
        n1 = budget / 2;
        n2 = n1 + budget % 2;
    }
    *ret_first = swap ? n2 : n1;
    *ret_second = swap ? n1 : n2;
    if (*ret_first > n_first)
        *ret_first = n_first;
    if (*ret_second > n_second)
        *ret_second = n_second;
}

enum rag_status template_apply(const struct template *tp, const struct id_list ids[2],
                               const size_t keep[2], bool special, struct token_list *ret)
{
    size_t n = 0;
    enum rag_status status;

    for (size_t i = 0; i < tp->n; i++)
        n += tp->items[i].kind == TEMPLATE_SPECIAL ? 1 : keep[tp->items[i].kind == TEMPLATE_SECOND];
    status = token_list_room(ret, n);
    if (status != RAG_OK)
        return status;
    n = 0;
    for (size_t i = 0; i < tp->n; i++) {
        const struct template_item *item = &tp->items[i];
        size_t which = item->kind == TEMPLATE_SECOND;

        if (item->kind != TEMPLATE_SPECIAL) {
            if (keep[which] == 0)
                continue; /* nothing may be there, not even memory */
            memcpy(ret->ids + n, ids[which].items, keep[which] * sizeof *ret->ids);
            memset(ret->types + n, item->type, keep[which]);
            n += keep[which];
        } else if (special) {
            ret->ids[n] = item->id;
            ret->types[n++] = item->type;
        }
    }
    ret->n = n;
    return RAG_OK;
}
