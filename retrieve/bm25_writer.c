/* Writing a segment: encode lists one term after the other, then join the parts. */
#include <stdlib.h>
#include <string.h>

#include "retrieve/bm25.h"
#include "retrieve/bm25_segment.h"

#define BUCKETS 16u /* of tf / 8: passages with more than 15 occurrences share the last */

void bm25_writer_init(struct bm25_writer *w, const uint32_t *lengths, uint32_t n_docs)
{
    uint64_t total = 0;

    memset(w, 0, sizeof *w);
    w->lengths = lengths;
    for (uint32_t i = 0; i < n_docs; i++)
        total += lengths[i];
    w->mean_length = n_docs && total ? (float)total / (float)n_docs : 1.0f;
}

void bm25_writer_release(struct bm25_writer *w)
{
    free(w->terms);
    free(w->values);
    free(w->lists);
    memset(w, 0, sizeof *w);
}

static enum rag_status grow_terms(struct bm25_writer *w)
{
    size_t cap = w->terms_cap ? w->terms_cap * 2 : 64;
    uint64_t *terms = realloc(w->terms, cap * sizeof *terms);
    uint64_t *values;

    if (!terms)
        return RAG_ENOMEM;
    w->terms = terms;
    values = realloc(w->values, cap * sizeof *values);
    if (!values)
        return RAG_ENOMEM;
    w->values = values;
    w->terms_cap = cap;
    return RAG_OK;
}

static enum rag_status grow_lists(struct bm25_writer *w, size_t n)
{
    size_t cap = w->lists_cap ? w->lists_cap : 4096;
    uint8_t *lists;

    if (n > SIZE_MAX / 4 - w->lists_bytes)
        return RAG_ENOMEM;
    while (cap - w->lists_bytes < n)
        cap += cap / 2;
    if (cap == w->lists_cap)
        return RAG_OK;
    lists = realloc(w->lists, cap);
    if (!lists)
        return RAG_ENOMEM;
    w->lists = lists;
    w->lists_cap = cap;
    return RAG_OK;
}

/* How high the pair can score, at the default k1 and b: chooses pairs, bounds nothing. */
static float pair_height(const struct bm25_writer *w, uint32_t tf, uint32_t length)
{
    float norm = BM25_K1_DEFAULT * (float)BM25_TF_ONE *
                 (1.0f - BM25_B_DEFAULT + BM25_B_DEFAULT * (float)length / w->mean_length);

    return (float)tf / ((float)tf + norm);
}

/* Cover the block's (tf, length) points by two corners: split the points by tf where the
 * higher of the two corners is lowest. */
static void set_bounds(const struct bm25_writer *w, const uint32_t *docs, const uint16_t *tfs,
                       uint32_t n, struct bm25_block *block)
{
    uint32_t tf_max[BUCKETS] = {0};
    uint32_t len_min[BUCKETS];
    uint32_t high_tf = 0;
    uint32_t high_len[BUCKETS + 1]; /* over this bucket and those above */
    uint32_t low_tf = 0;
    uint32_t low_len = UINT32_MAX;
    float best = 2.0f; /* heights are <= 1 */

    memset(len_min, 0xFF, sizeof len_min);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bucket = tfs[i] / BM25_TF_ONE < BUCKETS ? tfs[i] / BM25_TF_ONE : BUCKETS - 1;
        uint32_t length = w->lengths[docs[i]];

        tf_max[bucket] = tfs[i] > tf_max[bucket] ? tfs[i] : tf_max[bucket];
        len_min[bucket] = length < len_min[bucket] ? length : len_min[bucket];
        high_tf = tfs[i] > high_tf ? tfs[i] : high_tf;
    }
    high_len[BUCKETS] = UINT32_MAX;
    for (uint32_t i = BUCKETS; i-- > 0;)
        high_len[i] = len_min[i] < high_len[i + 1] ? len_min[i] : high_len[i + 1];
    for (uint32_t i = 0; i < BUCKETS; i++) {
        float high = pair_height(w, high_tf, high_len[i]);
        float low = low_tf ? pair_height(w, low_tf, low_len) : 0.0f;
        float height = high > low ? high : low;

        if (high_len[i] == UINT32_MAX)
            break;
        if (height < best) {
            best = height;
            block->tf[0] = (uint16_t)high_tf;
            block->len[0] = (uint16_t)(high_len[i] < UINT16_MAX ? high_len[i] : UINT16_MAX);
            block->tf[1] = low_tf ? (uint16_t)low_tf : block->tf[0];
            block->len[1] = (uint16_t)(low_len < UINT16_MAX ? low_len : UINT16_MAX);
            if (!low_tf)
                block->len[1] = block->len[0];
        }
        if (tf_max[i]) {
            low_tf = tf_max[i] > low_tf ? tf_max[i] : low_tf;
            low_len = len_min[i] < low_len ? len_min[i] : low_len;
        }
    }
}

enum rag_status bm25_writer_add(struct bm25_writer *w, uint64_t term, const uint32_t *docs,
                                const uint16_t *tfs, uint32_t n)
{
    uint32_t n_blocks = bm25_n_blocks(n);
    size_t head = 4 + (size_t)n_blocks * sizeof(struct bm25_block);
    size_t words = 0;

    if (w->n_terms == w->terms_cap && grow_terms(w) != RAG_OK)
        return RAG_ENOMEM;
    w->terms[w->n_terms] = term;
    w->n_postings += n;
    if (n == 1) {
        w->values[w->n_terms++] = BM25_VALUE_ONE | (uint64_t)tfs[0] << 32 | docs[0];
        return RAG_OK;
    }
    if (grow_lists(w, head + (size_t)n_blocks * BM25_BLOCK_WORDS_MAX * 4) != RAG_OK)
        return RAG_ENOMEM;
    memcpy(w->lists + w->lists_bytes, &n, 4);
    for (uint32_t i = 0; i < n_blocks; i++) {
        uint32_t at = i * BM25_BLOCK;
        uint32_t n_here = n - at < BM25_BLOCK ? n - at : BM25_BLOCK;
        struct bm25_block block = {.word = (uint32_t)words};
        uint32_t encoded[BM25_BLOCK_WORDS_MAX];
        size_t n_words = bm25_block_encode(docs + at, tfs + at, n_here, at ? docs[at - 1] + 1 : 0,
                                           &block, encoded);

        set_bounds(w, docs + at, tfs + at, n_here, &block);
        memcpy(w->lists + w->lists_bytes + 4 + i * sizeof block, &block, sizeof block);
        memcpy(w->lists + w->lists_bytes + head + words * 4, encoded, n_words * 4);
        words += n_words;
    }
    w->values[w->n_terms++] = w->lists_bytes;
    w->lists_bytes += head + words * 4;
    return RAG_OK;
}

enum rag_status bm25_writer_finish(struct bm25_writer *w, const uint64_t *ids, uint32_t n_docs,
                                   struct bm25_segment **ret)
{
    struct bm25_shape shape = {
        .n_docs = n_docs,
        .n_terms = (uint32_t)w->n_terms,
        .lists_bytes = (w->lists_bytes + BM25_LIST_PAD + 7) / 8 * 8,
    };
    struct bm25_segment *s;
    uint8_t *at;

    if (w->n_terms > UINT32_MAX || bm25_segment_new(&shape, &s) != RAG_OK)
        return RAG_ENOMEM;
    s->n_postings = w->n_postings;
    at = s->image;
    if (n_docs) {
        memcpy(at, ids, (size_t)n_docs * 8);
        memcpy(at + (size_t)n_docs * 8, w->lengths, (size_t)n_docs * 4);
    }
    at += (const uint8_t *)s->terms - s->image;
    if (w->n_terms) {
        memcpy(at, w->terms, w->n_terms * 8);
        memcpy(at + w->n_terms * 8, w->values, w->n_terms * 8);
    }
    if (w->lists_bytes)
        memcpy(at + w->n_terms * 16, w->lists, w->lists_bytes);
    *ret = s;
    return RAG_OK;
}
