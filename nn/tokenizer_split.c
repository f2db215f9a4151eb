/* Pre-tokenizers: cut a normalized text into words. Each one goes over the pieces that the one
 * before left; those that change the text (metaspace, byte level) write it anew. */
#include <assert.h>
#include <string.h>

#include "base/utf8.h"
#include "nn/tokenizer_internal.h"

/* ---- what to do with matches (the reference's SplitDelimiterBehavior) ---- */

struct cutter {
    struct piece_list *out;
    size_t base; /* offset of the piece in the text */
    size_t lead; /* of the piece that is cut */
    enum split_behavior behavior;
    bool invert;
    size_t begin, end; /* the part that is not handed out yet */
    bool has_part;
    bool last_match; /* was the latest segment a match? */
    enum rag_status status;
};

static size_t lead_after(size_t lead, size_t begin)
{
    return lead > begin ? lead - begin : 0;
}

static void hand_out(struct cutter *c)
{
    if (c->has_part && c->status == RAG_OK)
        c->status = piece_push(c->out, c->base + c->begin, c->end - c->begin,
                               lead_after(c->lead, c->begin));
    c->has_part = false;
}

/* The next segment [begin, end) of the piece; segments follow each other without gaps. */
static void segment(struct cutter *c, size_t begin, size_t end, bool match)
{
    bool join = false;

    if (begin == end)
        return;
    if (c->invert)
        match = !match;
    switch (c->behavior) {
    case SPLIT_ISOLATED:
        break;
    case SPLIT_REMOVED:
        if (match) {
            hand_out(c);
            return;
        }
        break;
    case SPLIT_CONTIGUOUS:
        join = c->has_part && match == c->last_match;
        break;
    case SPLIT_MERGED_WITH_PREVIOUS:
        join = c->has_part && match && !c->last_match;
        break;
    case SPLIT_MERGED_WITH_NEXT:
        join = c->has_part && !match && c->last_match;
        break;
    }
    if (!join) {
        hand_out(c);
        c->begin = begin;
        c->has_part = true;
    }
    c->end = end;
    c->last_match = match;
}

/* ---- one splitter over one piece s[0, n) ---- */

/* Segments of characters with (match) and without any of the flags, one by one. */
static void cut_by_flags(const struct unicode_table *u, struct cutter *c, const char *s, size_t n,
                         uint32_t flags)
{
    size_t begin = 0;
    size_t step;

    for (size_t i = 0; i < n; i += step) {
        if (!(unicode_flags(u, unicode_at(s + i, &step)) & flags))
            continue;
        segment(c, begin, i, false);
        segment(c, i, i + step, true);
        begin = i + step;
    }
    segment(c, begin, n, false);
}

/* \w+|[^\w\s]+ : runs of one kind. */
static void cut_words(const struct unicode_table *u, struct cutter *c, const char *s, size_t n)
{
    size_t step;

    for (size_t i = 0; i < n;) {
        uint32_t kind = unicode_flags(u, unicode_at(s + i, &step)) & (UNICODE_WORD | UNICODE_SPACE);
        size_t end = i + step;

        while (end < n && (unicode_flags(u, unicode_at(s + end, &step)) &
                           (UNICODE_WORD | UNICODE_SPACE)) == kind)
            end += step;
        segment(c, i, end, kind == UNICODE_SPACE);
        i = end;
    }
}

/* BERT: white space removed, each punctuation character alone. */
static enum rag_status cut_bert(const struct unicode_table *u, const char *s, struct piece p,
                                struct piece_list *out)
{
    size_t end = (size_t)p.begin + p.n;
    size_t begin = p.begin;
    enum rag_status status = RAG_OK;
    size_t step;

    for (size_t i = p.begin; i < end && status == RAG_OK; i += step) {
        uint32_t flags = unicode_flags(u, unicode_at(s + i, &step));

        if (!(flags & (UNICODE_SPACE | UNICODE_PUNCT)))
            continue;
        status = piece_push(out, begin, i - begin, lead_after(p.lead, begin - p.begin));
        if (status == RAG_OK && !(flags & UNICODE_SPACE))
            status = piece_push(out, i, step, lead_after(p.lead, i - p.begin));
        begin = i + step;
    }
    if (status == RAG_OK)
        status = piece_push(out, begin, end - begin, lead_after(p.lead, begin - p.begin));
    return status;
}

static enum rag_status cut_by_pattern(const struct unicode_table *u, const struct pattern *pattern,
                                      struct cutter *c, const char *s, size_t n, size_t *steps)
{
    size_t at = 0;
    size_t begin;
    size_t end;

    while (at < n && c->status == RAG_OK) {
        enum rag_status status = pattern_next(pattern, u, s, n, at, &begin, &end, steps);

        if (status == RAG_ENOTFOUND)
            break;
        if (status != RAG_OK)
            return status;
        segment(c, at, begin, false);
        segment(c, begin, end, true);
        at = end;
    }
    segment(c, at, n, false);
    return RAG_OK;
}

/* ---- splitters that write a new text ---- */

static enum rag_status metaspace(const struct splitter *sp, const char *s, const struct piece *p,
                                 struct buf *b, struct piece_list *out)
{
    size_t begin = b->len;
    size_t cut = begin;
    const char *end = s + p->begin + p->n;
    bool starts = p->n >= 1 && (s[p->begin] == ' ' ||
                                (p->n >= sp->n_replacement &&
                                 memcmp(s + p->begin, sp->replacement, sp->n_replacement) == 0));
    enum rag_status status = RAG_OK;

    if (!starts && (sp->prepend == PREPEND_ALWAYS || (sp->prepend == PREPEND_FIRST && p->lead > 0)))
        buf_append(b, sp->replacement, sp->n_replacement);
    for (const char *q = s + p->begin; q < end && status == RAG_OK;) {
        bool mark = *q == ' ' || ((size_t)(end - q) >= sp->n_replacement &&
                                  memcmp(q, sp->replacement, sp->n_replacement) == 0);
        const char *from = q;

        if (mark) {
            if (sp->split && b->len > cut) {
                status = piece_push(out, cut, b->len - cut, cut == begin ? p->lead : 0);
                cut = b->len;
            }
            buf_append(b, sp->replacement, sp->n_replacement);
            q += *q == ' ' ? 1 : sp->n_replacement;
            continue;
        }
        do {
            q++;
        } while (q < end && *q != ' ' && *q != sp->replacement[0]);
        buf_append(b, from, (size_t)(q - from));
    }
    if (status == RAG_OK)
        status = piece_push(out, cut, b->len - cut, cut == begin ? p->lead : 0);
    return status;
}

/* Every byte of the pieces as a character of GPT-2's alphabet. */
static void byte_level_pieces(const char *s, struct piece_list *pieces, struct buf *b)
{
    for (size_t i = 0; i < pieces->n; i++) {
        struct piece *p = &pieces->items[i];
        size_t begin = b->len;
        char *to = unicode_room(b, (size_t)p->n * 2);

        if (!to)
            return;
        for (size_t k = 0; k < p->n; k++)
            to += byte_level_char((unsigned char)s[p->begin + k], to);
        buf_commit(b, (size_t)(to - (b->data + begin)));
        p->begin = (uint32_t)begin;
        p->n = (uint32_t)(b->len - begin);
    }
}

static enum rag_status add_prefix_space(const char *s, const struct piece_list *in, struct buf *b,
                                        struct piece_list *out)
{
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < in->n && status == RAG_OK; i++) {
        const struct piece *p = &in->items[i];
        size_t begin = b->len;

        if (s[p->begin] != ' ')
            buf_append_char(b, ' ');
        buf_append(b, s + p->begin, p->n);
        status = piece_push(out, begin, b->len - begin, p->lead);
    }
    return status;
}

/* ---- all of them ---- */

struct state {
    const struct tokenizer *t;
    struct token_work *w;
    const char *s;    /* the text that pieces[current] point into */
    size_t current;   /* pieces in use */
    size_t next_text; /* of w->split: the one that s is not */
};

static struct buf *fresh_text(struct state *st)
{
    struct buf *b = &st->w->split[st->next_text];

    buf_reset(b);
    return b;
}

static void take_text(struct state *st, struct buf *b)
{
    st->s = buf_str(b);
    st->next_text = 1 - st->next_text;
}

static struct piece_list *other_pieces(struct state *st)
{
    struct piece_list *out = &st->w->pieces[1 - st->current];

    out->n = 0;
    return out;
}

static enum rag_status cut_pieces(struct state *st, const struct splitter *sp,
                                  const struct pattern *pattern, enum split_behavior behavior)
{
    const struct unicode_table *u = &st->t->unicode;
    const struct piece_list *in = &st->w->pieces[st->current];
    struct piece_list *out = other_pieces(st);
    enum rag_status status = RAG_OK;

    for (size_t i = 0; i < in->n && status == RAG_OK; i++) {
        struct piece p = in->items[i];
        const char *s = st->s + p.begin;
        struct cutter c = {.out = out,
                           .base = p.begin,

                           .lead = p.lead,
                           .behavior = behavior,
                           .invert = sp->invert};

        switch (sp->kind) {
        case SPLIT_BERT:
            status = cut_bert(u, st->s, p, out);
            continue;
        case SPLIT_WHITESPACE_WORDS:
            cut_words(u, &c, s, p.n);
            break;
        case SPLIT_WHITESPACE:
            cut_by_flags(u, &c, s, p.n, UNICODE_SPACE);
            break;
        case SPLIT_PUNCTUATION:
            cut_by_flags(u, &c, s, p.n, UNICODE_PUNCT);
            break;
        case SPLIT_DIGITS:
            cut_by_flags(u, &c, s, p.n, UNICODE_NUMERIC);
            break;
        default:
            status = cut_by_pattern(u, pattern, &c, s, p.n, &st->w->steps);
            break;
        }
        hand_out(&c);
        if (status == RAG_OK)
            status = c.status;
    }
    st->current = 1 - st->current;
    return status;
}

static enum rag_status run_splitter(struct state *st, const struct splitter *sp)
{
    enum rag_status status = RAG_OK;
    struct buf *b;

    switch (sp->kind) {
    case SPLIT_METASPACE: {
        const struct piece_list *in = &st->w->pieces[st->current];
        struct piece_list *out = other_pieces(st);

        b = fresh_text(st);
        for (size_t i = 0; i < in->n && status == RAG_OK; i++)
            status = metaspace(sp, st->s, &in->items[i], b, out);
        st->current = 1 - st->current;
        take_text(st, b);
        break;
    }
    case SPLIT_BYTE_LEVEL:
        if (sp->add_prefix_space) {
            b = fresh_text(st);
            status = add_prefix_space(st->s, &st->w->pieces[st->current], b, other_pieces(st));
            if (status == RAG_OK)
                status = buf_status(b);
            if (status != RAG_OK)
                return status;
            st->current = 1 - st->current;
            take_text(st, b);
        }
        if (sp->pattern)
            status = cut_pieces(st, sp, sp->pattern, SPLIT_ISOLATED);
        if (status != RAG_OK)
            return status;
        b = fresh_text(st);
        byte_level_pieces(st->s, &st->w->pieces[st->current], b);
        take_text(st, b);
        break;
    default:
        return cut_pieces(st, sp, sp->pattern, sp->behavior);
    }
    return status == RAG_OK ? buf_status(b) : status;
}

enum rag_status split_words(const struct tokenizer *t, struct token_work *w, const char *s,
                            size_t n, size_t lead, const char **ret_text,
                            const struct piece_list **ret)
{
    struct state st = {t, w, s, 0, 0};
    enum rag_status status;

    w->pieces[0].n = 0;
    status = piece_push(&w->pieces[0], 0, n, lead);
    for (size_t i = 0; i < t->n_splitters && status == RAG_OK; i++)
        status = run_splitter(&st, &t->splitters[i]);
    if (status != RAG_OK)
        return status;
    *ret_text = st.s;
    *ret = &w->pieces[st.current];
    return RAG_OK;
}

/* GPT-2's bytes_to_unicode(): printable Latin-1 stands for itself, the rest moves to U+0100. */
size_t byte_level_char(unsigned char byte, char ret[2])
{
    uint32_t c = byte;

    if (byte >= 0x21 && byte <= 0x7E) {
        ret[0] = (char)byte;
        return 1;
    }
    if (byte <= 0x20)
        c = 0x100u + byte;
    else if (byte >= 0x7F && byte <= 0xA0)
        c = 0x121u + (byte - 0x7Fu);
    else if (byte == 0xAD)
        c = 0x143;
    ret[0] = (char)(0xC0 | c >> 6);
    ret[1] = (char)(0x80 | (c & 0x3F));
    return 2;
}

int byte_level_byte(uint32_t c)
{
    if ((c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xFF && c != 0xAD))
        return (int)c;
    if (c >= 0x100 && c <= 0x120)
        return (int)(c - 0x100);
    if (c >= 0x121 && c <= 0x142)
        return (int)(c - 0x121 + 0x7F);
    return c == 0x143 ? 0xAD : -1;
}

void byte_level_append(const char *s, size_t n, struct buf *ret)
{
    size_t begin = ret->len;
    size_t step;

    for (size_t i = 0; i < n; i += step) {
        int byte = byte_level_byte(unicode_at(s + i, &step));

        if (byte < 0) {
            ret->len = begin;
            buf_append(ret, s, n);
            return;
        }
        buf_append_char(ret, (char)byte);
    }
}
