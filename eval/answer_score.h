/* eval/answer_score.h - how well the text of an answer agrees with the gold answers.
 *
 * EM and F1 are those of KorQuAD 1.0's evaluation (Lim, Kim and Lee 2019, and the published
 * description of evaluate-v1.0): a text is normalised by
 *   1. ' " 《 》 < > 〈 〉 ( ) ‘ ’ become spaces
 *   2. lower case
 *   3. ASCII punctuation is deleted
 *   4. runs of white space become one space, none at the ends
 * EM is equality of the normalised texts; F1 is over the multisets of their characters, white
 * space left out: same = |A ∩ B|, precision = same / |A|, recall = same / |B|,
 * F1 = 2 P R / (P + R), 0 when nothing is shared. Of several gold answers the best counts.
 * Lower case covers Latin, Greek, Cyrillic and full-width letters. Thread-safe. */
#ifndef RAG_EVAL_ANSWER_SCORE_H
#define RAG_EVAL_ANSWER_SCORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"

/* Append the normalised form of well-formed UTF-8 (bad bytes are left out) to out. */
void answer_normalize(const char *text, size_t n_bytes, struct buf *out);

/* *ret_exact: 0 or 1; *ret_f1: 0..1. RAG_OK or RAG_ENOMEM. */
enum rag_status answer_score(const char *prediction, const char *gold, double *ret_exact,
                             double *ret_f1);

/* Append the answer without its citation marks: each "[12]" and the blank before it. */
void answer_without_marks(const char *text, size_t n_bytes, struct buf *out);

/* The check of question sets: both texts in lower case with only letters, digits and % kept;
 * does the norm occur in the answer? false for a norm that keeps nothing.
 * RAG_OK or RAG_ENOMEM. */
enum rag_status answer_contains(const char *answer, const char *norm, bool *ret);

#endif
