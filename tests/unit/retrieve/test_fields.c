/* A chunk's fields become one list of postings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "retrieve/fields.h"

struct result {
    struct bm25_posting *postings;
    size_t n;
    uint32_t length;
};

static struct result index_fields(const char *title, const char *heading, const char *text)
{
    struct passage_fields fields = {
        .title = title, .heading = heading, .text = text, .text_bytes = strlen(text)};
    struct analyzer *a = NULL;
    struct result r = {0};

    assert_int_equal(analyzer_open(NULL, &a, NULL), RAG_OK);
    assert_int_equal(passage_postings(a, &fields, &r.postings, &r.n, &r.length), RAG_OK);
    analyzer_close(a);
    return r;
}

static uint32_t tf_of(const struct result *r, const char *word)
{
    struct analyzer *a = NULL;
    struct term_list terms = {0};
    uint32_t tf = 0;

    assert_int_equal(analyzer_open(NULL, &a, NULL), RAG_OK);
    assert_int_equal(analyzer_passage(a, word, strlen(word), &terms), RAG_OK);
    assert_int_equal(terms.n, 1);
    for (size_t i = 0; i < r->n; i++)
        if (r->postings[i].term == terms.items[0].id)
            tf = r->postings[i].tf;
    term_list_release(&terms);
    analyzer_close(a);
    return tf;
}

static void test_terms_are_distinct_and_counted(void **state)
{
    struct result r = index_fields("", NULL, "alpha beta alpha");

    (void)state;
    assert_int_equal(r.n, 2);
    assert_true(r.postings[0].term < r.postings[1].term);
    assert_int_equal(tf_of(&r, "alpha"), 2 * BM25_TF_ONE);
    assert_int_equal(tf_of(&r, "beta"), BM25_TF_ONE);
    assert_int_equal(r.length, 3 * BM25_TF_ONE);
    free(r.postings);
}

static void test_title_and_heading_count_in_part_and_not_for_length(void **state)
{
    struct result r = index_fields("gamma", "alpha > delta", "alpha beta");

    (void)state;
    assert_int_equal(tf_of(&r, "gamma"), (uint32_t)(BM25_TF_ONE * FIELD_TITLE_WEIGHT));
    assert_int_equal(tf_of(&r, "delta"), (uint32_t)(BM25_TF_ONE * FIELD_HEADING_WEIGHT));
    assert_int_equal(tf_of(&r, "alpha"),
                     BM25_TF_ONE + (uint32_t)(BM25_TF_ONE * FIELD_HEADING_WEIGHT));
    assert_int_equal(r.length, 2 * BM25_TF_ONE);
    free(r.postings);
}

static void test_nothing_to_index(void **state)
{
    struct result r = index_fields(NULL, NULL, " ... ");

    (void)state;
    assert_null(r.postings);
    assert_int_equal(r.n, 0);
    assert_int_equal(r.length, 1);
}

static void test_a_word_a_million_times_is_capped(void **state)
{
    enum { N = 100000 };
    char *text = malloc(N * 2 + 1);
    struct result r;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < N; i++)
        memcpy(text + 2 * i, "x ", 2);
    text[N * 2] = '\0';
    r = index_fields("", "", text);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.postings[0].tf, BM25_TF_MAX);
    assert_int_equal(r.length, N * BM25_TF_ONE);
    free(r.postings);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terms_are_distinct_and_counted),
        cmocka_unit_test(test_title_and_heading_count_in_part_and_not_for_length),
        cmocka_unit_test(test_nothing_to_index),
        cmocka_unit_test(test_a_word_a_million_times_is_capped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
