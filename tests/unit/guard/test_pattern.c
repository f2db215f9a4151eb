/* Regular expressions within their limits. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "finding_list.h"
#include "guard/pattern.h"

static const struct {
    const char *name;
    const char *pattern;
    bool ignore_case;
    const char *text;
    const char *found;
} rows[] = {
    {"a number of its own kind",    "EMP-\\d{6}",        false, "EMP-123456과 EMP-12", "pattern=EMP-123456"               },
    {"digits are those of Unicode", "\\d+",              false, "１２ 34",            "pattern=１２; pattern=34"       },
    {"a class of syllables",        "[가-힣]+장",     false, "부장 및 본부장", "pattern=부장; pattern=본부장"},
    {"words end where Hangul does", "\\b비밀\\b",      false, "비밀 비밀번호",  "pattern=비밀"                   },
    {"no case",                     "secret",            true,  "SeCrEt",               "pattern=SeCrEt"                   },
    {"case",                        "secret",            false, "SeCrEt",               ""                                 },
    {"lines have their own ends",   "^a$",               false, "b\na\nb",              "pattern=a"                        },
    {"what is before the point",    "password: \\K\\S+", false, "password: hunter2",
     "pattern=hunter2"                                                                                                     },
    {"empty matches mean nothing",  "x*",                false, "axa",                  "pattern=x"                        },
    {"nothing in nothing",          "a",                 false, "",                     ""                                 },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct guard_pattern *p = NULL;
        struct finding_list list = {0};
        const struct finding_sink sink = finding_list_sink(&list, rows[i].text);

        assert_int_equal(guard_pattern_compile(rows[i].pattern, rows[i].ignore_case, &p, NULL),
                         RAG_OK);
        assert_int_equal(
            guard_pattern_find(p, rows[i].text, strlen(rows[i].text), NULL, &sink, NULL), RAG_OK);
        if (strcmp(list.line, rows[i].found) != 0)
            fail_msg("%s: '%s'", rows[i].name, list.line);
        guard_pattern_free(p);
    }
}

static void test_mistakes_are_named(void **state)
{
    static const struct {
        const char *pattern;
        enum rag_status status;
        const char *message;
    } bad[] = {
        {"a(b",                        RAG_EINVAL, "at byte 3: missing closing parenthesis"},
        {"[z-a]",                      RAG_EINVAL, "at byte 3: range out of order"         },
        {"a\\Cb",                      RAG_EINVAL, "\\C"                                   },
        {"((((a{200}){60}){60}){60})", RAG_EINVAL, "too large"                             },
        {"(?:(?:ab?){20}){90}",        RAG_ELIMIT, "the limit is 49152"                    },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct guard_pattern *p = NULL;
        struct rag_error error = {0};
        enum rag_status status = guard_pattern_compile(bad[i].pattern, false, &p, &error);

        if (status != bad[i].status || !strstr(error.text, bad[i].message))
            fail_msg("%s: %d '%s'", bad[i].pattern, status, error.text);
        assert_null(p);
    }
}

/* Each takes longer than anybody waits, without limits. The text: 'n' times 'unit' and 'end'. */
static void test_catastrophes_are_cut_off(void **state)
{
    static const struct {
        const char *pattern;
        const char *unit;
        size_t n;
        const char *end;
    } slow[] = {
        {"(a+)+$",                      "a",    64,   "!"               },
        {"(.*a){25}",                   "a",    24,   "bbbbbbbbbbbbbbbb"},
        {"(a|aa)+$",                    "a",    64,   "!"               },
        {"^(([a-z])+.)+[A-Z]([a-z])+$", "a",    64,   ""                },
        {"(a|a?)+[bc]",                 "a",    64,   ""                },
        {"(x+x+)+[yz]",                 "x",    64,   ""                },
        {"([가-힣]+)*[0-9]",          "가",  64,   "!"               },
        {".*.*.*.*=.*[;:]",             "=",    2000, ""                },
        {"(?<=a|aa|aaa)(a+)+[cd]",      "a",    64,   ""                },
        {"^(?=(\\w+\\s?)+$)[xy]",       "word", 1000, "!"               },
    };
    char *text = malloc(1 << 16);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++) {
        struct guard_pattern *p = NULL;
        struct rag_error error = {0};
        struct finding_list list = {0};
        const struct finding_sink sink = finding_list_sink(&list, text);
        enum rag_status status;
        size_t n = 0;

        for (size_t k = 0; k < slow[i].n; k++, n += strlen(slow[i].unit))
            memcpy(text + n, slow[i].unit, strlen(slow[i].unit));
        memcpy(text + n, slow[i].end, strlen(slow[i].end) + 1);
        assert_int_equal(guard_pattern_compile(slow[i].pattern, false, &p, &error), RAG_OK);
        status = guard_pattern_find(p, text, strlen(text), NULL, &sink, &error);
        if (status != RAG_ELIMIT || !strstr(error.text, "cut off at a limit"))
            fail_msg("%s: %d '%s'", slow[i].pattern, status, error.text);
        guard_pattern_free(p);
    }
    free(text);
}

/* Many starts that each stay below a limit of PCRE2's own are still too many together. */
static void test_many_short_attempts_are_cut_off(void **state)
{
    const size_t n = 1 << 20;
    char *text = malloc(n + 1);
    struct guard_pattern *p = NULL;
    struct finding_list list = {0};
    const struct finding_sink sink = finding_list_sink(&list, text);

    (void)state;
    assert_non_null(text);
    memset(text, 'a', n);
    text[n] = '\0';
    assert_int_equal(guard_pattern_compile("a{0,90}a{0,90}b", false, &p, NULL), RAG_OK);
    assert_int_equal(guard_pattern_find(p, text, n, NULL, &sink, NULL), RAG_ELIMIT);
    guard_pattern_free(p);
    free(text);
}

static void test_a_cancelled_search_ends(void **state)
{
    atomic_bool cancel = true;
    const size_t n = 1 << 20;
    char *text = malloc(n);
    struct guard_pattern *p = NULL;
    struct finding_list list = {.n_max = 1};
    const struct finding_sink sink = finding_list_sink(&list, text);

    (void)state;
    assert_non_null(text);
    memset(text, 'a', n);
    assert_int_equal(guard_pattern_compile("ab|ac", false, &p, NULL), RAG_OK);
    assert_int_equal(guard_pattern_find(p, text, n, &cancel, &sink, NULL), RAG_ECANCELLED);
    guard_pattern_free(p);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_mistakes_are_named),
        cmocka_unit_test(test_catastrophes_are_cut_off),
        cmocka_unit_test(test_many_short_attempts_are_cut_off),
        cmocka_unit_test(test_a_cancelled_search_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
