/* cache/threshold.h - the similarity from which on a cached answer is reused, learned from what
 * people report.
 *
 * Each observation is (similarity, correct) of one semantic hit. Wanted: of the hits, at most
 * 'error_bound' false. With n observations at or above t, f of them false, and the N hits of which
 * F were false that were measured at t beforehand (the prior: docs/CACHE.md), a threshold t is
 * allowed when
 *
 *     P(X <= F + f) <= 1 - THRESHOLD_CONFIDENCE,   X ~ Binomial(N + n, error_bound)
 *
 * that is, when the upper bound of Clopper and Pearson (Biometrika 26, 1934) on the share of false
 * hits is at most error_bound. The smallest allowed t at or above the configured one is used. A
 * false report of an entry also raises that entry's own threshold above the similarity that failed.
 * Idea: vCache, verified semantic prompt caching, arXiv 2502.03771 (a threshold per entry, a bound
 * set by the user); it fits a logistic curve per entry and explores at random, here nobody's answer
 * is an experiment: what is not allowed is not given. Pure: the caller keeps the observations and
 * holds its lock. */
#ifndef RAG_CACHE_THRESHOLD_H
#define RAG_CACHE_THRESHOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define THRESHOLD_CONFIDENCE 0.95

/* What the rules of cache/confirm.h let through at or above a TF-IDF similarity, on pairs that they
 * were written with. Above a bound that the first row allows the configured threshold stands; for a
 * smaller one it begins higher. People's reports outweigh it with time. */
struct threshold_prior {
    double similarity;
    unsigned n_hits;
    unsigned n_false;
};
#define THRESHOLD_PRIOR_ROWS 4
extern const struct threshold_prior THRESHOLD_PRIOR[THRESHOLD_PRIOR_ROWS];

struct threshold_observation {
    float similarity;
    bool correct;
};

/* The smallest allowed threshold; > 1: none, nothing is reused. Observations in any order but the
 * latest last: only CACHE_OBSERVATIONS_MAX (base/bounds.h) of them count, and of those only the
 * ones whose similarity is a number. error_bound 1 allows everything, 0 nothing. */
double threshold_learn(const struct threshold_observation *observations, size_t n,
                       double configured, double error_bound);
/* Of one entry after its reports: above every similarity at which it was called false. */
double threshold_of_entry(const struct threshold_observation *observations, size_t n,
                          double collection_threshold);

#endif
