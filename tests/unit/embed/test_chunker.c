/* Chunks: where they end, what they carry, and what holds of all of them. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
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

/* ---- long sections ---- */

/* n times the piece, with each '#' of it made its number. */
static void append_numbered(struct buf *out, const char *piece, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (const char *p = piece; *p; p++) {
            if (*p == '#')
                buf_printf(out, "%zu", i);
            else
                buf_append_char(out, *p);
        }
    }
}

struct long_case {
    const char *head;
    const char *piece;
    size_t n_pieces;
    size_t overlap_chars;
    enum document_format format;
};

static void chunk_long(const struct long_case *c, struct extracted *ret_e, struct chunk_list *ret)
{
    const struct chunker_options o = {200, c->overlap_chars};
    const char *wrong;
    struct buf text;

    buf_init(&text, 1u << 20);
    buf_append_str(&text, c->head);
    append_numbered(&text, c->piece, c->n_pieces);
    extract_or_fail(c->format, buf_str(&text), text.len, ret_e);
    buf_release(&text);
    wrong = check_document(ret_e, &o);
    if (wrong)
        fail_msg("%s", wrong);
    assert_int_equal(chunk_document(ret_e, &o, ret, NULL), RAG_OK);
    assert_true(ret->n > 2);
}

static void test_rows_of_a_cut_table_carry_their_header(void **state)
{
    static const struct long_case cases[] = {
        {"# 표\n\n| 이름 | 값 |\n|---|---|\n",   "| 담당자# | #23 |\n",    60, 50, FORMAT_MARKDOWN},
        {"<h1>표</h1><table><tr><th>이름<th>값", "<tr><td>담당자#<td>#23", 60, 50, FORMAT_HTML    },
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct chunk_list list = {0};
        struct extracted e = {0};

        chunk_long(&cases[i], &e, &list);
        assert_string_equal(list.items[0].context, "");
        for (size_t k = 1; k < list.n; k++) {
            assert_string_equal(list.items[k].context, i == 0 ? "| 이름 | 값 |" : "이름 | 값");
            assert_string_equal(list.items[k].heading, ""); /* the title, not repeated */
            /* whole rows, no row twice */
            assert_true(list.items[k].byte_start > list.items[k - 1].byte_end);
            assert_int_equal(e.text[list.items[k].byte_start - 1], '\n');
        }
        chunk_list_release(&list);
        extracted_release(&e);
    }
}

static void test_items_of_a_cut_list_carry_what_leads_to_them(void **state)
{
    static const struct {
        struct long_case c;
        const char *context;
    } cases[] = {
        {{"# 글\n\n## 절\n\n준비물:\n\n", "- 도구 #번과 그 부속\n", 60, 0, FORMAT_MARKDOWN},
         "준비물:"                                                                                                   },
        {{"머리말이다.\n준비물은 다음과 같다.\n", "- 도구 #번과 그 부속\n", 60, 0, FORMAT_TEXT},
         "준비물은 다음과 같다."                                                                               },
        {{"도구를 적었다.\n\n", "- 도구 #번과 그 부속\n", 60, 0, FORMAT_MARKDOWN},                       ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct chunk_list list = {0};
        struct extracted e = {0};

        chunk_long(&cases[i].c, &e, &list);
        assert_string_equal(list.items[0].context, "");
        for (size_t k = 1; k < list.n; k++)
            assert_string_equal(list.items[k].context, cases[i].context);
        chunk_list_release(&list);
        extracted_release(&e);
    }
}

static void test_overlap_is_whole_sentences(void **state)
{
    static const struct long_case c = {"", "문장 #번은 열두 글자쯤 된다. ", 60, 50, FORMAT_TEXT};
    struct chunk_list list = {0};
    struct extracted e = {0};

    (void)state;
    chunk_long(&c, &e, &list);
    for (size_t k = 0; k < list.n; k++) {
        assert_memory_equal(e.text + list.items[k].byte_start, "문장", 6);
        assert_int_equal(e.text[list.items[k].byte_end - 1], '.');
        if (k > 0)
            assert_true(list.items[k].byte_start < list.items[k - 1].byte_end);
    }
    chunk_list_release(&list);
    extracted_release(&e);
}

static void test_paragraphs_are_kept_where_they_fit(void **state)
{
    static const struct long_case c = {
        "", "문단 #번의 첫 문장이다. 둘째 문장은 조금 더 길게 이어진다. 셋째 문장이다.\n\n", 20, 0,
        FORMAT_TEXT};
    struct chunk_list list = {0};
    struct extracted e = {0};

    (void)state;
    chunk_long(&c, &e, &list);
    for (size_t k = 0; k < list.n; k++)
        assert_memory_equal(e.text + list.items[k].byte_start, "문단", 6);
    chunk_list_release(&list);
    extracted_release(&e);
}

static void test_words_are_cut_only_where_one_is_too_long(void **state)
{
    static const struct long_case words = {"", "낱말# ", 400, 50, FORMAT_TEXT};
    static const struct long_case one_word = {"", "가나다라", 400, 0, FORMAT_TEXT};
    struct chunk_list list = {0};
    struct extracted e = {0};

    (void)state;
    chunk_long(&words, &e, &list);
    for (size_t k = 0; k < list.n; k++)
        assert_memory_equal(e.text + list.items[k].byte_start, "낱말", 6);
    chunk_list_release(&list);
    extracted_release(&e);

    chunk_long(&one_word, &e, &list);
    assert_int_equal(list.n, 8); /* 1,600 characters, 200 a chunk */
    chunk_list_release(&list);
    extracted_release(&e);
}

static void test_chunks_of_a_section_are_of_like_size(void **state)
{
    static const struct long_case c = {"", "문장 #번은 열두 글자쯤 된다. ", 25, 0, FORMAT_TEXT};
    struct chunk_list list = {0};
    struct extracted e = {0};
    size_t longest = 0;
    size_t shortest = SIZE_MAX;

    (void)state;
    chunk_long(&c, &e, &list);
    for (size_t k = 0; k < list.n; k++) {
        size_t n = utf8_count(e.text + list.items[k].byte_start,
                              list.items[k].byte_end - list.items[k].byte_start);

        longest = n > longest ? n : longest;
        shortest = n < shortest ? n : shortest;
    }
    assert_true(shortest * 2 > longest); /* no crumb at the end */
    chunk_list_release(&list);
    extracted_release(&e);
}

static void test_options_out_of_range(void **state)
{
    static const struct {
        struct chunker_options options;
        const char *says;
    } cases[] = {
        {{99, 0},    "chunk_chars 99: must be 100 to 8000"                           },
        {{8001, 0},  "chunk_chars 8001: must be 100 to 8000"                         },
        {{700, 350}, "overlap_chars 350: must be less than half of chunk_chars (700)"},
    };
    struct extracted e = {0};

    (void)state;
    extract_or_fail(FORMAT_TEXT, "글", 3, &e);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct chunk_list list = {0};

        assert_int_equal(chunk_document(&e, &cases[i].options, &list, &error), RAG_EINVAL);
        assert_string_equal(error.text, cases[i].says);
        assert_null(list.items);
    }
    extracted_release(&e);
}

static void test_long_paths_keep_the_innermost_heading(void **state)
{
    const struct chunker_options o = {700, 80};
    struct chunk_list list = {0};
    struct extracted e = {0};
    struct buf text;

    (void)state;
    buf_init(&text, 1u << 20);
    for (size_t level = 1; level <= 4; level++) {
        for (size_t i = 0; i < level; i++)
            buf_append_char(&text, '#');
        buf_append_char(&text, ' ');
        for (size_t i = 0; i < 300; i++)
            buf_append_str(&text, "가");
        buf_append_str(&text, " 끝\n\n");
    }
    extract_or_fail(FORMAT_MARKDOWN, buf_str(&text), text.len, &e);
    free(e.title);
    e.title = calloc(1, 1);
    assert_int_equal(chunk_document(&e, &o, &list, NULL), RAG_OK);
    assert_true(strlen(list.items[0].heading) <= HEADING_PATH_BYTES_MAX);
    assert_true(strlen(list.items[0].heading) > HEADING_PATH_BYTES_MAX - 4);
    assert_non_null(strstr(list.items[0].heading, " 끝 > 가"));
    chunk_list_release(&list);
    extracted_release(&e);
    buf_release(&text);
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
        "\xEF\xBB\xBF",
        "\xC2\x85",
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

/* The demo documents, in every size that their chunks may have. */
static void test_real_documents(void **state)
{
    static const struct chunker_options options[] = {
        {100, 0 },
        {100, 49},
        {300, 60},
        {700, 80}
    };
    DIR *dir = opendir(RAG_TEST_DATA "/../../etc/demo");
    struct dirent *entry;
    size_t n_read = 0;

    (void)state;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        enum document_format format;
        struct extracted e = {0};
        static char body[65536];
        char path[1024];
        size_t n;
        FILE *f;

        if (document_format_of(NULL, entry->d_name, &format, NULL) != RAG_OK)
            continue;
        snprintf(path, sizeof path, RAG_TEST_DATA "/../../etc/demo/%s", entry->d_name);
        f = fopen(path, "rb");
        assert_non_null(f);
        n = fread(body, 1, sizeof body, f);
        fclose(f);
        extract_or_fail(format, body, n, &e);
        assert_true(e.title[0] != '\0');
        for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
            const char *wrong = check_document(&e, &options[i]);

            if (wrong)
                fail_msg("%s: %s", entry->d_name, wrong);
        }
        extracted_release(&e);
        n_read++;
    }
    closedir(dir);
    assert_true(n_read >= 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rows_of_a_cut_table_carry_their_header),
        cmocka_unit_test(test_items_of_a_cut_list_carry_what_leads_to_them),
        cmocka_unit_test(test_overlap_is_whole_sentences),
        cmocka_unit_test(test_paragraphs_are_kept_where_they_fit),
        cmocka_unit_test(test_words_are_cut_only_where_one_is_too_long),
        cmocka_unit_test(test_chunks_of_a_section_are_of_like_size),
        cmocka_unit_test(test_options_out_of_range),
        cmocka_unit_test(test_long_paths_keep_the_innermost_heading),
        cmocka_unit_test(test_random_documents),
        cmocka_unit_test(test_real_documents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
