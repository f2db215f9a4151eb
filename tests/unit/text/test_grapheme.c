/* A chunk must not cut what a reader sees as one character. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "text/grapheme.h"

static const struct {
    const char *name;
    const char *text;
    size_t at;
    size_t floor; /* equal to at when it is a boundary */
} rows[] = {
    {"the start is a boundary",           "가나",                                      0,  0 },
    {"the end is a boundary",             "가나",                                      6,  6 },
    {"between two syllables",             "가나",                                      3,  3 },
    {"inside a syllable's bytes",         "가나",                                      4,  3 },
    {"between letters",                   "ab",                                          1,  1 },
    {"a letter and its mark are one",     "e\u0301x",                                    1,  0 },
    {"after the mark",                    "e\u0301x",                                    3,  3 },
    {"CR LF is one",                      "a\r\nb",                                      2,  1 },
    {"a family of emoji is one",          "\U0001F468\u200D\U0001F469\u200D\U0001F467!", 7,  0 },
    {"after the family",                  "\U0001F468\u200D\U0001F469\u200D\U0001F467!", 18, 18},
    {"a flag is one",                     "\U0001F1F0\U0001F1F7\U0001F1FA\U0001F1F8",    4,  0 },
    {"between two flags",                 "\U0001F1F0\U0001F1F7\U0001F1FA\U0001F1F8",    8,  8 },
    {"inside the second flag",            "\U0001F1F0\U0001F1F7\U0001F1FA\U0001F1F8",    12, 8 },
    {"a skin tone stays with the hand",   "가\U0001F44D\U0001F3FD나",                  7,  3 },
    {"decomposed Hangul is one syllable", "\u1112\u1161\u11AB",                          6,  0 },
    {"a past-the-end offset is the end",  "가나",                                      99, 6 },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = strlen(rows[i].text);

        if (grapheme_floor(rows[i].text, n, rows[i].at) != rows[i].floor)
            fail_msg("%s: floor %zu", rows[i].name, grapheme_floor(rows[i].text, n, rows[i].at));
        if (rows[i].at <= n &&
            grapheme_boundary(rows[i].text, n, rows[i].at) != (rows[i].at == rows[i].floor))
            fail_msg("%s: boundary", rows[i].name);
    }
}

/* Ten thousand marks on one letter: the look back is bounded, so this ends. */
static void test_an_endless_cluster_costs_little(void **state)
{
    static char text[20001];

    (void)state;
    text[0] = 'a';
    for (size_t i = 1; i < sizeof text; i += 2)
        memcpy(text + i, "\u0301", 2);
    for (size_t at = 1; at < sizeof text; at += 501)
        assert_true(grapheme_floor(text, sizeof text, at) <= at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_an_endless_cluster_costs_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
