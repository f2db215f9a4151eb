/* Passages with more than one owner: a small hash table; almost every id is not in it. */
#include <stdlib.h>
#include <string.h>

#include "retrieve/bm25_index.h"

static size_t slot_of(const struct bm25_owners *owners, uint64_t id)
{
    /* Fibonacci hashing spreads consecutive ids */
    return (size_t)((id * 0x9E3779B97F4A7C15ull) >> 20) & (owners->cap - 1);
}

/* The slot of the id, or the free one where it would go. cap > 0. */
static size_t probe(const struct bm25_owners *owners, uint64_t id)
{
    size_t i = slot_of(owners, id);

    while (owners->slots[i].n && owners->slots[i].id != id)
        i = (i + 1) & (owners->cap - 1);
    return i;
}

uint32_t bm25_owners_get(const struct bm25_owners *owners, uint64_t id)
{
    size_t i;

    if (owners->cap == 0)
        return 1;
    i = probe(owners, id);
    return owners->slots[i].n ? owners->slots[i].n : 1;
}

enum rag_status bm25_owners_copy(const struct bm25_owners *owners, struct bm25_owners *ret)
{
    *ret = *owners;
    if (owners->cap == 0)
        return RAG_OK;
    ret->slots = malloc(owners->cap * sizeof *ret->slots);
    if (!ret->slots) {
        memset(ret, 0, sizeof *ret);
        return RAG_ENOMEM;
    }
    memcpy(ret->slots, owners->slots, owners->cap * sizeof *ret->slots);
    return RAG_OK;
}

enum rag_status bm25_owners_reserve(struct bm25_owners *owners, size_t n)
{
    struct bm25_owners bigger = {.cap = owners->cap ? owners->cap : 16};

    if (n > SIZE_MAX / 64 - owners->n)
        return RAG_ENOMEM;
    while (bigger.cap / 2 < owners->n + n)
        bigger.cap *= 2;
    if (bigger.cap == owners->cap)
        return RAG_OK;
    bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots)
        return RAG_ENOMEM;
    for (size_t i = 0; i < owners->cap; i++)
        if (owners->slots[i].n)
            bm25_owners_set(&bigger, owners->slots[i].id, owners->slots[i].n);
    free(owners->slots);
    *owners = bigger;
    return RAG_OK;
}

/* Free slot i and move later entries of its run back over the hole. */
static void remove_slot(struct bm25_owners *owners, size_t i)
{
    size_t mask = owners->cap - 1;
    size_t hole = i;

    owners->slots[hole].n = 0;
    for (size_t j = (i + 1) & mask; owners->slots[j].n; j = (j + 1) & mask) {
        size_t home = slot_of(owners, owners->slots[j].id);

        /* may only move when its home is not after the hole on the way to j */
        if (((j - home) & mask) < ((j - hole) & mask))
            continue;
        owners->slots[hole] = owners->slots[j];
        owners->slots[j].n = 0;
        hole = j;
    }
    owners->n--;
}

void bm25_owners_set(struct bm25_owners *owners, uint64_t id, uint32_t n_owners)
{
    size_t i;

    if (owners->cap == 0)
        return;
    i = probe(owners, id);
    if (n_owners <= 1) {
        if (owners->slots[i].n)
            remove_slot(owners, i);
        return;
    }
    owners->n += owners->slots[i].n == 0;
    owners->slots[i] = (struct bm25_owner){.id = id, .n = n_owners};
}
