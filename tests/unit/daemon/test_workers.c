/* Goal: every accepted job runs exactly once, queues are bounded, bulk jobs leave threads to
 * questions and are not starved by them. Method: jobs that wait for the test's word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "daemon/workers.h"

#define PATIENCE_MS 20000

static atomic_uint n_inside;
static atomic_uint n_inside_max;
static atomic_uint n_run;
static atomic_bool go_on;

static void pause_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

static void wait_for(const atomic_uint *value, unsigned want)
{
    for (int ms = 0; atomic_load(value) != want; ms++) {
        assert_true(ms < PATIENCE_MS);
        pause_ms(1);
    }
}

static void hold(void *context)
{
    unsigned n = atomic_fetch_add(&n_inside, 1) + 1;
    unsigned most = atomic_load(&n_inside_max);

    (void)context;
    while (n > most && !atomic_compare_exchange_weak(&n_inside_max, &most, n)) {
    }
    while (!atomic_load(&go_on))
        pause_ms(1);
    atomic_fetch_sub(&n_inside, 1);
    atomic_fetch_add(&n_run, 1);
}

static void count(void *context)
{
    atomic_fetch_add((atomic_uint *)context, 1);
}

static struct workers *start(size_t n_threads, size_t queue_max, size_t bulk_queue_max)
{
    struct workers_options options = {
        .n_threads = n_threads, .queue_max = queue_max, .bulk_queue_max = bulk_queue_max};
    struct rag_error error = {RAG_OK, ""};
    struct workers *w = NULL;

    atomic_store(&n_inside, 0);
    atomic_store(&n_inside_max, 0);
    atomic_store(&n_run, 0);
    atomic_store(&go_on, false);
    assert_int_equal(workers_start(&options, &w, &error), RAG_OK);
    return w;
}

static void answers_leave_threads_to_searches(void **state)
{
    struct workers_options options = {
        .n_threads = 4, .n_answers = 2, .queue_max = 8, .bulk_queue_max = 8};
    struct workers *w = start(2, 1, 1);
    struct workers_stats stats;
    atomic_uint n_counted = 0;

    (void)state;
    workers_stop(w);
    assert_int_equal(workers_start(&options, &w, NULL), RAG_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(workers_submit(w, JOB_ANSWER, hold, NULL), RAG_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(workers_submit(w, i % 2 ? JOB_INTERACTIVE : JOB_BULK, count, &n_counted),
                         RAG_OK);
    wait_for(&n_counted, 4); /* behind five answers that do not end */
    wait_for(&n_inside, 2);
    workers_stats(w, &stats);
    assert_int_equal(stats.n_queued[JOB_ANSWER], 3);
    atomic_store(&go_on, true);
    workers_stop(w);
    assert_int_equal(atomic_load(&n_run), 5);
    assert_int_equal(atomic_load(&n_inside_max), 2);
}

static void without_threads_of_their_own_answers_are_questions(void **state)
{
    struct workers *w = start(2, 1, 1);
    struct workers_stats stats;

    (void)state;
    for (int i = 0; i < 2; i++) {
        while (workers_submit(w, JOB_ANSWER, hold, NULL) != RAG_OK)
            pause_ms(1);
        wait_for(&n_inside, (unsigned)i + 1);
    }
    assert_int_equal(workers_submit(w, JOB_ANSWER, hold, NULL), RAG_OK);
    assert_int_equal(workers_submit(w, JOB_INTERACTIVE, hold, NULL), RAG_EBUSY);
    workers_stats(w, &stats);
    assert_int_equal(stats.n_queued[JOB_INTERACTIVE], 1);
    atomic_store(&go_on, true);
    workers_stop(w);
}

static void every_job_runs_once(void **state)
{
    struct workers *w = start(4, 10000, 10000);
    struct workers_stats stats;

    (void)state;
    for (int i = 0; i < 10000; i++)
        assert_int_equal(workers_submit(w, i % 3 ? JOB_INTERACTIVE : JOB_BULK, count, &n_run),
                         RAG_OK);
    wait_for(&n_run, 10000);
    for (int ms = 0; ms < PATIENCE_MS; ms++) {
        workers_stats(w, &stats);
        if (stats.n_done == 10000)
            break;
        pause_ms(1);
    }
    assert_int_equal(stats.n_done, 10000);
    assert_int_equal(stats.n_busy, 0);
    assert_int_equal(stats.n_refused, 0);
    workers_stop(w);
    assert_int_equal(atomic_load(&n_run), 10000);
}

static void a_full_queue_refuses_at_once(void **state)
{
    struct workers *w = start(2, 3, 1);
    struct workers_stats stats;

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(workers_submit(w, JOB_INTERACTIVE, hold, NULL), RAG_OK);
    wait_for(&n_inside, 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(workers_submit(w, JOB_INTERACTIVE, hold, NULL), RAG_OK);
    assert_int_equal(workers_submit(w, JOB_INTERACTIVE, hold, NULL), RAG_EBUSY);
    assert_int_equal(workers_submit(w, JOB_BULK, hold, NULL), RAG_OK); /* its own queue */
    assert_int_equal(workers_submit(w, JOB_BULK, hold, NULL), RAG_EBUSY);
    workers_stats(w, &stats);
    assert_int_equal(stats.n_threads, 2);
    assert_int_equal(stats.n_busy, 2);
    assert_int_equal(stats.n_queued[JOB_INTERACTIVE], 3);
    assert_int_equal(stats.n_queued[JOB_BULK], 1);
    assert_int_equal(stats.n_refused, 2);
    atomic_store(&go_on, true);
    workers_stop(w); /* runs what was accepted */
    assert_int_equal(atomic_load(&n_run), 6);
}

static void bulk_jobs_occupy_half_of_the_threads(void **state)
{
    struct workers *w = start(5, 100, 100);

    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(workers_submit(w, JOB_BULK, hold, NULL), RAG_OK);
    wait_for(&n_inside, 2);
    pause_ms(50);
    assert_int_equal(atomic_load(&n_inside), 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(workers_submit(w, JOB_INTERACTIVE, hold, NULL), RAG_OK);
    wait_for(&n_inside, 5);
    atomic_store(&go_on, true);
    workers_stop(w);
    assert_int_equal(atomic_load(&n_run), 23);
    assert_int_equal(atomic_load(&n_inside_max), 5);
}

/* Keeps the interactive queue full: each job submits its successor. */
struct chain {
    struct workers *workers;
    atomic_uint n;
    atomic_bool end;
};

static void link_on(void *context)
{
    struct chain *c = context;

    atomic_fetch_add(&c->n, 1);
    if (!atomic_load(&c->end))
        (void)workers_submit(c->workers, JOB_INTERACTIVE, link_on, c);
}

static void endless_questions_do_not_starve_bulk_jobs(void **state)
{
    struct workers *w = start(2, 100, 100);
    struct chain chain = {.workers = w};

    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(workers_submit(w, JOB_INTERACTIVE, link_on, &chain), RAG_OK);
    for (int i = 0; i < 10; i++)
        assert_int_equal(workers_submit(w, JOB_BULK, count, &n_run), RAG_OK);
    wait_for(&n_run, 10);
    atomic_store(&chain.end, true);
    workers_stop(w);
}

static void *stop(void *context)
{
    workers_stop(context);
    return NULL;
}

static void a_stop_waits_for_what_runs(void **state)
{
    struct workers *w = start(3, 10, 10);
    pthread_t stopper;

    (void)state;
    for (int i = 0; i < 6; i++)
        assert_int_equal(workers_submit(w, i % 2 ? JOB_BULK : JOB_INTERACTIVE, hold, NULL), RAG_OK);
    wait_for(&n_inside, 3);
    assert_int_equal(pthread_create(&stopper, NULL, stop, w), 0);
    pause_ms(20);
    assert_int_equal(atomic_load(&n_run), 0);
    atomic_store(&go_on, true);
    pthread_join(stopper, NULL);
    assert_int_equal(atomic_load(&n_run), 6);
    workers_stop(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_runs_once),
        cmocka_unit_test(answers_leave_threads_to_searches),
        cmocka_unit_test(without_threads_of_their_own_answers_are_questions),
        cmocka_unit_test(a_full_queue_refuses_at_once),
        cmocka_unit_test(bulk_jobs_occupy_half_of_the_threads),
        cmocka_unit_test(endless_questions_do_not_starve_bulk_jobs),
        cmocka_unit_test(a_stop_waits_for_what_runs),
    };

    return cmocka_run_group_tests_name("workers", tests, NULL, NULL);
}
