/* Goal: a collection has the adapter that was put last, with every byte, until it is taken away or
 * the collection goes; a database of the format before is taken along. Method: rows put, read and
 * deleted through the calls, and a look into the table. */
#include "store_fixture.h"

#include "store/adapters.h"

static const uint8_t weights[] = {0, 60, 255, 0, 7, 0};

static struct store_adapter an_adapter(const char *fingerprint, size_t n_bytes)
{
    return (struct store_adapter){
        .fingerprint = fingerprint,
        .dim = 3,
        .rank = 1,
        .weights = weights,
        .n_bytes = n_bytes,
        .n_pairs = 120,
        .measured = "{\"before\":0.5}",
        .learned_ms = 1700000000123,
    };
}

static void put(struct fixture *f, const char *fingerprint, size_t n_bytes, bool want_replaced)
{
    struct store_adapter a = an_adapter(fingerprint, n_bytes);
    struct rag_error error = {RAG_OK, ""};
    bool replaced = !want_replaced;

    if (store_adapter_put(f->store, f->collection, &a, &replaced, &error) != RAG_OK)
        fail_msg("store_adapter_put: %s", error.text);
    assert_int_equal(replaced, want_replaced);
}

static void assert_has(struct fixture *f, const char *fingerprint, size_t n_bytes)
{
    struct rag_error error = {RAG_OK, ""};
    struct store_adapter a;
    struct arena arena;

    arena_init(&arena, 1u << 20);
    if (store_adapter_get(f->store, f->collection, &arena, &a, &error) != RAG_OK)
        fail_msg("store_adapter_get: %s", error.text);
    assert_string_equal(a.fingerprint, fingerprint);
    assert_int_equal(a.dim, 3);
    assert_int_equal(a.rank, 1);
    assert_int_equal(a.n_bytes, n_bytes);
    assert_memory_equal(a.weights, weights, n_bytes);
    assert_int_equal(a.n_pairs, 120);
    assert_string_equal(a.measured, "{\"before\":0.5}");
    assert_int_equal(a.learned_ms, 1700000000123);
    arena_release(&arena);
}

static void assert_has_none(struct fixture *f)
{
    struct store_adapter a;
    struct arena arena;

    arena_init(&arena, 1u << 20);
    assert_int_equal(store_adapter_get(f->store, f->collection, &arena, &a, NULL), RAG_ENOTFOUND);
    arena_release(&arena);
}

static void the_last_one_stays(void **state)
{
    struct fixture *f = *state;

    assert_has_none(f);
    put(f, "one", 6, false);
    put(f, "two", 4, true);
    assert_has(f, "two", 4);
    store_close(f->store);
    f->store = open_store(f->dir);
    assert_has(f, "two", 4);
}

static void one_is_taken_away_by_name_or_whichever_it_is(void **state)
{
    struct fixture *f = *state;
    struct rag_error error;

    put(f, "one", 6, false);
    assert_int_equal(store_adapter_delete(f->store, f->collection, "two", &error), RAG_ENOTFOUND);
    assert_has(f, "one", 6);
    assert_int_equal(store_adapter_delete(f->store, f->collection, "one", &error), RAG_OK);
    assert_has_none(f);
    put(f, "one", 6, false);
    assert_int_equal(store_adapter_delete(f->store, f->collection, NULL, &error), RAG_OK);
    assert_int_equal(store_adapter_delete(f->store, f->collection, NULL, &error), RAG_ENOTFOUND);
}

static void it_goes_with_its_collection(void **state)
{
    struct fixture *f = *state;
    struct store_adapter a = an_adapter("one", 6);
    uint64_t change = 0;
    bool replaced;

    put(f, "one", 6, false);
    assert_int_equal(store_collection_delete(f->store, "books", "uid:1", &change, NULL), RAG_OK);
    assert_has_none(f);
    assert_int_equal(store_adapter_put(f->store, f->collection, &a, &replaced, NULL),
                     RAG_ENOTFOUND);
}

static void a_database_of_the_format_before_is_taken_along(void **state)
{
    struct fixture *f = *state;

    store_close(f->store);
    run_sql(f->dir, "ragd.db", "DROP TABLE adapters; PRAGMA user_version=2");
    f->store = open_store(f->dir);
    assert_has_none(f);
    put(f, "one", 6, false);
    assert_has(f, "one", 6);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(the_last_one_stays),
        TEST(one_is_taken_away_by_name_or_whichever_it_is),
        TEST(it_goes_with_its_collection),
        TEST(a_database_of_the_format_before_is_taken_along),
    };

    return cmocka_run_group_tests_name("adapters", tests, NULL, NULL);
}
