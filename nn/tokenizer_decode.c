/* ---- all of them ---- */
#define _POSIX_C_SOURCE 200809L
/* Ids back to text: the tokens' texts go through the decoders one after another (the reference's
 * decode_chain), each of which sees them as a list of strings. */
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "nn/tokenizer_internal.h"

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* Strings, one after another in bytes. */
struct strings {
    struct buf bytes;
    size_t *ends; /* [n] */
    size_t n;
    size_t cap;
};

static const char *string_at(const struct strings *l, size_t i, size_t *ret_n)
{
    size_t begin = i == 0 ? 0 : l->ends[i - 1];

    *ret_n = l->ends[i] - begin;
    return buf_str(&l->bytes) + begin;
}

/* What was appended to bytes since the last call is the next string. */
static void end_string(struct strings *l)
{
    if (l->bytes.failed != RAG_OK)
        return;
    if (grow((void **)&l->ends, &l->cap, l->n + 1, sizeof *l->ends) != RAG_OK) {
        l->bytes.failed = RAG_ENOMEM;
        return;
    }
    l->ends[l->n++] = l->bytes.len;
}

static void reset(struct strings *l)
{
    enum rag_status failed = l->bytes.failed;

    buf_reset(&l->bytes);
    l->bytes.failed = failed;
    l->n = 0;
}

/* ---- decoders ---- */

/* Bytes of the longest prefix of s[0, n) that some character begins with (at least 1), and whether
 * it is a whole character: what Rust's from_utf8_lossy replaces by one U+FFFD. */
static size_t lossy_step(const unsigned char *s, size_t n, bool *ret_valid)
{
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    size_t need = s[0] < 0x80   ? 1
                  : s[0] < 0xC2 ? 0
                  : s[0] < 0xE0 ? 2
                  : s[0] < 0xF0 ? 3
                  : s[0] < 0xF5 ? 4
                                : 0;

    *ret_valid = need == 1;
    if (need < 2)
        return 1;
    if (s[0] == 0xE0)
        low = 0xA0;
    else if (s[0] == 0xED)
        high = 0x9F;
    else if (s[0] == 0xF0)
        low = 0x90;
    else if (s[0] == 0xF4)
        high = 0x8F;
    for (size_t i = 1; i < need; i++) {
        if (i == n || s[i] < low || s[i] > high)
            return i;
        low = 0x80;
        high = 0xBF;
    }
    *ret_valid = true;
    return need;
}

static void append_lossy(struct buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        bool valid;
        size_t step = lossy_step((const unsigned char *)s + i, n - i, &valid);

        if (valid)
            buf_append(b, s + i, step);
        else
            buf_append_str(b, REPLACEMENT);
        i += step;
    }
}

/* All tokens become one text. A token with a character outside the alphabet stands for itself. */
static void byte_level(const struct strings *in, struct strings *out, struct buf *raw)
{
    buf_reset(raw);
    for (size_t i = 0; i < in->n; i++) {
        size_t n;
        size_t step;
        const char *s = string_at(in, i, &n);
        size_t begin = raw->len;

        for (size_t k = 0; k < n; k += step) {
            int byte = byte_level_byte(unicode_at(s + k, &step));

            if (byte < 0) {
                raw->len = begin;
                buf_append(raw, s, n);
                break;
            }
            buf_append_char(raw, (char)byte);
        }
    }
    append_lossy(&out->bytes, buf_str(raw), raw->len);
    end_string(out);
    if (raw->failed != RAG_OK)
        out->bytes.failed = raw->failed;
}

static void replace_all(struct buf *b, const char *what, const char *by, struct buf *other)
{
    size_t n_what = strlen(what);
    const char *s = buf_str(b);
    const char *found = strstr(s, what);

    if (!found)
        return;
    buf_reset(other);
    for (; found; found = strstr(s, what)) {
        buf_append(other, s, (size_t)(found - s));
        buf_append_str(other, by);
        s = found + n_what;
    }
    buf_append_str(other, s);
    buf_reset(b);
    buf_append(b, buf_str(other), other->len);
}

/* The reference's clean-up of English: no space before punctuation. */
static void clean_up(struct buf *b, struct buf *other)
{
    static const char *const rules[][2] = {
        {" .",      "."     },
        {" ?",      "?"     },
        {" !",      "!"     },
        {" ,",      ","     },
        {" ' ",     "'"     },
        {" n't",    "n't"   },
        {" 'm",     "'m"    },
        {" do not", " don't"},
        {" 's",     "'s"    },
        {" 've",    "'ve"   },
        {" 're",    "'re"   },
    };

    if (!memchr(buf_str(b), ' ', b->len))
        return;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        replace_all(b, rules[i][0], rules[i][1], other);
}

static void wordpiece(const struct decoder *d, const struct strings *in, struct strings *out,
                      struct buf *token, struct buf *other)
{
    for (size_t i = 0; i < in->n; i++) {
        size_t n;
        const char *s = string_at(in, i, &n);

        buf_reset(token);
        if (i > 0 && n >= d->n_text && memcmp(s, d->text, d->n_text) == 0) {
            s += d->n_text;
            n -= d->n_text;
        } else if (i > 0) {
            buf_append_char(token, ' ');
        }
        buf_append(token, s, n);
        if (d->cleanup)
            clean_up(token, other);
        buf_append(&out->bytes, buf_str(token), token->len);
        end_string(out);
    }
}

static void metaspace(const struct decoder *d, const struct strings *in, struct strings *out)
{
    for (size_t i = 0; i < in->n; i++) {
        size_t n;
        size_t step;
        const char *s = string_at(in, i, &n);

        for (size_t k = 0; k < n; k += step) {
            unicode_at(s + k, &step);
            if (step != d->n_text || memcmp(s + k, d->text, step) != 0)
                buf_append(&out->bytes, s + k, step);
            else if (i > 0 || d->prepend == PREPEND_NEVER)
                buf_append_char(&out->bytes, ' ');
        }
        end_string(out);
    }
}

static void bpe(const struct decoder *d, const struct strings *in, struct strings *out)
{
    for (size_t i = 0; i < in->n; i++) {
        size_t n;
        const char *s = string_at(in, i, &n);

        for (size_t k = 0; k < n;) {
            if (d->n_text > 0 && n - k >= d->n_text && memcmp(s + k, d->text, d->n_text) == 0) {
                if (i + 1 < in->n)
                    buf_append_char(&out->bytes, ' ');
                k += d->n_text;
            } else {
                buf_append_char(&out->bytes, s[k++]);
            }
        }
        end_string(out);
    }
}

static enum rag_status replace(const struct decoder *d, const struct unicode_table *u,
                               const struct strings *in, struct strings *out, size_t *steps)
{
    for (size_t i = 0; i < in->n; i++) {
        size_t n;
        const char *s = string_at(in, i, &n);
        size_t at = 0;
        size_t begin;
        size_t end;
        enum rag_status status = RAG_OK;

        while (at < n) {
            status = pattern_next(d->pattern, u, s, n, at, &begin, &end, steps);
            if (status != RAG_OK)
                break;
            buf_append(&out->bytes, s + at, begin - at);
            buf_append(&out->bytes, d->text, d->n_text);
            at = end;
        }
        if (status == RAG_ELIMIT)
            return status;
        buf_append(&out->bytes, s + at, n - at);
        end_string(out);
    }
    return RAG_OK;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of "<0x41>", or -1. */
static int fallback_byte(const char *s, size_t n)
{
    int high;
    int low;

    if (n != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>')
        return -1;
    high = s[3] == '+' ? 0 : hex_digit(s[3]); /* Rust's from_str_radix takes a sign */
    low = hex_digit(s[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* A run of bytes: its text, or U+FFFD for each byte when it is no UTF-8. */
static void flush_bytes(struct buf *run, struct strings *out)
{
    if (run->len == 0)
        return;
    if (utf8_valid(buf_str(run), run->len, NULL)) {
        buf_append(&out->bytes, buf_str(run), run->len);
        end_string(out);
    } else {
        for (size_t i = 0; i < run->len; i++) {
            buf_append_str(&out->bytes, REPLACEMENT);
            end_string(out);
        }
    }
    buf_reset(run);
}

static void byte_fallback(const struct strings *in, struct strings *out, struct buf *run)
{
    buf_reset(run);
    for (size_t i = 0; i < in->n; i++) {
        size_t n;
        const char *s = string_at(in, i, &n);
        int byte = fallback_byte(s, n);

        if (byte >= 0) {
            buf_append_char(run, (char)byte);
            continue;
        }
        flush_bytes(run, out);
        buf_append(&out->bytes, s, n);
        end_string(out);
    }
    flush_bytes(run, out);
    if (run->failed != RAG_OK)
        out->bytes.failed = run->failed;
}

static void strip(const struct decoder *d, const struct strings *in, struct strings *out)
{
    for (size_t i = 0; i < in->n; i++) {
        size_t n;
        const char *s = string_at(in, i, &n);
        size_t begin = 0;
        size_t end = n;

        for (size_t k = 0;
             k < d->start && n - begin >= d->n_text && memcmp(s + begin, d->text, d->n_text) == 0;
             k++)
            begin += d->n_text;
        for (size_t k = 0; k < d->stop && end - begin >= d->n_text &&
                           memcmp(s + end - d->n_text, d->text, d->n_text) == 0;
             k++)
            end -= d->n_text;
        buf_append(&out->bytes, s + begin, end - begin);
        end_string(out);
    }
}

static enum rag_status run(const struct tokenizer *t, const struct decoder *d,
                           const struct strings *in, struct strings *out, struct token_work *w)
{
    reset(out);
    switch (d->kind) {
    case DECODER_BYTE_LEVEL:
        byte_level(in, out, &w->extra);
        break;
    case DECODER_WORDPIECE:
        wordpiece(d, in, out, &w->extra, &w->text[0]);
        break;
    case DECODER_METASPACE:
        metaspace(d, in, out);
        break;
    case DECODER_BPE:
        bpe(d, in, out);
        break;
    case DECODER_REPLACE:
        return replace(d, &t->unicode, in, out, &w->steps);
    case DECODER_BYTE_FALLBACK:
        byte_fallback(in, out, &w->extra);
        break;
    case DECODER_FUSE:
        buf_append(&out->bytes, buf_str(&in->bytes), in->bytes.len);
        end_string(out);
        break;
    case DECODER_STRIP:
        strip(d, in, out);
        break;
    }
    return RAG_OK;
}

static enum rag_status collect(const struct tokenizer *t, const uint32_t *ids, size_t n,
                               bool skip_special, struct strings *out, struct rag_error *reterr)
{
    for (size_t i = 0; i < n; i++) {
        const struct added_token *a = added_find(t, ids[i]);
        size_t n_text;
        const char *text = vocab_text(&t->vocab, ids[i], &n_text);

        if (ids[i] >= t->vocab.n)
            return rag_fail(reterr, RAG_EINVAL, "token %zu: id %u, the vocabulary ends at %u", i,
                            ids[i], t->vocab.n - 1);
        if (!text || (a && a->special && skip_special))
            continue;
        if (a && a->decoded)
            buf_append_str(&out->bytes, a->decoded);
        else
            buf_append(&out->bytes, text, n_text);
        end_string(out);
    }
    return RAG_OK;
}

enum rag_status tokenizer_decode(const struct tokenizer *t, const uint32_t *ids, size_t n,
                                 bool skip_special, struct buf *ret, struct rag_error *reterr)
{
    struct strings lists[2] = {{.n = 0}, {.n = 0}};
    struct token_work *w = token_work_new();
    struct strings *in = &lists[0];
    enum rag_status status = RAG_ENOMEM;

    buf_init(&lists[0].bytes, TOKENIZER_NORMALIZED_BYTES_MAX);
    buf_init(&lists[1].bytes, TOKENIZER_NORMALIZED_BYTES_MAX);
    if (!w) {
        status = rag_fail(reterr, RAG_ENOMEM, "tokens: out of memory");
        goto out;
    }
    status = collect(t, ids, n, skip_special, in, reterr);
    if (status != RAG_OK)
        goto out;
    w->steps = TOKENIZER_PATTERN_STEPS + in->bytes.len * TOKENIZER_PATTERN_STEPS_PER_BYTE;
    for (size_t i = 0; i < t->n_decoders && status == RAG_OK; i++) {
        struct strings *next = in == &lists[0] ? &lists[1] : &lists[0];

        status = run(t, &t->decoders[i], in, next, w);
        if (in->bytes.failed != RAG_OK)
            next->bytes.failed = in->bytes.failed;
        in = next;
    }
    if (status == RAG_OK)
        status = in->bytes.failed;
    for (size_t i = 0; i < in->n && status == RAG_OK; i++) {
        size_t n_text;
        const char *text = string_at(in, i, &n_text);

        if (i > 0 && !t->has_decoder)
            buf_append_char(ret, ' ');
        buf_append(ret, text, n_text);
    }
    if (status == RAG_OK)
        status = buf_status(ret);
    if (status != RAG_OK)
        status = rag_fail(reterr, status, "tokens: text too long or out of memory");
out:
    for (size_t i = 0; i < 2; i++) {
        buf_release(&lists[i].bytes);
        free(lists[i].ends);
    }
    token_work_free(w);
    return status;
}
