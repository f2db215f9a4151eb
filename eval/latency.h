/* eval/latency.h - times of one stage, and their percentiles. Not thread-safe. */
#ifndef RAG_EVAL_LATENCY_H
#define RAG_EVAL_LATENCY_H

#include <stddef.h>

#include "base/status.h"

/* Zero-initialise. */
struct latency {
    double *ms; /* owned */
    size_t n;
    size_t cap;
};
void latency_release(struct latency *l);

/* RAG_OK or RAG_ENOMEM; negative and non-finite times are counted as 0. */
enum rag_status latency_add(struct latency *l, double ms);
/* Sort the samples; percentiles and histograms need it. */
void latency_sort(struct latency *l);
/* The p-th percentile (0 < p <= 100) by nearest rank: the smallest sample that at least
 * p percent of the samples do not exceed, ms[ceil(p / 100 * n) - 1]. 0 without samples. */
double latency_percentile(const struct latency *sorted, double p);

#endif
