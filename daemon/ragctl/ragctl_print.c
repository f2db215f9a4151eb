#define _GNU_SOURCE
#include "daemon/ragctl/ragctl_print.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/utf8.h"

#define COLUMNS_DEFAULT   80
#define TABLE_COLUMNS_MAX 16
#define TABLE_BYTES_MAX   (256u << 20) /* a list of every document */
#define REPLACEMENT       "\xEF\xBF\xBD"

struct range {
    uint32_t first;
    uint32_t last;
};

/* UAX #11 (Unicode 15) W and F, joined over unassigned gaps. */
static const struct range wide[] = {
    {0x1100,  0x115F },
    {0x231A,  0x231B },
    {0x2329,  0x232A },
    {0x23E9,  0x23EC },
    {0x2E80,  0x303E },
    {0x3041,  0x33FF },
    {0x3400,  0x4DBF },
    {0x4E00,  0xA4CF },
    {0xA960,  0xA97F },
    {0xAC00,  0xD7A3 },
    {0xF900,  0xFAFF },
    {0xFE10,  0xFE19 },
    {0xFE30,  0xFE6F },
    {0xFF01,  0xFF60 },
    {0xFFE0,  0xFFE6 },
    {0x1F300, 0x1F64F},
    {0x1F680, 0x1F6FF},
    {0x1F900, 0x1F9FF},
    {0x20000, 0x3FFFD},
};
static const struct range zero[] = {
    {0x0300, 0x036F},
    {0x1160, 0x11FF},
    {0x20D0, 0x20FF},
    {0x200B, 0x200F},
    {0x302A, 0x302F},
    {0xD7B0, 0xD7FB},
    {0xFE00, 0xFE0F},
    {0xFE20, 0xFE2F},
};

static bool in_ranges(const struct range *ranges, size_t n, uint32_t c)
{
    for (size_t i = 0; i < n; i++) {
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    }
    return false;
}

unsigned print_char_columns(uint32_t code_point)
{
    if (code_point < 0x300)
        return 1;
    if (in_ranges(zero, sizeof zero / sizeof zero[0], code_point))
        return 0;
    return in_ranges(wide, sizeof wide / sizeof wide[0], code_point) ? 2 : 1;
}

/* Decode the next character of a text that may be anything; a bad byte is U+FFFD. */
static uint32_t next_char(const char *s, size_t n, size_t *ret_bytes)
{
    if (utf8_sequence_bytes(s, n) == 0) {
        *ret_bytes = 1;
        return 0xFFFD;
    }
    return utf8_decode(s, ret_bytes);
}

size_t print_columns(const char *s)
{
    size_t n = strlen(s);
    size_t columns = 0;

    for (size_t i = 0, bytes; i < n; i += bytes)
        columns += print_char_columns(next_char(s + i, n - i, &bytes));
    return columns;
}

static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0x2028 || c == 0x2029;
}

static bool is_space(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == 0xA0 || c == 0x3000;
}

static void append_char(struct buf *out, uint32_t c)
{
    char bytes[4];

    if (is_unsafe(c))
        buf_append_str(out, REPLACEMENT);
    else
        buf_append(out, bytes, utf8_encode(c, bytes));
}

void print_clean(struct buf *out, const char *s, size_t n_bytes)
{
    for (size_t i = 0, bytes; i < n_bytes; i += bytes) {
        uint32_t c = next_char(s + i, n_bytes - i, &bytes);

        if (c == '\n' || c == '\t')
            buf_append_char(out, (char)c);
        else
            append_char(out, c);
    }
}

void print_one_line(struct buf *out, const char *s, size_t n_bytes, size_t columns_max)
{
    size_t start = out->len;
    size_t columns = 0;
    size_t cut_at = start; /* where the ellipsis would still fit */
    bool space = false;

    for (size_t i = 0, bytes; i < n_bytes; i += bytes) {
        uint32_t c = next_char(s + i, n_bytes - i, &bytes);
        size_t wanted;

        if (is_space(c)) {
            space = out->len > start;
            continue;
        }
        wanted = print_char_columns(c) + (space ? 1u : 0u);
        if (columns_max > 0 && columns + wanted > columns_max) {
            if (buf_status(out) == RAG_OK && out->data) {
                out->len = cut_at;
                out->data[cut_at] = '\0';
            }
            buf_append_str(out, "\xE2\x80\xA6");
            return;
        }
        if (space)
            buf_append_char(out, ' ');
        append_char(out, c);
        space = false;
        columns += wanted;
        if (columns < columns_max)
            cut_at = out->len;
    }
}

/* Bytes of the word at s (up to a space), cut so that it takes at most 'columns'. */
static size_t word_bytes(const char *s, size_t n, size_t columns, size_t *ret_columns)
{
    size_t i = 0;

    *ret_columns = 0;
    while (i < n) {
        size_t bytes;
        uint32_t c = next_char(s + i, n - i, &bytes);
        unsigned w = print_char_columns(c);

        if (is_space(c) || (*ret_columns + w > columns && i > 0))
            break;
        *ret_columns += w;
        i += bytes;
    }
    return i;
}

void print_wrapped(struct buf *out, const char *s, const char *indent, size_t columns)
{
    size_t indent_columns = print_columns(indent);
    size_t room = columns > indent_columns + 2 ? columns - indent_columns : 2;
    size_t n = strlen(s);
    size_t used = 0;

    buf_append_str(out, indent);
    for (size_t i = 0; i < n;) {
        size_t word_columns;
        size_t bytes;
        bool spaced = false;

        while (i < n) {
            uint32_t c = next_char(s + i, n - i, &bytes);

            if (!is_space(c))
                break;
            spaced = true;
            i += bytes;
        }
        bytes = word_bytes(s + i, n - i, room, &word_columns);
        if (bytes == 0)
            break;
        if (used > 0 && used + (spaced ? 1 : 0) + word_columns > room) {
            buf_printf(out, "\n%s", indent);
            used = 0;
        } else if (used > 0 && spaced) {
            buf_append_char(out, ' ');
            used++;
        }
        for (size_t end = i + bytes, step; i < end; i += step)
            append_char(out, next_char(s + i, end - i, &step));
        used += word_columns;
    }
    buf_append_char(out, '\n');
}

void print_table_init(struct print_table *t, const char *align)
{
    t->align = align;
    t->n_cells = 0;
    buf_init(&t->cells, TABLE_BYTES_MAX);
}

void print_table_release(struct print_table *t)
{
    buf_release(&t->cells);
}

void print_table_cell(struct print_table *t, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n >= 0)
        print_one_line(&t->cells, text, (size_t)n, 0);
    buf_append_char(&t->cells, '\0');
    t->n_cells++;
    if (n >= 0)
        free(text);
}

static void append_spaces(struct buf *out, size_t n)
{
    while (n-- > 0)
        buf_append_char(out, ' ');
}

void print_table_append(const struct print_table *t, struct buf *out)
{
    size_t n_columns = strlen(t->align);
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    const char *cell = buf_str(&t->cells);
    size_t n = t->n_cells - t->n_cells % n_columns;

    if (n_columns > TABLE_COLUMNS_MAX || buf_status(&t->cells) != RAG_OK)
        return;
    for (size_t i = 0; i < n; i++, cell += strlen(cell) + 1) {
        size_t columns = print_columns(cell);

        if (columns > widths[i % n_columns])
            widths[i % n_columns] = columns;
    }
    cell = buf_str(&t->cells);
    for (size_t i = 0; i < n; i++, cell += strlen(cell) + 1) {
        size_t column = i % n_columns;
        size_t pad = widths[column] - print_columns(cell);
        bool last = column + 1 == n_columns;

        if (t->align[column] == 'r')
            append_spaces(out, pad);
        buf_append_str(out, cell);
        if (!last && t->align[column] != 'r')
            append_spaces(out, pad);
        buf_append_str(out, last ? "\n" : "  ");
    }
}

size_t print_terminal_columns(FILE *out)
{
    struct winsize size = {0};

    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return COLUMNS_DEFAULT;
}

void print_json_value(struct buf *out, const struct json *node)
{
    char *text = NULL;

    if (!node || json_is_null(node))
        return;
    if (json_is_string(node)) {
        buf_append_str(out, json_string(node));
        return;
    }
    if (json_print(node, &text) == RAG_OK)
        buf_append_str(out, text);
    free(text);
}

void print_retrieval(struct buf *out, const struct json *reply)
{
    const struct json *fusion = json_member(reply, "fusion");
    const char *mode = json_string(json_member(reply, "mode"));
    const char *method = json_string(json_member(fusion, "method"));
    const char *reranker = json_string(json_member(reply, "reranker"));

    buf_append_str(out, mode ? mode : "?");
    if (method)
        buf_printf(out, " (%s, bm25 %.3g, dense %.3g)", method,
                   json_number(json_member(fusion, "weight_bm25")),
                   json_number(json_member(fusion, "weight_dense")));
    buf_append_str(out, ", reranked by ");
    print_one_line(out, reranker ? reranker : "none", strlen(reranker ? reranker : "none"), 0);
}
