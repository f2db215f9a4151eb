/* The readers of KLUE-MRC, SQuAD and KorQuAD files and of distractors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "eval/dataset.h"

static enum rag_status read_squad(struct dataset *d, const char *text, struct rag_error *error)
{
    struct input *in = NULL;
    enum rag_status status;

    dataset_init(d);
    assert_int_equal(input_memory(text, strlen(text), "x.json", &in, error), RAG_OK);
    status = dataset_read_squad(d, in, error);
    input_close(in);
    return status;
}

static void test_klue_file(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct input *in = NULL;
    struct dataset d;
    size_t n_answerable = 0;

    (void)state;
    dataset_init(&d);
    assert_int_equal(input_open(RAG_TEST_DATA "/klue-synthetic.json", &in, &error), RAG_OK);
    assert_int_equal(dataset_read_squad(&d, in, &error), RAG_OK);
    input_close(in);
    assert_string_equal(d.version, "klue-mrc-v1.1");
    assert_int_equal(d.n_questions, 30);
    assert_int_equal(d.n_passages, 10);
    for (size_t i = 0; i < d.n_questions; i++) {
        const struct dataset_question *q = &d.questions[i];

        n_answerable += q->answerable ? 1 : 0;
        assert_true(strncmp(q->id, "klue-mrc-v1_synth_", 18) == 0);
        assert_true(q->answerable ? q->n_answers > 0 : q->n_answers == 0);
        for (size_t k = 0; k < q->n_answers; k++) {
            const struct dataset_answer *a = &q->answers[k];

            /* the file's places are right: each one was found there */
            assert_true(a->byte_start != ANSWER_ANYWHERE);
            assert_memory_equal(d.passages[q->passage].text + a->byte_start, a->text,
                                strlen(a->text));
        }
    }
    assert_int_equal(n_answerable, 20);
    dataset_release(&d);
}

#define QA(members)                                                                                \
    "{\"data\":[{\"paragraphs\":[{\"context\":\"가나다 라마\",\"qas\":[{" members "}]}]}]}"

static const struct {
    const char *name;
    const char *text;
    const char *id;
    bool answerable;
    size_t n_answers;
    uint32_t start; /* bytes; of the first answer */
} rows[] = {
    {"SQuAD's id",
     QA("\"id\":\"a1\",\"question\":\"q\",\"answers\":[{\"text\":\"라마\","
        "\"answer_start\":4}]"),
     "a1",                                                                                                                           true,  1, 10             },
    {"KLUE's guid",
     QA("\"guid\":\"g\",\"question\":\"q\",\"is_impossible\":false,\"answers\":[{"
        "\"text\":\"다\",\"answer_start\":2}]"),
     "g",                                                                                                                            true,  1, 6              },
    {"neither",                            QA("\"question\":\"q\",\"answers\":[]"),                  "data[0].paragraphs[0].qas[0]", true,  0,
     0                                                                                                                                                        },
    {"impossible",
     QA("\"guid\":\"g\",\"question\":\"q\",\"is_impossible\":true,\"answers\":[],"
        "\"plausible_answers\":[{\"text\":\"다\",\"answer_start\":2}]"),
     "g",                                                                                                                            false, 0, 0              },
    {"answer_start -1",
     QA("\"id\":\"i\",\"question\":\"q\",\"answers\":[{\"text\":\"라마\","
        "\"answer_start\":-1}]"),
     "i",                                                                                                                            true,  1, ANSWER_ANYWHERE},
    {"answer_start that points elsewhere",
     QA("\"id\":\"i\",\"question\":\"q\",\"answers\":[{\"text\":\"라마\",\"answer_start\":1}]"),
     "i",                                                                                                                            true,  1, ANSWER_ANYWHERE},
    {"answer_start past the end",
     QA("\"id\":\"i\",\"question\":\"q\",\"answers\":[{\"text\":\"라마\",\"answer_start\":999}]"),
     "i",                                                                                                                            true,  1, ANSWER_ANYWHERE},
    {"an empty alternative is left out",
     QA("\"id\":\"i\",\"question\":\"q\",\"answers\":[{\"text\":\"\",\"answer_start\":0},"
        "{\"text\":\"가\",\"answer_start\":0}]"),
     "i",                                                                                                                            true,  1, 0              },
    {"places are those of the NFC text",
     "{\"data\":[{\"title\":null,\"news_category\":null,\"paragraphs\":[{\"context\":"
     "\"\\u1100\\u1161\\u1102\\u1161 \\ub2e4\",\"qas\":[{\"id\":\"i\",\"question\":\"q\","
     "\"answers\":[{\"text\":\"다\",\"answer_start\":5}]}]}]}]}",                                   "i",                            true,  1, 7              },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct dataset d;

        if (read_squad(&d, rows[i].text, &error) != RAG_OK)
            fail_msg("%s: %s", rows[i].name, error.text);
        assert_int_equal(d.n_questions, 1);
        if (strcmp(d.questions[0].id, rows[i].id) != 0 ||
            d.questions[0].answerable != rows[i].answerable ||
            d.questions[0].n_answers != rows[i].n_answers ||
            (rows[i].n_answers > 0 && d.questions[0].answers[0].byte_start != rows[i].start))
            fail_msg("%s: id '%s', %zu answers, start %u", rows[i].name, d.questions[0].id,
                     d.questions[0].n_answers,
                     d.questions[0].n_answers ? d.questions[0].answers[0].byte_start : 0);
        dataset_release(&d);
    }
}

static const struct {
    const char *name;
    const char *text;
    const char *message; /* part of it */
} bad_rows[] = {
    {"no JSON",                       "{\"data\":",                                                       "file 'x.json'"                            },
    {"no data",                       "{\"rows\":[]}",                                                    "there is no array 'data'"                 },
    {"data of another type",          "{\"data\":{}}",                                                    "there is no array 'data'"                 },
    {"no questions at all",           "{\"data\":[{\"paragraphs\":[{\"context\":\"가\",\"qas\":[]}]}]}",
     "holds no questions"                                                                                                                            },
    {"no paragraphs",                 "{\"data\":[{\"title\":\"x\"}]}",                                   "data[0]: 'paragraphs' is missing"         },
    {"a context that is no text",     "{\"data\":[{\"paragraphs\":[{\"context\":5,\"qas\":[{}]}]}]}",
     "data[0].paragraphs[0]: 'context': expected a string, not a number"                                                                             },
    {"questions about nothing",
     "{\"data\":[{\"paragraphs\":[{\"context\":\" \",\"qas\":[{\"question\":\"q\"}]}]}]}",                "data[0].paragraphs[0]: 'context' is empty"},
    {"a question without text",       QA("\"id\":\"i\",\"answers\":[]"),
     "data[0].paragraphs[0].qas[0]: 'question' is missing"                                                                                           },
    {"answers of another type",       QA("\"question\":\"q\",\"answers\":\"x\""),                         "'answers': expected"                      },
    {"an answer of another type",     QA("\"question\":\"q\",\"answers\":[1]"),
     "an answer is not an object"                                                                                                                    },
    {"answer_start of another type",
     QA("\"question\":\"q\",\"answers\":[{\"text\":\"가\",\"answer_start\":\"0\"}]"),
     "'answer_start': expected an integer"                                                                                                           },
    {"is_impossible of another type", QA("\"question\":\"q\",\"is_impossible\":1"),
     "'is_impossible': expected true or false"                                                                                                       },
};

static void test_bad_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_rows / sizeof bad_rows[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct dataset d;

        if (read_squad(&d, bad_rows[i].text, &error) == RAG_OK)
            fail_msg("%s: was read", bad_rows[i].name);
        if (!strstr(error.text, bad_rows[i].message) || !strstr(error.text, "x.json"))
            fail_msg("%s: '%s'", bad_rows[i].name, error.text);
        dataset_release(&d);
    }
}

static const char three[] =
    "{\"data\":[{\"paragraphs\":[{\"context\":\"하나\",\"qas\":[{\"id\":\"q0\",\"question\":\"q\"},"
    "{\"id\":\"q1\",\"question\":\"q\"}]},{\"context\":\"둘\",\"qas\":[]},{\"context\":\"셋\","
    "\"qas\":[{\"id\":\"q2\",\"question\":\"q\"}]}]},{\"paragraphs\":[{\"context\":\"하나\","
    "\"qas\":[{\"id\":\"q3\",\"question\":\"q\",\"is_impossible\":true}]}]}]}";

static void test_equal_contexts_are_one_passage(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct dataset d;

    (void)state;
    assert_int_equal(read_squad(&d, three, &error), RAG_OK);
    assert_int_equal(d.n_paragraphs, 4);
    assert_int_equal(d.n_passages, 3);
    assert_int_equal(d.passages[0].n_paragraphs, 2);
    assert_int_equal(d.questions[3].passage, d.questions[0].passage);
    dataset_release(&d);
}

static void test_sample_and_book_corpus(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct dataset d;

    (void)state;
    assert_int_equal(read_squad(&d, three, &error), RAG_OK);
    assert_int_equal(dataset_sample(&d, 5, 42, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "from 1 to 4"));
    /* default_rng(42).permutation(4) is 3 2 1 0 */
    assert_int_equal(dataset_sample(&d, 2, 42, &error), RAG_OK);
    assert_int_equal(d.n_questions, 2);
    assert_string_equal(d.questions[0].id, "q3");
    assert_string_equal(d.questions[1].id, "q2");
    assert_int_equal(d.n_passages, 3);
    assert_int_equal(dataset_book_corpus(&d, &error), RAG_OK);
    assert_int_equal(d.n_passages, 2);
    assert_string_equal(d.passages[d.questions[0].passage].text, "하나");
    assert_string_equal(d.passages[d.questions[1].passage].text, "셋");
    assert_false(d.questions[0].answerable);
    assert_int_equal(d.passages[0].n_paragraphs, 1);
    dataset_release(&d);
}

static void test_distractors(void **state)
{
    static const char lines[] = "{\"id\":\"d0\",\"text\":\"넷\"}\n\n{\"text\":\"둘\"}\r\n"
                                "{\"text\":\"다섯\",\"title\":\"제목\"}";
    struct rag_error error = {RAG_OK, ""};
    char packed[1000];
    size_t n_packed = ZSTD_compress(packed, sizeof packed, lines, sizeof lines - 1, 3);
    const struct {
        const char *data;
        size_t n;
    } forms[] = {
        {lines,  sizeof lines - 1},
        {packed, n_packed        }
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct input *in = NULL;
        struct dataset d;
        size_t n = 0;

        assert_int_equal(read_squad(&d, three, &error), RAG_OK);
        assert_int_equal(input_memory(forms[i].data, forms[i].n, "d", &in, &error), RAG_OK);
        assert_int_equal(dataset_read_distractors(&d, in, &n, &error), RAG_OK);
        input_close(in);
        assert_int_equal(n, 2); /* "둘" is there already */
        assert_int_equal(d.n_passages, 5);
        assert_string_equal(d.passages[4].title, "제목");
        assert_int_equal(d.passages[4].n_paragraphs, 0);
        dataset_release(&d);
    }
}

static void test_bad_distractors(void **state)
{
    static const struct {
        const char *name;
        const char *text;
        const char *message;
    } bad[] = {
        {"no text",              "{\"text\":\"가\"}\n{\"id\":\"x\"}\n", "line 2: 'text' is missing or empty"},
        {"no object",            "[]\n",                                 "line 1: not an object"             },
        {"no JSON",              "{\"text\":\"가\"}\nabc\n",            "line 2"                            },
        {"text of another type", "{\"text\":1}\n",                       "line 1: 'text': expected a string" },
    };
    struct rag_error error = {RAG_OK, ""};
    struct input *in = NULL;
    struct dataset d;
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        dataset_init(&d);
        assert_int_equal(input_memory(bad[i].text, strlen(bad[i].text), "d", &in, &error), RAG_OK);
        assert_int_not_equal(dataset_read_distractors(&d, in, &n, &error), RAG_OK);
        if (!strstr(error.text, bad[i].message))
            fail_msg("%s: '%s'", bad[i].name, error.text);
        input_close(in);
        dataset_release(&d);
    }
}

static void test_broken_compression(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct input *in = NULL;
    char packed[200];
    size_t n = ZSTD_compress(packed, sizeof packed, three, 150, 3);
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    assert_int_equal(input_memory(packed, n - 3, "cut.zst", &in, &error), RAG_OK);
    assert_int_equal(input_all(in, &out, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "file 'cut.zst': ends in the middle"));
    input_close(in);
    packed[8] = (char)(packed[8] ^ 0x55);
    packed[5] = (char)0xFF;
    buf_reset(&out);
    assert_int_equal(input_memory(packed, n, "bad.zst", &in, &error), RAG_OK);
    assert_int_equal(input_all(in, &out, &error), RAG_EFORMAT);
    input_close(in);
    buf_release(&out);
}

static void test_limits(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct input *in = NULL;
    bool end = false;
    struct buf line;

    (void)state;
    buf_init(&line, 4);
    assert_int_equal(input_memory("abcd\nabcde\n", 11, "f", &in, &error), RAG_OK);
    assert_int_equal(input_line(in, &line, &end, &error), RAG_OK);
    assert_string_equal(buf_str(&line), "abcd");
    assert_int_equal(input_line(in, &line, &end, &error), RAG_ELIMIT);
    assert_non_null(strstr(error.text, "file 'f' line 2: longer than the limit of 4 bytes"));
    input_close(in);
    buf_release(&line);
    assert_int_equal(input_open("/nonexistent/file", &in, &error), RAG_EIO);
    assert_non_null(strstr(error.text, "/nonexistent/file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_klue_file),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_equal_contexts_are_one_passage),
        cmocka_unit_test(test_sample_and_book_corpus),
        cmocka_unit_test(test_distractors),
        cmocka_unit_test(test_bad_distractors),
        cmocka_unit_test(test_broken_compression),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
