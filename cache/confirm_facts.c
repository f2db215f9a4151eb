/* Numbers, dates, codes, names and quotations: each must be said by the other text too, by value.
 */
#include <string.h>

#include "base/utf8.h"
#include "cache/confirm_internal.h"
#include "text/char_class.h"

#define QUOTED_CHARS_MAX 12 /* of a quotation that names something */

/* English numerals, and Korean ones that stand alone before their noun; "one" and "한" are
 * articles more often than numbers. */
static const struct {
    const char *text;
    double value;
} NUMERALS[] = {
    {"two",      2   },
    {"three",    3   },
    {"four",     4   },
    {"five",     5   },
    {"six",      6   },
    {"seven",    7   },
    {"eight",    8   },
    {"nine",     9   },
    {"ten",      10  },
    {"eleven",   11  },
    {"twelve",   12  },
    {"dozen",    12  },
    {"fifteen",  15  },
    {"twenty",   20  },
    {"thirty",   30  },
    {"forty",    40  },
    {"fifty",    50  },
    {"sixty",    60  },
    {"ninety",   90  },
    {"hundred",  100 },
    {"thousand", 1000},
    {"million",  1e6 },
    {"billion",  1e9 },
    {"두",      2   },
    {"세",      3   },
    {"네",      4   },
    {"다섯",   5   },
    {"여섯",   6   },
    {"일곱",   7   },
    {"여덟",   8   },
    {"아홉",   9   },
    {"열",      10  },
    {"스무",   20  },
    {"twice",    2   },
    {"double",   2   },
    {"triple",   3   },
};

static bool numeral(const struct confirm_side *side, size_t i, struct entity *ret)
{
    const struct confirm_word *w = &side->words[i];
    uint32_t start = (uint32_t)(w->s - side->text);

    /* A sentence that begins with 네 says yes. */
    if (i == 0 && word_is(w, "네"))
        return false;
    for (size_t k = 0; k < sizeof NUMERALS / sizeof *NUMERALS; k++) {
        if (!word_is(w, NUMERALS[k].text))
            continue;
        uint32_t end = start + (uint32_t)w->n;
        *ret = (struct entity){.byte_start = start,
                               .byte_end = end,
                               .unit_start = end,
                               .unit_end = end,
                               .kind = ENTITY_NUMBER,
                               .value = NUMERALS[k].value};
        return true;
    }
    return false;
}

static bool add(struct confirm_side *side, const struct entity *e)
{
    if (side->n_facts == CONFIRM_FACTS_MAX)
        return false;
    side->facts[side->n_facts++] = *e;
    /* Words that begin inside are compared by value and not by their letters; those of a
     * quotation are words like others. */
    for (size_t i = 0; i < side->n_words && e->kind != ENTITY_QUOTED; i++) {
        size_t start = (size_t)(side->words[i].s - side->text);
        if (start >= e->byte_start && start < e->byte_end)
            side->words[i].fact = true;
    }
    return true;
}

/* A number of one that is written as a word ("한 명") is an article. */
static bool is_article(const struct confirm_side *side, const struct entity *e)
{
    return e->kind == ENTITY_NUMBER && e->value < 1.5 && e->value > 0.5 &&
           !char_is_digit(utf8_decode(side->text + e->byte_start, NULL)) &&
           strncmp(side->text + e->byte_start, "하루", strlen("하루")) != 0;
}

bool confirm_facts_read(struct confirm_side *side)
{
    bool korean = text_has_hangul(side->text, side->n);
    struct entity e;
    size_t at = 0;

    while (entity_next(side->text, side->n, &at, &e)) {
        /* In a text of Latin letters every word would be a name; a long quotation is speech, whose
         * words are compared like others. */
        if ((e.kind == ENTITY_LATIN && !korean) || is_article(side, &e) ||
            (e.kind == ENTITY_QUOTED &&
             utf8_count(side->text + e.byte_start, e.byte_end - e.byte_start) > QUOTED_CHARS_MAX))
            continue;
        if (!add(side, &e))
            return false;
    }
    for (size_t i = 0; i < side->n_words; i++)
        if (!side->words[i].fact && numeral(side, i, &e) && !add(side, &e))
            return false;
    return true;
}

/* Units of one class that are the same under two names. What is not listed is compared by its
 * letters: 3 kg is not 3 g, 1급 not 1위. */
static const char *const UNIT_NAMES[][6] = {
    {"kg",            "㎏",          "킬로그램", "킬로"},
    {"g",               "그램"                          },
    {"km",            "㎞",          "킬로미터"                  },
    {"m",             "미터"      },
    {"cm",          "㎝", "센티미터", "센티"},
    {"mm",            "㎜",          "밀리미터"              },
    {"%",             "％",          "퍼센트",       "프로"},
    {"m²",               "㎡",                         "m2", "제곱미터", "평방미터"},
    {"L", "ℓ", "리터"   },
    {"ml",          "mL",                "㎖",                    "cc"},
    {"°C",  "℃","도",               "°"},
    {"GB",           "기가",                   "기가바이트"                          },
    {"MB",               "메가",                          "메가바이트"},
    {"dB",               "데시벨"                         },
    {"t",               "톤"                         },
    {"번째",             "차",        "회차"                                },
};

static bool unit_is(const char *text, const struct entity *e, const char *name)
{
    size_t n = e->unit_end - e->unit_start;
    return n == strlen(name) && memcmp(text + e->unit_start, name, n) == 0;
}

static bool units_agree(const char *a, const struct entity *x, const char *b,
                        const struct entity *y)
{
    size_t n = x->unit_end - x->unit_start;
    size_t m = y->unit_end - y->unit_start;

    /* 5명 and 5인, 3개 and 3가지, 2달 and 2개월; a clock's or an own word (이틀) has no letters. */
    if (n == 0 || m == 0 || (x->unit >= UNIT_PERSON && x->unit <= UNIT_AGE) ||
        (x->unit >= UNIT_TIMES && x->unit <= UNIT_CLOCK))
        return true;
    if (n == m && memcmp(a + x->unit_start, b + y->unit_start, n) == 0)
        return true;
    for (size_t i = 0; i < sizeof UNIT_NAMES / sizeof *UNIT_NAMES; i++) {
        bool in_x = false;
        bool in_y = false;
        for (size_t k = 0; k < 6 && UNIT_NAMES[i][k]; k++) {
            in_x = in_x || unit_is(a, x, UNIT_NAMES[i][k]);
            in_y = in_y || unit_is(b, y, UNIT_NAMES[i][k]);
        }
        if (in_x && in_y)
            return true;
    }
    return false;
}

static enum confirm_reason reason_of(const struct entity *e)
{
    return e->kind == ENTITY_NUMBER ? CONFIRM_NUMBER
           : e->kind == ENTITY_DATE ? CONFIRM_DATE
                                    : CONFIRM_NAME;
}

static bool said(const struct confirm_side *a, const struct entity *e, const struct confirm_side *b)
{
    if (e->kind == ENTITY_QUOTED) {
        struct constraint c = {
            .byte_start = e->byte_start, .byte_end = e->byte_end, .kind = CONSTRAINT_QUOTED};
        return constraint_met(a->text, &c, b->text, b->n);
    }
    for (size_t i = 0; i < b->n_facts; i++) {
        const struct entity *f = &b->facts[i];
        if (entity_same(a->text, e, b->text, f) &&
            (e->kind != ENTITY_NUMBER || units_agree(a->text, e, b->text, f)))
            return true;
    }
    return false;
}

enum confirm_reason confirm_facts_compare(const struct confirm_side *a,
                                          const struct confirm_side *b)
{
    for (size_t i = 0; i < a->n_facts; i++)
        if (!said(a, &a->facts[i], b))
            return reason_of(&a->facts[i]);
    for (size_t i = 0; i < b->n_facts; i++)
        if (!said(b, &b->facts[i], a))
            return reason_of(&b->facts[i]);
    return CONFIRM_YES;
}
