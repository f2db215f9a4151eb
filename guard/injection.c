/* Sentences of a text, folded, and what is found in each.
 *
 * Text is walked once; a sentence ends at its mark, a blank line or the next item of a list, and is
 * cut when INJECTION_WINDOW_CHARS long, the cut ones overlapping. Memory: one window. */
#include "guard/injection.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "guard/injection_fold.h"
#include "guard/injection_internal.h"
#include "text/char_class.h"

struct scan {
    const char *text;
    size_t n;
    size_t at; /* byte to read next */
    const struct finding_sink *sink;
    const struct injection_index *index;
    struct injection_window w;
    struct injection_found found[INJECTION_FOUND_MAX]; /* in the window */
    size_t n_found;
    struct injection_found encoded; /* the next one; start UINT32_MAX: none */
    uint32_t reported;              /* the end of what was reported */
    enum injection_scope scope;
    bool line_start; /* of the next character */
    bool quote_open; /* from a sentence before, of the same paragraph */
    bool mention;    /* likewise: it spoke about attacks or examples */
    bool comment;    /* inside <!-- --> */
    bool stopped;
    /* invisible characters */
    uint32_t run_start, run_n;                /* of the row that is read */
    uint32_t split_start, split_end, split_n; /* between letters of this sentence */
    uint32_t before;                          /* the folded character before it */
};

static void add(struct scan *s, const char *detail, uint32_t start, uint32_t end, float score)
{
    if (s->n_found < INJECTION_FOUND_MAX)
        s->found[s->n_found++] = (struct injection_found){detail, start, end, score};
}

/* ---- hidden characters ---- */

static void end_of_run(struct scan *s, uint32_t at)
{
    if (s->run_n >= INJECTION_ZERO_WIDTH_RUN)
        add(s, "hidden", s->run_start, at, 1.0F);
    s->run_n = 0;
}

/* A flag of a region is a black flag, tags and a cancelling tag; other tags write unseen text. */
static void read_tags(struct scan *s)
{
    size_t from = s->at;
    bool flag = s->before == 0x1F3F4;
    uint32_t c = 0;
    size_t i = from;

    for (size_t step; i < s->n && utf8_sequence_bytes(s->text + i, s->n - i) > 0; i += step) {
        uint32_t next = utf8_decode(s->text + i, &step);

        if (!injection_is_tag(next))
            break;
        c = next;
    }
    if (!flag || c != 0xE007F || i - from > INJECTION_FLAG_BYTES_MAX)
        add(s, "hidden", (uint32_t)from, (uint32_t)i, 1.0F);
    s->at = i;
}

/* A character that folds to nothing. Its step is taken here. */
static void read_invisible(struct scan *s, uint32_t c, size_t step)
{
    uint32_t at = (uint32_t)s->at;

    if (injection_is_tag(c)) {
        read_tags(s);
        return;
    }
    if (injection_is_override(c))
        add(s, "hidden", at, (uint32_t)(at + step), 1.0F);
    if (injection_is_zero_width(c)) {
        if (s->run_n++ == 0)
            s->run_start = at;
        if (char_is_hangul(s->before) || (s->before >= 'a' && s->before <= 'z')) {
            if (s->split_n++ == 0)
                s->split_start = at;
            s->split_end = (uint32_t)(at + step);
        }
    }
    s->at += step;
}

/* ---- one window ---- */

static void mark_quotes(struct scan *s)
{
    struct injection_window *w = &s->w;
    size_t open = s->quote_open ? 0 : SIZE_MAX;

    for (size_t i = 0; i < w->n; i++) {
        uint32_t c = w->chars[i];
        size_t close;

        if (open == SIZE_MAX && c == '\'' && (i == 0 || !char_is_word(w->chars[i - 1]))) {
            for (close = i + 2; close < w->n && w->chars[close] != '\'';)
                close++;
            for (size_t k = i; close < w->n && k <= close; k++)
                w->flags[k] |= WINDOW_QUOTED;
            i = close < w->n ? close : i;
        } else if (c == '"' || c == '`') {
            for (size_t k = open; open != SIZE_MAX && k <= i; k++)
                w->flags[k] |= WINDOW_QUOTED;
            open = open == SIZE_MAX ? i : SIZE_MAX;
        }
    }
    for (size_t k = open; open != SIZE_MAX && k < w->n; k++)
        w->flags[k] |= WINDOW_QUOTED;
    s->quote_open = open != SIZE_MAX;
}

/* "i g n o r e": letters that stand alone, one after the other, are one word; where such words end
 * can no longer be told. */
static void join_letters(struct injection_window *w)
{
    size_t to = 0;

    w->spaced = false;
    for (size_t i = 0; i < w->n;) {
        size_t end = i;
        size_t letters = 0;

        while ((i == 0 || !(w->chars[i - 1] >= 'a' && w->chars[i - 1] <= 'z')) && end < w->n &&
               w->chars[end] >= 'a' && w->chars[end] <= 'z' &&
               !(w->chars[end + 1] >= 'a' && w->chars[end + 1] <= 'z')) {
            letters++;
            end++;
            while (end < w->n && w->chars[end] < 0x80 && strchr(" .-_*/~", (int)w->chars[end]))
                end++;
        }
        if (letters < INJECTION_SPACED_LETTERS)
            end = i + 1;
        else
            w->spaced = true;
        for (size_t k = i; k < end; k++) {
            if (letters >= INJECTION_SPACED_LETTERS && !(w->chars[k] >= 'a' && w->chars[k] <= 'z'))
                continue;
            w->chars[to] = w->chars[k];
            w->at[to] = w->at[k];
            w->flags[to++] = w->flags[k];
        }
        i = end;
    }
    w->at[to] = w->at[w->n];
    w->chars[to] = 0;
    w->n = to;
}

static int by_start(const void *a, const void *b)
{
    const struct injection_found *x = a;
    const struct injection_found *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->end > y->end ? -1 : x->end < y->end;
}

static void report(struct scan *s, const struct injection_found *f)
{
    if (s->stopped || f->end <= s->reported)
        return;
    s->reported = f->end;
    s->stopped = !s->sink->on_finding(s->sink->context, f->detail, f->start, f->end, f->score);
}

/* In order, with what is encoded up to 'until'. */
static void report_found(struct scan *s, uint32_t until)
{
    qsort(s->found, s->n_found, sizeof s->found[0], by_start);
    for (size_t i = 0; i <= s->n_found; i++) {
        uint32_t next = i < s->n_found ? s->found[i].start : until;

        while (s->encoded.start < next) {
            size_t end = s->encoded.end;

            report(s, &s->encoded);
            if (!injection_encoded_next(s->text, s->n, end, s->index, &s->encoded))
                s->encoded.start = UINT32_MAX;
        }
        if (i < s->n_found)
            report(s, &s->found[i]);
    }
    s->n_found = 0;
}

static void find_tokens(struct scan *s)
{
    for (size_t i = 0; i < s->w.n; i++) {
        const char *detail;
        size_t end = injection_token(&s->w, i, &detail);

        if (end == 0 || (s->scope == INJECTION_TOKENS && strcmp(detail, "control_token") != 0))
            continue;
        add(s, detail, s->w.at[i], s->w.at[end], 1.0F);
        i = end - 1;
    }
}

/* What the window holds. */
static void read_whole(struct scan *s)
{
    struct injection_window *w = &s->w;
    bool mentions = false;
    uint32_t end = (uint32_t)s->at;

    end_of_run(s, end);
    w->at[w->n] = end;
    w->chars[w->n] = 0;
    find_tokens(s);
    if (s->scope != INJECTION_TOKENS && w->n > 0) {
        if (s->split_n >= INJECTION_ZERO_WIDTH_SPLIT)
            add(s, "hidden", s->split_start, s->split_end, 1.0F);
        mark_quotes(s);
        join_letters(w);
        w->mention = s->mention;
        s->n_found += injection_window_rules(w, s->index, s->found + s->n_found,
                                             INJECTION_FOUND_MAX - s->n_found, &mentions);
        s->mention |= mentions;
    }
    report_found(s, end);
    s->split_n = 0;
}

/* ---- reading ---- */

/* Does a line that begins at byte 'at' go on with a list, a heading or a table? */
static bool begins_item(const struct scan *s, size_t at)
{
    size_t i = at;

    while (i < s->n && (s->text[i] == ' ' || s->text[i] == '\t'))
        i++;
    if (i >= s->n || strchr("#-*+|>\n", s->text[i]) || s->n - i < 3)
        return true;
    if (memcmp(s->text + i, "\xE2\x80\xA2", 3) == 0 || memcmp(s->text + i, "\xE2\x97\x8B", 3) == 0)
        return true; /* bullets */
    while (i < s->n && s->text[i] >= '0' && s->text[i] <= '9')
        i++;
    return i > at && i < s->n && (s->text[i] == '.' || s->text[i] == ')') &&
           s->text[i - 1] >= '0' && s->text[i - 1] <= '9';
}

static void push(struct scan *s, uint32_t c)
{
    struct injection_window *w = &s->w;

    if (c == ' ' && w->n > 1 && w->chars[w->n - 1] == ' ' && w->chars[w->n - 2] == ' ')
        return;
    w->chars[w->n] = c;
    w->at[w->n] = (uint32_t)s->at;
    w->flags[w->n] =
        (uint8_t)((s->line_start ? WINDOW_LINE : 0) | (s->comment ? WINDOW_COMMENT : 0));
    w->n++;
    if (c != ' ')
        s->line_start = false;
}

static void read_comment_marks(struct scan *s)
{
    const char *p = s->text + s->at;
    size_t left = s->n - s->at;

    if (left >= 4 && memcmp(p, "<!--", 4) == 0)
        s->comment = true;
    else if (left >= 3 && memcmp(p, "-->", 3) == 0)
        s->comment = false;
}

/* One line break. Returns whether the sentence ends with it. */
static bool read_break(struct scan *s)
{
    bool blank = s->at + 1 < s->n && s->text[s->at + 1] == '\n';
    bool ends = blank || begins_item(s, s->at + 1);

    if (blank) {
        s->quote_open = false;
        s->mention = s->mention && s->w.n > 0 && s->w.chars[s->w.n - 1] == ':';
    }
    push(s, ' ');
    s->line_start = true;
    return ends;
}

/* Read up to the end of a sentence. Returns false when the window was full before. */
static bool read_sentence(struct scan *s)
{
    s->w.n = 0;
    while (s->at < s->n) {
        size_t step = utf8_sequence_bytes(s->text + s->at, s->n - s->at);
        uint32_t c = step > 0 ? utf8_decode(s->text + s->at, NULL) : 0xFFFD;
        uint32_t folded = injection_fold(c);
        bool ends = false;

        if (folded == 0) {
            read_invisible(s, c, step);
            continue;
        }
        end_of_run(s, (uint32_t)s->at);
        s->before = c == 0x1F3F4 ? c : folded;
        step = step > 0 ? step : 1;
        if (folded == '\n') {
            ends = read_break(s);
        } else {
            if (folded == '<' || folded == '-')
                read_comment_marks(s);
            push(s, folded);
        }
        s->at += step;
        if (folded == '.' || folded == '!' || folded == '?')
            ends = s->at >= s->n || (unsigned char)s->text[s->at] <= ' ';
        if (ends)
            return true;
        if (s->w.n == INJECTION_WINDOW_CHARS)
            return false;
    }
    return true;
}

void injection_scan(const char *text, size_t n, enum injection_scope scope,
                    const struct injection_index *index, const struct finding_sink *sink)
{
    struct scan s;

    memset(&s, 0, sizeof s);
    s.text = text;
    s.n = n;
    s.sink = sink;
    s.scope = scope;
    s.line_start = true;
    s.encoded.start = UINT32_MAX;
    s.index = index;

    if (n > UINT32_MAX / 2)
        n = s.n = UINT32_MAX / 2; /* DOCUMENT_BYTES_MAX is far below */
    if (scope != INJECTION_ALL || !injection_encoded_next(text, n, 0, index, &s.encoded))
        s.encoded.start = UINT32_MAX;
    while (s.at < n && !s.stopped) {
        bool whole = read_sentence(&s);
        size_t back = s.w.at[s.w.n > INJECTION_OVERLAP_CHARS ? s.w.n - INJECTION_OVERLAP_CHARS : 0];

        read_whole(&s);
        if (!whole)
            s.at = back;
    }
    report_found(&s, UINT32_MAX);
}

void injection_find(const char *text, size_t n, const struct finding_sink *sink)
{
    struct injection_index index;

    injection_index_phrases(&index);
    injection_scan(text, n, INJECTION_ALL, &index, sink);
}
