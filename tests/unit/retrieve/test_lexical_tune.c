/* Goal: weights are found that put right passages first, and left alone where nothing is gained.
 * Method: heads made up so that one feature of the words tells the right passage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/splitmix.h"
#include "retrieve/lexical_tune.h"

#define QUESTIONS 120
#define HEAD      10

static struct passage heads[QUESTIONS][HEAD];
static struct lexical_tune_question questions[QUESTIONS];

static float noise(uint64_t *random)
{
    return (float)(splitmix_next(random) % 1000) / 1000.0f;
}

/* Passage 5 of each head answers; 'tells' says by how much a feature of it is above the others. */
static void make(struct lexical_evidence tells, bool dense_tells, uint64_t seed)
{
    for (size_t q = 0; q < QUESTIONS; q++) {
        for (size_t i = 0; i < HEAD; i++) {
            bool gold = i == 5;

            heads[q][i] = (struct passage){
                .id = q * HEAD + i + 1,
                .bm25_rank = (uint32_t)i + 1,
                .dense_rank = gold && dense_tells ? 1 : (uint32_t)i + 2,
                .dense_score = gold && dense_tells ? 0.9f : 0.1f,
                .words = {.bm25 = noise(&seed) * 0.5f + (gold ? tells.bm25 : 0),
                          .sentence = noise(&seed) * 0.5f + (gold ? tells.sentence : 0),
                          .window = noise(&seed) * 0.5f + (gold ? tells.window : 0),
                          .proximity = noise(&seed) * 0.5f + (gold ? tells.proximity : 0),
                          .read = true},
            };
        }
        questions[q] =
            (struct lexical_tune_question){heads[q], HEAD, heads[q][5].id, heads[q][5].id};
    }
}

static void the_feature_that_tells_gets_the_weight(void **state)
{
    static const struct {
        const char *name;
        struct lexical_evidence tells;
    } rows[] = {
        {"the best sentence", {.sentence = 0.5f} },
        {"two sentences",     {.window = 0.5f}   },
        {"proximity",         {.proximity = 0.5f}},
    };
    const struct lexical_weights present = LEXICAL_WEIGHTS_DEFAULT;

    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct lexical_choice c;
        const struct lexical_evidence *e = &rows[r].tells;
        float w[3];

        make(rows[r].tells, false, r + 1);
        assert_int_equal(lexical_tune(questions, QUESTIONS, NULL, &present, &c, NULL), RAG_OK);
        w[0] = c.weights.sentence;
        w[1] = c.weights.window;
        w[2] = c.weights.proximity;
        if (c.mrr_after < 0.95 || c.mrr_after <= c.mrr_before)
            fail_msg("%s: %.3f -> %.3f", rows[r].name, c.mrr_before, c.mrr_after);
        if ((e->sentence > 0 && (w[0] <= w[1] || w[0] <= w[2])) ||
            (e->window > 0 && (w[1] <= w[0] || w[1] <= w[2])) ||
            (e->proximity > 0 && (w[2] <= w[0] || w[2] <= w[1])))
            fail_msg("%s: %.2f %.2f %.2f", rows[r].name, (double)w[0], (double)w[1], (double)w[2]);
        assert_true(c.weights.bm25 == 1.0f && c.weights.kind == present.kind);
    }
}

static void what_is_right_already_stays(void **state)
{
    const struct lexical_weights present = {2.0f, 1.0f, 0.2f, 0.6f, 0.2f};
    struct lexical_choice c;

    (void)state;
    make((struct lexical_evidence){.bm25 = 3, .sentence = 1, .window = 1, .proximity = 1}, false,
         9);
    assert_int_equal(lexical_tune(questions, QUESTIONS, NULL, &present, &c, NULL), RAG_OK);
    assert_true(c.mrr_before == 1.0 && c.mrr_after == 1.0);
    /* the same ratios, bm25 being 1 */
    assert_float_equal(c.weights.sentence, 0.5f, 1e-6);
    assert_float_equal(c.weights.window, 0.1f, 1e-6);
    assert_float_equal(c.weights.proximity, 0.3f, 1e-6);
    assert_float_equal(c.weights.kind, 0.1f, 1e-6);
}

static void with_vectors_the_fused_order_counts(void **state)
{
    const struct fusion_options fusion = {
        .method = FUSION_CONVEX, .weights = {0.2f, 0.8f},
             .rrf_k = 60
    };
    const struct lexical_weights present = LEXICAL_WEIGHTS_DEFAULT;
    struct lexical_choice alone;
    struct lexical_choice fused;

    (void)state;
    make((struct lexical_evidence){0}, true, 3);
    assert_int_equal(lexical_tune(questions, QUESTIONS, NULL, &present, &alone, NULL), RAG_OK);
    assert_int_equal(lexical_tune(questions, QUESTIONS, &fusion, &present, &fused, NULL), RAG_OK);
    assert_true(alone.mrr_before < 0.6);
    assert_true(fused.mrr_before == 1.0 && fused.mrr_after == 1.0);
}

static void the_same_questions_give_the_same_weights(void **state)
{
    const struct lexical_weights present = LEXICAL_WEIGHTS_DEFAULT;
    struct lexical_choice a;
    struct lexical_choice b;

    (void)state;
    make((struct lexical_evidence){.sentence = 0.1f, .proximity = 0.1f}, false, 5);
    assert_int_equal(lexical_tune(questions, QUESTIONS, NULL, &present, &a, NULL), RAG_OK);
    assert_int_equal(lexical_tune(questions, QUESTIONS, NULL, &present, &b, NULL), RAG_OK);
    assert_memory_equal(&a.weights, &b.weights, sizeof a.weights);
    assert_true(a.n_tried == b.n_tried && a.mrr_after >= a.mrr_before);
}

static void what_cannot_be_learned_from_is_refused(void **state)
{
    const struct lexical_weights present = LEXICAL_WEIGHTS_DEFAULT;
    struct lexical_choice c;
    struct rag_error error;

    (void)state;
    make((struct lexical_evidence){0}, false, 5);
    assert_int_equal(lexical_tune(questions, 19, NULL, &present, &c, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "19 questions, at least 20"));
    questions[7].n = LEXICAL_TUNE_HEAD_MAX + 1;
    assert_int_equal(lexical_tune(questions, QUESTIONS, NULL, &present, &c, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "the limit is 100"));
    questions[7].n = 0; /* nothing was found: no failure */
    assert_int_equal(lexical_tune(questions, QUESTIONS, NULL, &present, &c, &error), RAG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_feature_that_tells_gets_the_weight),
        cmocka_unit_test(what_is_right_already_stays),
        cmocka_unit_test(with_vectors_the_fused_order_counts),
        cmocka_unit_test(the_same_questions_give_the_same_weights),
        cmocka_unit_test(what_cannot_be_learned_from_is_refused),
    };

    return cmocka_run_group_tests_name("lexical_tune", tests, NULL, NULL);
}
