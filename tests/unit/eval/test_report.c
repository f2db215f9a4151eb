/* Totals, the order of the worst questions, and the three reports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "eval/html.h"
#include "eval/report_html.h"
#include "eval/report_json.h"
#include "eval/report_text.h"
#include "eval/score.h"

#define REPORT_MAX (1u << 20)

/* Six questions: right; found at 3 and half right; not found and refused; two unanswerable of
 * which one was refused; answerable but answered off the mark. */
static void fill(struct run *run)
{
    static const struct outcome rows[] = {
        {.id = "q0",
         .question = "하나",
         .answerable = true,
         .retrievable = true,
         .asked = true,
         .rank[RUN_FINAL] = 1,
         .scored = true,
         .exact = 1,
         .f1 = 1,
         .cited = true,
         .answer = "답"},
        {.id = "q1",
         .question = "둘",
         .answerable = true,
         .retrievable = true,
         .asked = true,
         .rank[RUN_FINAL] = 3,
         .scored = true,
         .exact = 0,
         .f1 = 0.5,
         .cited = true},
        {.id = "q2",
         .question = "셋",
         .answerable = true,
         .retrievable = true,
         .asked = true,
         .rank[RUN_FINAL] = RANK_NOT_FOUND,
         .scored = true,
         .refused = true                                             },
        {.id = "q3",  .question = "넷", .asked = true,                                  .refused = true                                                                    },
        {.id = "q4",              .question = "다섯",                      .asked = true},
        {.id = "q5",
         .question = "여섯",
         .answerable = true,
         .retrievable = true,
         .asked = true,
         .rank[RUN_FINAL] = 1,
         .scored = true,
         .f1 = 0.25},
    };

    assert_int_equal(run_init(run, sizeof rows / sizeof rows[0]), RAG_OK);
    run->source = "x.json";
    run->n_passages = 5;
    run->n_distinct = 4;
    for (size_t i = 0; i < run->n_outcomes; i++) {
        struct outcome *o = &run->outcomes[i];

        *o = rows[i];
        o->kind = o->gold_name = o->gold_text = o->gold_answer = o->reason = "";
        o->answer = rows[i].answer ? rows[i].answer : "";
        if (o->retrievable)
            stage_quality_add(&run->sums[RUN_FINAL], &o->rank[RUN_FINAL], NULL, 1);
    }
    run->ran[RUN_FINAL] = true;
    for (int i = 1; i <= 100; i++)
        assert_int_equal(run_add_latency(run, "bm25", i), RAG_OK);
    run_finish(run);
}

static void near(double got, double want)
{
    if (fabs(got - want) > 1e-6)
        fail_msg("%.9f is not %.9f", got, want);
}

static void test_summary(void **state)
{
    struct run_summary s;
    struct run run;

    (void)state;
    fill(&run);
    run_summarize(&run, &s);
    assert_int_equal(s.n_answerable, 4);
    assert_int_equal(s.n_unanswerable, 2);
    near(s.em, 0.25);
    near(s.f1, (1 + 0.5 + 0 + 0.25) / 4);
    near(metrics_share(s.originals.cited.part, s.originals.cited.whole), 0.5);
    near(metrics_share(s.refusal_precision.part, s.refusal_precision.whole), 0.5);
    near(metrics_share(s.refusal_recall.part, s.refusal_recall.whole), 0.5);
    near(metrics_share(s.answered.part, s.answered.whole), 0.75);
    run_release(&run);
}

static void test_worst(void **state)
{
    static const size_t want[] = {2, 1, 4, 5}; /* not found; rank 3; answered; wrong answer */
    size_t worst[RUN_WORST_MAX];
    struct run run;

    (void)state;
    fill(&run);
    assert_int_equal(run_worst(&run, worst), 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(worst[i], want[i]);
    run_release(&run);

    /* more than fit: the worst stay, in order */
    assert_int_equal(run_init(&run, 200), RAG_OK);
    for (size_t i = 0; i < 200; i++) {
        run.outcomes[i].retrievable = true;
        run.outcomes[i].rank[RUN_FINAL] = (uint32_t)(i * 37 % 200) + 2;
    }
    assert_int_equal(run_worst(&run, worst), RUN_WORST_MAX);
    for (size_t i = 0; i < RUN_WORST_MAX; i++)
        assert_int_equal(run.outcomes[worst[i]].rank[RUN_FINAL], 201 - i);
    run_release(&run);
}

static double number(const struct json *root, const char *a, const char *b, const char *c)
{
    const struct json *node = json_member(json_member(root, a), b);

    return json_number(c ? json_member(node, c) : node);
}

static void test_json(void **state)
{
    struct json *root = NULL;
    struct run run;
    struct buf out;

    (void)state;
    fill(&run);
    buf_init(&out, REPORT_MAX);
    report_json(&run, &out);
    assert_int_equal(buf_status(&out), RAG_OK);
    assert_int_equal(json_parse(buf_str(&out), out.len, "report", &root, NULL), RAG_OK);
    near(json_number(json_member(root, "questions")), 6);
    near(json_number(json_member(root, "passages")), 5);
    near(number(root, "stages", "final", "hit_at_1"), 0.5);
    near(number(root, "stages", "final", "hit_at_3"), 0.75);
    near(number(root, "stages", "final", "hit_at_5"), 0.75);
    assert_null(json_member(json_member(json_member(root, "stages"), "final"),
                            "evidence_hit_at_3")); /* of question sets alone */
    near(number(root, "stages", "final", "mrr_at_10"), (1 + 1.0 / 3 + 0 + 1) / 4);
    assert_null(json_member(json_member(root, "stages"), "dense"));
    near(number(root, "answers", "em", NULL), 0.25);
    near(number(root, "answers", "citation_overlaps_gold", NULL), 0.5);
    near(number(root, "refusal", "answered_rate", NULL), 0.75);
    near(number(root, "latency_ms", "bm25", "p95"), 95);
    assert_int_equal(json_size(root), 6);
    json_free(root);

    /* nothing was asked: the figures are null, the keys are there */
    for (size_t i = 0; i < run.n_outcomes; i++)
        run.outcomes[i].asked = false;
    run.ran[RUN_FINAL] = false;
    buf_reset(&out);
    report_json(&run, &out);
    assert_int_equal(json_parse(buf_str(&out), out.len, "report", &root, NULL), RAG_OK);
    assert_true(json_is_null(json_member(json_member(root, "answers"), "em")));
    assert_true(json_is_null(json_member(json_member(root, "refusal"), "recall")));
    assert_non_null(json_member(json_member(root, "stages"), "final"));
    json_free(root);
    buf_release(&out);
    run_release(&run);
}

static void test_hostile_text_is_escaped(void **state)
{
    static const char hostile[] = "<script>alert('x')</script>\" onload=\"y & \x01\x1b[31m "
                                  "\xE2\x80\xAE"
                                  "abc \xff</main>";
    struct run run;
    struct buf out;

    (void)state;
    fill(&run);
    run.source = run.version = hostile;
    for (size_t i = 0; i < run.n_outcomes; i++) {
        struct outcome *o = &run.outcomes[i];

        o->id = o->question = o->gold_name = o->gold_text = o->gold_answer = hostile;
        o->answer = o->reason = hostile;
        o->gold_start = 8;
        o->gold_end = 20;
        o->retrieved[0] = (struct retrieved){hostile, hostile, hostile, 1.5, true};
        o->n_retrieved = 1;
    }
    snprintf(run.latencies[0].name, sizeof run.latencies[0].name, "%.31s", hostile);
    buf_init(&out, REPORT_MAX);
    report_html(&run, &out);
    assert_int_equal(buf_status(&out), RAG_OK);
    assert_null(strstr(buf_str(&out), "<script"));
    assert_null(strstr(buf_str(&out), "onload=\""));
    assert_null(strstr(buf_str(&out), "\xE2\x80\xAE"));
    assert_null(strchr(buf_str(&out), '\x1b'));
    assert_null(strchr(buf_str(&out), '\xff'));
    assert_null(strstr(buf_str(&out), "src="));
    assert_null(strstr(buf_str(&out), "http:"));
    assert_non_null(strstr(buf_str(&out), "&lt;script&gt;"));
    assert_non_null(strstr(buf_str(&out), "default-src 'none'"));
    assert_non_null(strstr(buf_str(&out), "</html>"));
    buf_release(&out);
    run_release(&run);
}

static const struct {
    const char *name;
    const char *text;
    size_t start;
    size_t end;
    size_t chars_max;
    const char *want;
} excerpt_rows[] = {
    {"all of it",                              "가나다",                      0,  0,  10, "가나다"                              },
    {"the span marked",                        "가나다",                      3,  6,  10, "가<mark>나</mark>다"                 },
    {"cut on both sides",                      "가나다라마바사아자차", 15, 18, 6,  "… 라마<mark>바</mark>사아자 …"},
    {"cut at the end",                         "가나다라마",                0,  0,  2,  "가나 …"                             },
    {"a span that is longer than the excerpt", "가나다라마",                3,  12, 2,  "… <mark>나다라</mark> …"         },
    {"a span outside the text",                "가나",                         3,  99, 9,  "가나"                                 },
};

static void test_excerpts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof excerpt_rows / sizeof excerpt_rows[0]; i++) {
        struct buf out;

        buf_init(&out, 1000);
        html_excerpt(&out, excerpt_rows[i].text, strlen(excerpt_rows[i].text),
                     excerpt_rows[i].start, excerpt_rows[i].end, excerpt_rows[i].chars_max);
        if (strcmp(buf_str(&out), excerpt_rows[i].want) != 0)
            fail_msg("%s: '%s'", excerpt_rows[i].name, buf_str(&out));
        buf_release(&out);
    }
}

static void test_page_shows_every_figure(void **state)
{
    struct run run;
    struct buf out;

    (void)state;
    fill(&run);
    buf_init(&out, REPORT_MAX);
    report_html(&run, &out);
    assert_non_null(strstr(buf_str(&out), "first citation overlaps the gold answer</td>"
                                          "<td>0.500</td><td>2 / 4</td>"));
    assert_non_null(strstr(buf_str(&out), "exact match</td><td>0.250</td><td>4</td>"));
    assert_non_null(strstr(buf_str(&out), "precision</td><td>0.500</td><td>1 / 2</td>"));
    assert_non_null(strstr(buf_str(&out), "answered rate</td><td>0.750</td><td>3 / 4</td>"));
    buf_release(&out);
    run_release(&run);
}

static void test_text(void **state)
{
    struct run run;
    struct buf out;

    (void)state;
    fill(&run);
    buf_init(&out, REPORT_MAX);
    report_text(&run, &out);
    assert_non_null(strstr(buf_str(&out), "x.json: 6 questions, 5 passages (4 distinct)"));
    assert_non_null(strstr(buf_str(&out), "final          0.5000   0.7500   0.7500"));
    assert_non_null(strstr(buf_str(&out), "(3 of 4)"));
    buf_release(&out);
    run_release(&run);
}

/* Of a question set: three questions whose evidence is in the first, the third and no passage, and
 * a paraphrase whose evidence is in the fourth. */
static void test_passages_with_the_evidence(void **state)
{
    static const uint32_t ranks[] = {1, 3, RANK_NOT_FOUND};
    static const uint32_t of_paraphrase = 4;
    const struct json *evidence;
    struct json *root = NULL;
    struct run run;
    struct buf out;

    (void)state;
    fill(&run);
    run.question_set = true;
    for (size_t i = 0; i < 3; i++)
        stage_quality_add(&run.held[RUN_FINAL], &ranks[i], NULL, 1);
    stage_quality_add(&run.held_paraphrases[RUN_FINAL], &of_paraphrase, NULL, 1);
    buf_init(&out, REPORT_MAX);
    report_json(&run, &out);
    assert_int_equal(json_parse(buf_str(&out), out.len, "report", &root, NULL), RAG_OK);
    evidence = json_member(root, "evidence");
    near(number(root, "stages", "final", "evidence_hit_at_1"), 1 / 3.0);
    near(number(json_member(evidence, "originals"), "stages", "final", "evidence_hit_at_3"),
         2 / 3.0);
    near(number(json_member(evidence, "paraphrases"), "stages", "final", "evidence_hit_at_3"), 0);
    near(number(json_member(evidence, "paraphrases"), "stages", "final", "evidence_hit_at_10"), 1);
    json_free(root);

    buf_reset(&out);
    report_text(&run, &out);
    assert_non_null(strstr(buf_str(&out), "passages with the evidence"));
    assert_non_null(strstr(buf_str(&out), "0.3333   0.6667   0.6667"));
    assert_non_null(strstr(buf_str(&out), "0.0000   0.0000   1.0000"));
    buf_reset(&out);
    report_html(&run, &out);
    assert_non_null(strstr(buf_str(&out), "<td>0.3333</td><td>0.6667</td><td>0.6667</td>"));
    assert_non_null(strstr(buf_str(&out), "<td>0.0000</td><td>0.0000</td><td>1.0000</td>"));

    /* no question has evidence: null, and no table */
    memset(run.held, 0, sizeof run.held);
    memset(run.held_paraphrases, 0, sizeof run.held_paraphrases);
    buf_reset(&out);
    report_json(&run, &out);
    assert_int_equal(json_parse(buf_str(&out), out.len, "report", &root, NULL), RAG_OK);
    assert_true(json_is_null(
        json_member(json_member(json_member(root, "stages"), "final"), "evidence_hit_at_3")));
    json_free(root);
    buf_reset(&out);
    report_text(&run, &out);
    assert_null(strstr(buf_str(&out), "passages with the evidence"));
    buf_release(&out);
    run_release(&run);
}

static uint32_t two_copies_of_7(const void *context, uint32_t value)
{
    (void)context;
    return value == 7 ? 2 : 1;
}

static const struct {
    const char *name;
    uint32_t list[6];
    size_t n;
    uint32_t wanted;
    uint32_t rank;
    uint32_t rank_with_copies;
} rank_rows[] = {
    {"first",                                {5, 7},          2, 5, 1,              1             },
    {"second",                               {7, 5},          2, 5, 2,              3             },
    {"chunks of one document are one entry", {7, 7, 5},       3, 5, 2,              3             },
    {"its own copies do not count",          {7, 5},          2, 7, 1,              1             },
    {"not there",                            {1, 2},          2, 5, RANK_NOT_FOUND, RANK_NOT_FOUND},
    {"nothing found",                        {0},             0, 5, RANK_NOT_FOUND, RANK_NOT_FOUND},
    {"interleaved chunks",                   {1, 2, 1, 2, 3}, 5, 3, 3,              3             },
};

static void test_ranks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rank_rows / sizeof rank_rows[0]; i++) {
        uint32_t rank =
            score_rank(rank_rows[i].list, rank_rows[i].n, rank_rows[i].wanted, NULL, NULL);
        uint32_t copies = score_rank(rank_rows[i].list, rank_rows[i].n, rank_rows[i].wanted,
                                     two_copies_of_7, NULL);

        if (rank != rank_rows[i].rank || copies != rank_rows[i].rank_with_copies)
            fail_msg("%s: %u and %u", rank_rows[i].name, rank, copies);
    }
}

/* "서울은 크다. 부산도 크다." with the answer "부산" at byte 18, or anywhere. */
static const struct {
    const char *name;
    uint32_t answer_start; /* 18, or ANSWER_ANYWHERE */
    size_t start;
    size_t end;
    const char *cited;
    size_t chars_max;
    bool want;
} overlap_rows[] = {
    {"the answer itself",                          18,              18, 24, "부산",            200, true },
    {"its sentence",                               18,              18, 36, "부산도 크다.", 200, true },
    {"another sentence",                           18,              0,  17, "서울은 크다.", 200, false},
    {"one character is enough",                    18,              21, 27, "산도",            200, true },
    {"too long a span",                            18,              18, 36, "부산도 크다.", 6,   false},
    {"place unknown",                              ANSWER_ANYWHERE, 18, 24, "부산",            200, true },
    {"place unknown, elsewhere",                   ANSWER_ANYWHERE, 0,  17, "서울은 크다.", 200, false},
    {"a span of other bytes is found by its text", 18,              0,  6,  "부산",            200, true },
    {"a text that is not in the passage",          18,              18, 24, "대구",            200, false},
    {"no text",                                    18,              18, 18, "",                  200, false},
};

static void test_citation_overlap(void **state)
{
    static const char passage[] = "서울은 크다. 부산도 크다.";

    (void)state;
    for (size_t i = 0; i < sizeof overlap_rows / sizeof overlap_rows[0]; i++) {
        struct dataset_answer answer = {"부산", overlap_rows[i].answer_start,
                                        overlap_rows[i].answer_start == ANSWER_ANYWHERE
                                            ? ANSWER_ANYWHERE
                                            : overlap_rows[i].answer_start + 6};
        struct dataset_question q = {.answers = &answer, .n_answers = 1, .answerable = true};
        struct dataset_passage p = {.text = passage, .n_bytes = sizeof passage - 1};
        struct dataset d = {.passages = &p, .n_passages = 1};

        if (score_citation_overlaps(&d, &q, overlap_rows[i].start, overlap_rows[i].end,
                                    overlap_rows[i].cited,
                                    overlap_rows[i].chars_max) != overlap_rows[i].want)
            fail_msg("%s", overlap_rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary),  cmocka_unit_test(test_worst),
        cmocka_unit_test(test_json),     cmocka_unit_test(test_hostile_text_is_escaped),
        cmocka_unit_test(test_excerpts), cmocka_unit_test(test_page_shows_every_figure),
        cmocka_unit_test(test_text),     cmocka_unit_test(test_passages_with_the_evidence),
        cmocka_unit_test(test_ranks),    cmocka_unit_test(test_citation_overlap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
