/* Goal: searches, changes, merges and saves at the same time are free of races, and a
 * search sees a batch entirely or not at all.
 * Method: one thread applies batches that each replace a whole generation of passages (all
 * of them hold one term), others search and count; a third kind saves and compacts. A
 * search that met half a batch would find another number than one generation has. Run
 * under ThreadSanitizer this shows data races too. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bounds.h"
#include "retrieve/bm25.h"

#define GENERATION  40u
#define GENERATIONS 300u
#define COMMON_TERM 9u

static const struct bm25_options options = {.k1 = BM25_K1_DEFAULT, .b = BM25_B_DEFAULT};

struct shared {
    struct bm25 *index;
    atomic_bool done;
    atomic_uint n_wrong;
    atomic_uint n_searches;
};

static uint32_t postings_of(uint64_t id, struct bm25_posting ret[4])
{
    ret[0] = (struct bm25_posting){COMMON_TERM, 8};
    ret[1] = (struct bm25_posting){1000 + id % 50, 8};
    ret[2] = (struct bm25_posting){(id + 1) * 0x9E3779B97F4A7C15ull, 16};
    ret[3] = (struct bm25_posting){2000 + id % 3, 24};
    return 4;
}

static void *change(void *context)
{
    struct shared *s = context;

    for (uint64_t g = 0; g < GENERATIONS; g++) {
        struct bm25_batch *batch;

        if (bm25_batch_new(&batch) != RAG_OK)
            break;
        for (uint64_t i = 0; i < GENERATION; i++) {
            struct bm25_posting postings[4];
            uint64_t id = g * GENERATION + i;
            uint32_t n = postings_of(id, postings);

            (void)bm25_batch_add(batch, id, postings, n, 56);
            if (g == 0)
                continue;
            n = postings_of(id - GENERATION, postings);
            (void)bm25_batch_remove(batch, id - GENERATION, i % 2 ? postings : NULL, i % 2 ? n : 0);
        }
        if (bm25_apply(s->index, batch, g + 1, NULL) != RAG_OK)
            atomic_fetch_add(&s->n_wrong, 1);
        bm25_batch_free(batch);
    }
    atomic_store(&s->done, true);
    return NULL;
}

static void *search(void *context)
{
    struct shared *s = context;
    struct bm25_query_term terms[] = {
        {COMMON_TERM, 1.0f},
        {2001,        0.5f}
    };
    struct bm25_hit hits[2 * GENERATION];
    uint64_t last = 0;

    while (!atomic_load(&s->done)) {
        size_t n = 0;

        if (bm25_search(s->index, terms, 2, NULL, 2 * GENERATION, hits, &n, NULL) != RAG_OK ||
            (n != GENERATION && (n != 0 || last != 0)))
            atomic_fetch_add(&s->n_wrong, 1);
        for (size_t i = 1; i < n; i++)
            if (hits[i].passage_id / GENERATION != hits[0].passage_id / GENERATION)
                atomic_fetch_add(&s->n_wrong, 1);
        if (n && hits[0].passage_id / GENERATION < last)
            atomic_fetch_add(&s->n_wrong, 1); /* time went back */
        last = n ? hits[0].passage_id / GENERATION : last;
        atomic_fetch_add(&s->n_searches, 1);
    }
    return NULL;
}

static void count(void *context, uint64_t id, uint32_t n_owners)
{
    (void)id;
    *(uint64_t *)context += n_owners;
}

static void *look_and_save(void *context)
{
    struct shared *s = context;
    char path[64];

    snprintf(path, sizeof path, "/tmp/test_bm25_threads-%ld", (long)getpid());
    while (!atomic_load(&s->done)) {
        struct bm25 *loaded = NULL;
        struct bm25_stats stats;
        uint64_t n = 0;

        bm25_stats(s->index, &stats);
        if (stats.n_segments > BM25_SEGMENTS_MAX)
            atomic_fetch_add(&s->n_wrong, 1);
        if (bm25_each(s->index, count, &n) != RAG_OK || (n != 0 && n != GENERATION))
            atomic_fetch_add(&s->n_wrong, 1);
        if (bm25_save(s->index, path, "", NULL) != RAG_OK ||
            bm25_load(path, "", &options, &loaded, NULL) != RAG_OK)
            atomic_fetch_add(&s->n_wrong, 1);
        if (loaded)
            bm25_stats(loaded, &stats);
        if (loaded && stats.n_passages != 0 && stats.n_passages != GENERATION)
            atomic_fetch_add(&s->n_wrong, 1);
        bm25_free(loaded);
        if (n % 3 == 0 && bm25_compact(s->index, NULL) != RAG_OK)
            atomic_fetch_add(&s->n_wrong, 1);
    }
    unlink(path);
    return NULL;
}

static void batches_are_seen_whole(void **state)
{
    struct shared s = {.index = NULL};
    void *(*const mains[])(void *) = {change, search, search, look_and_save};
    pthread_t threads[4];
    struct bm25_stats stats;

    (void)state;
    assert_int_equal(bm25_new(&options, &s.index), RAG_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, mains[i], &s), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&s.n_wrong), 0);
    bm25_stats(s.index, &stats);
    assert_int_equal(stats.n_passages, GENERATION);
    assert_int_equal(stats.change, GENERATIONS);
    bm25_free(s.index);
}

/* Enough passages that merges go to the background, which must not lose or double any
 * while passages in the merging segments are removed. */
static void background_merges_lose_nothing(void **state)
{
    struct bm25 *index;
    struct bm25_query_term term = {COMMON_TERM, 1.0f};
    struct bm25_stats stats;
    static struct bm25_hit hits[40000];
    size_t n = 0;
    uint64_t id = 0;

    (void)state;
    assert_int_equal(bm25_new(&options, &index), RAG_OK);
    for (uint64_t round = 0; round < 30; round++) {
        struct bm25_batch *batch;

        assert_int_equal(bm25_batch_new(&batch), RAG_OK);
        for (int i = 0; i < 1200; i++) {
            struct bm25_posting postings[30];
            uint32_t n_postings = postings_of(id, postings);

            while (n_postings < 30) {
                postings[n_postings] = (struct bm25_posting){5000 + n_postings * 7 + id % 7, 8};
                n_postings++;
            }
            assert_int_equal(bm25_batch_add(batch, id++, postings, n_postings, 240), RAG_OK);
        }
        for (uint64_t i = 0; round && i < 100; i++)
            assert_int_equal(bm25_batch_remove(batch, round * 1200 - 1 - i * 7, NULL, 0), RAG_OK);
        assert_int_equal(bm25_apply(index, batch, round + 1, NULL), RAG_OK);
        bm25_batch_free(batch);
        bm25_stats(index, &stats);
        assert_int_equal(stats.n_passages, id - round * 100);
    }
    assert_int_equal(bm25_search(index, &term, 1, NULL, 40000, hits, &n, NULL), RAG_OK);
    assert_int_equal(n, 30 * 1200 - 29 * 100);
    assert_int_equal(bm25_compact(index, NULL), RAG_OK);
    assert_int_equal(bm25_search(index, &term, 1, NULL, 40000, hits, &n, NULL), RAG_OK);
    assert_int_equal(n, 30 * 1200 - 29 * 100);
    bm25_stats(index, &stats);
    assert_int_equal(stats.n_tombstones, 0);
    assert_int_equal(stats.n_segments, 1);
    bm25_free(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_are_seen_whole),
        cmocka_unit_test(background_merges_lose_nothing),
    };

    return cmocka_run_group_tests_name("bm25_threads", tests, NULL, NULL);
}
