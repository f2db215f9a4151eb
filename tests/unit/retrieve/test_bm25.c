/* Goal: whatever happened to an index - adds, second owners, removals with and without
 * postings, re-adds, merges, compaction, snapshots - a search returns the ids and the bits
 * of scores that the formula gives for what is live.
 * Method: random operations on an index and on a plain model (a table of passages scored
 * one by one); after each round search, exhaustive search, model and a rebuild must agree. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bounds.h"
#include "retrieve/bm25.h"

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define IDS_MAX   4096u
#define TERMS_MAX 32u /* of one passage */
#define HITS_MAX  5000u
#define QUERY_MAX 12u
#define BINDING   "test-1"

static const struct bm25_options options = {.k1 = BM25_K1_DEFAULT, .b = BM25_B_DEFAULT};

/* xorshift64*: the same rounds everywhere */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1Dull;
}

static uint32_t below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(next_random(state) >> 33) % n;
}

/* ---- the model ---- */

struct passage {
    uint32_t n_owners; /* 0: not there */
    uint32_t n;
    uint32_t length;
    struct bm25_posting postings[TERMS_MAX];
};

struct model {
    struct passage passages[IDS_MAX];
    uint32_t n_ids;
    uint32_t vocabulary;
    uint64_t id_step; /* id = 7 + i * id_step */
    bool spread_terms;
};

static uint64_t id_of(const struct model *m, uint32_t i)
{
    return 7 + i * m->id_step;
}

static uint64_t term_of(const struct model *m, uint32_t t)
{
    return m->spread_terms ? (t + 1) * 0x9E3779B97F4A7C15ull : t;
}

static uint32_t model_tf(const struct passage *p, uint64_t term)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (p->postings[i].term == term)
            return p->postings[i].tf;
    return 0;
}

static int by_rank(const void *a, const void *b)
{
    const struct bm25_hit *x = a;
    const struct bm25_hit *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->passage_id > y->passage_id) - (x->passage_id < y->passage_id);
}

struct totals {
    double n;
    double length;
};

static struct totals model_totals(const struct model *m)
{
    struct totals t = {0, 0};

    for (uint32_t i = 0; i < m->n_ids; i++) {
        if (!m->passages[i].n_owners)
            continue;
        t.n += 1;
        t.length += m->passages[i].length;
    }
    return t;
}

static float model_idf(const struct model *m, uint64_t term, double *ret_df)
{
    double n = model_totals(m).n;
    double df = 0;

    for (uint32_t i = 0; i < m->n_ids; i++)
        df += m->passages[i].n_owners && model_tf(&m->passages[i], term);
    *ret_df = df;
    return (float)log1p((n - df + 0.5) / (df + 0.5));
}

/* The formula of bm25.h, one passage after the other. Returns the number of hits. */
static size_t model_search(const struct model *m, const struct bm25_query_term *terms, size_t n,
                           const struct id_set *keep, struct bm25_hit *hits)
{
    struct totals totals = model_totals(m);
    float c0 = (float)((double)options.k1 * 8 * (1 - (double)options.b));
    float c1 = (float)((double)options.k1 * 8 * (double)options.b / (totals.length / totals.n));
    float idf[QUERY_MAX];
    double sum = 0;
    int n_live_terms = 0;
    int scale = 0;
    size_t n_hits = 0;

    for (size_t t = 0; t < n; t++) {
        double df;

        idf[t] = model_idf(m, terms[t].term, &df);
        sum += df > 0 ? (double)terms[t].weight * (double)idf[t] : 0;
        n_live_terms += df > 0;
    }
    if (n_live_terms == 0)
        return 0;
    while (sum * ldexp(1, scale) <= 16777216.0 - 8 - 2.0 * n_live_terms)
        scale++;
    while (sum * ldexp(1, scale) > 16777216.0 - 8 - 2.0 * n_live_terms)
        scale--;
    for (uint32_t i = 0; i < m->n_ids; i++) {
        const struct passage *p = &m->passages[i];
        int64_t units = 0;

        if (!p->n_owners || (keep && !id_set_has(keep, id_of(m, i))))
            continue;
        for (size_t t = 0; t < n; t++) {
            float tf = (float)model_tf(p, terms[t].term);
            float norm = c0 + c1 * (float)p->length;
            float coef = (float)((double)terms[t].weight * (double)idf[t] * ldexp(1, scale));

            if (tf > 0)
                units += 1 + (int64_t)(coef * (tf / (tf + norm)));
        }
        if (units)
            hits[n_hits++] = (struct bm25_hit){id_of(m, i), (float)ldexp((double)units, -scale)};
    }
    qsort(hits, n_hits, sizeof *hits, by_rank);
    return n_hits;
}

/* A passage that depends on its id alone: an id is never reused for other content. */
static void make_passage(const struct model *m, uint32_t i, struct passage *p)
{
    uint64_t state = (i + 1) * 0xD1342543DE82EF95ull;
    uint32_t wanted = below(&state, TERMS_MAX + 1);

    p->n = 0;
    p->length = 0;
    for (uint32_t j = 0; j < wanted; j++) {
        /* squared: low numbers are frequent, as words are */
        uint32_t r = below(&state, m->vocabulary);
        uint64_t term = term_of(m, (uint32_t)((uint64_t)r * r / m->vocabulary));
        uint32_t tf = below(&state, 4) ? 8 * (1 + below(&state, 3)) : 1 + below(&state, 40);

        if (model_tf(p, term))
            continue;
        if (below(&state, 200) == 0)
            tf = BM25_TF_MAX;
        p->postings[p->n++] = (struct bm25_posting){term, tf};
        p->length += tf;
    }
    if (below(&state, 100) == 0)
        p->length *= 100;
}

/* ---- comparing ---- */

static void check_same(const struct bm25_hit *got, size_t n_got, const struct bm25_hit *want,
                       size_t n_want, size_t k)
{
    n_want = n_want < k ? n_want : k;
    assert_int_equal(n_got, n_want);
    for (size_t i = 0; i < n_want; i++) {
        assert_int_equal(got[i].passage_id, want[i].passage_id);
        assert_memory_equal(&got[i].score, &want[i].score, sizeof got[i].score);
    }
}

static struct bm25 *rebuild(const struct model *m)
{
    struct bm25_batch *batch;
    struct bm25 *index;

    assert_int_equal(bm25_new(&options, &index), RAG_OK);
    assert_int_equal(bm25_batch_new(&batch), RAG_OK);
    for (uint32_t i = 0; i < m->n_ids; i++)
        for (uint32_t o = 0; o < m->passages[i].n_owners; o++)
            assert_int_equal(bm25_batch_add(batch, id_of(m, i), m->passages[i].postings,
                                            m->passages[i].n, m->passages[i].length),
                             RAG_OK);
    assert_int_equal(bm25_apply(index, batch, 1, NULL), RAG_OK);
    bm25_batch_free(batch);
    return index;
}

static void make_filter(const struct model *m, uint64_t *state, struct id_set *ret)
{
    static const uint32_t rates[] = {1, 2, 7, 30, 200, 3000, 1000000};
    static uint64_t ids[IDS_MAX];
    uint32_t one_in = rates[below(state, COUNT(rates))];
    size_t n = 0;

    for (uint32_t i = 0; i < m->n_ids; i++)
        if (below(state, one_in) == 0)
            ids[n++] = id_of(m, i);
    assert_int_equal(id_set_init(ret, ids, n), RAG_OK);
}

static void check_searches(const struct model *m, struct bm25 *index, struct bm25 *rebuilt,
                           uint64_t *state)
{
    static struct bm25_hit want[HITS_MAX], got[HITS_MAX];

    for (int round = 0; round < 8; round++) {
        struct bm25_query_term terms[QUERY_MAX];
        static const size_t ks[] = {1, 2, 10, 100, HITS_MAX};
        size_t k = ks[below(state, COUNT(ks))];
        size_t n = 0;
        size_t n_got = 0;
        uint32_t wanted = below(state, QUERY_MAX + 1);
        struct id_set filter = {0};
        const struct id_set *keep = below(state, 2) ? &filter : NULL;
        size_t n_want;

        if (keep)
            make_filter(m, state, &filter);
        for (uint32_t t = 0; t < wanted; t++) {
            uint64_t term = term_of(m, below(state, m->vocabulary + 3));
            bool known = false;

            for (size_t i = 0; i < n; i++)
                known = known || terms[i].term == term;
            if (!known)
                terms[n++] = (struct bm25_query_term){term, below(state, 2) ? 1.0f : 0.3f};
        }
        n_want = model_search(m, terms, n, keep, want);
        assert_int_equal(bm25_search(index, terms, n, keep, k, got, &n_got, NULL), RAG_OK);
        check_same(got, n_got, want, n_want, k);
        assert_int_equal(bm25_search_exhaustive(index, terms, n, keep, k, got, &n_got, NULL),
                         RAG_OK);
        check_same(got, n_got, want, n_want, k);
        assert_int_equal(bm25_search(rebuilt, terms, n, keep, k, got, &n_got, NULL), RAG_OK);
        check_same(got, n_got, want, n_want, k);
        for (size_t t = 0; t < n; t++) {
            float idf;
            double df;

            bm25_idf(index, &terms[t].term, 1, &idf);
            assert_true(idf == model_idf(m, terms[t].term, &df));
        }
        id_set_release(&filter);
    }
}

struct visited {
    const struct model *m;
    uint32_t next; /* place to go on from */
    uint32_t n;
};

static void visit(void *context, uint64_t id, uint32_t n_owners)
{
    struct visited *v = context;

    while (v->next < v->m->n_ids && v->m->passages[v->next].n_owners == 0)
        v->next++;
    assert_true(v->next < v->m->n_ids);
    assert_int_equal(id, id_of(v->m, v->next));
    assert_int_equal(n_owners, v->m->passages[v->next].n_owners);
    v->next++;
    v->n++;
}

static void check_contents(const struct model *m, struct bm25 *index)
{
    struct visited v = {.m = m};
    struct bm25_stats stats;

    assert_int_equal(bm25_each(index, visit, &v), RAG_OK);
    bm25_stats(index, &stats);
    assert_int_equal(stats.n_passages, v.n);
    assert_int_equal(stats.n_passages, (uint64_t)model_totals(m).n);
    assert_true(stats.n_segments <= BM25_SEGMENTS_MAX);
    for (uint32_t i = 0; i < m->n_ids; i++) {
        uint64_t ids[2] = {id_of(m, i), UINT64_MAX - i};
        bool live[2] = {false, true};

        bm25_has(index, ids, 2, live);
        assert_int_equal(live[0], m->passages[i].n_owners > 0);
        assert_false(live[1]);
    }
}

/* ---- random histories ---- */

static void random_batch(struct model *m, uint64_t *state, struct bm25_batch *batch, uint32_t n_ops,
                         bool removes)
{
    uint32_t n_removes = removes ? below(state, n_ops + 1) : 0;

    for (uint32_t i = 0; i < n_removes; i++) {
        uint32_t at = below(state, m->n_ids);
        struct passage *p = &m->passages[at];
        bool give = below(state, 3) != 0;

        assert_int_equal(
            bm25_batch_remove(batch, id_of(m, at), give ? p->postings : NULL, give ? p->n : 0),
            RAG_OK);
        p->n_owners -= p->n_owners > 0;
    }
    for (uint32_t i = n_removes; i < n_ops; i++) {
        uint32_t at = below(state, m->n_ids);
        struct passage *p = &m->passages[at];
        bool bare = p->n_owners > 0 && below(state, 2);

        if (p->n_owners == 0)
            make_passage(m, at, p);
        assert_int_equal(bm25_batch_add(batch, id_of(m, at), bare ? NULL : p->postings,
                                        bare ? 0 : p->n, bare ? 0 : p->length),
                         RAG_OK);
        p->n_owners++;
    }
}

static struct bm25 *through_snapshot(struct bm25 *index, uint64_t change)
{
    char path[64];
    struct bm25 *loaded = NULL;
    struct bm25_stats stats;
    struct rag_error error = {.text = ""};

    snprintf(path, sizeof path, "/tmp/test_bm25-%ld.snapshot", (long)getpid());
    assert_int_equal(bm25_save(index, path, BINDING, &error), RAG_OK);
    if (bm25_load(path, BINDING, &options, &loaded, &error) != RAG_OK)
        fail_msg("%s", error.text);
    unlink(path);
    bm25_stats(loaded, &stats);
    assert_int_equal(stats.change, change);
    bm25_free(index);
    return loaded;
}

struct history {
    const char *name;
    uint32_t n_ids;
    uint32_t vocabulary;
    uint64_t id_step;
    bool spread_terms;
    uint32_t rounds;
    uint32_t batches;   /* of one round */
    uint32_t batch_max; /* operations of one batch */
    uint64_t seed;
};

static struct history histories[] = {
    {"few passages, many batches of one",      40,   20,   1,        true,  60, 30, 1,    1},
    {"small batches over few ids",             60,   30,   3,        true,  60, 12, 9,    2},
    {"terms that are small numbers",           300,  50,   1,        false, 25, 20, 40,   3},
    {"large batches, lists of several blocks", 4000, 12,   1,        true,  12, 4,  3000, 4},
    {"ids far apart",                          200,  40,   10000019, true,  25, 20, 20,   5},
    {"nearly every term is rare",              2000, 4000, 2,        true,  10, 10, 400,  6},
    {"one term only",                          500,  1,    1,        true,  20, 10, 60,   7},
};

static void check_history(void **state_pointer)
{
    const struct history *h = *state_pointer;
    struct model *m = calloc(1, sizeof *m);
    uint64_t state = h->seed * 0x9E3779B97F4A7C15ull;
    uint64_t change = 0;
    struct bm25 *index;

    assert_non_null(m);
    m->n_ids = h->n_ids;
    m->vocabulary = h->vocabulary;
    m->id_step = h->id_step;
    m->spread_terms = h->spread_terms;
    assert_int_equal(bm25_new(&options, &index), RAG_OK);
    for (uint32_t round = 0; round < h->rounds; round++) {
        struct bm25 *rebuilt;
        uint32_t last = below(&state, 6);

        for (uint32_t b = 0; b < h->batches; b++) {
            struct bm25_batch *batch;

            assert_int_equal(bm25_batch_new(&batch), RAG_OK);
            random_batch(m, &state, batch, 1 + below(&state, h->batch_max), round > 1);
            assert_int_equal(bm25_apply(index, batch, ++change, NULL), RAG_OK);
            bm25_batch_free(batch);
        }
        if (last == 0) {
            struct bm25_stats stats;

            assert_int_equal(bm25_compact(index, NULL), RAG_OK);
            bm25_stats(index, &stats);
            assert_int_equal(stats.n_tombstones, 0);
            assert_true(stats.n_segments <= 1);
        } else if (last == 1) {
            index = through_snapshot(index, change);
        }
        rebuilt = rebuild(m);
        check_contents(m, index);
        check_contents(m, rebuilt);
        check_searches(m, index, rebuilt, &state);
        bm25_free(rebuilt);
    }
    bm25_free(index);
    free(m);
}

/* ---- single behaviours ---- */

static void empty_index(void **state)
{
    struct bm25_query_term term = {5, 1.0f};
    struct bm25_hit hit;
    size_t n = 9;
    float idf;
    struct bm25 *index;

    (void)state;
    assert_int_equal(bm25_new(&options, &index), RAG_OK);
    assert_int_equal(bm25_search(index, &term, 1, NULL, 1, &hit, &n, NULL), RAG_OK);
    assert_int_equal(n, 0);
    n = 9;
    assert_int_equal(bm25_search_exhaustive(index, &term, 1, NULL, 1, &hit, &n, NULL), RAG_OK);
    assert_int_equal(n, 0);
    bm25_idf(index, &term.term, 1, &idf);
    assert_true(idf == (float)log(2.0));
    assert_int_equal(bm25_compact(index, NULL), RAG_OK);
    index = through_snapshot(index, 0);
    bm25_free(index);
    bm25_free(NULL);
}

static struct bm25 *of_three(void)
{
    static const struct bm25_posting both[] = {
        {1, 8},
        {2, 8}
    };
    struct bm25_batch *batch;
    struct bm25 *index;

    assert_int_equal(bm25_new(&options, &index), RAG_OK);
    assert_int_equal(bm25_batch_new(&batch), RAG_OK);
    assert_int_equal(bm25_batch_add(batch, 30, both, 2, 16), RAG_OK);
    assert_int_equal(bm25_batch_add(batch, 10, both, 2, 16), RAG_OK);
    assert_int_equal(bm25_batch_add(batch, 20, both, 1, 16), RAG_OK);
    assert_int_equal(bm25_apply(index, batch, 7, NULL), RAG_OK);
    bm25_batch_free(batch);
    return index;
}

static void ties_rank_the_smaller_id_first(void **state)
{
    struct bm25_query_term terms[] = {
        {2, 1.0f},
        {1, 1.0f}
    };
    struct bm25_hit hits[3];
    size_t n;
    struct bm25 *index = of_three();

    (void)state;
    assert_int_equal(bm25_search(index, terms, 2, NULL, 3, hits, &n, NULL), RAG_OK);
    assert_int_equal(n, 3);
    assert_int_equal(hits[0].passage_id, 10);
    assert_int_equal(hits[1].passage_id, 30);
    assert_int_equal(hits[2].passage_id, 20);
    assert_true(hits[0].score == hits[1].score);
    assert_int_equal(bm25_search(index, terms, 2, NULL, 1, hits, &n, NULL), RAG_OK);
    assert_int_equal(hits[0].passage_id, 10);
    bm25_free(index);
}

static void refuses_what_is_out_of_range(void **state)
{
    static const float weights[] = {0.0f, -1.0f, NAN, INFINITY, 1e7f};
    static struct bm25_query_term many[QUERY_TERMS_MAX + 1];
    struct bm25_options bad[] = {
        {0,    0.4f},
        {NAN,  0.4f},
        {0.9f, 1.5f},
        {0.9f, NAN }
    };
    struct bm25_hit hit = {.passage_id = 42};
    struct rag_error error;
    size_t n = 42;
    struct bm25 *index = of_three();
    struct bm25 *other = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT(weights); i++) {
        struct bm25_query_term term = {1, weights[i]};

        assert_int_equal(bm25_search(index, &term, 1, NULL, 1, &hit, &n, &error), RAG_EINVAL);
    }
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = (struct bm25_query_term){i, 1.0f};
    assert_int_equal(bm25_search(index, many, COUNT(many), NULL, 1, &hit, &n, &error), RAG_EINVAL);
    assert_int_equal(n, 42);
    assert_int_equal(hit.passage_id, 42);
    assert_int_equal(bm25_search(index, many, QUERY_TERMS_MAX, NULL, 1, &hit, &n, &error), RAG_OK);
    assert_int_equal(n, 1);
    assert_int_equal(bm25_search(index, many, 3, NULL, 0, NULL, &n, &error), RAG_OK);
    assert_int_equal(n, 0);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(bm25_new(&bad[i], &other), RAG_EINVAL);
    assert_null(other);
    bm25_free(index);
}

static void change_numbers_never_go_back(void **state)
{
    struct bm25_batch *batch;
    struct bm25_stats stats;
    struct bm25 *index = of_three();

    (void)state;
    assert_int_equal(bm25_batch_new(&batch), RAG_OK);
    assert_int_equal(bm25_apply(index, batch, 3, NULL), RAG_OK);
    bm25_stats(index, &stats);
    assert_int_equal(stats.change, 7);
    assert_int_equal(stats.n_passages, 3);
    bm25_batch_free(batch);
    bm25_free(index);
}

static void removes_run_before_adds(void **state)
{
    static const struct bm25_posting other[] = {
        {3, 8}
    };
    struct bm25_query_term term = {3, 1.0f};
    struct bm25_batch *batch;
    struct bm25_hit hit;
    size_t n;
    struct bm25 *index = of_three();

    (void)state;
    assert_int_equal(bm25_batch_new(&batch), RAG_OK);
    assert_int_equal(bm25_batch_add(batch, 10, other, 1, 8), RAG_OK);
    assert_int_equal(bm25_batch_remove(batch, 10, NULL, 0), RAG_OK);
    assert_int_equal(bm25_batch_remove(batch, 77, NULL, 0), RAG_OK); /* not there: ignored */
    assert_int_equal(bm25_apply(index, batch, 8, NULL), RAG_OK);
    assert_int_equal(bm25_search(index, &term, 1, NULL, 1, &hit, &n, NULL), RAG_OK);
    assert_int_equal(n, 1);
    assert_int_equal(hit.passage_id, 10);
    bm25_batch_free(batch);
    bm25_free(index);
}

/* More passages than the windows whose bounds are kept at a time (2 Mi). */
static void a_segment_of_more_than_one_span(void **state)
{
    static struct bm25_hit got[50], want[50];
    struct bm25_query_term terms[] = {
        {1, 1.0f},
        {2, 1.0f},
        {3, 1.0f}
    };
    struct bm25_batch *batch;
    struct bm25 *index;
    size_t n_got = 0;
    size_t n_want = 0;

    (void)state;
    assert_int_equal(bm25_new(&options, &index), RAG_OK);
    assert_int_equal(bm25_batch_new(&batch), RAG_OK);
    for (uint64_t id = 0; id < 2200000; id++) {
        struct bm25_posting postings[] = {
            {1 + id % 7,  8 + (uint32_t)(id % 1009) % 64},
            {20 + id % 3, 8                             }
        };

        assert_int_equal(bm25_batch_add(batch, id, postings, 2, 16 + (uint32_t)(id % 997)), RAG_OK);
    }
    assert_int_equal(bm25_apply(index, batch, 1, NULL), RAG_OK);
    bm25_batch_free(batch);
    assert_int_equal(bm25_search(index, terms, 3, NULL, 50, got, &n_got, NULL), RAG_OK);
    assert_int_equal(bm25_search_exhaustive(index, terms, 3, NULL, 50, want, &n_want, NULL),
                     RAG_OK);
    check_same(got, n_got, want, n_want, 50);
    bm25_free(index);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(histories) + 6];
    size_t n = 0;

    tests[n++] = (struct CMUnitTest)cmocka_unit_test(empty_index);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(ties_rank_the_smaller_id_first);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(refuses_what_is_out_of_range);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(change_numbers_never_go_back);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(removes_run_before_adds);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_segment_of_more_than_one_span);
    for (size_t i = 0; i < COUNT(histories); i++)
        tests[n++] =
            (struct CMUnitTest){histories[i].name, check_history, NULL, NULL, &histories[i]};
    return cmocka_run_group_tests_name("bm25", tests, NULL, NULL);
}
