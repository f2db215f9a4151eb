#include "retrieve/gate_tune.h"

static bool refuses(const struct gate_seen *seen, float threshold)
{
    return seen->decided ? seen->refused : seen->relevance < threshold;
}

static struct gate_shares shares(const struct gate_tune_question *questions, size_t n,
                                 bool measures, float threshold)
{
    struct gate_shares s = {0};
    size_t n_half = 0;

    for (size_t i = 0; i < n; i++) {
        if (questions[i].measures != measures)
            continue;
        n_half++;
        s.refused_with += refuses(&questions[i].with, threshold);
        s.refused_without += refuses(&questions[i].without, threshold);
    }
    s.refused_with /= (double)n_half;
    s.refused_without /= (double)n_half;
    return s;
}

static double index_of(const struct gate_shares *s)
{
    return s->refused_without - GATE_TUNE_FALSE_COST * s->refused_with;
}

static void choose(const struct gate_tune_question *questions, size_t n, double bound,
                   struct gate_choice *c)
{
    c->threshold = 0.0f;
    c->learned = shares(questions, n, false, 0.0f);
    for (int i = 1; i <= GATE_TUNE_STEPS; i++) {
        float threshold = (float)i / (float)GATE_TUNE_STEPS;
        struct gate_shares s = shares(questions, n, false, threshold);

        if (s.refused_with > bound)
            break; /* it only grows */
        if (index_of(&s) > index_of(&c->learned)) {
            c->threshold = threshold;
            c->learned = s;
        }
    }
}

static void measure(const struct gate_tune_question *questions, size_t n, float present,
                    struct gate_choice *c)
{
    struct paired_sum with = {0};
    struct paired_sum without = {0};
    struct paired_sum falsely = {0};
    struct paired_sum index = {0};

    c->before = shares(questions, n, true, present);
    c->after = shares(questions, n, true, c->threshold);
    for (size_t i = 0; i < n; i++) {
        const struct gate_tune_question *q = &questions[i];
        double now = refuses(&q->with, c->threshold);
        double more_with = now - refuses(&q->with, present);
        double more_without = refuses(&q->without, c->threshold) - refuses(&q->without, present);

        if (!q->measures)
            continue;
        paired_add(&falsely, now);
        paired_add(&with, more_with);
        paired_add(&without, more_without);
        paired_add(&index, more_without - GATE_TUNE_FALSE_COST * more_with);
    }
    c->with = paired_interval(&with);
    c->without = paired_interval(&without);
    c->index = paired_interval(&index);
    c->falsely = paired_interval(&falsely);
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
    choose(questions, n, bound, &c);
    measure(questions, n, present, &c);
    c.kept_bound = shares(questions, n, false, present).refused_with <= bound;
    c.better = c.falsely.low <= bound && (c.kept_bound ? c.index.low > 0 : c.with.high < 0);
    *ret = c;
    return RAG_OK;
}
