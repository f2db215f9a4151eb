/* base/id_set.h - a set of 64-bit ids as a bitmap over [first, last]: the passages
 * that a filter keeps. Built by one thread, then read by any number. */
#ifndef RAG_BASE_ID_SET_H
#define RAG_BASE_ID_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct id_set {
    uint64_t first;  /* id of bit 0 */
    uint64_t n_bits; /* 0: the empty set */
    uint64_t n;      /* members */
    uint64_t *words; /* owned */
};

/* The set of the n ids (any order, repeats allowed). RAG_OK, RAG_ENOMEM, or
 * RAG_ELIMIT when they span more than 2^32 (512 MiB of bits). */
enum rag_status id_set_init(struct id_set *set, const uint64_t *ids, size_t n);
void id_set_release(struct id_set *set); /* a zeroed set is a no-op */

static inline bool id_set_has(const struct id_set *set, uint64_t id)
{
    uint64_t bit = id - set->first; /* an id below first wraps to a huge bit */

    return bit < set->n_bits && (set->words[bit >> 6] >> (bit & 63) & 1);
}

#endif
