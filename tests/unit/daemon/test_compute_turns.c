/* Goal: compute_turns.h lets a question's slices go before the decoder's next layer, and never both
 * at once; documents have a turn now and then, and the decoder is not starved. Method: the
 * decoder's thread writes down each of its layers and the queue's each of its slices, 'L', 'q' or
 * 'b'; the test says who comes when. No clocks. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "daemon/compute_turns.h"

#define LOG_MAX 32768

struct fixture {
    struct compute_turns *turns;
    char log[LOG_MAX];
    atomic_size_t n_log;
    atomic_int n_inside;
    size_t n_layers;   /* of the decoder's run, at least */
    bool until_served; /* it goes on until all slices had their turn */
    size_t n_slices;   /* of the queue */
    bool bulk;         /* they are of documents */
    size_t come_after; /* layers, then the queue's request comes */
    atomic_size_t n_served;
    pthread_t queue;
};

static void enter(struct fixture *f, char who)
{
    assert_int_equal(atomic_fetch_add(&f->n_inside, 1), 0);
    f->log[atomic_fetch_add(&f->n_log, 1)] = who;
}

static void leave(struct fixture *f)
{
    atomic_fetch_sub(&f->n_inside, 1);
}

static void *run_slices(void *context)
{
    struct fixture *f = context;

    for (size_t i = 0; i < f->n_slices; i++) {
        compute_turns_begin_slice(f->turns, f->bulk);
        enter(f, f->bulk ? 'b' : 'q');
        leave(f);
        compute_turns_end_slice(f->turns);
        atomic_fetch_add(&f->n_served, 1);
    }
    if (!f->bulk)
        compute_turns_leave(f->turns);
    return NULL;
}

/* The decoder's run, on this thread; after come_after layers the queue has something to do. */
static void run_layers(struct fixture *f)
{
    const struct timespec pause = {0, 1000000};

    for (size_t i = 0;
         i < f->n_layers || (f->until_served && atomic_load(&f->n_served) < f->n_slices); i++) {
        assert_true(atomic_load(&f->n_log) < LOG_MAX - 100); /* half a minute of pauses */
        compute_turns_begin_layer(f->turns);
        enter(f, 'L');
        if (i + 1 == f->come_after) {
            if (!f->bulk)
                compute_turns_enter(f->turns);
            assert_int_equal(pthread_create(&f->queue, NULL, run_slices, f), 0);
        }
        leave(f);
        if (f->bulk) /* a slice of documents is seen when its thread has come to wait */
            nanosleep(&pause, NULL);
    }
    compute_turns_end_run(f->turns);
    pthread_join(f->queue, NULL);
    f->log[f->n_log] = '\0';
}

static void run(struct fixture *f, int64_t bulk_ns)
{
    assert_int_equal(compute_turns_open(bulk_ns, &f->turns, NULL), RAG_OK);
    run_layers(f);
    compute_turns_close(f->turns);
}

static void test_a_question_goes_before_the_next_layer(void **state)
{
    struct fixture f = {.n_layers = 6, .n_slices = 3, .come_after = 2};

    (void)state;
    run(&f, 0);
    assert_string_equal(f.log, "LLqqqLLLL");
}

static void test_endless_questions_leave_the_decoder_a_layer_now_and_then(void **state)
{
    struct fixture f = {.n_layers = 4, .n_slices = 3 * MODELS_PREFERRED_MAX, .come_after = 1};
    size_t n_between = 0;

    (void)state;
    run(&f, 0);
    for (size_t i = 1; f.log[i] != '\0'; i++) {
        n_between = f.log[i] == 'L' ? 0 : n_between + 1;
        assert_true(n_between <= MODELS_PREFERRED_MAX);
    }
    assert_int_equal(strlen(f.log), 4 + 3 * MODELS_PREFERRED_MAX);
    assert_true(strrchr(f.log, 'L') > strchr(f.log, 'q'));
}

static void test_documents_have_one_slice_at_a_time(void **state)
{
    struct fixture f = {
        .n_layers = 60, .until_served = true, .n_slices = 3, .come_after = 1, .bulk = true};
    size_t n_slices = 0;

    (void)state;
    run(&f, 0); /* due at once */
    assert_null(strstr(f.log, "bb"));
    for (const char *at = f.log; (at = strchr(at, 'b')) != NULL; at++)
        n_slices++;
    assert_int_equal(n_slices, 3); /* while the decoder was at it */
}

static void test_documents_wait_while_the_decoder_is_at_it(void **state)
{
    struct fixture f = {.n_layers = 20, .n_slices = 3, .come_after = 1, .bulk = true};

    (void)state;
    run(&f, INT64_MAX); /* never due */
    assert_string_equal(f.log, "LLLLLLLLLLLLLLLLLLLLbbb");
}

static void test_without_a_decoder_slices_wait_for_nobody(void **state)
{
    struct fixture f = {.n_slices = 4};

    (void)state;
    assert_int_equal(compute_turns_open(0, &f.turns, NULL), RAG_OK);
    compute_turns_enter(f.turns);
    run_slices(&f);
    f.bulk = true;
    run_slices(&f);
    f.log[f.n_log] = '\0';
    assert_string_equal(f.log, "qqqqbbbb");
    compute_turns_close(f.turns);
}

/* ---- a question that comes while both wait for each other ---- */

struct crowd {
    struct compute_turns *turns;
    atomic_bool stop;
    atomic_size_t n_slices;
};

static void *decode_on_and_on(void *context)
{
    struct crowd *c = context;

    while (!atomic_load(&c->stop)) {
        compute_turns_begin_layer(c->turns);
        compute_turns_begin_layer(c->turns);
        compute_turns_end_run(c->turns);
    }
    return NULL;
}

static void *embed_on_and_on(void *context)
{
    struct crowd *c = context;

    while (!atomic_load(&c->stop)) {
        compute_turns_begin_slice(c->turns, true);
        compute_turns_end_slice(c->turns);
        atomic_fetch_add(&c->n_slices, 1);
    }
    return NULL;
}

/* The decoder may have been told to wait for the slice that just ended, and the next slice that it
 * is the decoder's turn: then a question makes it the slice's, and has to say so. */
static void test_a_question_wakes_whom_it_lets_go_first(void **state)
{
    const struct timespec pause = {0, 20000};
    struct crowd c = {.turns = NULL};
    pthread_t decoder, queue;
    bool served = true;

    (void)state;
    assert_int_equal(compute_turns_open(0, &c.turns, NULL), RAG_OK);
    assert_int_equal(pthread_create(&decoder, NULL, decode_on_and_on, &c), 0);
    assert_int_equal(pthread_create(&queue, NULL, embed_on_and_on, &c), 0);
    for (size_t i = 0; i < 4000 && served; i++) {
        size_t before = atomic_load(&c.n_slices);

        compute_turns_enter(c.turns);
        for (size_t waits = 0; atomic_load(&c.n_slices) == before && waits < 100000; waits++)
            nanosleep(&pause, NULL);
        served = atomic_load(&c.n_slices) != before;
        compute_turns_leave(c.turns);
    }
    atomic_store(&c.stop, true);
    pthread_join(queue, NULL);
    pthread_join(decoder, NULL);
    compute_turns_close(c.turns);
    assert_true(served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_question_goes_before_the_next_layer),
        cmocka_unit_test(test_endless_questions_leave_the_decoder_a_layer_now_and_then),
        cmocka_unit_test(test_documents_have_one_slice_at_a_time),
        cmocka_unit_test(test_documents_wait_while_the_decoder_is_at_it),
        cmocka_unit_test(test_without_a_decoder_slices_wait_for_nobody),
        cmocka_unit_test(test_a_question_wakes_whom_it_lets_go_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
