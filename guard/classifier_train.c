/* AdaGrad on the log loss, and the figures of what was held out.
 *
 *     g_j = c_y (p - y) x_j + l2 w_j,   G_j += g_j^2,   w_j -= rate g_j / sqrt(G_j)
 *
 * over the places that a text has, texts in an order of the seed, anew in each epoch; c_y weighs
 * the classes alike. Source: Duchi, Hazan, Singer, "Adaptive Subgradient Methods", JMLR 12, 2011,
 * figure 1 with diagonal matrices. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/splitmix.h"
#include "guard/classifier_internal.h"

#define RATE           0.5
#define EPOCHS_NGRAMS  12
#define EPOCHS_VECTORS 40
#define L2             1e-5
#define FLAT           1e-8 /* added to G: a place that was never seen has no slope */
#define HELD_PART      5    /* one of so many */

struct trainer {
    const struct classifier_example *examples;
    struct classifier_features *features; /* [n], of n-grams */
    size_t n;
    size_t dim;
    int epochs;
    double l2;
    uint64_t state;  /* of splitmix */
    uint32_t *order; /* [n]: the held out ones first */
    float *squares;  /* G, [places + 1], the last one of the bias */
};

static void shuffle(uint32_t *items, size_t n, uint64_t *state)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)(splitmix_next(state) % i);
        uint32_t swap = items[i - 1];

        items[i - 1] = items[k];
        items[k] = swap;
    }
}

static double score(const struct trainer *t, const struct classifier *c, size_t i)
{
    const struct classifier_features *f = &t->features[i];
    const float *v = t->examples[i].vector;
    double z = (double)c->bias;

    for (size_t k = 0; k < t->dim; k++)
        z += (double)c->weights[k] * (double)v[k];
    for (size_t k = 0; t->dim == 0 && k < f->n; k++)
        z += (double)c->weights[f->places[k]] * (double)f->values[k];
    return z;
}

static void step(const struct trainer *t, float *w, float *squares, double gradient)
{
    double g = gradient + t->l2 * (double)*w;

    *squares += (float)(g * g);
    *w -= (float)(RATE * g / sqrt((double)*squares + FLAT));
}

/* Weights from nothing, by the examples of order[0, n). */
static void train(struct trainer *t, uint32_t *order, size_t n, struct classifier *c)
{
    size_t places = t->dim == 0 ? CLASSIFIER_PLACES : t->dim;
    size_t n_positive = 0;

    memset(c->weights, 0, places * sizeof *c->weights);
    memset(t->squares, 0, (places + 1) * sizeof *t->squares);
    c->bias = 0;
    for (size_t i = 0; i < n; i++)
        n_positive += t->examples[order[i]].positive;
    for (int epoch = 0; epoch < t->epochs; epoch++) {
        shuffle(order, n, &t->state);
        for (size_t i = 0; i < n; i++) {
            const struct classifier_example *e = &t->examples[order[i]];
            const struct classifier_features *f = &t->features[order[i]];
            size_t n_class = e->positive ? n_positive : n - n_positive;
            double p = 1 / (1 + exp(-score(t, c, order[i])));
            double d = (p - e->positive) * (double)n / (2 * (double)n_class);

            for (size_t k = 0; k < t->dim; k++)
                step(t, &c->weights[k], &t->squares[k], d * (double)e->vector[k]);
            for (size_t k = 0; t->dim == 0 && k < f->n; k++)
                step(t, &c->weights[f->places[k]], &t->squares[f->places[k]],
                     d * (double)f->values[k]);
            step(t, &c->bias, &t->squares[places], d);
        }
    }
}

/* ---- figures ---- */

struct scored {
    double z;
    bool positive;
};

static int by_score(const void *a, const void *b)
{
    const struct scored *x = a;
    const struct scored *y = b;

    return x->z < y->z ? -1 : x->z > y->z;
}

/* The chance that a positive scores above a negative, ties half: by their ranks (Mann, Whitney). */
static double auc_of(struct scored *s, size_t n, size_t n_positive)
{
    double ranks = 0;

    qsort(s, n, sizeof *s, by_score);
    for (size_t i = 0; i < n;) {
        size_t end = i;

        while (end < n && !(s[end].z > s[i].z))
            end++;
        for (size_t k = i; k < end; k++)
            ranks += s[k].positive ? (double)(i + 1 + end) / 2 : 0;
        i = end;
    }
    return (ranks - (double)n_positive * (double)(n_positive + 1) / 2) /
           ((double)n_positive * (double)(n - n_positive));
}

static enum rag_status measure(const struct trainer *t, const struct classifier *c, size_t n_held,
                               struct classifier_report *ret)
{
    struct scored *s = malloc(n_held * sizeof *s);
    size_t hits = 0;
    size_t n_positive = 0;
    size_t n_said = 0;

    if (!s)
        return RAG_ENOMEM;
    for (size_t i = 0; i < n_held; i++) {
        s[i] = (struct scored){score(t, c, t->order[i]), t->examples[t->order[i]].positive};
        n_positive += s[i].positive;
        n_said += s[i].z >= 0;
        hits += s[i].positive && s[i].z >= 0;
    }
    ret->n_held = n_held;
    ret->held_precision = n_said ? (double)hits / (double)n_said : 0;
    ret->held_recall = (double)hits / (double)n_positive;
    ret->held_f1 = hits ? 2 * (double)hits / (double)(n_said + n_positive) : 0;
    ret->held_auc = auc_of(s, n_held, n_positive);
    free(s);
    return RAG_OK;
}

/* A fifth of each class to the front. Returns how many. */
static size_t hold_out(struct trainer *t, size_t n_positive)
{
    size_t left[2] = {(t->n - n_positive) / HELD_PART, n_positive / HELD_PART};
    size_t n_held = 0;

    for (uint32_t i = 0; i < t->n; i++)
        t->order[i] = i;
    shuffle(t->order, t->n, &t->state);
    for (size_t i = 0; i < t->n; i++) {
        uint32_t example = t->order[i];
        size_t *of_class = &left[t->examples[example].positive];

        if (*of_class == 0)
            continue;
        (*of_class)--;
        t->order[i] = t->order[n_held];
        t->order[n_held++] = example;
    }
    return n_held;
}

/* The n-grams of each text, in no more memory than they need. */
static enum rag_status read_features(struct trainer *t)
{
    struct classifier_features f = {0};
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < t->n && status == RAG_OK; i++) {
        struct classifier_features *own = &t->features[i];

        status = classifier_features_of(t->examples[i].text, strlen(t->examples[i].text), &f);
        if (status != RAG_OK || f.n == 0)
            continue;
        own->places = malloc(f.n * sizeof *own->places);
        own->values = malloc(f.n * sizeof *own->values);
        if (!own->places || !own->values) {
            status = RAG_ENOMEM;
            continue;
        }
        memcpy(own->places, f.places, f.n * sizeof *own->places);
        memcpy(own->values, f.values, f.n * sizeof *own->values);
        own->n = f.n;
    }
    classifier_features_release(&f);
    return status;
}

static enum rag_status prepare(struct trainer *t, struct classifier *c, const char *embedder)
{
    size_t places = t->dim == 0 ? CLASSIFIER_PLACES : t->dim;

    t->order = calloc(t->n, sizeof *t->order);
    t->features = calloc(t->n, sizeof *t->features);
    t->squares = calloc(places + 1, sizeof *t->squares);
    c->weights = calloc(places, sizeof *c->weights);
    c->dim = t->dim;
    if (t->dim != 0)
        strncpy(c->embedder, embedder, sizeof c->embedder - 1);
    if (!t->order || !t->features || !t->squares || !c->weights)
        return RAG_ENOMEM;
    return t->dim == 0 ? read_features(t) : RAG_OK;
}

static void trainer_release(struct trainer *t)
{
    for (size_t i = 0; t->features && i < t->n; i++)
        classifier_features_release(&t->features[i]);
    free(t->features);
    free(t->order);
    free(t->squares);
}

enum rag_status classifier_train(const struct classifier_example *examples, size_t n,
                                 const struct classifier_training *training, const char *path,
                                 struct classifier_report *ret, struct rag_error *reterr)
{
    struct trainer t = {.examples = examples,
                        .n = n,
                        .dim = training->dim,
                        .epochs = training->epochs    ? training->epochs
                                  : training->dim > 0 ? EPOCHS_VECTORS
                                                      : EPOCHS_NGRAMS,
                        .l2 = training->l2 > 0 ? training->l2 : L2,
                        .state = training->seed};
    struct classifier_report report = {.n_train = n};
    struct classifier c = {0};
    int64_t begun = clock_monotonic_ns();
    size_t n_positive = 0;
    size_t n_held;
    enum rag_status status;

    for (size_t i = 0; i < n; i++)
        n_positive += examples[i].positive;
    if (n > CLASSIFIER_EXAMPLES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "classifier: %zu examples, the limit is %u", n,
                        CLASSIFIER_EXAMPLES_MAX);
    if (n_positive < CLASSIFIER_EXAMPLES_MIN || n - n_positive < CLASSIFIER_EXAMPLES_MIN)
        return rag_fail(reterr, RAG_EINVAL,
                        "classifier: %zu examples to deny and %zu to allow; each needs %u",
                        n_positive, n - n_positive, CLASSIFIER_EXAMPLES_MIN);
    status = prepare(&t, &c, training->embedder);
    if (status != RAG_OK)
        goto out;
    n_held = hold_out(&t, n_positive);
    train(&t, t.order + n_held, n - n_held, &c);
    status = measure(&t, &c, n_held, &report);
    if (status != RAG_OK)
        goto out;
    train(&t, t.order, n, &c);
    report.train_ms = clock_elapsed_ms(begun);
    status = classifier_write(&c, path, reterr);
    if (status == RAG_OK)
        *ret = report;
out:
    if (status == RAG_ENOMEM)
        rag_fail(reterr, status, "classifier: out of memory");
    trainer_release(&t);
    free(c.weights);
    return status;
}
