/* Work beside the caller: it runs once, whoever runs it, and nobody waits for a free thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "daemon/side_work.h"

struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open;
    int n_inside;
};

static void count(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

static void wait_at_gate(void *context)
{
    struct gate *g = context;

    pthread_mutex_lock(&g->mutex);
    g->n_inside++;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}

static void without_threads_the_caller_runs_it(void **state)
{
    atomic_int n = 0;
    struct side_job job = {.run = count, .context = &n};

    (void)state;
    side_work_begin(NULL, &job);
    assert_int_equal(n, 0);
    side_work_finish(NULL, &job);
    assert_int_equal(n, 1);
}

static void a_job_begun_runs_beside_the_caller(void **state)
{
    struct gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0};
    struct side_job job = {.run = wait_at_gate, .context = &g};
    struct side_work *s = NULL;

    (void)state;
    assert_int_equal(side_work_start(1, &s, NULL), RAG_OK);
    side_work_begin(s, &job);
    pthread_mutex_lock(&g.mutex);
    while (g.n_inside == 0) /* it runs though nobody has asked for its result */
        pthread_cond_wait(&g.changed, &g.mutex);
    g.open = true;
    pthread_cond_broadcast(&g.changed);
    pthread_mutex_unlock(&g.mutex);
    side_work_finish(s, &job);
    side_work_stop(s);
}

static void a_caller_does_not_wait_for_a_busy_thread(void **state)
{
    struct gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0};
    struct side_job held = {.run = wait_at_gate, .context = &g};
    atomic_int n = 0;
    struct side_job jobs[3] = {
        {.run = count, .context = &n},
        {.run = count, .context = &n},
        {.run = count, .context = &n}
    };
    struct side_work *s = NULL;

    (void)state;
    assert_int_equal(side_work_start(1, &s, NULL), RAG_OK);
    side_work_begin(s, &held);
    pthread_mutex_lock(&g.mutex);
    while (g.n_inside == 0)
        pthread_cond_wait(&g.changed, &g.mutex);
    pthread_mutex_unlock(&g.mutex);
    /* the only thread is held: these are run by who finishes them, in any order */
    for (int i = 0; i < 3; i++)
        side_work_begin(s, &jobs[i]);
    side_work_finish(s, &jobs[1]);
    assert_int_equal(n, 1);
    side_work_finish(s, &jobs[2]);
    side_work_finish(s, &jobs[0]);
    assert_int_equal(n, 3);
    pthread_mutex_lock(&g.mutex);
    g.open = true;
    pthread_cond_broadcast(&g.changed);
    pthread_mutex_unlock(&g.mutex);
    side_work_finish(s, &held);
    side_work_stop(s);
}

struct caller {
    struct side_work *work;
    atomic_int *n;
};

static void *call_often(void *context)
{
    struct caller *c = context;

    for (int i = 0; i < 500; i++) {
        struct side_job job = {.run = count, .context = c->n};

        side_work_begin(c->work, &job);
        side_work_finish(c->work, &job);
    }
    return NULL;
}

static void many_callers_each_get_their_own_run(void **state)
{
    struct side_work *s = NULL;
    pthread_t threads[8];
    atomic_int n = 0;
    struct caller c;

    (void)state;
    assert_int_equal(side_work_start(2, &s, NULL), RAG_OK);
    c = (struct caller){s, &n};
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &c), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(n, 8 * 500);
    side_work_stop(s);
    side_work_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_threads_the_caller_runs_it),
        cmocka_unit_test(a_job_begun_runs_beside_the_caller),
        cmocka_unit_test(a_caller_does_not_wait_for_a_busy_thread),
        cmocka_unit_test(many_callers_each_get_their_own_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
