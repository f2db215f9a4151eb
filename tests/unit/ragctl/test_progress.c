/* Goal: the progress line says count, rate and time left, fits its terminal, and nothing is
 * written where nobody looks. Method: rows of a job's state; a file as the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ragctl/progress.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct row {
    const char *name;
    struct progress p;
    double elapsed_s;
    unsigned columns;
    const char *want;
};

/* clang-format off */
static struct row rows[] = {
    {"at the start", {.noun = "files", .total = 10}, 0, 100,
     "[....................]   0%  0/10 files"},
    {"half of things", {.noun = "files", .total = 10, .done = 5}, 10, 100,
     "[##########..........]  50%  5/10 files  0.5 files/s  ETA 0:10"},
    {"the bar follows bytes", {.noun = "files", .total = 4, .done = 1, .total_bytes = 4000000,
     .done_bytes = 3000000}, 30, 100,
     "[###############.....]  75%  1/4 files  3.0 MB  0.0 files/s  ETA 0:10"},
    {"a total that is not known", {.noun = "documents", .done = 512}, 2, 100,
     "512 documents  256 documents/s"},
    {"bytes known, things not", {.noun = "documents", .done = 30, .total_bytes = 10,
     .done_bytes = 5}, 2, 100,
     "[##########..........]  50%  30 documents  5 B  15.0 documents/s  ETA 0:02"},
    {"no estimate in the first second", {.noun = "files", .total = 10, .done = 5}, 0.5, 100,
     "[##########..........]  50%  5/10 files"},
    {"a narrow terminal has no bar", {.noun = "files", .total = 10, .done = 5}, 10, 60,
     " 50%  5/10 files  0.5 files/s  ETA 0:10"},
    {"the line is cut before it wraps", {.noun = "files", .total = 10, .done = 5}, 10, 12,
     " 50%  5/10 "},
    {"more done than there was", {.noun = "files", .total = 10, .done = 12}, 12, 100,
     "[####################] 100%  12/10 files  1.0 files/s  ETA 0:00"},
};
/* clang-format on */

static void check_row(void **state)
{
    const struct row *row = *state;
    struct buf out;

    buf_init(&out, 1024);
    progress_format(&row->p, row->elapsed_s, row->columns, &out);
    assert_string_equal(buf_str(&out), row->want);
    buf_release(&out);
}

static void numbers_are_short(void **state)
{
    static const struct {
        double seconds;
        const char *want;
    } durations[] = {
        {0,     "0:00"   },
        {7.4,   "0:07"   },
        {760,   "12:40"  },
        {11100, "3:05:00"},
        {-1,    "0:00"   }
    };
    static const struct {
        uint64_t n;
        const char *want;
    } sizes[] = {
        {0,                   "0 B"      },
        {999,                 "999 B"    },
        {1500,                "1.5 kB"   },
        {999999,              "1.0 MB"   },
        {18300000,            "18.3 MB"  },
        {5000000000000000ull, "5000.0 TB"}
    };
    struct buf out;

    (void)state;
    buf_init(&out, 64);
    for (size_t i = 0; i < COUNT(durations); i++) {
        buf_reset(&out);
        progress_append_duration(&out, durations[i].seconds);
        assert_string_equal(buf_str(&out), durations[i].want);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        buf_reset(&out);
        progress_append_bytes(&out, sizes[i].n);
        assert_string_equal(buf_str(&out), sizes[i].want);
    }
    buf_release(&out);
}

static void only_notes_reach_a_file(void **state)
{
    char text[128] = "";
    FILE *f = tmpfile();
    struct progress p;

    (void)state;
    assert_non_null(f);
    progress_init(&p, f, false, "files", 3, 0);
    for (uint64_t i = 0; i < 3; i++)
        progress_update(&p, i, 0);
    progress_note(&p, "file '%s': bad", "x");
    progress_finish(&p);
    progress_finish(&p);
    rewind(f);
    assert_int_equal(fread(text, 1, sizeof text - 1, f), 14);
    assert_string_equal(text, "file 'x': bad\n");
    fclose(f);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 2] = {cmocka_unit_test(numbers_are_short),
                                                cmocka_unit_test(only_notes_reach_a_file)};

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i + 2] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
