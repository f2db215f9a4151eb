/* Goal: moments and audit heads are read exactly or not at all.
 * Method: rows of text and value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ragctl/ragctl_audit.h"
#include "daemon/ragctl/ragctl_time.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW      1700000000000ll /* 2023-11-14T22:13:20Z */
#define BAD      (-1)
#define HEX      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct row {
    const char *name;
    const char *text;
    int64_t want_ms;
};

/* clang-format off */
static struct row rows[] = {
    {"a day", "2023-11-14", 1699920000000ll},
    {"a minute", "2023-11-14T22:13", 1699999980000ll},
    {"a second", "2023-11-14T22:13:20", NOW},
    {"a second with its zone", "2023-11-14T22:13:20Z", NOW},
    {"29 February of a leap year", "2024-02-29", 1709164800000ll},
    {"seconds ago", "20s", NOW - 20000},
    {"minutes ago", "5m", NOW - 300000},
    {"hours ago", "24h", NOW - 86400000},
    {"days ago", "7d", NOW - 604800000},
    {"longer ago than time", "36000d", 0},

    {"29 February of another year", "2023-02-29", BAD},
    {"month 13", "2023-13-01", BAD},
    {"something behind", "2023-11-14x", BAD},
    {"another zone", "2023-11-14T22:13+09:00", BAD},
    {"a unit that is none", "7w", BAD},
    {"a number without unit", "1700000000", BAD},
    {"a century and more ago", "99999d", BAD},
    {"before 1970", "1969-12-31", BAD},
    {"nothing", "", BAD},
    {"words", "yesterday", BAD},
};
/* clang-format on */

static void check_row(void **state)
{
    const struct row *row = *state;
    struct rag_error error = {0};
    int64_t at_ms = BAD;

    assert_int_equal(ragctl_time_parse(row->text, "option --since", NOW, &at_ms, &error),
                     row->want_ms == BAD ? RAG_EINVAL : RAG_OK);
    assert_int_equal(at_ms, row->want_ms);
}

static void heads_are_read(void **state)
{
    static const struct {
        const char *text;
        enum rag_status want;
        uint64_t n;
    } heads[] = {
        {"17:" HEX,                                                             RAG_OK,     17},
        {"0 " HEX "\n",                                                         RAG_OK,     0 },
        {"17" HEX,                                                              RAG_EINVAL, 0 },
        {":" HEX,                                                               RAG_EINVAL, 0 },
        {"17:" HEX "0",                                                         RAG_EINVAL, 0 },
        {"17:abc",                                                              RAG_EINVAL, 0 },
        {"17:g3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", RAG_EINVAL, 0 },
        {"99999999999999999999999:" HEX,                                        RAG_EINVAL, 0 },
        {"",                                                                    RAG_EINVAL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct audit_kept_head head;
        char hex[SHA256_HEX_BYTES];

        assert_int_equal(ragctl_audit_head(heads[i].text, &head, NULL), heads[i].want);
        if (heads[i].want == RAG_OK) {
            assert_int_equal(head.n, heads[i].n);
            sha256_hex(head.hash, hex);
            assert_string_equal(hex, HEX);
        }
    }
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 1] = {cmocka_unit_test(heads_are_read)};

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i + 1] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    return cmocka_run_group_tests_name("ragctl_time", tests, NULL, NULL);
}
