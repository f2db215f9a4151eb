#include "cache/threshold.h"

#include <math.h>
#include <stdlib.h>

#include "base/bounds.h"

#define THRESHOLD_NONE 2.0 /* above every similarity */

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

static int by_similarity(const void *a, const void *b)
{
    const struct threshold_observation *x = a;
    const struct threshold_observation *y = b;
    return (x->similarity > y->similarity) - (x->similarity < y->similarity);
}

/* The least double that a float similarity above s reaches and s does not. */
static double above(float s)
{
    return (double)nextafterf(s, INFINITY);
}

double threshold_learn(const struct threshold_observation *observations, size_t n,
                       double configured, double error_bound)
{
    struct threshold_observation sorted[CACHE_OBSERVATIONS_MAX];
    size_t first = n > CACHE_OBSERVATIONS_MAX ? n - CACHE_OBSERVATIONS_MAX : 0;
    unsigned n_left = 0;
    unsigned n_false = 0;

    for (size_t i = first; i < n; i++) {
        /* False for NAN as well. */
        if ((double)observations[i].similarity >= configured) {
            sorted[n_left++] = observations[i];
            n_false += observations[i].correct ? 0 : 1;
        }
    }
    qsort(sorted, n_left, sizeof *sorted, by_similarity);

    /* Only passing a false one can make a threshold better, so only those are tried. */
    double t = configured;
    size_t at = 0;
    size_t n_sorted = n_left;
    for (;;) {
        if (tail_at_most(THRESHOLD_PRIOR_HITS + n_left, THRESHOLD_PRIOR_FALSE + n_false,
                         error_bound, 1 - THRESHOLD_CONFIDENCE))
            return t;
        while (at < n_sorted && sorted[at].correct)
            at++;
        if (at == n_sorted)
            return THRESHOLD_NONE;
        t = above(sorted[at].similarity);
        for (at = 0, n_left = 0, n_false = 0; at < n_sorted && (double)sorted[at].similarity < t;)
            at++;
        for (size_t i = at; i < n_sorted; i++) {
            n_left++;
            n_false += sorted[i].correct ? 0 : 1;
        }
    }
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
