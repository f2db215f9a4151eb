/* text/char_class.h - the classes of code points that recognition goes by. */
#ifndef RAG_TEXT_CHAR_CLASS_H
#define RAG_TEXT_CHAR_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/utf8.h"

static inline bool char_is_hangul(uint32_t c)
{
    return c >= 0xAC00 && c <= 0xD7A3;
}

/* Does some character of n bytes of UTF-8 belong to Hangul's syllables? */
static inline bool text_has_hangul(const char *s, size_t n)
{
    for (size_t i = 0, step; i < n; i += step)
        if (char_is_hangul(utf8_decode(s + i, &step)))
            return true;
    return false;
}

static inline bool char_is_han(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0xF900 && c <= 0xFAFF);
}

static inline bool char_is_latin(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c < 0x250);
}

static inline bool char_is_digit(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 0xFF10 && c <= 0xFF19);
}

/* Part of a word: a letter or digit of any script. */
static inline bool char_is_word(uint32_t c)
{
    return char_is_hangul(c) || char_is_han(c) || char_is_latin(c) || char_is_digit(c) ||
           (c >= 0x370 && c < 0x2000) || (c >= 0x3040 && c < 0x3100) || (c >= 0x1100 && c < 0x1200);
}

/* The final consonant of a Hangul syllable, 0 when there is none (8 is ㄹ). */
static inline uint32_t char_final(uint32_t c)
{
    return char_is_hangul(c) ? (c - 0xAC00) % 28 : 0;
}

#endif
