/* The reader of TREC collections, and comparisons of stages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "eval/compare.h"
#include "eval/dataset.h"

static enum rag_status read_texts(struct dataset *d, const char *documents, const char *topics,
                                  const char *judgments, struct rag_error *error)
{
    const char *const texts[3] = {documents, topics, judgments};
    const char *const names[3] = {"d.xml", "t.xml", "q.txt"};
    struct input *in[3] = {NULL, NULL, NULL};
    enum rag_status status;

    dataset_init(d);
    for (int i = 0; i < 3; i++)
        assert_int_equal(input_memory(texts[i], strlen(texts[i]), names[i], &in[i], error), RAG_OK);
    status = dataset_read_trec(d, in[0], in[1], in[2], error);
    for (int i = 0; i < 3; i++)
        input_close(in[i]);
    return status;
}

static void test_the_files_of_cranfield(void **state)
{
    static const char *const names[3] = {RAG_TEST_DATA "/trec-tiny/documents.xml",
                                         RAG_TEST_DATA "/trec-tiny/topics.xml",
                                         RAG_TEST_DATA "/trec-tiny/qrels.txt"};
    struct rag_error error = {RAG_OK, ""};
    struct input *in[3] = {NULL, NULL, NULL};
    const struct dataset_question *q;
    struct dataset d;

    (void)state;
    dataset_init(&d);
    for (int i = 0; i < 3; i++)
        assert_int_equal(input_open(names[i], &in[i], &error), RAG_OK);
    if (dataset_read_trec(&d, in[0], in[1], in[2], &error) != RAG_OK)
        fail_msg("%s", error.text);
    assert_true(d.judged);
    assert_int_equal(d.n_passages, 4); /* the empty record is none */
    assert_string_equal(d.passages[0].text,
                        "heat flow in plates . how heat spreads through a plate of two layers is "
                        "computed by a series & compared with measurements .");
    assert_string_equal(d.passages[0].title, "heat flow in plates .");
    assert_string_equal(d.passages[1].text,
                        "lift of a wing in a steady wind is measured at small angles .\n\nthe "
                        "second paragraph says that stall begins at twelve degrees .");
    assert_string_equal(d.passages[2].title, "");
    /* the judgments count topics by their place; the third topic has no relevant document */
    assert_int_equal(d.n_questions, 2);
    assert_string_equal(d.questions[0].text, "how does heat flow through layered plates .");
    assert_int_equal(d.questions[0].n_judgments, 1);
    q = &d.questions[1];
    assert_string_equal(q->id, "4");
    assert_int_equal(q->n_judgments, 3);
    assert_int_equal(q->judgments[0].passage, 1);
    assert_true(q->judgments[0].grade > 1.5f);
    assert_true(q->judgments[1].passage == DATASET_NO_PASSAGE);
    assert_int_equal(q->judgments[2].passage, 2);
    assert_int_equal(q->passage, 1);
    for (int i = 0; i < 3; i++)
        input_close(in[i]);
    dataset_release(&d);
}

#define DOC(no, text)  "<DOC><DOCNO>" no "</DOCNO><TEXT>" text "</TEXT></DOC>\n"
#define TOP(num, text) "<top><num>" num "<title>" text "\n</top>\n"

static const struct {
    const char *name;
    const char *documents;
    const char *topics;
    const char *judgments;
    enum rag_status status;
    const char *said; /* part of the message; or of the first question's id */
} rows[] = {
    {"fields that are not closed, and Number:",       DOC("A-1", "one"),         TOP("Number: 301 ", "x y"),
     "301 0 A-1 1\n",                                                                                                                                                                                                                                         RAG_OK,                                                                                                                                                                                                                    "301"                                                                                                                                                                                                                                                                              },
    {"topics by number where every judgment has one", DOC("a",   "one") DOC("b", "two"),
     TOP("2",                                                                                                                                                            "x") TOP("1",                                                                        "y"),                                                                                                                                                                                                                      "2 Q0 a 1\n1 Q0 b 1\n",                                                                                                                                                                                                                                                              RAG_OK, "2"},
    {"topics by place where one has not",                                            DOC("a",                                                     "one") DOC("b",                                 "two"),
     TOP("7", "x") TOP("1",                                              "y"),                                                                                                                                                                                                                                                                                                                                                                                                                                                                            "1 0 a 1\n2 0 b 1\n",                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                   RAG_OK, "7"},
    {"a topic that is neither",                           DOC("a",                              "one"),                                         TOP("7",                                                           "x"),                                                                                                     "8 0 a 1\n",                                                                                                                                                       RAG_EFORMAT,
     "'8' is neither"},
    {"a document twice",                                    DOC("a",                                  "one") DOC("a",                                                           "two"),                                                                             TOP("1",                                                                                                                              "x"),                                                                                                                                                                       "1 0 a 1\n",                                                                                                                                                                                                                                                                                                                                                 RAG_EFORMAT,
     "'a' occurs twice"},
    {"a document without a number",                                           "<doc><text>one</text></doc>",                                         TOP("1",                                            "x"),                                                                             "1 0 a 1\n",
     RAG_EFORMAT,                                                                                                                                                                                                      "<doc> 1: needs a <docno>"                                                                                                                                                                                                                                                                                                                                                       },
    {"a judgment twice",                                    DOC("a",                                                "one"),                                    TOP("1",                                                      "x"),                                                                                                       "1 0 a 1\n1 0 a 2\n",RAG_EFORMAT,
     "judges 'a' twice"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                           },
    {"a line that is no judgment",                           DOC("a",                         "one"),                                                         TOP("1",                                                                           "x"),                                                                                                                  "1 0 a 1\n1 0 a\n",                                                                                                                                                                    RAG_EFORMAT,
     "line 2"},
    {"a grade that is no number",                             DOC("a",                           "one"),                                                                   TOP("1",                                                                                     "x"),                                                                                                                             "1 0 a nan\n",                                                                                                                                                                             RAG_EFORMAT,
     "line 1"},
    {"nothing relevant",                                  DOC("a",                                "one"),                                                                   TOP("1",                                                                                     "x"),                                                                                                                                      "1 0 a 0\n",                                                                                                                                                                                 RAG_EFORMAT,
     "no document relevant"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                               },
    {"no documents",                                    "one",                                  TOP("1",                                                     "x"),                                                                       "1 0 a 1\n",                                                                                                                            RAG_EFORMAT,                                                                                                                                                                       "no <doc>"                                                                                                                                                                                                                                                                                                                                                       },
    {"no topics",                                    DOC("a",                                   "one"),                                                 "x",                                                         "1 0 a 1\n",RAG_EFORMAT,"no <top>"},
    {"a topic without words",                                     DOC("a",                                              "one"),                                      TOP("1",             " "),                            "1 0 a 1\n",                                                                                                                                                                                                                                         RAG_EFORMAT,
     "needs a <title>"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       },
    {"bytes that are not UTF-8",                               DOC("a",                                        "\xff"),                             TOP("1",          "x"),                              "1 0 a 1\n",                                                                              RAG_EFORMAT,
     "<doc> 'a'"   },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        enum rag_status status;
        struct dataset d;

        status = read_texts(&d, rows[i].documents, rows[i].topics, rows[i].judgments, &error);
        if (status != rows[i].status ||
            (status == RAG_OK ? strcmp(d.questions[0].id, rows[i].said) != 0
                              : !strstr(error.text, rows[i].said)))
            fail_msg("%s: %d '%s'", rows[i].name, status, error.text);
        dataset_release(&d);
    }
}

static const struct {
    const char *text;
    enum trec_kind kind;
} kinds[] = {
    {"<?xml version='1.0'?>\n<xml>\n<top>\n", TREC_TOPICS   },
    {"<DOC id='1'>\n<docno>1</docno>",        TREC_DOCUMENTS},
    {"1 0 184 1\n1 0 29 1\n",                 TREC_JUDGMENTS},
    {"401 Q0 FBIS3-10009 -1",                 TREC_JUDGMENTS},
    {"one two three four\n",                  TREC_NONE     },
    {"1 2 3\n",                               TREC_NONE     },
    {"",                                      TREC_NONE     },
    {"# a README about <topics>\n",           TREC_NONE     },
};

static void test_kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (dataset_trec_kind(kinds[i].text, strlen(kinds[i].text)) != kinds[i].kind)
            fail_msg("'%s'", kinds[i].text);
}

/* Ranks of BM25, dense and fused for five questions. */
static void fill(struct run *run, uint32_t fused_rank)
{
    assert_int_equal(run_init(run, 5), RAG_OK);
    for (size_t i = 0; i < 5; i++) {
        struct outcome *o = &run->outcomes[i];
        const uint32_t ranks[3] = {i < 4 ? 1 : 2, i < 2 ? 1 : RANK_NOT_FOUND,
                                   i == 0 ? fused_rank : 1};
        static const enum run_stage stages[3] = {RUN_BM25, RUN_DENSE, RUN_CONVEX};

        o->retrievable = true;
        for (size_t k = 0; k < 3; k++) {
            o->rank[stages[k]] = ranks[k];
            stage_quality_add(&run->sums[stages[k]], &ranks[k], NULL, 1);
            run->ran[stages[k]] = true;
        }
    }
}

static void test_comparisons(void **state)
{
    struct compare_row table[COMPARE_ROWS_MAX];
    struct paired c;
    enum run_stage member;
    struct run run;

    (void)state;
    fill(&run, 1);
    assert_false(compare_fused(&run, &member, &c)); /* nothing says that it was used */
    run.fused = RUN_CONVEX;
    assert_true(compare_fused(&run, &member, &c));
    assert_int_equal(member, RUN_BM25);
    assert_int_equal(c.n, 5);
    /* differences 0 0 0 0 .5: mean .1, sd .2236, half 1.96 * .2236 / sqrt(5) = .196 */
    assert_true(c.mean > 0.0999 && c.mean < 0.1001);
    assert_true(c.low > -0.0961 && c.low < -0.0959 && c.high > 0.2959 && c.high < 0.2961);
    assert_int_equal(compare_rows(&run, table), 2); /* there is no final list */
    assert_true(table[1].a == RUN_CONVEX && table[1].b == RUN_DENSE);
    run_release(&run);

    fill(&run, RANK_NOT_FOUND);
    run.fused = RUN_CONVEX;
    assert_true(compare_fused(&run, &member, &c));
    assert_true(c.mean < 0); /* worse than BM25 alone */
    assert_false(compare_reranked(&run, &member, &c));
    run.ran[RUN_RERANK] = true;
    assert_true(compare_reranked(&run, &member, &c));
    assert_true(member == RUN_CONVEX && c.mean < 0); /* it found nothing */
    run_release(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_files_of_cranfield),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_comparisons),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
