#include "generate/extractive_unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/char_class.h"
#include "text/sentence.h"

#define UNIT_CHARS_MAX 200 /* of an item that is not cut into sentences */
#define LEAD_BYTES_MAX 120 /* a longer line above a list is prose */

struct cutter {
    struct unit_list *list;
    const char *s;
    size_t n;
    size_t passage;
    uint32_t line;
    size_t heading; /* latest units that govern what follows */
    size_t question;
    size_t lead;
    size_t header;
    bool in_table;
};

void unit_list_release(struct unit_list *list)
{
    free(list->items);
    *list = (struct unit_list){0};
}

/* The nearest unit before this one that names it; a unit never governs itself, so that the
 * chain of governors ends. */
static size_t governor(const struct cutter *c)
{
    const size_t order[] = {c->question, c->lead, c->heading};

    for (size_t i = 0; i < 3; i++)
        if (order[i] != UNIT_NOWHERE && order[i] != c->list->n)
            return order[i];
    return UNIT_NOWHERE;
}

static enum rag_status add(struct cutter *c, size_t start, size_t end, enum unit_kind kind)
{
    struct unit_list *list = c->list;

    if (start >= end)
        return RAG_OK;
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        struct unit *grown = realloc(list->items, cap * sizeof *grown);

        if (!grown)
            return RAG_ENOMEM;
        list->items = grown;
        list->cap = cap;
    }
    list->items[list->n] = (struct unit){
        .byte_start = (uint32_t)start,
        .byte_end = (uint32_t)end,
        .line = c->line,
        .kind = (uint8_t)kind,
        .passage = c->passage,
        .above = governor(c),
        .header = kind == UNIT_ROW ? c->header : UNIT_NOWHERE,
    };
    list->n++;
    return RAG_OK;
}

static void trim(const struct cutter *c, size_t *start, size_t *end)
{
    while (*start < *end && strchr(" \t\r", c->s[*start]))
        (*start)++;
    while (*end > *start && strchr(" \t\r", c->s[*end - 1]))
        (*end)--;
}

static bool has(const struct cutter *c, size_t start, size_t end, const char *what)
{
    size_t n = strlen(what);

    return end - start >= n && memcmp(c->s + start, what, n) == 0;
}

/* Bytes of a list mark with its space: "- ", "* ", "3. ", "2) ", "① ", "가. "; 0: none. */
static size_t list_mark(const struct cutter *c, size_t start, size_t end)
{
    size_t i = start;
    size_t step;
    uint32_t first = utf8_decode(c->s + i, &step);

    if (first == '-' || first == '*' || first == '+' || first == 0x2022 || first == 0xB7 ||
        first == 0x25CB || first == 0x25CF || first == 0x25A0 || first == 0x25AA ||
        first == 0x203B || (first >= 0x2460 && first <= 0x2473)) {
        i += step;
        if (i < end && c->s[i] == ' ')
            return i + 1 - start;
        return first >= 0x2460 || first == 0x2022 ? i - start : 0;
    }
    while (i < end && c->s[i] >= '0' && c->s[i] <= '9' && i - start < 3)
        i++;
    if (i == start)
        i = char_is_hangul(first) ? start + step : start;
    if (i > start && i + 1 < end && (c->s[i] == '.' || c->s[i] == ')') && c->s[i + 1] == ' ')
        return i + 2 - start;
    return 0;
}

/* The rule under a table's header: bars, dashes, colons and spaces alone. */
static bool is_rule(const struct cutter *c, size_t start, size_t end)
{
    bool dash = false;

    for (size_t i = start; i < end; i++) {
        if (!strchr("|-: =+", c->s[i]))
            return false;
        dash = dash || c->s[i] == '-' || c->s[i] == '=';
    }
    return dash;
}

static bool is_row(const struct cutter *c, size_t start, size_t end)
{
    if (c->s[start] == '|')
        return true;
    for (size_t i = start; i + 2 < end; i++)
        if (c->s[i] == ' ' && c->s[i + 1] == '|' && c->s[i + 2] == ' ')
            return true;
    return false;
}

/* Does the line end as a question does, or begin as one of a FAQ? */
static bool is_question(const struct cutter *c, size_t start, size_t end)
{
    if (has(c, start, end, "Q.") || has(c, start, end, "Q:") || has(c, start, end, "질문:"))
        return true;
    while (end > start && strchr("*_\"' )", c->s[end - 1]))
        end--;
    return end > start &&
           (c->s[end - 1] == '?' || (end - start >= 3 && memcmp(c->s + end - 3, "？", 3) == 0));
}

static enum rag_status add_heading(struct cutter *c, size_t start, size_t end)
{
    bool question;

    while (start < end && c->s[start] == '#')
        start++;
    trim(c, &start, &end);
    question = is_question(c, start, end);
    c->heading = c->question = c->lead = UNIT_NOWHERE;
    if (start >= end)
        return RAG_OK;
    if (question)
        c->question = c->list->n;
    else
        c->heading = c->list->n;
    return add(c, start, end, question ? UNIT_QUESTION : UNIT_HEADING);
}

static enum rag_status add_row(struct cutter *c, size_t start, size_t end, bool header)
{
    while (start < end && (c->s[start] == '|' || c->s[start] == ' '))
        start++;
    while (end > start && (c->s[end - 1] == '|' || c->s[end - 1] == ' '))
        end--;
    if (header)
        c->header = c->list->n;
    return add(c, start, end, header ? UNIT_HEADER : UNIT_ROW);
}

static enum rag_status add_prose(struct cutter *c, size_t start, size_t end, enum unit_kind kind)
{
    size_t question_before = c->question;
    struct sentence *sentences;
    size_t n;
    enum rag_status status = sentence_split(c->s + start, end - start, &sentences, &n);

    if (status != RAG_OK)
        return status;
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        size_t from = start + sentences[i].byte_start;
        size_t to = start + sentences[i].byte_end;
        bool question = is_question(c, from, to);

        if (question)
            c->question = c->list->n;
        status = add(c, from, to, question ? UNIT_QUESTION : kind);
    }
    free(sentences);
    c->question = question_before; /* a question inside a line governs that line alone */
    return status;
}

/* A short line that ends with a colon, or stands before a list, names what follows. */
static bool is_lead(const struct cutter *c, size_t start, size_t end)
{
    return end - start <= LEAD_BYTES_MAX && end > start &&
           (c->s[end - 1] == ':' || (c->s[start] == '[' && c->s[end - 1] == ']'));
}

static enum rag_status add_line(struct cutter *c, size_t start, size_t end, bool rule_below)
{
    size_t mark;

    if (has(c, start, end, "A.") || has(c, start, end, "A:"))
        start += 2;
    trim(c, &start, &end);
    if (start >= end)
        return RAG_OK;
    if (c->s[start] == '#')
        return add_heading(c, start, end);
    if (is_rule(c, start, end))
        return RAG_OK;
    if (is_row(c, start, end)) {
        bool header = rule_below;

        c->in_table = true;
        return add_row(c, start, end, header);
    }
    c->in_table = false;
    c->header = UNIT_NOWHERE;
    if (is_question(c, start, end)) {
        c->question = c->list->n;
        c->lead = UNIT_NOWHERE;
        return add(c, start, end, UNIT_QUESTION);
    }
    if (is_lead(c, start, end)) {
        c->lead = UNIT_NOWHERE;
        mark = c->list->n;
        if (add(c, start, end, UNIT_HEADING) != RAG_OK)
            return RAG_ENOMEM;
        c->lead = mark;
        return RAG_OK;
    }
    mark = list_mark(c, start, end);
    if (mark == 0)
        return add_prose(c, start, end, UNIT_SENTENCE);
    /* A short item is one statement: what it names and what it says of it belong together. */
    if (utf8_count(c->s + start + mark, end - start - mark) <= UNIT_CHARS_MAX)
        return add(c, start + mark, end, UNIT_ITEM);
    return add_prose(c, start + mark, end, UNIT_ITEM);
}

static size_t line_end(const struct cutter *c, size_t start)
{
    const char *newline = memchr(c->s + start, '\n', c->n - start);

    return newline ? (size_t)(newline - c->s) : c->n;
}

/* Is the line after the one that ends at 'end' the rule of a table? */
static bool rule_after(const struct cutter *c, size_t end)
{
    size_t start = end + 1;
    size_t stop;

    if (start >= c->n)
        return false;
    stop = line_end(c, start);
    trim(c, &start, &stop);
    return start < stop && memchr(c->s + start, '|', stop - start) && is_rule(c, start, stop);
}

enum rag_status unit_list_read(struct unit_list *list, const struct generator_passage *passage,
                               size_t i)
{
    struct cutter c = {.list = list,
                       .s = passage->text,
                       .n = passage->text_bytes,
                       .passage = i,
                       .heading = UNIT_NOWHERE,
                       .question = UNIT_NOWHERE,
                       .lead = UNIT_NOWHERE,
                       .header = UNIT_NOWHERE};
    enum rag_status status = RAG_OK;

    for (size_t start = 0; start < c.n && status == RAG_OK; c.line++) {
        size_t end = line_end(&c, start);
        bool blank_before = start == 0 || c.s[start - 1] == '\n';
        /* The first row of a table that has no rule (HTML) names the cells, when the rows'
         * header did not come with the passage. */
        bool first_row = !c.in_table && (!passage->context || passage->context[0] == '\0');
        size_t from = start;
        size_t to = end;

        trim(&c, &from, &to);
        if (from == to) {
            c.in_table = false;
            c.header = UNIT_NOWHERE;
            c.lead = blank_before && c.lead != UNIT_NOWHERE ? c.lead : UNIT_NOWHERE;
        } else {
            size_t next = end + 1 < c.n ? line_end(&c, end + 1) : end;
            bool more_rows = end + 1 < next && is_row(&c, end + 1, next);

            status = add_line(&c, from, to, rule_after(&c, end) || (first_row && more_rows));
        }
        start = end + 1;
    }
    return status;
}
