/* State: runs queue up in the order of their callers. A run is at one step; a thread takes the next
 * item of the first run that has one left at its step. Whoever finishes the last item of a step
 * opens the next step, or ends the run and wakes its caller.
 *
 * Invariants, under 'lock': run.next <= n_items; run.done <= run.next; a run in the queue is not
 * finished; a run leaves the queue when its last item is done. An item holds no lock. */
#define _GNU_SOURCE
#include "nn/compute_pool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* A thread that runs out of items looks for more this long before it sleeps: about what waking it
 * up would cost, so that the next step, or the next batch of the same caller, finds it awake. */
#define SPIN_NS 40000

struct run {
    struct run *next_run;
    void (*work)(void *context, size_t step, size_t item, size_t thread);
    void *context;
    size_t n_steps;
    size_t n_items;
    size_t step;
    size_t next; /* item to be taken next */
    size_t done; /* items of this step that have returned */
    bool finished;
    pthread_cond_t end; /* finished */
};

struct compute_pool {
    pthread_mutex_t lock;
    pthread_cond_t more;       /* items to take, or closing */
    atomic_uint_fast64_t news; /* counts what 'more' is signalled for; read without the lock */
    struct run *first;         /* under lock, as all below */
    size_t n_asleep;
    bool closing;
    size_t n_threads;
    size_t n_started;
    struct pool_thread *threads;
};

struct pool_thread {
    struct compute_pool *pool;
    size_t index;
    pthread_t id;
};

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Under lock: tell threads that there are n items more. */
static void announce(struct compute_pool *pool, size_t n)
{
    atomic_fetch_add_explicit(&pool->news, 1, memory_order_release);
    if (pool->n_asleep == 0)
        return;
    if (n >= pool->n_asleep)
        pthread_cond_broadcast(&pool->more);
    else
        for (size_t i = 0; i < n; i++)
            pthread_cond_signal(&pool->more);
}

/* Under lock: the first run with an item left, or NULL. */
static struct run *runnable(const struct compute_pool *pool)
{
    for (struct run *run = pool->first; run; run = run->next_run)
        if (run->next < run->n_items)
            return run;
    return NULL;
}

/* Under lock: an item of the run has returned. */
static void item_done(struct compute_pool *pool, struct run *run)
{
    run->done++;
    if (run->done < run->n_items)
        return;
    run->step++;
    if (run->step < run->n_steps) {
        run->next = 0;
        run->done = 0;
        announce(pool, run->n_items - 1); /* this thread takes one itself */
        return;
    }
    for (struct run **link = &pool->first; *link; link = &(*link)->next_run)
        if (*link == run) {
            *link = run->next_run;
            break;
        }
    run->finished = true;
    pthread_cond_signal(&run->end);
}

/* Without the lock: wait for news a little while. */
static void spin(struct compute_pool *pool, uint_fast64_t seen)
{
    int64_t until = clock_monotonic_ns() + SPIN_NS;

    while (atomic_load_explicit(&pool->news, memory_order_acquire) == seen) {
        for (int i = 0; i < 16; i++)
            pause_cpu();
        if (clock_monotonic_ns() >= until)
            break;
    }
}

static void *thread_main(void *argument)
{
    struct pool_thread *self = argument;
    struct compute_pool *pool = self->pool;
    bool worked = false;

    pthread_mutex_lock(&pool->lock);
    while (!pool->closing) {
        struct run *run = runnable(pool);

        if (run) {
            size_t item = run->next++;
            size_t step = run->step;

            pthread_mutex_unlock(&pool->lock);
            run->work(run->context, step, item, self->index);
            pthread_mutex_lock(&pool->lock);
            item_done(pool, run);
            worked = true;
        } else if (worked) {
            uint_fast64_t seen = atomic_load_explicit(&pool->news, memory_order_relaxed);

            pthread_mutex_unlock(&pool->lock);
            spin(pool, seen);
            pthread_mutex_lock(&pool->lock);
            worked = false;
        } else {
            pool->n_asleep++;
            pthread_cond_wait(&pool->more, &pool->lock);
            pool->n_asleep--;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* ---- how many threads ---- */

#define CGROUP_ROOT "/sys/fs/cgroup"

/* Whole CPUs that the quota of one group allows, rounded up; 0: no limit known.
 * (Documentation/admin-guide/cgroup-v2.rst, cpu.max: "$MAX $PERIOD" in microseconds) */
static size_t group_cpus(const char *group)
{
    char path[4096];
    unsigned long long quota = 0;
    unsigned long long period = 0;
    FILE *file = NULL;
    int n = snprintf(path, sizeof path, CGROUP_ROOT "%s/cpu.max", group);

    if (n > 0 && (size_t)n < sizeof path)
        file = fopen(path, "re");
    if (!file)
        return 0;
    n = fscanf(file, "%llu %llu", &quota, &period); /* "max 100000": no limit, n = 0 */
    (void)fclose(file);
    if (n != 2 || quota == 0 || period == 0)
        return 0;
    return (size_t)((quota + period - 1) / period);
}

/* The smallest quota of this process's group and of those above it; 0: none. Groups of version 2:
 * the line "0::/path" of /proc/self/cgroup. */
static size_t cgroup_cpus(void)
{
    char group[3072] = "";
    char line[3072];
    size_t least = 0;
    FILE *file = fopen("/proc/self/cgroup", "re");

    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "0::/", 4) == 0) {
            line[strcspn(line, "\n")] = '\0';
            memcpy(group, line + 3, strlen(line + 3) + 1);
        }
    if (file)
        (void)fclose(file);
    for (;;) {
        char *slash = strrchr(group, '/');
        size_t n = group_cpus(group);

        if (n > 0 && (least == 0 || n < least))
            least = n;
        if (!slash)
            return least;
        *slash = '\0';
    }
}

static size_t usable_cpus(void)
{
    size_t n = 1;
    size_t quota = cgroup_cpus();
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        n = (size_t)CPU_COUNT(&set);
    if (quota > 0 && quota < n)
        n = quota;
    return n < COMPUTE_THREADS_MAX ? n : COMPUTE_THREADS_MAX;
}

/* ---- open, close, run ---- */

enum rag_status compute_pool_open(size_t n_threads, struct compute_pool **ret,
                                  struct rag_error *reterr)
{
    size_t n = n_threads ? n_threads : usable_cpus();
    struct compute_pool *pool = NULL;

    if (n > COMPUTE_THREADS_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "compute threads: %zu, at most %d", n,
                        COMPUTE_THREADS_MAX);
    pool = calloc(1, sizeof *pool);
    if (pool)
        pool->threads = calloc(n, sizeof *pool->threads);
    if (!pool || !pool->threads) {
        free(pool);
        return rag_fail(reterr, RAG_ENOMEM, "compute pool: no memory for %zu threads", n);
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->more, NULL);
    pool->n_threads = n;
    for (size_t i = 0; i < n; i++) {
        int failure;

        pool->threads[i] = (struct pool_thread){.pool = pool, .index = i};
        failure = pthread_create(&pool->threads[i].id, NULL, thread_main, &pool->threads[i]);
        if (failure != 0) {
            compute_pool_close(pool);
            return rag_fail_errno(reterr, RAG_EIO, failure, "compute pool: thread %zu of %zu",
                                  i + 1, n);
        }
        pool->n_started++;
    }
    *ret = pool;
    return RAG_OK;
}

void compute_pool_close(struct compute_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    assert(!pool->first);
    pool->closing = true;
    announce(pool, pool->n_threads);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->n_started; i++)
        pthread_join(pool->threads[i].id, NULL);
    pthread_cond_destroy(&pool->more);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool);
}

size_t compute_pool_threads(const struct compute_pool *pool)
{
    return pool ? pool->n_threads : 1;
}

void compute_pool_run_steps(struct compute_pool *pool, size_t n_steps, size_t n_items,
                            void (*work)(void *context, size_t step, size_t item, size_t thread),
                            void *context)
{
    struct run run = {.work = work, .context = context, .n_steps = n_steps, .n_items = n_items};
    struct run **link;

    if (n_steps == 0 || n_items == 0)
        return;
    if (!pool) {
        for (size_t step = 0; step < n_steps; step++)
            for (size_t item = 0; item < n_items; item++)
                work(context, step, item, 0);
        return;
    }
    pthread_cond_init(&run.end, NULL);
    pthread_mutex_lock(&pool->lock);
    for (link = &pool->first; *link; link = &(*link)->next_run)
        ;
    *link = &run;
    announce(pool, n_items);
    while (!run.finished)
        pthread_cond_wait(&run.end, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_destroy(&run.end);
}

struct single_step {
    void (*work)(void *context, size_t item, size_t thread);
    void *context;
};

static void run_single(void *context, size_t step, size_t item, size_t thread)
{
    const struct single_step *single = context;

    (void)step;
    single->work(single->context, item, thread);
}

void compute_pool_run(struct compute_pool *pool, size_t n_items,
                      void (*work)(void *context, size_t item, size_t thread), void *context)
{
    struct single_step single = {work, context};

    compute_pool_run_steps(pool, 1, n_items, run_single, &single);
}
