/* Goal: what is encoded is decoded, at every bit width and length; every kernel of this CPU
 * gives the bits of the portable one; bounds of blocks hold for every posting, however the
 * average length changes.
 * Method: random blocks with a chosen spread of gaps and tf, and their extremes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "retrieve/bm25_index.h"

#define WINDOW 8192u

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1Dull;
}

static uint32_t below(uint64_t *state, uint64_t n)
{
    return (uint32_t)((next_random(state) >> 11) % n);
}

static void check_block(const uint32_t *docs, const uint16_t *tfs, uint32_t n, uint32_t base)
{
    /* block 0 only carries the base: a full one that ends just before it */
    struct bm25_block blocks[2] = {{.last = base - 1}};
    uint32_t words[BM25_BLOCK_WORDS_MAX + 2] = {0};
    uint32_t got[BM25_BLOCK];
    uint32_t got_tfs[BM25_BLOCK];
    uint32_t i_block = base ? 1 : 0;
    size_t n_words = bm25_block_encode(docs, tfs, n, base, &blocks[i_block], words);
    struct bm25_list list = {
        .n = i_block * BM25_BLOCK + n, .n_blocks = i_block + 1, .blocks = blocks, .words = words};

    assert_true(n_words <= BM25_BLOCK_WORDS_MAX);
    assert_int_equal(n_words,
                     bm25_block_words(n, blocks[i_block].doc_bits, blocks[i_block].tf_bits));
    assert_int_equal(blocks[i_block].last, docs[n - 1]);
    assert_int_equal(bm25_block_decode(&list, i_block, got, got_tfs), n);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(got[i], docs[i]);
        assert_int_equal(got_tfs[i], tfs[i]);
    }
}

static void decodes_what_was_encoded(void **state)
{
    uint64_t seed = 99;

    (void)state;
    for (uint32_t bits = 0; bits <= 24; bits++) {
        for (uint32_t tf_bits = 0; tf_bits <= 12; tf_bits++) {
            for (int round = 0; round < 6; round++) {
                uint32_t n = round < 3 ? BM25_BLOCK : 1 + below(&seed, BM25_BLOCK - 1);
                uint32_t base = round % 2 ? below(&seed, 1000) + 1 : 0;
                uint32_t docs[BM25_BLOCK];
                uint16_t tfs[BM25_BLOCK];
                uint32_t doc = base;

                for (uint32_t i = 0; i < n; i++) {
                    doc += below(&seed, 1ull << bits);
                    docs[i] = doc++;
                    tfs[i] = (uint16_t)(1 + below(&seed, 1ull << tf_bits));
                    if (tfs[i] > BM25_TF_MAX)
                        tfs[i] = BM25_TF_MAX;
                    if (round == 2)
                        tfs[i] = 8; /* single occurrences */
                }
                check_block(docs, tfs, n, base);
            }
        }
    }
}

static void decodes_the_widest_gap(void **state)
{
    uint32_t docs[BM25_BLOCK];
    uint16_t tfs[BM25_BLOCK];

    (void)state;
    for (uint32_t i = 0; i < BM25_BLOCK; i++) {
        docs[i] = i < 5 ? i : UINT32_MAX - 200 + i;
        tfs[i] = i % 2 ? BM25_TF_MAX : 1;
    }
    check_block(docs, tfs, BM25_BLOCK, 0);
    check_block(docs, tfs, 7, 0);
    check_block(&docs[127], tfs, 1, 0);
}

static void kernels_agree(void **state)
{
    static uint32_t lengths[3 * WINDOW];
    static int32_t want[WINDOW], got[WINDOW];
    static uint32_t want_at[WINDOW], got_at[WINDOW];
    static int32_t want_found[WINDOW], got_found[WINDOW];
    const struct bm25_kernels *portable = NULL;
    uint64_t seed = 5;

    (void)state;
    for (size_t v = 0; bm25_kernels_variant(v); v++)
        portable = bm25_kernels_variant(v);
    assert_string_equal(portable->name, "portable");
    for (size_t i = 0; i < 3 * WINDOW; i++)
        lengths[i] = below(&seed, 10) ? below(&seed, 20000) : below(&seed, BM25_LENGTH_MAX);
    for (size_t v = 0; bm25_kernels_variant(v); v++) {
        const struct bm25_kernels *kernels = bm25_kernels_variant(v);

        for (int round = 0; round < 400; round++) {
            struct bm25_norm norm = {(float)below(&seed, 1000) / 100.0f,
                                     (float)below(&seed, 1000) / 100000.0f};
            uint32_t first = WINDOW * below(&seed, 3);
            uint32_t docs[BM25_BLOCK];
            uint32_t tfs[BM25_BLOCK];
            float coef = (float)(1 + below(&seed, 1 << 20));
            uint32_t doc = first;
            uint32_t n = 0;
            int32_t cut;
            size_t n_want;

            while (n < BM25_BLOCK && (doc += below(&seed, 130)) < first + WINDOW) {
                docs[n] = doc++;
                tfs[n++] = below(&seed, 3) ? 8 : 1 + below(&seed, BM25_TF_MAX);
            }
            n = below(&seed, n + 1);
            portable->accumulate(docs, tfs, n, lengths, norm, coef, first, want);
            kernels->accumulate(docs, tfs, n, lengths, norm, coef, first, got);
            assert_memory_equal(want, got, sizeof want);
            if (round % 3)
                continue; /* let the scores pile up */
            cut = 1 + (int32_t)below(&seed, 1 + (uint32_t)coef);
            n_want = portable->collect(want, WINDOW, cut, want_at, want_found);
            assert_int_equal(kernels->collect(got, WINDOW, cut, got_at, got_found), n_want);
            assert_memory_equal(want_at, got_at, n_want * sizeof *want_at);
            assert_memory_equal(want_found, got_found, n_want * sizeof *want_found);
            for (size_t i = 0; i < WINDOW; i++)
                assert_int_equal(got[i] | want[i], 0);
        }
        memset(want, 0, sizeof want);
        memset(got, 0, sizeof got);
    }
}

static void bounds_hold_at_any_average(void **state)
{
    static uint32_t lengths[60000];
    static uint64_t ids[60000];
    static uint32_t docs[60000];
    static uint16_t tfs[60000];
    uint64_t seed = 17;

    (void)state;
    for (int round = 0; round < 40; round++) {
        uint32_t n_docs = 200 + below(&seed, 3000);
        uint32_t n = 0;
        struct bm25_writer w;
        struct bm25_segment *s;
        struct bm25_list list;

        for (uint32_t d = 0; d < n_docs; d++) {
            ids[d] = d;
            lengths[d] = below(&seed, 20) ? below(&seed, 4000) : below(&seed, 400000);
            if (below(&seed, 3) == 0)
                continue;
            docs[n] = d;
            tfs[n++] = (uint16_t)(1 + below(&seed, below(&seed, 50) ? 40 : BM25_TF_MAX));
        }
        bm25_writer_init(&w, lengths, n_docs);
        assert_int_equal(bm25_writer_add(&w, 1, docs, tfs, n), RAG_OK);
        assert_int_equal(bm25_writer_finish(&w, ids, n_docs, &s), RAG_OK);
        bm25_writer_release(&w);
        assert_int_equal(
            bm25_segment_check(s, s->shape.lists_bytes - BM25_LIST_PAD, NULL, NULL, NULL), RAG_OK);
        bm25_segment_list(s, 0, &list);
        for (int i = 0; i < 20; i++) {
            float k1_units = (float)below(&seed, 4000) / 100.0f;
            float b = (float)below(&seed, 101) / 100.0f;
            struct bm25_norm norm = {k1_units * (1 - b),
                                     k1_units * b / (float)(1 + below(&seed, 5000))};
            float coef = (float)(1 + below(&seed, BM25_SCORE_MAX - 100));

            for (uint32_t j = 0; j < n; j++) {
                const struct bm25_block *block = &list.blocks[j / BM25_BLOCK];
                int32_t part = bm25_part(tfs[j], lengths[docs[j]], norm, coef);

                assert_true(part <= bm25_part_bound(block->tf[0], block->len[0], norm, coef) ||
                            part <= bm25_part_bound(block->tf[1], block->len[1], norm, coef));
            }
        }
        bm25_segment_unref(s);
    }
}

static void runs_add_up(void **state)
{
    uint64_t terms[] = {9, 3, 9, 7, 3, 1, UINT64_MAX};
    int64_t deltas[] = {-1, 2, -1, 5, -2, 4, -6};
    uint64_t more_terms[] = {7, 8, 1};
    int64_t more_deltas[] = {-5, 3, 1};
    struct bm25_run *a, *b, *joined;

    (void)state;
    assert_int_equal(bm25_run_new(terms, deltas, 7, &a), RAG_OK);
    assert_int_equal(a->n, 4); /* 3 cancelled itself */
    assert_int_equal(bm25_run_delta(a, 9), -2);
    assert_int_equal(bm25_run_delta(a, 3), 0);
    assert_int_equal(bm25_run_delta(a, UINT64_MAX), -6);
    assert_int_equal(bm25_run_new(more_terms, more_deltas, 3, &b), RAG_OK);
    assert_int_equal(bm25_run_join(a, b, &joined), RAG_OK);
    assert_int_equal(joined->n, 4); /* 1, 8, 9, 2^64 - 1 */
    assert_int_equal(bm25_run_delta(joined, 1), 5);
    assert_int_equal(bm25_run_delta(joined, 7), 0);
    assert_int_equal(bm25_run_delta(joined, 8), 3);
    bm25_run_unref(a);
    bm25_run_unref(b);
    bm25_run_unref(joined);
}

static void owners_are_kept_through_removals(void **state)
{
    struct bm25_owners owners = {0};
    static uint32_t want[500];
    uint64_t seed = 3;

    (void)state;
    assert_int_equal(bm25_owners_get(&owners, 5), 1);
    for (int round = 0; round < 20000; round++) {
        uint32_t i = below(&seed, 500);
        uint32_t n = below(&seed, 3) ? 2 + below(&seed, 5) : below(&seed, 2);

        assert_int_equal(bm25_owners_reserve(&owners, 1), RAG_OK);
        bm25_owners_set(&owners, i * 64, n);
        want[i] = n > 1 ? n : 0;
        i = below(&seed, 500);
        assert_int_equal(bm25_owners_get(&owners, i * 64), want[i] ? want[i] : 1);
    }
    for (uint32_t i = 0; i < 500; i++)
        assert_int_equal(bm25_owners_get(&owners, i * 64), want[i] ? want[i] : 1);
    free(owners.slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_what_was_encoded),
        cmocka_unit_test(decodes_the_widest_gap),
        cmocka_unit_test(kernels_agree),
        cmocka_unit_test(bounds_hold_at_any_average),
        cmocka_unit_test(runs_add_up),
        cmocka_unit_test(owners_are_kept_through_removals),
    };

    return cmocka_run_group_tests_name("bm25_codec", tests, NULL, NULL);
}
