/* Words of a set in a text: folding, whole words with particles, overlaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/bounds.h"
#include "finding_list.h"
#include "guard/keywords.h"

static struct keywords *make(bool whole, const char *const *words, size_t n)
{
    struct keywords *k = NULL;

    assert_int_equal(keywords_new(whole, &k, NULL), RAG_OK);
    for (size_t i = 0; i < n && words[i]; i++)
        assert_int_equal(keywords_add(k, words[i], strlen(words[i]), NULL), RAG_OK);
    assert_int_equal(keywords_build(k, NULL), RAG_OK);
    return k;
}

static const struct {
    const char *name;
    bool whole;
    const char *words[4];
    const char *text;
    const char *found;
} rows[] = {
    {"a word with a particle",                   true,  {"비밀"},                    "비밀을 지킨다",        "비밀"                        },
    {"two particles",                            true,  {"비밀"},                    "비밀에서는",            "비밀"                        },
    {"the copula",                               true,  {"비밀"},                    "이것은 비밀입니다.", "비밀"                        },
    {"a light verb",                             true,  {"해고"},                    "해고했다 해고하다",  "해고; 해고"                },
    {"the plural",                               true,  {"직원"},                    "직원들에게",            "직원"                        },
    {"another noun goes on",                     true,  {"비밀"},                    "비밀번호를",            ""                              },
    {"inside another noun",                      true,  {"비밀"},                    "극비밀",                  ""                              },
    {"inside, when asked for",                   false, {"비밀"},                    "극비밀번호",            "비밀"                        },
    {"no case, no width",                        true,  {"Secret"},                    "sEcReT ＳＥＣＲＥＴ",  "sEcReT; ＳＥＣＲＥＴ"    },
    {"a Latin word is whole",                    true,  {"cat"},                       "concat cats cat2 cat",       "cat"                           },
    {"Hangul touches a Latin word",              true,  {"KT"},                        "KT는 SKT",                  "KT"                            },
    {"digits before Hangul",                     true,  {"급"},                       "3급 기밀",                "급"                           },
    {"a mark ends a word",                       true,  {"대외비"},                 "[대외비]",                "대외비"                     },
    {"a word with a blank",
     true,                                              {"내부 기밀"},
     "내부  기밀을, 내부\n기밀",                                                                            "내부  기밀; 내부\n기밀"},
    {"zero-width characters hide nothing",       true,  {"비밀"},                    "비\u200B밀을",            "비\u200B밀"                  },
    {"the longest of those that begin together",
     false,                                             {"비밀", "비밀번호"},
     "비밀번호",                                                                                                 "비밀번호"                  },
    {"the longest of those that end together",   false, {"번호", "비밀번호"},    "비밀번호",               "비밀번호"                  },
    {"overlapping ones are two",                 false, {"가나", "나다"},          "가나다",                  "가나; 나다"                },
    {"one after the other",                      false, {"가나", "다라"},          "가나다라",               "가나; 다라"                },
    {"a word begun and not ended",               false, {"가나", "가나다라마"}, "가나다라바 가나",     "가나; 가나"                },
    {"falls back into a shorter word",           false, {"abcd", "bc"},                "abce",                       "bc"                            },
    {"nothing",                                  true,  {"비밀"},                    "",                           ""                              },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct keywords *k = make(rows[i].whole, rows[i].words, 4);
        struct finding_list list = {0};
        const struct finding_sink sink = finding_list_sink(&list, rows[i].text);
        char line[sizeof list.line];
        size_t n = 0;

        keywords_find(k, rows[i].text, strlen(rows[i].text), &sink);
        /* "keyword=a; keyword=b" -> "a; b" */
        for (const char *p = list.line; *p;) {
            if (strncmp(p, "keyword=", 8) == 0)
                p += 8;
            line[n++] = *p++;
        }
        line[n] = '\0';
        if (strcmp(line, rows[i].found) != 0)
            fail_msg("%s: '%s'", rows[i].name, line);
        keywords_free(k);
    }
}

static void test_limits(void **state)
{
    struct keywords *k = make(false, NULL, 0);
    struct rag_error error = {0};
    char word[GUARD_KEYWORD_CHARS_MAX + 1];

    (void)state;
    memset(word, 'a', sizeof word);
    assert_int_equal(keywords_add(k, word, GUARD_KEYWORD_CHARS_MAX - 1, &error), RAG_OK);
    assert_int_equal(keywords_add(k, word, GUARD_KEYWORD_CHARS_MAX, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "63 characters"));
    assert_int_equal(keywords_add(k, " \t", 2, &error), RAG_EINVAL);
    keywords_free(k);
    keywords_free(NULL);
}

/* Many words, grown tables: all are found again. */
static void test_many_words(void **state)
{
    struct keywords *k = NULL;
    char word[32];

    (void)state;
    assert_int_equal(keywords_new(false, &k, NULL), RAG_OK);
    for (int i = 0; i < 20000; i++) {
        snprintf(word, sizeof word, "w%05d", i * 7 % 20000);
        assert_int_equal(keywords_add(k, word, strlen(word), NULL), RAG_OK);
    }
    assert_int_equal(keywords_build(k, NULL), RAG_OK);
    for (int i = 0; i < 20000; i += 97) {
        struct finding_list list = {0};
        const struct finding_sink sink = finding_list_sink(&list, word);

        snprintf(word, sizeof word, "w%05d", i);
        keywords_find(k, word, strlen(word), &sink);
        assert_int_equal(list.n, 1);
    }
    keywords_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_many_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
