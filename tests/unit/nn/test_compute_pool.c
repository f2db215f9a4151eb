/* Goal: every item runs once, steps in order, for one caller and for several. Method: items count
 * themselves; callers on threads of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include "nn/compute_pool.h"

#define ITEMS_MAX 64

struct job {
    size_t n_items;
    size_t n_threads;
    atomic_size_t seen[ITEMS_MAX];
    atomic_size_t wrong;
};

/* At step s, every item has run s times before, all of its neighbours included. */
static void count(void *context, size_t step, size_t item, size_t thread)
{
    struct job *job = context;

    if (thread >= job->n_threads || item >= job->n_items)
        atomic_fetch_add(&job->wrong, 1);
    for (size_t i = 0; i < job->n_items; i++) {
        size_t seen = atomic_load(&job->seen[i]);

        if (seen != step && seen != step + 1)
            atomic_fetch_add(&job->wrong, 1);
    }
    if (atomic_fetch_add(&job->seen[item], 1) != step)
        atomic_fetch_add(&job->wrong, 1);
}

static void run(struct compute_pool *pool, size_t n_steps, size_t n_items)
{
    struct job *job = calloc(1, sizeof *job);

    assert_non_null(job);
    job->n_items = n_items;
    job->n_threads = compute_pool_threads(pool);
    compute_pool_run_steps(pool, n_steps, n_items, count, job);
    assert_int_equal(atomic_load(&job->wrong), 0);
    for (size_t i = 0; i < n_items && n_steps > 0; i++)
        assert_int_equal(atomic_load(&job->seen[i]), n_steps);
    free(job);
}

static void every_item_runs_once_a_step(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 3; n++) {
        struct compute_pool *pool = NULL;

        if (n > 0)
            assert_int_equal(compute_pool_open(n, &pool, NULL), RAG_OK);
        assert_int_equal(compute_pool_threads(pool), n > 0 ? n : 1);
        for (size_t items = 0; items <= ITEMS_MAX; items = items * 2 + 1)
            for (size_t steps = 0; steps <= 20; steps = steps * 3 + 1)
                run(pool, steps, items);
        compute_pool_close(pool);
    }
}

static void *caller(void *argument)
{
    for (size_t i = 0; i < 200; i++)
        run(argument, 1 + i % 5, 1 + i % 7);
    return NULL;
}

static void callers_share_a_pool(void **state)
{
    struct compute_pool *pool = NULL;
    pthread_t threads[4];

    (void)state;
    assert_int_equal(compute_pool_open(2, &pool, NULL), RAG_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, caller, pool), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    compute_pool_close(pool);
}

static void add_one(void *context, size_t item, size_t thread)
{
    (void)item;
    (void)thread;
    atomic_fetch_add((atomic_size_t *)context, 1);
}

static void a_run_without_steps(void **state)
{
    struct compute_pool *pool = NULL;
    atomic_size_t n = 0;

    (void)state;
    assert_int_equal(compute_pool_open(0, &pool, NULL), RAG_OK);
    assert_true(compute_pool_threads(pool) >= 1);
    compute_pool_run(pool, 1000, add_one, &n);
    compute_pool_run(NULL, 10, add_one, &n);
    compute_pool_run(pool, 0, add_one, &n);
    assert_int_equal(atomic_load(&n), 1010);
    compute_pool_close(pool);
    compute_pool_close(NULL);
}

static void too_many_threads_are_refused(void **state)
{
    struct compute_pool *pool = NULL;
    struct rag_error error = {RAG_OK, ""};

    (void)state;
    assert_int_equal(compute_pool_open(COMPUTE_THREADS_MAX + 1, &pool, &error), RAG_ELIMIT);
    assert_string_equal(error.text, "compute threads: 257, at most 256");
    assert_null(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_runs_once_a_step),
        cmocka_unit_test(callers_share_a_pool),
        cmocka_unit_test(a_run_without_steps),
        cmocka_unit_test(too_many_threads_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
