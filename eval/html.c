#include "eval/html.h"

#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"

/* Marks and overrides that could turn the reading direction of what follows. */
static bool turns_direction(uint32_t c)
{
    return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x200E ||
           c == 0x200F || c == 0x061C;
}

static void put_char(struct buf *out, uint32_t c, const char *bytes, size_t n)
{
    if (c == '&')
        buf_append_str(out, "&amp;");
    else if (c == '<')
        buf_append_str(out, "&lt;");
    else if (c == '>')
        buf_append_str(out, "&gt;");
    else if (c == '"')
        buf_append_str(out, "&quot;");
    else if (c == '\'')
        buf_append_str(out, "&#39;");
    else if (c == '\n' || c == '\t' || c == '\r')
        buf_append_char(out, ' ');
    else if (c < 0x20 || (c >= 0x7F && c <= 0x9F) || turns_direction(c) || (c & 0xFFFE) == 0xFFFE)
        buf_append_str(out, "\xEF\xBF\xBD");
    else
        buf_append(out, bytes, n);
}

void html_text(struct buf *out, const char *text, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes;) {
        size_t step = utf8_sequence_bytes(text + i, n_bytes - i);

        if (step == 0)
            buf_append_str(out, "\xEF\xBF\xBD");
        else
            put_char(out, utf8_decode(text + i, NULL), text + i, step);
        i += step > 0 ? step : 1;
    }
}

void html_str(struct buf *out, const char *text)
{
    html_text(out, text, strlen(text));
}

/* The byte n_chars characters before 'at', or 0. Bad bytes count one. */
static size_t back(const char *text, size_t at, size_t n_chars)
{
    while (at > 0 && n_chars > 0) {
        at--;
        while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80)
            at--;
        n_chars--;
    }
    return at;
}

static size_t forth(const char *text, size_t n, size_t at, size_t n_chars)
{
    while (at < n && n_chars > 0) {
        at++;
        while (at < n && ((unsigned char)text[at] & 0xC0) == 0x80)
            at++;
        n_chars--;
    }
    return at;
}

void html_excerpt(struct buf *out, const char *text, size_t n_bytes, size_t start, size_t end,
                  size_t chars_max)
{
    size_t from;
    size_t to;

    if (end > n_bytes || start >= end)
        start = end = 0;
    from = back(text, start, chars_max / 3);
    to = forth(text, n_bytes, from, chars_max);
    if (to < end)
        to = end;
    if (from > 0)
        buf_append_str(out, "… ");
    html_text(out, text + from, start - from);
    if (end > start) {
        buf_append_str(out, "<mark>");
        html_text(out, text + start, end - start);
        buf_append_str(out, "</mark>");
    }
    html_text(out, text + end, to - end);
    if (to < n_bytes)
        buf_append_str(out, " …");
}
