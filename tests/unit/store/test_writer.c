/* Goal: jobs share commits without sharing failures; the queue has an end; nothing waits for ever.
 * Method: a table of one column, and a job that holds the writer until it is let go. */
#include "store_fixture.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "store/writer.h"

struct bench {
    char dir[64];
    char path[96];
    struct database db;
    struct writer *writer;
    unsigned n_committed; /* by the writer thread */
    unsigned idle_left;
    atomic_uint n_idle;
};

static void on_committed(void *context, struct database *db)
{
    struct bench *b = context;

    (void)db;
    b->n_committed++;
}

static enum rag_status on_idle(void *context, struct database *db, bool *ret_more)
{
    struct bench *b = context;

    (void)db;
    b->n_idle++;
    if (b->idle_left > 0)
        b->idle_left--;
    *ret_more = b->idle_left > 0;
    return RAG_OK;
}

static int setup(void **state)
{
    static const char *const schema[] = {"CREATE TABLE t(x INTEGER UNIQUE)"};
    struct bench *b = calloc(1, sizeof *b);
    struct rag_error error = {RAG_OK, ""};

    assert_non_null(b);
    make_dir(b->dir);
    snprintf(b->path, sizeof b->path, "%s/t.db", b->dir);
    assert_int_equal(database_open(b->path, true, &b->db, &error), RAG_OK);
    assert_int_equal(database_migrate(&b->db, 1, schema, 1, &error), RAG_OK);
    b->idle_left = 5;
    assert_int_equal(writer_start(&(struct writer_options){&b->db, 4, on_committed, on_idle, b},
                                  &b->writer, &error),
                     RAG_OK);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;

    writer_stop(b->writer);
    database_close(&b->db);
    remove_tree(b->dir);
    free(b);
    return 0;
}

static enum rag_status insert(struct database *db, void *context, struct rag_error *reterr)
{
    return database_run_for(db, "INSERT INTO t VALUES(?1)", *(int64_t *)context, reterr);
}

static enum rag_status insert_and_fail(struct database *db, void *context, struct rag_error *reterr)
{
    enum rag_status status = insert(db, context, reterr);

    return status == RAG_OK ? rag_fail(reterr, RAG_EINVAL, "job: fails on purpose") : status;
}

struct gate {
    sem_t entered;
    sem_t open;
};

static enum rag_status hold(struct database *db, void *context, struct rag_error *reterr)
{
    struct gate *gate = context;

    (void)db;
    (void)reterr;
    sem_post(&gate->entered);
    sem_wait(&gate->open);
    return RAG_OK;
}

struct call {
    struct writer *writer;
    write_fn run;
    void *context;
    bool go_on;
    enum rag_status status;
    struct rag_error error;
    pthread_t thread;
};

static void *make_call(void *context)
{
    struct call *c = context;

    c->status = c->go_on ? writer_go_on(c->writer, c->run, c->context, &c->error)
                         : writer_do(c->writer, c->run, c->context, &c->error);
    return NULL;
}

static void start_call(struct call *c)
{
    assert_int_equal(pthread_create(&c->thread, NULL, make_call, c), 0);
}

static void wait_queued(struct writer *writer, size_t n)
{
    struct writer_stats stats;

    for (int i = 0; i < 20000; i++) {
        writer_stats(writer, &stats);
        if (stats.queue_length == n)
            return;
        usleep(1000);
    }
    fail_msg("%zu jobs are queued, not %zu", stats.queue_length, n);
}

/* Three jobs behind one that holds the writer, the second of which fails. The commits of all four.
 */
static uint64_t share_a_group(struct bench *b, const int64_t first)
{
    int64_t values[] = {first, first + 1, first + 2};
    struct writer_stats before;
    struct writer_stats after;
    struct call calls[4];
    struct gate gate;

    sem_init(&gate.entered, 0, 0);
    sem_init(&gate.open, 0, 0);
    writer_stats(b->writer, &before);
    calls[0] = (struct call){.writer = b->writer, .run = hold, .context = &gate};
    start_call(&calls[0]);
    sem_wait(&gate.entered);
    for (size_t i = 1; i < 4; i++) {
        calls[i] = (struct call){.writer = b->writer,
                                 .run = i == 2 ? insert_and_fail : insert,
                                 .context = &values[i - 1]};
        start_call(&calls[i]);
        wait_queued(b->writer, i);
    }
    sem_post(&gate.open);
    for (size_t i = 0; i < 4; i++)
        pthread_join(calls[i].thread, NULL);
    assert_int_equal(calls[1].status, RAG_OK);
    assert_int_equal(calls[2].status, RAG_EINVAL);
    assert_string_equal(calls[2].error.text, "job: fails on purpose");
    assert_int_equal(calls[3].status, RAG_OK);
    writer_stats(b->writer, &after);
    assert_int_equal(after.n_writes - before.n_writes, 4);
    assert_int_equal(query_number(b->dir, "t.db", "SELECT count(*) FROM t"), 2);
    assert_int_equal(query_number(b->dir, "t.db", "SELECT sum(x) FROM t"), 2 * first + 2);
    sem_destroy(&gate.entered);
    sem_destroy(&gate.open);
    return after.n_commits - before.n_commits;
}

static enum rag_status empty(struct database *db, void *context, struct rag_error *reterr)
{
    (void)context;
    return database_exec(db, "DELETE FROM t", reterr);
}

static void one_group_one_commit_and_own_failures(void **state)
{
    struct bench *b = *state;
    uint64_t n_commits = share_a_group(b, 1);

    /* Two at most: the held job's, when it lasted longer than a group does, and that of the others.
     * Where the writer had no processor for WRITE_GROUP_MS in their midst, it rightly begins a new
     * group: then it is tried again. */
    for (int64_t round = 1; n_commits > 2 && round < 100; round++) {
        assert_int_equal(writer_do(b->writer, empty, NULL, NULL), RAG_OK);
        n_commits = share_a_group(b, 1 + 10 * round);
    }
    assert_in_range(n_commits, 1, 2);
}

static void a_full_queue_refuses_and_work_begun_waits(void **state)
{
    struct bench *b = *state;
    int64_t values[] = {1, 2, 3, 4, 5, 6};
    struct call calls[6];
    struct rag_error error;
    struct gate gate;

    sem_init(&gate.entered, 0, 0);
    sem_init(&gate.open, 0, 0);
    calls[0] = (struct call){.writer = b->writer, .run = hold, .context = &gate};
    start_call(&calls[0]);
    sem_wait(&gate.entered);
    for (size_t i = 1; i < 5; i++) {
        calls[i] = (struct call){.writer = b->writer, .run = insert, .context = &values[i]};
        start_call(&calls[i]);
        wait_queued(b->writer, i);
    }
    assert_int_equal(writer_do(b->writer, insert, &values[0], &error), RAG_EBUSY);
    assert_non_null(strstr(error.text, "4 writes are waiting, the limit is 4"));
    calls[5] =
        (struct call){.writer = b->writer, .run = insert, .context = &values[5], .go_on = true};
    start_call(&calls[5]);
    wait_queued(b->writer, 5);
    sem_post(&gate.open);
    for (size_t i = 0; i < 6; i++) {
        pthread_join(calls[i].thread, NULL);
        assert_int_equal(calls[i].status, RAG_OK);
    }
    assert_int_equal(query_number(b->dir, "t.db", "SELECT count(*) FROM t"), 5);
    sem_destroy(&gate.entered);
    sem_destroy(&gate.open);
}

static void a_constraint_fails_only_its_job(void **state)
{
    struct bench *b = *state;
    int64_t value = 7;
    struct rag_error error;

    assert_int_equal(writer_do(b->writer, insert, &value, &error), RAG_OK);
    assert_int_not_equal(writer_do(b->writer, insert, &value, &error), RAG_OK);
    assert_non_null(strstr(error.text, "t.db"));
    value = 8;
    assert_int_equal(writer_do(b->writer, insert, &value, &error), RAG_OK);
}

/* The connection is the writer's thread's alone. */
static enum rag_status limit_pages(struct database *db, void *context, struct rag_error *reterr)
{
    return database_exec(db, context, reterr);
}

static void no_room_fails_the_write_and_room_mends_it(void **state)
{
    static char few[] = "PRAGMA max_page_count=8";
    static char many[] = "PRAGMA max_page_count=1000000";
    struct bench *b = *state;
    int64_t n_good = 0;
    struct rag_error error;
    int64_t i;

    assert_int_equal(writer_do(b->writer, limit_pages, few, &error), RAG_OK);
    for (i = 0; i < 5000; i++) {
        enum rag_status status = writer_do(b->writer, insert, &i, &error);

        if (status != RAG_OK) {
            assert_int_equal(status, RAG_ENOSPC);
            break;
        }
        n_good++;
    }
    assert_true(n_good > 0 && n_good < 5000);
    assert_int_equal(query_number(b->dir, "t.db", "SELECT count(*) FROM t"), n_good);
    assert_int_equal(writer_do(b->writer, limit_pages, many, &error), RAG_OK);
    assert_int_equal(writer_do(b->writer, insert, &i, &error), RAG_OK);
    assert_int_equal(query_number(b->dir, "t.db", "SELECT count(*) FROM t"), n_good + 1);
}

static void idle_work_is_done_to_its_end(void **state)
{
    struct bench *b = *state;

    for (int ms = 0; atomic_load(&b->n_idle) < 5; ms++) {
        assert_true(ms < 20000);
        usleep(1000);
    }
    writer_stop(b->writer);
    b->writer = NULL;
    assert_int_equal(atomic_load(&b->n_idle), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_group_one_commit_and_own_failures, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_queue_refuses_and_work_begun_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(a_constraint_fails_only_its_job, setup, teardown),
        cmocka_unit_test_setup_teardown(no_room_fails_the_write_and_room_mends_it, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_work_is_done_to_its_end, setup, teardown),
    };

    return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
