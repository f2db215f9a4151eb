/* eval/compare.h - is one stage's list better than another's, or is it chance?
 *
 * For each question with a gold document the reciprocal rank within ten (eval/metrics.h) of both
 * lists; of their differences d_1 .. d_n the mean and its interval at 95%:
 *
 *     mean(d) +- 1.96 * sd(d) / sqrt(n)
 *
 * the paired difference that the central limit theorem makes normal from some 30 questions on
 * (Sakai, "Statistical Reform in Information Retrieval?", SIGIR Forum 2014). Pure. */
#ifndef RAG_EVAL_COMPARE_H
#define RAG_EVAL_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "eval/run.h"

struct comparison {
    size_t n;    /* questions */
    double mean; /* of MRR@10 of a minus that of b; 0 without questions */
    double low;  /* of the interval */
    double high;
};
/* Over questions as they were asked first (no paraphrases), of two stages that ran. */
void compare_stages(const struct run *run, enum run_stage a, enum run_stage b,
                    struct comparison *ret);

/* The list that was fused, against the better one of its members by MRR@10; false when nothing
 * was fused. */
bool compare_fused(const struct run *run, enum run_stage *ret_member, struct comparison *ret);

/* What a search returns, against the list that it reranked; false when nothing was reranked. */
bool compare_reranked(const struct run *run, enum run_stage *ret_before, struct comparison *ret);

/* The comparisons that reports show, at most COMPARE_ROWS_MAX: fused and final against each
 * member. Returns how many. */
#define COMPARE_ROWS_MAX 4
struct compare_row {
    enum run_stage a;
    enum run_stage b;
    struct comparison result;
};
size_t compare_rows(const struct run *run, struct compare_row ret[COMPARE_ROWS_MAX]);

#endif
