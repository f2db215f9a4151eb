/* Goal: adapters are what question_adapter.h says, and are learned as question_adapter_train.h
 * says. Method: known maps by hand; the gradient against finite differences of the loss; made-up
 * spaces in which the right map is known (a rotation of all passages, a few wrong directions), or
 * where there is none to be found; hostile pairs. Vectors are seeded. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "base/splitmix.h"
#include "embed/question_adapter.h"
#include "embed/question_adapter_loss.h"
#include "embed/question_adapter_train.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* About normal: a sum of twelve uniform numbers. */
static float draw(uint64_t *seed)
{
    double sum = -6;

    for (int i = 0; i < 12; i++)
        sum += (double)(splitmix_next(seed) >> 11) / 9007199254740992.0;
    return (float)sum;
}

static void to_unit(float *v, size_t dim)
{
    double squares = 0;

    for (size_t i = 0; i < dim; i++)
        squares += (double)v[i] * (double)v[i];
    for (size_t i = 0; i < dim; i++)
        v[i] = (float)((double)v[i] / sqrt(squares));
}

static float *unit_rows(size_t n, size_t dim, uint64_t seed)
{
    float *rows = malloc(n * dim * sizeof *rows);

    assert_non_null(rows);
    for (size_t i = 0; i < n * dim; i++)
        rows[i] = draw(&seed);
    for (size_t i = 0; i < n; i++)
        to_unit(rows + i * dim, dim);
    return rows;
}

static struct question_adapter *drawn(size_t dim, size_t rank, double size, uint64_t seed)
{
    struct question_adapter *a = NULL;

    assert_int_equal(question_adapter_new(dim, rank, &a, NULL), RAG_OK);
    for (size_t i = 0; i < question_adapter_n_weights(dim, rank); i++)
        a->weights[i] = (float)size * draw(&seed);
    return a;
}

/* ---- forms ---- */

static const struct {
    const char *name;
    size_t dim;
    size_t rank;
    size_t n;
} forms[] = {
    {"the full map of a small encoder",       384,      0,        384 * 384  },
    {"the widest full map",                   1024,     0,        1024 * 1024},
    {"a wider one needs a rank",              1025,     0,        0          },
    {"a wide one with a rank",                4096,     128,      4096 * 256 },
    {"the largest rank",                      1024,     256,      1024 * 512 },
    {"beyond the largest rank",               1024,     257,      0          },
    {"a rank that is no low one",             8,        8,        0          },
    {"no dimensions",                         0,        0,        0          },
    {"more dimensions than an embedding has", 8193,     1,        0          },
    {"a product that would overflow",         SIZE_MAX, 0,        0          },
    {"a rank that would overflow",            384,      SIZE_MAX, 0          },
};

static void check_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct question_adapter *a = NULL;
        struct rag_error error = {RAG_OK, ""};
        enum rag_status status = question_adapter_new(forms[i].dim, forms[i].rank, &a, &error);

        if (question_adapter_n_weights(forms[i].dim, forms[i].rank) != forms[i].n ||
            status != (forms[i].n > 0 ? RAG_OK : RAG_ELIMIT))
            fail_msg("%s: %s", forms[i].name, error.text);
        question_adapter_free(a);
    }
    question_adapter_free(NULL);
}

static void the_identity_changes_nothing(void **state)
{
    size_t ranks[] = {0, 3};
    float *q = unit_rows(1, 37, 1);
    float ret[37];

    (void)state;
    for (size_t i = 0; i < COUNT(ranks); i++) {
        struct question_adapter *a = drawn(37, ranks[i], 0, 1);

        assert_true(question_adapter_apply(a, q, ret));
        for (size_t k = 0; k < 37; k++)
            assert_float_equal(ret[k], q[k], 1e-6);
        question_adapter_free(a);
    }
    free(q);
}

/* By hand: D moves input 0 to output 1; A B does the same with one inner number. */
static void a_map_by_hand(void **state)
{
    struct question_adapter *full = drawn(3, 0, 0, 1);
    struct question_adapter *low = drawn(3, 1, 0, 1);
    const float q[3] = {0.6f, 0.0f, 0.8f};
    float length = sqrtf(0.36f + 0.64f + 0.36f * 4);
    float one[3];
    float two[3];

    (void)state;
    full->weights[3] = 2; /* D[1][0] */
    low->weights[1] = 2;  /* A[1][0] */
    low->weights[3] = 1;  /* B[0][0] */
    assert_true(question_adapter_apply(full, q, one));
    assert_true(question_adapter_apply(low, q, two));
    assert_float_equal(one[0], 0.6f / length, 1e-6);
    assert_float_equal(one[1], 1.2f / length, 1e-6);
    assert_float_equal(one[2], 0.8f / length, 1e-6);
    assert_memory_equal(one, two, sizeof one);
    question_adapter_free(full);
    question_adapter_free(low);
}

static void what_vanishes_stays_as_it_was(void **state)
{
    struct question_adapter *a = drawn(2, 0, 0, 1);
    const float q[2] = {1, 0};
    float ret[2];

    (void)state;
    a->weights[0] = -1; /* W q = 0 */
    assert_false(question_adapter_apply(a, q, ret));
    assert_memory_equal(ret, q, sizeof q);
    a->weights[0] = INFINITY;
    assert_false(question_adapter_apply(a, q, ret));
    assert_memory_equal(ret, q, sizeof q);
    question_adapter_free(a);
}

static void bytes_there_and_back(void **state)
{
    struct question_adapter *a = drawn(24, 5, 0.01, 3);
    struct question_adapter *back = NULL;
    size_t n = question_adapter_n_weights(24, 5);
    struct rag_error error;
    uint8_t bytes[24 * 10 * 2];

    (void)state;
    question_adapter_encode(a, bytes);
    assert_int_equal(question_adapter_decode(24, 5, bytes, 2 * n, &back, NULL), RAG_OK);
    for (size_t i = 0; i < n; i++)
        assert_true(fabsf(back->weights[i] - a->weights[i]) <= fabsf(a->weights[i]) / 1024);
    question_adapter_free(back);
    assert_int_equal(question_adapter_decode(24, 5, bytes, 2 * n - 1, &back, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "479 bytes of weights"));
    bytes[15] = 0x7C; /* weight 7 is infinite */
    bytes[14] = 0;
    assert_int_equal(question_adapter_decode(24, 5, bytes, 2 * n, &back, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "weight 7 of 240 is not finite"));
    assert_int_equal(question_adapter_decode(1025, 0, bytes, 0, &back, &error), RAG_ELIMIT);
    question_adapter_free(a);
}

/* ---- loss ---- */

enum { DIM = 12, ROWS = 9, COLUMNS = 14 };

static double loss_of(const struct question_adapter *a, const struct adapter_batch *b,
                      struct adapter_scratch *s, float *gradient)
{
    return adapter_loss(a, b, 0.3, 0.2, s, gradient);
}

/* Along each weight by itself: (L(w + h) - L(w - h)) / 2h. */
static void check_gradient(size_t rank)
{
    float *questions = unit_rows(ROWS, DIM, 11);
    float *passages = unit_rows(COLUMNS, DIM, 12);
    uint32_t right[ROWS];
    const struct adapter_mask masks[] = {
        {0, 5 },
        {3, 13},
        {8, 1 }
    };
    struct adapter_batch b = {questions, ROWS, passages, COLUMNS, right, masks, COUNT(masks)};
    struct question_adapter *a = drawn(DIM, rank, 0.3, 13);
    size_t n = question_adapter_n_weights(DIM, rank);
    float *gradient = malloc(n * sizeof *gradient);
    float *other = malloc(n * sizeof *other);
    struct adapter_scratch s;

    assert_non_null(gradient);
    assert_non_null(other);
    for (uint32_t i = 0; i < ROWS; i++)
        right[i] = i;
    assert_int_equal(adapter_scratch_init(DIM, rank, ROWS, COLUMNS, &s, NULL), RAG_OK);
    (void)loss_of(a, &b, &s, gradient);
    for (size_t i = 0; i < n; i++) {
        float was = a->weights[i];
        float h = 0.01f;
        double up;
        double slope;

        a->weights[i] = was + h;
        up = loss_of(a, &b, &s, other);
        a->weights[i] = was - h;
        slope = (up - loss_of(a, &b, &s, other)) / (2 * (double)h);
        a->weights[i] = was;
        if (fabs(slope - (double)gradient[i]) > 1e-3 + 2e-2 * fabs(slope))
            fail_msg("rank %zu, weight %zu: %g, by differences %g", rank, i, (double)gradient[i],
                     slope);
    }
    adapter_scratch_release(&s);
    question_adapter_free(a);
    free(gradient);
    free(other);
    free(questions);
    free(passages);
}

static void the_gradient_of_the_full_map(void **state)
{
    (void)state;
    check_gradient(0);
}

static void the_gradient_of_a_low_rank(void **state)
{
    (void)state;
    check_gradient(3);
}

/* Two equal columns: -log(1/2) for the identity; none when the other one is masked. */
static void what_is_right_too_does_not_count(void **state)
{
    const float q[2] = {1, 0};
    const float p[4] = {1, 0, 1, 0};
    const uint32_t right[1] = {0};
    const struct adapter_mask mask = {0, 1};
    struct adapter_batch b = {q, 1, p, 2, right, NULL, 0};
    struct question_adapter *a = drawn(2, 0, 0, 1);
    struct adapter_scratch s;
    float gradient[4];

    (void)state;
    assert_int_equal(adapter_scratch_init(2, 0, 1, 2, &s, NULL), RAG_OK);
    assert_float_equal(adapter_loss(a, &b, 0.05, 0, &s, gradient), log(2), 1e-6);
    b.masks = &mask;
    b.n_masks = 1;
    assert_float_equal(adapter_loss(a, &b, 0.05, 0, &s, gradient), 0, 1e-6);
    adapter_scratch_release(&s);
    question_adapter_free(a);
}

/* ---- learning ---- */

struct space {
    float *questions;
    float *passages;
    uint32_t *positives;
    struct adapter_pairs pairs;
};

static struct space space_new(size_t n, size_t dim, uint64_t seed)
{
    struct space s = {
        .questions = unit_rows(n, dim, seed),
        .passages = unit_rows(n, dim, seed + 1000),
        .positives = malloc(n * sizeof(uint32_t)),
    };

    assert_non_null(s.positives);
    for (uint32_t i = 0; i < n; i++)
        s.positives[i] = i;
    s.pairs = (struct adapter_pairs){
        .dim = dim,
        .questions = s.questions,
        .n = n,
        .passages = s.passages,
        .n_passages = n,
        .positives = s.positives,
    };
    return s;
}

static void space_free(struct space *s)
{
    free(s->questions);
    free(s->passages);
    free(s->positives);
}

/* The passage of a question is the question turned in the planes (0, 1), (2, 3) ..., and noise. */
static struct space turned_space(size_t n, size_t dim, double angle, double noise)
{
    struct space s = space_new(n, dim, 21);
    uint64_t seed = 77;

    for (size_t i = 0; i < n; i++) {
        const float *q = s.questions + i * dim;
        float *p = s.passages + i * dim;

        for (size_t k = 0; k + 1 < dim; k += 2) {
            p[k] = (float)(cos(angle) * (double)q[k] - sin(angle) * (double)q[k + 1]);
            p[k + 1] = (float)(sin(angle) * (double)q[k] + cos(angle) * (double)q[k + 1]);
        }
        for (size_t k = 0; k < dim; k++)
            p[k] += (float)(noise / sqrt((double)dim)) * draw(&seed);
        to_unit(p, dim);
    }
    return s;
}

static struct adapter_options quick(size_t dim, size_t n)
{
    struct adapter_options o;

    adapter_options_default(dim, n, &o);
    o.batch = 64;
    o.others = 64;
    o.steps_max = 200;
    return o;
}

static void what_is_usual_is_allowed(void **state)
{
    static const struct {
        size_t dim;
        size_t n;
        size_t rank;
        size_t steps;
    } rows[] = {
        {384,  1000,   0,   400 },
        {1024, 20000,  0,   1562},
        {1536, 200000, 256, 4000},
        {4096, 40,     128, 400 },
        {8192, 40,     64,  400 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct adapter_options o;

        adapter_options_default(rows[i].dim, rows[i].n, &o);
        assert_int_equal(o.rank, rows[i].rank);
        assert_int_equal(o.steps_max, rows[i].steps);
        assert_true(question_adapter_n_weights(rows[i].dim, o.rank) > 0);
    }
}

/* A seventh of a turn leaves the right passage at a cosine of .62 with much noise beside it; turned
 * back it is nearly always first. */
static void a_rotation_is_found(void **state)
{
    struct space s = turned_space(400, 16, 0.9, 0.5);
    struct adapter_options o = quick(16, 400);
    struct question_adapter *a = NULL;
    struct adapter_report r;
    double before = 0;
    double after = 0;
    float back[16];

    (void)state;
    o.learning_rate = 0.02;
    o.decay = 0.0001;
    assert_int_equal(question_adapter_train(&s.pairs, &o, &a, &r, NULL), RAG_OK);
    assert_true(r.learned);
    assert_true(r.mrr_before < 0.7);
    assert_true(r.mrr_after > 0.9);
    assert_true(r.loss_last < r.loss_first);
    assert_true(r.distance > 0);
    for (size_t i = 0; i < 400; i++) {
        assert_true(question_adapter_apply(a, s.questions + i * 16, back));
        for (size_t k = 0; k < 16; k++) {
            before += (double)(s.questions[i * 16 + k] * s.passages[i * 16 + k]) / 400;
            after += (double)(back[k] * s.passages[i * 16 + k]) / 400;
        }
    }
    assert_true(after > before + 0.15);
    question_adapter_free(a);
    space_free(&s);
}

/* One direction of the questions says nothing: a map of rank 2 takes it away. */
static void a_low_rank_takes_a_direction_away(void **state)
{
    struct space s = turned_space(400, 24, 0, 0.4);
    struct adapter_options o = quick(24, 400);
    struct question_adapter *a = NULL;
    struct adapter_report r;
    uint64_t seed = 5;

    (void)state;
    for (size_t i = 0; i < 400; i++) {
        s.questions[i * 24] += 1.5f * draw(&seed);
        to_unit(s.questions + i * 24, 24);
    }
    o.rank = 2;
    o.learning_rate = 0.02;
    o.decay = 0.0001;
    assert_int_equal(question_adapter_train(&s.pairs, &o, &a, &r, NULL), RAG_OK);
    assert_true(r.learned);
    assert_true(r.mrr_after > r.mrr_before + 0.1);
    assert_int_equal(a->rank, 2);
    question_adapter_free(a);
    space_free(&s);
}

static void without_anything_to_learn_it_stays_the_identity(void **state)
{
    struct adapter_options o = quick(16, 300);
    size_t n_learned = 0;

    (void)state;
    o.steps_max = 60;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct space s = space_new(300, 16, seed * 31); /* passages have nothing to do with it */
        struct question_adapter *a = NULL;
        struct adapter_report r;

        o.seed = seed;
        assert_int_equal(question_adapter_train(&s.pairs, &o, &a, &r, NULL), RAG_OK);
        n_learned += r.learned;
        for (size_t i = 0; i < 16 * 16 && !r.learned; i++)
            assert_true(a->weights[i] == 0.0f);
        question_adapter_free(a);
        space_free(&s);
    }
    /* the best of many looks at 60 pairs: more than 5% of runs by chance, far from half of them */
    assert_true(n_learned <= 6);
}

static void the_same_seed_gives_the_same_map(void **state)
{
    struct space s = turned_space(300, 16, 0.7, 0.5);
    struct adapter_options o = quick(16, 300);
    struct question_adapter *a = NULL;
    struct question_adapter *b = NULL;
    struct adapter_report r;

    (void)state;
    o.learning_rate = 0.02;
    assert_int_equal(question_adapter_train(&s.pairs, &o, &a, &r, NULL), RAG_OK);
    assert_int_equal(question_adapter_train(&s.pairs, &o, &b, &r, NULL), RAG_OK);
    assert_true(r.learned);
    assert_memory_equal(a->weights, b->weights, 16 * 16 * sizeof(float));
    question_adapter_free(b);
    o.seed = 2;
    assert_int_equal(question_adapter_train(&s.pairs, &o, &b, &r, NULL), RAG_OK);
    assert_memory_not_equal(a->weights, b->weights, 16 * 16 * sizeof(float));
    question_adapter_free(a);
    question_adapter_free(b);
    space_free(&s);
}

/* Every passage is there four times, and a question points at one of them: to tell equal ones apart
 * is not what is to be learned. */
static void equal_passages_are_no_negatives(void **state)
{
    struct space s = turned_space(400, 16, 0.9, 0.5);
    struct adapter_options o = quick(16, 400);
    struct question_adapter *a = NULL;
    struct adapter_report r;

    (void)state;
    for (size_t i = 0; i < 400; i++) {
        memcpy(s.passages + i * 16, s.passages + i / 4 * 4 * 16, 16 * sizeof(float));
        memcpy(s.questions + i * 16, s.questions + i / 4 * 4 * 16, 16 * sizeof(float));
    }
    o.learning_rate = 0.02;
    o.decay = 0;
    assert_int_equal(question_adapter_train(&s.pairs, &o, &a, &r, NULL), RAG_OK);
    assert_int_equal(r.n_columns, 100);
    assert_true(r.mrr_after > 0.9); /* with three equals as negatives it would be 1 / 2.5 */
    assert_true(r.loss_last < 1);   /* and this at least log 4 */
    question_adapter_free(a);
    space_free(&s);
}

/* Pairs of one group are on one side. */
static void groups_are_not_torn(void **state)
{
    struct space s = turned_space(400, 16, 0.9, 0.5);
    struct adapter_options o = quick(16, 400);
    uint32_t groups[400];
    struct question_adapter *a = NULL;
    struct adapter_report r;

    (void)state;
    for (uint32_t i = 0; i < 400; i++)
        groups[i] = i / 50;
    s.pairs.groups = groups;
    o.steps_max = 1;
    assert_int_equal(question_adapter_train(&s.pairs, &o, &a, &r, NULL), RAG_OK);
    assert_int_equal(r.n_watched, 100); /* a fifth is 80: two groups of eight */
    assert_int_equal(r.n_learned, 300);
    question_adapter_free(a);
    memset(groups, 0, sizeof groups);
    assert_int_equal(question_adapter_train(&s.pairs, &o, &a, &r, NULL), RAG_EINVAL);
    space_free(&s);
}

struct told {
    size_t n;
    size_t stop_at;
    size_t steps;
};

static bool tell(void *context, size_t step, size_t steps, double loss)
{
    struct told *t = context;

    t->n++;
    t->steps = steps;
    assert_int_equal(step, t->n);
    assert_true(loss > 0);
    return step != t->stop_at;
}

static void it_tells_and_it_stops(void **state)
{
    struct space s = turned_space(200, 16, 0.5, 0.5);
    struct adapter_options o = quick(16, 200);
    struct told told = {.stop_at = 7};
    struct question_adapter *a = NULL;
    struct adapter_report r;

    (void)state;
    o.progress = tell;
    o.context = &told;
    o.steps_max = 10;
    assert_int_equal(question_adapter_train(&s.pairs, &o, &a, &r, NULL), RAG_ECANCELLED);
    assert_null(a);
    assert_int_equal(told.n, 7);
    assert_int_equal(told.steps, 10);
    space_free(&s);
}

/* ---- hostile pairs ---- */

static void spoil_length(struct space *s, struct adapter_options *o)
{
    (void)o;
    s->questions[3 * 16] += 1;
}

static void spoil_nan(struct space *s, struct adapter_options *o)
{
    (void)o;
    s->passages[5 * 16] = NAN;
}

static void spoil_positive(struct space *s, struct adapter_options *o)
{
    (void)o;
    s->positives[9] = 100;
}

static void spoil_number(struct space *s, struct adapter_options *o)
{
    (void)o;
    s->pairs.n = ADAPTER_PAIRS_MIN - 1;
}

static void spoil_passages(struct space *s, struct adapter_options *o)
{
    (void)o;
    s->pairs.n_passages = (size_t)ADAPTER_PASSAGES_MAX + 1;
}

static void spoil_rank(struct space *s, struct adapter_options *o)
{
    (void)s;
    o->rank = 16;
}

static void spoil_temperature(struct space *s, struct adapter_options *o)
{
    (void)s;
    o->temperature = NAN;
}

static void spoil_batch(struct space *s, struct adapter_options *o)
{
    (void)s;
    o->batch = ADAPTER_BATCH_MAX + 1;
}

static void spoil_steps(struct space *s, struct adapter_options *o)
{
    (void)s;
    o->steps_max = ADAPTER_STEPS_MAX + 1;
}

static const struct {
    const char *name;
    void (*spoil)(struct space *s, struct adapter_options *o);
    enum rag_status status;
    const char *says;
} hostile[] = {
    {"a question that is too long a vector", spoil_length,      RAG_EINVAL, "question 3 has length"},
    {"a passage with NaN",                   spoil_nan,         RAG_EINVAL, "passage 5 has length" },
    {"a right passage that is not there",    spoil_positive,    RAG_EINVAL, "passage 100 of 100"   },
    {"too few pairs",                        spoil_number,      RAG_EINVAL, "39 pairs, at least 40"},
    {"too many passages",                    spoil_passages,    RAG_ELIMIT, "1000000"              },
    {"a rank as wide as the vectors",        spoil_rank,        RAG_ELIMIT, "rank 16"              },
    {"no temperature",                       spoil_temperature, RAG_EINVAL, "temperature nan"      },
    {"a batch beyond the limit",             spoil_batch,       RAG_EINVAL, "batch of 1025"        },
    {"steps beyond the limit",               spoil_steps,       RAG_EINVAL, "20001 steps"          },
};

static void check_hostile(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(hostile); i++) {
        struct space s = space_new(100, 16, 3);
        struct adapter_options o = quick(16, 100);
        struct question_adapter *a = NULL;
        struct rag_error error = {RAG_OK, ""};
        struct adapter_report r;
        enum rag_status status;

        hostile[i].spoil(&s, &o);
        status = question_adapter_train(&s.pairs, &o, &a, &r, &error);
        if (status != hostile[i].status || !strstr(error.text, hostile[i].says) || a)
            fail_msg("%s: %d \"%s\"", hostile[i].name, status, error.text);
        space_free(&s);
    }
}

static void negatives_and_right_ones_are_checked(void **state)
{
    struct space s = space_new(100, 16, 3);
    struct adapter_options o = quick(16, 100);
    uint32_t negatives[200];
    struct adapter_range right[100];
    struct question_adapter *a = NULL;
    struct rag_error error;
    struct adapter_report r;

    (void)state;
    o.steps_max = 2;
    for (uint32_t i = 0; i < 200; i++)
        negatives[i] = i % 3 == 0 ? ADAPTER_NO_PASSAGE : i % 100;
    for (uint32_t i = 0; i < 100; i++)
        right[i] = (struct adapter_range){i > 0 ? i - 1 : 0, i};
    s.pairs.negatives = negatives;
    s.pairs.n_negatives = 2;
    s.pairs.right = right;
    assert_int_equal(question_adapter_train(&s.pairs, &o, &a, &r, NULL), RAG_OK);
    question_adapter_free(a);
    negatives[20] = 100;
    assert_int_equal(question_adapter_train(&s.pairs, &o, &a, &r, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "pair 10: negative 100 of 100"));
    negatives[20] = 0;
    right[4].last = 2;
    assert_int_equal(question_adapter_train(&s.pairs, &o, &a, &r, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "pair 4: right passages 3 to 2"));
    space_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_forms),
        cmocka_unit_test(the_identity_changes_nothing),
        cmocka_unit_test(a_map_by_hand),
        cmocka_unit_test(what_vanishes_stays_as_it_was),
        cmocka_unit_test(bytes_there_and_back),
        cmocka_unit_test(the_gradient_of_the_full_map),
        cmocka_unit_test(the_gradient_of_a_low_rank),
        cmocka_unit_test(what_is_right_too_does_not_count),
        cmocka_unit_test(what_is_usual_is_allowed),
        cmocka_unit_test(a_rotation_is_found),
        cmocka_unit_test(a_low_rank_takes_a_direction_away),
        cmocka_unit_test(without_anything_to_learn_it_stays_the_identity),
        cmocka_unit_test(the_same_seed_gives_the_same_map),
        cmocka_unit_test(equal_passages_are_no_negatives),
        cmocka_unit_test(groups_are_not_torn),
        cmocka_unit_test(it_tells_and_it_stops),
        cmocka_unit_test(check_hostile),
        cmocka_unit_test(negatives_and_right_ones_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
