/* The vector index against a plain model of it: an array of (id, vector) that is searched by
 * computing every product in double. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/f16.h"
#include "store/vector_index.h"

#define DIM       48
#define N_MAX     12000
#define K_MAX     100
#define N_QUERIES 16

/* ---- vectors ---- */

static uint64_t seed = 1;

static double uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) * 0x1p-53;
}

static float gaussian(void)
{
    return (float)(sqrt(-2.0 * log(1.0 - uniform())) * cos(6.283185307179586 * uniform()));
}

/* Unit vectors around 40 centres, kept as float16 keeps them. */
static void make_vectors(float *v, size_t n, size_t dim)
{
    float centres[40][DIM];

    for (size_t c = 0; c < 40; c++)
        for (size_t i = 0; i < dim; i++)
            centres[c][i] = gaussian();
    for (size_t r = 0; r < n; r++) {
        size_t c = (size_t)(uniform() * 40);
        double sum = 0;

        for (size_t i = 0; i < dim; i++) {
            v[r * dim + i] = centres[c][i] + 0.7f * gaussian();
            sum += (double)v[r * dim + i] * (double)v[r * dim + i];
        }
        for (size_t i = 0; i < dim; i++)
            v[r * dim + i] = f16_to_f32(f16_from_f32(v[r * dim + i] / (float)sqrt(sum)));
    }
}

/* ---- the model ---- */

struct model {
    uint64_t ids[N_MAX];
    const float *vectors[N_MAX];
    size_t n;
};

static void model_put(struct model *m, uint64_t id, const float *vector)
{
    size_t i = 0;

    while (i < m->n && m->ids[i] != id)
        i++;
    m->ids[i] = id;
    m->vectors[i] = vector;
    m->n += i == m->n;
}

static void model_remove(struct model *m, uint64_t id)
{
    for (size_t i = 0; i < m->n; i++) {
        if (m->ids[i] != id)
            continue;
        m->n--;
        m->ids[i] = m->ids[m->n];
        m->vectors[i] = m->vectors[m->n];
    }
}

struct scored {
    uint64_t id;
    double score;
};

static int by_score(const void *a, const void *b)
{
    const struct scored *x = a;
    const struct scored *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static size_t model_search(const struct model *m, const float *query, const struct id_set *keep,
                           struct scored *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n; i++) {
        double sum = 0;

        if (keep && !id_set_has(keep, m->ids[i]))
            continue;
        for (size_t j = 0; j < DIM; j++)
            sum += (double)query[j] * (double)m->vectors[i][j];
        ret[n++] = (struct scored){m->ids[i], sum};
    }
    qsort(ret, n, sizeof *ret, by_score);
    return n;
}

/* ---- an index and its model ---- */

struct fixture {
    struct model model;
    struct scored all[N_MAX];
    float vectors[N_MAX * DIM];
    float queries[N_QUERIES * DIM];
};

static struct fixture f;

static int set_up(void **state)
{
    (void)state;
    seed = 7;
    make_vectors(f.vectors, N_MAX, DIM);
    memcpy(f.queries, f.vectors + (N_MAX - N_QUERIES) * DIM, sizeof f.queries);
    f.model.n = 0;
    return 0;
}

static struct vector_index *new_index(enum vector_storage storage, size_t hnsw_min)
{
    struct vector_index_options o = {.dim = DIM, .storage = storage, .hnsw_min = hnsw_min};
    struct vector_index *ix = NULL;

    assert_int_equal(vector_index_new(&o, &ix, NULL), RAG_OK);
    return ix;
}

/* Ids first .. first + n - 1 get the vectors at 'from'. */
static void put(struct vector_index *ix, uint64_t first, size_t from, size_t n)
{
    uint64_t *ids = malloc(n * sizeof *ids);
    struct rag_error error;

    assert_non_null(ids);
    for (size_t i = 0; i < n; i++) {
        ids[i] = first + i;
        model_put(&f.model, ids[i], f.vectors + (from + i) * DIM);
    }
    assert_int_equal(vector_index_add(ix, ids, f.vectors + from * DIM, n, &error), RAG_OK);
    free(ids);
}

static void drop(struct vector_index *ix, uint64_t first, size_t n, uint64_t step)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t id = first + i * step;

        model_remove(&f.model, id);
        assert_int_equal(vector_index_remove(ix, &id, 1, NULL), RAG_OK);
    }
}

/* Recall of the k best; every hit's score is right, in order, and enough are there. */
static double recall(struct vector_index *ix, const struct id_set *keep, size_t k, bool exact,
                     const char *what)
{
    struct vector_search_options options = {.exact = exact};
    struct vector_hit hits[K_MAX];
    size_t n_right = 0;
    size_t n_wanted = 0;

    for (size_t q = 0; q < N_QUERIES; q++) {
        size_t n = 0;
        size_t n_all = model_search(&f.model, f.queries + q * DIM, keep, f.all);
        size_t want = n_all < k ? n_all : k;

        assert_int_equal(
            vector_index_search(ix, f.queries + q * DIM, keep, k, &options, hits, &n, NULL),
            RAG_OK);
        if (n != want)
            fail_msg("%s: query %zu: %zu hits, expected %zu", what, q, n, want);
        for (size_t i = 0; i < n; i++) {
            size_t at = 0;

            while (at < n_all && f.all[at].id != hits[i].id)
                at++;
            if (at == n_all)
                fail_msg("%s: query %zu: id %llu does not pass or is gone", what, q,
                         (unsigned long long)hits[i].id);
            if (fabs((double)hits[i].score - f.all[at].score) > 3e-4)
                fail_msg("%s: query %zu: score %g, expected %g", what, q, (double)hits[i].score,
                         f.all[at].score);
            if (i > 0 && (hits[i].score > hits[i - 1].score ||
                          (hits[i].score == hits[i - 1].score && hits[i].id <= hits[i - 1].id)))
                fail_msg("%s: query %zu: hit %zu is out of order", what, q, i);
            /* within what the storage rounds away, ranks may change places */
            n_right += at < want || f.all[at].score >= f.all[want - 1].score - 3e-5;
        }
        n_wanted += want;
    }
    return n_wanted ? (double)n_right / (double)n_wanted : 1.0;
}

static void at_least(double got, double floor_, const char *what)
{
    if (got < floor_)
        fail_msg("%s: recall %.4f, expected %.4f", what, got, floor_);
}

static const struct {
    enum vector_storage storage;
    const char *name;
} storages[] = {
    {VECTOR_F32,  "f32" },
    {VECTOR_F16,  "f16" },
    {VECTOR_INT8, "int8"}
};

#define N_STORAGES (sizeof storages / sizeof storages[0])

/* ---- tests ---- */

static void a_flat_index_is_exact(void **state)
{
    for (size_t s = 0; s < N_STORAGES; s++) {
        struct vector_index *ix = new_index(storages[s].storage, 0);
        struct vector_index_stats stats;

        (void)set_up(state);
        at_least(recall(ix, NULL, 10, false, "empty"), 1.0, "empty");
        put(ix, 1000, 0, 1);
        put(ix, 2000, 1, 3000);
        put(ix, 500, 3001, 2000);
        drop(ix, 2001, 300, 7);
        at_least(recall(ix, NULL, 10, false, storages[s].name), 1.0, storages[s].name);
        at_least(recall(ix, NULL, K_MAX, false, storages[s].name), 1.0, storages[s].name);
        at_least(recall(ix, NULL, 1, false, storages[s].name), 1.0, storages[s].name);
        vector_index_stats(ix, &stats);
        assert_int_equal(stats.n, f.model.n);
        assert_string_equal(stats.kind, "flat");
        vector_index_free(ix);
    }
}

static void a_graph_a_delta_and_tombstones_are_searched_together(void **state)
{
    for (size_t s = 0; s < N_STORAGES; s++) {
        struct vector_index *ix = new_index(storages[s].storage, 1000);
        struct vector_index_stats stats;

        (void)set_up(state);
        put(ix, 1, 0, 1800);
        vector_index_settle(ix);
        drop(ix, 3, 300, 5);
        put(ix, 100001, 1800, 500);
        put(ix, 17, 2300, 60); /* replaced */
        vector_index_settle(ix);
        vector_index_stats(ix, &stats);
        assert_string_equal(stats.kind, "hnsw");
        assert_int_equal(stats.n, f.model.n);
        assert_int_equal(stats.n_graph, 1800);
        assert_int_equal(stats.n_delta, 560);
        assert_int_equal(stats.n_tombstones, 2360 - f.model.n);
        at_least(recall(ix, NULL, 10, false, storages[s].name), 0.98, storages[s].name);
        at_least(recall(ix, NULL, 10, true, storages[s].name), 1.0, storages[s].name);
        vector_index_free(ix);
    }
}

static void a_large_delta_goes_into_the_graph(void **state)
{
    struct vector_index *ix = new_index(VECTOR_F16, 1000);
    struct vector_index_stats stats;

    (void)state;
    put(ix, 5001, 0, 1200);
    vector_index_settle(ix);
    put(ix, 1, 1200, 4200); /* smaller ids behind larger ones */
    vector_index_settle(ix);
    vector_index_stats(ix, &stats);
    assert_int_equal(stats.n_graph, 5400);
    assert_int_equal(stats.n_delta, 0);
    at_least(recall(ix, NULL, 10, false, "extended"), 0.98, "extended");
    vector_index_free(ix);
}

static void removing_most_rebuilds(void **state)
{
    static const struct {
        const char *name;
        size_t hnsw_min;
        const char *kind;
    } rows[] = {
        {"still enough for a graph", 600,  "hnsw"},
        {"too few for a graph",      2500, "flat"},
        {"never a graph",            0,    "flat"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct vector_index *ix = new_index(VECTOR_INT8, rows[i].hnsw_min);
        struct vector_index_stats before, after;

        (void)set_up(state);
        put(ix, 1, 0, 3000);
        vector_index_settle(ix);
        vector_index_stats(ix, &before);
        drop(ix, 1, 1500, 1);
        drop(ix, 1501, 500, 2);
        vector_index_settle(ix);
        vector_index_stats(ix, &after);
        assert_int_equal(after.n, 1000);
        if (after.n_tombstones > 1024)
            fail_msg("%s: %llu tombstones", rows[i].name, (unsigned long long)after.n_tombstones);
        if (strcmp(after.kind, rows[i].kind) != 0)
            fail_msg("%s: %s", rows[i].name, after.kind);
        assert_true(after.bytes < before.bytes);
        put(ix, 2900, 3000, 300); /* old ids, new ids */
        at_least(recall(ix, NULL, 10, false, rows[i].name), 0.98, rows[i].name);
        at_least(recall(ix, NULL, 10, true, rows[i].name), 1.0, rows[i].name);
        vector_index_free(ix);
    }
}

static void an_id_that_is_there_is_replaced(void **state)
{
    struct vector_index *ix = new_index(VECTOR_F16, 0);
    uint64_t twice[3] = {7, 8, 7};
    struct vector_hit hits[10];
    size_t n;

    (void)state;
    assert_int_equal(vector_index_add(ix, twice, f.vectors, 3, NULL), RAG_OK);
    assert_int_equal(vector_index_search(ix, f.vectors + 2 * DIM, NULL, 10, NULL, hits, &n, NULL),
                     RAG_OK);
    assert_int_equal(n, 2);
    assert_int_equal(hits[0].id, 7);
    assert_true(hits[0].score > 0.99f); /* the last one of the call */
    assert_int_equal(vector_index_add(ix, twice, f.vectors + 9 * DIM, 1, NULL), RAG_OK);
    assert_int_equal(vector_index_search(ix, f.vectors + 9 * DIM, NULL, 10, NULL, hits, &n, NULL),
                     RAG_OK);
    assert_int_equal(n, 2);
    assert_int_equal(hits[0].id, 7);
    assert_true(hits[0].score > 0.99f);
    assert_true(vector_index_has(ix, 8));
    assert_int_equal(vector_index_remove(ix, twice, 3, NULL), RAG_OK);
    assert_false(vector_index_has(ix, 7));
    assert_false(vector_index_has(ix, 8));
    assert_int_equal(vector_index_search(ix, f.vectors, NULL, 10, NULL, hits, &n, NULL), RAG_OK);
    assert_int_equal(n, 0);
    vector_index_free(ix);
}

/* A set of every step-th id from first on. */
static void make_keep(struct id_set *keep, uint64_t first, uint64_t step, size_t n)
{
    uint64_t *ids = malloc((n + 1) * sizeof *ids);

    assert_non_null(ids);
    for (size_t i = 0; i < n; i++)
        ids[i] = first + i * step;
    assert_int_equal(id_set_init(keep, ids, n), RAG_OK);
    free(ids);
}

static void a_filter_never_returns_too_few(void **state)
{
    static const struct {
        const char *name;
        uint64_t first, step;
        size_t n;
    } rows[] = {
        {"every row",                  1,     1,    9000},
        {"half of them",               1,     2,    4500},
        {"a tenth",                    3,     10,   900 },
        {"a hundredth",                5,     100,  90  },
        {"a thousandth: fewer than k", 5,     1000, 9   },
        {"one, which is dead",         10,    1,    1   },
        {"one, which is alive",        11,    1,    1   },
        {"only the delta",             8001,  1,    1000},
        {"the dead and a few",         10,    10,   700 },
        {"ids that were never there",  20000, 3,    100 },
        {"ids from before to behind",  0,     7,    3000},
        {"none",                       1,     1,    0   },
    };

    struct vector_index *ix = new_index(VECTOR_INT8, 1000);

    (void)state;
    put(ix, 4001, 0, 1500); /* ids do not ascend with rows */
    vector_index_settle(ix);
    put(ix, 1, 1500, 4000);
    put(ix, 300, 5500, 200);
    vector_index_settle(ix);
    put(ix, 8001, 5700, 1000);
    drop(ix, 10, 400, 10);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct id_set keep;

        make_keep(&keep, rows[i].first, rows[i].step, rows[i].n);
        at_least(recall(ix, &keep, 10, false, rows[i].name), 0.99, rows[i].name);
        at_least(recall(ix, &keep, K_MAX, false, rows[i].name), 0.99, rows[i].name);
        at_least(recall(ix, &keep, 10, true, rows[i].name), 1.0, rows[i].name);
        id_set_release(&keep);
    }
    vector_index_free(ix);
}

static void what_is_no_unit_vector_is_refused(void **state)
{
    static const struct {
        const char *name;
        float factor;
        float first; /* 0: as it is */
    } rows[] = {
        {"not a number",   1.0f,  NAN      },
        {"infinity",       1.0f,  INFINITY },
        {"minus infinity", 1.0f,  -INFINITY},
        {"too long",       1.02f, 0.0f     },
        {"too short",      0.98f, 0.0f     },
        {"nothing",        0.0f,  0.0f     },
        {"an overflow",    1e30f, 0.0f     },
    };
    struct vector_index *ix = new_index(VECTOR_INT8, 0);
    float bad[3 * DIM];
    uint64_t ids[3] = {1, 4242, 3};
    struct vector_hit hits[4];
    struct rag_error error;
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memcpy(bad, f.vectors, sizeof bad);
        for (size_t j = DIM; j < 2 * DIM; j++)
            bad[j] *= rows[i].factor;
        if (rows[i].first != 0.0f)
            bad[DIM + 5] = rows[i].first;
        if (vector_index_add(ix, ids, bad, 3, &error) != RAG_EINVAL)
            fail_msg("%s was taken", rows[i].name);
        assert_non_null(strstr(error.text, "4242"));
        assert_false(vector_index_has(ix, 1));
    }
    assert_int_equal(vector_index_add(ix, ids, f.vectors, 3, NULL), RAG_OK);
    bad[DIM] = NAN;
    assert_int_equal(vector_index_search(ix, bad + DIM, NULL, 4, NULL, hits, &n, &error),
                     RAG_EINVAL);
    assert_int_equal(vector_index_search(ix, f.vectors, NULL, 0, NULL, hits, &n, &error), RAG_OK);
    assert_int_equal(n, 0);
    vector_index_free(ix);
}

static void options_out_of_range_are_refused(void **state)
{
    static const struct {
        const char *name;
        struct vector_index_options options;
        const char *says;
    } rows[] = {
        {"no dimension",        {.dim = 0},                                    "0 dimensions"},
        {"too many dimensions", {.dim = EMBEDDING_DIM_MAX + 1},                "dimensions"  },
        {"an unknown storage",  {.dim = 8, .storage = (enum vector_storage)7}, "storage 7"   },
        {"m too small",         {.dim = 8, .m = 3},                            "m 3"         },
        {"m too large",         {.dim = 8, .m = 129},                          "m 129"       },
        {"an endless search",   {.dim = 8, .ef_search = 65537},                "65537"       },
        {"an endless build",    {.dim = 8, .ef_construction = 65537},          "65537"       },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct vector_index *ix = NULL;
        struct rag_error error;

        if (vector_index_new(&rows[i].options, &ix, &error) != RAG_EINVAL)
            fail_msg("%s was taken", rows[i].name);
        assert_non_null(strstr(error.text, rows[i].says));
        assert_null(ix);
    }
}

static void equal_scores_come_by_smaller_id(void **state)
{
    struct vector_index *ix = new_index(VECTOR_INT8, 0);
    uint64_t ids[5] = {9, 3, 7, 1, 5};
    struct vector_hit hits[5];
    float same[5 * DIM];
    size_t n;

    (void)state;
    for (size_t i = 0; i < 5; i++)
        memcpy(same + i * DIM, f.vectors, DIM * sizeof *same);
    assert_int_equal(vector_index_add(ix, ids, same, 5, NULL), RAG_OK);
    assert_int_equal(vector_index_search(ix, f.vectors, NULL, 3, NULL, hits, &n, NULL), RAG_OK);
    assert_int_equal(n, 3);
    assert_int_equal(hits[0].id, 1);
    assert_int_equal(hits[1].id, 3);
    assert_int_equal(hits[2].id, 5);
    vector_index_free(ix);
}

static void one_thread_builds_the_same_graph_again(void **state)
{
    struct vector_index *a = new_index(VECTOR_F16, 1000);
    struct vector_index *b = new_index(VECTOR_F16, 1000);
    struct vector_search_options narrow = {.ef_search = 10};
    struct vector_hit x[10], y[10];
    size_t n_x, n_y;

    (void)state;
    put(a, 1, 0, 1500);
    put(b, 1, 0, 1500);
    vector_index_settle(a);
    vector_index_settle(b);
    for (size_t q = 0; q < N_QUERIES; q++) {
        assert_int_equal(
            vector_index_search(a, f.queries + q * DIM, NULL, 10, &narrow, x, &n_x, NULL), RAG_OK);
        assert_int_equal(
            vector_index_search(b, f.queries + q * DIM, NULL, 10, &narrow, y, &n_y, NULL), RAG_OK);
        assert_int_equal(n_x, n_y);
        for (size_t i = 0; i < n_x; i++)
            assert_true(x[i].id == y[i].id && x[i].score == y[i].score);
    }
    vector_index_free(a);
    vector_index_free(b);
}

static void two_threads_build_a_good_graph(void **state)
{
    struct vector_index_options o = {
        .dim = DIM, .storage = VECTOR_INT8, .hnsw_min = 1000, .n_build_threads = 2};
    struct vector_index *ix = NULL;

    (void)state;
    assert_int_equal(vector_index_new(&o, &ix, NULL), RAG_OK);
    put(ix, 1, 0, 2500);
    vector_index_settle(ix);
    put(ix, 10001, 2500, 4200);
    vector_index_settle(ix);
    at_least(recall(ix, NULL, 10, false, "two threads"), 0.98, "two threads");
    vector_index_free(ix);
}

static void freeing_stops_a_build(void **state)
{
    struct vector_index *ix = new_index(VECTOR_F16, 1000);

    (void)state;
    put(ix, 1, 0, 11000);
    vector_index_free(ix);
}

struct visited {
    uint64_t last;
    size_t n;
    bool ascends;
};

static void visit(void *context, uint64_t id)
{
    struct visited *v = context;

    v->ascends = v->ascends && (v->n == 0 || id > v->last);
    v->last = id;
    v->n++;
}

static void each_visits_live_ids_in_order(void **state)
{
    struct vector_index *ix = new_index(VECTOR_F16, 1000);
    struct visited v = {.ascends = true};

    (void)state;
    put(ix, 9000, 0, 1500);
    vector_index_settle(ix);
    put(ix, 1, 1500, 500);
    drop(ix, 9000, 100, 3);
    assert_int_equal(vector_index_each(ix, visit, &v), RAG_OK);
    assert_int_equal(v.n, 1900);
    assert_true(v.ascends);
    vector_index_free(ix);
}

/* ---- threads ---- */

struct shared {
    struct vector_index *ix;
    atomic_bool stop;
    atomic_size_t n_searches;
};

/* Ids 1 .. 2000 stay; a searcher must find each of them at any moment. */
static void *searcher(void *context)
{
    struct shared *s = context;
    struct id_set keep;
    uint64_t ids[2000];

    for (size_t i = 0; i < 2000; i++)
        ids[i] = i + 1;
    if (id_set_init(&keep, ids, 2000) != RAG_OK)
        return NULL;
    for (size_t i = 0; !atomic_load(&s->stop); i = (i + 37) % 2000) {
        struct vector_hit hits[5];
        struct vector_search_options options = {.exact = i % 2};
        size_t n = 0;

        assert(vector_index_search(s->ix, f.vectors + i * DIM, i % 3 ? NULL : &keep, 5, &options,
                                   hits, &n, NULL) == RAG_OK);
        assert(n == 5);
        if (i % 2 || i % 3 == 0)
            assert(hits[0].id == i + 1 || hits[0].score > 0.999f);
        atomic_fetch_add(&s->n_searches, 1);
    }
    id_set_release(&keep);
    return NULL;
}

static void searches_run_while_everything_changes(void **state)
{
    struct shared s = {.ix = new_index(VECTOR_INT8, 1000)};
    pthread_t threads[2];

    (void)state;
    put(s.ix, 1, 0, 2000);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, searcher, &s), 0);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 10; i++)
            put(s.ix, 10001 + 500 * i, 2000 + 500 * i, 500);
        drop(s.ix, 10001, 5000, 1);
    }
    while (atomic_load(&s.n_searches) < 50)
        (void)sched_yield();
    vector_index_settle(s.ix);
    atomic_store(&s.stop, true);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    at_least(recall(s.ix, NULL, 10, true, "afterwards"), 1.0, "afterwards");
    vector_index_free(s.ix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_flat_index_is_exact, set_up),
        cmocka_unit_test_setup(a_graph_a_delta_and_tombstones_are_searched_together, set_up),
        cmocka_unit_test_setup(a_large_delta_goes_into_the_graph, set_up),
        cmocka_unit_test_setup(removing_most_rebuilds, set_up),
        cmocka_unit_test_setup(an_id_that_is_there_is_replaced, set_up),
        cmocka_unit_test_setup(a_filter_never_returns_too_few, set_up),
        cmocka_unit_test_setup(what_is_no_unit_vector_is_refused, set_up),
        cmocka_unit_test_setup(options_out_of_range_are_refused, set_up),
        cmocka_unit_test_setup(equal_scores_come_by_smaller_id, set_up),
        cmocka_unit_test_setup(one_thread_builds_the_same_graph_again, set_up),
        cmocka_unit_test_setup(two_threads_build_a_good_graph, set_up),
        cmocka_unit_test_setup(freeing_stops_a_build, set_up),
        cmocka_unit_test_setup(each_visits_live_ids_in_order, set_up),
        cmocka_unit_test_setup(searches_run_while_everything_changes, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
