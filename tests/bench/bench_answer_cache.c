/* bench_answer_cache - what a lookup costs in the cache itself: the check in the store included,
 * without HTTP, embedding and audit.
 *
 *   bench_answer_cache DIR [N]    DIR: an empty folder for the databases; N entries (10000)
 *
 * The entries lie in one partition, which is the worst case; half of them by vectors of 384, half
 * by terms. The last line is JSON, times in microseconds. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/splitmix.h"
#include "bench_measure.h"
#include "cache/answer_cache.h"

#define DIM       384
#define N_CITED   3
#define N_LOOKUPS 2000
#define N_TERMS   12

static void need(enum rag_status status, const struct rag_error *error, const char *what)
{
    if (status == RAG_OK)
        return;
    fprintf(stderr, "bench_answer_cache: %s: %s\n", what, error->text);
    exit(1);
}

static void put_documents(struct store *store, int64_t collection, struct cache_document *ret)
{
    static const char *const names[N_CITED] = {"a", "b", "c"};
    struct rag_error error = {RAG_OK, ""};

    for (size_t i = 0; i < N_CITED; i++) {
        struct store_chunk chunk = {.heading = "", .context = "", .byte_end = 4};
        uint8_t source[SHA256_BYTES] = {(uint8_t)i};
        struct store_put_result result;
        uint64_t id;

        chunk.hash[0] = (uint8_t)i;
        need(store_document_put(store,
                                &(struct store_put){.collection_id = collection,
                                                    .name = names[i],
                                                    .title = "",
                                                    .mime = "text/plain",
                                                    .metadata = "{}",
                                                    .source_hash = source,
                                                    .text = "text",
                                                    .text_bytes = 4,
                                                    .chunks = &chunk,
                                                    .n_chunks = 1,
                                                    .principal = "uid:1"},
                                &id, &result, &error),
             &error, "document");
        ret[i] = (struct cache_document){names[i], result.version_id};
    }
}

/* Question i, as a vector or as terms; some terms are shared by many, most by few. */
struct question {
    char text[64];
    float vector[DIM];
    struct term terms[N_TERMS];
    float idf[N_TERMS];
    struct term_list list;
    struct cache_meaning meaning;
};

static int by_id(const void *a, const void *b)
{
    const struct term *x = a;
    const struct term *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static void make_question(size_t i, bool terms, struct question *ret)
{
    uint64_t state = i * 977 + 1;
    double length = 0;

    memset(ret, 0, sizeof *ret);
    snprintf(ret->text, sizeof ret->text, "질문 %zu은 무엇인가", i);
    for (size_t d = 0; d < DIM; d++) {
        ret->vector[d] = (float)((double)(splitmix_next(&state) >> 40) / 8388608.0 - 1);
        length += (double)ret->vector[d] * (double)ret->vector[d];
    }
    for (size_t d = 0; d < DIM; d++)
        ret->vector[d] /= (float)__builtin_sqrt(length);
    for (size_t t = 0; t < N_TERMS; t++) {
        uint64_t kind = t < 3 ? splitmix_next(&state) % 50 : splitmix_next(&state) % 20000 + 50;

        kind = kind * N_TERMS + t; /* distinct within the question */
        ret->terms[t] = (struct term){.id = splitmix_next(&kind), .weight = 1};
        ret->idf[t] = t < 3 ? 3 : 7;
    }
    qsort(ret->terms, N_TERMS, sizeof ret->terms[0], by_id);
    ret->list = (struct term_list){ret->terms, N_TERMS, N_TERMS};
    ret->meaning = terms ? (struct cache_meaning){.terms = &ret->list, .idf = ret->idf}
                         : (struct cache_meaning){.vector = ret->vector, .dim = DIM};
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double p50_us(int64_t *times)
{
    qsort(times, N_LOOKUPS, sizeof *times, by_time);
    return (double)times[N_LOOKUPS / 2] / 1000;
}

static double measure(struct answer_cache *cache, struct cache_key *key, size_t n, bool similar,
                      bool terms)
{
    static int64_t times[N_LOOKUPS];
    struct rag_error error = {RAG_OK, ""};
    struct question q;

    for (size_t i = 0; i < N_LOOKUPS; i++) {
        size_t which = i * 7919 % (n / 2) * 2 + terms;
        enum cache_verdict verdict = CACHE_MISS;
        struct answer_cached a = {0};
        char again[80];
        int64_t begun;

        make_question(which, terms, &q);
        snprintf(again, sizeof again, "%s 인가", q.text);
        key->question = similar ? again : q.text;
        begun = clock_monotonic_ns();
        if (similar)
            need(answer_cache_find_similar(cache, key, &q.meaning, NULL, &verdict, &a, &error),
                 &error, "find");
        else
            need(answer_cache_find(cache, key, &verdict, &a, &error), &error, "find");
        times[i] = clock_monotonic_ns() - begun;
        if (!similar && verdict != CACHE_HIT)
            need(RAG_ENOTFOUND, &error, "a question that was put is not found");
        answer_cached_release(&a);
    }
    return p50_us(times);
}

int main(int argc, char **argv)
{
    struct rag_error error = {RAG_OK, ""};
    size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000;
    struct cache_document cited[N_CITED];
    struct cache_key key = {.scope = "u", .settings = "s"};
    struct answer_cache *cache = NULL;
    struct analyzer *analyzer = NULL;
    struct store *store = NULL;
    double exact, by_vector, by_terms;
    struct answer_cache_stats stats;
    char payload[3000];
    struct question q;
    char path[4096];
    bool created;

    if (argc < 2 || n < 2) {
        fprintf(stderr, "usage: bench_answer_cache DIR [N]\n");
        return 2;
    }
    need(analyzer_open(&(struct analyzer_options){NULL}, &analyzer, &error), &error, "analyzer");
    need(store_open(&(struct store_options){.state_dir = argv[1]}, &store, &error), &error,
         "store");
    need(store_collection_put(store, "c", "{}", "", &key.collection_id, &created, &error), &error,
         "collection");
    put_documents(store, key.collection_id, cited);
    snprintf(path, sizeof path, "%s/cache.db", argv[1]);
    need(answer_cache_open(&(struct answer_cache_options){.path = path,
                                                          .store = store,
                                                          .analyzer = analyzer,
                                                          .entries_max = n,
                                                          .bytes_max = (size_t)1 << 30,
                                                          .threshold = 0.85,
                                                          .error_bound = 0.01},
                           &cache, NULL, &error),
         &error, "cache");
    memset(payload, 'p', sizeof payload);
    for (size_t i = 0; i < n; i++) {
        make_question(i, i % 2, &q);
        key.question = q.text;
        need(answer_cache_put(cache, &key,
                              &(struct cache_put){.question = q.text,
                                                  .meaning = &q.meaning,
                                                  .payload = payload,
                                                  .payload_bytes = sizeof payload,
                                                  .generation = N_CITED,
                                                  .documents = cited,
                                                  .n_documents = N_CITED,
                                                  .cost_ms = 1},
                              &error),
             &error, "put");
    }
    exact = measure(cache, &key, n, false, false);
    by_vector = measure(cache, &key, n, true, false);
    by_terms = measure(cache, &key, n, true, true);
    answer_cache_stats(cache, &stats);
    printf("%zu entries, %.0f bytes each; %llu similar ones given, %llu not confirmed\n", stats.n,
           (double)stats.bytes / (double)stats.n, (unsigned long long)stats.semantic_hits,
           (unsigned long long)stats.unconfirmed);
    printf("{\"bench\":\"answer_cache\",\"entries\":%zu,\"exact_p50_us\":%.1f,"
           "\"by_vector_p50_us\":%.1f,\"by_terms_p50_us\":%.1f}\n",
           stats.n, exact, by_vector, by_terms);
    answer_cache_close(cache);
    store_close(store);
    analyzer_close(analyzer);
    return 0;
}
