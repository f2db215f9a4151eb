#include "generate/grounding_marks.h"

#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "generate/word_list.h"

#define NUMBER_DIGITS_MAX 3
#define MARK_BYTES_MAX    96 /* "[자료 1, 자료 2, 자료 3, 자료 4]" has 45 */

_Static_assert(PASSAGES_MAX <= 64, "a set of passages is one word");

static bool begins_any(const char *s, size_t n, const char *const *list, size_t *ret_bytes)
{
    size_t bytes = word_list_begins(s, n, list);

    if (bytes > 0)
        *ret_bytes = bytes;
    return bytes > 0;
}

/* The number at s; returns its bytes, 0 when there is none or it is too long. */
static size_t read_number(const char *s, size_t n, unsigned *ret)
{
    unsigned value = 0;
    size_t at = 0;
    int digits = 0;

    while (at < n) {
        size_t step = utf8_sequence_bytes(s + at, n - at);
        uint32_t c = step > 0 ? utf8_decode(s + at, NULL) : 0;

        if (c >= 0xFF10 && c <= 0xFF19)
            c -= 0xFF10 - '0';
        if (c < '0' || c > '9')
            break;
        if (++digits > NUMBER_DIGITS_MAX)
            return 0;
        value = value * 10 + (c - '0');
        at += step;
    }
    *ret = value;
    return at;
}

size_t citation_number_bytes(const char *s, size_t n)
{
    unsigned number;
    size_t digits;

    if (n < 3 || s[0] != '[')
        return 0;
    digits = read_number(s + 1, n - 1, &number);
    return digits > 0 && digits + 1 < n && s[digits + 1] == ']' ? digits + 2 : 0;
}

static size_t skip_spaces(const char *s, size_t n, size_t at)
{
    while (at < n && (s[at] == ' ' || s[at] == '^'))
        at++;
    return at;
}

/* 자료, passage ... in front of a number. */
static size_t skip_word(const char *s, size_t n, size_t at)
{
    static const char *const words[] = {"자료",     "문서",     "출처",    "근거",
                                        "passages", "passage",  "Passage", "source",
                                        "Source",   "document", NULL};
    size_t bytes;

    if (begins_any(s + at, n - at, words, &bytes))
        at += bytes;
    return skip_spaces(s, n, at);
}

static void cite(unsigned from, unsigned to, size_t n_passages, uint64_t *cited)
{
    for (unsigned i = from; i <= to && i <= n_passages; i++)
        if (i > 0)
            *cited |= (uint64_t)1 << (i - 1);
}

/* The numbers and the closing bracket from 'at'; returns the byte behind, 0 when it is no mark.
 * *ret_partial: the text ended first. */
static size_t read_numbers(const char *s, size_t n, size_t at, size_t n_passages, uint64_t *cited,
                           bool *ret_partial)
{
    static const char *const closes[] = {"]", "］", "】", NULL};
    static const char *const ranges[] = {"-", "–", "~", "∼", NULL};
    static const char *const commas[] = {",", ";", "·", "、", "，", "및", "and ", "과 ", NULL};
    unsigned before = 0;
    bool range = false;

    for (;;) {
        unsigned number;
        size_t bytes;

        at = skip_word(s, n, at);
        *ret_partial = at >= n;
        bytes = read_number(s + at, n - at, &number);
        if (bytes == 0)
            return 0;
        at = skip_spaces(s, n, at + bytes);
        cite(range ? before : number, number, n_passages, cited);
        before = number;
        *ret_partial = at >= n;
        if (at >= n)
            return 0;
        if (begins_any(s + at, n - at, closes, &bytes))
            return at + bytes;
        range = begins_any(s + at, n - at, ranges, &bytes);
        if (!range && !begins_any(s + at, n - at, commas, &bytes))
            return 0;
        at += bytes;
    }
}

/* Could these last bytes of a text still become a word in front of a number? */
static bool word_begins(const char *s, size_t n, size_t at)
{
    static const char *const words[] = {"자료",    "문서",   "출처",   "근거",     "passages",
                                        "Passage", "source", "Source", "document", NULL};

    for (size_t i = 0; words[i]; i++)
        if (n - at < strlen(words[i]) && memcmp(s + at, words[i], n - at) == 0)
            return true;
    return false;
}

size_t citation_mark_read(const char *s, size_t n, size_t n_passages, uint64_t *ret_cited,
                          bool *ret_partial)
{
    static const char *const opens[] = {"[", "［", "【", NULL};
    uint64_t cited = 0;
    size_t bytes;
    size_t end;

    *ret_partial = false;
    if (!begins_any(s, n, opens, &bytes))
        return 0;
    bytes = skip_spaces(s, n, bytes);
    if (word_begins(s, n, bytes)) {
        *ret_partial = true;
        return 0;
    }
    end = read_numbers(s, n, bytes, n_passages, &cited, ret_partial);
    *ret_partial = *ret_partial && n <= MARK_BYTES_MAX;
    if (end > 0)
        *ret_cited = cited;
    return end;
}

void citation_marks_remove(const char *s, size_t n, struct buf *out)
{
    uint64_t cited;
    bool partial;

    for (size_t i = 0; i < n;) {
        size_t spaces = i;
        size_t bytes;

        while (spaces < n && s[spaces] == ' ')
            spaces++;
        bytes = citation_mark_read(s + spaces, n - spaces, PASSAGES_MAX, &cited, &partial);
        if (bytes > 0) {
            i = spaces + bytes;
            continue;
        }
        buf_append(out, s + i, spaces - i);
        i = spaces;
        if (i < n)
            buf_append_char(out, s[i++]);
    }
}
