/* Goal: columns line up with Hangul in them, and no stored text drives a terminal.
 * Method: rows of text and what must be printed; widths from UAX #11. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ragctl/ragctl_print.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum form { WIDTH, CLEAN, ONE_LINE, WRAPPED };

struct row {
    const char *name;
    enum form form;
    const char *text;
    size_t columns;
    const char *want;
};

/* clang-format off */
static struct row rows[] = {
    {"latin is one column", WIDTH, "abc", 3, NULL},
    {"hangul is two", WIDTH, "휴가 규정", 9, NULL},
    {"decomposed hangul counts its initials", WIDTH, "\xE1\x84\x92\xE1\x85\xB2", 2, NULL},
    {"full-width and hanja are two", WIDTH, "Ａ漢", 4, NULL},
    {"a combining mark is none", WIDTH, "e\xCC\x81", 1, NULL},
    {"an emoji is two", WIDTH, "\xF0\x9F\x98\x80", 2, NULL},
    {"a bad byte is one", WIDTH, "a\xFF", 2, NULL},

    {"plain text stays", CLEAN, "가 a\n\tb", 0, "가 a\n\tb"},
    {"escape sequences lose their escape", CLEAN, "\x1B[31mred", 0, "\xEF\xBF\xBD[31mred"},
    {"C1 controls go", CLEAN, "\xC2\x9B" "x", 0, "\xEF\xBF\xBD" "x"},
    {"a carriage return goes", CLEAN, "a\rb", 0, "a\xEF\xBF\xBD" "b"},
    {"bidirectional overrides go", CLEAN, "a\xE2\x80\xAE" "b", 0, "a\xEF\xBF\xBD" "b"},
    {"bad bytes go", CLEAN, "\xC0\xAF", 0, "\xEF\xBF\xBD\xEF\xBF\xBD"},

    {"white space collapses", ONE_LINE, "  a \n\n b\t ", 0, "a b"},
    {"a text that fits is whole", ONE_LINE, "휴가", 4, "휴가"},
    {"a longer one ends with an ellipsis", ONE_LINE, "휴가규정", 5, "휴가…"},
    {"the ellipsis has room", ONE_LINE, "abcdef", 4, "abc…"},

    {"a short text is one line", WRAPPED, "a b", 20, "  a b\n"},
    {"lines break at spaces", WRAPPED, "aaaa bbbb cccc", 11, "  aaaa bbbb\n  cccc\n"},
    {"hangul counts double", WRAPPED, "휴가 규정", 8, "  휴가\n  규정\n"},
    {"a long word is cut", WRAPPED, "가나다라마", 8, "  가나다\n  라마\n"},
    {"an empty text is an empty line", WRAPPED, "", 20, "  \n"},
};
/* clang-format on */

static void check_row(void **state)
{
    const struct row *row = *state;
    size_t n = strlen(row->text);
    struct buf out;

    buf_init(&out, 4096);
    switch (row->form) {
    case WIDTH:
        assert_int_equal(print_columns(row->text), row->columns);
        break;
    case CLEAN:
        print_clean(&out, row->text, n);
        break;
    case ONE_LINE:
        print_one_line(&out, row->text, n, row->columns);
        break;
    case WRAPPED:
        print_wrapped(&out, row->text, "  ", row->columns);
        break;
    }
    if (row->want)
        assert_string_equal(buf_str(&out), row->want);
    buf_release(&out);
}

static void a_table_lines_up(void **state)
{
    struct print_table table;
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    print_table_init(&table, "lrl");
    print_table_cell(&table, "휴가.md");
    print_table_cell(&table, "%d", 7);
    print_table_cell(&table, "title\nof two lines");
    print_table_cell(&table, "a");
    print_table_cell(&table, "%d", 1234);
    print_table_cell(&table, "b");
    print_table_cell(&table, "a row that is not complete");
    print_table_append(&table, &out);
    assert_string_equal(buf_str(&out), "휴가.md     7  title of two lines\n"
                                       "a        1234  b\n");
    print_table_release(&table);
    buf_release(&out);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 1] = {cmocka_unit_test(a_table_lines_up)};

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i + 1] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    return cmocka_run_group_tests_name("ragctl_print", tests, NULL, NULL);
}
