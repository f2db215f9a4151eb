#include "guard/pii.h"

#include <string.h>

#include "base/clock.h"
#include "guard/pii_check.h"
#include "guard/pii_context.h"
#include "guard/pii_forms.h"
#include "guard/pii_number.h"

#define EMAIL_LOCAL_MAX  64 /* RFC 5321, section 4.5.3.1 */
#define EMAIL_DOMAIN_MAX 255
#define PASSPORT_DIGITS  8

static const struct {
    const char *name;
    uint32_t kind;
} kind_names[] = {
    {"resident_number",  PII_RESIDENT_NUMBER },
    {"foreigner_number", PII_FOREIGNER_NUMBER},
    {"business_number",  PII_BUSINESS_NUMBER },
    {"card",             PII_CARD            },
    {"phone",            PII_PHONE           },
    {"passport",         PII_PASSPORT        },
    {"driver_licence",   PII_DRIVER_LICENCE  },
    {"bank_account",     PII_BANK_ACCOUNT    },
    {"email",            PII_EMAIL           },
};
#define N_KINDS (sizeof kind_names / sizeof kind_names[0])

unsigned pii_kind_parse(const char *name)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(kind_names[i].name, name) == 0)
            return kind_names[i].kind;
    return 0;
}

static const char *name_of(uint32_t kind)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (kind_names[i].kind == kind)
            return kind_names[i].name;
    return "";
}

struct scan {
    const char *text;
    size_t n;
    unsigned kinds;
    uint32_t today;
    size_t at;
    uint32_t reported; /* end of the last finding */
    enum link joined;  /* of the group at 'joined_at' to the one before */
    size_t n_joined;   /* digits of that */
    size_t joined_at;
    const struct finding_sink *sink;
    struct pii_words words;
};

/* Tell it and go on behind it; false: enough. */
static bool report(struct scan *s, const struct pii_match *m)
{
    s->at = m->end;
    s->reported = m->end;
    s->joined = LINK_NONE;
    if (!(m->kind & s->kinds))
        return true;
    return s->sink->on_finding(s->sink->context, name_of(m->kind), m->start, m->end, m->score);
}

/* ---- numbers ---- */

static bool scan_number(struct scan *s)
{
    struct number number;
    struct pii_place place = {
        .text = s->text, .n = s->n, .today = s->today, .number = &number, .words = &s->words};
    struct pii_match match;

    number_read(s->text, s->n, s->at, &number);
    if (s->joined != LINK_NONE && s->joined_at == s->at) {
        place.joined = s->joined;
        place.n_joined = s->n_joined;
    }
    match = pii_forms_match(&place);
    if (match.kind != 0 && match.start >= s->reported)
        return report(s, &match);
    s->joined = (enum link)number.groups[0].link;
    s->n_joined = number.groups[0].n;
    s->at = number.groups[0].n == NUMBER_DIGITS_MAX ? number_skip(s->text, s->n, s->at)
                                                    : number.groups[0].end;
    if (s->joined != LINK_NONE && number.n > 1)
        s->joined_at = number.groups[1].start;
    else
        s->joined = LINK_NONE;
    return true;
}

/* ---- passports ---- */

static size_t read_digits(const struct scan *s, size_t *at, size_t max)
{
    size_t n = 0;
    size_t bytes;
    uint32_t value;

    while (n < max && number_char(s->text, s->n, *at, &bytes, &value) == CHAR_DIGIT) {
        *at += bytes;
        n++;
    }
    return n;
}

static bool is_free(const struct scan *s, size_t start, size_t end)
{
    size_t at;
    size_t bytes;
    uint32_t value;
    enum char_kind before = number_char_before(s->text, start, &at, &value);
    enum char_kind behind = number_char(s->text, s->n, end, &bytes, &value);

    if (before == CHAR_DASH)
        before = number_char_before(s->text, at, &at, &value);
    if (behind == CHAR_DASH)
        behind = number_char(s->text, s->n, end + bytes, &bytes, &value);
    return before != CHAR_LETTER && before != CHAR_DIGIT && before != CHAR_JOINER &&
           behind != CHAR_LETTER && behind != CHAR_DIGIT && behind != CHAR_JOINER;
}

/* A letter of the kind of passport and eight digits; since December 2021 the fourth is a letter.
 * Ordinary ones (M) are known by their form, the others need the word: S12345678 is many things. */
static bool scan_passport(struct scan *s)
{
    size_t start = s->at;
    size_t bytes;
    uint32_t value;
    uint32_t letter;
    uint32_t near;
    struct pii_match m;
    bool lower;
    bool new_form;
    size_t n;

    (void)number_char(s->text, s->n, s->at, &bytes, &letter);
    lower = s->text[s->at] >= 'a' && s->text[s->at] <= 'z';
    s->at += bytes;
    if (!letter || !strchr("MSRODG", (int)letter))
        return true;
    m.end = (uint32_t)s->at;
    n = read_digits(s, &s->at, PASSPORT_DIGITS);
    new_form = n == 3 && number_char(s->text, s->n, s->at, &bytes, &value) == CHAR_LETTER;
    if (new_form) {
        s->at += bytes;
        n = 4 + read_digits(s, &s->at, PASSPORT_DIGITS - 4);
    }
    m = (struct pii_match){PII_PASSPORT, (uint32_t)start, (uint32_t)s->at, PII_FORM};
    s->at = start + 1;
    while (s->at < s->n && ((unsigned char)s->text[s->at] & 0xC0) == 0x80)
        s->at++;
    if (n != PASSPORT_DIGITS || start < s->reported || !is_free(s, start, m.end))
        return true;
    near = pii_context(&s->words, s->text, s->n, m.start, m.end);
    if (near == PII_CONTEXT_OTHER ||
        ((lower || (letter != 'M' && !new_form)) && !(near & PII_PASSPORT)))
        return true;
    return report(s, &m);
}

/* ---- e-mail ---- */

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_local(char c)
{
    return is_alnum(c) || c == '.' || c == '_' || c == '-' || c == '+' || c == '%';
}

/* Bytes of a domain name at 'at': labels of letters, digits and inner dashes, the last one of two
 * or more letters; 0: none. */
static size_t domain_bytes(const struct scan *s, size_t at)
{
    size_t end = 0; /* behind the last label that may be the last */
    size_t label = at;

    for (size_t i = at; i <= s->n && i - at <= EMAIL_DOMAIN_MAX; i++) {
        bool letters = true;
        char c = i < s->n ? s->text[i] : '\0';

        if (is_alnum(c) || (c == '-' && i > label))
            continue;
        if (i == label || s->text[i - 1] == '-')
            break;
        for (size_t k = label; k < i; k++)
            letters = letters && !(s->text[k] >= '0' && s->text[k] <= '9') && s->text[k] != '-';
        if (label > at && letters && i - label >= 2)
            end = i;
        else if (c != '.')
            end = 0; /* name@pkg.1x is a version */
        if (c != '.')
            break;
        label = i + 1;
    }
    return end > at ? end - at : 0;
}

/* icon@2x.png is a file. */
static bool is_file(const struct scan *s, size_t at, size_t n)
{
    return n > 3 && s->text[at] >= '0' && s->text[at] <= '9' && s->text[at + 1] == 'x' &&
           s->text[at + 2] == '.';
}

static bool scan_email(struct scan *s, size_t n_sign)
{
    size_t sign = s->at;
    size_t start = sign;
    size_t n_domain;
    struct pii_match m;

    s->at = sign + n_sign;
    while (start > s->reported && sign - start < EMAIL_LOCAL_MAX && is_local(s->text[start - 1]))
        start--;
    if (start > s->reported && start > 0 && is_local(s->text[start - 1]))
        return true; /* longer than a mailbox may be */
    while (start < sign && !is_alnum(s->text[start]) && s->text[start] != '_')
        start++;
    if (start == sign || s->text[sign - 1] == '.')
        return true;
    n_domain = domain_bytes(s, s->at);
    if (n_domain == 0 || is_file(s, s->at, n_domain))
        return true;
    m = (struct pii_match){PII_EMAIL, (uint32_t)start, (uint32_t)(s->at + n_domain), PII_FORM};
    /* user@host:path and user:password@host are addresses of other things */
    if ((m.end + 1 < s->n && s->text[m.end] == ':' && is_alnum(s->text[m.end + 1])) ||
        (start > 0 && s->text[start - 1] == ':' && start > 1 && is_alnum(s->text[start - 2]) &&
         memchr(s->text + (start > 64 ? start - 64 : 0), '/', start > 64 ? 64 : start)))
        return true;
    return report(s, &m);
}

/* ---- the scan ---- */

static bool scan_here(struct scan *s)
{
    size_t bytes;
    uint32_t value;
    enum char_kind kind = number_char(s->text, s->n, s->at, &bytes, &value);

    switch (kind) {
    case CHAR_DIGIT:
        return scan_number(s);
    case CHAR_LETTER:
        return scan_passport(s);
    case CHAR_JOINER:
        if (s->text[s->at] == '@' || memcmp(s->text + s->at, "＠", bytes) == 0)
            return scan_email(s, bytes);
        break;
    default:
        break;
    }
    s->at += bytes;
    return true;
}

/* Bytes that something may begin with; all else is passed over. Digits and letters beyond ASCII
 * begin with 0xEF (full width) or 0xF0 (mathematical). */
static bool may_begin(unsigned char c)
{
    return (c >= '0' && c <= '9') || c == '@' || c == 0xEF || c == 0xF0 ||
           (c != '\0' && strchr("MSRODGmsrodg", c));
}

void pii_find(const char *text, size_t n, unsigned kinds, const struct finding_sink *sink)
{
    struct scan s = {.text = text,
                     .n = n,
                     .kinds = kinds,
                     .today = pii_check_today(clock_wall_ms()),
                     .sink = sink};

    pii_words_init(&s.words);
    while (s.at < n) {
        if (!may_begin((unsigned char)text[s.at]))
            s.at++;
        else if (!scan_here(&s))
            return;
    }
}
