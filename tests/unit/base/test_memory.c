/* Goal: buffers and arenas keep their caps, errors stick, and id sets answer for every id;
 * digests and clocks match known answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/http_client.h"
#include "base/id_set.h"
#include "base/sha256.h"

static void a_buffer_stops_at_its_cap_and_stays_failed(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 5);
    buf_append_str(&b, "abc");
    buf_append_str(&b, "def");
    assert_int_equal(buf_status(&b), RAG_ELIMIT);
    buf_append_str(&b, "x");
    assert_string_equal(buf_str(&b), "abc");
    buf_reset(&b);
    buf_printf(&b, "%d", 12345);
    assert_int_equal(buf_status(&b), RAG_OK);
    assert_string_equal(buf_str(&b), "12345");
    buf_release(&b);
    assert_string_equal(buf_str(&b), "");
}

static void an_empty_buffer_can_be_taken(void **state)
{
    struct buf b;
    char *text = NULL;
    size_t n = 9;

    (void)state;
    buf_init(&b, 100);
    assert_int_equal(buf_take(&b, &text, &n), RAG_OK);
    assert_string_equal(text, "");
    assert_int_equal(n, 0);
    free(text);
}

static void an_arena_keeps_its_cap_over_resets(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 100000);
    assert_null(arena_alloc(&a, 100001));
    assert_null(arena_calloc(&a, SIZE_MAX / 2, 3));
    assert_non_null(arena_alloc(&a, 90000));
    assert_null(arena_alloc(&a, 20000));
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 20000));
    assert_string_equal(arena_strdup(&a, "가나"), "가나");
    arena_release(&a);
}

static void an_id_set_has_what_it_was_given(void **state)
{
    const uint64_t ids[] = {70, 5, 1000, 5};
    const uint64_t far[] = {0, 1ull << 32};
    struct id_set set;

    (void)state;
    assert_int_equal(id_set_init(&set, ids, 4), RAG_OK);
    assert_int_equal(set.n, 3);
    for (uint64_t id = 0; id < 1100; id++)
        assert_int_equal(id_set_has(&set, id), id == 70 || id == 5 || id == 1000);
    assert_false(id_set_has(&set, UINT64_MAX));
    id_set_release(&set);
    assert_int_equal(id_set_init(&set, far, 2), RAG_ELIMIT);
    assert_int_equal(id_set_init(&set, NULL, 0), RAG_OK);
    assert_false(id_set_has(&set, 0));
}

static void digests_match_fips_180_4(void **state)
{
    uint8_t digest[SHA256_BYTES];
    uint8_t back[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];

    (void)state;
    assert_int_equal(sha256("abc", 3, digest), RAG_OK);
    sha256_hex(digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(sha256_from_hex(hex, back), RAG_OK);
    assert_memory_equal(digest, back, SHA256_BYTES);
    hex[3] = 'x';
    assert_int_equal(sha256_from_hex(hex, back), RAG_EFORMAT);
}

static void lengths_separate_parts(void **state)
{
    const struct sha256_part a[] = {
        {"ab", 2},
        {"c",  1}
    };
    const struct sha256_part b[] = {
        {"a",  1},
        {"bc", 2}
    };
    uint8_t x[SHA256_BYTES];
    uint8_t y[SHA256_BYTES];

    (void)state;
    assert_int_equal(sha256_lengths(a, 2, x), RAG_OK);
    assert_int_equal(sha256_lengths(b, 2, y), RAG_OK);
    assert_memory_not_equal(x, y, SHA256_BYTES);
    assert_int_equal(sha256_parts(a, 2, x), RAG_OK);
    assert_int_equal(sha256_parts(b, 2, y), RAG_OK);
    assert_memory_equal(x, y, SHA256_BYTES);
}

static void dates_are_utc_with_milliseconds(void **state)
{
    char text[CLOCK_TEXT_BYTES];

    (void)state;
    clock_format(1700000000123, text);
    assert_string_equal(text, "2023-11-14T22:13:20.123Z");
    clock_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    clock_format(INT64_MAX, text);
    assert_string_equal(text, "0000-00-00T00:00:00.000Z");
}

static void path_segments_are_encoded(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    http_encode_segment(&b, "a/가 %");
    assert_string_equal(buf_str(&b), "a%2F%EA%B0%80%20%25");
    buf_release(&b);
}

static void messages_are_one_line_of_whole_characters(void **state)
{
    struct rag_error error;
    char name[600];

    (void)state;
    for (size_t i = 0; i + 3 < sizeof name; i += 3)
        memcpy(name + i, "가", 4);
    rag_fail(&error, RAG_EINVAL, "x%s", name);
    assert_int_equal(strlen(error.text) % 3, 1);
    rag_fail(&error, RAG_EINVAL, "name 'a\nb'");
    assert_string_equal(error.text, "name 'a?b'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_stops_at_its_cap_and_stays_failed),
        cmocka_unit_test(an_empty_buffer_can_be_taken),
        cmocka_unit_test(an_arena_keeps_its_cap_over_resets),
        cmocka_unit_test(an_id_set_has_what_it_was_given),
        cmocka_unit_test(digests_match_fips_180_4),
        cmocka_unit_test(lengths_separate_parts),
        cmocka_unit_test(dates_are_utc_with_milliseconds),
        cmocka_unit_test(path_segments_are_encoded),
        cmocka_unit_test(messages_are_one_line_of_whole_characters),
    };

    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
