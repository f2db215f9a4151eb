#include <string.h>

#include "base/utf8.h"
#include "nn/tokenizer_internal.h"

#include <utf8proc.h>

#define HANGUL_FIRST 0xAC00u
#define HANGUL_COUNT 11172u

/* The blocks that BERT's normalizer calls Chinese (its list leaves 0x2B820..0x2B91F out). */
static bool is_chinese(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
           (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static void append_folded(struct buf *b, uint32_t c, bool lowercase)
{
    if (lowercase)
        unicode_append_lower(b, c);
    else
        unicode_append(b, c);
}

/* The canonical decomposition of c without nonspacing marks. */
static void append_stripped(const struct unicode_table *u, struct buf *b, uint32_t c,
                            uint32_t flags, bool lowercase)
{
    utf8proc_int32_t parts[8];
    utf8proc_ssize_t n;
    int last = 0;

    if (flags & UNICODE_NFD_PLAIN) {
        if (!(flags & UNICODE_MN))
            append_folded(b, c, lowercase);
        return;
    }
    if (c - HANGUL_FIRST < HANGUL_COUNT) { /* Unicode 3.12: neither jamo is a mark or has case */
        uint32_t s = c - HANGUL_FIRST;

        unicode_append(b, 0x1100 + s / 588);
        unicode_append(b, 0x1161 + s % 588 / 28);
        if (s % 28)
            unicode_append(b, 0x11A7 + s % 28);
        return;
    }
    n = utf8proc_decompose_char((utf8proc_int32_t)c, parts, 8, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
                                &last);
    for (utf8proc_ssize_t i = 0; i < n && i < 8; i++) {
        if (!(unicode_flags(u, (uint32_t)parts[i]) & UNICODE_MN))
            append_folded(b, (uint32_t)parts[i], lowercase);
    }
}

/* BertNormalizer in one pass. False: a mark that stays may have to move behind another one
 * (canonical ordering), which this cannot do; then bert_in_passes(). */
static bool bert_at_once(const struct unicode_table *u, const struct normalizer *z, const char *s,
                         size_t n, struct buf *b)
{
    size_t step;

    for (size_t i = 0; i < n && b->failed == RAG_OK; i += step) {
        uint32_t c = unicode_at(s + i, &step);
        uint32_t flags = unicode_flags(u, c);
        bool spaced;

        if (z->clean_text && (flags & UNICODE_DROP))
            continue;
        if (z->clean_text && (flags & UNICODE_SPACE)) {
            unicode_append(b, ' ');
            continue;
        }
        if (c < 0x80) {
            unicode_append(b, z->lowercase && c - 'A' < 26 ? c + 32 : c);
            continue;
        }
        if (z->strip_accents && (flags & UNICODE_REORDERED) && !(flags & UNICODE_MN))
            return false;
        spaced = z->chinese && is_chinese(c);
        if (spaced)
            unicode_append(b, ' ');
        if (z->strip_accents)
            append_stripped(u, b, c, flags, z->lowercase);
        else
            append_folded(b, c, z->lowercase);
        if (spaced)
            unicode_append(b, ' ');
    }
    return true;
}

static void filter(const struct unicode_table *u, const char *s, size_t n, uint32_t drop,
                   bool lowercase, struct buf *b)
{
    size_t step;

    for (size_t i = 0; i < n && b->failed == RAG_OK; i += step) {
        uint32_t c = unicode_at(s + i, &step);

        if (!(unicode_flags(u, c) & drop))
            append_folded(b, c, lowercase);
    }
}

/* Through 'other' and back into b. */
static void bert_in_passes(const struct unicode_table *u, const struct normalizer *z, const char *s,
                           size_t n, struct buf *b, struct buf *other)
{
    struct normalizer clean = *z;

    clean.strip_accents = false;
    clean.lowercase = false;
    buf_reset(b);
    bert_at_once(u, &clean, s, n, b);
    buf_reset(other);
    unicode_normalize(u, UNICODE_NFD, buf_str(b), b->len, other);
    buf_reset(b);
    filter(u, buf_str(other), other->len, UNICODE_MN, z->lowercase, b);
    if (other->failed != RAG_OK)
        b->failed = other->failed;
}

static void strip(const struct unicode_table *u, const struct normalizer *z, const char *s,
                  size_t n, struct buf *b)
{
    size_t begin = 0;
    size_t end = n;
    size_t step;

    while (z->left && begin < n && (unicode_flags(u, unicode_at(s + begin, &step)) & UNICODE_SPACE))
        begin += step;
    while (z->right && end > begin) {
        size_t at = utf8_floor(s, n, end - 1);

        if (!(unicode_flags(u, unicode_at(s + at, &step)) & UNICODE_SPACE))
            break;
        end = at;
    }
    buf_append(b, s + begin, end - begin);
}

static enum rag_status replace(const struct unicode_table *u, const struct normalizer *z,
                               struct token_work *w, const char *s, size_t n, struct buf *b)
{
    size_t at = 0;
    size_t begin;
    size_t end;
    enum rag_status status = RAG_OK;

    while (at < n && b->failed == RAG_OK) {
        status = pattern_next(z->pattern, u, s, n, at, &begin, &end, &w->steps);
        if (status != RAG_OK)
            break;
        buf_append(b, s + at, begin - at);
        buf_append(b, z->text, z->n_text);
        at = end;
    }
    buf_append(b, s + at, n - at);
    return status == RAG_ENOTFOUND ? RAG_OK : status;
}

static void byte_level(const char *s, size_t n, struct buf *b)
{
    for (size_t i = 0; i < n; i++) {
        char *p = unicode_room(b, 2);

        if (!p)
            return;
        buf_commit(b, byte_level_char((unsigned char)s[i], p));
    }
}

/* The reference's Nmt (sentencepiece's nmt rules). */
static void nmt(const char *s, size_t n, struct buf *b)
{
    size_t step;

    for (size_t i = 0; i < n; i += step) {
        uint32_t c = unicode_at(s + i, &step);

        if ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F ||
            c == 0x9F)
            continue;
        if (c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
            (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
            c == 0xFEFF || c == 0xFFFD)
            c = ' ';
        unicode_append(b, c);
    }
}

/* Spaces alone, as sentencepiece's remove_extra_whitespaces. */
static void squeeze(const char *s, size_t n, struct buf *b)
{
    size_t begin = b->len;

    for (size_t i = 0; i < n; i++) {
        if (s[i] != ' ' || (b->len > begin && b->data[b->len - 1] != ' '))
            buf_append_char(b, s[i]);
    }
    if (b->len > begin && b->data[b->len - 1] == ' ')
        b->data[--b->len] = '\0';
}

static enum rag_status apply(const struct tokenizer *t, const struct normalizer *z,
                             struct token_work *w, const char *s, size_t n, struct buf *b)
{
    const struct unicode_table *u = &t->unicode;

    switch (z->kind) {
    case NORMALIZER_BERT:
        if (!bert_at_once(u, z, s, n, b))
            bert_in_passes(u, z, s, n, b, &w->extra);
        break;
    case NORMALIZER_FORM:
        unicode_normalize(u, z->form, s, n, b);
        break;
    case NORMALIZER_LOWERCASE:
        filter(u, s, n, 0, true, b);
        break;
    case NORMALIZER_STRIP_ACCENTS:
        filter(u, s, n, UNICODE_MARK, false, b);
        break;
    case NORMALIZER_STRIP:
        strip(u, z, s, n, b);
        break;
    case NORMALIZER_REPLACE:
        return replace(u, z, w, s, n, b);
    case NORMALIZER_PREPEND:
        if (n > 0)
            buf_append(b, z->text, z->n_text);
        buf_append(b, s, n);
        break;
    case NORMALIZER_CHARSMAP:
        charsmap_apply(&z->map, s, n, b);
        break;
    case NORMALIZER_BYTE_LEVEL:
        byte_level(s, n, b);
        break;
    case NORMALIZER_NMT:
        nmt(s, n, b);
        break;
    case NORMALIZER_SQUEEZE:
        squeeze(s, n, b);
        break;
    }
    return RAG_OK;
}

/* What becomes of the text's first character, alone. */
static enum rag_status normalize_lead(const struct tokenizer *t, const struct normalizer *z,
                                      struct token_work *w, const char *s, const struct buf *whole,
                                      size_t *lead)
{
    enum rag_status status;
    size_t step = 0;

    buf_reset(&w->front);
    status = apply(t, z, w, s, *lead, &w->front);
    if (status != RAG_OK)
        return status;
    *lead = w->front.len;
    /* The reference forgets characters that the map removes: the next one takes their place. */
    if (*lead == 0 && z->kind == NORMALIZER_CHARSMAP && whole->len > 0) {
        unicode_at(buf_str(whole), &step);
        *lead = step;
    }
    return buf_status(&w->front);
}

enum rag_status normalize(const struct tokenizer *t, struct token_work *w, const char *s, size_t n,
                          const char **ret, size_t *ret_n, size_t *lead)
{
    for (size_t i = 0; i < t->n_normalizers; i++) {
        struct buf *b = &w->text[i % 2];
        enum rag_status status;

        buf_reset(b);
        status = apply(t, &t->normalizers[i], w, s, n, b);
        if (status == RAG_OK)
            status = buf_status(b);
        if (status == RAG_OK && *lead > 0 && t->needs_lead)
            status = normalize_lead(t, &t->normalizers[i], w, s, b, lead);
        if (status != RAG_OK)
            return status;
        s = buf_str(b);
        n = b->len;
    }
    *ret = s;
    *ret_n = n;
    return RAG_OK;
}
