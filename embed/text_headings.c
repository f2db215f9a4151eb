#include "embed/text_headings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "embed/embed_white.h"
#include "embed/extraction.h"

/* What a line begins with. Lines of one style (and mark) are of one level. */
enum style {
    STYLE_NONE,
    STYLE_PART, /* 편, 장, 절, 관, 조: outermost first */
    STYLE_CHAPTER,
    STYLE_SECTION,
    STYLE_SUBSECTION,
    STYLE_ARTICLE,
    STYLE_UNDERLINE_DOUBLE,
    STYLE_UNDERLINE,
    STYLE_ROMAN,
    STYLE_NUMBER,
    STYLE_DEEP_NUMBER, /* 1.2: its level is one below the number before it */
    STYLE_DEEPER_NUMBER,
    STYLE_HANGUL,
    STYLE_BRACKET,
    STYLE_MARK, /* + index into marks[] */
};

static const uint32_t marks[] = {
    0x25A0, 0x25A1, 0x25A3, 0x25A9, /* ■ □ ▣ ▩ */
    0x25C6, 0x25C7, 0x25C8,         /* ◆ ◇ ◈ */
    0x25B6, 0x25B7, 0x25BA,         /* ▶ ▷ ► */
    0x25CE, 0x25CF, 0x25CB,         /* ◎ ● ○ */
    0x2605, 0x2606,                 /* ★ ☆ */
};
#define N_MARKS  (sizeof marks / sizeof marks[0])
#define N_STYLES (STYLE_MARK + N_MARKS)

/* A line that may be a heading. */
struct candidate {
    uint32_t byte_start;
    uint32_t byte_end;
    uint32_t title_start;
    uint32_t title_end;
    uint32_t number;
    uint8_t style;
    bool has_text; /* something other than a line of its style follows */
    bool sure;     /* no vote needed */
    bool chosen;
};

struct finder {
    const char *s;
    size_t n;
    struct candidate *items; /* owned */
    size_t n_items;
    size_t cap;
    bool waiting;   /* the last candidate has not seen the line behind it */
    bool has_title; /* items[0] is the title */
};

/* ---- one line ---- */

/* A number of at most 3 digits at *at; 0 when there is none. */
static uint32_t read_number(const char *s, size_t *at, size_t end)
{
    size_t start = *at;
    size_t i = start;
    uint32_t v = 0;

    while (i < end && s[i] >= '0' && s[i] <= '9' && i - start < 4)
        v = v * 10 + (uint32_t)(s[i++] - '0');
    if (i == start || i - start > 3)
        return 0;
    *at = i;
    return v;
}

static bool at_white(const char *s, size_t at, size_t end)
{
    return at >= end || white_char(utf8_decode(s + at, NULL));
}

/* "제12조의2(정의)", "제1장 총칙". Sets the end of the heading: the closing bracket, or the
 * line's end. */
static enum style read_statute(const char *s, struct candidate *c)
{
    static const struct {
        const char *word;
        enum style style;
    } units[] = {
        {"편", STYLE_PART      },
        {"장", STYLE_CHAPTER   },
        {"절", STYLE_SECTION   },
        {"관", STYLE_SUBSECTION},
        {"조", STYLE_ARTICLE   }
    };
    const size_t syllable = 3;
    size_t end = c->byte_end;
    size_t at = c->byte_start;
    enum style style = STYLE_NONE;
    const char *close;

    if (end - at < 3 * syllable - 2 || memcmp(s + at, "제", syllable) != 0)
        return STYLE_NONE;
    at = white_skip(s, at + syllable, end);
    c->number = read_number(s, &at, end);
    at = white_skip(s, at, end);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (c->number > 0 && end - at >= syllable && memcmp(s + at, units[i].word, syllable) == 0)
            style = units[i].style;
    if (style == STYLE_NONE)
        return STYLE_NONE;
    at += syllable;
    if (end - at > syllable && memcmp(s + at, "의", syllable) == 0) {
        size_t number = at + syllable;

        if (read_number(s, &number, end) > 0)
            at = number;
    }
    c->sure = true;
    if (at < end && s[white_skip(s, at, end)] == '(') {
        close = memchr(s + at, ')', end - at);
        if (!close)
            return STYLE_NONE;
        /* "제2조(목적)에 따라" is a reference: the bracket must be followed by white space */
        if (!at_white(s, (size_t)(close - s) + 1, end))
            return STYLE_NONE;
        c->byte_end = c->title_end = (uint32_t)(close - s) + 1;
        return utf8_count(s + at, c->byte_end - at) <= TEXT_HEADING_CHARS_MAX ? style : STYLE_NONE;
    }
    return at_white(s, at, end) ? style : STYLE_NONE;
}

/* Roman numerals up to Ⅻ, as letters of their own or as I, V, X. */
static uint32_t read_roman(const char *s, size_t *at, size_t end)
{
    static const char *const letters[] = {"I",   "II",   "III", "IV", "V",  "VI",
                                          "VII", "VIII", "IX",  "X",  "XI", "XII"};
    size_t step;
    uint32_t c = *at < end ? utf8_decode(s + *at, &step) : 0;
    size_t n;

    if (c >= 0x2160 && c <= 0x216B) {
        *at += step;
        return c - 0x2160 + 1;
    }
    for (n = 0; *at + n < end && n < 5 && strchr("IVX", s[*at + n]); n++)
        ;
    for (uint32_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if (strlen(letters[i]) == n && memcmp(s + *at, letters[i], n) == 0) {
            *at += n;
            return i + 1;
        }
    }
    return 0;
}

/* 가, 나, 다 ... 하 as 1 .. 14. */
static uint32_t read_hangul(const char *s, size_t *at, size_t end)
{
    static const char order[] = "가나다라마바사아자차카타파하";

    for (uint32_t i = 0; end - *at >= 3 && i < 14; i++) {
        if (memcmp(s + *at, order + (size_t)i * 3, 3) == 0) {
            *at += 3;
            return i + 1;
        }
    }
    return 0;
}

/* "1. ", "1.2 ", "Ⅱ. ", "가. ". */
static enum style read_numbered(const char *s, struct candidate *c)
{
    size_t end = c->byte_end;
    size_t at = c->byte_start;
    enum style style = STYLE_NUMBER;
    size_t depth = 1;

    c->number = read_number(s, &at, end);
    while (c->number > 0 && end - at >= 2 && s[at] == '.' && s[at + 1] >= '0' && s[at + 1] <= '9') {
        at++;
        c->number = read_number(s, &at, end);
        depth++;
    }
    if (c->number == 0) {
        depth = 1;
        style = STYLE_ROMAN;
        c->number = read_roman(s, &at, end);
    }
    if (c->number == 0) {
        style = STYLE_HANGUL;
        c->number = read_hangul(s, &at, end);
    }
    if (c->number == 0 || at >= end || depth > 3)
        return STYLE_NONE;
    if (s[at] == '.')
        at++;
    else if (depth == 1)
        return STYLE_NONE; /* "3 명" */
    if (!at_white(s, at, end) || white_skip(s, at, end) == end)
        return STYLE_NONE;
    if (depth > 1)
        return depth == 2 ? STYLE_DEEP_NUMBER : STYLE_DEEPER_NUMBER;
    return style;
}

static enum style read_bracket(const char *s, struct candidate *c)
{
    static const struct {
        const char *open, *close;
    } pairs[] = {
        {"[",   "]"  },
        {"【", "】"},
        {"〔", "〕"},
        {"〈", "〉"},
        {"《", "》"}
    };
    size_t n = c->byte_end - c->byte_start;

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        size_t a = strlen(pairs[i].open);
        size_t b = strlen(pairs[i].close);

        if (n <= a + b || memcmp(s + c->byte_start, pairs[i].open, a) != 0 ||
            memcmp(s + c->byte_end - b, pairs[i].close, b) != 0)
            continue;
        c->title_start = (uint32_t)(c->byte_start + a);
        c->title_end = (uint32_t)(c->byte_end - b);
        return STYLE_BRACKET;
    }
    return STYLE_NONE;
}

static enum style read_mark(const char *s, struct candidate *c)
{
    size_t step;
    uint32_t first = utf8_decode(s + c->byte_start, &step);
    size_t at = white_skip(s, c->byte_start + step, c->byte_end);

    for (size_t i = 0; i < N_MARKS; i++) {
        if (marks[i] == first && at < c->byte_end) {
            c->title_start = (uint32_t)at;
            return (enum style)(STYLE_MARK + i);
        }
    }
    return STYLE_NONE;
}

/* Does the line end as a sentence of prose or as part of one? */
static bool ends_as_prose(const char *s, size_t start, size_t end)
{
    static const char *const stops[] = {".", "!", ",", ";", "。", "，", "다", "…"};

    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
        size_t n = strlen(stops[i]);

        if (end - start >= n && memcmp(s + end - n, stops[i], n) == 0)
            return true;
    }
    return false;
}

/* Fills c from its line [byte_start, byte_end); STYLE_NONE when it is no candidate. */
static enum style read_line(const char *s, struct candidate *c, bool after_blank)
{
    enum style style;
    size_t end = c->byte_end;

    c->title_start = c->byte_start;
    c->title_end = c->byte_end;
    style = read_statute(s, c);
    if (style == STYLE_NONE) {
        c->sure = false;
        c->byte_end = c->title_end = (uint32_t)end;
    }
    if (style == STYLE_NONE && after_blank)
        style = read_numbered(s, c);
    if (style == STYLE_NONE)
        style = read_bracket(s, c);
    if (style == STYLE_NONE)
        style = read_mark(s, c);
    if (style == STYLE_NONE)
        return STYLE_NONE;
    if (c->byte_end == end && (utf8_advance(s, end, c->byte_start, TEXT_HEADING_CHARS_MAX) < end ||
                               ends_as_prose(s, c->byte_start, end)))
        return STYLE_NONE;
    return style;
}

/* A line of nothing but = or -, at least three. */
static enum style read_underline(const char *s, size_t start, size_t end)
{
    if (end - start < 3 || (s[start] != '=' && s[start] != '-'))
        return STYLE_NONE;
    for (size_t i = start; i < end; i++)
        if (s[i] != s[start])
            return STYLE_NONE;
    return s[start] == '=' ? STYLE_UNDERLINE_DOUBLE : STYLE_UNDERLINE;
}

/* ---- all lines ---- */

static struct candidate *push(struct finder *f, const struct candidate *c)
{
    if (f->n_items == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 32;
        struct candidate *grown = realloc(f->items, cap * sizeof *grown);

        if (!grown)
            return NULL;
        f->items = grown;
        f->cap = cap;
    }
    f->items[f->n_items] = *c;
    return &f->items[f->n_items++];
}

/* The line before this underline becomes a heading, unless it is part of a paragraph. */
static enum rag_status push_underlined(struct finder *f, const struct text_line *above,
                                       size_t underline_end, enum style style)
{
    struct candidate c = {.sure = true, .has_text = true, .style = (uint8_t)style};

    c.byte_start = c.title_start = (uint32_t)white_skip(f->s, above->start, above->end);
    c.title_end = (uint32_t)above->end;
    c.byte_end = (uint32_t)underline_end;
    if (f->n_items > 0 && f->items[f->n_items - 1].byte_start >= c.byte_start)
        f->n_items--; /* it was a candidate by its mark */
    return push(f, &c) ? RAG_OK : RAG_ENOMEM;
}

/* The title: a short first line that a blank line follows, with text behind it. */
static enum rag_status find_title(struct finder *f)
{
    struct text_line line;
    struct text_line next;
    struct candidate c = {.has_text = true};
    size_t at = white_skip(f->s, 0, f->n);

    if (!text_line_at(f->s, f->n, at, &line))
        return RAG_OK;
    line.end = white_trim(f->s, line.start, line.end);
    if (!text_line_at(f->s, f->n, line.next, &next) || white_skip(f->s, line.next, f->n) == f->n ||
        white_skip(f->s, next.start, next.end) < next.end)
        return RAG_OK;
    if (utf8_advance(f->s, line.end, line.start, TEXT_HEADING_CHARS_MAX) < line.end ||
        ends_as_prose(f->s, line.start, line.end) || text_list_mark(f->s, line.start, line.end) > 0)
        return RAG_OK;
    c.byte_start = (uint32_t)line.start;
    c.byte_end = (uint32_t)line.end;
    if (read_line(f->s, &c, true) != STYLE_NONE)
        return RAG_OK; /* "제1조(목적)", "1. 개요": the first of several */
    c.byte_start = c.title_start = (uint32_t)line.start;
    c.byte_end = c.title_end = (uint32_t)line.end;
    c.style = STYLE_UNDERLINE_DOUBLE;
    c.sure = true;
    f->has_title = true;
    return push(f, &c) ? RAG_OK : RAG_ENOMEM;
}

static enum rag_status find_candidates(struct finder *f)
{
    struct text_line above = {0, 0, 0};
    struct text_line line;
    enum rag_status status = RAG_OK;
    bool blank_above = true;  /* and before it */
    bool blank_before = true; /* the line */
    size_t at = f->n_items > 0 ? f->items[0].byte_end : 0;

    for (; text_line_at(f->s, f->n, at, &line) && status == RAG_OK; at = line.next) {
        struct candidate c = {0};
        bool after_heading = f->waiting;
        enum style underline;

        line.start = white_skip(f->s, line.start, line.end);
        line.end = white_trim(f->s, line.start, line.end);
        if (line.start == line.end) {
            blank_above = blank_before;
            blank_before = true;
            continue;
        }
        if (f->n_items >= TEXT_HEADINGS_MAX)
            break;
        underline = read_underline(f->s, line.start, line.end);
        if (underline != STYLE_NONE && !blank_before && blank_above &&
            utf8_advance(f->s, above.end, above.start, TEXT_HEADING_CHARS_MAX) == above.end) {
            status = push_underlined(f, &above, line.end, underline);
            f->waiting = false;
        } else {
            c.byte_start = (uint32_t)line.start;
            c.byte_end = (uint32_t)line.end;
            c.style = (uint8_t)read_line(f->s, &c, blank_before || after_heading);
            if (f->waiting && f->n_items > 0)
                f->items[f->n_items - 1].has_text = f->items[f->n_items - 1].style != c.style;
            f->waiting = c.style != STYLE_NONE;
            if (f->waiting && !push(f, &c))
                status = RAG_ENOMEM;
        }
        above = line;
        blank_above = blank_before;
        blank_before = false;
    }
    return status;
}

/* ---- headings or items? ---- */

/* Decide on the candidates [from, to) of one style: a run counted up from 1, or all of a
 * mark. */
static void vote(struct finder *f, size_t from, size_t to, uint8_t style, size_t n_least)
{
    size_t n = 0;
    size_t n_with_text = 0;

    for (size_t i = from; i < to; i++) {
        if (f->items[i].style == style) {
            n++;
            n_with_text += f->items[i].has_text;
        }
    }
    if (n < n_least || n_with_text * 2 <= n)
        return;
    for (size_t i = from; i < to; i++)
        if (f->items[i].style == style)
            f->items[i].chosen = true;
}

/* Numbered lines: each run 1, 2, 3 ... votes by itself. A line out of order is no heading. */
static void vote_numbers(struct finder *f, uint8_t style)
{
    size_t from = f->n_items;
    uint32_t last = 0;

    for (size_t i = 0; i < f->n_items; i++) {
        struct candidate *c = &f->items[i];

        if (c->style != style || c->sure)
            continue;
        if (c->number == last + 1 && last > 0) {
            last = c->number;
        } else if (c->number == 1) {
            if (last > 0)
                vote(f, from, i, style, 2);
            from = i;
            last = 1;
        } else {
            c->style = STYLE_NONE;
        }
    }
    if (last > 0)
        vote(f, from, f->n_items, style, 2);
}

/* Give each chosen one its level: a new style opens a level below the one before it, a known
 * one returns to its level; parts of a statute also by their rank. */
static uint8_t level_of(uint8_t *open, size_t *n_open, uint8_t style, size_t base)
{
    size_t i = 0;

    while (i < *n_open && open[i] != style) {
        if (style >= STYLE_PART && style <= STYLE_ARTICLE && open[i] > style &&
            open[i] <= STYLE_ARTICLE)
            break;
        i++;
    }
    open[i] = style;
    *n_open = i + 1;
    i += base;
    return (uint8_t)(i < HEADING_DEPTH_MAX ? i : HEADING_DEPTH_MAX);
}

static enum rag_status finish(struct finder *f, struct text_headings *ret)
{
    uint8_t open[N_STYLES];
    size_t n_open = 0;
    struct text_headings found = {0};

    found.items = calloc(f->n_items + 1, sizeof *found.items);
    if (!found.items)
        return RAG_ENOMEM;
    found.has_title = f->has_title;
    for (size_t i = 0; i < f->n_items; i++) {
        const struct candidate *c = &f->items[i];
        struct text_heading *h = &found.items[found.n];

        if (!c->chosen)
            continue;
        h->byte_start = c->byte_start;
        h->byte_end = c->byte_end;
        h->title_start = c->title_start;
        h->title_end = c->title_end;
        h->level =
            i == 0 && f->has_title ? 1 : level_of(open, &n_open, c->style, f->has_title ? 2 : 1);
        found.n++;
    }
    *ret = found;
    return RAG_OK;
}

enum rag_status text_headings_find(const char *s, size_t n, struct text_headings *ret)
{
    struct finder f = {.s = s, .n = n};
    enum rag_status status = find_title(&f);

    if (status == RAG_OK)
        status = find_candidates(&f);
    if (status == RAG_OK) {
        for (size_t i = 0; i < f.n_items; i++)
            f.items[i].chosen = f.items[i].sure;
        vote_numbers(&f, STYLE_ROMAN);
        vote_numbers(&f, STYLE_NUMBER);
        vote_numbers(&f, STYLE_HANGUL);
        for (size_t style = STYLE_DEEP_NUMBER; style < N_STYLES; style++)
            if (style != STYLE_HANGUL)
                vote(&f, 0, f.n_items, (uint8_t)style, 1);
        status = finish(&f, ret);
    }
    free(f.items);
    return status;
}

void text_headings_release(struct text_headings *headings)
{
    free(headings->items);
    memset(headings, 0, sizeof *headings);
}

/* ---- items of a list ---- */

size_t text_list_mark(const char *s, size_t at, size_t end)
{
    static const uint32_t bullets[] = {'-',    '*',    '+',    0xB7,   0x2022, 0x2023, 0x2043,
                                       0x25AA, 0x25AB, 0x25E6, 0x2013, 0x2014, 0x203B, 0x30FB,
                                       0x318D, 0x2219, 0x27A2, 0x2713, 0x2714};
    const size_t start = at;
    bool enclosed;
    size_t step;
    uint32_t c;

    if (at >= end)
        return 0;
    c = utf8_decode(s + at, &step);
    for (size_t i = 0; i < sizeof bullets / sizeof bullets[0] + N_MARKS; i++) {
        const size_t n_bullets = sizeof bullets / sizeof bullets[0];

        if (c == (i < n_bullets ? bullets[i] : marks[i - n_bullets])) {
            at = white_skip(s, at + step, end);
            /* "-5도", "*주": an ASCII mark needs white space behind it */
            return at < end && (at > start + step || c >= 0x80) ? at - start : 0;
        }
    }
    if (c >= 0x2460 && c <= 0x24FF) /* ① ⑴ ⒈ ⓐ */
        return white_skip(s, at + step, end) - start;
    enclosed = c == '(';
    at += enclosed;
    if (read_number(s, &at, end) == 0 && read_hangul(s, &at, end) == 0)
        return 0;
    if (at >= end || !(s[at] == ')' || (s[at] == '.' && !enclosed)))
        return 0;
    at++;
    /* "3.14", "가.나": white space behind a full stop */
    if (at >= end || (!enclosed && s[at - 1] == '.' && !at_white(s, at, end)))
        return 0;
    return white_skip(s, at, end) - start;
}
