/* retrieve/bm25_codec.h - how a posting list is laid out in bytes.
 *
 * A list holds n postings (doc, tf), docs ascending, in blocks of 128; the last
 * block may be shorter. In a segment's list area, 4-byte aligned:
 *
 *     u32 n                        >= 2 (a single posting lives in the dictionary)
 *     struct bm25_block[n_blocks]  n_blocks = ceil(n / 128)
 *     u32 words of the blocks      block i begins at word blocks[i].word
 *
 * A full block stores doc[i] - doc[i - 4] (the first four: minus the end of the
 * block before) and tf codes in four interleaved lanes, so that a 128-bit register
 * unpacks and sums four values at once: one more bit per posting than single gaps,
 * a quarter of the work. A short block stores single gaps minus one, packed in a
 * row. A tf code is (tf >> tf_shift) - 1: a block of single occurrences costs no bit.
 *
 * Each block knows two (tf, length) pairs, and every posting of the block has a tf
 * no larger and a length no smaller than one of them. A bound computed from them
 * holds for any number of passages and any average length.
 *
 * Source: Lemire and Boytsov, "Decoding billions of integers per second through
 * vectorization", 2015 (the four-lane layout). Thread-safe. */
#ifndef RAG_RETRIEVE_BM25_CODEC_H
#define RAG_RETRIEVE_BM25_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BM25_BLOCK           128u
#define BM25_BLOCK_WORDS_MAX (4u * (32u + 12u)) /* 32 bits of doc, 12 of tf, 128 times */
#define BM25_LIST_PAD        8u                 /* readable bytes after the last list */

struct bm25_block {
    uint32_t last; /* its largest doc */
    uint32_t word; /* where its words begin */
    uint16_t tf[2];
    uint16_t len[2]; /* lengths above 65535 are stored as 65535: a bound may be loose */
    uint8_t doc_bits;
    uint8_t tf_bits;
    uint8_t tf_shift;
    uint8_t zero;
};

struct bm25_list {
    uint32_t n;
    uint32_t n_blocks;
    const struct bm25_block *blocks; /* NULL: the one posting below */
    const uint32_t *words;
    uint32_t one_doc;
    uint32_t one_tf;
};

static inline uint32_t bm25_n_blocks(uint32_t n)
{
    return n / BM25_BLOCK + (n % BM25_BLOCK != 0);
}

static inline uint32_t bm25_block_n(const struct bm25_list *list, uint32_t i)
{
    return i + 1 < list->n_blocks ? BM25_BLOCK : list->n - i * BM25_BLOCK;
}

/* Words that a block of n postings takes. */
size_t bm25_block_words(uint32_t n, unsigned doc_bits, unsigned tf_bits);

/* Encode n (1..128) postings, docs ascending and >= base (0, or the last doc of the
 * block before plus 1). Fills last and the bit fields of *ret_block, writes at most
 * BM25_BLOCK_WORDS_MAX words and returns how many. */
size_t bm25_block_encode(const uint32_t *docs, const uint16_t *tfs, uint32_t n, uint32_t base,
                         struct bm25_block *ret_block, uint32_t *ret_words);

/* Decode block i; returns its number of postings. The list must have been checked. */
uint32_t bm25_block_decode(const struct bm25_list *list, uint32_t i, uint32_t ret_docs[BM25_BLOCK],
                           uint32_t ret_tfs[BM25_BLOCK]);

#endif
