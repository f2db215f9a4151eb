/* tests/unit/embed/block_dump.h - a document as one line that a table can hold: the title,
 * then each block as its kind, its text, and for headings level and title:
 *
 *     제목 ¶ H1 "# 제목" (제목) ¶ P "글" */
#ifndef RAG_TESTS_BLOCK_DUMP_H
#define RAG_TESTS_BLOCK_DUMP_H

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "chunk_check.h"

static inline void dump_document(const struct extracted *e, struct buf *out)
{
    static const char *const kinds[] = {"P", "H", "I", "T", "R", "C", "Q"};

    buf_append_str(out, e->title);
    for (size_t i = 0; i < e->n_blocks; i++) {
        const struct block *b = &e->blocks[i];

        buf_printf(out, " ¶ %s", kinds[b->kind]);
        if (b->kind == BLOCK_HEADING)
            buf_printf(out, "%u", b->level);
        buf_printf(out, " \"%.*s\"", (int)(b->byte_end - b->byte_start), e->text + b->byte_start);
        if (b->kind == BLOCK_HEADING)
            buf_printf(out, " (%.*s)", (int)(b->title_end - b->title_start),
                       e->text + b->title_start);
    }
}

struct dump_row {
    const char *name;
    const char *body;
    const char *dump;
};

static inline void check_dump_rows(enum document_format format, const struct dump_row *rows,
                                   size_t n_rows)
{
    const struct chunker_options options = {CHUNK_CHARS_MIN, 20};

    for (size_t i = 0; i < n_rows; i++) {
        struct rag_error error = {RAG_OK, ""};
        struct extracted e = {0};
        const char *wrong;
        struct buf out;

        buf_init(&out, 1u << 20);
        if (extract_document(format, rows[i].body, strlen(rows[i].body), &e, &error) != RAG_OK)
            fail_msg("%s: %s", rows[i].name, error.text);
        wrong = check_document(&e, &options);
        if (wrong)
            fail_msg("%s: %s", rows[i].name, wrong);
        dump_document(&e, &out);
        if (strcmp(buf_str(&out), rows[i].dump) != 0)
            fail_msg("%s:\n got  %s\n want %s", rows[i].name, buf_str(&out), rows[i].dump);
        buf_release(&out);
        extracted_release(&e);
    }
}

#endif
