/* base/paired.h - is a difference measured on the same things beyond chance?
 *
 * Of the differences d_1 .. d_n between two measurements of each thing, the mean and its interval
 * at 95%:
 *
 *     mean(d) +- 1.96 * sd(d) / sqrt(n)
 *
 * which the central limit theorem makes normal from some 30 on (Sakai, "Statistical Reform in
 * Information Retrieval?", SIGIR Forum 2014). Pure. */
#ifndef RAG_BASE_PAIRED_H
#define RAG_BASE_PAIRED_H

#include <stddef.h>

struct paired_sum { /* zeroed: no differences */
    size_t n;
    double sum;
    double squares;
};
void paired_add(struct paired_sum *s, double difference);

struct paired {
    size_t n;
    double mean; /* 0 without differences */
    double low;  /* of the interval; the mean with fewer than two */
    double high;
};
struct paired paired_interval(const struct paired_sum *s);

#endif
