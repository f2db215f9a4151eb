/* SentencePiece's compiled normalization rules.
 *
 *     OFFSET SIZE
 *          0    4  bytes of the trie, little-endian
 *          4    t  the trie: units of 4 bytes (darts-clone)
 *        4+t       NUL-terminated replacements; a key's value is an offset into them
 *
 * Which text is looked up follows the reference: grapheme clusters below six bytes as a whole,
 * else character by character; of several keys that match the beginning, the shortest.
 * sentencepiece itself, whose files have it too ("longest"), looks for the longest key at each
 * place. */
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/bounds.h"
#include "base/utf8.h"
#include "nn/tokenizer_internal.h"

#define CLUSTER_BYTES_MAX 5 /* that are looked up as a whole */

/* darts-clone's unit: bit 31 value or not, bits 0-7 label, bit 8 has a leaf, bits 10-30 offset
 * (shifted by 8 when bit 9 is set). */
static size_t unit_offset(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6);
}

/* The replacement of the shortest (m->longest: longest) key that s[0, n) begins with, or NULL;
 * *ret_n is the key's length. */
static const char *lookup(const struct charsmap *m, const char *s, size_t n, size_t *ret_n)
{
    size_t at = unit_offset(m->units[0]);
    const char *found = NULL;

    for (size_t i = 0; i < n && s[i] != '\0'; i++) {
        unsigned char c = (unsigned char)s[i];
        uint32_t unit;

        at ^= c;
        if (at >= m->n_units)
            return found;
        unit = m->units[at];
        if ((unit & (1u << 31 | 0xFF)) != c)
            return found;
        at ^= unit_offset(unit);
        if (at >= m->n_units)
            return found;
        if (unit & 1u << 8) {
            size_t value = m->units[at] & 0x7FFFFFFF;

            /* an offset into a character would break UTF-8 */
            if (value >= m->n_strings || ((unsigned char)m->strings[value] & 0xC0) == 0x80)
                return found;
            found = m->strings + value;
            *ret_n = i + 1;
            if (!m->longest)
                return found;
        }
    }
    return found;
}

enum rag_status charsmap_read_bytes(const uint8_t *data, size_t n, struct charsmap *ret,
                                    struct rag_error *reterr)
{
    struct charsmap m = {.units = NULL};
    enum rag_status status = RAG_OK;
    size_t n_trie;

    if (n > TOKENIZER_CHARSMAP_BYTES_MAX)
        return rag_fail(reterr, RAG_ELIMIT, "precompiled_charsmap: %zu bytes, the limit is %u", n,
                        TOKENIZER_CHARSMAP_BYTES_MAX);
    n_trie = n < 4 ? 0
                   : (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16 |
                         (size_t)data[3] << 24;
    if (n_trie == 0 || n_trie % 4 != 0 || n_trie > n - 4) {
        status = rag_fail(reterr, RAG_EFORMAT,
                          "precompiled_charsmap: a trie of %zu bytes in %zu bytes", n_trie, n);
        goto out;
    }
    m.n_units = n_trie / 4;
    m.n_strings = n - 4 - n_trie;
    m.units = malloc(n_trie);
    m.strings = malloc(m.n_strings + 1);
    if (!m.units || !m.strings) {
        status = rag_fail(reterr, RAG_ENOMEM, "precompiled_charsmap: out of memory");
        goto out;
    }
    for (size_t i = 0; i < m.n_units; i++) {
        const uint8_t *p = data + 4 + i * 4;

        m.units[i] = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    }
    memcpy(m.strings, data + 4 + n_trie, m.n_strings);
    m.strings[m.n_strings] = '\0';
    if (!utf8_valid(m.strings, m.n_strings, NULL)) {
        status = rag_fail(reterr, RAG_EFORMAT, "precompiled_charsmap: replacements are not UTF-8");
        goto out;
    }
    for (uint32_t c = 1; c < 128; c++) {
        char ascii = (char)c;
        size_t n_key;

        if (lookup(&m, &ascii, 1, &n_key))
            m.ascii[c / 32] |= 1u << c % 32;
    }
    *ret = m;
    m = (struct charsmap){.units = NULL}; /* the caller's now */
out:
    charsmap_release(&m);
    return status;
}

enum rag_status charsmap_read(const char *base64, struct charsmap *ret, struct rag_error *reterr)
{
    uint8_t *data = NULL;
    size_t n = 0;
    enum rag_status status = base64_read(base64, "precompiled_charsmap",
                                         TOKENIZER_CHARSMAP_BYTES_MAX, &data, &n, reterr);

    if (status == RAG_OK)
        status = charsmap_read_bytes(data, n, ret, reterr);
    free(data);
    return status;
}

void charsmap_release(struct charsmap *m)
{
    free(m->units);
    free(m->strings);
    m->units = NULL;
    m->strings = NULL;
}

/* Certainly a boundary between a and b, and b the begin of nothing that counts pairs. */
static bool plainly_apart(uint32_t a, uint32_t b)
{
    bool plain_b = b < 0x300 || (b >= 0x4E00 && b <= 0x9FFF) || (b >= 0xAC00 && b <= 0xD7A3);

    return plain_b && a != '\r' &&
           (a < 0x300 || (a >= 0x4E00 && a <= 0x9FFF) || (a >= 0xAC00 && a <= 0xD7A3));
}

/* End of the grapheme cluster at 'at'. */
static size_t cluster_end(const char *s, size_t n, size_t at, int32_t *state)
{
    size_t step;
    uint32_t c = unicode_at(s + at, &step);

    at += step;
    while (at < n) {
        uint32_t next = unicode_at(s + at, &step);

        if (plainly_apart(c, next)) {
            *state = 0;
            break;
        }
        if (!unicode_joined(c, next, state))
            break;
        c = next;
        at += step;
    }
    return at;
}

static void append_mapped(const struct charsmap *m, const char *s, size_t n, struct buf *b)
{
    size_t n_key;
    const char *replacement = lookup(m, s, n, &n_key);

    if (replacement)
        buf_append_str(b, replacement);
    else
        buf_append(b, s, n);
}

static void apply_longest(const struct charsmap *m, const char *s, size_t n, struct buf *b)
{
    for (size_t at = 0; at < n && b->failed == RAG_OK;) {
        size_t step;
        size_t n_left =
            n - at < TOKENIZER_CHARSMAP_KEY_BYTES_MAX ? n - at : TOKENIZER_CHARSMAP_KEY_BYTES_MAX;
        const char *replacement = lookup(m, s + at, n_left, &step);

        /* a key that ends inside a character is none */
        if (replacement && (at + step == n || ((unsigned char)s[at + step] & 0xC0) != 0x80)) {
            buf_append_str(b, replacement);
        } else {
            unicode_at(s + at, &step);
            buf_append(b, s + at, step);
        }
        at += step;
    }
}

void charsmap_apply(const struct charsmap *m, const char *s, size_t n, struct buf *b)
{
    int32_t state = 0;

    if (m->longest) {
        apply_longest(m, s, n, b);
        return;
    }

    for (size_t at = 0; at < n && b->failed == RAG_OK;) {
        size_t end = at;
        const char *whole;
        size_t n_key;

        /* ASCII before ASCII that no rule touches */
        while (end + 1 < n && (unsigned char)s[end] < 0x80 && (unsigned char)s[end + 1] < 0x80 &&
               !(m->ascii[s[end] / 32] >> s[end] % 32 & 1) && s[end] != '\r')
            end++;
        if (end > at) {
            buf_append(b, s + at, end - at);
            state = 0;
            at = end;
        }
        end = cluster_end(s, n, at, &state);
        whole = end - at <= CLUSTER_BYTES_MAX ? lookup(m, s + at, end - at, &n_key) : NULL;
        if (whole) {
            buf_append_str(b, whole);
            at = end;
            continue;
        }
        while (at < end) {
            size_t step;

            unicode_at(s + at, &step);
            append_mapped(m, s + at, step, b);
            at += step;
        }
    }
}
