#include "guard/pii_number.h"

#include "base/utf8.h"

static bool in_range(uint32_t c, uint32_t low, uint32_t high)
{
    return c >= low && c <= high;
}

static bool is_dash(uint32_t c)
{
    return c == '-' || in_range(c, 0x2010, 0x2015) || c == 0x2212 || c == 0x2500 || c == 0x30FC ||
           c == 0x3161 || c == 0xFE58 || c == 0xFE63 || c == 0xFF0D;
}

static bool is_space(uint32_t c)
{
    return c == ' ' || c == 0xA0 || in_range(c, 0x2000, 0x200A) || c == 0x202F || c == 0x3000;
}

static bool is_invisible(uint32_t c)
{
    return c == 0xAD || in_range(c, 0x200B, 0x200F) || in_range(c, 0x2060, 0x2064) || c == 0xFEFF;
}

/* Full-width forms are those of ASCII. */
static uint32_t narrow(uint32_t c)
{
    return in_range(c, 0xFF01, 0xFF5E) ? c - 0xFF01 + '!' : c;
}

static enum char_kind kind_of(uint32_t c, uint32_t *ret_value)
{
    if (is_dash(c))
        return CHAR_DASH;
    if (in_range(c, 0x1D7CE, 0x1D7FF)) {
        *ret_value = (c - 0x1D7CE) % 10;
        return CHAR_DIGIT;
    }
    c = narrow(c);
    if (in_range(c, '0', '9')) {
        *ret_value = c - '0';
        return CHAR_DIGIT;
    }
    if (in_range(c | 0x20, 'a', 'z')) {
        *ret_value = c & ~0x20u;
        return CHAR_LETTER;
    }
    if (is_space(c))
        return CHAR_SPACE;
    if (is_invisible(c))
        return CHAR_INVISIBLE;
    switch (c) {
    case '\n':
        return CHAR_END;
    case '.':
        return CHAR_DOT;
    case ',':
        return CHAR_COMMA;
    case ':':
        return CHAR_COLON;
    case '(':
        return CHAR_OPEN;
    case ')':
        return CHAR_CLOSE;
    case '+':
        return CHAR_PLUS;
    case '_':
    case '@':
    case '*':
    case '%':
    case '&':
    case '$':
    case 0xA3:   /* pound */
    case 0xA5:   /* yen */
    case 0x20A9: /* won */
    case 0x20AC: /* euro */
    case 0xFFE6: /* full-width won */
        return CHAR_JOINER;
    default:
        return c >= 0xC0 && c < 0x250 ? CHAR_LETTER : CHAR_OTHER;
    }
}

enum char_kind number_char(const char *text, size_t n, size_t at, size_t *ret_bytes,
                           uint32_t *ret_value)
{
    *ret_bytes = 0;
    *ret_value = 0;
    return at >= n ? CHAR_END : kind_of(utf8_decode(text + at, ret_bytes), ret_value);
}

enum char_kind number_char_before(const char *text, size_t at, size_t *ret_start,
                                  uint32_t *ret_value)
{
    *ret_value = 0;
    *ret_start = at;
    for (int i = 0; i<NUMBER_DIGITS_MAX && * ret_start> 0; i++) {
        enum char_kind kind;

        (*ret_start)--;
        while (*ret_start > 0 && ((unsigned char)text[*ret_start] & 0xC0) == 0x80)
            (*ret_start)--;
        kind = kind_of(utf8_decode(text + *ret_start, NULL), ret_value);
        if (kind != CHAR_INVISIBLE)
            return kind;
    }
    return CHAR_END;
}

/* Reads forward, passing over a few invisible characters. */
struct cursor {
    const char *text;
    size_t n;
    size_t at; /* of the character looked at */
    size_t bytes;
    uint32_t value;
    enum char_kind kind;
};

static void look(struct cursor *c)
{
    for (int i = 0; i < NUMBER_DIGITS_MAX; i++) {
        c->kind = number_char(c->text, c->n, c->at, &c->bytes, &c->value);
        if (c->kind != CHAR_INVISIBLE)
            return;
        c->at += c->bytes;
    }
}

static void next(struct cursor *c)
{
    c->at += c->bytes;
    look(c);
}

static void read_group(struct cursor *c, struct digit_group *g)
{
    g->n = 0;
    g->start = (uint32_t)c->at;
    g->end = g->start;
    g->link = LINK_NONE;
    while (c->kind == CHAR_DIGIT && g->n < NUMBER_DIGITS_MAX) {
        g->digits[g->n++] = (uint8_t)c->value;
        g->end = (uint32_t)(c->at + c->bytes);
        next(c);
    }
}

static bool skip(struct cursor *c, enum char_kind kind)
{
    if (c->kind != kind)
        return false;
    next(c);
    return true;
}

/* "(0)" before the digits, as in +82 (0)10. */
static bool skip_zero(struct cursor *c)
{
    struct cursor back = *c;

    if (skip(c, CHAR_OPEN) && c->kind == CHAR_DIGIT && c->value == 0) {
        next(c);
        if (skip(c, CHAR_CLOSE)) {
            (void)(skip(c, CHAR_SPACE) || skip(c, CHAR_DASH));
            return true;
        }
    }
    *c = back;
    return false;
}

/* Does a group of thousands follow, or the minutes of a time of day? Between other digits a comma
 * or colon separates two numbers. */
static bool goes_on(struct cursor c, size_t n_before, size_t n_before_max, size_t n_behind)
{
    size_t n = 0;

    for (next(&c); c.kind == CHAR_DIGIT && n <= n_behind; next(&c))
        n++;
    return n_before <= n_before_max && n == n_behind;
}

/* What joins the group of n_before digits to the digit that c stands on afterwards; LINK_NONE:
 * nothing. */
static enum link read_link(struct cursor *c, size_t n_before)
{
    bool space = skip(c, CHAR_SPACE);
    enum link link = space ? LINK_SPACE : LINK_NONE;

    if (skip(c, CHAR_DASH))
        link = skip(c, CHAR_SPACE) || space ? LINK_WIDE : LINK_DASH;
    else if (skip(c, CHAR_CLOSE)) {
        (void)(skip(c, CHAR_SPACE) || skip(c, CHAR_DASH));
        link = LINK_PAREN;
    } else if (!space && skip(c, CHAR_DOT))
        link = LINK_DOT;
    else if (!space && ((c->kind == CHAR_COMMA && goes_on(*c, n_before, 3, 3)) ||
                        (c->kind == CHAR_COLON && goes_on(*c, n_before, 2, 2)))) {
        next(c);
        link = LINK_OTHER;
    }
    if (link != LINK_OTHER && link != LINK_DOT && skip_zero(c))
        link = LINK_ZERO;
    return c->kind == CHAR_DIGIT ? link : LINK_NONE;
}

void number_read(const char *text, size_t n, size_t at, struct number *ret)
{
    struct cursor c = {.text = text, .n = n, .at = at};

    ret->n = 0;
    look(&c);
    while (ret->n < NUMBER_GROUPS_MAX) {
        struct digit_group *g = &ret->groups[ret->n++];

        read_group(&c, g);
        if (g->n == NUMBER_DIGITS_MAX)
            return;
        g->link = (uint8_t)read_link(&c, g->n);
        if (g->link == LINK_NONE)
            return;
    }
}

size_t number_skip(const char *text, size_t n, size_t at)
{
    struct cursor c = {.text = text, .n = n, .at = at};

    look(&c);
    while (c.kind == CHAR_DIGIT) {
        at = c.at + c.bytes;
        next(&c);
    }
    return at;
}
