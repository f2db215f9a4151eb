/* Text written in base64, hexadecimal digits, percent or character escapes: decoded and looked at.
 *
 * Sources: RFC 4648 (base64, also its URL alphabet; base16), RFC 3986 section 2.1 (percent), HTML
 * 13.2.5.80 (numeric references), RFC 8259 section 7 (\uXXXX). Each run is decoded once into
 * INJECTION_DECODED_BYTES_MAX; the rest of a longer one is passed over. */
#include <ctype.h>
#include <string.h>

#include "base/utf8.h"
#include "guard/injection_internal.h"

struct decoded {
    char bytes[INJECTION_DECODED_BYTES_MAX];
    size_t n;
    size_t escapes; /* how many stood for a character */
};

static void put(struct decoded *d, unsigned c)
{
    if (d->n < sizeof d->bytes)
        d->bytes[d->n++] = (char)c;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* A line break inside a run is passed over: encoders wrap at 64 or 76. */
static size_t decode_base64(const char *s, size_t n, struct decoded *d)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t i;

    d->n = 0;
    for (i = 0; i < n; i++) {
        int v = base64_digit(s[i]);

        if (v < 0 && s[i] == '\n' && i + 1 < n && base64_digit(s[i + 1]) >= 0)
            continue;
        if (v < 0)
            break;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            put(d, bits >> have & 0xFF);
        }
    }
    return i;
}

static size_t decode_hex(const char *s, size_t n, struct decoded *d)
{
    size_t i = 0;

    d->n = 0;
    while (i + 1 < n && hex_digit(s[i]) >= 0 && hex_digit(s[i + 1]) >= 0) {
        put(d, (unsigned)(hex_digit(s[i]) << 4 | hex_digit(s[i + 1])));
        i += 2;
        if (i + 2 < n && (s[i] == ' ' || s[i] == ':') && hex_digit(s[i + 1]) >= 0 &&
            hex_digit(s[i + 2]) >= 0)
            i++;
    }
    return i;
}

static void put_code_point(struct decoded *d, uint32_t c)
{
    char utf8[4];
    size_t n = c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) || c == 0 ? 0 : utf8_encode(c, utf8);

    for (size_t i = 0; i < n; i++)
        put(d, (unsigned char)utf8[i]);
}

/* Digits of a base at s; returns how many, at most 8. */
static size_t number(const char *s, size_t n, unsigned base, size_t digits_max, uint32_t *ret)
{
    size_t i = 0;

    *ret = 0;
    while (i < n && i < digits_max) {
        int v = hex_digit(s[i]);

        if (v < 0 || (unsigned)v >= base)
            break;
        *ret = *ret * base + (uint32_t)v;
        i++;
    }
    return i;
}

/* One escape at s: %41 \x41 \u0041 &#65; &#x41; Returns its bytes, 0 when there is none. */
static size_t decode_escape(const char *s, size_t n, struct decoded *d)
{
    uint32_t c;
    size_t k;

    if (n >= 3 && s[0] == '%' && number(s + 1, n - 1, 16, 2, &c) == 2) {
        put(d, c);
        return 3;
    }
    if (n >= 4 && s[0] == '\\' && s[1] == 'x' && number(s + 2, n - 2, 16, 2, &c) == 2) {
        put(d, c);
        return 4;
    }
    if (n >= 6 && s[0] == '\\' && s[1] == 'u' && number(s + 2, n - 2, 16, 4, &c) == 4) {
        put_code_point(d, c);
        return 6;
    }
    if (n >= 4 && s[0] == '&' && s[1] == '#') {
        bool hex = s[2] == 'x' || s[2] == 'X';
        size_t head = hex ? 3 : 2;

        k = number(s + head, n - head, hex ? 16 : 10, 8, &c);
        if (k > 0 && head + k < n && s[head + k] == ';') {
            put_code_point(d, c);
            return head + k + 1;
        }
    }
    return 0;
}

static bool ends_escapes(char c)
{
    return isspace((unsigned char)c) || c == '"' || c == '<';
}

/* Escapes with letters and marks between them, up to white space. */
static size_t decode_escapes(const char *s, size_t n, struct decoded *d)
{
    size_t i = 0;

    d->n = 0;
    d->escapes = 0;
    while (i < n) {
        size_t k = decode_escape(s + i, n - i, d);

        if (k > 0) {
            d->escapes++;
        } else {
            if (ends_escapes(s[i]))
                break;
            put(d, s[i] == '+' ? ' ' : (unsigned char)s[i]);
            k = 1;
        }
        i += k;
    }
    return i;
}

/* ---- is it an instruction? ---- */

static bool note(void *context, const char *detail, uint32_t start, uint32_t end, float score)
{
    (void)detail;
    (void)start;
    (void)end;
    (void)score;
    *(bool *)context = true;
    return false;
}

static bool tells_something(struct decoded *d, const struct injection_index *index)
{
    bool found = false;
    const struct finding_sink sink = {note, &found};
    size_t bad;

    if (d->n < INJECTION_DECODED_MIN)
        return false;
    if (!utf8_valid(d->bytes, d->n, &bad)) {
        if (d->n - bad > 3)
            return false;
        d->n = bad; /* cut inside a character */
    }
    for (size_t i = 0; i < d->n; i++)
        if ((unsigned char)d->bytes[i] < ' ' && !isspace((unsigned char)d->bytes[i]))
            return false;
    injection_scan(d->bytes, d->n, INJECTION_PLAIN, index, &sink);
    return found;
}

static bool is_run_char(char c)
{
    return base64_digit(c) >= 0;
}

/* A run of digits of some encoding at 'at': its bytes, and whether it tells something. */
static size_t read_run(const char *s, size_t n, const struct injection_index *index,
                       bool *ret_found)
{
    struct decoded d;
    size_t bytes = 0;

    *ret_found = false;
    if (hex_digit(s[0]) >= 0) {
        bytes = decode_hex(s, n, &d);
        *ret_found = tells_something(&d, index);
    }
    if (!*ret_found && is_run_char(s[0])) {
        size_t b = decode_base64(s, n, &d);

        *ret_found = tells_something(&d, index);
        bytes = *ret_found || b > bytes ? b : bytes;
    }
    return bytes;
}

bool injection_encoded_next(const char *text, size_t n, size_t from,
                            const struct injection_index *index, struct injection_found *ret)
{
    struct decoded d;

    for (size_t i = from; i < n;) {
        bool found = false;
        size_t bytes = 0;
        size_t start = i;

        if (text[i] == '%' || text[i] == '\\' || text[i] == '&') {
            d.n = 0;
            if (decode_escape(text + i, n - i, &d) > 0) {
                while (start > from && i - start < INJECTION_DECODED_MIN &&
                       !ends_escapes(text[start - 1]))
                    start--; /* words are not escaped, only what is between them */
                bytes = decode_escapes(text + start, n - start, &d) - (i - start);
                found = d.escapes >= INJECTION_ESCAPES_MIN && tells_something(&d, index);
            }
        } else if (is_run_char(text[i])) {
            bytes = read_run(text + i, n - i, index, &found);
        }
        if (found) {
            *ret =
                (struct injection_found){"encoded", (uint32_t)start, (uint32_t)(i + bytes), 0.9F};
            return true;
        }
        i += bytes > 0 ? bytes : 1;
    }
    return false;
}
