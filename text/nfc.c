#include "text/nfc.h"

#include <string.h>

#include <utf8proc.h>

#include "base/bounds.h"
#include "base/utf8.h"

/* The text is copied in stretches. A code point is inert when it is its own NFC
 * form, starts a new combining sequence and never joins what stands before it; a
 * stretch of anything else goes through utf8proc together with the one inert
 * character before it, which a mark of the stretch may change. */

static bool inert(uint32_t c)
{
    return c < 0x300 ||                    /* ASCII, Latin-1 and its extensions */
           (c >= 0xAC00 && c <= 0xD7A3) || /* Hangul syllables */
           (c >= 0x4E00 && c <= 0x9FFF) || /* CJK unified ideographs */
           (c >= 0x3001 && c <= 0x3029) || /* CJK punctuation */
           (c >= 0x3041 && c <= 0x3096) || /* Hiragana; its voice marks follow it */
           (c >= 0x309B && c <= 0x30FF) || /* Katakana */
           (c >= 0x3131 && c <= 0x318E) || /* compatibility jamo */
           (c >= 0x2010 && c <= 0x2027) || /* dashes, quotes, ellipsis */
           (c >= 0x2030 && c <= 0x205E) || /* per mille .. */
           (c >= 0x2190 && c <= 0x22FF) || /* arrows, operators */
           (c >= 0x2460 && c <= 0x27BF) || /* enclosed, boxes, shapes */
           (c >= 0xFF01 && c <= 0xFFEE);   /* full-width forms stay: NFC, not NFKC */
}

/* May a stretch be cut before c? True for what begins a syllable or a letter. */
static bool starts_sequence(uint32_t c)
{
    if (c >= 0x1160 && c <= 0x11FF)
        return false; /* medial and final jamo join the one before */
    return (c >= 0x1100 && c < 0x1160) || inert(c);
}

static enum rag_status normalise_stretch(const char *s, size_t n, struct buf *out)
{
    utf8proc_int32_t points[NFC_STRETCH_BYTES_MAX * 4];
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    utf8proc_ssize_t n_points;
    utf8proc_ssize_t n_bytes;

    n_points =
        utf8proc_decompose((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, points,
                           (utf8proc_ssize_t)(sizeof points / sizeof points[0]) - 1, options);
    if (n_points < 0 || (size_t)n_points >= sizeof points / sizeof points[0])
        return RAG_EINTERNAL;
    n_bytes = utf8proc_reencode(points, n_points, options);
    if (n_bytes < 0)
        return RAG_EINTERNAL;
    buf_append(out, points, (size_t)n_bytes);
    return RAG_OK;
}

/* Normalise from 'at', where an inert character (or the text's start) precedes code
 * points that are not inert. *ret_end is where the next stretch begins. */
static enum rag_status append_stretch(const char *s, size_t n, size_t at, struct buf *out,
                                      size_t *ret_end)
{
    size_t end = at;

    while (end < n) {
        size_t step;
        uint32_t c = utf8_decode(s + end, &step);

        if (end > at && inert(c))
            break;
        if (end - at >= NFC_STRETCH_BYTES_MAX / 2 && starts_sequence(c))
            break;
        if (end - at + step > NFC_STRETCH_BYTES_MAX)
            break;
        end += step;
    }
    *ret_end = end;
    return normalise_stretch(s + at, end - at, out);
}

/* Copy inert text from 'at' on, line ends and controls repaired. Stops before the last
 * inert character in front of one that is not, or at the end. */
static size_t append_inert(const char *s, size_t n, size_t at, struct buf *out)
{
    size_t copied = at;
    size_t i = at;

    while (i < n) {
        unsigned char c = (unsigned char)s[i];
        size_t step = 1;

        if (c >= 0x80) {
            if (!inert(utf8_decode(s + i, &step)))
                break;
        } else if (c < 0x20 && c != '\n' && c != '\t') {
            buf_append(out, s + copied, i - copied);
            if (c == '\r' && i + 1 < n && s[i + 1] == '\n')
                step = 2;
            buf_append_char(out, c == '\r' ? '\n' : ' ');
            copied = i + step;
        }
        i += step;
    }
    if (i < n && i > copied)
        i = utf8_floor(s, n, i - 1);
    buf_append(out, s + copied, i - copied);
    return i;
}

enum rag_status nfc_append(const char *text, size_t n, struct buf *out, struct rag_error *reterr)
{
    const size_t len = out->len;
    enum rag_status status;
    const char *nul;
    size_t at = 0;
    size_t bad = n;
    bool valid = utf8_valid(text, n, &bad);

    nul = n ? memchr(text, 0, valid ? n : bad) : NULL;
    if (nul)
        return rag_fail(reterr, RAG_EFORMAT, "text: NUL at byte %zu", (size_t)(nul - text));
    if (!valid)
        return rag_fail(reterr, RAG_EFORMAT, "text: byte %zu (0x%02X) is not UTF-8", bad,
                        (unsigned)(unsigned char)text[bad]);
    if ((status = buf_status(out)) != RAG_OK)
        return status;
    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        at = 3;
    while (at < n && buf_status(out) == RAG_OK && status == RAG_OK) {
        at = append_inert(text, n, at, out);
        if (at < n)
            status = append_stretch(text, n, at, out, &at);
    }
    if (status == RAG_OK)
        status = buf_status(out);
    if (status != RAG_OK) {
        out->len = len;
        out->failed = RAG_OK;
        if (out->data)
            out->data[len] = '\0';
        return rag_fail(reterr, status, "text: %s while normalising %zu bytes (limit %zu)",
                        status == RAG_ELIMIT ? "too long" : "out of memory", n, out->max);
    }
    return RAG_OK;
}
