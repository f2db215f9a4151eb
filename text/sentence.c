#include "text/sentence.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

struct splitter {
    const char *s;
    size_t n;
    size_t start;           /* of the sentence being read */
    struct sentence *items; /* owned until handed out */
    size_t n_items;
    size_t cap;
};

static bool is_space(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == 0xA0 || c == 0x3000 ||
           (c >= 0x2000 && c <= 0x200B) || c == 0x2028 || c == 0x2029;
}

static bool is_hangul(uint32_t c)
{
    return c >= 0xAC00 && c <= 0xD7A3;
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(uint32_t c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_latin(uint32_t c)
{
    return is_upper(c) || (c >= 'a' && c <= 'z') || (c >= 0xC0 && c < 0x250);
}

static bool one_of(uint32_t c, const char *set)
{
    for (size_t step; *set; set += step)
        if (utf8_decode(set, &step) == c)
            return true;
    return false;
}

static bool is_stop(uint32_t c)
{
    switch (c) {
    case '.':
    case '!':
    case '?':
    case 0x2025: /* two dot leader */
    case 0x2026: /* ellipsis */
    case 0x22EF: /* midline ellipsis */
    case 0x3002: /* ideographic full stop */
    case 0xFF01: /* full-width ! */
    case 0xFF0E:
    case 0xFF1F:
    case 0xFF61: /* half-width ideographic full stop */
        return true;
    default:
        return false;
    }
}

static bool is_closer(uint32_t c)
{
    return one_of(c, "\"'”’)]}」』》〉】）］｝");
}

static uint32_t char_at(const struct splitter *p, size_t at)
{
    return at < p->n ? utf8_decode(p->s + at, NULL) : 0;
}

static uint32_t char_before(const struct splitter *p, size_t at, size_t *ret_at)
{
    if (at <= p->start) {
        *ret_at = p->start;
        return 0;
    }
    *ret_at = utf8_floor(p->s, p->n, at - 1);
    return utf8_decode(p->s + *ret_at, NULL);
}

/* The last syllable of a predicate that can close a sentence. */
static bool is_final_syllable(uint32_t c)
{
    return one_of(c, "다요까죠오음함임됨네라자지군걸");
}

/* What follows a quoted sentence inside the sentence that quotes it: "...했다."고,
 * "...했다." 라는. */
static bool quotative_follows(const char *s, size_t n)
{
    static const char *const heads[] = {"라고", "라는", "라며", "라면서", "라 ",  "고 ",
                                        "고,",  "며 ",  "며,",  "면서",   "하고", "하며",
                                        "이라", "라던", "란 ",  "는 ",    "라지"};

    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        size_t len = strlen(heads[i]);

        if (n >= len && memcmp(s, heads[i], len) == 0)
            return true;
    }
    return false;
}

static bool abbreviation(const char *word, size_t n)
{
    static const char *const known[] = {
        "Mr",  "Mrs", "Ms",  "Dr",  "Prof", "St",  "Mt", "vs", "No",     "no",  "Vol", "vol", "Fig",
        "fig", "Eq",  "Jr",  "Sr",  "cf",   "pp",  "al", "ca", "Gen",    "Col", "Sgt", "Rev", "Gov",
        "Sen", "Rep", "Art", "art", "Sec",  "sec", "Ch", "ch", "approx", "est", "Ver", "ver"};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i]) == n && memcmp(word, known[i], n) == 0)
            return true;
    return false;
}

/* Do the characters that end at 'stop' spell "2024. 3. 1"? Three numbers are a date. */
static bool ends_date(const struct splitter *p, size_t stop)
{
    size_t at = stop;
    size_t n_numbers = 0;

    for (;;) {
        size_t n_digits = 0;
        size_t prev;

        while (is_digit(char_before(p, at, &prev))) {
            at = prev;
            n_digits++;
        }
        if (n_digits == 0 || n_digits > 4)
            return false;
        if (++n_numbers == 3)
            return true;
        while (char_before(p, at, &prev) == ' ')
            at = prev;
        if (char_before(p, at, &prev) != '.')
            return false;
        at = prev;
    }
}

/* A full stop at 'stop' with white space behind it, the next text at 'next': is it part
 * of a number, a date, an enumerator, an initial or an abbreviation? */
static bool stop_is_inner(const struct splitter *p, size_t stop, size_t next)
{
    size_t word = stop;
    size_t prev;
    uint32_t before = char_before(p, stop, &prev);
    uint32_t first = before;
    uint32_t after = char_at(p, next);

    for (;;) {
        uint32_t c = char_before(p, word, &prev);

        if (c == 0 || is_space(c) || one_of(c, "(\"'“‘[")) /* the word's first character */
            break;
        first = c;
        word = prev;
    }
    if (is_digit(before)) {
        if (is_digit(after) || word == p->start)
            return stop - word <= 4 || ends_date(p, stop);
        return ends_date(p, stop);
    }
    if (word == p->start && is_hangul(before) && stop - word == 3)
        return true; /* "가. 목적" */
    if (!is_latin(before))
        return false;
    if (stop - word == 1)
        return is_upper(before); /* George W. */
    if (is_latin(first) && stop - word >= 3 && p->s[stop - 2] == '.')
        return !is_upper(after); /* e.g. ..., but "in the U.S. The ..." */
    return abbreviation(p->s + word, stop - word);
}

/* Does the sentence end with the stops that begin at 'stop' and are closed at 'end'? */
static bool ends_sentence(const struct splitter *p, size_t stop, size_t n_stops, size_t end,
                          bool closed)
{
    uint32_t mark = char_at(p, stop);
    uint32_t next = char_at(p, end);
    size_t follow = end;
    size_t prev;
    uint32_t before = char_before(p, stop, &prev);

    if (end >= p->n || next == '\n')
        return true;
    while (follow < p->n && is_space(char_at(p, follow)) && char_at(p, follow) != '\n')
        follow += utf8_sequence_bytes(p->s + follow, p->n - follow);
    if (follow >= p->n || char_at(p, follow) == '\n')
        return true;
    if (closed && quotative_follows(p->s + follow, p->n - follow))
        return false;
    if (before == 0)
        return false; /* nothing but a mark yet: ".NET", "...그리고" */
    if (one_of(mark, "…⋯‥") || (mark == '.' && n_stops > 1))
        return closed || is_final_syllable(before);
    if (follow == end) { /* no white space behind the mark */
        if (closed || is_digit(next) || is_latin(next) || is_stop(next) || one_of(next, ",;:·/~"))
            return one_of(mark, "。！？｡") && !closed;
        if (mark == '.')
            return is_hangul(before) && is_final_syllable(before) && is_hangul(next);
        return is_hangul(next) && !quotative_follows(p->s + end, p->n - end);
    }
    if (mark == '.' && !closed)
        return !stop_is_inner(p, stop, follow);
    return true;
}

static enum rag_status emit(struct splitter *p, size_t end)
{
    size_t start = p->start;
    size_t prev;

    p->start = end;
    while (start < end && is_space(utf8_decode(p->s + start, NULL)))
        start += utf8_sequence_bytes(p->s + start, end - start);
    while (end > start &&
           is_space(utf8_decode(p->s + (prev = utf8_floor(p->s, p->n, end - 1)), NULL)))
        end = prev;
    if (start == end)
        return RAG_OK;
    if (p->n_items == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 16;
        struct sentence *grown = realloc(p->items, cap * sizeof *grown);

        if (!grown)
            return RAG_ENOMEM;
        p->items = grown;
        p->cap = cap;
    }
    p->items[p->n_items].byte_start = (uint32_t)start;
    p->items[p->n_items++].byte_end = (uint32_t)end;
    return RAG_OK;
}

/* Read the marks at 'at' and what closes them; emit when they end the sentence. */
static enum rag_status read_stops(struct splitter *p, size_t at, size_t *ret_end)
{
    size_t end = at;
    size_t n_stops = 0;
    bool closed = false;

    while (end < p->n && is_stop(char_at(p, end))) {
        end += utf8_sequence_bytes(p->s + end, p->n - end);
        n_stops++;
    }
    while (end < p->n && is_closer(char_at(p, end))) {
        end += utf8_sequence_bytes(p->s + end, p->n - end);
        closed = true;
    }
    *ret_end = end;
    return ends_sentence(p, at, n_stops, end, closed) ? emit(p, end) : RAG_OK;
}

enum rag_status sentence_split(const char *text, size_t n, struct sentence **ret_sentences,
                               size_t *ret_n)
{
    struct splitter p = {.s = text, .n = n};
    enum rag_status status = RAG_OK;
    size_t at = 0;

    if (n > UINT32_MAX)
        return RAG_ELIMIT;
    while (at < n && status == RAG_OK) {
        size_t step;
        uint32_t c = utf8_decode(text + at, &step);

        if (p.start == at && is_space(c)) {
            p.start = at + step; /* so that "start of the sentence" is its first character */
        } else if (c == '\n' || c == 0x2028 || c == 0x2029) {
            status = emit(&p, at);
            p.start = at + step;
        } else if (is_stop(c)) {
            status = read_stops(&p, at, &at);
            step = 0;
        }
        at += step;
    }
    if (status == RAG_OK)
        status = emit(&p, n);
    if (status != RAG_OK) {
        free(p.items);
        return status;
    }
    *ret_sentences = p.items;
    *ret_n = p.n_items;
    return RAG_OK;
}
