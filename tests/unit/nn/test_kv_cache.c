/* Goal: equal beginnings share pages, everything else does not, whatever the hashes; the budget is
 * never passed; what is shared is never written. Method: every position of a page carries a mark
 * of its token and of the tokens before it, which stands for keys and values; sequences are grown,
 * cut and closed in random order and compared with plain arrays of tokens. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/splitmix.h"
#include "nn/kv_cache.h"

#define N_LAYERS   3
#define LAYER_PAGE (KV_PAGE_TOKENS * sizeof(uint64_t))
#define PAGE       (N_LAYERS * LAYER_PAGE)
#define T          KV_PAGE_TOKENS
#define TOKENS_MAX 1024

static struct kv_cache *open_cache(size_t n_pages)
{
    const struct kv_cache_options options = {
        .n_layers = N_LAYERS,
        .layer_page_bytes = LAYER_PAGE,
        .budget_bytes = n_pages * PAGE + PAGE / 2,
        .hash_key = 42,
    };
    struct kv_cache *c = NULL;

    assert_int_equal(kv_cache_open(&options, &c, NULL), RAG_OK);
    return c;
}

/* A sequence and what it should hold. */
struct copy {
    struct kv_sequence *s;
    uint32_t ids[TOKENS_MAX];
    size_t n;
};

static uint64_t mark_of(const uint32_t *ids, size_t i, size_t layer)
{
    uint64_t state = layer + 1;

    for (size_t j = 0; j <= i; j++) {
        state ^= ids[j];
        state = splitmix_next(&state);
    }
    return state;
}

static void open_copy(struct kv_cache *c, struct copy *copy, const uint32_t *ids, size_t n)
{
    assert_int_equal(kv_sequence_open(c, ids, n, &copy->s, NULL), RAG_OK);
    copy->n = kv_sequence_length(copy->s);
    memcpy(copy->ids, ids, copy->n * sizeof *ids);
}

/* Append n ids, computed as far as the cache has room. */
static enum rag_status append(struct copy *copy, const uint32_t *ids, size_t n)
{
    enum rag_status status = kv_sequence_reserve(copy->s, n, NULL);

    if (status != RAG_OK)
        return status;
    memcpy(copy->ids + copy->n, ids, n * sizeof *ids);
    for (size_t layer = 0; layer < N_LAYERS; layer++) {
        unsigned char *const *pages = kv_sequence_pages(copy->s, layer);

        for (size_t i = copy->n; i < copy->n + n; i++) {
            uint64_t mark = mark_of(copy->ids, i, layer);

            memcpy(pages[i / T] + i % T * sizeof mark, &mark, sizeof mark);
        }
    }
    kv_sequence_commit(copy->s, ids, n);
    copy->n += n;
    return RAG_OK;
}

static void cut(struct copy *copy, size_t n)
{
    kv_sequence_truncate(copy->s, n);
    copy->n = n;
}

static void check(const struct copy *copy)
{
    assert_int_equal(kv_sequence_length(copy->s), copy->n);
    for (size_t layer = 0; copy->n > 0 && layer < N_LAYERS; layer++) {
        unsigned char *const *pages = kv_sequence_pages(copy->s, layer);

        for (size_t i = 0; i < copy->n; i++) {
            uint64_t mark;

            memcpy(&mark, pages[i / T] + i % T * sizeof mark, sizeof mark);
            assert_true(mark == mark_of(copy->ids, i, layer));
        }
    }
}

static void close_copy(struct copy *copy)
{
    kv_sequence_close(copy->s);
    copy->s = NULL;
    copy->n = 0;
}

static struct kv_cache_stats stats_of(const struct kv_cache *c)
{
    struct kv_cache_stats stats;

    kv_cache_stats(c, &stats);
    return stats;
}

static void fill(uint32_t *ids, size_t n, uint32_t first)
{
    for (size_t i = 0; i < n; i++)
        ids[i] = first + (uint32_t)i;
}

static void a_beginning_is_shared_in_whole_pages(void **state)
{
    static const struct {
        const char *name;
        size_t n;        /* tokens of the second sequence */
        size_t n_equal;  /* of them as the first one's 100 */
        size_t n_shared; /* expected */
    } rows[] = {
        {"nothing asked for",                     0,   0,   0    },
        {"less than a page",                      31,  31,  0    },
        {"a page, whose last token is computed",  32,  32,  0    },
        {"a page and a token",                    33,  33,  32   },
        {"three pages, the last token computed",  96,  96,  64   },
        {"all that is known",                     100, 100, 96   },
        {"another first token",                   100, 0,   0    },
        {"another last token of the second page", 100, 63,  32   },
        {"longer than the first one",             200, 100, 3 * T},
    };
    struct kv_cache *c = open_cache(16);
    struct copy first;
    uint32_t ids[TOKENS_MAX];

    (void)state;
    fill(ids, 100, 7);
    open_copy(c, &first, ids, 100);
    assert_int_equal(first.n, 0);
    assert_int_equal(append(&first, ids, 100), RAG_OK);
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        uint64_t reused = stats_of(c).n_reused;
        struct copy second;

        fill(ids, rows[r].n, 7);
        fill(ids + rows[r].n_equal, rows[r].n - rows[r].n_equal, 9000);
        open_copy(c, &second, ids, rows[r].n);
        if (second.n != rows[r].n_shared)
            fail_msg("%s: %zu shared, expected %zu", rows[r].name, second.n, rows[r].n_shared);
        check(&second);
        assert_int_equal(stats_of(c).n_reused - reused, rows[r].n_shared);
        assert_int_equal(append(&second, ids + second.n, rows[r].n - second.n), RAG_OK);
        check(&second);
        check(&first);
        close_copy(&second);
    }
    close_copy(&first);
    open_copy(c, &first, ids, 0);
    close_copy(&first);
    kv_cache_close(c);
}

static void two_that_compute_the_same_end_with_the_same_pages(void **state)
{
    struct kv_cache *c = open_cache(8);
    uint32_t ids[2 * T + 5];
    struct copy a;
    struct copy b;

    (void)state;
    fill(ids, 2 * T + 5, 1);
    open_copy(c, &a, ids, 2 * T + 5);
    open_copy(c, &b, ids, 2 * T + 5);
    assert_int_equal(append(&a, ids, 2 * T + 5), RAG_OK);
    assert_int_equal(append(&b, ids, T + 1), RAG_OK);
    assert_int_equal(append(&b, ids + T + 1, T + 4), RAG_OK);
    check(&a);
    check(&b);
    assert_ptr_equal(kv_sequence_pages(a.s, 1)[1], kv_sequence_pages(b.s, 1)[1]);
    assert_int_equal(stats_of(c).used_bytes, 4 * PAGE); /* two shared, two ends */
    close_copy(&a);
    close_copy(&b);
    assert_int_equal(stats_of(c).used_bytes, 0);
    assert_int_equal(stats_of(c).held_bytes, 2 * PAGE);
    kv_cache_close(c);
}

/* 64 pages in at most 32 buckets: at least half of them collide, and differ in one id only. */
static void pages_of_one_bucket_are_told_apart_by_their_ids(void **state)
{
    struct kv_cache *c = open_cache(64);
    uint32_t ids[T + 1];
    struct copy copy;

    (void)state;
    for (size_t i = 0; i < 64; i++) {
        fill(ids, T + 1, 5);
        ids[i % T] += 1000 + (uint32_t)i;
        open_copy(c, &copy, ids, T + 1);
        assert_int_equal(copy.n, 0);
        assert_int_equal(append(&copy, ids, T), RAG_OK);
        close_copy(&copy);
    }
    assert_int_equal(stats_of(c).n_evicted, 0);
    for (size_t i = 0; i < 64; i++) {
        fill(ids, T + 1, 5);
        ids[i % T] += 1000 + (uint32_t)i;
        open_copy(c, &copy, ids, T + 1);
        assert_int_equal(copy.n, T);
        check(&copy);
        close_copy(&copy);
    }
    kv_cache_close(c);
}

/* The same ids on a page behind another beginning are another page. */
static void a_page_is_known_by_what_stands_before_it(void **state)
{
    struct kv_cache *c = open_cache(8);
    uint32_t ids[2 * T + 1];
    struct copy copy;

    (void)state;
    fill(ids, 2 * T + 1, 1);
    open_copy(c, &copy, ids, 2 * T);
    assert_int_equal(append(&copy, ids, 2 * T), RAG_OK);
    close_copy(&copy);
    ids[0] = 77;
    open_copy(c, &copy, ids, 2 * T + 1);
    assert_int_equal(copy.n, 0);
    assert_int_equal(append(&copy, ids, T), RAG_OK);
    close_copy(&copy);
    open_copy(c, &copy, ids, 2 * T + 1);
    assert_int_equal(copy.n, T);
    close_copy(&copy);
    kv_cache_close(c);
}

static void the_least_recently_used_page_goes_first(void **state)
{
    struct kv_cache *c = open_cache(4);
    uint32_t a[3 * T];
    uint32_t b[3 * T];
    uint32_t d[3 * T];
    struct copy copy;

    (void)state;
    fill(a, 3 * T, 10000);
    fill(b, 3 * T, 20000);
    fill(d, 3 * T, 30000);
    open_copy(c, &copy, a, 2 * T);
    assert_int_equal(append(&copy, a, 2 * T), RAG_OK);
    close_copy(&copy);
    open_copy(c, &copy, b, 2 * T);
    assert_int_equal(append(&copy, b, 2 * T), RAG_OK);
    close_copy(&copy);
    open_copy(c, &copy, a, 2 * T + 1); /* a is younger now */
    assert_int_equal(copy.n, 2 * T);
    close_copy(&copy);
    open_copy(c, &copy, d, T);
    assert_int_equal(append(&copy, d, T), RAG_OK);
    close_copy(&copy);
    assert_int_equal(stats_of(c).n_evicted, 1);
    assert_int_equal(stats_of(c).held_bytes, 4 * PAGE);
    open_copy(c, &copy, b, 2 * T + 1); /* its end went, its beginning stayed */
    assert_int_equal(copy.n, T);
    close_copy(&copy);
    open_copy(c, &copy, a, 2 * T + 1);
    assert_int_equal(copy.n, 2 * T);
    check(&copy);
    close_copy(&copy);
    kv_cache_close(c);
}

static void the_budget_is_a_hard_limit(void **state)
{
    struct kv_cache *c = open_cache(4);
    struct rag_error error = {0};
    uint32_t ids[5 * T];
    uint32_t other[5 * T];
    struct copy a;
    struct copy b;

    (void)state;
    fill(ids, 5 * T, 1);
    fill(other, 5 * T, 5000);
    open_copy(c, &a, ids, 5 * T);
    open_copy(c, &b, other, 5 * T);
    assert_int_equal(append(&a, ids, 2 * T + 1), RAG_OK);
    assert_int_equal(append(&b, other, 20), RAG_OK);
    assert_int_equal(append(&b, other + 20, T), RAG_EBUSY); /* of 4 pages none is idle */
    check(&b);
    assert_int_equal(append(&b, other + 20, T - 20), RAG_OK);
    assert_int_equal(append(&a, ids + 2 * T + 1, 3 * T - 1), RAG_ELIMIT);
    assert_int_equal(kv_sequence_reserve(a.s, SIZE_MAX, NULL), RAG_ELIMIT);
    assert_int_equal(kv_sequence_reserve(a.s, 2 * T, &error), RAG_ELIMIT);
    assert_non_null(strstr(error.text, "budget"));
    check(&a);
    check(&b);
    close_copy(&a); /* two pages idle, one free */
    assert_int_equal(append(&b, other + T, 3 * T), RAG_OK);
    check(&b);
    assert_int_equal(stats_of(c).held_bytes, 4 * PAGE);
    assert_int_equal(stats_of(c).n_evicted, 2);
    close_copy(&b);
    kv_cache_close(c);
}

static void a_budget_below_a_page_is_refused(void **state)
{
    const struct kv_cache_options small = {
        .n_layers = N_LAYERS, .layer_page_bytes = LAYER_PAGE, .budget_bytes = PAGE - 1};
    const struct kv_cache_options wide = {
        .n_layers = SIZE_MAX / 2, .layer_page_bytes = 64, .budget_bytes = 1u << 20};
    struct rag_error error = {0};
    struct kv_cache *c = NULL;

    (void)state;
    assert_int_equal(kv_cache_open(&small, &c, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "767"));
    assert_non_null(strstr(error.text, "768"));
    assert_int_equal(kv_cache_open(&wide, &c, &error), RAG_ELIMIT);
    assert_null(c);
    kv_cache_close(NULL);
    kv_sequence_close(NULL);
}

static void what_others_share_is_copied_before_it_is_written(void **state)
{
    struct kv_cache *c = open_cache(6);
    uint32_t ids[2 * T + 1];
    uint32_t other[T];
    struct copy a;
    struct copy b;

    (void)state;
    fill(ids, 2 * T + 1, 1);
    fill(other, T, 7000);
    open_copy(c, &a, ids, 2 * T + 1);
    assert_int_equal(append(&a, ids, 2 * T), RAG_OK);
    open_copy(c, &b, ids, 2 * T + 1);
    assert_int_equal(b.n, 2 * T);
    cut(&b, T + 10);
    assert_ptr_equal(kv_sequence_pages(a.s, 0)[1], kv_sequence_pages(b.s, 0)[1]);
    assert_int_equal(append(&b, other, 5), RAG_OK);
    assert_ptr_not_equal(kv_sequence_pages(a.s, 0)[1], kv_sequence_pages(b.s, 0)[1]);
    check(&a);
    check(&b);
    cut(&b, 3);
    cut(&b, 0);
    assert_int_equal(append(&b, other, T), RAG_OK);
    check(&a);
    check(&b);
    close_copy(&a);
    close_copy(&b);
    kv_cache_close(c);
}

/* The only user of a known page takes its end back: the page is no longer found by the old ids. */
static void an_end_that_was_taken_back_is_not_found(void **state)
{
    struct kv_cache *c = open_cache(6);
    uint32_t ids[2 * T + 1];
    uint32_t other[T];
    struct copy a;
    struct copy b;

    (void)state;
    fill(ids, 2 * T + 1, 1);
    fill(other, T, 7000);
    open_copy(c, &a, ids, 2 * T + 1);
    assert_int_equal(append(&a, ids, 2 * T), RAG_OK);
    cut(&a, T + 10);
    assert_int_equal(append(&a, other, 5), RAG_OK);
    assert_int_equal(stats_of(c).used_bytes, 2 * PAGE);
    open_copy(c, &b, ids, 2 * T + 1);
    assert_int_equal(b.n, T);
    close_copy(&b);
    cut(&a, T + 10);
    assert_int_equal(append(&a, ids + T + 10, T - 10), RAG_OK); /* as it was at first */
    open_copy(c, &b, ids, 2 * T + 1);
    assert_int_equal(b.n, 2 * T);
    check(&a);
    check(&b);
    close_copy(&a);
    close_copy(&b);
    kv_cache_close(c);
}

static void new_room_is_zeros_even_where_another_page_was(void **state)
{
    const unsigned char zeros[LAYER_PAGE] = {0};
    struct kv_cache *c = open_cache(1);
    uint32_t ids[T];
    struct copy a;

    (void)state;
    fill(ids, T, 1);
    open_copy(c, &a, ids, T);
    assert_int_equal(append(&a, ids, T), RAG_OK);
    close_copy(&a);
    fill(ids, T, 900);
    open_copy(c, &a, ids, T);
    assert_int_equal(kv_sequence_reserve(a.s, 3, NULL), RAG_OK);
    assert_int_equal(stats_of(c).n_evicted, 1);
    for (size_t layer = 0; layer < N_LAYERS; layer++)
        assert_memory_equal(kv_sequence_pages(a.s, layer)[0], zeros, LAYER_PAGE);
    close_copy(&a);
    kv_cache_close(c);
}

/* ---- everything in random order ---- */

#define N_COPIES 4

/* Few different beginnings, so that sequences meet. */
static size_t draw_ids(uint64_t *seed, uint32_t *ret)
{
    size_t n = splitmix_next(seed) % 200 + 1;
    uint32_t kind = 0;

    for (size_t i = 0; i < n; i++) {
        if (i % 24 == 0)
            kind = (uint32_t)(splitmix_next(seed) % 2);
        ret[i] = kind;
    }
    return n;
}

static void step(struct kv_cache *c, struct copy *copy, uint64_t *seed)
{
    uint32_t ids[256];
    size_t n = draw_ids(seed, ids);
    enum rag_status status;

    if (!copy->s) { /* goes on where the known pages end */
        open_copy(c, copy, ids, n);
        memmove(ids, ids + copy->n, (n - copy->n) * sizeof *ids);
        n -= copy->n;
    }
    switch (splitmix_next(seed) % 4) {
    case 0:
        cut(copy, splitmix_next(seed) % (copy->n + 1));
        break;
    case 1:
        close_copy(copy);
        break;
    default:
        if (copy->n + n > TOKENS_MAX)
            return;
        status = append(copy, ids, n);
        if (status != RAG_OK && status != RAG_EBUSY && status != RAG_ELIMIT)
            fail_msg("append: %d", status);
    }
}

static void nothing_is_mixed_up_in_any_order(void **state)
{
    static const size_t sizes[] = {1, 2, 5, 12, 40};
    struct copy *copies = calloc(N_COPIES, sizeof *copies);
    uint64_t seed = 2026;

    (void)state;
    assert_non_null(copies);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct kv_cache *c = open_cache(sizes[i]);

        for (size_t j = 0; j < 1500; j++) {
            struct copy *copy = &copies[splitmix_next(&seed) % N_COPIES];
            struct kv_cache_stats stats;

            step(c, copy, &seed);
            stats = stats_of(c);
            assert_true(stats.held_bytes <= stats.budget_bytes);
            assert_true(stats.used_bytes <= stats.held_bytes);
            if (j % 8 == 0)
                for (size_t k = 0; k < N_COPIES; k++)
                    if (copies[k].s)
                        check(&copies[k]);
        }
        for (size_t k = 0; k < N_COPIES; k++)
            close_copy(&copies[k]);
        assert_int_equal(stats_of(c).used_bytes, 0);
        kv_cache_close(c);
    }
    free(copies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_beginning_is_shared_in_whole_pages),
        cmocka_unit_test(two_that_compute_the_same_end_with_the_same_pages),
        cmocka_unit_test(pages_of_one_bucket_are_told_apart_by_their_ids),
        cmocka_unit_test(a_page_is_known_by_what_stands_before_it),
        cmocka_unit_test(the_least_recently_used_page_goes_first),
        cmocka_unit_test(the_budget_is_a_hard_limit),
        cmocka_unit_test(a_budget_below_a_page_is_refused),
        cmocka_unit_test(what_others_share_is_copied_before_it_is_written),
        cmocka_unit_test(an_end_that_was_taken_back_is_not_found),
        cmocka_unit_test(new_room_is_zeros_even_where_another_page_was),
        cmocka_unit_test(nothing_is_mixed_up_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
