/* Plain text: the stored text is the source. Headings as text_headings.h finds them, items of
 * lists by their marks, paragraphs between blank lines. */
#include <string.h>

#include "embed/embed_white.h"
#include "embed/extraction.h"
#include "embed/text_headings.h"

struct reader {
    struct extraction *e;
    struct rag_error *reterr;
    struct block open; /* paragraph or item being read; byte_end 0: none */
    size_t indent;     /* columns before the text of the open item */
};

static enum rag_status close_block(struct reader *r)
{
    enum rag_status status = RAG_OK;

    if (r->open.byte_end > 0)
        status = extraction_push(r->e, &r->open, r->reterr);
    memset(&r->open, 0, sizeof r->open);
    return status;
}

/* The piece [start, end) of a line, no heading, not blank; 'indent' bytes before it. */
static enum rag_status read_piece(struct reader *r, size_t start, size_t end, size_t indent)
{
    size_t mark = text_list_mark(r->e->text.data, start, end);
    bool open = r->open.byte_end > 0;
    enum rag_status status = RAG_OK;

    /* an item goes on in lines that are indented deeper than its mark */
    if (open && mark == 0 && (r->open.kind != BLOCK_LIST_ITEM || indent > r->indent)) {
        r->open.byte_end = (uint32_t)end;
        return RAG_OK;
    }
    status = close_block(r);
    r->open.byte_start = (uint32_t)start;
    r->open.byte_end = (uint32_t)end;
    r->open.kind = mark > 0 ? BLOCK_LIST_ITEM : BLOCK_PARAGRAPH;
    r->indent = indent;
    return status;
}

static enum rag_status push_heading(struct reader *r, const struct text_heading *h)
{
    struct block b = {.byte_start = h->byte_start,
                      .byte_end = h->byte_end,
                      .title_start = h->title_start,
                      .title_end = h->title_end,
                      .kind = BLOCK_HEADING,
                      .level = h->level};
    enum rag_status status = close_block(r);

    return status == RAG_OK ? extraction_push(r->e, &b, r->reterr) : status;
}

static enum rag_status read_lines(struct reader *r, const struct text_headings *headings)
{
    const char *s = buf_str(&r->e->text);
    const size_t n = r->e->text.len;
    enum rag_status status = RAG_OK;
    struct text_line line;
    size_t i_heading = 0;

    for (size_t at = 0; status == RAG_OK && text_line_at(s, n, at, &line); at = line.next) {
        size_t start = white_skip(s, line.start, line.end);
        size_t end = white_trim(s, start, line.end);
        size_t indent = start - line.start;

        if (start == end) {
            status = close_block(r);
            continue;
        }
        if (i_heading < headings->n && headings->items[i_heading].byte_start == start) {
            const struct text_heading *h = &headings->items[i_heading++];

            status = push_heading(r, h);
            if (h->byte_end >= end) { /* with its underline it ends on the next line */
                text_line_at(s, n, h->byte_end > end ? line.next : line.start, &line);
                continue;
            }
            start = white_skip(s, h->byte_end, end); /* "제1조(목적) 이 규정은 ..." */
            indent = 0;
        }
        if (status == RAG_OK)
            status = read_piece(r, start, end, indent);
    }
    return status == RAG_OK ? close_block(r) : status;
}

enum rag_status extract_text(const char *body, size_t n_bytes, struct extraction *e,
                             struct rag_error *reterr)
{
    struct reader r = {.e = e, .reterr = reterr};
    struct text_headings headings = {0};
    enum rag_status status = extraction_source(e, body, n_bytes, reterr);

    if (status != RAG_OK)
        return status;
    status = text_headings_find(buf_str(&e->text), e->text.len, &headings);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "document: out of memory");
    if (headings.has_title && headings.n > 0)
        status =
            extraction_title(e, e->text.data + headings.items[0].title_start,
                             headings.items[0].title_end - headings.items[0].title_start, reterr);
    if (status == RAG_OK)
        status = read_lines(&r, &headings);
    text_headings_release(&headings);
    return status;
}
