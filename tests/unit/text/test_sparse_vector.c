/* TF-IDF vectors of questions and their cosine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "text/sparse_vector.h"

struct row {
    const char *name;
    struct term a[4];
    float idf_a[4];
    size_t n_a;
    struct term b[4];
    float idf_b[4];
    size_t n_b;
    float cosine;
};

#define T(term_id, importance)                                                                     \
    {                                                                                              \
        .id = (term_id), .weight = (importance)                                                    \
    }

static const struct row ROWS[] = {
    {"the same terms in another order are the same question",
     {T(7, 1), T(3, 1)},
     {2, 1},
     2,                                                                                         {T(3, 1), T(7, 1)},
     {1, 2},
     2,                                                                                                                                1.0f       },
    {"nothing in common is 0",                                               {T(1, 1)}, {2}, 1, {T(2, 1)},                     {2}, 1, 0.0f       },
    {"a question without terms is like none, not even another without",
     {T(0, 0)},
     {0},
     0,                                                                                         {T(0, 0)},
     {0},
     0,                                                                                                                                0.0f       },
    {"half of two equal terms shared is 1 / sqrt 2",
     {T(1, 1), T(2, 1)},
     {1, 1},
     2,                                                                                         {T(1, 1)},
     {1},
     1,                                                                                                                                0.70710678f},
    {"weights count times idf: (3, 4) and (3, 0) is 3 / 5",
     {T(1, 0.5f), T(2, 1)},
     {6, 4},
     2,                                                                                         {T(1, 1)},
     {3},
     1,                                                                                                                                0.6f       },
    {"a term that comes twice counts as their sum",
     {T(1, 1), T(2, 4), T(1, 2)},
     {1, 1, 1},
     3,                                                                                         {T(1, 1)},
     {1},
     1,                                                                                                                                0.6f       },
    {"terms without weight, or with an idf that is no number, are left out",
     {T(1, 1), T(2, 0), T(3, 1), T(4, 1)},
     {1, 5, NAN, INFINITY},
     4,                                                                                         {T(1, 1)},
     {1},
     1,                                                                                                                                1.0f       },
    {"ids are compared as 64 bits",
     {T(UINT64_MAX, 1), T(1, 1)},
     {1, 1},
     2,                                                                                         {T(UINT64_C(1) << 32 | 1, 1)},
     {1},
     1,                                                                                                                                0.0f       },
};

static struct sparse_vector vector(const struct term *terms, size_t n, const float *idf)
{
    struct term items[4];
    struct sparse_vector v;

    memcpy(items, terms, sizeof items);
    struct term_list list = {.items = items, .n = n, .cap = 4};
    assert_int_equal(sparse_vector_make(&list, idf, &v), RAG_OK);
    return v;
}

static void test_cosine(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const struct row *r = &ROWS[i];
        struct sparse_vector a = vector(r->a, r->n_a, r->idf_a);
        struct sparse_vector b = vector(r->b, r->n_b, r->idf_b);
        float ab = sparse_vector_cosine(&a, &b);

        if (fabsf(ab - r->cosine) > 1e-6f || ab > 1)
            fail_msg("%s: %g, not %g", r->name, (double)ab, (double)r->cosine);
        assert_true(sparse_vector_cosine(&b, &a) == ab);
        sparse_vector_release(&a);
        sparse_vector_release(&b);
    }
}

static float questions(const struct analyzer *analyzer, const char *a, const char *b)
{
    const char *texts[2] = {a, b};
    struct sparse_vector v[2];
    struct term_list terms = {0};
    float idf[64];

    for (size_t i = 0; i < 64; i++)
        idf[i] = 2;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(analyzer_question(analyzer, texts[i], strlen(texts[i]), &terms), RAG_OK);
        assert_true(terms.n <= 64);
        assert_int_equal(sparse_vector_make(&terms, idf, &v[i]), RAG_OK);
        for (size_t k = 1; k < v[i].n; k++)
            assert_true(v[i].ids[k - 1] < v[i].ids[k]);
    }
    float cosine = sparse_vector_cosine(&v[0], &v[1]);
    sparse_vector_release(&v[0]);
    sparse_vector_release(&v[1]);
    term_list_release(&terms);
    return cosine;
}

static void test_questions(void **state)
{
    struct analyzer *analyzer;

    (void)state;
    assert_int_equal(analyzer_open(NULL, &analyzer, NULL), RAG_OK);
    float same = questions(analyzer, "연차는 며칠인가요?", "연차가 며칠인가요?");
    float like = questions(analyzer, "연차는 며칠인가요?", "연차 휴가는 며칠 쓸 수 있나요?");
    float other = questions(analyzer, "연차는 며칠인가요?", "서버는 어디에 있나요?");
    assert_true(same > 0.9f);
    assert_true(like > 0.2f && like < same);
    assert_true(other < 0.1f);
    struct sparse_vector none = {0};
    sparse_vector_release(&none);
    analyzer_close(analyzer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cosine),
        cmocka_unit_test(test_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
