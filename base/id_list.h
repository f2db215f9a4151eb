/* base/id_list.h - 64-bit ids in the order that they came, as many as memory holds. */
#ifndef RAG_BASE_ID_LIST_H
#define RAG_BASE_ID_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct id_list {   /* a zeroed one is empty */
    uint64_t *ids; /* owned */
    size_t n;
    size_t cap;
};

/* RAG_OK, or RAG_ENOMEM: the list is as it was. */
enum rag_status id_list_add(struct id_list *list, uint64_t id);
void id_list_release(struct id_list *list); /* it is empty then */

#endif
