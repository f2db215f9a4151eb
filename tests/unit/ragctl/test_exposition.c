/* Goal: samples are found by name and label, quantiles are those of Prometheus'
 * histogram_quantile(), and hostile text is passed over. Method: short expositions and figures
 * worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "daemon/ragctl/exposition.h"
#include "daemon/ragctl/top_figures.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct exposition parsed(const char *text)
{
    struct rag_error error = {RAG_OK, ""};
    struct exposition e = {0};

    assert_int_equal(exposition_parse(text, &e, &error), RAG_OK);
    return e;
}

static const char samples[] = "# HELP a_total x\n"
                              "# TYPE a_total counter\n"
                              "a_total 3\n"
                              "ab 4\n"
                              "a{l=\"1\",m=\"x\"} 9\n"
                              "a{l=\"2\",m=\"x\"} 1\n"
                              "a{xl=\"1\",m=\"l=\"} 100\n"
                              "c{l=\"only\"} -2.5e1";

struct row {
    const char *name;
    const char *sample;
    const char *label;
    const char *value;
    double want;
};

static struct row rows[] = {
    {"a name is taken whole",               "ab",      NULL, NULL,   4          },
    {"a counter",                           "a_total", NULL, NULL,   3          },
    {"a label chooses",                     "a",       "l",  "1",    9          },
    {"a later label too",                   "a",       "m",  "x",    10         },
    {"without a label all are summed",      "a",       NULL, NULL,   110        },
    {"the end of the text ends a line too", "c",       "l",  "only", -25        },
    {"no such name",                        "b",       NULL, NULL,   (double)NAN},
    {"no such value",                       "a",       "l",  "3",    (double)NAN},
    {"no such label",                       "a",       "z",  "1",    (double)NAN},
};

static void check_row(void **state)
{
    const struct row *row = *state;
    struct exposition e = parsed(samples);
    double sum = exposition_sum(&e, row->sample, row->label, row->value);

    assert_true(isnan(row->want) ? isnan(sum) : fabs(sum - row->want) < 1e-9);
    exposition_release(&e);
}

static void hostile_text_is_passed_over(void **state)
{
    static const char *const texts[] = {"",       "\n\n",    "a",         "a{",      "a{b",
                                        "a{b=\"", "a{b=\"}", "a{b=\"} 1", "{} 1",    "a 1x",
                                        "a  ",    "# a 1",   "a{b=c} 1",  "a{\"} 1", "\xFF\xFE 1"};

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct exposition e = parsed(texts[i]);
        char value[4];

        (void)exposition_sum(&e, "a", "b", "c");
        (void)exposition_quantile(&e, &e, "a", "b", "c", .5);
        for (size_t k = 0; k < e.n; k++)
            exposition_label(&e.samples[k], "b", value, sizeof value);
        exposition_release(&e);
    }
}

static const char before_text[] = "h_bucket{s=\"x\",le=\"1\"} 10\n"
                                  "h_bucket{s=\"x\",le=\"2\"} 10\n"
                                  "h_bucket{s=\"x\",le=\"4\"} 10\n"
                                  "h_bucket{s=\"x\",le=\"+Inf\"} 10\n"
                                  "h_count{s=\"x\"} 10\n";
/* since then: 2 up to 1, 2 up to 2, 4 up to 4, 2 beyond */
static const char now_text[] = "h_bucket{s=\"x\",le=\"1\"} 12\n"
                               "h_bucket{s=\"x\",le=\"2\"} 14\n"
                               "h_bucket{s=\"x\",le=\"4\"} 18\n"
                               "h_bucket{s=\"x\",le=\"+Inf\"} 20\n"
                               "h_count{s=\"x\"} 20\n";

static void quantiles_are_of_what_came_between(void **state)
{
    static const struct {
        double q;
        double want;
    } quantiles[] = {
        {0.1,  0.5},
        {0.2,  1  },
        {0.3,  1.5},
        {0.5,  2.5},
        {0.8,  4  },
        {0.95, 4  }
    };
    struct exposition before = parsed(before_text);
    struct exposition now = parsed(now_text);
    struct exposition none = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(quantiles); i++) {
        double q = exposition_quantile(&now, &before, "h", "s", "x", quantiles[i].q);

        assert_true(fabs(q - quantiles[i].want) < 1e-9);
    }
    assert_true(isnan(exposition_quantile(&now, &now, "h", "s", "x", .5)));
    assert_true(isnan(exposition_quantile(&now, &before, "h", "s", "y", .5)));
    /* 12 of 20 ever are up to 1 */
    assert_true(fabs(exposition_quantile(&now, &none, "h", "s", "x", .3) - .5) < 1e-9);
    exposition_release(&now);
    exposition_release(&before);
}

static const char page_before[] = "ragd_asks_total{outcome=\"answered\"} 10\n"
                                  "ragd_http_request_seconds_count{route=\"ask\"} 10\n"
                                  "ragd_http_request_seconds_count{route=\"metrics\"} 70\n"
                                  "ragd_cache_lookups_total{result=\"exact\"} 1\n"
                                  "ragd_cache_lookups_total{result=\"semantic\"} 0\n"
                                  "ragd_cache_lookups_total{result=\"miss\"} 5\n"
                                  "process_cpu_seconds_total 100\n";
static const char page_now[] = "ragd_asks_total{outcome=\"answered\"} 14\n"
                               "ragd_http_request_seconds_count{route=\"ask\"} 14\n"
                               "ragd_http_request_seconds_count{route=\"metrics\"} 72\n"
                               "ragd_cache_lookups_total{result=\"exact\"} 2\n"
                               "ragd_cache_lookups_total{result=\"semantic\"} 2\n"
                               "ragd_cache_lookups_total{result=\"miss\"} 6\n"
                               "process_cpu_seconds_total 1\n"
                               "ragd_workers_busy 3\n";

static void figures_are_rates_between_two_readings(void **state)
{
    struct exposition before = parsed(page_before);
    struct exposition now = parsed(page_now);
    struct top_figures f;

    (void)state;
    top_figures_compute(&now, &before, 2, 1000, &f);
    assert_true(fabs(f.answered_per_s - 2) < 1e-9);
    assert_true(fabs(f.requests_per_s - 2) < 1e-9);
    assert_true(fabs(f.cache_hit_rate - .75) < 1e-9);
    assert_true(fabs(f.cpu - .5) < 1e-9); /* it fell: the daemon started anew */
    assert_true(f.workers_busy == 3);
    assert_true(isnan(f.decoder_running));
    assert_int_equal(f.n_stages, 0);
    top_figures_compute(&now, &now, 2, 1000, &f);
    assert_true(f.answered_per_s == 0 && isnan(f.cache_hit_rate));
    exposition_release(&now);
    exposition_release(&before);
}

static void a_frame_fits_the_terminal(void **state)
{
    struct exposition now = parsed(page_now);
    struct exposition none = {0};
    struct top_figures f;
    struct buf out;
    size_t n = 0;

    (void)state;
    top_figures_compute(&now, &none, 2, 1000, &f);
    buf_init(&out, 65536);
    top_draw(&f, NULL, "/run/ragd/ragd.sock", 4, 30, &out);
    for (const char *line = buf_str(&out); *line; line += strcspn(line, "\n") + 1, n++)
        assert_true(strcspn(line, "\n") <= 30);
    assert_int_equal(n, 4);
    buf_release(&out);
    exposition_release(&now);
}

int main(void)
{
    static const struct CMUnitTest singles[] = {
        cmocka_unit_test(hostile_text_is_passed_over),
        cmocka_unit_test(quantiles_are_of_what_came_between),
        cmocka_unit_test(figures_are_rates_between_two_readings),
        cmocka_unit_test(a_frame_fits_the_terminal),
    };
    struct CMUnitTest tests[COUNT(rows) + COUNT(singles)];

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    memcpy(tests + COUNT(rows), singles, sizeof singles);
    return cmocka_run_group_tests_name("exposition", tests, NULL, NULL);
}
