#include "cache/threshold.h"

#include <math.h>

#include "base/bounds.h"

#define THRESHOLD_NONE 2.0 /* above every similarity */

const struct threshold_prior THRESHOLD_PRIOR[THRESHOLD_PRIOR_ROWS] = {
    {0,    1083, 9},
    {0.65, 872,  8},
    {0.75, 737,  6},
    {0.85, 462,  0},
};

/* P(X <= k) <= alpha for X ~ Binomial(n, p). The terms are summed from the largest one down, each
 * made from the one before: C(n, i-1) p^(i-1) q^(n-i+1) = C(n, i) p^i q^(n-i) * i / (n-i+1) * q/p
 */
static bool tail_at_most(unsigned n, unsigned k, double p, double alpha)
{
    if (p >= 1)
        return true;
    if (p <= 0 || k >= n)
        return false;
    double q = 1 - p;
    double term = exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) + k * log(p) +
                      (n - k) * log(q));
    double sum = term;
    for (unsigned i = k; i > 0 && sum <= alpha; i--) {
        term *= i / (n - i + 1.0) * q / p;
        sum += term;
    }
    return sum <= alpha;
}

/* The least double that a float similarity above s reaches and s does not. */
static double above(float s)
{
    return (double)nextafterf(s, INFINITY);
}

struct counts {
    unsigned n;
    unsigned n_false;
    double next; /* the least threshold above t that may be better; THRESHOLD_NONE: there is none */
};

/* Of the prior and the observations at or above t. Only passing a false one, or a row of the prior,
 * can make a threshold better. */
static struct counts count_from(const struct threshold_observation *observations, size_t n,
                                double t)
{
    struct counts c = {0, 0, THRESHOLD_NONE};

    for (size_t i = 0; i < THRESHOLD_PRIOR_ROWS; i++) {
        if (THRESHOLD_PRIOR[i].similarity <= t) {
            c.n = THRESHOLD_PRIOR[i].n_hits;
            c.n_false = THRESHOLD_PRIOR[i].n_false;
        } else if (THRESHOLD_PRIOR[i].similarity < c.next) {
            c.next = THRESHOLD_PRIOR[i].similarity;
        }
    }
    for (size_t i = 0; i < n; i++) {
        /* False for NAN as well. */
        if (!((double)observations[i].similarity >= t))
            continue;
        c.n++;
        if (observations[i].correct)
            continue;
        c.n_false++;
        c.next = fmin(c.next, above(observations[i].similarity));
    }
    return c;
}

double threshold_learn(const struct threshold_observation *observations, size_t n,
                       double configured, double error_bound)
{
    double t = configured;

    if (n > CACHE_OBSERVATIONS_MAX) {
        observations += n - CACHE_OBSERVATIONS_MAX;
        n = CACHE_OBSERVATIONS_MAX;
    }
    while (t < THRESHOLD_NONE) {
        struct counts c = count_from(observations, n, t);

        if (tail_at_most(c.n, c.n_false, error_bound, 1 - THRESHOLD_CONFIDENCE))
            return t;
        t = c.next;
    }
    return THRESHOLD_NONE;
}

double threshold_of_entry(const struct threshold_observation *observations, size_t n,
                          double collection_threshold)
{
    double t = collection_threshold;
    for (size_t i = 0; i < n; i++)
        if (!observations[i].correct && above(observations[i].similarity) > t)
            t = above(observations[i].similarity);
    return t;
}
