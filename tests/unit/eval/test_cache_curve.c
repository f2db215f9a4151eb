/* Pairs of questions: files, rates, and the threshold that is chosen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "eval/cache_curve.h"
#include "eval/cache_pairs.h"
#include "eval/cache_report.h"

/* ---- files ---- */

static enum rag_status read_text(const char *text, struct cache_pairs *ret, struct rag_error *error)
{
    struct input *in = NULL;
    assert_int_equal(input_memory(text, strlen(text), "pairs.jsonl", &in, NULL), RAG_OK);
    enum rag_status status = cache_pairs_read(in, ret, error);
    input_close(in);
    return status;
}

static void test_labels(void **state)
{
    static const uint8_t labels[] = {CACHE_EQUIVALENT, CACHE_DIFFERENT, CACHE_EQUIVALENT,
                                     CACHE_BETWEEN,    CACHE_BETWEEN,   CACHE_DIFFERENT};
    struct cache_pairs p;

    (void)state;
    assert_int_equal(
        read_text("{\"a\":\"가\",\"b\":\"나\",\"equivalent\":true}\n"
                  "{\"a\":\"가\",\"b\":\"다\",\"equivalent\":false,\"kind\":\"name\"}\n\n"
                  "{\"a\":\"라\",\"b\":\"마\",\"score0_5\":4}\n"
                  "{\"a\":\"라\",\"b\":\"바\",\"score0_5\":3.999}\n"
                  "{\"a\":\"라\",\"b\":\"사\",\"score0_5\":3}\n"
                  "{\"a\":\"라\",\"b\":\"아\",\"score0_5\":2.9}\r\n",
                  &p, NULL),
        RAG_OK);
    assert_int_equal(p.n, 6);
    assert_int_equal(p.n_texts, 8);
    for (size_t i = 0; i < p.n; i++)
        assert_int_equal(p.pairs[i].label, labels[i]);
    assert_string_equal(p.pairs[1].kind, "name");
    assert_string_equal(p.texts[p.pairs[1].b].text, "다");
    assert_int_equal(p.texts[p.pairs[0].a].same, p.texts[p.pairs[0].b].same);
    assert_int_not_equal(p.texts[p.pairs[1].a].same, p.texts[p.pairs[1].b].same);
    cache_pairs_release(&p);
}

static void test_question_set(void **state)
{
    struct cache_pairs p;

    (void)state;
    assert_int_equal(read_text("{\"id\":\"r\",\"question\":\"휴가 며칠?\",\"of\":\"q\"}\n"
                               "{\"id\":\"q\",\"question\":\"연차는 며칠인가요?\"}\n"
                               "{\"id\":\"s\",\"question\":\"식당은 어디?\"}\n",
                               &p, NULL),
                     RAG_OK);
    assert_true(p.questions);
    assert_int_equal(p.n, 1);
    assert_int_equal(p.n_texts, 3);
    assert_string_equal(p.texts[p.pairs[0].a].text, "연차는 며칠인가요?");
    assert_int_equal(p.pairs[0].label, CACHE_EQUIVALENT);
    cache_pairs_release(&p);
}

static void test_bad_files(void **state)
{
    static const struct {
        const char *text;
        enum rag_status status;
        const char *says;
    } rows[] = {
        {"",                                                   RAG_EFORMAT, "has no pairs"                },
        {"{\"question\":\"하나뿐\"}\n",                     RAG_EFORMAT, "has no pairs"                },
        {"{\"a\":\"가\",\"b\":\"나\"}\n",                    RAG_EFORMAT, "line 1: needs \"equivalent\""},
        {"{\"a\":\"가\",\"equivalent\":true}\n",              RAG_EFORMAT, "'b' is missing"              },
        {"{\"a\":\"  \",\"b\":\"나\",\"equivalent\":true}\n", RAG_EFORMAT,
         "'a' is missing or empty"                                                                        },
        {"{\"a\":\"가\",\"b\":\"나\",\"equivalent\":1}\n",   RAG_EINVAL,  "equivalent"                  },
        {"{\"a\":\"가\",\"b\":\"나\",\"score0_5\":5.5}\n",   RAG_EINVAL,  "score0_5"                    },
        {"{\"a\":1,\"b\":\"나\",\"equivalent\":true}\n",      RAG_EINVAL,  "line 1"                      },
        {"{\"a\":",                                            RAG_EFORMAT, "line 1"                      },
        {"[]\n",                                               RAG_EFORMAT, "line 1"                      },
        {"{\"id\":\"a\",\"question\":\"가\",\"of\":\"b\"}\n", RAG_EFORMAT, "rewords 'b'"                 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct cache_pairs p = {0};
        enum rag_status status = read_text(rows[i].text, &p, &error);

        if (status != rows[i].status || !strstr(error.text, rows[i].says))
            fail_msg("row %zu: %d '%s'", i, status, error.text);
        cache_pairs_release(&p);
    }
}

/* ---- rates ---- */

/* 100 equivalent and 100 different pairs, each pair with an 'a' of its own; similarity i / 100.
 * Every second different pair is confirmed below .5, none above. */
static void make(struct cache_pairs *p)
{
    char line[128];
    struct buf text;

    buf_init(&text, 1 << 20);
    for (int i = 0; i < 200; i++) {
        snprintf(line, sizeof line, "{\"a\":\"a%d\",\"b\":\"b%d\",\"equivalent\":%s}\n", i, i,
                 i % 2 ? "true" : "false");
        buf_append_str(&text, line);
    }
    assert_int_equal(read_text(buf_str(&text), p, NULL), RAG_OK);
    buf_release(&text);
    for (size_t i = 0; i < 200; i++) {
        p->pairs[i].similarity = ((float)(i / 2) + 0.5f) / 100;
        p->pairs[i].confirmed = i % 2 == 1 || (i / 2 < 50 && i % 4 == 0);
    }
}

static void test_rates(void **state)
{
    struct cache_pairs p;
    struct cache_point point;

    (void)state;
    make(&p);
    struct cache_view view = {.pairs = &p, .half = CACHE_ALL};
    cache_measure(&view, 0.3, &point);
    assert_int_equal(point.n_equivalent, 100);
    assert_int_equal(point.n_different, 100);
    assert_int_equal(point.hits, 70);
    assert_int_equal(point.false_hits, 10);
    assert_true(fabs(cache_hit_rate(&point) - 0.7) < 1e-9);
    assert_true(fabs(cache_false_hit_rate(&point) - 0.1) < 1e-9);
    assert_true(fabs(cache_wrong_share(&point) - 10.0 / 80) < 1e-9);
    /* The last confirmed different pair has similarity .48. */
    assert_true(fabs(cache_choose(&view, 0) - 0.49) < 1e-9);
    assert_true(cache_choose(&view, 1) <= 0);
    view.plain = true;
    cache_best(&view, 0.1, &point);
    assert_int_equal(point.false_hits, 10);
    assert_int_equal(point.hits, 10);
    cache_best(&view, 1, &point);
    assert_int_equal(point.hits, 100);
    cache_best(&view, 0, &point);
    assert_int_equal(point.false_hits, 0);
    cache_pairs_release(&p);
}

/* Halves are disjoint, together everything, and keep pairs of one 'a' together. */
static void test_halves(void **state)
{
    struct cache_pairs p;
    struct cache_point all;
    struct cache_point one;
    struct cache_point two;

    (void)state;
    make(&p);
    struct cache_view view = {.pairs = &p, .seed = 42, .half = CACHE_ALL};
    cache_measure(&view, 0.2, &all);
    view.half = CACHE_CHOOSE;
    cache_measure(&view, 0.2, &one);
    view.half = CACHE_MEASURE;
    cache_measure(&view, 0.2, &two);
    assert_int_equal(one.n_equivalent + two.n_equivalent, all.n_equivalent);
    assert_int_equal(one.false_hits + two.false_hits, all.false_hits);
    assert_true(one.n_equivalent > 30 && two.n_equivalent > 30);
    struct cache_pair pair = p.pairs[7];
    pair.b = 3;
    assert_int_equal(cache_half_of(&view, &pair), cache_half_of(&view, &p.pairs[7]));
    cache_pairs_release(&p);
}

static void test_reports(void **state)
{
    static struct cache_report r;
    struct cache_pairs p;
    struct json *root = NULL;
    struct buf out;

    (void)state;
    make(&p);
    p.pairs[0].kind = "<number>";
    r = (struct cache_report){
        .pairs = &p, .source = "pairs<.jsonl", .encoder = "tf-idf", .reranker = "", .error = 0.01};
    cache_report_fill(&r, -1);
    assert_false(r.threshold_given);
    assert_true(cache_false_hit_rate(&r.chosen) <= 0.05);
    assert_true(cache_hit_rate(&r.chosen) > cache_hit_rate(&r.plain_same_error));
    buf_init(&out, 1 << 22);
    cache_report_json(&r, &out);
    assert_int_equal(json_parse(buf_str(&out), out.len, "report", &root, NULL), RAG_OK);
    assert_int_equal((int)json_number(json_member(root, "pairs")), 200);
    assert_int_equal(json_size(json_member(root, "thresholds")), CACHE_CURVE_POINTS);
    json_free(root);
    buf_reset(&out);
    cache_report_text(&r, &out);
    assert_non_null(strstr(buf_str(&out), "200 pairs: 100 equivalent, 100 different"));
    buf_reset(&out);
    cache_report_html(&r, &out);
    assert_int_equal(buf_status(&out), RAG_OK);
    assert_non_null(strstr(buf_str(&out), "pairs&lt;.jsonl"));
    assert_null(strstr(buf_str(&out), "<number>"));
    assert_null(strstr(buf_str(&out), "nan"));
    buf_release(&out);

    cache_report_fill(&r, 0.5);
    assert_true(r.threshold_given);
    assert_int_equal(r.chosen.n_equivalent, 100);
    assert_int_equal(r.chosen.hits, 50);
    cache_pairs_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),    cmocka_unit_test(test_question_set),
        cmocka_unit_test(test_bad_files), cmocka_unit_test(test_rates),
        cmocka_unit_test(test_halves),    cmocka_unit_test(test_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
