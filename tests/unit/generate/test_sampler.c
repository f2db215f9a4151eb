#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/bounds.h"
#include "generate/prompt_lookup.h"
#include "generate/sampler.h"
#include "generate/stop_filter.h"

#define VOCAB 6
#define DRAWS 20000

static const struct sampling plain = {.top_p = 1.0f, .repetition_penalty = 1.0f};

/* ---- ranges ---- */

static void test_ranges(void **state)
{
    static const char *const empty_stop[] = {"", NULL};
    static const char *const broken_stop[] = {"\xed\x95", NULL};
    static const char *const good_stop[] = {"\n\n", "끝", NULL};
    const struct {
        const char *what;
        struct sampling s;
        const char *message; /* NULL: good */
    } rows[] = {
        {"greedy",                          {.top_p = 1, .repetition_penalty = 1},              NULL       },
        {"everything at once",
         {.temperature = 2,
          .top_k = 40,
          .top_p = 0.9f,
          .min_p = 0.05f,
          .repetition_penalty = 1.1f,
          .stop = good_stop,
          .max_new_tokens = 10},
         NULL                                                                                              },
        {"temperature below 0",
         {.temperature = -0.1f, .top_p = 1, .repetition_penalty = 1},
         "temperature -0.1: must be at least 0 and at most 2"                                              },
        {"temperature not a number",
         {.temperature = NAN, .top_p = 1, .repetition_penalty = 1},
         "temperature nan"                                                                                 },
        {"top_p 0 keeps nothing",
         {.top_p = 0, .repetition_penalty = 1},
         "top_p 0: must be above 0"                                                                        },
        {"top_p above 1",                   {.top_p = 1.5f, .repetition_penalty = 1},           "top_p 1.5"},
        {"min_p above 1",                   {.top_p = 1, .min_p = 2, .repetition_penalty = 1},  "min_p 2"  },
        {"penalty 0 divides by nothing",
         {.top_p = 1},
         "repetition_penalty 0: must be at least 0.01"                                                     },
        {"top_k below 0",                   {.top_p = 1, .repetition_penalty = 1, .top_k = -1}, "top_k -1" },
        {"fewer than no tokens",
         {.top_p = 1, .repetition_penalty = 1, .max_new_tokens = -5},
         "max_new_tokens -5"                                                                               },
        {"an empty stop string",
         {.top_p = 1, .repetition_penalty = 1, .stop = empty_stop},
         "stop: string 1 has 0 bytes"                                                                      },
        {"half a character as stop string",
         {.top_p = 1, .repetition_penalty = 1, .stop = broken_stop},
         "stop: string 1 is not UTF-8"                                                                     },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rag_error error = {RAG_OK, ""};
        enum rag_status status = sampling_check(&rows[i].s, &error);

        if (status != (rows[i].message ? RAG_EINVAL : RAG_OK) ||
            (rows[i].message && !strstr(error.text, rows[i].message)))
            fail_msg("%s: status %d, '%s'", rows[i].what, status, error.text);
    }
}

/* ---- what may be drawn ---- */

static void test_choices(void **state)
{
    /* e^x: 1, 2, 4, 8, 8, 1 of 24 */
    static const float logits[VOCAB] = {0, 0.693147f, 1.386294f, 2.079442f, 2.079442f, 0};
    static const uint64_t small_only[1] = {1 << 0 | 1 << 1};
    static const uint32_t three[] = {3, 3};
    const struct {
        const char *what;
        struct sampling s;
        const uint32_t *seen;
        size_t n_seen;
        const uint64_t *allowed;
        double share[VOCAB]; /* expected frequencies, unnormalised */
    } rows[] = {
        {"greedy takes the smallest id of equals",
         {.top_p = 1, .repetition_penalty = 1},
         NULL,  0,
         NULL,       {0, 0, 0, 1, 0, 0}   },
        {"a penalty counts when greedy, once however often the token was there",
         {.top_p = 1, .repetition_penalty = 1.2f},
         three, 2,
         NULL,       {0, 0, 0, 0, 1, 0}   },
        {"greedy among what the grammar allows",
         {.top_p = 1, .repetition_penalty = 1},
         NULL,  0,
         small_only, {0, 1, 0, 0, 0, 0}   },
        {"temperature 1 draws by probability",
         {.temperature = 1, .top_p = 1, .repetition_penalty = 1},
         NULL,  0,
         NULL,       {1, 2, 4, 8, 8, 1}   },
        {"temperature .5 squares them",
         {.temperature = 0.5f, .top_p = 1, .repetition_penalty = 1},
         NULL,  0,
         NULL,       {1, 4, 16, 64, 64, 1}},
        {"top_k 1 keeps what ties with the first",
         {.temperature = 1, .top_k = 1, .top_p = 1, .repetition_penalty = 1},
         NULL,  0,
         NULL,       {0, 0, 0, 8, 8, 0}   },
        {"top_k 3",
         {.temperature = 1, .top_k = 3, .top_p = 1, .repetition_penalty = 1},
         NULL,  0,
         NULL,       {0, 0, 4, 8, 8, 0}   },
        {"top_k beyond the vocabulary",
         {.temperature = 1, .top_k = 99, .top_p = 1, .repetition_penalty = 1},
         NULL,  0,
         NULL,       {1, 2, 4, 8, 8, 1}   },
        {"top_p .5 ends where half is reached",
         {.temperature = 1, .top_p = 0.5f, .repetition_penalty = 1},
         NULL,  0,
         NULL,       {0, 0, 0, 8, 8, 0}   },
        {"top_p is of what top_k left",
         {.temperature = 1, .top_k = 3, .top_p = 0.75f, .repetition_penalty = 1},
         NULL,  0,
         NULL,       {0, 0, 0, 8, 8, 0}   },
        {"min_p is relative to the largest",
         {.temperature = 1, .top_p = 1, .min_p = 0.3f, .repetition_penalty = 1},
         NULL,  0,
         NULL,       {0, 0, 4, 8, 8, 0}   },
        {"min_p 1 keeps the largest",
         {.temperature = 1, .top_p = 1, .min_p = 1, .repetition_penalty = 1},
         NULL,  0,
         NULL,       {0, 0, 0, 8, 8, 0}   },
        {"a tiny temperature is not a division by zero",
         {.temperature = 1e-38f, .top_p = 0.9f, .repetition_penalty = 1},
         NULL,  0,
         NULL,       {0, 0, 0, 8, 8, 0}   },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned count[VOCAB] = {0};
        double total = 0;
        struct sampler *s;

        assert_int_equal(sampler_open(&rows[i].s, VOCAB, &s, NULL), RAG_OK);
        assert_int_equal(sampler_accept(s, rows[i].seen, rows[i].n_seen, NULL), RAG_OK);
        for (size_t d = 0; d < DRAWS; d++) {
            float row[VOCAB];
            uint32_t id = VOCAB;

            memcpy(row, logits, sizeof row);
            assert_int_equal(sampler_next(s, row, rows[i].allowed, &id, NULL), RAG_OK);
            assert_true(id < VOCAB);
            count[id]++;
        }
        for (size_t v = 0; v < VOCAB; v++)
            total += rows[i].share[v];
        for (size_t v = 0; v < VOCAB; v++) {
            double expected = rows[i].share[v] / total;
            double slack = 5 * sqrt(expected * (1 - expected) / DRAWS); /* five deviations */

            if (fabs(count[v] / (double)DRAWS - expected) > slack)
                fail_msg("%s: token %zu drawn %u times of %d, expected %.4f", rows[i].what, v,
                         count[v], DRAWS, expected);
        }
        sampler_close(s);
    }
}

static void test_penalty_both_signs(void **state)
{
    struct sampling s = plain;
    float logits[3] = {4, -1, -1.5f};
    static const uint32_t seen[] = {0, 1};
    struct sampler *sampler;
    uint32_t id;

    (void)state;
    s.repetition_penalty = 2;
    assert_int_equal(sampler_open(&s, 3, &sampler, NULL), RAG_OK);
    assert_int_equal(sampler_accept(sampler, seen, 2, NULL), RAG_OK);
    assert_int_equal(sampler_next(sampler, logits, NULL, &id, NULL), RAG_OK);
    assert_true(logits[0] == 2.0f && logits[1] == -2.0f && logits[2] == -1.5f);
    sampler_close(sampler);
}

static void test_same_seed_same_draws(void **state)
{
    struct sampling s = {.temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = 7};
    uint32_t first[50];

    (void)state;
    for (int turn = 0; turn < 3; turn++) {
        unsigned equal = 0;
        struct sampler *sampler;

        s.seed = turn == 2 ? 8 : 7;
        assert_int_equal(sampler_open(&s, VOCAB, &sampler, NULL), RAG_OK);
        for (size_t i = 0; i < 50; i++) {
            float logits[VOCAB] = {0};
            uint32_t id;

            assert_int_equal(sampler_next(sampler, logits, NULL, &id, NULL), RAG_OK);
            if (turn == 0)
                first[i] = id;
            equal += id == first[i];
        }
        sampler_close(sampler);
        assert_true(turn == 2 ? equal < 30 : equal == 50);
    }
}

static void test_unusable(void **state)
{
    static const uint64_t none[1] = {0};
    static const uint32_t beyond[] = {VOCAB};
    struct rag_error error;
    struct sampler *s;
    uint32_t id;

    (void)state;
    for (int drawn = 0; drawn < 2; drawn++) {
        struct sampling sampling = plain;
        float logits[VOCAB] = {0};

        sampling.temperature = (float)drawn;
        assert_int_equal(sampler_open(&sampling, VOCAB, &s, NULL), RAG_OK);
        assert_int_equal(sampler_next(s, logits, none, &id, &error), RAG_ENUMERIC);
        assert_string_equal(error.text, "no token can follow");
        logits[3] = NAN;
        assert_int_equal(sampler_next(s, logits, NULL, &id, &error), RAG_ENUMERIC);
        assert_string_equal(error.text, "logit of token 3 is nan");
        assert_int_equal(sampler_accept(s, beyond, 1, &error), RAG_EINVAL);
        assert_string_equal(error.text, "token 6: the vocabulary has 6");
        sampler_close(s);
    }
}

/* ---- looking up ---- */

static void test_prompt_lookup(void **state)
{
    static const struct {
        const char *what;
        const char *ids; /* a letter a token */
        size_t n_most;
        const char *draft;
    } rows[] = {
        {"nothing was there before",          "abcdef",     4, ""   },
        {"one token is not enough",           "abcxb",      4, ""   },
        {"two tokens, and what followed",     "abcdexab",   3, "cde"},
        {"as much as there is",               "abcab",      8, "cab"},
        {"of equal matches the latest",       "abcabdab",   1, "d"  },
        {"a longer match before a later one", "zabcabdzab", 1, "c"  },
        {"a run that repeats itself",         "aaaa",       2, "a"  },
        {"no room",                           "abcab",      0, ""   },
        {"one token in all",                  "a",          4, ""   },
        {"no token",                          "",           4, ""   },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = strlen(rows[i].ids);
        uint32_t ids[16];
        uint32_t draft[16];
        size_t n_draft;

        for (size_t j = 0; j < n; j++)
            ids[j] = (uint32_t)rows[i].ids[j];
        n_draft = prompt_lookup(ids, n, rows[i].n_most, draft);
        if (n_draft != strlen(rows[i].draft))
            fail_msg("%s: %zu tokens", rows[i].what, n_draft);
        for (size_t j = 0; j < n_draft; j++)
            if (draft[j] != (uint32_t)rows[i].draft[j])
                fail_msg("%s: token %zu is '%c'", rows[i].what, j, (char)draft[j]);
    }
}

/* ---- stop strings ---- */

static void test_stop_strings(void **state)
{
    static const struct {
        const char *what;
        const char *stop[4];
        const char *pieces[6];
        const char *early; /* shown before finish */
        const char *all;
        bool stopped;
    } rows[] = {
        {"no stop strings",                           {NULL},              {"가나", "다", NULL},  "가나다", "가나다", false},
        {"one in a piece",                            {"끝", NULL},       {"가나끝다", NULL},   "가나",    "가나",    true },
        {"one over three pieces",                     {"</a>", NULL},      {"x<", "/", "a>y", NULL}, "x",         "x",         true },
        {"a beginning that turns out to be none",
         {"</a>", NULL},
         {"x<", "/b>", NULL},
         "x</b>",                                                                                                 "x</b>",
         false                                                                                                                      },
        {"a beginning at the end is shown by finish",
         {"\n\n", NULL},
         {"x\n", NULL},
         "x",                                                                                                     "x\n",
         false                                                                                                                      },
        {"the first in the text counts",              {"b", "a", NULL},    {"xab", NULL},            "x",         "x",         true },
        {"a beginning inside a beginning",            {"aab", NULL},       {"aa", "ab", NULL},       "a",         "a",         true },
        {"one stop string begins another",            {"ab", "abc", NULL}, {"xabc", NULL},           "x",         "x",         true },
        {"nothing follows a stop",                    {"#", NULL},         {"x#", "y", NULL},        "x",         "x",         true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stop_filter *f;
        bool stopped = false;
        struct buf text;

        buf_init(&text, 1024);
        assert_int_equal(stop_filter_open(rows[i].stop, &f, NULL), RAG_OK);
        for (size_t p = 0; rows[i].pieces[p]; p++)
            assert_int_equal(stop_filter_put(f, rows[i].pieces[p], strlen(rows[i].pieces[p]), &text,
                                             &stopped, NULL),
                             RAG_OK);
        if (strcmp(buf_str(&text), rows[i].early) != 0 || stopped != rows[i].stopped)
            fail_msg("%s: '%s', stopped %d", rows[i].what, buf_str(&text), stopped);
        assert_int_equal(stop_filter_finish(f, &text, NULL), RAG_OK);
        if (strcmp(buf_str(&text), rows[i].all) != 0)
            fail_msg("%s: '%s' after finish", rows[i].what, buf_str(&text));
        stop_filter_close(f);
        buf_release(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_penalty_both_signs),
        cmocka_unit_test(test_same_seed_same_draws),
        cmocka_unit_test(test_unusable),
        cmocka_unit_test(test_prompt_lookup),
        cmocka_unit_test(test_stop_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
