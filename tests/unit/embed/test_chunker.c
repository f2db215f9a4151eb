/* Chunks: where they end, what they carry, and what holds of all of them. */
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

static void extract_or_fail(enum document_format format, const char *s, size_t n,
                            struct extracted *ret)
{
    struct rag_error error = {RAG_OK, ""};

    if (extract_document(format, s, n, ret, &error) != RAG_OK)
        fail_msg("%s", error.text);
}

/* ---- what chunks are ---- */

#define CHUNKS_MAX 6

static const struct {
    const char *name;
    const char *text; /* Markdown */
    struct {
        const char *heading;
        const char *begins;
        const char *ends;
        const char *context;
    } chunks[CHUNKS_MAX];
    size_t chunk_chars;
    size_t overlap_chars;
} rows[] = {
    {"white space gives no chunks",                                                    " \n\n\t\n", {{NULL, NULL, NULL, NULL}},                                                                                  700, 80},
    {"a short text is one chunk",
     "안녕하세요. 반갑습니다.",                                                           {{"", "안녕", "반갑습니다.", ""}},
     700,                                                                                                                                                                                                             80},
    {"a heading's line begins its chunk, and the document's title is not in its path",
     "# 규정\n\n머리말.\n\n## 휴가\n\n15일이다.\n",                                       {{"", "# 규정", "머리말.", ""}, {"휴가", "## 휴가", "15일이다.", ""}},
     700,                                                                                                                                                                                                             80},
    {"a heading without text opens the section of its subheading",
     "# 규정\n\n## 휴가\n\n### 연차\n\n15일이다.\n\n### 병가\n\n7일이다.\n",          {{"휴가 > 연차", "# 규정", "15일이다.", ""}, {"휴가 > 병가", "### 병가", "7일이다.", ""}},
     700,                                                                                                                                                                                                             80},
    {"an empty section before a sibling is a chunk of its own",
     "# 규정\n\n글.\n\n## 가\n\n## 나\n\n글.\n",                                              {{"", "# 규정", "글.", ""}, {"가", "## 가", "## 가", ""}, {"나", "## 나", "글.", ""}},
     700,                                                                                                                                                                                                             80},
    {"a deeper section does not stay open after a shallower heading",
     "# 가\n\n글.\n\n### 나\n\n글.\n\n## 다\n\n글.\n",                                        {{"", "# 가", "글.", ""}, {"나", "### 나", "글.", ""}, {"다", "## 다", "글.", ""}},
     700,                                                                                                                                                                                                             80},
    {"short sections are not put together",
     "# 전화\n\n## 인사\n\n2310\n\n## 총무\n\n2311\n",                                        {{"인사", "# 전화", "2310", ""}, {"총무", "## 총무", "2311", ""}},
     700,                                                                                                                                                                                                             80},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct chunker_options o = {rows[i].chunk_chars, rows[i].overlap_chars};
        struct chunk_list list = {0};
        struct extracted e = {0};
        size_t want = 0;

        extract_or_fail(FORMAT_MARKDOWN, rows[i].text, strlen(rows[i].text), &e);
        assert_int_equal(chunk_document(&e, &o, &list, NULL), RAG_OK);
        while (want < CHUNKS_MAX && rows[i].chunks[want].heading)
            want++;
        if (list.n != want)
            fail_msg("%s: %zu chunks, not %zu", rows[i].name, list.n, want);
        for (size_t k = 0; k < want; k++) {
            const struct chunk *c = &list.items[k];
            size_t n_begins = strlen(rows[i].chunks[k].begins);
            size_t n_ends = strlen(rows[i].chunks[k].ends);

            if (strcmp(c->heading, rows[i].chunks[k].heading) != 0 ||
                strcmp(c->context, rows[i].chunks[k].context) != 0)
                fail_msg("%s: chunk %zu has heading '%s', context '%s'", rows[i].name, k,
                         c->heading, c->context);
            if (strncmp(e.text + c->byte_start, rows[i].chunks[k].begins, n_begins) != 0 ||
                strncmp(e.text + c->byte_end - n_ends, rows[i].chunks[k].ends, n_ends) != 0)
                fail_msg("%s: chunk %zu is '%.*s'", rows[i].name, k,
                         (int)(c->byte_end - c->byte_start), e.text + c->byte_start);
        }
        chunk_list_release(&list);
        extracted_release(&e);
    }
}

/* ---- what always holds ---- */

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Text of pieces that are where cuts go wrong: marks that join, long words, tables. */
static void append_random(struct buf *out, uint32_t *state, size_t n_pieces)
{
    static const char *const pieces[] = {
        "다. ",
        "가나다라",
        " ",
        "\n",
        "\n\n",
        "# 제목\n",
        "## 둘\n\n",
        "- 항목\n",
        "| a | b |\n",
        "|---|---|\n",
        "```\n",
        "\xCC\x81",
        "각",
        "\xE2\x80\x8D",
        "👨‍👩‍👧",
        "🇰🇷🇰🇷",
        "漢字",
        "\t",
        "1. ",
        "> ",
        "    ",
        "<b>",
        "</table><p>",
        "<table><tr><td>x<th>y",
        "&#x1100;&#x1161;",
        "\xD8\x80",
        "하였다!",
        "...",
        "（）",
        "\xE1\x84\x80\xE1\x85\xA1",
        "제1조(목적) ",
        "■ ",
        "---\n",
        "word word, word ",
    };

    for (size_t i = 0; i < n_pieces; i++) {
        const char *piece = pieces[next_random(state) % (sizeof pieces / sizeof pieces[0])];
        size_t times = next_random(state) % 40 == 0 ? 200 : 1;

        while (times-- > 0)
            buf_append_str(out, piece);
    }
}

static void test_random_documents(void **state)
{
    static const enum document_format formats[] = {FORMAT_TEXT, FORMAT_MARKDOWN, FORMAT_HTML};
    static const struct chunker_options options[] = {
        {100, 0 },
        {100, 49},
        {137, 20},
        {700, 80}
    };
    uint32_t seed = 20240611;

    (void)state;
    for (size_t i = 0; i < 600; i++) {
        struct extracted e = {0};
        enum rag_status status;
        const char *wrong;
        struct buf text;

        buf_init(&text, 1u << 20);
        append_random(&text, &seed, next_random(&seed) % 300);
        status = extract_document(formats[i % 3], buf_str(&text), text.len, &e, NULL);
        if (status != RAG_OK) { /* tables in tables beyond the depth */
            assert_int_equal(status, RAG_ELIMIT);
            buf_release(&text);
            continue;
        }
        wrong = check_document(&e, &options[i / 3 % 4]);
        if (wrong)
            fail_msg("document %zu: %s: %s", i, wrong, e.text);
        extracted_release(&e);
        buf_release(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_random_documents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
