#include "eval/permutation.h"

#include <stdbool.h>
#include <stdlib.h>

/* SeedSequence */
#define POOL_WORDS  4
#define INIT_A      0x43b0d7e5u
#define MULT_A      0x931e8875u
#define INIT_B      0x8b51f9ddu
#define MULT_B      0x58f38dedu
#define MIX_L       0xca01f9ddu
#define MIX_R       0x4973f715u
#define XSHIFT      16
#define STATE_WORDS 8 /* 256 bits: state and increment of PCG64 */

/* PCG64 */
#define PCG_MULTIPLIER_HIGH 2549297995355413924ull
#define PCG_MULTIPLIER_LOW  4865540595714422341ull

__extension__ typedef unsigned __int128 u128;

struct pcg64 {
    u128 state;
    u128 increment; /* odd */
    bool has_half;
    uint32_t half; /* the upper half of the last number, when has_half */
};

static uint32_t hash_word(uint32_t value, uint32_t *constant, uint32_t multiplier)
{
    value ^= *constant;
    *constant *= multiplier;
    value *= *constant;
    return value ^ value >> XSHIFT;
}

static uint32_t mix_words(uint32_t x, uint32_t y)
{
    uint32_t v = x * MIX_L - y * MIX_R;

    return v ^ v >> XSHIFT;
}

static void seed_sequence(uint64_t seed, uint32_t ret_state[STATE_WORDS])
{
    /* A seed is as many words as it needs, at least one; here at most two, so the
     * further words of the pool start as hashes of zero. */
    uint32_t entropy[POOL_WORDS] = {(uint32_t)seed, (uint32_t)(seed >> 32), 0, 0};
    uint32_t constant = INIT_A;
    uint32_t pool[POOL_WORDS];

    for (int i = 0; i < POOL_WORDS; i++)
        pool[i] = hash_word(entropy[i], &constant, MULT_A);
    for (int from = 0; from < POOL_WORDS; from++) {
        for (int to = 0; to < POOL_WORDS; to++) {
            if (from != to)
                pool[to] = mix_words(pool[to], hash_word(pool[from], &constant, MULT_A));
        }
    }
    constant = INIT_B;
    for (int i = 0; i < STATE_WORDS; i++)
        ret_state[i] = hash_word(pool[i % POOL_WORDS], &constant, MULT_B);
}

static uint64_t words64(const uint32_t *words)
{
    return (uint64_t)words[1] << 32 | words[0];
}

static void pcg64_step(struct pcg64 *g)
{
    g->state = g->state * ((u128)PCG_MULTIPLIER_HIGH << 64 | PCG_MULTIPLIER_LOW) + g->increment;
}

static void pcg64_init(struct pcg64 *g, uint64_t seed)
{
    uint32_t words[STATE_WORDS];

    seed_sequence(seed, words);
    g->has_half = false;
    g->half = 0;
    g->state = 0;
    g->increment = ((u128)words64(words + 4) << 64 | words64(words + 6)) << 1 | 1;
    pcg64_step(g);
    g->state += (u128)words64(words) << 64 | words64(words + 2);
    pcg64_step(g);
}

static uint64_t pcg64_next(struct pcg64 *g)
{
    uint64_t folded;
    unsigned turn;

    pcg64_step(g);
    folded = (uint64_t)(g->state >> 64) ^ (uint64_t)g->state;
    turn = (unsigned)(g->state >> 122);
    return folded >> turn | folded << (-turn & 63);
}

/* 32-bit numbers come in pairs: the lower half of a 64-bit one, then its upper half. */
static uint32_t pcg64_next32(struct pcg64 *g)
{
    uint64_t v;

    if (g->has_half) {
        g->has_half = false;
        return g->half;
    }
    v = pcg64_next(g);
    g->has_half = true;
    g->half = (uint32_t)(v >> 32);
    return (uint32_t)v;
}

/* Uniform in [0, last]: as many low bits as 'last' has, drawn again while they exceed it. */
static uint32_t bounded(struct pcg64 *g, uint32_t last)
{
    uint32_t mask = last;
    uint32_t v;

    for (unsigned shift = 1; shift < 32; shift *= 2)
        mask |= mask >> shift;
    do
        v = pcg64_next32(g) & mask;
    while (v > last);
    return v;
}

enum rag_status permutation_make(size_t n, uint64_t seed, uint32_t **ret)
{
    struct pcg64 g;
    uint32_t *order;

    if (n > PERMUTATION_MAX)
        return RAG_ELIMIT;
    order = malloc((n ? n : 1) * sizeof *order);
    if (!order)
        return RAG_ENOMEM;
    pcg64_init(&g, seed);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n; i-- > 1;) {
        uint32_t j = bounded(&g, (uint32_t)i);
        uint32_t swapped = order[i];

        order[i] = order[j];
        order[j] = swapped;
    }
    *ret = order;
    return RAG_OK;
}
