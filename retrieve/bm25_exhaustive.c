/* Search without pruning, windows or vector code: what bm25_search() is compared with. */
#include <stdlib.h>

#include "retrieve/bm25_query.h"

static void score_segment(const struct bm25_query *q, const struct bm25_segment *s,
                          const uint32_t *entries, int32_t *scores)
{
    for (size_t t = 0; t < q->n; t++) {
        struct bm25_list list;
        uint32_t docs[BM25_BLOCK];
        uint32_t tfs[BM25_BLOCK];

        if (entries[t] == BM25_NO_ENTRY)
            continue;
        bm25_segment_list(s, entries[t], &list);
        for (uint32_t b = 0; b < list.n_blocks; b++) {
            uint32_t n = bm25_block_decode(&list, b, docs, tfs);

            for (uint32_t i = 0; i < n; i++)
                scores[docs[i]] += bm25_part(tfs[i], s->lengths[docs[i]], q->norm, q->coefs[t]);
        }
    }
}

enum rag_status bm25_search_exhaustive(struct bm25 *index, const struct bm25_query_term *terms,
                                       size_t n_terms, const struct id_set *keep, size_t k,
                                       struct bm25_hit *ret_hits, size_t *ret_n,
                                       struct rag_error *reterr)
{
    struct bm25_view *view = bm25_view_get(index);
    struct bm25_top top = {.hits = ret_hits, .k = k};
    struct bm25_query q;
    enum rag_status status = bm25_query_init(&q, index, view, terms, n_terms, reterr);

    for (size_t i = 0; i < view->n_segments && status == RAG_OK && q.n && k; i++) {
        const struct bm25_segment *s = view->segments[i];
        int32_t *scores = calloc((size_t)s->shape.n_docs + 1, sizeof *scores);

        if (!scores) {
            status = rag_fail(reterr, RAG_ENOMEM, "bm25 query: out of memory");
            break;
        }
        score_segment(&q, s, q.entries + i * q.n, scores);
        for (uint32_t d = 0; d < s->shape.n_docs; d++)
            if (scores[d] > 0 && (!keep || id_set_has(keep, s->ids[d])) &&
                !bm25_segment_dead(s, d, view->seq))
                bm25_top_offer(&top, s->ids[d], scores[d]);
        free(scores);
    }
    if (status == RAG_OK) {
        bm25_top_finish(&top, q.scale);
        *ret_n = top.n;
    }
    bm25_query_release(&q);
    bm25_view_unref(view);
    return status;
}
