#include "guard/pii_forms.h"

#include <string.h>

#include "guard/pii_check.h"
#include "guard/pii_context.h"

#define N_OF(array) (sizeof(array) / sizeof(array)[0])

static bool is_tight(unsigned link)
{
    return link == LINK_DASH || link == LINK_DOT || link == LINK_OTHER;
}

/* What continues a number to the left: digits, letters, signs. */
static bool free_before(const struct pii_place *p, uint32_t start)
{
    size_t at;
    uint32_t value;
    enum char_kind kind = number_char_before(p->text, start, &at, &value);

    if (is_tight(p->joined) && start == p->number->groups[0].start)
        return false;
    if (kind == CHAR_LETTER || kind == CHAR_DIGIT || kind == CHAR_JOINER)
        return false;
    if (kind != CHAR_DASH && kind != CHAR_DOT)
        return true;
    kind = number_char_before(p->text, at, &at, &value);
    return kind != CHAR_LETTER && kind != CHAR_DIGIT && kind != CHAR_JOINER;
}

static bool free_behind(const struct pii_place *p, const struct digit_group *last)
{
    size_t bytes;
    uint32_t value;
    enum char_kind kind = number_char(p->text, p->n, last->end, &bytes, &value);

    if (is_tight(last->link) || last->n == NUMBER_DIGITS_MAX)
        return false;
    if (kind == CHAR_LETTER || kind == CHAR_DIGIT || kind == CHAR_JOINER)
        return false;
    if (kind != CHAR_DASH)
        return true;
    kind = number_char(p->text, p->n, last->end + bytes, &bytes, &value);
    return kind != CHAR_LETTER && kind != CHAR_DIGIT && kind != CHAR_JOINER;
}

bool pii_forms_free(const struct pii_place *p, uint32_t start, size_t last_group)
{
    return free_before(p, start) && free_behind(p, &p->number->groups[last_group]);
}

static struct pii_match found(const struct pii_place *p, uint32_t kind, size_t n_groups,
                              float score)
{
    const struct digit_group *g = p->number->groups;

    return (struct pii_match){kind, g[0].start, g[n_groups - 1].end, score};
}

static uint32_t context(const struct pii_place *p, size_t n_groups)
{
    const struct digit_group *g = p->number->groups;

    return pii_context(p->words, p->text, p->n, g[0].start, g[n_groups - 1].end);
}

/* Digits of the first n groups, one after another; returns how many (at most max). */
static size_t join(const struct number *number, size_t n_groups, uint8_t *ret, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < n_groups; i++)
        for (size_t k = 0; k < number->groups[i].n && n < max; k++)
            ret[n++] = number->groups[i].digits[k];
    return n;
}

/* Are the first groups of these sizes ("6-7": 6, 7, 0), all joined by one kind of separator? Its
 * kind, or LINK_NONE. */
static enum link shaped(const struct number *number, const uint8_t *sizes, size_t n_groups)
{
    const struct digit_group *g = number->groups;

    if (number->n < n_groups)
        return LINK_NONE;
    for (size_t i = 0; i < n_groups; i++) {
        if (g[i].n != sizes[i])
            return LINK_NONE;
        if (i + 1 < n_groups && g[i].link != g[0].link)
            return LINK_NONE;
    }
    return (enum link)g[0].link;
}

/* How much or how many: digits are followed by the won or by what is counted. */
static bool is_amount(const struct pii_place *p, size_t n_groups)
{
    static const char *const units[] = {"원", "명", "개", "건", "회", "달러"};
    uint32_t end = p->number->groups[n_groups - 1].end;

    for (size_t i = 0; i < N_OF(units); i++)
        if (p->n - end >= strlen(units[i]) &&
            memcmp(p->text + end, units[i], strlen(units[i])) == 0)
            return true;
    return false;
}

/* Thirteen digits that are more likely an article's number (EAN-13, its check digit agrees) or a
 * time in milliseconds of the years 2010 to 2034 than a person's without a check digit. */
static bool is_article_or_time(const uint8_t d[13])
{
    uint64_t value = 0;
    unsigned sum = 0;

    for (unsigned i = 0; i < 13; i++) {
        sum += d[i] * (i % 2 ? 3u : 1u);
        value = value * 10 + d[i];
    }
    return sum % 10 == 0 || (value >= 1262304000000u && value < 2051222400000u);
}

static struct pii_match match_person(const struct pii_place *p)
{
    static const uint8_t sizes[] = {6, 7};
    enum link link = shaped(p->number, sizes, 2);
    bool whole = p->number->groups[0].n == 13;
    size_t n_groups = whole ? 1 : 2;
    uint8_t d[13];
    uint32_t kind;
    uint32_t near;
    bool sure;

    if (!whole && link != LINK_DASH && link != LINK_WIDE && link != LINK_SPACE)
        return (struct pii_match){0};
    join(p->number, n_groups, d, sizeof d);
    if (!pii_check_birth(d, p->today) ||
        !pii_forms_free(p, p->number->groups[0].start, n_groups - 1))
        return (struct pii_match){0};
    sure = pii_check_resident(d);
    /* nobody of the 19th century was given a number of the new kind */
    if (!sure && (d[6] == 0 || d[6] == 9))
        return (struct pii_match){0};
    kind = d[6] >= 5 && d[6] <= 8 ? PII_FOREIGNER_NUMBER : PII_RESIDENT_NUMBER;
    near = context(p, n_groups);
    if (near == PII_CONTEXT_OTHER)
        return (struct pii_match){0};
    if (!sure && whole && !(near & (PII_RESIDENT_NUMBER | PII_FOREIGNER_NUMBER))) {
        if (is_article_or_time(d))
            return (struct pii_match){0};
        return found(p, kind, n_groups, PII_NEARBY);
    }
    return found(p, kind, n_groups, sure ? PII_SURE : PII_FORM);
}

/* Groups of 4 go on behind a blank: a longer number, not a card and something else. */
static bool goes_on(const struct pii_place *p, enum link link, size_t n_groups)
{
    const struct digit_group *last = &p->number->groups[n_groups - 1];

    if (link != LINK_SPACE)
        return false;
    return (p->joined == LINK_SPACE && p->n_joined == 4) ||
           (last->link == LINK_SPACE && n_groups < p->number->n &&
            p->number->groups[n_groups].n == 4);
}

static struct pii_match match_card(const struct pii_place *p)
{
    static const struct {
        uint8_t sizes[5];
        uint8_t n;
    } shapes[] = {
        {{4, 4, 4, 4, 3}, 5},
        {{4, 4, 4, 4},    4},
        {{4, 6, 5},       3},
        {{4, 6, 4},       3},
    };
    const struct digit_group *g = p->number->groups;
    enum link link = LINK_NONE;
    size_t n_groups = 0;
    uint8_t d[19];
    uint32_t near;
    size_t n;

    for (size_t i = 0; i < N_OF(shapes) && n_groups == 0; i++) {
        link = shaped(p->number, shapes[i].sizes, shapes[i].n);
        if (link == LINK_DASH || link == LINK_SPACE || link == LINK_DOT || link == LINK_WIDE)
            n_groups = shapes[i].n;
    }
    if (n_groups == 0 && g[0].n >= 13 && g[0].n < NUMBER_DIGITS_MAX)
        n_groups = 1;
    if (n_groups == 0 || goes_on(p, link, n_groups))
        return (struct pii_match){0};
    n = join(p->number, n_groups, d, sizeof d);
    if (!pii_check_luhn(d, n) || !pii_check_issuer(d, n) ||
        !pii_forms_free(p, g[0].start, n_groups - 1))
        return (struct pii_match){0};
    near = context(p, n_groups);
    /* 13 digits are more often an article's number (EAN) than a Visa card of old */
    if (near == PII_CONTEXT_OTHER || (n == 13 && !(near & PII_CARD)))
        return (struct pii_match){0};
    return found(p, PII_CARD, n_groups, PII_SURE);
}

static struct pii_match match_business(const struct pii_place *p)
{
    static const uint8_t sizes[] = {3, 2, 5};
    enum link link = shaped(p->number, sizes, 3);
    bool whole = p->number->groups[0].n == 10;
    size_t n_groups = whole ? 1 : 3;
    uint8_t d[10];
    uint32_t near;

    if (!whole && link != LINK_DASH && link != LINK_WIDE && link != LINK_SPACE)
        return (struct pii_match){0};
    join(p->number, n_groups, d, sizeof d);
    /* offices begin with 101, kinds of business with 01 */
    if (d[0] == 0 || (d[3] == 0 && d[4] == 0) || !pii_check_business(d) ||
        !pii_forms_free(p, p->number->groups[0].start, n_groups - 1))
        return (struct pii_match){0};
    near = context(p, n_groups);
    if (near == PII_CONTEXT_OTHER || ((whole || link == LINK_SPACE) &&
                                      (is_amount(p, n_groups) || !(near & PII_BUSINESS_NUMBER))))
        return (struct pii_match){0};
    return found(p, PII_BUSINESS_NUMBER, n_groups, PII_SURE);
}

/* A region (two digits, or its name of old), a year, a serial number, two more digits: how those
 * are made is not published. */
static struct pii_match match_licence(const struct pii_place *p)
{
    static const uint8_t sizes[] = {2, 2, 6, 2};
    const struct digit_group *g = p->number->groups;
    enum link link = shaped(p->number, sizes, 4);
    enum link old = shaped(p->number, sizes + 1, 3);
    unsigned region = g[0].n >= 2 ? g[0].digits[0] * 10u + g[0].digits[1] : 0;
    bool in_range = region >= 11 && region <= 28;
    size_t n_name;

    if (old == LINK_DASH || old == LINK_SPACE) {
        n_name = pii_context_region(p->text, g[0].start);
        if (n_name > 0 && free_behind(p, &g[2]))
            return (struct pii_match){PII_DRIVER_LICENCE, g[0].start - (uint32_t)n_name, g[2].end,
                                      PII_FORM};
    }
    if (!in_range)
        return (struct pii_match){0};
    if (link == LINK_DASH && pii_forms_free(p, g[0].start, 3) && context(p, 4) != PII_CONTEXT_OTHER)
        return found(p, PII_DRIVER_LICENCE, 4, PII_FORM);
    if (link == LINK_SPACE && pii_forms_free(p, g[0].start, 3) &&
        (context(p, 4) & PII_DRIVER_LICENCE))
        return found(p, PII_DRIVER_LICENCE, 4, PII_NEARBY);
    if (g[0].n == 12 && pii_forms_free(p, g[0].start, 0) && (context(p, 1) & PII_DRIVER_LICENCE))
        return found(p, PII_DRIVER_LICENCE, 1, PII_NEARBY);
    return (struct pii_match){0};
}

/* How Korean banks write account numbers; each has several. */
static const struct {
    uint8_t sizes[5];
    uint8_t n;
} accounts[] = {
    {{3, 4, 4, 2}, 4},
    {{3, 6, 2, 3}, 4},
    {{4, 4, 4, 1}, 4},
    {{3, 2, 6, 1}, 4},
    {{3, 4, 4, 1}, 4},
    {{3, 2, 4, 3}, 4},
    {{4, 3, 3, 4}, 4},
    {{6, 2, 6},    3},
    {{3, 3, 6},    3},
    {{4, 3, 6},    3},
    {{3, 6, 5},    3},
    {{3, 2, 6},    3},
    {{4, 2, 7},    3},
    {{4, 4, 4},    3},
    {{3, 4, 6},    3},
    {{3, 6, 3},    3},
    {{3, 4, 5},    3},
    {{3, 5, 6},    3},
    {{6, 2, 5},    3},
    {{4, 4, 5},    3},
    {{2, 2, 6},    3},
    {{3, 2, 7},    3},
    {{3, 8},       2},
    {{6, 8},       2},
    {{4, 8},       2},
};

static struct pii_match match_account(const struct pii_place *p)
{
    const struct digit_group *g = p->number->groups;
    size_t n_groups = 0;

    for (size_t i = 0; i < N_OF(accounts) && n_groups == 0; i++) {
        enum link link = shaped(p->number, accounts[i].sizes, accounts[i].n);

        if (link == LINK_DASH || link == LINK_WIDE || link == LINK_SPACE)
            n_groups = accounts[i].n;
    }
    if (n_groups == 0 && g[0].n >= 10 && g[0].n <= 14)
        n_groups = 1;
    if (n_groups == 0 || is_amount(p, n_groups) || !pii_forms_free(p, g[0].start, n_groups - 1) ||
        !(context(p, n_groups) & PII_BANK_ACCOUNT))
        return (struct pii_match){0};
    return found(p, PII_BANK_ACCOUNT, n_groups, PII_NEARBY);
}

struct pii_match pii_forms_match(const struct pii_place *place)
{
    struct pii_match (*const forms[])(const struct pii_place *) = {
        match_person, match_card, match_business, pii_forms_phone, match_licence, match_account,
    };
    struct pii_match match = {0};

    for (size_t i = 0; i < N_OF(forms) && match.kind == 0; i++)
        match = forms[i](place);
    return match;
}
