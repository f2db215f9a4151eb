/* Checking an image that came from a file: nothing in it is believed. */
#include <inttypes.h>

#include "base/bounds.h"
#include "retrieve/bm25_kernels.h"
#include "retrieve/bm25_segment.h"

/* Is every posting covered by one of the block's two corners? */
static bool block_bounds_hold(const struct bm25_segment *s, const struct bm25_block *block,
                              const uint32_t *docs, const uint32_t *tfs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t length = s->lengths[docs[i]];
        bool high = tfs[i] <= block->tf[0] && length >= block->len[0];
        bool low = tfs[i] <= block->tf[1] && length >= block->len[1];

        if (!high && !low)
            return false;
    }
    return true;
}

static bool block_fits(const struct bm25_block *block, uint32_t n, uint64_t n_words)
{
    /* four gaps of a full block sum to at least 4, so it has at least 3 bits */
    if (block->doc_bits > 32 || block->tf_bits > 12 || block->tf_shift > 3 || block->zero != 0 ||
        (n == BM25_BLOCK && block->doc_bits < 3))
        return false;
    return block->word <= n_words &&
           bm25_block_words(n, block->doc_bits, block->tf_bits) <= n_words - block->word;
}

static bool postings_hold(const struct bm25_segment *s, const uint32_t *docs, const uint32_t *tfs,
                          uint32_t n, uint32_t from)
{
    for (uint32_t i = 0; i < n; i++) {
        if (docs[i] < from || docs[i] >= s->shape.n_docs || tfs[i] == 0 || tfs[i] > BM25_TF_MAX)
            return false;
        from = docs[i] + 1;
    }
    return true;
}

typedef enum rag_status visit_fn(void *context, uint32_t i_term, const uint32_t *docs, uint32_t n);

static enum rag_status check_list(struct bm25_segment *s, uint32_t i_term, uint64_t lists_bytes,
                                  visit_fn *visit, void *context, struct rag_error *reterr)
{
    uint64_t value = s->values[i_term];
    struct bm25_list list;
    uint64_t n_words;
    uint32_t from = 0;
    uint32_t docs[BM25_BLOCK] = {0};
    uint32_t tfs[BM25_BLOCK] = {0};

    if (!(value & BM25_VALUE_ONE)) {
        if (value % 4 != 0 || value > lists_bytes || lists_bytes - value < 4)
            goto bad;
        bm25_segment_list(s, i_term, &list);
        if (list.n < 2 || list.n > s->shape.n_docs ||
            (lists_bytes - value - 4) / sizeof(struct bm25_block) < list.n_blocks)
            goto bad;
        n_words =
            (lists_bytes - value - 4 - (uint64_t)list.n_blocks * sizeof(struct bm25_block)) / 4;
        for (uint32_t i = 0; i < list.n_blocks; i++)
            if (!block_fits(&list.blocks[i], bm25_block_n(&list, i), n_words))
                goto bad;
    } else {
        bm25_segment_list(s, i_term, &list);
    }
    for (uint32_t i = 0; i < list.n_blocks; i++) {
        uint32_t n = bm25_block_decode(&list, i, docs, tfs);
        const struct bm25_block *block = list.blocks ? &list.blocks[i] : NULL;

        if (!postings_hold(s, docs, tfs, n, from) ||
            (block && (block->last != docs[n - 1] || !block_bounds_hold(s, block, docs, tfs, n))))
            goto bad;
        from = docs[n - 1] + 1;
        if (visit && visit(context, i_term, docs, n) != RAG_OK)
            return rag_fail(reterr, RAG_ENOMEM, "bm25 index: out of memory");
    }
    s->n_postings += list.n;
    return RAG_OK;
bad:
    return rag_fail(reterr, RAG_EFORMAT, "bm25 index: the list of term %016" PRIx64 " is damaged",
                    s->terms[i_term]);
}

enum rag_status bm25_segment_check(struct bm25_segment *s, uint64_t lists_bytes_used,
                                   visit_fn *visit, void *context, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;

    if (lists_bytes_used > s->shape.lists_bytes ||
        s->shape.lists_bytes - lists_bytes_used < BM25_LIST_PAD)
        return rag_fail(reterr, RAG_EFORMAT, "bm25 index: lists of %" PRIu64 " bytes in %" PRIu64,
                        lists_bytes_used, s->shape.lists_bytes);
    for (uint32_t i = 1; i < s->shape.n_docs; i++)
        if (s->ids[i - 1] >= s->ids[i])
            return rag_fail(reterr, RAG_EFORMAT, "bm25 index: passage ids do not ascend");
    for (uint32_t i = 0; i < s->shape.n_docs; i++)
        if (s->lengths[i] > BM25_LENGTH_MAX)
            return rag_fail(reterr, RAG_EFORMAT, "bm25 index: a passage of length %" PRIu32,
                            s->lengths[i]);
    for (uint32_t i = 1; i < s->shape.n_terms; i++)
        if (s->terms[i - 1] >= s->terms[i])
            return rag_fail(reterr, RAG_EFORMAT, "bm25 index: terms do not ascend");
    s->n_postings = 0;
    for (uint32_t i = 0; i < s->shape.n_terms && status == RAG_OK; i++)
        status = check_list(s, i, lists_bytes_used, visit, context, reterr);
    return status;
}
