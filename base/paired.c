#include "base/paired.h"

#include <math.h>

#define Z_95 1.959964 /* of the normal distribution, two sides */

void paired_add(struct paired_sum *s, double difference)
{
    s->n++;
    s->sum += difference;
    s->squares += difference * difference;
}

struct paired paired_interval(const struct paired_sum *s)
{
    struct paired p = {.n = s->n};
    double half = 0.0;

    if (s->n == 0)
        return p;
    p.mean = s->sum / (double)s->n;
    if (s->n > 1) {
        double variance = (s->squares - s->sum * p.mean) / (double)(s->n - 1);

        half = Z_95 * sqrt(fmax(variance, 0.0) / (double)s->n);
    }
    p.low = p.mean - half;
    p.high = p.mean + half;
    return p;
}
