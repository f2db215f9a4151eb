/* Goal: what /metrics says is the text format 0.0.4: every sample under one HELP and TYPE of its
 * name, no series twice, histograms cumulative and their parts agree; counts are exact under
 * threads. Method: the text is read back line by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/metrics.h"

#define LINES_MAX 4096
#define N_THREADS 4
#define N_ADDS    20000

static struct metrics *filled(void)
{
    struct rag_error error = {RAG_OK, ""};
    struct metrics *m = NULL;

    assert_int_equal(metrics_new(&m, &error), RAG_OK);
    metrics_name_stage(m, 0, "bm25");
    metrics_name_stage(m, 3, "rerank");
    metrics_name_route(m, 1, "ask");
    metrics_add(m, METRIC_ASKS_ANSWERED, 3);
    metrics_set(m, METRIC_DOCUMENTS, 1e9);
    metrics_change(m, METRIC_HTTP_CONNECTIONS, 5);
    metrics_change(m, METRIC_HTTP_CONNECTIONS, -2);
    metrics_stage(m, 0, 0.05);
    metrics_stage(m, 0, 0.1); /* a bound belongs to its bucket */
    metrics_stage(m, 0, 3);
    metrics_stage(m, 0, 70000);
    metrics_stage(m, 0, -1);
    metrics_count(m, METRICS_CACHE_LOOKUPS, "exact", NULL, 2);
    metrics_count(m, METRICS_GUARD_FINDINGS, "passage", "mask", 1);
    metrics_count(m, METRICS_GUARD_FINDINGS, "passage", "mask", 4);
    metrics_count(m, METRICS_BACKEND_CALLS, "local", "a\"b\nc", 1); /* no text makes a series */
    metrics_count(m, METRICS_BACKEND_CALLS, NULL, "timeout", 1);
    metrics_count_total(m, METRICS_BACKEND_COST, "openai", NULL, 1500);
    metrics_add(m, METRIC_CACHE_SAVED_US, 2500000);
    metrics_request(m, 1, 200, 12);
    metrics_request(m, 1, 503, 1);
    metrics_request(m, 1, 0, 1); /* no code: counted in the histogram alone */
    return m;
}

static bool has_line(const char *text, const char *line)
{
    char wanted[256];

    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    return strstr(text, wanted) != NULL;
}

static void samples_say_what_was_recorded(void **state)
{
    static const char *const lines[] = {
        "# TYPE ragd_asks_total counter",
        "ragd_asks_total{outcome=\"answered\"} 3",
        "ragd_asks_total{outcome=\"failed\"} 0",
        "ragd_documents 1000000000",
        "ragd_cache_lookups_total{result=\"exact\"} 2",
        "ragd_cache_lookups_total{result=\"miss\"} 0",
        "ragd_guard_findings_total{stage=\"passage\",action=\"mask\"} 5",
        "ragd_backend_calls_total{backend=\"local\",outcome=\"other\"} 1",
        "ragd_backend_calls_total{backend=\"other\",outcome=\"timeout\"} 1",
        "ragd_backend_cost_total{backend=\"openai\"} 0.001500",
        "ragd_cache_saved_seconds_total 2.500000",
        "ragd_http_connections 3",
        "# TYPE ragd_stage_seconds histogram",
        "ragd_stage_seconds_bucket{stage=\"bm25\",le=\"0.0001\"} 3",
        "ragd_stage_seconds_bucket{stage=\"bm25\",le=\"0.0025\"} 3",
        "ragd_stage_seconds_bucket{stage=\"bm25\",le=\"0.005\"} 4",
        "ragd_stage_seconds_bucket{stage=\"bm25\",le=\"60\"} 4",
        "ragd_stage_seconds_bucket{stage=\"bm25\",le=\"+Inf\"} 5",
        "ragd_stage_seconds_count{stage=\"bm25\"} 5",
        "ragd_stage_seconds_sum{stage=\"bm25\"} 70.003150",
        "ragd_stage_seconds_count{stage=\"rerank\"} 0",
        "ragd_http_request_seconds_count{route=\"ask\"} 3",
        "ragd_http_responses_total{route=\"ask\",code=\"2xx\"} 1",
        "ragd_http_responses_total{route=\"ask\",code=\"5xx\"} 1",
    };
    struct metrics *m = filled();
    struct buf text;

    (void)state;
    buf_init(&text, 1u << 20);
    metrics_write(m, &text);
    assert_int_equal(buf_status(&text), RAG_OK);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (!has_line(buf_str(&text), lines[i]))
            fail_msg("no line: %s\n%s", lines[i], buf_str(&text));
    buf_release(&text);
    metrics_free(m);
}

/* The name that a sample belongs to: without labels, and without _bucket, _sum, _count. */
static void family_of(const char *line, bool histogram, char ret[128])
{
    static const char *const parts[] = {"_bucket", "_sum", "_count"};
    size_t n = strcspn(line, "{ ");

    snprintf(ret, 128, "%.*s", (int)n, line);
    for (size_t i = 0; histogram && i < 3; i++) {
        size_t n_part = strlen(parts[i]);

        if (n > n_part && strcmp(ret + n - n_part, parts[i]) == 0)
            ret[n - n_part] = '\0';
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void the_text_is_well_formed(void **state)
{
    struct metrics *m = filled();
    char *series[LINES_MAX];
    char type_of[128] = "";
    char help_of[128] = "";
    char kind[32] = "";
    char family[128];
    size_t n = 0;
    struct buf text;

    (void)state;
    buf_init(&text, 1u << 20);
    metrics_write(m, &text);
    for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n")) {
        char *space = strrchr(line, ' ');
        char *end = NULL;

        if (strncmp(line, "# HELP ", 7) == 0) {
            assert_int_equal(sscanf(line, "# HELP %127s", help_of), 1);
            continue;
        }
        if (line[0] == '#') {
            assert_int_equal(sscanf(line, "# TYPE %127s %31s", type_of, kind), 2);
            assert_string_equal(type_of, help_of);
            continue;
        }
        assert_true(strncmp(line, "ragd_", 5) == 0 || strncmp(line, "process_", 8) == 0);
        family_of(line, strcmp(kind, "histogram") == 0, family);
        assert_string_equal(family, type_of);
        assert_int_equal(strcmp(kind, "counter") == 0,
                         strcmp(family + strlen(family) - 6, "_total") == 0);
        assert_non_null(space);
        (void)strtod(space + 1, &end);
        assert_true(end > space + 1 && *end == '\0');
        *space = '\0';
        assert_true(n < LINES_MAX);
        series[n++] = line;
    }
    qsort(series, n, sizeof series[0], compare);
    for (size_t i = 1; i < n; i++)
        assert_string_not_equal(series[i - 1], series[i]);
    assert_true(n > 50);
    buf_release(&text);
    metrics_free(m);
}

static double value_of(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at ? strtod(at + strlen(name), NULL) : -1;
}

static void the_process_is_measured(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct metrics *m = NULL;
    struct buf text;

    (void)state;
    assert_int_equal(metrics_new(&m, &error), RAG_OK);
    metrics_read_process(m);
    buf_init(&text, 1u << 20);
    metrics_write(m, &text);
    assert_true(value_of(buf_str(&text), "\nprocess_resident_memory_bytes ") > 100000);
    assert_true(value_of(buf_str(&text), "\nprocess_open_fds ") >= 3);
    assert_true(value_of(buf_str(&text), "\nprocess_max_fds ") >= 3);
    assert_true(value_of(buf_str(&text), "\nprocess_threads ") >= 1); /* a sanitizer has some */
    assert_true(value_of(buf_str(&text), "\nprocess_start_time_seconds ") > 1.6e9);
    buf_release(&text);
    metrics_free(m);
}

static void *add(void *context)
{
    for (int i = 0; i < N_ADDS; i++) {
        metrics_add(context, METRIC_DOCUMENTS_PUT, 2);
        metrics_change(context, METRIC_HTTP_CONNECTIONS, i % 2 ? -1 : 1);
        metrics_stage(context, 0, 1);
    }
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    pthread_t threads[N_THREADS];
    struct metrics *m = NULL;
    struct buf text;

    (void)state;
    assert_int_equal(metrics_new(&m, &error), RAG_OK);
    metrics_name_stage(m, 0, "s");
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add, m), 0);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    buf_init(&text, 1u << 20);
    metrics_write(m, &text);
    assert_true(has_line(buf_str(&text), "ragd_document_changes_total{kind=\"put\"} 160000"));
    assert_true(has_line(buf_str(&text), "ragd_http_connections 0"));
    assert_true(has_line(buf_str(&text), "ragd_stage_seconds_count{stage=\"s\"} 80000"));
    buf_release(&text);
    metrics_free(m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_say_what_was_recorded),
        cmocka_unit_test(the_text_is_well_formed),
        cmocka_unit_test(the_process_is_measured),
        cmocka_unit_test(threads_lose_nothing),
    };

    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
