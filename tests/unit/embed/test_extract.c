/* Formats by type and name, JSON records, NDJSON, encodings and limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "chunk_check.h"

/* ---- which format ---- */

static const struct {
    const char *name;
    const char *content_type;
    const char *document;
    enum rag_status status;
    enum document_format format;
    const char *says;
} formats[] = {
    {"a type",                                  "text/markdown",                "a.txt",       RAG_OK,     FORMAT_MARKDOWN, ""                 },
    {"a type with parameters in capitals",      "Text/HTML; Charset=\"UTF-8\"", NULL,          RAG_OK,
     FORMAT_HTML,                                                                                                           ""                 },
    {"another charset",                         "text/plain; charset=euc-kr",   "a.txt",       RAG_EINVAL, FORMAT_TEXT,
     "iconv -f euc-kr"                                                                                                                         },
    {"ASCII is UTF-8",                          "text/plain;charset=us-ascii",  NULL,          RAG_OK,     FORMAT_TEXT,     ""                 },
    {"an unknown type names what is supported", "application/pdf",              "a.txt",       RAG_EINVAL, FORMAT_TEXT,
     "'application/pdf': not supported; supported: text/plain"                                                                                 },
    {"octet-stream looks at the name",          "application/octet-stream",     "안내/a.MD", RAG_OK,
     FORMAT_MARKDOWN,                                                                                                       ""                 },
    {"no type looks at the name",               NULL,                           "a.b.ndjson",  RAG_OK,     FORMAT_NDJSON,   ""                 },
    {"JSON lines",                              "application/jsonl",            NULL,          RAG_OK,     FORMAT_NDJSON,   ""                 },
    {"a name without a suffix",                 NULL,                           "README",      RAG_EINVAL, FORMAT_TEXT,     "document 'README'"},
    {"an unknown suffix",                       NULL,                           "a.hwp",       RAG_EINVAL, FORMAT_TEXT,     "document 'a.hwp'" },
    {"neither",                                 NULL,                           NULL,          RAG_EINVAL, FORMAT_TEXT,     "supported"        },
};

static void test_formats(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        enum document_format format = FORMAT_JSON;
        struct rag_error error = {RAG_OK, ""};
        enum rag_status status =
            document_format_of(formats[i].content_type, formats[i].document, &format, &error);

        if (status != formats[i].status || !strstr(error.text, formats[i].says))
            fail_msg("%s: status %d: %s", formats[i].name, status, error.text);
        if (status == RAG_OK && format != formats[i].format)
            fail_msg("%s: format %d", formats[i].name, format);
    }
    for (int f = FORMAT_TEXT; f <= FORMAT_NDJSON; f++) {
        enum document_format back;

        assert_int_equal(
            document_format_of(document_format_mime((enum document_format)f), NULL, &back, NULL),
            RAG_OK);
        assert_int_equal(back, f);
    }
}

/* ---- one record ---- */

static const struct {
    const char *name;
    const char *body;
    const char *document; /* NULL: refused */
    const char *title;
    const char *text;
    const char *metadata;
    const char *says;
} records[] = {
    {"text alone",                                  "{\"text\":\"글이다.\"}",                   "-",   "",        "글이다.",      "-",                                       ""               },
    {"all fields",
     "{\"id\":\"d/1\",\"title\":\" 제\\n목 \",\"text\":\"# 하나\\n\\n글\",\"format\":\"markdown\","
     "\"metadata\":{\"year\":2024,\"tags\":[\"a\",1,true]}}",                                      "d/1", "제 목", "# 하나\n\n글", "{\"year\":2024,\"tags\":[\"a\",1,true]}", ""               },
    {"a name and a number as id",                   "{\"name\":17,\"text\":\"글\"}",              "17",  "",        "글",             "-",                                       ""               },
    {"the title of the text where none is given",
     "{\"text\":\"<title>제목</title><p>글\",\"format\":\"html\"}",                             "-",   "제목",  "글",             "-",                                       ""               },
    {"other fields are metadata, given ones first",
     "{\"text\":\"글\",\"url\":\"http://x\",\"year\":1,\"metadata\":{\"year\":2},\"gone\":null}", "-",   "",        "글",             "{\"year\":2,\"url\":\"http://x\"}",       ""               },
    {"a byte-order mark",                           "\xEF\xBB\xBF{\"text\":\"글\"}",              "-",   "",        "글",             "-",                                       ""               },
    {"an empty text",                               "{\"text\":\"\"}",                             "-",   "",        "",                "-",                                       ""               },
    {"no JSON",                                     "{text}",                                      NULL,  NULL,      NULL,              NULL,                                      "record"         },
    {"no object",                                   "[{\"text\":\"a\"}]",                          NULL,  NULL,      NULL,              NULL,                                      "NDJSON"         },
    {"no text",                                     "{\"title\":\"a\"}",                           NULL,  NULL,      NULL,              NULL,                                      "has no \"text\""},
    {"text of a wrong type",                        "{\"text\":5}",                                NULL,  NULL,      NULL,              NULL,                                      "text"           },
    {"an unknown format",                           "{\"text\":\"a\",\"format\":\"pdf\"}",         NULL,  NULL,      NULL,              NULL,
     "\"pdf\"; must be text, markdown or html"                                                                                                                                                      },
    {"an id of a wrong type",                       "{\"text\":\"a\",\"id\":[1]}",                 NULL,  NULL,      NULL,              NULL,
     "'id': must be"                                                                                                                                                                                },
    {"an object as metadata",                       "{\"text\":\"a\",\"metadata\":{\"k\":{}}}",    NULL,  NULL,      NULL,              NULL,
     "metadata 'k'"                                                                                                                                                                                 },
    {"an array of arrays as metadata",              "{\"text\":\"a\",\"k\":[[1]]}",                NULL,  NULL,      NULL,              NULL,
     "metadata 'k'"                                                                                                                                                                                 },
    {"metadata that is no object",                  "{\"text\":\"a\",\"metadata\":[]}",            NULL,  NULL,      NULL,              NULL,
     "metadata"                                                                                                                                                                                     },
    {"two of a key",                                "{\"text\":\"a\",\"text\":\"b\"}",             NULL,  NULL,      NULL,              NULL,                                      "text"           },
};

static void test_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct extracted e = {0};
        enum rag_status status =
            extract_document(FORMAT_JSON, records[i].body, strlen(records[i].body), &e, &error);

        if (!records[i].document) {
            if (status == RAG_OK || !strstr(error.text, records[i].says))
                fail_msg("%s: status %d: %s", records[i].name, status, error.text);
            assert_null(e.text);
            continue;
        }
        if (status != RAG_OK)
            fail_msg("%s: %s", records[i].name, error.text);
        if (strcmp(e.name ? e.name : "-", records[i].document) != 0 ||
            strcmp(e.title, records[i].title) != 0 || strcmp(e.text, records[i].text) != 0 ||
            strcmp(e.metadata ? e.metadata : "-", records[i].metadata) != 0)
            fail_msg("%s: name '%s', title '%s', text '%s', metadata '%s'", records[i].name,
                     e.name ? e.name : "-", e.title, e.text, e.metadata ? e.metadata : "-");
        extracted_release(&e);
    }
}

static void test_metadata_limits(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct extracted e = {0};
    struct buf body;

    (void)state;
    buf_init(&body, 1u << 20);
    buf_append_str(&body, "{\"text\":\"a\",\"k\":\"");
    for (size_t i = 0; i <= METADATA_VALUE_BYTES_MAX; i++)
        buf_append_char(&body, 'v');
    buf_append_str(&body, "\"}");
    assert_int_equal(extract_document(FORMAT_JSON, buf_str(&body), body.len, &e, &error),
                     RAG_ELIMIT);
    assert_string_equal(error.text, "metadata 'k': 1025 bytes; the limit is 1024");

    buf_reset(&body);
    buf_append_str(&body, "{\"text\":\"a\"");
    for (size_t i = 0; i <= METADATA_KEYS_MAX; i++)
        buf_printf(&body, ",\"k%zu\":1", i);
    buf_append_str(&body, "}");
    assert_int_equal(extract_document(FORMAT_JSON, buf_str(&body), body.len, &e, &error),
                     RAG_ELIMIT);
    assert_string_equal(error.text, "metadata: over 64 keys");
    buf_release(&body);
}

/* ---- NDJSON ---- */

struct seen {
    size_t lines[8];
    size_t n;
    size_t bad[8];
    size_t n_bad;
    bool go_on;
};

static enum rag_status on_record(void *context, size_t line, struct extracted *record,
                                 struct rag_error *reterr)
{
    struct seen *s = context;

    s->lines[s->n++] = line;
    if (record->name && strcmp(record->name, "stop") == 0)
        return rag_fail(reterr, RAG_ECANCELLED, "stopped");
    return RAG_OK;
}

static bool on_bad(void *context, size_t line, const char *message)
{
    struct seen *s = context;

    assert_true(message[0] != '\0');
    s->bad[s->n_bad++] = line;
    return s->go_on;
}

static void test_ndjson(void **state)
{
    static const char body[] = "{\"text\":\"a\"}\r\n\n  \n{\"text\":1}\n{\"text\":\"b\"}\n\xFF\n"
                               "{\"id\":\"stop\",\"text\":\"c\"}\n{\"text\":\"d\"}";
    struct seen s = {.go_on = true};
    struct record_sink sink = {on_record, on_bad, &s};
    struct rag_error error = {RAG_OK, ""};

    (void)state;
    assert_int_equal(extract_records(body, sizeof body - 1, &sink, &error), RAG_ECANCELLED);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.lines[0], 1);
    assert_int_equal(s.lines[1], 5);
    assert_int_equal(s.lines[2], 7);
    assert_int_equal(s.n_bad, 2);
    assert_int_equal(s.bad[0], 4);
    assert_int_equal(s.bad[1], 6);

    memset(&s, 0, sizeof s);
    assert_int_equal(extract_records(body, sizeof body - 1, &sink, &error), RAG_EINVAL);
    assert_int_equal(s.n, 1);
    assert_int_equal(strncmp(error.text, "line 4: ", 8), 0);

    memset(&s, 0, sizeof s);
    sink.on_bad = NULL;
    assert_int_equal(extract_records(body, sizeof body - 1, &sink, &error), RAG_EINVAL);
    assert_int_equal(extract_records("", 0, &sink, &error), RAG_OK);
}

/* ---- encodings and limits ---- */

static void test_not_utf8(void **state)
{
    struct rag_error error = {RAG_OK, ""};
    struct extracted e = {0};

    (void)state;
    assert_int_equal(extract_document(FORMAT_TEXT, "ab\xB0\xA1", 4, &e, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "byte 2 (0xB0) is not UTF-8"));
    assert_non_null(strstr(error.text, "cp949"));
    assert_int_equal(extract_document(FORMAT_MARKDOWN, "a\0b", 3, &e, &error), RAG_EFORMAT);
    assert_non_null(strstr(error.text, "NUL at byte 1"));
    assert_int_equal(extract_document(FORMAT_NDJSON, "{}", 2, &e, &error), RAG_EINVAL);
}

static void test_too_long(void **state)
{
    const size_t n = (size_t)DOCUMENT_BYTES_MAX + 1;
    struct rag_error error = {RAG_OK, ""};
    struct extracted e = {0};
    char *body = malloc(n);

    (void)state;
    assert_non_null(body);
    memset(body, 'a', n);
    assert_int_equal(extract_document(FORMAT_TEXT, body, n, &e, &error), RAG_ELIMIT);
    assert_string_equal(error.text, "document: text of 67108865 bytes; the limit is 67108864");
    free(body);
}

static void test_long_titles_are_cut_at_a_character(void **state)
{
    struct extracted e = {0};
    struct buf body;

    (void)state;
    buf_init(&body, 1u << 20);
    buf_append_str(&body, "# ");
    for (size_t i = 0; i < 1000; i++)
        buf_append_str(&body, "가");
    assert_int_equal(extract_document(FORMAT_MARKDOWN, buf_str(&body), body.len, &e, NULL), RAG_OK);
    assert_int_equal(strlen(e.title), TITLE_BYTES_MAX - TITLE_BYTES_MAX % 3);
    extracted_release(&e);
    buf_release(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_metadata_limits),
        cmocka_unit_test(test_ndjson),
        cmocka_unit_test(test_not_utf8),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_long_titles_are_cut_at_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
