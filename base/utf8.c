#include "base/utf8.h"

#include <string.h>

/* Bytes (1-4) of the sequence that a byte begins, or 0. The second one alone decides overlong,
 * surrogate and > U+10FFFF: its limits are *ret_low and *ret_high. */
static inline size_t sequence_of(unsigned char first, unsigned char *ret_low,
                                 unsigned char *ret_high)
{
    *ret_low = 0x80;
    *ret_high = 0xBF;
    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    if (first == 0xE0)
        *ret_low = 0xA0;
    else if (first == 0xED)
        *ret_high = 0x9F;
    else if (first == 0xF0)
        *ret_low = 0x90;
    else if (first == 0xF4)
        *ret_high = 0x8F;
    return first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

size_t utf8_sequence_bytes(const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned char low;
    unsigned char high;
    size_t want = sequence_of(s[0], &low, &high);

    if (want < 2)
        return want;
    if (n < want || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < want; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    return want;
}

size_t utf8_lossy_step(const char *text, size_t n, bool *ret_valid)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned char low;
    unsigned char high;
    size_t want = sequence_of(s[0], &low, &high);

    *ret_valid = want == 1;
    if (want < 2)
        return 1;
    for (size_t i = 1; i < want; i++) {
        if (i == n)
            return 0;
        if (s[i] < low || s[i] > high)
            return i;
        low = 0x80;
        high = 0xBF;
    }
    *ret_valid = true;
    return want;
}

bool utf8_valid(const char *s, size_t n, size_t *ret_bad)
{
    size_t i = 0;

    while (i < n) {
        size_t step;

        /* eight ASCII bytes at a time: most of a log or of source code */
        while (n - i >= 8) {
            uint64_t word;

            memcpy(&word, s + i, sizeof word);
            if (word & 0x8080808080808080u)
                break;
            i += 8;
        }
        if (i == n)
            break;
        step = utf8_sequence_bytes(s + i, n - i);
        if (step == 0) {
            if (ret_bad)
                *ret_bad = i;
            return false;
        }
        i += step;
    }
    return true;
}

uint32_t utf8_decode(const char *text, size_t *ret_bytes)
{
    const unsigned char *s = (const unsigned char *)text;
    uint32_t c = s[0];
    size_t n = 1;

    if (c >= 0xF0) {
        n = 4;
        c &= 0x07;
    } else if (c >= 0xE0) {
        n = 3;
        c &= 0x0F;
    } else if (c >= 0xC0) {
        n = 2;
        c &= 0x1F;
    }
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (s[i] & 0x3Fu);
    if (ret_bytes)
        *ret_bytes = n;
    return c;
}

size_t utf8_encode(uint32_t c, char ret[4])
{
    if (c < 0x80) {
        ret[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        ret[0] = (char)(0xC0 | c >> 6);
        ret[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        ret[0] = (char)(0xE0 | c >> 12);
        ret[1] = (char)(0x80 | (c >> 6 & 0x3F));
        ret[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    ret[0] = (char)(0xF0 | c >> 18);
    ret[1] = (char)(0x80 | (c >> 12 & 0x3F));
    ret[2] = (char)(0x80 | (c >> 6 & 0x3F));
    ret[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

size_t utf8_count(const char *s, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += !is_continuation(s[i]);
    return count;
}

size_t utf8_advance(const char *s, size_t n, size_t start, size_t n_chars)
{
    size_t i = start;

    while (i < n && n_chars > 0) {
        i++;
        while (i < n && is_continuation(s[i]))
            i++;
        n_chars--;
    }
    return i;
}

size_t utf8_floor(const char *s, size_t n, size_t at)
{
    if (at >= n)
        return n;
    while (at > 0 && is_continuation(s[at]))
        at--;
    return at;
}
