/* Scores of a cross-encoder and of the order that it was given, as one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "retrieve/rerank_blend.h"

#define PASSAGES 4
#define UNREAD   (-1.0f)

static const struct {
    const char *name;
    size_t n;
    float w;
    float words[PASSAGES]; /* earlier scores, best first */
    float cross[PASSAGES];
    size_t order[PASSAGES]; /* wanted */
    float scores[PASSAGES]; /* wanted, in that order */
} rows[] = {
    {"w = 0: the cross-encoder alone",
     3,                                                                  0,
     {.9f, .5f, .1f},
     {.1f, .3f, .8f},
     {2, 1, 0},
     {.8f, .3f, .1f}                                                                                                                        },
    {"w = 1: the earlier order alone",
     3,                                                                  1,
     {.9f, .5f, .1f},
     {.1f, .3f, .8f},
     {0, 1, 2},
     {1, .5f, 0}                                                                                                                            },
    {"half of both",                                                  3, .5f, {.9f, .5f, .1f}, {.1f, .3f, .7f}, {0, 1, 2}, {.55f, .4f, .35f}},
    {"words decide where the cross-encoder finds all equally bad",
     3,                                                                  .3f,
     {.6f, .5f, .4f},
     {.01f, .01f, .01f},
     {0, 1, 2},
     {.307f, .157f, .007f}                                                                                                                  },
    {"a sure cross-encoder overrules a small weight of the words",
     2,                                                                  .3f,
     {.6f, .4f},
     {.05f, .95f},
     {1, 0},
     {.665f, .335f}                                                                                                                         },
    {"fusion scores are stretched, however small",
     3,                                                                  .5f,
     {.03f, .02f, .01f},
     {0, 0, .4f},
     {0, 1, 2},
     {.5f, .25f, .2f}                                                                                                                       },
    {"what was not read keeps its order behind",
     4,                                                                  0,
     {.9f, .8f, .7f, .6f},
     {.2f, .4f, UNREAD, UNREAD},
     {1, 0, 2, 3},
     {.4f, .2f, 0, 0}                                                                                                                       },
    {"what was not read has its words, and never overtakes what was",
     4,                                                                  .4f,
     {.9f, .8f, .7f, .5f},
     {0, .5f, UNREAD, UNREAD},
     {1, 0, 2, 3},
     {.6f, .4f, .2f, 0}                                                                                                                     },
    {"equal scores keep the earlier order",
     3,                                                                  .5f,
     {.5f, .5f, .5f},
     {.2f, .2f, .2f},
     {0, 1, 2},
     {.6f, .6f, .6f}                                                                                                                        },
    {"one passage",                                                   1, .5f, {.3f},           {.4f},           {0},       {.7f}            },
    {"none",                                                          0, .5f, {0},             {0},             {0},       {0}              },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct passage passages[PASSAGES] = {{0}};

        for (size_t i = 0; i < rows[r].n; i++)
            passages[i] = (struct passage){.id = i,
                                           .rerank_score = rows[r].words[i],
                                           .cross_score = rows[r].cross[i],
                                           .cross_read = rows[r].cross[i] >= 0};
        rerank_blend(passages, rows[r].n, rows[r].w);
        for (size_t i = 0; i < rows[r].n; i++) {
            if (passages[i].id != rows[r].order[i])
                fail_msg("%s: place %zu has %zu", rows[r].name, i, (size_t)passages[i].id);
            if (fabsf(passages[i].rerank_score - rows[r].scores[i]) > 1e-5f)
                fail_msg("%s: place %zu scores %f", rows[r].name, i,
                         (double)passages[i].rerank_score);
            assert_int_equal(passages[i].rerank_rank, i + 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
