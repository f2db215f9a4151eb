/* cache/threshold.h - the similarity from which on a cached answer is reused, learned from what
 * people report.
 *
 * Each observation is (similarity, correct) of one semantic hit. Wanted: of the hits, at most
 * 'error_bound' false. A threshold t is allowed when, of the observations at or above t and of
 * pseudo-observations that stand for the measured prior (docs/CACHE.md), the share of false ones
 * has an upper confidence bound <= error_bound; the smallest allowed t at or above the configured
 * one is used. A false report of an entry also raises that entry's own threshold above the
 * similarity that failed. Idea: vCache, verified semantic prompt caching, arXiv 2502.03771 (a
 * threshold per entry, a bound set by the user); the bound here is Clopper and Pearson's,
 * Biometrika 26, 1934. Pure: the caller keeps the observations and holds its lock. */
#ifndef RAG_CACHE_THRESHOLD_H
#define RAG_CACHE_THRESHOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct threshold_observation {
    float similarity;
    bool correct;
};

/* The smallest allowed threshold; > 1: none, nothing is reused. observations in any order, the
 * function sorts a copy of at most CACHE_OBSERVATIONS_MAX (base/bounds.h) latest ones. */
double threshold_learn(const struct threshold_observation *observations, size_t n,
                       double configured, double error_bound);
/* Of one entry after its reports. */
double threshold_of_entry(const struct threshold_observation *observations, size_t n,
                          double collection_threshold);

#endif
