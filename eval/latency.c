#include "eval/latency.h"

#include <math.h>
#include <stdlib.h>

void latency_release(struct latency *l)
{
    if (!l)
        return;
    free(l->ms);
    *l = (struct latency){0};
}

enum rag_status latency_add(struct latency *l, double ms)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 256;
        double *grown = realloc(l->ms, cap * sizeof *grown);

        if (!grown)
            return RAG_ENOMEM;
        l->ms = grown;
        l->cap = cap;
    }
    l->ms[l->n++] = isfinite(ms) && ms > 0 ? ms : 0.0;
    return RAG_OK;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

void latency_sort(struct latency *l)
{
    if (l->n > 1)
        qsort(l->ms, l->n, sizeof *l->ms, compare);
}

double latency_percentile(const struct latency *sorted, double p)
{
    double rank = ceil(p / 100.0 * (double)sorted->n);

    if (sorted->n == 0)
        return 0.0;
    if (rank < 1.0)
        rank = 1.0;
    if (rank > (double)sorted->n)
        rank = (double)sorted->n;
    return sorted->ms[(size_t)rank - 1];
}
