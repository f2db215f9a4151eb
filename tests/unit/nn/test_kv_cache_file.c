/* Goal: what a cache knew before it was closed it knows again, bit for bit; a file that is another
 * model's, damaged or cut is refused and leaves the cache empty. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "nn/kv_cache_file.h"

#define N_LAYERS   2
#define LAYER_PAGE ((size_t)KV_PAGE_TOKENS * 8)
#define PAGE       (N_LAYERS * LAYER_PAGE)
#define T          KV_PAGE_TOKENS

static char dir[] = "/tmp/ragd-kv-XXXXXX";
static char path[64];
static const uint8_t binding[SHA256_BYTES] = {1, 2, 3};

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/kv", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static struct kv_cache *open_cache(size_t n_pages, size_t n_layers)
{
    const struct kv_cache_options options = {.n_layers = n_layers,
                                             .layer_page_bytes = LAYER_PAGE,
                                             .budget_bytes = n_pages * n_layers * LAYER_PAGE,
                                             .hash_key = n_pages};
    struct kv_cache *c = NULL;

    assert_int_equal(kv_cache_open(&options, &c, NULL), RAG_OK);
    return c;
}

static void make_ids(uint32_t *ids, size_t n, size_t n_common, uint32_t other)
{
    for (size_t i = 0; i < n; i++)
        ids[i] = (uint32_t)i + (i < n_common ? 0 : other);
}

/* n tokens of which the first n_common are the same for every 'other'; a page is filled with what
 * its last token says. */
static void put_sequence(struct kv_cache *c, size_t n, size_t n_common, uint32_t other)
{
    struct kv_sequence *s = NULL;
    uint32_t ids[512];
    size_t known;

    make_ids(ids, n, n_common, other);
    assert_int_equal(kv_sequence_open(c, ids, n, &s, NULL), RAG_OK);
    known = kv_sequence_length(s);
    assert_int_equal(kv_sequence_reserve(s, n - known, NULL), RAG_OK);
    for (size_t layer = 0; layer < N_LAYERS; layer++)
        for (size_t page = known / T; page < n / T; page++)
            memset(kv_sequence_pages(s, layer)[page], (int)(ids[page * T + T - 1] + layer),
                   LAYER_PAGE);
    kv_sequence_commit(s, ids + known, n - known);
    kv_sequence_close(s);
}

static size_t known_tokens(struct kv_cache *c, size_t n, size_t n_common, uint32_t other)
{
    struct kv_sequence *s = NULL;
    uint32_t ids[512];
    size_t known;

    make_ids(ids, n, n_common, other);
    assert_int_equal(kv_sequence_open(c, ids, n, &s, NULL), RAG_OK);
    known = kv_sequence_length(s);
    for (size_t layer = 0; layer < N_LAYERS; layer++)
        for (size_t page = 0; page < known / T; page++)
            for (size_t i = 0; i < LAYER_PAGE; i++)
                assert_int_equal(kv_sequence_pages(s, layer)[page][i],
                                 (unsigned char)(ids[page * T + T - 1] + layer));
    kv_sequence_close(s);
    return known;
}

/* Two sequences with four pages in common and four of their own. */
static struct kv_cache *filled(void)
{
    struct kv_cache *c = open_cache(20, N_LAYERS);

    put_sequence(c, 8 * T + 3, 4 * T, 1000);
    put_sequence(c, 8 * T + 3, 4 * T, 2000);
    return c;
}

static size_t save(const struct kv_cache *c, uint64_t bytes_max)
{
    size_t n = 99;

    assert_int_equal(kv_cache_save(c, path, binding, bytes_max, &n, NULL), RAG_OK);
    return n;
}

static void test_again(void **state)
{
    struct kv_cache *c = filled();
    struct stat st;
    size_t n;

    (void)state;
    assert_int_equal(save(c, UINT64_MAX), 12);
    kv_cache_close(c);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    c = open_cache(20, N_LAYERS);
    assert_int_equal(kv_cache_load(c, path, binding, &n, NULL), RAG_OK);
    assert_int_equal(n, 12);
    assert_int_equal(known_tokens(c, 8 * T + 3, 4 * T, 1000), 8 * T);
    assert_int_equal(known_tokens(c, 8 * T + 3, 4 * T, 2000), 8 * T);
    assert_int_equal(known_tokens(c, 8 * T + 3, 4 * T, 3000), 4 * T);
    put_sequence(c, 8 * T + 3, 4 * T, 3000); /* and goes on as ever */
    assert_int_equal(save(c, UINT64_MAX), 16);
    kv_cache_close(c);
}

static void test_less_room(void **state)
{
    struct kv_cache *c = filled();
    size_t n;

    (void)state;
    /* on disk: the newest are the last sequence's */
    assert_int_equal(save(c, 6 * PAGE + PAGE / 2), 6);
    kv_cache_close(c);
    c = open_cache(20, N_LAYERS);
    assert_int_equal(kv_cache_load(c, path, binding, &n, NULL), RAG_OK);
    assert_int_equal(n, 6);
    assert_int_equal(known_tokens(c, 8 * T + 3, 4 * T, 2000), 6 * T);
    kv_cache_close(c);
    /* in memory */
    c = open_cache(3, N_LAYERS);
    assert_int_equal(kv_cache_load(c, path, binding, &n, NULL), RAG_OK);
    assert_int_equal(n, 3);
    assert_int_equal(known_tokens(c, 8 * T + 3, 4 * T, 2000), 3 * T);
    kv_cache_close(c);
    /* an empty cache is a file too */
    c = open_cache(3, N_LAYERS);
    assert_int_equal(save(c, UINT64_MAX), 0);
    assert_int_equal(kv_cache_load(c, path, binding, &n, NULL), RAG_OK);
    assert_int_equal(n, 0);
    kv_cache_close(c);
}

static void change_byte(long at)
{
    FILE *f = fopen(path, "r+b");
    int c;

    assert_non_null(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    c = fgetc(f);
    assert_int_equal(fseek(f, -1, SEEK_CUR), 0);
    fputc(c ^ 1, f);
    assert_int_equal(fclose(f), 0);
}

static void expect(struct kv_cache *c, const uint8_t with[SHA256_BYTES], enum rag_status status,
                   const char *message)
{
    struct rag_error error = {RAG_OK, ""};
    struct kv_cache_stats stats;
    size_t n = 99;

    assert_int_equal(kv_cache_load(c, path, with, &n, &error), status);
    if (!strstr(error.text, message))
        fail_msg("'%s' does not say '%s'", error.text, message);
    kv_cache_stats(c, &stats);
    assert_int_equal(stats.held_bytes, 0);
    assert_int_equal(n, 99);
    kv_cache_close(c);
}

static void test_refused(void **state)
{
    static const uint8_t other[SHA256_BYTES] = {9};
    struct kv_cache *c = filled();
    struct stat st;

    (void)state;
    save(c, UINT64_MAX);
    expect(open_cache(20, N_LAYERS), other, RAG_EFORMAT, "of another model");
    expect(open_cache(20, N_LAYERS + 1), binding, RAG_EFORMAT, "of another model");
    for (long at = 0; at < 120; at += 7) { /* the head */
        change_byte(at);
        expect(open_cache(20, N_LAYERS), binding, RAG_EFORMAT, "its head is damaged");
        change_byte(at);
    }
    change_byte(120); /* a parent */
    expect(open_cache(20, N_LAYERS), binding, RAG_EFORMAT, "page 0 is damaged");
    change_byte(120);
    change_byte(-1); /* the last sum */
    expect(open_cache(20, N_LAYERS), binding, RAG_EFORMAT, "page 11 is damaged");
    change_byte(-1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 1), 0);
    expect(open_cache(20, N_LAYERS), binding, RAG_EFORMAT, "it ends 1 bytes early");
    assert_int_equal(truncate(path, 50), 0);
    expect(open_cache(20, N_LAYERS), binding, RAG_EFORMAT, "early");
    assert_int_equal(unlink(path), 0);
    expect(open_cache(20, N_LAYERS), binding, RAG_ENOTFOUND, "cannot open");
    assert_int_equal(mkdir(path, 0700), 0);
    expect(open_cache(20, N_LAYERS), binding, RAG_EFORMAT, "not a regular file");
    assert_int_equal(rmdir(path), 0);
    kv_cache_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_less_room),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
