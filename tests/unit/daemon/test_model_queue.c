/* Goal: model_queue.h gives turns as it says: slices are bounded, who asks the same model shares
 * one, questions go before documents and starve nobody, and what fails, is late or is cancelled
 * ends alone. Method: a callback that writes down each slice and waits at a gate, so that what the
 * queue holds when it chooses is known. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "daemon/model_queue.h"

#define LOG_MAX 16384

struct fixture {
    struct model_queue *queue;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    char log[LOG_MAX]; /* "a0+2b0+1 " a slice: requests by letter, first item, items */
    size_t n_slices;
    bool gate_open;
    bool at_gate;
    int slice_ms;
};

struct asker {
    struct fixture *f;
    struct model_request request;
    char letter;
    bool bad;        /* fails wherever it is computed */
    size_t costs;    /* of each item */
    size_t computed; /* items that the callback saw and that were counted */
    enum rag_status status;
    struct rag_error error;
    size_t n_done;
    pthread_t thread;
};

static size_t cost_of(const struct model_request *r, size_t item)
{
    const struct asker *a = r->items;

    (void)item;
    return a->costs;
}

static enum rag_status compute(void *context, const struct model_part *parts, size_t n,
                               const atomic_bool *cancel, struct rag_error *reterr)
{
    struct fixture *f = context;
    enum rag_status status = RAG_OK;
    size_t used;

    (void)cancel;
    pthread_mutex_lock(&f->mutex);
    used = strlen(f->log);
    for (size_t i = 0; i < n; i++) {
        struct asker *a = parts[i].request->items;

        assert_int_equal(parts[i].request->role, parts[0].request->role);
        used += (size_t)snprintf(f->log + used, sizeof f->log - used, "%c%zu+%zu", a->letter,
                                 parts[i].first, parts[i].n);
        if (a->bad)
            status = rag_fail(reterr, RAG_EINVAL, "request %c is bad", a->letter);
    }
    assert_true(used + 2 < sizeof f->log);
    strcpy(f->log + used, " ");
    f->n_slices++;
    f->at_gate = true;
    pthread_cond_broadcast(&f->changed);
    while (!f->gate_open)
        pthread_cond_wait(&f->changed, &f->mutex);
    f->at_gate = false;
    for (size_t i = 0; i < n && status == RAG_OK; i++)
        ((struct asker *)parts[i].request->items)->computed += parts[i].n;
    pthread_mutex_unlock(&f->mutex);
    if (f->slice_ms > 0)
        usleep((useconds_t)f->slice_ms * 1000);
    return status;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct model_queue_options options = {compute, f};

    assert_non_null(f);
    pthread_mutex_init(&f->mutex, NULL);
    pthread_cond_init(&f->changed, NULL);
    assert_int_equal(model_queue_open(&options, &f->queue, NULL), RAG_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    model_queue_close(f->queue);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->mutex);
    free(f);
    return 0;
}

static void gate(struct fixture *f, bool open)
{
    pthread_mutex_lock(&f->mutex);
    f->gate_open = open;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
}

static void *ask(void *context)
{
    struct asker *a = context;

    a->status = model_queue_run(a->f->queue, &a->request, &a->n_done, &a->error);
    return NULL;
}

static struct asker asker(struct fixture *f, char letter, enum model_class work_class, size_t n,
                          size_t costs)
{
    return (struct asker){
        .f = f,
        .letter = letter,
        .costs = costs,
        .request = {.work_class = work_class, .model = f, .n = n, .cost = cost_of},
    };
}

static void start(struct asker *a)
{
    a->request.items = a;
    assert_int_equal(pthread_create(&a->thread, NULL, ask, a), 0);
}

/* Begin to ask, and wait until the queue has it; the gate is closed. */
static void begin(struct asker *a)
{
    struct model_queue_stats before;
    struct model_queue_stats now;

    model_queue_stats(a->f->queue, &before);
    start(a);
    do {
        usleep(1000);
        model_queue_stats(a->f->queue, &now);
    } while (now.n_waiting == before.n_waiting);
}

/* Somebody whose slice stands at the gate, so that the others have to wait. */
static void block(struct fixture *f, struct asker *a)
{
    begin(a);
    pthread_mutex_lock(&f->mutex);
    while (!f->at_gate)
        pthread_cond_wait(&f->changed, &f->mutex);
    pthread_mutex_unlock(&f->mutex);
}

static void end(struct asker *a)
{
    assert_int_equal(pthread_join(a->thread, NULL), 0);
}

static void end_ok(struct asker *a)
{
    end(a);
    if (a->status != RAG_OK)
        fail_msg("request %c: %s", a->letter, a->error.text);
    assert_int_equal(a->n_done, a->request.n);
    assert_int_equal(a->computed, a->request.n);
}

static void who_asks_the_same_shares_a_slice(void **state)
{
    struct fixture *f = *state;
    struct asker x = asker(f, 'x', MODEL_INTERACTIVE, 1, 10);
    struct asker a = asker(f, 'a', MODEL_INTERACTIVE, 2, 10);
    struct asker b = asker(f, 'b', MODEL_INTERACTIVE, 1, 10);
    struct asker c = asker(f, 'c', MODEL_INTERACTIVE, 1, 10); /* of another role */
    struct asker d = asker(f, 'd', MODEL_BULK, 1, 10);        /* would make questions wait */
    struct asker e = asker(f, 'e', MODEL_INTERACTIVE, 1, 10); /* of no model: a rerank */

    c.request.role = 1;
    e.request.model = NULL;
    block(f, &x);
    begin(&a);
    begin(&b);
    begin(&c);
    begin(&d);
    begin(&e);
    gate(f, true);
    end_ok(&x);
    end_ok(&a);
    end_ok(&b);
    end_ok(&c);
    end_ok(&d);
    end_ok(&e);
    assert_string_equal(f->log, "x0+1 a0+2b0+1 c0+1 e0+1 d0+1 ");
}

static void a_long_request_gives_way_after_each_slice(void **state)
{
    struct fixture *f = *state;
    struct asker x = asker(f, 'x', MODEL_INTERACTIVE, 1, 10);
    struct asker a = asker(f, 'a', MODEL_INTERACTIVE, 3, MODELS_SLICE_TOKENS);
    struct asker b = asker(f, 'b', MODEL_INTERACTIVE, 2, MODELS_SLICE_TOKENS);

    a.request.model = b.request.model = NULL;
    block(f, &x);
    begin(&a);
    begin(&b);
    gate(f, true);
    end_ok(&x);
    end_ok(&a);
    end_ok(&b);
    /* b had no turn yet, so it goes first after a's; then they take turns */
    assert_string_equal(f->log, "x0+1 a0+1 b0+1 a1+1 b1+1 a2+1 ");
}

static void questions_go_first_but_documents_have_their_turn(void **state)
{
    struct fixture *f = *state;
    struct asker x = asker(f, 'x', MODEL_INTERACTIVE, 1, 10);
    struct asker d = asker(f, 'd', MODEL_BULK, 1, 10);
    struct asker q[MODELS_PREFERRED_MAX + 3];
    size_t n = sizeof q / sizeof q[0];
    const char *at;
    size_t before = 0;

    block(f, &x);
    begin(&d);
    for (size_t i = 0; i < n; i++) {
        q[i] = asker(f, 'q', MODEL_INTERACTIVE, 1, 10);
        q[i].request.model = NULL; /* each needs a slice of its own */
        begin(&q[i]);
    }
    gate(f, true);
    end_ok(&x);
    end_ok(&d);
    for (size_t i = 0; i < n; i++)
        end_ok(&q[i]);
    at = strchr(f->log, 'd');
    for (const char *p = f->log; p < at; p++)
        before += *p == 'q';
    assert_true(before >= MODELS_PREFERRED_MAX - 1 && before <= MODELS_PREFERRED_MAX);
}

static void slices_follow_the_speed(void **state)
{
    struct fixture *f = *state;
    struct asker a = asker(f, 'a', MODEL_BULK, 4000, 50);
    size_t n_first;

    /* a callback that takes no time: once a slice was not disturbed, the next is the largest */
    gate(f, true);
    start(&a);
    end_ok(&a);
    n_first = strtoul(strchr(f->log, '+') + 1, NULL, 10);
    assert_true(n_first <= 6); /* before anything is measured */
    assert_non_null(strstr(f->log, "+163 "));
    for (const char *p = strchr(f->log, '+'); p; p = strchr(p + 1, '+'))
        assert_true(strtoul(p + 1, NULL, 10) <= MODELS_SLICE_TOKENS / 50);
}

static void one_bad_request_fails_alone(void **state)
{
    struct fixture *f = *state;
    struct asker x = asker(f, 'x', MODEL_INTERACTIVE, 1, 10);
    struct asker a = asker(f, 'a', MODEL_INTERACTIVE, 1, 10);
    struct asker b = asker(f, 'b', MODEL_INTERACTIVE, 1, 10);

    b.bad = true;
    block(f, &x);
    begin(&b);
    begin(&a);
    gate(f, true);
    end_ok(&x);
    end_ok(&a);
    end(&b);
    assert_int_equal(b.status, RAG_EINVAL);
    assert_string_equal(b.error.text, "request b is bad");
}

static void who_waits_may_be_late_or_leave(void **state)
{
    struct fixture *f = *state;
    struct asker x = asker(f, 'x', MODEL_INTERACTIVE, 1, 10);
    struct asker late = asker(f, 'l', MODEL_INTERACTIVE, 1, 10);
    struct asker gone = asker(f, 'g', MODEL_INTERACTIVE, 1, 10);
    atomic_bool cancel = false;

    late.request.deadline_ns = clock_monotonic_ns() + 30000000;
    gone.request.cancel = &cancel;
    block(f, &x);
    start(&late); /* not begin(): on a busy machine it may be gone before anybody looks */
    end(&late);   /* in time, though the slice before it does not end */
    assert_int_equal(late.status, RAG_ETIMEOUT);
    begin(&gone);
    atomic_store(&cancel, true);
    gate(f, true);
    end_ok(&x);
    end(&gone);
    assert_int_equal(gone.status, RAG_ECANCELLED);
    assert_string_equal(f->log, "x0+1 ");
}

static void a_budget_ends_with_what_is_done(void **state)
{
    struct fixture *f = *state;
    struct asker a = asker(f, 'a', MODEL_INTERACTIVE, 1000, 60);

    f->slice_ms = 20;
    a.request.stop_ns = clock_monotonic_ns() + 50000000;
    gate(f, true);
    start(&a);
    end(&a);
    assert_int_equal(a.status, RAG_OK);
    assert_true(a.n_done >= 1 && a.n_done < 1000);
    assert_int_equal(a.n_done, a.computed);
}

static void a_spent_budget_still_has_one_turn(void **state)
{
    struct fixture *f = *state;
    struct asker a = asker(f, 'a', MODEL_INTERACTIVE, 10, 300);

    a.request.stop_ns = 1;
    gate(f, true);
    start(&a);
    end(&a);
    assert_int_equal(a.status, RAG_OK);
    assert_int_equal(a.n_done, 1);
}

static void a_full_queue_refuses(void **state)
{
    static struct asker many[MODELS_QUEUE_MAX - 1];
    struct fixture *f = *state;
    struct asker x = asker(f, 'x', MODEL_INTERACTIVE, 1, 10);
    struct asker late = asker(f, 'l', MODEL_INTERACTIVE, 1, 10);

    block(f, &x);
    for (size_t i = 0; i < MODELS_QUEUE_MAX - 1; i++) {
        many[i] = asker(f, 'm', MODEL_BULK, 1, 1);
        begin(&many[i]);
    }
    late.request.items = &late;
    ask(&late);
    assert_int_equal(late.status, RAG_EBUSY);
    gate(f, true);
    end_ok(&x);
    for (size_t i = 0; i < MODELS_QUEUE_MAX - 1; i++)
        end_ok(&many[i]);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(who_asks_the_same_shares_a_slice),
        TEST(a_long_request_gives_way_after_each_slice),
        TEST(questions_go_first_but_documents_have_their_turn),
        TEST(slices_follow_the_speed),
        TEST(one_bad_request_fails_alone),
        TEST(who_waits_may_be_late_or_leave),
        TEST(a_budget_ends_with_what_is_done),
        TEST(a_spent_budget_still_has_one_turn),
        TEST(a_full_queue_refuses),
    };

    return cmocka_run_group_tests_name("model_queue", tests, NULL, NULL);
}
