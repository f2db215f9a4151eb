#include "daemon/ragctl/ragctl_charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

#define PIECE_BYTES 8192 /* decoded at a time */

/* Decode all of 'text' from 'charset' into 'out'. RAG_EFORMAT: it is not that. */
static enum rag_status decode(const char *text, size_t n, const char *charset, struct buf *out)
{
    iconv_t cd = iconv_open("UTF-8", charset);
    enum rag_status status = RAG_OK;
    char *in = (char *)(uintptr_t)text; /* iconv's prototype lacks a const that it keeps */
    size_t left = n;

    if (cd == (iconv_t)-1)
        return RAG_EFORMAT; /* the system has no such table: then it is not that either */
    while (left > 0 && status == RAG_OK) {
        char piece[PIECE_BYTES];
        size_t room = sizeof piece;
        char *end = piece;

        if (iconv(cd, &in, &left, &end, &room) == (size_t)-1 && errno != E2BIG)
            status = RAG_EFORMAT;
        buf_append(out, piece, sizeof piece - room);
        if (status == RAG_OK)
            status = buf_status(out);
    }
    iconv_close(cd);
    return status;
}

static bool is_control(uint32_t c)
{
    return (c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f') ||
           (c >= 0x7F && c < 0xA0);
}

/* Is this decoded text Korean prose rather than what chance made of other bytes? */
static bool looks_korean(const char *s, size_t n)
{
    size_t n_hangul = 0;
    size_t n_other = 0;

    for (size_t i = 0, bytes; i < n; i += bytes) {
        uint32_t c = utf8_decode(s + i, &bytes);

        if (is_control(c))
            return false;
        if (c >= 0xAC00 && c <= 0xD7A3)
            n_hangul++;
        else if (c >= 0x80)
            n_other++;
    }
    return n_hangul > 0 && n_hangul >= n_other;
}

static bool has_utf16_mark(const struct buf *text)
{
    const char *s = buf_str(text);

    return text->len >= 2 && text->len % 2 == 0 &&
           (memcmp(s, "\xFF\xFE", 2) == 0 || memcmp(s, "\xFE\xFF", 2) == 0);
}

enum rag_status charset_to_utf8(struct buf *text, const char **ret_from, struct rag_error *reterr)
{
    bool utf16 = has_utf16_mark(text);
    enum rag_status status;
    struct buf decoded;
    size_t bad = 0;

    *ret_from = NULL;
    if (utf8_valid(buf_str(text), text->len, &bad))
        return RAG_OK;
    buf_init(&decoded, text->max);
    status = decode(buf_str(text), text->len, utf16 ? "UTF-16" : "CP949", &decoded);
    if (status == RAG_OK && !utf16 && !looks_korean(buf_str(&decoded), decoded.len))
        status = RAG_EFORMAT;
    if (status == RAG_OK) {
        buf_release(text);
        *text = decoded; /* owned by the caller's buffer from here on */
        *ret_from = utf16 ? "UTF-16" : "CP949";
        return RAG_OK;
    }
    buf_release(&decoded);
    if (status == RAG_EFORMAT)
        return rag_fail(reterr, RAG_EFORMAT,
                        "byte 0x%02X at offset %zu is not UTF-8, and the text is not CP949 either",
                        (unsigned)(unsigned char)buf_str(text)[bad], bad);
    return rag_fail(reterr, status, "out of memory, or longer than %zu bytes as UTF-8", text->max);
}
