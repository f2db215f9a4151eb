/* nn/tokenizer_trie.h - byte strings to numbers, walked byte by byte: a double-array trie.
 *
 * Child c of node x is slot base[x] + c, if that slot's parent is x (Aoe 1989, "An Efficient
 * Digital Search Algorithm by Using a Double-Array Structure"). Immutable once built. */
#ifndef RAG_NN_TOKENIZER_TRIE_H
#define RAG_NN_TOKENIZER_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define TRIE_ROOT  0u
#define TRIE_NONE  UINT32_MAX       /* no such node; also: no value here */
#define TRIE_TAKEN (UINT32_MAX - 1) /* parent of the root */

struct trie_slot {
    uint32_t base;
    uint32_t parent; /* TRIE_NONE: free */
    uint32_t value;  /* TRIE_NONE: no key ends here */
};

struct trie {
    struct trie_slot *slots; /* owned; NULL: no keys */
    size_t n;
};

struct trie_key {
    const char *bytes;
    uint32_t n;
    uint32_t value;
};

/* Sorts keys in place. Empty keys are left out; of equal keys the one with the largest value
 * counts. RAG_OK, RAG_ENOMEM, RAG_ELIMIT (more than 2^31 slots). */
enum rag_status trie_build(struct trie_key *keys, size_t n, struct trie *ret);
void trie_release(struct trie *t);

static inline uint32_t trie_next(const struct trie *t, uint32_t node, unsigned char byte)
{
    size_t slot = (size_t)t->slots[node].base + byte;

    return slot < t->n && t->slots[slot].parent == node ? (uint32_t)slot : TRIE_NONE;
}

/* The value of exactly these bytes, or TRIE_NONE. */
uint32_t trie_find(const struct trie *t, const char *bytes, size_t n);
/* The longest key at the start of s; *ret_n is its length. TRIE_NONE: none. */
uint32_t trie_longest(const struct trie *t, const char *s, size_t n, size_t *ret_n);

#endif
