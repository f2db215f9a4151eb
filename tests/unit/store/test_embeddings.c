/* Goal: embeddings are found under the chunk and model that they belong to, live as long as their
 * chunk, and never without it; a database of the format before is taken along. Method: documents
 * of letters ("abc": three chunks), vectors that tell their letter, and a look into the tables. */
#include "store_fixture.h"

#include <signal.h>
#include <sys/resource.h>

#include "store/embeddings.h"

#define DIM 4

static int64_t embedder(struct fixture *f, const char *fingerprint)
{
    struct rag_error error = {RAG_OK, ""};
    int64_t id = 0;

    if (store_embedder_register(f->store, fingerprint, "/models/one", "{}", DIM, &id, &error) !=
        RAG_OK)
        fail_msg("store_embedder_register: %s", error.text);
    return id;
}

/* A vector whose first number is 'x'; all are exact in float16. */
static void put_vectors(struct fixture *f, int64_t embedder_id, const uint64_t *ids, size_t n,
                        float x)
{
    struct rag_error error = {RAG_OK, ""};
    float *vectors = calloc(n + 1, DIM * sizeof *vectors);

    assert_non_null(vectors);
    for (size_t i = 0; i < n; i++) {
        vectors[i * DIM] = x;
        vectors[i * DIM + 1] = (float)i;
        vectors[i * DIM + 3] = -0.5f;
    }
    if (store_embeddings_put(f->store, embedder_id, ids, vectors, DIM, n, &error) != RAG_OK)
        fail_msg("store_embeddings_put: %s", error.text);
    free(vectors);
}

static void put_ids(struct fixture *f, const char *name, const char *text, uint64_t *ids)
{
    struct rag_error error = {RAG_OK, ""};

    if (put_text(f->store, f->collection, name, text, NULL, ids, NULL, &error) != RAG_OK)
        fail_msg("put '%s': %s", name, error.text);
}

static void assert_counts(struct fixture *f, int64_t embedder_id, uint64_t embedded, uint64_t all)
{
    uint64_t n_embedded = 99;
    uint64_t n_chunks = 99;

    assert_int_equal(
        store_embeddings_count(f->store, f->collection, embedder_id, &n_embedded, &n_chunks, NULL),
        RAG_OK);
    assert_int_equal(n_embedded, embedded);
    assert_int_equal(n_chunks, all);
}

static void a_fingerprint_is_one_embedder(void **state)
{
    struct fixture *f = *state;
    struct store_embedder *list = NULL;
    struct rag_error error = {RAG_OK, ""};
    int64_t first = embedder(f, "aaaa");
    int64_t second = embedder(f, "bbbb");
    struct arena arena;
    int64_t again = 0;
    size_t n = 0;

    arena_init(&arena, 1u << 20);
    assert_int_not_equal(first, second);
    assert_int_equal(
        store_embedder_register(f->store, "aaaa", "/models/moved", "{\"x\":1}", DIM, &again, NULL),
        RAG_OK);
    assert_int_equal(again, first);
    assert_int_equal(store_embedder_register(f->store, "aaaa", "/d", "{}", DIM + 1, &again, &error),
                     RAG_EFORMAT);
    assert_string_equal(strstr(error.text, "is known"), "is known with 4 dimensions, not 5");
    assert_int_equal(store_embedder_list(f->store, &arena, &list, &n, NULL), RAG_OK);
    assert_int_equal(n, 2);
    assert_string_equal(list[0].fingerprint, "aaaa");
    assert_string_equal(list[0].dir, "/models/moved"); /* the failed one changed nothing */
    assert_string_equal(list[0].settings, "{\"x\":1}");
    assert_int_equal(list[1].dim, DIM);
    arena_release(&arena);
}

/* First numbers of the vectors of n <= 3 chunks; 0 where there is none. */
struct firsts {
    float x[3];
};

static struct firsts firsts(struct fixture *f, int64_t embedder_id, const uint64_t *ids, size_t n)
{
    struct rag_error error = {RAG_OK, ""};
    float vectors[3 * DIM] = {0};
    bool found[3] = {false};
    struct firsts ret = {{0}};

    if (store_embeddings_get(f->store, embedder_id, ids, n, DIM, vectors, found, &error) != RAG_OK)
        fail_msg("store_embeddings_get: %s", error.text);
    for (size_t i = 0; i < n; i++) {
        if (found[i])
            assert_true(vectors[i * DIM + 3] == -0.5f);
        ret.x[i] = found[i] ? vectors[i * DIM] : 0;
    }
    return ret;
}

static void vectors_come_back_by_chunk_and_model(void **state)
{
    struct fixture *f = *state;
    int64_t one = embedder(f, "one");
    int64_t two = embedder(f, "two");
    uint64_t ids[3];
    uint64_t asked[3];
    struct firsts x;

    put_ids(f, "d", "abc", ids);
    put_vectors(f, one, ids, 3, 1.0f);
    put_vectors(f, two, ids + 1, 1, 2.0f);
    put_vectors(f, one, ids + 2, 1, 3.0f); /* once more: the new one counts */
    x = firsts(f, one, ids, 3);
    assert_true(x.x[0] == 1.0f && x.x[1] == 1.0f && x.x[2] == 3.0f);
    asked[0] = ids[2];
    asked[1] = ids[2] + 1000;
    asked[2] = ids[1];
    x = firsts(f, two, asked, 3);
    assert_true(x.x[0] == 0.0f && x.x[1] == 0.0f && x.x[2] == 2.0f);
    assert_counts(f, one, 3, 3);
    assert_counts(f, two, 1, 3);
}

static void vectors_die_with_their_last_owner(void **state)
{
    struct fixture *f = *state;
    int64_t one = embedder(f, "one");
    uint64_t ids[3];
    uint64_t other[3];

    put_ids(f, "d", "abc", ids);
    put_ids(f, "e", "cx", other);
    assert_int_equal(other[0], ids[2]); /* the same content is the same chunk */
    put_vectors(f, one, ids, 3, 1.0f);
    delete_ok(f, "d");
    assert_counts(f, one, 1, 2); /* invisible at once */
    wait_reclaimed(f->dir);
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM embeddings"), 1);
    put_vectors(f, one, ids, 3, 2.0f); /* two of them are gone: left out */
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM embeddings"), 1);
    assert_true(firsts(f, one, ids, 3).x[2] == 2.0f);
    fixture_reopen(f);
    assert_true(firsts(f, one, ids, 3).x[2] == 2.0f);
    assert_counts(f, one, 1, 2);
}

static void a_deleted_collection_takes_its_vectors_along(void **state)
{
    struct fixture *f = *state;
    int64_t one = embedder(f, "one");
    char text[1201];
    uint64_t change;
    uint64_t ids[1200];

    /* more than a slice of reclaiming, over several documents */
    for (int i = 0; i < 4; i++) {
        char name[8];

        snprintf(name, sizeof name, "d%d", i);
        for (int k = 0; k < 20; k++)
            text[k] = (char)(' ' + 1 + i * 20 + k);
        text[20] = '\0';
        put_ids(f, name, text, ids + (size_t)i * 20);
    }
    put_vectors(f, one, ids, 80, 1.0f);
    assert_counts(f, one, 80, 80);
    assert_int_equal(store_collection_delete(f->store, "books", "uid:1", &change, NULL), RAG_OK);
    assert_counts(f, one, 0, 0);
    wait_reclaimed(f->dir);
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM embeddings"), 0);
}

static void dropping_a_model_forgets_it_when_nothing_is_left(void **state)
{
    struct fixture *f = *state;
    int64_t shelf = make_collection(f->store, "shelf");
    int64_t one = embedder(f, "one");
    int64_t two = embedder(f, "two");
    struct rag_error error = {RAG_OK, ""};
    uint64_t ids[3];
    uint64_t other[1];
    float vector[DIM] = {1, 0, 0, 0};

    put_ids(f, "d", "abc", ids);
    assert_int_equal(put_text(f->store, shelf, "e", "a", NULL, other, NULL, NULL), RAG_OK);
    put_vectors(f, one, ids, 3, 1.0f);
    put_vectors(f, one, other, 1, 1.0f);
    put_vectors(f, two, ids, 3, 2.0f);
    assert_int_equal(store_embeddings_drop(f->store, f->collection, one, &error), RAG_OK);
    assert_counts(f, one, 0, 3);
    assert_counts(f, two, 3, 3);
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM embedders"), 2);
    assert_int_equal(store_embeddings_drop(f->store, shelf, one, &error), RAG_OK);
    assert_int_equal(query_number(f->dir, "ragd.db", "SELECT count(*) FROM embedders"), 1);
    assert_int_equal(store_embeddings_put(f->store, one, ids, vector, DIM, 1, &error), RAG_EINVAL);
    assert_int_equal(store_embeddings_put(f->store, two, ids, vector, DIM - 1, 1, &error),
                     RAG_EINVAL);
}

static void a_vector_of_another_size_is_damage(void **state)
{
    struct fixture *f = *state;
    struct rag_error error = {RAG_OK, ""};
    int64_t one = embedder(f, "one");
    float vector[DIM];
    uint64_t ids[1];
    bool found;

    put_ids(f, "d", "a", ids);
    put_vectors(f, one, ids, 1, 1.0f);
    run_sql(f->dir, "ragd.db", "UPDATE embeddings SET vector=x'0011'");
    assert_int_equal(store_embeddings_get(f->store, one, ids, 1, DIM, vector, &found, &error),
                     RAG_EFORMAT);
    assert_non_null(strstr(error.text, "has 2 bytes, expected 8"));
}

static void a_database_of_the_format_before_is_taken_along(void **state)
{
    struct fixture *f = *state;
    int64_t one;
    uint64_t ids[2];

    put_ids(f, "d", "ab", ids);
    store_close(f->store);
    run_sql(f->dir, "ragd.db",
            "DROP TABLE adapters; DROP TABLE embeddings; DROP TABLE embedders;"
            "DROP INDEX chunks_collection;"
            "PRAGMA user_version=1");
    f->store = open_store(f->dir);
    one = embedder(f, "one");
    put_vectors(f, one, ids, 2, 1.0f);
    assert_counts(f, one, 2, 2);
}

static void a_known_embedder_needs_no_room_on_the_disk(void **state)
{
    struct fixture *f = *state;
    struct rlimit none = {1, RLIM_INFINITY};
    struct rlimit any = {RLIM_INFINITY, RLIM_INFINITY};
    struct rag_error error = {RAG_OK, ""};
    int64_t one = embedder(f, "one");
    int64_t again = 0;
    enum rag_status status;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    status = store_embedder_register(f->store, "two", "/models/two", "{}", DIM, &again, &error);
    (void)store_embedder_register(f->store, "one", "/models/one", "{}", DIM, &again, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &any), 0);
    assert_int_equal(status, RAG_ENOSPC);
    assert_int_equal(again, one);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_fingerprint_is_one_embedder),
        TEST(vectors_come_back_by_chunk_and_model),
        TEST(vectors_die_with_their_last_owner),
        TEST(a_deleted_collection_takes_its_vectors_along),
        TEST(dropping_a_model_forgets_it_when_nothing_is_left),
        TEST(a_vector_of_another_size_is_damage),
        TEST(a_known_embedder_needs_no_room_on_the_disk),
        TEST(a_database_of_the_format_before_is_taken_along),
    };

    return cmocka_run_group_tests_name("embeddings", tests, NULL, NULL);
}
