/* nn/tokenizer_unicode.h - facts about characters, as the reference tokenizers know them.
 *
 * One flag word for each code point, from a table that was made by asking the reference
 * (tests/golden/unicode_table.mjs). utf8proc supplies decompositions and compositions, kept to the
 * reference's Unicode version by the flags. Thread-safe. */
#ifndef RAG_NN_TOKENIZER_UNICODE_H
#define RAG_NN_TOKENIZER_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

/* The order is that of tests/golden/unicode_table.mjs. */
enum unicode_flag {
    UNICODE_SPACE = 1 << 0,   /* White_Space */
    UNICODE_DROP = 1 << 1,    /* removed by BERT's clean text: controls, formats, private use */
    UNICODE_PUNCT = 1 << 2,   /* BERT's punctuation: P*, and ASCII symbols */
    UNICODE_MN = 1 << 3,      /* nonspacing mark: removed by BERT's strip accents */
    UNICODE_MARK = 1 << 4,    /* M*: removed by StripAccents */
    UNICODE_NUMERIC = 1 << 5, /* N* */
    UNICODE_WORD = 1 << 6,    /* \w */
    UNICODE_LU = 1 << 7,      /* general categories of regular expressions: */
    UNICODE_LL = 1 << 8,
    UNICODE_LT = 1 << 9,
    UNICODE_LM = 1 << 10,
    UNICODE_LO = 1 << 11,
    UNICODE_M = 1 << 12,
    UNICODE_N = 1 << 13,
    UNICODE_P = 1 << 14,
    UNICODE_S = 1 << 15,
    UNICODE_NFC_PLAIN = 1 << 16, /* its own NFC, and never joins what stands before it */
    UNICODE_NFD_PLAIN = 1 << 17, /* its own NFD, and never moves */
    UNICODE_NFKC_PLAIN = 1 << 18,
    UNICODE_NFKD_PLAIN = 1 << 19,
    UNICODE_REORDERED = 1 << 20, /* has a combining class */
    UNICODE_L = UNICODE_LU | UNICODE_LL | UNICODE_LT | UNICODE_LM | UNICODE_LO,
};

struct unicode_range {
    uint32_t first;
    uint8_t class_id;
};
extern const uint32_t unicode_class_flags[];
extern const size_t unicode_class_count;
extern const struct unicode_range unicode_ranges[]; /* ascending; the last one reaches the end */
extern const size_t unicode_range_count;

#define UNICODE_BLOCKS 0x1100u /* of 256 code points */

/* The ranges, spread out for lookup: 60 KB. */
struct unicode_table {
    uint16_t block[UNICODE_BLOCKS];
    uint8_t *classes; /* [distinct blocks, 256]; owned */
};
enum rag_status unicode_table_init(struct unicode_table *u); /* RAG_OK or RAG_ENOMEM */
void unicode_table_release(struct unicode_table *u);

static inline uint32_t unicode_flags(const struct unicode_table *u, uint32_t c)
{
    return unicode_class_flags[u->classes[(size_t)u->block[c >> 8] << 8 | (c & 255)]];
}

/* The code point at s, which must be well-formed UTF-8; *ret_bytes is its length. */
static inline uint32_t unicode_at(const char *s, size_t *ret_bytes)
{
    const unsigned char *p = (const unsigned char *)s;

    if (p[0] < 0x80) {
        *ret_bytes = 1;
        return p[0];
    }
    if (p[0] < 0xE0) {
        *ret_bytes = 2;
        return (uint32_t)(p[0] & 0x1F) << 6 | (p[1] & 0x3Fu);
    }
    if (p[0] < 0xF0) {
        *ret_bytes = 3;
        return (uint32_t)(p[0] & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3Fu);
    }
    *ret_bytes = 4;
    return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 |
           (uint32_t)(p[2] & 0x3F) << 6 | (p[3] & 0x3Fu);
}

/* Room for n bytes at the end of b, or NULL: buf_reserve() without the call when there is room. */
static inline char *unicode_room(struct buf *b, size_t n)
{
    if (b->cap > b->len && n < b->cap - b->len && n <= b->max - b->len)
        return b->data + b->len;
    return buf_reserve(b, n);
}

/* Append c as UTF-8. A failure stays in b. */
void unicode_append(struct buf *b, uint32_t c);
/* Append the lower-case form of c (Rust's char::to_lowercase: one by one, no final sigma). */
void unicode_append_lower(struct buf *b, uint32_t c);

enum unicode_form { UNICODE_NFC, UNICODE_NFD, UNICODE_NFKC, UNICODE_NFKD };
/* Append the normal form of s (well-formed UTF-8). Memory failures stay in b. O(n log n). */
void unicode_normalize(const struct unicode_table *u, enum unicode_form form, const char *s,
                       size_t n, struct buf *b);

/* Does no grapheme cluster boundary lie between a and b? *state starts as 0 for each text. */
bool unicode_joined(uint32_t a, uint32_t b, int32_t *state);

#endif
