/* How much of a question stands in a place of a text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/bounds.h"
#include "text/overlap.h"

struct fixture {
    struct analyzer *analyzer;
    struct term_list terms;
    struct overlap_query query;
    struct overlap_text text;
};

static void ask(struct fixture *f, const char *question)
{
    float idf[QUERY_TERMS_MAX];

    memset(f, 0, sizeof *f);
    assert_int_equal(analyzer_open(NULL, &f->analyzer, NULL), RAG_OK);
    assert_int_equal(analyzer_question(f->analyzer, question, strlen(question), &f->terms), RAG_OK);
    for (size_t i = 0; i < f->terms.n; i++)
        idf[i] = 2;
    assert_int_equal(overlap_query_init(&f->terms, idf, &f->query), RAG_OK);
}

static struct overlap in(struct fixture *f, const char *text)
{
    assert_int_equal(overlap_read(&f->query, f->analyzer, text, strlen(text), &f->text), RAG_OK);
    return overlap_score(&f->query, &f->text, 0, f->text.n, NULL);
}

static void done(struct fixture *f)
{
    overlap_text_release(&f->text);
    overlap_query_release(&f->query);
    term_list_release(&f->terms);
    analyzer_close(f->analyzer);
}

static void test_coverage(void **state)
{
    struct fixture f;
    float half;

    (void)state;
    ask(&f, "태풍 경로");
    assert_float_equal(in(&f, "태풍 경로").coverage, 1, 1e-6);
    assert_float_equal(in(&f, "태풍은 경로가 태풍 경로").coverage, 1, 1e-6);
    half = in(&f, "태풍").coverage;
    assert_true(half > 0.4f && half < 0.6f);
    assert_float_equal(in(&f, "지진").coverage, 0, 1e-6);
    assert_float_equal(in(&f, "").coverage, 0, 1e-6);
    done(&f);
}

static void test_proximity_falls_with_distance_and_disorder(void **state)
{
    static const char *const closer_first[] = {
        "태풍 경로 예보",
        "태풍 하나 경로 예보",
        "경로 태풍 하나",
        "태풍 하나 둘 셋 넷 다섯 여섯 경로",
    };
    struct fixture f;
    float before = 2;

    (void)state;
    ask(&f, "태풍 경로");
    for (size_t i = 0; i < sizeof closer_first / sizeof closer_first[0]; i++) {
        float proximity = in(&f, closer_first[i]).proximity;

        assert_true(proximity >= 0 && proximity <= 1);
        if (proximity >= before)
            fail_msg("'%s' is as close as the row before", closer_first[i]);
        before = proximity;
    }
    assert_float_equal(before, 0, 1e-6);
    done(&f);
}

static void test_given_terms_count_once(void **state)
{
    struct fixture f;
    float given[QUERY_TERMS_MAX];
    struct overlap score;

    (void)state;
    ask(&f, "태풍 경로");
    for (size_t i = 0; i < f.terms.n; i++)
        given[i] = 0.6f;
    in(&f, "지진");
    score = overlap_score(&f.query, &f.text, 0, f.text.n, given);
    assert_float_equal(score.coverage, 0.6f, 1e-5);
    in(&f, "태풍 경로 태풍");
    score = overlap_score(&f.query, &f.text, 0, f.text.n, given);
    assert_float_equal(score.coverage, 1, 1e-5);
    done(&f);
}

static void test_spans_are_found_by_bytes(void **state)
{
    static const char text[] = "태풍이 왔다. 경로는 동쪽이다.";
    struct fixture f;
    size_t cut;

    (void)state;
    ask(&f, "태풍 경로");
    in(&f, text);
    cut = overlap_find(&f.text, (uint32_t)strlen("태풍이 왔다."));
    assert_true(cut > 0 && cut < f.text.n);
    assert_int_equal(overlap_find(&f.text, 0), 0);
    assert_int_equal(overlap_find(&f.text, sizeof text), f.text.n);
    assert_true(overlap_score(&f.query, &f.text, 0, cut, NULL).coverage < 0.6f);
    assert_true(overlap_score(&f.query, &f.text, cut, f.text.n, NULL).coverage < 0.6f);
    done(&f);
}

static void test_a_question_without_terms_covers_nothing(void **state)
{
    struct fixture f;

    (void)state;
    ask(&f, "?!");
    assert_int_equal(f.terms.n, 0);
    assert_float_equal(in(&f, "태풍").coverage, 0, 1e-6);
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_proximity_falls_with_distance_and_disorder),
        cmocka_unit_test(test_given_terms_count_once),
        cmocka_unit_test(test_spans_are_found_by_bytes),
        cmocka_unit_test(test_a_question_without_terms_covers_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
