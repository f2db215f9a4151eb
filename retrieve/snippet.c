#include "retrieve/snippet.h"

#include <assert.h>
#include <stdbool.h>

#include "base/utf8.h"
#include "text/grapheme.h"

/* Of the length: before the words, and in which a word's end is looked for. */
#define MARGIN_PART 6

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static size_t skip_blanks(const char *text, size_t n, size_t at)
{
    while (at < n && is_blank(text[at]))
        at++;
    return at;
}

/* n_chars characters before 'at', or the beginning. */
static size_t back(const char *text, size_t n, size_t at, size_t n_chars)
{
    for (; at > 0 && n_chars > 0; n_chars--)
        at = utf8_floor(text, n, at - 1);
    return at;
}

/* The first place in [from, to] where a word begins, else where a seen character does. */
static size_t word_start(const char *text, size_t n, size_t from, size_t to)
{
    size_t at = from;

    if (from == 0)
        return 0;
    for (size_t i = from - 1; i < to; i++)
        if (is_blank(text[i]) && !is_blank(text[i + 1]))
            return i + 1;
    while (at < to && !grapheme_boundary(text, n, at))
        at = utf8_advance(text, n, at, 1);
    return at;
}

/* Rule 1. */
static size_t begin_before(const char *text, size_t n, size_t words, size_t margin)
{
    size_t from = back(text, n, words, margin);

    for (size_t i = words; i > from; i--)
        if (text[i - 1] == '\n')
            return i;
    return word_start(text, n, from, words);
}

/* Rules 3 and 4: where what begins at 'start' and may go on to 'limit' ends. */
static size_t end_behind(const char *text, size_t n, size_t start, size_t limit, size_t margin)
{
    size_t low = back(text, n, limit, margin);
    size_t seen = grapheme_floor(text, n, limit);

    if (limit == n)
        return n;
    for (size_t i = limit; i > start && i + 1 > low; i--)
        if (is_blank(text[i]))
            return i;
    return seen > start ? seen : limit;
}

struct byte_span snippet_cut(const char *text, size_t n, struct byte_span words, size_t chars_max)
{
    size_t margin = chars_max / MARGIN_PART;
    size_t start;
    size_t end;

    assert(n <= UINT32_MAX && words.start <= words.end && words.end <= n && chars_max > 0);
    start = words.start < words.end ? begin_before(text, n, words.start, margin) : 0;
    start = skip_blanks(text, n, start);
    end = utf8_advance(text, n, start, chars_max);
    if (end == n && start > 0) /* rule 2: there is room for more before */
        start = skip_blanks(text, n, word_start(text, n, back(text, n, n, chars_max), start));
    end = end_behind(text, n, start, end, margin);
    while (end > start && is_blank(text[end - 1]))
        end--;
    return (struct byte_span){(uint32_t)start, (uint32_t)end};
}
