#include "retrieve/bm25_codec.h"

#include <string.h>

/* Four lanes; 'loose' is the same at any 4-byte boundary. */
typedef uint32_t lanes __attribute__((vector_size(16)));
typedef uint32_t loose_lanes __attribute__((vector_size(16), aligned(4), may_alias));

#define ROWS (BM25_BLOCK / 4u)

static unsigned bits_of(uint32_t v)
{
    return v ? 32u - (unsigned)__builtin_clz(v) : 0;
}

static uint32_t low_bits(unsigned bits)
{
    return bits == 0 ? 0 : UINT32_MAX >> (32u - bits);
}

size_t bm25_block_words(uint32_t n, unsigned doc_bits, unsigned tf_bits)
{
    if (n == BM25_BLOCK)
        return 4u * ((size_t)doc_bits + tf_bits);
    return ((size_t)n * doc_bits + 31) / 32 + ((size_t)n * tf_bits + 31) / 32;
}

/* Value i goes to bit 'bits * (i / stride)' of the words i % stride, + stride, ... */
static void pack(const uint32_t *values, uint32_t n, unsigned bits, uint32_t stride,
                 uint32_t *words)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bit = i / stride * bits;
        uint32_t *word = words + (size_t)(bit / 32) * stride + i % stride;
        uint32_t shift = bit % 32;

        if (bits == 0)
            return;
        *word |= values[i] << shift;
        if (shift + bits > 32)
            word[stride] |= values[i] >> (32 - shift);
    }
}

size_t bm25_block_encode(const uint32_t *docs, const uint16_t *tfs, uint32_t n, uint32_t base,
                         struct bm25_block *ret_block, uint32_t *ret_words)
{
    uint32_t gaps[BM25_BLOCK];
    uint32_t codes[BM25_BLOCK];
    uint32_t stride = n == BM25_BLOCK ? 4 : 1;
    uint32_t all_gaps = 0;
    uint32_t all_codes = 0;
    uint32_t all_tfs = 8; /* its lowest set bit is the common factor, at most 8 */
    size_t doc_words;
    size_t n_words;

    for (uint32_t i = 0; i < n; i++)
        all_tfs |= tfs[i];
    ret_block->tf_shift = (uint8_t)__builtin_ctz(all_tfs);
    for (uint32_t i = 0; i < n; i++) {
        if (stride == 4)
            gaps[i] = docs[i] - (i < 4 ? base : docs[i - 4]);
        else
            gaps[i] = docs[i] - (i == 0 ? base : docs[i - 1] + 1);
        codes[i] = ((uint32_t)tfs[i] >> ret_block->tf_shift) - 1;
        all_gaps |= gaps[i];
        all_codes |= codes[i];
    }
    ret_block->last = docs[n - 1];
    ret_block->doc_bits = (uint8_t)bits_of(all_gaps);
    ret_block->tf_bits = (uint8_t)bits_of(all_codes);
    ret_block->zero = 0;
    doc_words = bm25_block_words(n, ret_block->doc_bits, 0);
    n_words = bm25_block_words(n, ret_block->doc_bits, ret_block->tf_bits);
    memset(ret_words, 0, n_words * sizeof *ret_words);
    pack(gaps, n, ret_block->doc_bits, stride, ret_words);
    pack(codes, n, ret_block->tf_bits, stride, ret_words + doc_words);
    return n_words;
}

/* Row r of a full block: four values of 'bits' bits. */
static inline lanes unpack_row(const uint32_t *words, unsigned bits, unsigned r, lanes mask)
{
    unsigned bit = r * bits;
    unsigned shift = bit % 32;
    const loose_lanes *at = (const loose_lanes *)(const void *)(words + (size_t)(bit / 32) * 4);
    lanes v = at[0] >> shift;

    if (shift + bits > 32)
        v |= at[1] << (32 - shift);
    return v & mask;
}

static void decode_full(const uint32_t *words, const struct bm25_block *block, uint32_t base,
                        uint32_t *docs, uint32_t *tfs)
{
    uint32_t doc_mask = low_bits(block->doc_bits);
    uint32_t tf_mask = low_bits(block->tf_bits);
    lanes doc_masks = {doc_mask, doc_mask, doc_mask, doc_mask};
    lanes tf_masks = {tf_mask, tf_mask, tf_mask, tf_mask};
    lanes doc = {base, base, base, base};
    lanes one = {1, 1, 1, 1};
    unsigned bits = block->doc_bits;
    unsigned shift = block->tf_shift;

    for (unsigned r = 0; r < ROWS; r++) {
        doc += unpack_row(words, bits, r, doc_masks);
        *(loose_lanes *)(void *)(docs + 4 * r) = doc;
    }
    words += 4 * bits;
    bits = block->tf_bits;
    if (bits == 0) {
        for (uint32_t i = 0; i < BM25_BLOCK; i++)
            tfs[i] = 1u << shift;
        return;
    }
    for (unsigned r = 0; r < ROWS; r++) {
        lanes tf = (unpack_row(words, bits, r, tf_masks) + one) << shift;

        *(loose_lanes *)(void *)(tfs + 4 * r) = tf;
    }
}

/* Value i of a row-packed run: one unaligned 64-bit load holds it whole. */
static inline uint32_t unpack_one(const uint32_t *words, unsigned bits, uint32_t i, uint32_t mask)
{
    uint32_t bit = i * bits;
    uint64_t v;

    memcpy(&v, (const uint8_t *)words + bit / 8, sizeof v);
    return (uint32_t)(v >> (bit % 8)) & mask;
}

static void decode_short(const uint32_t *words, const struct bm25_block *block, uint32_t n,
                         uint32_t base, uint32_t *docs, uint32_t *tfs)
{
    uint32_t doc_mask = low_bits(block->doc_bits);
    uint32_t tf_mask = low_bits(block->tf_bits);
    const uint32_t *tf_words = words + bm25_block_words(n, block->doc_bits, 0);
    uint32_t doc = base;

    for (uint32_t i = 0; i < n; i++) {
        doc += unpack_one(words, block->doc_bits, i, doc_mask);
        docs[i] = doc++;
        tfs[i] = (unpack_one(tf_words, block->tf_bits, i, tf_mask) + 1) << block->tf_shift;
    }
}

uint32_t bm25_block_decode(const struct bm25_list *list, uint32_t i, uint32_t ret_docs[BM25_BLOCK],
                           uint32_t ret_tfs[BM25_BLOCK])
{
    const struct bm25_block *block;
    uint32_t base;
    uint32_t n;

    if (!list->blocks) {
        ret_docs[0] = list->one_doc;
        ret_tfs[0] = list->one_tf;
        return 1;
    }
    block = &list->blocks[i];
    base = i == 0 ? 0 : block[-1].last + 1;
    n = bm25_block_n(list, i);
    if (n == BM25_BLOCK)
        decode_full(list->words + block->word, block, base, ret_docs, ret_tfs);
    else
        decode_short(list->words + block->word, block, n, base, ret_docs, ret_tfs);
    return n;
}
