/* Texts that become questions, and how they are taken out of the passage that answers them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ragctl/pair_text.h"

#define TEXT_MAX 512

struct row {
    const char *name;
    const char *text;
    const char *what;
    const char *left;
};

static void run(const struct row *rows, size_t n, void (*cut)(char *, const char *))
{
    for (size_t i = 0; i < n; i++) {
        char text[TEXT_MAX];

        strcpy(text, rows[i].text);
        cut(text, rows[i].what);
        if (strcmp(text, rows[i].left) != 0)
            fail_msg("%s: '%s'", rows[i].name, text);
    }
}

static void test_cut(void **state)
{
    static const struct row rows[] = {
        {"every occurrence goes",             "a b c a b",                  "a b",                    " c " },
        {"white space and case do not count", "The  Wing\nFlow x",          "the wing flow",          " x"  },
        {"half of it stays",                  "a b",                        "a b c",                  "a b" },
        {"nothing is nowhere",                "a b",                        "",                       "a b" },
        {"of blanks only nothing is taken",   "a b",                        "  ",                     "a b" },
        {"Korean",                            "연차는 15일이다. 끝", "연차는 15일이다.", " 끝"},
    };

    (void)state;
    run(rows, sizeof rows / sizeof rows[0], pair_text_cut);
}

static void test_cut_name(void **state)
{
    static const struct row rows[] = {
        {"a line of its own goes, its marks with it", "x\n## Set up\ny",      "Set up", "x\ny"                },
        {"in a sentence it stays",                    "x\nhow to set up a y", "Set up", "x\nhow to set up a y"},
        {"at the beginning it goes",                  "set up. then y",       "Set up", ". then y"            },
        {"the last line too",                         "x\nSet up",            "Set up", "x\n"                 },
        {"a text that is nothing else",               "Set up",               "Set up", ""                    },
        {"no name, no change",                        "x\n\ny",               "",       "x\n\ny"              },
    };

    (void)state;
    run(rows, sizeof rows / sizeof rows[0], pair_text_cut_name);
}

static void test_cut_part(void **state)
{
    static const struct row rows[] = {
        {"the first of a path", "A x > B > C", "a X", "B > C" },
        {"one in between",      "A > B > C",   "B",   "A > C" },
        {"the last",            "A > B",       "B",   "A"     },
        {"the only one",        "A",           "A",   ""      },
        {"part of one stays",   "AB > C",      "A",   "AB > C"},
        {"an empty path",       "",            "A",   ""      },
        {"twice",               "A > B > A",   "A",   "B"     },
    };

    (void)state;
    run(rows, sizeof rows / sizeof rows[0], pair_text_cut_part);
}

static void test_kinds(void **state)
{
    (void)state;
    assert_true(pair_text_is_generic("개요"));
    assert_true(pair_text_is_generic(" See  Also "));
    assert_false(pair_text_is_generic("See also the pump"));
    assert_true(pair_text_is_name("휴가 신청 방법"));
    assert_false(pair_text_is_name("휴가신청방법안내"));
    assert_false(pair_text_is_name("연차 휴가"));
    assert_true(pair_text_is_sentence("연차는 다음 해로 열 일까지 이월된다.",
                                      strlen("연차는 다음 해로 열 일까지 이월된다.")));
    assert_false(pair_text_is_sentence("| a row of a table |", 20));
    assert_false(pair_text_is_sentence("# A heading of some length", 26));
    assert_true(pair_text_says("the Wing  flow", "wing flow"));
    assert_false(pair_text_says("the wing", "wing flow"));
    assert_false(pair_text_says("the wing", ""));
    assert_true(pair_text_hash("A  b\n") == pair_text_hash(" a b"));
    assert_true(pair_text_hash("ab") != pair_text_hash("a b"));
}

static void test_reduce(void **state)
{
    static const char sentence[] =
        "The pressure on the wing was measured in a wind tunnel, and (later) in free flight.";
    char first[TEXT_MAX];
    char text[TEXT_MAX];
    uint64_t random = 1;
    size_t n_short = 0;

    (void)state;
    strcpy(first, sentence);
    assert_true(pair_text_reduce(first, &random));
    for (uint64_t seed = 1; seed < 50; seed++) {
        size_t n = 0;

        random = seed;
        strcpy(text, sentence);
        assert_true(pair_text_reduce(text, &random));
        if (seed == 1)
            assert_string_equal(text, first);
        for (char *at = text, *word; (word = strtok(at, " ")) != NULL; at = NULL, n++) {
            assert_non_null(strstr(sentence, word));
            assert_true(strcmp(word, "the") != 0 && strcmp(word, "The") != 0 &&
                        strpbrk(word, "(),.") == NULL);
        }
        assert_in_range(n, PAIR_WORDS_MIN, PAIR_WORDS_MAX);
        n_short += n < 8; /* pressure wing measured wind tunnel later free flight */
    }
    assert_true(n_short > 25);
    strcpy(text, "이것은 그 수 있다");
    random = 1;
    assert_false(pair_text_reduce(text, &random));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),      cmocka_unit_test(test_cut_name),
        cmocka_unit_test(test_cut_part), cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_reduce),
    };

    return cmocka_run_group_tests_name("pair_text", tests, NULL, NULL);
}
