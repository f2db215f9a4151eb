/* Question sets: their reader, the off-topic list, and evidence spans. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "eval/evidence.h"
#include "eval/question_set.h"

static enum rag_status read_set(struct question_set *set, const char *text, struct rag_error *error)
{
    struct input *in = NULL;
    enum rag_status status;

    assert_int_equal(input_memory(text, strlen(text), "q.jsonl", &in, error), RAG_OK);
    status = question_set_read(in, set, error);
    input_close(in);
    return status;
}

static const char sample[] =
    "{\"id\":\"a\",\"question\":\"며칠?\",\"answer\":\"15일\",\"answer_norms\":[\"15일\"],\"doc\":"
    "[\"1.md\"],\"evidence\":[{\"doc\":\"1.md\",\"text\":\"15일을 준다\"}],\"kind\":\"factoid\"}\n"
    "{\"id\":\"b\",\"question\":\"둘?\",\"evidence\":[{\"doc\":\"1.md\",\"text\":\"x\"},{\"doc\":"
    "\"2.md\",\"text\":\"y\"},{\"doc\":\"1.md\",\"text\":\"z\"}]}\n"
    "{\"id\":\"c\",\"question\":\"다시?\",\"doc\":[\"1.md\"],\"of\":\"a\"}\n"
    "{\"id\":\"d\",\"question\":\"없음?\",\"answer\":null,\"doc\":[],\"evidence\":[],\"topic\":"
    "\"on\"}\n"
    "\n"
    "{\"id\":\"e\",\"question\":\"밖?\",\"topic\":\"off\"}\n"
    "{\"id\":\"f\",\"question\":\"모름?\"}\n";

static void test_reading(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct question_set set;

    (void)state;
    assert_int_equal(read_set(&set, sample, &error), RAG_OK);
    assert_int_equal(set.n, 6);
    assert_true(set.questions[0].answerable && !set.questions[0].paraphrase);
    assert_string_equal(set.questions[0].norms[0], "15일");
    assert_string_equal(set.questions[0].evidence[0].text, "15일을 준다");
    /* documents of the evidence, each once */
    assert_int_equal(set.questions[1].n_documents, 2);
    assert_string_equal(set.questions[1].documents[1], "2.md");
    assert_true(set.questions[2].paraphrase);
    assert_false(set.questions[3].answerable);
    assert_int_equal(set.questions[3].topic, TOPIC_ON);
    assert_int_equal(set.questions[4].topic, TOPIC_OFF);
    assert_int_equal(set.questions[5].topic, TOPIC_UNKNOWN);
    question_set_release(&set);
}

static void test_off_topic_list(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct question_set set;

    (void)state;
    assert_int_equal(read_set(&set, sample, &error), RAG_OK);
    assert_int_equal(question_set_mark_off_topic(&set, "d..e, f", &error), RAG_OK);
    assert_int_equal(set.questions[2].topic, TOPIC_ON);
    assert_int_equal(set.questions[3].topic, TOPIC_OFF);
    assert_int_equal(set.questions[4].topic, TOPIC_OFF);
    assert_int_equal(set.questions[5].topic, TOPIC_OFF);
    assert_int_equal(question_set_mark_off_topic(&set, "f", &error), RAG_OK);
    assert_int_equal(set.questions[3].topic, TOPIC_ON);
    assert_int_equal(question_set_mark_off_topic(&set, "d..zz", &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "'d..zz' is no question of the set"));
    assert_int_equal(question_set_mark_off_topic(&set, "e..d", &error), RAG_EINVAL);
    question_set_release(&set);
}

static const struct {
    const char *name;
    const char *text;
    const char *message;
} bad_rows[] = {
    {"an empty file",               "\n",                                                                   "holds no questions"                    },
    {"no object",                   "[1]\n",                                                                "line 1: not an object"                 },
    {"no id",                       "{\"question\":\"q\"}",                                                 "line 1: 'id' is missing or empty"      },
    {"no question",                 "{\"id\":\"a\"}",                                                       "line 1: 'question' is missing or empty"},
    {"an id twice",                 "{\"id\":\"a\",\"question\":\"q\"}\n{\"id\":\"a\",\"question\":\"q\"}",
     "the id 'a' occurs twice"                                                                                                                      },
    {"a topic that is none",        "{\"id\":\"a\",\"question\":\"q\",\"topic\":\"maybe\"}",
     "'maybe' is neither 'on' nor 'off'"                                                                                                            },
    {"evidence of another type",    "{\"id\":\"a\",\"question\":\"q\",\"evidence\":\"x\"}",
     "line 1: 'evidence': expected an array"                                                                                                        },
    {"evidence without a document",
     "{\"id\":\"a\",\"question\":\"q\",\"evidence\":[{\"text\":\"x\"}]}",                                   "'doc' is missing"                      },
    {"a document that is no text",  "{\"id\":\"a\",\"question\":\"q\",\"doc\":[1]}",
     "element 1 of 'doc' is not a string"                                                                                                           },
    {"the second line",             "{\"id\":\"a\",\"question\":\"q\"}\n{\"id\":",                          "line 2"                                },
};

static void test_bad_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_rows / sizeof bad_rows[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct question_set set;

        if (read_set(&set, bad_rows[i].text, &error) == RAG_OK)
            fail_msg("%s: was read", bad_rows[i].name);
        if (!strstr(error.text, bad_rows[i].message) || !strstr(error.text, "q.jsonl"))
            fail_msg("%s: '%s'", bad_rows[i].name, error.text);
        question_set_release(&set);
    }
}

static const struct {
    const char *name;
    const char *document;
    bool html;
    const char *evidence;
    const char *cited; /* its first occurrence in the document */
    bool covered;      /* as a cited span */
    bool held;         /* as a passage */
} evidence_rows[] = {
    {"the same span",                            "가나다라마바사아자차",     false, "나다라마바",                "나다라마바",        true,  true },
    {"a longer span around it",                  "가나다라마바사아자차",     false, "나다라",                      "가나다라마바",     true,
     true                                                                                                                                                             },
    {"three of five are 60%",                    "가나다라마바사아자차",     false, "가나다라마",                "다라마바사",        true,
     true                                                                                                                                                             },
    {"two of five are not",                      "가나다라마바사아자차",     false, "가나다라마",                "라마바사아",        false,
     false                                                                                                                                                            },
    {"a short span inside",                      "가나다라마바사아자차",     false, "가나다라마바사아자차", "라",                    true,
     false                                                                                                                                                            },
    {"of the shorter: two of three",             "가나다라마바사아자차",     false, "가나다라마",                "라마바",              true,
     false                                                                                                                                                            },
    {"of the shorter: one of three",             "가나다라마바사아자차",     false, "가나다라마",                "마바사",              false,
     false                                                                                                                                                            },
    {"elsewhere",                                "가나다라마바사아자차",     false, "가나다",                      "아자차",              false, false},
    {"not in the document",                      "가나다라마바사아자차",     false, "하하하",                      "가나다",              false, false},
    {"a row whose cells were joined otherwise",  "조부모 사망 |3일 | 30만 원", false,
     "조부모 사망 | 3일 | 30만 원",                                                                                     "조부모 사망 |3일", true,  true },
    {"marks that a parser dropped",              "2급(대외비): 고객 명단",     false, "**2급(대외비)**: 고객",
     "2급(대외비)",                                                                                                                                   true,  true },
    {"HTML without white space",                 "가나\n  다라\n마바",           true,  "가나 다라",                  "다라\n마바",         false,
     false                                                                                                                                                            },
    {"HTML: half is not enough, two thirds are", "가나\n  다라\n마바",           true,  "가나 다라 마바",
     "다라\n마바",                                                                                                                                    true,  true },
};

static void test_evidence(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof evidence_rows / sizeof evidence_rows[0]; i++) {
        const char *text = evidence_rows[i].document;
        const char *at = strstr(text, evidence_rows[i].cited);
        struct evidence_document d;
        struct evidence_place place;

        assert_non_null(at);
        assert_int_equal(evidence_document_init(&d, text, strlen(text), evidence_rows[i].html),
                         RAG_OK);
        assert_int_equal(evidence_find(&d, evidence_rows[i].evidence, &place), RAG_OK);
        if (evidence_covered(&d, &place, (size_t)(at - text),
                             (size_t)(at - text) + strlen(evidence_rows[i].cited)) !=
            evidence_rows[i].covered)
            fail_msg("%s", evidence_rows[i].name);
        if (evidence_held(&d, &place, (size_t)(at - text),
                          (size_t)(at - text) + strlen(evidence_rows[i].cited)) !=
            evidence_rows[i].held)
            fail_msg("%s: as a passage", evidence_rows[i].name);
        evidence_document_release(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_off_topic_list),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_evidence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
