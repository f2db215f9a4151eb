/* embed/embed_white.h - white space as this folder means it: what separates, and need not
 * be in any chunk. A superset of what text/sentence.c trims. Internal to embed/. */
#ifndef RAG_EMBED_WHITE_H
#define RAG_EMBED_WHITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/utf8.h"

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

#endif
