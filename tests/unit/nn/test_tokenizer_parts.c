/* Goal: the parts that tokenizers are built of hold by themselves: the trie finds exactly its keys,
 * expressions match where they should, normal forms and grapheme clusters are those of Unicode, a
 * charsmap with wrong offsets is harmless. Method: tables, and a naive twin for the trie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/tokenizer_internal.h"

/* ---- trie ---- */

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void test_trie_against_a_list(void **state)
{
    enum { N = 3000 };
    static char texts[N][8];
    static struct trie_key keys[N];
    uint32_t seed = 7;
    struct trie t;

    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        uint32_t n = 1 + next_random(&seed) % 6;

        for (uint32_t k = 0; k < n; k++) /* few letters, so that keys share beginnings */
            texts[i][k] = (char)(next_random(&seed) % 3 ? 'a' + next_random(&seed) % 4
                                                        : next_random(&seed) % 256);
        keys[i] = (struct trie_key){texts[i], n, i};
    }
    assert_int_equal(trie_build(keys, N, &t), RAG_OK);
    for (uint32_t i = 0; i < N; i++) { /* sorted now; of equal keys the last value counts */
        bool last = i + 1 == N || keys[i].n != keys[i + 1].n ||
                    memcmp(keys[i].bytes, keys[i + 1].bytes, keys[i].n) != 0;

        if (last)
            assert_int_equal(trie_find(&t, keys[i].bytes, keys[i].n), keys[i].value);
    }
    for (uint32_t i = 0; i < N; i++) {
        char text[8];
        uint32_t n = 1 + next_random(&seed) % 7;
        uint32_t want = TRIE_NONE;

        for (uint32_t k = 0; k < n; k++)
            text[k] = (char)(next_random(&seed) % 256);
        for (uint32_t k = 0; k < N; k++) {
            if (keys[k].n == n && memcmp(keys[k].bytes, text, n) == 0)
                want = keys[k].value;
        }
        assert_int_equal(trie_find(&t, text, n), want);
    }
    trie_release(&t);
}

static void test_trie_of_nothing(void **state)
{
    struct trie_key key = {"", 0, 5};
    struct trie t;
    size_t n;

    (void)state;
    assert_int_equal(trie_build(&key, 1, &t), RAG_OK);
    assert_int_equal(trie_find(&t, "", 0), TRIE_NONE);
    assert_int_equal(trie_longest(&t, "a", 1, &n), TRIE_NONE);
    trie_release(&t);
}

static void test_trie_has_no_key_of_zero_bytes_by_accident(void **state)
{
    struct trie_key key = {"b", 1, 5};
    struct trie t;
    size_t n;

    (void)state;
    assert_int_equal(trie_build(&key, 1, &t), RAG_OK);
    assert_int_equal(trie_find(&t, "\0b", 2), TRIE_NONE);
    assert_int_equal(trie_longest(&t, "\0", 1, &n), TRIE_NONE);
    assert_int_equal(trie_longest(&t, "bb", 2, &n), 5);
    assert_int_equal(n, 1);
    trie_release(&t);
}

/* ---- expressions ---- */

static const struct {
    const char *name;
    const char *pattern;
    const char *text;
    size_t begin, end; /* begin == end: no match */
} matches[] = {
    {"a literal",                                      "b",                "abc",       1, 2},
    {"the first branch that matches, not the longest", "a|ab",             "ab",        0, 1},
    {"greedy",                                         "a+",               "baaab",     1, 4},
    {"greedy gives back",                              "a*ab",             "aaab",      0, 4},
    {"possessive does not",                            "a*+ab",            "aaab",      0, 0},
    {"a counted repetition",                           "a{2,3}",           "aaaa",      0, 3},
    {"exactly so many",                                "a{2}",             "aaaa",      0, 2},
    {"at least so many",                               "a{2,}",            "aaaa",      0, 4},
    {"a set with a range",                             "[b-d]+",           "abcde",     1, 4},
    {"a negated set",                                  "[^a]",             "aab",       2, 3},
    {"a set in a set",                                 "[x[bc]]+",         "abcx",      1, 4},
    {"letters",                                        "\\p{L}+",
     "1\xED\x95\x9C\xEA\xB8\x80"
     "2",                                                                               1, 7},
    {"not letters",                                    "\\P{L}",           "a1",        1, 2},
    {"no white space",                                 "\\S+",
     " \xE3\x80\x80"
     "ab ",                                                                             4, 6},
    {"upper before lower case",                        "\\p{Lu}\\p{Ll}",   "aBc",       1, 3},
    {"(?i:) in ASCII",                                 "(?i:'s)",          "'S",        0, 2},
    {"(?i:) knows the long s",                         "(?i:'s)",          "'\xC5\xBF", 0, 3},
    {"(?i:) ends with its group",                      "(?i:a)b",          "AB",        0, 0},
    {"(?i:) of a set",                                 "(?i:[sd])",        "D",         0, 1},
    {"spaces before a word leave one",                 "\\s+(?!\\S)|\\s+", "   a",      0, 2},
    {"spaces at the end are all taken",                "\\s+(?!\\S)|\\s+", "   ",       0, 3},
    {"a lookahead that must match",                    "a(?=b)",           "acab",      2, 3},
    {"an optional group",                              "ab(?:cd)?e",       "abe",       0, 3},
    {"nothing is no match",                            "a*",               "b",         0, 0},
};

static void test_patterns(void **state)
{
    struct unicode_table u;

    (void)state;
    assert_int_equal(unicode_table_init(&u), RAG_OK);
    for (size_t i = 0; i < sizeof matches / sizeof matches[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct pattern *p = NULL;
        size_t steps = 10000;
        size_t begin = 0;
        size_t end = 0;
        enum rag_status status;

        if (pattern_compile(matches[i].pattern, &u, &p, &error) != RAG_OK)
            fail_msg("%s: %s", matches[i].name, error.text);
        status =
            pattern_next(p, &u, matches[i].text, strlen(matches[i].text), 0, &begin, &end, &steps);
        if (begin != matches[i].begin || end != matches[i].end ||
            (status == RAG_OK) != (matches[i].begin < matches[i].end))
            fail_msg("%s: %zu to %zu, status %d", matches[i].name, begin, end, status);
        pattern_free(p);
    }
    unicode_table_release(&u);
}

/* ---- normal forms ---- */

static const struct {
    const char *name;
    enum unicode_form form;
    const char *from, *to;
} forms[] = {
    {"composes",                                         UNICODE_NFC,  "e\xCC\x81",                            "\xC3\xA9"                            },
    {"decomposes",                                       UNICODE_NFD,  "\xC3\xA9",                             "e\xCC\x81"                           },
    {"compatibility",                                    UNICODE_NFKC, "\xEF\xAC\x81\xC2\xBD",
     "fi1\xE2\x81\x84"
     "2"                                                                                                                                             },
    {"compatibility, decomposed",                        UNICODE_NFKD, "\xEF\xBC\xA1\xCC\x80",                 "A\xCC\x80"                           },
    {"jamo to a syllable",                               UNICODE_NFC,  "\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", "\xED\x95\x9C"                        },
    {"a syllable to jamo",                               UNICODE_NFD,  "\xED\x95\x9C",                         "\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB"},
    {"a syllable and a final",                           UNICODE_NFC,  "\xED\x95\x98\xE1\x86\xAB",             "\xED\x95\x9C"                        },
    {"marks in the order of their classes",              UNICODE_NFD,  "a\xCC\x81\xCC\xA3",                    "a\xCC\xA3\xCC\x81"                   },
    {"a mark between does not hinder",                   UNICODE_NFC,  "e\xCC\xA3\xCC\x81",                    "\xE1\xBA\xB9\xCC\x81"                },
    {"one of the same class does",                       UNICODE_NFC,  "a\xCC\x80\xCC\x81",                    "\xC3\xA0\xCC\x81"                    },
    {"singletons are replaced",                          UNICODE_NFC,  "\xE2\x84\xAB",                         "\xC3\x85"                            },
    {"exclusions are not composed",                      UNICODE_NFC,  "\xE0\xA4\x95\xE0\xA4\xBC",
     "\xE0\xA4\x95\xE0\xA4\xBC"                                                                                                                      },
    {"what the reference's Unicode does not know stays", UNICODE_NFKC, "\xE3\x8B\xBF",
     "\xE3\x8B\xBF"                                                                                                                                  },
    {"a mark alone",                                     UNICODE_NFC,  "\xCC\x81",                             "\xCC\x81"                            },
};

static void test_normal_forms(void **state)
{
    struct unicode_table u;
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    assert_int_equal(unicode_table_init(&u), RAG_OK);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        buf_reset(&b);
        unicode_normalize(&u, forms[i].form, forms[i].from, strlen(forms[i].from), &b);
        if (strcmp(buf_str(&b), forms[i].to) != 0)
            fail_msg("%s: '%s'", forms[i].name, buf_str(&b));
    }
    buf_release(&b);
    unicode_table_release(&u);
}

static void test_lower_case(void **state)
{
    static const uint32_t rows[][3] = {
        {'A',     'a',     0    },
        {'1',     '1',     0    },
        {0xC9,    0xE9,    0    },
        {0x3A3,   0x3C3,   0    },
        {0x130,   'i',     0x307},
        {0x1C89,  0x1C8A,  0    },
        {0x10D50, 0x10D70, 0    },
        {0xD55C,  0xD55C,  0    },
    };
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t step;

        buf_reset(&b);
        unicode_append_lower(&b, rows[i][0]);
        assert_int_equal(unicode_at(buf_str(&b), &step), rows[i][1]);
        if (rows[i][2])
            assert_int_equal(unicode_at(buf_str(&b) + step, &step), rows[i][2]);
    }
    buf_release(&b);
}

/* ---- charsmap: 'A' to 'a', e + U+0301 to U+00E9, U+2460 to '1', tab to space, U+200B to nothing
 */

static const char charsmap[] =
    "qAMAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACQUAAAcAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACAACAgQUAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABBBQAA"
    "AAAAgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "gAQAAAAAAABlBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AACRBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAADMBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAKAFAAAFAACAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA4gQAAAAAAAAAAAAA"
    "AAAAAAAAAACLBQAACQAAgGEAw6kAMQAgAAA=";

static const struct {
    const char *name;
    const char *from, *to;
} mapped[] = {
    {"a character",                                           "bAb",                      "bab"                     },
    {"a cluster",                                             "xe\xCC\x81x",              "x\xC3\xA9x"              },
    {"a character that becomes nothing",
     "a\xE2\x80\x8B"
     "b",                                                                                 "ab"                      },
    {"the shortest key decides, and takes the whole cluster",
     "A\xCC\x81"
     "b",                                                                                 "ab"                      },
    {"white space",                                           "a\tb",                     "a b"                     },
    {"what has no rule",                                      "\xED\x95\x9C\xE1\x84\x80", "\xED\x95\x9C\xE1\x84\x80"},
    {"a longer cluster goes one by one",                      "\xE2\x91\xA0\xE2\x83\x9D", "1\xE2\x83\x9D"           },
};

static void test_charsmap(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct charsmap m;
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    assert_int_equal(charsmap_read(charsmap, &m, &error), RAG_OK);
    for (size_t i = 0; i < sizeof mapped / sizeof mapped[0]; i++) {
        buf_reset(&b);
        charsmap_apply(&m, mapped[i].from, strlen(mapped[i].from), &b);
        if (strcmp(buf_str(&b), mapped[i].to) != 0)
            fail_msg("%s: '%s'", mapped[i].name, buf_str(&b));
    }
    buf_release(&b);
    charsmap_release(&m);
}

/* Any unit may hold any number: nothing is read past the ends. */
static void test_charsmap_with_any_offsets(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct charsmap m;
    uint32_t seed = 3;
    struct buf b;

    (void)state;
    buf_init(&b, 100000);
    assert_int_equal(charsmap_read(charsmap, &m, &error), RAG_OK);
    for (size_t round = 0; round < 2000; round++) {
        size_t at = next_random(&seed) % m.n_units;
        uint32_t kept = m.units[at];

        m.units[at] = next_random(&seed) << 16 ^ next_random(&seed);
        for (size_t i = 0; i < sizeof mapped / sizeof mapped[0]; i++) {
            buf_reset(&b);
            charsmap_apply(&m, mapped[i].from, strlen(mapped[i].from), &b);
        }
        m.units[at] = kept;
    }
    buf_release(&b);
    charsmap_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trie_against_a_list),
        cmocka_unit_test(test_trie_of_nothing),
        cmocka_unit_test(test_trie_has_no_key_of_zero_bytes_by_accident),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_normal_forms),
        cmocka_unit_test(test_lower_case),
        cmocka_unit_test(test_charsmap),
        cmocka_unit_test(test_charsmap_with_any_offsets),
    };

    return cmocka_run_group_tests_name("tokenizer parts", tests, NULL, NULL);
}
