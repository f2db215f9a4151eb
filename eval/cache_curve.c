#include "eval/cache_curve.h"

#include "base/splitmix.h"
#include "eval/metrics.h"

enum cache_half cache_half_of(const struct cache_view *view, const struct cache_pair *pair)
{
    uint64_t state = view->seed + pair->a;
    return splitmix_next(&state) & 1 ? CACHE_MEASURE : CACHE_CHOOSE;
}

static bool in_view(const struct cache_view *view, const struct cache_pair *pair)
{
    return (view->half == CACHE_ALL || cache_half_of(view, pair) == view->half) &&
           (pair->label != CACHE_BETWEEN || view->between == BETWEEN_DIFFERENT);
}

void cache_measure(const struct cache_view *view, double threshold, struct cache_point *ret)
{
    struct cache_point point = {.threshold = threshold};

    for (size_t i = 0; i < view->pairs->n; i++) {
        const struct cache_pair *pair = &view->pairs->pairs[i];
        bool hit = (double)pair->similarity >= threshold && (view->plain || pair->confirmed);

        if (!in_view(view, pair))
            continue;
        if (pair->label == CACHE_EQUIVALENT) {
            point.n_equivalent++;
            point.hits += hit ? 1 : 0;
        } else {
            point.n_different++;
            point.false_hits += hit ? 1 : 0;
        }
    }
    *ret = point;
}

double cache_hit_rate(const struct cache_point *p)
{
    return metrics_share(p->hits, p->n_equivalent);
}

double cache_false_hit_rate(const struct cache_point *p)
{
    return metrics_share(p->false_hits, p->n_different);
}

double cache_wrong_share(const struct cache_point *p)
{
    return metrics_share(p->false_hits, p->hits + p->false_hits);
}

double cache_choose(const struct cache_view *view, double error)
{
    for (int step = 0; step < 100; step++) {
        struct cache_point point;

        cache_measure(view, step / 100.0, &point);
        if ((double)point.false_hits <= error * (double)point.n_different)
            return step / 100.0;
    }
    return 1;
}

/* Rates fall as the threshold rises, so the least threshold within the error is the best one: it
 * lies just above the similarity of one of the false hits, or is 0. */
void cache_best(const struct cache_view *view, double false_hit_rate, struct cache_point *ret)
{
    double low = 0;  /* too many false hits here, unless it is 0 */
    double high = 2; /* none here */
    struct cache_point point;

    cache_measure(view, 0, &point);
    double allowed = false_hit_rate * (double)point.n_different + 1e-9;
    if ((double)point.false_hits <= allowed) {
        *ret = point;
        return;
    }
    /* 50 halvings are finer than the floats that similarities are. */
    for (int i = 0; i < 50; i++) {
        double middle = (low + high) / 2;

        cache_measure(view, middle, &point);
        if ((double)point.false_hits <= allowed)
            high = middle;
        else
            low = middle;
    }
    cache_measure(view, high, ret);
}
