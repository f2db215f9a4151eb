#define _GNU_SOURCE /* memmem */
#include "generate/extractive_answer.h"

#include <string.h>

#define POLARITY_COVERAGE_MIN 0.55f /* below it the sentence may be about something else */
#define CELLS_MAX             32

struct cell {
    const char *s;
    size_t n;
};

/* Bytes of emphasis at s: one or two asterisks. A longer run stands for something, as where data
 * was masked. */
static size_t emphasis(const char *s, size_t n)
{
    size_t run = 0;

    while (run < n && s[run] == '*')
        run++;
    return run <= 2 ? run : 0;
}

static void append_clean(struct buf *out, const char *s, size_t n)
{
    bool space = out->len > 0 && out->data[out->len - 1] == ' ';

    for (size_t i = 0; i < n; i++) {
        size_t run = i == 0 || s[i - 1] != '*' ? emphasis(s + i, n - i) : 0;

        if (run > 0) {
            i += run - 1;
            continue;
        }
        if (s[i] == '`' || (s[i] == '_' && i + 1 < n && s[i + 1] == '_'))
            continue;
        if (s[i] == '\n' || s[i] == '\t' || s[i] == ' ') {
            if (!space)
                buf_append_char(out, ' ');
            space = true;
            continue;
        }
        buf_append_char(out, s[i]);
        space = false;
    }
}

static size_t split_cells(const char *s, size_t n, struct cell *ret)
{
    size_t count = 0;
    size_t start = 0;

    while (n > 0 && strchr("| ", s[n - 1]))
        n--;
    while (start < n && strchr("| ", s[start]))
        start++;
    while (start < n && count < CELLS_MAX) {
        const char *bar = memchr(s + start, '|', n - start);
        size_t end = bar ? (size_t)(bar - s) : n;
        size_t from = start;
        size_t to = end;

        while (from < to && s[from] == ' ')
            from++;
        while (to > from && s[to - 1] == ' ')
            to--;
        ret[count++] = (struct cell){s + from, to - from};
        start = end + 1;
    }
    return count;
}

/* The header of a row: in the passage's own text, or the context that came with it (its first
 * line). */
static size_t header_cells(const struct reading *r, const struct unit *u, struct cell *ret)
{
    const struct generator_passage *p = &r->request->passages[u->passage];
    const char *newline;

    if (u->header != UNIT_NOWHERE) {
        const struct unit *h = &r->units.items[u->header];

        return split_cells(p->text + h->byte_start, h->byte_end - h->byte_start, ret);
    }
    if (!p->context || p->context[0] == '\0')
        return 0;
    newline = strchr(p->context, '\n');
    return split_cells(p->context, newline ? (size_t)(newline - p->context) : strlen(p->context),
                       ret);
}

static void append_row(const struct reading *r, const struct choice *c, struct buf *out)
{
    const struct unit *u = &r->units.items[c->unit];
    const char *text = r->request->passages[c->passage].text;
    struct cell cells[CELLS_MAX];
    struct cell names[CELLS_MAX];
    size_t n = split_cells(text + c->byte_start, c->byte_end - c->byte_start, cells);
    size_t n_names = header_cells(r, u, names);

    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_append_str(out, ", ");
        if (n_names == n && names[i].n > 0) {
            append_clean(out, names[i].s, names[i].n);
            buf_append_str(out, ": ");
        }
        append_clean(out, cells[i].s, cells[i].n);
    }
}

void answer_append(const struct reading *r, const struct choice *choice, struct buf *out)
{
    const struct unit *u = &r->units.items[choice->unit];
    const char *text = r->request->passages[choice->passage].text;

    if (u->kind == UNIT_ROW)
        append_row(r, choice, out);
    else
        append_clean(out, text + choice->byte_start, choice->byte_end - choice->byte_start);
}

static bool has_any(const char *s, size_t n, const char *const *list)
{
    for (; *list; list++)
        if (memmem(s, n, *list, strlen(*list)))
            return true;
    return false;
}

const char *answer_polarity(const struct reading *r, const struct choice *choice)
{
    static const char *const no[] = {"수 없", "안 된", "안 됩", "불가", "금지", "않는",
                                     "않습",  "아니",  "지 못", "제외", NULL};
    static const char *const yes[] = {"수 있", "가능", "허용한", "허용된", "허용합", NULL};
    static const char *const asks_may[] = {"수 있", "되나", "돼",   "될까", "됩니까",
                                           "가능",  "되죠", "되는", NULL};
    static const char *const negative[] = {"안 ", "않", "없", "못", "말아", NULL};
    const char *s = r->request->passages[choice->passage].text + choice->byte_start;
    size_t n = choice->byte_end - choice->byte_start;
    bool says_no = has_any(s, n, no);
    bool says_yes = has_any(s, n, yes);

    if (r->question.kind != ANSWER_YESNO || says_no == says_yes ||
        r->supports[choice->unit].coverage < POLARITY_COVERAGE_MIN ||
        !has_any(r->text, r->text_bytes, asks_may) || has_any(r->text, r->text_bytes, negative))
        return "";
    return says_yes ? "네. " : "아니요. ";
}
