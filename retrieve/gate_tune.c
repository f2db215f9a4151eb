#include "retrieve/gate_tune.h"

#include <math.h>

static bool refuses(const struct gate_seen *seen, float threshold)
{
    return seen->decided ? seen->refused : seen->relevance < threshold;
}

static bool is_too_low(const struct gate_seen *seen, float threshold)
{
    return !seen->decided && seen->relevance < threshold;
}

static struct gate_shares shares(const struct gate_tune_question *questions, size_t n,
                                 bool measures, float threshold)
{
    struct gate_shares s = {0};
    size_t n_mixed = 0;
    size_t n_half = 0;

    for (size_t i = 0; i < n; i++) {
        if (questions[i].measures != measures)
            continue;
        n_half++;
        s.refused_with += refuses(&questions[i].with, threshold);
        s.refused_without += refuses(&questions[i].without, threshold);
        s.too_low += is_too_low(&questions[i].with, threshold);
        n_mixed += questions[i].has_mixed;
        s.refused_mixed += questions[i].has_mixed && refuses(&questions[i].mixed, threshold);
    }
    s.refused_with /= (double)n_half;
    s.refused_without /= (double)n_half;
    s.too_low /= (double)n_half;
    if (n_mixed > 0)
        s.refused_mixed /= (double)n_mixed;
    return s;
}

static double index_of(const struct gate_shares *s)
{
    return s->refused_without - GATE_TUNE_FALSE_COST * s->refused_with;
}

/* What changes in one half when another threshold takes the present one's place. */
struct change {
    struct paired with;
    struct paired without;
    struct paired mixed;
    struct paired index;
    struct paired too_low; /* in the end, by itself */
};

static struct change compare(const struct gate_tune_question *questions, size_t n, bool measures,
                             float before, float after)
{
    struct paired_sum with = {0};
    struct paired_sum without = {0};
    struct paired_sum mixed = {0};
    struct paired_sum too_low = {0};
    struct paired_sum index = {0};

    for (size_t i = 0; i < n; i++) {
        const struct gate_tune_question *q = &questions[i];
        double more_with = refuses(&q->with, after) - refuses(&q->with, before);
        double more_without = refuses(&q->without, after) - refuses(&q->without, before);

        if (q->measures != measures)
            continue;
        paired_add(&too_low, is_too_low(&q->with, after));
        paired_add(&with, more_with);
        paired_add(&without, more_without);
        paired_add(&index, more_without - GATE_TUNE_FALSE_COST * more_with);
        if (q->has_mixed)
            paired_add(&mixed, refuses(&q->mixed, after) - refuses(&q->mixed, before));
    }
    return (struct change){paired_interval(&with), paired_interval(&without),
                           paired_interval(&mixed), paired_interval(&index),
                           paired_interval(&too_low)};
}

static bool answers_more(const struct change *c)
{
    return c->without.high < 0 || c->mixed.high < 0;
}

/* A better one that keeps to the bound, or the present one. */
static void improve(const struct gate_tune_question *questions, size_t n, float present,
                    double bound, struct gate_choice *c)
{
    c->threshold = present;
    for (int i = 0; i <= GATE_TUNE_STEPS; i++) {
        float threshold = (float)i / (float)GATE_TUNE_STEPS;
        struct gate_shares s = shares(questions, n, false, threshold);
        struct change change = compare(questions, n, false, present, threshold);

        if (s.too_low > bound)
            break; /* it only grows */
        if (answers_more(&change) || index_of(&s) < index_of(&c->learned))
            continue;
        if (index_of(&s) > index_of(&c->learned) ||
            fabsf(threshold - present) < fabsf(c->threshold - present)) {
            c->threshold = threshold;
            c->learned = s;
        }
    }
}

/* As far down as the bound demands. */
static void come_down(const struct gate_tune_question *questions, size_t n, double bound,
                      struct gate_choice *c)
{
    c->threshold = 0.0f;
    c->learned = shares(questions, n, false, 0.0f);
    for (int i = 1; i <= GATE_TUNE_STEPS; i++) {
        float threshold = (float)i / (float)GATE_TUNE_STEPS;
        struct gate_shares s = shares(questions, n, false, threshold);

        if (s.too_low > bound)
            break;
        if (s.refused_without + s.refused_mixed >
            c->learned.refused_without + c->learned.refused_mixed) {
            c->threshold = threshold;
            c->learned = s;
        }
    }
}

static void measure(const struct gate_tune_question *questions, size_t n, float present,
                    double bound, struct gate_choice *c)
{
    struct change change = compare(questions, n, true, present, c->threshold);

    c->before = shares(questions, n, true, present);
    c->after = shares(questions, n, true, c->threshold);
    c->with = change.with;
    c->without = change.without;
    c->mixed = change.mixed;
    c->index = change.index;
    c->too_low = change.too_low;
    c->answers_more = answers_more(&change);
    c->better = c->too_low.low <= bound &&
                (c->kept_bound ? c->index.low > 0 && !c->answers_more : c->with.high < 0);
}

enum rag_status gate_tune(const struct gate_tune_question *questions, size_t n, float present,
                          double bound, struct gate_choice *ret, struct rag_error *reterr)
{
    struct gate_choice c = {0};
    size_t n_measures = 0;

    for (size_t i = 0; i < n; i++)
        n_measures += questions[i].measures;
    if (n_measures < GATE_TUNE_QUESTIONS_MIN || n - n_measures < GATE_TUNE_QUESTIONS_MIN)
        return rag_fail(reterr, RAG_EINVAL,
                        "tuning: %zu questions to learn from and %zu to measure, at least %d of "
                        "each are needed",
                        n - n_measures, n_measures, GATE_TUNE_QUESTIONS_MIN);
    c.learned = shares(questions, n, false, present);
    c.kept_bound = compare(questions, n, false, present, present).too_low.low <= bound;
    if (c.kept_bound)
        improve(questions, n, present, bound, &c);
    else
        come_down(questions, n, bound, &c);
    measure(questions, n, present, bound, &c);
    *ret = c;
    return RAG_OK;
}
