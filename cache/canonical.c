#include "cache/canonical.h"

#include <stdbool.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "text/char_class.h"

static bool is_blank(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

/* Control characters, and what takes no room: zero-width blanks and joiners, marks of direction,
 * soft hyphens, byte-order marks. */
static bool is_unseen(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0xAD || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x2069) || c == 0xFEFF;
}

static bool is_final(uint32_t c)
{
    return c == '.' || c == '?' || c == '!' || c == 0x2026 || c == 0x2025 || c == 0x3002 ||
           c == 0xFF0E || c == 0xFF1F || c == 0xFF01 || c == 0xFF61 || c == 0x203C || c == 0x2047 ||
           c == 0x2048 || c == 0x2049;
}

static bool is_closing_quote(uint32_t c)
{
    return c == '"' || c == '\'' || c == 0x2019 || c == 0x201D || c == 0xBB || c == 0x300B ||
           c == 0x300D || c == 0x300F || c == 0xFF02 || c == 0xFF07;
}

static bool is_wide_latin(uint32_t c)
{
    return (c >= 0xFF21 && c <= 0xFF3A) || (c >= 0xFF41 && c <= 0xFF5A);
}

static uint32_t without_case(uint32_t c)
{
    return char_is_latin(c) || is_wide_latin(c) ? (uint32_t)utf8proc_tolower((utf8proc_int32_t)c)
                                                : c;
}

static void append_spelling(const char *text, size_t n, struct buf *out)
{
    size_t begin = out->len;
    bool blank = false;

    for (size_t i = 0, step; i < n; i += step) {
        uint32_t c = utf8_decode(text + i, &step);
        char bytes[4];

        if (is_blank(c)) {
            blank = true;
            continue;
        }
        if (is_unseen(c))
            continue;
        if (blank && out->len > begin)
            buf_append_char(out, ' ');
        blank = false;
        buf_append(out, bytes, utf8_encode(without_case(c), bytes));
    }
}

/* Bytes of s[0, n) that are left without final punctuation; 0 when it is nothing else. */
static size_t without_end(const char *s, size_t n)
{
    size_t kept = n; /* all behind it is punctuation, blanks and quotes that close */
    size_t at = n;

    while (at > 0) {
        size_t begin = utf8_floor(s, n, at - 1);
        uint32_t c = utf8_decode(s + begin, NULL);

        if (is_final(c) || (c == ' ' && kept == at))
            kept = begin;
        else if (c != ' ' && !is_closing_quote(c))
            break;
        at = begin;
    }
    return at == 0 ? 0 : kept;
}

enum rag_status question_canonical(const char *text, size_t n, struct buf *out)
{
    size_t begin = out->len;
    size_t kept;

    append_spelling(text, n, out);
    if (buf_status(out) == RAG_OK && out->len > begin) {
        kept = without_end(out->data + begin, out->len - begin);
        if (kept > 0) {
            out->len = begin + kept;
            out->data[out->len] = '\0';
        }
    }
    return buf_status(out);
}
