#include "nn/tokenizer_trie.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TRIES_PER_NODE 32 /* free places looked at before a node goes to the end of the array */

static int compare_keys(const void *a, const void *b)
{
    const struct trie_key *x = a;
    const struct trie_key *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int order = memcmp(x->bytes, y->bytes, n);

    if (order != 0)
        return order;
    if (x->n != y->n)
        return x->n < y->n ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

/* The children of one node, still to be placed: keys [first, last) share 'depth' bytes. */
struct pending {
    uint32_t node;
    uint32_t first;
    uint32_t last;
    uint32_t depth;
};

struct builder {
    struct trie_slot *slots;
    size_t n; /* slots in use or free below this */
    size_t cap;
    /* Free slots are a ring through slot 0 (which is never free): while a slot is free, its base is
     * the next one and its value the one before. */
    uint32_t root_base;
    struct pending *stack;
    size_t n_stack;
    size_t cap_stack;
};

static enum rag_status reach(struct builder *b, size_t n)
{
    struct trie_slot *slots;
    size_t cap = b->cap ? b->cap : 1024;

    if (n > b->cap) {
        if (n > UINT32_MAX / 2)
            return RAG_ELIMIT;
        while (cap < n)
            cap *= 2;
        slots = realloc(b->slots, cap * sizeof *slots);
        if (!slots)
            return RAG_ENOMEM;
        b->slots = slots;
        b->cap = cap;
    }
    for (; b->n < n; b->n++) {
        uint32_t slot = (uint32_t)b->n;

        if (slot == TRIE_ROOT) {
            b->slots[slot] = (struct trie_slot){TRIE_ROOT, TRIE_TAKEN, TRIE_ROOT};
            continue;
        }
        b->slots[slot] = (struct trie_slot){TRIE_ROOT, TRIE_NONE, b->slots[TRIE_ROOT].value};
        b->slots[b->slots[TRIE_ROOT].value].base = slot;
        b->slots[TRIE_ROOT].value = slot;
    }
    return RAG_OK;
}

static void take(struct builder *b, size_t slot, uint32_t parent)
{
    struct trie_slot *s = &b->slots[slot];

    b->slots[s->value].base = s->base;
    b->slots[s->base].value = s->value;
    *s = (struct trie_slot){0, parent, TRIE_NONE};
}

static enum rag_status push(struct builder *b, struct pending p)
{
    if (b->n_stack == b->cap_stack) {
        size_t cap = b->cap_stack ? b->cap_stack * 2 : 1024;
        struct pending *stack = realloc(b->stack, cap * sizeof *stack);

        if (!stack)
            return RAG_ENOMEM;
        b->stack = stack;
        b->cap_stack = cap;
    }
    b->stack[b->n_stack++] = p;
    return RAG_OK;
}

static bool fits(const struct builder *b, size_t base, const unsigned char *labels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t slot = base + labels[i];

        if (slot < b->n && b->slots[slot].parent != TRIE_NONE)
            return false;
    }
    return true;
}

/* A base under which all labels (ascending) are free. */
static size_t find_base(const struct builder *b, const unsigned char *labels, size_t n)
{
    uint32_t slot = b->slots[TRIE_ROOT].base;

    for (size_t tries = 0; slot != TRIE_ROOT && tries < TRIES_PER_NODE; tries++) {
        if (slot >= labels[0] && fits(b, slot - labels[0], labels, n))
            return slot - labels[0];
        slot = b->slots[slot].base;
    }
    return b->n > labels[0] ? b->n - labels[0] : 0;
}

/* Place the children of p.node, and put them on the stack. */
static enum rag_status place(struct builder *b, const struct trie_key *keys, struct pending p)
{
    unsigned char labels[256];
    uint32_t begins[257];
    uint32_t value = TRIE_NONE;
    size_t n = 0;
    size_t base;
    enum rag_status status;

    while (p.first < p.last && keys[p.first].n == p.depth)
        value = keys[p.first++].value;
    if (p.node != TRIE_ROOT)
        b->slots[p.node].value = value;
    if (p.first == p.last)
        return RAG_OK;
    for (uint32_t i = p.first; i < p.last; i++) {
        unsigned char label = (unsigned char)keys[i].bytes[p.depth];

        if (n == 0 || labels[n - 1] != label) {
            labels[n] = label;
            begins[n++] = i;
        }
    }
    begins[n] = p.last;
    base = find_base(b, labels, n);
    status = reach(b, base + labels[n - 1] + 1);
    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        take(b, base + labels[i], p.node);
    if (p.node == TRIE_ROOT)
        b->root_base = (uint32_t)base; /* its own fields hold the ring */
    else
        b->slots[p.node].base = (uint32_t)base;
    for (size_t i = n; i-- > 0 && status == RAG_OK;)
        status = push(b, (struct pending){(uint32_t)(base + labels[i]), begins[i], begins[i + 1],
                                          p.depth + 1});
    return status;
}

enum rag_status trie_build(struct trie_key *keys, size_t n, struct trie *ret)
{
    struct builder b = {0};
    enum rag_status status;
    size_t empty = 0;

    assert(n < UINT32_MAX);
    if (n > 0)
        qsort(keys, n, sizeof *keys, compare_keys);
    while (empty < n && keys[empty].n == 0)
        empty++;
    if (empty == n) {
        *ret = (struct trie){NULL, 0};
        return RAG_OK;
    }
    status = reach(&b, 1);
    if (status == RAG_OK)
        status = push(&b, (struct pending){TRIE_ROOT, (uint32_t)empty, (uint32_t)n, 0});
    while (status == RAG_OK && b.n_stack > 0)
        status = place(&b, keys, b.stack[--b.n_stack]);
    free(b.stack);
    if (status != RAG_OK) {
        free(b.slots);
        return status;
    }
    b.slots[TRIE_ROOT] = (struct trie_slot){b.root_base, TRIE_TAKEN, TRIE_NONE};
    for (size_t i = 1; i < b.n; i++) {
        if (b.slots[i].parent == TRIE_NONE)
            b.slots[i] = (struct trie_slot){0, TRIE_NONE, TRIE_NONE};
    }
    *ret = (struct trie){b.slots, b.n};
    return RAG_OK;
}

void trie_release(struct trie *t)
{
    free(t->slots);
    t->slots = NULL;
    t->n = 0;
}

uint32_t trie_find(const struct trie *t, const char *bytes, size_t n)
{
    uint32_t node = TRIE_ROOT;

    if (!t->slots || n == 0)
        return TRIE_NONE;
    for (size_t i = 0; i < n && node != TRIE_NONE; i++)
        node = trie_next(t, node, (unsigned char)bytes[i]);
    return node == TRIE_NONE ? TRIE_NONE : t->slots[node].value;
}

uint32_t trie_longest(const struct trie *t, const char *s, size_t n, size_t *ret_n)
{
    uint32_t node = TRIE_ROOT;
    uint32_t value = TRIE_NONE;

    if (!t->slots)
        return TRIE_NONE;
    for (size_t i = 0; i < n; i++) {
        node = trie_next(t, node, (unsigned char)s[i]);
        if (node == TRIE_NONE)
            break;
        if (t->slots[node].value != TRIE_NONE) {
            value = t->slots[node].value;
            *ret_n = i + 1;
        }
    }
    return value;
}
