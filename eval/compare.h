/* eval/compare.h - is one stage's list better than another's, or is it chance?
 *
 * For each question with a gold document the reciprocal rank within ten (eval/metrics.h) of both
 * lists, and the paired difference of these (base/paired.h): a minus b. Pure. */
#ifndef RAG_EVAL_COMPARE_H
#define RAG_EVAL_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/paired.h"
#include "eval/run.h"

/* Over questions as they were asked first (no paraphrases), of two stages that ran. */
void compare_stages(const struct run *run, enum run_stage a, enum run_stage b, struct paired *ret);

/* The list that was fused, against the better one of its members by MRR@10; false when nothing
 * was fused. */
bool compare_fused(const struct run *run, enum run_stage *ret_member, struct paired *ret);

/* What a search returns, against the list that it reranked; false when nothing was reranked. */
bool compare_reranked(const struct run *run, enum run_stage *ret_before, struct paired *ret);

/* The comparisons that reports show, at most COMPARE_ROWS_MAX: fused and final against each
 * member. Returns how many. */
#define COMPARE_ROWS_MAX 4
struct compare_row {
    enum run_stage a;
    enum run_stage b;
    struct paired result;
};
size_t compare_rows(const struct run *run, struct compare_row ret[COMPARE_ROWS_MAX]);

#endif
