/* embed/embed_white.h - white space as this folder means it (what separates, and need not be in
 * any chunk; a superset of what text/sentence.c trims) and where text may be cut. Internal to
 * embed/. */
#ifndef RAG_EMBED_WHITE_H
#define RAG_EMBED_WHITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/utf8.h"
#include "text/grapheme.h"

/* Code points walked for a grapheme boundary: flags of regions and families of emoji have
 * fewer than 16, stacks of marks for show up to 30. */
#define CLUSTER_STEPS_MAX 32

static inline bool white_char(uint32_t c)
{
    if (c <= 0x20)
        return true; /* NFC text holds no control but TAB and LF */
    if (c < 0x7F)
        return false;
    return c == 0x7F || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200B) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000 || c == 0xFEFF;
}

/* First offset >= at, < end, that is not white; else end. Well-formed text. */
static inline size_t white_skip(const char *s, size_t at, size_t end)
{
    while (at < end) {
        size_t step;

        if (!white_char(utf8_decode(s + at, &step)))
            break;
        at += step;
    }
    return at;
}

/* Smallest offset >= start behind which [start, end) holds white space alone. */
static inline size_t white_trim(const char *s, size_t start, size_t end)
{
    while (end > start) {
        size_t at = utf8_floor(s, end, end - 1);

        if (!white_char(utf8_decode(s + at, NULL)))
            break;
        end = at;
    }
    return end;
}

/* May well-formed text be cut at 'at'? Always beside a line break; that is asked most. */
static inline bool cut_here(const char *s, size_t n, size_t at)
{
    return at == 0 || at >= n || s[at] == '\n' || s[at - 1] == '\n' || grapheme_boundary(s, n, at);
}

/* The last place to cut that is <= at, and >= start, which is one. Where no character ends
 * within CLUSTER_STEPS_MAX code points, 'at' itself. */
static inline size_t cut_before(const char *s, size_t n, size_t at, size_t start)
{
    size_t to = at;

    for (size_t i = 0; i < CLUSTER_STEPS_MAX && to > start; i++) {
        if (cut_here(s, n, to))
            return to;
        to = utf8_floor(s, n, to - 1);
    }
    return to <= start ? start : at;
}

/* The first place to cut that is >= at, and <= end, which is one; as cut_before(). */
static inline size_t cut_after(const char *s, size_t n, size_t at, size_t end)
{
    size_t to = at;

    for (size_t i = 0; i < CLUSTER_STEPS_MAX && to < end; i++) {
        if (cut_here(s, n, to))
            return to;
        to += utf8_sequence_bytes(s + to, end - to);
    }
    return to >= end ? end : at;
}

#endif
