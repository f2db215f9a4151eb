/* Goal: an embedder reads every part of a chunk once, in order. Method: one row a combination. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "embed/passage_text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct row {
    const char *name;
    struct passage_parts parts;
    const char *want;
} rows[] = {
    {"all parts",
     {"규정", "1장 > 휴가", "이름 | 일수", "연차 | 15", 11},
     "규정\n1장 > 휴가\n이름 | 일수\n연차 | 15"                                               },
    {"text alone",                             {"", "", "", "text", 4},                "text"            },
    {"parts that are not given",               {NULL, NULL, NULL, "text", 4},          "text"            },
    {"a title that leads the path",            {"Rules", "Rules > Leave", "", "t", 1}, "Rules > Leave\nt"},
    {"a title that is the path",               {"Rules", "Rules", "", "t", 1},         "Rules\nt"        },
    {"a title that only begins like the path",
     {"Rule", "Rules > Leave", "", "t", 1},
     "Rule\nRules > Leave\nt"                                                                            },
    {"an empty text",                          {"Title", "", "", "", 0},               "Title"           },
    {"nothing",                                {"", "", "", "", 0},                    ""                },
    {"the text is as long as it says",         {"", "", "", "longer", 4},              "long"            },
};

static void check_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf out;

        buf_init(&out, 1000);
        passage_text(&rows[i].parts, &out);
        if (strcmp(buf_str(&out), rows[i].want) != 0)
            fail_msg("%s: '%s'", rows[i].name, buf_str(&out));
        buf_release(&out);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(check_rows)};

    return cmocka_run_group_tests_name("passage_text", tests, NULL, NULL);
}
