#define _POSIX_C_SOURCE 200809L
/* Ids back to text: the tokens' texts go through the decoders one after another (the reference's
 * decode_chain), each of which sees them as a list of strings.
 *
 * Here every decoder is a stage that takes strings as they come and hands on what no later string
 * can change; what it must wait for it holds:
 *
 *     byte-level      bytes of a character that is not whole yet
 *     byte fallback   a run of byte tokens: its validity is decided as a whole
 *     BPEDecoder      one token: the last one loses its suffix
 *
 * Behind a stage that makes one text of all strings (byte-level, Fuse) the parts of that text come
 * one by one. A stage there waits for the end, but for Fuse and for a Strip of the beginning, so
 * that the decoders of all known chat models stream. tokenizer_decode() is a stream that gets all
 * ids at once: both give the same text by construction. */
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "nn/tokenizer_internal.h"

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

struct stage {
    struct buf held;   /* not handed on yet */
    struct buf out;    /* being handed on */
    size_t n_strings;  /* taken */
    size_t strip_left; /* Strip of one text: how often its beginning is stripped still */
};

struct token_stream_state {
    size_t n_handed; /* strings that came out of the last stage */
    size_t steps;    /* that patterns may still take */
    struct buf scratch;
    size_t n_stages;
    struct stage stages[]; /* one for each decoder */
};

/* One call's way through the stages. */
struct flow {
    const struct tokenizer *t;
    struct token_stream_state *st;
    struct buf *ret;
};

static enum rag_status hand_on(struct flow *f, size_t k, const char *s, size_t n);

static void drop_front(struct buf *b, size_t n)
{
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->len - n + 1); /* with the NUL */
    b->len -= n;
}

/* ---- decoders of one string ---- */

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

static void wordpiece(const struct decoder *d, size_t index, const char *s, size_t n,
                      struct buf *out, struct buf *other)
{
    if (index > 0 && n >= d->n_text && memcmp(s, d->text, d->n_text) == 0) {
        s += d->n_text;
        n -= d->n_text;
    } else if (index > 0) {
        buf_append_char(out, ' ');
    }
    buf_append(out, s, n);
    if (d->cleanup)
        clean_up(out, other);
}

static void metaspace(const struct decoder *d, size_t index, const char *s, size_t n,
                      struct buf *out)
{
    size_t step;

    for (size_t k = 0; k < n; k += step) {
        unicode_at(s + k, &step);
        if (step != d->n_text || memcmp(s + k, d->text, step) != 0)
            buf_append(out, s + k, step);
        else if (index > 0 || d->prepend == PREPEND_NEVER)
            buf_append_char(out, ' ');
    }
}

static void bpe(const struct decoder *d, bool last, const char *s, size_t n, struct buf *out)
{
    for (size_t k = 0; k < n;) {
        if (d->n_text > 0 && n - k >= d->n_text && memcmp(s + k, d->text, d->n_text) == 0) {
            if (!last)
                buf_append_char(out, ' ');
            k += d->n_text;
        } else {
            buf_append_char(out, s[k++]);
        }
    }
}

static enum rag_status replace(const struct decoder *d, const struct unicode_table *u,
                               const char *s, size_t n, struct buf *out, size_t *steps)
{
    size_t at = 0;
    size_t begin;
    size_t end;

    while (at < n) {
        enum rag_status status = pattern_next(d->pattern, u, s, n, at, &begin, &end, steps);

        if (status == RAG_ELIMIT)
            return status;
        if (status != RAG_OK)
            break;
        buf_append(out, s + at, begin - at);
        buf_append(out, d->text, d->n_text);
        at = end;
    }
    buf_append(out, s + at, n - at);
    return RAG_OK;
}

static void strip(const struct decoder *d, const char *s, size_t n, struct buf *out)
{
    size_t begin = 0;
    size_t end = n;

    for (size_t k = 0;
         k < d->start && n - begin >= d->n_text && memcmp(s + begin, d->text, d->n_text) == 0; k++)
        begin += d->n_text;
    for (size_t k = 0; k < d->stop && end - begin >= d->n_text &&
                       memcmp(s + end - d->n_text, d->text, d->n_text) == 0;
         k++)
        end -= d->n_text;
    buf_append(out, s + begin, end - begin);
}

/* A whole string through decoder k, which turns one string into one. */
static enum rag_status whole_string(struct flow *f, size_t k, size_t index, bool last,
                                    const char *s, size_t n)
{
    const struct decoder *d = &f->t->decoders[k];
    struct buf *out = &f->st->stages[k].out;
    enum rag_status status = RAG_OK;

    buf_reset(out);
    if (d->kind == DECODER_WORDPIECE)
        wordpiece(d, index, s, n, out, &f->st->scratch);
    else if (d->kind == DECODER_METASPACE)
        metaspace(d, index, s, n, out);
    else if (d->kind == DECODER_BPE)
        bpe(d, last, s, n, out);
    else if (d->kind == DECODER_REPLACE)
        status = replace(d, &f->t->unicode, s, n, out, &f->st->steps);
    else
        strip(d, s, n, out);
    if (status == RAG_OK)
        status = buf_status(out);
    return status == RAG_OK ? hand_on(f, k + 1, buf_str(out), out->len) : status;
}

/* ---- byte-level: all tokens become one text ---- */

/* Hands on what of the bytes held is certain. */
static enum rag_status byte_level_flush(struct flow *f, size_t k, bool end)
{
    struct stage *g = &f->st->stages[k];
    const char *s = buf_str(&g->held);
    size_t n = g->held.len;
    size_t at = 0;

    buf_reset(&g->out);
    while (at < n) {
        bool valid;
        size_t step = utf8_lossy_step(s + at, n - at, &valid);

        if (step == 0 && !end)
            break;
        if (step == 0)
            step = n - at; /* one character that never came */
        if (valid)
            buf_append(&g->out, s + at, step);
        else
            buf_append_str(&g->out, REPLACEMENT);
        at += step;
    }
    if (buf_status(&g->out) != RAG_OK)
        return buf_status(&g->out);
    drop_front(&g->held, at);
    return g->out.len > 0 ? hand_on(f, k + 1, buf_str(&g->out), g->out.len) : RAG_OK;
}

static enum rag_status byte_level(struct flow *f, size_t k, const char *s, size_t n)
{
    struct buf *raw = &f->st->stages[k].held;

    byte_level_append(s, n, raw);
    if (buf_status(raw) != RAG_OK)
        return buf_status(raw);
    return raw->len > 0 ? byte_level_flush(f, k, false) : RAG_OK;
}

/* ---- byte fallback ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int token_fallback_byte(const char *s, size_t n)
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
static enum rag_status fallback_flush(struct flow *f, size_t k)
{
    struct buf *run = &f->st->stages[k].held;
    enum rag_status status = RAG_OK;

    if (run->len == 0)
        return RAG_OK;
    if (utf8_valid(buf_str(run), run->len, NULL)) {
        status = hand_on(f, k + 1, buf_str(run), run->len);
    } else {
        for (size_t i = 0; i < run->len && status == RAG_OK; i++)
            status = hand_on(f, k + 1, REPLACEMENT, sizeof REPLACEMENT - 1);
    }
    buf_reset(run);
    return status;
}

static enum rag_status byte_fallback(struct flow *f, size_t k, const char *s, size_t n)
{
    struct buf *run = &f->st->stages[k].held;
    int byte = token_fallback_byte(s, n);
    enum rag_status status;

    if (byte >= 0) {
        buf_append_char(run, (char)byte);
        return buf_status(run);
    }
    status = fallback_flush(f, k);
    return status == RAG_OK ? hand_on(f, k + 1, s, n) : status;
}

/* ---- the stages ---- */

/* Is what comes to stage k one text in parts? */
static bool is_one_text(const struct tokenizer *t, size_t k)
{
    while (k-- > 0) {
        if (t->decoders[k].kind == DECODER_BYTE_LEVEL || t->decoders[k].kind == DECODER_FUSE)
            return true;
    }
    return false;
}

static bool strips_begin_only(const struct decoder *d)
{
    return d->kind == DECODER_STRIP && d->stop == 0;
}

/* A part of one text whose beginning is stripped. */
static enum rag_status strip_part(struct flow *f, size_t k, const char *s, size_t n)
{
    const struct decoder *d = &f->t->decoders[k];
    struct stage *g = &f->st->stages[k];
    size_t at = 0;
    enum rag_status status;

    if (g->strip_left == 0)
        return hand_on(f, k + 1, s, n);
    buf_append(&g->held, s, n);
    if (buf_status(&g->held) != RAG_OK)
        return buf_status(&g->held);
    s = buf_str(&g->held);
    n = g->held.len;
    for (; g->strip_left > 0 && n - at >= d->n_text; at += d->n_text) {
        if (memcmp(s + at, d->text, d->n_text) != 0) {
            g->strip_left = 0;
            break;
        }
        g->strip_left--;
    }
    if (g->strip_left > 0) {
        drop_front(&g->held, at);
        return RAG_OK;
    }
    status = n > at ? hand_on(f, k + 1, s + at, n - at) : RAG_OK;
    buf_reset(&g->held);
    return status;
}

/* BPEDecoder: the token before this one was not the last. */
static enum rag_status hold_token(struct flow *f, size_t k, const char *s, size_t n)
{
    struct stage *g = &f->st->stages[k];
    enum rag_status status = RAG_OK;

    if (g->n_strings > 1)
        status = whole_string(f, k, 0, false, buf_str(&g->held), g->held.len);
    buf_reset(&g->held);
    buf_append(&g->held, s, n);
    return status == RAG_OK ? buf_status(&g->held) : status;
}

/* A string for stage k; behind the last one it is a piece of the result. */
static enum rag_status hand_on(struct flow *f, size_t k, const char *s, size_t n)
{
    const struct decoder *d = &f->t->decoders[k];
    struct stage *g;

    if (k == f->st->n_stages) {
        if (f->st->n_handed++ > 0 && !f->t->has_decoder)
            buf_append_char(f->ret, ' ');
        buf_append(f->ret, s, n);
        return buf_status(f->ret);
    }
    g = &f->st->stages[k];
    g->n_strings++;
    if (d->kind == DECODER_FUSE)
        return hand_on(f, k + 1, s, n);
    if (is_one_text(f->t, k)) {
        if (strips_begin_only(d))
            return strip_part(f, k, s, n);
        buf_append(&g->held, s, n);
        return buf_status(&g->held);
    }
    switch (d->kind) {
    case DECODER_BYTE_LEVEL:
        return byte_level(f, k, s, n);
    case DECODER_BYTE_FALLBACK:
        return byte_fallback(f, k, s, n);
    case DECODER_BPE:
        return hold_token(f, k, s, n);
    default:
        return whole_string(f, k, g->n_strings - 1, false, s, n);
    }
}

/* One text that stage k waited for is complete; stages behind it get it whole. */
static enum rag_status take_text(struct flow *f, size_t k)
{
    struct stage *g = &f->st->stages[k];
    struct buf text = g->held; /* the decoders of bytes hold their own */
    enum rag_status status;

    buf_init(&g->held, TOKENIZER_NORMALIZED_BYTES_MAX);
    if (f->t->decoders[k].kind == DECODER_BYTE_LEVEL)
        status = byte_level(f, k, buf_str(&text), text.len);
    else if (f->t->decoders[k].kind == DECODER_BYTE_FALLBACK)
        status = byte_fallback(f, k, buf_str(&text), text.len);
    else
        status = whole_string(f, k, 0, true, buf_str(&text), text.len);
    buf_release(&text);
    return status;
}

/* No more strings will come to stage k. */
static enum rag_status finish_stage(struct flow *f, size_t k)
{
    const struct decoder *d = &f->t->decoders[k];
    struct stage *g = &f->st->stages[k];
    enum rag_status status = RAG_OK;

    if (is_one_text(f->t, k) && d->kind != DECODER_FUSE) {
        if (!strips_begin_only(d))
            status = take_text(f, k);
        else if (g->held.len > 0)
            status = hand_on(f, k + 1, buf_str(&g->held), g->held.len);
    } else if (d->kind == DECODER_BPE && g->n_strings > 0) {
        status = whole_string(f, k, 0, true, buf_str(&g->held), g->held.len);
    }
    if (status == RAG_OK && d->kind == DECODER_BYTE_LEVEL && g->held.len > 0)
        status = byte_level_flush(f, k, true);
    if (status == RAG_OK && d->kind == DECODER_BYTE_FALLBACK)
        status = fallback_flush(f, k);
    return status;
}

/* ---- streams ---- */

void token_stream_init(struct token_stream *s, const struct tokenizer *t, bool skip_special)
{
    *s = (struct token_stream){.tokenizer = t, .skip_special = skip_special};
}

void token_stream_release(struct token_stream *s)
{
    if (!s->state)
        return;
    for (size_t i = 0; i < s->state->n_stages; i++) {
        buf_release(&s->state->stages[i].held);
        buf_release(&s->state->stages[i].out);
    }
    buf_release(&s->state->scratch);
    free(s->state);
    s->state = NULL;
}

static enum rag_status stream_state(struct token_stream *s, struct rag_error *reterr)
{
    const struct tokenizer *t = s->tokenizer;
    struct token_stream_state *st;

    if (s->state)
        return RAG_OK;
    st = calloc(1, sizeof *st + t->n_decoders * sizeof st->stages[0]);
    if (!st)
        return rag_fail(reterr, RAG_ENOMEM, "tokens: out of memory");
    st->n_stages = t->n_decoders;
    st->steps = TOKENIZER_PATTERN_STEPS;
    buf_init(&st->scratch, TOKENIZER_NORMALIZED_BYTES_MAX);
    for (size_t i = 0; i < st->n_stages; i++) {
        buf_init(&st->stages[i].held, TOKENIZER_NORMALIZED_BYTES_MAX);
        buf_init(&st->stages[i].out, TOKENIZER_NORMALIZED_BYTES_MAX);
        st->stages[i].strip_left = t->decoders[i].start;
    }
    s->state = st;
    return RAG_OK;
}

/* On failure ret is what it was. */
static enum rag_status end_call(struct buf *ret, size_t before, enum rag_status status,
                                struct rag_error *reterr)
{
    if (status == RAG_OK)
        return RAG_OK;
    ret->len = before;
    if (ret->data)
        ret->data[before] = '\0';
    return rag_fail(reterr, status, "tokens: text too long or out of memory");
}

enum rag_status token_stream_put(struct token_stream *s, uint32_t id, struct buf *ret,
                                 struct rag_error *reterr)
{
    const struct tokenizer *t = s->tokenizer;
    const struct added_token *a = added_find(t, id);
    size_t before = ret->len;
    size_t n = 0;
    const char *text = vocab_text(&t->vocab, id, &n);
    struct flow f = {t, NULL, ret};
    enum rag_status status;

    if (id >= t->vocab.n)
        return rag_fail(reterr, RAG_EINVAL, "token id %u, but the vocabulary ends at %u", id,
                        t->vocab.n - 1);
    if (!text || (a && a->special && s->skip_special))
        return RAG_OK;
    status = stream_state(s, reterr);
    if (status != RAG_OK)
        return status;
    if (a && a->decoded) {
        text = a->decoded;
        n = strlen(text);
    }
    f.st = s->state;
    f.st->steps += n * TOKENIZER_PATTERN_STEPS_PER_BYTE;
    return end_call(ret, before, hand_on(&f, 0, text, n), reterr);
}

enum rag_status token_stream_finish(struct token_stream *s, struct buf *ret,
                                    struct rag_error *reterr)
{
    struct flow f = {s->tokenizer, s->state, ret};
    size_t before = ret->len;
    enum rag_status status = RAG_OK;

    for (size_t k = 0; f.st && k < f.st->n_stages && status == RAG_OK; k++)
        status = finish_stage(&f, k);
    token_stream_release(s); /* what comes next is another text */
    return end_call(ret, before, status, reterr);
}

enum rag_status tokenizer_decode(const struct tokenizer *t, const uint32_t *ids, size_t n,
                                 bool skip_special, struct buf *ret, struct rag_error *reterr)
{
    struct token_stream s;
    size_t before = ret->len;
    enum rag_status status = RAG_OK;

    token_stream_init(&s, t, skip_special);
    for (size_t i = 0; i < n && status == RAG_OK; i++)
        status = token_stream_put(&s, ids[i], ret, reterr);
    if (status == RAG_OK)
        status = token_stream_finish(&s, ret, reterr);
    token_stream_release(&s);
    if (status != RAG_OK) {
        ret->len = before;
        if (ret->data)
            ret->data[before] = '\0';
    }
    return status;
}
