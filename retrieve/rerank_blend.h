/* retrieve/rerank_blend.h - what the cross-encoder says and what the words say, as one order.
 *
 *     words_i = (s_i - min s) / (max s - min s)      over all of the head; 1 where all are equal
 *     score_i = (1 - w) * cross_i + w * words_i
 *
 * s is the score by which the head was ordered before (by words, or words fused with vectors),
 * cross the cross-encoder's, 0 of what it did not read. With w = 0 it alone decides among those
 * that it read, with w = 1 the words alone. Scores of a fusion are stretched so because they are
 * comparable within one question only, those of a cross-encoder are not because they say how sure
 * it is: where it finds all of them equally bad, the words decide. The convex combination and its
 * stretched scores are those of Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid
 * Retrieval", ACM TOIS 2023. Pure; thread-safe. */
#ifndef RAG_RETRIEVE_RERANK_BLEND_H
#define RAG_RETRIEVE_RERANK_BLEND_H

#include <stddef.h>

#include "retrieve/passage.h"

/* passages[0..n): the head in its earlier order, with the score of that in rerank_score, and
 * cross_read and cross_score. w: 0..1. Sorts them by score, which becomes rerank_score, and numbers
 * them by rerank_rank; equal scores keep their order. What was not read never overtakes what was,
 * when the first of the head were read. */
void rerank_blend(struct passage *passages, size_t n, float w);

#endif
