/* eval/html.h - text and charts for the report; internal to eval/. Pure. */
#ifndef RAG_EVAL_HTML_H
#define RAG_EVAL_HTML_H

#include <stddef.h>

#include "base/buf.h"
#include "eval/run.h"

/* Append n bytes as text of an element or of a quoted attribute. Line ends become spaces. */
void html_text(struct buf *out, const char *text, size_t n_bytes);
void html_str(struct buf *out, const char *text);

/* Append the surroundings of text[start, end) (equal: the beginning of the text), cut at
 * about chars_max characters, with an ellipsis where it is cut and the span in <mark>. */
void html_excerpt(struct buf *out, const char *text, size_t n_bytes, size_t start, size_t end,
                  size_t chars_max);

/* Bars of every stage that ran, grouped by figure. */
void chart_stages(const struct run *run, struct buf *out);
/* How many questions have their gold passage at which rank of the final list. */
void chart_ranks(const struct run *run, struct buf *out);
/* For each timed stage a line from p50 over p95 to p99, on a logarithmic scale. */
void chart_latencies(const struct run *run, struct buf *out);
/* Histogram of one stage's times up to their p99. */
void chart_histogram(const struct run_latency *l, struct buf *out);

#endif
