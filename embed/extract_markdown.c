/* Markdown (CommonMark and GFM tables), read by md4c.
 *
 * The stored text is the source, so blocks are found in it: md4c reads a copy in which
 * inline marks are put out (markdown_mask.h) and hands out pieces of text as pointers into
 * it; a block is the lines from its first to its last piece, at the same offsets. What has no text
 * of its own is put where it belongs afterwards: a setext underline and a table's delimiter row to
 * the block before, code fences to their code, the rest (link definitions, thematic breaks) to a
 * paragraph. Front matter is taken off first. Source: CommonMark 0.30; GFM 0.29 section 4.10
 * (tables). */
#include <md4c.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "embed/embed_white.h"
#include "embed/extraction.h"
#include "embed/markdown_mask.h"

struct reader {
    struct extraction *e;
    struct rag_error *reterr;
    enum rag_status status; /* why a callback stopped md4c */
    const char *masked;     /* md4c's input: the text from base to end */
    size_t base;
    size_t end;
    size_t first, last;     /* of the open block's text; first > last: none yet */
    unsigned lists, quotes; /* open ones */
    uint8_t kind;           /* of the open block */
    uint8_t level;
    bool open;
    bool in_head; /* of a table */
};

/* ---- blocks ---- */

static size_t line_start(const char *s, size_t from, size_t at)
{
    while (at > from && s[at - 1] != '\n')
        at--;
    return at;
}

static size_t line_end(const char *s, size_t at, size_t end)
{
    const char *lf = at < end ? memchr(s + at, '\n', end - at) : NULL;

    return lf ? (size_t)(lf - s) : end;
}

/* A heading's text: without emphasis or code marks around the whole of it. */
static void heading_title(const struct reader *r, struct block *b)
{
    const char *s = r->e->text.data;
    /* its text may be what is no white space to md4c, beyond the trimmed end */
    size_t from = r->first < b->byte_end ? r->first : b->byte_end;
    size_t start = white_skip(s, from, b->byte_end);
    size_t end = white_trim(s, start, r->last < b->byte_end ? r->last : b->byte_end);

    while (end > start + 2 && strchr("*_`", s[start]) && s[end - 1] == s[start]) {
        start++;
        end--;
    }
    b->title_start = (uint32_t)start;
    b->title_end = (uint32_t)(end > start ? end : start);
}

/* Close the open block: its lines, unless it had no text. */
static enum rag_status flush(struct reader *r)
{
    const char *s = r->e->text.data;
    struct block b = {0};
    size_t from = r->base;

    if (!r->open)
        return RAG_OK;
    r->open = false;
    if (r->first >= r->last)
        return RAG_OK;
    if (r->e->n_blocks > 0 && r->e->blocks[r->e->n_blocks - 1].byte_end > from)
        from = r->e->blocks[r->e->n_blocks - 1].byte_end;
    if (r->last <= from)
        return RAG_OK;
    if (r->first < from)
        r->first = from;
    b.byte_start = (uint32_t)line_start(s, from, r->first);
    b.byte_end = (uint32_t)white_trim(s, b.byte_start, line_end(s, r->last, r->end));
    if (b.byte_end <= b.byte_start)
        return RAG_OK;
    b.kind = r->kind;
    if (r->kind == BLOCK_HEADING) {
        b.level = r->level;
        heading_title(r, &b);
    } else if (r->kind == BLOCK_TABLE_HEADER) {
        b.title_start = b.byte_start;
        b.title_end = b.byte_end;
    }
    return extraction_push(r->e, &b, r->reterr);
}

static void open_block(struct reader *r, enum block_kind kind, unsigned level)
{
    r->open = true;
    r->kind = (uint8_t)kind;
    r->level = (uint8_t)level;
    r->first = SIZE_MAX;
    r->last = 0;
}

static enum block_kind prose_kind(const struct reader *r)
{
    if (r->lists > 0)
        return BLOCK_LIST_ITEM;
    return r->quotes > 0 ? BLOCK_QUOTE : BLOCK_PARAGRAPH;
}

/* ---- md4c's callbacks: 0 goes on ---- */

static int on_enter_block(MD_BLOCKTYPE type, void *detail, void *userdata)
{
    struct reader *r = userdata;

    if (type == MD_BLOCK_TD || type == MD_BLOCK_TH)
        return 0;
    r->status = flush(r);
    switch (type) {
    case MD_BLOCK_QUOTE:
        r->quotes++;
        break;
    case MD_BLOCK_UL:
    case MD_BLOCK_OL:
        r->lists++;
        break;
    case MD_BLOCK_LI:
    case MD_BLOCK_P:
        open_block(r, prose_kind(r), 0);
        break;
    case MD_BLOCK_H:
        open_block(r, BLOCK_HEADING, ((MD_BLOCK_H_DETAIL *)detail)->level);
        break;
    case MD_BLOCK_CODE:
        open_block(r, BLOCK_CODE, 0);
        break;
    case MD_BLOCK_HTML:
        open_block(r, BLOCK_PARAGRAPH, 0);
        break;
    case MD_BLOCK_THEAD:
        r->in_head = true;
        break;
    case MD_BLOCK_TR:
        open_block(r, r->in_head ? BLOCK_TABLE_HEADER : BLOCK_TABLE_ROW, 0);
        break;
    default:
        break;
    }
    return r->status != RAG_OK;
}

static int on_leave_block(MD_BLOCKTYPE type, void *detail, void *userdata)
{
    struct reader *r = userdata;

    (void)detail;
    if (type == MD_BLOCK_TD || type == MD_BLOCK_TH)
        return 0;
    r->status = flush(r);
    if (type == MD_BLOCK_QUOTE)
        r->quotes--;
    else if (type == MD_BLOCK_UL || type == MD_BLOCK_OL)
        r->lists--;
    else if (type == MD_BLOCK_THEAD)
        r->in_head = false;
    return r->status != RAG_OK;
}

static int on_span(MD_SPANTYPE type, void *detail, void *userdata)
{
    (void)type;
    (void)detail;
    (void)userdata;
    return 0;
}

static int on_text(MD_TEXTTYPE type, const MD_CHAR *text, MD_SIZE size, void *userdata)
{
    struct reader *r = userdata;
    uintptr_t start = (uintptr_t)r->masked;
    uintptr_t at = (uintptr_t)text;
    size_t from;

    (void)type;
    /* line breaks and indentation come from md4c's own constants */
    if (!r->open || size == 0 || at < start || at - start >= r->end - r->base)
        return 0;
    from = r->base + (size_t)(at - start);
    if (r->first == SIZE_MAX)
        r->first = from;
    if (from + size > r->last)
        r->last = from + size;
    return 0;
}

/* ---- lines without text of their own ---- */

/* Is [start, end) nothing but marks of 'set' and white space, with at least n_min marks? */
static bool only_marks(const char *s, size_t start, size_t end, const char *set, size_t n_min)
{
    size_t n = 0;

    for (size_t i = start; i < end; i++) {
        if (s[i] == ' ' || s[i] == '\t')
            continue;
        if (!strchr(set, s[i]))
            return false;
        n++;
    }
    return n >= n_min;
}

static bool is_fence(const char *s, size_t start, size_t end)
{
    /* behind the marks of the containers that it stands in */
    while (start < end && strchr(" \t>-*+.)0123456789", s[start]))
        start++;
    return end - start >= 3 &&
           (memcmp(s + start, "```", 3) == 0 || memcmp(s + start, "~~~", 3) == 0);
}

/* The last line of [start, end) that is not blank; false when there is none. */
static bool last_line(const char *s, size_t start, size_t end, struct text_line *ret)
{
    end = white_trim(s, start, end);
    if (end == start)
        return false;
    ret->start = line_start(s, start, end);
    ret->end = end;
    ret->next = end;
    return true;
}

/* Give the head of the gap to the block before it; returns where the rest begins. */
static size_t gap_to_previous(const char *s, size_t start, size_t end, struct block *previous)
{
    struct text_line line;
    bool takes = false;

    if (!previous || !text_line_at(s, end, start, &line))
        return start;
    do { /* the rest of its last line, and the blank lines that end a block of code */
        if (!text_line_at(s, end, line.next, &line))
            return start;
    } while (previous->kind == BLOCK_CODE && white_skip(s, line.start, line.end) == line.end);
    if (previous->kind == BLOCK_TABLE_HEADER)
        takes = only_marks(s, line.start, line.end, "|:-> ", 1);
    else if (previous->kind == BLOCK_HEADING)
        takes = only_marks(s, line.start, line.end, "=-> ", 1);
    else if (previous->kind == BLOCK_CODE)
        takes = is_fence(s, line.start, line.end);
    if (!takes)
        return start;
    previous->byte_end = (uint32_t)white_trim(s, previous->byte_end, line.end);
    return line.end;
}

/* What md4c gave no text for, between 'start' and the block 'next' (or the end): give it to
 * its neighbours or make a paragraph of it. */
static enum rag_status fill_gap(struct extraction *to, size_t start, size_t end, struct block *next,
                                struct rag_error *reterr)
{
    const char *s = buf_str(&to->text);
    struct block *previous = to->n_blocks > 0 ? &to->blocks[to->n_blocks - 1] : NULL;
    struct text_line line;
    struct block b = {0};

    start = gap_to_previous(s, start, end, previous);
    if (next && next->kind == BLOCK_CODE && last_line(s, start, end, &line) &&
        is_fence(s, line.start, line.end)) {
        next->byte_start = (uint32_t)line.start;
        end = line.start;
    }
    start = white_skip(s, start, end);
    end = white_trim(s, start, end);
    if (start == end)
        return RAG_OK;
    b.byte_start = (uint32_t)start;
    b.byte_end = (uint32_t)end;
    b.kind = BLOCK_PARAGRAPH;
    return extraction_push(to, &b, reterr);
}

static enum rag_status fill_gaps(struct extraction *e, struct rag_error *reterr)
{
    struct block *found = e->blocks;
    size_t n = e->n_blocks;
    enum rag_status status = RAG_OK;

    e->blocks = NULL;
    e->n_blocks = 0;
    e->cap = 0;
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        size_t from = e->n_blocks > 0 ? e->blocks[e->n_blocks - 1].byte_end : 0;

        status = fill_gap(e, from, found[i].byte_start, &found[i], reterr);
        if (status == RAG_OK)
            status = extraction_push(e, &found[i], reterr);
    }
    if (status == RAG_OK)
        status = fill_gap(e, e->n_blocks > 0 ? e->blocks[e->n_blocks - 1].byte_end : 0, e->text.len,
                          NULL, reterr);
    free(found);
    return status;
}

/* ---- front matter ---- */

/* The value of "title: value" in the line, quotes taken off; an empty span: it is none. */
static void title_of_line(const char *s, const struct text_line *line, size_t *ret_start,
                          size_t *ret_end)
{
    size_t start = line->start;
    size_t end = white_trim(s, start, line->end);

    *ret_start = *ret_end = start;
    if (end - start < 6 || memcmp(s + start, "title:", 6) != 0)
        return;
    start = white_skip(s, start + 6, end);
    if (end - start >= 2 && (s[start] == '"' || s[start] == '\'') && s[end - 1] == s[start]) {
        start++;
        end--;
    } else if (start < end && strchr("|>[{&*!", s[start])) {
        return; /* YAML that is no plain scalar */
    }
    *ret_start = start;
    *ret_end = end;
}

/* A block between two lines of "---" at the very start. It stays in the text and can be
 * found (author, date, tags); its title becomes the document's. *ret_end: where Markdown
 * begins. */
static enum rag_status read_front_matter(struct extraction *e, size_t *ret_end,
                                         struct rag_error *reterr)
{
    const char *s = buf_str(&e->text);
    size_t n = e->text.len;
    size_t title_start = 0;
    size_t title_end = 0;
    struct text_line line;
    struct block b = {.kind = BLOCK_CODE};

    *ret_end = 0;
    if (!text_line_at(s, n, 0, &line) || white_trim(s, 0, line.end) != 3 ||
        memcmp(s, "---", 3) != 0)
        return RAG_OK;
    for (size_t n_lines = 0; text_line_at(s, n, line.next, &line); n_lines++) {
        size_t end = white_trim(s, line.start, line.end);

        /* a thematic break at the start of an ordinary document has no partner nearby, and a
         * blank line behind it */
        if (n_lines >= FRONT_MATTER_LINES_MAX || (n_lines == 0 && end == line.start))
            return RAG_OK;
        if (end - line.start == 3 &&
            (memcmp(s + line.start, "---", 3) == 0 || memcmp(s + line.start, "...", 3) == 0)) {
            b.byte_end = (uint32_t)end;
            *ret_end = line.next;
            if (title_end > title_start) {
                enum rag_status status =
                    extraction_title(e, s + title_start, title_end - title_start, reterr);

                if (status != RAG_OK)
                    return status;
            }
            return extraction_push(e, &b, reterr);
        }
        if (title_end == title_start)
            title_of_line(s, &line, &title_start, &title_end);
    }
    return RAG_OK;
}

/* ---- the whole ---- */

/* The first heading of level 1, or a heading that the document begins with. */
static enum rag_status choose_title(struct extraction *e, size_t first, struct rag_error *reterr)
{
    const struct block *chosen = NULL;

    for (size_t i = first; i < e->n_blocks; i++) {
        const struct block *b = &e->blocks[i];

        if (b->kind == BLOCK_HEADING && (b->level == 1 || i == first)) {
            chosen = b;
            if (b->level == 1)
                break;
        }
    }
    if (!chosen)
        return RAG_OK;
    return extraction_title(e, e->text.data + chosen->title_start,
                            chosen->title_end - chosen->title_start, reterr);
}

/* Columns of a delimiter row ("|---|:--:|"), 0 when the line is none. */
static uint64_t delimiter_columns(const char *line, size_t n)
{
    uint64_t bars = 0;

    for (size_t i = 0; i < n; i++) {
        if (!strchr("|-: \t>", line[i]) || line[i] == '\0')
            return 0;
        bars += line[i] == '|';
    }
    return bars + 1;
}

/* md4c fills short rows up to the width of their table, and goes on when told to stop: a wide
 * head and many short rows multiply. Counted beforehand, generously: every line that follows a
 * delimiter row up to a blank line is a row. */
static enum rag_status check_tables(const char *text, size_t n, struct rag_error *reterr)
{
    const uint64_t n_cells_max = (uint64_t)n * 4 + MARKDOWN_EMPTY_CELLS_MAX;
    uint64_t columns = 0;
    uint64_t n_cells = 0;

    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t n_line = end ? (size_t)(end - (text + at)) : n - at;
        uint64_t width = delimiter_columns(text + at, n_line);

        if (strspn(text + at, " \t>") >= n_line)
            columns = 0;
        else if (width > columns)
            columns = width;
        n_cells += columns;
        if (n_cells > n_cells_max)
            return rag_fail(reterr, RAG_ELIMIT,
                            "document: a Markdown table of over %llu cells, nearly all empty",
                            (unsigned long long)n_cells_max);
        at += n_line + 1;
    }
    return RAG_OK;
}

/* Find the blocks of the text from r->base on. */
static enum rag_status parse(struct reader *r)
{
    const MD_PARSER parser = {
        .abi_version = 0,
        .flags = MD_FLAG_TABLES,
        .enter_block = on_enter_block,
        .leave_block = on_leave_block,
        .enter_span = on_span,
        .leave_span = on_span,
        .text = on_text,
    };
    size_t n = r->e->text.len - r->base;
    char *masked = malloc(n + 1);
    enum rag_status status;
    int result;

    if (!masked)
        return rag_fail(r->reterr, RAG_ENOMEM, "document: out of memory");
    memcpy(masked, buf_str(&r->e->text) + r->base, n);
    masked[n] = '\0';
    status = check_tables(masked, n, r->reterr);
    if (status != RAG_OK) {
        free(masked);
        return status;
    }
    markdown_mask(masked, n);
    r->masked = masked;
    r->end = r->e->text.len;
    result = md_parse(masked, (MD_SIZE)n, &parser, r);
    free(masked);
    if (r->status != RAG_OK)
        return r->status;
    if (result != 0)
        return rag_fail(r->reterr, RAG_ENOMEM, "document: out of memory in the Markdown parser");
    return RAG_OK;
}

enum rag_status extract_markdown(const char *body, size_t n_bytes, struct extraction *e,
                                 struct rag_error *reterr)
{
    struct reader r = {.e = e, .reterr = reterr, .status = RAG_OK};
    enum rag_status status = extraction_source(e, body, n_bytes, reterr);
    size_t first;

    if (status == RAG_OK)
        status = read_front_matter(e, &r.base, reterr);
    first = e->n_blocks;
    if (status == RAG_OK)
        status = parse(&r);
    if (status == RAG_OK)
        status = fill_gaps(e, reterr);
    if (status == RAG_OK && e->title.len == 0)
        status = choose_title(e, first, reterr);
    return status;
}
