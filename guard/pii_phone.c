/* Phone numbers of Korea: the plan of the Ministry of Science and ICT (전기통신번호관리세칙). */
#include <string.h>

#include "guard/pii_context.h"
#include "guard/pii_forms.h"

#define PARTS_MAX 3

/* A number as dialled inside the country: its digits, cut as it is written. */
struct dialled {
    uint8_t digits[16];
    size_t n_digits;
    size_t sizes[PARTS_MAX];
    enum link links[PARTS_MAX]; /* behind each part; of the last: what follows */
    size_t n;
};

/* Prefixes; what follows has so many digits. */
static const struct {
    const char *prefix;
    uint8_t n_min;
    uint8_t n_max;
    bool mobile;
} plan[] = {
    {"010",  8, 8, true },
    {"011",  7, 8, true },
    {"016",  7, 8, true },
    {"017",  7, 8, true },
    {"018",  7, 8, true },
    {"019",  7, 8, true },
    {"0502", 7, 8, true },
    {"0503", 7, 8, true },
    {"0504", 7, 8, true },
    {"0505", 7, 8, true },
    {"0506", 7, 8, true },
    {"0507", 7, 8, true },
    {"0508", 7, 8, true },
    {"070",  8, 8, true },
    {"02",   7, 8, false},
    {"031",  7, 8, false},
    {"032",  7, 8, false},
    {"033",  7, 8, false},
    {"041",  7, 8, false},
    {"042",  7, 8, false},
    {"043",  7, 8, false},
    {"044",  7, 8, false},
    {"051",  7, 8, false},
    {"052",  7, 8, false},
    {"053",  7, 8, false},
    {"054",  7, 8, false},
    {"055",  7, 8, false},
    {"061",  7, 8, false},
    {"062",  7, 8, false},
    {"063",  7, 8, false},
    {"064",  7, 8, false},
    {"080",  7, 8, false},
};

/* Numbers of eight digits for all of the country begin so. */
static const uint16_t nationwide[] = {1522, 1533, 1544, 1551, 1555, 1566, 1577, 1588,
                                      1599, 1600, 1644, 1661, 1666, 1668, 1670, 1688,
                                      1800, 1811, 1833, 1844, 1855, 1866, 1877, 1899};

static bool has_prefix(const struct dialled *d, const char *prefix)
{
    size_t n = strlen(prefix);

    if (d->n_digits < n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (d->digits[i] != prefix[i] - '0')
            return false;
    return true;
}

/* 010-1234-5678, 010-12345678, 01012345678: cut behind the prefix and before the last four. */
static bool is_cut_well(const struct dialled *d, size_t n_prefix)
{
    if (d->n == 1)
        return true;
    if (d->sizes[0] != n_prefix)
        return false;
    return d->n == 2 || d->sizes[2] == 4;
}

static bool links_are(const struct dialled *d, enum link link)
{
    for (size_t i = 0; i + 1 < d->n; i++)
        if (d->links[i] == link)
            return true;
    return false;
}

/* Take up to three groups from 'first' on, whose first has n_skip digits that do not count and
 * lacks its zero when 'zero'. false: too many digits. */
static bool take(const struct number *number, size_t first, size_t n_skip, bool zero, size_t n,
                 struct dialled *ret)
{
    *ret = (struct dialled){0};
    if (zero)
        ret->digits[ret->n_digits++] = 0;
    for (size_t i = 0; i < n; i++) {
        const struct digit_group *g = &number->groups[first + i];
        size_t skip = i == 0 ? n_skip : 0;

        if (ret->n_digits + g->n - skip > sizeof ret->digits)
            return false;
        for (size_t k = skip; k < g->n; k++)
            ret->digits[ret->n_digits++] = g->digits[k];
        ret->sizes[i] = g->n - skip + (zero && i == 0);
        ret->links[i] = (enum link)g->link;
    }
    ret->n = n;
    return true;
}

enum strength { NO_PHONE, NEEDS_WORD, UNLESS_OTHER, STRONG };

/* How surely d is a phone number. */
static enum strength strength_of(const struct dialled *d, bool abroad)
{
    for (size_t i = 0; i + 1 < d->n; i++)
        if (d->links[i] == LINK_OTHER || d->links[i] == LINK_NONE || d->links[i] == LINK_ZERO)
            return NO_PHONE;
    for (size_t i = 0; i < sizeof plan / sizeof plan[0]; i++) {
        size_t n_prefix = strlen(plan[i].prefix);

        if (!has_prefix(d, plan[i].prefix) || d->n_digits < n_prefix + plan[i].n_min ||
            d->n_digits > n_prefix + plan[i].n_max || !is_cut_well(d, n_prefix))
            continue;
        if (abroad || (d->n == 3 && plan[i].mobile))
            return STRONG;
        if (plan[i].mobile)
            return UNLESS_OTHER;
        if (d->n == 1 || d->n == 2 || links_are(d, LINK_SPACE))
            return d->links[0] == LINK_PAREN && d->n > 1 ? UNLESS_OTHER : NEEDS_WORD;
        return UNLESS_OTHER;
    }
    return NO_PHONE;
}

/* 1588-1234. Two years joined by a dash look so: what follows tells. */
static enum strength strength_of_nationwide(const struct pii_place *p)
{
    static const char year[] = "년";
    const struct digit_group *g = p->number->groups;
    unsigned head = 0;

    if (p->number->n < 2 || g[0].n != 4 || g[1].n != 4)
        return NO_PHONE;
    for (size_t i = 0; i < 4; i++)
        head = head * 10 + g[0].digits[i];
    for (size_t i = 0; i < sizeof nationwide / sizeof nationwide[0]; i++) {
        if (nationwide[i] != head)
            continue;
        if (p->n - g[1].end >= sizeof year - 1 &&
            memcmp(p->text + g[1].end, year, sizeof year - 1) == 0)
            return NO_PHONE;
        return g[0].link == LINK_DASH    ? UNLESS_OTHER
               : g[0].link == LINK_SPACE ? NEEDS_WORD
                                         : NO_PHONE;
    }
    return NO_PHONE;
}

/* Where the country's code ends: groups to pass over, digits of the first group behind them that
 * belong to it, and where the number begins with its sign. false: there is none. */
static bool read_country(const struct pii_place *p, size_t *ret_first, size_t *ret_skip,
                         uint32_t *ret_start)
{
    const struct digit_group *g = p->number->groups;
    size_t zeros = g[0].n >= 4 && g[0].digits[0] == 0 && g[0].digits[1] == 0 ? 2 : 0;
    enum char_kind before;
    uint32_t value;
    size_t at;

    if (g[0].n < zeros + 2 || g[0].digits[zeros] != 8 || g[0].digits[zeros + 1] != 2)
        return false;
    before = number_char_before(p->text, g[0].start, &at, &value);
    if (before == CHAR_PLUS)
        *ret_start = (uint32_t)at;
    else if (zeros == 0 && (g[0].n != 2 || g[0].link != LINK_DASH))
        return false; /* 82-10-1234-5678 is one, 821012345678 may be anything */
    if (g[0].n == zeros + 2 && g[0].link == LINK_OTHER)
        return false;
    *ret_first = g[0].n == zeros + 2 ? 1 : 0;
    *ret_skip = g[0].n == zeros + 2 ? 0 : zeros + 2;
    return *ret_first < p->number->n;
}

/* A sign that stands before the number and belongs to it: "(02) 123-4567". */
static uint32_t start_of(const struct pii_place *p, uint32_t start)
{
    const struct digit_group *g = p->number->groups;
    uint32_t value;
    size_t at;

    if (g[0].link == LINK_PAREN && number_char_before(p->text, start, &at, &value) == CHAR_OPEN)
        return (uint32_t)at;
    return start;
}

/* "Tel02-123-4567": a label may touch the number. */
static bool has_label(const struct pii_place *p, uint32_t start)
{
    static const char *const labels[] = {"tel", "fax", "hp", "phone", "mobile", "t", "f", "m"};
    char word[8];
    size_t n = 0;

    while (n < sizeof word - 1 && n < start && (p->text[start - n - 1] | 0x20) >= 'a' &&
           (p->text[start - n - 1] | 0x20) <= 'z')
        n++;
    for (size_t i = 0; i < n; i++)
        word[i] = (char)(p->text[start - n + i] | 0x20);
    word[n] = '\0';
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
        if (strcmp(labels[i], word) == 0)
            return true;
    return false;
}

static struct pii_match decide(const struct pii_place *p, enum strength strength, uint32_t start,
                               size_t last)
{
    const struct digit_group *g = p->number->groups;
    uint32_t near = PII_CONTEXT_NONE;
    bool label = has_label(p, start);

    if (strength == NO_PHONE || (!label && !pii_forms_free(p, start, last)))
        return (struct pii_match){0};
    if (strength != STRONG && !label)
        near = pii_context(p->words, p->text, p->n, start, g[last].end);
    if ((strength == UNLESS_OTHER && near == PII_CONTEXT_OTHER) ||
        (strength == NEEDS_WORD && !label && !(near & PII_PHONE)))
        return (struct pii_match){0};
    return (struct pii_match){PII_PHONE, start, g[last].end,
                              strength == NEEDS_WORD ? PII_NEARBY : PII_FORM};
}

struct pii_match pii_forms_phone(const struct pii_place *p)
{
    const struct digit_group *g = p->number->groups;
    struct pii_match match = {0};
    uint32_t start = g[0].start;
    size_t first = 0;
    size_t skip = 0;
    bool abroad = read_country(p, &first, &skip, &start);

    if (!abroad)
        start = start_of(p, start);
    for (size_t n = PARTS_MAX; n >= 1 && match.kind == 0; n--) {
        struct dialled d;
        bool zero = abroad && first + n <= p->number->n && g[first].digits[skip] != 0;

        if (first + n > p->number->n || !take(p->number, first, skip, zero, n, &d))
            continue;
        if (p->joined == LINK_SPACE && p->n_joined == 4 && links_are(&d, LINK_SPACE))
            continue; /* the end of a longer number in fours */
        match = decide(p, strength_of(&d, abroad), start, first + n - 1);
    }
    if (match.kind == 0 && !abroad)
        match = decide(p, strength_of_nationwide(p), start, 1);
    return match;
}
