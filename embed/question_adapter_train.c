/* embed/question_adapter_train.c - pairs are checked and parted, batches made, steps taken. */
#include "embed/question_adapter_train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/splitmix.h"
#include "embed/question_adapter_loss.h"

#define UNIT_ERROR   0.01 /* of a length; float16 vectors have 0.001 */
#define BETA_1       0.9  /* of Adam, as its authors have them */
#define BETA_2       0.999
#define ADAM_EPSILON 1e-8
#define LOOKS        40  /* at the watched pairs, if it goes on to the end */
#define LOOK_ROWS    256 /* of them, ranked at once */
#define PI           3.14159265358979323846

/* What is usual. */
#define ROUNDS      20  /* through all pairs */
#define STEPS_LEAST 400 /* of few pairs, which patience ends */
#define STEPS_MOST  4000

struct training {
    const struct adapter_pairs *pairs;
    const struct adapter_options *options;
    uint64_t random;
    uint32_t *same;    /* [n_passages]: the first row with an equal vector */
    uint32_t *learned; /* [n_learned], shuffled anew when all were used */
    size_t n_learned;
    size_t at; /* in learned[] */
    uint32_t *watched;
    size_t n_watched;

    /* columns of the batch, or of the look */
    uint32_t *column_of; /* [n_passages]: 1 + its column; 0: none */
    uint32_t *columns;   /* [columns_max]: rows of passages */
    size_t n_columns;
    size_t columns_max;
    size_t rows_max;
    float *questions; /* [rows_max, dim] */
    float *passages;  /* [columns_max, dim] */
    uint32_t *right;  /* [rows_max] */
    struct adapter_mask *masks;
    size_t masks_max;
    struct adapter_scratch scratch;

    struct question_adapter *adapter;
    struct question_adapter *best;
    float *gradient; /* [n_weights], as the two below */
    float *mean;
    float *square;
    float *before; /* [n_watched]: reciprocal ranks without an adapter */
    float *now;
    float *after; /* of the best */
    struct adapter_report report;
};

/* ---- what was given ---- */

void adapter_options_default(size_t dim, size_t n, struct adapter_options *ret)
{
    struct adapter_options o = {
        .temperature = 0.05,
        .decay = 0.01,
        .learning_rate = 0.001,
        .batch = 256,
        .others = 1024,
        .patience = 8,
        .watched = 0.2,
        .seed = 1,
    };
    size_t widest = dim > 0 ? ADAPTER_WEIGHTS_MAX / (2 * dim) : 0;
    size_t steps = ROUNDS * n / o.batch;

    if (dim > 0 && question_adapter_n_weights(dim, 0) == 0)
        o.rank = widest < ADAPTER_RANK_MAX ? widest : ADAPTER_RANK_MAX;
    o.steps_max = steps < STEPS_LEAST ? STEPS_LEAST : steps < STEPS_MOST ? steps : STEPS_MOST;
    *ret = o;
}

static enum rag_status check_options(const struct adapter_options *o, struct rag_error *reterr)
{
    if (!(o->temperature > 0) || !(o->decay >= 0) || !(o->learning_rate > 0) ||
        !(o->watched > 0 && o->watched < 1))
        return rag_fail(reterr, RAG_EINVAL,
                        "adapter: temperature %g, decay %g, learning rate %g, watched part %g: "
                        "above 0, 0 or more, above 0, between 0 and 1",
                        o->temperature, o->decay, o->learning_rate, o->watched);
    if (o->batch < 2 || o->batch > ADAPTER_BATCH_MAX || o->others > ADAPTER_OTHERS_MAX)
        return rag_fail(reterr, RAG_EINVAL,
                        "adapter: a batch of %zu pairs with %zu other passages, the limits are 2 "
                        "to %d and %d",
                        o->batch, o->others, ADAPTER_BATCH_MAX, ADAPTER_OTHERS_MAX);
    if (o->steps_max == 0 || o->steps_max > ADAPTER_STEPS_MAX)
        return rag_fail(reterr, RAG_EINVAL, "adapter: %zu steps, the limits are 1 and %d",
                        o->steps_max, ADAPTER_STEPS_MAX);
    return RAG_OK;
}

static enum rag_status check_unit(const float *rows, size_t n, size_t dim, const char *what,
                                  struct rag_error *reterr)
{
    for (size_t i = 0; i < n; i++) {
        double squares = 0;

        for (size_t k = 0; k < dim; k++)
            squares += (double)rows[i * dim + k] * (double)rows[i * dim + k];
        if (!(fabs(sqrt(squares) - 1) < UNIT_ERROR)) /* NaN too */
            return rag_fail(reterr, RAG_EINVAL, "adapter: %s %zu has length %g, not 1", what, i,
                            sqrt(squares));
    }
    return RAG_OK;
}

static enum rag_status check_rows(const struct adapter_pairs *p, struct rag_error *reterr)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->positives[i] >= p->n_passages)
            return rag_fail(reterr, RAG_EINVAL, "adapter: pair %zu: passage %u of %zu", i,
                            p->positives[i], p->n_passages);
        if (p->right &&
            (p->right[i].last >= p->n_passages || p->right[i].first > p->right[i].last ||
             p->right[i].last - p->right[i].first >= ADAPTER_RIGHT_MAX))
            return rag_fail(reterr, RAG_EINVAL,
                            "adapter: pair %zu: right passages %u to %u of %zu, at most %d", i,
                            p->right[i].first, p->right[i].last, p->n_passages, ADAPTER_RIGHT_MAX);
        for (size_t k = 0; k < p->n_negatives; k++) {
            uint32_t row = p->negatives[i * p->n_negatives + k];

            if (row != ADAPTER_NO_PASSAGE && row >= p->n_passages)
                return rag_fail(reterr, RAG_EINVAL, "adapter: pair %zu: negative %u of %zu", i, row,
                                p->n_passages);
        }
    }
    return RAG_OK;
}

static enum rag_status check_pairs(const struct adapter_pairs *p, struct rag_error *reterr)
{
    enum rag_status status;

    if (p->n < ADAPTER_PAIRS_MIN)
        return rag_fail(reterr, RAG_EINVAL, "adapter: %zu pairs, at least %d are needed", p->n,
                        ADAPTER_PAIRS_MIN);
    if (p->n > ADAPTER_PAIRS_MAX || p->n_passages > ADAPTER_PASSAGES_MAX ||
        p->n_negatives > ADAPTER_NEGATIVES_MAX)
        return rag_fail(reterr, RAG_ELIMIT,
                        "adapter: %zu pairs with %zu negatives each and %zu passages, the limits "
                        "are %d, %d and %d",
                        p->n, p->n_negatives, p->n_passages, ADAPTER_PAIRS_MAX,
                        ADAPTER_NEGATIVES_MAX, ADAPTER_PASSAGES_MAX);
    status = check_rows(p, reterr);
    if (status == RAG_OK)
        status = check_unit(p->questions, p->n, p->dim, "question", reterr);
    if (status == RAG_OK)
        status = check_unit(p->passages, p->n_passages, p->dim, "passage", reterr);
    return status;
}

/* ---- equal passages, and the two parts ---- */

struct keyed {
    uint64_t key;
    uint32_t row;
};

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a;
    const struct keyed *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static uint64_t vector_key(const float *v, size_t dim)
{
    uint64_t key = 0;

    for (size_t i = 0; i < dim; i++) {
        uint32_t bits;

        memcpy(&bits, &v[i], sizeof bits);
        key ^= bits;
        key = splitmix_next(&key);
    }
    return key;
}

static enum rag_status find_same(struct training *t, struct rag_error *reterr)
{
    const struct adapter_pairs *p = t->pairs;
    struct keyed *order = malloc(p->n_passages * sizeof *order);
    size_t bytes = p->dim * sizeof *p->passages;

    if (!order)
        return rag_fail(reterr, RAG_ENOMEM, "adapter: out of memory");
    for (uint32_t i = 0; i < p->n_passages; i++)
        order[i] = (struct keyed){vector_key(p->passages + i * p->dim, p->dim), i};
    qsort(order, p->n_passages, sizeof *order, by_key);
    for (size_t i = 0, first = 0; i < p->n_passages; i++) {
        const float *row = p->passages + order[i].row * p->dim;

        if (i > 0 && (order[i].key != order[first].key ||
                      memcmp(row, p->passages + order[first].row * p->dim, bytes) != 0))
            first = i;
        t->same[order[i].row] = order[first].row;
    }
    free(order);
    return RAG_OK;
}

/* Whole groups, in an order by chance, are watched until they are enough. */
static enum rag_status part(struct training *t, struct rag_error *reterr)
{
    const struct adapter_pairs *p = t->pairs;
    struct keyed *order = malloc(p->n * sizeof *order);
    size_t wanted = (size_t)ceil(t->options->watched * (double)p->n);
    size_t i = 0;

    if (!order)
        return rag_fail(reterr, RAG_ENOMEM, "adapter: out of memory");
    for (uint32_t k = 0; k < p->n; k++) {
        uint64_t state = t->options->seed ^ ((uint64_t)(p->groups ? p->groups[k] : k) << 20);

        order[k] = (struct keyed){splitmix_next(&state), k};
    }
    qsort(order, p->n, sizeof *order, by_key);
    for (; i < p->n && (i < wanted || order[i].key == order[i - 1].key); i++)
        if (t->n_watched < ADAPTER_WATCHED_MAX)
            t->watched[t->n_watched++] = order[i].row;
    for (; i < p->n; i++)
        t->learned[t->n_learned++] = order[i].row;
    free(order);
    if (t->n_learned < 2)
        return rag_fail(reterr, RAG_EINVAL,
                        "adapter: %zu pairs of so few groups leave %zu to learn from", p->n,
                        t->n_learned);
    t->report.n_learned = t->n_learned;
    t->report.n_watched = t->n_watched;
    return RAG_OK;
}

/* ---- columns ---- */

static void clear_columns(struct training *t)
{
    for (size_t i = 0; i < t->n_columns; i++)
        t->column_of[t->columns[i]] = 0;
    t->n_columns = 0;
}

/* Returns the column of a passage, which is added when it has none and there is room. */
static uint32_t add_column(struct training *t, uint32_t passage)
{
    const struct adapter_pairs *p = t->pairs;
    uint32_t row = t->same[passage];

    if (t->column_of[row] == 0 && t->n_columns < t->columns_max) {
        memcpy(t->passages + t->n_columns * p->dim, p->passages + (size_t)row * p->dim,
               p->dim * sizeof *t->passages);
        t->columns[t->n_columns++] = row;
        t->column_of[row] = (uint32_t)t->n_columns;
    }
    return t->column_of[row] - 1;
}

static void add_by_chance(struct training *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)add_column(t, (uint32_t)(splitmix_next(&t->random) % t->pairs->n_passages));
}

/* Rows of the batch for pairs rows[0 .. n), whose columns are there. */
static struct adapter_batch make_batch(struct training *t, const uint32_t *rows, size_t n)
{
    const struct adapter_pairs *p = t->pairs;
    size_t n_masks = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t pair = rows[i];

        memcpy(t->questions + i * p->dim, p->questions + (size_t)pair * p->dim,
               p->dim * sizeof *t->questions);
        t->right[i] = t->column_of[t->same[p->positives[pair]]] - 1;
        for (uint32_t k = p->right ? p->right[pair].first : 1;
             k <= (p->right ? p->right[pair].last : 0); k++) {
            uint32_t column = t->column_of[t->same[k]];

            if (column != 0 && column - 1 != t->right[i])
                t->masks[n_masks++] = (struct adapter_mask){i, column - 1};
        }
    }
    return (struct adapter_batch){
        .questions = t->questions,
        .n = n,
        .passages = t->passages,
        .n_columns = t->n_columns,
        .right = t->right,
        .masks = t->masks,
        .n_masks = n_masks,
    };
}

static void shuffle(struct training *t)
{
    for (size_t i = t->n_learned - 1; i > 0; i--) {
        size_t k = (size_t)(splitmix_next(&t->random) % (i + 1));
        uint32_t held = t->learned[i];

        t->learned[i] = t->learned[k];
        t->learned[k] = held;
    }
}

static struct adapter_batch next_batch(struct training *t)
{
    const struct adapter_pairs *p = t->pairs;
    size_t n = t->options->batch < t->n_learned ? t->options->batch : t->n_learned;
    const uint32_t *rows;

    if (t->at + n > t->n_learned) { /* the last few wait for another order */
        shuffle(t);
        t->at = 0;
    }
    rows = t->learned + t->at;
    t->at += n;
    clear_columns(t);
    for (size_t i = 0; i < n; i++)
        (void)add_column(t, p->positives[rows[i]]);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < p->n_negatives; k++) {
            uint32_t row = p->negatives[rows[i] * p->n_negatives + k];

            if (row != ADAPTER_NO_PASSAGE)
                (void)add_column(t, row);
        }
    add_by_chance(t, t->options->others);
    return make_batch(t, rows, n);
}

/* ---- looking at the watched pairs ---- */

/* Equal scores count half: a map of everything to one point is not first everywhere. */
static float reciprocal(const float *scores, size_t n, uint32_t right)
{
    size_t n_above = 0;
    size_t n_equal = 0;

    for (size_t i = 0; i < n; i++) {
        n_above += scores[i] > scores[right];
        n_equal += scores[i] == scores[right];
    }
    return 1 / (1 + (float)n_above + (float)(n_equal - 1) / 2);
}

/* Mean reciprocal rank of the watched pairs; the columns are those of the look. */
static double look(struct training *t, float *ret_each)
{
    double sum = 0;

    for (size_t i = 0; i < t->n_watched; i += LOOK_ROWS) {
        size_t n = t->n_watched - i < LOOK_ROWS ? t->n_watched - i : LOOK_ROWS;
        struct adapter_batch b = make_batch(t, t->watched + i, n);

        adapter_scores(t->adapter, &b, t->options->temperature, &t->scratch);
        for (size_t k = 0; k < n; k++) {
            ret_each[i + k] =
                reciprocal(t->scratch.scores + k * b.n_columns, b.n_columns, b.right[k]);
            sum += (double)ret_each[i + k];
        }
    }
    return sum / (double)t->n_watched;
}

/* All passages when they are not too many, else the right ones and some by chance, the same at
 * every look. */
static double look_around(struct training *t, float *ret_each)
{
    uint64_t random = t->random;
    size_t room;

    clear_columns(t);
    for (size_t i = 0; i < t->n_watched; i++)
        (void)add_column(t, t->pairs->positives[t->watched[i]]);
    room = ADAPTER_COLUMNS_MAX - t->n_columns;
    t->random = t->options->seed;
    if (t->pairs->n_passages <= ADAPTER_COLUMNS_MAX)
        for (uint32_t i = 0; i < t->pairs->n_passages; i++)
            (void)add_column(t, i);
    else
        add_by_chance(t, room);
    t->random = random;
    t->report.n_columns = t->n_columns;
    return look(t, ret_each);
}

/* Of the mean of after - before. */
static double gain_error(const struct training *t)
{
    double n = (double)t->n_watched;
    double mean = t->report.mrr_after - t->report.mrr_before;
    double squares = 0;

    for (size_t i = 0; i < t->n_watched; i++) {
        double off = (double)t->after[i] - (double)t->before[i] - mean;

        squares += off * off;
    }
    return n > 1 ? sqrt(squares / (n - 1) / n) : INFINITY;
}

/* ---- steps ---- */

static void step_weights(struct training *t, size_t step, double rate)
{
    size_t n = question_adapter_n_weights(t->adapter->dim, t->adapter->rank);
    double unbias_1 = 1 - pow(BETA_1, (double)step);
    double unbias_2 = 1 - pow(BETA_2, (double)step);
    float by = (float)(rate * sqrt(unbias_2) / unbias_1);
    float *w = t->adapter->weights;

    for (size_t i = 0; i < n; i++) {
        float g = t->gradient[i];

        t->mean[i] += (float)(1 - BETA_1) * (g - t->mean[i]);
        t->square[i] += (float)(1 - BETA_2) * (g * g - t->square[i]);
        w[i] -= by * t->mean[i] / (sqrtf(t->square[i]) + (float)ADAM_EPSILON);
    }
}

static void keep_best(struct training *t, size_t step, double mrr)
{
    size_t n = question_adapter_n_weights(t->adapter->dim, t->adapter->rank);

    memcpy(t->best->weights, t->adapter->weights, n * sizeof(float));
    memcpy(t->after, t->now, t->n_watched * sizeof *t->after);
    t->report.mrr_after = mrr;
    t->report.best_step = step;
}

static enum rag_status learn(struct training *t, struct rag_error *reterr)
{
    const struct adapter_options *o = t->options;
    size_t every = (o->steps_max + LOOKS - 1) / LOOKS;
    size_t n_without = 0;

    t->report.mrr_before = look_around(t, t->before);
    memcpy(t->now, t->before, t->n_watched * sizeof *t->now);
    keep_best(t, 0, t->report.mrr_before);
    shuffle(t);
    for (size_t step = 1; step <= o->steps_max && n_without < o->patience; step++) {
        double rate =
            o->learning_rate / 2 * (1 + cos(PI * (double)(step - 1) / (double)o->steps_max));
        struct adapter_batch b = next_batch(t);
        double loss =
            adapter_loss(t->adapter, &b, o->temperature, o->decay, &t->scratch, t->gradient);

        if (!isfinite(loss))
            return rag_fail(reterr, RAG_ENUMERIC,
                            "adapter: the loss of step %zu is no number; learn at a lower rate "
                            "than %g",
                            step, o->learning_rate);
        if (step == 1)
            t->report.loss_first = loss;
        t->report.loss_last = loss;
        t->report.steps = step;
        step_weights(t, step, rate);
        if (step % every == 0 || step == o->steps_max) {
            double mrr = look_around(t, t->now);

            n_without = mrr > t->report.mrr_after ? 0 : n_without + 1;
            if (n_without == 0)
                keep_best(t, step, mrr);
        }
        if (o->progress && !o->progress(o->context, step, o->steps_max, loss))
            return rag_fail(reterr, RAG_ECANCELLED, "adapter: cancelled");
    }
    return RAG_OK;
}

/* ---- memory ---- */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void training_release(struct training *t)
{
    free(t->same);
    free(t->learned);
    free(t->watched);
    free(t->column_of);
    free(t->columns);
    free(t->questions);
    free(t->passages);
    free(t->right);
    free(t->masks);
    adapter_scratch_release(&t->scratch);
    question_adapter_free(t->adapter);
    question_adapter_free(t->best);
    free(t->gradient);
    free(t->mean);
    free(t->square);
    free(t->before);
    free(t->now);
    free(t->after);
}

static enum rag_status training_init(struct training *t, struct rag_error *reterr)
{
    const struct adapter_pairs *p = t->pairs;
    const struct adapter_options *o = t->options;
    enum rag_status status = question_adapter_new(p->dim, o->rank, &t->adapter, reterr);
    size_t n_weights = question_adapter_n_weights(p->dim, o->rank);

    if (status == RAG_OK)
        status = question_adapter_new(p->dim, o->rank, &t->best, reterr);
    if (status != RAG_OK)
        return status;
    t->random = o->seed;
    t->rows_max = larger(o->batch, LOOK_ROWS);
    t->columns_max =
        larger(o->batch * (1 + p->n_negatives) + o->others, (size_t)ADAPTER_COLUMNS_MAX);
    if (t->columns_max > p->n_passages)
        t->columns_max = p->n_passages;
    t->masks_max = p->right ? t->rows_max * ADAPTER_RIGHT_MAX : 0;
    t->same = calloc(p->n_passages, sizeof *t->same);
    t->learned = calloc(p->n, sizeof *t->learned);
    t->watched = calloc(p->n, sizeof *t->watched);
    t->column_of = calloc(p->n_passages, sizeof *t->column_of);
    t->columns = calloc(t->columns_max, sizeof *t->columns);
    t->questions = calloc(t->rows_max * p->dim, sizeof *t->questions);
    t->passages = calloc(t->columns_max * p->dim, sizeof *t->passages);
    t->right = calloc(t->rows_max, sizeof *t->right);
    t->masks = calloc(t->masks_max + 1, sizeof *t->masks);
    t->gradient = calloc(n_weights, sizeof *t->gradient);
    t->mean = calloc(n_weights, sizeof *t->mean);
    t->square = calloc(n_weights, sizeof *t->square);
    t->before = calloc(p->n, sizeof *t->before);
    t->now = calloc(p->n, sizeof *t->now);
    t->after = calloc(p->n, sizeof *t->after);
    if (!t->same || !t->learned || !t->watched || !t->column_of || !t->columns || !t->questions ||
        !t->passages || !t->right || !t->masks || !t->gradient || !t->mean || !t->square ||
        !t->before || !t->now || !t->after)
        return rag_fail(reterr, RAG_ENOMEM, "adapter: out of memory");
    return adapter_scratch_init(p->dim, o->rank, t->rows_max, t->columns_max, &t->scratch, reterr);
}

/* Of A B the outer part begins at zero, so that W begins as the identity, the inner one by chance,
 * so that it has a slope. */
static void begin_inner(struct training *t)
{
    struct question_adapter *a = t->adapter;
    float width = (float)sqrt(3.0 / (double)a->dim);

    for (size_t i = a->dim * a->rank; i < 2 * a->dim * a->rank; i++)
        a->weights[i] =
            width * ((float)(splitmix_next(&t->random) >> 40) / (float)(1u << 23) - 1.0f);
}

static void conclude(struct training *t, struct question_adapter **ret)
{
    struct adapter_report *r = &t->report;

    r->gain_error = gain_error(t);
    r->learned = r->best_step > 0 &&
                 r->mrr_after - r->mrr_before > (double)ADAPTER_GAIN_ERRORS * r->gain_error;
    if (r->learned)
        r->distance = sqrt(adapter_distance_squared(t->best, &t->scratch));
    else
        memset(t->best->weights, 0,
               question_adapter_n_weights(t->best->dim, t->best->rank) * sizeof(float));
    *ret = t->best; /* moves to the caller */
    t->best = NULL;
}

enum rag_status question_adapter_train(const struct adapter_pairs *pairs,
                                       const struct adapter_options *options,
                                       struct question_adapter **ret,
                                       struct adapter_report *ret_report, struct rag_error *reterr)
{
    struct training t = {.pairs = pairs, .options = options};
    enum rag_status status = check_options(options, reterr);

    if (status == RAG_OK)
        status = check_pairs(pairs, reterr);
    if (status == RAG_OK)
        status = training_init(&t, reterr);
    if (status == RAG_OK)
        status = find_same(&t, reterr);
    if (status == RAG_OK)
        status = part(&t, reterr);
    if (status == RAG_OK) {
        begin_inner(&t);
        status = learn(&t, reterr);
    }
    if (status == RAG_OK) {
        conclude(&t, ret);
        *ret_report = t.report;
    }
    training_release(&t);
    return status;
}
