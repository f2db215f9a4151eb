/* embed/text_headings.h - headings of plain text, as Korean business documents write them.
 *
 * Recognised, each on a line of its own and of at most TEXT_HEADING_CHARS_MAX characters:
 *
 *   제1장 총칙 / 제2조(목적) ...   parts of a statute; 편 > 장 > 절 > 관 > 조. What follows the
 *                                 closing bracket of "제2조(목적)" is its text.
 *   1. 개요   1.2 범위   Ⅱ. 현황   가. 배경   numbered, counted from the first on
 *   ■ 요약   □ ◆ ◇ ▶ ▣ ◎ ● ○     marked
 *   [안건]   【안건】                 bracketed
 *   제목 with a line of === or --- under it
 *   the first line, when a blank line follows: the document's title
 *
 * A numbered or marked line may as well be an item of a list. Lines of one kind are headings
 * when most of them have text of their own before the next one; items follow each other.
 * Internal to embed/. */
#ifndef RAG_EMBED_TEXT_HEADINGS_H
#define RAG_EMBED_TEXT_HEADINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define TEXT_HEADING_CHARS_MAX 60

struct text_heading {
    uint32_t byte_start;
    uint32_t byte_end; /* with its underline */
    uint32_t title_start;
    uint32_t title_end;
    uint8_t level;
};
struct text_headings {
    struct text_heading *items; /* owned */
    size_t n;
    bool has_title; /* the first one is the document's title */
};

/* Find the headings of n bytes of NFC text, in order. RAG_OK or RAG_ENOMEM. */
enum rag_status text_headings_find(const char *s, size_t n, struct text_headings *ret);
void text_headings_release(struct text_headings *headings);

/* Bytes of the list mark ("- ", "1) ", "가. ", "① ") at 'at' in a line that ends at 'end', with
 * the white space behind it; 0: none. */
size_t text_list_mark(const char *s, size_t at, size_t end);

#endif
