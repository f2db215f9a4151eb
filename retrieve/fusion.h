/* retrieve/fusion.h - one ranking out of several.
 *
 *     rrf(d)    = sum_i w_i / (k + rank_i(d))                  (lists without d add nothing)
 *     convex(d) = sum_i w_i * norm_i(s_i(d)),  sum_i w_i = 1   (lists without d add 0)
 *     norm_i(s) = (s - min_i) / (max_i - min_i) over the list; 1 where all are equal
 *     scaled(d) = w_bm25 * trust * s_bm25(d) / first
 *                 + w_dense * heard * (s_dense(d) - least) / span
 *
 *     trust = 1 - doubt;  heard = 1 - trust * (1 - close^2)
 *     close = tenth / first, at least FUSION_CLOSE_MIN
 *     span  = nearest - least, at least FUSION_SPAN_MIN
 *
 * where first and tenth are scores of the BM25 list (the last one's where there are fewer than ten;
 * close is 1 where the list is empty), nearest and least the first and the last of the dense one
 * (with all equal, the last factor is 1). Stretching a list that is sure of nothing makes it as
 * loud as one that is: noise between nearly equal cosines becomes an order. 'scaled' never
 * stretches cosines beyond FUSION_SPAN_MIN, and hears them the less the further the first passages
 * by words stand out: how much retrieval scores fall behind the first tells how well a question is
 * served (Shtok et al., "Predicting Query Performance by Query-Drift Estimation", ACM TOIS 2012).
 * With w_dense <= w_bm25 and no doubt, what only vectors know never passes what BM25 has first.
 * Who has read the passages and found little of the question in any of them says so by 'doubt':
 * BM25 puts something first even where it knows one common word of five. docs/EVALUATION.md has
 * what both bring.
 *
 * Sources: Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion outperforms Condorcet", SIGIR
 * 2009 (k = 60); Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval",
 * TOIS 2023 (convex combination). A weak list ruins an equal-weight fusion, so weights come from
 * 'ragctl tune fusion', and a weight of 0 leaves a list out. */
#ifndef RAG_RETRIEVE_FUSION_H
#define RAG_RETRIEVE_FUSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum fusion_method { FUSION_RRF, FUSION_CONVEX, FUSION_SCALED };
enum { LIST_BM25, LIST_DENSE, N_LISTS };

#define FUSION_SPAN_MIN  0.2 /* of cosines: less is not stretched to 1 */
#define FUSION_CLOSE_MIN 0.1 /* so that vectors still order what words tell nothing of */
#define FUSION_LEAD_RANK 10  /* the rank that the first one is compared with */

struct fusion_options {
    enum fusion_method method;
    float weights[N_LISTS]; /* >= 0, not all 0 */
    float rrf_k;            /* > 0 */
    size_t depth;           /* entries of each list that are looked at; 0: all */
    float doubt;            /* scaled: 0..1, how far the words are from holding the question */
};

struct ranked {
    uint64_t id;
    float score; /* finite; 'scaled' wants a BM25 list of scores >= 0, best first */
};
struct ranked_list {
    const struct ranked *items; /* best first, ids distinct */
    size_t n;
};

struct fused {
    uint64_t id;
    float score;
    uint32_t ranks[N_LISTS]; /* from 1; 0: not in that list */
    float scores[N_LISTS];   /* as the list gave them; 0 where it did not */
};

/* Best first; of equal scores those that BM25 has come first, then the smaller id. ret: room for
 * the sum of all n (or depth). What only a list of weight 0 knows is left out; of the others its
 * rank and score are told too. Pure; RAG_OK, RAG_ENOMEM, RAG_EINVAL (options, a score that is not
 * finite). */
enum rag_status fusion_rank(const struct fusion_options *options,
                            const struct ranked_list lists[N_LISTS], struct fused *ret,
                            size_t *ret_n, struct rag_error *reterr);

const char *fusion_method_name(enum fusion_method method); /* "rrf", "convex", "scaled" */
enum rag_status fusion_method_parse(const char *name, enum fusion_method *ret);

#endif
