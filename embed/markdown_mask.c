#include "embed/markdown_mask.h"

#include <stdbool.h>
#include <string.h>

/* What a masked byte becomes: no mark of any kind. */
#define MASKED 'x'

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Skip what containers put before a block's content: indentation, quote and list marks. */
static size_t content_start(const char *s, size_t at, size_t end)
{
    for (;;) {
        size_t mark = at;

        while (mark < end && (is_blank(s[mark]) || s[mark] == '>'))
            mark++;
        at = mark;
        while (mark < end && mark - at < 9 && s[mark] >= '0' && s[mark] <= '9')
            mark++;
        if (mark >= end)
            return at;
        if (mark > at ? s[mark] != '.' && s[mark] != ')'
                      : s[mark] != '-' && s[mark] != '+' && s[mark] != '*')
            return at;
        if (mark + 1 < end && !is_blank(s[mark + 1]))
            return at;
        at = mark + 1;
    }
}

/* Is the line a thematic break or a setext underline? */
static bool is_rule(const char *s, size_t at, size_t end)
{
    for (; at < end; at++)
        if (!is_blank(s[at]) && s[at] != '*' && s[at] != '_' && s[at] != '-' && s[at] != '=')
            return false;
    return true;
}

/* Bytes at the start of a line's content that begin a block and stay: a fence, or the '<' of
 * an HTML block. */
static size_t block_mark(const char *s, size_t at, size_t end)
{
    size_t i = at;

    if (at < end && s[at] == '<')
        return 1;
    while (i < end && s[i] == '`')
        i++;
    /* a fence of backticks has none behind it */
    return i - at >= 3 && !memchr(s + i, '`', end - i) ? i - at : 0;
}

/* "| - | - |": GFM asks for one hyphen a column, md4c 0.4 for three characters; blanks beside a
 * hyphen become hyphens. Returns false when the line is no delimiter row. */
static bool widen_delimiters(char *s, size_t at, size_t end)
{
    bool hyphen = false;
    bool pipe = false;

    for (size_t i = at; i < end; i++) {
        if (!is_blank(s[i]) && s[i] != '|' && s[i] != ':' && s[i] != '-')
            return false;
        hyphen = hyphen || s[i] == '-';
        pipe = pipe || s[i] == '|';
    }
    if (!hyphen || !pipe)
        return false;
    for (size_t i = at + 1; i + 1 < end; i++)
        if (is_blank(s[i]) && (s[i - 1] == '-' || s[i + 1] == '-'))
            s[i] = '-';
    return true;
}

static void mask_line(char *s, size_t start, size_t end)
{
    size_t at = content_start(s, start, end);

    /* "* * *" is a list to content_start() and a break to Markdown */
    if (is_rule(s, start, end) || is_rule(s, at, end) || widen_delimiters(s, at, end))
        return;
    at += block_mark(s, at, end);
    for (; at < end; at++) {
        switch (s[at]) {
        case '\\':
            if (at + 1 < end) /* an escaped pipe divides no cells */
                s[at + 1] = s[at + 1] == '|' ? MASKED : s[at + 1];
            s[at] = MASKED;
            break;
        case '<':
            if (at + 1 < end && s[at + 1] == '/')
                break; /* "</script>" ends an HTML block wherever it stands */
            s[at] = MASKED;
            break;
        case '*':
        case '_':
        case '`':
        case '[':
        case ']':
        case '&':
            s[at] = MASKED;
            break;
        default:
            break;
        }
    }
}

void markdown_mask(char *s, size_t n)
{
    size_t at = 0;

    while (at < n) {
        const char *lf = memchr(s + at, '\n', n - at);
        size_t end = lf ? (size_t)(lf - s) : n;

        mask_line(s, at, end);
        at = end + 1;
    }
}
