#include "base/id_list.h"

#include <stdlib.h>

enum rag_status id_list_add(struct id_list *list, uint64_t id)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        uint64_t *ids = realloc(list->ids, cap * sizeof *ids);

        if (!ids)
            return RAG_ENOMEM;
        list->ids = ids;
        list->cap = cap;
    }
    list->ids[list->n++] = id;
    return RAG_OK;
}

void id_list_release(struct id_list *list)
{
    free(list->ids);
    *list = (struct id_list){0};
}
