#include "nn/tokenizer_unicode.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"

#define DECOMPOSED_MAX 18 /* code points of the longest decomposition (U+FDFA) */

/* At most so many blocks are not equal to the one before: one in which ranges begin, and the one
 * behind it. */
static size_t blocks_max(void)
{
    size_t last = SIZE_MAX;
    size_t n = 1;

    for (size_t i = 0; i < unicode_range_count; i++) {
        if (unicode_ranges[i].first >> 8 != last)
            n += 2;
        last = unicode_ranges[i].first >> 8;
    }
    return n;
}

enum rag_status unicode_table_init(struct unicode_table *u)
{
    size_t n_max = blocks_max();
    size_t range = 0;
    size_t n = 0;
    bool uniform = false; /* is the latest block all of one range? Then the next may share it. */
    uint8_t *classes = malloc(n_max * 256);

    memset(u, 0, sizeof *u);
    if (!classes)
        return RAG_ENOMEM;
    for (size_t b = 0; b < UNICODE_BLOCKS; b++) {
        size_t end = (b + 1) * 256;
        bool shares =
            uniform && (range + 1 == unicode_range_count || unicode_ranges[range + 1].first >= end);

        if (!shares) {
            size_t c = b * 256;

            assert(n < n_max);
            uniform = true;
            while (c < end) {
                size_t stop = end;

                if (range + 1 < unicode_range_count && unicode_ranges[range + 1].first < end) {
                    stop = unicode_ranges[range + 1].first;
                    uniform = false;
                }
                memset(classes + n * 256 + (c - b * 256), unicode_ranges[range].class_id, stop - c);
                c = stop;
                if (stop < end)
                    range++;
            }
            n++;
        }
        u->block[b] = (uint16_t)(n - 1);
    }
    u->classes = classes;
    return RAG_OK;
}

void unicode_table_release(struct unicode_table *u)
{
    free(u->classes);
    u->classes = NULL;
}

void unicode_append(struct buf *b, uint32_t c)
{
    char *p = unicode_room(b, 4);

    if (p)
        buf_commit(b, utf8_encode(c, p));
}

/* utf8proc 2.8 knows Unicode 15; these are younger, or (U+0130) two characters. */
static uint32_t lower_young(uint32_t c)
{
    switch (c) {
    case 0x1C89:
        return 0x1C8A;
    case 0xA7CB:
        return 0x264;
    case 0xA7DC:
        return 0x19B;
    case 0xA7CC:
    case 0xA7CE:
    case 0xA7D2:
    case 0xA7D4:
    case 0xA7DA:
        return c + 1;
    default:
        if (c >= 0x10D50 && c <= 0x10D65)
            return c + 0x20;
        if (c >= 0x16EA0 && c <= 0x16EB8)
            return c + 0x1B;
        return c;
    }
}

void unicode_append_lower(struct buf *b, uint32_t c)
{
    uint32_t lower;

    if (c < 0x80) {
        unicode_append(b, c - 'A' < 26 ? c + 32 : c);
        return;
    }
    if (c == 0x130) {
        unicode_append(b, 'i');
        unicode_append(b, 0x307);
        return;
    }
    lower = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    unicode_append(b, lower == c ? lower_young(c) : lower);
}

/* ---- normal forms ----
 *
 * A text is cut into stretches that begin with a character which joins nothing before it. A stretch
 * of one plain character is copied; any other is decomposed, its marks sorted by combining class,
 * and for NFC and NFKC composed again (Unicode Standard Annex 15, section 1.3). */

struct stretch {
    int32_t *chars;
    uint8_t *classes;
    size_t n;
    size_t cap;
};

static bool stretch_room(struct stretch *st, size_t n)
{
    size_t cap = st->cap ? st->cap : 64;
    int32_t *chars;
    uint8_t *classes;

    if (st->cap - st->n >= n)
        return true;
    while (cap - st->n < n)
        cap *= 2;
    chars = realloc(st->chars, cap * sizeof *chars);
    if (chars)
        st->chars = chars;
    classes = realloc(st->classes, cap);
    if (classes)
        st->classes = classes;
    if (!chars || !classes)
        return false;
    st->cap = cap;
    return true;
}

static uint8_t combining_class(const struct unicode_table *u, uint32_t c)
{
    if (c < 0x300)
        return 0;
    if (!(unicode_flags(u, c) & UNICODE_REORDERED))
        return 0;
    return (uint8_t)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

static bool decompose(const struct unicode_table *u, enum unicode_form form, uint32_t c,
                      struct stretch *st)
{
    bool compat = form == UNICODE_NFKC || form == UNICODE_NFKD;
    uint32_t plain = compat ? UNICODE_NFKD_PLAIN : UNICODE_NFD_PLAIN;
    utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    int32_t out[DECOMPOSED_MAX];
    utf8proc_ssize_t n = 1;
    int last = 0;

    out[0] = (int32_t)c;
    if (compat)
        options |= UTF8PROC_COMPAT;
    /* A reordered character decomposes too (U+0344); a plain one of a younger Unicode does not. */
    if (!(unicode_flags(u, c) & plain))
        n = utf8proc_decompose_char((utf8proc_int32_t)c, out, DECOMPOSED_MAX, options, &last);
    if (n < 1 || n > DECOMPOSED_MAX) {
        out[0] = (int32_t)c;
        n = 1;
    }
    if (!stretch_room(st, (size_t)n))
        return false;
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        st->chars[st->n] = out[i];
        st->classes[st->n++] = combining_class(u, (uint32_t)out[i]);
    }
    return true;
}

/* Stable sort of chars[begin, end) by class, all of them non-zero: marks of one letter are few, so
 * insertion; thousands of them are an attack, so counting. */
static bool sort_marks(struct stretch *st, size_t begin, size_t end)
{
    size_t n = end - begin;
    size_t at[257] = {0}; /* of class k: where its next mark goes */
    int32_t *chars;
    uint8_t *classes;

    if (n <= 32) {
        for (size_t i = begin + 1; i < end; i++) {
            int32_t c = st->chars[i];
            uint8_t k = st->classes[i];
            size_t j = i;

            for (; j > begin && st->classes[j - 1] > k; j--) {
                st->chars[j] = st->chars[j - 1];
                st->classes[j] = st->classes[j - 1];
            }
            st->chars[j] = c;
            st->classes[j] = k;
        }
        return true;
    }
    if (!stretch_room(st, n)) /* scratch behind the stretch */
        return false;
    chars = st->chars + st->n;
    classes = st->classes + st->n;
    for (size_t i = begin; i < end; i++)
        at[st->classes[i] + 1]++;
    for (size_t k = 1; k < 257; k++)
        at[k] += at[k - 1];
    for (size_t i = begin; i < end; i++) {
        size_t to = at[st->classes[i]]++;

        chars[to] = st->chars[i];
        classes[to] = st->classes[i];
    }
    memcpy(st->chars + begin, chars, n * sizeof *chars);
    memcpy(st->classes + begin, classes, n);
    return true;
}

static bool sort_stretch(struct stretch *st)
{
    for (size_t i = 0; i < st->n;) {
        size_t end = i;

        while (end < st->n && st->classes[end] != 0)
            end++;
        if (end - i > 1 && !sort_marks(st, i, end))
            return false;
        i = end + 1;
    }
    return true;
}

/* The character that a and b compose to, or -1. */
static int32_t compose_pair(const struct unicode_table *u, int32_t a, int32_t b)
{
    int32_t pair[3] = {a, b, 0};
    utf8proc_ssize_t n;

    if (a < 0x80 && b < 0x300)
        return -1;
    n = utf8proc_normalize_utf32(pair, 2, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n != 1)
        return -1;
    /* What the reference's Unicode does not know decomposes to itself there (U+11938). */
    if (unicode_flags(u, (uint32_t)pair[0]) & UNICODE_NFD_PLAIN)
        return -1;
    return pair[0];
}

static void compose_stretch(const struct unicode_table *u, struct stretch *st)
{
    size_t starter = (size_t)-1;
    uint8_t last_class = 0;
    size_t n = 0;

    for (size_t i = 0; i < st->n; i++) {
        int32_t c = st->chars[i];
        uint8_t k = st->classes[i];
        bool adjacent = starter != (size_t)-1 && n == starter + 1;

        if (starter != (size_t)-1 && (adjacent || (last_class < k && last_class != 0))) {
            int32_t joined = compose_pair(u, st->chars[starter], c);

            if (joined >= 0) {
                st->chars[starter] = joined;
                continue;
            }
        }
        if (k == 0)
            starter = n;
        last_class = k;
        st->chars[n] = c;
        st->classes[n++] = k;
    }
    st->n = n;
}

static void flush_stretch(const struct unicode_table *u, enum unicode_form form, struct stretch *st,
                          struct buf *b)
{
    if (!sort_stretch(st)) {
        b->failed = RAG_ENOMEM;
        return;
    }
    if (form == UNICODE_NFC || form == UNICODE_NFKC)
        compose_stretch(u, st);
    for (size_t i = 0; i < st->n; i++)
        unicode_append(b, (uint32_t)st->chars[i]);
    st->n = 0;
}

static uint32_t plain_flag(enum unicode_form form)
{
    switch (form) {
    case UNICODE_NFC:
        return UNICODE_NFC_PLAIN;
    case UNICODE_NFD:
        return UNICODE_NFD_PLAIN;
    case UNICODE_NFKC:
        return UNICODE_NFKC_PLAIN;
    default:
        return UNICODE_NFKD_PLAIN;
    }
}

void unicode_normalize(const struct unicode_table *u, enum unicode_form form, const char *s,
                       size_t n, struct buf *b)
{
    uint32_t plain = plain_flag(form);
    struct stretch st = {NULL, NULL, 0, 0};
    size_t i = 0;

    while (i < n && b->failed == RAG_OK) {
        size_t begin = i;
        size_t last = i; /* start of the last plain character of the run [begin, i) */
        size_t step;
        uint32_t c = 0;
        bool ended = true;

        while (i < n) {
            c = unicode_at(s + i, &step);
            if (!(unicode_flags(u, c) & plain)) {
                ended = false;
                break;
            }
            last = i;
            i += step;
        }
        if (ended) {
            buf_append(b, s + begin, i - begin);
            break;
        }
        /* The plain character before one that is not may join with it. */
        buf_append(b, s + begin, last - begin);
        for (i = last; i < n && b->failed == RAG_OK; i += step) {
            c = unicode_at(s + i, &step);
            if (i > last && (unicode_flags(u, c) & plain))
                break;
            if (!decompose(u, form, c, &st))
                b->failed = RAG_ENOMEM;
        }
        flush_stretch(u, form, &st, b);
    }
    free(st.chars);
    free(st.classes);
}

/* Grapheme_Extend and SpacingMark of characters that are younger than utf8proc 2.8. */
static bool young_extend(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x897,   0x897  },
        {0x1ACF,  0x1ADD },
        {0x1AE0,  0x1AEB },
        {0x10D69, 0x10D6D},
        {0x10EFA, 0x10EFC},
        {0x113B8, 0x113C0},
        {0x113C2, 0x113C2},
        {0x113C5, 0x113C5},
        {0x113C7, 0x113CA},
        {0x113CC, 0x113D0},
        {0x113D2, 0x113D2},
        {0x113E1, 0x113E2},
        {0x11B60, 0x11B67},
        {0x11F5A, 0x11F5A},
        {0x1611E, 0x1612F},
        {0x1E5EE, 0x1E5EF},
        {0x1E6E3, 0x1E6E3},
        {0x1E6E6, 0x1E6E6},
        {0x1E6EE, 0x1E6EF},
        {0x1E6F5, 0x1E6F5},
    };

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0] && c >= ranges[i].first; i++) {
        if (c <= ranges[i].last)
            return true;
    }
    return false;
}

bool unicode_joined(uint32_t a, uint32_t b, int32_t *state)
{
    bool control = a < 0x20 || (a >= 0x7F && a < 0xA0);

    if (!control && (young_extend(b) || (a == 0x113D1 && b >= 0x20))) {
        *state = 0;
        return true;
    }
    if (a == 0x11A3A) { /* Prepend for utf8proc, no longer for the reference */
        *state = 0;
        a = 'a';
    }
    return !utf8proc_grapheme_break_stateful((utf8proc_int32_t)a, (utf8proc_int32_t)b, state);
}
