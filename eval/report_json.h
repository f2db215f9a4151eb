/* eval/report_json.h - a run as the JSON object that scripts read. Pure.
 *
 * {"questions","passages",
 *  "stages":{"<stage>":{"hit_at_1","hit_at_5","hit_at_10","hit_at_20","mrr_at_10","ndcg_at_10"}},
 *  "answers":{"em","f1","citation_overlaps_gold"},
 *  "refusal":{"precision","recall","answered_rate"},
 *  "latency_ms":{"<stage>":{"p50","p95","p99"}}}
 *
 * Stages that did not run are absent; "final" is always there. A figure of which nothing was
 * counted (the recall of refusals where every question is answerable) is null.
 *
 * Where lists were fused there is "fusion":
 *  {"method","best_member","worse_than_best_member",
 *   "comparisons":[{"a","b","mrr_at_10":{"difference","low","high"}}]}    (eval/compare.h)
 * and where a model stage was left out of some searches {"degraded":{"searches","first"}}.
 *
 * A run of a question set has "evidence" besides; its "stages" and "answers" leave the
 * paraphrases out, its refusal figures count them:
 *  {"originals":{"questions","cited","all_cited","false_refusals","answer_text","stages"},
 *   "paraphrases":{the same},
 *   "refused":{"on_topic","off_topic","unmarked"}}    the shares, null where there are none */
#ifndef RAG_EVAL_REPORT_JSON_H
#define RAG_EVAL_REPORT_JSON_H

#include "base/buf.h"
#include "eval/run.h"

/* Append the object, without end of line, to out: check buf_status(). */
void report_json(const struct run *run, struct buf *out);

#endif
