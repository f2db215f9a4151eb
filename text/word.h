/* text/word.h - text cut at white space, every character classed and folded.
 *
 * Used in text/ and by guard/keywords.c. Folding makes forms that mean the same compare equal:
 * full-width to ASCII, lower case, accents off Latin letters, compatibility forms taken apart
 * (㎏ -> kg, ① -> 1, Ⅳ -> iv). Zero-width and combining characters are dropped. */
#ifndef RAG_TEXT_WORD_H
#define RAG_TEXT_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"

enum script {
    SCRIPT_MARK, /* punctuation and symbols */
    SCRIPT_SPACE,
    SCRIPT_IGNORED, /* zero width, combining: as if it were not there */
    SCRIPT_HANGUL,
    SCRIPT_JAMO,   /* a lone consonant or vowel: ㅋㅋ */
    SCRIPT_LETTER, /* Latin and every other alphabet */
    SCRIPT_DIGIT,
    SCRIPT_HAN,
    SCRIPT_KANA,
};

struct word_char {
    uint32_t c; /* folded */
    uint32_t byte_start;
    uint32_t byte_end;
    uint8_t script; /* enum script; never SPACE or IGNORED */
};

struct word {
    struct word_char chars[WORD_CHARS_MAX];
    size_t n;
    uint32_t position; /* index of the white-space delimited word, from 0 */
};

struct word_reader {
    const char *text; /* well-formed, borrowed */
    size_t n;
    size_t at;
    uint32_t position;
    bool inside; /* the last piece was cut from a word longer than WORD_CHARS_MAX */
};

void word_reader_init(struct word_reader *r, const char *text, size_t n);
/* The next word; false at the end. */
bool word_next(struct word_reader *r, struct word *ret);

/* Write the folded characters [from, to) as UTF-8 to ret (4 bytes each); returns bytes. */
size_t word_utf8(const struct word *w, size_t from, size_t to, char *ret);

#endif
