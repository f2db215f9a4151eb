/* Goal: sixteen threads that ask, put, change documents, invalidate, report, list and clear see
 * whole answers only, of their own scope, and none that was stale when they asked; run it under
 * ThreadSanitizer. Method: an answer's payload is its scope and the version that it cites; versions
 * only grow, so one that is given lies between those before and after the call. */
#include "cache_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/splitmix.h"

#define N_THREADS    16
#define N_STEPS      400
#define N_DOCUMENTS  4
#define N_QUESTIONS  16
#define PAYLOAD_SIZE 2000

/* cmocka's assertions belong to the main thread. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct worker {
    struct cache_test *t;
    unsigned number;
    uint64_t random;
    pthread_t thread;
};

static atomic_uint n_given;

static unsigned below(struct worker *w, unsigned n)
{
    return (unsigned)(splitmix_next(&w->random) % n);
}

static const char *document_name(unsigned i)
{
    static const char *const names[N_DOCUMENTS] = {"a", "b", "c", "d"};

    return names[i];
}

static void read_versions(const struct cache_test *t, const char *name, uint64_t *ret_version,
                          uint64_t *ret_generation)
{
    CHECK(store_document_versions(t->f.store, t->f.collection, &name, 1, ret_version,
                                  ret_generation, NULL) == RAG_OK);
}

/* A question's document is fixed, its text and vector too. */
static void make_question(unsigned i, char text[64], float vector[N_QUESTIONS])
{
    snprintf(text, 64, "대한민국의 수도는 어디인가%.*s", (int)i, "!!!!!!!!!!!!!!!!");
    memset(vector, 0, N_QUESTIONS * sizeof *vector);
    vector[i] = 1;
}

static void put(struct worker *w, const struct cache_key *key, unsigned question,
                const float *vector)
{
    const char *name = document_name(question % N_DOCUMENTS);
    struct cache_meaning meaning = {.vector = vector, .dim = N_QUESTIONS};
    struct cache_document document = {.name = name};
    char payload[PAYLOAD_SIZE];
    uint64_t generation;
    struct cache_put p = {
        .question = key->question,
        .meaning = &meaning,
        .payload = payload,
        .payload_bytes = sizeof payload,
        .documents = &document,
        .n_documents = 1,
    };

    read_versions(w->t, name, &document.version_id, &generation);
    p.generation = generation;
    memset(payload, key->scope[0], sizeof payload);
    memcpy(payload, &document.version_id, sizeof document.version_id);
    CHECK(answer_cache_put(w->t->cache, key, &p, NULL) == RAG_OK);
}

static void check_given(struct worker *w, const struct cache_key *key, unsigned question,
                        uint64_t before, const struct answer_cached *a)
{
    uint64_t generation;
    uint64_t cited;
    uint64_t after;

    read_versions(w->t, document_name(question % N_DOCUMENTS), &after, &generation);
    CHECK(a->payload_bytes == PAYLOAD_SIZE);
    memcpy(&cited, a->payload, sizeof cited);
    CHECK(before <= cited && cited <= after);
    for (size_t i = sizeof cited; i < PAYLOAD_SIZE; i++)
        CHECK(a->payload[i] == (char)key->scope[0]);
    atomic_fetch_add(&n_given, 1);
}

static void ask(struct worker *w)
{
    unsigned question = below(w, N_QUESTIONS);
    float vector[N_QUESTIONS];
    char text[64];
    struct cache_key key;
    struct cache_meaning meaning = {.vector = vector, .dim = N_QUESTIONS};
    enum cache_verdict verdict = CACHE_MISS;
    struct answer_cached a = {0};
    uint64_t generation;
    uint64_t before;

    make_question(question, text, vector);
    key = cache_key_of(w->t->f.collection, (char)('a' + below(w, 2)), 's', text);
    key.request_id = "request";
    read_versions(w->t, document_name(question % N_DOCUMENTS), &before, &generation);
    if (below(w, 2))
        CHECK(answer_cache_find(w->t->cache, &key, &verdict, &a, NULL) == RAG_OK);
    else
        CHECK(answer_cache_find_similar(w->t->cache, &key, &meaning, NULL, &verdict, &a, NULL) ==
              RAG_OK);
    if (verdict == CACHE_RECHECK)
        answer_cache_rechecked(w->t->cache, a.id, a.generation, below(w, 2));
    if (verdict == CACHE_MISS)
        put(w, &key, question, vector);
    else
        check_given(w, &key, question, before, &a);
    answer_cached_release(&a);
}

static void change(struct worker *w)
{
    const char *name = document_name(below(w, N_DOCUMENTS));
    char text[8];

    snprintf(text, sizeof text, "%u", below(w, 10000));
    CHECK(put_text(w->t->f.store, w->t->f.collection, name, text, NULL, NULL, NULL, NULL) ==
          RAG_OK);
    answer_cache_document_changed(w->t->cache, w->t->f.collection, name);
    usleep(2000);
}

static void count(void *context, const struct cache_listed *e)
{
    CHECK(e->id > 0 && strlen(e->question) > 0);
    (*(size_t *)context)++;
}

static void look_around(struct worker *w)
{
    struct cache_view view = {w->t->f.collection, NULL};
    struct answer_cache_stats stats;
    struct cache_hit hit;
    enum rag_status status;
    size_t n = 0;

    CHECK(answer_cache_list(w->t->cache, &view, 1, 10, count, &n, NULL) == RAG_OK && n <= 10);
    answer_cache_stats(w->t->cache, &stats);
    CHECK(stats.n <= w->t->options.entries_max && stats.bytes <= w->t->options.bytes_max);
    (void)answer_cache_threshold(w->t->cache, view.collection_id);
    if (answer_cache_hit(w->t->cache, 0, "request", &hit, NULL) == RAG_OK) {
        status = answer_cache_feedback(w->t->cache, &hit, NULL, below(w, 4) > 0, NULL);
        CHECK(status == RAG_OK || status == RAG_ENOTFOUND);
    }
    if (below(w, 20) == 0)
        CHECK(answer_cache_clear(w->t->cache, view.collection_id, &n, NULL) == RAG_OK);
    usleep(1000);
}

static void *work(void *context)
{
    struct worker *w = context;

    for (unsigned i = 0; i < N_STEPS; i++) {
        if (w->number < 12)
            ask(w);
        else if (w->number < 14 && i < N_STEPS / 4)
            change(w);
        else if (w->number >= 14 && i < N_STEPS / 4)
            look_around(w);
    }
    return NULL;
}

static void many_threads(enum cache_expiry expiry)
{
    struct worker workers[N_THREADS];
    struct cache_test *t = NULL;

    cache_setup((void **)&t);
    t->options.expiry = expiry;
    t->options.entries_max = 24; /* of 32 that are asked for */
    t->options.error_bound = 1;  /* reports end no threshold */
    cache_reopen(t);
    for (unsigned i = 0; i < N_DOCUMENTS; i++)
        put_ok(&t->f, document_name(i), "0");
    atomic_store(&n_given, 0);
    for (unsigned i = 0; i < N_THREADS; i++) {
        workers[i] = (struct worker){.t = t, .number = i, .random = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < N_THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    print_message("%u given\n", atomic_load(&n_given));
    assert_true(atomic_load(&n_given) > 0);
    cache_teardown((void **)&t);
}

static void with_any_change(void **state)
{
    (void)state;
    many_threads(CACHE_EXPIRE_CHANGE);
}

static void with_a_second_look(void **state)
{
    (void)state;
    many_threads(CACHE_EXPIRE_TOP_K);
}

static void with_cited_documents_alone(void **state)
{
    (void)state;
    many_threads(CACHE_EXPIRE_TTL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_any_change),
        cmocka_unit_test(with_a_second_look),
        cmocka_unit_test(with_cited_documents_alone),
    };

    return cmocka_run_group_tests_name("answer_cache_threads", tests, NULL, NULL);
}
