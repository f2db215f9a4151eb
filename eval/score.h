/* eval/score.h - what one reply of the daemon is worth for one question. Pure; thread-safe. */
#ifndef RAG_EVAL_SCORE_H
#define RAG_EVAL_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "eval/dataset.h"

/* 1-based rank of 'wanted' among the distinct values of list[0..n), in their order; several
 * chunks of one document are one entry. RANK_NOT_FOUND when it is not there.
 * copies (may be NULL): a value v takes copies(context, v) places instead of one, of which
 * 'wanted' has the first: a corpus that holds a text several times ranks its copies together. */
uint32_t score_rank(const uint32_t *list, size_t n, uint32_t wanted,
                    uint32_t (*copies)(const void *context, uint32_t value), const void *context);

/* Does the cited span [byte_start, byte_end) of the question's gold passage, of at most
 * chars_max characters, share a byte with a gold answer? 'cited' is the cited text: where the
 * stored text is not byte for byte the passage, the span is looked for by it. */
bool score_citation_overlaps(const struct dataset *d, const struct dataset_question *q,
                             size_t byte_start, size_t byte_end, const char *cited,
                             size_t chars_max);

/* The best EM and the best F1 of the prediction over the question's answers (n_answers > 0).
 * RAG_OK or RAG_ENOMEM. */
enum rag_status score_answer(const struct dataset_question *q, const char *prediction,
                             double *ret_exact, double *ret_f1);

#endif
