/* Goal: a program that computes executes itself again exactly when the environment is not what
 * OpenBLAS and OpenMP should have read, and never twice. Method: one row per situation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/reexec.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct row {
    const char *name;
    struct reexec_facts facts; /* core, better, coretype, blas_threads, omp_threads, done */
    bool reexecute;
    const char *coretype;
    const char *slow;
};

static const struct row rows[] = {
    {"nothing is set, the core suits",
     {"SkylakeX", NULL, NULL, NULL, NULL, false},
     true,                                                                                                            NULL,
     NULL                                                                                                                             },
    {"all is set, the core suits",                            {"SkylakeX", NULL, NULL, "1", "1", false},       false, NULL,       NULL},
    {"only OpenMP is left",                                   {"SkylakeX", NULL, NULL, "1", NULL, false},      true,  NULL,       NULL},
    {"two threads of BLAS are one too many",
     {"SkylakeX", NULL, NULL, "2", "1", false},
     true,                                                                                                            NULL,
     NULL                                                                                                                             },
    {"a misjudged CPU",                                       {"Prescott", "SkylakeX", NULL, "1", "1", false}, true,  "SkylakeX", NULL},
    {"a misjudged CPU, an empty variable",
     {"Prescott", "Haswell", "", "1", "1", false},
     true,                                                                                                            "Haswell",
     NULL                                                                                                                             },
    {"executed again, and it worked",
     {"SkylakeX", NULL, "SkylakeX", "1", "1", true},
     false,                                                                                                           NULL,
     NULL                                                                                                                             },
    {"executed again, in vain",
     {"Prescott", "SkylakeX", "SkylakeX", "1", "1", true},
     false,                                                                                                           NULL,
     "this OpenBLAS has no other"                                                                                                     },
    {"executed again, and somebody took the variables away",
     {"Prescott", "SkylakeX", NULL, NULL, NULL, true},
     false,                                                                                                           NULL,
     "this OpenBLAS has no other"                                                                                                     },
    {"a person asks for another core",
     {"Nehalem", "SkylakeX", "Nehalem", "1", "1", false},
     false,                                                                                                           NULL,
     "OPENBLAS_CORETYPE asks for it"                                                                                                  },
    {"a person asks for another core, threads are to be set",
     {"Nehalem", "SkylakeX", "Nehalem", NULL, NULL, false},
     true,                                                                                                            NULL,
     "OPENBLAS_CORETYPE asks for it"                                                                                                  },
    {"and is believed after it, too",
     {"Nehalem", "SkylakeX", "Nehalem", "1", "1", true},
     false,                                                                                                           NULL,
     "OPENBLAS_CORETYPE asks for it"                                                                                                  },
};

static void same(const char *got, const char *expected, const char *name)
{
    if (!got != !expected || (got && strcmp(got, expected) != 0))
        fail_msg("%s: '%s', expected '%s'", name, got ? got : "", expected ? expected : "");
}

static void each_situation_has_its_plan(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct reexec_plan plan = reexec_decide(&rows[i].facts);

        if (plan.reexecute != rows[i].reexecute)
            fail_msg("%s: executed again: %d", rows[i].name, plan.reexecute);
        same(plan.coretype, rows[i].coretype, rows[i].name);
        same(plan.slow, rows[i].slow, rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_situation_has_its_plan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
