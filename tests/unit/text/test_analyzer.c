/* What terms come out of Korean text: the table is the analyzer's contract. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bounds.h"
#include "text/analyzer.h"

static struct analyzer *open_with(const char *dictionary, const char *synonyms)
{
    struct analyzer_options options = {.user_dictionary = dictionary, .synonyms = synonyms};
    struct analyzer *a = NULL;
    struct rag_error err = {0};

    if (analyzer_open(&options, &a, &err) != RAG_OK)
        fail_msg("%s", err.text);
    return a;
}

static void temporary_file(char path[32], const char *text)
{
    FILE *f;
    int fd;

    snprintf(path, 32, "/tmp/test_analyzer.XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    f = fdopen(fd, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static struct term_list passage_terms(const struct analyzer *a, const char *text)
{
    struct term_list list = {0};

    assert_int_equal(analyzer_passage(a, text, strlen(text), &list), RAG_OK);
    return list;
}

static struct term_list question_terms(const struct analyzer *a, const char *text)
{
    struct term_list list = {0};

    assert_int_equal(analyzer_question(a, text, strlen(text), &list), RAG_OK);
    return list;
}

/* Weight of the question terms that the passage has, over the weight of all. */
static float shared(const struct analyzer *a, const char *question, const char *passage)
{
    struct term_list q = question_terms(a, question);
    struct term_list p = passage_terms(a, passage);
    float found = 0;
    float all = 0;

    for (size_t i = 0; i < q.n; i++) {
        all += q.items[i].weight;
        for (size_t k = 0; k < p.n; k++)
            if (p.items[k].id == q.items[i].id) {
                found += q.items[i].weight;
                break;
            }
    }
    term_list_release(&q);
    term_list_release(&p);
    return all > 0 ? found / all : 0;
}

static const struct {
    const char *name;
    const char *question;
    const char *passage;
    float min;
    float max;
} matches[] = {
    {"another particle is the same word",               "학생은",    "학생들에게서는", 0.7f, 1    },
    {"a name keeps its identity under a particle",      "임종석이", "임종석을",          0.7f, 1    },
    {"은 and 는 follow the final consonant",          "나는",       "나를",                0.7f, 1    },
    {"two syllables: a noun, not noun + particle",      "결과",       "결과",                1,    1    },
    {"a stem inside a compound is found by its bigram", "수도",       "수도권의",          0.4f, 0.9f },
    {"another noun that shares no syllable pair",       "수도",       "도수",                0,    0.01f},
    {"a noun with 하다 in any form",                  "조사한",    "조사하였으며",    0.6f, 1    },
    {"되다 too",                                      "구성되어", "구성된",             0.6f, 1    },
    {"a past form and a present form",                  "불리는",    "불렸다",             0.1f, 1    },
    {"an adnominal form and a past form",               "만든",       "만들었다",          0.1f, 1    },
    {"르 verbs",                                       "부르는",    "불렀다",             0.1f, 1    },
    {"one syllable with a particle",                    "왕은",       "왕을",                0.6f, 1    },
    {"a particle after Latin letters is no word",       "SQLite를",    "SQLite",                1,    1    },
    {"Latin letters in any case",                       "sqlite",       "SQLITE",                1,    1    },
    {"full-width letters and digits",                   "ＳＱＬ２", "sql2",                  1,    1    },
    {"an accent is no difference",                      "Café",        "cafe",                  1,    1    },
    {"a particle after a quotation",                    "'가을'은",  "가을",                1,    1    },
    {"a number with its unit, another particle",        "3일에는",   "3일",                  1,    1    },
    {"the number alone is found, the unit is not",      "3일",         "3회",                  0.3f, 0.7f },
    {"thousands separators",                            "18,500원",    "18500원",              1,    1    },
    {"leading zeros",                                   "06월",        "6월",                  1,    1    },
    {"만 is four zeros",                               "3만원",      "30,000원",             1,    1    },
    {"조 is an article of a law, not 10^12",           "제3조",      "제3조",               1,    1    },
    {"a dotted date is three numbers",                  "2024.06.11",   "2024 6 11",             1,    1    },
    {"a decimal is one number",                         "3.14",         "3 14",                  0,    0.01f},
    {"a code whole",                                    "AP-520",       "AP520",                 0.4f, 1    },
    {"a code by a part",                                "AP-520",       "AP",                    0.1f, 0.6f },
    {"another code",                                    "AP-520",       "AP-700",                0.1f, 0.5f },
    {"C++ is not C",                                    "C++",          "C",                     0.2f, 0.7f },
    {"a plural",                                        "policies",     "policy",                1,    1    },
    {"a compatibility form",                            "5㎏",         "5kg",                   1,    1    },
    {"hanja",                                           "大韓民國", "大韓民國",          1,    1    },
    {"hanja by a part",                                 "民國",       "大韓民國",          1,    1    },
    {"zero-width characters are not there",             "한\u200D국", "한국",                1,    1    },
};

static void test_matches(void **state)
{
    struct analyzer *a = open_with(NULL, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof matches / sizeof matches[0]; i++) {
        float s = shared(a, matches[i].question, matches[i].passage);

        if (s < matches[i].min - 1e-6f || s > matches[i].max + 1e-6f)
            fail_msg("%s: shared %.3f, not %.2f..%.2f", matches[i].name, (double)s,
                     (double)matches[i].min, (double)matches[i].max);
    }
    analyzer_close(a);
}

static float heaviest(const struct analyzer *a, const char *text)
{
    struct term_list q = question_terms(a, text);
    float max = 0;

    for (size_t i = 0; i < q.n; i++)
        max = q.items[i].weight > max ? q.items[i].weight : max;
    term_list_release(&q);
    return max;
}

static void test_question_words_weigh_little(void **state)
{
    static const char *const light[] = {"누구인가", "무엇인가요", "어디에", "언제",
                                        "몇",       "왜",         "알려줘", "인가요"};
    struct analyzer *a = open_with(NULL, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof light / sizeof light[0]; i++)
        if (heaviest(a, light[i]) > 0.1f)
            fail_msg("%s weighs %.2f", light[i], (double)heaviest(a, light[i]));
    assert_true(heaviest(a, "대통령") > 0.5f);
    assert_true(heaviest(a, "이름은") < heaviest(a, "대통령은"));
    analyzer_close(a);
}

static void test_terms_carry_their_place(void **state)
{
    static const char text[] = "  한국의 SQLite를 3일";
    struct analyzer *a = open_with(NULL, NULL);
    struct term_list list = passage_terms(a, text);
    bool latin = false;

    (void)state;
    for (size_t i = 0; i < list.n; i++) {
        const struct term *t = &list.items[i];

        assert_true(t->byte_start < t->byte_end && t->byte_end <= sizeof text - 1);
        assert_true(i == 0 || t->position >= list.items[i - 1].position);
        assert_true(t->weight > 0);
        if (t->kind == TERM_WORD) {
            latin = true;
            assert_int_equal(t->position, 1);
            assert_memory_equal(text + t->byte_start, "SQLite", 6);
            assert_int_equal(t->byte_end - t->byte_start, 6);
        }
    }
    assert_true(latin);
    term_list_release(&list);
    analyzer_close(a);
}

static void test_a_question_has_each_term_once_and_not_too_many(void **state)
{
    struct analyzer *a = open_with(NULL, NULL);
    struct term_list q = question_terms(a, "한국 한국의 한국을");
    char *text = calloc(1, 40000);

    (void)state;
    for (size_t i = 0; i < q.n; i++)
        for (size_t k = 0; k < i; k++)
            assert_true(q.items[i].id != q.items[k].id);
    term_list_release(&q);
    assert_non_null(text);
    for (size_t i = 0; i < 5000; i++)
        snprintf(text + strlen(text), 8, "w%zu ", i);
    q = question_terms(a, text);
    assert_int_equal(q.n, QUERY_TERMS_MAX);
    term_list_release(&q);
    free(text);
    analyzer_close(a);
}

static void test_a_word_of_any_length_is_read(void **state)
{
    struct analyzer *a = open_with(NULL, NULL);
    size_t n = 3000 * 3;
    char *text = malloc(n + 1);
    struct term_list list = {0};

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < n; i += 3)
        memcpy(text + i, i % 2 ? "가" : "나", 3);
    text[n] = '\0';
    assert_int_equal(analyzer_passage(a, text, n, &list), RAG_OK);
    assert_true(list.n > 2900);
    for (size_t i = 0; i < list.n; i++)
        assert_int_equal(list.items[i].position, 0);
    assert_int_equal(analyzer_passage(a, "", 0, &list), RAG_OK);
    assert_int_equal(list.n, 0);
    term_list_release(&list);
    free(text);
    analyzer_close(a);
}

static void test_user_dictionary(void **state)
{
    char path[32];
    struct analyzer *plain = open_with(NULL, NULL);
    struct analyzer *a;

    (void)state;
    temporary_file(path, "# our products\n샛별이\n  모아도서관  # with a comment\n\n");
    a = open_with(path, NULL);
    assert_true(shared(plain, "샛별이", "샛별") > 0.5f);
    assert_true(shared(a, "샛별이", "샛별") < 0.5f);
    assert_true(shared(a, "샛별이를", "샛별이") > 0.99f);
    assert_true(shared(a, "모아도서관에서는", "모아도서관") > 0.99f);
    assert_string_not_equal(analyzer_fingerprint(a), analyzer_fingerprint(plain));
    analyzer_close(a);
    analyzer_close(plain);
    unlink(path);
}

static void test_synonyms(void **state)
{
    char path[32];
    struct analyzer *plain = open_with(NULL, NULL);
    struct analyzer *a;
    struct term_list q;
    bool added = false;

    (void)state;
    temporary_file(path, "휴가, 연차, vacation\n노트북, 랩톱\n");
    a = open_with(NULL, path);
    assert_true(shared(plain, "휴가는", "연차") < 0.01f);
    assert_true(shared(a, "휴가는", "연차") > 0.1f);
    assert_true(shared(a, "휴가규정은", "vacation") > 0.1f);
    q = question_terms(a, "휴가는");
    for (size_t i = 0; i < q.n; i++)
        if (q.items[i].kind == TERM_SYNONYM) {
            added = true;
            assert_true(q.items[i].weight <= 0.5f);
        }
    assert_true(added);
    term_list_release(&q);
    analyzer_close(a);
    analyzer_close(plain);
    unlink(path);
}

static void test_bad_files_are_named(void **state)
{
    static const struct {
        const char *name;
        const char *dictionary;
        const char *synonyms;
        const char *message;
    } rows[] = {
        {"two words on a line", "가나\n다 라\n", NULL,                "line 2: '다 라'"},
        {"a synonym alone",     NULL,                "가, 나\n\n다\n", "line 3"           },
        {"no UTF-8",            "\xFF\xFE\n",        NULL,                "not UTF-8"        },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[32];
        struct analyzer_options options = {0};
        struct analyzer *a = NULL;
        struct rag_error err = {0};

        temporary_file(path, rows[i].dictionary ? rows[i].dictionary : rows[i].synonyms);
        if (rows[i].dictionary)
            options.user_dictionary = path;
        else
            options.synonyms = path;
        assert_int_equal(analyzer_open(&options, &a, &err), RAG_EFORMAT);
        if (!strstr(err.text, rows[i].message) || !strstr(err.text, path))
            fail_msg("%s: '%s'", rows[i].name, err.text);
        unlink(path);
    }
}

static void test_options(void **state)
{
    struct analyzer_options options = {.user_dictionary = "/nonexistent/words"};
    struct analyzer *a = NULL;
    struct rag_error err = {0};
    unsigned bits = 7;

    (void)state;
    assert_int_equal(analyzer_open(&options, &a, &err), RAG_EIO);
    assert_non_null(strstr(err.text, "/nonexistent/words"));
    options = (struct analyzer_options){.mecab_dictionary = "/nonexistent/dictionary"};
    assert_int_equal(analyzer_open(&options, &a, &err), RAG_EINVAL);
    assert_non_null(strstr(err.text, "/nonexistent/dictionary"));
    assert_int_equal(analyzer_features("verbs,nothing", &bits, &err), RAG_EINVAL);
    assert_non_null(strstr(err.text, "'nothing'"));
    assert_int_equal(bits, 7);
    assert_int_equal(analyzer_features("particles,verbs", &bits, &err), RAG_OK);
    assert_int_equal(analyzer_open(NULL, &a, &err), RAG_OK);
    assert_int_equal(strlen(analyzer_fingerprint(a)), ANALYZER_FINGERPRINT_BYTES - 1);
    analyzer_close(a);
    analyzer_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_question_words_weigh_little),
        cmocka_unit_test(test_terms_carry_their_place),
        cmocka_unit_test(test_a_question_has_each_term_once_and_not_too_many),
        cmocka_unit_test(test_a_word_of_any_length_is_read),
        cmocka_unit_test(test_user_dictionary),
        cmocka_unit_test(test_synonyms),
        cmocka_unit_test(test_bad_files_are_named),
        cmocka_unit_test(test_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
