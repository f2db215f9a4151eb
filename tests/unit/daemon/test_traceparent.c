/* Goal: a traceparent is taken exactly when W3C Trace Context says that it is one. Method: rows of
 * the specification's own examples and of what is nearly one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/traceparent.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TRACE    "0af7651916cd43dd8448eb211c80319c"
#define SPAN     "b7ad6b7169203331"

struct row {
    const char *name;
    const char *text;
    bool valid;
    bool sampled;
};

static struct row rows[] = {
    {"sampled",                               "00-" TRACE "-" SPAN "-01",                        true,  true },
    {"not sampled",                           "00-" TRACE "-" SPAN "-00",                        true,  false},
    {"other flags say nothing of sampling",   "00-" TRACE "-" SPAN "-02",                        true,  false},
    {"other flags beside it",                 "00-" TRACE "-" SPAN "-ff",                        true,  true },
    {"a later version",                       "cc-" TRACE "-" SPAN "-01",                        true,  true },
    {"a later version has more to say",       "cc-" TRACE "-" SPAN "-01-more",                   true,  true },
    {"nothing",                               "",                                                false, false},
    {"version ff",                            "ff-" TRACE "-" SPAN "-01",                        false, false},
    {"version 00 with something behind it",   "00-" TRACE "-" SPAN "-01-more",                   false, false},
    {"a later version without a dash",        "cc-" TRACE "-" SPAN "-01.more",                   false, false},
    {"a later version with half a flag more", "cc-" TRACE "-" SPAN "-011",                       false, false},
    {"upper-case digits",                     "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01", false, false},
    {"an upper-case digit in the flags",      "00-" TRACE "-" SPAN "-0A",                        false, false},
    {"a trace id of zeros",                   "00-00000000000000000000000000000000-" SPAN "-01", false, false},
    {"a span id of zeros",                    "00-" TRACE "-0000000000000000-01",                false, false},
    {"no digit",                              "00-" TRACE "-b7ad6b716920333g-01",                false, false},
    {"no version's digit",                    "0x-" TRACE "-" SPAN "-01",                        false, false},
    {"a short trace id",                      "00-0af7651916cd43dd8448eb211c80319-" SPAN "-01",  false, false},
    {"a dash too few",                        "00-" TRACE SPAN "-01",                            false, false},
    {"blanks in place of dashes",             "00 " TRACE " " SPAN " 01",                        false, false},
    {"a blank before it",                     " 00-" TRACE "-" SPAN "-01",                       false, false},
    {"half of it",                            "00-" TRACE,                                       false, false},
    {"without flags",                         "00-" TRACE "-" SPAN "-",                          false, false},
};

static void check_row(void **state)
{
    static const uint8_t trace[TRACE_ID_BYTES] = {0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd,
                                                  0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c};
    static const uint8_t span[SPAN_ID_BYTES] = {0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31};
    const struct row *row = *state;
    struct traceparent t;

    memset(&t, 0x5a, sizeof t);
    assert_int_equal(traceparent_parse(row->text, &t), row->valid);
    if (row->valid) {
        assert_int_equal(t.sampled, row->sampled);
        assert_memory_equal(t.trace_id, trace, sizeof trace);
        assert_memory_equal(t.span_id, span, sizeof span);
    } else {
        assert_int_equal(t.trace_id[0], 0x5a); /* written only when it is one */
    }
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows)];

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    return cmocka_run_group_tests_name("traceparent", tests, NULL, NULL);
}
