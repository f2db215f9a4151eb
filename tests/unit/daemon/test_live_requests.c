/* Goal: the registry shows what is in flight, to each what is theirs, and loses no slot whatever
 * the order in which requests end. Method: begin and end by a script, list after each step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "daemon/live_requests.h"

#define N_SLOTS   3
#define N_THREADS 4
#define N_ROUNDS  20000

static struct live_requests *make(void)
{
    struct rag_error error = {RAG_OK, ""};
    struct live_requests *l = NULL;

    assert_int_equal(live_requests_new(N_SLOTS, &l, &error), RAG_OK);
    return l;
}

static struct live_request *begin(struct live_requests *l, const char *id, const char *principal)
{
    return live_requests_begin(l, id, principal, "POST", "/v1/ask");
}

/* The ids of those in flight, the oldest first, as one text. */
static void check_listed(struct live_requests *l, const char *principal, const char *want)
{
    struct live_view views[N_SLOTS];
    char ids[64] = "";
    size_t n_all = 0;
    size_t n = live_requests_list(l, principal, views, N_SLOTS, &n_all);

    for (size_t i = 0; i < n; i++)
        strcat(ids, views[i].id);
    assert_string_equal(ids, want);
    assert_int_equal(n_all, live_requests_count(l));
}

static void requests_are_listed_until_they_end(void **state)
{
    struct live_requests *l = make();
    struct live_request *a = begin(l, "a", "uid:1");
    struct live_request *b = begin(l, "b", "uid:2");
    struct live_request *c = begin(l, "c", "uid:1");

    (void)state;
    check_listed(l, NULL, "abc");
    check_listed(l, "uid:1", "ac");
    check_listed(l, "uid:3", "");
    live_requests_end(l, b);
    check_listed(l, NULL, "ac");
    live_requests_end(l, c);
    check_listed(l, NULL, "a");
    b = begin(l, "d", "uid:2");
    check_listed(l, NULL, "ad");
    live_requests_end(l, a);
    live_requests_end(l, b);
    check_listed(l, NULL, "");
    live_requests_free(l);
}

static void without_a_slot_a_request_is_merely_not_shown(void **state)
{
    struct live_requests *l = make();
    struct live_request *r[N_SLOTS];

    (void)state;
    for (int i = 0; i < N_SLOTS; i++)
        r[i] = begin(l, "x", "uid:1");
    assert_null(begin(l, "y", "uid:1"));
    assert_null(live_request_stage(NULL));
    live_request_working(NULL);
    live_request_wrote(NULL, 1);
    live_request_collection(l, NULL, "c");
    live_requests_end(l, NULL);
    live_requests_end(l, r[1]);
    assert_non_null(begin(l, "y", "uid:1"));
    check_listed(l, NULL, "xxy");
    live_requests_free(l);
}

static void what_is_known_of_a_request_is_shown(void **state)
{
    struct live_requests *l = make();
    struct live_request *r = begin(l, "a", "uid:1");
    struct live_view v;
    size_t n_all;

    (void)state;
    assert_int_equal(live_requests_list(l, NULL, &v, 1, &n_all), 1);
    assert_int_equal(v.stage, LIVE_QUEUED);
    assert_string_equal(v.collection, "");
    live_request_working(r);
    live_request_collection(l, r, "handbook");
    live_request_wrote(r, 30);
    live_request_wrote(r, 12);
    assert_int_equal(live_requests_list(l, NULL, &v, 1, &n_all), 1);
    assert_int_equal(v.stage, LIVE_WORKING);
    assert_string_equal(v.collection, "handbook");
    assert_int_equal(v.answer_bytes, 42);
    atomic_store(live_request_stage(r), 5);
    assert_int_equal(live_requests_list(l, NULL, &v, 1, &n_all), 1);
    assert_int_equal(v.stage, 5);
    assert_true(v.age_ms >= 0);
    live_requests_end(l, r);
    r = begin(l, "b", "uid:1"); /* the slot remembers nothing */
    assert_int_equal(live_requests_list(l, NULL, &v, 1, &n_all), 1);
    assert_string_equal(v.collection, "");
    assert_int_equal(v.answer_bytes, 0);
    live_requests_end(l, r);
    live_requests_free(l);
}

static void *come_and_go(void *context)
{
    struct live_requests *l = context;

    for (int i = 0; i < N_ROUNDS; i++) {
        struct live_request *r = begin(l, "t", "uid:1");
        struct live_view views[N_SLOTS];
        size_t n_all;

        live_request_working(r);
        live_request_collection(l, r, "c");
        if (i % 16 == 0)
            (void)live_requests_list(l, NULL, views, N_SLOTS, &n_all);
        live_requests_end(l, r);
    }
    return NULL;
}

static void threads_leave_every_slot_free(void **state)
{
    struct live_requests *l = make();
    pthread_t threads[N_THREADS];

    (void)state;
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, l), 0);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(live_requests_count(l), 0);
    for (int i = 0; i < N_SLOTS; i++)
        assert_non_null(begin(l, "x", "uid:1"));
    assert_null(begin(l, "x", "uid:1"));
    live_requests_free(l);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_listed_until_they_end),
        cmocka_unit_test(without_a_slot_a_request_is_merely_not_shown),
        cmocka_unit_test(what_is_known_of_a_request_is_shown),
        cmocka_unit_test(threads_leave_every_slot_free),
    };

    return cmocka_run_group_tests_name("live_requests", tests, NULL, NULL);
}
