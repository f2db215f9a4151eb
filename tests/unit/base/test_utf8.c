/* Goal: utf8.h accepts exactly the well-formed sequences of RFC 3629 and counts code
 * points. Method: one row per boundary of the grammar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct row {
    const char *name;
    const char *text;
    size_t bad; /* offset of the first bad byte; (size_t)-1: none */
    size_t n_chars;
};

#define FINE ((size_t)-1)

static struct row rows[] = {
    {"empty text",                      "",                 FINE, 0 },
    {"ascii longer than a word",        "abcdefghijk",      FINE, 11},
    {"hangul",                          "휴가 규정",    FINE, 5 },
    {"largest code point",              "\xF4\x8F\xBF\xBF", FINE, 1 },
    {"past the largest code point",     "\xF4\x90\x80\x80", 0,    0 },
    {"overlong slash",                  "\xC0\xAF",         0,    0 },
    {"overlong of three bytes",         "\xE0\x9F\xBF",     0,    0 },
    {"a surrogate",                     "a\xED\xA0\x80",    1,    0 },
    {"a lone continuation",             "ab\x80",           2,    0 },
    {"cut in the middle",               "\xEA\xB0",         0,    0 },
    {"bad byte behind eight good ones", "12345678\xFF",     8,    0 },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    size_t bad = FINE;

    assert_int_equal(utf8_valid(row->text, strlen(row->text), &bad), row->bad == FINE);
    assert_int_equal(bad, row->bad);
    if (row->bad == FINE)
        assert_int_equal(utf8_count(row->text, strlen(row->text)), row->n_chars);
}

static void every_scalar_round_trips(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        char text[4];
        size_t n;
        size_t m;

        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        n = utf8_encode(c, text);
        assert_int_equal(utf8_sequence_bytes(text, n), n);
        assert_int_equal(utf8_decode(text, &m), c);
        assert_int_equal(m, n);
    }
}

/* Unicode 15, section 3.9, tables 3-8 to 3-11: how many bytes each U+FFFD stands for. */
static void a_bad_sequence_is_replaced_by_its_maximal_subparts(void **state)
{
    static const struct {
        const char *text;
        const char *steps; /* digits; '?': unknown before more bytes */
    } parts[] = {
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "111111111"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", "111111111"},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", "111111111"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "21321"    },
        {"\xEA\xB0\x80\xF0\x9F\x98\x80",         "34"       },
        {"\xEA\xB0",                             "?"        },
        {"a\xF0\x9F\x98",                        "1?"       },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(parts); i++) {
        const char *s = parts[i].text;
        size_t n = strlen(s);

        for (const char *wanted = parts[i].steps; *wanted; wanted++) {
            bool valid;
            size_t step = utf8_lossy_step(s, n, &valid);

            assert_int_equal(step, *wanted == '?' ? 0 : *wanted - '0');
            assert_int_equal(valid, step > 0 && utf8_sequence_bytes(s, n) == step);
            s += step;
            n -= step;
        }
    }
}

static void advance_and_floor_keep_to_characters(void **state)
{
    const char *s = "a가b";

    (void)state;
    assert_int_equal(utf8_advance(s, 5, 0, 2), 4);
    assert_int_equal(utf8_advance(s, 5, 1, 9), 5);
    assert_int_equal(utf8_floor(s, 5, 3), 1);
    assert_int_equal(utf8_floor(s, 5, 4), 4);
    assert_int_equal(utf8_floor(s, 5, 9), 5);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 3];

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    tests[COUNT(rows)] = (struct CMUnitTest)cmocka_unit_test(every_scalar_round_trips);
    tests[COUNT(rows) + 1] =
        (struct CMUnitTest)cmocka_unit_test(advance_and_floor_keep_to_characters);
    tests[COUNT(rows) + 2] =
        (struct CMUnitTest)cmocka_unit_test(a_bad_sequence_is_replaced_by_its_maximal_subparts);
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
