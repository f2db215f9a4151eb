/* HTML: the visible text, a block per line.
 *
 * Left out: head, script, style, template, noscript, nav, svg, form controls, embedded
 * objects, and what is hidden by attribute or by its own style. Kept: header, footer and
 * aside, which hold names, addresses and notes that people ask for. White space is
 * collapsed as CSS does, but for pre; a no-break space is a space; soft hyphens go. Items
 * begin with "- " or their number. A table whose cells are lines of text is one of data:
 * its rows are lines, cells joined by " | "; a cell over several rows is said in each, so
 * that a row can be read alone. A table around headings or other tables is one
 * of layout: its cells are blocks.
 * Source: HTML Living Standard, 15.3 (rendering of flow content), CSS 2.2 section 16.6.1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "embed/embed_white.h"
#include "embed/extraction.h"
#include "embed/html_tree.h"
#include "text/nfc.h"

#define MARKER_BYTES_MAX 16

struct open_list {
    bool ordered;
    long next; /* number of the next item */
};
struct open_table {
    bool is_data;
    bool in_head;
    bool any_row; /* a row was written */
};

/* A cell of an earlier row that reaches into this one, by its column. */
struct row_span {
    unsigned n_rows; /* still to come, this one included */
    bool repeats;    /* the first column of the cell: its text is said again */
    size_t n_bytes;
    char text[HTML_SPAN_BYTES_MAX];
};

struct reader {
    struct extraction *e;
    struct rag_error *reterr;
    const struct html_tree *tree;
    struct buf line;               /* text of the block being read, white space collapsed */
    bool space;                    /* white space came after the line's last character */
    char marker[MARKER_BYTES_MAX]; /* of the item, until its first block is written */
    struct open_list lists[HTML_DEPTH_MAX];
    size_t n_lists;
    struct open_table tables[HTML_DEPTH_MAX];
    size_t n_tables;
    size_t i_table; /* next of tree->tables */
    unsigned pres, quotes, items;
    unsigned heading; /* level of the open one, or 0 */
    bool in_row;      /* of a table of data: blocks inside are one line */
    size_t n_cells;   /* written, repeated ones included */
    size_t n_own;     /* of the row itself, */
    size_t n_th;      /* and <th> among them */
    size_t column;    /* of the next cell */
    size_t cell_column;
    size_t cell_start; /* in the line */
    bool row_has_text;
    struct row_span spans[HTML_SPAN_COLUMNS_MAX]; /* of the table of data that is open */
    bool has_title;
};

/* ---- text of a block ---- */

static void append_text(struct reader *r, const char *s)
{
    bool keep_space = r->pres > 0 && !r->in_row;
    const char *run = s;

    for (;; s++) {
        unsigned char c = (unsigned char)*s;
        bool nbsp = c == 0xC2 && (unsigned char)s[1] == 0xA0;
        bool shy = c == 0xC2 && (unsigned char)s[1] == 0xAD;

        if ((c > 0x20 && !nbsp && !shy) || (keep_space && c != 0 && !nbsp && !shy))
            continue;
        if (s > run) {
            if (r->space && r->line.len > (r->in_row ? r->cell_start : 0) &&
                r->line.data[r->line.len - 1] != '\n')
                buf_append_char(&r->line, ' ');
            r->space = false;
            buf_append(&r->line, run, (size_t)(s - run));
            r->row_has_text = true;
        }
        if (c == 0)
            return;
        r->space = r->space || !shy;
        s += nbsp || shy;
        run = s + 1;
    }
}

static void break_line(struct reader *r)
{
    if (r->in_row) {
        r->space = true;
        return;
    }
    if (r->line.len > 0)
        buf_append_char(&r->line, '\n');
    r->space = false;
}

/* ---- cells of a row of data ---- */

static void start_cell(struct reader *r)
{
    if (r->n_cells > 0)
        buf_append_str(&r->line, " | ");
    r->space = false;
    r->n_cells++;
    r->cell_start = r->line.len;
}

/* Say again the cells that reach into this row, from the next column up to one that does not,
 * or to the table's end. */
static void repeat_cells(struct reader *r, bool to_end)
{
    for (; r->column < HTML_SPAN_COLUMNS_MAX; r->column++) {
        const struct row_span *span = &r->spans[r->column];

        if (span->n_rows == 0 && !to_end)
            break;
        if (span->n_rows > 0 && span->repeats) {
            start_cell(r);
            buf_append(&r->line, span->text, span->n_bytes);
        }
    }
}

/* An attribute that counts, from 1 to max; 1 where it does not. */
static unsigned count_attribute(const GumboNode *node, const char *name, unsigned max)
{
    const char *value = html_attribute(node, name);
    long n = value ? strtol(value, NULL, 10) : 1;

    if (n < 1)
        return 1;
    return n > (long)max ? max : (unsigned)n;
}

static void enter_cell(struct reader *r, const GumboNode *node)
{
    repeat_cells(r, false);
    start_cell(r);
    r->n_own++;
    r->cell_column = r->column;
    r->column += count_attribute(node, "colspan", HTML_SPAN_COLUMNS_MAX);
}

static void leave_cell(struct reader *r, const GumboNode *node)
{
    unsigned n_rows = count_attribute(node, "rowspan", HTML_SPAN_ROWS_MAX);
    size_t n_bytes = r->line.len > r->cell_start ? r->line.len - r->cell_start : 0;

    if (n_rows < 2)
        return;
    for (size_t c = r->cell_column; c < r->column && c < HTML_SPAN_COLUMNS_MAX; c++) {
        struct row_span *span = &r->spans[c];

        span->n_rows = n_rows;
        span->repeats = c == r->cell_column;
        span->n_bytes = n_bytes <= sizeof span->text ? n_bytes : 0;
        if (span->n_bytes > 0)
            memcpy(span->text, r->line.data + r->cell_start, span->n_bytes);
    }
}

static void start_row(struct reader *r)
{
    r->in_row = true;
    r->n_cells = r->n_own = r->n_th = 0;
    r->column = r->cell_start = 0;
    r->row_has_text = false;
}

/* Cells do not reach beyond their table, nor its head. */
static void end_spans(struct reader *r)
{
    for (size_t c = 0; c < HTML_SPAN_COLUMNS_MAX; c++)
        r->spans[c].n_rows = 0;
}

/* ---- blocks ---- */

static enum rag_status append_nfc(struct reader *r, const char *s, size_t n)
{
    struct rag_error error;
    enum rag_status status = nfc_append(s, n, &r->e->text, &error);

    if (status == RAG_ELIMIT)
        return rag_fail(r->reterr, RAG_ELIMIT, "document: text over the limit of %u bytes",
                        DOCUMENT_BYTES_MAX);
    return status == RAG_OK ? RAG_OK : rag_fail(r->reterr, status, "document: %s", error.text);
}

static enum block_kind kind_here(const struct reader *r)
{
    if (r->heading > 0)
        return BLOCK_HEADING;
    if (r->pres > 0)
        return BLOCK_CODE;
    if (r->items > 0)
        return BLOCK_LIST_ITEM;
    return r->quotes > 0 ? BLOCK_QUOTE : BLOCK_PARAGRAPH;
}

/* Write the line as a block of this kind, unless it is blank. */
static enum rag_status write_block(struct reader *r, enum block_kind kind)
{
    const char *s = buf_str(&r->line);
    size_t start = kind == BLOCK_CODE ? 0 : white_skip(s, 0, r->line.len);
    size_t end = white_trim(s, start, r->line.len);
    struct block b = {.kind = (uint8_t)kind};
    enum rag_status status = buf_status(&r->line);

    r->space = false;
    if (status != RAG_OK)
        return rag_fail(r->reterr, status, "document: a paragraph of over %u bytes",
                        DOCUMENT_BYTES_MAX);
    if (start == end) {
        buf_reset(&r->line);
        return RAG_OK;
    }
    if (r->e->text.len > 0)
        status = append_nfc(r, "\n", 1);
    b.byte_start = b.title_start = (uint32_t)r->e->text.len;
    if (status == RAG_OK && r->marker[0] != '\0' && kind == BLOCK_LIST_ITEM) {
        status = append_nfc(r, r->marker, strlen(r->marker));
        r->marker[0] = '\0';
    }
    if (status == RAG_OK)
        status = append_nfc(r, s + start, end - start);
    if (status != RAG_OK)
        return status;
    buf_reset(&r->line);
    b.byte_end = b.title_end = (uint32_t)r->e->text.len;
    if (kind == BLOCK_HEADING)
        b.level = (uint8_t)r->heading;
    else if (kind != BLOCK_TABLE_HEADER)
        b.title_start = b.title_end = 0;
    if (kind == BLOCK_HEADING && r->heading == 1 && r->e->title.len == 0) {
        status = extraction_title(r->e, r->e->text.data + b.byte_start, b.byte_end - b.byte_start,
                                  r->reterr);
        if (status != RAG_OK)
            return status;
    }
    return extraction_push(r->e, &b, r->reterr);
}

/* A block begins or ends here; inside a row of data that is a space. */
static enum rag_status break_block(struct reader *r)
{
    if (r->in_row) {
        r->space = true;
        return RAG_OK;
    }
    return write_block(r, kind_here(r));
}

static enum rag_status end_row(struct reader *r)
{
    struct open_table *t = &r->tables[r->n_tables - 1];
    bool head = t->in_head || (r->n_th == r->n_own && (r->n_own > 1 || !t->any_row));
    bool has_text = r->row_has_text;

    if (has_text)
        repeat_cells(r, true);
    for (size_t c = 0; c < HTML_SPAN_COLUMNS_MAX; c++)
        r->spans[c].n_rows -= r->spans[c].n_rows > 0;
    r->in_row = false;
    if (!has_text) {
        buf_reset(&r->line);
        return RAG_OK;
    }
    t->any_row = true;
    return write_block(r, head ? BLOCK_TABLE_HEADER : BLOCK_TABLE_ROW);
}

/* ---- elements ---- */

static bool is_left_out(GumboTag tag)
{
    switch (tag) {
    case GUMBO_TAG_SCRIPT:
    case GUMBO_TAG_STYLE:
    case GUMBO_TAG_TEMPLATE:
    case GUMBO_TAG_NOSCRIPT:
    case GUMBO_TAG_NAV:
    case GUMBO_TAG_SELECT:
    case GUMBO_TAG_TEXTAREA:
    case GUMBO_TAG_BUTTON:
    case GUMBO_TAG_IFRAME:
    case GUMBO_TAG_OBJECT:
    case GUMBO_TAG_APPLET:
    case GUMBO_TAG_AUDIO:
    case GUMBO_TAG_VIDEO:
    case GUMBO_TAG_CANVAS:
    case GUMBO_TAG_NOFRAMES:
    case GUMBO_TAG_NOEMBED:
    case GUMBO_TAG_DATALIST:
        return true;
    default:
        return false;
    }
}

static bool is_block(GumboTag tag)
{
    switch (tag) {
    case GUMBO_TAG_ADDRESS:
    case GUMBO_TAG_ARTICLE:
    case GUMBO_TAG_ASIDE:
    case GUMBO_TAG_BLOCKQUOTE:
    case GUMBO_TAG_BODY:
    case GUMBO_TAG_CAPTION:
    case GUMBO_TAG_CENTER:
    case GUMBO_TAG_DD:
    case GUMBO_TAG_DETAILS:
    case GUMBO_TAG_DIR:
    case GUMBO_TAG_DIV:
    case GUMBO_TAG_DL:
    case GUMBO_TAG_DT:
    case GUMBO_TAG_FIELDSET:
    case GUMBO_TAG_FIGCAPTION:
    case GUMBO_TAG_FIGURE:
    case GUMBO_TAG_FOOTER:
    case GUMBO_TAG_FORM:
    case GUMBO_TAG_H1:
    case GUMBO_TAG_H2:
    case GUMBO_TAG_H3:
    case GUMBO_TAG_H4:
    case GUMBO_TAG_H5:
    case GUMBO_TAG_H6:
    case GUMBO_TAG_HEADER:
    case GUMBO_TAG_HGROUP:
    case GUMBO_TAG_HR:
    case GUMBO_TAG_HTML:
    case GUMBO_TAG_LEGEND:
    case GUMBO_TAG_LI:
    case GUMBO_TAG_LISTING:
    case GUMBO_TAG_MAIN:
    case GUMBO_TAG_MENU:
    case GUMBO_TAG_OL:
    case GUMBO_TAG_P:
    case GUMBO_TAG_PRE:
    case GUMBO_TAG_SECTION:
    case GUMBO_TAG_SUMMARY:
    case GUMBO_TAG_TABLE:
    case GUMBO_TAG_TBODY:
    case GUMBO_TAG_TD:
    case GUMBO_TAG_TFOOT:
    case GUMBO_TAG_TH:
    case GUMBO_TAG_THEAD:
    case GUMBO_TAG_TR:
    case GUMBO_TAG_UL:
    case GUMBO_TAG_XMP:
        return true;
    default:
        return false;
    }
}

/* Does its own style say "display: none" or "visibility: hidden"? */
static bool style_hides(const char *style)
{
    char packed[HTML_ATTRIBUTE_BYTES_MAX];
    size_t n = 0;

    for (; *style && n + 1 < sizeof packed; style++) {
        char c = *style;

        if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f')
            continue;
        packed[n++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    packed[n] = '\0';
    return strstr(packed, "display:none") || strstr(packed, "visibility:hidden");
}

static bool is_hidden(const GumboNode *node)
{
    const char *style;

    if (node->v.element.attributes.length == 0)
        return false;
    style = html_attribute(node, "style");
    return html_attribute(node, "hidden") || (style && style_hides(style));
}

static unsigned heading_level(GumboTag tag)
{
    return tag >= GUMBO_TAG_H1 && tag <= GUMBO_TAG_H6 ? (unsigned)(tag - GUMBO_TAG_H1) + 1 : 0;
}

static enum rag_status read_title(struct reader *r, const GumboNode *node)
{
    const GumboVector *children = html_children(node);
    const GumboNode *text = children->length > 0 ? children->data[0] : NULL;
    enum rag_status status;
    struct buf nfc;

    if (r->has_title || !text || text->type != GUMBO_NODE_TEXT)
        return RAG_OK;
    buf_init(&nfc, DOCUMENT_BYTES_MAX);
    status = nfc_append(text->v.text.text, strlen(text->v.text.text), &nfc, r->reterr);
    if (status == RAG_OK)
        status = extraction_title(r->e, buf_str(&nfc), nfc.len, r->reterr);
    buf_release(&nfc);
    r->has_title = true;
    return status;
}

static void enter_list(struct reader *r, const GumboNode *node, bool ordered)
{
    struct open_list *list = &r->lists[r->n_lists++];
    const char *start = ordered ? html_attribute(node, "start") : NULL;

    list->ordered = ordered;
    list->next = start ? strtol(start, NULL, 10) : 1;
    if (list->next < 0 || list->next > 1000000)
        list->next = 1;
}

static void enter_item(struct reader *r)
{
    struct open_list *list = r->n_lists > 0 ? &r->lists[r->n_lists - 1] : NULL;

    r->items++;
    if (list && list->ordered)
        snprintf(r->marker, sizeof r->marker, "%ld. ", list->next++);
    else
        snprintf(r->marker, sizeof r->marker, "- ");
}

static void enter_table(struct reader *r)
{
    struct open_table *t = &r->tables[r->n_tables++];

    memset(t, 0, sizeof *t);
    t->is_data = r->i_table < r->tree->n_tables && r->tree->tables[r->i_table];
    r->i_table++;
}

/* What an element begins; *ret_down: its children are read. */
static enum rag_status enter(struct reader *r, const GumboNode *node, bool *ret_down)
{
    GumboTag tag = html_tag(node);
    bool in_data = r->n_tables > 0 && r->tables[r->n_tables - 1].is_data;
    enum rag_status status = RAG_OK;

    *ret_down = true;
    if (is_block(tag) && !(in_data && r->in_row && (tag == GUMBO_TAG_TD || tag == GUMBO_TAG_TH)))
        status = break_block(r);
    switch (tag) {
    case GUMBO_TAG_BR:
        break_line(r);
        break;
    case GUMBO_TAG_PRE:
    case GUMBO_TAG_LISTING:
    case GUMBO_TAG_XMP:
        r->pres++;
        break;
    case GUMBO_TAG_BLOCKQUOTE:
        r->quotes++;
        break;
    case GUMBO_TAG_OL:
    case GUMBO_TAG_UL:
    case GUMBO_TAG_MENU:
    case GUMBO_TAG_DIR:
        enter_list(r, node, tag == GUMBO_TAG_OL);
        break;
    case GUMBO_TAG_LI:
        enter_item(r);
        break;
    case GUMBO_TAG_DD:
        r->items++;
        break;
    case GUMBO_TAG_TABLE:
        enter_table(r);
        break;
    case GUMBO_TAG_THEAD:
    case GUMBO_TAG_TBODY:
        if (r->n_tables > 0)
            r->tables[r->n_tables - 1].in_head = tag == GUMBO_TAG_THEAD;
        end_spans(r);
        break;
    case GUMBO_TAG_TR:
        if (in_data)
            start_row(r);
        break;
    case GUMBO_TAG_TD:
    case GUMBO_TAG_TH:
        if (in_data && r->in_row) {
            enter_cell(r, node);
            r->n_th += tag == GUMBO_TAG_TH;
        }
        break;
    default:
        if (heading_level(tag) > 0)
            r->heading = heading_level(tag);
        break;
    }
    return status;
}

static enum rag_status leave(struct reader *r, const GumboNode *node)
{
    GumboTag tag = html_tag(node);
    enum rag_status status = RAG_OK;

    if (tag == GUMBO_TAG_TR && r->in_row)
        return end_row(r);
    if ((tag == GUMBO_TAG_TD || tag == GUMBO_TAG_TH) && r->in_row) {
        leave_cell(r, node);
        return RAG_OK;
    }
    if (is_block(tag))
        status = break_block(r);
    switch (tag) {
    case GUMBO_TAG_PRE:
    case GUMBO_TAG_LISTING:
    case GUMBO_TAG_XMP:
        r->pres--;
        break;
    case GUMBO_TAG_BLOCKQUOTE:
        r->quotes--;
        break;
    case GUMBO_TAG_OL:
    case GUMBO_TAG_UL:
    case GUMBO_TAG_MENU:
    case GUMBO_TAG_DIR:
        r->n_lists--;
        break;
    case GUMBO_TAG_LI:
        r->marker[0] = '\0';
        r->items--;
        break;
    case GUMBO_TAG_DD:
        r->items--;
        break;
    case GUMBO_TAG_TABLE:
        r->n_tables--;
        break;
    case GUMBO_TAG_THEAD:
        if (r->n_tables > 0)
            r->tables[r->n_tables - 1].in_head = false;
        break;
    default:
        if (heading_level(tag) > 0)
            r->heading = 0;
        break;
    }
    return status;
}

/* ---- the tree ---- */

/* Tables that are not entered are counted, so that i_table stays in step. */
static void pass_over(struct reader *r, const GumboNode *node)
{
    const GumboNode *end = html_next(node, false);

    for (; node && node != end; node = html_next(node, true))
        r->i_table += html_tag(node) == GUMBO_TAG_TABLE;
}

static enum rag_status visit(struct reader *r, const GumboNode *node, bool *ret_down)
{
    *ret_down = false;
    switch (node->type) {
    case GUMBO_NODE_DOCUMENT:
        *ret_down = true;
        return RAG_OK;
    case GUMBO_NODE_TEXT:
    case GUMBO_NODE_WHITESPACE:
    case GUMBO_NODE_CDATA:
        append_text(r, node->v.text.text);
        return RAG_OK;
    case GUMBO_NODE_ELEMENT:
        break;
    default:
        pass_over(r, node);
        return RAG_OK;
    }
    if (html_tag(node) == GUMBO_TAG_TITLE)
        return read_title(r, node);
    if (is_left_out(html_tag(node)) || node->v.element.tag_namespace == GUMBO_NAMESPACE_SVG ||
        is_hidden(node)) {
        pass_over(r, node);
        return RAG_OK;
    }
    return enter(r, node, ret_down);
}

static enum rag_status walk(struct reader *r)
{
    const GumboNode *node = r->tree->root;
    enum rag_status status = RAG_OK;

    while (node && status == RAG_OK) {
        bool down;
        const GumboNode *next;

        status = visit(r, node, &down);
        next = html_next(node, down);
        if (next && next->parent == node) {
            node = next;
            continue;
        }
        if (down && status == RAG_OK)
            status = leave(r, node);
        /* leave the ancestors that end here; all of them were entered */
        for (node = node->parent; node && status == RAG_OK; node = node->parent) {
            if (next && next->parent == node)
                break;
            status = leave(r, node);
        }
        node = next;
    }
    return status == RAG_OK ? break_block(r) : status;
}

/* ---- encoding ---- */

#define CHARSET_BYTES_MAX 40

static bool is_charset_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* The charset that a meta element in the first KiB declares, or "". */
static void declared_charset(const char *s, size_t n, char ret[CHARSET_BYTES_MAX])
{
    static const char key[] = "charset=";
    const size_t n_key = sizeof key - 1;
    const size_t head = n < 1024 ? n : 1024;
    size_t length = 0;

    for (size_t i = 0; i + n_key <= head && length == 0; i++) {
        size_t at = i + n_key;

        if (strncasecmp(s + i, key, n_key) != 0)
            continue;
        if (at < head && (s[at] == '"' || s[at] == '\''))
            at++;
        while (at < head && length + 1 < CHARSET_BYTES_MAX && is_charset_char(s[at]))
            ret[length++] = s[at++];
    }
    ret[length] = '\0';
}

static enum rag_status check_encoding(const char *s, size_t n, struct rag_error *reterr)
{
    const char *nul = n > 0 ? memchr(s, 0, n) : NULL;
    char charset[CHARSET_BYTES_MAX];
    size_t bad = 0;

    if (nul)
        return rag_fail(reterr, RAG_EFORMAT, "document: NUL at byte %zu", (size_t)(nul - s));
    if (utf8_valid(s, n, &bad))
        return RAG_OK;
    declared_charset(s, n, charset);
    if (charset[0] != '\0' && strncasecmp(charset, "utf", 3) != 0)
        return rag_fail(reterr, RAG_EFORMAT,
                        "document: its meta charset is '%s' and byte %zu is not UTF-8; convert it "
                        "first: iconv -f %s -t utf-8",
                        charset, bad, strncasecmp(charset, "ks_c", 4) == 0 ? "cp949" : charset);
    return rag_fail(reterr, RAG_EFORMAT,
                    "document: byte %zu (0x%02X) is not UTF-8; convert the text first, from the "
                    "Korean Windows encoding with: iconv -f cp949 -t utf-8",
                    bad, (unsigned)(unsigned char)s[bad]);
}

enum rag_status extract_html(const char *body, size_t n_bytes, struct extraction *e,
                             struct rag_error *reterr)
{
    struct html_tree tree = {0};
    struct reader *r;
    enum rag_status status = check_encoding(body, n_bytes, reterr);

    if (status != RAG_OK)
        return status;
    r = calloc(1, sizeof *r);
    if (!r)
        return rag_fail(reterr, RAG_ENOMEM, "document: out of memory");
    status = html_tree_parse(body, n_bytes, &tree, reterr);
    if (status == RAG_OK) {
        r->e = e;
        r->reterr = reterr;
        r->tree = &tree;
        buf_init(&r->line, DOCUMENT_BYTES_MAX);
        status = walk(r);
        buf_release(&r->line);
    }
    html_tree_release(&tree);
    free(r);
    return status;
}
