/* eval/cache_curve.h - how often a semantic cache answers, and how often wrongly.
 *
 * Of pairs (asked before, asked now) with their similarity and whether they were confirmed, for a
 * threshold t:
 *
 *     a pair hits             when similarity >= t and it is confirmed; "plain": similarity >= t
 *     hit_rate                = equivalent pairs that hit / equivalent pairs
 *     false_hit_rate          = different pairs that hit / different pairs
 *     wrong_share_of_hits     = different pairs that hit / all pairs that hit
 *
 * The threshold is chosen on one half of the pairs (those of one 'a' stay together) and measured on
 * the other. Pure. */
#ifndef RAG_EVAL_CACHE_CURVE_H
#define RAG_EVAL_CACHE_CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eval/cache_pairs.h"

enum cache_half { CACHE_CHOOSE, CACHE_MEASURE, CACHE_ALL };
enum cache_between { BETWEEN_LEFT_OUT, BETWEEN_DIFFERENT };

struct cache_view {
    const struct cache_pairs *pairs;
    uint64_t seed;
    enum cache_half half;
    enum cache_between between; /* what pairs that people did not agree on count as */
    bool plain;                 /* similarity alone */
};

struct cache_point {
    double threshold;
    size_t n_equivalent;
    size_t hits; /* of those */
    size_t n_different;
    size_t false_hits; /* of those */
};

enum cache_half cache_half_of(const struct cache_view *view, const struct cache_pair *pair);
void cache_measure(const struct cache_view *view, double threshold, struct cache_point *ret);
/* The smallest threshold (in steps of .01) with false_hit_rate <= error; 1 when none has. */
double cache_choose(const struct cache_view *view, double error);
/* The point with the highest hit rate of all that are at or below a false-hit rate, over every
 * similarity that occurs: what the best threshold of this view would give. */
void cache_best(const struct cache_view *view, double false_hit_rate, struct cache_point *ret);

double cache_hit_rate(const struct cache_point *p); /* NAN without such pairs, as all here */
double cache_false_hit_rate(const struct cache_point *p);
double cache_wrong_share(const struct cache_point *p);

#endif
