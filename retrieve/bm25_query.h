/* retrieve/bm25_query.h - what both kinds of search share: a question's terms looked up
 * in one view, and the list of the best k. */
#ifndef RAG_RETRIEVE_BM25_QUERY_H
#define RAG_RETRIEVE_BM25_QUERY_H

#include "retrieve/bm25_index.h"

#define BM25_NO_ENTRY UINT32_MAX

struct bm25_query {
    size_t n; /* terms that some live passage holds, in the order given */
    struct bm25_norm norm;
    int scale;         /* a score is its integer sum times 2^-scale */
    float *coefs;      /* w * idf * 2^scale; owned */
    uint32_t *entries; /* [segment * n + term]: dictionary entry or BM25_NO_ENTRY; owned */
};

/* RAG_OK, RAG_ENOMEM, or RAG_EINVAL for a count or weight out of range. */
enum rag_status bm25_query_init(struct bm25_query *q, const struct bm25 *index,
                                const struct bm25_view *view, const struct bm25_query_term *terms,
                                size_t n_terms, struct rag_error *reterr);
void bm25_query_release(struct bm25_query *q);

/* Live document frequency in the view. */
uint64_t bm25_view_df(const struct bm25_view *view, uint64_t term);

/* The k best so far: a heap in the caller's hits, the worst on top; scores are still
 * whole numbers. */
struct bm25_top {
    struct bm25_hit *hits;
    size_t n;
    size_t k; /* >= 1 */
};

/* The least score that a passage with an id >= id needs to enter. */
static inline int32_t bm25_top_need(const struct bm25_top *top, uint64_t id)
{
    if (top->n < top->k)
        return 1;
    return (int32_t)top->hits[0].score + (id > top->hits[0].passage_id);
}

void bm25_top_offer(struct bm25_top *top, uint64_t id, int32_t score);
/* Order best first and turn sums into scores. */
void bm25_top_finish(struct bm25_top *top, int scale);

#endif
