/* Goal: the words get the share with which right passages come first, and keep theirs where nothing
 * is gained.
 * Method: heads made up so that the cross-encoder, the words or both together tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "base/splitmix.h"
#include "retrieve/blend_tune.h"

#define QUESTIONS 100
#define HEAD      12
#define GOLD      5

static struct passage heads[QUESTIONS][HEAD];
static struct blend_tune_question questions[QUESTIONS];

static float noise(uint64_t *random)
{
    return (float)(splitmix_next(random) % 1000) / 1000.0f;
}

/* What answers has these scores, the others anything from 0 to below 1. */
static void make(float cross, float words, uint64_t seed)
{
    for (size_t q = 0; q < QUESTIONS; q++) {
        for (size_t i = 0; i < HEAD; i++)
            heads[q][i] = (struct passage){
                .id = q * HEAD + i + 1,
                .cross_score = i == GOLD && cross > 0 ? cross : noise(&seed),
                .cross_read = true,
                .rerank_score = i == GOLD && words > 0 ? words : noise(&seed),
            };
        passages_by_rerank(heads[q], HEAD);
        questions[q] =
            (struct blend_tune_question){heads[q], HEAD, q * HEAD + GOLD + 1, q * HEAD + GOLD + 1};
    }
}

static void rows(void **state)
{
    static const struct {
        const char *name;
        float cross; /* of what answers; 0: as of any other */
        float words;
        float present;
        float low; /* of the share */
        float high;
    } table[] = {
        {"a model that tells alone is left alone",        1.1f, 0,    0.5f, 0,    0.2f},
        {"words are taken where the model tells nothing", 0,    1.1f, 0,    0.9f, 1   },
        {"both count where both tell something",          .9f,  .9f,  0,    0.2f, 0.8f},
        {"what is right already stays",                   2,    2,    0.3f, 0.3f, 0.3f},
        {"and so does what is between the steps",         2,    2,    .25f, .25f, .25f},
    };

    (void)state;
    for (size_t r = 0; r < sizeof table / sizeof table[0]; r++) {
        struct blend_choice c;

        make(table[r].cross, table[r].words, r + 1);
        assert_int_equal(blend_tune(questions, QUESTIONS, table[r].present, &c, NULL), RAG_OK);
        if (c.words < table[r].low || c.words > table[r].high)
            fail_msg("%s: %.2f", table[r].name, (double)c.words);
        if (c.mrr < c.mrr_before || c.mrr < c.mrr_cross || c.mrr < c.mrr_words)
            fail_msg("%s: %.3f, but %.3f before, %.3f of the model, %.3f of words", table[r].name,
                     c.mrr, c.mrr_before, c.mrr_cross, c.mrr_words);
    }
}

static void what_was_not_read_stays_behind_but_is_not_lost(void **state)
{
    struct blend_choice c;

    (void)state;
    make(0, 1.1f, 3);
    for (size_t q = 0; q < QUESTIONS; q++)
        for (size_t i = 0; i < HEAD; i++)
            heads[q][i].cross_read = i > 0; /* the first by words, which answers */
    assert_int_equal(blend_tune(questions, QUESTIONS, 0, &c, NULL), RAG_OK);
    assert_true(c.mrr_words == 1.0 && c.mrr_cross < 0.2);
    assert_true(c.words > 0.4f);
}

static void what_cannot_be_learned_from_is_refused(void **state)
{
    struct blend_choice c;
    struct rag_error error;

    (void)state;
    make(1, 1, 5);
    assert_int_equal(blend_tune(questions, 19, 0, &c, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "19 questions, at least 20"));
    questions[7].n = PASSAGES_MAX + 1;
    assert_int_equal(blend_tune(questions, QUESTIONS, 0, &c, &error), RAG_EINVAL);
    assert_non_null(strstr(error.text, "a head of 51 passages"));
    questions[7].n = 0; /* nothing was found: no failure */
    assert_int_equal(blend_tune(questions, QUESTIONS, 0, &c, &error), RAG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows),
        cmocka_unit_test(what_was_not_read_stays_behind_but_is_not_lost),
        cmocka_unit_test(what_cannot_be_learned_from_is_refused),
    };

    return cmocka_run_group_tests_name("blend_tune", tests, NULL, NULL);
}
