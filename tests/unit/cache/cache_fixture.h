/* What the tests of the answer cache share: a store with collections and documents of a few
 * letters, a cache on it, and questions whose vectors are chosen. */
#ifndef RAG_TESTS_CACHE_FIXTURE_H
#define RAG_TESTS_CACHE_FIXTURE_H

#include "../store/store_fixture.h"

#include "cache/answer_cache.h"

#define CACHE_DIM 4

struct cache_test {
    struct fixture f;
    struct analyzer *analyzer;
    struct answer_cache *cache;
    struct answer_cache_options options;
    char path[96];
};

static inline void cache_open(struct cache_test *t)
{
    struct rag_error error = {RAG_OK, ""};
    char why[256];

    if (answer_cache_open(&t->options, &t->cache, why, &error) != RAG_OK)
        fail_msg("answer_cache_open: %s", error.text);
}

static inline void cache_reopen(struct cache_test *t)
{
    answer_cache_close(t->cache);
    cache_open(t);
}

static inline int cache_setup(void **state)
{
    struct cache_test *t = calloc(1, sizeof *t);

    assert_non_null(t);
    /* thousands of commits, of which none has to outlive the machine: in memory where there is
     * such a place */
    strcpy(t->f.dir, "/dev/shm/ragd-cache-XXXXXX");
    if (!mkdtemp(t->f.dir))
        make_dir(t->f.dir);
    t->f.store = open_store(t->f.dir);
    t->f.collection = make_collection(t->f.store, "books");
    assert_int_equal(analyzer_open(&(struct analyzer_options){NULL}, &t->analyzer, NULL), RAG_OK);
    snprintf(t->path, sizeof t->path, "%s/cache.db", t->f.dir);
    t->options = (struct answer_cache_options){
        .path = t->path,
        .store = t->f.store,
        .analyzer = t->analyzer,
        .entries_max = 100,
        .bytes_max = 4u << 20,
        .expiry = CACHE_EXPIRE_CHANGE,
        .threshold = 0.8,
        .error_bound = 0.02,
    };
    cache_open(t);
    *state = t;
    return 0;
}

static inline int cache_teardown(void **state)
{
    struct cache_test *t = *state;

    answer_cache_close(t->cache);
    analyzer_close(t->analyzer);
    store_close(t->f.store);
    remove_tree(t->f.dir);
    free(t);
    return 0;
}

/* Scope and settings are digests; here a letter each. */
static inline struct cache_key cache_key_of(int64_t collection, char scope, char settings,
                                            const char *question)
{
    struct cache_key key = {.collection_id = collection, .question = question};

    memset(key.scope, scope, sizeof key.scope);
    memset(key.settings, settings, sizeof key.settings);
    return key;
}

static inline struct cache_key key_of(const struct cache_test *t, const char *question)
{
    return cache_key_of(t->f.collection, 'u', 's', question);
}

static inline uint64_t generation_of(const struct cache_test *t)
{
    uint64_t generation = 0;

    assert_int_equal(
        store_document_versions(t->f.store, t->f.collection, NULL, 0, NULL, &generation, NULL),
        RAG_OK);
    return generation;
}

/* The version of a document that is there. */
static inline uint64_t version_of(const struct cache_test *t, const char *name)
{
    uint64_t generation = 0;
    uint64_t version = 0;

    assert_int_equal(
        store_document_versions(t->f.store, t->f.collection, &name, 1, &version, &generation, NULL),
        RAG_OK);
    assert_true(version > 0);
    return version;
}

/* An answer made now from documents "x,y" (each once); "" cites none. */
struct answer {
    const char *documents;
    const float *vector; /* or NULL: not found by another question */
    const char *payload; /* NULL: "answer" */
    bool refused;
};

static inline void put_answer(const struct cache_test *t, const struct cache_key *key,
                              const struct answer *a)
{
    struct cache_meaning meaning = {.vector = a->vector, .dim = CACHE_DIM};
    struct cache_document documents[8];
    static const uint64_t chunks[] = {3, 1, 2};
    char names[8][32];
    char copy[128];
    char *rest = copy;
    char *name;
    struct cache_put put = {
        .question = key->question,
        .meaning = a->vector ? &meaning : NULL,
        .payload = a->payload ? a->payload : "answer",
        .refused = a->refused,
        .generation = generation_of(t),
        .documents = documents,
        .chunks = chunks,
        .n_chunks = COUNT(chunks),
        .cost_ms = 100,
    };

    put.payload_bytes = strlen(put.payload);
    snprintf(copy, sizeof copy, "%s", a->documents);
    while (*a->documents && (name = strsep(&rest, ",")) != NULL) {
        snprintf(names[put.n_documents], sizeof names[0], "%s", name);
        documents[put.n_documents] =
            (struct cache_document){names[put.n_documents], version_of(t, name)};
        put.n_documents++;
    }
    assert_int_equal(answer_cache_put(t->cache, key, &put, NULL), RAG_OK);
}

static inline enum cache_verdict find(const struct cache_test *t, const struct cache_key *key,
                                      struct answer_cached *ret)
{
    enum cache_verdict verdict = CACHE_MISS;

    assert_int_equal(answer_cache_find(t->cache, key, &verdict, ret, NULL), RAG_OK);
    return verdict;
}

/* The verdict alone. */
static inline enum cache_verdict look(const struct cache_test *t, const struct cache_key *key)
{
    struct answer_cached a = {0};
    enum cache_verdict verdict = find(t, key, &a);

    answer_cached_release(&a);
    return verdict;
}

#endif
