/* Goal: Korean files in CP949 and UTF-16 become UTF-8, and nothing else is "converted".
 * Method: rows of bytes; the bytes of the Korean ones were made with iconv(1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ragctl/ragctl_charset.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BYTES(s) s, sizeof(s) - 1

struct row {
    const char *name;
    const char *bytes;
    size_t n;
    enum rag_status want;
    const char *from;
    const char *text;
};

/* clang-format off */
static struct row rows[] = {
    {"UTF-8 stays as it is", BYTES("휴가 규정"), RAG_OK, NULL, "휴가 규정"},
    {"ASCII stays", BYTES("plain"), RAG_OK, NULL, "plain"},
    {"an empty file stays", BYTES(""), RAG_OK, NULL, ""},
    {"CP949 is converted", BYTES("\xC8\xDE\xB0\xA1 \xB1\xD4\xC1\xA4\n"), RAG_OK, "CP949",
     "휴가 규정\n"},
    {"a syllable that only CP949 has", BYTES("\x98\xDE\xB0\xA1\xB0\xA1\n"), RAG_OK, "CP949",
     "샾가가\n"},
    {"UTF-16LE with its mark", BYTES("\xFF\xFE\x00\xAC\x0A\x00"), RAG_OK, "UTF-16", "가\n"},
    {"UTF-16BE with its mark", BYTES("\xFE\xFF\xAC\x00\x00\x0A"), RAG_OK, "UTF-16", "가\n"},

    {"UTF-8 cut in a character", BYTES("휴가 규\xEC\xA0"), RAG_EFORMAT, NULL, NULL},
    {"Latin-1 is not Korean", BYTES("caf\xE9 cr\xE8me"), RAG_EFORMAT, NULL, NULL},
    {"hanja alone are not believed", BYTES("\xEC\xCE\xEE\xD3"), RAG_EFORMAT, NULL, NULL},
    {"a binary file", BYTES("\x7F" "ELF\x02\x01\x01\x00\xB0\xA1\xB0\xA1"), RAG_EFORMAT, NULL,
     NULL},
    {"CP949 with a control character", BYTES("\xB0\xA1\x01\xB0\xA1"), RAG_EFORMAT, NULL, NULL},
    {"an odd number of bytes after the mark", BYTES("\xFF\xFE\x00\xAC\x0A"), RAG_EFORMAT, NULL,
     NULL},
};
/* clang-format on */

static void check_row(void **state)
{
    const struct row *row = *state;
    const char *from = "untouched";
    struct rag_error error = {0};
    struct buf text;

    buf_init(&text, 1024);
    buf_append(&text, row->bytes, row->n);
    assert_int_equal(charset_to_utf8(&text, &from, &error), row->want);
    if (row->want == RAG_OK) {
        assert_string_equal(buf_str(&text), row->text);
    } else {
        assert_int_equal(text.len, row->n);
        assert_memory_equal(text.data, row->bytes, row->n);
        assert_non_null(strstr(error.text, "is not UTF-8"));
    }
    if (row->from)
        assert_string_equal(from, row->from);
    else
        assert_null(from);
    buf_release(&text);
}

static void the_cap_holds(void **state)
{
    struct rag_error error = {0};
    const char *from = NULL;
    struct buf text;

    (void)state;
    buf_init(&text, 80);
    for (int i = 0; i < 40; i++) /* 80 bytes of CP949 are 120 of UTF-8 */
        buf_append(&text, "\xB0\xA1", 2);
    assert_int_equal(charset_to_utf8(&text, &from, &error), RAG_ELIMIT);
    assert_int_equal(text.len, 80);
    buf_release(&text);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + 1] = {cmocka_unit_test(the_cap_holds)};

    for (size_t i = 0; i < COUNT(rows); i++)
        tests[i + 1] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, &rows[i]};
    return cmocka_run_group_tests_name("ragctl_charset", tests, NULL, NULL);
}
